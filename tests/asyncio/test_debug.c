/* Debug mode: slow steps, forgotten coroutines, leftovers, misuse, and report hooks that misbehave.
 * What waits for ever has tests of its own (test_deadlock.c). */
#include "tests/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    SLOW_MS = 40
};

static pirn_config debugging(int workers, support_report *report)
{
    pirn_config config = support_reporting(workers, report);
    config.flags = PIRN_DEBUG;
    config.slow_step.ns = 3600 * 1000 * MS; /* whatever else this machine is busy with */
    return config;
}

/* ---- Slow steps -------------------------------------------------------------------------- */

static int spins_and_ends(void *arg)
{
    (void)arg;
    support_spin((SLOW_MS + 5) * MS);
    return 0;
}

static int spins_between_calls(void *arg)
{
    pirn_future *gate = arg;
    support_spin((SLOW_MS + 5) * MS);
    CHECK_OK(pirn_yield());
    support_spin((SLOW_MS + 5) * MS);
    CHECK_OK(pirn_sleep(pirn_after_us(100)));
    support_spin((SLOW_MS + 5) * MS);
    CHECK_OK(pirn_future_await(gate, NULL, NULL, PIRN_NEVER));
    for (int i = 0; i < 1000; i++)
        CHECK_OK(pirn_yield());
    return 0;
}

static int slow_family(void *arg)
{
    pirn_future *gate;
    (void)arg;
    CHECK_OK(pirn_future_new(&gate));
    pirn_task *tasks[2] = {support_spawn_named("between", spins_between_calls, gate),
                           support_spawn_named("at-the-end", spins_and_ends, NULL)};
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_OK(pirn_future_set(gate, 0, NULL));
    for (int i = 0; i < 2; i++)
        CHECK_OK(support_join(tasks[i]));
    return pirn_release(gate);
}

START_TEST(a171_slow_steps_are_named)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = debugging(w, &report);
        config.slow_step.ns = SLOW_MS * MS;
        int64_t began = support_now();
        CHECK_OK(support_run_with(&config, slow_family, NULL));
        int64_t took = support_now() - began;
        CHECK_GE(support_reported(&report, "between"), 3); /* a step lost to others is slow, too */
        CHECK_GE(support_reported(&report, "at-the-end"), 1);
        CHECK_GE(support_reported(&report, "suspending"), 4);
        /* One after the other: they cannot have taken longer than all of it, as quick ones
         * would. */
        CHECK_LE(support_reported(&report, "between") * SLOW_MS * MS, took);
    }
}
END_TEST

START_TEST(a171_quick_steps_are_not)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = debugging(w, &report);
        CHECK_OK(support_run_with(&config, slow_family, NULL));
        CHECK_EQ(support_reported(&report, "suspending"), 0);
        config.flags = 0;
        config.slow_step.ns = 1;
        CHECK_OK(support_run_with(&config, slow_family, NULL));
        CHECK_EQ(support_reported(&report, "suspending"), 0);
    }
}
END_TEST

static int busy(void *arg)
{
    (void)arg;
    support_spin(200 * MS);
    return pirn_yield();
}

static int busy_family(void *arg)
{
    (void)arg;
    return support_join(support_spawn_named("busy", busy, NULL));
}

START_TEST(s163_a_step_of_200_ms)
{
    support_report report = SUPPORT_REPORT_INIT;
    pirn_config config = debugging(2, &report);
    config.slow_step.ns = 0; /* the default, 100 ms */
    int64_t began = support_now();
    CHECK_OK(support_run_with(&config, busy_family, NULL));
    CHECK_GE(support_reported(&report, "busy"), 1);
    CHECK_LE(support_reported(&report, "busy") * 100 * MS, support_now() - began);
    CHECK_GE(strtol(strstr(report.text, " ran ") + 5, NULL, 10), 200);
}
END_TEST

START_TEST(s21_environment)
{
    static const struct {
        const char *value;
        int lines;
    } cases[] = {{"1", 1}, {"0", 0}, {"", 0}, {NULL, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = debugging(1, &report);
        config.flags = 0;
        config.slow_step.ns = 150 * MS;
        if (cases[i].value != NULL)
            CHECK_OK(setenv("PIRN_DEBUG", cases[i].value, 1));
        else
            CHECK_OK(unsetenv("PIRN_DEBUG"));
        int64_t began = support_now();
        CHECK_OK(support_run_with(&config, busy_family, NULL));
        int lines = support_reported(&report, "busy"); /* a step lost to others is slow, too */
        CHECK(lines >= cases[i].lines && (lines == 0 || cases[i].lines > 0));
        CHECK_LE(lines * 150 * MS, support_now() - began);
    }
}
END_TEST

START_TEST(a171_config_is_checked)
{
    pirn_config config = PIRN_CONFIG_INIT;
    int status;
    config.slow_step.ns = -1;
    CHECK_EQ(pirn_run_with(&config, busy, NULL, &status), -EINVAL);
    config.slow_step.ns = 0;
    config.flags = 1u << 30;
    CHECK_EQ(pirn_run_with(&config, busy, NULL, &status), -EINVAL);
}
END_TEST

/* ---- Never awaited ----------------------------------------------------------------------- */

static int never(void *arg)
{
    return *(int *)arg;
}

static pirn_task *coroutine(const char *name, int *value)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    config.name = name;
    CHECK_OK(pirn_coroutine_new(&task, &config, never, value));
    return task;
}

static int forgets(void *arg)
{
    int value = 7, status = -1;
    (void)arg;
    CHECK_OK(pirn_release(coroutine("forgotten", &value)));
    pirn_task *task = coroutine("started", &value);
    CHECK_OK(pirn_start(task));
    CHECK_EQ(support_join(task), 7);
    CHECK_OK(pirn_join(coroutine("awaited", &value), &status, PIRN_NEVER));
    CHECK_EQ(status, 7);
    task = coroutine("cancelled", &value);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    return 0;
}

START_TEST(a171_never_awaited)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = debugging(w, &report);
        CHECK_OK(support_run_with(&config, forgets, NULL));
        CHECK_EQ(support_reported(&report, "forgotten"), 1);
        CHECK_EQ(support_reported(&report, "awaited"), 1); /* "was never awaited" */
        CHECK_EQ(support_reported(&report, "started"), 0);
        CHECK_EQ(support_reported(&report, "cancelled"), 0);
        config.flags = 0;
        CHECK_OK(support_run_with(&config, forgets, NULL));
        CHECK_EQ(support_reported(&report, "forgotten"), 1);
    }
}
END_TEST

static atomic_int slept;

static int sleeps_if_awaited(void *arg)
{
    (void)arg;
    atomic_fetch_add(&slept, 1);
    return pirn_sleep(pirn_after_ms(1000));
}

static int forgets_three_sleeps(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        pirn_task *task;
        CHECK_OK(pirn_coroutine_new(&task, NULL, sleeps_if_awaited, NULL));
        CHECK_OK(pirn_release(task));
    }
    return 0;
}

START_TEST(s44_forgotten_awaits_show)
{
    support_report report = SUPPORT_REPORT_INIT;
    pirn_config config = debugging(2, &report);
    CHECK_OK(support_run_with(&config, forgets_three_sleeps, NULL));
    CHECK_EQ(support_reported(&report, "awaited"), 3);
    CHECK_EQ(atomic_load(&slept), 0);
}
END_TEST

/* ---- Pending at the end ------------------------------------------------------------------ */

struct left {
    int pair[2];
    pirn_task *reader;
};

static int reads(void *arg)
{
    char c;
    return (int)pirn_recv(*(int *)arg, &c, 1, 0, PIRN_NEVER);
}

static int leaves(void *arg)
{
    struct left *l = arg;
    int value = 1;
    pirn_task *done = support_spawn_named("done", never, &value);
    CHECK_EQ(support_join(done), 1);
    l->reader = support_spawn_named("reader", reads, &l->pair[0]);
    support_until_waiting(l->reader);
    return pirn_detach(l->reader);
}

START_TEST(a171_pending_at_exit)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = debugging(w, &report);
        struct left l;
        char fd[24];
        support_pair(l.pair);
        snprintf(fd, sizeof(fd), "recv fd=%d ", l.pair[0]);
        CHECK_OK(support_run_with(&config, leaves, &l));
        CHECK_EQ(support_reported(&report, "pending"), 1);
        CHECK_EQ(support_reported(&report, "reader"), 1);
        CHECK(strstr(report.text, fd) != NULL);
        CHECK(strstr(report.text, "(for ") != NULL);
        config.flags = 0;
        CHECK_OK(support_run_with(&config, leaves, &l));
        CHECK_EQ(support_reported(&report, "pending"), 1);
        for (int i = 0; i < 2; i++)
            CHECK_OK(close(l.pair[i]));
    }
}
END_TEST

START_TEST(a171_pending_at_close)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = debugging(w, &report);
        struct left l;
        pirn_runtime *rt;
        int status;
        support_pair(l.pair);
        CHECK_OK(pirn_runtime_new(&rt, &config));
        CHECK_OK(pirn_runtime_run_until_complete(rt, leaves, &l, &status));
        CHECK_EQ(support_reported(&report, "pending"), 0);
        CHECK_OK(pirn_runtime_free(rt));
        CHECK_EQ(support_reported(&report, "reader"), 1);
        for (int i = 0; i < 2; i++)
            CHECK_OK(close(l.pair[i]));
    }
}
END_TEST

/* ---- Hooks that misbehave ---------------------------------------------------------------- */

/* What goes to stderr during fn(arg), in a static buffer. */
static const char *stderr_of(void (*fn)(void *arg), void *arg)
{
    static char text[8192];
    FILE *file = tmpfile();
    int saved = dup(2);
    CHECK(file != NULL && saved >= 0);
    fflush(stderr);
    CHECK_EQ(dup2(fileno(file), 2), 2);
    fn(arg);
    fflush(stderr);
    CHECK_EQ(dup2(saved, 2), 2);
    CHECK_OK(close(saved));
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    CHECK_OK(fclose(file));
    return text;
}

struct bad_hook {
    pirn_config config;
    pirn_runtime *runtime;
    pirn_future *gate; /* what it waits for */
    atomic_int calls;
};

static int opens(void *arg)
{
    struct bad_hook *h = arg;
    return pirn_future_set(h->gate, 0, NULL);
}

static _Thread_local int inside; /* the hook */

/* Reports in turn, waits for a coroutine, closes a descriptor: all that could hang or recur. */
static void misbehave(void *user, const char *line)
{
    struct bad_hook *h = user;
    pirn_future *unread;
    pirn_task *task;
    pirn_spawn_config there = PIRN_SPAWN_CONFIG_INIT;
    CHECK(line != NULL);
    support_blocking_begin(); /* in a hook, waiting is the thread's */
    CHECK_EQ(inside++, 0);
    CHECK(pirn_current() == NULL);
    CHECK(pirn_runtime_current() == NULL);
    CHECK_OK(pirn_future_new(&unread));
    CHECK_OK(pirn_future_set(unread, -EIO, NULL));
    CHECK_OK(pirn_release(unread));
    there.runtime = h->runtime;
    there.name = "unheard";
    if (atomic_fetch_add(&h->calls, 1) == 0) {
        CHECK_OK(pirn_spawn_with(&task, &there, opens, h));
        CHECK_OK(pirn_future_await(h->gate, NULL, NULL, PIRN_NEVER));
        CHECK_OK(pirn_join(task, NULL, PIRN_NEVER));
    }
    CHECK_OK(pirn_sleep(pirn_after_us(100)));
    CHECK_EQ(pirn_yield(), -EPERM); /* misuse: a line of its own */
    CHECK_OK(pirn_close(dup(2)));
    inside--;
    support_blocking_end();
}

static int has_a_bad_hook(void *arg)
{
    struct bad_hook *h = arg;
    int status = -1;
    h->runtime = pirn_runtime_current();
    CHECK_OK(pirn_future_new(&h->gate));
    pirn_task *me = pirn_current();
    CHECK_EQ(pirn_await(me, &status, PIRN_NEVER), -EDEADLK); /* one report */
    CHECK(pirn_current() == me);
    CHECK_GE(atomic_load(&h->calls), 1);
    CHECK_OK(pirn_yield()); /* one more, a slow step's: inside a switch */
    CHECK_GE(atomic_load(&h->calls), 2);
    CHECK(pirn_current() == me);
    CHECK_OK(pirn_sleep(pirn_after_us(100)));
    return pirn_release(h->gate);
}

static void run_with_bad_hook(void *arg)
{
    struct bad_hook *h = arg;
    CHECK_OK(support_run_with(&h->config, has_a_bad_hook, h));
}

START_TEST(a171_a_failing_hook_falls_back)
{
    FOR_WORKERS(w)
    {
        struct bad_hook h = {.config = debugging(w, NULL)};
        h.config.slow_step.ns = 1;
        h.config.report = misbehave;
        h.config.report_user = &h;
        const char *text = stderr_of(run_with_bad_hook, &h);
        CHECK_GE(support_words(text, "pirn_yield"), atomic_load(&h.calls));
    }
}
END_TEST

SUPPORT_MAIN("debug", a171_slow_steps_are_named, a171_quick_steps_are_not, s163_a_step_of_200_ms,
             s21_environment, a171_config_is_checked, a171_never_awaited, s44_forgotten_awaits_show,
             a171_pending_at_exit, a171_pending_at_close, a171_a_failing_hook_falls_back)
