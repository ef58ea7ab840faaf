/*
 * Futures: a value set once, by anyone, for any number of waiters. All of it is the object of
 * runtime/awaitable.h.
 */
#include <errno.h>
#include <pirn.h>
#include <stdlib.h>

#include "runtime/awaitable.h"
#include "runtime/debug.h"

static int cancel(struct object *o, const char *reason)
{
    return pirn_object_settle_cancelled(o, reason);
}

static void free_future(struct object *o)
{
    if (pirn_debug_is_on())
        pirn_debug_bury(o);
    else
        free(o);
}

int pirn_future_new(pirn_future **ret_future)
{
    static const struct object_ops ops = {cancel, free_future, NULL, true, NULL};
    if (ret_future == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    struct object *o = malloc(sizeof(*o));
    if (o == NULL)
        return -ENOMEM;
    pirn_object_init(o, PIRN_KIND_FUTURE, &ops);
    *ret_future = &o->base;
    return 0;
}

static int set(const char *call, pirn_future *future, int status, void *value,
               void (*drop)(void *value))
{
    if (future == NULL)
        return pirn_misuse(call, -EINVAL, MISUSE_NULL);
    if (status == -EINPROGRESS)
        return pirn_misuse(call, -EINVAL, "-EINPROGRESS is the status of what is not set");
    if (awaitable_is_dead(future))
        return pirn_misuse_dead(call, future);
    if (future->kind != PIRN_KIND_FUTURE)
        return pirn_misuse(call, -EPERM, "it is no future, but something that ends by itself");
    return pirn_object_settle(object_of(future), status, value, drop);
}

int pirn_future_set_owned(pirn_future *future, int status, void *value, void (*drop)(void *value))
{
    return set(__func__, future, status, value, drop);
}

int pirn_future_set(pirn_future *future, int status, void *value)
{
    return set(__func__, future, status, value, NULL);
}

int pirn_future_await(pirn_future *future, int *ret_status, void **ret_value, pirn_time deadline)
{
    if (future == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = pirn_await(future, ret_status, deadline);
    if (rc == 0 && ret_value != NULL)
        *ret_value = pirn_value(future);
    return rc;
}

pirn_runtime *pirn_future_runtime(const pirn_future *future)
{
    bool knows = future != NULL && future->kind != PIRN_KIND_TASK && !awaitable_is_dead(future);
    return knows ? object_of((pirn_future *)future)->home : NULL;
}
