/*
 * Stack overflow reports.
 *
 *   1. A coroutine that outgrows its stack touches the guard below it: SIGSEGV.
 *   2. The handler runs on the thread's alternate stack, as there is none left on the other. It
 *      asks pirn_overflow_describe whose guard the address is in and writes a line to descriptor 2.
 *   3. It puts the default action back and returns. The instruction faults again, and the process
 *      dies of the signal where it happened, with a core dump that shows it.
 *
 * Any other fault goes to the handler that was there before, as if this one were not. Where that is
 * the default action the same is done as in 3; a signal that was sent (kill) would not come again
 * by itself and is raised once more.
 *
 * The handler uses nothing but write, sigaction and what describe does: the system calls are made
 * directly, not through io/sys.h, whose fault injection is not meant for signal handlers.
 *
 * Rejected: going on after an overflow, by ending the coroutine: frames that hold locks would be
 * skipped. abort() in the handler: the core dump would show the handler.
 */
#include "runtime/overflow.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "io/sys.h"
#include "runtime/self.h"
#include "runtime/stack.h"

/* The kernel's own frame (AT_MINSIGSTKSZ) comes on top; a chained handler may want some, too. */
#define ALTERNATE_BYTES ((size_t)32 * 1024 * PIRN_STACK_SCALE)

_Atomic(pirn_overflow_fn *) pirn_overflow_describe;

enum {
    SIGNALS = 2
};
static const int signals[SIGNALS] = {SIGSEGV, SIGBUS};

/* What was there before; written under the lock while the handler is not in place. */
static struct sigaction earlier[SIGNALS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users; /* under the lock */

/* A thread's alternate stack: a guard page, the stack, and this at the end of the mapping. */
struct alternate {
    char *low; /* of the stack */
    size_t size;
};

/* ---- The handler: async-signal-safe ---------------------------------------------------------- */

static void set_default(int signal)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, NULL);
}

static void report(const char *who)
{
    static const char head[] = "pirn: stack overflow in task ";
    char line[400];
    size_t n = strlen(who);
    n = n < sizeof(line) - sizeof(head) ? n : sizeof(line) - sizeof(head);
    memcpy(line, head, sizeof(head) - 1);
    memcpy(line + sizeof(head) - 1, who, n);
    line[sizeof(head) - 1 + n] = '\n';
    if (write(STDERR_FILENO, line, sizeof(head) + n) < 0)
        return; /* nobody to tell */
}

/* What would have happened without this handler. */
static void pass_on(int signal, siginfo_t *info, void *context)
{
    const struct sigaction *old = &earlier[signal == SIGSEGV ? 0 : 1];
    bool sent = info->si_code <= 0;
    if (old->sa_flags & SA_RESETHAND)
        set_default(signal);
    if (old->sa_flags & SA_SIGINFO) {
        old->sa_sigaction(signal, info, context);
    } else if (old->sa_handler == SIG_IGN && sent) {
        return;
    } else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
        old->sa_handler(signal);
    } else {
        set_default(signal);
        if (sent)
            raise(signal); /* blocked until the handler returns */
    }
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    int saved = errno; /* the interrupted code's */
    char who[320] = "";
    /* pairs with the runtime's store before pirn_overflow_install */
    pirn_overflow_fn *describe =
        atomic_load_explicit(&pirn_overflow_describe, memory_order_acquire);
    if (info->si_code > 0 && describe && describe(info->si_addr, who, sizeof(who))) {
        report(who);
        set_default(signal);
    } else {
        pass_on(signal, info, context);
    }
    errno = saved;
}

/* ---- fork(): a child must not find the lock held by a thread it does not have ------------- */

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork, after_fork);
}

void pirn_overflow_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
}

/* ---- The process ---------------------------------------------------------------------------- */

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_fault;
}

/* Gives a signal back, unless another handler has been put over ours meanwhile: that one will pass
 * faults on to us, and we to the earlier one. */
static void give_back(int i)
{
    struct sigaction now;
    if (sys_sigaction(signals[i], NULL, &now) == 0 && is_ours(&now))
        sys_sigaction(signals[i], &earlier[i], NULL);
}

static int take(int i)
{
    struct sigaction action, now;
    int r = sys_sigaction(signals[i], NULL, &now);
    if (r < 0)
        return r;
    if (is_ours(&now)) /* left in place under another handler that is gone now */
        return 0;
    earlier[i] = now;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    return sys_sigaction(signals[i], &action, NULL);
}

int pirn_overflow_install(void)
{
    int r = 0;
    pirn_overflow_prepare();
    pthread_mutex_lock(&lock);
    for (int i = 0; users == 0 && r == 0 && i < SIGNALS; i++) {
        r = take(i);
        while (r < 0 && i-- > 0)
            give_back(i);
    }
    users += r == 0;
    pthread_mutex_unlock(&lock);
    return r;
}

void pirn_overflow_remove(void)
{
    pthread_mutex_lock(&lock);
    users--;
    for (int i = 0; users == 0 && i < SIGNALS; i++)
        give_back(i);
    pthread_mutex_unlock(&lock);
}

/* ---- Threads -------------------------------------------------------------------------------- */

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Maps one, with its guard. */
static int alternate_map(struct alternate **ret_alternate)
{
    void *at;
    size_t page = page_bytes(), size = ALTERNATE_BYTES + getauxval(AT_MINSIGSTKSZ);
    size = (size + sizeof(struct alternate) + page - 1) / page * page;
    int r = sys_mmap(&at, NULL, page + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0);
    if (r < 0)
        return r;
    r = sys_mprotect(at, page, PROT_NONE);
    if (r < 0) {
        sys_munmap(at, page + size);
        return r;
    }
    char *low = (char *)at + page;
    struct alternate *alternate = (void *)(low + size - sizeof(*alternate));
    alternate->low = low;
    alternate->size = size - sizeof(*alternate);
    *ret_alternate = alternate;
    return 0;
}

static void alternate_unmap(struct alternate *alternate)
{
    size_t page = page_bytes();
    sys_munmap(alternate->low - page, page + alternate->size + sizeof(*alternate));
}

int pirn_overflow_thread_init(void)
{
    stack_t stack;
    struct alternate *alternate;
    int r = sys_sigaltstack(NULL, &stack);
    if (r < 0 || !(stack.ss_flags & SS_DISABLE))
        return r;
    r = alternate_map(&alternate);
    if (r < 0)
        return r;
    memset(&stack, 0, sizeof(stack));
    stack.ss_sp = alternate->low;
    stack.ss_size = alternate->size;
    r = sys_sigaltstack(&stack, NULL);
    if (r < 0) {
        alternate_unmap(alternate);
        return r;
    }
    pirn_self()->alternate = alternate;
    return 0;
}

void pirn_overflow_thread_fini(void)
{
    stack_t stack;
    struct self *self = pirn_self();
    struct alternate *alternate = self->alternate;
    if (!alternate)
        return; /* it has none from here */
    self->alternate = NULL;
    if (sys_sigaltstack(NULL, &stack) == 0 && stack.ss_sp == alternate->low) {
        memset(&stack, 0, sizeof(stack));
        stack.ss_flags = SS_DISABLE;
        sys_sigaltstack(&stack, NULL);
    }
    alternate_unmap(alternate);
}
