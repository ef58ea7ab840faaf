/*
 * A flush, which waits until all is sent and ends nothing; and a transport's last word before a close.
 */
#include "tests/support.h"

static int flushed(void *stream)
{
    return pirn_stream_flush(stream, PIRN_NEVER);
}

static int flush(void *arg)
{
    static char block[4 << 20];
    pirn_stream *stream;
    int pair[2];
    (void)arg;
    support_pair(pair);
    CHECK_OK(pirn_stream_new(&stream, pair[0], NULL));
    CHECK_OK(pirn_stream_flush(stream, PIRN_NOW)); /* nothing is waited for */
    CHECK_EQ(pirn_stream_write(stream, block, sizeof(block)), sizeof(block));
    CHECK_EQ(pirn_stream_flush(stream, PIRN_NOW), -ETIMEDOUT);
    CHECK_GE(pirn_stream_pending(stream), 1);
    pirn_task *task = support_spawn(flushed, stream);
    support_until_waiting(task);
    for (size_t got = 0; got < sizeof(block);) {
        ssize_t n = pirn_read(pair[1], block, sizeof(block), PIRN_NEVER);
        CHECK_GE(n, 1);
        got += (size_t)n;
    }
    CHECK_OK(support_join(task));
    CHECK_EQ(pirn_stream_pending(stream), 0);
    CHECK_EQ(pirn_stream_write(stream, "x", 1), 1); /* nothing has ended */
    CHECK_OK(pirn_stream_close(stream, PIRN_NEVER));
    CHECK_EQ(pirn_stream_flush(stream, PIRN_NEVER), -EBADF);
    pirn_stream_release(stream);
    CHECK_OK(close(pair[1]));
    return 0;
}

START_TEST(a_flush_waits_until_all_is_sent)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, flush, NULL));
}
END_TEST

struct recorder {
    char calls[8]; /* w, f, c: in the order in which they came */
    int answer;    /* of finish */
};

static ssize_t recorder_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    (void)self, (void)buf, (void)n, (void)deadline;
    return 0;
}

static ssize_t recorder_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    (void)buf, (void)deadline;
    strcat(((struct recorder *)self)->calls, "w");
    return (ssize_t)n;
}

static int recorder_finish(void *self, pirn_time deadline)
{
    struct recorder *r = self;
    CHECK_EQ(deadline.ns, PIRN_NEVER.ns);
    strcat(r->calls, "f");
    return r->answer;
}

static int recorder_close(void *self)
{
    strcat(((struct recorder *)self)->calls, "c");
    return 0;
}

static const pirn_transport recorder_ops = {
    .size = sizeof(recorder_ops),
    .read = recorder_read,
    .write = recorder_write,
    .close = recorder_close,
    .finish = recorder_finish,
};

static int finish(void *arg)
{
    (void)arg;
    for (int how = 0; how < 3; how++) {
        struct recorder r = {.answer = how == 1 ? -ETIMEDOUT : 0};
        pirn_transport other = recorder_ops;
        pirn_stream *stream;
        CHECK_OK(pirn_stream_over(&stream, &recorder_ops, &r, NULL));
        CHECK(pirn_stream_self(stream, &recorder_ops) == &r);
        CHECK(pirn_stream_self(stream, &other) == NULL);
        CHECK(pirn_stream_self(NULL, &other) == NULL);
        if (how < 2) {
            CHECK_EQ(pirn_stream_write(stream, "x", 1), 1);
            CHECK_EQ(pirn_stream_close(stream, PIRN_NEVER), r.answer);
            CHECK(strcmp(r.calls, "wfc") == 0);
        } else {
            CHECK_OK(pirn_stream_abort(stream));
            CHECK(strcmp(r.calls, "c") == 0);
        }
        CHECK_OK(pirn_stream_close(stream, PIRN_NEVER)); /* again, and nothing happens */
        pirn_stream_release(stream);
    }
    return 0;
}

START_TEST(a_close_has_the_transport_finish_and_an_abort_has_not)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, finish, NULL));
}
END_TEST

SUPPORT_MAIN("net/stream_finish", a_flush_waits_until_all_is_sent,
             a_close_has_the_transport_finish_and_an_abort_has_not)
