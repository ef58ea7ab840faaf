/*
 * What the process tests add to tests/support.h: scenarios run in a child of their own, limits,
 * and which sanitizer there is. These tests are plain mains; a scenario's child is forked while the
 * test has one thread and no runtime, so that limits, filters and deaths stay with the child.
 */
#ifndef PIRN_TESTS_PROCESS_SCENARIO_H
#define PIRN_TESTS_PROCESS_SCENARIO_H

#include "tests/support.h"

#include <arpa/inet.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

enum {
    SKIPPED = 77
};

#if defined(__has_feature)
#define TEST_FEATURE(x) __has_feature(x)
#else
#define TEST_FEATURE(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || TEST_FEATURE(thread_sanitizer)
enum {
    TSAN = 1
};
#else
enum {
    TSAN = 0
};
#endif
#if defined(__SANITIZE_ADDRESS__) || TEST_FEATURE(address_sanitizer)
enum {
    ASAN = 1
};
#else
enum {
    ASAN = 0
};
#endif

#define FAIL(...) support_fail(__FILE__, __LINE__, __func__, __VA_ARGS__)

/* One of two accepted results. */
#define CHECK_EITHER(actual, one, other) \
    do { \
        intmax_t check_ = (actual); \
        if (check_ != (one) && check_ != (other)) \
            FAIL("%s is %jd, expected %s or %s", #actual, check_, #one, #other); \
    } while (0)

/*
 * Runs fn(arg) in a forked child that is killed after the given seconds (more in slow builds); its
 * exit status is what fn returns. What it writes to stderr lands in text. Returns the wait status.
 */
static inline int run_child(pirn_fn fn, void *arg, unsigned seconds, char *text, size_t size)
{
    int pipe_fds[2], status;
    size_t have = 0;
    ssize_t got = 1;
    pid_t pid;

    fflush(NULL);
    support_pipe(pipe_fds);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing outlives a test that is killed */
        dup2(pipe_fds[1], STDERR_FILENO);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        alarm(support_slow() ? seconds * 4 : seconds); /* a hang ends as a death by SIGALRM */
        exit(fn(arg));
    }
    close(pipe_fds[1]);
    while (got > 0) {
        char spill[512];
        bool room = have + 1 < size;

        got = room ? read(pipe_fds[0], text + have, size - 1 - have)
                   : read(pipe_fds[0], spill, sizeof(spill));
        if (room && got > 0)
            have += (size_t)got;
    }
    text[have] = '\0';
    close(pipe_fds[0]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

/* Runs a scenario and demands that it ends with 0, or SKIPPED, which it returns. */
static inline int scenario(const char *name, pirn_fn fn, void *arg, unsigned seconds)
{
    static char text[16384];
    int status = run_child(fn, arg, seconds, text, sizeof(text));

    if (status != 0 && status != SKIPPED << 8)
        FAIL("%s: %s %d, having said: %s", name, WIFSIGNALED(status) ? "died by signal" : "exit",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), text);
    printf("%s: %s\n", name, status == 0 ? "ok" : "skipped");
    return WEXITSTATUS(status);
}

static inline void set_soft_limit(__rlimit_resource_t which, rlim_t soft)
{
    struct rlimit limit;

    CHECK_OK(getrlimit(which, &limit));
    limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
    CHECK_OK(setrlimit(which, &limit));
}

/* No descriptor and no thread is left behind; TSan adds one of its own with the first thread. */
static inline void check_nothing_left(support_census before)
{
    before.threads += TSAN;
    support_no_more_than(before);
}

/* RLIMIT_NPROC and RLIMIT_MEMLOCK do not bind root: become a user nobody else is. */
static inline void drop_privileges(void)
{
    uid_t uid = 60000 + (uid_t)(getpid() % 5000);

    if (geteuid() != 0)
        return;
    CHECK_OK(setgroups(0, NULL));
    CHECK_OK(setresgid(uid, uid, uid));
    CHECK_OK(setresuid(uid, uid, uid));
    CHECK_OK(prctl(PR_SET_DUMPABLE, 1)); /* or /proc/self would stay root's */
}

/* A plain blocking connection whose reads and writes give up after 20 s. */
static inline int connect_plainly(const struct sockaddr_in *addr)
{
    struct timeval patience = {.tv_sec = 20};
    int fd = support_socket();

    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)));
    CHECK_OK(connect(fd, (const struct sockaddr *)addr, sizeof(*addr)));
    return fd;
}

/* arg is a pid_t: for pirn_blocking, or a plain thread. Returns the wait status. */
static inline int wait_for_process(void *arg)
{
    int status;

    CHECK_EQ(waitpid(*(pid_t *)arg, &status, 0), *(pid_t *)arg);
    return status;
}

#endif
