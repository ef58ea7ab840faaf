/*
 * Where a record ends: a search in bytes that come in pieces. A pure function.
 *
 * A record is what stands before its separator, at most `limit` bytes. Whether one is there, and
 * where, depends on the bytes alone, not on the pieces they came in.
 */
#ifndef PIRN_API_STREAM_DELIMITER_H
#define PIRN_API_STREAM_DELIMITER_H

#include <stddef.h>

enum delimiter {
    DELIMITER_FOUND,   /* *ret_at: where it begins */
    DELIMITER_MORE,    /* it may still come */
    DELIMITER_TOO_LONG /* whatever comes, it does not begin within the limit */
};

/* *scanned: so many of the first bytes are known to begin no separator; 0 at first, kept by the
 * caller from call to call while the n bytes grow. sep_len > 0. */
enum delimiter pirn_delimiter_scan(const char *data, size_t n, const void *sep, size_t sep_len,
                                   size_t limit, size_t *scanned, size_t *ret_at);

#endif
