/* serial */
/* sleep cancelled at about the time it ends: never early, and the cancel is not lost. */
#include "tests/race/race.h"

static long call(struct race *r)
{
    return pirn_sleep((pirn_time){r->instant});
}

static long call_boot(struct race *r)
{
    int64_t left = r->instant - pirn_now().ns;
    return pirn_sleep_on(PIRN_CLOCK_BOOT, (pirn_time){pirn_clock_now(PIRN_CLOCK_BOOT).ns + left});
}

static void check(struct race *r, long rc, bool happened)
{
    if (happened) {
        CHECK_OK(rc);
        CHECK_GE(support_now(), r->instant);
    }
}

static const struct race_kind kinds[] = {
    {"sleep", race_no_op, race_no_op, race_no_op, call, check, race_no_op, 10000, 1, 1, 0},
    {"sleep-boot", race_no_op, race_no_op, race_no_op, call_boot, check, race_no_op, 3000, 1, 1, 0},
};

START_TEST(sleep_race)
{
    race_run(&kinds[0]);
}
END_TEST

START_TEST(sleep_boot_race)
{
    race_run(&kinds[1]);
}
END_TEST

SUPPORT_MAIN("race/sleep", sleep_race, sleep_boot_race)
