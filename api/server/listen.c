/*
 * Where a server listens, as programs say it.
 *
 * All addresses of a name are bound first, with one port, and accepted at then, or none of them. A
 * port that the system has found free at the first may be taken at another: then it is asked for
 * another one, so often that only a machine without ports says no. (asyncio leaves each address a
 * port of its own.)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/server/server.h"
#include "io/sys.h"
#include "runtime/debug.h"

static int check(const char *call, const pirn_server *server)
{
    if (server == NULL)
        return pirn_misuse(call, -EINVAL, MISUSE_NULL);
    return pirn_current() != NULL ? 0 : pirn_misuse(call, -EPERM, MISUSE_NO_COROUTINE);
}

static int add(pirn_server *server, const int *fds, size_t n)
{
    return pirn_listeners_add(server, fds, n, NULL, (struct socket_file){0});
}

int pirn_server_add(pirn_server *server, int fd)
{
    int listens = 0, rc = check(__func__, server);
    socklen_t len = sizeof(listens);
    if (rc == 0)
        rc = sys_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
    if (rc != 0)
        return rc;
    return listens != 0 ? add(server, &fd, 1)
                        : pirn_misuse(__func__, -EINVAL, "the socket does not listen");
}

struct removal {
    const char *path;
    struct socket_file file;
};

static int run_removal(void *arg)
{
    const struct removal *r = arg;
    pirn_net_remove_socket(r->path, r->file);
    return 0;
}

static void take_back(const char *path, struct socket_file file)
{
    struct removal r = {path, file};
    bool shielded = pirn_shield_enter() == 0;
    if (pirn_blocking(run_removal, &r, NULL, PIRN_NEVER) != 0)
        run_removal(&r);
    if (shielded)
        pirn_shield_leave();
}

int pirn_server_listen_unix(pirn_server *server, const char *path, const pirn_listen_config *config,
                            pirn_time deadline)
{
    struct socket_file file;
    int rc = check(__func__, server);
    int fd = rc == 0 ? pirn_net_listen_unix(path, config, &file, deadline) : rc;
    if (fd < 0)
        return fd;
    const char *kept = path[0] != '@' ? path : NULL;
    rc = pirn_listeners_add(server, &fd, 1, kept, file);
    if (rc != 0 && kept != NULL)
        take_back(kept, file);
    if (rc != 0)
        sys_close(fd);
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

enum {
    PORTS_TRIED = 32
};

static void set_ports(pirn_address *list, int n, int port)
{
    for (int i = 0; i < n; i++)
        set_port(&list[i], port);
}

/* Listens at all of them, all with the first one's port: how many descriptors fds has then. */
static int listen_with_one_port(pirn_address *list, int n, const pirn_listen_config *config,
                                int *fds)
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
        if (done == 1)
            set_ports(list, n, pirn_local_port(fd));
    }
    return done != 0 ? done : -EADDRNOTAVAIL;
}

static bool has_port(const pirn_address *address)
{
    return (address->addr.any.sa_family == AF_INET6 ? address->addr.in6.sin6_port
                                                    : address->addr.in.sin_port) != 0;
}

static int listen_at_all(pirn_address *list, int n, const pirn_listen_config *config, int *fds)
{
    bool any_port = !has_port(&list[0]);
    int rc = listen_with_one_port(list, n, config, fds);
    for (int tried = 1; rc == -EADDRINUSE && any_port && tried < PORTS_TRIED; tried++) {
        set_ports(list, n, 0);
        rc = listen_with_one_port(list, n, config, fds);
    }
    return rc;
}

static int listen_by_name(pirn_server *server, const char *host, const char *service,
                          const pirn_listen_config *config, pirn_time deadline)
{
    pirn_resolve_config resolve = PIRN_RESOLVE_CONFIG_INIT;
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
        rc = add(server, fds, (size_t)listening);
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
    int rc = check(__func__, server);
    if (rc != 0)
        return rc;
    if (config != NULL && config->size != sizeof(*config))
        return pirn_misuse(__func__, -EINVAL, misuse_of_config(config->size, sizeof(*config), ""));
    if (host != NULL)
        return listen_by_name(server, host, service, config, deadline);
    int fd = pirn_listen(NULL, service, config, deadline);
    if (fd < 0)
        return fd;
    rc = add(server, &fd, 1);
    if (rc != 0)
        sys_close(fd);
    return rc;
}

/* ---- Where it listens ------------------------------------------------------------------------ */

int pirn_server_address(pirn_server *server, size_t i, pirn_address *ret_address)
{
    if (server == NULL || ret_address == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
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
