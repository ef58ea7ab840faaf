/*
 * The longer ways of sync.h.
 */
#include "api/sync/sync.h"

#include "io/sys.h"

enum {
    SPINS = 128,         /* as in sched/lock.h: then the holder has lost its core */
    YIELDS = SPINS + 64, /* then it has much to do */
    NAP_NS = 100000,
    NAP_MOST_NS = 50000000
};

static void spin(unsigned tries)
{
    if (tries < SPINS)
        ck_pr_stall();
    else
        sched_yield();
}

uint64_t pirn_sync_take_slowly(struct sync *s)
{
    for (unsigned tries = 0;; tries++) {
        uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed);
        /* acquire: see the second step in sync.h */
        if ((word & SYNC_BUSY) == 0 &&
            atomic_compare_exchange_weak_explicit(&s->word, &word, word | SYNC_BUSY,
                                                  memory_order_acquire, memory_order_relaxed))
            return word & ~(uint64_t)SYNC_FLAGS;
        spin(tries);
    }
}

/* Who wakes thousands of threads wakes most of them before it is through. If they took turns on the
 * cores until then it would hardly get there: so each sleeps, twice as long each time. */
static void settle_thread(const struct sync *s)
{
    struct timespec nap = {0, NAP_NS};
    while ((sync_load(s) & SYNC_BUSY) != 0) {
        sys_ppoll(NULL, 0, &nap);
        if (nap.tv_nsec < NAP_MOST_NS)
            nap.tv_nsec *= 2;
    }
}

void pirn_sync_settle_slowly(const struct sync *s)
{
    for (unsigned tries = 0; (sync_load(s) & SYNC_BUSY) != 0; tries++) {
        if (tries == YIELDS && pirn_self()->worker == NULL)
            settle_thread(s);
        else
            spin(tries);
    }
}

int pirn_sync_wait(struct sync *s, uint64_t state, struct wait *w, const char *what,
                   int64_t deadline)
{
    pirn_wait_link(w, &s->waiters);
    sync_drop(s, state);
    int rc = pirn_wait_park(w, what, deadline);
    if (rc == 0) {
        sync_settle(s);
        return 0;
    }
    state = sync_take(s);
    pirn_waiter_unlink(&s->waiters, w->waiter);
    sync_drop(s, state);
    return rc;
}

void pirn_sync_claim_all(struct sync *s, struct wakeups *wakeups)
{
    struct waiter *waiter;
    while ((waiter = pirn_waiter_pop(&s->waiters)) != NULL)
        pirn_waiter_claim(waiter, wakeups);
}

uint64_t pirn_sync_claim_first(struct sync *s, struct wakeups *wakeups)
{
    struct waiter *waiter;
    while ((waiter = pirn_waiter_pop(&s->waiters)) != NULL) {
        uint64_t cell = (uintptr_t)waiter->cell; /* it may be gone once it is claimed */
        if (pirn_waiter_claim(waiter, wakeups))
            return cell;
    }
    return 0;
}
