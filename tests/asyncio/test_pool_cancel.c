/*
 * Jobs of thread pools that are cancelled or given up: queued, running, and at about their ends.
 */
#include "tests/asyncio/thread_jobs.h"

/* ---- A141: a queued job never runs, a running one goes on ------------------------------------ */

struct awaiter {
    pirn_job *job;
    pirn_time deadline;
    int rc, status;
};

static int await(void *arg)
{
    struct awaiter *a = arg;
    a->status = -12345;
    a->rc = pirn_await(a->job, &a->status, a->deadline);
    return a->rc;
}

static void *await_on_thread(void *arg)
{
    await(arg);
    return NULL;
}

/* Its own first awaiter is a plain thread, which a cancel of the job wakes, too. */
static void queued_is_cancelled(void)
{
    pirn_thread_pool *pool = new_pool(1);
    struct held first = {.result = 1}, second = {.result = 2};
    pirn_job *a = submit_held(pool, &first), *b = submit_held(pool, &second);
    struct awaiter awaiter = {b, PIRN_NEVER, -1, -1};
    support_until(&first.begun, 1);
    pthread_t thread = support_thread(await_on_thread, &awaiter);
    support_pause_ms(1);
    CHECK_OK(pirn_cancel(b, "no need"));
    CHECK(pirn_done(b));
    CHECK_EQ(second.dropped, 1); /* at once */
    CHECK_EQ(pirn_cancel(b, NULL), -EALREADY);
    support_thread_join(thread);
    CHECK_OK(awaiter.rc);
    CHECK_EQ(awaiter.status, -ECANCELED);
    CHECK(strcmp(pirn_reason(b), "no need") == 0);
    CHECK(pirn_value(b) == NULL);
    atomic_store(&first.release, 1);
    CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
    CHECK_EQ(second.begun, 0);
    CHECK_EQ(second.dropped, 1);
    CHECK_EQ(pirn_status(a), 1);
    CHECK_EQ(first.value_dropped, 0);
    CHECK_OK(pirn_release(a));
    CHECK_EQ(first.value_dropped, 1);
    CHECK_OK(pirn_release(b));
}

static void running_is_cancelled(void)
{
    pirn_thread_pool *pool = new_pool(1);
    struct held h = {.result = 1}, next = {.release = 1, .result = 2};
    pirn_job *job = submit_held(pool, &h), *after = submit_held(pool, &next);
    struct awaiter awaiter = {job, PIRN_NEVER, -1, -1};
    pthread_t thread = support_thread(await_on_thread, &awaiter);
    int status = 0;
    support_until(&h.begun, 1);
    CHECK_EQ(pirn_await(job, &status, pirn_after_us(100)), -ETIMEDOUT); /* it goes on */
    CHECK_OK(pirn_cancel(job, NULL));
    support_thread_join(thread); /* before the job has ended */
    CHECK_OK(awaiter.rc);
    CHECK_EQ(awaiter.status, -ECANCELED);
    CHECK_OK(pirn_await(job, &status, PIRN_NEVER));
    CHECK_EQ(status, -ECANCELED);
    CHECK_EQ(h.ended + h.dropped, 0); /* its argument is still there */
    CHECK_EQ(pirn_cancel(job, NULL), -EALREADY);
    CHECK_EQ(next.begun, 0); /* its thread is not free */
    CHECK_OK(pirn_release(job));
    atomic_store(&h.release, 1);
    CHECK_OK(pirn_join(after, &status, PIRN_NEVER));
    CHECK_EQ(status, 2);
    CHECK_EQ(h.ended, 1);
    CHECK_EQ(h.saw_cancel, 1);
    CHECK_EQ(next.saw_cancel, 0);
    CHECK_EQ(h.dropped, 1);
    CHECK_EQ(h.value_dropped, 1);
    CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
}

START_TEST(a141_a_queued_job_never_runs)
{
    for (int i = 0; i < support_rounds(20); i++)
        support_everywhere(queued_is_cancelled);
}
END_TEST

START_TEST(a141_a_running_job_goes_on)
{
    for (int i = 0; i < support_rounds(20); i++)
        support_everywhere(running_is_cancelled);
}
END_TEST

/* ---- A141: the awaiter is cancelled ---------------------------------------------------------- */

static int await_and_go_on(void *arg)
{
    int rc = await(arg);
    CHECK_OK(pirn_yield()); /* that was the cancel */
    return rc;
}

static int awaiter_is_cancelled(void *arg)
{
    pirn_thread_pool *pool = arg;
    struct held h = {.result = 1}, queued = {.result = 2}, shared = {.result = 3};
    pirn_job *a = submit_held(pool, &h), *b = submit_held(pool, &queued),
             *c = submit_held(pool, &shared);
    struct awaiter of_a = {a, PIRN_NEVER, -1, -1}, of_b = {b, PIRN_NEVER, -1, -1},
                   of_c[2] = {{c, PIRN_NEVER, -1, -1}, {c, PIRN_NEVER, -1, -1}};
    support_until(&h.begun, 1);
    pirn_task *ta = support_spawn(await_and_go_on, &of_a),
              *tb = support_spawn(await_and_go_on, &of_b), *tc[2];
    for (int i = 0; i < 2; i++) {
        tc[i] = support_spawn(await_and_go_on, &of_c[i]);
        support_until_waiting(tc[i]);
    }
    support_until_waiting(ta);
    support_until_waiting(tb);
    CHECK_OK(pirn_cancel(ta, "leave"));
    CHECK_EQ(support_join(ta), -ECANCELED); /* promptly: the job is held */
    CHECK_EQ(pirn_status(a), -ECANCELED);
    CHECK(strcmp(pirn_reason(a), "leave") == 0);
    CHECK_EQ(h.dropped + h.ended, 0);
    CHECK_OK(pirn_cancel(tb, NULL));
    CHECK_EQ(support_join(tb), -ECANCELED);
    CHECK_EQ(pirn_status(b), -ECANCELED);
    CHECK_EQ(queued.dropped, 1);
    CHECK_OK(pirn_cancel(tc[0], NULL)); /* one of two: the job goes on for the other */
    CHECK_EQ(support_join(tc[0]), -ECANCELED);
    CHECK_EQ(pirn_status(c), -EINPROGRESS);
    CHECK_OK(pirn_cancel(pirn_current(), NULL)); /* found on entry: the same */
    struct held late = {.result = 4};
    struct awaiter of_late = {submit_held(pool, &late), PIRN_NEVER, -1, -1};
    CHECK_EQ(await(&of_late), -ECANCELED);
    CHECK_EQ(pirn_status(of_late.job), -ECANCELED);
    CHECK_EQ(late.dropped, 1);
    atomic_store(&h.release, 1);
    atomic_store(&shared.release, 1);
    CHECK_OK(support_join(tc[1]));
    CHECK_EQ(of_c[1].status, 3);
    CHECK_EQ(queued.begun + late.begun, 0);
    CHECK_EQ(h.dropped + shared.dropped, 2);
    pirn_job *all[] = {a, b, c, of_late.job};
    for (int i = 0; i < 4; i++)
        CHECK_OK(pirn_release(all[i]));
    CHECK_EQ(h.value_dropped, 1);
    return 0;
}

START_TEST(a141_the_only_awaiter_is_cancelled)
{
    for (int i = 0; i < support_rounds(20); i++) {
        FOR_WORKERS(w)
        {
            pirn_thread_pool *pool = new_pool(1);
            CHECK_OK(support_run(w, awaiter_is_cancelled, pool));
            CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
        }
    }
}
END_TEST

/* ---- A141: races of a cancel, a beginning, and an end ---------------------------------------- */

struct race {
    support_barrier barrier;
    pirn_thread_pool *pool;
    pirn_job *job;
    struct held h;
    atomic_bool stop;
    int rc;                     /* of the canceller */
    int unrun, abandoned, told; /* outcomes */
};

static int quick(void *arg)
{
    struct held *h = arg;
    atomic_fetch_add(&h->begun, 1);
    CHECK_EQ(atomic_load(&h->dropped), 0);
    CHECK_OK(pirn_set_value(h, drop_value));
    support_spin(support_between(0, 10 * US));
    atomic_fetch_add(&h->ended, 1);
    return 7;
}

static int wait_for_release(void *arg)
{
    struct held *h = arg;
    while (!atomic_load(&h->release))
        support_spin(1 * US);
    return 0;
}

static int quick_once_released(void *arg)
{
    struct held *h = arg;
    atomic_fetch_add(&h->begun, 1);
    wait_for_release(h);
    atomic_fetch_sub(&h->begun, 1);
    return quick(h);
}

static void *cancels(void *arg)
{
    struct race *r = arg;
    for (;;) {
        support_meet(&r->barrier);
        if (atomic_load(&r->stop))
            return NULL;
        r->rc = pirn_cancel(r->job, NULL);
        support_meet(&r->barrier);
    }
}

/* Each round: a job is begun by the pool, cancelled by a thread, and awaited here. It happens or it
 * does not, and everything is dropped once. In a few rounds it is sure which: each is seen. */
enum {
    RUNNING = 1, /* the cancel finds it */
    QUEUED,
    ENDED,
    ROUNDS = 8
};

static int race(void *arg)
{
    struct race *r = arg;
    pirn_job_config config = PIRN_JOB_CONFIG_INIT;
    config.arg_drop = drop_arg;
    pthread_t thread = support_thread(cancels, r);
    for (int i = 0; i < support_rounds(3400); i++) {
        int status = -12345, how = i % ROUNDS;
        memset(&r->h, 0, sizeof(r->h));
        if (how == QUEUED)
            CHECK_OK(pirn_thread_pool_submit(r->pool, NULL, wait_for_release, &r->h));
        CHECK_OK(pirn_thread_pool_submit_with(r->pool, &r->job, &config,
                                              how == RUNNING ? quick_once_released : quick, &r->h));
        if (i % 2 == 0)
            support_spin(support_between(0, 60 * US));
        while (how == RUNNING && atomic_load(&r->h.begun) == 0)
            support_spin(1 * US);
        if (how == ENDED)
            CHECK_OK(pirn_await(r->job, NULL, PIRN_NEVER));
        support_meet(&r->barrier);
        CHECK_OK(pirn_await(r->job, &status, PIRN_NEVER));
        atomic_store(&r->h.release, 1);
        support_meet(&r->barrier);
        CHECK(r->rc == 0 || r->rc == -EALREADY);
        CHECK_EQ(status, r->rc == 0 ? -ECANCELED : 7);
        if (r->rc == 0) { /* what the pool does with it may still be going on */
            pirn_job *last;
            CHECK_OK(pirn_thread_pool_submit(r->pool, &last, count_one, &r->h.saw_cancel));
            CHECK_OK(pirn_join(last, NULL, PIRN_NEVER)); /* its one thread is through with ours */
        }
        CHECK_EQ(r->h.dropped, 1);
        CHECK_EQ(r->h.begun, r->h.ended);
        CHECK(pirn_value(r->job) == (r->rc == 0 ? NULL : &r->h));
        CHECK_OK(pirn_release(r->job));
        CHECK_EQ(r->h.value_dropped, r->h.ended); /* ours was the last handle */
        r->unrun += r->rc == 0 && r->h.begun == 0;
        r->abandoned += r->rc == 0 && r->h.begun == 1;
        r->told += r->rc != 0;
    }
    atomic_store(&r->stop, true);
    support_meet(&r->barrier);
    support_thread_join(thread);
    return 0;
}

START_TEST(a141_race_of_a_cancel_and_a_job)
{
    int unrun = 0, abandoned = 0, told = 0;
    FOR_WORKERS(w)
    {
        struct race r = {.barrier = {.n = 2}, .pool = new_pool(1)};
        CHECK_OK(support_run(w, race, &r));
        CHECK_OK(pirn_thread_pool_close(r.pool, PIRN_NEVER));
        unrun += r.unrun;
        abandoned += r.abandoned;
        told += r.told;
    }
    CHECK_GE(unrun, support_rounds(100));
    CHECK_GE(abandoned, support_rounds(100));
    CHECK_GE(told, support_rounds(100));
}
END_TEST

/* The awaiter is cancelled while its job begins and ends: exact, as everywhere. */
struct pass {
    pirn_thread_pool *pool;
    bool stays; /* the job, until the awaiter is through */
    int cancelled, told;
};

static int awaits_quick(void *arg)
{
    struct pass *p = arg;
    struct held *h = calloc(1, sizeof(*h)); /* it may live longer than we await */
    int status = -12345;
    CHECK(h);
    pirn_job_config config = PIRN_JOB_CONFIG_INIT;
    pirn_job *job;
    config.arg_drop = drop_arg;
    CHECK_OK(pirn_thread_pool_submit_with(p->pool, &job, &config,
                                          p->stays ? quick_once_released : quick, h));
    int rc = pirn_await(job, &status, PIRN_NEVER);
    atomic_store(&h->release, 1);
    if (rc == 0) {
        CHECK_EQ(status, 7); /* and the cancel is still to come, if it was sent in time */
        pirn_yield();
    } else {
        CHECK_EQ(rc, -ECANCELED);
        CHECK_EQ(status, -12345);
        int said = pirn_status(job); /* 7: the cancel was found on entry, and the job ended then */
        CHECK(said == -ECANCELED || said == 7);
        CHECK_OK(pirn_yield()); /* that was the one cancel */
    }
    p->cancelled += rc != 0;
    p->told += rc == 0;
    CHECK_OK(pirn_release(job));
    while (atomic_load(&h->dropped) == 0 ||
           atomic_load(&h->value_dropped) != atomic_load(&h->ended))
        support_pause_ms(0);
    CHECK_EQ(h->dropped, 1);
    free(h);
    return 0;
}

/* Now and then there is but one outcome, so that each is seen on any machine. */
static int pass_race(void *arg)
{
    struct pass *p = arg;
    for (int i = 0; i < support_rounds(3400); i++) {
        bool ends = i % 8 == 0;
        int cancelled = p->cancelled, told = p->told;
        p->stays = i % 8 == 1;
        pirn_task *task = support_spawn(awaits_quick, p);
        CHECK_OK(pirn_yield());
        if (p->stays)
            support_until_waiting(task);
        else if (ends)
            CHECK_OK(pirn_await(task, NULL, PIRN_NEVER));
        else
            support_spin(support_between(0, 80 * US));
        pirn_cancel(task, NULL);
        int status = support_join(task);
        CHECK(status == 0 || status == -ECANCELED); /* the latter: it had not begun */
        if (p->stays)
            CHECK_EQ(p->cancelled, cancelled + 1);
        if (ends)
            CHECK_EQ(p->told, told + 1);
    }
    return 0;
}

START_TEST(a141_race_of_a_cancelled_awaiter_and_the_end)
{
    int cancelled = 0, told = 0;
    FOR_WORKERS(w)
    {
        struct pass p = {.pool = new_pool(1)};
        CHECK_OK(support_run(w, pass_race, &p));
        CHECK_OK(pirn_thread_pool_close(p.pool, PIRN_NEVER));
        cancelled += p.cancelled;
        told += p.told;
    }
    CHECK_GE(cancelled, support_rounds(100));
    CHECK_GE(told, support_rounds(100));
}
END_TEST

SUPPORT_MAIN("pool_cancel", a141_a_queued_job_never_runs, a141_a_running_job_goes_on,
             a141_the_only_awaiter_is_cancelled, a141_race_of_a_cancel_and_a_job,
             a141_race_of_a_cancelled_awaiter_and_the_end)
