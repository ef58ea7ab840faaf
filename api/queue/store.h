/*
 * The items in a queue, in its order. Knows no lock: its owner has one.
 *
 * An item lies in a node of its own, so that nothing is ever moved, and taking or putting one costs
 * O(1), or O(log n) by priority, with nothing allocated: all of it may be done under a spin lock,
 * however long the queue.
 */
#ifndef PIRN_API_QUEUE_STORE_H
#define PIRN_API_QUEUE_STORE_H

#include <pirn.h>
#include <stdbool.h>

struct item {
    struct item *next;  /* in a list; in the heap: the left child */
    struct item *right; /* in the heap */
    int64_t key;
    uint64_t turn; /* among equal keys */
    unsigned rank; /* in the heap: steps to the nearest free place below */
    _Alignas(max_align_t) char data[];
};

struct store {
    pirn_queue_order order;
    struct item *first, *last; /* the heap's root is first */
    size_t count;
    uint64_t turns;
};

void pirn_store_put(struct store *s, struct item *item);
struct item *pirn_store_take(struct store *s); /* NULL when empty */

#endif
