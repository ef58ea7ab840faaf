/*
 * The deadline heap; see heap.h. Invariant: slots[(i-1)/4].deadline <= slots[i].deadline, and
 * places[slots[i].name - 1] == i.
 */
#include "io/heap.h"

#include <errno.h>
#include <string.h>

static void put(struct heap *h, uint32_t i, struct heap_slot s)
{
    h->slots[i] = s;
    h->places[s.name - 1] = i;
}

static void sift_up(struct heap *h, uint32_t i, struct heap_slot s)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / 4;
        if (h->slots[parent].deadline <= s.deadline)
            break;
        put(h, i, h->slots[parent]);
        i = parent;
    }
    put(h, i, s);
}

static void sift_down(struct heap *h, uint32_t i, struct heap_slot s)
{
    for (;;) {
        uint64_t child = (uint64_t)i * 4 + 1, least = child;
        if (child >= h->size)
            break;
        for (uint64_t c = child + 1; c < child + 4 && c < h->size; c++) {
            if (h->slots[c].deadline < h->slots[least].deadline)
                least = c;
        }
        if (h->slots[least].deadline >= s.deadline)
            break;
        put(h, i, h->slots[least]);
        i = (uint32_t)least;
    }
    put(h, i, s);
}

int pirn_heap_reserve(struct heap *h, const struct mem *mem)
{
    if (h->size < h->capacity)
        return 0;
    uint32_t capacity = h->capacity != 0 ? h->capacity * 2 : 64;
    if (capacity < h->capacity)
        return -ENOMEM;
    size_t each = sizeof(*h->slots) + sizeof(struct op *) + sizeof(*h->places);
    struct heap_slot *slots = mem_alloc(mem, capacity * each);
    if (slots == NULL)
        return -ENOMEM;
    struct op **ops = (struct op **)(void *)(slots + capacity);
    uint32_t *places = (uint32_t *)(void *)(ops + capacity);
    if (h->size != 0) {
        memcpy(slots, h->slots, h->size * sizeof(*slots));
        memcpy(ops, h->ops, h->names * sizeof(struct op *));
        memcpy(places, h->places, h->names * sizeof(*places));
    }
    mem_free(mem, h->slots);
    h->slots = slots;
    h->ops = ops;
    h->places = places;
    h->capacity = capacity;
    return 0;
}

void pirn_heap_push(struct heap *h, struct op *op)
{
    uint32_t name = h->free;
    if (name != 0)
        h->free = h->places[name - 1];
    else
        name = ++h->names; /* at most as many as there are slots in use */
    h->ops[name - 1] = op;
    op->heap_name = name;
    sift_up(h, h->size++, (struct heap_slot){op->deadline, name});
}

void pirn_heap_remove(struct heap *h, struct op *op)
{
    uint32_t name = op->heap_name, i = h->places[name - 1];
    struct heap_slot last = h->slots[--h->size];
    h->places[name - 1] = h->free;
    h->free = name;
    op->heap_name = 0;
    if (i == h->size)
        return;
    if (i > 0 && h->slots[(i - 1) / 4].deadline > last.deadline)
        sift_up(h, i, last);
    else
        sift_down(h, i, last);
}

void pirn_heap_destroy(struct heap *h, const struct mem *mem)
{
    mem_free(mem, h->slots);
    *h = (struct heap){0};
}
