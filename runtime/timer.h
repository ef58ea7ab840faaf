/*
 * Timers: a function that is run as a task when a time has come, unless that is taken back. What
 * exists until then is one OP_CALL in a port; the task is made when it is due, by whoever serves
 * the port.
 *
 * All of a timer belongs to the port's lock while it is armed. When it is due, everything that is
 * needed of it is copied under that lock: so whoever has found it not armed any more, under the
 * lock as well, has the struct for himself; and so has he who has dropped it (io/deadlines.h).
 */
#ifndef PIRN_RUNTIME_TIMER_H
#define PIRN_RUNTIME_TIMER_H

#include <pirn.h>

#include "io/op.h"

struct timer {
    struct op op; /* addr: the function, off: its argument */
    struct pirn_runtime *rt;
} __attribute__((may_alias)); /* the program sees words of another type */

_Static_assert(sizeof(struct timer) <= sizeof(pirn_timer), "the public struct is too small");

/* A port's call hook. */
struct op *pirn_timer_due(struct op *op);

#endif
