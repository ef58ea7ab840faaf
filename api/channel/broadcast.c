/*
 * Broadcast: a ring of the last items, and for each subscription how far it has come.
 *
 * Items are numbered from 0; number i lies in slot i % capacity until number i + capacity
 * overwrites it. All is under the broadcast's lock. A subscription waits only when it has seen
 * everything, so an item that is sent is the next one of every waiting subscription: the sender
 * copies it to each waiter's place and moves its subscription on. Of several waiters of one
 * subscription the first gets it, the others wait on. A waiter whose claim is lost (it was
 * cancelled) has not moved its subscription: the item is still to be had from the ring.
 */
#include <errno.h>
#include <limits.h>
#include <pirn.h>
#include <stdlib.h>

#include "api/channel/party.h"
#include "runtime/debug.h"

struct pirn_broadcast {
    _Atomic uint32_t refs;
    struct lock lock;
    uint64_t sent; /* the next item's number */
    unsigned subscriptions;
    bool closed;
    struct waiter *receiving; /* parties; through: their subscription */
    size_t elem_size, capacity;
    _Alignas(max_align_t) char items[];
};

struct pirn_subscription {
    struct through through; /* first: what a party waits through is a subscription */
    struct pirn_broadcast *broadcast;
    uint64_t next; /* the number of its next item */
};

int pirn_broadcast_new(pirn_broadcast **ret_broadcast, size_t elem_size, size_t capacity)
{
    size_t bytes;
    if (ret_broadcast == NULL || capacity == 0)
        return pirn_misuse(__func__, -EINVAL,
                           ret_broadcast == NULL ? MISUSE_NULL : "a capacity of 0 keeps no item");
    if (__builtin_mul_overflow(elem_size, capacity, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(struct pirn_broadcast), &bytes))
        return -ENOMEM;
    pirn_broadcast *b = malloc(bytes);
    if (b == NULL)
        return -ENOMEM;
    *b = (pirn_broadcast){.elem_size = elem_size, .capacity = capacity};
    atomic_init(&b->refs, 1);
    lock_init(&b->lock);
    *ret_broadcast = b;
    return 0;
}

pirn_broadcast *pirn_broadcast_retain(pirn_broadcast *broadcast)
{
    if (broadcast != NULL)
        atomic_fetch_add_explicit(&broadcast->refs, 1, memory_order_relaxed);
    return broadcast;
}

void pirn_broadcast_release(pirn_broadcast *broadcast)
{
    /* acq_rel: everybody's last use comes before the free */
    if (broadcast != NULL &&
        atomic_fetch_sub_explicit(&broadcast->refs, 1, memory_order_acq_rel) == 1)
        free(broadcast);
}

int pirn_broadcast_subscribe(pirn_broadcast *broadcast, pirn_subscription **ret_subscription)
{
    if (broadcast == NULL || ret_subscription == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    pirn_subscription *s = malloc(sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->through = (struct through){0, false};
    s->broadcast = pirn_broadcast_retain(broadcast);
    lock_take(&broadcast->lock);
    s->next = broadcast->sent;
    broadcast->subscriptions++;
    lock_drop(&broadcast->lock);
    *ret_subscription = s;
    return 0;
}

void pirn_broadcast_unsubscribe(pirn_subscription *subscription)
{
    if (subscription == NULL)
        return;
    pirn_broadcast *b = subscription->broadcast;
    lock_take(&b->lock);
    b->subscriptions--;
    lock_drop(&b->lock);
    pirn_broadcast_release(b);
    free(subscription);
}

static char *slot(pirn_broadcast *b, uint64_t number)
{
    return b->items + (size_t)(number % b->capacity) * b->elem_size;
}

/* Under the lock: item `number` to who waits for it. */
static void deliver(pirn_broadcast *b, uint64_t number, const void *item, struct wakeups *wakeups)
{
    struct waiter *next = b->receiving, *last = next != NULL ? next->prev : NULL;
    for (bool more = next != NULL; more;) {
        struct party *p = party_of(next);
        pirn_subscription *s = (pirn_subscription *)(void *)p->through;
        more = next != last;
        next = next->next;
        if (s->next != number)
            continue; /* another has it for this subscription */
        party_unlink(p, &b->receiving);
        if (!party_try_claim(p, wakeups))
            continue;
        s->next++;
        copy_item(p->item, item, b->elem_size);
        party_finish(p, 1);
    }
}

int pirn_broadcast_send(pirn_broadcast *broadcast, const void *item)
{
    struct wakeups wakeups = WAKEUPS_INIT;
    const char *why = broadcast == NULL ? MISUSE_NULL : misuse_of_item(item, broadcast->elem_size);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    lock_take(&broadcast->lock);
    int rc = -EPIPE;
    if (!broadcast->closed) {
        rc = broadcast->subscriptions < INT_MAX ? (int)broadcast->subscriptions : INT_MAX;
        copy_item(slot(broadcast, broadcast->sent), item, broadcast->elem_size);
        deliver(broadcast, broadcast->sent++, item, &wakeups);
    }
    lock_drop(&broadcast->lock);
    pirn_wakeups_run(&wakeups);
    return rc;
}

int pirn_broadcast_close(pirn_broadcast *broadcast)
{
    struct wakeups wakeups = WAKEUPS_INIT;
    if (broadcast == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    lock_take(&broadcast->lock);
    bool late = broadcast->closed;
    broadcast->closed = true;
    party_dismiss(&broadcast->receiving, NULL, 0, &wakeups); /* they have seen everything */
    lock_drop(&broadcast->lock);
    pirn_wakeups_run(&wakeups);
    return late ? -EALREADY : 0;
}

/* Under the lock: 1, 0 at the end, or -EAGAIN. */
static int take(pirn_subscription *s, void *ret_item, uint64_t *ret_missed)
{
    pirn_broadcast *b = s->broadcast;
    if (s->next == b->sent)
        return b->closed ? 0 : -EAGAIN;
    uint64_t oldest = b->sent > b->capacity ? b->sent - b->capacity : 0;
    uint64_t missed = s->next < oldest ? oldest - s->next : 0;
    s->next += missed;
    copy_item(ret_item, slot(b, s->next++), b->elem_size);
    if (ret_missed != NULL)
        *ret_missed = missed;
    return 1;
}

/* What is wrong with a call; NULL: nothing. */
static const char *fault(const pirn_subscription *s, const void *ret_item)
{
    return s == NULL ? MISUSE_NULL : misuse_of_item(ret_item, s->broadcast->elem_size);
}

int pirn_broadcast_try_recv(pirn_subscription *subscription, void *ret_item, uint64_t *ret_missed)
{
    const char *why = fault(subscription, ret_item);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    pirn_broadcast *b = subscription->broadcast;
    lock_take(&b->lock);
    int rc = take(subscription, ret_item, ret_missed);
    lock_drop(&b->lock);
    return rc;
}

int pirn_broadcast_recv(pirn_subscription *subscription, void *ret_item, uint64_t *ret_missed,
                        pirn_time deadline)
{
    struct wait w;
    struct party me;
    const char *why = fault(subscription, ret_item);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    pirn_broadcast *b = subscription->broadcast;
    lock_take(&b->lock);
    rc = take(subscription, ret_item, ret_missed);
    if (rc == -EAGAIN) {
        party_init(&me, ret_item, &subscription->through);
        party_link(&me, &w, &b->receiving);
    }
    lock_drop(&b->lock);
    if (rc != -EAGAIN)
        return rc;
    rc = party_wait(&me, &w, &b->lock, &b->receiving, "broadcast", deadline);
    if (rc == 1 && ret_missed != NULL)
        *ret_missed = 0; /* who waits has missed nothing */
    return rc;
}
