/* A request is answered: its handler is found, run, and watched over (watch.c). */
#include "api/http/server.h"

#include <errno.h>
#include <string.h>

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
        err = pirn_http_wire_settle(&c->wire); /* the thread cannot */
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
    case -ETIMEDOUT:
        if (c->reply.stage == REPLY_CUT) /* of a write: it has not taken its reply */
            return;
    }
    pirn_http_report(c->server, "http: %s %s: the handler failed: %s", c->wire.in.method,
                     c->wire.in.target, strerror(-status));
}

static void reply_no_route(struct connection *c)
{
    const struct match *match = &c->request.match;
    int status = 404;
    if (match->other_method) {
        char list[256];
        struct text path = {0};
        pirn_http_text_puts(&path, c->request.path);
        pirn_http_text_add(&path, "", 1);
        status = 500; /* no memory: a 405 has to say which methods there are */
        if (!path.failed) {
            pirn_http_router_methods(&c->server->router, path.data, list, sizeof(list));
            if (pirn_http_reply_header(&c->reply, "Allow", list) == 0)
                status = 405;
        }
        pirn_http_text_free(&path);
    }
    pirn_http_reply_error(c, status);
}

int pirn_http_handle(struct connection *c)
{
    const struct route *route = c->request.match.route;
    if (route == NULL) {
        reply_no_route(c);
        return 0;
    }
    pirn_http_watch_handler(c);
    int status = route->flags & PIRN_HTTP_BLOCKING ? call_blocking(c) : call(c);
    pirn_http_watch_handled(c);
    if (status < 0)
        report(c, status);
    return status;
}
