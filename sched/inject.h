/*
 * An inject queue: where nodes come in from threads that are no workers, and where a full run
 * queue overflows to. First in, first out, unbounded, intrusive; one small lock, batches both ways.
 *
 * Rejected: ck_stack (last in, first out, and its batch pop is unsound in 0.7.1) and ck_fifo_mpmc
 * (not linearizable in 0.7.1). The lock is cold: an overflow moves half a ring per taking, a worker
 * takes a batch.
 */
#ifndef PIRN_SCHED_INJECT_H
#define PIRN_SCHED_INJECT_H

#include <stdatomic.h>
#include <stdint.h>

#include "sched/lock.h"
#include "sched/node.h"

struct inject {
    struct lock lock;
    struct node *head, *tail; /* under lock */
    _Atomic uint64_t size;    /* written under lock; read by all as a hint */
};

void pirn_inject_init(struct inject *q);
void pirn_inject_push(struct inject *q, struct node *n);
void pirn_inject_push_list(struct inject *q, struct node *first, unsigned n);
/* Takes up to max nodes as a NULL-ended list. */
struct node *pirn_inject_pop(struct inject *q, unsigned max, unsigned *ret_n);

static inline uint64_t pirn_inject_size(const struct inject *q)
{
    return atomic_load_explicit(&q->size, memory_order_relaxed);
}

#endif
