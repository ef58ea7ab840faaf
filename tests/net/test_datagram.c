/* Datagrams of UDP and Unix sockets, and descriptors that travel over Unix sockets. */
#include "tests/support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

static pirn_address address(const char *host)
{
    pirn_address *list, a;
    CHECK_EQ(pirn_resolve(host, "0", NULL, &list, PIRN_NEVER), 1);
    a = *list;
    pirn_addresses_free(list);
    return a;
}

struct sending {
    int fd;
    pirn_address to;
    int count, size;
};

/* Datagrams of the sizes size, size + 1, ..., each of one letter. */
static int send_some(void *arg)
{
    struct sending *s = arg;
    char buf[300];
    for (int i = 0; i < s->count; i++) {
        memset(buf, 'a' + i, sizeof(buf));
        CHECK_EQ(pirn_sendto(s->fd, buf, (size_t)(s->size + i), 0, &s->to, PIRN_NEVER),
                 s->size + i);
        pirn_sleep(pirn_after_us(support_between(0, 200)));
    }
    return 0;
}

static void *send_thread(void *arg)
{
    send_some(arg);
    return NULL;
}

static bool same(const pirn_address *a, const pirn_address *b)
{
    return a->len == b->len && memcmp(&a->addr, &b->addr, a->len) == 0;
}

/* ---- A155 ------------------------------------------------------------------------------------ */

static void boundaries(const char *host)
{
    pirn_address here = address(host), from;
    char buf[300];
    int in = pirn_udp(0, &here), out = pirn_udp(0, &here);
    if (in < 0 && here.addr.any.sa_family == AF_INET6) {
        fprintf(stderr, "this machine has no IPv6 loopback: IPv4 only\n");
        return;
    }
    CHECK_GE(in, 0);
    CHECK_GE(out, 0);
    struct sending s = {.fd = out, .count = 20, .size = 0};
    CHECK_OK(pirn_local_address(in, &s.to));
    CHECK_OK(pirn_local_address(out, &here));
    pthread_t thread = support_thread(send_thread, &s);
    for (int i = 0; i < s.count; i++) { /* one by one, waited for or not */
        memset(&from, 0xff, sizeof(from));
        CHECK_EQ(pirn_recvfrom(in, buf, sizeof(buf), 0, i % 3 ? &from : NULL, PIRN_NEVER), i);
        for (int k = 0; k < i; k++)
            CHECK_EQ(buf[k], 'a' + i);
        CHECK(i % 3 == 0 || same(&from, &here));
    }
    support_thread_join(thread);
    CHECK_EQ(pirn_recvfrom(in, buf, sizeof(buf), 0, &from, PIRN_NOW), -ETIMEDOUT);

    /* Cut off, and said so; the next one is whole. */
    for (int waits = 0; waits < 2; waits++) {
        s.count = 3;
        s.size = 100;
        if (!waits)
            send_some(&s);
        else
            thread = support_thread(send_thread, &s);
        memset(buf, '-', sizeof(buf));
        CHECK_EQ(pirn_recvfrom(in, buf, 60, 0, &from, PIRN_NEVER), -EMSGSIZE);
        CHECK(buf[59] == 'a' && buf[60] == '-' && same(&from, &here));
        CHECK_EQ(pirn_recvfrom(in, buf, 60, MSG_TRUNC, NULL, PIRN_NEVER), 101);
        CHECK(buf[59] == 'b' && buf[60] == '-');
        CHECK_EQ(pirn_recvfrom(in, buf, 102, 0, NULL, PIRN_NEVER), 102);
        if (waits)
            support_thread_join(thread);
    }
    static char huge[70000];
    CHECK_EQ(pirn_sendto(out, huge, sizeof(huge), 0, &s.to, PIRN_NEVER), -EMSGSIZE);
    CHECK_EQ(pirn_sendto(out, NULL, 1, 0, &s.to, PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_connect(out, &s.to.addr.any, s.to.len, PIRN_NEVER));
    CHECK_EQ(pirn_sendto(out, "abc", 3, 0, NULL, PIRN_NEVER), 3);
    CHECK_EQ(pirn_recvfrom(in, buf, sizeof(buf), 0, NULL, PIRN_NEVER), 3);
    CHECK_OK(pirn_close(in));
    CHECK_OK(pirn_close(out));
}

static void udp(void)
{
    boundaries("127.0.0.1");
    boundaries("::1");
    CHECK_EQ(pirn_udp(AF_UNIX, NULL), -EAFNOSUPPORT);
}

START_TEST(a155_boundaries_and_truncation)
{
    support_everywhere(udp);
}
END_TEST

/* ---- Unix datagrams: a full queue is waited for, without a spin ------------------------------ */

static pirn_address bind_unix(int *ret_fd)
{
    static atomic_int number;
    pirn_address a;
    memset(&a, 0, sizeof(a));
    a.addr.path.sun_family = AF_UNIX;
    int n = snprintf(a.addr.path.sun_path + 1, 60, "pirn-datagram-%d-%d", (int)getpid(),
                     atomic_fetch_add(&number, 1));
    a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    *ret_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_OK(bind(*ret_fd, &a.addr.any, a.len));
    return a;
}

static void unix_datagrams(void)
{
    int in, out;
    char buf[300];
    pirn_address to = bind_unix(&in), here = bind_unix(&out), from;
    int queued = 0;
    while (pirn_sendto(out, "x", 1, 0, &to, PIRN_NOW) == 1)
        queued++;
    CHECK_GE(queued, 1);
    CHECK_EQ(pirn_sendto(out, "x", 1, 0, &to, pirn_after_ms(2)), -ETIMEDOUT);
    CHECK_EQ(pirn_sendto(out, "x", 1, MSG_DONTWAIT, &to, PIRN_NEVER), -EAGAIN);
    struct sending s = {.fd = out, .to = to, .count = 5, .size = 10};
    pthread_t thread = support_thread(send_thread, &s);
    for (int i = 0; i < queued; i++)
        CHECK_EQ(pirn_recvfrom(in, buf, sizeof(buf), 0, NULL, PIRN_NEVER), 1);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(pirn_recvfrom(in, buf, i == 2 ? 5 : sizeof(buf), 0, &from, PIRN_NEVER),
                 i == 2 ? -EMSGSIZE : 10 + i);
        CHECK(same(&from, &here));
    }
    support_thread_join(thread);
    CHECK_OK(pirn_close(in));
    CHECK_OK(pirn_close(out));
    int pair[2]; /* a sender without a name */
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
    CHECK_EQ(pirn_sendto(pair[0], "abc", 3, 0, NULL, PIRN_NEVER), 3);
    CHECK_EQ(pirn_recvfrom(pair[1], buf, sizeof(buf), 0, &from, PIRN_NEVER), 3);
    CHECK_EQ(from.len, 0);
    CHECK_OK(pirn_close(pair[0]));
    CHECK_OK(pirn_close(pair[1]));
}

START_TEST(a155_unix_datagrams)
{
    support_everywhere(unix_datagrams);
}
END_TEST

/* ---- Descriptors ----------------------------------------------------------------------------- */

enum {
    FDS = 253
};

static void check_pipe(int in, int out) /* it is that pipe, and close-on-exec */
{
    char c = 'x';
    CHECK_EQ(fcntl(out, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(support_write(in, &c, 1), 1);
    CHECK_EQ(pirn_read(out, &c, 1, PIRN_NEVER), 1);
}

/* How many ends of pipes this process has: what is left open by mistake would be one. */
static int pipe_ends(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++) {
        struct stat st;
        n += fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
    }
    return n;
}

static void passing(void)
{
    int pair[2], pipe_fds[2], many[FDS + 1], got[FDS + 1];
    char buf[16];
    size_t count = 77;
    support_pair(pair);
    support_pipe(pipe_fds);
    for (int i = 0; i <= FDS; i++)
        many[i] = pipe_fds[0];
    for (int k = 1; k <= FDS; k += k < 4 ? 1 : 83) {
        CHECK_EQ(pirn_send_fds(pair[0], "abc", 3, many, (size_t)k, PIRN_NEVER), 3);
        CHECK_EQ(pirn_recv_fds(pair[1], buf, sizeof(buf), got, FDS, &count, PIRN_NEVER), 3);
        CHECK_EQ(count, k);
        check_pipe(pipe_fds[1], got[0]);
        check_pipe(pipe_fds[1], got[k - 1]);
        for (int i = 0; i < k; i++)
            CHECK_OK(close(got[i]));
    }
    int before = pipe_ends();
    for (int room = 0; room < 3; room++) { /* more than there is room for: closed, and said so */
        memset(got, 0xff, sizeof(got));
        CHECK_EQ(pirn_send_fds(pair[0], "abc", 3, many, 5, PIRN_NEVER), 3);
        CHECK_EQ(pirn_recv_fds(pair[1], buf, sizeof(buf), got, (size_t)room, &count, PIRN_NEVER),
                 -EMSGSIZE);
        CHECK_EQ(count, room);
        CHECK_EQ(got[room], -1);
        CHECK_EQ(pipe_ends(), before + room);
        for (int i = 0; i < room; i++) {
            check_pipe(pipe_fds[1], got[i]);
            CHECK_OK(close(got[i]));
        }
    }
    CHECK_EQ(pirn_send(pair[0], "no more", 7, 0, PIRN_NEVER), 7); /* bytes alone */
    CHECK_EQ(pirn_recv_fds(pair[1], buf, sizeof(buf), got, 3, &count, PIRN_NEVER), 7);
    CHECK_EQ(count, 0);
    CHECK_EQ(pirn_recv_fds(pair[1], buf, sizeof(buf), got, 3, &count, pirn_after_ms(1)),
             -ETIMEDOUT);
    CHECK_EQ(pirn_send_fds(pair[0], "a", 1, many, FDS + 1, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_send_fds(pair[0], "a", 0, many, 1, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_send_fds(pair[0], "a", 1, many, 0, PIRN_NEVER), -EINVAL);
    many[1] = -1;
    CHECK_EQ(pirn_send_fds(pair[0], "a", 1, many, 2, PIRN_NEVER), -EBADF);
    CHECK_OK(pirn_close(pair[0]));
    CHECK_EQ(pirn_recv_fds(pair[1], buf, sizeof(buf), got, 3, &count, PIRN_NEVER), 0); /* the end */
    CHECK_OK(pirn_close(pair[1]));
    CHECK_OK(pirn_close(pipe_fds[0]));
    CHECK_OK(pirn_close(pipe_fds[1]));
}

/* How many descriptors this process has of processes. */
static int pidfds(void)
{
    int n = 0;
    support_blocking_begin();
    for (int fd = 0; fd < 1024; fd++) {
        char path[32], what[64] = "";
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n += readlink(path, what, sizeof(what) - 1) > 0 && strstr(what, "pidfd") != NULL;
    }
    support_blocking_end();
    return n;
}

/* The kernel sends a descriptor of the sender's process along: it is not left open. */
static void with_a_pidfd(void)
{
    enum {
        PASS_PIDFD = 76 /* SO_PASSPIDFD: Linux 6.5 */
    };
    int pair[2], pipe_fds[2], got[2], yes = 1;
    char buf[4];
    size_t count = 77;
    support_pair(pair);
    support_pipe(pipe_fds);
    if (setsockopt(pair[1], SOL_SOCKET, PASS_PIDFD, &yes, sizeof(yes)) != 0)
        CHECK_EQ(errno, ENOPROTOOPT);
    int before = pidfds();
    CHECK_EQ(pirn_send_fds(pair[0], "abcd", 4, pipe_fds, 1, PIRN_NEVER), 4);
    CHECK_EQ(pirn_recv_fds(pair[1], buf, sizeof(buf), got, 2, &count, PIRN_NEVER), 4);
    CHECK_EQ(count, 1);
    check_pipe(pipe_fds[1], got[0]);
    CHECK_OK(close(got[0]));
    CHECK_EQ(pirn_send(pair[0], "abcd", 4, 0, PIRN_NEVER), 4);
    CHECK_EQ(pirn_recv_fds(pair[1], buf, sizeof(buf), got, 2, &count, PIRN_NEVER), 4);
    CHECK_EQ(count, 0);
    CHECK_EQ(pidfds(), before);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(pirn_close(pair[i]));
        CHECK_OK(pirn_close(pipe_fds[i]));
    }
}

/* A datagram that is cut off says so, and its descriptors are the caller's all the same. */
static void cut_off(void)
{
    int pair[2], pipe_fds[2], got[2];
    char buf[4];
    size_t count = 77;
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
    support_pipe(pipe_fds);
    CHECK_EQ(pirn_send_fds(pair[0], "abcdef", 6, pipe_fds, 1, PIRN_NEVER), 6);
    CHECK_EQ(pirn_recv_fds(pair[1], buf, sizeof(buf), got, 2, &count, PIRN_NEVER), -EMSGSIZE);
    CHECK_EQ(count, 1);
    CHECK_OK(close(got[0]));
    CHECK_EQ(pirn_send_fds(pair[0], "abcd", 4, pipe_fds, 1, PIRN_NEVER), 4);
    CHECK_EQ(pirn_recv_fds(pair[1], buf, sizeof(buf), got, 2, &count, PIRN_NEVER), 4);
    CHECK_OK(close(got[0]));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(pirn_close(pair[i]));
        CHECK_OK(pirn_close(pipe_fds[i]));
    }
}

START_TEST(descriptors_travel)
{
    support_everywhere(passing);
    support_everywhere(cut_off);
    support_everywhere(with_a_pidfd);
}
END_TEST

/* More bytes than the socket takes at once: the descriptor comes with the first of them. */
enum {
    LONG = 2000000
};

static int send_long(void *arg)
{
    int *fds = arg;
    char *buf = calloc(1, LONG);
    ssize_t sent = pirn_send_fds(fds[0], buf, LONG, &fds[2], 1, PIRN_NEVER);
    free(buf);
    return (int)sent;
}

static int long_message(void *arg)
{
    int fds[4], got[2];
    static char buf[LONG];
    size_t count;
    (void)arg;
    support_pair(fds);
    support_pipe(fds + 2);
    pirn_task *task = support_spawn(send_long, fds);
    ssize_t n = pirn_recv_fds(fds[1], buf, sizeof(buf), got, 2, &count, PIRN_NEVER);
    CHECK(n > 0 && n < LONG && count == 1);
    check_pipe(fds[3], got[0]);
    CHECK_EQ(pirn_recv(fds[1], buf, LONG - (size_t)n, MSG_WAITALL, PIRN_NEVER), LONG - n);
    CHECK_EQ(support_join(task), LONG);
    CHECK_OK(close(got[0]));

    /* Stopped half-way: so much has been sent, and the cancel is still there. */
    task = support_spawn(send_long, fds);
    n = pirn_recv_fds(fds[1], buf, 1, got, 2, &count, PIRN_NEVER);
    CHECK(n == 1 && count == 1);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    int sent = support_join(task);
    CHECK(sent > 1 && sent < LONG);
    CHECK_EQ(support_drain(fds[1]), sent - 1);
    CHECK_OK(close(got[0]));
    for (int i = 0; i < 4; i++)
        CHECK_OK(pirn_close(fds[i]));
    return 0;
}

START_TEST(descriptors_with_a_long_message)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, long_message, NULL));
}
END_TEST

SUPPORT_MAIN("datagram", a155_boundaries_and_truncation, a155_unix_datagrams, descriptors_travel,
             descriptors_with_a_long_message)
