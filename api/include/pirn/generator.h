/*
 * Generators, and cleanups that run however a task ends.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_GENERATOR_H
#define PIRN_GENERATOR_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

/* ---- Cleanups --------------------------------------------------------------------------- */

/* Is told the status: what the task's function returned, or what pirn_defer_end was given. It may
 * suspend; no call in it returns -ECANCELED for a cancel of the task, deadlines work. */
typedef void (*pirn_cleanup_fn)(void *arg, int status);

/*
 * fn(arg, status) is called once when the current task ends: with a value, an error, because it was
 * cancelled, or in a shutdown (where it has the grace; later its waits fail). Newest first, on the
 * task's own stack, after its function has returned and before anybody learns of its end. As Go's
 * defer, and Python's AsyncExitStack. A generator's body is a task of its own.
 * [coroutine; does not suspend] -EINVAL, -EPERM, -ENOMEM: nothing is registered, fn will not run.
 */
PIRN_API PIRN_MUST_USE int pirn_defer(pirn_cleanup_fn fn, void *arg);

/* Takes back the newest one with that fn and arg, without calling it. [coroutine] -ENOENT,
 * -EPERM. */
PIRN_API int pirn_undefer(pirn_cleanup_fn fn, void *arg);

/*
 * A block with cleanups of its own:
 *
 *     pirn_defer_mark mark = pirn_defer_begin();
 *     int rc = pirn_defer(put_away, thing);
 *     if (rc == 0)
 *         rc = work(thing);
 *     return pirn_defer_end(mark, rc);
 *
 * The end runs what was registered since the mark, telling it the status, which is also what it
 * returns. A cancel that comes meanwhile stays pending. Marks nest. A mark is its task's; on a
 * plain thread there is nothing to run. [coroutine; the end suspends if a cleanup does]
 */
typedef struct pirn_defer_mark {
    uint64_t count; /* opaque */
} pirn_defer_mark;
PIRN_API pirn_defer_mark pirn_defer_begin(void);
PIRN_API int pirn_defer_end(pirn_defer_mark mark, int status);

/* ---- Generators ------------------------------------------------------------------------- */

/*
 * A function that hands out values one by one and keeps its place in between: Python's generators,
 * plain and asynchronous, for its body is a coroutine and may suspend on whatever it likes.
 *
 *     static int squares(pirn_generator *g, void *arg)
 *     {
 *         int rc = 0;
 *         for (int i = 0; i < 10 && rc == 0; i++) {
 *             int square = i * i;
 *             rc = pirn_generator_yield(g, &square);
 *         }
 *         return rc;
 *     }
 *
 *     pirn_generator *g = NULL;
 *     int value, rc = pirn_generator_new(&g, sizeof(value), squares, NULL);
 *     while (rc == 0 && (rc = pirn_generator_next(g, &value, PIRN_NEVER)) == 1) {
 *         printf("%d\n", value);
 *         rc = 0;
 *     }
 *     pirn_generator_close(g);
 *
 * The body is a task of its own, started by the first pull; between a yield and the next pull it
 * stands still. It may run on another worker than who pulls. Let values own nothing, as one that
 * nobody pulls is dropped: what a value points to stays the body's, and is good until the next
 * pull, the close, or the end of the body's runtime.
 */
typedef struct pirn_generator pirn_generator;
typedef int (*pirn_generator_fn)(pirn_generator *generator, void *arg);

/*
 * A generator of values of that many bytes (0: none, only that one has come, and what is yielded is
 * NULL). fn does not run before the first pull, and never without one. The _with form takes config
 * as pirn_spawn_with does, copied (arg_drop is called when the body has ended, or at the close if
 * it never began; without config->strand the body is on that of the first to pull, unless
 * PIRN_OFF_STRAND says otherwise); a pinned body is refused. [anywhere, with config->runtime on a
 * plain thread; does not suspend]
 * -EINVAL, -EPERM (no runtime), -ENOMEM. The caller owns it: pirn_generator_close.
 */
PIRN_API PIRN_MUST_USE int pirn_generator_new(pirn_generator **ret_generator, size_t value_size,
                                              pirn_generator_fn fn, void *arg);
PIRN_API PIRN_MUST_USE int pirn_generator_new_with(pirn_generator **ret_generator,
                                                   const pirn_spawn_config *config,
                                                   size_t value_size, pirn_generator_fn fn,
                                                   void *arg);

/*
 * The next value, copied to ret_value (NULL: not wanted). [anywhere, while the body's runtime runs;
 * suspends]
 * 1          here it is
 * 0          the body has ended, with a status >= 0
 * negative   the body's error, told to one pull; later ones get 0. Or the pull's own: -ECANCELED,
 *            -ETIMEDOUT (nothing was taken, the body works on, the next pull gets its value),
 *            -EBUSY (another pull is under way), -EDEADLK (the body itself), -EINVAL, and what
 *            pirn_spawn returns at the first. pirn_generator_status tells them apart.
 */
PIRN_API PIRN_MUST_USE int pirn_generator_next(pirn_generator *generator, void *ret_value,
                                               pirn_time deadline);

/*
 * In the body: hands over a copy of *value to the pull that waits, and waits for the next one.
 * [coroutine; suspends] -ECANCELED: the generator is being closed, or the runtime shut down, and
 * should clean up and return (whether the value had been pulled before that is not said; if not, it
 * is dropped). During a close it always says so, shielded or not. -EPERM: not the body's task.
 */
PIRN_API PIRN_MUST_USE int pirn_generator_yield(pirn_generator *generator, const void *value);

/* What the body returned; -EINPROGRESS until then, and if it has not begun. [anywhere] */
PIRN_API int pirn_generator_status(const pirn_generator *generator);

/*
 * Ends a generator: cancels a body that has not ended (its yield, or whatever it waits for, returns
 * -ECANCELED), waits until it has, cleanups and all, and frees it. Not cancellable, without a
 * deadline: as long as the body takes. [anywhere; suspends] Returns 0; the body's error, if no pull
 * was told it and it is not -ECANCELED; or, with nothing done: -EBUSY (a pull is under way),
 * -EDEADLK (the body itself), -EINVAL.
 * One that is never closed is cancelled with its runtime's other leftovers at shutdown, which is
 * reported if the task that last pulled has ended; its handle then still wants to be closed.
 */
PIRN_API int pirn_generator_close(pirn_generator *generator);

#endif
