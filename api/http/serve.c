/*
 * A server at work: connections are a pirn_server's, the graceful end is HTTP's.
 *
 *   1. a pirn_server takes connections, each with a task, as many as there may be at a time; a task of
 *      its own serves it, so that pirn_http_serve can wait for a stop, or to be cancelled
 *   2. then that is closed; idle connections are cancelled, busy ones learn from `stopping` that their next
 *      reply is the last
 *   3. when the grace is over, or a second cancel comes, all that are left are cancelled: every handler gets
 *      -ECANCELED. Who comes into the list later than that (its task had not begun) leaves at once
 *   4. who is there a second later is reported by name; and waited for
 *
 * An idle connection that gets a request's first byte just then is either busy first, and may finish, or
 * closed, and its client repeats it elsewhere, as with any connection closed while idle.
 *
 * The list is HTTP's own: a pirn_server's stop would cancel idle connections no sooner than busy ones, knows
 * nothing of those of pirn_http_serve_stream, and names a peer, not a request.
 */
#include "api/http/server.h"

#include <errno.h>
#include <unistd.h>

enum {
    STUBBORN_S = 1,
};

struct acceptor {
    struct pirn_http_server *server;
    pirn_server *accepts;
    int error; /* why it ended by itself; read once it has been joined */
};

int pirn_http_serve_stream(pirn_http_server *server, pirn_stream *stream)
{
    if (server == NULL || stream == NULL)
        return -EINVAL;
    return pirn_http_connection_run(server, stream, false);
}

/* ---- Taking connections ------------------------------------------------------------------ */

static int serve_connection(pirn_stream *stream, void *server)
{
    pirn_http_connection_run(server, stream, true); /* -ENOMEM: it is closed */
    return 0;
}

static int accept_all(void *arg)
{
    struct acceptor *a = arg;
    int err = pirn_server_serve(a->accepts);
    if (err != -ECANCELED) {
        a->error = err;
        pirn_event_set(&a->server->stop);
    }
    return 0;
}

/* A pirn_server that listens where this one does: the descriptor is its from then on. */
static int begin_accepting(struct acceptor *a)
{
    const pirn_http_config *config = &a->server->config;
    pirn_server_config accepting = PIRN_SERVER_INIT;
    accepting.limit = config->max_connections;
    accepting.linger = config->write_time;
    accepting.stack_size = config->stack_size;
    int err = pirn_server_new(&a->accepts, serve_connection, a->server, &accepting);
    if (err == 0)
        err = pirn_server_add(a->accepts, a->server->listener);
    if (err < 0)
        close(a->server->listener);
    return err;
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
    server->over = true;
    for (struct connection *c = server->connections; c != NULL; c = c->next)
        pirn_http_connection_cancel(c, "the server's grace is over");
    pthread_mutex_unlock(&server->lock);
}

/* Until no connection is in the list, and no task has one that is not in it yet. */
static int wait_empty(struct acceptor *a, pirn_time deadline)
{
    int err = pirn_event_wait(&a->server->empty, deadline);
    return err == 0 ? pirn_server_wait_closed(a->accepts, deadline) : err;
}

static void end_gracefully(struct acceptor *a)
{
    struct pirn_http_server *server = a->server;
    pthread_mutex_lock(&server->lock);
    pirn_time grace = server->grace;
    pthread_mutex_unlock(&server->lock);
    atomic_store(&server->stopping, true); /* seq_cst: see change in connection.c */
    cancel_idle(server);
    if (wait_empty(a, pirn_after_ns(grace.ns)) == 0)
        return;
    cancel_all(server);
    pirn_shield_enter(); /* what is left of this is short, or reported */
    if (wait_empty(a, pirn_after_s(STUBBORN_S)) == -ETIMEDOUT)
        name_the_rest(server);
    while (wait_empty(a, PIRN_NEVER) == -ECANCELED)
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
    server->listener = -1;
    pirn_event_clear(&server->stop);
    atomic_store_explicit(&server->stopping, false, memory_order_relaxed);
    pthread_mutex_lock(&server->lock);
    server->grace = server->config.grace;
    server->serving = server->over = false;
    pthread_mutex_unlock(&server->lock);
}

/* Takes connections until a stop: 0; a cancel of the caller; or what the acceptor could not go on from. It
 * listens no more then. */
static int serve_until_stop(struct acceptor *a)
{
    pirn_task *task;
    int status, err = pirn_spawn(&task, accept_all, a);
    if (err < 0) {
        pirn_server_close(a->accepts);
        return err;
    }
    int result = pirn_event_wait(&a->server->stop, PIRN_NEVER);
    pirn_cancel(task, NULL);
    pirn_shield_enter();
    err = pirn_join(task, &status, PIRN_NEVER);
    pirn_shield_leave();
    pirn_server_close(a->accepts); /* it has been: unless the task never ran */
    if (err < 0)
        return err;
    return result == 0 ? a->error : result;
}

int pirn_http_serve(pirn_http_server *server)
{
    struct acceptor acceptor = {server, NULL, 0};
    if (server == NULL)
        return -EINVAL;
    int err = begin(server);
    if (err < 0)
        return err;
    err = begin_accepting(&acceptor);
    if (err == 0) {
        err = serve_until_stop(&acceptor);
        end_gracefully(&acceptor);
    }
    pirn_server_release(acceptor.accepts);
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
