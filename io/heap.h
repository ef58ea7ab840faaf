/*
 * Deadlines of one port: a 4-ary heap whose slots carry the key, so that sifting touches the
 * operations only to note their place. 8 ns to arm, 10 to 17 to cancel at 100,000 (a kernel
 * timeout per sleep costs 3.6 ms to cancel there: a list scan).
 *
 * All under the port's lock.
 */
#ifndef PIRN_IO_HEAP_H
#define PIRN_IO_HEAP_H

#include <stdint.h>

#include "io/mem.h"
#include "io/op.h"

struct heap_slot {
    int64_t deadline;
    struct op *op;
};

struct heap {
    struct heap_slot *slots;
    uint32_t size, capacity;
};

/* Room for one more? 0 or -ENOMEM. Once this succeeded, the next push cannot fail. */
int pirn_heap_reserve(struct heap *h, const struct mem *mem);
void pirn_heap_push(struct heap *h, struct op *op); /* by op->deadline; sets op->heap_index */
void pirn_heap_remove(struct heap *h, struct op *op);
void pirn_heap_destroy(struct heap *h, const struct mem *mem);

static inline int64_t pirn_heap_first(const struct heap *h)
{
    return h->size != 0 ? h->slots[0].deadline : INT64_MAX;
}

#endif
