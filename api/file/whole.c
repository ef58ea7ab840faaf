/*
 * Whole files: load, save, copy.
 *
 * A copy goes on the blocking pool, in chunks (copy_file_range), so that a cancel or the deadline
 * finds a gap. Where the kernel cannot do it between two files, and of files that do not know their
 * size (as in /proc), a buffer is read and written.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "api/file/replace.h"
#include "api/file/request.h"
#include "io/sys.h"

enum {
    CHUNK = 8 * 1024 * 1024, /* some milliseconds */
    BUFFER = 256 * 1024,
    FIRST_GUESS = 4096
};

/* ---- Load ----------------------------------------------------------------------------------- */

struct text {
    char *data;
    size_t n, room; /* and one byte more */
};

static int make_room(struct text *t, size_t room)
{
    char *data = realloc(t->data, room + 1);
    if (data == NULL)
        return -ENOMEM;
    t->data = data;
    t->room = room;
    return 0;
}

/* room is one more than the size that is expected: so the end is seen without growing. */
static int read_all(int fd, struct text *t, bool at, size_t most, pirn_time deadline)
{
    for (;;) {
        size_t left = t->room - t->n;
        ssize_t got = at ? pirn_pread(fd, t->data + t->n, left, (off_t)t->n, deadline)
                         : pirn_read(fd, t->data + t->n, left, deadline);
        if (got <= 0)
            return (int)got;
        t->n += (size_t)got;
        if (t->n > most)
            return -EFBIG;
        if (t->n == t->room) {
            int rc = make_room(t, t->room <= most / 2 ? t->room * 2 : most + 1);
            if (rc != 0)
                return rc;
        }
    }
}

int pirn_file_load(const char *path, void **ret_data, size_t *ret_n, size_t max, pirn_time deadline)
{
    struct text t = {NULL, 0, 0};
    struct stat st;
    size_t most = max < SSIZE_MAX - 1 ? max : SSIZE_MAX - 2;
    if (ret_data == NULL || ret_n == NULL)
        return pirn_file_refuse(-EINVAL);
    int fd = pirn_openat(AT_FDCWD, path, O_RDONLY, 0, deadline);
    if (fd < 0)
        return fd;
    int rc = sys_fstat(fd, &st);
    bool regular = rc == 0 && S_ISREG(st.st_mode);
    bool known = regular && st.st_size > 0;
    if (rc == 0 && known && (size_t)st.st_size > most)
        rc = -EFBIG;
    if (rc == 0) {
        size_t guess = known ? (size_t)st.st_size : FIRST_GUESS;
        rc = make_room(&t, (guess < most ? guess : most) + 1);
    }
    if (rc == 0)
        rc = read_all(fd, &t, regular, most, deadline);
    pirn_close(fd);
    if (rc != 0) {
        free(t.data);
        return rc;
    }
    t.data[t.n] = '\0';
    *ret_data = t.data;
    *ret_n = t.n;
    return 0;
}

/* ---- Save ----------------------------------------------------------------------------------- */

static int write_all(int fd, const char *data, size_t n, off_t offset, pirn_time deadline)
{
    while (n > 0) {
        ssize_t put = pirn_pwrite(fd, data, n, offset, deadline);
        if (put <= 0)
            return put < 0 ? (int)put : -EIO;
        data += put;
        n -= (size_t)put;
        offset += put;
    }
    return 0;
}

static int finish(struct replacement *r, int rc, pirn_time deadline)
{
    if (rc == 0)
        return pirn_replacement_commit(r, deadline);
    pirn_replacement_abort(r);
    return rc;
}

int pirn_file_save(const char *path, const void *data, size_t n, mode_t mode, unsigned flags,
                   pirn_time deadline)
{
    struct replacement r;
    if (data == NULL && n != 0)
        return pirn_file_refuse(-EINVAL);
    int rc = pirn_replacement_begin(&r, path, mode, flags, deadline);
    return rc != 0 ? rc : finish(&r, write_all(r.fd, data, n, 0, deadline), deadline);
}

/* ---- Copy ----------------------------------------------------------------------------------- */

static int copy_by_hand(int from, int to, off_t at, pirn_time deadline)
{
    char *buf = malloc(BUFFER);
    int rc = buf != NULL ? 0 : -ENOMEM;
    while (rc == 0) {
        ssize_t got = pirn_pread(from, buf, BUFFER, at, deadline);
        if (got <= 0) {
            rc = (int)got;
            break;
        }
        rc = write_all(to, buf, (size_t)got, at, deadline);
        at += got;
        if (rc == 0 && is_past(deadline))
            rc = -ETIMEDOUT;
    }
    free(buf);
    return rc;
}

static ssize_t call_copy(const struct request *r)
{
    off_t from = (off_t)r->off, to = from;
    return sys_copy_file_range(r->fd, &from, (int)r->len, &to, r->size);
}

/* The kernel cannot, but could read and write. */
static bool cannot(ssize_t rc)
{
    return rc == -EXDEV || rc == -EOPNOTSUPP || rc == -EINVAL || rc == -ENOSYS || rc == -EPERM;
}

static int copy(int from, int to, off_t size, pirn_time deadline)
{
    off_t at = 0;
    while (at < size) {
        const struct request r = {.what = "copy",
                                  .kind = OP_KINDS,
                                  .fd = from,
                                  .len = (uint32_t)to,
                                  .off = (uint64_t)at,
                                  .call = call_copy,
                                  .size = size - at < CHUNK ? (size_t)(size - at) : CHUNK};
        ssize_t n = is_past(deadline) ? -ETIMEDOUT : pirn_file_request(&r, deadline);
        if (n == 0 || cannot(n))
            return copy_by_hand(from, to, at, deadline);
        if (n < 0)
            return (int)n;
        at += n;
    }
    return size == 0 ? copy_by_hand(from, to, 0, deadline) : 0;
}

/* Not waiting for the other end of a FIFO, which is none to be copied. */
static int open_regular(const char *path, struct stat *ret_stat, pirn_time deadline)
{
    int fd = pirn_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0, deadline);
    if (fd < 0)
        return fd;
    int rc = sys_fstat(fd, ret_stat);
    if (rc == 0 && !S_ISREG(ret_stat->st_mode))
        rc = S_ISDIR(ret_stat->st_mode) ? -EISDIR : -EINVAL;
    if (rc == 0)
        rc = sys_fcntl(fd, F_SETFL, 0);
    if (rc != 0)
        pirn_close(fd);
    return rc != 0 ? rc : fd;
}

int pirn_file_copy(const char *from, const char *to, unsigned flags, pirn_time deadline)
{
    struct replacement r;
    struct stat st;
    int fd = open_regular(from, &st, deadline);
    if (fd < 0)
        return fd;
    int rc = pirn_replacement_begin(&r, to, st.st_mode & 0777, flags, deadline);
    if (rc == 0)
        rc = finish(&r, copy(fd, r.fd, st.st_size, deadline), deadline);
    pirn_close(fd);
    return rc;
}
