/*
 * Guarded stacks, reused last in, first out.
 *
 *   get  from the worker's cache, without a lock; an empty cache takes one chain of stacks from the
 *        pool; an empty pool carves a new stack from a slab.
 *   put  into the worker's cache; a full cache gives its older half to the pool as one chain. A
 *        chain moves under the lock in O(1), its stacks are not touched.
 *   trim a chain that comes to a pool with plenty of free ones loses its memory below the top
 *        pages, and is taken again only when no warm one is left. What is not for long goes
 *        altogether, but for its guard (decay.c).
 *
 * A stack's guard is made once and stays over reuse. It is 32 KiB because a frame larger than the
 * guard steps over it.
 *
 * Tops are coloured: with all frames at the same offset of their page, the coroutines of a large
 * round share a few sets of the caches. One way of a switch, round-robin over 65,536 coroutines
 * with 500 bytes of frames, best of 12 runs: 38.7 ns without colours; 17.6 with 32 steps of 64
 * bytes; 21.4 with 16 of 128; 25.5 with 16 of 192; 33.5 with 8 of 256. (2.2, 2.8, 7.6 ns at 16,
 * 256, 4096, with any.) 32 x 64 leaves 2,048 bytes of the page to the frames of a parked coroutine
 * at every colour.
 *
 * Figures: get and put through the cache 5 ns together; a new stack 3.2 us, most of it the fault on
 * its top page; put of a stack that is trimmed: trim.c.
 *
 * Rejected: MADV_DONTNEED or MADV_FREE at put (0.4-2.4 us each, and the next user faults again); a
 * header outside the stack (another cache line and page for every parked task).
 */
#include "runtime/stack.h"

#include <errno.h>
#include <string.h>

#include "io/sys.h"
#include "io/valgrind.h"

#if PIRN_STACK_SANITIZED && defined(__has_include)
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_UNPOISON_MEMORY_REGION
#define ASAN_UNPOISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#endif

#define SLAB ((size_t)64 << 20)
#define SLAB_LEAST ((size_t)1 << 20)
#define SLAB_MOST ((size_t)8 << 30)
#define WARM_BYTES ((size_t)64 << 20) /* free stacks of a class beyond this are trimmed */

_Static_assert(sizeof(struct stack) == 64, "the header takes a cache line");
_Static_assert(64 + (PIRN_STACK_COLOURS - 1) * PIRN_STACK_COLOUR_STEP + 1536 <= 4096,
               "1.5 KiB of frames must fit the top page at every colour");

static size_t size_of_class(int index)
{
    return (size_t)1 << (index + PIRN_STACK_CLASS_MIN);
}

/* The class of a scaled size; -1: too large for the pool. */
static int class_of(size_t size)
{
    int index = 0;
    while (index < PIRN_STACK_CLASSES && size_of_class(index) < size)
        index++;
    return index < PIRN_STACK_CLASSES ? index : -1;
}

static int shortage(struct stack_pool *pool, enum stack_shortage why)
{
    atomic_store_explicit(&pool->shortage, why, memory_order_relaxed);
    return -ENOMEM;
}

/* ---- Making stacks ---------------------------------------------------------------------- */

static struct stack *header_of(char *base, size_t slot)
{
    return (struct stack *)(void *)(base + slot - sizeof(struct stack));
}

/* Writes the header of the stack in a fresh slot; touches its top page. */
static struct stack *stack_lay(struct stack_pool *pool, struct slab *slab, char *base)
{
    size_t slot = atomic_load_explicit(&slab->slot, memory_order_relaxed);
    char *first = atomic_load_explicit(&slab->base, memory_order_relaxed);
    size_t colour = (size_t)(base - first) / slot % PIRN_STACK_COLOURS;
    struct stack *stack = header_of(base, slot);
    stack->low = base + pool->slabs.guard;
    stack->top = (char *)stack - colour * PIRN_STACK_COLOUR_STEP;
    stack->size = slot - pool->slabs.guard;
    stack->slab = slab;
    stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->low, stack->top);
    return stack;
}

/* 0, 1 (as pirn_slab_guard), or -ENOMEM. */
static int stack_guard(struct stack_pool *pool, char *base)
{
    int r = pirn_slab_guard(&pool->slabs, base);
    if (r < 0)
        return shortage(pool, r == -ENOMEM ? STACK_NO_MAPPINGS : STACK_NO_GUARD);
    atomic_fetch_add_explicit(&pool->total, 1, memory_order_relaxed);
    return r;
}

/* A slab is an eighth of what there is already: other mappings of the process come in between and
 * keep neighbours from merging, so many stacks should not mean many slabs (115 mappings at a
 * million stacks with slabs of one size). */
static size_t slab_bytes(const struct stack_pool *pool, size_t slot)
{
    size_t eighth = atomic_load_explicit(&pool->total, memory_order_relaxed) / 8 * slot;
    if (eighth > SLAB_MOST)
        eighth = SLAB_MOST;
    return eighth > SLAB ? eighth / SLAB * SLAB : SLAB;
}

/* A stack without a guard yet: one left over from a failure, or a new one. */
static struct stack *stack_bare(struct stack_pool *pool, int index)
{
    struct stack_class *class = &pool->classes[index];
    size_t slot = size_of_class(index) + pool->slabs.guard;
    size_t least = slot > SLAB_LEAST ? slot : SLAB_LEAST;
    pthread_mutex_lock(&pool->lock);
    struct stack *stack = class->bare;
    char *base = NULL;
    if (stack)
        class->bare = stack->next;
    else if (class->slab)
        base = pirn_slab_carve(class->slab);
    if (!stack && !base) {
        class->slab = pirn_slab_map(&pool->slabs, slot, slab_bytes(pool, slot), least);
        base = class->slab ? pirn_slab_carve(class->slab) : NULL;
    }
    struct slab *slab = class->slab;
    pthread_mutex_unlock(&pool->lock);
    return base ? stack_lay(pool, slab, base) : stack;
}

static int stack_carve(struct stack_pool *pool, int index, struct stack **ret_stack)
{
    struct stack_class *class = &pool->classes[index];
    struct stack *stack = stack_bare(pool, index);
    if (!stack)
        return shortage(pool, STACK_NO_MEMORY);
    int r = stack_guard(pool, stack->low - pool->slabs.guard);
    if (r >= 0) {
        *ret_stack = stack;
        return 0;
    }
    pthread_mutex_lock(&pool->lock);
    stack->next = class->bare;
    class->bare = stack;
    pthread_mutex_unlock(&pool->lock);
    return r;
}

/* A stack too large for the pool: a mapping of its own, given back at put. */
static int stack_map(struct stack_pool *pool, size_t size, struct stack **ret_stack)
{
    while (size & (size - 1)) /* up to the next power of two */
        size = (size | (size - 1)) + 1;
    size_t slot = size + pool->slabs.guard;
    pthread_mutex_lock(&pool->lock);
    struct slab *slab = pirn_slab_map(&pool->slabs, slot, slot, slot);
    char *base = slab ? pirn_slab_carve(slab) : NULL;
    pthread_mutex_unlock(&pool->lock);
    if (!base)
        return shortage(pool, STACK_NO_MEMORY);
    int r = stack_guard(pool, base);
    if (r >= 0) {
        slab->protected = (size_t)r;
        *ret_stack = stack_lay(pool, slab, base);
        return 0;
    }
    pthread_mutex_lock(&pool->lock);
    pirn_slab_unmap(&pool->slabs, slab);
    pthread_mutex_unlock(&pool->lock);
    return r;
}

static void stack_unmap(struct stack_pool *pool, struct stack *stack)
{
    VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
    pthread_mutex_lock(&pool->lock);
    pirn_slab_unmap(&pool->slabs, stack->slab);
    pthread_mutex_unlock(&pool->lock);
    atomic_fetch_sub_explicit(&pool->total, 1, memory_order_relaxed);
}

/* ---- Chains ----------------------------------------------------------------------------- */

/* Pushes a chain; under the lock. */
static void chain_push(struct stack **list, struct stack *chain, unsigned count)
{
    chain->count = count;
    chain->chain = *list;
    *list = chain;
}

/* One that has been given up, laid anew; NULL: there is none. Under the lock, which it drops. */
static struct stack *gone_take(struct stack_pool *pool, struct stack_class *class)
{
    char *base;
    struct slab *slab;
    bool found = pirn_stacks_restore(pool, class, &base, &slab);
    if (found)
        atomic_fetch_sub_explicit(&pool->free, 1, memory_order_relaxed);
    pthread_mutex_unlock(&pool->lock);
    return found ? stack_lay(pool, slab, base) : NULL;
}

/* Takes one stack out of the pool, and the rest of its chain into the (empty) cache if it is of
 * the cache's class. NULL: none free. */
static struct stack *chain_take(struct stack_pool *pool, struct stack_cache *cache, int index)
{
    struct stack_class *class = &pool->classes[index];
    pthread_mutex_lock(&pool->lock);
    bool warm = class->warm != NULL;
    struct stack **list = warm ? &class->warm : &class->cold;
    struct stack *first = *list;
    if (!first)
        return gone_take(pool, class);
    unsigned count = first->count, taken = 1;
    *list = first->chain;
    if (cache && index == pool->default_class) {
        taken = count;
        cache->head = first->next;
        atomic_store_explicit(&cache->count, count - 1, memory_order_relaxed);
    } else if (count > 1) {
        chain_push(list, first->next, count - 1);
    }
    if (warm)
        atomic_fetch_sub_explicit(&class->warm_count, taken, memory_order_relaxed);
    else
        stacks_cold_taken(pool, class, taken);
    atomic_fetch_sub_explicit(&pool->free, taken, memory_order_relaxed);
    pthread_mutex_unlock(&pool->lock);
    return first;
}

/* Gives a chain to the pool, without the memory it can do without when the pool has plenty. */
static void chain_give(struct stack_pool *pool, int index, struct stack *chain, unsigned count)
{
    struct stack_class *class = &pool->classes[index];
    size_t size = size_of_class(index);
    size_t warm = atomic_load_explicit(&class->warm_count, memory_order_relaxed) + count;
    bool trim = warm * size > WARM_BYTES && size > pool->slabs.page;
    if (trim)
        pirn_stacks_trim(pool, chain);
    pthread_mutex_lock(&pool->lock);
    chain_push(trim ? &class->cold : &class->warm, chain, count);
    if (!trim) {
        atomic_fetch_add_explicit(&class->warm_count, count, memory_order_relaxed);
    } else {
        class->cold_count += count;
        atomic_fetch_add_explicit(&pool->cold, count, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&pool->free, count, memory_order_relaxed);
    pthread_mutex_unlock(&pool->lock);
}

/* Gives the older half of a full cache to the pool. */
static void cache_spill(struct stack_pool *pool, struct stack_cache *cache, unsigned count)
{
    unsigned kept = count / 2;
    struct stack *last = cache->head;
    for (unsigned i = 1; i < kept; i++)
        last = last->next;
    struct stack *chain = last->next;
    last->next = NULL;
    atomic_store_explicit(&cache->count, kept, memory_order_relaxed);
    chain_give(pool, pool->default_class, chain, count - kept);
}

/* ---- The interface ---------------------------------------------------------------------- */

int pirn_stacks_init(struct stack_pool *pool, size_t default_size)
{
    if (default_size > PIRN_STACK_SIZE_MAX)
        return -ENOMEM;
    memset(pool, 0, sizeof(*pool));
    atomic_init(&pool->by_one, RUNNING_ON_VALGRIND != 0); /* which warns of a call it lacks */
    pool->default_size = (default_size ? default_size : PIRN_STACK_DEFAULT) * PIRN_STACK_SCALE;
    pool->default_class = class_of(PIRN_STACK_HEADROOM * pool->default_size);
    if (pool->default_class < 0)
        pool->default_class = class_of(pool->default_size);
    int r = -pthread_mutex_init(&pool->lock, NULL);
    if (r == 0)
        pirn_slabs_init(&pool->slabs, PIRN_STACK_GUARD);
    return r;
}

/* Tells valgrind of every stack in a slab that it is gone. */
static void slab_forget(const struct slab *slab)
{
    char *base = atomic_load_explicit(&slab->base, memory_order_relaxed);
    size_t slot = atomic_load_explicit(&slab->slot, memory_order_relaxed);
    size_t carved = atomic_load_explicit(&slab->carved, memory_order_relaxed);
    for (size_t i = 0; base && i < carved; i++)
        VALGRIND_STACK_DEREGISTER(header_of(base + i * slot, slot)->valgrind_id);
}

void pirn_stacks_destroy(struct stack_pool *pool)
{
    size_t n = atomic_load_explicit(&pool->slabs.count, memory_order_relaxed);
    for (size_t i = 0; RUNNING_ON_VALGRIND && i < n; i++)
        slab_forget(pirn_slab_at(&pool->slabs, i));
    pirn_slabs_destroy(&pool->slabs);
    pthread_mutex_destroy(&pool->lock);
}

int pirn_stack_get(struct stack_pool *pool, struct stack_cache *cache, size_t size,
                   struct stack **ret_stack)
{
    if (size > PIRN_STACK_SIZE_MAX)
        return shortage(pool, STACK_NO_MEMORY);
    size = size ? size * PIRN_STACK_SCALE : pool->default_size;
    if (size < pool->slabs.page) /* where pages are larger than the smallest class */
        size = pool->slabs.page;
    int index = size == pool->default_size ? pool->default_class : class_of(size);
    if (index < 0)
        return stack_map(pool, size, ret_stack);
    if (cache && cache->head && index == pool->default_class) {
        unsigned count = atomic_load_explicit(&cache->count, memory_order_relaxed);
        *ret_stack = cache->head;
        cache->head = cache->head->next;
        atomic_store_explicit(&cache->count, count - 1, memory_order_relaxed);
        return 0;
    }
    struct stack *stack = chain_take(pool, cache, index);
    if (!stack)
        return stack_carve(pool, index, ret_stack);
    *ret_stack = stack;
    return 0;
}

void pirn_stack_put(struct stack_pool *pool, struct stack_cache *cache, struct stack *stack)
{
    ASAN_UNPOISON_MEMORY_REGION(stack->low, (size_t)(stack->top - stack->low));
    int index = class_of(stack->size);
    if (index < 0) {
        stack_unmap(pool, stack);
        return;
    }
    if (!cache || index != pool->default_class) {
        stack->next = NULL;
        chain_give(pool, index, stack, 1);
        return;
    }
    unsigned count = atomic_load_explicit(&cache->count, memory_order_relaxed) + 1;
    stack->next = cache->head;
    cache->head = stack;
    atomic_store_explicit(&cache->count, count, memory_order_relaxed);
    if (count > PIRN_STACK_CACHED)
        cache_spill(pool, cache, count);
}

void pirn_stack_cache_flush(struct stack_pool *pool, struct stack_cache *cache)
{
    unsigned count = atomic_load_explicit(&cache->count, memory_order_relaxed);
    struct stack *chain = cache->head;
    if (!chain)
        return;
    cache->head = NULL;
    atomic_store_explicit(&cache->count, 0, memory_order_relaxed);
    chain_give(pool, pool->default_class, chain, count);
}

const char *pirn_stacks_shortage(const struct stack_pool *pool)
{
    switch (atomic_load_explicit(&pool->shortage, memory_order_relaxed)) {
    case STACK_NO_MEMORY:
        return "no address space for more stacks (RLIMIT_AS, or memory overcommit is off)";
    case STACK_NO_MAPPINGS:
        return "too many guarded stacks for vm.max_map_count (Linux 6.13 needs no mapping each)";
    case STACK_NO_GUARD:
        return "stacks cannot be guarded here (neither MADV_GUARD_INSTALL nor mprotect works)";
    default:
        return "no shortage of stacks";
    }
}

bool pirn_stack_guard_of(const struct stack_pool *pool, const void *fault_addr,
                         struct stack **ret_stack)
{
    char *base;
    size_t slot;
    if (!pirn_slab_guard_of(&pool->slabs, fault_addr, &base, &slot))
        return false;
    *ret_stack = header_of(base, slot);
    return true;
}
