/*
 * One io_uring, stripped to what a port does with it. liburing sets it up and prepares entries;
 * publishing and entering are done here, because they are split: entries are prepared under the
 * port's lock, the kernel is entered without it.
 *
 * Flags: COOP_TASKRUN | TASKRUN_FLAG | CQSIZE | CLAMP | SUBMIT_ALL. Not SINGLE_ISSUER and not
 * DEFER_TASKRUN: with them nobody else could serve the ring of a stuck worker (it would save 0 to
 * 5%). Not SQPOLL: its thread competes with the workers (0.2 to 0.6 of the throughput here).
 *
 * Who may touch what
 *   sq.sqe_tail, *sq.ktail, the entries   holders of the port's lock
 *   *cq.khead                             holders of the port's lock
 *   *sq.khead, *cq.ktail, *sq.kflags      written by the kernel; read by anybody
 *   pirn_ring_enter, pirn_ring_wake       any thread, with or without the lock
 */
#ifndef PIRN_IO_RING_H
#define PIRN_IO_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/op.h"

/* user_data is the operation's address with one of these in the low bits. */
enum ring_tag {
    RING_OP = 0,
    RING_CANCEL = 1,
    RING_WAKE = 2,
    RING_EVENT = 3,
    RING_TAGS = 7
};

struct ring {
    struct io_uring uring;
    int event_fd;        /* where MSG_RING from outside is missing (before 6.13), else -1 */
    bool event_armed;    /* a read of event_fd is in flight; under the port's lock */
    unsigned wait_flags; /* NO_IOWAIT where the kernel has it */
    bool accept_polls;   /* the kernel knows ACCEPT_POLL_FIRST */
    bool on_valgrind;    /* see ring.c */
};

/* patient: waits up to 0.1 s for the memory of rings that have just been closed.
 * 0, -ENOSYS (no io_uring, or too old), -EPERM (denied), -ENOMEM, -EMFILE. */
int pirn_ring_init(struct ring *r, unsigned entries, unsigned completions, bool patient);
void pirn_ring_destroy(struct ring *r);

/* Under the lock: prepares one entry; false when the submission queue is full. */
bool pirn_ring_prepare(struct ring *r, struct op *op);
bool pirn_ring_prepare_cancel(struct ring *r, struct op *op);
bool pirn_ring_prepare_event(struct ring *r); /* the wake-up descriptor, if there is one to arm */
void pirn_ring_publish(struct ring *r);

/* Entries the kernel has not taken yet. */
unsigned pirn_ring_unsubmitted(const struct ring *r);

/* Does the kernel hold back completions until somebody enters (task work, overflow)? */
bool pirn_ring_wants_enter(const struct ring *r);
/* Completions that found the queue full: until somebody enters, all later ones join them. */
bool pirn_ring_has_overflow(const struct ring *r);
bool pirn_ring_has_completions(const struct ring *r);

/* Submits what is published and runs held-back work; does not wait. Entries taken, or -errno. */
int pirn_ring_enter(struct ring *r);

/* The same, and waits for a completion or until `until` (monotonic ns; INT64_MAX: for ever). */
int pirn_ring_wait(struct ring *r, int64_t until);

/* Makes a present or future pirn_ring_wait return. Any thread; 0 or -errno. */
int pirn_ring_wake(struct ring *r);

/* To be called once by each thread that enters rings: so many kernel helper threads for it, at
 * most, for files, and so many for all else. */
void pirn_ring_limit_helpers(struct ring *r, unsigned helpers);

#endif
