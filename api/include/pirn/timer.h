/*
 * Calls to be made later, timers, tickers, rates.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_TIMER_H
#define PIRN_TIMER_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

/* ---- Calls -------------------------------------------------------------------------------- */

/*
 * Has fn(arg) run as a task of the runtime (NULL: the caller's), soon or at a time of the monotonic
 * clock (call_later is pirn_call_at with pirn_after_ms). *ret_handle is a reference, for
 * pirn_cancel before it has begun, or to await it; NULL: nobody waits, and an error is reported.
 * Until it runs it costs a descriptor, no stack. [anywhere] What pirn_spawn returns.
 */
PIRN_API PIRN_MUST_USE int pirn_call_soon(pirn_runtime *runtime, pirn_task **ret_handle, pirn_fn fn,
                                          void *arg);
PIRN_API PIRN_MUST_USE int pirn_call_at(pirn_runtime *runtime, pirn_task **ret_handle, pirn_fn fn,
                                        void *arg, pirn_time when);

/* ---- Timers ------------------------------------------------------------------------------- */

/*
 * Timers: fn(arg) is run as a task of the runtime (NULL: the caller's) when the time has come, and
 * until then there is nothing but the struct, which the program embeds in its own: an idle timeout,
 * say, moved at each message. The task has neither task-locals nor a strand, and an error it ends
 * with is reported. One that is due while there is no memory for it or its stack, or max_tasks are
 * live, comes a little later.
 *   init     -EINVAL, -EPERM (no runtime)
 *   arm      or move it, if it is armed. 0, 1 if it was armed: that call will not be made.
 *            PIRN_NEVER: it is armed, and never comes. fn may arm its own timer again, for the next
 *            call. -ENOMEM (it is not armed now), -ESHUTDOWN (main has ended), -EINVAL
 *   cancel   0: it was armed; that call will not be made. -EALREADY: it was not armed: it never
 *            was, or it has come due, and then fn will run, runs or has run, once for each time it
 *            was armed. (If main has ended meanwhile fn runs all the same, and its first wait
 *            returns -ECANCELED. If there is no stack for it until the grace is over it does not
 *            run: that is reported.)
 * Calls on one timer must not overlap each other; they may overlap fn. The struct may be freed, or
 * moved, when it is not armed, also inside fn or while that runs: only arg must last. An armed one
 * does not keep the runtime alive. Once main has ended none comes due, and it may be cancelled
 * until pirn_run has returned; the memory of one that is armed must last until then. [anywhere;
 * does not suspend]
 * (After Go's AfterFunc with Stop and Reset, and libuv's uv_timer. pirn_call_at gives something to
 * await.)
 */
typedef struct pirn_timer {
    uint64_t opaque[11];
} pirn_timer;
PIRN_API PIRN_MUST_USE int pirn_timer_init(pirn_timer *timer, pirn_runtime *runtime, pirn_fn fn,
                                           void *arg);
PIRN_API PIRN_MUST_USE int pirn_timer_arm(pirn_timer *timer, pirn_time when);
PIRN_API int pirn_timer_cancel(pirn_timer *timer);

/* ---- Tickers ------------------------------------------------------------------------------ */

typedef enum pirn_missed {
    PIRN_MISSED_BURST, /* catch up: late ticks come one after another (Tokio's default) */
    PIRN_MISSED_SKIP,  /* drop what was missed, stay on the grid */
    PIRN_MISSED_DELAY  /* start a new grid at the late tick */
} pirn_missed;

typedef struct pirn_ticker {
    pirn_time next;
    pirn_span period;
    pirn_missed missed;
} pirn_ticker;

/* The first tick comes a period from now. -EINVAL: period <= 0. No resources are held. */
PIRN_API int pirn_ticker_init(pirn_ticker *ticker, pirn_span period, pirn_missed missed);
/* Waits for the next tick. [anywhere; suspends] Returns the number of ticks dropped before it;
 * -ECANCELED, -ESHUTDOWN, -ENOMEM, -EINVAL. ticker->next may be read: when the next one is due. */
PIRN_API int pirn_ticker_wait(pirn_ticker *ticker);

/* ---- Rates -------------------------------------------------------------------------------- */

/*
 * So many permits a second; those that nobody takes are kept, up to `burst`, and with as many it
 * begins. For who must not ask too often: a client's lines, calls of somebody's interface. A small
 * struct of the program's that holds no resources, as those of pirn/sync.h; it may be freed when
 * those may. Who waits is served in the order of arrival, nobody overtakes.
 *   init      -EINVAL: per_s is not positive (or infinite), burst is below 1
 *   take      n permits, waiting until there are as many. [suspends] -ETIMEDOUT, -ECANCELED,
 *             -ESHUTDOWN: none was taken. -EINVAL: n is below 1 or above the burst
 *   try_take  the same without waiting: -EAGAIN, also while others wait. It looks for no cancel
 * [anywhere] (Go's rate.Limiter.)
 */
typedef struct pirn_rate {
    uint64_t opaque[6];
} pirn_rate;
PIRN_API PIRN_MUST_USE int pirn_rate_init(pirn_rate *rate, double per_s, int burst);
PIRN_API PIRN_MUST_USE int pirn_rate_take(pirn_rate *rate, int n, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_rate_try_take(pirn_rate *rate, int n);

#endif
