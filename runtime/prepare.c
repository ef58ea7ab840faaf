/*
 * Tasks that exist before they begin: coroutine objects, calls to be made later, runners of
 * callbacks.
 *
 * Such a task is parked before it has run: its cell says PARKED and CANCELLABLE, though there is no
 * stack yet. Whoever claims it makes it run: the one that launches it (WAKE_OBJECT), its deadline
 * in a port (WAKE_TIMEOUT), the end of an awaitable in whose list its waiter is; or a cancel, and
 * then it ends without having begun (task_begins). So there is one judge, the same as for every
 * wait.
 *
 *   1. it is spawned: it counts as live, can be found and be cancelled, and nothing begins it
 *   2. what is to wake it is set up: its deadline, its waiter's place in a list
 *   3. it is parked; or has been claimed by now, and is made to run
 *
 * Rejected: to park it when it is spawned. A cancel that found it then could end it while its maker
 * was still at step 2, and the deadline would have gone off in another task's descriptor.
 *
 * A cancelled call ends right where it is cancelled (pirn_task_end_timed): it has neither begun nor
 * a strand to wait for. Sending a million of them through the run queues, only to end, took 260 to
 * 450 ns each, and woke the other workers for nothing.
 */
#include <errno.h>

#include "io/port.h"
#include "runtime/alarm.h"
#include "runtime/debug.h"
#include "runtime/runtime.h"
#include "runtime/task.h"
#include "runtime/wait.h"
#include "runtime/worker.h"

void pirn_task_prepare(struct pirn_task *t, uint32_t gen)
{
    uint64_t word;
    atomic_store_explicit(&t->what, "start", memory_order_relaxed);
    if (!pirn_cell_park(&t->cell, gen, CELL_CANCELLABLE, &word))
        pirn_wake_cell(&t->cell); /* what it was to wait for came first, or a cancel */
}

int pirn_task_prepare_at(struct pirn_task *t, int64_t when)
{
    uint32_t gen = cell_gen(cell_load(&t->cell));
    int rc = when != INT64_MAX ? pirn_arm_anywhere(t->rt, &t->op, gen, when) : 0;
    if (rc == 0)
        pirn_task_prepare(t, gen);
    return rc;
}

static bool claim(struct pirn_task *t, enum wake reason)
{
    /* acquire: pairs with the swap of a later park; then the look at started is none too early */
    uint64_t word = atomic_load_explicit(&t->cell.word, memory_order_acquire);
    if ((t->flags & TASK_PREPARED) == 0 || (word & CELL_PARKED) == 0 || task_has_started(t) ||
        pirn_cell_claim(&t->cell, cell_gen(word), reason) != CLAIM_PARKED)
        return false;
    pirn_wake_cell(&t->cell);
    return true;
}

bool pirn_task_launch(struct pirn_task *t)
{
    return claim(t, WAKE_OBJECT);
}

void pirn_task_begin_awaited(struct pirn_awaitable *a)
{
    struct pirn_task *t = task_of(a);
    if (t != NULL && (t->flags & (TASK_PREPARED | TASK_TIMED)) == TASK_PREPARED)
        pirn_task_launch(t);
}

bool pirn_task_withdraw(struct pirn_task *t)
{
    return claim(t, WAKE_CANCEL);
}

void pirn_task_discard(struct pirn_task *t)
{
    pirn_task_prepare(t, cell_gen(cell_load(&t->cell)));
    pirn_task_withdraw(t);
    pirn_task_unref(t);
}

void pirn_task_leave_unbegun(struct pirn_task *t)
{
    enum {
        KIND = TASK_PREPARED | TASK_TIMED | TASK_CALLBACKS,
        OURS = 2 /* the runtime's, and the caller's */
    };
    if ((t->flags & KIND) != TASK_PREPARED) {
        pirn_task_unref(t);
        return;
    }
    uint32_t refs = atomic_load_explicit(&t->base.refs, memory_order_relaxed);
    while ((refs & ~AWAITABLE_JOINED) > OURS + pirn_callback_refs(t)) {
        /* acq_rel: as in pirn_task_unref */
        if (atomic_compare_exchange_weak_explicit(&t->base.refs, &refs, refs - 1,
                                                  memory_order_acq_rel, memory_order_relaxed))
            return;
    }
    if (!task_has_ended(t) && pirn_task_withdraw(t) && t->rt->debug)
        pirn_debug_never_awaited(t);
    pirn_task_unref(t);
}

static void withdraw_deadline(struct pirn_task *t)
{
    if (atomic_load_explicit(&t->op.port, memory_order_relaxed) != NULL)
        pirn_op_disarm(&t->op);
}

bool pirn_task_end_timed(struct pirn_task *t)
{
    struct worker *w = pirn_self()->worker;
    if ((t->flags & TASK_TIMED) == 0 || task_has_started(t) || task_is_on_strand(t))
        return false;
    task_set_started(t, STARTED);
    withdraw_deadline(t);
    atomic_store_explicit(&t->what, NULL, memory_order_relaxed);
    pirn_task_drop_arg(t);
    pirn_task_end(t, -ECANCELED, w != NULL && w->rt == t->rt ? w : NULL, 1);
    return true;
}

int pirn_task_prepared_begins(struct pirn_task *t)
{
    /* acquire: pairs with the release of the claim */
    enum wake why = cell_reason(atomic_load_explicit(&t->cell.word, memory_order_acquire));
    if ((t->flags & TASK_TIMED) != 0)
        withdraw_deadline(t); /* it may still be there */
    atomic_store_explicit(&t->what, NULL, memory_order_relaxed);
    if (why != WAKE_OBJECT && (t->flags & TASK_CALLBACKS) != 0 && pirn_callback_is_due(t))
        return 0;
    return why == WAKE_SHUTDOWN ? -ESHUTDOWN : why == WAKE_CANCEL ? -ECANCELED : 0;
}
