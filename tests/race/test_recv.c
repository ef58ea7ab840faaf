/* serial */
/*
 * recv, read and poll stopped at about the moment a byte arrives: the byte is returned or still
 * there, and the buffer is not written once the call has returned.
 */
#include "tests/race/race.h"

#include <poll.h>

static void begin_pair(struct race *r)
{
    support_pair(r->fds);
}

static void begin_tcp(struct race *r)
{
    support_tcp_pair(r->fds);
}

static void begin_pipe(struct race *r)
{
    support_pipe(r->fds);
}

static void end(struct race *r)
{
    CHECK_OK(pirn_close(r->fds[0]));
    CHECK_OK(pirn_close(r->fds[1]));
}

static void prepare(struct race *r)
{
    memset(r->buf, 0, sizeof(r->buf));
    r->sent++;
}

static void send_byte(struct race *r)
{
    char c = (char)r->sent;
    CHECK_EQ(support_write(r->fds[1], &c, 1), 1);
}

static long call_recv(struct race *r)
{
    long rc = pirn_recv(r->fds[0], r->buf, sizeof(r->buf), 0, r->deadline);
    r->got = (uint64_t)(unsigned char)r->buf[0];
    race_poison(r->buf, sizeof(r->buf));
    return rc;
}

static long call_recvmsg(struct race *r)
{
    struct iovec vec = {r->buf, sizeof(r->buf)};
    struct msghdr msg = {.msg_iov = &vec, .msg_iovlen = 1};
    long rc = pirn_recvmsg(r->fds[0], &msg, 0, r->deadline);
    r->got = (uint64_t)(unsigned char)r->buf[0];
    race_poison(r->buf, sizeof(r->buf));
    return rc;
}

static long call_read(struct race *r)
{
    long rc = pirn_read(r->fds[0], r->buf, sizeof(r->buf), r->deadline);
    r->got = (uint64_t)(unsigned char)r->buf[0];
    race_poison(r->buf, sizeof(r->buf));
    return rc;
}

static long call_poll(struct race *r)
{
    return pirn_poll(r->fds[0], POLLIN, r->deadline);
}

static void check(struct race *r, long rc, bool happened)
{
    char c;
    if (!happened)
        support_poll(r->fds[0], POLLIN); /* TCP takes a moment, on a busy machine */
    support_nonblock(r->fds[0], true);
    ssize_t left = read(r->fds[0], &c, 1);
    support_nonblock(r->fds[0], false);
    if (happened) {
        CHECK_EQ(rc, 1);
        CHECK_EQ(r->got, r->sent & 0xff);
        CHECK_EQ(left, -1);
    } else {
        CHECK_EQ(left, 1);
        CHECK_EQ((unsigned char)c, r->sent & 0xff);
    }
    race_check_poison(r->buf, sizeof(r->buf));
}

static void check_poll(struct race *r, long rc, bool happened)
{
    char c;
    CHECK(!happened || rc == POLLIN);
    CHECK_EQ(support_read(r->fds[0], &c, 1), 1);
    CHECK_EQ((unsigned char)c, r->sent & 0xff);
}

static const struct race_kind kinds[] = {
    {"recv", begin_pair, end, prepare, call_recv, check, send_byte, 10000, 0, 0, 0},
    {"recv-tcp", begin_tcp, end, prepare, call_recv, check, send_byte, 3000, 0, 0, 0},
    {"recvmsg", begin_pair, end, prepare, call_recvmsg, check, send_byte, 3000, 0, 0, 0},
    {"read", begin_pipe, end, prepare, call_read, check, send_byte, 3000, 0, 0, 0},
    {"poll", begin_pair, end, prepare, call_poll, check_poll, send_byte, 3000, 0, 0, 0},
};

START_TEST(recv_race)
{
    race_run(&kinds[0]);
}
END_TEST

START_TEST(recv_tcp_race)
{
    race_run(&kinds[1]);
}
END_TEST

START_TEST(recvmsg_race)
{
    race_run(&kinds[2]);
}
END_TEST

START_TEST(read_race)
{
    race_run(&kinds[3]);
}
END_TEST

START_TEST(poll_race)
{
    race_run(&kinds[4]);
}
END_TEST

SUPPORT_MAIN("race/recv", recv_race, recv_tcp_race, recvmsg_race, read_race, poll_race)
