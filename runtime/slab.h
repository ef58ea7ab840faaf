/*
 * The mappings stacks are carved from: slots of equal size in large slabs, with a guard at the low
 * end of each slot. Knows addresses, not stacks.
 */
#ifndef PIRN_RUNTIME_SLAB_H
#define PIRN_RUNTIME_SLAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define PIRN_SLAB_CHUNKS 24
#define PIRN_SLAB_CHUNK_FIRST 64 /* slabs in chunk 0; each next one holds twice as many */

/* Written under the owner's lock, read by signal handlers at any time. The other fields are written
 * before base, whose release store the handlers' acquire pairs with. */
struct slab {
    _Atomic(char *) base; /* NULL: vacant */
    _Atomic size_t bytes;
    _Atomic size_t slot;   /* bytes per slot, its guard included */
    _Atomic size_t carved; /* slots handed out, from base up */
    size_t protected;      /* of an own mapping: its guard is one of mprotect's; its user's */
};

struct slab_list {
    _Atomic(struct slab *) chunks[PIRN_SLAB_CHUNKS]; /* append-only; release, acquire */
    _Atomic size_t count;     /* entries, vacant ones too; release, acquire */
    size_t vacant;            /* of these, to be used again; under the owner's lock */
    size_t page;              /* these four: constant after init */
    size_t guard;             /* bytes */
    size_t protect_limit;     /* guards mprotect may make in this process */
    bool markers;             /* guards by MADV_GUARD_INSTALL, else by mprotect */
    _Atomic size_t protected; /* guards of this list made by mprotect; relaxed, any thread */
};

void pirn_slabs_init(struct slab_list *list, size_t guard);
void pirn_slabs_destroy(struct slab_list *list);

/* The next three: under the owner's lock. */

/* A slab for slots of slot bytes, as much as can be mapped of want down to least; NULL: nothing. */
struct slab *pirn_slab_map(struct slab_list *list, size_t slot, size_t want, size_t least);
void pirn_slab_unmap(struct slab_list *list, struct slab *slab);

/* The next slot's address; NULL: the slab is used up. */
char *pirn_slab_carve(struct slab *slab);

/* Makes the guard of the slot at base, without a lock. 0; 1: by mprotect (if the slab is to be
 * unmapped alone that goes into its `protected`); -ENOMEM: no mapping left for it; -ENOTSUP: this
 * system makes none. */
int pirn_slab_guard(struct slab_list *list, char *base);

/* Entry i < count. Async-signal-safe. */
struct slab *pirn_slab_at(const struct slab_list *list, size_t i);

/* Is the address in the guard of a slot that was carved? Async-signal-safe. */
bool pirn_slab_guard_of(const struct slab_list *list, const void *addr, char **ret_base,
                        size_t *ret_slot);

#endif
