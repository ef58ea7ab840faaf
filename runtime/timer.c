/*
 * A timer that is due becomes a task: under the port's lock the task is made, and it takes the
 * timer's place on the list of what is done; it is launched from there, without the lock.
 *
 * Who is told that a timer has gone off counts on the call, its memory perhaps: so the task begins
 * also if the end of the run has asked it to end by then, and hears of that in its first wait.
 *
 * Nor is the call lost for want of a stack: the task is put off, by a millisecond each time (its
 * operation, which it has no use for yet, is armed to launch it again), until there is one, or the
 * waits of the run fail: then it ends with -ENOMEM, which is reported. If there is no memory for
 * that deadline either, it goes to the end of the inject queue: the worker is busy then, but
 * nothing is lost. The same goes for a runner of done callbacks (callback.c), which settling has
 * promised. It may be on a strand: that goes on with its other members meanwhile, who may have the
 * stacks.
 *
 * Rejected: to make it after the lock has been dropped. Then the timer would still be in use by
 * someone while its program finds that it has gone off, arms it again, or frees it.
 */
#include "runtime/timer.h"

#include <errno.h>

#include "io/clock.h"
#include "runtime/runtime.h"
#include "runtime/strand.h"
#include "runtime/task.h"
#include "runtime/worker.h"

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

bool pirn_timer_postpone(struct worker *w, struct pirn_task *t)
{
    enum {
        A_LITTLE_NS = 1000000
    };
    if ((t->flags & (TASK_DUE | TASK_CALLBACKS)) == 0 ||
        atomic_load_explicit(&t->rt->failing, memory_order_relaxed) != 0)
        return false;
    if (task_is_on_strand(t))
        pirn_strand_let_go(w, t);
    uint32_t gen = cell_gen(cell_load(&t->cell)); /* of its first wait, which is to come */
    t->op.kind = OP_LAUNCH;
    if (pirn_worker_arm(w, &t->op, OP_TIMER, gen, clock_now() + A_LITTLE_NS) != 0) {
        t->op.kind = 0;
        if (!task_is_on_strand(t) || pirn_strand_admit(t))
            pirn_inject_task(t->rt, t);
    }
    return true; /* t may be running by now */
}
