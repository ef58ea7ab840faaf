/*
 * The lines of a head, checked before the parser library sees any of them.
 *
 * As RFC 9112 has them, and no more. What is refused here is what others may read in another way, which
 * is how requests are smuggled past a proxy: a line that ends with LF alone, a CR elsewhere, a space
 * before the colon, a line that goes on in the next (obs-fold), control characters.
 *
 * A head is looked at as it comes, each line once. Only when all of it is there is it parsed: in one
 * piece, so the parser library gives each name and value in one piece as well.
 */
#include "api/http/head.h"

#include <stdint.h>
#include <string.h>

/* RFC 9110: letters, digits and !#$%&'*+-.^_`|~; a bit for each. */
static bool is_token_char(unsigned char c)
{
    static const uint64_t set[4] = {0x03ff6cfa00000000, 0x57ffffffc7fffffe, 0, 0};
    return (set[c / 64] >> (c % 64) & 1) != 0;
}

bool pirn_http_is_token(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_token_char((unsigned char)text[i]))
            return false;
    return n > 0;
}

bool pirn_http_is_value(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* What follows are lines without their CR LF. They return 0 or an HTTP status. */

static int check_version(const char *text, size_t n)
{
    if (n != 8 || memcmp(text, "HTTP/", 5) != 0 || text[5] < '0' || text[5] > '9' ||
        text[6] != '.' || text[7] < '0' || text[7] > '9')
        return 400;
    return text[5] == '1' && text[7] <= '1' ? 0 : 505;
}

static int check_request_line(const char *line, size_t n, size_t max_target)
{
    const char *target = memchr(line, ' ', n), *end = line + n, *version;
    if (target == NULL || !pirn_http_is_token(line, (size_t)(target - line)))
        return 400;
    target++;
    version = memchr(target, ' ', (size_t)(end - target));
    if (version == NULL || version == target)
        return 400;
    if ((size_t)(version - target) > max_target)
        return 414;
    for (const char *c = target; c < version; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
            return 400;
    version++;
    return check_version(version, (size_t)(end - version));
}

static int check_status_line(const char *line, size_t n)
{
    if (n < 12 || line[8] != ' ' || (n > 12 && line[12] != ' '))
        return 400;
    for (int i = 9; i < 12; i++)
        if (line[i] < '0' || line[i] > '9')
            return 400;
    return pirn_http_is_value(line, n) ? check_version(line, 8) : 400;
}

static int check_field(const char *line, size_t n)
{
    const char *colon = memchr(line, ':', n);
    if (colon == NULL || !pirn_http_is_token(line, (size_t)(colon - line)))
        return 400; /* also a line that goes on: it begins with a space */
    return pirn_http_is_value(colon + 1, n - (size_t)(colon + 1 - line)) ? 0 : 400;
}

/* The line [begin, end), its LF included. 1: the head's last. */
static int check_line(struct head_scan *scan, bool response, const struct head_limits *limits,
                      const char *begin, const char *end)
{
    size_t n = (size_t)(end - begin);
    int status;
    if (n < 2 || begin[n - 2] != '\r')
        return -400;
    n -= 2;
    if (n == 0) {
        if (scan->lines > 0)
            return 1;
        return response ? -400 : 0; /* some clients send one too many after a body */
    }
    if (scan->lines++ == 0)
        status =
            response ? check_status_line(begin, n) : check_request_line(begin, n, limits->target);
    else if (scan->lines - 1 > limits->headers)
        status = 431;
    else
        status = check_field(begin, n);
    return -status;
}

ssize_t pirn_http_head_scan(struct head_scan *scan, bool response, const struct head_limits *limits,
                            const char *data, size_t n)
{
    size_t seen = n < limits->head ? n : limits->head;
    const char *newline;
    while (scan->searched < seen) {
        newline = memchr(data + scan->searched, '\n', seen - scan->searched);
        if (newline == NULL) {
            scan->searched = seen;
            break;
        }
        int last = check_line(scan, response, limits, data + scan->line, newline + 1);
        if (last < 0)
            return last;
        scan->line = scan->searched = (size_t)(newline + 1 - data);
        if (last > 0)
            return (ssize_t)scan->line;
    }
    /* What is no HTTP at all may never send a line's end. */
    if (scan->lines == 0 && seen > scan->line && data[scan->line] != '\r' &&
        !is_token_char((unsigned char)data[scan->line]))
        return -400;
    if (scan->lines == 0 && !response && seen - scan->line > limits->target + 64)
        return -414;
    if (n >= limits->head)
        return scan->lines == 0 && !response ? -414 : -431;
    return 0;
}
