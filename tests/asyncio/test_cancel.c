/*
 * Cancels: delivered once, passed on, absorbed, forgotten. Counts: test_cancel_count.c.
 */
#include "tests/support.h"

static int sleeps(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

/* ---- A50 --------------------------------------------------------------------------------- */

static void *cancel_on_thread(void *arg)
{
    CHECK_OK(pirn_cancel(arg, "thread"));
    return NULL;
}

static int cancel_in_call(void *arg)
{
    CHECK_OK(pirn_cancel(arg, "call"));
    return 0;
}

static void cancel_when_done(pirn_awaitable *awaitable, void *user)
{
    (void)awaitable;
    CHECK_OK(pirn_cancel(user, "callback"));
}

static int cancel_from_everywhere(void *arg)
{
    (void)arg;
    for (int from = 0; from < 4; from++) {
        pirn_task *task = support_spawn(sleeps, NULL);
        pirn_future *future;
        if (from != 0) /* or before it begins */
            support_until_waiting(task);
        switch (from) {
        case 0:
            CHECK_OK(pirn_cancel(task, "coroutine"));
            break;
        case 1:
            support_thread_join(support_thread(cancel_on_thread, task));
            break;
        case 2:
            CHECK_OK(pirn_call_soon(NULL, NULL, cancel_in_call, task));
            break;
        default:
            CHECK_OK(pirn_future_new(&future));
            CHECK_OK(pirn_add_done_callback(future, NULL, cancel_when_done, task));
            CHECK_OK(pirn_future_set(future, 0, NULL));
            pirn_release(future);
        }
        CHECK_EQ(support_join(pirn_retain(task)), -ECANCELED);
        CHECK_EQ(pirn_cancel(task, "late"), -EALREADY);
        CHECK_EQ(support_join(task), -ECANCELED);
    }
    return 0;
}

START_TEST(a50_from_anywhere)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(100); i++)
        CHECK_OK(support_run(w, cancel_from_everywhere, NULL));
}
END_TEST

/* ---- A52, A53, A55, A56 ------------------------------------------------------------------ */

static int absorbs(void *arg)
{
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_cancelling(NULL), 1); /* the query stays true */
    CHECK_OK(pirn_sleep(pirn_after_us(100)));
    CHECK_OK(pirn_yield());
    CHECK_EQ(pirn_cancelling(NULL), 1);
    return (int)(intptr_t)arg;
}

static int ignores_all(void *arg)
{
    atomic_int *state = arg;
    int rc;
    atomic_store(state, 1);
    do
        rc = pirn_sleep(pirn_after_s(1000));
    while (rc != -ESHUTDOWN);
    atomic_store(state, 2);
    return rc;
}

static int absorb(void *arg)
{
    pirn_task *task = support_spawn(absorbs, (void *)42),
              *stubborn = support_spawn(ignores_all, arg);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), 42);
    support_until_waiting(stubborn);
    CHECK_OK(pirn_detach(stubborn));
    return 0;
}

START_TEST(a52_once_for_each_request)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        atomic_int state = 0;
        pirn_config config = support_reporting(w, &report);
        config.grace.ns = 20 * MS;
        CHECK_OK(support_run_with(&config, absorb, &state)); /* it ends at shutdown all the same */
        CHECK_EQ(atomic_load(&state), 2);
    }
}
END_TEST

static int absorb_42(void *arg)
{
    pirn_task *task = support_spawn(absorbs, (void *)42);
    (void)arg;
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(pirn_retain(task)), 42);
    CHECK_EQ(pirn_status(task), 42);
    CHECK_OK(pirn_release(task));
    return 0;
}

START_TEST(a53_absorbed_is_not_cancelled)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(100); i++)
        CHECK_OK(support_run(w, absorb_42, NULL));
}
END_TEST

static int cancels_itself(void *arg)
{
    pirn_task *child = arg;
    int status = -12345;
    CHECK_OK(pirn_cancel(pirn_current(), "own"));
    CHECK_EQ(pirn_cancelling(NULL), 1); /* nothing until the next suspend */
    CHECK_EQ(pirn_await(child, &status, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(status, -12345);
    CHECK_OK(pirn_await(child, &status, PIRN_NEVER)); /* the child was cancelled too */
    CHECK_EQ(status, -ECANCELED);
    CHECK(strcmp(pirn_reason(child), "own") == 0);
    CHECK_OK(pirn_release(child));
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    return pirn_sleep(PIRN_NEVER);
}

static int self_cancel(void *arg)
{
    pirn_spawn_config later = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *child = support_spawn(sleeps, NULL);
    (void)arg;
    support_until_waiting(child);
    CHECK_EQ(support_join(support_spawn(cancels_itself, child)), -ECANCELED);
    child = support_spawn(sleeps, NULL); /* perhaps not begun */
    CHECK_EQ(support_join(support_spawn(cancels_itself, child)), -ECANCELED);
    CHECK_OK(pirn_coroutine_new(&child, &later, sleeps, NULL));
    CHECK_EQ(support_join(support_spawn(cancels_itself, child)), -ECANCELED);
    return 0;
}

START_TEST(a55_its_own_cancel)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(100); i++)
        CHECK_OK(support_run(w, self_cancel, NULL));
}
END_TEST

static int ends_with_a_value(void *arg)
{
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    return (int)(intptr_t)arg;
}

static int value_wins(void *arg)
{
    (void)arg;
    for (int v = 0; v < 3; v++)
        CHECK_EQ(support_join(support_spawn(ends_with_a_value, (void *)(intptr_t)v)), v);
    CHECK_EQ(support_join(support_spawn(ends_with_a_value, (void *)(intptr_t)-EIO)), -EIO);
    return ends_with_a_value((void *)56); /* main's too */
}

START_TEST(a56_the_value_wins)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(100); i++)
        CHECK_EQ(support_run(w, value_wins, NULL), 56);
}
END_TEST

/* ---- A59, A60, A61 ----------------------------------------------------------------------- */

static int passes_up(void *arg)
{
    int status = -12345;
    CHECK_OK(pirn_await(arg, &status, PIRN_NEVER));
    return status;
}

static int unasked(void *arg)
{
    pirn_task *child = support_spawn(sleeps, NULL), *parent = support_spawn(passes_up, child);
    (void)arg;
    support_until_waiting(parent);
    CHECK_OK(pirn_cancel(child, "singly"));
    CHECK_EQ(support_join(pirn_retain(parent)), -ECANCELED);
    CHECK_EQ(pirn_cancelling(parent), 0); /* nobody asked it to end */
    CHECK_OK(pirn_release(parent));
    CHECK_OK(pirn_release(child));
    parent = support_spawn_named("unread", sleeps, NULL); /* nor is one that nobody reads */
    CHECK_OK(pirn_cancel(parent, NULL));
    CHECK_OK(pirn_detach(parent));
    return 0;
}

START_TEST(a59_recorded_as_cancelled_not_reported)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &report, unasked, NULL));
        CHECK_EQ(report.used, 0);
    }
}
END_TEST

struct line { /* outer awaits inner awaits leaf */
    bool absorbs;
    atomic_int leaf, turn;
    pirn_task *inner;
    int leaf_turn, inner_turn, outer_turn;
};

static int leaf(void *arg)
{
    struct line *l = arg;
    atomic_store(&l->leaf, 1);
    int rc = pirn_sleep(PIRN_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK(strcmp(pirn_cancel_reason(), "line") == 0);
    CHECK_OK(pirn_sleep(pirn_after_us(200)));
    l->leaf_turn = atomic_fetch_add(&l->turn, 1);
    return rc;
}

static int inner(void *arg)
{
    struct line *l = arg;
    int status = -12345;
    l->inner = pirn_current();
    pirn_task *task = support_spawn(leaf, l);
    int rc = pirn_await(task, &status, PIRN_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK(pirn_done(task)); /* it did not come back before */
    CHECK_OK(pirn_release(task));
    CHECK_OK(pirn_yield());
    l->inner_turn = atomic_fetch_add(&l->turn, 1);
    return l->absorbs ? 60 : rc;
}

static int outer(void *arg)
{
    struct line *l = arg;
    int status = -12345;
    pirn_task *task = support_spawn(inner, l);
    if (support_between(0, 1) != 0)
        CHECK_OK(pirn_yield()); /* else it may be called on this stack */
    int rc = pirn_await(task, &status, PIRN_NEVER);
    CHECK_EQ(rc, l->absorbs ? 0 : -ECANCELED);
    CHECK_EQ(status, l->absorbs ? 60 : -12345);
    CHECK_EQ(pirn_status(task), l->absorbs ? 60 : -ECANCELED);
    CHECK_OK(pirn_release(task));
    CHECK_OK(pirn_yield()); /* it was delivered below, and is not pending here */
    l->outer_turn = atomic_fetch_add(&l->turn, 1);
    return rc;
}

static int down_the_line(void *arg)
{
    for (int round = 0; round < 4; round++) {
        struct line l = {.absorbs = round % 2 != 0};
        pirn_task *task = support_spawn(outer, &l);
        support_until(&l.leaf, 1);
        support_until_waiting(l.inner);
        support_until_waiting(task);
        CHECK_OK(pirn_cancel(task, "line"));
        CHECK_EQ(support_join(task), l.absorbs ? 0 : -ECANCELED);
        CHECK(l.leaf_turn == 0 && l.inner_turn == 1 && l.outer_turn == 2);
    }
    return *(int *)arg;
}

START_TEST(a60_the_leaf_stops_first)
{
    int value = 1;
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(50); i++)
        CHECK_EQ(support_run(w, down_the_line, &value), 1);
}
END_TEST

static int reads_reason(void *arg)
{
    CHECK(pirn_cancel_reason() == NULL);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK(pirn_cancel_reason() == arg);
    return -ECANCELED;
}

static int give_reasons(void *arg)
{
    static const char why[] = "why";
    pirn_task *task = support_spawn(reads_reason, (void *)why);
    pirn_future *future;
    (void)arg;
    CHECK(pirn_reason(task) == NULL);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, why));
    CHECK_EQ(support_join(pirn_retain(task)), -ECANCELED);
    CHECK(pirn_reason(task) == why);
    CHECK_EQ(pirn_cancel(task, "another"), -EALREADY);
    CHECK(pirn_reason(task) == why);
    CHECK_OK(pirn_release(task));
    CHECK_OK(pirn_future_new(&future));
    CHECK_OK(pirn_cancel(future, why));
    CHECK(pirn_reason(future) == why);
    CHECK_EQ(pirn_cancel(future, "another"), -EALREADY);
    CHECK(pirn_reason(future) == why);
    pirn_release(future);
    return 0;
}

START_TEST(a61_the_reason_is_read)
{
    CHECK(pirn_reason(NULL) == NULL);
    CHECK(pirn_cancel_reason() == NULL);
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(50); i++)
        CHECK_OK(support_run(w, give_reasons, NULL));
}
END_TEST

SUPPORT_MAIN("cancel", a50_from_anywhere, a52_once_for_each_request, a53_absorbed_is_not_cancelled,
             a55_its_own_cancel, a56_the_value_wins, a59_recorded_as_cancelled_not_reported,
             a60_the_leaf_stops_first, a61_the_reason_is_read)
