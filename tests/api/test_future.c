/* Futures: set once by anyone, awaited by coroutines and threads, left by deadline or cancel. */
#include "tests/support.h"

static pirn_future *new_future(void)
{
    pirn_future *future = NULL;
    CHECK_OK(pirn_future_new(&future));
    CHECK_EQ(pirn_status(future), -EINPROGRESS);
    return future;
}

/* ---- On a plain thread and in a coroutine alike ------------------------------------------ */

static void basics(void)
{
    int value, status;
    void *got;
    int statuses[] = {0, 5, -EIO, -ECANCELED, -ETIMEDOUT};
    for (int i = 0; i < 5; i++) {
        pirn_future *future = new_future();
        CHECK(pirn_retain(future) == future);
        status = -12345;
        got = NULL;
        CHECK_EQ(pirn_future_await(future, &status, &got, PIRN_NOW), -ETIMEDOUT);
        pirn_time until = pirn_after_ms(3);
        CHECK_EQ(pirn_future_await(future, &status, &got, until), -ETIMEDOUT);
        CHECK_GE(pirn_now().ns, until.ns);
        CHECK_EQ(status, -12345);
        CHECK(got == NULL);
        CHECK_EQ(pirn_future_set(future, -EINPROGRESS, NULL), -EINVAL); /* it means: not set */
        CHECK_OK(pirn_future_set(future, statuses[i], &value));
        CHECK_EQ(pirn_future_set(future, 99, NULL), -EALREADY);
        for (int again = 0; again < 3; again++) {
            CHECK_OK(pirn_future_await(future, &status, &got, again ? PIRN_NOW : PIRN_NEVER));
            CHECK_EQ(status, statuses[i]);
            CHECK(got == &value);
            CHECK_EQ(pirn_status(future), statuses[i]);
        }
        CHECK_OK(pirn_future_await(future, NULL, NULL, PIRN_NEVER));
        pirn_release(future);
        CHECK_EQ(pirn_status(future), statuses[i]);
        pirn_release(future);
    }
}

START_TEST(basic)
{
    support_everywhere(basics);
}
END_TEST

/* ---- Many waiters ------------------------------------------------------------------------ */

struct waiter {
    pirn_future *future;
    pirn_time deadline;
    int rc, status;
    void *value;
    atomic_int *began;
};

static int wait_for(void *arg)
{
    struct waiter *w = arg;
    atomic_fetch_add(w->began, 1);
    w->rc = pirn_future_await(w->future, &w->status, &w->value, w->deadline);
    return 0;
}

static void *wait_on_thread(void *arg)
{
    wait_for(arg);
    return NULL;
}

static void *set_on_thread(void *arg)
{
    CHECK_OK(pirn_future_set(arg, 123, arg));
    return NULL;
}

static int crowd(void *arg)
{
    (void)arg;
    enum {
        TASKS = 30,
        THREADS = 4
    };
    pirn_future *future = new_future();
    struct waiter w[TASKS + THREADS];
    pirn_task *tasks[TASKS];
    pthread_t threads[THREADS];
    atomic_int began = 0;
    for (int i = 0; i < TASKS + THREADS; i++) {
        w[i] = (struct waiter){future, PIRN_NEVER, -1, -1, NULL, &began};
        if (i < TASKS && i % 3 == 1)
            w[i].deadline = pirn_after_ms(2);
        if (i < TASKS)
            tasks[i] = support_spawn(wait_for, &w[i]);
        else
            threads[i - TASKS] = support_thread(wait_on_thread, &w[i]);
    }
    support_until(&began, TASKS + THREADS);
    for (int i = 0; i < TASKS; i++) { /* a third times out, a third is cancelled; each alone */
        if (i % 3 == 2)
            CHECK_OK(pirn_cancel(tasks[i], NULL));
        if (i % 3 >= 1)
            CHECK_OK(support_join(tasks[i]));
        if (i % 3 >= 1)
            CHECK_EQ(w[i].rc, i % 3 == 1 ? -ETIMEDOUT : -ECANCELED);
    }
    CHECK_EQ(pirn_status(future), -EINPROGRESS);
    pthread_t setter = support_thread(set_on_thread, future);
    for (int i = 0; i < TASKS + THREADS; i++) {
        if (i < TASKS && i % 3 != 0)
            continue;
        if (i < TASKS)
            CHECK_OK(support_join(tasks[i]));
        else
            support_thread_join(threads[i - TASKS]);
        CHECK_OK(w[i].rc);
        CHECK_EQ(w[i].status, 123);
        CHECK(w[i].value == future);
    }
    support_thread_join(setter);
    pirn_release(future);
    return 0;
}

START_TEST(many_waiters)
{
    for (int i = 0; i < support_rounds(20); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, crowd, NULL));
}
END_TEST

/* ---- Exactly one of several setters wins, and its plain writes are seen ------------------ */

struct contest {
    pirn_future *future;
    support_barrier *barrier;
    atomic_int *wins;
    int id, payload;
};

static void *contend(void *arg)
{
    struct contest *c = arg;
    c->payload = c->id * 10;
    support_meet(c->barrier);
    int rc = pirn_future_set(c->future, c->id, c);
    CHECK(rc == 0 || rc == -EALREADY);
    atomic_fetch_add(c->wins, rc == 0);
    return NULL;
}

static int contest(void *arg)
{
    (void)arg;
    enum {
        SETTERS = 4
    };
    for (int i = 0; i < support_rounds(300); i++) {
        support_barrier barrier = {.n = SETTERS};
        atomic_int wins = 0;
        pirn_future *future = new_future();
        struct contest c[SETTERS];
        pthread_t threads[SETTERS];
        for (int k = 0; k < SETTERS; k++) {
            c[k] = (struct contest){future, &barrier, &wins, k, 0};
            threads[k] = support_thread(contend, &c[k]);
        }
        int status = -1;
        void *value = NULL;
        CHECK_OK(pirn_future_await(future, &status, &value, PIRN_NEVER));
        CHECK(value == &c[status]);
        CHECK_EQ(c[status].payload, status * 10);
        for (int k = 0; k < SETTERS; k++)
            support_thread_join(threads[k]);
        CHECK_EQ(atomic_load(&wins), 1);
        pirn_release(future);
    }
    return 0;
}

START_TEST(one_setter_wins)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, contest, NULL));
}
END_TEST

/* ---- The waiter frees what it waited on at once ------------------------------------------ */

static int release_after_set(void *arg)
{
    pirn_future *future = arg;
    CHECK_OK(pirn_future_set(future, 1, NULL));
    pirn_release(future);
    return 0;
}

static int await_and_free(void *arg)
{
    (void)arg;
    for (int i = 0; i < support_rounds(20000); i++) {
        pirn_future *future = new_future();
        pirn_task *setter = support_spawn(release_after_set, pirn_retain(future));
        int status = 0;
        CHECK_OK(pirn_future_await(future, &status, NULL, PIRN_NEVER));
        CHECK_EQ(status, 1);
        pirn_release(future);
        CHECK_OK(support_join(setter));
    }
    return 0;
}

START_TEST(freed_at_once)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, await_and_free, NULL));
}
END_TEST

SUPPORT_MAIN("future", basic, many_waiters, one_setter_wins, freed_at_once)
