/*
 * Bounds: what a task is inside of that can cancel it from within, a timeout or a group.
 *
 * Unlike a request (pirn_cancel), which is delivered once, a bound that has been hit makes every
 * suspending call fail with -ECANCELED until the task has left it (level, as Trio has it, where a
 * request is edge, as asyncio has it). So code that takes no notice of one -ECANCELED gets the
 * next.
 *
 *   the task   enter: into its list, innermost first. leave: out of it; nobody touches it
 *              afterwards
 *   a hitter   under the bound's lock: hit, then the task's cell (pirn_cell_cancel, with the number
 *              of shields the bound was opened under: it gets through to no task that has more)
 *   the task   after each -ECANCELED, and on leaving a shield: CANCEL again if some bound is hit
 *              that gets through (pirn_task_relevel)
 *
 * The hit comes before the swap of the cell. So if the task lowers its depth, or clears CANCEL,
 * after that swap, it finds hit; and if before, the swap finds the cell as it left it.
 * tests/model/bound.pml.
 */
#ifndef PIRN_RUNTIME_BOUND_H
#define PIRN_RUNTIME_BOUND_H

#include "runtime/task.h"

/* Field               who may touch it
 * outer, task, depth  the task
 * lock                guards closed
 * hit                 written under the lock, read by the task */
struct bound {
    struct bound *outer;
    struct pirn_task *task;
    struct lock lock;
    unsigned depth;   /* shields it was entered under */
    unsigned cancels; /* requests it had been told of by then */
    _Atomic uint8_t hit;
    bool closed;
};

/* The calling task's. -ENOMEM. */
int pirn_bound_enter(struct bound *b, struct pirn_task *t);
/* -EINVAL: it is not the innermost. */
int pirn_bound_leave(struct bound *b);
/* The task ends, inside of bounds that nobody has left: they must not find it any more. Says so. */
void pirn_bound_abandon(struct pirn_task *t);
/* Any thread, while the memory of the bound is sure to stay. reason may be NULL. */
void pirn_bound_hit(struct bound *b, const char *reason);

static inline bool bound_is_hit(const struct bound *b)
{
    return atomic_load_explicit(&b->hit, memory_order_relaxed) != 0;
}

/* The task: has it been asked to end inside? That is, told there, or about to be; but what a shield
 * hides has not come yet. A request that was still to be told when it entered counts. */
bool pirn_bound_saw_request(const struct bound *b);

#endif
