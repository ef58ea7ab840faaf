/*
 * Debug mode: a handle that is used after its last reference was given up. Each call says so, by
 * its name and the task's, fails, and hits nobody else; and what is kept for that is bounded.
 */
#include "tests/support.h"

#include <stdio.h>

static void nothing(pirn_awaitable *a, void *user)
{
    (void)a;
    (void)user;
}

/* ---- The calls; each gives -EINVAL ------------------------------------------------------- */

static int awaits(pirn_awaitable *a)
{
    return pirn_await(a, NULL, PIRN_NEVER);
}

static int joins(pirn_awaitable *a)
{
    return pirn_join(a, NULL, PIRN_NEVER);
}

static int cancels(pirn_awaitable *a)
{
    return pirn_cancel(a, NULL);
}

static int retains(pirn_awaitable *a)
{
    return pirn_retain(a) == NULL ? -EINVAL : 0;
}

static int asks_value(pirn_awaitable *a)
{
    return pirn_value(a) == NULL ? -EINVAL : 0;
}

static int asks_reason(pirn_awaitable *a)
{
    return pirn_reason(a) == NULL ? -EINVAL : 0;
}

static int asks_status(pirn_awaitable *a)
{
    return pirn_status(a);
}

static int asks_whether_done(pirn_awaitable *a)
{
    return pirn_done(a) ? -EINVAL : 0;
}

static int adds_callback(pirn_awaitable *a)
{
    return pirn_add_done_callback(a, NULL, nothing, NULL);
}

static int removes_callback(pirn_awaitable *a)
{
    return pirn_remove_done_callback(a, nothing, NULL);
}

static int waits(pirn_awaitable *a)
{
    return pirn_wait(&a, 1, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER);
}

static int waits_for(pirn_awaitable *a)
{
    return pirn_wait_for(a, NULL, PIRN_NEVER);
}

static int gathers(pirn_awaitable *a)
{
    pirn_awaitable *gather;
    return pirn_gather(&gather, &a, 1, 0);
}

static int shields(pirn_awaitable *a)
{
    pirn_awaitable *outer;
    return pirn_shield(&outer, a);
}

static int completes(pirn_awaitable *a)
{
    pirn_completions *completions;
    return pirn_as_completed(&completions, &a, 1);
}

static int selects(pirn_awaitable *a)
{
    pirn_case cases[] = {pirn_case_await(a, NULL)};
    return pirn_select(cases, 1, PIRN_NEVER);
}

static int asks_number(pirn_awaitable *a)
{
    return pirn_id(a) == 0 ? -EINVAL : 0;
}

static int asks_name(pirn_awaitable *a)
{
    char name[32];
    return pirn_name(a, name, sizeof(name));
}

static int gives_name(pirn_awaitable *a)
{
    return pirn_set_name(a, "other");
}

static int asks_cancelling(pirn_awaitable *a)
{
    return pirn_cancelling(a);
}

static int sets(pirn_awaitable *a)
{
    return pirn_future_set(a, 0, NULL);
}

static const struct use {
    const char *call;
    int (*fn)(pirn_awaitable *a);
} uses[] = {
    {"pirn_await", awaits},
    {"pirn_join", joins},
    {"pirn_release", pirn_release},
    {"pirn_retain", retains},
    {"pirn_cancel", cancels},
    {"pirn_status", asks_status},
    {"pirn_done", asks_whether_done},
    {"pirn_value", asks_value},
    {"pirn_reason", asks_reason},
    {"pirn_add_done_callback", adds_callback},
    {"pirn_remove_done_callback", removes_callback},
    {"pirn_wait", waits},
    {"pirn_wait_for", waits_for},
    {"pirn_gather", gathers},
    {"pirn_shield", shields},
    {"pirn_as_completed", completes},
    {"pirn_select", selects},
    {"pirn_detach", pirn_detach},
    {"pirn_start", pirn_start},
    {"pirn_id", asks_number},
    {"pirn_name", asks_name},
    {"pirn_set_name", gives_name},
    {"pirn_cancelling", asks_cancelling},
    {"pirn_future_set", sets},
};

/* ---- Each is told ------------------------------------------------------------------------ */

struct scene {
    support_report *report;
    pirn_awaitable *dead;
    const struct use *use;
};

static int uses_it(void *arg)
{
    struct scene *s = arg;
    CHECK_EQ(s->use->fn(s->dead), -EINVAL);
    return 0;
}

static void check_told(struct scene *s, const char *what)
{
    char words[160];
    for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        size_t before = s->report->used;
        s->use = &uses[i];
        CHECK_OK(support_join(support_spawn_named("culprit", uses_it, s)));
        const char *text = s->report->text + before;
        snprintf(words, sizeof(words),
                 " misused %s: EINVAL: used after it was joined or released: %s", uses[i].call,
                 what);
        if (strncmp(text, "task culprit (", 14) != 0 || strstr(text, words) == NULL ||
            strchr(text, '\n') != text + strlen(text) - 1)
            support_fail(__FILE__, __LINE__, uses[i].call, "no '%s' in '%s'", words, text);
        s->report->used = before; /* there is room for all of them one by one */
        s->report->text[before] = '\0';
    }
}

/* Its end may still be under way on another worker, which gives up the runtime's own reference. */
static void until_dead(struct scene *s)
{
    while (support_reported(s->report, "pirn_kind_of") == 0) {
        CHECK_EQ(pirn_kind_of(s->dead), PIRN_KIND_TASK);
        CHECK_OK(pirn_yield());
    }
}

static int ends(void *arg)
{
    (void)arg;
    return 7;
}

static int late_with_a_task(void *arg)
{
    struct scene *s = arg;
    s->dead = support_spawn_named("bygone", ends, NULL);
    CHECK_EQ(support_join(s->dead), 7);
    until_dead(s);
    check_told(s, "task bygone (task 2, spawned at ");
    return 0;
}

static int late_with_a_future(void *arg)
{
    struct scene *s = arg;
    CHECK_OK(pirn_future_new(&s->dead)); /* which was never set */
    CHECK_OK(pirn_release(s->dead));
    CHECK_EQ(pirn_kind_of(s->dead), PIRN_KIND_FUTURE);
    check_told(s, "a future");
    return 0;
}

static void run(int workers, pirn_fn fn)
{
    support_report report = SUPPORT_REPORT_INIT;
    struct scene s = {.report = &report};
    pirn_config config = support_reporting(workers, &report);
    config.flags = PIRN_DEBUG;
    config.slow_step.ns = 3600 * 1000 * MS;
    CHECK_OK(support_run_with(&config, fn, &s));
}

/* TSan would see in another worker's end what there is to be seen in a program that does this: a
 * race. */
static int workers_max(void)
{
    return support_tsan() ? 1 : 4;
}

START_TEST(late_uses_of_a_task_are_told)
{
    for (int w = 1; w <= workers_max(); w *= 2)
        run(w, late_with_a_task);
}
END_TEST

START_TEST(late_uses_of_a_future_are_told)
{
    FOR_WORKERS(w)
    run(w, late_with_a_future);
}
END_TEST

/* ---- Nobody else has it next ------------------------------------------------------------- */

static int sleeps(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

/* Whoever comes next would have been cancelled. */
static int others_are_not_hit(void *arg)
{
    enum {
        OTHERS = 500
    };
    struct scene *s = arg;
    pirn_task *others[OTHERS];
    s->dead = support_spawn_named("bygone", ends, NULL);
    CHECK_EQ(support_join(s->dead), 7);
    until_dead(s);
    for (int i = 0; i < OTHERS; i++) {
        others[i] = support_spawn(sleeps, NULL);
        CHECK(others[i] != s->dead);
        CHECK_EQ(pirn_cancel(s->dead, NULL), -EINVAL);
    }
    for (int i = 0; i < OTHERS; i++) {
        CHECK_EQ(pirn_cancelling(others[i]), 0);
        CHECK_OK(pirn_cancel(others[i], NULL));
        CHECK_EQ(support_join(others[i]), -ECANCELED);
    }
    return 0;
}

START_TEST(late_uses_hit_nobody_else)
{
    for (int w = 1; w <= workers_max(); w *= 2)
        run(w, others_are_not_hit);
}
END_TEST

/* ---- What is kept is bounded ------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

static size_t count_distinct(uintptr_t *at, size_t n)
{
    size_t distinct = 0;
    qsort(at, n, sizeof(at[0]), by_address);
    for (size_t i = 0; i < n; i++)
        distinct += i == 0 || at[i] != at[i - 1];
    return distinct;
}

static int many_come_and_go(void *arg)
{
    enum {
        ROUNDS = 5000
    };
    static uintptr_t tasks[ROUNDS];
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        pirn_task *task = support_spawn_named("named", ends, NULL); /* it has an extra part */
        pirn_future *future;
        CHECK_OK(pirn_future_new(&future));
        tasks[i] = (uintptr_t)task;
        CHECK_EQ(support_join(task), 7);
        CHECK_OK(pirn_release(future));
    }
    size_t distinct = count_distinct(tasks, ROUNDS);
    CHECK(distinct > 1000 && distinct < 4000); /* and slabs, and what workers hold */
    return 0;
}

START_TEST(late_uses_are_told_at_a_bounded_cost)
{
    FOR_WORKERS(w)
    run(w, many_come_and_go);
}
END_TEST

SUPPORT_MAIN("late_use", late_uses_of_a_task_are_told, late_uses_of_a_future_are_told,
             late_uses_hit_nobody_else, late_uses_are_told_at_a_bounded_cost)
