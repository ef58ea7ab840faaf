/*
 * What a thread is to pirn. The only thread-local of the runtime, read through one function.
 *
 * A coroutine may go on on another thread after any suspend, while a compiler is free to keep the
 * address of a thread-local over a call: gcc 12 and clang 14 at -O2 merge two accesses around a
 * switch. So the accessor is not inlined and not seen through; after a switch, ask again (or use
 * the worker the switch handed over). tests/codegen checks the object code.
 */
#ifndef PIRN_RUNTIME_SELF_H
#define PIRN_RUNTIME_SELF_H

#include "runtime/cell.h"
#include "runtime/fd_wait.h"
#include "runtime/patience.h"

struct worker;
struct pirn_task;
struct job;
struct alternate;

struct self {
    struct worker *worker;       /* this thread is a worker or a spare; NULL otherwise */
    struct pirn_task *pinned;    /* this thread belongs to a pinned task */
    struct cell cell;            /* a plain thread's waits */
    struct patience patience;    /* a pinned task's, too */
    struct job *job;             /* of a thread pool, that this thread runs */
    struct alternate *alternate; /* stack for signals, made by overflow.c */
    struct fd_wait fd_wait;      /* a plain thread's, for a descriptor */
    bool interruptible; /* inside a run: a stop ends its wait as a cancel would (runtime.c) */
    bool reporting;     /* inside a report hook */
};

struct self *pirn_self(void);

/* The calling task, or NULL on a plain thread. */
struct pirn_task *pirn_current_task(void);

#endif
