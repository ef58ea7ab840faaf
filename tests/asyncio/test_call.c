/*
 * Calls to be made soon, or at a time: order, never early, taken back, from plain threads, for
 * ever.
 */
#include "tests/race/rounds.h"

#include <sched.h>

static int count(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* ---- A17 --------------------------------------------------------------------------------- */

enum {
    TIMERS = 100000,
    CYCLES = 4
};

static int set_and_cancel(void *arg)
{
    pirn_task **handles = arg;
    int n = support_rounds(TIMERS);
    long settled = 0;
    atomic_int ran = 0;
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        pirn_time hour = pirn_after_s(3600);
        for (int i = 0; i < n; i++)
            CHECK_OK(pirn_call_at(NULL, &handles[i], count, &ran, hour));
        for (int i = 0; i < n; i++)
            CHECK_OK(pirn_cancel(handles[i], NULL));
        for (int i = 0; i < n; i++)
            CHECK_EQ(support_join(handles[i]), -ECANCELED);
        pirn_stats stats = {.size = sizeof(stats)};
        CHECK_OK(pirn_stats_get(NULL, &stats));
        CHECK_EQ(stats.tasks_live, 1); /* gone, not only told to go */
        if (cycle == 0)
            settled = support_resident();
    }
    /* What the first lot needed serves all that follow. Each lot more would be some 30 MB. */
    if (!support_slow())
        CHECK_LE(support_resident(), settled + 8 * 1024 * 1024);
    return atomic_load(&ran);
}

START_TEST(a17_cancelled_timers_leave_nothing)
{
    pirn_task **handles = calloc(TIMERS, sizeof(pirn_task *));
    CHECK(handles);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, set_and_cancel, handles));
    free(handles);
}
END_TEST

/* ---- A18 --------------------------------------------------------------------------------- */

struct chain {
    atomic_int links, over;
};

static int next_link(void *arg)
{
    struct chain *c = arg;
    atomic_fetch_add(&c->links, 1);
    if (!atomic_load(&c->over))
        CHECK_OK(pirn_call_soon(NULL, NULL, next_link, c));
    return 0;
}

static int beside_a_chain(void *arg)
{
    struct chain c = {0};
    atomic_int ran = 0;
    int fds[2];
    char byte = 0;
    (void)arg;
    support_pair(fds);
    for (int i = 0; i < 8; i++) /* several, so that every worker has one */
        CHECK_OK(pirn_call_soon(NULL, NULL, next_link, &c));
    for (int i = 1; i <= 20; i++) { /* timers, calls and I/O are served all the same */
        int before = atomic_load(&c.links);
        CHECK_OK(pirn_call_at(NULL, NULL, count, &ran, pirn_after_ms(1)));
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        support_until(&ran, i);
        CHECK_EQ(pirn_send(fds[0], "x", 1, 0, PIRN_NEVER), 1);
        CHECK_EQ(pirn_recv(fds[1], &byte, 1, 0, PIRN_NEVER), 1);
        support_until(&c.links, before + 10);
    }
    atomic_store(&c.over, 1);
    CHECK_OK(pirn_close(fds[0]));
    CHECK_OK(pirn_close(fds[1]));
    while (pirn_tasks(NULL, 0) > 1)
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
    return 0;
}

START_TEST(a18_an_endless_chain_of_calls)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, beside_a_chain, NULL));
}
END_TEST

/* ---- A19 --------------------------------------------------------------------------------- */

enum kind {
    CALL_SOON,
    CALL_AT,
    SPAWN,
    SETTLE,
    START,
    KINDS
};

struct wakings {
    pirn_runtime *runtime;
    enum kind kind;
    int rounds;
    atomic_int seen;
    _Atomic(pirn_awaitable *) prepared; /* a future somebody awaits, or a coroutine */
    pirn_future *over;
};

static int see(void *arg)
{
    struct wakings *k = arg;
    atomic_fetch_add(&k->seen, 1);
    return 0;
}

static void *wake(void *arg)
{
    struct wakings *k = arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.runtime = k->runtime;
    for (int i = 0; i < k->rounds; i++) {
        pirn_task *task = NULL;
        pirn_awaitable *prepared;
        switch (k->kind) {
        case CALL_SOON:
            CHECK_OK(pirn_call_soon(k->runtime, &task, see, k));
            break;
        case CALL_AT:
            CHECK_OK(pirn_call_at(k->runtime, &task, see, k, PIRN_NOW));
            break;
        case SPAWN:
            CHECK_OK(pirn_spawn_with(&task, &config, see, k));
            break;
        case START:
            CHECK_OK(pirn_coroutine_new(&task, &config, see, k));
            CHECK_OK(pirn_start(task));
            break;
        case SETTLE:
        case KINDS:
            while ((prepared = atomic_exchange(&k->prepared, NULL)) == NULL) {}
            support_spin(support_between(0, 20 * US)); /* it is about to wait, or waits */
            CHECK_OK(pirn_future_set(prepared, 0, NULL));
            pirn_release(prepared);
            break;
        }
        /* No further word: everybody is asleep or on the way there. */
        for (int spins = 0; atomic_load(&k->seen) <= i; spins++)
            if (spins > 1000)
                sched_yield();
        if (task != NULL)
            CHECK_OK(pirn_detach(task));
    }
    CHECK_OK(pirn_future_set(k->over, 0, NULL));
    return NULL;
}

static int be_woken(void *arg)
{
    struct wakings *k = arg;
    k->runtime = pirn_runtime_current();
    CHECK_OK(pirn_future_new(&k->over));
    pthread_t thread = support_thread(wake, k);
    for (int i = 0; k->kind == SETTLE && i < k->rounds; i++) {
        pirn_future *future;
        CHECK_OK(pirn_future_new(&future));
        atomic_store(&k->prepared, pirn_retain(future));
        CHECK_OK(pirn_await(future, NULL, PIRN_NEVER));
        atomic_fetch_add(&k->seen, 1);
        pirn_release(future);
    }
    CHECK_OK(pirn_await(k->over, NULL, PIRN_NEVER)); /* no timer that would wake anybody besides */
    support_thread_join(thread);
    pirn_release(k->over);
    return 0;
}

START_TEST(a19_no_wake_up_is_lost)
{
    FOR_WORKERS(w)
    for (int kind = 0; kind < KINDS; kind++) {
        struct wakings k = {.kind = (enum kind)kind, .rounds = support_rounds(100000) / 15};
        CHECK_OK(support_run(w, be_woken, &k));
        CHECK_EQ(atomic_load(&k.seen), k.rounds);
    }
}
END_TEST

/* ---- At its time, in the order of times, not before -------------------------------------- */

struct timed {
    atomic_int *turn;
    pirn_time at;
    int place;
    pid_t thread;
};

static int come(void *arg)
{
    struct timed *t = arg;
    CHECK_GE(pirn_now().ns, t->at.ns);
    t->place = atomic_fetch_add(t->turn, 1);
    t->thread = gettid();
    return 5;
}

static int come_in_turn(void *arg)
{
    static const int delay[] = {12, 4, 20}, in_turn[] = {1, 0, 2};
    struct timed timed[3];
    pirn_task *handles[3];
    atomic_int turn = 0, never = 0;
    pirn_task *task;
    (void)arg;
    for (int i = 0; i < 3; i++) {
        timed[i] = (struct timed){&turn, pirn_after_ms(delay[i]), -1, 0};
        CHECK_OK(pirn_call_at(NULL, &handles[i], come, &timed[i], timed[i].at));
        CHECK_EQ(pirn_status(handles[i]), -EINPROGRESS);
    }
    /* The first first: one that is due, and has to wait for others, would run in its awaiter's
     * place before them. */
    for (int i = 0; i < 3; i++)
        CHECK_EQ(support_join(handles[in_turn[i]]), 5);
    /* A thread that had one in hand may have lost its core to another. */
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            CHECK(timed[i].at.ns > timed[k].at.ns || timed[i].place <= timed[k].place ||
                  timed[i].thread != timed[k].thread);
    /* Taken back, and at once awaited: as the newest in the queue, behind another. */
    CHECK_OK(pirn_call_at(NULL, &task, count, &never, pirn_after_s(3600)));
    CHECK_EQ(pirn_await(task, NULL, pirn_after_us(100)), -ETIMEDOUT);
    CHECK_EQ(pirn_release(task), -EBUSY); /* its time may come */
    CHECK_OK(pirn_cancel(task, "not now"));
    CHECK_OK(pirn_call_at(NULL, &handles[0], count, &turn, PIRN_NOW));
    CHECK_EQ(support_join(task), -ECANCELED);
    CHECK_OK(support_join(handles[0]));
    CHECK_EQ(atomic_load(&never), 0);
    CHECK_EQ(pirn_call_at(NULL, NULL, NULL, NULL, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_call_soon(NULL, NULL, NULL, NULL), -EINVAL);
    CHECK_OK(pirn_call_at(NULL, NULL, count, &never, pirn_after_s(3600))); /* left over */
    return 0;
}

START_TEST(a15_calls_come_in_the_order_of_their_times)
{
    atomic_int never = 0;
    CHECK_EQ(pirn_call_at(NULL, NULL, count, &never, PIRN_NOW), -EPERM);
    CHECK_EQ(pirn_call_soon(NULL, NULL, count, &never), -EPERM);
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(10); i++)
        CHECK_OK(support_run(w, come_in_turn, NULL));
}
END_TEST

/* ---- Raced ------------------------------------------------------------------------------- */

/* Now and then it is sure what becomes of the call, so that each is seen on any machine. */
struct duel {
    support_barrier meet;
    pirn_task *task;
    pirn_time at;
    atomic_int ran;
    bool comes, never; /* the call */
    int rc;
    atomic_int done, over;
};

static void *canceller(void *arg)
{
    struct duel *d = arg;
    for (;;) {
        support_meet(&d->meet);
        if (atomic_load(&d->over))
            return NULL;
        if (d->comes)
            support_until(&d->ran, 1);
        else if (!d->never)
            support_spin(d->at.ns - support_now() + support_between(-20 * US, 60 * US));
        d->rc = pirn_cancel(d->task, NULL);
        atomic_fetch_add(&d->done, 1);
    }
}

static int cancel_as_it_comes(void *arg)
{
    int rounds = *(int *)arg, came = 0, i = 0;
    int64_t began = support_now();
    struct duel d = {.meet = {.n = 2}};
    pthread_t thread = support_thread(canceller, &d);
    for (; rounds_go_on(began, i, rounds); i++) {
        atomic_store(&d.ran, 0);
        d.comes = i % 8 == 0;
        d.never = i % 8 == 1;
        d.at = d.never ? pirn_after_s(3600) : pirn_after_us(60);
        CHECK_OK(pirn_call_at(NULL, &d.task, count, &d.ran, d.at));
        support_meet(&d.meet);
        int status = support_join(pirn_retain(d.task));
        while (atomic_load(&d.done) <= i)
            CHECK_OK(pirn_yield());
        CHECK_EQ(status, atomic_load(&d.ran) ? 0 : -ECANCELED);
        CHECK(d.rc == 0 || d.rc == -EALREADY);
        if (d.rc == -EALREADY || d.comes)
            CHECK_EQ(atomic_load(&d.ran), 1);
        if (d.never)
            CHECK_EQ(atomic_load(&d.ran), 0);
        came += atomic_load(&d.ran);
        CHECK_OK(pirn_release(d.task));
    }
    atomic_store(&d.over, 1);
    support_meet(&d.meet);
    support_thread_join(thread);
    rounds_saw_both(came, i);
    return 0;
}

START_TEST(a50_cancelled_as_its_time_comes)
{
    int rounds = support_rounds(10000) / 3;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancel_as_it_comes, &rounds));
}
END_TEST

/* Plain threads that have calls made, now and later, while the runtime ends. */
struct ending {
    pirn_runtime *runtime;
    atomic_int ran, ready, dropped;
};

static void note_end(pirn_awaitable *awaitable, void *user)
{
    (void)awaitable;
    atomic_fetch_add((atomic_int *)user, 1);
}

static void *call_until_the_end(void *arg)
{
    struct ending *e = arg;
    pirn_future *never;
    int rc = 0;
    CHECK_OK(pirn_future_new(&never));
    atomic_fetch_add(&e->ready, 1);
    for (int i = 0; rc == 0; i++) {
        if (i % 3 == 0)
            rc = pirn_call_at(e->runtime, NULL, count, &e->ran, pirn_after_us(100));
        else if (i % 3 == 1)
            rc = pirn_call_at(e->runtime, NULL, count, &e->ran, pirn_after_s(3600));
        else
            rc = pirn_add_done_callback(never, e->runtime, note_end, &e->dropped);
        if (rc == 0 && i % 3 == 2) /* each with a runner of its own */
            CHECK_LE(pirn_remove_done_callback(never, note_end, &e->dropped), 1);
        pirn_release(never);
        CHECK_OK(pirn_future_new(&never));
    }
    CHECK_EQ(rc, -ESHUTDOWN);
    pirn_release(never);
    return NULL;
}

static int let_them_begin(void *arg)
{
    struct ending *e = arg;
    support_until(&e->ready, 2);
    CHECK_OK(pirn_sleep(pirn_after_us(support_between(50, 500))));
    return 0;
}

START_TEST(a6_calls_from_threads_as_it_ends)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(100); i++) {
        pirn_config config = PIRN_CONFIG_INIT;
        struct ending e = {0};
        pthread_t threads[2];
        int status;
        config.workers = w;
        config.grace.ns = 1000 * 1000 * MS; /* not needed */
        CHECK_OK(pirn_runtime_new(&e.runtime, &config));
        for (int k = 0; k < 2; k++)
            threads[k] = support_thread(call_until_the_end, &e);
        CHECK_OK(pirn_runtime_run_until_complete(e.runtime, let_them_begin, &e, &status));
        CHECK_OK(pirn_runtime_close(e.runtime));
        for (int k = 0; k < 2; k++)
            support_thread_join(threads[k]);
        CHECK_EQ(atomic_load(&e.dropped), 0); /* what they were to hear of never came */
        CHECK_OK(pirn_runtime_free(e.runtime));
    }
}
END_TEST

SUPPORT_MAIN("call", a17_cancelled_timers_leave_nothing, a18_an_endless_chain_of_calls,
             a19_no_wake_up_is_lost, a15_calls_come_in_the_order_of_their_times,
             a50_cancelled_as_its_time_comes, a6_calls_from_threads_as_it_ends)
