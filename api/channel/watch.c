/*
 * Watch: a value with a version. Who waits for another version is woken by the setter and then
 * reads the value itself, under the lock, so it gets the latest, which may be newer than the one it
 * was woken for.
 */
#include <errno.h>
#include <pirn.h>
#include <stdlib.h>

#include "api/channel/party.h"
#include "runtime/debug.h"

struct pirn_watch {
    _Atomic uint32_t refs;
    struct lock lock;
    bool closed; /* these three under the lock */
    uint64_t version;
    struct waiter *waiters;
    size_t elem_size;
    _Alignas(max_align_t) char value[]; /* under the lock */
};

int pirn_watch_new(pirn_watch **ret_watch, size_t elem_size, const void *value)
{
    size_t bytes;
    const char *why = ret_watch == NULL ? MISUSE_NULL : misuse_of_item(value, elem_size);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    if (__builtin_add_overflow(elem_size, sizeof(struct pirn_watch), &bytes))
        return -ENOMEM;
    pirn_watch *w = malloc(bytes);
    if (w == NULL)
        return -ENOMEM;
    *w = (pirn_watch){.version = 1, .elem_size = elem_size};
    atomic_init(&w->refs, 1);
    lock_init(&w->lock);
    copy_item(w->value, value, elem_size);
    *ret_watch = w;
    return 0;
}

pirn_watch *pirn_watch_retain(pirn_watch *watch)
{
    if (watch != NULL)
        atomic_fetch_add_explicit(&watch->refs, 1, memory_order_relaxed);
    return watch;
}

void pirn_watch_release(pirn_watch *watch)
{
    /* acq_rel: everybody's last use comes before the free */
    if (watch != NULL && atomic_fetch_sub_explicit(&watch->refs, 1, memory_order_acq_rel) == 1)
        free(watch);
}

/* Under the lock. */
static void wake_all(pirn_watch *watch, struct wakeups *wakeups)
{
    while (watch->waiters != NULL)
        pirn_waiter_claim(pirn_waiter_pop(&watch->waiters), wakeups);
}

int pirn_watch_set(pirn_watch *watch, const void *value)
{
    struct wakeups wakeups = WAKEUPS_INIT;
    const char *why = watch == NULL ? MISUSE_NULL : misuse_of_item(value, watch->elem_size);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    lock_take(&watch->lock);
    bool closed = watch->closed;
    if (!closed) {
        copy_item(watch->value, value, watch->elem_size);
        watch->version++;
        wake_all(watch, &wakeups);
    }
    lock_drop(&watch->lock);
    pirn_wakeups_run(&wakeups);
    return closed ? -EPIPE : 0;
}

int pirn_watch_close(pirn_watch *watch)
{
    struct wakeups wakeups = WAKEUPS_INIT;
    if (watch == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    lock_take(&watch->lock);
    bool late = watch->closed;
    watch->closed = true;
    wake_all(watch, &wakeups);
    lock_drop(&watch->lock);
    pirn_wakeups_run(&wakeups);
    return late ? -EALREADY : 0;
}

/* Under the lock. */
static void read_value(const pirn_watch *watch, void *ret_value, uint64_t *ret_version)
{
    if (ret_value != NULL)
        copy_item(ret_value, watch->value, watch->elem_size);
    if (ret_version != NULL)
        *ret_version = watch->version;
}

/* What is wrong with a call; NULL: nothing. */
static const char *fault(const pirn_watch *watch, const void *ret_value)
{
    if (watch == NULL)
        return MISUSE_NULL;
    return ret_value != NULL ? misuse_of_item(ret_value, watch->elem_size) : NULL;
}

int pirn_watch_get(pirn_watch *watch, void *ret_value, uint64_t *ret_version)
{
    const char *why = fault(watch, ret_value);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    lock_take(&watch->lock);
    read_value(watch, ret_value, ret_version);
    lock_drop(&watch->lock);
    return 0;
}

/* Under the lock: 1, 0 at the end, or -EAGAIN. */
static int look(const pirn_watch *watch, uint64_t seen, void *ret_value, uint64_t *ret_version)
{
    if (watch->version == seen)
        return watch->closed ? 0 : -EAGAIN;
    read_value(watch, ret_value, ret_version);
    return 1;
}

int pirn_watch_changed(pirn_watch *watch, uint64_t seen, void *ret_value, uint64_t *ret_version,
                       pirn_time deadline)
{
    struct wait w;
    const char *why_not = fault(watch, ret_value);
    if (why_not != NULL)
        return pirn_misuse(__func__, -EINVAL, why_not);
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    lock_take(&watch->lock);
    rc = look(watch, seen, ret_value, ret_version);
    if (rc == -EAGAIN)
        pirn_wait_link(&w, &watch->waiters);
    lock_drop(&watch->lock);
    if (rc != -EAGAIN)
        return rc;
    int why = pirn_wait_park(&w, "watch", deadline.ns);
    lock_take(&watch->lock);
    if (why == 0)
        rc = look(watch, seen, ret_value, ret_version); /* versions only grow: 1 or 0 */
    else
        pirn_waiter_unlink(&watch->waiters, w.waiter);
    lock_drop(&watch->lock);
    return why == 0 ? rc : why;
}
