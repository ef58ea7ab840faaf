/*
 * Watches; see watch.h.
 */
#include "api/combine/watch.h"

#include <errno.h>

#include "runtime/debug.h"
#include "runtime/task.h"

void pirn_watch_unref(struct watch *w)
{
    /* acq_rel: everybody's last use comes before the end */
    if (atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) == 1)
        w->gone(w);
}

static void fired(struct hook *h, struct wakeups *wakeups)
{
    struct watched *item = (struct watched *)(void *)h;
    struct watch *w = item->watch;
    struct waiter *waiter;
    size_t i = (size_t)(item - w->items);
    lock_take(&w->lock);
    size_t done = w->done + 1;
    w->items[w->done].completed = i;
    w->done = done;
    if (w->waiters != NULL && w->wakes(w))
        while ((waiter = pirn_waiter_pop(&w->waiters)) != NULL)
            if (pirn_waiter_claim(waiter, wakeups) && done < w->n)
                break; /* it looks for itself; at the end all do */
    lock_drop(&w->lock);
    if (w->on_each != NULL)
        w->on_each(w, i, done, wakeups);
    pirn_watch_unref(w);
}

void pirn_watch_init(struct watch *w, struct watched *items, pirn_awaitable *const *awaitables,
                     size_t n)
{
    lock_init(&w->lock);
    atomic_init(&w->refs, 1);
    w->n = n;
    w->done = 0;
    w->waiters = NULL;
    w->wakes = NULL;
    w->on_each = NULL;
    w->gone = NULL;
    w->items = items;
    for (size_t i = 0; i < n; i++) {
        pirn_hook_init(&items[i].hook, fired);
        items[i].watch = w;
        items[i].a = awaitables[i];
    }
}

void pirn_watch_start(struct watch *w)
{
    struct wakeups wakeups = WAKEUPS_INIT;
    atomic_fetch_add_explicit(&w->refs, (uint32_t)w->n, memory_order_relaxed);
    for (size_t i = 0; i < w->n; i++) {
        struct hook *h = &w->items[i].hook;
        pirn_awaitable *a = w->items[i].a;
        lock_take(&a->lock);
        bool linked = pirn_awaitable_link(a, &h->waiter);
        if (!linked)
            pirn_waiter_claim(&h->waiter, &wakeups);
        lock_drop(&a->lock);
    }
    pirn_wakeups_run(&wakeups);
}

void pirn_watch_stop(struct watch *w)
{
    for (size_t i = 0; i < w->n; i++) {
        pirn_awaitable *a = w->items[i].a;
        lock_take(&a->lock);
        bool taken = pirn_hook_cancel(&w->items[i].hook, &a->joiners);
        lock_drop(&a->lock);
        if (taken)
            pirn_watch_unref(w);
    }
}

int pirn_watch_wait(struct watch *w, const char *what,
                    bool (*is_enough)(struct watch *w, void *arg), void *arg, int64_t deadline)
{
    struct wait wait;
    int rc = pirn_wait_enter(&wait);
    while (rc == 0) {
        lock_take(&w->lock);
        bool enough = is_enough(w, arg);
        if (!enough)
            pirn_wait_link(&wait, &w->waiters);
        lock_drop(&w->lock);
        if (enough)
            return 0;
        rc = pirn_wait_park(&wait, what, deadline);
        if (rc != 0) {
            lock_take(&w->lock);
            pirn_waiter_unlink(&w->waiters, wait.waiter);
            lock_drop(&w->lock);
        }
        pirn_wait_renew(&wait);
    }
    return rc;
}

int pirn_watch_check(pirn_awaitable *const *awaitables, size_t n, const char *call)
{
    if (awaitables == NULL && n != 0)
        return pirn_misuse(call, -EINVAL, MISUSE_NULL);
    for (size_t i = 0; i < n; i++) {
        if (awaitables[i] == NULL)
            return pirn_misuse(call, -EINVAL, "one of the items is NULL");
        if (awaitables[i] == pirn_current())
            return pirn_misuse(call, -EDEADLK, "a task is among those whose end it waits for");
        if (awaitable_is_dead(awaitables[i]))
            return pirn_misuse_dead(call, awaitables[i]);
    }
    return 0;
}
