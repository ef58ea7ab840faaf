/*
 * Barriers. The state is the number of those who wait, and BROKEN.
 *
 * The last to arrive ends the round at once: under BUSY it writes to each waiter's own record what
 * its call returns, then claims it, and the count is 0 again. Nobody has to drain before the next
 * round begins (asyncio's barrier makes new arrivals wait for that). The record decides, not the
 * claim: all of a round leave, or none, so who was cancelled or timed out at that moment has
 * arrived all the same if its record says so; a cancel is made pending again.
 */
#include "api/sync/sync.h"

#include <limits.h>

#include "runtime/debug.h"

enum {
    BROKEN = SYNC_FIRST
};

struct barrier {
    struct sync s;
    int parties; /* constant; 0: never initialised */
} SYNC_OBJECT;

_Static_assert(sizeof(struct barrier) <= sizeof(pirn_barrier), "pirn_barrier is too small");

/* The holder of BUSY; the waiter, once it has been claimed or has found itself out of the list. */
struct party {
    struct waiter waiter; /* first: a waiter of the list is one */
    int result;           /* what the call returns; WAITING until that is known */
};
enum {
    WAITING = INT_MIN
};

static struct barrier *barrier_of(pirn_barrier *barrier)
{
    return (struct barrier *)(void *)barrier;
}

int pirn_barrier_init(pirn_barrier *barrier, int parties)
{
    struct barrier *b = barrier_of(barrier);
    if (b == NULL || parties < 1)
        return pirn_misuse(__func__, -EINVAL, b == NULL ? MISUSE_NULL : "parties < 1");
    *b = (struct barrier){.parties = parties};
    return 0;
}

/* Under BUSY: lets all waiters go, with this error; 0: with their places. */
static void end_round(struct barrier *b, int error, struct wakeups *wakeups)
{
    struct waiter *waiter;
    for (int i = 0; (waiter = pirn_waiter_pop(&b->s.waiters)) != NULL; i++) {
        ((struct party *)(void *)waiter)->result = error != 0 ? error : i;
        pirn_waiter_claim(waiter, wakeups);
    }
}

/* Under BUSY: takes out who has been cancelled, say, but has not run since. The state after it. */
static uint64_t prune(struct barrier *b, uint64_t state)
{
    for (uint64_t n = state >> SYNC_SHIFT; n > 0; n--) {
        struct waiter *waiter = pirn_waiter_pop(&b->s.waiters);
        if (sync_is_over(waiter)) {
            state -= SYNC_ONE;
            continue;
        }
        waiter->linked = true;
        pirn_waiter_append(waiter, &b->s.waiters);
    }
    return state;
}

/* Having linked and dropped. */
static int wait_for_others(struct barrier *b, struct wait *w, struct party *me, int64_t deadline)
{
    int rc = pirn_wait_park(w, "barrier", deadline);
    if (rc == 0) {
        sync_settle(&b->s);
        return me->result;
    }
    uint64_t state = sync_take(&b->s);
    bool decided = me->result != WAITING;
    if (me->waiter.linked) {
        pirn_waiter_unlink(&b->s.waiters, &me->waiter);
        state -= SYNC_ONE;
    }
    sync_drop(&b->s, state);
    if (decided && rc == -ECANCELED)
        pirn_wait_keep_cancel(w);
    return decided ? me->result : rc;
}

static int refuse(const char *call, const struct barrier *b)
{
    return pirn_misuse(call, -EINVAL,
                       b == NULL ? MISUSE_NULL : "pirn_barrier_init has not been called on it");
}

int pirn_barrier_wait(pirn_barrier *barrier, pirn_time deadline)
{
    struct barrier *b = barrier_of(barrier);
    struct party me = {.result = WAITING};
    struct wakeups wakeups;
    struct wait w;
    if (b == NULL || b->parties < 1)
        return refuse(__func__, b);
    int rc = pirn_wait_enter(&w), last = b->parties - 1;
    uint64_t others = (uint64_t)last << SYNC_SHIFT;
    if (rc != 0)
        return rc;
    uint64_t state = sync_take(&b->s);
    if (state == BROKEN) {
        sync_drop(&b->s, BROKEN);
        return -EPIPE;
    }
    if (state == others)
        state = prune(b, state);
    if (state != others) {
        w.waiter = &me.waiter;
        pirn_wait_link(&w, &b->s.waiters);
        sync_drop(&b->s, state + SYNC_ONE);
        return wait_for_others(b, &w, &me, deadline.ns);
    }
    wakeups_init(&wakeups);
    end_round(b, 0, &wakeups);
    sync_drop(&b->s, 0);
    pirn_wakeups_run(&wakeups);
    return last;
}

static int disturb(const char *call, struct barrier *b, uint64_t state)
{
    struct wakeups wakeups;
    if (b == NULL || b->parties < 1)
        return refuse(call, b);
    wakeups_init(&wakeups);
    sync_take(&b->s);
    end_round(b, -EPIPE, &wakeups);
    sync_drop(&b->s, state);
    pirn_wakeups_run(&wakeups);
    return 0;
}

int pirn_barrier_abort(pirn_barrier *barrier)
{
    return disturb(__func__, barrier_of(barrier), BROKEN);
}

int pirn_barrier_reset(pirn_barrier *barrier)
{
    return disturb(__func__, barrier_of(barrier), 0);
}

int pirn_barrier_parties(const pirn_barrier *barrier)
{
    const struct barrier *b = (const void *)barrier;
    return b == NULL || b->parties < 1 ? -EINVAL : b->parties;
}

int pirn_barrier_n_waiting(const pirn_barrier *barrier)
{
    struct barrier *b = barrier_of((pirn_barrier *)barrier);
    if (b == NULL)
        return -EINVAL;
    if (sync_state(&b->s) < SYNC_ONE)
        return 0;
    uint64_t state = prune(b, sync_take(&b->s));
    sync_drop(&b->s, state);
    return (int)(state >> SYNC_SHIFT);
}

bool pirn_barrier_is_broken(const pirn_barrier *barrier)
{
    const struct barrier *b = (const void *)barrier;
    return b != NULL && sync_state(&b->s) == BROKEN;
}
