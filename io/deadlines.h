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
 * Rejected: an implicit heap of four children to a node, which this has replaced: a cancel moves
 * several others, and their memory doubles by copying (figures in perf/bench/timers.c). A
 * hierarchical timing wheel: as fast to arm and cancel, but the slot of a second, or of a minute,
 * goes down a level all at once: with 100,000 in it timers were 4 to 9 ms late. One kernel timeout
 * to a deadline: 3.6 ms to cancel at 100,000, a list scan. (After Varghese and Lauck's hashed
 * timing wheels, and ladder queues.)
 *
 * All under the port's lock.
 */
#ifndef PIRN_IO_DEADLINES_H
#define PIRN_IO_DEADLINES_H

#include <stdint.h>

#include "io/mem.h"
#include "io/op.h"

enum {
    DEADLINES_SLOT_BITS = 22,
    DEADLINES_BUCKETS = 4096,
    DEADLINES_CHUNK = 512, /* nodes allocated at once */
    DEADLINES_DRAW_AT = 64 /* in the heap, at least */
};

struct deadline_node {
    int64_t deadline;
    struct op *op;
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

void pirn_deadlines_push(struct deadlines *d, struct op *op); /* by op->deadline; sets op->node */
void pirn_deadlines_remove(struct deadlines *d, struct op *op);

/* The earliest; INT64_MAX: there is none. */
static inline int64_t pirn_deadlines_first(const struct deadlines *d)
{
    return d->root != 0 ? deadline_node(d, d->root)->deadline : INT64_MAX;
}

/* Of those that are not empty. */
static inline struct op *pirn_deadlines_first_op(const struct deadlines *d)
{
    return deadline_node(d, d->root)->op;
}

/* deadline_heap.c: the pairing heap of nodes; insert, take out, take apart (into a list by
 * next). */
void pirn_deadline_heap_insert(struct deadlines *d, uint32_t name);
void pirn_deadline_heap_remove(struct deadlines *d, uint32_t name);
uint32_t pirn_deadline_heap_take_all(struct deadlines *d);

#endif
