/*
 * Alarms; see alarm.h. An alarm is an OP_GUARD of the kind OP_ALARM: its deadline in a port, which
 * may be served by others than its owner.
 */
#include "runtime/alarm.h"

#include <string.h>

#include "io/port.h"
#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/worker.h"

void pirn_alarm_init(struct alarm *a, void (*fire)(struct alarm *a))
{
    memset(a, 0, sizeof(*a));
    a->op.kind = OP_ALARM;
    a->fire = fire;
}

int pirn_arm_anywhere(struct pirn_runtime *rt, struct op *op, uint32_t gen, int64_t deadline)
{
    struct worker *w = pirn_self()->worker;
    if (w != NULL && w->rt == rt)
        return pirn_worker_arm(w, op, OP_GUARD, gen, deadline);
    rt_outsider_enter(rt);
    int rc = pirn_worker_arm_foreign(rt, op, gen, deadline);
    rt_outsider_leave(rt);
    return rc;
}

int pirn_alarm_arm(struct alarm *a, struct pirn_runtime *rt, int64_t deadline)
{
    return deadline == INT64_MAX ? 0 : pirn_arm_anywhere(rt, &a->op, 0, deadline);
}

bool pirn_alarm_disarm(struct alarm *a)
{
    return atomic_load_explicit(&a->op.port, memory_order_relaxed) != NULL &&
           pirn_op_disarm(&a->op);
}
