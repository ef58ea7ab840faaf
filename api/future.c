/*
 * Futures: a value set once, by anyone, for any number of waiters.
 *
 * status and value are written once under the lock, before set (release); readers that see set
 * (acquire) need no lock. The setter holds a reference of its caller's, so the lock is safe to drop
 * after the waiters have been claimed.
 */
#include <errno.h>
#include <pirn.h>
#include <stdlib.h>

#include "runtime/wait.h"

struct pirn_future {
    _Atomic uint32_t refs;
    _Atomic uint32_t set;
    struct lock lock; /* guards waiters, and setting */
    int status;
    void *value;
    struct waiter *waiters;
};

int pirn_future_new(pirn_future **ret_future)
{
    if (ret_future == NULL)
        return -EINVAL;
    pirn_future *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return -ENOMEM;
    atomic_init(&f->refs, 1);
    lock_init(&f->lock);
    *ret_future = f;
    return 0;
}

pirn_future *pirn_future_retain(pirn_future *future)
{
    if (future != NULL)
        atomic_fetch_add_explicit(&future->refs, 1, memory_order_relaxed);
    return future;
}

void pirn_future_release(pirn_future *future)
{
    /* acq_rel: everybody's last use comes before the free */
    if (future != NULL && atomic_fetch_sub_explicit(&future->refs, 1, memory_order_acq_rel) == 1)
        free(future);
}

static bool is_set(const pirn_future *f)
{
    /* acquire: pairs with the release in pirn_future_set */
    return atomic_load_explicit(&f->set, memory_order_acquire) != 0;
}

int pirn_future_set(pirn_future *future, int status, void *value)
{
    struct wakeups wakeups = WAKEUPS_INIT;
    struct waiter *waiter;
    if (future == NULL || status == -EINPROGRESS)
        return -EINVAL;
    lock_take(&future->lock);
    bool late = is_set(future);
    if (!late) {
        future->status = status;
        future->value = value;
        /* release: pairs with the acquire in is_set */
        atomic_store_explicit(&future->set, 1, memory_order_release);
        while ((waiter = pirn_waiter_pop(&future->waiters)) != NULL)
            pirn_waiter_claim(waiter, &wakeups);
    }
    lock_drop(&future->lock);
    pirn_wakeups_run(&wakeups);
    return late ? -EALREADY : 0;
}

int pirn_future_status(const pirn_future *future)
{
    if (future == NULL)
        return -EINVAL;
    return is_set(future) ? future->status : -EINPROGRESS;
}

static int answer(const pirn_future *f, int *ret_status, void **ret_value)
{
    if (ret_status != NULL)
        *ret_status = f->status;
    if (ret_value != NULL)
        *ret_value = f->value;
    return 0;
}

int pirn_future_await(pirn_future *future, int *ret_status, void **ret_value, pirn_time deadline)
{
    struct wait w;
    if (future == NULL)
        return -EINVAL;
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    if (is_set(future))
        return answer(future, ret_status, ret_value);
    lock_take(&future->lock);
    bool set = is_set(future);
    if (!set)
        pirn_wait_link(&w, &future->waiters);
    lock_drop(&future->lock);
    if (set)
        return answer(future, ret_status, ret_value);
    rc = pirn_wait_park(&w, "future", deadline.ns);
    if (rc == 0)
        return answer(future, ret_status, ret_value);
    lock_take(&future->lock);
    pirn_waiter_unlink(&future->waiters, w.waiter);
    lock_drop(&future->lock);
    return rc;
}
