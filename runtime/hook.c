/*
 * Hooks, made and taken back; see wait.h. They are called where wake-ups are run (wait.c).
 */
#include <string.h>

#include "runtime/wait.h"

void pirn_hook_init(struct hook *h, void (*fn)(struct hook *h, struct wakeups *wakeups))
{
    memset(h, 0, sizeof(*h));
    h->cell.kind = CELL_HOOK;
    h->waiter.cell = &h->cell;
    h->fn = fn;
}

bool pirn_hook_cancel(struct hook *h, struct waiter **list)
{
    if (pirn_cell_claim(&h->cell, h->waiter.gen, WAKE_CANCEL) == CLAIM_LOST)
        return false;
    pirn_waiter_unlink(list, &h->waiter);
    return true;
}
