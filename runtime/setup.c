/*
 * What a worker is before it runs anything: its parts, and what its thread asks of the kernel.
 */
#include <string.h>
#include <sys/prctl.h>

#include "io/sys.h"
#include "runtime/runtime.h"
#include "runtime/task_pool.h"
#include "runtime/timer.h"
#include "runtime/wait.h"
#include "runtime/worker.h"

int pirn_worker_init(struct worker *w, struct pirn_runtime *rt, unsigned index, enum role role)
{
    bool primary = role == ROLE_PRIMARY;
    memset(w, 0, sizeof(*w));
    w->rt = rt;
    w->index = index;
    w->random = index * 2654435761u + 1;
    w->stride = 1;
    w->free_tasks_max = pirn_task_cached_max(rt);
    w->monitor_pass = w->monitor_told = UINT64_MAX;
    atomic_init(&w->monitor_tick, UINT64_MAX);
    atomic_init(&w->role, (uint32_t)role);
    atomic_init(&w->attention, rt->debug ? ATTENTION_DEBUG : 0);
    pirn_runq_init(&w->q);
    /* A spare's ring is small: rings count against RLIMIT_MEMLOCK, per user. And the monitor has no
     * time to wait for one: it tries again at its next look. */
    return pirn_port_init(&w->port, &rt->mem, primary ? 256 : 32, primary ? 4096 : 256, primary,
                          pirn_wait_expire, pirn_timer_due);
}

void pirn_worker_destroy(struct worker *w)
{
    pirn_port_destroy(&w->port);
}

unsigned pirn_worker_helpers(const struct pirn_runtime *rt)
{
    enum {
        DEFAULT_HELPERS = 4
    };
    return rt->config.max_kernel_threads != 0 ? (unsigned)rt->config.max_kernel_threads
                                              : DEFAULT_HELPERS;
}

/* Short slices: a thread that asks for 100 us is given the core soon after it wakes, even beside
 * spinners (EEVDF, Linux 6.12; elsewhere refused or ignored). And exact sleeps. */
void pirn_worker_be_prompt(void)
{
    struct sys_sched_attr attr = {.size = sizeof(attr)};
    if (sys_sched_getattr(0, &attr) == 0 && attr.policy == 0 /* SCHED_OTHER */) {
        attr.runtime = 100000;
        sys_sched_setattr(0, &attr);
    }
    sys_prctl(PR_SET_TIMERSLACK, 1);
}

void pirn_worker_block_sigpipe(void)
{
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sys_sigprocmask(SIG_BLOCK, &pipe, NULL);
}
