/*
 * Timers that cannot be armed for want of memory: such a one is not armed, whatever it was before.
 */
#include "tests/support.h"

enum {
    TIMERS = 5000, /* more than there is room for without an allocation */
};

static atomic_bool fails;

static void *take(void *user, size_t bytes)
{
    (void)user;
    return atomic_load(&fails) ? NULL : malloc(bytes);
}

static void give(void *user, void *ptr)
{
    (void)user;
    free(ptr);
}

static int never(void *arg)
{
    (void)arg;
    CHECK(!"called");
    return 0;
}

/* Arms as many as there is room for; returns that. */
static int fill(pirn_timer *timers)
{
    int n = 0;
    for (; n < TIMERS; n++) {
        CHECK_OK(pirn_timer_init(&timers[n], NULL, never, NULL));
        int rc = pirn_timer_arm(&timers[n], pirn_after_ms(1000000));
        if (rc == -ENOMEM)
            break;
        CHECK_OK(rc);
    }
    CHECK(n > 0 && n < TIMERS);
    return n;
}

static int without_memory(void *arg)
{
    pirn_timer *timers = calloc(TIMERS, sizeof(timers[0])), endless, idle;
    (void)arg;
    CHECK(timers != NULL);
    CHECK_OK(pirn_timer_init(&idle, NULL, never, NULL));
    CHECK_OK(pirn_timer_init(&endless, NULL, never, NULL));
    CHECK_OK(pirn_timer_arm(&endless, PIRN_NEVER));
    atomic_store(&fails, true);
    int n = fill(timers);
    CHECK_EQ(pirn_timer_cancel(&timers[n]), -EALREADY);

    CHECK_EQ(pirn_timer_arm(&idle, pirn_after_ms(1000000)), -ENOMEM);
    CHECK_EQ(pirn_timer_cancel(&idle), -EALREADY);

    CHECK_EQ(pirn_timer_arm(&endless, pirn_after_ms(1000000)), -ENOMEM);
    CHECK_EQ(pirn_timer_cancel(&endless), -EALREADY);
    CHECK_OK(pirn_timer_arm(&endless, PIRN_NEVER)); /* not 1: it was not armed */
    CHECK_EQ(pirn_timer_arm(&endless, PIRN_NEVER), 1);
    CHECK_OK(pirn_timer_cancel(&endless));

    /* One that has its place keeps it. */
    CHECK_EQ(pirn_timer_arm(&timers[0], pirn_after_ms(2000000)), 1);
    atomic_store(&fails, false);
    for (int i = 0; i < n; i++)
        CHECK_OK(pirn_timer_cancel(&timers[i]));
    free(timers);
    return 0;
}

START_TEST(a_timer_that_could_not_be_armed_is_not)
{
    FOR_WORKERS(w)
    {
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.alloc = take;
        config.free = give;
        CHECK_OK(support_run_with(&config, without_memory, NULL));
    }
}
END_TEST

SUPPORT_MAIN("timer_memory", a_timer_that_could_not_be_armed_is_not)
