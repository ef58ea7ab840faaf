/*
 * A connection: one task, which calls the handler.
 *
 * The connection is put into the server's list, its task made, and then started. If there can be no
 * task for now (max_tasks, memory) its listener keeps it and tries again. Whoever cancels all
 * connections has waited until nothing is accepted any more, and finds their handles. What a
 * task leaves is put in order by its arg_drop, which is called whether it ever ran or not: the
 * stream released (what is left to send goes on), out of the list, the slot given back, whoever
 * waits told. A task may be cancelled, and gone, before it has been started, when all of a
 * runtime's are: so who makes it has a hold, too.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/server/server.h"
#include "api/stream/stream.h"
#include "runtime/debug.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

/* Under the lock, as is: */
static void link_connection(struct connection *c, struct connection **list)
{
    c->next = *list;
    c->at = list;
    if (c->next != NULL)
        c->next->at = &c->next;
    *list = c;
}

static void unlink_connection(struct connection *c)
{
    *c->at = c->next;
    if (c->next != NULL)
        c->next->at = c->at;
}

/* By its task, and by who makes it, when they are through with it. */
static void drop(struct connection *c)
{
    /* acq_rel: the other's last use comes before the free */
    if (atomic_fetch_sub_explicit(&c->holds, 1, memory_order_acq_rel) != 1)
        return;
    if (c->task != NULL)
        pirn_detach(c->task);
    free(c);
}

static void end(void *arg)
{
    struct connection *c = arg;
    pirn_server *server = c->server;
    pirn_stream_release(c->stream);
    lock_take(&server->lock);
    unlink_connection(c);
    server->live--;
    lock_drop(&server->lock);
    drop(c);
    if (server->config.limit != 0)
        pirn_semaphore_release(&server->slots, 1);
    pirn_server_look(server);
    pirn_server_unref(server);
}

/* What the program puts over it is the connection's from here on, even if it then fails: what is
 * below belongs to that. */
static int open_stream(struct connection *c)
{
    const pirn_server_config *config = &c->server->config;
    pirn_stream *stream = NULL;
    if (config->open == NULL)
        return 0;
    int rc = config->open(config->open_user, &stream, c->stream, pirn_after(config->open_time));
    if (stream != NULL)
        c->stream = stream;
    if (rc > 0 || (rc == 0 && stream == NULL))
        return pirn_misuse("pirn_server_config.open", -EINVAL, "it returned no stream");
    return rc;
}

/* Is that the program's, or the machine's, and not the peer's doing? */
static bool is_own_error(int error)
{
    return error == -EINVAL || error == -EPERM || error == -ENOMEM || error == -ECANCELED;
}

/* The stream's own idle time has ended its last read, or that of the one that it stands on. */
static bool has_idled(const pirn_stream *stream)
{
    while (stream != NULL && !stream_idled(stream))
        stream = stream_below(stream);
    return stream != NULL;
}

/* The status of a connection's task: a peer that does not come to a handshake, is idle, or has
 * gone, is no failure. */
static int serve(struct connection *c)
{
    int status = open_stream(c);
    if (status != 0)
        return is_own_error(status) ? status : 0;
    status = c->server->fn(c->stream, c->server->user);
    if (status == -ETIMEDOUT && has_idled(c->stream))
        return 0;
    /* That is what the stream says, too; an error of another's (a server behind this one, say) is
     * told apart. */
    bool gone = status == -ECONNRESET || status == -EPIPE;
    return gone && pirn_stream_has_gone(c->stream) ? 0 : status;
}

static int run(void *arg)
{
    struct connection *c = arg;
    int status = serve(c), rc = -ECANCELED;
    if (status != -ECANCELED)
        rc = pirn_stream_see_off(c->stream, pirn_after(c->server->config.linger));
    if (rc != 0)
        pirn_stream_abort(c->stream); /* another, who closes it too, would wait longer */
    return status != 0        ? status
           : rc == -ECANCELED ? rc
                              : 0; /* a peer that has gone is no failure */
}

/* Into the list. */
static void enlist(struct connection *c)
{
    pirn_server *server = c->server;
    pirn_server_ref(server);
    lock_take(&server->lock);
    link_connection(c, &server->connections);
    server->live++;
    lock_drop(&server->lock);
}

int pirn_connection_start(struct connection *c, const pirn_address *from)
{
    char name[64];
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    int named = pirn_address_text(from, name, sizeof(name));
    /* a Unix client has no address, as a rule */
    config.name = named == 0 || named == -EAFNOSUPPORT ? "connection" : name;
    config.stack_size = c->server->config.stack_size;
    config.arg_drop = end;
    config.flags = PIRN_OFF_STRAND;
    int rc = pirn_coroutine_new(&c->task, &config, run, c);
    if (rc == 0)
        pirn_start(c->task);
    if (rc == 0 || rc == -ESHUTDOWN) /* with that, end has been called */
        drop(c);
    return rc;
}

void pirn_connection_end(struct connection *c)
{
    end(c);
    drop(c);
}

int pirn_connection_new(struct connection **ret_connection, pirn_server *server, int fd)
{
    struct connection *c = calloc(1, sizeof(*c));
    int rc = c != NULL ? pirn_stream_new(&c->stream, fd, &server->stream_config) : -ENOMEM;
    if (rc != 0) {
        free(c);
        pirn_close(fd);
        if (server->config.limit != 0)
            pirn_semaphore_release(&server->slots, 1);
        return rc;
    }
    atomic_init(&c->holds, 2);
    c->server = server;
    enlist(c);
    *ret_connection = c;
    return 0;
}

/* Moves one from list to list: a reference to its task; NULL: there is none. */
static pirn_task *move_one(pirn_server *server, struct connection **from, struct connection **to)
{
    pirn_task *task = NULL;
    lock_take(&server->lock);
    struct connection *c = *from;
    if (c != NULL) {
        unlink_connection(c);
        link_connection(c, to);
        task = pirn_retain(c->task);
    }
    lock_drop(&server->lock);
    return task;
}

/* All of a list's back among those that no stop has seen to. Under the lock. */
static void put_back(pirn_server *server, struct connection **from)
{
    struct connection *c;
    while ((c = *from) != NULL) {
        unlink_connection(c);
        link_connection(c, &server->connections);
    }
}

void pirn_connections_cancel(pirn_server *server, const char *reason)
{
    pirn_task *task;
    lock_take(&server->lock);
    put_back(server, &server->cancelled);
    put_back(server, &server->named);
    lock_drop(&server->lock);
    while ((task = move_one(server, &server->connections, &server->cancelled)) != NULL) {
        pirn_cancel(task, reason);
        pirn_detach(task);
    }
}

void pirn_connections_name(pirn_server *server)
{
    pirn_task *task;
    char name[32];
    while ((task = move_one(server, &server->cancelled, &server->named)) != NULL) {
        pirn_name(task, name, sizeof(name));
        pirn_report(server->runtime, "a server is stopped, and %s goes on", name);
        pirn_detach(task);
    }
}
