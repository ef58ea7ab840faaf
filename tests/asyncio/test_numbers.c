/* serial */
/*
 * The tutorials' numbers, as far as a test can hold them: how many coroutines, how parallel. What they
 * cost is for the benchmarks.
 */
#include "tests/support.h"

/* ---- S2: a hundred thousand ------------------------------------------------------------------- */

static int sleeps_1_s(void *arg)
{
    pirn_time until = pirn_after_s(1);
    (void)arg;
    int rc = pirn_sleep(until);
    CHECK_GE(pirn_now().ns, until.ns);
    return rc;
}

struct crowd {
    int workers;
    long resident; /* at the most, more than before */
};

static int crowd(void *arg)
{
    struct crowd *c = arg;
    int n = support_rounds(100000);
    int threads = support_count().threads;
    long before = support_resident();
    pirn_task **tasks = calloc((size_t)n, sizeof(pirn_task *));
    CHECK(tasks != NULL);
    int64_t began = support_now();
    for (int i = 0; i < n; i++)
        tasks[i] = support_spawn(sleeps_1_s, NULL);
    c->resident = support_resident() - before;
    CHECK_LE(support_count().threads, threads + 3 * c->workers); /* spares, no thread for each */
    for (int i = 0; i < n; i++)
        CHECK_OK(support_join(tasks[i]));
    CHECK_GE(support_now() - began, 1000 * MS);
    free(tasks);
    return 0;
}

START_TEST(s2_a_hundred_thousand_sleep_a_second)
{
    for (int w = 1; w <= 2; w++) {
        struct crowd c = {w, 0};
        CHECK_OK(support_run(w, crowd, &c));
        if (!support_slow())
            CHECK_LE(c.resident, 1200L << 20);
    }
}
END_TEST

/* ---- S5, S7: parallel --------------------------------------------------------------------------- */

/* Each computes, without a place where it could be suspended, until the other does too. */
static int computes(void *arg)
{
    atomic_int *both = arg;
    volatile uint32_t x = 1;
    for (atomic_fetch_add(both, 1); atomic_load(both) < 2;)
        x = x * 1664525U + 1013904223U;
    return 0;
}

static int two_loops(void *arg)
{
    pirn_task *tasks[2];
    atomic_int both = 0;
    (void)arg;
    for (int i = 0; i < 2; i++)
        tasks[i] = support_spawn(computes, &both);
    for (int i = 0; i < 2; i++)
        CHECK_OK(support_join(tasks[i]));
    return 0;
}

START_TEST(s5_s7_two_loops_compute_at_once)
{
    FOR_WORKERS(w) /* with one worker a spare does the other */
    CHECK_OK(support_run(w, two_loops, NULL));
}
END_TEST

/* ---- S50: sleeps of both kinds -------------------------------------------------------------------- */

static int sleeps_100_ms(void *arg)
{
    (void)arg;
    return pirn_sleep(pirn_after_ms(100));
}

static int blocks_100_ms(void *arg)
{
    (void)arg;
    support_pause_ms(100); /* the thread, whatever it runs on */
    return 0;
}

static int64_t ten_of(pirn_fn fn)
{
    int64_t began = support_now();
    pirn_task *tasks[10];
    for (int i = 0; i < 10; i++)
        tasks[i] = support_spawn(fn, NULL);
    for (int i = 0; i < 10; i++)
        CHECK_OK(support_join(tasks[i]));
    return support_now() - began;
}

static int both_kinds(void *arg)
{
    (void)arg;
    support_control control;
    support_control_begin(&control);
    int64_t slept = ten_of(sleeps_100_ms), blocked = ten_of(blocks_100_ms);
    CHECK_GE(slept, 100 * MS);
    CHECK_GE(blocked, 100 * MS);
    if (support_timing()) { /* one after another: 1000 */
        int64_t late = support_control_late(&control);
        CHECK_LE(slept, 900 * MS + late);
        CHECK_LE(blocked, 900 * MS + late);
    }
    support_control_end(&control);
    return 0;
}

START_TEST(s50_s105_ten_sleeps_and_ten_blocked_threads)
{
    CHECK_OK(support_run(1, both_kinds, NULL));
}
END_TEST

SUPPORT_MAIN("asyncio/numbers", s2_a_hundred_thousand_sleep_a_second,
             s5_s7_two_loops_compute_at_once, s50_s105_ten_sleeps_and_ten_blocked_threads)
