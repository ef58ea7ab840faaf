/*
 * Done callbacks that are taken back while they are added, while what they wait for settles, and
 * while those before them wait.
 */
#include "tests/race/rounds.h"

static pirn_future *new_future(void)
{
    pirn_future *future;
    CHECK_OK(pirn_future_new(&future));
    return future;
}

/* ---- A45 --------------------------------------------------------------------------------- */

struct duel {
    support_barrier meet;
    pirn_runtime *runtime;
    pirn_future *future;
    int round;
    atomic_int settled, over; /* rounds */
    atomic_int ran;           /* of those removed or not */
};

struct mine { /* the callback's; freed by who removed it, or by itself */
    struct duel *duel;
    int alive;
};

static void use(pirn_awaitable *awaitable, void *user)
{
    struct mine *m = user;
    CHECK(awaitable == m->duel->future);
    CHECK_EQ(m->alive, 0x600d);
    m->alive = 0;
    atomic_fetch_add(&m->duel->ran, 1);
    free(m);
}

static void *settler(void *arg)
{
    struct duel *d = arg;
    for (int i = 0;; i++) {
        support_meet(&d->meet);
        if (atomic_load(&d->over))
            return NULL;
        support_spin(support_between(0, 10 * US));
        CHECK_OK(pirn_future_set(d->future, 0, NULL));
        atomic_store(&d->settled, i + 1);
    }
}

static int remove_and_settle(void *arg)
{
    int rounds = *(int *)arg, removed = 0, i = 0;
    int64_t began = support_now(), patience = 40 * US;
    struct duel d = {.meet = {.n = 2}, .runtime = pirn_runtime_current()};
    pthread_t thread = support_thread(settler, &d);
    for (; rounds_go_on(began, i, rounds); i++) {
        struct mine *m[3];
        int n = 0;
        d.future = new_future();
        atomic_store(&d.ran, 0);
        for (int k = 0; k < 3; k++) {
            m[k] = malloc(sizeof(*m[k]));
            CHECK(m[k]);
            *m[k] = (struct mine){&d, 0x600d};
            if (k < 2) /* the third while it is being settled */
                CHECK_OK(pirn_add_done_callback(d.future, NULL, use, m[k]));
        }
        support_meet(&d.meet);
        CHECK_OK(pirn_add_done_callback(d.future, NULL, use, m[2]));
        for (int64_t until = support_now() + support_between(0, patience); support_now() < until;)
            CHECK_OK(pirn_yield());
        for (int k = 0; k < 3; k++) { /* not to be looked at, but for its address */
            int one = pirn_remove_done_callback(d.future, use, m[k]);
            CHECK(one == 0 || one == 1);
            if (one == 1) {
                CHECK_EQ(m[k]->alive, 0x600d);
                m[k]->alive = 0;
                free(m[k]);
            }
            n += one;
        }
        while (atomic_load(&d.settled) <= i || atomic_load(&d.ran) + n < 3)
            CHECK_OK(pirn_yield());
        CHECK_EQ(atomic_load(&d.ran) + n, 3);
        removed += n;
        patience = n == 3 ? patience * 2 : patience / 2; /* to see both, on a busy machine too */
        patience = patience < 5 * US ? 5 * US : patience > 4 * MS ? 4 * MS : patience;
        pirn_release(d.future);
    }
    atomic_store(&d.over, 1);
    support_meet(&d.meet);
    support_thread_join(thread);
    rounds_saw_both(removed, 3 * i);
    return 0;
}

START_TEST(a45_removed_ones_do_not_run)
{
    int rounds = support_rounds(10000) / 3;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, remove_and_settle, &rounds));
}
END_TEST

/* ---- A45: one that is removed while it is still being added leaves nothing ------------------- */

struct adding {
    pirn_future *future;
    pirn_runtime *runtime;
    support_barrier meet;
    int rounds;
};

static void never(pirn_awaitable *awaitable, void *user)
{
    (void)awaitable;
    (void)user;
    CHECK(!"it has not ended, or this has been removed");
}

static void *add_often(void *arg)
{
    struct adding *a = arg;
    for (int i = 0; i < a->rounds; i++) {
        support_meet(&a->meet);
        CHECK_OK(pirn_add_done_callback(a->future, a->runtime, never, a));
    }
    return NULL;
}

static uint64_t live_tasks(void)
{
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(NULL, &stats));
    return stats.tasks_live;
}

static int remove_often(void *arg)
{
    struct adding a = {NULL, pirn_runtime_current(), {.n = 2}, *(int *)arg};
    CHECK_OK(pirn_future_new(&a.future));
    pthread_t thread = support_thread(add_often, &a);
    for (int i = 0; i < a.rounds; i++) {
        support_meet(&a.meet);
        while (pirn_remove_done_callback(a.future, never, &a) == 0) {}
    }
    support_thread_join(thread);
    while (live_tasks() != 1) /* no runner is left waiting for what nobody listens to */
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_OK(pirn_future_set(a.future, 0, NULL));
    CHECK_OK(pirn_release(a.future));
    return 0;
}

START_TEST(a45_removed_as_it_is_added)
{
    int rounds = support_rounds(10000);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, remove_often, &rounds));
}
END_TEST

/* ---- A30: one that is removed behind one that waits ----------------------------------------- */

enum {
    FOR_MUTEX,
    FOR_EVENT,
    FOR_FUTURE
};

struct held {
    int waits_for;
    pirn_mutex mutex;
    pirn_event event;
    pirn_future *gate;
    pirn_task *runner;
    atomic_int begun, got, followed;
};

static void wait_inside(pirn_awaitable *awaitable, void *user)
{
    struct held *h = user;
    (void)awaitable;
    h->runner = pirn_retain(pirn_current());
    atomic_store(&h->begun, 1);
    CHECK_OK(h->waits_for == FOR_MUTEX   ? pirn_mutex_lock(&h->mutex, PIRN_NEVER)
             : h->waits_for == FOR_EVENT ? pirn_event_wait(&h->event, PIRN_NEVER)
                                         : pirn_await(h->gate, NULL, PIRN_NEVER));
    atomic_store(&h->got, 1);
}

static void follow(pirn_awaitable *awaitable, void *user)
{
    struct held *h = user;
    (void)awaitable;
    CHECK_EQ(atomic_load(&h->got), 1); /* later, not beside it */
    atomic_store(&h->followed, 1);
}

/* What a callback waits for is no business of who removes the last one behind it. */
static int remove_behind(void *arg)
{
    for (int waits_for = FOR_MUTEX; waits_for <= FOR_FUTURE; waits_for++) {
        struct held h = {.waits_for = waits_for,
                         .mutex = PIRN_MUTEX_INIT,
                         .event = PIRN_EVENT_INIT,
                         .gate = new_future()};
        pirn_future *future = new_future();
        (void)arg;
        CHECK_OK(pirn_add_done_callback(future, NULL, wait_inside, &h));
        CHECK_OK(pirn_add_done_callback(future, NULL, never, NULL));
        CHECK_OK(pirn_mutex_lock(&h.mutex, PIRN_NEVER));
        CHECK_OK(pirn_future_set(future, 0, NULL));
        support_until(&h.begun, 1);
        support_until_waiting(h.runner);
        CHECK_EQ(pirn_remove_done_callback(future, never, NULL), 1);
        CHECK_OK(pirn_add_done_callback(future, NULL, follow, &h));
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        CHECK_EQ(atomic_load(&h.got), 0);
        CHECK_OK(pirn_mutex_unlock(&h.mutex));
        pirn_event_set(&h.event);
        CHECK_OK(pirn_future_set(h.gate, 0, NULL));
        support_until(&h.followed, 1);
        CHECK_OK(pirn_join(h.runner, NULL, PIRN_NEVER));
        pirn_release(h.gate);
        pirn_release(future);
    }
    return 0;
}

SUPPORT_EACH(a30_removed_behind_one_that_waits, remove_behind, 20)

SUPPORT_MAIN("callback_race", a45_removed_ones_do_not_run, a45_removed_as_it_is_added,
             a30_removed_behind_one_that_waits)
