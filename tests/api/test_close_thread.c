/*
 * pirn_close while calls of plain threads wait for the descriptor: they end with -EBADF as a
 * coroutine's do, and what then gets the same number is left alone.
 */
#include "tests/api/close.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static ssize_t u_accept(struct user *u)
{
    return pirn_accept(u->fd, NULL, NULL, 0, PIRN_NEVER);
}

static ssize_t (*const uses[])(struct user *u) = {u_recv, u_recvmsg, u_read,  u_poll,
                                                  u_send, u_write,   u_accept};
enum {
    USES = 7
};

static void *use(void *arg)
{
    struct user *u = arg;
    atomic_store(&u->tid, (int)syscall(SYS_gettid));
    u->rc = u->call(u);
    atomic_store(&u->over, 1);
    return NULL;
}

static pthread_t begin(struct user *u, int fd, ssize_t (*call)(struct user *u))
{
    memset(u, 0, sizeof(*u));
    memset(u->buf, 0x5a, sizeof(u->buf));
    u->fd = fd;
    u->call = call;
    u->rc = -1;
    if (call == u_send || call == u_write)
        support_fill(fd);
    pthread_t thread = support_thread(use, u);
    close_until_waiting(u);
    return thread;
}

static void check_over(struct user *u, pthread_t thread, ssize_t rc)
{
    support_thread_join(thread);
    CHECK_EQ(u->rc, rc);
    for (size_t i = 0; i < sizeof(u->buf) && rc < 0; i++)
        CHECK_EQ(u->buf[i], 0x5a);
}

static void close_each(void)
{
    for (int i = 0; i < USES; i++) {
        int fds[2], next[2];
        struct sockaddr_in addr;
        struct user u;
        char buf[4];
        support_pair(fds);
        if (uses[i] == u_accept) {
            close(fds[0]);
            fds[0] = support_listen(&addr, 1);
        }
        pthread_t thread = begin(&u, fds[0], uses[i]);
        CHECK_OK(pirn_close(fds[0]));
        support_pair(next); /* at once the number is somebody else's, as a rule */
        support_send_all(next[0], "next", 4);
        support_send_all(next[1], "next", 4);
        check_over(&u, thread, -EBADF);
        CHECK_EQ(support_read(next[0], buf, 4), 4);
        CHECK_EQ(support_read(next[1], buf, 4), 4);
        close(next[0]);
        close(next[1]);
        close(fds[1]);
    }
}

START_TEST(a_close_ends_each_wait_of_a_thread)
{
    support_census before = support_count();
    for (int i = 0; i < support_rounds(20); i++)
        support_everywhere(close_each);
    support_no_more_than(before);
}
END_TEST

/* Many wait for one descriptor, and others for others, which go on. */
static void close_one_of_many(void)
{
    enum {
        N = 8
    };
    struct user users[N], others[2];
    pthread_t threads[N], other_threads[2];
    int fds[2], pairs[2][2], far;
    char c = 'x';
    support_pair(fds);
    support_pair(pairs[0]);
    support_pair(pairs[1]);
    far = fcntl(pairs[1][0], F_DUPFD_CLOEXEC, fds[0] + 64); /* of the same list */
    CHECK_GE(far, fds[0] + 64);
    for (int i = 0; i < N; i++)
        threads[i] = begin(&users[i], fds[0], u_recv);
    other_threads[0] = begin(&others[0], pairs[0][0], u_recv);
    other_threads[1] = begin(&others[1], far, u_recv);
    CHECK_OK(pirn_close(fds[0]));
    for (int i = 0; i < N; i++)
        check_over(&users[i], threads[i], -EBADF);
    for (int i = 0; i < 2; i++) {
        CHECK(!atomic_load(&others[i].over));
        support_send_all(pairs[i][1], &c, 1);
        check_over(&others[i], other_threads[i], 1);
        close(pairs[i][0]);
        close(pairs[i][1]);
    }
    close(far);
    close(fds[1]);
}

START_TEST(others_go_on)
{
    for (int i = 0; i < support_rounds(20); i++)
        support_everywhere(close_one_of_many);
}
END_TEST

/* Data and the close at the same time: one of both comes, and a byte that was taken is told. */
static void *send_one(void *arg)
{
    support_spin(support_between(0, 60 * US));
    send(*(int *)arg, "d", 1, MSG_NOSIGNAL);
    return NULL;
}

static void race_one(void)
{
    int fds[2];
    struct user u;
    support_pair(fds);
    pthread_t thread = begin(&u, fds[0], u_recv), sender = support_thread(send_one, &fds[1]);
    support_spin(support_between(0, 60 * US));
    CHECK_OK(pirn_close(fds[0]));
    support_thread_join(thread);
    support_thread_join(sender);
    CHECK(u.rc == 1 || u.rc == -EBADF);
    CHECK_EQ(u.buf[0], u.rc == 1 ? 'd' : 0x5a);
    close(fds[1]);
}

START_TEST(raced_by_data)
{
    for (int i = 0; i < support_rounds(200); i++)
        support_everywhere(race_one);
}
END_TEST

/* A fork's child has the list, not the threads: its close waits for nobody, and its parent's go
 * on. */
START_TEST(in_a_forks_child)
{
    int fds[2], status;
    struct user u;
    char c = 'x';
    support_pair(fds);
    pthread_t thread = begin(&u, fds[0], u_recv);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        alarm(60);
        _exit(pirn_close(fds[0]) == 0 ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK(!atomic_load(&u.over));
    support_send_all(fds[1], &c, 1);
    check_over(&u, thread, 1);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

/* Without a descriptor for it a wait is one that only the descriptor itself ends. */
START_TEST(without_a_descriptor_to_spare)
{
    struct rlimit limit, none;
    int fds[2];
    struct user u;
    char c = 'x';
    support_pair(fds);
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    none = limit;
    int next = dup(fds[0]);
    close(next);
    none.rlim_cur = (rlim_t)next;
    memset(&u, 0, sizeof(u));
    u.fd = fds[0];
    u.call = u_recv;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &none));
    pthread_t thread = support_thread(use, &u);
    support_until(&u.tid, 1);
    support_pause_ms(1);
    support_send_all(fds[1], &c, 1);
    check_over(&u, thread, 1);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    close(fds[0]);
    close(fds[1]);
}
END_TEST

SUPPORT_MAIN("close_thread", a_close_ends_each_wait_of_a_thread, others_go_on, raced_by_data,
             in_a_forks_child, without_a_descriptor_to_spare)
