/*
 * What the files of this folder share: a scope, the children it owns, the bound on its opener's
 * body.
 *
 *   scope.c     open, wait, close: what a scope comes to
 *   children.c  spawning into one, and the children's ends
 *   cancel.c    how it is cancelled, failures
 *   late.c      debug mode: children that do not end when they are asked to
 *   parallel.c  pirn_parallel_for, on top
 *
 * A child is in one of three lists: `children`, or, once it has been sent the scope's cancel,
 * `told`; its end takes it out, but if it failed it stays in `failed` with a reference, for
 * pirn_scope_errors: the record of a failure is the failed task itself, so that keeping one can not
 * fail for want of memory. Other children leave nothing behind.
 *
 * The first failure, pirn_scope_cancel and pirn_scope_fail do the same: under the lock `cancelling`
 * is set, once; then, without the lock, the opener's bound is hit and every child is sent a cancel,
 * with a reference held: both may enter the kernel. Whoever does this is counted in `running`
 * meanwhile (a child still, anybody else for the time of the call), and so finds the scope there to
 * the end, though its opener goes to close it as soon as the bound is hit.
 *
 * The opener's bound (runtime/bound.h) is between pirn_scope_open and the wait for the children: it
 * makes the body's calls fail once the scope is cancelled, and leaves no trace in the task's count
 * of requests. The wait is outside of it, so what cancels a wait comes from outside the scope.
 *
 * The opener sets `over` under the lock in which it finds that nobody is running, nor in the line
 * for a place (a task that is no child may stand there, and have to look at the scope once more
 * when it is woken); from then on nobody gets in. The last to leave has dropped the lock by then
 * and does not touch the scope again.
 *
 * Rejected
 *   a bound in every child (so that a cancelled scope were level for them, too)   every spawn would
 *           allocate the task's extra part; a request, sent once, is asyncio's way
 *   leaving bounds in any order    a wait would then be inside a scope opened later, and cancelled
 *                                  by
 *           its failures: whose -ECANCELED that is nobody could say
 */
#ifndef PIRN_API_SCOPE_SCOPE_H
#define PIRN_API_SCOPE_SCOPE_H

#include <pirn.h>
#include <stdbool.h>

#include "runtime/bound.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"

/* Field                          who may touch it
 * owner, limit                   constant
 * bound                          see bound.h; entered and left by the opener
 * result, late                   the opener
 * over                           written by the opener under the lock
 * all others                     holders of the lock; the list of the failed, up to as many as were
 *                                counted under the lock, without it */
struct pirn_scope {
    struct task_owner owner; /* first: a task's owner is a scope */
    struct lock lock;
    unsigned limit;
    unsigned running; /* children; who has a place for one, awake or not; who cancels */
    unsigned inside;  /* in the line for a place, or woken from it and not out of this scope yet */
    struct pirn_task *children, *told, *failed, *last_failed;
    unsigned failures;  /* the body's among them */
    unsigned body_at;   /* failures before the body's */
    int body_status;    /* 0: it has not failed */
    bool body_was_told; /* the scope was being cancelled when the body failed */
    int first_error;
    bool cancelling, over;
    const char *reason;
    struct waiter *spawners; /* applicants (children.c): the line for a place under the limit */
    struct waiter *closer;
    struct bound bound;
    int result;   /* of the wait that is over */
    int64_t late; /* debug mode: when to tell of who has not ended; 0: nobody was to; INT64_MAX: no
                     more */
};

/* Under the lock. */
static inline bool scope_is_empty(const pirn_scope *s)
{
    return s->running == 0 && s->inside == 0;
}

/* children.c: a task's owner. */
void pirn_scope_adopt(struct pirn_task *t);
void pirn_scope_on_end(struct pirn_task *t);

/* Under the lock. A failed child goes over to its list, with a reference. */
void pirn_scope_keep_failed(pirn_scope *s, struct pirn_task *t);
/* Somebody runs no more. */
void pirn_scope_leave(pirn_scope *s);
/* Sends the scope's cancel to every child that has not had it. */
void pirn_scope_cancel_children(pirn_scope *s);

/* Who waits for the children looks again. */
void pirn_scope_rouse(pirn_scope *s);

/* late.c, debug mode, the opener: until when to wait for the children, if not until the deadline.
 * And the wait until then has ended with rc: true if with its time, which has been told. */
int64_t pirn_scope_late(pirn_scope *s, bool cancelling, int64_t deadline);
bool pirn_scope_is_late(pirn_scope *s, int rc);

/* cancel.c: a child has failed; it is still counted. */
void pirn_scope_note_failure(pirn_scope *s, struct pirn_task *t, int status);

#endif
