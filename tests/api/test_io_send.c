/* Sending: all of it to a slow reader, what was sent when stopped half-way, broken pipes. */
#include "tests/support.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static unsigned char *pattern(size_t n)
{
    unsigned char *buf = malloc(n);
    CHECK(buf);
    for (size_t i = 0; i < n; i++)
        buf[i] = byte_at(i);
    return buf;
}

/* ---- A slow reader ----------------------------------------------------------------------- */

struct reader {
    int fd;
    size_t got, limit;
    int pause_us;
    bool close_at_limit;
};

static void *read_slowly(void *arg)
{
    struct reader *r = arg;
    unsigned char buf[8192];
    ssize_t n;
    while (r->got < r->limit && (n = support_read(r->fd, buf, sizeof(buf))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            CHECK_EQ(buf[i], byte_at(r->got + (size_t)i));
        if (r->pause_us && (r->got + (size_t)n) >> 20 != r->got >> 20)
            usleep((unsigned)r->pause_us);
        r->got += (size_t)n;
    }
    if (r->close_at_limit)
        close(r->fd);
    return NULL;
}

enum {
    SEND,
    SENDMSG,
    WRITE
};

static ssize_t put(int how, int fd, const void *buf, size_t n, pirn_time deadline)
{
    if (how == SEND)
        return pirn_send(fd, buf, n, 0, deadline);
    if (how == WRITE)
        return pirn_write(fd, buf, n, deadline);
    struct iovec vec[2] = {{(void *)buf, n / 3}, {(char *)buf + n / 3, n - n / 3}};
    struct msghdr msg = {.msg_iov = vec, .msg_iovlen = 2};
    return pirn_sendmsg(fd, &msg, 0, deadline);
}

/* A single pirn_send delivers everything; write and sendmsg at least make progress. */
static void deliver(int how, int fds[2], size_t n)
{
    unsigned char *buf = pattern(n);
    struct reader r = {.fd = fds[1], .limit = n, .pause_us = 500};
    pthread_t thread = support_thread(read_slowly, &r);
    size_t sent = 0;
    while (sent < n) {
        ssize_t rc = put(how, fds[0], buf + sent, n - sent, PIRN_NEVER);
        CHECK(rc > 0);
        if (how == SEND)
            CHECK_EQ(rc, n);
        sent += (size_t)rc;
    }
    memset(buf, 0, n); /* it is ours again */
    free(buf);
    support_thread_join(thread);
    CHECK_EQ(r.got, n);
    close(fds[0]);
    close(fds[1]);
}

static void big_sends(void)
{
    size_t n = support_slow() ? 2 << 20 : 16 << 20;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        for (int how = SEND; how <= WRITE; how++) {
            for (int kind = 0; kind < 3; kind++) {
                int fds[2], pipe_ends[2];
                if (kind == 2 && how != WRITE)
                    continue;
                if (kind == 0)
                    support_pair(fds);
                else if (kind == 1)
                    support_tcp_pair(fds);
                if (kind == 2) {
                    support_pipe(pipe_ends);
                    fds[0] = pipe_ends[1];
                    fds[1] = pipe_ends[0];
                }
                support_nonblock(fds[0], nonblocking);
                deliver(how, fds, how == SEND ? n : n / 8);
            }
        }
    }
}

START_TEST(all_of_it)
{
    support_everywhere(big_sends);
}
END_TEST

/* ---- Stopped half-way: the count says where ---------------------------------------------- */

struct sender {
    int fd;
    pirn_time deadline;
    unsigned char *buf;
    size_t n;
    ssize_t rc;
};

static int send_it(void *arg)
{
    struct sender *s = arg;
    s->rc = pirn_send(s->fd, s->buf, s->n, 0, s->deadline);
    return pirn_yield(); /* a cancel that did not stop it is still pending */
}

static void stopped(int fds[2], bool cancel)
{
    struct sender s = {.fd = fds[0], .n = 8 << 20, .deadline = PIRN_NEVER};
    s.buf = pattern(s.n);
    if (!cancel)
        s.deadline = pirn_after_ms(5);
    pirn_task *task = support_spawn(send_it, &s);
    if (cancel) { /* when it has sent what there was room for */
        support_until_waiting(task);
        CHECK_OK(pirn_cancel(task, NULL));
    }
    CHECK_EQ(support_join(task), cancel ? -ECANCELED : 0);
    CHECK(s.rc > 0 && (size_t)s.rc < s.n);
    memset(s.buf, 0xee, s.n);
    struct reader r = {.fd = fds[1], .limit = SIZE_MAX};
    shutdown(fds[0], SHUT_WR);
    read_slowly(&r); /* exactly that many, and none of the poison */
    CHECK_EQ(r.got, s.rc);
    free(s.buf);
    close(fds[0]);
    close(fds[1]);
}

static int stop_half_way(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++) {
        int fds[2];
        (i / 2 ? support_pair : support_tcp_pair)(fds);
        stopped(fds, i % 2);
    }
    return 0;
}

START_TEST(stopped_half_way)
{
    for (int i = 0; i < support_rounds(10); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, stop_half_way, NULL));
}
END_TEST

/* Nothing was sent: the deadline is reported, and nothing is sent later. */
static void full(void)
{
    for (int how = SEND; how <= WRITE; how++) {
        int fds[2];
        char data[8] = "no room";
        support_pair(fds);
        size_t filled = support_fill(fds[0]);
        CHECK_EQ(put(how, fds[0], data, 8, PIRN_NOW), -ETIMEDOUT);
        pirn_time until = pirn_after_ms(2);
        CHECK_EQ(put(how, fds[0], data, 8, until), -ETIMEDOUT);
        CHECK_GE(pirn_now().ns, until.ns);
        CHECK_EQ(support_drain(fds[1]), filled);
        CHECK_EQ(put(how, fds[0], data, 8, PIRN_NOW), 8);
        CHECK_EQ(support_drain(fds[1]), 8);
        CHECK_EQ(pirn_poll(fds[0], POLLOUT, PIRN_NOW), POLLOUT);
        close(fds[0]);
        close(fds[1]);
    }
}

START_TEST(no_room)
{
    support_everywhere(full);
}
END_TEST

/* ---- The reader goes: -EPIPE or -ECONNRESET, and no SIGPIPE ------------------------------ */

static void broken(void)
{
    unsigned char *buf = pattern(4 << 20);
    for (int kind = 0; kind < 2; kind++) {
        for (int how = SEND; how <= SENDMSG; how++) {
            int fds[2];
            (kind ? support_pair : support_tcp_pair)(fds);
            struct reader r = {.fd = fds[1], .limit = 100000, .close_at_limit = true};
            pthread_t thread = support_thread(read_slowly, &r); /* goes in the middle */
            ssize_t rc;
            while ((rc = put(how, fds[0], buf, 4 << 20, PIRN_NEVER)) > 0) {}
            CHECK(rc == -EPIPE || rc == -ECONNRESET);
            support_thread_join(thread);
            CHECK_EQ(put(how, fds[0], buf, 1, PIRN_NEVER), -EPIPE);
            close(fds[0]);
        }
    }
    int ends[2];
    support_pipe(ends);
    close(ends[0]);
    CHECK_EQ(pirn_write(ends[1], "x", 1, PIRN_NEVER), -EPIPE);
    CHECK_EQ(pirn_poll(ends[1], POLLOUT, PIRN_NEVER) & POLLERR, POLLERR);
    close(ends[1]);
    free(buf);
}

START_TEST(broken_pipes)
{
    signal(SIGPIPE, SIG_DFL); /* which would end the program */
    support_everywhere(broken);
}
END_TEST

SUPPORT_MAIN("io_send", all_of_it, stopped_half_way, no_room, broken_pipes)
