/*
 * The deadline heap; see heap.h. Invariant: slots[(i-1)/4].deadline <= slots[i].deadline, and
 * slots[i].op->heap_index == i + 1.
 */
#include "io/heap.h"

#include <errno.h>
#include <string.h>

static void put(struct heap *h, uint32_t i, struct heap_slot s)
{
    h->slots[i] = s;
    s.op->heap_index = i + 1;
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
    struct heap_slot *slots = mem_alloc(mem, capacity * sizeof(*slots));
    if (slots == NULL)
        return -ENOMEM;
    if (h->size != 0)
        memcpy(slots, h->slots, h->size * sizeof(*slots));
    mem_free(mem, h->slots);
    h->slots = slots;
    h->capacity = capacity;
    return 0;
}

void pirn_heap_push(struct heap *h, struct op *op)
{
    struct heap_slot s = {op->deadline, op};
    sift_up(h, h->size++, s);
}

void pirn_heap_remove(struct heap *h, struct op *op)
{
    uint32_t i = op->heap_index - 1;
    struct heap_slot last = h->slots[--h->size];
    op->heap_index = 0;
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
    h->slots = NULL;
    h->size = h->capacity = 0;
}
