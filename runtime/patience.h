/*
 * How long a thread looks at its cell before it sleeps on it: a pinned task's, or a plain one.
 */
#ifndef PIRN_RUNTIME_PATIENCE_H
#define PIRN_RUNTIME_PATIENCE_H

#include "runtime/cell.h"

/* A thread's own; all zero at first. */
struct patience {
    uint8_t vain; /* looks in a row that were */
    uint8_t skip; /* waits that are to come without one */
};

/* Looks until the wait gen has been claimed: true; false: sleep. deadline: INT64_MAX, none. */
bool pirn_patience_look(struct patience *p, const struct cell *c, uint32_t gen, int64_t deadline);

#endif
