/*
 * Awaitables as cases of select: all that select knows of them.
 *
 * What has ended stays so. Hence they need not be locked together with the channels, and who ends
 * one only claims a plain waiter and knows nothing of parties. Select looks on, as a done callback
 * does: a select that is cancelled passes no cancel on, and one that waits is not counted among the
 * awaiters.
 */
#include "api/channel/select.h"
#include "runtime/awaitable.h"
#include "runtime/debug.h"
#include "runtime/task.h"

bool pirn_case_is_dead(const pirn_case *c)
{
    struct pirn_awaitable *a = c->object;
    if (a == NULL || !awaitable_is_dead(a))
        return false;
    pirn_misuse_dead("pirn_select", a);
    return true;
}

bool pirn_case_has_come(pirn_case *c)
{
    struct pirn_awaitable *a = c->object;
    if (!awaitable_has_ended(a))
        return false;
    /* relaxed, both: written before ended, and a mark */
    c->result = atomic_load_explicit(&a->status, memory_order_relaxed);
    atomic_store_explicit(&a->seen, 1, memory_order_relaxed);
    if (c->item != NULL)
        *(void **)c->item = pirn_awaitable_value(a);
    return true;
}

bool pirn_case_link(pirn_case *c, const struct wait *w)
{
    struct pirn_awaitable *a = c->object;
    struct waiter *waiter = &chance_of(c)->party.waiter;
    pirn_task_begin_awaited(a);
    waiter->cell = w->cell;
    waiter->gen = w->gen;
    waiter->observes = true;
    lock_take(&a->lock);
    bool linked = pirn_awaitable_link(a, waiter);
    lock_drop(&a->lock);
    return linked;
}

void pirn_case_unlink(pirn_case *c)
{
    struct pirn_awaitable *a = c->object;
    lock_take(&a->lock);
    pirn_waiter_unlink(&a->joiners, &chance_of(c)->party.waiter);
    lock_drop(&a->lock);
}

pirn_case pirn_case_await(pirn_awaitable *awaitable, void **ret_value)
{
    return (pirn_case){.kind = CASE_AWAIT, .object = awaitable, .item = ret_value};
}
