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

SUPPORT_MAIN("net/stream_pending", a161_what_is_pending, a162_a_second_close_takes_no_cancel)
