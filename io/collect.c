/*
 * Collecting: completions and deadlines become done operations. The rules stand in port.h.
 */
#include <errno.h>

#include "io/port_internal.h"
#include "io/sys.h"
#include "io/valgrind.h"

/* A kernel helper thread that was told to stop reports the kernel's own "restart the system call"
 * codes (512 and up), which no user sees from a system call. */
static bool is_interrupted(int res)
{
    enum {
        ERESTARTSYS = 512,
        ERESTARTNOHAND = 514
    };
    return res == -EINTR || (res <= -ERESTARTSYS && res >= -ERESTARTNOHAND);
}

/* Under the lock: the kernel said res to a request that is not to be tried again. */
static int result_of(const struct op *op, int res)
{
    if (op->stop != 0 && (res == -ECANCELED || is_interrupted(res)))
        return op->stop;
    if (op->kind == OP_CLOCK && res == -ETIME)
        return 0; /* the time has come */
    if (op->kind == OP_CONNECT && res == -EISCONN && op->polling == OP_POLLED)
        return 0; /* the first try had begun it, the second found it done */
    return res;
}

static void requeue(struct port *p, struct op *op)
{
    op->state = OP_QUEUED;
    op->pending = 1;
    op_list_append(&p->queue, op);
    port_add(&p->backlog, 1);
}

/* Under the lock: all completions of an operation have come. True if it is done. */
static bool settle(struct port *p, struct op *op)
{
    int res = op->res;
    if (op->stop == 0) {
        if (op->polling == OP_POLLING && res > 0) { /* ready now: the request itself */
            op->polling = OP_POLLED;
            requeue(p, op);
            return false;
        }
        if (is_interrupted(res)) {
            requeue(p, op);
            return false;
        }
        /* A descriptor set to O_NONBLOCK: the kernel did not wait, so wait for it by a poll. */
        if (op->kind == OP_CONNECT ? res == -EINPROGRESS
                                   : res == -EAGAIN && op->kind <= OP_WAITING) {
            op->polling = OP_POLLING;
            requeue(p, op);
            return false;
        }
    } else if (res == -EAGAIN || res == -EINPROGRESS || (op->polling == OP_POLLING && res > 0)) {
        res = op->stop; /* stopped between poll and request: it did not happen */
    }
    port_finish(p, op, result_of(op, res));
    if (__builtin_expect(p->ring->on_valgrind, 0))
        pirn_valgrind_op_done(op);
    return true;
}

static void take_completion(struct port *p, const struct io_uring_cqe *cqe, struct op_list *done)
{
    struct op *op = (struct op *)(uintptr_t)(cqe->user_data & ~(uint64_t)RING_TAGS);
    switch ((enum ring_tag)(cqe->user_data & RING_TAGS)) {
    case RING_OP:
        op->res = cqe->res;
        op->pending--;
        if (op->stop != 0 && op->pending != 0 && op->state == OP_INFLIGHT && op->prev != op) {
            /* the cancel has not been given to the kernel yet: no need for it any more */
            op_list_remove(&p->cancels, op);
            port_add(&p->backlog, -1);
            op->pending--;
        }
        break;
    case RING_CANCEL:
        op->pending--;
        if (cqe->res == -ENOENT && op->pending != 0)
            port_request_cancel(p, op, op->stop); /* it was on its way: see port.h */
        break;
    case RING_EVENT: {
        uint64_t n;
        p->ring->event_armed = false;
        sys_read(p->ring->event_fd, &n, sizeof(n));
        p->wakes++;
        return;
    }
    case RING_WAKE:
    default:
        p->wakes++;
        return;
    }
    if (op->pending != 0 || !settle(p, op))
        return;
    if ((cqe->flags & IORING_CQE_F_SOCK_NONEMPTY) != 0)
        op->off = OP_MORE;
    op_list_append(done, op);
}

static void collect_completions(struct port *p, struct op_list *done)
{
    struct io_uring_cq *cq = &p->ring->uring.cq;
    unsigned head = *cq->khead;
    unsigned tail = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE); /* pairs with the kernel */
    if (head == tail)
        return;
    port_count(&p->completions, tail - head);
    while (head != tail)
        take_completion(p, &cq->cqes[head++ & cq->ring_mask], done);
    __atomic_store_n(cq->khead, head, __ATOMIC_RELEASE); /* pairs with the kernel's acquire */
}

enum {
    CALL_RETRY_NS = 1000000
};

static void make_call(struct port *p, struct op *op, int64_t now, struct op_list *done)
{
    struct op *made = p->call(op);
    if (made == op)
        return;
    if (made != NULL) {
        op->state = OP_IDLE;
        op_list_append(done, made);
        return;
    }
    /* relaxed: see pirn_port_call_off */
    __atomic_store_n(&op->deadline, now + CALL_RETRY_NS, __ATOMIC_RELAXED);
    pirn_deadlines_push(&p->deadlines, op); /* there is room: it has just been taken out */
}

/*
 * Under the lock. A deadline's cancel goes in front of those that came before it: with many at once
 * the latest goes first. The kernel looks for a request in one of its 128 lists (a 32nd of the
 * completion queue), of which the newest is the head, and the oldest come due first: a million
 * receives whose deadlines came at once took 143 s in the order of their deadlines, in this one 1.3
 * (row idle, variant=recv). A scope's cancel asks the newest first by itself.
 */
static void cancel_late(struct port *p, struct op *op)
{
    port_request_cancel(p, op, -ETIMEDOUT);
    op_list_remove(&p->cancels, op);
    op_list_prepend(&p->cancels, op);
}

static void expire_deadlines(struct port *p, int64_t now, struct op_list *done)
{
    const uint32_t gone = port_dropped_gone(p);
    while (pirn_deadlines_first(&p->deadlines) <= now) {
        struct op *op = pirn_deadlines_pop(&p->deadlines);
        if (op == NULL) {
            if (port_dropped_gone(p) - gone < DEADLINES_DROPPED)
                continue;
            port_put_off(p);
            return;
        }
        switch ((enum op_state)op->state) {
        case OP_TIMER:
            port_finish(p, op, 0);
            op_list_append(done, op);
            break;
        case OP_GUARD:
            if (op->kind == OP_CALL) {
                make_call(p, op, now, done);
                break;
            }
            op->state = OP_IDLE;
            if (p->expire(op)) {
                op->res = -ETIMEDOUT;
                op_list_append(done, op);
            }
            break;
        case OP_QUEUED: /* still gets its one try; the cancel follows in the same flush */
            op->stop = -ETIMEDOUT;
            break;
        case OP_INFLIGHT:
            if (op->stop == 0)
                cancel_late(p, op);
            break;
        case OP_IDLE:
            break;
        }
    }
    port_publish_deadline(p);
}

static void collect_locked(struct port *p, int64_t now, struct op_list *done)
{
    collect_completions(p, done);
    if (__builtin_expect(pirn_deadlines_are_littered(&p->deadlines), 0))
        pirn_deadlines_sweep(&p->deadlines);
    /* relaxed: under the lock. It is never after the first; before it, if much has been dropped. */
    if (atomic_load_explicit(&p->next_deadline, memory_order_relaxed) <= now)
        expire_deadlines(p, now, done);
}

void pirn_port_collect(struct port *p, int64_t now, struct op_list *done)
{
    futex_lock_take(&p->lock);
    collect_locked(p, now, done);
    p->put_off = false; /* the port is due, and the caller looks again */
    futex_lock_drop(&p->lock);
}

void pirn_port_collect_all(struct port *p, int64_t now, struct op_list *done)
{
    struct ring *r = p->ring;
    pirn_port_collect(p, now, done);
    /* Each entering posts as many as there is room for. */
    while (pirn_ring_has_overflow(r) && pirn_ring_unsubmitted(r) == 0 && pirn_ring_enter(r) >= 0 &&
           pirn_ring_has_completions(r))
        pirn_port_collect(p, now, done);
}

bool pirn_port_try_collect(struct port *p, int64_t now, struct op_list *done, bool *ret_wake)
{
    *ret_wake = false;
    if (!futex_lock_try(&p->lock))
        return false;
    unsigned wakes = p->wakes;
    collect_locked(p, now, done);
    *ret_wake = p->wakes != wakes || p->put_off;
    p->put_off = false;
    futex_lock_drop(&p->lock);
    return true;
}
