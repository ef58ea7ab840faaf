/*
 * Addresses as text, of sockets, and the few options that are worth a call.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "api/net/net.h"
#include "io/sys.h"

static int format_path(const pirn_address *a, char *ret_text, size_t size)
{
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t len = a->len > head ? a->len - head : 0;
    const char *path = a->addr.path.sun_path;
    if (len >
        sizeof(a->addr.path.sun_path)) /* a path that fills it: the kernel counts a NUL beyond */
        len = sizeof(a->addr.path.sun_path);
    if (len != 0 && path[0] == '\0')
        return snprintf(ret_text, size, "@%.*s", (int)len - 1, path + 1);
    return snprintf(ret_text, size, "%.*s", (int)strnlen(path, len), path);
}

static int format_in6(const struct sockaddr_in6 *in6, char *ret_text, size_t size)
{
    char number[INET6_ADDRSTRLEN], name[IF_NAMESIZE], zone[IF_NAMESIZE + 1] = "";
    inet_ntop(AF_INET6, &in6->sin6_addr, number, sizeof(number));
    if (in6->sin6_scope_id != 0) {
        if (if_indextoname(in6->sin6_scope_id, name) == NULL)
            snprintf(name, sizeof(name), "%u", in6->sin6_scope_id);
        snprintf(zone, sizeof(zone), "%%%s", name);
    }
    return snprintf(ret_text, size, "[%s%s]:%u", number, zone, ntohs(in6->sin6_port));
}

int pirn_address_text(const pirn_address *address, char *ret_text, size_t size)
{
    char number[INET_ADDRSTRLEN];
    int n;
    if (address == NULL || (ret_text == NULL && size != 0))
        return -EINVAL;
    if (address->len < sizeof(address->addr.any.sa_family))
        return -EAFNOSUPPORT;
    switch (address->addr.any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &address->addr.in.sin_addr, number, sizeof(number));
        n = snprintf(ret_text, size, "%s:%u", number, ntohs(address->addr.in.sin_port));
        break;
    case AF_INET6:
        n = format_in6(&address->addr.in6, ret_text, size);
        break;
    case AF_UNIX:
        n = format_path(address, ret_text, size);
        break;
    default:
        return -EAFNOSUPPORT;
    }
    return (size_t)n < size ? n : -ENOSPC;
}

int pirn_net_unix_address(const char *path, pirn_address *ret_address)
{
    struct sockaddr_un *un = &ret_address->addr.path;
    if (path == NULL || *path == '\0')
        return -EINVAL;
    size_t len = strlen(path);
    if (len >= sizeof(un->sun_path))
        return -ENAMETOOLONG;
    memset(ret_address, 0, sizeof(*ret_address));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len);
    if (*path == '@')
        un->sun_path[0] = '\0';
    /* an abstract name is all of its bytes: no NUL at its end */
    ret_address->len =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*path == '@' ? 0 : 1));
    return 0;
}

static int address_by(int (*call)(int, struct sockaddr *, socklen_t *), int fd,
                      pirn_address *ret_address)
{
    pirn_address a;
    memset(&a, 0, sizeof(a));
    a.len = sizeof(a.addr);
    int rc = call(fd, &a.addr.any, &a.len);
    if (rc == 0)
        *ret_address = a;
    return rc;
}

int pirn_local_address(int fd, pirn_address *ret_address)
{
    return ret_address != NULL ? address_by(sys_getsockname, fd, ret_address) : -EINVAL;
}

int pirn_peer_address(int fd, pirn_address *ret_address)
{
    return ret_address != NULL ? address_by(sys_getpeername, fd, ret_address) : -EINVAL;
}

int pirn_local_port(int fd)
{
    pirn_address a;
    int rc = pirn_local_address(fd, &a);
    if (rc != 0)
        return rc;
    switch (a.addr.any.sa_family) {
    case AF_INET:
        return ntohs(a.addr.in.sin_port);
    case AF_INET6:
        return ntohs(a.addr.in6.sin6_port);
    default:
        return -EAFNOSUPPORT;
    }
}

static int set_option(int fd, int level, int option, int value)
{
    return sys_setsockopt(fd, level, option, &value, sizeof(value));
}

int pirn_set_nodelay(int fd, bool on)
{
    return set_option(fd, IPPROTO_TCP, TCP_NODELAY, on);
}

int pirn_set_keepalive(int fd, int idle_s, int interval_s, int probes)
{
    if (idle_s < 0 || (idle_s != 0 && (interval_s <= 0 || probes <= 0)))
        return -EINVAL;
    int rc = 0;
    if (idle_s != 0) {
        rc = set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
        if (rc == 0)
            rc = set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s);
        if (rc == 0)
            rc = set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, probes);
    }
    return rc == 0 ? set_option(fd, SOL_SOCKET, SO_KEEPALIVE, idle_s != 0) : rc;
}
