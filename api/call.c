/*
 * Tasks that do not begin when they are made: coroutine objects, and calls to be made soon or
 * later.
 */
#include <errno.h>
#include <pirn.h>

#include "runtime/debug.h"
#include "runtime/task.h"

static int prepare(const char *call, pirn_task **ret_task, const pirn_spawn_config *config,
                   pirn_fn fn, void *arg, uint8_t flags, void *site)
{
    struct spawn_how how = {.call = call, .flags = flags};
    if (config != NULL && (config->flags & PIRN_PINNED) != 0)
        return pirn_misuse(call, -EINVAL, "a coroutine that begins later cannot be pinned");
    return pirn_task_spawn(ret_task, config, fn, arg, &how, site);
}

int pirn_coroutine_new(pirn_task **ret_task, const pirn_spawn_config *config, pirn_fn fn, void *arg)
{
    if (ret_task == NULL)
        return pirn_misuse(__func__, -EINVAL, "ret_task is NULL: nobody could begin it");
    int rc =
        prepare(__func__, ret_task, config, fn, arg, TASK_PREPARED, __builtin_return_address(0));
    if (rc == 0)
        pirn_task_prepare_at(task_of(*ret_task), INT64_MAX);
    else if (rc == -ESHUTDOWN && config != NULL && config->arg_drop != NULL)
        config->arg_drop(arg); /* as pirn_spawn_with does it */
    return rc;
}

int pirn_start(pirn_task *task)
{
    struct pirn_task *t = task_of(task);
    if (task != NULL && awaitable_is_dead(task))
        return pirn_misuse_dead("pirn_start", task);
    if (t == NULL || (t->flags & TASK_TIMED) != 0)
        return pirn_misuse(__func__, -EINVAL,
                           t == NULL ? "it is no task" : "pirn_call_at's begins at its time");
    return pirn_task_launch(t) ? 0 : -EALREADY;
}

int pirn_call_soon(pirn_runtime *runtime, pirn_task **ret_handle, pirn_fn fn, void *arg)
{
    static const struct spawn_how how = {.call = "pirn_call_soon"};
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.runtime = runtime;
    return pirn_task_spawn(ret_handle, &config, fn, arg, &how, __builtin_return_address(0));
}

int pirn_call_at(pirn_runtime *runtime, pirn_task **ret_handle, pirn_fn fn, void *arg,
                 pirn_time when)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    config.runtime = runtime;
    int rc = prepare(__func__, &task, &config, fn, arg, TASK_PREPARED | TASK_TIMED,
                     __builtin_return_address(0));
    if (rc != 0)
        return rc;
    pirn_task *before = ret_handle != NULL ? *ret_handle : NULL;
    if (ret_handle != NULL)
        *ret_handle = task; /* fn may look for it from here on */
    rc = pirn_task_prepare_at(task_of(task), when.ns);
    if (rc != 0 && ret_handle != NULL)
        *ret_handle = before;
    if (rc != 0)
        pirn_task_discard(task_of(task));
    else if (ret_handle == NULL)
        pirn_detach(task);
    return rc;
}
