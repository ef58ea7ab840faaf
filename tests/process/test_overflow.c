/*
 * Deep recursion past the stack, with frames of 200 bytes, 6 KiB and 24 KiB that touch as little of
 * themselves as a frame can: the process dies by SIGSEGV with the task's name on stderr, and the
 * stacks of its neighbours are intact.
 *
 * The neighbours fill most of their stacks with a pattern and publish where in shared memory. This
 * process traces the victim's: a traced process stops once more on its way out, when its memory is
 * still there, and then the patterns are read out of it.
 */
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "tests/process/scenario.h"

enum {
    NEIGHBOURS = 24,
    PATTERN = 40 * 1024,
    FRAMES = 3
};

typedef struct canaries {
    unsigned char *at[NEIGHBOURS]; /* addresses in the victim's process */
    atomic_int published;
    int frame;      /* which recursion it is to die of */
    unsigned flags; /* of the runtime */
    bool survived;
} canaries;

static canaries *shared; /* between this process and its children */

static unsigned char pattern_byte(int neighbour, size_t i)
{
    return (unsigned char)(neighbour * 31 + (int)i * 7 + 1);
}

/*
 * The volatile store keeps the frame, the use after the call keeps the recursion. Only the lowest
 * byte is touched: what lies above it is leapt over.
 */
#define RECURSION(name, size) \
    __attribute__((noinline)) static int name(int depth) \
    { \
        volatile char frame[size]; \
        int deeper = 0; \
\
        frame[0] = (char)depth; \
        if (depth < 1000000000) \
            deeper = name(depth + 1); \
        return deeper + frame[0]; \
    }

RECURSION(recurse_200, 200 - 64)
RECURSION(recurse_6k, 6 * 1024)
RECURSION(recurse_24k, 24 * 1024)

static int (*const recursions[FRAMES])(int depth) = {recurse_200, recurse_6k, recurse_24k};
static const char *const victims[FRAMES] = {"victim-200", "victim-6k", "victim-24k"};

static int neighbour(void *arg)
{
    int me = (int)(intptr_t)arg;
    volatile unsigned char pattern[PATTERN];
    size_t i;

    for (i = 0; i < PATTERN; i++)
        pattern[i] = pattern_byte(me, i);
    shared->at[me] = (unsigned char *)pattern;
    atomic_fetch_add(&shared->published, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    return pattern[0];
}

static int victim(void *arg)
{
    (void)arg;
    return recursions[shared->frame](0);
}

/* The victim's stack lies among its neighbours': they bind theirs one after the other. */
static int doomed_main(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *tasks[NEIGHBOURS], *v;
    int i;

    (void)arg;
    for (i = 0; i < NEIGHBOURS / 2; i++)
        CHECK_OK(pirn_spawn(&tasks[i], neighbour, (void *)(intptr_t)i));
    support_until(&shared->published, NEIGHBOURS / 2);
    config.name = victims[shared->frame];
    CHECK_OK(pirn_spawn_with(&v, &config, victim, NULL));
    for (; i < NEIGHBOURS; i++)
        CHECK_OK(pirn_spawn(&tasks[i], neighbour, (void *)(intptr_t)i));
    CHECK_OK(pirn_join(v, NULL, PIRN_NEVER));
    shared->survived = true;
    return 0;
}

static void doomed_process(void)
{
    struct rlimit no_core = {0, 0};
    pirn_config config = PIRN_CONFIG_INIT;

    setrlimit(RLIMIT_CORE, &no_core);
    alarm(60);
    config.flags = shared->flags;
    config.workers = 1;
    _exit(pirn_run_with(&config, doomed_main, NULL, NULL) == 0 ? 0 : 1);
}

static void check_neighbours(pid_t pid)
{
    static unsigned char seen[PATTERN];
    int checked = 0, n;
    size_t i;

    for (n = 0; n < NEIGHBOURS; n++) {
        struct iovec here = {seen, sizeof(seen)}, there = {shared->at[n], sizeof(seen)};

        if (!shared->at[n])
            continue; /* it had not begun when the victim died */
        CHECK_EQ(process_vm_readv(pid, &here, 1, &there, 1, 0), PATTERN);
        for (i = 0; i < PATTERN; i++) {
            if (seen[i] != pattern_byte(n, i))
                FAIL("neighbour %d was written to at %zu", n, i);
        }
        checked++;
    }
    CHECK(checked >= NEIGHBOURS / 2);
}

/* Follows the child to its end; the wait status it ends with. */
static int trace_to_end(pid_t pid)
{
    int status, checked = 0;

    for (;;) {
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        if (!WIFSTOPPED(status))
            break;
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
            check_neighbours(pid);
            checked++;
            ptrace(PTRACE_CONT, pid, NULL, NULL);
        } else {
            ptrace(PTRACE_CONT, pid, NULL, (void *)(intptr_t)WSTOPSIG(status));
        }
    }
    CHECK_EQ(checked, 1);
    return status;
}

/* Forks the doomed process and traces its first thread, whose exit waits for this process. */
static int die_traced(char *text, size_t size)
{
    int go[2], err_pipe[2], status;
    size_t have = 0;
    ssize_t got;
    pid_t pid;

    memset(shared->at, 0, sizeof(shared->at));
    atomic_store(&shared->published, 0);
    CHECK_OK(pipe(go));
    CHECK_OK(pipe(err_pipe));
    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        char c;

        dup2(err_pipe[1], STDERR_FILENO);
        close(err_pipe[0]);
        close(err_pipe[1]);
        close(go[1]);
        if (read(go[0], &c, 1) != 1) /* this process is being traced now */
            _exit(1);
        doomed_process();
    }
    close(err_pipe[1]);
    if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)(intptr_t)PTRACE_O_TRACEEXIT) < 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        exit(SKIPPED); /* tracing is forbidden here */
    }
    CHECK_EQ(write(go[1], "g", 1), 1);
    status = trace_to_end(pid);
    while (have + 1 < size && (got = read(err_pipe[0], text + have, size - 1 - have)) > 0)
        have += (size_t)got;
    text[have] = '\0';
    close(err_pipe[0]);
    close(go[0]);
    close(go[1]);
    return status;
}

static void check_death(int frame, unsigned flags)
{
    static char text[16384];
    int status;

    shared->frame = frame;
    shared->flags = flags;
    status = die_traced(text, sizeof(text));
    CHECK(!shared->survived);
    if (ASAN || TSAN) /* their own handler comes next and ends the process its way */
        CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
    else if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
        FAIL("wait status %#x, stderr: %s", (unsigned)status, text);
    if (flags & (PIRN_REPORT_OVERFLOW | PIRN_DEBUG)) {
        if (!strstr(text, victims[frame]))
            FAIL("no \"%s\" in: %s", victims[frame], text);
        printf("%s", text);
    } else if (!ASAN && !TSAN) {
        CHECK_EQ(text[0], '\0'); /* nobody asked for a report */
    }
}

int main(void)
{
    int frame;

    alarm(120);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    for (frame = 0; frame < FRAMES; frame++) {
        check_death(frame, PIRN_REPORT_OVERFLOW);
        check_death(frame, PIRN_DEBUG);
        check_death(frame, 0);
    }
    return 0;
}
