/*
 * Debug mode: a scope's children that go on long after they were asked to end. A child is asked
 * once; one that takes no notice, or is inside a shield, keeps its opener waiting, and nothing
 * shows why.
 *
 * So whoever waits for children of a scope that is being cancelled waits with a deadline, of a
 * second, once: then it says who is left, and goes on waiting as without debug mode. Who waits
 * already when the scope is cancelled is woken, to look again.
 */
#include <errno.h>
#include <stdio.h>

#include "api/scope/scope.h"
#include "io/clock.h"
#include "runtime/debug.h"

#define LATE_NS 1000000000LL

int64_t pirn_scope_late(pirn_scope *s, bool cancelling, int64_t deadline)
{
    if (!cancelling || s->late == INT64_MAX)
        return deadline;
    if (s->late == 0)
        s->late = clock_now() + LATE_NS;
    return s->late < deadline ? s->late : deadline;
}

static const char *how_of(const struct pirn_task *t)
{
    uint64_t word = cell_load(&t->cell);
    return cell_depth(word) != 0          ? "is inside a shield"
           : (word & CELL_REQUESTED) != 0 ? "has not heard of it yet"
                                          : "has heard of it, and goes on";
}

/* One who has not ended, with a reference. */
static struct pirn_task *get_left(pirn_scope *s, unsigned *ret_others)
{
    lock_take(&s->lock);
    struct pirn_task *t = s->told;
    while (t != NULL && task_has_ended(t))
        t = t->next_sibling;
    if (t != NULL)
        pirn_awaitable_ref(&t->base); /* a listed child is alive: the runtime has a reference */
    *ret_others = s->running - 1;
    lock_drop(&s->lock);
    return t;
}

static void tell_late(pirn_scope *s)
{
    struct pirn_task *opener = s->bound.task;
    char task[TASK_TEXT], sites[SITES_TEXT], child[TASK_TEXT], doing[DOING_TEXT], more[32] = "";
    unsigned others;
    struct pirn_task *t = get_left(s, &others);
    if (t == NULL)
        return;
    if (others != 0)
        snprintf(more, sizeof(more), " (and %u more)", others);
    pirn_debug_task_text(opener, task, sizeof(task));
    pirn_sites_text(opener, sites, sizeof(sites));
    pirn_debug_task_text(t, child, sizeof(child));
    pirn_debug_doing_text(t, clock_now(), doing, sizeof(doing));
    pirn_report(opener->rt,
                "task %s waits%s, its scope was cancelled more than a second ago, but its child %s "
                "has not ended%s: it %s: %s",
                task, sites, child, more, how_of(t), doing);
    pirn_task_unref(t);
}

bool pirn_scope_is_late(pirn_scope *s, int rc)
{
    if (rc != -ETIMEDOUT && rc != -ENOMEM) /* none for that deadline: it does without */
        return false;
    s->late = INT64_MAX;
    if (rc == -ETIMEDOUT)
        tell_late(s);
    return true;
}
