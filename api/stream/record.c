/*
 * Reading what has an end in it: lines, records, all there is.
 *
 * The record is in the buffer as a whole before any of it is taken, so a call that is stopped has
 * taken nothing. A view is of the buffer, which is left alone until the next call that reads.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/stream/delimiter.h"
#include "api/stream/stream.h"
#include "runtime/debug.h"

/* The length of the record that comes next, with its separator; 0: the end comes before that. */
static ssize_t find(pirn_stream *s, const void *sep, size_t sep_len, pirn_time deadline)
{
    size_t scanned = 0, at;
    for (;;) {
        if (stream_buffered(s) != 0) {
            enum delimiter d = pirn_delimiter_scan(s->in.buf + s->in.start, stream_buffered(s), sep,
                                                   sep_len, s->limit, &scanned, &at);
            if (d == DELIMITER_FOUND)
                return (ssize_t)(at + sep_len);
            if (d == DELIMITER_TOO_LONG)
                return -EMSGSIZE;
        }
        ssize_t rc = pirn_reader_fill(s, deadline);
        if (rc <= 0)
            return rc;
    }
}

static ssize_t take_view(pirn_stream *s, const char **ret_data, size_t n)
{
    *ret_data = n != 0 ? s->in.buf + s->in.start : "";
    s->in.start += n;
    return (ssize_t)n;
}

/* The rest of a line that was too long. 1: it is gone. */
static ssize_t skip(pirn_stream *s, pirn_time deadline)
{
    for (;;) {
        size_t n = stream_buffered(s);
        if (n != 0) {
            const char *from = s->in.buf + s->in.start;
            const char *at = memchr(from, '\n', n);
            s->in.start += at != NULL ? (size_t)(at - from) + 1 : n;
            if (at != NULL)
                break;
        }
        ssize_t rc = pirn_reader_fill(s, deadline);
        if (rc <= 0)
            return rc;
    }
    s->in.skipping = false;
    return 1;
}

static ssize_t read_line(pirn_stream *s, const char **ret_line, pirn_time deadline)
{
    if (s->in.skipping) {
        ssize_t rc = skip(s, deadline);
        if (rc <= 0)
            return rc;
    }
    ssize_t rc = find(s, "\n", 1, deadline);
    if (rc == -EMSGSIZE) {
        s->in.start += s->limit + 1;
        s->in.skipping = true;
    }
    if (rc < 0)
        return rc;
    return take_view(s, ret_line, rc != 0 ? (size_t)rc : stream_buffered(s));
}

ssize_t pirn_stream_read_line(pirn_stream *stream, const char **ret_line, pirn_time deadline)
{
    if (ret_line == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    ssize_t rc = pirn_reader_begin(__func__, stream, true);
    if (rc != 0)
        return rc;
    rc = read_line(stream, ret_line, deadline);
    pirn_stream_unref(stream, STREAM_READING);
    return rc;
}

ssize_t pirn_stream_read_until(pirn_stream *stream, const char **ret_data, const void *sep,
                               size_t sep_len, pirn_time deadline)
{
    if (ret_data == NULL || sep == NULL || sep_len == 0)
        return pirn_misuse(__func__, -EINVAL, "an argument is NULL, or the separator empty");
    ssize_t rc = pirn_reader_begin(__func__, stream, true);
    if (rc != 0)
        return rc;
    rc = find(stream, sep, sep_len, deadline);
    if (rc > 0) {
        rc = take_view(stream, ret_data, (size_t)rc);
        pirn_reader_took(stream, *ret_data, rc);
    } else if (rc == 0) {
        rc = -ENODATA;
    }
    pirn_stream_unref(stream, STREAM_READING);
    return rc;
}

/* The buffer itself becomes the caller's. */
static ssize_t give_all(pirn_stream *s, char **ret_data)
{
    size_t n = stream_buffered(s);
    int rc = pirn_reader_room(s, 1);
    if (rc != 0)
        return rc;
    if (s->in.start != 0)
        memmove(s->in.buf, s->in.buf + s->in.start, n);
    s->in.buf[n] = '\0';
    char *smaller = realloc(s->in.buf, n + 1);
    *ret_data = smaller != NULL ? smaller : s->in.buf;
    s->in.buf = NULL;
    s->in.start = s->in.end = s->in.room = 0;
    return (ssize_t)n;
}

static ssize_t read_all(pirn_stream *s, char **ret_data, size_t max, pirn_time deadline)
{
    for (;;) {
        if (stream_buffered(s) > max)
            return -EMSGSIZE;
        ssize_t rc = pirn_reader_fill(s, deadline);
        if (rc < 0)
            return rc;
        if (rc == 0)
            return give_all(s, ret_data);
    }
}

ssize_t pirn_stream_read_all(pirn_stream *stream, char **ret_data, size_t max, pirn_time deadline)
{
    if (ret_data == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    ssize_t rc = pirn_reader_begin(__func__, stream, true);
    if (rc != 0)
        return rc;
    rc = read_all(stream, ret_data, max, deadline);
    pirn_reader_end(stream);
    return rc;
}
