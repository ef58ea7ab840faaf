/*
 * Waiting, for tasks and plain threads alike.
 *
 * A wait for an object
 *   1. pirn_wait_enter       cancelled or shut down already? then nothing happens
 *   2. lock the object; there already? unlock and return
 *   3. pirn_wait_link        this caller's waiter into the object's list; unlock
 *   4. pirn_wait_park        until the object's setter, the deadline or a cancel claims the cell
 *   5. not WAKE_OBJECT? lock the object, pirn_waiter_unlink, unlock
 *
 * A setter: lock the object; pop waiters; pirn_waiter_claim each; collect those to be woken;
 * unlock; pirn_wakeups_run. It must not touch the object after the unlock unless it holds a
 * reference.
 *
 * A wait for an operation: pirn_wait_enter, pirn_wait_start_op, pirn_wait_op.
 */
#ifndef PIRN_RUNTIME_WAIT_H
#define PIRN_RUNTIME_WAIT_H

#include "runtime/self.h"
#include "runtime/task.h"

struct wait {
    struct self *self;      /* of the thread the wait began on */
    struct pirn_task *task; /* NULL on a plain thread */
    struct cell *cell;
    struct waiter *waiter;
    uint32_t gen;
    uint32_t closes;     /* of the call's descriptor, when it began (fd_ops.h); an I/O call's */
    struct waiter local; /* a plain thread's */
};

/* Begins a wait: 0, -ECANCELED (a pending cancel was taken), -ESHUTDOWN. */
int pirn_wait_enter(struct wait *w);
/* The same, but the caller charges the worker's budget itself, later. */
int pirn_wait_enter_free(struct wait *w);

/* Another wait in the same call, after one has ended: a pending cancel is left pending. */
void pirn_wait_renew(struct wait *w);

/* A wait was cancelled, but the call has already done something it must report: the cancel it took
 * is pending again (tests/model/bound.pml). */
void pirn_wait_keep_cancel(struct wait *w);

/* Appends the caller's waiter to *list; under the object's lock. */
static inline void pirn_wait_link(struct wait *w, struct waiter **list)
{
    struct waiter *me = w->waiter;
    me->cell = w->cell;
    me->gen = w->gen;
    me->linked = true;
    me->observes = false;
    pirn_waiter_append(me, list);
}

/* Parks until claimed. what: in a word, for the dump. 0 when the object came, else -ETIMEDOUT,
 * -ECANCELED, -ESHUTDOWN, -ENOMEM. */
int pirn_wait_park(struct wait *w, const char *what, int64_t deadline);

/* Cells to wake once the object's lock has been dropped. */
struct wakeups {
    struct node *first, *last; /* tasks: nobody else can touch them until they are woken */
    struct hook *hooks, *last_hook;
    struct cell *threads[8]; /* their waiters may be gone by then, the cells' addresses will do */
    unsigned thread_count;
};
#define WAKEUPS_INIT \
    { \
        NULL, NULL, NULL, NULL, {NULL}, 0 \
    }

/* The same without the array: clearing that takes as long as an atomic operation or two. */
static inline void wakeups_init(struct wakeups *wakeups)
{
    wakeups->first = wakeups->last = NULL;
    wakeups->hooks = wakeups->last_hook = NULL;
    wakeups->thread_count = 0;
}

/* Something to be done when what it waits for comes: by the thread that makes it come, but without
 * that object's lock, so briefly and without waiting; whom it wakes in turn it adds to wakeups. Who
 * takes one back claims its cell; if that fails, fn is about to run or running: the memory has to
 * stay until it is over. */
struct hook {
    struct waiter waiter;
    struct cell cell;
    struct hook *next;
    void (*fn)(struct hook *h, struct wakeups *wakeups);
};
void pirn_hook_init(struct hook *h, void (*fn)(struct hook *h, struct wakeups *wakeups));
/* Takes it back; the list it may be linked in is locked by the caller. False: too late. */
bool pirn_hook_cancel(struct hook *h, struct waiter **list);

/* Under the object's lock, on an unlinked waiter: ends its wait. False: it had ended otherwise. */
bool pirn_waiter_claim(struct waiter *waiter, struct wakeups *wakeups);
void pirn_wakeups_run(struct wakeups *wakeups);

/* Makes a claimed, parked cell run. A thread, a pinned task's too, may have noticed the claim by
 * itself: who holds no reference has read the kind before the claim, and looks at nothing now. */
void pirn_wake_cell(struct cell *c);
void pirn_wake_kind(struct cell *c, enum cell_kind kind);

/* Runs the task's op on fd, filled in otherwise by the caller, to its end. Its result: >= 0, or
 * -errno. */
int pirn_wait_op(struct wait *w, const char *what, int fd, int64_t deadline);

/* A call that has to do with fd besides its operations there (a poll, then a send in place) is on
 * it from before the first until it leaves: a close of fd waits for that, and whatever has the
 * number next is left alone. On one at a time. Without that each operation is on it by itself. */
void pirn_wait_stay_on_fd(struct pirn_task *t, int fd, bool to_write);
void pirn_wait_leave_fd(struct pirn_task *t);
/* Of the calling task: the descriptor that it is on, or -1. relaxed: its own */
static inline int task_fd(const struct pirn_task *t)
{
    return atomic_load_explicit(&t->op.fd, memory_order_relaxed);
}

/* Who makes calls on a descriptor that is others' too. Written by themselves, relaxed: what
 * operation of theirs is meant, its gen says (stop_if_on_fd). */
struct fd_users {
    struct pirn_task *_Atomic reader, *_Atomic writer;
};

/* Stops every operation of the runtime that is under way on fd, with -EBADF, or (only) those of
 * these users; true if there was any (call again: they take a moment; but those of a paused runtime
 * only end when it runs again, and whoever closes the descriptor must not wait for that). */
bool pirn_wait_stop_fd(struct pirn_runtime *rt, int fd, const struct fd_users *only);

/* pirn_wait_park, for a loop that deals with cancels itself: a bound's (bound.h) comes once. The
 * caller ends with pirn_task_relevel. */
int pirn_wait_park_edge(struct wait *w, const char *what, int64_t deadline);

/* Waits until a time. */
int pirn_wait_until(struct wait *w, const char *what, int64_t until);

/* Takes the lock of something that coroutines talk through. That it is contended says that they had
 * better be on one worker (pace.c). */
void pirn_lock_contended(struct lock *l);
static inline void wait_lock(struct lock *l)
{
    if (__builtin_expect(!lock_try(l), 0))
        pirn_lock_contended(l);
}

/* For loops that must not give up even when waits fail: lets others run, whatever the state. */
void pirn_wait_give_way(void);

/* cancel.c: sends a cancel; what pirn_cancel does of a task. 0 or -EALREADY. */
int pirn_wait_cancel(struct pirn_task *t, const char *reason);
/* The end's cancel, by its reason's address. Under t's lock: is it that, and has t had it? If not,
 * it has now. */
extern const char pirn_shutdown_reason[];
bool pirn_wait_is_told(struct pirn_task *t, const char *reason);
/* By who ends its runtime, and alone: asks it unless it has been asked, or helps somebody to clean
 * up. And does the calling task clean up? It has heard of the end, or would not hear of it now.
 * Whom it spawns before that is cancelled like itself: else the end would wait for it, as long as
 * it lasts. */
void pirn_wait_cancel_leftover(struct pirn_task *t);
bool pirn_wait_cleans_up(struct pirn_task *t);
/* A cancel is in t's cell: ends the wait it found there. */
void pirn_wait_end(struct pirn_task *t, enum cancel_found found, uint32_t gen);

/* Shutdown: fails whatever the task is waiting for. */
void pirn_wait_fail(struct pirn_task *t);

/* Stops use gen of the task's operation, with error err. */
void pirn_wait_stop_op(struct pirn_task *t, uint32_t gen, int err);

/* An operation of io/ is done: wakes whoever waits for it. */
void pirn_wait_op_done(struct op *op);
bool pirn_wait_expire(struct op *op); /* a port's expire hook */

#endif
