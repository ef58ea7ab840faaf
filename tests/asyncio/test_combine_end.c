/*
 * What combines awaitables at the edges of its life: memory after very many, cleanups, strands,
 * takers on plain threads, a runtime that ends past its grace.
 */
#include <sched.h>

#include "parts.h"

/* ---- Nothing stays behind -------------------------------------------------------------------- */

/* What is given up, times out, or fails, beside a future that stays. */
static void give_up(pirn_future *stays, int kind)
{
    pirn_awaitable *a = NULL, *items[2] = {stays, NULL};
    pirn_completions *c;
    switch (kind) {
    case 0:
        CHECK_OK(pirn_shield(&a, stays));
        CHECK_OK(pirn_cancel(a, NULL));
        break;
    case 1:
        CHECK_OK(pirn_shield(&a, stays));
        CHECK_EQ(pirn_wait_for(a, NULL, PIRN_NOW), -ETIMEDOUT);
        break;
    case 2:
        items[1] = set_future(-EIO);
        CHECK_OK(pirn_gather(&a, items, 2, 0));
        CHECK_EQ(pirn_status(a), -EIO);
        CHECK_OK(pirn_release(items[1]));
        break;
    case 3:
        items[1] = new_future();
        CHECK_OK(pirn_gather(&a, items, 2, 0));
        CHECK_OK(pirn_future_set(items[1], -EIO, NULL));
        CHECK_EQ(pirn_status(a), -EIO); /* looked at, so that nobody reports it */
        CHECK_OK(pirn_release(items[1]));
        break;
    case 4:
        CHECK_OK(pirn_wait(items, 1, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NOW));
        return;
    case 5:
        CHECK_OK(pirn_as_completed(&c, items, 1));
        CHECK_EQ(pirn_completions_next(c, &a, PIRN_NOW), -ETIMEDOUT);
        pirn_completions_free(c);
        return;
    case 6:
        CHECK_EQ(pirn_await(stays, NULL, PIRN_NOW), -ETIMEDOUT);
        return;
    default: /* each is left alone while it waits, and is the other's part */
        CHECK_OK(pirn_shield(&a, stays));
        CHECK_EQ(pirn_await(a, NULL, PIRN_NOW), -ETIMEDOUT);
        items[1] = a;
        CHECK_OK(pirn_gather(&a, items, 2, 0));
        CHECK_OK(pirn_release(items[1]));
        CHECK_EQ(pirn_await(a, NULL, PIRN_NOW), -ETIMEDOUT);
        break;
    }
    CHECK_OK(pirn_release(a));
}

static int returns_soon(void *arg)
{
    (void)arg;
    return pirn_yield();
}

static int index_of(size_t i, void *arg)
{
    (void)arg;
    return (int)i;
}

/* Those that need a coroutine. */
static void give_up_here(int kind)
{
    pirn_call call[2] = {{returns_soon, NULL}, {returns_soon, NULL}};
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    pirn_task *task;
    switch (kind) {
    case 0:
        CHECK_OK(pirn_timeout_enter(&t, PIRN_NOW));
        CHECK_EQ(pirn_timeout_leave(&t, pirn_yield()), -ETIMEDOUT);
        break;
    case 1:
        CHECK_OK(pirn_timeout_enter(&t, pirn_after_s(1000)));
        CHECK_OK(pirn_timeout_leave(&t, 0));
        break;
    case 2:
        CHECK_OK(pirn_coroutine_new(&task, NULL, returns_soon, NULL));
        CHECK_EQ(pirn_wait_for(task, NULL, PIRN_NOW), -ETIMEDOUT);
        CHECK_OK(pirn_release(task));
        break;
    case 3:
        CHECK_OK(pirn_cancel(pirn_current(), NULL));
        CHECK_EQ(pirn_race(call, 2, NULL, NULL, NULL, PIRN_NEVER), -ECANCELED);
        break;
    case 4:
        (void)!pirn_race(call, 2, NULL, NULL, NULL, PIRN_NOW);
        break;
    default:
        (void)!pirn_map(3, 2, index_of, NULL, NULL, PIRN_NOW);
        break;
    }
}

static int flat(void *arg)
{
    enum {
        WARM = 20000
    };
    int n = support_rounds(100000);
    pirn_future *stays = new_future();
    (void)arg;
    for (int kind = 0; kind < 14; kind++) {
        long before = 0;
        for (int i = 0; i < n + WARM; i++) {
            if (i == WARM)
                before = support_resident();
            if (kind < 8)
                give_up(stays, kind);
            else
                give_up_here(kind - 8);
        }
        if (support_timing()) /* a plain build: sanitizers keep what was freed */
            CHECK_LE(support_resident() - before, 2 << 20);
    }
    CHECK_OK(pirn_future_set(stays, 0, NULL));
    CHECK_OK(pirn_release(stays));
    stays = new_future(); /* which nobody will set: AddressSanitizer would miss it */
    give_up(stays, 7);
    CHECK_OK(pirn_release(stays));
    return 0;
}

START_TEST(a80_nothing_stays_behind)
{
    CHECK_OK(support_run(1, flat, NULL));
    CHECK_OK(support_run(2, flat, NULL));
}
END_TEST

/* ---- In cleanups, on strands ----------------------------------------------------------------- */

static int sleeps_long(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

static atomic_int cleaned, sleeps_again;

static void combines(void *arg, int status)
{
    struct part quick = {.ms = 1, .status = 3}, slow = {.ms = FOR_EVER};
    pirn_call calls[2] = {{run_part, &quick}, {run_part, &slow}};
    size_t winner = 9;
    int statuses[5], rc;
    (void)arg;
    CHECK_EQ(status, -ECANCELED);
    CHECK_OK(pirn_race(calls, 2, &winner, NULL, NULL, PIRN_NEVER));
    CHECK_EQ(winner, 0);
    CHECK_OK(pirn_map(5, 2, index_of, NULL, statuses, PIRN_NEVER));
    CHECK_EQ(statuses[4], 4);
    CHECK_EQ(pirn_with_timeout(sleeps_long, NULL, pirn_after_ms(1)), -ETIMEDOUT);
    pirn_task *task = start_part(&slow);
    CHECK_EQ(pirn_wait_for(task, NULL, pirn_after_ms(1)), -ETIMEDOUT);
    pirn_awaitable *g = NULL;
    CHECK_OK(pirn_gather(&g, &task, 1, 0));
    CHECK_OK(pirn_await(g, &rc, PIRN_NEVER));
    CHECK_EQ(rc, -ECANCELED);
    CHECK_OK(pirn_release(g));
    CHECK_OK(pirn_release(task));
    atomic_fetch_add(&cleaned, 1);
}

static int cancelled_twice(void *arg)
{
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    CHECK_OK(pirn_defer(combines, NULL));
    CHECK_OK(pirn_timeout_enter(&t, PIRN_NOW));
    int rc = sleeps_long(arg);
    CHECK_EQ(pirn_timeout_leave(&t, rc), -ETIMEDOUT);
    atomic_store(&sleeps_again, 1);
    rc = sleeps_long(arg);
    CHECK_OK(pirn_cancel(pirn_current(), NULL)); /* pending during the cleanup */
    return rc;
}

static int in_cleanup(void *arg)
{
    pirn_strand *strand = NULL;
    (void)arg;
    CHECK_OK(pirn_strand_new(&strand));
    for (int i = 0; i < 3; i++) { /* plain, pinned, on a strand with all it starts */
        pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
        pirn_task *task = NULL;
        config.flags = i == 1 ? PIRN_PINNED : 0;
        config.strand = i == 2 ? strand : NULL;
        atomic_store(&cleaned, 0);
        atomic_store(&sleeps_again, 0);
        CHECK_OK(pirn_spawn_with(&task, &config, cancelled_twice, NULL));
        support_until(&sleeps_again, 1);
        support_until_waiting(task);
        CHECK_OK(pirn_cancel(task, NULL));
        int status = support_join(task);
        CHECK_EQ(status, -ECANCELED);
        CHECK_EQ(atomic_load(&cleaned), 1);
    }
    pirn_strand_release(strand);
    return 0;
}

START_TEST(a96_all_of_them_in_a_cleanup)
{
    run_everywhere(in_cleanup);
}
END_TEST

/* ---- Several takers -------------------------------------------------------------------------- */

enum {
    ITEMS = 64,
    TAKERS = 6 /* two of them plain threads */
};

struct takers {
    pirn_completions *ends;
    pirn_future *items[ITEMS];
    atomic_int taken[ITEMS], ended;
};

static int takes(void *arg)
{
    struct takers *t = arg;
    pirn_awaitable *item;
    for (;;) {
        int rc = pirn_completions_next(t->ends, &item, pirn_after_us(support_between(-5, 60)));
        if (rc == 0)
            break;
        if (rc == 1)
            atomic_fetch_add(&t->taken[pirn_status(item)], 1);
        else
            CHECK(rc == -ETIMEDOUT || rc == -ECANCELED);
    }
    atomic_fetch_add(&t->ended, 1);
    return 0;
}

static void *takes_here(void *arg)
{
    CHECK_OK(takes(arg));
    return NULL;
}

static int crowd(void *arg)
{
    struct takers t = {.ends = NULL};
    pirn_task *tasks[TAKERS - 2];
    pthread_t threads[2];
    (void)arg;
    for (int i = 0; i < ITEMS; i++)
        t.items[i] = new_future();
    CHECK_OK(pirn_as_completed(&t.ends, t.items, ITEMS));
    for (int i = 0; i < 2; i++)
        threads[i] = support_thread(takes_here, &t);
    for (int i = 0; i < TAKERS - 2; i++)
        tasks[i] = support_spawn(takes, &t);
    support_until_waiting(tasks[0]);
    for (int i = 0; i < ITEMS; i++) {
        CHECK_OK(pirn_future_set(t.items[i], i, NULL));
        if (i % 4 == 0)
            (void)pirn_cancel(tasks[i % 3], NULL);
        if (i % 8 == 0)
            CHECK_OK(pirn_yield());
    }
    for (int i = 0; i < TAKERS - 2; i++) {
        int status = support_join(tasks[i]);
        CHECK(status == 0 || status == -ECANCELED);
    }
    for (int i = 0; i < 2; i++)
        support_thread_join(threads[i]);
    pirn_completions_free(t.ends);
    for (int i = 0; i < ITEMS; i++)
        CHECK_EQ(atomic_load(&t.taken[i]), 1);
    release_all(t.items, ITEMS);
    return 0;
}

START_TEST(a77_crowd)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(30); i++)
        CHECK_OK(support_run(w, crowd, NULL));
}
END_TEST

/* ---- Past the grace -------------------------------------------------------------------------- */

/* It does not take the cancel, and looks at its starter's frame to the last. */
static atomic_int stubborn_ones;

static int stubborn(void *arg)
{
    atomic_int *frame = arg;
    CHECK_OK(pirn_shield_enter());
    atomic_fetch_add(&stubborn_ones, 1);
    int rc = pirn_sleep(pirn_after_s(100)); /* past the grace it fails */
    CHECK_EQ(rc, -ESHUTDOWN);
    support_pause_ms(5);
    CHECK_EQ(atomic_load(frame), 1);
    CHECK_OK(pirn_shield_leave());
    return rc;
}

static int stubborn_number(size_t i, void *arg)
{
    (void)i;
    return stubborn(arg);
}

static int uses_frame(void *arg)
{
    atomic_int frame = 1;
    pirn_call calls[2] = {{stubborn, &frame}, {stubborn, &frame}};
    pirn_task *task = NULL;
    int rc = 0;
    switch (*(int *)arg) {
    case 0:
        rc = pirn_race(calls, 2, NULL, NULL, NULL, PIRN_NEVER);
        break;
    case 1:
        rc = pirn_map(2, 0, stubborn_number, &frame, NULL, PIRN_NEVER);
        break;
    default:
        task = support_spawn(stubborn, &frame);
        CHECK_OK(pirn_yield());
        rc = pirn_wait_for(task, NULL, pirn_after_s(100));
        CHECK(pirn_done(task));
        CHECK_OK(pirn_release(task));
        break;
    }
    atomic_store(&frame, 0);
    CHECK(rc == -ECANCELED || rc == -ESHUTDOWN);
    return rc;
}

static int leaves_it(void *arg)
{
    atomic_store(&stubborn_ones, 0);
    pirn_task *task = support_spawn(uses_frame, arg);
    support_until(&stubborn_ones, *(int *)arg == 2 ? 1 : 2);
    support_until_waiting(task);
    return pirn_detach(task);
}

START_TEST(a81_past_the_grace)
{
    FOR_WORKERS(w)
    for (int how = 0; how < 3; how++) {
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = support_reporting(w, &report);
        config.grace.ns = 5 * MS;
        CHECK_OK(support_run_with(&config, leaves_it, &how));
    }
}
END_TEST

/* ---- Late hits ------------------------------------------------------------------------------- */

/* Timeouts come at about the end of what they bound, and of the task: whose descriptor is then
 * another's, and that one is never told. */
static int bounded(void *arg)
{
    int *pipe = arg;
    char c;
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    CHECK_OK(pirn_yield());
    CHECK_OK(pirn_timeout_enter(&t, pirn_after_us(support_between(10, 200))));
    ssize_t rc = support_between(0, 1) ? pirn_read(pipe[0], &c, 1, PIRN_NEVER)
                                       : pirn_sleep(pirn_after_us(support_between(10, 200)));
    CHECK(rc == 0 || rc == -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&t, (int)rc), rc == 0 ? 0 : -ETIMEDOUT);
    if (support_between(0, 1))
        CHECK_OK(pirn_yield());
    return 0;
}

static int late_hits(void *arg)
{
    enum {
        CROWD = 32
    };
    int pipe[2], rounds = support_rounds(400);
    pirn_task *tasks[CROWD];
    (void)arg;
    support_pipe(pipe);
    for (int i = 0; i < rounds; i++) {
        for (int k = 0; k < CROWD; k++)
            tasks[k] = support_spawn(bounded, pipe);
        for (int k = 0; k < CROWD; k++)
            CHECK_EQ(support_join(tasks[k]), 0);
    }
    close(pipe[0]);
    close(pipe[1]);
    return 0;
}

START_TEST(a88_late_hits)
{
    run_everywhere(late_hits);
}
END_TEST

SUPPORT_MAIN("asyncio/combine_end", a77_crowd, a80_nothing_stays_behind, a81_past_the_grace,
             a88_late_hits, a96_all_of_them_in_a_cleanup)
