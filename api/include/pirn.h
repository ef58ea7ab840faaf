/*
 * pirn: Go's concurrency for C. Ordinary functions run as coroutines, in parallel on all cores,
 * over io_uring; a coroutine that computes or blocks does not hold up the others.
 *
 * Link with pkg-config pirn, or CMake's pirn::pirn. Programs include this header alone; HTTP and
 * TLS are libraries of their own, with <pirn/http.h> and <pirn/tls.h>.
 *
 * Conventions that hold for every call
 *
 *   Errors     0 or a value on success, a negative errno on failure; errno itself says nothing
 *              after a call. (Do not read errno across a suspending call: the coroutine may go on
 *              on another thread while the compiler keeps the old thread's errno address.)
 *   Deadlines  the last argument of nearly every call that can wait: an absolute time on the
 *              monotonic clock. pirn_after_ms(5) and kin make one, PIRN_NEVER waits for ever, a
 *              deadline in the past tries once. A wait that runs out returns -ETIMEDOUT; one for
 *              whose deadline there is no memory -ENOMEM, and has not happened either. (None has
 *              what ends something: pirn_close, pirn_dir_close, pirn_generator_close,
 *              pirn_stream_abort, pirn_server_close; nor have pirn_yield, pirn_generator_yield,
 *              pirn_parallel_for, pirn_ticker_wait, pirn_print, pirn_server_serve,
 *              pirn_process_pool_new, and what runs a runtime.)
 *   Cancel     a call marked [suspends] first looks for a pending cancel and then returns
 *              -ECANCELED without acting. A request is told once: who ignores that -ECANCELED has
 *              taken it. A call that reports -ECANCELED or -ETIMEDOUT did not happen; one that
 *              happened reports its result and the cancel stays pending. When a call returns, for
 *              whatever reason, the kernel is done with its buffers. Cancels that come before one
 *              is delivered are delivered as one.
 *              Not so what ends, closes or stops something, and what cancels what it waits for
 *              (pirn_scope_wait and _close, pirn_wait_for, pirn_race, ...): it acts whatever it
 *              returns, and says so itself. pirn_close, and pirn_await of a task that has ended,
 *              act, and leave the cancel pending. Some calls of HTTP, and pirn_generator_yield:
 *              see there.
 *   Shutdown   when main has ended, whatever still runs is cancelled; after the grace (pirn_config)
 *              every call that would wait returns -ESHUTDOWN.
 *   Outputs    ret_x parameters come before the deadline and are written only on success. Those
 *              of results (ret_status, ret_value, ret_addr) may be NULL when not wanted.
 *   Order      what a task did before its end is seen by who awaits it, what was done before a
 *              spawn by the child, and what was done before pirn_future_set by who finds it set.
 *   Where      [coroutine]  only inside a coroutine, else -EPERM
 *              [anywhere]   coroutines of any runtime and plain threads; a call that waits
 *                           suspends the coroutine, or blocks the plain thread
 *              [plain threads]  on no coroutine, else -EDEADLK or -EPERM
 *              [job]        in a function that a thread pool calls
 *              None is for a signal handler: pirn_signal_add has a function run as a task.
 *   [suspends] the coroutine may go on on another thread afterwards (unless it is pinned). The
 *              rounding mode and other floating-point controls are the thread's, like its signal
 *              mask and its thread-locals: who changes one puts it back before such a call.
 *   Fork       a fork's child is a plain thread, whatever forked. Its parent's runtimes do not run
 *              there (-ESHUTDOWN); it may start its own. What others may have been using then
 *              (queues, channels, locks, futures, ...) is not for it: a call on such may wait for
 *              ever, for who was in the middle of one is not there. Daemons fork before their first
 *              run.
 *   NULL       as what is to be released or freed: nothing happens (pirn_release: -EINVAL). For any
 *              other object: -EINVAL.
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
/* The compiler warns where the result is ignored. It is on calls that make, read, write, take or
 * wait for something. It is not on: close, stop, cancel, release; set and notify; pirn_stream_write
 * (the drain tells); sleep and yield; questions; and calls that fail only by a mistake of the
 * caller's (debug mode names those). An ignored -ECANCELED is lost all the same. */
#define PIRN_MUST_USE __attribute__((warn_unused_result))

/* ---- Time ------------------------------------------------------------------------------- */

/*
 * A point on a clock: a deadline is one, pirn_after_s(5). A length of time: config->grace, a
 * ticker's period, pirn_span_s(5). Both in nanoseconds; a struct each, so that neither the one for
 * the other compiles nor a bare 1000 (Go and Rust tell them apart in the same way: Time and
 * Duration, Instant and Duration).
 */
typedef struct pirn_time {
    int64_t ns;
} pirn_time;
typedef struct pirn_span {
    int64_t ns;
} pirn_span;

static const pirn_time PIRN_NEVER = {INT64_MAX};   /* the largest deadline */
static const pirn_time PIRN_NOW = {0};             /* in the past: try once, do not wait */
static const pirn_span PIRN_FOREVER = {INT64_MAX}; /* the largest span */

PIRN_API pirn_time pirn_now(void);            /* the monotonic clock; [anywhere] */
PIRN_API pirn_time pirn_after_ns(int64_t ns); /* now + ns, saturating; [anywhere] */
PIRN_API pirn_time pirn_after_us(int64_t us);
PIRN_API pirn_time pirn_after_ms(int64_t ms);
PIRN_API pirn_time pirn_after_s(double s); /* NaN is treated as now */
PIRN_API pirn_time pirn_after(pirn_span span);
PIRN_API pirn_span pirn_span_us(int64_t us); /* saturating; [anywhere] */
PIRN_API pirn_span pirn_span_ms(int64_t ms);
PIRN_API pirn_span pirn_span_s(double s); /* NaN is treated as 0 */

typedef enum pirn_clock {
    PIRN_CLOCK_MONOTONIC, /* stands still while the machine is suspended */
    PIRN_CLOCK_WALL,      /* CLOCK_REALTIME: follows when the clock is set */
    PIRN_CLOCK_BOOT       /* monotonic, and counts suspend */
} pirn_clock;

PIRN_API pirn_time pirn_clock_now(pirn_clock clock); /* [anywhere] */

/* ---- The runtime ------------------------------------------------------------------------ */

typedef struct pirn_runtime pirn_runtime; /* one set of workers */

/* What can be awaited, counted by reference. One type for all of the family, so that every handle
 * can be given wherever one is awaited, cancelled, released; what it is shows in the name it goes
 * by. */
typedef struct pirn_awaitable pirn_awaitable;
typedef pirn_awaitable pirn_task;   /* one coroutine */
typedef pirn_awaitable pirn_future; /* a value to come */

/* A coroutine: returns a value >= 0, or a negative errno; that is its status. */
typedef int (*pirn_fn)(void *arg);

/* What comes within a quarter of a second of the first SIGINT or SIGTERM is no second one:
 * timeout(1), and a wrapper that passes the terminal's Ctrl-C on, send theirs twice. They are heard
 * also where they were ignored before, as SIGINT is in what a script starts with &.
 * (Another signal is made to cancel main by pirn_signal_add, with a pirn_cancel of main's task.
 * What pirn_current returns is good until main ends: remove the signal before that.) */
enum {
    PIRN_SIGINT_CANCELS = 1u << 0,  /* first SIGINT cancels main, a second ends the process */
    PIRN_REPORT_OVERFLOW = 1u << 1, /* name the task on a stack overflow, then die */
    PIRN_DEBUG = 1u << 2,           /* see <pirn/look.h> */
    PIRN_DEADLOCK_ENDS = 1u << 3,   /* a run in which nothing can happen any more ends: -EDEADLK */
    PIRN_SIGTERM_CANCELS =
        1u << 4, /* SIGTERM likewise; with both flags a second of either kind ends it */
};

typedef struct pirn_config {
    size_t size;    /* sizeof(pirn_config), set by PIRN_CONFIG_INIT */
    unsigned flags; /* PIRN_SIGINT_CANCELS, ...; signals are left alone unless asked */
    /* 1024 at most; 0: PIRN_WORKERS of the environment, or CPUs granted (affinity, cgroups). */
    int workers;
    int max_spares; /* extra threads while workers are blocked in the kernel; 0: 64 */
    /* Live tasks; a spawn beyond it gives -EAGAIN. 0: no limit. A stream's own, which sends what is
     * left of a write, is counted and never refused. */
    int max_tasks;
    int max_blocking;  /* threads of the pirn_blocking pool; 0: 64 */
    int dump_signal;   /* dumps all tasks to stderr; 0: none; as for pirn_signal_add (-EINVAL) */
    size_t stack_size; /* bytes a coroutine's stack gets by default; 0: 64 KiB; 1 GiB at most */
    pirn_span grace;   /* for leftovers at shutdown; 0: 5 s; PIRN_FOREVER: no end */
    /* Hears warnings, from any thread, from several at once; NULL: stderr (pirn/look.h). */
    void (*report)(void *user, const char *line);
    void *report_user;
    /* Memory of the runtime itself, its tasks, rings, deadlines, scopes; NULL: malloc. Both or
     * neither (-EINVAL); called by any thread, several at once; aligned as malloc's. What may
     * outlive the runtime (futures, jobs, gathers, channels, streams, what is returned to be freed)
     * is malloc's; stacks are mapped. */
    void *(*alloc)(void *user, size_t bytes);
    void (*free)(void *user, void *ptr);
    void *alloc_user;
    pirn_span slow_step;    /* debug mode: a longer step is reported; 0: 100 ms */
    int max_kernel_threads; /* a worker's, for file I/O; 0: 4. See <pirn/file.h> */
} pirn_config;

#define PIRN_CONFIG_INIT \
    { \
        sizeof(pirn_config), 0, 0, 0, 0, 0, 0, 0, {0}, NULL, NULL, NULL, NULL, NULL, {0}, 0 \
    }

/*
 * Runs fn(arg) as the main coroutine of a new runtime on this plain thread's behalf and waits for
 * it. What main leaves running is cancelled once and gets config->grace to clean up. Returns
 * main's status, or: -EDEADLK (inside a coroutine; or by PIRN_DEADLOCK_ENDS), -EINVAL, -ENOMEM,
 * -EAGAIN (threads; or 64 runtimes take signals), -EMFILE, -ENFILE (a ring for each worker),
 * -ENOSYS (io_uring is missing or denied; the report says which), -EBUSY (a task would not end; it
 * was named and its memory left alone), -EINTR (pirn_runtime_stop).
 */
PIRN_API PIRN_MUST_USE int pirn_run(pirn_fn fn, void *arg);

/* The same with a config; main's status goes to *ret_status and the return value is 0 if it ran. A
 * main that ends with -ECANCELED because of SIGINT or SIGTERM (PIRN_SIGINT_CANCELS,
 * PIRN_SIGTERM_CANCELS; pirn_cancel_reason says "SIGINT" or "SIGTERM"), and nobody else asked it to
 * end, has the status -EINTR; one that makes something else of the cancel, 0 say, has that. */
PIRN_API PIRN_MUST_USE int pirn_run_with(const pirn_config *config, pirn_fn fn, void *arg,
                                         int *ret_status);

/* The runtime of the calling coroutine, borrowed; NULL on a plain thread. [anywhere] */
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
                                    drops: where the task never began there may be no coroutine,
                                    and calls that would have to wait return -EPERM */
    pirn_strand *strand; /* NULL: the spawning coroutine's, if it has one; see pirn/strand.h */
} pirn_spawn_config;

#define PIRN_SPAWN_CONFIG_INIT \
    { \
        sizeof(pirn_spawn_config), NULL, 0, 0, NULL, NULL, NULL \
    }

/*
 * Starts fn(arg) as a new task, which may begin at once on another worker: arg must be complete and
 * outlive it. *ret_task is a reference the caller owns (await and release it, join it, or detach
 * it); NULL: nobody waits for it (Go's go statement), and an error it ends with is reported with
 * its name. config may be NULL. [anywhere, with config->runtime on a plain thread; does not
 * suspend]
 * -EINVAL, -EPERM (no runtime), -ENOMEM, -EAGAIN (max_tasks, or threads for a pinned task),
 * -ESHUTDOWN.
 * 0 does not say that fn will run: it gets its stack when it begins. If none can be had (address
 * space, vm.max_map_count) the task ends with -ENOMEM, unrun, and its arg_drop is called.
 */
PIRN_API PIRN_MUST_USE int pirn_spawn(pirn_task **ret_task, pirn_fn fn, void *arg);
PIRN_API PIRN_MUST_USE int pirn_spawn_with(pirn_task **ret_task, const pirn_spawn_config *config,
                                           pirn_fn fn, void *arg);

/*
 * A coroutine that does not run yet: pirn_start begins it, and so does the first await (as a
 * coroutine object of asyncio's). Released or detached without either it never runs: its arg_drop
 * is called, and its done callbacks find that it ended with -ECANCELED. As pirn_spawn_with
 * otherwise; but it is not pinned (-EINVAL), and ret_task is not NULL (-EINVAL: nobody could begin
 * it). pirn_start: -EALREADY, -EINVAL.
 */
PIRN_API PIRN_MUST_USE int pirn_coroutine_new(pirn_task **ret_task, const pirn_spawn_config *config,
                                              pirn_fn fn, void *arg);
PIRN_API int pirn_start(pirn_task *task); /* [anywhere] */

/* Lets the task run on unowned; the caller's reference is given up. An error it ends with is
 * reported with its name. A coroutine that has not begun, and whose last reference this is, never
 * will: nobody could begin it any more (start it first).
 * [anywhere] -EINVAL; -EPERM: nobody has a reference to it, so neither has the caller. (What
 * pirn_current returns is borrowed: a task that is to let go of itself needs a handle it was given.
 * If others have references, one of theirs would be given up unnoticed.) */
PIRN_API int pirn_detach(pirn_task *task);

/* Why the current task was last cancelled: that string, or NULL. [coroutine] */
PIRN_API const char *pirn_cancel_reason(void);

/* How often the task (NULL: the current one) has been asked to end, less what it has taken back:
 * one that was delivered still counts. And the current task takes one back: what is left; at 0 a
 * request that has not been delivered is forgotten (asyncio's cancelling and uncancel).
 * [coroutine] */
PIRN_API int pirn_cancelling(const pirn_task *task); /* [anywhere] of another task */
PIRN_API int pirn_uncancel(void);

/* Between these two no request to end is delivered; it waits until the last leave. They nest, 255
 * deep (-EINVAL; also for a leave without an enter). A timeout or scope opened inside works as
 * ever. */
PIRN_API int pirn_shield_enter(void); /* [coroutine] */
PIRN_API int pirn_shield_leave(void);

PIRN_API int pirn_yield(void); /* lets others run. [coroutine; suspends] -ECANCELED */

/* Waits until the given time. [anywhere; suspends] 0 when it has come (at once if it is past; a
 * coroutine lets others run then), -ECANCELED, -ESHUTDOWN, -ENOMEM; -EINVAL: no such clock. */
PIRN_API int pirn_sleep(pirn_time until);
PIRN_API int pirn_sleep_on(pirn_clock clock, pirn_time until);

/* The calling task, borrowed; NULL on a plain thread. [anywhere] */
PIRN_API pirn_task *pirn_current(void);

/* Stores references to at most n live tasks of the caller's runtime, returns how many there are.
 * [coroutine] */
PIRN_API PIRN_MUST_USE int pirn_tasks(pirn_task **ret_tasks, size_t n);

/* [anywhere] Its number, 0 if it is no task. Its name, cut to size: 0, -EINVAL. Another, copied:
 * -EINVAL, -ENOMEM. */
PIRN_API uint64_t pirn_id(const pirn_task *task);
PIRN_API int pirn_name(const pirn_task *task, char *ret_name, size_t size);
PIRN_API int pirn_set_name(pirn_task *task, const char *name);

/* A pointer the current task, or job of a thread pool, leaves for its awaiters (pirn_value);
 * drop(value), if given, is called when the last reference goes, or when another value takes its
 * place. [coroutine, job] -EPERM, -ENOMEM: value is still the caller's */
PIRN_API PIRN_MUST_USE int pirn_set_value(void *value, void (*drop)(void *value));

/* Task-locals: pointers by key, copied (the pointer, not what it points to) at spawn; when a job is
 * submitted to a thread pool, which then has locals of its own; and when a done callback is
 * added. */
typedef struct pirn_local {
    unsigned index;
} pirn_local;
PIRN_API PIRN_MUST_USE int pirn_local_new(pirn_local *ret_key); /* [anywhere] -EAGAIN: 32 at most */
/* [coroutine, job] -EINVAL (no such key), -EPERM, -ENOMEM */
PIRN_API PIRN_MUST_USE int pirn_local_set(pirn_local key, void *value);
PIRN_API void *pirn_local_get(pirn_local key); /* NULL when unset; [anywhere] */

/* ---- Awaitables: tasks, futures, jobs, combinations ---------------------------------------- */

typedef enum pirn_kind {
    PIRN_KIND_TASK,
    PIRN_KIND_FUTURE,
    PIRN_KIND_JOB,     /* of a pool */
    PIRN_KIND_COMBINED /* gather, shield */
} pirn_kind;
PIRN_API pirn_kind pirn_kind_of(const pirn_awaitable *awaitable); /* [anywhere] not of NULL */

/*
 * Waits until it has ended. [anywhere; suspends] Returns the wait's own fate: 0, -ETIMEDOUT (it
 * goes on), -ECANCELED, -EDEADLK (a task awaits itself), -EINVAL. What it said goes to *ret_status:
 * the value of a task, what a future was set to; -ECANCELED if it was cancelled. Any number of
 * awaiters get the same answer. Of one that has ended it is had at once, cancelled or not (but for
 * a future: a cancelled task does not get even one that is set).
 * An only awaiter that is cancelled while it waits passes the cancel on and waits on for the end:
 * -ECANCELED if it ended with that, else 0 and what it said (as asyncio does it). One that finds
 * the cancel when it begins passes it on and returns -ECANCELED at once: the task still runs, and
 * may use its argument. One of several awaiters just leaves, and so does an awaiter of a future. A
 * task that has not started yet may be run on its only awaiter's stack, which then stays for its
 * end even if others join it later.
 */
PIRN_API PIRN_MUST_USE int pirn_await(pirn_awaitable *awaitable, int *ret_status,
                                      pirn_time deadline);

/* pirn_await, and the caller's reference is given up when it returns 0. After any other result the
 * caller still has it: it joins it again, or gives it up by pirn_detach (a task, ended or not) or
 * pirn_release. To wait whatever comes: between pirn_shield_enter and pirn_shield_leave; or a
 * scope. */
PIRN_API PIRN_MUST_USE int pirn_join(pirn_awaitable *awaitable, int *ret_status,
                                     pirn_time deadline);

/* References: one more; one less (-EBUSY, and nothing happens, if it is the last one of a task
 * that has not ended, is no scope's child, and has no done callback, which will see to it: await or
 * detach it). [anywhere] */
PIRN_API pirn_awaitable *pirn_retain(pirn_awaitable *awaitable);
PIRN_API int pirn_release(pirn_awaitable *awaitable);

/*
 * Asks it to end. reason may be NULL; the string must outlive it. Returns 0, or -EALREADY if it has
 * ended. [anywhere]
 *   a task         its next (or present) [suspends] call returns -ECANCELED, once; if it has not
 *                  begun it never runs. The end of a runtime cancels each task once, however many
 *                  of those told hand that on: to whom they await, or with pirn_cancel_reason()
 *   a future       is set to -ECANCELED
 *   a job          never runs if it is still queued; else it goes on, and nobody hears of it
 *   a combination  cancels what it combines (but see pirn_shield)
 */
PIRN_API int pirn_cancel(pirn_awaitable *awaitable, const char *reason);

PIRN_API bool pirn_done(const pirn_awaitable *awaitable);  /* it has ended; [anywhere] */
PIRN_API int pirn_status(const pirn_awaitable *awaitable); /* -EINPROGRESS until then; [anywhere] */
/* What a task left (pirn_set_value), a future was set to: its own until the last reference goes.
 * NULL until it has ended. [anywhere] */
PIRN_API void *pirn_value(const pirn_awaitable *awaitable);
/* Why it was last cancelled, or NULL. [anywhere] */
PIRN_API const char *pirn_reason(const pirn_awaitable *awaitable);

/*
 * fn(awaitable, user) is called once it has ended, in a coroutine of the runtime; NULL: the
 * caller's, or on a plain thread the task's (a future there needs one: -EPERM). All of one
 * awaitable are called in the runtime of the one that was added first, in the order added, one
 * after another, never on the stack of who settled it; what one defers runs before the next. Each
 * registration counts, also of the same fn twice. One that is added after the end runs soon. While
 * there is no stack for the coroutine they are put off. What is due runs before pirn_run returns
 * (what gets no stack until the grace is over never does, which is reported). [anywhere, with a
 * runtime on a plain thread] -EINVAL, -ENOMEM, and what pirn_spawn returns. Removing: how many
 * registrations of fn with user will not run now; they are not running either.
 */
typedef void (*pirn_done_fn)(pirn_awaitable *awaitable, void *user);
PIRN_API PIRN_MUST_USE int pirn_add_done_callback(pirn_awaitable *awaitable, pirn_runtime *runtime,
                                                  pirn_done_fn fn, void *user);
PIRN_API int pirn_remove_done_callback(pirn_awaitable *awaitable, pirn_done_fn fn, void *user);

/* ---- Futures ---------------------------------------------------------------------------- */

/* A value that will be set once, by anyone who has a reference. An error nobody has looked at is
 * reported when the last reference goes. [all anywhere] */
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

/* The version of the library at run time, "0.1.0". */
PIRN_API const char *pirn_version(void);

/* clang-format off */
#include <pirn/strand.h>     /* coroutines that take turns */
#include <pirn/scope.h>      /* task groups */
#include <pirn/combine.h>    /* wait, gather, race, map, timeouts */
#include <pirn/sync.h>       /* locks, events, semaphores, barriers */
#include <pirn/queue.h>      /* queues, by priority too */
#include <pirn/channel.h>    /* channels, select, broadcasts, watches */
#include <pirn/timer.h>      /* calls at a time, timers, tickers, rates */
#include <pirn/executor.h>   /* calls that block: pools of threads and processes */
#include <pirn/generator.h>  /* generators, cleanups */
#include <pirn/loop.h>       /* the runtime as an object, foreign loops, signals */
#include <pirn/look.h>       /* debug mode, a dump, counters */
#include <pirn/io.h>         /* the system calls: accept, recv, read, close, ... */
#include <pirn/file.h>       /* more of files, whole ones, directories */
#include <pirn/stream.h>     /* buffered reading and writing */
#include <pirn/net.h>        /* names, connections, datagrams */
#include <pirn/server.h>     /* a coroutine per connection */
#include <pirn/process.h>    /* child processes */
/* clang-format on */

#ifdef __cplusplus
}
#endif
#endif
