/*
 * May this call of a worker's block? (trace.h says by which rules.)
 *
 * The thread is stopped in the call; the supervisor, which is of the same process, looks at the
 * same descriptors and the same memory. Another thread may change them before the call goes on.
 * Then this was the judgement of a moment, and none of behaviour: the call is made as it was asked
 * for.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/runtime.h"
#include "tests/trace/trace.h"

enum {
    LOOKS_ASLEEP = 5 /* in a row, that found the holder of a lock not to have run in between */
};

static bool is_in_memory(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return false;
    switch ((unsigned long)fs.f_type) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
        return true;
    default:
        return false;
    }
}

static bool is_eventfd(int fd)
{
    char path[64], what[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, what, sizeof(what) - 1);
    what[n > 0 ? n : 0] = '\0';
    return strstr(what, "[eventfd]") != NULL;
}

static bool is_write(int nr)
{
    return nr == SYS_write || nr == SYS_writev || nr == SYS_pwrite64 || nr == SYS_pwritev ||
           nr == SYS_pwritev2;
}

static enum trace_verdict judge_transfer(const struct trace_call *c, char *text, size_t size)
{
    int fd = (int)c->args[0];
    struct stat st;
    if (fstat(fd, &st) != 0)
        return TRACE_FINE; /* -EBADF */
    enum trace_verdict verdict =
        is_write(c->nr) && (fd == 1 || fd == 2) ? TRACE_LIBRARY : TRACE_OFFENCE;
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode)) {
        if (is_in_memory(fd))
            return TRACE_FINE;
        snprintf(text, size, "descriptor %d, a file on a disk", fd);
        return verdict;
    }
    if (S_ISCHR(st.st_mode) && st.st_rdev >> 8 == 1) /* null, zero, random */
        return TRACE_FINE;
    if ((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0)
        return TRACE_FINE;
    if (is_write(c->nr) && is_eventfd(fd))
        return TRACE_FINE;
    snprintf(text, size, "descriptor %d, a blocking %s", fd,
             S_ISSOCK(st.st_mode)   ? "socket"
             : S_ISFIFO(st.st_mode) ? "pipe"
                                    : "descriptor");
    return verdict;
}

/* An address that is a path. */
static bool is_path(uint64_t address)
{
    struct {
        sa_family_t family;
        char first;
    } head;
    return trace_peek(address, &head, sizeof(head)) && head.family == AF_UNIX && head.first != '\0';
}

static enum trace_verdict judge_bind(const struct trace_call *c, char *text, size_t size)
{
    snprintf(text, size, "the path may be on a disk");
    return is_path(c->args[1]) ? TRACE_LIBRARY : TRACE_FINE;
}

static enum trace_verdict judge_connect(const struct trace_call *c, char *text, size_t size)
{
    int type;
    socklen_t len = sizeof(type);
    if (getsockopt((int)c->args[0], SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM)
        return judge_bind(c, text, size);
    sa_family_t family;
    if (trace_peek(c->args[1], &family, sizeof(family)) && family == AF_UNSPEC)
        return TRACE_FINE; /* to be connected no longer */
    return judge_transfer(c, text, size);
}

/* A timeout of two words that says: do not wait. */
static bool is_poll(uint64_t address)
{
    int64_t both[2];
    return address != 0 && trace_peek(address, both, sizeof(both)) && both[0] == 0 && both[1] == 0;
}

static enum trace_verdict judge_timeout(bool no_wait, char *text, size_t size)
{
    snprintf(text, size, "it has time to wait");
    return no_wait ? TRACE_FINE : TRACE_OFFENCE;
}

static enum trace_verdict judge_futex(const struct trace_call *c, char *text, size_t size)
{
    if (trace_is_lock(c))
        return TRACE_FINE; /* so far: see trace_lock_look */
    if (c->args[0] == (uintptr_t)&c->worker->rt->phase)
        return TRACE_FINE; /* between two runs */
    snprintf(text, size, "operation %u, for the value %u", (unsigned)c->args[1],
             (unsigned)c->args[2]);
    return TRACE_OFFENCE;
}

/* A FIFO's open waits for its other end. */
static enum trace_verdict judge_open(const struct trace_call *c, char *text, size_t size)
{
    int at = c->nr == SYS_openat || c->nr == SYS_openat2; /* else SYS_open */
    uint64_t name = c->args[at];
    struct open_how how = {.flags = c->args[at + 1]};
    char path[4096];
    size_t n = 0;
    struct stat st;
    if (c->nr == SYS_openat2 && !trace_peek(c->args[2], &how, sizeof(how)))
        return TRACE_FINE;
    while (n < sizeof(path) - 1 && trace_peek(name + n, path + n, 1) && path[n] != '\0')
        n++;
    path[n] = '\0';
    snprintf(text, size, "%.200s", path);
    if (strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/sys/", 5) == 0 ||
        (how.resolve & RESOLVE_CACHED) != 0)
        return TRACE_FINE;
    if ((how.flags & (O_PATH | O_NONBLOCK)) == 0 && (how.flags & O_ACCMODE) != O_RDWR &&
        fstatat(at ? (int)c->args[0] : AT_FDCWD, path, &st, 0) == 0 && S_ISFIFO(st.st_mode))
        return TRACE_OFFENCE;
    return TRACE_LIBRARY;
}

/* A descriptor's own inode is in memory, unless the file is far away. */
static bool has_no_name(uint64_t path)
{
    char first;
    return path == 0 || (trace_peek(path, &first, 1) && first == '\0');
}

static enum trace_verdict judge_names(const struct trace_call *c, char *text, size_t size)
{
    snprintf(text, size, "names and inodes may be on a disk");
    switch (c->nr) {
    case SYS_getdents64:
    case SYS_ftruncate:
    case SYS_fallocate:
        return is_in_memory((int)c->args[0]) ? TRACE_FINE : TRACE_LIBRARY;
    case SYS_newfstatat:
    case SYS_statx:
        return has_no_name(c->args[1]) ? TRACE_FINE : TRACE_LIBRARY;
    default:
        return TRACE_LIBRARY;
    }
}

static enum trace_verdict judge_clone3(const struct trace_call *c, char *text, size_t size)
{
    uint64_t flags;
    snprintf(text, size, "until the child has executed its program");
    if (!trace_peek(c->args[0], &flags, sizeof(flags)) || (flags & CLONE_VFORK) == 0)
        return TRACE_FINE;
    return TRACE_OFFENCE;
}

enum trace_verdict trace_judge(const struct trace_call *c, char *text, size_t size)
{
    snprintf(text, size, "always may");
    switch (c->nr) {
    case SYS_read:
    case SYS_readv:
    case SYS_pread64:
    case SYS_preadv:
    case SYS_preadv2:
    case SYS_write:
    case SYS_writev:
    case SYS_pwrite64:
    case SYS_pwritev:
    case SYS_pwritev2:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
    case SYS_accept:
    case SYS_accept4:
    case SYS_sendfile: /* its output; the file's part is in memory: api/net/sendfile.c */
    case SYS_fsync:
    case SYS_fdatasync:
        return judge_transfer(c, text, size);
    case SYS_bind:
        return judge_bind(c, text, size);
    case SYS_connect:
        return judge_connect(c, text, size);
    case SYS_ppoll:
        return judge_timeout(is_poll(c->args[2]), text, size);
    case SYS_pselect6:
        return judge_timeout(is_poll(c->args[4]), text, size);
    case SYS_epoll_pwait2:
        return judge_timeout(is_poll(c->args[3]), text, size);
    case SYS_rt_sigtimedwait:
        return judge_timeout(is_poll(c->args[2]), text, size);
    case SYS_futex:
        return judge_futex(c, text, size);
    case SYS_clone3:
        return judge_clone3(c, text, size);
    case SYS_openat:
    case SYS_openat2:
        return judge_open(c, text, size);
#ifdef SYS_poll
    case SYS_select:
        return judge_timeout(is_poll(c->args[4]), text, size);
    case SYS_open:
        return judge_open(c, text, size);
#endif
    case SYS_copy_file_range:
    case SYS_getdents64:
    case SYS_newfstatat:
    case SYS_statx:
    case SYS_renameat2:
    case SYS_unlinkat:
    case SYS_mkdirat:
    case SYS_linkat:
    case SYS_symlinkat:
    case SYS_readlinkat:
    case SYS_ftruncate:
    case SYS_fallocate:
        return judge_names(c, text, size);
    default:
        return TRACE_OFFENCE;
    }
}

/* ---- Locks ---- */

/* glibc's locks, pthread mutexes among them, wait for the value 2: held, and somebody waits. */
bool trace_is_lock(const struct trace_call *c)
{
    return c->nr == SYS_futex && (c->args[1] & FUTEX_CMD_MASK) == FUTEX_WAIT &&
           (uint32_t)c->args[2] == 2 && c->args[3] == 0;
}

static bool is_still_there(const struct trace_call *c)
{
    char line[256];
    int nr;
    unsigned long long word;
    return trace_proc(c->tid, "syscall", line, sizeof(line)) > 0 &&
           sscanf(line, "%d %llx", &nr, &word) == 2 && nr == c->nr && word == c->args[0];
}

/* A holder that waits for its turn at a core, or at another lock, is at work. */
static bool is_asleep(pid_t holder)
{
    char line[512], state;
    int nr;
    unsigned long long word, op, value;
    if (trace_proc(holder, "stat", line, sizeof(line)) <= 0 || strrchr(line, ')') == NULL ||
        sscanf(strrchr(line, ')') + 1, " %c", &state) != 1 || (state != 'S' && state != 'D'))
        return false;
    if (trace_proc(holder, "syscall", line, sizeof(line)) <= 0 ||
        sscanf(line, "%d %llx %llx %llx", &nr, &word, &op, &value) != 4)
        return false; /* it runs */
    return nr != SYS_futex || value != 2;
}

bool trace_lock_look(struct trace_lock *lock, bool *ret_asleep)
{
    struct {
        int lock;
        unsigned count;
        int owner; /* of glibc's mutex; its other locks do not say who holds them */
    } mutex;
    char ran[sizeof(lock->holder_ran)];
    *ret_asleep = false;
    if (!is_still_there(&lock->call) || !trace_peek(lock->call.args[0], &mutex, sizeof(mutex)))
        return false;
    if (mutex.owner <= 0 || !is_asleep(mutex.owner) ||
        trace_proc(mutex.owner, "schedstat", ran, sizeof(ran)) <= 0 ||
        strcmp(ran, lock->holder_ran) != 0) {
        lock->looks = 0;
        lock->holder_ran[0] = '\0';
        if (mutex.owner > 0)
            trace_proc(mutex.owner, "schedstat", lock->holder_ran, sizeof(lock->holder_ran));
        return true;
    }
    *ret_asleep = ++lock->looks == LOOKS_ASLEEP;
    return true;
}
