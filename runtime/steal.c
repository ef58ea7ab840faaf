/*
 * Stealing: what a worker with nothing to do takes from the others, and what it leaves them.
 *
 *   a ring          half of it, the oldest
 *   a brood         half of it, the oldest, if the ring has nothing (runq.h)
 *   a slot          once it has aged, or of a worker that is stuck
 *   a lone task     only when it has been seen to stay (is_settled)
 *   of tasks that talk to each other    what has not begun (pace.c)
 *   of a calm worker in a crowd         likewise
 *
 * The sentinel takes only what is light; and on trial one hog (monitor.c).
 */
#include "runtime/runtime.h"
#include "runtime/worker.h"

enum {
    STEAL_MAX = 128
};

static uint32_t next_random(struct worker *w)
{
    uint32_t x = w->random; /* xorshift32 */
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return w->random = x;
}

static bool may_steal_from(const struct worker *w, const struct worker *victim)
{
    enum role role = worker_role(victim);
    return victim != w && (role != ROLE_SENTINEL || worker_stuck(victim) != STUCK_NOT);
}

static bool is_light(const struct node *n)
{
    return !task_is_heavy(task_of_node((struct node *)n));
}

static bool is_fresh(const struct node *n)
{
    return !task_has_started(task_of_node((struct node *)n));
}

static bool is_hog(const struct node *n)
{
    const struct pirn_task *t = task_of_node((struct node *)n);
    return task_has_started(t) && task_light_runs(t) != 0;
}

/* A single task of a worker that is getting along may be about to run there: it is left alone until
 * it has been seen twice with nothing having moved; or often in a row, and the ring had moved on:
 * then two take turns there that could run side by side. (Where it has not moved on, but ticks,
 * each is spawned and awaited at once: in_place.c.) While its owner is in the system call that
 * wakes somebody for it, nothing moves and it says nothing: taken then, what is spawned and awaited
 * one by one went to and fro between two workers (perf/bench/spawn.c). Should it lose its core in
 * there, the monitor calls it stuck. */
static bool is_settled(struct worker *v, uint32_t size)
{
#ifndef PIRN_HARD
    enum {
        PATIENCE = 16
    };
    unsigned runs = atomic_load_explicit(&v->eyed_runs, memory_order_relaxed);
    if (size == 1 && worker_stuck(v) == STUCK_NOT && !worker_is_away(v)) {
        uint32_t head = atomic_load_explicit(&v->q.head, memory_order_relaxed);
        uint64_t tick = atomic_load_explicit(&v->tick, memory_order_relaxed);
        uint64_t eyed = atomic_load_explicit(&v->eyed, memory_order_relaxed);
        uint64_t seen = tick << 32 | head;
        if (atomic_load_explicit(&v->waking, memory_order_relaxed))
            return false;
        if (eyed != seen) {
            atomic_store_explicit(&v->eyed, seen, memory_order_relaxed);
            if ((uint32_t)eyed != head)
                atomic_store_explicit(&v->eyed_runs, ++runs, memory_order_relaxed);
            return runs >= PATIENCE;
        }
    }
    if (runs != 0)
        atomic_store_explicit(&v->eyed_runs, 0, memory_order_relaxed);
#endif
    (void)v;
    return size != 0;
}

/* Since a thief last asked. */
static bool has_spawned(struct worker *v)
{
    uint64_t spawns = atomic_load_explicit(&v->n.spawns, memory_order_relaxed);
    if (atomic_load_explicit(&v->eyed_spawns, memory_order_relaxed) == spawns)
        return false;
    atomic_store_explicit(&v->eyed_spawns, spawns, memory_order_relaxed);
    return true;
}

/* From the first worker that has something wanted (NULL: whatever it has). */
static unsigned steal(struct worker *w, struct node **ret_nodes, unsigned max, bool take_slots,
                      bool (*want)(const struct node *n), bool *ret_brood)
{
    unsigned threads = rt_threads(w->rt);
    unsigned first = next_random(w) % threads;
    for (unsigned i = 0; i < threads; i++) {
        struct worker *v = rt_worker(w->rt, (first + i) % threads);
        bool stuck = worker_stuck(v) != STUCK_NOT;
        if (!may_steal_from(w, v))
            continue;
        bool together = pirn_worker_is_together(v, w);
        if (together && (want != NULL || !has_spawned(v)))
            continue;
        bool slot = pirn_runq_slot(&v->q) != NULL && (stuck || take_slots) && !together;
        if (!slot && !is_settled(v, pirn_runq_size(&v->q)))
            continue;
        unsigned n = 0;
        if (slot || pirn_runq_ring_size(&v->q) != 0)
            n = pirn_runq_steal(&v->q, ret_nodes, max, slot, together ? is_fresh : want);
        *ret_brood = n == 0 && want == NULL;
        if (*ret_brood && pirn_runq_brood_size(&v->q) != 0)
            n = pirn_runq_steal_brood(&v->q, ret_nodes, max);
        if (n == 0)
            continue;
        count_one(&w->n.steals);
        return n;
    }
    return 0;
}

bool pirn_worker_steal(struct worker *w, bool take_slots)
{
    struct node *nodes[STEAL_MAX];
    bool sentinel = worker_role(w) == ROLE_SENTINEL;
    bool brood;
    unsigned n = steal(w, nodes, STEAL_MAX, take_slots, sentinel ? is_light : NULL, &brood);
    for (unsigned k = 0; k < n; k++) {
        if (!brood || !pirn_runq_adopt(&w->q, nodes[k]))
            pirn_worker_requeue(w, task_of_node(nodes[k]));
    }
    if (n != 0 || !sentinel || atomic_load_explicit(&w->rt->trial, memory_order_relaxed) == 0)
        return n != 0;
    /* In the ring of a stuck worker, with no other way out. */
    n = steal(w, nodes, 1, false, is_hog, &brood);
    if (n != 0 && atomic_exchange_explicit(&w->rt->trial, 0, memory_order_relaxed) != 0)
        pirn_worker_accept(w, task_of_node(nodes[0]));
    else if (n != 0)
        pirn_inject_task(w->rt, task_of_node(nodes[0])); /* another took the trial: to its lane */
    return n != 0;
}

bool pirn_worker_is_prey(struct worker *v, const struct worker *w)
{
    return may_steal_from(w, v) && is_settled(v, pirn_runq_size(&v->q)) &&
           !pirn_worker_is_together(v, w);
}
