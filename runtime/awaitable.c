/*
 * The family of what can be awaited; see awaitable.h. Tasks end in task.c, everything else here:
 * settling is done once, under the object's lock, and wakes whoever is linked.
 */
#include "runtime/awaitable.h"

#include <errno.h>
#include <string.h>

#include "runtime/debug.h"
#include "runtime/registry.h"
#include "runtime/runtime.h"
#include "runtime/task.h"
#include "runtime/wait.h"

void pirn_object_init(struct object *o, pirn_kind kind, const struct object_ops *ops)
{
    memset(o, 0, sizeof(*o));
    lock_init(&o->base.lock);
    atomic_init(&o->base.refs, 1);
    o->base.kind = (uint8_t)kind;
    o->ops = ops;
    o->home = pirn_runtime_current();
}

/* Under the lock, if it has not ended. */
static void end(struct object *o, int status, void *value, void (*drop)(void *value),
                struct wakeups *wakeups)
{
    struct waiter *waiter;
    atomic_store_explicit(&o->base.status, status, memory_order_relaxed);
    o->value = value;
    o->value_drop = drop;
    /* release: pairs with the acquire in awaitable_has_ended */
    atomic_store_explicit(&o->base.ended, 1, memory_order_release);
    while ((waiter = pirn_waiter_pop(&o->base.joiners)) != NULL)
        pirn_waiter_claim(waiter, wakeups);
}

int pirn_object_settle_into(struct object *o, int status, void *value, void (*drop)(void *value),
                            struct wakeups *wakeups)
{
    lock_take(&o->base.lock);
    bool late = awaitable_has_ended(&o->base);
    if (!late)
        end(o, status, value, drop, wakeups);
    lock_drop(&o->base.lock);
    return late ? -EALREADY : 0;
}

int pirn_object_settle_cancelled(struct object *o, const char *reason)
{
    struct wakeups wakeups = WAKEUPS_INIT;
    lock_take(&o->base.lock);
    bool late = awaitable_has_ended(&o->base);
    if (!late) {
        atomic_store_explicit(&o->reason, reason, memory_order_relaxed);
        end(o, -ECANCELED, NULL, NULL, &wakeups);
    }
    lock_drop(&o->base.lock);
    pirn_wakeups_run(&wakeups);
    return late ? -EALREADY : 0;
}

int pirn_object_settle(struct object *o, int status, void *value, void (*drop)(void *value))
{
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    int rc = pirn_object_settle_into(o, status, value, drop, &wakeups);
    pirn_wakeups_run(&wakeups);
    return rc;
}

void pirn_awaitable_ref(struct pirn_awaitable *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
}

static const char *kind_name(const struct pirn_awaitable *a)
{
    switch ((pirn_kind)a->kind) {
    case PIRN_KIND_TASK:
        return "task";
    case PIRN_KIND_FUTURE:
        return "future";
    case PIRN_KIND_JOB:
        return "job";
    case PIRN_KIND_COMBINED:
        break;
    }
    return "combination";
}

static void dispose(struct object *o)
{
    int status = atomic_load_explicit(&o->base.status, memory_order_relaxed);
    if (awaitable_has_ended(&o->base) && status < 0 && status != -ECANCELED &&
        o->base.kind != PIRN_KIND_COMBINED && /* its parts speak for themselves */
        atomic_load_explicit(&o->base.seen, memory_order_relaxed) == 0)
        pirn_registry_report(o->home, "a %s ended with %d (%s) and nobody looked",
                             kind_name(&o->base), status, strerrordesc_np(-status));
    if (o->base.kind == PIRN_KIND_JOB) { /* who settled it may not have dropped the lock yet */
        lock_take(&o->base.lock);
        lock_drop(&o->base.lock);
    }
    if (o->value_drop != NULL)
        o->value_drop(o->value);
    o->ops->free(o);
}

int pirn_object_settle_and_unref(struct object *o, int status, void *value,
                                 void (*drop)(void *value))
{
    struct wakeups wakeups = WAKEUPS_INIT;
    bool last = false;
    lock_take(&o->base.lock);
    bool late = awaitable_has_ended(&o->base);
    if (!late) {
        /* acq_rel: as in pirn_awaitable_unref; before the end, and the lock keeps it from being
         * freed */
        last = atomic_fetch_sub_explicit(&o->base.refs, 1, memory_order_acq_rel) == 1;
        end(o, status, value, drop, &wakeups);
    }
    lock_drop(&o->base.lock);
    pirn_wakeups_run(&wakeups);
    if (last)
        dispose(o);
    return late ? -EALREADY : 0;
}

bool pirn_object_let_go(struct object *o)
{
    uint32_t refs = atomic_load_explicit(&o->base.refs, memory_order_relaxed);
    do {
        if (refs == 2 && o->ops->alone != NULL && !awaitable_has_ended(&o->base)) {
            o->ops->alone(o);
            refs = atomic_load_explicit(&o->base.refs, memory_order_relaxed);
        }
        /* acq_rel: everybody's last use comes before the free */
    } while (!atomic_compare_exchange_weak_explicit(&o->base.refs, &refs, refs - 1,
                                                    memory_order_acq_rel, memory_order_relaxed));
    return refs == 1;
}

void pirn_awaitable_unref(struct pirn_awaitable *a)
{
    if (a->kind == PIRN_KIND_TASK)
        pirn_task_unref(task_of(a));
    else if (pirn_object_let_go(object_of(a)))
        dispose(object_of(a));
}

int pirn_awaitable_cancel(struct pirn_awaitable *a, const char *reason)
{
    if (a->kind == PIRN_KIND_TASK)
        return pirn_wait_cancel(task_of(a), reason);
    struct object *o = object_of(a);
    if (awaitable_has_ended(a))
        return awaitable_is_dead(a) ? pirn_misuse_dead("pirn_cancel", a) : -EALREADY;
    if (!o->ops->stays) /* a future sets it as it ends */
        atomic_store_explicit(&o->reason, reason, memory_order_relaxed);
    return o->ops->cancel(o, reason);
}

void *pirn_awaitable_value(const struct pirn_awaitable *a)
{
    if (!awaitable_has_ended(a))
        return NULL;
    if (a->kind != PIRN_KIND_TASK)
        return object_of((struct pirn_awaitable *)a)->value;
    struct task_extra *e = task_extra(task_of((struct pirn_awaitable *)a));
    return e != NULL ? e->value : NULL;
}

bool pirn_awaitable_link(struct pirn_awaitable *a, struct waiter *waiter)
{
    /* acq_rel: pairs with the end's compare-and-swap; see the head of task.c */
    if (a->kind == PIRN_KIND_TASK)
        atomic_fetch_or_explicit(&a->refs, AWAITABLE_JOINED, memory_order_acq_rel);
    if (!awaitable_has_ended(a)) {
        waiter->linked = true;
        pirn_waiter_append(waiter, &a->joiners);
        return true;
    }
    if (a->kind == PIRN_KIND_TASK && a->joiners == NULL)
        atomic_fetch_and_explicit(&a->refs, ~AWAITABLE_JOINED, memory_order_relaxed);
    return false;
}

bool pirn_awaitable_is_awaited(const struct pirn_awaitable *a)
{
    const struct waiter *w = a->joiners;
    if (w == NULL)
        return false;
    do {
        if (!w->observes)
            return true;
        w = w->next;
    } while (w != a->joiners);
    return false;
}
