/* The pool for blocking calls: results, many at once, jobs given up while they were queued. */
#include "tests/support.h"

struct job {
    atomic_int began, let_go, ran;
    int result;
};

static int hold(void *arg)
{
    struct job *j = arg;
    atomic_fetch_add(&j->began, 1);
    while (!atomic_load(&j->let_go))
        support_pause_ms(1);
    return j->result;
}

static int run(void *arg)
{
    struct job *j = arg;
    atomic_fetch_add(&j->ran, 1);
    return j->result;
}

static int results(void *arg)
{
    (void)arg;
    int values[] = {0, 9, -EIO, -ECANCELED, -ETIMEDOUT};
    for (int i = 0; i < support_rounds(1000); i++) {
        struct job j = {.result = values[i % 5]};
        int status = -12345;
        CHECK_OK(pirn_blocking(run, &j, &status, PIRN_NEVER));
        CHECK_EQ(status, values[i % 5]);
        CHECK_EQ(atomic_load(&j.ran), 1);
        CHECK_OK(pirn_blocking(run, &j, NULL, PIRN_NEVER));
    }
    return 0;
}

/* ---- Queued behind a job that holds the only thread -------------------------------------- */

struct call {
    struct job *job;
    pirn_fn fn;
    pirn_time deadline;
    int rc, status;
    int next; /* of a sleep after it */
};

static int make_call(void *arg)
{
    struct call *c = arg;
    c->status = -12345;
    c->rc = pirn_blocking(c->fn, c->job, &c->status, c->deadline);
    c->next = pirn_sleep(PIRN_NOW);
    return c->rc;
}

static int queued(void *arg)
{
    (void)arg;
    struct job holder = {.result = 1}, waiting = {.result = 2};
    struct call first = {&holder, hold, PIRN_NEVER, -1, -1, -1};
    pirn_task *holding = support_spawn(make_call, &first);
    support_until(&holder.began, 1);

    int status = -12345;
    pirn_time until = pirn_after_ms(5);
    CHECK_EQ(pirn_blocking(run, &waiting, &status, until), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, until.ns);
    CHECK_EQ(status, -12345);
    CHECK_EQ(pirn_blocking(run, &waiting, &status, PIRN_NOW), -ETIMEDOUT);

    struct call calls[10];
    pirn_task *tasks[10];
    for (int i = 0; i < 10; i++) {
        calls[i] = (struct call){&waiting, run, PIRN_NEVER, -1, -1, -1};
        tasks[i] = support_spawn(make_call, &calls[i]);
        support_until_waiting(tasks[i]);
    }
    for (int i = 0; i < 10; i += 2) { /* every other one gives up */
        CHECK_OK(pirn_cancel(tasks[i], NULL));
        CHECK_EQ(support_join(tasks[i]), -ECANCELED);
    }
    CHECK_EQ(atomic_load(&waiting.ran), 0);
    /* One that has begun is waited for, cancel or not; its result is real. */
    CHECK_OK(pirn_cancel(holding, NULL));
    CHECK_EQ(pirn_await(holding, NULL, pirn_after_ms(5)), -ETIMEDOUT);
    atomic_store(&holder.let_go, 1);
    CHECK_OK(support_join(holding));
    CHECK_EQ(first.status, 1);
    CHECK_EQ(first.next, -ECANCELED); /* it is still to come */
    for (int i = 1; i < 10; i += 2) {
        CHECK_OK(support_join(tasks[i]));
        CHECK_EQ(calls[i].status, 2);
        CHECK_OK(calls[i].next);
    }
    CHECK_EQ(atomic_load(&waiting.ran), 5); /* those given up never ran */
    return 0;
}

/* A deadline that passes while the job runs changes nothing. One that passes before a thread has
 * come to the job is another case, and says nothing of this one: then the next try has longer. */
static int begun_is_waited_for(void *arg)
{
    (void)arg;
    struct job j = {.result = 3};
    struct call c;
    pirn_task *task = NULL;
    for (int64_t ms = 5; atomic_load(&j.began) == 0; ms *= 2) {
        c = (struct call){&j, hold, pirn_after_ms(ms), -1, -1, -1};
        task = support_spawn(make_call, &c);
        while (atomic_load(&j.began) == 0 && pirn_status(task) == -EINPROGRESS)
            CHECK_OK(pirn_sleep(pirn_after_us(100)));
        if (atomic_load(&j.began) == 0)
            CHECK_EQ(support_join(task), -ETIMEDOUT);
    }
    while (pirn_now().ns < c.deadline.ns)
        CHECK_OK(pirn_sleep(pirn_after_ms(5)));
    CHECK_OK(pirn_sleep(pirn_after_ms(5)));
    CHECK_EQ(pirn_status(task), -EINPROGRESS);
    atomic_store(&j.let_go, 1);
    CHECK_OK(support_join(task));
    CHECK_EQ(c.status, 3);
    return 0;
}

/* N jobs are inside at once, and the workers stay free. */
static int in_parallel(void *arg)
{
    (void)arg;
    enum {
        N = 20
    };
    struct job j = {.result = 5};
    struct call calls[N];
    pirn_task *tasks[N];
    for (int i = 0; i < N; i++) {
        calls[i] = (struct call){&j, hold, PIRN_NEVER, -1, -1, -1};
        tasks[i] = support_spawn(make_call, &calls[i]);
    }
    support_until(&j.began, N);
    for (int i = 0; i < 20; i++)
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
    atomic_store(&j.let_go, 1);
    for (int i = 0; i < N; i++) {
        CHECK_OK(support_join(tasks[i]));
        CHECK_EQ(calls[i].status, 5);
    }
    return 0;
}

/* ---- A job may wait on what coroutines do ------------------------------------------------ */

static int waits_for_future(void *arg)
{
    int status = -1;
    CHECK_OK(pirn_future_await(arg, &status, NULL, PIRN_NEVER)); /* blocks the pool thread */
    return status;
}

static int set_later(void *arg)
{
    CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    return pirn_future_set(arg, 31, NULL);
}

static int job_waits(void *arg)
{
    (void)arg;
    pirn_future *future;
    CHECK_OK(pirn_future_new(&future));
    pirn_task *setter = support_spawn(set_later, future);
    int status = 0;
    CHECK_OK(pirn_blocking(waits_for_future, future, &status, PIRN_NEVER));
    CHECK_EQ(status, 31);
    CHECK_OK(support_join(setter));
    pirn_release(future);
    return 0;
}

/* Shutdown waits for a job that has begun. */
static struct job left_behind;

static int leave_job(void *arg)
{
    pirn_task *task = support_spawn(make_call, arg);
    support_until(&left_behind.began, 1);
    CHECK_OK(pirn_detach(task));
    return 0;
}

static void *release_soon(void *arg)
{
    (void)arg;
    support_pause_ms(20);
    atomic_store(&left_behind.let_go, 1);
    return NULL;
}

START_TEST(shutdown_waits_for_jobs)
{
    FOR_WORKERS(w)
    {
        struct call c = {&left_behind, hold, PIRN_NEVER, -1, -1, -1};
        atomic_store(&left_behind.let_go, 0);
        atomic_store(&left_behind.began, 0);
        pthread_t thread = support_thread(release_soon, NULL);
        CHECK_OK(support_run(w, leave_job, &c));
        CHECK_EQ(atomic_load(&left_behind.let_go), 1);
        CHECK_OK(c.rc);
        support_thread_join(thread);
    }
}
END_TEST

#define EACH(name, fn, threads, rounds) \
    START_TEST(name) \
    { \
        pirn_config config = PIRN_CONFIG_INIT; \
        config.max_blocking = threads; \
        for (int i = 0; i < support_rounds(rounds); i++) { \
            FOR_WORKERS(w) \
            { \
                config.workers = w; \
                CHECK_OK(support_run_with(&config, fn, NULL)); \
            } \
        } \
    } \
    END_TEST

EACH(gives_results, results, 0, 1)
EACH(queued_jobs, queued, 1, 20)
EACH(begun_jobs, begun_is_waited_for, 1, 10)
EACH(many_at_once, in_parallel, 0, 10)
EACH(job_may_wait, job_waits, 1, 10)

SUPPORT_MAIN("blocking", gives_results, queued_jobs, begun_jobs, many_at_once, job_may_wait,
             shutdown_waits_for_jobs)
