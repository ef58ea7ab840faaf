/*
 * The simulated kernel: threads, futexes, mutexes, clocks, and io/sys.c's other calls as far as
 * runtime/ makes them. What has to do with memory is the real kernel's; files are not there.
 */
#include "perf/simulate/kernel.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>

#include "io/fault.h"
#include "io/sys.h"
#include "perf/simulate/assumptions.h"
#include "perf/simulate/interpose.h"
#include "perf/simulate/machine.h"
#include "runtime/fd_wait.h"
#include "runtime/self.h"
#include "runtime/worker.h"

/* The real ones, from here on. */
#undef malloc
#undef calloc

struct kernel_counts kernel_counts;

/* ---- Who is calling -------------------------------------------------------------------------- */

static struct self selves[CPUS_MAX];

/* In runtime/self.c's stead: a thread-local is its processor's. */
struct self *pirn_self(void)
{
    struct self *s = &selves[machine_me->index];
    if (s->cell.kind != CELL_THREAD)
        s->cell.kind = CELL_THREAD;
    return s;
}

struct pirn_task *pirn_current_task(void)
{
    struct self *s = pirn_self();
    return s->worker != NULL ? s->worker->current : s->pinned;
}

/* ---- Sleep ----------------------------------------------------------------------------------- */

void kernel_sleep(const void *at, int64_t until)
{
    kernel_counts.sleeps++;
    if (!machine_sleep(at, until == INT64_MAX ? until : until * PS))
        machine_spend(assume.timer_ns);
}

void kernel_wake(const void *at, int64_t called)
{
    struct cpu *sleeper = machine_sleeper(at);
    if (sleeper == NULL) {
        machine_spend(assume.call_ns);
        return;
    }
    machine_wake(sleeper, called + assume.wake_ns * PS);
    machine_spend(assume.wake_call_ns);
}

int sys_futex_wait(const void *word, uint32_t expected, const struct timespec *timeout)
{
    machine_spend(assume.call_ns);
    machine_in_order();
    machine_touch((uintptr_t)word, sizeof(expected), ACCESS_READ);
    if (__atomic_load_n((const uint32_t *)word, __ATOMIC_SEQ_CST) != expected)
        return -EAGAIN;
    int64_t until = INT64_MAX;
    if (timeout != NULL)
        until = machine_now_ns() + timeout->tv_sec * 1000000000 + timeout->tv_nsec;
    kernel_sleep(word, until);
    return machine_me->in_time ? -ETIMEDOUT : 0;
}

int sys_futex_wake(const void *word, int count)
{
    int woken = 0;
    machine_spend(assume.call_ns);
    machine_in_order();
    for (; woken < count && machine_sleeper(word) != NULL; woken++) {
        kernel_counts.futex_wakes++;
        kernel_wake(word, machine_me->now);
    }
    return woken;
}

int simulated_mutex_trylock(pthread_mutex_t *mutex)
{
    int *held = &mutex->__data.__lock;
    machine_touch((uintptr_t)held, sizeof(*held), ACCESS_MODIFY);
    if (*held != 0)
        return EBUSY;
    *held = 1;
    return 0;
}

/* Who has waited takes it as one that is waited for, as there may be others. */
int simulated_mutex_lock(pthread_mutex_t *mutex)
{
    int *held = &mutex->__data.__lock;
    if (simulated_mutex_trylock(mutex) == 0)
        return 0;
    for (;;) {
        machine_spend(assume.call_ns);
        machine_in_order();
        if (*held == 0)
            break;
        *held = 2;
        kernel_counts.mutex_waits++;
        kernel_sleep(mutex, INT64_MAX);
    }
    *held = 2;
    return 0;
}

int simulated_mutex_unlock(pthread_mutex_t *mutex)
{
    int *held = &mutex->__data.__lock;
    machine_touch((uintptr_t)held, sizeof(*held), ACCESS_MODIFY);
    bool waited_for = *held == 2;
    *held = 0;
    if (waited_for)
        kernel_wake(mutex, machine_me->now);
    return 0;
}

void simulated_pause(void)
{
    machine_spend(assume.pause_ns);
}

int simulated_yield(void)
{
    machine_spend(assume.call_ns);
    machine_in_order();
    return 0;
}

/* ---- Threads --------------------------------------------------------------------------------- */

int sys_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr, void *(*fn)(void *),
                       void *arg)
{
    (void)attr;
    *ret_thread = (pthread_t)machine_start(fn, arg)->index;
    return 0;
}

int simulated_join(pthread_t thread, void **ret_value)
{
    struct cpu *cpu = machine_cpu((unsigned)thread);
    if (ret_value != NULL)
        *ret_value = NULL;
    machine_in_order();
    while (!cpu->over)
        machine_sleep(cpu, INT64_MAX);
    return 0;
}

pthread_t simulated_self(void)
{
    return (pthread_t)machine_me->index;
}

pid_t simulated_gettid(void)
{
    return (pid_t)machine_me->index + 1;
}

enum {
    CPU_CLOCKS = 1000 /* and beyond: those of the threads */
};

int simulated_getcpuclockid(pthread_t thread, clockid_t *ret_clock)
{
    *ret_clock = CPU_CLOCKS + (clockid_t)thread;
    return 0;
}

int simulated_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    machine_spend(assume.clock_ns);
    int64_t ns = clock >= CPU_CLOCKS
                     ? machine_busy_of(machine_cpu((unsigned)(clock - CPU_CLOCKS))) / PS
                 : clock == CLOCK_PROCESS_CPUTIME_ID ? machine_busy_ps() / PS
                                                     : machine_now_ns();
    *ret_now = (struct timespec){ns / 1000000000, ns % 1000000000};
    return 0;
}

int simulated_clock_nanosleep(clockid_t clock, int flags, const struct timespec *until,
                              struct timespec *ret_left)
{
    (void)clock;
    (void)ret_left;
    int64_t ns = until->tv_sec * 1000000000 + until->tv_nsec;
    kernel_sleep(NULL, (flags & TIMER_ABSTIME) != 0 ? ns : machine_now_ns() + ns);
    return 0;
}

int sys_membarrier(int command, unsigned flags)
{
    (void)flags;
    if (command != MEMBARRIER_CMD_PRIVATE_EXPEDITED)
        return 0; /* registered */
    machine_in_order();
    unsigned n = machine_interrupt_others(assume.interrupt_ns);
    kernel_counts.fences++;
    kernel_counts.interrupts += n;
    machine_spend(assume.fence_ns + (n != 0 ? assume.fence_first_ns : 0) +
                  (n > 1 ? (n - 1) * assume.fence_more_ns : 0));
    return 0;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

void *simulated_malloc(size_t bytes)
{
    machine_spend(assume.malloc_ns);
    return malloc(bytes);
}

void *simulated_calloc(size_t count, size_t bytes)
{
    machine_spend(assume.malloc_ns);
    return calloc(count, bytes);
}

int sys_mmap(void **ret_addr, void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
    void *at = mmap(addr, len, prot, flags, fd, offset);
    if (at == MAP_FAILED)
        return -errno;
    *ret_addr = at;
    return 0;
}

static int result(int rc)
{
    return rc < 0 ? -errno : rc;
}

int sys_munmap(void *addr, size_t len)
{
    return result(munmap(addr, len));
}

int sys_madvise(void *addr, size_t len, int advice)
{
    return result(madvise(addr, len, advice));
}

ssize_t sys_process_madvise(const struct iovec *ranges, size_t n, int advice)
{
    (void)ranges, (void)n, (void)advice;
    return -ENOSYS; /* one by one, then */
}

int sys_mprotect(void *addr, size_t len, int prot)
{
    return result(mprotect(addr, len, prot));
}

/* ---- What is asked for, and makes no difference here ----------------------------------------- */

int sys_sched_getattr(pid_t tid, struct sys_sched_attr *ret_attr)
{
    (void)tid;
    memset(ret_attr, 0, sizeof(*ret_attr));
    return 0;
}

int sys_sched_setattr(pid_t tid, const struct sys_sched_attr *attr)
{
    (void)tid;
    (void)attr;
    return 0;
}

int sys_prctl(int option, unsigned long arg)
{
    (void)option;
    (void)arg;
    return 0;
}

int sys_sigaltstack(const stack_t *stack, stack_t *ret_old)
{
    (void)stack;
    if (ret_old != NULL)
        *ret_old = (stack_t){.ss_flags = SS_DISABLE};
    return 0;
}

int sys_sigaction(int signal, const struct sigaction *action, struct sigaction *ret_old)
{
    (void)signal;
    (void)action;
    if (ret_old != NULL)
        memset(ret_old, 0, sizeof(*ret_old));
    return 0;
}

int sys_sigprocmask(int how, const sigset_t *set, sigset_t *ret_old)
{
    (void)how;
    (void)set;
    if (ret_old != NULL)
        sigemptyset(ret_old);
    return 0;
}

/* Of all files there is one for each thread, which says whether it runs (monitor.c). */
int sys_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    unsigned tid;
    (void)dir_fd;
    (void)flags;
    (void)mode;
    return sscanf(path, "/proc/self/task/%u/stat", &tid) == 1 ? (int)tid : -ENOENT;
}

ssize_t sys_read(int fd, void *buf, size_t n)
{
    machine_spend(assume.call_ns);
    return snprintf(buf, n, "%d (worker) %c ", fd,
                    machine_cpu((unsigned)fd - 1)->asleep ? 'S' : 'R');
}

int sys_close(int fd)
{
    (void)fd;
    return 0;
}

ssize_t sys_getdents64(int fd, void *buf, size_t n)
{
    return sys_read(fd, buf, n);
}

int sys_sched_getaffinity(pid_t tid, size_t bytes, void *ret_mask)
{
    (void)tid;
    (void)bytes;
    (void)ret_mask;
    return -ENOSYS;
}

/* Nobody forks here, and no plain thread waits for a file. */
void pirn_fd_wait_forget(void)
{
}
