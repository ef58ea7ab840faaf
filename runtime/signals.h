/*
 * The signals a program has asked pirn to take: SIGINT and SIGTERM as cancels of main, a dump
 * signal, and those it has added functions for.
 */
#ifndef PIRN_RUNTIME_SIGNALS_H
#define PIRN_RUNTIME_SIGNALS_H

#include <pirn.h>
#include <signal.h>
#include <stdbool.h>

static inline bool signal_exists(int sig) /* and can be handled */
{
    return sig > 0 && sig < NSIG && sig != SIGKILL && sig != SIGSTOP;
}

/* Raised by an instruction: its handler could only return to that. */
static inline bool signal_is_fault(int sig)
{
    return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL;
}

int pirn_signals_install(struct pirn_runtime *rt); /* what rt->config asks for; 0 or -errno */
void pirn_signals_remove(struct pirn_runtime *rt); /* puts earlier handlers back */
/* The monitor does what handlers asked for. False: not all of it, it is to try again. */
bool pirn_signals_serve(struct pirn_runtime *rt);
/* Can one make a coroutine run, or cancel a main, in any runtime? */
bool pirn_signals_are_awaited(void);
void pirn_signals_forget(void); /* in a fork's child: those runtimes are gone */

/* fn(arg) as a coroutine of rt for each group of that signal: 0, -EINVAL, -EBUSY (another runtime
 * has it), -ENOMEM, -ESHUTDOWN. And no longer: was there one? */
int pirn_signals_add(struct pirn_runtime *rt, int sig, pirn_fn fn, void *arg);
bool pirn_signals_drop(int sig);

#endif
