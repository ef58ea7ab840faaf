/*
 * A party: somebody who waits to give or to get an item, in the list of an object, with the place
 * the item is to be taken from or put to. Lives on its owner's stack (or in a select's cases).
 *
 *   1. The owner links it under the object's lock, drops the lock, and parks.
 *   2. The other side, under that lock, pops it and claims its cell: party_claim. From here on the
 *      item changes hands, whatever comes; who loses the claim has no business with the party.
 *   3. It copies the item from or to the party's place, with or without the lock, and says so:
 *      party_finish, its last access to the party.
 *   4. It drops the lock and wakes who was claimed.
 *   5. The owner, awake, waits for that word (party_answer) before it uses the item or returns. A
 *      coroutine that had parked never finds it missing, because it is woken after it. Who had
 *      only just linked itself, and a plain thread, notice the claim by themselves, and may have to
 *      wait for the length of the copy.
 *   5'. Not claimed by the object: the owner unlinks it under the lock.
 *
 * So nothing is copied unless it really changes hands (outputs are written on success only), there
 * is no second lock on the owner's way, and who finishes after dropping the lock is through with
 * the object before the owner can free it.
 * Rejected: copying before the claim (writes to who has timed out), a second lock for the waking
 * side (half of what a hop costs).
 */
#ifndef PIRN_API_CHANNEL_PARTY_H
#define PIRN_API_CHANNEL_PARTY_H

#include <string.h>

#include "runtime/wait.h"
#include "runtime/worker.h"

enum party_state {
    PARTY_WAITS,
    PARTY_CLAIMED, /* written under the lock of the list it was in */
    PARTY_DONE
};

/* What a party waits through: a channel's handle, say. There as long as a party is linked that
 * does. */
struct through {
    uint32_t waiting; /* so many, if they are counted; under the object's lock */
    bool counted;     /* constant */
};

struct party {
    struct waiter waiter;    /* first: a waiter in these lists is a party */
    void *item;              /* where from, or where to; read by who has claimed it */
    struct through *through; /* constant while linked */
    int result;              /* what its call returns; written by who has claimed it */
    _Atomic uint32_t state;
};

static inline void party_init(struct party *p, void *item, struct through *through)
{
    p->waiter.linked = false;
    p->item = item;
    p->through = through;
    p->result = 0;
    atomic_init(&p->state, PARTY_WAITS);
}

static inline struct party *party_of(struct waiter *waiter)
{
    return (struct party *)(void *)waiter;
}

/* Under the lock. */
static inline void party_count(const struct party *p, int more)
{
    if (p->through->counted)
        p->through->waiting += (uint32_t)more;
}

/* Appends it to the list, for the wait that has been entered; under the object's lock. */
static inline void party_link(struct party *p, struct wait *w, struct waiter **list)
{
    w->waiter = &p->waiter;
    party_count(p, 1);
    pirn_wait_link(w, list);
}

/* Under the lock; not linked: nothing. */
static inline void party_unlink(struct party *p, struct waiter **list)
{
    if (!p->waiter.linked)
        return;
    party_count(p, -1);
    pirn_waiter_unlink(list, &p->waiter);
}

/* Under the lock, on an unlinked party. */
static inline bool party_try_claim(struct party *p, struct wakeups *wakeups)
{
    if (!pirn_waiter_claim(&p->waiter, wakeups))
        return false;
    /* relaxed: read under the lock, or known by PARTY_DONE */
    atomic_store_explicit(&p->state, PARTY_CLAIMED, memory_order_relaxed);
    return true;
}

/* Under the lock: the first in the list whose wait is not over otherwise, or NULL. */
static inline struct party *party_claim(struct waiter **list, struct wakeups *wakeups)
{
    while (*list != NULL) {
        struct party *p = party_of(pirn_waiter_pop(list));
        party_count(p, -1);
        if (party_try_claim(p, wakeups))
            return p;
    }
    return NULL;
}

/* Under the lock, of a list that is not empty: the first, if it is a coroutine's and its wait is
 * not over otherwise. What party_claim does, for who wakes a single coroutine: *ret_task, or NULL
 * if that had not parked. NULL: ask party_claim. */
static inline struct party *party_claim_coroutine(struct waiter **list, struct pirn_task **ret_task)
{
    struct party *p = party_of(*list);
    struct cell *c = p->waiter.cell;
    if (c->kind != CELL_TASK)
        return NULL;
    party_count(p, -1);
    pirn_waiter_unlink(list, &p->waiter);
    enum claim claim = pirn_cell_claim(c, p->waiter.gen, WAKE_OBJECT);
    if (claim == CLAIM_LOST)
        return NULL;
    atomic_store_explicit(&p->state, PARTY_CLAIMED, memory_order_relaxed); /* as party_try_claim */
    *ret_task = claim == CLAIM_PARKED ? TASK_OF(c, cell) : NULL;
    return p;
}

static inline void party_finish(struct party *p, int result)
{
    p->result = result;
    /* release: pairs with the acquire in party_answer. The party may be gone now. */
    atomic_store_explicit(&p->state, PARTY_DONE, memory_order_release);
}

/* Under the lock: claims all in the list that wait through this (NULL: through any), with nothing
 * but a result for them. If none does the list is left alone: it may be that of thousands, each of
 * whom closes a handle of its own when its turn has come. */
static inline void party_dismiss(struct waiter **list, const struct through *through, int result,
                                 struct wakeups *wakeups)
{
    if (through != NULL && through->counted && through->waiting == 0)
        return;
    struct waiter *next = *list, *last = next != NULL ? next->prev : NULL;
    for (bool more = next != NULL; more;) {
        struct party *p = party_of(next);
        more = next != last;
        next = next->next;
        if (through != NULL && p->through != through)
            continue;
        party_unlink(p, list);
        if (party_try_claim(p, wakeups))
            party_finish(p, result);
    }
}

/* The owner, once the object has ended its wait. */
static inline int party_answer(const struct party *p)
{
    /* acquire: pairs with the release in party_finish */
    for (unsigned tries = 0; atomic_load_explicit(&p->state, memory_order_acquire) != PARTY_DONE;
         tries++) {
        if (tries < 128)
            ck_pr_stall();
        else
            sched_yield(); /* the other side has lost its core */
    }
    return p->result;
}

/* Parks after the party was linked and the lock dropped; what its call returns. */
static inline int party_wait(struct party *p, struct wait *w, struct lock *lock,
                             struct waiter **list, const char *what, pirn_time deadline)
{
    int rc = pirn_wait_park(w, what, deadline.ns);
    if (rc == 0)
        return party_answer(p);
    lock_take(lock);
    party_unlink(p, list);
    lock_drop(lock);
    return rc;
}

/* Puts it in line and drops the lock; then as party_wait. */
static inline int party_stand_in_line(struct party *p, struct wait *w, struct lock *lock,
                                      struct waiter **list, const char *what, pirn_time deadline)
{
    party_link(p, w, list);
    lock_drop(lock);
    return party_wait(p, w, lock, list, what, deadline);
}

/* An element from here to there; one of no bytes may be nowhere. */
static inline void copy_item(void *to, const void *from, size_t size)
{
    if (from == NULL)
        return;
    if (size == sizeof(uint64_t))
        memcpy(to, from, sizeof(uint64_t));
    else if (size != 0)
        memcpy(to, from, size);
}

/* After the lock: an item from or to a coroutine that party_claim_coroutine has claimed, parked or
 * not. */
static inline void party_pass(struct party *peer, struct pirn_task *parked, void *to,
                              const void *from, size_t size, int result, struct worker *worker)
{
    copy_item(to, from, size);
    party_finish(peer, result);
    if (parked != NULL)
        pirn_worker_ready_here(worker, parked);
}

/* What is left to do when the lock has been dropped: a copy from one party's place to the
 * other's. */
struct handover {
    struct wakeups wakeups;
    struct party *peer; /* claimed; NULL: there is nothing to copy, and the rest is unset */
    void *to;
    const void *from;
    size_t size;
    int peer_result;
};

static inline void handover_init(struct handover *h)
{
    wakeups_init(&h->wakeups);
    h->peer = NULL;
}

/* After the lock. Touches no object. */
static inline void handover_finish(struct handover *h)
{
    if (h->peer != NULL) {
        copy_item(h->to, h->from, h->size);
        party_finish(h->peer, h->peer_result);
    }
    pirn_wakeups_run(&h->wakeups);
}

#endif
