/*
 * A signal's place in the process: pirn's handler goes where another was, passes on to that, and
 * makes room for it again. Who wants the signals, and for what, is known in signals.c.
 */
#ifndef PIRN_RUNTIME_HANDLER_H
#define PIRN_RUNTIME_HANDLER_H

#include <signal.h>

/* pirn's handler; in signals.c. */
void pirn_signals_hit(int sig, siginfo_t *info, void *context);

/* Under the mutex of signals.c. As many users as takes that were not given back; the first has the
 * handler installed (0, or -errno; -ENOMEM), the last has the earlier one put back. */
int pirn_handler_take(int sig);
void pirn_handler_give_back(int sig);
void pirn_handler_forget(void); /* in a fork's child: nobody uses any, all are given back */

/* In the handler. What the first returns stays as it is for ever. */
const struct sigaction *pirn_handler_earlier(int sig);
void pirn_handler_pass_on(const struct sigaction *earlier, int sig, siginfo_t *info, void *context);

#endif
