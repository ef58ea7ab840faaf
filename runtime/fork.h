/*
 * fork() in a program with a running runtime: the child has the forking thread alone, no workers.
 * There it is a plain thread, whatever it was in the parent, and may start its own runtime.
 */
#ifndef PIRN_RUNTIME_FORK_H
#define PIRN_RUNTIME_FORK_H

void pirn_fork_prepare(void); /* sees to it that forks are noticed; idempotent */

#endif
