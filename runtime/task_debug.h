/*
 * What debug mode knows of one task: a piece of its own, so that tasks without it are no larger.
 */
#ifndef PIRN_RUNTIME_TASK_DEBUG_H
#define PIRN_RUNTIME_TASK_DEBUG_H

#include "runtime/site.h"
#include "runtime/task.h"

struct held_locks;

struct task_debug {
    struct sites sites;           /* where it waited last */
    struct held_locks *locks;     /* what locks.c knows; the task's alone */
    _Atomic(const void *) wanted; /* the lock it waits for; relaxed */
};

/* Of any task, by anybody; NULL: it has none yet. */
static inline struct task_debug *task_debug(const struct pirn_task *t)
{
    struct task_extra *e = task_extra(t);
    /* acquire: pairs with the release in pirn_task_debug */
    return e != NULL ? atomic_load_explicit(&e->debug, memory_order_acquire) : NULL;
}

/* Of the calling task; made when it is first asked for, freed with the task. NULL: no memory. */
struct task_debug *pirn_task_debug(struct pirn_task *t); /* task_pool.c */

#endif
