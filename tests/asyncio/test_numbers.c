/* serial */
/*
 * The tutorials' numbers, as far as a test can hold them: how many coroutines, how parallel. What
 * they cost is for the benchmarks.
 */
#include "tests/support.h"

/* ---- S2: a hundred thousand ------------------------------------------------------------------ */

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
    long before = support_resident();
    support_control control;
    support_control_begin(&control);
    int threads = support_count().threads;
    pirn_task **tasks = calloc((size_t)n, sizeof(pirn_task *));
    CHECK(tasks != NULL);
    int64_t began = support_now();
    for (int i = 0; i < n; i++)
        tasks[i] = support_spawn(sleeps_1_s, NULL);
    c->resident = support_resident() - before;
    CHECK_LE(support_count().threads, threads + 3 * c->workers); /* spares, no thread for each */
    for (int i = 0; i < n; i++)
        CHECK_OK(support_join(tasks[i]));
    int64_t took = support_now() - began, late = support_control_late(&control);
    support_control_end(&control);
    CHECK_GE(took, 1000 * MS);
    if (support_timing())
        CHECK_LE(took, 3000 * MS + late);
    free(tasks);
    return 0;
}

START_TEST(s2_a_hundred_thousand_sleep_a_second)
{
    FOR_WORKERS(w)
    {
        struct crowd c = {w, 0};
        CHECK_OK(support_run(w, crowd, &c));
        if (!support_slow())
            CHECK_LE(c.resident, 1200L << 20);
    }
}
END_TEST

/* ---- S5, S7: parallel ------------------------------------------------------------------------ */

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

/* How many compute at the same instant: as many as there are workers, be there ever so many
 * coroutines. With one it is concurrent, and not parallel. */
enum {
    COMPUTERS = 12,
    SLICES = 200
};

struct hall {
    atomic_int inside, most;
    atomic_int enough; /* the most that there will be */
};

static int computes_in_slices(void *arg)
{
    struct hall *h = arg;
    for (int i = 0; i < SLICES || atomic_load(&h->most) < atomic_load(&h->enough); i++) {
        int now = atomic_fetch_add(&h->inside, 1) + 1, most = atomic_load(&h->most);
        while (now > most && !atomic_compare_exchange_weak(&h->most, &most, now)) {}
        support_spin(20 * US);
        atomic_fetch_sub(&h->inside, 1);
        CHECK_OK(pirn_yield());
    }
    return 0;
}

static int peak(void *arg)
{
    struct hall h = {.enough = *(int *)arg};
    pirn_task *tasks[COMPUTERS];
    for (int i = 0; i < COMPUTERS; i++)
        tasks[i] = support_spawn(computes_in_slices, &h);
    for (int i = 0; i < COMPUTERS; i++)
        CHECK_OK(support_join(tasks[i]));
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(NULL, &stats));
    CHECK_GE(atomic_load(&h.most), *(int *)arg);
    if (stats.spares == 0) /* a machine that stops a thread for long makes it look stuck */
        CHECK_LE(atomic_load(&h.most), *(int *)arg);
    return stats.spares == 0;
}

START_TEST(s7_as_many_at_once_as_workers)
{
    FOR_WORKERS(w)
    {
        int undisturbed = 0;
        for (int i = 0; i < 20 && !undisturbed; i++)
            undisturbed = support_run(w, peak, &w);
    }
}
END_TEST

/* ---- S50: sleeps of both kinds --------------------------------------------------------------- */

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
    if (support_timing()) { /* measured: 100 and 190; one after another: 1000 */
        int64_t late = support_control_late(&control);
        CHECK_LE(slept, 300 * MS + late);
        CHECK_LE(blocked, 600 * MS + late);
    }
    support_control_end(&control);
    return 0;
}

START_TEST(s50_s105_ten_sleeps_and_ten_blocked_threads)
{
    CHECK_OK(support_run(1, both_kinds, NULL));
}
END_TEST

/* ---- S3: ten thousand who do nothing --------------------------------------------------------- */

enum {
    SLEEPS = 300
};

static int waits_for(void *future)
{
    return pirn_await(future, NULL, PIRN_NEVER);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int sleeps_beside_idlers(void *arg)
{
    int n = support_rounds(10000);
    pirn_task **idlers = calloc((size_t)n, sizeof(pirn_task *));
    int64_t overshoot[SLEEPS];
    pirn_future *future;
    support_control control;
    (void)arg;
    CHECK(idlers != NULL);
    CHECK_OK(pirn_future_new(&future));
    for (int i = 0; i < n; i++)
        idlers[i] = support_spawn(waits_for, future);
    for (int i = 0; i < n; i++)
        support_until_waiting(idlers[i]);
    support_control_begin(&control);
    for (int i = 0; i < SLEEPS; i++) {
        pirn_time until = pirn_after_ms(1);
        CHECK_OK(pirn_sleep(until));
        overshoot[i] = pirn_now().ns - until.ns;
        CHECK_GE(overshoot[i], 0);
    }
    int64_t late = support_control_worst(&control);
    support_control_end(&control);
    qsort(overshoot, SLEEPS, sizeof(overshoot[0]), by_size);
    if (support_timing())
        CHECK_LE(overshoot[SLEEPS - 1 - SLEEPS / 100], 5 * MS + 2 * late);
    CHECK_OK(pirn_future_set(future, 0, NULL));
    for (int i = 0; i < n; i++)
        CHECK_OK(support_join(idlers[i]));
    CHECK_OK(pirn_release(future));
    free(idlers);
    return 0;
}

START_TEST(s3_ten_thousand_idle_add_no_delay)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, sleeps_beside_idlers, NULL));
}
END_TEST

/* ---- S10: switches --------------------------------------------------------------------------- */

enum {
    YIELDS = 100000
};

struct meeting {
    const struct meeting *next; /* the other one */
    int turns;
    bool begun, in_turn;
};

/* The turns count once both have begun: what waits to begin is passed by what has, at most twice
 * (sched/runq.h). */
static int yields(void *arg)
{
    struct meeting *m = arg;
    m->begun = true;
    while (!m->next->begun)
        CHECK_OK(pirn_yield());
    for (int i = 0; i < YIELDS; i++) {
        m->turns++; /* no atomic: one worker, and no suspend in between */
        if (m->turns - m->next->turns > 1 || m->next->turns - m->turns > 1)
            m->in_turn = false;
        CHECK_OK(pirn_yield());
    }
    return 0;
}

static int two_yield(void *arg)
{
    struct meeting both[2] = {{&both[1], 0, false, true}, {&both[0], 0, false, true}};
    pirn_task *tasks[2];
    support_control control;
    (void)arg;
    support_control_begin(&control);
    int64_t began = support_now();
    for (int i = 0; i < 2; i++)
        tasks[i] = support_spawn(yields, &both[i]);
    for (int i = 0; i < 2; i++)
        CHECK_OK(support_join(tasks[i]));
    int64_t took = support_now() - began, late = support_control_late(&control);
    support_control_end(&control);
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(NULL, &stats));
    if (!support_slow() && stats.spares == 0) /* else tasks are moved about */
        CHECK(both[0].in_turn && both[1].in_turn);
    if (support_timing())
        CHECK_LE(took, 2 * YIELDS * 250 + late);
    return 0;
}

START_TEST(s10_a_switch_is_cheap)
{
    CHECK_OK(support_run(1, two_yield, NULL));
}
END_TEST

/* ---- S116: as many threads as jobs ----------------------------------------------------------- */

enum {
    JOBS = 6
};

struct blockers {
    atomic_int begun, at_once, most, open;
};

/* Blocks until it is told; how many did so at the same time? */
static int blocks_until_open(void *arg)
{
    struct blockers *b = arg;
    int now = atomic_fetch_add(&b->at_once, 1) + 1, most = atomic_load(&b->most);
    while (now > most && !atomic_compare_exchange_weak(&b->most, &most, now)) {}
    atomic_fetch_add(&b->begun, 1);
    support_until(&b->open, 1);
    atomic_fetch_sub(&b->at_once, 1);
    return 0;
}

static void rounds_of(int threads)
{
    struct blockers b = {0, 0, 0, 0};
    pirn_thread_pool *pool;
    pirn_job *jobs[JOBS];
    CHECK_OK(pirn_thread_pool_new(&pool, threads));
    for (int i = 0; i < JOBS; i++)
        CHECK_OK(pirn_thread_pool_submit(pool, &jobs[i], blocks_until_open, &b));
    support_until(&b.begun, threads < JOBS ? threads : JOBS);
    CHECK_EQ(atomic_load(&b.begun), threads < JOBS ? threads : JOBS); /* the others wait */
    atomic_store(&b.open, 1);
    for (int i = 0; i < JOBS; i++)
        CHECK_OK(pirn_join(jobs[i], NULL, PIRN_NEVER));
    CHECK_EQ(atomic_load(&b.most), threads < JOBS ? threads : JOBS);
    CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
}

static void as_many_threads(void)
{
    rounds_of(JOBS / 2); /* two rounds */
    rounds_of(JOBS);     /* one */
    rounds_of(JOBS + 2); /* and no less than one */
}

START_TEST(s116_threads_beyond_the_jobs_are_no_use)
{
    support_everywhere(as_many_threads);
}
END_TEST

SUPPORT_MAIN("asyncio/numbers", s2_a_hundred_thousand_sleep_a_second,
             s5_s7_two_loops_compute_at_once, s7_as_many_at_once_as_workers,
             s50_s105_ten_sleeps_and_ten_blocked_threads, s3_ten_thousand_idle_add_no_delay,
             s10_a_switch_is_cheap, s116_threads_beyond_the_jobs_are_no_use)
