/*
 * What all awaitables share, as programs see it: thin over runtime/.
 */
#include <errno.h>
#include <pirn.h>

#include "runtime/awaitable.h"
#include "runtime/debug.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

pirn_kind pirn_kind_of(const pirn_awaitable *awaitable)
{
    if (awaitable_is_dead(awaitable))
        pirn_misuse_dead("pirn_kind_of", awaitable);
    return (pirn_kind)(awaitable->kind & ~KIND_DEAD);
}

int pirn_await(pirn_awaitable *awaitable, int *ret_status, pirn_time deadline)
{
    return awaitable != NULL ? pirn_awaitable_await(awaitable, ret_status, deadline.ns, false)
                             : pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
}

int pirn_join(pirn_awaitable *awaitable, int *ret_status, pirn_time deadline)
{
    return awaitable != NULL ? pirn_awaitable_await(awaitable, ret_status, deadline.ns, true)
                             : pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
}

pirn_awaitable *pirn_retain(pirn_awaitable *awaitable)
{
    if (awaitable == NULL)
        return NULL;
    if (awaitable_is_dead(awaitable)) {
        pirn_misuse_dead("pirn_retain", awaitable);
        return NULL;
    }
    pirn_awaitable_ref(awaitable);
    return awaitable;
}

/* Of a live task: the runtime's references, and its thread's. */
static uint32_t own_refs(const struct pirn_task *t)
{
    return (t->flags & PIRN_PINNED) != 0 ? 2 : 1;
}

/* A coroutine object that, but for the caller, only its callbacks have a reference to: they wait
 * for its end, and will not begin it. */
static bool is_told_on(struct pirn_task *t, uint32_t refs, uint32_t others)
{
    return (t->flags & TASK_PREPARED) != 0 &&
           (refs & ~AWAITABLE_JOINED) <= others + pirn_callback_refs(t) + 1;
}

/* runs_on: what has begun, or will, may run on unowned; else that is refused. */
static int release_task(struct pirn_task *t, bool runs_on)
{
    uint32_t others = own_refs(t);
    if (t->owner != NULL) { /* a scope's: it is waited for there */
        pirn_task_unref(t);
        return 0;
    }
    /* Those and one more are left of a live task: this one. Another holder may give up its own
     * at the same time; then the last of them is told. */
    uint32_t refs = atomic_load_explicit(&t->base.refs, memory_order_relaxed);
    do {
        bool only = (refs & ~AWAITABLE_JOINED) <= others + 1;
        if ((only || is_told_on(t, refs, others)) && !task_has_ended(t)) {
            bool never = (t->flags & TASK_TIMED) == 0 && pirn_task_withdraw(t);
            if (!never && only && !runs_on)
                return pirn_misuse(
                    "pirn_release", -EBUSY,
                    "the task has not ended, and nobody else has a reference: await, "
                    "join or detach it");
            if (never && t->rt->debug)
                pirn_debug_never_awaited(t);
            pirn_task_unref(t); /* if it has not begun, nobody is left to begin it */
            return 0;
        }
        if (refs == 1)
            break;
        /* acq_rel: as in pirn_task_unref */
    } while (!atomic_compare_exchange_weak_explicit(&t->base.refs, &refs, refs - 1,
                                                    memory_order_acq_rel, memory_order_relaxed));
    if (refs == 1)
        pirn_task_unref(t);
    return 0;
}

int pirn_release(pirn_awaitable *awaitable)
{
    if (awaitable == NULL)
        return -EINVAL;
    if (task_of(awaitable) != NULL)
        return release_task(task_of(awaitable), false);
    if (awaitable_is_dead(awaitable))
        return pirn_misuse_dead("pirn_release", awaitable);
    pirn_awaitable_unref(awaitable);
    return 0;
}

/* There is a call for tasks alone. */
static int not_a_task(const char *call, const pirn_awaitable *a)
{
    return a != NULL && awaitable_is_dead(a) ? pirn_misuse_dead(call, a)
                                             : pirn_misuse(call, -EINVAL, "it is no task");
}

/* If the runtime's and the callbacks' are all, whoever calls has none: what it has is borrowed. */
static bool is_owned(struct pirn_task *t)
{
    uint32_t others = own_refs(t) + pirn_callback_refs(t);
    /* acquire: the look at its end comes after */
    uint32_t refs = atomic_load_explicit(&t->base.refs, memory_order_acquire);
    return (refs & ~AWAITABLE_JOINED) > others || task_has_ended(t);
}

int pirn_detach(pirn_task *task)
{
    struct pirn_task *t = task_of(task);
    if (t == NULL)
        return not_a_task("pirn_detach", task);
    if (!is_owned(t))
        return pirn_misuse(__func__, -EPERM,
                           "nobody has a reference to the task: it has been detached already");
    if ((t->flags & TASK_PREPARED) != 0)
        return release_task(t, true);
    pirn_task_unref(t);
    return 0;
}

int pirn_cancel(pirn_awaitable *awaitable, const char *reason)
{
    return awaitable != NULL ? pirn_awaitable_cancel(awaitable, reason)
                             : pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
}

int pirn_status(const pirn_awaitable *awaitable)
{
    if (awaitable == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (!awaitable_has_ended(awaitable))
        return -EINPROGRESS;
    if (awaitable_is_dead(awaitable))
        return pirn_misuse_dead("pirn_status", awaitable);
    atomic_store_explicit(&((pirn_awaitable *)awaitable)->seen, 1, memory_order_relaxed);
    return atomic_load_explicit(&awaitable->status, memory_order_relaxed);
}

bool pirn_done(const pirn_awaitable *awaitable)
{
    if (awaitable == NULL || !awaitable_has_ended(awaitable))
        return false;
    if (awaitable_is_dead(awaitable))
        pirn_misuse_dead("pirn_done", awaitable);
    return true;
}

void *pirn_value(const pirn_awaitable *awaitable)
{
    if (awaitable == NULL)
        return NULL;
    if (awaitable_is_dead(awaitable)) {
        pirn_misuse_dead("pirn_value", awaitable);
        return NULL;
    }
    return pirn_awaitable_value(awaitable);
}

const char *pirn_reason(const pirn_awaitable *awaitable)
{
    if (awaitable == NULL)
        return NULL;
    if (awaitable_is_dead(awaitable)) {
        pirn_misuse_dead("pirn_reason", awaitable);
        return NULL;
    }
    pirn_awaitable *a = (pirn_awaitable *)awaitable;
    return task_of(a) != NULL
               ? atomic_load_explicit(&task_of(a)->cancel_reason, memory_order_relaxed)
               : atomic_load_explicit(&object_of(a)->reason, memory_order_relaxed);
}

int pirn_add_done_callback(pirn_awaitable *awaitable, pirn_runtime *runtime, pirn_done_fn fn,
                           void *user)
{
    if (awaitable == NULL || fn == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (awaitable_is_dead(awaitable))
        return pirn_misuse_dead("pirn_add_done_callback", awaitable);
    if (runtime == NULL && pirn_runtime_current() == NULL && task_of(awaitable) != NULL)
        runtime = task_of(awaitable)->rt;
    return pirn_callback_add(awaitable, runtime, fn, user);
}

int pirn_remove_done_callback(pirn_awaitable *awaitable, pirn_done_fn fn, void *user)
{
    if (awaitable == NULL || fn == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (awaitable_is_dead(awaitable))
        return pirn_misuse_dead("pirn_remove_done_callback", awaitable);
    return pirn_callback_remove(awaitable, fn, user);
}
