/*
 * Switching: how a worker leaves one coroutine for the next.
 *
 *   1. The running task says why it leaves (yield, park, end) and picks the next one from the
 *      local queue, or the scheduler's own stack when its stride is used up or nothing is queued.
 *   2. It switches. The other side gets the worker as the switch's argument: no thread-local is
 *      read after a switch.
 *   3. The other side finishes the job (finish_switch): queues a yielder, parks a waiter (only now
 *      may anybody resume it), gives an ended task's stack back.
 *
 * Going straight from task to task costs one switch instead of two; each counts against the stride
 * and moves the tick, so a ping-pong cannot keep timers waiting.
 *
 * The stride: the scheduler looks at the clock (22 ns), rings and inject queues when the stride is
 * used up, and sets the next one so that this happens about every 100 us. A plain yield uses up 1,
 * everything else TURN: who only yields hardly runs for longer next time; a look costs 140 ns.
 */
#include "runtime/worker.h"

#include <errno.h>
#include <unistd.h>

#include "io/sys.h"
#include "runtime/ahead.h"
#include "runtime/debug.h"
#include "runtime/fiber.h"
#include "runtime/overflow.h"
#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/strand.h"
#include "runtime/task_pool.h"
#include "runtime/wait.h"

enum {
    HOG_LIGHT_RUNS = 8
};

static void task_entry(void *arg);

#ifdef PIRN_HARD
#define HARD_MODE 1 /* tasks move at every chance */
#else
#define HARD_MODE 0
#endif

/* Binds a stack to a task that runs for the first time. False: it ended instead, or comes later. */
static bool start(struct worker *w, struct pirn_task *t)
{
    int rc = task_begins(t);
    if (rc == 0)
        rc = pirn_stack_get(&w->rt->stacks, &w->stacks, t->stack_size, &t->stack);
    if (rc == -ENOMEM)
        pirn_report_shortage(w->rt);
    if (rc != 0 && (rc != -ENOMEM || !pirn_timer_postpone(w, t)))
        pirn_worker_end_unrun(w, t, rc);
    if (rc != 0)
        return false;
    task_set_started(t, STARTED);
    w->born_tick = atomic_load_explicit(&w->tick, memory_order_relaxed);
    w->born_tail = atomic_load_explicit(&w->q.tail, memory_order_relaxed);
    t->sp = pirn_context_make(t->stack->top, task_entry);
#ifdef PIRN_TSAN
    t->fiber = __tsan_create_fiber(0);
#endif
    return true;
}

bool pirn_worker_bind(struct worker *w, struct pirn_task *t)
{
    return task_has_started(t) || start(w, t);
}

/* The first of the queue has never run. */
static __attribute__((noinline)) struct pirn_task *start_or_next(struct worker *w,
                                                                 struct pirn_task *t)
{
    struct node *n = &t->node;
    while (n != NULL) {
        t = task_of_node(n);
        if (pirn_worker_bind(w, t))
            return t;
        n = pirn_runq_pop(&w->q, &w->slot_runs);
    }
    return NULL;
}

static inline __attribute__((always_inline)) struct pirn_task *next_local(struct worker *w)
{
    struct node *n = pirn_runq_pop(&w->q, &w->slot_runs);
    if (n == NULL)
        return NULL;
    struct pirn_task *t = task_of_node(n);
    pirn_look_ahead(w);
    return __builtin_expect(task_has_started(t), 1) ? t : start_or_next(w, t);
}

struct pirn_task *pirn_worker_next_local(struct worker *w)
{
    return next_local(w);
}

/* On the side that was switched to: what became of the one that left, if it did not just yield. */
static __attribute__((noinline)) void finish_other(struct worker *w)
{
    struct pirn_task *prev = (struct pirn_task *)(w->left & ~(uintptr_t)AFTER_MASK); /* NOLINT */
    uint64_t word;
    switch ((enum after)(w->left & AFTER_MASK)) {
    case AFTER_NOTHING:
    case AFTER_ROTATE: /* see finish_switch */
        return;
    case AFTER_YIELD:
        if (task_is_on_strand(prev))
            pirn_strand_yielded(w, prev);
        else
            pirn_worker_requeue(w, prev);
        return;
    case AFTER_PAUSE:
        pirn_worker_requeue(w, prev);
        return;
    case AFTER_PARK: {
        uint32_t gen = w->park_gen;
        unsigned how = w->park_how;
        bool on_strand = task_is_on_strand(prev);
        prev->cell.home = (uint8_t)w->index;
        bool parked = pirn_cell_park(&prev->cell, gen, how, &word);
        if (on_strand)
            parked ? pirn_strand_parked(w, prev) : pirn_strand_yielded(w, prev);
        else if (!parked)
            pirn_worker_enqueue(w, prev);
        if (parked && (word & CELL_CANCEL) != 0 && (how & CELL_IN_OP) != 0 &&
            (how & CELL_CANCELLABLE) != 0)
            pirn_wait_stop_op(prev, gen, -ECANCELED); /* it came between start and park */
        return;
    }
    case AFTER_END:
#ifdef PIRN_TSAN
        __tsan_destroy_fiber(w->dead_fiber);
#endif
        pirn_stack_put(&w->rt->stacks, &w->stacks, w->dead_stack);
        return;
    }
}

_Static_assert(_Alignof(struct pirn_task) > AFTER_MASK, "its low bits are used");

static inline __attribute__((always_inline)) void finish_switch(struct worker *w)
{
    uintptr_t left = w->left;
    if (__builtin_expect((left & AFTER_MASK) == AFTER_ROTATE, 1))
        pirn_runq_rotate_end(&w->q, &((struct pirn_task *)left)->node); /* NOLINT */
    else
        finish_other(w);
}

static inline struct fiber_target target_of(struct worker *w, struct pirn_task *to)
{
    struct fiber_target target = {to != NULL ? to->sp : w->sched_sp, NULL, 0, NULL};
#ifdef PIRN_ASAN
    target.low = to != NULL ? to->stack->low : w->stack_low;
    target.size = to != NULL ? (size_t)(to->stack->top - to->stack->low) : w->stack_size;
#endif
#ifdef PIRN_TSAN
    target.tsan = to != NULL ? to->fiber : w->fiber;
#endif
    return target;
}

/* Switches to a task, or to the scheduler. */
static inline __attribute__((always_inline)) struct worker *go(struct worker *w, void **save_sp,
                                                               struct pirn_task *to, bool dying)
{
    struct fiber_target target = target_of(w, to);
    worker_set_current(w, to);
    return fiber_switch(save_sp, &target, w, dying);
}

static __attribute__((noinline)) void note_conduct(struct worker *w, struct pirn_task *t)
{
    unsigned runs = t != NULL ? task_light_runs(t) : 0;
    unsigned attention = 0;
    if (atomic_load_explicit(&w->attention, memory_order_relaxed) != 0)
        /* acquire: pairs with the release in pirn_wait_for_rest */
        attention = atomic_fetch_and_explicit(&w->attention, ATTENTION_DEBUG, memory_order_acquire);
    if ((attention & ATTENTION_DEBUG) != 0)
        pirn_debug_step(w, t);
    attention &= ~(unsigned)ATTENTION_DEBUG;
    runs = (attention & ATTENTION_HOG) != 0 ? HOG_LIGHT_RUNS : runs != 0 ? runs - 1 : 0;
    if (t != NULL)
        task_set_light_runs(t, runs);
    if (attention != 0 && w->budget > 0) { /* somebody wants the scheduler to look around */
        w->stride -= w->budget;
        w->budget = 0;
    }
}

/* t: NULL if it is gone. */
static inline __attribute__((always_inline)) struct pirn_task *leave_for(struct worker *w,
                                                                         struct pirn_task *t)
{
    uint64_t tick = atomic_load_explicit(&w->tick, memory_order_relaxed);
    atomic_store_explicit(&w->tick, tick + 1, memory_order_relaxed);
    w->budget -= TURN;
    if (__builtin_expect(atomic_load_explicit(&w->attention, memory_order_relaxed) != 0 ||
                             (t != NULL && task_light_runs(t) != 0),
                         0))
        note_conduct(w, t);
    return w->budget > 0 ? next_local(w) : NULL;
}

static inline void give_way(struct worker *w, struct pirn_task *t, enum after after)
{
    struct pirn_task *next = leave_for(w, t);
    if (next == NULL && w->budget > 0 &&
        (after == AFTER_PAUSE || !task_is_on_strand(t) || !pirn_strand_pass(w, t, &next)))
        return; /* nobody else here */
    w->left = (uintptr_t)t | after;
    finish_switch(go(w, &t->sp, next, false));
}

void pirn_worker_yield(struct worker *w)
{
    give_way(w, w->current, AFTER_YIELD);
}

void pirn_worker_pause(struct worker *w)
{
    struct pirn_task *t = w->current;
    if (t == NULL) { /* in a drop; see park_until in wait.c */
        w->budget = 0;
        return;
    }
    give_way(w, t, task_is_on_strand(t) && pirn_strand_keeps(t) ? AFTER_PAUSE : AFTER_YIELD);
}

/* The common yield, in as few steps as may be: the queue is entered once, its oldest taken out, and
 * on the other side of the switch the yielder put at its end. A plain one stays here whatever the
 * worker's role (see keeps in queue.c). */
static inline __attribute__((always_inline)) bool rotate(struct worker *w, struct pirn_task *t)
{
    if (__builtin_expect(w->budget <= 1 || HARD_MODE || !task_is_plain(t) ||
                             atomic_load_explicit(&w->attention, memory_order_relaxed) != 0,
                         0))
        return false;
    struct node *n;
    if (__builtin_expect(!pirn_runq_rotate_begin(&w->q, &n), 0))
        return false;
    struct pirn_task *next = task_of_node(n);
    if (__builtin_expect(next->sp == NULL, 0)) { /* it has never run */
        pirn_runq_rotate_undo(&w->q);
        return false;
    }
    uint64_t tick = atomic_load_explicit(&w->tick, memory_order_relaxed);
    atomic_store_explicit(&w->tick, tick + 1, memory_order_relaxed);
    w->budget--;
    w->slot_runs = 0;
    w->left = (uintptr_t)t | AFTER_ROTATE;
    finish_switch(go(w, &t->sp, next, false));
    return true;
}

static int after_yield(const struct pirn_task *t)
{
    return atomic_load_explicit(&t->rt->failing, memory_order_relaxed) != 0 ? -ESHUTDOWN : 0;
}

static __attribute__((noinline)) int yield_pinned(struct pirn_task *t)
{
    if (t == NULL)
        return pirn_misuse("pirn_yield", -EPERM, MISUSE_NO_COROUTINE);
    if (task_take_cancel(t))
        return -ECANCELED;
    pirn_pinned_leave(t->rt);
    sched_yield();
    pirn_pinned_enter(t->rt);
    return after_yield(t);
}

int pirn_worker_yield_current(void)
{
    struct self *self = pirn_self();
    struct worker *w = self->worker;
    if (__builtin_expect(w == NULL, 0))
        return yield_pinned(self->pinned);
    struct pirn_task *t = w->current;
    if (__builtin_expect(t == NULL, 0))
        return -EPERM;
    if (task_take_cancel(t))
        return -ECANCELED;
    if (__builtin_expect(rotate(w, t), 1))
        return 0; /* the runtime's own state is four loads away: looked at when the stride ends */
    pirn_worker_yield(w);
    return after_yield(t);
}

static bool is_fresh(const struct node *n)
{
    return !task_has_started(task_of_node((struct node *)n));
}

/* Has the running task begun in this very run, and spawned? Then that comes next. */
static inline void bring_up_brood(struct worker *w)
{
    if (__builtin_expect(w->born_tick == atomic_load_explicit(&w->tick, memory_order_relaxed) &&
                             w->born_tail != atomic_load_explicit(&w->q.tail, memory_order_relaxed),
                         0))
        pirn_runq_bring_up(&w->q, w->born_tail, is_fresh);
}

void pirn_worker_park(struct worker *w, struct pirn_task *t, uint32_t gen, unsigned how)
{
    bring_up_brood(w);
    struct pirn_task *next = leave_for(w, t);
    if (next == NULL && w->budget > 0 && task_is_on_strand(t))
        pirn_strand_pass(w, t, &next);
    w->left = (uintptr_t)t | AFTER_PARK;
    w->park_gen = gen;
    w->park_how = how;
    finish_switch(go(w, &t->sp, next, false));
}

_Noreturn void pirn_worker_end(struct worker *w, struct stack *stack, void *fiber)
{
    struct pirn_task *next = leave_for(w, NULL); /* the task is gone */
    w->dead_stack = stack;
#ifdef PIRN_TSAN
    w->dead_fiber = fiber;
#else
    (void)fiber;
#endif
    w->left = AFTER_END;
    go(w, &w->dead_sp, next, true);
    __builtin_trap(); /* nobody resumes an ended task */
}

static void task_entry(void *arg)
{
    struct worker *w = arg;
    fiber_arrived();
    finish_switch(w);
    struct pirn_task *t = w->current;
    struct stack *stack = t->stack;
    struct pirn_strand *strand = task_strand(t);
    void *fiber = NULL;
#ifdef PIRN_TSAN
    fiber = t->fiber;
#endif
    int status = pirn_task_body(t);
    w = pirn_self()->worker; /* it may be another by now */
    if (w == NULL)
        _exit(status < 0); /* a fork's child */
    if (strand != NULL)
        pirn_strand_leave(w, strand);
    pirn_worker_end(w, stack, fiber);
}

void *pirn_worker_main(void *arg)
{
    struct worker *w = arg;
    struct pirn_task *t;
    pirn_worker_block_sigpipe();
    pirn_self()->worker = w;
    atomic_store_explicit(&w->tid, gettid(), memory_order_relaxed);
    pirn_worker_be_prompt();
    pirn_overflow_thread_init();
    pirn_port_thread_init(&w->port, &w->submitter, pirn_worker_helpers(w->rt));
#ifdef PIRN_TSAN
    w->fiber = __tsan_get_current_fiber();
#endif
#ifdef PIRN_ASAN
    pthread_attr_t attr;
    void *low;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstack(&attr, &low, &w->stack_size);
        w->stack_low = low;
        pthread_attr_destroy(&attr);
    }
#endif
    while ((t = pirn_worker_find(w)) != NULL) {
        w->left = AFTER_NOTHING; /* the scheduler itself leaves nothing behind */
        if (w->rt->debug)
            pirn_debug_step(w, NULL);
        go(w, &w->sched_sp, t, false);
        finish_switch(w);
    }
    pirn_stack_cache_flush(&w->rt->stacks, &w->stacks);
    pirn_task_spill(w);
    pirn_overflow_thread_fini();
    pirn_self()->worker = NULL;
    pirn_worker_gone(w);
    return NULL;
}
