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

static int set_future(void *future)
{
    CHECK_OK(pirn_future_set(future, 7, NULL));
    return pirn_release(future);
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
        pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
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
        CHECK_OK(support_run_reported(w, &report, detached, NULL));
        CHECK_EQ(support_reported(&report, "broken"), 1);
        CHECK_EQ(support_reported(&report, "worse"), 1);
        CHECK_EQ(support_reported(&report, "fine"), 0);
        CHECK_EQ(support_reported(&report, "also-fine"), 0);
        CHECK_EQ(support_reported(&report, "looked-at"), 0);
    }
}
END_TEST

/* Without a handle from the start. */
static int without_a_handle(void *arg)
{
    static const char *const names[] = {"unpinned", "pinned", "on a strand"};
    pirn_strand *strand;
    (void)arg;
    atomic_store(&drops, 0);
    CHECK_OK(pirn_strand_new(&strand));
    for (int i = 0; i < 3; i++) {
        pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
        config.name = names[i];
        config.arg_drop = count_drop;
        config.flags = i == 1 ? PIRN_PINNED : 0;
        config.strand = i == 2 ? strand : NULL;
        CHECK_OK(pirn_spawn_with(NULL, &config, give, (void *)-EPIPE));
        CHECK_OK(pirn_spawn_with(NULL, &config, give, (void *)0));
    }
    pirn_strand_release(strand);
    support_until(&drops, 6);
    pirn_future *future;
    int status;
    CHECK_OK(pirn_future_new(&future));
    CHECK_OK(pirn_spawn(NULL, set_future, pirn_retain(future)));
    CHECK_OK(pirn_future_await(future, &status, NULL, PIRN_NEVER));
    CHECK_EQ(status, 7);
    CHECK_OK(pirn_release(future));
    CHECK_EQ(pirn_spawn(NULL, NULL, NULL), -EINVAL);
    return 0;
}

START_TEST(spawned_without_a_handle)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &report, without_a_handle, NULL));
        CHECK_EQ(support_reported(&report, "task unpinned ended with"), 1);
        CHECK_EQ(support_reported(&report, "task pinned ended with"), 1);
        CHECK_EQ(support_reported(&report, "task on a strand ended with"), 1);
        CHECK_EQ(support_reported(&report, "nobody looked"), 3);
    }
}
END_TEST

static int fails(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    return -EPIPE;
}

static int leaves_it(void *arg)
{
    static atomic_int begun; /* or it never would */
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    (void)arg;
    atomic_store(&begun, 0);
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_spawn_with(NULL, &config, fails, &begun));
    support_until(&begun, 1);
    return 0;
}

/* The report is for as long as the run: a pinned task's thread does not hand one in later. */
START_TEST(what_a_pinned_one_ended_with_is_told_before_the_run_is_over)
{
    for (int i = 0; i < support_rounds(300); i++) {
        support_report report = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(1, &report, leaves_it, NULL));
        CHECK_EQ(support_reported(&report, "nobody looked"), 1);
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

/* ---- Oneself ------------------------------------------------------------------------------ */

struct own {
    _Atomic(pirn_task *) handle; /* given to the task by its parent */
    atomic_int stage;
};

static int detaches_itself(void *arg)
{
    struct own *o = arg;
    support_until(&o->stage, 1);
    if (atomic_load(&o->handle) != NULL)
        CHECK_OK(pirn_detach(atomic_load(&o->handle)));
    CHECK_EQ(pirn_detach(pirn_current()), -EPERM); /* nothing is left to be given up */
    CHECK_OK(pirn_yield());
    CHECK_EQ(pirn_detach(pirn_current()), -EPERM);
    CHECK(pirn_retain(pirn_current()) == pirn_current());
    CHECK_OK(pirn_detach(pirn_current())); /* of one's own */
    CHECK_OK(pirn_yield());
    atomic_store(&o->stage, 2);
    return 0;
}

static int lets_go(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_scope *scope;
    pirn_task *task;
    (void)arg;
    for (unsigned flags = 0; flags <= PIRN_PINNED; flags += PIRN_PINNED) {
        struct own o = {NULL, 0}, unowned = {NULL, 1}, child = {NULL, 1};
        config.flags = flags;
        CHECK_OK(pirn_spawn_with(&task, &config, detaches_itself, &o));
        atomic_store(&o.handle, task);
        atomic_store(&o.stage, 1);
        support_until(&o.stage, 2);
        atomic_store(&unowned.stage, 0);
        CHECK_OK(pirn_spawn_with(&task, &config, detaches_itself, &unowned));
        CHECK_OK(pirn_detach(task));
        atomic_store(&unowned.stage, 1);
        support_until(&unowned.stage, 2);
        CHECK_OK(pirn_scope_open(&scope, 0));
        CHECK_OK(pirn_scope_spawn_with(scope, &config, detaches_itself, &child, PIRN_NEVER));
        CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
        CHECK_EQ(atomic_load(&child.stage), 2);
    }
    return 0;
}

START_TEST(a_task_lets_go_of_itself)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, lets_go, NULL));
}
END_TEST

SUPPORT_MAIN("detach", detached_error_is_named_once, spawned_without_a_handle,
             what_a_pinned_one_ended_with_is_told_before_the_run_is_over, max_tasks,
             a_task_lets_go_of_itself)
