/*
 * The signals a program has asked pirn to take: SIGINT as cancel of main, a dump signal.
 */
#ifndef PIRN_RUNTIME_SIGNALS_H
#define PIRN_RUNTIME_SIGNALS_H

struct pirn_runtime;

int pirn_signals_install(struct pirn_runtime *rt); /* what rt->config asks for; 0 or -errno */
void pirn_signals_remove(struct pirn_runtime *rt); /* puts earlier handlers back */
void pirn_signals_serve(struct pirn_runtime *rt);  /* the monitor does what handlers asked for */
void pirn_signals_forget(void);                    /* in a fork's child: those runtimes are gone */

#endif
