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

/* ---- Process pools ---------------------------------------------------------------------- */

/*
 * Jobs that compute in processes of their own: a crash there is an error here. What goes in and out
 * is bytes, copied. As Python's ProcessPoolExecutor with a fork server.
 *
 * A job is a function of this program, called in a worker process that was forked from a helper
 * process. It sees the program's memory as it was when the helper was started, and what earlier jobs
 * left behind in that worker; it may do what a freshly started process may, runtimes of its own
 * included. It must not be in a library that was loaded later (dlopen). The workers have of the
 * program's descriptors only standard output and error; standard input is empty; signals are as by
 * default, but SIGINT is ignored: the program ends the pool. They end with the program, however that
 * ends.
 */
typedef struct pirn_process_pool pirn_process_pool;

/* Returns the job's status, any int. in: in_len bytes, suitably aligned for any type. The result goes
 * to out, out_cap bytes aligned in the same way; how many to *ret_out_len, 0 when it is called. */
typedef int (*pirn_process_fn)(const void *in, size_t in_len, void *out, size_t out_cap,
                               size_t *ret_out_len);

/*
 * Starts the helper, unless there is one: once for the program, for all pools. It is forked, so the
 * process must still have one thread: call it, or make the first pool, before the first runtime.
 * Output buffers of stdio are flushed. Its one descriptor here is close-on-exec; it is no child that
 * wait(2) finds. In a fork's child there is none. [on the only thread]
 * -EBUSY: there are other threads. -ENOMEM, -EAGAIN, -EMFILE, ...
 */
PIRN_API PIRN_MUST_USE int pirn_process_helper_start(void);

/*
 * A pool of so many worker processes (0: CPUs granted; 1024 at most), and a thread that carries bytes
 * to and from them. Starts the helper if that can still be done. Takes some milliseconds, and does
 * not suspend. [anywhere] -EINVAL, -EBUSY (no helper, and too late to start one), -EPIPE (the helper
 * has died), -ENOMEM, -EAGAIN, -EMFILE. The caller owns it: pirn_process_pool_close.
 */
PIRN_API PIRN_MUST_USE int pirn_process_pool_new(pirn_process_pool **ret_pool, int workers);

/*
 * Has a worker call fn with a copy of the in_len bytes at in, and waits. Jobs are begun in the order
 * of the calls. [anywhere; suspends] 0: *ret_out_len bytes of result have been copied to out, fn's
 * status is in *ret_status (both may be NULL). Else nothing has been written:
 * -ECANCELED, -ETIMEDOUT   at once, in every case. A job that had not begun never will; one that has
 *                          runs to its end, and what it says is thrown away
 * -EPIPE                   the worker has died with the job, or one had died before: then the pool is
 *                          broken, and of its jobs only those that were running come to their end
 * -ESHUTDOWN               the pool is being closed, or a fork's child called
 * -EINVAL, -ENOMEM (here or in the worker), -EMSGSIZE (fn set *ret_out_len to more than out_cap)
 */
PIRN_API PIRN_MUST_USE int pirn_process_call(pirn_process_pool *pool, pirn_process_fn fn,
                                             const void *in, size_t in_len, void *out,
                                             size_t out_cap, size_t *ret_out_len, int *ret_status,
                                             pirn_time deadline);

/*
 * Refuses new jobs, waits for those that run or are queued, ends the workers, and frees the pool,
 * always: the deadline, or a cancel of the caller, kills the workers (their jobs and queued ones get
 * -EPIPE) and is then reported: -ETIMEDOUT, -ECANCELED. Else 0. When it returns no worker process is
 * left, zombies included. No call may begin on the pool once it can be freed. In a fork's child:
 * -ESHUTDOWN, and nothing is done. [anywhere; suspends]
 */
PIRN_API int pirn_process_pool_close(pirn_process_pool *pool, pirn_time deadline);

#endif
