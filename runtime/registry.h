/*
 * All runtimes of the process: a descriptor belongs to the process, so a close has to look at the
 * operations of every runtime.
 */
#ifndef PIRN_RUNTIME_REGISTRY_H
#define PIRN_RUNTIME_REGISTRY_H

#include <stdbool.h>

struct pirn_runtime;

void pirn_registry_add(struct pirn_runtime *rt);
void pirn_registry_remove(struct pirn_runtime *rt);
void pirn_registry_forget(void); /* in a fork's child */

/* A line to the report hook of a runtime that may be over by now; then, and for NULL, to stderr. */
void pirn_registry_report(const struct pirn_runtime *rt, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Under the registry's mutex: they stay, and none comes or goes. */
void pirn_registry_each(void (*fn)(struct pirn_runtime *rt, void *arg), void *arg);

struct fd_users;

/* Stops every operation under way on fd, in whatever runtime, with -EBADF; only: those of these
 * users, or NULL for all. True if there was any: call again, they take a moment. [any thread] */
bool pirn_registry_stop_fd(int fd, const struct fd_users *only);

#endif
