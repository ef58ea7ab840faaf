/* serial */
/* The runtime as an object, and time: how long runs take, and what happens between them. */
#include "tests/asyncio/runtimes.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>

/* ---- S28, S33, S36: time ----------------------------------------------------------------- */

static int stop_in_10_ms(void *arg)
{
    CHECK_OK(pirn_sleep(pirn_after_ms(10)));
    return pirn_runtime_stop(arg);
}

START_TEST(s28_forever_until_a_timer_stops_it)
{
    FOR_WORKERS(w)
    {
        pirn_runtime *rt = new_runtime(w);
        CHECK_OK(pirn_detach(spawn_in(rt, stop_in_10_ms, rt)));
        support_control control;
        support_control_begin(&control);
        int64_t began = support_now();
        CHECK_OK(pirn_runtime_run_forever(rt));
        int64_t took = support_now() - began;
        CHECK_GE(took, 10 * MS - MS); /* the task's own clock began a little later */
        if (support_timing())
            CHECK_LE(took, 40 * MS + support_control_late(&control));
        support_control_end(&control);
        CHECK_OK(pirn_runtime_free(rt));
    }
}
END_TEST

struct chain {
    atomic_long links;
    atomic_int over;
};

static int link_on(void *arg)
{
    struct chain *c = arg;
    atomic_fetch_add(&c->links, 1);
    if (!atomic_load(&c->over))
        CHECK_OK(pirn_detach(support_spawn(link_on, c)));
    return 0;
}

static int beside_a_chain(void *arg)
{
    struct chain *c = arg;
    CHECK_OK(pirn_detach(support_spawn(link_on, c)));
    support_control control;
    support_control_begin(&control);
    int64_t due = support_now() + 50 * MS;
    CHECK_OK(pirn_sleep((pirn_time){due}));
    int64_t late = support_now() - due;
    CHECK_GE(late, 0);
    if (support_timing())
        CHECK_LE(late, 20 * MS + support_control_worst(&control));
    support_control_end(&control);
    while (atomic_load(&c->links) < 50) /* it goes on beside sleeps */
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    atomic_store(&c->over, 1);
    return 0;
}

START_TEST(s36_an_endless_chain_of_callbacks)
{
    FOR_WORKERS(w)
    {
        struct chain c = {0};
        CHECK_OK(support_run(w, beside_a_chain, &c));
    }
}
END_TEST

/* The least of a few: a core that the machine's host takes away is charged to who was on it. */
static int sleeps_300_ms(void *arg)
{
    (void)arg;
    struct timespec before, after;
    int64_t least = INT64_MAX;
    CHECK_OK(pirn_sleep(pirn_after_ms(50)));
    for (int i = 0; i < 5 && least > 10 * MS; i++) {
        CHECK_OK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before));
        CHECK_OK(pirn_sleep(pirn_after_ms(300)));
        CHECK_OK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after));
        int64_t used = (after.tv_sec - before.tv_sec) * 1000 * MS + after.tv_nsec - before.tv_nsec;
        least = used < least ? used : least;
    }
    if (support_timing())
        CHECK_LE(least, 10 * MS);
    return 0;
}

START_TEST(s33_idle_costs_nothing)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, sleeps_300_ms, NULL));
}
END_TEST

/* ---- Between runs ------------------------------------------------------------------------ */

/* Of all threads but this one, which does not sleep meanwhile: a call would show. */
static long context_switches(void)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    long sum = 0, n;
    CHECK(dir);
    while ((entry = readdir(dir)) != NULL) {
        char path[64], line[256], *field;
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == gettid())
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%.10s/status", entry->d_name);
        FILE *f = fopen(path, "r");
        while (f && fgets(line, sizeof(line), f)) {
            field = strstr(line, "voluntary_ctxt_switches:"); /* and nonvoluntary_... */
            if (field && sscanf(strchr(field, ':') + 1, "%ld", &n) == 1)
                sum += n;
        }
        if (f)
            fclose(f);
    }
    closedir(dir);
    return sum;
}

struct idle {
    int pipe[2];
    atomic_int slept, ran;
    char c;
};

static int sleeps(void *arg)
{
    CHECK_OK(pirn_sleep(pirn_after_ms(40)));
    return atomic_fetch_add(&((struct idle *)arg)->slept, 1);
}

static int reads(void *arg)
{
    struct idle *i = arg;
    return (int)pirn_read(i->pipe[0], &i->c, 1, PIRN_NEVER);
}

static int runs(void *arg)
{
    return atomic_fetch_add(&((struct idle *)arg)->ran, 1);
}

/* A deadline that passes and a task that comes make nobody stir; I/O that completes nobody run. */
START_TEST(s26_a_paused_runtime_makes_no_system_call)
{
    FOR_WORKERS(w)
    {
        struct idle i = {.c = 0};
        pirn_runtime *rt = new_runtime(w);
        support_pipe(i.pipe);
        pirn_task *sleeper = spawn_in(rt, sleeps, &i), *reader = spawn_in(rt, reads, &i);
        int seven = 7, status = -1;
        run_value(rt, give, &seven, 7);
        int slept = atomic_load(&i.slept); /* 0, but on a machine that is very slow to pause */
        long before = -1;
        for (long now = 0; before != now; now = context_switches()) { /* all have gone to sleep */
            before = now;
            support_pause_ms(10);
        }
        pirn_task *late = spawn_in(rt, runs, &i);
        support_pause_ms(60);
        if (!support_slow()) /* a sanitizer has threads of its own */
            CHECK_EQ(context_switches(), before);
        support_send_all(i.pipe[1], "x", 1);
        support_pause_ms(5);
        CHECK_EQ(atomic_load(&i.slept), slept);
        CHECK_EQ(atomic_load(&i.ran), 0);
        CHECK_OK(pirn_runtime_run_until_done(rt, late, &status));
        CHECK_OK(pirn_runtime_run_until_done(rt, reader, &status));
        CHECK_EQ(status, 1);
        CHECK_EQ(i.c, 'x');
        CHECK_OK(pirn_runtime_run_until_done(rt, sleeper, &status));
        CHECK_EQ(atomic_load(&i.slept), 1);
        CHECK_OK(pirn_release(late));
        CHECK_OK(pirn_release(reader));
        CHECK_OK(pirn_release(sleeper));
        CHECK_OK(pirn_runtime_free(rt));
        close(i.pipe[0]);
        close(i.pipe[1]);
    }
}
END_TEST

static int closes_late(void *arg)
{
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    return pirn_close(*(int *)arg);
}

/* A close of a paused runtime lets what is left clean up; all is given back, and handles stay
 * good. */
START_TEST(a6_close_gives_all_back)
{
    pirn_runtime *warm = new_runtime(4);
    CHECK_OK(pirn_runtime_free(warm));
    support_census before = support_count();
    FOR_WORKERS(w)
    {
        int pipe[2], seven = 7;
        support_pipe(pipe);
        pirn_runtime *rt = new_runtime(w);
        pirn_task *left = spawn_in(rt, closes_late, &pipe[0]);
        pirn_spawn_config pinned = PIRN_SPAWN_CONFIG_INIT;
        pirn_task *unstarted, *thread;
        pinned.runtime = rt;
        pinned.flags = PIRN_PINNED;
        run_value(rt, give, &seven, 7);
        CHECK_OK(pirn_spawn_with(&thread, &pinned, give, &seven));
        unstarted = spawn_in(rt, give, &seven);
        CHECK_EQ(pirn_status(thread), -EINPROGRESS);
        CHECK_OK(pirn_runtime_stop(rt));
        CHECK_EQ(pirn_runtime_run_until_done(rt, left, NULL), -EINTR);
        CHECK_OK(pirn_runtime_close(rt));
        CHECK_OK(pirn_status(left));
        CHECK_EQ(pirn_status(unstarted), 7); /* in that pass */
        CHECK_EQ(pirn_status(thread), -ECANCELED);
        CHECK_EQ(pirn_close(pipe[0]), -EBADF);
        close(pipe[1]);
        support_no_more_than(before);
        CHECK_OK(pirn_release(left));
        CHECK_OK(pirn_runtime_free(rt));
        CHECK_OK(pirn_release(unstarted));
        CHECK_OK(pirn_release(thread));
    }
}
END_TEST

SUPPORT_MAIN("loop_time", s28_forever_until_a_timer_stops_it, s36_an_endless_chain_of_callbacks,
             s33_idle_costs_nothing, s26_a_paused_runtime_makes_no_system_call,
             a6_close_gives_all_back)
