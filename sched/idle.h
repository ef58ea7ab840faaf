/*
 * Who sleeps, who searches, and whom to wake: the budgeted wake-up protocol (after Go's proc.go).
 *
 * A cross-core wake costs the waker about 7 us and arrives after 16 us; a worker that is already
 * searching notices new work in 0.07 us. So: nobody is woken while somebody searches, and at most
 * one worker per two searches at a time.
 *
 * Protocol
 *   pusher  1. publish the work  2. full fence  3. searching != 0? done
 *           4. searching 0 -> 1 by compare-and-swap; pick a parked worker, AWAY -> NOTIFIED, send
 *              the wake-up. None parked: searching back to 0, and from 2. again if one has parked
 *              meanwhile.
 *   worker  1. search as a searcher  2. searching - 1  3. state := PARKING (or AWAY)  4. full fence
 *           5. look at every queue again: something there -> AWAKE, search again
 *           6. state PARKING -> KERNEL, sleep in the kernel
 *           A NOTIFIED worker starts as a searcher: its waker has counted it.
 *           The last searcher to find work wakes another if more is queued.
 *   Either the pusher's step 3 or 4 sees the worker, or the worker's step 5 sees the work.
 *   tests/model/park.pml checks it.
 *
 * Field          written by
 * idle.searching anybody, by read-modify-write
 * idle.parked    the parking worker +1; whoever takes it out of PARKING/KERNEL -1
 * parker.state   owner: AWAKE -> PARKING -> KERNEL -> AWAKE; wakers: PARKING/KERNEL -> NOTIFIED;
 *                asleep where no waker picks it: ASIDE (a spare that may not run everything must
 *                not stand for one that would)
 */
#ifndef PIRN_SCHED_IDLE_H
#define PIRN_SCHED_IDLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum parker_state {
    PARKER_AWAKE,
    PARKER_PARKING,
    PARKER_KERNEL,
    PARKER_NOTIFIED,
    PARKER_ASIDE
};

struct parker {
    _Atomic uint32_t state;
};

struct idle {
    _Atomic int searching;
    _Atomic int parked;
};

/* To search one must be let in; false when enough others are at it. */
bool pirn_idle_search_begin(struct idle *idle, int limit);

/* Ends a search; true if this was the last searcher. */
bool pirn_idle_search_end(struct idle *idle);

/* Steps 2 to 4 of the pusher up to the claim of the right to wake one: true means searching was
 * raised and the caller must pick (pirn_parker_notify) or give the right back. */
bool pirn_idle_wake_begin(struct idle *idle);

/* Nobody could be picked. True: somebody has parked meanwhile, begin again. */
bool pirn_idle_wake_undo(struct idle *idle);

/* Takes a parked worker: PARKING or KERNEL -> NOTIFIED. *ret_in_kernel: it was inside the wait. */
bool pirn_parker_notify(struct idle *idle, struct parker *p, bool *ret_in_kernel);

/* Owner: AWAKE -> PARKING, then a full fence; the caller looks at the queues again. */
void pirn_parker_begin(struct idle *idle, struct parker *p);

/* Owner: PARKING -> KERNEL; false if it has been notified. */
bool pirn_parker_enter(struct parker *p);

/* Owner: back to AWAKE. True if it was notified, and so already counts as a searcher. */
bool pirn_parker_end(struct idle *idle, struct parker *p);

#endif
