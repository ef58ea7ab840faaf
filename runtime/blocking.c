/*
 * pirn_blocking: calls that would block a worker, on a crew of the runtime's own that never submits
 * I/O. It ends with the runtime; its jobs have ended by then, for their callers wait for them.
 */
#include <errno.h>
#include <pirn.h>

#include "runtime/debug.h"
#include "runtime/job.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"

enum {
    DEFAULT_THREADS = 64
};

int pirn_blocking_init(struct pirn_runtime *rt)
{
    unsigned limit =
        rt->config.max_blocking != 0 ? (unsigned)rt->config.max_blocking : DEFAULT_THREADS;
    return pirn_crew_new(&rt->blocking, limit, "pirn-blocking");
}

void pirn_blocking_stop(struct pirn_runtime *rt)
{
    pirn_crew_stop(rt->blocking);
    while (pirn_crew_wait(rt->blocking, INT64_MAX) != 0)
        pirn_wait_give_way();
}

void pirn_blocking_destroy(struct pirn_runtime *rt)
{
    pirn_crew_unref(rt->blocking);
}

int pirn_blocking(pirn_fn fn, void *arg, int *ret_status, pirn_time deadline)
{
    struct pirn_task *t = pirn_current_task();
    if (fn == NULL)
        return pirn_misuse(__func__, -EINVAL, "fn is NULL");
    if (t == NULL)
        return pirn_misuse(__func__, -EPERM,
                           "there is no coroutine here: a plain thread may just call fn");
    return pirn_job_call(t->rt->blocking, fn, arg, ret_status, deadline.ns);
}
