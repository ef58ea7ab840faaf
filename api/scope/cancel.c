/*
 * How a scope is cancelled: by a child's failure, by its body's, or by anybody. And the list of
 * what failed. The whole is in scope.h.
 */
#include <errno.h>

#include "api/scope/scope.h"
#include "runtime/debug.h"

/* Under the lock: true for the one that is to send the cancel. */
static bool begin_cancel(pirn_scope *s, const char *reason)
{
    if (s->cancelling)
        return false;
    s->cancelling = true;
    s->reason = reason;
    return true;
}

/* The caller is counted in running. */
static void send_cancel(pirn_scope *s)
{
    pirn_bound_hit(&s->bound, s->reason); /* reason: it changes no more */
    pirn_scope_cancel_children(s);
    if (__builtin_expect(s->bound.task->rt->debug, 0))
        pirn_scope_rouse(s); /* see late.c */
}

static void count_failure(pirn_scope *s, int status) /* under the lock */
{
    s->failures++;
    if (s->first_error == 0)
        s->first_error = status;
}

void pirn_scope_note_failure(pirn_scope *s, struct pirn_task *t, int status)
{
    lock_take(&s->lock);
    pirn_scope_keep_failed(s, t);
    count_failure(s, status);
    bool first = begin_cancel(s, "a sibling failed");
    lock_drop(&s->lock);
    if (first)
        send_cancel(s);
}

int pirn_scope_cancel(pirn_scope *scope, const char *reason)
{
    if (scope == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    lock_take(&scope->lock);
    bool over = scope->over;
    if (!over) {
        begin_cancel(scope, reason);
        scope->running++; /* the opener waits for us, too */
    }
    lock_drop(&scope->lock);
    if (over)
        return -EALREADY;
    send_cancel(scope);      /* also if another is about to: it is done when we return */
    pirn_scope_leave(scope); /* and those who wait for a place hear of it */
    return 0;
}

int pirn_scope_fail(pirn_scope *scope, int status)
{
    struct pirn_task *t = pirn_current_task();
    if (scope == NULL || status >= 0)
        return pirn_misuse(__func__, -EINVAL,
                           scope == NULL ? MISUSE_NULL
                                         : "the status is no error: it is not negative");
    if (t == NULL || t != scope->bound.task)
        return pirn_misuse(__func__, -EPERM,
                           "only who opened the scope is its body: a child returns its error");
    if (scope->over)
        return pirn_misuse(__func__, -EINVAL, "the scope is over, and can only be closed");
    lock_take(&scope->lock);
    bool again = scope->body_status != 0;
    if (!again) {
        scope->body_was_told = !begin_cancel(scope, "the body failed");
        scope->body_status = status;
        scope->body_at = scope->failures;
        if (status != -ECANCELED)
            count_failure(scope, status);
        scope->running++;
    }
    lock_drop(&scope->lock);
    if (again)
        return -EALREADY;
    send_cancel(scope);
    pirn_scope_leave(scope);
    return 0;
}

static void fill(pirn_scope_error *e, struct pirn_task *t, int status)
{
    e->task = &t->base;
    e->id = t->id;
    e->status = status;
    pirn_task_name(t, e->name, sizeof(e->name));
}

int pirn_scope_errors(pirn_scope *scope, pirn_scope_error *ret_errors, size_t n)
{
    if (scope == NULL || (ret_errors == NULL && n != 0))
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    lock_take(&scope->lock);
    struct pirn_task *t = scope->failed;
    unsigned count = scope->failures;
    int body = scope->body_status == -ECANCELED ? 0 : scope->body_status;
    unsigned body_at = body != 0 ? scope->body_at : count;
    lock_drop(&scope->lock);
    /* What has been counted stays as it is, but for the last one's link. */
    for (unsigned i = 0, children = 0; i < count && i < n; i++) {
        if (i == body_at) {
            fill(&ret_errors[i], scope->bound.task, body);
            continue;
        }
        fill(&ret_errors[i], t, atomic_load_explicit(&t->base.status, memory_order_relaxed));
        if (++children + (body != 0) < count)
            t = t->next_sibling;
    }
    return (int)count;
}
