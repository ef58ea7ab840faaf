/* Debug mode: tasks whose handles nobody has released by the end of their runtime. */
#include "tests/support.h"

#include <stdio.h>

enum {
    MANY = 25
};

struct scene {
    pirn_task *kept[MANY];
    int n;
};

static int ends(void *arg)
{
    return *(int *)arg;
}

static int returns_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int sleeps(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

static void until_ended(pirn_task *task)
{
    while (!pirn_done(task)) /* and nobody looks at what it said */
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
}

static pirn_spawn_config pinned_config(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.name = "pinned";
    config.flags = PIRN_PINNED;
    return config;
}

static int keeps_a_few(void *arg)
{
    static int fails = -EIO, gives = 7;
    struct scene *s = arg;
    int status = -1;
    pirn_spawn_config config = pinned_config();
    pirn_task *task;
    s->kept[s->n++] = task = support_spawn_named("unseen", ends, &fails);
    until_ended(task);
    s->kept[s->n++] = task = support_spawn_named("seen", ends, &fails);
    CHECK_OK(pirn_await(task, &status, PIRN_NEVER));
    CHECK_EQ(status, -EIO);
    s->kept[s->n++] = support_spawn_named("lost", sleeps, NULL); /* which the end cancels */
    CHECK_EQ(support_join(support_spawn_named("joined", ends, &gives)), 7);
    CHECK_OK(pirn_spawn_with(&task, &config, ends, &gives));
    CHECK_EQ(support_join(task), 7);
    return 0;
}

static int keeps_many(void *arg)
{
    static int gives = 7;
    struct scene *s = arg;
    while (s->n < MANY)
        s->kept[s->n++] = support_spawn_named("many", ends, &gives);
    return 0;
}

static void run(int workers, unsigned flags, pirn_fn fn, support_report *report)
{
    struct scene s = {.n = 0};
    pirn_config config = support_reporting(workers, report);
    config.flags = flags;
    config.slow_step.ns = 3600 * 1000 * MS;
    CHECK_OK(support_run_with(&config, fn, &s));
    while (s.n > 0) { /* late, and not too late */
        CHECK(pirn_status(s.kept[--s.n]) != -EINPROGRESS);
        CHECK_OK(pirn_release(s.kept[s.n]));
    }
}

START_TEST(a171_unreleased_tasks_are_named)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        run(w, PIRN_DEBUG, keeps_a_few, &report);
        CHECK_EQ(support_reported(&report, "released"), 3);
        CHECK_EQ(support_reported(&report, "unseen"), 1);
        CHECK_EQ(support_reported(&report, "nobody"), 1);
        CHECK(strstr(report.text, ") ended with -5 (Input/output error), nobody looked, and it was "
                                  "never released\n") != NULL);
        CHECK_EQ(support_reported(&report, "seen"), 1);
        CHECK_EQ(support_reported(&report, "lost"), 2); /* "was left pending" */
        CHECK_EQ(support_reported(&report, "joined"), 0);
        CHECK_EQ(support_reported(&report, "pinned"), 0);
    }
}
END_TEST

START_TEST(a171_of_many_twenty_are_named)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        run(w, PIRN_DEBUG, keeps_many, &report);
        CHECK_EQ(support_reported(&report, "released"), 21);
        CHECK(strstr(report.text, "and 5 more tasks were never released\n") != NULL);
    }
}
END_TEST

START_TEST(a171_without_debug_mode_none_is)
{
    support_report report = SUPPORT_REPORT_INIT;
    run(2, 0, keeps_many, &report);
    CHECK_EQ(report.used, 0);
}
END_TEST

/* A drop tells main that its task is through, as a connection's tells a server's stop. It goes on
 * until `left` has heard that main has ended: what was left pending has been named by then. */
struct tail {
    pirn_event begun, told;
    _Atomic int main_ended;
};

static void tells_and_stays(void *arg)
{
    struct tail *t = arg;
    CHECK_OK(pirn_event_set(&t->told));
    support_blocking_begin();
    while (t->main_ended == 0)
        nanosleep(&(struct timespec){0, MS}, NULL);
    support_blocking_end();
}

static int is_left(void *arg)
{
    struct tail *t = arg;
    CHECK_OK(pirn_event_set(&t->begun));
    int rc = pirn_sleep(PIRN_NEVER);
    t->main_ended = 1;
    return rc;
}

static int hears_of_an_end(void *arg)
{
    struct tail *t = arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    CHECK_OK(pirn_detach(support_spawn_named("left", is_left, t)));
    CHECK_OK(pirn_event_wait(&t->begun, PIRN_NEVER));
    config.name = "through";
    config.arg_drop = tells_and_stays;
    CHECK_OK(pirn_spawn_with(NULL, &config, returns_nothing, t));
    CHECK_OK(pirn_event_wait(&t->told, PIRN_NEVER));
    return 0;
}

START_TEST(a171_who_has_come_to_its_drop_is_not_left_pending)
{
    FOR_WORKERS(w)
    {
        struct tail t = {PIRN_EVENT_INIT, PIRN_EVENT_INIT, 0};
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = support_reporting(w, &report);
        config.flags = PIRN_DEBUG;
        config.slow_step.ns = 3600 * 1000 * MS;
        CHECK_OK(support_run_with(&config, hears_of_an_end, &t));
        CHECK_EQ(support_reported(&report, "left pending"), 1); /* that is "left" */
        CHECK_EQ(support_reported(&report, "through"), 0);
    }
}
END_TEST

SUPPORT_MAIN("unreleased", a171_unreleased_tasks_are_named, a171_of_many_twenty_are_named,
             a171_without_debug_mode_none_is, a171_who_has_come_to_its_drop_is_not_left_pending)
