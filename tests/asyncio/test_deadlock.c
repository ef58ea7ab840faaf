/*
 * Blocked for ever: said when it is so, once, and never when it is not.
 *
 * Each case runs in a child process: this one has a watchdog, a thread that is none of pirn's. The
 * child's stderr comes here. (ThreadSanitizer has a thread of its own, too, and starts none in the
 * child of a process that had several.)
 */
#include "tests/support.h"

#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

enum {
    STILL_MS = 120 /* what goes on waits for that long: many looks of the monitor's */
};

struct child {
    pid_t pid;
    int err;
    size_t used;
    char text[16384];
};

typedef void (*child_fn)(int workers);

static void child_start(struct child *c, child_fn fn, int workers)
{
    int pair[2];
    support_pipe(pair);
    fflush(NULL);
    c->pid = fork();
    CHECK(c->pid >= 0);
    if (c->pid == 0) {
        alarm(60);
        signal(SIGINT, SIG_DFL); /* Check's handler kills everybody, and would be passed on to */
        dup2(pair[1], 2);
        close(pair[0]);
        close(pair[1]);
        fn(workers);
        fflush(stderr);
        _exit(0);
    }
    CHECK_OK(close(pair[1]));
    c->err = pair[0];
    c->used = 0;
    c->text[0] = '\0';
}

/* Reads on for that long, or until its end (-1). */
static void child_read(struct child *c, int ms)
{
    int64_t until = support_now() + ms * MS;
    ssize_t n = 1;
    while (n > 0) {
        struct pollfd p = {c->err, POLLIN, 0};
        int64_t left = until - support_now();
        if (poll(&p, 1, ms < 0 ? -1 : left > 0 ? (int)(left / MS) : 0) == 0)
            return;
        n = read(c->err, c->text + c->used, sizeof(c->text) - 1 - c->used);
        c->used += n > 0 ? (size_t)n : 0;
        c->text[c->used] = '\0';
    }
}

/* Its text, when it has ended well, or as it was told. */
static void child_end(struct child *c, bool killed)
{
    int status = -1;
    if (killed)
        CHECK_OK(kill(c->pid, SIGKILL));
    child_read(c, -1);
    CHECK_EQ(waitpid(c->pid, &status, 0), c->pid);
    if (!killed && status != 0)
        support_fail(__FILE__, __LINE__, __func__, "the child ended with %#x:\n%s", status,
                     c->text);
    CHECK_OK(close(c->err));
}

static int lines_with(const struct child *c, const char *word)
{
    int n = 0;
    for (const char *p = c->text; (p = strstr(p, word)) != NULL; p++)
        n++;
    return n;
}

static pirn_config config_of(int workers, unsigned flags)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = workers;
    config.flags = flags;
    return config;
}

/* ---- When it is so ----------------------------------------------------------------------- */

static pirn_future *new_future(void)
{
    pirn_future *future;
    CHECK_OK(pirn_future_new(&future));
    return future;
}

static __attribute__((noinline)) int waits_for(void *future)
{
    int rc = pirn_future_await(future, NULL, NULL, PIRN_NEVER);
    __asm__ volatile(""); /* the call above is none in its place */
    return rc;
}

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
    pirn_run_with(&config, waits_with_another, NULL, &status);
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
    CHECK_OK(pirn_sleep(pirn_after_ms(1))); /* a clean-up may suspend */
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

/* ---- When it is not: each thing that may still happen happens, and ends the wait --------- */

struct hope {
    pirn_future *future;
    pirn_runtime *runtime;
    int fd;
};

static int sets(void *arg)
{
    struct hope *h = arg;
    return pirn_future_set(h->future, 0, NULL);
}

/* start(h) makes something happen, in a while, that sets the future. */
struct hopeful {
    struct hope hope;
    void (*start)(struct hope *h);
};

static int waits_in_hope(void *arg)
{
    struct hopeful *h = arg;
    h->hope.runtime = pirn_runtime_current();
    h->start(&h->hope);
    return waits_for(h->hope.future);
}

static void hopes(int workers, void (*start)(struct hope *h))
{
    pirn_config config = config_of(workers, PIRN_DEADLOCK_ENDS | PIRN_DEBUG);
    struct hopeful h = {{new_future(), NULL, -1}, start};
    int status = -12345;
    CHECK_OK(pirn_run_with(&config, waits_in_hope, &h, &status));
    CHECK_OK(status);
    CHECK_OK(pirn_release(h.hope.future));
}

static int sleeps_and_sets(void *arg)
{
    CHECK_OK(pirn_sleep(pirn_after_ms(STILL_MS)));
    return sets(arg);
}

static void a_timer(struct hope *h)
{
    CHECK_OK(pirn_detach(support_spawn(sleeps_and_sets, h)));
}

static void a_call(struct hope *h)
{
    CHECK_OK(pirn_call_at(NULL, NULL, sets, h, pirn_after_ms(STILL_MS)));
}

static int sleeps_by_the_wall(void *arg)
{
    pirn_time until = {pirn_clock_now(PIRN_CLOCK_WALL).ns + STILL_MS * MS};
    CHECK_OK(pirn_sleep_on(PIRN_CLOCK_WALL, until));
    return sets(arg);
}

static void a_wall_clock(struct hope *h)
{
    CHECK_OK(pirn_detach(support_spawn(sleeps_by_the_wall, h)));
}

static int reads_and_sets(void *arg)
{
    struct hope *h = arg;
    char c;
    CHECK_EQ(pirn_read(h->fd, &c, 1, PIRN_NEVER), 1);
    return sets(arg);
}

/* Another process writes. */
static void an_operation(struct hope *h)
{
    int pair[2];
    support_pipe(pair);
    h->fd = pair[0];
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        support_pause_ms(STILL_MS);
        _exit(write(pair[1], "x", 1) != 1);
    }
    CHECK_OK(pirn_detach(support_spawn(reads_and_sets, h)));
}

static int pauses(void *arg)
{
    (void)arg;
    support_pause_ms(STILL_MS);
    return 0;
}

static int has_a_job_done(void *arg)
{
    int status;
    CHECK_OK(pirn_blocking(pauses, NULL, &status, PIRN_NEVER));
    return sets(arg);
}

static void a_job(struct hope *h)
{
    CHECK_OK(pirn_detach(support_spawn(has_a_job_done, h)));
}

static void pinned(struct hope *h, pirn_fn fn)
{
    pirn_spawn_config config = PIRN_SPAWN_INIT;
    pirn_task *task;
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_spawn_with(&task, &config, fn, h));
    CHECK_OK(pirn_detach(task));
}

static int pauses_and_sets(void *arg)
{
    support_pause_ms(STILL_MS);
    return sets(arg);
}

static void a_pinned_sleep(struct hope *h)
{
    pinned(h, sleeps_and_sets);
}

static void a_pinned_thread(struct hope *h)
{
    pinned(h, pauses_and_sets);
}

static void a_coroutine(struct hope *h)
{
    CHECK_OK(pirn_detach(support_spawn(pauses_and_sets, h)));
}

static void *as_thread(void *arg)
{
    pauses_and_sets(arg);
    return NULL;
}

static void a_thread(struct hope *h)
{
    CHECK_OK(pthread_detach(support_thread(as_thread, h)));
}

static void a_signal(struct hope *h)
{
    pid_t me = getpid();
    CHECK_OK(pirn_signal_add(SIGUSR1, sets, h, NULL));
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        support_pause_ms(STILL_MS);
        _exit(kill(me, SIGUSR1) != 0);
    }
}

static void *runs_another(void *arg)
{
    CHECK_OK(support_run(2, sleeps_and_sets, arg));
    return NULL;
}

static void a_runtime(struct hope *h)
{
    CHECK_OK(pthread_detach(support_thread(runs_another, h)));
}

static void (*const hopes_for[])(struct hope *h) = {
    a_timer,         a_call,      a_wall_clock, an_operation, a_job,    a_pinned_sleep,
    a_pinned_thread, a_coroutine, a_thread,     a_signal,     a_runtime};

static void all_hopes(int workers)
{
    for (size_t i = 0; i < sizeof(hopes_for) / sizeof(hopes_for[0]); i++)
        hopes(workers, hopes_for[i]);
}

START_TEST(a172_not_while_anything_may_happen)
{
    struct child c[5];
    FOR_WORKERS(w)
    child_start(&c[w], all_hopes, w);
    FOR_WORKERS(w)
    {
        child_end(&c[w], false);
        CHECK_EQ(lines_with(&c[w], "can happen"), 0);
        CHECK_EQ(lines_with(&c[w], "for ever"), 0);
    }
}
END_TEST

static int waits_for_sigint(void *arg)
{
    CHECK_EQ(waits_for(arg), -ECANCELED);
    return 7;
}

static void has_sigint_cancel(int workers)
{
    pirn_config config = config_of(workers, PIRN_DEADLOCK_ENDS | PIRN_SIGINT_CANCELS);
    int status = -1;
    CHECK_OK(pirn_run_with(&config, waits_for_sigint, new_future(), &status));
    CHECK_EQ(status, 7);
}

START_TEST(a172_not_while_sigint_cancels)
{
    FOR_WORKERS(w)
    {
        struct child c;
        child_start(&c, has_sigint_cancel, w);
        child_read(&c, STILL_MS);
        CHECK_OK(kill(c.pid, SIGINT));
        child_end(&c, false);
        CHECK_EQ(c.used, 0);
    }
}
END_TEST

/* ---- At the very moment at which it might be so ------------------------------------------ */

static void *thread_round(void *arg)
{
    support_spin(support_between(0, 20 * US));
    support_pause_ms((int)support_between(0, 12));
    sets(arg);
    return NULL;
}

static int pause_some(void *arg)
{
    (void)arg;
    support_pause_ms((int)support_between(0, 12));
    return 0;
}

static int job_round(void *arg)
{
    CHECK_OK(pirn_blocking(pause_some, NULL, NULL, PIRN_NEVER));
    return sets(arg);
}

static int timer_round(void *arg)
{
    CHECK_OK(pirn_sleep(pirn_after_us(support_between(0, 12000))));
    return sets(arg);
}

/* Each round all but one thing is at rest, for about as long as the monitor takes to look. */
static int nearly_quiet(void *arg)
{
    int64_t until = support_now() + *(int *)arg * MS;
    for (int round = 0; support_now() < until; round++) {
        struct hope h = {new_future(), NULL, -1};
        if (round % 4 == 0)
            CHECK_OK(pthread_detach(support_thread(thread_round, &h)));
        else if (round % 4 == 1)
            pinned(&h, timer_round);
        else
            CHECK_OK(pirn_detach(support_spawn(round % 4 == 2 ? job_round : timer_round, &h)));
        CHECK_OK(waits_for(h.future));
        CHECK_OK(pirn_sleep(pirn_after_us(support_between(0, 500)))); /* they are through with h */
        CHECK_OK(pirn_release(h.future));
    }
    return 0;
}

static void races(int workers)
{
    pirn_config config = config_of(workers, PIRN_DEADLOCK_ENDS);
    int ms = 1000, status = -1;
    CHECK_OK(pirn_run_with(&config, nearly_quiet, &ms, &status));
    CHECK_OK(status);
}

START_TEST(a172_never_too_early)
{
    struct child c[5];
    FOR_WORKERS(w)
    child_start(&c[w], races, w);
    FOR_WORKERS(w)
    {
        child_end(&c[w], false);
        CHECK_EQ(c[w].used, 0);
    }
}
END_TEST

static int blocked(void *arg)
{
    (void)arg;
    return waits_for(new_future());
}

static void ends_after_races(int workers)
{
    pirn_config config = config_of(workers, PIRN_DEADLOCK_ENDS);
    int ms = 50, status = -1;
    for (int i = 0; i < support_rounds(20); i++) {
        CHECK_OK(pirn_run_with(&config, nearly_quiet, &ms, &status));
        CHECK_EQ(pirn_run_with(&config, blocked, NULL, &status), -EDEADLK);
    }
}

START_TEST(a172_always_in_the_end)
{
    struct child c[5];
    FOR_WORKERS(w)
    child_start(&c[w], ends_after_races, w);
    FOR_WORKERS(w)
    {
        child_end(&c[w], false);
        CHECK_EQ(lines_with(&c[w], "1 task is waiting for ever"), support_rounds(20));
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {a172_reported_once,
                            s68_the_await_site_is_named,
                            a172_the_run_ends,
                            a172_a_runtime_runs_again,
                            a172_two_runtimes,
                            a172_not_while_anything_may_happen,
                            a172_not_while_sigint_cancels,
                            a172_never_too_early,
                            a172_always_in_the_end};
    if (support_tsan())
        return 77;
    return support_main("deadlock", tests, sizeof(tests) / sizeof(tests[0]));
}
