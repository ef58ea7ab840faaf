/*
 * Strands; see strand.h.
 *
 * A member must not be resumed before it is off its stack, and the next one not run before that
 * either. So what becomes of the strand is decided where what becomes of the task is: on the side
 * that was switched to. One exception saves the way through the scheduler: a worker with nothing
 * else to run takes the next member out and switches straight to it (pirn_strand_pass). The other
 * side sees that by whom it is: a member of the strand that is left can only have been passed it.
 * tests/model/strand.pml checks all this.
 *
 * Members see what those before them did: by the lock, if the strand was free in between, and by
 * the run queue.
 *
 * A call that would not wait gives way now and then all the same, so that its worker's other tasks
 * get on (pirn_wait_enter). It keeps the strand then: whether an await of what is there already
 * lets the other members in would be chance, and the order of things on a strand is to be relied
 * on. But a member that polls for what another one is to do must not keep it for ever: after
 * PAUSES_MAX in a row, at about 100 us each, it lets go.
 *
 * What it costs tasks without a strand: nothing in a yield (the bit is in the byte that is looked
 * at for hogs), one test of that byte when they become ready, are spawned, end, or are found
 * parked.
 *
 * Rejected
 *   the strand as what is queued, and its members behind it    a second kind of node everywhere,
 *                                                              and
 *                a member's stride, hog's mark and lane would be the strand's
 *   a mutex      who takes it is a waiter, not a task that is ready: no order among those
 *   running an awaited child in place (in_place.c)    its awaiter would go on before members that
 *                                                     were
 *                ready first
 */
#include "runtime/strand.h"

#include <errno.h>
#include <stdlib.h>

#include "runtime/runtime.h"
#include "runtime/worker.h"

enum {
    PAUSES_MAX = 64
};

int pirn_strand_bind(struct pirn_task *t, const pirn_spawn_config *config,
                     const struct pirn_task *parent)
{
    struct pirn_strand *s = config->strand;
    if (s == NULL && parent != NULL && (config->flags & (PIRN_PINNED | PIRN_OFF_STRAND)) == 0)
        s = task_strand(parent);
    if (s == NULL)
        return 0;
    struct task_extra *e = pirn_task_extra(t);
    if (e == NULL)
        return -ENOMEM;
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    e->strand = s;
    atomic_store_explicit(&t->traits, TASK_ON_STRAND, memory_order_relaxed);
    return 0;
}

void pirn_strand_unref(struct pirn_strand *s)
{
    /* acq_rel: everybody's last use comes before the free */
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        free(s);
}

/* Under the lock. */
static void append(struct pirn_strand *s, struct pirn_task *t)
{
    t->node.next = NULL;
    if (s->first != NULL)
        s->last->next = &t->node;
    else
        s->first = &t->node;
    s->last = &t->node;
}

/* Under the lock: who holds the strand next, or NULL. *ret_due: it was ready before a pass. */
static struct pirn_task *next_holder(struct pirn_strand *s, bool *ret_due)
{
    struct node *n = s->first;
    s->pauses = 0;
    *ret_due = s->due != 0;
    if (n == NULL)
        return NULL;
    s->first = n->next;
    s->due -= *ret_due;
    return task_of_node(n);
}

bool pirn_strand_admit(struct pirn_task *t)
{
    struct pirn_strand *s = task_strand(t);
    lock_take(&s->lock);
    bool was_held = s->held;
    s->held = true;
    if (was_held)
        append(s, t);
    lock_drop(&s->lock); /* our last access, if it waits: it may have run and gone */
    return !was_held;
}

void pirn_strand_begin_pass(struct pirn_task *t)
{
    struct pirn_strand *s = task_strand(t);
    lock_take(&s->lock);
    s->due = 0;
    for (const struct node *n = s->first; n != NULL; n = n->next)
        s->due++;
    lock_drop(&s->lock);
}

/* To a run queue; t may be of another runtime than the one it is told of by. due: it has its step
 * in a pass that is under way. */
static void launch(struct worker *w, struct pirn_task *t, bool had_its_turn, bool due)
{
    if (t->rt != w->rt)
        pirn_inject_task(t->rt, t);
    else if (due && w->rt->passing)
        pirn_inject_push(&w->rt->pass, &t->node); /* where this worker looks next */
    else if (had_its_turn)
        pirn_worker_requeue(w, t);
    else
        pirn_worker_enqueue(w, t);
}

bool pirn_strand_pass(struct worker *w, const struct pirn_task *t, struct pirn_task **ret_next)
{
    struct pirn_strand *s = task_strand(t);
    enum role role = worker_role(w);
    bool due, here = role == ROLE_PRIMARY || role == ROLE_SUBSTITUTE;
#ifdef PIRN_HARD
    here = false; /* by way of another worker */
#endif
    *ret_next = NULL;
    lock_take(&s->lock);
    bool waited_for = s->first != NULL;
    if (!waited_for) {
        s->pauses = 0; /* nobody missed a turn */
    } else if (here) {
        struct pirn_task *next = task_of_node(s->first);
        if (task_has_started(next) && next->rt == w->rt)
            *ret_next = next_holder(s, &due);
    }
    lock_drop(&s->lock);
    return waited_for;
}

static bool has_been_passed(const struct worker *w, const struct pirn_strand *s)
{
    return w->current != NULL && task_strand(w->current) == s;
}

void pirn_strand_yielded(struct worker *w, struct pirn_task *t)
{
    struct pirn_strand *s = task_strand(t);
    struct pirn_task *next = NULL;
    bool due = false;
    lock_take(&s->lock);
    append(s, t);
    if (!has_been_passed(w, s))
        next = next_holder(s, &due);
    lock_drop(&s->lock);
    if (next != NULL)
        launch(w, next, true, due);
}

static void hand_on(struct worker *w, struct pirn_strand *s)
{
    bool due;
    lock_take(&s->lock);
    struct pirn_task *next = next_holder(s, &due);
    s->held = next != NULL;
    lock_drop(&s->lock);
    if (next != NULL)
        launch(w, next, false, due);
}

void pirn_strand_parked(struct worker *w, struct pirn_task *t)
{
    struct pirn_strand *s = task_strand(t); /* it holds it still, so it is there */
    if (!has_been_passed(w, s))
        hand_on(w, s);
}

void pirn_strand_let_go(struct worker *w, const struct pirn_task *t)
{
    hand_on(w, task_strand(t));
}

void pirn_strand_leave(struct worker *w, struct pirn_strand *s)
{
    hand_on(w, s);
    pirn_strand_unref(s);
}

bool pirn_strand_keeps(struct pirn_task *t)
{
    return task_strand(t)->pauses++ < PAUSES_MAX;
}
