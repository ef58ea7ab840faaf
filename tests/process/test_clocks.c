/*
 * Sleeps on clocks that are not what they were: in a time namespace, where the boot clock and the
 * monotonic one are ahead of the machine's, and on a wall clock that is set meanwhile. The latter
 * sets the machine's, by three seconds and for a moment, so it has to be asked for:
 * PIRN_TEST_SET_CLOCK=1, as root.
 */
#include "tests/process/scenario.h"

#include <fcntl.h>
#include <sched.h>
#include <time.h>

enum {
    NAP_MS = 20,
    AHEAD_S = 100000,
    STEP_MS = 3000 /* by which the wall clock is set */
};

/* ---- In a time namespace -------------------------------------------------------------------- */

static int naps(void *arg)
{
    static const pirn_clock clocks[] = {PIRN_CLOCK_MONOTONIC, PIRN_CLOCK_BOOT, PIRN_CLOCK_WALL};
    (void)arg;
    for (int i = 0; i < 3; i++) {
        int64_t begun = support_now();
        pirn_time until = {pirn_clock_now(clocks[i]).ns + NAP_MS * MS};
        CHECK_OK(pirn_sleep_on(clocks[i], until));
        CHECK_GE(pirn_clock_now(clocks[i]).ns, until.ns);
        if (clocks[i] != PIRN_CLOCK_WALL) /* which may be set by whoever keeps it */
            CHECK_GE(support_now() - begun, NAP_MS * MS);
    }
    return 0;
}

static bool write_offsets(void)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "monotonic %d 0\nboottime %d 0\n", AHEAD_S, AHEAD_S);
    int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, (size_t)n) == n;
    if (fd >= 0)
        close(fd);
    return written;
}

/* Who has made a namespace is not inside of it: a child is. */
static int ahead(void *arg)
{
    int64_t outside = support_now();
    int status;
    if (unshare(CLONE_NEWTIME) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWTIME) != 0)
        return SKIPPED;
    if (!write_offsets())
        return SKIPPED;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        CHECK_GE(support_now() - outside, AHEAD_S * 1000LL * MS);
        exit(support_run(*(int *)arg, naps, NULL));
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 0;
}

/* ---- The wall clock is set ------------------------------------------------------------------- */

static void set_wall_by(int64_t ns)
{
    struct timespec t;
    CHECK_OK(clock_gettime(CLOCK_REALTIME, &t));
    ns += t.tv_sec * 1000 * MS + t.tv_nsec;
    t.tv_sec = ns / (1000 * MS);
    t.tv_nsec = ns % (1000 * MS);
    CHECK_OK(clock_settime(CLOCK_REALTIME, &t));
}

static int sleeps_by_the_wall(void *arg)
{
    pirn_time *until = arg;
    return pirn_sleep_on(PIRN_CLOCK_WALL, *until);
}

static int wall_is_set(void *arg)
{
    /* Forward: who sleeps for most of that wakes at once. */
    pirn_time until = {pirn_clock_now(PIRN_CLOCK_WALL).ns + STEP_MS * MS * 5 / 6};
    pirn_task *task = support_spawn(sleeps_by_the_wall, &until);
    int64_t begun = support_now();
    (void)arg;
    support_until_waiting(task);
    set_wall_by(STEP_MS * MS);
    CHECK_OK(support_join(task));
    set_wall_by(-STEP_MS * MS);
    CHECK_LE(support_now() - begun, STEP_MS * MS * 5 / 6);
    /* Back: who would wake by now sleeps on. */
    until.ns = pirn_clock_now(PIRN_CLOCK_WALL).ns + 200 * MS;
    task = support_spawn(sleeps_by_the_wall, &until);
    support_until_waiting(task);
    bool in_time = !pirn_done(task); /* not on a machine that is very slow */
    set_wall_by(-STEP_MS * MS);
    CHECK_OK(pirn_sleep(pirn_after_ms(250)));
    bool slept_on = !pirn_done(task);
    set_wall_by(STEP_MS * MS);
    CHECK(slept_on || !in_time);
    CHECK_OK(support_join(task));
    CHECK_GE(pirn_clock_now(PIRN_CLOCK_WALL).ns, until.ns);
    return 0;
}

static int wall(void *arg)
{
    return support_run(*(int *)arg, wall_is_set, NULL);
}

int main(void)
{
    const char *asked = getenv("PIRN_TEST_SET_CLOCK");
    int result = 0;
    FOR_WORKERS(w)
    {
        result = scenario("ahead of the machine", ahead, &w, 20);
        if (asked != NULL && atoi(asked) != 0)
            result = scenario("a wall clock that is set", wall, &w, 60);
    }
    return result;
}
