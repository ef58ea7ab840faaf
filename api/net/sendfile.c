/*
 * A file into a socket or pipe.
 *
 * In a coroutine, piece by piece:
 *   1  out is non-blocking, and the kernel says that the piece is in memory (cachestat, Linux 6.5):
 *      sendfile(2), which moves pages and copies nothing; when out is full, a poll
 *   2  else through a buffer: pirn_pread(), which has the ring wait for the disk, and pirn_write()
 *
 * sendfile took 60, 15 and 8% less of the sender's time than the buffer in three runs (loopback,
 * 256 MiB; a buffer of 64 KiB would take half as much again). But it has no way not to wait: not
 * for a full socket that is in blocking mode, and not for the disk. That is why it is only used
 * where neither can be. What is still on its way from the disk counts as in memory: such a wait is
 * short, and the monitor is there for it. (Rejected: the ring's splice. It always takes a kernel
 * helper thread, of which there are four: as many slow receivers would hold up all. To make out
 * non-blocking meanwhile: that is a flag of everybody's who has it.)
 *
 * A plain thread uses the buffer: there is nobody to hold up, and sendfile raises SIGPIPE.
 *
 * Both descriptors may be closed meanwhile, and their numbers be others' by the next piece. Each
 * piece is sent by a call that is on out (transfer.h), whose close waits for that. Of in, what has
 * been read is dropped if it has been closed since the beginning; sendfile(2), where reading and
 * sending are one, has a duplicate of it, under a number that nobody else closes.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/net/net.h"
#include "api/transfer.h"
#include "io/sys.h"
#include "runtime/fd_ops.h"

enum {
    PIECE = 1 << 20, /* asked about and sent at a time */
    BUFFER = 1 << 18
};

struct transfer {
    struct wait *wait;
    int out, in;
    uint32_t in_closes; /* of in, when the call began */
    int own_in;         /* a duplicate of in, once it is needed, or -1 */
    off_t offset;
    size_t left;
    bool to_end;  /* of the file: left is no promise */
    bool direct;  /* sendfile may be tried */
    char *buffer; /* once it is needed */
    pirn_time deadline;
};

static bool is_in_memory(const struct transfer *t, size_t n)
{
    int64_t page = sysconf(_SC_PAGESIZE);
    int64_t first = t->offset / page, last = ((int64_t)t->offset + (int64_t)n - 1) / page;
    return sys_cached_pages(t->in, (uint64_t)t->offset, n) >= last - first + 1;
}

/* Sends at most n bytes while on out: how many, 0 at the file's end. */
static ssize_t send_direct(struct transfer *t, size_t n)
{
    for (;;) {
        off_t offset = t->offset;
        ssize_t sent = sys_sendfile(t->out, t->own_in, &offset, n);
        if (sent == -EINTR)
            continue;
        if (sent == -EINVAL || sent == -ENOSYS || sent == -EOVERFLOW) {
            t->direct = false; /* not with these two */
            return -EOPNOTSUPP;
        }
        if (sent != -EAGAIN)
            return sent;
        if (is_past(t->deadline))
            return -ETIMEDOUT;
        int rc = pirn_wait_enter(t->wait);
        if (rc == 0)
            rc = pirn_transfer_ready(t->wait, "sendfile", t->out, POLLOUT, t->deadline);
        if (rc < 0)
            return rc;
    }
}

static ssize_t read_copy(struct transfer *t)
{
    if (t->buffer == NULL)
        t->buffer = malloc(BUFFER);
    if (t->buffer == NULL)
        return -ENOMEM;
    size_t n = t->left < BUFFER ? t->left : BUFFER;
    ssize_t got = pirn_pread(t->in, t->buffer, n, t->offset, t->deadline);
    return got >= 0 && fd_is_another(t->in, t->in_closes) ? -EBADF : got;
}

/* in, for sendfile(2). False: no descriptor to be had. */
static bool has_own_in(struct transfer *t)
{
    if (t->own_in < 0)
        t->own_in = sys_fcntl(t->in, F_DUPFD_CLOEXEC, 0);
    return t->own_in >= 0;
}

/* May the next n bytes be sent by sendfile(2)? Or -errno. What is duplicated here may be another
 * file by now: the caller looks at in_closes afterwards. */
static int is_direct(struct transfer *t, size_t *n)
{
    if (t->direct && t->to_end) {
        struct stat st;
        int rc = sys_fstat(t->in, &st);
        if (rc < 0)
            return rc;
        if (st.st_size <= t->offset)
            t->direct = false; /* the end, or a file that does not know its size */
        else if ((uint64_t)(st.st_size - t->offset) < *n)
            *n = (size_t)(st.st_size - t->offset);
    }
    return t->direct && is_in_memory(t, *n) && has_own_in(t);
}

static ssize_t send_piece(struct transfer *t)
{
    size_t n = t->left < PIECE ? t->left : PIECE;
    int direct = is_direct(t, &n);
    ssize_t sent = direct < 0 ? direct : -EOPNOTSUPP;
    if (fd_is_another(t->in, t->in_closes))
        return -EBADF;
    if (direct > 0) {
        sent = pirn_transfer_stay(t->wait, t->out, true);
        if (sent == 0)
            sent = send_direct(t, n);
        pirn_transfer_end(t->wait);
    }
    if (sent != -EOPNOTSUPP)
        return sent;
    ssize_t got = read_copy(t);
    if (got <= 0)
        return got;
    sent = pirn_transfer_stay(t->wait, t->out, true);
    if (sent == 0)
        sent = pirn_write(t->out, t->buffer, (size_t)got, t->deadline);
    pirn_transfer_end(t->wait);
    return sent;
}

static bool is_regular(int fd)
{
    struct stat st;
    return sys_fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

ssize_t pirn_sendfile(int out_fd, int in_fd, off_t offset, size_t n, pirn_time deadline)
{
    struct wait w;
    size_t done = 0;
    uint32_t in_closes = fd_closes(in_fd);
    int rc = pirn_transfer_begin(&w, out_fd, "", 0);
    if (rc != 0)
        return rc;
    if (in_fd < 0)
        return -EBADF;
    if (offset < 0 || n > INT64_MAX)
        return -EINVAL;
    size_t most = (size_t)(INT64_MAX - offset); /* what a file can have there */
    struct transfer t = {.wait = &w,
                         .out = out_fd,
                         .in = in_fd,
                         .in_closes = in_closes,
                         .own_in = -1,
                         .offset = offset,
                         .left = n != 0 && n < most ? n : most,
                         .to_end = n == 0,
                         .deadline = deadline};
    if (w.task != NULL) {
        int flags = sys_fcntl(out_fd, F_GETFL, 0);
        t.direct = flags >= 0 && (flags & O_NONBLOCK) != 0 && is_regular(in_fd);
    }
    ssize_t sent;
    do {
        sent = send_piece(&t);
        if (sent > 0) {
            done += (size_t)sent;
            t.offset += sent;
            t.left -= (size_t)sent;
        }
        /* Between pieces: others have their turn, and a cancel or the deadline theirs. */
        if (sent > 0 && t.left != 0 && (rc = pirn_wait_enter(&w)) != 0)
            sent = rc;
        else if (sent > 0 && t.left != 0 && is_past(deadline))
            sent = -ETIMEDOUT;
    } while (sent > 0 && t.left != 0);
    free(t.buffer);
    if (t.own_in >= 0)
        sys_close(t.own_in);
    if (done != 0 && sent == -ECANCELED)
        pirn_wait_keep_cancel(&w);
    return sent < 0 && done == 0 ? sent : (ssize_t)done;
}
