/* Task groups: failures at the same instant, requests that meet the group's own cancel, spawns that
 * meet it, and who cancels a group that is closed at once (rows A108, A99, A102, A106). */
#include "tests/asyncio/group.h"
#include "tests/race/race.h"

/* ---- A108: two children fail at the same instant --------------------------------------------- */

struct pair {
    struct group g;
    atomic_int here;
    pirn_task *task[2];
    int seen[2]; /* who was first */
};

static int fail_now(struct pair *p, int status)
{
    atomic_fetch_add(&p->here, 1);
    while (atomic_load(&p->here) < 2)
        (void)pirn_yield(); /* cancelled, perhaps: the other one was very quick */
    support_spin(support_between(0, 2 * US));
    return status;
}

static int fail_a(void *arg)
{
    return fail_now(arg, -EPIPE);
}

static int fail_b(void *arg)
{
    return fail_now(arg, -EIO);
}

static int counts_cancels(void *arg)
{
    struct pair *p = arg;
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_cancelling(NULL), 1); /* the abort was done once */
    CHECK_OK(pirn_yield());
    atomic_fetch_add(&p->g.ended, 1);
    return -ECANCELED;
}

static void both_fail(struct pair *p, int round, unsigned flags)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_scope_error e[3];
    pirn_fn fns[2] = {fail_a, fail_b};
    config.flags = flags;
    atomic_store(&p->here, 0);
    atomic_store(&p->g.ended, 0);
    group_open(&p->g, 0);
    CHECK_OK(pirn_scope_spawn(p->g.scope, counts_cancels, p, PIRN_NEVER));
    CHECK_OK(pirn_yield());
    for (int i = 0; i < 2; i++) {
        int which = (i + round) % 2;
        CHECK_OK(
            pirn_scope_spawn_task(p->g.scope, &p->task[which], &config, fns[which], p, PIRN_NEVER));
    }
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    int rc = pirn_scope_wait(p->g.scope, PIRN_NEVER), first = rc == -EIO;
    CHECK(rc == -EPIPE || rc == -EIO);
    p->seen[first]++;
    CHECK_EQ(pirn_scope_errors(p->g.scope, e, 3), 2);
    CHECK(e[0].task == p->task[first] && e[0].status == rc);
    CHECK(e[1].task == p->task[!first] && e[1].status == (first ? -EPIPE : -EIO));
    CHECK_EQ(pirn_scope_close(p->g.scope, PIRN_NEVER), rc);
    for (int i = 0; i < 2; i++)
        CHECK_OK(pirn_release(p->task[i]));
    CHECK_LE(p->g.ended, 1); /* 0: it was cancelled before it began */
    CHECK_OK(pirn_yield());
}

static int fail_together(void *arg)
{
    struct pair p = {.here = 0};
    (void)arg;
    for (int i = 0; i < support_rounds(3100); i++)
        both_fail(&p, i, 0);
    for (int i = 0; i < support_rounds(300); i++)
        both_fail(&p, i, PIRN_PINNED); /* on threads of their own, also at W = 1 */
    CHECK_GE(p.seen[0], support_rounds(34));
    CHECK_GE(p.seen[1], support_rounds(34));
    return 0;
}

/* ---- A request meets the group's own cancel -------------------------------------------------- */

/* A plain thread asks the opener to end at about the moment when the group is cancelled. However
 * they meet, the opener hears of the request once: by what the close returns, or later. */
struct meeting {
    struct group g;
    pirn_task *opener;
    bool fails, before, after; /* now and then it asks before the close, or after it */
    atomic_int round, acted, closed, over;
    int seen[2]; /* the close told it, or it was pending */
};

static void *asks(void *arg)
{
    struct meeting *m = arg;
    for (int i = 1;; i++) {
        race_wait(&m->round, i);
        if (atomic_load(&m->over))
            return NULL;
        support_spin(support_between(0, 40 * US));
        if (m->after)
            race_wait(&m->closed, i);
        CHECK_OK(pirn_cancel(m->opener, "asked"));
        atomic_store(&m->acted, i);
    }
}

static int ends_group(void *arg)
{
    struct meeting *m = arg;
    support_spin(support_between(0, 20 * US));
    if (m->fails)
        return -EPIPE;
    CHECK_OK(pirn_scope_cancel(m->g.scope, "ended"));
    return 0;
}

static void meet_once(struct meeting *m, int i)
{
    m->fails = i % 2;
    m->before = i % 16 == 2; /* so that each is seen on any machine */
    m->after = i % 16 == 3 || i % 16 == 4;
    group_open(&m->g, 0);
    CHECK_OK(pirn_scope_spawn(m->g.scope, ends_group, m, PIRN_NEVER));
    atomic_store(&m->round, i);
    int rc = pirn_sleep(PIRN_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_OK(pirn_scope_fail(m->g.scope, rc));
    CHECK_EQ(pirn_yield(), -ECANCELED);
    while (m->before && atomic_load(&m->acted) < i)
        CHECK_EQ(pirn_yield(), -ECANCELED);
    rc = pirn_scope_close(m->g.scope, PIRN_NEVER);
    atomic_store(&m->closed, i);
    if (!m->fails || rc != -EPIPE) /* the child may have been cancelled before it began */
        CHECK(rc == 0 || rc == -ECANCELED);
    int told = rc == -ECANCELED, later = 0;
    while (atomic_load(&m->acted) < i)
        later += pirn_yield() == -ECANCELED;
    later += group_pending();
    CHECK_EQ(told + later, 1);
    if (m->before || m->after)
        CHECK_EQ(told, m->before);
    m->seen[later]++;
    CHECK_EQ(pirn_uncancel(), 0);
}

static int requests_meet(void *arg)
{
    struct meeting m = {.opener = pirn_current()};
    (void)arg;
    pthread_t thread = support_thread(asks, &m);
    int rounds = support_rounds(3400);
    for (int i = 1; i <= rounds; i++)
        meet_once(&m, i);
    atomic_store(&m.over, 1);
    atomic_store(&m.round, rounds + 1);
    support_thread_join(thread);
    CHECK_GE(m.seen[0], rounds / 100);
    CHECK_GE(m.seen[1], rounds / 100);
    return 0;
}

/* ---- Spawns meet the cancel: every argument is dropped exactly once -------------------------- */

struct offers {
    pirn_scope *scope;
    atomic_int begun, dropped;
    atomic_int round, over;
};

static void drop_offer(void *arg)
{
    struct offers *o = arg;
    atomic_fetch_add(&o->dropped, 1);
}

static int taken(void *arg)
{
    struct offers *o = arg;
    atomic_fetch_add(&o->begun, 1);
    return pirn_sleep(PIRN_NEVER); /* until the cancel comes, however it came in */
}

static void *cancels_scopes(void *arg)
{
    struct offers *o = arg;
    for (int i = 1;; i++) {
        race_wait(&o->round, i);
        if (atomic_load(&o->over))
            return NULL;
        support_spin(support_between(0, 30 * US));
        CHECK_OK(pirn_scope_cancel(o->scope, "no more"));
    }
}

static int spawns_meet(void *arg)
{
    struct offers o = {.round = 0};
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    (void)arg;
    config.arg_drop = drop_offer;
    pthread_t thread = support_thread(cancels_scopes, &o);
    int rounds = support_rounds(1000);
    for (int i = 1; i <= rounds; i++) {
        int offered = 0, rc = 0, went_in = 0;
        atomic_store(&o.dropped, 0);
        atomic_store(&o.begun, 0);
        CHECK_OK(pirn_scope_open(&o.scope, i % 3));
        atomic_store(&o.round, i);
        for (; rc == 0; offered++) {
            rc = pirn_scope_spawn_with(o.scope, &config, taken, &o, PIRN_NEVER);
            went_in += rc == 0;
        }
        CHECK_EQ(rc, -ECANCELED);
        /* The thread may still be inside its call: the close waits for that. */
        CHECK_OK(pirn_scope_close(o.scope, PIRN_NEVER));
        CHECK_EQ(atomic_load(&o.dropped), offered);
        CHECK_LE(atomic_load(&o.begun), went_in);
        CHECK_OK(pirn_yield());
    }
    atomic_store(&o.over, 1);
    atomic_store(&o.round, rounds + 1);
    support_thread_join(thread);
    return 0;
}

/* ---- Whoever cancels a group may find it closed when it comes back --------------------------- */

static void *cancels_late(void *arg)
{
    CHECK_OK(pirn_scope_cancel(arg, "over"));
    return NULL;
}

static int closed_at_once(void *arg)
{
    (void)arg;
    for (int i = 0; i < support_rounds(1000); i++) {
        struct group g = {0};
        group_open(&g, 0);
        if (i % 2)
            group_add(&g, group_patient);
        pthread_t thread = support_thread(cancels_late, g.scope);
        CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
        int rc = pirn_scope_close(g.scope, PIRN_NEVER); /* freed here */
        memset(&g, 0xa5, sizeof(g));
        support_thread_join(thread);
        CHECK_OK(rc);
    }
    return 0;
}

SUPPORT_EACH(a108_two_fail_at_once, fail_together, 1)
SUPPORT_EACH(a102_request_is_told_once, requests_meet, 1)
SUPPORT_EACH(a106_spawns_meet_the_cancel, spawns_meet, 1)
SUPPORT_EACH(a106_closed_while_it_is_cancelled, closed_at_once, 1)

SUPPORT_MAIN("group_race", a108_two_fail_at_once, a102_request_is_told_once,
             a106_spawns_meet_the_cancel, a106_closed_while_it_is_cancelled)
