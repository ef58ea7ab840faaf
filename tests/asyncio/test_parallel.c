/*
 * Coroutines side by side: progress beside loops and blockers, moves between threads.
 */
#include "tests/support.h"

#include <fenv.h>
#include <math.h>
#include <sched.h>

static int give(void *arg)
{
    return (int)(intptr_t)arg;
}

/* ---- A13, A14 ---------------------------------------------------------------------------- */

struct looping {
    atomic_int over, turns;
};

static int yields(void *arg)
{
    struct looping *l = arg;
    while (!atomic_load(&l->over)) {
        CHECK_OK(pirn_yield());
        atomic_fetch_add(&l->turns, 1);
    }
    return 0;
}

static int beside_yielders(void *arg)
{
    struct looping l = {0};
    pirn_task *loops[8];
    int fds[2];
    char byte;
    (void)arg;
    support_pair(fds);
    for (int i = 0; i < 8; i++)
        loops[i] = support_spawn(yields, &l);
    for (int i = 0; i < 20; i++) {
        int before = atomic_load(&l.turns);
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
        CHECK_EQ(pirn_send(fds[0], "x", 1, 0, PIRN_NEVER), 1);
        CHECK_EQ(pirn_recv(fds[1], &byte, 1, 0, PIRN_NEVER), 1);
        CHECK_EQ(support_join(support_spawn(give, (void *)1)), 1);
        CHECK_OK(pirn_yield());
        support_until(&l.turns, before + 1); /* and they do, too */
    }
    atomic_store(&l.over, 1);
    for (int i = 0; i < 8; i++)
        CHECK_OK(support_join(loops[i]));
    CHECK_OK(pirn_close(fds[0]));
    CHECK_OK(pirn_close(fds[1]));
    return 0;
}

START_TEST(a13_all_make_progress_beside_a_yielder)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, beside_yielders, NULL));
}
END_TEST

static int sets(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    return 0;
}

static int sleep_about(void *arg)
{
    static const int64_t none[] = {0, -1, INT64_MIN + 1};
    (void)arg;
    for (int i = 0; i < 50; i++) {
        int64_t d = support_between(1, 500) * US, before = support_now();
        CHECK_OK(pirn_sleep(pirn_after_ns(d)));
        CHECK_GE(support_now() - before, d); /* never early */
    }
    for (int i = 0; i < 3; i++) { /* none at all: others get their turn, and it comes back */
        atomic_int ran = 0;
        pirn_task *task = support_spawn(sets, &ran);
        while (atomic_load(&ran) == 0)
            CHECK_OK(pirn_sleep(pirn_after_ns(none[i])));
        CHECK_OK(support_join(task));
    }
    /* What is no number, or too large for a time, is made one when the time is made. */
    CHECK_OK(pirn_sleep(pirn_after_s((double)NAN)));
    CHECK_OK(pirn_sleep(pirn_after_s(-(double)INFINITY)));
    CHECK_EQ(pirn_after_s((double)INFINITY).ns, PIRN_NEVER.ns);
    CHECK_EQ(pirn_sleep_on((pirn_clock)77, PIRN_NOW), -EINVAL);
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_sleep(PIRN_NOW), -ECANCELED);
    return 0;
}

START_TEST(a14_sleeps)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, sleep_about, NULL));
}
END_TEST

/* ---- A21 --------------------------------------------------------------------------------- */

struct blocker {
    int fds[2];
    atomic_int *blocked;
};

static int blocks(void *arg)
{
    struct blocker *b = arg;
    char byte;
    atomic_fetch_add(b->blocked, 1);
    CHECK_EQ(support_read(b->fds[0], &byte, 1), 1); /* the thread with it */
    return 0;
}

/* As many blockers as workers, and one more: all that goes on is on spare threads. */
static int beside_blockers(void *arg)
{
    int n = *(int *)arg + 1;
    struct blocker blockers[5];
    pirn_task *tasks[5];
    atomic_int blocked = 0;
    for (int i = 0; i < n; i++) {
        support_pipe(blockers[i].fds);
        blockers[i].blocked = &blocked;
        tasks[i] = support_spawn(blocks, &blockers[i]);
    }
    support_until(&blocked, n);
    for (int i = 0; i < 20; i++) {
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
        CHECK_EQ(support_join(support_spawn(give, (void *)1)), 1);
    }
    for (int i = 0; i < n; i++) { /* only now they may go on */
        CHECK_EQ(support_write(blockers[i].fds[1], "x", 1), 1);
        CHECK_OK(support_join(tasks[i]));
        CHECK_OK(pirn_close(blockers[i].fds[0]));
        CHECK_OK(pirn_close(blockers[i].fds[1]));
    }
    return 0;
}

START_TEST(a21_others_run_beside_blockers)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, beside_blockers, &w));
}
END_TEST

/* ---- A22 --------------------------------------------------------------------------------- */

struct ledger {
    pirn_mutex mutex;
    int balance; /* plain, under the mutex */
};

struct clerk {
    struct ledger *ledger;
    int step;
};

static int books(void *arg)
{
    struct clerk *c = arg;
    for (int i = 0; i < support_rounds(20000); i++) {
        CHECK_OK(pirn_mutex_lock(&c->ledger->mutex, PIRN_NEVER));
        c->ledger->balance += c->step;
        CHECK_OK(pirn_mutex_unlock(&c->ledger->mutex));
    }
    return 0;
}

static void *books_on_thread(void *arg)
{
    books(arg);
    return NULL;
}

static int up_and_down(void *arg)
{
    struct ledger ledger = {PIRN_MUTEX_INIT, 0};
    struct clerk up = {&ledger, 1}, down = {&ledger, -1}, more = {&ledger, 2};
    (void)arg;
    pthread_t thread = support_thread(books_on_thread, &more);
    pirn_task *a = support_spawn(books, &up), *b = support_spawn(books, &down);
    CHECK_OK(support_join(a));
    CHECK_OK(support_join(b));
    CHECK_OK(books(&down));
    CHECK_OK(books(&down));
    support_thread_join(thread);
    CHECK_EQ(ledger.balance, 0);
    return 0;
}

START_TEST(a22_exactly_0_under_a_mutex)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, up_and_down, NULL));
}
END_TEST

/* ---- A24 --------------------------------------------------------------------------------- */

struct mover {
    pirn_local key;
    atomic_int *moves, *over;
};

static int moves(void *arg)
{
    struct mover *m = arg;
    pirn_task *self = pirn_current();
    pirn_mutex mutex = PIRN_MUTEX_INIT;
    uint64_t id = pirn_id(self);
    pid_t last = gettid();
    CHECK_OK(pirn_local_set(m->key, &mutex));
    CHECK_OK(pirn_mutex_lock(&mutex, PIRN_NEVER));
    while (!atomic_load(m->over)) {
        support_spin(support_between(0, 50 * US));
        if (support_between(0, 3) == 0)
            CHECK_OK(pirn_sleep(pirn_after_us(20)));
        else
            CHECK_OK(pirn_yield());
        if (gettid() != last)
            atomic_fetch_add(m->moves, 1);
        last = gettid();
        CHECK(pirn_current() == self);
        CHECK_EQ(pirn_id(pirn_current()), id);
        CHECK(pirn_local_get(m->key) == &mutex);
        CHECK_EQ(pirn_mutex_lock(&mutex, PIRN_NEVER), -EDEADLK); /* it is still mine */
    }
    CHECK_OK(pirn_mutex_unlock(&mutex));
    return 0;
}

static int move_about(void *arg)
{
    static pirn_local key;
    static bool have_key;
    int n = *(int *)arg;
    atomic_int moved = 0, over = 0;
    pirn_task *tasks[8];
    if (!have_key)
        CHECK_OK(pirn_local_new(&key));
    have_key = true;
    struct mover m = {key, &moved, &over};
    for (int i = 0; i < 8; i++)
        tasks[i] = support_spawn(moves, &m);
    CHECK_OK(pirn_sleep(pirn_after_ms(10)));
    if (n > 1)
        support_until(&moved, 20);
    atomic_store(&over, 1);
    for (int i = 0; i < 8; i++)
        CHECK_OK(support_join(tasks[i]));
    return 0;
}

START_TEST(a24_another_thread_the_same_task)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, move_about, &w));
}
END_TEST

/* ---- A26 --------------------------------------------------------------------------------- */

static double third(void)
{
    volatile double one = 1.0, three = 3.0;
    return one / three;
}

/* Puts the mode back before it suspends, as it has to: nobody sees it. */
static int rounds_up(void *arg)
{
    double nearest = *(double *)arg;
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(fegetround(), FE_TONEAREST);
        CHECK(!(third() < nearest) && !(third() > nearest));
        CHECK_OK(fesetround(FE_UPWARD));
        CHECK(third() > nearest);
        CHECK_OK(fesetround(FE_TONEAREST));
        CHECK_OK(pirn_yield());
    }
    return 0;
}

/* A pinned task has a thread to itself, and its mode. */
static int rounds_up_pinned(void *arg)
{
    double nearest = *(double *)arg;
    CHECK_OK(fesetround(FE_UPWARD));
    for (int i = 0; i < 20; i++) {
        CHECK_OK(pirn_sleep(pirn_after_us(50)));
        CHECK_EQ(fegetround(), FE_UPWARD);
        CHECK(third() > nearest);
    }
    return 0;
}

static int round_about(void *arg)
{
    double nearest = third();
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *tasks[6], *pinned;
    (void)arg;
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_spawn_with(&pinned, &config, rounds_up_pinned, &nearest));
    for (int i = 0; i < 6; i++)
        tasks[i] = support_spawn(rounds_up, &nearest);
    for (int i = 0; i < 6; i++)
        CHECK_OK(support_join(tasks[i]));
    return support_join(pinned);
}

START_TEST(a26_rounding_modes)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, round_about, NULL));
}
END_TEST

/* ---- A28 --------------------------------------------------------------------------------- */

static int counts(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static int spawn_without_a_pause(void *arg)
{
    enum {
        CHILDREN = 10000
    };
    int workers = *(int *)arg;
    pirn_task **tasks = calloc(CHILDREN, sizeof(pirn_task *));
    atomic_int ran = 0;
    CHECK(tasks);
    for (int i = 0; i < CHILDREN; i++)
        tasks[i] = support_spawn(counts, &ran);
    while (workers > 1 && atomic_load(&ran) == 0) /* this coroutine does not give way */
        support_spin(10 * US);
    for (int i = 0; i < CHILDREN; i++)
        CHECK_OK(support_join(tasks[i]));
    CHECK_EQ(atomic_load(&ran), CHILDREN);
    free(tasks);
    return 0;
}

START_TEST(a28_idle_workers_take_some)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(10); i++)
        CHECK_OK(support_run(w, spawn_without_a_pause, &w));
}
END_TEST

SUPPORT_MAIN("parallel", a13_all_make_progress_beside_a_yielder, a14_sleeps,
             a21_others_run_beside_blockers, a22_exactly_0_under_a_mutex,
             a24_another_thread_the_same_task, a26_rounding_modes, a28_idle_workers_take_some)
