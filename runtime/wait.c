/*
 * Waiting; the steps stand in wait.h, the word that decides in cell.h.
 *
 * A coroutine parks by switching away; only after the switch does anybody get to resume it (the
 * side switched to does the park transition). A pinned task and a plain thread park by sleeping on
 * the gen half of their cell's word, which every claim changes.
 *
 * A deadline on an object is an OP_GUARD in the worker's port: when it comes, the port's owner
 * claims the cell under the port's lock, so after pirn_op_disarm nobody holds on to the task. A
 * thread's deadline is its sleep's.
 */
#include "runtime/wait.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "io/clock.h"
#include "io/port.h"
#include "io/sys.h"
#include "runtime/alarm.h"
#include "runtime/runtime.h"
#include "runtime/worker.h"

static int error_of(enum wake reason)
{
    switch (reason) {
    case WAKE_NONE:
    case WAKE_OBJECT:
    case WAKE_OP:
        return 0;
    case WAKE_TIMEOUT:
        return -ETIMEDOUT;
    case WAKE_CANCEL:
        return -ECANCELED;
    case WAKE_SHUTDOWN:
        return -ESHUTDOWN;
    case WAKE_NO_MEMORY:
        return -ENOMEM;
    case WAKE_NO_COROUTINE:
        return -EPERM;
    }
    return -EINVAL;
}

static bool is_failing(const struct pirn_runtime *rt)
{
    return atomic_load_explicit(&rt->failing, memory_order_relaxed) != 0;
}

static inline __attribute__((always_inline)) int enter(struct wait *w, struct self *self)
{
    w->self = self;
    w->task = self->worker != NULL ? self->worker->current : self->pinned;
    if (w->task == NULL) {
        w->cell = &self->cell;
        w->waiter = &w->local;
        w->local.linked = false;
        if (self->interruptible && pirn_cell_take_cancel(w->cell))
            return -ECANCELED;
    } else {
        w->cell = &w->task->cell;
        w->waiter = &w->task->waiter;
        if (self->pinned != NULL && rt_phase(w->task->rt) == PHASE_PAUSE) {
            pirn_pinned_leave(w->task->rt);
            pirn_pinned_enter(w->task->rt);
        }
        int rc = is_failing(w->task->rt) ? -ESHUTDOWN : task_take_cancel(w->task) ? -ECANCELED : 0;
        if (rc != 0)
            return rc;
    }
    w->gen = cell_gen(cell_load(w->cell));
    return 0;
}

int pirn_wait_enter(struct wait *w)
{
    struct self *self = pirn_self();
    if (self->worker != NULL && pirn_worker_charge(self->worker)) {
        pirn_worker_pause(self->worker); /* a loop of calls that never wait gives way too */
        self = pirn_self();
    }
    return enter(w, self);
}

int pirn_wait_enter_free(struct wait *w)
{
    return enter(w, pirn_self());
}

void pirn_wait_renew(struct wait *w)
{
    w->self = pirn_self();
    w->gen = cell_gen(cell_load(w->cell));
}

void pirn_wait_keep_cancel(struct wait *w)
{
    if (w->task == NULL)
        return;
    bool bound = pirn_task_relevel(w->task);
    /* A request that was told together with a bound's cancel, or just before the bound was hit,
     * does not end with the bound. */
    if (!bound || (cell_load(w->cell) & CELL_ASKED) != 0)
        /* relaxed: our own word, for ourselves */
        atomic_fetch_or_explicit(&w->cell->word, CELL_CANCEL | CELL_REQUESTED,
                                 memory_order_relaxed);
}

static void park_thread(struct cell *c, uint32_t gen, unsigned how, struct pirn_task *t,
                        int64_t deadline)
{
    uint64_t word;
    if (!pirn_cell_park(c, gen, how, &word))
        return;
    if ((how & CELL_IN_OP) != 0 && (how & CELL_CANCELLABLE) != 0 && (word & CELL_CANCEL) != 0)
        pirn_wait_stop_op(t, gen, -ECANCELED);
    for (;;) {
        struct timespec ts, *timeout = NULL;
        if (cell_gen(atomic_load_explicit(&c->word, memory_order_acquire)) != gen)
            return; /* acquire: pairs with the claim's release */
        if (deadline != INT64_MAX) {
            int64_t left = clock_left(deadline);
            if (left <= 0) {
                pirn_cell_claim(c, gen, WAKE_TIMEOUT);
                continue; /* ours or another's: the gen has changed */
            }
            ts = clock_timespec(left);
            timeout = &ts;
        }
        sys_futex_wait(cell_gen_half(c), gen, timeout);
    }
}

static __attribute__((noinline)) void park_elsewhere(struct wait *w, unsigned how,
                                                     int64_t thread_deadline)
{
    struct pirn_runtime *rt = w->task != NULL ? w->task->rt : NULL;
    if (pirn_patience_look(&w->self->patience, w->cell, w->gen, thread_deadline) &&
        (rt == NULL || rt_phase(rt) != PHASE_PAUSE))
        return;
    if (rt != NULL) {
        uint32_t timed = thread_deadline != INT64_MAX;
        atomic_fetch_add_explicit(&rt->pinned_timed, timed, memory_order_relaxed);
        pirn_pinned_leave(rt);
        park_thread(w->cell, w->gen, how, w->task, thread_deadline);
        pirn_pinned_enter(rt);
        atomic_fetch_sub_explicit(&rt->pinned_timed, timed, memory_order_relaxed);
    } else {
        park_thread(w->cell, w->gen, how, NULL, thread_deadline);
    }
}

/* Leaves until the cell has been claimed; returns why. */
static inline __attribute__((always_inline)) enum wake park(struct wait *w, unsigned how,
                                                            int64_t thread_deadline)
{
    if (w->task != NULL || w->self->interruptible)
        how |= CELL_CANCELLABLE;
    if (__builtin_expect(w->self->worker != NULL, 1))
        pirn_worker_park(w->self->worker, w->task, w->gen, how);
    else
        park_elsewhere(w, how, thread_deadline);
    return cell_reason(cell_load(w->cell));
}

static inline __attribute__((always_inline)) void note(const struct wait *w, const char *what)
{
    if (w->task == NULL)
        return;
    int64_t now = w->self->worker != NULL ? w->self->worker->now : clock_now();
    atomic_store_explicit(&w->task->since, now, memory_order_relaxed);
    atomic_store_explicit(&w->task->what, what, memory_order_relaxed);
    if (__builtin_expect(w->task->rt->debug, 0))
        pirn_sites_capture(w->task);
}

static void unnote(struct pirn_task *t)
{
    if (t != NULL)
        atomic_store_explicit(&t->what, NULL, memory_order_relaxed);
}

/* With a deadline, on a worker. Or where that is between coroutines, in the arg_drop of a task that
 * never began: nobody may wait there. */
static __attribute__((noinline)) int park_until(struct wait *w, const char *what, int64_t deadline)
{
    enum wake give_up = WAKE_NONE;
    if (deadline <= 0 || deadline <= clock_now())
        give_up = WAKE_TIMEOUT;
    else if (w->task == NULL)
        give_up = WAKE_NO_COROUTINE;
    else if (pirn_worker_arm(w->self->worker, &w->task->op, OP_GUARD, w->gen, deadline) != 0)
        give_up = WAKE_NO_MEMORY;
    /* Not parked yet, so a claim of our own is either the first or lost to the object's. */
    if (give_up != WAKE_NONE && pirn_cell_claim(w->cell, w->gen, give_up) != CLAIM_LOST)
        return error_of(give_up);
    if (give_up != WAKE_NONE)
        /* acquire: pairs with the release of the claim that was first */
        return error_of(cell_reason(atomic_load_explicit(&w->cell->word, memory_order_acquire)));
    note(w, what);
    enum wake reason = park(w, 0, deadline);
    unnote(w->task);
    if (reason != WAKE_TIMEOUT)
        pirn_op_disarm(&w->task->op);
    return error_of(reason);
}

/* Inlined twice: how words pass over a channel (row pingpong: 97 ns a trip instead of 101). */
static inline __attribute__((always_inline)) int park_edge(struct wait *w, const char *what,
                                                           int64_t deadline)
{
    if ((deadline != INT64_MAX || w->task == NULL) && w->self->worker != NULL)
        return park_until(w, what, deadline);
    note(w, what);
    enum wake reason = park(w, 0, deadline);
    unnote(w->task);
    return reason == WAKE_OBJECT ? 0 : error_of(reason);
}

int pirn_wait_park_edge(struct wait *w, const char *what, int64_t deadline)
{
    return park_edge(w, what, deadline);
}

int pirn_wait_park(struct wait *w, const char *what, int64_t deadline)
{
    int rc = park_edge(w, what, deadline);
    if (__builtin_expect(rc == -ECANCELED && w->task != NULL, 0))
        pirn_task_relevel(w->task);
    return rc;
}

bool pirn_wait_expire(struct op *op)
{
    if (op->kind == OP_ALARM)
        return true;
    struct pirn_task *t = TASK_OF(op, op);
    uint32_t gen = atomic_load_explicit(&op->gen, memory_order_relaxed);
    return pirn_cell_claim(&t->cell, gen, WAKE_TIMEOUT) == CLAIM_PARKED;
}

void pirn_wait_op_done(struct op *op)
{
    if (__builtin_expect(op->kind == OP_ALARM, 0)) {
        struct alarm *alarm = (struct alarm *)(void *)op;
        alarm->fire(alarm);
        return;
    }
    struct pirn_task *t = TASK_OF(op, op);
    if (op->kind == OP_LAUNCH) {
        op->kind = 0;
        pirn_worker_launch(t);
        return;
    }
    /* A guard's cell has been claimed by pirn_wait_expire already; an operation's is claimed here,
     * by the one collector that got it. */
    uint32_t gen = atomic_load_explicit(&op->gen, memory_order_relaxed);
    enum cell_kind kind = (enum cell_kind)t->cell.kind;
    if (cell_gen(cell_load(&t->cell)) != gen) {
        pirn_wake_kind(&t->cell, kind);
        return;
    }
    if (pirn_cell_claim(&t->cell, gen, WAKE_OP) == CLAIM_PARKED)
        pirn_wake_kind(&t->cell, kind);
}

static int end_op(struct wait *w, const char *what)
{
    struct op *op = &w->task->op;
    note(w, what);
    park(w, CELL_IN_OP, INT64_MAX);
    unnote(w->task);
    if (op->res == -ECANCELED && op->stop == -ECANCELED)
        task_take_cancel(w->task);
    return op->res;
}

static bool writes(const struct op *op)
{
    return op->kind == OP_POLL ? (op->flags & POLLOUT) != 0
                               : op->kind == OP_WRITE || op->kind == OP_WRITEV;
}

static inline void enter_fd(struct pirn_task *t, int fd, bool to_write)
{
    struct fd_use *use = pirn_fd_use_of(&t->rt->fd_ops, fd);
    atomic_store_explicit(&t->op.fd, fd, memory_order_release); /* see stop_if_on_fd */
    /* release: pairs with the acquire in stop_last (cancel.c) */
    atomic_store_explicit(&use->last[to_write], t, memory_order_release);
    /* seq_cst: before the start, for a close that looks for operations after it has begun */
    atomic_fetch_add_explicit(&use->count, 1, memory_order_seq_cst);
}

void pirn_wait_leave_fd(struct pirn_task *t)
{
    struct fd_use *use = pirn_fd_use_of(&t->rt->fd_ops, task_fd(t));
    /* Under way no more; in this order it saves walks, see stop_last. release: what the call did
     * there comes before the close that finds nobody; pairs with the loads of next_on, stop_last */
    atomic_fetch_sub_explicit(&use->count, 1, memory_order_release);
    atomic_store_explicit(&t->op.fd, -1, memory_order_relaxed);
}

void pirn_wait_stay_on_fd(struct pirn_task *t, int fd, bool to_write)
{
    if (task_fd(t) != fd)
        enter_fd(t, fd, to_write);
}

int pirn_wait_op(struct wait *w, const char *what, int fd, int64_t deadline)
{
    struct pirn_runtime *rt = w->task->rt;
    bool inside = task_fd(w->task) == fd; /* the call stays there after it, too */
    int rc;
    if (!inside)
        enter_fd(w->task, fd, writes(&w->task->op));
    if (w->self->worker != NULL)
        rc = pirn_worker_start(w->self->worker, &w->task->op, w->gen, deadline);
    else
        rc = pirn_worker_start_foreign(rt, &w->task->op, w->gen, deadline);
    if (rc == 0)
        rc = end_op(w, what);
    if (!inside)
        pirn_wait_leave_fd(w->task);
    return rc;
}

int pirn_wait_until(struct wait *w, const char *what, int64_t until)
{
    if (w->self->worker == NULL) {
        note(w, what);
        enum wake reason = park(w, 0, until);
        unnote(w->task);
        if (reason == WAKE_CANCEL && w->task != NULL)
            pirn_task_relevel(w->task);
        return reason == WAKE_TIMEOUT ? 0 : error_of(reason);
    }
    if (w->task == NULL)
        return -EPERM; /* see park_until */
    int rc = pirn_worker_arm(w->self->worker, &w->task->op, OP_TIMER, w->gen, until);
    return rc == 0 ? end_op(w, what) : rc;
}

void pirn_wait_give_way(void)
{
    struct self *self = pirn_self();
    if (self->worker != NULL && self->worker->current != NULL)
        pirn_worker_yield(self->worker);
    else
        sched_yield();
}
