/*
 * Putting and getting.
 *
 * Under the queue's lock a put
 *   1. finds a getter that waits and claims it: the item goes straight to its place, after the lock
 *      has been dropped; nobody else ever sees it in the queue;
 *   2. or finds room, and copies it into the store;
 *   3. or links itself with its key, drops the lock and parks (channel/party.h).
 * A get
 *   1. takes the first item of the store. Then there is room: the putter that has waited longest is
 *      claimed and its item put into the store, in the node that has just become free;
 *   2. or finds the queue shut; or links itself, drops the lock and parks.
 *
 * The store's nodes come from a few spare ones, else from malloc, which is called without the lock:
 * then everything is looked at anew, node in hand.
 *
 * As in channel/pass.c, what is there at once is through after one lock and one copy, and no wait
 * is filled in for it (runtime/at_once.h); the rest is out of line. Who meets a coroutine that
 * waits keeps no list of wakeups (meet_getter, meet_putter), and who has to wait stands in line
 * without asking further. All other cases (plain threads, a cancel, no node at hand, waits that are
 * over) go through put and get. Instructions for a put and a get of 8 bytes, a producer and a
 * consumer on one worker: no limit 439 -> 224, a limit of 1 643 -> 455, of 64 445 -> 233; there and
 * back over two queues, for a hop 730 -> 553. Time, medians of 9 in turns: 33 -> 22, 49 -> 38, 33
 * -> 22 and 60 -> 46 ns.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/queue/queue.h"
#include "runtime/at_once.h"
#include "runtime/debug.h"

enum {
    SPARES_MAX = 64
};

static inline struct item *spare_node(pirn_queue *q) /* under the lock; NULL: none at hand */
{
    struct item *node = q->spare;
    if (node != NULL) {
        q->spare = node->next;
        q->spares--;
    }
    return node;
}

/* Under the lock: into the store. */
static inline void keep(pirn_queue *q, struct item *node, const void *item, int64_t key)
{
    node->key = key;
    copy_item(node->data, item, q->elem_size);
    pirn_store_put(&q->store, node);
    q->unfinished++;
}

static inline bool is_full(const pirn_queue *q)
{
    return q->store.count >= q->limit;
}

/* Under the lock. -EAGAIN: full. -ENOBUFS: it takes a node, and none is at hand. */
static int offer(pirn_queue *q, const void *item, int64_t key, struct item **node,
                 struct handover *h)
{
    if (q->shut)
        return -ESHUTDOWN;
    struct party *getter = party_claim(&q->getting, &h->wakeups);
    if (getter != NULL) {
        h->peer = getter;
        h->to = getter->item;
        h->from = item;
        h->size = q->elem_size;
        h->peer_result = 0;
        q->unfinished++;
        return 0;
    }
    if (is_full(q))
        return -EAGAIN;
    if (*node == NULL)
        *node = spare_node(q);
    if (*node == NULL)
        return -ENOBUFS;
    keep(q, *node, item, key);
    *node = NULL;
    return 0;
}

/* With the lock held, which it drops. w: the wait that has been entered, to put oneself into line
 * with `me` when the queue is full; or NULL. */
static int put(pirn_queue *q, const void *item, struct putter *me, struct wait *w)
{
    struct handover h;
    struct item *node = NULL;
    int rc;
    handover_init(&h);
    while ((rc = offer(q, item, me->key, &node, &h)) == -ENOBUFS) {
        lock_drop(&q->lock);
        node = malloc(sizeof(*node) + q->elem_size);
        if (node == NULL)
            return -ENOMEM;
        wait_lock(&q->lock);
    }
    if (rc == -EAGAIN && w != NULL)
        party_link(&me->party, w, &q->putting);
    lock_drop(&q->lock);
    handover_finish(&h);
    free(node); /* a getter or others have come meanwhile */
    return rc;
}

/* With the lock held, which it drops: to a coroutine that waits for an item. False, the lock still
 * held: there is none to be had in this simple way. */
static inline bool meet_getter(pirn_queue *q, const void *item, struct self *self)
{
    struct pirn_task *parked;
    struct party *getter = party_claim_coroutine(&q->getting, &parked);
    if (getter == NULL)
        return false;
    size_t size = q->elem_size;
    q->unfinished++;
    lock_drop(&q->lock);
    party_pass(getter, parked, getter->item, item, size, 0, self->worker);
    return true;
}

/* The rest of a put: what is not simply room and a node at hand. self: NULL, or the queue is locked
 * and the wait is to begin. */
static __attribute__((noinline)) int put_else(pirn_queue *q, const void *item, int64_t key,
                                              pirn_time deadline, struct self *self)
{
    struct wait w;
    struct putter me;
    int rc = 0;
    if (self == NULL) {
        rc = pirn_wait_enter(&w);
        if (rc != 0)
            return rc;
        wait_lock(&q->lock);
    } else if (!q->shut && q->getting != NULL && meet_getter(q, item, self)) {
        return 0;
    } else {
        wait_begin(&w, self);
    }
    me.key = key;
    party_init(&me.party, (void *)(uintptr_t)item, &q->through); /* only read */
    if (self != NULL && !q->shut && q->getting == NULL && is_full(q))
        return party_stand_in_line(&me.party, &w, &q->lock, &q->putting, "queue put", deadline);
    rc = put(q, item, &me, &w);
    if (rc == -EAGAIN)
        rc = party_wait(&me.party, &w, &q->lock, &q->putting, "queue put", deadline);
    return rc;
}

/* What is wrong with a call; NULL: nothing. */
static inline const char *fault(const pirn_queue *q, const void *item)
{
    return q == NULL ? MISUSE_NULL : misuse_of_item(item, q->elem_size);
}

int pirn_queue_put(pirn_queue *queue, const void *item, pirn_time deadline)
{
    const char *why = fault(queue, item);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    int64_t key = queue->key != NULL ? queue->key(item) : 0;
    struct self *self = wait_at_once();
    if (self != NULL) {
        wait_lock(&queue->lock);
        if (queue->spare != NULL && queue->getting == NULL && !queue->shut && !is_full(queue)) {
            keep(queue, spare_node(queue), item, key);
            lock_drop(&queue->lock);
            return 0;
        }
    }
    return put_else(queue, item, key, deadline, self);
}

int pirn_queue_try_put(pirn_queue *queue, const void *item)
{
    struct putter me;
    const char *why = fault(queue, item);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    me.key = queue->key != NULL ? queue->key(item) : 0;
    wait_lock(&queue->lock);
    return put(queue, item, &me, NULL);
}

/* Under the lock, of a queue that is not empty: the first item. putter: who has been claimed, and
 * whose item has room now; or NULL. Returns a node to be freed, or NULL. */
static inline struct item *take_first(pirn_queue *q, void *ret_item, struct party *putter)
{
    struct item *node = pirn_store_take(&q->store);
    copy_item(ret_item, node->data, q->elem_size);
    if (putter != NULL) {
        keep(q, node, putter->item, ((struct putter *)putter)->key);
        party_finish(putter, 0);
        return NULL;
    }
    if (q->spares >= SPARES_MAX)
        return node;
    node->next = q->spare;
    q->spare = node;
    q->spares++;
    return NULL;
}

/* With the lock held, which it drops. me, w: as in put. */
static int get(pirn_queue *q, void *ret_item, struct party *me, struct wait *w)
{
    struct wakeups wakeups;
    struct item *node = NULL;
    int rc = 0;
    wakeups_init(&wakeups);
    if (q->store.count != 0)
        node = take_first(q, ret_item, party_claim(&q->putting, &wakeups));
    else
        rc = q->shut ? -ESHUTDOWN : -EAGAIN;
    if (rc == -EAGAIN && w != NULL)
        party_link(me, w, &q->getting);
    lock_drop(&q->lock);
    pirn_wakeups_run(&wakeups);
    free(node);
    return rc;
}

/* With the lock held, of a queue that is not empty, which it drops: the first item, and that of a
 * coroutine that waits to put one comes in. False, the lock still held: there is none to be had in
 * this simple way. */
static inline bool meet_putter(pirn_queue *q, void *ret_item, struct self *self)
{
    struct pirn_task *parked;
    struct party *putter = party_claim_coroutine(&q->putting, &parked);
    if (putter == NULL)
        return false;
    take_first(q, ret_item, putter);
    lock_drop(&q->lock);
    if (parked != NULL)
        pirn_worker_ready_here(self->worker, parked);
    return true;
}

/* Likewise. */
static __attribute__((noinline)) int get_else(pirn_queue *q, void *ret_item, pirn_time deadline,
                                              struct self *self)
{
    struct wait w;
    struct party me;
    int rc = 0;
    if (self == NULL) {
        rc = pirn_wait_enter(&w);
        if (rc != 0)
            return rc;
        wait_lock(&q->lock);
    } else if (q->store.count != 0 && q->putting != NULL && meet_putter(q, ret_item, self)) {
        return 0;
    } else {
        wait_begin(&w, self);
    }
    party_init(&me, ret_item, &q->through);
    if (self != NULL && q->store.count == 0 && !q->shut)
        return party_stand_in_line(&me, &w, &q->lock, &q->getting, "queue get", deadline);
    rc = get(q, ret_item, &me, &w);
    if (rc == -EAGAIN)
        rc = party_wait(&me, &w, &q->lock, &q->getting, "queue get", deadline);
    return rc;
}

int pirn_queue_get(pirn_queue *queue, void *ret_item, pirn_time deadline)
{
    const char *why = fault(queue, ret_item);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    struct self *self = wait_at_once();
    if (self != NULL) {
        wait_lock(&queue->lock);
        if (queue->store.count != 0 && queue->putting == NULL) {
            struct item *node = take_first(queue, ret_item, NULL);
            lock_drop(&queue->lock);
            if (node != NULL)
                free(node);
            return 0;
        }
    }
    return get_else(queue, ret_item, deadline, self);
}

int pirn_queue_try_get(pirn_queue *queue, void *ret_item)
{
    const char *why = fault(queue, ret_item);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    wait_lock(&queue->lock);
    return get(queue, ret_item, NULL, NULL);
}
