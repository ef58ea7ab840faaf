/*
 * A job: a call of a function on a thread of a crew, as an awaitable.
 *
 * References: one is the submitter's, one the crew's, until the function has returned or will never
 * be called. Whoever gets the work out of the crew's queue, a thread or somebody who gives the job
 * up, is the one who drops its argument and the crew's reference. So each happens once.
 *
 * Cancelled, a job ends at once, with -ECANCELED. If it is running nobody hears of what it says any
 * more: its value is dropped when it returns. An attached job is not to be cancelled and has no
 * other handles: what it works on is, as a rule, on the stack of who waits for it. It is awaited,
 * and given up if that fails: then it has never run, or it is waited for whatever comes.
 *
 * Field               who may touch it
 * base                awaitable.h
 * work                the crew
 * value, value_drop, locals   the submitter, then the thread that runs it
 * unrun               who abandons it; read once it has ended
 * begun               written by the thread that runs it, read by anybody (relaxed: says nothing
 *                     more)
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
    _Atomic bool begun;
    bool unrun; /* it has been taken out of the queue, and has never run */
};

/* Submits fn(arg), with a copy of the caller's task-locals. *ret_job is a reference. If it fails
 * (-ENOMEM, -EAGAIN, -ESHUTDOWN) arg has not been dropped. */
int pirn_job_submit(struct job **ret_job, struct crew *crew, pirn_fn fn, void *arg,
                    void (*arg_drop)(void *arg), bool attached);

/* The same of one that is not attached, for the program: the handle is there before fn can look for
 * it. */
int pirn_job_submit_handle(struct pirn_awaitable **ret_handle, struct crew *crew, pirn_fn fn,
                           void *arg, void (*arg_drop)(void *arg));

/* Of an attached job: its await has returned `why`. Takes it back: true; or waits for its end:
 * false. */
struct wait;
bool pirn_job_give_up(struct wait *w, struct job *job, int *ret_status, int why);

/* Submits an attached one, and waits for its end: 0, or an error and it has never run. [anywhere;
 * suspends] What pirn_job_submit returns, -ESHUTDOWN also if the crew is closed by force
 * meanwhile. */
int pirn_job_call(struct crew *crew, pirn_fn fn, void *arg, int *ret_status, int64_t deadline);

/* Work taken back from the queue of a crew whose work is all jobs: the job ends with -ECANCELED. */
void pirn_job_abandon(struct work *work);

/* Of the job that runs on the calling thread; NULL: there is none, or it has none. */
struct crew *pirn_job_crew(void);
void **pirn_job_locals(void);
int pirn_job_set_local(unsigned index, void *value);            /* -EPERM, -ENOMEM */
int pirn_job_set_value(void *value, void (*drop)(void *value)); /* -EPERM */

#endif
