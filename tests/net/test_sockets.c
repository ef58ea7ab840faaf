/*
 * The plain calls on sockets, as asyncio's sock_ calls: what comes back when a peer closes, resets,
 * is absent; all of ten megabytes or an error; sockets made by the caller; readiness of any
 * descriptor.
 */
#include "tests/support.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

static void reset(int fd) /* closes with a reset */
{
    struct linger now = {1, 0};
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
    close(fd);
}

/* ---- A146: closed, reset, absent ------------------------------------------------------------- */

static void peers(void)
{
    char buf[16];
    int pair[2];
    struct sockaddr_in addr;
    support_tcp_pair(pair); /* half-closed: what was sent, then 0 for ever */
    CHECK_EQ(pirn_send(pair[1], "bye", 3, 0, PIRN_NEVER), 3);
    CHECK_OK(shutdown(pair[1], SHUT_WR));
    CHECK_EQ(pirn_recv(pair[0], buf, sizeof(buf), 0, PIRN_NEVER), 3);
    CHECK_EQ(pirn_recv(pair[0], buf, sizeof(buf), 0, PIRN_NEVER), 0);
    CHECK_EQ(pirn_recv(pair[0], buf, sizeof(buf), 0, PIRN_NEVER), 0);
    CHECK_EQ(pirn_send(pair[0], "hear", 4, 0, PIRN_NEVER), 4); /* the other way is open */
    CHECK_EQ(pirn_recv(pair[1], buf, sizeof(buf), 0, PIRN_NEVER), 4);
    CHECK_OK(pirn_close(pair[0]));
    CHECK_OK(pirn_close(pair[1]));

    support_tcp_pair(pair);
    reset(pair[1]);
    CHECK_EQ(pirn_recv(pair[0], buf, sizeof(buf), 0, PIRN_NEVER), -ECONNRESET);
    CHECK_EQ(pirn_send(pair[0], buf, 1, 0, PIRN_NEVER), -EPIPE); /* and no signal */
    CHECK_OK(pirn_close(pair[0]));

    support_pair(pair); /* the same of a Unix socket that is closed */
    CHECK_OK(pirn_close(pair[1]));
    CHECK_EQ(pirn_recv(pair[0], buf, sizeof(buf), 0, PIRN_NEVER), 0);
    CHECK_EQ(pirn_send(pair[0], buf, 1, 0, PIRN_NEVER), -EPIPE);
    CHECK_EQ(pirn_write(pair[0], buf, 1, PIRN_NEVER), -EPIPE);
    CHECK_OK(pirn_close(pair[0]));

    int listener = support_listen(&addr, 1), fd = support_socket();
    CHECK_OK(pirn_close(listener));
    CHECK_EQ(pirn_connect(fd, (struct sockaddr *)&addr, sizeof(addr), PIRN_NEVER), -ECONNREFUSED);
    CHECK_OK(pirn_close(fd));
}

static void on_alarm(int signal)
{
    (void)signal;
}

static void *send_in_a_while(void *arg)
{
    support_pause_ms(20);
    CHECK_EQ(write(*(int *)arg, "x", 1), 1);
    return NULL;
}

/* Signals that interrupt system calls (no SA_RESTART), all the time: nobody sees -EINTR. */
static void interrupted(void)
{
    int pair[2];
    char c;
    support_pair(pair);
    pthread_t thread = support_thread(send_in_a_while, &pair[1]);
    CHECK_EQ(pirn_recv(pair[0], &c, 1, 0, PIRN_NEVER), 1);
    support_thread_join(thread);
    CHECK_EQ(pirn_recv(pair[0], &c, 1, 0, pirn_after_ms(5)), -ETIMEDOUT);
    CHECK_EQ(pirn_poll(pair[0], POLLIN, pirn_after_ms(5)), -ETIMEDOUT);
    CHECK_OK(pirn_close(pair[0]));
    CHECK_OK(pirn_close(pair[1]));
}

START_TEST(a146_s122_closed_reset_absent)
{
    struct sigaction action = {.sa_handler = on_alarm};
    timer_t timer;
    struct itimerspec often = {{0, MS}, {0, MS}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    support_everywhere(peers);
    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
    CHECK_OK(timer_settime(timer, 0, &often, NULL));
    support_everywhere(interrupted);
    CHECK_OK(timer_delete(timer));
}
END_TEST

/* ---- A150, S123: all of ten megabytes, or an error ------------------------------------------- */

enum {
    MUCH = 10 * 1000 * 1000
};

static uint8_t data[MUCH];

struct reader {
    int fd;
    size_t got;
    bool intact;
};

static void *read_slowly(void *arg)
{
    struct reader *r = arg;
    static uint8_t buf[100000];
    ssize_t n;
    r->intact = true;
    while ((n = read(r->fd, buf, sizeof(buf))) > 0) {
        if (memcmp(buf, data + r->got, (size_t)n) != 0)
            r->intact = false;
        r->got += (size_t)n;
        if (r->got % 16 == 0)
            support_pause_ms(1);
    }
    CHECK_EQ(n, 0);
    return NULL;
}

static void send_all(void)
{
    int pair[2];
    support_tcp_pair(pair);
    struct reader r = {.fd = pair[0]};
    pthread_t thread = support_thread(read_slowly, &r);
    CHECK_EQ(pirn_send(pair[1], data, MUCH, 0, PIRN_NEVER), MUCH);
    CHECK_OK(pirn_close(pair[1]));
    support_thread_join(thread);
    CHECK(r.got == MUCH && r.intact);
    CHECK_OK(pirn_close(pair[0]));
}

static int send_much(void *arg)
{
    ssize_t n = pirn_send(*(int *)arg, data, MUCH, 0, PIRN_NEVER);
    if (n >= 0)
        CHECK_EQ(pirn_yield(), -ECANCELED); /* the cancel is still there */
    return (int)n;
}

/* Cancelled half-way: how much is told; the rest, sent afterwards, makes it whole. */
static int cancelled_half_way(void *arg)
{
    int pair[2];
    (void)arg;
    support_tcp_pair(pair);
    pirn_task *task = support_spawn(send_much, &pair[1]);
    do /* until the sockets are full; the reader has not begun */
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    while (pirn_poll(pair[1], POLLOUT, PIRN_NOW) > 0);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    int sent = support_join(task);
    CHECK(sent > 0 && sent < MUCH);
    struct reader r = {.fd = pair[0]};
    pthread_t thread = support_thread(read_slowly, &r);
    CHECK_EQ(pirn_send(pair[1], data + sent, (size_t)(MUCH - sent), 0, PIRN_NEVER), MUCH - sent);
    CHECK_OK(pirn_close(pair[1]));
    support_thread_join(thread);
    CHECK(r.got == MUCH && r.intact);
    CHECK_OK(pirn_close(pair[0]));
    return 0;
}

START_TEST(a150_s123_all_or_an_error)
{
    for (size_t i = 0; i < MUCH; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 11));
    support_everywhere(send_all);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancelled_half_way, NULL));
}
END_TEST

/* ---- S121, S124, S125: sockets of the caller's own ------------------------------------------- */

static void own_sockets(void)
{
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        struct sockaddr_in addr = {.sin_family = AF_INET}, peer, name;
        socklen_t len = sizeof(addr), peer_len = sizeof(peer), name_len = sizeof(name);
        int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0), fd = support_socket();
        char buf[8];
        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        CHECK_OK(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)));
        CHECK_OK(bind(listener, (struct sockaddr *)&addr, len));
        CHECK_OK(listen(listener, 8));
        CHECK_OK(getsockname(listener, (struct sockaddr *)&addr, &len));
        support_nonblock(listener, nonblocking);
        support_nonblock(fd, nonblocking);
        CHECK_OK(pirn_connect(fd, (struct sockaddr *)&addr, len, PIRN_NEVER));
        int conn = pirn_accept(listener, (struct sockaddr *)&peer, &peer_len, 0, PIRN_NEVER);
        CHECK_GE(conn, 0);
        CHECK_OK(getsockname(fd, (struct sockaddr *)&name, &name_len));
        CHECK(peer_len == name_len && peer.sin_port == name.sin_port &&
              peer.sin_addr.s_addr == name.sin_addr.s_addr);
        CHECK_EQ(pirn_send(fd, "abc", 3, 0, PIRN_NEVER), 3);
        CHECK_EQ(pirn_recv(conn, buf, sizeof(buf), 0, PIRN_NEVER), 3);
        CHECK_OK(pirn_close(fd));
        CHECK_EQ(pirn_recv(conn, buf, sizeof(buf), 0, PIRN_NEVER), 0);
        CHECK_OK(pirn_close(conn));
        CHECK_OK(pirn_close(listener));
    }
}

START_TEST(s121_s125_sockets_of_ones_own)
{
    support_everywhere(own_sockets);
}
END_TEST

/* ---- S126: a reset ends that connection, and nothing else ------------------------------------ */

static int echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[64];
    ssize_t n;
    while ((n = pirn_recv(fd, buf, sizeof(buf), 0, PIRN_NEVER)) > 0)
        if (pirn_send(fd, buf, (size_t)n, 0, PIRN_NEVER) < 0)
            break;
    CHECK_OK(pirn_close(fd));
    return (int)n;
}

static int two_clients(void *arg)
{
    int one[2], other[2];
    char buf[8];
    (void)arg;
    support_tcp_pair(one);
    support_tcp_pair(other);
    pirn_task *first = support_spawn(echo, (void *)(intptr_t)one[1]),
              *second = support_spawn(echo, (void *)(intptr_t)other[1]);
    CHECK_EQ(pirn_send(one[0], "abc", 3, 0, PIRN_NEVER), 3);
    CHECK_EQ(pirn_recv(one[0], buf, 3, MSG_WAITALL, PIRN_NEVER), 3);
    reset(one[0]);
    CHECK_EQ(support_join(first), -ECONNRESET);
    CHECK_EQ(pirn_send(other[0], "abc", 3, 0, PIRN_NEVER), 3);
    CHECK_EQ(pirn_recv(other[0], buf, 3, MSG_WAITALL, PIRN_NEVER), 3);
    CHECK_OK(pirn_close(other[0]));
    CHECK_EQ(support_join(second), 0);
    return 0;
}

START_TEST(s126_a_reset_ends_its_connection)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, two_clients, NULL));
}
END_TEST

/* ---- S128: pipe, eventfd, timerfd and socket wake a poll ------------------------------------- */

static int wait_for_it(void *arg)
{
    return pirn_poll(*(int *)arg, POLLIN, PIRN_NEVER);
}

static int readiness(void *arg)
{
    int pipe_fds[2], pair[2];
    uint64_t one = 1;
    struct itimerspec soon = {.it_value = {0, MS}};
    (void)arg;
    support_pipe(pipe_fds);
    support_tcp_pair(pair);
    int event = eventfd(0, EFD_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    int *fds[] = {&pipe_fds[0], &event, &timer, &pair[0]};
    pirn_task *tasks[4];
    for (int i = 0; i < 4; i++) {
        tasks[i] = support_spawn(wait_for_it, fds[i]);
        support_until_waiting(tasks[i]);
    }
    CHECK_EQ(support_write(pipe_fds[1], "x", 1), 1);
    CHECK_EQ(write(event, &one, sizeof(one)), sizeof(one));
    CHECK_OK(timerfd_settime(timer, 0, &soon, NULL));
    CHECK_EQ(support_write(pair[1], "x", 1), 1);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(support_join(tasks[i]), POLLIN);
    CHECK_EQ(pirn_poll(pair[1], POLLIN | POLLOUT, PIRN_NEVER), POLLOUT);
    CHECK_OK(pirn_close(pair[1]));
    CHECK_EQ(pirn_poll(pair[0], POLLRDHUP, PIRN_NEVER), POLLRDHUP); /* the end, whenever it comes */
    CHECK_EQ(pirn_poll(pair[0], POLLIN | POLLRDHUP, PIRN_NEVER), POLLIN | POLLRDHUP);
    int all[] = {pipe_fds[0], pipe_fds[1], event, timer, pair[0]};
    for (int i = 0; i < 5; i++)
        CHECK_OK(pirn_close(all[i]));
    return 0;
}

START_TEST(s128_any_descriptor_wakes_a_poll)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, readiness, NULL));
}
END_TEST

/* ---- S129: a close ends what others do on it ------------------------------------------------- */

static int receive(void *arg)
{
    char c;
    return (int)pirn_recv(*(int *)arg, &c, 1, 0, PIRN_NEVER);
}

static int closed_by_another(void *arg)
{
    int pair[2];
    (void)arg;
    support_tcp_pair(pair);
    pirn_task *task = support_spawn(receive, &pair[0]);
    support_until_waiting(task);
    CHECK_OK(pirn_close(pair[0]));
    CHECK_EQ(support_join(task), -EBADF);
    CHECK_OK(pirn_close(pair[1]));
    return 0;
}

START_TEST(s129_a_close_wakes_others)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, closed_by_another, NULL));
}
END_TEST

SUPPORT_MAIN("sockets", a146_s122_closed_reset_absent, a150_s123_all_or_an_error,
             s121_s125_sockets_of_ones_own, s126_a_reset_ends_its_connection,
             s128_any_descriptor_wakes_a_poll, s129_a_close_wakes_others)
