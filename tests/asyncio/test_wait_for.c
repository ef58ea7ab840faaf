/*
 * wait_for, which takes what it waits for along, and shield, which keeps it from that.
 */
#include "parts.h"

/* ---- A82 ------------------------------------------------------------------------------------- */

static int too_slow(void *arg)
{
    struct part p = {.ms = FOR_EVER, .cleanup_ms = 5};
    int status = 77;
    (void)arg;
    pirn_task *task = start_part(&p);
    support_until(&p.began, 1);
    CHECK_EQ(pirn_wait_for(task, &status, pirn_after_ms(2)), -ETIMEDOUT);
    CHECK(pirn_done(task)); /* slow cleanup included */
    CHECK_EQ(atomic_load(&p.ended), 1);
    CHECK_EQ(status, 77);
    CHECK_EQ(support_join(task), -ECANCELED);
    struct part absorbs = {.ms = FOR_EVER, .status = 42, .absorbs = true};
    task = start_part(&absorbs); /* if it ends with a value, that is had */
    support_until(&absorbs.began, 1);
    CHECK_OK(pirn_wait_for(task, &status, pirn_after_ms(2)));
    CHECK_EQ(status, 42);
    CHECK_EQ(support_join(task), 42);
    struct part quick = {.ms = 1, .status = -EIO};
    task = start_part(&quick);
    CHECK_OK(pirn_wait_for(task, &status, pirn_after_s(1000)));
    CHECK_EQ(status, -EIO);
    CHECK_OK(pirn_release(task));
    return 0;
}

static void future_too_slow(void)
{
    pirn_future *f = new_future();
    int status = 77;
    CHECK_EQ(pirn_wait_for(f, &status, pirn_after_ms(1)), -ETIMEDOUT);
    CHECK_EQ(pirn_status(f), -ECANCELED);
    CHECK_OK(pirn_wait_for(f, &status, pirn_after_ms(1))); /* it has ended, with that */
    CHECK_EQ(status, -ECANCELED);
    CHECK_OK(pirn_release(f));
    CHECK_EQ(pirn_wait_for(NULL, &status, PIRN_NEVER), -EINVAL);
}

static int waits_for_itself(void *arg)
{
    (void)arg;
    return pirn_wait_for(pirn_current(), NULL, PIRN_NEVER);
}

START_TEST(a82_deadline)
{
    run_everywhere(too_slow);
    support_everywhere(future_too_slow);
    CHECK_EQ(support_run(1, waits_for_itself, NULL), -EDEADLK);
}
END_TEST

/* ---- A84: no time at all --------------------------------------------------------------------- */

static int no_time(void *arg)
{
    struct part p = {.status = 4}, slow = {.ms = FOR_EVER}, never = {.ms = 0};
    int status = 77;
    pirn_task *task = start_part(&p);
    (void)arg;
    CHECK_OK(pirn_await(task, NULL, PIRN_NEVER));
    CHECK_OK(pirn_wait_for(task, &status, PIRN_NOW));
    CHECK_EQ(status, 4);
    CHECK_OK(pirn_release(task));
    CHECK_OK(pirn_coroutine_new(&task, NULL, run_part, &never));
    CHECK_EQ(pirn_wait_for(task, &status, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(atomic_load(&never.began), 0);
    CHECK_OK(pirn_release(task));
    task = start_part(&slow);
    support_until(&slow.began, 1);
    CHECK_EQ(pirn_wait_for(task, &status, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(atomic_load(&slow.ended), 1);
    CHECK_EQ(support_join(task), -ECANCELED);
    return 0;
}

START_TEST(a84_no_time)
{
    run_everywhere(no_time);
}
END_TEST

/* ---- A85 ------------------------------------------------------------------------------------- */

struct waiter {
    pirn_awaitable *inner;
    pirn_time deadline;
    int status;
};

static int waits_for(void *arg)
{
    struct waiter *w = arg;
    return pirn_wait_for(w->inner, &w->status, w->deadline);
}

static int waiter_is_cancelled(void *arg)
{
    struct part p = {.ms = FOR_EVER, .cleanup_ms = 5}, plain = {.ms = 1, .status = 6};
    int status;
    pirn_task *task = start_part(&plain);
    (void)arg;
    CHECK_OK(pirn_wait_for(task, &status, PIRN_NEVER));
    CHECK_EQ(status, 6);
    CHECK_OK(pirn_release(task));
    for (int several = 0; several < 2; several++) {
        struct part inner = p;
        struct waiter w = {start_part(&inner), pirn_after_s(1000), 77};
        struct waiter other = {w.inner, PIRN_NEVER, 0};
        pirn_task *waiter = support_spawn(waits_for, &w);
        pirn_task *second = several ? support_spawn(waits_for, &other) : NULL;
        support_until_waiting(waiter);
        if (second != NULL)
            support_until_waiting(second);
        support_until(&inner.began, 1);
        CHECK_OK(pirn_cancel(waiter, NULL));
        CHECK_EQ(support_join(waiter), -ECANCELED);
        CHECK_EQ(w.status, 77);
        CHECK_EQ(atomic_load(&inner.ended), 1); /* cancelled and finished, others waiting or not */
        if (second != NULL) {
            CHECK_EQ(support_join(second), 0);
            CHECK_EQ(other.status, -ECANCELED);
        }
        CHECK_EQ(support_join(w.inner), -ECANCELED);
    }
    return 0;
}

START_TEST(a85_waiter_is_cancelled)
{
    run_everywhere(waiter_is_cancelled);
}
END_TEST

/* ---- A80: shield ----------------------------------------------------------------------------- */

static pirn_awaitable *shield(pirn_awaitable *inner)
{
    pirn_awaitable *outer = NULL;
    CHECK_OK(pirn_shield(&outer, inner));
    return outer;
}

static int value;

static int awaits_gate(void *arg)
{
    int rc = pirn_await(arg, NULL, PIRN_NEVER);
    CHECK_OK(pirn_set_value(&value, NULL));
    return rc != 0 ? rc : 5;
}

static int shields(void *arg)
{
    int status;
    pirn_future *gate = new_future();
    (void)arg;
    pirn_task *task = support_spawn(awaits_gate, gate);
    pirn_awaitable *outer = shield(task);
    struct waiter w = {outer, PIRN_NEVER, 0};
    pirn_task *waiter = support_spawn(waits_for, &w);
    support_until_waiting(waiter);
    CHECK_OK(pirn_cancel(waiter, NULL));
    CHECK_EQ(support_join(waiter), -ECANCELED);
    CHECK_EQ(pirn_status(outer), -ECANCELED);
    CHECK_EQ(pirn_status(task), -EINPROGRESS);
    CHECK_OK(pirn_release(outer));
    outer = shield(task);
    CHECK_EQ(pirn_wait_for(outer, &status, pirn_after_ms(1)), -ETIMEDOUT);
    CHECK_OK(pirn_release(outer));
    outer = shield(task); /* the inner one lives, and says */
    CHECK_OK(pirn_future_set(gate, 0, NULL));
    CHECK_OK(pirn_await(outer, &status, PIRN_NEVER));
    CHECK_EQ(status, 5);
    CHECK_EQ(support_join(task), 5);
    CHECK(pirn_value(outer) == &value);
    CHECK_OK(pirn_release(outer));
    CHECK_OK(pirn_release(gate));
    return 0;
}

static void inner_is_done(void)
{
    pirn_future *f = set_future(12), *g = new_future();
    pirn_awaitable *outer = shield(f), *none = NULL;
    CHECK(pirn_done(outer));
    CHECK_EQ(pirn_status(outer), 12);
    CHECK_OK(pirn_release(outer));
    outer = shield(g);
    CHECK_OK(pirn_cancel(g, NULL)); /* the inner one itself */
    int status;
    CHECK_OK(pirn_await(outer, &status, PIRN_NEVER));
    CHECK_EQ(status, -ECANCELED);
    CHECK_EQ(pirn_shield(&none, NULL), -EINVAL);
    CHECK_EQ(pirn_shield(NULL, f), -EINVAL);
    CHECK_OK(pirn_release(outer));
    CHECK_OK(pirn_release(f));
    CHECK_OK(pirn_release(g));
}

START_TEST(a80_shield)
{
    run_everywhere(shields);
    support_everywhere(inner_is_done);
}
END_TEST

SUPPORT_MAIN("asyncio/wait_for", a80_shield, a82_deadline, a84_no_time, a85_waiter_is_cancelled)
