/*
 * Reading and writing of files, pipes, terminals; one buffer, or several in a row.
 *
 *   1. What needs no waiting is done in place: RWF_NOWAIT. Where a file does not know that, or says
 *      that it would wait, or is read and written without the cache, the ring is asked.
 *   2. A short write goes on with the rest; so does a short read of a regular file, for what
 *      RWF_NOWAIT gives is the cached part, and what any call gives is 2 GiB at most, until it
 *      ends. A rest that begins inside a buffer is moved alone.
 *   3. More than LENGTHY bytes of a regular file are not moved in place, nor when the ring is
 *      entered, for that would hold the worker as long as the copying takes: a thread of the
 *      kernel's does it. In one request still, so that a write(2) is one to others who write at the
 *      file's end.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "api/transfer.h"
#include "io/sys.h"

#define NO_POSITION UINT64_MAX
#define BAD_POSITION (UINT64_MAX - 1)

enum {
    LENGTHY = 1024 * 1024,
    VECTOR_MAX = 1024 /* the kernel's */
};

/* What is left to be moved: n buffers, without the first `begun` bytes of the first. */
struct rest {
    const struct iovec *iov;
    int n;
    size_t begun;
};

static void skip_empty(struct rest *r)
{
    while (r->n > 0 && r->iov->iov_len == r->begun) {
        r->iov++;
        r->n--;
        r->begun = 0;
    }
}

static void advance(struct rest *r, size_t moved)
{
    while (r->n > 0 && moved >= r->iov->iov_len - r->begun) {
        moved -= r->iov->iov_len - r->begun;
        r->iov++;
        r->n--;
        r->begun = 0;
    }
    r->begun += moved;
    skip_empty(r);
}

/* ---- In place ------------------------------------------------------------------------------- */

/* RWF_NOWAIT: only what needs no waiting. Where a file does not know it, the ring decides. */
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

static ssize_t direct_readv(const struct args *a)
{
    return soften(sys_preadv2(a->fd, a->addr, (int)a->len, (off_t)a->off, RWF_NOWAIT));
}

static ssize_t direct_writev(const struct args *a)
{
    return soften(sys_pwritev2(a->fd, a->addr, (int)a->len, (off_t)a->off, RWF_NOWAIT));
}

static direct_fn direct_of(enum op_kind kind)
{
    switch (kind) {
    case OP_READ:
        return direct_read;
    case OP_WRITE:
        return direct_write;
    case OP_READV:
        return direct_readv;
    default:
        return direct_writev;
    }
}

static struct args args_of(const struct rest *r, int fd, bool reads, uint64_t off, unsigned flags)
{
    if (r->n == 1 || r->begun != 0) {
        const char *from = (const char *)r->iov->iov_base + r->begun;
        return (struct args){reads ? OP_READ : OP_WRITE, fd,    from,
                             r->iov->iov_len - r->begun, flags, off};
    }
    return (struct args){reads ? OP_READV : OP_WRITEV, fd, r->iov, (size_t)r->n, flags, off};
}

static bool is_regular(int fd, struct stat *ret_stat)
{
    return sys_fstat(fd, ret_stat) == 0 && S_ISREG(ret_stat->st_mode);
}

/* A read came back short: is there, as far as one can tell, more? */
static bool has_more(int fd, uint64_t off)
{
    struct stat st;
    if (!is_regular(fd, &st))
        return false;
    return off == NO_POSITION || st.st_size == 0 || off < (uint64_t)st.st_size; /* 0: as in /proc */
}

/* ---- On a plain thread ---------------------------------------------------------------------- */

static ssize_t call(const struct args *a)
{
    void *buf = (void *)(uintptr_t)a->addr;
    switch (a->kind) {
    case OP_READ:
        return a->off == NO_POSITION ? sys_read(a->fd, buf, clamp(a->len))
                                     : sys_pread(a->fd, buf, clamp(a->len), (off_t)a->off);
    case OP_WRITE:
        return a->off == NO_POSITION ? sys_write(a->fd, buf, clamp(a->len))
                                     : sys_pwrite(a->fd, buf, clamp(a->len), (off_t)a->off);
    case OP_READV:
        return sys_preadv2(a->fd, buf, (int)a->len, (off_t)a->off, 0);
    default:
        return sys_pwritev2(a->fd, buf, (int)a->len, (off_t)a->off, 0);
    }
}

/* A plain thread's write to a broken pipe: -EPIPE, and the signal that comes with it is swallowed,
 * unless one was pending before. Workers have it blocked for good. */
static ssize_t write_quietly(const struct args *a, direct_fn how)
{
    static const struct timespec now = {0, 0};
    sigset_t pipe, old, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    sys_sigprocmask(SIG_BLOCK, &pipe, &old);
    ssize_t rc = how(a);
    if (rc == -EPIPE && !sigismember(&pending, SIGPIPE))
        sigtimedwait(&pipe, NULL, &now);
    sys_sigprocmask(SIG_SETMASK, &old, NULL);
    return rc;
}

static ssize_t make(const struct args *a, bool reads, direct_fn how)
{
    return reads ? how(a) : write_quietly(a, how);
}

/* What a pipe that is ready takes without waiting. */
static struct args piece_of(const struct args *a, size_t left)
{
    struct args piece = *a;
    if (left <= PIPE_BUF)
        return piece;
    if (a->kind == OP_WRITEV) {
        const struct iovec *first = a->addr;
        piece.kind = OP_WRITE;
        piece.addr = first->iov_base;
        piece.len = first->iov_len;
    }
    piece.len = piece.len < PIPE_BUF ? piece.len : PIPE_BUF;
    return piece;
}

/* Pipes and sockets say if they would wait, so that the deadline counts and a close ends it; but
 * not a pipe that has a name, nor a terminal. There, and for all else, a poll comes first. */
enum thing {
    OTHER, /* the call itself may block all the same, as that thread's calls do */
    PIPE,  /* with a name: no more at a time than one that is ready takes */
    SOCKET
};

static enum thing thing_of(int fd)
{
    struct stat st;
    if (sys_fstat(fd, &st) != 0)
        return OTHER;
    return S_ISFIFO(st.st_mode) ? PIPE : S_ISSOCK(st.st_mode) ? SOCKET : OTHER;
}

static ssize_t once_on_thread(struct wait *w, const struct args *a, bool reads, enum thing thing,
                              size_t left, pirn_time deadline)
{
    for (;;) {
        ssize_t n = thing != OTHER ? make(a, reads, direct_of(a->kind)) : CANNOT_SAY;
        if (n == -EINTR)
            continue;
        if (n != -EAGAIN && n != CANNOT_SAY)
            return n;
        /* What has positions is never worth waiting for. */
        int rc = a->off == NO_POSITION ? pirn_transfer_stay(w, a->fd, !reads) : 0;
        if (rc == 0 && a->off == NO_POSITION)
            rc = pirn_fd_wait(a->fd, reads ? POLLIN : POLLOUT, deadline.ns);
        if (rc < 0)
            return rc;
        if (n == -EAGAIN)
            continue;
        pirn_transfer_end(w); /* it may block */
        struct args piece = !reads && thing == PIPE ? piece_of(a, left) : *a;
        n = make(&piece, reads, call);
        if (n != -EINTR && n != -EAGAIN)
            return n;
    }
}

static ssize_t move_on_thread(struct wait *w, int fd, bool reads, struct rest r, uint64_t off,
                              size_t total, pirn_time deadline)
{
    enum thing thing = off == NO_POSITION ? thing_of(fd) : OTHER;
    for (size_t done = 0;;) {
        struct args a = args_of(&r, fd, reads, off, 0);
        ssize_t got = once_on_thread(w, &a, reads, thing, total - done, deadline);
        if (got <= 0)
            return done != 0 ? (ssize_t)done : got;
        done += (size_t)got;
        off += off != NO_POSITION ? (uint64_t)got : 0;
        if (done >= total || pirn_transfer_stay(w, fd, !reads) != 0 ||
            (reads && !has_more(fd, off)))
            return (ssize_t)done;
        advance(&r, (size_t)got);
    }
}

/* ---- In a coroutine ------------------------------------------------------------------------- */

/*
 * Of a file opened with O_DIRECT, RWF_NOWAIT waits for the device all the same, and the worker with
 * it. To ask costs as much as half a cached read, so that it was not is kept in the task's
 * operation until the next request. (If the number has become another file's meanwhile, that one's
 * first transfers wait in place.)
 */
static bool is_unbuffered(struct wait *w, const struct args *a)
{
    enum {
        ALIGNED = 512
    };
    bool vector = a->kind == OP_READV || a->kind == OP_WRITEV;
    const struct iovec *iov = a->addr;
    size_t n = vector ? 0 : a->len;
    for (size_t i = 0; vector && i < a->len; i++)
        n += iov[i].iov_len;
    if (n % ALIGNED != 0 || (a->off != NO_POSITION && a->off % ALIGNED != 0))
        return false; /* it would fail there, or is none; memory need not be aligned everywhere */
    struct op *op = &w->task->op;
    if (op->kind == OP_READ && op->flags == OP_BUFFERED && op->addr == (uint64_t)a->fd)
        return false;
    int flags = sys_fcntl(a->fd, F_GETFL, 0);
    if (flags >= 0 && (flags & O_DIRECT) != 0)
        return true;
    op->kind = OP_READ;
    op->flags = OP_BUFFERED;
    op->addr = (uint64_t)a->fd;
    return false;
}

/*
 * A ring's write that came back short. Linux has tried the rest already, and if that failed (no
 * space left) it leaves the file's position where it was before the part it reports: the next write
 * would go over that.
 */
static void see_to_position(int fd, off_t before, size_t got)
{
    if (sys_lseek(fd, 0, SEEK_CUR) == before && (sys_fcntl(fd, F_GETFL, 0) & O_APPEND) == 0)
        sys_lseek(fd, before + (off_t)got, SEEK_SET);
}

static ssize_t move(struct wait *w, int fd, bool reads, struct rest r, uint64_t off, size_t total,
                    pirn_time deadline)
{
    struct stat st;
    size_t done = 0;
    bool lengthy = total > LENGTHY && is_regular(fd, &st);
    for (;;) {
        struct args a = args_of(&r, fd, reads, off, lengthy ? OP_LENGTHY : 0);
        bool ring = lengthy || (reads && done != 0) || is_unbuffered(w, &a);
        ssize_t got =
            pirn_transfer_one(w, reads ? "read" : "write", &a, ring ? NULL : direct_of(a.kind),
                              reads ? POLLIN : POLLOUT, deadline);
        if (got <= 0) {
            if (done != 0 && got == -ECANCELED)
                pirn_wait_keep_cancel(w);
            return done != 0 ? (ssize_t)done : got;
        }
        done += (size_t)got;
        off += off != NO_POSITION ? (uint64_t)got : 0;
        if (done >= total || pirn_transfer_stay(w, fd, !reads) != 0 ||
            (reads && !has_more(fd, off)))
            return (ssize_t)done;
        if (!reads && off == NO_POSITION && a.off != NO_POSITION)
            see_to_position(fd, (off_t)a.off, (size_t)got);
        advance(&r, (size_t)got);
        pirn_wait_renew(w);
    }
}

static ssize_t transfer(int fd, bool reads, const struct iovec *iov, int n, uint64_t off,
                        pirn_time deadline)
{
    struct wait w;
    struct rest r = {iov, n, 0};
    size_t total = 0;
    int rc = pirn_transfer_begin(&w, fd, iov, 0);
    if (rc != 0)
        return rc;
    if (n < 0 || n > VECTOR_MAX || (iov == NULL && n != 0) || off == BAD_POSITION)
        return -EINVAL;
    for (int i = 0; i < n; i++) {
        if (iov[i].iov_len > SSIZE_MAX - total || (iov[i].iov_base == NULL && iov[i].iov_len != 0))
            return -EINVAL;
        total += iov[i].iov_len;
    }
    if (n > 1)
        skip_empty(&r);
    ssize_t moved = w.task != NULL ? move(&w, fd, reads, r, off, total, deadline)
                                   : move_on_thread(&w, fd, reads, r, off, total, deadline);
    pirn_transfer_end(&w);
    return moved;
}

static ssize_t transfer_at(int fd, bool reads, const struct iovec *iov, int n, off_t offset,
                           pirn_time deadline)
{
    return transfer(fd, reads, iov, n, offset >= 0 ? (uint64_t)offset : BAD_POSITION, deadline);
}

ssize_t pirn_read(int fd, void *buf, size_t n, pirn_time deadline)
{
    struct iovec iov = {buf, n};
    return transfer(fd, true, &iov, 1, NO_POSITION, deadline);
}

ssize_t pirn_write(int fd, const void *buf, size_t n, pirn_time deadline)
{
    struct iovec iov = {(void *)(uintptr_t)buf, n};
    return transfer(fd, false, &iov, 1, NO_POSITION, deadline);
}

ssize_t pirn_pread(int fd, void *buf, size_t n, off_t offset, pirn_time deadline)
{
    struct iovec iov = {buf, n};
    return transfer_at(fd, true, &iov, 1, offset, deadline);
}

ssize_t pirn_pwrite(int fd, const void *buf, size_t n, off_t offset, pirn_time deadline)
{
    struct iovec iov = {(void *)(uintptr_t)buf, n};
    return transfer_at(fd, false, &iov, 1, offset, deadline);
}

ssize_t pirn_readv(int fd, const struct iovec *iov, int n, pirn_time deadline)
{
    return transfer(fd, true, iov, n, NO_POSITION, deadline);
}

ssize_t pirn_writev(int fd, const struct iovec *iov, int n, pirn_time deadline)
{
    return transfer(fd, false, iov, n, NO_POSITION, deadline);
}

ssize_t pirn_preadv(int fd, const struct iovec *iov, int n, off_t offset, pirn_time deadline)
{
    return transfer_at(fd, true, iov, n, offset, deadline);
}

ssize_t pirn_pwritev(int fd, const struct iovec *iov, int n, off_t offset, pirn_time deadline)
{
    return transfer_at(fd, false, iov, n, offset, deadline);
}
