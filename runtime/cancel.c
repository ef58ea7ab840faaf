/*
 * Ending other tasks' waits: a cancel, the runtime's shutdown, the close of a descriptor. What a
 * task waits for is in its cell (cell.h): an object, which a claim ends, or an operation of io/,
 * which has to be stopped there and then ends the wait itself.
 */
#include <errno.h>

#include "io/port.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"
#include "runtime/worker.h"

void pirn_wait_stop_op(struct pirn_task *t, uint32_t gen, int err)
{
    struct port *p;
    if (pirn_op_stop(&t->op, gen, err, &p))
        pirn_wait_op_done(&t->op);
    else if (p != NULL)
        pirn_worker_flush_foreign(t->rt, p);
}

struct stop_fd {
    int fd;
    const struct fd_users *only;
    bool any;
};

static bool is_on_fd(const struct pirn_task *t, const void *arg)
{
    const struct stop_fd *s = arg;
    if (s->only != NULL && atomic_load_explicit(&s->only->reader, memory_order_relaxed) != t &&
        atomic_load_explicit(&s->only->writer, memory_order_relaxed) != t)
        return false;
    /* acquire: pairs with the release in enter_fd (wait.c). The task may be between two operations,
     * or before its first; then this gen is none that is under way, the stop is void, and the
     * caller comes again. */
    return atomic_load_explicit(&t->op.fd, memory_order_acquire) == s->fd;
}

static void stop_if_on_fd(struct pirn_task *t, void *arg)
{
    struct stop_fd *s = arg;
    /* acquire: pairs with the release in begin (io/port.c). The gen comes first: if it is a later
     * operation's the fd is that one's, or later still; if an earlier one's, the stop is void. */
    uint32_t gen = atomic_load_explicit(&t->op.gen, memory_order_acquire);
    if (!is_on_fd(t, s))
        return;
    s->any = true;
    pirn_wait_stop_op(t, gen, -EBADF);
}

/* Those that were the last to come there. True: there are no more than these; or one of them
 * was about to come or to go, and was taken for another, and the caller comes again. (That one
 * leaves the count before it leaves the descriptor mostly saves a walk; nothing else depends on the
 * order.) */
static bool stop_last(struct pirn_runtime *rt, struct stop_fd *s)
{
    struct fd_use *use = pirn_fd_use_of(&rt->fd_ops, s->fd);
    struct pirn_task *before = NULL;
    uint32_t found = 0;
    for (int i = 0; i < 2; i++) {
        /* acquire: pairs with the release in enter_fd */
        struct pirn_task *t = atomic_load_explicit(&use->last[i], memory_order_acquire);
        if (t == NULL || t == before || !pirn_task_try_ref(t))
            continue;
        before = t;
        /* acquire: as in is_on_fd */
        found += atomic_load_explicit(&t->op.fd, memory_order_acquire) == s->fd;
        if (!task_has_ended(t))
            stop_if_on_fd(t, s);
        pirn_task_leave_unbegun(t); /* a look's reference */
    }
    s->any |= found != 0 && s->only == NULL;
    /* seq_cst: pairs with the addition in enter_fd, and the release in pirn_wait_leave_fd */
    return found >= atomic_load_explicit(&use->count, memory_order_seq_cst);
}

bool pirn_wait_stop_fd(struct pirn_runtime *rt, int fd, const struct fd_users *only)
{
    struct stop_fd s = {fd, only, false};
    bool paused = rt_phase(rt) == PHASE_PAUSE; /* then the caller does not come again */
    if (!stop_last(rt, &s) || paused)
        pirn_task_each_that(rt, is_on_fd, stop_if_on_fd, &s);
    return s.any && !paused;
}

void pirn_wait_end(struct pirn_task *t, enum cancel_found found, uint32_t gen)
{
    switch (found) {
    case CANCEL_NOTED:
        break;
    case CANCEL_WOKE:
        if (!pirn_task_end_timed(t))
            pirn_wake_cell(&t->cell);
        break;
    case CANCEL_IN_OP:
        pirn_wait_stop_op(t, gen, -ECANCELED);
        break;
    }
}

/* The end of a runtime cancels each task once. But a task that is told so hands that on to whom it
 * awaits, and to the children of its scope, with the reason: by that the cancel is known for the
 * same, whoever comes with it. Of another runtime's end it is a cancel like any. */
const char pirn_shutdown_reason[] = "shutdown";

bool pirn_wait_is_told(struct pirn_task *t, const char *reason)
{
    if (reason != pirn_shutdown_reason || !rt_is_closing(t->rt))
        return false;
    bool told = t->fate == FATE_TOLD;
    t->fate = FATE_TOLD;
    return told;
}

/* Under the lock. What a task asks of itself is pending again: it has taken that, and could not say
 * so. */
static bool is_new(struct pirn_task *t, const char *reason)
{
    return !pirn_wait_is_told(t, reason) || t == pirn_current_task();
}

int pirn_wait_cancel(struct pirn_task *t, const char *reason)
{
    struct pirn_runtime *rt = t->rt;
    struct pirn_task *outer = t, *inner;
    enum cancel_found found;
    uint32_t gen = 0;
    struct worker *w = pirn_self()->worker;
    bool outside = w == NULL || w->rt != rt; /* a worker that is in here keeps its runtime */
    if (task_has_ended(t))
        return -EALREADY;
    if (outside)
        rt_outsider_enter(rt);
    lock_take(&t->base.lock); /* with pirn_task_uncancel: the count and the cell agree */
    if (!is_new(t, reason)) {
        lock_drop(&t->base.lock);
        if (outside)
            rt_outsider_leave(rt);
        return 0;
    }
    if (t->cell.cancels != UINT16_MAX)
        t->cell.cancels++;
    atomic_store_explicit(&t->cancel_reason, reason, memory_order_relaxed);
    found = pirn_cell_cancel(&t->cell, 0, true, &gen);
    lock_drop(&t->base.lock);
    pirn_wait_end(t, found, gen);
    /* To the awaited; who was parked had none. */
    while (found != CANCEL_WOKE && (inner = pirn_task_pass_cancel(outer, &found, &gen)) != NULL) {
        pirn_wait_end(inner, found, gen);
        if (outer != t)
            pirn_task_unref(outer);
        outer = inner;
    }
    if (outer != t)
        pirn_task_unref(outer);
    if (outside)
        rt_outsider_leave(rt);
    return 0;
}

void pirn_wait_cancel_leftover(struct pirn_task *t)
{
    lock_take(&t->base.lock);
    bool untold = t->fate == FATE_CANCEL;
    lock_drop(&t->base.lock);
    if (untold)
        pirn_wait_cancel(t, pirn_shutdown_reason);
}

bool pirn_wait_cleans_up(struct pirn_task *t)
{
    if ((t->flags & TASK_CALLBACKS) != 0)
        return true; /* it is not told */
    lock_take(&t->base.lock);
    uint64_t word = cell_load(&t->cell);
    bool heard = t->fate == FATE_TOLD && (word & CELL_REQUESTED) == 0;
    bool cleans_up = heard || t->fate == FATE_LEFT || cell_depth(word) != 0;
    lock_drop(&t->base.lock);
    return cleans_up;
}

void pirn_wait_fail(struct pirn_task *t)
{
    uint64_t word = cell_load(&t->cell);
    if ((word & CELL_PARKED) == 0)
        return;
    if ((word & CELL_IN_OP) != 0)
        pirn_wait_stop_op(t, cell_gen(word), -ESHUTDOWN);
    else if (pirn_cell_claim(&t->cell, cell_gen(word), WAKE_SHUTDOWN) == CLAIM_PARKED)
        pirn_wake_cell(&t->cell);
}
