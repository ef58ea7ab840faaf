/*
 * The search of delimiter.h. Separators may begin at 0 to limit, so limit + sep_len bytes decide.
 */
#include "api/stream/delimiter.h"

#include <stdint.h>
#include <string.h>

enum delimiter pirn_delimiter_scan(const char *data, size_t n, const void *sep, size_t sep_len,
                                   size_t limit, size_t *scanned, size_t *ret_at)
{
    size_t enough = limit <= SIZE_MAX - sep_len ? limit + sep_len : SIZE_MAX;
    size_t end = n < enough ? n : enough;
    if (end >= sep_len && *scanned <= end - sep_len) {
        const char *from = data + *scanned;
        const char *at = sep_len == 1 ? memchr(from, *(const unsigned char *)sep, end - *scanned)
                                      : memmem(from, end - *scanned, sep, sep_len);
        if (at != NULL) {
            *ret_at = (size_t)(at - data);
            return DELIMITER_FOUND;
        }
        *scanned = end - sep_len + 1;
    }
    return n >= enough ? DELIMITER_TOO_LONG : DELIMITER_MORE;
}
