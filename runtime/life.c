/*
 * A runtime's threads and memory: made, started, taken down. What happens in between is
 * runtime.c's.
 */
#include <errno.h>
#include <limits.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/sys.h"
#include "runtime/cpus.h"
#include "runtime/debug.h"
#include "runtime/fork.h"
#include "runtime/overflow.h"
#include "runtime/registry.h"
#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/signals.h"
#include "runtime/task_pool.h"

enum {
    DEFAULT_SPARES = 64,
    DEFAULT_SLOW_NS = 100000000,
    WORKERS_MAX = 1024
};

static void *default_alloc(void *user, size_t bytes)
{
    (void)user;
    return malloc(bytes);
}

static void default_free(void *user, void *ptr)
{
    (void)user;
    free(ptr);
}

void pirn_report(struct pirn_runtime *rt, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    struct self *self = pirn_self();
    if (rt->config.report == NULL || self->reporting) {
        fprintf(stderr, "pirn: %s\n", line);
        return;
    }
    /* For the time of the hook this is a plain thread: a report can come from inside a switch,
     * where nobody may suspend. */
    struct worker *worker = self->worker;
    struct pirn_task *pinned = self->pinned;
    self->worker = NULL;
    self->pinned = NULL;
    self->reporting = true;
    rt->config.report(rt->config.report_user, line);
    self->reporting = false;
    self->worker = worker;
    self->pinned = pinned;
}

void pirn_report_shortage(struct pirn_runtime *rt)
{
    if (!atomic_exchange_explicit(&rt->shortage_told, true, memory_order_relaxed))
        pirn_report(rt,
                    "no stack for a task, which ends with -ENOMEM without having run (a timer's or "
                    "a done callback's comes later): %s",
                    pirn_stacks_shortage(&rt->stacks));
}

static bool remote_fence(void)
{
    return sys_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == 0;
}

static void register_remote_fence(void)
{
    if (sys_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0)
        pirn_remote_fence = remote_fence;
}

static void find_remote_fence(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_remote_fence);
}

static int check(const char *call, const pirn_config *c)
{
    if (c->size != sizeof(*c) || c->workers < 0 || c->workers > WORKERS_MAX || c->max_spares < 0 ||
        c->max_tasks < 0 || c->max_blocking < 0 || c->max_kernel_threads < 0 || c->grace.ns < 0 ||
        (c->dump_signal != 0 && !signal_exists(c->dump_signal)) ||
        signal_is_fault(c->dump_signal) || c->stack_size > PIRN_STACK_SIZE_MAX ||
        c->slow_step.ns < 0 ||
        (c->flags & ~(unsigned)(PIRN_SIGINT_CANCELS | PIRN_SIGTERM_CANCELS | PIRN_REPORT_OVERFLOW |
                                PIRN_DEBUG | PIRN_DEADLOCK_ENDS)) != 0 ||
        (c->alloc == NULL) != (c->free == NULL))
        return pirn_misuse(
            call, -EINVAL,
            misuse_of_config(c->size, sizeof(*c),
                             "the config has a number or a signal out of range, an unknown flag, "
                             "or one of alloc and free alone"));
    return 0;
}

/* config->workers 0: what PIRN_WORKERS in the environment says (as GOMAXPROCS in Go), else the
 * CPUs. */
static unsigned default_workers(void)
{
    const char *value = secure_getenv("PIRN_WORKERS");
    if (value != NULL && value[0] >= '0' && value[0] <= '9') {
        char *end;
        unsigned long n = strtoul(value, &end, 10);
        if (*end == '\0' && n >= 1 && n <= WORKERS_MAX)
            return (unsigned)n;
    }
    return (unsigned)pirn_cpus_granted("");
}

static struct pirn_runtime *make(const pirn_config *c)
{
    struct mem mem = {c->alloc, c->free, c->alloc_user};
    if (c->alloc == NULL)
        mem = (struct mem){default_alloc, default_free, NULL};
    struct pirn_runtime *rt = mem_alloc(&mem, sizeof(*rt));
    if (rt == NULL)
        return NULL;
    memset(rt, 0, sizeof(*rt));
    rt->config = *c;
    rt->mem = mem;
    rt->pid = getpid();
    rt->debug = (c->flags & PIRN_DEBUG) != 0 || pirn_debug_in_environment();
    rt->slow_ns = c->slow_step.ns != 0 ? c->slow_step.ns : DEFAULT_SLOW_NS;
    rt->worker_count = c->workers != 0 ? (unsigned)c->workers : default_workers();
    rt->max_threads =
        rt->worker_count * 3 + 1 + (unsigned)(c->max_spares != 0 ? c->max_spares : DEFAULT_SPARES);
    rt->workers = mem_alloc(&mem, rt->max_threads * sizeof(rt->workers[0]));
    if (rt->workers == NULL || pirn_fd_ops_init(&rt->fd_ops) != 0) {
        mem_free(&mem, rt->workers);
        mem_free(&mem, rt);
        return NULL;
    }
    for (int lane = 0; lane < LANES; lane++)
        pirn_inject_init(&rt->inject[lane]);
    pirn_inject_init(&rt->pass);
    pthread_mutex_init(&rt->run_mutex, NULL);
    lock_init(&rt->tasks_lock);
    atomic_init(&rt->next_id, 1);
    atomic_init(&rt->phase, PHASE_PAUSE);
    atomic_init(&rt->sentinel_until, INT64_MIN);
    atomic_init(&rt->crowded_until, INT64_MIN / 2);
    return rt;
}

void pirn_runtime_dispose(struct pirn_runtime *rt)
{
    struct mem mem = rt->mem;
    pirn_task_free_all(rt);
    pthread_mutex_destroy(&rt->run_mutex);
    pirn_fd_ops_destroy(&rt->fd_ops);
    mem_free(&mem, rt->workers);
    mem_free(&mem, rt);
}

void pirn_runtime_retire(struct pirn_runtime *rt)
{
    /* The workers are gone, their free lists are the runtime's: what is missing there is referred
     * to by somebody, and the last to give it back frees everything (pirn_task_free). */
    lock_take(&rt->tasks_lock);
    rt->over = true;
    bool last = rt->free_task_count == rt->task_count;
    lock_drop(&rt->tasks_lock);
    if (last)
        pirn_runtime_dispose(rt);
}

/* A closed runtime is kept, for as long as its owner likes; its descriptors need not be. */
void pirn_runtime_shrink(struct pirn_runtime *rt)
{
    lock_take(&rt->tasks_lock);
    if (rt->free_task_count == rt->task_count) {
        rt->free_tasks = NULL;
        rt->free_task_count = rt->task_count = 0;
        pirn_task_free_all(rt);
    }
    lock_drop(&rt->tasks_lock);
}

static void explain(struct pirn_runtime *rt, int rc)
{
    if (rc == -EPERM || rc == -EACCES)
        pirn_report(rt, "io_uring is denied (EPERM): a seccomp profile (Docker's default, say) or "
                        "the sysctl kernel.io_uring_disabled forbids it; allow io_uring_setup, "
                        "io_uring_enter and io_uring_register, or set the sysctl to 0");
    else if (rc == -ENOSYS)
        pirn_report(rt, "io_uring is missing (ENOSYS): this kernel has none or one older than "
                        "Linux 5.11, or a sandbox hides it; run on a newer kernel, or allow it");
    else
        pirn_report(rt, "cannot start a worker: %s", strerrordesc_np(-rc));
}

static int start_workers(struct pirn_runtime *rt)
{
    int rc = 0;
    unsigned n = 0;
    for (; n < rt->worker_count && rc == 0; n++) {
        struct worker *w = mem_alloc(&rt->mem, sizeof(*w));
        if (w == NULL)
            return -ENOMEM;
        rc = pirn_worker_init(w, rt, n, ROLE_PRIMARY);
        if (rc != 0) {
            mem_free(&rt->mem, w);
            explain(rt, rc);
            return rc == -EPERM || rc == -EACCES ? -ENOSYS : rc;
        }
        rt->workers[n] = w;
        atomic_store_explicit(&rt->thread_count, n + 1, memory_order_relaxed);
    }
    /* All are in place before the first one looks at its peers. */
    for (n = 0; n < rt->worker_count; n++) {
        rc = sys_pthread_create(&rt->workers[n]->thread, NULL, pirn_worker_main, rt->workers[n]);
        if (rc != 0)
            return rc;
        rt->workers[n]->joinable = true;
    }
    return 0;
}

static void stop_workers(struct pirn_runtime *rt)
{
    unsigned n = rt_threads(rt);
    pirn_phase_end(rt);
    for (unsigned i = 0; i < n; i++)
        pirn_port_wake(&rt_worker(rt, i)->port);
    for (unsigned i = 0; i < n; i++) {
        if (rt_worker(rt, i)->joinable)
            pthread_join(rt_worker(rt, i)->thread, NULL);
    }
    /* seq_cst, both: pairs with rt_outsider_try_enter; acquire: with the release in
     * rt_outsider_leave */
    atomic_store_explicit(&rt->dismantled, 1, memory_order_seq_cst);
    while (atomic_load_explicit(&rt->outsiders, memory_order_seq_cst) != 0)
        sched_yield();
    for (unsigned i = 0; i < n; i++) {
        pirn_worker_destroy(rt_worker(rt, i));
        mem_free(&rt->mem, rt_worker(rt, i));
    }
    atomic_store_explicit(&rt->thread_count, 0, memory_order_relaxed);
}

/* In the overflow handler: whose guard is this? */
static bool describe_overflow(const void *addr, char *buf, size_t n)
{
    struct self *self = pirn_self();
    struct worker *w = self->worker;
    struct stack *stack;
    if (w == NULL || !pirn_stack_guard_of(&w->rt->stacks, addr, &stack))
        return false;
    if (w->current != NULL && w->current->stack == stack)
        pirn_task_name_raw(w->current, buf, n);
    else
        snprintf(buf, n, "(not the running one)");
    return true;
}

static bool reports_overflow(const struct pirn_runtime *rt)
{
    return (rt->config.flags & PIRN_REPORT_OVERFLOW) != 0 || rt->debug;
}

static int watch_overflow(struct pirn_runtime *rt)
{
    if (!reports_overflow(rt))
        return 0;
    /* release: pairs with the handler's acquire */
    atomic_store_explicit(&pirn_overflow_describe, describe_overflow, memory_order_release);
    return pirn_overflow_install();
}

/* Undoes start() from wherever it got to. */
static void stop_from(struct pirn_runtime *rt, int steps)
{
    if (steps > 4 && reports_overflow(rt))
        pirn_overflow_remove();
    if (steps > 3)
        pirn_signals_remove(rt);
    if (steps > 2)
        pirn_blocking_stop(rt);
    pirn_phase_end(rt);
    if (steps > 1)
        pirn_monitor_stop(rt);
    if (steps > 0) {
        stop_workers(rt);
        pirn_stacks_destroy(&rt->stacks);
    }
    if (steps > 2)
        pirn_blocking_destroy(rt);
}

static int start(struct pirn_runtime *rt)
{
    int steps = 0;
    int rc = pirn_stacks_init(&rt->stacks, rt->config.stack_size);
    if (rc != 0)
        return rc;
    steps = 1;
    pirn_overflow_prepare();
    rc = start_workers(rt);
    if (rc == 0 && (rc = pirn_monitor_start(rt)) == 0)
        steps = 2;
    if (rc == 0 && (rc = pirn_blocking_init(rt)) == 0)
        steps = 3;
    if (rc == 0 && (rc = pirn_signals_install(rt)) == 0)
        steps = 4;
    if (rc == 0 && (rc = watch_overflow(rt)) == 0)
        steps = 5;
    if (rc != 0) {
        stop_from(rt, steps);
        return rc;
    }
    pirn_registry_add(rt);
    if (rt->debug)
        pirn_debug_count(1);
    return 0;
}

int pirn_runtime_start(const char *call, struct pirn_runtime **ret_rt, const pirn_config *config)
{
    static const pirn_config defaults = PIRN_CONFIG_INIT;
    if (config == NULL)
        config = &defaults;
    int rc = check(call, config);
    if (rc != 0)
        return rc;
    pirn_fork_prepare();
    find_remote_fence();
    struct pirn_runtime *rt = make(config);
    if (rt == NULL)
        return -ENOMEM;
    rc = start(rt);
    if (rc != 0)
        pirn_runtime_retire(rt);
    else
        *ret_rt = rt;
    return rc;
}

void pirn_runtime_stop_threads(struct pirn_runtime *rt)
{
    if (rt->debug)
        pirn_debug_count(-1);
    stop_from(rt, 5);
}
