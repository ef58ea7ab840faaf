/*
 * Where a server listens.
 *
 * A listener is a descriptor and a task that accepts. The task takes one of the server's slots, if they are
 * limited, before it accepts: so whoever is too many stays in the backlog. Its end, by whatever way, closes
 * the descriptor and takes the path away, if what is there is still what was bound.
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

/* One connection: 0, or an error and there is none. */
static int accept_one(struct listener *l)
{
    pirn_server *server = l->server;
    pirn_address from = {.len = sizeof(from.addr)};
    bool limited = server->config.limit != 0;
    int rc = limited ? pirn_semaphore_acquire(&server->slots, PIRN_NEVER) : 0;
    if (rc != 0)
        return rc;
    int fd = pirn_accept(l->fd, &from.addr.any, &from.len, 0, PIRN_NEVER);
    if (fd >= 0)
        return pirn_connection_begin(server, fd, &from);
    if (limited)
        pirn_semaphore_release(&server->slots, 1);
    return fd;
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

static void remove_path(const struct listener *l)
{
    struct stat st;
    if (l->path != NULL && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
        unlink(l->path);
}

/* The task is over, or never was. */
static void end(void *arg)
{
    struct listener *l = arg;
    pirn_server *server = l->server;
    remove_path(l);
    sys_close(l->fd); /* nobody else uses it */
    lock_take(&server->lock);
    l->open = false;
    pirn_task *task = l->task;
    bool listed = l->listed;
    l->task = NULL;
    server->accepting--;
    lock_drop(&server->lock);
    if (task != NULL)
        pirn_detach(task);
    if (!listed) {
        free(l->path);
        free(l);
    }
    pirn_server_look(server);
    pirn_server_unref(server);
}

/* False: the server has been closed meanwhile. */
static bool enlist(struct listener *l, pirn_task *task)
{
    pirn_server *server = l->server;
    lock_take(&server->lock);
    l->listed = !server->closed;
    if (l->listed) {
        l->task = pirn_retain(task);
        if (server->last != NULL)
            server->last->next = l;
        else
            server->listeners = l;
        server->last = l;
    }
    lock_drop(&server->lock);
    return l->listed;
}

static int begin(struct listener *l)
{
    char name[96] = "accept ", *at = name + strlen(name);
    pirn_spawn_config config = PIRN_SPAWN_INIT;
    pirn_task *task;
    pirn_address_text(&l->address, at, sizeof(name) - (size_t)(at - name));
    config.name = name;
    config.arg_drop = end;
    config.flags = PIRN_OFF_STRAND;
    config.runtime = l->server->runtime;
    int rc = pirn_coroutine_new(&task, &config, accept_all, l);
    if (rc != 0) {
        if (rc != -ESHUTDOWN) /* with that it has been called */
            end(l);
        return rc;
    }
    if (!enlist(l, task)) {
        pirn_cancel(task, NULL);
        rc = -ESHUTDOWN;
    } else {
        pirn_start(task);
    }
    pirn_detach(task);
    return rc;
}

int pirn_listener_add(pirn_server *server, int fd, const char *path)
{
    struct stat st;
    struct listener *l = calloc(1, sizeof(*l));
    if (l != NULL && path != NULL)
        l->path = strdup(path);
    if (l == NULL || (path != NULL && l->path == NULL)) {
        free(l);
        sys_close(fd);
        return -ENOMEM;
    }
    if (path != NULL && lstat(path, &st) == 0) {
        l->dev = st.st_dev;
        l->ino = st.st_ino;
    }
    pirn_local_address(fd, &l->address);
    l->open = true;
    l->server = server;
    l->fd = fd;
    pirn_server_ref(server);
    lock_take(&server->lock);
    server->accepting++;
    lock_drop(&server->lock);
    return begin(l);
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
    return listens != 0 ? pirn_listener_add(server, fd, NULL) : -EINVAL;
}

int pirn_server_listen_unix(pirn_server *server, const char *path, const pirn_listen_config *config)
{
    int rc = check(server);
    int fd = rc == 0 ? pirn_listen_unix(path, config) : rc;
    return fd >= 0 ? pirn_listener_add(server, fd, path[0] != '@' ? path : NULL) : fd;
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

/* Listens at all of them, all with the first one's port: fds[i], or -1 where that cannot be. */
static int listen_at_all(pirn_address *list, int n, const pirn_listen_config *config, int *fds)
{
    int port = 0, rc = -EADDRNOTAVAIL, done = 0;
    for (; done < n; done++) {
        if (port != 0)
            set_port(&list[done], port);
        int fd = pirn_listen_at(&list[done], config);
        fds[done] = fd >= 0 ? fd : -1;
        if (fd < 0 && !is_lacking(fd)) {
            rc = fd;
            break;
        }
        if (fd >= 0) {
            port = port != 0 ? port : pirn_local_port(fd);
            rc = 0;
        }
    }
    for (int i = 0; rc != 0 && i < done; i++) {
        if (fds[i] >= 0)
            sys_close(fds[i]);
    }
    return rc;
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
    for (int i = 0; rc == 0 && i < n; i++) {
        if (fds[i] < 0)
            continue;
        rc = pirn_listener_add(server, fds[i], NULL);
        for (int k = i + 1; rc != 0 && k < n; k++) {
            if (fds[k] >= 0)
                sys_close(fds[k]);
        }
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
    if (host != NULL)
        return listen_by_name(server, host, service, config, deadline);
    int fd = pirn_listen(NULL, service, config, deadline);
    return fd >= 0 ? pirn_listener_add(server, fd, NULL) : fd;
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
