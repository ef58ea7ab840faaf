/*
 * Timers as programs see them; see runtime/timer.h.
 */
#include <errno.h>
#include <pirn.h>
#include <string.h>

#include "runtime/debug.h"
#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/timer.h"

static struct timer *of(pirn_timer *timer)
{
    return (struct timer *)(void *)timer;
}

int pirn_timer_init(pirn_timer *timer, pirn_runtime *runtime, pirn_fn fn, void *arg)
{
    if (timer == NULL || fn == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (runtime == NULL)
        runtime = pirn_runtime_current();
    if (runtime == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_RUNTIME);
    struct timer *t = of(timer);
    memset(timer, 0, sizeof(*timer));
    t->rt = runtime;
    t->op.kind = OP_CALL;
    t->op.addr = (uintptr_t)fn;
    t->op.off = (uintptr_t)arg;
    return 0;
}

int pirn_timer_arm(pirn_timer *timer, pirn_time when)
{
    if (timer == NULL || of(timer)->rt == NULL)
        return pirn_misuse(__func__, -EINVAL,
                           timer == NULL ? MISUSE_NULL
                                         : "pirn_timer_init has not been called on it");
    return pirn_worker_call_at(of(timer)->rt, &of(timer)->op, when.ns);
}

int pirn_timer_cancel(pirn_timer *timer)
{
    if (timer == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    /* relaxed: the caller's own store, or that of who armed it, whom the caller comes after */
    if (atomic_load_explicit(&of(timer)->op.port, memory_order_relaxed) == NULL)
        return -EALREADY;
    struct worker *w = pirn_self()->worker;
    bool armed = w != NULL && w->rt == of(timer)->rt
                     ? pirn_port_call_off(&of(timer)->op, &w->port)
                     : pirn_worker_call_off(of(timer)->rt, &of(timer)->op);
    return armed ? 0 : -EALREADY;
}
