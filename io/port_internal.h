/*
 * What port.c and collect.c share. All of it under the port's lock.
 */
#ifndef PIRN_IO_PORT_INTERNAL_H
#define PIRN_IO_PORT_INTERNAL_H

#include "io/port.h"
#include "io/ring.h"

static inline uint32_t port_dropped_gone(const struct port *p)
{
    return atomic_load_explicit(&p->deadlines.dropped_gone,
                                memory_order_relaxed); /* under the lock */
}

/* Dropped deadlines come first, too many to take out in one go: the port is due until they are
 * gone, and whoever collects goes on. */
static inline void port_put_off(struct port *p)
{
    p->put_off = true;
    /* relaxed: a hint */
    atomic_store_explicit(&p->next_deadline, 0, memory_order_relaxed);
}

/* For who may not be the owner, who may be asleep. */
static inline void port_unlock(struct port *p)
{
    bool put_off = p->put_off;
    p->put_off = false;
    futex_lock_drop(&p->lock);
    if (__builtin_expect(put_off, 0))
        pirn_port_wake(p);
}

/* port_publish_deadline where the first deadline may be dropped meanwhile, without the lock. */
void pirn_port_publish_droppable(struct port *p);

static inline void port_publish_deadline(struct port *p)
{
    if (__builtin_expect(pirn_deadlines_first_is_droppable(&p->deadlines), 0)) {
        pirn_port_publish_droppable(p);
        return;
    }
    /* relaxed: a hint; who acts on it takes the lock */
    atomic_store_explicit(&p->next_deadline, pirn_deadlines_first(&p->deadlines),
                          memory_order_relaxed);
}

/* One writer at a time (under the lock, mostly), so no read-modify-write. */
static inline void port_add(_Atomic uint32_t *counter, int n)
{
    uint32_t v = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, v + (uint32_t)n, memory_order_relaxed);
}

static inline void port_count(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, v + n, memory_order_relaxed);
}

static inline void port_remove_deadline(struct port *p, struct op *op)
{
    if (op->node == 0)
        return;
    pirn_deadlines_remove(&p->deadlines, op);
    if (op->deadline == atomic_load_explicit(&p->next_deadline, memory_order_relaxed))
        port_publish_deadline(p);
}

/* Opens under way, or queued, that wait for somebody. Anybody; see allow_helpers. */
extern _Atomic uint32_t pirn_port_waiting_opens;

static inline bool port_op_waits_in_open(const struct op *op)
{
    return op->kind == OP_OPENAT && op->off == OP_BLOCKS;
}

/* Under the lock: the operation is over. */
static inline void port_finish(struct port *p, struct op *op, int res)
{
    port_remove_deadline(p, op);
    if (op->state != OP_TIMER) {
        port_add(&p->inflight, -1);
        if (port_op_waits_in_open(op))
            atomic_fetch_sub_explicit(&pirn_port_waiting_opens, 1, memory_order_relaxed);
    }
    op->res = res;
    op->state = OP_IDLE;
    /* A stop that comes too late must not look at a later use of the struct, which may be in
     * another port: it finds this one gone. relaxed: under the lock, like its second look */
    atomic_store_explicit(&op->port, NULL, memory_order_relaxed);
}

/* Under the lock: asks the kernel to give up a request it has. */
static inline void port_request_cancel(struct port *p, struct op *op, int err)
{
    op->stop = err;
    op->pending++;
    op_list_append(&p->cancels, op);
    port_add(&p->backlog, 1);
}

#endif
