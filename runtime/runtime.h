/*
 * A runtime: its workers, spares, queues, pools, and the state of its life.
 *
 * Field                 written by                    read by
 * config, mem, worker_count, max_threads  at start    all
 * workers[i]            start and monitor (release: thread_count)   all
 * thread_count          monitor                       all (acquire)
 * live                  spawn, end of a task          all
 * closing, failing, stopping   the caller of pirn_run all
 * sentinel_until        the sentinel                  who arms an earlier deadline
 * descriptors           under tasks_lock              walkers, under tasks_lock
 */
#ifndef PIRN_RUNTIME_RUNTIME_H
#define PIRN_RUNTIME_RUNTIME_H

#include <pirn.h>
#include <stdatomic.h>

#include "io/mem.h"
#include "runtime/worker.h"
#include "sched/idle.h"
#include "sched/inject.h"

struct task_slab;
struct blocking_pool;

/* Which inject queue: what the sentinel runs; what it runs on trial only (woken, but known to keep
 * workers busy); what it never runs (not yet started). */
enum lane {
    LANE_LIGHT,
    LANE_HOG,
    LANE_FRESH,
    LANES
};

enum {
    MONITOR_TICK_US = 5000,
    FD_OPS = 4096 /* counters of operations under way, by descriptor modulo this */
};

struct pirn_runtime {
    pirn_config config;
    struct mem mem;
    pid_t pid; /* a fork's child has the memory, not the workers */
    unsigned worker_count;
    unsigned max_threads;
    struct worker **workers; /* primaries, then spares as they come; max_threads places */
    _Atomic uint32_t thread_count;

    struct inject inject[LANES];
    struct idle idle;
    struct stack_pool stacks;

    struct lock tasks_lock;
    struct task_slab *slabs;
    struct node *free_tasks;
    unsigned free_task_count, task_count; /* under tasks_lock, like the lists */
    bool over;                            /* under tasks_lock: only handles keep the memory */
    _Atomic uint64_t next_id;

    _Atomic uint32_t live;     /* tasks that have not ended; a futex once closing */
    _Atomic uint32_t closing;  /* main is over: no more spawns from outside */
    _Atomic uint32_t failing;  /* the grace is over: every wait fails */
    _Atomic uint32_t stopping; /* workers go home */

    _Atomic uint32_t fruitless_wakes; /* workers that were woken and found nothing */
    _Atomic uint32_t trial; /* the sentinel may run one hog: set by the monitor, taken by it */
    _Atomic int64_t sentinel_until; /* when the sentinel will wake by itself; INT64_MIN: no one */
    _Atomic(struct worker *) sentinel;
    _Atomic uint32_t peers_bound;   /* spares have been started: there are peers at W = 1 too */
    _Atomic uint32_t stuck_workers; /* as the monitor last counted */

    pthread_t monitor;
    _Atomic uint32_t monitor_word; /* futex: bumped to call the monitor */
    _Atomic uint32_t monitor_asleep;
    _Atomic uint64_t spares_started, kicks;

    _Atomic uint32_t fd_ops[FD_OPS]; /* whether a close has operations to end first */
    _Atomic uint32_t outsiders;      /* threads that are no workers, inside a wake or a cancel */
    _Atomic uint32_t pinned_threads;
    struct blocking_pool *blocking;
    struct pirn_runtime *next_runtime;       /* the registry's */
    _Atomic(struct pirn_task *) main_task;   /* set once, before the first SIGINT counts */
    _Atomic uint32_t sigint_hits, dump_hits; /* signal handlers count, the monitor serves */
    bool sigint_served;                      /* the monitor's */
};

static inline struct worker *rt_worker(struct pirn_runtime *rt, unsigned i)
{
    return rt->workers[i]; /* i < thread_count, which was read with acquire */
}

/* Around what a thread that is no worker does with workers and ports: they are not taken down before
 * it is through. It begins while some task keeps the runtime alive. */
static inline void rt_outsider_enter(struct pirn_runtime *rt)
{
    atomic_fetch_add_explicit(&rt->outsiders, 1, memory_order_relaxed);
}

static inline void rt_outsider_leave(struct pirn_runtime *rt)
{
    /* release: pairs with the acquire in stop_workers; our last access */
    atomic_fetch_sub_explicit(&rt->outsiders, 1, memory_order_release);
}

static inline _Atomic uint32_t *rt_fd_ops(struct pirn_runtime *rt, int fd)
{
    return &rt->fd_ops[(uint32_t)fd % FD_OPS];
}

static inline unsigned rt_threads(struct pirn_runtime *rt)
{
    /* acquire: pairs with the release in pirn_spare_start */
    return atomic_load_explicit(&rt->thread_count, memory_order_acquire);
}

/* One line to the program's report hook, or stderr. */
void pirn_report(struct pirn_runtime *rt, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* pirn_run is through with it. The memory is kept while tasks are referred to. */
void pirn_runtime_retire(struct pirn_runtime *rt);
void pirn_runtime_free(struct pirn_runtime *rt);

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

/* blocking.c */
int pirn_blocking_init(struct pirn_runtime *rt);
void pirn_blocking_destroy(struct pirn_runtime *rt);
unsigned pirn_blocking_threads(struct pirn_runtime *rt);

/* dump.c */
void pirn_dump_to(struct pirn_runtime *rt, FILE *out);

static inline bool worker_has_peers(const struct worker *w)
{
    return w->rt->worker_count > 1 ||
           atomic_load_explicit(&w->rt->peers_bound, memory_order_relaxed) != 0;
}

#endif
