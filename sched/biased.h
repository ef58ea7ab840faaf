/*
 * A lock biased towards one owner thread: the owner enters with a store and a load, a thief first
 * has to revoke the bias, which costs it an inter-processor interrupt.
 *
 * Why: a worker's run queue is touched by its owner hundreds of millions of times a second and by
 * thieves a few thousand times. With a compare-and-swap on every pop (the Go and Tokio way) a
 * yield costs one locked instruction, about 5 ns here, which is as much as everything else in it
 * together. Under the bias the queue is plain data in both directions.
 *
 * Protocol
 *   owner   1. owner_in := 1          2. compiler barrier      3. read mode
 *           BIASED: in. Leaving stores owner_in := 0.
 *           SHARED: owner_in := 0, take `lock`. Leaving drops it.
 *   thief   1. try `lock`             2. BIASED? mode := ASKED, to the owner the same as SHARED,
 *           then a remote fence (membarrier): every running thread executes a full barrier, so
 *           either the owner's step 3 sees it, or its step 1 is visible to us. mode := SHARED
 *           3. owner_in is 0: in.
 *           The owner may have been descheduled inside: after a bounded wait the thief gives up.
 *           The mode stays SHARED, so the next thief pays no fence. If the fence is refused (by a
 *           seccomp filter, say, that came later than the runtime) it stays ASKED, and nobody gets
 *           in until the owner, who has seen it, makes it SHARED, or a fence has come to pass.
 *   owner   makes ASKED SHARED, holding `lock`; and goes back to BIASED, likewise, after
 *           REBIAS_AFTER entries that no thief disturbed.
 *
 * Without membarrier (pirn_remote_fence == NULL) the mode is SHARED for ever.
 *
 * Field      written by                       read by
 * owner_in   owner                            thieves holding lock
 * mode       holders of lock                  owner without it
 * thief_seen thieves (relaxed, a hint)        owner
 * held, entries  owner only
 */
#ifndef PIRN_SCHED_BIASED_H
#define PIRN_SCHED_BIASED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sched/lock.h"

enum {
    BIAS_SHARED,
    BIAS_OWNER,
    BIAS_ASKED
};
enum {
    REBIAS_AFTER = 4096
};

struct biased {
    _Atomic uint32_t owner_in;
    _Atomic uint32_t mode;
    uint32_t held;    /* the owner is in by way of `lock` */
    uint32_t entries; /* SHARED entries since the last thief */
    _Atomic uint32_t thief_seen;
    struct lock lock;
};

/* Makes every running thread of the process execute a full barrier; NULL where there is no way.
 * False: it was refused. */
extern bool (*pirn_remote_fence)(void);

void pirn_biased_init(struct biased *b);
void pirn_biased_enter_shared(struct biased *b); /* the owner's slow way in */
bool pirn_biased_try_thief(struct biased *b);    /* true: in, leave with pirn_biased_leave_thief */
void pirn_biased_leave_thief(struct biased *b);

static inline void biased_enter(struct biased *b)
{
    atomic_store_explicit(&b->owner_in, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); /* the thief's remote fence makes it a real one */
    /* acquire: pairs with the mode store of the thief or of our own rebias */
    if (__builtin_expect(atomic_load_explicit(&b->mode, memory_order_acquire) != BIAS_OWNER, 0))
        pirn_biased_enter_shared(b);
}

static inline void biased_leave(struct biased *b)
{
    if (__builtin_expect(b->held, 0)) {
        b->held = 0;
        lock_drop(&b->lock);
        return;
    }
    /* release: pairs with the thief's acquire load of owner_in */
    atomic_store_explicit(&b->owner_in, 0, memory_order_release);
}

#endif
