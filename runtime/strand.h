/*
 * Strands: serial executors. Tasks that belong to one never overlap, wherever they run.
 *
 * Between two suspends a member holds its strand; so does one that is in a run queue, as it has
 * been admitted to it. The others that are ready wait in the strand's own list, first in, first
 * out, where no worker sees them.
 *
 *   becomes ready   pirn_strand_admit: the strand is free? taken, and into a run queue. Else to the
 *                   end of the list
 *   yields          pirn_strand_yielded, by the side switched to: to the end of the list, and the
 *                   first of it goes into a run queue; also when a wait was over before its park
 *   parks           pirn_strand_parked, by the side switched to, once the park is published
 *   ends            pirn_strand_leave, on its own stack; no code of the program follows
 *   gives way for the worker's sake only (pirn_worker_pause)   keeps the strand
 *
 * Field                who may touch it
 * refs                 anybody, atomically
 * held, first, last    under lock
 * due                  under lock: so many at the front of the list were ready when a pass of their
 *                      runtime began (pause.c)
 * pauses               who holds the strand
 */
#ifndef PIRN_RUNTIME_STRAND_H
#define PIRN_RUNTIME_STRAND_H

#include "runtime/task.h"
#include "sched/lock.h"

struct pirn_strand {
    _Atomic uint32_t refs;
    struct lock lock;
    bool held;
    uint8_t pauses; /* since the holder was admitted */
    uint32_t due;
    struct node *first, *last; /* ready, linked by node.next; last is void while first is NULL */
};

static inline struct pirn_strand *task_strand(const struct pirn_task *t)
{
    return task_is_on_strand(t) ? task_extra(t)->strand : NULL;
}

/* The strand t is to have, by its config or its parent's: retained for it. 0, -ENOMEM. */
int pirn_strand_bind(struct pirn_task *t, const pirn_spawn_config *config,
                     const struct pirn_task *parent);

/* t, of a strand, is ready. True: it holds the strand and goes on to a run queue. False: it will be
 * sent there, and may be gone. */
bool pirn_strand_admit(struct pirn_task *t);

/* The running member t is about to yield or park, and this worker has nothing else to run. False:
 * nobody waits for the strand. True: *ret_next holds it now and is to be switched to; or NULL, and
 * it will go by pirn_strand_yielded or _parked. */
bool pirn_strand_pass(struct worker *w, const struct pirn_task *t, struct pirn_task **ret_next);

/* On the side that was switched to. */
void pirn_strand_yielded(struct worker *w, struct pirn_task *t);
void pirn_strand_parked(struct worker *w, struct pirn_task *t);

/* A pass is about to begin, in which the holder t has its step: so have those who wait behind it
 * now. */
void pirn_strand_begin_pass(struct pirn_task *t);

/* The holder was about to begin on w, and is to be ready again later. */
void pirn_strand_let_go(struct worker *w, const struct pirn_task *t);

/* The holder is over. The reference it had is given up. */
void pirn_strand_leave(struct worker *w, struct pirn_strand *s);

/* The running member gives way for fairness: may it keep the strand? */
bool pirn_strand_keeps(struct pirn_task *t);

void pirn_strand_unref(struct pirn_strand *s);

#endif
