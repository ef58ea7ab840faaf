/*
 * What is left at a runtime's end is cancelled once, also if others that are left await it, or have
 * it in a scope: so it can clean up.
 */
#include "tests/support.h"

enum way {
    JOIN_STARTED,
    JOIN_UNSTARTED, /* on the awaiter's stack */
    JOIN_ELDER,     /* spawned before its awaiter, and so told before it */
    SCOPE,
    WAIT_FOR,
    GATHER,
    RACE,
    BY_HAND,
    WAYS
};

struct pair {
    enum way way;
    pirn_future *never;
    pirn_task *child;
    atomic_int started, ready, cleaned, over;
};

static int child(void *arg)
{
    struct pair *p = arg;
    if (p->way != JOIN_ELDER)
        p->child = pirn_retain(pirn_current());
    atomic_store(&p->started, 1);
    CHECK_EQ(pirn_future_await(p->never, NULL, NULL, PIRN_NEVER), -ECANCELED);
    CHECK(strcmp(pirn_cancel_reason(), "shutdown") == 0);
    for (int i = 0; i < 3; i++)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    support_until(&p->over, p->way == BY_HAND);
    CHECK_OK(pirn_yield());
    CHECK_EQ(pirn_cancelling(NULL), 1);
    atomic_fetch_add(&p->cleaned, 1);
    return 0;
}

static int in_scope(struct pair *p)
{
    pirn_scope *scope;
    CHECK_OK(pirn_scope_open(&scope, 0));
    CHECK_OK(pirn_scope_spawn(scope, child, p, PIRN_NEVER));
    int rc = pirn_scope_close(scope, PIRN_NEVER);
    CHECK(rc == 0 || rc == -ECANCELED); /* it may have ended first */
    return 0;
}

static int in_gather(struct pair *p)
{
    pirn_task *task = support_spawn(child, p);
    pirn_awaitable *both;
    CHECK_OK(pirn_gather(&both, &task, 1, 0));
    pirn_release(task);
    int rc = pirn_await(both, NULL, PIRN_NEVER);
    CHECK(rc == 0 || rc == -ECANCELED);
    pirn_release(both);
    return 0;
}

static int in_race(struct pair *p)
{
    pirn_call call = {child, p};
    int rc = pirn_race(&call, 1, NULL, NULL, NULL, PIRN_NEVER);
    CHECK(rc == 0 || rc == -ECANCELED);
    return 0;
}

static int by_hand(struct pair *p)
{
    pirn_task *task = support_spawn(child, p);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    for (int i = 0; i < 3; i++)
        CHECK_OK(pirn_cancel(task, pirn_cancel_reason()));
    atomic_store(&p->over, 1);
    CHECK_OK(pirn_cancel(pirn_current(), pirn_cancel_reason())); /* its own, again */
    CHECK_EQ(pirn_yield(), -ECANCELED);
    return support_join(task);
}

static int parent(void *arg)
{
    struct pair *p = arg;
    pirn_task *task;
    int rc;
    atomic_store(&p->ready, p->way != JOIN_STARTED);
    switch (p->way) {
    case SCOPE:
        return in_scope(p);
    case GATHER:
        return in_gather(p);
    case RACE:
        return in_race(p);
    case BY_HAND:
        return by_hand(p);
    case WAIT_FOR:
        task = support_spawn(child, p);
        rc = pirn_wait_for(task, NULL, pirn_after_s(1000));
        CHECK(rc == 0 || rc == -ECANCELED);
        return pirn_release(task);
    case JOIN_ELDER:
        return support_join(p->child);
    case JOIN_STARTED:
    case JOIN_UNSTARTED:
    case WAYS:
        break;
    }
    task = support_spawn(child, p);
    if (p->way == JOIN_STARTED)
        support_until(&p->started, 1);
    atomic_store(&p->ready, 1); /* what it waits in from now on is what is to be seen */
    return support_join(task);
}

static int leave(void *arg)
{
    struct pair *p = arg;
    CHECK_OK(pirn_future_new(&p->never));
    if (p->way == JOIN_ELDER) {
        p->child = support_spawn(child, p);
        support_until(&p->started, 1);
    }
    pirn_task *task = support_spawn(parent, p);
    support_until(&p->started, 1);
    support_until(&p->ready, 1);
    support_until_waiting(p->child);
    support_until_waiting(task);
    CHECK_OK(pirn_detach(task));
    if (p->way != JOIN_ELDER)
        CHECK_OK(pirn_release(p->child));
    return 9;
}

START_TEST(told_once)
{
    for (int i = 0; i < support_rounds(20); i++)
        FOR_WORKERS(w)
    for (int way = 0; way < WAYS; way++) {
        struct pair p = {.way = (enum way)way};
        CHECK_EQ(support_run(w, leave, &p), 9);
        CHECK_EQ(atomic_load(&p.cleaned), 1);
        pirn_release(p.never);
    }
}
END_TEST

SUPPORT_MAIN("shutdown_once", told_once)
