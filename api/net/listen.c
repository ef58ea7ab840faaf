/*
 * Sockets that listen, and UDP sockets.
 *
 * A Unix socket's path outlives who listened on it, and bind refuses one that is there. So if it is
 * in use it is asked, by the connect of a datagram socket: refused, nobody has that socket any
 * more, and it is taken away; else it is somebody's, who hears nothing of it, for the types do not
 * match. Whoever did the same meanwhile has put another file there, which the look right before the
 * unlink sees; that leaves some microseconds in which two that start at once may take each other's
 * away. (Rejected: a lock file, which stays. To bind at another path and link it: peers would be
 * told that path. asyncio takes any socket away, unasked.)
 *
 * Paths may be on a disk, or far away, and io_uring knows no bind (before Linux 6.11): a coroutine
 * has all that is done with one done by a thread of the runtime's blocking pool.
 */
#include <errno.h>
#include <sys/stat.h>

#include "api/net/net.h"
#include "api/transfer.h"
#include "io/sys.h"
#include "runtime/debug.h"

static const pirn_listen_config defaults = PIRN_LISTEN_CONFIG_INIT;

static bool is_sound(const pirn_listen_config *config)
{
    const unsigned known = PIRN_LISTEN_REUSEPORT | PIRN_LISTEN_NO_REUSEADDR | PIRN_LISTEN_V6ONLY;
    return config->size == sizeof(*config) && (config->flags & ~known) == 0 && config->backlog >= 0;
}

static int refuse(const char *call, const pirn_listen_config *config)
{
    return pirn_misuse(call, -EINVAL,
                       misuse_of_config(config->size, sizeof(*config),
                                        "the config has an unknown flag, or backlog < 0"));
}

static int backlog_of(const pirn_listen_config *config)
{
    return config->backlog != 0 ? config->backlog : INT32_MAX; /* the kernel cuts it: somaxconn */
}

static int set_option(int fd, int level, int option, bool on)
{
    int value = on;
    return sys_setsockopt(fd, level, option, &value, sizeof(value));
}

static int prepare(int fd, const pirn_address *address, const pirn_listen_config *config)
{
    unsigned flags = config->flags;
    int rc = 0;
    if ((flags & PIRN_LISTEN_NO_REUSEADDR) == 0)
        rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR, true);
    if (rc == 0 && (flags & PIRN_LISTEN_REUSEPORT) != 0)
        rc = set_option(fd, SOL_SOCKET, SO_REUSEPORT, true);
    if (rc == 0 && address->addr.any.sa_family == AF_INET6)
        rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, (flags & PIRN_LISTEN_V6ONLY) != 0);
    if (rc == 0)
        rc = sys_bind(fd, &address->addr.any, address->len);
    return rc == 0 ? sys_listen(fd, backlog_of(config)) : rc;
}

static int listen_at(const pirn_address *address, const pirn_listen_config *config)
{
    int family = address->addr.any.sa_family;
    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    int fd = sys_socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    int rc = prepare(fd, address, config);
    if (rc == 0)
        return fd;
    sys_close(fd);
    return rc;
}

int pirn_listen_at(const pirn_address *address, const pirn_listen_config *config)
{
    if (config == NULL)
        config = &defaults;
    if (address == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    return is_sound(config) ? listen_at(address, config) : refuse(__func__, config);
}

int pirn_listen(const char *host, const char *service, const pirn_listen_config *config,
                pirn_time deadline)
{
    pirn_resolve_config resolve = PIRN_RESOLVE_CONFIG_INIT;
    pirn_address *list = NULL;
    if (config == NULL)
        config = &defaults;
    if (!is_sound(config))
        return refuse(__func__, config);
    if (config->resolve != NULL)
        resolve = *config->resolve;
    resolve.flags |= PIRN_RESOLVE_PASSIVE;
    int n = pirn_resolve(host, service, &resolve, &list, deadline);
    if (n < 0)
        return n;
    int rc = -EADDRNOTAVAIL;
    /* the next one only if this machine has no such address: not if that is taken */
    for (int i = 0; i < n && (rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT); i++)
        rc = listen_at(&list[i], config);
    pirn_addresses_free(list);
    return rc;
}

int pirn_udp(int family, const pirn_address *address)
{
    if (address != NULL)
        family = address->addr.any.sa_family;
    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    int fd = sys_socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc = fd >= 0 && address != NULL ? sys_bind(fd, &address->addr.any, address->len) : 0;
    if (rc == 0)
        return fd;
    sys_close(fd);
    return rc;
}

/* ---- Unix ---------------------------------------------------------------------------------- */

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* 0: what lay at path was a socket nobody has, and is gone. */
static int remove_stale(const char *path, const pirn_address *address)
{
    struct stat before, now;
    int rc = sys_fstatat(AT_FDCWD, path, &before, AT_SYMLINK_NOFOLLOW);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    if (!S_ISSOCK(before.st_mode))
        return -EADDRINUSE;
    int fd = sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    rc = sys_connect(fd, &address->addr.any, address->len);
    sys_close(fd);
    if (rc != -ECONNREFUSED)
        return -EADDRINUSE;
    rc = sys_fstatat(AT_FDCWD, path, &now, AT_SYMLINK_NOFOLLOW);
    if (rc == 0 && !is_same(&before, &now))
        return -EADDRINUSE;
    if (rc == 0)
        rc = sys_unlinkat(AT_FDCWD, path, 0);
    return rc == -ENOENT ? 0 : rc;
}

struct place {
    const char *path;
    const pirn_address *address;
    int backlog;
    struct stat st; /* what was bound there */
};

/* The descriptor, or -errno. May wait for a disk, and be called on the pool. */
static int listen_at_path(void *arg)
{
    struct place *place = arg;
    const pirn_address *address = place->address;
    bool is_abstract = *place->path == '@';
    int fd = sys_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    int rc = sys_bind(fd, &address->addr.any, address->len);
    if (rc == -EADDRINUSE && !is_abstract) {
        rc = remove_stale(place->path, address);
        if (rc == 0)
            rc = sys_bind(fd, &address->addr.any, address->len);
    }
    if (rc == 0)
        rc = sys_listen(fd, place->backlog);
    if (rc == 0 && !is_abstract)
        sys_fstatat(AT_FDCWD, place->path, &place->st, AT_SYMLINK_NOFOLLOW);
    if (rc == 0)
        return fd;
    sys_close(fd);
    return rc;
}

int pirn_net_listen_unix(const char *path, const pirn_listen_config *config,
                         struct socket_file *ret_file, pirn_time deadline)
{
    struct wait w;
    pirn_address address;
    int fd, rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    if (config == NULL)
        config = &defaults;
    rc = is_sound(config) ? pirn_net_unix_address(path, &address)
                          : refuse("pirn_listen_unix", config);
    if (rc != 0)
        return rc;
    struct place place = {path, &address, backlog_of(config), {0}};
    if (w.task == NULL || *path == '@')
        fd = listen_at_path(&place);
    else if ((rc = pirn_blocking(listen_at_path, &place, &fd, deadline)) != 0)
        return rc;
    if (fd >= 0)
        *ret_file = (struct socket_file){place.st.st_dev, place.st.st_ino};
    return fd;
}

int pirn_listen_unix(const char *path, const pirn_listen_config *config, pirn_time deadline)
{
    struct socket_file file;
    return pirn_net_listen_unix(path, config, &file, deadline);
}

void pirn_net_remove_socket(const char *path, struct socket_file file)
{
    struct stat st;
    if (sys_fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == file.dev &&
        st.st_ino == file.ino)
        sys_unlinkat(AT_FDCWD, path, 0);
}
