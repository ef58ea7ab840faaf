/*
 * What can be awaited: tasks, futures, jobs of pools, and what combines them. One family: each
 * begins with a struct pirn_awaitable, and a handle of the public header is a pointer to that.
 *
 * Field             who may touch it
 * joiners           holders of the lock
 * refs              anybody, atomically; the last one frees
 * status, ended     written once, by the one that settles it (ended: release)
 * kind              constant, until the last reference has gone: then debug mode adds KIND_DEAD
 * seen              anybody (relaxed): somebody has looked at the status
 *
 * AWAITABLE_JOINED in refs: there may be joiners (see the head of task.c; objects need no such
 * trick, they are settled under the lock).
 */
#ifndef PIRN_RUNTIME_AWAITABLE_H
#define PIRN_RUNTIME_AWAITABLE_H

#include <pirn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/cell.h"
#include "sched/lock.h"

#define AWAITABLE_JOINED (1u << 31) /* in refs */

enum {
    KIND_DEAD =
        0x80 /* in kind: there is no reference left, and the memory has not been used again */
};

/* Somebody in the list of an object. Belongs to the object's lock while linked. */
struct waiter {
    struct waiter *next, *prev;
    struct cell *cell;
    uint32_t gen;
    bool linked;
    bool observes; /* wants to hear of it, and is no reason for it to go on */
};

/* Their lists are rings with *list as the first: the end is found without a pointer to it. */
static inline void pirn_waiter_append(struct waiter *me, struct waiter **list)
{
    struct waiter *first = *list;
    if (first == NULL) {
        me->next = me->prev = me;
        *list = me;
    } else {
        me->next = first;
        me->prev = first->prev;
        me->prev->next = me;
        first->prev = me;
    }
}

static inline void pirn_waiter_unlink(struct waiter **list, struct waiter *waiter)
{
    if (!waiter->linked)
        return;
    waiter->linked = false;
    struct waiter *next = waiter->next;
    if (next == waiter) {
        *list = NULL;
        return;
    }
    waiter->prev->next = next;
    next->prev = waiter->prev;
    if (*list == waiter)
        *list = next;
}

/* Unlinks the first, or gives NULL. */
static inline struct waiter *pirn_waiter_pop(struct waiter **list)
{
    struct waiter *first = *list;
    if (first != NULL)
        pirn_waiter_unlink(list, first);
    return first;
}

struct pirn_awaitable {
    struct waiter *joiners;
    _Atomic uint32_t refs;
    _Atomic int32_t status;
    struct lock lock;
    uint8_t kind; /* pirn_kind */
    _Atomic uint8_t ended, seen;
};

struct wakeups;
struct callbacks;

/* Everything but a task. */
struct object {
    struct pirn_awaitable base;
    const struct object_ops *ops;
    struct pirn_runtime *home;    /* of who made it, NULL on a plain thread; not to be followed */
    _Atomic(const char *) reason; /* it was cancelled with */
    void *value;                  /* written before ended */
    void (*value_drop)(void *value);
    struct callbacks *callbacks; /* under the lock */
};

struct object_ops {
    /* Asks it to end: 0 or -EALREADY. */
    int (*cancel)(struct object *o, const char *reason);
    /* The last reference is gone. value has been dropped. */
    void (*free)(struct object *o);
    /* It has a reference to itself as long as it has not ended, and whoever calls gives up the only
     * other one: nobody would hear of its end. May give up its own. NULL: it has none. */
    void (*alone)(struct object *o);
    bool stays; /* when its only awaiter is cancelled: a future */
    /* A job's, else NULL: it is no longer queued. A hint that is false at most until it has
     * begun. */
    bool (*has_begun)(const struct object *o);
};

static inline struct object *object_of(struct pirn_awaitable *a)
{
    return (struct object *)(void *)a;
}

static inline bool awaitable_has_ended(const struct pirn_awaitable *a)
{
    /* acquire: pairs with the release in pirn_task_end, pirn_object_settle */
    return atomic_load_explicit(&a->ended, memory_order_acquire) != 0;
}

/* Debug mode: the caller has a handle that it has given up. Calls look only where no hot path comes
 * along: of what is dead `ended` is set, and it is no task (task_of), nor of any other kind. */
static inline bool awaitable_is_dead(const struct pirn_awaitable *a)
{
    return __builtin_expect((a->kind & KIND_DEAD) != 0, 0);
}

/* A new object with one reference. */
void pirn_object_init(struct object *o, pirn_kind kind, const struct object_ops *ops);

/* It has ended with that: 0, or -EALREADY and the value is still the caller's. The caller holds a
 * reference. pirn_object_settle_into collects who is to be woken. */
int pirn_object_settle(struct object *o, int status, void *value, void (*drop)(void *value));
int pirn_object_settle_into(struct object *o, int status, void *value, void (*drop)(void *value),
                            struct wakeups *wakeups);
/* The same for a job, and the caller's reference goes if that is 0: before anybody can find that it
 * has ended. So its value is dropped by who gives up the last handle, and not a moment later
 * here. */
int pirn_object_settle_and_unref(struct object *o, int status, void *value,
                                 void (*drop)(void *value));
/* It was cancelled, for that reason. */
int pirn_object_settle_cancelled(struct object *o, const char *reason);

/* Gives up a reference, but frees nothing: true if it was the last one. */
bool pirn_object_let_go(struct object *o);

/* Of any kind. */
void pirn_awaitable_ref(struct pirn_awaitable *a);
void pirn_awaitable_unref(struct pirn_awaitable *a);
int pirn_awaitable_cancel(struct pirn_awaitable *a, const char *reason);
void *pirn_awaitable_value(const struct pirn_awaitable *a); /* NULL until it has ended */

/* join.c: waits for its end. join: a reference of the caller's goes if that is 0. */
int pirn_awaitable_await(struct pirn_awaitable *a, int *ret_status, int64_t deadline, bool join);

/* The same once *w has been entered (pirn_wait_enter: 0). */
struct wait;
int pirn_awaitable_await_entered(struct wait *w, struct pirn_awaitable *a, int *ret_status,
                                 int64_t deadline, bool join);

/* Links a waiter to a's end, whose lock is held: false if a has ended. */
bool pirn_awaitable_link(struct pirn_awaitable *a, struct waiter *waiter);

/* Does anybody wait for it, apart from observers? Under the lock. */
bool pirn_awaitable_is_awaited(const struct pirn_awaitable *a);

#endif
