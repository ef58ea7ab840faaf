/*
 * A worker's run queue: a bounded first-in-first-out ring and a slot for the newest node, which
 * runs before the ring (it was just woken, its data is in this core's cache).
 *
 * Broods: what a task has spawned in its first run, when it parks, is taken out of the ring and put
 * on top of a stack, which goes before the ring: a tree of tasks is walked depth first, and few of
 * it are alive at once (row `skynet`, one worker: 178 ns a leaf instead of 575). Only what has not
 * begun is ever in there. What has been in the ring for one to two ages (find.c: 100 us, or from
 * look to look if what runs takes longer) goes before the broods, and at every second age the
 * oldest of them goes to the end of the ring: nobody starves, however many newcomers bring
 * newcomers. Bounds: a place in the ring is waited for as if there were no broods, and two ages
 * more; the oldest of a full stack of 256 is in the ring after two ages, the newest, if more come
 * on top of it for ever, after 512 (51 ms).
 *
 * Plain data under a biased lock: the owner pushes and pops for a few plain stores, thieves take
 * half of the ring at once. The slot is left to its owner until it has aged: a thief takes it only
 * when told to (Tokio's slot that nobody could steal cost a user 20x; one always open to thieves
 * makes ping-pong bounce between cores).
 *
 * Field        written                       read without the lock
 * head, tail   under lock                    as a hint (pirn_runq_size)
 * slot         under lock                    as a hint
 * ring, brood  under lock                    never
 * low, high    under lock                    as a hint (pirn_runq_brood_size)
 * due, next_due  the owner                   never
 */
#ifndef PIRN_SCHED_RUNQ_H
#define PIRN_SCHED_RUNQ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/biased.h"
#include "sched/node.h"

#ifdef PIRN_HARD
enum {
    RUNQ_CAPACITY = 4,
    BROOD_CAPACITY = 4
}; /* overflow at every chance */
#else
enum {
    RUNQ_CAPACITY = 256,
    BROOD_CAPACITY = 256
};
#endif

struct runq {
    struct biased lock;
    _Atomic uint32_t head, tail; /* count up for ever; tail - head nodes are queued */
    _Atomic(struct node *) slot;
    _Atomic uint32_t brood_low, brood_high; /* likewise: high - low nodes, the newest at high */
    uint32_t due, next_due;                 /* the owner's */
    struct node *ring[RUNQ_CAPACITY];
    struct node *brood[BROOD_CAPACITY];
};

void pirn_runq_init(struct runq *q);

/* Owner only, when full: takes the older half out as a list of *ret_n nodes. */
struct node *pirn_runq_take_half(struct runq *q, unsigned *ret_n);

/* Any other thread: takes up to half of the ring (at most max), and the slot if take_slot. With
 * `want`, only nodes it says yes to, but all of those (it is called under the lock). */
unsigned pirn_runq_steal(struct runq *q, struct node **ret_nodes, unsigned max, bool take_slot,
                         bool (*want)(const struct node *n));

/* These three: hints for others than the owner. */
static inline uint32_t pirn_runq_ring_size(const struct runq *q)
{
    return atomic_load_explicit(&q->tail, memory_order_relaxed) -
           atomic_load_explicit(&q->head, memory_order_relaxed);
}

static inline uint32_t pirn_runq_brood_size(const struct runq *q)
{
    return atomic_load_explicit(&q->brood_high, memory_order_relaxed) -
           atomic_load_explicit(&q->brood_low, memory_order_relaxed);
}

static inline uint32_t pirn_runq_size(const struct runq *q)
{
    return pirn_runq_ring_size(q) + pirn_runq_brood_size(q);
}

/* Owner only: what is in the ring from position `from` on becomes the newest of the broods, the
 * first of it on top; if all of that is there, there is room, and want says yes to each. */
void pirn_runq_bring_up(struct runq *q, uint32_t from, bool (*want)(const struct node *n));

/* Owner only, now and then: what was in the ring the time before is due. The oldest of the broods,
 * if asked for, is taken out: it is to go to the end of the ring, and if that is full, others are
 * to leave. */
struct node *pirn_runq_age(struct runq *q, bool oldest);

/* Any other thread: takes the older half of the broods (at most max), oldest first. Owner only:
 * puts one on top of the broods; false when they are full. */
unsigned pirn_runq_steal_brood(struct runq *q, struct node **ret_nodes, unsigned max);
bool pirn_runq_adopt(struct runq *q, struct node *n);

static inline struct node *pirn_runq_slot(const struct runq *q) /* a hint */
{
    return atomic_load_explicit(&q->slot, memory_order_relaxed);
}

/* Owner only: false when the ring is full. */
static inline bool pirn_runq_push(struct runq *q, struct node *n)
{
    biased_enter(&q->lock);
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    bool room = tail - atomic_load_explicit(&q->head, memory_order_relaxed) < RUNQ_CAPACITY;
    if (room) {
        q->ring[tail % RUNQ_CAPACITY] = n;
        atomic_store_explicit(&q->tail, tail + 1, memory_order_relaxed);
    }
    biased_leave(&q->lock);
    return room;
}

/* Owner only, in two halves around a switch: enters the queue and takes the oldest of the ring, or
 * leaves again and says false if the ring is empty or the slot is not; then puts the one that was
 * switched away from at the end (or what was taken back to the front), and leaves. */
static inline bool pirn_runq_rotate_begin(struct runq *q, struct node **ret_n)
{
    biased_enter(&q->lock);
    uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    if (__builtin_expect(head == atomic_load_explicit(&q->tail, memory_order_relaxed) ||
                             atomic_load_explicit(&q->slot, memory_order_relaxed) != NULL,
                         0)) {
        biased_leave(&q->lock);
        return false;
    }
    atomic_store_explicit(&q->head, head + 1, memory_order_relaxed);
    *ret_n = q->ring[head % RUNQ_CAPACITY];
    return true;
}

static inline void pirn_runq_rotate_undo(struct runq *q)
{
    uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    atomic_store_explicit(&q->head, head - 1, memory_order_relaxed);
    biased_leave(&q->lock);
}

static inline void pirn_runq_rotate_end(struct runq *q, struct node *n)
{
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    q->ring[tail % RUNQ_CAPACITY] = n;
    atomic_store_explicit(&q->tail, tail + 1, memory_order_relaxed);
    biased_leave(&q->lock);
}

/* Owner only: takes n back out if it is the newest in the ring, or on top of the broods. */
static inline bool pirn_runq_take_newest(struct runq *q, const struct node *n)
{
    biased_enter(&q->lock);
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    bool found = tail != atomic_load_explicit(&q->head, memory_order_relaxed) &&
                 q->ring[(tail - 1) % RUNQ_CAPACITY] == n;
    uint32_t high = atomic_load_explicit(&q->brood_high, memory_order_relaxed);
    if (found) {
        atomic_store_explicit(&q->tail, tail - 1, memory_order_relaxed);
    } else if (high != atomic_load_explicit(&q->brood_low, memory_order_relaxed) &&
               q->brood[(high - 1) % BROOD_CAPACITY] == n) {
        atomic_store_explicit(&q->brood_high, high - 1, memory_order_relaxed);
        found = true;
    }
    biased_leave(&q->lock);
    return found;
}

/* Owner only: puts n into the slot and returns what it displaced, or NULL. */
static inline struct node *pirn_runq_push_slot(struct runq *q, struct node *n)
{
    biased_enter(&q->lock);
    struct node *old = atomic_load_explicit(&q->slot, memory_order_relaxed);
    atomic_store_explicit(&q->slot, n, memory_order_relaxed);
    biased_leave(&q->lock);
    return old;
}

/* Owner only: the slot first, at most SLOT_RUNS times in a row (*slot_runs counts) while others
 * queue; then what is due in the ring, then the top of the broods, then the oldest of the ring. */
enum {
    SLOT_RUNS = 16
};
static inline struct node *pirn_runq_pop(struct runq *q, unsigned *slot_runs)
{
    biased_enter(&q->lock);
    struct node *n = atomic_load_explicit(&q->slot, memory_order_relaxed);
    uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    uint32_t high = atomic_load_explicit(&q->brood_high, memory_order_relaxed);
    bool queued = head != atomic_load_explicit(&q->tail, memory_order_relaxed);
    bool brood = high != atomic_load_explicit(&q->brood_low, memory_order_relaxed);
    if (n != NULL && (*slot_runs < SLOT_RUNS || !(queued || brood))) {
        atomic_store_explicit(&q->slot, NULL, memory_order_relaxed);
        ++*slot_runs;
    } else if (brood && !(queued && (int32_t)(head - q->due) < 0)) {
        n = q->brood[(high - 1) % BROOD_CAPACITY];
        atomic_store_explicit(&q->brood_high, high - 1, memory_order_relaxed);
        *slot_runs = 0;
    } else if (queued) {
        n = q->ring[head % RUNQ_CAPACITY];
        atomic_store_explicit(&q->head, head + 1, memory_order_relaxed);
        *slot_runs = 0;
    }
    biased_leave(&q->lock);
    return n;
}

#endif
