/*
 * Names of files: rename, link, unlink, mkdir, symlink, readlink; and open.
 */
#include <errno.h>
#include <linux/openat2.h>

#include "api/file/request.h"
#include "io/sys.h"

/*
 * A FIFO's open waits for the other end. Whether it is one is looked up without waiting for a disk:
 * what the kernel has not in its caches, or cannot look up in this way (before Linux 5.12), is
 * taken for one.
 */
static bool may_block_in_open(int dir_fd, const char *path, int flags)
{
    const struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED};
    struct stat st;
    if ((flags & O_NONBLOCK) != 0 || (flags & O_ACCMODE) == O_RDWR)
        return false;
    int fd = sys_openat2(dir_fd, path, &how);
    if (fd < 0)
        return fd != -ENOENT && fd != -EFAULT;
    bool is_fifo = sys_fstat(fd, &st) != 0 || S_ISFIFO(st.st_mode);
    sys_close(fd);
    return is_fifo;
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
    if (w.task != NULL && may_block_in_open(dir_fd, path, flags))
        a.off = OP_BLOCKS;
    if (w.task != NULL)
        return pirn_transfer_submit(&w, "openat", &a, deadline);
    while ((rc = sys_openat(dir_fd, path, (int)a.flags, mode)) == -EINTR) {}
    return rc;
}

static ssize_t call_renameat(const struct request *r)
{
    return sys_renameat2(r->fd, r->addr, (int)r->len, to_pointer(r->off), r->flags);
}

int pirn_renameat(int from_dir, const char *from, int to_dir, const char *to, unsigned flags,
                  pirn_time deadline)
{
    const struct request r = {.what = "renameat",
                              .kind = OP_RENAMEAT,
                              .fd = from_dir,
                              .addr = from,
                              .len = (uint32_t)to_dir,
                              .flags = flags,
                              .off = address_of(to),
                              .call = call_renameat};
    return from == NULL || to == NULL ? pirn_file_refuse(-EINVAL)
                                      : (int)pirn_file_request(&r, deadline);
}

static ssize_t call_linkat(const struct request *r)
{
    return sys_linkat(r->fd, r->addr, (int)r->len, to_pointer(r->off), (int)r->flags);
}

int pirn_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags,
                pirn_time deadline)
{
    const struct request r = {.what = "linkat",
                              .kind = OP_LINKAT,
                              .fd = from_dir,
                              .addr = from,
                              .len = (uint32_t)to_dir,
                              .flags = (uint32_t)flags,
                              .off = address_of(to),
                              .call = call_linkat};
    return from == NULL || to == NULL ? pirn_file_refuse(-EINVAL)
                                      : (int)pirn_file_request(&r, deadline);
}

static ssize_t call_unlinkat(const struct request *r)
{
    return sys_unlinkat(r->fd, r->addr, (int)r->flags);
}

int pirn_unlinkat(int dir_fd, const char *path, int flags, pirn_time deadline)
{
    const struct request r = {.what = "unlinkat",
                              .kind = OP_UNLINKAT,
                              .fd = dir_fd,
                              .addr = path,
                              .flags = (uint32_t)flags,
                              .call = call_unlinkat};
    return path == NULL ? pirn_file_refuse(-EINVAL) : (int)pirn_file_request(&r, deadline);
}

static ssize_t call_mkdirat(const struct request *r)
{
    return sys_mkdirat(r->fd, r->addr, (mode_t)r->len);
}

int pirn_mkdirat(int dir_fd, const char *path, mode_t mode, pirn_time deadline)
{
    const struct request r = {.what = "mkdirat",
                              .kind = OP_MKDIRAT,
                              .fd = dir_fd,
                              .addr = path,
                              .len = mode,
                              .call = call_mkdirat};
    return path == NULL ? pirn_file_refuse(-EINVAL) : (int)pirn_file_request(&r, deadline);
}

static ssize_t call_symlinkat(const struct request *r)
{
    return sys_symlinkat(r->addr, r->fd, to_pointer(r->off));
}

int pirn_symlinkat(const char *target, int dir_fd, const char *path, pirn_time deadline)
{
    const struct request r = {.what = "symlinkat",
                              .kind = OP_SYMLINKAT,
                              .fd = dir_fd,
                              .addr = target,
                              .off = address_of(path),
                              .call = call_symlinkat};
    return target == NULL || path == NULL ? pirn_file_refuse(-EINVAL)
                                          : (int)pirn_file_request(&r, deadline);
}

static ssize_t call_readlinkat(const struct request *r)
{
    return sys_readlinkat(r->fd, r->addr, to_pointer(r->off), r->size);
}

ssize_t pirn_readlinkat(int dir_fd, const char *path, char *ret_target, size_t size,
                        pirn_time deadline)
{
    const struct request r = {.what = "readlinkat",
                              .kind = OP_KINDS,
                              .fd = dir_fd,
                              .addr = path,
                              .off = address_of(ret_target),
                              .call = call_readlinkat,
                              .size = size};
    return path == NULL || ret_target == NULL ? pirn_file_refuse(-EINVAL)
                                              : pirn_file_request(&r, deadline);
}
