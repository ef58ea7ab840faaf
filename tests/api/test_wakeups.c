/* serial */
/*
 * 100,000 wake-ups from plain threads, none lost: as fast as they can come, and then each when the
 * worker has had time to park; of those, nine in ten must find it inside the kernel.
 */
#include "tests/support.h"

#include <sched.h>
#include <stdio.h>

struct round {
    _Atomic(pirn_future *) next; /* what the waiter waits on; taken by the setter */
    int rounds, spacing_us;
};

static void *setter(void *arg)
{
    struct round *r = arg;
    for (int i = 0; i < r->rounds; i++) {
        pirn_future *future;
        while (!(future = atomic_exchange(&r->next, NULL)))
            sched_yield();
        if (r->spacing_us)
            support_spin(r->spacing_us * US);
        CHECK_OK(pirn_future_set(future, i & 0xffff, NULL));
        pirn_release(future);
    }
    return NULL;
}

static int waiter(void *arg)
{
    struct round *r = arg;
    for (int i = 0; i < r->rounds; i++) {
        pirn_future *future;
        int status = -1;
        CHECK_OK(pirn_future_new(&future));
        atomic_store(&r->next, pirn_retain(future));
        CHECK_OK(pirn_future_await(future, &status, NULL, PIRN_NEVER));
        CHECK_EQ(status, i & 0xffff);
        pirn_release(future);
    }
    return 0;
}

static int fast(void *arg)
{
    (void)arg;
    enum {
        PAIRS = 2
    };
    struct round r[PAIRS];
    pthread_t threads[PAIRS];
    pirn_task *tasks[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        r[i] = (struct round){.rounds = support_rounds(50000)};
        threads[i] = support_thread(setter, &r[i]);
        tasks[i] = support_spawn(waiter, &r[i]);
    }
    for (int i = 0; i < PAIRS; i++) {
        CHECK_OK(support_join(tasks[i]));
        support_thread_join(threads[i]);
    }
    return 0;
}

START_TEST(none_lost)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, fast, NULL));
}
END_TEST

static int spaced(void *arg)
{
    (void)arg;
    struct round r = {.rounds = support_rounds(100000), .spacing_us = 100};
    pirn_stats before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    CHECK_OK(pirn_stats_get(NULL, &before));
    pthread_t thread = support_thread(setter, &r);
    CHECK_OK(waiter(&r));
    support_thread_join(thread);
    CHECK_OK(pirn_stats_get(NULL, &after));
    uint64_t wakes = after.wakes - before.wakes;
    uint64_t in_kernel = after.wakes_in_kernel - before.wakes_in_kernel;
    CHECK_LE(in_kernel, wakes);
    if (getenv("PIRN_TEST_VERBOSE"))
        printf("%d wake-ups, of which %d had to wake the worker, %d found it in the kernel\n",
               r.rounds, (int)wakes, (int)in_kernel);
    if (support_timing()) {
        CHECK_GE(in_kernel * 10, (uint64_t)r.rounds * 9);
    }
    return 0;
}

START_TEST(found_in_the_kernel)
{
    CHECK_OK(support_run(1, spaced, NULL));
}
END_TEST

SUPPORT_MAIN("wakeups", none_lost, found_in_the_kernel)
