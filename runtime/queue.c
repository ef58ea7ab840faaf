/*
 * How a task gets into a run queue, and who is woken for it.
 *
 *   woken by a running task     into the waker's slot: it runs next here, its data is warm. Nobody
 *                               is woken for a lone slot: in a ping-pong it would be empty again
 *                               before anyone arrived. If the waker computes on instead, the slot
 *                               ages and the monitor has it taken.
 *   woken by the scheduler      (completions, deadlines) at the end of the local ring; nobody is
 *                               woken as long as this worker is soon through with them (pace.c)
 *   spawned                     at the end of the local ring, in order. If it is the only one
 *                               there, whoever spawned it may be about to await it, and a worker
 *                               woken for it would find nothing: after that has happened, a lone
 *                               spawn wakes nobody for 20 us, and for twice as long each time it
 *                               happens again, up to 400 us (see perf/bench/spawn.c); so do up to 8
 *                               that completions made ready on a worker that is not calm
 *   the brood of a task         (what it spawned in its first run) goes from the end of the ring to
 *                               the top of the worker's broods when it parks: it runs next
 *                               (runq.h). Nobody is woken for that: its spawns have done so. While
 *                               a worker has broods it takes newcomers from outside one by one, at
 *                               every second age: each 200 us, or every second look if what it runs
 *                               takes longer (find.c)
 *   from any other thread       into an inject queue, by lane (see enum lane)
 *   a member of a strand        only once the strand is its own (strand.c)
 *   a hog that yields           behind tasks that have not started yet, if any are waiting
 *
 * Local pushes look for parked workers without a fence: missing one that parks at this very moment
 * costs parallelism until the next push, not liveness; this worker runs the task itself. Pushes
 * from outside have no such runner and fence (pirn_idle_wake_begin).
 */
#include <limits.h>

#include "io/sys.h"
#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/strand.h"
#include "runtime/worker.h"

enum {
    FEW = 8, /* of these at most is_futile is asked; for more somebody is woken */
    LONE_PAUSE_NS = 20000,
    LONE_PAUSE_MOST_NS = 400000
};

bool pirn_wake_one(struct pirn_runtime *rt)
{
    while (pirn_idle_wake_begin(&rt->idle)) {
        unsigned n = rt_threads(rt);
        for (unsigned i = 0; i < n; i++) {
            struct worker *w = rt_worker(rt, i);
            bool in_kernel;
            if (pirn_parker_notify(&rt->idle, &w->parker, &in_kernel)) {
                atomic_fetch_add_explicit(&w->n.wakes, 1, memory_order_relaxed);
                if (in_kernel)
                    atomic_fetch_add_explicit(&w->n.wakes_in_kernel, 1, memory_order_relaxed);
                pirn_port_wake(&w->port);
                pirn_monitor_rouse(rt); /* here, so that the one that wakes gets on with it */
                return true;
            }
        }
        if (!pirn_idle_wake_undo(&rt->idle))
            break;
    }
    return atomic_load_explicit(&rt->idle.searching, memory_order_relaxed) != 0;
}

/* Has it been no use of late to wake somebody for a few tasks of this worker's? What a wake-up that
 * is spared costs at worst: a task that then keeps this worker busy delays the few behind it until
 * the monitor looks, 5 to 10 ms. */
static bool is_futile(struct worker *w)
{
    uint32_t fruitless = atomic_load_explicit(&w->rt->fruitless_wakes, memory_order_relaxed);
    if (w->now - w->lone_wake < w->lone_pause)
        return true;
    if (fruitless == w->fruitless_seen)
        w->lone_pause = 0;
    else if (w->lone_pause < LONE_PAUSE_MOST_NS)
        w->lone_pause = w->lone_pause == 0 ? LONE_PAUSE_NS : 2 * w->lone_pause;
    w->fruitless_seen = fruitless;
    w->lone_wake = w->now;
    return false;
}

static void wake_for_local(struct worker *w)
{
    struct pirn_runtime *rt = w->rt;
    uint32_t size = pirn_runq_size(&w->q);
    if (w->current == NULL && pirn_worker_is_calm(w, w->now)) {
        w->spared = true;
        return;
    }
    if (atomic_load_explicit(&rt->idle.parked, memory_order_relaxed) > 0 &&
        atomic_load_explicit(&rt->idle.searching, memory_order_relaxed) == 0 &&
        (w->current != NULL || size > 1) && (size > FEW || !is_futile(w))) {
        atomic_store_explicit(&w->waking, true, memory_order_relaxed);
        pirn_wake_one(rt);
        atomic_store_explicit(&w->waking, false, memory_order_relaxed);
    }
}

static enum lane lane_of(const struct pirn_task *t)
{
    return !task_has_started(t) ? LANE_FRESH : task_light_runs(t) != 0 ? LANE_HOG : LANE_LIGHT;
}

void pirn_inject_task(struct pirn_runtime *rt, struct pirn_task *t)
{
    enum lane lane = lane_of(t); /* once it is pushed it is not ours to look at */
    rt_outsider_enter(rt);
    pirn_inject_push(&rt->inject[lane], &t->node);
    if (!pirn_wake_one(rt) && lane == LANE_LIGHT &&
        atomic_load_explicit(&rt->sentinel_until, memory_order_relaxed) != INT64_MIN)
        pirn_sentinel_wake(rt);
    rt_outsider_leave(rt);
}

/* At the end of the ring; a full ring's older half moves to the inject queue. */
static void push(struct worker *w, struct pirn_task *t)
{
    while (!pirn_runq_push(&w->q, &t->node)) {
        struct node *lane[LANES] = {NULL}, *next;
        unsigned count[LANES] = {0}, n;
        for (struct node *node = pirn_runq_take_half(&w->q, &n); node != NULL; node = next) {
            enum lane l = lane_of(task_of_node(node));
            next = node->next;
            node->next = lane[l];
            lane[l] = node;
            count[l]++;
        }
        for (int l = 0; l < LANES; l++) {
            struct node *in_order = NULL;
            for (struct node *node = lane[l]; node != NULL; node = next) {
                next = node->next;
                node->next = in_order;
                in_order = node;
            }
            pirn_inject_push_list(&w->rt->inject[l], in_order, count[l]);
        }
    }
}

static inline bool keeps(const struct worker *w, const struct pirn_task *t)
{
#ifdef PIRN_HARD /* migrate at every chance; but every other newcomer stays, for there are broods */
    return !task_has_started(t) && t->id % 2 != 0 &&
           (worker_role(w) == ROLE_PRIMARY || worker_role(w) == ROLE_SUBSTITUTE);
#else
    return worker_role(w) != ROLE_SENTINEL || !task_is_heavy(t);
#endif
}

void pirn_worker_accept(struct worker *w, struct pirn_task *t)
{
    push(w, t);
}

void pirn_worker_requeue(struct worker *w, struct pirn_task *t)
{
    enum role role = worker_role(w);
    if ((role == ROLE_PRIMARY || role == ROLE_SUBSTITUTE) && task_light_runs(t) != 0 &&
        pirn_inject_size(&w->rt->inject[LANE_FRESH]) != 0)
        pirn_inject_push(&w->rt->inject[LANE_HOG], &t->node); /* this worker looks there next */
    else if (keeps(w, t))
        push(w, t);
    else
        pirn_inject_task(w->rt, t);
}

/* Would t, at the end of a ring that has overflowed, come before what had to leave it? With more
 * connections ready than the ring holds, some waited four times as long as others. */
static bool overtakes(const struct worker *w, const struct pirn_task *t)
{
    unsigned size = pirn_runq_ring_size(&w->q);
    return size == RUNQ_CAPACITY || (size > RUNQ_CAPACITY / 2 && lane_of(t) == LANE_LIGHT &&
                                     pirn_inject_size(&w->rt->inject[LANE_LIGHT]) != 0);
}

void pirn_worker_enqueue(struct worker *w, struct pirn_task *t)
{
    if (!keeps(w, t)) {
        pirn_inject_task(w->rt, t);
        return;
    }
    if (w->current == NULL && task_light_runs(t) != 0)
        worker_note_long(w);
    if (w->current == NULL && overtakes(w, t))
        pirn_inject_push(&w->rt->inject[lane_of(t)], &t->node);
    else
        push(w, t);
    wake_for_local(w);
}

void pirn_worker_launch(struct pirn_task *t)
{
    struct worker *w = pirn_self()->worker;
    if (task_is_on_strand(t) && !pirn_strand_admit(t))
        return;
    if (w != NULL && w->rt == t->rt)
        pirn_worker_enqueue(w, t);
    else
        pirn_inject_task(t->rt, t);
}

void pirn_worker_ready(struct pirn_task *t)
{
    pirn_worker_ready_here(pirn_self()->worker, t);
}

void pirn_worker_ready_here(struct worker *w, struct pirn_task *t)
{
    if (task_is_on_strand(t) && !pirn_strand_admit(t))
        return;
    if (w == NULL || w->rt != t->rt) {
        pirn_inject_task(t->rt, t);
        return;
    }
    if (w->current == NULL || !keeps(w, t)) {
        pirn_worker_enqueue(w, t);
        return;
    }
    w->woken_here++;
    w->fetched += t->cell.home != (uint8_t)w->index;
    struct node *displaced = pirn_runq_push_slot(&w->q, &t->node);
    if (displaced != NULL) {
        push(w, task_of_node(displaced));
        if (pirn_worker_is_talking(w))
            w->spared = true;
        else
            wake_for_local(w);
    }
}
