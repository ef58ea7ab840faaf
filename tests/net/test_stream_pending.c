/*
 * What a stream says is still to be sent: with what it stands on; and of one that has been closed.
 */
#include "tests/net/stream.h"

enum {
    MUCH = 4 << 20 /* more than a socket takes for a peer that does not read */
};

/* A transport that hands all on to a stream below. */
static ssize_t over_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    return pirn_stream_read(self, buf, n, deadline);
}

static ssize_t over_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    (void)deadline;
    return pirn_stream_write(self, buf, n);
}

static ssize_t over_try_write(void *self, const struct iovec *iov, int count)
{
    return pirn_stream_writev(self, iov, count);
}

static int over_close(void *self)
{
    return pirn_stream_abort(self);
}

static void over_free(void *self)
{
    pirn_stream_release(self);
}

static pirn_stream *over_below(void *self)
{
    return self;
}

static const pirn_transport over = {
    .size = sizeof(pirn_transport),
    .read = over_read,
    .write = over_write,
    .try_write = over_try_write,
    .close = over_close,
    .free = over_free,
    .below = over_below,
};

static int pending(void *arg)
{
    char *much = calloc(1, MUCH);
    CHECK(much);
    (void)arg;
    for (int upper = 0; upper < 2; upper++) {
        struct ends e = ends_open(UNIX_SOCKET, NULL);
        pirn_stream *s = pirn_stream_retain(e.stream);
        if (upper)
            CHECK_OK(pirn_stream_over(&s, &over, s, NULL));
        CHECK_EQ(pirn_stream_pending(s), 0);
        CHECK_EQ(pirn_stream_write(s, much, MUCH), MUCH);
        CHECK(pirn_stream_pending(s) > 0); /* the socket has not taken all */
        CHECK_OK(pirn_stream_abort(s));
        CHECK_EQ(pirn_stream_pending(s), 0); /* it will never be sent */
        CHECK_EQ(pirn_stream_pending(e.stream), 0);
        pirn_stream_release(s);
        pirn_stream_release(e.stream);
        CHECK_OK(close(e.peer));
    }
    free(much);
    return 0;
}

START_TEST(a161_what_is_pending)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, pending, NULL));
}
END_TEST

/* What is written above has been sent when what is below has. */
static int flushed(void *arg)
{
    char *much = calloc(1, MUCH), *buf = malloc(MUCH);
    CHECK(much && buf);
    (void)arg;
    struct ends e = ends_open(UNIX_SOCKET, NULL);
    pirn_stream *s;
    size_t n = 0;
    CHECK_OK(pirn_stream_over(&s, &over, e.stream, NULL));
    CHECK_EQ(pirn_stream_write(s, much, MUCH), MUCH);
    CHECK_EQ(pirn_stream_flush(s, pirn_after_ms(20)), -ETIMEDOUT);
    CHECK_EQ(pirn_stream_drain(s, pirn_after_ms(20)), -ETIMEDOUT);
    while (n < MUCH) {
        ssize_t got = pirn_recv(e.peer, buf, MUCH - n, 0, PIRN_NEVER);
        CHECK_GE(got, 1);
        n += (size_t)got;
    }
    CHECK_OK(pirn_stream_flush(s, PIRN_NEVER));
    CHECK_OK(pirn_stream_abort(s));
    pirn_stream_release(s);
    CHECK_OK(close(e.peer));
    free(much);
    free(buf);
    return 0;
}

START_TEST(a161_a_flush_is_of_all_below)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, flushed, NULL));
}
END_TEST

/* ---- A transport whose write and close take their time -------------------------------------- */

struct slow {
    pirn_stream *stream;
    pirn_event closed; /* ends the write */
    atomic_int closing, go;
    size_t pending; /* at its close */
};

static ssize_t slow_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    (void)self, (void)buf, (void)n, (void)deadline;
    return 0;
}

static ssize_t slow_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    struct slow *t = self;
    (void)buf, (void)n;
    int rc = pirn_event_wait(&t->closed, deadline);
    return rc != 0 ? rc : -EPIPE;
}

static int slow_close(void *self)
{
    struct slow *t = self;
    t->pending = pirn_stream_pending(t->stream);
    atomic_store(&t->closing, 1);
    support_until(&t->go, 1);
    CHECK_OK(pirn_event_set(&t->closed));
    return 0;
}

/* Its sender may be the last. */
static void slow_free(void *self)
{
    free(self);
}

static const pirn_transport slow = {
    .size = sizeof(pirn_transport),
    .read = slow_read,
    .write = slow_write,
    .close = slow_close,
    .free = slow_free,
};

static int abort_it(void *stream)
{
    return pirn_stream_abort(stream);
}

/* Whoever aborts it returns when it is closed, if another is at that. */
static int two_aborts(void *arg)
{
    struct slow *t = calloc(1, sizeof(*t));
    pirn_stream *s;
    (void)arg;
    CHECK(t);
    CHECK_OK(pirn_event_init(&t->closed));
    t->pending = 99;
    CHECK_OK(pirn_stream_over(&s, &slow, t, NULL));
    t->stream = s;
    CHECK_EQ(pirn_stream_write(s, "written", 7), 7);
    CHECK_EQ(pirn_stream_pending(s), 7);
    CHECK_OK(pirn_yield()); /* its sender may be at it */
    pirn_task *first = support_spawn(abort_it, s);
    support_until(&t->closing, 1);
    CHECK_EQ(t->pending, 0); /* nothing is sent any more */
    pirn_task *second = support_spawn(abort_it, s);
    CHECK_OK(pirn_sleep(pirn_after_ms(20)));
    CHECK_EQ(pirn_status(second), -EINPROGRESS);
    atomic_store(&t->go, 1);
    CHECK_OK(support_join(first));
    CHECK_OK(support_join(second));
    pirn_stream_release(s);
    return 0;
}

START_TEST(a162_an_abort_outlasts_the_other)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, two_aborts, NULL));
}
END_TEST

/* There is nothing to wait for, and so nothing that a cancel could end. */
static int closed_again(void *arg)
{
    (void)arg;
    struct ends e = ends_open(UNIX_SOCKET, NULL);
    CHECK_OK(pirn_stream_close(e.stream, PIRN_NEVER));
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_OK(pirn_stream_close(e.stream, PIRN_NEVER));
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_OK(pirn_yield());
    pirn_stream_release(e.stream);
    CHECK_OK(close(e.peer));
    return 0;
}

START_TEST(a162_a_second_close_takes_no_cancel)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, closed_again, NULL));
}
END_TEST

SUPPORT_MAIN("net/stream_pending", a161_what_is_pending, a161_a_flush_is_of_all_below,
             a162_an_abort_outlasts_the_other, a162_a_second_close_takes_no_cancel)
