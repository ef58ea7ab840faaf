/*
 * A job: a call of a function on a thread of a crew, as an awaitable.
 *
 * References: one is the submitter's, one the crew's, until the function has returned or will never be
 * called. Whoever gets the work out of the crew's queue, a thread or somebody who gives the job up, is
 * the one who drops its argument and the crew's reference. So each happens once.
 *
 * Cancelled, a job ends at once, with -ECANCELED. If it is running nobody hears of what it says any
 * more: its value is dropped when it returns. Those of pirn_job_call are not to be cancelled: their
 * argument is, as a rule, on the caller's stack.
 *
 * Field               who may touch it
 * base                awaitable.h
 * work                the crew
 * value, value_drop, locals   the submitter, then the thread that runs it
 * the others          constant
 */
#ifndef PIRN_RUNTIME_JOB_H
#define PIRN_RUNTIME_JOB_H

#include "runtime/awaitable.h"
#include "runtime/crew.h"

struct job {
    struct object base; /* first: a handle is a job */
    struct work work;
    struct crew *crew; /* with a reference */
    pirn_fn fn;
    void *arg;
    void (*arg_drop)(void *arg);
    void *value; /* pirn_set_value, until the end */
    void (*value_drop)(void *value);
    void **locals; /* LOCALS_MAX of them, or NULL: none is set */
};

/* Submits fn(arg), with a copy of the caller's task-locals. *ret_job is a reference. If it fails (-ENOMEM,
 * -EAGAIN, -ESHUTDOWN) arg has not been dropped. */
int pirn_job_submit(struct job **ret_job, struct crew *crew, pirn_fn fn, void *arg,
                    void (*arg_drop)(void *arg));

/* The same, and waits for its end: 0, or an error and it has never run. One that has begun is waited for
 * whatever comes. [anywhere; suspends] */
int pirn_job_call(struct crew *crew, pirn_fn fn, void *arg, int *ret_status, int64_t deadline);

/* Work taken back from the queue of a crew whose work is all jobs: it has been cancelled. */
void pirn_job_abandon(struct work *work);

/* Of the job that runs on the calling thread; NULL: there is none, or it has none. */
void **pirn_job_locals(void);
int pirn_job_set_local(unsigned index, void *value);                   /* -EPERM, -ENOMEM */
int pirn_job_set_value(void *value, void (*drop)(void *value)); /* -EPERM */

#endif
