/*
 * pirn_parallel_for: a scope with a child for each worker. They take the range in chunks, large
 * ones of a large range, and give way after each.
 */
#include <errno.h>
#include <pirn.h>

#include "runtime/debug.h"
#include "runtime/runtime.h"
#include "runtime/self.h"

struct loop {
    _Atomic size_t next;
    size_t end, grain;
    int (*fn)(size_t i, void *arg);
    void *arg;
    _Atomic int failed;
};

static int run_chunks(void *arg)
{
    struct loop *l = arg;
    struct pirn_task *me = pirn_current_task();
    int rc = 0;
    while (rc == 0 && atomic_load_explicit(&l->failed, memory_order_relaxed) == 0) {
        size_t i = atomic_load_explicit(&l->next, memory_order_relaxed), to;
        do {
            if (i >= l->end)
                return 0;
            to = l->end - i < l->grain ? l->end : i + l->grain;
        } while (!atomic_compare_exchange_weak_explicit(&l->next, &i, to, memory_order_relaxed,
                                                        memory_order_relaxed));
        for (; i < to && rc >= 0; i++)
            rc = task_clean_up(me, l->fn(i, l->arg)); /* the next call is another's */
        rc = rc < 0 ? rc : pirn_yield();
    }
    if (rc < 0)
        atomic_store_explicit(&l->failed, 1, memory_order_relaxed);
    return rc;
}

int pirn_parallel_for(size_t begin, size_t end, int (*fn)(size_t i, void *arg), void *arg)
{
    enum {
        CHUNKS_PER_WORKER = 16,
        GRAIN_MAX = 4096
    };
    struct pirn_task *t = pirn_current_task();
    pirn_scope *scope;
    if (fn == NULL || begin > end)
        return pirn_misuse(__func__, -EINVAL, fn == NULL ? MISUSE_NULL : "begin > end");
    if (t == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
    size_t count = end - begin, workers = t->rt->worker_count;
    size_t grain = count / (workers * CHUNKS_PER_WORKER);
    struct loop loop = {.end = end, .fn = fn, .arg = arg};
    atomic_init(&loop.next, begin);
    loop.grain = grain < 1 ? 1 : grain > GRAIN_MAX ? GRAIN_MAX : grain;
    int rc = pirn_scope_open(&scope, 0);
    if (rc != 0)
        return rc;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.flags = PIRN_OFF_STRAND; /* side by side is what they are for */
    for (size_t i = 0; i < workers && i < count && rc == 0; i++)
        rc = pirn_scope_spawn_with(scope, &config, run_chunks, &loop, PIRN_NEVER);
    if (rc != 0)
        pirn_scope_cancel(scope, rc == -ECANCELED ? pirn_cancel_reason() : "a spawn failed");
    int closed = pirn_scope_close(scope, PIRN_NEVER);
    if (closed == 0 && rc == 0 && atomic_load_explicit(&loop.failed, memory_order_relaxed) != 0)
        return -ECANCELED;            /* no failure to a scope, but not all have been called */
    return closed != 0 ? closed : rc; /* a spawn refused because a chunk failed: that failure */
}
