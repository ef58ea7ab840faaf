/*
 * A server at work: connections are a pirn_server's, the graceful end is HTTP's.
 *
 *   1. a pirn_server takes connections, each with a task, as many as there may be at a time
 *   2. a stop closes that; idle connections are cancelled, busy ones learn from `stopping` that
 *      their next reply is the last; new ones, whose first request has not come yet, a second later
 *      (Go gives them five)
 *   3. at the stop's deadline, or when its caller is cancelled, all that are left are cancelled:
 *      every handler gets -ECANCELED. Who comes into the list later than that (its task had not
 *      begun) leaves at once
 *   4. who is there when the grace is over, too, is reported by name, and left
 *
 * An idle connection that gets a request's first byte just then is either busy first, and may
 * finish, or closed, and its client repeats it elsewhere, as with any connection closed while idle.
 *
 * The list is HTTP's own: a pirn_server's stop would cancel idle connections no sooner than busy
 * ones, knows nothing of those of pirn_http_server_serve_stream, and names a peer, not a request.
 */
#include "api/http/server.h"

#include <errno.h>

enum {
    NEW_MS = 1000
};

int pirn_http_server_serve(pirn_http_server *server)
{
    return server != NULL ? pirn_server_serve(server->accepts) : -EINVAL;
}

int pirn_http_server_serve_stream(pirn_http_server *server, pirn_stream *stream)
{
    if (server == NULL || stream == NULL)
        return -EINVAL;
    if (pirn_current() == NULL)
        return -EPERM;
    pirn_http_server_retain(server);
    int err = pirn_http_connection_run(server, stream, false);
    pirn_http_server_release(server);
    return err;
}

/* ---- The end ----------------------------------------------------------------------------- */

int pirn_http_server_close(pirn_http_server *server)
{
    return server != NULL ? pirn_server_close(server->accepts) : -EINVAL;
}

void pirn_http_server_ends(struct pirn_http_server *server, bool spare_new)
{
    /* seq_cst, all that follow: see change in connection.c */
    atomic_store(&server->spare_new, spare_new);
    atomic_store(&server->stopping, true);
    pthread_mutex_lock(&server->lock);
    pirn_event_clear(&server->empty);
    if (server->count == 0)
        pirn_event_set(&server->empty);
    for (struct connection *c = server->connections; c != NULL; c = c->next) {
        int idle = CONNECTION_IDLE, new = CONNECTION_NEW;
        if (atomic_compare_exchange_strong(&c->state, &idle, CONNECTION_CLOSING) ||
            (!spare_new && atomic_compare_exchange_strong(&c->state, &new, CONNECTION_CLOSING)))
            pirn_http_connection_cancel(c, "the server stops");
    }
    pthread_mutex_unlock(&server->lock);
}

/* The report is the program's, and may look at the server: it is called without the lock. */
static void name_the_rest(struct pirn_http_server *server)
{
    struct text names = {0};
    pthread_mutex_lock(&server->lock);
    int n = server->count;
    for (struct connection *c = server->connections; c != NULL; c = c->next) {
        const char *name = c->label != NULL ? c->label : "a connection";
        pirn_http_text_add(&names, name, strlen(name) + 1);
    }
    pthread_mutex_unlock(&server->lock);
    if (names.failed)
        pirn_http_report(server, "http: the server is stopped, and %d connections go on", n);
    for (size_t at = 0; !names.failed && at < names.used; at += strlen(names.data + at) + 1)
        pirn_http_report(server, "http: the server is stopped, and %s goes on", names.data + at);
    pirn_http_text_free(&names);
}

static void cancel_all(struct pirn_http_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->over = true;
    for (struct connection *c = server->connections; c != NULL; c = c->next) {
        /* release: pairs with the acquire in pirn_http_disconnected */
        atomic_store_explicit(&c->given_up, true, memory_order_release);
        pirn_http_connection_cancel(c, "the server is stopped");
    }
    pthread_mutex_unlock(&server->lock);
}

/* Until no connection is in the list, and no task has one that is not in it yet. */
static int wait_empty(struct pirn_http_server *server, pirn_time deadline)
{
    int err = pirn_event_wait(&server->empty, deadline);
    return err == 0 ? pirn_server_wait_closed(server->accepts, deadline) : err;
}

/* The request to end that has been told here is pending again, for who calls. If there is none it
 * was a timeout's or a scope's, which goes on by itself. (One that was told long ago and never
 * taken back is told once more if it was a timeout's all the same: nothing in <pirn.h> tells them
 * apart.) */
static void keep_cancel(const char *reason)
{
    if (pirn_cancelling(NULL) == 0)
        return;
    pirn_uncancel(); /* the same one, not one more */
    pirn_cancel(pirn_current(), reason);
}

/* Half of what is left at most, so that they do not use up what busy ones have. */
static pirn_time until_new_ones_end(pirn_time deadline)
{
    pirn_time now = pirn_now(), soon = pirn_after_ms(NEW_MS);
    if (deadline.ns <= now.ns)
        return deadline;
    int64_t half = (deadline.ns - now.ns) / 2;
    return half < soon.ns - now.ns ? (pirn_time){now.ns + half} : soon;
}

int pirn_http_server_stop(pirn_http_server *server, pirn_time deadline)
{
    int err = pirn_http_server_close(server);
    if (err < 0)
        return err;
    pirn_time soon = until_new_ones_end(deadline);
    pirn_http_server_ends(server, true);
    err = wait_empty(server, soon);
    if (err == -ETIMEDOUT) {
        pirn_http_server_ends(server, false);
        err = wait_empty(server, deadline);
    }
    if (err != -ETIMEDOUT && err != -ECANCELED)
        return err;
    const char *reason = pirn_cancel_reason();
    cancel_all(server);
    bool shielded = pirn_shield_enter() == 0;
    int late = wait_empty(server, pirn_after(server->config.grace));
    if (shielded)
        pirn_shield_leave();
    if (late == 0)
        return err;
    name_the_rest(server);
    if (err == -ECANCELED)
        keep_cancel(reason);
    return -EBUSY;
}

int pirn_http_server_wait_closed(pirn_http_server *server, pirn_time deadline)
{
    return server != NULL ? pirn_server_wait_closed(server->accepts, deadline) : -EINVAL;
}

int pirn_http_server_connections(pirn_http_server *server)
{
    if (server == NULL)
        return -EINVAL;
    pthread_mutex_lock(&server->lock);
    int n = server->count;
    pthread_mutex_unlock(&server->lock);
    return n;
}
