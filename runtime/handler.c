/*
 * A signal's place in the process; see handler.h.
 *
 * pirn's handler may be there although nobody uses it: somebody who had put another over it while
 * it was used (system(3), say, or a program that saves and restores) has put it back since. It then
 * does what the earlier one would have done, the default action included, and is taken for what it
 * is when it is used again: never for an earlier one, to which it would pass on for ever.
 *
 * What was there before is read by handlers at any time, also while the place is given back and
 * taken again: so it is written once, listed, and never freed. One that comes again is found in the
 * list, which stays as short as the program has handlers.
 */
#include "runtime/handler.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "io/sys.h"

struct earlier {
    struct sigaction action;
    struct earlier *next;
};
static struct earlier *known;                            /* under the mutex */
static _Atomic(const struct earlier *) earlier_of[NSIG]; /* the same; handlers read */
static _Atomic unsigned users[NSIG];                     /* the same */

static const struct earlier none = {.action.sa_handler = SIG_DFL};

const struct sigaction *pirn_handler_earlier(int sig)
{
    /* acquire: pairs with the release in set_earlier */
    const struct earlier *e = atomic_load_explicit(&earlier_of[sig], memory_order_acquire);
    return e != NULL ? &e->action : &none.action;
}

static bool same(const struct sigaction *a, const struct sigaction *b)
{
    return a->sa_handler == b->sa_handler && a->sa_flags == b->sa_flags &&
           memcmp(&a->sa_mask, &b->sa_mask, sizeof(a->sa_mask)) == 0;
}

static int set_earlier(int sig, const struct sigaction *action)
{
    struct earlier *e = known;
    while (e != NULL && !same(&e->action, action))
        e = e->next;
    if (e == NULL) {
        e = malloc(sizeof(*e));
        if (e == NULL)
            return -ENOMEM;
        e->action = *action;
        e->next = known;
        known = e;
    }
    /* release: pairs with the acquire in pirn_handler_earlier */
    atomic_store_explicit(&earlier_of[sig], e, memory_order_release);
    return 0;
}

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == pirn_signals_hit;
}

/* In place without users? A signal may also have come just before it was given back: then it is not
 * in place, and what has come is dropped. */
static bool is_left_over(int sig)
{
    struct sigaction now;
    /* acquire, twice: pairs with the release in give_back, which comes after the earlier one is
     * back, and with that in take, which comes before this one is in place */
    return atomic_load_explicit(&users[sig], memory_order_acquire) == 0 &&
           sys_sigaction(sig, NULL, &now) == 0 && is_ours(&now) &&
           atomic_load_explicit(&users[sig], memory_order_acquire) == 0;
}

/* It ends or stops the process here, or nothing comes of it. */
static void act_by_default(int sig)
{
    struct sigaction as_usual = {.sa_handler = SIG_DFL}, now;
    sigset_t this, before;
    if (sys_sigaction(sig, &as_usual, &now) != 0)
        return;
    raise(sig);
    sigemptyset(&this);
    sigaddset(&this, sig);
    sys_sigprocmask(SIG_UNBLOCK, &this, &before);
    sys_sigprocmask(SIG_SETMASK, &before, NULL);
    sys_sigaction(sig, &now, NULL); /* it may be in use again */
}

void pirn_handler_pass_on(const struct sigaction *earlier, int sig, siginfo_t *info, void *context)
{
    if (earlier->sa_handler == SIG_DFL) {
        if (is_left_over(sig))
            act_by_default(sig);
    } else if (earlier->sa_handler == SIG_IGN) {
        return;
    } else if ((earlier->sa_flags & SA_SIGINFO) != 0) {
        earlier->sa_sigaction(sig, info, context);
    } else {
        earlier->sa_handler(sig);
    }
}

static void set_users(int sig, unsigned n)
{
    /* release: pairs with the acquires in is_left_over */
    atomic_store_explicit(&users[sig], n, memory_order_release);
}

int pirn_handler_take(int sig)
{
    struct sigaction action, now;
    unsigned n = atomic_load_explicit(&users[sig], memory_order_relaxed);
    int rc = n == 0 ? sys_sigaction(sig, NULL, &now) : 0;
    bool is_there = n != 0 || (rc == 0 && is_ours(&now));
    if (rc == 0 && !is_there) /* before it is in place: the next signal may come to it first */
        rc = set_earlier(sig, &now);
    if (rc != 0)
        return rc;
    set_users(sig, n + 1);
    if (is_there)
        return 0;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = pirn_signals_hit;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    rc = sys_sigaction(sig, &action, NULL);
    if (rc != 0)
        set_users(sig, 0);
    return rc;
}

void pirn_handler_give_back(int sig)
{
    unsigned n = atomic_load_explicit(&users[sig], memory_order_relaxed);
    if (n == 1)
        sys_sigaction(sig, pirn_handler_earlier(sig), NULL);
    set_users(sig, n - 1);
}

void pirn_handler_forget(void)
{
    for (int sig = 1; sig < NSIG; sig++) {
        if (atomic_load_explicit(&users[sig], memory_order_relaxed) != 0)
            sys_sigaction(sig, pirn_handler_earlier(sig), NULL);
        set_users(sig, 0);
    }
}
