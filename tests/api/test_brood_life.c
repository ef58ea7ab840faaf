/* What becomes of a brood that has not begun when its worker is held up, the runtime is stopped, or
 * ends. */
#include "tests/support.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

enum {
    CHILDREN = 20
};

/* A brood whose first member holds its worker; the others count. */
static struct {
    pirn_runtime *rt;
    void (*hold)(void);
    pirn_fn child;
    pirn_task *children[CHILDREN];
    atomic_int held, begun;
    int pipe[2], order[CHILDREN];
} brood;

static int counts(void *arg)
{
    int k = atomic_fetch_add(&brood.begun, 1);
    brood.order[k] = (int)(intptr_t)arg;
    return 0;
}

static int holds(void *arg)
{
    (void)arg;
    atomic_store(&brood.held, 1);
    brood.hold();
    return 0;
}

static int bring(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.strand = arg;
    brood.children[0] = support_spawn(holds, NULL);
    for (int i = 1; i < CHILDREN; i++)
        CHECK_OK(pirn_spawn_with(&brood.children[i], &config, brood.child, (void *)(intptr_t)i));
    int rc = 0;
    for (int i = 0; i < CHILDREN && rc == 0; i++)
        rc = pirn_await(brood.children[i], NULL, PIRN_NEVER);
    return rc;
}

static void begin(void (*hold)(void), pirn_fn child)
{
    memset(&brood, 0, sizeof(brood));
    brood.hold = hold;
    brood.child = child;
}

static void release_children(void)
{
    for (int i = 0; i < CHILDREN; i++)
        CHECK_OK(pirn_release(brood.children[i]));
}

/* Not awaited at once: it is to have a run of its own. */
static int bring_apart(void *arg)
{
    pirn_task *task = support_spawn(bring, arg);
    while (!atomic_load(&brood.held))
        CHECK_OK(pirn_yield());
    CHECK_OK(support_join(task));
    CHECK_EQ(atomic_load(&brood.begun), CHILDREN - 1);
    return 0;
}

/* ---- Its worker blocks, or computes ---------------------------------------------------------- */

static void compute(void)
{
    while (atomic_load(&brood.begun) < CHILDREN - 1) {}
}

static void block(void)
{
    char c;
    support_blocking_begin();
    for (int i = 1; i < CHILDREN; i++)
        CHECK_EQ(read(brood.pipe[0], &c, 1), 1);
    support_blocking_end();
}

static int writes(void *arg)
{
    support_blocking_begin();
    CHECK_EQ(write(brood.pipe[1], "x", 1), 1);
    support_blocking_end();
    return counts(arg);
}

START_TEST(others_take_the_brood_of_a_worker_that_is_stuck)
{
    FOR_WORKERS(w)
    {
        begin(compute, counts);
        CHECK_OK(support_run(w, bring_apart, NULL));
        release_children();
        begin(block, writes);
        CHECK_OK(pipe2(brood.pipe, O_CLOEXEC));
        CHECK_OK(support_run(w, bring_apart, NULL));
        release_children();
        close(brood.pipe[0]);
        close(brood.pipe[1]);
    }
}
END_TEST

/* ---- It blocks right after the runtime was paused -------------------------------------------- */

static atomic_int handled;

static void dawdle(int signal)
{
    const struct timespec pause = {0, 60 * MS};
    int kept = errno;
    (void)signal;
    atomic_store(&handled, 1);
    nanosleep(&pause, NULL); /* until the monitor, which sees nobody at work, has gone to sleep */
    errno = kept;
}

static int thread_id(void *arg)
{
    *(pid_t *)arg = gettid();
    return 0;
}

static int block_beside_a_newcomer(void *arg)
{
    char c;
    (void)arg;
    pirn_task *task = support_spawn(writes, NULL);
    support_blocking_begin();
    CHECK_EQ(read(brood.pipe[0], &c, 1), 1);
    support_blocking_end();
    return support_join(task);
}

START_TEST(a_worker_late_out_of_a_pause_has_a_monitor)
{
    struct sigaction action = {.sa_handler = dawdle};
    pirn_config config = PIRN_CONFIG_INIT;
    pid_t tid;
    if (support_tsan()) /* it delivers no signal to a thread asleep on a futex */
        return;
    begin(block, writes);
    CHECK_OK(pipe2(brood.pipe, O_CLOEXEC));
    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    config.workers = 1;
    CHECK_OK(pirn_runtime_new(&brood.rt, &config));
    CHECK_OK(pirn_runtime_run_until_complete(brood.rt, thread_id, &tid, NULL));
    CHECK_OK(tgkill(getpid(), tid, SIGUSR1));
    while (!atomic_load(&handled))
        sched_yield();
    CHECK_OK(pirn_runtime_run_until_complete(brood.rt, block_beside_a_newcomer, NULL, NULL));
    CHECK_OK(pirn_runtime_free(brood.rt));
    close(brood.pipe[0]);
    close(brood.pipe[1]);
}
END_TEST

/* ---- Members of a strand --------------------------------------------------------------------- */

static int on_strand(void *arg)
{
    pirn_strand *strand;
    (void)arg;
    CHECK_OK(pirn_strand_new(&strand));
    CHECK_OK(bring_apart(strand));
    for (int i = 1; i < CHILDREN; i++)
        CHECK_EQ(brood.order[i - 1], i);
    pirn_strand_release(strand);
    return 0;
}

START_TEST(a_strand_keeps_its_order_in_a_brood)
{
    FOR_WORKERS(w)
    {
        begin(compute, counts);
        CHECK_OK(support_run(w, on_strand, NULL));
        release_children();
    }
}
END_TEST

/* ---- The runtime is stopped, and goes on, or is closed --------------------------------------- */

static void stop(void)
{
    CHECK_OK(pirn_runtime_stop(brood.rt));
}

static pirn_task *stopped_with_a_brood(int workers)
{
    pirn_config config = PIRN_CONFIG_INIT;
    pirn_spawn_config in = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    begin(stop, counts);
    config.workers = workers;
    CHECK_OK(pirn_runtime_new(&brood.rt, &config));
    in.runtime = brood.rt;
    CHECK_OK(pirn_spawn_with(&task, &in, bring, NULL));
    CHECK_OK(pirn_runtime_run_forever(brood.rt));
    return task;
}

START_TEST(a_pass_runs_the_brood_once)
{
    FOR_WORKERS(w)
    {
        pirn_task *task = stopped_with_a_brood(w);
        int begun = atomic_load(&brood.begun);
#ifndef PIRN_HARD
        if (w == 1)
            CHECK_EQ(begun, 0);
#endif
        sched_yield();
        CHECK_EQ(atomic_load(&brood.begun), begun); /* nothing runs */
        CHECK_OK(pirn_runtime_stop(brood.rt));
        CHECK_OK(pirn_runtime_run_forever(brood.rt)); /* what is ready, once */
        CHECK_EQ(atomic_load(&brood.begun), CHILDREN - 1);
        CHECK_OK(pirn_runtime_run_until_done(brood.rt, task, NULL));
        CHECK_OK(pirn_status(task));
        CHECK_OK(pirn_release(task));
        release_children();
        CHECK_OK(pirn_runtime_free(brood.rt));
    }
}
END_TEST

START_TEST(the_next_run_goes_on_with_the_brood)
{
    FOR_WORKERS(w)
    {
        pirn_task *task = stopped_with_a_brood(w);
        CHECK_OK(pirn_runtime_run_until_done(brood.rt, task, NULL));
        CHECK_OK(pirn_status(task));
        CHECK_EQ(atomic_load(&brood.begun), CHILDREN - 1);
        CHECK_OK(pirn_release(task));
        release_children();
        CHECK_OK(pirn_runtime_free(brood.rt));
    }
}
END_TEST

/* Cancelled before they begin, one by hand and the others by the close: none of them runs. */
START_TEST(a_close_ends_the_brood)
{
    FOR_WORKERS(w)
    {
        pirn_task *task = stopped_with_a_brood(w);
        int begun = atomic_load(&brood.begun), cancelled = 0;
        bool last_waits = pirn_status(brood.children[CHILDREN - 1]) == -EINPROGRESS;
        if (last_waits)
            CHECK_OK(pirn_cancel(brood.children[CHILDREN - 1], NULL));
        CHECK_OK(pirn_runtime_close(brood.rt));
        for (int i = 1; i < CHILDREN; i++) {
            int ended = pirn_status(brood.children[i]);
            CHECK(ended == 0 || ended == -ECANCELED);
            cancelled += ended != 0;
        }
        CHECK_EQ(atomic_load(&brood.begun), begun);
        CHECK_EQ(begun + cancelled, CHILDREN - 1);
        int status = pirn_status(task);
        CHECK(status == -ECANCELED || status == 0); /* 0: all had ended before its own cancel */
        CHECK_OK(pirn_release(task));
        release_children();
        CHECK_OK(pirn_runtime_free(brood.rt));
    }
}
END_TEST

SUPPORT_MAIN("brood_life", others_take_the_brood_of_a_worker_that_is_stuck,
             a_worker_late_out_of_a_pause_has_a_monitor, a_strand_keeps_its_order_in_a_brood,
             a_pass_runs_the_brood_once, the_next_run_goes_on_with_the_brood,
             a_close_ends_the_brood)
