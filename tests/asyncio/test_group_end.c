/* Task groups: cancelled openers, nesting, refusals, use in the wrong order, memory (rows A102 to
 * A107, A110). */
#include "tests/asyncio/group.h"

/* ---- A102: the opener is cancelled ----------------------------------------------------------- */

static int opener_in_body(void *arg)
{
    struct group *g = arg;
    group_open(g, 0);
    group_add(g, group_patient);
    group_add(g, group_patient);
    int rc = pirn_sleep(PIRN_NEVER);
    CHECK_EQ(pirn_sleep(pirn_after_us(100)), 0); /* a request comes once: the scope still stands */
    CHECK_OK(pirn_scope_fail(g->scope, rc));
    CHECK_EQ(pirn_yield(), -ECANCELED); /* and now it is cancelled */
    rc = pirn_scope_close(g->scope, PIRN_NEVER);
    CHECK_EQ(g->ended, 2);
    CHECK_EQ(group_pending(), 0);
    CHECK_EQ(pirn_cancelling(NULL), 1);
    return rc;
}

static int opener_in_wait(void *arg)
{
    struct group *g = arg;
    group_open(g, 0);
    group_add(g, group_patient);
    group_add(g, group_patient);
    CHECK_EQ(pirn_scope_wait(g->scope, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(g->ended, 2);
    CHECK_EQ(pirn_scope_errors(g->scope, NULL, 0), 0);
    CHECK_EQ(group_pending(), 0);
    return pirn_scope_close(g->scope, PIRN_NEVER);
}

/* What a child fails with is reported, and the cancel is not lost: it is pending. */
static int opener_hears_both(void *arg)
{
    struct group *g = arg;
    group_open(g, 0);
    group_add(g, group_patient);
    group_add(g, group_fails_late);
    CHECK_EQ(pirn_scope_close(g->scope, PIRN_NEVER), -EIO);
    CHECK_EQ(pirn_cancelling(NULL), 1);
    CHECK_EQ(group_pending(), 1);
    return -ECANCELED;
}

static void *cancel_on_thread(void *arg)
{
    CHECK_OK(pirn_cancel(arg, "from a thread"));
    return NULL;
}

static int parent_cancelled(void *arg)
{
    (void)arg;
    pirn_fn openers[] = {opener_in_body, opener_in_wait, opener_hears_both};
    for (int i = 0; i < 6; i++) {
        struct group g = {0};
        pirn_task *task = support_spawn(openers[i / 2], &g);
        support_until(&g.started, 2);
        support_until_waiting(task);
        if (i % 2)
            support_thread_join(support_thread(cancel_on_thread, task));
        else
            CHECK_OK(pirn_cancel(task, NULL));
        CHECK_EQ(support_join(task), -ECANCELED);
        CHECK_EQ(g.ended, 2);
    }
    return 0;
}

/* ---- A105: an inner and an outer group fail together ----------------------------------------- */

struct both {
    struct group outer, inner;
    atomic_int here, order;
    int outer_at, inner_at; /* who was first to fail */
};

static int fails_together(struct both *b, struct group *g, int *ret_at)
{
    atomic_fetch_add(&g->started, 1);
    CHECK_OK(pirn_shield_enter()); /* both go on without being told of the other's end */
    atomic_fetch_add(&b->here, 1);
    while (atomic_load(&b->here) < 3)
        CHECK_OK(pirn_yield());
    support_spin(support_between(0, 20 * US));
    *ret_at = atomic_fetch_add(&b->order, 1);
    return g->status;
}

static int outer_fails(void *arg)
{
    struct both *b = arg;
    return fails_together(b, &b->outer, &b->outer_at);
}

static int inner_fails(void *arg)
{
    struct both *b = arg;
    return fails_together(b, &b->inner, &b->inner_at);
}

static int asked_once(void *arg)
{
    struct group *g = arg;
    atomic_fetch_add(&g->started, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_yield());
    atomic_fetch_add(&g->ended, 1);
    return -ECANCELED;
}

static void both_fail_once(struct both *b, bool outer_is_spawned_first)
{
    struct group *outer = &b->outer, *inner = &b->inner;
    pirn_scope_error e[2];
    *b = (struct both){.outer = {.status = -ENXIO}, .inner = {.status = -EPIPE}};
    group_open(outer, 0);
    CHECK_OK(pirn_scope_spawn(outer->scope, asked_once, outer, PIRN_NEVER));
    group_open(inner, 0);
    CHECK_OK(pirn_scope_spawn(inner->scope, asked_once, inner, PIRN_NEVER));
    for (int i = 0; i < 2; i++) {
        bool of_outer = (i == 0) == outer_is_spawned_first;
        CHECK_OK(pirn_scope_spawn(of_outer ? outer->scope : inner->scope,
                                  of_outer ? outer_fails : inner_fails, b, PIRN_NEVER));
    }
    while (atomic_load(&outer->started) + atomic_load(&inner->started) < 4)
        CHECK_OK(pirn_yield());
    atomic_fetch_add(&b->here, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_scope_wait(inner->scope, PIRN_NEVER), -EPIPE); /* its own, whichever came first */
    CHECK_EQ(pirn_scope_errors(inner->scope, e, 2), 1);
    CHECK_EQ(e[0].status, -EPIPE);
    CHECK_EQ(pirn_scope_close(inner->scope, PIRN_NEVER), -EPIPE);
    CHECK_EQ(inner->ended, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED); /* not yet out of the outer one */
    CHECK_EQ(pirn_scope_wait(outer->scope, PIRN_NEVER), -ENXIO);
    CHECK_EQ(pirn_scope_errors(outer->scope, e, 2), 1);
    CHECK_EQ(e[0].status, -ENXIO);
    CHECK_EQ(pirn_scope_close(outer->scope, PIRN_NEVER), -ENXIO);
    CHECK_EQ(outer->ended, 1);
    CHECK_EQ(pirn_cancelling(NULL), 0);
    CHECK_EQ(group_pending(), 0);
}

static int both_fail(void *arg)
{
    int rounds = support_rounds(3400), outer_first = 0;
    struct both b;
    (void)arg;
    for (int i = 0; i < rounds; i++) {
        both_fail_once(&b, i % 2 != 0);
        outer_first += b.outer_at < b.inner_at;
    }
    CHECK_GE(outer_first, rounds / 100);
    CHECK_LE(outer_first, rounds - rounds / 100);
    return 0;
}

/* ---- A106: refusals -------------------------------------------------------------------------- */

static int never(void *arg)
{
    (void)arg;
    CHECK(!"this body never runs");
    return 0;
}

static int refusals(void *arg)
{
    (void)arg;
    for (int limit = 0; limit < 2; limit++) {
        struct group g = {0};
        pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
        pirn_task *task = NULL;
        config.arg_drop = group_drop;
        group_open(&g, limit);
        group_add(&g, group_patient);
        support_until(&g.started, 1);
        if (limit == 1) { /* no place: the argument is still the caller's */
            pirn_time soon = pirn_after_us(300);
            CHECK_EQ(pirn_scope_spawn_with(g.scope, &config, never, &g, soon), -ETIMEDOUT);
            CHECK_EQ(g.dropped, 0);
        }
        CHECK_EQ(pirn_scope_spawn_task(g.scope, NULL, &config, never, &g, PIRN_NEVER), -EINVAL);
        CHECK_EQ(pirn_scope_spawn_with(g.scope, &config, NULL, &g, PIRN_NEVER), -EINVAL);
        CHECK_EQ(g.dropped, 0);
        CHECK_OK(pirn_scope_cancel(g.scope, NULL));
        CHECK_OK(pirn_scope_cancel(g.scope, NULL)); /* once more changes nothing */
        CHECK_EQ(pirn_scope_spawn_with(g.scope, &config, never, &g, PIRN_NEVER), -ECANCELED);
        CHECK_EQ(g.dropped, 1);
        CHECK_OK(pirn_shield_enter()); /* the scope itself refuses, too */
        CHECK_EQ(pirn_scope_spawn_task(g.scope, &task, &config, never, &g, PIRN_NEVER), -ECANCELED);
        CHECK_OK(pirn_shield_leave());
        CHECK_EQ(g.dropped, 2);
        CHECK(task == NULL);
        CHECK_OK(pirn_scope_wait(g.scope, PIRN_NEVER));
        CHECK_EQ(pirn_scope_spawn_with(g.scope, &config, never, &g, PIRN_NEVER), -EINVAL);
        CHECK_EQ(pirn_scope_wait(g.scope, PIRN_NEVER), -EINVAL); /* used up */
        CHECK_EQ(pirn_scope_fail(g.scope, -EIO), -EINVAL);
        CHECK_EQ(pirn_scope_cancel(g.scope, NULL), -EALREADY);
        CHECK_OK(pirn_scope_close(g.scope, PIRN_NOW));
        CHECK_EQ(g.dropped, 2);
    }
    CHECK_EQ(pirn_scope_wait(NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_scope_fail(NULL, -EIO), -EINVAL);
    CHECK_EQ(pirn_scope_errors(NULL, NULL, 0), -EINVAL);
    return 0;
}

/* A reference to a child may go at any time: the child is the scope's. */
static int handle_dropped(void *arg)
{
    (void)arg;
    struct group g = {0};
    pirn_task *child;
    group_open(&g, 0);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(pirn_scope_spawn_task(g.scope, &child, NULL, group_brief, &g, PIRN_NEVER));
        CHECK_OK(i % 2 ? pirn_release(child) : pirn_detach(child));
    }
    CHECK_OK(pirn_scope_close(g.scope, PIRN_NEVER));
    CHECK_EQ(g.ended, 4);
    return 0;
}

/* ---- Who may close, and when ----------------------------------------------------------------- */

static int not_mine(void *arg)
{
    struct group *g = arg;
    CHECK_EQ(pirn_scope_wait(g->scope, PIRN_NEVER), -EPERM);
    CHECK_EQ(pirn_scope_close(g->scope, PIRN_NEVER), -EPERM);
    CHECK_EQ(pirn_scope_fail(g->scope, -EIO), -EPERM);
    return 0;
}

static void *not_mine_either(void *arg)
{
    not_mine(arg);
    return NULL;
}

static int from_inside(void *arg)
{
    struct group *g = arg;
    CHECK_EQ(pirn_scope_wait(g->scope, PIRN_NEVER), -EDEADLK);
    CHECK_EQ(pirn_scope_close(g->scope, PIRN_NEVER), -EDEADLK);
    CHECK_EQ(pirn_scope_fail(g->scope, -EIO), -EPERM);
    return 0;
}

static int wrong_order(void *arg)
{
    (void)arg;
    struct group outer = {0}, inner = {0};
    pirn_timeout timeout = PIRN_TIMEOUT_INIT, around = PIRN_TIMEOUT_INIT;
    CHECK_OK(pirn_timeout_enter(&around, PIRN_NEVER));
    group_open(&outer, 0);
    group_open(&inner, 0);
    CHECK_OK(pirn_timeout_enter(&timeout, PIRN_NEVER));
    CHECK_EQ(pirn_scope_close(inner.scope, PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_timeout_leave(&timeout, 0));
    CHECK_EQ(pirn_scope_wait(outer.scope, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_scope_close(outer.scope, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_timeout_leave(&around, 0), -EINVAL);
    group_add(&outer, group_brief); /* nothing was done: they work on */
    group_add(&inner, group_brief);
    CHECK_EQ(support_join(support_spawn(not_mine, &inner)), 0);
    support_thread_join(support_thread(not_mine_either, &inner));
    group_add(&inner, from_inside);
    CHECK_OK(pirn_scope_wait(inner.scope, PIRN_NEVER));
    CHECK_OK(pirn_scope_close(outer.scope, PIRN_NEVER));
    CHECK_OK(pirn_scope_close(inner.scope, PIRN_NEVER)); /* only the waits have an order */
    CHECK_EQ(inner.ended + outer.ended, 2);
    CHECK_OK(pirn_timeout_leave(&around, 0));
    return 0;
}

/* ---- A107: children that spawn without end --------------------------------------------------- */

static int hydra(void *arg)
{
    struct group *g = arg;
    atomic_fetch_add(&g->started, 1);
    int rc = pirn_sleep(pirn_after_us(100));
    for (int i = 0; i < 2; i++) {
        int spawned = pirn_scope_spawn(g->scope, hydra, g, PIRN_NEVER);
        if (spawned != -ECANCELED) /* once it is cancelled nobody gets in, whatever rc was */
            CHECK_OK(spawned);
        rc = rc != 0 ? rc : spawned;
    }
    atomic_fetch_add(&g->ended, 1);
    return rc;
}

static int hydra_ends(void *arg)
{
    (void)arg;
    struct group g = {.status = -EPIPE};
    group_open(&g, 0);
    group_add(&g, group_fails);
    group_add(&g, hydra);
    support_until(&g.started, 100);
    atomic_store(&g.go, 1);
    CHECK_EQ(pirn_scope_close(g.scope, PIRN_NEVER), -EPIPE);
    CHECK_EQ(g.started, g.ended);
    return 0;
}

/* ---- A110: what short children had goes while the group is open ------------------------------ */

enum {
    SHORT = 10000
};

struct memory {
    atomic_long bytes, most;
};

static void *counted_alloc(void *user, size_t bytes)
{
    struct memory *m = user;
    size_t *block = malloc(bytes + 16);
    if (block == NULL)
        return NULL;
    *block = bytes;
    long now = atomic_fetch_add(&m->bytes, (long)bytes) + (long)bytes, most = atomic_load(&m->most);
    while (now > most && !atomic_compare_exchange_weak(&m->most, &most, now)) {}
    return (char *)block + 16;
}

static void counted_free(void *user, void *ptr)
{
    size_t *block = (size_t *)(void *)((char *)ptr - 16);
    atomic_fetch_sub(&((struct memory *)user)->bytes, (long)*block);
    free(block);
}

static int brief_with_value(void *arg)
{
    struct group *g = arg;
    CHECK_OK(pirn_set_value(g, group_drop)); /* descriptor, extra part, value: one fate */
    atomic_fetch_add(&g->ended, 1);
    return 0;
}

/* Fails when told to, and hears of no cancel meanwhile. */
static int fails_untold(void *arg)
{
    struct group *g = arg;
    CHECK_OK(pirn_shield_enter());
    return group_fails(g);
}

static int many_short(void *arg)
{
    struct memory *m = arg;
    struct group g = {0};
    long before = 0;
    group_open(&g, 64);
    group_add(&g, group_patient); /* and the group stays open */
    for (int i = 0; i < SHORT; i++) {
        group_add(&g, brief_with_value);
        if (i == SHORT / 10)
            before = atomic_load(&m->most);
    }
    support_until(&g.dropped, SHORT);
    CHECK_EQ(g.ended, SHORT);
    CHECK_LE(atomic_load(&m->most) - before,
             1024 * 1024); /* what workers keep; 9,000 of them were 6 MiB */
    CHECK_OK(pirn_scope_cancel(g.scope, NULL));
    CHECK_OK(pirn_scope_close(g.scope, PIRN_NEVER));

    /* Those that fail stay to be read, and go when it is closed. */
    g.status = -EIO;
    atomic_store(&g.go, 0);
    atomic_store(&g.started, 0);
    group_open(&g, 0);
    for (int i = 0; i < 50; i++)
        group_add(&g, fails_untold);
    support_until(&g.started, 50);
    atomic_store(&g.go, 1);
    CHECK_EQ(pirn_scope_wait(g.scope, PIRN_NEVER), -EIO);
    CHECK_EQ(pirn_scope_errors(g.scope, NULL, 0), 50);
    CHECK_EQ(pirn_scope_close(g.scope, PIRN_NEVER), -EIO);
    return 0;
}

START_TEST(a110_short_children_leave_nothing)
{
    FOR_WORKERS(w)
    {
        struct memory m = {0};
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.alloc = counted_alloc;
        config.free = counted_free;
        config.alloc_user = &m;
        CHECK_OK(support_run_with(&config, many_short, &m));
        CHECK_EQ(atomic_load(&m.bytes), 0);
    }
}
END_TEST

SUPPORT_EACH(a102_parent_cancelled, parent_cancelled, 20)
SUPPORT_EACH(a105_inner_and_outer_fail_together, both_fail, 1)
SUPPORT_EACH(a106_refusals, refusals, 20)
SUPPORT_EACH(a38_dropped_handle_stays_with_the_scope, handle_dropped, 20)
SUPPORT_EACH(a106_order_and_owner_of_close, wrong_order, 20)
SUPPORT_EACH(a107_hydra, hydra_ends, 20)

SUPPORT_MAIN("group_end", a102_parent_cancelled, a105_inner_and_outer_fail_together, a106_refusals,
             a38_dropped_handle_stays_with_the_scope, a106_order_and_owner_of_close, a107_hydra,
             a110_short_children_leave_nothing)
