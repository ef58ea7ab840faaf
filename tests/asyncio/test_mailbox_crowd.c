/* wraps calloc */
/* wraps free */
/*
 * A call that is given up leaves the mailbox's queue without a look at what waits there besides its
 * neighbours: else of n that are given up each would go through all before it.
 */
#include "tests/support.h"
#include "tests/support/apart.h"

enum {
    LETTERS = 8
};

static void count_one(void *arg)
{
    ++*(int *)arg;
}

static int never(void *arg)
{
    (void)arg;
    CHECK(!"never runs");
    return 0;
}

START_TEST(a_call_that_is_given_up_looks_at_its_neighbours_alone)
{
    int ran = 0;
    pirn_mailbox *mb = NULL;
    CHECK_OK(pirn_mailbox_new(&mb));
    apart_begin(APART_ALL); /* there is no other thread */
    for (int i = 0; i < LETTERS; i++)
        CHECK_OK(pirn_mailbox_post(mb, count_one, &ran));
    apart_end();
    CHECK_EQ(atomic_load(&apart_count), LETTERS);
    for (int i = 0; i < LETTERS - 1; i++)
        CHECK_OK(apart_reach(i, false));
    CHECK_EQ(pirn_mailbox_call(mb, never, NULL, NULL, pirn_after_ms(1)), -ETIMEDOUT);
    for (int i = 0; i < LETTERS - 1; i++)
        CHECK_OK(apart_reach(i, true));
    CHECK_EQ(pirn_mailbox_dispatch(mb), LETTERS);
    CHECK_EQ(ran, LETTERS);
    pirn_mailbox_release(mb);
}
END_TEST

SUPPORT_MAIN("mailbox_crowd", a_call_that_is_given_up_looks_at_its_neighbours_alone)
