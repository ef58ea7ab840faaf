/*
 * Idle workers; the protocol stands in idle.h. The full fences are seq_cst fences: each pairs with
 * the other's (pusher: publish work | read searching, parked; worker: state := PARKING, or
 * searching - 1 | read the queues).
 */
#include "sched/idle.h"

bool pirn_idle_search_begin(struct idle *idle, int limit)
{
    int n = atomic_load_explicit(&idle->searching, memory_order_relaxed);
    if (n >= limit)
        return false;
    atomic_fetch_add_explicit(&idle->searching, 1,
                              memory_order_seq_cst); /* pairs with the fences */
    return true;
}

bool pirn_idle_search_end(struct idle *idle)
{
    bool last = atomic_fetch_sub_explicit(&idle->searching, 1, memory_order_relaxed) == 1;
    /* Before our next look at the queues, for a pusher that saw us searching; pairs with the fence
     * in pirn_idle_wake_begin. (A seq_cst subtraction alone would not do: on ARMv8.0 later loads
     * may come before its store.) */
    atomic_thread_fence(memory_order_seq_cst);
    return last;
}

bool pirn_idle_wake_begin(struct idle *idle)
{
    int none = 0;
    /* pairs with the fences in pirn_parker_begin and pirn_idle_search_end */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&idle->parked, memory_order_relaxed) <= 0)
        return false;
    return atomic_compare_exchange_strong_explicit(&idle->searching, &none, 1, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

bool pirn_idle_wake_undo(struct idle *idle)
{
    atomic_fetch_sub_explicit(&idle->searching, 1, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the fence in pirn_parker_begin */
    /* acquire: whoever counts here has its state in place */
    return atomic_load_explicit(&idle->parked, memory_order_acquire) > 0;
}

bool pirn_parker_notify(struct idle *idle, struct parker *p, bool *ret_in_kernel)
{
    uint32_t s = atomic_load_explicit(&p->state, memory_order_relaxed);
    while (s == PARKER_PARKING || s == PARKER_KERNEL) {
        /* acq_rel: pairs with the owner's exchange in pirn_parker_end */
        if (atomic_compare_exchange_weak_explicit(&p->state, &s, PARKER_NOTIFIED,
                                                  memory_order_acq_rel, memory_order_relaxed)) {
            atomic_fetch_sub_explicit(&idle->parked, 1, memory_order_relaxed);
            *ret_in_kernel = s == PARKER_KERNEL;
            return true;
        }
    }
    return false;
}

void pirn_parker_begin(struct idle *idle, struct parker *p)
{
    atomic_store_explicit(&p->state, PARKER_PARKING, memory_order_relaxed);
    /* After the state, so that who sees the count can pick us (a notify that comes first makes the
     * count negative for a moment). release: pairs with pirn_idle_wake_undo */
    atomic_fetch_add_explicit(&idle->parked, 1, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the fence in pirn_idle_wake_begin */
}

bool pirn_parker_enter(struct parker *p)
{
    uint32_t s = PARKER_PARKING;
    return atomic_compare_exchange_strong_explicit(&p->state, &s, PARKER_KERNEL,
                                                   memory_order_relaxed, memory_order_relaxed);
}

bool pirn_parker_end(struct idle *idle, struct parker *p)
{
    /* acq_rel: pairs with pirn_parker_notify */
    uint32_t s = atomic_exchange_explicit(&p->state, PARKER_AWAKE, memory_order_acq_rel);
    if (s == PARKER_NOTIFIED)
        return true;
    if (s == PARKER_PARKING || s == PARKER_KERNEL)
        atomic_fetch_sub_explicit(&idle->parked, 1, memory_order_relaxed);
    return false;
}
