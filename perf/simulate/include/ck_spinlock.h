/* See ck_pr.h: the fetch-and-store lock, as Concurrency Kit has it. */
#ifndef PIRN_SIMULATE_CK_SPINLOCK_H
#define PIRN_SIMULATE_CK_SPINLOCK_H

#include <stdbool.h>

typedef struct {
    unsigned value;
} ck_spinlock_fas_t;

#define CK_SPINLOCK_FAS_INITIALIZER \
    { \
        0 \
    }

static inline void ck_spinlock_fas_init(ck_spinlock_fas_t *lock)
{
    lock->value = 0;
}

static inline bool ck_spinlock_fas_trylock(ck_spinlock_fas_t *lock)
{
    return __atomic_exchange_n(&lock->value, 1, __ATOMIC_ACQUIRE) == 0;
}

static inline bool ck_spinlock_fas_locked(ck_spinlock_fas_t *lock)
{
    return __atomic_load_n(&lock->value, __ATOMIC_RELAXED) != 0;
}

static inline void ck_spinlock_fas_unlock(ck_spinlock_fas_t *lock)
{
    __atomic_store_n(&lock->value, 0, __ATOMIC_RELEASE);
}

#endif
