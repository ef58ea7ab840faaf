/*
 * What the tutorials claim of handles, values and stacks: whatever can be awaited is one family, a
 * value comes apart from how the wait went, and a coroutine is ordinary C, however deep.
 */
#include <math.h>
#include <stdio.h>

#include "tests/support.h"

/* ---- S40, S45, S51: one family -------------------------------------------------------------- */

static int answer(void *arg)
{
    (void)arg;
    return 42;
}

static int slow_answer(void *arg)
{
    (void)arg;
    int rc = pirn_sleep(pirn_after_ms(1));
    return rc < 0 ? rc : 42;
}

static int for_ever(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

static int sets(void *arg)
{
    int rc = pirn_sleep(pirn_after_ms(1));
    CHECK_OK(pirn_future_set(arg, 42, NULL));
    CHECK_OK(pirn_release(arg));
    return rc;
}

static pirn_future *new_future(void)
{
    pirn_future *future = NULL;
    CHECK_OK(pirn_future_new(&future));
    return future;
}

static pirn_awaitable *a_task(void)
{
    return support_spawn(slow_answer, NULL);
}

static pirn_awaitable *an_endless_task(void)
{
    return support_spawn(for_ever, NULL);
}

static pirn_awaitable *a_coroutine(void)
{
    pirn_task *task = NULL;
    CHECK_OK(pirn_coroutine_new(&task, NULL, slow_answer, NULL));
    return task;
}

static pirn_awaitable *an_endless_coroutine(void)
{
    pirn_task *task = NULL;
    CHECK_OK(pirn_coroutine_new(&task, NULL, for_ever, NULL));
    return task;
}

static pirn_awaitable *a_call(void)
{
    pirn_task *handle = NULL;
    CHECK_OK(pirn_call_at(NULL, &handle, answer, NULL, pirn_after_ms(1)));
    return handle;
}

static pirn_awaitable *a_far_call(void)
{
    pirn_task *handle = NULL;
    CHECK_OK(pirn_call_at(NULL, &handle, answer, NULL, pirn_after_s(3600)));
    return handle;
}

static pirn_awaitable *a_future(void)
{
    pirn_future *future = new_future();
    CHECK_OK(pirn_detach(support_spawn(sets, pirn_retain(future))));
    return future;
}

static pirn_awaitable *a_job(void)
{
    pirn_job *job = NULL;
    CHECK_OK(pirn_thread_pool_submit(NULL, &job, answer, NULL));
    return job;
}

static pirn_awaitable *a_gather(void)
{
    pirn_awaitable *items[] = {a_task(), a_future()}, *all = NULL;
    CHECK_OK(pirn_gather(&all, items, 2, 0));
    for (int i = 0; i < 2; i++)
        CHECK_OK(pirn_release(items[i])); /* the gather has references of its own */
    return all;
}

static pirn_awaitable *a_shield(void)
{
    pirn_awaitable *inner = a_future(), *outer = NULL;
    CHECK_OK(pirn_shield(&outer, inner));
    CHECK_OK(pirn_release(inner));
    return outer;
}

static pirn_awaitable *a_shield_of_nothing(void)
{
    pirn_awaitable *inner = new_future(), *outer = NULL;
    CHECK_OK(pirn_shield(&outer, inner));
    CHECK_OK(pirn_release(inner));
    return outer;
}

struct member {
    pirn_awaitable *(*make)(void);
    pirn_kind kind;
    int status; /* that it ends with */
};

static const struct member ending[] = {
    {a_task, PIRN_KIND_TASK, 42},      {a_coroutine, PIRN_KIND_TASK, 42},
    {a_call, PIRN_KIND_TASK, 42},      {a_future, PIRN_KIND_FUTURE, 42},
    {a_job, PIRN_KIND_JOB, 42},        {a_gather, PIRN_KIND_COMBINED, 0},
    {a_shield, PIRN_KIND_COMBINED, 42}};

static const struct member endless[] = {{an_endless_task, PIRN_KIND_TASK, -ECANCELED},
                                        {an_endless_coroutine, PIRN_KIND_TASK, -ECANCELED},
                                        {a_far_call, PIRN_KIND_TASK, -ECANCELED},
                                        {new_future, PIRN_KIND_FUTURE, -ECANCELED},
                                        {a_shield_of_nothing, PIRN_KIND_COMBINED, -ECANCELED}};

enum {
    ENDING = sizeof(ending) / sizeof(ending[0]),
    ENDLESS = sizeof(endless) / sizeof(endless[0])
};

/* The same calls for every kind: await, twice; done, result, cancel; release. */
static void is_awaited(pirn_awaitable *a, const struct member *m)
{
    CHECK_EQ(pirn_kind_of(a), m->kind);
    for (int i = 0; i < 2; i++) {
        int status = -1;
        CHECK_OK(pirn_await(a, &status, PIRN_NEVER));
        CHECK_EQ(status, m->status);
    }
    CHECK(pirn_done(a));
    CHECK_EQ(pirn_status(a), m->status);
    CHECK_EQ(pirn_cancel(a, NULL), -EALREADY);
    CHECK_EQ(pirn_kind_of(a), m->kind);
    CHECK_OK(pirn_release(a));
}

static void is_cancelled(pirn_awaitable *a, const struct member *m)
{
    CHECK(!pirn_done(a));
    CHECK_EQ(pirn_status(a), -EINPROGRESS);
    CHECK(pirn_value(a) == NULL);
    CHECK_OK(pirn_cancel(a, "not wanted"));
    is_awaited(a, m);
}

static void *awaits_on_thread(void *arg)
{
    pirn_awaitable **made = arg;
    for (int i = 0; i < ENDING; i++)
        is_awaited(made[i], &ending[i]);
    return NULL;
}

static int every_kind(void *arg)
{
    pirn_awaitable *made[ENDING];
    (void)arg;
    for (int i = 0; i < ENDING; i++)
        is_awaited(ending[i].make(), &ending[i]);
    for (int i = 0; i < ENDLESS; i++)
        is_cancelled(endless[i].make(), &endless[i]);
    for (int i = 0; i < ENDING; i++) /* all under way at once, for a plain thread */
        made[i] = ending[i].make();
    support_thread_join(support_thread(awaits_on_thread, made));
    return 0;
}

START_TEST(s40_s45_s51_every_kind_of_handle)
{
    for (int i = 0; i < support_rounds(20); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, every_kind, NULL));
    CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
}
END_TEST

/* ---- S41: value and status ------------------------------------------------------------------ */

static int leaves_value(void *arg)
{
    CHECK_OK(pirn_set_value(arg, NULL));
    return 42;
}

static int value_and_status(void *arg)
{
    int what = 0, status = -1;
    (void)arg;
    pirn_task *task = support_spawn(leaves_value, &what);
    CHECK_OK(pirn_await(task, &status, PIRN_NEVER)); /* how the wait went */
    CHECK_EQ(status, 42);
    CHECK(pirn_value(task) == &what);
    CHECK_OK(pirn_release(task));
    CHECK_OK(pirn_sleep(pirn_after_us(100))); /* gives nothing: 0 */
    task = support_spawn(slow_answer, NULL);
    CHECK_OK(pirn_await(task, NULL, PIRN_NEVER));
    CHECK(pirn_value(task) == NULL);
    CHECK_EQ(support_join(task), 42);
    return 0;
}

START_TEST(s41_value_and_status_apart)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, value_and_status, NULL));
}
END_TEST

/* ---- S42, S49: ordinary C ------------------------------------------------------------------- */

__attribute__((noinline)) static int descend(int depth, const int *above)
{
    volatile int mine = depth * 3 + (above ? *above : 0), below;
    int before = mine;
    below = 0;
    if (depth == 0) {
        CHECK_OK(pirn_yield());
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
    } else {
        below = descend(depth - 1, &before);
    }
    if (depth % 7 == 0)
        CHECK_OK(pirn_yield()); /* on the way back, too */
    CHECK_EQ(mine, before);
    return below + 1;
}

static int deep(void *arg)
{
    (void)arg;
    return descend(49, NULL);
}

static int many_deep(void *arg)
{
    pirn_task *tasks[20];
    (void)arg;
    for (int i = 0; i < 20; i++)
        tasks[i] = support_spawn(deep, NULL);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(support_join(tasks[i]), 50);
    return 0;
}

START_TEST(s42_suspends_fifty_frames_deep)
{
    for (int i = 0; i < support_rounds(20); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, many_deep, NULL));
}
END_TEST

/* On a stack of the default size; printf of a long double is the hungriest there is. */
static int prints(void *arg)
{
    char text[400], *line = NULL;
    size_t size = 0;
    double third = 1.0 / 3, one = *(double *)arg;
    FILE *out = open_memstream(&line, &size);
    CHECK(out != NULL);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(snprintf(text, sizeof(text), "%.3f %5d %s", third, i, "x"), 13);
        CHECK_EQ(fprintf(out, "%.300Lf\n", (long double)one / 3), 303);
        CHECK_OK(pirn_yield());
    }
    CHECK_OK(fclose(out));
    CHECK_EQ(size, 20 * 303);
    CHECK(strncmp(line, "0.3333333333333333333", 21) == 0 && line[302] == '\n');
    CHECK(fabs(strtod(line, NULL) - third) < 1e-12);
    free(line);
    return 0;
}

static int many_print(void *arg)
{
    pirn_task *tasks[16];
    for (int i = 0; i < 16; i++)
        tasks[i] = support_spawn(prints, arg);
    for (int i = 0; i < 16; i++)
        CHECK_OK(support_join(tasks[i]));
    return 0;
}

START_TEST(s49_printf_in_a_coroutine)
{
    double one = 1.0;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, many_print, &one));
}
END_TEST

/* ---- S60: who is alive ---------------------------------------------------------------------- */

static int count_tasks(void)
{
    pirn_task *all[16];
    int n = pirn_tasks(all, 16);
    for (int i = 0; i < n; i++)
        CHECK_OK(pirn_release(all[i]));
    return n;
}

static int counts_tasks(void *arg)
{
    pirn_task *sleeping[3];
    (void)arg;
    CHECK_EQ(count_tasks(), 1);
    for (int i = 0; i < 3; i++)
        sleeping[i] = support_spawn(for_ever, NULL);
    CHECK_EQ(count_tasks(), 4);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(pirn_cancel(sleeping[i], NULL));
        CHECK_EQ(support_join(sleeping[i]), -ECANCELED);
    }
    CHECK_EQ(count_tasks(), 1);
    return 0;
}

START_TEST(s60_four_tasks_then_one)
{
    for (int i = 0; i < support_rounds(50); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, counts_tasks, NULL));
}
END_TEST

/* ---- S54: one task, one handle --------------------------------------------------------------- */

static int answer_when_told(void *arg)
{
    while (!atomic_load((atomic_int *)arg))
        CHECK_OK(pirn_yield());
    return 42;
}

/* Wherever it is had from: ensure_future has nothing to do. */
static int same_handle(void *arg)
{
    atomic_int told = 0;
    pirn_task *task = support_spawn(answer_when_told, &told), *all[4], *next;
    pirn_completions *completions;
    pirn_awaitable *gather;
    int status, found = 0;
    (void)arg;
    CHECK(pirn_retain(task) == task);
    CHECK_OK(pirn_release(task));
    int n = pirn_tasks(all, 4);
    for (int i = 0; i < n; i++) {
        found += all[i] == task;
        found += all[i] == pirn_current();
        CHECK_OK(pirn_release(all[i]));
    }
    CHECK_EQ(found, 2);
    atomic_store(&told, 1);
    CHECK_OK(pirn_as_completed(&completions, &task, 1));
    CHECK_EQ(pirn_completions_next(completions, &next, PIRN_NEVER), 1);
    CHECK(next == task);
    pirn_completions_free(completions);
    CHECK_OK(pirn_gather(&gather, &task, 1, 0));
    CHECK(pirn_gather_item(gather, 0) == task);
    CHECK_OK(pirn_join(gather, &status, PIRN_NEVER));
    CHECK_EQ(support_join(task), 42);
    return 0;
}

START_TEST(s54_handles_are_equal)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, same_handle, NULL));
}
END_TEST

SUPPORT_MAIN("asyncio/handles", s40_s45_s51_every_kind_of_handle, s41_value_and_status_apart,
             s42_suspends_fifty_frames_deep, s49_printf_in_a_coroutine, s60_four_tasks_then_one,
             s54_handles_are_equal)
