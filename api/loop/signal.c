/*
 * Signals as callbacks: arguments and errors; the rest is runtime/signals.c's.
 */
#include <errno.h>
#include <pirn.h>
#include <unistd.h>

#include "runtime/debug.h"
#include "runtime/runtime.h"
#include "runtime/signals.h"

#define NO_SUCH_SIGNAL "no function can be called for that signal"

int pirn_signal_add(int signo, pirn_fn fn, void *arg, pirn_runtime *runtime)
{
    struct pirn_runtime *rt = runtime != NULL ? runtime : pirn_runtime_current();
    if (!signal_exists(signo) || signal_is_fault(signo) || fn == NULL)
        return pirn_misuse(__func__, -EINVAL, fn == NULL ? MISUSE_NULL : NO_SUCH_SIGNAL);
    if (rt == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_RUNTIME);
    if (rt->pid != getpid() || rt_use(rt) >= USE_CLOSED)
        return -ESHUTDOWN;
    return pirn_signals_add(rt, signo, fn, arg);
}

int pirn_signal_remove(int signo)
{
    return signal_exists(signo) ? pirn_signals_drop(signo)
                                : pirn_misuse(__func__, -EINVAL, NO_SUCH_SIGNAL);
}
