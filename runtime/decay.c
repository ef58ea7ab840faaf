/*
 * What a peak leaves behind goes: stacks that have been free for long lose their top page, too.
 *
 * The pool's cold stacks, whose memory below the top page is gone, are kept for the next peak by
 * that page, which their header is in. A window of ten seconds notes the fewest that lay there: so
 * many have not been needed all the while. They are given up when it ends, some at each of the
 * monitor's looks, and the next window begins. So who needs a crowd again within ten seconds finds
 * it as it was (jemalloc's dirty_decay_ms is as long), and an idle program has given back nearly
 * all after twenty, and a million of them twenty more.
 *
 *   given up  in batches of up to 64: the first keeps its page, and the places of the others stand
 *             there below its header. So it takes no memory to give some back, and cannot fail.
 *   taken     when neither a warm nor a cold one is left, one by one, and laid like a new one; its
 *             guard is still there.
 *
 * Chains are popped and batches pushed under the pool's lock, both in O(1); what lies between
 * belongs to the monitor alone, and who finds no stack meanwhile carves a new one. A list of the
 * batches' first stacks is all that others see.
 *
 * Figures: 0.55 us each to give up, so 0.15 ms of CPU at a look, 5 ms apart; 1.5 us to take one
 * again, with the fault on its page (a cold one 0.23, a new one 2.2).
 * 20,000 coroutines that have waited at once: 86 MB, 9.7 MB of them after 20 s, and 86 at the next
 * peak.
 *
 * Not under valgrind, which holds what lies below a stack pointer to be nobody's.
 */
#include <sys/uio.h>

#include "io/valgrind.h"
#include "runtime/stack.h"

#define WINDOW_NS ((int64_t)10 * 1000000000)

enum {
    BATCH = PIRN_STACK_CACHED,
    AT_ONCE = 4 /* batches at a look */
};

/* Of the others of a batch, from its first one's header down. */
struct place {
    char *base;
    struct slab *slab;
};

_Static_assert(sizeof(struct stack) + (BATCH - 1) * sizeof(struct place) <= 4096,
               "a batch's places must fit its first stack's page");

static struct place *place_in(struct stack *batch, unsigned i)
{
    return (struct place *)(void *)batch - i;
}

/* ---- Giving up --------------------------------------------------------------------------- */

struct harvest {
    struct stack *batches, *last; /* linked by chain */
    struct iovec ranges[2 * BATCH];
    unsigned n;
};

/* The next stack: one more place in the newest batch, or the first of another. */
static void harvest_add(struct stack_pool *pool, struct harvest *h, struct stack *stack)
{
    struct stack *batch = h->batches;
    if (!batch || batch->count == BATCH) {
        stack->chain = batch;
        stack->count = 1;
        h->last = batch ? h->last : stack;
        h->batches = stack;
        return;
    }
    *place_in(batch, batch->count++) = (struct place){stack->low - pool->slabs.guard, stack->slab};
    h->ranges[h->n++] = (struct iovec){stack->low, stack->size};
}

/* About a batch of the class's cold stacks, or what is due if that is less. Gives their number. */
static size_t give_up(struct stack_pool *pool, struct stack_class *class, size_t due)
{
    struct harvest h = {0};
    struct stack *chains = NULL, *next;
    size_t got = 0;
    pthread_mutex_lock(&pool->lock);
    while (class->cold && got < due && got < BATCH) {
        struct stack *chain = class->cold;
        class->cold = chain->chain;
        chain->chain = chains;
        chains = chain;
        got += chain->count;
    }
    stacks_cold_taken(pool, class, got);
    if (got > 0 && class->gone && class->gone->count < BATCH) { /* it has room */
        h.batches = h.last = class->gone;
        class->gone = h.last->chain;
    }
    pthread_mutex_unlock(&pool->lock);
    if (got == 0)
        return 0;
    for (struct stack *chain = chains; chain; chain = chains) {
        chains = chain->chain;
        for (struct stack *stack = chain; stack; stack = next) {
            next = stack->next;
            harvest_add(pool, &h, stack);
        }
    }
    pirn_stacks_drop_pages(pool, h.ranges, h.n);
    pthread_mutex_lock(&pool->lock);
    h.last->chain = class->gone;
    class->gone = h.batches;
    pthread_mutex_unlock(&pool->lock);
    return got;
}

bool pirn_stacks_restore(struct stack_pool *pool, struct stack_class *class, char **ret_base,
                         struct slab **ret_slab)
{
    struct stack *batch = class->gone;
    if (!batch)
        return false;
    struct place place = {batch->low - pool->slabs.guard, batch->slab};
    if (batch->count > 1)
        place = *place_in(batch, --batch->count);
    else
        class->gone = batch->chain;
    *ret_base = place.base;
    *ret_slab = place.slab;
    return true;
}

/* ---- When -------------------------------------------------------------------------------- */

static void window_begin(struct stack_pool *pool, int64_t now)
{
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < PIRN_STACK_CLASSES; i++)
        pool->classes[i].cold_least = pool->classes[i].cold_count;
    pthread_mutex_unlock(&pool->lock);
    pool->window_end = now + WINDOW_NS;
}

static void window_close(struct stack_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < PIRN_STACK_CLASSES; i++)
        pool->classes[i].cold_due = pool->classes[i].cold_least;
    pthread_mutex_unlock(&pool->lock);
    pool->window_end = 0;
    pool->decaying = true;
}

/* False: nothing is due any more. */
static bool decay_some(struct stack_pool *pool)
{
    int batches = 0;
    for (int i = 0; i < PIRN_STACK_CLASSES; i++) {
        struct stack_class *class = &pool->classes[i];
        while (class->cold_due > 0) {
            if (batches++ == AT_ONCE)
                return true;
            size_t got = give_up(pool, class, class->cold_due);
            class->cold_due -= got == 0 || got > class->cold_due ? class->cold_due : got;
        }
    }
    return false;
}

int64_t pirn_stacks_decay(struct stack_pool *pool, int64_t now)
{
    if (pool->window_end != 0) {
        if (now < pool->window_end)
            return pool->window_end;
        window_close(pool);
    }
    if (pool->decaying && decay_some(pool))
        return now;
    pool->decaying = false;
    if (RUNNING_ON_VALGRIND || atomic_load_explicit(&pool->cold, memory_order_relaxed) == 0)
        return INT64_MAX;
    window_begin(pool, now);
    return pool->window_end;
}
