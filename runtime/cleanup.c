/*
 * Cleanups: what a task has asked to be called when it ends.
 *
 * They lie in a list in the task's extra part, newest first, each with its number, and run
 *   - when the task's function has returned, whatever it returned and why: on the task's own stack,
 *     as the same task, before its argument is dropped and its end is told to anybody; or
 *   - at the end of a block that the task has marked: those with a number above the mark's.
 * Each is taken off the list before it is called, so it runs once, and may itself register others,
 * which run next. Meanwhile the task is shielded: a request to end, pending or new, waits, and so
 * does a timeout it is inside of. After a shutdown's grace its waits fail like all others.
 *
 * Nothing in pirn leaves a frame but by returning through it, so none can be skipped. A task that
 * never began has registered none. In a fork's child the task is nobody's any more, and its
 * cleanups are its parent's business: there they do not run, as with _exit.
 *
 * Numbers, not pointers, as marks: an entry that a mark pointed to might have been taken back.
 */
#include <errno.h>

#include "runtime/bound.h"
#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/task.h"

struct cleanup {
    struct cleanup *next;
    void (*fn)(void *arg, int status);
    void *arg;
    uint64_t number; /* from 1 */
};

int pirn_task_defer(struct pirn_task *t, void (*fn)(void *arg, int status), void *arg)
{
    struct task_extra *e = pirn_task_extra(t);
    struct cleanup *c = e != NULL ? mem_alloc(&t->rt->mem, sizeof(*c)) : NULL;
    if (c == NULL)
        return -ENOMEM;
    *c = (struct cleanup){e->cleanups, fn, arg, ++e->cleanup_count};
    e->cleanups = c;
    return 0;
}

int pirn_task_undefer(struct pirn_task *t, void (*fn)(void *arg, int status), void *arg)
{
    struct task_extra *e = task_extra(t);
    if (e == NULL)
        return -ENOENT;
    for (struct cleanup **at = &e->cleanups, *c; (c = *at) != NULL; at = &c->next) {
        if (c->fn != fn || c->arg != arg)
            continue;
        *at = c->next;
        mem_free(&t->rt->mem, c);
        return 0;
    }
    return -ENOENT;
}

void pirn_task_run_cleanups(struct pirn_task *t, uint64_t down_to, int status, bool ends)
{
    struct task_extra *e = task_extra(t);
    if (e == NULL || pirn_current_task() != t)
        return;
    bool shields = pirn_task_shield(t) == 0; /* if not, it is inside all there can be */
    while (e->cleanups != NULL && e->cleanups->number > down_to) {
        struct cleanup c = *e->cleanups;
        mem_free(&t->rt->mem, e->cleanups);
        e->cleanups = c.next;
        c.fn(c.arg, status);
    }
    if (ends)
        pirn_bound_abandon(t);
    if (shields)
        pirn_task_unshield(t);
}
