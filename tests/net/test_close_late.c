/*
 * Closes by tasks that go on past a shutdown's grace: every wait of theirs fails, and what has been
 * closed is found to be.
 */
#include "tests/support.h"

static atomic_int over;

/* Pays no attention to its one cancel; returns when waits fail for good. */
static void outstay(void)
{
    while (pirn_sleep(PIRN_NEVER) != -ESHUTDOWN) {}
}

static int late_abort(void *arg)
{
    outstay();
    CHECK_OK(pirn_stream_abort(arg));
    CHECK_OK(pirn_stream_abort(arg));
    CHECK_OK(pirn_stream_close(arg, PIRN_NEVER));
    pirn_stream_release(arg);
    atomic_store(&over, 1);
    return 0;
}

static int late_server_close(void *arg)
{
    outstay();
    CHECK_OK(pirn_server_close(arg));
    CHECK_OK(pirn_server_close(arg));
    pirn_server_release(arg);
    atomic_store(&over, 1);
    return 0;
}

static int late_pool_close(void *arg)
{
    outstay();
    CHECK_EQ(pirn_process_pool_close(arg, PIRN_NEVER), -ESHUTDOWN);
    atomic_store(&over, 1);
    return 0;
}

static int handle(pirn_stream *stream, void *user)
{
    (void)stream, (void)user;
    return 0;
}

static void leave(pirn_fn fn, void *arg)
{
    pirn_task *task = support_spawn(fn, arg);
    support_until_waiting(task);
    CHECK_OK(pirn_detach(task));
}

static int peer;

static int leave_stream(void *arg)
{
    pirn_stream *stream;
    int pair[2];
    (void)arg;
    support_pair(pair);
    CHECK_OK(pirn_stream_new(&stream, pair[0], NULL));
    leave(late_abort, stream);
    peer = pair[1];
    return 0;
}

static int leave_server(void *arg)
{
    pirn_server *server = NULL;
    (void)arg;
    CHECK_OK(pirn_server_new(&server, handle, NULL, NULL));
    CHECK_OK(pirn_server_listen(server, "127.0.0.1", "0", NULL, PIRN_NEVER));
    leave(late_server_close, server);
    return 0;
}

static int leave_pool(void *arg)
{
    pirn_process_pool *pool = NULL;
    (void)arg;
    CHECK_OK(pirn_process_pool_new(&pool, 1));
    leave(late_pool_close, pool);
    return 0;
}

/* A machine that is busy may let the run end first; then the task ends later. */
static void run(int workers, pirn_fn fn)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = workers;
    config.grace.ns = 10 * MS;
    atomic_store(&over, 0);
    int status, rc = pirn_run_with(&config, fn, NULL, &status);
    CHECK(rc == 0 || rc == -EBUSY);
    support_until(&over, 1);
}

START_TEST(a_stream_that_is_closed_is_aborted_again)
{
    FOR_WORKERS(w)
    {
        run(w, leave_stream);
        CHECK_OK(close(peer));
    }
}
END_TEST

START_TEST(a_server_is_closed)
{
    FOR_WORKERS(w) run(w, leave_server);
}
END_TEST

START_TEST(a_process_pool_is_closed)
{
    FOR_WORKERS(w) run(w, leave_pool);
}
END_TEST

/* ---- Before that, too: a close of what is closed --------------------------------------------- */

static int close_cancelled(void *arg)
{
    pirn_stream *stream;
    int pair[2];
    (void)arg;
    support_pair(pair);
    CHECK_OK(pirn_stream_new(&stream, pair[0], NULL));
    CHECK_OK(pirn_stream_close(stream, PIRN_NEVER));
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_OK(pirn_stream_close(stream, PIRN_NEVER)); /* it does not wait */
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    pirn_stream_release(stream);
    CHECK_OK(close(pair[1]));
    return 0;
}

START_TEST(a_close_of_a_closed_stream_leaves_a_cancel_pending)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, close_cancelled, NULL));
}
END_TEST

int main(void)
{
    CHECK_OK(pirn_process_helper_start()); /* while there is one thread */
    const TTest *tests[] = {a_close_of_a_closed_stream_leaves_a_cancel_pending,
                            a_stream_that_is_closed_is_aborted_again, a_server_is_closed,
                            a_process_pool_is_closed};
    return support_main("net/close_late", tests, sizeof(tests) / sizeof(tests[0]));
}
