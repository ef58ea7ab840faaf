/* serial */
/*
 * accept stopped at about the moment a connection comes: it is returned or still in the queue, and
 * no descriptor is lost.
 */
#include "tests/race/race.h"

#include <poll.h>
#include <sys/un.h>

static void begin_tcp(struct race *r)
{
    struct sockaddr_in addr;
    r->fds[0] = support_listen(&addr, 16);
    memcpy(&r->addr, &addr, sizeof(addr));
    r->addr_len = sizeof(addr);
}

static void begin_unix(struct race *r)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    r->fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_OK(bind(r->fds[0], (struct sockaddr *)&addr, sizeof(sa_family_t))); /* any name */
    CHECK_OK(listen(r->fds[0], 16));
    r->addr_len = sizeof(addr);
    CHECK_OK(getsockname(r->fds[0], (struct sockaddr *)&r->addr, &r->addr_len));
}

static void end(struct race *r)
{
    CHECK_OK(pirn_close(r->fds[0]));
}

/* The driver connects a socket made before: a reset at its end leaves no TIME_WAIT behind. */
static void prepare(struct race *r)
{
    struct linger hard = {1, 0};
    r->peer = socket(r->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_GE(r->peer, 0);
    CHECK_OK(setsockopt(r->peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
}

static void connect_peer(struct race *r)
{
    CHECK_OK(support_connect(r->peer, &r->addr, r->addr_len));
}

/* The peer's address is written if there is a peer, and not later than that. */
static long call(struct race *r)
{
    socklen_t len = sizeof(r->buf);
    race_poison(r->buf, sizeof(r->buf));
    long rc = pirn_accept(r->fds[0], (struct sockaddr *)(void *)r->buf, &len, 0, r->deadline);
    if (rc < 0)
        race_check_poison(r->buf, sizeof(r->buf));
    else
        CHECK_EQ(((struct sockaddr *)(void *)r->buf)->sa_family, r->addr.ss_family);
    race_poison(r->buf, sizeof(r->buf));
    return rc;
}

static void check(struct race *r, long rc, bool happened)
{
    int fd = (int)rc;
    if (!happened)
        support_poll(r->fds[0], POLLIN); /* TCP takes a moment, on a busy machine */
    if (!happened)
        fd = pirn_accept(r->fds[0], NULL, NULL, 0, PIRN_NOW);
    CHECK_GE(fd, 0);
    char c = (char)r->rounds;
    CHECK_EQ(support_write(r->peer, &c, 1), 1); /* it is that connection */
    char got;
    CHECK_EQ(pirn_recv(fd, &got, 1, 0, PIRN_NEVER), 1);
    CHECK_EQ(got, c);
    CHECK_OK(close(r->peer));
    CHECK_OK(pirn_close(fd));
    /* It was the only one. And so every other round's accept polls first. */
    if (r->got++ % 2 == 0)
        CHECK_EQ(pirn_accept(r->fds[0], NULL, NULL, 0, PIRN_NOW), -ETIMEDOUT);
    race_check_poison(r->buf, sizeof(r->buf));
}

static const struct race_kind kinds[] = {
    {"accept", begin_tcp, end, prepare, call, check, connect_peer, 10000, 0, 0, 0},
    {"accept-unix", begin_unix, end, prepare, call, check, connect_peer, 3000, 0, 0, 0},
};

START_TEST(accept_race)
{
    race_run(&kinds[0]);
}
END_TEST

START_TEST(accept_unix_race)
{
    race_run(&kinds[1]);
}
END_TEST

SUPPORT_MAIN("race/accept", accept_race, accept_unix_race)
