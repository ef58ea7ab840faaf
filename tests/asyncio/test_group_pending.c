/*
 * A scope whose children fail while its opener is to end: the failure is reported, and what the
 * opener has been asked is neither lost nor made up.
 */
#include "tests/support.h"

/* Cancelled, it fails. */
static int spoils(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    return -EIO;
}

/* Opens a scope and waits for a child in it, which has begun. */
static int wait_in_scope(void *arg)
{
    atomic_int begun = 0;
    pirn_scope *scope;
    (void)arg;
    CHECK_OK(pirn_scope_open(&scope, 0));
    CHECK_OK(pirn_shield_enter());
    CHECK_OK(pirn_scope_spawn(scope, spoils, &begun, PIRN_NEVER));
    support_until(&begun, 1);
    CHECK_OK(pirn_shield_leave());
    return pirn_scope_close(scope, PIRN_NEVER);
}

/* Asked before the scope was there, and told in its wait. */
static int asked_before(void *arg)
{
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(wait_in_scope(arg), -EIO);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_OK(pirn_yield());
    return 0;
}

/* A timeout around it is no request: when that has been left, nothing is pending. */
static int out_of_time(void *arg)
{
    CHECK_EQ(pirn_with_timeout(wait_in_scope, arg, pirn_after_ms(2)), -EIO);
    CHECK_OK(pirn_yield());
    return 0;
}

START_TEST(a102_what_was_asked_before_is_pending)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, asked_before, NULL));
}
END_TEST

START_TEST(a102_a_timeout_leaves_nothing)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, out_of_time, NULL));
}
END_TEST

SUPPORT_MAIN("asyncio/group_pending", a102_what_was_asked_before_is_pending,
             a102_a_timeout_leaves_nothing)
