/*
 * What is known of a file, and its space and its safety: stat, truncate, allocate, sync.
 */
#include <errno.h>
#include <sys/sysmacros.h>

#include "api/file/request.h"
#include "io/sys.h"

int pirn_fstat(int fd, struct stat *ret_stat, pirn_time deadline)
{
    struct wait w;
    struct stat st; /* the caller's is written on success only */
    (void)deadline;
    int rc = pirn_transfer_begin(&w, fd, NULL, 0);
    if (rc == 0 && ret_stat == NULL)
        rc = -EINVAL;
    if (rc == 0)
        rc = sys_fstat(fd, &st);
    if (rc == 0)
        *ret_stat = st;
    return rc;
}

static ssize_t call_statx(const struct request *r)
{
    return sys_statx(r->fd, r->addr, (int)r->flags, r->len, to_pointer(r->off));
}

int pirn_statx(int dir_fd, const char *path, int flags, unsigned mask, struct statx *ret_stat,
               pirn_time deadline)
{
    const struct request r = {.what = "statx",
                              .kind = OP_STATX,
                              .fd = dir_fd,
                              .addr = path,
                              .len = mask,
                              .flags = (uint32_t)flags,
                              .off = address_of(ret_stat),
                              .call = call_statx};
    return path == NULL || ret_stat == NULL ? pirn_file_refuse(-EINVAL)
                                            : (int)pirn_file_request(&r, deadline);
}

static struct timespec time_of(struct statx_timestamp t)
{
    return (struct timespec){t.tv_sec, t.tv_nsec};
}

int pirn_fstatat(int dir_fd, const char *path, struct stat *ret_stat, int flags, pirn_time deadline)
{
    struct statx x = {0};
    if (ret_stat == NULL)
        return pirn_file_refuse(-EINVAL);
    int rc = pirn_statx(dir_fd, path, flags, STATX_BASIC_STATS, &x, deadline);
    if (rc != 0)
        return rc;
    struct stat st = {
        .st_dev = makedev(x.stx_dev_major, x.stx_dev_minor),
        .st_ino = x.stx_ino,
        .st_mode = x.stx_mode,
        .st_nlink = x.stx_nlink,
        .st_uid = x.stx_uid,
        .st_gid = x.stx_gid,
        .st_rdev = makedev(x.stx_rdev_major, x.stx_rdev_minor),
        .st_size = (off_t)x.stx_size,
        .st_blksize = x.stx_blksize,
        .st_blocks = (blkcnt_t)x.stx_blocks,
        .st_atim = time_of(x.stx_atime),
        .st_mtim = time_of(x.stx_mtime),
        .st_ctim = time_of(x.stx_ctime),
    };
    *ret_stat = st;
    return 0;
}

/* ---- Space, safety -------------------------------------------------------------------------- */

static int request_of_fd(const struct request *r, pirn_time deadline)
{
    return r->fd < 0 ? pirn_file_refuse(-EBADF) : (int)pirn_file_request(r, deadline);
}

static ssize_t call_ftruncate(const struct request *r)
{
    return sys_ftruncate(r->fd, (off_t)r->off);
}

int pirn_ftruncate(int fd, off_t size, pirn_time deadline)
{
    const struct request r = {.what = "ftruncate",
                              .kind = OP_FTRUNCATE,
                              .fd = fd,
                              .off = (uint64_t)size,
                              .call = call_ftruncate};
    return size < 0 ? pirn_file_refuse(-EINVAL) : request_of_fd(&r, deadline);
}

static ssize_t call_fallocate(const struct request *r)
{
    return sys_fallocate(r->fd, (int)r->len, (off_t)r->off, (off_t)address_of(r->addr));
}

int pirn_fallocate(int fd, int mode, off_t offset, off_t n, pirn_time deadline)
{
    const struct request r = {.what = "fallocate",
                              .kind = OP_FALLOCATE,
                              .fd = fd,
                              .addr = to_pointer((uint64_t)n),
                              .len = (uint32_t)mode,
                              .off = (uint64_t)offset,
                              .call = call_fallocate};
    return offset < 0 || n <= 0 ? pirn_file_refuse(-EINVAL) : request_of_fd(&r, deadline);
}

static ssize_t call_sync(const struct request *r)
{
    return r->flags == OP_DATA ? sys_fdatasync(r->fd) : sys_fsync(r->fd);
}

int pirn_fsync(int fd, pirn_time deadline)
{
    const struct request r = {.what = "fsync", .kind = OP_FSYNC, .fd = fd, .call = call_sync};
    return request_of_fd(&r, deadline);
}

int pirn_fdatasync(int fd, pirn_time deadline)
{
    const struct request r = {
        .what = "fdatasync", .kind = OP_FSYNC, .fd = fd, .flags = OP_DATA, .call = call_sync};
    return request_of_fd(&r, deadline);
}
