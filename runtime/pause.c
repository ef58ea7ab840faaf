/*
 * Pausing: between two runs of a runtime no coroutine executes, and its threads sleep.
 *
 *   pauser   1. phase := PAUSE, counted, so that no two pauses are the same word
 *            2. the monitor is called, and waited for: there are no new threads from here on
 *            3. every worker is asked to look (attention) and woken from its ring
 *            4. it waits until each has written this very word into its `rests`, and until no
 *               pinned task is at work
 *   worker   comes to its scheduler at its next switch, sees the phase, submits what is to be
 *            submitted, writes `rests`, and sleeps on the phase's futex. It is not among the parked
 *            (PARKER_ASIDE): who queues a task meanwhile wakes nobody
 *   pinned   is counted while at work, and looks at the phase whenever that begins: at its start
 *            and after each wait. Its count and the phase are each other's Dekker pair. While it
 *            looks before it sleeps (patience.c) it is still counted
 *   stop     does step 1 itself, and asks for attention: what it ends must not depend on how soon
 *            the thread inside the run wakes
 *   resume   phase := RUN; all look at their queues, their deadlines and their rings, as ever
 *
 * So a coroutine that computes holds up the pause until its next suspend point: it has a stack on a
 * worker, and there is no other place where it could be left. The pool's jobs are no coroutines and
 * go on; what they wake waits for the next run, like completions, deadlines and spawns from
 * outside.
 *
 * The pass: what was ready when it began runs once. It is taken out of all queues into `pass` while
 * everybody rests; the phase stays PAUSE and becomes another word, at which the workers wake, take
 * from `pass` alone, come back after one step each (attention again), and rest when it is empty.
 * Members of a strand that were ready behind one of these come into `pass` one by one, as they get
 * the strand. Pinned tasks have no part in it. What tasks ask the kernel for in a pass is submitted
 * at its end, and what has completed by the next one is ready then: who makes nothing but passes
 * gets on.
 *
 * Rejected: parking in the rings as usual with nothing to run (a due timer or a completion would
 * wake the worker, again and again, or had to be kept from it); stopping threads and starting new
 * ones (requests end with the thread that submitted them).
 */
#include <limits.h>

#include "io/clock.h"
#include "io/sys.h"
#include "runtime/runtime.h"
#include "runtime/strand.h"
#include "runtime/wait.h"

enum {
    TAKE_MAX = 128
};

/* ---- Workers, the monitor, pinned threads ---- */

static void write_rests(_Atomic uint32_t *rests, uint32_t phase)
{
    /* release: what ran here is seen by who finds us at rest (acquire in wait_for) */
    atomic_store_explicit(rests, phase, memory_order_release);
    sys_futex_wake(rests, INT_MAX);
}

static struct pirn_task *next_of_pass(struct worker *w)
{
    struct pirn_runtime *rt = w->rt;
    unsigned n;
    if (worker_role(w) != ROLE_PRIMARY)
        return NULL;
    while (pirn_inject_size(&rt->pass) != 0) {
        struct node *node = pirn_inject_pop(&rt->pass, 1, true, &n);
        if (node == NULL || !pirn_worker_bind(w, task_of_node(node)))
            continue;
        pirn_worker_begin_stride(w);
        atomic_fetch_or_explicit(&w->attention, ATTENTION_LOOK, memory_order_relaxed);
        return task_of_node(node);
    }
    return NULL;
}

struct pirn_task *pirn_worker_rest(struct worker *w)
{
    struct pirn_runtime *rt = w->rt;
    struct pirn_task *t;
    uint32_t phase;
    if (w->searching) { /* whoever counted on us finds us gone; all look around when this is over */
        w->searching = false;
        pirn_idle_search_end(&rt->idle);
    }
    w->woken = w->handed = w->spared = w->took = w->slept = false;
    /* acquire: pairs with the releases in set_phase */
    while (phase_of(phase = atomic_load_explicit(&rt->phase, memory_order_acquire)) ==
           PHASE_PAUSE) {
        if ((t = next_of_pass(w)) != NULL)
            return t;
        pirn_task_settle(w);
        if (pirn_port_has_backlog(&w->port) || pirn_port_holds_back(&w->port))
            pirn_port_flush(&w->port, &w->submitter);
        atomic_store_explicit(&w->parker.state, PARKER_ASIDE, memory_order_relaxed);
        write_rests(&w->rests, phase);
        sys_futex_wait(&rt->phase, phase, NULL);
        w->budget = w->stride; /* the pause was no stride */
        atomic_store_explicit(&w->parker.state, PARKER_AWAKE, memory_order_relaxed);
        pirn_monitor_rouse(rt); /* while this thread took its time it may have seen nobody awake */
    }
    return NULL;
}

void pirn_worker_gone(struct worker *w)
{
    /* Any other word will do: who waits for us looks at the role again. */
    uint32_t rests = atomic_load_explicit(&w->rests, memory_order_relaxed);
    write_rests(&w->rests, ((rests + PHASE_COUNT) & ~(uint32_t)PHASE_BITS) | PHASE_END);
}

void pirn_monitor_rest(struct pirn_runtime *rt, uint32_t phase)
{
    if (atomic_load_explicit(&rt->monitor_rests, memory_order_relaxed) != phase)
        write_rests(&rt->monitor_rests, phase);
}

void pirn_pinned_enter(struct pirn_runtime *rt)
{
    for (;;) {
        /* seq_cst, both: pairs with the pauser's phase and look at the count */
        atomic_fetch_add_explicit(&rt->pinned_at_work, 1, memory_order_seq_cst);
        uint32_t phase = atomic_load_explicit(&rt->phase, memory_order_seq_cst);
        if (phase_of(phase) != PHASE_PAUSE)
            return;
        pirn_pinned_leave(rt);
        sys_futex_wait(&rt->phase, phase, NULL);
    }
}

void pirn_pinned_leave(struct pirn_runtime *rt)
{
    /* seq_cst: before our look at the phase; release: pairs with the pauser's acquire */
    if (atomic_fetch_sub_explicit(&rt->pinned_at_work, 1, memory_order_seq_cst) == 1 &&
        phase_of(atomic_load_explicit(&rt->phase, memory_order_seq_cst)) == PHASE_PAUSE)
        sys_futex_wake(&rt->pinned_at_work, INT_MAX);
}

/* ---- Who runs the runtime ---- */

/* By who runs the runtime or ends it; from RUN to PAUSE, under run_mutex, by a stop as well. */
static void set_phase(struct pirn_runtime *rt, enum phase phase)
{
    uint32_t word = atomic_load_explicit(&rt->phase, memory_order_relaxed);
    word = ((word + PHASE_COUNT) & ~(uint32_t)PHASE_BITS) | (uint32_t)phase;
    /* seq_cst: pairs with pirn_pinned_enter; release: with everybody's acquire */
    atomic_store_explicit(&rt->phase, word, memory_order_seq_cst);
    sys_futex_wake(&rt->phase, INT_MAX);
}

void pirn_phase_end(struct pirn_runtime *rt)
{
    set_phase(rt, PHASE_END);
}

void pirn_resume(struct pirn_runtime *rt)
{
    set_phase(rt, PHASE_RUN);
    pirn_monitor_call(rt);
}

static void wait_for_worker(struct worker *w, uint32_t phase)
{
    uint32_t rests;
    /* acquire: pairs with the release in write_rests */
    while ((rests = atomic_load_explicit(&w->rests, memory_order_acquire)) != phase &&
           worker_role(w) != ROLE_GONE)
        sys_futex_wait(&w->rests, rests, NULL);
}

/* To come to their schedulers at their next switch. */
static void ask_workers(struct pirn_runtime *rt)
{
    unsigned n = rt_threads(rt);
    for (unsigned i = 0; i < n; i++)
        /* release: who takes it sees the phase; pairs with the acquire in note_conduct */
        atomic_fetch_or_explicit(&rt_worker(rt, i)->attention, ATTENTION_LOOK,
                                 memory_order_release);
}

void pirn_pause_begin(struct pirn_runtime *rt)
{
    set_phase(rt, PHASE_PAUSE);
    ask_workers(rt);
}

void pirn_wait_for_rest(struct pirn_runtime *rt)
{
    uint32_t phase = atomic_load_explicit(&rt->phase, memory_order_relaxed), word;
    pirn_monitor_call(rt);
    /* acquire: pairs with the release in write_rests */
    while ((word = atomic_load_explicit(&rt->monitor_rests, memory_order_acquire)) != phase)
        sys_futex_wait(&rt->monitor_rests, word, NULL);
    ask_workers(rt); /* also one that has come since the pause began */
    unsigned n = rt_threads(rt);
    for (unsigned i = 0; i < n; i++) {
        if (worker_role(rt_worker(rt, i)) != ROLE_GONE)
            pirn_port_wake(&rt_worker(rt, i)->port);
    }
    for (unsigned i = 0; i < n; i++)
        wait_for_worker(rt_worker(rt, i), phase);
    /* seq_cst: see pirn_pinned_enter */
    while ((word = atomic_load_explicit(&rt->pinned_at_work, memory_order_seq_cst)) != 0)
        sys_futex_wait(&rt->pinned_at_work, word, NULL);
}

/* For workers that rest: what has completed and what is due. */
static void collect(struct worker *w, int64_t now)
{
    struct op_list done = {NULL, NULL};
    struct op *next;
    pirn_port_collect_all(&w->port, now, &done);
    for (struct op *op = done.head; op != NULL; op = next) {
        next = op->next; /* once told, the operation is its waiter's again */
        pirn_wait_op_done(op);
    }
}

static void put_into_pass(struct pirn_runtime *rt, struct node *n)
{
    if (task_is_on_strand(task_of_node(n)))
        pirn_strand_begin_pass(task_of_node(n));
    pirn_inject_push(&rt->pass, n);
}

static void take_queued(struct worker *w)
{
    struct node *nodes[TAKE_MAX];
    unsigned n;
    while ((n = pirn_runq_steal(&w->q, nodes, TAKE_MAX, true, NULL)) != 0 ||
           (n = pirn_runq_steal_brood(&w->q, nodes, TAKE_MAX)) != 0) {
        for (unsigned i = 0; i < n; i++)
            put_into_pass(w->rt, nodes[i]);
    }
}

void pirn_pass(struct pirn_runtime *rt)
{
    struct node *list, *next;
    unsigned threads = rt_threads(rt), n;
    int64_t now = clock_now();
    for (unsigned i = 0; i < threads; i++)
        collect(rt_worker(rt, i), now);
    for (unsigned i = 0; i < threads; i++)
        take_queued(rt_worker(rt, i));
    for (int lane = 0; lane < LANES; lane++) {
        while ((list = pirn_inject_pop(&rt->inject[lane], TAKE_MAX, true, &n)) != NULL) {
            for (; list != NULL; list = next) {
                next = list->next;
                put_into_pass(rt, list);
            }
        }
    }
    rt->passing = true;
    pirn_pause_begin(rt);
    pirn_wait_for_rest(rt);
    rt->passing = false;
}
