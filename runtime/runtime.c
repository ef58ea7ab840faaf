/*
 * Runs of a runtime, and its end.
 *
 * Who calls a run is no worker: it lets the runtime go (pause.c) and waits, like any plain thread,
 * for a task's end or for a stop. A stop ends that wait as a cancel would end a coroutine's: while
 * it is inside a run the thread is interruptible, and its cell is rt->runner. A stop that finds
 * nobody inside a run is kept for the next one, which is then a pass: what is ready runs once.
 * pirn_run is a runtime with one run, which is not paused after it.
 *
 * The end
 *   1. closing: outsiders cannot spawn any more; every task left is cancelled once, and so is whom
 *      they spawn before they hear of it; if the runtime is paused it goes on for this
 *   2. they have the grace to clean up, with calls that work; done callbacks of what ends so run
 *      too, and what still waits to begin when nothing else is left never does
 *   3. failing: every wait fails with -ESHUTDOWN, again and again for a moment
 *   4. tasks that are still there are named; their workers cannot be joined, so everything is left
 *      as it is and the answer is -EBUSY
 *   5. else the workers go home, and the memory goes with the last task handle
 */
#include "runtime/runtime.h"

#include <errno.h>

#include "io/clock.h"
#include "io/sys.h"
#include "runtime/debug.h"
#include "runtime/quiet.h"
#include "runtime/registry.h"
#include "runtime/self.h"
#include "runtime/signals.h"
#include "runtime/wait.h"

enum {
    DEFAULT_GRACE_S = 5,
    SLICE_MS = 200,    /* of the grace, between two looks who is busy */
    FAIL_FOR_MS = 1000 /* after it: on a busy machine a task may be long without a core */
};

/* ---- The end ---- */

static void cancel_one(struct pirn_task *t, void *arg)
{
    (void)arg;
    if ((t->flags & TASK_CALLBACKS) == 0)
        pirn_wait_cancel_leftover(t);
}

/* Waits to begin: callbacks of what has not ended yet; what a clean-up has prepared for later. */
static bool is_idle(const struct pirn_task *t)
{
    return (t->flags & TASK_PREPARED) != 0 && !task_has_started(t) &&
           (cell_load(&t->cell) & CELL_PARKED) != 0;
}

struct left {
    bool busy;   /* anybody is not idle */
    bool ending; /* anybody is idle whose end callbacks may wait for: these come after it */
};

/* And tells those whom others have spawned before they were told. */
static void look_at_one(struct pirn_task *t, void *arg)
{
    struct left *left = arg;
    cancel_one(t, NULL);
    if (!is_idle(t))
        left->busy = true;
    else if ((t->flags & TASK_CALLBACKS) == 0)
        left->ending = true;
}

static void withdraw_one(struct pirn_task *t, void *arg)
{
    const struct left *left = arg;
    if (!left->ending || (t->flags & TASK_CALLBACKS) == 0)
        pirn_task_withdraw(t);
}

/* Callbacks that may come due as others end wait for that: *arg says that there are no others. */
static void fail_one(struct pirn_task *t, void *arg)
{
    const bool *alone = arg;
    if ((t->flags & TASK_CALLBACKS) == 0 || task_has_started(t))
        pirn_wait_fail(t);
    else if (*alone)
        pirn_task_withdraw(t);
}

static void name_one(struct pirn_task *t, void *arg)
{
    char name[NAME_MAX_BYTES];
    pirn_task_name(t, name, sizeof(name));
    pirn_report(arg, "task %s would not end; its memory is left alone", name);
}

/* Waits until no task is live: true, or false at the time given. */
static bool wait_for_tasks(struct pirn_runtime *rt, int64_t until)
{
    for (;;) {
        /* acquire: pairs with the release in uncount_live */
        uint32_t live = atomic_load_explicit(&rt->live, memory_order_acquire);
        int64_t left = until - clock_now();
        if (live == 0 || left <= 0)
            return live == 0;
        struct timespec ts = clock_timespec(left);
        sys_futex_wait(&rt->live, live, &ts);
    }
}

/* Does nobody run, nor wait for anything but to begin? One task is looked at after the other: one
 * that has been passed may be made to begin, or a new one be spawned there, by one that has ended
 * when its turn comes; and who has ended may not have woken all who wait for that. But whoever does
 * so is on a worker or a pinned thread, and what it did before its end is seen by who sees that
 * (acquire): so there is none of the latter, and the workers sleep from before the look until after
 * it. (Plain threads are not waited for.) */
static bool is_over(struct pirn_runtime *rt, struct left *left)
{
    uint64_t before, after;
    *left = (struct left){false, false};
    /* acquire: pairs with the release in pinned_main */
    bool rest = atomic_load_explicit(&rt->pinned_not_gone, memory_order_acquire) == 0 &&
                pirn_quiet_workers(rt, &before);
    pirn_task_each(rt, look_at_one, left);
    return !left->busy && rest && pirn_quiet_workers(rt, &after) && after == before;
}

/* Gives what is left time to end. Who waits to begin waits for it, as long as anybody may make
 * it. */
static bool let_end(struct pirn_runtime *rt, int64_t until)
{
    const int64_t least = 100000;
    for (int64_t slice = least;; slice = slice < SLICE_MS * 1000000LL ? 2 * slice : slice) {
        int64_t now = clock_now();
        struct left left;
        if (wait_for_tasks(rt, until - now > slice ? now + slice : until))
            return true;
        if (is_over(rt, &left)) {
            pirn_task_each(rt, withdraw_one, &left);
            slice = least; /* what follows comes soon */
        }
        if (clock_now() >= until)
            return false;
    }
}

static bool end_tasks(struct pirn_runtime *rt)
{
    int64_t grace = rt->config.grace.ns != 0 ? rt->config.grace.ns : DEFAULT_GRACE_S * 1000000000LL;
    int64_t until;
    /* seq_cst: before our look at live; the last task's end looks at closing after taking itself
     * off (uncount_live); should each miss the other, the futex still has its timeout. And before
     * our look at spawners: see pirn_task_spawn */
    atomic_store_explicit(&rt->closing, 1, memory_order_seq_cst);
    while (atomic_load_explicit(&rt->spawners, memory_order_seq_cst) != 0)
        sched_yield();
    if (rt->debug && !rt->deadlocked) /* else they have been named */
        pirn_task_each(rt, pirn_debug_left, rt);
    pirn_task_each(rt, cancel_one, NULL);
    if (rt_phase(rt) == PHASE_PAUSE)
        pirn_resume(rt);
    if (__builtin_add_overflow(clock_now(), grace, &until))
        until = INT64_MAX;
    if (let_end(rt, until))
        return true;
    /* relaxed: who has not seen it, and waits, is made to fail by the next round */
    atomic_store_explicit(&rt->failing, 1, memory_order_relaxed);
    for (int i = 1; i <= FAIL_FOR_MS / 10; i++) {
        struct left left;
        bool alone = (is_over(rt, &left) && !left.ending) || i == FAIL_FOR_MS / 10;
        pirn_task_each(rt, fail_one, &alone);
        if (wait_for_tasks(rt, clock_now() + 10000000))
            return true;
    }
    pirn_task_each(rt, name_one, rt);
    return false;
}

bool pirn_runtime_end(struct pirn_runtime *rt)
{
    bool ended = end_tasks(rt);
    pirn_registry_remove(rt);
    if (ended) {
        pirn_pinned_wait_gone(rt);
        pirn_runtime_stop_threads(rt);
    } else {
        pirn_signals_remove(rt); /* everything else stays for the tasks that would not end */
    }
    if (ended && rt->debug)
        pirn_debug_held(rt);
    /* release: pairs with the acquire in rt_use */
    atomic_store_explicit(&rt->use, ended ? USE_CLOSED : USE_STUCK, memory_order_release);
    return ended;
}

/* ---- A run ---- */

/* Sets whom a stop and an end by signal mean, and lets the runtime go. True: a stop has been asked
 * for before, and it stays as it is. */
static bool begin_run(struct pirn_runtime *rt, struct pirn_awaitable *a, bool pauses)
{
    struct self *self = pirn_self();
    pthread_mutex_lock(&rt->run_mutex);
    bool stopped = rt->stop_asked;
    self->interruptible = true;
    rt->runner = &self->cell;
    rt->awaited = a;
    rt->pauses = pauses;
    rt->end_served = false;
    rt->deadlocked = false;
    if (!stopped)
        pirn_resume(rt);
    pthread_mutex_unlock(&rt->run_mutex);
    return stopped;
}

/* True: SIGINT or SIGTERM has ended, or cancelled, what ran. *ret_why: what its end is called if it
 * was stopped. */
static bool end_run(struct pirn_runtime *rt, bool pauses, int *ret_why)
{
    struct self *self = pirn_self();
    pthread_mutex_lock(&rt->run_mutex);
    bool interrupted = rt->end_served;
    *ret_why = rt->deadlocked ? -EDEADLK : -EINTR;
    rt->runner = NULL;
    rt->awaited = NULL;
    rt->stop_asked = false;
    if (interrupted &&
        pauses) /* else the next one comes during the clean-up, and ends the process */
        atomic_store_explicit(&rt->end_signal, 0, memory_order_relaxed);
    pthread_mutex_unlock(&rt->run_mutex);
    pirn_cell_take_cancel(&self->cell); /* of a stop that came too late to end anything */
    return interrupted;
}

static void pause_run(struct pirn_runtime *rt)
{
    pthread_mutex_lock(&rt->run_mutex);
    if (rt_phase(rt) == PHASE_RUN) /* else a stop has begun it */
        pirn_pause_begin(rt);
    pthread_mutex_unlock(&rt->run_mutex);
    pirn_wait_for_rest(rt);
}

static void wait_for_stop(void)
{
    struct wait w;
    int rc = pirn_wait_enter(&w);
    while (rc == 0)
        rc = pirn_wait_park(&w, "stop", INT64_MAX);
}

/* Has it been asked to end by nobody but a signal (once)? */
static bool only_interrupted(struct pirn_awaitable *a)
{
    struct pirn_task *t = task_of(a);
    if (t == NULL)
        return true;
    lock_take(&a->lock);
    unsigned cancels = t->cell.cancels;
    lock_drop(&a->lock);
    return cancels <= 1;
}

int pirn_runtime_run(struct pirn_runtime *rt, struct pirn_awaitable *a, bool pauses,
                     int *ret_status)
{
    int status = 0, rc = a != NULL ? -EINTR : 0;
    bool stopped = begin_run(rt, a, pauses);
    atomic_thread_fence(memory_order_seq_cst); /* an early signal found nothing to cancel */
    if (atomic_load_explicit(&rt->end_signal, memory_order_relaxed) != 0)
        pirn_monitor_call(rt);
    if (stopped)
        pirn_pass(rt);
    else if (a == NULL)
        wait_for_stop();
    else
        rc = pirn_await(a, &status, PIRN_NEVER);
    if (pauses && !stopped)
        pause_run(rt);
    pirn_self()->interruptible = false; /* a stop that came meanwhile is void: end_run takes it */
    if (a != NULL && rc != 0)           /* stopped; but it may have ended by now */
        rc = pirn_await(a, &status, PIRN_NOW);
    int why;
    bool interrupted = end_run(rt, pauses, &why);
    if (rc != 0 || (a == NULL && (interrupted || why == -EDEADLK)))
        return why;
    if (status == -ECANCELED && interrupted && only_interrupted(a))
        status = -EINTR;
    if (ret_status != NULL)
        *ret_status = status;
    return 0;
}

int pirn_runtime_run_fn(struct pirn_runtime *rt, const pirn_spawn_config *config, pirn_fn fn,
                        void *arg, bool pauses, int *ret_status, void *site)
{
    static const struct spawn_how how = {.call = "pirn_runtime_run_until_complete_with"};
    pirn_spawn_config main_config = PIRN_SPAWN_CONFIG_INIT;
    struct pirn_awaitable *handle;
    int status = 0;
    if (config != NULL)
        main_config = *config;
    if (main_config.name == NULL)
        main_config.name = "main";
    main_config.runtime = rt;
    int rc = pirn_task_spawn(&handle, &main_config, fn, arg, &how, site);
    if (rc != 0)
        return rc;
    rc = pirn_runtime_run(rt, handle, pauses, &status);
    struct pirn_task *task = task_of(handle);
    if (rc == 0 && status == -ENOMEM && task->sp == NULL && !pauses)
        rc = -ENOMEM; /* there was no stack for it: it never ran */
    pirn_awaitable_unref(handle);
    if (rc == 0 && ret_status != NULL)
        *ret_status = status;
    return rc;
}

/* Under run_mutex. */
static void stop_run(struct pirn_runtime *rt)
{
    uint32_t gen;
    rt->stop_asked = true;
    if (rt->runner != NULL && rt->pauses && rt_phase(rt) == PHASE_RUN)
        pirn_pause_begin(rt); /* here: nothing new begins until the one that waits is awake */
    if (rt->runner != NULL && pirn_cell_cancel(rt->runner, 0, true, &gen) == CANCEL_WOKE)
        pirn_wake_cell(rt->runner); /* under the mutex: it cannot have left the run */
}

void pirn_runtime_ask_stop(struct pirn_runtime *rt)
{
    pthread_mutex_lock(&rt->run_mutex);
    stop_run(rt);
    pthread_mutex_unlock(&rt->run_mutex);
}

void pirn_runtime_end_deadlock(struct pirn_runtime *rt)
{
    pthread_mutex_lock(&rt->run_mutex);
    if (rt->runner != NULL && !rt->stop_asked) {
        rt->deadlocked = true;
        stop_run(rt);
    }
    pthread_mutex_unlock(&rt->run_mutex);
}

/* ---- One run and its end ---- */

static int run(const char *call, const pirn_config *config, pirn_fn fn, void *arg, int *ret_status)
{
    struct self *self = pirn_self();
    struct pirn_runtime *rt;
    int status = 0;
    if (fn == NULL)
        return pirn_misuse(call, -EINVAL, "fn is NULL");
    if (self->worker != NULL || self->pinned != NULL)
        return pirn_misuse(call, -EDEADLK,
                           "a coroutine cannot wait for a runtime: spawn into this one");
    int rc = pirn_runtime_start(call, &rt, config);
    if (rc != 0)
        return rc;
    atomic_store_explicit(&rt->use, USE_RUN, memory_order_relaxed);
    rc = pirn_runtime_run_fn(rt, NULL, fn, arg, false, &status, (void *)(uintptr_t)fn);
    if (!pirn_runtime_end(rt))
        return -EBUSY;
    pirn_runtime_retire(rt);
    if (rc == 0 && ret_status != NULL)
        *ret_status = status;
    return rc;
}

int pirn_run_with(const pirn_config *config, pirn_fn fn, void *arg, int *ret_status)
{
    return run(__func__, config, fn, arg, ret_status);
}

int pirn_run(pirn_fn fn, void *arg)
{
    int status = 0;
    int rc = run(__func__, NULL, fn, arg, &status);
    return rc != 0 ? rc : status;
}

pirn_runtime *pirn_runtime_current(void)
{
    struct self *self = pirn_self();
    return self->worker != NULL ? self->worker->rt : self->pinned != NULL ? self->pinned->rt : NULL;
}
