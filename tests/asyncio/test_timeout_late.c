/* wraps pirn_bound_hit */
/*
 * A timeout whose time has come, while who tells its task so has lost its core: a reschedule that
 * says that it has come has it come.
 */
#include "tests/support.h"

#include "runtime/bound.h"

void __real_pirn_bound_hit(struct bound *b, const char *reason);
void __wrap_pirn_bound_hit(struct bound *b, const char *reason);

/* One that hits, held up until it may go on. */
static atomic_int armed, held, may_go, gone;

void __wrap_pirn_bound_hit(struct bound *b, const char *reason)
{
    bool first = atomic_exchange(&armed, 0) != 0;
    if (first) {
        support_blocking_begin();
        atomic_store(&held, 1);
        while (!atomic_load(&may_go))
            usleep(100);
        support_blocking_end();
    }
    __real_pirn_bound_hit(b, reason);
    if (first)
        atomic_store(&gone, 1);
}

static int reschedules(void *arg)
{
    pirn_timeout timeout = PIRN_TIMEOUT_INIT;
    (void)arg;
    atomic_store(&held, 0);
    atomic_store(&may_go, 0);
    atomic_store(&gone, 0);
    CHECK_OK(pirn_timeout_enter(&timeout, pirn_after_ms(1)));
    atomic_store(&armed, 1);
    while (!atomic_load(&held)) {} /* no sleep: whoever is held up may be the one to end it */
    CHECK_EQ(pirn_timeout_expired(&timeout), 0);
    CHECK_EQ(pirn_timeout_reschedule(&timeout, pirn_after_s(1000)), -EINVAL);
    CHECK_EQ(pirn_timeout_expired(&timeout), 1);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&timeout, -ECANCELED), -ETIMEDOUT);
    CHECK_EQ(pirn_timeout_expired(&timeout), 1);
    atomic_store(&may_go, 1);
    support_until(&gone, 1);
    CHECK_OK(pirn_yield()); /* it has been left */
    return 0;
}

START_TEST(a95_too_late_is_expired)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, reschedules, NULL));
}
END_TEST

SUPPORT_MAIN("asyncio/timeout_late", a95_too_late_is_expired)
