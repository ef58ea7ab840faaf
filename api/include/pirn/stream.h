/*
 * Streams: a buffer before and behind a socket, a pipe, a terminal, or a transport of one's own.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 *
 * One coroutine at a time reads (-EBUSY for a second one), beside any number that write; what one
 * call writes stays together. All calls but new, over, retain, release and the questions at the end
 * are [coroutine]. A call keeps the stream's memory for itself while it lasts, so a stream may be
 * closed and released while others use it.
 *
 * A read that was cancelled or timed out has taken nothing: what had come is buffered. What is
 * buffered comes first, then the end or the error, which every later read gives again. The end is
 * the peer's own: of a connection that broke reads say so, also if a write was told before. One
 * that the kernel has given up is -ECONNABORTED; -ETIMEDOUT is a deadline's. A stream that nobody
 * reads takes no more than its limit twice and a chunk; one with nothing in it has no buffer to
 * speak of.
 *
 *     pirn_stream *stream;
 *     const char *line;
 *     ssize_t n;
 *     int rc = pirn_stream_new(&stream, fd, NULL);
 *     if (rc != 0)
 *         return rc;
 *     while ((n = pirn_stream_read_line(stream, &line, PIRN_NEVER)) > 0) {
 *         pirn_stream_write(stream, line, (size_t)n);
 *         if ((rc = pirn_stream_drain(stream, PIRN_NEVER)) != 0)
 *             break;
 *     }
 *     pirn_stream_close(stream, pirn_after_s(1));
 *     pirn_stream_release(stream);
 *
 * (After asyncio's StreamReader and StreamWriter; readers that exclude each other are Trio's, a
 * peek that hands out the buffer itself is Rust's BufRead.)
 */
#ifndef PIRN_STREAM_H
#define PIRN_STREAM_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

#include <sys/uio.h>

typedef struct pirn_stream pirn_stream; /* counted by reference */

enum {
    PIRN_STREAM_KEEP_FD = 1u << 0, /* the descriptor stays open when the stream is closed. (Of
                                      transports, servers and child processes: -EINVAL.) */
};

typedef struct pirn_stream_config {
    size_t size;  /* sizeof(pirn_stream_config), set by PIRN_STREAM_CONFIG_INIT */
    size_t limit; /* of a line or record, without its end; 0: 64 KiB */
    size_t high;  /* bytes written and not sent: more of them, and drain waits; 0: 64 KiB */
    size_t low;   /* ... until no more than so many are left; 0: a quarter of high */
    /* A read for which no byte has come for so long ends with -ETIMEDOUT, however late its deadline
     * is. It counts from the last byte, or from the call if that was later; 0: no such end. */
    pirn_span idle;
    unsigned flags;
} pirn_stream_config;

#define PIRN_STREAM_CONFIG_INIT \
    { \
        sizeof(pirn_stream_config), 0, 0, 0, {0}, 0 \
    }

/*
 * A stream takes fd over: it is closed with it. Sockets (TCP: TCP_NODELAY is set), pipes,
 * terminals, blocking or not; a regular file is read and written from where it is. config may be
 * NULL. [anywhere] -EINVAL, -ENOMEM, -EBADF: fd is still the caller's.
 */
PIRN_API PIRN_MUST_USE int pirn_stream_new(pirn_stream **ret_stream, int fd,
                                           const pirn_stream_config *config);

/*
 * What a stream can stand on in place of a descriptor. self is handed to each function; errors are
 * negative errno values. Reads come one at a time, and so do writes, but a read beside a write.
 * After -ECANCELED, -ETIMEDOUT, -ESHUTDOWN, -ENOMEM, -ENOBUFS and -EAGAIN a call may be made again,
 * any other error is for good.
 */
typedef struct pirn_transport {
    size_t size; /* sizeof(pirn_transport) */
    /* 1 to n bytes; 0: the end. With an error no byte has been taken. May suspend. */
    ssize_t (*read)(void *self, void *buf, size_t n, pirn_time deadline);
    /* At least one byte; how many. With an error none. May suspend. */
    ssize_t (*write)(void *self, const void *buf, size_t n, pirn_time deadline);
    /* Nothing more will be written, and the peer is told; everything has been written. May suspend.
     * NULL: -EOPNOTSUPP. */
    int (*end)(void *self, pirn_time deadline);
    /* Once: ends the calls that are under way in others, with -EBADF, and so all later ones; and
     * gives up what it stands on. May suspend, but waits for no peer; and is not to be
     * cancelled. */
    int (*close)(void *self);
    int (*fd)(void *self);    /* a descriptor for getsockname(2) and such; NULL: -EBADF */
    void (*free)(void *self); /* with the last reference, closed or not; must not suspend */
    /* The same without ever waiting: -EAGAIN. NULL: there is no such thing. */
    ssize_t (*try_read)(void *self, void *buf, size_t n);
    ssize_t (*try_write)(void *self, const struct iovec *iov, int count);
    /* By pirn_stream_close, not by an abort, ahead of the close: everything has been written; waits
     * until it has gone out from here too. May suspend. NULL: nothing to do. */
    int (*finish)(void *self, pirn_time deadline);
    /* The stream that this one stands on, as long as it is there: what waits in that to be sent is
     * not sent yet for drain, flush and pending either. Must not suspend. NULL: there is none. */
    pirn_stream *(*below)(void *self);
} pirn_transport;

/* A stream over a transport; ops is constant while the stream is there, self is the stream's if
 * this returns 0. [anywhere] -EINVAL, -ENOMEM */
PIRN_API PIRN_MUST_USE int pirn_stream_over(pirn_stream **ret_stream, const pirn_transport *ops,
                                            void *self, const pirn_stream_config *config);

/* What the stream stands on, if that is made of these ops, else NULL. [anywhere] */
PIRN_API void *pirn_stream_self(const pirn_stream *stream, const pirn_transport *ops);

PIRN_API pirn_stream *pirn_stream_retain(pirn_stream *stream); /* [anywhere] */
/*
 * The last one closes a stream that is still open, without waiting: what was written goes on being
 * sent in the background and is closed after that, if a coroutine can be made for it. (To know that
 * it was sent: pirn_stream_close. To have it dropped: pirn_stream_abort.) [anywhere; does not
 * suspend]
 */
PIRN_API void pirn_stream_release(pirn_stream *stream);

/* ---- Reading ---------------------------------------------------------------------------- */

/*
 * All [coroutine; suspend] with -ETIMEDOUT, -ECANCELED, -EBUSY (somebody reads), -EBADF (closed,
 * also meanwhile), -EINVAL, -ENOMEM, -EPERM, and the stream's own errors, after what came before
 * them.
 *
 * A view (ret_line, ret_data of until and peek) is the stream's, not ended by a NUL, and good until
 * the next call that reads, or the stream's end.
 */

/* 1 to n bytes; 0: the end. */
PIRN_API PIRN_MUST_USE ssize_t pirn_stream_read(pirn_stream *stream, void *buf, size_t n,
                                                pirn_time deadline);

/* n bytes, however many: n. -ENODATA: the end came first; the *ret_got bytes (may be NULL) before
 * it are in buf. After any other error all that had come is still buffered. */
PIRN_API PIRN_MUST_USE ssize_t pirn_stream_read_exactly(pirn_stream *stream, void *buf, size_t n,
                                                        size_t *ret_got, pirn_time deadline);

/* A line with its newline, if it has one: the last may lack it. Its length; 0: the end. -EMSGSIZE:
 * a line is longer than the limit, newline not counted; its first limit + 1 bytes are gone, and the
 * rest of it goes with the next pirn_stream_read_line, as far as no other call has read it. */
PIRN_API PIRN_MUST_USE ssize_t pirn_stream_read_line(pirn_stream *stream, const char **ret_line,
                                                     pirn_time deadline);

/* Everything up to and with the separator. Its length. -EMSGSIZE: more than the limit before it;
 * -ENODATA: the end came first. Then all is still buffered, for another read. -EINVAL: sep_len is
 * 0. */
PIRN_API PIRN_MUST_USE ssize_t pirn_stream_read_until(pirn_stream *stream, const char **ret_data,
                                                      const void *sep, size_t sep_len,
                                                      pirn_time deadline);

/* Everything up to the end, at most max bytes: how many, in memory to be freed with free(3), with a
 * NUL after them. -EMSGSIZE: there is more; it is still buffered. */
PIRN_API PIRN_MUST_USE ssize_t pirn_stream_read_all(pirn_stream *stream, char **ret_data,
                                                    size_t max, pirn_time deadline);

/* A view of what is buffered, waiting until it is at least so much, which may be more than the
 * limit: how much; less only at the end. least 0 does not wait. Takes nothing: pirn_stream_consume
 * does. */
PIRN_API PIRN_MUST_USE ssize_t pirn_stream_peek(pirn_stream *stream, const char **ret_data,
                                                size_t least, pirn_time deadline);

/* Takes n bytes of what is buffered (-EINVAL: there are fewer). Does not suspend. 0 */
PIRN_API int pirn_stream_consume(pirn_stream *stream, size_t n);

/* ---- Writing ---------------------------------------------------------------------------- */

/*
 * Writes all n bytes: what the kernel does not take at once is copied and sent in the background,
 * by a task of the caller's runtime that is there while it has something to send. n, or less
 * (memory is short: so many were taken). It sets no bound; that is what drain is for. [coroutine;
 * does not suspend]
 * -EBADF (closed), -EPIPE (ended), -ECONNRESET and such: what an earlier send met, for good (of a
 * file, too: a disk that was full, though it has room by now); -EINVAL, -ENOMEM.
 */
PIRN_API ssize_t pirn_stream_write(pirn_stream *stream, const void *buf, size_t n);
/* The same of several pieces, sent together if they can be: a head and a body. */
PIRN_API ssize_t pirn_stream_writev(pirn_stream *stream, const struct iovec *iov, int count);
/* The same of a text after printf's pattern, as a whole, of any length. Also -EILSEQ (it cannot be
 * encoded), -EOVERFLOW (2 GiB and more). */
PIRN_API ssize_t pirn_stream_printf(pirn_stream *stream, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* If more than the high mark was waiting to be sent, waits until no more than the low mark is. What
 * no task could be made for (memory) it sends itself. Any number of coroutines.
 * [coroutine; suspends] What sends met (-EPIPE, -ECONNRESET, ...), -EBADF, -ETIMEDOUT,
 * -ECANCELED. */
PIRN_API PIRN_MUST_USE int pirn_stream_drain(pirn_stream *stream, pirn_time deadline);

/* Waits until all has been sent. [coroutine; suspends] As drain. */
PIRN_API PIRN_MUST_USE int pirn_stream_flush(pirn_stream *stream, pirn_time deadline);

/* Waits until all has been sent; then nothing more can be written (-EPIPE), and the peer reads the
 * end: shutdown(2) of a socket, close(2) of a pipe's writing end. Reading goes on. [coroutine;
 * suspends] As drain; -EOPNOTSUPP: it cannot be told (a terminal; a pipe that is to stay open, or
 * is read). */
PIRN_API int pirn_stream_end(pirn_stream *stream, pirn_time deadline);

/*
 * Waits until all has been sent, then closes. Whatever it returns, the stream is closed, and 0 says
 * that every byte was sent; after -ETIMEDOUT, -ECANCELED, -EPIPE, ... some were not. With nothing
 * to send it does not wait, cancelled or not. A read under way in another coroutine ends with
 * -EBADF, and so does every later call; but closing again is 0, once it is closed. (Another's close
 * that is under way is waited for; after -ETIMEDOUT or -ECANCELED of that wait it goes on.)
 * [coroutine; suspends]
 */
PIRN_API int pirn_stream_close(pirn_stream *stream, pirn_time deadline);

/* Closes now, and drops what has not been sent. Its peer may see a plain end (a socket's SO_LINGER,
 * set to 0 before, makes it a reset). Calls under way in others end with -EBADF.
 * [coroutine; suspends for as long as these take to end] 0, or what close(2) says */
PIRN_API int pirn_stream_abort(pirn_stream *stream);

/* ---- Both ------------------------------------------------------------------------------- */

/*
 * Writes to one stream what comes from another, as it comes: up to the end of `from`, but no more
 * than so many bytes (INT64_MAX: no such bound). Drains `to` as it goes, and neither flushes nor
 * ends it. How many, also in *ret_copied (may be NULL) after an error: these have been written,
 * and what else has come is still to be read. Two of them at once, in two coroutines, make a
 * relay; `to` may be `from`. [coroutine; suspends]
 * The errors of reading `from`, of writing to `to` and of draining it: whose one that stays is, the
 * next call on each of the two tells. (After Go's io.Copy.)
 */
PIRN_API PIRN_MUST_USE int64_t pirn_stream_copy(pirn_stream *to, pirn_stream *from, int64_t most,
                                                int64_t *ret_copied, pirn_time deadline);

/* ---- Looking at it ---------------------------------------------------------------------- */

/* The descriptor, borrowed, for its options and names; -EBADF: none, or closed. [anywhere] */
PIRN_API int pirn_stream_fd(const pirn_stream *stream);
/* Bytes written and not sent yet. [anywhere] */
PIRN_API size_t pirn_stream_pending(pirn_stream *stream);
/* The end has come, and everything before it has been read. For whom reads. */
PIRN_API bool pirn_stream_at_end(const pirn_stream *stream);
PIRN_API bool pirn_stream_is_closing(const pirn_stream *stream); /* or closed. [anywhere] */

#endif
