/*
 * ThreadSanitizer and descriptors.
 *
 * It keeps a record of each descriptor number: the calls that create or close one write to it, the
 * calls that use one read it. It does not see io_uring open and close descriptors, so when a number
 * comes round again the kernel's order between the old use and the new is unknown to it, and it
 * would report a race (or fail a check of its own: the record of a closed one names no thread). The
 * calls below, which the linker prefers to the sanitizer's, leave the record alone: what it says
 * about descriptors is lost, what it says about memory is not.
 */
#include "tests/support.h"

#include "sched/tsan.h"

#ifdef PIRN_TSAN

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

int close(int fd)
{
    return (int)syscall(SYS_close, fd);
}

int socket(int family, int type, int protocol)
{
    return (int)syscall(SYS_socket, family, type, protocol);
}

int socketpair(int family, int type, int protocol, int ret_fds[2])
{
    return (int)syscall(SYS_socketpair, family, type, protocol, ret_fds);
}

int accept4(int fd, struct sockaddr *ret_addr, socklen_t *len, int flags)
{
    return (int)syscall(SYS_accept4, fd, ret_addr, len, flags);
}

int accept(int fd, struct sockaddr *ret_addr, socklen_t *len)
{
    return accept4(fd, ret_addr, len, 0);
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    if (support_connects != NULL)
        support_connects(addr);
    return (int)syscall(SYS_connect, fd, addr, len);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags) /* it may bring descriptors */
{
    return syscall(SYS_recvmsg, fd, msg, flags);
}

int pipe2(int ret_fds[2], int flags)
{
    return (int)syscall(SYS_pipe2, ret_fds, flags);
}

int pipe(int ret_fds[2])
{
    return pipe2(ret_fds, 0);
}

int eventfd(unsigned count, int flags)
{
    return (int)syscall(SYS_eventfd2, count, flags);
}

int epoll_create1(int flags)
{
    return (int)syscall(SYS_epoll_create1, flags);
}

int dup(int fd)
{
    return (int)syscall(SYS_dup, fd);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* c-ares opens a few files of the system. All that makes a FILE is here, as fclose is: TSan would
 * miss the end of one that it has seen begin. */
FILE *fopen(const char *path, const char *mode)
{
    FILE *(*libc)(const char *, const char *) =
        (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen");
    return libc(path, mode);
}

FILE *fopen64(const char *path, const char *mode) /* OpenSSL, of certificates and keys */
{
    return fopen(path, mode);
}

int fclose(FILE *file)
{
    int (*libc)(FILE *) = (int (*)(FILE *))dlsym(RTLD_NEXT, "fclose");
    return libc(file);
}

FILE *fdopen(int fd, const char *mode)
{
    FILE *(*libc)(int, const char *) = (FILE * (*)(int, const char *)) dlsym(RTLD_NEXT, "fdopen");
    return libc(fd, mode);
}

FILE *open_memstream(char **text, size_t *size)
{
    FILE *(*libc)(char **, size_t *) =
        (FILE * (*)(char **, size_t *)) dlsym(RTLD_NEXT, "open_memstream");
    return libc(text, size);
}

int closedir(DIR *dir)
{
    int (*libc)(DIR *) = (int (*)(DIR *))dlsym(RTLD_NEXT, "closedir");
    return libc(dir);
}

bool support_tsan(void)
{
    return true;
}

#else

bool support_tsan(void)
{
    return false;
}

#endif
