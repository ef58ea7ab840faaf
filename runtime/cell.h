/*
 * The wait cell: one word that decides who ends a wait. Every task has one, every plain thread that
 * waits on a pirn object, and every hook (something that is to happen when what it waits for
 * comes).
 *
 *   63..32  gen      names the wait: the next one has the next number
 *   27..16  depth    how many shields the task is inside
 *   15..8   reason   why the wait before this gen ended (enum wake)
 *    6      ASKED    the cancel delivered last was a request, or one among what it was
 *    5      REQUESTED  somebody has asked the task to end, and it has not been told
 *    4      PASSED   the pending cancel was passed on to the child this task runs (in_place.c)
 *    3      CANCEL   a cancel is pending that can be delivered now
 *    2      IN_OP    parked, waiting for an operation of io/: a cancel has to stop that
 *    1      CANCELLABLE  parked, and a cancel may end the wait
 *    0      PARKED   off its stack; whoever ends the wait must make it run again
 *
 * Transitions (each one compare-and-swap)
 *   pirn_cell_claim   gen g, parked or not      -> gen g+1, reason      (a waker; exactly one wins)
 *   pirn_cell_park    gen g, not parked         -> PARKED | how         (after switching away)
 *                     gen g+1                   -> lost: already claimed, run it again
 *                     gen g, CANCEL, cancellable-> gen g+1, reason WAKE_CANCEL: run it again
 *   pirn_cell_cancel  depth too great           -> REQUESTED, if it is a request
 *                     PARKED and CANCELLABLE    -> gen g+1, reason WAKE_CANCEL
 *                     else                      -> CANCEL set, and REQUESTED if it is a request;
 *                                                  PASSED cleared: not passed on yet
 *   pirn_cell_shield, _unshield  the owner: depth + 1, CANCEL hidden; depth - 1, CANCEL if
 *                                REQUESTED
 *   pirn_cell_take_passed  the owner, once what was passed on is answered: CANCEL and PASSED
 *                          cleared
 *   pirn_cell_pass_cancel  CANCEL -> CANCEL, PASSED (a canceller, under the child's lock)
 *   pirn_cell_take_cancel  the owner, on entry to a call: CANCEL and PASSED cleared
 *
 * A cancel comes from outside (a request, depth 0) or from a timeout or group the task is inside of
 * (bound.h), opened under so many shields: it gets through to a task that is inside no more of
 * them.
 *
 * A waker that holds a waiter of gen g can never end a later wait, however late it comes. A cancel
 * is in this word too, so there is no window between looking for it and parking.
 * tests/model/wait.pml checks it, bound.pml what depth and REQUESTED are for, and pass.pml PASSED.
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
    WAKE_NO_MEMORY,
    WAKE_NO_COROUTINE /* nobody who could wait */
};

enum {
    CELL_PARKED = 1u << 0,
    CELL_CANCELLABLE = 1u << 1,
    CELL_IN_OP = 1u << 2,
    CELL_CANCEL = 1u << 3,
    CELL_PASSED = 1u << 4,
    CELL_REQUESTED = 1u << 5,
    CELL_ASKED = 1u << 6,
    CELL_DEPTH_ONE = 1u << 16,
    CELL_DEPTH = 0xfffu << 16 /* more than programs get (SHIELDS_MAX): the runtime has its own */
};

enum cell_kind {
    CELL_TASK,   /* a coroutine: make it runnable */
    CELL_THREAD, /* a thread asleep on the gen half of the word: wake it */
    CELL_HOOK,   /* a function to be called, see wait.h */
};

struct cell {
    _Atomic uint64_t word;
    uint8_t kind; /* enum cell_kind; constant while in use */
    uint8_t home; /* of a task: who parked it (a worker's index, cut); read by who has claimed it */
    uint16_t cancels; /* requests to end, less those taken back; under the task's lock */
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

/* What a thread sleeps on: a futex is half as long as the word. */
static inline const void *cell_gen_half(const struct cell *c)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (const char *)&c->word + 4;
#else
    return &c->word;
#endif
}

static inline unsigned cell_depth(uint64_t word)
{
    return (unsigned)(word & CELL_DEPTH) / CELL_DEPTH_ONE;
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

/* The wait is over; what is pending stays so. */
static inline uint64_t cell_next(uint64_t word, enum wake reason)
{
    return ((uint64_t)(cell_gen(word) + 1) << 32) | (uint64_t)reason << 8 |
           (word & (CELL_CANCEL | CELL_REQUESTED | CELL_ASKED | CELL_DEPTH));
}

/* The cancel that was pending has been delivered; a request is still to come if a shield hides
 * it. */
static inline uint64_t cell_delivered(uint64_t word)
{
    bool asked = cell_depth(word) == 0 && (word & CELL_REQUESTED) != 0;
    word &= ~(uint64_t)(CELL_CANCEL | CELL_PASSED | CELL_ASKED);
    return asked ? (word & ~(uint64_t)CELL_REQUESTED) | CELL_ASKED : word;
}

static inline enum claim pirn_cell_claim(struct cell *c, uint32_t gen, enum wake reason)
{
    uint64_t word = cell_load(c);
    do {
        if (cell_gen(word) != gen)
            return CLAIM_LOST;
    } while (!cell_swap(c, &word, cell_next(word, reason)));
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
        next = parked ? word | CELL_PARKED | how : cell_next(cell_delivered(word), WAKE_CANCEL);
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

/* depth: of the shields it gets through; request: from outside, else from a bound (bound.h). */
static inline enum cancel_found pirn_cell_cancel(struct cell *c, unsigned depth, bool request,
                                                 uint32_t *ret_gen)
{
    uint64_t word = cell_load(c), next;
    bool through, wakes;
    do {
        through = depth >= cell_depth(word);
        wakes = through && (word & CELL_PARKED) != 0 && (word & CELL_CANCELLABLE) != 0 &&
                (word & CELL_IN_OP) == 0;
        next = request ? word | CELL_REQUESTED : word;
        if (wakes)
            next = cell_next(cell_delivered(next), WAKE_CANCEL);
        else if (through)
            next = (next | CELL_CANCEL) & ~(uint64_t)CELL_PASSED; /* a new one: not passed on */
    } while (
        !cell_swap(c, &word, next)); /* a swap even if nothing changes: see pirn_cell_unshield */
    if (wakes)
        return CANCEL_WOKE;
    *ret_gen = cell_gen(word);
    return through && (word & CELL_CANCELLABLE) != 0 && (word & CELL_IN_OP) != 0 ? CANCEL_IN_OP
                                                                                 : CANCEL_NOTED;
}

/* The owner enters a shield; false: there are too many. */
static inline bool pirn_cell_shield(struct cell *c)
{
    uint64_t word = cell_load(c);
    do {
        if ((word & CELL_DEPTH) == CELL_DEPTH)
            return false;
    } while (
        !cell_swap(c, &word, (word + CELL_DEPTH_ONE) & ~(uint64_t)(CELL_CANCEL | CELL_PASSED)));
    return true;
}

/* And leaves it; false: there is none. What a bound has to deliver is for the caller to look up
 * afterwards: who was too early to find the depth lowered has said so before its swap of the
 * word. */
static inline bool pirn_cell_unshield(struct cell *c)
{
    uint64_t word = cell_load(c), next;
    do {
        if ((word & CELL_DEPTH) == 0)
            return false;
        next = word - CELL_DEPTH_ONE;
        if (cell_depth(next) == 0 && (next & CELL_REQUESTED) != 0)
            next |= CELL_CANCEL;
    } while (!cell_swap(c, &word, next));
    return true;
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
    } while (!cell_swap(c, &word, cell_delivered(word)));
    return true;
}

/* The owner takes a pending cancel; true if there was one. */
static inline bool pirn_cell_take_cancel(struct cell *c)
{
    uint64_t word = cell_load(c);
    if (__builtin_expect((word & CELL_CANCEL) == 0, 1))
        return false;
    /* acquire: pairs with the release of pirn_cell_cancel */
    while (!cell_swap(c, &word, cell_delivered(word))) {}
    return true;
}

#endif
