/* Cancelling: once per request, at the next suspension, before the start, shielded, absorbed. */
#include "tests/support.h"

static int give(void *arg)
{
    return (int)(intptr_t)arg;
}

/* ---- Delivered once, at the next suspension ---------------------------------------------- */

static int cancel_myself(void *arg)
{
    (void)arg;
    CHECK(pirn_cancel_reason() == NULL);
    CHECK_OK(pirn_cancel(pirn_current(), "first"));
    CHECK(strcmp(pirn_cancel_reason(), "first") == 0);
    CHECK_EQ(pirn_yield(), -ECANCELED); /* the next call says so */
    CHECK_OK(pirn_yield());             /* once */
    CHECK_OK(pirn_sleep(pirn_after_us(100)));
    for (int i = 0; i < 3; i++) /* several requests before delivery: one -ECANCELED */
        CHECK_OK(pirn_cancel(pirn_current(), "second"));
    CHECK_EQ(pirn_sleep(pirn_after_s(1000)), -ECANCELED);
    CHECK_OK(pirn_sleep(pirn_after_us(100)));
    CHECK(strcmp(pirn_cancel_reason(), "second") == 0);
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK(pirn_cancel_reason() == NULL);
    CHECK_OK(pirn_cancel(pirn_current(), NULL)); /* forgotten when it ends with a value */
    return 11;
}

static int own_cancels(void *arg)
{
    (void)arg;
    CHECK_EQ(support_join(support_spawn(cancel_myself, NULL)), 11);
    return 0;
}

START_TEST(delivered_once)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, own_cancels, NULL));
}
END_TEST

struct victim {
    atomic_int step, reasons;
    int fds[2];
};

static int sleeps_thrice(void *arg)
{
    struct victim *v = arg;
    for (int i = 1; i <= 3; i++) {
        atomic_store(&v->step, i);
        CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
        const char *reason = pirn_cancel_reason();
        CHECK(reason && reason[0] == 'a' + i && reason[1] == 0);
    }
    return 42; /* absorbed all of them: not cancelled */
}

static void *cancel_from_thread(void *arg)
{
    CHECK_OK(pirn_cancel(arg, "c"));
    return NULL;
}

static int absorb(void *arg)
{
    (void)arg;
    struct victim v = {0};
    pirn_task *task = support_spawn(sleeps_thrice, &v);
    support_until(&v.step, 1);
    CHECK_OK(pirn_cancel(task, "b"));
    support_until(&v.step, 2);
    support_thread_join(support_thread(cancel_from_thread, task));
    support_until(&v.step, 3);
    CHECK_OK(pirn_cancel(task, "d"));
    CHECK_OK(pirn_await(task, NULL, PIRN_NEVER));
    CHECK_EQ(pirn_cancel(task, "late"), -EALREADY);
    CHECK_EQ(support_join(task), 42);
    return 0;
}

START_TEST(absorbed)
{
    for (int i = 0; i < support_rounds(20); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, absorb, NULL));
}
END_TEST

/* ---- Before the start -------------------------------------------------------------------- */

static atomic_int ran, dropped;

static int runs(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ran, 1);
    return pirn_yield();
}

static void drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static int cancel_unstarted(void *arg)
{
    int rounds = *(int *)arg, told = 0;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.arg_drop = drop;
    for (int i = 0; i < rounds; i++) {
        pirn_task *task;
        int before = atomic_load(&ran);
        CHECK_OK(pirn_spawn_with(&task, &config, runs, NULL));
        int rc = pirn_cancel(task, NULL);
        CHECK(rc == 0 || rc == -EALREADY);
        told += rc == 0;
        int status = support_join(task);
        CHECK_EQ(atomic_load(&dropped), i + 1);
        if (atomic_load(&ran) == before)
            CHECK_EQ(status, -ECANCELED);
        else
            CHECK(status == 0 || status == -ECANCELED);
    }
    CHECK(told > 0);
    return 0;
}

START_TEST(before_the_start)
{
    int rounds = support_rounds(5000);
    FOR_WORKERS(w)
    {
        atomic_store(&ran, 0);
        atomic_store(&dropped, 0);
        CHECK_OK(support_run(w, cancel_unstarted, &rounds));
        CHECK_EQ(atomic_load(&dropped), rounds);
        if (w == 1) /* nobody else was there to run it, but for a spare when we were held up */
            CHECK(atomic_load(&ran) <= rounds / 10 + 1);
    }
}
END_TEST

/* ---- Shields ----------------------------------------------------------------------------- */

static int shielded(void *arg)
{
    struct victim *v = arg;
    char c;
    CHECK_OK(pirn_shield_enter());
    CHECK_OK(pirn_shield_enter());
    atomic_store(&v->step, 1);
    support_until(&v->step, 2); /* cancelled meanwhile */
    for (int i = 0; i < 3; i++) {
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        CHECK_OK(pirn_yield());
        /* Its own deadlines still work. */
        CHECK_EQ(pirn_recv(v->fds[0], &c, 1, 0, pirn_after_ms(2)), -ETIMEDOUT);
    }
    CHECK_OK(pirn_shield_leave());
    CHECK_OK(pirn_sleep(pirn_after_ms(1))); /* they nest */
    CHECK_OK(pirn_shield_leave());
    CHECK_EQ(pirn_recv(v->fds[0], &c, 1, 0, PIRN_NEVER), -ECANCELED);
    CHECK(strcmp(pirn_cancel_reason(), "shielded") == 0);
    CHECK_OK(pirn_yield());
    /* A shield entered with a cancel pending holds it back too. */
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_OK(pirn_shield_enter());
    CHECK_OK(pirn_yield());
    CHECK_OK(pirn_shield_leave());
    CHECK_EQ(pirn_yield(), -ECANCELED);
    return 0;
}

static int cancel_shielded(void *arg)
{
    (void)arg;
    struct victim v = {0};
    support_pair(v.fds);
    pirn_task *task = support_spawn(shielded, &v);
    support_until(&v.step, 1);
    CHECK_OK(pirn_cancel(task, "shielded"));
    atomic_store(&v.step, 2);
    CHECK_OK(support_join(task));
    CHECK_OK(pirn_close(v.fds[0]));
    CHECK_OK(pirn_close(v.fds[1]));
    return 0;
}

START_TEST(shield)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancel_shielded, NULL));
}
END_TEST

/* A shield stops an awaiter from passing the cancel on. */
static int awaits_in_shield(void *arg)
{
    struct victim *v = arg;
    pirn_task *inner = support_spawn(give, NULL);
    CHECK_OK(support_join(inner));
    pirn_future *gate;
    CHECK_OK(pirn_future_new(&gate));
    CHECK_OK(pirn_shield_enter());
    atomic_store(&v->step, 1);
    CHECK_EQ(pirn_future_await(gate, NULL, NULL, pirn_after_ms(10)), -ETIMEDOUT);
    CHECK_OK(pirn_shield_leave());
    CHECK_EQ(pirn_future_await(gate, NULL, NULL, PIRN_NEVER), -ECANCELED);
    pirn_release(gate);
    return 0;
}

static int cancel_in_shield(void *arg)
{
    (void)arg;
    struct victim v = {0};
    pirn_task *task = support_spawn(awaits_in_shield, &v);
    support_until(&v.step, 1);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_OK(support_join(task));
    return 0;
}

START_TEST(shielded_await)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancel_in_shield, NULL));
}
END_TEST

/* ---- Many cancellers, one victim --------------------------------------------------------- */

struct storm {
    pirn_task *victim;
    atomic_int began, accepted, delivered, stop;
};

static int storm_victim(void *arg)
{
    struct storm *s = arg;
    atomic_store(&s->began, 1); /* a cancel before that would end it unrun */
    while (!atomic_load(&s->stop)) {
        if (pirn_sleep(pirn_after_us(20)) == -ECANCELED)
            atomic_fetch_add(&s->delivered, 1);
    }
    if (pirn_yield() == -ECANCELED)
        atomic_fetch_add(&s->delivered, 1);
    CHECK_OK(pirn_yield());
    return 1;
}

static void *canceller(void *arg)
{
    struct storm *s = arg;
    for (int i = 0; i < support_rounds(5000); i++) {
        CHECK_OK(pirn_cancel(s->victim, "storm"));
        atomic_fetch_add(&s->accepted, 1);
        support_spin(support_between(0, 20 * US));
    }
    return NULL;
}

static int storm(void *arg)
{
    struct storm *s = arg;
    pthread_t threads[2];
    s->victim = support_spawn(storm_victim, s);
    support_until(&s->began, 1);
    for (int i = 0; i < 2; i++)
        threads[i] = support_thread(canceller, s);
    for (int i = 0; i < 2; i++)
        support_thread_join(threads[i]);
    atomic_store(&s->stop, 1);
    CHECK_EQ(support_join(s->victim), 1);
    CHECK(atomic_load(&s->delivered) >= 1);
    CHECK_LE(atomic_load(&s->delivered), atomic_load(&s->accepted));
    return 0;
}

START_TEST(cancel_storm)
{
    FOR_WORKERS(w)
    {
        struct storm s = {0};
        CHECK_OK(support_run(w, storm, &s));
    }
}
END_TEST

/* ---- Drops of those who never began, which look at what has ended ------------------------- */

struct ended {
    pirn_task *task;
    atomic_int drops;
};

static void look_at_ended(void *arg)
{
    struct ended *e = arg;
    int status = 0;
    CHECK_OK(pirn_await(e->task, &status, PIRN_NEVER));
    CHECK_EQ(status, 6);
    atomic_fetch_add(&e->drops, 1);
}

static int six(void *arg)
{
    (void)arg;
    return 6;
}

static int drops_that_look(void *arg)
{
    enum {
        TASKS = 1000
    };
    static pirn_task *tasks[TASKS];
    struct ended e = {.task = support_spawn(six, NULL)};
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    (void)arg;
    config.arg_drop = look_at_ended;
    CHECK_OK(pirn_await(e.task, NULL, PIRN_NEVER));
    for (int i = 0; i < TASKS; i++)
        CHECK_OK(pirn_spawn_with(&tasks[i], &config, six, &e));
    for (int i = 0; i < TASKS; i++) {
        int rc = pirn_cancel(tasks[i], NULL);
        CHECK(rc == 0 || rc == -EALREADY);
    }
    for (int i = 0; i < TASKS; i++) {
        int status = support_join(tasks[i]);
        CHECK(status == -ECANCELED || status == 6);
    }
    CHECK_EQ(atomic_load(&e.drops), TASKS);
    return pirn_release(e.task);
}

START_TEST(drops_look_at_what_has_ended)
{
    FOR_WORKERS(w)
    for (int i = 0; i < 5; i++)
        CHECK_OK(support_run(w, drops_that_look, NULL));
}
END_TEST

SUPPORT_MAIN("cancel", delivered_once, absorbed, before_the_start, shield, shielded_await,
             cancel_storm, drops_look_at_what_has_ended)
