/*
 * The reader-writer lock: fair, so a reader does not pass a writer that waits.
 *
 * State: 0 free; the writer's cell; or READERS and how many there are. Readers and writers wait in
 * one list. Whoever makes the state allow it (an unlock, or a writer at the head of the list that
 * gives up waiting) grants, under BUSY: a writer alone, or all readers up to the next writer. A
 * writer that gave up may not run for long (its strand is held, its runtime paused): who comes
 * meanwhile does the same.
 * Without waiters every operation is one compare-and-swap.
 *
 * Rejected: that who cancels a writer, or finds it out of time, looks as well, so that those who
 * stand behind it need not wait for it to run, or for somebody to come. What keeps it from running
 * would keep them out just as long had it been let in; and every cancel, every deadline and every
 * park that finds itself cancelled would have to ask what the task waits in, for which its
 * descriptor has no room.
 */
#include "api/sync/sync.h"

#include "runtime/locks.h"

enum {
    READERS = SYNC_FIRST
};

struct rwlock {
    struct sync s;
} SYNC_OBJECT;

_Static_assert(sizeof(struct rwlock) <= sizeof(pirn_rwlock), "pirn_rwlock is too small");

struct candidate {
    struct waiter waiter; /* first: a waiter of the list is one */
    bool writes;          /* constant while linked */
};

static struct rwlock *rwlock_of(pirn_rwlock *rwlock)
{
    return (struct rwlock *)(void *)rwlock;
}

static bool lets_read(uint64_t state)
{
    return state == 0 || (state & READERS) != 0;
}

static uint64_t with_reader(uint64_t state)
{
    return (state | READERS) + SYNC_ONE;
}

static uint64_t without_reader(uint64_t state)
{
    return state == (READERS | SYNC_ONE) ? 0 : state - SYNC_ONE;
}

int pirn_rwlock_init(pirn_rwlock *rwlock)
{
    if (rwlock == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (pirn_debug_is_on())
        pirn_locks_given(rwlock);
    *rwlock = (pirn_rwlock)PIRN_RWLOCK_INIT;
    return 0;
}

/* Under BUSY: lets in who may come now, and takes out of their way who has been cancelled, say, but
 * has not run since. The state after it. */
static uint64_t grant(struct rwlock *l, uint64_t state, struct wakeups *wakeups)
{
    struct waiter *first;
    while ((first = l->s.waiters) != NULL) {
        uint64_t cell = (uintptr_t)first->cell; /* they may be gone once they are claimed */
        bool writes = ((struct candidate *)(void *)first)->writes;
        if ((writes ? state != 0 : !lets_read(state)) && !sync_is_over(first))
            break;
        pirn_waiter_unlink(&l->s.waiters, first);
        if (pirn_waiter_claim(first, wakeups))
            state = writes ? cell : with_reader(state);
    }
    return state;
}

/* And drops the word. */
static void grant_and_drop(struct rwlock *l, uint64_t state)
{
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    state = grant(l, state, &wakeups);
    sync_drop(&l->s, state);
    pirn_wakeups_run(&wakeups);
}

/* Under BUSY: in at once? Nobody waits for who has given up waiting. */
static bool enter(struct rwlock *l, uint64_t *state, bool writes, uint64_t me,
                  struct wakeups *wakeups)
{
    *state = grant(l, *state, wakeups);
    if (l->s.waiters != NULL || (writes ? *state != 0 : !lets_read(*state)))
        return false;
    *state = writes ? me : with_reader(*state);
    return true;
}

static const char *lock_call(bool writes)
{
    return writes ? "pirn_rwlock_write_lock" : "pirn_rwlock_read_lock";
}

static __attribute__((noinline)) int lock_slowly(struct rwlock *l, struct wait *w, bool writes,
                                                 int64_t deadline)
{
    struct candidate me = {.writes = writes};
    struct wakeups wakeups;
    uint64_t self = (uintptr_t)w->cell, state = sync_take(&l->s);
    if (state == self) {
        sync_drop(&l->s, state);
        return pirn_misuse(lock_call(writes), -EDEADLK, "the caller has it for writing");
    }
    wakeups_init(&wakeups);
    bool entered = enter(l, &state, writes, self, &wakeups);
    if (!entered) {
        w->waiter = &me.waiter;
        pirn_wait_link(w, &l->s.waiters);
    }
    sync_drop(&l->s, state);
    pirn_wakeups_run(&wakeups);
    if (entered)
        return 0;
    int rc = pirn_wait_park(w, writes ? "write lock" : "read lock", deadline);
    if (rc == 0) {
        sync_settle(&l->s);
        return 0;
    }
    state = sync_take(&l->s);
    pirn_waiter_unlink(&l->s.waiters, &me.waiter);
    grant_and_drop(l, state); /* readers behind a writer that gives up */
    return rc;
}

/* Without waiters. */
static bool lock_fast(struct rwlock *l, bool writes, uint64_t me)
{
    uint64_t word = sync_load(&l->s);
    while ((word & SYNC_FLAGS) == 0 && (writes ? word == 0 : lets_read(word)))
        if (sync_swap(&l->s, &word, writes ? me : with_reader(word)))
            return true;
    return false;
}

static int lock(struct rwlock *l, bool writes, int64_t deadline)
{
    struct wait w;
    if (l == NULL)
        return pirn_misuse(lock_call(writes), -EINVAL, MISUSE_NULL);
    int rc = pirn_wait_enter(&w);
    if (rc != 0 || lock_fast(l, writes, (uintptr_t)w.cell))
        return rc;
    return lock_slowly(l, &w, writes, deadline);
}

/* In debug mode. */
static __attribute__((cold, noinline)) int lock_noted(pirn_rwlock *rwlock, bool writes,
                                                      int64_t deadline, const void *site)
{
    pirn_locks_wanted(rwlock);
    int rc = lock(rwlock_of(rwlock), writes, deadline);
    pirn_locks_wanted(NULL);
    if (rc == 0 && writes)
        pirn_locks_taken(rwlock, "write lock", site);
    else if (rc == 0)
        pirn_locks_shared(rwlock);
    return rc;
}

static int try_lock(const char *call, struct rwlock *l, bool writes)
{
    if (l == NULL)
        return pirn_misuse(call, -EINVAL, MISUSE_NULL);
    uint64_t me = sync_self();
    if (lock_fast(l, writes, me))
        return 0;
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    uint64_t state = sync_take(&l->s); /* somebody may have been busy with the word */
    bool entered = enter(l, &state, writes, me, &wakeups);
    sync_drop(&l->s, state);
    pirn_wakeups_run(&wakeups);
    return entered ? 0 : -EAGAIN;
}

int pirn_rwlock_read_lock(pirn_rwlock *rwlock, pirn_time deadline)
{
    if (pirn_debug_is_on())
        return lock_noted(rwlock, false, deadline.ns, NULL);
    return lock(rwlock_of(rwlock), false, deadline.ns);
}

int pirn_rwlock_try_read_lock(pirn_rwlock *rwlock)
{
    int rc = try_lock(__func__, rwlock_of(rwlock), false);
    if (pirn_debug_is_on() && rc == 0)
        pirn_locks_shared(rwlock);
    return rc;
}

int pirn_rwlock_write_lock(pirn_rwlock *rwlock, pirn_time deadline)
{
    if (pirn_debug_is_on())
        return lock_noted(rwlock, true, deadline.ns, __builtin_return_address(0));
    return lock(rwlock_of(rwlock), true, deadline.ns);
}

int pirn_rwlock_try_write_lock(pirn_rwlock *rwlock)
{
    int rc = try_lock(__func__, rwlock_of(rwlock), true);
    if (pirn_debug_is_on() && rc == 0)
        pirn_locks_taken(rwlock, "write lock", __builtin_return_address(0));
    return rc;
}

int pirn_rwlock_read_unlock(pirn_rwlock *rwlock)
{
    struct rwlock *l = rwlock_of(rwlock);
    if (l == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    uint64_t word = sync_load(&l->s);
    while ((word & SYNC_FLAGS) == 0 && (word & READERS) != 0)
        if (sync_swap(&l->s, &word, without_reader(word)))
            return 0;
    uint64_t state = sync_take(&l->s);
    bool held = (state & READERS) != 0;
    grant_and_drop(l, held ? without_reader(state) : state);
    return held ? 0 : pirn_misuse(__func__, -EPERM, "nobody has it for reading");
}

int pirn_rwlock_write_unlock(pirn_rwlock *rwlock)
{
    struct rwlock *l = rwlock_of(rwlock);
    if (l == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    uint64_t me = sync_self(), word = me;
    bool left = sync_swap(&l->s, &word, 0);
    if (!left && (word & ~(uint64_t)SYNC_FLAGS) != me)
        return pirn_misuse(__func__, -EPERM, "the caller does not have it for writing");
    if (pirn_debug_is_on())
        pirn_locks_given(rwlock);
    if (left)
        return 0;
    sync_take(&l->s);
    grant_and_drop(l, 0);
    return 0;
}
