/*
 * Ports: a worker's own, and those of peers that do not get to theirs.
 *
 * A coroutine that computes or blocks keeps its worker from collecting completions, firing
 * deadlines and submitting what was queued. Anybody else can do all three under the port's lock.
 * While a peer is marked stuck, every worker looks at its port at every pass; before it parks, a
 * worker looks at the ports of all who are awake.
 */
#include <errno.h>

#include "io/clock.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"
#include "runtime/worker.h"

static bool tell(struct op_list *done)
{
    struct op *op = done->head;
    bool any = op != NULL;
    while (op != NULL) {
        struct op *next = op->next; /* once told, the operation is its waiter's again */
        pirn_wait_op_done(op);
        op = next;
    }
    return any;
}

bool pirn_worker_serve_self(struct worker *w)
{
    struct op_list done = {NULL, NULL};
    bool any = false;
    struct port *p = &w->port;
    if (pirn_port_has_backlog(p) || pirn_port_holds_back(p))
        pirn_port_flush(p, &w->submitter);
    if (pirn_port_has_completions(p) ||
        atomic_load_explicit(&p->next_deadline, memory_order_relaxed) <= w->now) {
        pirn_port_collect(p, w->now, &done);
        any = tell(&done);
        if (pirn_port_has_backlog(p)) /* cancels of what has timed out */
            pirn_port_flush(p, &w->submitter);
    }
    return any;
}

/* A wake-up for the peer came along with its completions: its waker had set what the peer looks at
 * after it has said that it parks. Or an operation that goes on, or its cancel, has been queued in
 * its port. So either the peer sees that, or we see it parking (or parked) here and call it again:
 * it may be about to enter the kernel. */
static void pass_on(struct worker *w, struct worker *peer)
{
    atomic_thread_fence(
        memory_order_seq_cst); /* pairs with those in pirn_parker_begin, retire, park_sentinel */
    if (!worker_is_away(peer))
        return;
    w->foreign_requests = true;
    pirn_port_flush(&peer->port, &w->submitter); /* also an eventfd's poll, to be armed again */
    pirn_port_wake(&peer->port);
}

bool pirn_worker_serve(struct worker *w, struct worker *peer)
{
    struct op_list done = {NULL, NULL};
    bool any = false, wake;
    if (pirn_port_try_collect(&peer->port, w->now, &done, &wake)) {
        any = tell(&done);
        if (any)
            count_one(&w->n.rescues);
        if (wake || pirn_port_has_backlog(&peer->port))
            pass_on(w, peer);
    }
    if (worker_stuck(peer) != STUCK_NOT && pirn_port_has_backlog(&peer->port)) {
        w->foreign_requests = true;
        pirn_port_flush(&peer->port, &w->submitter);
        any |= pirn_port_has_completions(&peer->port); /* an overflow's, say: look again */
    }
    return any;
}

bool pirn_worker_serve_peers(struct worker *w, bool idle)
{
    struct pirn_runtime *rt = w->rt;
    bool any = false;
    if (!idle && atomic_load_explicit(&rt->stuck_workers, memory_order_relaxed) == 0)
        return false;
    unsigned threads = rt_threads(rt);
    for (unsigned i = 0; i < threads; i++) {
        struct worker *v = rt_worker(rt, i);
        bool stuck = worker_stuck(v) != STUCK_NOT;
        if (v == w || (!stuck && (!idle || worker_is_away(v) || worker_role(v) == ROLE_SENTINEL)))
            continue;
        if (pirn_port_is_due(&v->port, w->now))
            any |= pirn_worker_serve(w, v);
    }
    return any;
}

int64_t pirn_worker_wake_time(const struct worker *w)
{
    int64_t until = atomic_load_explicit(&w->port.next_deadline, memory_order_relaxed);
    unsigned threads = rt_threads(w->rt);
    bool sentinel = worker_role(w) == ROLE_SENTINEL;
    if (!worker_has_peers(w))
        return until;
    for (unsigned i = 0; i < threads; i++) {
        struct worker *v = rt_worker(w->rt, i);
        if (worker_stuck(v) == STUCK_NOT && !(sentinel && !worker_is_away(v)))
            continue;
        int64_t theirs = atomic_load_explicit(&v->port.next_deadline, memory_order_relaxed);
        if (theirs < until)
            until = theirs;
    }
    return until;
}

void pirn_sentinel_wake(struct pirn_runtime *rt)
{
    /* acquire: pairs with the monitor's release when it appoints one */
    struct worker *s = atomic_load_explicit(&rt->sentinel, memory_order_acquire);
    if (s != NULL)
        pirn_port_wake(&s->port);
}

/* A parked sentinel looks after deadlines it knows; one missed here is seen by the monitor. */
static void tell_sentinel(struct worker *w, int64_t deadline)
{
    if (deadline < atomic_load_explicit(&w->rt->sentinel_until, memory_order_relaxed))
        pirn_sentinel_wake(w->rt);
}

int pirn_worker_start(struct worker *w, struct op *op, uint32_t gen, int64_t deadline)
{
    int rc = pirn_port_start(&w->port, op, gen, deadline);
    tell_sentinel(w, deadline);
    return rc;
}

int pirn_worker_arm(struct worker *w, struct op *op, enum op_state state, uint32_t gen,
                    int64_t deadline)
{
    int rc = pirn_port_arm(&w->port, op, state, gen, deadline);
    tell_sentinel(w, deadline);
    return rc;
}

/* Has the port's owner look at it: it may be asleep in it, or running. */
static void call_owner(struct worker *w)
{
    atomic_fetch_or_explicit(&w->attention, ATTENTION_LOOK, memory_order_relaxed);
    pirn_port_wake(&w->port);
}

int pirn_worker_start_foreign(struct pirn_runtime *rt, struct op *op, uint32_t gen,
                              int64_t deadline)
{
    struct worker *w = rt_worker(rt, gen % rt->worker_count); /* any primary will do */
    int rc = pirn_port_start(&w->port, op, gen, deadline);
    if (rc == 0)
        call_owner(w);
    return rc;
}

int pirn_worker_arm_foreign(struct pirn_runtime *rt, struct op *op, uint32_t gen, int64_t deadline)
{
    struct worker *w = rt_worker(rt, 0); /* any primary will do */
    int rc = pirn_port_arm(&w->port, op, OP_GUARD, gen, deadline);
    if (rc == 0)
        call_owner(w);
    pirn_monitor_rouse(rt); /* who may be asleep with everybody else */
    return rc;
}

/* own: the calling thread, if it is one of the runtime's workers; else NULL. */
static int call_at(struct pirn_runtime *rt, struct worker *own, struct op *op, int64_t deadline)
{
    struct worker *w = own != NULL ? own : rt_worker(rt, 0); /* any primary will do */
    struct port *before = atomic_load_explicit(&op->port, memory_order_relaxed); /* our own store */
    bool moved = before != NULL && before != &w->port && pirn_op_disarm(op);
    int rc = pirn_port_call_at(&w->port, op, deadline);
    if (own != NULL) {
        tell_sentinel(w, deadline);
    } else {
        if (rc >= 0)
            call_owner(w);
        pirn_monitor_rouse(rt);
    }
    return rc == 0 ? moved : rc;
}

static struct worker *own_worker(const struct pirn_runtime *rt)
{
    struct worker *w = pirn_self()->worker;
    return w != NULL && w->rt == rt ? w : NULL;
}

int pirn_worker_call_at(struct pirn_runtime *rt, struct op *op, int64_t deadline)
{
    struct worker *own = own_worker(rt);
    if (own == NULL && !rt_outsider_try_enter(rt))
        return -ESHUTDOWN;
    int rc = rt_is_closing(rt) ? -ESHUTDOWN : call_at(rt, own, op, deadline);
    if (own == NULL)
        rt_outsider_leave(rt);
    return rc;
}

bool pirn_worker_call_off(struct pirn_runtime *rt, struct op *op)
{
    if (rt_outsider_try_enter(rt)) {
        bool armed = pirn_port_call_off(op, NULL);
        rt_outsider_leave(rt);
        return armed;
    }
    bool armed = op->state == OP_GUARD; /* there is no port any more: it is the caller's alone */
    op->state = OP_IDLE;
    return armed;
}

void pirn_worker_flush_foreign(struct pirn_runtime *rt, struct port *port)
{
    struct worker *w = pirn_self()->worker;
    if (w != NULL && w->rt == rt) {
        w->foreign_requests |= port != &w->port;
        pirn_port_flush(port, &w->submitter);
    } else {
        call_owner((struct worker *)(void *)((char *)port - offsetof(struct worker, port)));
    }
}
