/*
 * Deadlines of one port. To arm one and to cancel it takes a few steps, whether there are ten
 * others or a million, and what the earliest is, is always known exactly.
 *
 *   near   those before the horizon: a pairing heap. What is armed becomes a child of the root, and
 *          has no children when it is cancelled soon: a link each way.
 *   far    the others, in BUCKETS lists by time: a bucket holds SLOT_BITS' worth of time (4 ms) of
 *          each round (17 s). Nothing is sorted.
 *   pour   When the heap is empty, the earliest slot's deadlines go from their bucket to the heap,
 *          and the horizon goes behind them. So nothing happens at any time in between: an idle
 *          port sleeps until the next deadline, however far. `least` of a bucket is no later than
 *          any deadline in it; it is not looked for when that one is cancelled, but when it is
 *          about to be poured. So has each 64 buckets, so that not all have to be looked through
 *          for each that turns out to be too early: with 50,000 deadlines within 12 h cancelled one
 *          cancel took 4 ms, now 0.4.
 *   draw   A deadline far away may have been the first, and all that come after it are before the
 *          horizon. When the heap has grown to twice what it was, the horizon is drawn back to its
 *          first slot, and the others leave for their buckets.
 *
 * So what the heap sorts, at each pop, is 4 ms of deadlines and a few more; and what a pour does at
 * once is one bucket of 4,096.
 *
 * The links are of nodes, not of operations: with a million of them each neighbour would be a cache
 * miss, and a request's own links are in use already. A node is named by a number that the
 * operation has.
 *
 *   drop   An OP_CALL is cancelled without the lock: one compare-and-swap turns its node's word
 *          from "op" to "op, dropped", and who has managed that has the operation for himself; who
 *          makes the call has to take the word away first, in the same way. So each of the two
 *          finds out about the other, and a dropped node has no operation any more: that may have
 *          been freed. The node stays until it is swept up, a few hundred at a time: once there
 *          are some, and one in 16 nodes is such, by whoever collects, before the port's
 *          owner goes to sleep, or instead of asking for memory. Nor is one the first while the
 *          owner sleeps. (After Go's Timer.Stop, which leaves its timer in the heap. The
 *          protocol's model: tests/model/drop.pml.)
 *
 * Rejected: an implicit heap of four children to a node, which this has replaced: a cancel moves
 * several others, and their memory doubles by copying (figures in perf/bench/timers.c). A
 * hierarchical timing wheel: as fast to arm and cancel, but the slot of a second, or of a minute,
 * goes down a level all at once: with 100,000 in it timers were 4 to 9 ms late. One kernel timeout
 * to a deadline: 3.6 ms to cancel at 100,000, a list scan. (After Varghese and Lauck's hashed
 * timing wheels, and ladder queues.)
 *
 * All under the port's lock but pirn_deadline_drop.
 */
#ifndef PIRN_IO_DEADLINES_H
#define PIRN_IO_DEADLINES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/mem.h"
#include "io/op.h"

enum {
    DEADLINES_SLOT_BITS = 22,
    DEADLINES_BUCKETS = 4096,
    DEADLINES_CHUNK = 512,    /* nodes allocated at once */
    DEADLINES_DRAW_AT = 64,   /* in the heap, at least */
    DEADLINES_SWEEP_AT = 512, /* dropped ones, at least */
    DEADLINES_LITTER = 16,    /* and one in so many nodes */
    DEADLINES_DROPPED = 256 /* so many are taken out in one go: some 10 us, or 0.1 ms from memory */
};

enum {
    DEADLINE_DROPPED = 1,  /* its operation is gone */
    DEADLINE_DROPPABLE = 2 /* by pirn_deadline_drop */
};

struct deadline_node {
    int64_t deadline;
    _Atomic uintptr_t word; /* the operation, and these; 0: the node is free, or is being taken */
    uint32_t next;   /* in a bucket; of the same parent; of a free one: the next free. 0: none */
    uint32_t prev;   /* in a bucket; of the same parent, of the first child: the parent */
    uint32_t child;  /* the first one */
    uint32_t bucket; /* 0: in the heap, else which, + 1 */
};

struct deadline_bucket {
    int64_t least;
    uint32_t first, last;
};

struct deadlines {
    uint32_t near, far; /* how many: near is 0 only if far is */
    uint32_t root;      /* of the heap; 0: none */
    uint32_t draw_at;   /* in the heap */
    int64_t horizon;    /* in slots: far ones are there or later */
    uint32_t free;      /* the first free node; 0: none */
    uint32_t names;     /* given out so far, free or not: 1 to names */
    uint32_t chunk_count, chunk_places;
    uint32_t looks; /* through 64 buckets at once, for the earliest: tests count them */
    uint32_t swept; /* the last name */
    /* Dropped by the port's owner (his own counter), by others (theirs), and taken out since (under
     * the lock), modulo 2^32. Read by anybody, as a hint; so is sweep_at: at so many. */
    _Atomic uint32_t dropped_own, dropped_others, dropped_gone, sweep_at;
    struct deadline_node **chunks;
    struct deadline_bucket *buckets;
    uint64_t used[DEADLINES_BUCKETS / 64]; /* buckets */
    int64_t least[DEADLINES_BUCKETS / 64]; /* no later than that of any used one of these 64 */
};

static inline struct deadline_node *deadline_node(const struct deadlines *d, uint32_t name)
{
    return &d->chunks[(name - 1) / DEADLINES_CHUNK][(name - 1) % DEADLINES_CHUNK];
}

/* 0 or -ENOMEM. The first few never want for memory afterwards. */
int pirn_deadlines_init(struct deadlines *d, const struct mem *mem);
void pirn_deadlines_destroy(struct deadlines *d, const struct mem *mem);

/* Makes room for one more: 0 or -ENOMEM. Once this succeeded, the next push cannot fail. */
int pirn_deadlines_grow(struct deadlines *d, const struct mem *mem);
static inline int pirn_deadlines_reserve(struct deadlines *d, const struct mem *mem)
{
    return d->free != 0 || d->names < d->chunk_count * DEADLINES_CHUNK
               ? 0
               : pirn_deadlines_grow(d, mem);
}

/* How many dropped ones there are. A hint: for a moment it may be less than none. */
static inline uint32_t pirn_deadlines_dropped(const struct deadlines *d)
{
    /* relaxed: counters */
    return atomic_load_explicit(&d->dropped_own, memory_order_relaxed) +
           atomic_load_explicit(&d->dropped_others, memory_order_relaxed) -
           atomic_load_explicit(&d->dropped_gone, memory_order_relaxed);
}

/* Too many? Anybody, as a hint. Then sweep takes out some, or looks through some thousands. */
static inline bool pirn_deadlines_are_littered(const struct deadlines *d)
{
    return (int32_t)pirn_deadlines_dropped(d) >=
           (int32_t)atomic_load_explicit(&d->sweep_at, memory_order_relaxed); /* as above */
}
void pirn_deadlines_sweep(struct deadlines *d);

void pirn_deadlines_push(struct deadlines *d, struct op *op); /* by op->deadline; sets op->node */
/* op->node is not 0. Also of one that has been dropped, if its node is still there. */
void pirn_deadlines_remove(struct deadlines *d, struct op *op);

/* The earliest, which may be a dropped one's; INT64_MAX: there is none. */
static inline int64_t pirn_deadlines_first(const struct deadlines *d)
{
    return d->root != 0 ? deadline_node(d, d->root)->deadline : INT64_MAX;
}

/* Takes out the first of those that are not empty: its operation, or NULL if that was dropped. */
struct op *pirn_deadlines_pop(struct deadlines *d);

/* Can the first be dropped by others meanwhile? */
static inline bool pirn_deadlines_first_is_droppable(const struct deadlines *d)
{
    /* relaxed: not changed but under the lock */
    return d->root != 0 &&
           (atomic_load_explicit(&deadline_node(d, d->root)->word, memory_order_relaxed) &
            DEADLINE_DROPPABLE) != 0;
}

/* Takes out the first, which is a droppable one, if it has been dropped. */
bool pirn_deadlines_pop_dropped(struct deadlines *d);

/* Without the lock, by who has op, an OP_CALL that was pushed by him or before him: true if it is
 * his alone from now on. False: it has been taken, or is being taken, or moved. */
static inline bool pirn_deadline_drop(struct op *op)
{
    /* relaxed: whichever of its nodes that is, the compare below says whether it still is. (Who
     * makes the call may push it again meanwhile.) */
    struct deadline_node *n = atomic_load_explicit(&op->slot, memory_order_relaxed);
    uintptr_t word = (uintptr_t)op | DEADLINE_DROPPABLE;
    if (n == NULL)
        return false;
    /* acquire: what has been done to op before it was pushed; pairs with the release in
     * pirn_deadlines_push. seq_cst: and then the port's first deadline is looked at; pairs with the
     * store in pirn_port_publish_droppable and the load in pirn_deadlines_pop_dropped */
    return atomic_compare_exchange_strong_explicit(&n->word, &word, word | DEADLINE_DROPPED,
                                                   memory_order_seq_cst, memory_order_relaxed);
}

/* deadline_heap.c: the pairing heap of nodes; insert, take out, take apart (into a list by
 * next). */
void pirn_deadline_heap_insert(struct deadlines *d, uint32_t name);
void pirn_deadline_heap_remove(struct deadlines *d, uint32_t name);
uint32_t pirn_deadline_heap_take_all(struct deadlines *d);

#endif
