/* Task groups: what ends one, and what it says then (rows A97 to A102). */
#include "tests/asyncio/group.h"

/* ---- A97: inside and outside of a timeout ------------------------------------------------- */

/* On a busy machine the time may come before they have begun, or are even spawned. */
static int add_two(struct group *g)
{
    int rc = 0;
    group_open(g, 0);
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = pirn_scope_spawn(g->scope, group_patient, g, PIRN_NEVER);
    CHECK(rc == 0 || rc == -ECANCELED);
    return rc;
}

static int group_in_timeout(void *arg)
{
    struct group *g = arg;
    int rc = add_two(g);
    if (rc == 0)
        rc = pirn_sleep(PIRN_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(pirn_scope_fail(g->scope, rc), 0);
    return pirn_scope_close(g->scope, PIRN_NEVER);
}

static int wait_in_timeout(void *arg) /* expires in the group's own wait */
{
    struct group *g = arg;
    add_two(g);
    return pirn_scope_close(g->scope, PIRN_NEVER);
}

static int timeouts(void *arg)
{
    (void)arg;
    pirn_fn inside[] = {group_in_timeout, wait_in_timeout};
    for (int i = 0; i < 2; i++) {
        struct group g = {0};
        for (int64_t ms = 3; g.started < 2; ms *= 2) { /* then the next try has longer */
            memset(&g, 0, sizeof(g));
            CHECK_EQ(pirn_with_timeout(inside[i], &g, pirn_after_ms(ms)), -ETIMEDOUT);
            CHECK_EQ(g.cancelled, g.started);
            CHECK_EQ(g.ended, g.started);
            CHECK_EQ(pirn_cancelling(NULL), 0);
            CHECK_EQ(group_pending(), 0);
        }
    }

    /* Spawned into from inside only: the group's children are not the timeout's. */
    struct group g = {.status = 0};
    pirn_timeout timeout = PIRN_TIMEOUT_INIT;
    group_open(&g, 0);
    CHECK_OK(pirn_timeout_enter(&timeout, PIRN_NEVER));
    group_add(&g, group_fails); /* when told to: with 0 */
    CHECK_OK(pirn_timeout_reschedule(&timeout, pirn_after_ms(3)));
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&timeout, -ECANCELED), -ETIMEDOUT);
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_EQ(g.ended, 0);
    atomic_store(&g.go, 1);
    CHECK_OK(pirn_scope_close(g.scope, PIRN_NEVER));
    CHECK_EQ(g.ended, 1);
    return 0;
}

static int inner_of(void *arg)
{
    struct group *g = arg;
    struct group inner = {0};
    group_open(&inner, 0);
    group_add(&inner, group_patient);
    atomic_fetch_add(&g->started, 1);
    int rc = pirn_scope_close(inner.scope, PIRN_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(inner.ended, inner.started);
    atomic_fetch_add(&g->ended, 1);
    return rc;
}

/* A group around a group: a scope's cancel comes from outside, for the scope inside. */
static int scope_around(void *arg)
{
    (void)arg;
    struct group outer = {0}, inner = {0};
    group_open(&outer, 0);
    group_open(&inner, 0);
    group_add(&inner, group_patient);
    group_add(&outer, inner_of);
    support_until(&outer.started, 1);
    support_until(&inner.started, 1);
    CHECK_OK(pirn_scope_cancel(outer.scope, "all of it"));
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_EQ(strcmp(pirn_cancel_reason(), "all of it"), 0);
    CHECK_EQ(pirn_scope_close(inner.scope, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(inner.ended, 1);
    CHECK_EQ(pirn_yield(), -ECANCELED); /* still inside the outer one */
    CHECK_OK(pirn_scope_close(outer.scope, PIRN_NEVER));
    CHECK_EQ(outer.ended, 1);
    CHECK_EQ(group_pending(), 0);
    return 0;
}

/* ---- A98: the wait --------------------------------------------------------------------------- */

static int grows(void *arg)
{
    struct group *g = arg;
    if (atomic_fetch_add(&g->started, 1) < 30) {
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
        group_add(g, grows);
        group_add(g, group_brief);
    }
    atomic_fetch_add(&g->ended, 1);
    return 0;
}

static int leaves_value(void *arg)
{
    CHECK_OK(pirn_set_value(arg, group_drop));
    CHECK_OK(pirn_sleep(pirn_after_us(100)));
    return 42;
}

static int joins(void *arg)
{
    int status;
    CHECK_OK(pirn_join(arg, &status, PIRN_NEVER));
    return status;
}

static void *joins_on_thread(void *arg)
{
    int status;
    CHECK_OK(pirn_join(arg, &status, PIRN_NEVER));
    CHECK_EQ(status, 42);
    return NULL;
}

static int waits_for_all(void *arg)
{
    (void)arg;
    struct group g = {0};
    pirn_task *child;
    group_open(&g, 0);
    group_add(&g, grows);
    CHECK_OK(pirn_scope_spawn_task(g.scope, &child, NULL, leaves_value, &g, PIRN_NEVER));
    pirn_task *other = support_spawn(joins, pirn_retain(child)); /* awaited by others, too */
    pthread_t thread = support_thread(joins_on_thread, pirn_retain(child));
    CHECK_OK(pirn_scope_wait(g.scope, PIRN_NEVER));
    CHECK_EQ(g.started, g.ended);
    CHECK_GE(g.started, 30);
    CHECK_EQ(pirn_scope_errors(g.scope, NULL, 0), 0);
    CHECK(pirn_done(child));
    CHECK_EQ(pirn_status(child), 42);
    CHECK(pirn_value(child) == &g);
    CHECK_OK(pirn_scope_close(g.scope, PIRN_NEVER));
    CHECK_EQ(pirn_status(child), 42); /* the reference is ours */
    CHECK_EQ(support_join(other), 42);
    support_thread_join(thread);
    CHECK_EQ(g.dropped, 0);
    CHECK_OK(pirn_release(child));
    support_until(&g.dropped, 1); /* who has run it may be the last to let go of it */
    CHECK_EQ(g.dropped, 1);
    return 0;
}

/* ---- A99: a child fails ---------------------------------------------------------------------- */

static int absorbs(void *arg)
{
    return group_patient(arg) == -ECANCELED ? 7 : -EPROTO;
}

static int child_fails(void *arg)
{
    (void)arg;
    struct group g = {.status = -EPIPE};
    pirn_spawn_config named = PIRN_SPAWN_CONFIG_INIT;
    pirn_scope_error errors[3];
    pirn_task *bad;
    named.name = "bad";
    CHECK_OK(pirn_cancel(pirn_current(), NULL)); /* a count from before, delivered */
    CHECK_EQ(pirn_yield(), -ECANCELED);
    group_open(&g, 0);
    group_add(&g, group_patient);
    group_add(&g, group_fails_late);
    group_add(&g, absorbs);
    CHECK_OK(pirn_scope_spawn_task(g.scope, &bad, &named, group_fails, &g, PIRN_NEVER));
    support_until(&g.started, 4);
    CHECK_EQ(pirn_scope_errors(g.scope, NULL, 0), 0);
    atomic_store(&g.go, 1);
    for (int i = 0; i < 3; i++) /* level: whoever takes no notice gets it again */
        CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_EQ(pirn_cancelling(NULL), 1);
    CHECK_EQ(pirn_scope_wait(g.scope, PIRN_NEVER), -EPIPE);
    CHECK_EQ(g.ended, 4);
    CHECK_EQ(g.cancelled, 3);
    CHECK_EQ(pirn_cancelling(NULL), 1);
    CHECK_EQ(group_pending(), 0);
    memset(errors, 0, sizeof(errors));
    CHECK_EQ(pirn_scope_errors(g.scope, errors, 3), 2);
    CHECK(errors[0].task == bad && errors[0].id == pirn_id(bad));
    CHECK_EQ(errors[0].status, -EPIPE);
    CHECK_EQ(strcmp(errors[0].name, "bad"), 0);
    CHECK_EQ(errors[1].status, -EIO);
    CHECK(errors[1].task != bad && errors[1].id != errors[0].id);
    CHECK(errors[2].task == NULL);
    errors[1].status = 1;
    CHECK_EQ(pirn_scope_errors(g.scope, errors, 1), 2);
    CHECK_EQ(errors[1].status, 1); /* untouched */
    CHECK_EQ(pirn_scope_close(g.scope, PIRN_NEVER), -EPIPE);
    CHECK_EQ(pirn_status(bad), -EPIPE);
    CHECK_OK(pirn_release(bad));
    return 0;
}

static int fails_when_awaited(void *arg)
{
    struct group *g = arg;
    support_until_waiting(g->opener);
    return -EPIPE;
}

/* The body waits for the child that fails: it gets the answer first, then the cancel. */
static int awaited_child_fails(void *arg)
{
    (void)arg;
    struct group g = {.opener = pirn_current()};
    pirn_task *child;
    int status = 0;
    group_open(&g, 0);
    group_add(&g, group_patient);
    CHECK_OK(pirn_scope_spawn_task(g.scope, &child, NULL, fails_when_awaited, &g, PIRN_NEVER));
    CHECK_OK(pirn_join(child, &status, PIRN_NEVER));
    CHECK_EQ(status, -EPIPE);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_EQ(pirn_scope_close(g.scope, PIRN_NEVER), -EPIPE);
    CHECK_EQ(group_pending(), 0);
    return 0;
}

/* ---- A100: one child is cancelled ------------------------------------------------------------ */

static int gives_up(void *arg)
{
    (void)arg;
    return -ECANCELED; /* passed on from somewhere */
}

static void *cancels(void *arg)
{
    CHECK_OK(pirn_cancel(arg, "alone"));
    return NULL;
}

static int cancelled_singly(void *arg)
{
    (void)arg;
    struct group g = {.status = 3};
    pirn_task *child[2];
    group_open(&g, 0);
    for (int i = 0; i < 2; i++)
        CHECK_OK(pirn_scope_spawn_task(g.scope, &child[i], NULL, group_patient, &g, PIRN_NEVER));
    group_add(&g, group_fails);
    group_add(&g, gives_up);
    support_until(&g.started, 3);
    CHECK_OK(pirn_cancel(child[0], "alone"));
    support_thread_join(support_thread(cancels, child[1]));
    for (int i = 0; i < 2; i++)
        CHECK_EQ(support_join(child[i]), -ECANCELED);
    CHECK_OK(pirn_sleep(pirn_after_us(300))); /* the body goes on, and so does the other */
    CHECK_EQ(g.ended, 2);
    group_add(&g, group_brief);
    atomic_store(&g.go, 1);
    CHECK_OK(pirn_scope_wait(g.scope, PIRN_NEVER));
    CHECK_EQ(g.ended, 4);
    CHECK_EQ(pirn_scope_errors(g.scope, NULL, 0), 0);
    CHECK_OK(pirn_scope_close(g.scope, PIRN_NEVER));
    return 0;
}

/* ---- A101: the body fails -------------------------------------------------------------------- */

static int body_fails(void *arg)
{
    (void)arg;
    struct group g = {.status = -EPIPE};
    pirn_scope_error e[3];
    group_open(&g, 0);
    group_add(&g, group_patient);
    group_add(&g, group_fails_late);
    support_until(&g.started, 2);
    CHECK_OK(pirn_scope_fail(g.scope, -EDOM));
    CHECK_EQ(pirn_scope_fail(g.scope, -ERANGE), -EALREADY);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_EQ(pirn_scope_wait(g.scope, PIRN_NEVER), -EDOM);
    CHECK_EQ(g.ended, 2);
    CHECK_EQ(pirn_scope_errors(g.scope, e, 3), 2);
    CHECK(e[0].task == pirn_current() && e[0].id == pirn_id(pirn_current()));
    CHECK_EQ(e[0].status, -EDOM);
    CHECK_EQ(e[1].status, -EIO);
    CHECK_EQ(pirn_scope_close(g.scope, PIRN_NEVER), -EDOM);
    CHECK_EQ(group_pending(), 0);

    /* After a child's: it comes behind. And without any children. */
    g = (struct group){.status = -EPIPE, .go = 1};
    group_open(&g, 0);
    group_add(&g, group_fails);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_scope_fail(g.scope, -EDOM));
    CHECK_EQ(pirn_scope_wait(g.scope, PIRN_NEVER), -EPIPE);
    CHECK_EQ(pirn_scope_errors(g.scope, e, 3), 2);
    CHECK(e[0].status == -EPIPE && e[1].status == -EDOM && e[1].task == pirn_current());
    CHECK_EQ(pirn_scope_close(g.scope, PIRN_NEVER), -EPIPE);
    group_open(&g, 0);
    CHECK_OK(pirn_scope_fail(g.scope, -EDOM));
    CHECK_EQ(pirn_scope_close(g.scope, PIRN_NEVER), -EDOM);
    return 0;
}

/* -ECANCELED is no failure: the scope's own ends with it, any other goes on. */
static int body_passes_on(void *arg)
{
    (void)arg;
    struct group g = {0};
    group_open(&g, 0);
    group_add(&g, group_patient);
    CHECK_OK(pirn_scope_cancel(g.scope, "enough"));
    CHECK_OK(pirn_scope_fail(g.scope, pirn_yield()));
    CHECK_OK(pirn_scope_wait(g.scope, PIRN_NEVER));
    CHECK_EQ(pirn_scope_errors(g.scope, NULL, 0), 0);
    CHECK_OK(pirn_scope_close(g.scope, PIRN_NEVER));
    group_open(&g, 0);
    group_add(&g, group_patient);
    CHECK_OK(pirn_scope_fail(g.scope, -ECANCELED)); /* whoever's that was */
    CHECK_EQ(pirn_scope_close(g.scope, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(g.ended, g.started);
    CHECK_EQ(group_pending(), 0);
    return 0;
}

SUPPORT_EACH(a97_timeouts_around_groups, timeouts, 10)
SUPPORT_EACH(a97_groups_around_groups, scope_around, 50)
SUPPORT_EACH(a98_waits_for_all_results_after, waits_for_all, 20)
SUPPORT_EACH(a99_child_fails, child_fails, 50)
SUPPORT_EACH(a99_awaited_child_fails, awaited_child_fails, 50)
SUPPORT_EACH(a100_child_cancelled_singly, cancelled_singly, 50)
SUPPORT_EACH(a101_body_fails, body_fails, 50)
SUPPORT_EACH(a101_body_passes_a_cancel_on, body_passes_on, 50)

SUPPORT_MAIN("group", a97_timeouts_around_groups, a97_groups_around_groups,
             a98_waits_for_all_results_after, a99_child_fails, a99_awaited_child_fails,
             a100_child_cancelled_singly, a101_body_fails, a101_body_passes_a_cancel_on)
