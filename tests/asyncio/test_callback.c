/*
 * Done callbacks: each registration once, in order, one at a time, later than who settles or adds.
 */
#include "tests/support.h"

enum {
    MANY = 8
};

struct log {
    atomic_int inside, count;
    int order[64];
};

struct item {
    struct log *log;
    int id;
};

static void note(pirn_awaitable *awaitable, void *user)
{
    struct item *item = user;
    CHECK_EQ(atomic_fetch_add(&item->log->inside, 1), 0); /* alone */
    CHECK(pirn_done(awaitable));
    CHECK(pirn_current() != NULL); /* a coroutine: it may wait */
    if (item->id % 2 == 0)
        CHECK_OK(pirn_yield());
    int n = atomic_load(&item->log->count);
    item->log->order[n] = item->id;
    atomic_fetch_sub(&item->log->inside, 1);
    atomic_store(&item->log->count, n + 1);
}

static pirn_future *new_future(void)
{
    pirn_future *future;
    CHECK_OK(pirn_future_new(&future));
    return future;
}

static int await_future(void *arg)
{
    int status;
    CHECK_OK(pirn_await(arg, &status, PIRN_NEVER));
    return status;
}

/* ---- A43 --------------------------------------------------------------------------------- */

struct setting {
    pirn_runtime *runtime;
    pirn_future *future;
    struct item *items;
};

static void *add_and_set_on_thread(void *arg)
{
    struct setting *s = arg;
    CHECK_EQ(pirn_add_done_callback(s->future, NULL, note, &s->items[4]), 0); /* the first's */
    CHECK_OK(pirn_future_set(s->future, 1, NULL));
    CHECK_OK(pirn_add_done_callback(s->future, s->runtime, note, &s->items[5]));
    return NULL;
}

static int in_order(void *arg)
{
    static const int expected[] = {0, 1, 1, 2, 3, 4, 5};
    bool of_task = *(bool *)arg, on_thread = !of_task && support_between(0, 1) != 0;
    struct log log = {0};
    struct item items[6];
    pirn_future *future = new_future();
    pirn_awaitable *what = of_task ? support_spawn(await_future, future) : pirn_retain(future);
    for (int i = 0; i < 6; i++)
        items[i] = (struct item){&log, i};
    for (size_t i = 0; i < 5; i++) /* the second one twice */
        CHECK_OK(pirn_add_done_callback(what, NULL, note, &items[expected[i]]));
    CHECK_EQ(atomic_load(&log.count), 0);
    if (on_thread) {
        struct setting s = {pirn_runtime_current(), future, items};
        support_thread_join(support_thread(add_and_set_on_thread, &s));
    } else {
        CHECK_OK(pirn_add_done_callback(what, NULL, note, &items[4]));
        CHECK_OK(pirn_future_set(future, 1, NULL));
        CHECK_OK(pirn_add_done_callback(what, NULL, note, &items[5]));
    }
    support_until(&log.count, 7);
    CHECK_OK(pirn_sleep(pirn_after_us(100)));
    CHECK_EQ(atomic_load(&log.count), 7);
    for (int i = 0; i < 7; i++)
        CHECK_EQ(log.order[i], expected[i]);
    if (of_task)
        CHECK_EQ(support_join(what), 1);
    else
        pirn_release(what);
    pirn_release(future);
    return 0;
}

START_TEST(a43_each_registration_once_in_order)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(200); i++) {
        bool of_task = i % 2 == 0;
        CHECK_OK(support_run(w, in_order, &of_task));
    }
}
END_TEST

/* ---- A44 --------------------------------------------------------------------------------- */

struct locked {
    pirn_mutex mutex;
    pirn_future *future;
    pirn_task *setter;
    atomic_int ran;
};

static void take_lock(pirn_awaitable *awaitable, void *user)
{
    struct locked *l = user;
    CHECK(awaitable == l->future);
    CHECK(pirn_current() != l->setter);
    CHECK_OK(pirn_mutex_lock(&l->mutex, PIRN_NEVER));
    atomic_fetch_add(&l->ran, 1);
    CHECK_OK(pirn_mutex_unlock(&l->mutex));
}

static void set_locked(struct locked *l)
{
    CHECK_OK(pirn_mutex_lock(&l->mutex, PIRN_NEVER));
    int before = atomic_load(&l->ran);
    if (!pirn_done(l->future))
        CHECK_OK(pirn_future_set(l->future, 0, NULL));
    else
        CHECK_OK(pirn_add_done_callback(l->future, NULL, take_lock, l));
    CHECK_OK(pirn_sleep(pirn_after_us(200)));
    CHECK_EQ(atomic_load(&l->ran),
             before); /* it waits for the lock; the setter does not wait for it */
    CHECK_OK(pirn_mutex_unlock(&l->mutex));
}

static void *set_on_thread(void *arg)
{
    set_locked(arg);
    return NULL;
}

static int settle_locked(void *arg)
{
    struct locked l = {PIRN_MUTEX_INIT, NULL, NULL, 0};
    (void)arg;
    for (int thread = 0; thread < 2; thread++) {
        l.future = new_future();
        l.setter = thread ? NULL : pirn_current();
        atomic_store(&l.ran, 0);
        CHECK_OK(pirn_add_done_callback(l.future, NULL, take_lock, &l));
        if (thread)
            support_thread_join(support_thread(set_on_thread, &l));
        else
            set_locked(&l);
        support_until(&l.ran, 1);
        l.setter = pirn_current();
        set_locked(&l); /* adds one, late */
        support_until(&l.ran, 2);
        pirn_release(l.future);
    }
    return 0;
}

static void count(pirn_awaitable *awaitable, void *user)
{
    CHECK(pirn_done(awaitable));
    atomic_fetch_add((atomic_int *)user, 1);
}

static int sleeps(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

struct leaving {
    atomic_int ran, never, at_end;
    pirn_future *late;
};

static int sets_as_it_ends(void *arg)
{
    struct leaving *l = arg;
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    CHECK_OK(pirn_future_set(l->late, 0, NULL));
    return -ECANCELED;
}

/* Callbacks that are due as main ends, that the end makes due, and one that nothing ever will. */
static int leave_due(void *arg)
{
    struct leaving *l = arg;
    pirn_future *set = new_future(), *added = new_future(), *open = new_future();
    l->late = new_future();
    pirn_task *leftover = support_spawn(sleeps, NULL), *setter = support_spawn(sets_as_it_ends, l);
    support_until_waiting(leftover);
    support_until_waiting(setter);
    CHECK_OK(pirn_add_done_callback(set, NULL, count, &l->ran));
    CHECK_OK(pirn_add_done_callback(open, NULL, count, &l->never));
    CHECK_OK(pirn_add_done_callback(leftover, NULL, count, &l->at_end));
    CHECK_OK(pirn_add_done_callback(l->late, NULL, count, &l->at_end));
    CHECK_OK(pirn_detach(leftover));
    CHECK_OK(pirn_detach(setter));
    CHECK_OK(pirn_future_set(added, 0, NULL));
    CHECK_OK(pirn_future_set(set, 0, NULL));
    CHECK_OK(pirn_add_done_callback(added, NULL, count, &l->ran));
    pirn_release(set);
    pirn_release(added);
    pirn_release(open);
    return 0;
}

START_TEST(a44_later_and_before_the_run_returns)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, settle_locked, NULL));
        for (int i = 0; i < support_rounds(200); i++) {
            struct leaving l = {0};
            pirn_config config = PIRN_CONFIG_INIT;
            config.workers = w;
            config.grace.ns = 1000 * 1000 * MS; /* not needed */
            CHECK_OK(support_run_with(&config, leave_due, &l));
            CHECK_EQ(atomic_load(&l.ran), 2);
            CHECK_EQ(atomic_load(&l.at_end), 2);
            CHECK_EQ(atomic_load(&l.never), 0);
            pirn_release(l.late);
        }
    }
}
END_TEST

/* ---- A30 --------------------------------------------------------------------------------- */

static struct log meddled;
static struct item of_meddled[MANY];

static void meddle(pirn_awaitable *awaitable, void *user)
{
    note(awaitable, user);
    CHECK_EQ(pirn_remove_done_callback(awaitable, note, &of_meddled[2]), 2); /* both */
    CHECK_EQ(pirn_remove_done_callback(awaitable, note, &of_meddled[2]), 0);
    CHECK_EQ(pirn_remove_done_callback(awaitable, meddle, user), 0);         /* it runs: too late */
    CHECK_EQ(pirn_remove_done_callback(awaitable, note, &of_meddled[0]), 0); /* it has run */
    CHECK_OK(pirn_add_done_callback(awaitable, NULL, note, &of_meddled[4]));
    CHECK_OK(pirn_add_done_callback(awaitable, NULL, note, &of_meddled[5]));
    CHECK_EQ(pirn_remove_done_callback(awaitable, note, &of_meddled[5]), 1);
    CHECK_OK(pirn_add_done_callback(awaitable, NULL, note, &of_meddled[6]));
}

static int meddle_once(void *arg)
{
    static const int expected[] = {0, 1, 3, 4, 6};
    pirn_future *future = new_future();
    (void)arg;
    memset(&meddled, 0, sizeof(meddled));
    for (int i = 0; i < MANY; i++)
        of_meddled[i] = (struct item){&meddled, i};
    CHECK_OK(pirn_add_done_callback(future, NULL, note, &of_meddled[0]));
    CHECK_OK(pirn_add_done_callback(future, NULL, meddle, &of_meddled[1]));
    CHECK_OK(pirn_add_done_callback(future, NULL, note, &of_meddled[2]));
    CHECK_OK(pirn_add_done_callback(future, NULL, note, &of_meddled[2]));
    CHECK_OK(pirn_add_done_callback(future, NULL, note, &of_meddled[3]));
    CHECK_OK(pirn_add_done_callback(future, NULL, note, &of_meddled[7]));
    CHECK_EQ(pirn_remove_done_callback(future, note, &of_meddled[7]), 1); /* the last one */
    CHECK_OK(pirn_future_set(future, 0, NULL));
    support_until(&meddled.count, 5);
    CHECK_OK(pirn_sleep(pirn_after_us(100)));
    CHECK_EQ(atomic_load(&meddled.count), 5);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(meddled.order[i], expected[i]);
    pirn_release(future);
    return 0;
}

START_TEST(a30_added_and_removed_while_dispatching)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(200); i++)
        CHECK_OK(support_run(w, meddle_once, NULL));
}
END_TEST

/* ---- Neighbours -------------------------------------------------------------------------- */

/* Once the last one is removed, nothing is left of it. */
static int taken_back(void)
{
    atomic_int ran = 0;
    for (int i = 0; i < 10; i++) {
        pirn_future *future = new_future();
        CHECK_OK(pirn_add_done_callback(future, NULL, count, &ran));
        CHECK_OK(pirn_add_done_callback(future, NULL, count, &ran));
        CHECK_EQ(pirn_remove_done_callback(future, count, &ran), 2);
        if (i % 2 == 0) { /* and another may be added */
            CHECK_OK(pirn_add_done_callback(future, NULL, count, &ran));
            CHECK_OK(pirn_future_set(future, 0, NULL));
        }
        pirn_release(future);
    }
    support_until(&ran, 5);
    pirn_stats stats = {.size = sizeof(stats)};
    do {
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
        CHECK_OK(pirn_stats_get(NULL, &stats));
    } while (stats.tasks_live > 1);
    CHECK_EQ(atomic_load(&ran), 5);
    return 0;
}

static int refused(void *arg)
{
    pirn_future *future = new_future();
    atomic_int ran = 0;
    (void)arg;
    CHECK_EQ(pirn_add_done_callback(NULL, NULL, count, &ran), -EINVAL);
    CHECK_EQ(pirn_add_done_callback(future, NULL, NULL, &ran), -EINVAL);
    CHECK_EQ(pirn_remove_done_callback(NULL, count, &ran), -EINVAL);
    CHECK_EQ(pirn_remove_done_callback(future, count, &ran), 0);
    CHECK_OK(pirn_add_done_callback(future, NULL, count, &ran));
    CHECK_EQ(pirn_tasks(NULL, 0), 1); /* who waits to call it is no task of ours */
    CHECK_OK(pirn_cancel(future, NULL));
    support_until(&ran, 1);
    pirn_release(future);
    return taken_back();
}

START_TEST(a43_refused)
{
    pirn_future *future = new_future();
    atomic_int ran = 0;
    CHECK_EQ(pirn_add_done_callback(future, NULL, count, &ran), -EPERM); /* where would it run? */
    pirn_release(future);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, refused, NULL));
}
END_TEST

SUPPORT_MAIN("callback", a43_each_registration_once_in_order, a44_later_and_before_the_run_returns,
             a30_added_and_removed_while_dispatching, a43_refused)
