/*
 * Waiting for a lock: see futex_lock.h.
 */
#include "io/futex_lock.h"

#include "io/sys.h"

void pirn_futex_lock_wait(struct futex_lock *l)
{
    /* acquire: pairs with the release in futex_lock_drop */
    while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire) != 0)
        sys_futex_wait(&l->word, 2, NULL);
}

void pirn_futex_lock_wake(struct futex_lock *l)
{
    sys_futex_wake(&l->word, 1);
}
