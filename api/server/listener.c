/*
 * Where a server listens.
 *
 * A listener is a descriptor and a task that accepts. Its end, by whatever way, closes the descriptor and
 * takes the path away, if what is there is still what was bound. What is to listen together is made first,
 * then listed, then started: so if one cannot be made, none has ever accepted.
 *
 * If slots are limited the task waits for a connection, then for a slot, and then accepts: so whoever is too
 * many stays in the backlog. (Rejected: to wait for a connection with the slot in hand. A listener where
 * nobody comes would keep it from the others.)
 *
 * When there is nothing to accept with (EMFILE and kin, no memory) it says so once and tries again after a
 * pause, for a connection that waits makes accept(2) return at once, for ever.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/server/server.h"
#include "io/sys.h"
#include "runtime/runtime.h"

enum {
    PAUSE_MS = 100
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

/* One connection: 0, or an error and there is none. */
static int accept_one(struct listener *l)
{
    pirn_server *server = l->server;
    pirn_address from = {.len = sizeof(from.addr)};
    bool limited = server->config.limit != 0;
    int rc = limited ? take_slot(l) : 0;
    if (rc != 0)
        return rc;
    int fd = pirn_accept(l->fd, &from.addr.any, &from.len, 0, limited ? PIRN_NOW : PIRN_NEVER);
    if (fd >= 0)
        return pirn_connection_begin(server, fd, &from);
    if (limited)
        pirn_semaphore_release(&server->slots, 1);
    return limited && fd == -ETIMEDOUT ? 0
                                       : fd; /* somebody else has the socket too, and was first */
}

static int accept_all(void *arg)
{
    struct listener *l = arg;
    for (bool short_before = false;;) {
        int rc = accept_one(l);
        bool is_short = is_shortage(rc);
        if (rc != 0 && !is_short && !is_passing(rc))
            return rc;
        if (is_short && !short_before)
            pirn_report(l->server->runtime, "a server pauses: accept: %s", strerror(-rc));
        if (is_short && (rc = pirn_sleep(pirn_after_ms(PAUSE_MS))) != 0)
            return rc;
        short_before = is_short;
    }
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

static void remove_path(const struct listener *l)
{
    struct stat st;
    if (l->path != NULL && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
        unlink(l->path);
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

/* The task is over, or never was. */
static void end(void *arg)
{
    struct listener *l = arg;
    pirn_server *server = l->server;
    lock_take(&server->lock);
    pirn_task *task = l->task;
    int fd = l->fd;
    l->task = NULL;
    l->open = false;
    lock_drop(&server->lock);
    if (fd >= 0) {
        remove_path(l);
        sys_close(fd); /* nobody else uses it */
    }
    lock_take(&server->lock);
    server->accepting--;
    lock_drop(&server->lock);
    if (task != NULL)
        pirn_detach(task);
    drop(l);
    pirn_server_look(server);
    pirn_server_unref(server);
}

static int make_task(struct listener *l, pirn_task **ret_task)
{
    char name[96] = "accept ", *at = name + strlen(name);
    pirn_spawn_config config = PIRN_SPAWN_INIT;
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
                const char *path)
{
    struct stat st;
    struct listener *l = calloc(1, sizeof(*l));
    if (l != NULL && path != NULL)
        l->path = strdup(path);
    if (l == NULL || (path != NULL && l->path == NULL)) {
        free(l);
        return -ENOMEM;
    }
    if (path != NULL && lstat(path, &st) == 0) {
        l->dev = st.st_dev;
        l->ino = st.st_ino;
    }
    pirn_local_address(fd, &l->address);
    atomic_init(&l->holds, 2);
    l->open = true;
    l->server = server;
    l->fd = -1;
    pirn_server_ref(server);
    lock_take(&server->lock);
    server->accepting++;
    lock_drop(&server->lock);
    int rc = make_task(l, ret_task);
    if (rc != 0)
        drop(l);
    else
        *ret_listener = l;
    return rc;
}

/* Each gets its descriptor, and a place in the list. False: the server is closed, or the runtime ends, and
 * none has. */
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

int pirn_listeners_add(pirn_server *server, const int *fds, size_t n, const char *path)
{
    struct listener **made = calloc(n, sizeof(struct listener *) + sizeof(pirn_task *));
    pirn_task **tasks = (pirn_task **)(void *)(made + n);
    size_t done = 0;
    int rc = made != NULL ? 0 : -ENOMEM;
    while (rc == 0 && done < n) {
        rc = make(&made[done], &tasks[done], server, fds[done], path);
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

/* ---- As programs say it ---------------------------------------------------------------------------- */

static int check(pirn_server *server)
{
    if (server == NULL)
        return -EINVAL;
    return pirn_current() != NULL ? 0 : -EPERM;
}

int pirn_server_add(pirn_server *server, int fd)
{
    int listens = 0, rc = check(server);
    socklen_t len = sizeof(listens);
    if (rc == 0)
        rc = sys_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
    if (rc != 0)
        return rc;
    return listens != 0 ? pirn_listeners_add(server, &fd, 1, NULL) : -EINVAL;
}

int pirn_server_listen_unix(pirn_server *server, const char *path, const pirn_listen_config *config)
{
    int rc = check(server);
    int fd = rc == 0 ? pirn_listen_unix(path, config) : rc;
    if (fd < 0)
        return fd;
    const char *file = path[0] != '@' ? path : NULL;
    rc = pirn_listeners_add(server, &fd, 1, file);
    if (rc != 0) {
        if (file != NULL)
            unlink(file);
        sys_close(fd);
    }
    return rc;
}

static void set_port(pirn_address *address, int port)
{
    if (address->addr.any.sa_family == AF_INET)
        address->addr.in.sin_port = htons((uint16_t)port);
    else if (address->addr.any.sa_family == AF_INET6)
        address->addr.in6.sin6_port = htons((uint16_t)port);
}

static bool is_lacking(int rc) /* the machine has no such address */
{
    return rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT;
}

static bool is_known(const pirn_address *list, int i) /* one before it is the same */
{
    for (int k = 0; k < i; k++) {
        if (list[k].len == list[i].len && memcmp(&list[k].addr, &list[i].addr, list[i].len) == 0)
            return true;
    }
    return false;
}

static void close_all(const int *fds, int n)
{
    for (int i = 0; i < n; i++)
        sys_close(fds[i]);
}

/* Listens at all of them, all with the first one's port: how many descriptors fds has then. */
static int listen_at_all(pirn_address *list, int n, const pirn_listen_config *config, int *fds)
{
    int done = 0;
    for (int i = 0; i < n; i++) {
        if (is_known(list, i))
            continue;
        int fd = pirn_listen_at(&list[i], config);
        if (fd < 0 && is_lacking(fd))
            continue;
        if (fd < 0) {
            close_all(fds, done);
            return fd;
        }
        fds[done++] = fd;
        for (int k = 0, port = pirn_local_port(fd); done == 1 && k < n; k++)
            set_port(&list[k], port);
    }
    return done != 0 ? done : -EADDRNOTAVAIL;
}

static int listen_by_name(pirn_server *server, const char *host, const char *service,
                          const pirn_listen_config *config, pirn_time deadline)
{
    pirn_resolve_config resolve = PIRN_RESOLVE_INIT;
    pirn_address *list;
    if (config != NULL && config->resolve != NULL)
        resolve = *config->resolve;
    resolve.flags |= PIRN_RESOLVE_PASSIVE;
    int n = pirn_resolve(host, service, &resolve, &list, deadline);
    if (n < 0)
        return n;
    int *fds = malloc((size_t)n * sizeof(*fds));
    int rc = fds != NULL ? listen_at_all(list, n, config, fds) : -ENOMEM;
    if (rc > 0) {
        int listening = rc;
        rc = pirn_listeners_add(server, fds, (size_t)listening, NULL);
        if (rc != 0)
            close_all(fds, listening);
    }
    free(fds);
    pirn_addresses_free(list);
    return rc;
}

int pirn_server_listen(pirn_server *server, const char *host, const char *service,
                       const pirn_listen_config *config, pirn_time deadline)
{
    int rc = check(server);
    if (rc != 0)
        return rc;
    if (config != NULL && config->size != sizeof(*config))
        return -EINVAL;
    if (host != NULL)
        return listen_by_name(server, host, service, config, deadline);
    int fd = pirn_listen(NULL, service, config, deadline);
    if (fd < 0)
        return fd;
    rc = pirn_listeners_add(server, &fd, 1, NULL);
    if (rc != 0)
        sys_close(fd);
    return rc;
}

/* ---- Where it listens ------------------------------------------------------------------------------ */

int pirn_server_address(pirn_server *server, size_t i, pirn_address *ret_address)
{
    if (server == NULL || ret_address == NULL)
        return -EINVAL;
    lock_take(&server->lock);
    struct listener *l = server->listeners;
    while (l != NULL && (!l->open || i-- > 0))
        l = l->next;
    if (l != NULL)
        *ret_address = l->address;
    lock_drop(&server->lock);
    return l != NULL ? 0 : -ENOENT;
}

int pirn_server_port(pirn_server *server)
{
    pirn_address address;
    int rc;
    for (size_t i = 0; (rc = pirn_server_address(server, i, &address)) == 0; i++) {
        if (address.addr.any.sa_family == AF_INET)
            return ntohs(address.addr.in.sin_port);
        if (address.addr.any.sa_family == AF_INET6)
            return ntohs(address.addr.in6.sin6_port);
    }
    return rc;
}
