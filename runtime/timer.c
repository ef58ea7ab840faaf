/*
 * A timer that is due becomes a task: under the port's lock the task is made, and it takes the timer's
 * place on the list of what is done; it is launched from there, without the lock.
 *
 * Who is told that a timer has gone off counts on the call, its memory perhaps: so the task begins also if the
 * end of the run has asked it to end by then, and hears of that in its first wait.
 *
 * Rejected: to make it after the lock has been dropped. Then the timer would still be in use by someone
 * while its program finds that it has gone off, arms it again, or frees it.
 */
#include "runtime/timer.h"

#include <errno.h>

#include "runtime/runtime.h"
#include "runtime/task.h"

struct op *pirn_timer_due(struct op *op)
{
    const struct timer *timer = (const struct timer *)(const void *)op;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    struct pirn_task *t;
    struct spawn_how how = {.flags = TASK_DUE, .ret_apart = &t};
    if (rt_is_closing(timer->rt))
        return op;
    config.runtime = timer->rt;
    int rc = pirn_task_spawn(NULL, &config, (pirn_fn)(uintptr_t)op->addr, /* NOLINT */
                             (void *)(uintptr_t)op->off, &how, (void *)(uintptr_t)op->addr);
    if (rc != 0)
        return rc == -ESHUTDOWN ? op : NULL;
    t->op.kind = OP_LAUNCH;
    return &t->op;
}
