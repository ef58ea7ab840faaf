/*
 * Joins of a queue beside its end: a discard counts what it drops, once, and a join outlasts the
 * drops.
 */
#include "tests/support.h"

static atomic_int dropping, go, dropped; /* drops that have begun; that may end; that have */

static void drop_slowly(void *item)
{
    (void)item;
    atomic_fetch_add(&dropping, 1);
    support_until(&go, 1);
    atomic_fetch_add(&dropped, 1);
}

static pirn_queue *new_queue(void (*drop)(void *item))
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    pirn_queue *q = NULL;
    config.elem_size = sizeof(int);
    config.drop = drop;
    CHECK_OK(pirn_queue_new(&q, &config));
    atomic_store(&dropping, 0);
    atomic_store(&go, 0);
    atomic_store(&dropped, 0);
    return q;
}

static void put(pirn_queue *q, int item)
{
    CHECK_OK(pirn_queue_put(q, &item, PIRN_NEVER));
}

static int joiner(void *arg)
{
    int rc = pirn_queue_join(arg, PIRN_NEVER);
    return rc != 0 ? rc : atomic_load(&dropped);
}

static void *discard(void *arg)
{
    CHECK_OK(pirn_queue_shutdown(arg, PIRN_QUEUE_DISCARD));
    return NULL;
}

/* What a drop frees may be what the joiner would take down next. */
static int outlasts_drops(void *arg)
{
    (void)arg;
    int item;
    pirn_queue *q = new_queue(drop_slowly);
    put(q, 1);
    put(q, 2);
    CHECK_OK(pirn_queue_get(q, &item, PIRN_NEVER));
    pirn_task *early = support_spawn(joiner, q);
    support_until_waiting(early);
    pthread_t thread = support_thread(discard, q);
    support_until(&dropping, 1);
    CHECK_OK(pirn_queue_task_done(q)); /* of the one that was got: none is left, but that one */
    CHECK_EQ(pirn_status(early), -EINPROGRESS);
    CHECK_EQ(pirn_queue_join(q, pirn_after_ms(20)), -ETIMEDOUT);
    CHECK_EQ(pirn_status(early), -EINPROGRESS);
    atomic_store(&go, 1);
    CHECK_EQ(support_join(early), 1);
    CHECK_OK(pirn_queue_join(q, PIRN_NEVER));
    support_thread_join(thread);
    pirn_queue_release(q);
    return 0;
}

/* task_done called for what is still in the queue: a discard takes off what is left. */
static int done_before_got(void *arg)
{
    (void)arg;
    pirn_queue *q = new_queue(NULL);
    for (int i = 0; i < 3; i++)
        put(q, i);
    CHECK_OK(pirn_queue_task_done(q));
    CHECK_OK(pirn_queue_task_done(q));
    CHECK_EQ(pirn_queue_join(q, PIRN_NOW), -ETIMEDOUT);
    CHECK_OK(pirn_queue_shutdown(q, PIRN_QUEUE_DISCARD));
    CHECK_OK(pirn_queue_join(q, pirn_after_ms(20000)));
    CHECK_EQ(pirn_queue_task_done(q), -EINVAL);
    pirn_queue_release(q);
    return 0;
}

START_TEST(a135_a_join_outlasts_the_drops)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, outlasts_drops, NULL));
}
END_TEST

START_TEST(a135_a_discard_counts_what_is_left)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, done_before_got, NULL));
}
END_TEST

SUPPORT_MAIN("queue/join", a135_a_join_outlasts_the_drops, a135_a_discard_counts_what_is_left)
