/*
 * For the tests of what waits for ever: child processes whose stderr comes here. The test's own
 * process has a watchdog, a thread that is none of pirn's, so that nothing is reported in it.
 * (ThreadSanitizer has a thread of its own, too, and starts none in the child of a process that had
 * several.)
 */
#ifndef PIRN_TESTS_DEADLOCK_H
#define PIRN_TESTS_DEADLOCK_H

#include "tests/support.h"

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

static inline void child_start(struct child *c, child_fn fn, int workers)
{
    int pair[2];
    support_pipe(pair);
    fflush(NULL);
    c->pid = fork();
    CHECK(c->pid >= 0);
    if (c->pid == 0) {
        support_alarm(200);
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
static inline void child_read(struct child *c, int ms)
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
static inline void child_end(struct child *c, bool killed)
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

static inline int lines_with(const struct child *c, const char *word)
{
    int n = 0;
    for (const char *p = c->text; (p = strstr(p, word)) != NULL; p++)
        n++;
    return n;
}

static inline pirn_config config_of(int workers, unsigned flags)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = workers;
    config.flags = flags;
    return config;
}

static inline pirn_future *new_future(void)
{
    pirn_future *future;
    CHECK_OK(pirn_future_new(&future));
    return future;
}

static __attribute__((noinline, unused)) int waits_for(void *future)
{
    int rc = pirn_future_await(future, NULL, NULL, PIRN_NEVER);
    __asm__ volatile(""); /* the call above is none in its place */
    return rc;
}

#define DEADLOCK_MAIN(name, ...) \
    int main(void) \
    { \
        const TTest *tests_[] = {__VA_ARGS__}; \
        if (support_tsan()) \
            return 77; \
        return support_main(name, tests_, sizeof(tests_) / sizeof(tests_[0])); \
    }

#endif
