/* Child processes: pirn_process_stop asks, waits, and kills. */
#include "tests/subprocess/child.h"

/* A child that says by a byte that it has set its trap. */
static pirn_process *start_ready(const char *command, unsigned flags, int *ret_out)
{
    int pipe[2];
    char c;
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    support_pipe(pipe);
    config.out = pipe[1];
    config.flags = flags;
    pirn_process *p = start_shell(command, &config);
    close(pipe[1]);
    CHECK_EQ(pirn_read(pipe[0], &c, 1, PIRN_NEVER), 1);
    *ret_out = pipe[0];
    return p;
}

/* What it has started has gone as well. */
static void until_end(int out)
{
    char c;
    CHECK_EQ(pirn_read(out, &c, 1, PIRN_NEVER), 0);
    close(out);
}

#define DEAF "trap '' TERM; echo; while :; do sleep 0.01; done"

static void stops(void)
{
    int status = 99, out;
    pirn_process *p = start(ARGV("sleep", "1000"), NULL);
    CHECK_OK(pirn_process_stop(p, &status, PIRN_NEVER));
    CHECK_EQ(status, -SIGTERM);
    CHECK_OK(pirn_process_stop(p, &status, PIRN_NOW)); /* it had ended before */
    CHECK_EQ(status, -SIGTERM);
    pirn_process_release(p);

    p = start_ready("trap 'exit 7' TERM; echo; while :; do sleep 0.01; done", 0, &out);
    CHECK_OK(pirn_process_stop(p, &status, PIRN_NEVER));
    CHECK_EQ(status, 7);
    until_end(out);
    pirn_process_release(p);

    p = start_ready(DEAF, 0, &out);
    CHECK_EQ(pirn_process_stop(p, &status, pirn_after_ms(20)), -ETIMEDOUT);
    CHECK_EQ(status, -SIGKILL);
    CHECK(is_gone(pirn_process_pid(p)));
    until_end(out);
    pirn_process_release(p);

    p = start_ready("trap 'exit 7' TERM; echo; while :; do sleep 0.01; done", 0, &out);
    CHECK_OK(pirn_process_signal(p, SIGSTOP)); /* it gets to no trap */
    CHECK_EQ(pirn_process_stop(p, NULL, pirn_after_ms(20)), -ETIMEDOUT);
    CHECK_EQ(wait_for(p), -SIGKILL);
    until_end(out);
    pirn_process_release(p);
    CHECK_EQ(pirn_process_stop(NULL, &status, PIRN_NEVER), -EINVAL);
}

START_TEST(asks_waits_and_kills)
{
    support_census census = support_count();
    support_everywhere(stops);
    CHECK_EQ(children(), 0);
    support_no_more_than(census);
}
END_TEST

static void stops_groups(void)
{
    int status = 99, out;
    const unsigned flags[] = {PIRN_PROCESS_NEW_GROUP, PIRN_PROCESS_NEW_SESSION};
    for (int i = 0; i < 2; i++) {
        pirn_process *p = start_ready("sleep 1000 & echo; wait", flags[i], &out);
        CHECK_OK(pirn_process_stop(p, &status, PIRN_NEVER));
        CHECK_EQ(status, -SIGTERM);
        until_end(out);
        pirn_process_release(p);

        p = start_ready("trap '' TERM; sleep 1000 & echo; wait", flags[i], &out);
        CHECK_EQ(pirn_process_stop(p, &status, pirn_after_ms(20)), -ETIMEDOUT);
        CHECK_EQ(status, -SIGKILL);
        until_end(out);
        pirn_process_release(p);
    }
}

START_TEST(of_a_group_all_are_asked_and_killed)
{
    support_everywhere(stops_groups);
    CHECK_EQ(children(), 0);
}
END_TEST

/* ---- Cancelled ------------------------------------------------------------------------------- */

static int stops_for_ever(void *arg)
{
    int status = 99;
    int rc = pirn_process_stop(arg, &status, PIRN_NEVER);
    CHECK_EQ(status, -SIGKILL);
    return rc;
}

static int stops_shielded(void *arg)
{
    int status = 99;
    CHECK_OK(pirn_shield_enter());
    CHECK_EQ(pirn_process_stop(arg, &status, pirn_after_ms(50)), -ETIMEDOUT);
    CHECK_EQ(status, -SIGKILL);
    CHECK_OK(pirn_shield_leave());
    return pirn_sleep(PIRN_NEVER); /* the cancel has been kept for this */
}

static int cancels(void *arg)
{
    int (*const fns[])(void *) = {stops_for_ever, stops_shielded};
    (void)arg;
    for (int i = 0; i < 2; i++) {
        int out;
        pirn_process *p = start_ready(DEAF, 0, &out);
        pirn_task *task = support_spawn(fns[i], p);
        support_until_waiting(task);
        CHECK_OK(pirn_cancel(task, NULL));
        CHECK_EQ(support_join(task), -ECANCELED);
        until_end(out);
        pirn_process_release(p);
    }
    return 0;
}

START_TEST(who_is_cancelled_has_killed_it)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancels, NULL));
    CHECK_EQ(children(), 0);
}
END_TEST

SUPPORT_MAIN("subprocess/stop", asks_waits_and_kills, of_a_group_all_are_asked_and_killed,
             who_is_cancelled_has_killed_it)
