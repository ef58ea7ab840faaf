/* wraps pirn_task_spawn */
/*
 * Streams that are short of something: a kernel, a transport that takes only part, no memory, no
 * task to send in the background. What was written arrives all the same, in its order.
 */
#include "tests/net/stream.h"

#include "tests/net/no_sender.h"

/* ---- Order ----------------------------------------------------------------------------------- */

struct part {
    pirn_stream *stream;
    char got[64];
    _Atomic size_t n;
    bool interrupts;     /* another write comes while the first is partly sent */
    atomic_int short_of; /* so many writes fail with -ENOMEM first */
};

static ssize_t no_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    (void)self, (void)buf, (void)n, (void)deadline;
    return 0;
}

static int no_close(void *self)
{
    (void)self;
    return 0;
}

static void take(struct part *p, const void *buf, size_t n)
{
    size_t at = atomic_load(&p->n);
    CHECK_LE(at + n, sizeof(p->got));
    memcpy(p->got + at, buf, n);
    atomic_store(&p->n, at + n);
}

static ssize_t take_one(void *self, const void *buf, size_t n, pirn_time deadline)
{
    struct part *p = self;
    (void)deadline;
    CHECK_GE(n, 1);
    if (atomic_fetch_sub(&p->short_of, 1) > 0)
        return -ENOMEM;
    take(p, buf, 1);
    return 1;
}

static ssize_t try_three(void *self, const struct iovec *iov, int count)
{
    struct part *p = self;
    CHECK_GE(count, 1);
    CHECK_GE(iov->iov_len, 3);
    take(p, iov->iov_base, 3);
    if (p->interrupts) {
        p->interrupts = false;
        CHECK_EQ(pirn_stream_write(p->stream, "later ", 6), 6);
        CHECK_EQ(pirn_stream_write(p->stream, "last", 4), 4);
    }
    return 3;
}

static int keep_order(void *arg)
{
    static const pirn_transport ops = {.size = sizeof(ops),
                                       .read = no_read,
                                       .write = take_one,
                                       .close = no_close,
                                       .try_write = try_three};
    struct part p = {.interrupts = true};
    struct iovec iov[2] = {{"fir", 3}, {"st ", 3}};
    (void)arg;
    CHECK_OK(pirn_stream_over(&p.stream, &ops, &p, NULL));
    CHECK_EQ(pirn_stream_writev(p.stream, iov, 2), 6);
    CHECK_OK(pirn_stream_close(p.stream, PIRN_NEVER));
    pirn_stream_release(p.stream);
    CHECK_EQ(atomic_load(&p.n), 16);
    CHECK(memcmp(p.got, "first later last", 16) == 0);
    return 0;
}

START_TEST(a161_the_rest_of_a_write_comes_before_the_next)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, keep_order, NULL));
}
END_TEST

/* ---- A send that is cancelled half way ------------------------------------------------------- */

static int write_drain(void *arg)
{
    return pirn_stream_drain(arg, PIRN_NEVER);
}

/* A drain that sends is stopped again and again in the middle of a chunk, others write
 * meanwhile. */
static int stopped_half_way(void *arg)
{
    enum {
        BLOCK = 100000,
        BLOCKS = 20
    };
    int pair[2], small = 4096;
    size_t got = 0, n = (size_t)BLOCK * BLOCKS;
    pirn_stream *s;
    char *data = pattern(n), *back = malloc(n);
    (void)arg;
    CHECK(back);
    support_pair(pair);
    CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
    CHECK_OK(pirn_stream_new(&s, pair[0], NULL));
    for (size_t i = 0; i < BLOCKS; i++) {
        CHECK_EQ(pirn_stream_write(s, data + i * BLOCK, BLOCK / 2), BLOCK / 2);
        pirn_task *drainer = support_spawn(write_drain, s);
        support_until_waiting(drainer);
        for (int k = 0; k < 3; k++) {
            ssize_t more =
                pirn_recv(pair[1], back + got, (size_t)support_between(1, 5000), 0, PIRN_NEVER);
            CHECK_GE(more, 1);
            got += (size_t)more;
        }
        pirn_cancel(drainer, NULL);
        (void)support_join(drainer);
        CHECK_EQ(pirn_stream_write(s, data + i * BLOCK + BLOCK / 2, BLOCK / 2), BLOCK / 2);
        int rc = pirn_stream_drain(s, PIRN_NOW);
        CHECK(rc == 0 || rc == -ETIMEDOUT);
    }
    while (got < n) {
        ssize_t more = pirn_recv(pair[1], back + got, n - got, 0, PIRN_NOW);
        if (more == -ETIMEDOUT) {
            int rc = pirn_stream_drain(s, PIRN_NOW);
            CHECK(rc == 0 || rc == -ETIMEDOUT);
            continue;
        }
        CHECK_GE(more, 1);
        got += (size_t)more;
    }
    CHECK(memcmp(data, back, n) == 0);
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    pirn_stream_release(s);
    CHECK_OK(close(pair[1]));
    free(data);
    free(back);
    return 0;
}

struct reader {
    int fd;
    size_t n;
    const char *expected;
};

static void *read_and_compare(void *arg)
{
    const struct reader *r = arg;
    char buf[5000];
    for (size_t got = 0; got < r->n;) {
        ssize_t n = recv(r->fd, buf, (size_t)support_between(1, sizeof(buf)), 0);
        CHECK_GE(n, 1);
        CHECK(memcmp(buf, r->expected + got, (size_t)n) == 0);
        got += (size_t)n;
        if (support_between(0, 20) == 0)
            support_spin(50 * US);
    }
    return NULL;
}

/* The same by deadlines, and the next write each time. */
static int late_half_way(void *arg)
{
    int pair[2], small = 4096;
    size_t n = 2000000;
    pirn_stream *s;
    char *data = pattern(n);
    (void)arg;
    support_pair(pair);
    CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
    CHECK_OK(pirn_stream_new(&s, pair[0], NULL));
    struct reader reader = {pair[1], n, data};
    pthread_t thread = support_thread(read_and_compare, &reader);
    for (size_t at = 0, more; at < n; at += more) {
        more = (size_t)support_between(1, 90000);
        more = more < n - at ? more : n - at;
        CHECK_EQ(pirn_stream_write(s, data + at, more), more);
        int rc = pirn_stream_drain(s, pirn_after_us(support_between(0, 200)));
        CHECK(rc == 0 || rc == -ETIMEDOUT);
    }
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    pirn_stream_release(s);
    support_thread_join(thread);
    CHECK_OK(close(pair[1]));
    free(data);
    return 0;
}

START_TEST(a161_stopped_half_way_and_gone_on_with)
{
    FOR_WORKERS(w)
    {
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        CHECK_OK(support_run_with(&config, stopped_half_way, NULL));
        atomic_store(&no_sender, true); /* who drains sends */
        CHECK_OK(support_run_with(&config, late_half_way, NULL));
        atomic_store(&no_sender, false);
    }
}
END_TEST

/* ---- Without memory, for a while ------------------------------------------------------------- */

static int without_memory(void *arg)
{
    static const pirn_transport ops = {
        .size = sizeof(ops), .read = no_read, .write = take_one, .close = no_close};
    struct part p = {.short_of = 2};
    (void)arg;
    CHECK_OK(pirn_stream_over(&p.stream, &ops, &p, NULL));
    CHECK_EQ(pirn_stream_write(p.stream, "all of it", 9), 9);
    while (atomic_load(&p.n) < 9) /* nobody drains, nobody closes */
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK(memcmp(p.got, "all of it", 9) == 0);
    CHECK_OK(pirn_stream_close(p.stream, PIRN_NEVER));
    pirn_stream_release(p.stream);
    return 0;
}

START_TEST(a161_sent_when_there_is_memory_again)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, without_memory, NULL));
}
END_TEST

/* It is aborted, or the run ends, while it waits for memory. */
static int never_memory(void *arg)
{
    static const pirn_transport ops = {
        .size = sizeof(ops), .read = no_read, .write = take_one, .close = no_close};
    static struct part p;
    atomic_store(&p.short_of, 1000000);
    CHECK_OK(pirn_stream_over(&p.stream, &ops, &p, NULL));
    CHECK_EQ(pirn_stream_write(p.stream, "none of it", 10), 10);
    while (atomic_load(&p.short_of) > 1000000 - 2)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    if (arg != NULL)
        CHECK_OK(pirn_stream_abort(p.stream));
    pirn_stream_release(p.stream);
    return 0;
}

START_TEST(a162_dropped_while_there_is_no_memory)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, never_memory, NULL));
        CHECK_OK(support_run(w, never_memory, ""));
    }
}
END_TEST

/* ---- Without a task for the background ------------------------------------------------------- */

enum {
    LITTLE = 40000 /* less than the high mark */
};

static void *take_little(void *arg)
{
    static char buf[LITTLE];
    size_t got = 0;
    while (got < LITTLE) {
        ssize_t n = recv(*(int *)arg, buf, LITTLE - got, 0);
        CHECK_GE(n, 1);
        got += (size_t)n;
    }
    return NULL;
}

static int without_a_task(void *arg)
{
    int pair[2], small = 4096;
    pirn_stream *s;
    static char data[LITTLE];
    (void)arg;
    support_pair(pair);
    CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
    CHECK_OK(pirn_stream_new(&s, pair[0], NULL));
    CHECK_EQ(pirn_stream_write(s, data, sizeof(data)), sizeof(data));
    CHECK_GE(pirn_stream_pending(s), 1);
    CHECK_OK(pirn_stream_drain(s, PIRN_NOW)); /* it is below the mark */
    CHECK_GE(pirn_stream_pending(s), 1);
    pthread_t thread = support_thread(take_little, &pair[1]);
    CHECK_OK(pirn_stream_drain(s, PIRN_NEVER)); /* a request, say, that is to be answered now */
    CHECK_EQ(pirn_stream_pending(s), 0);
    support_thread_join(thread);
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    pirn_stream_release(s);
    CHECK_OK(close(pair[1]));
    return 0;
}

START_TEST(a161_drain_sends_what_nobody_else_would)
{
    atomic_store(&no_sender, true);
    FOR_WORKERS(w) CHECK_OK(support_run(w, without_a_task, NULL));
    atomic_store(&no_sender, false);
    CHECK_GE(atomic_load(&refused_senders), 3);
}
END_TEST

/* ---- A pipe that is to stay open ------------------------------------------------------------- */

static int kept_pipe(void *arg)
{
    int pipe[2];
    pirn_stream *s;
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    (void)arg;
    config.flags = PIRN_STREAM_KEEP_FD;
    support_pipe(pipe);
    CHECK_OK(pirn_stream_new(&s, pipe[1], &config));
    CHECK_EQ(pirn_stream_write(s, "x", 1), 1);
    CHECK_EQ(pirn_stream_end(s, PIRN_NEVER), -EOPNOTSUPP); /* nobody would hear of it */
    CHECK_EQ(pirn_stream_write(s, "y", 1), 1);
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    pirn_stream_release(s);
    CHECK_EQ(support_write(pipe[1], "z", 1), 1);
    CHECK_OK(close(pipe[0]));
    CHECK_OK(close(pipe[1]));
    return 0;
}

START_TEST(a162_a_kept_pipe_has_no_end)
{
    CHECK_OK(support_run(1, kept_pipe, NULL));
}
END_TEST

SUPPORT_MAIN("stream_short", a161_the_rest_of_a_write_comes_before_the_next,
             a161_stopped_half_way_and_gone_on_with, a161_sent_when_there_is_memory_again,
             a162_dropped_while_there_is_no_memory, a161_drain_sends_what_nobody_else_would,
             a162_a_kept_pipe_has_no_end)
