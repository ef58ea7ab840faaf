/*
 * The wait cell: one word that decides who ends a wait. Every task has one, and every plain thread
 * that waits on a pirn object.
 *
 *   63..32  gen      names the wait: the next one has the next number
 *   15..8   reason   why the wait before this gen ended (enum wake)
 *    4      PASSED   the pending cancel was passed on to the child this task runs (in_place.c)
 *    3      CANCEL   a cancel is pending
 *    2      IN_OP    parked, waiting for an operation of io/: a cancel has to stop that
 *    1      CANCELLABLE  parked, and a cancel may end the wait
 *    0      PARKED   off its stack; whoever ends the wait must make it run again
 *
 * Transitions (each one compare-and-swap)
 *   pirn_cell_claim   gen g, parked or not      -> gen g+1, reason      (a waker; exactly one wins)
 *   pirn_cell_park    gen g, not parked         -> PARKED | how         (after switching away)
 *                     gen g+1                   -> lost: already claimed, run it again
 *                     gen g, CANCEL, cancellable-> gen g+1, reason WAKE_CANCEL: run it again
 *   pirn_cell_cancel  PARKED and CANCELLABLE    -> gen g+1, reason WAKE_CANCEL
 *                     else                      -> CANCEL set
 *   pirn_cell_cancel       clears PASSED when it sets CANCEL: a new request, not passed on yet
 *   pirn_cell_take_passed  the owner, once what was passed on is answered: CANCEL and PASSED cleared
 *   pirn_cell_pass_cancel  CANCEL               -> CANCEL, PASSED (a canceller, under the child's lock)
 *   pirn_cell_take_cancel  the owner, on entry to a call: CANCEL and PASSED cleared
 *
 * A waker that holds a waiter of gen g can never end a later wait, however late it comes. A cancel
 * is in this word too, so there is no window between looking for it and parking.
 * tests/model/wait.pml checks it, pass.pml what PASSED is for.
 *
 * Claims release what the waker wrote and acquire the parked side's frame; the park releases the
 * frame. A resumed waiter has its acquire from the run queue (or, if it was claimed before it had
 * parked, from the failed park).
 */
#ifndef PIRN_RUNTIME_CELL_H
#define PIRN_RUNTIME_CELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum wake {
    WAKE_NONE,
    WAKE_OBJECT, /* what was waited for came */
    WAKE_TIMEOUT,
    WAKE_CANCEL,
    WAKE_OP, /* the operation is done, its result says how */
    WAKE_SHUTDOWN,
    WAKE_NO_MEMORY
};

enum {
    CELL_PARKED = 1u << 0,
    CELL_CANCELLABLE = 1u << 1,
    CELL_IN_OP = 1u << 2,
    CELL_CANCEL = 1u << 3,
    CELL_PASSED = 1u << 4
};

enum cell_kind {
    CELL_TASK,   /* a coroutine: make it runnable */
    CELL_THREAD, /* a thread asleep on the gen half of the word: wake it */
};

struct cell {
    _Atomic uint64_t word;
    uint8_t kind; /* enum cell_kind; constant while in use */
};

enum claim {
    CLAIM_LOST,   /* another ended this wait */
    CLAIM_EARLY,  /* won, before the waiter had parked: it will notice by itself */
    CLAIM_PARKED, /* won, and the winner must call pirn_wake_cell */
};

static inline uint32_t cell_gen(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline enum wake cell_reason(uint64_t word)
{
    return (enum wake)((word >> 8) & 0xff);
}

static inline uint64_t cell_load(const struct cell *c)
{
    return atomic_load_explicit(&c->word, memory_order_relaxed);
}

static inline bool cell_swap(struct cell *c, uint64_t *expected, uint64_t desired)
{
    /* acq_rel: see the head of the file; acquire on failure pairs with the claim's release */
    return atomic_compare_exchange_weak_explicit(&c->word, expected, desired, memory_order_acq_rel,
                                                 memory_order_acquire);
}

static inline uint64_t cell_next(uint64_t word, enum wake reason)
{
    return ((uint64_t)(cell_gen(word) + 1) << 32) | (uint64_t)reason << 8;
}

static inline enum claim pirn_cell_claim(struct cell *c, uint32_t gen, enum wake reason)
{
    uint64_t word = cell_load(c);
    do {
        if (cell_gen(word) != gen)
            return CLAIM_LOST;
    } while (!cell_swap(c, &word, cell_next(word, reason) | (word & CELL_CANCEL)));
    return (word & CELL_PARKED) != 0 ? CLAIM_PARKED : CLAIM_EARLY;
}

/* After switching away from the waiter. True: parked; false: it has been claimed, run it again.
 * how: CELL_CANCELLABLE, CELL_IN_OP or 0. *ret_word: what was stored. */
static inline bool pirn_cell_park(struct cell *c, uint32_t gen, unsigned how, uint64_t *ret_word)
{
    /* acquire: pairs with the release of a claim that came first */
    uint64_t word = atomic_load_explicit(&c->word, memory_order_acquire), next;
    bool parked;
    do {
        if (cell_gen(word) != gen)
            return false;
        parked = (word & CELL_CANCEL) == 0 || (how & CELL_CANCELLABLE) == 0 || (how & CELL_IN_OP);
        next = parked ? word | CELL_PARKED | how : cell_next(word, WAKE_CANCEL);
    } while (!cell_swap(c, &word, next));
    *ret_word = next;
    return parked;
}

/* What a cancel found. */
enum cancel_found {
    CANCEL_NOTED, /* pending */
    CANCEL_WOKE,  /* the wait is over; the caller must call pirn_wake_cell */
    CANCEL_IN_OP, /* pending, and the caller must stop the operation of *ret_gen */
};

static inline enum cancel_found pirn_cell_cancel(struct cell *c, uint32_t *ret_gen)
{
    uint64_t word = cell_load(c), next;
    bool wakes;
    do {
        wakes =
            (word & CELL_PARKED) != 0 && (word & CELL_CANCELLABLE) != 0 && (word & CELL_IN_OP) == 0;
        /* A new request: it has not been passed on. */
        next = wakes ? cell_next(word, WAKE_CANCEL) : (word | CELL_CANCEL) & ~(uint64_t)CELL_PASSED;
    } while (!cell_swap(c, &word, next));
    if (wakes)
        return CANCEL_WOKE;
    *ret_gen = cell_gen(word);
    return (word & CELL_CANCELLABLE) != 0 && (word & CELL_IN_OP) != 0 ? CANCEL_IN_OP : CANCEL_NOTED;
}

/* Before a pending cancel is passed on to a child. False: it has been taken meanwhile. */
static inline bool pirn_cell_pass_cancel(struct cell *c)
{
    uint64_t word = cell_load(c);
    do {
        if ((word & CELL_CANCEL) == 0)
            return false;
    } while (!cell_swap(c, &word, word | CELL_PASSED));
    return true;
}

/* The owner: what was passed on has been answered. False: another cancel has come since. */
static inline bool pirn_cell_take_passed(struct cell *c)
{
    uint64_t word = cell_load(c);
    do {
        if ((word & CELL_PASSED) == 0)
            return false;
    } while (!cell_swap(c, &word, word & ~(uint64_t)(CELL_CANCEL | CELL_PASSED)));
    return true;
}

/* The owner takes a pending cancel; true if there was one. */
static inline bool pirn_cell_take_cancel(struct cell *c)
{
    if (__builtin_expect((cell_load(c) & CELL_CANCEL) == 0, 1))
        return false;
    /* acquire: pairs with the release of pirn_cell_cancel */
    atomic_fetch_and_explicit(&c->word, ~(uint64_t)(CELL_CANCEL | CELL_PASSED),
                              memory_order_acquire);
    return true;
}

#endif
