/*
 * Bytes that grow, and the heads that are written into them.
 *
 * A failed append is remembered, so that a row of them is asked once, at its end. Whatever comes
 * from outside the library goes through pirn_http_text_field, which lets no line end pass.
 */
#include "api/http/text.h"

#include "api/http/head.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void pirn_http_text_free(struct text *t)
{
    free(t->data);
    memset(t, 0, sizeof(*t));
}

bool pirn_http_text_room(struct text *t, size_t n)
{
    size_t cap = t->cap < 64 ? 64 : t->cap;
    char *data;
    if (t->cap - t->used >= n)
        return true;
    if (n > SIZE_MAX / 4 - t->used)
        return false;
    while (cap < t->used + n)
        cap *= 2;
    data = realloc(t->data, cap);
    if (data == NULL)
        return false;
    t->data = data;
    t->cap = cap;
    return true;
}

void pirn_http_text_grow(struct text *t, const void *bytes, size_t n)
{
    if (t->failed || !pirn_http_text_room(t, n)) {
        t->failed = true;
        return;
    }
    memcpy(t->data + t->used, bytes, n);
    t->used += n;
}

char *pirn_http_put_number(char *at, uint64_t number)
{
    size_t n = 1;
    for (uint64_t rest = number; rest >= 10; rest /= 10)
        n++;
    for (size_t i = n; i > 0; number /= 10)
        at[--i] = (char)('0' + number % 10);
    return at + n;
}

void pirn_http_text_number(struct text *t, uint64_t number)
{
    char digits[NUMBER_MOST];
    pirn_http_text_add(t, digits, (size_t)(pirn_http_put_number(digits, number) - digits));
}

void pirn_http_text_chunk(struct text *t, size_t n)
{
    char digits[] = "0123456789abcdef\r\n"; /* room for the most */
    size_t at = 16, all = sizeof(digits) - 1;
    do {
        digits[--at] = "0123456789abcdef"[n % 16];
        n /= 16;
    } while (n > 0);
    pirn_http_text_add(t, digits + at, all - at);
}

int pirn_http_text_field(struct text *t, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);
    if (!pirn_http_is_token(name, name_len) || !pirn_http_is_value(value, value_len))
        return -EINVAL;
    pirn_http_text_add(t, name, name_len);
    pirn_http_text_add(t, ": ", 2);
    pirn_http_text_add(t, value, value_len);
    pirn_http_text_add(t, "\r\n", 2);
    return 0;
}

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
    {511, "Network Authentication Required"},
};

const char *pirn_http_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "";
}

char *pirn_http_put_status(char *at, int status)
{
    if (status == 200)
        return text_puts(at, "HTTP/1.1 200 OK\r\n");
    at = text_puts(at, "HTTP/1.1 ");
    *at++ = (char)('0' + status / 100);
    *at++ = (char)('0' + status / 10 % 10);
    *at++ = (char)('0' + status % 10);
    *at++ = ' ';
    at = text_puts(at, pirn_http_reason(status));
    return text_puts(at, "\r\n");
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool pirn_http_decode(char *string, bool plus)
{
    char *out = string;
    for (const char *in = string; *in != '\0'; in++) {
        int c = (unsigned char)*in;
        if (c == '%') {
            int high = hex(in[1]);
            int low = high < 0 ? -1 : hex(in[2]);
            if (low < 0 || high * 16 + low == 0)
                return false;
            c = high * 16 + low;
            in += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        *out++ = (char)c;
    }
    *out = '\0';
    return true;
}
