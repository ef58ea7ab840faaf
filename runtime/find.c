/*
 * What a worker does between coroutines: looks at the world, finds the next task, or parks.
 *
 * In order: its own port (completions, deadlines, what is to be submitted), stuck peers' ports, the
 * inject queues, the local queue (if a peer is to have that, straight to the park: pace.c); then
 * stealing; then every port that is due, whoever it belongs to; then the park, inside the ring's
 * wait, so that a completion ends it.
 *
 * A worker parks until its own next deadline. While a peer is stuck, and for the sentinel always,
 * until the earliest deadline of the stuck peers as well.
 */
#include "io/clock.h"
#include "runtime/crowd.h"
#include "runtime/runtime.h"
#include "runtime/strand.h"
#include "runtime/worker.h"

enum {
    LINGER_NS = 300000000, /* how long a retired spare's thread waits for new use */
    SPIN_NS = 20000,       /* a searcher's patience, about what waking it again would cost */
    INJECT_MAX = 32,
    AGE_NS = 100000 /* runq.h: what is older than one to two of these goes before a brood */
};

/* May this worker take from that lane now? */
static bool may_take(const struct worker *w, enum lane lane)
{
    switch (worker_role(w)) {
    case ROLE_PRIMARY:
    case ROLE_SUBSTITUTE:
        return true;
    case ROLE_SENTINEL:
        return lane == LANE_LIGHT ||
               (lane == LANE_HOG && atomic_load_explicit(&w->rt->trial, memory_order_relaxed) != 0);
    case ROLE_RETIRED:
    case ROLE_GONE:
        break;
    }
    return false;
}

/* A worker whose tasks run long takes few: what it holds waits for them. */
static unsigned batch_of(struct worker *w, enum lane lane)
{
    struct pirn_runtime *rt = w->rt;
    uint64_t share = pirn_inject_size(&rt->inject[lane]) / rt->worker_count + 1;
    if (worker_role(w) == ROLE_SENTINEL && lane == LANE_HOG)
        return atomic_exchange_explicit(&rt->trial, 0, memory_order_relaxed) != 0 ? 1 : 0;
    uint64_t turns = (unsigned)w->stride / TURN + 1;
    if (share > turns)
        share = turns;
    return share < INJECT_MAX ? (unsigned)share : INJECT_MAX;
}

/* From each lane something gets in at every look, even if the ring is full (what is in the way then
 * overflows): no lane starves behind tasks that yield for ever. Only the sentinel, whose trial is
 * used up, waits for who is at it; others come again, also before they park (sched/inject.h). */
static void take_injected(struct worker *w, enum lane lane)
{
    struct inject *from = &w->rt->inject[lane];
    unsigned n, room = RUNQ_CAPACITY - pirn_runq_ring_size(&w->q);
    unsigned max = pirn_inject_size(from) != 0 && may_take(w, lane) ? batch_of(w, lane) : 0;
    if (max == 0)
        return;
    if (lane == LANE_FRESH &&
        pirn_runq_brood_size(&w->q) != 0) { /* first what is in hand, mostly */
        if (w->aged_at != w->now || w->ages % 2 == 0)
            return;
        max = 1;
    }
    if (max > room)
        max = room != 0 ? room : 1;
    if (lane == LANE_LIGHT && pirn_worker_is_calm(w, w->now))
        w->spared = true;
    else
        w->took = true;
    if (lane == LANE_HOG)
        worker_note_long(w);
    struct node *list = pirn_inject_pop(from, max, worker_role(w) == ROLE_SENTINEL, &n);
    while (list != NULL) {
        struct node *next = list->next;
        pirn_worker_accept(w, task_of_node(list));
        list = next;
    }
}

static void look_around(struct worker *w)
{
    pirn_worker_begin_stride(w);
    if (w->now - w->aged_at >= AGE_NS) {
        w->aged_at = w->now;
        w->ages++;
        struct node *oldest = pirn_runq_age(&w->q, w->ages % 2 == 0);
        if (oldest != NULL)
            pirn_worker_accept(w, task_of_node(oldest));
    }
    pirn_worker_serve_self(w);
    pirn_worker_serve_peers(w, false);
    /* Before it takes over anything itself: that would be for it to run. */
    bool leaves = (w->slept && !w->woken) || w->apart || rt_is_crowded(w->rt, w->now);
    w->handed = leaves && pirn_worker_hand_over(w);
    w->slept = false;
    for (int lane = 0; lane < LANES && !w->handed; lane++)
        take_injected(w, (enum lane)lane);
}

static bool anything_injected(const struct worker *w)
{
    for (int lane = 0; lane < LANES; lane++) {
        if (may_take(w, (enum lane)lane) && pirn_inject_size(&w->rt->inject[lane]) != 0)
            return true;
    }
    return false;
}

/* Is any other worker awake, so that work may turn up? */
static bool others_awake(const struct worker *w)
{
    int parked = atomic_load_explicit(&w->rt->idle.parked, memory_order_relaxed);
    return parked + 1 < (int)w->rt->worker_count;
}

/* As a searcher: true if something may be in our queue now. */
static bool search(struct worker *w)
{
    struct pirn_runtime *rt = w->rt;
    int limit = (int)(rt->worker_count + 1) / 2;
    if (!worker_has_peers(w))
        return false;
    /* The sentinel leaves work to others, so it is no searcher a pusher could rely on. */
    if (worker_role(w) == ROLE_SENTINEL)
        return anything_injected(w) || pirn_worker_steal(w, false);
    if (!w->searching && !(w->searching = pirn_idle_search_begin(&rt->idle, limit)))
        return false;
    int64_t began = w->now;
    for (;;) {
        bool aged = clock_now() - began > SPIN_NS;
        if (anything_injected(w) || pirn_worker_steal(w, aged) ||
            pirn_port_has_completions(&w->port))
            return true;
        if (aged || !others_awake(w) || rt_phase(rt) != PHASE_RUN)
            return false;
        for (int i = 0; i < 20; i++)
            ck_pr_stall();
    }
}

/* Work in hand: a searcher no longer. The last one to find some sees to the rest, and so does who
 * took a batch from an inject queue: what it does not run itself must not wait for it. */
static void end_search(struct worker *w)
{
    bool last = w->searching && pirn_idle_search_end(&w->rt->idle);
    bool hand_on = last || w->took;
    w->searching = false;
    w->took = false;
    if (hand_on && (pirn_runq_size(&w->q) != 0 || anything_injected(w)))
        pirn_wake_one(w->rt);
}

/* What drops its argument may take long: it counts as a task that the search has found. */
void pirn_worker_end_unrun(struct worker *w, struct pirn_task *t, int status)
{
    struct pirn_strand *strand = task_strand(t);
    task_set_started(t, STARTED);
    struct pirn_task *leaving = w->current; /* half gone, or gone: not for a drop to find */
    worker_set_current(w, NULL);
    if (t->arg_drop != NULL && (w->searching || w->took)) {
        w->woken = false;
        end_search(w);
    }
    pirn_task_drop_arg(t);
    pirn_task_end(t, status, w, 1);
    worker_set_current(w, leaving);
    if (strand != NULL)
        pirn_strand_leave(w, strand);
}

/* The look between PARKING and KERNEL: is there anything we ought to do instead? What has just been
 * handed over is the peer's. */
static bool work_in_sight(struct worker *w)
{
    unsigned threads = rt_threads(w->rt);
    bool handed = w->handed && pirn_worker_has_peer_awake(w);
    if ((!handed && anything_injected(w)) || pirn_port_is_due(&w->port, w->now))
        return true;
    for (unsigned i = 0; i < threads; i++) {
        struct worker *v = rt_worker(w->rt, i);
        if (pirn_worker_is_prey(v, w) && !(handed && pirn_worker_is_calm(v, w->now)))
            return true;
    }
    return rt_phase(w->rt) != PHASE_RUN;
}

/* The sentinel sleeps aside. Who arms an earlier deadline, or injects something light with nobody
 * else to run it, sees sentinel_until and wakes it: the fence pairs with the one in
 * pirn_idle_wake_begin. And it looks at its role as retire does: one that was retired and recalled
 * as a substitute on its way here is picked by nobody while it sleeps aside. */
static void park_sentinel(struct worker *w)
{
    struct pirn_runtime *rt = w->rt;
    int64_t until = pirn_worker_wake_time(w);
    if (w->searching) { /* it was woken as what it was before */
        w->searching = false;
        pirn_idle_search_end(&rt->idle);
        pirn_wake_one(rt);
    }
    atomic_store_explicit(&rt->sentinel_until, until, memory_order_relaxed);
    /* release: pairs with the acquire in is_asleep (quiet.c) */
    atomic_store_explicit(&w->parker.state, PARKER_ASIDE, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    if (worker_role(w) == ROLE_SENTINEL && !anything_injected(w) &&
        !pirn_port_is_due(&w->port, w->now) && rt_phase(rt) == PHASE_RUN) {
        count_one(&w->n.parks);
        pirn_port_wait(&w->port, &w->submitter, until);
    }
    atomic_store_explicit(&w->parker.state, PARKER_AWAKE, memory_order_relaxed);
    atomic_store_explicit(&rt->sentinel_until, INT64_MIN, memory_order_relaxed);
    pirn_monitor_rouse(rt);
}

static void park(struct worker *w)
{
    struct pirn_runtime *rt = w->rt;
    if (w->searching) {
        w->searching = false;
        pirn_idle_search_end(&rt->idle);
    }
    if (w->woken)
        atomic_fetch_add_explicit(&rt->fruitless_wakes, 1, memory_order_relaxed);
    pirn_parker_begin(&rt->idle, &w->parker);
    if (!work_in_sight(w)) {
        int64_t until = pirn_worker_wake_time(w);
        if (pirn_parker_enter(&w->parker)) {
            count_one(&w->n.parks);
            pirn_port_wait(&w->port, &w->submitter, until);
            w->slept = true;
        }
    }
    w->handed = false;
    w->searching = w->woken = pirn_parker_end(&rt->idle, &w->parker);
    if (!w->woken) /* else its waker does */
        pirn_monitor_rouse(rt);
}

/* Ends the thread of a retired spare, if nothing depends on it. */
static bool leave_for_good(struct worker *w)
{
    uint32_t retired = ROLE_RETIRED;
    if (w->foreign_requests || !pirn_port_is_idle(&w->port))
        return false;
    /* release: pairs with the acquire in pirn_spare_start */
    return atomic_compare_exchange_strong_explicit(&w->role, &retired, ROLE_GONE,
                                                   memory_order_release, memory_order_relaxed);
}

/* A spare nobody needs sleeps where no waker picks it. The wake-up of the monitor, which has given
 * it a role again, may have been taken by a peer that looked at its ring (rescue.c) before it said
 * that it sleeps: so it looks at its role after that. True: its thread is to end. */
static bool retire(struct worker *w)
{
    struct pirn_runtime *rt = w->rt;
    struct node *n;
    unsigned none = 0;
    while ((n = pirn_runq_pop(&w->q, &none)) != NULL)
        pirn_inject_task(rt, task_of_node(n));
    if (w->searching) {
        w->searching = false;
        pirn_idle_search_end(&rt->idle);
        pirn_wake_one(rt); /* a wake-up meant for a worker went to us */
    }
    /* release: pairs with the acquire in is_asleep (quiet.c) */
    atomic_store_explicit(&w->parker.state, PARKER_ASIDE, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in pass_on (rescue.c) */
    if (worker_role(w) == ROLE_RETIRED && !pirn_port_is_due(&w->port, w->now) &&
        rt_phase(rt) == PHASE_RUN) {
        int64_t until = atomic_load_explicit(&w->port.next_deadline, memory_order_relaxed);
        if (!w->lingered && until > w->now + LINGER_NS)
            until = w->now + LINGER_NS;
        pirn_port_wait(&w->port, &w->submitter, until);
        if (w->lingered || clock_now() >= w->now + LINGER_NS) {
            w->lingered = true;
            if (leave_for_good(w))
                return true;
        }
    }
    atomic_store_explicit(&w->parker.state, PARKER_AWAKE, memory_order_relaxed);
    return false;
}

/* What cancelled timers leave; part of it: then there may be something better to do. */
static bool tidy_up(struct worker *w)
{
    if (!pirn_port_is_littered(&w->port))
        return false;
    pirn_port_tidy(&w->port);
    return true;
}

struct pirn_task *pirn_worker_find(struct worker *w)
{
    struct pirn_task *t;
    for (;;) {
        if (rt_phase(w->rt) == PHASE_PAUSE && (t = pirn_worker_rest(w)) != NULL)
            return t;
        if (rt_phase(w->rt) == PHASE_END)
            return NULL;
        look_around(w);
        if (worker_role(w) == ROLE_RETIRED) {
            pirn_task_settle(w);
            if (!tidy_up(w) && retire(w))
                return NULL;
            continue;
        }
        w->lingered = false;
        t = pirn_worker_next_local(w);
        if (t != NULL) {
            w->woken = false;
            if (w->spared && !pirn_worker_is_calm(w, w->now) && !pirn_worker_is_talking(w)) {
                w->spared = false;
                w->took = true;
            }
            if (w->searching || w->took)
                end_search(w);
            return t;
        }
        w->spared = false;
        worker_note_idle(w);
        if (!w->handed && (search(w) || pirn_worker_serve_peers(w, true)))
            continue;
        pirn_task_settle(w);
        if (tidy_up(w))
            continue;
        if (worker_role(w) == ROLE_SENTINEL)
            park_sentinel(w);
        else
            park(w);
    }
}
