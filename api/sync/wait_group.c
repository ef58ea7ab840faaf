/*
 * Wait groups: a count to become zero (Go's). The state is the count. The change that makes it zero
 * claims everybody who waits, under BUSY, so an add that follows at once does not hold them back;
 * every other change is one compare-and-swap.
 */
#include "api/sync/sync.h"

#include <limits.h>

#include "runtime/debug.h"

struct wait_group {
    struct sync s;
} SYNC_OBJECT;

_Static_assert(sizeof(struct wait_group) <= sizeof(pirn_wait_group),
               "pirn_wait_group is too small");

static struct wait_group *wait_group_of(pirn_wait_group *group)
{
    return (struct wait_group *)(void *)group;
}

int pirn_wait_group_init(pirn_wait_group *group)
{
    if (group == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    *group = (pirn_wait_group)PIRN_WAIT_GROUP_INIT;
    return 0;
}

/* The state after n more; or -EINVAL, -EOVERFLOW. */
static int64_t sum(uint64_t word, int n)
{
    int64_t count = (int64_t)(word >> SYNC_SHIFT) + n;
    return count < 0 ? -EINVAL : count > INT_MAX ? -EOVERFLOW : count << SYNC_SHIFT;
}

static int refuse(const char *call, int rc)
{
    return pirn_misuse(call, rc,
                       rc == -EINVAL ? "more are done than were added"
                                     : "more are added than can be counted");
}

static int add_slowly(const char *call, struct wait_group *g, int n)
{
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    uint64_t state = sync_take(&g->s);
    int64_t next = sum(state, n);
    if (next == 0)
        pirn_sync_claim_all(&g->s, &wakeups);
    sync_drop(&g->s, next < 0 ? state : (uint64_t)next);
    pirn_wakeups_run(&wakeups);
    return next < 0 ? refuse(call, (int)next) : 0;
}

static inline int add(const char *call, pirn_wait_group *group, int n)
{
    struct wait_group *g = wait_group_of(group);
    if (g == NULL)
        return pirn_misuse(call, -EINVAL, MISUSE_NULL);
    uint64_t word = sync_load(&g->s);
    while ((word & SYNC_BUSY) == 0) {
        int64_t next = sum(word, n);
        if (next < 0)
            return refuse(call, (int)next);
        if (next == 0 && (word & SYNC_WAITERS) != 0)
            break;
        if (sync_swap(&g->s, &word, (uint64_t)next | (word & SYNC_WAITERS)))
            return 0;
    }
    return add_slowly(call, g, n);
}

int pirn_wait_group_add(pirn_wait_group *group, int n)
{
    return add(__func__, group, n);
}

int pirn_wait_group_done(pirn_wait_group *group)
{
    return add(__func__, group, -1);
}

int pirn_wait_group_count(const pirn_wait_group *group)
{
    const struct wait_group *g = (const void *)group;
    return g == NULL ? -EINVAL : (int)(sync_load(&g->s) >> SYNC_SHIFT);
}

int pirn_wait_group_wait(pirn_wait_group *group, pirn_time deadline)
{
    struct wait_group *g = wait_group_of(group);
    struct wait w;
    if (g == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = pirn_wait_enter(&w);
    if (rc != 0 || sync_state(&g->s) == 0)
        return rc;
    uint64_t state = sync_take(&g->s);
    if (state != 0)
        return pirn_sync_wait(&g->s, state, &w, "wait group", deadline.ns);
    sync_drop(&g->s, 0);
    return 0;
}
