/* Names the coroutine whose stack has overflowed, then lets the process die. */
#ifndef PIRN_RUNTIME_OVERFLOW_H
#define PIRN_RUNTIME_OVERFLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Is the address in a coroutine's guard? If so writes the coroutine's name, and what else is worth
 * saying, to buf (at most n bytes with the closing zero). Called in a signal handler.
 */
typedef bool pirn_overflow_fn(const void *addr, char *buf, size_t n);

/* Set by the runtime before pirn_overflow_install; NULL: no address is. */
extern _Atomic(pirn_overflow_fn *) pirn_overflow_describe;

/* Handles SIGSEGV and SIGBUS in this process, counted: the last remove gives back the handlers that
 * were there before. Any thread. 0 or -errno. */
int pirn_overflow_install(void);
void pirn_overflow_remove(void);

/* What the first of the next calls does once. Who starts threads calls it before: they would wait
 * for each other. */
void pirn_overflow_prepare(void);

/* Gives the calling thread a stack for the handler, unless it has one. The thread that called init
 * calls fini before it ends. 0 or -errno. */
int pirn_overflow_thread_init(void);
void pirn_overflow_thread_fini(void);

#endif
