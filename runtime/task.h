/*
 * The task: a coroutine's descriptor. Small and separate from its stack, which is bound when the
 * task first runs and goes back the moment it ends: a million spawned tasks that have not started
 * cost their descriptors only. What a task waits with (waiter, operation, deadline) is in here, not
 * on its stack.
 *
 * Descriptors are never given back to the system while their runtime lives: a stale pointer to one
 * still points to one, and generations (cell, op) tell whether it is the same.
 *
 * Life: spawned -> queued -> running <-> waiting -> ended -> freed with the last reference. The
 * runtime holds one reference from spawn to end; every handle is another.
 *
 * Field                     who may touch it
 * node                      whoever has the task in a queue
 * cell                      anybody, by the transitions of cell.h
 * waiter                    the task; while linked, holders of the object's lock
 * op                        see io/op.h
 * sp, stack                 the task and the worker that switches to or from it
 * fn, arg, arg_drop, rt, id, site, stack_size, flags   written at spawn, then constant
 * base                      see awaitable.h; its lock also guards extra (pointer), the name in it,
 *                           fate
 * inner                     the task; cancellers read it (join.c)
 * owner                     set before the task is queued
 * next_sibling, prev_sibling  holders of the owner's lock
 * traits                    the worker it runs on; read by whoever has it in a queue
 * cancel_reason             anybody, atomically
 * what, since               the task; read by a dump, racing harmlessly (relaxed atomics)
 */
#ifndef PIRN_RUNTIME_TASK_H
#define PIRN_RUNTIME_TASK_H

#include <errno.h>
#include <pirn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/op.h"
#include "runtime/awaitable.h"
#include "runtime/cell.h"
#include "runtime/site.h"
#include "runtime/stack.h"
#include "sched/node.h"
#include "sched/tsan.h"

struct pirn_task;
struct stack;
struct worker;

/* Who hears of its tasks; the first member of a struct of its own. */
struct task_owner {
    void (*adopt)(struct pirn_task *t);  /* before the task can run */
    void (*on_end)(struct pirn_task *t); /* on the ended task, which must not suspend any more */
};

enum started {
    STARTED_NOT,
    STARTED,
    STARTED_IN_PLACE /* by its awaiter, which is not among the joiners (in_place.c) */
};

/* What the end of its runtime has for a task. */
enum fate {
    FATE_CANCEL, /* one cancel */
    FATE_TOLD,   /* which it has been sent */
    FATE_LEFT    /* none: it helps somebody to clean up */
};

enum {
    TASK_ON_STRAND = 1u << 7 /* in traits: extra has the strand */
};

enum {
    SHIELDS_MAX = 255,
    LOCALS_MAX = 32,
    NAME_MAX_BYTES = 32
};

/* What few tasks need. Allocated when first needed, freed with the task. */
struct task_extra {
    struct bound *bounds;        /* innermost first; the task's own */
    struct callbacks *callbacks; /* under the task's lock */
    char name[NAME_MAX_BYTES];
    void **locals; /* LOCALS_MAX of them, which children copy; NULL: none was ever set */
    void *value;
    void (*value_drop)(void *value);
    struct cleanup *cleanups;           /* newest first; the task's alone, as is the count */
    uint64_t cleanup_count;             /* ever registered */
    struct pirn_strand *strand;         /* set at spawn; its reference goes at the task's end */
    _Atomic(struct task_debug *) debug; /* debug mode alone: task_debug.h */
};

struct pirn_task {
    struct pirn_awaitable base; /* first: a handle is a task */
    struct node node;
    struct cell cell;
    struct waiter waiter;
    struct op op;
    void *sp;
    struct stack *stack;
    pirn_fn fn;
    void *arg;
    void (*arg_drop)(void *arg);
    struct pirn_runtime *rt;
    _Atomic(struct pirn_task *) inner;  /* the child it awaits by running it on its own stack */
    _Atomic(struct task_extra *) extra; /* set once under lock */
    struct task_owner *owner;           /* a scope, say, or NULL */
    struct pirn_task *next_sibling, *prev_sibling;
    _Atomic(const char *) cancel_reason;
    _Atomic(const char *) what; /* what it waits for, in a word; NULL while it does not wait */
    _Atomic int64_t since;
    void *site; /* the return address of spawn */
    uint64_t id;
    uint32_t stack_size;
    uint8_t flags;
    uint8_t fate; /* enum fate */
    _Atomic uint8_t
        traits; /* TASK_ON_STRAND, set at spawn; runs left until a hog is trusted again */
    _Atomic uint8_t
        started; /* enum started; written by the worker that starts it; a hint to others */
#ifdef PIRN_TSAN
    void *fiber;
#endif
};

#ifndef PIRN_TSAN
_Static_assert(sizeof(struct pirn_task) < 300, "an unstarted task costs less than 300 bytes");
#endif

#define TASK_OF(ptr, member) \
    ((struct pirn_task *)(void *)((char *)(ptr)-offsetof(struct pirn_task, member)))

/* The task of a handle; NULL if it is of another kind, or none. */
static inline struct pirn_task *task_of(struct pirn_awaitable *a)
{
    return a != NULL && a->kind == PIRN_KIND_TASK ? (struct pirn_task *)(void *)a : NULL;
}

static inline struct pirn_task *task_of_node(struct node *n)
{
    return (struct pirn_task *)(void *)((char *)n - offsetof(struct pirn_task, node));
}

static inline bool task_has_ended(const struct pirn_task *t)
{
    return awaitable_has_ended(&t->base);
}

static inline bool task_has_started(const struct pirn_task *t)
{
    return atomic_load_explicit(&t->started, memory_order_relaxed) != STARTED_NOT;
}

static inline void task_set_started(struct pirn_task *t, enum started started)
{
    atomic_store_explicit(&t->started, started, memory_order_relaxed);
}

/* A hog: it kept a worker busy for milliseconds of late. */
static inline unsigned task_light_runs(const struct pirn_task *t)
{
    return atomic_load_explicit(&t->traits, memory_order_relaxed) & ~(unsigned)TASK_ON_STRAND;
}

static inline void task_set_light_runs(struct pirn_task *t, unsigned runs) /* where it runs */
{
    unsigned strand = atomic_load_explicit(&t->traits, memory_order_relaxed) & TASK_ON_STRAND;
    atomic_store_explicit(&t->traits, (uint8_t)(strand | runs), memory_order_relaxed);
}

static inline bool task_is_on_strand(const struct pirn_task *t)
{
    return (atomic_load_explicit(&t->traits, memory_order_relaxed) & TASK_ON_STRAND) != 0;
}

/* Neither a hog nor on a strand: one look for the two. */
static inline bool task_is_plain(const struct pirn_task *t)
{
    return atomic_load_explicit(&t->traits, memory_order_relaxed) == 0;
}

/* A task that has never run, or that kept a worker busy for milliseconds of late: the sentinel
 * leaves it to the other workers. */
static inline bool task_is_heavy(const struct pirn_task *t)
{
    return !task_has_started(t) || task_light_runs(t) != 0;
}

/* In flags, beside those of the public header. */
enum {
    TASK_DUE = 1u << 4,      /* a timer's, which has gone off: it begins even if it is to end */
    TASK_TIMED = 1u << 5,    /* prepared, to be launched by its deadline alone */
    TASK_PREPARED = 1u << 6, /* begins when it is launched, not when it is made; whoever spawned it
                                must park it (prepare.c) */
    TASK_CALLBACKS = 1u << 7 /* once launched, not cancelled by shutdown */
};

/* What pirn_spawn and its kin do; site is who called. ret_task may be NULL (it is detached then),
 * and how. */
struct spawn_how {
    const char *call; /* the public call, for debug mode; NULL: pirn_spawn or pirn_spawn_with */
    struct task_owner *owner;
    bool *ret_adopted; /* set once adopt has been called; a failure then calls on_end */
    uint8_t flags;     /* TASK_* */
    bool beyond_limit; /* counts like others, but max_tasks does not refuse it */
    /* It has no parent and no handle, and whoever spawns it launches it. */
    struct pirn_task **ret_apart;
};
int pirn_task_spawn(struct pirn_awaitable **ret_task, const pirn_spawn_config *config, pirn_fn fn,
                    void *arg, const struct spawn_how *how, void *site);

/* prepare.c: parks a new TASK_PREPARED task (gen: its cell's, before anything could claim it) until
 * it is launched, or its time comes (-ENOMEM: it is not parked); launches it; ends it before it
 * began (both: false if it has begun, or ended); ends one that has not been parked yet, and gives
 * up the caller's reference. */
void pirn_task_prepare(struct pirn_task *t, uint32_t gen);
int pirn_task_prepare_at(struct pirn_task *t, int64_t when);
bool pirn_task_launch(struct pirn_task *t);
/* Somebody is going to wait for it: a coroutine object that has not begun begins. */
void pirn_task_begin_awaited(struct pirn_awaitable *a);
bool pirn_task_withdraw(struct pirn_task *t);
void pirn_task_discard(struct pirn_task *t);
/* Gives up a reference to a task that nobody can begin it by, if it is a coroutine object. If the
 * last that somebody could has gone meanwhile, leaving it to this one and its callbacks', it ends
 * before it began. */
void pirn_task_leave_unbegun(struct pirn_task *t);
/* Whose wait to begin the caller has just ended with a cancel: ends here if it is a call to be made
 * later. False: it has to be made to run, to end. */
bool pirn_task_end_timed(struct pirn_task *t);
/* What task_begins asks of a prepared task. */
int pirn_task_prepared_begins(struct pirn_task *t);

/* timer.c: there is no stack for a task that was about to begin on w. What it does is promised
 * (TASK_DUE, TASK_CALLBACKS): it is launched again a little later, and not the caller's any more.
 * False: it is not, or the run is at its end; it has to end without its call. */
bool pirn_timer_postpone(struct worker *w, struct pirn_task *t);

/* callback.c: a function to be called in rt when a has ended; takes it back, and says how many. */
int pirn_callback_add(struct pirn_awaitable *a, struct pirn_runtime *rt,
                      void (*fn)(struct pirn_awaitable *, void *), void *user);
int pirn_callback_remove(struct pirn_awaitable *a, void (*fn)(struct pirn_awaitable *, void *),
                         void *user);
/* How many of a task's references are its callbacks': 0 or 1. */
uint32_t pirn_callback_refs(struct pirn_task *t);
/* A runner (TASK_CALLBACKS) is to end without having begun: has it callbacks that are due? Then it
 * begins all the same; else they never are. */
bool pirn_callback_is_due(struct pirn_task *runner);

/* The body of every task, on its own stack or thread: runs fn and ends the task, which may be gone
 * then. Its status. */
int pirn_task_body(struct pirn_task *t);

/* The task is over with this status: tells everybody who waits for it and gives up `refs`
 * references, the runtime's among them; its argument has been dropped. Does not suspend. w: the
 * calling worker or NULL. */
void pirn_task_drop_arg(struct pirn_task *t); /* which may take the caller to another worker */
extern const char pirn_task_ending[];         /* what it does from then on, in debug mode */
void pirn_task_end(struct pirn_task *t, int status, struct worker *w, unsigned refs);

/* in_place.c: awaits t, not started yet, by running it on the caller's stack; false: it does not
 * suit. *ret_rc is what the await returns; join: the caller's reference goes if that is 0. */
struct wait;
bool pirn_task_run_in_place(struct wait *wait, struct pirn_task *t, int *ret_status, bool join,
                            int *ret_rc);
/* A cancel of t has been noted: passes it on to the child that t runs on its stack. Returns the
 * child, with a reference, and what the cancel found there; or NULL: there was none to be told. */
struct pirn_task *pirn_task_pass_cancel(struct pirn_task *t, enum cancel_found *ret_found,
                                        uint32_t *ret_gen);

/* Bounds and shields (bound.c): takes a pending cancel; brings it back if it is a bound's (true);
 * enters and leaves a shield (-EINVAL); takes back one request to end, and returns how many are
 * left. */
bool pirn_task_take_cancel_slow(struct pirn_task *t);
bool pirn_task_relevel(struct pirn_task *t);
int pirn_task_shield(struct pirn_task *t);
int pirn_task_unshield(struct pirn_task *t);
int pirn_task_uncancel(struct pirn_task *t);
/* A request that was delivered is pending again: the call that took it has something else to
 * report. */
void pirn_task_keep_request(struct pirn_task *t);

static inline bool task_take_cancel(struct pirn_task *t)
{
    return __builtin_expect((cell_load(&t->cell) & CELL_CANCEL) != 0, 0) &&
           pirn_task_take_cancel_slow(t);
}

/* A cancel that came before it began, and is to end it. */
static inline bool task_take_early_cancel(struct pirn_task *t)
{
    return (t->flags & TASK_DUE) == 0 && task_take_cancel(t);
}

/* Whoever is about to run a task for the first time asks: 0, or what it ends with instead. */
static inline int task_begins(struct pirn_task *t)
{
    int rc = (t->flags & TASK_PREPARED) != 0 ? pirn_task_prepared_begins(t) : 0;
    return rc != 0 ? rc : task_take_early_cancel(t) ? -ECANCELED : 0;
}

/* Live tasks, as far as one can tell; and a worker that finds nothing to do gives back what it has
 * counted in advance. */
uint32_t pirn_task_live(struct pirn_runtime *rt);
void pirn_task_settle(struct worker *w);

/* Gives up a reference. */
void pirn_task_unref(struct pirn_task *t);

/* A reference if the task is still one (used while walking all descriptors). */
bool pirn_task_try_ref(struct pirn_task *t);

/* The descriptor's extra part, made if need be; NULL: no memory. */
struct task_extra *pirn_task_extra(struct pirn_task *t);

static inline struct task_extra *task_extra(const struct pirn_task *t)
{
    /* acquire: pairs with the release in pirn_task_extra */
    return atomic_load_explicit(&t->extra, memory_order_acquire);
}

/* cleanup.c: what runs when the task ends, or before; only the task itself calls these. Registered:
 * 0 or -ENOMEM. Taken back: 0, or -ENOENT. Run: those registered after the first down_to; ends: the
 * task ends then, and leaves all bounds. */
int pirn_task_defer(struct pirn_task *t, void (*fn)(void *arg, int status), void *arg);
int pirn_task_undefer(struct pirn_task *t, void (*fn)(void *arg, int status), void *arg);
void pirn_task_run_cleanups(struct pirn_task *t, uint64_t down_to, int status, bool ends);

/* The task's function has returned status: runs its cleanups. The same status. */
static inline int task_clean_up(struct pirn_task *t, int status)
{
    const struct task_extra *e = task_extra(t);
    if (__builtin_expect(e != NULL && (e->cleanups != NULL || e->bounds != NULL), 0))
        pirn_task_run_cleanups(t, 0, status, true);
    return status;
}

/* Calls fn for every live task of the runtime (that is wanted: asked without a reference, so fn has
 * to ask again). fn gets a reference for the time of the call; it may turn out to be the last, and
 * then what the task leaves behind is dropped by the program's functions: not under a lock that
 * they could want. */
void pirn_task_each(struct pirn_runtime *rt, void (*fn)(struct pirn_task *t, void *arg), void *arg);
void pirn_task_each_that(struct pirn_runtime *rt,
                         bool (*wanted)(const struct pirn_task *t, const void *arg),
                         void (*fn)(struct pirn_task *t, void *arg), void *arg);

/* The same for every task that has ended and is still referred to. */
void pirn_task_each_ended(struct pirn_runtime *rt, void (*fn)(struct pirn_task *t, void *arg),
                          void *arg);

/* Is every live task parked? And a number that grows whenever any of them, or a new one, has moved.
 * For quiet.c, which knows what it may conclude: nobody is kept from moving meanwhile. */
bool pirn_tasks_are_parked(struct pirn_runtime *rt, uint64_t *ret_moves);

/* Frees all descriptors; none is in use. */
void pirn_task_free_all(struct pirn_runtime *rt);

/* Name into buf: the given one or "task-N". pirn_task_name_raw does without the lock, for signal
 * handlers. */
void pirn_task_name(struct pirn_task *t, char *buf, size_t size);
void pirn_task_name_raw(const struct pirn_task *t, char *buf, size_t size);
int pirn_task_set_name(struct pirn_task *t, const char *name);
/* "unstarted", "waiting", "runnable", "running" (dump.c). And the worker on which it runs, and for
 * how long it has been seen to; NULL: on none. A pinned task has none. */
const char *pirn_task_state(const struct pirn_task *t);
const struct worker *pirn_task_worker(const struct pirn_task *t, int64_t now, int64_t *ret_ran);

#endif
