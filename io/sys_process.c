/*
 * System calls about child processes, and what is needed to watch them; by the contract of sys.c,
 * faults included.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/sys_internal.h"

int sys_posix_spawnp(pid_t *ret_pid, const char *file, const posix_spawn_file_actions_t *actions,
                     const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
    INJECT(posix_spawnp);
    return -posix_spawnp(ret_pid, file, actions, attr, argv, env);
}

int sys_pidfd_open(pid_t pid, unsigned flags)
{
    INJECT(pidfd_open);
    return result_int(syscall(SYS_pidfd_open, pid, flags));
}

int sys_pidfd_send_signal(int pidfd, int signal)
{
    INJECT(pidfd_send_signal);
    return result_int(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

int sys_kill(pid_t pid, int signal)
{
    INJECT(kill);
    return result_int(kill(pid, signal));
}

int sys_waitid(idtype_t type, id_t id, siginfo_t *ret_info, int options)
{
    INJECT(waitid);
    return result_int(waitid(type, id, ret_info, options));
}

int sys_pipe2(int ret_fds[2], int flags)
{
    INJECT(pipe2);
    return result_int(pipe2(ret_fds, flags));
}

int sys_epoll_create1(int flags)
{
    INJECT(epoll_create1);
    return result_int(epoll_create1(flags));
}

int sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    INJECT(epoll_ctl);
    return result_int(epoll_ctl(epfd, op, fd, event));
}

int sys_epoll_wait(int epfd, struct epoll_event *ret_events, int n, int timeout_ms)
{
    INJECT(epoll_wait);
    return result_int(epoll_wait(epfd, ret_events, n, timeout_ms));
}
