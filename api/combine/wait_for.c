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

/* Waits for the end, whatever happens; only shutdown past its grace gives up. */
static int outlast(pirn_awaitable *a, int *ret_status)
{
    struct pirn_task *me = pirn_current_task();
    if (me != NULL && pirn_task_shield(me) != 0)
        return -EINVAL;
    int rc = pirn_awaitable_await(a, ret_status, INT64_MAX, false);
    if (me != NULL)
        pirn_task_unshield(me);
    return rc;
}

int pirn_wait_for(pirn_awaitable *awaitable, int *ret_status, pirn_time deadline)
{
    int status = 0, rc;
    if (awaitable == NULL)
        return -EINVAL;
    if (awaitable == pirn_current())
        return pirn_misuse("pirn_wait_for", -EDEADLK);
    if (!awaitable_has_ended(awaitable) && deadline.ns <= clock_now())
        rc = -ETIMEDOUT; /* and what has not begun never will */
    else
        rc = pirn_awaitable_await(awaitable, &status, deadline.ns, false);
    if (rc == -ETIMEDOUT || rc == -ECANCELED) {
        int why = rc;
        pirn_awaitable_cancel(awaitable, why == -ETIMEDOUT ? "timeout" : pirn_cancel_reason());
        rc = outlast(awaitable, &status);
        if (rc == 0 && (status == -ECANCELED || why == -ECANCELED))
            rc = why;
    }
    if (rc == 0 && ret_status != NULL)
        *ret_status = status;
    return rc;
}
