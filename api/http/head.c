/*
 * The lines of a head, checked before the parser library sees any of them.
 *
 * As RFC 9112 has them, and no more. What is refused here is what others may read in another way,
 * which is how requests are smuggled past a proxy: a line that ends with LF alone, a CR elsewhere,
 * a space before the colon, a line that goes on in the next (obs-fold), control characters.
 *
 * A head is looked at as it comes, each line once. Only when all of it is there is it parsed: in
 * one piece, so the parser library gives each name and value in one piece as well.
 */
#include "api/http/head.h"

#include <stdint.h>
#include <string.h>

/* RFC 9110: letters, digits and these. */
static const bool token_chars[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['!'] = true,  ['#'] = true,
    ['$'] = true,         ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true,
    ['+'] = true,         ['-'] = true,         ['.'] = true,         ['^'] = true,  ['_'] = true,
    ['`'] = true,         ['|'] = true,         ['~'] = true,
};

/* How many of the first n bytes are such. */
static size_t token_length(const char *text, size_t n)
{
    size_t i = 0;
    while (i < n && token_chars[(unsigned char)text[i]])
        i++;
    return i;
}

bool pirn_http_is_token(const char *text, size_t n)
{
    return n > 0 && token_length(text, n) == n;
}

/* Eight bytes at a time: is one of them below `least` (at most 0x80), or 0x7f? */
static bool has_odd(uint64_t word, unsigned least)
{
    const uint64_t ones = UINT64_MAX / 0xff, tops = ones * 0x80;
    uint64_t deleted = word ^ ones * 0x7f;
    return ((((word - ones * least) & ~word) | ((deleted - ones) & ~deleted)) & tops) != 0;
}

static uint64_t load(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof(word));
    return word;
}

bool pirn_http_is_value(const char *text, size_t n)
{
    size_t i = 0;
    while (n - i >= 8 && !has_odd(load(text + i), ' '))
        i += 8;
    for (; i < n; i++) { /* the end of it, or from a tab on */
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* Nothing but visible ASCII. */
static bool is_visible(const char *text, size_t n)
{
    const char *end = text + n;
    for (; end - text >= 8; text += 8)
        if (has_odd(load(text), '!') || (load(text) & UINT64_MAX / 0xff * 0x80) != 0)
            return false;
    for (; text < end; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
            return false;
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

static int check_request_line(struct head_scan *scan, const char *line, size_t n, size_t max_target)
{
    size_t method = token_length(line, n);
    const char *target = line + method + 1, *end = line + n, *version;
    if (method == 0 || method == n || line[method] != ' ')
        return 400;
    version = memchr(target, ' ', (size_t)(end - target));
    if (version == NULL || version == target)
        return 400;
    scan->target = (uint32_t)(version - target);
    if (scan->target > max_target)
        return 414;
    /* A fragment is no part of a target, and what others take for the path of one with it
     * differs. */
    if (!is_visible(target, scan->target) || memchr(target, '#', scan->target) != NULL)
        return 400;
    version++;
    return check_version(version, (size_t)(end - version));
}

static int check_status_line(const char *line, size_t n)
{
    if (n < 12 || line[8] != ' ' || (n > 12 && line[12] != ' ') || line[9] == '0')
        return 400;
    for (int i = 9; i < 12; i++)
        if (line[i] < '0' || line[i] > '9')
            return 400;
    return pirn_http_is_value(line, n) ? check_version(line, 8) : 400;
}

static int check_field(const char *line, size_t n)
{
    size_t name = token_length(line, n);
    if (name == 0 || name == n || line[name] != ':')
        return 400; /* also a line that goes on: it begins with a space */
    return pirn_http_is_value(line + name + 1, n - name - 1) ? 0 : 400;
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
    if (scan->lines++ == 0) {
        status = response ? check_status_line(begin, n)
                          : check_request_line(scan, begin, n, limits->target);
    } else if (scan->lines - 1 > limits->headers) {
        status = 431;
    } else {
        status = check_field(begin, n);
    }
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
            scan->searched = (uint32_t)seen;
            break;
        }
        int last = check_line(scan, response, limits, data + scan->line, newline + 1);
        if (last < 0)
            return last;
        scan->line = scan->searched = (uint32_t)(newline + 1 - data);
        if (last > 0)
            return (ssize_t)scan->line;
    }
    /* What is no HTTP at all may never send a line's end. */
    if (scan->lines == 0 && seen > scan->line && data[scan->line] != '\r' &&
        !token_chars[(unsigned char)data[scan->line]])
        return -400;
    if (scan->lines == 0 && !response && seen - scan->line > limits->target + 64)
        return -414;
    if (n >= limits->head)
        return scan->lines == 0 && !response ? -414 : -431;
    return 0;
}
