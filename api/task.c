/*
 * Tasks as programs see them: thin over runtime/.
 */
#include <errno.h>
#include <pirn.h>
#include <string.h>

#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/wait.h"
#include "runtime/worker.h"

int pirn_spawn(pirn_task **ret_task, pirn_fn fn, void *arg)
{
    return pirn_task_spawn(ret_task, NULL, fn, arg, NULL, __builtin_return_address(0));
}

int pirn_spawn_with(pirn_task **ret_task, const pirn_spawn_config *config, pirn_fn fn, void *arg)
{
    return pirn_task_spawn(ret_task, config, fn, arg, NULL, __builtin_return_address(0));
}

int pirn_await(pirn_task *task, int *ret_status, pirn_time deadline)
{
    return task != NULL ? pirn_task_await(task, ret_status, deadline.ns) : -EINVAL;
}

int pirn_join(pirn_task *task, int *ret_status, pirn_time deadline)
{
    return task != NULL ? pirn_task_join(task, ret_status, deadline.ns) : -EINVAL;
}

int pirn_detach(pirn_task *task)
{
    if (task == NULL)
        return -EINVAL;
    pirn_task_unref(task);
    return 0;
}

pirn_task *pirn_retain(pirn_task *task)
{
    if (task != NULL)
        atomic_fetch_add_explicit(&task->refs, 1, memory_order_relaxed);
    return task;
}

int pirn_release(pirn_task *task)
{
    if (task == NULL)
        return -EINVAL;
    uint32_t others =
        (task->flags & PIRN_PINNED) != 0 ? 2 : 1; /* the runtime's, and its thread's */
    /* Those and one more are left of a live task: this one. Another holder may give up its own
     * at the same time; then the last of them is told. */
    uint32_t refs = atomic_load_explicit(&task->refs, memory_order_relaxed);
    do {
        if ((refs & ~TASK_JOINED) <= others + 1 && !task_has_ended(task))
            return -EBUSY;
        if (refs == 1)
            break;
    } while (!atomic_compare_exchange_weak_explicit(&task->refs, &refs, refs - 1,
                                                    memory_order_acq_rel, memory_order_relaxed));
    if (refs == 1)
        pirn_task_unref(task);
    return 0;
}

int pirn_cancel(pirn_task *task, const char *reason)
{
    return task != NULL ? pirn_wait_cancel(task, reason) : -EINVAL;
}

pirn_task *pirn_current(void)
{
    return pirn_current_task();
}

const char *pirn_cancel_reason(void)
{
    pirn_task *t = pirn_current();
    return t != NULL ? atomic_load_explicit(&t->cancel_reason, memory_order_relaxed) : NULL;
}

int pirn_shield_enter(void)
{
    pirn_task *t = pirn_current();
    if (t == NULL)
        return -EPERM;
    if (t->shield == UINT16_MAX)
        return -EINVAL;
    t->shield++;
    return 0;
}

int pirn_shield_leave(void)
{
    pirn_task *t = pirn_current();
    if (t == NULL)
        return -EPERM;
    if (t->shield == 0)
        return -EINVAL;
    t->shield--;
    return 0;
}

int pirn_yield(void)
{
    return pirn_worker_yield_current();
}

struct taken {
    pirn_task **tasks;
    size_t room;
    int count;
};

static void take_one(struct pirn_task *t, void *arg)
{
    struct taken *taken = arg;
    if ((size_t)taken->count < taken->room)
        taken->tasks[taken->count] = pirn_retain(t);
    taken->count++;
}

int pirn_tasks(pirn_task **ret_tasks, size_t n)
{
    struct taken taken = {ret_tasks, n, 0};
    pirn_task *t = pirn_current();
    if (t == NULL)
        return -EPERM;
    if (ret_tasks == NULL && n != 0)
        return -EINVAL;
    pirn_task_each(t->rt, take_one, &taken);
    return taken.count;
}

int pirn_status(const pirn_task *task)
{
    if (task == NULL)
        return -EINVAL;
    if (!task_has_ended(task))
        return -EINPROGRESS;
    atomic_store_explicit(&((pirn_task *)task)->seen, 1, memory_order_relaxed);
    return atomic_load_explicit(&task->status, memory_order_relaxed);
}

uint64_t pirn_id(const pirn_task *task)
{
    return task != NULL ? task->id : 0;
}

int pirn_name(const pirn_task *task, char *ret_name, size_t size)
{
    if (task == NULL || ret_name == NULL || size == 0)
        return -EINVAL;
    pirn_task_name((pirn_task *)task, ret_name, size);
    return 0;
}

int pirn_set_name(pirn_task *task, const char *name)
{
    return task != NULL && name != NULL ? pirn_task_set_name(task, name) : -EINVAL;
}

int pirn_set_value(void *value, void (*drop)(void *value))
{
    pirn_task *t = pirn_current();
    if (t == NULL)
        return -EPERM;
    struct task_extra *e = pirn_task_extra(t);
    if (e == NULL)
        return -ENOMEM;
    void (*old_drop)(void *) = e->value_drop;
    void *old = e->value;
    e->value = value;
    e->value_drop = drop;
    if (old_drop != NULL)
        old_drop(old);
    return 0;
}

void *pirn_value(const pirn_task *task)
{
    if (task == NULL || !task_has_ended(task))
        return NULL;
    struct task_extra *e = task_extra(task);
    return e != NULL ? e->value : NULL;
}

int pirn_local_new(pirn_local *ret_key)
{
    static _Atomic unsigned next;
    unsigned index = atomic_load_explicit(&next, memory_order_relaxed);
    if (ret_key == NULL)
        return -EINVAL;
    do {
        if (index == LOCALS_MAX)
            return -EAGAIN;
    } while (!atomic_compare_exchange_weak_explicit(&next, &index, index + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    ret_key->index = index;
    return 0;
}

int pirn_local_set(pirn_local key, void *value)
{
    pirn_task *t = pirn_current();
    if (t == NULL)
        return -EPERM;
    if (key.index >= LOCALS_MAX)
        return -EINVAL;
    struct task_extra *e = pirn_task_extra(t);
    if (e == NULL)
        return -ENOMEM;
    e->locals[key.index] = value;
    e->has_locals = true;
    return 0;
}

void *pirn_local_get(pirn_local key)
{
    pirn_task *t = pirn_current();
    struct task_extra *e = t != NULL ? task_extra(t) : NULL;
    return e != NULL && key.index < LOCALS_MAX ? e->locals[key.index] : NULL;
}
