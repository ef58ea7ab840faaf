/*
 * A watch: somebody who wants to hear of the end of several awaitables, one by one.
 *
 * Each item has a hook in its awaitable's list. When the awaitable ends, the hook notes the item in
 * the watch's order of completion, wakes whoever waits on the watch, and calls on_each. A hook
 * holds a reference to the watch until it has fired or been taken back; the last one calls `gone`.
 *
 * Field          who may touch it
 * n, items[i].a  constant
 * done           under the lock; what is in items[0..done).completed stays
 * waiters        under the lock
 *
 * An item itself is looked at only while somebody waits on the watch (who keeps the items there,
 * and cannot leave without the lock), or if the watch has references of its own.
 */
#ifndef PIRN_API_COMBINE_WATCH_H
#define PIRN_API_COMBINE_WATCH_H

#include <pirn.h>
#include <stddef.h>

#include "runtime/awaitable.h"
#include "runtime/wait.h"

struct watched {
    struct hook hook;
    struct watch *watch;
    pirn_awaitable *a;
    size_t completed; /* the number of the item that ended as this many-th, under the lock */
    bool ended;       /* for the one who waits */
};

struct watch {
    struct lock lock;
    _Atomic uint32_t refs;
    size_t n, done;
    struct waiter *waiters;
    /* Under the lock, with a waiter there: may it be woken? One of them is, or all after the last
     * item. */
    bool (*wakes)(struct watch *w);
    /* Item i has ended, as the done-th. Without a lock; may be NULL. */
    void (*on_each)(struct watch *w, size_t i, size_t done, struct wakeups *wakeups);
    void (*gone)(struct watch *w);
    struct watched *items;
};

/* items: room for n, filled in by this. The caller has a reference. */
void pirn_watch_init(struct watch *w, struct watched *items, pirn_awaitable *const *awaitables,
                     size_t n);
/* From now on it hears of them, of those that have ended already at once. */
void pirn_watch_start(struct watch *w);
/* Takes back what has not fired. The awaitables are still there. */
void pirn_watch_stop(struct watch *w);
void pirn_watch_unref(struct watch *w);

/* Waits until is_enough, called under the lock, says true. What pirn_wait_park returns. */
int pirn_watch_wait(struct watch *w, const char *what,
                    bool (*is_enough)(struct watch *w, void *arg), void *arg, int64_t deadline);

/* No item is NULL, or the caller's own task: 0, -EINVAL, -EDEADLK. */
int pirn_watch_check(pirn_awaitable *const *awaitables, size_t n, const char *call);

static inline size_t watch_completed(const struct watch *w, size_t k)
{
    return w->items[k].completed;
}

static inline int status_of(const pirn_awaitable *a) /* of one that has ended */
{
    return atomic_load_explicit(&a->status, memory_order_relaxed);
}

#endif
