/*
 * wait_for: an await that takes what it waits for along when it ends early.
 */
#include <errno.h>
#include <pirn.h>

#include "io/clock.h"
#include "runtime/awaitable.h"
#include "runtime/debug.h"
#include "runtime/task.h"
#include "runtime/wait.h"

/* Waits for the end, whatever happens: what the awaitable does may use the caller's frame. If
 * waiting fails (in a shutdown past its grace) it lets others run. */
static int outlast(pirn_awaitable *a, int *ret_status)
{
    struct pirn_task *me = pirn_current_task();
    bool shields =
        me != NULL && pirn_task_shield(me) == 0; /* if not, it is inside all there can be */
    int rc;
    while ((rc = pirn_awaitable_await(a, ret_status, INT64_MAX, false)) != 0)
        if (me == NULL || awaitable_has_ended(a))
            break;
        else
            pirn_wait_give_way();
    if (shields)
        pirn_task_unshield(me);
    return rc;
}

/* 0, or why it waits no more; what it waits for has been told nothing yet, or has ended, or, if the
 * caller was cancelled before the deadline, was cancelled with it. */
static int try_await(pirn_awaitable *a, int *ret_status, int64_t deadline)
{
    struct wait w;
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    if (!awaitable_has_ended(a) && deadline <= clock_now())
        return -ETIMEDOUT; /* and what has not begun never will */
    pirn_task_begin_awaited(a);
    return pirn_awaitable_await_entered(&w, a, ret_status, deadline, false);
}

int pirn_wait_for(pirn_awaitable *awaitable, int *ret_status, pirn_time deadline)
{
    int status = 0, rc;
    if (awaitable == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (awaitable == pirn_current())
        return pirn_misuse(__func__, -EDEADLK, "a task waits for its own end");
    if (awaitable_is_dead(awaitable))
        return pirn_misuse_dead("pirn_wait_for", awaitable);
    if (awaitable_has_ended(awaitable)) /* a place to be cancelled or not, as pirn_await has it */
        rc = pirn_awaitable_await(awaitable, &status, deadline.ns, false);
    else
        rc = try_await(awaitable, &status, deadline.ns);
    if (rc == -ETIMEDOUT || rc == -ECANCELED || rc == -ESHUTDOWN) {
        int why = rc;
        pirn_awaitable_cancel(awaitable, why == -ETIMEDOUT ? "timeout" : pirn_cancel_reason());
        rc = outlast(awaitable, &status);
        if (rc == 0 && (status == -ECANCELED || why != -ETIMEDOUT))
            rc = why;
    }
    if (rc == 0 && ret_status != NULL)
        *ret_status = status;
    return rc;
}
