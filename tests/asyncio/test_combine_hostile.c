/*
 * What combines awaitables, used in ways nobody should need: twice the same, in circles, behind all
 * the shields there are, in cleanups, past the grace.
 */
#include "parts.h"

static pirn_awaitable *gather(pirn_awaitable *const *items, size_t n, unsigned flags)
{
    pirn_awaitable *g = NULL;
    CHECK_OK(pirn_gather(&g, items, n, flags));
    return g;
}

static int returns(void *arg)
{
    return (int)(intptr_t)arg;
}

/* ---- A cancel is told once ------------------------------------------------------------------- */

/* A task given twice is asked once to end. */
static int twice_the_same(void *arg)
{
    struct part p = {.ms = FOR_EVER, .cleanup_ms = 2}, q = {.ms = FOR_EVER};
    pirn_task *task = start_part(&p), *other = start_part(&q);
    pirn_awaitable *items[] = {task, other, task, task};
    (void)arg;
    support_until(&p.began, 1);
    pirn_awaitable *g = gather(items, 4, 0);
    CHECK_OK(pirn_cancel(g, NULL));
    CHECK_EQ(pirn_cancelling(task), 1);
    CHECK_EQ(pirn_cancelling(other), 1);
    CHECK_OK(pirn_join(g, NULL, PIRN_NEVER));
    CHECK_EQ(support_join(task), -ECANCELED);
    CHECK_EQ(support_join(other), -ECANCELED);
    return 0;
}

START_TEST(a69_twice_the_same_is_cancelled_once)
{
    run_everywhere(twice_the_same);
}
END_TEST

/* A cancel that is pending when one of these is called is told there, and nothing begins. */
static int tallies(size_t i, void *arg)
{
    (void)i;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static int pending_at_the_call(void *arg)
{
    struct part p = {.ms = FOR_EVER, .cleanup_ms = 2}, late = {.ms = FOR_EVER};
    atomic_int calls = 0;
    pirn_call call = {run_part, &p};
    (void)arg;
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_race(&call, 1, NULL, NULL, NULL, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(atomic_load(&p.began), 0);
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_map(4, 2, tallies, &calls, NULL, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(atomic_load(&calls), 0);
    pirn_task *task = start_part(&p);
    support_until(&p.began, 1);
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_wait_for(task, NULL, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_cancelling(task), 1); /* once for once */
    CHECK_EQ(support_join(task), -ECANCELED);
    task = start_part(&late);
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_wait_for(task, NULL, PIRN_NOW), -ECANCELED);
    CHECK_EQ(support_join(task), -ECANCELED);
    return pirn_yield();
}

START_TEST(a85_pending_at_the_call)
{
    run_everywhere(pending_at_the_call);
}
END_TEST

/* Asked to end, and out of time: -ECANCELED, and that was it. */
static int asked_and_expired(void *arg)
{
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    (void)arg;
    CHECK_OK(pirn_timeout_enter(&t, PIRN_NOW));
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_OK(pirn_cancel(pirn_current(), NULL)); /* not told inside */
    CHECK_EQ(pirn_timeout_leave(&t, -ECANCELED), -ECANCELED);
    CHECK_OK(pirn_yield());
    t = (pirn_timeout)PIRN_TIMEOUT_INIT;
    CHECK_OK(pirn_cancel(pirn_current(), NULL)); /* before, told inside */
    CHECK_OK(pirn_timeout_enter(&t, PIRN_NOW));
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&t, -ECANCELED), -ECANCELED);
    CHECK_OK(pirn_yield());
    t = (pirn_timeout)PIRN_TIMEOUT_INIT;
    CHECK_OK(pirn_timeout_enter(&t, PIRN_NOW));
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_timeout_leave(&t, 3), 3); /* a value: the request waits */
    CHECK_EQ(pirn_yield(), -ECANCELED);
    return pirn_yield();
}

static int asks_itself(void *arg)
{
    (void)arg;
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    return pirn_sleep(PIRN_NEVER);
}

/* What a shield hides has not come yet. */
static int hidden_request(void *arg)
{
    (void)arg;
    CHECK_OK(pirn_shield_enter());
    CHECK_EQ(pirn_with_timeout(asks_itself, NULL, pirn_after_ms(1)), -ETIMEDOUT);
    CHECK_OK(pirn_yield());
    CHECK_OK(pirn_shield_leave());
    CHECK_EQ(pirn_yield(), -ECANCELED);
    return pirn_yield();
}

START_TEST(a88_asked_and_expired)
{
    run_everywhere(asked_and_expired);
    run_everywhere(hidden_request);
}
END_TEST

/* ---- Circles --------------------------------------------------------------------------------- */

struct circle {
    _Atomic(pirn_awaitable *) of; /* known only once the task may have begun */
    int rc;
};

static int awaits(void *arg)
{
    struct circle *c = arg;
    while (atomic_load(&c->of) == NULL)
        CHECK_OK(pirn_yield());
    c->rc = pirn_await(c->of, NULL, PIRN_NEVER);
    return c->rc;
}

/* Not among its awaiters. */
static void sleep_until_done(pirn_task *task)
{
    while (!pirn_done(task))
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
}

static int circles(void *arg)
{
    struct circle self = {NULL, 0}, a = {NULL, 0}, b = {NULL, 0};
    pirn_task *task;
    (void)arg;
    CHECK_OK(pirn_coroutine_new(&task, NULL, awaits, &self)); /* awaits a gather of itself */
    pirn_awaitable *nested[] = {gather(&task, 1, PIRN_COLLECT)};
    self.of = gather(nested, 1, 0);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    sleep_until_done(task);
    CHECK_EQ(support_join(task), -ECANCELED);
    CHECK_OK(pirn_await(self.of, NULL, PIRN_NEVER));
    CHECK_OK(pirn_release(self.of));
    CHECK_OK(pirn_release(nested[0]));
    pirn_task *one, *two; /* two that await each other */
    CHECK_OK(pirn_coroutine_new(&one, NULL, awaits, &a));
    CHECK_OK(pirn_coroutine_new(&two, NULL, awaits, &b));
    a.of = two;
    b.of = one;
    CHECK_OK(pirn_start(one));
    support_until_waiting(one);
    support_until_waiting(two);
    CHECK_OK(pirn_cancel(one, NULL));
    sleep_until_done(one); /* both end; who of them is told is not said */
    sleep_until_done(two);
    CHECK_OK(pirn_release(one));
    CHECK_OK(pirn_release(two));
    CHECK(a.rc == -ECANCELED || b.rc == -ECANCELED);
    return 0;
}

START_TEST(a76_circles)
{
    run_everywhere(circles);
}
END_TEST

/* ---- Depth ----------------------------------------------------------------------------------- */

/* Gathers in gathers take no stack, whether they end, are cancelled, or go. */
static int chain(void *arg)
{
    enum {
        DEPTH = 20000
    };
    (void)arg;
    for (int how = 0; how < 4; how++) {
        pirn_future *f = new_future(), *side = set_future(0);
        pirn_awaitable *top = pirn_retain(f);
        for (int i = 0; i < DEPTH; i++) {
            pirn_awaitable *items[2] = {how & 1 ? top : side, how & 1 ? side : top};
            pirn_awaitable *g = gather(items, 2, 0);
            CHECK_OK(pirn_release(top));
            top = g;
        }
        if (how < 2)
            CHECK_OK(pirn_future_set(f, 0, NULL));
        else
            CHECK_OK(pirn_cancel(top, "enough"));
        int status;
        CHECK_OK(pirn_await(top, &status, PIRN_NEVER));
        CHECK_EQ(status, how < 2 ? 0 : -ECANCELED);
        CHECK_OK(pirn_release(top));
        CHECK_OK(pirn_release(f));
        CHECK_OK(pirn_release(side));
    }
    return 0;
}

/* Many ways lead down, one cancel. */
static int diamonds(void *arg)
{
    enum {
        DEPTH = 40
    };
    struct part p = {.ms = FOR_EVER, .cleanup_ms = 2};
    pirn_task *task = start_part(&p);
    pirn_awaitable *top = pirn_retain(task);
    (void)arg;
    support_until(&p.began, 1);
    for (int i = 0; i < DEPTH; i++) {
        pirn_awaitable *sides[2] = {gather(&top, 1, 0), gather(&top, 1, 0)};
        pirn_awaitable *g = gather(sides, 2, 0);
        CHECK_OK(pirn_release(top));
        release_all(sides, 2);
        top = g;
    }
    CHECK_OK(pirn_cancel(top, NULL));
    CHECK_LE(pirn_cancelling(task), 2); /* by the two sides of the lowest */
    CHECK_OK(pirn_join(top, NULL, PIRN_NEVER));
    CHECK_EQ(support_join(task), -ECANCELED);
    return 0;
}

START_TEST(a76_chain)
{
    run_everywhere(chain);
    run_everywhere(diamonds);
}
END_TEST

/* ---- wait_for behind every shield there can be ----------------------------------------------- */

static int all_shields(void *arg)
{
    struct part p = {.ms = FOR_EVER, .cleanup_ms = 3};
    int n = 0;
    (void)arg;
    pirn_task *task = start_part(&p);
    support_until(&p.began, 1);
    while (pirn_shield_enter() == 0)
        n++;
    CHECK_EQ(n, 255);
    CHECK_EQ(pirn_wait_for(task, NULL, pirn_after_ms(1)), -ETIMEDOUT);
    CHECK(pirn_done(task));
    while (n-- > 0)
        CHECK_OK(pirn_shield_leave());
    CHECK_EQ(support_join(task), -ECANCELED);
    return 0;
}

START_TEST(a82_all_shields)
{
    run_everywhere(all_shields);
}
END_TEST

/* ---- What a gather hid ----------------------------------------------------------------------- */

/* Nobody looked at the gather, or the shield, so nobody has looked at what failed in it. */
static int dropped(void *arg)
{
    (void)arg;
    pirn_task *task = support_spawn_named("unseen", returns, (void *)(intptr_t)-EIO);
    pirn_awaitable *g = gather(&task, 1, 0), *s = NULL;
    CHECK_OK(pirn_release(task));
    while (!pirn_done(g))
        CHECK_OK(pirn_yield());
    CHECK_OK(pirn_release(g));
    task = support_spawn_named("unseen", returns, (void *)(intptr_t)-EIO);
    CHECK_OK(pirn_shield(&s, task));
    CHECK_OK(pirn_release(task));
    while (!pirn_done(s))
        CHECK_OK(pirn_yield());
    CHECK_OK(pirn_release(s));
    for (int i = 0; i < 2; i++) { /* and here somebody has */
        task = support_spawn_named("seen-one", returns, (void *)(intptr_t)-EIO);
        g = gather(&task, 1, 0);
        CHECK_OK(i ? pirn_shield(&s, g) : pirn_gather(&s, &g, 1, PIRN_COLLECT));
        CHECK_OK(pirn_release(task));
        CHECK_OK(pirn_release(g));
        CHECK_OK(pirn_join(s, NULL, PIRN_NEVER));
    }
    return 0;
}

START_TEST(a73_nobody_looked)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &report, dropped, NULL));
        CHECK_EQ(support_reported(&report, "unseen"), 2);
        CHECK_EQ(support_reported(&report, "seen-one"), 0);
    }
}
END_TEST

/* ---- map ------------------------------------------------------------------------------------- */

static atomic_int open_now;

static void closes(void *arg, int status)
{
    (void)arg;
    (void)status;
    atomic_fetch_sub(&open_now, 1);
}

static int defers(size_t i, void *arg)
{
    (void)arg;
    CHECK_LE(atomic_fetch_add(&open_now, 1), 1);
    CHECK_OK(pirn_defer(closes, NULL));
    return (int)i;
}

static int map_cleans_up(void *arg)
{
    (void)arg;
    atomic_store(&open_now, 0);
    CHECK_OK(pirn_map(100, 2, defers, NULL, NULL, PIRN_NEVER));
    CHECK_EQ(atomic_load(&open_now), 0);
    /* so many that their size is no number any more */
    CHECK_EQ(pirn_map(SIZE_MAX / 8 + 2, 0, defers, NULL, NULL, PIRN_NEVER), -ENOMEM);
    return 0;
}

/* Cancels all but itself and the one that maps, once that has begun. */
static int cancels_others(void *arg)
{
    pirn_task *tasks[16];
    int n = 0;
    for (int tries = 0; tries < 100 && n < 2 + 3; tries++) {
        n = pirn_tasks(tasks, 16);
        CHECK_LE(n, 16);
        for (int i = 0; i < n; i++) {
            if (tasks[i] != pirn_current() && tasks[i] != arg) {
                int rc = pirn_cancel(tasks[i], NULL);
                CHECK(rc == 0 || rc == -EALREADY); /* a spare ran it, while we had no core */
            }
            CHECK_OK(pirn_detach(tasks[i]));
        }
        CHECK_OK(pirn_yield());
    }
    return n;
}

/* All that would take its numbers are gone: it does not say that all is done. */
static int runners_are_cancelled(void *arg)
{
    atomic_int calls = 0;
    (void)arg;
    pirn_task *task = support_spawn(cancels_others, pirn_current());
    int rc = pirn_map(10, 3, tallies, &calls, NULL, PIRN_NEVER);
    CHECK_GE(support_join(task), 2);
    CHECK(rc == -ECANCELED || (rc == 0 && atomic_load(&calls) == 10));
    return rc;
}

START_TEST(map_is_not_done_without_runners)
{
    int seen = 0;
    run_everywhere(map_cleans_up);
    for (int i = 0; i < 20; i++)
        seen += support_run(1, runners_are_cancelled, NULL) == -ECANCELED;
    CHECK(seen > 0 || support_slow());
}
END_TEST

SUPPORT_MAIN("asyncio/combine_hostile", a69_twice_the_same_is_cancelled_once, a73_nobody_looked,
             a76_chain, a76_circles, a82_all_shields, a85_pending_at_the_call,
             a88_asked_and_expired, map_is_not_done_without_runners)
