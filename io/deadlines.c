/*
 * Deadlines; see deadlines.h. A bucket's slots are a round apart, all of them at the horizon or
 * later, and so is its `least`: the horizon does not pass it without a look.
 */
#include "io/deadlines.h"

#include <errno.h>
#include <string.h>

enum {
    WORD = 64,
    GROUPS = DEADLINES_BUCKETS / WORD,
    LOOKS = 64 * DEADLINES_CHUNK /* some 40 us */
};

static int64_t slot_of(int64_t deadline)
{
    return deadline >> DEADLINES_SLOT_BITS;
}

static uint32_t bucket_of(int64_t slot)
{
    return (uint32_t)((uint64_t)slot % DEADLINES_BUCKETS);
}

int pirn_deadlines_init(struct deadlines *d, const struct mem *mem)
{
    *d = (struct deadlines){.draw_at = DEADLINES_DRAW_AT};
    d->buckets = mem_alloc(mem, DEADLINES_BUCKETS * sizeof(*d->buckets));
    int rc = d->buckets != NULL ? pirn_deadlines_grow(d, mem) : -ENOMEM;
    if (rc != 0)
        pirn_deadlines_destroy(d, mem);
    return rc;
}

void pirn_deadlines_destroy(struct deadlines *d, const struct mem *mem)
{
    for (uint32_t i = 0; i < d->chunk_count; i++)
        mem_free(mem, d->chunks[i]);
    mem_free(mem, d->chunks);
    mem_free(mem, d->buckets);
    *d = (struct deadlines){0};
}

/* To the end of its bucket. */
static void put_far(struct deadlines *d, uint32_t name)
{
    struct deadline_node *n = deadline_node(d, name);
    uint32_t i = bucket_of(slot_of(n->deadline));
    struct deadline_bucket *b = &d->buckets[i];
    n->next = 0;
    n->bucket = i + 1;
    d->far++;
    if (d->used[i / WORD] == 0 || n->deadline < d->least[i / WORD])
        d->least[i / WORD] = n->deadline;
    if ((d->used[i / WORD] >> i % WORD & 1) == 0) {
        d->used[i / WORD] |= (uint64_t)1 << i % WORD;
        n->prev = 0;
        *b = (struct deadline_bucket){n->deadline, name, name};
        return;
    }
    n->prev = b->last;
    deadline_node(d, b->last)->next = name;
    b->last = name;
    if (n->deadline < b->least)
        b->least = n->deadline;
}

static void take_far(struct deadlines *d, const struct deadline_node *n)
{
    uint32_t i = n->bucket - 1;
    struct deadline_bucket *b = &d->buckets[i];
    d->far--;
    if (n->prev != 0)
        deadline_node(d, n->prev)->next = n->next;
    else
        b->first = n->next;
    if (n->next != 0)
        deadline_node(d, n->next)->prev = n->prev;
    else
        b->last = n->prev;
    if (b->first == 0)
        d->used[i / WORD] &= ~((uint64_t)1 << i % WORD);
}

/* The least of 64 buckets that are not all empty. */
static int64_t least_of(struct deadlines *d, uint32_t group)
{
    int64_t least = INT64_MAX;
    d->looks++;
    for (uint64_t left = d->used[group]; left != 0; left &= left - 1) {
        const struct deadline_bucket *b =
            &d->buckets[group * WORD + (uint32_t)__builtin_ctzll(left)];
        if (b->least < least)
            least = b->least;
    }
    return least;
}

/* The earliest slot that there may be a deadline in. There are far ones. */
static int64_t earliest_slot(struct deadlines *d)
{
    for (;;) {
        uint32_t earliest = GROUPS;
        for (uint32_t i = 0; i < GROUPS; i++) {
            if (d->used[i] != 0 && (earliest == GROUPS || d->least[i] < d->least[earliest]))
                earliest = i;
        }
        int64_t least = least_of(d, earliest);
        if (least == d->least[earliest])
            return slot_of(least);
        d->least[earliest] =
            least; /* it was an earlier one's, and there may be others before this */
    }
}

static struct op *operation_of(uintptr_t word)
{
    return (struct op *)(word & ~(uintptr_t)(DEADLINE_DROPPED | DEADLINE_DROPPABLE)); /* NOLINT */
}

static bool is_dropped(const struct deadline_node *n)
{
    /* relaxed: once it is, it stays so, and its operation is not looked at */
    return (atomic_load_explicit(&n->word, memory_order_relaxed) & DEADLINE_DROPPED) != 0;
}

static inline void release(struct deadlines *d, uint32_t name)
{
    struct deadline_node *n = deadline_node(d, name);
    if (is_dropped(n)) /* relaxed: a counter under the lock, so no read-modify-write */
        atomic_store_explicit(&d->dropped_gone,
                              atomic_load_explicit(&d->dropped_gone, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    /* relaxed: nobody takes it for his, as it does not name his operation */
    atomic_store_explicit(&n->word, 0, memory_order_relaxed);
    n->next = d->free;
    d->free = name;
}

/* The heap is empty, and there are far ones. */
static void pour(struct deadlines *d)
{
    uint32_t left = DEADLINES_DROPPED; /* the others go along with those that are wanted */
    while (d->root == 0 && d->far != 0) {
        int64_t slot = earliest_slot(d), least = INT64_MAX;
        struct deadline_bucket *b = &d->buckets[bucket_of(slot)];
        for (uint32_t name = b->first; name != 0;) {
            struct deadline_node *n = deadline_node(d, name);
            uint32_t next = n->next;
            if (next != 0)
                __builtin_prefetch(deadline_node(d, next));
            if (left != 0 && is_dropped(n)) {
                take_far(d, n);
                release(d, name);
                left--;
            } else if (slot_of(n->deadline) == slot) {
                take_far(d, n);
                pirn_deadline_heap_insert(d, name);
            } else if (n->deadline < least) {
                least = n->deadline;
            }
            name = next;
        }
        b->least = least;
        d->horizon = slot + 1;
    }
    d->draw_at = d->near * 2 > DEADLINES_DRAW_AT ? d->near * 2 : DEADLINES_DRAW_AT;
}

static void draw_back(struct deadlines *d)
{
    int64_t horizon = slot_of(pirn_deadlines_first(d)) + 1;
    if (horizon < d->horizon) {
        d->horizon = horizon;
        for (uint32_t name = pirn_deadline_heap_take_all(d); name != 0;) {
            struct deadline_node *n = deadline_node(d, name);
            uint32_t next = n->next;
            if (is_dropped(n))
                release(d, name);
            else if (slot_of(n->deadline) < horizon)
                pirn_deadline_heap_insert(d, name);
            else
                put_far(d, name);
            name = next;
        }
    }
    d->draw_at = d->near * 2 > DEADLINES_DRAW_AT ? d->near * 2 : DEADLINES_DRAW_AT;
    if (d->root == 0 && d->far != 0) /* all that were near had been dropped */
        pour(d);
}

static inline void take_out(struct deadlines *d, uint32_t name)
{
    struct deadline_node *n = deadline_node(d, name);
    if (n->bucket != 0)
        take_far(d, n);
    else
        pirn_deadline_heap_remove(d, name);
    release(d, name);
    if (d->root == 0 && d->far != 0)
        pour(d);
}

/* Looks for dropped ones where it stopped the last time, until `most` have been found, or so many
 * looked at. How many were found. */
static uint32_t sweep(struct deadlines *d, uint32_t most, uint32_t looks)
{
    uint32_t found = 0;
    for (looks = d->names != 0 ? looks : 0; looks != 0 && found < most; looks--) {
        if (++d->swept > d->names)
            d->swept = 1;
        if (is_dropped(deadline_node(d, d->swept))) {
            take_out(d, d->swept); /* with others, perhaps: see pour */
            found++;
        }
    }
    return found;
}

void pirn_deadlines_sweep(struct deadlines *d)
{
    sweep(d, DEADLINES_CHUNK, 2 * DEADLINES_LITTER * DEADLINES_CHUNK);
}

static int add_chunk(struct deadlines *d, const struct mem *mem)
{
    if (d->chunk_count == UINT32_MAX / DEADLINES_CHUNK)
        return -ENOMEM;
    if (d->chunk_count == d->chunk_places) {
        uint32_t places = d->chunk_places != 0 ? d->chunk_places * 2 : 8;
        struct deadline_node **chunks = mem_alloc(mem, places * sizeof(*chunks));
        if (chunks == NULL)
            return -ENOMEM;
        if (d->chunk_count != 0)
            memcpy(chunks, d->chunks, d->chunk_count * sizeof(*chunks));
        mem_free(mem, d->chunks);
        d->chunks = chunks;
        d->chunk_places = places;
    }
    struct deadline_node *chunk = mem_alloc(mem, DEADLINES_CHUNK * sizeof(*chunk));
    if (chunk == NULL)
        return -ENOMEM;
    d->chunks[d->chunk_count++] = chunk;
    uint32_t part = d->chunk_count * (DEADLINES_CHUNK / DEADLINES_LITTER);
    /* relaxed: a hint */
    atomic_store_explicit(&d->sweep_at, part > DEADLINES_SWEEP_AT ? part : DEADLINES_SWEEP_AT,
                          memory_order_relaxed);
    return 0;
}

int pirn_deadlines_grow(struct deadlines *d, const struct mem *mem)
{
    /* Were no more than some looked at, there could be ever more of them; were always all, a
     * million that are not dropped would be 1.4 ms. */
    uint32_t live = d->near + d->far - pirn_deadlines_dropped(d);
    bool many = d->names / 2 > live + LOOKS;
    if (pirn_deadlines_are_littered(d) && sweep(d, DEADLINES_CHUNK, many ? d->names : LOOKS) != 0)
        return 0;
    int rc = add_chunk(d, mem);
    return rc == 0 || sweep(d, DEADLINES_CHUNK, d->names) != 0 ? 0 : rc;
}

static void put(struct deadlines *d, uint32_t name)
{
    struct deadline_node *n = deadline_node(d, name);
    if (d->near == 0)
        d->horizon = slot_of(n->deadline) + 1; /* there are no others */
    if (slot_of(n->deadline) >= d->horizon) {
        put_far(d, name);
        return;
    }
    pirn_deadline_heap_insert(d, name);
    if (d->near >= d->draw_at)
        draw_back(d);
}

void pirn_deadlines_push(struct deadlines *d, struct op *op)
{
    uint32_t name = d->free;
    if (name != 0)
        d->free = deadline_node(d, name)->next;
    else
        name = ++d->names;
    struct deadline_node *n = deadline_node(d, name);
    uintptr_t word = (uintptr_t)op;
    op->node = name;
    n->deadline = op->deadline;
    if (op->kind == OP_CALL) {
        /* relaxed: see pirn_deadline_drop */
        atomic_store_explicit(&op->slot, n, memory_order_relaxed);
        word |= DEADLINE_DROPPABLE;
    }
    /* release: op is ready to be taken; pairs with the acquire in pirn_deadline_drop */
    atomic_store_explicit(&n->word, word, memory_order_release);
    put(d, name);
}

void pirn_deadlines_remove(struct deadlines *d, struct op *op)
{
    uint32_t name = op->node;
    /* relaxed: it is changed under the lock, or was by the caller */
    uintptr_t word = atomic_load_explicit(&deadline_node(d, name)->word, memory_order_relaxed);
    op->node = 0;
    if (operation_of(word) == op) /* else it had been dropped, and the node is another's now */
        take_out(d, name);
}

struct op *pirn_deadlines_pop(struct deadlines *d)
{
    uint32_t name = d->root;
    struct deadline_node *n = deadline_node(d, name);
    /* relaxed: the lock has brought op, and who drops it says so in this word */
    uintptr_t word = atomic_load_explicit(&n->word, memory_order_relaxed);
    struct op *op = NULL;
    if ((word & DEADLINE_DROPPABLE) == 0 ||
        ((word & DEADLINE_DROPPED) == 0 &&
         atomic_compare_exchange_strong_explicit(&n->word, &word, 0, memory_order_relaxed,
                                                 memory_order_relaxed))) {
        op = operation_of(word);
        op->node = 0;
    }
    take_out(d, name);
    return op;
}

bool pirn_deadlines_pop_dropped(struct deadlines *d)
{
    /* seq_cst: after the port's first deadline has been published; pairs with pirn_deadline_drop */
    if ((atomic_load_explicit(&deadline_node(d, d->root)->word, memory_order_seq_cst) &
         DEADLINE_DROPPED) == 0)
        return false;
    take_out(d, d->root);
    return true;
}
