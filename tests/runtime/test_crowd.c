/* wraps getrusage */
/*
 * Crowds: what a long stride says, by the thread's CPU time and by what the kernel says of it
 * (which is the test's own here), and how long a crowd lasts.
 */
#include "tests/support.h"

#include "io/clock.h"
#include "runtime/crowd.h"

#include <sys/resource.h>

int __real_getrusage(__rusage_who_t who, struct rusage *ret_usage);
int __wrap_getrusage(__rusage_who_t who, struct rusage *ret_usage);

static struct pirn_runtime rt;
static struct worker w;
static int64_t now; /* the test's own; the CPU time is the thread's */
static long losses;

int __wrap_getrusage(__rusage_who_t who, struct rusage *ret_usage)
{
    CHECK_EQ(who, RUSAGE_THREAD);
    int rc = __real_getrusage(who, ret_usage);
    ret_usage->ru_nivcsw = losses;
    return rc;
}

static void begin(void)
{
    memset(&rt, 0, sizeof(rt));
    memset(&w, 0, sizeof(w));
    w.rt = &rt;
    now = 1000000 * MS;
}

/* A stride of so long, of which the thread was on a core for the first part, which it has lost. */
static bool stride(int64_t computes, int64_t took)
{
    pirn_crowd_sample(&w, now);
    losses++;
    int64_t until = clock_ns(CLOCK_THREAD_CPUTIME_ID) + computes;
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < until) {}
    now += took;
    return pirn_crowd_has_computed(&w, took, now);
}

START_TEST(who_computes_is_in_no_crowd)
{
    begin();
    CHECK(stride(0, 5 * MS)); /* not watched yet, so nobody knows */
    CHECK(stride(20 * MS, 20 * MS));
    CHECK(!rt_is_crowded(&rt, now));
}
END_TEST

START_TEST(who_lost_his_core_is)
{
    begin();
    CHECK(stride(0, MS));
    CHECK(!stride(0, 5 * MS));
    CHECK(rt_is_crowded(&rt, now + 49 * MS));
    CHECK(!rt_is_crowded(&rt, now + 51 * MS));
    CHECK(stride(20 * MS, 20 * MS)); /* there is one, and this one computes all the same */
}
END_TEST

/* Another loss in the crowd changes nothing; one soon after it makes the next twice as long. */
START_TEST(it_lasts_longer_each_time)
{
    int64_t span = 50 * MS;
    begin();
    CHECK(stride(0, MS));
    CHECK(!stride(0, 5 * MS));
    for (int i = 0; i < 8; i++) {
        int64_t began = now;
        CHECK(!stride(0, 5 * MS));
        CHECK(rt_is_crowded(&rt, began + span - 1));
        CHECK(!rt_is_crowded(&rt, began + span));
        now = began + span + 50 * MS;
        CHECK(!stride(0, 5 * MS));
        span = span < 1600 * MS ? 2 * span : span;
    }
    now += span + 200 * MS;
    CHECK(stride(0, MS)); /* it is forgotten, and nobody watches */
    CHECK(!stride(0, 5 * MS));
    CHECK(!rt_is_crowded(&rt, now + 51 * MS));
}
END_TEST

/* A call that blocks is no loss either: the kernel has not taken the core away. */
START_TEST(who_blocks_is_in_no_crowd)
{
    begin();
    CHECK(stride(0, MS));
    pirn_crowd_sample(&w, now);
    now += 5 * MS;
    CHECK(pirn_crowd_has_computed(&w, 5 * MS, now));
    CHECK(!rt_is_crowded(&rt, now));
}
END_TEST

/* A sleep of the worker's is no loss: what is known of the time before it is of no use. */
START_TEST(who_has_slept_is_not_known)
{
    begin();
    CHECK(stride(0, MS));
    pirn_crowd_sample(&w, now);
    losses++;
    w.cpu_known = false; /* as pirn_worker_begin_stride does */
    now += 5 * MS;
    CHECK(pirn_crowd_has_computed(&w, 5 * MS, now));
    CHECK(!stride(0, 5 * MS));
    now += 5 * MS;
    CHECK(!pirn_crowd_has_computed(&w, 5 * MS, now)); /* in a crowd it is not held against it */
}
END_TEST

/* Nor is what was lost in the strides before: each look begins anew. */
START_TEST(only_the_stride_itself_counts)
{
    begin();
    CHECK(stride(0, MS));
    for (int i = 0; i < 10; i++) {
        pirn_crowd_sample(&w, now);
        now += 3 * MS;
    }
    CHECK(stride(20 * MS, 20 * MS));
    CHECK(!rt_is_crowded(&rt, now));
}
END_TEST

SUPPORT_MAIN("runtime/crowd", who_computes_is_in_no_crowd, who_lost_his_core_is,
             it_lasts_longer_each_time, who_blocks_is_in_no_crowd, who_has_slept_is_not_known,
             only_the_stride_itself_counts)
