/* Numbers: 100,000 live tasks, 10,000 spawned by a task that does not suspend, deep chains. */
#include "tests/support.h"

static atomic_int began, ended;

static int parked(void *arg)
{
    int mark = 12345, status = 0;
    atomic_fetch_add(&began, 1);
    int rc = pirn_future_await(arg, &status, NULL, PIRN_NEVER);
    CHECK_EQ(mark, 12345);
    atomic_fetch_add(&ended, 1);
    return rc ? rc : status;
}

static int park_many(void *arg)
{
    int n = *(int *)arg;
    atomic_store(&began, 0);
    atomic_store(&ended, 0);
    pirn_future *gate;
    CHECK_OK(pirn_future_new(&gate));
    pirn_task **tasks = calloc((size_t)n, sizeof(*tasks));
    CHECK(tasks);
    for (int i = 0; i < n; i++)
        tasks[i] = support_spawn(parked, gate);
    support_until(&began, n);
    CHECK_EQ(atomic_load(&ended), 0);
    CHECK_EQ(pirn_tasks(NULL, 0), n + 1);
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(NULL, &stats));
    CHECK_EQ(stats.tasks_live, n + 1);
    CHECK_GE(stats.stacks_bound, n + 1);
    CHECK_OK(pirn_future_set(gate, 8, NULL));
    for (int i = 0; i < n; i++)
        CHECK_EQ(support_join(tasks[i]), 8);
    pirn_release(gate);
    free(tasks);
    return 0;
}

START_TEST(many_live)
{
    int n = support_rounds(100000);
    CHECK_OK(support_run(1, park_many, &n));
    CHECK_OK(support_run(2, park_many, &n));
    n /= 10;
    CHECK_OK(support_run(4, park_many, &n));
}
END_TEST

/* ---- Spawned by one that does not suspend ------------------------------------------------ */

static int touch(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ended, 1);
    return 0;
}

static int spawn_and_spin(void *arg)
{
    (void)arg;
    enum {
        N = 10000
    };
    static pirn_task *tasks[N];
    atomic_store(&ended, 0);
    for (int i = 0; i < N; i++)
        tasks[i] = support_spawn(touch, NULL);
    while (atomic_load(&ended) < N) { /* others take them, all of them */
    }
    for (int i = 0; i < N; i++)
        CHECK_OK(support_join(tasks[i]));
    return 0;
}

START_TEST(taken_by_idle_workers)
{
    for (int i = 0; i < support_rounds(10); i++) {
        CHECK_OK(support_run(2, spawn_and_spin, NULL));
        CHECK_OK(support_run(4, spawn_and_spin, NULL));
    }
}
END_TEST

/* ---- Trees and chains -------------------------------------------------------------------- */

static int tree(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0)
        return 1;
    pirn_task *left = support_spawn(tree, (void *)(depth - 1));
    pirn_task *right = support_spawn(tree, (void *)(depth - 1));
    return support_join(left) + support_join(right);
}

START_TEST(tree_of_tasks)
{
    intptr_t depth = support_slow() ? 9 : 15;
    FOR_WORKERS(w)
    CHECK_EQ(support_run(w, tree, (void *)depth), 1 << depth);
}
END_TEST

static int chain(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    return depth == 0 ? 0 : 1 + support_join(support_spawn(chain, (void *)(depth - 1)));
}

START_TEST(chain_of_awaits)
{
    intptr_t depth = support_rounds(50000);
    CHECK_EQ(support_run(1, chain, (void *)depth), depth);
    CHECK_EQ(support_run(2, chain, (void *)depth), depth);
}
END_TEST

/* Cancelling the head of a long chain reaches the end of it without recursing in the library. */
static int long_chain(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0) {
        atomic_store(&began, 1);
        return pirn_sleep(PIRN_NEVER);
    }
    pirn_task *inner = support_spawn(long_chain, (void *)(depth - 1));
    CHECK_EQ(pirn_await(inner, NULL, PIRN_NEVER), -ECANCELED);
    return support_join(inner);
}

static int cancel_chain(void *arg)
{
    atomic_store(&began, 0);
    pirn_task *head = support_spawn(long_chain, arg);
    support_until(&began, 1);
    CHECK_OK(pirn_cancel(head, NULL));
    CHECK_EQ(support_join(head), -ECANCELED);
    return 0;
}

START_TEST(cancel_of_a_long_chain)
{
    intptr_t depth = support_rounds(50000);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancel_chain, (void *)depth));
}
END_TEST

/* Locals survive migration: a 4 KiB pattern over 1,000 suspensions. */
static int keeps_pattern(void *arg)
{
    unsigned char pattern[4096], seed = (unsigned char)(uintptr_t)arg;
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (unsigned char)(i * 7 + seed);
    for (int k = 0; k < support_rounds(1000); k++) {
        CHECK_OK(k % 50 ? pirn_yield() : pirn_sleep(pirn_after_us(50)));
        for (size_t i = (size_t)k % 64; i < sizeof(pattern); i += 64)
            CHECK_EQ(pattern[i], (unsigned char)(i * 7 + seed));
    }
    return 0;
}

static int patterns(void *arg)
{
    (void)arg;
    pirn_task *tasks[50];
    for (int i = 0; i < 50; i++)
        tasks[i] = support_spawn(keeps_pattern, (void *)(intptr_t)i);
    for (int i = 0; i < 50; i++)
        CHECK_OK(support_join(tasks[i]));
    return 0;
}

START_TEST(locals_survive)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, patterns, NULL));
}
END_TEST

SUPPORT_MAIN("many", many_live, taken_by_idle_workers, tree_of_tasks, chain_of_awaits,
             cancel_of_a_long_chain, locals_survive)
