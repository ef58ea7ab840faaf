/*
 * The thread-local accessor; see self.h.
 */
#include "runtime/self.h"

#include "runtime/worker.h"

static _Thread_local struct self self = {.cell = {.kind = CELL_THREAD}};

__attribute__((noinline)) struct self *pirn_self(void)
{
    struct self *s = &self;
    __asm__ volatile("" : "+r"(s)); /* keeps calls from being merged or hoisted */
    return s;
}

struct pirn_task *pirn_current_task(void)
{
    struct self *s = pirn_self();
    return s->worker != NULL ? s->worker->current : s->pinned;
}
