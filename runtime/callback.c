/*
 * Done callbacks: functions to be called when an awaitable has ended. They run as one coroutine,
 * the runner, in the order in which they were added: never on the stack of who settles it, or of
 * who adds one too late, and never two of one awaitable at a time.
 *
 * The runner is made when the first callback is added, so that settling cannot fail for want of
 * memory: a task that has not begun, its waiter in the awaitable's list like that of anybody who
 * awaits; only once it is there the runner is parked (prepare.c). Settling wakes it; if there is no
 * stack for it then, it is put off until there is (timer.c). It takes the callbacks from the list
 * one by one, under the awaitable's lock, and closes the list when it finds none; a callback added
 * after that gets a new list and runner. What has been taken runs; what is still listed can be
 * removed.
 *
 * Each callback sees the task-locals of who added it, as they were then (asyncio's contexts). What
 * it has deferred runs after it, and a timeout that it is still inside of is left: the next one is
 * another's.
 *
 * Shutdown cancels no runner. When only such are left whose awaitables have not ended, it withdraws
 * them (runtime.c), and each looks under the lock whether that is so: its awaitable may have ended
 * and not have come to waking it. So callbacks that are due run before pirn_run returns.
 */
#include <errno.h>
#include <pirn.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/awaitable.h"
#include "runtime/job.h"
#include "runtime/runtime.h"
#include "runtime/task.h"
#include "runtime/wait.h"

struct callback {
    struct callback *next;
    void (*fn)(pirn_awaitable *awaitable, void *user);
    void *user;
    void **locals; /* of who added it; NULL: none */
};

struct callbacks {
    struct pirn_awaitable *of; /* with a reference */
    struct pirn_task *runner;
    struct callback *first, **end; /* under the awaitable's lock */
};

static struct callbacks **place_of(struct pirn_awaitable *a)
{
    struct pirn_task *t = task_of(a);
    return t != NULL ? &task_extra(t)->callbacks : &object_of(a)->callbacks;
}

uint32_t pirn_callback_refs(struct pirn_task *t)
{
    struct task_extra *e = task_extra(t);
    if (e == NULL)
        return 0;
    lock_take(&t->base.lock);
    uint32_t n = e->callbacks != NULL;
    lock_drop(&t->base.lock);
    return n;
}

static void forget(struct callback *callback)
{
    free(callback->locals);
    free(callback);
}

/* NULL: no memory. */
static struct callback *new_callback(void (*fn)(struct pirn_awaitable *, void *), void *user)
{
    struct pirn_task *me = pirn_current_task();
    struct task_extra *e = me != NULL ? task_extra(me) : NULL;
    void **locals = me == NULL ? pirn_job_locals() : e != NULL ? e->locals : NULL;
    struct callback *callback = malloc(sizeof(*callback));
    if (callback == NULL)
        return NULL;
    *callback = (struct callback){NULL, fn, user, NULL};
    if (locals == NULL)
        return callback;
    callback->locals = malloc(LOCALS_MAX * sizeof(*locals));
    if (callback->locals == NULL) {
        free(callback);
        return NULL;
    }
    memcpy(callback->locals, locals, LOCALS_MAX * sizeof(*locals));
    return callback;
}

static void call(struct pirn_task *runner, struct pirn_awaitable *a, struct callback *callback)
{
    struct task_extra *e = task_extra(runner); /* there: it has a name */
    free(e->locals);
    e->locals = callback->locals;
    callback->locals = NULL;
    callback->fn(a, callback->user);
    task_clean_up(runner, 0);
    forget(callback);
}

static int run(void *arg)
{
    struct callbacks *c = arg;
    struct pirn_awaitable *a = c->of;
    for (;;) {
        lock_take(&a->lock);
        struct callback *next = c->first;
        if (next != NULL)
            c->first = next->next;
        if (c->first == NULL)
            c->end = &c->first;
        if (next == NULL && *place_of(a) == c)
            *place_of(a) = NULL;
        lock_drop(&a->lock);
        if (next == NULL)
            return 0;
        call(c->runner, a, next);
    }
}

bool pirn_callback_is_due(struct pirn_task *runner)
{
    struct callbacks *c = runner->arg;
    struct pirn_awaitable *a = c->of;
    lock_take(&a->lock);
    bool due = c->first != NULL && awaitable_has_ended(a);
    pirn_waiter_unlink(&a->joiners, &runner->waiter);
    if (!due && *place_of(a) == c)
        *place_of(a) = NULL; /* whose end comes from now on finds no callbacks */
    lock_drop(&a->lock);
    return due;
}

/* The runner is done with its argument, run or not. */
static void drop(void *arg)
{
    struct callbacks *c = arg;
    struct pirn_awaitable *a = c->of;
    lock_take(&a->lock);
    pirn_waiter_unlink(&a->joiners, &c->runner->waiter);
    if (*place_of(a) == c)
        *place_of(a) = NULL;
    lock_drop(&a->lock);
    for (struct callback *next; c->first != NULL; c->first = next) {
        next = c->first->next;
        forget(c->first);
    }
    if (task_of(a) != NULL)
        pirn_task_leave_unbegun(task_of(a));
    else
        pirn_awaitable_unref(a);
    free(c);
}

static struct callbacks *make(struct pirn_awaitable *a, struct pirn_runtime *rt, int *ret_rc)
{
    struct callbacks *c = calloc(1, sizeof(*c));
    struct pirn_awaitable *runner;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    struct spawn_how how = {.call = "pirn_add_done_callback",
                            .flags = TASK_PREPARED | TASK_CALLBACKS};
    *ret_rc = -ENOMEM;
    if (c == NULL)
        return NULL;
    config.name = "callbacks";
    config.arg_drop = drop;
    config.runtime = rt;
    c->end = &c->first;
    c->of = a;
    *ret_rc = pirn_task_spawn(&runner, &config, run, c, &how, NULL);
    if (*ret_rc != 0) {
        free(c);
        return NULL;
    }
    pirn_awaitable_ref(a);
    c->runner = task_of(runner); /* the handle's reference goes below, or with the discarded one */
    return c;
}

static void append(struct callbacks *c, struct callback *callback)
{
    *c->end = callback;
    c->end = &callback->next;
}

/* Under the lock: c is a's list from now on. If a has ended, the runner is claimed for it. */
static void install(struct pirn_awaitable *a, struct callbacks *c)
{
    struct wakeups none = WAKEUPS_INIT; /* it is not parked */
    struct waiter *w = &c->runner->waiter;
    *place_of(a) = c;
    w->cell = &c->runner->cell;
    w->gen = cell_gen(cell_load(w->cell));
    w->observes = true;
    if (!pirn_awaitable_link(a, w))
        pirn_waiter_claim(w, &none);
}

int pirn_callback_add(struct pirn_awaitable *a, struct pirn_runtime *rt,
                      void (*fn)(pirn_awaitable *, void *), void *user)
{
    struct callbacks *fresh = NULL;
    struct pirn_task *runner = NULL;
    bool added = false;
    int rc = 0;
    if (task_of(a) != NULL && pirn_task_extra(task_of(a)) == NULL)
        return -ENOMEM;
    struct callback *callback = new_callback(fn, user);
    if (callback == NULL)
        return -ENOMEM;
    while (!added && rc == 0) {
        bool used = false;
        lock_take(&a->lock);
        if (*place_of(a) != NULL) {
            append(*place_of(a), callback);
            added = true;
        } else if (fresh != NULL) {
            append(fresh, callback);
            install(a, fresh);
            added = used = true;
        }
        lock_drop(&a->lock);
        if (used) {
            pirn_task_prepare(runner, runner->waiter.gen);
            pirn_task_unref(runner);
            runner = NULL;
        } else if (!added && fresh == NULL && (fresh = make(a, rt, &rc)) != NULL) {
            runner = fresh->runner;
        }
    }
    if (!added)
        forget(callback);
    if (runner != NULL)
        pirn_task_discard(runner);
    return rc;
}

int pirn_callback_remove(struct pirn_awaitable *a, void (*fn)(pirn_awaitable *, void *), void *user)
{
    struct callback *removed = NULL;
    struct pirn_task *runner = NULL;
    int n = 0;
    lock_take(&a->lock);
    bool any = task_of(a) == NULL || task_extra(task_of(a)) != NULL;
    struct callbacks *c = any ? *place_of(a) : NULL;
    struct callback **link = c != NULL ? &c->first : NULL;
    while (link != NULL && *link != NULL) {
        struct callback *next = *link;
        if (next->fn == fn && next->user == user) {
            *link = next->next;
            next->next = removed;
            removed = next;
            n++;
        } else {
            link = &next->next;
        }
    }
    if (link != NULL)
        c->end = link;
    /* Nothing to wait for any more. Once a has ended the runner's waiter is its own (for what a
     * callback waits for, maybe), and it finds the empty list by itself. */
    if (n != 0 && c->first == NULL && !awaitable_has_ended(a)) {
        runner = c->runner;
        pirn_awaitable_ref(&runner->base);
        pirn_waiter_unlink(&a->joiners, &runner->waiter);
        *place_of(a) = NULL;
    }
    lock_drop(&a->lock);
    if (runner != NULL) {
        pirn_wait_cancel(runner, NULL); /* not withdrawn: who adds may not have parked it yet */
        pirn_task_unref(runner);
    }
    while (removed != NULL) {
        struct callback *next = removed->next;
        forget(removed);
        removed = next;
    }
    return n;
}
