/*
 * pirn_thread_pool_map: every index once, in order; stopped by a failure, a deadline, a cancel.
 */
#include "tests/asyncio/thread_jobs.h"

enum {
    N = 100
};

struct items {
    atomic_int seen[N];
    atomic_int count, inside, peak, release, wrong_order, failed;
    int fails_at;
};

static int visit(size_t i, void *arg)
{
    struct items *items = arg;
    int now = atomic_fetch_add(&items->inside, 1) + 1, peak = atomic_load(&items->peak);
    while (peak < now && !atomic_compare_exchange_weak(&items->peak, &peak, now)) {}
    int place = atomic_fetch_add(&items->count, 1);
    if (place != (int)i)
        atomic_store(&items->wrong_order, 1);
    atomic_fetch_add(&items->seen[i], 1);
    if (i % 16 == 0)
        support_pause_ms(1);
    atomic_fetch_sub(&items->inside, 1);
    if ((int)i == items->fails_at)
        atomic_store(&items->failed, 1);
    if (items->fails_at >= 0 &&
        (int)i > items->fails_at) { /* not to be through before it is told */
        while (!atomic_load(&items->failed))
            support_pause_ms(1);
        support_pause_ms(2);
    }
    return (int)i == items->fails_at ? -EDOM : (int)i;
}

static void map_all(void)
{
    for (int threads = 1; threads <= 4; threads++) {
        struct items items = {.fails_at = -1};
        pirn_thread_pool *pool = new_pool(threads);
        CHECK_OK(pirn_thread_pool_map(pool, N, visit, &items, PIRN_NEVER));
        CHECK_EQ(items.inside, 0);
        for (int i = 0; i < N; i++)
            CHECK_EQ(items.seen[i], 1);
        CHECK_LE(items.peak, threads);
        if (threads == 1)
            CHECK_EQ(items.wrong_order, 0);
        CHECK_OK(pirn_thread_pool_map(pool, 0, visit, &items, PIRN_NEVER));
        CHECK_OK(pirn_thread_pool_map(pool, 1, visit, &items, PIRN_NEVER));
        CHECK_EQ(items.count, N + 1);
        CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
    }
    struct items items = {.fails_at = -1};
    CHECK_OK(pirn_thread_pool_map(NULL, N, visit, &items, PIRN_NEVER));
    CHECK_EQ(items.count, N);
}

START_TEST(a140_map_every_index_once)
{
    support_everywhere(map_all);
    CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
}
END_TEST

static void map_fails(void)
{
    struct items items = {.fails_at = 40};
    pirn_thread_pool *pool = new_pool(2);
    CHECK_EQ(pirn_thread_pool_map(pool, N, visit, &items, PIRN_NEVER), -EDOM);
    CHECK_GE(items.count, 41);
    CHECK_LE(items.count, N - 1);
    CHECK_EQ(items.inside, 0); /* those that had begun are over */
    for (int i = 0; i < N; i++)
        CHECK_EQ(items.seen[i], i < items.count); /* none was passed over */
    CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
}

START_TEST(a140_map_stops_at_a_failure)
{
    for (int i = 0; i < support_rounds(10); i++)
        support_everywhere(map_fails);
}
END_TEST

/* ---- Behind a job that holds a thread; stopped from outside ---------------------------------- */

static int stays(size_t i, void *arg)
{
    struct items *items = arg;
    atomic_fetch_add(&items->seen[i], 1);
    atomic_fetch_add(&items->count, 1);
    while (!atomic_load(&items->release))
        support_pause_ms(1);
    return 0;
}

struct mapper {
    pirn_thread_pool *pool;
    struct items items;
    size_t n;
    pirn_time deadline;
    int rc;
};

static int map_staying(void *arg)
{
    struct mapper *m = arg;
    m->rc = pirn_thread_pool_map(m->pool, m->n, stays, &m->items, m->deadline);
    return pirn_yield(); /* a cancel that is left */
}

/* One thread is held for good: the map is through all the same, with the other. */
static int map_beside_a_hog(void *arg)
{
    pirn_thread_pool *pool = new_pool(2);
    struct held h = {0};
    struct items items = {.fails_at = -1};
    (void)arg;
    pirn_job *job = submit(pool, hold, &h);
    support_until(&h.begun, 1);
    CHECK_OK(pirn_thread_pool_map(pool, N, visit, &items, PIRN_NEVER));
    CHECK_EQ(items.count, N);
    CHECK_EQ(items.wrong_order, 0);
    atomic_store(&h.release, 1);
    CHECK_OK(pirn_join(job, NULL, PIRN_NEVER));
    return pirn_thread_pool_close(pool, PIRN_NEVER);
}

/* Stopped by a cancel or a deadline, of five or of the only one. What has begun is waited for; if
 * that was all there is to do, or the mapper hears of it too late, it has happened. */
static int stopped[2], happened[2];

static int map_is_stopped(void *arg)
{
    for (int how = 0; how < 4; how++) {
        struct mapper m = {.pool = new_pool(2), .n = how < 2 ? 5 : 1, .rc = -1};
        bool cancel = how % 2 == 0;
        m.deadline = cancel ? PIRN_NEVER : pirn_after_ms(5);
        pirn_task *task = support_spawn(map_staying, &m);
        while (m.items.count == 0 && !pirn_done(task)) /* too late to begin, on a busy machine */
            CHECK_OK(pirn_sleep(pirn_after_us(200)));
        if (m.items.count != 0) {
            support_until_waiting(task);
            if (cancel)
                CHECK_OK(pirn_cancel(task, NULL));
            CHECK_EQ(pirn_await(task, NULL, pirn_after_ms(8)), -ETIMEDOUT);
        }
        atomic_store(&m.items.release, 1);
        int status = support_join(task), count = m.items.count;
        if (m.rc == 0) {
            CHECK_EQ(count, m.n);
            CHECK_EQ(status, cancel ? -ECANCELED : 0); /* it is pending */
            happened[cancel]++;
        } else {
            CHECK_EQ(m.rc, cancel ? -ECANCELED : -ETIMEDOUT);
            CHECK_LE(count, (int)m.n - 1);
            CHECK_OK(status);
            stopped[cancel]++;
        }
        CHECK_OK(pirn_thread_pool_close(m.pool, PIRN_NEVER));
        CHECK_EQ(m.items.count, count);
    }
    return map_beside_a_hog(arg);
}

START_TEST(a140_a141_map_is_stopped)
{
    for (int i = 0; i < support_rounds(10); i++) {
        FOR_WORKERS(w)
        CHECK_OK(support_run(w, map_is_stopped, NULL));
    }
    if (!support_slow())
        CHECK(stopped[0] > 0 && stopped[1] > 0 && happened[0] > 0 && happened[1] > 0);
    no_pool_threads();
}
END_TEST

SUPPORT_MAIN("pool_map", a140_map_every_index_once, a140_map_stops_at_a_failure,
             a140_a141_map_is_stopped)
