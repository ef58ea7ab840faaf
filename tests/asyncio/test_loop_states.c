/* serial */
/* The runtime as an object: what it says of itself, what it takes, time, and several of them. */
#include "tests/support.h"

#include <dirent.h>
#include <time.h>

static pirn_runtime *new_runtime(int workers)
{
    pirn_config config = PIRN_CONFIG_INIT;
    pirn_runtime *rt = NULL;
    config.workers = workers;
    CHECK_OK(pirn_runtime_new(&rt, &config));
    return rt;
}

static pirn_task *spawn_in(pirn_runtime *rt, pirn_fn fn, void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    config.runtime = rt;
    CHECK_OK(pirn_spawn_with(&task, &config, fn, arg));
    return task;
}

static void run_value(pirn_runtime *rt, pirn_fn fn, void *arg, int expected)
{
    int status = -12345;
    CHECK_OK(pirn_runtime_run_until_complete(rt, fn, arg, &status));
    CHECK_EQ(status, expected);
}

static int give(void *arg)
{
    return *(int *)arg;
}

/* ---- S24, S30, S38 ----------------------------------------------------------------------- */

static int is_current(void *arg)
{
    pirn_runtime *rt = arg;
    CHECK(pirn_runtime_current() == rt);
    CHECK_OK(pirn_sleep(pirn_after_us(50)));
    CHECK(pirn_runtime_current() == rt);
    return 0;
}

START_TEST(s24_identity)
{
    FOR_WORKERS(w)
    {
        pirn_runtime *one = new_runtime(w), *two = new_runtime(w);
        CHECK(one != two);
        CHECK(pirn_runtime_current() == NULL);
        run_value(one, is_current, one, 0);
        run_value(two, is_current, two, 0);
        CHECK(pirn_runtime_current() == NULL);
        CHECK_OK(pirn_runtime_free(one));
        CHECK_OK(pirn_runtime_free(two));
    }
}
END_TEST

static int is_running(void *arg)
{
    CHECK_EQ(pirn_runtime_is_running(arg), 1);
    CHECK_EQ(pirn_runtime_is_closed(arg), 0);
    return 0;
}

START_TEST(s30_states)
{
    pirn_runtime *rt = new_runtime(2);
    CHECK_EQ(pirn_runtime_is_closed(rt), 0);
    CHECK_EQ(pirn_runtime_is_running(rt), 0);
    run_value(rt, is_running, rt, 0);
    CHECK_EQ(pirn_runtime_is_running(rt), 0);
    CHECK_OK(pirn_runtime_close(rt));
    CHECK_EQ(pirn_runtime_is_closed(rt), 1);
    CHECK_EQ(pirn_runtime_is_running(rt), 0);
    CHECK_OK(pirn_runtime_free(rt));
}
END_TEST

static int on_worker(void *arg)
{
    (void)arg;
    return pirn_on_worker();
}

static int asks_around(void *arg)
{
    pirn_spawn_config pinned = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    int status = -1;
    CHECK_EQ(pirn_on_worker(), 1);
    CHECK_OK(pirn_blocking(on_worker, arg, &status, PIRN_NEVER));
    CHECK_EQ(status, 0);
    pinned.flags = PIRN_PINNED;
    CHECK_OK(pirn_spawn_with(&task, &pinned, on_worker, arg));
    CHECK_EQ(support_join(task), 1);
    return 0;
}

START_TEST(s38_on_worker)
{
    CHECK_EQ(pirn_on_worker(), 0);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, asks_around, NULL));
}
END_TEST

/* ---- Runs refused, runs of several ------------------------------------------------------- */

struct pair {
    pirn_runtime *one, *two;
    int value;
};

static int nests(void *arg)
{
    struct pair *p = arg;
    int status = -12345;
    pirn_task *task = pirn_current();
    CHECK_EQ(pirn_runtime_run_until_complete(p->one, give, &p->value, &status), -EDEADLK);
    CHECK_EQ(pirn_runtime_run_until_complete(p->two, give, &p->value, &status), -EDEADLK);
    CHECK_EQ(pirn_runtime_run_until_done(p->two, task, &status), -EDEADLK);
    CHECK_EQ(pirn_runtime_run_forever(p->one), -EDEADLK);
    CHECK_EQ(pirn_runtime_close(p->two), -EDEADLK);
    CHECK_EQ(pirn_run(give, &p->value), -EDEADLK);
    CHECK_EQ(status, -12345);
    CHECK_OK(pirn_yield());
    return p->value;
}

START_TEST(s18_no_nested_run_of_an_object)
{
    FOR_WORKERS(w)
    {
        struct pair p = {new_runtime(w), new_runtime(1), 6};
        run_value(p.one, nests, &p, 6);
        CHECK_EQ(pirn_runtime_run_until_complete(NULL, give, &p.value, NULL), -EINVAL);
        CHECK_EQ(pirn_runtime_run_until_complete(p.one, NULL, NULL, NULL), -EINVAL);
        CHECK_EQ(pirn_runtime_run_until_done(p.one, NULL, NULL), -EINVAL);
        CHECK_OK(pirn_runtime_free(p.one));
        CHECK_OK(pirn_runtime_free(p.two));
        CHECK_OK(pirn_runtime_free(NULL));
    }
}
END_TEST

static int sets_there(void *arg)
{
    return pirn_future_set(arg, 9, NULL);
}

static int awaits(void *arg)
{
    int status = -1;
    CHECK_OK(pirn_future_await(arg, &status, NULL, PIRN_NEVER));
    return status;
}

struct across {
    pirn_runtime *paused;
    pirn_future *future;
    pirn_task *there;
};

static int spawns_across(void *arg)
{
    struct across *a = arg;
    a->there = spawn_in(a->paused, sets_there, a->future);
    CHECK_OK(pirn_sleep(pirn_after_ms(3)));
    CHECK_EQ(pirn_status(a->future), -EINPROGRESS); /* it is paused, whoever runs */
    return 0;
}

START_TEST(s26_one_runs_while_another_is_paused)
{
    FOR_WORKERS(w)
    {
        struct across a = {.paused = new_runtime(w)};
        pirn_runtime *runs = new_runtime(w);
        int status = -1;
        CHECK_OK(pirn_future_new(&a.future));
        pirn_task *waiting = spawn_in(runs, awaits, a.future);
        run_value(runs, spawns_across, &a, 0);
        CHECK_OK(pirn_runtime_run_until_done(a.paused, a.there, &status));
        CHECK_OK(status);
        CHECK_EQ(pirn_status(waiting), -EINPROGRESS);
        CHECK_OK(pirn_runtime_run_until_done(runs, waiting, &status));
        CHECK_EQ(status, 9);
        CHECK_OK(pirn_release(waiting));
        CHECK_OK(pirn_release(a.there));
        CHECK_OK(pirn_release(a.future));
        CHECK_OK(pirn_runtime_free(runs));
        CHECK_OK(pirn_runtime_free(a.paused));
    }
}
END_TEST

/* ---- S25, S32: what a run takes, and both levels of one program --------------------------- */

START_TEST(s25_whatever_can_be_awaited)
{
    FOR_WORKERS(w)
    {
        pirn_runtime *rt = new_runtime(w);
        pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
        int value = 25, status = -1;
        run_value(rt, give, &value, 25);
        config.name = "named";
        config.flags = PIRN_PINNED;
        CHECK_OK(pirn_runtime_run_until_complete_with(rt, &config, give, &value, &status));
        CHECK_EQ(status, 25);
        pirn_task *task = spawn_in(rt, give, &value);
        for (int i = 0; i < 2; i++) { /* of one that has ended, too */
            status = -1;
            CHECK_OK(pirn_runtime_run_until_done(rt, task, &status));
            CHECK_EQ(status, 25);
        }
        CHECK_OK(pirn_release(task));
        pirn_future *future;
        CHECK_OK(pirn_future_new(&future));
        task = spawn_in(rt, sets_there, future);
        CHECK_OK(pirn_runtime_run_until_done(rt, future, &status));
        CHECK_EQ(status, 9);
        CHECK_OK(pirn_runtime_run_until_done(rt, task, &status));
        CHECK_OK(pirn_release(task));
        CHECK_OK(pirn_release(future));
        pirn_awaitable *items[3], *gather; /* one that has not begun, one that has, one of a pool */
        pirn_spawn_config unstarted = PIRN_SPAWN_CONFIG_INIT;
        unstarted.runtime = rt;
        CHECK_OK(pirn_coroutine_new(&items[0], &unstarted, give, &value));
        CHECK_OK(pirn_runtime_run_until_done(rt, items[0], &status)); /* begun by that */
        CHECK_EQ(status, 25);
        CHECK_OK(pirn_release(items[0]));
        CHECK_OK(pirn_coroutine_new(&items[0], &unstarted, give, &value));
        items[1] = spawn_in(rt, give, &value);
        CHECK_OK(pirn_thread_pool_submit(NULL, &items[2], give, &value));
        CHECK_OK(pirn_gather(&gather, items, 3, 0));
        CHECK_OK(pirn_runtime_run_until_done(rt, gather, &status));
        CHECK_OK(status);
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(pirn_status(items[i]), 25);
            CHECK_OK(pirn_release(items[i]));
        }
        CHECK_OK(pirn_release(gather));
        CHECK_OK(pirn_runtime_free(rt));
    }
    CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
}
END_TEST

struct lines {
    char text[64];
    size_t n;
};

static int program(void *arg)
{
    struct lines *l = arg;
    for (int i = 0; i < 3; i++) {
        l->n += (size_t)snprintf(l->text + l->n, sizeof(l->text) - l->n, "line %d\n", i);
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
    }
    return 3;
}

START_TEST(s32_both_levels)
{
    struct lines simple = {.n = 0}, explicit = {.n = 0};
    CHECK_EQ(pirn_run(program, &simple), 3);
    pirn_runtime *rt = new_runtime(0);
    run_value(rt, program, &explicit, 3);
    CHECK_OK(pirn_runtime_free(rt));
    CHECK(strcmp(simple.text, explicit.text) == 0);
    CHECK_EQ(simple.n, 21);
}
END_TEST

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
        CHECK_LE(late, 20 * MS + support_control_late(&control));
    support_control_end(&control);
    CHECK_GE(atomic_load(&c->links), 50);
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

static int sleeps_300_ms(void *arg)
{
    (void)arg;
    struct timespec before, after;
    CHECK_OK(pirn_sleep(pirn_after_ms(50)));
    CHECK_OK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before));
    CHECK_OK(pirn_sleep(pirn_after_ms(300)));
    CHECK_OK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after));
    int64_t used = (after.tv_sec - before.tv_sec) * 1000 * MS + after.tv_nsec - before.tv_nsec;
    if (support_timing())
        CHECK_LE(used, 10 * MS);
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

/* A close of a paused runtime lets what is left clean up; all is given back, and handles stay good. */
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

SUPPORT_MAIN("loop_states", s24_identity, s30_states, s38_on_worker, s18_no_nested_run_of_an_object,
             s26_one_runs_while_another_is_paused, s25_whatever_can_be_awaited, s32_both_levels,
             s28_forever_until_a_timer_stops_it, s36_an_endless_chain_of_callbacks,
             s33_idle_costs_nothing, s26_a_paused_runtime_makes_no_system_call,
             a6_close_gives_all_back)
