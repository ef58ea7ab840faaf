/*
 * Spares: threads beyond the workers, started by the monitor when workers are stuck. One that is
 * not needed sleeps in its ring (ROLE_RETIRED) and is taken before a new one is started. Requests
 * end with the thread that submitted them, so only a thread that can have none under way ends,
 * after a while; its ring and struct stay for the next (ROLE_GONE).
 */
#include <errno.h>

#include "io/sys.h"
#include "runtime/runtime.h"

struct worker *pirn_worker_new(struct pirn_runtime *rt, enum role role)
{
    unsigned n = atomic_load_explicit(&rt->thread_count, memory_order_relaxed);
    if (n == rt->max_threads)
        return NULL;
    struct worker *w = mem_alloc(&rt->mem, sizeof(*w));
    if (w == NULL)
        return NULL;
    if (pirn_worker_init(w, rt, n, role) != 0) {
        mem_free(&rt->mem, w);
        return NULL;
    }
    if (sys_pthread_create(&w->thread, NULL, pirn_worker_main, w) != 0) {
        pirn_worker_destroy(w);
        mem_free(&rt->mem, w);
        return NULL;
    }
    w->joinable = true;
    rt->workers[n] = w;
    /* release: pairs with the acquire in rt_threads */
    atomic_store_explicit(&rt->thread_count, n + 1, memory_order_release);
    return w;
}

/* A spare without a thread gets a new one. */
static bool revive(struct worker *w, enum role role)
{
    pthread_join(w->thread, NULL);
    w->joinable = false;
    w->monitor_pass = UINT64_MAX;
    atomic_store_explicit(&w->role, (uint32_t)role, memory_order_relaxed);
    atomic_store_explicit(&w->parker.state, PARKER_AWAKE, memory_order_relaxed);
    atomic_store_explicit(&w->tid, 0, memory_order_relaxed);
    if (sys_pthread_create(&w->thread, NULL, pirn_worker_main, w) != 0) {
        atomic_store_explicit(&w->role, ROLE_GONE, memory_order_relaxed);
        atomic_store_explicit(&w->parker.state, PARKER_ASIDE, memory_order_relaxed);
        return false;
    }
    w->joinable = true;
    return true;
}

/* Gives a spare that nobody needs a role, with or without a thread. */
static bool recall(struct worker *w, enum role role)
{
    uint32_t was = ROLE_RETIRED;
    if (worker_stuck(w) != STUCK_NOT)
        return false;
    /* acquire on failure: pairs with the release in leave_for_good */
    if (atomic_compare_exchange_strong_explicit(&w->role, &was, (uint32_t)role,
                                                memory_order_acq_rel, memory_order_acquire)) {
        pirn_port_wake(&w->port);
        return true;
    }
    return was == ROLE_GONE && w->joinable && revive(w, role);
}

struct worker *pirn_spare_start(struct pirn_runtime *rt, enum role role)
{
    unsigned n = rt_threads(rt);
    for (unsigned i = rt->worker_count; i < n; i++) {
        struct worker *w = rt_worker(rt, i);
        if (recall(w, role)) {
            w->monitor_idle = 1; /* what was before does not count: retire_spares, at this look */
            return w;
        }
    }
    atomic_store_explicit(&rt->peers_bound, 1, memory_order_relaxed);
    /* Counted first: it may have taken a task over before we are back. */
    atomic_fetch_add_explicit(&rt->spares_started, 1, memory_order_relaxed);
    struct worker *w = pirn_worker_new(rt, role);
    if (w == NULL)
        atomic_fetch_sub_explicit(&rt->spares_started, 1, memory_order_relaxed);
    return w;
}
