/*
 * Strands.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 *
 * Coroutines on one strand never overlap: from the return of one [suspends] call to the next such
 * call a coroutine has the strand for itself, whatever worker it is on. So what its members share
 * needs no lock and no atomics, as long as nobody else touches it; what one member did is seen by
 * the next. Those that are ready take turns in the order in which they became ready; who has
 * waited, yielded or slept goes behind them. A call that need not wait does not let others in (but
 * in a loop of such calls one does now and then).
 *
 * On a strand is who was spawned with config->strand, or by a coroutine that is on it, unless
 * PIRN_OFF_STRAND says otherwise (both at once: -EINVAL). Pinned tasks are on none (with
 * config->strand: -EINVAL), nor are the calls of pirn_parallel_for and pirn_blocking, handlers of
 * servers (HTTP's too), and functions of timers and of signals. What these share with a strand's
 * members is done by a task that they spawn with config->strand, and wait for. Members may be of
 * several runtimes. One whose runtime is stopped, to be run again, takes its turn when that
 * runs again, and the others wait for it.
 *
 * A member that computes or blocks without suspending delays its strand, and nobody else. Whose
 * deadline has come is ready when a worker finds it so: those less than about a millisecond apart
 * may change places (equal ones have no order in asyncio either).
 * (After Asio's strands; Python's asyncio is one strand for everything.)
 */
#ifndef PIRN_STRAND_H
#define PIRN_STRAND_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

PIRN_API PIRN_MUST_USE int pirn_strand_new(pirn_strand **ret_strand); /* -ENOMEM; [anywhere] */
PIRN_API pirn_strand *pirn_strand_retain(pirn_strand *strand);        /* [anywhere] */
/* The caller's reference is given up; members have references of their own. [anywhere] */
PIRN_API void pirn_strand_release(pirn_strand *strand);
/* The calling coroutine's strand, borrowed; NULL: it is on none, or on a plain thread. */
PIRN_API pirn_strand *pirn_strand_current(void);

#endif
