/*
 * The system calls about files; the contract stands in sys.c.
 */
#include <dirent.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/sys_internal.h"

/* ---- What they hold --------------------------------------------------------------------- */

ssize_t sys_pread(int fd, void *buf, size_t n, off_t offset)
{
    INJECT(pread);
    return result(pread(fd, buf, n, offset));
}

ssize_t sys_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    INJECT(pwrite);
    return result(pwrite(fd, buf, n, offset));
}

ssize_t sys_preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
    INJECT(preadv2);
    /* glibc's is a point of cancellation, at 10 ns a call; with this flag it never waits. */
    if (sizeof(long) == sizeof(offset) && (flags & RWF_NOWAIT) != 0)
        return result(syscall(SYS_preadv2, fd, iov, n, (long)offset, 0L, flags));
    return result(preadv2(fd, iov, n, offset, flags));
}

ssize_t sys_pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
    INJECT(pwritev2);
    return result(pwritev2(fd, iov, n, offset, flags));
}

ssize_t sys_copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t n)
{
    INJECT(copy_file_range);
    return result(copy_file_range(from, from_at, to, to_at, n, 0));
}

int sys_fsync(int fd)
{
    INJECT(fsync);
    return result_int(fsync(fd));
}

int sys_fdatasync(int fd)
{
    INJECT(fdatasync);
    return result_int(fdatasync(fd));
}

off_t sys_lseek(int fd, off_t offset, int whence)
{
    INJECT(lseek);
    return result(lseek(fd, offset, whence));
}

int sys_ftruncate(int fd, off_t size)
{
    INJECT(ftruncate);
    return result_int(ftruncate(fd, size));
}

int sys_fallocate(int fd, int mode, off_t offset, off_t n)
{
    INJECT(fallocate);
    return result_int(fallocate(fd, mode, offset, n));
}

/* ---- What they are called, what is known of them ----------------------------------------- */

int sys_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    INJECT(openat);
    return result_int(openat(dir_fd, path, flags, mode));
}

int sys_openat2(int dir_fd, const char *path, const struct open_how *how)
{
    INJECT(openat2);
    return result_int(syscall(SYS_openat2, dir_fd, path, how, sizeof(*how)));
}

ssize_t sys_getdents64(int fd, void *buf, size_t n)
{
    INJECT(getdents64);
    return result(getdents64(fd, buf, n));
}

int sys_fstat(int fd, struct stat *ret_stat)
{
    INJECT(fstat);
    return result_int(fstat(fd, ret_stat));
}

int sys_fstatat(int dir_fd, const char *path, struct stat *ret_stat, int flags)
{
    INJECT(fstatat);
    return result_int(fstatat(dir_fd, path, ret_stat, flags));
}

int sys_statx(int dir_fd, const char *path, int flags, unsigned mask, struct statx *ret_stat)
{
    INJECT(statx);
    return result_int(statx(dir_fd, path, flags, mask, ret_stat));
}

int sys_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    INJECT(renameat2);
    return result_int(renameat2(from_dir, from, to_dir, to, flags));
}

int sys_unlinkat(int dir_fd, const char *path, int flags)
{
    INJECT(unlinkat);
    return result_int(unlinkat(dir_fd, path, flags));
}

int sys_mkdirat(int dir_fd, const char *path, mode_t mode)
{
    INJECT(mkdirat);
    return result_int(mkdirat(dir_fd, path, mode));
}

int sys_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    INJECT(linkat);
    return result_int(linkat(from_dir, from, to_dir, to, flags));
}

int sys_symlinkat(const char *target, int dir_fd, const char *path)
{
    INJECT(symlinkat);
    return result_int(symlinkat(target, dir_fd, path));
}

ssize_t sys_readlinkat(int dir_fd, const char *path, char *buf, size_t n)
{
    INJECT(readlinkat);
    return result(readlinkat(dir_fd, path, buf, n));
}
