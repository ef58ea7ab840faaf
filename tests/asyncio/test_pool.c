/* serial */
/*
 * Thread pools: what comes back from jobs, how many run at once, the default pool.
 */
#include "tests/asyncio/thread_jobs.h"

/* ---- A140, S111, S112: values and codes, with and without a runtime -------------------------- */

static int answer(void *arg)
{
    CHECK_EQ(pirn_on_worker(), 0);
    CHECK(pirn_current() == NULL && pirn_runtime_current() == NULL);
    CHECK(!pirn_job_is_cancelled());
    return *(int *)arg;
}

static void values_and_codes(void)
{
    static const int codes[] = {0, 9, -EIO, -ETIMEDOUT, INT32_MAX};
    pirn_thread_pool *pool = new_pool(2), *pools[] = {pool, NULL};
    pirn_job *job = NULL;
    for (int i = 0; i < support_rounds(200); i++) {
        int code = codes[i % 5], status = -12345;
        job = submit(pools[i % 2], answer, &code);
        CHECK_OK(pirn_await(job, &status, PIRN_NEVER));
        CHECK_EQ(status, code);
        CHECK(pirn_done(job));
        CHECK_EQ(pirn_status(job), code);
        CHECK(pirn_value(job) == NULL);
        CHECK_EQ(pirn_cancel(job, NULL), -EALREADY);
        CHECK_OK(pirn_join(job, &status, PIRN_NOW)); /* it has ended */
        CHECK_EQ(status, code);
        CHECK_OK(pirn_to_thread(answer, &code, &status, PIRN_NEVER));
        CHECK_EQ(status, code);
    }
    struct held h = {.release = 1, .result = 4};
    int status = -1;
    job = submit_held(pool, &h);
    CHECK_OK(pirn_await(job, &status, PIRN_NEVER));
    CHECK_EQ(status, 4);
    CHECK_EQ(h.dropped, 1); /* before its end is told */
    CHECK(pirn_value(job) == &h);
    CHECK_EQ(h.value_dropped, 0);
    CHECK_OK(pirn_release(job));
    CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
    CHECK_EQ(h.value_dropped, 1);
    CHECK_EQ(h.ended, 1);
}

START_TEST(a140_s111_s112_values_and_codes)
{
    support_everywhere(values_and_codes);
    int status = 0;
    pirn_thread_pool *pool = new_pool(0);
    pirn_job *job;
    pirn_job_config config = PIRN_JOB_CONFIG_INIT;
    config.size--;
    CHECK_EQ(pirn_thread_pool_new(&pool, -1), -EINVAL);
    CHECK_EQ(pirn_thread_pool_new(&pool, 1025), -EINVAL);
    CHECK_EQ(pirn_thread_pool_new(NULL, 1), -EINVAL);
    CHECK_EQ(pirn_thread_pool_submit(pool, &job, NULL, NULL), -EINVAL);
    CHECK_EQ(pirn_thread_pool_submit_with(pool, &job, &config, answer, NULL), -EINVAL);
    CHECK_EQ(pirn_to_thread(NULL, NULL, &status, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_thread_pool_map(pool, 1, NULL, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_set_value(NULL, NULL), -EPERM); /* on a plain thread that runs no job */
    pirn_thread_pool_release(pool);
    CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
}
END_TEST

/* ---- A140, S108: ten jobs on two threads, some cancelled ------------------------------------- */

static atomic_int go, inside, peak, ran;

static int ten_ms(void *arg)
{
    int now = atomic_fetch_add(&inside, 1) + 1, seen = atomic_load(&peak);
    (void)arg;
    while (seen < now && !atomic_compare_exchange_weak(&peak, &seen, now)) {}
    while (!atomic_load(&go) || atomic_load(&peak) < 2)
        support_pause_ms(1);
    support_pause_ms(10);
    atomic_fetch_sub(&inside, 1);
    return atomic_fetch_add(&ran, 1);
}

/* Of n jobs, every fourth is cancelled at once, if it is to be ten that run. */
static void ten_jobs(int n)
{
    pirn_thread_pool *pool = new_pool(2);
    pirn_job *jobs[13];
    int cancelled = 0;
    atomic_store(&go, 0);
    atomic_store(&peak, 0);
    atomic_store(&ran, 0);
    int64_t start = support_now();
    for (int i = 0; i < n; i++)
        jobs[i] = submit(pool, ten_ms, NULL);
    for (int i = 3; i < 12 && n > 10; i += 4) {
        CHECK_OK(pirn_cancel(jobs[i], "enough"));
        CHECK_EQ(pirn_status(jobs[i]), -ECANCELED);
        CHECK(strcmp(pirn_reason(jobs[i]), "enough") == 0);
        cancelled++;
    }
    atomic_store(&go, 1);
    for (int i = 0; i < n; i++) {
        int status = -1;
        CHECK_OK(pirn_join(jobs[i], &status, PIRN_NEVER));
        cancelled -= status == -ECANCELED;
    }
    int64_t took = support_now() - start;
    CHECK_EQ(cancelled, 0);
    CHECK_EQ(ran, 10);
    CHECK_EQ(peak, 2);
    CHECK_GE(took, 50 * MS);
    CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
}

static void ten_jobs_twice(void)
{
    ten_jobs(10);
    ten_jobs(13);
}

START_TEST(a140_s108_ten_jobs_on_two_threads)
{
    support_everywhere(ten_jobs_twice);
    no_pool_threads();
}
END_TEST

/* ---- First come, first served ---------------------------------------------------------------- */

struct place {
    atomic_int *next;
    int got;
};

static int take_place(void *arg)
{
    struct place *p = arg;
    p->got = atomic_fetch_add(p->next, 1);
    return 0;
}

static void in_order(void)
{
    enum {
        N = 20
    };
    pirn_thread_pool *pool = new_pool(1);
    struct held h = {0};
    atomic_int next = 0;
    struct place places[N];
    pirn_job *holder = submit(pool, hold, &h), *jobs[N];
    support_until(&h.begun, 1);
    for (int i = 0; i < N; i++) {
        places[i] = (struct place){&next, -1};
        jobs[i] = submit(pool, take_place, &places[i]);
    }
    for (int i = 0; i < N; i += 3) /* the first, the last but one and some between */
        CHECK_OK(pirn_cancel(jobs[i], NULL));
    atomic_store(&h.release, 1);
    CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
    for (int i = 0, n = 0; i < N; i++) {
        CHECK(pirn_done(jobs[i]));
        CHECK_EQ(pirn_status(jobs[i]), i % 3 == 0 ? -ECANCELED : 0);
        CHECK_EQ(places[i].got, i % 3 == 0 ? -1 : n++);
        CHECK_OK(pirn_release(jobs[i]));
    }
    CHECK_OK(pirn_join(holder, NULL, PIRN_NOW));
}

START_TEST(a140_jobs_are_begun_in_order)
{
    for (int i = 0; i < support_rounds(20); i++)
        support_everywhere(in_order);
}
END_TEST

/* ---- S74: which run and which are queued ----------------------------------------------------- */

static void four_jobs(void)
{
    pirn_thread_pool *pool = new_pool(2);
    struct held h = {0};
    pirn_job *jobs[4];
    for (int i = 0; i < 4; i++)
        jobs[i] = submit(pool, hold, &h);
    support_until(&h.begun, 2);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pirn_job_is_running(jobs[i]), i < 2);
        CHECK(!pirn_done(jobs[i]));
    }
    CHECK_OK(pirn_cancel(jobs[0], NULL)); /* it has ended, whatever its function still does */
    CHECK_OK(pirn_cancel(jobs[3], NULL));
    CHECK(!pirn_job_is_running(jobs[0]));
    CHECK(!pirn_job_is_running(jobs[3]));
    atomic_store(&h.release, 1);
    CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
    for (int i = 0; i < 4; i++) {
        CHECK(!pirn_job_is_running(jobs[i]));
        CHECK_OK(pirn_release(jobs[i]));
    }
    CHECK_EQ(h.ended, 3);
    CHECK(!pirn_job_is_running(NULL));
}

START_TEST(s74_running_or_queued)
{
    for (int i = 0; i < support_rounds(20); i++)
        support_everywhere(four_jobs);
    pirn_future *future;
    CHECK_OK(pirn_future_new(&future));
    CHECK(!pirn_job_is_running(future));
    pirn_release(future);
}
END_TEST

/* ---- S107: the default pool ------------------------------------------------------------------ */

static int tick(void *arg)
{
    struct held *h = arg;
    for (int i = 0; i < 20; i++)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    atomic_store(&h->release, 1); /* which the job waits for */
    return 0;
}

static int default_pool(void *arg)
{
    struct held h = {.result = 197};
    int status = -1;
    (void)arg;
    pirn_task *ticker = support_spawn(tick, &h);
    no_pool_threads(); /* before the first use */
    CHECK_OK(pirn_to_thread(hold, &h, &status, PIRN_NEVER));
    CHECK_EQ(status, 197);
    CHECK_EQ(pool_threads(), 1); /* idle */
    CHECK_OK(pirn_to_thread(hold, &h, &status, PIRN_NEVER));
    CHECK_LE(pool_threads(), 2); /* the same one, unless it was not idle yet */
    CHECK_OK(support_join(ticker));
    return pirn_thread_pool_close(NULL, PIRN_NEVER);
}

START_TEST(s107_s197_default_pool)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, default_pool, NULL));
        CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER)); /* there is none: nothing */
    }
    /* As many threads as Python's has, and no more. */
    struct held h = {0};
    enum {
        MOST = 33
    };
    pirn_job *jobs[MOST];
    for (int i = 0; i < MOST; i++)
        jobs[i] = submit(NULL, hold, &h);
    support_until(&h.begun, 5); /* one CPU and four */
    support_pause_ms(20);
    CHECK_LE(h.begun, 32);
    atomic_store(&h.release, 1);
    for (int i = 0; i < MOST; i++)
        CHECK_OK(pirn_join(jobs[i], NULL, PIRN_NEVER));
    CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
    CHECK_EQ(h.ended, MOST);
}
END_TEST

START_TEST(s108_a_default_pool_of_ones_own)
{
    pirn_thread_pool *pool = new_pool(1);
    struct held h = {0};
    no_pool_threads();
    pirn_thread_pool_set_default(pool);
    pirn_job *job = submit(NULL, hold, &h), *next = submit(NULL, hold, &h);
    support_until(&h.begun, 1);
    CHECK_EQ(pool_threads(), 1);
    pirn_thread_pool_set_default(NULL); /* the jobs are still done */
    atomic_store(&h.release, 1);
    CHECK_OK(pirn_join(job, NULL, PIRN_NEVER));
    CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
    CHECK_OK(pirn_join(next, NULL, PIRN_NOW));
    no_pool_threads();
}
END_TEST

/* ---- S118: how soon an awaiter goes on ------------------------------------------------------- */

static int now(void *arg)
{
    *(int64_t *)arg = support_now();
    return 0;
}

static int wake_latency(void *arg)
{
    enum {
        N = 101
    };
    int64_t took[N], ended;
    support_control control;
    (void)arg;
    support_control_begin(&control);
    for (int i = 0; i < N; i++) {
        CHECK_OK(pirn_to_thread(now, &ended, NULL, PIRN_NEVER));
        int64_t t = support_now() - ended;
        int k = i;
        for (; k > 0 && took[k - 1] > t; k--)
            took[k] = took[k - 1];
        took[k] = t;
    }
    if (support_timing())
        CHECK_LE(took[N / 2], MS + support_control_worst(&control)); /* measured: 0.03 */
    support_control_end(&control);
    return 0;
}

START_TEST(s118_completion_wakes_at_once)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, wake_latency, NULL));
    CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
}
END_TEST

/* ---- pirn_to_thread waits for what has begun ------------------------------------------------- */

struct call {
    struct held *h;
    pirn_time deadline;
    int rc, status;
};

static int call(void *arg)
{
    struct call *c = arg;
    c->status = -12345;
    c->rc = pirn_to_thread(hold, c->h, &c->status, c->deadline);
    if (c->rc == 0)
        CHECK_OP(pirn_yield(), ==, c->h->result == 8 ? -ECANCELED : 0);
    return c->rc;
}

static int to_thread_waits(void *arg)
{
    pirn_thread_pool *pool = new_pool(1);
    struct held h = {.result = 8}, queued = {.result = 9};
    struct call first = {&h, PIRN_NEVER, -1, -1}, second = {&queued, PIRN_NEVER, -1, -1},
                third = {&queued, pirn_after_ms(1), -1, -1};
    (void)arg;
    pirn_thread_pool_set_default(pool);
    pirn_task *t1 = support_spawn(call, &first);
    support_until(&h.begun, 1);
    pirn_task *t2 = support_spawn(call, &second);
    support_until_waiting(t2);
    CHECK_EQ(call(&third), -ETIMEDOUT);
    CHECK_OK(pirn_cancel(t2, NULL));
    CHECK_EQ(support_join(t2), -ECANCELED);
    CHECK_OK(pirn_cancel(t1, NULL));
    CHECK_EQ(pirn_await(t1, NULL, pirn_after_ms(2)), -ETIMEDOUT);
    atomic_store(&h.release, 1);
    CHECK_OK(support_join(t1));
    CHECK_EQ(first.status, 8);
    CHECK_EQ(queued.begun, 0);
    CHECK_EQ(h.value_dropped, 1); /* for nobody */
    pirn_thread_pool_set_default(NULL);
    return pirn_thread_pool_close(pool, PIRN_NEVER);
}

START_TEST(a141_to_thread_waits_for_what_has_begun)
{
    for (int i = 0; i < support_rounds(20); i++) {
        FOR_WORKERS(w)
        CHECK_OK(support_run(w, to_thread_waits, NULL));
    }
}
END_TEST

SUPPORT_MAIN("pool", a140_s111_s112_values_and_codes, a140_s108_ten_jobs_on_two_threads,
             a140_jobs_are_begun_in_order, s74_running_or_queued, s107_s197_default_pool,
             s108_a_default_pool_of_ones_own, s118_completion_wakes_at_once,
             a141_to_thread_waits_for_what_has_begun)
