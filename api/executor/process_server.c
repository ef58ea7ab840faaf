/*
 * What runs in the helper process and in the worker processes: plain blocking calls, one thread, no
 * pirn underneath.
 *
 * The helper forks a worker when asked, hands one end of the worker's socket and a pidfd to the
 * program, and reaps workers that have ended: on SIGCHLD, and before every answer, so that who has
 * seen a worker's end and then asks finds it reaped. It kills a worker for a program that has given
 * up the privileges with which it started the helper. It ends with the program, and its workers
 * with it, also those that compute (PR_SET_PDEATHSIG; the helper has one thread, so "parent" means
 * it).
 *
 * What they must not inherit: descriptors (all closed but standard output and error, and their
 * socket), signal handlers and masks (of a terminal's signals they ignore what the program does),
 * and a place in another process's socket: a worker is forked before its own socket's other end is
 * open in anybody's hands but the helper's, which closes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/executor/process.h"

/* ---- A worker ---------------------------------------------------------------------------- */

/* False: the program has closed its end. */
static bool read_all(int fd, void *buf, uint64_t n)
{
    for (char *at = buf; n > 0;) {
        ssize_t got = read(fd, at, n < 1u << 30 ? n : 1u << 30);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        n -= (uint64_t)got;
    }
    return true;
}

static bool write_all(int fd, const void *buf, uint64_t n)
{
    for (const char *at = buf; n > 0;) {
        ssize_t put = send(fd, at, n < 1u << 30 ? n : 1u << 30, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at += put;
        n -= (uint64_t)put;
    }
    return true;
}

static bool skip(int fd, uint64_t n)
{
    char sink[4096];
    while (n > 0) {
        uint64_t piece = n < sizeof(sink) ? n : sizeof(sink);
        if (!read_all(fd, sink, piece))
            return false;
        n -= piece;
    }
    return true;
}

/* One job; false: there are no more. */
static bool serve(int fd)
{
    struct process_request request;
    struct process_reply reply = {0, 0, 0};
    if (!read_all(fd, &request, sizeof(request)))
        return false;
    char *in = malloc(request.in_len + 1), *out = malloc(request.out_cap + 1);
    bool room = in != NULL && out != NULL;
    bool whole = room ? read_all(fd, in, request.in_len) : skip(fd, request.in_len);
    if (whole && room) {
        size_t out_len = 0;
        pirn_process_fn fn = (pirn_process_fn)(uintptr_t)request.fn;
        reply.status = fn(in, request.in_len, out, request.out_cap, &out_len);
        reply.out_len = out_len;
        fflush(NULL); /* what it printed is there before its answer */
    }
    if (!room || reply.out_len > request.out_cap) {
        reply.error = room ? -EMSGSIZE : -ENOMEM;
        reply.out_len = 0;
    }
    whole = whole && write_all(fd, &reply, sizeof(reply)) && write_all(fd, out, reply.out_len);
    free(in);
    free(out);
    return whole;
}

static _Noreturn void worker_main(int fd, pid_t helper)
{
    sigset_t none;
    prctl(PR_SET_NAME, "pirn-worker");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != helper)
        _exit(0); /* it has died before that */
    close_range(3, (unsigned)fd - 1, 0);
    close_range((unsigned)fd + 1, ~0u, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    while (serve(fd)) {}
    _exit(0);
}

/* ---- The helper -------------------------------------------------------------------------- */

/* 0, or -errno: the kernel may pass no descriptors now (ETOOMANYREFS, ENOBUFS). */
static int send_answer(int control, int rc, const int *fds)
{
    struct helper_answer a = {rc};
    struct iovec iov = {&a, sizeof(a)};
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } with;
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fds != NULL) {
        memset(&with, 0, sizeof(with));
        msg.msg_control = &with;
        msg.msg_controllen = sizeof(with.space);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(2 * sizeof(int));
        memcpy(CMSG_DATA(c), fds, 2 * sizeof(int));
    }
    while (sendmsg(control, &msg, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/* Whoever asked waits for it: it gets one, or hears that there is no helper any more. */
static void answer(int control, int rc, const int *fds)
{
    int failed = send_answer(control, rc, fds);
    if (failed != 0 && fds != NULL)
        failed = send_answer(control, failed, NULL);
    if (failed != 0)
        _exit(1);
}

static void spawn(int control)
{
    int pair[2], rc = 0, fds[2] = {-1, -1};
    pid_t me = getpid();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        answer(control, -errno, NULL);
        return;
    }
    pid_t pid = fork();
    if (pid == 0)
        worker_main(pair[1], me);
    if (pid < 0)
        rc = -errno;
    close(pair[1]);
    fds[0] = pair[0];
    if (pid > 0) {
        fds[1] = (int)syscall(SYS_pidfd_open, pid, 0); /* ours and not reaped: it is that one */
        rc = fds[1] < 0 ? -errno : 0;
        if (rc != 0)
            kill(pid, SIGKILL);
    }
    answer(control, rc, rc == 0 ? fds : NULL);
    close(fds[0]);
    if (fds[1] >= 0)
        close(fds[1]);
}

/* A worker whose rights the program does not have. Nobody else: waitid knows children only. */
static void end_worker(int control, int worker)
{
    siginfo_t info;
    int rc = 0;
    if (worker < 0)
        rc = -EMFILE; /* the kernel could not install it here */
    else if (waitid(P_PIDFD, (id_t)worker, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
             syscall(SYS_pidfd_send_signal, worker, SIGKILL, NULL, 0) != 0)
        rc = -errno;
    answer(control, rc, NULL);
}

/* The next question, with the descriptor that came along (or -1): recvmsg's result. */
static ssize_t hear(int control, char *ret_question, int *ret_fd)
{
    struct iovec iov = {ret_question, 1};
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } with;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &with,
                         .msg_controllen = sizeof(with.space)};
    ssize_t n = recvmsg(control, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    *ret_fd = -1;
    if (c != NULL && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
    return n;
}

/* False: the program has closed its end. */
static bool reply(int control)
{
    char question;
    int fd;
    ssize_t n = hear(control, &question, &fd);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        return false;
    if (n == 1 && question == HELPER_SPAWN)
        spawn(control);
    else if (n == 1 && question == HELPER_KILL)
        end_worker(control, fd);
    else if (n == 1)
        answer(control, 0, NULL); /* whoever had died has been reaped */
    if (fd >= 0)
        close(fd);
    return true;
}

static void reap(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
}

/* A terminal's signals go to its whole group: what the program ignores shall not end or stop the
 * processes it needs. */
static bool stays_ignored(int sig)
{
    struct sigaction now;
    bool of_terminal =
        sig == SIGHUP || sig == SIGQUIT || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
    return of_terminal && sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

/* Leaves nothing of the program in this process that could be felt: *control is moved if needed. */
static int shed(int *control, int *pidfd)
{
    struct sigaction as_usual = {.sa_handler = SIG_DFL};
    sigset_t child;
    for (int sig = 1; sig < NSIG; sig++) {
        if (!stays_ignored(sig))
            sigaction(sig, &as_usual, NULL);
    }
    signal(SIGINT, SIG_IGN);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child, NULL);
    *control = fcntl(*control, F_DUPFD_CLOEXEC, 5); /* out of the way of what follows */
    *pidfd = fcntl(*pidfd, F_DUPFD_CLOEXEC, 5);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (*control < 0 || *pidfd < 0 || null < 0)
        _exit(1);
    for (int fd = 0; fd <= 2; fd++) { /* output goes where the program's goes */
        if (fd == 0 || fcntl(fd, F_GETFD) < 0)
            dup2(null, fd);
    }
    dup2(*control, 3);
    dup2(*pidfd, 4);
    close_range(5, ~0u, 0);
    *control = 3;
    *pidfd = 4;
    return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

void pirn_process_server_main(int control, int pidfd)
{
    prctl(PR_SET_NAME, "pirn-helper");
    int children = shed(&control, &pidfd);
    if (children < 0)
        _exit(1);
    for (;;) {
        struct signalfd_siginfo info;
        struct pollfd p[3] = {{control, POLLIN, 0}, {pidfd, POLLIN, 0}, {children, POLLIN, 0}};
        if (poll(p, 3, -1) < 0)
            continue;
        if (p[1].revents != 0)
            _exit(0);
        while (read(children, &info, sizeof(info)) > 0) {}
        reap();
        if (p[0].revents != 0 && !reply(control))
            _exit(0);
    }
}
