/*
 * A block of cleanups inside a timeout or a scope: the block's end leaves those as they are, also
 * if the task had registered nothing before it.
 */
#include "tests/support.h"

static void count(void *arg, int status)
{
    CHECK_EQ(status, 5);
    ++*(int *)arg;
}

/* The task's first mark. */
static void block(void)
{
    int calls = 0;
    pirn_defer_mark mark = pirn_defer_begin();
    CHECK_OK(pirn_defer(count, &calls));
    CHECK_EQ(pirn_defer_end(mark, 5), 5);
    CHECK_EQ(calls, 1);
}

static void empty_block(void)
{
    CHECK_EQ(pirn_defer_end(pirn_defer_begin(), 5), 5);
}

static int blocks_and_sleeps(void *arg)
{
    void (**in)(void) = arg;
    (*in)();
    return pirn_sleep(PIRN_NEVER);
}

static int in_timeout(void *arg)
{
    CHECK_EQ(pirn_with_timeout(blocks_and_sleeps, arg, pirn_after_ms(1)), -ETIMEDOUT);
    return pirn_yield();
}

static int child(void *arg)
{
    CHECK_OK(pirn_sleep(pirn_after_ms(5)));
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static int in_scope(void *arg)
{
    void (**in)(void) = arg;
    atomic_int ended = 0;
    pirn_scope *scope;
    CHECK_OK(pirn_scope_open(&scope, 0));
    for (int i = 0; i < 3; i++)
        CHECK_OK(pirn_scope_spawn(scope, child, &ended, PIRN_NEVER));
    (*in)();
    CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
    CHECK_EQ(atomic_load(&ended), 3);
    return pirn_yield();
}

static void run_reported(int workers, pirn_fn fn, void (*in)(void))
{
    support_report report = SUPPORT_REPORT_INIT;
    CHECK_OK(support_run_reported(workers, &report, fn, &in));
    CHECK_EQ(support_reported(&report, "inside"), 0);
}

START_TEST(a64_inside_a_timeout)
{
    FOR_WORKERS(w)
    {
        run_reported(w, in_timeout, block);
        run_reported(w, in_timeout, empty_block);
    }
}
END_TEST

START_TEST(a64_inside_a_scope)
{
    FOR_WORKERS(w)
    {
        run_reported(w, in_scope, block);
        run_reported(w, in_scope, empty_block);
    }
}
END_TEST

SUPPORT_MAIN("defer_inside", a64_inside_a_timeout, a64_inside_a_scope)
