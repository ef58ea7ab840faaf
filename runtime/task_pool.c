/*
 * Descriptors; see task_pool.h.
 *
 * A worker's list is its own; it trades batches with the runtime's list, which has a lock. A slab
 * is linked into rt->slabs when it is made and never leaves, so walking them needs the lock only to
 * read the first.
 *
 * Rejected: larger slabs on huge pages. A million descriptors are 73,000 page faults, most of what it
 * costs to make them; but in a virtual machine whose host takes free memory back huge pages cost
 * more to have: 575 ns a descriptor of the row `timers` instead of 195.
 */
#include "runtime/task_pool.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"
#include "runtime/self.h"

enum {
    SLAB_TASKS = 220,
    BATCH = 64,
    CACHED_MAX = 256
};

struct task_slab {
    struct task_slab *next;
    struct pirn_task tasks[SLAB_TASKS];
};

/* Under tasks_lock if w is NULL: pushes all of a new slab to a free list. */
static bool grow(struct pirn_runtime *rt, struct node **list, unsigned *count)
{
    struct task_slab *slab = mem_alloc(&rt->mem, sizeof(*slab));
    if (slab == NULL)
        return false;
    for (unsigned i = SLAB_TASKS; i-- > 0;) {
        struct pirn_task *t = &slab->tasks[i];
        /* What has to be sound before first use; the rest is set when the task is handed out, so
         * that a slab costs memory only as its descriptors are used. */
        atomic_init(&t->base.refs, 0);
        atomic_init(&t->cell.word, 0);
        task_set_started(t, STARTED_NOT);
        atomic_init(&t->extra, NULL);
        t->rt = NULL;
        t->node.next = *list;
        *list = &t->node;
    }
    *count += SLAB_TASKS;
    lock_take(&rt->tasks_lock);
    slab->next = rt->slabs;
    rt->slabs = slab;
    rt->task_count += SLAB_TASKS;
    lock_drop(&rt->tasks_lock);
    return true;
}

static void refill(struct pirn_runtime *rt, struct node **list, unsigned *count)
{
    lock_take(&rt->tasks_lock);
    for (unsigned i = 0; i < BATCH && rt->free_tasks != NULL; i++) {
        struct node *n = rt->free_tasks;
        rt->free_tasks = n->next;
        rt->free_task_count--;
        n->next = *list;
        *list = n;
        ++*count;
    }
    lock_drop(&rt->tasks_lock);
}

/* True: that was the last one of a runtime that is over. */
static bool spill(struct pirn_runtime *rt, struct node **list, unsigned *count, unsigned n)
{
    lock_take(&rt->tasks_lock);
    while (n-- > 0 && *list != NULL) {
        struct node *node = *list;
        *list = node->next;
        --*count;
        node->next = rt->free_tasks;
        rt->free_tasks = node;
        rt->free_task_count++;
    }
    bool last = rt->over && rt->free_task_count == rt->task_count;
    lock_drop(&rt->tasks_lock);
    return last;
}

void pirn_task_spill(struct worker *w)
{
    spill(w->rt, &w->free_tasks, &w->free_task_count, w->free_task_count);
}

static void reset(struct pirn_task *t, struct pirn_runtime *rt)
{
    /* Generations go on from use to use, so that nothing stale fits. */
    uint32_t gen = cell_gen(cell_load(&t->cell)) + 1;
    t->rt = rt;
    atomic_store_explicit(&t->cell.word, (uint64_t)gen << 32, memory_order_relaxed);
    memset(&t->waiter, 0, sizeof(t->waiter));
    atomic_store_explicit(&t->op.port, NULL, memory_order_relaxed);
    atomic_store_explicit(&t->op.gen, gen - 1, memory_order_relaxed);
    atomic_store_explicit(&t->op.fd, -1, memory_order_relaxed);
    t->op.kind = 0;
    t->op.state = OP_IDLE;
    t->op.node = 0;
    t->sp = NULL;
    t->stack = NULL;
    t->base.joiners = NULL;
    atomic_store_explicit(&t->inner, NULL, memory_order_relaxed);
    atomic_store_explicit(&t->extra, NULL, memory_order_relaxed);
    t->owner = NULL;
    t->next_sibling = t->prev_sibling = NULL;
    atomic_store_explicit(&t->cancel_reason, NULL, memory_order_relaxed);
    atomic_store_explicit(&t->what, NULL, memory_order_relaxed);
    atomic_store_explicit(&t->since, 0, memory_order_relaxed);
    atomic_store_explicit(&t->base.status, 0, memory_order_relaxed);
    atomic_store_explicit(&t->base.ended, 0, memory_order_relaxed);
    atomic_store_explicit(&t->base.seen, 0, memory_order_relaxed);
    lock_init(&t->base.lock);
    t->base.kind = PIRN_KIND_TASK;
    t->cell.cancels = 0;
    atomic_store_explicit(&t->traits, 0, memory_order_relaxed);
    task_set_started(t, STARTED_NOT);
}

struct pirn_task *pirn_task_alloc(struct pirn_runtime *rt, struct worker *w)
{
    struct node *own = NULL, **list = w != NULL ? &w->free_tasks : &own;
    unsigned own_count = 0, *count = w != NULL ? &w->free_task_count : &own_count;
    if (*list == NULL)
        refill(rt, list, count);
    if (*list == NULL && !grow(rt, list, count))
        return NULL;
    struct node *n = *list;
    *list = n->next;
    --*count;
    if (w == NULL && own != NULL)
        spill(rt, &own, &own_count, own_count);
    struct pirn_task *t = task_of_node(n);
    reset(t, rt);
    return t;
}

static void free_extra(struct pirn_runtime *rt, struct task_extra *e)
{
    if (e == NULL)
        return;
    free(e->locals);
    mem_free(&rt->mem, atomic_load_explicit(&e->sites, memory_order_relaxed));
    mem_free(&rt->mem, e);
}

void pirn_task_free(struct pirn_task *t)
{
    struct pirn_runtime *rt = t->rt;
    struct worker *w = pirn_self()->worker;
    free_extra(rt, task_extra(t));
    if (w != NULL && w->rt == rt) {
        t->node.next = w->free_tasks;
        w->free_tasks = &t->node;
        if (++w->free_task_count > CACHED_MAX)
            spill(rt, &w->free_tasks, &w->free_task_count, CACHED_MAX / 2);
        return;
    }
    struct node *list = &t->node;
    unsigned one = 1;
    t->node.next = NULL;
    if (spill(rt, &list, &one, 1))
        pirn_runtime_dispose(rt);
}

void pirn_task_each(struct pirn_runtime *rt, void (*fn)(struct pirn_task *t, void *arg), void *arg)
{
    lock_take(&rt->tasks_lock);
    struct task_slab *slab = rt->slabs;
    lock_drop(&rt->tasks_lock);
    for (; slab != NULL; slab = slab->next) {
        for (unsigned i = 0; i < SLAB_TASKS; i++) {
            struct pirn_task *t = &slab->tasks[i];
            if (!pirn_task_try_ref(t))
                continue;
            if (!task_has_ended(t))
                fn(t, arg);
            pirn_task_unref(t);
        }
    }
}

bool pirn_tasks_are_parked(struct pirn_runtime *rt, uint64_t *ret_moves)
{
    lock_take(&rt->tasks_lock);
    struct task_slab *slab = rt->slabs;
    lock_drop(&rt->tasks_lock);
    *ret_moves = 0;
    for (; slab != NULL; slab = slab->next) {
        for (unsigned i = 0; i < SLAB_TASKS; i++) {
            struct pirn_task *t = &slab->tasks[i]; /* only read: no reference is needed */
            uint64_t word = cell_load(&t->cell);
            *ret_moves += cell_gen(word); /* grows with each wait that ends, and each new use */
            if (atomic_load_explicit(&t->base.refs, memory_order_relaxed) != 0 &&
                !task_has_ended(t) && (word & CELL_PARKED) == 0 &&
                atomic_load_explicit(&t->inner, memory_order_relaxed) == NULL)
                return false;
        }
    }
    return true;
}

void pirn_task_free_all(struct pirn_runtime *rt)
{
    while (rt->slabs != NULL) {
        struct task_slab *slab = rt->slabs;
        rt->slabs = slab->next;
        mem_free(&rt->mem, slab);
    }
}
