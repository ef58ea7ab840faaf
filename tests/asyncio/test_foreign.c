/*
 * Plain threads that have to do with coroutines: they spawn, await with timeouts, cancel; and a
 * wait blocks the thread that waits, and nobody else.
 */
#include "tests/asyncio/sync.h"

/* A runtime that plain threads use while main waits for them. */
struct stage {
    pirn_runtime *rt;
    void (*act)(struct stage *s);
    pirn_future *over;
};

static void *actor(void *arg)
{
    struct stage *s = arg;
    CHECK_EQ(pirn_on_worker(), 0);
    s->act(s);
    CHECK_OK(pirn_future_set(s->over, 0, NULL));
    return NULL;
}

static int play_main(void *arg)
{
    struct stage *s = arg;
    s->rt = pirn_runtime_current();
    CHECK_OK(pirn_future_new(&s->over));
    pthread_t thread = support_thread(actor, s);
    CHECK_OK(pirn_await(s->over, NULL, PIRN_NEVER));
    support_thread_join(thread);
    return pirn_release(s->over);
}

static void play(void (*act)(struct stage *s))
{
    FOR_WORKERS(w)
    {
        struct stage s = {NULL, act, NULL};
        CHECK_OK(support_run(w, play_main, &s));
    }
}

static pirn_task *spawn_on(pirn_runtime *rt, pirn_fn fn, void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task = NULL;
    config.runtime = rt;
    CHECK_OK(pirn_spawn_with(&task, &config, fn, arg));
    return task;
}

/* ---- A143: a timeout leaves the coroutine running; value, error and cancel reach a thread ---- */

struct held {
    atomic_int begun, release, cancelled;
    int result;
};

static int hold(void *arg)
{
    struct held *h = arg;
    CHECK_EQ(pirn_on_worker(), 1);
    CHECK_OK(pirn_set_value(h, NULL));
    atomic_store(&h->begun, 1);
    while (!atomic_load(&h->release)) {
        int rc = pirn_sleep(pirn_after_us(100));
        if (rc != 0) {
            atomic_fetch_add(&h->cancelled, 1);
            return rc;
        }
    }
    return h->result;
}

static void waits_with_timeout(struct stage *s)
{
    static const int results[] = {0, 1234, -EIO};
    for (int i = 0; i < 3; i++) {
        struct held h = {.result = results[i]};
        int status = -12345;
        pirn_task *task = spawn_on(s->rt, hold, &h);
        pirn_time until = pirn_after_ms(2);
        CHECK_EQ(pirn_await(task, &status, until), -ETIMEDOUT);
        CHECK_GE(pirn_now().ns, until.ns);
        CHECK_EQ(status, -12345);
        CHECK_EQ(pirn_await(task, &status, PIRN_NOW), -ETIMEDOUT);
        CHECK_EQ(pirn_status(task), -EINPROGRESS); /* it goes on */
        CHECK(pirn_value(task) == NULL);
        atomic_store(&h.release, 1);
        CHECK_OK(pirn_await(task, &status, PIRN_NEVER));
        CHECK_EQ(status, results[i]);
        CHECK(pirn_value(task) == &h);
        CHECK_EQ(h.cancelled, 0);
        CHECK_OK(pirn_release(task));
    }
}

static void cancels_after_timeout(struct stage *s)
{
    struct held h = {.result = 1};
    int status = -12345;
    pirn_task *task = spawn_on(s->rt, hold, &h);
    support_until(&h.begun, 1);
    CHECK_EQ(pirn_await(task, &status, pirn_after_ms(1)), -ETIMEDOUT);
    CHECK_OK(pirn_cancel(task, "from a thread"));
    CHECK_OK(pirn_await(task, &status, PIRN_NEVER));
    CHECK_EQ(status, -ECANCELED); /* of the task: the await itself was not cancelled */
    CHECK_EQ(h.cancelled, 1);
    CHECK(strcmp(pirn_reason(task), "from a thread") == 0);
    CHECK_EQ(pirn_cancel(task, NULL), -EALREADY);
    CHECK_OK(pirn_release(task));
}

START_TEST(a143_a_timeout_leaves_it_running)
{
    for (int i = 0; i < support_rounds(20); i++)
        play(waits_with_timeout);
}
END_TEST

START_TEST(a143_a_thread_cancels)
{
    for (int i = 0; i < support_rounds(20); i++)
        play(cancels_after_timeout);
}
END_TEST

/* ---- A143: the runtime ends while a thread waits --------------------------------------------- */

static void *awaits(void *arg)
{
    struct caller *c = arg;
    int status = -12345;
    atomic_store(&c->tid, gettid());
    c->rc = pirn_await(c->object, &status, PIRN_NEVER);
    c->at = status;
    return NULL;
}

static int for_ever(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

static int leave_waiting(void *arg)
{
    struct caller *c = arg;
    c->object = support_spawn(for_ever, NULL);
    c->thread = support_thread(awaits, c);
    sync_until_asleep(&c->tid);
    return 0; /* and what is left is cancelled */
}

START_TEST(a143_the_runtimes_end_wakes_a_thread)
{
    for (int i = 0; i < support_rounds(20); i++) {
        FOR_WORKERS(w)
        {
            struct caller c = {.rc = -1};
            CHECK_OK(support_run(w, leave_waiting, &c));
            support_thread_join(c.thread);
            CHECK_OK(c.rc);
            CHECK_EQ(c.at, -ECANCELED);
            CHECK_OK(pirn_release(c.object));
        }
    }
}
END_TEST

/* A spawn that comes too late says so, and its argument is dropped. */
struct late {
    pirn_runtime *rt;
    atomic_int dropped, refused, ran;
};

static void drop_late(void *arg)
{
    atomic_fetch_add(&((struct late *)arg)->dropped, 1);
}

static int run_late(void *arg)
{
    atomic_fetch_add(&((struct late *)arg)->ran, 1);
    return 0;
}

static void *spawns_on(void *arg)
{
    struct late *l = arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.runtime = l->rt;
    config.arg_drop = drop_late;
    for (int n = 1;; n++) {
        pirn_task *task;
        int status, rc = pirn_spawn_with(&task, &config, run_late, l);
        if (rc == 0) {
            CHECK_OK(pirn_join(task, &status, PIRN_NEVER)); /* whatever happens */
            CHECK(status == 0 || status == -ECANCELED);
        } else {
            CHECK_EQ(rc, -ESHUTDOWN);
            atomic_fetch_add(&l->refused, 1);
        }
        CHECK_EQ(l->dropped, n);
        if (rc != 0)
            return NULL;
    }
}

static int nothing(void *arg)
{
    struct late *l = arg;
    support_until(&l->ran, 1);
    return 0;
}

START_TEST(a143_spawning_into_the_end)
{
    for (int i = 0; i < support_rounds(20); i++) {
        FOR_WORKERS(w)
        {
            struct late l = {NULL, 0, 0, 0};
            pirn_config config = PIRN_CONFIG_INIT;
            config.workers = w;
            CHECK_OK(pirn_runtime_new(&l.rt, &config));
            pthread_t thread = support_thread(spawns_on, &l);
            int status = -1;
            CHECK_OK(pirn_runtime_run_until_complete(l.rt, nothing, &l, &status));
            CHECK_OK(pirn_runtime_close(l.rt));
            support_thread_join(thread);
            CHECK_EQ(l.refused, 1);
            CHECK_OK(pirn_runtime_free(l.rt));
        }
    }
}
END_TEST

/* ---- A143: a race of the timeout and the end ------------------------------------------------- */

struct sleeper {
    int number;
    atomic_int stays, go; /* stays: until it may go */
};

static int short_sleep(void *arg)
{
    struct sleeper *me = arg;
    (void)pirn_sleep(pirn_after_us(support_between(0, 300)));
    support_until(&me->go, atomic_load(&me->stays));
    return me->number;
}

static int outcomes[2];

/* Now and then there is but one outcome, so that each is seen on any machine. */
static void races_its_timeout(struct stage *s)
{
    for (int i = 0; i < support_rounds(3400); i++) {
        bool too_late = i % 8 == 0, in_time = i % 8 == 1;
        struct sleeper sleeper = {.number = i, .stays = too_late};
        int status = -12345;
        pirn_task *task = spawn_on(s->rt, short_sleep, &sleeper);
        int rc = pirn_await(task, &status,
                            in_time ? PIRN_NEVER : pirn_after_us(support_between(0, 500)));
        CHECK(rc == 0 || rc == -ETIMEDOUT);
        if (too_late || in_time)
            CHECK_EQ(rc == 0, in_time);
        CHECK_EQ(status, rc == 0 ? i : -12345);
        outcomes[rc == 0]++;
        atomic_store(&sleeper.go, 1);
        CHECK_EQ(support_join(task), i); /* it was left alone in either case */
    }
}

START_TEST(a143_race_of_a_timeout_and_the_end)
{
    play(races_its_timeout);
    CHECK_GE(outcomes[0], support_rounds(100));
    CHECK_GE(outcomes[1], support_rounds(100));
}
END_TEST

/* ---- A144: a wait blocks the thread, or suspends the coroutine ------------------------------- */

static int await_object(struct caller *c)
{
    int status = 0, rc = pirn_await(c->object, &status, PIRN_NEVER);
    CHECK_EQ(status, 5);
    return rc;
}

static int two_sleeps(void *arg)
{
    for (int i = 0; i < 2; i++)
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* Two threads and two coroutines wait for one future; others go on, also at W = 1, and set it. */
static int waits_of_both(void *arg)
{
    struct caller callers[4];
    pirn_future *future;
    atomic_int went_on = 0;
    (void)arg;
    CHECK_OK(pirn_future_new(&future));
    for (int i = 0; i < 4; i++) {
        callers[i] = (struct caller){.fn = await_object, .object = future};
        sync_start(&callers[i], i % 2 == 0);
    }
    for (int i = 0; i < 3; i++)
        CHECK_OK(pirn_detach(support_spawn(two_sleeps, &went_on)));
    support_until(&went_on, 3);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(callers[i].done, 0);
    CHECK_OK(pirn_future_set(future, 5, NULL));
    for (int i = 0; i < 4; i++)
        CHECK_OK(sync_finish(&callers[i]));
    return pirn_release(future);
}

START_TEST(a144_the_same_call_blocks_or_suspends)
{
    for (int i = 0; i < support_rounds(20); i++) {
        FOR_WORKERS(w)
        CHECK_OK(support_run(w, waits_of_both, NULL));
    }
}
END_TEST

SUPPORT_MAIN("foreign", a143_a_timeout_leaves_it_running, a143_a_thread_cancels,
             a143_the_runtimes_end_wakes_a_thread, a143_spawning_into_the_end,
             a143_race_of_a_timeout_and_the_end, a144_the_same_call_blocks_or_suspends)
