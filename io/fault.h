/* Failing system calls on purpose, in hard builds; the syntax is at the head of sys.c. */
#ifndef PIRN_IO_FAULT_H
#define PIRN_IO_FAULT_H

#ifdef PIRN_HARD

#include <stdint.h>

/* What the call of that name (sys_NAME without sys_) shall do: 0, or the -errno to fail with. */
int pirn_fault(const char *name);

/* Replaces all rules by those of spec (NULL or "": none), counting from zero again; -EINVAL leaves
 * none. Not while other threads make system calls through sys.h. */
int pirn_fault_set(const char *spec, uint64_t seed);

/* How many calls of that name a rule has made fail since the rules were set. */
uint64_t pirn_fault_count(const char *name);

#endif
#endif
