/*
 * Times, sleeps and tickers.
 */
#include <errno.h>
#include <math.h>
#include <pirn.h>

#include "io/clock.h"
#include "runtime/debug.h"
#include "runtime/wait.h"

pirn_time pirn_now(void)
{
    return (pirn_time){clock_now()};
}

pirn_time pirn_after_ns(int64_t ns)
{
    int64_t now = clock_now(), at;
    if (__builtin_add_overflow(now, ns, &at))
        return ns > 0 ? PIRN_NEVER : PIRN_NOW;
    return (pirn_time){at};
}

static int64_t times(int64_t n, int64_t unit)
{
    int64_t ns;
    if (__builtin_mul_overflow(n, unit, &ns))
        return n > 0 ? INT64_MAX : INT64_MIN;
    return ns;
}

static int64_t seconds(double s)
{
    double ns = s * 1e9;
    if (isnan(ns))
        return 0;
    if (ns >= 9.2e18)
        return INT64_MAX;
    return ns <= -9.2e18 ? INT64_MIN : (int64_t)ns;
}

pirn_time pirn_after_us(int64_t us)
{
    return pirn_after_ns(times(us, 1000));
}

pirn_time pirn_after_ms(int64_t ms)
{
    return pirn_after_ns(times(ms, 1000000));
}

pirn_time pirn_after_s(double s)
{
    return pirn_after_ns(seconds(s));
}

pirn_time pirn_after(pirn_span span)
{
    return pirn_after_ns(span.ns);
}

pirn_span pirn_span_us(int64_t us)
{
    return (pirn_span){times(us, 1000)};
}

pirn_span pirn_span_ms(int64_t ms)
{
    return (pirn_span){times(ms, 1000000)};
}

pirn_span pirn_span_s(double s)
{
    return (pirn_span){seconds(s)};
}

static clockid_t clock_id(pirn_clock clock)
{
    return clock == PIRN_CLOCK_WALL   ? CLOCK_REALTIME
           : clock == PIRN_CLOCK_BOOT ? CLOCK_BOOTTIME
                                      : CLOCK_MONOTONIC;
}

pirn_time pirn_clock_now(pirn_clock clock)
{
    return (pirn_time){clock_ns(clock_id(clock))};
}

int pirn_sleep(pirn_time until)
{
    struct wait w;
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    if (until.ns <= 0 || until.ns <= clock_now())
        return pirn_current() != NULL ? pirn_yield() : 0; /* a sleep is a chance for others */
    return pirn_wait_until(&w, "sleep", until.ns);
}

/* A plain thread's; signals only interrupt it. */
static int sleep_thread(clockid_t id, int64_t until)
{
    struct timespec ts = clock_timespec(until);
    while (clock_nanosleep(id, TIMER_ABSTIME, &ts, NULL) == EINTR)
        ;
    return 0;
}

int pirn_sleep_on(pirn_clock clock, pirn_time until)
{
    struct wait w;
    if (clock == PIRN_CLOCK_MONOTONIC)
        return pirn_sleep(until);
    if (clock != PIRN_CLOCK_WALL && clock != PIRN_CLOCK_BOOT)
        return pirn_misuse(__func__, -EINVAL, "there is no such clock");
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    if (until.ns <= clock_ns(clock_id(clock)))
        return pirn_current() != NULL ? pirn_yield() : 0;
    if (w.task == NULL && w.self->worker != NULL)
        return -EPERM; /* in the arg_drop of a task that never began */
    if (w.task == NULL)
        return sleep_thread(clock_id(clock), until.ns);
    struct op *op = &w.task->op;
    op->kind = OP_CLOCK;
    op->addr = (uint64_t)(until.ns / 1000000000); /* addr, off: the timespec */
    op->off = (uint64_t)(until.ns % 1000000000);
    op->flags = clock == PIRN_CLOCK_WALL ? OP_CLOCK_WALL : OP_CLOCK_BOOT;
    return pirn_wait_op(&w, "sleep", -1, INT64_MAX);
}

int pirn_ticker_init(pirn_ticker *ticker, pirn_span period, pirn_missed missed)
{
    if (ticker == NULL || period.ns <= 0 || missed < PIRN_MISSED_BURST ||
        missed > PIRN_MISSED_DELAY)
        return pirn_misuse(__func__, -EINVAL,
                           "the period is not positive, or there is no such choice");
    *ticker = (pirn_ticker){pirn_after(period), period, missed};
    return 0;
}

int pirn_ticker_wait(pirn_ticker *ticker)
{
    if (ticker == NULL || ticker->period.ns <= 0)
        return pirn_misuse(__func__, -EINVAL, "pirn_ticker_init has not been called on it");
    int rc = pirn_sleep(ticker->next);
    if (rc != 0)
        return rc;
    int64_t now = clock_now(), late = now - ticker->next.ns, dropped = 0;
    switch (ticker->missed) {
    case PIRN_MISSED_BURST:
        ticker->next.ns += ticker->period.ns;
        break;
    case PIRN_MISSED_SKIP:
        dropped = late / ticker->period.ns;
        ticker->next.ns += (dropped + 1) * ticker->period.ns;
        break;
    case PIRN_MISSED_DELAY:
        ticker->next.ns = now + ticker->period.ns;
        break;
    }
    return dropped > INT32_MAX ? INT32_MAX : (int)dropped;
}
