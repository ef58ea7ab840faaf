/*
 * Signals; see signals.h. Opt-in, chained, put back.
 *
 * A handler only counts the hit in every runtime that asked for that signal, and calls its monitor
 * (a futex wake: async-signal-safe); the monitor does the rest, so this works while every worker is
 * stuck. The first SIGINT cancels main; at the second the earlier handler is put back and the
 * signal raised again.
 *
 * The list of runtimes changes under a mutex with the signals blocked, and is read by handlers
 * through atomics: entries are slots that are never freed.
 */
#include "runtime/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "io/sys.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"

enum {
    RUNTIMES_MAX = 64
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct pirn_runtime *) runtimes[RUNTIMES_MAX]; /* under mutex; handlers read */
static struct sigaction earlier[NSIG];                        /* under mutex; handlers read */
static unsigned users[NSIG];                                  /* under mutex */
static _Atomic unsigned running;                              /* handlers at work */

static bool wants(const struct pirn_runtime *rt, int sig)
{
    return (sig == SIGINT && (rt->config.flags & PIRN_SIGINT_CANCELS) != 0) ||
           (sig != 0 && sig == rt->config.dump_signal);
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
    const struct sigaction *e = &earlier[sig];
    if ((e->sa_flags & SA_SIGINFO) != 0 && e->sa_sigaction != NULL)
        e->sa_sigaction(sig, info, context);
    else if (e->sa_handler != SIG_DFL && e->sa_handler != SIG_IGN)
        e->sa_handler(sig);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    int saved = errno;
    atomic_fetch_add_explicit(&running, 1, memory_order_seq_cst); /* pairs with remove's fence */
    bool second = false;
    for (int i = 0; i < RUNTIMES_MAX; i++) {
        struct pirn_runtime *rt = atomic_load_explicit(&runtimes[i], memory_order_acquire);
        if (rt == NULL || !wants(rt, sig)) /* acquire: pairs with the release in install */
            continue;
        _Atomic uint32_t *hits = sig == rt->config.dump_signal ? &rt->dump_hits : &rt->sigint_hits;
        uint32_t before = atomic_fetch_add_explicit(hits, 1, memory_order_relaxed);
        second |= hits == &rt->sigint_hits && before > 0;
        pirn_monitor_call(rt);
    }
    if (second) {
        sys_sigaction(sig, &earlier[sig], NULL);
        raise(sig); /* delivered when this handler returns */
    } else {
        pass_on(sig, info, context);
    }
    atomic_fetch_sub_explicit(&running, 1, memory_order_release); /* pairs with remove's acquire */
    errno = saved;
}

static int take(int sig)
{
    struct sigaction action;
    if (users[sig]++ != 0)
        return 0;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    int rc = sys_sigaction(sig, &action, &earlier[sig]);
    if (rc != 0)
        users[sig]--;
    return rc;
}

static void give_back(int sig)
{
    if (--users[sig] == 0)
        sys_sigaction(sig, &earlier[sig], NULL);
}

int pirn_signals_install(struct pirn_runtime *rt)
{
    int rc = -EAGAIN;
    if (!wants(rt, SIGINT) && rt->config.dump_signal == 0)
        return 0;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < RUNTIMES_MAX && rc == -EAGAIN; i++) {
        if (atomic_load_explicit(&runtimes[i], memory_order_relaxed) != NULL)
            continue;
        rc = wants(rt, SIGINT) ? take(SIGINT) : 0;
        if (rc == 0 && rt->config.dump_signal != 0 && rt->config.dump_signal != SIGINT) {
            rc = take(rt->config.dump_signal);
            if (rc != 0 && wants(rt, SIGINT))
                give_back(SIGINT);
        }
        if (rc == 0) /* release: pairs with the acquire in on_signal */
            atomic_store_explicit(&runtimes[i], rt, memory_order_release);
    }
    pthread_mutex_unlock(&mutex);
    return rc;
}

void pirn_signals_remove(struct pirn_runtime *rt)
{
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < RUNTIMES_MAX; i++) {
        if (atomic_load_explicit(&runtimes[i], memory_order_relaxed) != rt)
            continue;
        atomic_store_explicit(&runtimes[i], NULL, memory_order_relaxed);
        if (wants(rt, SIGINT))
            give_back(SIGINT);
        if (rt->config.dump_signal != 0 && rt->config.dump_signal != SIGINT)
            give_back(rt->config.dump_signal);
    }
    pthread_mutex_unlock(&mutex);
    atomic_thread_fence(memory_order_seq_cst); /* a handler that starts now finds no runtime */
    while (atomic_load_explicit(&running, memory_order_acquire) != 0)
        sched_yield();
}

void pirn_signals_forget(void)
{
    for (int i = 0; i < RUNTIMES_MAX; i++)
        atomic_store_explicit(&runtimes[i], NULL, memory_order_relaxed);
    for (int sig = 1; sig < NSIG; sig++) {
        if (users[sig] != 0)
            sys_sigaction(sig, &earlier[sig], NULL);
        users[sig] = 0;
    }
    pthread_mutex_init(&mutex, NULL); /* its holder did not come along */
}

void pirn_signals_serve(struct pirn_runtime *rt)
{
    /* acquire: pairs with the release in run_main */
    struct pirn_task *main_task = atomic_load_explicit(&rt->main_task, memory_order_acquire);
    if (atomic_load_explicit(&rt->sigint_hits, memory_order_relaxed) != 0 && !rt->sigint_served &&
        main_task != NULL) {
        rt->sigint_served = true;
        pirn_wait_cancel(main_task, "SIGINT");
    }
    if (atomic_exchange_explicit(&rt->dump_hits, 0, memory_order_relaxed) != 0)
        pirn_dump_to(rt, stderr);
}
