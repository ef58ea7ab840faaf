/*
 * A signal's function that is replaced: what has come for the earlier one, and has not been told to
 * it, is told to the next. And what comes before a function begins is told to it once.
 *
 * The monitor serves a signal when it comes to it, the lowest number first. So what has been done
 * for SIGUSR2 has been done for an earlier SIGUSR1.
 */
#include "tests/support.h"

#include <signal.h>

static atomic_int first_calls, second_calls, other_calls;

static int count(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static void forget(void)
{
    atomic_store(&first_calls, 0);
    atomic_store(&second_calls, 0);
    atomic_store(&other_calls, 0);
}

static void wait_for_tasks(pirn_runtime *rt, uint64_t n)
{
    pirn_stats stats = {.size = sizeof(stats)};
    do {
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        CHECK_OK(pirn_stats_get(rt, &stats));
    } while (stats.tasks_live != n);
}

static pirn_runtime *paused(int workers)
{
    pirn_config config = PIRN_CONFIG_INIT;
    pirn_runtime *rt;
    config.workers = workers;
    CHECK_OK(pirn_runtime_new(&rt, &config));
    return rt;
}

static void run(pirn_runtime *rt, pirn_fn fn)
{
    int status = 0;
    CHECK_OK(pirn_runtime_run_until_complete(rt, fn, NULL, &status));
    CHECK_OK(status);
}

/* ---- It has not begun ------------------------------------------------------------------------ */

static int until_second(void *arg)
{
    (void)arg;
    support_until(&second_calls, 1);
    return 0;
}

START_TEST(signal_for_one_that_is_replaced_before_it_begins)
{
    FOR_WORKERS(w)
    {
        pirn_runtime *rt = paused(w);
        forget();
        CHECK_OK(pirn_signal_add(SIGUSR1, count, &first_calls, rt));
        CHECK_OK(kill(getpid(), SIGUSR1));
        wait_for_tasks(rt, 1);
        CHECK_OK(pirn_signal_add(SIGUSR1, count, &second_calls, rt));
        run(rt, until_second);
        CHECK_OK(atomic_load(&first_calls));
        CHECK_OK(pirn_runtime_free(rt));
        CHECK_EQ(atomic_load(&second_calls), 1);
    }
}
END_TEST

/* ---- It runs --------------------------------------------------------------------------------- */

static int replaces_itself(void *arg)
{
    atomic_fetch_add(&first_calls, 1);
    CHECK_OK(pirn_signal_add(SIGUSR2, count, &other_calls, NULL));
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_OK(kill(getpid(), SIGUSR2));
    support_until(&other_calls, 1);
    CHECK_OK(pirn_signal_add(SIGUSR1, count, arg, NULL));
    return 0;
}

static int sends_one(void *arg)
{
    CHECK_OK(pirn_signal_add(SIGUSR1, replaces_itself, &second_calls, NULL));
    CHECK_OK(kill(getpid(), SIGUSR1));
    return until_second(arg);
}

START_TEST(signal_while_one_runs_that_is_replaced)
{
    FOR_WORKERS(w)
    {
        forget();
        CHECK_OK(support_run(w, sends_one, NULL));
        CHECK_EQ(atomic_load(&first_calls), 1);
        CHECK_EQ(atomic_load(&second_calls), 1);
    }
}
END_TEST

/* ---- Several before it begins ---------------------------------------------------------------- */

static int sees_it_once(void *arg)
{
    (void)arg;
    pirn_runtime *rt = pirn_runtime_current();
    support_until(&first_calls, 1);
    support_until(&other_calls, 1);
    wait_for_tasks(rt, 1); /* what the first one asks for at its end has been asked for */
    CHECK_OK(kill(getpid(), SIGUSR2));
    support_until(&other_calls, 2); /* and served */
    wait_for_tasks(rt, 1);
    CHECK_EQ(atomic_load(&first_calls), 1);
    return 0;
}

START_TEST(signals_before_it_begins_are_one)
{
    FOR_WORKERS(w)
    {
        pirn_runtime *rt = paused(w);
        forget();
        CHECK_OK(pirn_signal_add(SIGUSR1, count, &first_calls, rt));
        CHECK_OK(pirn_signal_add(SIGUSR2, count, &other_calls, rt));
        CHECK_OK(kill(getpid(), SIGUSR1));
        wait_for_tasks(rt, 1);
        CHECK_OK(kill(getpid(), SIGUSR1));
        CHECK_OK(kill(getpid(), SIGUSR2));
        wait_for_tasks(rt, 2);
        run(rt, sees_it_once);
        CHECK_OK(pirn_runtime_free(rt));
    }
}
END_TEST

SUPPORT_MAIN("asyncio/signal_replace", signal_for_one_that_is_replaced_before_it_begins,
             signal_while_one_runs_that_is_replaced, signals_before_it_begins_are_one)
