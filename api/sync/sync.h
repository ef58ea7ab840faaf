/*
 * What the objects of this folder stand on: one word that holds an object's state and the lock over
 * its list of waiters.
 *
 *   bit 0   BUSY     somebody changes the list; nobody else writes the word
 *   bit 1   WAITERS  the list is not empty
 *   others  the object's state
 *
 *   1. Without waiters an operation is one compare-and-swap from a word without these two bits.
 *   2. Otherwise sync_take sets BUSY; the holder changes list and state, claims waiters, and
 *      publishes all of it with sync_drop, a plain store with release. Both its steps pair with the
 *      acquire of the next take, and of the next compare-and-swap.
 *   3. A waiter that has been claimed calls sync_settle before it returns: whoever claimed it is
 *      then past its sync_drop, its last access to the object. So is whoever made a state that was
 *      seen without waiting, since a state appears with the drop (or is a single compare-and-swap).
 *      That is why an object may be freed, or be on the stack of a caller that returns, as soon as
 *      the call that waited has returned.
 *
 * A waiter whose wait ended otherwise (deadline, cancel) takes the word to leave the list, so
 * whoever popped it and lost the claim is done with it before its memory goes.
 *
 * Rejected: the spin lock of sched/lock.h beside an atomic state. It is two more atomic operations
 * where somebody waits, and letting it go is an access that comes after the state is seen.
 */
#ifndef PIRN_API_SYNC_SYNC_H
#define PIRN_API_SYNC_SYNC_H

#include <errno.h>
#include <pirn.h>

#include "runtime/wait.h"
#include "runtime/worker.h"

enum {
    SYNC_BUSY = 1,
    SYNC_WAITERS = 2,
    SYNC_FLAGS = SYNC_BUSY | SYNC_WAITERS,
    SYNC_FIRST = 4, /* the lowest bit of the state; the next three of a cell's address are 0 */
    SYNC_SHIFT = 3, /* where counts begin */
};
#define SYNC_ONE ((uint64_t)1 << SYNC_SHIFT)

/* The program sees words of another type. */
#define SYNC_OBJECT __attribute__((may_alias))

struct sync {
    _Atomic uint64_t word;  /* anybody; the holder of BUSY alone while that is set */
    struct waiter *waiters; /* the holder of BUSY */
} SYNC_OBJECT;

/* Who calls: a task's cell, wherever the task runs, or a plain thread's. It stands for an owner. */
static inline uint64_t sync_self(void)
{
    struct self *self = pirn_self();
    struct pirn_task *t = self->worker != NULL ? self->worker->current : self->pinned;
    return (uintptr_t)(t != NULL ? &t->cell : &self->cell);
}

/* Spins until it has set BUSY. Returns the state, without the two bits. */
uint64_t pirn_sync_take_slowly(struct sync *s);

static inline uint64_t sync_load(const struct sync *s)
{
    /* acquire: pairs with the release of sync_drop and of the objects' compare-and-swaps */
    return atomic_load_explicit(&s->word, memory_order_acquire);
}

static inline uint64_t sync_state(const struct sync *s)
{
    return sync_load(s) & ~(uint64_t)SYNC_FLAGS;
}

static inline uint64_t sync_take(struct sync *s)
{
    uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed);
    /* acquire: see the second step */
    if ((word & SYNC_BUSY) == 0 &&
        atomic_compare_exchange_strong_explicit(&s->word, &word, word | SYNC_BUSY,
                                                memory_order_acquire, memory_order_relaxed))
        return word & ~(uint64_t)SYNC_FLAGS;
    return pirn_sync_take_slowly(s);
}

static inline void sync_drop(struct sync *s, uint64_t state)
{
    /* release: see the second step */
    atomic_store_explicit(&s->word, state | (s->waiters != NULL ? SYNC_WAITERS : 0),
                          memory_order_release);
}

void pirn_sync_settle_slowly(const struct sync *s);

static inline void sync_settle(const struct sync *s)
{
    if (__builtin_expect((sync_load(s) & SYNC_BUSY) != 0, 0))
        pirn_sync_settle_slowly(s);
}

/* A change from `from`, which has neither bit, to `to`; *from is what is there if it fails. */
static inline bool sync_swap(struct sync *s, uint64_t *from, uint64_t to)
{
    /* acq_rel: takes over what was done before the state was made, and hands on what we did */
    return atomic_compare_exchange_strong_explicit(&s->word, from, to, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

/* After a take: waits at the end of the list, having dropped the word with `state`. 0: claimed. */
int pirn_sync_wait(struct sync *s, uint64_t state, struct wait *w, const char *what,
                   int64_t deadline);

/* Between take and drop: claims every waiter; claims the first that still waits and returns its
 * cell, or 0. */
void pirn_sync_claim_all(struct sync *s, struct wakeups *wakeups);
uint64_t pirn_sync_claim_first(struct sync *s, struct wakeups *wakeups);

/* Between take and drop: has its wait ended already, though it has not left the list yet? */
static inline bool sync_is_over(const struct waiter *waiter)
{
    return cell_gen(cell_load(waiter->cell)) != waiter->gen;
}

#endif
