/*
 * Scopes: task groups, and parallel_for.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 *
 * A scope owns its children: it closes only when all have ended. The first child that fails (status
 * < 0, but not -ECANCELED) cancels the scope, and so do pirn_scope_cancel and pirn_scope_fail:
 * every child is sent a cancel, once; nobody is spawned any more; and the body, that is the opener
 * between open and wait or close, gets -ECANCELED from every [suspends] call (its own cleanup there
 * goes into a shield). A call that has come to its result gives that first. The scope's cancel ends
 * with the body: it is not in pirn_cancelling, and what follows suspends as ever.
 * (Trio's nursery; asyncio's TaskGroup, whose way it is that children are asked once.)
 *
 *     pirn_scope *scope;
 *     int rc = pirn_scope_open(&scope, 0);
 *     if (rc != 0)
 *         return rc;
 *     rc = body(scope);
 *     if (rc < 0)
 *         pirn_scope_fail(scope, rc);
 *     return pirn_scope_close(scope, PIRN_NEVER);
 */
#ifndef PIRN_SCOPE_H
#define PIRN_SCOPE_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

typedef struct pirn_scope pirn_scope;

/* limit: how many children may run at once; 0: any number. Every scope must be closed, by its
 * opener, the last opened first. [coroutine; does not suspend] -EINVAL, -EPERM, -ENOMEM. */
PIRN_API PIRN_MUST_USE int pirn_scope_open(pirn_scope **ret_scope, int limit);

/* A child of the scope; with a limit, waits until fewer than that many are running, in the order of
 * arrival. Called by the body, a child, or whoever knows that the scope is not closed yet. A child
 * that waits here is running: if all of them do (a walk of a tree that spawns for each branch) they
 * wait for ever. There the limit is to be a semaphore, taken by each child when it has begun.
 * [coroutine; suspends if limited; looks for a cancel in any case] -ETIMEDOUT; -ECANCELED: the
 * scope is cancelled; or the caller is, and then that request has been taken: pass it on with
 * pirn_scope_fail(scope, rc), or it is lost; -EINVAL (also: the wait is over), and what pirn_spawn
 * returns.
 * config->arg_drop has been called if this returns -ECANCELED or -ESHUTDOWN, and will be, once, if
 * it returns 0; after all other errors arg is still the caller's. */
PIRN_API PIRN_MUST_USE int pirn_scope_spawn(pirn_scope *scope, pirn_fn fn, void *arg,
                                            pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_scope_spawn_with(pirn_scope *scope, const pirn_spawn_config *config,
                                                 pirn_fn fn, void *arg, pirn_time deadline);
/* The same, with a reference the caller owns: to await the child, to cancel it alone (which is no
 * failure), to read what it left. It may be released at any time, the child is the scope's. */
PIRN_API PIRN_MUST_USE int pirn_scope_spawn_task(pirn_scope *scope, pirn_task **ret_task,
                                                 const pirn_spawn_config *config, pirn_fn fn,
                                                 void *arg, pirn_time deadline);

/* Cancels the scope. reason must outlive it. [anywhere, if the scope is sure not to be closed when
 * this is called; the close waits for its return] -EALREADY: the wait is over. */
PIRN_API int pirn_scope_cancel(pirn_scope *scope, const char *reason);

/* The body has failed: cancels the scope, and status is one of its failures. -ECANCELED is none;
 * with it the body passes on a cancel that it got, and the wait returns -ECANCELED if that came
 * from outside the scope. [coroutine, the opener] -EINVAL (status >= 0, or the wait is over),
 * -EALREADY, -EPERM. */
PIRN_API int pirn_scope_fail(pirn_scope *scope, int status);

/*
 * Waits for every child, also those that children spawn meanwhile, always: a cancel of the caller,
 * or the deadline, cancels the scope, and they are waited for all the same. Returns the first
 * failure, or -ECANCELED (the caller was cancelled), or -ETIMEDOUT, or 0; children that were
 * cancelled have not failed. With a failure, a cancel of the caller since the open is not lost: it
 * is pending afterwards. The scope can be read then, and is used up. [coroutine, the opener;
 * suspends]
 * Nothing was done: -EDEADLK (a child of the scope called it), -EPERM (not the opener), -EINVAL (it
 * is over; or a scope or timeout that was opened later is open still).
 */
PIRN_API PIRN_MUST_USE int pirn_scope_wait(pirn_scope *scope, pirn_time deadline);

typedef struct pirn_scope_error {
    pirn_task *task; /* who failed, or the opener; borrowed until the scope is closed */
    uint64_t id;
    int status;
    char name[32];
} pirn_scope_error;

/* Stores at most n of the failures, in the order in which they happened, each once; returns how
 * many there are (so far, before the wait is over). [anywhere, while the scope is not closed]
 * -EINVAL. */
PIRN_API PIRN_MUST_USE int pirn_scope_errors(pirn_scope *scope, pirn_scope_error *ret_errors,
                                             size_t n);

/* Waits as pirn_scope_wait, unless that has been done, frees the scope, and returns what the wait
 * returned. After -ETIMEDOUT and -ECANCELED, too, every child has ended and the scope is gone: it
 * is not to be closed again. Only a call that is a mistake (-EDEADLK, -EPERM, -EINVAL as above)
 * leaves it; debug mode tells those from a child's error of the same number.
 * [coroutine, the opener; suspends] */
PIRN_API PIRN_MUST_USE int pirn_scope_close(pirn_scope *scope, pirn_time deadline);

/* fn(i, arg) for begin <= i < end, spread over the workers; returns when all are done, with the
 * first failure, -ECANCELED (a cancel of the caller, or a call that returned it, has stopped it) or
 * 0. What a call defers runs after it, before the next one. Each i is a call through a pointer,
 * some ns: for a loop over an array let i be a block of it, with a place for each block's result.
 * [coroutine; suspends] -EINVAL (begin > end), -EPERM, -ENOMEM, what pirn_spawn returns. */
PIRN_API PIRN_MUST_USE int pirn_parallel_for(size_t begin, size_t end,
                                             int (*fn)(size_t i, void *arg), void *arg);

#endif
