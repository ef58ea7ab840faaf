/*
 * Cleanups as programs register them; what runs them is runtime/cleanup.c.
 *
 * A mark is how many the task had registered when it was made, so marks nest like blocks, and
 * ending an outer one also ends those inside it that were left open.
 */
#include <errno.h>
#include <pirn.h>

#include "runtime/debug.h"
#include "runtime/self.h"
#include "runtime/task.h"

int pirn_defer(pirn_cleanup_fn fn, void *arg)
{
    struct pirn_task *t = pirn_current_task();
    if (fn == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    return t != NULL ? pirn_task_defer(t, fn, arg)
                     : pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
}

int pirn_undefer(pirn_cleanup_fn fn, void *arg)
{
    struct pirn_task *t = pirn_current_task();
    return t != NULL ? pirn_task_undefer(t, fn, arg)
                     : pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
}

pirn_defer_mark pirn_defer_begin(void)
{
    struct pirn_task *t = pirn_current_task();
    struct task_extra *e = t != NULL ? task_extra(t) : NULL;
    return (pirn_defer_mark){e != NULL ? e->cleanup_count : 0};
}

int pirn_defer_end(pirn_defer_mark mark, int status)
{
    struct pirn_task *t = pirn_current_task();
    if (t != NULL)
        pirn_task_run_cleanups(t, mark.count, status, false);
    return status;
}
