/* Opt-in signals: the first SIGINT or SIGTERM cancels main, a second ends the process; the dump
 * signal. */
#include "tests/support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

static atomic_int own_handler_ran;

static void own_handler(int signal)
{
    (void)signal;
    own_handler_ran++;
}

static int interrupted(void *arg)
{
    kill(getpid(), SIGINT);
    int rc = pirn_sleep(pirn_after_s(1000));
    CHECK_EQ(rc, -ECANCELED);
    CHECK_OK(pirn_sleep(pirn_after_ms(1))); /* clean-up works */
    return arg ? *(int *)arg : rc;
}

static pirn_config with_sigint(void)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = 2;
    config.flags = PIRN_SIGINT_CANCELS;
    return config;
}

START_TEST(cancels_main)
{
    struct sigaction mine = {.sa_handler = own_handler}, now;
    CHECK_OK(sigaction(SIGINT, &mine, NULL));
    pirn_config config = with_sigint();
    int status = -12345;
    CHECK_OK(pirn_run_with(&config, interrupted, NULL, &status));
    CHECK_EQ(status, -EINTR);
    CHECK_OK(sigaction(SIGINT, NULL, &now));
    CHECK(now.sa_handler == own_handler); /* as before */
}
END_TEST

/* A main that absorbs the cancel and returns a value is believed. */
START_TEST(absorbed)
{
    pirn_config config = with_sigint();
    int value = 6, status = -12345;
    CHECK_OK(pirn_run_with(&config, interrupted, &value, &status));
    CHECK_EQ(status, 6);
}
END_TEST

static int not_asked(void *arg)
{
    (void)arg;
    kill(getpid(), SIGINT);
    while (own_handler_ran == 0) /* on whatever thread */
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_OK(pirn_sleep(pirn_after_ms(20)));
    return 0;
}

/* Unasked, a program's signals are its own. */
START_TEST(left_alone_unless_asked)
{
    struct sigaction mine = {.sa_handler = own_handler};
    CHECK_OK(sigaction(SIGINT, &mine, NULL));
    own_handler_ran = 0;
    CHECK_OK(support_run(2, not_asked, NULL));
    CHECK_EQ(own_handler_ran, 1);
    signal(SIGINT, SIG_DFL);
}
END_TEST

/* A second signal is one only when it comes later than this. */
static void let_the_first_pass(void)
{
    CHECK_OK(pirn_sleep(pirn_after_ms(300)));
}

static int ignores_the_first(void *arg)
{
    (void)arg;
    kill(getpid(), SIGINT);
    while (pirn_sleep(pirn_after_s(1000)) != -ECANCELED) {}
    let_the_first_pass();
    kill(getpid(), SIGINT);
    pirn_sleep(pirn_after_s(1000));
    return 0;
}

START_TEST(second_ends_the_process)
{
    if (support_tsan()) /* which wants no threads after a fork of threads */
        return;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        pirn_config config = with_sigint();
        _exit(pirn_run_with(&config, ignores_the_first, NULL, NULL) == 0 ? 3 : 4);
    }
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGINT : WEXITSTATUS(status) == 128 + SIGINT);
}
END_TEST

/* ---- SIGTERM, with and without SIGINT -------------------------------------------------------- */

struct ending {
    unsigned flags;
    int first, second; /* signals; 0: none */
};

static int terminated(void *arg)
{
    const struct ending *e = arg;
    kill(getpid(), e->first);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_OK(strcmp(pirn_cancel_reason(), e->first == SIGTERM ? "SIGTERM" : "SIGINT"));
    if (e->second != 0) {
        let_the_first_pass();
        kill(getpid(), e->second);
        pirn_sleep(PIRN_NEVER);
    }
    return -ECANCELED;
}

static int end_by(struct ending e)
{
    pirn_config config = PIRN_CONFIG_INIT;
    int status = -12345;
    config.workers = 2;
    config.flags = e.flags;
    CHECK_OK(pirn_run_with(&config, terminated, &e, &status));
    return status;
}

START_TEST(sigterm_cancels_main)
{
    enum {
        BOTH = PIRN_SIGINT_CANCELS | PIRN_SIGTERM_CANCELS
    };
    struct sigaction mine = {.sa_handler = own_handler}, now;
    CHECK_OK(sigaction(SIGTERM, &mine, NULL));
    CHECK_EQ(end_by((struct ending){PIRN_SIGTERM_CANCELS, SIGTERM, 0}), -EINTR);
    CHECK_EQ(end_by((struct ending){BOTH, SIGTERM, 0}), -EINTR);
    CHECK_EQ(end_by((struct ending){BOTH, SIGINT, 0}), -EINTR);
    CHECK_OK(sigaction(SIGTERM, NULL, &now));
    CHECK(now.sa_handler == own_handler); /* as before */
    signal(SIGTERM, SIG_DFL);
}
END_TEST

START_TEST(the_second_of_either_kind_ends_the_process)
{
    static const int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 4 && !support_tsan(); i++) { /* see above */
        const int first = signals[i / 2], second = signals[i % 2];
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            signal(SIGINT, SIG_DFL);
            signal(SIGTERM, SIG_DFL);
            end_by((struct ending){PIRN_SIGINT_CANCELS | PIRN_SIGTERM_CANCELS, first, second});
            _exit(3);
        }
        int status = 0;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == second);
    }
}
END_TEST

/* As timeout(1) has it: the same twice, at once. A child that is stopped so long between the two
 * that they are two has shown nothing: again. */
static int signalled_twice(void *arg)
{
    const int *signals = arg;
    kill(getpid(), signals[0]);
    kill(getpid(), signals[1]);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_sleep(pirn_after_ms(1))); /* clean-up works */
    return -ECANCELED;
}

START_TEST(what_is_sent_twice_at_once_is_one)
{
    static int signals[][2] = {{SIGTERM, SIGINT}, {SIGTERM, SIGTERM}, {SIGINT, SIGINT}};
    int i = 0;
    while (i < 3 && !support_tsan()) { /* see above */
        fflush(NULL);
        const pirn_time begin = pirn_now();
        pid_t pid = fork();
        if (pid == 0) {
            pirn_config config = with_sigint();
            config.flags |= PIRN_SIGTERM_CANCELS;
            signal(SIGINT, SIG_DFL);
            signal(SIGTERM, SIG_DFL);
            int status = 0, rc = pirn_run_with(&config, signalled_twice, signals[i], &status);
            _exit(rc == 0 && status == -EINTR ? 0 : 3);
        }
        int status = 0;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFSIGNALED(status) ? pirn_now().ns - begin.ns > 250 * 1000 * 1000
                                  : WEXITSTATUS(status) == 0);
        i += !WIFSIGNALED(status);
    }
}
END_TEST

static int left_alone(void *arg)
{
    (void)arg;
    kill(getpid(), SIGINT);
    while (own_handler_ran == 0)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    return 0;
}

/* Who asks for SIGTERM has not asked for SIGINT. */
START_TEST(each_by_itself)
{
    struct sigaction mine = {.sa_handler = own_handler};
    pirn_config config = PIRN_CONFIG_INIT;
    CHECK_OK(sigaction(SIGINT, &mine, NULL));
    own_handler_ran = 0;
    config.workers = 2;
    config.flags = PIRN_SIGTERM_CANCELS;
    CHECK_OK(support_run_with(&config, left_alone, NULL));
    CHECK_EQ(own_handler_ran, 1);
    signal(SIGINT, SIG_DFL);
}
END_TEST

static int sleep_long(void *arg)
{
    return pirn_sleep(arg ? PIRN_NEVER : PIRN_NOW);
}

static int ask_for_dump(void *arg)
{
    int reader = *(int *)arg;
    pirn_task *task = support_spawn_named("dumped-one", sleep_long, arg);
    CHECK_OK(pirn_sleep(pirn_after_ms(5)));
    kill(getpid(), SIGUSR1);
    char text[16384];
    size_t used = 0;
    while (used == 0 || support_words(text, "dumped-one") == 0) {
        ssize_t n = pirn_read(reader, text + used, sizeof(text) - 1 - used, pirn_after_s(60));
        CHECK(n > 0);
        used += (size_t)n;
        text[used] = 0;
    }
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    return 0;
}

START_TEST(dump_signal)
{
    struct sigaction before, after;
    CHECK_OK(sigaction(SIGUSR1, NULL, &before));
    int ends[2], real_stderr = fcntl(2, F_DUPFD_CLOEXEC, 3);
    support_pipe(ends);
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    CHECK_EQ(dup2(ends[1], 2), 2);
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = 2;
    config.dump_signal = SIGUSR1;
    int rc = support_run_with(&config, ask_for_dump, &ends[0]);
    CHECK_EQ(dup2(real_stderr, 2), 2);
    CHECK_OK(rc);
    CHECK_OK(sigaction(SIGUSR1, NULL, &after));
    CHECK(before.sa_handler == after.sa_handler);
    close(ends[0]);
    close(ends[1]);
    close(real_stderr);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {cancels_main,
                            absorbed,
                            left_alone_unless_asked,
                            second_ends_the_process,
                            dump_signal,
                            sigterm_cancels_main,
                            the_second_of_either_kind_ends_the_process,
                            what_is_sent_twice_at_once_is_one,
                            each_by_itself};
    return support_main("sigint", tests, sizeof(tests) / sizeof(tests[0]));
}
