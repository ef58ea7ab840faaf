/*
 * More threads that want to run than there are cores for them.
 */
#ifndef PIRN_RUNTIME_CROWD_H
#define PIRN_RUNTIME_CROWD_H

#include "runtime/runtime.h"
#include "runtime/worker.h"

/* With more workers than two, one that lost its core says too little of the others'. */
static inline bool rt_looks_for_crowds(const struct pirn_runtime *rt)
{
#ifdef PIRN_HARD
    (void)rt;
    return false; /* tasks move at every chance */
#else
    return rt->worker_count == 2;
#endif
}

static inline bool rt_is_crowded(const struct pirn_runtime *rt, int64_t now)
{
    return now < atomic_load_explicit(&rt->crowded_until, memory_order_relaxed);
}

/* At each look, before w runs anything: notes the thread's CPU time, now and then. */
void pirn_crowd_sample(struct worker *w, int64_t now);

/* w's stride took long. Has it computed, or slept in a call (true)? Or waited for its core, which
 * is noted? */
bool pirn_crowd_has_computed(struct worker *w, int64_t took, int64_t now);

#endif
