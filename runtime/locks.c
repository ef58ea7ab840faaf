/*
 * Debug mode: the locks that tasks have; see locks.h.
 *
 * A task's are in its debug part (task_debug.h), in a list of its own: only who has a lock takes it
 * and gives it back. (A condition gives one back for a while; the list needs not know of that.)
 * Those that it ends with go into a table of the process, with its name, where the reports of who
 * waits look a lock up by its address. Nothing here reads a lock: one that is locked may be freed,
 * it holds nothing. Whoever gets one that is in the table shows that it is another one in the same
 * place.
 *
 * Rejected: to tell the owner from the lock's word. That names the task's cell, which may be
 * another task's by then; and in a report, which stops nobody, the lock may go meanwhile.
 */
#include "runtime/locks.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/site.h"
#include "runtime/task_debug.h"

enum {
    HELD_MAX = 16, /* of one task; more are not noted */
    LEFT_MAX = 32  /* of the process: the last ones */
};

struct held_locks {
    unsigned count;
    struct {
        const void *lock;
        const char *kind;
        const void *site;
    } at[HELD_MAX];
};

struct left_lock {
    const void *lock; /* NULL: none */
    uint64_t id;
    char name[NAME_MAX_BYTES];
};

static struct lock left_lock = LOCK_INIT;
static struct left_lock left[LEFT_MAX]; /* under left_lock, as is next_left */
static unsigned next_left;
static atomic_bool any_left; /* ever; relaxed: who waits for one has found it locked */

void pirn_locks_forget(void)
{
    lock_init(&left_lock); /* its holder did not come along */
}

static void forget_left(const void *lock)
{
    if (!atomic_load_explicit(&any_left, memory_order_relaxed))
        return;
    lock_take(&left_lock);
    for (unsigned i = 0; i < LEFT_MAX; i++)
        if (left[i].lock == lock)
            left[i].lock = NULL;
    lock_drop(&left_lock);
}

/* Of a task in debug mode. */
static struct task_debug *of_caller(void)
{
    struct pirn_task *t = pirn_current_task();
    return t != NULL && t->rt->debug ? pirn_task_debug(t) : NULL;
}

static void drop(struct held_locks *held, const void *lock)
{
    for (unsigned i = held->count; i-- > 0;) {
        if (held->at[i].lock != lock)
            continue;
        held->count--;
        memmove(&held->at[i], &held->at[i + 1], (held->count - i) * sizeof(held->at[0]));
        return;
    }
}

void pirn_locks_taken(const void *lock, const char *kind, const void *site)
{
    struct task_debug *debug = of_caller();
    forget_left(lock);
    if (debug != NULL && debug->locks == NULL) {
        debug->locks = mem_alloc(&pirn_current_task()->rt->mem, sizeof(*debug->locks));
        if (debug->locks != NULL)
            debug->locks->count = 0;
    }
    struct held_locks *held = debug != NULL ? debug->locks : NULL;
    if (held == NULL)
        return;
    drop(held, lock); /* one that was there before, and has been freed */
    if (held->count == HELD_MAX)
        return;
    held->at[held->count].lock = lock;
    held->at[held->count].kind = kind;
    held->at[held->count++].site = site;
}

void pirn_locks_shared(const void *lock)
{
    forget_left(lock);
}

void pirn_locks_given(const void *lock)
{
    struct task_debug *debug = of_caller();
    if (debug != NULL && debug->locks != NULL)
        drop(debug->locks, lock);
}

void pirn_locks_wanted(const void *lock)
{
    struct task_debug *debug = of_caller();
    if (debug != NULL)
        atomic_store_explicit(&debug->wanted, lock, memory_order_relaxed);
}

static void leave(struct pirn_task *t, const void *lock)
{
    struct left_lock entry = {lock, t->id, ""};
    pirn_task_name(t, entry.name, sizeof(entry.name));
    lock_take(&left_lock);
    left[next_left++ % LEFT_MAX] = entry;
    lock_drop(&left_lock);
    atomic_store_explicit(&any_left, true, memory_order_relaxed);
}

void pirn_locks_end(struct pirn_task *t)
{
    const struct task_debug *debug = task_debug(t);
    const struct held_locks *held = debug != NULL ? debug->locks : NULL;
    for (unsigned i = 0; held != NULL && i < held->count; i++) {
        char task[TASK_TEXT], site[SITE_TEXT];
        pirn_debug_task_text(t, task, sizeof(task));
        pirn_site_text(held->at[i].site, site, sizeof(site));
        leave(t, held->at[i].lock); /* the hook may look who waits */
        pirn_report(t->rt, "task %s has ended and not unlocked the %s at %p, which it locked at %s",
                    task, held->at[i].kind, held->at[i].lock, site);
    }
}

void pirn_locks_text(const struct pirn_task *t, char *buf, size_t size)
{
    const struct task_debug *debug = task_debug(t);
    const void *lock =
        debug != NULL ? atomic_load_explicit(&debug->wanted, memory_order_relaxed) : NULL;
    struct left_lock found = {NULL, 0, ""};
    buf[0] = '\0';
    if (lock == NULL)
        return;
    lock_take(&left_lock);
    for (unsigned i = 0; i < LEFT_MAX; i++)
        if (left[i].lock == lock)
            found = left[i];
    lock_drop(&left_lock);
    if (found.lock != NULL)
        snprintf(buf, size, ", whose owner %s (task %llu) has ended", found.name,
                 (unsigned long long)found.id);
}
