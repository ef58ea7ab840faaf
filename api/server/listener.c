/*
 * A server's listeners.
 *
 * A listener is a descriptor and a task that accepts. Its end, by whatever way, closes the
 * descriptor and takes the path away, if what is there is still what was bound: for that it becomes
 * a job of the runtime's blocking pool, as its task may end where nothing can be waited for. What
 * is to listen together is made first, then listed, then started: so if one cannot be made, none
 * has ever accepted.
 *
 * If slots are limited the task waits for a connection, then for a slot, and then accepts: so
 * whoever is too many stays in the backlog. (Rejected: to wait for a connection with the slot in
 * hand. A listener where nobody comes would keep it from the others.) If those are to be refused it
 * accepts, and then looks for a slot.
 *
 * When there is nothing to accept with (EMFILE and kin, no memory) it says so, once, and tries
 * again after a pause, for a connection that waits makes accept(2) return at once, for ever. Where
 * one that goes makes room for one that comes, pauses and connections alternate: it says so once a
 * second then. One that has been accepted and for which no task can be made (max_tasks) is kept
 * over the pause: its peer waits as those in the backlog do, and is not lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/server/server.h"
#include "io/sys.h"
#include "runtime/job.h"
#include "runtime/runtime.h"

enum {
    PAUSE_MS = 100,
    SILENT_NS = 1000000000 /* between two reports */
};

/* Errors of a connection that did not come to be. (accept(2) passes on what the network says.) */
static bool is_passing(int rc)
{
    switch (rc) {
    case -ECONNABORTED:
    case -EPROTO:
    case -EPERM: /* a firewall */
    case -ENETDOWN:
    case -ENOPROTOOPT:
    case -EHOSTDOWN:
    case -ENONET:
    case -EHOSTUNREACH:
    case -EOPNOTSUPP:
    case -ENETUNREACH:
        return true;
    default:
        return false;
    }
}

static bool is_shortage(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM || rc == -EAGAIN;
}

/* Until a connection waits, and there is a slot for it. */
static int take_slot(struct listener *l)
{
    int rc = pirn_poll(l->fd, POLLIN, PIRN_NEVER);
    return rc < 0 ? rc : pirn_semaphore_acquire(&l->server->slots, PIRN_NEVER);
}

/* The next connection, with a slot of its own: its descriptor. */
static int accept_limited(struct listener *l, pirn_address *ret_from)
{
    pirn_server *server = l->server;
    bool refuse = server->config.refuse;
    int rc = refuse ? 0 : take_slot(l);
    if (rc != 0)
        return rc;
    int fd =
        pirn_accept(l->fd, &ret_from->addr.any, &ret_from->len, 0, refuse ? PIRN_NEVER : PIRN_NOW);
    if (refuse && fd >= 0 && pirn_semaphore_try_acquire(&server->slots) != 0) {
        sys_close(fd);
        return -ECONNABORTED;
    }
    if (!refuse && fd < 0)
        pirn_semaphore_release(&server->slots, 1);
    /* Somebody else may have the socket too, and have been first. */
    return !refuse && fd == -ETIMEDOUT ? -ECONNABORTED : fd;
}

/* A connection that has been accepted, until it has a task. */
struct accepted {
    struct connection *connection; /* NULL: there is none */
    pirn_address from;
};

/* One connection: 0, or an error and there is none, or none that has started. */
static int accept_one(struct listener *l, struct accepted *a)
{
    if (a->connection == NULL) {
        a->from.len = sizeof(a->from.addr);
        int fd = l->server->config.limit != 0
                     ? accept_limited(l, &a->from)
                     : pirn_accept(l->fd, &a->from.addr.any, &a->from.len, 0, PIRN_NEVER);
        int rc = fd >= 0 ? pirn_connection_new(&a->connection, l->server, fd) : fd;
        if (rc != 0)
            return rc;
    }
    int rc = pirn_connection_start(a->connection, &a->from);
    if (!is_shortage(rc))
        a->connection = NULL;
    return rc;
}

static void report_pause(const struct listener *l, int rc)
{
    char at[160] = "";
    pirn_address_text(&l->address, at, sizeof(at));
    pirn_report(l->server->runtime, "a server pauses: accept %s: %s%s", at, strerror(-rc),
                rc == -EAGAIN ? " (max_tasks)" : "");
}

static int accept_all(void *arg)
{
    struct listener *l = arg;
    struct accepted a = {.connection = NULL};
    pirn_time silent_until = PIRN_NOW;
    int rc;
    for (bool told = false;;) {
        rc = accept_one(l, &a);
        bool is_short = is_shortage(rc);
        if (rc != 0 && !is_short && !is_passing(rc))
            break;
        told &= is_short;
        if (is_short && !told && pirn_now().ns >= silent_until.ns) {
            report_pause(l, rc);
            silent_until.ns = pirn_now().ns + SILENT_NS;
            told = true;
        }
        if (is_short && (rc = pirn_sleep(pirn_after_ms(PAUSE_MS))) != 0)
            break;
    }
    if (a.connection != NULL)
        pirn_connection_end(a.connection);
    return rc;
}

static int serve(void *arg)
{
    struct listener *l = arg;
    int rc = accept_all(l);
    if (rc == -ECANCELED || rc == -ESHUTDOWN)
        return rc;
    lock_take(&l->server->lock);
    l->server->failed = rc;
    lock_drop(&l->server->lock);
    return rc;
}

/* By its task, and by who makes it, when they are through with it. */
static void drop(struct listener *l)
{
    /* acq_rel: the other's last use comes before the free */
    if (atomic_fetch_sub_explicit(&l->holds, 1, memory_order_acq_rel) != 1 || l->listed)
        return;
    free(l->path);
    free(l);
}

/* The rest, once it has no task any more. With a path it may wait for a disk. */
static int put_away(void *arg)
{
    struct listener *l = arg;
    pirn_server *server = l->server;
    if (l->fd >= 0 && l->path != NULL)
        pirn_net_remove_socket(l->path, l->file);
    if (l->fd >= 0)
        sys_close(l->fd); /* nobody else uses it */
    lock_take(&server->lock);
    server->accepting--;
    lock_drop(&server->lock);
    drop(l);
    pirn_server_look(server);
    pirn_server_unref(server);
    return 0;
}

/* The task is over, or never was. */
static void end(void *arg)
{
    struct listener *l = arg;
    pirn_server *server = l->server;
    struct job *job;
    lock_take(&server->lock);
    pirn_task *task = l->task;
    bool has_path = l->fd >= 0 && l->path != NULL;
    l->task = NULL;
    l->open = false;
    lock_drop(&server->lock);
    if (has_path && pirn_job_submit(&job, server->runtime->blocking, put_away, l, NULL, false) == 0)
        pirn_awaitable_unref(&job->base.base);
    else
        put_away(l); /* no thread, no memory: better late than not at all */
    if (task != NULL)
        pirn_detach(task);
}

static int make_task(struct listener *l, pirn_task **ret_task)
{
    char name[96] = "accept ", *at = name + strlen(name);
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_address_text(&l->address, at, sizeof(name) - (size_t)(at - name));
    config.name = name;
    config.arg_drop = end;
    config.flags = PIRN_OFF_STRAND;
    config.runtime = l->server->runtime;
    int rc = pirn_coroutine_new(ret_task, &config, serve, l);
    if (rc != 0 && rc != -ESHUTDOWN) /* with that it has been called */
        end(l);
    return rc;
}

/* One that does not accept yet, nor has the descriptor. */
static int make(struct listener **ret_listener, pirn_task **ret_task, pirn_server *server, int fd,
                const char *path, struct socket_file file)
{
    struct listener *l = calloc(1, sizeof(*l));
    if (l != NULL && path != NULL)
        l->path = strdup(path);
    int rc = l == NULL || (path != NULL && l->path == NULL) ? -ENOMEM
                                                            : pirn_local_address(fd, &l->address);
    if (rc != 0) {
        if (l != NULL)
            free(l->path);
        free(l);
        return rc;
    }
    l->file = file;
    atomic_init(&l->holds, 2);
    l->open = true;
    l->server = server;
    l->fd = -1;
    pirn_server_ref(server);
    lock_take(&server->lock);
    server->accepting++;
    lock_drop(&server->lock);
    rc = make_task(l, ret_task);
    if (rc != 0)
        drop(l);
    else
        *ret_listener = l;
    return rc;
}

/* Each gets its descriptor, and a place in the list. False: the server is closed, or the runtime
 * ends, and none has. */
static bool enlist(pirn_server *server, struct listener **made, pirn_task **tasks, const int *fds,
                   size_t n)
{
    lock_take(&server->lock);
    bool can = !server->closed;
    for (size_t i = 0; i < n; i++)
        can =
            can && made[i]->open; /* else its task has been cancelled: with all of the runtime's */
    for (size_t i = 0; can && i < n; i++) {
        struct listener *l = made[i];
        l->listed = true;
        l->fd = fds[i];
        l->task = pirn_retain(tasks[i]);
        if (server->last != NULL)
            server->last->next = l;
        else
            server->listeners = l;
        server->last = l;
    }
    lock_drop(&server->lock);
    return can;
}

int pirn_listeners_add(pirn_server *server, const int *fds, size_t n, const char *path,
                       struct socket_file file)
{
    struct listener **made = calloc(n, sizeof(struct listener *) + sizeof(pirn_task *));
    pirn_task **tasks = (pirn_task **)(void *)(made + n);
    size_t done = 0;
    int rc = made != NULL ? 0 : -ENOMEM;
    while (rc == 0 && done < n) {
        rc = make(&made[done], &tasks[done], server, fds[done], path, file);
        done += rc == 0;
    }
    if (rc == 0 && !enlist(server, made, tasks, fds, n))
        rc = -ESHUTDOWN;
    for (size_t i = 0; i < done; i++) {
        if (rc == 0)
            pirn_start(tasks[i]);
        else
            pirn_cancel(tasks[i], NULL);
        pirn_detach(tasks[i]);
        drop(made[i]);
    }
    free(made);
    return rc;
}
