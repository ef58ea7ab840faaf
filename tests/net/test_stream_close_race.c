/*
 * A stream that is closed, aborted and released while others read, write and drain (A162): every
 * call ends, what a close that returns 0 was given has arrived, and no descriptor or memory is
 * left.
 */
#include "tests/net/stream.h"

struct round {
    pirn_stream *stream;
    int peer;
    atomic_int go;
    atomic_size_t accepted;
    int closed[2];
};

static void wait_for_go(struct round *r)
{
    while (!atomic_load(&r->go))
        CHECK_OK(pirn_yield());
    support_spin(support_between(0, 20 * US));
}

static int read_all(void *arg)
{
    struct round *r = arg;
    char buf[100];
    ssize_t n;
    wait_for_go(r);
    while ((n = pirn_stream_read(r->stream, buf, sizeof(buf), PIRN_NEVER)) > 0) {}
    CHECK(n == -EBADF || n == -EBUSY);
    pirn_stream_release(r->stream);
    return 0;
}

static int write_some(void *arg)
{
    struct round *r = arg;
    static const char data[100000];
    wait_for_go(r);
    for (;;) {
        ssize_t n = pirn_stream_write(r->stream, data, (size_t)support_between(1, sizeof(data)));
        if (n > 0)
            atomic_fetch_add(&r->accepted, (size_t)n);
        if (n < 0) {
            CHECK_EQ(n, -EBADF);
            break;
        }
        int rc = pirn_stream_drain(r->stream, support_random() % 2 ? PIRN_NEVER : PIRN_NOW);
        CHECK(rc == 0 || rc == -EBADF || rc == -ETIMEDOUT);
    }
    pirn_stream_release(r->stream);
    return 0;
}

static int close_one(struct round *r, int i)
{
    wait_for_go(r);
    switch (support_random() % 4) {
    case 0:
        r->closed[i] = pirn_stream_abort(r->stream);
        CHECK_OK(r->closed[i]);
        r->closed[i] = -ECONNABORTED;
        break;
    case 1:
        r->closed[i] = pirn_stream_close(r->stream, pirn_after_us(support_between(0, 100)));
        break;
    default:
        r->closed[i] = pirn_stream_close(r->stream, PIRN_NEVER);
    }
    CHECK(r->closed[i] == 0 || r->closed[i] == -ETIMEDOUT || r->closed[i] == -EBADF ||
          r->closed[i] == -ECONNABORTED);
    pirn_stream_release(r->stream);
    return 0;
}

static int close_first(void *arg)
{
    return close_one(arg, 0);
}

static int close_second(void *arg)
{
    return close_one(arg, 1);
}

static int read_peer(void *arg)
{
    struct round *r = arg;
    char *buf = malloc(65536);
    size_t got = 0;
    ssize_t n;
    while ((n = pirn_read(r->peer, buf, 65536, PIRN_NEVER)) > 0)
        got += (size_t)n;
    CHECK(n == 0 || n == -ECONNRESET);
    free(buf);
    return got <= INT32_MAX ? (int)got : -EOVERFLOW;
}

static int close_rounds(void *arg)
{
    static const pirn_fn fns[] = {read_all,   read_all,    write_some,
                                  write_some, close_first, close_second};
    enum {
        N = sizeof(fns) / sizeof(fns[0])
    };
    int complete = 0, dropped = 0;
    (void)arg;
    for (int i = 0; i < support_rounds(1000); i++) {
        struct round r = {.closed = {1, 1}};
        pirn_task *tasks[N];
        int pair[2];
        support_pair(pair);
        CHECK_OK(pirn_stream_new(&r.stream, pair[0], NULL));
        r.peer = pair[1];
        pirn_task *peer = support_spawn(read_peer, &r);
        for (int j = 0; j < N; j++) {
            pirn_stream_retain(r.stream);
            tasks[j] = support_spawn(fns[j], &r);
        }
        pirn_stream_release(r.stream);
        atomic_store(&r.go, 1);
        for (int j = 0; j < N; j++)
            CHECK_OK(support_join(tasks[j]));
        int got = support_join(peer);
        CHECK_GE(got, 0);
        bool all = r.closed[0] == 0 && r.closed[1] == 0;
        if (all)
            CHECK_EQ(got, atomic_load(&r.accepted));
        CHECK_LE(got, atomic_load(&r.accepted));
        complete += all;
        dropped += !all;
        CHECK_OK(close(r.peer));
    }
    CHECK(complete > 0 && dropped > 0);
    return 0;
}

START_TEST(a162_close_races_everything)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, close_rounds, NULL));
    support_no_more_than(before);
}
END_TEST

/* The runtime ends while bytes are pending: the task that sends them goes, and nothing is left. */
static int leave_pending(void *arg)
{
    pirn_stream *s;
    char data[10000] = "";
    int pair[2];
    support_pair(pair);
    CHECK_OK(pirn_stream_new(&s, pair[0], NULL));
    while (pirn_stream_pending(s) < 50000)
        CHECK_EQ(pirn_stream_write(s, data, sizeof(data)), sizeof(data));
    *(int *)arg = pair[1];
    pirn_stream_release(s);
    return 7;
}

START_TEST(a162_the_runtime_ends_first)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(100); i++) {
        int peer;
        CHECK_EQ(support_run(w, leave_pending, &peer), 7);
        support_drain(peer);
        CHECK_OK(close(peer));
    }
    support_no_more_than(before);
}
END_TEST

/* A close in the cleanup of a task that is cancelled as main ends still sends everything. */
struct cleanup {
    pirn_stream *stream;
    atomic_int pending;
    int peer, result;
    size_t written;
};

static int clean_up(void *arg)
{
    struct cleanup *c = arg;
    char data[10000] = "";
    while (pirn_stream_pending(c->stream) < 50000) {
        CHECK_EQ(pirn_stream_write(c->stream, data, sizeof(data)), sizeof(data));
        c->written += sizeof(data);
    }
    atomic_store(&c->pending, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    c->result = pirn_stream_close(c->stream, PIRN_NEVER);
    pirn_stream_release(c->stream);
    return 0;
}

static void *read_peer_thread(void *arg)
{
    struct cleanup *c = arg;
    char buf[4096];
    size_t got = 0;
    ssize_t n;
    while (!atomic_load(&c->pending))
        usleep(100);
    usleep(2000);
    while ((n = read(c->peer, buf, sizeof(buf))) > 0)
        got += (size_t)n;
    CHECK_OK(n);
    CHECK_EQ(got, c->written);
    return NULL;
}

static int leave_cleanup(void *arg)
{
    struct cleanup *c = arg;
    int pair[2];
    support_pair(pair);
    c->peer = pair[1];
    CHECK_OK(pirn_stream_new(&c->stream, pair[0], NULL));
    CHECK_OK(pirn_detach(support_spawn(clean_up, c)));
    while (!atomic_load(&c->pending))
        CHECK_OK(pirn_yield());
    return 0;
}

START_TEST(a162_a_close_as_the_runtime_ends)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(30); i++) {
        struct cleanup c = {.result = 1};
        pthread_t thread = support_thread(read_peer_thread, &c);
        CHECK_OK(support_run(w, leave_cleanup, &c));
        CHECK_OK(c.result);
        support_thread_join(thread);
        CHECK_OK(close(c.peer));
    }
}
END_TEST

SUPPORT_MAIN("net/stream_close_race", a162_close_races_everything, a162_the_runtime_ends_first,
             a162_a_close_as_the_runtime_ends)
