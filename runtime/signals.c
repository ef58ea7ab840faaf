/*
 * Signals; see signals.h. Opt-in, chained, put back.
 *
 * A handler only counts the hit in every runtime that asked for that signal, and calls its monitor
 * (a futex wake: async-signal-safe); the monitor does the rest, so this works while every worker is
 * stuck. The first SIGINT or SIGTERM, whichever is asked for, cancels main, or ends a run that has
 * none; at the second, of either kind, the earlier handler is put back and the signal raised again.
 * What comes within SAME_MS of the first is the first once more: timeout(1) signals its child and
 * then its group, and a wrapper passes on the Ctrl-C that its child has had from the terminal.
 *
 * What a program has added for a signal (struct reaction) runs as a coroutine:
 *   1. the handler sets the signal's bit in rt->signals, and calls the monitor
 *   2. the monitor takes the bits; if the reaction is not at work it spawns a task that calls fn,
 *      else notes that it is to run again. So one at a time, and once for all that came meanwhile
 *   3. the task's last act (react_done, its argument's drop) clears busy, and asks for the next one
 * The task holds a reference, and looks whether it has been removed before it calls fn. What came
 * for a reaction that is replaced, and has not been told to it, is the next one's.
 *
 * The list of runtimes changes under a mutex, and is read by handlers through atomics: entries are
 * slots that are never freed, as handled_by's. What a handler looks at is there before it is.
 */
#include "runtime/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "io/clock.h"
#include "io/sys.h"
#include "runtime/handler.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"

enum {
    RUNTIMES_MAX = 64,
    SAME_MS = 250
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct pirn_runtime *) runtimes[RUNTIMES_MAX]; /* under mutex; handlers read */
static _Atomic unsigned running; /* handlers that may be looking at a runtime */

struct reaction { /* all under mutex */
    struct pirn_runtime *rt;
    pirn_fn fn;
    void *arg;
    int sig;
    unsigned refs; /* reactions', its task's */
    bool busy, begun, again;
};
static struct reaction *reactions[NSIG];                /* under mutex */
static _Atomic(struct pirn_runtime *) handled_by[NSIG]; /* the same's rt, for handlers */

static bool wants(const struct pirn_runtime *rt, int sig)
{
    return (sig == SIGINT && (rt->config.flags & PIRN_SIGINT_CANCELS) != 0) ||
           (sig == SIGTERM && (rt->config.flags & PIRN_SIGTERM_CANCELS) != 0) ||
           (sig != 0 && sig == rt->config.dump_signal);
}

enum {
    WANTED_MAX = 3
};

/* All that it wants, each once: how many. */
static int wanted(const struct pirn_runtime *rt, int sigs[WANTED_MAX])
{
    const int dump = rt->config.dump_signal;
    int n = 0;
    if (wants(rt, SIGINT))
        sigs[n++] = SIGINT;
    if (wants(rt, SIGTERM))
        sigs[n++] = SIGTERM;
    if (dump != 0 && dump != SIGINT && dump != SIGTERM)
        sigs[n++] = dump;
    return n;
}

/* rt is to end: true if it has been told so before. */
static bool is_second(struct pirn_runtime *rt, int sig)
{
    const int64_t now = clock_now() / 1000000;
    int64_t first = 0;
    if (atomic_compare_exchange_strong_explicit(&rt->end_signal, &first, now << 8 | sig,
                                                memory_order_relaxed, memory_order_relaxed))
        return false;
    return now - (first >> 8) >= SAME_MS;
}

void pirn_signals_hit(int sig, siginfo_t *info, void *context)
{
    int saved = errno;
    atomic_fetch_add_explicit(&running, 1, memory_order_seq_cst); /* pairs with outlast's fence */
    const struct sigaction *earlier = pirn_handler_earlier(sig);
    bool second = false;
    /* acquire: pairs with the release in pirn_signals_add */
    struct pirn_runtime *handler = atomic_load_explicit(&handled_by[sig], memory_order_acquire);
    if (handler != NULL) {
        /* release: pairs with the acquire in serve_reactions */
        atomic_fetch_or_explicit(&handler->signals, 1ull << (sig - 1), memory_order_release);
        pirn_monitor_call(handler);
    }
    for (int i = 0; i < RUNTIMES_MAX; i++) {
        struct pirn_runtime *rt = atomic_load_explicit(&runtimes[i], memory_order_acquire);
        if (rt == NULL || !wants(rt, sig)) /* acquire: pairs with the release in install */
            continue;
        if (sig != rt->config.dump_signal && handler != NULL)
            continue; /* one that the program sees to itself */
        if (sig == rt->config.dump_signal)
            atomic_fetch_add_explicit(&rt->dump_hits, 1, memory_order_relaxed);
        else
            second |= is_second(rt, sig);
        pirn_monitor_call(rt);
    }
    if (second) {
        sys_sigaction(sig, earlier, NULL);
        raise(sig); /* delivered when this handler returns */
    }
    atomic_fetch_sub_explicit(&running, 1, memory_order_release); /* pairs with outlast's acquire */
    if (!second)
        pirn_handler_pass_on(earlier, sig, info, context); /* which may stay, or leave by a jump */
    errno = saved;
}

/* What it wants, all or nothing. */
static int take_wanted(const struct pirn_runtime *rt)
{
    int sigs[WANTED_MAX], n = wanted(rt, sigs);
    for (int i = 0; i < n; i++) {
        int rc = pirn_handler_take(sigs[i]);
        while (rc != 0 && i > 0)
            pirn_handler_give_back(sigs[--i]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* The handlers that still look at what has been taken out. An earlier one that they have passed the
 * signal on to looks at nothing of ours, and is not waited for. */
static void outlast(void)
{
    atomic_thread_fence(memory_order_seq_cst); /* a handler that starts now finds no runtime */
    while (atomic_load_explicit(&running, memory_order_acquire) != 0)
        sched_yield();
}

int pirn_signals_install(struct pirn_runtime *rt)
{
    int sigs[WANTED_MAX], rc = -EAGAIN;
    if (wanted(rt, sigs) == 0)
        return 0;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < RUNTIMES_MAX && rc == -EAGAIN; i++) {
        if (atomic_load_explicit(&runtimes[i], memory_order_relaxed) != NULL)
            continue;
        /* release: pairs with the acquire in pirn_signals_hit */
        atomic_store_explicit(&runtimes[i], rt, memory_order_release);
        rc = take_wanted(rt);
        if (rc != 0)
            atomic_store_explicit(&runtimes[i], NULL, memory_order_relaxed);
    }
    pthread_mutex_unlock(&mutex);
    if (rc != 0)
        outlast();
    return rc;
}

static void unref(struct reaction *r)
{
    if (--r->refs == 0)
        mem_free(&r->rt->mem, r);
}

static void remove_reaction(int sig)
{
    struct reaction *r = reactions[sig];
    reactions[sig] = NULL;
    atomic_store_explicit(&handled_by[sig], NULL, memory_order_relaxed);
    unref(r);
    pirn_handler_give_back(sig);
}

static void ask_for(struct pirn_runtime *rt, int sig)
{
    /* release: pairs with the acquire in serve_reactions */
    atomic_fetch_or_explicit(&rt->signals, 1ull << (sig - 1), memory_order_release);
}

int pirn_signals_add(struct pirn_runtime *rt, int sig, pirn_fn fn, void *arg)
{
    struct reaction *r = mem_alloc(&rt->mem, sizeof(*r));
    bool pending = false;
    int rc = 0;
    if (r == NULL)
        return -ENOMEM;
    *r = (struct reaction){rt, fn, arg, sig, 1, false, false, false};
    pthread_mutex_lock(&mutex);
    struct reaction *old = reactions[sig];
    /* relaxed: the end removes under this mutex, after it has set closing */
    if (atomic_load_explicit(&rt->closing, memory_order_relaxed) != 0)
        rc = -ESHUTDOWN;
    else if (old != NULL && old->rt != rt)
        rc = -EBUSY;
    if (rc == 0) {
        reactions[sig] = r;
        /* release: pairs with the acquire in pirn_signals_hit */
        atomic_store_explicit(&handled_by[sig], rt, memory_order_release);
        if (old != NULL) {
            pending = old->busy && (!old->begun || old->again);
            unref(old);
        } else if ((rc = pirn_handler_take(sig)) != 0) {
            atomic_store_explicit(&handled_by[sig], NULL, memory_order_relaxed);
            reactions[sig] = NULL;
        }
    }
    if (pending)
        ask_for(rt, sig);
    pthread_mutex_unlock(&mutex);
    if (pending)
        pirn_monitor_call(rt);
    if (rc != 0)
        mem_free(&rt->mem, r);
    return rc;
}

bool pirn_signals_drop(int sig)
{
    pthread_mutex_lock(&mutex);
    bool any = reactions[sig] != NULL;
    if (any)
        remove_reaction(sig);
    pthread_mutex_unlock(&mutex);
    return any;
}

bool pirn_signals_are_awaited(void)
{
    bool any = false;
    pthread_mutex_lock(&mutex);
    for (int sig = 1; sig < NSIG; sig++)
        any |= reactions[sig] != NULL;
    for (int i = 0; i < RUNTIMES_MAX; i++) {
        const struct pirn_runtime *rt = atomic_load_explicit(&runtimes[i], memory_order_relaxed);
        any |= rt != NULL && (wants(rt, SIGINT) || wants(rt, SIGTERM));
    }
    pthread_mutex_unlock(&mutex);
    return any;
}

void pirn_signals_remove(struct pirn_runtime *rt)
{
    int sigs[WANTED_MAX];
    pthread_mutex_lock(&mutex);
    for (int sig = 1; sig < NSIG; sig++) {
        if (reactions[sig] != NULL && reactions[sig]->rt == rt)
            remove_reaction(sig);
    }
    for (int i = 0; i < RUNTIMES_MAX; i++) {
        if (atomic_load_explicit(&runtimes[i], memory_order_relaxed) != rt)
            continue;
        atomic_store_explicit(&runtimes[i], NULL, memory_order_relaxed);
        for (int n = wanted(rt, sigs); n > 0; n--)
            pirn_handler_give_back(sigs[n - 1]);
    }
    pthread_mutex_unlock(&mutex);
    outlast();
}

void pirn_signals_forget(void)
{
    for (int i = 0; i < RUNTIMES_MAX; i++)
        atomic_store_explicit(&runtimes[i], NULL, memory_order_relaxed);
    for (int sig = 1; sig < NSIG; sig++) {
        reactions[sig] = NULL;
        atomic_store_explicit(&handled_by[sig], NULL, memory_order_relaxed);
    }
    pirn_handler_forget();
    /* relaxed: the handlers at work are those of threads that did not come along */
    atomic_store_explicit(&running, 0, memory_order_relaxed);
    pthread_mutex_init(&mutex, NULL); /* its holder did not come along */
}

static int react(void *arg)
{
    struct reaction *r = arg;
    pthread_mutex_lock(&mutex);
    bool removed = reactions[r->sig] != r;
    r->begun = true;
    r->again = false; /* what came before this is one with it */
    pthread_mutex_unlock(&mutex);
    return removed ? 0 : r->fn(r->arg);
}

static void react_done(void *arg)
{
    struct reaction *r = arg;
    struct pirn_runtime *rt = r->rt;
    pthread_mutex_lock(&mutex);
    bool again = r->again && reactions[r->sig] == r;
    r->busy = r->begun = r->again = false;
    if (again)
        ask_for(rt, r->sig);
    unref(r);
    pthread_mutex_unlock(&mutex);
    if (again)
        pirn_monitor_call(rt);
}

/* A reaction that may be started now, with a reference for its task. */
static struct reaction *claim(const struct pirn_runtime *rt, int sig)
{
    pthread_mutex_lock(&mutex);
    struct reaction *r = reactions[sig];
    if (r != NULL && (r->rt != rt || r->busy)) {
        r->again |= r->rt == rt;
        r = NULL;
    }
    if (r != NULL) {
        r->busy = true;
        r->refs++;
    }
    pthread_mutex_unlock(&mutex);
    return r;
}

/* False: there was no room for a task, and it is to be tried again. */
static bool start_reaction(struct pirn_runtime *rt, int sig)
{
    struct reaction *r = claim(rt, sig);
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    struct pirn_awaitable *task;
    char name[NAME_MAX_BYTES];
    if (r == NULL)
        return true;
    snprintf(name, sizeof(name), "signal-%d", sig);
    config.name = name;
    config.runtime = rt;
    config.arg_drop = react_done;
    int rc = pirn_task_spawn(&task, &config, react, r, NULL, (void *)(uintptr_t)r->fn);
    if (rc == 0) {
        pirn_awaitable_unref(task);
        return true;
    }
    if (rc != -ESHUTDOWN)
        ask_for(rt, sig);
    react_done(r);
    return rc == -ESHUTDOWN;
}

static bool serve_reactions(struct pirn_runtime *rt)
{
    bool done = true;
    if (atomic_load_explicit(&rt->signals, memory_order_relaxed) == 0)
        return true;
    /* acquire: pairs with the handler's release */
    uint64_t bits = atomic_exchange_explicit(&rt->signals, 0, memory_order_acquire);
    for (int sig = 1; sig < NSIG; sig++) {
        if ((bits >> (sig - 1) & 1) != 0)
            done &= start_reaction(rt, sig);
    }
    return done;
}

static void serve_end(struct pirn_runtime *rt, int sig)
{
    struct pirn_awaitable *a = NULL;
    pthread_mutex_lock(&rt->run_mutex);
    bool serve = rt->runner != NULL && !rt->end_served;
    if (serve) {
        rt->end_served = true;
        a = pirn_retain(rt->awaited);
    }
    pthread_mutex_unlock(&rt->run_mutex);
    if (a != NULL) {
        pirn_awaitable_cancel(a, sig == SIGTERM ? "SIGTERM" : "SIGINT");
        pirn_awaitable_unref(a);
    } else if (serve) {
        pirn_runtime_ask_stop(rt);
    }
}

bool pirn_signals_serve(struct pirn_runtime *rt)
{
    int64_t end_signal = atomic_load_explicit(&rt->end_signal, memory_order_relaxed);
    if (end_signal != 0)
        serve_end(rt, (int)(end_signal & 0xff));
    if (atomic_exchange_explicit(&rt->dump_hits, 0, memory_order_relaxed) != 0)
        pirn_dump_to(rt, stderr);
    return serve_reactions(rt);
}
