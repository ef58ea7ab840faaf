/* Calls made where they may not be: on a plain thread, with no runtime, with wrong arguments. */
#include "tests/support.h"

#include <stdio.h>

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

START_TEST(on_a_plain_thread)
{
    pirn_task *task = NULL;
    pirn_scope *scope = NULL;
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK(pirn_runtime_current() == NULL);
    CHECK(pirn_current() == NULL);
    CHECK(pirn_cancel_reason() == NULL);
    CHECK_EQ(pirn_spawn(&task, nothing, NULL), -EPERM);
    CHECK_EQ(pirn_yield(), -EPERM);
    CHECK_EQ(pirn_shield_enter(), -EPERM);
    CHECK_EQ(pirn_shield_leave(), -EPERM);
    CHECK_EQ(pirn_tasks(NULL, 0), -EPERM);
    CHECK_EQ(pirn_set_value(NULL, NULL), -EPERM);
    CHECK_EQ(pirn_scope_open(&scope, 0), -EPERM);
    CHECK_EQ(pirn_blocking(nothing, NULL, NULL, PIRN_NEVER), -EPERM);
    CHECK_EQ(pirn_dump(NULL, stderr), -EPERM);
    CHECK_EQ(pirn_stats_get(NULL, &stats), -EPERM);
    CHECK(task == NULL && scope == NULL);
}
END_TEST

/* A pool job is a plain thread's work, not a coroutine's. */
static int job(void *arg)
{
    (void)arg;
    CHECK(pirn_current() == NULL);
    CHECK_EQ(pirn_yield(), -EPERM);
    return 4;
}

static int inside(void *arg)
{
    (void)arg;
    int status = 0;
    CHECK_OK(pirn_blocking(job, NULL, &status, PIRN_NEVER));
    CHECK_EQ(status, 4);
    CHECK_EQ(pirn_blocking(NULL, NULL, &status, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_shield_leave(), -EINVAL); /* more leaves than enters */
    CHECK_OK(pirn_yield());
    pirn_stats stats = {.size = 0};
    CHECK_EQ(pirn_stats_get(NULL, &stats), -EINVAL);
    return 0;
}

START_TEST(in_a_coroutine)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, inside, NULL));
}
END_TEST

SUPPORT_MAIN("outside", on_a_plain_thread, in_a_coroutine)
