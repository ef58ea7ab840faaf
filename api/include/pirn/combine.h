/*
 * Waiting for several awaitables at once, timeouts, races.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here. A
 * coroutine that has not begun (pirn_coroutine_new) is begun by whatever waits for it here.
 */
#ifndef PIRN_COMBINE_H
#define PIRN_COMBINE_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

/* ---- wait ------------------------------------------------------------------------------- */

typedef enum pirn_when {
    PIRN_ALL_COMPLETED,
    PIRN_FIRST_COMPLETED,
    PIRN_FIRST_EXCEPTION /* one failed; one that was cancelled has not. Without any: all */
} pirn_when;

/*
 * Waits until all, the first, or the first that failed of the n items has ended, as when says.
 * ret_done[i] tells of each, *ret_count how many have, the same item counted once (both may be
 * NULL). The deadline is no error: then what has not ended is simply not done, and nothing is
 * cancelled. [anywhere; suspends] 0, -ECANCELED (the items go on), -EINVAL (n = 0, or an item is
 * NULL), -EDEADLK (the caller is among them), -ENOMEM.
 */
PIRN_API PIRN_MUST_USE int pirn_wait(pirn_awaitable *const *items, size_t n, pirn_when when,
                                     bool *ret_done, size_t *ret_count, pirn_time deadline);

/* ---- as completed ----------------------------------------------------------------------- */

/* Hands out awaitables in the order in which they end. */
typedef struct pirn_completions pirn_completions;

/* It keeps references to the items; the same one given twice comes once. [anywhere; does not
 * suspend]
 * -EINVAL, -EDEADLK, -ENOMEM. */
PIRN_API PIRN_MUST_USE int pirn_as_completed(pirn_completions **ret_completions,
                                             pirn_awaitable *const *items, size_t n);
/* 1: *ret_item is the next that has ended, borrowed; 0: that was all. Several may take from the
 * same one, each item goes to one of them. [anywhere; suspends] -ETIMEDOUT (nothing is cancelled),
 * -ECANCELED, -EINVAL. */
PIRN_API PIRN_MUST_USE int pirn_completions_next(pirn_completions *completions,
                                                 pirn_awaitable **ret_item, pirn_time deadline);
/* Nobody takes from it any more. [anywhere] */
PIRN_API void pirn_completions_free(pirn_completions *completions);

/* ---- gather, shield --------------------------------------------------------------------- */

enum {
    PIRN_COLLECT = 1u << 0, /* failures are results like others */
    PIRN_TAKE =
        1u << 1 /* the caller's references to the items go with the call, one for each place, also
                           if it fails: then what has not begun never does, what runs is detached */
};

/*
 * An awaitable of n others, which it keeps references to. It ends with 0 when all have ended, or
 * with the status of the first that fails or is cancelled, while the others go on. With
 * PIRN_COLLECT it ends when all have, with 0 whatever they said. What each said is read from the
 * items, by their places; to look at the gather's status counts as having looked at theirs. A
 * cancel of it cancels every item, once. With PIRN_COLLECT it then ends with -ECANCELED when all
 * have ended, whatever they make of it; without it as before, with the first that fails or is
 * cancelled, or with -ECANCELED when all have ended (asyncio's rule: others may still run then; to
 * be sure of each await each, or use a scope). Of no items it has ended at once. With its last
 * handle it lets go of its items, which go on. Gathers nest, to any depth. [anywhere; does not
 * suspend] -EINVAL, -EDEADLK, -ENOMEM.
 */
PIRN_API PIRN_MUST_USE int pirn_gather(pirn_awaitable **ret_gather, pirn_awaitable *const *items,
                                       size_t n, unsigned flags);
PIRN_API size_t pirn_gather_count(const pirn_awaitable *gather);
PIRN_API pirn_awaitable *pirn_gather_item(const pirn_awaitable *gather, size_t i); /* borrowed */

/* An awaitable that ends as inner does, with its status and value, but whose cancel does not reach
 * inner: for an await that may be given up without ending what it waits for. [anywhere; does not
 * suspend] -EINVAL, -EDEADLK, -ENOMEM. */
PIRN_API PIRN_MUST_USE int pirn_shield(pirn_awaitable **ret_outer, pirn_awaitable *inner);

/* ---- Timeouts --------------------------------------------------------------------------- */

/*
 * pirn_await that takes what it waits for along: at the deadline, or when the caller is cancelled,
 * the awaitable is cancelled too, and has ended before this returns -ETIMEDOUT or -ECANCELED. If it
 * ends with a value for all that, the value wins over the deadline (as asyncio has it). One that
 * has ended gives its value whatever the deadline; with a deadline in the past, a coroutine that
 * has not begun never does. Past the grace of a shutdown -ESHUTDOWN, likewise. [anywhere; suspends]
 *
 * So to end a task and be sure that it has ended: pirn_wait_for(task, NULL, PIRN_NOW), whatever
 * that returns (but -ECANCELED is the caller's own cancel, and taken); then its argument may go.
 */
PIRN_API PIRN_MUST_USE int pirn_wait_for(pirn_awaitable *awaitable, int *ret_status,
                                         pirn_time deadline);

/*
 * A deadline for whatever the current task does between enter and leave: when it comes, every
 * suspending call fails with -ECANCELED until the task leaves. They nest; leave them in reverse
 * order. A task that ends inside one is reported, and leaves it.
 *
 *     pirn_timeout timeout = PIRN_TIMEOUT_INIT;
 *     int rc = pirn_timeout_enter(&timeout, pirn_after_ms(100));
 *     if (rc == 0)
 *         rc = pirn_timeout_leave(&timeout, talk_to(peer));
 *
 * (After asyncio's timeout() and Trio's move_on_at; level, as Trio's.)
 */
typedef struct pirn_timeout {
    uint64_t opaque[2];
} pirn_timeout;

#define PIRN_TIMEOUT_INIT \
    { \
        { \
            0, 0 \
        } \
    }

/* Once. A deadline in the past: the first call that might suspend fails. [coroutine; does not
 * suspend]
 * -EPERM (a plain thread), -EINVAL (it has been entered before), -ENOMEM. */
PIRN_API PIRN_MUST_USE int pirn_timeout_enter(pirn_timeout *timeout, pirn_time deadline);
/* status: how it went inside. Returns it, but for -ECANCELED because of this timeout -ETIMEDOUT; if
 * the task has also been asked to end meanwhile (told now, if not inside; but not what a shield
 * hides), or a timeout or scope around it has been cancelled too, -ECANCELED stays. -EPERM: another
 * task entered it. -EINVAL: it is not entered; or it is not the innermost of what the task is
 * inside of. [coroutine; does not suspend] */
PIRN_API PIRN_MUST_USE int pirn_timeout_leave(pirn_timeout *timeout, int status);
/* Another time for it, or PIRN_NEVER; one in the past has come at once. 0; -EINVAL: it has come, or
 * is not entered. -ENOMEM: it has none any more. [anywhere] */
PIRN_API int pirn_timeout_reschedule(pirn_timeout *timeout, pirn_time deadline);
/* When it comes: PIRN_NEVER without a time; PIRN_NOW if it is not entered. [anywhere] */
PIRN_API pirn_time pirn_timeout_when(pirn_timeout *timeout);
/* Its time has come while it was entered; also after it has been left. [anywhere] */
PIRN_API bool pirn_timeout_expired(pirn_timeout *timeout);

/* fn(arg), called here, inside a timeout: what fn returns, or -ETIMEDOUT. [coroutine; suspends if
 * fn does] What pirn_timeout_enter returns. */
PIRN_API PIRN_MUST_USE int pirn_with_timeout(pirn_fn fn, void *arg, pirn_time deadline);

/* ---- race, map -------------------------------------------------------------------------- */

typedef struct pirn_call {
    pirn_fn fn;
    void *arg;
} pirn_call;

/*
 * Runs the n calls as tasks and returns when one has succeeded: *ret_winner is its place,
 * *ret_task, if wanted, its task, with a reference (for its value). The others have been cancelled
 * and have ended by then. If all fail, the status of the first that did, and ret_statuses[i] of
 * each (filled in whenever this returns after the calls ran; may be NULL). [coroutine; suspends]
 * -EINVAL (n = 0), -ECANCELED, -ETIMEDOUT (all have been cancelled and have ended), what pirn_spawn
 * returns.
 */
PIRN_API PIRN_MUST_USE int pirn_race(const pirn_call *calls, size_t n, size_t *ret_winner,
                                     pirn_task **ret_task, int *ret_statuses, pirn_time deadline);

/*
 * fn(i, arg) for 0 <= i < n as coroutines, at most limit of them at a time (0: any number).
 * ret_statuses[i] is what each returned; -ECANCELED for one that was not begun. A failure stops
 * nothing. One task makes many of the calls, one after another, and what a call defers runs after
 * it; but a cancel of the task that it leaves untaken, or task-locals it sets, the next one finds.
 * [coroutine; suspends] 0 when all are done; -ECANCELED, -ETIMEDOUT: those under way have been
 * cancelled and have ended. -EINVAL, -EPERM, -ENOMEM, what pirn_spawn returns.
 */
PIRN_API PIRN_MUST_USE int pirn_map(size_t n, size_t limit, int (*fn)(size_t i, void *arg),
                                    void *arg, int *ret_statuses, pirn_time deadline);

#endif
