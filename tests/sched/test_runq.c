/* The run queue by itself: who comes first. */
#include "sched/runq.h"
#include "tests/support.h"

static struct runq q;
static struct node n[8];
static unsigned slot_runs;

static bool yes(const struct node *node)
{
    (void)node;
    return true;
}

static bool not_the_second(const struct node *node)
{
    return node != &n[1];
}

static void begin(void)
{
    pirn_runq_init(&q);
    slot_runs = 0;
}

/* Pushes first .. last, as what a task spawned that began when the ring was as it is. */
static void brood(int first, int last)
{
    uint32_t from = atomic_load(&q.tail);
    for (int i = first; i <= last; i++)
        CHECK(pirn_runq_push(&q, &n[i]));
    pirn_runq_bring_up(&q, from, yes);
}

static int next(void)
{
    struct node *node = pirn_runq_pop(&q, &slot_runs);
    return node != NULL ? (int)(node - n) : -1;
}

START_TEST(a_brood_goes_first_and_in_order)
{
    begin();
    CHECK(pirn_runq_push(&q, &n[0]));
    brood(1, 2);
    CHECK_EQ(pirn_runq_size(&q), 3);
    CHECK_EQ(pirn_runq_ring_size(&q), 1);
    CHECK_EQ(next(), 1);
    brood(3, 4); /* of the one that has just been taken */
    CHECK_EQ(next(), 3);
    CHECK_EQ(next(), 4);
    CHECK_EQ(next(), 2);
    CHECK_EQ(next(), 0);
    CHECK_EQ(next(), -1);
}
END_TEST

START_TEST(what_has_waited_goes_before_a_brood)
{
    begin();
    CHECK(pirn_runq_push(&q, &n[0]));
    CHECK(pirn_runq_age(&q, false) == NULL);
    CHECK(pirn_runq_push(&q, &n[1]));
    brood(2, 3);
    CHECK_EQ(next(), 2); /* not due yet */
    CHECK(pirn_runq_age(&q, false) == NULL);
    CHECK_EQ(next(), 0);
    CHECK_EQ(next(), 3);
    CHECK(pirn_runq_age(&q, false) == NULL);
    CHECK_EQ(next(), 1);
    CHECK_EQ(next(), -1);
}
END_TEST

/* However full the ring: with as many in it as it holds, all of which yield, nobody would ever be
 * let in. */
START_TEST(the_oldest_of_the_broods_comes_out)
{
    begin();
    CHECK(pirn_runq_age(&q, true) == NULL);
    brood(0, 1); /* 1 is the older one: its turn comes last */
    brood(2, 2);
    CHECK(pirn_runq_age(&q, true) == &n[1]);
    CHECK_EQ(pirn_runq_brood_size(&q), 2);
    CHECK(pirn_runq_push(&q, &n[1]));
    CHECK(pirn_runq_age(&q, false) == NULL);
    CHECK(pirn_runq_age(&q, false) == NULL);
    CHECK_EQ(next(), 1);
    CHECK_EQ(next(), 2);
    CHECK_EQ(next(), 0);
    for (int i = 0; i < RUNQ_CAPACITY; i++)
        CHECK(pirn_runq_push(&q, &n[0]));
    CHECK(pirn_runq_adopt(&q, &n[1]));
    CHECK(pirn_runq_age(&q, true) == &n[1]);
    CHECK_EQ(pirn_runq_size(&q), RUNQ_CAPACITY);
}
END_TEST

START_TEST(a_brood_that_is_not_all_there_stays)
{
    struct node *stolen[4];
    begin();
    uint32_t from = atomic_load(&q.tail);
    CHECK(pirn_runq_push(&q, &n[0]));
    CHECK(pirn_runq_push(&q, &n[1]));
    pirn_runq_bring_up(&q, from, not_the_second);
    CHECK_EQ(pirn_runq_brood_size(&q), 0);
    CHECK_EQ(pirn_runq_steal(&q, stolen, 1, false, NULL), 1);
    pirn_runq_bring_up(&q, from, yes); /* a thief has had one */
    CHECK_EQ(pirn_runq_brood_size(&q), 0);
    CHECK_EQ(next(), 1);
    while (pirn_runq_adopt(&q, &n[2])) {}
    CHECK_EQ(pirn_runq_brood_size(&q), BROOD_CAPACITY);
    from = atomic_load(&q.tail);
    CHECK(pirn_runq_push(&q, &n[3]));
    pirn_runq_bring_up(&q, from, yes); /* no room */
    CHECK_EQ(pirn_runq_ring_size(&q), 1);
}
END_TEST

START_TEST(thieves_take_the_older_half)
{
    struct node *stolen[4];
    begin();
    brood(0, 2);
    CHECK_EQ(pirn_runq_steal_brood(&q, stolen, 4), 2);
    CHECK(stolen[0] == &n[2] && stolen[1] == &n[1]);
    CHECK_EQ(pirn_runq_steal(&q, stolen, 4, true, NULL), 0);
    CHECK(!pirn_runq_take_newest(&q, &n[1]));
    CHECK(pirn_runq_take_newest(&q, &n[0])); /* the top, for its awaiter */
    CHECK_EQ(pirn_runq_steal_brood(&q, stolen, 4), 0);
    CHECK_EQ(next(), -1);
}
END_TEST

START_TEST(the_slot_goes_first_but_not_for_ever)
{
    begin();
    brood(0, 0);
    for (int i = 0; i < SLOT_RUNS; i++) {
        CHECK(pirn_runq_push_slot(&q, &n[1]) == NULL);
        CHECK_EQ(next(), 1);
    }
    CHECK(pirn_runq_push_slot(&q, &n[1]) == NULL);
    CHECK_EQ(next(), 0);
    CHECK_EQ(next(), 1);
}
END_TEST

static bool refused;

static bool fence(void)
{
    return !refused;
}

/* As under a seccomp filter that came later than the runtime. The owner might not have seen the
 * thief yet: nobody else gets in before it has, or a fence has been had. */
START_TEST(no_thief_gets_in_without_its_fence)
{
    struct node *stolen[4];
    bool (*real)(void) = pirn_remote_fence;
    pirn_remote_fence = fence;
    for (int owner_comes = 0; owner_comes < 2; owner_comes++) {
        refused = true;
        begin();
        CHECK(pirn_runq_push(&q, &n[0]));
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(pirn_runq_steal(&q, stolen, 4, true, NULL), 0);
            CHECK_EQ(pirn_runq_steal_brood(&q, stolen, 4), 0);
        }
        if (owner_comes)
            CHECK(pirn_runq_push(&q, &n[1]));
        else
            refused = false;
        CHECK_EQ(pirn_runq_steal(&q, stolen, 4, true, NULL), 1);
        CHECK(stolen[0] == &n[0]);
        CHECK_EQ(next(), owner_comes ? 1 : -1);
    }
    pirn_remote_fence = real;
}
END_TEST

SUPPORT_MAIN("runq", no_thief_gets_in_without_its_fence, a_brood_goes_first_and_in_order,
             what_has_waited_goes_before_a_brood, the_oldest_of_the_broods_comes_out,
             a_brood_that_is_not_all_there_stays, thieves_take_the_older_half,
             the_slot_goes_first_but_not_for_ever)
