/*
 * Watching for the end of a client while a handler runs.
 *
 * Handlers that take less than cancel_time are most, so that time costs them next to nothing:
 *   1. The first handler after its connection has waited arms a timer; it stays armed while
 *      requests that have come already are answered, and is taken back when the connection is going
 *      to wait again.
 *   2. `handler` has a number for each handler, and is odd while it runs. The timer's call looks
 *      whether it is still the number that it was armed for; if not it gives the handler of now as
 *      long again.
 *   3. A handler that is late is marked as watched, by compare-and-swap: it does not end then
 *      before the watch has, so that the watch may read its request, and cancels nothing else. The
 *      watch waits for the client's end (poll(2), POLLRDHUP), and cancels the connection's task.
 *   4. Whoever wants the watch to end cancels its task, and waits until that has set `ended`. One
 *      that has gone off and not begun yet is waited for a moment only, then left: it may lack the
 *      very stack that who waits for it has. It finds that when it begins, and frees the
 *      connection if that has ended meanwhile. `phase` has it, by compare-and-swap:
 *
 *        the connection     arms it: FREE to ARMED; ends it: ARMED to OVER; leaves it: OVER to
 *                           LEFT; ends itself: LEFT to LAST; has waited for `ended`: to FREE
 *        the watch begins   ARMED or OVER to BEGUN; LEFT to FREE; LAST: frees the connection
 *
 * An end that has bytes before it is not looked at until they have been read: pipelined requests,
 * or a body that the handler is at. But a client over TLS says that it ends before it does, and
 * nobody reads that: alerts are known by their records (RFC 8446, 5.1; in TLS 1.3 by their length
 * alone), and are no bytes of a request. (Rejected: to read them. The handler may be reading.) A
 * client that only ends its own side, and still reads, looks the same as one that has gone and is
 * treated the same (as by Go's server).
 *
 * Rejected: a reader beside each handler, which would have to hand over what it read. A
 * pirn_call_at for each request: a task made, and taken back, is a third of what a pipelined
 * request costs. To leave the timer armed while a busy connection waits, as arming it is what a
 * request that comes alone pays for: it would go off all the time.
 */
#include "api/http/server.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum phase {
    PHASE_FREE,
    PHASE_ARMED,
    PHASE_BEGUN,
    PHASE_OVER,
    PHASE_LEFT,
    PHASE_LAST
};

enum {
    LOOK_AGAIN_MS = 50, /* bytes are waiting before the end */
    BEGINS_MS = 20,     /* a watch that has gone off, where nothing is short */
    ALERTS_MOST = 256,  /* bytes of them */
};

/* A record of TLS: its type, two bytes of version, two of length. */
enum {
    RECORD_HEAD = 5,
    RECORD_ALERT = 21,
    RECORD_DATA = 23,  /* in TLS 1.3 also what an alert is wrapped in: */
    SEALED_ALERT = 19, /* two bytes, its type, a tag of sixteen */
};

/* Bits of connection.handler; the number is above them. */
enum {
    RUNS = 1,
    WATCHED = 2,
    NEXT = 4
};

/* Are the n bytes that wait alerts of TLS, and nothing else? */
static bool are_alerts(int fd, size_t n)
{
    unsigned char bytes[ALERTS_MOST];
    size_t at = 0;
    if (n > sizeof(bytes) || recv(fd, bytes, n, MSG_PEEK | MSG_DONTWAIT) != (ssize_t)n)
        return false;
    while (n - at >= RECORD_HEAD) {
        const unsigned char *head = bytes + at;
        size_t length = (size_t)head[3] << 8 | head[4];
        bool alert = head[0] == RECORD_ALERT || (head[0] == RECORD_DATA && length == SEALED_ALERT);
        if (!alert || head[1] != 3 || length > n - at - RECORD_HEAD)
            return false;
        at += RECORD_HEAD + length;
    }
    return at == n;
}

static bool has_ended(int fd, int events)
{
    int waiting = 0;
    if (events & (POLLERR | POLLHUP | POLLNVAL))
        return true;
    return (events & POLLRDHUP) && ioctl(fd, FIONREAD, &waiting) == 0 &&
           (waiting == 0 || are_alerts(fd, (size_t)waiting));
}

/* For who names what does not end. (Without memory it has no name.) */
static void set_label(struct connection *c, char *label)
{
    pthread_mutex_lock(&c->server->lock);
    char *old = c->label;
    c->label = label;
    pthread_mutex_unlock(&c->server->lock);
    free(old);
}

static char *label_of(const struct connection *c)
{
    char label[96];
    snprintf(label, sizeof(label), "%s %s", c->wire.in.method, c->wire.in.target);
    return strdup(label);
}

/* Until the client has ended, or the watch is cancelled: the handler has returned. */
static void look_out(struct connection *c)
{
    int fd = pirn_stream_fd(c->wire.stream);
    while (fd >= 0) {
        int events = pirn_poll(fd, POLLRDHUP, PIRN_NEVER);
        if (events < 0)
            return;
        if (has_ended(fd, events)) {
            /* release: pairs with the acquire in pirn_http_disconnected */
            atomic_store_explicit(&c->gone, true, memory_order_release);
            pthread_mutex_lock(&c->server->lock);
            pirn_http_connection_cancel(c, "the client has gone");
            pthread_mutex_unlock(&c->server->lock);
            return;
        }
        if (pirn_sleep(pirn_after_ms(LOOK_AGAIN_MS)) < 0)
            return;
    }
}

/* The handler of that number is late. False: it has ended, and *number is the one of now. */
static bool mark(struct connection *c, unsigned *number)
{
    unsigned seen = *number | RUNS;
    /* acquire: pairs with the release in pirn_http_watch_handler, for the request's text */
    if (atomic_compare_exchange_strong_explicit(&c->handler, &seen, seen | WATCHED,
                                                memory_order_acquire, memory_order_relaxed))
        return true;
    *number = seen & ~(unsigned)RUNS;
    return false;
}

static bool moves(struct watch *w, unsigned char from, enum phase to)
{
    /* acq_rel: each side's writes come before its move, and are seen by who moves next */
    return atomic_compare_exchange_strong_explicit(&w->phase, &from, (unsigned char)to,
                                                   memory_order_acq_rel, memory_order_acquire);
}

/* It has been left, and what happens to the connection's memory is decided. */
static int end_left(struct connection *c)
{
    pirn_detach(c->watch.task);
    if (!moves(&c->watch, PHASE_LEFT, PHASE_FREE))
        free(c); /* LAST */
    return 0;
}

static int watch(void *arg)
{
    struct connection *c = arg;
    struct watch *w = &c->watch;
    unsigned number = w->number;
    int err = 0;
    w->task = pirn_retain(pirn_current());
    bool over = !moves(w, PHASE_ARMED, PHASE_BEGUN);
    if (over && !moves(w, PHASE_OVER, PHASE_BEGUN))
        return end_left(c);
    while (!over && err == 0) {
        if (mark(c, &number)) {
            set_label(c, label_of(c));
            look_out(c);
            set_label(c, NULL);
            break;
        }
        err = pirn_sleep(pirn_after(c->server->config.cancel_time));
    }
    pirn_event_set(&w->ended); /* and the connection may be gone */
    return 0;
}

void pirn_http_watch_init(struct connection *c)
{
    atomic_init(&c->watch.phase, PHASE_FREE);
    c->watch.usable = pirn_timer_init(&c->watch.timer, NULL, watch, c) == 0;
}

void pirn_http_watch_handler(struct connection *c)
{
    struct watch *w = &c->watch;
    /* relaxed: only this task makes it odd */
    unsigned number = atomic_load_explicit(&c->handler, memory_order_relaxed);
    /* release: see mark */
    atomic_store_explicit(&c->handler, number | RUNS, memory_order_release);
    if (w->armed || !w->usable || !moves(w, PHASE_FREE, PHASE_ARMED))
        return;
    w->number = number;
    /* Without memory, or while one that was left has not begun: unwatched is better than not at
     * all. */
    w->armed = pirn_timer_arm(&w->timer, pirn_after(c->server->config.cancel_time)) >= 0;
    if (!w->armed)
        moves(w, PHASE_ARMED, PHASE_FREE);
}

void pirn_http_watch_handled(struct connection *c)
{
    unsigned number = atomic_load_explicit(&c->handler, memory_order_relaxed), next;
    do {
        next = ((number & ~(unsigned)(RUNS | WATCHED)) + NEXT);
        if (number & WATCHED)
            break;
        /* relaxed: the watch has read nothing of the request */
    } while (!atomic_compare_exchange_weak_explicit(&c->handler, &number, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    if ((number & WATCHED) == 0)
        return;
    pirn_http_watch_end(c);
    atomic_store_explicit(&c->handler, next, memory_order_relaxed);
}

void pirn_http_watch_end(struct connection *c)
{
    struct watch *w = &c->watch;
    if (!w->armed)
        return;
    w->armed = false;
    if (pirn_timer_cancel(&w->timer) == 0) {
        moves(w, PHASE_ARMED, PHASE_FREE);
        return;
    }
    bool begun = !moves(w, PHASE_ARMED, PHASE_OVER), left = false;
    if (begun)
        pirn_cancel(w->task, NULL);
    bool shielded = pirn_shield_enter() == 0;
    while (!left && !pirn_event_is_set(&w->ended)) {
        int err = pirn_event_wait(&w->ended, begun ? PIRN_NEVER : pirn_after_ms(BEGINS_MS));
        if (err < 0 && !begun)
            left = moves(w, PHASE_OVER, PHASE_LEFT);
        else if (err < 0)
            pirn_yield(); /* the runtime ends, and the watch with it */
        begun = true;     /* or left */
    }
    if (shielded)
        pirn_shield_leave();
    if (left)
        return;
    pirn_event_clear(&w->ended);
    pirn_detach(w->task); /* it may still be on its last steps */
    moves(w, PHASE_BEGUN, PHASE_FREE);
}

void pirn_http_watch_stop(struct connection *c, bool named)
{
    pirn_http_watch_end(c);
    set_label(c, named ? label_of(c) : NULL);
}

void pirn_http_watch_free(struct connection *c)
{
    if (!moves(&c->watch, PHASE_LEFT, PHASE_LAST))
        free(c);
}
