/*
 * Accepts one after the other by the same coroutine. What the last one was told (does anybody else
 * wait there?) decides whether the next one polls first, and must never decide what it returns.
 */
#include "tests/support.h"

#include <poll.h>
#include <sys/un.h>

enum {
    BURST = 5,
    ROUNDS = 20
};

struct place {
    int listener;
    struct sockaddr_storage addr;
    socklen_t len;
};

static void listen_tcp(struct place *p)
{
    p->listener = support_listen((struct sockaddr_in *)(void *)&p->addr, 64);
    p->len = sizeof(struct sockaddr_in);
}

static void listen_unix(struct place *p)
{
    p->addr.ss_family = AF_UNIX;
    p->len = sizeof(struct sockaddr_un);
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_OK(bind(p->listener, (struct sockaddr *)&p->addr, sizeof(sa_family_t))); /* any name */
    CHECK_OK(listen(p->listener, 64));
    CHECK_OK(getsockname(p->listener, (struct sockaddr *)&p->addr, &p->len));
}

static int connect_to(const struct place *p, char name)
{
    int fd = socket(p->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_OK(support_connect(fd, &p->addr, p->len));
    CHECK_EQ(support_write(fd, &name, 1), 1);
    return fd;
}

/* What accept returned is the connection of that name. Its end. */
static void check_name(int fd, char name)
{
    char got = 0;
    CHECK_GE(fd, 0);
    CHECK_EQ(support_read(fd, &got, 1), 1);
    CHECK_EQ(got, name);
    close(
        fd); /* a pirn_close would be another operation, after which the last accept is forgotten */
}

static void expect(const struct place *p, char name, pirn_time deadline)
{
    check_name(pirn_accept(p->listener, NULL, NULL, 0, deadline), name);
}

static void in_turns(const struct place *p)
{
    for (int i = 0; i < BURST; i++) {
        int peer = connect_to(p, 'a');
        expect(p, 'a', PIRN_NEVER);
        close(peer);
    }
}

static void all_at_once(const struct place *p)
{
    int peers[BURST];
    for (int i = 0; i < BURST; i++)
        peers[i] = connect_to(p, (char)('a' + i));
    for (int i = 0; i < BURST; i++)
        expect(p, (char)('a' + i), PIRN_NEVER);
    for (int i = 0; i < BURST; i++)
        close(peers[i]);
}

/* Whoever waits is found by an accept that may not wait, and nobody is by others. */
static void at_once_or_never(const struct place *p)
{
    CHECK_EQ(pirn_accept(p->listener, NULL, NULL, 0, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_accept(p->listener, NULL, NULL, 0, pirn_after_us(100)), -ETIMEDOUT);
    int peer = connect_to(p, 'n');
    support_poll(p->listener, POLLIN);
    expect(p, 'n', PIRN_NOW);
    close(peer);
    CHECK_EQ(pirn_accept(p->listener, NULL, NULL, 0, PIRN_NOW), -ETIMEDOUT);
}

/* The address is written, though the place for its length is where notes are kept. */
static void whose(const struct place *p)
{
    for (int i = 0; i < 2; i++) {
        struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof(from);
        int peer = connect_to(p, 'w');
        check_name(pirn_accept(p->listener, (struct sockaddr *)&from, &len, 0, PIRN_NEVER), 'w');
        CHECK_EQ(from.ss_family, p->addr.ss_family);
        CHECK_EQ(len,
                 p->addr.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(sa_family_t));
        close(peer);
    }
}

static void accept_all_ways(void (*begin)(struct place *p), bool nonblocking)
{
    struct place p = {.listener = -1};
    begin(&p);
    support_nonblock(p.listener, nonblocking);
    for (int i = 0; i < 2; i++) {
        in_turns(&p);
        all_at_once(&p);
        at_once_or_never(&p);
        whose(&p);
    }
    CHECK_OK(pirn_close(p.listener));
}

static void all_ways(void)
{
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        accept_all_ways(listen_tcp, nonblocking != 0);
        accept_all_ways(listen_unix, nonblocking != 0);
    }
}

START_TEST(a_note_of_the_last_accept_changes_no_result)
{
    support_everywhere(all_ways);
}
END_TEST

/* ---- Whoever waits when they come, or is stopped ------------------------------------------- */

static struct {
    struct place place;
    atomic_int accepted;
} line;

/* Until it is cancelled; how many. */
static int accept_loop(void *arg)
{
    int fd, n = 0;
    (void)arg;
    while ((fd = pirn_accept(line.place.listener, NULL, NULL, 0, PIRN_NEVER)) >= 0) {
        check_name(fd, 'x');
        n++;
        atomic_fetch_add(&line.accepted, 1);
    }
    CHECK_EQ(fd, -ECANCELED);
    return n;
}

static int cancel_the_waiting(void *arg)
{
    (void)arg;
    atomic_store(&line.accepted, 0);
    pirn_task *task = support_spawn(accept_loop, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 2 == 0)
            support_until_waiting(task);
        int peer = connect_to(&line.place, 'x');
        support_until(&line.accepted, i + 1);
        close(peer);
    }
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), ROUNDS);
    int peer = connect_to(&line.place, 'l'); /* nobody else is there to swallow it */
    expect(&line.place, 'l', PIRN_NEVER);
    close(peer);
    return 0;
}

START_TEST(a_waiting_accept_is_cancelled_and_takes_nobody)
{
    FOR_WORKERS(w)
    {
        line.place = (struct place){.listener = -1};
        (w == 2 ? listen_unix : listen_tcp)(&line.place);
        CHECK_OK(support_run(w, cancel_the_waiting, NULL));
        close(line.place.listener);
    }
}
END_TEST

SUPPORT_MAIN("net/accept", a_note_of_the_last_accept_changes_no_result,
             a_waiting_accept_is_cancelled_and_takes_nobody)
