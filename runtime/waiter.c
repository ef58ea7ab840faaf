/*
 * Waiters in the lists of objects, and waking who has been claimed there; see wait.h.
 */
#include <limits.h>

#include "io/sys.h"
#include "runtime/wait.h"
#include "runtime/worker.h"

bool pirn_waiter_claim(struct waiter *waiter, struct wakeups *wakeups)
{
    struct cell *c = waiter->cell;
    enum cell_kind kind = (enum cell_kind)c->kind;
    enum claim claim = pirn_cell_claim(c, waiter->gen, WAKE_OBJECT);
    /* From here on an early-claimed waiter may be gone. */
    if (claim == CLAIM_LOST)
        return false;
    if (kind == CELL_HOOK) {
        struct hook *h = (struct hook *)(void *)((char *)c - offsetof(struct hook, cell));
        h->next = NULL;
        if (wakeups->last_hook != NULL)
            wakeups->last_hook->next = h;
        else
            wakeups->hooks = h;
        wakeups->last_hook = h;
    }
    if (claim != CLAIM_PARKED)
        return true;
    if (kind == CELL_TASK) {
        struct node *n = &TASK_OF(c, cell)->node;
        n->next = NULL;
        if (wakeups->last != NULL)
            wakeups->last->next = n;
        else
            wakeups->first = n;
        wakeups->last = n;
    } else if (wakeups->thread_count < sizeof(wakeups->threads) / sizeof(wakeups->threads[0])) {
        wakeups->threads[wakeups->thread_count++] = c;
    } else {
        sys_futex_wake(cell_gen_half(c), INT_MAX);
    }
    return true;
}

void pirn_wakeups_run(struct wakeups *wakeups)
{
    while (wakeups->hooks != NULL) {
        struct hook *h = wakeups->hooks;
        wakeups->hooks = h->next;
        if (wakeups->hooks == NULL)
            wakeups->last_hook = NULL;
        h->fn(h, wakeups); /* it may be gone now, and more may have been added */
    }
    struct node *n = wakeups->first;
    while (n != NULL) {
        struct node *next = n->next;
        pirn_worker_ready(task_of_node(n));
        n = next;
    }
    for (unsigned i = 0; i < wakeups->thread_count; i++)
        sys_futex_wake(cell_gen_half(wakeups->threads[i]), INT_MAX);
}

void pirn_wake_kind(struct cell *c, enum cell_kind kind)
{
    if (kind == CELL_TASK)
        pirn_worker_ready(TASK_OF(c, cell));
    else
        sys_futex_wake(cell_gen_half(c), INT_MAX);
}

void pirn_wake_cell(struct cell *c)
{
    pirn_wake_kind(c, (enum cell_kind)c->kind);
}
