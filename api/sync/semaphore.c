/*
 * Semaphores. The state is the number of free permits. It is 0 while somebody waits: a release
 * hands its permits to waiters first, in their order, by claiming them; who has been claimed has
 * the permit, also if a cancel comes next. What no waiter takes is added to the count.
 */
#include "api/sync/sync.h"

#include <limits.h>

#include "runtime/debug.h"

struct semaphore {
    struct sync s;
    int64_t bound; /* constant: the most permits there may be, and 1; 0: any number */
} SYNC_OBJECT;

_Static_assert(sizeof(struct semaphore) <= sizeof(pirn_semaphore), "pirn_semaphore is too small");

static struct semaphore *semaphore_of(pirn_semaphore *semaphore)
{
    return (struct semaphore *)(void *)semaphore;
}

static void init(struct semaphore *sem, int permits, int64_t bound)
{
    atomic_init(&sem->s.word, (uint64_t)permits << SYNC_SHIFT);
    sem->s.waiters = NULL;
    sem->bound = bound;
}

int pirn_semaphore_init(pirn_semaphore *semaphore, int permits)
{
    if (semaphore == NULL || permits < 0)
        return pirn_misuse(__func__, -EINVAL, semaphore == NULL ? MISUSE_NULL : "permits < 0");
    init(semaphore_of(semaphore), permits, 0);
    return 0;
}

int pirn_semaphore_init_bounded(pirn_semaphore *semaphore, int permits, int most)
{
    if (semaphore == NULL || permits < 0 || most < permits)
        return pirn_misuse(__func__, -EINVAL,
                           semaphore == NULL ? MISUSE_NULL : "permits < 0, or most < permits");
    init(semaphore_of(semaphore), permits, (int64_t)most + 1);
    return 0;
}

static bool take_permit(struct semaphore *sem)
{
    uint64_t word = sync_load(&sem->s);
    while ((word & SYNC_FLAGS) == 0 && word >= SYNC_ONE)
        if (sync_swap(&sem->s, &word, word - SYNC_ONE))
            return true;
    return false;
}

int pirn_semaphore_acquire(pirn_semaphore *semaphore, pirn_time deadline)
{
    struct semaphore *sem = semaphore_of(semaphore);
    struct wait w;
    if (sem == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = pirn_wait_enter(&w);
    if (rc != 0 || take_permit(sem))
        return rc;
    uint64_t free = sync_take(&sem->s);
    if (free == 0)
        return pirn_sync_wait(&sem->s, 0, &w, "semaphore", deadline.ns);
    sync_drop(&sem->s, free - SYNC_ONE);
    return 0;
}

int pirn_semaphore_try_acquire(pirn_semaphore *semaphore)
{
    struct semaphore *sem = semaphore_of(semaphore);
    if (sem == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (take_permit(sem))
        return 0;
    uint64_t free = sync_take(&sem->s); /* somebody may have been busy with the word */
    sync_drop(&sem->s, free != 0 ? free - SYNC_ONE : 0);
    return free != 0 ? 0 : -EAGAIN;
}

#define TOO_MANY "more permits are given back than there can be"

/* May n permits be given back when `free` are free? */
static int check(const struct semaphore *sem, uint64_t free, int n)
{
    int64_t permits = (int64_t)(free >> SYNC_SHIFT) + n;
    if (sem->bound != 0 && permits >= sem->bound)
        return -EINVAL;
    return permits > INT_MAX ? -EOVERFLOW : 0;
}

static int release_slowly(struct semaphore *sem, int n)
{
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    uint64_t free = sync_take(&sem->s);
    int rc = check(sem, free, n);
    if (rc == 0) {
        while (n > 0 && pirn_sync_claim_first(&sem->s, &wakeups) != 0)
            n--;
        free += (uint64_t)n << SYNC_SHIFT;
    }
    sync_drop(&sem->s, free);
    pirn_wakeups_run(&wakeups);
    return rc == 0 ? 0 : pirn_misuse("pirn_semaphore_release", rc, TOO_MANY);
}

int pirn_semaphore_release(pirn_semaphore *semaphore, int n)
{
    struct semaphore *sem = semaphore_of(semaphore);
    if (sem == NULL || n < 1)
        return pirn_misuse(__func__, -EINVAL, sem == NULL ? MISUSE_NULL : "n < 1");
    uint64_t word = sync_load(&sem->s);
    while ((word & SYNC_FLAGS) == 0) {
        int rc = check(sem, word, n);
        if (rc != 0)
            return pirn_misuse(__func__, rc, TOO_MANY);
        if (sync_swap(&sem->s, &word, word + ((uint64_t)n << SYNC_SHIFT)))
            return 0;
    }
    return release_slowly(sem, n);
}

int pirn_semaphore_value(const pirn_semaphore *semaphore)
{
    const struct semaphore *sem = (const void *)semaphore;
    return sem == NULL ? -EINVAL : (int)(sync_load(&sem->s) >> SYNC_SHIFT);
}
