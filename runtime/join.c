/*
 * Waiting for a task's end.
 *
 * Who joins links itself under the task's lock, sets TASK_JOINED in refs, and then looks at ended;
 * the end goes the other way round (task.c).
 *
 * A cancelled awaiter that is the only one passes the cancel on and waits for what comes of it
 * (asyncio's rule): the child ends cancelled, and so does the await; or it takes the cancel for its
 * own and returns a value, and the await gives that; or it ends without having seen it, and then it
 * is pending here again. One of several awaiters just leaves. So does
 * one that finds the cancel on entry: it has not begun to wait.
 *
 * A child that has not started yet may be run in the awaiter's place: in_place.c.
 */
#include <errno.h>

#include "runtime/self.h"
#include "runtime/task.h"
#include "runtime/wait.h"
#include "runtime/worker.h"

static int answer(struct wait *w, struct pirn_task *t, int *ret_status, bool passed_on)
{
    int status = atomic_load_explicit(&t->status, memory_order_relaxed);
    atomic_store_explicit(&t->seen, 1, memory_order_relaxed);
    if (passed_on && status == -ECANCELED)
        return -ECANCELED;
    if (passed_on && (cell_load(&t->cell) & CELL_CANCEL) != 0)
        pirn_wait_keep_cancel(w);
    if (ret_status != NULL)
        *ret_status = status;
    return 0;
}

/* 0, -EALREADY: it has ended, -EBUSY: others wait for it too. */
static int pass_on(const struct wait *w, struct pirn_task *t)
{
    lock_take(&t->lock);
    bool alone = t->joiners == NULL &&
                 atomic_load_explicit(&t->started, memory_order_relaxed) != STARTED_IN_PLACE;
    lock_drop(&t->lock);
    if (!alone)
        return -EBUSY;
    return pirn_wait_cancel(t, atomic_load_explicit(&w->task->cancel_reason, memory_order_relaxed));
}

/* False: it has ended. */
static bool link_to(struct wait *w, struct pirn_task *t)
{
    lock_take(&t->lock);
    /* acq_rel: pairs with the end's compare-and-swap; see the head of task.c */
    atomic_fetch_or_explicit(&t->refs, TASK_JOINED, memory_order_acq_rel);
    bool ended = task_has_ended(t);
    if (!ended)
        pirn_wait_link(w, &t->joiners);
    else if (t->joiners == NULL)
        atomic_fetch_and_explicit(&t->refs, ~TASK_JOINED, memory_order_relaxed);
    lock_drop(&t->lock);
    return !ended;
}

static int wait_for_end(struct wait *w, struct pirn_task *t, int *ret_status, int64_t deadline)
{
    bool passed_on = false;
    while (link_to(w, t)) {
        int rc = pirn_wait_park(w, "await", deadline);
        if (rc == 0)
            break;
        lock_take(&t->lock);
        pirn_waiter_unlink(&t->joiners, w->waiter);
        lock_drop(&t->lock);
        if (rc != -ECANCELED)
            return passed_on ? -ECANCELED : rc;
        rc = pass_on(w, t);
        if (rc == -EBUSY)
            return -ECANCELED;
        if (rc == 0)
            passed_on = true;
        else
            pirn_wait_keep_cancel(w); /* too late: the end was first */
        pirn_wait_renew(w);
    }
    return answer(w, t, ret_status, passed_on);
}

static int await(struct pirn_task *t, int *ret_status, int64_t deadline, bool join)
{
    struct wait w;
    int rc;
    if (task_has_ended(t)) { /* no wait, so no place to be cancelled */
        struct worker *worker = pirn_self()->worker;
        if (worker != NULL && pirn_worker_charge(worker))
            pirn_worker_yield(worker);
        rc = answer(&w, t, ret_status, false);
        if (join)
            pirn_task_unref(t);
        return rc;
    }
    if (t == pirn_current_task())
        return -EDEADLK;
    rc = pirn_wait_enter(&w);
    if (rc == -ECANCELED)
        pass_on(&w, t); /* as if it had come a moment later */
    if (rc != 0)
        return rc;
    if (deadline == INT64_MAX && pirn_task_run_in_place(&w, t, ret_status, join, &rc))
        return rc;
    rc = wait_for_end(&w, t, ret_status, deadline);
    if (rc == 0 && join)
        pirn_task_unref(t);
    return rc;
}

int pirn_task_await(struct pirn_task *t, int *ret_status, int64_t deadline)
{
    return await(t, ret_status, deadline, false);
}

int pirn_task_join(struct pirn_task *t, int *ret_status, int64_t deadline)
{
    return await(t, ret_status, deadline, true);
}
