/*
 * A connection of a server, from its first byte to its last.
 *
 *   1. wait for a head, parse it; what is wrong with it is replied, and the connection closed
 *   2. run the handler; complete its reply
 *   3. skip what it has left of the body, if that is little; go on with 1, or close. Of a chunked
 *      body nobody knows how much that is: what has not come by now is too much. The reply says
 *      that it is the last
 *
 * A client that is still sending when the connection is closed would get a reset, and might lose
 * the reply with it. So a reply that says it is the last is followed by the end of our side, and
 * what comes is thrown away for a moment (linger); and so is one that could not say it, as its head
 * had gone when the server began to stop. A reset is what a client gets on purpose whose reply's
 * end was to be the connection's, and which does not come to that: it would take what it has for
 * all.
 *
 * Between requests a connection is idle, and a server that stops cancels it; from the first byte of
 * one until its reply has been handed to the stream it is busy, and goes on to that point; so it is
 * while it is opened. One whose first request has not come is new: a stop leaves it a moment for
 * that. Who changes the state by compare-and-swap decides which. Nor has an idle one any buffers
 * but its stream's, and of ten thousand that is what counts: two allocations for each request that
 * has been waited for are some 300 of the 6,700 instructions that it takes. (Rejected: to have them
 * beside the stack's frames. It has 2 KiB on the page that it takes anyway, and the frames need
 * most of it.)
 */
#include "api/http/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINGER_MS = 500,
};

static bool change(struct connection *c, int from, int to)
{
    /* seq_cst, with `stopping` and `spare_new` in pirn_http_server_ends (serve.c) and the change
     * there: who is idle and does not see that the server stops is seen to be idle by who stops
     * it */
    return atomic_compare_exchange_strong(&c->state, &from, to);
}

/* Who stops the server has found the connection idle, and cancels its task: the cancel is taken
 * here, so that it ends nothing else. */
static int take_cancel(void)
{
    while (pirn_sleep(PIRN_NEVER) == 0)
        ;
    return -ECANCELED;
}

/* Of the last request: all of it has been replied to, and sent. */
static void free_buffers(struct connection *c)
{
    pirn_http_message_free(&c->wire.in);
    pirn_http_text_free(&c->wire.out);
    pirn_http_text_free(&c->reply.fields);
}

static int wait_for_head(void *arg, bool begun, pirn_time *ret_deadline)
{
    struct connection *c = arg;
    const pirn_http_server_config *config = &c->server->config;
    if (begun) {
        /* relaxed: only this task makes it busy, or ends that */
        if (atomic_load_explicit(&c->state, memory_order_relaxed) != CONNECTION_BUSY &&
            !change(c, c->first ? CONNECTION_NEW : CONNECTION_IDLE, CONNECTION_BUSY))
            return take_cancel();
    } else {
        pirn_http_watch_end(c);
        free_buffers(c);
        int waits = c->first ? CONNECTION_NEW : CONNECTION_IDLE;
        change(c, CONNECTION_BUSY, waits);
        /* seq_cst, both: see change */
        if (atomic_load(&c->server->stopping) &&
            !(c->first && atomic_load(&c->server->spare_new))) {
            if (!change(c, waits, CONNECTION_CLOSING))
                return take_cancel();
            c->untold = !c->first;
            return -ECANCELED;
        }
    }
    if (ret_deadline != NULL)
        *ret_deadline = pirn_after(begun || c->first ? config->head_time : config->idle_time);
    return 0;
}

/* What is left of a body. 0: it is too much, or too slow, or broken; -ECANCELED. */
static int skip_body(struct connection *c)
{
    char scrap[8192];
    size_t skipped = 0;
    ssize_t n = 0;
    while (c->wire.in.stage != MESSAGE_DONE && skipped < SKIP_MOST) {
        n = pirn_http_request_read(c, scrap, sizeof(scrap), PIRN_NEVER);
        if (n <= 0)
            break;
        skipped += (size_t)n;
    }
    return n == -ECANCELED ? -ECANCELED : c->wire.in.stage == MESSAGE_DONE;
}

/* The same of what has come by now, and the reply stays here meanwhile. Waits for nothing, so a
 * cancel that comes is left to who sends the reply. */
static bool skip_what_is_here(struct connection *c)
{
    char scrap[8192];
    const char *data;
    size_t skipped = 0;
    bool shielded = pirn_shield_enter() == 0;
    c->wire.hold = true;
    while (c->wire.in.stage == MESSAGE_BODY && skipped < SKIP_MOST &&
           pirn_stream_peek(c->wire.stream, &data, 1, PIRN_NOW) > 0) {
        ssize_t n = pirn_http_request_read(c, scrap, sizeof(scrap), PIRN_NOW);
        if (n <= 0)
            break;
        skipped += (size_t)n;
    }
    c->wire.hold = false;
    if (shielded)
        pirn_shield_leave();
    return c->wire.in.stage == MESSAGE_DONE;
}

/* Makes way for the next request: 1. 0: there will be none; -ECANCELED: nor is this one's end
 * waited for. */
static int skip(struct connection *c)
{
    if (!c->wire.in.chunked || c->wire.in.stage != MESSAGE_BODY || !pirn_http_reply_is_here(c))
        return skip_body(c);
    if (skip_what_is_here(c))
        return 1;
    pirn_http_reply_be_last(c);
    return 0;
}

/* The last reply has been sent: our side is ended, and the rest of what comes thrown away. */
static void see_off(struct connection *c)
{
    char scrap[8192];
    if (pirn_stream_end(c->wire.stream, pirn_after(c->wire.stall)) < 0)
        return;
    c->reply.bare = false;
    pirn_time deadline = pirn_after_ms(LINGER_MS);
    for (size_t thrown = 0; thrown < SKIP_MOST;) {
        ssize_t n = pirn_stream_read(c->wire.stream, scrap, sizeof(scrap), deadline);
        if (n <= 0)
            return;
        thrown += (size_t)n;
    }
    pirn_sleep(deadline); /* it sends more and more, and has that long to read */
}

/* The last reply is in out. */
static void linger(struct connection *c)
{
    if (pirn_http_wire_send(&c->wire, NULL, 0, PIRN_NEVER) == 0 &&
        pirn_http_wire_flush(&c->wire) == 0)
        see_off(c);
}

static void refuse(struct connection *c, int status)
{
    c->close = true;
    pirn_http_reply_start(c);
    pirn_http_reply_error(c, status);
    linger(c);
}

static int head_status(struct connection *c, int err)
{
    if (err == -EBADMSG)
        return c->wire.in.refused;
    /* Of one that has said nothing there is nothing to be replied to. */
    int state = atomic_load_explicit(&c->state, memory_order_relaxed);
    return err == -ETIMEDOUT && state != CONNECTION_IDLE && state != CONNECTION_NEW ? 408 : 0;
}

/* There is nobody to reply to; or the server ends, and the handler has not come to a reply. */
static bool was_cancelled(const struct connection *c, int status)
{
    /* relaxed: the watch that sets it has been awaited */
    return atomic_load_explicit(&c->gone, memory_order_relaxed) ||
           (status == -ECANCELED && pirn_cancelling(NULL) > 0);
}

/* A request and its reply. False: that was the last. */
static bool serve_one(struct connection *c)
{
    int status;
    pirn_http_message_next(&c->wire.in, false);
    int err = pirn_http_wire_head(&c->wire, wait_for_head, c);
    c->first = false;
    if (err < 0) {
        status = head_status(c, err);
        if (status != 0)
            refuse(c, status);
        else if (err == -ECONNRESET) /* in the middle of a head: of others there may be replies */
            linger(c);
        return false;
    }
    status = pirn_http_request_begin(c);
    if (status != 0) {
        refuse(c, status);
        return false;
    }
    pirn_http_reply_start(c);
    status = pirn_http_handle(c);
    if (c->reply.stage == REPLY_SWITCHED) {
        pirn_http_watch_stop(c, false);
        if (status < 0)
            c->reply.stage = REPLY_CUT;
        return false;
    }
    bool over = was_cancelled(c, status) || pirn_http_reply_end(c, status) < 0;
    int rest = over ? -ECANCELED : c->close ? 0 : skip(c);
    if (rest < 0) { /* as much as goes at once, of earlier replies, too */
        pirn_http_wire_send(&c->wire, NULL, 0, PIRN_NOW);
        return false;
    }
    if (rest == 0)
        c->close = true;
    /* Pipelined replies go together, but no client gets more of them than it takes. */
    if (c->wire.out.used >= WIRE_SLICE && pirn_http_wire_send(&c->wire, NULL, 0, PIRN_NEVER) < 0)
        return false;
    if (c->close) {
        linger(c);
        return false;
    }
    pirn_http_request_end(c);
    return true;
}

/* False: it is too late, the server's connections have been cancelled. */
static bool enter(struct connection *c)
{
    struct pirn_http_server *s = c->server;
    pthread_mutex_lock(&s->lock);
    bool over = s->over;
    s->fixed = true;
    if (!over) {
        c->next = s->connections;
        if (c->next != NULL)
            c->next->prev = c;
        s->connections = c;
        s->count++;
    }
    pthread_mutex_unlock(&s->lock);
    return !over;
}

static void leave(struct connection *c)
{
    struct pirn_http_server *s = c->server;
    pthread_mutex_lock(&s->lock);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        s->connections = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    if (--s->count == 0)
        pirn_event_set(&s->empty);
    pthread_mutex_unlock(&s->lock);
    /* Nobody cancels it any more; and a task of the program's (pirn_http_server_serve_stream) goes
     * on. What somebody else has asked of that has ended the connection, and the task has not been
     * told. */
    for (; c->cancels > 0; c->cancels--)
        pirn_uncancel();
    if (pirn_cancelling(NULL) > c->before) {
        pirn_cancel(c->task, pirn_cancel_reason());
        pirn_uncancel();
    }
}

void pirn_http_connection_cancel(struct connection *c, const char *reason)
{
    c->cancels++;
    pirn_cancel(c->task, reason);
}

/* It says that every connection will fail, or that memory is short: not the peer's doing. */
static bool is_own_error(int err)
{
    return err == -EINVAL || err == -EPERM || err == -ENOMEM || err == -EPROTONOSUPPORT;
}

/* What the program puts over a connection's stream: a reference. After an error below belongs to
 * what it has made until then, if that is anything (as of a pirn_server). */
static int open_stream(struct pirn_http_server *server, pirn_stream *below,
                       pirn_stream **ret_stream)
{
    const pirn_http_server_config *config = &server->config;
    pirn_stream *stream = NULL;
    int err = config->open(config->open_user, &stream, pirn_stream_retain(below),
                           pirn_after(config->head_time));
    if (err > 0 || (err == 0 && stream == NULL))
        err = -EINVAL; /* it returned no stream */
    if (err == 0) {
        *ret_stream = stream;
        return 0;
    }
    if (is_own_error(err))
        pirn_http_report(server, "http: a connection is not opened: %s", strerror(-err));
    if (stream != NULL)
        pirn_stream_close(stream, pirn_after(config->write_time));
    pirn_stream_release(stream != NULL ? stream : below);
    return err;
}

/* Instead of by the end that would make a reply complete which it has not come to. */
static void end_by_reset(const pirn_stream *stream)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    int fd = pirn_stream_fd(stream);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

static void serve_all(struct connection *c, pirn_stream *stream)
{
    pirn_http_wire_init(&c->wire, stream, false, &c->server->limits);
    c->wire.stall = c->server->config.write_time;
    while (serve_one(c))
        ;
    pirn_http_watch_end(c);
    /* Of replies to a client that is idle now the last bytes may still be on their way. */
    bool idle = atomic_load_explicit(&c->state, memory_order_relaxed) != CONNECTION_BUSY;
    if ((idle || c->reply.stage == REPLY_SWITCHED) &&
        (pirn_stream_pending(stream) == 0 || pirn_http_wire_flush(&c->wire) == 0)) {
        if (c->untold)
            see_off(c);
        pirn_stream_close(stream, pirn_after(c->wire.stall));
    } else {
        if (c->reply.bare)
            end_by_reset(stream);
        pirn_stream_abort(stream);
    }
    pirn_http_request_end(c);
    free_buffers(c);
    pirn_http_wire_free(&c->wire);
}

static void run(struct connection *c, pirn_stream *stream, bool opens)
{
    pirn_stream *own = NULL;
    if (!opens || c->server->config.open == NULL) {
        serve_all(c, stream);
    } else if (open_stream(c->server, stream, &own) == 0) {
        serve_all(c, own);
        pirn_stream_release(own);
    }
}

int pirn_http_connection_run(struct pirn_http_server *server, pirn_stream *stream, bool opens)
{
    struct connection *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    c->server = server;
    c->task = pirn_current();
    c->before = pirn_cancelling(NULL);
    c->first = true;
    atomic_init(&c->state, CONNECTION_BUSY);
    c->request.connection = c;
    c->reply.connection = c;
    pirn_http_watch_init(c);
    if (enter(c)) {
        run(c, stream, opens);
        leave(c);
    } else {
        pirn_stream_abort(stream);
    }
    pirn_http_watch_free(c);
    return 0;
}
