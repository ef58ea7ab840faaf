/*
 * Thread pools and process pools.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_EXECUTOR_H
#define PIRN_EXECUTOR_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

/* ---- Jobs ------------------------------------------------------------------------------- */

/*
 * A call of a function elsewhere: on a thread of a pool, or in a process. It is an awaitable like
 * any other: awaited, joined, cancelled, given done callbacks, by anybody, with a runtime or
 * without one. It goes on when its handle is released.
 *
 * Cancelled (by pirn_cancel, or because its only awaiter was), it ends at once, with -ECANCELED. If
 * it was still queued it never runs. One that runs goes on to its end, for there is no way to stop
 * it; its argument stays until then, and the value it leaves is dropped. A deadline of an await
 * leaves it alone.
 *
 * Once a job has said its end the pool has no reference to it any more: the value is dropped where
 * the last handle is released.
 */
typedef pirn_awaitable pirn_job;

/* True while it runs: it is no longer queued, and has not ended (Future.running). [anywhere] */
PIRN_API bool pirn_job_is_running(const pirn_job *job);

/* ---- Thread pools ------------------------------------------------------------------------ */

/*
 * Threads for calls that block, or that compute and must not share a worker. For what pirn does
 * itself (I/O, sleeping), coroutines cost less: here each wait has a thread of its own.
 *
 * Jobs are begun in the order in which they were submitted. A thread is started when a job finds
 * none idle, up to the pool's number, and ends when it has been idle for ten seconds. What a job is
 * inside:
 *
 *   a plain thread   it may call what is marked [anywhere], and wait; it is no coroutine
 *   pirn_set_value   leaves a value for pirn_value
 *   pirn_local_get   finds the task-locals of who submitted it, as they were then; what it sets is
 *                    its own
 *   signals          blocked, but for those of faults; what it executes inherits that
 *
 * A job that waits for another job of its pool waits for ever if all threads do so. At the end of
 * the program jobs are not waited for; close the pool.
 *
 * NULL for a pool is the default pool of the program: made when first used, with min(32, CPUs
 * granted + 4) threads, or the one set by pirn_thread_pool_set_default. A fork's child has one of
 * its own; the other pools of its parent give it -ESHUTDOWN. (After Python's ThreadPoolExecutor.)
 */
typedef struct pirn_thread_pool pirn_thread_pool;

/* A pool of up to so many threads (0: as the default pool; 1024 at most). No thread is started yet.
 * The caller owns the reference. [anywhere] -EINVAL, -ENOMEM */
PIRN_API PIRN_MUST_USE int pirn_thread_pool_new(pirn_thread_pool **ret_pool, int threads);
PIRN_API pirn_thread_pool *pirn_thread_pool_retain(pirn_thread_pool *pool); /* [anywhere] */
/* Gives up the caller's reference. With the last one the pool ends by itself, once it is through
 * with its jobs. Nobody waits for that; pirn_thread_pool_close does. [anywhere] */
PIRN_API void pirn_thread_pool_release(pirn_thread_pool *pool);

/*
 * Refuses new jobs (-ESHUTDOWN, for whoever has another reference), waits for those that run or are
 * queued and for the threads to be through, and gives up the caller's reference, always: the
 * deadline, or a cancel of the caller, cancels the queued jobs and is then reported: -ETIMEDOUT,
 * -ECANCELED. Jobs that run go on then, and what they say is heard as ever. Else 0. NULL: the
 * default pool is closed; who uses it next gets a new one. [anywhere; suspends]
 * -EDEADLK: a job of the pool called; -ESHUTDOWN: in a fork's child. Then nothing is done.
 * (-ESHUTDOWN from a coroutine whose runtime's grace is over is like a cancel.)
 */
PIRN_API int pirn_thread_pool_close(pirn_thread_pool *pool, pirn_time deadline);

/* From now on NULL means this pool, which is given a reference; NULL: a new one, when it is needed.
 * The former default pool goes on, released. [anywhere] */
PIRN_API void pirn_thread_pool_set_default(pirn_thread_pool *pool);

typedef struct pirn_job_config {
    size_t size; /* sizeof(pirn_job_config), set by PIRN_JOB_CONFIG_INIT */
    /* Called once when the job is done with arg, run or not, by whoever that is (a canceller, say).
     * Not if the submit failed, but for -ESHUTDOWN. It must not suspend. (So arg is not what
     * pirn_set_value leaves as well: the value outlives it.) */
    void (*arg_drop)(void *arg);
} pirn_job_config;

#define PIRN_JOB_CONFIG_INIT \
    { \
        sizeof(pirn_job_config), NULL \
    }

/*
 * Has a thread of the pool call fn(arg); what that returns is the job's status. *ret_job is a
 * reference the caller owns; NULL: nobody waits, and an error is reported if a coroutine submitted
 * it. config may be NULL. [anywhere; does not suspend]
 * -EINVAL, -ENOMEM, -EAGAIN (there is no thread, and none can be started), -ESHUTDOWN: the pool is
 * being closed, or its parent's of a fork's child; arg has been dropped then, else it is the
 * caller's.
 */
PIRN_API PIRN_MUST_USE int pirn_thread_pool_submit(pirn_thread_pool *pool, pirn_job **ret_job,
                                                   pirn_fn fn, void *arg);
PIRN_API PIRN_MUST_USE int pirn_thread_pool_submit_with(pirn_thread_pool *pool, pirn_job **ret_job,
                                                        const pirn_job_config *config, pirn_fn fn,
                                                        void *arg);

/* In a job: true once it has been cancelled, and nobody wants it any more. Else false.
 * [anywhere] */
PIRN_API bool pirn_job_is_cancelled(void);

/*
 * Runs fn(arg) on the default pool and waits for it: asyncio's to_thread, but arg may be on the
 * caller's stack. A job still queued at the deadline or a cancel never runs (-ETIMEDOUT,
 * -ECANCELED); one that has begun is waited for, and the cancel stays pending. Who would rather
 * leave it alone submits it and awaits it. [anywhere; suspends] 0, with fn's result in *ret_status;
 * -EINVAL, -ENOMEM, -EAGAIN, -ESHUTDOWN (the pool was closed by force, it never ran).
 */
PIRN_API PIRN_MUST_USE int pirn_to_thread(pirn_fn fn, void *arg, int *ret_status,
                                          pirn_time deadline);

/*
 * The same on a pool of the runtime's own, of config->max_blocking threads that never submit I/O.
 * [coroutine; suspends] The place for what the kernel does not interrupt: vfork(2), an
 * uninterruptible sleep, one very long system call; made in a coroutine it keeps back completions
 * of what that thread has submitted for others. A job still queued at the deadline or a cancel
 * never runs (-ETIMEDOUT, -ECANCELED); one that has begun is waited for. Returns 0 with fn's result
 * in *ret_status; -EAGAIN when no thread can be had, -ENOMEM.
 */
PIRN_API PIRN_MUST_USE int pirn_blocking(pirn_fn fn, void *arg, int *ret_status,
                                         pirn_time deadline);

/*
 * fn(i, arg) for 0 <= i < n, begun in that order, on as many threads as the pool has to spare;
 * returns when all are done: 0, or the first failure (< 0), after which none is begun. The deadline
 * or a cancel stops it likewise (-ETIMEDOUT, -ECANCELED); those that have begun are waited for.
 * [anywhere; suspends] And what pirn_to_thread returns. (Python's Executor.map.)
 */
PIRN_API PIRN_MUST_USE int pirn_thread_pool_map(pirn_thread_pool *pool, size_t n,
                                                int (*fn)(size_t i, void *arg), void *arg,
                                                pirn_time deadline);

/* ---- Process pools ---------------------------------------------------------------------- */

/*
 * Jobs that compute in processes of their own: a crash there is an error here. What goes in and out
 * is bytes, copied. As Python's ProcessPoolExecutor with a fork server.
 *
 * A job is a function of this program, called in a worker process that was forked from a helper
 * process. It sees the program's memory as it was when the helper was started, and what earlier
 * jobs left behind in that worker; it may do what a freshly started process may, runtimes of its
 * own included. It must not be in a library that was loaded later (dlopen). The workers have of the
 * program's descriptors only standard output and error; standard input is empty; signals are as by
 * default, but SIGINT is ignored (the program ends the pool), and those of SIGHUP, SIGQUIT,
 * SIGTSTP, SIGTTIN and SIGTTOU that the program ignored when the helper was started: with nohup
 * they stay, too. They end with the program, however that ends.
 *
 * User, groups, capabilities, limits and namespaces of the workers, of later ones too, are those of
 * the program when the helper was started: who gives up privileges does so before. (A program that
 * did so afterwards can still close its pools by force: the helper does the killing.)
 */
typedef struct pirn_process_pool pirn_process_pool;

/* Returns the job's status, any int. in: in_len bytes, suitably aligned for any type. The result
 * goes to out, out_cap bytes aligned in the same way; how many to *ret_out_len, 0 when it is
 * called. */
typedef int (*pirn_process_fn)(const void *in, size_t in_len, void *out, size_t out_cap,
                               size_t *ret_out_len);

/*
 * Starts the helper, unless there is one: once for the program, for all pools. It is forked, so the
 * process must still have one thread: call it, or make the first pool, before the first runtime.
 * Output buffers of stdio are flushed. Its one descriptor here is close-on-exec. It is no child of
 * this process, which wait(2) would find, unless orphans come to this process: the init of a PID
 * namespace (of a container, say), a subreaper (PR_SET_CHILD_SUBREAPER). There a wait for any child
 * waits for the helper, too, which lives as long as the program. In a fork's child there is none.
 * [on the only thread] -EBUSY: there are other threads. -ENOMEM, -EAGAIN, -EMFILE, ...
 */
PIRN_API PIRN_MUST_USE int pirn_process_helper_start(void);

/*
 * A pool of so many worker processes (0: CPUs granted; 1024 at most), and a thread that carries
 * bytes to and from them. Starts the helper if that can still be done. Takes some milliseconds, and
 * is not cancellable. [anywhere; suspends] -EINVAL, -EBUSY (no helper, and too late to start one),
 * -EPIPE (the helper has died), -ENOMEM, -EAGAIN, -EMFILE, -ESHUTDOWN. The caller owns it:
 * pirn_process_pool_close.
 */
PIRN_API PIRN_MUST_USE int pirn_process_pool_new(pirn_process_pool **ret_pool, int workers);

/* What a job that has come to its end leaves (pirn_value): its result, aligned for any type. */
typedef struct pirn_process_result {
    size_t len;
    const void *bytes;
} pirn_process_result;

/*
 * Has a worker call fn with a copy of the in_len bytes at in. Jobs are begun in the order of the
 * calls. *ret_job is a reference the caller owns; NULL: nobody waits. What fn returns is the job's
 * status, and the job's value a const pirn_process_result * with at most out_cap bytes, which lives
 * as long as the job. If there is no value, the status is an error of the pool: -EPIPE, -ENOMEM,
 * -EMSGSIZE as below, or -ECANCELED. [anywhere; does not suspend] -EINVAL, -ENOMEM, -EPIPE (the
 * pool is broken), -ESHUTDOWN.
 */
PIRN_API PIRN_MUST_USE int pirn_process_submit(pirn_process_pool *pool, pirn_job **ret_job,
                                               pirn_process_fn fn, const void *in, size_t in_len,
                                               size_t out_cap);

/*
 * The same, and waits. [anywhere; suspends] 0: *ret_out_len bytes of result have been copied to
 * out, fn's status is in *ret_status (both may be NULL). Else nothing has been written:
 * -ECANCELED, -ETIMEDOUT   at once, in every case. A job that had not begun never will; one that
 *                          has runs to its end, and what it says is thrown away
 * -EPIPE                   the worker has died with the job, or one had died before: then the pool
 *                          is broken, and of its jobs only those that were running come to their
 *                          end
 * -ESHUTDOWN               the pool is being closed, or a fork's child called
 * -EINVAL, -ENOMEM (here or in the worker), -EMSGSIZE (fn set *ret_out_len to more than out_cap)
 */
PIRN_API PIRN_MUST_USE int pirn_process_call(pirn_process_pool *pool, pirn_process_fn fn,
                                             const void *in, size_t in_len, void *out,
                                             size_t out_cap, size_t *ret_out_len, int *ret_status,
                                             pirn_time deadline);

/*
 * Refuses new jobs, waits for those that run or are queued, ends the workers, and frees the pool,
 * always: the deadline, or a cancel of the caller, kills the workers (their jobs and queued ones
 * get -EPIPE) and is then reported: -ETIMEDOUT, -ECANCELED. Else 0. When it returns no worker
 * process is left, zombies included. No call may begin on the pool once it can be freed. In a
 * fork's child: -ESHUTDOWN, and nothing is done. [anywhere; suspends]
 */
PIRN_API int pirn_process_pool_close(pirn_process_pool *pool, pirn_time deadline);

#endif
