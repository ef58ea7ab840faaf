/*
 * A server's life; see server.h.
 *
 * Closed is a state that anybody can bring about without waiting, by cancelling the tasks that
 * accept: so the last release can do it. What waits for the consequences waits for an event.
 */
#include "api/server/server.h"

#include <errno.h>
#include <stdlib.h>

#include "api/stream/stream.h"
#include "runtime/debug.h"
#include "runtime/runtime.h"
#include "runtime/task.h"
#include "runtime/wait.h"

enum {
    LINGER_S = 30,
    GRACE_S = 5,
    OPEN_S = 10
};

static pirn_span or_seconds(pirn_span span, int64_t s)
{
    return span.ns != 0 ? span : (pirn_span){s * 1000000000};
}

int pirn_server_new(pirn_server **ret_server, pirn_server_fn fn, void *user,
                    const pirn_server_config *config)
{
    static const pirn_server_config plain = PIRN_SERVER_CONFIG_INIT;
    static const pirn_stream_config plain_stream = PIRN_STREAM_CONFIG_INIT;
    if (config == NULL)
        config = &plain;
    if (ret_server == NULL || fn == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (config->size != sizeof(*config) || config->limit < 0 || config->linger.ns < 0 ||
        config->grace.ns < 0 || config->idle.ns < 0 || config->open_time.ns < 0 ||
        config->stack_size > PIRN_STACK_SIZE_MAX ||
        (config->stream != NULL && pirn_stream_check(config->stream, 0) != 0))
        return pirn_misuse(
            __func__, -EINVAL,
            misuse_of_config(config->size, sizeof(*config),
                             "the config, or its stream's, has what is out of range"));
    if (pirn_runtime_current() == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
    pirn_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return -ENOMEM;
    atomic_init(&server->handles, 1);
    atomic_init(&server->refs, 1);
    lock_init(&server->lock);
    server->fn = fn;
    server->user = user;
    server->runtime = pirn_runtime_current();
    server->config = *config;
    server->config.linger = or_seconds(config->linger, LINGER_S);
    server->config.grace = or_seconds(config->grace, GRACE_S);
    server->config.open_time = or_seconds(config->open_time, OPEN_S);
    server->stream_config = config->stream != NULL ? *config->stream : plain_stream;
    if (config->idle.ns != 0)
        server->stream_config.idle = config->idle;
    pirn_semaphore_init(&server->slots, config->limit);
    pirn_event_init(&server->unheard);
    pirn_event_init(&server->quiet);
    *ret_server = server;
    return 0;
}

void pirn_server_ref(pirn_server *server)
{
    atomic_fetch_add_explicit(&server->refs, 1, memory_order_relaxed);
}

void pirn_server_unref(pirn_server *server)
{
    struct listener *next;
    /* acq_rel: everybody's last use comes before the free */
    if (atomic_fetch_sub_explicit(&server->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (struct listener *l = server->listeners; l != NULL; l = next) {
        next = l->next;
        free(l->path);
        free(l);
    }
    if (server->config.drop != NULL)
        server->config.drop(server->user);
    free(server);
}

pirn_server *pirn_server_retain(pirn_server *server)
{
    if (server != NULL)
        atomic_fetch_add_explicit(&server->handles, 1, memory_order_relaxed);
    return server;
}

void pirn_server_release(pirn_server *server)
{
    /* acq_rel: everybody's last use comes before the close */
    if (server == NULL || atomic_fetch_sub_explicit(&server->handles, 1, memory_order_acq_rel) != 1)
        return;
    pirn_server_shut(server);
    pirn_server_unref(server);
}

void pirn_server_look(pirn_server *server)
{
    lock_take(&server->lock);
    if (!server->closed && server->accepting == 0 && server->failed != 0) {
        server->closed = true;
        server->failure = server->failed;
    }
    bool unheard = server->closed && server->accepting == 0, quiet = unheard && server->live == 0;
    lock_drop(&server->lock);
    if (unheard)
        pirn_event_set(&server->unheard);
    if (quiet)
        pirn_event_set(&server->quiet);
}

bool pirn_server_shut(pirn_server *server)
{
    lock_take(&server->lock);
    bool first = !server->closed;
    struct listener *l = server->listeners;
    server->closed = true; /* no listener is added from here on */
    lock_drop(&server->lock);
    for (; first && l != NULL; l = l->next) {
        lock_take(&server->lock);
        pirn_task *task = pirn_retain(l->task);
        lock_drop(&server->lock);
        if (task == NULL)
            continue;
        pirn_cancel(task, "the server is closed");
        pirn_detach(task);
    }
    pirn_server_look(server);
    return first;
}

/* Waits for the end of the accepts, which have all been cancelled: it comes soon. */
static void wait_unheard(pirn_server *server)
{
    bool shielded = pirn_shield_enter() == 0;
    while (!pirn_event_is_set(&server->unheard)) {
        if (pirn_event_wait(&server->unheard, PIRN_NEVER) != 0)
            pirn_wait_give_way(); /* shutdown's failing: they end all the same */
    }
    if (shielded)
        pirn_shield_leave();
}

static int close_server(const char *call, pirn_server *server)
{
    if (server == NULL)
        return pirn_misuse(call, -EINVAL, MISUSE_NULL);
    if (pirn_current() == NULL)
        return pirn_misuse(call, -EPERM, MISUSE_NO_COROUTINE);
    pirn_server_shut(server);
    wait_unheard(server);
    return 0;
}

int pirn_server_close(pirn_server *server)
{
    return close_server(__func__, server);
}

int pirn_server_serve(pirn_server *server)
{
    if (server == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (pirn_current() == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
    lock_take(&server->lock);
    bool closed = server->closed;
    int failure = server->failure;
    lock_drop(&server->lock);
    if (closed)
        return failure != 0 ? failure : -ESHUTDOWN;
    int rc = pirn_event_wait(&server->unheard, PIRN_NEVER);
    if (rc != 0)
        pirn_server_close(server);
    return rc != 0 ? rc : server->failure;
}

int pirn_server_wait_closed(pirn_server *server, pirn_time deadline)
{
    return server != NULL ? pirn_event_wait(&server->quiet, deadline)
                          : pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
}

/* The wait that has just ended with -ECANCELED was ended by a request, not by a bound alone, which
 * goes on. */
static bool was_asked(struct pirn_task *t)
{
    return !pirn_task_relevel(t) || (cell_load(&t->cell) & CELL_ASKED) != 0;
}

int pirn_server_stop(pirn_server *server, pirn_time deadline)
{
    int rc = close_server(__func__, server);
    if (rc == 0)
        rc = pirn_event_wait(&server->quiet, deadline);
    if (rc != -ETIMEDOUT && rc != -ECANCELED)
        return rc;
    struct pirn_task *me = pirn_current_task();
    bool asked = rc == -ECANCELED && was_asked(me);
    pirn_connections_cancel(server, "the server is stopped");
    bool shielded = pirn_shield_enter() == 0;
    int late = pirn_event_wait(&server->quiet, pirn_after(server->config.grace));
    if (shielded)
        pirn_shield_leave();
    if (late != 0)
        pirn_connections_name(server); /* unless somebody else who stops it has just done so */
    if (late == 0 || pirn_server_connections(server) == 0)
        return rc;
    if (asked)
        pirn_task_keep_request(me); /* it is not what we report */
    return -EBUSY;
}

int pirn_server_connections(pirn_server *server)
{
    if (server == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    lock_take(&server->lock);
    int n = server->live;
    lock_drop(&server->lock);
    return n;
}
