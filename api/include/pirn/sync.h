/*
 * Locks and signals between coroutines and plain threads, in any mixture.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 *
 *   Objects    small structs of the program's, to be embedded; all zero is initialised, where there
 *              is an _INIT without arguments. They hold no resources. Do not copy or move one in
 *              use.
 *   Order      first come, first served. A waiter that is woken has what it waited for: nobody
 *              takes it first, and a cancel or a deadline that comes later does not matter to that
 *              call. The try-forms never wait, never overtake, and are no cancellation points:
 *              -EAGAIN.
 *   Memory     what was done before an unlock, release, set, notify, done or arrival is seen by
 *              whoever gets in or is let go by it.
 *   Freeing    an object may be freed, or its stack frame left, once nobody will begin or is inside
 *              a call on it. The call that made yours return (the unlock, the set, the last done)
 *              is through with the object by then, even if it has not returned yet.
 *   Errors     all but the bool ones: -EINVAL for NULL and senseless numbers. All that wait:
 *              -ETIMEDOUT, -ECANCELED, -ESHUTDOWN; then nothing has been taken.
 *   All are [anywhere]; those with a deadline [suspend]. asyncio's primitives, thread-safe.
 */
#ifndef PIRN_SYNC_H
#define PIRN_SYNC_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

/* ---- Mutex ------------------------------------------------------------------------------ */

/* Owned by the task, on whatever thread it runs, or by the plain thread. Not recursive. (Where
 * nothing suspends between lock and unlock a pthread_mutex_t does as well.) */
typedef struct pirn_mutex {
    uint64_t opaque[2];
} pirn_mutex;
#define PIRN_MUTEX_INIT \
    { \
        { \
            0 \
        } \
    }

PIRN_API int pirn_mutex_init(pirn_mutex *mutex);
/* Also -EDEADLK: the caller has it. A task that ends with it leaves it locked
 * (debug mode names it). */
PIRN_API PIRN_MUST_USE int pirn_mutex_lock(pirn_mutex *mutex, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_mutex_try_lock(pirn_mutex *mutex); /* -EAGAIN, to its owner too */
/* -EPERM: the caller does not have it. */
PIRN_API int pirn_mutex_unlock(pirn_mutex *mutex);
PIRN_API bool pirn_mutex_is_locked(const pirn_mutex *mutex); /* a hint */

/* ---- Reader-writer lock ----------------------------------------------------------------- */

/* Many readers or one writer, in one queue: a reader waits behind a writer that waits. So a reader
 * that locks again for reading can wait for ever; and one that locks for writing will. */
typedef struct pirn_rwlock {
    uint64_t opaque[2];
} pirn_rwlock;
#define PIRN_RWLOCK_INIT \
    { \
        { \
            0 \
        } \
    }

PIRN_API int pirn_rwlock_init(pirn_rwlock *rwlock);
/* Both also -EDEADLK: the caller has it for writing. */
PIRN_API PIRN_MUST_USE int pirn_rwlock_read_lock(pirn_rwlock *rwlock, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_rwlock_write_lock(pirn_rwlock *rwlock, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_rwlock_try_read_lock(pirn_rwlock *rwlock);  /* -EAGAIN */
PIRN_API PIRN_MUST_USE int pirn_rwlock_try_write_lock(pirn_rwlock *rwlock); /* -EAGAIN */
PIRN_API int pirn_rwlock_read_unlock(pirn_rwlock *rwlock);  /* -EPERM: nobody reads */
PIRN_API int pirn_rwlock_write_unlock(pirn_rwlock *rwlock); /* -EPERM: not the caller's */

/* ---- Condition -------------------------------------------------------------------------- */

/* For waiting, under a mutex, until something has changed. Several may share a mutex. */
typedef struct pirn_condition {
    uint64_t opaque[2];
    pirn_mutex *mutex; /* not to be changed */
} pirn_condition;
#define PIRN_CONDITION_INIT(mutex) \
    { \
        {0}, (mutex) \
    }

PIRN_API int pirn_condition_init(pirn_condition *condition, pirn_mutex *mutex);

/* Unlocks the mutex, waits to be notified, and has the mutex again when it returns, for whatever
 * reason: it waits for that without regard to the deadline or a cancel. -EPERM: the caller does not
 * have the mutex. It may return 0 without cause; look again at what was waited for. */
PIRN_API PIRN_MUST_USE int pirn_condition_wait(pirn_condition *condition, pirn_time deadline);

/* Waits until pred(arg) is > 0, which is returned as 0, or a negative errno, which is returned.
 * pred runs with the mutex held, before the first wait and after each; also once more when time is
 * up. */
PIRN_API PIRN_MUST_USE int pirn_condition_wait_for(pirn_condition *condition,
                                                   int (*pred)(void *arg), void *arg,
                                                   pirn_time deadline);

/* Lets at most n waiters go, those that have waited longest; they get the mutex in that order once
 * the caller and who waits for it already have unlocked it. Nothing is remembered if there are
 * fewer. 0; -EPERM: the caller does not have the mutex. */
PIRN_API int pirn_condition_notify(pirn_condition *condition, int n);
PIRN_API int pirn_condition_notify_all(pirn_condition *condition);

/* ---- Event ------------------------------------------------------------------------------ */

/* A flag to wait for. */
typedef struct pirn_event {
    uint64_t opaque[2];
} pirn_event;
#define PIRN_EVENT_INIT \
    { \
        { \
            0 \
        } \
    }

PIRN_API int pirn_event_init(pirn_event *event);
/* Lets everybody go who waits now, even if a clear follows at once, and who comes before that. 0 */
PIRN_API int pirn_event_set(pirn_event *event);
PIRN_API int pirn_event_clear(pirn_event *event);
PIRN_API bool pirn_event_is_set(const pirn_event *event);
PIRN_API PIRN_MUST_USE int pirn_event_wait(pirn_event *event, pirn_time deadline);

/* ---- Semaphore -------------------------------------------------------------------------- */

/* A number of permits, owned by nobody: anyone may release. */
typedef struct pirn_semaphore {
    uint64_t opaque[3];
} pirn_semaphore;
/* permits: 0 or more. */
#define PIRN_SEMAPHORE_INIT(permits) \
    { \
        { \
            (uint64_t)(permits) << 3 \
        } \
    }

PIRN_API int pirn_semaphore_init(pirn_semaphore *semaphore, int permits); /* -EINVAL: negative */
/* With more than `most` at a time a release fails (asyncio's bounded one: most = permits). */
PIRN_API int pirn_semaphore_init_bounded(pirn_semaphore *semaphore, int permits, int most);
PIRN_API PIRN_MUST_USE int pirn_semaphore_acquire(pirn_semaphore *semaphore, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_semaphore_try_acquire(pirn_semaphore *semaphore); /* -EAGAIN */
/* n permits back, n >= 1; n waiters go. -EINVAL: beyond the bound, -EOVERFLOW: beyond INT_MAX, and
 * nothing was released. */
PIRN_API int pirn_semaphore_release(pirn_semaphore *semaphore, int n);
PIRN_API int pirn_semaphore_value(const pirn_semaphore *semaphore); /* free permits now */

/* ---- Barrier ---------------------------------------------------------------------------- */

/* Where a number of parties wait for each other, round after round. */
typedef struct pirn_barrier {
    uint64_t opaque[3];
} pirn_barrier;

PIRN_API int pirn_barrier_init(pirn_barrier *barrier, int parties); /* -EINVAL: parties < 1 */
/* The place in the round, 0 to parties - 1, each given once (the last to arrive: parties - 1). Who
 * times out or is cancelled has not arrived. -EPIPE: aborted, or reset meanwhile. */
PIRN_API PIRN_MUST_USE int pirn_barrier_wait(pirn_barrier *barrier, pirn_time deadline);
/* Breaks it: who waits, and who comes before a reset, gets -EPIPE. 0 */
PIRN_API int pirn_barrier_abort(pirn_barrier *barrier);
/* Makes it usable again, and empty: who waits gets -EPIPE. 0 */
PIRN_API int pirn_barrier_reset(pirn_barrier *barrier);
PIRN_API int pirn_barrier_parties(const pirn_barrier *barrier);
PIRN_API int pirn_barrier_n_waiting(const pirn_barrier *barrier); /* now */
PIRN_API bool pirn_barrier_is_broken(const pirn_barrier *barrier);

/* ---- Once ------------------------------------------------------------------------------- */

/* Something to be done once, by whoever comes first. */
typedef struct pirn_once {
    uint64_t opaque[3];
} pirn_once;
#define PIRN_ONCE_INIT \
    { \
        { \
            0 \
        } \
    }

PIRN_API int pirn_once_init(pirn_once *once);
/* Runs fn(arg), which may suspend, on the caller, unless that is being done: then waits for it,
 * until the deadline. When it has succeeded, everybody gets its value (>= 0), now and later. A
 * failure (< 0) is its caller's alone, and the next waiter, or the next to come, tries with its own
 * fn. -EDEADLK: fn called it. */
PIRN_API PIRN_MUST_USE int pirn_once_do(pirn_once *once, pirn_fn fn, void *arg, pirn_time deadline);
PIRN_API bool pirn_once_is_done(const pirn_once *once);

/* ---- Wait group ------------------------------------------------------------------------- */

/* A count of things to be done, and waiting until it is zero (Go's). */
typedef struct pirn_wait_group {
    uint64_t opaque[2];
} pirn_wait_group;
#define PIRN_WAIT_GROUP_INIT \
    { \
        { \
            0 \
        } \
    }

PIRN_API int pirn_wait_group_init(pirn_wait_group *group);
/* n may be negative. -EINVAL: the count would be below 0, -EOVERFLOW: above INT_MAX; unchanged
 * then. */
PIRN_API int pirn_wait_group_add(pirn_wait_group *group, int n);
PIRN_API int pirn_wait_group_done(pirn_wait_group *group); /* add(-1) */
PIRN_API int pirn_wait_group_count(const pirn_wait_group *group);
/* Everybody who waits when the count becomes 0 goes, even if an add follows at once. */
PIRN_API PIRN_MUST_USE int pirn_wait_group_wait(pirn_wait_group *group, pirn_time deadline);

/* ---- Guards ----------------------------------------------------------------------------- */

/*
 * A variable that holds a lock until its scope is left, by return, break, goto, its end or a C++
 * exception. Whether it does hold it must be asked:
 *
 *     PIRN_GUARD_MUTEX(guard, &m, PIRN_NEVER);
 *     if (guard.error != 0)
 *         return guard.error;
 *
 * (A block macro, `WITH(&m) { ... }`, would have to be a hidden loop: break would mean something
 * else in it, and a lock that failed would go unheard.)
 */
typedef struct pirn_guard {
    void *object;
    int error; /* 0: held */
} pirn_guard;

#define PIRN_GUARD_(name, kind, object, deadline) \
    __attribute__((cleanup(pirn_guard_drop_##kind))) pirn_guard name = \
        pirn_guard_take_##kind(object, deadline)
#define PIRN_GUARD_MUTEX(name, object, deadline) PIRN_GUARD_(name, mutex, object, deadline)
#define PIRN_GUARD_READ(name, object, deadline) PIRN_GUARD_(name, read, object, deadline)
#define PIRN_GUARD_WRITE(name, object, deadline) PIRN_GUARD_(name, write, object, deadline)
#define PIRN_GUARD_SEMAPHORE(name, object, deadline) PIRN_GUARD_(name, semaphore, object, deadline)

static inline pirn_guard pirn_guard_take_mutex(pirn_mutex *object, pirn_time deadline)
{
    pirn_guard guard = {object, pirn_mutex_lock(object, deadline)};
    return guard;
}
static inline void pirn_guard_drop_mutex(pirn_guard *guard)
{
    if (guard->error == 0)
        pirn_mutex_unlock((pirn_mutex *)guard->object);
}

static inline pirn_guard pirn_guard_take_read(pirn_rwlock *object, pirn_time deadline)
{
    pirn_guard guard = {object, pirn_rwlock_read_lock(object, deadline)};
    return guard;
}
static inline void pirn_guard_drop_read(pirn_guard *guard)
{
    if (guard->error == 0)
        pirn_rwlock_read_unlock((pirn_rwlock *)guard->object);
}

static inline pirn_guard pirn_guard_take_write(pirn_rwlock *object, pirn_time deadline)
{
    pirn_guard guard = {object, pirn_rwlock_write_lock(object, deadline)};
    return guard;
}
static inline void pirn_guard_drop_write(pirn_guard *guard)
{
    if (guard->error == 0)
        pirn_rwlock_write_unlock((pirn_rwlock *)guard->object);
}

static inline pirn_guard pirn_guard_take_semaphore(pirn_semaphore *object, pirn_time deadline)
{
    pirn_guard guard = {object, pirn_semaphore_acquire(object, deadline)};
    return guard;
}
static inline void pirn_guard_drop_semaphore(pirn_guard *guard)
{
    if (guard->error == 0)
        pirn_semaphore_release((pirn_semaphore *)guard->object, 1);
}

#endif
