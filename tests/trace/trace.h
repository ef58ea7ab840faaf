/*
 * The tracer: libpirn_trace.so, preloaded into a program that has pirn linked in statically, sees
 * every call by which a worker could block, and makes the program fail for it (exit status
 * TRACE_FAILED).
 *
 *     LD_PRELOAD=build/bin/tests/libpirn_trace.so build/bin/tests/api/task
 *
 *   1. trace.c takes pthread_create(3)'s place. A thread that is to run pirn_worker_main is not
 *      made by its caller but by a thread of the tracer's, the spawner, which is under a seccomp
 *      filter (filter.c): workers inherit it, and nobody else
 *   2. a call that the filter does not know to be harmless stops in the kernel, which tells the
 *      supervisor, the tracer's other thread (SECCOMP_RET_USER_NOTIF)
 *   3. judge.c looks at the descriptor, the timeout, the futex, and says what is wrong with it, if
 *      anything
 *   4. the supervisor notes that, with the task and what the stack holds (symbols.c), and lets the
 *      call go on as if nothing had been (SECCOMP_USER_NOTIF_FLAG_CONTINUE)
 *   5. when the program exits, what was noted is written to stderr; with PIRN_TRACE_DIR also, as it
 *      happens, into a file there
 *
 * It counts that a call may block, not that it did: which depends on chance. So a read of a
 * blocking pipe is an offence even if there is something to read.
 *
 * What may block and is right:
 *   - the ring's wait (io_uring_enter): that is how a worker parks; and the futex by which it rests
 *     between two runs (runtime/pause.c)
 *   - a contended pthread mutex or lock of the allocator (FUTEX_WAIT for the value 2), like a spin
 *     lock, as long as its holder is at work; a holder that sleeps in a call is an offence of who
 *     waits (judge.c)
 *   - regular files in memory (procfs, sysfs, tmpfs), and memory devices
 *   - writes to an eventfd, whose counter is never full
 *   - sendfile(2) to a descriptor that does not block: its caller knows the pages to be in memory
 *   - what a program prints to descriptors 1 and 2, unless the library does it
 *   - what a test does between support_blocking_begin() and support_blocking_end()
 * Calls about names and inodes (open, stat, rename...) may wait for a disk: they are offences of
 * the library's (a pirn_sys_* function is the caller), while tests may make them.
 *
 * Not seen: page faults, close(2) of a socket that lingers, loops that compute; and processes
 * forked or executed by a worker: they inherit the filter, are told to go on, and get ENOSYS from
 * calls that might block once the program has ended.
 *
 * Rejected: ptrace (strace -f makes everything ten times slower, and knows neither workers nor
 * tasks); SECCOMP_RET_TRAP (a signal on a coroutine's stack, and the call must then be made by its
 * handler: another behaviour than what is tested); a filter on the whole program (plain threads
 * wait all the time).
 */
#ifndef PIRN_TESTS_TRACE_H
#define PIRN_TESTS_TRACE_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/worker.h"

enum {
    TRACE_FAILED = 97,      /* the exit status of a program with offences */
    TRACE_UNAVAILABLE = 77, /* of one that cannot be traced here */
};

/* What one thread asked for. */
struct trace_call {
    const struct worker *worker;
    pid_t tid;
    int nr;
    uint64_t args[6];
};

enum trace_verdict {
    TRACE_FINE,
    TRACE_OFFENCE,
    TRACE_LIBRARY, /* an offence if the library made the call */
};

/* Makes the calling thread's filter, which it and its threads keep; its listener, or -errno. */
int trace_filter_install(void);

/* Unless the call is fine, ret_text says what it would wait for. */
enum trace_verdict trace_judge(const struct trace_call *call, char *ret_text, size_t size);
const char *trace_call_name(int nr);

/* Is it a wait for a pthread mutex? Then it must be looked at while it lasts. */
bool trace_is_lock(const struct trace_call *call);
/* Each look: false when the wait is over. *ret_asleep: its holder has not run since a few looks. */
struct trace_lock {
    struct trace_call call;
    char holder_ran[64];
    int looks;
};
bool trace_lock_look(struct trace_lock *lock, bool *ret_asleep);

/* The program's own symbols: 0 or -errno. */
int trace_symbols_load(void);
void *trace_symbol(const char *name); /* NULL: there is none */
/* What seems to have led a sleeping thread here, innermost first: "a+0x1 < b+0x2"; *ret_first gets
 * the innermost function's name ("" if unknown). */
void trace_stack(pid_t tid, char *ret_text, size_t size, char *ret_first, size_t first_size);

/* The words of /proc/self/task/TID/FILE; their length, or -errno. */
ssize_t trace_proc(pid_t tid, const char *file, char *ret_text, size_t size);
/* Memory of this process that may not be there. */
bool trace_peek(uint64_t address, void *ret_value, size_t size);

#endif
