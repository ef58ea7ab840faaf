/*
 * Sending and receiving.
 *
 * Under the channel's lock a sender
 *   1. finds a receiver that waits and claims it: the item goes straight to its place, after the
 *      lock has been dropped; the ring is empty then, or nobody would wait;
 *   2. or finds room, and copies the item into the ring;
 *   3. or links itself, drops the lock and parks (party.h).
 * A receiver
 *   1. takes the oldest of the ring. Then there is room: the first sender that waits is claimed and
 *      its item moved in, so that senders get their turn in order and none can slip in between;
 *   2. or, with capacity 0, claims a sender and copies straight from its place;
 *   3. or is told the end; or links itself, drops the lock and parks.
 *
 * What finds room, or an item and nobody who waits to send, is through after one lock and one copy
 * (runtime/at_once.h); the rest is out of line.
 * A send or receive that meets a waiting peer costs one lock, one claim and one copy; the peer goes
 * into the worker's slot and runs next. If both are coroutines and the peer is the first in line,
 * there is no list of wakeups to keep (meet), and who finds nobody and no room stands in line
 * without asking further: 14% off a round trip of row pingpong, a quarter off row mpmc at capacity
 * 0.
 */
#include <errno.h>

#include "api/channel/channel.h"
#include "runtime/at_once.h"
#include "runtime/debug.h"

static char *slot(struct core *c, size_t i)
{
    size_t at = c->first + i;
    return c->items + (at >= c->capacity ? at - c->capacity : at) * c->elem_size;
}

static void take_first(struct core *c, void *ret_item)
{
    copy_item(ret_item, slot(c, 0), c->elem_size);
    c->first = c->first + 1 == c->capacity ? 0 : c->first + 1;
    c->count--;
}

static int refuse(const pirn_channel *ch, unsigned side)
{
    return (ch->had & side) != 0 ? -EPIPE : -EPERM;
}

int pirn_channel_offer(pirn_channel *ch, const void *item, struct handover *h)
{
    struct core *c = ch->core;
    if ((ch->open & PIRN_CHANNEL_SEND) == 0)
        return refuse(ch, PIRN_CHANNEL_SEND);
    if (c->receivers == 0)
        return -EPIPE;
    struct party *peer = party_claim(&c->receiving, &h->wakeups);
    if (peer != NULL) {
        h->peer = peer;
        h->to = peer->item;
        h->from = item;
        h->size = c->elem_size;
        h->peer_result = 1;
        return 0;
    }
    if (c->count == c->capacity)
        return -EAGAIN;
    copy_item(slot(c, c->count++), item, c->elem_size);
    return 0;
}

int pirn_channel_take(pirn_channel *ch, void *ret_item, struct handover *h)
{
    struct core *c = ch->core;
    if ((ch->open & PIRN_CHANNEL_RECV) == 0)
        return refuse(ch, PIRN_CHANNEL_RECV);
    struct party *peer;
    if (c->count > 0) {
        take_first(c, ret_item);
        peer = party_claim(&c->sending, &h->wakeups);
        if (peer != NULL) {
            copy_item(slot(c, c->count++), peer->item, c->elem_size);
            party_finish(peer, 0);
        }
        return 1;
    }
    peer = party_claim(&c->sending, &h->wakeups);
    if (peer != NULL) {
        h->peer = peer;
        h->to = ret_item;
        h->from = peer->item;
        h->size = c->elem_size;
        h->peer_result = 0;
        return 1;
    }
    return c->senders == 0 ? 0 : -EAGAIN;
}

/* What is wrong with a call; NULL: nothing. */
static inline const char *fault(const pirn_channel *ch, const void *item)
{
    return ch == NULL ? MISUSE_NULL : misuse_of_item(item, ch->core->elem_size);
}

/* With the lock held, which it drops: the item goes from this coroutine to one that waits for it
 * (give), or the other way round. -EAGAIN, the lock still held: nobody is to be had in this simple
 * way. */
static inline int meet(struct core *c, struct waiter **list, void *item, bool give,
                       struct self *self)
{
    struct pirn_task *parked;
    struct party *peer = party_claim_coroutine(list, &parked);
    if (peer == NULL)
        return -EAGAIN;
    size_t size = c->elem_size;
    lock_drop(&c->lock);
    party_pass(peer, parked, give ? peer->item : item, give ? item : peer->item, size, give ? 1 : 0,
               self->worker);
    return give ? 0 : 1;
}

/* With the lock held, which it drops: waits in line, by the wait w that has been entered. (As a
 * call of its own it is 30 instructions of a hop.) */
static inline __attribute__((always_inline)) int stand_in_line(pirn_channel *channel,
                                                               struct waiter **list, void *item,
                                                               struct wait *w, const char *what,
                                                               pirn_time deadline)
{
    struct party me;
    party_init(&me, item, &channel->through);
    return party_stand_in_line(&me, w, &channel->core->lock, list, what, deadline);
}

/* The rest of a send: what is not simply room in the ring. self: NULL, or the channel is locked and
 * the wait is to begin. */
static __attribute__((noinline)) int send_else(pirn_channel *channel, const void *item,
                                               pirn_time deadline, struct self *self)
{
    struct core *c = channel->core;
    void *from = (void *)(uintptr_t)item; /* only read */
    struct wait w;
    struct handover h;
    int rc;
    if (self == NULL) {
        rc = pirn_wait_enter(&w);
        if (rc != 0)
            return rc;
        wait_lock(&c->lock);
    } else if ((channel->open & PIRN_CHANNEL_SEND) != 0 && c->receivers != 0) {
        if (c->receiving != NULL && (rc = meet(c, &c->receiving, from, true, self)) != -EAGAIN)
            return rc;
        if (c->receiving == NULL && c->count == c->capacity) {
            wait_begin(&w, self);
            return stand_in_line(channel, &c->sending, from, &w, "channel send", deadline);
        }
    }
    handover_init(&h);
    rc = pirn_channel_offer(channel, item, &h);
    if (rc == -EAGAIN) {
        if (self != NULL)
            wait_begin(&w, self);
        return stand_in_line(channel, &c->sending, from, &w, "channel send", deadline);
    }
    lock_drop(&c->lock);
    handover_finish(&h);
    return rc;
}

int pirn_channel_send(pirn_channel *channel, const void *item, pirn_time deadline)
{
    const char *why = fault(channel, item);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    struct self *self = wait_at_once();
    if (self != NULL) {
        struct core *c = channel->core;
        wait_lock(&c->lock);
        if (c->count < c->capacity && c->receiving == NULL && c->receivers != 0 &&
            (channel->open & PIRN_CHANNEL_SEND) != 0) {
            copy_item(slot(c, c->count++), item, c->elem_size);
            lock_drop(&c->lock);
            return 0;
        }
    }
    return send_else(channel, item, deadline, self);
}

/* Likewise. */
static __attribute__((noinline)) int recv_else(pirn_channel *channel, void *ret_item,
                                               pirn_time deadline, struct self *self)
{
    struct core *c = channel->core;
    struct wait w;
    struct handover h;
    int rc;
    if (self == NULL) {
        rc = pirn_wait_enter(&w);
        if (rc != 0)
            return rc;
        wait_lock(&c->lock);
    } else if ((channel->open & PIRN_CHANNEL_RECV) != 0 && c->count == 0) {
        if (c->sending != NULL && (rc = meet(c, &c->sending, ret_item, false, self)) != -EAGAIN)
            return rc;
        if (c->sending == NULL && c->senders != 0) {
            wait_begin(&w, self);
            return stand_in_line(channel, &c->receiving, ret_item, &w, "channel recv", deadline);
        }
    }
    handover_init(&h);
    rc = pirn_channel_take(channel, ret_item, &h);
    if (rc == -EAGAIN) {
        if (self != NULL)
            wait_begin(&w, self);
        return stand_in_line(channel, &c->receiving, ret_item, &w, "channel recv", deadline);
    }
    lock_drop(&c->lock);
    handover_finish(&h);
    return rc;
}

int pirn_channel_recv(pirn_channel *channel, void *ret_item, pirn_time deadline)
{
    const char *why = fault(channel, ret_item);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    struct self *self = wait_at_once();
    if (self != NULL) {
        struct core *c = channel->core;
        wait_lock(&c->lock);
        if (c->count > 0 && c->sending == NULL && (channel->open & PIRN_CHANNEL_RECV) != 0) {
            take_first(c, ret_item);
            lock_drop(&c->lock);
            return 1;
        }
    }
    return recv_else(channel, ret_item, deadline, self);
}

int pirn_channel_try_send(pirn_channel *channel, const void *item)
{
    struct handover h;
    const char *why = fault(channel, item);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    struct core *c = channel->core;
    handover_init(&h);
    wait_lock(&c->lock);
    int rc = pirn_channel_offer(channel, item, &h);
    lock_drop(&c->lock);
    handover_finish(&h);
    return rc;
}

int pirn_channel_try_recv(pirn_channel *channel, void *ret_item)
{
    struct handover h;
    const char *why = fault(channel, ret_item);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    struct core *c = channel->core;
    handover_init(&h);
    wait_lock(&c->lock);
    int rc = pirn_channel_take(channel, ret_item, &h);
    lock_drop(&c->lock);
    handover_finish(&h);
    return rc;
}
