/* Several awaiters of one task, plain threads among them; passing a cancel on; foreign spawns. */
#include "tests/support.h"

static int gated(void *arg)
{
    int status = 0, rc = pirn_future_await(arg, &status, NULL, PIRN_NEVER);
    return rc ? rc : status;
}

struct awaiting {
    pirn_task *target;
    pirn_time deadline;
    int rc, status;
    atomic_int *began;
};

static int await_it(void *arg)
{
    struct awaiting *a = arg;
    a->status = -12345;
    if (a->began)
        atomic_fetch_add(a->began, 1);
    a->rc = pirn_await(a->target, &a->status, a->deadline);
    return 0;
}

static void *await_on_thread(void *arg)
{
    await_it(arg);
    return NULL;
}

static pirn_future *new_gate(void)
{
    pirn_future *gate;
    CHECK_OK(pirn_future_new(&gate));
    return gate;
}

/* 40 coroutines and 5 plain threads get the same answer; others give up before it. */
static int crowd(void *arg)
{
    (void)arg;
    enum {
        TASKS = 40,
        THREADS = 5,
        HASTY = 10
    };
    pirn_future *gate = new_gate();
    atomic_int began = 0;
    struct awaiting a[TASKS + THREADS], hasty[HASTY];
    pirn_task *target = support_spawn(gated, gate), *tasks[TASKS], *hurried[HASTY];
    pthread_t threads[THREADS];
    for (int i = 0; i < TASKS + THREADS; i++) {
        a[i] = (struct awaiting){target, PIRN_NEVER, -1, -1, &began};
        if (i < TASKS)
            tasks[i] = support_spawn(await_it, &a[i]);
        else
            threads[i - TASKS] = support_thread(await_on_thread, &a[i]);
    }
    for (int i = 0; i < HASTY; i++) {
        hasty[i] = (struct awaiting){target, pirn_after_us(i * 300), -1, -1, NULL};
        hurried[i] = support_spawn(await_it, &hasty[i]);
    }
    for (int i = 0; i < HASTY; i++) {
        CHECK_OK(support_join(hurried[i]));
        CHECK_EQ(hasty[i].rc, -ETIMEDOUT);
        CHECK_EQ(hasty[i].status, -12345);
    }
    support_until(&began, TASKS + THREADS);
    support_until_waiting(tasks[1]);       /* began is not yet awaiting */
    CHECK_OK(pirn_cancel(tasks[0], NULL)); /* one of several just leaves */
    CHECK_OK(support_join(tasks[0]));
    CHECK_EQ(a[0].rc, -ECANCELED);
    CHECK_EQ(pirn_status(target), -EINPROGRESS);
    CHECK_OK(pirn_future_set(gate, 71, NULL));
    for (int i = 1; i < TASKS + THREADS; i++) {
        if (i < TASKS)
            CHECK_OK(support_join(tasks[i]));
        else
            support_thread_join(threads[i - TASKS]);
        CHECK_OK(a[i].rc);
        CHECK_EQ(a[i].status, 71);
    }
    CHECK_EQ(support_join(target), 71);
    pirn_release(gate);
    return 0;
}

START_TEST(many_awaiters)
{
    for (int i = 0; i < support_rounds(20); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, crowd, NULL));
}
END_TEST

/* ---- Cancelling the sole awaiter passes the cancel on ------------------------------------ */

struct chain {
    atomic_int depth, reached, ended;
    pirn_task *links[8];
    int absorb; /* the leaf takes the cancel and returns 7 all the same */
};

static int link_of(void *arg)
{
    struct chain *c = arg;
    int depth = atomic_fetch_sub(&c->depth, 1);
    c->links[depth] = pirn_current();
    if (depth == 0) {
        atomic_store(&c->reached, 1);
        CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
        CHECK_OK(pirn_sleep(pirn_after_ms(2))); /* takes its time to clean up */
        CHECK(strcmp(pirn_cancel_reason(), "chain") == 0);
        atomic_store(&c->ended, 1);
        return c->absorb ? 7 : -ECANCELED;
    }
    pirn_task *inner = support_spawn(link_of, c);
    int status = -1, rc = pirn_await(inner, &status, PIRN_NEVER);
    /* It was passed on, with its reason; we went on once the inner one had made of it what it
     * would. */
    CHECK(strcmp(pirn_cancel_reason(), "chain") == 0);
    CHECK_EQ(atomic_load(&c->ended), 1);
    CHECK_EQ(rc, c->absorb ? 0 : -ECANCELED);
    CHECK_EQ(status, c->absorb ? 7 : -1);
    CHECK_OK(pirn_yield()); /* the cancel was the inner one's */
    return support_join(inner);
}

static int cancel_chain(void *arg)
{
    struct chain c = {.absorb = *(int *)arg};
    atomic_init(&c.depth, 5);
    pirn_task *outer = support_spawn(link_of, &c);
    support_until(&c.reached, 1);
    for (int i = 0; i <= 5; i++)
        support_until_waiting(c.links[i]);
    CHECK_OK(pirn_cancel(outer, "chain"));
    /* The leaf's answer travels up: 7 if it absorbed the cancel. */
    CHECK_EQ(support_join(outer), c.absorb ? 7 : -ECANCELED);
    CHECK_EQ(atomic_load(&c.ended), 1);
    return 0;
}

START_TEST(sole_awaiter_passes_it_on)
{
    for (int i = 0; i < support_rounds(20); i++)
        for (int absorb = 0; absorb < 2; absorb++)
            FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancel_chain, &absorb));
}
END_TEST

/* ---- From plain threads ------------------------------------------------------------------ */

static int add_one(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return pirn_yield();
}

struct foreign {
    pirn_runtime *runtime;
    atomic_int sum, done;
};

static void *spawn_from_outside(void *arg)
{
    struct foreign *f = arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    CHECK_EQ(pirn_spawn_with(&task, &config, add_one, &f->sum), -EPERM);
    CHECK_EQ(pirn_spawn(&task, add_one, &f->sum), -EPERM);
    config.runtime = f->runtime;
    for (int i = 0; i < support_rounds(2000); i++) {
        CHECK_OK(pirn_spawn_with(&task, &config, add_one, &f->sum));
        if (i % 3 == 0)
            CHECK_OK(support_join(task));
        else
            CHECK_OK(pirn_detach(task));
    }
    config.runtime = f->runtime;
    pirn_future *gate = new_gate();
    CHECK_OK(pirn_spawn_with(&task, &config, gated, gate));
    int64_t begin = support_now();
    CHECK_EQ(pirn_await(task, NULL, pirn_after_ms(5)), -ETIMEDOUT); /* it runs on */
    CHECK_GE(support_now() - begin, 5 * MS);
    CHECK_OK(pirn_cancel(task, "from outside"));
    CHECK_EQ(support_join(task), -ECANCELED);
    pirn_release(gate);
    atomic_fetch_add(&f->done, 1);
    return NULL;
}

static int host(void *arg)
{
    struct foreign *f = arg;
    pthread_t threads[3];
    f->runtime = pirn_runtime_current();
    for (int i = 0; i < 3; i++)
        threads[i] = support_thread(spawn_from_outside, f);
    support_until(&f->done, 3); /* parked in between: the wakes must come through */
    for (int i = 0; i < 3; i++)
        support_thread_join(threads[i]);
    support_until(&f->sum, 3 * support_rounds(2000));
    return 0;
}

START_TEST(foreign_threads)
{
    FOR_WORKERS(w)
    {
        struct foreign f = {0};
        CHECK_OK(support_run(w, host, &f));
        CHECK_EQ(atomic_load(&f.sum), 3 * support_rounds(2000));
    }
}
END_TEST

/* ---- Deadlines of an await --------------------------------------------------------------- */

static int deadlines(void *arg)
{
    (void)arg;
    pirn_future *gate = new_gate();
    pirn_task *task = support_spawn(gated, gate);
    CHECK_EQ(pirn_await(task, NULL, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_join(task, NULL, PIRN_NOW), -ETIMEDOUT); /* and the reference is kept */
    pirn_time until = pirn_after_ms(10);
    CHECK_EQ(pirn_join(task, NULL, until), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, until.ns);
    CHECK_OK(pirn_future_set(gate, 3, NULL));
    CHECK_EQ(support_join(task), 3);
    pirn_release(gate);
    return 0;
}

START_TEST(deadline_leaves_it_running)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, deadlines, NULL));
}
END_TEST

SUPPORT_MAIN("await", many_awaiters, sole_awaiter_passes_it_on, foreign_threads,
             deadline_leaves_it_running)
