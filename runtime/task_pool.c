/*
 * Descriptors; see task_pool.h.
 *
 * A worker's list is its own; it trades batches with the runtime's list, which has a lock. A slab
 * is linked into rt->slabs when it is made and never leaves, so walking them needs the lock only to
 * read the first.
 *
 * In debug mode nothing is free at once: a task that is over goes to the end of the runtime's list,
 * marked as dead (awaitable.h), and comes out when a thousand others have come after it. Until
 * then, and until it is used again, a late use of its handle is told as what it is, by its name: so
 * its extra part stays, too. Workers' lists hold only what may be used.
 *
 * Rejected: larger slabs on huge pages. A million descriptors are 73,000 page faults, most of what
 * it costs to make them; but in a virtual machine whose host takes free memory back huge pages cost
 * more to have: 575 ns a descriptor of the row `timers` instead of 195.
 */
#include "runtime/task_pool.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/task_debug.h"

enum {
    SLAB_TASKS = 220,
    BATCH = 64,
    CACHED_MAX = 256,
    DEAD_MAX = 1000 /* debug mode: in the runtime's list, before the first is used again */
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

struct task_extra *pirn_task_extra(struct pirn_task *t)
{
    struct task_extra *fresh = NULL;
    for (;;) {
        lock_take(&t->base.lock);
        struct task_extra *e = task_extra(t);
        if (e == NULL && fresh != NULL) {
            e = fresh;
            fresh = NULL;
            /* release: pairs with the acquire in task_extra */
            atomic_store_explicit(&t->extra, e, memory_order_release);
        }
        lock_drop(&t->base.lock);
        if (e != NULL) {
            mem_free(&t->rt->mem, fresh);
            return e;
        }
        fresh = mem_alloc(&t->rt->mem, sizeof(*fresh));
        if (fresh == NULL)
            return NULL;
        memset(fresh, 0, sizeof(*fresh));
    }
}

struct task_debug *pirn_task_debug(struct pirn_task *t)
{
    struct task_extra *e = pirn_task_extra(t);
    struct task_debug *debug = e != NULL ? task_debug(t) : NULL;
    if (debug != NULL || e == NULL)
        return debug;
    debug = mem_alloc(&t->rt->mem, sizeof(*debug));
    if (debug != NULL)
        memset(debug, 0, sizeof(*debug));
    /* release: pairs with the acquire in task_debug */
    atomic_store_explicit(&e->debug, debug, memory_order_release);
    return debug;
}

static void free_extra(struct pirn_task *t, struct pirn_runtime *rt)
{
    struct task_extra *e = task_extra(t);
    if (e == NULL)
        return;
    free(e->locals);
    struct task_debug *debug = task_debug(t);
    if (debug != NULL)
        mem_free(&rt->mem, debug->locks);
    mem_free(&rt->mem, debug);
    mem_free(&rt->mem, e);
}

/* Debug mode, under tasks_lock: it may be used again. */
static void exhume(struct pirn_runtime *rt, struct pirn_task *t)
{
    free_extra(t, rt);
    atomic_store_explicit(&t->extra, NULL, memory_order_relaxed);
}

static void refill(struct pirn_runtime *rt, struct node **list, unsigned *count)
{
    unsigned keep = rt->debug ? DEAD_MAX : 0;
    lock_take(&rt->tasks_lock);
    for (unsigned i = 0; i < BATCH && rt->free_task_count > keep; i++) {
        struct node *n = rt->free_tasks;
        rt->free_tasks = n->next;
        rt->free_task_count--;
        n->next = *list;
        *list = n;
        ++*count;
        if (rt->debug)
            exhume(rt, task_of_node(n));
    }
    lock_drop(&rt->tasks_lock);
}

/* Under tasks_lock. */
static void put_free(struct pirn_runtime *rt, struct node *n)
{
    if (rt->free_tasks == NULL)
        rt->last_free_task = n;
    if (rt->debug && rt->free_tasks != NULL) {
        n->next = NULL;
        rt->last_free_task->next = n;
        rt->last_free_task = n;
    } else {
        n->next = rt->free_tasks;
        rt->free_tasks = n;
    }
    rt->free_task_count++;
}

/* True: that was the last one of a runtime that is over. */
static bool spill(struct pirn_runtime *rt, struct node **list, unsigned *count, unsigned n)
{
    lock_take(&rt->tasks_lock);
    while (n-- > 0 && *list != NULL) {
        struct node *node = *list;
        *list = node->next;
        --*count;
        put_free(rt, node);
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

void pirn_task_free(struct pirn_task *t)
{
    struct pirn_runtime *rt = t->rt;
    struct worker *w = pirn_self()->worker;
    if (task_extra(t) != NULL && !rt->debug)
        free_extra(t, rt);
    if (w != NULL && w->rt == rt) {
        t->node.next = w->free_tasks;
        w->free_tasks = &t->node;
        if (++w->free_task_count > w->free_tasks_max) {
            t->base.kind |= rt->debug ? KIND_DEAD : 0;
            spill(rt, &w->free_tasks, &w->free_task_count, rt->debug ? 1 : CACHED_MAX / 2);
        }
        return;
    }
    struct node *list = &t->node;
    unsigned one = 1;
    t->node.next = NULL;
    if (rt->debug)
        t->base.kind |= KIND_DEAD;
    if (spill(rt, &list, &one, 1))
        pirn_runtime_dispose(rt);
}

void pirn_task_name_dead(struct pirn_task *t, char *buf, size_t size)
{
    lock_take(&t->rt->tasks_lock);
    pirn_task_name_raw(t, buf, size);
    lock_drop(&t->rt->tasks_lock);
}

unsigned pirn_task_cached_max(const struct pirn_runtime *rt)
{
    return rt->debug ? 0 : CACHED_MAX;
}

static void each(struct pirn_runtime *rt, bool ended,
                 bool (*wanted)(const struct pirn_task *t, const void *arg),
                 void (*fn)(struct pirn_task *t, void *arg), void *arg)
{
    lock_take(&rt->tasks_lock);
    struct task_slab *slab = rt->slabs;
    lock_drop(&rt->tasks_lock);
    for (; slab != NULL; slab = slab->next) {
        for (unsigned i = 0; i < SLAB_TASKS; i++) {
            struct pirn_task *t = &slab->tasks[i];
            /* acquire: pairs with spawn's release; without a reference it is only read */
            if (atomic_load_explicit(&t->base.refs, memory_order_acquire) == 0 ||
                (wanted != NULL && !wanted(t, arg)) || !pirn_task_try_ref(t))
                continue;
            if (task_has_ended(t) == ended)
                fn(t, arg);
            pirn_task_leave_unbegun(t); /* a look's reference */
        }
    }
}

void pirn_task_each(struct pirn_runtime *rt, void (*fn)(struct pirn_task *t, void *arg), void *arg)
{
    each(rt, false, NULL, fn, arg);
}

void pirn_task_each_that(struct pirn_runtime *rt,
                         bool (*wanted)(const struct pirn_task *t, const void *arg),
                         void (*fn)(struct pirn_task *t, void *arg), void *arg)
{
    each(rt, false, wanted, fn, arg);
}

void pirn_task_each_ended(struct pirn_runtime *rt, void (*fn)(struct pirn_task *t, void *arg),
                          void *arg)
{
    each(rt, true, NULL, fn, arg);
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
        for (unsigned i = 0; i < SLAB_TASKS && rt->debug; i++)
            exhume(rt, &slab->tasks[i]);
        mem_free(&rt->mem, slab);
    }
}
