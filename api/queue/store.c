/*
 * First in first out and last in first out are a linked list. Priorities are a leftist heap: a
 * binary tree in which no child comes before its parent and the way down to the right is the
 * shortest to a free place, at most log2(n + 1) long; two heaps are merged along these ways, and
 * putting and taking are merges. The worst case is O(log n) for every single call.
 *
 * Rejected: a heap in an array (has to grow, in one long copy), a pairing heap (a take after n puts
 * takes n steps). Both would be done under the queue's lock.
 */
#include "api/queue/store.h"

static bool comes_before(const struct item *a, const struct item *b)
{
    return a->key != b->key ? a->key < b->key : a->turn < b->turn;
}

static unsigned rank_of(const struct item *heap)
{
    return heap != NULL ? heap->rank : 0;
}

/* As deep as the two ways to the right are long. */
static struct item *merge(struct item *a, struct item *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (comes_before(b, a)) {
        struct item *swap = a;
        a = b;
        b = swap;
    }
    a->right = merge(a->right, b);
    if (rank_of(a->next) < rank_of(a->right)) {
        struct item *swap = a->next;
        a->next = a->right;
        a->right = swap;
    }
    a->rank = rank_of(a->right) + 1;
    return a;
}

void pirn_store_put(struct store *s, struct item *item)
{
    s->count++;
    item->next = item->right = NULL;
    item->rank = 1;
    item->turn = s->turns++;
    switch (s->order) {
    case PIRN_QUEUE_FIFO:
        if (s->first == NULL)
            s->first = item;
        else
            s->last->next = item;
        s->last = item;
        break;
    case PIRN_QUEUE_LIFO:
        item->next = s->first;
        s->first = item;
        break;
    case PIRN_QUEUE_PRIORITY:
        s->first = merge(s->first, item);
        break;
    }
}

struct item *pirn_store_take(struct store *s)
{
    struct item *item = s->first;
    if (item == NULL)
        return NULL;
    s->count--;
    s->first = s->order == PIRN_QUEUE_PRIORITY ? merge(item->next, item->right) : item->next;
    return item;
}
