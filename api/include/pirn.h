/*
 * pirn: Go's concurrency for C. Ordinary functions run as coroutines, in parallel on all cores,
 * over io_uring; a coroutine that computes or blocks does not hold up the others.
 *
 * Link with pkg-config pirn, or CMake's pirn::pirn. Programs include this header alone; HTTP and TLS are
 * libraries of their own, with <pirn/http.h> and <pirn/tls.h>.
 *
 * Conventions that hold for every call
 *
 *   Errors     0 or a value on success, a negative errno on failure; errno itself says nothing after
 *              a call. (Do not read errno across a suspending call: the coroutine may go on
 *              on another thread while the compiler keeps the old thread's errno address.)
 *   Deadlines  the last argument of nearly every call that can wait (not of pirn_close,
 *              pirn_parallel_for, pirn_ticker_wait): an absolute time on the monotonic clock.
 *              pirn_after_ms(5) and kin make one, PIRN_NEVER waits for ever, a deadline in the past
 *              tries once. A wait that runs out returns -ETIMEDOUT.
 *   Cancel     a call marked [suspends] first looks for a pending cancel and then returns
 *              -ECANCELED without acting. A call that reports -ECANCELED or -ETIMEDOUT did not
 *              happen; one that happened reports its result and the cancel stays pending. When a
 *              call returns, for whatever reason, the kernel is done with its buffers. Not so
 *              pirn_close, and pirn_await of a task that has ended: they act, and leave the cancel
 *              pending. Cancels that come before one is delivered are delivered as one.
 *   Shutdown   when main has ended, whatever still runs is cancelled; after the grace (pirn_config)
 *              every call that would wait returns -ESHUTDOWN.
 *   Outputs    ret_x parameters come before the deadline and are written only on success. Those
 *              of results (ret_status, ret_value, ret_addr) may be NULL when not wanted.
 *   Order      what a task did before its end is seen by who awaits it, what was done before a spawn
 *              by the child, and what was done before pirn_future_set by who finds it set.
 *   Where      [coroutine]  only inside a coroutine, else -EPERM
 *              [anywhere]   coroutines of any runtime and plain threads; a call that waits
 *                           suspends the coroutine, or blocks the plain thread
 *   [suspends] the coroutine may go on on another thread afterwards (unless it is pinned). The rounding
 *              mode and other floating-point controls are the thread's, like its signal mask and
 *              its thread-locals: who changes one puts it back before such a call.
 */
#ifndef PIRN_H
#define PIRN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PIRN_VERSION_MAJOR 0
#define PIRN_VERSION_MINOR 1
#define PIRN_VERSION_PATCH 0

#define PIRN_API __attribute__((visibility("default")))
#define PIRN_MUST_USE __attribute__((warn_unused_result))

/* ---- Time ------------------------------------------------------------------------------- */

/*
 * A point on a clock, or a span, in nanoseconds. A struct, so that a bare 1000 does not compile. Deadlines
 * are points: pirn_after_s(5). Spans (config->grace, a ticker's period, ...) are made by pirn_span_s(5). There
 * is no telling them apart: a pirn_after_s(5) that is given as a span is as long as the machine has been up.
 */
typedef struct pirn_time {
    int64_t ns;
} pirn_time;

static const pirn_time PIRN_NEVER = {INT64_MAX}; /* the largest deadline */
static const pirn_time PIRN_NOW = {0};           /* in the past: try once, do not wait */

PIRN_API pirn_time pirn_now(void);            /* the monotonic clock; [anywhere] */
PIRN_API pirn_time pirn_after_ns(int64_t ns); /* now + ns, saturating; [anywhere] */
PIRN_API pirn_time pirn_after_us(int64_t us);
PIRN_API pirn_time pirn_after_ms(int64_t ms);
PIRN_API pirn_time pirn_after_s(double s);   /* NaN is treated as now */
PIRN_API pirn_time pirn_span_ms(int64_t ms); /* saturating; [anywhere] */
PIRN_API pirn_time pirn_span_s(double s);    /* NaN is treated as 0 */

typedef enum pirn_clock {
    PIRN_CLOCK_MONOTONIC, /* stands still while the machine is suspended */
    PIRN_CLOCK_WALL,      /* CLOCK_REALTIME: follows when the clock is set */
    PIRN_CLOCK_BOOT       /* monotonic, and counts suspend */
} pirn_clock;

PIRN_API pirn_time pirn_clock_now(pirn_clock clock); /* [anywhere] */

/* ---- The runtime ------------------------------------------------------------------------ */

typedef struct pirn_runtime pirn_runtime; /* one set of workers */

/* What can be awaited, counted by reference. One type for all of the family, so that every handle can
 * be given wherever one is awaited, cancelled, released; what it is shows in the name it goes by. */
typedef struct pirn_awaitable pirn_awaitable;
typedef pirn_awaitable pirn_task;   /* one coroutine */
typedef pirn_awaitable pirn_future; /* a value to come */

/* A coroutine: returns a value >= 0, or a negative errno; that is its status. */
typedef int (*pirn_fn)(void *arg);

/* (Another signal is made to cancel main by pirn_signal_add, with a pirn_cancel of main's task.) */
enum {
    PIRN_SIGINT_CANCELS = 1u << 0,  /* first SIGINT cancels main, a second ends the process */
    PIRN_REPORT_OVERFLOW = 1u << 1, /* name the task on a stack overflow, then die */
    PIRN_DEBUG = 1u << 2,           /* see Debug mode below */
    PIRN_DEADLOCK_ENDS = 1u << 3,   /* a run in which nothing can happen any more ends: -EDEADLK */
    PIRN_SIGTERM_CANCELS =
        1u << 4, /* SIGTERM likewise; with both flags a second of either kind ends it */
};

typedef struct pirn_config {
    size_t size;       /* sizeof(pirn_config), set by PIRN_CONFIG_INIT */
    unsigned flags;    /* PIRN_SIGINT_CANCELS, ...; signals are left alone unless asked */
    int workers;       /* 0: PIRN_WORKERS of the environment, or CPUs granted (affinity, cgroups) */
    int max_spares;    /* extra threads while workers are blocked in the kernel; 0: 64 */
    int max_tasks;     /* live tasks; a spawn beyond it gives -EAGAIN; 0: no limit */
    int max_blocking;  /* threads of the pirn_blocking pool; 0: 64 */
    int dump_signal;   /* a signal that dumps all tasks to stderr; 0: none */
    size_t stack_size; /* bytes a coroutine's stack gets by default; 0: 64 KiB; 1 GiB at most */
    pirn_time grace;   /* for leftovers at shutdown; 0: 5 s; PIRN_NEVER: no end */
    void (*report)(void *user, const char *line); /* hears warnings; NULL: stderr. See Debug mode */
    void *report_user;
    /* Memory of the runtime itself, its tasks, rings, deadlines, scopes; NULL: malloc. What may outlive it (futures,
     * jobs, gathers, channels, streams, what is returned to be freed) is malloc's; stacks are mapped. */
    void *(*alloc)(void *user, size_t bytes);
    void (*free)(void *user, void *ptr);
    void *alloc_user;
    pirn_time slow_step;    /* debug mode: a longer step is reported; 0: 100 ms */
    int max_kernel_threads; /* a worker's, for file I/O; 0: 4. See <pirn/file.h> */
} pirn_config;

#define PIRN_CONFIG_INIT \
    { \
        sizeof(pirn_config), 0, 0, 0, 0, 0, 0, 0, {0}, NULL, NULL, NULL, NULL, NULL, {0}, 0 \
    }

/*
 * Debug mode: PIRN_DEBUG in config->flags, or PIRN_DEBUG=1 in the environment (not of a set-uid
 * program). One line to config->report, each with the task's name, number and spawn site, for
 *   - a step longer than config->slow_step: a coroutine that ran, or blocked, without suspending (not
 *     of a pinned task; when the step ends)
 *   - a stack overflow, as with PIRN_REPORT_OVERFLOW
 *   - a coroutine object that is released unstarted
 *   - each task that is left when main ends, or the runtime is closed: what it waits for, and where
 *   - a call refused as a mistake: an unlock by a stranger, an await of oneself, pirn_run inside a
 *     coroutine, pirn_release of a running task's last reference, ... A plain thread's goes to stderr
 *   - once each time that all has come to rest, every task that waits for ever, and where: nothing is
 *     runnable, no deadline, no I/O and no pool job is under way, no signal has a function or cancels
 *     main, and the process has no thread but pirn's and those inside a run. (Go ends the program.)
 *     PIRN_DEADLOCK_ENDS, without debug mode too, reports this and has the run return -EDEADLK; what
 *     is left is ended as ever. Needs membarrier(2) and /proc; the thread of a process pool that is open
 *     counts as one of the program's own
 * And pirn_dump says where each task waits: return addresses, innermost first (addr2line -e names
 * those whose symbols are not exported).
 *
 * The report hook is called by any thread, also from inside a switch: whatever it is called by, it
 * is a plain thread to pirn while it runs, pirn_current() is NULL, and a call that waits blocks the
 * thread. A line that pirn has to write because of what the hook does goes to stderr. (After
 * PYTHONASYNCIODEBUG, loop.slow_callback_duration and loop.set_exception_handler.)
 */

/*
 * Runs fn(arg) as the main coroutine of a new runtime on this plain thread's behalf and waits for
 * it. What main leaves running is cancelled once and gets config->grace to clean up. Returns
 * main's status, or: -EDEADLK (inside a coroutine; or by PIRN_DEADLOCK_ENDS), -EINVAL, -ENOMEM,
 * -EAGAIN (threads), -ENOSYS (io_uring is missing or denied; the report says which), -EBUSY (a task
 * would not end; it was named and its memory left alone), -EINTR (pirn_runtime_stop).
 */
PIRN_API int pirn_run(pirn_fn fn, void *arg);

/* The same with a config; main's status goes to *ret_status and the return value is 0 if it ran. A main that
 * ends with -ECANCELED because of SIGINT or SIGTERM (PIRN_SIGINT_CANCELS, PIRN_SIGTERM_CANCELS; pirn_cancel_reason
 * says "SIGINT" or "SIGTERM"), and nobody else asked it to end, has the status -EINTR; one that makes something else of the cancel, 0 say, has that. */
PIRN_API int pirn_run_with(const pirn_config *config, pirn_fn fn, void *arg, int *ret_status);

/* The runtime of the calling coroutine; NULL on a plain thread. */
PIRN_API pirn_runtime *pirn_runtime_current(void);

/* ---- Tasks ------------------------------------------------------------------------------ */

enum {
    PIRN_PINNED = 1u << 0,     /* a thread of its own, for libraries with thread-local state */
    PIRN_OFF_STRAND = 1u << 1, /* on no strand, whatever its parent is on */
};

typedef struct pirn_strand pirn_strand;

typedef struct pirn_spawn_config {
    size_t size;                 /* sizeof(pirn_spawn_config), set by PIRN_SPAWN_CONFIG_INIT */
    const char *name;            /* copied, cut at 31 bytes; NULL: "task-N" */
    size_t stack_size;           /* bytes, at least; 0: the runtime's default; 1 GiB at most */
    unsigned flags;              /* PIRN_PINNED, PIRN_OFF_STRAND */
    pirn_runtime *runtime;       /* where to run; NULL: the caller's (needed on a plain thread) */
    void (*arg_drop)(void *arg); /* called once when the task is done with arg, run or not. If the
                                    spawn failed: not, arg is still the caller's; except with
                                    -ESHUTDOWN, and -ECANCELED of a scope, when nobody will ever
                                    run it: then it has been called. It must not suspend, as all
                                    drops */
    pirn_strand *strand; /* NULL: the spawning coroutine's, if it has one; see pirn/strand.h */
} pirn_spawn_config;

#define PIRN_SPAWN_CONFIG_INIT \
    { \
        sizeof(pirn_spawn_config), NULL, 0, 0, NULL, NULL, NULL \
    }

/*
 * Starts fn(arg) as a new task, which may begin at once on another worker: arg must be complete
 * and outlive it. *ret_task is a reference the caller owns (await and release it, join it, or
 * detach it). config may be NULL. [anywhere, with config->runtime on a plain thread; does not
 * suspend]
 * -EINVAL, -EPERM (no runtime), -ENOMEM, -EAGAIN (max_tasks, or threads for a pinned task),
 * -ESHUTDOWN.
 */
PIRN_API PIRN_MUST_USE int pirn_spawn(pirn_task **ret_task, pirn_fn fn, void *arg);
PIRN_API PIRN_MUST_USE int pirn_spawn_with(pirn_task **ret_task, const pirn_spawn_config *config,
                                           pirn_fn fn, void *arg);

/*
 * A coroutine that does not run yet: pirn_start begins it, and so does the first await (as a coroutine
 * object of asyncio's). Released or detached without either it never runs, and its arg_drop is called. As
 * pirn_spawn_with otherwise; not pinned (-EINVAL). pirn_start: -EALREADY, -EINVAL.
 */
PIRN_API PIRN_MUST_USE int pirn_coroutine_new(pirn_task **ret_task, const pirn_spawn_config *config,
                                              pirn_fn fn, void *arg);
PIRN_API int pirn_start(pirn_task *task); /* [anywhere] */

/*
 * Has fn(arg) run as a task of the runtime (NULL: the caller's), soon or at a time of the monotonic
 * clock (call_later is pirn_call_at with pirn_after_ms). *ret_handle is a reference, for pirn_cancel
 * before it has begun, or to await it; NULL: nobody waits, and an error is reported. Until it runs it
 * costs a descriptor, no stack. [anywhere] What pirn_spawn returns.
 */
PIRN_API PIRN_MUST_USE int pirn_call_soon(pirn_runtime *runtime, pirn_task **ret_handle, pirn_fn fn,
                                          void *arg);
PIRN_API PIRN_MUST_USE int pirn_call_at(pirn_runtime *runtime, pirn_task **ret_handle, pirn_fn fn,
                                        void *arg, pirn_time when);

/*
 * Timers: fn(arg) is run as a task of the runtime (NULL: the caller's) when the time has come, and until
 * then there is nothing but the struct, which the program embeds in its own: an idle timeout, say, moved
 * at each message. The task has neither task-locals nor a strand, and an error it ends with is reported.
 * One that is due while there is no memory for it or its stack, or max_tasks are live, comes a little later.
 *   init     -EINVAL, -EPERM (no runtime)
 *   arm      or move it, if it is armed. 0, 1 if it was armed: that call will not be made. PIRN_NEVER: it
 *            is armed, and never comes. fn may arm its own timer again, for the next call. -ENOMEM (it is
 *            not armed now), -ESHUTDOWN (main has ended), -EINVAL
 *   cancel   0: it was armed; that call will not be made. -EALREADY: it was not: never, or no more; fn
 *            will run, runs or has run, once for each time it was armed; also if main has ended meanwhile,
 *            but then its first wait says -ECANCELED (only if there is no stack until the grace of that end is
 *            over it does not: reported)
 * Calls on one timer must not overlap each other; they may overlap fn. The struct may be freed, or moved,
 * when it is not armed, also inside fn or while that runs: only arg must last. An armed one does not keep the
 * runtime alive. Once main has ended none comes due, and it may be cancelled until pirn_run has returned; the
 * memory of one that is armed must last until then. [anywhere; does not suspend]
 * (After Go's AfterFunc with Stop and Reset, and libuv's uv_timer. pirn_call_at gives something to await.)
 */
typedef struct pirn_timer {
    uint64_t opaque[11];
} pirn_timer;
PIRN_API PIRN_MUST_USE int pirn_timer_init(pirn_timer *timer, pirn_runtime *runtime, pirn_fn fn,
                                           void *arg);
PIRN_API PIRN_MUST_USE int pirn_timer_arm(pirn_timer *timer, pirn_time when);
PIRN_API int pirn_timer_cancel(pirn_timer *timer);

/* Lets the task run on unowned; the caller's reference is given up. An error it ends with is
 * reported with its name. A coroutine that has not begun, and whose last reference this is, never will: nobody
 * could begin it any more (start it first).
 * [anywhere] -EINVAL; -EPERM: nobody has a reference to it, so neither has the caller.
 * (What pirn_current returns is borrowed: a task that is to let go of itself needs a handle it was given. If
 * others have references, one of theirs would be given up unnoticed.) */
PIRN_API int pirn_detach(pirn_task *task);

/* Why the current task was last cancelled: that string, or NULL. [coroutine] */
PIRN_API const char *pirn_cancel_reason(void);

/* How often the task (NULL: the current one) has been asked to end, less what it has taken back: one
 * that was delivered still counts. And the current task takes one back: what is left; at 0 a request
 * that has not been delivered is forgotten (asyncio's cancelling and uncancel). [coroutine] */
PIRN_API int pirn_cancelling(const pirn_task *task); /* [anywhere] of another task */
PIRN_API int pirn_uncancel(void);

/* Between these two no request to end is delivered; it waits until the last leave. They nest, 255
 * deep (-EINVAL; also for a leave without an enter). A timeout or scope opened inside works as ever. */
PIRN_API int pirn_shield_enter(void); /* [coroutine] */
PIRN_API int pirn_shield_leave(void);

PIRN_API int pirn_yield(void); /* lets others run. [coroutine; suspends] -ECANCELED */

/* Waits until the given time. [anywhere; suspends] 0 when it has come, -ECANCELED. */
PIRN_API int pirn_sleep(pirn_time until);
PIRN_API int pirn_sleep_on(pirn_clock clock, pirn_time until);

/* The calling task, borrowed; NULL on a plain thread. */
PIRN_API pirn_task *pirn_current(void);

/* Stores references to at most n live tasks of the caller's runtime, returns how many there are.
 * [coroutine] */
PIRN_API int pirn_tasks(pirn_task **ret_tasks, size_t n);

PIRN_API uint64_t pirn_id(const pirn_task *task);
PIRN_API int pirn_name(const pirn_task *task, char *ret_name, size_t size); /* copies; 0 */
PIRN_API int pirn_set_name(pirn_task *task, const char *name);              /* copied; -ENOMEM */

/* A pointer the current task, or job of a thread pool, leaves for its awaiters (pirn_value); drop(value),
 * if given, is called when the last reference goes. [coroutine, job] -EPERM, -ENOMEM */
PIRN_API int pirn_set_value(void *value, void (*drop)(void *value));

/* Task-locals: pointers by key, copied (the pointer, not what it points to) at spawn; when a job is
 * submitted to a thread pool, which then has locals of its own; and when a done callback is added. */
typedef struct pirn_local {
    unsigned index;
} pirn_local;
PIRN_API int pirn_local_new(pirn_local *ret_key);         /* [anywhere] -EAGAIN: 32 at most */
PIRN_API int pirn_local_set(pirn_local key, void *value); /* [coroutine, job] -ENOMEM */
PIRN_API void *pirn_local_get(pirn_local key);            /* NULL when unset */

/* ---- Awaitables: tasks, futures, jobs, combinations ---------------------------------------- */

typedef enum pirn_kind {
    PIRN_KIND_TASK,
    PIRN_KIND_FUTURE,
    PIRN_KIND_JOB,     /* of a pool */
    PIRN_KIND_COMBINED /* gather, shield */
} pirn_kind;
PIRN_API pirn_kind pirn_kind_of(const pirn_awaitable *awaitable); /* [anywhere] not of NULL */

/*
 * Waits until it has ended. [anywhere; suspends] Returns the wait's own fate: 0, -ETIMEDOUT (it goes
 * on), -ECANCELED, -EDEADLK (a task awaits itself), -EINVAL. What it said goes to *ret_status: the
 * value of a task, what a future was set to; -ECANCELED if it was cancelled. Any number of awaiters
 * get the same answer. Of one that has ended it is had at once, cancelled or not (but for a future: a
 * cancelled task does not get even one that is set).
 * Cancelling the only awaiter passes the cancel on and waits on for the end: -ECANCELED if it ended
 * with that, else 0 and what it said (as asyncio does it). One of several awaiters just leaves, and
 * so does an awaiter of a future. A task that has not started yet may be run on its only awaiter's
 * stack, which then stays for its end even if others join it later.
 */
PIRN_API PIRN_MUST_USE int pirn_await(pirn_awaitable *awaitable, int *ret_status,
                                      pirn_time deadline);

/* pirn_await, and the caller's reference is given up when it returns 0. */
PIRN_API PIRN_MUST_USE int pirn_join(pirn_awaitable *awaitable, int *ret_status,
                                     pirn_time deadline);

/* References: one more; one less (-EBUSY, and nothing happens, if it is the last one of a task
 * that has not ended, and is no scope's child: await or detach it). [anywhere] */
PIRN_API pirn_awaitable *pirn_retain(pirn_awaitable *awaitable);
PIRN_API int pirn_release(pirn_awaitable *awaitable);

/*
 * Asks it to end. reason may be NULL; the string must outlive it. Returns 0, or -EALREADY if it has
 * ended. [anywhere]
 *   a task         its next (or present) [suspends] call returns -ECANCELED, once; if it has not
 *                  begun it never runs
 *   a future       is set to -ECANCELED
 *   a job          never runs if it is still queued; else it goes on, and nobody hears of it
 *   a combination  cancels what it combines (but see pirn_shield)
 */
PIRN_API int pirn_cancel(pirn_awaitable *awaitable, const char *reason);

PIRN_API bool pirn_done(const pirn_awaitable *awaitable);  /* it has ended; [anywhere] */
PIRN_API int pirn_status(const pirn_awaitable *awaitable); /* -EINPROGRESS until then; [anywhere] */
/* What a task left (pirn_set_value), a future was set to: its own until the last reference goes. NULL
 * until it has ended. [anywhere] */
PIRN_API void *pirn_value(const pirn_awaitable *awaitable);
/* Why it was last cancelled, or NULL. [anywhere] */
PIRN_API const char *pirn_reason(const pirn_awaitable *awaitable);

/*
 * fn(awaitable, user) is called once it has ended: in a coroutine of the runtime (NULL: the caller's,
 * or on a plain thread the task's; that of the callback added first), in the order added, no two of one awaitable at the same time,
 * never on the stack of who settled it. Each registration counts, also of the same fn twice. One that
 * is added after the end runs soon. What is due runs before pirn_run returns. [anywhere, with a
 * runtime on a plain thread] -EINVAL, -ENOMEM, and what pirn_spawn returns.
 * Removing: how many registrations of fn with user will not run now; they are not running either.
 */
typedef void (*pirn_done_fn)(pirn_awaitable *awaitable, void *user);
PIRN_API PIRN_MUST_USE int pirn_add_done_callback(pirn_awaitable *awaitable, pirn_runtime *runtime,
                                                  pirn_done_fn fn, void *user);
PIRN_API int pirn_remove_done_callback(pirn_awaitable *awaitable, pirn_done_fn fn, void *user);

/* ---- Futures ---------------------------------------------------------------------------- */

/* A value that will be set once, by anyone who has a reference. An error nobody has looked at is reported when the last
 * reference goes. [all anywhere] */
PIRN_API PIRN_MUST_USE int pirn_future_new(pirn_future **ret_future);
/* -EALREADY: it has been set or cancelled, value is still the caller's. -EINVAL: status is
 * -EINPROGRESS. -EPERM: a task, or what else ends by itself. */
PIRN_API int pirn_future_set(pirn_future *future, int status, void *value);
/* The same, and drop(value) is called when the last reference goes. */
PIRN_API int pirn_future_set_owned(pirn_future *future, int status, void *value,
                                   void (*drop)(void *value));
/* pirn_await and pirn_value in one; suspends. */
PIRN_API PIRN_MUST_USE int pirn_future_await(pirn_future *future, int *ret_status, void **ret_value,
                                             pirn_time deadline);
/* The runtime it was made in; NULL on a plain thread. It may be over by now. */
PIRN_API pirn_runtime *pirn_future_runtime(const pirn_future *future);

/* ---- Timers ----------------------------------------------------------------------------- */

typedef enum pirn_missed {
    PIRN_MISSED_BURST, /* catch up: late ticks come one after another (Tokio's default) */
    PIRN_MISSED_SKIP,  /* drop what was missed, stay on the grid */
    PIRN_MISSED_DELAY  /* start a new grid at the late tick */
} pirn_missed;

typedef struct pirn_ticker {
    pirn_time next, period;
    pirn_missed missed;
} pirn_ticker;

/* The first tick comes a period from now. -EINVAL: period <= 0. No resources are held. */
PIRN_API int pirn_ticker_init(pirn_ticker *ticker, pirn_time period, pirn_missed missed);
/* Waits for the next tick. [anywhere; suspends] Returns the number of ticks dropped before it. */
PIRN_API int pirn_ticker_wait(pirn_ticker *ticker);

/* ---- I/O -------------------------------------------------------------------------------- */

/*
 * As the calls of the same name, with a deadline; on sockets, pipes, files, terminals. [anywhere;
 * all suspend except pirn_close on a plain thread] The descriptor may be blocking or not. SIGPIPE
 * is never raised by sends. Beyond the system call's own errors: -ETIMEDOUT, -ECANCELED, -EINVAL,
 * and -EBADF when a call waits and somebody closes the descriptor with pirn_close. (A plain thread's call
 * that waits has one descriptor more for that. If none is to be had it waits on, as beside close(2).)
 */
PIRN_API PIRN_MUST_USE int pirn_accept(
    int fd, struct sockaddr *ret_addr, socklen_t *ret_len, int flags,
    pirn_time deadline); /* the new descriptor; always close-on-exec */
PIRN_API int pirn_connect(int fd, const struct sockaddr *addr, socklen_t len, pirn_time deadline);
PIRN_API ssize_t pirn_recv(int fd, void *buf, size_t n, int flags, pirn_time deadline);
/* Sends all of a stream's n bytes unless something stops it; a count < n says where. */
PIRN_API ssize_t pirn_send(int fd, const void *buf, size_t n, int flags, pirn_time deadline);
PIRN_API ssize_t pirn_recvmsg(int fd, struct msghdr *msg, int flags, pirn_time deadline);
PIRN_API ssize_t pirn_sendmsg(int fd, const struct msghdr *msg, int flags, pirn_time deadline);
/* Writes, and reads of files, move all n bytes unless the file ends or something stops them; a count < n
 * says where. Reads of what is no file return what has come; 0 is the end. */
PIRN_API ssize_t pirn_read(int fd, void *buf, size_t n, pirn_time deadline);
PIRN_API ssize_t pirn_write(int fd, const void *buf, size_t n, pirn_time deadline);
PIRN_API ssize_t pirn_pread(int fd, void *buf, size_t n, off_t offset, pirn_time deadline);
PIRN_API ssize_t pirn_pwrite(int fd, const void *buf, size_t n, off_t offset, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_openat(int dir_fd, const char *path, int flags, mode_t mode,
                                       pirn_time deadline);
PIRN_API int pirn_fsync(int fd, pirn_time deadline);
/* Waits for poll(2) events (POLLIN, ...); returns those that came. */
PIRN_API int pirn_poll(int fd, unsigned events, pirn_time deadline);

/* Closes fd. Calls of others that are in flight on it end first, with -EBADF. Not cancellable. */
PIRN_API int pirn_close(int fd);

/* ---- Blocking calls --------------------------------------------------------------------- */

/*
 * Runs fn(arg) on a pool thread that never submits I/O, and waits for it. [coroutine; suspends] The place
 * for what the kernel does not interrupt: vfork(2), an uninterruptible sleep, one very long system call; made
 * in a coroutine it keeps back completions of what that thread has submitted for others. A
 * job still queued at the deadline or a cancel never runs (-ETIMEDOUT, -ECANCELED); one that has
 * begun is waited for. Returns 0 with fn's result in *ret_status; -EAGAIN when no thread can be
 * had, -ENOMEM. What it is inside is told in pirn/executor.h, which has pools of the program's own.
 */
PIRN_API PIRN_MUST_USE int pirn_blocking(pirn_fn fn, void *arg, int *ret_status,
                                         pirn_time deadline);

/* ---- Looking inside --------------------------------------------------------------------- */

/* Writes each live task once: name, state, what it waits for and since when, where it was spawned.
 * runtime NULL: the caller's. [anywhere] */
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

PIRN_API int pirn_stats_get(pirn_runtime *runtime, pirn_stats *ret_stats); /* NULL: the caller's */

/* The version of the library at run time, "0.1.0". */
PIRN_API const char *pirn_version(void);

/* clang-format off */
#include <pirn/strand.h>
#include <pirn/scope.h>
#include <pirn/combine.h>
#include <pirn/sync.h>
#include <pirn/queue.h>
#include <pirn/channel.h>
#include <pirn/executor.h>
#include <pirn/generator.h>
#include <pirn/loop.h>
#include <pirn/file.h>
#include <pirn/stream.h>
#include <pirn/net.h>
#include <pirn/server.h>
#include <pirn/process.h>
/* clang-format on */

#ifdef __cplusplus
}
#endif
#endif
