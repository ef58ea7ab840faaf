/* A signal's place in the process; see handler.h. */
#include "runtime/handler.h"

#include <string.h>

#include "io/sys.h"

static struct sigaction earlier_of[NSIG]; /* under the mutex; handlers read */
static unsigned users[NSIG];              /* under the mutex */

struct sigaction pirn_handler_earlier(int sig)
{
    return earlier_of[sig];
}

void pirn_handler_pass_on(const struct sigaction *earlier, int sig, siginfo_t *info, void *context)
{
    if ((earlier->sa_flags & SA_SIGINFO) != 0 && earlier->sa_sigaction != NULL)
        earlier->sa_sigaction(sig, info, context);
    else if (earlier->sa_handler != SIG_DFL && earlier->sa_handler != SIG_IGN)
        earlier->sa_handler(sig);
}

int pirn_handler_take(int sig)
{
    struct sigaction action;
    if (users[sig]++ != 0)
        return 0;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = pirn_signals_hit;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    /* before it is in place: the next signal may come to it first */
    int rc = sys_sigaction(sig, NULL, &earlier_of[sig]);
    if (rc == 0)
        rc = sys_sigaction(sig, &action, NULL);
    if (rc != 0)
        users[sig]--;
    return rc;
}

void pirn_handler_give_back(int sig)
{
    if (--users[sig] == 0)
        sys_sigaction(sig, &earlier_of[sig], NULL);
}

void pirn_handler_forget(void)
{
    for (int sig = 1; sig < NSIG; sig++) {
        if (users[sig] != 0)
            sys_sigaction(sig, &earlier_of[sig], NULL);
        users[sig] = 0;
    }
}
