/*
 * Debug mode: the locks that a task has, so that it is named if it ends with one, and so are those
 * who wait for that. For mutexes and write locks, which know their owner, and are known here by
 * their address alone.
 */
#ifndef PIRN_RUNTIME_LOCKS_H
#define PIRN_RUNTIME_LOCKS_H

#include <stddef.h>

#include "runtime/debug.h"

/* The caller has got a lock, at a place in the program; has given it back. If pirn_debug_is_on();
 * not under a lock of pirn's. The lock may be gone by then. */
__attribute__((cold)) void pirn_locks_taken(const void *lock, const char *kind, const void *site);
__attribute__((cold)) void pirn_locks_given(const void *lock);
/* It has got a lock for reading, which has no owner. */
__attribute__((cold)) void pirn_locks_shared(const void *lock);
/* It is about to wait for one, or for what comes with one; NULL: no more. */
__attribute__((cold)) void pirn_locks_wanted(const void *lock);

/* The calling task's function has returned: names the locks it has. */
void pirn_locks_end(struct pirn_task *t);
/* ", whose owner NAME (task 7) has ended" if t waits for such a lock, or "". */
enum {
    LOCK_TEXT = 96
};
void pirn_locks_text(const struct pirn_task *t, char *buf, size_t size);
void pirn_locks_forget(void); /* in a fork's child */

#endif
