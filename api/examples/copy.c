/*
 * A file copy: copy FROM TO. Eight copiers share the file; each takes the next chunk, reads it and
 * writes it, so that several requests are in flight while none of the code waits by hand.
 * (pirn_file_copy does it in one call, and leaves what was there before if it fails.)
 */
#include <errno.h>
#include <fcntl.h>
#include <pirn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    COPIERS = 8,
    CHUNK = 256 * 1024
};

typedef struct job {
    const char *from_path, *to_path;
    int from, to;
    off_t size;
    atomic_llong next; /* the first byte nobody has taken; copiers take a chunk each */
} job;

static int write_all(int fd, const char *buf, size_t n, off_t offset)
{
    while (n > 0) {
        ssize_t put = pirn_pwrite(fd, buf, n, offset, PIRN_NEVER);

        if (put < 0)
            return (int)put;
        buf += put;
        offset += put;
        n -= (size_t)put;
    }
    return 0;
}

static int copy_chunk(job *j, char *buf, off_t offset)
{
    off_t end = offset + CHUNK < j->size ? offset + CHUNK : j->size;

    while (offset < end) {
        ssize_t got = pirn_pread(j->from, buf, (size_t)(end - offset), offset, PIRN_NEVER);
        int err;

        if (got <= 0)
            return got < 0 ? (int)got : -EIO; /* the file shrank under us */
        err = write_all(j->to, buf, (size_t)got, offset);
        if (err < 0)
            return err;
        offset += got;
    }
    return 0;
}

static int copier(void *arg)
{
    job *j = arg;
    char *buf = malloc(CHUNK);
    int err = 0;

    if (!buf)
        return -ENOMEM;
    while (err == 0) {
        /* relaxed: the counter only deals out chunks, nothing is published through it */
        off_t offset = atomic_fetch_add_explicit(&j->next, CHUNK, memory_order_relaxed);

        if (offset >= j->size)
            break;
        err = copy_chunk(j, buf, offset);
    }
    free(buf);
    return err;
}

/* The first copier that fails cancels the others; its error is what the scope closes with. */
static int copy_all(job *j)
{
    pirn_scope *scope;
    int i, closed, err = pirn_scope_open(&scope, 0);

    if (err < 0)
        return err;
    for (i = 0; i < COPIERS && err == 0; i++)
        err = pirn_scope_spawn(scope, copier, j, PIRN_NEVER);
    closed = pirn_scope_close(scope, PIRN_NEVER);
    if (closed < 0)
        return closed;
    return err;
}

static int copy_to(job *j)
{
    struct stat st, to;
    int err = 0;

    if (fstat(j->from, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL; /* only a regular file can be read at any offset */
    j->size = st.st_size;
    j->to = pirn_openat(AT_FDCWD, j->to_path, O_WRONLY | O_CREAT | O_CLOEXEC, st.st_mode & 0777,
                        PIRN_NEVER);
    if (j->to < 0)
        return j->to;
    if (fstat(j->to, &to) < 0)
        err = -errno;
    else if (to.st_dev == st.st_dev && to.st_ino == st.st_ino)
        err = -EINVAL; /* the same file: hence no O_TRUNC above */
    else
        err = pirn_ftruncate(j->to, 0, PIRN_NEVER);
    if (err == 0)
        err = copy_all(j);
    if (err == 0)
        err = pirn_fsync(j->to, PIRN_NEVER);
    pirn_close(j->to);
    return err;
}

static int start(void *arg)
{
    job *j = arg;
    int err;

    j->from = pirn_openat(AT_FDCWD, j->from_path, O_RDONLY | O_CLOEXEC, 0, PIRN_NEVER);
    if (j->from < 0)
        return j->from;
    err = copy_to(j);
    pirn_close(j->from);
    return err;
}

int main(int argc, char **argv)
{
    job j = {0};
    int err;

    if (argc != 3) {
        fprintf(stderr, "usage: copy FROM TO\n");
        return 2;
    }
    j.from_path = argv[1];
    j.to_path = argv[2];
    err = pirn_run(start, &j);
    if (err < 0)
        fprintf(stderr, "copy: %s to %s: %s\n", argv[1], argv[2], strerror(-err));
    return err < 0;
}
