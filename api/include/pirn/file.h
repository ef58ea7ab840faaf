/*
 * Files, beyond the calls in pirn/io.h: vectors, what is known of a file, names, directories, whole
 * files, and printing.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 *
 * Who does the work. Reads of what is cached are served in place, a few microseconds; else the
 * request goes to io_uring and the coroutine waits. What io_uring cannot begin without blocking
 * (stat, mkdir, rename, fsync, most writes, reads and writes of more than 1 MiB) it hands to
 * threads in the kernel, at most config->max_kernel_threads for each worker: more such requests at
 * a time wait their turn. (An open of a FIFO that waits for its other end has one of its own; and
 * what is no file, a terminal say, or is more than 1 MiB, has as many for itself.) Directories,
 * readlink and copies, and what an older kernel's io_uring lacks, run on the runtime's pool of
 * pirn_blocking.
 *
 * Deadline and cancel. A request that has not begun is taken back: -ETIMEDOUT, -ECANCELED, and
 * nothing has happened. What a file system has begun it cannot be stopped in: the call then waits
 * for its result and returns that. On a plain thread the calls block, as the system calls they are,
 * whatever the deadline.
 *
 * O_DIRECT works as the file system has it, with pread and pwrite above all: memory, offset and
 * length must be aligned (pirn_statx with STATX_DIOALIGN says to what), else -EINVAL. Some file
 * systems refuse the open: -EINVAL.
 */
#ifndef PIRN_FILE_H
#define PIRN_FILE_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

#include <sys/stat.h>
#include <sys/uio.h>

/* ---- Reading, writing, space ---------------------------------------------------------------- */

/*
 * As the calls of the same name. n buffers, 1024 at most (-EINVAL). Writes, and reads of files,
 * move all unless the file ends or something stops them; a count below says where. [anywhere;
 * suspend]
 */
PIRN_API PIRN_MUST_USE ssize_t pirn_readv(int fd, const struct iovec *iov, int n,
                                          pirn_time deadline);
PIRN_API PIRN_MUST_USE ssize_t pirn_writev(int fd, const struct iovec *iov, int n,
                                           pirn_time deadline);
PIRN_API PIRN_MUST_USE ssize_t pirn_preadv(int fd, const struct iovec *iov, int n, off_t offset,
                                           pirn_time deadline);
PIRN_API PIRN_MUST_USE ssize_t pirn_pwritev(int fd, const struct iovec *iov, int n, off_t offset,
                                            pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_fdatasync(int fd, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_ftruncate(int fd, off_t size, pirn_time deadline);
/* mode: FALLOC_FL_... of <fcntl.h>. -EOPNOTSUPP, -ENOSPC, ... */
PIRN_API PIRN_MUST_USE int pirn_fallocate(int fd, int mode, off_t offset, off_t n,
                                          pirn_time deadline);

/* ---- What is known of a file ---------------------------------------------------------------- */

/*
 * As the calls of the same name. [anywhere; suspend] pirn_fstat does not wait: what is open is
 * known. (A network file system may ask its server all the same, and hold the worker meanwhile.)
 */
PIRN_API PIRN_MUST_USE int pirn_fstat(int fd, struct stat *ret_stat, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_fstatat(int dir_fd, const char *path, struct stat *ret_stat,
                                        int flags, pirn_time deadline);
struct statx; /* <sys/stat.h> has it with _GNU_SOURCE */
PIRN_API PIRN_MUST_USE int pirn_statx(int dir_fd, const char *path, int flags, unsigned mask,
                                      struct statx *ret_stat, pirn_time deadline);

/* ---- Names ---------------------------------------------------------------------------------- */

/* As the calls of the same name; renameat has renameat2's flags. [anywhere; suspend] */
PIRN_API PIRN_MUST_USE int pirn_renameat(int from_dir, const char *from, int to_dir, const char *to,
                                         unsigned flags, pirn_time deadline);
PIRN_API int pirn_unlinkat(int dir_fd, const char *path, int flags, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_mkdirat(int dir_fd, const char *path, mode_t mode,
                                        pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_linkat(int from_dir, const char *from, int to_dir, const char *to,
                                       int flags, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_symlinkat(const char *target, int dir_fd, const char *path,
                                          pirn_time deadline);
/* Bytes stored, size at most; no 0 is put behind them. */
PIRN_API PIRN_MUST_USE ssize_t pirn_readlinkat(int dir_fd, const char *path, char *ret_target,
                                               size_t size, pirn_time deadline);

/* ---- Directories ---------------------------------------------------------------------------- */

typedef struct pirn_dir pirn_dir; /* an open directory; one call at a time */

typedef struct pirn_dir_entry {
    const char *name; /* the directory's, until the next call on it */
    uint64_t inode;
    int type; /* DT_REG, DT_DIR, ... of <dirent.h>; DT_UNKNOWN: the file system does not say */
} pirn_dir_entry;

/* Opens one for reading. The caller closes it. [anywhere; suspends] -ENOENT, -ENOTDIR, -ENOMEM,
 * ... */
PIRN_API PIRN_MUST_USE int pirn_dir_open(pirn_dir **ret_dir, int dir_fd, const char *path,
                                         pirn_time deadline);
/* The next entry, in no order, without "." and "..". Some hundreds are fetched at a time. What is
 * made or removed meanwhile may be listed or not, all else is, once. [anywhere; suspends] 1; 0:
 * that was all. */
PIRN_API PIRN_MUST_USE int pirn_dir_next(pirn_dir *dir, pirn_dir_entry *ret_entry,
                                         pirn_time deadline);
PIRN_API void pirn_dir_close(
    pirn_dir *dir); /* [anywhere; suspends] not cancellable; NULL: nothing */

/* ---- Whole files ---------------------------------------------------------------------------- */

/*
 * Reads all of a file into memory of malloc's, which is the caller's to free; a 0 byte is put
 * behind it, and not counted. What grows while it is read is read up to some end it had. [anywhere;
 * suspends]
 * -EFBIG: it holds more than max bytes (SIZE_MAX: any number will do). -EISDIR, -ENOMEM, those of
 * open and read.
 */
PIRN_API PIRN_MUST_USE int pirn_file_load(const char *path, void **ret_data, size_t *ret_n,
                                          size_t max, pirn_time deadline);

enum {
    PIRN_FILE_SYNC = 1u << 0,     /* it is on the disk, under its name, when the call returns */
    PIRN_FILE_EXCLUSIVE = 1u << 1 /* -EEXIST if there is something of that name */
};

/*
 * Both make a new file under a name of its own in the same directory (.pirn-...), and rename it
 * when it is complete. So whoever opens the path finds what was there before or all that is there
 * now; if the call fails, what was there before. What the path named is replaced, not written to: a
 * symbolic link is replaced itself, other links to the file keep the old one. The new file's
 * permissions are mode, or those of `from`, less the umask. [anywhere; suspend]
 *
 * Without PIRN_FILE_SYNC the system writes it in its own time: after a power cut there may be the
 * old file, the new one, or with some file systems an empty one. A process that is killed in
 * between leaves its .pirn- file behind. An error of the directory's sync (-EIO) comes when the new
 * file has its name.
 * -EISDIR (path ends in a slash, or is a directory), -EINVAL (flags; `from` is no regular file),
 * -ENOMEM, those of open, write, rename.
 */
PIRN_API PIRN_MUST_USE int pirn_file_save(const char *path, const void *data, size_t n, mode_t mode,
                                          unsigned flags, pirn_time deadline);
/* Where the file systems can they share the blocks. A cancel or the deadline stops it between
 * chunks. */
PIRN_API PIRN_MUST_USE int pirn_file_copy(const char *from, const char *to, unsigned flags,
                                          pirn_time deadline);

/* ---- Printing ------------------------------------------------------------------------------- */

/*
 * printf to standard output, as a whole: nothing that others print with it comes in between,
 * however long it is and however slowly it is taken. What stdio holds for stdout goes first. Who
 * waits does not hold its worker. Not cancellable once it has begun; who ignores -ECANCELED here
 * has taken the cancel. [anywhere; suspends] The bytes
 * written; -ECANCELED and nothing was; -ENOMEM, -EILSEQ, -EOVERFLOW, -EPIPE, -EIO, ...
 *
 * stdio's own calls are whole too (a printf holds stdout's lock), and are buffered; where they have
 * to write, to a pipe that is full, say, they block the worker.
 */
PIRN_API int pirn_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
