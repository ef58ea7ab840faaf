/* serial */
/* Races: the wait for a scope's children against its cancel and its deadline (row A65). It is told
 * once, and the child has ended; if the wait was not stopped, nobody has cancelled it. */
#include "tests/race/race.h"

static int awaits_gate(void *arg)
{
    struct race *r = arg;
    return pirn_future_await(r->future, NULL, NULL, PIRN_NEVER);
}

static void wait_prepare(struct race *r)
{
    pirn_scope *scope;
    CHECK_OK(pirn_future_new(&r->future));
    CHECK_OK(pirn_scope_open(&scope, 0));
    CHECK_OK(pirn_scope_spawn_task(scope, &r->child, NULL, awaits_gate, r, PIRN_NEVER));
    r->more = scope;
}

static long wait_call(struct race *r)
{
    return pirn_scope_wait(r->more, r->deadline);
}

static void wait_complete(struct race *r)
{
    CHECK_OK(pirn_future_set(r->future, 0, NULL));
}

static void wait_check(struct race *r, long rc, bool happened)
{
    CHECK(pirn_done(r->child));
    CHECK_EQ(rc == 0, happened);
    if (happened)
        CHECK_EQ(pirn_status(r->child), 0); /* nobody has cancelled it */
    CHECK_EQ(pirn_scope_errors(r->more, NULL, 0), 0);
    CHECK_EQ(pirn_scope_close(r->more, PIRN_NEVER), rc);
    CHECK_OK(pirn_release(r->child));
    CHECK_OK(pirn_release(r->future));
}

START_TEST(a65_wait_race)
{
    static const struct race_kind kind = {"scope_wait", race_no_op, race_no_op,    wait_prepare,
                                          wait_call,    wait_check, wait_complete, .rounds = 1700};
    race_run(&kind);
}
END_TEST

SUPPORT_MAIN("race_scope", a65_wait_race)
