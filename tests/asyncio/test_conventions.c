/*
 * What holds of calls in general: those that can wait can be timed out from outside, and each kind
 * of failure has one code. (That others never suspend: test_never_suspend.c.)
 */
#include "tests/support.h"

static int answer(void *arg)
{
    (void)arg;
    return 42;
}

static int for_ever(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

static pirn_queue *new_queue(int limit)
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    pirn_queue *queue = NULL;
    config.elem_size = sizeof(int);
    config.maxsize = limit;
    CHECK_OK(pirn_queue_new(&queue, &config));
    return queue;
}

/* ---- S85: one wrapper around whatever waits -------------------------------------------------- */

struct waits {
    int pair[2];
    pirn_queue *empty, *full;
    pirn_mutex held;
    pirn_event unset;
    pirn_semaphore none;
    pirn_future *future;
    pirn_channel *channel;
};

static int recv_for_ever(void *arg)
{
    char byte;
    return (int)pirn_recv(((struct waits *)arg)->pair[0], &byte, 1, 0, PIRN_NEVER);
}

static int get_for_ever(void *arg)
{
    int item;
    return pirn_queue_get(((struct waits *)arg)->empty, &item, PIRN_NEVER);
}

static int put_for_ever(void *arg)
{
    int item = 2;
    return pirn_queue_put(((struct waits *)arg)->full, &item, PIRN_NEVER);
}

static int lock_for_ever(void *arg)
{
    return pirn_mutex_lock(&((struct waits *)arg)->held, PIRN_NEVER);
}

static int event_for_ever(void *arg)
{
    return pirn_event_wait(&((struct waits *)arg)->unset, PIRN_NEVER);
}

static int acquire_for_ever(void *arg)
{
    return pirn_semaphore_acquire(&((struct waits *)arg)->none, PIRN_NEVER);
}

static int await_for_ever(void *arg)
{
    return pirn_await(((struct waits *)arg)->future, NULL, PIRN_NEVER);
}

static int receive_for_ever(void *arg)
{
    int item;
    return pirn_channel_recv(((struct waits *)arg)->channel, &item, PIRN_NEVER);
}

static int times_out_each(void *arg)
{
    struct waits *w = arg;
    pirn_fn each[] = {for_ever,         recv_for_ever,  get_for_ever,
                      put_for_ever,     lock_for_ever,  event_for_ever,
                      acquire_for_ever, await_for_ever, receive_for_ever};
    int item = 1;
    CHECK_OK(pirn_queue_put(w->full, &item, PIRN_NEVER));
    for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
        pirn_time until = pirn_after_ms(3);
        CHECK_EQ(pirn_with_timeout(each[i], w, until), -ETIMEDOUT);
        CHECK_GE(pirn_now().ns, until.ns);
        CHECK_EQ(pirn_cancelling(NULL), 0);
        CHECK_OK(pirn_yield());
    }
    /* None of them took anything. */
    CHECK_EQ(pirn_queue_size(w->full), 1);
    CHECK_OK(pirn_queue_try_put(w->empty, &item));
    CHECK_OK(pirn_queue_try_get(w->empty, &item));
    CHECK_OK(pirn_semaphore_release(&w->none, 1));
    CHECK_OK(pirn_semaphore_try_acquire(&w->none));
    CHECK(!pirn_done(w->future));
    return 0;
}

static int wrapped(void *arg)
{
    struct waits w = {.empty = new_queue(0), .full = new_queue(1)};
    (void)arg;
    support_pair(w.pair);
    CHECK_OK(pirn_mutex_init(&w.held));
    CHECK_OK(pirn_event_init(&w.unset));
    CHECK_OK(pirn_semaphore_init(&w.none, 0));
    CHECK_OK(pirn_future_new(&w.future));
    CHECK_OK(pirn_channel_new(&w.channel, sizeof(int), 1, NULL));
    CHECK_OK(pirn_mutex_lock(&w.held, PIRN_NEVER));
    CHECK_OK(support_join(support_spawn(times_out_each, &w)));
    CHECK_OK(pirn_mutex_unlock(&w.held));
    CHECK_OK(pirn_mutex_try_lock(&w.held)); /* nobody is in line for it */
    CHECK_OK(pirn_mutex_unlock(&w.held));
    pirn_channel_release(w.channel);
    CHECK_OK(pirn_release(w.future));
    pirn_queue_release(w.empty);
    pirn_queue_release(w.full);
    CHECK_OK(pirn_close(w.pair[0]));
    return pirn_close(w.pair[1]);
}

START_TEST(s85_each_wait_times_out_under_the_same_wrapper)
{
    for (int i = 0; i < support_rounds(5); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, wrapped, NULL));
}
END_TEST

/* ---- S95: one code for each condition -------------------------------------------------------- */

static int codes(void *arg)
{
    int item = 0, status = 0, pair[2];
    char byte = 'x';
    (void)arg;
    pirn_task *task = support_spawn(for_ever, NULL);
    CHECK_EQ(pirn_status(task), -EINPROGRESS); /* not finished */
    CHECK_EQ(pirn_await(task, &status, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_future_set(task, 1, NULL), -EPERM); /* a task settles itself */
    CHECK_EQ(pirn_await(pirn_current(), &status, PIRN_NEVER), -EDEADLK);
    CHECK_EQ(pirn_run(answer, NULL), -EDEADLK);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_OK(pirn_await(task, &status, PIRN_NEVER));
    CHECK_EQ(status, -ECANCELED);
    CHECK_EQ(pirn_cancel(task, NULL), -EALREADY); /* settled */
    CHECK_OK(pirn_release(task));
    CHECK_EQ(pirn_spawn(&task, NULL, NULL), -EINVAL);

    pirn_queue *queue = new_queue(1);
    CHECK_EQ(pirn_queue_try_get(queue, &item), -EAGAIN); /* empty */
    CHECK_EQ(pirn_queue_get(queue, &item, pirn_after_us(100)), -ETIMEDOUT);
    CHECK_OK(pirn_queue_try_put(queue, &item));
    CHECK_EQ(pirn_queue_try_put(queue, &item), -EAGAIN); /* full */
    CHECK_OK(pirn_queue_shutdown(queue, PIRN_QUEUE_DRAIN));
    CHECK_EQ(pirn_queue_put(queue, &item, PIRN_NEVER), -ESHUTDOWN);
    CHECK_OK(pirn_queue_get(queue, &item, PIRN_NEVER));
    CHECK_EQ(pirn_queue_get(queue, &item, PIRN_NEVER), -ESHUTDOWN);
    pirn_queue_release(queue);

    pirn_barrier barrier;
    CHECK_OK(pirn_barrier_init(&barrier, 2));
    CHECK_OK(pirn_barrier_abort(&barrier));
    CHECK_EQ(pirn_barrier_wait(&barrier, PIRN_NEVER), -EPIPE); /* broken */

    pirn_channel *channel;
    CHECK_OK(pirn_channel_new(&channel, sizeof(int), 1, NULL));
    CHECK_EQ(pirn_channel_try_recv(channel, &item), -EAGAIN);
    CHECK_OK(pirn_channel_close(channel, PIRN_CHANNEL_RECV));
    CHECK_EQ(pirn_channel_send(channel, &item, PIRN_NEVER), -EPIPE); /* nobody receives */
    pirn_channel_release(channel);
    pirn_semaphore semaphore;
    CHECK_OK(pirn_semaphore_init_bounded(&semaphore, 1, 1));
    CHECK_EQ(pirn_semaphore_release(&semaphore, 1), -EINVAL); /* one too many */
    pirn_mutex mutex;
    CHECK_OK(pirn_mutex_init(&mutex));
    CHECK_EQ(pirn_mutex_unlock(&mutex), -EPERM);

    pirn_stream *stream;
    const char *line;
    size_t got = 9;
    support_pair(pair);
    pirn_stream_config limited = PIRN_STREAM_CONFIG_INIT;
    limited.limit = 4;
    CHECK_OK(pirn_stream_new(&stream, pair[0], &limited));
    CHECK_EQ(pirn_send(pair[1], "too long\nxyz", 12, 0, PIRN_NEVER), 12);
    CHECK_EQ(pirn_stream_read_line(stream, &line, PIRN_NEVER), -EMSGSIZE); /* beyond the limit */
    CHECK_EQ(pirn_stream_read_line(stream, &line, pirn_after_us(100)), -ETIMEDOUT);
    CHECK_OK(pirn_close(pair[1]));
    char four[4];
    CHECK_EQ(pirn_stream_read_exactly(stream, four, 4, &got, PIRN_NEVER), -ENODATA); /* the end */
    CHECK_EQ(got, 3);
    CHECK_OK(pirn_stream_close(stream, PIRN_NEVER));
    pirn_stream_release(stream);

    support_pair(pair);
    CHECK_OK(pirn_close(pair[1]));
    CHECK_EQ(pirn_recv(pair[0], &byte, 1, 0, PIRN_NEVER), 0); /* the end is no error */
    CHECK_EQ(pirn_send(pair[0], &byte, 1, 0, PIRN_NEVER), -EPIPE);
    CHECK_OK(pirn_close(pair[0]));
    CHECK_EQ(pirn_recv(-1, &byte, 1, 0, PIRN_NEVER), -EBADF);

    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_uncancel(), 0);
    return 0;
}

START_TEST(s95_each_condition_has_its_code)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, codes, NULL));
    CHECK_EQ(pirn_yield(), -EPERM); /* no coroutine */
    pirn_runtime *rt = NULL;
    CHECK_OK(pirn_runtime_new(&rt, NULL));
    CHECK_OK(pirn_runtime_close(rt));
    CHECK_EQ(pirn_runtime_run_forever(rt), -ESHUTDOWN);
    CHECK_OK(pirn_runtime_free(rt));
}
END_TEST

SUPPORT_MAIN("asyncio/conventions", s85_each_wait_times_out_under_the_same_wrapper,
             s95_each_condition_has_its_code)
