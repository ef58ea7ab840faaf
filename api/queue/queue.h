/*
 * A queue's inside. Everything is under the lock, except what is constant and the references.
 */
#ifndef PIRN_API_QUEUE_QUEUE_H
#define PIRN_API_QUEUE_QUEUE_H

#include "api/channel/party.h"
#include "api/queue/store.h"

struct pirn_queue {
    _Atomic uint32_t refs;
    struct lock lock;
    struct store store;
    struct waiter *putting; /* putters; none that can be claimed while there is room */
    struct waiter *getting; /* parties; none that can be claimed while there are items */
    struct waiter *joining; /* plain waiters */
    uint64_t unfinished;    /* items put and not reported done */
    unsigned dropping;      /* shutdowns that are dropping items: joins wait for them */
    bool shut;
    struct through through; /* that of all */
    struct item *spare;     /* a few, for puts to come */
    unsigned spares;
    /* Constant */
    size_t elem_size;
    size_t limit; /* SIZE_MAX: none */
    int64_t (*key)(const void *item);
    void (*drop)(void *item);
};

/* Somebody who waits to put. */
struct putter {
    struct party party;
    int64_t key;
};

#endif
