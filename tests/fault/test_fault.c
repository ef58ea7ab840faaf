/*
 * System calls made to fail, in hard builds: echo pairs still end, with clear errors or none, and
 * nothing hangs or leaks. The rules are read once by a process, so each case runs in one of its
 * own: this program again, with PIRN_FAULT set. (Syntax: head of io/sys.c.)
 */
#include "tests/support.h"

#ifndef PIRN_HARD

int main(void)
{
    return 77; /* the rules are compiled in hard builds only */
}

#else

#include <stdio.h>
#include <sys/wait.h>

enum {
    HIDDEN = 0,   /* nobody notices: the program does all it should */
    NOTICED = 1,  /* calls may fail, with the error of the rule or one it is turned into */
    NO_START = 2, /* the runtime may refuse to start */
};

static const struct fault_case {
    const char *rules;
    int effect;
    int errors[4]; /* what may be seen; 0: end */
} cases[] = {
    /* Not ready, interrupted: tried again, or left to the ring. */
    {"recv:EAGAIN:1/3", HIDDEN, {0}},
    {"recv:EAGAIN", HIDDEN, {0}},
    {"recv:EINTR:1/3", HIDDEN, {0}},
    {"send:EAGAIN:1/3", HIDDEN, {0}},
    {"send:EAGAIN:1/2", HIDDEN, {0}},
    {"send:EINTR:1/3", HIDDEN, {0}},
    {"accept4:EAGAIN:1/2", HIDDEN, {0}},
    {"accept4:EINTR:1/2", HIDDEN, {0}},
    {"read:EAGAIN:1/3,write:EAGAIN:1/3", HIDDEN, {0}},
    {"futex_wait:EINTR:1/2", HIDDEN, {0}},
    {"futex_wait:EAGAIN:1/2", HIDDEN, {0}},
    {"io_uring_enter:EINTR:1/3", HIDDEN, {0}},
    {"io_uring_enter:EAGAIN:1/10", HIDDEN, {0}},
    {"io_uring_enter:EBUSY:1/10", HIDDEN, {0}},
    {"recv:EAGAIN:1/2,send:EAGAIN:1/2,io_uring_enter:EINTR:1/5,futex_wait:EINTR:1/3", HIDDEN, {0}},
    /* What the kernel may lack: done without. */
    {"membarrier:ENOSYS", HIDDEN, {0}},
    {"membarrier:EPERM:1/2", HIDDEN, {0}},
    {"sched_setattr:EPERM", HIDDEN, {0}},
    {"sched_setattr:EINVAL:1/2,sched_getattr:ENOSYS:1/2", HIDDEN, {0}},
    {"sched_getaffinity:EINVAL", HIDDEN, {0}},
    {"prctl:EINVAL", HIDDEN, {0}},
    {"madvise:EINVAL", HIDDEN, {0}}, /* no guard pages that way: mprotect */
    {"madvise:ENOMEM:1/3", NOTICED, {ENOMEM}},
    {"process_madvise:EBADF", HIDDEN, {0}},
    {"io_uring_register:EINVAL", HIDDEN, {0}},     /* registering helps, no more */
    {"io_uring_register:ENOMEM:1/2", HIDDEN, {0}}, /* a wake-up that fails is sent again */
    {"openat:EMFILE", HIDDEN, {0}},                /* /proc, /sys: one guesses */
    {"read:EIO", HIDDEN, {0}},
    {"munmap:ENOMEM", HIDDEN, {0}},
    {"sigaltstack:ENOMEM,sigprocmask:EINVAL,sigaction:EINVAL", HIDDEN, {0}},
    {"preadv2:EOPNOTSUPP,pwritev2:EOPNOTSUPP", HIDDEN, {0}},
    /* Memory, threads, descriptors run out: the call concerned says so. */
    {"mmap:ENOMEM:@1", NO_START | NOTICED, {ENOMEM}},
    {"mmap:ENOMEM:@3", NO_START | NOTICED, {ENOMEM}},
    /* Who gets no stack drops its socket, and the other end may hear of that before it is
     * cancelled. */
    {"mmap:ENOMEM:@6+", NO_START | NOTICED, {ENOMEM, ECONNRESET, EPIPE}},
    {"mmap:ENOMEM:1/3", NO_START | NOTICED, {ENOMEM, ECONNRESET, EPIPE}},
    {"mprotect:ENOMEM:1/2,madvise:EINVAL", NO_START | NOTICED, {ENOMEM, ECONNRESET, EPIPE}},
    {"pthread_create:EAGAIN:@1", NO_START, {EAGAIN}},
    {"pthread_create:EAGAIN:@2", NO_START, {EAGAIN}},
    {"pthread_create:EAGAIN:@3", NO_START | NOTICED, {EAGAIN}},
    {"pthread_create:EAGAIN:@4+", NO_START | NOTICED, {EAGAIN}},
    {"io_uring_setup:ENOMEM:@1", NO_START, {ENOMEM}},
    {"io_uring_setup:ENOMEM:@2", NO_START, {ENOMEM}},
    {"io_uring_setup:ENOMEM:@3+", NO_START, {ENOMEM}},
    {"io_uring_setup:EMFILE:@1", NO_START, {EMFILE}},
    {"io_uring_setup:ENOSYS", NO_START, {ENOSYS}},
    {"io_uring_setup:EPERM", NO_START, {ENOSYS}},
    {"eventfd:EMFILE:@1", NO_START, {EMFILE, ENFILE}},
    /* The network's own errors come through as they are. */
    {"recv:ECONNRESET:1/20", NOTICED, {ECONNRESET, EPIPE}},
    {"send:EPIPE:1/20", NOTICED, {EPIPE, ECONNRESET}},
    {"accept4:EMFILE:1/3", NOTICED, {EMFILE, ECONNRESET, EPIPE}},
    {"connect:ECONNREFUSED:1/3", NOTICED, {ECONNREFUSED}},
    {"recv:EAGAIN:1/2,send:ENOBUFS:1/30,mmap:ENOMEM:1/20,futex_wait:EINTR:1/5",
     NO_START | NOTICED,
     {ENOBUFS, ENOMEM, ECONNRESET, EPIPE}},
};

enum {
    CASES = sizeof(cases) / sizeof(cases[0]),
    PAIRS = 40,
    TURNS = 30
};

/* ---- The program that suffers ------------------------------------------------------------ */

static const struct fault_case *suffered;
static atomic_int noticed;

/* True if rc is fine; a failure must be one that the case allows. */
static bool fine(long rc)
{
    if (rc >= 0)
        return true;
    atomic_fetch_add(&noticed, 1);
    bool allowed = (suffered->effect & NOTICED) != 0;
    bool known = rc == -ECANCELED; /* a sibling of one that failed */
    for (int i = 0; i < 4; i++)
        known = known || rc == -suffered->errors[i];
    if (!allowed || !known)
        support_fail(__FILE__, __LINE__, __func__, "%s: %s", suffered->rules,
                     strerrorname_np((int)-rc));
    return false;
}

static int echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[256];
    ssize_t n;
    while ((n = pirn_recv(fd, buf, sizeof(buf), 0, PIRN_NEVER)) > 0) {
        if (!fine(pirn_send(fd, buf, (size_t)n, 0, PIRN_NEVER)))
            break;
    }
    fine(n);
    return 0;
}

static int talk(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char out[200], in[200];
    for (int i = 0; i < TURNS; i++) {
        memset(out, 'a' + i % 26, sizeof(out));
        if (!fine(pirn_send(fd, out, sizeof(out), 0, PIRN_NEVER)))
            break;
        size_t got = 0;
        ssize_t n = 1;
        while (got < sizeof(in) && n > 0) {
            n = pirn_recv(fd, in + got, sizeof(in) - got, 0, PIRN_NEVER);
            got += n > 0 ? (size_t)n : 0;
        }
        if (n == 0 && atomic_load(&noticed))
            break; /* the other end gave up */
        if (!fine(n))
            break;
        CHECK_EQ(got, sizeof(in));
        CHECK(memcmp(in, out, sizeof(in)) == 0);
        if (i % 10 == 0 && !fine(pirn_sleep(pirn_after_us(50))))
            break;
    }
    return 0;
}

static void drop_fd(void *arg)
{
    close((int)(intptr_t)arg);
}

/* In a coroutine, or, where none can be had, not at all: either way the descriptor is closed. */
static void start(pirn_scope *scope, pirn_fn fn, int fd)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    void *arg = (void *)(intptr_t)fd;
    config.arg_drop = drop_fd;
    int rc = pirn_scope_spawn_with(scope, &config, fn, arg, PIRN_NEVER);
    if (!fine(rc) && rc != -ECANCELED) /* then it has been dropped */
        drop_fd(arg);
}

static int connect_pair(int listener, struct sockaddr_in *addr, int fds[2])
{
    fds[0] = support_socket();
    int rc = pirn_connect(fds[0], (struct sockaddr *)addr, sizeof(*addr), PIRN_NEVER);
    if (fine(rc)) { /* -ECANCELED is the scope's, and stays, when a child has failed */
        while (!fine(rc = fds[1] = pirn_accept(listener, NULL, NULL, 0, PIRN_NEVER)) &&
               rc != -ECANCELED) {}
        if (rc >= 0)
            return 0;
    }
    close(fds[0]);
    return rc;
}

static int job(void *arg)
{
    (void)arg;
    return 0;
}

static int suffer(void *arg)
{
    (void)arg;
    struct sockaddr_in addr;
    int listener = support_listen(&addr, PAIRS);
    pirn_scope *scope;
    if (fine(pirn_scope_open(&scope, 0))) {
        for (int i = 0; i < PAIRS; i++) {
            int fds[2];
            if (i % 2)
                support_pair(fds);
            else if (connect_pair(listener, &addr, fds) != 0)
                continue;
            start(scope, echo, fds[0]);
            start(scope, talk, fds[1]);
        }
        fine(pirn_scope_close(scope, PIRN_NEVER));
    }
    fine(pirn_blocking(job, NULL, NULL, PIRN_NEVER));
    close(listener);
    return 0;
}

static int suffering(const struct fault_case *c)
{
    suffered = c;
    support_census before = support_count();
    for (int i = 0; i < 3; i++) {
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = support_reporting(2, &report);
        int status = 0, rc = pirn_run_with(&config, suffer, NULL, &status);
        CHECK_OK(status);
        if (rc != 0) {
            bool known = false;
            for (int k = 0; k < 4; k++)
                known = known || rc == -c->errors[k];
            if (!(c->effect & NO_START) || !known)
                support_fail(__FILE__, __LINE__, __func__, "%s: start: %s", c->rules,
                             strerrorname_np(-rc));
        }
        support_no_more_than(before);
    }
    return 0;
}

/* ---- The cases --------------------------------------------------------------------------- */

START_TEST(every_case)
{
    for (int i = 0; i < CASES; i++) {
        fflush(NULL);
        pid_t pid = fork();
        CHECK_GE(pid, 0);
        if (pid == 0) {
            char number[16];
            snprintf(number, sizeof(number), "%d", i);
            setenv("PIRN_FAULT", cases[i].rules, 1);
            setenv("PIRN_TEST_FAULT_CASE", number, 1);
            support_alarm(60);
            execl("/proc/self/exe", "fault", (char *)NULL);
            _exit(126);
        }
        int status;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        if (status != 0)
            support_fail(__FILE__, __LINE__, __func__, "PIRN_FAULT=%s: %s %d", cases[i].rules,
                         WIFSIGNALED(status) ? "signal" : "status",
                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}
END_TEST

int main(void)
{
    const char *number = getenv("PIRN_TEST_FAULT_CASE");
    if (number)
        return suffering(&cases[atoi(number)]);
    const TTest *tests[] = {every_case};
    return support_main("fault", tests, 1);
}

#endif
