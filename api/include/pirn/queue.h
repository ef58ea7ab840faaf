/*
 * Queues: first in first out, last in first out, by priority.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 *
 * A queue holds elements of one size, copied in and out under a short lock: make them pointers or
 * small structs. Puts and gets are served in the order they began to wait, nobody overtakes. An
 * item put while somebody waits in a get is that getter's at once. All calls are [anywhere], in any
 * number of coroutines and threads at a time; each user holds a reference, or somebody does who
 * outlives it.
 * Counting with task_done and join as in Python's asyncio, shutdown as in its 3.13.
 */
#ifndef PIRN_QUEUE_H
#define PIRN_QUEUE_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

typedef struct pirn_queue pirn_queue; /* counted by reference */

typedef enum pirn_queue_order {
    PIRN_QUEUE_FIFO,
    PIRN_QUEUE_LIFO,
    PIRN_QUEUE_PRIORITY /* the smallest key first; equal keys in the order they were put */
} pirn_queue_order;

typedef struct pirn_queue_config {
    size_t size;      /* sizeof(pirn_queue_config), set by PIRN_QUEUE_CONFIG_INIT */
    size_t elem_size; /* bytes of an element; 0: nothing to copy, only to count: every item and
                         ret_item is NULL then, else -EINVAL */
    int64_t maxsize;  /* puts wait while there are so many; <= 0: no limit */
    pirn_queue_order order;
    /* Priority queues: an item's key; called by each put, before it waits. It must not suspend. */
    int64_t (*key)(const void *item);
    /* Called for each item that nobody will get (an immediate shutdown, the last release); may be
     * NULL. It must not suspend, nor use the queue. */
    void (*drop)(void *item);
} pirn_queue_config;

#define PIRN_QUEUE_CONFIG_INIT \
    { \
        sizeof(pirn_queue_config), 0, 0, PIRN_QUEUE_FIFO, NULL, NULL \
    }

/* -EINVAL (config; a key without a priority queue or the other way round), -ENOMEM. The caller owns
 * the reference. */
PIRN_API PIRN_MUST_USE int pirn_queue_new(pirn_queue **ret_queue, const pirn_queue_config *config);
PIRN_API pirn_queue *pirn_queue_retain(pirn_queue *queue);
PIRN_API void pirn_queue_release(pirn_queue *queue); /* the last one drops what is left in it */

/* Copies *item into the queue, waiting while it is full. [suspends] -ETIMEDOUT, -ECANCELED,
 * -ESHUTDOWN (also while it waits), -ENOMEM, -EINVAL: nothing was put, and the item is the
 * caller's. */
PIRN_API PIRN_MUST_USE int pirn_queue_put(pirn_queue *queue, const void *item, pirn_time deadline);

/* Copies the next item to *ret_item and removes it, waiting while there is none. [suspends]
 * -ETIMEDOUT, -ECANCELED, -EINVAL; -ESHUTDOWN: shut down and empty. Nothing was removed then. */
PIRN_API PIRN_MUST_USE int pirn_queue_get(pirn_queue *queue, void *ret_item, pirn_time deadline);

/* The same without waiting: -EAGAIN when full, or empty. They look for no cancel. */
PIRN_API PIRN_MUST_USE int pirn_queue_try_put(pirn_queue *queue, const void *item);
PIRN_API PIRN_MUST_USE int pirn_queue_try_get(pirn_queue *queue, void *ret_item);

/* What was so a moment ago. Who acts on it must be ready to find it changed: two getters that both
 * saw an item may find one. Use the try forms, or a shutdown to end getters. */
PIRN_API size_t pirn_queue_size(pirn_queue *queue);
PIRN_API int pirn_queue_empty(pirn_queue *queue); /* 1 or 0 */
PIRN_API int pirn_queue_full(pirn_queue *queue);  /* 1 or 0; never 1 without a limit */

/* One item got from the queue has been dealt with. -EINVAL: more often than items were put. */
PIRN_API int pirn_queue_task_done(pirn_queue *queue);

/* Waits until every item ever put has been reported by pirn_queue_task_done (at once, if none was
 * put). Everybody waiting when that is so returns, even if a put follows at once. [suspends]
 * -ETIMEDOUT, -ECANCELED. */
PIRN_API PIRN_MUST_USE int pirn_queue_join(pirn_queue *queue, pirn_time deadline);

typedef enum pirn_queue_end {
    PIRN_QUEUE_DRAIN,  /* gets go on until it is empty; a join still needs every task_done */
    PIRN_QUEUE_DISCARD /* the items are dropped and counted as done */
} pirn_queue_end;

/* From now on puts give -ESHUTDOWN, and so do gets once the queue is empty; those that wait now
 * are woken with it. Any number of times, also a DISCARD after a DRAIN. Does not suspend. */
PIRN_API int pirn_queue_shutdown(pirn_queue *queue, pirn_queue_end how);

#endif
