/* Detached tasks, whose errors are reported by name; the limit on live tasks. */
#include "tests/support.h"

static atomic_int drops;

static void count_drop(void *ptr)
{
    (void)ptr;
    atomic_fetch_add(&drops, 1);
}

static int give(void *arg)
{
    return (int)(intptr_t)arg;
}

static int wait_for_future(void *arg)
{
    int status = -EINPROGRESS;
    int rc = pirn_future_await(arg, &status, NULL, PIRN_NEVER);
    return rc ? rc : status;
}

static int detached(void *arg)
{
    (void)arg;
    struct {
        const char *name;
        int status;
    } cases[] = {{"fine", 0}, {"also-fine", 12}, {"broken", -EPIPE}, {"worse", -EIO}};
    atomic_store(&drops, 0);
    for (int i = 0; i < 4; i++) {
        pirn_spawn_config config = PIRN_SPAWN_INIT;
        config.name = cases[i].name;
        config.arg_drop = count_drop;
        pirn_task *task;
        CHECK_OK(pirn_spawn_with(&task, &config, give, (void *)(intptr_t)cases[i].status));
        if (i == 3) /* also when it has ended before it is detached */
            CHECK_OK(pirn_sleep(pirn_after_ms(2)));
        CHECK_OK(pirn_detach(task));
    }
    support_until(&drops, 4);
    /* A failure that somebody looked at is not reported. */
    CHECK_EQ(support_join(support_spawn_named("looked-at", give, (void *)-EIO)), -EIO);
    return 0;
}

START_TEST(detached_error_is_named_once)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.report = support_report_line;
        config.report_user = &report;
        CHECK_OK(support_run_with(&config, detached, NULL));
        CHECK_EQ(support_reported(&report, "broken"), 1);
        CHECK_EQ(support_reported(&report, "worse"), 1);
        CHECK_EQ(support_reported(&report, "fine"), 0);
        CHECK_EQ(support_reported(&report, "also-fine"), 0);
        CHECK_EQ(support_reported(&report, "looked-at"), 0);
    }
}
END_TEST

static int limited(void *arg)
{
    (void)arg;
    pirn_future *gate;
    CHECK_OK(pirn_future_new(&gate));
    for (int round = 0; round < 3; round++) {
        pirn_task *tasks[100];
        int n = 0, rc;
        while (n < 100 && (rc = pirn_spawn(&tasks[n], wait_for_future, gate)) == 0)
            n++;
        CHECK_EQ(rc, -EAGAIN);
        CHECK(n == 20 || n == 19);             /* main may count */
        CHECK_OK(pirn_cancel(tasks[0], NULL)); /* one goes, one may come */
        CHECK_EQ(support_join(tasks[0]), -ECANCELED);
        CHECK_OK(pirn_spawn(&tasks[0], wait_for_future, gate));
        for (int i = 0; i < n; i++) {
            CHECK_OK(pirn_cancel(tasks[i], NULL));
            CHECK_EQ(support_join(tasks[i]), -ECANCELED);
        }
    }
    pirn_release(gate);
    return 0;
}

START_TEST(max_tasks)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.max_tasks = 20;
    FOR_WORKERS(w)
    {
        config.workers = w;
        CHECK_OK(support_run_with(&config, limited, NULL));
    }
}
END_TEST

SUPPORT_MAIN("detach", detached_error_is_named_once, max_tasks)
