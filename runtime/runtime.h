/*
 * A runtime: its workers, spares, queues, pools, and the state of its life.
 *
 * Field                 written by                    read by
 * config, mem, worker_count, max_threads, debug, slow_ns  at start    all
 * workers[i]            start and monitor (release: thread_count)   all
 * thread_count          monitor                       all (acquire)
 * live                  spawn, end of a task          all
 * closing, failing      who ends the runtime          all
 * phase                 who runs it (pause.c)         all
 * use                   who runs or closes it, by compare-and-swap   all
 * runner, stop_asked, pauses, deadlocked, awaited   under run_mutex       under run_mutex
 * quiet_known, quiet_moves   the monitor          the monitor
 * sentinel_until        the sentinel                  who arms an earlier deadline
 * descriptors           under tasks_lock              walkers, under tasks_lock
 */
#ifndef PIRN_RUNTIME_RUNTIME_H
#define PIRN_RUNTIME_RUNTIME_H

#include <pirn.h>
#include <stdatomic.h>
#include <unistd.h>

#include "io/mem.h"
#include "runtime/fd_ops.h"
#include "runtime/worker.h"
#include "sched/idle.h"
#include "sched/inject.h"

struct task_slab;
struct crew;

/* Which inject queue: what the sentinel runs; what it runs on trial only (woken, but known to keep
 * workers busy); what it never runs (not yet started). */
enum lane {
    LANE_LIGHT,
    LANE_HOG,
    LANE_FRESH,
    LANES
};

/* May coroutines run? pause.c has the protocol. The word's upper bits count, so that each pause is
 * another. */
enum phase {
    PHASE_RUN,
    PHASE_PAUSE,
    PHASE_END /* workers go home */
};
enum {
    PHASE_BITS = 3,
    PHASE_COUNT = 4 /* one pause more */
};

/* What a runtime is being used for; by compare-and-swap. */
enum use {
    USE_NONE,
    USE_RUN,
    USE_CLOSE,
    USE_CLOSED,
    USE_STUCK /* a task would not end */
};

enum {
    MONITOR_TICK_US = 5000
};

struct pirn_runtime {
    pirn_config config;
    struct mem mem;
    pid_t pid; /* a fork's child has the memory, not the workers */
    bool debug;
    _Atomic bool shortage_told; /* relaxed, any worker */
    int64_t slow_ns;            /* debug mode: what makes a step slow */
    unsigned worker_count;
    unsigned max_threads;
    struct worker **workers; /* primaries, then spares as they come; max_threads places */
    struct fd_ops fd_ops;
    _Atomic uint32_t thread_count;
    _Atomic int64_t crowded_until, crowd_span; /* crowd.c; a hint to all workers */

    char inject_before[64]; /* these are written often; what is around them, hardly ever */
    struct inject inject[LANES];
    char idle_before[64];
    struct idle idle;
    char idle_behind[64];
    struct stack_pool stacks;

    char tasks_before[64]; /* from here to live, likewise */
    struct lock tasks_lock;
    struct task_slab *slabs;
    struct node *free_tasks, *last_free_task; /* the last one: in debug mode */
    unsigned free_task_count, task_count;     /* under tasks_lock, like the lists */
    bool over;                                /* under tasks_lock: only handles keep the memory */
    _Atomic uint64_t next_id;

    _Atomic uint32_t live; /* tasks that have not ended; a futex once closing */
    char tasks_behind[64];
    _Atomic uint32_t closing;  /* main is over: no more spawns from outside */
    _Atomic uint32_t failing;  /* the grace is over: every wait fails */
    _Atomic uint32_t phase;    /* enum phase and a count; a futex */
    _Atomic uint32_t use;      /* enum use */
    _Atomic uint32_t spawners; /* threads that are no workers, inside a spawn */
    struct inject pass;        /* what may run once although it is paused */
    bool passing;              /* it does: written while all workers rest, read by them */

    pthread_mutex_t run_mutex;
    struct cell *runner; /* of the thread inside a run: a stop ends its wait */
    bool stop_asked;
    bool pauses;     /* when this run ends */
    bool deadlocked; /* it was ended as nothing could happen any more */

    _Atomic uint32_t fruitless_wakes; /* workers that were woken and found nothing */
    _Atomic uint32_t trial; /* the sentinel may run one hog: set by the monitor, taken by it */
    _Atomic int64_t sentinel_until; /* when the sentinel will wake by itself; INT64_MIN: no one */
    _Atomic(struct worker *) sentinel;
    _Atomic uint32_t peers_bound;   /* spares have been started: there are peers at W = 1 too */
    _Atomic uint32_t stuck_workers; /* as the monitor last counted */

    pthread_t monitor;
    _Atomic uint32_t monitor_word; /* futex: bumped to call the monitor */
    _Atomic uint32_t monitor_asleep;
    _Atomic uint32_t monitor_rests;   /* in which phase; a futex */
    _Atomic uint32_t monitor_reports; /* it is in the report hook; other monitors look (quiet.c) */
    bool quiet_known;                 /* this standstill has been reported: */
    uint64_t quiet_moves;
    _Atomic uint64_t spares_started, kicks;

    _Atomic uint32_t outsiders;  /* threads that are no workers, inside a wake or a cancel */
    _Atomic uint32_t dismantled; /* the threads have gone: what they had goes next */
    _Atomic uint32_t pinned_threads;
    _Atomic uint32_t pinned_at_work; /* of those, not in a wait; a futex while pausing */
    _Atomic uint32_t pinned_timed;   /* in a wait with a deadline, which no port knows */
    _Atomic uint32_t
        pinned_not_gone; /* of those, and of who has ended since, who is not through; a futex */
    struct crew *blocking;
    struct pirn_runtime *next_runtime; /* the registry's */
    struct pirn_awaitable *awaited;    /* under run_mutex: what a SIGINT or SIGTERM cancels */
    bool end_served;                   /* under run_mutex */
    /* Which of them came first; above the low byte when, in ms. Handlers set it, the monitor
     * serves. */
    _Atomic int64_t end_signal;
    _Atomic uint32_t dump_hits; /* handlers count, the monitor serves */
    _Atomic uint64_t signals;   /* a bit for each that came and has a handler */
};

static inline struct worker *rt_worker(struct pirn_runtime *rt, unsigned i)
{
    return rt->workers[i]; /* i < thread_count, which was read with acquire */
}

static inline enum phase phase_of(uint32_t word)
{
    return (enum phase)(word & PHASE_BITS);
}

/* acquire: pairs with the releases in pause.c */
static inline enum phase rt_phase(const struct pirn_runtime *rt)
{
    return phase_of(atomic_load_explicit(&rt->phase, memory_order_acquire));
}

static inline enum use rt_use(const struct pirn_runtime *rt)
{
    /* acquire: pairs with the release of who closed it */
    return (enum use)atomic_load_explicit(&rt->use, memory_order_acquire);
}

/* Around what a thread that is no worker does with workers and ports: they are not taken down
 * before it is through. It begins while some task keeps the runtime alive. */
static inline void rt_outsider_enter(struct pirn_runtime *rt)
{
    atomic_fetch_add_explicit(&rt->outsiders, 1, memory_order_relaxed);
}

static inline void rt_outsider_leave(struct pirn_runtime *rt)
{
    /* release: pairs with the acquire in stop_workers; our last access */
    atomic_fetch_sub_explicit(&rt->outsiders, 1, memory_order_release);
}

/* The same for who knows of no such task: false, they have been taken down; or are a fork's
 * parent's, whose threads and locks did not come along. */
static inline bool rt_outsider_try_enter(struct pirn_runtime *rt)
{
    /* seq_cst, both: pairs with stop_workers, which says so and then looks for outsiders */
    atomic_fetch_add_explicit(&rt->outsiders, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&rt->dismantled, memory_order_seq_cst) == 0 && rt->pid == getpid())
        return true;
    rt_outsider_leave(rt);
    return false;
}

static inline bool rt_is_closing(const struct pirn_runtime *rt)
{
    return atomic_load_explicit(&rt->closing, memory_order_relaxed) != 0;
}

static inline unsigned rt_threads(struct pirn_runtime *rt)
{
    /* acquire: pairs with the release in pirn_spare_start */
    return atomic_load_explicit(&rt->thread_count, memory_order_acquire);
}

/* One line to the program's report hook, or stderr. Not under a lock that the hook could want. What
 * a hook makes pirn report goes to stderr. */
void pirn_report(struct pirn_runtime *rt, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Once: why there was no stack for a task. */
void pirn_report_shortage(struct pirn_runtime *rt);

/* life.c: makes a runtime, paused, its threads on their way to their rest (call: the public name,
 * for debug mode); ends its threads, when no task is left. */
int pirn_runtime_start(const char *call, struct pirn_runtime **ret_rt, const pirn_config *config);
void pirn_runtime_stop_threads(struct pirn_runtime *rt);
/* Gives back what is free of its memory; its owner is through with it, and the memory goes when no
 * task is referred to any more; now. */
void pirn_runtime_shrink(struct pirn_runtime *rt);
void pirn_runtime_retire(struct pirn_runtime *rt);
void pirn_runtime_dispose(struct pirn_runtime *rt);

/* runtime.c: a run, by a thread that has set use to USE_RUN. a NULL: until stopped. pauses: the
 * runtime is to be paused again afterwards. 0 and what it said, or -EINTR: stopped. */
int pirn_runtime_run(struct pirn_runtime *rt, struct pirn_awaitable *a, bool pauses,
                     int *ret_status);
/* The same for a new task. */
int pirn_runtime_run_fn(struct pirn_runtime *rt, const pirn_spawn_config *config, pirn_fn fn,
                        void *arg, bool pauses, int *ret_status, void *site);
/* Ends the present run, or the next one. */
void pirn_runtime_ask_stop(struct pirn_runtime *rt);
/* The monitor: ends the present run, with -EDEADLK. */
void pirn_runtime_end_deadlock(struct pirn_runtime *rt);
/* Cancels all tasks, lets them run to their ends, and ends the threads. False: some would not end;
 * they were named, and have what they need. By a thread that has set use. */
bool pirn_runtime_end(struct pirn_runtime *rt);

/* pause.c */
void pirn_pause_begin(struct pirn_runtime *rt);
void pirn_wait_for_rest(struct pirn_runtime *rt); /* returns when no coroutine runs any more */
void pirn_resume(struct pirn_runtime *rt);
void pirn_pass(struct pirn_runtime *rt); /* paused: each task that is ready runs once */
void pirn_phase_end(struct pirn_runtime *rt);
/* A worker's rest: NULL when it is over, or a task that may run all the same. */
struct pirn_task *pirn_worker_rest(struct worker *w);
void pirn_worker_gone(struct worker *w); /* its thread ends, and will not rest any more */
void pirn_monitor_rest(struct pirn_runtime *rt, uint32_t phase);
void pirn_pinned_enter(
    struct pirn_runtime *rt); /* before it runs its task, or goes on after a wait */
void pirn_pinned_leave(struct pirn_runtime *rt);

/* monitor.c */
int pirn_monitor_start(struct pirn_runtime *rt);
void pirn_monitor_stop(struct pirn_runtime *rt);
void pirn_monitor_call(struct pirn_runtime *rt);               /* wakes it now; async-signal-safe */
static inline void pirn_monitor_rouse(struct pirn_runtime *rt) /* it may sleep no longer */
{
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in sleep_until_called */
    if (atomic_load_explicit(&rt->monitor_asleep, memory_order_relaxed) != 0)
        pirn_monitor_call(rt);
}

/* spare.c */
struct worker *pirn_spare_start(struct pirn_runtime *rt, enum role role);
struct worker *pirn_worker_new(struct pirn_runtime *rt, enum role role);

/* pinned.c */
int pirn_pinned_start(struct pirn_task *t);
/* All tasks have ended: until their threads have nothing more to do with the runtime. */
void pirn_pinned_wait_gone(struct pirn_runtime *rt);

/* blocking.c */
int pirn_blocking_init(struct pirn_runtime *rt);
void pirn_blocking_stop(struct pirn_runtime *rt); /* its threads have gone */
void pirn_blocking_destroy(struct pirn_runtime *rt);

/* dump.c */
void pirn_dump_to(struct pirn_runtime *rt, FILE *out);

static inline bool worker_has_peers(const struct worker *w)
{
    return w->rt->worker_count > 1 ||
           atomic_load_explicit(&w->rt->peers_bound, memory_order_relaxed) != 0;
}

#endif
