/* The runtime as an object: several runs, stop, what is left between them, close. */
#include "tests/asyncio/runtimes.h"

#include <signal.h>

static int count(void *arg)
{
    return atomic_fetch_add((atomic_int *)arg, 1) * 0;
}

static atomic_int drops;

static void drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&drops, 1);
}

/* ---- A6 ---------------------------------------------------------------------------------- */

struct closing {
    pirn_runtime *rt;
    int seven;
    pirn_future *gate;
};

static int close_own(void *arg)
{
    struct closing *c = arg;
    CHECK_EQ(pirn_runtime_close(c->rt), -EBUSY);
    CHECK_EQ(pirn_runtime_free(c->rt), -EBUSY);
    CHECK_EQ(pirn_runtime_is_running(c->rt), 1);
    CHECK_EQ(pirn_runtime_is_closed(c->rt), 0);
    CHECK_OK(pirn_yield()); /* harmless */
    return c->seven;
}

START_TEST(a6_closed)
{
    FOR_WORKERS(w)
    {
        struct closing c = {new_runtime(w), 7, NULL};
        pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
        pirn_task *task = NULL;
        int status = -12345;
        run_value(c.rt, close_own, &c, 7);
        CHECK_OK(pirn_runtime_close(c.rt));
        CHECK_OK(pirn_runtime_close(c.rt));
        atomic_store(&drops, 0);
        config.arg_drop = drop;
        CHECK_EQ(pirn_runtime_run_until_complete_with(c.rt, &config, give, &c.seven, &status),
                 -ESHUTDOWN);
        CHECK_EQ(atomic_load(&drops), 1);
        config.runtime = c.rt;
        CHECK_EQ(pirn_spawn_with(&task, &config, give, &c.seven), -ESHUTDOWN);
        CHECK_EQ(atomic_load(&drops), 2);
        CHECK_EQ(pirn_runtime_run_until_complete(c.rt, give, &c.seven, &status), -ESHUTDOWN);
        CHECK_EQ(pirn_runtime_run_forever(c.rt), -ESHUTDOWN);
        CHECK_EQ(pirn_runtime_stop(c.rt), -ESHUTDOWN);
        CHECK_EQ(pirn_dump(c.rt, stderr), -ESHUTDOWN);
        CHECK_EQ(pirn_signal_add(SIGUSR1, give, &c.seven, c.rt), -ESHUTDOWN);
        CHECK_EQ(status, -12345);
        CHECK(task == NULL);
        CHECK_OK(pirn_runtime_free(c.rt));
    }
}
END_TEST

static void *close_it(void *arg)
{
    CHECK_EQ(pirn_runtime_close(arg), -EBUSY);
    CHECK_EQ(pirn_runtime_run_forever(arg), -EBUSY);
    CHECK_OK(pirn_runtime_stop(arg));
    return NULL;
}

static int close_from_thread(void *arg)
{
    pthread_t thread = support_thread(close_it, arg);
    support_thread_join(thread);
    return 0;
}

START_TEST(a6_close_while_another_thread_runs_it)
{
    FOR_WORKERS(w)
    {
        pirn_runtime *rt = new_runtime(w);
        pirn_task *task = spawn_in(rt, close_from_thread, rt);
        CHECK_OK(pirn_runtime_run_forever(rt));
        int status = -1;
        CHECK_OK(pirn_runtime_run_until_done(rt, task, &status));
        CHECK_OK(status);
        CHECK_OK(pirn_release(task));
        CHECK_OK(pirn_runtime_free(rt));
    }
}
END_TEST

/* ---- A7, S26, S27, S29 ------------------------------------------------------------------- */

static int stop_then_go_on(void *arg)
{
    struct closing *c = arg;
    CHECK_OK(pirn_runtime_stop(c->rt));
    int rc = pirn_await(c->gate, NULL, PIRN_NEVER);
    return rc != 0 ? rc : c->seven;
}

START_TEST(s27_stopped_before_the_end)
{
    FOR_WORKERS(w)
    {
        struct closing c = {new_runtime(w), 7, NULL};
        CHECK_OK(pirn_future_new(&c.gate));
        pirn_task *task = spawn_in(c.rt, stop_then_go_on, &c);
        int status = -12345;
        CHECK_EQ(pirn_runtime_run_until_done(c.rt, task, &status), -EINTR);
        CHECK_EQ(status, -12345);
        CHECK_EQ(pirn_status(task), -EINPROGRESS);
        CHECK_OK(pirn_future_set(c.gate, 0, NULL));
        CHECK_OK(pirn_runtime_run_until_done(c.rt, task, &status));
        CHECK_EQ(status, 7);
        CHECK_OK(pirn_release(task));
        CHECK_OK(pirn_release(c.gate));
        CHECK_OK(pirn_future_new(&c.gate));
        CHECK_EQ(pirn_runtime_run_until_complete(c.rt, stop_then_go_on, &c, &status), -EINTR);
        CHECK_OK(pirn_runtime_free(c.rt)); /* and that one ends here */
        CHECK_OK(pirn_release(c.gate));
    }
}
END_TEST

struct steps {
    atomic_int in_step, done, over, pinned_steps;
    int done_first, pinned_first; /* before it is stopped */
    pirn_runtime *rt;
};

static int step_on(void *arg)
{
    struct steps *s = arg;
    while (!atomic_load(&s->over)) {
        atomic_fetch_add(&s->in_step, 1);
        support_spin(support_between(0, 60 * US));
        atomic_fetch_add(&s->done, 1);
        atomic_fetch_sub(&s->in_step, 1);
        if (support_random() % 8 == 0)
            CHECK_OK(pirn_sleep(pirn_after_us(30)));
        else
            CHECK_OK(pirn_yield());
    }
    return 0;
}

static int step_pinned(void *arg)
{
    struct steps *s = arg;
    while (!atomic_load(&s->over)) {
        atomic_fetch_add(&s->in_step, 1);
        support_spin(20 * US);
        atomic_fetch_add(&s->pinned_steps, 1);
        atomic_fetch_sub(&s->in_step, 1);
        CHECK_OK(pirn_sleep(pirn_after_us(20)));
    }
    return 0;
}

static void *stop_soon(void *arg)
{
    struct steps *s = arg;
    support_until(&s->done, s->done_first);
    support_until(&s->pinned_steps, s->pinned_first);
    support_spin(support_between(0, 300 * US));
    CHECK_OK(pirn_runtime_stop(s->rt));
    return NULL;
}

/* Steps under way are finished when a run returns, nothing executes after it, and what was left
 * goes on: at any moment of a stop. */
START_TEST(a7_steps_end_before_the_run_does)
{
    enum {
        TASKS = 6
    };
    FOR_WORKERS(w)
    {
        struct steps s = {0};
        pirn_task *tasks[TASKS + 1];
        pirn_spawn_config pinned = PIRN_SPAWN_CONFIG_INIT;
        s.rt = pinned.runtime = new_runtime(w);
        pinned.flags = PIRN_PINNED;
        for (int i = 0; i < TASKS; i++)
            tasks[i] = spawn_in(s.rt, step_on, &s);
        CHECK_OK(pirn_spawn_with(&tasks[TASKS], &pinned, step_pinned, &s));
        CHECK_EQ(atomic_load(&s.pinned_steps), 0);
        for (int i = 0; i < support_rounds(300); i++) {
            int before = atomic_load(&s.done), some = i % 16 == 0; /* are made for sure */
            s.done_first = before + 2 * some;
            s.pinned_first = atomic_load(&s.pinned_steps) + some;
            pthread_t thread = support_thread(stop_soon, &s);
            CHECK_EQ(pirn_runtime_run_until_done(s.rt, tasks[0], NULL), -EINTR);
            CHECK_EQ(atomic_load(&s.in_step), 0);
            int after = atomic_load(&s.done), pinned_after = atomic_load(&s.pinned_steps);
            support_spin(i % 16 == 0 ? 2 * MS : 50 * US);
            CHECK_EQ(atomic_load(&s.done), after);
            CHECK_EQ(atomic_load(&s.pinned_steps), pinned_after);
            CHECK_GE(after, s.done_first);
            support_thread_join(thread);
        }
        CHECK_GE(atomic_load(&s.done), support_rounds(300) / 10);
        CHECK_GE(atomic_load(&s.pinned_steps), 1);
        atomic_store(&s.over, 1);
        for (int i = 0; i <= TASKS; i++) {
            int status = -1;
            CHECK_OK(pirn_runtime_run_until_done(s.rt, tasks[i], &status));
            CHECK_OK(status);
            CHECK_OK(pirn_release(tasks[i]));
        }
        CHECK_OK(pirn_runtime_free(s.rt));
    }
}
END_TEST

static int sleep_then_count(void *arg)
{
    int rc = pirn_sleep(pirn_after_ms(3));
    return rc != 0 ? rc : count(arg);
}

static int leave_three(void *arg)
{
    for (int i = 0; i < 3; i++)
        CHECK_OK(pirn_detach(support_spawn(sleep_then_count, arg)));
    return 1;
}

static int until_three(void *arg)
{
    support_until(arg, 3);
    return 2;
}

START_TEST(s26_what_one_run_leaves_goes_on_in_the_next)
{
    FOR_WORKERS(w)
    {
        pirn_runtime *rt = new_runtime(w);
        atomic_int counted = 0;
        run_value(rt, leave_three, &counted, 1);
        int soon = atomic_load(&counted); /* 0, but on a machine that is slow to pause */
        support_pause_ms(8); /* their time comes meanwhile, and they stay where they are */
        CHECK_EQ(atomic_load(&counted), soon);
        run_value(rt, until_three, &counted, 2);
        CHECK_OK(pirn_runtime_free(rt));
    }
}
END_TEST

static int sleep_long(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return pirn_sleep(PIRN_NEVER);
}

struct three {
    pirn_runtime *rt;
    pirn_task *tasks[3];
    atomic_int began;
};

static int cancel_and_stop(void *arg)
{
    struct three *t = arg;
    support_until(&t->began, 3);
    for (int i = 0; i < 3; i++)
        CHECK_OK(pirn_cancel(t->tasks[i], "test"));
    return pirn_runtime_stop(t->rt);
}

START_TEST(s29_run_again_lets_cancels_land)
{
    FOR_WORKERS(w)
    {
        struct three t = {.rt = new_runtime(w)};
        for (int i = 0; i < 3; i++)
            t.tasks[i] = spawn_in(t.rt, sleep_long, &t.began);
        CHECK_OK(pirn_detach(spawn_in(t.rt, cancel_and_stop, &t)));
        CHECK_OK(pirn_runtime_run_forever(t.rt));
        for (int i = 0; i < 3; i++) {
            int status = -12345;
            CHECK_OK(pirn_runtime_run_until_done(t.rt, t.tasks[i], &status));
            CHECK_EQ(status, -ECANCELED);
            CHECK_OK(pirn_release(t.tasks[i]));
        }
        CHECK_OK(pirn_runtime_free(t.rt));
    }
}
END_TEST

/* ---- A8, S103, S106: a pass -------------------------------------------------------------- */

struct again {
    atomic_int first, second;
};

static int queue_another(void *arg)
{
    struct again *a = arg;
    CHECK_OK(pirn_detach(support_spawn(count, &a->second)));
    return count(&a->first);
}

static int yield_for_ever(void *arg)
{
    while (pirn_yield() == 0)
        atomic_fetch_add((atomic_int *)arg, 1);
    return -ECANCELED;
}

START_TEST(a8_what_is_queued_runs_once)
{
    enum {
        CALLBACKS = 500
    };
    FOR_WORKERS(w)
    {
        pirn_runtime *rt = new_runtime(w);
        struct again a = {0};
        atomic_int yields = 0, due = 0;
        for (int i = 0; i < CALLBACKS; i++)
            CHECK_OK(pirn_detach(spawn_in(rt, queue_another, &a)));
        CHECK_OK(pirn_detach(spawn_in(rt, yield_for_ever, &yields)));
        CHECK_OK(pirn_detach(spawn_in(rt, sleep_then_count, &due)));
        for (int pass = 1; pass <= 5; pass++) {
            CHECK_OK(pirn_runtime_stop(rt));
            CHECK_OK(pirn_runtime_run_forever(rt));
            CHECK_EQ(atomic_load(&a.first), CALLBACKS);
            CHECK_EQ(atomic_load(&a.second), pass == 1 ? 0 : CALLBACKS);
            CHECK_EQ(atomic_load(&yields), pass - 1);
            if (pass == 3)
                support_pause_ms(4);
            if (pass >= 4)
                CHECK_EQ(atomic_load(&due), 1); /* its time had come */
        }
        int seven = 7, status = -12345;
        CHECK_OK(pirn_runtime_stop(rt)); /* a step is all it needs */
        CHECK_OK(pirn_runtime_run_until_complete(rt, give, &seven, &status));
        CHECK_EQ(status, 7);
        CHECK_OK(pirn_runtime_stop(rt));
        CHECK_EQ(pirn_runtime_run_until_complete(rt, sleep_long, &due, &status), -EINTR);
        CHECK_OK(pirn_runtime_free(rt));
    }
}
END_TEST

static int sleep_an_hour_and_count(void *arg)
{
    int rc = pirn_sleep(pirn_after_s(3600));
    return rc != 0 ? rc : count(arg);
}

START_TEST(s103_stop_before_the_run)
{
    FOR_WORKERS(w)
    {
        pirn_runtime *rt = new_runtime(w);
        atomic_int fired = 0;
        CHECK_OK(pirn_detach(spawn_in(rt, sleep_an_hour_and_count, &fired)));
        CHECK_OK(pirn_runtime_stop(rt));
        CHECK_OK(pirn_runtime_run_forever(rt)); /* and does not wait for the timer */
        CHECK_EQ(atomic_load(&fired), 0);
        CHECK_OK(pirn_runtime_stop(rt));
        CHECK_OK(pirn_runtime_free(rt));
        CHECK_EQ(atomic_load(&fired), 0);
    }
}
END_TEST

static int stop_it(void *arg)
{
    return pirn_runtime_stop(arg);
}

START_TEST(s106_run_forever_with_callbacks_alone)
{
    FOR_WORKERS(w)
    {
        pirn_runtime *rt = new_runtime(w);
        CHECK_OK(pirn_runtime_stop(rt));
        CHECK_OK(pirn_runtime_run_forever(rt)); /* nothing at all */
        CHECK_OK(pirn_detach(spawn_in(rt, stop_it, rt)));
        CHECK_OK(pirn_runtime_run_forever(rt));
        CHECK_OK(pirn_runtime_free(rt));
    }
}
END_TEST

SUPPORT_MAIN("loop", a6_closed, a6_close_while_another_thread_runs_it, s27_stopped_before_the_end,
             a7_steps_end_before_the_run_does, s26_what_one_run_leaves_goes_on_in_the_next,
             s29_run_again_lets_cancels_land, a8_what_is_queued_runs_once, s103_stop_before_the_run,
             s106_run_forever_with_callbacks_alone)
