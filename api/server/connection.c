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

enum {
    SEND_MS = 20, /* between two looks at what a peer goes on sending */
    SILENT_MS = 500,
    THROW_MOST = 1024 * 1024 /* at one look */
};

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

/* It has broken the connection: then that is what the stream says, too, and an error of another's
 * (a server behind this one, say) is told apart. */
static bool has_gone(struct connection *c)
{
    char byte;
    ssize_t n = pirn_stream_read(c->stream, &byte, 1, PIRN_NOW);
    int rc = pirn_stream_flush(c->stream, PIRN_NOW);
    return n == -ECONNRESET || rc == -ECONNRESET || rc == -EPIPE;
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
    return (status == -ECONNRESET || status == -EPIPE) && has_gone(c) ? 0 : status;
}

/* Reads what is there, or comes until then, for nobody. More than 0: there was some, and there may
 * be more. 0: no more will come; or an error. */
static ssize_t throw_away(struct connection *c, pirn_time until)
{
    char scrap[1024];
    ssize_t n;
    for (size_t thrown = 0; thrown < THROW_MOST; thrown += (size_t)n) {
        n = pirn_stream_read(c->stream, scrap, sizeof(scrap), until);
        if (n <= 0)
            return n == -ETIMEDOUT && thrown != 0 ? (ssize_t)thrown : n;
    }
    return (ssize_t)THROW_MOST;
}

/*
 * A kernel that closes a socket with something unread, or gets something for it later, resets the
 * connection, and the peer loses what has not been sent yet of the last reply. So all is sent (the
 * peer may have to be rid of the rest of its own before it reads), then the end, and what comes is
 * thrown away until the peer has closed, too, or is silent for a moment. (As HTTP/1.1 has it, RFC
 * 9112, 9.6.) If the server is being stopped that moment is none. (By itself: what is read into
 * would else lie below each handler's frames, and a parked one needs a page more.)
 */
__attribute__((noinline)) static int see_off(struct connection *c, pirn_time deadline)
{
    int rc;
    ssize_t n = throw_away(c, PIRN_NOW);
    if (n != -ETIMEDOUT && n <= 0)
        return n == -ECANCELED ? (int)n : 0;
    do {
        rc = pirn_stream_flush(c->stream, earlier(pirn_after_ms(SEND_MS), deadline));
        if (rc == -ETIMEDOUT)
            n = throw_away(c, PIRN_NOW);
    } while (rc == -ETIMEDOUT && n != -ECANCELED && pirn_now().ns < deadline.ns);
    if (n == -ECANCELED)
        return (int)n;
    if (rc == 0)
        rc = pirn_stream_end(c->stream, deadline);
    bool stops = pirn_cancelling(NULL) > 0;
    for (n = 1; rc == 0 && n > 0 && pirn_now().ns < deadline.ns;)
        n = throw_away(c, stops ? PIRN_NOW : earlier(pirn_after_ms(SILENT_MS), deadline));
    return rc == -ECANCELED ? rc : 0; /* all has been said: a cancel has ended that moment */
}

static int run(void *arg)
{
    struct connection *c = arg;
    int status = serve(c);
    pirn_time deadline = pirn_after(c->server->config.linger);
    int rc = status == -ECANCELED ? status : see_off(c, deadline);
    if (rc == -ECANCELED)
        pirn_stream_abort(c->stream); /* nobody waits for the peer any more */
    int closed = pirn_stream_close(c->stream, deadline);
    if (rc == 0)
        rc = closed;
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
