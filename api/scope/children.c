/*
 * The children of a scope: how they come in, under its limit, and how they leave. The whole is in
 * scope.h.
 *
 * A spawn: takes a place (counts itself in `running`, or waits until it may); makes the task, which
 * is adopted before it can run: into the list, or, if the scope's cancel has begun meanwhile,
 * cancelled at once. So whoever cancels finds a child in the list, or the child finds the scope
 * cancelled.
 *
 * Places under a limit
 *   1. a spawn finds fewer running than the limit: the place is its, counted. Else it goes to the
 *      end of the line, under the lock, and parks
 *   2. who leaves gives the place away, under the lock: to the first in the line whose wait it can
 *      end. `running` stays as it is; who has been claimed has the place, also if a cancel, or its
 *      deadline, comes next. Whose wait had ended otherwise is passed over, and has no place to
 *      lose
 *   3. nobody to take it: `running` goes down. So while the scope goes on, and anybody waits who
 *      can be claimed, there is no free place, and nobody overtakes
 *   4. a spawn that cannot use the place after all (no memory, a shutdown, the scope cancelled
 *      before it came to run) leaves, as in 2
 *   5. once the scope is cancelled no place is given away any more, and nobody gets into the line:
 *      the next to leave, who cancels if nobody else, sends all home. They find no place, or a
 *      scope that is cancelled: -ECANCELED
 *   6. who is in the line counts itself in `inside` until it has looked at the scope for the last
 *      time: it need not be a child, and the opener does not go before
 * tests/model/scope.pml checks it.
 * Each end wakes one. To wake all, who look again, was n * n / 2 wake-ups for n that wait.
 */
#include <errno.h>

#include "api/scope/scope.h"
#include "runtime/debug.h"

/* Who waits for a place under the limit. */
struct applicant {
    struct waiter waiter; /* first: a waiter in `spawners` is one */
    bool placed;          /* under the lock: its place is counted */
};

static pirn_scope *scope_of(const struct pirn_task *t)
{
    return (pirn_scope *)(void *)t->owner;
}

static void link_child(struct pirn_task **list, struct pirn_task *t)
{
    t->prev_sibling = NULL;
    t->next_sibling = *list;
    if (*list != NULL)
        (*list)->prev_sibling = t;
    *list = t;
}

static void unlink_child(pirn_scope *s, struct pirn_task *t)
{
    if (t->prev_sibling != NULL)
        t->prev_sibling->next_sibling = t->next_sibling;
    else if (s->children == t)
        s->children = t->next_sibling;
    else
        s->told = t->next_sibling;
    if (t->next_sibling != NULL)
        t->next_sibling->prev_sibling = t->prev_sibling;
}

void pirn_scope_keep_failed(pirn_scope *s, struct pirn_task *t)
{
    unlink_child(s, t);
    pirn_awaitable_ref(&t->base);
    t->next_sibling = NULL;
    if (s->last_failed != NULL)
        s->last_failed->next_sibling = t;
    else
        s->failed = t;
    s->last_failed = t;
}

void pirn_scope_cancel_children(pirn_scope *s)
{
    for (;;) {
        lock_take(&s->lock);
        struct pirn_task *t = s->children;
        const char *reason = s->reason;
        if (t != NULL) {
            unlink_child(s, t);
            link_child(&s->told, t);
            pirn_awaitable_ref(&t->base); /* a listed child is alive: the runtime has a reference */
        }
        lock_drop(&s->lock);
        if (t == NULL)
            return;
        pirn_wait_cancel(t, reason);
        pirn_task_unref(t);
    }
}

static void claim_all(struct waiter **list, struct wakeups *wakeups)
{
    struct waiter *waiter;
    while ((waiter = pirn_waiter_pop(list)) != NULL)
        pirn_waiter_claim(waiter, wakeups);
}

static bool give_place(pirn_scope *s, struct wakeups *wakeups) /* under the lock */
{
    struct applicant *a;
    while ((a = (struct applicant *)(void *)pirn_waiter_pop(&s->spawners)) != NULL) {
        if (pirn_waiter_claim(&a->waiter, wakeups)) {
            a->placed = true; /* a is there still: it takes the lock before it goes */
            return true;
        }
    }
    return false;
}

static void leave(pirn_scope *s, struct wakeups *wakeups) /* under the lock */
{
    if (s->cancelling)
        claim_all(&s->spawners, wakeups);
    else if (give_place(s, wakeups))
        return;
    s->running--;
    if (scope_is_empty(s))
        claim_all(&s->closer, wakeups);
}

void pirn_scope_leave(pirn_scope *s)
{
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    lock_take(&s->lock);
    leave(s, &wakeups);
    lock_drop(&s->lock);
    pirn_wakeups_run(&wakeups);
}

void pirn_scope_rouse(pirn_scope *s)
{
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    lock_take(&s->lock);
    claim_all(&s->closer, &wakeups);
    lock_drop(&s->lock);
    pirn_wakeups_run(&wakeups);
}

/* A child is over; on its own stack, or its spawner's if it was never to be. */
void pirn_scope_on_end(struct pirn_task *t)
{
    pirn_scope *s = scope_of(t);
    struct wakeups wakeups;
    int status = atomic_load_explicit(&t->base.status, memory_order_relaxed);
    bool failed = status < 0 && status != -ECANCELED;
    wakeups_init(&wakeups);
    atomic_store_explicit(&t->base.seen, 1, memory_order_relaxed);
    if (failed)
        pirn_scope_note_failure(s, t, status);
    lock_take(&s->lock);
    if (!failed)
        unlink_child(s, t);
    leave(s, &wakeups);
    lock_drop(&s->lock);
    pirn_wakeups_run(&wakeups);
}

void pirn_scope_adopt(struct pirn_task *t)
{
    pirn_scope *s = scope_of(t);
    lock_take(&s->lock);
    bool late = s->cancelling;
    const char *reason = s->reason;
    link_child(late ? &s->told : &s->children, t);
    lock_drop(&s->lock);
    if (late)
        pirn_wait_cancel(t, reason); /* it has not begun, and never will */
}

/* In the line, and without the lock, until there is a place. */
static int wait_for_place(pirn_scope *s, struct wait *w, struct applicant *me, pirn_time deadline)
{
    struct wakeups wakeups;
    int rc = pirn_wait_park(w, "scope place", deadline.ns);
    wakeups_init(&wakeups);
    lock_take(&s->lock);
    pirn_waiter_unlink(&s->spawners, &me->waiter);
    s->inside--;
    bool late = rc == 0 && s->cancelling;
    if (late && me->placed)
        leave(s, &wakeups);
    else if (scope_is_empty(s))
        claim_all(&s->closer, &wakeups);
    lock_drop(&s->lock);
    pirn_wakeups_run(&wakeups);
    return late ? -ECANCELED : rc;
}

/* Takes a place under the limit, waiting for one if need be. Without one this is no place to give
 * way, as a spawn is none. */
static int take_place(const char *call, pirn_scope *s, pirn_time deadline)
{
    struct wait w;
    struct applicant me = {.placed = false};
    int rc = s->limit == 0 ? pirn_wait_enter_free(&w) : pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    if (w.task == NULL)
        return pirn_misuse(call, -EPERM, MISUSE_NO_COROUTINE);
    lock_take(&s->lock);
    bool room = s->limit == 0 || s->running < s->limit;
    rc = s->over ? -EINVAL : s->cancelling ? -ECANCELED : 0;
    if (rc == 0 && room) {
        s->running++;
    } else if (rc == 0) {
        s->inside++;
        w.waiter = &me.waiter;
        pirn_wait_link(&w, &s->spawners);
    }
    lock_drop(&s->lock);
    if (rc == -EINVAL)
        return pirn_misuse(call, rc, "the scope is over, and can only be closed");
    return rc != 0 || room ? rc : wait_for_place(s, &w, &me, deadline);
}

static int try_spawn(const char *call, pirn_scope *s, pirn_task **ret_task,
                     const pirn_spawn_config *config, pirn_fn fn, void *arg, pirn_time deadline,
                     void *site)
{
    bool adopted = false;
    struct spawn_how how = {.call = call, .owner = &s->owner, .ret_adopted = &adopted};
    int rc = take_place(call, s, deadline);
    if (rc != 0)
        return rc;
    rc = pirn_task_spawn(ret_task, config, fn, arg, &how, site);
    if (rc != 0 && !adopted)
        pirn_scope_leave(s);
    return rc;
}

static int spawn(const char *call, pirn_scope *s, pirn_task **ret_task,
                 const pirn_spawn_config *config, pirn_fn fn, void *arg, pirn_time deadline,
                 void *site)
{
    if (s == NULL || fn == NULL)
        return pirn_misuse(call, -EINVAL, MISUSE_NULL);
    if (config != NULL && config->size != sizeof(*config))
        return pirn_misuse(call, -EINVAL, misuse_of_config(config->size, sizeof(*config), ""));
    int rc = try_spawn(call, s, ret_task, config, fn, arg, deadline, site);
    if ((rc == -ESHUTDOWN || rc == -ECANCELED) && config != NULL && config->arg_drop != NULL)
        config->arg_drop(arg); /* nobody will ever run it, as with pirn_spawn_with */
    return rc;
}

int pirn_scope_spawn(pirn_scope *scope, pirn_fn fn, void *arg, pirn_time deadline)
{
    return spawn(__func__, scope, NULL, NULL, fn, arg, deadline, __builtin_return_address(0));
}

int pirn_scope_spawn_with(pirn_scope *scope, const pirn_spawn_config *config, pirn_fn fn, void *arg,
                          pirn_time deadline)
{
    return spawn(__func__, scope, NULL, config, fn, arg, deadline, __builtin_return_address(0));
}

int pirn_scope_spawn_task(pirn_scope *scope, pirn_task **ret_task, const pirn_spawn_config *config,
                          pirn_fn fn, void *arg, pirn_time deadline)
{
    if (ret_task == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    return spawn(__func__, scope, ret_task, config, fn, arg, deadline, __builtin_return_address(0));
}
