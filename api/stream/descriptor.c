/*
 * A descriptor as a stream's transport.
 *
 * The number may be another file's as soon as it is closed, so no call may begin after that, or be
 * about to: each counts itself in and out. A close
 *   1. sets CLOSED: whoever comes later is sent away
 *   2. ends the operations that are under way, again and again until everybody is out: one that was
 *      counted in before may begin its operation only now. (Of a descriptor that stays open it ends
 *      the stream's own alone.)
 *   3. closes.
 * A coroutine of a paused runtime that is inside gets out when that runs again, and the close waits
 * for it.
 *
 * That a connection broke the kernel tells once, to whoever asks first; after that a send finds a
 * broken pipe, and a receive the end. So what a write was told is kept (broken), and told to the
 * read that finds an end. A write that is inside may have been told and not said so yet: with both
 * ways shut it does not wait for anything, and the read waits for it. -ETIMEDOUT before the
 * deadline is the kernel's, and means such an end: it becomes -ECONNABORTED, for who gets
 * -ETIMEDOUT may try again. So what has no time to wait is a try of its own, where there is no
 * other -ETIMEDOUT.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "api/stream/stream.h"
#include "api/transfer.h"
#include "io/sys.h"
#include "runtime/registry.h"

#define CLOSED (1u << 31) /* in users */

int pirn_descriptor_init(struct descriptor *d, int fd, bool keep)
{
    struct stat st;
    int yes = 1;
    int rc = fd >= 0 ? sys_fstat(fd, &st) : -EBADF;
    if (rc != 0)
        return rc;
    *d = (struct descriptor){.fd = fd, .keep = keep};
    d->is_socket = S_ISSOCK(st.st_mode);
    d->is_pipe = S_ISFIFO(st.st_mode);
    int flags = d->is_pipe ? sys_fcntl(fd, F_GETFL, 0) : 0;
    if (flags < 0)
        return flags;
    d->one_way = d->is_pipe && (flags & O_ACCMODE) == O_WRONLY;
    if (d->is_socket) /* writes are put together by who writes them; others have no such option */
        sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    return 0;
}

static bool enter(struct descriptor *d)
{
    /* acquire: pairs with the release in fd_close, of whoever was told to stay away */
    if ((atomic_fetch_add_explicit(&d->users, 1, memory_order_acquire) & CLOSED) == 0)
        return true;
    atomic_fetch_sub_explicit(&d->users, 1, memory_order_relaxed);
    return false;
}

static void leave(struct descriptor *d)
{
    /* release: pairs with the acquire of who closes and finds nobody inside */
    atomic_fetch_sub_explicit(&d->users, 1, memory_order_release);
}

static ssize_t told(const struct descriptor *d, ssize_t got, pirn_time deadline)
{
    return got == -ETIMEDOUT && d->is_socket && !is_past(deadline) ? -ECONNABORTED : got;
}

static void begin_write(struct descriptor *d)
{
    /* relaxed: a receive that finds an end because of what the write was told comes after it, by
     * the socket's lock */
    atomic_store_explicit(&d->writing, true, memory_order_relaxed);
}

/* What the write got. -EPIPE says nothing: it is also what a peer's end and close lead to. */
static ssize_t end_write(struct descriptor *d, ssize_t got, pirn_time deadline)
{
    got = told(d, got, deadline);
    if (got < 0 && d->is_socket && got != -EPIPE && got != -EBADF && !pirn_stream_may_retry(got))
        atomic_store_explicit(&d->broken, (int)got, memory_order_relaxed);
    /* release: pairs with the acquire in end_of */
    atomic_store_explicit(&d->writing, false, memory_order_release);
    return got;
}

static bool is_hung_up(int fd)
{
    struct pollfd p = {fd, 0, 0};
    return sys_poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0;
}

/* A receive has found one: 0, or what ended the connection; -EAGAIN: a write that knows is about to
 * say so. */
static int end_of(const struct descriptor *d)
{
    /* acquire: pairs with the release in end_write */
    if (atomic_load_explicit(&d->writing, memory_order_acquire) && is_hung_up(d->fd))
        return -EAGAIN;
    return atomic_load_explicit(&d->broken, memory_order_relaxed);
}

static ssize_t read_socket(struct descriptor *d, void *buf, size_t n, pirn_time deadline)
{
    for (;;) {
        bool past = is_past(deadline);
        ssize_t got = past ? pirn_transfer_try_read(d->fd, true, buf, n)
                           : pirn_recv(d->fd, buf, n, 0, deadline);
        if (got == 0)
            got = end_of(d);
        if (got != -EAGAIN)
            return told(d, got, past ? PIRN_NEVER : deadline);
        int rc = past ? -ETIMEDOUT : pirn_sleep(pirn_after_us(50));
        if (rc != 0)
            return rc;
    }
}

static ssize_t fd_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    struct descriptor *d = self;
    if (!enter(d))
        return -EBADF;
    atomic_store_explicit(&d->who.reader, pirn_current_task(), memory_order_relaxed);
    ssize_t got =
        d->is_socket ? read_socket(d, buf, n, deadline) : pirn_read(d->fd, buf, n, deadline);
    atomic_store_explicit(&d->who.reader, NULL, memory_order_relaxed);
    leave(d);
    return got;
}

static ssize_t direct_write(const struct args *a)
{
    struct iovec iov = {(void *)(uintptr_t)a->addr, clamp(a->len)};
    return soften(sys_pwritev2(a->fd, &iov, 1, -1, RWF_NOWAIT));
}

/* What there is room for, once there is some. */
static ssize_t write_pipe(int fd, const void *buf, size_t n, pirn_time deadline)
{
    struct wait w;
    struct args a = {OP_WRITE, fd, buf, n, 0, UINT64_MAX};
    int rc = pirn_transfer_begin(&w, fd, buf, n);
    if (rc != 0)
        return rc;
    ssize_t sent = pirn_transfer_one(&w, "write", &a, direct_write, POLLOUT, deadline);
    pirn_transfer_end(&w);
    return sent;
}

static ssize_t fd_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    struct descriptor *d = self;
    ssize_t got;
    if (!enter(d))
        return -EBADF;
    struct iovec iov = {(void *)(uintptr_t)buf, n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    bool at_once = d->is_socket && is_past(deadline); /* see the head */
    /* Not pirn_send and pirn_write, which end with the last byte: who looks at what is pending sees
     * it move. */
    begin_write(d);
    atomic_store_explicit(&d->who.writer, pirn_current_task(), memory_order_relaxed);
    if (at_once)
        got = pirn_transfer_try_write(d->fd, true, &iov, 1);
    else if (d->is_socket)
        got = pirn_sendmsg(d->fd, &msg, 0, deadline);
    else if (d->is_pipe)
        got = write_pipe(d->fd, buf, n, deadline);
    else
        got = pirn_write(d->fd, buf, n, deadline);
    atomic_store_explicit(&d->who.writer, NULL, memory_order_relaxed);
    got = end_write(d, got, at_once ? PIRN_NEVER : deadline);
    leave(d);
    return at_once && got == -EAGAIN ? -ETIMEDOUT : got;
}

static ssize_t fd_try_read(void *self, void *buf, size_t n)
{
    struct descriptor *d = self;
    if (!enter(d))
        return -EBADF;
    ssize_t got = pirn_transfer_try_read(d->fd, d->is_socket, buf, n);
    if (got == 0 && d->is_socket)
        got = end_of(d);
    leave(d);
    return told(d, got, PIRN_NEVER);
}

static ssize_t fd_try_write(void *self, const struct iovec *iov, int count)
{
    struct descriptor *d = self;
    if (!enter(d))
        return -EBADF;
    begin_write(d);
    ssize_t got = pirn_transfer_try_write(d->fd, d->is_socket, iov, count);
    got = end_write(d, got, PIRN_NEVER);
    leave(d);
    return got;
}

static int fd_close(void *self)
{
    struct descriptor *d = self;
    /* acq_rel: see enter and leave */
    uint32_t users = atomic_fetch_or_explicit(&d->users, CLOSED, memory_order_acq_rel);
    if ((users & CLOSED) != 0)
        return 0;
    struct pirn_task *t = pirn_current_task();
    if (t != NULL)
        pirn_task_shield(t);
    /* acquire: see leave */
    while ((atomic_load_explicit(&d->users, memory_order_acquire) & ~CLOSED) != 0) {
        pirn_registry_stop_fd(d->fd, d->keep ? &d->who : NULL);
        if (pirn_sleep(pirn_after_us(50)) != 0)
            pirn_wait_give_way(); /* in a shutdown past its grace */
    }
    int rc = d->keep ? 0 : pirn_close(d->fd);
    if (t != NULL)
        pirn_task_unshield(t);
    return rc;
}

static int fd_end(void *self, pirn_time deadline)
{
    struct descriptor *d = self;
    (void)deadline;
    if (d->one_way && !d->keep)
        return fd_close(d);
    if (!d->is_socket)
        return -EOPNOTSUPP;
    if (!enter(d))
        return -EBADF;
    int rc = sys_shutdown(d->fd, SHUT_WR);
    int broken = atomic_load_explicit(&d->broken, memory_order_relaxed);
    leave(d);
    return rc != -ENOTCONN ? rc : broken < 0 ? broken : -EPIPE; /* the peer has reset it */
}

static int fd_fd(void *self)
{
    struct descriptor *d = self;
    /* relaxed: it may be closed a moment later as well */
    return (atomic_load_explicit(&d->users, memory_order_relaxed) & CLOSED) == 0 ? d->fd : -EBADF;
}

static void fd_free(void *self)
{
    struct descriptor *d = self;
    if (fd_fd(d) >= 0 && !d->keep)
        sys_close(d->fd);
}

const pirn_transport pirn_descriptor_ops = {
    sizeof(pirn_transport), fd_read, fd_write, fd_end, fd_close, fd_fd, fd_free, fd_try_read,
    fd_try_write,           NULL,    NULL,
};
