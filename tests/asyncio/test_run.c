/* pirn_run: what comes back, what is left, and that nothing stays behind. */
#include "tests/support.h"

#include <signal.h>
#include <sys/wait.h>

static int give(void *arg)
{
    return *(int *)arg;
}

/* ---- What comes back --------------------------------------------------------------------- */

START_TEST(a1_value_or_code)
{
    int value = 42, code = -EIO;
    CHECK_EQ(pirn_run(give, &value), 42);
    support_census before = support_count();
    FOR_WORKERS(w)
    {
        pirn_config config = PIRN_CONFIG_INIT;
        int status = -12345;
        config.workers = w;
        CHECK_OK(pirn_run_with(&config, give, &value, &status));
        CHECK_EQ(status, 42);
        CHECK_OK(pirn_run_with(&config, give, &code, &status)); /* it did start */
        CHECK_EQ(status, -EIO);
        config.workers = -1;
        status = -12345;
        CHECK_EQ(pirn_run_with(&config, give, &value, &status), -EINVAL);
        CHECK_EQ(status, -12345);
        support_no_more_than(before);
    }
}
END_TEST

START_TEST(s17_value_and_nothing_left)
{
    int value = 17;
    support_census before = support_count();
    CHECK_EQ(pirn_run(give, &value), 17);
    support_no_more_than(before);
}
END_TEST

static int run_inside(void *arg)
{
    int status = -12345;
    CHECK_EQ(pirn_run(give, arg), -EDEADLK);
    CHECK_EQ(pirn_run_with(NULL, give, arg, &status), -EDEADLK);
    CHECK_EQ(status, -12345);
    CHECK_OK(pirn_sleep(pirn_after_us(100))); /* and continues */
    return *(int *)arg;
}

START_TEST(a2_nested_run)
{
    int value = 2;
    FOR_WORKERS(w)
    CHECK_EQ(support_run(w, run_inside, &value), 2);
}
END_TEST

START_TEST(s18_run_does_not_nest)
{
    int value = 3;
    CHECK_EQ(pirn_run(run_inside, &value), 3);
}
END_TEST

START_TEST(s19_no_function)
{
    CHECK_EQ(pirn_run(NULL, NULL), -EINVAL);
}
END_TEST

START_TEST(s22_several_in_a_row)
{
    for (int i = 0; i < 5; i++)
        CHECK_EQ(pirn_run(give, &i), i);
}
END_TEST

static int family(void *arg)
{
    pirn_task *tasks[3];
    int sum = 0;
    for (int i = 0; i < 3; i++)
        tasks[i] = support_spawn(give, arg);
    for (int i = 0; i < 3; i++)
        sum += support_join(tasks[i]);
    return sum;
}

START_TEST(a5_a_thousand_in_a_row)
{
    int value = 5;
    CHECK_EQ(pirn_run(family, &value), 15);
    support_census before = support_count();
    for (int i = 0; i < support_rounds(1000); i++)
        CHECK_EQ(support_run(1 << i % 3, family, &value), 15);
    support_no_more_than(before);
}
END_TEST

/* ---- What main leaves -------------------------------------------------------------------- */

struct leftovers {
    atomic_int began, cleaned;
    int value;
};

static int sleep_and_clean_up(void *arg)
{
    struct leftovers *l = arg;
    atomic_fetch_add(&l->began, 1);
    CHECK_EQ(pirn_sleep(pirn_after_s(600)), -ECANCELED);
    CHECK_OK(pirn_sleep(pirn_after_ms(2))); /* a clean-up may suspend */
    atomic_fetch_add(&l->cleaned, 1);
    return -ECANCELED;
}

static int leave_children(void *arg)
{
    struct leftovers *l = arg;
    for (int i = 0; i < 10; i++)
        CHECK_OK(pirn_detach(support_spawn(sleep_and_clean_up, l)));
    support_until(&l->began, 10);
    return l->value;
}

START_TEST(a3_leftovers_clean_up)
{
    FOR_WORKERS(w)
    {
        struct leftovers l = {.value = 30 + w};
        CHECK_EQ(support_run(w, leave_children, &l), 30 + w);
        CHECK_EQ(atomic_load(&l.cleaned), 10);
    }
}
END_TEST

START_TEST(s20_clean_up_lines_are_written)
{
    struct leftovers l = {.value = 20};
    CHECK_EQ(pirn_run(leave_children, &l), 20);
    CHECK_EQ(atomic_load(&l.cleaned), 10);
}
END_TEST

static int fail_when_cancelled(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    return -EIO;
}

static int leave_a_failure(void *arg)
{
    atomic_int began = 0;
    CHECK_OK(pirn_detach(support_spawn_named("sorry", fail_when_cancelled, &began)));
    support_until(&began, 1);
    return *(int *)arg;
}

START_TEST(a4_a_leftovers_error_is_heard_once)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        int value = 4;
        CHECK_EQ(support_run_reported(w, &report, leave_a_failure, &value), 4);
        CHECK_EQ(support_reported(&report, "sorry"), 1);
    }
}
END_TEST

static int stops_its_own(void *arg)
{
    CHECK_OK(pirn_runtime_stop(pirn_runtime_current()));
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED); /* by the end of the run */
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

START_TEST(s27_a_stopped_run_ends)
{
    FOR_WORKERS(w)
    {
        pirn_config config = PIRN_CONFIG_INIT;
        atomic_int ended = 0;
        int status = -12345;
        config.workers = w;
        CHECK_EQ(pirn_run_with(&config, stops_its_own, &ended, &status), -EINTR);
        CHECK_EQ(status, -12345);
        CHECK_EQ(atomic_load(&ended), 1);
    }
}
END_TEST

/* ---- A142: the pool at the end ----------------------------------------------------------- */

struct jobs {
    atomic_int began, ended, refused;
};

static int slow_job(void *arg)
{
    struct jobs *j = arg;
    atomic_fetch_add(&j->began, 1);
    support_pause_ms(20);
    atomic_fetch_add(&j->ended, 1);
    return 9;
}

static int waits_for_job(void *arg)
{
    int status = -12345;
    CHECK_OK(pirn_blocking(slow_job, arg, &status, PIRN_NEVER)); /* it happened */
    CHECK_EQ(status, 9);
    int rc;
    while ((rc = pirn_yield()) == 0) {} /* on a busy machine the run may not have ended yet */
    CHECK_EQ(rc, -ECANCELED);           /* and the cancel is still to come */
    return 0;
}

static int submits_to_the_end(void *arg)
{
    struct jobs *j = arg;
    int status, rc;
    while ((rc = pirn_blocking(slow_job, arg, &status, PIRN_NEVER)) == 0 || rc == -ECANCELED) {}
    CHECK_EQ(rc, -ESHUTDOWN);
    CHECK_EQ(pirn_blocking(slow_job, arg, &status, PIRN_NEVER), -ESHUTDOWN);
    atomic_fetch_add(&j->refused, 1);
    return 0;
}

static int leave_jobs(void *arg)
{
    struct jobs *j = arg;
    CHECK_OK(pirn_detach(support_spawn(waits_for_job, j)));
    CHECK_OK(pirn_detach(support_spawn(submits_to_the_end, j)));
    support_until(&j->began, 2);
    return 0;
}

START_TEST(a142_jobs_at_the_end)
{
    FOR_WORKERS(w)
    {
        struct jobs j = {0};
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.grace.ns = 50 * MS;
        CHECK_OK(support_run_with(&config, leave_jobs, &j));
        CHECK_EQ(atomic_load(&j.ended), atomic_load(&j.began)); /* the pool has waited */
        CHECK_EQ(atomic_load(&j.refused), 1);
    }
}
END_TEST

/* ---- A11: fork --------------------------------------------------------------------------- */

struct forked {
    pirn_runtime *own, *other; /* one that runs, one that is paused */
    atomic_int ticks, over;
};

static int tick(void *arg)
{
    struct forked *f = arg;
    while (!atomic_load(&f->over)) {
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
        atomic_fetch_add(&f->ticks, 1);
    }
    return 0;
}

static void in_child(struct forked *f)
{
    pirn_spawn_config there = PIRN_SPAWN_CONFIG_INIT;
    pirn_runtime *both[2] = {f->own, f->other};
    pirn_task *task;
    int status, value = 11;
    support_alarm(200);
    CHECK(pirn_spawn(&task, give, &value) < 0);
    for (int i = 0; i < 2; i++) {
        there.runtime = both[i];
        CHECK_EQ(pirn_spawn_with(&task, &there, give, &value), -ESHUTDOWN);
        CHECK_EQ(pirn_runtime_run_until_complete(both[i], give, &value, &status), -ESHUTDOWN);
        CHECK_EQ(pirn_runtime_run_forever(both[i]), -ESHUTDOWN);
        CHECK_EQ(pirn_runtime_stop(both[i]), -ESHUTDOWN);
        CHECK_EQ(pirn_runtime_close(both[i]), -ESHUTDOWN);
        CHECK_EQ(pirn_signal_add(SIGUSR1, give, &value, both[i]), -ESHUTDOWN);
    }
    CHECK_EQ(pirn_run(family, &value), 33);
    _exit(0);
}

static int wait_for(void *arg)
{
    int status = -1;
    CHECK_EQ(waitpid(*(pid_t *)arg, &status, 0), *(pid_t *)arg);
    return status;
}

static int fork_once(void *arg)
{
    struct forked *f = arg;
    pirn_task *ticker = support_spawn(tick, f);
    int status = -1;
    f->own = pirn_runtime_current();
    support_until(&f->ticks, 3);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        in_child(f);
    CHECK_OK(pirn_blocking(wait_for, &pid, &status, PIRN_NEVER));
    CHECK_OK(status);
    support_until(&f->ticks, atomic_load(&f->ticks) + 3); /* undisturbed */
    atomic_store(&f->over, 1);
    return support_join(ticker);
}

START_TEST(a11_fork)
{
    if (support_tsan())
        return; /* it cannot start threads in the child of a process that has several */
    FOR_WORKERS(w)
    {
        struct forked f = {0};
        int value = 8, status = -1;
        CHECK_OK(pirn_runtime_new(&f.other, NULL));
        CHECK_OK(support_run(w, fork_once, &f));
        CHECK_OK(pirn_runtime_run_until_complete(f.other, give, &value, &status));
        CHECK_EQ(status, 8);
        CHECK_OK(pirn_runtime_free(f.other));
    }
}
END_TEST

/* ---- A12: the same at any W -------------------------------------------------------------- */

struct tree {
    int depth, leaf;
};

static int add_up(void *arg)
{
    struct tree t = *(struct tree *)arg, left = {t.depth - 1, 2 * t.leaf},
                right = {t.depth - 1, 2 * t.leaf + 1};
    if (t.depth == 0)
        return t.leaf % 7;
    pirn_task *a = support_spawn(add_up, &left), *b = support_spawn(add_up, &right);
    CHECK_OK(pirn_sleep(pirn_after_us(10)));
    return support_join(a) + support_join(b);
}

START_TEST(a12_same_result_at_any_w)
{
    struct tree t = {6, 1};
    int expected = 0;
    for (int leaf = 64; leaf < 128; leaf++)
        expected += leaf % 7;
    for (int w = 1; w <= 8; w *= 2)
        CHECK_EQ(support_run(w, add_up, &t), expected);
}
END_TEST

SUPPORT_MAIN("run", a1_value_or_code, s17_value_and_nothing_left, a2_nested_run,
             s18_run_does_not_nest, s19_no_function, s22_several_in_a_row, a5_a_thousand_in_a_row,
             a3_leftovers_clean_up, s20_clean_up_lines_are_written,
             a4_a_leftovers_error_is_heard_once, s27_a_stopped_run_ends, a142_jobs_at_the_end,
             a11_fork, a12_same_result_at_any_w)
