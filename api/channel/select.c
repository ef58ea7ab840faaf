/*
 * Select: exactly one of several cases.
 *
 *   1. The cases of channels are brought into the order of their locks' addresses, and all locks
 *      are taken in that order (one that several cases share, once). Every select does so,
 *      everybody else takes one channel's lock at a time, and under them no other lock is taken: so
 *      there is no circle of who waits for whom.
 *   2. All cases are looked at, from a random one onwards. The first that can go goes, as a send or
 *      receive of its own would, and no other is touched. At this time no party of this select is
 *      in any list, so nobody can claim it: that this case goes needs no agreement with others but
 *      the claim of the peer.
 *   3. None can go: a party for each channel's case is linked, all with the same cell and
 *      generation. Then all locks are dropped. Whoever comes to one of these channels afterwards
 *      finds a party; whoever came before has been seen in step 2. Since every lock is held from
 *      the first look to the last link there is nothing in between: two selects that face each
 *      other, on any channels in any order, are one before the other, and the later finds the
 *      earlier's parties.
 *   4. Awaitables are linked one by one under their own locks. If one is found to have ended by
 *      now, select claims its own cell for it; if that fails a channel was first.
 *   5. It parks. The first to claim the cell decides, be it through any of the parties, the
 *      deadline or a cancel; the parties' other finders lose their claims and pass on to the next
 *      in the list, with their items untouched.
 *   6. Awake, each party is unlinked under its own lock. The one that was claimed is marked as such
 *      (the claimer marks it under the lock, so it is seen by now); select waits until its item has
 *      changed hands (party.h) and returns its index. None was: then an awaitable ended the wait,
 *      and has ended.
 *
 * tests/model/select.pml checks steps 1 to 3, 5 and 6, beside plain sends and receives and a
 * cancel.
 *
 * Steps 1 and 2 are all there is to pirn_select_try: there was a moment when no case could go. The
 * random start is drawn from a word in the first channel, whose lock is held anyway. Ready cases
 * that follow never-ready ones are picked more often, but every ready one has its turn.
 *
 * Rejected: trying case by case with one lock at a time and linking as it goes (two selects that
 * meet must then claim two cells at once, which takes a state between free and claimed in every
 * cell); looking before locking (a default case could be taken although at any moment some case was
 * ready); awaitables' locks among those that are held together (a task's lock is taken with others
 * held elsewhere, in another order).
 */
#include "api/channel/select.h"

#include <errno.h>
#include <limits.h>

#include "runtime/debug.h"

pirn_case pirn_case_send(pirn_channel *channel, const void *item)
{
    return (pirn_case){
        .kind = CASE_SEND, .object = channel, .item = (void *)(uintptr_t)item}; /* only read */
}

pirn_case pirn_case_recv(pirn_channel *channel, void *ret_item)
{
    return (pirn_case){.kind = CASE_RECV, .object = channel, .item = ret_item};
}

static bool is_channel(const pirn_case *c)
{
    return c->kind != CASE_AWAIT;
}

static struct core *core_of(const pirn_case *c)
{
    return ((pirn_channel *)c->object)->core;
}

static struct waiter **list_of(const pirn_case *c)
{
    return c->kind == CASE_SEND ? &core_of(c)->sending : &core_of(c)->receiving;
}

static const char told[] = ""; /* what is wrong has been told of */
static const char own[] = "a task is among those whose end it waits for";

/* What is wrong with a call; NULL: nothing. */
static const char *fault(const pirn_case *cases, size_t n)
{
    const char *why = NULL;
    if ((cases == NULL && n != 0) || n > INT_MAX)
        return cases == NULL ? MISUSE_NULL : "n is out of range";
    for (size_t i = 0; i < n && why == NULL; i++) {
        const pirn_case *c = &cases[i];
        if (c->kind < 0 || c->kind >= CASE_KINDS)
            return "a case is none that pirn_case_send and its kin have made";
        if (is_channel(c) && c->object != NULL)
            why = misuse_of_item(c->item, core_of(c)->elem_size);
        if (c->kind == CASE_AWAIT && pirn_case_is_dead(c))
            why = told;
        else if (c->kind == CASE_AWAIT && c->object != NULL && c->object == pirn_current())
            why = own;
    }
    return why;
}

static int refuse(const char *call, const char *why)
{
    return why == told ? -EINVAL : pirn_misuse(call, why == own ? -EDEADLK : -EINVAL, why);
}

/* ---- The channels' cases, in the order of locks ---- */

/* The first; cases without a channel are left out. */
static pirn_case *put_in_order(pirn_case *cases, size_t n)
{
    pirn_case *first = NULL;
    for (size_t i = 0; i < n; i++) {
        pirn_case *c = &cases[i], **at = &first;
        if (c->object == NULL || !is_channel(c))
            continue;
        while (*at != NULL && (uintptr_t)core_of(*at) <= (uintptr_t)core_of(c))
            at = &chance_of(*at)->next;
        chance_of(c)->next = *at;
        *at = c;
    }
    return first;
}

static void lock_all(pirn_case *first)
{
    struct core *last = NULL;
    for (pirn_case *c = first; c != NULL; c = chance_of(c)->next) {
        if (core_of(c) != last)
            lock_take(&core_of(c)->lock);
        last = core_of(c);
    }
}

static void unlock_all(pirn_case *first)
{
    struct core *last = NULL;
    for (pirn_case *c = first; c != NULL; c = chance_of(c)->next) {
        if (core_of(c) != last)
            lock_drop(&core_of(c)->lock);
        last = core_of(c);
    }
}

static void link_all(pirn_case *first, struct wait *w)
{
    for (pirn_case *c = first; c != NULL; c = chance_of(c)->next) {
        struct party *p = &chance_of(c)->party;
        party_init(p, c->item, &((pirn_channel *)c->object)->through);
        party_link(p, w, list_of(c));
    }
}

/* The case whose party was claimed, or NULL. */
static pirn_case *unlink_all(pirn_case *first)
{
    pirn_case *claimed = NULL;
    for (pirn_case *c = first; c != NULL; c = chance_of(c)->next) {
        struct party *p = &chance_of(c)->party;
        lock_take(&core_of(c)->lock);
        party_unlink(p, list_of(c));
        /* relaxed: marked under this lock */
        if (atomic_load_explicit(&p->state, memory_order_relaxed) != PARTY_WAITS)
            claimed = c;
        lock_drop(&core_of(c)->lock);
    }
    return claimed;
}

/* ---- Looking ---- */

/* Under all locks. Without channels the first case will do: what has ended stays so. */
static size_t draw(const pirn_case *first, size_t n)
{
    if (first == NULL)
        return 0;
    struct core *c = core_of(first);
    c->random = c->random * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return (size_t)(c->random >> 33) % n;
}

static bool attempt(pirn_case *c, struct handover *h)
{
    if (c->object == NULL)
        return false;
    if (c->kind == CASE_AWAIT)
        return pirn_case_has_come(c);
    int rc = c->kind == CASE_SEND ? pirn_channel_offer(c->object, c->item, h)
                                  : pirn_channel_take(c->object, c->item, h);
    if (rc == -EAGAIN)
        return false;
    c->result = rc;
    return true;
}

/* Under all locks: the index of the case that has gone, or -EAGAIN. */
static int attempt_all(pirn_case *cases, size_t n, pirn_case *first, struct handover *h)
{
    size_t start = draw(first, n);
    for (size_t k = 0; k < n; k++) {
        size_t i = start + k < n ? start + k : start + k - n;
        if (attempt(&cases[i], h))
            return (int)i;
    }
    return -EAGAIN;
}

/* ---- The awaitables' cases, one by one ---- */

static bool is_awaited(const pirn_case *c)
{
    return c->kind == CASE_AWAIT && c->object != NULL;
}

/* False: one has ended; not all are linked then. */
static bool link_awaited(pirn_case *cases, size_t n, const struct wait *w)
{
    for (size_t i = 0; i < n; i++)
        if (is_awaited(&cases[i]))
            party_init(&chance_of(&cases[i])->party, NULL, NULL);
    for (size_t i = 0; i < n; i++)
        if (is_awaited(&cases[i]) && !pirn_case_link(&cases[i], w))
            return false;
    return true;
}

static void unlink_awaited(pirn_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_awaited(&cases[i]))
            pirn_case_unlink(&cases[i]);
}

static int find_come(pirn_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_awaited(&cases[i]) && pirn_case_has_come(&cases[i]))
            return (int)i;
    return -EAGAIN; /* not to be had: one has ended */
}

/* ---- Select ---- */

int pirn_select(pirn_case *cases, size_t n, pirn_time deadline)
{
    struct wait w;
    struct handover h;
    const char *why = fault(cases, n);
    if (why != NULL)
        return refuse(__func__, why);
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    pirn_case *first = put_in_order(cases, n);
    handover_init(&h);
    lock_all(first);
    int i = attempt_all(cases, n, first, &h);
    if (i < 0)
        link_all(first, &w);
    unlock_all(first);
    if (i >= 0) {
        handover_finish(&h);
        return i;
    }
    /* Not parked: our own claim is the first, or it is lost to another's, which ends the park. */
    if (link_awaited(cases, n, &w) || pirn_cell_claim(w.cell, w.gen, WAKE_OBJECT) == CLAIM_LOST)
        rc = pirn_wait_park(&w, "select", deadline.ns);
    pirn_case *gone = unlink_all(first);
    unlink_awaited(cases, n);
    if (rc != 0)
        return rc;
    if (gone == NULL)
        return find_come(cases, n);
    gone->result = party_answer(&chance_of(gone)->party);
    return (int)(gone - cases);
}

int pirn_select_try(pirn_case *cases, size_t n)
{
    struct handover h;
    const char *why = fault(cases, n);
    if (why != NULL)
        return refuse(__func__, why);
    pirn_case *first = put_in_order(cases, n);
    handover_init(&h);
    lock_all(first);
    int i = attempt_all(cases, n, first, &h);
    unlock_all(first);
    if (i >= 0)
        handover_finish(&h);
    return i;
}
