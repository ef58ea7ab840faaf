/*
 * The mutex: rows A111, A112, A114, A116, S140, S148, S154, S155.
 */
#include "tests/asyncio/sync.h"

/* ---- Arguments and ownership ------------------------------------------------------------- */

static int unlock_foreign(void *arg)
{
    CHECK_EQ(pirn_mutex_unlock(arg), -EPERM);
    CHECK_EQ(pirn_mutex_try_lock(arg), -EAGAIN);
    CHECK_EQ(pirn_mutex_lock(arg, PIRN_NOW), -ETIMEDOUT);
    return 0;
}

static void *unlock_on_thread(void *arg)
{
    unlock_foreign(arg);
    return NULL;
}

static void ownership(void)
{
    pirn_mutex m = PIRN_MUTEX_INIT;
    CHECK_EQ(pirn_mutex_init(NULL), -EINVAL);
    CHECK_EQ(pirn_mutex_lock(NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_mutex_unlock(NULL), -EINVAL);
    CHECK_EQ(pirn_mutex_unlock(&m), -EPERM);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pirn_mutex_is_locked(&m), 0);
        if (i == 1)
            CHECK_OK(pirn_mutex_try_lock(&m));
        else
            CHECK_OK(pirn_mutex_lock(&m, i == 0 ? PIRN_NOW : PIRN_NEVER));
        CHECK_EQ(pirn_mutex_is_locked(&m), 1);
        CHECK_EQ(pirn_mutex_lock(&m, PIRN_NEVER), -EDEADLK);
        CHECK_EQ(pirn_mutex_try_lock(&m), -EAGAIN);
        if (pirn_current() != NULL)
            CHECK_OK(support_join(support_spawn(unlock_foreign, &m)));
        support_thread_join(support_thread(unlock_on_thread, &m));
        CHECK_OK(pirn_mutex_unlock(&m));
        CHECK_EQ(pirn_mutex_unlock(&m), -EPERM);
    }
    CHECK_OK(pirn_mutex_lock(&m, PIRN_NEVER));
    CHECK_OK(pirn_mutex_init(&m));
    CHECK_EQ(pirn_mutex_is_locked(&m), 0);
}

START_TEST(a114_owner_only)
{
    support_everywhere(ownership);
}
END_TEST

/* ---- Exclusion --------------------------------------------------------------------------- */

struct shared {
    pirn_mutex m;
    long plain;        /* under m */
    atomic_int inside; /* 0 or 1 */
    int rounds;
    bool suspends;
};

static int increment(void *arg)
{
    struct shared *s = arg;
    for (int i = 0; i < s->rounds; i++) {
        CHECK_OK(pirn_mutex_lock(&s->m, PIRN_NEVER));
        CHECK_EQ(atomic_fetch_add(&s->inside, 1), 0);
        s->plain++;
        if (s->suspends && i % 16 == 0)
            CHECK_OK(pirn_sleep(pirn_after_us(i % 64)));
        CHECK_EQ(atomic_fetch_sub(&s->inside, 1), 1);
        CHECK_OK(pirn_mutex_unlock(&s->m));
    }
    return 0;
}

static void *increment_on_thread(void *arg)
{
    increment(arg);
    return NULL;
}

static void crowd(struct shared *s, int tasks, int threads)
{
    pirn_task *task[1000];
    pthread_t thread[8];
    s->plain = 0;
    for (int i = 0; i < tasks; i++)
        task[i] = support_spawn(increment, s);
    for (int i = 0; i < threads; i++)
        thread[i] = support_thread(increment_on_thread, s);
    for (int i = 0; i < tasks; i++)
        CHECK_OK(support_join(task[i]));
    for (int i = 0; i < threads; i++)
        support_thread_join(thread[i]);
    CHECK_EQ(s->plain, (long)(tasks + threads) * s->rounds);
    CHECK_EQ(pirn_mutex_is_locked(&s->m), 0);
}

static int over_suspends(void *arg)
{
    (void)arg;
    struct shared s = {.rounds = support_rounds(200), .suspends = true};
    crowd(&s, 20, 3);
    return 0;
}

START_TEST(a111_exclusive_over_suspends_and_threads)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, over_suspends, NULL));
}
END_TEST

static int thousand(void *arg)
{
    (void)arg;
    struct shared s = {.rounds = support_rounds(1000)};
    crowd(&s, 1000, 0);
    return 0;
}

START_TEST(s148_exact_sum)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, thousand, NULL));
}
END_TEST

static int mixed(void *arg)
{
    (void)arg;
    struct shared s = {.rounds = support_rounds(2000)};
    crowd(&s, 20, 4);
    return 0;
}

START_TEST(s154_threads_and_coroutines)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, mixed, NULL));
}
END_TEST

struct seesaw {
    pirn_mutex m;
    long value;
    int step, rounds;
};

static int swing(void *arg)
{
    struct seesaw *s = arg;
    CHECK_OK(pirn_mutex_lock(&s->m, PIRN_NEVER));
    int step = s->step = -s->step;
    CHECK_OK(pirn_mutex_unlock(&s->m));
    for (int i = 0; i < s->rounds; i++) {
        PIRN_GUARD_MUTEX(guard, &s->m, PIRN_NEVER);
        CHECK_OK(guard.error);
        s->value += step;
    }
    return 0;
}

static int up_and_down(void *arg)
{
    (void)arg;
    struct seesaw s = {.step = 1, .rounds = support_rounds(10000)};
    for (int i = 0; i < support_rounds(100); i++) {
        pirn_task *up = support_spawn(swing, &s), *down = support_spawn(swing, &s);
        CHECK_OK(support_join(up));
        CHECK_OK(support_join(down));
        CHECK_EQ(s.value, 0);
    }
    return 0;
}

START_TEST(s140_up_and_down)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, up_and_down, NULL));
}
END_TEST

/* ---- Order ------------------------------------------------------------------------------- */

struct queue {
    pirn_mutex m;
    int order[16]; /* under m */
    int n;
    atomic_int go;
};

static int stand(struct caller *c)
{
    struct queue *q = c->object;
    int rc = pirn_mutex_lock(&q->m, c->deadline);
    if (rc != 0)
        return rc;
    q->order[q->n++] = c->id;
    while (!atomic_load(&q->go))
        pirn_sleep(pirn_after_us(200));
    return pirn_mutex_unlock(&q->m);
}

static int in_order(void *arg)
{
    (void)arg;
    enum {
        WAITERS = 9
    };
    struct queue q = {.n = 0};
    struct caller c[WAITERS];
    CHECK_OK(pirn_mutex_lock(&q.m, PIRN_NEVER));
    for (int i = 0; i < WAITERS; i++) {
        c[i] = (struct caller){.fn = stand, .object = &q, .deadline = PIRN_NEVER, .id = i};
        sync_start(&c[i], i % 3 == 2);
    }
    CHECK_OK(pirn_cancel(c[3].task, NULL)); /* who leaves holds nobody up */
    CHECK_EQ(sync_finish(&c[3]), -ECANCELED);
    CHECK_OK(pirn_mutex_unlock(&q.m));
    CHECK_EQ(pirn_mutex_try_lock(&q.m), -EAGAIN); /* handed over, and others wait */
    atomic_store(&q.go, 1);
    CHECK_OK(pirn_mutex_lock(&q.m, PIRN_NEVER)); /* the last */
    CHECK_EQ(q.n, WAITERS - 1);
    for (int i = 0; i < q.n; i++)
        CHECK_EQ(q.order[i], i < 3 ? i : i + 1);
    CHECK_OK(pirn_mutex_unlock(&q.m));
    for (int i = 0; i < WAITERS; i++)
        if (i != 3)
            CHECK_OK(sync_finish(&c[i]));
    return 0;
}

START_TEST(a112_waiters_are_served_in_order)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, in_order, NULL));
}
END_TEST

/* ---- Deadlines --------------------------------------------------------------------------- */

static int in_time(void *arg)
{
    (void)arg;
    struct queue q = {.n = 0};
    struct caller c[4];
    CHECK_OK(pirn_mutex_lock(&q.m, PIRN_NEVER));
    pirn_time until = pirn_after_ms(10);
    for (int i = 0; i < 4; i++) {
        c[i] = (struct caller){.fn = stand, .object = &q, .deadline = until, .id = i};
        if (i < 3)
            c[i].task = support_spawn(sync_call, &c[i]);
        else
            c[i].thread = support_thread(sync_call_on_thread, &c[i]);
    }
    for (int i = 0; i < 4; i++)
        CHECK_EQ(sync_finish(&c[i]), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, until.ns);
    CHECK_EQ(q.m.opaque[1], 0); /* the list, before an unlock could tidy it: nobody is left */
    CHECK_OK(pirn_mutex_unlock(&q.m));
    CHECK_OK(pirn_mutex_try_lock(&q.m));
    CHECK_OK(pirn_mutex_unlock(&q.m));
    CHECK_EQ(q.n, 0);
    return 0;
}

START_TEST(a116_timed_out_waiters_are_gone)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, in_time, NULL));
}
END_TEST

START_TEST(s155_lock_with_a_deadline)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, in_time, NULL));
}
END_TEST

SUPPORT_MAIN("sync_mutex", a111_exclusive_over_suspends_and_threads,
             a112_waiters_are_served_in_order, a114_owner_only, a116_timed_out_waiters_are_gone,
             s140_up_and_down, s148_exact_sum, s154_threads_and_coroutines,
             s155_lock_with_a_deadline)
