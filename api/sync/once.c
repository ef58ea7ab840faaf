/*
 * Once: the first caller runs the function, others wait for its result.
 *
 * State: 0, the running caller's cell, or DONE. A run that fails is not remembered: the failure is
 * its caller's, and the waiter that has been there longest is claimed and made the one who runs,
 * with its own function. So a caller that was cancelled inside the function does not spoil it for
 * the others, and a function that always fails is tried once by each. Remembering the failure was
 * rejected for that reason; who wants it returns 0 and keeps the error beside the value.
 */
#include "api/sync/sync.h"

#include "runtime/debug.h"

enum {
    DONE = SYNC_FIRST
};

struct once {
    struct sync s;
    int status; /* written under BUSY before DONE is published, then constant */
} SYNC_OBJECT;

_Static_assert(sizeof(struct once) <= sizeof(pirn_once), "pirn_once is too small");

static struct once *once_of(pirn_once *once)
{
    return (struct once *)(void *)once;
}

int pirn_once_init(pirn_once *once)
{
    if (once == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    *once = (pirn_once)PIRN_ONCE_INIT;
    return 0;
}

bool pirn_once_is_done(const pirn_once *once)
{
    const struct once *o = (const void *)once;
    return o != NULL && sync_state(&o->s) == DONE;
}

static int run(struct once *o, pirn_fn fn, void *arg)
{
    struct wakeups wakeups;
    int status = fn(arg);
    wakeups_init(&wakeups);
    sync_take(&o->s);
    if (status >= 0) {
        o->status = status;
        pirn_sync_claim_all(&o->s, &wakeups);
        sync_drop(&o->s, DONE);
    } else {
        sync_drop(&o->s, pirn_sync_claim_first(&o->s, &wakeups));
    }
    pirn_wakeups_run(&wakeups);
    return status;
}

int pirn_once_do(pirn_once *once, pirn_fn fn, void *arg, pirn_time deadline)
{
    struct once *o = once_of(once);
    struct wait w;
    if (o == NULL || fn == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    if (sync_state(&o->s) == DONE)
        return o->status;
    uint64_t me = (uintptr_t)w.cell, state = sync_take(&o->s);
    if (state == me || state == DONE) {
        sync_drop(&o->s, state);
        return state == me
                   ? pirn_misuse(__func__, -EDEADLK, "the call is made inside its own function")
                   : o->status;
    }
    if (state == 0)
        sync_drop(&o->s, me);
    else
        rc = pirn_sync_wait(&o->s, state, &w, "once", deadline.ns);
    if (rc != 0)
        return rc;
    return sync_state(&o->s) == DONE ? o->status : run(o, fn, arg); /* not done: it is our turn */
}
