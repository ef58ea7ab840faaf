/*
 * A thread pool: a crew (runtime/crew.h) with handles. When the last handle goes nobody can submit
 * any more, and the crew is stopped; its memory goes with the last thread or job.
 *
 *   thread_pool.c   made, shared, closed; the default one
 *   thread_call.c   jobs: submitted, called and waited for, mapped over
 */
#ifndef PIRN_API_EXECUTOR_THREAD_POOL_H
#define PIRN_API_EXECUTOR_THREAD_POOL_H

#include <pirn.h>
#include <stdatomic.h>
#include <stdint.h>

#include "runtime/crew.h"

struct pirn_thread_pool {
    _Atomic uint32_t handles; /* anybody; the last one frees (acq_rel) */
    struct crew *crew;        /* constant, as are: */
    unsigned threads;
    pid_t pid; /* whose it is: not a fork's child's */
};

/* A reference to the pool that is meant, NULL meaning the default one, which is made if need be. */
int pirn_thread_pool_get(pirn_thread_pool **ret_pool, pirn_thread_pool *meant);

#endif
