/*
 * Every system call pirn makes, under one contract: a value >= 0, or a negative errno.
 *
 * They are functions, not inline: glibc declares errno's address constant, so a compiler that sees
 * two of these calls in one coroutine may compute it once and read the errno of the thread that
 * made the first call after the second has run on another. Inside one function that never switches
 * there is no such moment. (Raw syscall instructions inline were the other cure; they hide the
 * calls from the sanitizers, and a call costs 1-2 ns beside 70 or more for the kernel's part.)
 *
 * Faults on purpose. In a hard build each call first asks whether it shall fail. The environment
 * variable PIRN_FAULT holds the rules, separated by commas:
 *
 *     name:error         every call fails          mmap:ENOMEM
 *     name:error:1/N     one in N, at random       recv:EAGAIN:1/50
 *     name:error:@K      the K-th only (from 1)    mmap:ENOMEM:@3
 *     name:error:@K+     the K-th and all after    io_uring_setup:EPERM:@2+
 *
 * name is that of the function below without sys_; error is a name or a number. Rules of the same
 * name are tried in order, each with its own count; the first that fires decides. PIRN_FAULT_SEED
 * (a number, 1 if unset) picks another random sequence. A failing call does nothing else: an
 * injected EAGAIN has not looked at the descriptor, an injected close has not closed it.
 * A rule that cannot be read ends the process with status 2.
 */
#include "io/sys.h"

#include <errno.h>
#include <liburing.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "io/sys_internal.h"

/* ---- Memory ----------------------------------------------------------------------------- */

int sys_mmap(void **ret_addr, void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
    INJECT(mmap);
    void *at = mmap(addr, len, prot, flags, fd, offset);
    if (at == MAP_FAILED)
        return last_error();
    *ret_addr = at;
    return 0;
}

int sys_munmap(void *addr, size_t len)
{
    INJECT(munmap);
    return result_int(munmap(addr, len));
}

int sys_madvise(void *addr, size_t len, int advice)
{
    INJECT(madvise);
    return result_int(madvise(addr, len, advice));
}

ssize_t sys_process_madvise(const struct iovec *ranges, size_t n, int advice)
{
    enum {
        SELF = -10001 /* PIDFD_SELF_THREAD_GROUP, not in the headers of old */
    };
    INJECT(process_madvise);
    return result(syscall(SYS_process_madvise, SELF, ranges, n, advice, 0));
}

int sys_mprotect(void *addr, size_t len, int prot)
{
    INJECT(mprotect);
    return result_int(mprotect(addr, len, prot));
}

/* ---- io_uring --------------------------------------------------------------------------- */

int sys_io_uring_setup(unsigned entries, struct io_uring_params *params)
{
    INJECT(io_uring_setup);
    return result_int(syscall(SYS_io_uring_setup, entries, params));
}

static int enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags, const void *arg,
                 size_t arg_size)
{
    return result_int(
        syscall(SYS_io_uring_enter, fd, to_submit, min_complete, flags, arg, arg_size));
}

#ifdef SIGNALS_HELD_BACK
/* A worker may have been given a signal, too: as sys_futex_wait. */
int sys_io_uring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                       const void *arg, size_t arg_size)
{
    INJECT(io_uring_enter);
    if ((flags & IORING_ENTER_EXT_ARG) == 0)
        return enter(fd, to_submit, min_complete, flags, arg, arg_size);
    struct io_uring_getevents_arg slice = *(const struct io_uring_getevents_arg *)arg;
    const struct __kernel_timespec *timeout = (const void *)(uintptr_t)slice.ts; /* NOLINT */
    int64_t left = timeout == NULL ? INT64_MAX : timeout->tv_sec * 1000000000 + timeout->tv_nsec;
    for (;;) {
        struct __kernel_timespec part = {.tv_nsec = left < SLICE_NS ? left : SLICE_NS};
        slice.ts = (uint64_t)(uintptr_t)&part;
        int rc = enter(fd, to_submit, min_complete, flags, &slice, arg_size);
        nanosleep(&(struct timespec){0}, NULL); /* it intercepts this */
        if (timeout != NULL)
            left -= part.tv_nsec;
        if (rc != -ETIME || left <= 0)
            return rc;
    }
}
#else
int sys_io_uring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                       const void *arg, size_t arg_size)
{
    INJECT(io_uring_enter);
    return enter(fd, to_submit, min_complete, flags, arg, arg_size);
}
#endif

int sys_io_uring_register(int fd, unsigned opcode, void *arg, unsigned arg_count)
{
    INJECT(io_uring_register);
    return result_int(syscall(SYS_io_uring_register, fd, opcode, arg, arg_count));
}

/* ---- Threads, scheduling, signals --------------------------------------------------------- */

int sys_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr, void *(*fn)(void *),
                       void *arg)
{
    INJECT(pthread_create);
    return -pthread_create(ret_thread, attr, fn, arg);
}

static int futex_wait(const void *word, uint32_t expected, const struct timespec *timeout)
{
    return result_int(syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout, NULL, 0));
}

#ifdef SIGNALS_HELD_BACK
/* So who sleeps here lets its handlers run now and then: a process's signals are its first
 * thread's, and that is mostly inside pirn_run. */
int sys_futex_wait(const void *word, uint32_t expected, const struct timespec *timeout)
{
    INJECT(futex_wait);
    int64_t left = timeout == NULL ? SLICE_NS : timeout->tv_sec * 1000000000 + timeout->tv_nsec;
    for (;;) {
        int64_t part = left < SLICE_NS ? left : SLICE_NS;
        int rc = futex_wait(word, expected, &(struct timespec){.tv_nsec = part});
        nanosleep(&(struct timespec){0}, NULL); /* it intercepts this */
        if (timeout != NULL)
            left -= part;
        if (rc != -ETIMEDOUT || left <= 0)
            return rc;
    }
}
#else
int sys_futex_wait(const void *word, uint32_t expected, const struct timespec *timeout)
{
    INJECT(futex_wait);
    return futex_wait(word, expected, timeout);
}
#endif

int sys_futex_wake(const void *word, int count)
{
    INJECT(futex_wake);
    return result_int(syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0));
}

int sys_membarrier(int command, unsigned flags)
{
    INJECT(membarrier);
    return result_int(syscall(SYS_membarrier, command, flags, 0));
}

int sys_sched_getattr(pid_t tid, struct sys_sched_attr *ret_attr)
{
    INJECT(sched_getattr);
    return result_int(syscall(SYS_sched_getattr, tid, ret_attr, sizeof(*ret_attr), 0));
}

int sys_sched_setattr(pid_t tid, const struct sys_sched_attr *attr)
{
    INJECT(sched_setattr);
    return result_int(syscall(SYS_sched_setattr, tid, attr, 0));
}

int sys_sched_getaffinity(pid_t tid, size_t bytes, void *ret_mask)
{
    INJECT(sched_getaffinity);
    return result_int(syscall(SYS_sched_getaffinity, tid, bytes, ret_mask));
}

int sys_prctl(int option, unsigned long arg)
{
    INJECT(prctl);
    return result_int(prctl(option, arg, 0, 0, 0));
}

int sys_sigaltstack(const stack_t *stack, stack_t *ret_old)
{
    INJECT(sigaltstack);
    return result_int(sigaltstack(stack, ret_old));
}

int sys_sigaction(int signal, const struct sigaction *action, struct sigaction *ret_old)
{
    INJECT(sigaction);
    return result_int(sigaction(signal, action, ret_old));
}

int sys_sigprocmask(int how, const sigset_t *set, sigset_t *ret_old)
{
    INJECT(sigprocmask);
    return -pthread_sigmask(how, set, ret_old);
}

int sys_getrlimit(int resource, struct rlimit *ret_limit)
{
    INJECT(getrlimit);
    return result_int(getrlimit((__rlimit_resource_t)resource, ret_limit));
}

/* ---- Descriptors ------------------------------------------------------------------------ */

int sys_eventfd(unsigned initial, int flags)
{
    INJECT(eventfd);
    return result_int(eventfd(initial, flags));
}

int sys_close(int fd)
{
    INJECT(close);
    return result_int(close(fd));
}

int sys_fcntl(int fd, int command, long arg)
{
    INJECT(fcntl);
    return result_int(fcntl(fd, command, arg));
}

int sys_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    INJECT(poll);
    return result_int(poll(fds, n, timeout_ms));
}

int sys_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout)
{
    INJECT(ppoll);
    return result_int(ppoll(fds, n, timeout, NULL));
}

ssize_t sys_read(int fd, void *buf, size_t n)
{
    INJECT(read);
    return result(read(fd, buf, n));
}

ssize_t sys_write(int fd, const void *buf, size_t n)
{
    INJECT(write);
    return result(write(fd, buf, n));
}

/* ---- Sockets ---------------------------------------------------------------------------- */

int sys_accept4(int fd, struct sockaddr *ret_addr, socklen_t *ret_len, int flags)
{
    INJECT(accept4);
    return result_int(accept4(fd, ret_addr, ret_len, flags));
}

int sys_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    INJECT(connect);
    return result_int(connect(fd, addr, len));
}

int sys_shutdown(int fd, int how)
{
    INJECT(shutdown);
    return result_int(shutdown(fd, how));
}

int sys_getsockopt(int fd, int level, int option, void *ret_value, socklen_t *ret_len)
{
    INJECT(getsockopt);
    return result_int(getsockopt(fd, level, option, ret_value, ret_len));
}

int sys_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
    INJECT(setsockopt);
    return result_int(setsockopt(fd, level, option, value, len));
}

/* glibc's recv and send are points of cancellation, at 10 ns a call; here they never wait. */
ssize_t sys_recv(int fd, void *buf, size_t n, int flags)
{
    INJECT(recv);
#ifdef SANITIZED
    return result(recv(fd, buf, n, flags)); /* the sanitizers look at these */
#else
    return result(syscall(SYS_recvfrom, fd, buf, n, flags, NULL, NULL));
#endif
}

ssize_t sys_send(int fd, const void *buf, size_t n, int flags)
{
    INJECT(send);
#ifdef SANITIZED
    return result(send(fd, buf, n, flags));
#else
    return result(syscall(SYS_sendto, fd, buf, n, flags, NULL, 0));
#endif
}

ssize_t sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
    INJECT(recvmsg);
    return result(recvmsg(fd, msg, flags));
}

ssize_t sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    INJECT(sendmsg);
#ifdef SANITIZED
    return result(sendmsg(fd, msg, flags));
#else
    return result(syscall(SYS_sendmsg, fd, msg, flags));
#endif
}
