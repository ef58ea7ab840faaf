/*
 * The system calls pirn makes, each returning a value or a negative errno (the contract of sys.c).
 * What is not listed here is not called from io/, sched/ and runtime/.
 */
#ifndef PIRN_IO_SYS_H
#define PIRN_IO_SYS_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

/* Their names in the object files: a static library must not define a sys_read of its own. */
#define SYS(name) __asm__("pirn_sys_" #name)

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

/* sched_setattr(2)'s argument, as far as pirn fills it in; no libc header has it. */
struct sys_sched_attr {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime; /* ns: for SCHED_OTHER the slice that is asked for */
    uint64_t deadline;
    uint64_t period;
};

struct epoll_event;
struct io_uring_params;
struct open_how;

/* Memory. sys_mmap gives 0 and *ret_addr, or -errno. */
int sys_mmap(void **ret_addr, void *addr, size_t len, int prot, int flags, int fd, off_t offset)
    SYS(mmap);
int sys_munmap(void *addr, size_t len) SYS(munmap);
int sys_madvise(void *addr, size_t len, int advice) SYS(madvise);
/* Of n ranges of our own (Linux 6.14): how many bytes of them, all together. */
ssize_t sys_process_madvise(const struct iovec *ranges, size_t n, int advice) SYS(process_madvise);
int sys_mprotect(void *addr, size_t len, int prot) SYS(mprotect);

/* io_uring, raw. */
int sys_io_uring_setup(unsigned entries, struct io_uring_params *params) SYS(io_uring_setup);
int sys_io_uring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                       const void *arg, size_t arg_size) SYS(io_uring_enter);
int sys_io_uring_register(int fd, unsigned opcode, void *arg, unsigned arg_count)
    SYS(io_uring_register);

/* Threads, scheduling, signals. timeout is relative, NULL waits for ever. */
int sys_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr, void *(*fn)(void *),
                       void *arg) SYS(pthread_create);
int sys_futex_wait(const void *word, uint32_t expected, const struct timespec *timeout)
    SYS(futex_wait);
int sys_futex_wake(const void *word, int count) SYS(futex_wake);
int sys_membarrier(int command, unsigned flags) SYS(membarrier);
int sys_sched_getattr(pid_t tid, struct sys_sched_attr *ret_attr) SYS(sched_getattr);
int sys_sched_setattr(pid_t tid, const struct sys_sched_attr *attr) SYS(sched_setattr);
int sys_sched_getaffinity(pid_t tid, size_t bytes, void *ret_mask)
    SYS(sched_getaffinity); /* bytes the kernel wrote */
int sys_prctl(int option, unsigned long arg) SYS(prctl);
int sys_sigaltstack(const stack_t *stack, stack_t *ret_old) SYS(sigaltstack);
int sys_sigaction(int signal, const struct sigaction *action, struct sigaction *ret_old)
    SYS(sigaction);
int sys_sigprocmask(int how, const sigset_t *set, sigset_t *ret_old)
    SYS(sigprocmask); /* of the calling thread */
int sys_getrlimit(int resource, struct rlimit *ret_limit) SYS(getrlimit);

/* Processes. */
int sys_posix_spawnp(pid_t *ret_pid, const char *file, const posix_spawn_file_actions_t *actions,
                     const posix_spawnattr_t *attr, char *const argv[], char *const env[])
    SYS(posix_spawnp);
int sys_pidfd_open(pid_t pid, unsigned flags) SYS(pidfd_open);
int sys_pidfd_send_signal(int pidfd, int signal) SYS(pidfd_send_signal);
int sys_kill(pid_t pid, int signal) SYS(kill);
int sys_waitid(idtype_t type, id_t id, siginfo_t *ret_info, int options) SYS(waitid);

/* Descriptors. */
int sys_pipe2(int ret_fds[2], int flags) SYS(pipe2);
int sys_epoll_create1(int flags) SYS(epoll_create1);
int sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event) SYS(epoll_ctl);
int sys_epoll_wait(int epfd, struct epoll_event *ret_events, int n, int timeout_ms) SYS(epoll_wait);
int sys_eventfd(unsigned initial, int flags) SYS(eventfd);
int sys_close(int fd) SYS(close);
int sys_fcntl(int fd, int command, long arg) SYS(fcntl);
int sys_poll(struct pollfd *fds, nfds_t n, int timeout_ms) SYS(poll);
int sys_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout) SYS(ppoll);
ssize_t sys_read(int fd, void *buf, size_t n) SYS(read);
ssize_t sys_write(int fd, const void *buf, size_t n) SYS(write);

/* Files (sys_file.c). */
ssize_t sys_pread(int fd, void *buf, size_t n, off_t offset) SYS(pread);
ssize_t sys_pwrite(int fd, const void *buf, size_t n, off_t offset) SYS(pwrite);
ssize_t sys_preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags) SYS(preadv2);
ssize_t sys_pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags) SYS(pwritev2);
ssize_t sys_copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t n)
    SYS(copy_file_range);
int sys_fsync(int fd) SYS(fsync);
int sys_fdatasync(int fd) SYS(fdatasync);
int sys_ftruncate(int fd, off_t size) SYS(ftruncate);
off_t sys_lseek(int fd, off_t offset, int whence) SYS(lseek);
int sys_fallocate(int fd, int mode, off_t offset, off_t n) SYS(fallocate);
int sys_openat(int dir_fd, const char *path, int flags, mode_t mode) SYS(openat);
int sys_openat2(int dir_fd, const char *path, const struct open_how *how) SYS(openat2);
ssize_t sys_getdents64(int fd, void *buf, size_t n) SYS(getdents64);
int sys_fstat(int fd, struct stat *ret_stat) SYS(fstat);
int sys_fstatat(int dir_fd, const char *path, struct stat *ret_stat, int flags) SYS(fstatat);
int sys_statx(int dir_fd, const char *path, int flags, unsigned mask, struct statx *ret_stat)
    SYS(statx);
int sys_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
    SYS(renameat2);
int sys_unlinkat(int dir_fd, const char *path, int flags) SYS(unlinkat);
int sys_mkdirat(int dir_fd, const char *path, mode_t mode) SYS(mkdirat);
int sys_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) SYS(linkat);
int sys_symlinkat(const char *target, int dir_fd, const char *path) SYS(symlinkat);
ssize_t sys_readlinkat(int dir_fd, const char *path, char *buf, size_t n) SYS(readlinkat);

/* Sockets, several descriptors, files into sockets (sys_net.c). */
int sys_socket(int family, int type, int protocol) SYS(socket);
int sys_bind(int fd, const struct sockaddr *addr, socklen_t len) SYS(bind);
int sys_listen(int fd, int backlog) SYS(listen);
int sys_getsockname(int fd, struct sockaddr *ret_addr, socklen_t *ret_len) SYS(getsockname);
int sys_getpeername(int fd, struct sockaddr *ret_addr, socklen_t *ret_len) SYS(getpeername);
ssize_t sys_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *ret_addr,
                     socklen_t *ret_len) SYS(recvfrom);
int sys_epoll_create(void) SYS(epoll_create);
int sys_epoll_add(int epoll_fd, int fd, unsigned events)
    SYS(epoll_add); /* EPOLLIN is POLLIN, ... */
ssize_t sys_sendfile(int out_fd, int in_fd, off_t *offset, size_t n) SYS(sendfile);
/* How many pages of the file's n bytes from offset on are in memory; -ENOSYS before Linux 6.5. */
int64_t sys_cached_pages(int fd, uint64_t offset, uint64_t n) SYS(cachestat);

/* Sockets. */
int sys_accept4(int fd, struct sockaddr *ret_addr, socklen_t *ret_len, int flags) SYS(accept4);
int sys_connect(int fd, const struct sockaddr *addr, socklen_t len) SYS(connect);
int sys_shutdown(int fd, int how) SYS(shutdown);
int sys_getsockopt(int fd, int level, int option, void *ret_value, socklen_t *ret_len)
    SYS(getsockopt);
int sys_setsockopt(int fd, int level, int option, const void *value, socklen_t len) SYS(setsockopt);
ssize_t sys_recv(int fd, void *buf, size_t n, int flags) SYS(recv);
ssize_t sys_send(int fd, const void *buf, size_t n, int flags) SYS(send);
ssize_t sys_recvmsg(int fd, struct msghdr *msg, int flags) SYS(recvmsg);
ssize_t sys_sendmsg(int fd, const struct msghdr *msg, int flags) SYS(sendmsg);

#undef SYS

#endif
