/*
 * What the tests of runtimes as objects share: one with so many workers, tasks that are spawned
 * from outside, a run whose result is known.
 */
#ifndef PIRN_TESTS_RUNTIMES_H
#define PIRN_TESTS_RUNTIMES_H

#include "tests/support.h"

static inline pirn_runtime *new_runtime(int workers)
{
    pirn_config config = PIRN_CONFIG_INIT;
    pirn_runtime *rt = NULL;
    config.workers = workers;
    CHECK_OK(pirn_runtime_new(&rt, &config));
    return rt;
}

static inline pirn_task *spawn_in(pirn_runtime *rt, pirn_fn fn, void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    config.runtime = rt;
    CHECK_OK(pirn_spawn_with(&task, &config, fn, arg));
    return task;
}

static inline void run_value(pirn_runtime *rt, pirn_fn fn, void *arg, int expected)
{
    int status = -12345;
    CHECK_OK(pirn_runtime_run_until_complete(rt, fn, arg, &status));
    CHECK_EQ(status, expected);
}

static inline int give(void *arg)
{
    return *(int *)arg;
}

#endif
