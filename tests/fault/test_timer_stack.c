/*
 * Timers and done callbacks that are due while there are no stacks: each call is made, later, once.
 * Stacks fail as the kernel refuses their guards (the rules of io/sys.c, read once by a process: so
 * this program runs itself), for half of them, at random; or for all but main's. Those whose time
 * has come may get that at the end of the run; if not they are given up when the grace is over, and
 * reported.
 */
#include "tests/support.h"
#include "tests/support/memory.h"

#ifndef PIRN_HARD

int main(void)
{
    return 77; /* the rules are compiled in hard builds only */
}

#else

#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>

enum {
    TIMERS = 400,
    FEW = 20,
    MORE = 10000,
    NO_MAIN = 75, /* exit status: there was no stack for main either */
    TOO_MANY = 76 /* there was one for somebody else as well */
};

struct timers {
    pirn_timer timer[TIMERS];
    atomic_int calls[TIMERS];
    atomic_int called;
    pirn_future *gate;
};

static struct timers all;

/* Keeps its stack until all have been called: so each needs a fresh one. */
static int called(void *arg)
{
    atomic_int *calls = arg;
    CHECK_EQ(atomic_fetch_add(calls, 1), 0);
    CHECK_OK(pirn_shield_enter()); /* and its waits are as any task's, also if main has ended */
    int rc = pirn_sleep(pirn_after_us(100));
    CHECK(rc == 0 || rc == -ESHUTDOWN);
    CHECK_OK(pirn_shield_leave());
    atomic_fetch_add(&all.called, 1);
    return pirn_future_await(all.gate, NULL, NULL, PIRN_NEVER);
}

static void arm(int n)
{
    memset(&all, 0, sizeof(all));
    CHECK_OK(pirn_future_new(&all.gate));
    for (int i = 0; i < n; i++) {
        CHECK_OK(pirn_timer_init(&all.timer[i], NULL, called, &all.calls[i]));
        CHECK_OK(pirn_timer_arm(&all.timer[i], pirn_after_us(10 * i)));
    }
}

static uint64_t live(void)
{
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(NULL, &stats));
    return stats.tasks_live;
}

/* ---- Half of the stacks fail ----------------------------------------------------------------- */

static int come_later(void *arg)
{
    (void)arg;
    arm(TIMERS);
    support_until(&all.called, TIMERS);
    for (int i = 0; i < TIMERS; i++)
        CHECK_EQ(pirn_timer_cancel(&all.timer[i]), -EALREADY);
    CHECK_OK(pirn_future_set(all.gate, 0, NULL));
    while (live() > 1)
        CHECK_OK(pirn_yield()); /* those, and no others */
    CHECK_EQ(atomic_load(&all.called), TIMERS);
    CHECK_OK(pirn_release(all.gate));
    return 0;
}

static int some_fail(void)
{
    FOR_WORKERS(w)
    {
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        for (int i = 0; i < 5; i++) {
            int status = 0, rc;
            do /* main needs a stack, too */
                rc = pirn_run_with(&config, come_later, NULL, &status);
            while (rc == -ENOMEM);
            CHECK_OK(rc);
            CHECK_OK(status);
        }
    }
    return 0;
}

/* ---- The same of done callbacks -------------------------------------------------------------- */

static pirn_future *futures[TIMERS];

static void call_back(pirn_awaitable *awaitable, void *arg)
{
    atomic_int *calls = arg;
    CHECK(pirn_done(awaitable));
    CHECK_EQ(atomic_fetch_add(calls, 1), 0);
    atomic_fetch_add(&all.called, 1);
    if (all.gate != NULL) /* as above */
        CHECK_OK(pirn_future_await(all.gate, NULL, NULL, PIRN_NEVER));
}

static int add_some(void *arg)
{
    for (int i = *(int *)arg; i < TIMERS; i += 4)
        CHECK_OK(pirn_add_done_callback(futures[i], NULL, call_back, &all.calls[i]));
    return 0;
}

static void add_callbacks(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    for (int i = 0; i < TIMERS; i++)
        CHECK_OK(pirn_future_new(&futures[i]));
    for (int of = 0; of < 4; of++) {
        pirn_task *task;
        int status = 0;
        CHECK_OK(of == 3 ? pirn_strand_new(&config.strand) : 0);
        do { /* it needs a stack, too */
            CHECK_OK(pirn_spawn_with(&task, &config, add_some, &of));
            CHECK_OK(pirn_join(task, &status, PIRN_NEVER));
        } while (status == -ENOMEM);
        CHECK_OK(status);
    }
    pirn_strand_release(config.strand); /* they have it */
}

static int call_back_later(void *arg)
{
    bool waits = arg != NULL;
    memset(&all, 0, sizeof(all));
    if (waits)
        CHECK_OK(pirn_future_new(&all.gate));
    add_callbacks();
    for (int i = 0; i < TIMERS; i++) {
        CHECK_OK(pirn_future_set(futures[i], 0, NULL));
        CHECK_OK(pirn_release(futures[i]));
    }
    if (!waits)
        return 0; /* they come before the run has returned */
    support_until(&all.called, TIMERS);
    CHECK_OK(pirn_future_set(all.gate, 0, NULL));
    while (live() > 1)
        CHECK_OK(pirn_yield());
    CHECK_OK(pirn_release(all.gate));
    return 0;
}

static int callbacks_fail(void)
{
    FOR_WORKERS(w)
    for (int i = 0; i < 6; i++) {
        pirn_config config = PIRN_CONFIG_INIT;
        int status = 0, rc;
        config.workers = w;
        config.grace = pirn_span_s(1000); /* not needed */
        do                                /* main needs a stack, too */
            rc = pirn_run_with(&config, call_back_later, i % 2 == 0 ? &all : NULL, &status);
        while (rc == -ENOMEM);
        CHECK_OK(rc != 0 ? rc : status);
        CHECK_EQ(atomic_load(&all.called), TIMERS);
    }
    return 0;
}

/* ---- All of them, to the end ----------------------------------------------------------------- */

static int ends_before(void *arg)
{
    (void)arg;
    arm(FEW);
    do /* until all have come due, and wait for their stacks */
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    while (live() < FEW + 1);
    for (int i = 0; i < FEW; i++)
        CHECK_EQ(pirn_timer_cancel(&all.timer[i]), -EALREADY);
    return atomic_load(&all.called) == 0 ? 0 : TOO_MANY;
}

/* And no memory for the deadlines by which they are put off. */
static int ends_without_memory(void *arg)
{
    static pirn_timer more[MORE];
    int n = 0;
    if (ends_before(arg) == TOO_MANY)
        return TOO_MANY;
    support_memory_fail(1, INT_MAX);
    for (pirn_time end = pirn_after_ms(20); pirn_now().ns < end.ns;) {
        int rc = 0;
        while (n < MORE && rc == 0) { /* takes each place that has become free */
            CHECK_OK(pirn_timer_init(&more[n], NULL, called, NULL));
            rc = pirn_timer_arm(&more[n], pirn_after_s(3600));
            n += rc == 0;
        }
        CHECK_EQ(rc, -ENOMEM);
        CHECK_OK(pirn_yield());
    }
    CHECK_GE(support_memory_works(), 1);
    CHECK_EQ(atomic_load(&all.called), 0);
    CHECK_EQ(live(), FEW + 1); /* none has been given up */
    for (int i = 0; i < n; i++)
        CHECK_OK(pirn_timer_cancel(&more[i]));
    return 0;
}

/* main: NULL as it usually is. */
static int scene(pirn_fn fn, const pirn_spawn_config *main, int64_t grace_ms,
                 support_report *report)
{
    pirn_config config = support_reporting(1, report);
    pirn_runtime *rt;
    int status = 0;
    config.grace = pirn_span_ms(grace_ms);
    CHECK_OK(pirn_runtime_new(&rt, &config));
    int rc = pirn_runtime_run_until_complete_with(rt, main, fn, NULL, &status);
    CHECK_OK(pirn_runtime_free(rt));
    CHECK_OK(rc);
    if (status == -ENOMEM || status == TOO_MANY)
        return status == TOO_MANY ? TOO_MANY : NO_MAIN;
    CHECK_OK(status);
    return 0;
}

/* They run on main's, once it has ended; but if a spare had to help out, that may be kept by
 * another thread. */
static int one_comes_free(pirn_fn fn)
{
    support_report report = SUPPORT_REPORT_INIT;
    int rc = scene(fn, NULL, 500, &report);
    if (rc != 0)
        return rc;
    CHECK_EQ(atomic_load(&all.called) + support_reported(&report, "nobody looked"), FEW);
    CHECK_OK(pirn_release(all.gate));
    return 0;
}

/* Main's is too large to be another's. */
static int none_comes_free(void)
{
    support_report report = SUPPORT_REPORT_INIT;
    pirn_spawn_config large = PIRN_SPAWN_CONFIG_INIT;
    large.stack_size = 1 << 20;
    int rc = scene(ends_before, &large, 20, &report);
    if (rc != 0)
        return rc;
    CHECK_EQ(atomic_load(&all.called), 0);
    CHECK_EQ(support_reported(&report, "nobody looked"), FEW);
    CHECK_OK(pirn_release(all.gate));
    return 0;
}

/* ---- All of them, and whose turn it is on a strand has none ---------------------------------- */

static int goes_on(void *arg)
{
    pirn_future *future;
    (void)arg;
    memset(&all, 0, sizeof(all));
    CHECK_OK(pirn_future_new(&future));
    CHECK_OK(pirn_add_done_callback(future, NULL, call_back, &all.calls[0]));
    CHECK_OK(pirn_future_set(future, 0, NULL));
    CHECK_OK(pirn_release(future));
    for (int i = 0; i < FEW; i++) /* and comes back to its strand */
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    return atomic_load(&all.called) == 0 ? 0 : TOO_MANY;
}

static int strand_goes_on(void)
{
    support_report report = SUPPORT_REPORT_INIT;
    pirn_spawn_config on_strand = PIRN_SPAWN_CONFIG_INIT;
    CHECK_OK(pirn_strand_new(&on_strand.strand));
    int rc = scene(goes_on, &on_strand, 500, &report);
    pirn_strand_release(on_strand.strand);
    if (rc != 0)
        return rc;
    CHECK_EQ(atomic_load(&all.called) + support_reported(&report, "nobody looked"), 1);
    return 0;
}

/* ---- The cases ------------------------------------------------------------------------------- */

/* This program again, with those rules: its exit status. */
static int suffer(const char *rules, const char *which)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        setenv("PIRN_FAULT", rules, 1);
        setenv("PIRN_TEST_FAULT_CASE", which, 1);
        support_alarm(120);
        execl("/proc/self/exe", "timer_stack", (char *)NULL);
        _exit(126);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* A stack's guard is made by mprotect, if not by madvise. */
START_TEST(s102_a_timer_waits_for_a_stack)
{
    CHECK_OK(suffer("madvise:EINVAL,mprotect:ENOMEM:1/2", "some"));
}
END_TEST

START_TEST(a44_callbacks_wait_for_a_stack)
{
    CHECK_OK(suffer("madvise:EINVAL,mprotect:ENOMEM:1/2", "callbacks"));
}
END_TEST

/* Main gets the last one. A thread's signal stack has such a guard, too, and may come before it or
 * after. */
static void suffer_all(const char *which)
{
    int status = NO_MAIN;
    for (int first = 2; status == NO_MAIN || status == TOO_MANY; first++) { /* the first to fail */
        char rules[64];
        if (status == TOO_MANY)
            first = 2;
        snprintf(rules, sizeof(rules), "madvise:EINVAL,mprotect:ENOMEM:@%d+", first);
        status = suffer(rules, which);
    }
    CHECK_OK(status);
}

START_TEST(a44_callbacks_without_a_stack_leave_their_strand)
{
    suffer_all("strand");
}
END_TEST

START_TEST(s102_timers_without_stacks_get_mains)
{
    suffer_all("free");
}
END_TEST

START_TEST(s102_timers_without_stacks_or_deadlines_get_mains)
{
    suffer_all("memory");
}
END_TEST

START_TEST(s102_timers_without_stacks_end_with_the_grace)
{
    suffer_all("none");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {s102_a_timer_waits_for_a_stack,
                            a44_callbacks_wait_for_a_stack,
                            a44_callbacks_without_a_stack_leave_their_strand,
                            s102_timers_without_stacks_get_mains,
                            s102_timers_without_stacks_or_deadlines_get_mains,
                            s102_timers_without_stacks_end_with_the_grace};
    const char *which = getenv("PIRN_TEST_FAULT_CASE");
    if (which == NULL)
        return support_main("timer_stack", tests, sizeof(tests) / sizeof(tests[0]));
    return strcmp(which, "some") == 0        ? some_fail()
           : strcmp(which, "callbacks") == 0 ? callbacks_fail()
           : strcmp(which, "strand") == 0    ? strand_goes_on()
           : strcmp(which, "free") == 0      ? one_comes_free(ends_before)
           : strcmp(which, "memory") == 0    ? one_comes_free(ends_without_memory)
                                             : none_comes_free();
}

#endif
