/*
 * Rates: so many permits a second.
 *
 * A bucket of permits under a mutex. How many there are is worked out when somebody looks, from
 * the time that has gone by: nothing runs in between. Who has to wait keeps the mutex, and sleeps:
 * the others stand in its queue, so nobody overtakes, and who leaves for a cancel or a deadline has
 * taken nothing. (Rejected: to promise permits of the future, by a time that each taker moves on.
 * It needs no queue, but what a taker was promised who then leaves is lost.)
 */
#include <errno.h>
#include <math.h>
#include <pirn.h>

#include "io/clock.h"
#include "runtime/debug.h"

struct rate {
    pirn_mutex turn;
    double per_s;
    double left;  /* by turn: permits at that time */
    int64_t seen; /* by turn: ns */
    int burst;
} __attribute__((may_alias)); /* the program sees words */

_Static_assert(sizeof(struct rate) <= sizeof(pirn_rate), "pirn_rate is too small");

static struct rate *rate_of(pirn_rate *rate)
{
    return (struct rate *)(void *)rate;
}

int pirn_rate_init(pirn_rate *rate, double per_s, int burst)
{
    if (rate == NULL || !isfinite(per_s) || per_s <= 0 || burst < 1)
        return pirn_misuse(__func__, -EINVAL, "the rate or the burst is not positive");
    *rate_of(rate) = (struct rate){PIRN_MUTEX_INIT, per_s, burst, clock_now(), burst};
    return 0;
}

static const char *misuse(const struct rate *r, int n)
{
    return r == NULL               ? MISUSE_NULL
           : r->per_s <= 0         ? "pirn_rate_init has not been called on it"
           : n < 1 || n > r->burst ? "as many permits are never there"
                                   : NULL;
}

/* With the turn: takes n permits, 0; or the seconds until there are as many. (What is left is
 * written only where some were taken: many looks would round away what a slow rate brings.) */
static double take(struct rate *r, int n)
{
    int64_t now = clock_now();
    double left = r->left + (double)(now - r->seen) * 1e-9 * r->per_s;
    if (left > r->burst)
        left = r->burst;
    if (left < n)
        return (n - left) / r->per_s;
    r->left = left - n;
    r->seen = now;
    return 0;
}

int pirn_rate_take(pirn_rate *rate, int n, pirn_time deadline)
{
    struct rate *r = rate_of(rate);
    const char *why = misuse(r, n);
    int rc =
        why != NULL ? pirn_misuse(__func__, -EINVAL, why) : pirn_mutex_lock(&r->turn, deadline);
    if (rc != 0)
        return rc;
    for (double s; rc == 0 && (s = take(r, n)) > 0;) {
        pirn_time there = pirn_after_s(s);
        bool late = there.ns > deadline.ns;
        rc = pirn_sleep(late ? deadline : there);
        if (rc == 0 && late)
            rc = -ETIMEDOUT;
    }
    pirn_mutex_unlock(&r->turn);
    return rc;
}

int pirn_rate_try_take(pirn_rate *rate, int n)
{
    struct rate *r = rate_of(rate);
    const char *why = misuse(r, n);
    int rc = why != NULL ? pirn_misuse(__func__, -EINVAL, why) : pirn_mutex_try_lock(&r->turn);
    if (rc != 0)
        return rc;
    rc = take(r, n) > 0 ? -EAGAIN : 0;
    pirn_mutex_unlock(&r->turn);
    return rc;
}
