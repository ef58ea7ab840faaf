/* Blocked for ever: said when it is so, once. When it is not: test_deadlock_not.c. */
#include "tests/asyncio/deadlock.h"

#include <dirent.h>
#include <dlfcn.h>

/* ---- When it is so ----------------------------------------------------------------------- */

static int waits_with_another(void *arg)
{
    pirn_future *future = new_future();
    (void)arg;
    CHECK_OK(pirn_detach(support_spawn_named("other", waits_for, future)));
    int rc = waits_for(future);
    __asm__ volatile("");
    return rc;
}

static void blocks(int workers)
{
    pirn_config config = config_of(workers, PIRN_DEBUG);
    int status;
    config.dump_signal = SIGUSR2; /* which has the monitor look again, and changes nothing */
    CHECK_OK(pirn_run_with(&config, waits_with_another, NULL, &status));
}

START_TEST(a172_reported_once)
{
    FOR_WORKERS(w)
    {
        struct child c;
        child_start(&c, blocks, w);
        while (lines_with(&c, "waits for ever") < 2)
            child_read(&c, 10);
        CHECK_OK(kill(c.pid, SIGUSR2));
        while (lines_with(&c, " waiting future at ") < 2)
            child_read(&c, 10);
        child_read(&c, 200);
        child_end(&c, true);
        CHECK_EQ(lines_with(&c, "2 tasks live"), 1); /* the dump */
        CHECK_EQ(lines_with(&c, " waiting future at "), 2);
        CHECK_EQ(lines_with(&c, "nothing can happen any more: 2 tasks"), 1);
        CHECK_EQ(lines_with(&c, "waits for ever: future at "), 2);
        CHECK_EQ(lines_with(&c, "task main (task "), 1);
        CHECK_EQ(lines_with(&c, "task other (task "), 1);
    }
}
END_TEST

static int sleeps_a_little(void *arg)
{
    (void)arg;
    return pirn_sleep(pirn_after_ms(1));
}

static int never_called(void *arg)
{
    (void)arg;
    CHECK(false);
    return 0;
}

/* The first of them last. */
static void arm_and_cancel_timers(void)
{
    pirn_timer timers[3];
    for (int i = 0; i < 3; i++) {
        CHECK_OK(pirn_timer_init(&timers[i], NULL, never_called, NULL));
        CHECK_OK(pirn_timer_arm(&timers[i], pirn_after_s(3600 + i)));
    }
    for (int i = 2; i >= 0; i--)
        CHECK_OK(pirn_timer_cancel(&timers[i]));
}

/* A wait with a deadline on a thread of its own is over, timers are cancelled: no reason to expect
 * anything. */
static int waits_after_a_pinned_one(void *arg)
{
    arm_and_cancel_timers();
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_spawn_with(&task, &config, sleeps_a_little, NULL));
    CHECK_OK(support_join(task));
    return waits_with_another(arg);
}

static void blocks_by_default(int workers)
{
    pirn_config config = config_of(workers, 0);
    int status;
    CHECK_OK(pirn_run_with(&config, waits_after_a_pinned_one, NULL, &status));
}

START_TEST(a172_one_line_by_default)
{
    FOR_WORKERS(w)
    {
        struct child c;
        child_start(&c, blocks_by_default, w);
        while (lines_with(&c, "\n") < 1)
            child_read(&c, 10);
        child_read(&c, 400);
        child_end(&c, true);
        CHECK_EQ(strcmp(c.text, "pirn: nothing can happen any more: 2 tasks are waiting for ever "
                                "(PIRN_DEBUG=1 in the environment has them named)\n"),
                 0);
    }
}
END_TEST

/* The last address of the line is in the task's function. */
static void check_site(const struct child *c, const char *name, pirn_fn fn)
{
    Dl_info info;
    const char *line = strstr(c->text, name);
    CHECK(line != NULL);
    const char *end = strchr(line, '\n');
    const char *last = NULL;
    for (const char *p = line; (p = strstr(p, "+0x")) != NULL && p < end; p += 3)
        last = p + 3;
    CHECK(last != NULL && dladdr((void *)(uintptr_t)fn, &info) != 0);
    uintptr_t at = strtoul(last, NULL, 16), from = (uintptr_t)fn - (uintptr_t)info.dli_fbase;
    CHECK(at > from && at < from + 1000);
}

START_TEST(s68_the_await_site_is_named)
{
    struct child c;
    child_start(&c, blocks, 2);
    while (lines_with(&c, "waits for ever") < 2)
        child_read(&c, 10);
    child_end(&c, true);
    check_site(&c, "task main (task ", waits_with_another);
    check_site(&c, "task other (task ", waits_for);
}
END_TEST

struct embrace {
    pirn_mutex a, b;
    atomic_int held, cleaned;
};

static int locks(struct embrace *e, pirn_mutex *first, pirn_mutex *second)
{
    CHECK_OK(pirn_mutex_lock(first, PIRN_NEVER));
    atomic_fetch_add(&e->held, 1);
    support_until(&e->held, 2);
    int rc = pirn_mutex_lock(second, PIRN_NEVER);
    int slept = pirn_sleep(pirn_after_ms(1)); /* a clean-up may suspend */
    CHECK(slept == 0 ||
          slept == -ECANCELED); /* main has ended meanwhile, which cancels the other */
    atomic_fetch_add(&e->cleaned, 1);
    CHECK_OK(pirn_mutex_unlock(first));
    return rc;
}

static int a_then_b(void *arg)
{
    struct embrace *e = arg;
    return locks(e, &e->a, &e->b);
}

static int b_then_a(void *arg)
{
    struct embrace *e = arg;
    CHECK_OK(pirn_detach(support_spawn_named("a-then-b", a_then_b, e)));
    return locks(e, &e->b, &e->a);
}

static void embraces(int workers)
{
    pirn_config config = config_of(workers, PIRN_DEADLOCK_ENDS);
    struct embrace e = {.held = 0};
    int status = -12345;
    CHECK_EQ(pirn_run_with(&config, b_then_a, &e, &status), -EDEADLK);
    CHECK_EQ(status, -12345);
    CHECK_EQ(atomic_load(&e.cleaned), 2);
}

START_TEST(a172_the_run_ends)
{
    FOR_WORKERS(w)
    {
        struct child c;
        child_start(&c, embraces, w);
        child_end(&c, false);
        CHECK_EQ(lines_with(&c, "nothing can happen any more: 2 tasks"), 1);
        CHECK_EQ(lines_with(&c, "waits for ever: mutex"), 2);
        CHECK_EQ(lines_with(&c, "task a-then-b (task "), 1);
    }
}
END_TEST

/* What a report's hook does may get things going again: then the run does not end. */
static pirn_future *gate;

static void opens_it(void *user, const char *line)
{
    (void)user;
    (void)line;
    int rc = pirn_future_set(gate, 0, NULL);
    CHECK(rc == 0 || rc == -EALREADY); /* there are several lines */
}

static int waits_and_goes_on(void *arg)
{
    (void)arg;
    gate = new_future();
    CHECK_OK(waits_for(gate));
    return pirn_sleep(pirn_after_ms(STILL_MS));
}

static void is_helped(int workers)
{
    pirn_config config = config_of(workers, PIRN_DEADLOCK_ENDS);
    int status = -12345;
    config.report = opens_it;
    CHECK_OK(pirn_run_with(&config, waits_and_goes_on, NULL, &status));
    CHECK_OK(status);
    pirn_release(gate);
}

START_TEST(a_report_may_help)
{
    FOR_WORKERS(w)
    {
        struct child c;
        child_start(&c, is_helped, w);
        child_end(&c, false);
    }
}
END_TEST

/* Threads of a pool that have no job, as long as they last: ten seconds. */
static int pool_threads(void)
{
    char path[64], name[32];
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm", entry->d_name);
        FILE *file = entry->d_name[0] != '.' ? fopen(path, "r") : NULL;
        if (file == NULL)
            continue;
        n += fgets(name, sizeof(name), file) != NULL && strcmp(name, "pirn-pool\n") == 0;
        fclose(file);
    }
    closedir(dir);
    return n;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int waits_after_jobs(void *pool)
{
    pirn_job *job;
    CHECK_OK(pirn_thread_pool_submit(pool, &job, nothing, NULL));
    CHECK_OK(pirn_join(job, NULL, PIRN_NEVER));
    CHECK_OK(pirn_to_thread(nothing, NULL, NULL, PIRN_NEVER));
    CHECK_OK(pirn_blocking(nothing, NULL, NULL, PIRN_NEVER));
    return waits_for(new_future());
}

static void has_idle_pools(int workers)
{
    for (int rounds = 0;; rounds++) { /* once more if the machine took too long */
        pirn_config config = config_of(workers, PIRN_DEADLOCK_ENDS);
        pirn_thread_pool *pool;
        int status;
        CHECK_OK(pirn_thread_pool_new(&pool, 2));
        CHECK_EQ(pirn_run_with(&config, waits_after_jobs, pool, &status), -EDEADLK);
        int left = pool_threads();
        CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
        CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
        if (left == 2)
            return;
        CHECK_LE(rounds, 2);
    }
}

START_TEST(a172_idle_pools_do_nothing)
{
    FOR_WORKERS(w)
    {
        struct child c;
        child_start(&c, has_idle_pools, w);
        child_end(&c, false);
        CHECK_GE(lines_with(&c, "nothing can happen any more: 1 task"), 1);
    }
}
END_TEST

static void runs_again(int workers)
{
    pirn_config config = config_of(workers, PIRN_DEADLOCK_ENDS);
    pirn_future *future = new_future();
    pirn_runtime *rt;
    int status = -12345;
    CHECK_OK(pirn_runtime_new(&rt, &config));
    CHECK_EQ(pirn_runtime_run_until_done(rt, future, &status), -EDEADLK);
    CHECK_EQ(pirn_runtime_run_until_complete(rt, waits_for, future, &status), -EDEADLK);
    CHECK_EQ(status, -12345);
    CHECK_EQ(pirn_runtime_run_forever(rt), -EDEADLK);
    CHECK_OK(pirn_future_set(future, 0, NULL)); /* and what was blocked goes on in the next run */
    CHECK_OK(pirn_runtime_run_until_done(rt, future, &status));
    CHECK_OK(pirn_runtime_free(rt));
    CHECK_OK(pirn_release(future));
}

START_TEST(a172_a_runtime_runs_again)
{
    FOR_WORKERS(w)
    {
        struct child c;
        child_start(&c, runs_again, w);
        child_end(&c, false);
        CHECK_EQ(lines_with(&c, "nothing can happen"), 3);
        CHECK_EQ(lines_with(&c, "any more: 0 tasks"), 1);
    }
}
END_TEST

static void *blocks_too(void *workers)
{
    blocks(*(int *)workers);
    return NULL;
}

static void two_runtimes(int workers)
{
    support_thread(blocks_too, &workers);
    blocks(workers);
}

START_TEST(a172_two_runtimes)
{
    FOR_WORKERS(w)
    {
        struct child c;
        child_start(&c, two_runtimes, w);
        while (lines_with(&c, "waits for ever") < 4)
            child_read(&c, 10);
        child_read(&c, 200);
        child_end(&c, true);
        CHECK_EQ(lines_with(&c, "nothing can happen any more: 2 tasks"), 2);
        CHECK_EQ(lines_with(&c, "waits for ever"), 4);
    }
}
END_TEST

/* ---- A worker that sleeps until what is not to come ------------------------------------------ */

/* More cancelled timers come after its sleep than are passed over in one go, too few to be swept
 * up before. */
static int sleeps_before_cancelled_timers(void *arg)
{
    enum {
        N = 400
    };
    pirn_timer *timers = calloc(N, sizeof(*timers));
    (void)arg;
    CHECK(timers != NULL);
    for (int i = 0; i < N; i++) {
        CHECK_OK(pirn_timer_init(&timers[i], NULL, never_called, NULL));
        CHECK_OK(pirn_timer_arm(&timers[i], pirn_after_s(7200 + i)));
    }
    for (int i = N - 1; i >= 0; i--)
        CHECK_OK(pirn_timer_cancel(&timers[i]));
    free(timers);
    CHECK_EQ(pirn_sleep(pirn_after_s(3600)), -ECANCELED);
    return 0;
}

static int cancels_the_sleep(void *arg)
{
    pirn_task *task = support_spawn(sleeps_before_cancelled_timers, NULL);
    (void)arg;
    while (!support_is_waiting(task))
        CHECK_OK(pirn_yield());
    CHECK_OK(pirn_sleep(pirn_after_ms(support_between(0, 3)))); /* its worker is asleep, or not */
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_OK(support_join(task));
    int rc = pirn_sleep(PIRN_NEVER);
    __asm__ volatile("");
    return rc;
}

static void cancels_sleeps(int workers)
{
    pirn_config config = config_of(workers, PIRN_DEADLOCK_ENDS);
    int status;
    for (int i = 0; i < 20; i++)
        CHECK_EQ(pirn_run_with(&config, cancels_the_sleep, NULL, &status), -EDEADLK);
}

START_TEST(a172_not_hidden_by_cancelled_timers)
{
    FOR_WORKERS(w)
    {
        struct child c;
        child_start(&c, cancels_sleeps, w);
        child_end(&c, false);
    }
}
END_TEST

DEADLOCK_MAIN("deadlock", a172_reported_once, a172_one_line_by_default, s68_the_await_site_is_named,
              a172_the_run_ends, a_report_may_help, a172_a_runtime_runs_again, a172_two_runtimes,
              a172_idle_pools_do_nothing, a172_not_hidden_by_cancelled_timers)
