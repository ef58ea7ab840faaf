/*
 * Looking inside: debug mode, a dump of all tasks, counters.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_LOOK_H
#define PIRN_LOOK_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

/*
 * Debug mode: PIRN_DEBUG in config->flags, or PIRN_DEBUG=1 in the environment (not of a set-uid
 * program). One line to config->report, each with the task's name, number and spawn site, for
 *   - a step longer than config->slow_step: a coroutine that ran, or blocked, without suspending
 *     (not of a pinned task). It is the time by the clock: where the machine has more to do than
 *     cores, one that waits for a core is named as well. When the step ends; and of one of a second
 *     and more also while it goes on, once: the worker, and whether it runs or is blocked in the
 *     kernel, and where in there
 *   - a stack overflow, as with PIRN_REPORT_OVERFLOW
 *   - a coroutine object that is released unstarted
 *   - a task that ends with a pirn_mutex, or a pirn_rwlock for writing, which nobody can unlock any
 *     more: the lock's address, and where it was locked (also if it has been freed meanwhile; 16 of
 *     a task are noted). Who waits for it for ever is told so as well
 *   - a task that ends inside pirn_shield_enter (inside a timeout or a scope it is named without
 *     debug mode, too)
 *   - a pirn_scope_wait, _close or pirn_parallel_for that has waited for more than a second after
 *     the scope was cancelled, once: a child that has not ended, what it does, and whether it is
 *     inside a shield, or has had the cancel and goes on
 *   - each task that is left when main ends, or the runtime is closed: what it waits for, and where
 *   - each task that has ended by then and was not released (of more than twenty: how many): it
 *     keeps the memory of all the runtime's tasks. Whether that was an error nobody has looked at
 *     is said, too
 *   - a call refused as a mistake, and what was wrong with it: an unlock by a stranger, an await of
 *     oneself, pirn_run inside a coroutine, pirn_release of a running task's last reference, NULL
 *     where something has to be given, a config without its _INIT, ... (the libraries of HTTP and
 *     TLS, and the calls of io.h and file.h, have no such lines). A plain thread's goes to stderr
 *   - a call with the handle of a task or future that has been joined or released, and that nobody
 *     else has: it fails with -EINVAL (NULL, 0). Without debug mode it hits whatever has that
 *     memory next. The last thousand tasks of a runtime, and futures of the process, are remembered
 *     for this
 *   - once each time that all has come to rest, every task that waits for ever, and where: nothing
 *     is runnable, no deadline, no I/O and no pool job is under way, no signal has a function or
 *     cancels main, and the process has no thread but pirn's and those inside a run. (Go ends the
 *     program.) Without debug mode one line says how many tasks wait so, if all has been at rest
 *     for a quarter of a second; a program that does nothing but wait for the signal that ends it
 *     gets that, too. PIRN_DEADLOCK_ENDS, without debug mode too, reports this and has the run
 *     return -EDEADLK; what is left is ended as ever. Needs membarrier(2) and /proc; the thread of
 *     a process pool that is open counts as one of the program's own
 * And pirn_dump says where each task waits: return addresses, innermost first (addr2line -e names
 * those whose symbols are not exported).
 *
 * The report hook is called by any thread, also from inside a switch: whatever it is called by, it
 * is a plain thread to pirn while it runs, pirn_current() is NULL, and a call that waits blocks the
 * thread. A line that pirn has to write because of what the hook does goes to stderr. (After
 * PYTHONASYNCIODEBUG, loop.slow_callback_duration and loop.set_exception_handler.)
 */

/* Writes each live task once, those that run first: name, state, what it waits for and since when,
 * or on which worker it runs and how long that has been seen to go on; "cancelled" if it has been
 * asked to end, and goes on (a request taken back is none); where it was spawned.
 * runtime NULL: the caller's. [anywhere] 0; -EPERM (no runtime), -EINVAL (out is NULL), -ESHUTDOWN
 * (it is closed). */
PIRN_API int pirn_dump(pirn_runtime *runtime, FILE *out);

typedef struct pirn_stats {
    size_t size;         /* set to sizeof(pirn_stats) before the call */
    uint64_t tasks_live; /* now */
    uint64_t spawns, switches, steals;
    uint64_t wakes;           /* wake-ups sent to parked workers */
    uint64_t wakes_in_kernel; /* of those, how many found the worker inside the kernel */
    uint64_t parks;
    uint64_t submissions, completions;
    uint64_t rescues; /* times somebody served a stuck worker's ring */
    uint64_t spares;  /* spare threads started */
    uint64_t kicks;   /* membarriers sent to spinning workers */
    uint64_t threads; /* now: workers, spares, monitor, pinned, blocking pool */
    uint64_t stacks_bound, stacks_free;
    uint64_t workers;
} pirn_stats;

/* runtime NULL: the caller's. [anywhere] 0; -EPERM (no runtime), -EINVAL (ret_stats->size),
 * -ESHUTDOWN (it is closed). */
PIRN_API int pirn_stats_get(pirn_runtime *runtime, pirn_stats *ret_stats);

#endif
