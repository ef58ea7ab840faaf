/*
 * Steals are counted by the library; how many peers a thief looks at is not. The linker leads these
 * calls of the scheduler through here (--wrap).
 */
#include "perf/simulate/machine.h"
#include "perf/simulate/measure.h"
#include "runtime/worker.h"

bool __real_pirn_worker_steal(struct worker *w, bool take_slots);
bool __wrap_pirn_worker_steal(struct worker *w, bool take_slots);
bool __real_pirn_worker_is_together(const struct worker *v, const struct worker *w);
bool __wrap_pirn_worker_is_together(const struct worker *v, const struct worker *w);

static struct worker *thief[CPUS_MAX]; /* inside a search, by processor */

bool __wrap_pirn_worker_steal(struct worker *w, bool take_slots)
{
    thief[machine_me->index] = w;
    bool found = __real_pirn_worker_steal(w, take_slots);
    thief[machine_me->index] = NULL;
    measure_probes.failed -= found; /* the last one it looked at had something */
    return found;
}

/* A thief asks this of each peer that it looks at. */
bool __wrap_pirn_worker_is_together(const struct worker *v, const struct worker *w)
{
    measure_probes.failed += thief[machine_me->index] != NULL;
    return __real_pirn_worker_is_together(v, w);
}
