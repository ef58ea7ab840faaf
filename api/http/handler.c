/*
 * A request is answered: its handler is found, run, and watched over.
 *
 * The watch is a call to be made later, so that a handler that takes less than cancel_time costs a
 * timer set and taken back. If it is made, it waits for the client's end (poll(2), POLLRDHUP) and then
 * cancels the connection's task. An end that has bytes before it is not looked at until they have been
 * read: pipelined requests, or a body that the handler is at.
 *
 * A client that only ends its own side, and still reads, looks the same and is treated the same (as by
 * Go's server).
 *
 * Rejected: a reader beside each handler, which would have to hand over what it read.
 */
#include "api/http/server.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
    LOOK_AGAIN_MS = 50 /* bytes are waiting before the end */
};

static bool has_ended(int fd, int events)
{
    int waiting = 0;
    if (events & (POLLERR | POLLHUP | POLLNVAL))
        return true;
    return (events & POLLRDHUP) && ioctl(fd, FIONREAD, &waiting) == 0 && waiting == 0;
}

static int watch(void *arg)
{
    struct connection *c = arg;
    int fd = pirn_stream_fd(c->wire.stream);
    pthread_mutex_lock(&c->server->lock);
    snprintf(c->label, sizeof c->label, "%s %s", c->wire.in.method, c->wire.in.target);
    pthread_mutex_unlock(&c->server->lock);
    while (fd >= 0) {
        int events = pirn_poll(fd, POLLRDHUP, PIRN_NEVER);
        if (events < 0)
            return 0; /* the handler has returned */
        if (has_ended(fd, events)) {
            /* release: pairs with the acquire in pirn_http_disconnected */
            atomic_store_explicit(&c->gone, true, memory_order_release);
            return pirn_cancel(c->task, "the client has gone");
        }
        if (pirn_sleep(pirn_after_ms(LOOK_AGAIN_MS)) < 0)
            return 0;
    }
    return 0;
}

/* The watch may use the connection until it has ended, so that is waited for, cancelled or not. */
static void end_watch(struct connection *c, pirn_task *handle)
{
    int status;
    pirn_cancel(handle, NULL);
    if (!pirn_done(handle)) {
        pirn_shield_enter();
        if (pirn_await(handle, &status, PIRN_NEVER) < 0)
            while (!pirn_done(handle)) /* the runtime ends, and it with it */
                pirn_yield();
        pirn_shield_leave();
    }
    pirn_release(handle);
    if (c->label[0] != '\0') {
        pthread_mutex_lock(&c->server->lock);
        c->label[0] = '\0';
        pthread_mutex_unlock(&c->server->lock);
    }
}

static int call(void *arg)
{
    struct connection *c = arg;
    const struct route *route = c->request.match.route;
    return route->handler(&c->request, &c->reply, route->user);
}

static int call_blocking(struct connection *c)
{
    int status = 0;
    int err =
        pirn_http_wire_send(&c->wire, NULL, 0, PIRN_NEVER); /* earlier replies do not wait for it */
    if (err == 0)
        err = pirn_http_request_read_ahead(c);
    if (err < 0)
        return err;
    c->blocking = true;
    err = pirn_blocking(call, c, &status, PIRN_NEVER);
    c->blocking = false;
    return err < 0 ? err : status;
}

static void report(struct connection *c, int status)
{
    switch (status) {
    case -EMSGSIZE:
    case -ETIME:
    case -EBADMSG:
    case -EINVAL:
    case -ECANCELED:
    case -ECONNRESET:
    case -EPIPE:
        return; /* the client's doing, or an end */
    }
    pirn_http_report(c->server, "http: %s %s: the handler failed: %s", c->wire.in.method,
                     c->wire.in.target, strerror(-status));
}

static void reply_no_route(struct connection *c)
{
    const struct match *match = &c->request.match;
    if (match->other_method) {
        char list[256];
        struct text path = {0};
        pirn_http_text_puts(&path, c->request.path.data);
        pirn_http_text_add(&path, "", 1);
        if (!path.failed) {
            pirn_http_router_methods(&c->server->router, path.data, list, sizeof list);
            pirn_http_reply_header(&c->reply, "Allow", list);
        }
        pirn_http_text_free(&path);
    }
    pirn_http_reply_error(c, match->other_method ? 405 : 404);
}

int pirn_http_handle(struct connection *c)
{
    const struct route *route = c->request.match.route;
    pirn_task *handle = NULL;
    int status;
    if (route == NULL) {
        reply_no_route(c);
        return 0;
    }
    if (pirn_call_at(NULL, &handle, watch, c, pirn_after_ns(c->server->config.cancel_time.ns)) < 0)
        handle = NULL; /* unwatched is better than not at all */
    status = route->flags & PIRN_HTTP_BLOCKING ? call_blocking(c) : call(c);
    if (handle != NULL)
        end_watch(c, handle);
    if (status < 0)
        report(c, status);
    return status;
}
