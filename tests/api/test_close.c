/*
 * pirn_close while calls are in flight on the descriptor: they end with -EBADF, and what then
 * gets the same number is not robbed of its data.
 */
#include "tests/api/close.h"
#include "tests/race/rounds.h"

static ssize_t (*const uses[])(struct user *u) = {u_recv, u_recvmsg, u_read,
                                                  u_poll, u_send,    u_write};
enum {
    USES = 6
};

static int use(void *arg)
{
    struct user *u = arg;
    atomic_store(&u->began, 1);
    u->rc = u->call(u);
    return pirn_yield(); /* a close is no cancel */
}

/* The peer's end stays open: data sent to the old socket must not reach anybody either. False: TCP
 * had room after all, and the call did not wait. */
static bool close_under(ssize_t (*call)(struct user *u), bool tcp)
{
    int fds[2], next[2];
    char buf[16];
    (tcp ? support_tcp_pair : support_pair)(fds);
    struct user u = {.fd = fds[0], .call = call, .rc = -1};
    memset(u.buf, 0x5a, sizeof(u.buf));
    if (call == u_send || call == u_write)
        support_fill(fds[0]);
    pirn_task *task = support_spawn(use, &u);
    support_until_waiting(task);
    CHECK_OK(pirn_close(fds[0]));
    close_pair_at(fds[0], next); /* at once the number is somebody else's */
    support_send_all(next[1], "for the next", 12);
    CHECK_OK(support_join(task));
    bool waited = u.rc == -EBADF;
    if (!waited)
        CHECK(tcp && (call == u_send || call == u_write) && u.rc > 0);
    CHECK_EQ(pirn_recv(next[0], buf, sizeof(buf), 0, PIRN_NEVER), 12);
    CHECK(memcmp(buf, "for the next", 12) == 0);
    for (size_t i = 0; i < sizeof(u.buf); i++)
        CHECK_EQ(u.buf[i], 0x5a);
    CHECK_OK(pirn_close(next[0]));
    CHECK_OK(pirn_close(next[1]));
    ssize_t left;
    char *rest = malloc(1 << 20); /* in large bites: small ones would meet TCP's window probes */
    while ((left = support_read(fds[1], rest, 1 << 20)) > 0) {}
    free(rest);
    CHECK_OK(left); /* the old one is really closed */
    close(fds[1]);
    return waited;
}

static int close_each(void *arg)
{
    (void)arg;
    for (int i = 0; i < USES * 2; i++)
        while (!close_under(uses[i % USES], i / USES)) {}
    return 0;
}

START_TEST(in_flight)
{
    support_census before = support_count();
    for (int i = 0; i < support_rounds(20); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, close_each, NULL));
    support_no_more_than(before);
}
END_TEST

/* ---- An accept, and several calls at once ------------------------------------------------ */

static ssize_t u_accept(struct user *u)
{
    return pirn_accept(u->fd, NULL, NULL, 0, PIRN_NEVER);
}

static int close_crowd(void *arg)
{
    (void)arg;
    enum {
        N = 20
    };
    struct user users[N];
    pirn_task *tasks[N];
    struct sockaddr_in addr;
    for (int round = 0; round < 2; round++) {
        int fds[2] = {-1, -1};
        if (round == 0)
            fds[0] = support_listen(&addr, 5);
        else
            support_pair(fds);
        for (int i = 0; i < N; i++) {
            users[i] = (struct user){.fd = fds[0], .call = round ? u_recv : u_accept, .rc = -1};
            tasks[i] = support_spawn(use, &users[i]);
        }
        for (int i = 0; i < N; i++)
            support_until_waiting(tasks[i]);
        CHECK_OK(pirn_close(fds[0]));
        for (int i = 0; i < N; i++) {
            CHECK_OK(support_join(tasks[i]));
            CHECK_EQ(users[i].rc, -EBADF);
        }
        if (round == 0) {
            int fd = support_socket();
            CHECK_EQ(support_connect(fd, &addr, sizeof(addr)), -1); /* it is gone */
            close(fd);
        } else {
            close(fds[1]);
        }
    }
    return 0;
}

START_TEST(several_at_once)
{
    for (int i = 0; i < support_rounds(20); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, close_crowd, NULL));
}
END_TEST

/* ---- From a plain thread; in a cancelled task -------------------------------------------- */

static void *close_outside(void *arg)
{
    CHECK_OK(pirn_close(*(int *)arg));
    return NULL;
}

static int closed_from_thread(void *arg)
{
    (void)arg;
    int fds[2];
    support_pair(fds);
    struct user u = {.fd = fds[0], .call = u_recv, .rc = -1};
    pirn_task *task = support_spawn(use, &u);
    support_until_waiting(task);
    pthread_t thread = support_thread(close_outside, &fds[0]);
    CHECK_OK(support_join(task)); /* the thread waits for this one, on our worker */
    support_thread_join(thread);
    CHECK_EQ(u.rc, -EBADF);
    close(fds[1]);

    /* Closing is not cancellable: a pending cancel stays pending. */
    support_pair(fds);
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_OK(pirn_close(fds[0]));
    CHECK_EQ(pirn_yield(), -ECANCELED);
    char c;
    CHECK_EQ(support_read(fds[1], &c, 1), 0);
    CHECK_OK(pirn_close(fds[1]));
    CHECK_EQ(pirn_close(fds[1]), -EBADF);
    return 0;
}

START_TEST(from_a_thread)
{
    for (int i = 0; i < support_rounds(50); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, closed_from_thread, NULL));
}
END_TEST

/* ---- Close in a race with data ----------------------------------------------------------- */

static void *send_one(void *arg)
{
    support_spin(support_between(0, 60 * US));
    send(*(int *)arg, "d", 1, MSG_NOSIGNAL);
    return NULL;
}

static int close_race(void *arg)
{
    (void)arg;
    int fds[2], got = 0, rounds = support_rounds(1000);
    for (int i = 0; i < rounds; i++) {
        support_pair(fds);
        struct user u = {.fd = fds[0], .call = u_recv, .rc = -1};
        pirn_task *task = support_spawn(use, &u);
        support_until(&u.began, 1);
        pthread_t thread = support_thread(send_one, &fds[1]);
        support_spin(support_between(0, 60 * US));
        CHECK_OK(pirn_close(fds[0]));
        CHECK_OK(support_join(task));
        CHECK(u.rc == 1 || u.rc == -EBADF);
        got += u.rc == 1;
        CHECK(u.rc != 1 || u.buf[0] == 'd');
        support_thread_join(thread);
        close(fds[1]);
    }
    CHECK(got < rounds); /* some of them were closed first */
    return 0;
}

START_TEST(raced_by_data)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, close_race, NULL));
}
END_TEST

/* ---- A drop inside of a close -------------------------------------------------------------- */

static atomic_int dropped;

static void forgets(void *value)
{
    CHECK_OK(pirn_release(value)); /* an error that nobody looked at: reported */
    atomic_fetch_add(&dropped, 1);
}

static int leaves_an_error(void *arg)
{
    pirn_future *future;
    (void)arg;
    CHECK_OK(pirn_future_new(&future));
    CHECK_OK(pirn_future_set(future, -EIO, NULL));
    CHECK_OK(pirn_set_value(future, forgets));
    return 0;
}

struct closer {
    int fd;
    atomic_int over;
};

/* Looks at the tasks, as somebody waits for a descriptor that could be this one. */
static void *closes_what_is_not(void *arg)
{
    struct closer *c = arg;
    enum {
        APART = 4096 /* these share a count */
    };
    while (!atomic_load(&c->over))
        CHECK_EQ(pirn_close(c->fd + APART), -EBADF);
    return NULL;
}

/* Who looks may be the last who refers to a task, and so be the one to drop what that leaves
 * behind. */
static int drop_in_close(void *arg)
{
    (void)arg;
    int fds[2], rounds = support_rounds(20000), i = 0;
    int64_t began = support_now();
    support_pair(fds);
    struct user u = {.fd = fds[0], .call = u_recv, .rc = -1};
    pirn_task *reader = support_spawn(use, &u);
    support_until_waiting(reader);
    struct closer c = {.fd = fds[0]};
    pthread_t thread = support_thread(closes_what_is_not, &c);
    atomic_store(&dropped, 0);
    for (; rounds_go_on(began, i, rounds); i++)
        CHECK_OK(support_join(support_spawn(leaves_an_error, NULL)));
    support_until(&dropped, i);
    atomic_store(&c.over, 1);
    support_thread_join(thread);
    CHECK_OK(pirn_close(fds[0]));
    CHECK_OK(support_join(reader));
    CHECK_EQ(u.rc, -EBADF);
    close(fds[1]);
    return 0;
}

START_TEST(what_a_task_leaves_is_dropped_while_somebody_closes)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &report, drop_in_close, NULL));
        CHECK(support_reported(&report, "nobody looked"));
    }
}
END_TEST

/* ---- What comes after a call that has ended by itself ---------------------------------------- */

struct handed {
    atomic_int fd; /* to be closed; -1: it has been; -2: there will be no more */
};

static void *closes_what_it_gets(void *arg)
{
    struct handed *h = arg;
    int fd;
    while ((fd = atomic_load(&h->fd)) != -2) {
        if (fd < 0) {
            sched_yield();
            continue;
        }
        support_spin(support_between(0, 40) * US);
        CHECK_OK(pirn_close(fd));
        atomic_store(&h->fd, -1);
    }
    return NULL;
}

/* A close that is late for the call on its descriptor stops no later one of the same coroutine. */
static int goes_on(void *arg)
{
    struct handed h;
    int rounds = support_rounds(500), other[2], pair[2];
    int64_t began = support_now();
    char c;
    (void)arg;
    atomic_init(&h.fd, -1);
    support_pair(other);
    pthread_t thread = support_thread(closes_what_it_gets, &h);
    for (int i = 0; rounds_go_on(began, i, rounds); i++) {
        support_pair(pair);
        atomic_store(&h.fd, pair[0]);
        ssize_t n = pirn_recv(pair[0], &c, 1, 0, pirn_after_us(support_between(1, 40)));
        CHECK(n == -EBADF || n == -ETIMEDOUT ||
              n == -ENOTSOCK); /* a spare's ring has the number by now */
        CHECK_OK(pirn_sleep(pirn_after_us(1)));
        CHECK_EQ(pirn_recv(other[0], &c, 1, 0, pirn_after_us(20)), -ETIMEDOUT);
        while (atomic_load(&h.fd) != -1)
            CHECK_OK(pirn_sleep(pirn_after_us(1)));
        CHECK_OK(close(pair[1]));
    }
    atomic_store(&h.fd, -2);
    support_thread_join(thread);
    CHECK_OK(close(other[0]));
    CHECK_OK(close(other[1]));
    return 0;
}

START_TEST(a_late_close_stops_nothing_else)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, goes_on, NULL));
}
END_TEST

SUPPORT_MAIN("close", in_flight, several_at_once, from_a_thread, raced_by_data,
             what_a_task_leaves_is_dropped_while_somebody_closes, a_late_close_stops_nothing_else)
