/*
 * The mutex as conditions see it; see mutex.c.
 */
#ifndef PIRN_API_SYNC_MUTEX_H
#define PIRN_API_SYNC_MUTEX_H

#include "api/sync/sync.h"

struct mutex {
    struct sync s; /* state: 0, or the owner's cell */
} SYNC_OBJECT;

static inline struct mutex *mutex_of(pirn_mutex *mutex)
{
    return (struct mutex *)(void *)mutex;
}

/* Only the owner makes this true or false for itself, so it needs no order. */
static inline bool mutex_is_held_by(const struct mutex *m, uint64_t self)
{
    uint64_t word = atomic_load_explicit(&m->s.word, memory_order_relaxed);
    return (word & ~(uint64_t)SYNC_FLAGS) == self;
}

/* By the owner: lets it go, to the first waiter if there is one. */
void pirn_mutex_hand_over(struct mutex *m);

/* Has it again, after w's wait has ended, whatever happens meanwhile: a cancel stays pending. w's
 * waiter may be in the mutex's list already, and keeps its place. */
void pirn_mutex_retake(struct mutex *m, struct wait *w);

#endif
