/*
 * The process pool's insides: the helper process, the worker processes, and jobs.
 *
 *   process_helper.c   the program's side of the helper: starts it, asks it for workers
 *   process_server.c   what runs in the helper and in the workers
 *   process_job.c      a job: submitted, carried to a worker and back, given up
 *   process_pool.c     the pool, and the thread that carries
 *   process_call.c     the public calls
 *
 * How a job gets to its worker: over a Unix stream socket of the worker's own, one job at a time.
 * The request is a struct process_request and in_len bytes; the worker reads all of it, calls, and
 * writes a struct process_reply and out_len bytes. So neither side writes while the other does, and
 * nothing is too big. A job that its caller has given up on stays with its worker: it is carried to
 * its end like any other, and freed instead of told. There is nothing to discard by a next one.
 */
#ifndef PIRN_API_EXECUTOR_PROCESS_H
#define PIRN_API_EXECUTOR_PROCESS_H

#include <pirn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/awaitable.h"

/* ---- The helper -------------------------------------------------------------------------- */

/* What the helper is asked, and answers; one packet each. With a worker come two descriptors: its
 * socket, and a pidfd. */
enum {
    HELPER_SPAWN = 1, /* another worker */
    HELPER_SYNC = 2,  /* whoever has died before this is reaped */
    HELPER_KILL = 3,  /* that worker, whose pidfd comes along */
};
struct helper_answer {
    int32_t rc;
};

/* The helper's program. Never returns. pidfd: of the program it helps. */
_Noreturn void pirn_process_server_main(int control, int pidfd);

/* A new worker: 0, -EPIPE (the helper has died), or what hindered it. Blocks for a moment. */
int pirn_process_helper_spawn(int *ret_socket, int *ret_pidfd);
void pirn_process_helper_sync(void);
/* Kills a worker, which this process may have no right to any more: 0, or -errno. Blocks for a
 * moment. */
int pirn_process_helper_kill(int pidfd);

/* ---- Jobs -------------------------------------------------------------------------------- */

struct process_request {
    uint64_t fn; /* its address, the same in the worker */
    uint64_t in_len, out_cap;
};

struct process_reply {
    int32_t status; /* what fn returned */
    int32_t error;  /* or why there is nothing */
    uint64_t out_len;
};

enum job_state {
    JOB_QUEUED,
    JOB_BEGUN,    /* a worker has it */
    JOB_GIVEN_UP, /* while it was queued: it never begins */
};

/* An awaitable. One reference is the submitter's, one the pool's, until it has told the end. */
struct process_job {
    struct object base;       /* first: a handle is a job */
    struct process_job *next; /* under the pool's lock, while queued */
    _Atomic uint32_t state;   /* from QUEUED on by whoever gets there first */
    struct process_request request;
    struct process_reply reply; /* and out: the carrier's until it has ended */
    pirn_process_result result; /* its value, if there is an answer */
    char *in;  /* the copy; the carrier's from BEGUN on, and who gives up frees it */
    char *out; /* out_cap bytes */
};

/* 0, and a reference in *ret_job; -EINVAL, -ENOMEM. */
int pirn_process_job_new(struct process_job **ret_job, pirn_process_fn fn, const void *in,
                         size_t in_len, size_t out_cap);
/* Queues it: 0, -EPIPE, -ESHUTDOWN. [anywhere; does not suspend] */
int pirn_process_enqueue(pirn_process_pool *pool, struct process_job *job);
void pirn_process_job_release(struct process_job *job);

/* For the pool. */
bool pirn_process_job_begin(struct process_job *job); /* false: it has been given up */
void pirn_process_job_end(struct process_job *job, int rc);

/* A worker process as the carrier sees it. */
struct worker_process {
    int socket, pidfd; /* -1: it is gone */
    struct process_job *job;
    uint64_t done; /* bytes of the request written; once all are, of the reply read */
    bool sent;
};

/* Moves what can be moved without waiting. 0: the job is at its end; -EAGAIN; -EPIPE: the worker is
 * dead, or as good as. */
int pirn_process_carry(struct worker_process *p);

#endif
