/*
 * The ring; see ring.h.
 *
 * The submission queue's index array, if there is one, is filled once with the identity (entry i is
 * always at position i), so publishing is one release store of the tail. An entry's slot is free
 * again when the kernel's head has passed it; the kernel copies entries when it takes them, so an
 * operation's own memory (a timespec) is not read later.
 *
 * Under valgrind (3.19) one thread runs at a time, and who is in a system call lets the others go
 * on only if valgrind knows that the call may wait. It takes io_uring_enter for one that does not:
 * a worker that waited there would stop the whole program for ever. So there it waits in ppoll, for
 * the ring's descriptor, which is readable when there are completions or held-back work.
 *
 * Constants that Debian 12's headers lack are given here and probed at run time.
 */
#include "io/ring.h"

#include <errno.h>
#include <linux/time_types.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include "io/clock.h"
#include "io/fault.h"
#include "io/sys.h"
#include "io/valgrind.h"

#define REGISTER_SEND_MSG_RING 31   /* 6.13 */
#define ACCEPT_POLL_FIRST (1u << 2) /* 6.10 */

enum {
    REQUEST_FTRUNCATE = 55, /* 6.9 */
    REQUEST_UNKNOWN = 255   /* to every kernel so far */
};

static unsigned load_acquire(const unsigned *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE); /* pairs with the kernel's release stores */
}

static struct io_uring_sqe *next_entry(struct ring *r)
{
    struct io_uring_sq *sq = &r->uring.sq;
    if (sq->sqe_tail - load_acquire(sq->khead) >= sq->ring_entries)
        return NULL;
    struct io_uring_sqe *sqe = &sq->sqes[sq->sqe_tail++ & sq->ring_mask];
    memset(sqe, 0, sizeof(*sqe));
    return sqe;
}

static unsigned poll_events(const struct op *op)
{
    return op->kind == OP_WRITE || op->kind == OP_WRITEV || op->kind == OP_CONNECT ? POLLOUT
                                                                                   : POLLIN;
}

static uint16_t poll_first(const struct op *op)
{
    return op->off == OP_POLL_FIRST ? IORING_RECVSEND_POLL_FIRST : 0;
}

/* Not for the one try that comes with its cancel: that is to find what is there. Nor after a
 * poll. */
static uint16_t poll_before_accept(const struct ring *r, const struct op *op)
{
    bool polls = op->len == OP_POLL_FIRST && op->stop == 0 && op->polling == 0;
    return polls && r->accept_polls ? ACCEPT_POLL_FIRST : 0;
}

static unsigned flags_of_transfer(const struct op *op)
{
    return op->flags == OP_LENGTHY ? IOSQE_ASYNC : 0;
}

/* What has to do with files only, and may be unknown to the kernel. */
static void prepare_newer(struct io_uring_sqe *sqe, const struct op *op)
{
    const char *path = (const char *)(uintptr_t)op->addr;
    void *second = (void *)(uintptr_t)op->off;
    switch ((enum op_kind)op->kind) {
    case OP_STATX:
        io_uring_prep_statx(sqe, op->fd, path, (int)op->flags, op->len, second);
        break;
    case OP_FALLOCATE:
        io_uring_prep_fallocate(sqe, op->fd, (int)op->len, (off_t)op->off, (off_t)op->addr);
        break;
    case OP_FTRUNCATE:
        io_uring_prep_rw(REQUEST_FTRUNCATE, sqe, op->fd, NULL, 0, op->off);
        break;
    case OP_RENAMEAT:
        io_uring_prep_renameat(sqe, op->fd, path, (int)op->len, second, op->flags);
        break;
    case OP_UNLINKAT:
        io_uring_prep_unlinkat(sqe, op->fd, path, (int)op->flags);
        break;
    case OP_MKDIRAT:
        io_uring_prep_mkdirat(sqe, op->fd, path, (mode_t)op->len);
        break;
    case OP_SYMLINKAT:
        io_uring_prep_symlinkat(sqe, path, op->fd, second);
        break;
    case OP_LINKAT:
        io_uring_prep_linkat(sqe, op->fd, path, (int)op->len, second, (int)op->flags);
        break;
    default:
        break;
    }
#ifdef PIRN_HARD
    if (pirn_fault("ring_newer") != 0) /* as if the kernel were older */
        sqe->opcode = REQUEST_UNKNOWN;
#endif
}

/* addr and off hold the timespec; the kernel copies it when it takes the entry. The wall clock may
 * be set meanwhile, so the kernel is given the instant. The boot clock may not, and in a time
 * namespace it is ahead of or behind the machine's, by which the kernel would take an instant: so
 * it is given what is left. */
static void prepare_clock(struct io_uring_sqe *sqe, struct op *op)
{
    unsigned flags = IORING_TIMEOUT_ABS | IORING_TIMEOUT_REALTIME;
    if (op->flags == OP_CLOCK_BOOT) {
        int64_t until = (int64_t)op->addr * 1000000000 + (int64_t)op->off;
        struct timespec left = clock_timespec(until - clock_ns(CLOCK_BOOTTIME));
        op->addr = (uint64_t)left.tv_sec;
        op->off = (uint64_t)left.tv_nsec;
        flags = IORING_TIMEOUT_BOOTTIME;
    }
    io_uring_prep_timeout(sqe, (struct __kernel_timespec *)(void *)&op->addr, 0, flags);
}

bool pirn_ring_prepare(struct ring *r, struct op *op)
{
    struct io_uring_sqe *sqe = next_entry(r);
    void *addr = (void *)(uintptr_t)op->addr;
    if (sqe == NULL)
        return false;
    switch (op->polling == OP_POLLING ? OP_POLL : (enum op_kind)op->kind) {
    case OP_ACCEPT:
        io_uring_prep_accept(sqe, op->fd, addr, (socklen_t *)(uintptr_t)op->off, (int)op->flags);
        sqe->ioprio = poll_before_accept(r, op);
        break;
    case OP_CONNECT:
        io_uring_prep_connect(sqe, op->fd, addr, op->len);
        break;
    case OP_RECV:
        io_uring_prep_recv(sqe, op->fd, addr, op->len, (int)op->flags);
        sqe->ioprio = poll_first(op);
        break;
    case OP_RECVMSG:
        io_uring_prep_recvmsg(sqe, op->fd, addr, op->flags);
        sqe->ioprio = poll_first(op);
        break;
    case OP_READ:
        io_uring_prep_read(sqe, op->fd, addr, op->len, op->off);
        sqe->flags |= flags_of_transfer(op);
        break;
    case OP_WRITE:
        io_uring_prep_write(sqe, op->fd, addr, op->len, op->off);
        sqe->flags |= flags_of_transfer(op);
        break;
    case OP_READV:
        io_uring_prep_readv(sqe, op->fd, addr, op->len, op->off);
        sqe->flags |= flags_of_transfer(op);
        break;
    case OP_WRITEV:
        io_uring_prep_writev(sqe, op->fd, addr, op->len, op->off);
        sqe->flags |= flags_of_transfer(op);
        break;
    case OP_OPENAT:
        io_uring_prep_openat(sqe, op->fd, addr, (int)op->flags, (mode_t)op->len);
        if (op->off == OP_BLOCKS)
            sqe->flags |= IOSQE_ASYNC; /* inline, the kernel would open a FIFO without waiting */
        break;
    case OP_CLOSE:
        io_uring_prep_close(sqe, op->fd);
        break;
    case OP_FSYNC:
        io_uring_prep_fsync(sqe, op->fd, op->flags == OP_DATA ? IORING_FSYNC_DATASYNC : 0);
        break;
    case OP_CLOCK:
        prepare_clock(sqe, op);
        break;
    case OP_POLL:
        if (op->polling == OP_POLLING)
            io_uring_prep_poll_add(sqe, op->fd, poll_events(op));
        else
            io_uring_prep_poll_add(sqe, op->len != 0 ? (int)op->len - 1 : op->fd, op->flags);
        break;
    default:
        prepare_newer(sqe, op);
        break;
    }
    io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)op | RING_OP);
    return true;
}

bool pirn_ring_prepare_cancel(struct ring *r, struct op *op)
{
    struct io_uring_sqe *sqe = next_entry(r);
    if (sqe == NULL)
        return false;
    io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)op | RING_OP, 0);
    io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)op | RING_CANCEL);
    return true;
}

bool pirn_ring_prepare_event(struct ring *r)
{
    if (r->event_fd < 0 || r->event_armed)
        return true;
    struct io_uring_sqe *sqe = next_entry(r);
    if (sqe == NULL)
        return false;
    /* Poll, then a plain read at the completion: the descriptor is non-blocking. */
    io_uring_prep_poll_add(sqe, r->event_fd, POLLIN);
    io_uring_sqe_set_data64(sqe, RING_EVENT);
    r->event_armed = true;
    return true;
}

void pirn_ring_publish(struct ring *r)
{
    /* release: pairs with the kernel's acquire of the tail */
    __atomic_store_n(r->uring.sq.ktail, r->uring.sq.sqe_tail, __ATOMIC_RELEASE);
}

unsigned pirn_ring_unsubmitted(const struct ring *r)
{
    return __atomic_load_n(r->uring.sq.ktail, __ATOMIC_RELAXED) - load_acquire(r->uring.sq.khead);
}

bool pirn_ring_wants_enter(const struct ring *r)
{
    unsigned flags = __atomic_load_n(r->uring.sq.kflags, __ATOMIC_RELAXED);
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

bool pirn_ring_has_overflow(const struct ring *r)
{
    unsigned flags = __atomic_load_n(r->uring.sq.kflags, __ATOMIC_RELAXED);
    return (flags & IORING_SQ_CQ_OVERFLOW) != 0;
}

bool pirn_ring_has_completions(const struct ring *r)
{
    return __atomic_load_n(r->uring.cq.khead, __ATOMIC_RELAXED) != load_acquire(r->uring.cq.ktail);
}

int pirn_ring_enter(struct ring *r)
{
    return sys_io_uring_enter(r->uring.ring_fd, pirn_ring_unsubmitted(r), 0, IORING_ENTER_GETEVENTS,
                              NULL, 0);
}

static int wait_in_poll(struct ring *r, int64_t until)
{
    int rc = pirn_ring_enter(r);
    if (rc < 0 || pirn_ring_has_completions(r))
        return rc;
    struct timespec left = clock_timespec(clock_left(until));
    struct pollfd ring = {r->uring.ring_fd, POLLIN, 0};
    rc = sys_ppoll(&ring, 1, until != INT64_MAX ? &left : NULL);
    return rc < 0 ? rc : pirn_ring_enter(r);
}

int pirn_ring_wait(struct ring *r, int64_t until)
{
    if (__builtin_expect(r->on_valgrind, 0))
        return wait_in_poll(r, until);
    struct __kernel_timespec ts;
    struct io_uring_getevents_arg arg = {0};
    if (until != INT64_MAX) {
        int64_t left = clock_left(until);
        if (left <= 0)
            return pirn_ring_enter(r); /* a wait with a zero timeout costs 17 us, this 0.2 */
        ts.tv_sec = left / 1000000000;
        ts.tv_nsec = left % 1000000000;
        arg.ts = (uint64_t)(uintptr_t)&ts;
    }
    return sys_io_uring_enter(r->uring.ring_fd, pirn_ring_unsubmitted(r), 1,
                              IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | r->wait_flags, &arg,
                              sizeof(arg));
}

int pirn_ring_wake(struct ring *r)
{
    if (r->event_fd >= 0) {
        uint64_t one = 1;
        ssize_t n = sys_write(r->event_fd, &one, sizeof(one));
        return n == -EAGAIN || n == sizeof(one) ? 0 : (int)n; /* EAGAIN: full of wake-ups */
    }
    struct io_uring_sqe sqe;
    memset(&sqe, 0, sizeof(sqe));
    sqe.opcode = IORING_OP_MSG_RING;
    sqe.fd = r->uring.ring_fd;
    sqe.off = RING_WAKE; /* the completion's user_data */
    return sys_io_uring_register(-1, REGISTER_SEND_MSG_RING, &sqe, 1);
}
