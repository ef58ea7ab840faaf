/*
 * The mutex: fair, owned, for coroutines and plain threads.
 *
 *   lock    free -> the caller's cell, one compare-and-swap; else to the end of the list and asleep
 *   unlock  the caller's cell -> free, one compare-and-swap; else, as somebody waits, the first
 *           waiter whose wait still lasts is claimed and made the owner, all under BUSY (sync.h)
 *
 * A waiter that is woken owns the mutex: it never has to fight for it again, and a cancel or a
 * deadline that comes after the claim does not matter to it. The mutex is never free while somebody
 * waits, so nobody overtakes, and try_lock is the first step alone.
 *
 * What that costs under contention: the mutex goes with each unlock to a coroutine that does not
 * run yet. The unlocker puts it into its own worker's slot (runtime/queue.c), where it runs as soon
 * as the unlocker leaves: when it comes back for the mutex, as a rule, or waits for something else.
 * So many coroutines that contend gather on one worker and take turns there, a switch and two short
 * list operations an acquisition, and the mutex's cache line stays where it is; a wake-up of
 * another worker would cost hundreds of times as much. If the unlocker computes on instead, the new
 * owner ages in the slot until an idle worker takes it.
 *
 * Rejected: letting newcomers take a mutex that was just unlocked while waiters wake up (Go's
 * normal mode). It is faster when sections are shorter than a switch, but the order is what is
 * promised here, and it needs a second mode against starving. And spinning before waiting: the
 * owner may well be a coroutine that is not running, behind the one that spins.
 */
#include "api/sync/mutex.h"

#include "runtime/locks.h"

_Static_assert(sizeof(struct mutex) <= sizeof(pirn_mutex), "pirn_mutex is too small");
_Static_assert(_Alignof(struct cell) >= 8, "the low bits of a cell's address are used");

int pirn_mutex_init(pirn_mutex *mutex)
{
    if (mutex == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (pirn_debug_is_on())
        pirn_locks_given(mutex);
    *mutex = (pirn_mutex)PIRN_MUTEX_INIT;
    return 0;
}

static __attribute__((noinline)) int lock_slowly(struct mutex *m, struct wait *w, int64_t deadline)
{
    uint64_t me = (uintptr_t)w->cell, owner = sync_take(&m->s);
    if (owner != 0 && owner != me)
        return pirn_sync_wait(&m->s, owner, w, "mutex", deadline);
    sync_drop(&m->s, me);
    return owner == 0
               ? 0
               : pirn_misuse("pirn_mutex_lock", -EDEADLK, "the caller has locked it already");
}

static inline __attribute__((always_inline)) int lock(pirn_mutex *mutex, pirn_time deadline)
{
    struct mutex *m = mutex_of(mutex);
    struct wait w;
    uint64_t free = 0;
    if (m == NULL)
        return pirn_misuse("pirn_mutex_lock", -EINVAL, MISUSE_NULL);
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    /* acquire: pairs with the release in pirn_mutex_unlock */
    if (atomic_compare_exchange_strong_explicit(&m->s.word, &free, (uintptr_t)w.cell,
                                                memory_order_acquire, memory_order_relaxed))
        return 0;
    return lock_slowly(m, &w, deadline.ns);
}

static __attribute__((cold, noinline)) int lock_noted(pirn_mutex *mutex, pirn_time deadline,
                                                      const void *site)
{
    pirn_locks_wanted(mutex);
    int rc = lock(mutex, deadline);
    pirn_locks_wanted(NULL);
    if (rc == 0)
        pirn_locks_taken(mutex, "mutex", site);
    return rc;
}

int pirn_mutex_lock(pirn_mutex *mutex, pirn_time deadline)
{
    if (pirn_debug_is_on()) /* apart: the way of all others has no room for what this needs */
        return lock_noted(mutex, deadline, __builtin_return_address(0));
    return lock(mutex, deadline);
}

int pirn_mutex_try_lock(pirn_mutex *mutex)
{
    struct mutex *m = mutex_of(mutex);
    uint64_t free = 0;
    if (m == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    /* acquire: as in pirn_mutex_lock */
    if (!atomic_compare_exchange_strong_explicit(&m->s.word, &free, sync_self(),
                                                 memory_order_acquire, memory_order_relaxed))
        return -EAGAIN;
    if (pirn_debug_is_on())
        pirn_locks_taken(mutex, "mutex", __builtin_return_address(0));
    return 0;
}

__attribute__((noinline)) void pirn_mutex_hand_over(struct mutex *m)
{
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    sync_take(&m->s);
    /* Whoever is claimed here settles before it returns: then it reads itself as the owner. */
    sync_drop(&m->s, pirn_sync_claim_first(&m->s, &wakeups));
    pirn_wakeups_run(&wakeups);
}

static inline __attribute__((always_inline)) int unlock(pirn_mutex *mutex)
{
    struct mutex *m = mutex_of(mutex);
    if (m == NULL)
        return pirn_misuse("pirn_mutex_unlock", -EINVAL, MISUSE_NULL);
    uint64_t me = sync_self(), word = me;
    /* release: pairs with the acquire in pirn_mutex_lock */
    if (atomic_compare_exchange_strong_explicit(&m->s.word, &word, 0, memory_order_release,
                                                memory_order_relaxed))
        return 0;
    if ((word & ~(uint64_t)SYNC_FLAGS) != me)
        return pirn_misuse("pirn_mutex_unlock", -EPERM,
                           word == 0 ? "it is not locked" : "another has locked it");
    pirn_mutex_hand_over(m);
    return 0;
}

static __attribute__((cold, noinline)) int unlock_noted(pirn_mutex *mutex)
{
    int rc = unlock(mutex);
    if (rc == 0)
        pirn_locks_given(mutex);
    return rc;
}

int pirn_mutex_unlock(pirn_mutex *mutex)
{
    return pirn_debug_is_on() ? unlock_noted(mutex) : unlock(mutex);
}

bool pirn_mutex_is_locked(const pirn_mutex *mutex)
{
    const struct mutex *m = (const void *)mutex;
    return m != NULL && sync_state(&m->s) != 0;
}

static void retake(struct mutex *m, struct wait *w)
{
    for (;;) {
        pirn_wait_renew(w);
        uint64_t owner = sync_take(&m->s);
        if (owner == 0) { /* then nobody is in the list, we neither */
            sync_drop(&m->s, (uintptr_t)w->cell);
            return;
        }
        if (w->waiter->linked)
            w->waiter->gen = w->gen;
        else
            pirn_wait_link(w, &m->s.waiters);
        sync_drop(&m->s, owner);
        if (pirn_wait_park(w, "mutex", INT64_MAX) == 0)
            break;
        /* Shutdown's grace is over: the owner is told so too, and unlocks on its way out. */
    }
    sync_settle(&m->s);
}

void pirn_mutex_retake(struct mutex *m, struct wait *w)
{
    if (w->task != NULL)
        pirn_task_shield(w->task);
    retake(m, w);
    if (w->task != NULL)
        pirn_task_unshield(w->task);
}
