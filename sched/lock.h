/*
 * A small spin lock for sections of a few dozen instructions: Concurrency Kit's fetch-and-store
 * lock, made to give way when its holder has been descheduled, and made visible to TSan (which
 * cannot see into CK's inline assembly).
 *
 * Never held across a system call, a callback or a switch.
 */
#ifndef PIRN_SCHED_LOCK_H
#define PIRN_SCHED_LOCK_H

#include <ck_pr.h>
#include <ck_spinlock.h>
#include <sched.h>
#include <stdbool.h>

#include "sched/tsan.h"

struct lock {
    ck_spinlock_fas_t fas;
};

#define LOCK_INIT \
    { \
        CK_SPINLOCK_FAS_INITIALIZER \
    }

static inline void lock_init(struct lock *l)
{
    ck_spinlock_fas_init(&l->fas);
}

static inline bool lock_try(struct lock *l)
{
    if (!ck_spinlock_fas_trylock(&l->fas))
        return false;
    tsan_acquire(l); /* pairs with tsan_release in lock_drop */
    return true;
}

/* Without waiting; who comes in vain leaves the line to the holder. */
static inline bool lock_try_free(struct lock *l)
{
    return !ck_spinlock_fas_locked(&l->fas) && lock_try(l);
}

/* Waits by reading: a try takes the line away from the holder, who has what it guards in there,
 * too. Simulated (perf/simulate), 64 workers at one inject queue are 500 times better off; two see
 * no difference. */
static inline void lock_take(struct lock *l)
{
    unsigned looks = 0;
    while (!lock_try(l)) {
        do {
            if (++looks < 128)
                ck_pr_stall();
            else
                sched_yield(); /* the holder has lost its core: spinning would only keep it away */
        } while (ck_spinlock_fas_locked(&l->fas));
    }
}

static inline void lock_drop(struct lock *l)
{
    tsan_release(l);
    ck_spinlock_fas_unlock(&l->fas);
}

#endif
