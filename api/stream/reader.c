/*
 * Reading what comes: into a buffer that is there only while it is of use.
 *
 *   1. Who waits for a quiet descriptor has `first` bytes of buffer, or the caller's own memory if
 *      that is large enough. Most messages fit, and then one operation has fetched them. It is
 *      FIRST, or WIDE if the stream's last messages were larger than that.
 *   2. A read that filled what it was given is followed by one of four times the size, up to CHUNK.
 *   3. Before such a large read waits, it is tried. If it gets less than it asked for, there is no
 *      more now: the size, and an empty buffer, go back to `first`. So an idle stream has little,
 *      whatever it had before. (A transport that cannot be tried goes back in steps.)
 *
 * The config's idle is a deadline of its own for each read of the transport: so it counts from the
 * last byte, or from when the program began to wait, and costs a quiet stream nothing but the
 * deadline. (Rejected: a timer for the stream's life. It would have to be put off by each byte, and
 * would run while nobody reads.)
 *
 * A transport's read either takes bytes or reports an error, never both. Bytes in the buffer stay
 * there until a call succeeds; read_exactly, which receives a large block in the caller's memory,
 * puts back what had come when it is stopped, and so has room for that before it takes any. (The
 * room is not touched unless it is needed.)
 *
 * Rejected: waiting for readiness without any buffer, and receiving after that. It saves half a KiB
 * and makes three steps of each message's one. And buffers of the ring (IOSQE_BUFFER_SELECT), which
 * the kernel takes when there is something to put there. They save the same, 540 of an idle HTTP
 * connection's 6,020 bytes, of which the stack's page is most. In a bare loop a message then costs
 * 1.05 of the CPU (64 connections; 1.04 with 1,000: perf/peers/echo_uring.c), without what pirn
 * would need besides: the copy into the stream, a lock to put the buffer back, as any worker may
 * have collected it, and the way on when there are no more.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "api/stream/stream.h"
#include "runtime/debug.h"

enum {
    FIRST = 488, /* with what malloc adds 496: an idle connection has it */
    WIDE = 2 * FIRST,
    NARROW_AGAIN = 8, /* after so many in a row that would have fitted FIRST */
    CHUNK = 32 * 1024,
    DIRECT = 4096,    /* a read of so much goes past an empty buffer */
    BLOCK = CHUNK / 2 /* the rest of an exact one, past one that is not empty */
};

int pirn_reader_begin(const char *call, pirn_stream *s, bool waits)
{
    if (s == NULL)
        return pirn_misuse(call, -EINVAL, MISUSE_NULL);
    if (waits) {
        struct wait w;
        int rc = pirn_wait_enter(&w);
        if (rc != 0)
            return rc;
    }
    if (pirn_current_task() == NULL)
        return pirn_misuse(call, -EPERM, MISUSE_NO_COROUTINE);
    uint32_t state = atomic_load_explicit(&s->state, memory_order_relaxed);
    do {
        if ((state & STREAM_CLOSING) != 0)
            return -EBADF;
        if ((state & STREAM_READING) != 0)
            return pirn_misuse(call, -EBUSY, "another coroutine reads from it: one may at a time");
        /* acquire: pairs with the release in pirn_stream_unref, of the reader before us */
    } while (!atomic_compare_exchange_weak_explicit(&s->state, &state,
                                                    (state + STREAM_REF) | STREAM_READING,
                                                    memory_order_acquire, memory_order_relaxed));
    if (waits)
        atomic_store_explicit(&s->in.idled, false, memory_order_relaxed);
    return 0;
}

bool pirn_reader_take(pirn_stream *s)
{
    uint32_t state = atomic_load_explicit(&s->state, memory_order_relaxed);
    do {
        if ((state & STREAM_READING) != 0)
            return false;
        /* acquire: as above */
    } while (!atomic_compare_exchange_weak_explicit(&s->state, &state,
                                                    (state + STREAM_REF) | STREAM_READING,
                                                    memory_order_acquire, memory_order_relaxed));
    return true;
}

static void drop_buffer(pirn_stream *s)
{
    free(s->in.buf);
    s->in.buf = NULL;
    s->in.start = s->in.end = s->in.room = 0;
}

void pirn_reader_end(pirn_stream *s)
{
    if (stream_buffered(s) == 0 && s->in.room > s->in.first)
        drop_buffer(s);
    pirn_stream_unref(s, STREAM_READING);
}

int pirn_reader_room(pirn_stream *s, size_t want)
{
    size_t used = stream_buffered(s), room = FIRST;
    if (used == 0) {
        s->in.start = s->in.end = 0;
        if (s->in.room / 4 > want)
            drop_buffer(s);
    }
    if (s->in.room - s->in.end >= want)
        return 0;
    if (s->in.room - used >= want) {
        memmove(s->in.buf, s->in.buf + s->in.start, used);
    } else {
        if (want > SIZE_MAX / 4 - used)
            return -ENOMEM;
        while (room < used + want)
            room *= 2;
        char *buf = malloc(room);
        if (buf == NULL)
            return -ENOMEM;
        if (used != 0)
            memcpy(buf, s->in.buf + s->in.start, used);
        free(s->in.buf);
        s->in.buf = buf;
        s->in.room = room;
    }
    s->in.start = 0;
    s->in.end = used;
    return 0;
}

/* What to wait with from now on: the first read of a message asked for so much and had that. */
static void adapt(pirn_stream *s, size_t asked, size_t n)
{
    if (asked == FIRST && n == FIRST) {
        s->in.first = WIDE;
        s->in.narrow = 0;
    } else if (asked == WIDE && s->in.first == WIDE) {
        s->in.narrow = n <= FIRST ? s->in.narrow + 1 : 0;
        if (s->in.narrow == NARROW_AGAIN)
            s->in.first = FIRST;
    }
}

/* A read asked for so much and had that: what it says about the stream. */
static ssize_t note(pirn_stream *s, size_t asked, ssize_t n)
{
    if (n > 0)
        adapt(s, asked, (size_t)n);
    if (n == 0)
        s->in.ended = true;
    else if (n < 0 && !pirn_stream_may_retry(n))
        atomic_store_explicit(&s->in.error, (int)n, memory_order_relaxed);
    else if ((size_t)n == asked)
        s->in.chunk = asked < CHUNK / 4 ? (uint32_t)asked * 4 : CHUNK;
    else if (s->ops->try_read != NULL)
        s->in.chunk = s->in.first;
    else if ((size_t)n < asked / 4 && asked > FIRST)
        s->in.chunk = (uint32_t)asked / 4;
    return n;
}

/* The transport's read, until the deadline, or as long as the stream may be idle. */
static ssize_t wait_for_bytes(pirn_stream *s, void *buf, size_t n, pirn_time deadline)
{
    pirn_time until = deadline;
    if (s->idle != 0) {
        pirn_time idle = pirn_after_ns(s->idle);
        until = idle.ns < deadline.ns ? idle : deadline;
    }
    ssize_t got = s->ops->read(s->self, buf, n, until);
    if (got == -ETIMEDOUT && until.ns < deadline.ns)
        atomic_store_explicit(&s->in.idled, true, memory_order_relaxed);
    return got;
}

ssize_t pirn_reader_fill(pirn_stream *s, pirn_time deadline)
{
    ssize_t n = -EAGAIN;
    if (s->in.ended)
        return 0;
    if (reader_error(s) != 0)
        return reader_error(s);
    if (s->in.chunk == 0)
        s->in.chunk = s->in.first = FIRST;
    if (s->in.chunk > s->in.first && s->ops->try_read != NULL) {
        int rc = pirn_reader_room(s, s->in.chunk);
        if (rc != 0)
            return rc;
        n = s->ops->try_read(s->self, s->in.buf + s->in.end, s->in.chunk);
        if (n == -EAGAIN)
            s->in.chunk = s->in.first;
    }
    size_t asked = s->in.chunk;
    if (n == -EAGAIN) {
        int rc = pirn_reader_room(s, asked);
        if (rc != 0)
            return rc;
        n = wait_for_bytes(s, s->in.buf + s->in.end, asked, deadline);
    }
    note(s, asked, n);
    if (n > 0)
        s->in.end += (size_t)n;
    return n;
}

/* Into the caller's memory; nothing is buffered, or what is comes before it. */
static ssize_t receive(pirn_stream *s, void *buf, size_t n, pirn_time deadline)
{
    if (s->in.ended)
        return 0;
    if (reader_error(s) != 0)
        return reader_error(s);
    ssize_t got = wait_for_bytes(s, buf, n, deadline);
    if (got == 0)
        s->in.ended = true;
    else if (got < 0 && !pirn_stream_may_retry(got))
        atomic_store_explicit(&s->in.error, (int)got, memory_order_relaxed);
    return got;
}

void pirn_reader_took(pirn_stream *s, const char *data, ssize_t n)
{
    if (n > 0 && s->in.skipping && memchr(data, '\n', (size_t)n) != NULL)
        s->in.skipping = false;
}

static void take(pirn_stream *s, void *buf, size_t n)
{
    if (n != 0)
        memcpy(buf, s->in.buf + s->in.start, n);
    s->in.start += n;
}

static ssize_t read_some(pirn_stream *s, void *buf, size_t n, pirn_time deadline)
{
    if (n == 0)
        return 0;
    if (stream_buffered(s) == 0) {
        if (n >= DIRECT) {
            drop_buffer(s);
            return receive(s, buf, n, deadline);
        }
        ssize_t rc = pirn_reader_fill(s, deadline);
        if (rc <= 0)
            return rc;
    }
    if (n > stream_buffered(s))
        n = stream_buffered(s);
    take(s, buf, n);
    return (ssize_t)n;
}

ssize_t pirn_stream_read(pirn_stream *stream, void *buf, size_t n, pirn_time deadline)
{
    if (n > SSIZE_MAX || (buf == NULL && n != 0))
        return pirn_misuse(__func__, -EINVAL, buf == NULL ? MISUSE_NULL : "n is out of range");
    ssize_t rc = pirn_reader_begin(__func__, stream, true);
    if (rc != 0)
        return rc;
    rc = read_some(stream, buf, n, deadline);
    pirn_reader_took(stream, buf, rc);
    pirn_reader_end(stream);
    return rc;
}

/* What is buffered stays there until the rest has come. */
static ssize_t read_block(pirn_stream *s, char *buf, size_t n, size_t *ret_got, pirn_time deadline)
{
    size_t before = stream_buffered(s), got = before;
    int err = pirn_reader_room(s, n - before);
    if (err != 0)
        return err;
    while (got < n) {
        ssize_t rc = receive(s, buf + got, n - got, deadline);
        if (rc < 0) {
            memcpy(s->in.buf + s->in.end, buf + before, got - before);
            s->in.end += got - before;
            return rc;
        }
        if (rc == 0)
            break;
        got += (size_t)rc;
    }
    take(s, buf, before);
    *ret_got = got;
    return got == n ? (ssize_t)n : -ENODATA;
}

static ssize_t read_exactly(pirn_stream *s, char *buf, size_t n, size_t *ret_got,
                            pirn_time deadline)
{
    while (stream_buffered(s) < n) {
        if (n - stream_buffered(s) >= BLOCK)
            return read_block(s, buf, n, ret_got, deadline);
        ssize_t rc = pirn_reader_fill(s, deadline);
        if (rc < 0)
            return rc;
        if (rc == 0) {
            *ret_got = stream_buffered(s);
            take(s, buf, *ret_got);
            return -ENODATA;
        }
    }
    take(s, buf, n);
    *ret_got = n;
    return (ssize_t)n;
}

ssize_t pirn_stream_read_exactly(pirn_stream *stream, void *buf, size_t n, size_t *ret_got,
                                 pirn_time deadline)
{
    size_t unwanted;
    if (n > SSIZE_MAX || (buf == NULL && n != 0))
        return pirn_misuse(__func__, -EINVAL, buf == NULL ? MISUSE_NULL : "n is out of range");
    ssize_t rc = pirn_reader_begin(__func__, stream, true);
    if (rc != 0)
        return rc;
    rc = read_exactly(stream, buf, n, ret_got != NULL ? ret_got : &unwanted, deadline);
    pirn_reader_took(stream, buf, rc);
    pirn_reader_end(stream);
    return rc;
}

static ssize_t peek(pirn_stream *s, const char **ret_data, size_t least, pirn_time deadline)
{
    while (stream_buffered(s) < least) {
        ssize_t rc = pirn_reader_fill(s, deadline);
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
    }
    *ret_data = s->in.buf != NULL ? s->in.buf + s->in.start : "";
    return (ssize_t)stream_buffered(s);
}

ssize_t pirn_stream_peek(pirn_stream *stream, const char **ret_data, size_t least,
                         pirn_time deadline)
{
    if (stream == NULL || ret_data == NULL || least > SSIZE_MAX)
        return pirn_misuse(__func__, -EINVAL,
                           least > SSIZE_MAX ? "least is out of range" : MISUSE_NULL);
    bool idled = stream_idled(stream);
    ssize_t rc = pirn_reader_begin(__func__, stream, true);
    if (rc != 0)
        return rc;
    rc = peek(stream, ret_data, least, deadline);
    if (idled && deadline.ns <= PIRN_NOW.ns) /* that was a look */
        atomic_store_explicit(&stream->in.idled, true, memory_order_relaxed);
    pirn_stream_unref(stream, STREAM_READING);
    return rc;
}

int pirn_stream_consume(pirn_stream *stream, size_t n)
{
    int rc = pirn_reader_begin(__func__, stream, false);
    if (rc != 0)
        return rc;
    if (n > stream_buffered(stream)) {
        rc = -EINVAL;
    } else if (n != 0) {
        pirn_reader_took(stream, stream->in.buf + stream->in.start, (ssize_t)n);
        stream->in.start += n;
    }
    pirn_reader_end(stream);
    return rc == 0 ? 0 : pirn_misuse(__func__, rc, "more is consumed than is buffered");
}
