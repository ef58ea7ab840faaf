/* What main leaves behind is cancelled once, may clean up, and is gone when run returns. */
#include "tests/support.h"

struct leftovers {
    atomic_int started, cancelled, cleaned, dropped;
    int result;
};

static int sleeper(void *arg)
{
    struct leftovers *l = arg;
    atomic_fetch_add(&l->started, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    atomic_fetch_add(&l->cancelled, 1);
    for (int i = 0; i < 3; i++) /* one cancel, one -ECANCELED: the clean-up may suspend */
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_OK(pirn_yield());
    atomic_fetch_add(&l->cleaned, 1);
    return l->result;
}

static void drop(void *arg)
{
    struct leftovers *l = arg;
    atomic_fetch_add(&l->dropped, 1);
}

static void leave(struct leftovers *l, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
        config.name = name;
        config.arg_drop = drop;
        pirn_task *task;
        CHECK_OK(pirn_spawn_with(&task, &config, sleeper, l));
        CHECK_OK(pirn_detach(task));
    }
}

static int leave_sleepers(void *arg)
{
    struct leftovers *l = arg;
    leave(l, 10, "left");
    support_until(&l->started, 10);
    return 33;
}

START_TEST(leftovers_clean_up)
{
    FOR_WORKERS(w)
    {
        int results[] = {0, 7, -ECANCELED};
        for (int i = 0; i < 3; i++) {
            struct leftovers l = {.result = results[i]};
            support_report report = SUPPORT_REPORT_INIT;
            CHECK_EQ(support_run_reported(w, &report, leave_sleepers, &l), 33);
            CHECK_EQ(atomic_load(&l.cancelled), 10);
            CHECK_EQ(atomic_load(&l.cleaned), 10);
            CHECK_EQ(atomic_load(&l.dropped), 10);
            CHECK_EQ(support_reported(&report, "left"), 0); /* nothing went wrong */
        }
    }
}
END_TEST

START_TEST(leftover_error_is_reported_once)
{
    struct leftovers l = {.result = -EIO};
    support_report report = SUPPORT_REPORT_INIT;
    CHECK_EQ(support_run_reported(2, &report, leave_sleepers, &l),
             33); /* main's value is not touched */
    CHECK_EQ(support_reported(&report, "left"), 10);
}
END_TEST

/* Tasks that had not begun when main ended never run, but their arguments are dropped. */
static int leave_unstarted(void *arg)
{
    struct leftovers *l = arg;
    leave(l, 1000, "unstarted");
    return 0;
}

START_TEST(unstarted_never_run)
{
    for (int i = 0; i < support_rounds(50); i++) {
        struct leftovers l = {0};
        CHECK_OK(support_run(1 + i % 3, leave_unstarted, &l));
        CHECK_EQ(atomic_load(&l.dropped), 1000);
        CHECK_EQ(atomic_load(&l.cleaned), atomic_load(&l.started));
    }
}
END_TEST

/* During the shutdown outsiders cannot spawn; a task that cleans up can, and await what it made. */
static void *outsider(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.runtime = arg;
    pirn_task *task;
    CHECK_EQ(pirn_spawn_with(&task, &config, sleeper, NULL), -ESHUTDOWN);
    return NULL;
}

static int helper(void *arg)
{
    struct leftovers *l = arg;
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    atomic_fetch_add(&l->cancelled, 1);
    return 7;
}

static int late_spawner(void *arg)
{
    struct leftovers *l = arg;
    atomic_fetch_add(&l->started, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    support_thread_join(support_thread(outsider, pirn_runtime_current()));
    CHECK_EQ(support_join(support_spawn(helper, l)), 7);
    atomic_fetch_add(&l->cleaned, 1);
    return 0;
}

static int leave_late_spawner(void *arg)
{
    struct leftovers *l = arg;
    CHECK_OK(pirn_detach(support_spawn(late_spawner, l)));
    support_until(&l->started, 1);
    return 0;
}

START_TEST(spawn_during_shutdown)
{
    FOR_WORKERS(w)
    {
        struct leftovers l = {0};
        CHECK_OK(support_run(w, leave_late_spawner, &l));
        CHECK_EQ(atomic_load(&l.cleaned), 1);
        CHECK_EQ(atomic_load(&l.cancelled), 1);
    }
}
END_TEST

/* Who has not heard of the end yet, and spawns: those are cancelled too, and the grace is not
 * waited out. */
static int sleeps_for_ever(void *arg)
{
    struct leftovers *l = arg;
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    atomic_fetch_add(&l->cancelled, 1);
    return -ECANCELED;
}

static int spawns_on(void *arg)
{
    struct leftovers *l = arg;
    int rc = 0;
    while (rc == 0) {
        for (int i = 0; i < 5; i++)
            CHECK_OK(pirn_detach(support_spawn(sleeps_for_ever, l)));
        atomic_fetch_add(&l->started, 1);
        rc = pirn_yield();
    }
    CHECK_EQ(rc, -ECANCELED);
    return rc;
}

static int leave_spawners(void *arg)
{
    struct leftovers *l = arg;
    for (int i = 0; i < 3; i++)
        CHECK_OK(pirn_detach(support_spawn(spawns_on, l)));
    support_until(&l->started, (int)support_between(1, 30));
    return 23;
}

START_TEST(spawned_as_it_ends)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(100); i++) {
        struct leftovers l = {0};
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.grace = PIRN_FOREVER;
        CHECK_EQ(support_run_with(&config, leave_spawners, &l), 23);
    }
}
END_TEST

/* Inside a shield the end is not heard of: what is spawned there is part of it, and not
 * cancelled. */
static int spawns_shielded(void *arg)
{
    struct leftovers *l = arg;
    CHECK_OK(pirn_shield_enter());
    atomic_fetch_add(&l->started, 1);
    pirn_timer timer; /* is refused once main has ended */
    CHECK_OK(pirn_timer_init(&timer, NULL, helper, l));
    while (pirn_timer_arm(&timer, PIRN_NEVER) != -ESHUTDOWN)
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(support_join(support_spawn(helper, l)), 7);
    CHECK_OK(pirn_shield_leave());
    CHECK_EQ(pirn_yield(), -ECANCELED);
    atomic_fetch_add(&l->cleaned, 1);
    return 0;
}

static int leave_shielded(void *arg)
{
    struct leftovers *l = arg;
    CHECK_OK(pirn_detach(support_spawn(spawns_shielded, l)));
    support_until(&l->started, 1);
    return 0;
}

START_TEST(spawned_in_a_shield_as_it_ends)
{
    FOR_WORKERS(w)
    {
        struct leftovers l = {0};
        CHECK_OK(support_run(w, leave_shielded, &l));
        CHECK_EQ(atomic_load(&l.cleaned), 1);
        CHECK_EQ(atomic_load(&l.cancelled), 3);
    }
}
END_TEST

/* After the grace every suspending call fails, so a task that heeds errors twice still ends. */
static int heeds_the_second(void *arg)
{
    struct leftovers *l = arg;
    atomic_fetch_add(&l->started, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    atomic_fetch_add(&l->cancelled, 1);
    int rc;
    while ((rc = pirn_sleep(pirn_after_ms(5))) == 0) { /* ignores the first */
    }
    CHECK(rc < 0);
    atomic_fetch_add(&l->cleaned, 1);
    return 0;
}

static int leave_heeding(void *arg)
{
    struct leftovers *l = arg;
    CHECK_OK(pirn_detach(support_spawn(heeds_the_second, l)));
    support_until(&l->started, 1);
    return 21;
}

START_TEST(after_the_grace)
{
    FOR_WORKERS(w)
    {
        struct leftovers l = {0};
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = support_reporting(w, &report);
        config.grace.ns = 100 * MS;
        int64_t begin = support_now();
        CHECK_EQ(support_run_with(&config, leave_heeding, &l), 21);
        CHECK_GE(support_now() - begin, 100 * MS);
        CHECK_EQ(atomic_load(&l.cleaned), 1);
    }
}
END_TEST

/* A grace without an end is waited out, however large the number that says so. */
static int cleans_up_slowly(void *arg)
{
    struct leftovers *l = arg;
    atomic_fetch_add(&l->started, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_sleep(pirn_after_ms(20)));
    atomic_fetch_add(&l->cleaned, 1);
    return 0;
}

static int leave_slow(void *arg)
{
    struct leftovers *l = arg;
    CHECK_OK(pirn_detach(support_spawn(cleans_up_slowly, l)));
    support_until(&l->started, 1);
    return 22;
}

START_TEST(endless_grace)
{
    pirn_span graces[] = {PIRN_FOREVER, {INT64_MAX - 1}, pirn_span_s(1e300)};
    FOR_WORKERS(w)
    for (int i = 0; i < 3; i++) {
        struct leftovers l = {0};
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.grace = graces[i];
        CHECK_EQ(support_run_with(&config, leave_slow, &l), 22);
        CHECK_EQ(atomic_load(&l.cleaned), 1);
    }
}
END_TEST

/* A leftover in every kind of wait is reached. */
static int in_recv(void *arg)
{
    struct leftovers *l = arg;
    int pair[2];
    char c;
    support_pair(pair);
    atomic_fetch_add(&l->started, 1);
    CHECK_EQ(pirn_recv(pair[0], &c, 1, 0, PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_close(pair[0]));
    CHECK_OK(pirn_close(pair[1]));
    atomic_fetch_add(&l->cleaned, 1);
    return 0;
}

static int in_future(void *arg)
{
    struct leftovers *l = arg;
    pirn_future *future;
    CHECK_OK(pirn_future_new(&future));
    atomic_fetch_add(&l->started, 1);
    CHECK_EQ(pirn_future_await(future, NULL, NULL, PIRN_NEVER), -ECANCELED);
    pirn_release(future);
    atomic_fetch_add(&l->cleaned, 1);
    return 0;
}

static int in_scope(void *arg)
{
    struct leftovers *l = arg;
    pirn_scope *scope;
    CHECK_OK(pirn_scope_open(&scope, 0));
    CHECK_OK(pirn_scope_spawn(scope, in_recv, l, PIRN_NEVER));
    CHECK_OK(pirn_scope_spawn(scope, in_future, l, PIRN_NEVER));
    atomic_fetch_add(&l->started, 1);
    int rc = pirn_scope_close(scope, PIRN_NEVER);
    CHECK(rc == -ECANCELED || rc == 0); /* the children are cancelled too, and may be first */
    atomic_fetch_add(&l->cleaned, 1);
    return 0;
}

static int in_poll(void *arg)
{
    struct leftovers *l = arg;
    int ends[2];
    support_pipe(ends);
    atomic_fetch_add(&l->started, 1);
    CHECK_EQ(pirn_poll(ends[0], 1 /* POLLIN */, pirn_after_s(1000)), -ECANCELED);
    CHECK_OK(pirn_close(ends[0]));
    CHECK_OK(pirn_close(ends[1]));
    atomic_fetch_add(&l->cleaned, 1);
    return 0;
}

static int leave_each_kind(void *arg)
{
    struct leftovers *l = arg;
    pirn_fn kinds[] = {in_recv, in_future, in_scope, in_poll};
    for (int i = 0; i < 4; i++)
        CHECK_OK(pirn_detach(support_spawn(kinds[i], l)));
    support_until(&l->started, 6);
    return 0;
}

START_TEST(every_kind_of_wait)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    {
        for (int i = 0; i < support_rounds(20); i++) {
            struct leftovers l = {0};
            CHECK_OK(support_run(w, leave_each_kind, &l));
            CHECK_EQ(atomic_load(&l.cleaned), 6);
        }
    }
    support_no_more_than(before);
}
END_TEST

SUPPORT_MAIN("shutdown", leftovers_clean_up, leftover_error_is_reported_once, unstarted_never_run,
             spawn_during_shutdown, spawned_as_it_ends, spawned_in_a_shield_as_it_ends,
             after_the_grace, endless_grace, every_kind_of_wait)
