/*
 * Events, semaphores, wait groups: rows A118, A124, A126, S152, S153.
 */
#include "tests/asyncio/sync.h"

#include <limits.h>

/* ---- Events ------------------------------------------------------------------------------ */

static int wait_event(struct caller *c)
{
    return pirn_event_wait(c->object, c->deadline);
}

static void event_basics(void)
{
    pirn_event e = PIRN_EVENT_INIT;
    CHECK_EQ(pirn_event_init(NULL), -EINVAL);
    CHECK_EQ(pirn_event_wait(NULL, PIRN_NEVER), -EINVAL);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pirn_event_is_set(&e), 0);
        CHECK_EQ(pirn_event_wait(&e, PIRN_NOW), -ETIMEDOUT);
        CHECK_EQ(pirn_event_wait(&e, pirn_after_ms(2)), -ETIMEDOUT);
        CHECK_OK(pirn_event_set(&e));
        CHECK_OK(pirn_event_set(&e));
        CHECK_EQ(pirn_event_is_set(&e), 1);
        CHECK_OK(pirn_event_wait(&e, PIRN_NOW));
        CHECK_OK(pirn_event_wait(&e, PIRN_NEVER));
        CHECK_OK(pirn_event_clear(&e));
    }
}

static int five(void *arg)
{
    (void)arg;
    pirn_event e = PIRN_EVENT_INIT;
    struct caller c[7];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 7; i++) {
            c[i] = (struct caller){.fn = wait_event, .object = &e, .deadline = PIRN_NEVER};
            if (i == 5)
                c[i].deadline = pirn_after_ms(5);
            sync_start(&c[i], i % 2 == 1 && i < 5);
        }
        CHECK_EQ(sync_finish(&c[5]), -ETIMEDOUT);
        CHECK_OK(pirn_cancel(c[6].task, NULL));
        CHECK_EQ(sync_finish(&c[6]), -ECANCELED);
        for (int i = 0; i < 5; i++)
            CHECK_EQ(atomic_load(&c[i].done), 0);
        CHECK_OK(pirn_event_set(&e));
        CHECK_OK(pirn_event_clear(&e)); /* at once: those who waited go all the same */
        for (int i = 0; i < 5; i++)
            CHECK_OK(sync_finish(&c[i]));
    }
    return 0;
}

START_TEST(s152_five_waiters_wake_on_one_set)
{
    support_everywhere(event_basics);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, five, NULL));
}
END_TEST

/* The set comes while the waiter is about to sleep. */
struct ping {
    pirn_event there, back;
    support_barrier barrier;
    int rounds, plain;
};

static void *set_on_thread(void *arg)
{
    struct ping *p = arg;
    for (int i = 1; i <= p->rounds; i++) {
        sync_meet_closely(&p->barrier);
        p->plain = i;
        CHECK_OK(pirn_event_set(&p->there));
        CHECK_OK(pirn_event_wait(&p->back, PIRN_NEVER));
        CHECK_EQ(p->plain, -i);
        CHECK_OK(pirn_event_clear(&p->back));
    }
    return NULL;
}

static int ping(void *arg)
{
    (void)arg;
    struct ping p = {.barrier = {.n = 2}, .rounds = support_rounds(4000)};
    pthread_t thread = support_thread(set_on_thread, &p);
    for (int i = 1; i <= p.rounds; i++) {
        sync_meet_closely(&p.barrier);
        CHECK_OK(pirn_event_wait(&p.there, PIRN_NEVER));
        CHECK_EQ(p.plain, i);
        CHECK_OK(pirn_event_clear(&p.there));
        p.plain = -i;
        CHECK_OK(pirn_event_set(&p.back));
    }
    support_thread_join(thread);
    return 0;
}

START_TEST(a118_no_set_is_lost)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, ping, NULL));
}
END_TEST

/* ---- Semaphores -------------------------------------------------------------------------- */

static void counts(void)
{
    pirn_semaphore s = PIRN_SEMAPHORE_INIT(2), bounded;
    CHECK_EQ(pirn_semaphore_value(&s), 2);
    CHECK_EQ(pirn_semaphore_init(&s, -1), -EINVAL);
    CHECK_EQ(pirn_semaphore_init_bounded(&s, -1, 3), -EINVAL);
    CHECK_EQ(pirn_semaphore_init_bounded(&s, 3, 2), -EINVAL);
    CHECK_EQ(pirn_semaphore_value(&s), 2);
    CHECK_EQ(pirn_semaphore_release(&s, 0), -EINVAL);
    CHECK_EQ(pirn_semaphore_release(&s, -1), -EINVAL);
    CHECK_OK(pirn_semaphore_acquire(&s, PIRN_NEVER));
    CHECK_OK(pirn_semaphore_try_acquire(&s));
    CHECK_EQ(pirn_semaphore_try_acquire(&s), -EAGAIN);
    CHECK_EQ(pirn_semaphore_acquire(&s, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_semaphore_acquire(&s, pirn_after_ms(2)), -ETIMEDOUT);
    CHECK_OK(pirn_semaphore_release(&s, 5));
    CHECK_EQ(pirn_semaphore_value(&s), 5);
    CHECK_EQ(pirn_semaphore_release(&s, INT_MAX), -EOVERFLOW);
    CHECK_OK(pirn_semaphore_release(&s, INT_MAX - 5));
    CHECK_EQ(pirn_semaphore_value(&s), INT_MAX);
    CHECK_EQ(pirn_semaphore_release(&s, 1), -EOVERFLOW);
    CHECK_OK(pirn_semaphore_init_bounded(&bounded, 3, 3));
    CHECK_EQ(pirn_semaphore_release(&bounded, 1), -EINVAL);
    CHECK_EQ(pirn_semaphore_value(&bounded), 3);
    CHECK_OK(pirn_semaphore_acquire(&bounded, PIRN_NEVER));
    CHECK_EQ(pirn_semaphore_release(&bounded, 2), -EINVAL);
    CHECK_EQ(pirn_semaphore_value(&bounded), 2);
    CHECK_OK(pirn_semaphore_release(&bounded, 1));
    CHECK_OK(pirn_semaphore_init_bounded(&bounded, 0, 0));
    CHECK_EQ(pirn_semaphore_release(&bounded, 1), -EINVAL);
}

static int acquire(struct caller *c)
{
    return pirn_semaphore_acquire(c->object, c->deadline);
}

static void *release_on_thread(void *arg)
{
    CHECK_EQ(pirn_semaphore_release(arg, 9), -EINVAL);
    CHECK_OK(pirn_semaphore_release(arg, 2));
    return NULL;
}

static int bounded_with_waiters(void *arg)
{
    (void)arg;
    pirn_semaphore s;
    struct caller c[2];
    CHECK_OK(pirn_semaphore_init_bounded(&s, 0, 8));
    for (int i = 0; i < 2; i++) {
        c[i] = (struct caller){.fn = acquire, .object = &s, .deadline = PIRN_NEVER};
        sync_start(&c[i], i == 1);
    }
    support_thread_join(support_thread(release_on_thread, &s));
    for (int i = 0; i < 2; i++)
        CHECK_OK(sync_finish(&c[i]));
    CHECK_EQ(pirn_semaphore_value(&s), 0);
    return 0;
}

START_TEST(a124_counts_and_bounds)
{
    support_everywhere(counts);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, bounded_with_waiters, NULL));
}
END_TEST

/* k permits wake k, those that have waited longest; the rest is counted. */
static int k_wake_k(void *arg)
{
    (void)arg;
    enum {
        WAITERS = 8
    };
    pirn_semaphore s = PIRN_SEMAPHORE_INIT(0);
    struct caller c[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        c[i] = (struct caller){.fn = acquire, .object = &s, .deadline = PIRN_NEVER};
        sync_start(&c[i], i % 3 == 1);
    }
    CHECK_OK(pirn_cancel(c[0].task, NULL));
    CHECK_EQ(sync_finish(&c[0]), -ECANCELED);
    CHECK_OK(pirn_semaphore_release(&s, 3));
    CHECK_EQ(pirn_semaphore_try_acquire(&s), -EAGAIN); /* theirs */
    for (int i = 1; i < 4; i++)
        CHECK_OK(sync_finish(&c[i]));
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    for (int i = 4; i < WAITERS; i++)
        CHECK_EQ(atomic_load(&c[i].done), 0);
    CHECK_OK(pirn_semaphore_release(&s, WAITERS));
    for (int i = 4; i < WAITERS; i++)
        CHECK_OK(sync_finish(&c[i]));
    CHECK_EQ(pirn_semaphore_value(&s), 4);
    return 0;
}

/* A waiter is cancelled at the moment of the release: the permit is its own or the next one's. */
struct duel {
    support_barrier barrier;
    pirn_task *task;
};

static void *cancel_on_thread(void *arg)
{
    struct duel *d = arg;
    support_meet(&d->barrier);
    pirn_cancel(d->task, NULL);
    return NULL;
}

static int duel(void *arg)
{
    (void)arg;
    int seen[2] = {0, 0};
    for (int i = 0; i < support_rounds(1500); i++) {
        pirn_semaphore s = PIRN_SEMAPHORE_INIT(0);
        struct duel d = {.barrier = {.n = 2}};
        struct caller c[2];
        for (int k = 0; k < 2; k++) {
            c[k] = (struct caller){.fn = acquire, .object = &s, .deadline = PIRN_NEVER};
            sync_start(&c[k], false);
        }
        d.task = c[0].task;
        pthread_t thread = support_thread(cancel_on_thread, &d);
        bool clearly_first = i % 8 == 0, clearly_last = i % 8 == 1; /* the cancel */
        if (!clearly_last)
            support_meet(&d.barrier);
        if (clearly_first)
            support_thread_join(thread);
        CHECK_OK(pirn_semaphore_release(&s, 1));
        if (clearly_last)
            support_meet(&d.barrier);
        int first = sync_finish(&c[0]);
        CHECK(first == 0 || first == -ECANCELED);
        seen[first == 0]++;
        if (clearly_first || clearly_last)
            CHECK_EQ(first == 0, clearly_last);
        if (first == 0)
            CHECK_OK(pirn_semaphore_release(&s, 1));
        CHECK_OK(sync_finish(&c[1]));
        if (!clearly_first)
            support_thread_join(thread);
        CHECK_EQ(pirn_semaphore_value(&s), 0);
    }
    CHECK_GE(seen[0], 1);
    CHECK_GE(seen[1], 1);
    return 0;
}

START_TEST(a126_no_permit_is_lost)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, k_wake_k, NULL));
        CHECK_OK(support_run(w, duel, NULL));
    }
}
END_TEST

struct jobs {
    pirn_semaphore limit;
    pirn_wait_group all;
    atomic_int running, peak;
};

static int job(void *arg)
{
    struct jobs *j = arg;
    CHECK_OK(pirn_semaphore_acquire(&j->limit, PIRN_NEVER));
    int now = atomic_fetch_add(&j->running, 1) + 1, peak = atomic_load(&j->peak);
    while (now > peak && !atomic_compare_exchange_weak(&j->peak, &peak, now)) {}
    support_until(&j->peak, 3);
    CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    atomic_fetch_sub(&j->running, 1);
    CHECK_OK(pirn_semaphore_release(&j->limit, 1));
    return pirn_wait_group_done(&j->all);
}

static void *job_on_thread(void *arg)
{
    CHECK_OK(job(arg));
    return NULL;
}

static int jobs(void *arg)
{
    (void)arg;
    struct jobs j = {.limit = PIRN_SEMAPHORE_INIT(3)};
    pirn_task *task[16];
    pthread_t thread[4];
    CHECK_OK(pirn_wait_group_add(&j.all, 20));
    for (int i = 0; i < 16; i++)
        task[i] = support_spawn(job, &j);
    for (int i = 0; i < 4; i++)
        thread[i] = support_thread(job_on_thread, &j);
    CHECK_OK(pirn_wait_group_wait(&j.all, PIRN_NEVER));
    CHECK_EQ(atomic_load(&j.peak), 3);
    CHECK_EQ(pirn_semaphore_value(&j.limit), 3);
    for (int i = 0; i < 16; i++)
        CHECK_OK(support_join(task[i]));
    for (int i = 0; i < 4; i++)
        support_thread_join(thread[i]);
    return 0;
}

START_TEST(s153_twenty_jobs_three_at_a_time)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, jobs, NULL));
}
END_TEST

/* ---- Wait groups ------------------------------------------------------------------------- */

static int wait_group(struct caller *c)
{
    return pirn_wait_group_wait(c->object, c->deadline);
}

static int groups(void *arg)
{
    (void)arg;
    pirn_wait_group g = PIRN_WAIT_GROUP_INIT;
    struct caller c[5];
    CHECK_OK(pirn_wait_group_wait(&g, PIRN_NEVER)); /* nothing to wait for */
    CHECK_EQ(pirn_wait_group_done(&g), -EINVAL);
    CHECK_EQ(pirn_wait_group_add(&g, -5), -EINVAL);
    CHECK_EQ(pirn_wait_group_count(&g), 0);
    CHECK_OK(pirn_wait_group_add(&g, INT_MAX));
    CHECK_EQ(pirn_wait_group_add(&g, 1), -EOVERFLOW);
    CHECK_OK(pirn_wait_group_add(&g, 3 - INT_MAX));
    CHECK_EQ(pirn_wait_group_wait(&g, PIRN_NOW), -ETIMEDOUT);
    for (int i = 0; i < 5; i++) {
        c[i] = (struct caller){.fn = wait_group, .object = &g, .deadline = PIRN_NEVER};
        sync_start(&c[i], i == 1);
    }
    CHECK_OK(pirn_cancel(c[4].task, NULL));
    CHECK_EQ(sync_finish(&c[4]), -ECANCELED);
    CHECK_EQ(pirn_wait_group_add(&g, -4), -EINVAL);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pirn_wait_group_count(&g), 3 - i);
        for (int k = 0; k < 4; k++)
            CHECK_EQ(atomic_load(&c[k].done), 0);
        CHECK_OK(pirn_wait_group_done(&g));
    }
    CHECK_OK(pirn_wait_group_add(&g, 1)); /* at once: they go all the same */
    for (int i = 0; i < 4; i++)
        CHECK_OK(sync_finish(&c[i]));
    CHECK_EQ(pirn_wait_group_count(&g), 1);
    return 0;
}

START_TEST(wait_groups)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, groups, NULL));
}
END_TEST

SUPPORT_MAIN("sync_signals", a118_no_set_is_lost, a124_counts_and_bounds, a126_no_permit_is_lost,
             s152_five_waiters_wake_on_one_set, s153_twenty_jobs_three_at_a_time, wait_groups)
