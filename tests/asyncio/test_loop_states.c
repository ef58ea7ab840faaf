/* The runtime as an object: what it says of itself, what it takes, and several of them. */
#include "tests/asyncio/runtimes.h"

#include <stdio.h>

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

SUPPORT_MAIN("loop_states", s24_identity, s30_states, s38_on_worker, s18_no_nested_run_of_an_object,
             s26_one_runs_while_another_is_paused, s25_whatever_can_be_awaited, s32_both_levels)
