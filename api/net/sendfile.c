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
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/net/net.h"
#include "api/transfer.h"
#include "io/sys.h"

enum {
    PIECE = 1 << 20, /* asked about and sent at a time */
    BUFFER = 1 << 18
};

struct transfer {
    int out, in;
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

/* Sends at most n bytes: how many, 0 at the file's end. */
static ssize_t send_direct(struct transfer *t, size_t n)
{
    for (;;) {
        off_t offset = t->offset;
        ssize_t sent = sys_sendfile(t->out, t->in, &offset, n);
        if (sent == -EINTR)
            continue;
        if (sent == -EINVAL || sent == -ENOSYS || sent == -EOVERFLOW) {
            t->direct = false; /* not with these two */
            return -EOPNOTSUPP;
        }
        if (sent != -EAGAIN)
            return sent;
        int rc = pirn_poll(t->out, POLLOUT, t->deadline);
        if (rc < 0)
            return rc;
    }
}

static ssize_t send_copied(struct transfer *t)
{
    if (t->buffer == NULL)
        t->buffer = malloc(BUFFER);
    if (t->buffer == NULL)
        return -ENOMEM;
    size_t n = t->left < BUFFER ? t->left : BUFFER;
    ssize_t got = pirn_pread(t->in, t->buffer, n, t->offset, t->deadline);
    return got > 0 ? pirn_write(t->out, t->buffer, (size_t)got, t->deadline) : got;
}

static ssize_t send_piece(struct transfer *t)
{
    size_t n = t->left < PIECE ? t->left : PIECE;
    if (t->direct && t->to_end) {
        struct stat st;
        int rc = sys_fstat(t->in, &st);
        if (rc < 0)
            return rc;
        if (st.st_size <= t->offset)
            t->direct = false; /* the end, or a file that does not know its size */
        else if ((uint64_t)(st.st_size - t->offset) < n)
            n = (size_t)(st.st_size - t->offset);
    }
    if (t->direct && is_in_memory(t, n)) {
        ssize_t sent = send_direct(t, n);
        if (sent != -EOPNOTSUPP)
            return sent;
    }
    return send_copied(t);
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
    int rc = pirn_transfer_begin(&w, out_fd, "", 0);
    if (rc != 0)
        return rc;
    if (in_fd < 0)
        return -EBADF;
    if (offset < 0 || n > INT64_MAX)
        return -EINVAL;
    size_t most = (size_t)(INT64_MAX - offset); /* what a file can have there */
    struct transfer t = {.out = out_fd,
                         .in = in_fd,
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
    if (done != 0 && sent == -ECANCELED)
        pirn_wait_keep_cancel(&w);
    return sent < 0 && done == 0 ? sent : (ssize_t)done;
}
