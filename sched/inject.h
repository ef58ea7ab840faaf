/*
 * An inject queue: where nodes come in from threads that are no workers, and where a full run
 * queue overflows to. First in, first out, unbounded, intrusive; one small lock, batches both ways.
 *
 * Rejected: ck_stack (last in, first out, and its batch pop is unsound in 0.7.1) and ck_fifo_mpmc
 * (not linearizable in 0.7.1). The lock is cold: an overflow moves half a ring per taking, a worker
 * takes a batch. But with many workers that run dry at once, all wait for it, and each time that it
 * is dropped all try. So workers do not wait: who finds another at it comes again. Simulated
 * (perf/simulate, row producer, tasks of 20 us), ns of workers' time a task, before and after: 64
 * workers 1,350 and 1,190; 128 200,000 to 300,000 and 11,800 to 14,500; 256 570,000 and 270,000.
 *
 * Rejected, simulated with 128 workers: size on a line of its own (103,000); who has work of its
 * own waits (154,000 to 207,000); who has come in vain stalls 0.5 or 2.4 us (30,700, 12,700).
 *
 * Not done, nor simulated: a queue in parts, from some 64 workers on. Parts by who pushes do not
 * help where it hurts, one producer's would all be in one; so pushes had to go round them. What
 * stands on there being one would have to be had in another way: the order (a later arrival passes
 * an earlier one, and what overflows from a ring is to come before what is at its end: `overtakes`
 * in runtime/queue.c); the size of all, which shares are cut from; and that who parks, and who
 * searches at each turn, sees all there is in one word for each lane, and not in one for each part,
 * which others write (tests/model/park.pml has one queue). And a part whose takers compute had to
 * be looked after by the others.
 */
#ifndef PIRN_SCHED_INJECT_H
#define PIRN_SCHED_INJECT_H

#include <stdatomic.h>
#include <stdbool.h>
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
/* Takes up to max nodes as a NULL-ended list. Unless told to wait, none if somebody is at it. */
struct node *pirn_inject_pop(struct inject *q, unsigned max, bool wait, unsigned *ret_n);

static inline uint64_t pirn_inject_size(const struct inject *q)
{
    return atomic_load_explicit(&q->size, memory_order_relaxed);
}

#endif
