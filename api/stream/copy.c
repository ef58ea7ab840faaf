/*
 * From one stream into another. What has been read is handed on out of the reader's own buffer, and
 * leaves it only as far as it was written: so whatever ends a copy, each byte is in one of the two,
 * once. Between two pieces `from` is nobody's, as a wait for the slower of the two may be long, and
 * a close must not wait for that.
 */
#include <errno.h>
#include <limits.h>

#include "api/stream/stream.h"
#include "runtime/debug.h"

/* Waits for some bytes, at most so many, and writes them: how many; 0: the end of `from`. */
static ssize_t hand_on(const char *call, pirn_stream *to, pirn_stream *from, int64_t most,
                       pirn_time deadline)
{
    ssize_t rc = pirn_reader_begin(call, from, true);
    if (rc != 0)
        return rc;
    rc = stream_buffered(from) != 0 ? 1 : pirn_reader_fill(from, deadline);
    if (rc > 0) {
        size_t n = stream_buffered(from);
        const char *data = from->in.buf + from->in.start;
        rc = pirn_stream_write(to, data, (int64_t)n > most ? (size_t)most : n);
        pirn_reader_took(from, data, rc);
        from->in.start += rc > 0 ? (size_t)rc : 0;
    }
    pirn_reader_end(from);
    return rc;
}

int64_t pirn_stream_copy(pirn_stream *to, pirn_stream *from, int64_t most, int64_t *ret_copied,
                         pirn_time deadline)
{
    int64_t unwanted, *copied = ret_copied != NULL ? ret_copied : &unwanted;
    *copied = 0;
    if (to == NULL || from == NULL || most < 0)
        return pirn_misuse(__func__, -EINVAL, most < 0 ? "most is out of range" : MISUSE_NULL);
    while (*copied < most) {
        ssize_t n = hand_on(__func__, to, from, most - *copied, deadline);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        *copied += n;
        int rc = pirn_stream_drain(to, deadline);
        if (rc != 0)
            return rc;
    }
    return *copied;
}
