/*
 * A worker: one thread that runs coroutines, with its own run queue, port and free lists.
 *
 * Roles
 *   PRIMARY     one per granted CPU, for the life of the runtime
 *   SUBSTITUTE  a spare that runs everything, while a primary is stuck
 *   SENTINEL    a spare that runs only coroutines that were woken and are not known to hog a
 *               worker; it is there while every primary is stuck, and is not stolen from
 *   RETIRED     a spare nobody needs: asleep in its ring, which may still have requests; what
 *               completes there it hands to the others
 *   GONE        a retired spare whose thread has ended, which it does after a while if no request
 *               of its can be under way; ring and struct stay, a new thread can take them up
 * The monitor alone changes roles (monitor.c), but for RETIRED -> GONE, which is the thread's own
 * (by compare-and-swap, so that the monitor cannot miss it).
 *
 * Field                        written by      read by
 * current                      owner           owner; monitor, dumps (worker_seen_current)
 * left, budget, pass, now, ... the owner       the owner
 * tick                         owner           monitor, peers: unchanged means stuck
 * role, stuck                  monitor         owner, peers
 * attention                    monitor         owner
 * q, port, parker              see their headers
 * counters                     owner           anybody (relaxed)
 */
#ifndef PIRN_RUNTIME_WORKER_H
#define PIRN_RUNTIME_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/port.h"
#include "runtime/fiber.h"
#include "runtime/stack.h"
#include "runtime/task.h"
#include "sched/idle.h"
#include "sched/runq.h"

enum role {
    ROLE_PRIMARY,
    ROLE_SUBSTITUTE,
    ROLE_SENTINEL,
    ROLE_RETIRED,
    ROLE_GONE
};
enum stuck {
    STUCK_NOT,
    STUCK_SPINNING,
    STUCK_BLOCKED
};
enum {
    ATTENTION_HOG = 1,  /* the task it runs has kept others waiting */
    ATTENTION_LOOK = 2, /* go to the scheduler at the next switch */
    ATTENTION_DEBUG = 4 /* always, in debug mode: steps are timed (debug.c) */
};
enum after {
    AFTER_ROTATE, /* a yield in the common case: the run queue is entered, and has room */
    AFTER_NOTHING,
    AFTER_YIELD,
    AFTER_PAUSE, /* a yield that keeps the strand */
    AFTER_PARK,
    AFTER_END
};
enum {
    AFTER_MASK = 7 /* a task's address has room for them */
};

enum {
    TURN = 8 /* of a stride: what anything but a plain yield uses up (worker.c) */
};

struct worker_counters {
    _Atomic uint64_t steals, parks, wakes, wakes_in_kernel, rescues, spawns;
};

struct worker {
    /* The switch's own line: touched at every switch. */
    struct pirn_task *current;
    void *sched_sp; /* between the two: gcc would pair their stores through a vector */
    uintptr_t left; /* who switched away last, and why (enum after): for finish_switch */
    struct pirn_runtime *rt;
    _Atomic uint64_t tick;
    int budget;         /* of the stride: what is left before the scheduler looks at the world */
    unsigned slot_runs; /* tasks in a row from the queue's slot */
    bool searching;     /* counted in idle.searching */
    bool took;          /* has taken a batch from an inject queue: maybe more than it can run */
    unsigned park_how;
    uint32_t park_gen;
    _Atomic uint32_t attention; /* ATTENTION_* */
    uint32_t born_tail;         /* the ring's tail when a task last began here, */
    uint64_t born_tick;         /* and the tick */

    struct runq q;
    struct port port;
    struct stack_cache stacks;
    struct node *free_tasks; /* descriptors */
    unsigned free_task_count, free_tasks_max;
    uint64_t next_id, last_id; /* ids set aside for this worker */
    _Atomic unsigned credit;   /* live tasks counted in advance; its own, read by a dump */
    struct stack *dead_stack;  /* of a task that has ended, until it has been switched away from */
    void *dead_sp;

    int64_t now;                   /* the clock at the last look */
    int64_t lone_wake, lone_pause; /* queue.c: when it last woke somebody for a single task */
    uint32_t fruitless_seen;
    bool woken;  /* and has not found anything yet */
    bool slept;  /* in the kernel, since the last look */
    bool handed; /* what that brought has gone to a peer */
    bool spared; /* wakes nobody as it is calm; to be thought of again if it is not */
    int64_t stride_began;
    int64_t aged_at;    /* find.c: when the queue's age was last looked at, */
    unsigned ages;      /* and how often */
    int64_t step_began; /* debug mode: when current was switched to */
    uint64_t stride_tick;
    int stride;
    _Atomic uint64_t pass;    /* the scheduler's looks; monitor reads it */
    _Atomic int64_t looked;   /* `now`, for peers (pace.c, as the next three; owner) */
    _Atomic int64_t ran_long; /* when a stride last took much longer than it ought to */
    _Atomic int64_t idle_at;  /* when its queue was last empty */
    _Atomic uint32_t each_ns; /* from switch to switch, in the last stride */
    bool apart; /* the owner's alone, as what follows: its last stride contended for locks */
    int64_t talks_until; /* for that it is talking until then */
    unsigned woken_here; /* in this stride: tasks woken by others, */
    unsigned fetched;    /* of those, parked by a peer, */
    unsigned contended;  /* locks of channels and queues not had at once */
    uint32_t random;
    int64_t watch_until; /* crowd.c, with what follows */
    long sampled_losses;
    int64_t sampled, sampled_cpu; /* when the thread's CPU time was looked at, and what it was */
    bool cpu_known; /* that says how long it has waited since then: it has not slept */

    /* Who searches reads these of everybody, and they seldom change: what the owner writes often is
     * on other lines (perf/simulate/main.c). */
    char peers_before[64];
    _Atomic uint32_t role, stuck;
    unsigned index;
    _Atomic bool talks; /* the owner, in pace.c: its tasks had better stay together */
    char parker_before[64];
    struct parker parker;
    /* The owner is in the system call that wakes somebody (queue.c). Relaxed, as talks: thieves
     * take it for a hint. */
    _Atomic bool waking;
    char parker_behind[64];

    _Atomic uint32_t rests; /* in which phase (pause.c): the owner; a futex of the pauser's */
    _Atomic int tid;        /* 0 until the thread runs */
    pthread_t thread;
    struct submitter submitter; /* its thread's */
    bool lingered;              /* retired, and has waited long enough */
    bool foreign_requests;      /* has submitted in others' ports: its thread must stay */
    bool joinable;              /* the thread was started; whoever started it, before others look */
    /* The monitor's: what it last saw (UINT64_MAX: nothing yet, or, a tick: it was away), since
     * when it has seen that tick and nothing else (a dump reads the two), which task it has seen
     * there; the tick of the last step it has told of (debug mode). The thread's CPU time at that
     * look, and looks in a row that found it parked; stuck; blocked; at work and well. */
    _Atomic uint64_t monitor_tick;
    _Atomic int64_t monitor_since;
    uint64_t monitor_pass, monitor_told;
    struct pirn_task *monitor_task;
    int64_t monitor_cpu;
    unsigned monitor_idle, monitor_stuck, monitor_blocked, monitor_busy;

    char before[64]; /* thieves write here often: on a line of its own, whatever the alignment */
    _Atomic uint64_t eyed;        /* what they last saw of a single task here, */
    _Atomic unsigned eyed_runs;   /* and how often in a row (steal.c), */
    _Atomic uint64_t eyed_spawns; /* and how many it had spawned */
    char behind[64];

    struct worker_counters n;
#if defined(PIRN_TSAN)
    void *fiber, *dead_fiber;
#endif
#ifdef PIRN_ASAN
    const void *stack_low;
    size_t stack_size;
#endif
};

/* ---- From tasks ---- */

/* A call that did not suspend: true when it is time to give way. */
static inline bool pirn_worker_charge(struct worker *w)
{
    return (w->budget -= TURN) < 0;
}

/* What pirn_yield does. */
int pirn_worker_yield_current(void);
/* The current task gives way / parks until its cell is claimed / is over. */
void pirn_worker_yield(struct worker *w);
/* The current task gives way to this worker's others, but keeps its strand for a while
 * (strand.c). */
void pirn_worker_pause(struct worker *w);
void pirn_worker_park(struct worker *w, struct pirn_task *t, uint32_t gen, unsigned how);
_Noreturn void pirn_worker_end(struct worker *w, struct stack *stack, void *fiber);

/* Starts an operation, or arms a deadline, in this worker's port. */
int pirn_worker_start(struct worker *w, struct op *op, uint32_t gen, int64_t deadline);
int pirn_worker_arm(struct worker *w, struct op *op, enum op_state state, uint32_t gen,
                    int64_t deadline);

/* ---- From any thread ---- */

/* A claimed task becomes runnable. */
void pirn_worker_ready(struct pirn_task *t);
void pirn_worker_ready_here(struct worker *w, struct pirn_task *t); /* w: this thread's, or NULL */
/* A new task does. */
void pirn_worker_launch(struct pirn_task *t);
/* Starts an operation for a thread that has no port (a pinned task's). */
int pirn_worker_start_foreign(struct pirn_runtime *rt, struct op *op, uint32_t gen,
                              int64_t deadline);
/* Arms an OP_GUARD for a thread that has no port. */
int pirn_worker_arm_foreign(struct pirn_runtime *rt, struct op *op, uint32_t gen, int64_t deadline);
/* Arms an OP_CALL in a port of the runtime, or moves it there: 0, 1 if it was armed, -ENOMEM,
 * -ESHUTDOWN; and takes one back, for a thread that is no worker of the runtime's: was it armed?
 * Both while it ends, too. */
int pirn_worker_call_at(struct pirn_runtime *rt, struct op *op, int64_t deadline);
bool pirn_worker_call_off(struct pirn_runtime *rt, struct op *op);
/* Somebody's port has a cancel to submit: does it here if this thread may, or has it done. */
void pirn_worker_flush_foreign(struct pirn_runtime *rt, struct port *port);

/* ---- The scheduler's parts ---- */

void *pirn_worker_main(void *worker);
/* On pirn's own threads a write to a broken pipe is -EPIPE and nothing else. */
void pirn_worker_block_sigpipe(void);
void pirn_worker_be_prompt(void);
/* How many kernel threads may do its I/O. */
unsigned pirn_worker_helpers(const struct pirn_runtime *rt);
int pirn_worker_init(struct worker *w, struct pirn_runtime *rt, unsigned index, enum role role);
void pirn_worker_destroy(struct worker *w);

/* Takes from a peer (steal.c), slots as well if told to: true if something may be in w's queue now.
 * Has v something that w might take? */
bool pirn_worker_steal(struct worker *w, bool take_slots);
bool pirn_worker_is_prey(struct worker *v, const struct worker *w);

/* Next task to run, or NULL at the end of the runtime (find.c). */
struct pirn_task *pirn_worker_find(struct worker *w);

/* Pace (pace.c): begins a stride; will w be through with what it has in no time? Does a peer that
 * will take over w's queue? Is there a peer that is at work and has not said that it parks? Do w's
 * tasks talk to each other and are better left together? Is v to be left alone for that, by a
 * thief? */
void pirn_worker_begin_stride(struct worker *w);
bool pirn_worker_is_calm(const struct worker *w, int64_t now);
bool pirn_worker_hand_over(struct worker *w);
bool pirn_worker_is_talking(const struct worker *w);
bool pirn_worker_is_together(const struct worker *v, const struct worker *w);
bool pirn_worker_has_peer_awake(const struct worker *w);
static inline void worker_note_idle(struct worker *w)
{
    atomic_store_explicit(&w->idle_at, w->now, memory_order_relaxed);
}
/* w is about to run something that is known to run for long. */
static inline void worker_note_long(struct worker *w)
{
    atomic_store_explicit(&w->ran_long, w->now, memory_order_relaxed);
}

/* A task that has not run ends (find.c). */
void pirn_worker_end_unrun(struct worker *w, struct pirn_task *t, int status);
/* A task that has not run yet gets a stack. False: it ended instead. */
bool pirn_worker_bind(struct worker *w, struct pirn_task *t);

/* From the local queue, its stack bound; NULL: empty. */
struct pirn_task *pirn_worker_next_local(struct worker *w);

/* Puts a task at the end of w's queue, overflow to the inject queue: a new arrival, for which an
 * idle worker may be woken; or one that has just had its turn. */
void pirn_worker_enqueue(struct worker *w, struct pirn_task *t);
void pirn_worker_requeue(struct worker *w, struct pirn_task *t);
/* Into w's own ring, whatever the role: it has been chosen to run here. */
void pirn_worker_accept(struct worker *w, struct pirn_task *t);

/* Collects and flushes a peer's port (rescue.c): true if anything became runnable, or is there to
 * be collected now. */
bool pirn_worker_serve(struct worker *w, struct worker *peer);
bool pirn_worker_serve_peers(struct worker *w, bool idle);
bool pirn_worker_serve_self(struct worker *w);
/* Until when a worker that parks may sleep: its own next deadline, and those of stuck peers. */
int64_t pirn_worker_wake_time(const struct worker *w);

/* Wakes one parked worker if nobody is searching. True: somebody is up and looking. */
bool pirn_wake_one(struct pirn_runtime *rt);
void pirn_sentinel_wake(struct pirn_runtime *rt);
/* A task from outside any worker: into the inject queue, and somebody woken. */
void pirn_inject_task(struct pirn_runtime *rt, struct pirn_task *t);

/* The owner alone writes `current`, and reads it as it is; by this others may look at it. */
static inline void worker_set_current(struct worker *w, struct pirn_task *t)
{
    __atomic_store_n(&w->current, t, __ATOMIC_RELAXED);
}

/* Any thread: a descriptor, maybe of a task that has been left or is over by now. */
static inline struct pirn_task *worker_seen_current(const struct worker *w)
{
    return __atomic_load_n(&w->current, __ATOMIC_RELAXED);
}

static inline enum role worker_role(const struct worker *w)
{
    return (enum role)atomic_load_explicit(&w->role, memory_order_relaxed);
}

static inline enum stuck worker_stuck(const struct worker *w)
{
    return (enum stuck)atomic_load_explicit(&w->stuck, memory_order_relaxed);
}

static inline bool worker_is_away(const struct worker *w) /* asleep, or about to be */
{
    return atomic_load_explicit(&w->parker.state, memory_order_relaxed) != PARKER_AWAKE;
}

static inline unsigned worker_credit(const struct worker *w)
{
    return atomic_load_explicit(&w->credit, memory_order_relaxed);
}

static inline void worker_set_credit(struct worker *w, unsigned credit) /* by the owner alone */
{
    atomic_store_explicit(&w->credit, credit, memory_order_relaxed);
}

static inline void count_one(_Atomic uint64_t *counter) /* by the owner alone */
{
    uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, v + 1, memory_order_relaxed);
}

#endif
