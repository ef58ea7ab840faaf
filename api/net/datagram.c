/*
 * Datagrams, and descriptors over Unix sockets.
 *
 * Descriptors are received into room for as many as can be sent at once, whatever the caller wants:
 * so it is known how many came, and none is left to the kernel to drop or to the caller unasked.
 */
#include <errno.h>
#include <string.h>

#include "api/net/net.h"
#include "api/transfer.h"
#include "io/sys.h"

enum {
    FDS_MAX = 253,  /* the kernel's SCM_MAX_FD */
    SCM_A_PIDFD = 4 /* SCM_PIDFD, which older headers have not: the sender's, by SO_PASSPIDFD */
};

ssize_t pirn_recvfrom(int fd, void *buf, size_t n, int flags, pirn_address *ret_from,
                      pirn_time deadline)
{
    pirn_address from;
    struct iovec iov = {buf, n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (buf == NULL && n != 0)
        return -EINVAL;
    if (ret_from != NULL) {
        memset(&from, 0, sizeof(from));
        msg.msg_name = &from.addr;
        msg.msg_namelen = sizeof(from.addr);
    }
    ssize_t got = pirn_recvmsg(fd, &msg, flags, deadline);
    if (got < 0)
        return got;
    if (ret_from != NULL) {
        from.len = msg.msg_namelen; /* 0: a sender without a name */
        *ret_from = from;
    }
    return (msg.msg_flags & MSG_TRUNC) != 0 && (flags & MSG_TRUNC) == 0 ? -EMSGSIZE : got;
}

ssize_t pirn_sendto(int fd, const void *buf, size_t n, int flags, const pirn_address *to,
                    pirn_time deadline)
{
    struct iovec iov = {(void *)(uintptr_t)buf, n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (buf == NULL && n != 0)
        return -EINVAL;
    if (to == NULL)
        return pirn_sendmsg(fd, &msg, flags, deadline);
    msg.msg_name = (void *)(uintptr_t)&to->addr;
    msg.msg_namelen = to->len;
    if (to->addr.any.sa_family != AF_UNIX || (flags & MSG_DONTWAIT) != 0)
        return pirn_sendmsg(fd, &msg, flags, deadline);
    /* A Unix receiver's queue is full, and nothing tells when it has room again. */
    for (;;) {
        ssize_t sent = pirn_sendmsg(fd, &msg, flags | MSG_DONTWAIT, deadline);
        if (sent != -EAGAIN)
            return sent;
        if (is_past(deadline))
            return -ETIMEDOUT;
        int rc = pirn_sleep(earlier(pirn_after_ms(1), deadline));
        if (rc != 0)
            return rc;
    }
}

/* ---- Descriptors --------------------------------------------------------------------------- */

union control {
    struct cmsghdr head; /* for the alignment */
    /* besides, what a socket with SO_PASSCRED and SO_PASSPIDFD gets */
    char room[CMSG_SPACE(FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred)) +
              CMSG_SPACE(sizeof(int))];
};

ssize_t pirn_send_fds(int fd, const void *buf, size_t n, const int *fds, size_t count,
                      pirn_time deadline)
{
    struct wait w;
    union control control;
    struct iovec iov = {(void *)(uintptr_t)buf, n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    if (buf == NULL || n == 0 || fds == NULL || count == 0 || count > FDS_MAX)
        return -EINVAL;
    memset(&control, 0, sizeof(control));
    msg.msg_control = &control;
    msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    ssize_t sent = pirn_sendmsg(fd, &msg, 0, deadline);
    if (sent < 0 || (size_t)sent == n)
        return sent;
    ssize_t rest = pirn_send(fd, (const char *)buf + sent, n - (size_t)sent, 0, deadline);
    if (rest == -ECANCELED)
        pirn_wait_keep_cancel(&w);
    return rest > 0 ? sent + rest : sent;
}

/* Takes what came: how many, of which max are kept. The kernel's own word of the sender, which
 * nobody asked this call for, is closed. */
static size_t take_fds(struct msghdr *msg, int *ret_fds, size_t max)
{
    size_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (c->cmsg_level != SOL_SOCKET ||
            (c->cmsg_type != SCM_RIGHTS && c->cmsg_type != SCM_A_PIDFD))
            continue;
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (c->cmsg_type == SCM_A_PIDFD) {
                if (fd >= 0) /* else why there is none */
                    sys_close(fd);
                continue;
            }
            if (count++ < max)
                ret_fds[count - 1] = fd;
            else
                sys_close(fd);
        }
    }
    return count;
}

ssize_t pirn_recv_fds(int fd, void *buf, size_t n, int *ret_fds, size_t max, size_t *ret_count,
                      pirn_time deadline)
{
    union control control;
    struct iovec iov = {buf, n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (buf == NULL || n == 0 || (ret_fds == NULL && max != 0) || ret_count == NULL)
        return -EINVAL;
    msg.msg_control = &control;
    msg.msg_controllen = sizeof(control);
    ssize_t got = pirn_recvmsg(fd, &msg, MSG_CMSG_CLOEXEC, deadline);
    if (got < 0)
        return got;
    size_t count = take_fds(&msg, ret_fds, max);
    *ret_count = count < max ? count : max;
    return count > max || (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0 ? -EMSGSIZE : got;
}
