/*
 * System calls that make and name sockets, wait for several descriptors, and send files; under the
 * contract of sys.c, which has those that move bytes.
 */
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/sys.h"
#include "io/sys_internal.h"

int sys_socket(int family, int type, int protocol)
{
    INJECT(socket);
    return result_int(socket(family, type, protocol));
}

int sys_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    INJECT(bind);
    return result_int(bind(fd, addr, len));
}

int sys_listen(int fd, int backlog)
{
    INJECT(listen);
    return result_int(listen(fd, backlog));
}

int sys_getsockname(int fd, struct sockaddr *ret_addr, socklen_t *ret_len)
{
    INJECT(getsockname);
    return result_int(getsockname(fd, ret_addr, ret_len));
}

int sys_getpeername(int fd, struct sockaddr *ret_addr, socklen_t *ret_len)
{
    INJECT(getpeername);
    return result_int(getpeername(fd, ret_addr, ret_len));
}

ssize_t sys_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *ret_addr,
                     socklen_t *ret_len)
{
    INJECT(recvfrom);
    return result(recvfrom(fd, buf, n, flags, ret_addr, ret_len));
}

/* ---- Several descriptors at once ----------------------------------------------------------- */

int sys_epoll_create(void)
{
    INJECT(epoll_create);
    return result_int(epoll_create1(EPOLL_CLOEXEC));
}

int sys_epoll_add(int epoll_fd, int fd, unsigned events)
{
    INJECT(epoll_add);
    struct epoll_event event = {.events = events, .data.fd = fd};
    return result_int(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event));
}

ssize_t sys_sendfile(int out_fd, int in_fd, off_t *offset, size_t n)
{
    INJECT(sendfile);
    return result(sendfile(out_fd, in_fd, offset, n));
}

int64_t sys_cached_pages(int fd, uint64_t offset, uint64_t n)
{
    enum {
        CACHESTAT = 451 /* as everywhere since 5.3; Debian 12's headers do not have it */
    };
    struct {
        uint64_t offset, n;
    } range = {offset, n};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } pages = {0};
    INJECT(cached_pages);
    int rc = result_int(syscall(CACHESTAT, fd, &range, &pages, 0));
    return rc < 0 ? rc : (int64_t)pages.cached;
}
