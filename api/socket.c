/*
 * Sockets: recv, send, their msg forms, accept, connect.
 *
 * Every accept is a request of its own. One that finds nobody is dear: the kernel makes a socket
 * first, and takes it apart again, 3.8 us, where a poll is 0.25. So who was told by the last accept
 * that nobody else was waiting there polls first (Linux 6.10). What was told is kept in the task's
 * operation, as receives keep theirs (transfer.c). A server's CPU for connections with one message
 * each, which come 64, 8 or 1 at a time, over what it is without; one worker, medians of 5 to 10
 * pairs, which vary by 5% (8 at a time by 10%):
 *
 *                                      bare ring              pirn_server
 *   polls first                        0.91  0.96  0.84       0.97  1.02  0.85
 *   multishot, and a getpeername       0.94  0.94  0.77       0.98  0.99  0.87
 *   accept4, a poll if nobody is there                        1.05  1.14  0.82
 *
 * Rejected: the two others. A multishot accept takes connections that nobody has asked for. A
 * server with a limit leaves those in the backlog, as one does that shares the socket with other
 * processes; in a paused runtime it would go on; and a thread could not end that has submitted one.
 * It does not tell who has come. For that it gives no more than the poll.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "api/transfer.h"
#include "io/sys.h"

static ssize_t direct_recv(const struct args *a)
{
    return sys_recv(a->fd, (void *)(uintptr_t)a->addr, clamp(a->len), (int)a->flags | MSG_DONTWAIT);
}

/* MSG_WAITALL means nothing to the others: what comes next is another message. */
static bool is_stream(int fd)
{
    int type = 0;
    socklen_t len = sizeof(type);
    return sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static ssize_t recv_all(struct wait *w, struct args *a, pirn_time deadline)
{
    size_t n = a->len;
    ssize_t got = pirn_transfer_one(w, "recv", a, direct_recv, POLLIN, deadline);
    if (got <= 0 || (size_t)got >= n || !is_stream(a->fd))
        return got;
    a->addr = (const char *)a->addr + got;
    a->len = n - (size_t)got;
    pirn_wait_renew(w);
    if (pirn_transfer_stay(w, a->fd, false) != 0)
        return got;
    ssize_t more = pirn_transfer_all(w, "recv", a, direct_recv, POLLIN, deadline);
    if (more == -ECANCELED)
        pirn_wait_keep_cancel(w);
    return more > 0 ? got + more : got;
}

ssize_t pirn_recv(int fd, void *buf, size_t n, int flags, pirn_time deadline)
{
    struct wait w;
    struct args a = {OP_RECV, fd, buf, n, (unsigned)flags, OP_POLL_FIRST};
    int rc = pirn_transfer_begin(&w, fd, buf, n);
    if (rc != 0)
        return rc;
    if ((flags & MSG_DONTWAIT) != 0)
        return direct_recv(&a);
    ssize_t got = (flags & MSG_WAITALL) != 0 && (flags & (MSG_PEEK | MSG_ERRQUEUE)) == 0
                      ? recv_all(&w, &a, deadline)
                      : pirn_transfer_one(&w, "recv", &a, direct_recv, POLLIN, deadline);
    pirn_transfer_end(&w);
    return got;
}

static ssize_t direct_send(const struct args *a)
{
    return sys_send(a->fd, a->addr, clamp(a->len), (int)a->flags | MSG_DONTWAIT);
}

ssize_t pirn_send(int fd, const void *buf, size_t n, int flags, pirn_time deadline)
{
    struct wait w;
    struct args a = {OP_SEND, fd, buf, n, (unsigned)flags | MSG_NOSIGNAL, 0};
    int rc = pirn_transfer_begin(&w, fd, buf, n);
    if (rc != 0)
        return rc;
    if ((flags & MSG_DONTWAIT) != 0)
        return direct_send(&a);
    ssize_t sent = pirn_transfer_all(&w, "send", &a, direct_send, POLLOUT, deadline);
    pirn_transfer_end(&w);
    return sent;
}

static ssize_t direct_recvmsg(const struct args *a)
{
    return sys_recvmsg(a->fd, (struct msghdr *)(uintptr_t)a->addr, (int)a->flags | MSG_DONTWAIT);
}

/* n bytes of the pieces have come, and the control messages are behind one another. */
static void advance(struct msghdr *rest, size_t control_room, size_t n)
{
    rest->msg_name = NULL;
    if (rest->msg_controllen != 0)
        rest->msg_control = (char *)rest->msg_control + rest->msg_controllen;
    rest->msg_controllen = control_room - rest->msg_controllen;
    while (rest->msg_iovlen != 0 && n >= rest->msg_iov->iov_len) {
        n -= rest->msg_iov->iov_len;
        rest->msg_iov++;
        rest->msg_iovlen--;
    }
    if (n != 0) {
        rest->msg_iov->iov_base = (char *)rest->msg_iov->iov_base + n;
        rest->msg_iov->iov_len -= n;
    }
}

/* MSG_WAITALL on a plain thread. (In a coroutine the ring does it.) */
static ssize_t recvmsg_all(struct wait *w, struct args *a, struct msghdr *msg, pirn_time deadline)
{
    struct msghdr rest = *msg;
    struct iovec *iov = calloc(msg->msg_iovlen + 1, sizeof(*iov));
    ssize_t got, done = 0;
    if (iov == NULL)
        return -ENOMEM;
    if (msg->msg_iovlen != 0)
        memcpy(iov, msg->msg_iov, msg->msg_iovlen * sizeof(*iov));
    rest.msg_iov = iov;
    a->addr = &rest;
    do {
        size_t room = rest.msg_controllen;
        got = pirn_transfer_one(w, "recvmsg", a, direct_recvmsg, POLLIN, deadline);
        if (got < 0)
            break;
        if (done == 0)
            msg->msg_namelen = rest.msg_namelen;
        msg->msg_flags = rest.msg_flags | (done != 0 ? msg->msg_flags : 0);
        done += got;
        advance(&rest, room, (size_t)got);
    } while (got > 0 && rest.msg_iovlen != 0 && pirn_transfer_stay(w, a->fd, false) == 0 &&
             is_stream(a->fd));
    if (done != 0 || got == 0)
        msg->msg_controllen -= rest.msg_controllen; /* what is left of the room */
    free(iov);
    return done != 0 ? done : got;
}

ssize_t pirn_recvmsg(int fd, struct msghdr *msg, int flags, pirn_time deadline)
{
    struct wait w;
    struct args a = {OP_RECVMSG, fd, msg, 1, (unsigned)flags, OP_POLL_FIRST};
    int rc = pirn_transfer_begin(&w, fd, msg, 1);
    if (rc != 0)
        return rc;
    if ((flags & MSG_DONTWAIT) != 0)
        return direct_recvmsg(&a);
    bool all = (flags & MSG_WAITALL) != 0 && (flags & (MSG_PEEK | MSG_ERRQUEUE)) == 0;
    ssize_t got =
        all && w.task == NULL
            ? recvmsg_all(&w, &a, msg, deadline)
            : pirn_transfer_one(&w, "recvmsg", &a, all ? NULL : direct_recvmsg, POLLIN, deadline);
    pirn_transfer_end(&w);
    return got;
}

static ssize_t direct_sendmsg(const struct args *a)
{
    return sys_sendmsg(a->fd, (const struct msghdr *)a->addr, (int)a->flags | MSG_DONTWAIT);
}

ssize_t pirn_sendmsg(int fd, const struct msghdr *msg, int flags, pirn_time deadline)
{
    struct wait w;
    struct args a = {OP_SENDMSG, fd, msg, 1, (unsigned)flags | MSG_NOSIGNAL, 0};
    int rc = pirn_transfer_begin(&w, fd, msg, 1);
    if (rc != 0)
        return rc;
    if ((flags & MSG_DONTWAIT) != 0)
        return direct_sendmsg(&a);
    ssize_t sent = pirn_transfer_one(&w, "sendmsg", &a, direct_sendmsg, POLLOUT, deadline);
    pirn_transfer_end(&w);
    return sent;
}

/* accept(2) has no flag for "do not wait": ask poll first. */
static ssize_t direct_accept(const struct args *a)
{
    struct pollfd p = {a->fd, POLLIN, 0};
    int n = sys_poll(&p, 1, 0);
    if (n <= 0)
        return n == 0 ? -EAGAIN : n;
    if ((p.revents & POLLNVAL) != 0)
        return -EBADF;
    return sys_accept4(a->fd, (struct sockaddr *)(uintptr_t)a->addr, (socklen_t *)(uintptr_t)a->off,
                       (int)a->flags);
}

/* See the head. A deadline that has passed means one try. */
static int accept_in_task(struct wait *w, struct args *a, pirn_time deadline)
{
    struct op *op = &w->task->op;
    if (op->kind == OP_ACCEPT && op->addr == (uint64_t)a->fd && op->off != OP_MORE &&
        !is_past(deadline))
        a->len = OP_POLL_FIRST;
    int fd = pirn_transfer_submit(w, "accept", a, deadline);
    op->addr = (uint64_t)a->fd;
    op->off = op->off == OP_MORE ? OP_MORE : 0;
    return fd;
}

int pirn_accept(int fd, struct sockaddr *ret_addr, socklen_t *ret_len, int flags,
                pirn_time deadline)
{
    struct wait w;
    struct args a = {
        OP_ACCEPT, fd, ret_addr, 0, (unsigned)flags | SOCK_CLOEXEC, (uint64_t)(uintptr_t)ret_len};
    int rc = pirn_transfer_begin(&w, fd, NULL, 0);
    if (rc != 0)
        return rc;
    if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0 || (ret_addr != NULL && ret_len == NULL))
        return -EINVAL;
    rc = w.task != NULL ? accept_in_task(&w, &a, deadline)
                        : (int)pirn_transfer_one(&w, "accept", &a, direct_accept, POLLIN, deadline);
    pirn_transfer_end(&w);
    return rc;
}

/* A connect was stopped. It may have come through all the same; if not, the socket goes back to
 * what it was, so that the call did not happen. */
static int settle_connect(struct wait *w, int fd, int why)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0) {
        if (why == -ECANCELED)
            pirn_wait_keep_cancel(w);
        return 0;
    }
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    sys_connect(fd, &none, sizeof(none));
    return why;
}

struct target {
    int fd;
    const struct sockaddr *addr;
    socklen_t len;
};

/* connect(2) as if the descriptor did not block. */
static int connect_now(void *arg)
{
    const struct target *t = arg;
    int old = sys_fcntl(t->fd, F_GETFL, 0);
    if (old < 0)
        return old;
    sys_fcntl(t->fd, F_SETFL, old | O_NONBLOCK);
    int rc = sys_connect(t->fd, t->addr, t->len);
    sys_fcntl(t->fd, F_SETFL, old);
    return rc;
}

static int connect_thread(struct wait *w, struct target *t, pirn_time deadline)
{
    int rc = connect_now(t);
    if (rc != -EINPROGRESS)
        return rc;
    rc = pirn_transfer_stay(w, t->fd, true);
    if (rc == 0)
        rc = pirn_fd_wait(t->fd, POLLOUT, deadline.ns);
    if (rc < 0)
        return rc;
    rc = sys_connect(t->fd, t->addr, t->len); /* says how it went, and finishes it */
    return rc == -EISCONN ? 0 : rc;
}

static bool has_path(const struct target *t)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)t->addr;
    return t->len > offsetof(struct sockaddr_un, sun_path) && un->sun_family == AF_UNIX &&
           un->sun_path[0] != '\0';
}

/* In a coroutine. The ring would look a path up while the worker is inside io_uring_enter, and that
 * may take as long as a disk or a server of files takes: so it is for the pool. That is 14 us
 * beside a connect's 10. (Where there is no thread to be had, or no time to wait for one, it is the
 * ring all the same.) */
static int connect_task(struct wait *w, const struct args *a, struct target *t, pirn_time deadline)
{
    if (has_path(t) && !is_past(deadline)) {
        pirn_transfer_end(w); /* a close does not wait for the path */
        int status, rc = pirn_blocking(connect_now, t, &status, deadline);
        if (rc != -EAGAIN && rc != -ENOMEM)
            return rc == 0 ? status : rc;
        pirn_wait_renew(w);
    }
    int rc = pirn_transfer_stay(w, a->fd, true);
    return rc != 0 ? rc : pirn_transfer_submit(w, "connect", a, deadline);
}

static int try_to_connect(struct wait *w, const struct args *a, struct target *t,
                          pirn_time deadline)
{
    int rc;
    for (;;) {
        rc = w->task != NULL ? connect_task(w, a, t, deadline) : connect_thread(w, t, deadline);
        if (rc != -EAGAIN)
            break;
        /* A Unix socket's listener has a full queue, and nothing tells when it has room again. */
        pirn_time again = pirn_after_ms(1);
        rc = pirn_sleep(again.ns < deadline.ns ? again : deadline);
        if (rc != 0 || is_past(deadline))
            return rc != 0 ? rc : -ETIMEDOUT;
        pirn_wait_renew(w);
    }
    if (rc == -ECANCELED || rc == -ETIMEDOUT || rc == -ESHUTDOWN)
        rc = settle_connect(w, t->fd, rc);
    return rc;
}

int pirn_connect(int fd, const struct sockaddr *addr, socklen_t len, pirn_time deadline)
{
    struct wait w;
    struct args a = {OP_CONNECT, fd, addr, len, 0, 0};
    struct target t = {fd, addr, len};
    int rc = pirn_transfer_begin(&w, fd, addr, len);
    if (rc != 0)
        return rc;
    rc = try_to_connect(&w, &a, &t, deadline);
    pirn_transfer_end(&w);
    return rc;
}
