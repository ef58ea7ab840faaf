/*
 * What all I/O calls share: their arguments, the direct attempt, the ring, the plain thread's poll.
 *
 * recv, send, read, write: the direct, non-blocking call first; the ring only when that would
 * block, of a send for a poll (poll.c says why). On a plain thread: the direct call, and poll(2) in
 * between; never a ring.
 *
 * A call that has moved some bytes and is then stopped reports the bytes, and the stop's cancel
 * stays pending.
 */
#ifndef PIRN_API_TRANSFER_H
#define PIRN_API_TRANSFER_H

#include <errno.h>
#include <pirn.h>
#include <sys/uio.h>

#include "io/clock.h"
#include "runtime/fd_wait.h"
#include "runtime/wait.h"

enum {
    TRANSFER_MAX = 0x7ffff000
}; /* the kernel's own limit for one call */

struct args {
    enum op_kind kind;
    int fd;
    const void *addr;
    size_t len;
    unsigned flags;
    uint64_t off; /* UINT64_MAX: no position; then, of a write that the ring made, where that was */
};

/* A direct call: its result, -EAGAIN if it would block, CANNOT_SAY if there is no asking. */
enum {
    CANNOT_SAY = -4096
};
typedef ssize_t (*direct_fn)(const struct args *a);

static inline uint32_t clamp(size_t n)
{
    return n < TRANSFER_MAX ? (uint32_t)n : TRANSFER_MAX;
}

static inline bool is_past(pirn_time deadline)
{
    return deadline.ns <= 0 || (deadline.ns != INT64_MAX && deadline.ns <= clock_now());
}

/* Begins a call: cancelled, shut down, arguments unsound? */
int pirn_transfer_begin(struct wait *w, int fd, const void *buf, size_t n);

/* A call that has to wait, or to go on after a first part, is on its descriptor from here until it
 * is through: then a close of that may go on. -EBADF: it has been closed since pirn_transfer_begin,
 * and the number may be another's. */
int pirn_transfer_stay(struct wait *w, int fd, bool to_write);
static inline void pirn_transfer_end(struct wait *w)
{
    if (w->task == NULL)
        pirn_fd_wait_end(&w->self->fd_wait);
    else if (task_fd(w->task) >= 0)
        pirn_wait_leave_fd(w->task);
}

/* In a coroutine: through the ring. */
int pirn_transfer_submit(struct wait *w, const char *what, const struct args *a,
                         pirn_time deadline);

/* Waits until fd is ready: what came of the events, POLLERR and POLLHUP, and nothing else; or
 * -errno. The call stays on fd, as with pirn_transfer_one. */
int pirn_transfer_ready(struct wait *w, const char *what, int fd, unsigned events,
                        pirn_time deadline);

/* One transfer: direct (if not NULL), then by ring or poll. Who has waited is on the descriptor
 * until pirn_transfer_end, as with the next. */
ssize_t pirn_transfer_one(struct wait *w, const char *what, struct args *a, direct_fn direct,
                          unsigned events, pirn_time deadline);

/* Transfers until all bytes have moved, the end, or an error. */
ssize_t pirn_transfer_all(struct wait *w, const char *what, struct args *a, direct_fn direct,
                          unsigned events, pirn_time deadline);

/* What RWF_NOWAIT gave. Where a file does not know it there is no asking. */
static inline ssize_t soften(ssize_t n)
{
    return n == -EOPNOTSUPP || n == -ENOSYS || n == -EINVAL ? CANNOT_SAY : n;
}

/* One attempt that never waits, on a blocking descriptor either. -EAGAIN: it would, or there is no
 * asking. In a coroutine: its threads have SIGPIPE blocked. */
ssize_t pirn_transfer_try_read(int fd, bool is_socket, void *buf, size_t n);
ssize_t pirn_transfer_try_write(int fd, bool is_socket, const struct iovec *iov, int count);

#endif
