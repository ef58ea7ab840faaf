/*
 * Select: exactly one of several cases.
 *
 *   1. The cases are brought into the order of their objects' locks' addresses, and all locks are
 *      taken in that order (one that several cases share, once). Every select does so, and everybody
 *      else takes one such lock at a time: so there is no circle of who waits for whom.
 *   2. All cases are looked at, from a random one onwards. The first that can go goes, as a send or
 *      receive of its own would, and no other is touched. At this time no party of this select is in
 *      any list, so nobody can claim it: that this case goes needs no agreement with others but the
 *      claim of the peer.
 *   3. None can go: a party for each case is linked, all with the same cell and generation. Then all
 *      locks are dropped. Whoever comes to one of these objects afterwards finds a party; whoever
 *      came before has been seen in step 2. Since every lock is held from the first look to the last
 *      link there is nothing in between: two selects that face each other, on any objects in any
 *      order, are one before the other, and the later finds the earlier's parties.
 *   4. It parks. The first to claim the cell decides, be it through any of the parties, the deadline
 *      or a cancel; the parties' other finders lose their claims and pass on to the next in the list,
 *      with their items untouched.
 *   5. Awake, each party is unlinked under its own lock. The one that was claimed is marked as such
 *      (the claimer marks it under the lock, so it is seen by now); select waits until its item has
 *      changed hands (party.h) and returns its index.
 *
 * Step 2 with a default case is all there is to pirn_select_try: there was a moment when no case
 * could go.
 * The random start is drawn from a word in the first channel, whose lock is held anyway. Ready cases
 * that follow never-ready ones are picked more often, but every ready one has its turn.
 *
 * Rejected: trying case by case with one lock at a time and linking as it goes (two selects that
 * meet must then claim two cells at once, which takes a state between free and claimed in every
 * cell); looking before locking (a default case could be taken although at any moment some case was
 * ready).
 */
#include "api/channel/select.h"

#include <errno.h>
#include <limits.h>

static struct chance *chance_of(pirn_case *c)
{
    return (struct chance *)(void *)c->opaque;
}

/* ---- The kinds: sending and receiving ---- */

static struct core *core_of(const pirn_case *c)
{
    return ((pirn_channel *)c->object)->core;
}

static struct lock *channel_lock(const pirn_case *c)
{
    return &core_of(c)->lock;
}

static struct waiter **senders(const pirn_case *c)
{
    return &core_of(c)->sending;
}

static struct waiter **receivers(const pirn_case *c)
{
    return &core_of(c)->receiving;
}

static bool attempt_send(pirn_case *c, struct handover *h, int *ret_result)
{
    *ret_result = pirn_channel_offer(c->object, c->item, h);
    return *ret_result != -EAGAIN;
}

static bool attempt_recv(pirn_case *c, struct handover *h, int *ret_result)
{
    *ret_result = pirn_channel_take(c->object, c->item, h);
    return *ret_result != -EAGAIN;
}

static const struct case_kind_ops kinds[CASE_KINDS] = {
    [CASE_SEND] = {channel_lock, senders, attempt_send, NULL},
    [CASE_RECV] = {channel_lock, receivers, attempt_recv, NULL},
};

static const struct case_kind_ops *ops_of(const pirn_case *c)
{
    return &kinds[c->kind];
}

pirn_case pirn_case_send(pirn_channel *channel, const void *item)
{
    return (pirn_case){
        .kind = CASE_SEND, .object = channel, .item = (void *)(uintptr_t)item}; /* only read */
}

pirn_case pirn_case_recv(pirn_channel *channel, void *ret_item)
{
    return (pirn_case){.kind = CASE_RECV, .object = channel, .item = ret_item};
}

/* ---- All cases ---- */

static bool are_valid(const pirn_case *cases, size_t n)
{
    if ((cases == NULL && n != 0) || n > INT_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        const pirn_case *c = &cases[i];
        if (c->kind < 0 || c->kind >= CASE_KINDS)
            return false;
        if (c->kind <= CASE_RECV && c->object != NULL && c->item == NULL &&
            core_of(c)->elem_size != 0)
            return false;
    }
    return true;
}

/* The first in the order of locks; cases without an object are left out. */
static pirn_case *put_in_order(pirn_case *cases, size_t n)
{
    pirn_case *first = NULL;
    for (size_t i = 0; i < n; i++) {
        pirn_case *c = &cases[i], **at = &first;
        if (c->object == NULL)
            continue;
        uintptr_t lock = (uintptr_t)ops_of(c)->lock(c);
        while (*at != NULL && (uintptr_t)ops_of(*at)->lock(*at) <= lock)
            at = &chance_of(*at)->next;
        chance_of(c)->next = *at;
        *at = c;
    }
    return first;
}

static void lock_all(pirn_case *first)
{
    struct lock *last = NULL;
    for (pirn_case *c = first; c != NULL; c = chance_of(c)->next) {
        struct lock *lock = ops_of(c)->lock(c);
        if (lock != last)
            lock_take(lock);
        last = lock;
    }
}

static void unlock_all(pirn_case *first)
{
    struct lock *last = NULL;
    for (pirn_case *c = first; c != NULL; c = chance_of(c)->next) {
        struct lock *lock = ops_of(c)->lock(c);
        if (lock != last)
            lock_drop(lock);
        last = lock;
    }
}

/* Under the first case's lock. */
static size_t draw(pirn_case *first, size_t n)
{
    if (first == NULL || first->kind > CASE_RECV)
        return 0;
    struct core *c = core_of(first);
    c->random = c->random * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return (size_t)(c->random >> 33) % n;
}

/* Under all locks: the index of the case that has gone, or -EAGAIN. */
static int attempt_all(pirn_case *cases, size_t n, pirn_case *first, struct handover *h)
{
    size_t start = draw(first, n);
    for (size_t k = 0; k < n; k++) {
        size_t i = start + k < n ? start + k : start + k - n;
        pirn_case *c = &cases[i];
        int result;
        if (c->object != NULL && ops_of(c)->attempt(c, h, &result)) {
            c->result = result;
            return (int)i;
        }
    }
    return -EAGAIN;
}

static void link_all(pirn_case *first, struct wait *w)
{
    for (pirn_case *c = first; c != NULL; c = chance_of(c)->next) {
        struct party *p = &chance_of(c)->party;
        party_init(p, c->item, c->object);
        party_link(p, w, ops_of(c)->list(c));
    }
}

/* The case whose party was claimed, or NULL. */
static pirn_case *unlink_all(pirn_case *first)
{
    pirn_case *claimed = NULL;
    for (pirn_case *c = first; c != NULL; c = chance_of(c)->next) {
        struct party *p = &chance_of(c)->party;
        struct lock *lock = ops_of(c)->lock(c);
        lock_take(lock);
        pirn_waiter_unlink(ops_of(c)->list(c), &p->waiter);
        /* relaxed: marked under this lock */
        if (atomic_load_explicit(&p->state, memory_order_relaxed) != PARTY_WAITS)
            claimed = c;
        lock_drop(lock);
    }
    return claimed;
}

/* An object whose setter knows nothing of parties has ended the wait. */
static pirn_case *find_come(pirn_case *first)
{
    for (pirn_case *c = first; c != NULL; c = chance_of(c)->next)
        if (ops_of(c)->came != NULL && ops_of(c)->came(c, &c->result))
            return c;
    return NULL;
}

int pirn_select(pirn_case *cases, size_t n, pirn_time deadline)
{
    struct wait w;
    struct handover h = HANDOVER_INIT;
    if (!are_valid(cases, n))
        return -EINVAL;
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    pirn_case *first = put_in_order(cases, n);
    lock_all(first);
    int i = attempt_all(cases, n, first, &h);
    if (i < 0)
        link_all(first, &w);
    unlock_all(first);
    if (i >= 0) {
        handover_finish(&h);
        return i;
    }
    rc = pirn_wait_park(&w, "select", deadline.ns);
    pirn_case *gone = unlink_all(first);
    if (rc != 0)
        return rc;
    if (gone != NULL)
        gone->result = party_answer(&chance_of(gone)->party);
    else
        gone = find_come(first);
    return (int)(gone - cases);
}

int pirn_select_try(pirn_case *cases, size_t n)
{
    struct handover h = HANDOVER_INIT;
    if (!are_valid(cases, n))
        return -EINVAL;
    pirn_case *first = put_in_order(cases, n);
    lock_all(first);
    int i = attempt_all(cases, n, first, &h);
    unlock_all(first);
    if (i >= 0)
        handover_finish(&h);
    return i;
}
