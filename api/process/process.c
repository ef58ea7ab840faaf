/*
 * The handle of a child process; see process.h.
 */
#include "api/process/process.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/transfer.h"
#include "io/sys.h"
#include "runtime/debug.h"
#include "runtime/wait.h"

static int note_end(pirn_process *p, const siginfo_t *info)
{
    p->ended = true;
    p->lost = info == NULL;
    if (!p->lost)
        p->status = info->si_code == CLD_EXITED ? info->si_status : -info->si_status;
    return p->lost ? -ECHILD : 0;
}

int pirn_process_look(pirn_process *p)
{
    siginfo_t info;
    if (p->ended)
        return p->lost ? -ECHILD : 0;
    memset(&info, 0, sizeof(info));
    int rc = sys_waitid(P_PIDFD, (id_t)p->pidfd, &info,
                        WEXITED | WNOHANG | (process_leads_group(p) ? WNOWAIT : 0));
    if (rc == -ECHILD)
        return note_end(p, NULL);
    if (rc != 0)
        return rc;
    return info.si_pid != 0 ? note_end(p, &info) : -EINPROGRESS;
}

static int look(pirn_process *p, int *ret_status)
{
    pthread_mutex_lock(&p->lock);
    int rc = pirn_process_look(p);
    if (rc == 0 && ret_status != NULL)
        *ret_status = p->status;
    pthread_mutex_unlock(&p->lock);
    return rc;
}

/* -EINVAL, -ESHUTDOWN: not a handle of this process's child. */
static int check(const char *call, const pirn_process *p)
{
    if (p == NULL)
        return pirn_misuse(call, -EINVAL, MISUSE_NULL);
    return p->owner == getpid() ? 0 : -ESHUTDOWN;
}

pid_t pirn_process_pid(const pirn_process *process)
{
    return process != NULL ? process->pid : pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
}

pirn_stream *pirn_process_in(const pirn_process *process)
{
    return process != NULL ? process->streams[0] : NULL;
}

pirn_stream *pirn_process_out(const pirn_process *process)
{
    return process != NULL ? process->streams[1] : NULL;
}

pirn_stream *pirn_process_err(const pirn_process *process)
{
    return process != NULL ? process->streams[2] : NULL;
}

int pirn_process_status(pirn_process *process, int *ret_status)
{
    int rc = check(__func__, process);
    return rc == 0 ? look(process, ret_status) : rc;
}

int pirn_process_wait(pirn_process *process, int *ret_status, pirn_time deadline)
{
    struct wait w;
    int rc = check(__func__, process);
    if (rc == 0)
        rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    for (;;) {
        rc = look(process, ret_status);
        if (rc != -EINPROGRESS)
            return rc;
        rc = pirn_poll(process->pidfd, POLLIN, deadline);
        if (rc < 0)
            return rc;
        rc = look(process, ret_status);
        if (rc != -EINPROGRESS)
            return rc;
        /* It has ended, but a debugger that traces it is told first. */
        if (is_past(deadline))
            return -ETIMEDOUT;
        rc = pirn_sleep(pirn_after_ms(1));
        if (rc != 0)
            return rc;
    }
}

/* ---- Signals ------------------------------------------------------------------------------- */

static int send_signal(pirn_process *p, int signal)
{
    pthread_mutex_lock(&p->lock);
    int rc = pirn_process_look(p);
    if (rc == 0 || rc == -ECHILD)
        rc = -ESRCH;
    else
        rc = sys_pidfd_send_signal(p->pidfd, signal);
    pthread_mutex_unlock(&p->lock);
    return rc;
}

/* The leader, alive or a zombie, keeps the group's number from others. */
static int send_to_group(pirn_process *p, int signal)
{
    siginfo_t info;
    pthread_mutex_lock(&p->lock);
    int rc = sys_waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG | WNOWAIT);
    rc = rc == 0 ? sys_kill(-p->pid, signal) : -ESRCH; /* somebody else has reaped it */
    pthread_mutex_unlock(&p->lock);
    return rc;
}

static int signal_child(const char *call, pirn_process *process, int signal)
{
    int rc = check(call, process);
    return rc == 0 ? send_signal(process, signal) : rc;
}

int pirn_process_signal(pirn_process *process, int signal)
{
    return signal_child(__func__, process, signal);
}

int pirn_process_signal_group(pirn_process *process, int signal)
{
    int rc = check(__func__, process);
    if (rc == 0 && !process_leads_group(process))
        rc = pirn_misuse(__func__, -EINVAL, "the child leads no group");
    return rc == 0 ? send_to_group(process, signal) : rc;
}

int pirn_process_terminate(pirn_process *process)
{
    return signal_child(__func__, process, SIGTERM);
}

int pirn_process_kill(pirn_process *process)
{
    return signal_child(__func__, process, SIGKILL);
}

/* ---- References ---------------------------------------------------------------------------- */

pirn_process *pirn_process_retain(pirn_process *process)
{
    if (process != NULL)
        atomic_fetch_add_explicit(&process->refs, 1, memory_order_relaxed);
    return process;
}

void pirn_process_free(pirn_process *p)
{
    siginfo_t info;
    if (p->owner == getpid() && p->ended && process_leads_group(p))
        sys_waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG); /* nobody needs its number */
    if (p->pidfd >= 0)
        sys_close(p->pidfd);
    free(p->talk.got[0].data);
    free(p->talk.got[1].data);
    if (p->owner == getpid()) /* else somebody may have held it at the fork */
        pthread_mutex_destroy(&p->lock);
    free(p);
}

/* The pipes are not kept until it has been reaped. */
static void drop_pipes(pirn_process *p, bool forked)
{
    for (int i = 0; i < 3; i++) {
        if (p->pipes[i] >= 0)
            sys_close(p->pipes[i]);
        if (p->streams[i] == NULL)
            continue;
        if (!forked)
            pirn_stream_release(p->streams[i]);
        else if (pirn_stream_fd(p->streams[i]) >= 0) /* its locks may be held for ever */
            sys_close(pirn_stream_fd(p->streams[i]));
    }
}

void pirn_process_release(pirn_process *process)
{
    /* acq_rel: everybody's last use comes before the end */
    if (process == NULL || atomic_fetch_sub_explicit(&process->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (process->owner != getpid()) {
        drop_pipes(process, true);
        pirn_process_free(process);
        return;
    }
    if ((process->flags & PIRN_PROCESS_LEAVE) == 0 && look(process, NULL) == -EINPROGRESS) {
        if (process_leads_group(process))
            send_to_group(process, SIGKILL);
        else
            send_signal(process, SIGKILL);
    }
    drop_pipes(process, false);
    pirn_orphan_adopt(process);
}
