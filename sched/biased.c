/*
 * The slow halves of the biased lock; the protocol stands in biased.h, its model in
 * tests/model/biased.pml.
 */
#include "sched/biased.h"

#include <stddef.h>

enum {
    OWNER_WAIT_SPINS = 2000
}; /* an owner's section is some 20 instructions: far more than it needs */

bool (*pirn_remote_fence)(void) = NULL;

void pirn_biased_init(struct biased *b)
{
    atomic_init(&b->owner_in, 0);
    atomic_init(&b->mode, pirn_remote_fence != NULL ? BIAS_OWNER : BIAS_SHARED);
    atomic_init(&b->thief_seen, 0);
    b->held = 0;
    b->entries = 0;
    lock_init(&b->lock);
}

void pirn_biased_enter_shared(struct biased *b)
{
    /* release: pairs with the thief's acquire load of owner_in */
    atomic_store_explicit(&b->owner_in, 0, memory_order_release);
    lock_take(&b->lock);
    b->held = 1;
    if (atomic_load_explicit(&b->mode, memory_order_relaxed) == BIAS_ASKED)
        atomic_store_explicit(&b->mode, BIAS_SHARED, memory_order_relaxed); /* `lock` orders it */
    if (atomic_load_explicit(&b->thief_seen, memory_order_relaxed)) {
        atomic_store_explicit(&b->thief_seen, 0, memory_order_relaxed);
        b->entries = 0;
    } else if (++b->entries >= REBIAS_AFTER && pirn_remote_fence != NULL) {
        b->entries = 0;
        /* Still under `lock`: a thief that gets it next sees BIAS_OWNER and revokes again.
         * release: pairs with the acquire load in biased_enter */
        atomic_store_explicit(&b->mode, BIAS_OWNER, memory_order_release);
    }
}

bool pirn_biased_try_thief(struct biased *b)
{
    if (!lock_try(&b->lock))
        return false;
    atomic_store_explicit(&b->thief_seen, 1, memory_order_relaxed);
    if (atomic_load_explicit(&b->mode, memory_order_relaxed) != BIAS_SHARED) {
        /* release: pairs with the acquire load in biased_enter */
        atomic_store_explicit(&b->mode, BIAS_ASKED, memory_order_release);
        if (!pirn_remote_fence()) {
            lock_drop(&b->lock);
            return false;
        }
        atomic_store_explicit(&b->mode, BIAS_SHARED, memory_order_relaxed);
    }
    for (int i = 0; i < OWNER_WAIT_SPINS; i++) {
        /* acquire: pairs with the owner's release store on leaving */
        if (atomic_load_explicit(&b->owner_in, memory_order_acquire) == 0)
            return true;
        ck_pr_stall();
    }
    lock_drop(&b->lock);
    return false;
}

void pirn_biased_leave_thief(struct biased *b)
{
    lock_drop(&b->lock);
}
