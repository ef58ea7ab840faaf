/*
 * A pairing heap of deadlines' nodes, by their names (after Fredman, Sedgewick, Sleator and
 * Tarjan). An insert is one comparison; so is a removal of a node without children; the removal of
 * the root melds its children in pairs, O(log n) in the long run. No memory, no recursion. Of
 * equal ones those pushed first come out first, by and large: see cancel_late in collect.c.
 */
#include "io/deadlines.h"

/* Two heaps, neither empty, of which nothing but child says anything: the later root goes below,
 * of equal ones b. */
static uint32_t meld(const struct deadlines *d, uint32_t a, uint32_t b)
{
    struct deadline_node *above = deadline_node(d, a), *below = deadline_node(d, b);
    if (below->deadline < above->deadline) {
        struct deadline_node *node = above;
        uint32_t name = a;
        above = below;
        a = b;
        below = node;
        b = name;
    }
    below->next = above->child;
    below->prev = a;
    if (above->child != 0)
        deadline_node(d, above->child)->prev = b;
    above->child = b;
    return a;
}

/* The children of one node, the last one pushed first, become one heap; 0: there are none. */
static uint32_t meld_children(const struct deadlines *d, uint32_t first)
{
    uint32_t pairs = 0, all = 0;
    while (first != 0) { /* in pairs, onto a list */
        uint32_t a = first, b = deadline_node(d, a)->next;
        first = 0;
        if (b != 0) {
            first = deadline_node(d, b)->next;
            a = meld(d, b, a);
        }
        deadline_node(d, a)->next = pairs;
        pairs = a;
    }
    while (pairs != 0) { /* and these, from the last to the first */
        uint32_t next = deadline_node(d, pairs)->next;
        all = all != 0 ? meld(d, all, pairs) : pairs;
        pairs = next;
    }
    return all;
}

static void set_root(struct deadlines *d, uint32_t name)
{
    d->root = name;
    if (name != 0) {
        struct deadline_node *n = deadline_node(d, name);
        n->next = n->prev = 0;
    }
}

void pirn_deadline_heap_insert(struct deadlines *d, uint32_t name)
{
    struct deadline_node *n = deadline_node(d, name);
    n->child = 0;
    n->bucket = 0;
    set_root(d, d->root != 0 ? meld(d, d->root, name) : name);
    d->near++;
}

void pirn_deadline_heap_remove(struct deadlines *d, uint32_t name)
{
    struct deadline_node *n = deadline_node(d, name);
    d->near--;
    if (name == d->root) {
        set_root(d, meld_children(d, n->child));
        return;
    }
    struct deadline_node *prev = deadline_node(d, n->prev);
    if (prev->child == name)
        prev->child = n->next;
    else
        prev->next = n->next;
    if (n->next != 0)
        deadline_node(d, n->next)->prev = n->prev;
    if (n->child != 0)
        set_root(d, meld(d, d->root, meld_children(d, n->child)));
}

uint32_t pirn_deadline_heap_take_all(struct deadlines *d)
{
    uint32_t todo = d->root, taken = 0;
    while (todo != 0) {
        struct deadline_node *n = deadline_node(d, todo);
        uint32_t name = todo, last = n->child;
        todo = n->next;
        if (last != 0) { /* its children come next */
            while (deadline_node(d, last)->next != 0)
                last = deadline_node(d, last)->next;
            deadline_node(d, last)->next = todo;
            todo = n->child;
        }
        n->next = taken;
        taken = name;
    }
    d->root = 0;
    d->near = 0;
    return taken;
}
