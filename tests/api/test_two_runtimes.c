/* Two runtimes in one process at once: futures, tasks and spawns across them. */
#include "tests/support.h"

struct side {
    struct both *both;
    int id;
    _Atomic(pirn_runtime *) runtime;
    pirn_future *ready, *done;
    atomic_int visits;
};

struct both {
    struct side side[2];
    int workers;
};

static int visitor(void *arg)
{
    struct side *home = arg;
    CHECK(pirn_runtime_current() == atomic_load(&home->runtime));
    CHECK_OK(pirn_sleep(pirn_after_us(200)));
    atomic_fetch_add(&home->visits, 1);
    return 40 + home->id;
}

static int stays(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

static int side_main(void *arg)
{
    struct side *me = arg, *other = &me->both->side[!me->id];
    atomic_store(&me->runtime, pirn_runtime_current());
    CHECK_OK(pirn_future_set(me->ready, me->id, me));
    int status = -1;
    void *value = NULL;
    CHECK_OK(pirn_future_await(other->ready, &status, &value, PIRN_NEVER)); /* one of the other */
    CHECK_EQ(status, other->id);
    CHECK(value == other);
    CHECK(atomic_load(&other->runtime) != pirn_runtime_current());

    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.runtime = atomic_load(&other->runtime);
    for (int i = 0; i < support_rounds(500); i++) { /* spawned there, awaited here */
        pirn_task *task;
        CHECK_OK(pirn_spawn_with(&task, &config, visitor, other));
        CHECK_EQ(support_join(task), 40 + other->id);
    }
    pirn_task *far;
    CHECK_OK(pirn_spawn_with(&far, &config, stays, NULL));
    CHECK_EQ(pirn_await(far, NULL, pirn_after_ms(2)), -ETIMEDOUT);
    CHECK_OK(pirn_cancel(far, NULL)); /* cancelled from here */
    CHECK_EQ(support_join(far), -ECANCELED);

    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(config.runtime, &stats)); /* looked at from here */
    CHECK_EQ(stats.workers, me->both->workers);
    FILE *null = fopen("/dev/null", "we");
    CHECK(null);
    CHECK_OK(pirn_dump(config.runtime, null));
    fclose(null);

    CHECK_OK(pirn_future_set(me->done, 0, NULL)); /* neither may go before the other is through */
    CHECK_OK(pirn_future_await(other->done, NULL, NULL, PIRN_NEVER));
    return me->id;
}

static void *side_thread(void *arg)
{
    struct side *me = arg;
    CHECK_EQ(support_run(me->both->workers, side_main, me), me->id);
    return NULL;
}

START_TEST(side_by_side)
{
    FOR_WORKERS(w)
    {
        struct both both = {.workers = w};
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) {
            both.side[i].both = &both;
            both.side[i].id = i;
            CHECK_OK(pirn_future_new(&both.side[i].ready));
            CHECK_OK(pirn_future_new(&both.side[i].done));
        }
        for (int i = 0; i < 2; i++)
            threads[i] = support_thread(side_thread, &both.side[i]);
        for (int i = 0; i < 2; i++)
            support_thread_join(threads[i]);
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(atomic_load(&both.side[i].visits), support_rounds(500));
            pirn_release(both.side[i].ready);
            pirn_release(both.side[i].done);
        }
    }
}
END_TEST

/* A future and a task outlive the runtime they came from. */
static int leaves_value(void *arg)
{
    CHECK_OK(pirn_set_value(arg, NULL));
    return 13;
}

struct kept {
    pirn_future *future;
    pirn_task *task;
    int value;
};

static int makes(void *arg)
{
    struct kept *k = arg;
    CHECK_OK(pirn_future_new(&k->future));
    k->task = support_spawn(leaves_value, &k->value);
    CHECK_OK(pirn_await(k->task, NULL, PIRN_NEVER));
    return 0;
}

static int uses(void *arg)
{
    struct kept *k = arg;
    int status = 0;
    CHECK_OK(pirn_await(k->task, &status, PIRN_NEVER));
    CHECK_EQ(status, 13);
    CHECK(pirn_value(k->task) == &k->value);
    CHECK_OK(pirn_release(k->task));
    CHECK_EQ(pirn_future_await(k->future, NULL, NULL, pirn_after_ms(1)), -ETIMEDOUT);
    CHECK_OK(pirn_future_set(k->future, 1, NULL));
    CHECK_OK(pirn_future_await(k->future, NULL, NULL, PIRN_NEVER));
    pirn_release(k->future);
    return 0;
}

START_TEST(outlives_its_runtime)
{
    struct kept k = {0};
    CHECK_OK(support_run(2, makes, &k));
    CHECK_EQ(pirn_status(k.task), 13);
    CHECK_OK(support_run(1, uses, &k));
}
END_TEST

/* Whoever wakes the last task of a runtime may still be on its way out of the call when the
 * runtime is gone. */
static void *set_it(void *arg)
{
    support_spin(support_between(0, 300 * US));
    CHECK_OK(pirn_future_set(arg, 2, NULL));
    return NULL;
}

static int wait_and_go(void *arg)
{
    int status = 0;
    CHECK_OK(pirn_future_await(arg, &status, NULL, PIRN_NEVER));
    return status;
}

START_TEST(gone_at_once)
{
    for (int i = 0; i < support_rounds(3000); i++) {
        pirn_future *future;
        CHECK_OK(pirn_future_new(&future));
        pthread_t thread = support_thread(set_it, future);
        CHECK_EQ(support_run(1 + i % 2, wait_and_go, future), 2);
        support_thread_join(thread);
        pirn_release(future);
    }
}
END_TEST

/* ---- A strand of two runtimes, one of which stands still ------------------------------------- */

struct shared {
    pirn_runtime *other;
    pirn_strand *strand;
    pirn_event event;
    pirn_task *far; /* the other's member */
    atomic_int turns, go;
};

static pirn_task *spawn_on(struct shared *s, pirn_fn fn)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    config.strand = s->strand;
    CHECK_OK(pirn_spawn_with(&task, &config, fn, s));
    return task;
}

static int takes_a_turn(void *arg)
{
    struct shared *s = arg;
    CHECK_OK(pirn_event_wait(&s->event, PIRN_NEVER));
    atomic_fetch_add(&s->turns, 1);
    return 8;
}

static int leaves_one_waiting(void *arg)
{
    struct shared *s = arg;
    s->far = spawn_on(s, takes_a_turn);
    support_until_waiting(s->far);
    return 0;
}

static int goes_behind_it(void *arg)
{
    struct shared *s = arg;
    CHECK_OK(pirn_event_set(&s->event));
    CHECK_OK(pirn_yield());
    CHECK_EQ(atomic_load(&s->turns), 1);
    return 9;
}

static void *runs_the_other(void *arg)
{
    struct shared *s = arg;
    int status = 0;
    support_until(&s->go, 1);
    CHECK_OK(pirn_runtime_run_until_done(s->other, s->far, &status));
    CHECK_EQ(status, 8);
    return NULL;
}

static int waits_for_the_other(void *arg)
{
    struct shared *s = arg;
    pthread_t thread = support_thread(runs_the_other, s);
    pirn_task *near = spawn_on(s, goes_behind_it);
    CHECK_EQ(pirn_await(near, NULL, pirn_after_ms(20)), -ETIMEDOUT);
    CHECK_EQ(atomic_load(&s->turns), 0);
    atomic_store(&s->go, 1);
    CHECK_EQ(support_join(near), 9);
    support_thread_join(thread);
    return 0;
}

START_TEST(turn_of_a_stopped_runtime)
{
    for (int i = 0; i < support_rounds(20); i++)
        FOR_WORKERS(w)
        {
            pirn_config config = PIRN_CONFIG_INIT;
            struct shared s = {0};
            config.workers = w;
            CHECK_OK(pirn_strand_new(&s.strand));
            CHECK_OK(pirn_runtime_new(&s.other, &config));
            CHECK_OK(pirn_runtime_run_until_complete(s.other, leaves_one_waiting, &s, NULL));
            CHECK_OK(support_run(w, waits_for_the_other, &s));
            CHECK_OK(pirn_release(s.far));
            CHECK_OK(pirn_runtime_free(s.other));
            pirn_strand_release(s.strand);
        }
}
END_TEST

/* ---- Calls that are due there, taken back from here ------------------------------------------ */

struct calls {
    _Atomic(pirn_runtime *) there;
    pirn_event up, over;
    atomic_int made;
};

static int stays_up(void *arg)
{
    struct calls *c = arg;
    atomic_store(&c->there, pirn_runtime_current());
    CHECK_OK(pirn_event_set(&c->up));
    return pirn_event_wait(&c->over, PIRN_NEVER);
}

static void *is_there(void *arg)
{
    CHECK_OK(support_run(2, stays_up, arg));
    return NULL;
}

static int is_made(void *arg)
{
    atomic_fetch_add(&((struct calls *)arg)->made, 1);
    return 0;
}

static pirn_time soon(void)
{
    return pirn_after_us(support_between(0, 50));
}

/* Each is made, or has been taken back, whatever was said at the moment it was due. */
static int takes_back(void *arg)
{
    struct calls c = {.made = 0};
    int rounds = *(int *)arg, back = 0;
    pthread_t thread = support_thread(is_there, &c);
    CHECK_OK(pirn_event_wait(&c.up, PIRN_NEVER));
    pirn_runtime *there = atomic_load(&c.there);
    for (int r = 0; r < rounds; r++) {
        pirn_task *call;
        pirn_timer timer;
        int status = -1;
        CHECK_OK(pirn_timer_init(&timer, there, is_made, &c));
        CHECK_OK(pirn_timer_arm(&timer, soon()));
        CHECK_OK(pirn_call_at(there, &call, is_made, &c, soon()));
        support_spin(support_between(0, 100 * US));
        back += pirn_timer_cancel(&timer) == 0;
        bool too_late = pirn_cancel(call, NULL) == -EALREADY;
        CHECK_OK(pirn_join(call, &status, PIRN_NEVER));
        CHECK(status == 0 || (status == -ECANCELED && !too_late));
        back += status == -ECANCELED;
    }
    support_until(&c.made, 2 * rounds - back);
    CHECK_OK(pirn_event_set(&c.over));
    support_thread_join(thread);
    CHECK_EQ(atomic_load(&c.made), 2 * rounds - back);
    return 0;
}

START_TEST(calls_taken_back_from_the_other)
{
    int rounds = support_rounds(5000);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, takes_back, &rounds));
}
END_TEST

SUPPORT_MAIN("two_runtimes", side_by_side, outlives_its_runtime, gone_at_once,
             turn_of_a_stopped_runtime, calls_taken_back_from_the_other)
