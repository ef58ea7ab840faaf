/*
 * Awaiting a child that has not started yet by calling it on the awaiter's own stack: no stack, no
 * switch, no wake-up. The child is a task like any other all the same, with its own descriptor: it
 * is the worker's current one, it may wait, migrate, be cancelled, be dumped. Only its frames lie
 * above its awaiter's, which cannot go on before the child ends.
 *
 * So it is done only where the awaiter would not go on earlier anyway: no deadline, no shield, no
 * timeout or group around it (a cancel of the awaiter goes to the child), nobody else known to hold
 * the child. And where nothing else changes: it is the newest in this worker's queue, not pinned,
 * not on the sentinel (which does not start tasks), neither is on a strand (whose others may come
 * first: strand.c), and the stack has room for all that the child was promised.
 * One thing does differ: if another awaiter turns up later, this one cannot leave it alone with the
 * child when it is cancelled; its cancel then waits for the child's end.
 *
 * A cancel of the awaiter: the canceller notes it in the awaiter's cell and then looks at `inner`;
 * the awaiter sets `inner` and then looks at its cell, and likewise when it clears it (seq_cst on
 * both sides). Under the child's lock the canceller looks again, marks the pending cancel as PASSED
 * and cancels the child; under the same lock the awaiter, if a cancel is pending when the child has
 * returned, finds out what became of it. A reference keeps the descriptor from becoming another
 * task. tests/model/pass.pml checks that no cancel is lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/fiber.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"
#include "runtime/worker.h"

/* Inside no shield (a cancel goes to the child) and no bound (what hits one looks for no child). */
static bool is_free(const struct pirn_task *me)
{
    const struct task_extra *e = task_extra(me);
    return cell_depth(cell_load(&me->cell)) == 0 && (e == NULL || e->bounds == NULL);
}

static bool may_run(struct worker *w, const struct pirn_task *me, const struct pirn_task *t)
{
    const char *here = __builtin_frame_address(0);
    const struct stack_pool *pool = &w->rt->stacks;
    size_t needs = t->stack_size != 0 ? t->stack_size * PIRN_STACK_SCALE : pool->default_size;
    enum role role = worker_role(w);
    /* Who is asked for attention goes the long way, past the scheduler. */
    return atomic_load_explicit(&w->attention, memory_order_relaxed) == 0 && !task_has_started(t) &&
           t->rt == w->rt && !task_is_on_strand(t) && !task_is_on_strand(me) &&
           (t->flags & PIRN_PINNED) == 0 && is_free(me) &&
           (role == ROLE_PRIMARY || role == ROLE_SUBSTITUTE) &&
           (size_t)(here - me->stack->low) >= needs &&
           atomic_load_explicit(&t->base.refs, memory_order_relaxed) == 2;
}

/* The cancel passed on: the child has ended with it, or has had it, or has not seen it. One that
 * came later, and was not passed on, stays. */
static int take_back(struct pirn_task *me, struct pirn_task *t, int status)
{
    int rc = 0;
    lock_take(&t->base.lock); /* who has found t here is through with it */
    if ((cell_load(&me->cell) & CELL_PASSED) != 0) {
        if (status != -ECANCELED && (cell_load(&t->cell) & CELL_REQUESTED) != 0)
            atomic_fetch_and_explicit(&me->cell.word, ~(uint64_t)CELL_PASSED, memory_order_relaxed);
        else if (pirn_cell_take_passed(&me->cell) && status == -ECANCELED)
            rc = -ECANCELED;
    }
    lock_drop(&t->base.lock);
    return rc;
}

/* A C++ exception that leaves the child would be caught by its awaiter, past all that is to be put
 * back here. On a stack of its own it finds nobody, which is std::terminate; here it is this, which
 * unwinding calls (the file is compiled with -fexceptions). */
static void nothing_leaves(struct pirn_task *const *left)
{
    char name[NAME_MAX_BYTES];
    if (*left == NULL)
        return;
    pirn_task_name(*left, name, sizeof(name));
    pirn_report((*left)->rt, "task %s was left by an exception, or by pthread_exit", name);
    abort();
}

static int call(struct pirn_task *t)
{
    struct pirn_task *left __attribute__((cleanup(nothing_leaves))) = t;
    int status = task_clean_up(t, t->fn(t->arg));
    left = NULL;
    return status;
}

bool pirn_task_run_in_place(struct wait *wait, struct pirn_task *t, int *ret_status, bool join,
                            int *ret_rc)
{
    struct worker *w = wait->self->worker;
    struct pirn_task *me = wait->task;
    enum cancel_found found;
    uint32_t gen;
    if (w == NULL || me == NULL || !may_run(w, me, t) || !pirn_runq_take_newest(&w->q, &t->node))
        return false;
    uint64_t tick = atomic_load_explicit(&w->tick, memory_order_relaxed);
    atomic_store_explicit(&w->tick, tick + 1, memory_order_relaxed);
    atomic_store_explicit(&me->since, w->now, memory_order_relaxed);
    atomic_store_explicit(&me->what, "await", memory_order_relaxed);
    task_set_started(t, STARTED_IN_PLACE);
    t->stack = me->stack;
#ifdef PIRN_TSAN
    t->fiber = me->fiber;
#endif
    struct cxx_globals kept = fiber_keep_cxx();
    /* seq_cst: pairs with the fence in pirn_task_pass_cancel */
    atomic_exchange_explicit(&me->inner, t, memory_order_seq_cst);
    worker_set_current(w, t);
    if ((atomic_load_explicit(&me->cell.word, memory_order_seq_cst) & CELL_CANCEL) != 0 &&
        pirn_task_pass_cancel(me, &found, &gen) != NULL)
        pirn_task_unref(t); /* and it need not be woken: it has not begun */

    int status = task_begins(t);
    if (status == 0)
        status = call(t);
    pirn_task_drop_arg(t);

    w = pirn_self()->worker; /* it may be another by now */
    if (w == NULL)
        _exit(status < 0); /* a fork's child */
    /* seq_cst: pairs with the fence in pirn_task_pass_cancel; before the child can be freed */
    atomic_exchange_explicit(&me->inner, NULL, memory_order_seq_cst);
    *ret_rc = 0;
    if ((atomic_load_explicit(&me->cell.word, memory_order_seq_cst) & CELL_CANCEL) != 0)
        *ret_rc = take_back(me, t, status);
    atomic_store_explicit(&t->base.seen, 1, memory_order_relaxed);
    pirn_task_end(t, status, w, join && *ret_rc == 0 ? 2 : 1);
    w = pirn_self()->worker; /* again: a drop of its value may not suspend, but might */
    worker_set_current(w, me);
    fiber_put_cxx(kept);
    atomic_store_explicit(&me->what, NULL, memory_order_relaxed);
    if (*ret_rc == 0 && ret_status != NULL)
        *ret_status = status;
    if (pirn_worker_charge(w))
        pirn_worker_pause(w); /* see join.c */
    return true;
}

struct pirn_task *pirn_task_pass_cancel(struct pirn_task *t, enum cancel_found *ret_found,
                                        uint32_t *ret_gen)
{
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the exchanges in run_in_place */
    struct pirn_task *child = atomic_load_explicit(&t->inner, memory_order_acquire);
    if (child == NULL || !pirn_task_try_ref(child))
        return NULL; /* acquire: pairs with the exchange, too */
    const char *reason = atomic_load_explicit(&t->cancel_reason, memory_order_relaxed);
    lock_take(&child->base.lock);
    bool passed = !pirn_awaitable_is_awaited(&child->base) &&
                  atomic_load_explicit(&t->inner, memory_order_relaxed) == child &&
                  pirn_cell_pass_cancel(&t->cell);
    if (passed && pirn_wait_is_told(child, reason)) {
        *ret_found = CANCEL_NOTED;
    } else if (passed) {
        atomic_store_explicit(&child->cancel_reason, reason, memory_order_relaxed);
        *ret_found = pirn_cell_cancel(&child->cell, 0, true, ret_gen);
        if (child->cell.cancels != UINT16_MAX)
            child->cell.cancels++;
    }
    lock_drop(&child->base.lock);
    if (passed)
        return child;
    pirn_task_unref(child);
    return NULL;
}
