/*
 * No threads to be had (RLIMIT_NPROC, as an unprivileged user): starting a runtime gives -EAGAIN
 * and leaves nothing behind; in a running one the pinned spawn or pool call concerned gets -EAGAIN,
 * a stuck worker goes without a spare, and everything already running goes on.
 */

#include "tests/process/scenario.h"

static int seven(void *arg)
{
    (void)arg;
    return 7;
}

static int start_without_threads(void *arg)
{
    pirn_config config = PIRN_CONFIG_INIT;
    struct rlimit before;
    support_census census;
    int status = 12345;

    (void)arg;
    drop_privileges();
    census = support_count();
    CHECK_OK(getrlimit(RLIMIT_NPROC, &before));
    config.workers = 2;
    set_soft_limit(RLIMIT_NPROC, 1);
    CHECK_EQ(pirn_run_with(&config, seven, NULL, &status), -EAGAIN);
    CHECK_EQ(status, 12345);
    check_nothing_left(census);
    set_soft_limit(RLIMIT_NPROC, before.rlim_cur);
    CHECK_OK(pirn_run_with(&config, seven, NULL, &status));
    CHECK_EQ(status, 7);
    return 0;
}

typedef struct life {
    atomic_bool stop;
    atomic_int ticks, trips;
    int sockets[2];
} life;

static int ticker(void *arg)
{
    life *l = arg;

    while (!atomic_load(&l->stop)) {
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        atomic_fetch_add(&l->ticks, 1);
    }
    return 0;
}

static int pinger(void *arg)
{
    life *l = arg;
    char c = 0, back = 0;

    for (; !atomic_load(&l->stop); c++) {
        CHECK_EQ(pirn_send(l->sockets[0], &c, 1, 0, pirn_after_s(20)), 1);
        CHECK_EQ(pirn_recv(l->sockets[0], &back, 1, 0, pirn_after_s(20)), 1);
        CHECK_EQ(back, c);
        atomic_fetch_add(&l->trips, 1);
    }
    CHECK_OK(shutdown(l->sockets[0], SHUT_WR));
    return 0;
}

static int ponger(void *arg)
{
    life *l = arg;
    char c;

    while (pirn_recv(l->sockets[1], &c, 1, 0, pirn_after_s(20)) == 1)
        CHECK_EQ(pirn_send(l->sockets[1], &c, 1, 0, pirn_after_s(20)), 1);
    return 0;
}

/* Blocks its worker in the kernel, as code that knows nothing of pirn would. */
static int block_100_ms(void *arg)
{
    (void)arg;
    usleep(100000);
    return 0;
}

static void check_still_alive(life *l)
{
    int ticks = atomic_load(&l->ticks), trips = atomic_load(&l->trips), i;
    bool ticked = false, tripped = false;

    for (i = 0; i < 2000 && !(ticked && tripped); i++) {
        CHECK_OK(pirn_sleep(pirn_after_ms(10)));
        ticked = atomic_load(&l->ticks) > ticks;
        tripped = atomic_load(&l->trips) > trips;
    }
    CHECK(ticked);
    CHECK(tripped);
}

/* One more worker stuck than there are workers, and no thread to stand in for any. */
static void get_stuck(int workers)
{
    pirn_task *tasks[8];
    int i, status;

    for (i = 0; i <= workers; i++)
        CHECK_OK(pirn_spawn(&tasks[i], block_100_ms, NULL));
    for (i = 0; i <= workers; i++) {
        CHECK_OK(pirn_join(tasks[i], &status, pirn_after_s(20)));
        CHECK_OK(status);
    }
}

static int run_out_of_threads(void *arg)
{
    pirn_spawn_config pinned = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *tasks[3], *task;
    life l = {.stop = false};
    struct rlimit before;
    int i, status = 12345;

    (void)arg;
    pinned.flags = PIRN_PINNED;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, l.sockets));
    CHECK_OK(pirn_spawn(&tasks[0], ticker, &l));
    CHECK_OK(pirn_spawn(&tasks[1], pinger, &l));
    CHECK_OK(pirn_spawn(&tasks[2], ponger, &l));
    check_still_alive(&l);

    CHECK_OK(getrlimit(RLIMIT_NPROC, &before));
    set_soft_limit(RLIMIT_NPROC, 1);
    CHECK_EQ(pirn_spawn_with(&task, &pinned, seven, NULL), -EAGAIN);
    CHECK_EQ(pirn_blocking(seven, NULL, &status, pirn_after_s(20)), -EAGAIN);
    CHECK_EQ(pirn_to_thread(seven, NULL, &status, pirn_after_s(20)), -EAGAIN);
    CHECK_EQ(pirn_thread_pool_submit(NULL, &task, seven, NULL), -EAGAIN);
    CHECK_EQ(status, 12345);
    check_still_alive(&l);
    get_stuck(2);
    check_still_alive(&l);

    set_soft_limit(RLIMIT_NPROC, before.rlim_cur);
    CHECK_OK(pirn_spawn_with(&task, &pinned, seven, NULL));
    CHECK_OK(pirn_join(task, &status, pirn_after_s(20)));
    CHECK_EQ(status, 7);
    status = 0;
    CHECK_OK(pirn_blocking(seven, NULL, &status, pirn_after_s(20)));
    CHECK_EQ(status, 7);
    CHECK_OK(pirn_to_thread(seven, NULL, &status, pirn_after_s(20)));
    CHECK_OK(pirn_thread_pool_submit(NULL, &task, seven, NULL));
    CHECK_OK(pirn_join(task, &status, pirn_after_s(20)));
    CHECK_EQ(status, 7);

    atomic_store(&l.stop, true);
    for (i = 0; i < 3; i++) {
        CHECK_OK(pirn_join(tasks[i], &status, pirn_after_s(20)));
        CHECK_OK(status);
    }
    CHECK_OK(pirn_close(l.sockets[0]));
    CHECK_OK(pirn_close(l.sockets[1]));
    return 0;
}

static int lose_threads_while_running(void *arg)
{
    pirn_config config = PIRN_CONFIG_INIT;
    int status;

    (void)arg;
    drop_privileges();
    config.workers = 2;
    CHECK_OK(pirn_run_with(&config, run_out_of_threads, NULL, &status));
    return status;
}

int main(void)
{
    scenario("no threads at the start", start_without_threads, NULL, 30);
    return scenario("no threads while running", lose_threads_while_running, NULL, 60);
}
