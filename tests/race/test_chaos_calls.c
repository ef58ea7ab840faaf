/*
 * Calls to be made later, timers, generators, races and maps, used by many at the same time, amid
 * cancels and deadlines: each call is made or cancelled, each value pulled once. See chaos.h.
 */
#include "tests/race/chaos.h"

enum {
    VALUES = 200,
    RECORDS = 2000,
    STEPS = 12
};

struct record {
    pirn_timer timer;
    atomic_int ran, dropped;
    int expected;
    struct actor *actor;
    pirn_task *left; /* whose awaiter's runtime has ended */
    uint64_t random;
};

struct objects {
    pirn_generator *generator;
    int values; /* it has */
    atomic_int fate[VALUES], body_ended;
    struct record records[RECORDS];
    atomic_int record_count;
    int steps;
    uint64_t random; /* the body's */
};

static struct objects *of(struct actor *a)
{
    return a->chaos->objects;
}

static pirn_runtime *some_runtime(struct actor *a)
{
    return atomic_load(&a->chaos->runtime[chaos_roll(a, 2)]);
}

static struct record *new_record(struct actor *a)
{
    int at = atomic_fetch_add(&of(a)->record_count, 1);
    CHECK(at < RECORDS);
    struct record *r = &of(a)->records[at];
    r->actor = a;
    r->random = chaos_roll(a, UINT64_MAX) | 1;
    return r;
}

static int run_record(void *arg)
{
    struct record *r = arg;
    int rc = 0;
    if (support_between(0, 1) == 0)
        rc = pirn_sleep(pirn_after_us(support_between(0, 60)));
    atomic_fetch_add(&r->ran, 1);
    return rc < 0 ? rc : 4;
}

/* ---- Timers ------------------------------------------------------------------------------ */

static void use_timer(struct actor *a)
{
    struct record *r = new_record(a);
    CHECK_OK(pirn_timer_init(&r->timer, some_runtime(a), run_record, r));
    for (int i = (int)chaos_roll(a, 6); i >= 0; i--) {
        int rc;
        if (chaos_roll(a, 3) == 0) {
            rc = pirn_timer_cancel(&r->timer);
            CHECK(rc == 0 || rc == -EALREADY);
            r->expected -= rc == 0;
        } else {
            pirn_time when = chaos_roll(a, 5) == 0 ? PIRN_NEVER : chaos_soon(a);
            rc = pirn_timer_arm(&r->timer, when);
            CHECK(rc == 0 || rc == 1);
            r->expected += rc == 0;
        }
        if (chaos_roll(a, 2) == 0)
            chaos_dawdle(a);
    }
    r->expected -= pirn_timer_cancel(&r->timer) == 0;
    CHECK_GE(r->expected, 0);
}

/* ---- Calls ------------------------------------------------------------------------------- */

static void call_later(struct actor *a)
{
    struct record *r = new_record(a);
    pirn_task *task;
    int rc, status = 0;
    if (chaos_roll(a, 4) == 0)
        CHECK_OK(pirn_call_soon(some_runtime(a), &task, run_record, r));
    else
        CHECK_OK(pirn_call_at(some_runtime(a), &task, run_record, r, chaos_soon(a)));
    if (chaos_roll(a, 2) == 0)
        chaos_dawdle(a);
    int cancel = chaos_roll(a, 2) == 0 ? pirn_cancel(task, "chaos") : 1;
    if (a->task != NULL)
        CHECK_OK(pirn_shield_enter());
    rc = pirn_await(task, &status, PIRN_NEVER);
    if (a->task != NULL)
        CHECK_OK(pirn_shield_leave());
    CHECK(rc == 0 || rc == -ESHUTDOWN);
    if (rc == 0) {
        CHECK(cancel != 1 || status == 4);
        CHECK(cancel != -EALREADY || status == 4);
        CHECK(status == 4 || status == -ECANCELED);
        CHECK(status != 4 || atomic_load(&r->ran) == 1);
        r->expected = atomic_load(&r->ran);
        CHECK_OK(pirn_release(task));
    } else {
        r->expected = -1;
        r->left = task;
    }
}

/* ---- Races, maps ------------------------------------------------------------------------- */

struct contest {
    struct actor *a;
    pirn_call calls[4];
    size_t n;
};

static int op_race(struct actor *a, void *arg, pirn_time t)
{
    struct contest *c = arg;
    size_t winner = 99;
    int statuses[4];
    pirn_task *task = NULL;
    (void)a;
    int rc = pirn_race(c->calls, c->n, &winner, &task, statuses, t);
    if (rc == 0) {
        CHECK(winner < c->n);
        CHECK_EQ(statuses[winner], 4);
        CHECK_EQ(pirn_status(task), 4);
        CHECK_OK(pirn_release(task));
    }
    return rc;
}

static int run_number(size_t i, void *arg)
{
    struct contest *c = arg;
    return run_record(c->calls[i].arg);
}

static int op_map(struct actor *a, void *arg, pirn_time t)
{
    struct contest *c = arg;
    int statuses[4];
    int rc = pirn_map(c->n, chaos_roll(a, 3), run_number, c, statuses, t);
    for (size_t i = 0; i < c->n && rc == 0; i++)
        CHECK(statuses[i] == 4 || a->chaos->ends);
    return rc;
}

static void contest(struct actor *a)
{
    struct contest c = {.a = a, .n = 1 + chaos_roll(a, 4)};
    if (a->task == NULL || a->chaos->ends) /* whose end cancels the calls as well */
        return;
    for (size_t i = 0; i < c.n; i++) {
        struct record *r = new_record(a);
        r->expected = -1;
        c.calls[i] = (pirn_call){run_record, r};
    }
    int rc = chaos_call(a, chaos_roll(a, 2) == 0 ? op_race : op_map, &c, chaos_deadline(a));
    CHECK(rc == 0 || chaos_stopped(rc) || rc == -ESHUTDOWN);
    for (size_t i = 0; i < c.n; i++)
        CHECK_LE(atomic_load(&((struct record *)c.calls[i].arg)->ran), 1);
}

/* ---- Generators -------------------------------------------------------------------------- */

static int body(pirn_generator *g, void *arg)
{
    struct objects *o = arg;
    int rc = 0;
    for (int i = 0; i < o->values && rc == 0; i++) {
        switch (chaos_draw(&o->random, 6)) {
        case 0:
            rc = pirn_yield();
            break;
        case 1:
            rc = pirn_sleep(pirn_after_us((int64_t)chaos_draw(&o->random, 40)));
            break;
        }
        if (rc == 0)
            rc = pirn_generator_yield(g, &i);
    }
    return rc;
}

static void body_over(void *arg)
{
    CHECK_EQ(atomic_fetch_add(&((struct objects *)arg)->body_ended, 1), 0);
}

static int op_pull(struct actor *a, void *arg, pirn_time t)
{
    int value = -1;
    int rc = pirn_generator_next(of(a)->generator, chaos_roll(a, 1) ? NULL : &value, t);
    (void)arg;
    CHECK_EQ(rc == 1, value >= 0);
    if (rc == 1)
        CHECK_EQ(atomic_fetch_add(&of(a)->fate[value], 1), 0);
    return rc == -EBUSY ? -EAGAIN : rc;
}

static void pull(struct actor *a)
{
    int rc = 1;
    for (int i = (int)chaos_roll(a, 6); i >= 0; i--) {
        rc = chaos_call(a, op_pull, NULL, chaos_deadline(a));
        CHECK(rc == 0 || rc == 1 || chaos_stopped(rc) || rc == -ESHUTDOWN);
        if (chaos_roll(a, 4) == 0)
            chaos_dawdle(a);
    }
}

/* One of its own, closed in the middle. */
static int own_body(pirn_generator *g, void *arg)
{
    struct record *r = arg;
    bool shielded = chaos_draw(&r->random, 4) == 0;
    int rc = 0;
    CHECK_EQ(atomic_fetch_add(&r->ran, 1), 0);
    if (shielded)
        CHECK_OK(pirn_shield_enter());
    for (int i = 0; i < 5 && rc == 0; i++) {
        pirn_timeout timeout = PIRN_TIMEOUT_INIT;
        bool timed = chaos_draw(&r->random, 4) == 0;
        if (timed)
            CHECK_OK(
                pirn_timeout_enter(&timeout, pirn_after_us((int64_t)chaos_draw(&r->random, 60))));
        rc = pirn_generator_yield(g, &i);
        if (timed)
            rc = pirn_timeout_leave(&timeout, rc);
        if (rc == -ETIMEDOUT)
            rc = 0;
    }
    CHECK(rc == 0 || rc == -ECANCELED || rc == -ESHUTDOWN);
    if (chaos_draw(&r->random, 2) == 0)
        pirn_sleep(pirn_after_us(20)); /* a cleanup */
    if (shielded)
        CHECK_OK(pirn_shield_leave());
    return rc;
}

static void own_over(void *arg)
{
    CHECK_EQ(atomic_fetch_add(&((struct record *)arg)->dropped, 1), 0);
}

struct own {
    pirn_generator *g;
    int last;
};

static int op_pull_own(struct actor *a, void *arg, pirn_time t)
{
    struct own *own = arg;
    int value = -1;
    (void)a;
    int rc = pirn_generator_next(own->g, &value, t);
    CHECK_EQ(rc == 1, value >= 0);
    if (rc == 1) {
        CHECK(value > own->last);
        own->last = value;
    }
    return rc;
}

static void own_generator(struct actor *a)
{
    struct record *r = new_record(a);
    struct own own = {NULL, -1};
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.runtime = some_runtime(a);
    config.arg_drop = own_over;
    if (chaos_roll(a, 4) == 0)
        config.strand = a->chaos->strand;
    CHECK_OK(pirn_generator_new_with(&own.g, &config, sizeof(int), own_body, r));
    r->expected = -1;
    int rc = 1;
    for (int i = (int)chaos_roll(a, 8); i > 0; i--) {
        rc = chaos_call(a, op_pull_own, &own, chaos_deadline(a));
        CHECK(rc == 0 || rc == 1 || chaos_stopped(rc) || rc == -ESHUTDOWN);
    }
    rc = pirn_generator_close(own.g);
    CHECK(rc == 0 || rc == -ESHUTDOWN);
    CHECK_EQ(atomic_load(&r->dropped), 1);
}

/* ---- A round ----------------------------------------------------------------------------- */

static void play(struct actor *a)
{
    struct objects *o = of(a);
    for (int step = 0; step < o->steps; step++) {
        switch (chaos_roll(a, 5)) {
        case 0:
            use_timer(a);
            break;
        case 1:
            call_later(a);
            break;
        case 2:
            contest(a);
            break;
        case 3:
            pull(a);
            break;
        case 4:
            own_generator(a);
            break;
        }
        chaos_dawdle(a);
    }
}

static void round_of_calls(struct chaos *c)
{
    struct objects *o = calloc(1, sizeof(*o));
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    CHECK(o);
    c->objects = o;
    o->steps = 1 + (int)chaos_draw(&c->random, STEPS);
    o->values = 1 + (int)chaos_draw(&c->random, VALUES);
    o->random = c->random | 1;
    config.runtime = atomic_load(&c->runtime[chaos_draw(&c->random, 2)]);
    config.arg_drop = body_over;
    config.flags = PIRN_OFF_STRAND;
    CHECK_OK(pirn_generator_new_with(&o->generator, &config, sizeof(int), body, o));
    for (int i = 2 + (int)chaos_draw(&c->random, 10); i >= 0; i--)
        chaos_add(c, play, i);
    chaos_round(c);
    bool gap = false;
    for (int i = 0; i < VALUES; i++) {
        CHECK(!gap || o->fate[i] == 0);
        gap = o->fate[i] == 0;
    }
    CHECK_OK(pirn_generator_close(o->generator));
    CHECK_EQ(o->body_ended, 1);
    for (int i = 0; i < atomic_load(&o->record_count); i++) {
        pirn_task *left = o->records[i].left;
        if (left != NULL) {
            int status = support_join(left);
            CHECK(status == 4 || status == -ECANCELED);
        }
    }
    for (int i = 0; i < atomic_load(&o->record_count); i++)
        if (o->records[i].expected >= 0)
            support_until(&o->records[i].ran, o->records[i].expected);
    pirn_sleep(pirn_after_us(200));
    for (int i = 0; i < atomic_load(&o->record_count); i++)
        if (o->records[i].expected >= 0)
            CHECK_EQ(o->records[i].ran, o->records[i].expected);
    free(o);
}

START_TEST(calls)
{
    chaos_run(round_of_calls, CHAOS_NO_THIRD);
}
END_TEST

START_TEST(calls_and_the_end_of_a_runtime)
{
    chaos_run(round_of_calls, CHAOS_ENDS);
}
END_TEST

START_TEST(calls_and_pauses)
{
    chaos_run(round_of_calls, CHAOS_PAUSES);
}
END_TEST

SUPPORT_MAIN("race/chaos_calls", calls, calls_and_the_end_of_a_runtime, calls_and_pauses)
