/*
 * Task-locals: copied at spawn and where a callback is added, a child's own from then on, the same
 * on every thread. Reports: a hook that fails, and a stack that overflows.
 */
#include "tests/support.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

static pirn_local key, other_key;

/* ---- A173 -------------------------------------------------------------------------------- */

static int a, b, c;

static int sees(void *arg)
{
    CHECK(pirn_local_get(key) == arg);
    return 0;
}

static int child(void *arg)
{
    (void)arg;
    CHECK(pirn_local_get(key) == &a);
    CHECK(pirn_local_get(other_key) == NULL);
    for (int i = 0; i < 20; i++) { /* wherever it goes on */
        CHECK_OK(i % 2 == 0 ? pirn_yield() : pirn_sleep(pirn_after_us(20)));
        CHECK(pirn_local_get(key) == &a);
    }
    CHECK_OK(pirn_local_set(key, &b));
    CHECK_OK(pirn_yield());
    CHECK(pirn_local_get(key) == &b);
    CHECK_OK(support_join(support_spawn(sees, &b))); /* a grandchild has the child's */
    CHECK_OK(pirn_local_set(key, NULL));
    return support_join(support_spawn(sees, NULL));
}

struct heard {
    atomic_int calls;
    void *seen[4];
};

static void hears(pirn_awaitable *awaitable, void *user)
{
    struct heard *h = user;
    (void)awaitable;
    int n = atomic_load(&h->calls);
    h->seen[n] = pirn_local_get(key);
    CHECK_OK(pirn_local_set(key, &b)); /* the next one has its own */
    atomic_store(&h->calls, n + 1);
}

static void *adds_on_thread(void *arg)
{
    void **future_and_heard = arg;
    CHECK_OK(pirn_add_done_callback(future_and_heard[0], future_and_heard[2], hears,
                                    future_and_heard[1]));
    return NULL;
}

static int locals(void *arg)
{
    struct heard h = {0};
    pirn_future *future;
    pirn_task *task, *later;
    int status = -1;
    (void)arg;
    CHECK_OK(pirn_local_set(key, &a));
    task = support_spawn(child, NULL);
    CHECK_OK(pirn_coroutine_new(&later, NULL, sees, &a)); /* as it is now */
    CHECK_OK(pirn_yield());
    CHECK(pirn_local_get(key) == &a);
    CHECK_OK(support_join(task));
    CHECK(pirn_local_get(key) == &a); /* the child's changes are its own */
    CHECK_OK(pirn_local_set(key, &c));
    CHECK_OK(support_join(later));
    CHECK_OK(pirn_call_soon(NULL, &later, sees, &c));
    CHECK_OK(support_join(later));
    CHECK_OK(pirn_call_at(NULL, &later, sees, &c, pirn_after_us(100)));
    CHECK_OK(pirn_local_set(key, &b));
    CHECK_OK(support_join(later));
    CHECK_OK(pirn_blocking(sees, &b, &status, PIRN_NEVER)); /* a job has its caller's */
    CHECK_OK(status);
    /* Callbacks: each has those of who added it, as they were then. */
    CHECK_OK(pirn_future_new(&future));
    CHECK_OK(pirn_local_set(key, &a));
    CHECK_OK(pirn_add_done_callback(future, NULL, hears, &h));
    void *give[3] = {future, &h, pirn_runtime_current()};
    support_thread_join(support_thread(adds_on_thread, give));
    CHECK_OK(pirn_local_set(key, &c));
    CHECK_OK(pirn_add_done_callback(future, NULL, hears, &h));
    CHECK_OK(pirn_local_set(key, NULL));
    CHECK_OK(pirn_future_set(future, 0, NULL));
    support_until(&h.calls, 3);
    CHECK(h.seen[0] == &a && h.seen[1] == NULL && h.seen[2] == &c);
    CHECK(pirn_local_get(key) == NULL);
    return pirn_release(future);
}

START_TEST(a173_locals)
{
    CHECK_OK(pirn_local_new(&key));
    CHECK_OK(pirn_local_new(&other_key));
    CHECK_EQ(pirn_local_set(key, &a), -EPERM); /* a plain thread has none */
    CHECK(pirn_local_get(key) == NULL);
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(100); i++)
        CHECK_OK(support_run(w, locals, NULL));
}
END_TEST

/* ---- A171: a hook that fails ------------------------------------------------------------- */

static atomic_int hook_calls;

static void give_cause(int error)
{
    pirn_future *future;
    CHECK_OK(pirn_future_new(&future));
    CHECK_OK(pirn_future_set(future, error, NULL));
    CHECK_OK(pirn_release(future)); /* unread */
}

static void failing_hook(void *user, const char *line)
{
    (void)user;
    CHECK(strstr(line, "-5 ") != NULL);
    atomic_fetch_add(&hook_calls, 1);
    give_cause(-EXDEV);
    CHECK_EQ(pirn_close(-1), -EBADF);
}

static int fail_twice(void *arg)
{
    (void)arg;
    give_cause(-EIO);
    give_cause(-EIO);
    return 0;
}

START_TEST(a171_a_failing_hook_falls_back)
{
    FOR_WORKERS(w)
    {
        char text[1024] = {0};
        FILE *file = tmpfile();
        CHECK(file);
        int kept = dup(STDERR_FILENO);
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.report = failing_hook;
        atomic_store(&hook_calls, 0);
        fflush(stderr);
        CHECK(dup2(fileno(file), STDERR_FILENO) >= 0);
        CHECK_OK(support_run_with(&config, fail_twice, NULL));
        fflush(stderr);
        CHECK(dup2(kept, STDERR_FILENO) >= 0);
        close(kept);
        CHECK_EQ(atomic_load(&hook_calls), 2);
        rewind(file);
        CHECK(fread(text, 1, sizeof(text) - 1, file) > 0);
        fclose(file);
        CHECK_EQ(support_words(text, "-18"), 2); /* what the hook itself gave cause for */
        CHECK_EQ(support_words(text, "-5"), 0);
    }
}
END_TEST

/* ---- A29 --------------------------------------------------------------------------------- */

enum {
    NEIGHBOURS = 8,
    PATTERN = 16 * 1024
};

static volatile unsigned char *patterns[NEIGHBOURS];
static atomic_int published;

/* In the child process, on the stack it set aside: intact, or not. */
static void look_at_neighbours(int signo)
{
    (void)signo;
    for (int n = 0; n < NEIGHBOURS; n++)
        for (int i = 0; i < PATTERN; i++)
            if (patterns[n][i] != (unsigned char)(n + i))
                _exit(2);
    _exit(29);
}

static int neighbour(void *arg)
{
    volatile unsigned char pattern[PATTERN];
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < PATTERN; i++)
        pattern[i] = (unsigned char)(me + i);
    patterns[me] = pattern;
    atomic_fetch_add(&published, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    return pattern[0];
}

__attribute__((noinline)) static int recurse(int depth)
{
    volatile char frame[1000];
    int deeper = 0;
    frame[0] = (char)depth;
    if (depth < 1000000000)
        deeper = recurse(depth + 1);
    return deeper + frame[0];
}

static int runaway(void *arg)
{
    static char aside[64 * 1024];
    stack_t stack = {.ss_sp = aside, .ss_size = sizeof(aside)};
    if (arg != NULL)
        CHECK_OK(sigaltstack(&stack, NULL)); /* of the thread it is on */
    return recurse(0);
}

static int among_neighbours(void *arg)
{
    for (int i = 0; i < NEIGHBOURS / 2; i++)
        CHECK_OK(pirn_detach(support_spawn(neighbour, (void *)(intptr_t)i)));
    support_until(&published, NEIGHBOURS / 2);
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    config.name = "runaway";
    CHECK_OK(pirn_coroutine_new(&task, &config, runaway, arg));
    for (int i = NEIGHBOURS / 2; i < NEIGHBOURS; i++)
        CHECK_OK(pirn_detach(support_spawn(neighbour, (void *)(intptr_t)i)));
    support_until(&published, NEIGHBOURS);
    return support_join(task);
}

/* reports: the runtime names the task and the process dies; else its own handler looks around. */
static int die(int workers, bool reports, char *text, size_t size)
{
    int fds[2], status = 0;
    size_t have = 0;
    ssize_t got;
    support_pipe(fds);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        pirn_config config = PIRN_CONFIG_INIT;
        struct sigaction action = {.sa_handler = look_at_neighbours, .sa_flags = SA_ONSTACK};
        dup2(fds[1], STDERR_FILENO);
        support_alarm(200);
        config.workers = workers;
        config.flags = reports ? PIRN_REPORT_OVERFLOW : 0;
        if (!reports)
            CHECK_OK(sigaction(SIGSEGV, &action, NULL));
        _exit(pirn_run_with(&config, among_neighbours, reports ? NULL : &config, NULL) == 0 ? 1
                                                                                            : 2);
    }
    close(fds[1]);
    while (have + 1 < size && (got = read(fds[0], text + have, size - 1 - have)) > 0)
        have += (size_t)got;
    text[have] = '\0';
    close(fds[0]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

START_TEST(a29_runaway_recursion)
{
#ifdef PIRN_SANITIZED
    return; /* their handler is first, and their frames are larger */
#endif
    FOR_WORKERS(w)
    {
        char text[4096];
        int status = die(w, true, text, sizeof(text));
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        CHECK_EQ(support_words(text, "runaway"), 1);
        status = die(w, false, text, sizeof(text));
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), 29);
    }
}
END_TEST

SUPPORT_MAIN("context", a173_locals, a171_a_failing_hook_falls_back, a29_runaway_recursion)
