/*
 * The runtime as an object: who may do what to it, and when. What happens then is
 * runtime/runtime.c's and runtime/pause.c's.
 *
 * One word, rt->use, decides: NONE -> RUN -> NONE by who runs it, NONE -> CLOSE -> CLOSED (or
 * STUCK) by who closes it, each by compare-and-swap, so that of two exactly one gets in.
 */
#include <errno.h>
#include <pirn.h>
#include <unistd.h>

#include "runtime/debug.h"
#include "runtime/runtime.h"
#include "runtime/self.h"

#define IN_COROUTINE "a coroutine cannot wait for a runtime: a plain thread does it"

static bool in_coroutine(void)
{
    struct self *self = pirn_self();
    return self->worker != NULL || self->pinned != NULL;
}

int pirn_on_worker(void)
{
    return in_coroutine();
}

int pirn_runtime_new(pirn_runtime **ret_runtime, const pirn_config *config)
{
    struct pirn_runtime *rt;
    if (ret_runtime == NULL)
        return pirn_misuse(__func__, -EINVAL, "ret_runtime is NULL");
    int rc = pirn_runtime_start(__func__, &rt, config);
    if (rc != 0)
        return rc;
    pirn_wait_for_rest(rt);
    *ret_runtime = rt;
    return 0;
}

/* Why a runtime used like that cannot be run or closed now. */
static int refusal(enum use use)
{
    switch (use) {
    case USE_NONE:
        break;
    case USE_RUN:
    case USE_CLOSE:
        return -EBUSY;
    case USE_CLOSED:
    case USE_STUCK:
        return -ESHUTDOWN;
    }
    return 0;
}

/* NONE -> use, or why not. */
static int enter(const char *call, struct pirn_runtime *rt, enum use use)
{
    uint32_t was = USE_NONE;
    if (rt->pid != getpid())
        return -ESHUTDOWN;
    if (in_coroutine()) {
        int rc = refusal(rt_use(rt));
        if (rc == -ESHUTDOWN || use == USE_CLOSE)
            return rc;
        return pirn_misuse(call, -EDEADLK, IN_COROUTINE);
    }
    /* acquire: pairs with the release in leave; on failure with that in pirn_runtime_end */
    if (atomic_compare_exchange_strong_explicit(&rt->use, &was, (uint32_t)use, memory_order_acquire,
                                                memory_order_acquire))
        return 0;
    return refusal((enum use)was);
}

static void leave(struct pirn_runtime *rt)
{
    /* release: pairs with the acquire in enter */
    atomic_store_explicit(&rt->use, USE_NONE, memory_order_release);
}

static int run_fn(const char *call, pirn_runtime *runtime, const pirn_spawn_config *config,
                  pirn_fn fn, void *arg, int *ret_status, void *site)
{
    if (runtime == NULL || fn == NULL)
        return pirn_misuse(call, -EINVAL, MISUSE_NULL);
    if (config != NULL && config->size != sizeof(*config))
        return pirn_misuse(call, -EINVAL, misuse_of_config(config->size, sizeof(*config), ""));
    int rc = enter(call, runtime, USE_RUN);
    if (rc == -ESHUTDOWN && config != NULL && config->arg_drop != NULL)
        config->arg_drop(arg);
    if (rc != 0)
        return rc;
    rc = pirn_runtime_run_fn(runtime, config, fn, arg, true, ret_status, site);
    leave(runtime);
    return rc;
}

int pirn_runtime_run_until_complete_with(pirn_runtime *runtime, const pirn_spawn_config *config,
                                         pirn_fn fn, void *arg, int *ret_status)
{
    return run_fn(__func__, runtime, config, fn, arg, ret_status, __builtin_return_address(0));
}

int pirn_runtime_run_until_complete(pirn_runtime *runtime, pirn_fn fn, void *arg, int *ret_status)
{
    return run_fn(__func__, runtime, NULL, fn, arg, ret_status, __builtin_return_address(0));
}

static int run(const char *call, struct pirn_runtime *rt, pirn_awaitable *a, int *ret_status)
{
    int rc = enter(call, rt, USE_RUN);
    if (rc != 0)
        return rc;
    rc = pirn_runtime_run(rt, a, true, ret_status);
    leave(rt);
    return rc;
}

int pirn_runtime_run_until_done(pirn_runtime *runtime, pirn_awaitable *awaitable, int *ret_status)
{
    return runtime != NULL && awaitable != NULL ? run(__func__, runtime, awaitable, ret_status)
                                                : pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
}

int pirn_runtime_run_forever(pirn_runtime *runtime)
{
    return runtime != NULL ? run(__func__, runtime, NULL, NULL)
                           : pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
}

int pirn_runtime_stop(pirn_runtime *runtime)
{
    if (runtime == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (runtime->pid != getpid() || pirn_runtime_is_closed(runtime))
        return -ESHUTDOWN;
    pirn_runtime_ask_stop(runtime);
    return 0;
}

int pirn_runtime_close(pirn_runtime *runtime)
{
    if (runtime == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = enter(__func__, runtime, USE_CLOSE);
    if (rc == -ESHUTDOWN && runtime->pid == getpid())
        return rt_use(runtime) == USE_CLOSED ? 0 : -EBUSY;
    if (rc == 0 && in_coroutine())
        return pirn_misuse(__func__, -EDEADLK, IN_COROUTINE);
    if (rc != 0)
        return rc;
    if (!pirn_runtime_end(runtime))
        return -EBUSY;
    pirn_runtime_shrink(runtime);
    return 0;
}

int pirn_runtime_free(pirn_runtime *runtime)
{
    int rc = runtime != NULL ? pirn_runtime_close(runtime) : 0;
    if (rc == 0 && runtime != NULL)
        pirn_runtime_retire(runtime);
    return rc;
}

int pirn_runtime_is_running(const pirn_runtime *runtime)
{
    return runtime != NULL && rt_use(runtime) == USE_RUN && runtime->pid == getpid();
}

int pirn_runtime_is_closed(const pirn_runtime *runtime)
{
    return runtime == NULL || rt_use(runtime) >= USE_CLOSE || runtime->pid != getpid();
}
