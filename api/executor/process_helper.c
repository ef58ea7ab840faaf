/*
 * The helper process, seen from the program.
 *
 * Worker processes cannot be forked from a program whose threads run: locks would be copied in
 * whatever state they are in, and rings with them. So they come from a helper, forked while there
 * was one thread only, and single-threaded itself (as in Python's fork server, but without an exec,
 * so that functions have the same addresses everywhere).
 *
 * It is forked twice, so that it is not this process's child: a wait() for any child must neither
 * find it nor wait for it. (If orphans come to this very process it is one all the same.) It ends
 * when its socket is closed, which the end of this process does, or when the pidfd it has of this
 * process says so (a fork of this program might keep the socket open).
 *
 * Questions and answers alternate, under a mutex; the helper answers at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/executor/process.h"
#include "io/sys.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int control = -1; /* under the lock, as is: */
static pid_t owner;      /* whose helper it is: not a fork's child's */

static void renew_lock(void) /* in a fork's child: its holder did not come along */
{
    pthread_mutex_init(&lock, NULL);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, renew_lock);
}

static void take_lock(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&lock);
}

/* A libc call's result. Used only where no coroutine can have moved in between. */
static int result(long r)
{
    return r < 0 ? -errno : (int)r;
}

static int count_threads(void)
{
    struct stat st;
    int rc = sys_fstatat(AT_FDCWD, "/proc/self/task", &st, 0);
    return rc < 0 ? rc : (int)st.st_nlink - 2; /* a directory of a directory for each */
}

/* In the child of the first fork: 0 if the helper could be forked. */
static int fork_helper(int socket, int pidfd)
{
    int rc = result(fork());
    if (rc == 0)
        pirn_process_server_main(socket, pidfd);
    return rc < 0 ? -rc : 0;
}

static int fork_twice(int socket, int pidfd)
{
    int status;
    fflush(NULL);
    int pid = result(fork());
    if (pid == 0)
        _exit(fork_helper(socket, pidfd));
    if (pid < 0)
        return pid;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return 0; /* SIGCHLD is ignored: it is gone; if there is no helper, we shall notice */
    }
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

static int start(void)
{
    int pair[2];
    int threads = count_threads();
    if (threads != 1)
        return threads < 0 ? threads : -EBUSY;
    if (control >= 0)
        sys_close(control); /* our parent's */
    control = -1;
    int pidfd = result(syscall(SYS_pidfd_open, getpid(), 0));
    if (pidfd < 0)
        return pidfd;
    int rc = result(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
    if (rc == 0) {
        rc = fork_twice(pair[1], pidfd);
        sys_close(pair[1]);
        if (rc == 0)
            control = pair[0];
        else
            sys_close(pair[0]);
        owner = getpid();
    }
    sys_close(pidfd);
    return rc;
}

int pirn_process_helper_start(void)
{
    take_lock();
    int rc = control >= 0 && owner == getpid() ? 0 : start();
    pthread_mutex_unlock(&lock);
    return rc;
}

/* An answer, with the two descriptors that come with a worker. */
static int receive(int *ret_fds)
{
    struct helper_answer answer = {-EPIPE};
    struct iovec iov = {&answer, sizeof(answer)};
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } fds;
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &fds, .msg_controllen = sizeof(fds.space)};
    int n;
    do
        n = result(recvmsg(control, &msg, MSG_CMSG_CLOEXEC));
    while (n == -EINTR);
    if (n != sizeof(answer))
        return n < 0 && n != -ECONNRESET ? n : -EPIPE;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (answer.rc != 0 || ret_fds == NULL)
        return answer.rc;
    if (c == NULL || c->cmsg_type != SCM_RIGHTS)
        return -EMFILE; /* the kernel could not install them here */
    if (c->cmsg_len != CMSG_LEN(2 * sizeof(int))) {
        memcpy(ret_fds, CMSG_DATA(c), sizeof(int));
        sys_close(ret_fds[0]);
        return -EMFILE;
    }
    memcpy(ret_fds, CMSG_DATA(c), 2 * sizeof(int));
    return 0;
}

/* A question, with a descriptor unless that is -1: 1, or -errno. */
static int put(char question, int fd)
{
    struct iovec iov = {&question, 1};
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } with;
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    int rc;
    if (fd >= 0) {
        memset(&with, 0, sizeof(with));
        msg.msg_control = &with;
        msg.msg_controllen = sizeof(with.space);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    do
        rc = result(sendmsg(control, &msg, MSG_NOSIGNAL));
    while (rc == -EINTR);
    return rc;
}

static int ask(char question, int fd, int *ret_fds)
{
    int rc;
    take_lock();
    if (control < 0 || owner != getpid()) {
        rc = -EPIPE;
    } else {
        rc = put(question, fd);
        rc = rc == 1 ? receive(ret_fds) : rc == -ECONNRESET || rc >= 0 ? -EPIPE : rc;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

int pirn_process_helper_spawn(int *ret_socket, int *ret_pidfd)
{
    int fds[2];
    int rc = ask(HELPER_SPAWN, -1, fds);
    if (rc != 0)
        return rc;
    *ret_socket = fds[0];
    *ret_pidfd = fds[1];
    return 0;
}

void pirn_process_helper_sync(void)
{
    ask(HELPER_SYNC, -1, NULL); /* should the helper have died, so have the workers */
}

int pirn_process_helper_kill(int pidfd)
{
    return ask(HELPER_KILL, pidfd, NULL);
}
