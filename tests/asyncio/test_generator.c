/*
 * Generators: values one by one, from a body that keeps its place.
 */
#include "tests/support.h"

struct body {
    int from, to; /* yields from <= i < to */
    int pause_us; /* waits that long before each */
    int status;   /* and returns that */
    bool gated;   /* value i only when gate > i */
    atomic_int gate;
    bool absorbs; /* ignores being told to end, and yields on, four times */
    atomic_int begun, cleaned, yielded;
    int told; /* what its cleanup was told */
};

static void cleanup(void *arg, int status)
{
    struct body *b = arg;
    CHECK_OK(pirn_sleep(pirn_after_us(200))); /* may suspend */
    b->told = status;
    atomic_fetch_add(&b->cleaned, 1);
}

static int count_up(pirn_generator *g, void *arg)
{
    struct body *b = arg;
    int rc = 0, ignored = 0;
    atomic_fetch_add(&b->begun, 1);
    CHECK_OK(pirn_defer(cleanup, b));
    for (int i = b->from; i < b->to; i++) {
        if (b->pause_us != 0)
            rc = pirn_sleep(pirn_after_us(b->pause_us));
        while (rc == 0 && b->gated && atomic_load(&b->gate) <= i)
            rc = pirn_sleep(pirn_after_us(200));
        if (rc == 0)
            rc = pirn_generator_yield(g, &i);
        if (rc != 0 && (!b->absorbs || ignored++ == 4))
            return rc;
        rc = 0;
        atomic_fetch_add(&b->yielded, 1);
    }
    return b->status;
}

static pirn_generator *generator(struct body *b)
{
    pirn_generator *g = NULL;
    CHECK_OK(pirn_generator_new(&g, sizeof(int), count_up, b));
    return g;
}

static void check_next(pirn_generator *g, int wanted)
{
    int value = -1;
    CHECK_EQ(pirn_generator_next(g, &value, PIRN_NEVER), 1);
    CHECK_EQ(value, wanted);
}

/* ---- S159, S160, S165: the protocol ---------------------------------------------------------- */

static int iterate(void *arg)
{
    struct body b = {.from = 8, .to = 10, .pause_us = *(int *)arg};
    int value = 77;
    pirn_generator *g = generator(&b);
    CHECK_EQ(atomic_load(&b.begun), 0);
    CHECK_EQ(pirn_generator_status(g), -EINPROGRESS);
    int64_t before = support_now();
    check_next(g, 8);
    CHECK_GE(support_now() - before, b.pause_us * US);
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_EQ(atomic_load(&b.yielded), 0); /* stands still until the next pull */
    check_next(g, 9);
    CHECK_EQ(atomic_load(&b.begun), 1);
    CHECK_EQ(pirn_generator_next(g, &value, PIRN_NEVER), 0);
    CHECK_EQ(pirn_generator_next(g, &value, PIRN_NOW), 0); /* and so it stays */
    CHECK_EQ(value, 77);
    CHECK_EQ(pirn_generator_status(g), 0);
    CHECK_EQ(atomic_load(&b.cleaned), 1);
    CHECK_OK(pirn_generator_close(g));
    CHECK_EQ(atomic_load(&b.cleaned), 1);
    return 0;
}

START_TEST(s159_s160_s165_values_then_the_end)
{
    FOR_WORKERS(w)
    for (int pause_us = 0; pause_us <= 1000; pause_us += 1000)
        CHECK_OK(support_run(w, iterate, &pause_us));
}
END_TEST

static int end_badly(void *arg)
{
    (void)arg;
    struct body b = {.from = 0, .to = 1, .status = -EIO};
    pirn_generator *g = generator(&b);
    check_next(g, 0);
    CHECK_EQ(pirn_generator_next(g, NULL, PIRN_NEVER), -EIO);
    CHECK_EQ(pirn_generator_next(g, NULL, PIRN_NEVER), 0); /* told once */
    CHECK_EQ(pirn_generator_status(g), -EIO);
    CHECK_EQ(b.told, -EIO);
    CHECK_OK(pirn_generator_close(g));

    struct body unheard = {.from = 0, .to = 1, .status = -EIO, .absorbs = true};
    g = generator(&unheard);
    check_next(g, 0);
    CHECK_EQ(pirn_generator_close(g), -EIO); /* nobody had been told */

    struct body never = {.from = 0, .to = 1};
    g = generator(&never);
    CHECK_OK(pirn_generator_close(g));
    CHECK_EQ(atomic_load(&never.begun), 0);
    CHECK_EQ(atomic_load(&never.cleaned), 0);

    CHECK_EQ(pirn_generator_next(NULL, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_generator_close(NULL), -EINVAL);
    CHECK_EQ(pirn_generator_new(&g, 1, NULL, NULL), -EINVAL);
    pirn_spawn_config pinned = PIRN_SPAWN_CONFIG_INIT;
    pinned.flags = PIRN_PINNED;
    CHECK_EQ(pirn_generator_new_with(&g, &pinned, 1, count_up, NULL), -EINVAL);
    return 0;
}

START_TEST(a174_end_differs_from_error)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, end_badly, NULL));
    pirn_generator *g;
    CHECK_EQ(pirn_generator_new(&g, 1, count_up, NULL), -EPERM);
}
END_TEST

/* ---- A174: left early ------------------------------------------------------------------------ */

static void drop(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static int drop_count(pirn_generator *g, void *arg)
{
    (void)arg;
    return pirn_generator_yield(g, NULL);
}

static int leave_early(void *arg)
{
    (void)arg;
    for (int how = 0; how < 3; how++) {
        /* at its yield; at a wait of its own; ignoring what it is told */
        struct body b = {.from = 0, .to = 1000, .absorbs = how == 2};
        pirn_generator *g = generator(&b);
        check_next(g, 0);
        check_next(g, 1);
        if (how == 1) {
            b.pause_us = 100 * 1000 * 1000;
            /* until it goes on in time */
            for (int64_t ms = 1; atomic_load(&b.yielded) < 2; ms *= 2)
                CHECK_EQ(pirn_generator_next(g, NULL, pirn_after_ms(ms)), -ETIMEDOUT);
        }
        CHECK_OK(pirn_generator_close(g));
        CHECK_EQ(atomic_load(&b.begun), 1);
        CHECK_EQ(atomic_load(&b.cleaned), 1);
        CHECK_EQ(b.told, -ECANCELED);
        static const int yields[3] = {1, 2, 5};
        CHECK_EQ(atomic_load(&b.yielded), yields[how]);
    }
    for (int pulls = 0; pulls < 3; pulls++) { /* its argument goes once, begun or not */
        atomic_int dropped = 0;
        pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
        pirn_generator *g;
        config.arg_drop = drop;
        CHECK_OK(pirn_generator_new_with(&g, &config, 0, drop_count, &dropped));
        for (int i = 0; i < pulls; i++)
            CHECK_EQ(pirn_generator_next(g, NULL, PIRN_NEVER), i == 0);
        CHECK_EQ(atomic_load(&dropped), pulls == 2);
        CHECK_OK(pirn_generator_close(g));
        CHECK_EQ(atomic_load(&dropped), 1);
    }
    return 0;
}

START_TEST(a174_left_early_cleans_up_once)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, leave_early, NULL));
}
END_TEST

/* ---- A174, S167: alive at shutdown ----------------------------------------------------------- */

struct leftover {
    struct body b;
    pirn_generator *g;
    int pulls;
    bool ends;   /* the consumer ends before main does */
    bool sleeps; /* or does something else when it is cancelled, and takes its time */
};

static int consume_some(void *arg)
{
    struct leftover *l = arg;
    l->g = generator(&l->b);
    for (int i = 0; i < l->pulls; i++)
        check_next(l->g, i);
    if (l->ends)
        return 0;
    int rc =
        l->sleeps ? pirn_sleep(pirn_after_s(100)) : pirn_generator_next(l->g, NULL, PIRN_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    while (l->sleeps && atomic_load(&l->b.cleaned) == 0)
        CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    CHECK_OK(pirn_generator_close(l->g));
    l->g = NULL;
    return rc;
}

static int leave_alive(void *arg)
{
    struct leftover *l = arg;
    pirn_task *task = support_spawn(consume_some, l);
    if (l->ends)
        return support_join(task);
    while (atomic_load(&l->b.yielded) < l->pulls - l->sleeps)
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
    support_until_waiting(task);
    return pirn_detach(task);
}

START_TEST(a174_s167_alive_at_shutdown_cleans_up_once)
{
    FOR_WORKERS(w)
    for (int how = 0; how < 4; how++) {
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = support_reporting(w, &report);
        /* consumer gone; consumer gone without a pull; consumer in a pull, and closes; asleep */
        struct leftover l = {.b = {.from = 0, .to = 1000}, .pulls = how == 1 ? 0 : 2};
        l.ends = how < 2;
        l.sleeps = how == 3;
        l.b.gated = how == 2;
        atomic_store(&l.b.gate, 2);
        CHECK_OK(support_run_with(&config, leave_alive, &l));
        CHECK_EQ(atomic_load(&l.b.cleaned), how != 1);
        CHECK_EQ(support_reported(&report, "still open at shutdown"), how == 0);
        if (l.g == NULL)
            continue;
        CHECK_EQ(pirn_generator_status(l.g), how == 1 ? -EINPROGRESS : -ECANCELED);
        CHECK_OK(pirn_generator_close(l.g));
    }
}
END_TEST

/* ---- A174: two pulls at once; a pull that gives up takes nothing ----------------------------- */

static int give_up(void)
{
    struct body b = {.from = 0, .to = 3, .gated = true};
    pirn_generator *g = generator(&b);
    int value = -1, rc;
    CHECK_EQ(pirn_generator_next(g, &value, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(value, -1);
    CHECK_EQ(pirn_generator_next(g, &value, pirn_after_us(100)), -ETIMEDOUT);
    atomic_store(&b.gate, 1);
    check_next(g, 0);
    CHECK_EQ(pirn_generator_next(g, NULL, PIRN_NOW), -ETIMEDOUT);
    atomic_store(&b.gate, 2);
    while ((rc = pirn_generator_next(g, &value, PIRN_NOW)) == -ETIMEDOUT)
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
    CHECK_EQ(rc, 1); /* it lay there */
    CHECK_EQ(value, 1);
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_generator_next(g, &value, PIRN_NEVER), -ECANCELED);
    atomic_store(&b.gate, 3);
    check_next(g, 2);
    CHECK_OK(pirn_generator_close(g));
    return 0;
}

struct puller {
    pirn_generator *g;
    int rc, value;
};

static int pull(void *arg)
{
    struct puller *p = arg;
    p->rc = pirn_generator_next(p->g, &p->value, PIRN_NEVER);
    return 0;
}

static int pull_twice(void *arg)
{
    (void)arg;
    struct body b = {.from = 0, .to = 3, .gated = true};
    struct puller p = {.g = generator(&b)};
    pirn_task *task = support_spawn(pull, &p);
    support_until_waiting(task);
    CHECK_EQ(pirn_generator_next(p.g, NULL, PIRN_NEVER), -EBUSY);
    CHECK_EQ(pirn_generator_close(p.g), -EBUSY);
    atomic_store(&b.gate, 1);
    CHECK_OK(support_join(task));
    CHECK_EQ(p.rc, 1);
    CHECK_EQ(p.value, 0);
    CHECK_OK(pirn_generator_close(p.g));
    return give_up();
}

START_TEST(a174_two_pulls_are_busy)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, pull_twice, NULL));
}
END_TEST

/* ---- Races: a pull's cancel, its deadline and the yield; a close at any moment --------------- */

static void clean_quickly(void *arg, int status)
{
    struct body *b = arg;
    CHECK_OK(pirn_yield());
    b->told = status;
    atomic_fetch_add(&b->cleaned, 1);
}

enum {
    SURE = 32 /* so many values have one that lets a pull wait for sure */
};

static int many(pirn_generator *g, void *arg)
{
    struct body *b = arg;
    int rc = 0;
    atomic_fetch_add(&b->begun, 1);
    CHECK_OK(pirn_defer(clean_quickly, b));
    for (int i = 0; rc == 0; i++) {
        if (i % 2 != 0)
            support_spin(support_between(0, 20 * US));
        else
            rc = pirn_sleep(pirn_after_us(i % SURE == 0 ? 1000 : support_between(0, 20)));
        if (rc == 0)
            rc = pirn_generator_yield(g, &i);
    }
    CHECK_EQ(rc, -ECANCELED);
    return rc;
}

struct canceller {
    pirn_task *task;
    atomic_int over;
};

static void *cancel_often(void *arg)
{
    struct canceller *c = arg;
    while (!atomic_load(&c->over)) {
        support_spin(support_between(0, 60 * US));
        pirn_cancel(c->task, NULL);
    }
    return NULL;
}

/* Out of time, and not cancelled. */
static int pull_now(pirn_generator *g, int *ret_value)
{
    CHECK_OK(pirn_shield_enter());
    int rc = pirn_generator_next(g, ret_value, PIRN_NOW);
    CHECK_OK(pirn_shield_leave());
    return rc;
}

/* The first pulls of some values can end in one way only, so that each is seen on any machine. */
static int nothing_is_lost(void *arg)
{
    int *outcome = arg;
    struct canceller c = {.task = pirn_current()};
    pthread_t thread = support_thread(cancel_often, &c);
    for (int round = 0; round < 10; round++) {
        struct body b = {0};
        int value = -1;
        pirn_generator *g;
        CHECK_OK(pirn_generator_new(&g, sizeof(int), many, &b));
        for (int wanted = 0, last = -1; wanted < support_rounds(400);) {
            bool is_first = wanted != last;
            int rc, sure = is_first ? wanted % SURE : -1;
            last = wanted;
            if (sure == 1)
                CHECK_OK(pirn_cancel(c.task, NULL));
            rc = sure == 0 ? pull_now(g, &value)
                           : pirn_generator_next(g, &value, pirn_after_us(support_between(5, 100)));
            CHECK(rc == 1 || rc == -ETIMEDOUT || rc == -ECANCELED);
            if (sure == 1)
                CHECK_EQ(rc, -ECANCELED);
            outcome[rc == 1 ? 0 : rc == -ETIMEDOUT ? 1 : 2]++;
            if (rc == 1)
                CHECK_EQ(value, wanted++);
        }
        CHECK_OK(pirn_generator_close(g));
        CHECK_EQ(atomic_load(&b.cleaned), 1);
    }
    atomic_store(&c.over, 1);
    support_thread_join(thread);
    return 0;
}

START_TEST(a174_a_pull_that_gives_up_takes_nothing)
{
    int outcome[3] = {0, 0, 0};
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, nothing_is_lost, outcome));
    for (int i = 0; i < 3; i++)
        CHECK_GE(outcome[i], support_rounds(100));
}
END_TEST

static int close_at_any_time(void *arg)
{
    int *outcome = arg;
    for (int i = 0; i < support_rounds(3400); i++) {
        struct body b = {0};
        pirn_generator *g;
        CHECK_OK(pirn_generator_new(&g, sizeof(int), many, &b));
        int rc = pirn_generator_next(g, NULL, pirn_after_us(support_between(-5, 60)));
        CHECK(rc == 1 || rc == -ETIMEDOUT);
        support_spin(support_between(0, 20 * US));
        CHECK_OK(pirn_generator_close(g));
        CHECK_EQ(atomic_load(&b.cleaned), atomic_load(&b.begun)); /* 0: it never will */
        CHECK_EQ(b.told, atomic_load(&b.begun) ? -ECANCELED : 0);
        outcome[atomic_load(&b.begun)]++;
    }
    return 0;
}

START_TEST(a174_closed_at_any_time)
{
    int outcome[2] = {0, 0};
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, close_at_any_time, outcome));
    CHECK_GE(outcome[0], support_rounds(100));
    CHECK_GE(outcome[1], support_rounds(100));
}
END_TEST

SUPPORT_MAIN("generator", s159_s160_s165_values_then_the_end, a174_end_differs_from_error,
             a174_left_early_cleans_up_once, a174_s167_alive_at_shutdown_cleans_up_once,
             a174_two_pulls_are_busy, a174_a_pull_that_gives_up_takes_nothing,
             a174_closed_at_any_time)
