/*
 * The monitor: a thread that sees to it that nothing waits for a stuck worker.
 *
 * Every 5 ms, while any worker is awake, it looks at all of them. One whose tick and pass stand
 * still since the last look is stuck: spinning if its thread has used the time or waits for a core,
 * blocked if it sleeps in the kernel. Its task is a hog, unless it was the thread that got no core.
 * Then, if something waits there or in the inject queues:
 *
 *   - a worker that is awake and well serves stuck peers at every pass (worker->stuck tells it)
 *   - a parked worker is woken
 *   - all primaries stuck: the sentinel is started or woken. It runs only what was woken and is not
 *     known to hog, so that it stays well itself
 *   - a hog that was woken and waits (it may have reformed): the sentinel may try one per look, as
 *     long as fewer than 3W threads are unblocked
 *   - work nobody may run (never started, or known hogs): a substitute, as long as fewer than W
 *     threads are unblocked, or fewer than 2W if all of those spin. One that has been seen blocked
 *     for less than SURE_TICKS still counts towards the 2W: it may be in a page fault, or wait for
 *     a lock all compute with. So any number of blocked coroutines up to max_spares, and 2W
 *     spinners at once; the rest queue
 *   - where some thread has been at work and well for 50 ms on end, it may have work for ever and
 *     never come to steal: what waits behind one that was stuck all that time goes to the inject
 *     queues, of which everybody takes a share at each look. (Not where all compute: taken again
 *     behind another hog and brought back here, and so on, a task would never run.)
 *   - where somebody spins, and a ring, his own or one that he submitted to for a peer, holds back
 *     completions (TASKRUN), he is made to post them by membarrier
 *
 * A worker that moves from task to task but has not looked at its rings since the last tick (a
 * stride that turned out long) is asked to look.
 *
 * Idle: when two looks in a row find everybody parked it sleeps until a worker wakes
 * (monitor_asleep; the worker's parker state and this flag are each other's Dekker pair: who takes
 * a parker out of its sleep, its owner or its waker, looks at the flag afterwards).
 *
 * It also does what signal handlers must not: cancels main on SIGINT and SIGTERM, dumps on request,
 * spawns what runs for a signal; and it gives up the memory of stacks that have been free for long
 * (decay.c). Before it goes to sleep for long it finds out whether anybody will
 * ever wake it (quiet.c). And in debug mode it tells of steps that do not end.
 */
#include <errno.h>
#include <limits.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>

#include "io/clock.h"
#include "io/sys.h"
#include "runtime/debug.h"
#include "runtime/quiet.h"
#include "runtime/runtime.h"
#include "runtime/signals.h"

enum {
    RETIRE_AFTER_TICKS = 4,
    STAYS_TICKS = 40,
    LONG_TICKS = 10, /* stuck, or busy */
#ifdef PIRN_TSAN
    SURE_TICKS = 16, /* all wait while it resets its clocks: 25 ms, on a busy machine */
#else
    SURE_TICKS = 4, /* 20 that block at once at W = 1: 240 ms; 195 at 2 */
#endif
    RELIEF_MOST = 64,
    HOGGED_NS = 1000000,
    QUIET_NAP_NS = 50000000,  /* between looks whether nothing can happen any more, in debug mode */
    QUIET_REST_NS = 250000000 /* before the only one otherwise */
};

/* Looks in a row */
struct calm {
    unsigned well;     /* with a primary that is well */
    unsigned unhogged; /* with nobody stuck but for want of a core */
};

struct look {
    unsigned awake, well_primaries, parked_primaries;
    unsigned unblocked; /* primaries and substitutes that are not blocked */
    unsigned spinning;  /* of those, stuck in user code */
    unsigned maybe;     /* blocked, but not for SURE_TICKS yet */
    unsigned stuck;
    bool light_waits, heavy_waits, hogs_wait, spares;
    bool spins, held_back;      /* somebody, somewhere */
    bool hogged;                /* somebody is stuck, and not for want of a core */
    bool long_busy, long_stuck; /* somebody is */
    struct worker *sentinel;    /* the one that is well */
};

/* Is the thread running or runnable (as opposed to asleep in a system call)? */
static bool is_runnable(const struct worker *w)
{
    char path[64], text[512];
    int tid = atomic_load_explicit(&w->tid, memory_order_relaxed);
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false; /* no /proc: take it for blocked; max_spares bounds what follows */
    ssize_t n = sys_read(fd, text, sizeof(text) - 1);
    sys_close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    const char *end_of_name = strrchr(text, ')');
    return end_of_name != NULL && end_of_name[1] == ' ' && end_of_name[2] == 'R';
}

static int64_t cpu_time(const struct worker *w)
{
    clockid_t clock;
    return pthread_getcpuclockid(w->thread, &clock) == 0 ? clock_ns(clock) : 0;
}

/* At the next look nobody counts as having stood still since the one before. */
static void forget_passes(struct pirn_runtime *rt)
{
    unsigned n = rt_threads(rt);
    for (unsigned i = 0; i < n; i++)
        rt_worker(rt, i)->monitor_pass = UINT64_MAX;
}

static enum stuck examine(struct worker *w, int64_t now, bool *ret_hogged)
{
    uint64_t tick = atomic_load_explicit(&w->tick, memory_order_relaxed);
    uint64_t pass = atomic_load_explicit(&w->pass, memory_order_relaxed);
    bool moved = tick != atomic_load_explicit(&w->monitor_tick, memory_order_relaxed);
    bool away = worker_is_away(w), looked = pass != w->monitor_pass;
    int64_t cpu = away ? w->monitor_cpu : cpu_time(w), used = cpu - w->monitor_cpu;
    bool was_away = w->monitor_idle != 0; /* and has woken since, however long ago that look was */
    /* NULL: its first step may have begun since, of the same tick and pass */
    if (moved || looked || away || was_away || w->monitor_task == NULL) {
        atomic_store_explicit(&w->monitor_since, now, memory_order_relaxed);
        w->monitor_task = worker_seen_current(
            w); /* of this step, if the tick is still this one at the next look */
    }
    w->monitor_cpu = cpu;
    /* Away: what it runs when it wakes will be of the same tick, and new all the same. */
    atomic_store_explicit(&w->monitor_tick, away ? UINT64_MAX : tick, memory_order_relaxed);
    w->monitor_pass = pass;
    w->monitor_idle = away ? w->monitor_idle + 1 : 0;
    if (away || was_away || looked || atomic_load_explicit(&w->tid, memory_order_relaxed) == 0)
        return STUCK_NOT;
    if (moved) {
        atomic_fetch_or_explicit(&w->attention, ATTENTION_LOOK, memory_order_relaxed);
        return STUCK_NOT;
    }
    enum stuck stuck = used >= HOGGED_NS || is_runnable(w) ? STUCK_SPINNING : STUCK_BLOCKED;
    *ret_hogged = used >= HOGGED_NS || stuck == STUCK_BLOCKED;
    return stuck;
}

static void look_at(struct worker *w, int64_t now, struct look *l)
{
    enum role role = worker_role(w);
    bool hogged = false;
    if (role == ROLE_GONE) { /* whatever its thread was at when it was last looked at */
        w->monitor_stuck = w->monitor_blocked = w->monitor_busy = 0;
        atomic_store_explicit(&w->stuck, STUCK_NOT, memory_order_relaxed);
        return;
    }
    enum stuck before = worker_stuck(w), stuck = examine(w, now, &hogged);
    if (role == ROLE_SENTINEL && !hogged)
        stuck = STUCK_NOT; /* at most in want of a core, which another one would be too */
    l->hogged |= hogged;
    l->spins |= stuck == STUCK_SPINNING;
    l->held_back |= pirn_port_holds_back(&w->port); /* by who submitted: a peer, perhaps */
    w->monitor_stuck = stuck != STUCK_NOT ? w->monitor_stuck + 1 : 0;
    w->monitor_blocked = stuck == STUCK_BLOCKED ? w->monitor_blocked + 1 : 0;
    w->monitor_busy = stuck != STUCK_NOT || worker_is_away(w) ? 0 : w->monitor_busy + 1;
    l->long_stuck |= w->monitor_stuck >= LONG_TICKS;
    l->long_busy |= w->monitor_busy >= LONG_TICKS;
    if (stuck != before)
        atomic_store_explicit(&w->stuck, (uint32_t)stuck, memory_order_relaxed);
    if (!worker_is_away(w))
        l->awake++;
    if (stuck != STUCK_NOT) {
        l->stuck++;
        if (hogged)
            atomic_fetch_or_explicit(&w->attention, ATTENTION_HOG, memory_order_relaxed);
        l->light_waits |= pirn_port_is_due(&w->port, now);
        if (pirn_runq_size(&w->q) != 0 || pirn_runq_slot(&w->q) != NULL)
            l->light_waits = l->heavy_waits = l->hogs_wait = true; /* any of them, maybe */
        if (role ==
            ROLE_SENTINEL) /* no use as one any more, and not wanted for more of that kind */
            atomic_store_explicit(&w->role, ROLE_RETIRED, memory_order_relaxed);
    } else if (role == ROLE_SENTINEL) {
        l->sentinel = w;
        l->spares = true;
        return;
    }
    if (role == ROLE_RETIRED && stuck == STUCK_NOT)
        return;
    l->spares |= role != ROLE_PRIMARY;
    if (stuck != STUCK_BLOCKED)
        l->unblocked++;
    else if (w->monitor_blocked < SURE_TICKS)
        l->maybe++;
    if (stuck == STUCK_SPINNING)
        l->spinning++;
    if (role == ROLE_PRIMARY && stuck == STUCK_NOT) {
        l->light_waits |= pirn_runq_size(&w->q) > 1; /* more than it needs: see is_futile */
        l->well_primaries++;
        l->parked_primaries += worker_is_away(w);
    }
}

/* What waits behind those who have been stuck for long: to the inject queues. */
static void relieve(struct pirn_runtime *rt)
{
    struct node *nodes[RELIEF_MOST];
    unsigned threads = rt_threads(rt), n;
    for (unsigned i = 0; i < threads; i++) {
        struct worker *w = rt_worker(rt, i);
        if (w->monitor_stuck < LONG_TICKS)
            continue;
        do {
            n = pirn_runq_steal(&w->q, nodes, RELIEF_MOST, true, NULL);
            if (n == 0)
                n = pirn_runq_steal_brood(&w->q, nodes, RELIEF_MOST);
            for (unsigned k = 0; k < n; k++)
                pirn_inject_task(rt, task_of_node(nodes[k]));
        } while (n != 0);
    }
}

static void have_sentinel(struct pirn_runtime *rt, struct look *l)
{
    if (l->hogs_wait && l->unblocked < 3 * rt->worker_count)
        atomic_store_explicit(&rt->trial, 1, memory_order_relaxed);
    if (l->sentinel == NULL) {
        l->sentinel = pirn_spare_start(rt, ROLE_SENTINEL);
        /* release: pairs with the acquire in tell_sentinel */
        atomic_store_explicit(&rt->sentinel, l->sentinel, memory_order_release);
    } else if (worker_is_away(l->sentinel)) {
        pirn_port_wake(&l->sentinel->port);
    }
}

static void rescue(struct pirn_runtime *rt, struct look *l)
{
    unsigned w = rt->worker_count;
    if (l->stuck == 0) {
        if (l->parked_primaries != 0 && (l->light_waits || l->heavy_waits))
            pirn_wake_one(rt); /* a wake-up a local push may have spared itself (queue.c) */
        return;
    }
    if (l->spins && l->held_back && pirn_remote_fence != NULL && pirn_remote_fence())
        atomic_fetch_add_explicit(&rt->kicks, 1, memory_order_relaxed);
    if (l->parked_primaries != 0 && (l->light_waits || l->heavy_waits))
        pirn_wake_one(rt);
    else if (l->well_primaries == 0)
        have_sentinel(rt, l);
    if (l->heavy_waits && l->parked_primaries == 0 && l->unblocked + l->maybe < 2 * w &&
        (l->unblocked < w || l->spinning == l->unblocked))
        pirn_spare_start(rt, ROLE_SUBSTITUTE);
}

/*
 * Spares that nobody has needed for a while go to sleep for good. A substitute too many that has
 * work goes as well once nobody has computed or blocked for some time: where there is always work
 * it would never run dry, and W workers, one of which once got no core for a moment, would be W + 1
 * from then on.
 */
static void retire_spares(struct pirn_runtime *rt, const struct look *l, const struct calm *calm)
{
    unsigned n = rt_threads(rt), surplus = 0;
    if (l->unblocked > rt->worker_count)
        surplus = l->unblocked - rt->worker_count;
    for (unsigned i = rt->worker_count; i < n; i++) {
        struct worker *w = rt_worker(rt, i);
        bool idle = w->monitor_idle > RETIRE_AFTER_TICKS, awake = w->monitor_idle == 0;
        if (worker_role(w) == ROLE_SENTINEL && calm->well > STAYS_TICKS) {
            atomic_store_explicit(&rt->sentinel, NULL, memory_order_relaxed);
        } else if (worker_role(w) == ROLE_SUBSTITUTE && surplus > 0 &&
                   (idle || (awake && calm->unhogged > STAYS_TICKS))) {
            surplus--;
        } else {
            continue;
        }
        atomic_store_explicit(&w->role, ROLE_RETIRED, memory_order_relaxed);
        pirn_port_wake(&w->port);
    }
}

static bool look(struct pirn_runtime *rt, struct calm *calm)
{
    struct look l = {0};
    int64_t now = clock_now();
    unsigned n = rt_threads(rt);
    for (unsigned i = 0; i < n; i++)
        look_at(rt_worker(rt, i), now, &l);
    atomic_store_explicit(&rt->stuck_workers, l.stuck, memory_order_relaxed);
    if (l.long_busy && l.long_stuck)
        relieve(rt);
    l.light_waits |= pirn_inject_size(&rt->inject[LANE_LIGHT]) != 0;
    l.hogs_wait |= pirn_inject_size(&rt->inject[LANE_HOG]) != 0;
    l.heavy_waits |= l.hogs_wait || pirn_inject_size(&rt->inject[LANE_FRESH]) != 0;
    calm->well = l.well_primaries == 0 ? 0 : calm->well + 1;
    calm->unhogged = l.hogged ? 0 : calm->unhogged + 1;
    rescue(rt, &l);
    if (n > rt->worker_count)
        retire_spares(rt, &l, calm);
    if (rt->debug) /* when all has been done that a report hook might wait for */
        pirn_debug_long_steps(rt, now);
    return l.awake != 0 || l.spares;
}

static bool all_away(struct pirn_runtime *rt)
{
    unsigned n = rt_threads(rt);
    for (unsigned i = 0; i < n; i++) {
        struct worker *w = rt_worker(rt, i);
        uint32_t state = atomic_load_explicit(&w->parker.state, memory_order_relaxed);
        /* One that has been notified is on its way, and leaves it to its waker to call us. */
        if (worker_role(w) < ROLE_RETIRED && (state == PARKER_AWAKE || state == PARKER_NOTIFIED))
            return false;
    }
    return true;
}

/* at_most: NULL for any time, or until stacks are to be given up. True: at_most has passed, and
 * nobody has called. */
static bool sleep_until_called(struct pirn_runtime *rt, uint32_t word,
                               const struct timespec *at_most, int64_t decay)
{
    bool over = false;
    struct timespec left = clock_timespec(clock_left(decay));
    const struct timespec *until = at_most ? at_most : decay != INT64_MAX ? &left : NULL;
    atomic_store_explicit(&rt->monitor_asleep, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in pirn_monitor_rouse */
    if (all_away(rt))
        over = sys_futex_wait(&rt->monitor_word, word, until) == -ETIMEDOUT;
    atomic_store_explicit(&rt->monitor_asleep, 0, memory_order_relaxed);
    return over && at_most;
}

/* All sleep: until when may the monitor? NULL: until it is called. rested: that is so since the
 * last time. */
static const struct timespec *until_next_look(struct pirn_runtime *rt, bool rested)
{
    static const struct timespec nap = {0, QUIET_NAP_NS}, rest = {0, QUIET_REST_NS};
    if (rt->debug || (rt->config.flags & PIRN_DEADLOCK_ENDS) != 0)
        return pirn_quiet_watch(rt) ? &nap : NULL;
    if (!rested)
        return pirn_quiet_may_be(rt) ? &rest : NULL;
    pirn_quiet_watch(rt);
    return NULL;
}

static void *monitor_main(void *arg)
{
    struct pirn_runtime *rt = arg;
    struct timespec tick = clock_timespec((int64_t)MONITOR_TICK_US * 1000);
    struct calm calm = {0};
    unsigned quiet = 0;
    bool rested = false;
    for (;;) {
        /* acquire: pairs with the release in pirn_monitor_call */
        uint32_t word = atomic_load_explicit(&rt->monitor_word, memory_order_acquire);
        uint32_t phase = atomic_load_explicit(&rt->phase, memory_order_acquire);
        if (phase_of(phase) == PHASE_END)
            return NULL; /* acquire: pairs with the release in set_phase */
        bool done = pirn_signals_serve(rt);
        if (phase_of(phase) == PHASE_PAUSE) {
            forget_passes(rt);
            pirn_monitor_rest(rt, phase);
            sys_futex_wait(&rt->monitor_word, word, done ? NULL : &tick);
            continue;
        }
        bool busy = look(rt, &calm) || !done;
        int64_t now = clock_now(), decay = pirn_stacks_decay(&rt->stacks, now);
        quiet = busy || decay <= now ? 0 : quiet + 1;
        if (quiet >= 2) {
            rested = sleep_until_called(rt, word, until_next_look(rt, rested), decay);
            quiet = 0;
        } else {
            sys_futex_wait(&rt->monitor_word, word, &tick);
        }
    }
}

void pirn_monitor_call(struct pirn_runtime *rt)
{
    /* release: pairs with the acquire in monitor_main */
    atomic_fetch_add_explicit(&rt->monitor_word, 1, memory_order_release);
    sys_futex_wake(&rt->monitor_word, 1);
}

int pirn_monitor_start(struct pirn_runtime *rt)
{
    return sys_pthread_create(&rt->monitor, NULL, monitor_main, rt);
}

void pirn_monitor_stop(struct pirn_runtime *rt)
{
    pirn_monitor_call(rt);
    pthread_join(rt->monitor, NULL);
}
