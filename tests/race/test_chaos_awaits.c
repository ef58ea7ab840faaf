/*
 * Futures, tasks, jobs, and what is gathered and shielded of them, awaited by many at the same
 * time, amid cancels and deadlines, with callbacks that come and go, and timeouts that others move.
 * What is awaited has ended, what was begun has run at most once and given up its argument, each
 * callback is called or taken back, and a timeout is no cancel. See chaos.h.
 */
#include "tests/race/awaited.h"

enum {
    STEPS = 10,
    TIMEOUTS = 400,
    MARKS = 2000
};

struct mark { /* a registration */
    atomic_int called;
    int added, removed;
};

struct objects {
    struct awaited awaited; /* first */
    atomic_int timeout_count, mark_count;
    pirn_timeout timeouts[TIMEOUTS];
    _Atomic(pirn_timeout *) open[4];
    struct mark marks[MARKS];
    int steps;
};

static struct objects *of(struct actor *a)
{
    return a->chaos->objects;
}

/* ---- Awaits ------------------------------------------------------------------------------ */

static int op_await(struct actor *a, void *arg, pirn_time t)
{
    int status = 99;
    int rc = chaos_roll(a, 4) == 0 && pirn_kind_of(arg) != PIRN_KIND_FUTURE
                 ? pirn_wait_for(arg, &status, t)
                 : pirn_await(arg, &status, t);
    if (rc == 0) {
        CHECK(pirn_done(arg));
        CHECK_EQ(pirn_status(arg), status);
    }
    return rc;
}

static void await_one(struct actor *a, pirn_awaitable *item)
{
    int rc, tries = (int)chaos_roll(a, 3);
    a->passes_on = true;
    while ((rc = chaos_call(a, op_await, item, chaos_deadline(a))) != 0 && tries-- > 0)
        CHECK(chaos_stopped(rc) || rc == -ESHUTDOWN);
}

static void gather(struct actor *a)
{
    pirn_awaitable *items[4], *g;
    size_t n = chaos_roll(a, 5);
    unsigned flags = chaos_roll(a, 2) == 0 ? PIRN_COLLECT : 0;
    for (size_t i = 0; i < n; i++)
        items[i] = some_item(a, 2);
    CHECK_OK(pirn_gather(&g, items, n, flags));
    if (chaos_roll(a, 4) == 0)
        pirn_cancel(g, "chaos");
    await_one(a, g);
    if (pirn_done(g)) {
        int status = pirn_status(g);
        bool all = true, fine = true;
        for (size_t i = 0; i < n; i++) {
            all = all && pirn_done(items[i]);
            fine = fine && pirn_done(items[i]) && pirn_status(items[i]) >= 0;
        }
        CHECK(status == 0 || status == -EIO || status == -ECANCELED || status == -ESHUTDOWN);
        CHECK(all || (status < 0 && flags == 0));
        CHECK(fine || status < 0 || flags != 0);
    }
    for (size_t i = 0; i < n; i++)
        give_up(a, items[i]);
    give_up(a, g);
}

struct several {
    pirn_awaitable *items[5];
    size_t n;
    pirn_completions *c;
    int got;
};

static int op_wait(struct actor *a, void *arg, pirn_time t)
{
    struct several *s = arg;
    bool done[5] = {false};
    size_t count = 99, m = 0;
    pirn_when when = (pirn_when)chaos_roll(a, 3);
    int rc = pirn_wait(s->items, s->n, when, done, &count, t);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < s->n; i++) {
        bool again = false;
        for (size_t j = 0; j < i; j++)
            again = again || s->items[j] == s->items[i];
        CHECK(!done[i] || pirn_done(s->items[i]));
        m += done[i] && !again;
    }
    CHECK_EQ(m, count);
    CHECK(count > 0 || t.ns != PIRN_NEVER.ns);
    return 0;
}

static int op_next(struct actor *a, void *arg, pirn_time t)
{
    struct several *s = arg;
    pirn_awaitable *item = NULL;
    (void)a;
    int rc = pirn_completions_next(s->c, &item, t);
    if (rc == 1) {
        CHECK(pirn_done(item));
        s->got++;
    }
    return rc;
}

static void wait_several(struct actor *a)
{
    struct several s = {.n = 1 + chaos_roll(a, 5)};
    int rc, distinct = 0;
    for (size_t i = 0; i < s.n; i++) {
        s.items[i] = some_item(a, 1);
        bool again = false;
        for (size_t j = 0; j < i; j++)
            again = again || s.items[j] == s.items[i];
        distinct += !again;
    }
    if (chaos_roll(a, 2) == 0) {
        rc = chaos_call(a, op_wait, &s, chaos_deadline(a));
        CHECK(rc == 0 || chaos_stopped(rc) || rc == -ESHUTDOWN);
    } else {
        CHECK_OK(pirn_as_completed(&s.c, s.items, s.n));
        int tries = 8;
        while ((rc = chaos_call(a, op_next, &s, chaos_deadline(a))) != 0 && tries-- > 0)
            CHECK(rc == 1 || chaos_stopped(rc) || rc == -ESHUTDOWN);
        CHECK(rc != 0 || s.got == distinct);
        pirn_completions_free(s.c);
    }
    for (size_t i = 0; i < s.n; i++)
        give_up(a, s.items[i]);
}

/* ---- Callbacks --------------------------------------------------------------------------- */

static void called(pirn_awaitable *awaitable, void *user)
{
    CHECK(pirn_done(awaitable));
    if (support_random() % 4 == 0)
        pirn_yield();
    atomic_fetch_add(&((struct mark *)user)->called, 1);
}

static void callbacks(struct actor *a)
{
    pirn_awaitable *item = some_item(a, 1);
    struct mark *marks[3];
    int n = 0;
    for (int i = 0; i < 3; i++) {
        int at = atomic_fetch_add(&of(a)->mark_count, 1);
        CHECK(at < MARKS);
        marks[n] = &of(a)->marks[at];
        for (int k = (int)chaos_roll(a, 3); k >= 0; k--) {
            /* a runtime that ends drops what is not due yet */
            bool own =
                a->task != NULL && a->chaos->third == CHAOS_NO_THIRD && chaos_roll(a, 2) == 0;
            CHECK_OK(pirn_add_done_callback(item, own ? NULL : some_runtime(a), called, marks[n]));
            marks[n]->added++;
        }
        n++;
        if (chaos_roll(a, 2) == 0) {
            struct mark *m = marks[chaos_roll(a, (uint64_t)n)];
            m->removed += pirn_remove_done_callback(item, called, m);
        }
        if (chaos_roll(a, 4) == 0)
            await_one(a, item);
    }
    for (int i = 0; i < n; i++)
        if (chaos_roll(a, 2) == 0)
            marks[i]->removed += pirn_remove_done_callback(item, called, marks[i]);
    if (pirn_kind_of(item) == PIRN_KIND_TASK)
        pirn_start(item); /* else nobody begins it */
    if (pirn_kind_of(item) == PIRN_KIND_COMBINED && !pirn_done(item))
        pirn_cancel(item, "or nobody hears of its end"); /* with the last handle it lets go */
    if (pirn_kind_of(item) == PIRN_KIND_TASK)
        CHECK_OK(pirn_detach(item));
    else
        CHECK_OK(pirn_release(item));
}

/* ---- Timeouts that others move ----------------------------------------------------------- */

static int op_future(struct actor *a, void *arg, pirn_time t)
{
    (void)a;
    return pirn_await(arg, NULL, t);
}

static pirn_time any_time(struct actor *a)
{
    return chaos_roll(a, 4) == 0 ? PIRN_NEVER : chaos_soon(a);
}

static void move_timeouts(struct actor *a)
{
    struct objects *o = of(a);
    for (int i = (int)chaos_roll(a, 6); i >= 0; i--) {
        pirn_timeout *timeout = atomic_load(&o->open[chaos_roll(a, 4)]);
        if (timeout == NULL)
            continue;
        int rc = pirn_timeout_reschedule(timeout, any_time(a));
        CHECK(rc == 0 || rc == -EINVAL);
        (void)pirn_timeout_when(timeout);
        (void)pirn_timeout_expired(timeout);
    }
}

static void be_timed(struct actor *a)
{
    struct objects *o = of(a);
    int at = atomic_fetch_add(&o->timeout_count, 1);
    if (a->task == NULL || at >= TIMEOUTS)
        return;
    pirn_timeout *timeout = &o->timeouts[at];
    _Atomic(pirn_timeout *) *place = &o->open[chaos_roll(a, 4)];
    CHECK_OK(pirn_timeout_enter(timeout, any_time(a)));
    atomic_store(place, timeout);
    int rc = 0;
    for (int i = (int)chaos_roll(a, 3); i >= 0 && rc == 0; i--)
        rc = chaos_roll(a, 2) == 0
                 ? op_future(a, o->awaited.futures[chaos_roll(a, FUTURES)], PIRN_NEVER)
                 : pirn_sleep(pirn_after_us((int64_t)chaos_roll(a, 40)));
    CHECK(rc == 0 || rc == -ECANCELED || rc == -ESHUTDOWN);
    int left = chaos_note(a, pirn_timeout_leave(timeout, rc));
    bool expired = pirn_timeout_expired(timeout);
    CHECK(left == rc || (rc == -ECANCELED && left == -ETIMEDOUT && expired));
    CHECK_EQ(pirn_timeout_reschedule(timeout, PIRN_NOW), -EINVAL);
}

/* ---- A round ----------------------------------------------------------------------------- */

static void play(struct actor *a)
{
    struct objects *o = of(a);
    for (int step = 0; step < o->steps; step++) {
        switch (chaos_roll(a, 6)) {
        case 0:
            gather(a);
            break;
        case 1:
            wait_several(a);
            break;
        case 2:
            callbacks(a);
            break;
        case 3:
            be_timed(a);
            break;
        case 4:
            move_timeouts(a);
            break;
        case 5: {
            pirn_awaitable *item = some_item(a, 1);
            await_one(a, item);
            give_up(a, item);
            break;
        }
        }
        chaos_dawdle(a);
    }
}

static void play_setter(struct actor *a)
{
    for (int i = 0; i < FUTURES; i++) {
        for (int n = (int)chaos_roll(a, 6); n > 0; n--)
            chaos_dawdle(a);
        int rc = pirn_future_set(awaited_of(a)->futures[i], chaos_roll(a, 4) == 0 ? -EIO : 3, NULL);
        CHECK(rc == 0 || rc == -EALREADY);
    }
}

static void round_of_awaits(struct chaos *c)
{
    struct objects *o = calloc(1, sizeof(*o));
    CHECK(o);
    c->objects = o;
    o->steps = 1 + (int)chaos_draw(&c->random, STEPS);
    awaited_begin(&o->awaited);
    for (int i = 2 + (int)chaos_draw(&c->random, 10); i >= 0; i--)
        chaos_add(c, play, i);
    chaos_add(c, play_setter, 0);
    chaos_round(c);
    for (int i = 0; i < atomic_load(&o->mark_count); i++)
        support_until(&o->marks[i].called, o->marks[i].added - o->marks[i].removed);
    awaited_end(&o->awaited);
    pirn_sleep(pirn_after_us(100));
    for (int i = 0; i < atomic_load(&o->mark_count); i++)
        CHECK_EQ(o->marks[i].called, o->marks[i].added - o->marks[i].removed);
    free(o);
}

START_TEST(awaits)
{
    chaos_run(round_of_awaits, CHAOS_NO_THIRD);
}
END_TEST

START_TEST(awaits_and_the_end_of_a_runtime)
{
    chaos_run(round_of_awaits, CHAOS_ENDS);
}
END_TEST

START_TEST(awaits_and_pauses)
{
    chaos_run(round_of_awaits, CHAOS_PAUSES);
}
END_TEST

SUPPORT_MAIN("race/chaos_awaits", awaits, awaits_and_the_end_of_a_runtime, awaits_and_pauses)
