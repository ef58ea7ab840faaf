/*
 * Dump, counters, version.
 */
#include <errno.h>
#include <pirn.h>
#include <string.h>

#include "runtime/crew.h"
#include "runtime/debug.h"
#include "runtime/runtime.h"

int pirn_dump(pirn_runtime *runtime, FILE *out)
{
    pirn_runtime *rt = runtime != NULL ? runtime : pirn_runtime_current();
    if (rt == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_RUNTIME);
    if (out == NULL)
        return pirn_misuse(__func__, -EINVAL, "out is NULL");
    if (!rt_outsider_try_enter(rt))
        return -ESHUTDOWN;
    pirn_dump_to(rt, out);
    rt_outsider_leave(rt);
    return 0;
}

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_worker(pirn_stats *s, const struct worker *w)
{
    s->spawns += get(&w->n.spawns);
    s->switches += get(&w->tick);
    s->steals += get(&w->n.steals);
    s->wakes += get(&w->n.wakes);
    s->wakes_in_kernel += get(&w->n.wakes_in_kernel);
    s->parks += get(&w->n.parks);
    s->rescues += get(&w->n.rescues);
    s->submissions += get(&w->port.submissions);
    s->completions += get(&w->port.completions);
    s->stacks_free += atomic_load_explicit(&w->stacks.count, memory_order_relaxed);
}

int pirn_stats_get(pirn_runtime *runtime, pirn_stats *ret_stats)
{
    pirn_runtime *rt = runtime != NULL ? runtime : pirn_runtime_current();
    if (rt == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_RUNTIME);
    if (ret_stats == NULL || ret_stats->size < sizeof(ret_stats->size) ||
        ret_stats->size > sizeof(*ret_stats))
        return pirn_misuse(__func__, -EINVAL,
                           ret_stats == NULL ? MISUSE_NULL
                                             : "ret_stats->size is not sizeof(pirn_stats)");
    if (!rt_outsider_try_enter(rt))
        return -ESHUTDOWN;
    pirn_stats s = {.size = ret_stats->size}; /* an older program knows fewer fields */
    unsigned n = rt_threads(rt);
    for (unsigned i = 0; i < n; i++) {
        add_worker(&s, rt_worker(rt, i));
        s.threads += worker_role(rt_worker(rt, i)) != ROLE_GONE;
    }
    s.tasks_live = pirn_task_live(rt);
    s.spares = get(&rt->spares_started);
    s.kicks = get(&rt->kicks);
    s.workers = rt->worker_count;
    s.threads += 1 + atomic_load_explicit(&rt->pinned_threads, memory_order_relaxed) +
                 pirn_crew_threads(rt->blocking);
    s.stacks_free += atomic_load_explicit(&rt->stacks.free, memory_order_relaxed);
    s.stacks_bound = atomic_load_explicit(&rt->stacks.total, memory_order_relaxed) - s.stacks_free;
    rt_outsider_leave(rt);
    memcpy(ret_stats, &s, s.size);
    return 0;
}

#define TEXT(x) #x
#define VERSION(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

const char *pirn_version(void)
{
    return VERSION(PIRN_VERSION_MAJOR, PIRN_VERSION_MINOR, PIRN_VERSION_PATCH);
}
