/*
 * A channel's inside: what its handles share, and the two attempts that sends, receives and selects
 * are made of.
 *
 * Who may touch what: everything in the core under its lock, except what is constant; a handle's
 * `open` and `through` under its core's lock too. The core goes with its last handle.
 */
#ifndef PIRN_API_CHANNEL_CHANNEL_H
#define PIRN_API_CHANNEL_CHANNEL_H

#include <pirn.h>

#include "api/channel/party.h"

struct core {
    struct lock lock;
    uint32_t handles;
    uint32_t senders, receivers; /* handles with that side open; once 0 it stays 0 */
    struct waiter *sending;      /* parties; none that can be claimed while there is room */
    struct waiter *receiving;    /* parties; none that can be claimed while there are items */
    size_t first, count;         /* of the items in the ring */
    uint64_t random;             /* select's, to pick among cases */
    size_t elem_size, capacity;  /* constant, as is the following */
    void (*drop)(void *item);
    _Alignas(max_align_t) char items[];
};

/* Who waits through the first handle is not counted: many share that one, and a count in it, or in
 * the core, made words from 4 senders to 4 receivers 8 to 20% dearer. */
struct pirn_channel {
    struct through through;
    _Atomic uint32_t refs;
    uint8_t had, open; /* sides; had is constant */
    struct core *core; /* constant */
};

/* Under the lock: what the call returns, or -EAGAIN: it would have to wait. */
int pirn_channel_offer(pirn_channel *ch, const void *item, struct handover *h);
int pirn_channel_take(pirn_channel *ch, void *ret_item, struct handover *h);

#endif
