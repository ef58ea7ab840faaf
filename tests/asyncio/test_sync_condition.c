/*
 * Conditions: rows A119, A122, A123, S151, and what a wait does when it is stopped.
 */
#include "tests/asyncio/sync.h"

struct room {
    pirn_mutex m;
    pirn_condition changed;
    int value;      /* under m */
    int order[16];  /* under m: who came through */
    int n, looks;   /* under m */
    int until;      /* what value must be */
    atomic_int seq; /* not under m */
};

static void room_init(struct room *r)
{
    memset(r, 0, sizeof(*r));
    CHECK_OK(pirn_mutex_init(&r->m));
    CHECK_OK(pirn_condition_init(&r->changed, &r->m));
}

static void lock(struct room *r)
{
    CHECK_OK(pirn_mutex_lock(&r->m, PIRN_NEVER));
}

static void unlock(struct room *r)
{
    CHECK_OK(pirn_mutex_unlock(&r->m));
}

/* Waits once. Whatever comes of it, the mutex is held again. */
static int wait_once(struct caller *c)
{
    struct room *r = c->object;
    lock(r);
    int rc = pirn_condition_wait(&r->changed, c->deadline);
    r->order[r->n++] = c->id;
    unlock(r);
    return rc;
}

static int value_is(void *arg)
{
    struct room *r = arg;
    CHECK_EQ(pirn_mutex_lock(&r->m, PIRN_NEVER), -EDEADLK); /* it runs under the mutex */
    r->looks++;
    return r->value < 0 ? r->value : r->value == r->until;
}

static int wait_for_value(struct caller *c)
{
    struct room *r = c->object;
    lock(r);
    int rc = pirn_condition_wait_for(&r->changed, value_is, r, c->deadline);
    unlock(r);
    return rc;
}

/* ---- Misuse ------------------------------------------------------------------------------ */

static int lock_for_ever(void *arg)
{
    return pirn_mutex_try_lock(arg);
}

static void misuse(void)
{
    struct room r;
    room_init(&r);
    pirn_condition none;
    memset(&none, 0, sizeof(none));
    CHECK_EQ(pirn_condition_init(&r.changed, NULL), -EINVAL);
    CHECK_EQ(pirn_condition_init(NULL, &r.m), -EINVAL);
    CHECK_EQ(pirn_condition_wait(&none, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_condition_notify(&none, 1), -EINVAL);
    for (int i = 0; i < 2; i++) { /* free, then another's */
        CHECK_EQ(pirn_condition_wait(&r.changed, PIRN_NEVER), -EPERM);
        CHECK_EQ(pirn_condition_wait_for(&r.changed, value_is, &r, PIRN_NEVER), -EPERM);
        CHECK_EQ(pirn_condition_notify(&r.changed, 1), -EPERM);
        CHECK_EQ(pirn_condition_notify_all(&r.changed), -EPERM);
        if (i == 0 && pirn_current() != NULL)
            CHECK_OK(support_join(support_spawn(lock_for_ever, &r.m)));
    }
    CHECK_EQ(r.looks, 0);
    room_init(&r);
    lock(&r);
    CHECK_EQ(pirn_condition_notify(&r.changed, -1), -EINVAL);
    CHECK_OK(pirn_condition_notify(&r.changed, 5)); /* nobody there: not remembered */
    CHECK_EQ(pirn_condition_wait(&r.changed, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_condition_wait(&r.changed, pirn_after_ms(2)), -ETIMEDOUT);
    CHECK_EQ(pirn_mutex_lock(&r.m, PIRN_NEVER), -EDEADLK); /* still held */
    unlock(&r);
    CHECK_EQ(pirn_mutex_is_locked(&r.m), 0);
}

START_TEST(a119_only_with_the_mutex)
{
    support_everywhere(misuse);
}
END_TEST

/* ---- notify(n) --------------------------------------------------------------------------- */

static int in_order(void *arg)
{
    (void)arg;
    enum {
        WAITERS = 9
    };
    struct room r;
    struct caller c[WAITERS];
    room_init(&r);
    for (int i = 0; i < WAITERS; i++) {
        c[i] = (struct caller){.fn = wait_once, .object = &r, .deadline = PIRN_NEVER, .id = i};
        sync_start(&c[i], i % 3 == 1);
    }
    static const int notified[] = {0, 1, 1, 3, 3, 5, 9, 9};
    for (int step = 0; step < 7; step++) {
        int before = notified[step], after = notified[step + 1];
        lock(&r);
        CHECK_OK(pirn_condition_notify(&r.changed, step == 5 ? INT32_MAX : after - before));
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        CHECK_EQ(r.n, before); /* the lock is not released by it */
        unlock(&r);
        for (int i = before; i < after; i++)
            CHECK_OK(sync_finish(&c[i]));
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        lock(&r);
        CHECK_EQ(r.n, after); /* at most n */
        unlock(&r);
    }
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(r.order[i], i);
    CHECK_EQ(pirn_mutex_is_locked(&r.m), 0);
    return 0;
}

START_TEST(a122_at_most_n_in_order)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, in_order, NULL));
}
END_TEST

/* ---- wait_for ---------------------------------------------------------------------------- */

static int predicate(void *arg)
{
    (void)arg;
    struct room r;
    struct caller c = {.fn = wait_for_value, .object = &r, .deadline = PIRN_NEVER};
    for (int thread = 0; thread < 2; thread++) {
        room_init(&r);
        r.until = 3;
        sync_start(&c, thread != 0);
        for (int i = 1; i <= 3; i++) {
            lock(&r);
            CHECK_EQ(r.looks, i); /* before the first wait, and after each wake */
            r.value = i;
            CHECK_OK(pirn_condition_notify(&r.changed, 1));
            unlock(&r);
            if (i < 3) {
                for (int looks = i; looks == i;) {
                    CHECK_OK(pirn_sleep(pirn_after_us(200)));
                    lock(&r);
                    looks = r.looks;
                    unlock(&r);
                }
                CHECK_EQ(atomic_load(&c.done), 0);
            }
        }
        CHECK_OK(sync_finish(&c));
        CHECK_EQ(r.looks, 4);
    }
    lock(&r); /* holds at once: no wait, no other look */
    CHECK_OK(pirn_condition_wait_for(&r.changed, value_is, &r, PIRN_NOW));
    CHECK_EQ(r.looks, 5);
    r.value = 0;
    CHECK_EQ(pirn_condition_wait_for(&r.changed, value_is, &r, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(r.looks, 7);
    r.value = -EIO; /* the predicate's own error */
    CHECK_EQ(pirn_condition_wait_for(&r.changed, value_is, &r, PIRN_NEVER), -EIO);
    r.value = 3;
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_condition_wait_for(&r.changed, value_is, &r, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_mutex_lock(&r.m, PIRN_NEVER), -EDEADLK);
    unlock(&r);
    return 0;
}

START_TEST(a123_looks_under_the_mutex)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, predicate, NULL));
}
END_TEST

/* The seed passed a value where a function belongs, and never waited. */
static int in_value_order(void *arg)
{
    (void)arg;
    struct room r;
    struct caller c = {.fn = wait_for_value, .object = &r, .deadline = PIRN_NEVER};
    room_init(&r);
    r.until = 1000;
    sync_start(&c, false);
    for (int i = 1; i <= 1000; i++) {
        lock(&r);
        CHECK_EQ(atomic_load(&c.done), 0);
        r.value = i;
        CHECK_OK(pirn_condition_notify_all(&r.changed));
        unlock(&r);
    }
    CHECK_OK(sync_finish(&c));
    CHECK_EQ(r.value, 1000);
    return 0;
}

START_TEST(s151_only_when_the_predicate_holds)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, in_value_order, NULL));
}
END_TEST

/* ---- Stopped while it waits for the mutex again ------------------------------------------ */

static int stopped(void *arg)
{
    (void)arg;
    struct room r;
    struct caller c = {.fn = wait_once, .object = &r, .deadline = PIRN_NEVER};
    room_init(&r);
    sync_start(&c, false);
    lock(&r); /* cancelled while we hold the mutex: it returns only with it */
    CHECK_OK(pirn_cancel(c.task, NULL));
    CHECK_OK(pirn_sleep(pirn_after_ms(3)));
    CHECK_EQ(atomic_load(&c.done), 0);
    unlock(&r);
    CHECK_EQ(sync_finish(&c), -ECANCELED);
    /* Its deadline comes while we hold the mutex: the same. Or it is notified in time, and the
     * deadline comes while it waits for the mutex: then it happened. If the time was too short for
     * that, again. */
    for (int how = 0; how < 4; how++) {
        bool thread = how % 2 != 0, notifies = how / 2 != 0, in_time = false;
        for (int64_t ms = 10; !in_time; ms *= 2) {
            c.deadline = pirn_after_ms(ms);
            sync_start(&c, thread);
            lock(&r);
            int through = r.n;
            if (notifies)
                CHECK_OK(pirn_condition_notify(&r.changed, 1));
            in_time = pirn_now().ns < c.deadline.ns;
            CHECK_OK(pirn_sleep((pirn_time){c.deadline.ns + 5 * MS}));
            CHECK_EQ(r.n, through);
            if (in_time)
                CHECK_EQ(atomic_load(&c.done), 0);
            unlock(&r);
            int rc = sync_finish(&c);
            CHECK(rc == -ETIMEDOUT || (rc == 0 && notifies));
            if (in_time)
                CHECK_EQ(rc, notifies ? 0 : -ETIMEDOUT);
            r.n = 0; /* nobody else is about */
        }
    }
    CHECK_EQ(pirn_mutex_is_locked(&r.m), 0);
    return 0;
}

START_TEST(a123_has_the_mutex_when_it_was_stopped)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, stopped, NULL));
}
END_TEST

/* ---- A cancel races the notification: one of two waiters gets it, always ------------------ */

struct duel {
    struct room room;
    support_barrier barrier;
    pirn_task *task;
    int rounds, rc[2], pending;
};

static void *cancel_on_thread(void *arg)
{
    struct duel *d = arg;
    support_meet(&d->barrier);
    pirn_cancel(d->task, NULL);
    return NULL;
}

static int contender(struct caller *c)
{
    int rc = wait_once(c);
    if (c->id == 0) /* a cancel that was not delivered is pending */
        c->at = pirn_sleep(pirn_after_ms(rc == 0 ? 10000 : 0));
    return rc;
}

static int duel(void *arg)
{
    (void)arg;
    int seen[2] = {0, 0};
    struct duel *d = calloc(1, sizeof(*d));
    CHECK(d);
    for (int i = 0; i < support_rounds(1500); i++) {
        struct caller c[2];
        room_init(&d->room);
        d->barrier = (support_barrier){.n = 2};
        for (int k = 0; k < 2; k++) {
            c[k] = (struct caller){.fn = contender, .object = &d->room, .deadline = PIRN_NEVER};
            c[k].id = k;
            sync_start(&c[k], false);
        }
        d->task = c[0].task;
        pthread_t thread = support_thread(cancel_on_thread, d);
        bool clearly_first = i % 8 == 0, clearly_last = i % 8 == 1; /* the cancel */
        if (!clearly_last)
            support_meet(&d->barrier);
        if (clearly_first)
            support_thread_join(thread);
        lock(&d->room);
        CHECK_OK(pirn_condition_notify(&d->room.changed, 1));
        unlock(&d->room);
        if (clearly_last)
            support_meet(&d->barrier);
        if (!clearly_first)
            support_thread_join(thread);
        int first = sync_finish(&c[0]);
        CHECK(first == 0 || first == -ECANCELED);
        seen[first == 0]++;
        if (clearly_first || clearly_last)
            CHECK_EQ(first == 0, clearly_last);
        CHECK_EQ(c[0].at, first == 0 ? -ECANCELED : 0);
        if (first == 0) { /* the other one was not notified */
            lock(&d->room);
            CHECK_EQ(d->room.n, 1);
            CHECK_OK(pirn_condition_notify(&d->room.changed, 1));
            unlock(&d->room);
        }
        CHECK_OK(sync_finish(&c[1]));
        CHECK_EQ(pirn_mutex_is_locked(&d->room.m), 0);
    }
    free(d);
    CHECK_GE(seen[0], 1);
    CHECK_GE(seen[1], 1);
    return 0;
}

START_TEST(a122_no_notification_is_lost)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, duel, NULL));
}
END_TEST

SUPPORT_MAIN("sync_condition", a119_only_with_the_mutex, a122_at_most_n_in_order,
             a122_no_notification_is_lost, a123_looks_under_the_mutex,
             a123_has_the_mutex_when_it_was_stopped, s151_only_when_the_predicate_holds)
