/* Ending a child process: asked first, killed if it does not. */
#include "api/process/process.h"

#include <errno.h>
#include <signal.h>

#include "runtime/debug.h"

/* The child, and the group that it leads. */
static int tell(pirn_process *p, int signal)
{
    int rc = process_leads_group(p) ? pirn_process_signal_group(p, signal)
                                    : pirn_process_signal(p, signal);
    return rc == -ESRCH ? 0 : rc; /* it has ended: the wait says how */
}

int pirn_process_stop(pirn_process *process, int *ret_status, pirn_time deadline)
{
    if (process == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = tell(process, SIGTERM);
    if (rc != 0)
        return rc;
    rc = pirn_process_wait(process, ret_status, deadline);
    if (rc == 0 || rc == -ECHILD)
        return rc;
    int killed = tell(process, SIGKILL);
    if (killed != 0)
        return killed;
    bool shielded = pirn_shield_enter() == 0; /* not on a plain thread, which has no cancel */
    int ended = pirn_process_wait(process, ret_status, PIRN_NEVER);
    if (shielded)
        pirn_shield_leave();
    return ended == 0 ? rc : ended;
}
