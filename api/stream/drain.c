/*
 * Waiting for what was written, and the end of a stream.
 *
 * Who waits is in one list, for less to be pending, for the right to send to be let go, for an end
 * or for the close: all of it is seldom, so everybody is woken and looks for himself. A wait that
 * finds bytes pending and nobody sending (writer.c says when) sends them.
 *
 * Of several that end it one sends and tells the peer, and the others wait for what becomes of
 * that: if it gives up, one of them is next.
 *
 * A close
 *   1. sets STREAM_CLOSING: no call begins any more
 *   2. waits until all is sent, as far as it is let, and then for the transport's finish
 *   3. fails the writing half, so that nobody waits for more, and has the transport close, which
 *      ends what is under way
 *   4. says that it is closed, for others who close.
 * An abort is the same without the second step; and where a close is at that step, the abort takes
 * the third: the wait that it has to end may be inside of the transport, for a peer that takes
 * nothing, and nothing but the transport's close ends that. Who comes first to the third step
 * (taken_down) calls it, once, and the other waits until that is done.
 */
#include <errno.h>

#include "api/stream/stream.h"
#include "runtime/debug.h"

/* Under the lock, which it drops: until somebody has changed something. */
static int wait_change(pirn_stream *s, struct wait *w, const char *what, pirn_time deadline)
{
    pirn_wait_link(w, &s->out.waiting);
    lock_drop(&s->lock);
    int rc = pirn_wait_park(w, what, deadline.ns);
    if (rc != 0) {
        lock_take(&s->lock);
        pirn_waiter_unlink(&s->out.waiting, w->waiter);
        lock_drop(&s->lock);
        return rc;
    }
    pirn_wait_renew(w);
    return 0;
}

/* Tells them. */
static void change(pirn_stream *s, bool *what, bool value)
{
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    lock_take(&s->lock);
    *what = value;
    while (s->out.waiting != NULL)
        pirn_waiter_claim(pirn_waiter_pop(&s->out.waiting), &wakeups);
    lock_drop(&s->lock);
    pirn_wakeups_run(&wakeups);
}

/* all: until nothing is pending, else until drains need not wait; but what is left to nobody is
 * sent. */
static int wait_sent(pirn_stream *s, struct wait *w, bool all, pirn_time deadline)
{
    for (;;) {
        lock_take(&s->lock);
        int rc = s->out.error;
        bool mine = !s->out.sending && s->out.first != NULL, paused = s->out.paused;
        bool over = all ? s->out.first == NULL && !s->out.sending : !paused && !mine;
        if (rc != 0 || over) {
            lock_drop(&s->lock);
            return rc;
        }
        if (!mine) {
            rc = wait_change(s, w, "drain", deadline);
        } else {
            s->out.sending = true;
            lock_drop(&s->lock);
            rc = pirn_writer_send(s, all || !paused, false, deadline);
            if (rc == -ETIMEDOUT && !all && !paused)
                return 0; /* it was not waited for */
            if (rc == 0)
                pirn_wait_renew(w);
        }
        if (rc != 0)
            return rc;
    }
}

static bool is_closed(pirn_stream *s)
{
    lock_take(&s->lock);
    bool closed = s->out.closed;
    lock_drop(&s->lock);
    return closed;
}

/* Somebody else closes it. */
static int wait_closed(pirn_stream *s, struct wait *w, pirn_time deadline)
{
    for (;;) {
        lock_take(&s->lock);
        if (s->out.closed) {
            lock_drop(&s->lock);
            return 0;
        }
        int rc = wait_change(s, w, "stream close", deadline);
        if (rc != 0)
            return rc;
    }
}

/* 0 with *w entered and a reference, or an error. */
static int begin(const char *call, pirn_stream *s, struct wait *w)
{
    if (s == NULL)
        return pirn_misuse(call, -EINVAL, MISUSE_NULL);
    if (pirn_current_task() == NULL)
        return pirn_misuse(call, -EPERM, MISUSE_NO_COROUTINE);
    int rc = pirn_wait_enter(w);
    if (rc == 0)
        stream_ref(s);
    return rc;
}

static int drain(const char *call, pirn_stream *s, bool all, pirn_time deadline);

/* Of what s stands on, if there is anything to be sent, or that cannot be. */
static int drain_below(const char *call, pirn_stream *s, bool all, pirn_time deadline)
{
    int rc = 0;
    for (s = stream_below(s); rc == 0 && s != NULL; s = stream_below(s)) {
        lock_take(&s->lock);
        rc = s->out.error;
        bool idle = s->out.first == NULL && !s->out.sending;
        lock_drop(&s->lock);
        if (rc == 0 && !idle)
            return drain(call, s, all, deadline); /* and what that stands on */
    }
    return rc;
}

int pirn_stream_send(const char *call, pirn_stream *s, struct wait *w, bool all, pirn_time deadline)
{
    int rc = wait_sent(s, w, all, deadline);
    return rc == 0 && s->ops->below != NULL ? drain_below(call, s, all, deadline) : rc;
}

static int drain(const char *call, pirn_stream *s, bool all, pirn_time deadline)
{
    struct wait w;
    int rc = begin(call, s, &w);
    if (rc != 0)
        return rc;
    rc = pirn_stream_is_closing(s) ? -EBADF : pirn_stream_send(call, s, &w, all, deadline);
    pirn_stream_unref(s, 0);
    return rc;
}

int pirn_stream_drain(pirn_stream *stream, pirn_time deadline)
{
    return drain(__func__, stream, false, deadline);
}

int pirn_stream_flush(pirn_stream *stream, pirn_time deadline)
{
    return drain(__func__, stream, true, deadline);
}

/* True: the end is the caller's to bring about. Else 0 (the peer has been told) or an error. Who
 * finds another at it waits for what becomes of that. */
static bool begin_end(pirn_stream *s, struct wait *w, pirn_time deadline, int *ret_rc)
{
    for (;;) {
        lock_take(&s->lock);
        int rc = s->out.error;
        bool mine = rc == 0 && !s->out.ended;
        if (mine)
            s->out.ended = true;
        if (rc == 0 && !mine && !s->out.told) {
            rc = wait_change(s, w, "stream end", deadline);
            if (rc == 0)
                continue;
        } else {
            lock_drop(&s->lock);
        }
        *ret_rc = rc;
        return mine;
    }
}

int pirn_stream_send_end(pirn_stream *s, struct wait *w, pirn_time deadline)
{
    int rc;
    if (!begin_end(s, w, deadline, &rc))
        return rc;
    rc = wait_sent(s, w, true, deadline);
    if (rc == 0)
        rc = s->ops->end != NULL ? s->ops->end(s->self, deadline) : -EOPNOTSUPP;
    if (rc == 0)
        change(s, &s->out.told, true);
    else
        change(s, &s->out.ended, false);
    return rc;
}

int pirn_stream_end(pirn_stream *stream, pirn_time deadline)
{
    struct wait w;
    int rc = begin(__func__, stream, &w);
    if (rc != 0)
        return rc;
    rc = pirn_stream_is_closing(stream) ? -EBADF : pirn_stream_send_end(stream, &w, deadline);
    pirn_stream_unref(stream, 0);
    return rc;
}

/* Sets STREAM_CLOSING; false: it was set. Under the lock, so that a write that is inside is
 * seen. */
bool pirn_stream_begin_close(pirn_stream *s)
{
    lock_take(&s->lock);
    uint32_t old = atomic_fetch_or_explicit(&s->state, STREAM_CLOSING, memory_order_relaxed);
    lock_drop(&s->lock);
    return (old & STREAM_CLOSING) == 0;
}

/* Whoever else it is that has the transport close: it waits for no peer, and so this is not to be
 * stopped. */
static void outlast_close(pirn_stream *s)
{
    struct pirn_task *t = pirn_current_task();
    struct wait w;
    bool shielded = pirn_task_shield(t) == 0;
    while (!is_closed(s)) {
        if (pirn_wait_enter(&w) != 0 || wait_closed(s, &w, PIRN_NEVER) != 0)
            pirn_wait_give_way(); /* in a shutdown past its grace */
    }
    if (shielded)
        pirn_task_unshield(t);
}

/* The third step, and the fourth; or until they are done. */
static int finish_close(pirn_stream *s)
{
    lock_take(&s->lock);
    bool mine = !s->out.taken_down;
    s->out.taken_down = true;
    lock_drop(&s->lock);
    if (!mine) {
        outlast_close(s);
        return 0;
    }
    pirn_writer_fail(s, -EBADF);
    int rc = s->ops->close(s->self);
    change(s, &s->out.closed, true);
    return rc;
}

static int flush(pirn_stream *s, struct wait *w, int entered, pirn_time deadline)
{
    if (entered == 0)
        return wait_sent(s, w, true, deadline);
    lock_take(&s->lock);
    int rc = s->out.error;
    bool idle = s->out.first == NULL && !s->out.sending;
    lock_drop(&s->lock);
    if (rc == 0 && !idle)
        return entered; /* the rest will not be sent */
    if (entered == -ECANCELED)
        pirn_wait_keep_cancel(w);
    return rc;
}

int pirn_stream_go_on_closing(pirn_stream *s, struct wait *w, int entered, pirn_time deadline)
{
    int rc = flush(s, w, entered, deadline);
    if (rc == 0 && s->ops->finish != NULL)
        rc = s->ops->finish(s->self, deadline);
    int closed = finish_close(s);
    return rc != 0 ? rc : closed;
}

int pirn_stream_close(pirn_stream *stream, pirn_time deadline)
{
    struct wait w;
    if (stream == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (pirn_current_task() == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
    int rc = pirn_wait_enter(&w);
    stream_ref(stream);
    if (pirn_stream_begin_close(stream)) {
        rc = pirn_stream_go_on_closing(stream, &w, rc, deadline);
    } else if (is_closed(stream)) {
        if (rc == -ECANCELED)
            pirn_wait_keep_cancel(&w);
        rc = 0;
    } else if (rc == 0) {
        rc = wait_closed(stream, &w, deadline);
    }
    pirn_stream_unref(stream, 0);
    return rc;
}

int pirn_stream_abort(pirn_stream *stream)
{
    if (stream == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (pirn_current_task() == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
    stream_ref(stream);
    pirn_stream_begin_close(stream);
    int rc = finish_close(stream);
    pirn_stream_unref(stream, 0);
    return rc;
}
