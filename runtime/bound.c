/*
 * Bounds; see bound.h. And shields, which hide cancels: both decide what a task's pending cancel
 * is.
 */
#include "runtime/bound.h"

#include <errno.h>

#include "runtime/debug.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"

/* told: less one if any has yet to be told. (Those that wait together are told as one.) */
static unsigned requests(struct pirn_task *t, bool told)
{
    lock_take(&t->base.lock); /* with pirn_wait_cancel: the count and the cell agree */
    unsigned cancels = t->cell.cancels;
    if (told && cancels != 0 && (cell_load(&t->cell) & CELL_REQUESTED) != 0)
        cancels--;
    lock_drop(&t->base.lock);
    return cancels;
}

int pirn_bound_enter(struct bound *b, struct pirn_task *t)
{
    struct task_extra *e = pirn_task_extra(t);
    if (e == NULL)
        return -ENOMEM;
    lock_init(&b->lock);
    atomic_init(&b->hit, 0);
    b->closed = false;
    b->task = t;
    b->depth = cell_depth(cell_load(&t->cell));
    b->cancels = requests(t, true);
    b->outer = e->bounds;
    e->bounds = b;
    return 0;
}

bool pirn_bound_saw_request(const struct bound *b)
{
    return cell_depth(cell_load(&b->task->cell)) == 0 && requests(b->task, false) > b->cancels;
}

bool pirn_task_relevel(struct pirn_task *t)
{
    struct task_extra *e = task_extra(t);
    struct bound *b = e != NULL ? e->bounds : NULL;
    /* acquire: the cell's last swap, which came after the hit */
    uint64_t word = atomic_load_explicit(&t->cell.word, memory_order_acquire);
    for (; b != NULL && b->depth >= cell_depth(word); b = b->outer) {
        if (!bound_is_hit(b))
            continue;
        /* relaxed: our own word, for ourselves */
        atomic_fetch_or_explicit(&t->cell.word, CELL_CANCEL, memory_order_relaxed);
        return true;
    }
    return false;
}

/* No bound's cancel is pending any more; a request's is. */
static void forget_bounds(struct pirn_task *t)
{
    uint64_t word = cell_load(&t->cell);
    while ((word & CELL_CANCEL) != 0 && ((word & CELL_REQUESTED) == 0 || cell_depth(word) != 0) &&
           !cell_swap(&t->cell, &word, word & ~(uint64_t)(CELL_CANCEL | CELL_PASSED))) {}
}

int pirn_bound_leave(struct bound *b)
{
    struct pirn_task *t = b->task;
    struct task_extra *e = task_extra(t);
    if (e->bounds != b)
        return -EINVAL;
    lock_take(&b->lock);
    b->closed = true;
    lock_drop(&b->lock);
    e->bounds = b->outer;
    if (bound_is_hit(b)) {
        forget_bounds(t);
        pirn_task_relevel(t);
    }
    return 0;
}

void pirn_bound_abandon(struct pirn_task *t)
{
    struct task_extra *e = task_extra(t);
    char task[TASK_TEXT];
    if (e->bounds == NULL)
        return;
    if (t->rt->debug)
        pirn_debug_task_text(t, task, sizeof(task));
    else
        pirn_task_name(t, task, sizeof(task));
    pirn_report(t->rt, "task %s has ended inside a timeout or a scope", task);
    while (e->bounds != NULL)
        pirn_bound_leave(e->bounds);
}

void pirn_bound_hit(struct bound *b, const char *reason)
{
    struct pirn_task *t = b->task;
    struct pirn_runtime *rt = NULL;
    enum cancel_found found = CANCEL_NOTED;
    enum cell_kind kind = CELL_TASK;
    uint32_t gen = 0;
    lock_take(&b->lock);
    if (!b->closed && !bound_is_hit(b)) {
        rt = t->rt;
        kind = (enum cell_kind)t->cell.kind;
        rt_outsider_enter(rt); /* not closed: the task has not ended, nor its runtime */
        atomic_store_explicit(&t->cancel_reason, reason, memory_order_relaxed);
        atomic_store_explicit(&b->hit, 1, memory_order_relaxed); /* the swap releases it */
        found = pirn_cell_cancel(&t->cell, b->depth, false, &gen);
    }
    lock_drop(&b->lock);
    if (rt == NULL)
        return;
    /* A task that was woken is ours until it runs, unless it is pinned; a stop that comes late fits
     * no operation. The runtime stays for us, if not the task: after the lock it may leave the
     * bound, and end. */
    if (found == CANCEL_WOKE && kind == CELL_THREAD)
        pirn_wake_kind(&t->cell, kind);
    else
        pirn_wait_end(t, found, gen);
    rt_outsider_leave(rt);
}

bool pirn_task_take_cancel_slow(struct pirn_task *t)
{
    if (!pirn_cell_take_cancel(&t->cell))
        return false;
    pirn_task_relevel(t);
    return true;
}

int pirn_task_shield(struct pirn_task *t)
{
    return pirn_cell_shield(&t->cell) ? 0 : -EINVAL;
}

int pirn_task_unshield(struct pirn_task *t)
{
    if (!pirn_cell_unshield(&t->cell))
        return -EINVAL;
    pirn_task_relevel(t);
    return 0;
}

void pirn_task_keep_request(struct pirn_task *t)
{
    uint64_t word = cell_load(&t->cell), bits;
    do
        bits = cell_depth(word) == 0 ? CELL_REQUESTED | CELL_CANCEL : CELL_REQUESTED;
    while (!cell_swap(&t->cell, &word, word | bits));
}

int pirn_task_uncancel(struct pirn_task *t)
{
    uint64_t word;
    lock_take(&t->base.lock);
    unsigned left = t->cell.cancels;
    if (left != 0)
        left = --t->cell.cancels;
    if (left == 0) {
        word = cell_load(&t->cell);
        while (!cell_swap(&t->cell, &word,
                          word & ~(uint64_t)(CELL_REQUESTED | CELL_CANCEL | CELL_PASSED))) {}
    }
    lock_drop(&t->base.lock);
    pirn_task_relevel(t);
    return (int)left;
}
