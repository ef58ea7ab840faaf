/*
 * The port; rules and protocol stand in port.h.
 *
 * An operation's states: IDLE -> QUEUED -> INFLIGHT -> IDLE (done), or IDLE -> TIMER/GUARD -> IDLE.
 * A stop of a QUEUED operation ends it at once, except by deadline: that one is still tried once,
 * with its cancel right behind it.
 *
 * Rejected: one kernel timeout per deadline (cancelling is a list scan), LINK_TIMEOUT (two entries
 * and two completions per call), filling entries directly at start (a stop before submission would
 * have to find them again, and the queue would have a capacity).
 */
#include "io/port.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "io/clock.h"
#include "io/port_internal.h"
#include "io/sys.h"

enum {
    WAKE_TRIES = 20
};

_Atomic uint32_t pirn_port_waiting_opens;

int pirn_port_init(struct port *p, const struct mem *mem, unsigned entries, unsigned completions,
                   bool patient, bool (*expire)(struct op *op), struct op *(*call)(struct op *op))
{
    memset(p, 0, sizeof(*p));
    p->mem = mem;
    futex_lock_init(&p->lock);
    p->expire = expire;
    p->call = call;
    atomic_init(&p->next_deadline, INT64_MAX);
    p->ring = mem_alloc(mem, sizeof(*p->ring));
    if (p->ring == NULL)
        return -ENOMEM;
    int rc = pirn_ring_init(p->ring, entries, completions, patient);
    if (rc != 0) {
        mem_free(mem, p->ring);
        return rc;
    }
    rc = pirn_deadlines_init(&p->deadlines, mem);
    if (rc != 0)
        pirn_port_destroy(p);
    return rc;
}

void pirn_port_destroy(struct port *p)
{
    pirn_ring_destroy(p->ring);
    mem_free(p->mem, p->ring);
    pirn_deadlines_destroy(&p->deadlines, p->mem);
}

void pirn_port_publish_droppable(struct port *p)
{
    struct deadlines *d = &p->deadlines;
    const uint32_t gone = port_dropped_gone(p);
    while (pirn_deadlines_first_is_droppable(d)) {
        /* seq_cst: and then it is looked at again; pairs with the CAS in pirn_deadline_drop and the
         * load in pirn_port_call_off. So either that sees this, or this sees that */
        atomic_store_explicit(&p->next_deadline, pirn_deadlines_first(d), memory_order_seq_cst);
        if (!pirn_deadlines_pop_dropped(d))
            return;
        if (port_dropped_gone(p) - gone >= DEADLINES_DROPPED) {
            port_put_off(p);
            return;
        }
    }
    atomic_store_explicit(&p->next_deadline, pirn_deadlines_first(d), memory_order_relaxed);
}

static int begin(struct port *p, struct op *op, enum op_state state, uint32_t gen, int64_t deadline)
{
    int rc = deadline != INT64_MAX ? pirn_deadlines_reserve(&p->deadlines, p->mem) : 0;
    if (rc != 0)
        return rc;
    op->state = (uint8_t)state;
    op->stop = 0;
    op->polling = 0;
    op->deadline = deadline;
    /* release: who finds p finds it initialised; pairs with pirn_op_stop's acquire */
    atomic_store_explicit(&op->port, p, memory_order_release);
    /* release: who reads this gen reads the fd that goes with it */
    atomic_store_explicit(&op->gen, gen, memory_order_release);
    if (deadline != INT64_MAX) {
        pirn_deadlines_push(&p->deadlines, op);
        /* relaxed: as in port_publish_deadline. It is the first, and not dropped yet */
        if (deadline < atomic_load_explicit(&p->next_deadline, memory_order_relaxed))
            atomic_store_explicit(&p->next_deadline, deadline, memory_order_relaxed);
    }
    return 0;
}

int pirn_port_start(struct port *p, struct op *op, uint32_t gen, int64_t deadline)
{
    futex_lock_take(&p->lock);
    int rc = begin(p, op, OP_QUEUED, gen, deadline);
    if (rc == 0) {
        op_list_append(&p->queue, op);
        op->pending = 1;
        port_add(&p->backlog, 1);
        port_add(&p->inflight, 1);
        if (port_op_waits_in_open(op))
            atomic_fetch_add_explicit(&pirn_port_waiting_opens, 1, memory_order_relaxed);
    }
    futex_lock_drop(&p->lock);
    return rc;
}

int pirn_port_arm(struct port *p, struct op *op, enum op_state state, uint32_t gen,
                  int64_t deadline)
{
    futex_lock_take(&p->lock);
    int rc = begin(p, op, state, gen, deadline);
    futex_lock_drop(&p->lock);
    return rc;
}

int pirn_port_call_at(struct port *p, struct op *op, int64_t deadline)
{
    futex_lock_take(&p->lock);
    bool armed = op->state == OP_GUARD;
    port_remove_deadline(p, op);
    int rc = begin(p, op, OP_GUARD, 0, deadline); /* with the room of the one removed */
    if (rc != 0)
        op->state = OP_IDLE; /* it was armed for INT64_MAX, which takes no room */
    port_unlock(p);
    return rc == 0 ? armed : rc;
}

bool pirn_op_disarm(struct op *op)
{
    struct port *p = atomic_load_explicit(&op->port, memory_order_relaxed); /* our own store */
    futex_lock_take(&p->lock);
    bool armed = op->state == OP_GUARD;
    port_remove_deadline(p, op);
    op->state = OP_IDLE;
    port_unlock(p);
    return armed;
}

static void count_dropped(struct port *p, const struct port *own)
{
    struct deadlines *d = &p->deadlines;
    if (p == own) /* relaxed: nobody else writes it */
        port_add(&d->dropped_own, 1);
    else
        atomic_fetch_add_explicit(&d->dropped_others, 1, memory_order_relaxed);
}

/* relaxed: a guess, as the call may be made again later meanwhile */
static bool may_be_first(const struct port *p, const struct op *op)
{
    return __atomic_load_n(&op->deadline, __ATOMIC_RELAXED) ==
           atomic_load_explicit(&p->next_deadline, memory_order_relaxed);
}

bool pirn_port_call_off(struct op *op, const struct port *own)
{
    struct port *p = atomic_load_explicit(&op->port, memory_order_relaxed); /* our own store */
    if ((p != own && may_be_first(p, op)) || !pirn_deadline_drop(op))
        return pirn_op_disarm(op);
    op->state = OP_IDLE;
    count_dropped(p, own);
    /* seq_cst: pairs with the store in pirn_port_publish_droppable */
    if (op->deadline != atomic_load_explicit(&p->next_deadline, memory_order_seq_cst))
        return true;
    if (p == own) {
        p->first_dropped = true; /* there is time until the owner goes to sleep */
    } else {
        futex_lock_take(&p->lock);
        port_publish_deadline(p);
        port_unlock(p);
    }
    return true;
}

void pirn_port_tidy(struct port *p)
{
    futex_lock_take(&p->lock);
    if (pirn_deadlines_are_littered(&p->deadlines))
        pirn_deadlines_sweep(&p->deadlines);
    port_publish_deadline(p);
    p->first_dropped = p->put_off;
    p->put_off = false;
    futex_lock_drop(&p->lock);
}

bool pirn_op_stop(struct op *op, uint32_t gen, int err, struct port **ret_port)
{
    bool done = false;
    /* acquire: pairs with the release in begin */
    struct port *p = atomic_load_explicit(&op->port, memory_order_acquire);
    *ret_port = NULL;
    if (p == NULL)
        return false;
    futex_lock_take(&p->lock);
    /* A gen names one use of the struct, and a use stays in one port: if it matches, p is right. */
    if (atomic_load_explicit(&op->port, memory_order_relaxed) == p &&
        atomic_load_explicit(&op->gen, memory_order_relaxed) == gen) {
        switch ((enum op_state)op->state) {
        case OP_QUEUED:
            op_list_remove(&p->queue, op);
            port_add(&p->backlog, -1);
            op->stop = err;
            port_finish(p, op, err);
            done = true;
            break;
        case OP_TIMER:
            op->stop = err;
            port_finish(p, op, err);
            done = true;
            break;
        case OP_INFLIGHT:
            if (op->stop == 0) {
                port_request_cancel(p, op, err);
                *ret_port = p;
            }
            break;
        case OP_GUARD:
        case OP_IDLE:
            break;
        }
    }
    port_unlock(p);
    return done;
}

bool pirn_port_has_completions(const struct port *p)
{
    return pirn_ring_has_completions(p->ring);
}

bool pirn_port_is_idle(const struct port *p)
{
    return atomic_load_explicit(&p->inflight, memory_order_relaxed) == 0 &&
           atomic_load_explicit(&p->next_deadline, memory_order_relaxed) == INT64_MAX;
}

bool pirn_port_has_backlog(const struct port *p)
{
    return atomic_load_explicit(&p->backlog, memory_order_relaxed) != 0 ||
           pirn_ring_unsubmitted(p->ring) != 0 || pirn_ring_has_overflow(p->ring);
}

bool pirn_port_holds_back(const struct port *p)
{
    return pirn_ring_wants_enter(p->ring);
}

bool pirn_port_is_due(const struct port *p, int64_t now)
{
    return pirn_ring_has_completions(p->ring) || pirn_port_has_backlog(p) ||
           atomic_load_explicit(&p->next_deadline, memory_order_relaxed) <= now;
}

/* Under the lock: moves queued operations and cancels into the submission queue, as many as fit. */
static void fill(struct port *p)
{
    struct ring *r = p->ring;
    unsigned n = 0;
    struct op *op;
    while ((op = p->queue.head) != NULL && pirn_ring_prepare(r, op)) {
        op_list_remove(&p->queue, op);
        op->state = OP_INFLIGHT;
        op->prev = op; /* on no list: see take_completion */
        n++;
        if (op->stop != 0) { /* its deadline has passed: one try, then the cancel */
            op->pending++;
            op_list_append(&p->cancels, op);
            port_add(&p->backlog, 1);
        }
    }
    while ((op = p->cancels.head) != NULL && pirn_ring_prepare_cancel(r, op)) {
        op_list_remove(&p->cancels, op);
        op->prev = op;
        n++;
    }
    pirn_ring_prepare_event(r);
    port_add(&p->backlog, -(int)n);
    port_count(&p->submissions, n);
    pirn_ring_publish(r);
}

static void fill_if_needed(struct port *p)
{
    if (atomic_load_explicit(&p->backlog, memory_order_relaxed) == 0 && p->ring->event_fd < 0)
        return;
    futex_lock_take(&p->lock);
    fill(p);
    futex_lock_drop(&p->lock);
}

/*
 * After the filling, before the kernel is entered: the open was counted before it was queued, under
 * the lock. (Should another thread's entering take it along just now, that one hears of it the next
 * time.)
 */
static void allow_helpers(struct port *p, struct submitter *me)
{
    /* relaxed: see above */
    uint32_t more = atomic_load_explicit(&pirn_port_waiting_opens, memory_order_relaxed);
    if (__builtin_expect(more == me->more, 1))
        return;
    me->more = more;
    pirn_ring_limit_helpers(p->ring, me->helpers + more);
}

void pirn_port_flush(struct port *p, struct submitter *me)
{
    for (;;) {
        fill_if_needed(p);
        if (pirn_ring_unsubmitted(p->ring) == 0 && !pirn_ring_wants_enter(p->ring))
            return;
        allow_helpers(p, me);
        /* EINTR, EBUSY and EAGAIN (completion queue or memory short for the moment): what was not
         * taken stays published, and the next flush offers it again. */
        if (pirn_ring_enter(p->ring) < 0)
            return;
        if (atomic_load_explicit(&p->backlog, memory_order_relaxed) == 0)
            return;
    }
}

void pirn_port_wait(struct port *p, struct submitter *me, int64_t until)
{
    fill_if_needed(p);
    allow_helpers(p, me);
    if (atomic_load_explicit(&p->backlog, memory_order_relaxed) != 0)
        pirn_port_flush(p, me); /* more than one queue full */
    pirn_ring_wait(p->ring, until);
}

void pirn_port_wake(struct port *p)
{
    /* A full completion queue overflows safely, so a wake-up can only fail for want of memory in
     * the kernel. Nobody would send it again: it is tried for some 10 ms. */
    for (int i = 0; pirn_ring_wake(p->ring) != 0 && i < WAKE_TRIES; i++) {
        struct timespec pause = clock_timespec((int64_t)1000 << (i < 10 ? i : 10));
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
}

void pirn_port_thread_init(struct port *p, struct submitter *me, unsigned helpers)
{
    *me = (struct submitter){helpers, 0};
    pirn_ring_limit_helpers(p->ring, helpers);
}
