/*
 * The inject queue; see inject.h.
 */
#include "sched/inject.h"

#include <stddef.h>

void pirn_inject_init(struct inject *q)
{
    lock_init(&q->lock);
    q->head = q->tail = NULL;
    atomic_init(&q->size, 0);
}

static void append(struct inject *q, struct node *first, struct node *last, unsigned n)
{
    last->next = NULL;
    lock_take(&q->lock);
    if (q->tail != NULL)
        q->tail->next = first;
    else
        q->head = first;
    q->tail = last;
    uint64_t size = atomic_load_explicit(&q->size, memory_order_relaxed);
    atomic_store_explicit(&q->size, size + n, memory_order_relaxed);
    lock_drop(&q->lock);
}

void pirn_inject_push(struct inject *q, struct node *n)
{
    append(q, n, n, 1);
}

void pirn_inject_push_list(struct inject *q, struct node *first, unsigned n)
{
    struct node *last = first;
    if (first == NULL)
        return;
    while (last->next != NULL)
        last = last->next;
    append(q, first, last, n);
}

static bool enter(struct inject *q, bool wait)
{
    if (!wait)
        return lock_try_free(&q->lock);
    lock_take(&q->lock);
    return true;
}

struct node *pirn_inject_pop(struct inject *q, unsigned max, bool wait, unsigned *ret_n)
{
    unsigned n = 0;
    struct node *first = NULL, **end = &first;
    if (pirn_inject_size(q) != 0 && enter(q, wait)) {
        while (n < max && q->head != NULL) {
            struct node *node = q->head;
            q->head = node->next;
            *end = node;
            end = &node->next;
            n++;
        }
        if (q->head == NULL)
            q->tail = NULL;
        uint64_t size = atomic_load_explicit(&q->size, memory_order_relaxed);
        atomic_store_explicit(&q->size, size - n, memory_order_relaxed);
        lock_drop(&q->lock);
    }
    *end = NULL;
    *ret_n = n;
    return first;
}
