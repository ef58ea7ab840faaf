/*
 * Chunked bodies from any bytes, beside a decoder that knows only RFC 9112's grammar: what is
 * accepted, it accepts as well, and makes the same body of it, up to the same byte.
 */
#include "tests/fuzz/fuzz_http.h"

static const struct message_limits limits = {{2048, 1024, 20}, -1};

static bool is_text(uint8_t c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

/* A line's length without its CR LF; -1: none, or it holds what it must not. */
static ssize_t line(const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '\r')
            return i + 1 < n && data[i + 1] == '\n' ? (ssize_t)i : -1;
        if (!is_text(data[i]))
            return -1;
    }
    return -1;
}

/* The length of a whole chunked body; -1: it is none. */
static ssize_t reference(const uint8_t *data, size_t n, char *out, size_t *ret_got)
{
    size_t at = 0, got = 0;
    for (;;) {
        uint64_t size = 0;
        ssize_t length = line(data + at, n - at);
        size_t digits = 0;
        if (length < 1)
            return -1;
        for (; digits < (size_t)length; digits++) {
            const char *hex = "0123456789abcdef", *digit;
            char c = (char)data[at + digits];
            if (c >= 'A' && c <= 'F')
                c = (char)(c - 'A' + 'a');
            digit = c == '\0' ? NULL : strchr(hex, c);
            if (digit == NULL)
                break;
            if (size >> 56 != 0)
                return -1;
            size = size * 16 + (uint64_t)(digit - hex);
        }
        if (digits == 0)
            return -1;
        at += (size_t)length + 2;
        if (size == 0)
            break;
        if (n - at < 2 || size > n - at - 2)
            return -1;
        memcpy(out + got, data + at, size);
        got += size;
        at += size;
        if (data[at] != '\r' || data[at + 1] != '\n')
            return -1;
        at += 2;
    }
    for (;;) { /* trailers, and the empty line */
        ssize_t length = line(data + at, n - at);
        if (length < 0)
            return -1;
        at += (size_t)length + 2;
        if (length == 0)
            break;
    }
    *ret_got = got;
    return (ssize_t)at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct message m;
    char *out, *expected;
    size_t at = 0, all = 0, piece, got_expected = 0;
    if (size < 1)
        return 0;
    piece = data[0] == 0 ? size : data[0];
    data++;
    size--;
    out = malloc(size + 1);
    expected = malloc(size + 1);
    MUST(out != NULL && expected != NULL);
    pirn_http_message_init(&m, false, &limits);
    MUST(pirn_http_message_head(&m, head, sizeof head - 1) == (ssize_t)sizeof head - 1);
    while (at < size && m.stage == MESSAGE_BODY) {
        size_t used, got, n = size - at < piece ? size - at : piece;
        if (pirn_http_message_body(&m, (const char *)data + at, n, out + all, &used, &got) < 0)
            break;
        MUST(used > 0 && used <= n && got <= used);
        at += used;
        all += got;
    }
    if (m.stage == MESSAGE_DONE) {
        MUST(reference(data, size, expected, &got_expected) == (ssize_t)at);
        MUST(got_expected == all && memcmp(out, expected, all) == 0);
    }
    pirn_http_message_free(&m);
    free(out);
    free(expected);
    return 0;
}
