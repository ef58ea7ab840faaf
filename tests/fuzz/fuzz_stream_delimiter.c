/* Records whose bytes come in pieces: found where a search of all of it finds them, however they
 * are cut. */
#include "tests/fuzz/fuzz_http.h"

#include "api/stream/delimiter.h"

/* The first separator that begins within the limit, byte by byte. */
static enum delimiter plainly(const char *data, size_t n, const char *sep, size_t sep_len,
                              size_t limit, size_t *ret_at)
{
    for (size_t at = 0; at <= limit && at + sep_len <= n; at++) {
        if (memcmp(data + at, sep, sep_len) == 0) {
            *ret_at = at;
            return DELIMITER_FOUND;
        }
    }
    return n >= limit + sep_len ? DELIMITER_TOO_LONG : DELIMITER_MORE;
}

/* Byte 0: the separator's length; 1: the limit; 2: how the pieces are cut; then the separator, and
 * the bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size < 4)
        return 0;
    size_t sep_len = input[0] % 4 + 1, limit = input[1], cut = input[2] % 16 + 1, scanned = 0,
           n = 0;
    if (size < 3 + sep_len)
        return 0;
    const char *sep = (const char *)input + 3, *data = sep + sep_len;
    size_t all = size - 3 - sep_len, at = 0, expected_at = 0;
    for (;;) {
        enum delimiter found = pirn_delimiter_scan(data, n, sep, sep_len, limit, &scanned, &at);
        MUST(found == plainly(data, n, sep, sep_len, limit, &expected_at));
        MUST(found != DELIMITER_FOUND || at == expected_at);
        MUST(scanned <= n);
        if (found != DELIMITER_MORE || n == all)
            return 0;
        n = all - n < cut ? all : n + cut;
        cut = cut % 16 + 1;
    }
}
