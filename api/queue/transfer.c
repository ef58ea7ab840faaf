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
 */
#include <errno.h>
#include <stdlib.h>

#include "api/queue/queue.h"

enum {
    SPARES_MAX = 64
};

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
    if (q->store.count >= q->limit)
        return -EAGAIN;
    if (*node == NULL && q->spare != NULL) {
        *node = q->spare;
        q->spare = q->spare->next;
        q->spares--;
    }
    if (*node == NULL)
        return -ENOBUFS;
    (*node)->key = key;
    copy_item((*node)->data, item, q->elem_size);
    pirn_store_put(&q->store, *node);
    *node = NULL;
    q->unfinished++;
    return 0;
}

/* w: the wait that has been entered, to put oneself into line with `me` when the queue is full; or
 * NULL. */
static int put(pirn_queue *q, const void *item, struct putter *me, struct wait *w)
{
    struct handover h;
    struct item *node = NULL;
    int rc;
    handover_init(&h);
    for (;;) {
        wait_lock(&q->lock);
        rc = offer(q, item, me->key, &node, &h);
        if (rc == -EAGAIN && w != NULL)
            party_link(&me->party, w, &q->putting);
        lock_drop(&q->lock);
        if (rc != -ENOBUFS)
            break;
        node = malloc(sizeof(*node) + q->elem_size);
        if (node == NULL)
            return -ENOMEM;
    }
    handover_finish(&h);
    free(node); /* a getter or others have come meanwhile */
    return rc;
}

static bool lacks_item(const pirn_queue *q, const void *item)
{
    return item == NULL && q->elem_size != 0;
}

int pirn_queue_put(pirn_queue *queue, const void *item, pirn_time deadline)
{
    struct wait w;
    struct putter me = {.key = 0};
    if (queue == NULL || lacks_item(queue, item))
        return -EINVAL;
    if (queue->key != NULL)
        me.key = queue->key(item);
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    party_init(&me.party, (void *)(uintptr_t)item, queue); /* only read */
    rc = put(queue, item, &me, &w);
    if (rc == -EAGAIN)
        rc = party_wait(&me.party, &w, &queue->lock, &queue->putting, "queue put", deadline);
    return rc;
}

int pirn_queue_try_put(pirn_queue *queue, const void *item)
{
    struct putter me = {.key = 0};
    if (queue == NULL || lacks_item(queue, item))
        return -EINVAL;
    if (queue->key != NULL)
        me.key = queue->key(item);
    return put(queue, item, &me, NULL);
}

/* Under the lock. *ret_node: one to be freed. */
static int take(pirn_queue *q, void *ret_item, struct wakeups *wakeups, struct item **ret_node)
{
    struct item *node = pirn_store_take(&q->store);
    if (node == NULL)
        return q->shut ? -ESHUTDOWN : -EAGAIN;
    copy_item(ret_item, node->data, q->elem_size);
    struct party *party = party_claim(&q->putting, wakeups);
    if (party != NULL) {
        node->key = ((struct putter *)party)->key;
        copy_item(node->data, party->item, q->elem_size);
        party_finish(party, 0);
        pirn_store_put(&q->store, node);
        q->unfinished++;
    } else if (q->spares < SPARES_MAX) {
        node->next = q->spare;
        q->spare = node;
        q->spares++;
    } else {
        *ret_node = node;
    }
    return 0;
}

static int get(pirn_queue *q, void *ret_item, struct party *me, struct wait *w)
{
    struct wakeups wakeups;
    struct item *node = NULL;
    wakeups_init(&wakeups);
    wait_lock(&q->lock);
    int rc = take(q, ret_item, &wakeups, &node);
    if (rc == -EAGAIN && w != NULL)
        party_link(me, w, &q->getting);
    lock_drop(&q->lock);
    pirn_wakeups_run(&wakeups);
    free(node);
    return rc;
}

int pirn_queue_get(pirn_queue *queue, void *ret_item, pirn_time deadline)
{
    struct wait w;
    struct party me;
    if (queue == NULL || lacks_item(queue, ret_item))
        return -EINVAL;
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    party_init(&me, ret_item, queue);
    rc = get(queue, ret_item, &me, &w);
    if (rc == -EAGAIN)
        rc = party_wait(&me, &w, &queue->lock, &queue->getting, "queue get", deadline);
    return rc;
}

int pirn_queue_try_get(pirn_queue *queue, void *ret_item)
{
    if (queue == NULL || lacks_item(queue, ret_item))
        return -EINVAL;
    return get(queue, ret_item, NULL, NULL);
}
