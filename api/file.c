/*
 * Files, pipes, terminals: read, write, open, sync, poll.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "api/transfer.h"
#include "io/sys.h"

/* RWF_NOWAIT: only what needs no waiting. Where a file does not know it, the ring decides. */
static ssize_t soften(ssize_t n)
{
    return n == -EOPNOTSUPP || n == -ENOSYS || n == -EINVAL ? CANNOT_SAY : n;
}

static ssize_t direct_read(const struct args *a)
{
    struct iovec iov = {(void *)(uintptr_t)a->addr, clamp(a->len)};
    return soften(sys_preadv2(a->fd, &iov, 1, (off_t)a->off, RWF_NOWAIT));
}

static ssize_t direct_write(const struct args *a)
{
    struct iovec iov = {(void *)(uintptr_t)a->addr, clamp(a->len)};
    return soften(sys_pwritev2(a->fd, &iov, 1, (off_t)a->off, RWF_NOWAIT));
}

/* A plain thread's write to a broken pipe: -EPIPE, and the signal that comes with it is swallowed,
 * unless one was pending before. Workers have it blocked for good. */
static ssize_t write_quietly(int fd, const void *buf, size_t n, uint64_t off)
{
    static const struct timespec now = {0, 0};
    sigset_t pipe, old, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    sys_sigprocmask(SIG_BLOCK, &pipe, &old);
    ssize_t rc = off == UINT64_MAX ? sys_write(fd, buf, n) : sys_pwrite(fd, buf, n, (off_t)off);
    if (rc == -EPIPE && !sigismember(&pending, SIGPIPE))
        sigtimedwait(&pipe, NULL, &now);
    sys_sigprocmask(SIG_SETMASK, &old, NULL);
    return rc;
}

/* On a plain thread: poll, then the plain call, which may block as that thread's calls do. */
static ssize_t read_write_thread(const struct args *a, pirn_time deadline)
{
    bool reads = a->kind == OP_READ;
    for (;;) {
        /* What has positions is never worth waiting for. */
        int rc = a->off == UINT64_MAX
                     ? pirn_transfer_wait_ready(a->fd, reads ? POLLIN : POLLOUT, deadline)
                     : 0;
        if (rc < 0)
            return rc;
        void *buf = (void *)(uintptr_t)a->addr;
        ssize_t n;
        if (!reads)
            n = write_quietly(a->fd, buf, clamp(a->len), a->off);
        else if (a->off == UINT64_MAX)
            n = sys_read(a->fd, buf, clamp(a->len));
        else
            n = sys_pread(a->fd, buf, clamp(a->len), (off_t)a->off);
        if (n != -EINTR && n != -EAGAIN)
            return n;
    }
}

static bool is_regular(int fd)
{
    struct stat st;
    return sys_fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static ssize_t read_write(enum op_kind kind, int fd, const void *buf, size_t n, uint64_t off,
                          pirn_time deadline)
{
    struct wait w;
    struct args a = {kind, fd, buf, n, 0, off};
    bool reads = kind == OP_READ;
    int rc = pirn_transfer_begin(&w, fd, buf, n);
    if (rc != 0)
        return rc;
    if (w.task == NULL)
        return read_write_thread(&a, deadline);
    direct_fn direct = reads ? direct_read : direct_write;
    if (!reads)
        return pirn_transfer_all(&w, "write", &a, direct, POLLOUT, deadline);
    ssize_t got = pirn_transfer_one(&w, "read", &a, direct, POLLIN, deadline);
    /* A file's cached part is a short read to RWF_NOWAIT, not to the caller. */
    if (got <= 0 || (size_t)got >= n || !is_regular(fd))
        return got;
    pirn_wait_renew(&w);
    a.addr = (const char *)buf + got;
    a.len = n - (size_t)got;
    a.off = off == UINT64_MAX ? off : off + (uint64_t)got;
    ssize_t more = pirn_transfer_all(&w, "read", &a, NULL, POLLIN, deadline);
    if (more == -ECANCELED)
        pirn_wait_keep_cancel(&w);
    return more > 0 ? got + more : got;
}

ssize_t pirn_read(int fd, void *buf, size_t n, pirn_time deadline)
{
    return read_write(OP_READ, fd, buf, n, UINT64_MAX, deadline);
}

ssize_t pirn_write(int fd, const void *buf, size_t n, pirn_time deadline)
{
    return read_write(OP_WRITE, fd, buf, n, UINT64_MAX, deadline);
}

ssize_t pirn_pread(int fd, void *buf, size_t n, off_t offset, pirn_time deadline)
{
    return offset < 0 ? -EINVAL : read_write(OP_READ, fd, buf, n, (uint64_t)offset, deadline);
}

ssize_t pirn_pwrite(int fd, const void *buf, size_t n, off_t offset, pirn_time deadline)
{
    return offset < 0 ? -EINVAL : read_write(OP_WRITE, fd, buf, n, (uint64_t)offset, deadline);
}

/* A FIFO's open waits for the other end. */
static bool blocks_in_open(int dir_fd, const char *path, int flags)
{
    struct stat st;
    return (flags & O_NONBLOCK) == 0 && (flags & O_ACCMODE) != O_RDWR &&
           sys_fstatat(dir_fd, path, &st, 0) == 0 && S_ISFIFO(st.st_mode);
}

int pirn_openat(int dir_fd, const char *path, int flags, mode_t mode, pirn_time deadline)
{
    struct wait w;
    struct args a = {OP_OPENAT, dir_fd, path, mode, (unsigned)flags | O_CLOEXEC, 0};
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    if (path == NULL)
        return -EINVAL;
    if (w.task != NULL && blocks_in_open(dir_fd, path, flags))
        a.off = OP_BLOCKS;
    return w.task != NULL ? pirn_transfer_submit(&w, "openat", &a, deadline)
                          : sys_openat(dir_fd, path, (int)a.flags, mode);
}

int pirn_fsync(int fd, pirn_time deadline)
{
    struct wait w;
    struct args a = {OP_FSYNC, fd, NULL, 0, 0, 0};
    int rc = pirn_transfer_begin(&w, fd, NULL, 0);
    if (rc != 0)
        return rc;
    return w.task != NULL ? pirn_transfer_submit(&w, "fsync", &a, deadline) : sys_fsync(fd);
}

int pirn_poll(int fd, unsigned events, pirn_time deadline)
{
    struct wait w;
    struct args a = {OP_POLL, fd, NULL, 0, events, 0};
    struct pollfd p = {fd, (short)events, 0};
    int rc = pirn_transfer_begin(&w, fd, NULL, 0);
    if (rc != 0)
        return rc;
    int n = sys_poll(&p, 1, 0);
    if (n < 0)
        return n;
    if (n > 0)
        return (p.revents & POLLNVAL) != 0 ? -EBADF : p.revents;
    if (is_past(deadline))
        return -ETIMEDOUT;
    return w.task != NULL ? pirn_transfer_submit(&w, "poll", &a, deadline)
                          : pirn_transfer_wait_ready(fd, events, deadline);
}
