/* wraps pirn_task_spawn */
/*
 * Who sends what is left of a write: a task that no limit refuses; and where none can be made, who
 * drains.
 */
#include "tests/net/no_sender.h"

enum {
    MUCH = 4000000 /* more than a socket takes */
};

/* ---- No task beside main may be: what was written goes out all the same ---------------------- */

static int one_task_alone(void *arg)
{
    pirn_stream *s;
    pirn_task *refused;
    char *data = calloc(1, MUCH), *buf = malloc(MUCH);
    size_t got = 0;
    int pair[2];
    (void)arg;
    CHECK(data != NULL && buf != NULL);
    support_pair(pair);
    CHECK_OK(pirn_stream_new(&s, pair[0], NULL));
    CHECK_EQ(pirn_stream_write(s, data, MUCH), MUCH);
    CHECK(pirn_stream_pending(s) > 0);
    CHECK_EQ(pirn_spawn(&refused, one_task_alone, NULL), -EAGAIN); /* it counts */
    while (got < MUCH) {                                           /* nobody drains */
        ssize_t n = pirn_read(pair[1], buf, MUCH, pirn_after_ms(60000));
        CHECK_GE(n, 1);
        got += (size_t)n;
    }
    CHECK_EQ(got, MUCH);
    CHECK_OK(pirn_stream_flush(s, PIRN_NEVER));
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    pirn_stream_release(s);
    CHECK_OK(close(pair[1]));
    free(data);
    free(buf);
    return 0;
}

START_TEST(a_limit_on_tasks_holds_up_no_bytes)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.max_tasks = 1;
    FOR_WORKERS(w)
    {
        config.workers = w;
        CHECK_OK(support_run_with(&config, one_task_alone, NULL));
    }
}
END_TEST

/* ---- No task can be made: who drains sends --------------------------------------------------- */

static int sends_itself(void *arg)
{
    pirn_stream *s;
    char data[10000] = "", *buf = malloc(10 * 1000 * 1000);
    size_t written = 0, got = 0;
    int pair[2];
    (void)arg;
    support_pair(pair);
    CHECK_OK(pirn_stream_new(&s, pair[0], NULL));
    for (; pirn_stream_pending(s) <= 65536; written += sizeof(data))
        CHECK_EQ(pirn_stream_write(s, data, sizeof(data)), sizeof(data));
    CHECK_EQ(pirn_stream_drain(s, pirn_after_ms(1)), -ETIMEDOUT);
    got = (size_t)pirn_read(pair[1], buf, written, PIRN_NEVER);
    CHECK_GE(got, 1);
    for (size_t pending = pirn_stream_pending(s); pending > 16384;
         pending = pirn_stream_pending(s)) {
        int rc = pirn_stream_drain(s, pirn_after_us(100));
        CHECK(rc == 0 || rc == -ETIMEDOUT);
        ssize_t n = pirn_recv(pair[1], buf, 5000, MSG_DONTWAIT, PIRN_NEVER);
        CHECK(n > 0 || n == -EAGAIN);
        got += n > 0 ? (size_t)n : 0;
    }
    CHECK_OK(pirn_stream_drain(s, PIRN_NEVER));
    ssize_t n;
    while ((n = pirn_recv(pair[1], buf, 100000, MSG_DONTWAIT, PIRN_NEVER)) > 0)
        got += (size_t)n;
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    while ((n = pirn_recv(pair[1], buf, 100000, 0, PIRN_NEVER)) > 0)
        got += (size_t)n;
    CHECK_EQ(got, written);
    pirn_stream_release(s);
    CHECK_OK(close(pair[1]));
    free(buf);
    return 0;
}

START_TEST(a161_drains_without_a_background)
{
    atomic_store(&no_sender, true);
    FOR_WORKERS(w) CHECK_OK(support_run(w, sends_itself, NULL));
    CHECK_GE(atomic_load(&refused_senders), 3);
}
END_TEST

SUPPORT_MAIN("net/stream_sender", a_limit_on_tasks_holds_up_no_bytes,
             a161_drains_without_a_background)
