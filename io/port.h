/*
 * A port: where operations meet the kernel. One per worker: its ring, its deadlines, one lock over
 * both. An operation and its deadline are always in the same port, so "did it complete, time out
 * or get stopped" has one judge.
 *
 * The owner queues, flushes, collects and waits. Any other worker may collect and flush a port as
 * well (that is how nothing waits for a stuck owner), and any thread may stop an operation.
 *
 * Rules
 *   - The lock is never held across a system call. Entering the kernel needs no lock: entries are
 *     published before, and the kernel orders those who enter.
 *   - A thread that flushes owns in the kernel's eyes what it submitted, and must not exit before
 *     those requests are done (they would fail with -ECANCELED though nobody cancelled them).
 *   - A done operation is handed to the collector on a list; nobody else touches it until the
 *     collector has told its waiter.
 *
 * Stopping (a cancel, a deadline, a close, shutdown): the request in the kernel is sent a cancel
 * and its own completion decides. A result is a result; -ECANCELED or -EINTR become the stop's
 * reason. The operation is done when both its completion and its cancel's have come: no cancel can
 * hit a later use of the same struct. A request that is between two places of the kernel's (its
 * poll said ready, and it will be tried again; it goes to a kernel helper thread) is not found by
 * the cancel, -ENOENT, and may wait for ever after: then it is sent another one, until it has
 * completed.
 */
#ifndef PIRN_IO_PORT_H
#define PIRN_IO_PORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/deadlines.h"
#include "io/futex_lock.h"
#include "io/mem.h"
#include "io/op.h"

struct ring;

/* What a thread that flushes ports knows of its kernel threads, which belong to it and not to the
 * ring. Its own. An open that waits (OP_BLOCKS) keeps one of them for as long, so every such thread
 * has one more for each such open of the process: whoever submits it, it keeps nobody from his
 * files. */
struct submitter {
    unsigned helpers; /* what it shall have otherwise */
    unsigned more;    /* for opens; as the kernel was told */
};

/* Field                    written by              read by
 * queue, cancels, deadlines  under lock              under lock
 * next_deadline            under lock              anybody, as a hint to look again
 * backlog                  under lock              anybody, as a hint
 * wakes                    under lock              under lock
 * put_off                  under lock              under lock
 * first_dropped            owner                   owner
 * submissions, completions under lock              anybody (relaxed counters) */
struct port {
    struct futex_lock lock;
    struct ring *ring;
    const struct mem *mem;
    struct op_list queue;   /* OP_QUEUED */
    struct op_list cancels; /* OP_INFLIGHT, stopped, the cancel not yet given to the kernel */
    struct deadlines deadlines;
    /* An OP_GUARD's deadline has come: true if its waiter must be told, false if it was too late.
     * Called under the lock. */
    bool (*expire)(struct op *op);
    /* An OP_CALL's has: an operation that is to be told in its stead; NULL: it is to be tried again
     * a little later; op itself: it stays armed for ever. Under the lock: nobody looks at op
     * afterwards. */
    struct op *(*call)(struct op *op);
    _Atomic int64_t next_deadline;
    _Atomic uint32_t backlog; /* entries in queue and cancels */
    _Atomic uint32_t inflight;
    unsigned wakes;     /* taken so far */
    bool put_off;       /* there are dropped deadlines before the first */
    bool first_dropped; /* next_deadline may be nobody's */
    _Atomic uint64_t submissions, completions;
};

/* patient: see pirn_ring_init. 0 or what that says; -ENOMEM. */
int pirn_port_init(struct port *p, const struct mem *mem, unsigned entries, unsigned completions,
                   bool patient, bool (*expire)(struct op *op), struct op *(*call)(struct op *op));
void pirn_port_destroy(struct port *p);

/* Starts an operation whose kind and arguments are filled in; it goes to the kernel with the next
 * flush. A deadline already past still gives the kernel one try. 0, or -ENOMEM and nothing was
 * started. */
int pirn_port_start(struct port *p, struct op *op, uint32_t gen, int64_t deadline);

/* A deadline alone: state OP_TIMER or OP_GUARD. 0 or -ENOMEM. */
int pirn_port_arm(struct port *p, struct op *op, enum op_state state, uint32_t gen,
                  int64_t deadline);

/* Arms an OP_CALL, or moves it: it is armed here, or nowhere. INT64_MAX: it never comes. 0, 1 if it
 * was armed, or -ENOMEM. */
int pirn_port_call_at(struct port *p, struct op *op, int64_t deadline);

/* Takes back an OP_CALL that was armed by the caller, or before him: true if it was armed, and now
 * it is nowhere. Mostly without the lock: see deadlines.h. own: the caller's port, or NULL. */
bool pirn_port_call_off(struct op *op, const struct port *own);

/* What such calls leave is to be tidied up before the owner sleeps. By the owner, a part at a
 * time, until it is not littered any more. (Collecting tidies up, too, if there is much.) */
static inline bool pirn_port_is_littered(const struct port *p)
{
    return p->first_dropped || pirn_deadlines_are_littered(&p->deadlines);
}
void pirn_port_tidy(struct port *p);

/* The waiter takes back its OP_GUARD; when this returns, nobody touches it any more (but for the
 * collector that has just taken one whose expire said true). True: the deadline had not come. */
bool pirn_op_disarm(struct op *op);

/* Stops use `gen` of the operation with error err (negative). True: it is done now and the caller
 * must tell its waiter. Otherwise it will be done in time; *ret_port, if set, has a cancel to
 * flush.
 */
bool pirn_op_stop(struct op *op, uint32_t gen, int err, struct port **ret_port);

/* Moves completed and expired operations to `done`. */
void pirn_port_collect(struct port *p, int64_t now, struct op_list *done);
/* The same, and what has overflowed, too, unless the owner has something to submit. Submits
 * nothing, so any thread may. */
void pirn_port_collect_all(struct port *p, int64_t now, struct op_list *done);
/* For others than the owner: as pirn_port_collect, or false if somebody else is at it. *ret_wake: a
 * wake-up was taken too, or there is more to collect. If the owner waits by now, or is about to, it
 * must be sent again, and what has been queued must be flushed (see pirn_worker_serve). */
bool pirn_port_try_collect(struct port *p, int64_t now, struct op_list *done, bool *ret_wake);

/* Hints, without the lock. Anything another thread could do for the owner: collect, submit,
 * expire? */
bool pirn_port_is_due(const struct port *p, int64_t now);
bool pirn_port_has_completions(const struct port *p);
/* Nothing under way and no deadlines. */
bool pirn_port_is_idle(const struct port *p);
/* Anything for which the kernel must be entered, by whomever: requests to submit, completions that
 * have overflowed? */
bool pirn_port_has_backlog(const struct port *p);
/* Does the kernel hold back completions until the thread they belong to enters it? Nobody else's
 * entering helps, but for those of an overflow. */
bool pirn_port_holds_back(const struct port *p);

/* Gives queued operations and cancels to the kernel, and has it post what has overflowed. */
void pirn_port_flush(struct port *p, struct submitter *me);

/* Flushes and waits for a completion, a wake-up, or the time. */
void pirn_port_wait(struct port *p, struct submitter *me, int64_t until);

/* Makes the owner's present or next wait return. Any thread. */
void pirn_port_wake(struct port *p);

/* Once in each thread that flushes ports; helpers: see pirn_ring_limit_helpers. */
void pirn_port_thread_init(struct port *p, struct submitter *me, unsigned helpers);

#endif
