/* Children for the tests of task groups (scopes), and what they leave behind. */
#ifndef PIRN_TESTS_ASYNCIO_GROUP_H
#define PIRN_TESTS_ASYNCIO_GROUP_H

#include "tests/support.h"

struct group {
    pirn_scope *scope;
    atomic_int started, cancelled, ended, dropped;
    atomic_int go;
    int status; /* that one of them fails with */
    pirn_task *opener;
};

static inline void group_open(struct group *g, int limit)
{
    CHECK_OK(pirn_scope_open(&g->scope, limit));
}

static inline void group_add(struct group *g, pirn_fn fn)
{
    CHECK_OK(pirn_scope_spawn(g->scope, fn, g, PIRN_NEVER));
}

/* Waits to be cancelled, once, cleans up in its own time, and says that it was. */
static inline int group_patient(void *arg)
{
    struct group *g = arg;
    atomic_fetch_add(&g->started, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    atomic_fetch_add(&g->cancelled, 1);
    CHECK_OK(pirn_sleep(pirn_after_us(300))); /* children are asked once */
    atomic_fetch_add(&g->ended, 1);
    return -ECANCELED;
}

/* The same, but its cleanup fails. */
static inline int group_fails_late(void *arg)
{
    struct group *g = arg;
    CHECK_EQ(group_patient(g), -ECANCELED);
    return -EIO;
}

/* Fails when told to. */
static inline int group_fails(void *arg)
{
    struct group *g = arg;
    atomic_fetch_add(&g->started, 1);
    while (!atomic_load(&g->go))
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
    atomic_fetch_add(&g->ended, 1);
    return g->status;
}

static inline int group_brief(void *arg)
{
    struct group *g = arg;
    atomic_fetch_add(&g->started, 1);
    CHECK_OK(pirn_sleep(pirn_after_us(300)));
    atomic_fetch_add(&g->ended, 1);
    return 0;
}

static inline void group_drop(void *arg)
{
    struct group *g = arg;
    atomic_fetch_add(&g->dropped, 1);
}

/* How often the caller is cancelled now; it must be once at most. */
static inline int group_pending(void)
{
    int n = pirn_yield() == -ECANCELED;
    CHECK_OK(pirn_yield());
    return n;
}

#endif
