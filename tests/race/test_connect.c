/* serial */
/*
 * connect stopped at about the moment it succeeds: it is connected, or the socket is as good as
 * new. On the loopback a TCP connect succeeds as soon as it is made, so there the stop races with
 * its beginning; a unix connect waits while the listener's queue is full, and races with an accept.
 */
#include "tests/race/race.h"

#include <sys/un.h>

static void new_socket(struct race *r)
{
    struct linger hard = {1, 0}; /* no TIME_WAIT */
    r->fds[1] = socket(r->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_GE(r->fds[1], 0);
    CHECK_OK(setsockopt(r->fds[1], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
}

static long call(struct race *r)
{
    return pirn_connect(r->fds[1], (struct sockaddr *)&r->addr, r->addr_len, r->deadline);
}

static void end(struct race *r)
{
    CHECK_OK(pirn_close(r->fds[0]));
}

/* ---- TCP --------------------------------------------------------------------------------- */

static void begin_tcp(struct race *r)
{
    struct sockaddr_in addr;
    r->fds[0] = support_listen(&addr, 16);
    memcpy(&r->addr, &addr, sizeof(addr));
    r->addr_len = sizeof(addr);
}

/* Works as a connected socket does. */
static void check_tcp(struct race *r, long rc, bool happened)
{
    if (happened)
        CHECK_OK(rc);
    else /* as good as new */
        CHECK_OK(pirn_connect(r->fds[1], (struct sockaddr *)&r->addr, r->addr_len, PIRN_NEVER));
    char c = 't', got = 0;
    CHECK_EQ(pirn_send(r->fds[1], &c, 1, 0, PIRN_NEVER), 1);
    CHECK_OK(shutdown(r->fds[1], SHUT_WR));
    int served, found = 0;
    while (!found) { /* one that was undone may have been seen by the listener */
        served = pirn_accept(r->fds[0], NULL, NULL, 0, PIRN_NEVER);
        CHECK_GE(served, 0);
        found = pirn_recv(served, &got, 1, 0, PIRN_NEVER) == 1;
        CHECK(!found || got == c);
        CHECK_OK(pirn_close(served));
    }
    CHECK_OK(pirn_close(r->fds[1]));
}

/* ---- Unix -------------------------------------------------------------------------------- */

static void fill(struct race *r) /* one fits into the queue */
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_OK(support_connect(fd, &r->addr, r->addr_len));
    r->peer = fd;
}

static void begin_unix(struct race *r)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    r->fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_OK(bind(r->fds[0], (struct sockaddr *)&addr, sizeof(sa_family_t))); /* any name */
    CHECK_OK(listen(r->fds[0], 0));
    r->addr_len = sizeof(addr);
    CHECK_OK(getsockname(r->fds[0], (struct sockaddr *)&r->addr, &r->addr_len));
}

static void prepare_unix(struct race *r)
{
    fill(r);
    new_socket(r);
}

static void accept_filler(struct race *r)
{
    int fd = accept4(r->fds[0], NULL, NULL, SOCK_CLOEXEC);
    CHECK_GE(fd, 0);
    CHECK_OK(close(fd));
}

static void check_unix(struct race *r, long rc, bool happened)
{
    if (happened)
        CHECK_OK(rc);
    int served = pirn_accept(r->fds[0], NULL, NULL, 0, PIRN_NOW);
    if (happened)
        CHECK_GE(served, 0);
    else
        CHECK_EQ(served, -ETIMEDOUT); /* it did not happen at the other end either */
    if (happened)
        CHECK_OK(pirn_close(served));
    CHECK_OK(close(r->peer));
    CHECK_OK(pirn_close(r->fds[1]));
}

static const struct race_kind kinds[] = {
    {"connect", begin_tcp, end, new_socket, call, check_tcp, race_no_op, 10000, 1, 1, 0},
    {"connect-unix", begin_unix, end, prepare_unix, call, check_unix, accept_filler, 10000, 0, 0,
     0},
};

START_TEST(connect_race)
{
    race_run(&kinds[0]);
}
END_TEST

START_TEST(connect_unix_race)
{
    race_run(&kinds[1]);
}
END_TEST

SUPPORT_MAIN("race/connect", connect_race, connect_unix_race)
