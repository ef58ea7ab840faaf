/*
 * Conditions: waiting, under a mutex, for something to change.
 *
 *   wait    1. into the condition's list; 2. the mutex handed over; 3. asleep
 *   notify  moves waiters from the condition's list to the end of the mutex's, asleep as they are:
 *           the mutex is held, so waking them now would only make them wait again
 *   wake-up the mutex's unlock claims the waiter like any other that waits for it: notified and
 *   owner
 *
 * Notified or not is decided under the condition's word. A deadline or a cancel that ends the wait
 * of a waiter that has been moved finds it notified: the wait happened and returns 0, a cancel is
 * made pending again, and the waiter keeps its place for the mutex. So no notification is lost.
 * Every wait has the mutex again when it returns, for which it is shielded (asyncio's rule).
 *
 * The words are taken in the order condition, mutex. The notifier owns the mutex, so it is through
 * with the condition before a notified waiter can return.
 */
#include "api/sync/mutex.h"

#include "runtime/locks.h"

#define NO_MUTEX "it has no mutex: begin with PIRN_CONDITION_INIT or pirn_condition_init"
#define NOT_HELD "the caller does not hold the condition's mutex"

struct condition {
    struct sync s;     /* without a state */
    pirn_mutex *mutex; /* constant */
} SYNC_OBJECT;

_Static_assert(sizeof(struct condition) <= sizeof(pirn_condition), "pirn_condition is too small");
_Static_assert(offsetof(struct condition, mutex) == offsetof(pirn_condition, mutex), "as declared");

struct sleeper {
    struct waiter waiter; /* first: a waiter of a condition's list is one */
    bool notified;        /* the holder of the condition's BUSY */
};

static struct condition *condition_of(pirn_condition *condition)
{
    return (struct condition *)(void *)condition;
}

int pirn_condition_init(pirn_condition *condition, pirn_mutex *mutex)
{
    if (condition == NULL || mutex == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    *condition = (pirn_condition)PIRN_CONDITION_INIT(mutex);
    return 0;
}

/* Having entered the wait w as the mutex's owner. */
static int sleep_as_owner(struct condition *c, struct wait *w, int64_t deadline)
{
    struct mutex *m = mutex_of(c->mutex);
    struct sleeper me = {.notified = false};
    w->waiter = &me.waiter;
    sync_take(&c->s);
    pirn_wait_link(w, &c->s.waiters);
    sync_drop(&c->s, 0);
    pirn_mutex_hand_over(m);
    int rc = pirn_wait_park(w, "condition", deadline);
    if (rc == 0) {
        sync_settle(&m->s);
        return 0;
    }
    sync_take(&c->s);
    bool notified = me.notified;
    if (!notified)
        pirn_waiter_unlink(&c->s.waiters, &me.waiter);
    sync_drop(&c->s, 0);
    pirn_mutex_retake(m, w);
    if (notified && rc == -ECANCELED)
        pirn_wait_keep_cancel(w);
    return notified ? 0 : rc;
}

static int wait_as_owner(struct condition *c, struct wait *w, int64_t deadline)
{
    bool debug = pirn_debug_is_on();
    if (debug) /* with a notification comes the mutex */
        pirn_locks_wanted(c->mutex);
    int rc = sleep_as_owner(c, w, deadline);
    if (debug)
        pirn_locks_wanted(NULL);
    return rc;
}

/* 0 if the caller may wait. */
static int enter(const char *call, struct condition *c, struct wait *w)
{
    if (c == NULL || c->mutex == NULL)
        return pirn_misuse(call, -EINVAL, c == NULL ? MISUSE_NULL : NO_MUTEX);
    int rc = pirn_wait_enter(w);
    if (rc != 0)
        return rc;
    return mutex_is_held_by(mutex_of(c->mutex), (uintptr_t)w->cell)
               ? 0
               : pirn_misuse(call, -EPERM, NOT_HELD);
}

int pirn_condition_wait(pirn_condition *condition, pirn_time deadline)
{
    struct condition *c = condition_of(condition);
    struct wait w;
    int rc = enter(__func__, c, &w);
    return rc != 0 ? rc : wait_as_owner(c, &w, deadline.ns);
}

int pirn_condition_wait_for(pirn_condition *condition, int (*pred)(void *arg), void *arg,
                            pirn_time deadline)
{
    struct condition *c = condition_of(condition);
    struct wait w;
    if (pred == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = enter(__func__, c, &w), holds = 0;
    while (rc == 0 || rc == -ETIMEDOUT) {
        holds = pred(arg);
        if (holds != 0 || rc != 0)
            break;
        rc = enter(__func__, c, &w); /* pred may have waited for something else */
        if (rc == 0)
            rc = wait_as_owner(c, &w, deadline.ns);
    }
    return holds < 0 ? holds : holds > 0 ? 0 : rc;
}

static int notify(const char *call, struct condition *c, int n)
{
    struct waiter *waiter;
    if (c == NULL || c->mutex == NULL || n < 0)
        return pirn_misuse(call, -EINVAL, c == NULL ? MISUSE_NULL : n < 0 ? "n < 0" : NO_MUTEX);
    struct mutex *m = mutex_of(c->mutex);
    uint64_t me = sync_self();
    if (!mutex_is_held_by(m, me))
        return pirn_misuse(call, -EPERM, NOT_HELD);
    sync_take(&c->s);
    if (n > 0 && c->s.waiters != NULL) {
        sync_take(&m->s);
        while (n > 0 && (waiter = pirn_waiter_pop(&c->s.waiters)) != NULL) {
            if (sync_is_over(waiter)) /* it has been cancelled, say: not for it */
                continue;
            ((struct sleeper *)(void *)waiter)->notified = true;
            waiter->linked = true;
            pirn_waiter_append(waiter, &m->s.waiters);
            n--;
        }
        sync_drop(&m->s, me);
    }
    sync_drop(&c->s, 0);
    return 0;
}

int pirn_condition_notify(pirn_condition *condition, int n)
{
    return notify(__func__, condition_of(condition), n);
}

int pirn_condition_notify_all(pirn_condition *condition)
{
    return notify(__func__, condition_of(condition), INT32_MAX);
}
