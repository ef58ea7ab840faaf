/*
 * Jobs of process pools as awaitables: awaited with others, cancelled, told by callbacks, outliving
 * the pool; and a worker's death told to their awaiters.
 */
#include "tests/asyncio/process_jobs.h"

static pirn_job *submit(pirn_process_pool *pool, pirn_process_fn fn, const int *number,
                        size_t out_cap)
{
    pirn_job *job = NULL;
    CHECK_OK(pirn_process_submit(pool, &job, fn, number, sizeof(*number), out_cap));
    CHECK_EQ(pirn_kind_of(job), PIRN_KIND_JOB);
    return job;
}

/* ---- S110, S112: status, value, and what is wrong with the arguments ------------------------- */

static void answers(void)
{
    enum {
        N = 6
    };
    pirn_process_pool *pool = new_pool(2);
    pirn_job *jobs[N], *mute, *small;
    const int numbers[N] = {0, 7, -EIO, INT32_MAX, -ECANCELED, -EPIPE}, one = 1;
    for (int i = 0; i < N; i++)
        jobs[i] = submit(pool, add_up, &numbers[i], sizeof(pid_t));
    mute = submit(pool, add_up, &one, 0);
    CHECK_OK(pirn_process_submit(pool, NULL, add_up, NULL, 0, 0)); /* nobody waits */
    CHECK_EQ(pirn_process_submit(pool, &small, NULL, NULL, 0, 0), -EINVAL);
    CHECK_EQ(pirn_process_submit(pool, &small, add_up, NULL, 1, 0), -EINVAL);
    CHECK_EQ(pirn_process_submit(NULL, &small, add_up, NULL, 0, 0), -EINVAL);
    CHECK_EQ(pirn_process_submit(pool, &small, add_up, NULL, 0, SIZE_MAX), -EINVAL);
    CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
    for (int i = 0; i < N; i++) { /* longer than the pool */
        int status = -12345;
        pid_t pid = 0;
        CHECK_OK(pirn_await(jobs[i], &status, PIRN_NEVER));
        CHECK_EQ(status, numbers[i]);
        const pirn_process_result *result = pirn_value(jobs[i]);
        CHECK(result);
        CHECK_EQ(result->len, sizeof(pid));
        memcpy(&pid, result->bytes, sizeof(pid));
        CHECK(pid > 0 && pid != getpid());
        CHECK_EQ(pirn_cancel(jobs[i], NULL), -EALREADY);
        CHECK_OK(pirn_release(jobs[i]));
    }
    const pirn_process_result *nothing = pirn_value(mute);
    CHECK(nothing);
    CHECK_EQ(nothing->len, 0);
    CHECK_OK(pirn_join(mute, NULL, PIRN_NOW));
}

START_TEST(s110_s112_jobs_are_awaitables)
{
    support_census before = support_count();
    support_everywhere(answers);
    support_no_more_than(before);
}
END_TEST

/* ---- S113: beside coroutines; and told by callbacks ------------------------------------------ */

static int seven(void *arg)
{
    (void)arg;
    CHECK_OK(pirn_sleep(pirn_after_us(100)));
    return 7;
}

static void on_done(pirn_awaitable *job, void *user)
{
    CHECK_EQ(pirn_status(job), 5);
    atomic_fetch_add((atomic_int *)user, 1);
}

static int beside_coroutines(void *arg)
{
    const int five = 5;
    atomic_int heard = 0;
    atomic_store(&page->begun, 0);
    atomic_store(&page->release, 0);
    pirn_awaitable *all[] = {submit(arg, hold, &five, sizeof(pid_t)), support_spawn(seven, NULL)};
    CHECK_OK(pirn_add_done_callback(all[0], NULL, on_done, &heard));
    int status = 0;
    CHECK_EQ(pirn_await(all[0], &status, pirn_after_ms(1)), -ETIMEDOUT); /* it goes on */
    CHECK_EQ(pirn_status(all[0]), -EINPROGRESS);
    CHECK_OK(pirn_join(all[1], &status, PIRN_NEVER)); /* first */
    CHECK_EQ(status, 7);
    CHECK_EQ(heard, 0);
    atomic_store(&page->release, 1);
    CHECK_OK(pirn_join(all[0], &status, PIRN_NEVER));
    CHECK_EQ(status, 5);
    support_until(&heard, 1);
    return 0;
}

START_TEST(s113_jobs_beside_coroutines)
{
    FOR_WORKERS(w)
    {
        pirn_process_pool *pool = new_pool(1);
        CHECK_OK(support_run(w, beside_coroutines, pool));
        CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
    }
}
END_TEST

/* ---- A141: cancelled ------------------------------------------------------------------------- */

struct awaiter {
    pirn_job *job;
    int rc, status;
};

static int await(void *arg)
{
    struct awaiter *a = arg;
    a->status = -12345;
    a->rc = pirn_await(a->job, &a->status, PIRN_NEVER);
    return 0;
}

static void *await_on_thread(void *arg)
{
    await(arg);
    return NULL;
}

static int cancelled(void *arg)
{
    pirn_process_pool *pool = arg;
    const int numbers[] = {0, 1, 2, 3};
    pirn_job *jobs[4];
    atomic_store(&page->begun, 0);
    atomic_store(&page->release, 0);
    for (int i = 0; i < 4; i++)
        jobs[i] = submit(pool, hold, &numbers[i], sizeof(pid_t));
    struct awaiter running = {jobs[0], -1, -1}, queued = {jobs[1], -1, -1},
                   sole = {jobs[2], -1, -1};
    support_until(&page->begun, 1);
    pthread_t thread = support_thread(await_on_thread, &running);
    pirn_task *of_queued = support_spawn(await, &queued), *of_sole = support_spawn(await, &sole);
    support_until_waiting(of_queued);
    support_until_waiting(of_sole);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pirn_job_is_running(jobs[i]), i == 0);
    CHECK_OK(pirn_cancel(jobs[0], NULL)); /* runs; nobody hears of it any more */
    support_thread_join(thread);
    CHECK_OK(running.rc);
    CHECK_EQ(running.status, -ECANCELED);
    CHECK(pirn_value(jobs[0]) == NULL);
    CHECK(!pirn_job_is_running(jobs[0]));
    CHECK_OK(pirn_cancel(jobs[1], "unwanted"));
    CHECK_OK(support_join(of_queued));
    CHECK_OK(queued.rc);
    CHECK_EQ(queued.status, -ECANCELED);
    CHECK(strcmp(pirn_reason(jobs[1]), "unwanted") == 0);
    CHECK_OK(pirn_cancel(of_sole, NULL)); /* who passes it on to its job */
    CHECK_OK(support_join(of_sole));
    CHECK_EQ(sole.rc, -ECANCELED);
    CHECK_EQ(pirn_status(jobs[2]), -ECANCELED);
    atomic_store(&page->release, 1);
    int status = -1;
    CHECK_OK(pirn_await(jobs[3], &status, PIRN_NEVER)); /* its own answer */
    CHECK_EQ(status, 3);
    CHECK_EQ(atomic_load(&page->begun), 2); /* 1 and 2 never ran */
    CHECK(pirn_value(jobs[0]) == NULL);
    for (int i = 0; i < 4; i++)
        CHECK_OK(pirn_release(jobs[i]));
    return 0;
}

START_TEST(a141_process_jobs_are_cancelled)
{
    for (int i = 0; i < support_rounds(5); i++) {
        FOR_WORKERS(w)
        {
            pirn_process_pool *pool = new_pool(1);
            CHECK_OK(support_run(w, cancelled, pool));
            CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
        }
    }
}
END_TEST

/* A cancel at about the time of the answer: one of the two, and what it means. */
static int race(void *arg)
{
    int *outcome = arg;
    pirn_process_pool *pool = new_pool(1);
    for (int i = 0; i < support_rounds(3400); i++) {
        int number = (int)support_between(0, 1 << 30), status = -12345;
        pirn_job *job = submit(pool, add_up, &number, sizeof(pid_t));
        if (i % 16 == 0) /* so that each is seen on any machine */
            CHECK_OK(pirn_await(job, NULL, PIRN_NEVER));
        else if (i % 16 != 1)
            support_spin(support_between(0, 80 * US));
        int rc = pirn_cancel(job, NULL);
        CHECK(rc == 0 || rc == -EALREADY);
        CHECK_OK(pirn_await(job, &status, PIRN_NEVER));
        CHECK_EQ(status, rc == 0 ? -ECANCELED : number);
        CHECK((pirn_value(job) == NULL) == (rc == 0));
        CHECK_OK(pirn_release(job));
        outcome[rc == 0]++;
    }
    return pirn_process_pool_close(pool, PIRN_NEVER);
}

START_TEST(a141_race_of_a_cancel_and_an_answer)
{
    int outcome[2] = {0, 0};
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, race, outcome));
    CHECK_GE(outcome[0], support_rounds(100));
    CHECK_GE(outcome[1], support_rounds(100));
}
END_TEST

/* ---- A145: the worker dies; the pool is closed by force -------------------------------------- */

static int lost(void *arg)
{
    for (int forced = 0; forced < 2; forced++) {
        pirn_process_pool *pool = new_pool(1);
        const int one = 1, two = 2;
        int status = 0;
        (void)arg;
        atomic_store(&page->begun, 0);
        atomic_store(&page->release, 0);
        atomic_store(&page->pids[0], 0);
        pirn_job *a = submit(pool, hold, &one, 0), *b = submit(pool, hold, &two, 0), *late;
        support_until(&page->pids[0], 1);
        if (forced) {
            CHECK_EQ(pirn_process_pool_close(pool, PIRN_NOW), -ETIMEDOUT);
        } else {
            CHECK_OK(kill(atomic_load(&page->pids[0]), SIGKILL));
            CHECK_OK(pirn_await(b, &status, PIRN_NEVER)); /* queued */
            CHECK_EQ(pirn_process_submit(pool, &late, add_up, NULL, 0, 0), -EPIPE);
            CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
        }
        CHECK_OK(pirn_await(a, &status, PIRN_NEVER));
        CHECK_EQ(status, -EPIPE);
        CHECK_EQ(pirn_status(b), -EPIPE);
        CHECK(pirn_value(a) == NULL && pirn_value(b) == NULL);
        CHECK_OK(pirn_release(a));
        CHECK_OK(pirn_release(b));
    }
    return 0;
}

START_TEST(a145_jobs_of_a_dead_worker)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, lost, NULL));
}
END_TEST

int main(void)
{
    make_page();
    CHECK_OK(pirn_process_helper_start());
    const TTest *tests[] = {s110_s112_jobs_are_awaitables, s113_jobs_beside_coroutines,
                            a141_process_jobs_are_cancelled, a141_race_of_a_cancel_and_an_answer,
                            a145_jobs_of_a_dead_worker};
    return support_main("process_jobs", tests, sizeof(tests) / sizeof(tests[0]));
}
