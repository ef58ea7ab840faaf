/*
 * Events: a flag to wait for. The word's state is the flag; who waits is claimed by the set, so a
 * clear that follows at once does not hold anybody back (asyncio's rule). A set that comes first is
 * seen under BUSY by whoever is about to sleep, so none is lost.
 *
 * A set takes the word even if the flag is there already: what was done before it must be seen by
 * who finds the flag.
 */
#include "api/sync/sync.h"

#include "runtime/debug.h"

enum {
    SET = SYNC_FIRST
};

struct event {
    struct sync s;
} SYNC_OBJECT;

_Static_assert(sizeof(struct event) <= sizeof(pirn_event), "pirn_event is too small");

static struct event *event_of(pirn_event *event)
{
    return (struct event *)(void *)event;
}

int pirn_event_init(pirn_event *event)
{
    if (event == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    *event = (pirn_event)PIRN_EVENT_INIT;
    return 0;
}

int pirn_event_set(pirn_event *event)
{
    struct event *e = event_of(event);
    struct wakeups wakeups;
    if (e == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    wakeups_init(&wakeups);
    sync_take(&e->s);
    pirn_sync_claim_all(&e->s, &wakeups);
    sync_drop(&e->s, SET);
    pirn_wakeups_run(&wakeups);
    return 0;
}

int pirn_event_clear(pirn_event *event)
{
    struct event *e = event_of(event);
    if (e == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    sync_take(&e->s);
    sync_drop(&e->s, 0);
    return 0;
}

bool pirn_event_is_set(const pirn_event *event)
{
    const struct event *e = (const void *)event;
    return e != NULL && sync_state(&e->s) == SET;
}

int pirn_event_wait(pirn_event *event, pirn_time deadline)
{
    struct event *e = event_of(event);
    struct wait w;
    if (e == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = pirn_wait_enter(&w);
    if (rc != 0 || sync_state(&e->s) == SET)
        return rc;
    if (sync_take(&e->s) != SET)
        return pirn_sync_wait(&e->s, 0, &w, "event", deadline.ns);
    sync_drop(&e->s, SET);
    return 0;
}
