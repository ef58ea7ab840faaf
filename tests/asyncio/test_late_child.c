/* Debug mode: children that go on for more than a second after their scope was cancelled. */
#include "tests/support.h"

#include <stdio.h>

enum {
    SCENES = 6,
    LATE_MS = 1000,
    LONGER_MS = LATE_MS + 200
};

/* A child that was asked to end waits for the gate. */
struct scene {
    const char *opener, *child, *how;
    int result; /* the close's */
    void (*cancel)(struct scene *s);
    pirn_fn waits;
    pirn_future *gate;
    pirn_scope *scope;
    pirn_task *task;
    atomic_int begun;
};

static int swallows(void *arg)
{
    struct scene *s = arg;
    atomic_store(&s->begun, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    return pirn_future_await(s->gate, NULL, NULL, PIRN_NEVER);
}

static int is_shielded(void *arg)
{
    struct scene *s = arg;
    CHECK_OK(pirn_shield_enter());
    atomic_store(&s->begun, 1);
    int rc = pirn_future_await(s->gate, NULL, NULL, PIRN_NEVER);
    CHECK_OK(pirn_shield_leave());
    return rc;
}

static int fails(void *arg)
{
    struct scene *s = arg;
    while (!support_is_waiting(s->task)) /* in its close */
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
    return -EIO;
}

static void by_a_sibling(struct scene *s)
{
    CHECK_OK(pirn_scope_spawn(s->scope, fails, s, PIRN_NEVER));
}

static void by_the_body(struct scene *s)
{
    CHECK_OK(pirn_scope_cancel(s->scope, "enough"));
}

static int cancels_the_opener(void *arg)
{
    struct scene *s = arg;
    support_until_waiting(s->task);
    return pirn_cancel(s->task, NULL);
}

static void by_somebody(struct scene *s)
{
    CHECK_OK(pirn_detach(support_spawn(cancels_the_opener, s)));
}

static void by_nobody(struct scene *s)
{
    (void)s;
}

static int opens(void *arg)
{
    struct scene *s = arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.name = s->child;
    s->task = pirn_current();
    CHECK_OK(pirn_scope_open(&s->scope, 0));
    CHECK_OK(pirn_scope_spawn_with(s->scope, &config, s->waits, s, PIRN_NEVER));
    support_until(&s->begun, 1);
    s->cancel(s);
    bool soon = s->result == -ETIMEDOUT;
    CHECK_EQ(pirn_scope_close(s->scope, soon ? pirn_after_ms(1) : PIRN_NEVER), s->result);
    return 0;
}

static int each(size_t i, void *arg)
{
    struct scene *s = arg;
    if (i == 0)
        return swallows(s);
    support_until(&s->begun, 1);
    return -EIO;
}

/* Each of the two calls is a child's, where there are two workers. */
static int loops(void *arg)
{
    struct scene *s = arg;
    CHECK_EQ(pirn_parallel_for(0, 2, each, s), s->result);
    return 0;
}

struct family {
    support_report *report;
    struct scene scenes[SCENES];
    int n;
    bool told;
};

static bool all_are_told(struct family *f)
{
    for (int i = 0; i < f->n; i++)
        if (support_reported(f->report, f->scenes[i].opener) == 0)
            return false;
    return true;
}

static int watches(void *arg)
{
    struct family *f = arg;
    pirn_task *tasks[SCENES];
    pirn_future *gate;
    CHECK_OK(pirn_future_new(&gate));
    for (int i = 0; i < f->n; i++) {
        f->scenes[i].gate = gate;
        tasks[i] = support_spawn_named(
            f->scenes[i].opener,
            f->scenes[i].scope == NULL && f->scenes[i].cancel == NULL ? loops : opens,
            &f->scenes[i]);
    }
    while (f->told && !all_are_told(f))
        CHECK_OK(pirn_sleep(pirn_after_ms(5)));
    CHECK_OK(pirn_sleep(pirn_after_ms(LONGER_MS))); /* for a second line, or a wrong one */
    CHECK_OK(pirn_future_set(gate, 0, NULL));
    for (int i = 0; i < f->n; i++)
        CHECK_OK(support_join(tasks[i]));
    return pirn_release(gate);
}

static const struct scene scenes[SCENES] = {{.opener = "o-fails",
                                             .child = "c-one",
                                             .how = "has heard of it, and goes on: future",
                                             .result = -EIO,
                                             .cancel = by_a_sibling,
                                             .waits = swallows},
                                            {.opener = "o-body",
                                             .child = "c-two",
                                             .how = "has heard of it, and goes on: future",
                                             .result = 0,
                                             .cancel = by_the_body,
                                             .waits = swallows},
                                            {.opener = "o-shield",
                                             .child = "c-three",
                                             .how = "is inside a shield: future",
                                             .result = -EIO,
                                             .cancel = by_a_sibling,
                                             .waits = is_shielded},
                                            {.opener = "o-asked",
                                             .child = "c-four",
                                             .how = "has heard of it, and goes on: future",
                                             .result = -ECANCELED,
                                             .cancel = by_somebody,
                                             .waits = swallows},
                                            {.opener = "o-timeout",
                                             .child = "c-five",
                                             .how = "has heard of it, and goes on: future",
                                             .result = -ETIMEDOUT,
                                             .cancel = by_nobody,
                                             .waits = swallows},
                                            {.opener = "o-loop",
                                             .child = "task-",
                                             .how = "has heard of it, and goes on: future",
                                             .result = -EIO}};

static void run(int workers, unsigned flags, struct family *f)
{
    pirn_config config = support_reporting(workers, f->report);
    config.flags = flags;
    config.slow_step.ns = 3600 * 1000 * MS;
    CHECK_OK(support_run_with(&config, watches, f));
}

/* The line names the opener, the child, and what that does. */
static void check_line(const char *text, const struct scene *s)
{
    char opener[64], child[64], line[600];
    snprintf(opener, sizeof(opener), "task %s (task ", s->opener);
    snprintf(child, sizeof(child), " but its child %s", s->child);
    const char *begin = strstr(text, opener);
    CHECK(begin != NULL);
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(begin, "\n"), begin);
    CHECK(strstr(line, ") waits at ") != NULL);
    CHECK(strstr(line, " its scope was cancelled more than a second ago,") != NULL);
    CHECK(strstr(line, child) != NULL);
    CHECK(strstr(line, " has not ended: it ") != NULL);
    CHECK(strstr(line, s->how) != NULL);
}

START_TEST(a171_children_that_do_not_end_are_named)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        struct family f = {.report = &report, .n = w == 1 ? SCENES - 1 : SCENES, .told = true};
        memcpy(f.scenes, scenes, sizeof(scenes));
        run(w, PIRN_DEBUG, &f);
        CHECK_EQ(support_reported(&report, "scope"), f.n); /* once each */
        for (int i = 0; i < f.n; i++)
            check_line(report.text, &f.scenes[i]);
    }
}
END_TEST

START_TEST(a171_not_without_debug_mode)
{
    support_report report = SUPPORT_REPORT_INIT;
    struct family f = {.report = &report, .n = SCENES};
    memcpy(f.scenes, scenes, sizeof(scenes));
    run(2, 0, &f);
    CHECK_EQ(report.used, 0);
}
END_TEST

/* ---- Those that end ---------------------------------------------------------------------- */

static int waits_long(void *arg)
{
    struct scene *s = arg;
    atomic_store(&s->begun, 1);
    return pirn_future_await(s->gate, NULL, NULL, PIRN_NEVER);
}

/* However long it takes, if nobody has asked it to end. */
START_TEST(a171_not_of_who_was_not_asked)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        struct family f = {.report = &report, .n = 1};
        f.scenes[0] = (struct scene){
            .opener = "patient", .child = "slow", .cancel = by_nobody, .waits = waits_long};
        run(w, PIRN_DEBUG, &f);
        CHECK_EQ(report.used, 0);
    }
}
END_TEST

static int ends_when_asked(void *arg)
{
    struct scene *s = arg;
    atomic_store(&s->begun, 1);
    return pirn_sleep(PIRN_NEVER);
}

struct quick {
    struct scene scene;
    int64_t took;
};

static int closes_twice(void *arg)
{
    struct quick *q = arg;
    struct scene fails_soon = scenes[0], cancelled = scenes[1];
    fails_soon.waits = cancelled.waits = ends_when_asked;
    int64_t began = support_now();
    CHECK_OK(opens(&fails_soon));
    CHECK_OK(opens(&cancelled));
    q->took = support_now() - began;
    return 0;
}

START_TEST(a171_not_of_who_ends_in_time)
{
    FOR_WORKERS(w)
    {
        struct quick q;
        do { /* again if the machine was so late that a line was right */
            support_report report = SUPPORT_REPORT_INIT;
            pirn_config config = support_reporting(w, &report);
            config.flags = PIRN_DEBUG;
            config.slow_step.ns = 3600 * 1000 * MS;
            CHECK_OK(support_run_with(&config, closes_twice, &q));
            CHECK(q.took >= LATE_MS * MS || report.used == 0);
        } while (q.took >= LATE_MS * MS);
    }
}
END_TEST

SUPPORT_MAIN("late_child", a171_children_that_do_not_end_are_named, a171_not_without_debug_mode,
             a171_not_of_who_was_not_asked, a171_not_of_who_ends_in_time)
