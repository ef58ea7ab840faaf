/*
 * Tasks: begin, name, result, awaiters, references, the list of all.
 */
#include "tests/support.h"

static int give(void *arg)
{
    return (int)(intptr_t)arg;
}

static int sleeps(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

/* ---- A31, A32 ---------------------------------------------------------------------------- */

struct letter {
    int text[16];
    atomic_int ran, dropped;
};

static int reads(void *arg)
{
    struct letter *l = arg;
    for (int i = 0; i < 16; i++)
        CHECK_EQ(l->text[i], i * i);
    atomic_fetch_add(&l->ran, 1);
    return pirn_yield();
}

static void drop(void *arg)
{
    atomic_fetch_add(&((struct letter *)arg)->dropped, 1);
}

/* cancels: as the child begins, on another worker or not. */
static int spawn_often(void *arg)
{
    bool cancels = *(bool *)arg;
    int ran = 0, rounds = support_rounds(3000);
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.arg_drop = drop;
    for (int i = 0; i < rounds; i++) {
        struct letter l = {{0}, 0, 0};
        pirn_task *task;
        for (int k = 0; k < 16; k++)
            l.text[k] = k * k; /* complete before the spawn */
        CHECK_OK(pirn_spawn_with(&task, &config, reads, &l));
        int rc = 0;
        if (cancels) {
            support_spin(support_between(0, 10 * US));
            rc = pirn_cancel(task, NULL);
            CHECK(rc == 0 || (rc == -EALREADY && atomic_load(&l.ran) == 1));
        }
        int status = support_join(task);
        CHECK_EQ(atomic_load(&l.dropped), 1);
        CHECK(atomic_load(&l.ran) <= 1);
        if (!cancels)
            CHECK(status == 0 && atomic_load(&l.ran) == 1);
        else if (atomic_load(&l.ran) == 0)
            CHECK_EQ(status, -ECANCELED);
        else
            CHECK(status == 0 || (status == -ECANCELED && rc == 0));
        ran += atomic_load(&l.ran);
    }
    return cancels && ran == rounds; /* at least one never ran */
}

START_TEST(a31_arguments_are_complete)
{
    bool cancels = false;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, spawn_often, &cancels));
}
END_TEST

START_TEST(a32_cancelled_at_once)
{
    bool cancels = true;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, spawn_often, &cancels));
}
END_TEST

/* ---- A33 --------------------------------------------------------------------------------- */

static void *rename_on_thread(void *arg)
{
    char name[40];
    CHECK_OK(pirn_set_name(arg, "renamed"));
    CHECK_OK(pirn_name(arg, name, sizeof(name)));
    CHECK(strcmp(name, "renamed") == 0);
    return NULL;
}

static int names(void *arg)
{
    enum {
        UNNAMED = 300 /* more than a worker takes numbers for at a time */
    };
    static char name[UNNAMED][40];
    static pirn_task *tasks[UNNAMED];
    char own[8] = "given", got[40];
    (void)arg;
    for (int i = 0; i < UNNAMED; i++) {
        tasks[i] = support_spawn(give, NULL);
        CHECK_OK(pirn_name(tasks[i], name[i], sizeof(name[i])));
        for (int k = 0; k < i; k++)
            CHECK(strcmp(name[i], name[k]) != 0);
    }
    for (int i = 0; i < UNNAMED; i++)
        CHECK_OK(support_join(tasks[i]));
    pirn_task *task = support_spawn_named(own, sleeps, NULL);
    memset(own, 'x', sizeof(own)); /* it has been copied */
    CHECK_OK(pirn_name(task, got, sizeof(got)));
    CHECK(strcmp(got, "given") == 0);
    support_thread_join(support_thread(rename_on_thread, task));
    CHECK_OK(pirn_name(task, got, 4)); /* cut */
    CHECK(strcmp(got, "ren") == 0);
    CHECK_EQ(pirn_name(task, got, 0), -EINVAL);
    CHECK_EQ(pirn_name(NULL, got, sizeof(got)), -EINVAL);
    CHECK_EQ(pirn_set_name(task, NULL), -EINVAL);
    CHECK_OK(pirn_cancel(task, NULL));
    return support_join(task);
}

START_TEST(a33_names)
{
    FOR_WORKERS(w)
    CHECK_EQ(support_run(w, names, NULL), -ECANCELED);
}
END_TEST

/* ---- A34, A35, A36 ----------------------------------------------------------------------- */

static void *reads_on_thread(void *arg)
{
    int status = -12345;
    CHECK_EQ(pirn_status(arg), 34);
    CHECK_OK(pirn_await(arg, &status, PIRN_NOW));
    CHECK_EQ(status, 34);
    return NULL;
}

static int awaits_itself(void *arg)
{
    int status = -12345;
    (void)arg;
    CHECK_EQ(pirn_await(pirn_current(), &status, PIRN_NEVER), -EDEADLK);
    CHECK_EQ(pirn_await(pirn_current(), &status, PIRN_NOW), -EDEADLK);
    CHECK_EQ(pirn_join(pirn_current(), &status, PIRN_NEVER), -EDEADLK);
    CHECK_EQ(status, -12345);
    return pirn_yield();
}

static int results(void *arg)
{
    pirn_task *task = support_spawn(sleeps, NULL);
    int status = -12345;
    (void)arg;
    CHECK_EQ(pirn_status(task), -EINPROGRESS); /* while it runs, without waiting */
    CHECK_EQ(pirn_await(task, &status, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(status, -12345);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_OK(pirn_await(task, &status, PIRN_NEVER));
    CHECK_EQ(status, -ECANCELED);
    CHECK_EQ(pirn_status(task), -ECANCELED);
    CHECK_OK(pirn_release(task));
    task = support_spawn(give, (void *)34);
    CHECK_OK(pirn_await(task, NULL, PIRN_NEVER));
    for (int i = 0; i < 3; i++) { /* as often as one likes */
        CHECK_OK(pirn_await(task, &status, PIRN_NEVER));
        CHECK_EQ(status, 34);
        support_thread_join(support_thread(reads_on_thread, task));
    }
    return support_join(task);
}

START_TEST(a34_results_to_every_reader)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(50); i++)
        CHECK_EQ(support_run(w, results, NULL), 34);
}
END_TEST

static int set_a_task(void *arg)
{
    pirn_task *task = support_spawn(sleeps, NULL);
    (void)arg;
    CHECK_EQ(pirn_future_set(task, 1, NULL), -EPERM);
    CHECK_EQ(pirn_future_set_owned(task, 1, NULL, NULL), -EPERM);
    CHECK_EQ(pirn_status(task), -EINPROGRESS);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_OK(pirn_await(task, NULL, PIRN_NEVER));
    CHECK_EQ(pirn_future_set(task, 1, NULL), -EPERM);
    return support_join(task);
}

START_TEST(a35_a_task_settles_itself)
{
    FOR_WORKERS(w)
    CHECK_EQ(support_run(w, set_a_task, NULL), -ECANCELED);
}
END_TEST

static int await_own(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *pinned;
    (void)arg;
    CHECK_OK(awaits_itself(NULL)); /* main */
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_spawn_with(&pinned, &config, awaits_itself, NULL));
    CHECK_OK(support_join(pinned));
    return support_join(support_spawn(awaits_itself, NULL));
}

START_TEST(a36_nobody_awaits_itself)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(20); i++)
        CHECK_OK(support_run(w, await_own, NULL));
}
END_TEST

/* ---- A40 --------------------------------------------------------------------------------- */

static int await_when_cancelled(void *arg)
{
    pirn_task *task = support_spawn(give, (void *)40);
    pirn_future *future;
    int status = -12345;
    (void)arg;
    CHECK_OK(pirn_await(task, NULL, PIRN_NEVER));
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_OK(pirn_await(task, &status, PIRN_NEVER)); /* had at once */
    CHECK_OK(pirn_join(task, &status, PIRN_NOW));
    CHECK_EQ(status, 40);
    CHECK_EQ(pirn_yield(), -ECANCELED); /* the cancel waits for a real suspend */
    CHECK_OK(pirn_future_new(&future)); /* and a future's await is one, set or not */
    CHECK_OK(pirn_future_set(future, 0, NULL));
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_await(future, NULL, PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_await(future, NULL, PIRN_NEVER));
    return pirn_release(future);
}

START_TEST(a40_a_pending_cancel_waits)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(50); i++)
        CHECK_OK(support_run(w, await_when_cancelled, NULL));
}
END_TEST

/* At once means: without a switch, but for fairness now and then. */
static int counts_on(void *arg)
{
    atomic_int *turns = arg;
    while (atomic_load(turns) >= 0) {
        atomic_fetch_add(turns, 1);
        CHECK_OK(pirn_yield());
    }
    return 0;
}

static int await_ended(void *arg)
{
    atomic_int turns = 0;
    pirn_task *ended = support_spawn(give, NULL), *other = support_spawn(counts_on, &turns);
    int at_once = 0;
    (void)arg;
    CHECK_OK(pirn_await(ended, NULL, PIRN_NEVER));
    for (int i = 0; i < 20; i++) {
        CHECK_OK(pirn_yield());
        int before = atomic_load(&turns);
        for (int k = 0; k < 10; k++)
            CHECK_OK(pirn_await(ended, NULL, PIRN_NEVER));
        at_once += atomic_load(&turns) == before;
    }
    CHECK_GE(at_once, 1);
    atomic_store(&turns, -1000000);
    CHECK_OK(support_join(ended));
    return support_join(other);
}

START_TEST(a40_an_ended_one_at_once)
{
    CHECK_OK(support_run(1, await_ended, NULL)); /* with more workers the other one needs no turn */
}
END_TEST

/* ---- A37 --------------------------------------------------------------------------------- */

enum {
    COROUTINES = 100,
    THREADS = 10
};

struct shared {
    pirn_task *task;
    pirn_future *gate;
    atomic_int told, dropped;
    int value;
};

static void drop_shared(void *value)
{
    atomic_fetch_add(&((struct shared *)value)->dropped, 1);
}

static int ends_when_told(void *arg)
{
    struct shared *s = arg;
    CHECK_OK(pirn_await(s->gate, NULL, PIRN_NEVER));
    CHECK_OK(pirn_set_value(s, drop_shared));
    return 37;
}

static int awaits_shared(void *arg)
{
    struct shared *s = arg;
    int status = -12345;
    CHECK_OK(pirn_await(s->task, &status, PIRN_NEVER));
    CHECK_EQ(status, 37);
    CHECK(pirn_value(s->task) == s);
    CHECK_EQ(atomic_load(&s->dropped), 0);
    CHECK_OK(pirn_release(s->task)); /* a reference of its own */
    atomic_fetch_add(&s->told, 1);
    return 0;
}

static void *awaits_shared_on_thread(void *arg)
{
    awaits_shared(arg);
    return NULL;
}

static int many_awaiters(void *arg)
{
    static pirn_task *tasks[COROUTINES];
    pthread_t threads[THREADS];
    struct shared s = {0};
    (void)arg;
    CHECK_OK(pirn_future_new(&s.gate));
    s.task = support_spawn(ends_when_told, &s);
    for (int i = 0; i < COROUTINES; i++) {
        pirn_retain(s.task);
        tasks[i] = support_spawn(awaits_shared, &s);
    }
    for (int i = 0; i < THREADS; i++) {
        pirn_retain(s.task);
        threads[i] = support_thread(awaits_shared_on_thread, &s);
    }
    CHECK_OK(pirn_sleep(pirn_after_us(support_between(0, 1000))));
    CHECK_OK(pirn_future_set(s.gate, 0, NULL));
    CHECK_EQ(support_join(s.task), 37);
    for (int i = 0; i < COROUTINES; i++)
        CHECK_OK(support_join(tasks[i]));
    support_until(&s.told, COROUTINES + THREADS);
    support_until(&s.dropped, 1); /* with the last reference, once */
    for (int i = 0; i < THREADS; i++)
        support_thread_join(threads[i]);
    CHECK_EQ(atomic_load(&s.dropped), 1);
    pirn_release(s.gate);
    return 0;
}

START_TEST(a37_many_awaiters)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(30); i++)
        CHECK_OK(support_run(w, many_awaiters, NULL));
}
END_TEST

/* ---- A38 --------------------------------------------------------------------------------- */

static int fails_later(void *arg)
{
    atomic_int *ended = arg;
    CHECK_OK(pirn_sleep(pirn_after_us(200)));
    atomic_fetch_add(ended, 1);
    return -EIO;
}

static int drop_handles(void *arg)
{
    atomic_int ended = 0;
    (void)arg;
    CHECK_OK(pirn_detach(support_spawn_named("unread", fails_later, &ended)));
    pirn_task *cancelled = support_spawn_named("cancelled", sleeps, NULL);
    CHECK_OK(pirn_cancel(cancelled, NULL));
    CHECK_OK(pirn_detach(cancelled));
    pirn_task *read = support_spawn_named("read", fails_later, &ended);
    CHECK_EQ(pirn_release(read), -EBUSY); /* it would be nobody's */
    CHECK_EQ(support_join(read), -EIO);
    pirn_task *looked_at = support_spawn_named("looked-at", fails_later, &ended);
    while (pirn_status(looked_at) == -EINPROGRESS)
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
    CHECK_OK(pirn_release(looked_at));
    pirn_task *held = support_spawn_named("held", fails_later, &ended);
    while (!pirn_done(held)) /* which is no look at its error */
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
    CHECK_OK(pirn_release(held));
    support_until(&ended, 4);
    return 0;
}

START_TEST(a38_runs_on_and_is_heard_once)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &report, drop_handles, NULL));
        CHECK_EQ(support_reported(&report, "unread"), 1);
        CHECK_EQ(support_reported(&report, "held"), 1);
        CHECK_EQ(support_reported(&report, "cancelled"), 0);
        CHECK_EQ(support_reported(&report, "read"), 0);
        CHECK_EQ(support_reported(&report, "looked-at"), 0);
    }
}
END_TEST

/* ---- A39 --------------------------------------------------------------------------------- */

static int churns(void *arg)
{
    atomic_int *over = arg;
    while (!atomic_load(over)) {
        pirn_task *task = support_spawn(give, NULL), *pinned = NULL;
        pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
        config.flags = PIRN_PINNED;
        if (support_between(0, 30) == 0)
            CHECK_OK(pirn_spawn_with(&pinned, &config, give, NULL));
        CHECK_OK(support_join(task));
        if (pinned != NULL)
            CHECK_OK(support_join(pinned));
        CHECK_OK(pirn_yield());
    }
    return 0;
}

static int look_at_all(void *arg)
{
    enum {
        ROOM = 64,
        CHURNERS = 8
    };
    pirn_task *churners[CHURNERS], *all[ROOM];
    atomic_int over = 0;
    pirn_task *ended = support_spawn(give, NULL);
    (void)arg;
    CHECK_OK(pirn_await(ended, NULL, PIRN_NEVER));
    for (int i = 0; i < CHURNERS; i++)
        churners[i] = support_spawn(churns, &over);
    for (int i = 0; i < support_rounds(1000); i++) {
        int n = pirn_tasks(all, ROOM), own = 0, known = 0;
        CHECK(n >= 1 + CHURNERS && n <= ROOM);
        for (int k = 0; k < n; k++) {
            char name[40];
            CHECK(all[k] != ended);
            own += all[k] == pirn_current();
            for (int c = 0; c < CHURNERS; c++)
                known += all[k] == churners[c];
            CHECK_OK(pirn_name(all[k], name, sizeof(name))); /* it is there */
            CHECK(pirn_id(all[k]) != 0);
            int rc = pirn_release(all[k]);
            CHECK(rc == 0 || rc == -EBUSY);
            if (rc == -EBUSY) /* its owner has let go of it meanwhile */
                CHECK_OK(pirn_detach(all[k]));
        }
        CHECK_EQ(own, 1);
        CHECK_EQ(known, CHURNERS);
        CHECK_OK(pirn_yield());
    }
    atomic_store(&over, 1);
    for (int i = 0; i < CHURNERS; i++)
        CHECK_OK(support_join(churners[i]));
    return support_join(ended);
}

START_TEST(a39_all_tasks)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, look_at_all, NULL));
}
END_TEST

SUPPORT_MAIN("task", a31_arguments_are_complete, a32_cancelled_at_once, a33_names,
             a34_results_to_every_reader, a35_a_task_settles_itself, a36_nobody_awaits_itself,
             a40_a_pending_cancel_waits, a40_an_ended_one_at_once, a37_many_awaiters,
             a38_runs_on_and_is_heard_once, a39_all_tasks)
