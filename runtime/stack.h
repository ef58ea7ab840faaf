/*
 * The stacks of one runtime's coroutines: guarded, carved from slabs, reused last in, first out.
 */
#ifndef PIRN_RUNTIME_STACK_H
#define PIRN_RUNTIME_STACK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/futex_lock.h"
#include "runtime/slab.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PIRN_STACK_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PIRN_STACK_SANITIZED 1
#endif
#endif
#ifndef PIRN_STACK_SANITIZED
#define PIRN_STACK_SANITIZED 0
#endif

/* Instrumented frames are several times as large: every size asked for is multiplied by this. */
#define PIRN_STACK_SCALE (PIRN_STACK_SANITIZED ? 4u : 1u)

#define PIRN_STACK_DEFAULT ((size_t)64 << 10)
/* A stack of the default size is so many times as large: children that are run in their awaiter's
 * place (in_place.c) find their own default size above its frames. Address space, not memory. */
#define PIRN_STACK_HEADROOM 2u
#define PIRN_STACK_GUARD ((size_t)32 << 10) /* a page where that is more */
#define PIRN_STACK_CLASS_MIN 14             /* log2 of the smallest size, 16 KiB */
#define PIRN_STACK_CLASS_MAX 22             /* log2 of the largest pooled size, 4 MiB */
#define PIRN_STACK_CLASSES (PIRN_STACK_CLASS_MAX - PIRN_STACK_CLASS_MIN + 1)
#define PIRN_STACK_SIZE_MAX ((size_t)1 << 30)
#define PIRN_STACK_CACHED 64      /* most stacks in a worker's cache */
#define PIRN_STACK_COLOURS 32     /* distances of the tops from their page's end, */
#define PIRN_STACK_COLOUR_STEP 64 /* in steps of so many bytes */

/*
 * One stack. The header lies at the very end of the stack's topmost page, above everything the
 * coroutine uses, so that a parked coroutine's page is the only one touched.
 *
 *     guard | low ... usable ... top | colour | struct stack | next guard
 *
 * next, chain and count belong to whoever holds the stack: the task it is bound to (unused then),
 * the cache's worker, or the pool's lock. The rest does not change once the stack has been made.
 */
struct stack {
    _Alignas(64) struct stack *next; /* in a cache or a chain */
    struct stack *chain; /* in the pool: the next chain; valid in a chain's first stack */
    char *low;           /* lowest usable byte; the guard ends here */
    char *top;           /* 16-aligned; the usable bytes end here */
    size_t size;         /* from low to the end of the header */
    struct slab *slab;
    unsigned count;       /* stacks in this chain; valid in its first stack */
    unsigned valgrind_id; /* 0 when nobody looks */
};

/* A worker's own free stacks of the default size; zeroed at first. */
struct stack_cache {
    struct stack *head;     /* the worker */
    _Atomic unsigned count; /* written by the worker, read relaxed by anyone */
};

struct iovec;

struct stack_class {
    struct stack *warm;        /* free chains, last in first out; these seven: under the lock */
    struct stack *cold;        /* free chains without memory below their top pages */
    struct stack *gone;        /* free batches of which the first alone has a page (decay.c) */
    struct stack *bare;        /* made, but the guard could not be; linked by next */
    struct slab *slab;         /* the one being carved, or NULL */
    size_t cold_count;         /* stacks in cold, */
    size_t cold_least;         /* and the fewest there since the window began */
    size_t cold_due;           /* the monitor's: that many are to be given up */
    _Atomic size_t warm_count; /* written under the lock, read relaxed */
};

enum stack_shortage {
    STACK_ENOUGH,
    STACK_NO_MEMORY,
    STACK_NO_MAPPINGS,
    STACK_NO_GUARD
};

struct stack_pool {
    pthread_mutex_t lock; /* of the classes and the slab list; held for list work and mmap only */
    _Atomic size_t total; /* stacks that exist; relaxed, any thread */
    _Atomic size_t free;  /* of these, in the pool's chains; relaxed, any thread */
    _Atomic size_t cold;  /* of these, in the classes' cold; under the lock, read relaxed */
    struct stack_class classes[PIRN_STACK_CLASSES];
    struct slab_list slabs;
    size_t default_size;        /* scaled; constant after init */
    int default_class;          /* -1: too large for the pool; constant after init */
    _Atomic int shortage;       /* why the last get failed; relaxed, any thread */
    struct futex_lock trimming; /* see trim.c */
    _Atomic bool by_one;        /* chains cannot be trimmed as a whole here; relaxed */
    int64_t window_end;         /* of decay.c, 0: there is none; these two are the monitor's */
    bool decaying;
};

/* Under the lock: so many have been taken out of the class's cold ones. */
static inline void stacks_cold_taken(struct stack_pool *pool, struct stack_class *class, size_t n)
{
    class->cold_count -= n;
    if (class->cold_least > class->cold_count)
        class->cold_least = class->cold_count;
    atomic_fetch_sub_explicit(&pool->cold, n, memory_order_relaxed);
}

/*
 * Bound stacks are total - free - the sum of the caches' counts; free ones are free + that sum.
 * (One shared counter of bound stacks would be written by every spawn of every worker.)
 */

/* default_size 0: 64 KiB. 0 or -ENOMEM. */
int pirn_stacks_init(struct stack_pool *pool, size_t default_size);

/* Unmaps every stack, free or not. */
void pirn_stacks_destroy(struct stack_pool *pool);

/* A stack of at least size bytes (0: the default), rounded up to a power of two. cache is the
 * calling worker's, or NULL. 0, or -ENOMEM with the reason in pirn_stacks_shortage. */
int pirn_stack_get(struct stack_pool *pool, struct stack_cache *cache, size_t size,
                   struct stack **ret_stack);
void pirn_stack_put(struct stack_pool *pool, struct stack_cache *cache, struct stack *stack);

/* trim.c: a chain that nobody else has loses its memory below the top pages. */
void pirn_stacks_trim(struct stack_pool *pool, const struct stack *chain);
/* The same: so many ranges lose theirs. */
void pirn_stacks_drop_pages(struct stack_pool *pool, const struct iovec *ranges, size_t n);

/* decay.c: what has been free for long loses its top page as well. By the monitor alone, at each
 * of its looks; gives the time when it has to be called next: now while something is to be given up
 * still, INT64_MAX when there is nothing. */
int64_t pirn_stacks_decay(struct stack_pool *pool, int64_t now);
/* Under the lock: the place of one that has been given up, to be laid anew. False: there is
 * none. */
bool pirn_stacks_restore(struct stack_pool *pool, struct stack_class *class, char **ret_base,
                         struct slab **ret_slab);

/* Gives all of a cache back to the pool. */
void pirn_stack_cache_flush(struct stack_pool *pool, struct stack_cache *cache);

/* Why the last get failed, in words. */
const char *pirn_stacks_shortage(const struct stack_pool *pool);

/* Is the address in a stack's guard, and in whose? Async-signal-safe; reads no header. */
bool pirn_stack_guard_of(const struct stack_pool *pool, const void *fault_addr,
                         struct stack **ret_stack);

#endif
