/*
 * Done callbacks of coroutine objects that nobody begins: when the last handle goes the object ends
 * as one that was cancelled, and the callbacks are told.
 */
#include "tests/support.h"

struct one {
    atomic_int ran, dropped, called;
    pirn_task *task;
};

static int runs(void *arg)
{
    atomic_fetch_add(&((struct one *)arg)->ran, 1);
    return 7;
}

static void drop(void *arg)
{
    atomic_fetch_add(&((struct one *)arg)->dropped, 1);
}

static void called(pirn_awaitable *awaitable, void *user)
{
    struct one *one = user;
    CHECK(awaitable == one->task);
    CHECK_EQ(pirn_status(awaitable), atomic_load(&one->ran) != 0 ? 7 : -ECANCELED);
    atomic_fetch_add(&one->called, 1);
}

static void make(struct one *one)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    *one = (struct one){0};
    config.arg_drop = drop;
    CHECK_OK(pirn_coroutine_new(&one->task, &config, runs, one));
    CHECK_OK(pirn_add_done_callback(one->task, NULL, called, one));
}

static void never_ran(struct one *one, int calls)
{
    support_until(&one->dropped, 1);
    support_until(&one->called, calls);
    CHECK_EQ(atomic_load(&one->ran), 0);
    CHECK_EQ(atomic_load(&one->dropped), 1);
    CHECK_EQ(atomic_load(&one->called), calls);
}

static void *release_it(void *arg)
{
    CHECK_OK(pirn_release(arg));
    return NULL;
}

static int withdrawn(void *arg)
{
    struct one one;
    (void)arg;
    make(&one);
    CHECK_OK(pirn_release(one.task));
    never_ran(&one, 1);

    make(&one); /* a second callback, a second handle */
    CHECK_OK(pirn_add_done_callback(one.task, NULL, called, &one));
    CHECK(pirn_retain(one.task) == one.task);
    CHECK_OK(pirn_detach(one.task));
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_EQ(atomic_load(&one.dropped) + atomic_load(&one.called), 0);
    CHECK_OK(pirn_detach(one.task));
    never_ran(&one, 2);

    make(&one); /* taken back: nobody is told */
    CHECK_EQ(pirn_remove_done_callback(one.task, called, &one), 1);
    CHECK_OK(pirn_release(one.task));
    never_ran(&one, 0);

    make(&one); /* taken back, and added again */
    CHECK_EQ(pirn_remove_done_callback(one.task, called, &one), 1);
    CHECK_OK(pirn_add_done_callback(one.task, NULL, called, &one));
    CHECK_OK(pirn_release(one.task));
    never_ran(&one, 1);

    make(&one); /* begun, it runs on: unowned, but for its callback */
    CHECK_OK(pirn_start(one.task));
    CHECK_OK(pirn_detach(one.task));
    support_until(&one.called, 1);
    CHECK_EQ(atomic_load(&one.ran), 1);

    for (int i = 0; i < support_rounds(200); i++) { /* two handles that go at the same time */
        make(&one);
        CHECK(pirn_retain(one.task) == one.task);
        pthread_t thread = support_thread(release_it, one.task);
        if (i % 2 == 0)
            CHECK_EQ(pirn_remove_done_callback(one.task, called, &one), 1);
        CHECK_OK(pirn_release(one.task));
        support_thread_join(thread);
        never_ran(&one, i % 2);
    }
    pirn_stats stats = {.size = sizeof(stats)}; /* and nothing of them is left */
    do
        CHECK_OK(pirn_stats_get(NULL, &stats));
    while (stats.tasks_live > 1 && pirn_yield() == 0);
    return 0;
}

START_TEST(s39_released_with_a_callback)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(10); i++)
        CHECK_OK(support_run(w, withdrawn, NULL));
}
END_TEST

SUPPORT_MAIN("callback_unbegun", s39_released_with_a_callback)
