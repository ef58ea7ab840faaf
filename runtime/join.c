/*
 * Waiting for the end of a task, or of anything else of the family.
 *
 * Who joins a task links itself under the task's lock, sets AWAITABLE_JOINED in refs, and then
 * looks at ended; the end goes the other way round (task.c).
 *
 * A cancelled awaiter that is the only one passes the cancel on and waits for what comes of it
 * (asyncio's rule): the child ends cancelled, and so does the await; or it takes the cancel for its
 * own and returns a value, and the await gives that; or it ends without having seen it, and then it
 * is pending here again. One of several awaiters just leaves, and so does an awaiter of a future,
 * which belongs to nobody. One that finds the cancel on entry passes it on, too, but leaves at
 * once: it has not begun to wait. And a plain thread inside a run just leaves: for it a stop looks
 * like a cancel.
 *
 * What has ended is had at once, and that is no place to be cancelled (asyncio's rule), but for a
 * future: a loop over futures that are set would have no such place.
 *
 * A child that has not started yet may be run in the awaiter's place: in_place.c.
 */
#include <errno.h>

#include "runtime/debug.h"
#include "runtime/self.h"
#include "runtime/task.h"
#include "runtime/wait.h"
#include "runtime/worker.h"

static int answer(struct wait *w, struct pirn_awaitable *a, int *ret_status, bool passed_on)
{
    int status = atomic_load_explicit(&a->status, memory_order_relaxed);
    atomic_store_explicit(&a->seen, 1, memory_order_relaxed);
    if (passed_on && status == -ECANCELED)
        return -ECANCELED;
    if (passed_on && a->kind == PIRN_KIND_TASK &&
        (cell_load(&task_of(a)->cell) & CELL_REQUESTED) != 0)
        pirn_wait_keep_cancel(w);
    if (ret_status != NULL)
        *ret_status = status;
    return 0;
}

/* 0, -EALREADY: it has ended, -EBUSY: it goes on without us. */
static int pass_on(const struct wait *w, struct pirn_awaitable *a)
{
    struct pirn_task *t = task_of(a);
    if (t == NULL && object_of(a)->ops->stays)
        return -EBUSY;
    lock_take(&a->lock);
    bool alone =
        !pirn_awaitable_is_awaited(a) &&
        (t == NULL || atomic_load_explicit(&t->started, memory_order_relaxed) != STARTED_IN_PLACE);
    lock_drop(&a->lock);
    if (!alone)
        return -EBUSY;
    return pirn_awaitable_cancel(
        a, atomic_load_explicit(&w->task->cancel_reason, memory_order_relaxed));
}

/* False: it has ended. */
static bool link_to(struct wait *w, struct pirn_awaitable *a)
{
    w->waiter->cell = w->cell;
    w->waiter->gen = w->gen;
    w->waiter->observes = false;
    lock_take(&a->lock);
    bool linked = pirn_awaitable_link(a, w->waiter);
    lock_drop(&a->lock);
    return linked;
}

/* Awaits that lead back to the awaiter, in whatever way, would pass a cancel round for ever: after
 * so many in one await it is the awaiter's own. */
enum {
    PASSES_MAX = 100
};

static int wait_for_end(struct wait *w, struct pirn_awaitable *a, int *ret_status, int64_t deadline)
{
    bool passed_on = false;
    uint64_t asked = 0;
    int passes = 0;
    const char *what = a->kind == PIRN_KIND_FUTURE ? "future"
                       : a->kind == PIRN_KIND_JOB  ? "job"
                                                   : "await";
    while (link_to(w, a)) {
        int rc = pirn_wait_park_edge(w, what, deadline);
        if (rc == 0)
            break;
        lock_take(&a->lock);
        pirn_waiter_unlink(&a->joiners, w->waiter);
        lock_drop(&a->lock);
        if (rc != -ECANCELED || w->task == NULL)
            return passed_on ? -ECANCELED : rc;
        asked |= cell_load(w->cell) & CELL_ASKED;
        rc = ++passes <= PASSES_MAX ? pass_on(w, a) : -EBUSY;
        if (rc == -EBUSY)
            return -ECANCELED;
        if (rc == 0)
            passed_on = true;
        else
            pirn_wait_keep_cancel(w); /* too late: the end was first */
        pirn_wait_renew(w);
    }
    if (asked != 0) /* the last of several may have been a bound's; relaxed: our own word */
        atomic_fetch_or_explicit(&w->cell->word, asked, memory_order_relaxed);
    return answer(w, a, ret_status, passed_on);
}

static inline __attribute__((always_inline)) int await_entered(struct wait *w,
                                                               struct pirn_awaitable *a,
                                                               int *ret_status, int64_t deadline,
                                                               bool join)
{
    struct pirn_task *t = task_of(a);
    int rc;
    if (t != NULL && deadline == INT64_MAX && pirn_task_run_in_place(w, t, ret_status, join, &rc))
        return rc;
    rc = wait_for_end(w, a, ret_status, deadline);
    if (w->task != NULL)
        pirn_task_relevel(w->task);
    if (rc == 0 && join)
        pirn_awaitable_unref(a);
    return rc;
}

int pirn_awaitable_await_entered(struct wait *w, struct pirn_awaitable *a, int *ret_status,
                                 int64_t deadline, bool join)
{
    return await_entered(w, a, ret_status, deadline, join);
}

int pirn_awaitable_await(struct pirn_awaitable *a, int *ret_status, int64_t deadline, bool join)
{
    struct pirn_task *t = task_of(a);
    struct worker *worker = pirn_self()->worker;
    struct wait w;
    int rc;
    if (awaitable_has_ended(a) && a->kind != PIRN_KIND_FUTURE) { /* no place to be cancelled */
        if (t == NULL && awaitable_is_dead(a))
            return pirn_misuse_dead(join ? "pirn_join" : "pirn_await", a);
        if (worker != NULL && worker->current != NULL && pirn_worker_charge(worker))
            pirn_worker_pause(worker); /* a drop on the scheduler has no task to pause */
        rc = answer(&w, a, ret_status, false);
        if (join)
            pirn_awaitable_unref(a);
        return rc;
    }
    if (t != NULL && t == (worker != NULL ? worker->current : pirn_self()->pinned))
        return pirn_misuse(join ? "pirn_join" : "pirn_await", -EDEADLK,
                           "a task waits for its own end");
    if (t != NULL && (t->flags & TASK_PREPARED) != 0)
        pirn_task_begin_awaited(a);
    /* To give way before the child has run would leave both in the queue, for a thief to part: it
     * is done after it. (Who parks instead is charged there.) */
    rc = t != NULL && !task_has_started(t) ? pirn_wait_enter_free(&w) : pirn_wait_enter(&w);
    if (rc == -ECANCELED && w.task != NULL)
        pass_on(&w, a); /* and leaves: see the head of the file */
    if (rc != 0)
        return rc;
    return await_entered(&w, a, ret_status, deadline, join);
}
