/*
 * Alarms: a deadline that is nobody's wait. When it comes, `fire` is called by whoever served the
 * port it is in, without a lock and on the scheduler: briefly, and without waiting.
 */
#ifndef PIRN_RUNTIME_ALARM_H
#define PIRN_RUNTIME_ALARM_H

#include <stdbool.h>
#include <stdint.h>

#include "io/op.h"

struct pirn_runtime;

struct alarm {
    struct op op;
    void (*fire)(struct alarm *a);
};

void pirn_alarm_init(struct alarm *a, void (*fire)(struct alarm *a));
/* Any thread, on an alarm that is not armed. -ENOMEM. */
int pirn_alarm_arm(struct alarm *a, struct pirn_runtime *rt, int64_t deadline);
/* Any thread, one at a time: true if it was armed and will not fire; false: it never was, or it
 * fires now, or has. */
bool pirn_alarm_disarm(struct alarm *a);

/* Arms an operation in a port of the runtime, the caller's if it has one. */
int pirn_arm_anywhere(struct pirn_runtime *rt, struct op *op, uint32_t gen, int64_t deadline);

#endif
