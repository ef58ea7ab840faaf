/*
 * Signals as a whole process sees them: SIGINT and the dump signal while every worker is stuck, a
 * wild pointer beside the overflow report, earlier handlers, and the many ways to earn a SIGPIPE.
 */
#include <fcntl.h>

#include "tests/process/scenario.h"

enum {
    SPINNERS = 4
};

static atomic_int began, stop;
static volatile sig_atomic_t earlier_ran;

static void earlier(int signal)
{
    (void)signal;
    earlier_ran++;
}

static void install(int signal, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    CHECK_OK(sigaction(signal, &action, NULL));
}

static bool is_installed(int signal, void (*handler)(int))
{
    struct sigaction action;

    CHECK_OK(sigaction(signal, NULL, &action));
    return action.sa_handler == handler;
}

static int spin_until_stopped(void *arg)
{
    (void)arg;
    atomic_fetch_add(&began, 1);
    while (!atomic_load(&stop)) {}
    return 0;
}

/* As many spinners as may run at once: every worker and its stand-in are stuck. */
static void spawn_spinners(pirn_task **ret_tasks)
{
    char name[32];
    int i;

    for (i = 0; i < SPINNERS; i++) {
        snprintf(name, sizeof(name), "spinner-%d", i);
        ret_tasks[i] = support_spawn_named(name, spin_until_stopped, NULL);
    }
    support_until(&began, 2);
}

static void stop_spinners(pirn_task **tasks)
{
    int i;

    atomic_store(&stop, 1);
    for (i = 0; i < SPINNERS; i++)
        CHECK_OK(support_join(tasks[i]));
}

static void *kill_soon(void *arg)
{
    int signal = (int)(intptr_t)arg;

    support_pause_ms(20);
    /* To the first thread, which sleeps in pirn_run. Any may take what is sent to the process, and
     * TSan keeps what a spinner took (one of 300, with a busy machine) until that has ended. */
    tgkill(getpid(), getpid(), signal);
    return NULL;
}

static int run_two(unsigned flags, int dump_signal, pirn_fn fn)
{
    pirn_config config = PIRN_CONFIG_INIT;
    int status = 0, err;

    config.workers = 2;
    config.flags = flags;
    config.dump_signal = dump_signal;
    err = pirn_run_with(&config, fn, NULL, &status);
    return err < 0 ? err : status;
}

/* ---- SIGINT ----------------------------------------------------------------------------- */

static int interrupted(void *arg)
{
    pirn_task *spinners[SPINNERS];
    pthread_t thread;

    (void)arg;
    spawn_spinners(spinners);
    thread = support_thread(kill_soon, (void *)(intptr_t)SIGINT);
    CHECK_EQ(pirn_sleep(pirn_after_s(100)), -ECANCELED);
    support_thread_join(thread);
    stop_spinners(spinners);
    return -ECANCELED;
}

static int sigint(void *arg)
{
    (void)arg;
    install(SIGINT, earlier);
    CHECK_EQ(run_two(PIRN_SIGINT_CANCELS, 0, interrupted), -EINTR);
    CHECK(is_installed(SIGINT, earlier));
    return 0;
}

/* ---- The dump signal -------------------------------------------------------------------- */

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

/* What the program writes to stderr, which is a pipe to itself. */
static int dump_pipe[2];
static char dump_text[65536];
static size_t dump_used;

static bool all_are_named(const char *text)
{
    static const char *const names[] = {"sleeping-beauty", "spinner-0", "spinner-1", "spinner-2",
                                        "spinner-3"};
    bool all = true;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        all = all && support_words(text, names[i]) >= 1;
    return all;
}

static int dumped(void *arg)
{
    pirn_task *spinners[SPINNERS], *sleeper;

    (void)arg;
    sleeper = support_spawn_named("sleeping-beauty", sleep_for_ever, NULL);
    spawn_spinners(spinners);
    support_thread_join(support_thread(kill_soon, (void *)(intptr_t)SIGUSR1));
    while (!all_are_named(dump_text)) { /* it is written while they spin */
        CHECK(dump_used + 1 < sizeof(dump_text));
        ssize_t n = pirn_read(dump_pipe[0], dump_text + dump_used,
                              sizeof(dump_text) - 1 - dump_used, PIRN_NEVER);
        CHECK(n > 0);
        dump_used += (size_t)n;
    }
    stop_spinners(spinners);
    CHECK_OK(pirn_cancel(sleeper, NULL));
    CHECK_EQ(support_join(sleeper), -ECANCELED);
    return 0;
}

static int dump(void *arg)
{
    int real = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    (void)arg;
    CHECK(real >= 0);
    support_pipe(dump_pipe);
    CHECK_EQ(dup2(dump_pipe[1], STDERR_FILENO), STDERR_FILENO);
    install(SIGUSR1, earlier);
    CHECK_OK(run_two(0, SIGUSR1, dumped));
    CHECK_EQ(dup2(real, STDERR_FILENO), STDERR_FILENO);
    while (earlier_ran == 0) /* it is chained to, on whatever thread */
        support_pause_ms(1);
    CHECK_EQ(earlier_ran, 1);
    CHECK(is_installed(SIGUSR1, earlier));
    return 0;
}

static void check_dump(void)
{
    static char text[65536];
    int status = run_child(dump, NULL, 30, text, sizeof(text)); /* else it waits for the names */

    if (status != 0)
        FAIL("wait status %#x, stderr: %s", (unsigned)status, text);
    printf("dump: ok\n");
}

/* ---- A wild pointer --------------------------------------------------------------------- */

static void say_and_leave(int signal)
{
    static const char said[] = "the earlier handler ran\n";

    (void)signal;
    _exit(write(STDERR_FILENO, said, sizeof(said) - 1) > 0 ? 42 : 1);
}

static int follow_wild_pointer(void *arg)
{
    int *volatile wild = (int *)8;

    (void)arg;
    return *wild;
}

static int go_wild(void *arg)
{
    struct rlimit no_core = {0, 0};

    setrlimit(RLIMIT_CORE, &no_core);
    if (arg)
        install(SIGSEGV, say_and_leave);
    return run_two(PIRN_REPORT_OVERFLOW, 0, follow_wild_pointer);
}

/* No overflow, and not called one; the program's own handler, if there is one, has the say. */
static void check_wild_pointer(void)
{
    static char text[65536];
    int mark, status;

    status = run_child(go_wild, NULL, 30, text, sizeof(text));
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGSEGV);
    CHECK_EQ(support_words(text, "overflow"), 0);
    status = run_child(go_wild, &mark, 30, text, sizeof(text));
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 42);
    CHECK_EQ(support_words(text, "overflow"), 0);
    CHECK(strstr(text, "the earlier handler ran") != NULL);
    printf("wild pointer: ok\n");
}

/* ---- SIGPIPE ---------------------------------------------------------------------------- */

static void check_broken(ssize_t result)
{
    CHECK_EITHER(result, -EPIPE, -ECONNRESET);
}

/* The peer is gone already. */
static void talk_to_nobody(void)
{
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    int fds[2], i;

    for (i = 0; i < 2; i++) {
        if (i == 0)
            support_pair(fds);
        else
            support_tcp_pair(fds);
        close(fds[1]);
        while (pirn_send(fds[0], "x", 1, 0, PIRN_NEVER) == 1) /* TCP hears of it a little later */
            CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        check_broken(pirn_send(fds[0], "x", 1, 0, PIRN_NEVER));
        check_broken(pirn_sendmsg(fds[0], &message, 0, PIRN_NEVER));
        check_broken(pirn_write(fds[0], "x", 1, PIRN_NEVER));
        CHECK_OK(pirn_close(fds[0]));
    }
    support_pipe(fds);
    close(fds[0]);
    check_broken(pirn_write(fds[1], "x", 1, PIRN_NEVER));
    CHECK_OK(pirn_close(fds[1]));
}

static void *close_soon(void *arg)
{
    support_pause_ms(20);
    close(*(int *)arg);
    return NULL;
}

/* The peer goes while the call waits for room. */
static void talk_until_gone(void)
{
    static const char much[1 << 20];
    pthread_t thread;
    ssize_t sent;
    int fds[2];

    support_pair(fds);
    support_fill(fds[0]);
    thread = support_thread(close_soon, &fds[1]);
    check_broken(pirn_send(fds[0], much, sizeof(much), 0, PIRN_NEVER));
    support_thread_join(thread);
    CHECK_OK(pirn_close(fds[0]));

    support_tcp_pair(fds);
    thread = support_thread(close_soon, &fds[1]);
    do {
        sent = pirn_send(fds[0], much, sizeof(much), 0, PIRN_NEVER);
    } while (sent > 0); /* a part of it first */
    check_broken(sent);
    support_thread_join(thread);
    CHECK_OK(pirn_close(fds[0]));

    support_pipe(fds);
    support_fill(fds[1]);
    thread = support_thread(close_soon, &fds[0]);
    check_broken(pirn_write(fds[1], much, sizeof(much), PIRN_NEVER));
    support_thread_join(thread);
    CHECK_OK(pirn_close(fds[1]));
}

static void earn_sigpipe(void)
{
    talk_to_nobody();
    talk_until_gone();
}

/* On a plain thread and in coroutines; SIGPIPE would end this process. */
static int sigpipe(void *arg)
{
    (void)arg;
    install(SIGPIPE, SIG_DFL);
    support_everywhere(earn_sigpipe);
    CHECK(is_installed(SIGPIPE, SIG_DFL));
    return 0;
}

int main(void)
{
    scenario("sigint", sigint, NULL, 30);
    check_dump();
    if (!ASAN && !TSAN) /* they have handlers of their own for it */
        check_wild_pointer();
    return scenario("sigpipe", sigpipe, NULL, 60);
}
