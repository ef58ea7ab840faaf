/*
 * A timeout, or a scope, answers for its own cancel and for no other: it says that it ended the
 * stretch only if its -ECANCELED is what the stretch ended with. (Trio's cancelled_caught.)
 */
#include "tests/asyncio/group.h"

/* ---- Timeouts ------------------------------------------------------------------------------- */

static pirn_timeout entered(pirn_time deadline)
{
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    CHECK_OK(pirn_timeout_enter(&t, deadline));
    return t;
}

static void let_come(pirn_timeout *t)
{
    while (!pirn_timeout_expired(t)) {}
}

/* The time comes, and nobody looks: what the body says is what is told. */
static int no_suspend(void *arg)
{
    int said[] = {0, 63, -EIO, -ETIMEDOUT};
    (void)arg;
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        pirn_timeout t = entered(pirn_after_us(200));
        let_come(&t);
        CHECK_EQ(pirn_timeout_leave(&t, said[i]), said[i]);
        CHECK_EQ(group_pending(), 0); /* and it is not told later */
    }
    return 0;
}

/* It was told, and the body came to an end of its own. */
static int absorbed(void *arg)
{
    (void)arg;
    pirn_timeout t = entered(pirn_after_us(200));
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&t, 0), 0);
    CHECK(pirn_timeout_expired(&t));
    CHECK_EQ(group_pending(), 0);
    return 0;
}

static int gives_up(void *arg)
{
    (void)arg;
    return -ECANCELED;
}

/* A child ended with -ECANCELED, unasked; the body passes it on before the time has come. */
static int from_a_child(void *arg)
{
    int status = 0;
    (void)arg;
    pirn_timeout t = entered(pirn_after_s(100));
    CHECK_OK(pirn_join(support_spawn(gives_up, NULL), &status, PIRN_NEVER));
    CHECK_EQ(status, -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&t, status), -ECANCELED);
    CHECK(!pirn_timeout_expired(&t));
    return 0;
}

/* The -ECANCELED is a request's, which came before; the time comes after it. */
static int from_a_request(void *arg)
{
    (void)arg;
    pirn_timeout t = entered(pirn_after_s(100));
    CHECK_OK(pirn_cancel(pirn_current(), "asked"));
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&t, -ECANCELED), -ECANCELED);
    CHECK(!pirn_timeout_expired(&t));
    t = entered(pirn_after_s(100));
    CHECK_OK(pirn_cancel(pirn_current(), "asked"));
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_timeout_reschedule(&t, PIRN_NOW));
    let_come(&t);
    CHECK_EQ(pirn_timeout_leave(&t, -ECANCELED), -ECANCELED);
    CHECK_EQ(group_pending(), 0);
    return 0;
}

/* Of two around each other the outer's cancel is not the inner's; and the inner's stays inside. */
static int from_around(void *arg)
{
    (void)arg;
    pirn_timeout outer = entered(pirn_after_us(200)), inner = entered(pirn_after_s(100));
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&inner, -ECANCELED), -ECANCELED);
    CHECK(!pirn_timeout_expired(&inner));
    CHECK_EQ(pirn_timeout_leave(&outer, -ECANCELED), -ETIMEDOUT);
    outer = entered(pirn_after_s(100)), inner = entered(pirn_after_us(200));
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&inner, -ECANCELED), -ETIMEDOUT);
    CHECK_EQ(pirn_timeout_leave(&outer, -ETIMEDOUT), -ETIMEDOUT); /* as any status */
    CHECK(!pirn_timeout_expired(&outer));
    CHECK_EQ(group_pending(), 0);
    return 0;
}

/* Moved into the past: the next call that might suspend fails, as after such an enter. */
static int to_the_past(void *arg)
{
    (void)arg;
    pirn_time past[] = {PIRN_NOW, pirn_now()};
    for (size_t i = 0; i < sizeof(past) / sizeof(past[0]); i++) {
        pirn_timeout t = entered(i == 0 ? PIRN_NEVER : pirn_after_s(3600));
        CHECK_OK(pirn_timeout_reschedule(&t, past[i]));
        CHECK(pirn_timeout_expired(&t));
        CHECK_EQ(pirn_timeout_reschedule(&t, PIRN_NEVER), -EINVAL);
        CHECK_EQ(pirn_yield(), -ECANCELED);
        CHECK_EQ(pirn_timeout_leave(&t, -ECANCELED), -ETIMEDOUT);
        CHECK_EQ(group_pending(), 0);
    }
    return 0;
}

static int timeouts(void *arg)
{
    pirn_fn each[] = {no_suspend, absorbed, from_a_child, from_a_request, from_around, to_the_past};
    for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
        CHECK_OK(each[i](arg));
    return 0;
}

/* ---- Scopes --------------------------------------------------------------------------------- */

/* Cancelled, by the body or a thread, and nobody suspends: closing it gives 0. */
static void *cancels(void *arg)
{
    CHECK_OK(pirn_scope_cancel(arg, "from a thread"));
    return NULL;
}

static int scope_no_suspend(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        struct group g = {0};
        group_open(&g, 0);
        if (i == 2)
            group_add(&g, group_patient);
        if (i == 1)
            support_thread_join(support_thread(cancels, g.scope));
        else
            CHECK_OK(pirn_scope_cancel(g.scope, "by the body"));
        CHECK_OK(pirn_scope_close(g.scope, PIRN_NEVER));
        CHECK_EQ(atomic_load(&g.ended), atomic_load(&g.started));
        CHECK_EQ(pirn_cancelling(NULL), 0);
        CHECK_EQ(group_pending(), 0);
    }
    return 0;
}

/* Its own cancel ends with it; a request that came too does not, and is told once. */
static int scope_whose(void *arg)
{
    (void)arg;
    struct group g = {0};
    group_open(&g, 0);
    CHECK_OK(pirn_scope_cancel(g.scope, NULL));
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_scope_close(g.scope, PIRN_NEVER));
    CHECK_EQ(group_pending(), 0);
    group_open(&g, 0);
    CHECK_OK(pirn_cancel(pirn_current(), "asked"));
    CHECK_EQ(pirn_scope_close(g.scope, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(group_pending(), 0);
    return 0;
}

/* The deadline of a close counts only if there was something left to wait for. */
static int scope_deadline(void *arg)
{
    (void)arg;
    struct group g = {0};
    group_open(&g, 0);
    CHECK_OK(pirn_scope_close(g.scope, PIRN_NOW));
    group_open(&g, 0);
    group_add(&g, group_patient);
    CHECK_EQ(pirn_scope_close(g.scope, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(group_pending(), 0);
    return 0;
}

static int scopes(void *arg)
{
    CHECK_OK(scope_no_suspend(arg));
    CHECK_OK(scope_whose(arg));
    return scope_deadline(arg);
}

SUPPORT_EACH(a63_timeout_answers_for_its_own_cancel, timeouts, 20)
SUPPORT_EACH(a63_scope_answers_for_its_own_cancel, scopes, 20)

SUPPORT_MAIN("asyncio/caught", a63_timeout_answers_for_its_own_cancel,
             a63_scope_answers_for_its_own_cancel)
