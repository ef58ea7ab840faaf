/*
 * Channels and their handles: made, copied, closed, freed.
 *
 * Closing a side of a handle, under the lock: who waits through it is claimed with -EPIPE. If it
 * was the last of its side, so is everybody on the other: senders with -EPIPE, receivers with the
 * end (they wait, so there is nothing left to receive). Items that nobody can receive any more are
 * dropped by the closer once the lock is free: no callback runs under a spin lock. The items are
 * the closer's then, because count is 0 and nobody can put more: with no receivers every send
 * fails.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/channel/channel.h"
#include "runtime/debug.h"

#define NULL_OR_NO_SIDE "an argument is NULL, or the sides are none, or unknown ones"

static pirn_channel *new_handle(struct core *c, unsigned sides, bool first)
{
    pirn_channel *ch = malloc(sizeof(*ch));
    if (ch == NULL)
        return NULL;
    atomic_init(&ch->refs, 1);
    ch->through = (struct through){0, !first};
    ch->had = ch->open = (uint8_t)sides;
    ch->core = c;
    return ch;
}

int pirn_channel_new(pirn_channel **ret_channel, size_t elem_size, size_t capacity,
                     void (*drop)(void *item))
{
    size_t bytes;
    if (ret_channel == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (__builtin_mul_overflow(elem_size, capacity, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(struct core), &bytes))
        return -ENOMEM;
    struct core *c = malloc(bytes);
    pirn_channel *ch = c != NULL ? new_handle(c, PIRN_CHANNEL_BOTH, true) : NULL;
    if (ch == NULL) {
        free(c);
        return -ENOMEM;
    }
    *c = (struct core){.handles = 1,
                       .senders = 1,
                       .receivers = 1,
                       .random = (uintptr_t)c,
                       .elem_size = elem_size,
                       .capacity = capacity,
                       .drop = drop};
    lock_init(&c->lock);
    *ret_channel = ch;
    return 0;
}

int pirn_channel_clone(pirn_channel *channel, unsigned sides, pirn_channel **ret_channel)
{
    if (channel == NULL || ret_channel == NULL || sides == 0 ||
        (sides & ~(unsigned)PIRN_CHANNEL_BOTH) != 0)
        return pirn_misuse(__func__, -EINVAL, NULL_OR_NO_SIDE);
    if ((sides & ~(unsigned)channel->had) != 0)
        return pirn_misuse(__func__, -EPERM, "the handle has never had that side");
    struct core *c = channel->core;
    pirn_channel *ch = new_handle(c, sides, false);
    if (ch == NULL)
        return -ENOMEM;
    lock_take(&c->lock);
    bool open = (sides & ~(unsigned)channel->open) == 0;
    if (open) {
        c->handles++;
        c->senders += (sides & PIRN_CHANNEL_SEND) != 0;
        c->receivers += (sides & PIRN_CHANNEL_RECV) != 0;
    }
    lock_drop(&c->lock);
    if (!open) {
        free(ch);
        return -EPIPE;
    }
    *ret_channel = ch;
    return 0;
}

pirn_channel *pirn_channel_retain(pirn_channel *channel)
{
    if (channel != NULL)
        atomic_fetch_add_explicit(&channel->refs, 1, memory_order_relaxed);
    return channel;
}

/* Items first .. first + count of the ring. */
static void drop_items(struct core *c, size_t first, size_t count)
{
    for (; count > 0 && c->drop != NULL; count--) {
        c->drop(c->items + first * c->elem_size);
        first = first + 1 == c->capacity ? 0 : first + 1;
    }
}

int pirn_channel_close(pirn_channel *channel, unsigned sides)
{
    struct wakeups wakeups;
    size_t first = 0, dropped = 0;
    wakeups_init(&wakeups);
    if (channel == NULL || sides == 0 || (sides & ~(unsigned)PIRN_CHANNEL_BOTH) != 0)
        return pirn_misuse(__func__, -EINVAL, NULL_OR_NO_SIDE);
    struct core *c = channel->core;
    lock_take(&c->lock);
    unsigned closed = sides & channel->open;
    channel->open &= (uint8_t)~closed;
    if ((closed & PIRN_CHANNEL_SEND) != 0)
        party_dismiss(&c->sending, &channel->through, -EPIPE, &wakeups);
    if ((closed & PIRN_CHANNEL_RECV) != 0)
        party_dismiss(&c->receiving, &channel->through, -EPIPE, &wakeups);
    if ((closed & PIRN_CHANNEL_SEND) != 0 && --c->senders == 0)
        party_dismiss(&c->receiving, NULL, 0, &wakeups);
    if ((closed & PIRN_CHANNEL_RECV) != 0 && --c->receivers == 0) {
        party_dismiss(&c->sending, NULL, -EPIPE, &wakeups);
        first = c->first;
        dropped = c->count;
        c->count = 0;
    }
    lock_drop(&c->lock);
    pirn_wakeups_run(&wakeups);
    drop_items(c, first, dropped);
    return closed != 0 ? 0 : -EALREADY;
}

void pirn_channel_release(pirn_channel *channel)
{
    /* acq_rel: everybody's last use comes before the free */
    if (channel == NULL || atomic_fetch_sub_explicit(&channel->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct core *c = channel->core;
    pirn_channel_close(channel, PIRN_CHANNEL_BOTH);
    lock_take(&c->lock);
    bool last = --c->handles == 0;
    lock_drop(&c->lock);
    if (last)
        free(c);
    free(channel);
}

size_t pirn_channel_size(pirn_channel *channel)
{
    if (channel == NULL)
        return 0;
    lock_take(&channel->core->lock);
    size_t count = channel->core->count;
    lock_drop(&channel->core->lock);
    return count;
}
