/*
 * Blocked for ever: finds out that nothing can happen any more, and says so; in debug mode, or
 * where the run is to end then, names every task that waits.
 *
 * What can still happen comes from a thread of this process that is not asleep, or that is not
 * pirn's; or else from the kernel: a deadline, an operation under way, a signal that runs a
 * coroutine. So a census looks whether, in all runtimes of the process,
 *
 *   each worker  sleeps in its ring, and its port has no operation and no deadline
 *   each task    is parked
 *   each pool    is idle: as many threads as sleep, and no job; the runtimes' and the program's
 *   pinned       threads are all in a wait, none of them with a deadline
 *   the caller   of the run is parked, and no stop has been asked for
 *   nobody       has a function for a signal, or has SIGINT or SIGTERM cancel main
 *
 * and whether these threads, with the monitors, are all the threads the process has (not counting
 * those that are ending, and the kernel's own). Anything else, a plain thread above all, and there
 * is no report: who knows what it will do.
 *
 * The census reads one thing after the other, while they may change. So it is taken twice:
 *
 *   1. census; a sum of counters that only grow: every worker's passes, every cell's waits, jobs
 *      begun
 *   2. barrier (pirn_remote_fence: on every running thread); the process's threads are counted;
 *      barrier
 *   3. census again: everything asleep as before, and the same sum
 *
 * Each counter grows when its owner wakes, before it does anything else; so who was asleep in 1.
 * and in 3. with the same count slept from one to the other, and there is an instant, in 2., at
 * which all of them slept. From that instant on only the kernel could have woken one, and there was
 * nothing in its hands: operations and deadlines are taken out of a port only by who is awake, and
 * a task that was claimed is not parked. A worker that was just about to wake, or had been sent a
 * wake-up, finds nothing: whatever that was for would have shown. The barriers are what orders the
 * owners' plain stores and these reads, so that their side pays nothing; a kernel without
 * membarrier, or one that refuses it, gets no report.
 *
 * Other monitors may run their looks meanwhile; these wake threads for work that shows, and start
 * what signals ask for, which has been ruled out. One that is in the program's report hook is seen
 * by its flag; what the hook does to a task or a run shows in the sum.
 *
 * A mailbox needs no rule: it moves only if a thread dispatches it, or a coroutine that polls its
 * descriptor, an operation under way.
 *
 * In debug mode, or where the run is to end, the monitor takes it every 50 ms while all sleep, as
 * what is still there may go without anybody telling it: a plain thread, a process. Otherwise once,
 * a quarter of a second after all have come to rest, and only if no port has anything: whoever has
 * work more often pays nothing, a server that waits for connections neither. So it may miss a
 * standstill, and says none that is not; a raw signal handler is no exception, as no call that
 * could wake a coroutine may be made in one. (Go ends the program then: here one that waits for the
 * signal that ends it gets a line too much.)
 *
 * Rejected: counting what is pending as it comes and goes, in one word (Go counts its running
 * threads): shared writes on every park, for debug mode.
 */
#include "runtime/quiet.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/clock.h"
#include "io/sys.h"
#include "runtime/crew.h"
#include "runtime/debug.h"
#include "runtime/registry.h"
#include "runtime/runtime.h"
#include "runtime/signals.h"

struct census {
    struct pirn_runtime *of; /* the one whose monitor asks */
    bool found;              /* it is still among the runtimes */
    bool quiet;
    bool tasks; /* is to look at them, too */
    uint64_t moves;
    unsigned threads;
};

/* ---- The threads of the process ---- */

/* Can it do anything any more? Its status line: pid (name) state ppid group session tty foreground
 * flags ... */
static bool counts(int dir, const char *name)
{
    enum {
        EXITING = 0x4,
        IO_WORKER = 0x10 /* a helper of a ring's, in the kernel */
    };
    char path[32], text[512], state = 'Z';
    unsigned flags = 0;
    snprintf(path, sizeof(path), "%.16s/stat", name);
    int fd = sys_openat(dir, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd != -ENOENT; /* it is gone; else it is there, for all we know */
    ssize_t n = sys_read(fd, text, sizeof(text) - 1);
    sys_close(fd);
    if (n <= 0)
        return n != -ESRCH; /* the same */
    text[n] = '\0';
    const char *end_of_name = strrchr(text, ')');
    if (end_of_name == NULL ||
        sscanf(end_of_name + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2)
        return true;
    return state != 'Z' && state != 'X' && (flags & (EXITING | IO_WORKER)) == 0;
}

/* 0: cannot tell. */
static unsigned process_threads(void)
{
    _Alignas(struct dirent64) char buf[4096];
    unsigned count = 0;
    ssize_t n;
    int dir = sys_openat(AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (dir < 0)
        return 0;
    while ((n = sys_getdents64(dir, buf, sizeof(buf))) > 0) {
        const struct dirent64 *entry;
        for (ssize_t at = 0; at < n; at += entry->d_reclen) {
            entry = (const void *)(buf + at);
            count += entry->d_name[0] != '.' && counts(dir, entry->d_name);
        }
    }
    sys_close(dir);
    return n < 0 ? 0 : count;
}

/* ---- The census ---- */

static bool is_asleep(const struct worker *w, enum role role)
{
    /* acquire: what it ran is seen; pairs with the fence in pirn_parker_begin and the releases of
     * PARKER_ASIDE in find.c */
    uint32_t state = atomic_load_explicit(&w->parker.state, memory_order_acquire);
    return state == PARKER_KERNEL || (state == PARKER_ASIDE && role != ROLE_PRIMARY);
}

static bool workers_sleep(struct pirn_runtime *rt, struct census *c)
{
    unsigned n = rt_threads(rt);
    for (unsigned i = 0; i < n; i++) {
        struct worker *w = rt_worker(rt, i);
        enum role role = worker_role(w);
        bool gone = role == ROLE_GONE; /* its passes count all the same: the sum only grows */
        if (!gone && !is_asleep(w, role))
            return false;
        if (!gone && (!pirn_port_is_idle(&w->port) || pirn_port_is_due(&w->port, 0)))
            return false;
        c->moves += atomic_load_explicit(&w->pass, memory_order_relaxed);
        c->threads += !gone;
    }
    return true;
}

bool pirn_quiet_workers(struct pirn_runtime *rt, uint64_t *ret_passes)
{
    unsigned n = rt_threads(rt);
    *ret_passes = 0;
    for (unsigned i = 0; i < n; i++) {
        struct worker *w = rt_worker(rt, i);
        enum role role = worker_role(w);
        if (role != ROLE_GONE && !is_asleep(w, role))
            return false;
        *ret_passes += atomic_load_explicit(&w->pass, memory_order_relaxed);
    }
    return true;
}

static bool pinned_sleep(struct pirn_runtime *rt, struct census *c)
{
    c->threads += atomic_load_explicit(&rt->pinned_threads, memory_order_relaxed);
    return atomic_load_explicit(&rt->pinned_at_work, memory_order_relaxed) == 0 &&
           atomic_load_explicit(&rt->pinned_timed, memory_order_relaxed) == 0;
}

static bool pools_sleep(struct census *c)
{
    unsigned threads;
    uint64_t begun;
    bool idle = pirn_crews_are_idle(&threads, &begun);
    c->threads += threads;
    c->moves += begun;
    return idle;
}

static bool caller_sleeps(struct pirn_runtime *rt, struct census *c)
{
    uint64_t word = 0;
    pthread_mutex_lock(&rt->run_mutex);
    if (rt->runner != NULL && !rt->stop_asked)
        word = cell_load(rt->runner);
    pthread_mutex_unlock(&rt->run_mutex);
    c->moves += cell_gen(word);
    c->threads++;
    return (word & CELL_PARKED) != 0;
}

static bool tasks_sleep(struct pirn_runtime *rt, struct census *c)
{
    uint64_t moves;
    if (!c->tasks)
        return true;
    bool parked = pirn_tasks_are_parked(rt, &moves);
    c->moves += moves;
    return parked;
}

static void count_runtime(struct pirn_runtime *rt, void *arg)
{
    struct census *c = arg;
    c->threads++; /* the monitor */
    c->found |= rt == c->of;
    c->quiet =
        c->quiet && rt_phase(rt) == PHASE_RUN && rt_use(rt) == USE_RUN &&
        atomic_load_explicit(&rt->closing, memory_order_relaxed) == 0 &&
        (rt == c->of || atomic_load_explicit(&rt->monitor_reports, memory_order_relaxed) == 0) &&
        workers_sleep(rt, c) && caller_sleeps(rt, c) && pinned_sleep(rt, c) && tasks_sleep(rt, c);
}

static bool take_census(struct pirn_runtime *rt, bool tasks, struct census *c)
{
    *c = (struct census){.of = rt, .quiet = true, .tasks = tasks};
    pirn_registry_each(count_runtime, c);
    return c->quiet && c->found && pools_sleep(c);
}

static bool barrier(void)
{
    atomic_thread_fence(memory_order_seq_cst); /* pairs with those it makes the others execute */
    bool made = pirn_remote_fence();
    atomic_thread_fence(memory_order_seq_cst);
    return made;
}

static bool is_quiet(struct pirn_runtime *rt, uint64_t *ret_moves)
{
    struct census first, second;
    if (pirn_remote_fence == NULL || pirn_signals_are_awaited() ||
        !take_census(rt, false, &first) || first.threads != process_threads())
        return false; /* nearly always: and a million tasks have not been looked at */
    if (!take_census(rt, true, &first))
        return false;
    bool ordered = barrier();
    unsigned threads = process_threads();
    bool awaited = pirn_signals_are_awaited();
    ordered &= barrier();
    *ret_moves = first.moves;
    return ordered && take_census(rt, true, &second) && !awaited && first.moves == second.moves &&
           first.threads == threads && second.threads == threads;
}

/* ---- What comes of it ---- */

static void count_one_task(struct pirn_task *t, void *count)
{
    *(unsigned *)count += (t->flags & TASK_CALLBACKS) == 0;
}

static void name_one(struct pirn_task *t, void *rt)
{
    char task[TASK_TEXT], doing[DOING_TEXT];
    if ((t->flags & TASK_CALLBACKS) != 0)
        return; /* waits for another one, which is named */
    pirn_debug_task_text(t, task, sizeof(task));
    pirn_debug_doing_text(t, clock_now(), doing, sizeof(doing));
    pirn_report(rt, "task %s waits for ever: %s", task, doing);
}

static void report(struct pirn_runtime *rt)
{
    bool names = rt->debug || (rt->config.flags & PIRN_DEADLOCK_ENDS) != 0;
    unsigned count = 0;
    /* seq_cst: what a hook does comes after the flag for others, and before it is cleared */
    atomic_store_explicit(&rt->monitor_reports, 1, memory_order_seq_cst);
    pirn_task_each(rt, count_one_task, &count);
    pirn_report(rt, "nothing can happen any more: %u task%s waiting for ever%s", count,
                count == 1 ? " is" : "s are",
                names ? "" : " (PIRN_DEBUG=1 in the environment has them named)");
    if (names)
        pirn_task_each(rt, name_one, rt);
    atomic_store_explicit(&rt->monitor_reports, 0, memory_order_seq_cst);
}

bool pirn_quiet_may_be(struct pirn_runtime *rt)
{
    unsigned n = rt_threads(rt);
    for (unsigned i = 0; i < n; i++) {
        struct worker *w = rt_worker(rt, i);
        if (worker_role(w) != ROLE_GONE && /* what ends wakes its worker, and that the monitor */
            (!pirn_port_is_idle(&w->port) || pirn_port_is_due(&w->port, 0)))
            return false;
    }
    return true;
}

bool pirn_quiet_watch(struct pirn_runtime *rt)
{
    uint64_t moves, later;
    if (!is_quiet(rt, &moves))
        return true;
    if (rt->quiet_known && rt->quiet_moves == moves)
        return false;
    rt->quiet_known = true;
    rt->quiet_moves = moves;
    report(rt);
    if ((rt->config.flags & PIRN_DEADLOCK_ENDS) == 0)
        return false;
    /* A hook may have got things going again. */
    if (!is_quiet(rt, &later) || later != moves)
        return true;
    pirn_runtime_end_deadlock(rt);
    return false;
}
