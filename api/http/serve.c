/*
 * A server at work: it takes connections, and ends gracefully.
 *
 *   1. the acceptor, a task of its own, takes connections and gives each to a child of the scope
 *   2. pirn_http_serve waits for a stop, or to be cancelled
 *   3. it cancels the acceptor and closes the listener; idle connections are cancelled, busy ones learn
 *      from `stopping` that their next reply is the last
 *   4. when the grace is over, or a second cancel comes, the scope is cancelled: every handler gets
 *      -ECANCELED
 *   5. who is there a second later is reported by name; and waited for
 *
 * An idle connection that gets a request's first byte just then is either busy first, and may finish, or
 * closed, and its client repeats it elsewhere, as with any connection closed while idle.
 */
#include "api/http/server.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    STUBBORN_S = 1,
    NO_ROOM_MS = 10, /* no descriptors, no memory: wait for somebody to leave */
};

struct visit {
    struct pirn_http_server *server;
    int fd; /* -1: it has been given away */
};

struct acceptor {
    struct pirn_http_server *server;
    pirn_scope *scope;
    int error; /* why it ended by itself; read once it has been joined */
};

int pirn_http_serve_stream(pirn_http_server *server, pirn_stream *stream)
{
    if (server == NULL || stream == NULL)
        return -EINVAL;
    return pirn_http_connection_run(server, stream, -1);
}

/* ---- Taking connections ------------------------------------------------------------------ */

static void drop_visit(void *arg)
{
    struct visit *visit = arg;
    if (visit->fd >= 0)
        close(visit->fd);
    free(visit);
}

static int run_visit(void *arg)
{
    struct visit *visit = arg;
    if (pirn_http_connection_run(visit->server, NULL, visit->fd) == 0)
        visit->fd = -1;
    return 0; /* no failure of one ends the others */
}

/* Gives a connection to a task of its own; waits while there are too many. < 0: the acceptor's end. */
static int admit(struct acceptor *a, int fd)
{
    pirn_spawn_config config = PIRN_SPAWN_INIT;
    struct visit *visit = malloc(sizeof *visit);
    int err;
    if (visit == NULL) {
        close(fd);
        return 0;
    }
    visit->server = a->server;
    visit->fd = fd;
    config.name = "http connection";
    config.arg_drop = drop_visit;
    config.stack_size = a->server->config.stack_size;
    err = pirn_scope_spawn_with(a->scope, &config, run_visit, visit, PIRN_NEVER);
    if (err == -ECANCELED || err == -ESHUTDOWN)
        return err; /* it has been dropped */
    if (err < 0)
        drop_visit(visit);
    return 0;
}

/* A connection, or what it did instead. < 0: the acceptor's end. */
static int accept_one(struct acceptor *a)
{
    int fd = pirn_accept(a->server->listener, NULL, NULL, 0, PIRN_NEVER);
    switch (fd) {
    case -ECONNABORTED:
    case -EPROTO:
    case -EPERM: /* a firewall's */
        return 0;
    case -EMFILE:
    case -ENFILE:
    case -ENOBUFS:
    case -ENOMEM:
        return pirn_sleep(pirn_after_ms(NO_ROOM_MS));
    default:
        return fd < 0 ? fd : admit(a, fd);
    }
}

static int accept_all(void *arg)
{
    struct acceptor *a = arg;
    int err;
    while ((err = accept_one(a)) == 0)
        ;
    if (err != -ECANCELED) {
        a->error = err;
        pirn_event_set(&a->server->stop);
    }
    return 0;
}

/* ---- The end ----------------------------------------------------------------------------- */

static void cancel_idle(struct pirn_http_server *server)
{
    pthread_mutex_lock(&server->lock);
    pirn_event_clear(&server->empty);
    if (server->count == 0)
        pirn_event_set(&server->empty);
    for (struct connection *c = server->connections; c != NULL; c = c->next) {
        int idle = CONNECTION_IDLE;
        /* seq_cst: see change in connection.c */
        if (atomic_compare_exchange_strong(&c->state, &idle, CONNECTION_CLOSING))
            pirn_http_connection_cancel(c, "the server stops");
    }
    pthread_mutex_unlock(&server->lock);
}

static void name_the_rest(struct pirn_http_server *server)
{
    pthread_mutex_lock(&server->lock);
    for (struct connection *c = server->connections; c != NULL; c = c->next)
        pirn_http_report(server, "http: %s has not ended %d s after its cancel",
                         c->label != NULL ? c->label : "a connection", STUBBORN_S);
    pthread_mutex_unlock(&server->lock);
}

static void cancel_all(struct pirn_http_server *server)
{
    pthread_mutex_lock(&server->lock);
    for (struct connection *c = server->connections; c != NULL; c = c->next)
        pirn_http_connection_cancel(c, "the server's grace is over");
    pthread_mutex_unlock(&server->lock);
}

static void end_gracefully(struct pirn_http_server *server)
{
    pirn_time grace;
    pthread_mutex_lock(&server->lock);
    grace = server->grace;
    pthread_mutex_unlock(&server->lock);
    atomic_store(&server->stopping, true); /* seq_cst: see change in connection.c */
    cancel_idle(server);
    if (pirn_event_wait(&server->empty, pirn_after_ns(grace.ns)) == 0)
        return;
    cancel_all(server);
    pirn_shield_enter(); /* what is left of this is short, or reported */
    if (pirn_event_wait(&server->empty, pirn_after_s(STUBBORN_S)) == -ETIMEDOUT)
        name_the_rest(server);
    while (pirn_event_wait(&server->empty, PIRN_NEVER) == -ECANCELED)
        ;
    pirn_shield_leave();
}

static int begin(struct pirn_http_server *server)
{
    int err = 0;
    pthread_mutex_lock(&server->lock);
    if (server->listener < 0)
        err = -EINVAL;
    else if (server->serving)
        err = -EALREADY;
    else
        server->serving = true;
    pthread_mutex_unlock(&server->lock);
    return err;
}

static void end(struct pirn_http_server *server)
{
    if (server->listener >= 0) {
        close(server->listener);
        server->listener = -1;
    }
    pirn_event_clear(&server->stop);
    atomic_store_explicit(&server->stopping, false, memory_order_relaxed);
    pthread_mutex_lock(&server->lock);
    server->grace = server->config.grace;
    server->serving = false;
    pthread_mutex_unlock(&server->lock);
}

/* Takes connections until a stop: 0; a cancel of the caller; or what the acceptor could not go on from. */
static int serve_until_stop(struct acceptor *a)
{
    struct pirn_http_server *server = a->server;
    pirn_task *task;
    int status, result, err = pirn_spawn(&task, accept_all, a);
    if (err < 0)
        return err;
    result = pirn_event_wait(&server->stop, PIRN_NEVER);
    pirn_cancel(task, NULL);
    pirn_shield_enter();
    err = pirn_join(task, &status, PIRN_NEVER);
    pirn_shield_leave();
    if (err < 0)
        return err;
    close(server->listener);
    server->listener = -1;
    return result == 0 ? a->error : result;
}

int pirn_http_serve(pirn_http_server *server)
{
    struct acceptor acceptor = {server, NULL, 0};
    int err;
    if (server == NULL)
        return -EINVAL;
    err = begin(server);
    if (err < 0)
        return err;
    err = pirn_scope_open(&acceptor.scope, server->config.max_connections);
    if (err == 0) {
        err = serve_until_stop(&acceptor);
        end_gracefully(server);
        pirn_shield_enter();
        pirn_scope_close(acceptor.scope, PIRN_NEVER);
        pirn_shield_leave();
    }
    end(server);
    return err;
}

int pirn_http_stop(pirn_http_server *server, pirn_time grace)
{
    if (server == NULL || grace.ns < 0)
        return -EINVAL;
    pthread_mutex_lock(&server->lock);
    server->grace = grace;
    pthread_mutex_unlock(&server->lock);
    pirn_event_set(&server->stop);
    return 0;
}
