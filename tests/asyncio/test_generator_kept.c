/*
 * A value that nobody has taken: it is the next pull's, unless its yield has failed.
 */
#include "tests/support.h"

struct kept {
    pirn_event go;
    bool fails; /* the yield's own timeout ends it */
    int rc;
};

static int yield_one(void *arg)
{
    int value = 1;
    return pirn_generator_yield(arg, &value);
}

static int body(pirn_generator *g, void *arg)
{
    struct kept *k = arg;
    CHECK_OK(pirn_event_wait(&k->go, PIRN_NEVER));
    k->rc = pirn_with_timeout(yield_one, g, k->fails ? pirn_after_ms(1) : PIRN_NEVER);
    return 0;
}

static int pulls(void *arg)
{
    (void)arg;
    for (int fails = 0; fails < 2; fails++) {
        struct kept k = {.go = PIRN_EVENT_INIT, .fails = fails != 0};
        pirn_generator *g;
        int value = 0;
        CHECK_OK(pirn_generator_new(&g, sizeof(value), body, &k));
        CHECK_EQ(pirn_generator_next(g, &value, pirn_after_ms(1)), -ETIMEDOUT);
        CHECK_OK(pirn_event_set(&k.go));
        while (fails && pirn_generator_status(g) == -EINPROGRESS)
            CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        if (!fails) {
            CHECK_EQ(pirn_generator_next(g, &value, PIRN_NEVER), 1);
            CHECK_EQ(value, 1);
        }
        CHECK_EQ(pirn_generator_next(g, &value, PIRN_NEVER), 0);
        CHECK_EQ(value, !fails);
        CHECK_EQ(k.rc, fails ? -ETIMEDOUT : 0);
        CHECK_OK(pirn_generator_close(g));
    }
    return 0;
}

START_TEST(a_yield_that_fails_has_given_nothing)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, pulls, NULL));
}
END_TEST

SUPPORT_MAIN("generator_kept", a_yield_that_fails_has_given_nothing)
