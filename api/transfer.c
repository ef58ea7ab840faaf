/*
 * What all I/O calls share; see transfer.h.
 */
#include "api/transfer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "io/sys.h"
#include "runtime/runtime.h"

int pirn_transfer_begin(struct wait *w, int fd, const void *buf, size_t n)
{
    w->closes = fd_closes(fd);
    int rc = pirn_wait_enter(w);
    if (rc != 0)
        return rc;
    if (fd < 0)
        return -EBADF;
    return n > SSIZE_MAX || (buf == NULL && n != 0) ? -EINVAL : 0;
}

int pirn_transfer_stay(struct wait *w, int fd, bool to_write)
{
    if (w->task != NULL)
        pirn_wait_stay_on_fd(w->task, fd, to_write);
    else
        pirn_fd_wait_begin(fd);
    return fd_is_another(fd, w->closes) ? -EBADF : 0;
}

int pirn_transfer_submit(struct wait *w, const char *what, const struct args *a, pirn_time deadline)
{
    struct op *op = &w->task->op;
    op->kind = (uint8_t)a->kind;
    op->addr = (uint64_t)(uintptr_t)a->addr;
    op->len = clamp(a->len);
    op->flags = a->flags;
    op->off = a->off;
    return pirn_wait_op(w, what, a->fd, deadline.ns);
}

/*
 * A receive that had to wait the last times will have to wait again: a request is answered before
 * the next one comes. Then the direct attempt is a system call for nothing (half a microsecond of
 * the five that an echoed message costs). How often in a row it was so is kept in the task's
 * operation between two receives on the same descriptor; some other operation in between forgets
 * it.
 */
enum {
    WAITS_ENOUGH = 2, /* then straight to the ring, */
    WAITS_ASK = 16    /* but one attempt in so many, for it may have become a burst */
};

static unsigned waits_in_a_row(const struct wait *w, const struct args *a)
{
    const struct op *op = &w->task->op;
    bool same = op->kind == a->kind && op->addr == (uint64_t)a->fd && op->flags == a->flags;
    return same ? (unsigned)op->off : 0;
}

/*
 * Of several that wait for one socket's messages, or read one pipe, each message wakes all. Who is
 * late for 128 of them is given to a kernel helper thread, of which there are few, and one that
 * waits for a socket where nothing comes keeps it from others, for which something has. So while
 * there may be others (the count is of all descriptors of its kind) one waits by a poll; but the
 * first in the ring, for who is alone is quicker there. Streams have one reader.
 */
static bool may_have_company(const struct wait *w, int fd)
{
    /* relaxed: a hint */
    uint32_t count = atomic_load_explicit(&pirn_fd_use_of(&w->task->rt->fd_ops, fd)->count,
                                          memory_order_relaxed);
    return count != (task_fd(w->task) == fd);
}

static bool has_company(const struct wait *w, int fd)
{
    int type = SOCK_STREAM;
    socklen_t len = sizeof(type);
    return may_have_company(w, fd) && sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
           type != SOCK_STREAM;
}

/* For a file, of which poll says that it is ready, the ring waits; what has no type is an eventfd,
 * say. */
static bool has_reading_company(const struct wait *w, int fd)
{
    struct stat st;
    return may_have_company(w, fd) && sys_fstat(fd, &st) == 0 &&
           (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || (st.st_mode & S_IFMT) == 0);
}

static __attribute__((noinline)) ssize_t receive_by_ring(struct wait *w, const char *what,
                                                         const struct args *a, unsigned waits,
                                                         pirn_time deadline)
{
    struct op *op = &w->task->op;
    if (has_company(w, a->fd))
        return CANNOT_SAY;
    int rc = pirn_transfer_stay(w, a->fd, false);
    if (rc != 0)
        return rc;
    ssize_t n = pirn_transfer_submit(w, what, a, deadline);
    op->addr = (uint64_t)a->fd;
    op->off = op->off == OP_MORE ? 0 : waits + 1;
    return n;
}

static ssize_t receive(struct wait *w, const char *what, const struct args *a, direct_fn direct,
                       pirn_time deadline)
{
    struct op *op = &w->task->op;
    unsigned waits = waits_in_a_row(w, a);
    if (waits < WAITS_ENOUGH || waits % WAITS_ASK == 0 || is_past(deadline)) {
        ssize_t n;
        do {
            n = direct(a);
        } while (n == -EINTR);
        if (n != -EAGAIN) {
            if (waits != 0)
                op->off = 0;
            return n;
        }
        if (is_past(deadline))
            return -ETIMEDOUT;
    }
    return receive_by_ring(w, what, a, waits, deadline);
}

/* What is ready for a byte need not be for all, and Linux (6.10 on) waits inline for a terminal.
 * Not so for a file, whose writes it hands to a thread itself, one that knows of the order of such
 * writes. */
static bool may_wait_inline(const struct args *a)
{
    struct stat st;
    return (a->kind == OP_WRITE || a->kind == OP_WRITEV) &&
           (sys_fstat(a->fd, &st) != 0 || !S_ISREG(st.st_mode));
}

/* Through the ring. A write without a position leaves behind where that was (see_to_position,
 * api/file). */
static ssize_t submit_one(struct wait *w, const char *what, struct args *a, pirn_time deadline)
{
    bool moves_on = (a->kind == OP_WRITE || a->kind == OP_WRITEV) && a->off == UINT64_MAX;
    off_t before = moves_on ? sys_lseek(a->fd, 0, SEEK_CUR) : -1;
    ssize_t n = pirn_transfer_submit(w, what, a, deadline);
    if (before >= 0)
        a->off = (uint64_t)before;
    return n;
}

/* Those for which the ring waits badly, or not at all: see poll.c, and has_company. Of an error
 * queue no socket's poll but POLLERR tells. */
static bool waits_by_poll(const struct wait *w, const struct args *a)
{
    struct stat st;
    switch (a->kind) {
    case OP_SEND:
    case OP_SENDMSG:
    case OP_RECV:
    case OP_RECVMSG:
        return true;
    case OP_WRITE:
    case OP_WRITEV:
        return sys_fstat(a->fd, &st) == 0 && S_ISSOCK(st.st_mode);
    case OP_READ:
    case OP_READV:
        return has_reading_company(w, a->fd);
    default:
        return false;
    }
}

static int look_again_soon(pirn_time deadline)
{
    pirn_time again = pirn_after_ms(1);
    return pirn_sleep(again.ns < deadline.ns ? again : deadline);
}

static ssize_t attempt(const struct args *a, direct_fn direct)
{
    ssize_t n;
    do {
        n = direct != NULL ? direct(a) : CANNOT_SAY;
    } while (n == -EINTR);
    return n;
}

/* An attempt has given n, -EAGAIN or CANNOT_SAY. (Apart: who need not wait needs no room for
 * this.) */
static __attribute__((noinline)) ssize_t wait_and_transfer(struct wait *w, const char *what,
                                                           struct args *a, direct_fn direct,
                                                           ssize_t n, unsigned events,
                                                           pirn_time deadline)
{
    bool receives = a->kind == OP_RECV || a->kind == OP_RECVMSG;
    bool reads = a->kind == OP_READ || a->kind == OP_READV;
    bool errors = receives && (a->flags & MSG_ERRQUEUE) != 0;
    for (bool nap = false;;) {
        if (n == -EAGAIN && is_past(deadline))
            return -ETIMEDOUT;
        if (direct != NULL && n == CANNOT_SAY && may_wait_inline(a))
            a->flags = OP_LENGTHY;
        int rc = pirn_transfer_stay(w, a->fd, (events & POLLOUT) != 0);
        if (rc != 0)
            return rc;
        if (w->task != NULL && (n == CANNOT_SAY || !waits_by_poll(w, a)))
            return submit_one(w, what, a, deadline);
        rc = nap ? look_again_soon(deadline)
                 : pirn_transfer_ready(w, what, a->fd, errors ? 0 : events, deadline);
        if (a->kind == OP_ACCEPT) /* a thread's, which may block */
            pirn_transfer_end(w);
        if (rc < 0)
            return rc;
        /* If it is ready then, and yet it is not: poll does not tell of what is waited for (the
         * queue of a Unix receiver that has been named). For a message another was first. */
        nap = !nap && !((receives || reads) && (rc & POLLIN) != 0);
        pirn_wait_renew(w);
        n = attempt(a, direct);
        if (n != -EAGAIN && n != CANNOT_SAY)
            return n;
    }
}

ssize_t pirn_transfer_one(struct wait *w, const char *what, struct args *a, direct_fn direct,
                          unsigned events, pirn_time deadline)
{
    bool receives = a->kind == OP_RECV || a->kind == OP_RECVMSG;
    ssize_t n = CANNOT_SAY;
    if (w->task != NULL && direct != NULL && receives && (a->flags & MSG_ERRQUEUE) == 0)
        n = receive(w, what, a, direct, deadline);
    if (n != CANNOT_SAY)
        return n;
    n = attempt(a, direct);
    if (n != -EAGAIN && n != CANNOT_SAY)
        return n;
    return wait_and_transfer(w, what, a, direct, n, events, deadline);
}

/* Of a's bytes so many have moved, not all. (Apart: mostly all do.) */
static __attribute__((noinline)) ssize_t transfer_rest(struct wait *w, const char *what,
                                                       struct args *a, direct_fn direct,
                                                       ssize_t got, unsigned events,
                                                       pirn_time deadline)
{
    size_t done = 0, n = a->len;
    for (;;) {
        done += (size_t)got;
        if (done >= n || pirn_transfer_stay(w, a->fd, (events & POLLOUT) != 0) != 0)
            return (ssize_t)done;
        a->addr = (const char *)a->addr + got;
        a->len = n - done;
        pirn_wait_renew(w);
        got = pirn_transfer_one(w, what, a, direct, events, deadline);
        if (got <= 0) {
            if (got == -ECANCELED)
                pirn_wait_keep_cancel(w);
            return (ssize_t)done;
        }
    }
}

ssize_t pirn_transfer_all(struct wait *w, const char *what, struct args *a, direct_fn direct,
                          unsigned events, pirn_time deadline)
{
    ssize_t got = pirn_transfer_one(w, what, a, direct, events, deadline);
    if (got <= 0 || (size_t)got >= a->len)
        return got;
    return transfer_rest(w, what, a, direct, got, events, deadline);
}

ssize_t pirn_transfer_try_read(int fd, bool is_socket, void *buf, size_t n)
{
    struct iovec iov = {buf, clamp(n)};
    ssize_t got;
    do {
        got = is_socket ? sys_recv(fd, buf, clamp(n), MSG_DONTWAIT)
                        : soften(sys_preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
    } while (got == -EINTR);
    return got == CANNOT_SAY ? -EAGAIN : got;
}

ssize_t pirn_transfer_try_write(int fd, bool is_socket, const struct iovec *iov, int count)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    ssize_t got;
    do {
        if (!is_socket)
            got = soften(sys_pwritev2(fd, iov, count, -1, RWF_NOWAIT));
        else if (count == 1) /* the kernel copies less */
            got = sys_send(fd, iov->iov_base, clamp(iov->iov_len), MSG_DONTWAIT | MSG_NOSIGNAL);
        else
            got = sys_sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (got == -EINTR);
    return got == CANNOT_SAY ? -EAGAIN : got;
}
