/*
 * Seeing a peer off: the close of a server's connection.
 *
 * A kernel that closes a socket with something unread, or gets something for it later, resets the
 * connection, and the peer loses what has not been sent yet of the last reply. So once the stream
 * is closing, for all others, all is sent (the peer may have to be rid of the rest of its own
 * before it reads), then the end, and what comes is thrown away until the peer has closed, too, or
 * is silent for a moment. (As HTTP/1.1 has it, RFC 9112, 9.6.) If the task has been cancelled that
 * moment is none: what is there is taken, once, for a peer may send for ever. Where another
 * coroutine reads nothing is thrown away.
 *
 * What is read into is in no other function's frame: not below a handler's, a page more for each
 * that is parked, and not below a transport's.
 */
#include <errno.h>

#include "api/stream/stream.h"

enum {
    SEND_MS = 20, /* between two looks at what a peer goes on sending */
    SILENT_MS = 500,
    THROW_MOST = 1024 * 1024 /* at one look */
};

static pirn_time sooner(pirn_time a, pirn_time b)
{
    return a.ns < b.ns ? a : b;
}

/* Reads what is there, or comes until then, for nobody. More than 0: there was some, and there may
 * be more. 0: no more will come; or an error. By who reads. (Past the buffer: somebody may have a
 * view of that.) */
__attribute__((noinline)) static ssize_t throw_away(pirn_stream *s, pirn_time until)
{
    struct wait w;
    char scrap[1024];
    size_t thrown = 0;
    if (s->in.ended || reader_error(s) != 0)
        return reader_error(s);
    while (thrown < THROW_MOST) {
        int rc = pirn_wait_enter(&w);
        ssize_t n = rc != 0 ? rc : s->ops->read(s->self, scrap, sizeof(scrap), until);
        s->in.ended = n == 0;
        if (n <= 0)
            return n == -ETIMEDOUT && thrown != 0 ? (ssize_t)thrown : n;
        thrown += (size_t)n;
    }
    return (ssize_t)thrown;
}

/* All is sent, and what comes meanwhile thrown away. 0 or an error. */
static int send_and_throw(pirn_stream *s, pirn_time deadline)
{
    for (;;) {
        struct wait w;
        pirn_time until = sooner(pirn_after_ms(SEND_MS), deadline);
        int rc = pirn_wait_enter(&w);
        if (rc == 0)
            rc = pirn_stream_send(__func__, s, &w, true, until);
        if (rc != -ETIMEDOUT)
            return rc;
        if (throw_away(s, PIRN_NOW) == -ECANCELED)
            return -ECANCELED;
        if (pirn_now().ns >= deadline.ns)
            return rc;
    }
}

/* Of a stream that is closing, by who reads: 0, or -ECANCELED. */
static int see_off(pirn_stream *s, pirn_time deadline)
{
    struct wait w;
    ssize_t n = throw_away(s, PIRN_NOW);
    if (n == -ECANCELED) { /* it was pending */
        throw_away(s, PIRN_NOW);
        return -ECANCELED;
    }
    if (n <= 0 && n != -ETIMEDOUT)
        return 0;
    int rc = send_and_throw(s, deadline);
    if (rc == 0)
        rc = pirn_wait_enter(&w);
    if (rc == 0)
        rc = pirn_stream_send_end(s, &w, deadline);
    if (rc != 0)
        return rc == -ECANCELED ? rc : 0;
    if (pirn_cancelling(NULL) > 0)
        return throw_away(s, PIRN_NOW) == -ECANCELED ? -ECANCELED : 0;
    do {
        n = throw_away(s, sooner(pirn_after_ms(SILENT_MS), deadline));
    } while (n > 0 && pirn_now().ns < deadline.ns);
    return n == -ECANCELED ? -ECANCELED : 0;
}

int pirn_stream_see_off(pirn_stream *s, pirn_time deadline)
{
    struct wait w;
    if (!pirn_stream_begin_close(s))
        return pirn_stream_close(s, deadline);
    int rc = 0;
    if (pirn_reader_take(s)) {
        rc = see_off(s, deadline);
        pirn_stream_unref(s, STREAM_READING);
    }
    if (rc == -ECANCELED) /* nothing is waited for any more */
        deadline = PIRN_NOW;
    int entered = pirn_wait_enter(&w);
    int closed = pirn_stream_go_on_closing(s, &w, entered, deadline);
    return closed != 0 && rc != 0 ? rc : closed;
}
