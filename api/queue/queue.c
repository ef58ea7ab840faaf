/*
 * Queues as a whole: made and freed, counted and joined, shut down. transfer.c puts and gets.
 *
 * A join waits until no item is unfinished and no shutdown is still dropping items: so a joiner
 * finds them dropped. Drops are called without the lock, on items that nobody else can reach any
 * more.
 */
#include "api/queue/queue.h"

#include <errno.h>
#include <stdlib.h>

#include "runtime/debug.h"

int pirn_queue_new(pirn_queue **ret_queue, const pirn_queue_config *config)
{
    if (ret_queue == NULL || config == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (config->size != sizeof(*config) || (unsigned)config->order > PIRN_QUEUE_PRIORITY ||
        (config->order == PIRN_QUEUE_PRIORITY) != (config->key != NULL) ||
        config->elem_size > SIZE_MAX - sizeof(struct item))
        return pirn_misuse(__func__, -EINVAL,
                           misuse_of_config(config->size, sizeof(*config),
                                            "the config has no such order or size, or a key "
                                            "without PIRN_QUEUE_PRIORITY, or that without a key"));
    pirn_queue *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return -ENOMEM;
    atomic_init(&q->refs, 1);
    lock_init(&q->lock);
    q->store.order = config->order;
    q->elem_size = config->elem_size;
    q->limit = config->maxsize > 0 ? (size_t)config->maxsize : SIZE_MAX;
    q->key = config->key;
    q->drop = config->drop;
    *ret_queue = q;
    return 0;
}

pirn_queue *pirn_queue_retain(pirn_queue *queue)
{
    if (queue != NULL)
        atomic_fetch_add_explicit(&queue->refs, 1, memory_order_relaxed);
    return queue;
}

static void drop_all(const pirn_queue *q, struct store *store)
{
    struct item *item;
    while ((item = pirn_store_take(store)) != NULL) {
        if (q->drop != NULL)
            q->drop(item->data);
        free(item);
    }
}

void pirn_queue_release(pirn_queue *queue)
{
    struct item *spare;
    /* acq_rel: everybody's last use comes before the free */
    if (queue == NULL || atomic_fetch_sub_explicit(&queue->refs, 1, memory_order_acq_rel) != 1)
        return;
    drop_all(queue, &queue->store);
    while ((spare = queue->spare) != NULL) {
        queue->spare = spare->next;
        free(spare);
    }
    free(queue);
}

size_t pirn_queue_size(pirn_queue *queue)
{
    if (queue == NULL)
        return 0;
    lock_take(&queue->lock);
    size_t count = queue->store.count;
    lock_drop(&queue->lock);
    return count;
}

int pirn_queue_empty(pirn_queue *queue)
{
    return queue == NULL ? -EINVAL : pirn_queue_size(queue) == 0;
}

int pirn_queue_full(pirn_queue *queue)
{
    return queue == NULL ? -EINVAL : pirn_queue_size(queue) >= queue->limit;
}

/* ---- Counting ---- */

/* Under the lock. */
static void tell_joiners(pirn_queue *q, struct wakeups *wakeups)
{
    if (q->unfinished != 0 || q->dropping != 0)
        return;
    while (q->joining != NULL)
        pirn_waiter_claim(pirn_waiter_pop(&q->joining), wakeups);
}

int pirn_queue_task_done(pirn_queue *queue)
{
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    if (queue == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    lock_take(&queue->lock);
    bool known = queue->unfinished != 0;
    if (known) {
        queue->unfinished--;
        tell_joiners(queue, &wakeups);
    }
    lock_drop(&queue->lock);
    pirn_wakeups_run(&wakeups);
    return known ? 0 : pirn_misuse(__func__, -EINVAL, "more items are done than were put");
}

int pirn_queue_join(pirn_queue *queue, pirn_time deadline)
{
    struct wait w;
    if (queue == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    lock_take(&queue->lock);
    bool over = queue->unfinished == 0 && queue->dropping == 0;
    if (!over)
        pirn_wait_link(&w, &queue->joining);
    lock_drop(&queue->lock);
    if (over)
        return 0;
    rc = pirn_wait_park(&w, "queue join", deadline.ns);
    if (rc != 0) {
        lock_take(&queue->lock);
        pirn_waiter_unlink(&queue->joining, w.waiter);
        lock_drop(&queue->lock);
    }
    return rc;
}

/* ---- The end ---- */

/* The items are out of everybody's reach and counted as done before they are dropped. */
static void discard(pirn_queue *q)
{
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    lock_take(&q->lock);
    struct store left = q->store;
    q->store.first = q->store.last = NULL;
    q->store.count = 0;
    /* task_done may have been called for items still in the queue */
    q->unfinished -= left.count < q->unfinished ? left.count : q->unfinished;
    q->dropping++;
    lock_drop(&q->lock);
    drop_all(q, &left);
    lock_take(&q->lock);
    q->dropping--;
    tell_joiners(q, &wakeups);
    lock_drop(&q->lock);
    pirn_wakeups_run(&wakeups);
}

int pirn_queue_shutdown(pirn_queue *queue, pirn_queue_end how)
{
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    if (queue == NULL || (how != PIRN_QUEUE_DRAIN && how != PIRN_QUEUE_DISCARD))
        return pirn_misuse(__func__, -EINVAL, queue == NULL ? MISUSE_NULL : "there is no such end");
    lock_take(&queue->lock);
    queue->shut = true;
    party_dismiss(&queue->putting, NULL, -ESHUTDOWN, &wakeups);
    party_dismiss(&queue->getting, NULL, -ESHUTDOWN, &wakeups); /* they wait: it is empty */
    lock_drop(&queue->lock);
    pirn_wakeups_run(&wakeups);
    if (how == PIRN_QUEUE_DISCARD)
        discard(queue);
    return 0;
}
