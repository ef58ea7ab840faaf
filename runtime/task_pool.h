/*
 * Descriptors: carved from slabs, kept on free lists, per worker first. Type-stable: a slab lives
 * as long as the runtime.
 */
#ifndef PIRN_RUNTIME_TASK_POOL_H
#define PIRN_RUNTIME_TASK_POOL_H

#include "runtime/task.h"

struct worker;

/* A descriptor with rt set, everything else zero but the generations. NULL: no memory. w may be
 * NULL (a thread that is no worker of rt). */
struct pirn_task *pirn_task_alloc(struct pirn_runtime *rt, struct worker *w);

/* How many free ones a worker keeps to itself. */
unsigned pirn_task_cached_max(const struct pirn_runtime *rt);

/* Debug mode: the name that a dead task (awaitable_is_dead) had, or its number if it is about to be
 * another. */
void pirn_task_name_dead(struct pirn_task *t, char *buf, size_t size);

/* Gives all of a worker's free descriptors to the runtime's list, when its thread ends. */
void pirn_task_spill(struct worker *w);

/* Gives it back, with its extra part; nobody has a reference. */
void pirn_task_free(struct pirn_task *t);

#endif
