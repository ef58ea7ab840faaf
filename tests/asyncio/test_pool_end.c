/*
 * The ends of thread pools: closed, released, closed by force; of runtimes whose jobs run; of
 * programs that fork.
 */
#include "tests/asyncio/thread_jobs.h"
#include "tests/race/rounds.h"

#include <sched.h>
#include <sys/wait.h>

/* ---- A142: the runtime is closed while a job runs -------------------------------------------- */

struct left {
    pirn_thread_pool *pool;
    struct held running, queued;
    pirn_job *jobs[2];
};

static int await_left(void *arg)
{
    CHECK_EQ(pirn_await(arg, NULL, PIRN_NEVER), -ECANCELED);
    return 0;
}

static int leave(void *arg)
{
    struct left *l = arg;
    l->jobs[0] = submit_held(l->pool, &l->running);
    l->jobs[1] = submit_held(l->pool, &l->queued);
    pirn_task *task = support_spawn(await_left, l->jobs[0]);
    support_until(&l->running.begun, 1);
    support_until_waiting(task);
    return pirn_detach(task);
}

START_TEST(a142_a_job_outlives_the_runtime)
{
    for (int i = 0; i < support_rounds(10); i++) {
        FOR_WORKERS(w)
        {
            struct left l = {.pool = new_pool(1), .queued = {.result = -EIO}};
            support_report report = SUPPORT_REPORT_INIT;
            CHECK_OK(support_run_reported(w, &report, leave, &l)); /* does not wait for it */
            CHECK_EQ(l.running.ended, 0);
            CHECK_EQ(pirn_status(l.jobs[0]), -ECANCELED); /* its awaiter was cancelled */
            CHECK_EQ(pirn_status(l.jobs[1]), -EINPROGRESS);
            atomic_store(&l.running.release, 1);
            atomic_store(&l.queued.release, 1);
            CHECK_OK(pirn_thread_pool_close(l.pool, PIRN_NEVER));
            CHECK_EQ(l.running.ended, 1);
            CHECK_EQ(pirn_status(l.jobs[1]), -EIO); /* looked at */
            CHECK_OK(pirn_release(l.jobs[0]));
            CHECK_OK(pirn_release(l.jobs[1]));
            CHECK_EQ(l.running.dropped + l.running.value_dropped, 2);
            CHECK_EQ(support_reported(&report, "job"), 0);
        }
    }
}
END_TEST

/* ---- A142, S109: a close waits, and refuses -------------------------------------------------- */

struct closer {
    pirn_thread_pool *pool;
    pirn_time deadline;
    int rc;
    atomic_int done;
};

static int close_it(void *arg)
{
    struct closer *c = arg;
    c->rc = pirn_thread_pool_close(c->pool, c->deadline);
    atomic_store(&c->done, 1);
    return c->rc;
}

static void *close_on_thread(void *arg)
{
    close_it(arg);
    return NULL;
}

static int map_none(size_t i, void *arg)
{
    (void)i, (void)arg;
    CHECK(!"it never runs");
    return 0;
}

static void refuses(pirn_thread_pool *pool)
{
    struct held late = {0};
    pirn_job *job = NULL;
    pirn_job_config config = PIRN_JOB_CONFIG_INIT;
    config.arg_drop = drop_arg;
    CHECK_EQ(pirn_thread_pool_submit_with(pool, &job, &config, hold, &late), -ESHUTDOWN);
    CHECK_EQ(late.dropped, 1);
    CHECK(job == NULL);
    CHECK_EQ(pirn_thread_pool_submit(pool, &job, hold, &late), -ESHUTDOWN);
    CHECK_EQ(pirn_thread_pool_map(pool, 3, map_none, NULL, PIRN_NEVER), -ESHUTDOWN);
    CHECK_EQ(late.begun, 0);
}

/* The closer is a plain thread here, whoever we are. */
static void close_waits(void)
{
    struct held h = {.result = 1}, queued = {.release = 1, .result = 2}, more = {.release = 1};
    struct closer c = {new_pool(1), PIRN_NEVER, -1, 0};
    pirn_thread_pool *shared = pirn_thread_pool_retain(c.pool);
    pirn_job *a = submit_held(shared, &h), *b = submit_held(shared, &queued), *refused;
    support_until(&h.begun, 1);
    pthread_t thread = support_thread(close_on_thread, &c);
    int rc;
    while ((rc = pirn_thread_pool_submit(shared, &refused, hold, &more)) == 0)
        CHECK_OK(pirn_release(refused)); /* until it has begun to close */
    CHECK_EQ(rc, -ESHUTDOWN);
    refuses(shared);
    support_pause_ms(2);
    CHECK_EQ(c.done, 0);
    atomic_store(&h.release, 1);
    support_thread_join(thread);
    CHECK_OK(c.rc);
    CHECK(pirn_done(a) && pirn_done(b));
    CHECK_EQ(pirn_status(b), 2); /* queued ones are done, too */
    refuses(shared);
    CHECK_OK(pirn_release(a));
    CHECK_OK(pirn_release(b));
    CHECK_OK(pirn_thread_pool_close(shared, PIRN_NEVER)); /* again, and the last reference goes */
}

START_TEST(a142_s109_close_waits_for_jobs)
{
    for (int i = 0; i < support_rounds(10); i++)
        support_everywhere(close_waits);
    no_pool_threads();
    pirn_thread_pool *unused = new_pool(3);
    CHECK_OK(pirn_thread_pool_close(unused, PIRN_NOW));
}
END_TEST

/* By the deadline, a cancel, or at once: the queued are cancelled, what runs is left to its end. */
static int close_by_force(void *arg)
{
    (void)arg;
    for (int how = 0; how < 3; how++) {
        struct held h = {.result = 1}, queued = {.result = 2};
        struct closer c = {new_pool(1), how == 1 ? pirn_after_ms(2) : PIRN_NEVER, -1, 0};
        pirn_job *a = submit_held(c.pool, &h), *b = submit_held(c.pool, &queued);
        int status = -1;
        support_until(&h.begun, 1);
        if (how == 0)
            c.deadline = PIRN_NOW;
        pirn_task *closer = support_spawn(close_it, &c);
        if (how == 2) {
            support_until_waiting(closer);
            CHECK_OK(pirn_cancel(closer, NULL));
        }
        CHECK_EQ(support_join(closer), how == 2 ? -ECANCELED : -ETIMEDOUT);
        CHECK_EQ(pirn_status(b), -ECANCELED);
        CHECK_EQ(queued.dropped, 1);
        CHECK_EQ(pirn_status(a), -EINPROGRESS);
        atomic_store(&h.release, 1); /* the pool itself is gone */
        CHECK_OK(pirn_join(a, &status, PIRN_NEVER));
        CHECK_EQ(status, 1);
        CHECK_OK(pirn_release(b));
        CHECK_EQ(queued.begun, 0);
    }
    return 0;
}

START_TEST(a142_close_by_force)
{
    for (int i = 0; i < support_rounds(10); i++) {
        FOR_WORKERS(w)
        CHECK_OK(support_run(w, close_by_force, NULL));
    }
    no_pool_threads();
}
END_TEST

/* Whoever waits on its own stack hears that it never ran. */
static int call_to_the_end(void *arg)
{
    atomic_int ran = 0;
    int status = -12345;
    (void)arg;
    CHECK_EQ(pirn_to_thread(count_one, &ran, &status, PIRN_NEVER), -ESHUTDOWN);
    CHECK_EQ(ran, 0);
    CHECK_EQ(status, -12345);
    return 0;
}

static int map_to_the_end(void *arg)
{
    CHECK_EQ(pirn_thread_pool_map(arg, 5, map_none, NULL, PIRN_NEVER), -ESHUTDOWN);
    return 0;
}

static int forced_upon_callers(void *arg)
{
    struct held h = {0};
    pirn_thread_pool *pool = new_pool(1);
    (void)arg;
    pirn_thread_pool_set_default(pool);
    pirn_job *a = submit_held(NULL, &h);
    support_until(&h.begun, 1);
    pirn_task *caller = support_spawn(call_to_the_end, NULL);
    support_until_waiting(caller);
    pirn_task *mapper = support_spawn(map_to_the_end, pool);
    support_until_waiting(mapper);
    CHECK_EQ(pirn_thread_pool_close(pool, PIRN_NOW), -ETIMEDOUT);
    CHECK_OK(support_join(caller));
    CHECK_OK(support_join(mapper));
    CHECK_EQ(pirn_to_thread(count_one, NULL, NULL, PIRN_NEVER), -ESHUTDOWN); /* closed, still set */
    pirn_thread_pool_set_default(NULL);
    atomic_store(&h.release, 1);
    return pirn_join(a, NULL, PIRN_NEVER);
}

START_TEST(a142_forced_upon_callers)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, forced_upon_callers, NULL));
}
END_TEST

/* ---- Released: it ends by itself; closed by its own job: not --------------------------------- */

static int closes_its_pool(void *arg)
{
    struct closer *c = arg;
    return pirn_thread_pool_close(c->pool, PIRN_NEVER);
}

static void released(void)
{
    enum {
        N = 5
    };
    struct held h = {0};
    pirn_thread_pool *pool = new_pool(2);
    pirn_job *jobs[N];
    int status = 0;
    for (int i = 0; i < N; i++)
        jobs[i] = submit(pool, hold, &h);
    CHECK_OK(pirn_release(jobs[1])); /* runs all the same */
    pirn_thread_pool_release(pool);
    CHECK_OK(pirn_cancel(jobs[N - 1], NULL)); /* still knows where it is queued */
    atomic_store(&h.release, 1);
    support_until(&h.ended, N - 1);
    for (int i = 0; i < N; i++)
        if (i != 1)
            CHECK_OK(pirn_join(jobs[i], NULL, PIRN_NEVER));
    struct closer c = {new_pool(1), PIRN_NEVER, -1, 0};
    pirn_job *job = submit(c.pool, closes_its_pool, &c);
    CHECK_OK(pirn_join(job, &status, PIRN_NEVER));
    CHECK_EQ(status, -EDEADLK);
    CHECK_OK(pirn_thread_pool_close(c.pool, PIRN_NEVER));
    c.pool = NULL;
    job = submit(NULL, closes_its_pool, &c);
    CHECK_OK(pirn_join(job, &status, PIRN_NEVER));
    CHECK_EQ(status, -EDEADLK);
    CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
}

START_TEST(s109_released_it_ends_by_itself)
{
    for (int i = 0; i < support_rounds(10); i++)
        support_everywhere(released);
    no_pool_threads();
}
END_TEST

/* ---- A142: a race of submits and a close ----------------------------------------------------- */

struct submits {
    support_barrier *barrier;
    pirn_thread_pool *pool; /* with a reference */
    atomic_int *ran;
    atomic_bool *closing;
    int before_close; /* so many submits before somebody closes */
    int accepted;
};

static void *submits(void *arg)
{
    struct submits *s = arg;
    pirn_job *job;
    support_meet(s->barrier);
    for (;;) {
        if (s->accepted == s->before_close) {
            while (!*s->closing)
                sched_yield();
            support_spin(support_between(0, 40 * US));
        }
        int rc = pirn_thread_pool_submit(s->pool, &job, count_one, s->ran);
        if (rc == -ESHUTDOWN)
            break;
        CHECK_OK(rc);
        s->accepted++;
        CHECK_OK(pirn_release(job));
        support_spin(support_between(0, 20 * US)); /* rather than have a close wait for hundreds */
        sched_yield();                             /* it may want this core */
    }
    pirn_thread_pool_release(s->pool);
    return NULL;
}

/* What a close found: nobody had come before it, all jobs done, jobs that it had to wait for. */
enum found {
    NOTHING,
    ALL_DONE,
    SOME_LEFT,
    FOUND
};
static int found[FOUND]; /* rounds */

static void race_with_close(void)
{
    int rounds = support_rounds(10000) / 4; /* here and at three W */
    int64_t began = support_now();
    for (int i = 0; rounds_go_on(began, i, rounds); i++) {
        atomic_int ran = 0;
        atomic_bool closing = false;
        support_barrier barrier = {.n = 3};
        pirn_thread_pool *pool = new_pool(2);
        struct submits s[2];
        pthread_t threads[2];
        /* A quarter each begins with the close, and closes after one job of each; half of them are
         * free. */
        int before_close = i % 4 < 2 ? i % 4 : -1;
        for (int k = 0; k < 2; k++) {
            s[k] = (struct submits){
                &barrier, pirn_thread_pool_retain(pool), &ran, &closing, before_close, 0};
            threads[k] = support_thread(submits, &s[k]);
        }
        support_meet(&barrier);
        while (before_close >= 0 ? ran < 2 * before_close : i % 4 == 2 && ran == 0)
            support_spin(1 * US);
        closing = true;
        int before = ran;
        CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
        int seen = ran; /* all that were accepted, and nothing runs any more */
        for (int k = 0; k < 2; k++)
            support_thread_join(threads[k]);
        CHECK_EQ(ran, seen);
        CHECK_EQ(seen, s[0].accepted + s[1].accepted);
        found[seen == 0 ? NOTHING : seen == before ? ALL_DONE : SOME_LEFT]++;
    }
}

START_TEST(a142_race_of_submits_and_a_close)
{
    int rounds = 0;
    support_everywhere(race_with_close);
    for (int i = 0; i < FOUND; i++)
        rounds += found[i];
    if (getenv("PIRN_TEST_VERBOSE"))
        fprintf(stderr, "closes that found nothing: %d, all done: %d, some left: %d\n",
                found[NOTHING], found[ALL_DONE], found[SOME_LEFT]);
    for (int i = 0; i < FOUND; i++)
        rounds_saw(found[i], rounds);
    no_pool_threads();
}
END_TEST

/* ---- A fork's child -------------------------------------------------------------------------- */

static int in_child(void *arg)
{
    atomic_int ran = 0;
    int status = -1;
    CHECK_OK(pirn_to_thread(count_one, &ran, &status, PIRN_NEVER)); /* its own default pool */
    CHECK_OK(status);
    if (arg != NULL)
        CHECK_OK(pirn_blocking(count_one, &ran, &status, PIRN_NEVER));
    CHECK_EQ(status, arg != NULL);
    return 0;
}

START_TEST(a11_s112_pools_and_forks)
{
    pirn_thread_pool *pool = new_pool(1);
    struct held h = {0};
    pirn_job *a = submit(pool, hold, &h), *b = submit(pool, hold, &h), *c = submit(NULL, hold, &h);
    support_until(&h.begun, 2);
    pid_t child = support_tsan() ? 0 : fork(); /* TSan wants no threads after a fork of threads */
    CHECK_GE(child, 0);
    if (child == 0 && !support_tsan()) {
        support_alarm(60);
        refuses(pool);
        CHECK_EQ(pirn_thread_pool_close(pool, PIRN_NEVER), -ESHUTDOWN);
        CHECK_OK(pirn_cancel(b, NULL)); /* of the copy */
        CHECK_OK(in_child(NULL));
        CHECK_OK(pirn_run(in_child, pool));
        CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
        pirn_thread_pool_release(pool);
        _exit(9);
    }
    if (!support_tsan()) {
        int status = 0;
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
    }
    atomic_store(&h.release, 1);
    CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
    CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
    CHECK_OK(pirn_join(a, NULL, PIRN_NOW));
    CHECK_OK(pirn_join(b, NULL, PIRN_NOW));
    CHECK_OK(pirn_join(c, NULL, PIRN_NOW));
    CHECK_EQ(h.ended, 3);
}
END_TEST

SUPPORT_MAIN("pool_end", a142_a_job_outlives_the_runtime, a142_s109_close_waits_for_jobs,
             a142_close_by_force, a142_forced_upon_callers, s109_released_it_ends_by_itself,
             a142_race_of_submits_and_a_close, a11_s112_pools_and_forks)
