/* serial */
/* A task that ignores every error: run gives up after the grace, says -EBUSY and names it. */
#include "tests/support.h"

static atomic_int began, let_go, gone;

static int stubborn(void *arg)
{
    (void)arg;
    atomic_store(&began, 1);
    while (!atomic_load(&let_go))
        pirn_sleep(pirn_after_ms(1)); /* whatever it says */
    atomic_store(&gone, 1);
    return 0;
}

static int leave_stubborn(void *arg)
{
    (void)arg;
    CHECK_OK(pirn_detach(support_spawn_named("mule", stubborn, NULL)));
    support_until(&began, 1);
    return 5;
}

START_TEST(named_and_left_alone)
{
    static support_report report = SUPPORT_REPORT_INIT; /* the task outlives this frame */
    pirn_config config = support_reporting(2, &report);
    config.grace.ns = 200 * MS;
    int status = -12345;
    support_control control;
    support_control_begin(&control);
    int64_t begin = support_now();
    CHECK_EQ(pirn_run_with(&config, leave_stubborn, NULL, &status), -EBUSY);
    int64_t took = support_now() - begin;
    CHECK_GE(took, 200 * MS);
    if (support_timing()) /* the grace, and a second in which every call fails */
        CHECK_LE(took, 3 * 1200 * MS + support_control_late(&control));
    support_control_end(&control);
    CHECK_EQ(status, -12345);
    CHECK_GE(support_reported(&report, "mule"), 1);
    CHECK_EQ(atomic_load(&gone), 0);
}
END_TEST

/* ---- One that only does not hear ---- */

static int pipe_ends[2], heard;

static int reads_in_a_shield(void *arg)
{
    char byte;
    (void)arg;
    CHECK_OK(pirn_shield_enter());
    heard = (int)pirn_read(pipe_ends[0], &byte, 1, PIRN_NEVER);
    CHECK_OK(pirn_shield_leave());
    return 0;
}

static int leave_reader(void *arg)
{
    pirn_task *task = support_spawn(reads_in_a_shield, NULL);
    (void)arg;
    support_until_waiting(task);
    return pirn_detach(task);
}

/* Its request is ended after the grace, like any other wait. */
START_TEST(who_waits_in_the_kernel_is_told_after_the_grace)
{
    FOR_WORKERS(w)
    {
        pirn_config config = PIRN_CONFIG_INIT;
        int status = -12345;
        config.workers = w;
        config.grace.ns = 20 * MS;
        heard = 0;
        support_pipe(pipe_ends);
        CHECK_OK(pirn_run_with(&config, leave_reader, NULL, &status));
        CHECK_OK(status);
        CHECK_EQ(heard, -ESHUTDOWN);
        CHECK_OK(close(pipe_ends[0]));
        CHECK_OK(close(pipe_ends[1]));
    }
}
END_TEST

static int fine(void *arg)
{
    (void)arg;
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    return 9;
}

/* What it left behind hurts neither the next runtime nor, when it ends at last, the process. */
START_TEST(life_goes_on)
{
    FOR_WORKERS(w)
    CHECK_EQ(support_run(w, fine, NULL), 9);
    atomic_store(&let_go, 1);
    support_until(&gone, 1);
    support_pause_ms(20);
    CHECK_EQ(support_run(2, fine, NULL), 9);
}
END_TEST

SUPPORT_MAIN("stubborn", named_and_left_alone, who_waits_in_the_kernel_is_told_after_the_grace,
             life_goes_on)
