/*
 * Shields, and bounds: what a task cannot be told for a while, and what tells it again and again.
 */
#include "runtime/bound.h"
#include "runtime/task.h"
#include "tests/race/rounds.h"

static int sleeps(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

/* ---- A62 --------------------------------------------------------------------------------- */

struct section {
    atomic_int inside;
    int depth, fds[2];
};

static int protected_section(void *arg)
{
    struct section *s = arg;
    pirn_future *future;
    char byte;
    CHECK_OK(pirn_future_new(&future));
    for (int i = 0; i < s->depth; i++)
        CHECK_OK(pirn_shield_enter());
    atomic_store(&s->inside, 1);
    while (pirn_cancelling(NULL) == 0)
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
    /* Cancelled by now: what suspends works, deadlines included. */
    CHECK_OK(pirn_yield());
    CHECK_OK(pirn_sleep(pirn_after_us(100)));
    CHECK_EQ(pirn_await(future, NULL, pirn_after_us(100)), -ETIMEDOUT);
    CHECK_EQ(pirn_recv(s->fds[1], &byte, 1, 0, pirn_after_us(100)), -ETIMEDOUT);
    CHECK_EQ(pirn_send(s->fds[0], "x", 1, 0, PIRN_NEVER), 1);
    CHECK_EQ(pirn_recv(s->fds[1], &byte, 1, 0, PIRN_NEVER), 1);
    pirn_task *child = support_spawn(sleeps, NULL); /* nothing is passed on to a child */
    CHECK_EQ(pirn_await(child, NULL, pirn_after_us(100)), -ETIMEDOUT);
    CHECK_EQ(pirn_status(child), -EINPROGRESS);
    for (int i = 0; i < s->depth; i++) {
        CHECK_OK(pirn_yield());
        CHECK_OK(pirn_shield_leave()); /* the last one lets it in */
    }
    CHECK_EQ(pirn_yield(), -ECANCELED); /* at the first suspend */
    CHECK_OK(pirn_yield());             /* once */
    CHECK_EQ(pirn_shield_leave(), -EINVAL);
    CHECK_OK(pirn_cancel(child, NULL));
    CHECK_EQ(support_join(child), -ECANCELED);
    pirn_release(future);
    return 62;
}

static void *cancel_on_thread(void *arg)
{
    CHECK_OK(pirn_cancel(arg, NULL));
    return NULL;
}

static int cancel_protected(void *arg)
{
    for (int i = 0; i < 4; i++) {
        struct section s = {.depth = i % 2 == 0 ? 1 : 255};
        support_pair(s.fds);
        pirn_task *task = support_spawn(protected_section, &s);
        support_until(&s.inside, 1);
        if (i < 2)
            CHECK_OK(pirn_cancel(task, NULL));
        else
            support_thread_join(support_thread(cancel_on_thread, task));
        CHECK_EQ(support_join(task), 62);
        CHECK_OK(pirn_close(s.fds[0])); /* which has a shield of its own */
        CHECK_OK(pirn_close(s.fds[1]));
    }
    return *(int *)arg;
}

START_TEST(a62_works_inside_and_told_after)
{
    int value = 6;
    CHECK_EQ(pirn_shield_enter(), -EPERM);
    CHECK_EQ(pirn_shield_leave(), -EPERM);
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(20); i++)
        CHECK_EQ(support_run(w, cancel_protected, &value), 6);
}
END_TEST

/* The deepest there is: calls that shield themselves leave it as it was. */
static int blocks(void *arg)
{
    return (int)(intptr_t)arg;
}

static int deepest(void *arg)
{
    int status = 0, fds[2];
    pirn_mutex mutex = PIRN_MUTEX_INIT;
    pirn_condition condition = PIRN_CONDITION_INIT(&mutex);
    (void)arg;
    for (int i = 0; i < 255; i++)
        CHECK_OK(pirn_shield_enter());
    CHECK_EQ(pirn_shield_enter(), -EINVAL);
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    support_pair(fds);
    CHECK_OK(pirn_close(fds[0]));
    CHECK_OK(pirn_close(fds[1]));
    CHECK_OK(pirn_blocking(blocks, (void *)3, &status, PIRN_NEVER));
    CHECK_EQ(status, 3);
    CHECK_OK(pirn_mutex_lock(&mutex, PIRN_NEVER));
    CHECK_EQ(pirn_condition_wait(&condition, PIRN_NOW), -ETIMEDOUT);
    CHECK_OK(pirn_mutex_unlock(&mutex)); /* it has it again */
    CHECK_EQ(pirn_shield_enter(), -EINVAL);
    for (int i = 0; i < 255; i++) {
        CHECK_OK(pirn_yield());
        CHECK_OK(pirn_shield_leave());
    }
    CHECK_EQ(pirn_shield_leave(), -EINVAL);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    return 0;
}

START_TEST(a62_255_deep)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, deepest, NULL));
}
END_TEST

/* A cancel that comes as the task enters, is inside, or leaves: told exactly once, and not
 * inside. */
struct duel {
    support_barrier meet;
    pirn_task *task;
    struct bound *bound; /* to be hit instead */
    atomic_int done, over;
};

static void *strike(void *arg)
{
    struct duel *d = arg;
    for (;;) {
        support_meet(&d->meet);
        if (atomic_load(&d->over))
            return NULL;
        if (d->bound != NULL)
            pirn_bound_hit(d->bound, "hit");
        else
            CHECK_OK(pirn_cancel(d->task, "race"));
        atomic_fetch_add(&d->done, 1);
    }
}

static int leave_as_it_comes(void *arg)
{
    int rounds = *(int *)arg, at_leave = 0, i = 0;
    int64_t began = support_now();
    struct duel d = {.meet = {.n = 2}, .task = pirn_current()};
    pthread_t thread = support_thread(strike, &d);
    for (; rounds_go_on(began, i, rounds); i++) {
        int told = 0;
        CHECK_OK(pirn_shield_enter());
        support_meet(&d.meet);
        CHECK_OK(i % 2 == 0 ? pirn_yield() : pirn_sleep(pirn_after_us(20)));
        CHECK_OK(pirn_shield_leave());
        told = pirn_yield() == -ECANCELED;
        at_leave += told;
        while (atomic_load(&d.done) <= i)
            told += (i % 2 == 0 ? pirn_yield() : pirn_sleep(pirn_after_us(10))) == -ECANCELED;
        told += pirn_yield() == -ECANCELED;
        CHECK_EQ(told, 1);
        CHECK_EQ(pirn_uncancel(), 0);
    }
    atomic_store(&d.over, 1);
    support_meet(&d.meet);
    support_thread_join(thread);
    rounds_saw_both(at_leave, i);
    return 0;
}

START_TEST(a62_a_cancel_as_it_leaves)
{
    int rounds = support_rounds(10000) / 3;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, leave_as_it_comes, &rounds));
}
END_TEST

/* A child that ends inside a shield has not seen what its awaiter passed on: it is pending
 * there. */
static int ends_shielded(void *arg)
{
    atomic_int *inside = arg;
    CHECK_OK(pirn_shield_enter());
    atomic_store(inside, 1);
    while (pirn_cancelling(NULL) == 0)
        CHECK_OK(pirn_sleep(pirn_after_us(50)));
    return 8;
}

struct awaiting {
    atomic_int inside, awaits;
    bool begun; /* before it is awaited */
};

static int awaits_shielded(void *arg)
{
    struct awaiting *a = arg;
    int status = -12345;
    pirn_task *child = support_spawn(ends_shielded, &a->inside);
    while (a->begun && atomic_load(&a->inside) == 0)
        CHECK_OK(pirn_yield());
    atomic_store(&a->awaits, 1);
    CHECK_OK(pirn_await(child, &status, PIRN_NEVER));
    CHECK_EQ(status, 8);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_OK(pirn_yield());
    return pirn_release(child);
}

static int cancel_awaiter(void *arg)
{
    for (int i = 0; i < 4; i++) {
        struct awaiting a = {.begun = i % 2 == 0};
        pirn_task *task = support_spawn(awaits_shielded, &a);
        support_until(&a.inside, 1);
        support_until(&a.awaits, 1);
        support_until_waiting(task);
        CHECK_OK(pirn_cancel(task, NULL));
        CHECK_OK(support_join(task));
    }
    return *(int *)arg;
}

START_TEST(a60_a_child_that_ended_shielded)
{
    int value = 60;
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(50); i++)
        CHECK_EQ(support_run(w, cancel_awaiter, &value), 60);
}
END_TEST

/* ---- Bounds: level, from within ---------------------------------------------------------- */

static struct pirn_task *me(void)
{
    return task_of(pirn_current());
}

static int inside_bounds(void *arg)
{
    struct bound outer, inner;
    (void)arg;
    CHECK_OK(pirn_bound_enter(&outer, me()));
    CHECK_OK(pirn_bound_enter(&inner, me()));
    CHECK_EQ(pirn_bound_leave(&outer), -EINVAL); /* not the innermost */
    CHECK_OK(pirn_yield());
    pirn_bound_hit(&inner, "inner");
    CHECK(strcmp(pirn_cancel_reason(), "inner") == 0);
    for (int i = 0; i < 3; i++) /* again and again */
        CHECK_EQ(i == 1 ? pirn_sleep(PIRN_NEVER) : pirn_yield(), -ECANCELED);
    CHECK_EQ(pirn_cancelling(NULL), 0); /* it is no request */
    CHECK_OK(pirn_shield_enter());      /* of the clean-up's */
    CHECK_OK(pirn_yield());
    CHECK_OK(pirn_shield_leave());
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_OK(pirn_bound_leave(&inner));
    CHECK_OK(pirn_yield());         /* over */
    pirn_bound_hit(&inner, "late"); /* void */
    CHECK_OK(pirn_yield());
    pirn_bound_hit(&outer, "outer"); /* one opened under a shield lets the outer one not through */
    CHECK_OK(pirn_shield_enter());
    CHECK_OK(pirn_bound_enter(&inner, me()));
    CHECK_OK(pirn_yield());
    pirn_bound_hit(&inner, "inside the shield");
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_OK(pirn_bound_leave(&inner));
    CHECK_OK(pirn_yield());
    CHECK_OK(pirn_shield_leave());
    CHECK_EQ(pirn_yield(), -ECANCELED);
    /* A request besides: pending beyond the bound if it has not been told. */
    CHECK_OK(pirn_bound_leave(&outer));
    CHECK_OK(pirn_bound_enter(&outer, me()));
    pirn_bound_hit(&outer, NULL);
    CHECK(!pirn_bound_saw_request(&outer));
    CHECK_OK(pirn_cancel(pirn_current(), "request"));
    CHECK(pirn_bound_saw_request(&outer));
    CHECK_OK(pirn_bound_leave(&outer));
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_OK(pirn_yield());
    CHECK_EQ(pirn_uncancel(), 0);
    CHECK_OK(pirn_bound_enter(&outer, me())); /* taking back a request leaves the bound's */
    pirn_bound_hit(&outer, NULL);
    CHECK_OK(pirn_cancel(pirn_current(), "request"));
    CHECK_EQ(pirn_uncancel(), 0);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_OK(pirn_bound_leave(&outer));
    CHECK_OK(pirn_yield());
    return 0;
}

START_TEST(a52_level_inside_a_bound)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(100); i++)
        CHECK_OK(support_run(w, inside_bounds, NULL));
}
END_TEST

/* A hit while the task waits, works, or leaves: nothing of it is left afterwards. */
static int leave_as_it_is_hit(void *arg)
{
    int rounds = *(int *)arg, told = 0, i = 0;
    int64_t began = support_now();
    struct duel d = {.meet = {.n = 2}, .task = pirn_current()};
    struct bound bound, around;
    d.bound = &bound;
    pthread_t thread = support_thread(strike, &d);
    for (; rounds_go_on(began, i, rounds); i++) {
        bool hit = false, shielded = i % 3 == 2;
        CHECK_OK(pirn_bound_enter(&around, me()));
        CHECK_OK(pirn_bound_enter(&bound, me()));
        support_meet(&d.meet);
        if (shielded)
            CHECK_OK(pirn_shield_enter());
        int rc = i % 3 == 0 ? pirn_sleep(pirn_after_us(20)) : pirn_yield();
        hit = rc == -ECANCELED;
        CHECK(rc == 0 || (hit && !shielded));
        if (shielded)
            CHECK_OK(pirn_shield_leave());
        if (hit || bound_is_hit(&bound)) /* level: from now on each one */
            for (int k = 0; k < 2; k++)
                if (!hit || pirn_yield() != -ECANCELED)
                    CHECK(!hit);
        CHECK_OK(pirn_bound_leave(&bound));
        CHECK_OK(pirn_yield()); /* nothing is left, and later hits are void */
        while (atomic_load(&d.done) <= i)
            CHECK_OK(pirn_yield());
        CHECK_OK(pirn_sleep(pirn_after_ns(1)));
        CHECK_OK(pirn_bound_leave(&around));
        told += hit;
    }
    atomic_store(&d.over, 1);
    CHECK_OK(pirn_bound_enter(&bound, me()));
    support_meet(&d.meet);
    support_thread_join(thread);
    CHECK_OK(pirn_bound_leave(&bound));
    rounds_saw_both(told, i);
    return 0;
}

START_TEST(a52_hit_as_it_leaves)
{
    int rounds = support_rounds(10000) / 3;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, leave_as_it_is_hit, &rounds));
}
END_TEST

SUPPORT_MAIN("shield", a62_works_inside_and_told_after, a62_255_deep, a62_a_cancel_as_it_leaves,
             a60_a_child_that_ended_shielded, a52_level_inside_a_bound, a52_hit_as_it_leaves)
