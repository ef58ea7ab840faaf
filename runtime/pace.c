/*
 * A worker's pace: how long its strides are, and when one worker is enough.
 *
 * A second worker costs more than a core: to be woken by each few completions of its own, to sleep
 * again, to pass tasks to and fro. For messages that take a few microseconds each that is most of
 * the work. So:
 *
 *   - A worker is calm if it would be through with its queue and what is injected within 200 us,
 *     has had nothing left to do within the last 10 ms, and has run nothing for long of late. While
 *     it is, what completions and deadlines make ready there wakes nobody; if it turns out at its
 *     next look that it is not, somebody is woken then.
 *   - Who is woken by a few completions of its own (64 at most), while a peer is awake and would
 *     stay calm with these as well, hands them to that peer through the inject queue and sleeps
 *     again. Their next requests go to the peer's ring, so that soon the first has nothing to wake
 *     it: the load gathers where it can be carried, and spreads when that is too much for one.
 *     Thousands of connections are kept spread all the same: they may all be ready at once one day.
 *
 * What it costs: up to 200 us. And if the peer computes after all, until its next look, or if that
 * does not come until the monitor's, 5 to 10 ms, as for everything in the queue of a worker that
 * turns out stuck; but not while anything has run for long within the last 50 ms.
 *
 * Echo at 64 connections, 2 workers, medians of 5 in turns: 152,000 messages per CPU second; before
 * 115,000; an epoll loop per core 169,000, Go 149,000. (Parks per message with the first version:
 * 0.12 instead of 0.36.)
 * Tried for the 200 us: 20 to 1,000; from 50 on within the noise. For the 10 ms: 2 to 1,000,
 * likewise. For the 50 ms: 20 to 1,000; a worker that is preempted has run for long, too, so that
 * at 1 s hardly anybody is calm.
 *
 *   - In a crowd (crowd.c), when there is one core for two workers, a worker is calm up to 2 ms,
 *     whether it has been idle or not, thieves leave what has begun to it, and who is awake beside
 *     one of a lower number that is calm hands over what it has at its next look.
 *
 *   - Tasks that wake each other and do little in between (words over a channel) are together on
 *     one worker if that can be had: 60 ns a word where both ends are, 180 and more across two
 *     cores, which then are both busy with the way. A worker is talking if of its last stride's
 *     switches a quarter or more were wake-ups by its own tasks, and a switch came every 150 ns
 *     (500 while an eighth or more of those it woke had been parked by a peer); or if within the
 *     last 10 ms an eighth of a stride went into locks of channels and queues that somebody else
 *     had. Thieves leave it alone but for what has not begun yet, and its wake-ups wake nobody. So
 *     of two such workers one runs dry in the end; if neither does, and locks are in contention,
 *     that of the higher number hands over what it has to the other.
 *     Words over a channel (row mpmc, 2 workers, capacity 0, 1, 64, 1024; medians of 7 pairs, the
 *     last two from two longer runs): 166, 110, 68, 63 ns before, 64, 56, 29 to 37, 27 to 28 now.
 *     Tried: the bound on the steps alone (150 ns for all: two workers that already talk across are
 *     never below it).
 *
 * Protocol: hand_over  1. push to the inject queue
 *           park       2. state := PARKING, full fence
 *                      3. a peer still AWAKE (and at work)? then do not look at the inject queues
 * A peer that 3. sees awake has its own 2. still before it, and looks (or relies on another awake
 * one, and so on: of those that park, the last sees nobody awake). tests/model/park.pml checks it,
 * but for two workers, and with a share of what was injected always offered on; what is spared here
 * while calm is made good at the next look, or by the monitor.
 */
#include "io/clock.h"
#include "runtime/crowd.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"
#include "runtime/worker.h"

enum {
    STRIDE_NS = 100000, /* between two looks at the world */
    STRIDE_MAX = 64 * TURN,
    LONG_NS = 3 * STRIDE_NS,
    CALM_NS = 200000,
    CROWDED_NS = 2000000,     /* instead, in a crowd */
    CALM_AFTER_NS = 50000000, /* since something has run for long */
    IDLE_NS = 10000000,       /* since its queue was last empty: else it has more than it can do */
    HAND_MOST = 64,
    TALK_NS = 150,       /* a step of tasks that talk to each other, */
    TALK_APART_NS = 500, /* while they do so across workers */
    TALK_MOST = 32,      /* of them */
    CONTENDED_NS = 100,  /* what a lock costs that somebody else has */
    APART_NS = 10000000, /* how long a worker is talking after contention */
    GATHER_MOST = 1000   /* operations under way: beyond these, what is idle now is kept spread */
};

static unsigned inflight(const struct worker *w)
{
    return atomic_load_explicit(&w->port.inflight, memory_order_relaxed);
}

void pirn_worker_begin_stride(struct worker *w)
{
    int64_t now = clock_now();
    int used = w->stride - w->budget;
    uint64_t tick = atomic_load_explicit(&w->tick, memory_order_relaxed);
    bool looks = inflight(w) != 0 && rt_looks_for_crowds(w->rt);
    w->apart = false; /* nothing run since the last look: who has woken it wants it here */
    if (used > 0) {
        int64_t took = now - w->stride_began, fits = STRIDE_NS * used / (took + 1);
        int64_t each = tick != w->stride_tick ? took / (int64_t)(tick - w->stride_tick) + 1 : took;
        w->stride = fits < 1 ? 1 : fits > STRIDE_MAX ? STRIDE_MAX : (int)fits;
        atomic_store_explicit(&w->each_ns, each < LONG_NS ? (uint32_t)each : LONG_NS,
                              memory_order_relaxed);
        w->apart = w->contended * CONTENDED_NS > took / 8;
        if (w->apart)
            w->talks_until = now + APART_NS;
        if (took > LONG_NS && (!looks || pirn_crowd_has_computed(w, took, now)))
            atomic_store_explicit(&w->ran_long, now, memory_order_relaxed);
        bool talks = w->woken_here >= (tick - w->stride_tick) / 4 &&
                     each < (w->fetched < w->woken_here / 8 ? TALK_NS : TALK_APART_NS);
        talks |= now < w->talks_until;
        /* Peers have the line: it is written only if it changes. */
        if (talks != atomic_load_explicit(&w->talks, memory_order_relaxed))
            atomic_store_explicit(&w->talks, talks, memory_order_relaxed);
    } else {
        w->cpu_known = false; /* it may have slept */
    }
    if (looks)
        pirn_crowd_sample(w, now);
    else
        w->cpu_known = false;
    w->budget = w->stride;
    w->stride_began = w->now = now;
    w->stride_tick = tick;
    w->woken_here = w->fetched = w->contended = 0;
    atomic_store_explicit(&w->looked, now, memory_order_relaxed);
    uint64_t pass = atomic_load_explicit(&w->pass, memory_order_relaxed);
    atomic_store_explicit(&w->pass, pass + 1, memory_order_relaxed);
}

/* Would w be calm with so many tasks more? */
static bool is_calm_with(const struct worker *w, unsigned more, int64_t now)
{
    uint64_t ahead = pirn_runq_size(&w->q) + pirn_inject_size(&w->rt->inject[LANE_LIGHT]) + more;
    bool crowded = rt_is_crowded(w->rt, now);
    return now - atomic_load_explicit(&w->ran_long, memory_order_relaxed) > CALM_AFTER_NS &&
           (crowded || now - atomic_load_explicit(&w->idle_at, memory_order_relaxed) < IDLE_NS) &&
           ahead * atomic_load_explicit(&w->each_ns, memory_order_relaxed) <
               (crowded ? CROWDED_NS : CALM_NS);
}

bool pirn_worker_is_calm(const struct worker *w, int64_t now)
{
    return worker_stuck(w) == STUCK_NOT && is_calm_with(w, 0, now);
}

static bool is_at_work(const struct worker *v, int64_t now)
{
    return worker_stuck(v) == STUCK_NOT && !worker_is_away(v) &&
           now - atomic_load_explicit(&v->looked, memory_order_relaxed) < LONG_NS;
}

static bool can_take_over(const struct worker *v, unsigned n, const struct worker *from)
{
    int64_t now = from->now;
    return worker_role(v) == ROLE_PRIMARY && is_at_work(v, now) &&
           (inflight(v) < GATHER_MOST || inflight(v) < inflight(from)) &&
           is_calm_with(v, n + 1, now);
}

bool pirn_worker_has_peer_awake(const struct worker *w)
{
    int64_t now = clock_now();
    for (unsigned i = 0; i < w->rt->worker_count; i++) {
        const struct worker *v = rt_worker(w->rt, i);
        if (v != w && is_at_work(v, now))
            return true;
    }
    return false;
}

/* Among the first so many workers. */
static bool has_taker(const struct worker *w, unsigned n, unsigned most)
{
    for (unsigned i = 0; i < most; i++) {
        const struct worker *v = rt_worker(w->rt, i);
        if (v != w && can_take_over(v, n, w))
            return true;
    }
    return false;
}

/* Somebody whose tasks contend with those of w. Of two workers one goes to the other. */
static bool has_partner(const struct worker *w)
{
    for (unsigned i = 0; w->apart && i < w->index; i++) {
        const struct worker *v = rt_worker(w->rt, i);
        if (worker_role(v) == ROLE_PRIMARY && is_at_work(v, w->now) && pirn_worker_is_talking(v))
            return true;
    }
    return false;
}

/* Is what w has, so many tasks, to go to a peer? */
static bool is_to_leave(const struct worker *w, unsigned n)
{
    if (w->slept && !w->woken)
        return has_taker(w, n, w->rt->worker_count);
    return has_partner(w) || (rt_is_crowded(w->rt, w->now) && has_taker(w, n, w->index));
}

bool pirn_worker_hand_over(struct worker *w)
{
    struct node *nodes[HAND_MOST], *list = NULL;
    unsigned n = 0, none = 0, size = pirn_runq_size(&w->q);
    bool light = true;
    if (size == 0 || size >= HAND_MOST || worker_role(w) != ROLE_PRIMARY ||
        pirn_runq_brood_size(&w->q) != 0 || !is_to_leave(w, size + 1))
        return false;
    while (n < HAND_MOST && (nodes[n] = pirn_runq_pop(&w->q, &none)) != NULL) /* and the slot */
        light &= !task_is_heavy(task_of_node(nodes[n++]));
    for (unsigned i = 0; !light && i < n; i++)
        pirn_worker_accept(w, task_of_node(nodes[i])); /* who knows how long they run */
    if (!light)
        return false;
    for (unsigned i = n; i > 0; i--) {
        nodes[i - 1]->next = list;
        list = nodes[i - 1];
    }
    if (list != NULL)
        pirn_inject_push_list(&w->rt->inject[LANE_LIGHT], list, n);
    return list != NULL;
}

bool pirn_worker_is_talking(const struct worker *w)
{
#ifdef PIRN_HARD
    return false; /* tasks move at every chance */
#endif
    return atomic_load_explicit(&w->talks, memory_order_relaxed) &&
           pirn_runq_size(&w->q) <= TALK_MOST;
}

bool pirn_worker_is_together(const struct worker *v, const struct worker *w)
{
    bool crowded = rt_is_crowded(v->rt, w->now) && is_calm_with(v, 0, w->now);
    return (crowded || pirn_worker_is_talking(v)) && worker_stuck(v) == STUCK_NOT &&
           clock_now() - atomic_load_explicit(&v->looked, memory_order_relaxed) < 2 * STRIDE_NS;
}

void pirn_lock_contended(struct lock *l)
{
    struct worker *w = pirn_self()->worker;
    if (w != NULL)
        w->contended++;
    lock_take(l);
}
