/* serial */
/*
 * await and future_await stopped at about the moment what they wait for comes. The sole awaiter of
 * a task passes its cancel on; then the task's answer is either's, and both must agree on it.
 */
#include "tests/race/race.h"

enum {
    ANSWER = 77,
    UNSET = -12345
};

static int child(void *arg)
{
    int status = UNSET, rc = pirn_future_await(arg, &status, NULL, PIRN_NEVER);
    return rc ? rc : status;
}

static void prepare_future(struct race *r)
{
    CHECK_OK(pirn_future_new(&r->future));
}

static void prepare_task(struct race *r)
{
    prepare_future(r);
    r->child = support_spawn(child, r->future);
}

static void set(struct race *r)
{
    CHECK_OK(pirn_future_set(r->future, ANSWER, r));
}

/* ---- A future ---------------------------------------------------------------------------- */

static long call_future(struct race *r)
{
    int status = UNSET;
    void *value = NULL;
    long rc = pirn_future_await(r->future, &status, &value, r->deadline);
    CHECK_EQ(status, rc ? UNSET : ANSWER);
    CHECK(value == (rc ? NULL : r));
    return rc;
}

static void check_future(struct race *r, long rc, bool happened)
{
    CHECK(!happened || rc == 0);
    CHECK_EQ(pirn_status(r->future), ANSWER);
    pirn_release(r->future);
}

/* ---- A task, one awaiter ----------------------------------------------------------------- */

static long call_task(struct race *r)
{
    int status = UNSET;
    long rc = pirn_await(r->child, &status, r->deadline);
    if (rc) {
        CHECK_EQ(status, UNSET);
    } else {
        CHECK_EQ(status, ANSWER);
        CHECK_EQ(pirn_status(r->child), status);
    }
    return rc;
}

static void check_task(struct race *r, long rc, bool happened)
{
    CHECK(!happened || rc == 0);
    int status = support_join(r->child);
    CHECK(status == ANSWER || (status == -ECANCELED && r->cancels));
    pirn_release(r->future);
}

/* ---- A task with another awaiter: the cancel is not passed on ---------------------------- */

struct other {
    pirn_task *target, *self;
    int rc, status;
};

static int other_awaiter(void *arg)
{
    struct other *o = arg;
    o->rc = pirn_await(o->target, &o->status, PIRN_NEVER);
    return 0;
}

static void prepare_shared(struct race *r)
{
    prepare_task(r);
    struct other *o = calloc(1, sizeof(*o));
    CHECK(o);
    o->target = r->child;
    o->rc = UNSET;
    o->self = support_spawn(other_awaiter, o);
    support_until_waiting(o->self);
    r->more = o;
}

static void check_shared(struct race *r, long rc, bool happened)
{
    struct other *o = r->more;
    CHECK(!happened || rc == 0);
    CHECK_OK(support_join(o->self));
    CHECK_OK(o->rc);
    int status = support_join(r->child);
    CHECK_EQ(o->status, status);
    CHECK_EQ(status, ANSWER); /* one of several awaiters just leaves */
    free(o);
    pirn_release(r->future);
}

static const struct race_kind kinds[] = {
    {"future", race_no_op, race_no_op, prepare_future, call_future, check_future, set, 10000, 0, 0,
     0},
    {"await", race_no_op, race_no_op, prepare_task, call_task, check_task, set, 10000, 0, 0, 0},
    {"await-shared", race_no_op, race_no_op, prepare_shared, call_task, check_shared, set, 2000, 0,
     0, 0},
};

START_TEST(future_race)
{
    race_run(&kinds[0]);
}
END_TEST

START_TEST(await_race)
{
    race_run(&kinds[1]);
}
END_TEST

START_TEST(await_shared_race)
{
    race_run(&kinds[2]);
}
END_TEST

SUPPORT_MAIN("race/await", future_race, await_race, await_shared_race)
