/*
 * The runtime as an object: run it, stop it, run it again, live beside a foreign loop; and signals.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_LOOP_H
#define PIRN_LOOP_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

/* ---- The runtime as an object ------------------------------------------------------------ */

/*
 * A runtime that is run several times (asyncio's loop object). Between runs it is paused: none of
 * its coroutines executes, and its threads sleep without a system call. What was left pending goes
 * on in the next run; deadlines that pass, I/O that completes and tasks that are spawned meanwhile
 * (with config->runtime) wait for it. Jobs of pirn_blocking are no coroutines and are not paused. A
 * process may have any number of runtimes, running and paused.
 *
 * config NULL: the defaults. The caller owns *ret_runtime: pirn_runtime_free. [anywhere] Does not
 * suspend: who calls it on a worker keeps that until the new threads are there.
 * -EINVAL, -ENOMEM, -EAGAIN, -EMFILE, -ENFILE, -ENOSYS, as pirn_run.
 */
PIRN_API PIRN_MUST_USE int pirn_runtime_new(pirn_runtime **ret_runtime, const pirn_config *config);

/*
 * Runs the runtime until fn(arg), a new task, has ended; on the calling thread's behalf, which
 * waits, and is no worker. [plain threads] config may be NULL; its runtime is not looked at.
 * Returns 0 and what the task said in *ret_status (-EINTR: SIGINT cancelled it, and nobody else
 * did; -ENOMEM: maybe it got no stack, see pirn_spawn), or
 *   -EINTR     stopped before the task ended. It is still pending, and a later run resumes it;
 *              spawn it yourself and use pirn_runtime_run_until_done to have a handle of it
 *   -EDEADLK   called in a coroutine, of whatever runtime
 *   -EBUSY     another thread runs or closes it
 *   -ESHUTDOWN it is closed (config->arg_drop(arg) has been called, as by pirn_spawn_with), or this
 *              is a fork's child
 *   and what pirn_spawn_with returns.
 * It returns when every coroutine has reached its next suspend point: one that computes holds it
 * up.
 */
PIRN_API PIRN_MUST_USE int pirn_runtime_run_until_complete(pirn_runtime *runtime, pirn_fn fn,
                                                           void *arg, int *ret_status);
PIRN_API PIRN_MUST_USE int pirn_runtime_run_until_complete_with(pirn_runtime *runtime,
                                                                const pirn_spawn_config *config,
                                                                pirn_fn fn, void *arg,
                                                                int *ret_status);

/* The same for what exists: a task, of this runtime or another, a future, any awaitable; the
 * reference stays the caller's. -EINTR, too, for a wait that fails otherwise. */
PIRN_API PIRN_MUST_USE int pirn_runtime_run_until_done(pirn_runtime *runtime,
                                                       pirn_awaitable *awaitable, int *ret_status);

/* Runs the runtime until it is stopped: 0. [plain threads] -EINTR: SIGINT stopped it (if its config
 * has PIRN_SIGINT_CANCELS). -EDEADLK, -EBUSY, -ESHUTDOWN as above. */
PIRN_API PIRN_MUST_USE int pirn_runtime_run_forever(pirn_runtime *runtime);

/*
 * Makes the present run end, after the step that each coroutine is in. Without one the next run is
 * a single pass: every task that is ready runs once, up to its next suspend point, and then the run
 * returns (pinned tasks have no part in it). What they ask the kernel for goes on between passes;
 * what has completed or is due makes its task ready for the next one. [anywhere, but no signal
 * handler] -ESHUTDOWN: it is closed.
 */
PIRN_API int pirn_runtime_stop(pirn_runtime *runtime);

/*
 * Ends the runtime as the end of pirn_run does: what is left is cancelled once, runs on, and gets
 * config->grace to clean up; threads, stacks, rings and signal handlers go. 0, also if it was
 * closed before. [plain threads] -EBUSY: it is running, and nothing happened; or a task would not
 * end, was named, and its memory is left alone. -EDEADLK: in a coroutine, of one that does not
 * run. -ESHUTDOWN: in a fork's child. Calls on a closed runtime, as long as it is not freed: run,
 * spawn, stop, dump give -ESHUTDOWN.
 */
PIRN_API int pirn_runtime_close(pirn_runtime *runtime);

/* Closes it if need be and frees it; NULL: nothing. What pirn_runtime_close returns, and if that is
 * not 0 nothing was freed. Tasks that have ended may be referred to longer. */
PIRN_API int pirn_runtime_free(pirn_runtime *runtime);

/* 1 or 0. Somebody is inside a run; it is closed, or closing. [anywhere] */
PIRN_API int pirn_runtime_is_running(const pirn_runtime *runtime);
PIRN_API int pirn_runtime_is_closed(const pirn_runtime *runtime);

/* 1 in a coroutine, a pinned one too; 0 on a plain thread and in a job of pirn_blocking.
 * [anywhere] */
PIRN_API int pirn_on_worker(void);

/* ---- A mailbox for a foreign loop -------------------------------------------------------- */

/*
 * How coroutines have something done by a thread that runs another event loop (GLib, libuv, epoll):
 * that loop watches the mailbox's descriptor and calls pirn_mailbox_dispatch when it is readable.
 * (asyncio's call_soon_threadsafe and run_coroutine_threadsafe, seen from the other side.) Counted
 * by reference.
 */
typedef struct pirn_mailbox pirn_mailbox;

/* [anywhere] -ENOMEM, -EMFILE, -ENFILE. */
PIRN_API PIRN_MUST_USE int pirn_mailbox_new(pirn_mailbox **ret_mailbox);
/* The last release closes it. [anywhere; do not suspend] */
PIRN_API pirn_mailbox *pirn_mailbox_retain(pirn_mailbox *mailbox);
PIRN_API void pirn_mailbox_release(pirn_mailbox *mailbox);

/* Readable (POLLIN) while there is something to dispatch. It is the mailbox's: not to be read,
 * written or closed. Level- or edge-triggered. [anywhere] */
PIRN_API int pirn_mailbox_fd(const pirn_mailbox *mailbox);

/* Has fn(arg) called by the dispatching thread, some time, in order of posting. [anywhere; does not
 * suspend] -ENOMEM, -ESHUTDOWN (closed), -EINVAL: arg is still the caller's. If a close drops it
 * nobody is told: what arg points to has another owner, or is lost. */
PIRN_API PIRN_MUST_USE int pirn_mailbox_post(pirn_mailbox *mailbox, void (*fn)(void *arg),
                                             void *arg);

/*
 * Has fn(arg) called by the dispatching thread and waits for it. [anywhere; suspends] 0 and what fn
 * returned in *ret_status. A call still queued at a cancel or the deadline never runs (-ECANCELED,
 * -ETIMEDOUT); one that has begun is waited for, and a cancel stays pending. -EDEADLK: by a
 * function that a dispatch runs. -ESHUTDOWN: the mailbox was closed before it ran, or the runtime
 * is at its end.
 * -EINVAL.
 */
PIRN_API PIRN_MUST_USE int pirn_mailbox_call(pirn_mailbox *mailbox, pirn_fn fn, void *arg,
                                             int *ret_status, pirn_time deadline);

/* Calls what was queued when it began, on this thread, and returns how many that were; what is
 * queued meanwhile makes the descriptor readable again. The functions may use the mailbox, dispatch
 * it, and close it. [plain threads, one at a time] -EPERM: in a coroutine; -EBUSY: another thread
 * is at it; -ESHUTDOWN: closed; -EINVAL. */
PIRN_API int pirn_mailbox_dispatch(pirn_mailbox *mailbox);

/* Nothing runs any more: calls that wait in it return -ESHUTDOWN, posts are dropped. The descriptor
 * stays (readable) until the last reference goes. Returns how many posts were dropped; 0, if it was
 * closed before. [anywhere] */
PIRN_API int pirn_mailbox_close(pirn_mailbox *mailbox);

/* ---- Signals ----------------------------------------------------------------------------- */

/*
 * From now on fn(arg) runs as a task of the runtime (NULL: the caller's) when signal signo has
 * come: an ordinary coroutine, on no strand, which may allocate, print, wait, spawn. arg must last
 * until the runtime's end: a remove does not wait for a call that has begun. Signals that come
 * before it begins are one; while it runs it is not started again, but once more afterwards. It
 * wakes an idle runtime; a paused one runs it in its next run. A handler of the program's that was
 * there before is called too, first, in signal context. Adding again replaces fn and arg, also for
 * a signal that has come and that the earlier fn has not been begun for. SIGINT is not taken for a
 * cancel (PIRN_SIGINT_CANCELS) while it is added. [anywhere]
 * -EINVAL: no such signal, SIGKILL, SIGSTOP, or one that an instruction raises (SIGSEGV, SIGBUS,
 * SIGFPE, SIGILL). -EBUSY: another runtime has it. -EPERM: no runtime. -ENOMEM, -ESHUTDOWN.
 */
PIRN_API PIRN_MUST_USE int pirn_signal_add(int signo, pirn_fn fn, void *arg, pirn_runtime *runtime);

/* fn is not begun any more (one that has begun is not waited for), and the earlier disposition is
 * back. Returns 1, or 0 if none was added; -EINVAL: no such signal. A runtime's end removes its
 * own. [anywhere] */
PIRN_API int pirn_signal_remove(int signo);

#endif
