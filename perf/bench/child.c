/*
 * The other processes of a row: a server or a peer started by a shell command, and a small echo
 * process. They die with this one: no benchmark leaves anything running behind.
 */
#include "perf/bench/bench.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t bench_fork(void)
{
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        bench_fail("fork", errno);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    return pid;
}

pid_t bench_start(const char *command, int *ret_stdout)
{
    char line[4096];
    int ends[2];
    if (pipe(ends) < 0)
        bench_fail("pipe", errno);
    snprintf(line, sizeof line, "exec %s", command);
    pid_t pid = bench_fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *ret_stdout = ends[0];
    return pid;
}

void bench_end(pid_t pid)
{
    kill(pid, SIGINT);
    for (int i = 0; i < 200; i++) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return;
        bench_nap(10000000);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* One connection at a time, blocking calls: the least that can answer. */
static void echo_loop(int listener)
{
    bench_short_slice();
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            _exit(1);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        char buf[BENCH_MESSAGE];
        ssize_t n;
        while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
            if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
                break;
        close(fd);
    }
}

void bench_raise_descriptors(int count)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)count + 100;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        bench_fail("getrlimit", errno);
    if (limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max < wanted || setrlimit(RLIMIT_NOFILE, &limit) < 0)
        bench_fail("the limit of descriptors", EMFILE);
}

bench_used bench_used_by(pid_t pid)
{
    char file[64];
    snprintf(file, sizeof file, "/proc/%d/status", (int)pid);
    return (bench_used){bench_proc(file, "VmHWM:"), bench_proc(file, "Threads:")};
}

void bench_out_used(bench_used used)
{
    bench_out("resident_kb", (double)used.resident_kb);
    bench_out("threads", (double)used.threads);
}

int bench_server_child(void (*serve)(int listener))
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        bench_fail("a server in a child", errno);
    if (bench_fork() == 0) {
        serve(fd);
        _exit(1);
    }
    close(fd);
    return ntohs(addr.sin_port);
}

int bench_echo_child(void)
{
    return bench_server_child(echo_loop);
}

void bench_become_peer(const char *more)
{
    const char *peer = bench_arg("peer", NULL);
    if (!peer)
        return;
    char line[4096];
    snprintf(line, sizeof line, "exec %s %s", peer, more);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    bench_fail("sh", errno);
}
