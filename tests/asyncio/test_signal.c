/* Signals: SIGINT as a cancel, and functions of the program's that run as coroutines. */
#include "tests/support.h"

#include <signal.h>
#include <sys/wait.h>

static volatile sig_atomic_t earlier_ran;

static void earlier(int signo)
{
    (void)signo;
    earlier_ran++;
}

static void install(int signo, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    CHECK_OK(sigaction(signo, &action, NULL));
}

static bool is_installed(int signo, void (*handler)(int))
{
    struct sigaction action;
    CHECK_OK(sigaction(signo, NULL, &action));
    return action.sa_handler == handler;
}

static pirn_config with_sigint(int workers)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = workers;
    config.flags = PIRN_SIGINT_CANCELS;
    return config;
}

/* ---- A9, A10: SIGINT cancels main -------------------------------------------------------- */

struct interrupted {
    int value;         /* what main makes of it; 0: passes it on */
    int before, after; /* it is also cancelled by another task, before or after */
    bool second;       /* another SIGINT, during the clean-up */
};

static int cancel_main(void *arg)
{
    return pirn_cancel(arg, "another task");
}

static int is_interrupted(void *arg)
{
    struct interrupted *i = arg;
    if (i->before) {
        CHECK_OK(pirn_detach(support_spawn(cancel_main, pirn_current())));
        CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    }
    kill(getpid(), SIGINT);
    int rc = pirn_sleep(PIRN_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK(strcmp(pirn_cancel_reason(), "SIGINT") == 0);
    CHECK_OK(pirn_sleep(pirn_after_ms(1))); /* clean-up works */
    if (i->second) {
        CHECK_OK(pirn_sleep(pirn_after_ms(300))); /* sooner it would be the first once more */
        kill(getpid(), SIGINT);
        pirn_sleep(PIRN_NEVER);
    }
    if (i->after) {
        CHECK_OK(pirn_detach(support_spawn(cancel_main, pirn_current())));
        CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    }
    return i->value != 0 ? i->value : rc;
}

static int interrupt(int workers, struct interrupted i)
{
    pirn_config config = with_sigint(workers);
    int status = -12345;
    CHECK_OK(pirn_run_with(&config, is_interrupted, &i, &status));
    return status;
}

START_TEST(a9_sigint_cancels_main)
{
    install(SIGINT, earlier);
    FOR_WORKERS(w)
    {
        CHECK_EQ(interrupt(w, (struct interrupted){0}), -EINTR);
        CHECK(is_installed(SIGINT, earlier));
    }
    install(SIGINT, SIG_DFL);
    if (support_tsan()) /* which wants no threads after a fork of threads */
        return;
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        interrupt(2, (struct interrupted){.second = true});
        _exit(3);
    }
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGINT : WEXITSTATUS(status) == 128 + SIGINT);
}
END_TEST

START_TEST(a10_absorbed_or_cancelled_too)
{
    FOR_WORKERS(w)
    {
        CHECK_EQ(interrupt(w, (struct interrupted){.value = 10}), 10);
        CHECK_EQ(interrupt(w, (struct interrupted){.before = 1}), -ECANCELED);
        CHECK_EQ(interrupt(w, (struct interrupted){.after = 1}), -ECANCELED);
    }
}
END_TEST

/* ---- S92: cancel every task, stop, run again, close -------------------------------------- */

struct workshop {
    pirn_task *tasks[3];
    atomic_int began, cancelled;
};

static int works(void *arg)
{
    struct workshop *s = arg;
    if (atomic_fetch_add(&s->began, 1) == 2)
        kill(getpid(), SIGINT);
    int rc = pirn_sleep(pirn_after_s(600));
    CHECK_EQ(rc, -ECANCELED);
    atomic_fetch_add(&s->cancelled, 1);
    return rc;
}

START_TEST(s92_interrupted_loop)
{
    FOR_WORKERS(w)
    {
        struct workshop s = {0};
        pirn_spawn_config there = PIRN_SPAWN_CONFIG_INIT;
        pirn_config config = with_sigint(w);
        CHECK_OK(pirn_runtime_new(&there.runtime, &config));
        for (int i = 0; i < 3; i++)
            CHECK_OK(pirn_spawn_with(&s.tasks[i], &there, works, &s));
        CHECK_EQ(pirn_runtime_run_forever(there.runtime), -EINTR);
        CHECK_EQ(atomic_load(&s.cancelled), 0);
        for (int i = 0; i < 3; i++)
            CHECK_OK(pirn_cancel(s.tasks[i], "interrupted"));
        for (int i = 0; i < 3; i++) {
            int status = -1;
            CHECK_OK(pirn_runtime_run_until_done(there.runtime, s.tasks[i], &status));
            CHECK_EQ(status, -ECANCELED);
            CHECK_OK(pirn_release(s.tasks[i]));
        }
        CHECK_EQ(atomic_load(&s.cancelled), 3);
        CHECK_OK(pirn_runtime_free(there.runtime));
    }
}
END_TEST

/* ---- A170, S94: functions for signals ---------------------------------------------------- */

struct heard {
    atomic_int runs, began, hold;
    pirn_future *future;
    char *text;
};

static int hears(void *arg)
{
    struct heard *h = arg;
    CHECK(pirn_current());
    CHECK_EQ(pirn_on_worker(), 1);
    atomic_fetch_add(&h->began, 1);
    while (atomic_load(&h->hold))
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
    char *text = malloc(64);
    CHECK(text);
    snprintf(text, 64, "run %d", atomic_fetch_add(&h->runs, 1) + 1);
    free(h->text);
    h->text = text;
    if (h->future)
        pirn_future_set(h->future, 0, NULL);
    return 0;
}

static void *send_soon(void *arg)
{
    support_pause_ms(3); /* so that all sleep */
    kill(getpid(), *(int *)arg);
    return NULL;
}

static int waits_idly(void *arg)
{
    struct heard *h = arg;
    int signo = SIGUSR1;
    CHECK_OK(pirn_future_new(&h->future));
    CHECK_OK(pirn_signal_add(SIGUSR1, hears, h, NULL));
    pthread_t thread = support_thread(send_soon, &signo);
    CHECK_OK(pirn_future_await(h->future, NULL, NULL, PIRN_NEVER));
    support_thread_join(thread);
    CHECK_EQ(atomic_load(&h->runs), 1);
    CHECK(strcmp(h->text, "run 1") == 0);
    CHECK_EQ(pirn_signal_remove(SIGUSR1), 1);
    CHECK_EQ(pirn_signal_remove(SIGUSR1), 0);
    CHECK(is_installed(SIGUSR1, earlier));
    CHECK_OK(pirn_release(h->future));
    return 0;
}

START_TEST(a170_a_handler_is_a_callback)
{
    static const int bad[] = {0, -1, 1000, SIGKILL, SIGSTOP, SIGSEGV};
    install(SIGUSR1, earlier);
    FOR_WORKERS(w)
    {
        struct heard h = {0};
        earlier_ran = 0;
        CHECK_OK(support_run(w, waits_idly, &h));
        while (earlier_ran == 0) /* it is called as well, on whatever thread */
            support_pause_ms(1);
        CHECK_EQ(earlier_ran, 1);
        free(h.text);
    }
    struct heard h = {0};
    pirn_runtime *rt;
    CHECK_OK(pirn_runtime_new(&rt, NULL));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_EQ(pirn_signal_add(bad[i], hears, &h, rt), -EINVAL);
        if (bad[i] != SIGSEGV)
            CHECK_EQ(pirn_signal_remove(bad[i]), -EINVAL);
    }
    CHECK_EQ(pirn_signal_add(SIGUSR1, NULL, &h, rt), -EINVAL);
    CHECK_EQ(pirn_signal_add(SIGUSR1, hears, &h, NULL), -EPERM);
    CHECK(is_installed(SIGUSR1, earlier));
    CHECK_OK(pirn_runtime_free(rt));
}
END_TEST

static int groups(void *arg)
{
    struct heard *h = arg;
    CHECK_OK(pirn_signal_add(SIGUSR1, hears, h, NULL));
    for (int round = 1; round <= 10; round++) {
        atomic_store(&h->hold, 1);
        raise(SIGUSR1);
        support_until(&h->began, 2 * round - 1);
        for (int i = 0; i < 5; i++) /* one group, while it is at work */
            raise(SIGUSR1);
        CHECK_OK(pirn_sleep(pirn_after_ms(7))); /* longer than the monitor's tick */
        CHECK_EQ(atomic_load(&h->began), 2 * round - 1);
        atomic_store(&h->hold, 0);
        support_until(&h->runs, 2 * round);
    }
    CHECK_OK(pirn_sleep(pirn_after_ms(7)));
    CHECK_EQ(atomic_load(&h->runs), 20);
    return 0;
}

START_TEST(s94_once_for_each_group)
{
    install(SIGUSR1, earlier);
    FOR_WORKERS(w)
    {
        struct heard h = {0};
        CHECK_OK(support_run(w, groups, &h));
        CHECK(is_installed(SIGUSR1, earlier)); /* the runtime's end has removed it */
        free(h.text);
    }
}
END_TEST

static int one_each(void *arg)
{
    struct heard *h = arg;
    support_until(&h[0].runs, 1);
    return 0;
}

/* It stands in for the cancel of main; adding replaces; another runtime may not; a paused one keeps
 * it for its next run. */
START_TEST(a170_whose_it_is)
{
    install(SIGINT, earlier);
    FOR_WORKERS(w)
    {
        struct heard h[2] = {{0}};
        pirn_runtime *mine, *other;
        pirn_config config = with_sigint(w);
        CHECK_OK(pirn_runtime_new(&mine, &config));
        CHECK_OK(pirn_runtime_new(&other, NULL));
        CHECK_OK(pirn_signal_add(SIGINT, hears, &h[1], mine));
        CHECK_OK(pirn_signal_add(SIGINT, hears, &h[0], mine));
        CHECK_EQ(pirn_signal_add(SIGINT, hears, &h[1], other), -EBUSY);
        raise(SIGINT);
        raise(SIGINT);
        support_pause_ms(2);
        CHECK_EQ(atomic_load(&h[0].began), 0);
        int status = -1;
        CHECK_OK(pirn_runtime_run_until_complete(mine, one_each, h, &status));
        CHECK_OK(status);
        CHECK_GE(atomic_load(&h[0].runs), 1); /* the second may have found it queued, or not */
        CHECK_LE(atomic_load(&h[0].runs), 2);
        CHECK_EQ(atomic_load(&h[1].runs), 0);
        CHECK_OK(pirn_runtime_close(mine));
        CHECK(is_installed(SIGINT, earlier));
        CHECK_OK(pirn_signal_add(SIGINT, hears, &h[1], other));
        CHECK_OK(pirn_runtime_free(other));
        CHECK(is_installed(SIGINT, earlier));
        CHECK_OK(pirn_runtime_free(mine));
        free(h[0].text);
    }
    install(SIGINT, SIG_DFL);
}
END_TEST

static atomic_int storm_over;

static void *storm(void *arg)
{
    (void)arg;
    while (!atomic_load(&storm_over)) {
        kill(getpid(), SIGUSR2);
        support_spin(support_between(0, 20 * US));
    }
    return NULL;
}

static int add_and_remove(void *arg)
{
    struct heard *h = arg;
    for (int i = 0; i < support_rounds(2000); i++) {
        CHECK_OK(pirn_signal_add(SIGUSR2, hears, h, NULL));
        support_spin(support_between(0, 50 * US));
        if (i % 4 == 0)
            CHECK_OK(pirn_yield());
        CHECK_EQ(pirn_signal_remove(SIGUSR2), 1);
    }
    CHECK_OK(pirn_signal_add(SIGUSR2, hears, h, NULL));
    support_until(&h->runs, atomic_load(&h->runs) + 3);
    return 0;
}

START_TEST(a170_added_and_removed_under_fire)
{
    install(SIGUSR2, SIG_IGN);
    FOR_WORKERS(w)
    {
        struct heard h = {0};
        atomic_store(&storm_over, 0);
        pthread_t thread = support_thread(storm, NULL);
        CHECK_OK(support_run(w, add_and_remove, &h));
        int runs = atomic_load(&h.runs);
        support_pause_ms(2);
        CHECK_EQ(atomic_load(&h.runs), runs);
        atomic_store(&storm_over, 1);
        support_thread_join(thread);
        CHECK(is_installed(SIGUSR2, SIG_IGN));
        free(h.text);
    }
    install(SIGUSR2, SIG_DFL);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a9_sigint_cancels_main,           a10_absorbed_or_cancelled_too, s92_interrupted_loop,
        a170_a_handler_is_a_callback,     s94_once_for_each_group,       a170_whose_it_is,
        a170_added_and_removed_under_fire};
    return support_main("signal", tests, sizeof(tests) / sizeof(tests[0]));
}
