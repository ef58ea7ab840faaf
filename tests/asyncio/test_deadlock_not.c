/* Blocked for ever: never said while anything may still happen, nor too early, nor left out. */
#include "tests/asyncio/deadlock.h"

/* ---- When it is not: each thing that may still happen happens, and ends the wait --------- */

static int still_ms = STILL_MS;
static unsigned flags = PIRN_DEADLOCK_ENDS | PIRN_DEBUG;

struct hope {
    pirn_future *future;
    pirn_runtime *runtime;
    int fd;
};

static int sets(void *arg)
{
    struct hope *h = arg;
    pirn_future *future =
        h->future; /* a reference of ours: who waits goes on as soon as it is set */
    int rc = pirn_future_set(future, 0, NULL);
    pirn_release(future);
    return rc;
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
    pirn_retain(h->hope.future);
    h->start(&h->hope);
    return waits_for(h->hope.future);
}

static void hopes(int workers, void (*start)(struct hope *h))
{
    pirn_config config = config_of(workers, flags);
    struct hopeful h = {{new_future(), NULL, -1}, start};
    int status = -12345;
    CHECK_OK(pirn_run_with(&config, waits_in_hope, &h, &status));
    CHECK_OK(status);
    CHECK_OK(pirn_release(h.hope.future));
}

static int sleeps_and_sets(void *arg)
{
    CHECK_OK(pirn_sleep(pirn_after_ms(still_ms)));
    return sets(arg);
}

static void a_timer(struct hope *h)
{
    CHECK_OK(pirn_detach(support_spawn(sleeps_and_sets, h)));
}

static void a_call(struct hope *h)
{
    CHECK_OK(pirn_call_at(NULL, NULL, sets, h, pirn_after_ms(still_ms)));
}

static int sleeps_by_the_wall(void *arg)
{
    pirn_time until = {pirn_clock_now(PIRN_CLOCK_WALL).ns + still_ms * MS};
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
        support_pause_ms(still_ms);
        _exit(write(pair[1], "x", 1) != 1);
    }
    CHECK_OK(pirn_detach(support_spawn(reads_and_sets, h)));
}

static int pauses(void *arg)
{
    (void)arg;
    support_pause_ms(still_ms);
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
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_spawn_with(&task, &config, fn, h));
    CHECK_OK(pirn_detach(task));
}

static int pauses_and_sets(void *arg)
{
    support_pause_ms(still_ms);
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
        support_pause_ms(still_ms);
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

/* Without a flag there is one look, a while after everything has come to rest. */
static void all_hopes_by_default(int workers)
{
    flags = 0;
    still_ms = 500;
    all_hopes(workers);
}

static void none_is_said(child_fn fn)
{
    struct child c[5];
    FOR_WORKERS(w)
    child_start(&c[w], fn, w);
    FOR_WORKERS(w)
    {
        child_end(&c[w], false);
        CHECK_EQ(lines_with(&c[w], "can happen"), 0);
        CHECK_EQ(lines_with(&c[w], "for ever"), 0);
    }
}

START_TEST(a172_not_while_anything_may_happen)
{
    none_is_said(all_hopes);
    none_is_said(all_hopes_by_default);
}
END_TEST

static int waits_for_sigint(void *arg)
{
    CHECK_EQ(write(2, "ready\n", 6), 6); /* to be interrupted */
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
        while (c.used < 6)
            child_read(&c, STILL_MS);
        child_read(&c, STILL_MS);
        CHECK_OK(kill(c.pid, SIGINT));
        child_end(&c, false);
        CHECK_EQ(c.used, 6); /* and nothing else */
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
        pirn_retain(h.future);
        if (round % 4 == 0)
            CHECK_OK(pthread_detach(support_thread(thread_round, &h)));
        else if (round % 4 == 1)
            pinned(&h, timer_round);
        else
            CHECK_OK(pirn_detach(support_spawn(round % 4 == 2 ? job_round : timer_round, &h)));
        CHECK_OK(waits_for(h.future));
        CHECK_OK(pirn_sleep(pirn_after_us(support_between(0, 500))));
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

DEADLOCK_MAIN("deadlock_not", a172_not_while_anything_may_happen, a172_not_while_sigint_cancels,
              a172_never_too_early, a172_always_in_the_end)
