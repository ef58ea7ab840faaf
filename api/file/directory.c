/*
 * Reading directories. io_uring has no request for it, so the pool fetches a batch of entries, and
 * what is left of one is handed out without anybody's help. A cancel while a batch is fetched
 * leaves nothing lost: the batch is kept, and the cancel stays pending.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/file/request.h"
#include "io/sys.h"

enum {
    BATCH = 32 * 1024
};

struct pirn_dir {
    int fd;
    size_t at, end; /* of what has been fetched and not handed out */
    char batch[BATCH] __attribute__((aligned(8)));
};

int pirn_dir_open(pirn_dir **ret_dir, int dir_fd, const char *path, pirn_time deadline)
{
    if (ret_dir == NULL)
        return pirn_file_refuse(-EINVAL);
    int fd = pirn_openat(dir_fd, path, O_RDONLY | O_DIRECTORY, 0, deadline);
    if (fd < 0)
        return fd;
    struct pirn_dir *d = malloc(sizeof(*d));
    if (d == NULL) {
        pirn_close(fd);
        return -ENOMEM;
    }
    d->fd = fd;
    d->at = d->end = 0;
    *ret_dir = d;
    return 0;
}

static ssize_t call_getdents(const struct request *r)
{
    return sys_getdents64(r->fd, to_pointer(r->off), r->size);
}

/* 1, 0 at the end, or -errno. */
static int fetch(struct pirn_dir *d, pirn_time deadline)
{
    const struct request r = {.what = "getdents",
                              .kind = OP_KINDS,
                              .fd = d->fd,
                              .off = address_of(d->batch),
                              .call = call_getdents,
                              .size = BATCH};
    ssize_t n = pirn_file_request(&r, deadline);
    if (n == -ENOENT) /* it has been removed: there is nothing in it */
        return 0;
    if (n <= 0)
        return (int)n;
    d->at = 0;
    d->end = (size_t)n;
    return 1;
}

int pirn_dir_next(pirn_dir *dir, pirn_dir_entry *ret_entry, pirn_time deadline)
{
    struct wait w;
    if (dir == NULL || ret_entry == NULL)
        return pirn_file_refuse(-EINVAL);
    for (;;) {
        int rc = dir->at < dir->end ? pirn_wait_enter(&w) : fetch(dir, deadline);
        if (rc < 0 || dir->at == dir->end)
            return rc;
        while (dir->at < dir->end) {
            const struct dirent64 *e = (const struct dirent64 *)(void *)(dir->batch + dir->at);
            dir->at += e->d_reclen;
            if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                continue;
            *ret_entry = (pirn_dir_entry){e->d_name, e->d_ino, e->d_type};
            return 1;
        }
    }
}

void pirn_dir_close(pirn_dir *dir)
{
    if (dir == NULL)
        return;
    pirn_close(dir->fd);
    free(dir);
}
