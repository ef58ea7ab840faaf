/*
 * Tasks as programs see them: thin over runtime/.
 */
#include <errno.h>
#include <pirn.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/debug.h"
#include "runtime/job.h"
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
    int rc = pirn_task_spawn(ret_task, config, fn, arg, NULL, __builtin_return_address(0));
    if (rc == -ESHUTDOWN && config != NULL && config->arg_drop != NULL)
        config->arg_drop(arg);
    return rc;
}

pirn_task *pirn_current(void)
{
    struct pirn_task *t = pirn_current_task();
    return t != NULL ? &t->base : NULL;
}

const char *pirn_cancel_reason(void)
{
    struct pirn_task *t = pirn_current_task();
    return t != NULL ? atomic_load_explicit(&t->cancel_reason, memory_order_relaxed) : NULL;
}

int pirn_shield_enter(void)
{
    struct pirn_task *t = pirn_current_task();
    if (t == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
    return cell_depth(cell_load(&t->cell)) < SHIELDS_MAX
               ? pirn_task_shield(t)
               : pirn_misuse(__func__, -EINVAL, "255 shields are entered and not left");
}

int pirn_shield_leave(void)
{
    struct pirn_task *t = pirn_current_task();
    if (t == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
    return pirn_task_unshield(t) == 0
               ? 0
               : pirn_misuse(__func__, -EINVAL, "no shield is entered, or no more");
}

/* A handle's task, for a call; NULL: another kind's, or none, which has been told of. */
static struct pirn_task *task_for(const char *call, const pirn_task *task)
{
    struct pirn_task *t = task_of((pirn_task *)task);
    if (task != NULL && awaitable_is_dead(task))
        pirn_misuse_dead(call, task);
    else if (t == NULL)
        pirn_misuse_tell(call, -EINVAL, "it is no task");
    return t;
}

int pirn_cancelling(const pirn_task *task)
{
    struct pirn_task *t = task != NULL ? task_for("pirn_cancelling", task) : pirn_current_task();
    if (t == NULL)
        return task != NULL ? -EINVAL : pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
    lock_take(&t->base.lock);
    int cancels = t->cell.cancels;
    lock_drop(&t->base.lock);
    return cancels;
}

int pirn_uncancel(void)
{
    struct pirn_task *t = pirn_current_task();
    return t != NULL ? pirn_task_uncancel(t) : pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
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
    if ((t->flags & TASK_CALLBACKS) != 0 && !task_has_started(t))
        return; /* no task of the program's */
    if ((size_t)taken->count < taken->room)
        taken->tasks[taken->count] = pirn_retain(&t->base);
    taken->count++;
}

int pirn_tasks(pirn_task **ret_tasks, size_t n)
{
    struct taken taken = {ret_tasks, n, 0};
    struct pirn_task *t = pirn_current_task();
    if (t == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
    if (ret_tasks == NULL && n != 0)
        return pirn_misuse(__func__, -EINVAL, "ret_tasks is NULL, and n is not 0");
    pirn_task_each(t->rt, take_one, &taken);
    return taken.count;
}

uint64_t pirn_id(const pirn_task *task)
{
    struct pirn_task *t = task_for("pirn_id", task);
    return t != NULL ? t->id : 0;
}

int pirn_name(const pirn_task *task, char *ret_name, size_t size)
{
    struct pirn_task *t = task_for("pirn_name", task);
    if (t == NULL)
        return -EINVAL;
    if (ret_name == NULL || size == 0)
        return pirn_misuse(__func__, -EINVAL, "there is no room for a name");
    pirn_task_name(t, ret_name, size);
    return 0;
}

int pirn_set_name(pirn_task *task, const char *name)
{
    struct pirn_task *t = task_for("pirn_set_name", task);
    if (t == NULL)
        return -EINVAL;
    return name != NULL ? pirn_task_set_name(t, name) : pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
}

int pirn_set_value(void *value, void (*drop)(void *value))
{
    struct pirn_task *t = pirn_current_task();
    if (t == NULL)
        return pirn_job_set_value(value, drop);
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

int pirn_local_new(pirn_local *ret_key)
{
    static _Atomic unsigned next;
    unsigned index = atomic_load_explicit(&next, memory_order_relaxed);
    if (ret_key == NULL)
        return pirn_misuse(__func__, -EINVAL, "ret_key is NULL");
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
    struct pirn_task *t = pirn_current_task();
    if (key.index >= LOCALS_MAX)
        return pirn_misuse(__func__, -EINVAL, "pirn_local_new has made no such key");
    if (t == NULL)
        return pirn_job_set_local(key.index, value);
    struct task_extra *e = pirn_task_extra(t);
    if (e != NULL && e->locals == NULL)
        e->locals = calloc(LOCALS_MAX, sizeof(*e->locals));
    if (e == NULL || e->locals == NULL)
        return -ENOMEM;
    e->locals[key.index] = value;
    return 0;
}

void *pirn_local_get(pirn_local key)
{
    struct pirn_task *t = pirn_current_task();
    struct task_extra *e = t != NULL ? task_extra(t) : NULL;
    void **locals = e != NULL ? e->locals : t == NULL ? pirn_job_locals() : NULL;
    return locals != NULL && key.index < LOCALS_MAX ? locals[key.index] : NULL;
}
