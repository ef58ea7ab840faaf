/*
 * Futures: set once, by anyone; who awaits one, and who leaves; errors nobody reads.
 */
#include "tests/race/rounds.h"

static pirn_future *new_future(void)
{
    pirn_future *future;
    CHECK_OK(pirn_future_new(&future));
    return future;
}

static int awaits(void *arg)
{
    int status = -12345;
    int rc = pirn_await(arg, &status, PIRN_NEVER);
    return rc != 0 ? rc - 1000 : status;
}

static void *awaits_on_thread(void *arg)
{
    int status = -12345;
    CHECK_OK(pirn_await(arg, &status, PIRN_NEVER));
    return (void *)(intptr_t)status;
}

/* ---- A41, A42 ---------------------------------------------------------------------------- */

enum {
    SETTERS = 8
};

struct setting {
    support_barrier meet, done;
    _Atomic(pirn_future *) future;
    atomic_int won, over, dropped, cancelled;
    struct setter {
        struct setting *s;
        int id, rc;
        bool cancels;
    } setters[SETTERS];
};

static void drop(void *value)
{
    atomic_fetch_add((atomic_int *)value, 1);
}

static void *settle(void *arg)
{
    struct setter *me = arg;
    struct setting *s = me->s;
    for (;;) {
        support_meet(&s->meet);
        if (atomic_load(&s->over))
            return NULL;
        pirn_future *future = atomic_load(&s->future);
        me->rc = me->cancels ? pirn_cancel(future, "race")
                             : pirn_future_set_owned(future, me->id, &s->dropped, drop);
        if (me->rc == 0)
            atomic_fetch_add(&s->won, 1);
        support_meet(&s->done);
    }
}

static int settle_at_once(void *arg)
{
    struct setting s = {.meet = {.n = SETTERS + 1}, .done = {.n = SETTERS + 1}};
    pthread_t threads[SETTERS];
    int rounds = *(int *)arg, cancelled = 0, i = 0;
    int64_t began = support_now();
    for (int k = 0; k < SETTERS; k++) {
        s.setters[k] = (struct setter){&s, k, 0, k >= SETTERS / 2};
        threads[k] = support_thread(settle, &s.setters[k]);
    }
    for (; rounds_go_on(began, i, rounds); i++) {
        pirn_future *future = new_future();
        atomic_store(&s.future, future);
        atomic_store(&s.won, 0);
        atomic_store(&s.dropped, 0);
        pirn_task *waiter = support_spawn(awaits, future);
        CHECK_OK(pirn_yield());
        support_meet(&s.meet);
        support_meet(&s.done);
        CHECK_EQ(atomic_load(&s.won), 1); /* exactly one */
        int status = support_join(waiter);
        CHECK_EQ(pirn_status(future), status);
        for (int k = 0; k < SETTERS; k++) {
            if (s.setters[k].rc == 0)
                CHECK_EQ(status, s.setters[k].cancels ? -ECANCELED : k);
            else
                CHECK_EQ(s.setters[k].rc, -EALREADY);
        }
        /* Who came too late has kept its value, and its reason. */
        CHECK((pirn_reason(future) != NULL) == (status == -ECANCELED));
        CHECK((pirn_value(future) != NULL) == (status >= 0));
        CHECK_EQ(atomic_load(&s.dropped), 0);
        CHECK_OK(pirn_release(future));
        CHECK_EQ(atomic_load(&s.dropped), status >= 0);
        cancelled += status == -ECANCELED;
    }
    atomic_store(&s.over, 1);
    support_meet(&s.meet);
    for (int k = 0; k < SETTERS; k++)
        support_thread_join(threads[k]);
    rounds_saw_both(cancelled, i);
    return 0;
}

START_TEST(a41_one_of_eight_settles)
{
    int rounds = support_rounds(6000) / 3;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, settle_at_once, &rounds));
}
END_TEST

static void cancel_and_settle(void)
{
    int one = 1, two = 2, status = -12345;
    void *value = NULL;
    pirn_future *future = new_future();
    CHECK_EQ(pirn_status(future), -EINPROGRESS);
    CHECK_EQ(pirn_future_set(future, -EINPROGRESS, NULL), -EINVAL);
    CHECK(!pirn_done(future) && pirn_value(future) == NULL);
    CHECK_OK(pirn_cancel(future, NULL));
    CHECK_EQ(pirn_status(future), -ECANCELED);
    CHECK_EQ(pirn_future_set(future, 1, &one), -EALREADY);
    CHECK_EQ(pirn_cancel(future, NULL), -EALREADY);
    CHECK_OK(pirn_await(future, &status, PIRN_NEVER));
    CHECK_EQ(status, -ECANCELED);
    CHECK_OK(pirn_release(future));
    future = new_future();
    CHECK_OK(pirn_future_set(future, 1, &one));
    CHECK_EQ(pirn_cancel(future, "late"), -EALREADY);
    CHECK_EQ(pirn_future_set(future, 2, &two), -EALREADY);
    CHECK_OK(pirn_future_await(future, &status, &value, PIRN_NEVER));
    CHECK(status == 1 && value == &one); /* kept */
    CHECK(pirn_reason(future) == NULL);
    CHECK_OK(pirn_release(future));
}

START_TEST(a42_cancel_or_value)
{
    support_everywhere(cancel_and_settle);
}
END_TEST

/* ---- A47 --------------------------------------------------------------------------------- */

static int one_leaves(void *arg)
{
    pirn_future *future = new_future();
    pirn_task *first = support_spawn(awaits, future), *second = support_spawn(awaits, future),
              *sole;
    (void)arg;
    support_until_waiting(first);
    support_until_waiting(second);
    CHECK_OK(pirn_cancel(first, NULL));
    CHECK_EQ(support_join(first), -ECANCELED - 1000);
    CHECK_EQ(pirn_status(future), -EINPROGRESS); /* it goes on, also with one awaiter */
    CHECK_EQ(pirn_status(second), -EINPROGRESS);
    CHECK_OK(pirn_cancel(second, NULL));
    CHECK_EQ(support_join(second), -ECANCELED - 1000);
    CHECK_EQ(pirn_status(future), -EINPROGRESS);
    /* A task's awaiters: one of two leaves, the last one takes it with it. */
    pirn_task *task = support_spawn(awaits, future);
    support_until_waiting(task);
    first = support_spawn(awaits, task);
    sole = support_spawn(awaits, task);
    support_until_waiting(first);
    support_until_waiting(sole);
    CHECK_OK(pirn_cancel(first, NULL));
    CHECK_EQ(support_join(first), -ECANCELED - 1000);
    CHECK_EQ(pirn_status(task), -EINPROGRESS);
    CHECK_OK(pirn_cancel(sole, NULL));
    CHECK_EQ(support_join(sole), -ECANCELED - 1000);
    CHECK_EQ(support_join(task), -ECANCELED - 1000);
    CHECK_OK(pirn_release(future));
    return 0;
}

START_TEST(a47_who_leaves_takes_no_future_along)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(50); i++)
        CHECK_OK(support_run(w, one_leaves, NULL));
}
END_TEST

/* ---- A48 --------------------------------------------------------------------------------- */

static int unread_errors(void *arg)
{
    pirn_future *future = new_future();
    (void)arg;
    CHECK_OK(pirn_future_set(future, -EXDEV, NULL)); /* unread: heard with the last reference */
    CHECK(pirn_retain(future) == future);
    CHECK(pirn_done(future));
    CHECK_OK(pirn_release(future));
    CHECK_OK(pirn_release(future));
    future = new_future(); /* read, each way once */
    CHECK_OK(pirn_future_set(future, -ENOTTY, NULL));
    CHECK_EQ(pirn_status(future), -ENOTTY);
    CHECK_OK(pirn_release(future));
    future = new_future();
    CHECK_OK(pirn_future_set(future, -ENOTTY, NULL));
    CHECK_OK(pirn_await(future, NULL, PIRN_NEVER));
    CHECK_OK(pirn_release(future));
    future = new_future(); /* a cancel is no error */
    CHECK_OK(pirn_cancel(future, NULL));
    CHECK_OK(pirn_release(future));
    future = new_future(); /* nor is one that was never set */
    CHECK_OK(pirn_release(future));
    return 0;
}

START_TEST(a48_unread_errors_are_heard_once)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &report, unread_errors, NULL));
        CHECK_EQ(support_reported(&report, "future"), 1);
        CHECK_EQ(support_reported(&report, "-18"), 1);
    }
}
END_TEST

/* ---- A49 --------------------------------------------------------------------------------- */

static void *set_on_thread(void *arg)
{
    CHECK_OK(pirn_future_set(arg, 49, NULL));
    return NULL;
}

static int set_in_coroutine(void *arg)
{
    CHECK_OK(pirn_future_set(arg, 49, NULL));
    return 0;
}

static void set_when_done(pirn_awaitable *awaitable, void *user)
{
    (void)awaitable;
    CHECK_OK(pirn_future_set(user, 49, NULL));
}

static int set_from_everywhere(void *arg)
{
    (void)arg;
    for (int from = 0; from < 6; from++) {
        pirn_future *future = new_future(), *other;
        pirn_task *waiter = support_spawn(awaits, future);
        pthread_t plain = support_thread(awaits_on_thread, future), setter;
        bool threads = false;
        support_until_waiting(waiter);
        switch (from) {
        case 0:
            CHECK_OK(pirn_future_set(future, 49, NULL));
            break;
        case 1:
            setter = support_thread(set_on_thread, future);
            threads = true;
            break;
        case 2:
            CHECK_OK(pirn_blocking(set_in_coroutine, future, NULL, PIRN_NEVER));
            break;
        case 3:
            CHECK_OK(pirn_call_at(NULL, NULL, set_in_coroutine, future, pirn_after_us(300)));
            break;
        case 4:
            CHECK_OK(pirn_call_soon(NULL, NULL, set_in_coroutine, future));
            break;
        default:
            other = new_future();
            CHECK_OK(pirn_add_done_callback(other, NULL, set_when_done, future));
            CHECK_OK(pirn_cancel(other, NULL));
            CHECK_OK(pirn_release(other));
        }
        CHECK_EQ(support_join(waiter), 49);
        CHECK_EQ(awaits(future), 49);
        CHECK_EQ((intptr_t)support_thread_result(plain), 49);
        if (threads)
            support_thread_join(setter);
        CHECK_OK(pirn_release(future));
    }
    return 0;
}

START_TEST(a49_set_from_anywhere)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(30); i++)
        CHECK_OK(support_run(w, set_from_everywhere, NULL));
}
END_TEST

SUPPORT_MAIN("future", a41_one_of_eight_settles, a42_cancel_or_value,
             a47_who_leaves_takes_no_future_along, a48_unread_errors_are_heard_once,
             a49_set_from_anywhere)
