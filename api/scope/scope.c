/*
 * Scopes: children that never outlive the block that started them. What they are made of is in
 * scope.h; here are the three calls of the opener.
 *
 * The wait
 *   1. leaves the bound: a cancel that is the scope's own is forgotten
 *   2. waits until nobody runs; if a cancel (from outside), the deadline or a shutdown ends that,
 *      it cancels the children and waits again, shielded
 *   3. says what it came to (result_of): failures first, then a cancel, then the deadline
 *
 * A failure that is reported although the opener was asked to end does not swallow that: the
 * request is pending afterwards (asyncio's rule). Whether a body that was cancelled was so by the
 * scope alone is told by its bound, and by the count of requests since the scope was opened.
 */
#include "api/scope/scope.h"

#include <errno.h>
#include <string.h>

#include "runtime/debug.h"

int pirn_scope_open(pirn_scope **ret_scope, int limit)
{
    struct pirn_task *t = pirn_current_task();
    if (ret_scope == NULL || limit < 0)
        return pirn_misuse(__func__, -EINVAL, ret_scope == NULL ? MISUSE_NULL : "limit < 0");
    if (t == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
    pirn_scope *s = mem_alloc(&t->rt->mem, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    memset(s, 0, sizeof(*s));
    s->owner = (struct task_owner){pirn_scope_adopt, pirn_scope_on_end};
    lock_init(&s->lock);
    s->limit = (unsigned)limit;
    int rc = pirn_bound_enter(&s->bound, t);
    if (rc != 0) {
        mem_free(&t->rt->mem, s);
        return rc;
    }
    *ret_scope = s;
    return 0;
}

/* Nobody is in it: nobody ever will be. */
static bool end_if_idle(pirn_scope *s)
{
    lock_take(&s->lock);
    s->over = scope_is_empty(s);
    lock_drop(&s->lock);
    return s->over;
}

/* Waits until it is over: 0, or why it stopped waiting. */
static int wait_children(pirn_scope *s, pirn_time deadline)
{
    struct wait w;
    int rc = pirn_wait_enter(&w);
    while (rc == 0) {
        int64_t until = deadline.ns;
        lock_take(&s->lock);
        bool cancelling = s->cancelling;
        s->over = scope_is_empty(s);
        if (!s->over)
            pirn_wait_link(&w, &s->closer);
        lock_drop(&s->lock);
        if (s->over)
            break;
        if (__builtin_expect(w.task->rt->debug, 0))
            until = pirn_scope_late(s, cancelling, until);
        rc = pirn_wait_park(&w, "scope", until);
        lock_take(&s->lock); /* also lets go of us whoever claimed us under it */
        pirn_waiter_unlink(&s->closer, w.waiter);
        lock_drop(&s->lock);
        if (until != deadline.ns && pirn_scope_is_late(s, rc))
            rc = 0;
        pirn_wait_renew(&w); /* they have ended: a cancel that comes now comes later */
    }
    return rc;
}

/* For the children, why the wait ended. */
static const char *reason_of(int why)
{
    return why == -ECANCELED   ? pirn_cancel_reason()
           : why == -ETIMEDOUT ? "the scope ran out of time"
           : why == -ESHUTDOWN ? pirn_shutdown_reason
                               : "there is no memory to wait for the scope";
}

/* The wait has failed: the children are cancelled, and waited for in any case. */
static void wait_cancelled(pirn_scope *s, struct pirn_task *t, const char *reason)
{
    pirn_scope_cancel(s, reason);
    bool shields = pirn_task_shield(t) == 0; /* if not, it is inside all there can be */
    while (!end_if_idle(s)) {
        if (wait_children(s, PIRN_NEVER) != 0) /* in a shutdown past its grace */
            pirn_wait_give_way();
    }
    if (shields)
        pirn_task_unshield(t);
}

/* why: how the wait ended. */
static int result_of(pirn_scope *s, struct pirn_task *t, int why)
{
    bool outer = pirn_task_relevel(t), asked = pirn_bound_saw_request(&s->bound);
    if (s->first_error != 0) {
        if (asked || (why == -ECANCELED && !outer))
            pirn_task_keep_request(t);
        return s->first_error;
    }
    if (why == -ECANCELED || s->body_status != -ECANCELED)
        return why;
    if (s->body_was_told && !asked && !outer)
        return why;      /* the body was cancelled by the scope, which ends here */
    task_take_cancel(t); /* the same request once more, or one that came before this is told */
    return -ECANCELED;
}

/* 0: the scope is over, s->result says how. Else nothing was done. call: the public name. */
static int end(pirn_scope *s, pirn_time deadline, const char *call)
{
    struct pirn_task *t = pirn_current_task();
    if (t != NULL && t->owner == &s->owner)
        return pirn_misuse(call, -EDEADLK, "a child waits for its own scope");
    if (t == NULL || t != s->bound.task)
        return pirn_misuse(call, -EPERM, "only who opened the scope waits for it and closes it");
    if (s->over)
        return -EALREADY;
    int why = pirn_bound_leave(&s->bound);
    if (why != 0)
        return pirn_misuse(call, why, "a scope or timeout that was opened inside it is still open");
    why = wait_children(s, deadline);
    if (why != 0)
        wait_cancelled(s, t, reason_of(why));
    s->result = result_of(s, t, why);
    return 0;
}

int pirn_scope_wait(pirn_scope *scope, pirn_time deadline)
{
    if (scope == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = end(scope, deadline, __func__);
    if (rc == -EALREADY)
        return pirn_misuse(__func__, -EINVAL, "the scope is over, and can only be closed");
    return rc == 0 ? scope->result : rc;
}

int pirn_scope_close(pirn_scope *scope, pirn_time deadline)
{
    if (scope == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = end(scope, deadline, __func__);
    if (rc != 0 && rc != -EALREADY)
        return rc;
    rc = scope->result;
    struct pirn_runtime *rt = scope->bound.task->rt; /* the caller's */
    struct pirn_task *t = scope->failed, *next;
    for (; t != NULL; t = next) {
        next = t->next_sibling;
        pirn_task_unref(t);
    }
    mem_free(&rt->mem, scope);
    return rc;
}
