/*
 * fork() in a running program, from coroutines under load and from a plain thread: the child has no
 * part in its parent's runtime (calls that would need it give -ESHUTDOWN or -EPERM) but can start
 * one of its own; the parent's tasks, timers and sockets go on undisturbed.
 */

#include "tests/process/scenario.h"

enum {
    FORKS = 8
};

typedef struct load {
    pirn_runtime *runtime;
    pirn_timer timer;
    atomic_bool stop;
    atomic_int ticks, trips;
    int sockets[2];
} load;

static int ticker(void *arg)
{
    load *l = arg;

    while (!atomic_load(&l->stop)) {
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        atomic_fetch_add(&l->ticks, 1);
    }
    return 0;
}

static int pinger(void *arg)
{
    load *l = arg;
    int sent, back;

    for (sent = 0; !atomic_load(&l->stop); sent++) {
        CHECK_EQ(pirn_send(l->sockets[0], &sent, sizeof(sent), 0, pirn_after_s(20)), sizeof(sent));
        CHECK_EQ(pirn_recv(l->sockets[0], &back, sizeof(back), MSG_WAITALL, pirn_after_s(20)),
                 sizeof(back));
        CHECK_EQ(back, sent);
        atomic_fetch_add(&l->trips, 1);
    }
    CHECK_OK(shutdown(l->sockets[0], SHUT_WR));
    return 0;
}

static int ponger(void *arg)
{
    load *l = arg;
    int x;

    while (pirn_recv(l->sockets[1], &x, sizeof(x), MSG_WAITALL, pirn_after_s(20)) == sizeof(x))
        CHECK_EQ(pirn_send(l->sockets[1], &x, sizeof(x), 0, pirn_after_s(20)), sizeof(x));
    return 0;
}

static int seven(void *arg)
{
    (void)arg;
    return 7;
}

/* A life of its own: tasks, a timer and I/O in the child. */
static int own_main(void *arg)
{
    pirn_task *task;
    int status, fds[2];
    char c = 'x';

    CHECK_OK(pirn_spawn(&task, seven, arg));
    CHECK_OK(pirn_join(task, &status, pirn_after_s(10)));
    CHECK_EQ(status, 7);
    CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    CHECK_OK(pipe(fds));
    CHECK_EQ(pirn_write(fds[1], &c, 1, pirn_after_s(10)), 1);
    CHECK_EQ(pirn_read(fds[0], &c, 1, pirn_after_s(10)), 1);
    CHECK_OK(pirn_close(fds[0]));
    CHECK_OK(pirn_close(fds[1]));
    return 5;
}

/* In the child: the parent's runtime is as one that is closed. */
static void look_at_parents(load *l)
{
    pirn_stats stats = {.size = sizeof(stats)};

    CHECK_EQ(pirn_runtime_is_closed(l->runtime), 1);
    CHECK_EQ(pirn_runtime_is_running(l->runtime), 0);
    CHECK_EQ(pirn_dump(l->runtime, stderr), -ESHUTDOWN);
    CHECK_EQ(pirn_stats_get(l->runtime, &stats), -ESHUTDOWN);
    CHECK_EQ(pirn_timer_arm(&l->timer, PIRN_NEVER), -ESHUTDOWN);
    CHECK_EQ(pirn_runtime_stop(l->runtime), -ESHUTDOWN);
}

/* In the child. What it inherited looks like a coroutine of a runtime, but that one is gone. */
static void child_of_coroutine(load *l)
{
    pirn_spawn_config there = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    int status;

    alarm(60);
    there.runtime = l->runtime;
    CHECK_EITHER(pirn_spawn(&task, seven, NULL), -ESHUTDOWN, -EPERM);
    CHECK_EITHER(pirn_spawn_with(&task, &there, seven, NULL), -ESHUTDOWN, -EPERM);
    CHECK_EITHER(pirn_yield(), -ESHUTDOWN, -EPERM);
    look_at_parents(l);
    CHECK_EITHER(pirn_blocking(seven, NULL, &status, pirn_after_s(1)), -ESHUTDOWN, -EPERM);
    CHECK_EQ(pirn_run(own_main, NULL), 5);
    CHECK_EQ(pirn_run(own_main, NULL), 5); /* and again */
    _exit(0);
}

static void child_of_thread(load *l)
{
    pirn_spawn_config there = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;

    alarm(60);
    look_at_parents(l);
    there.runtime = l->runtime;
    CHECK_EITHER(pirn_spawn_with(&task, &there, seven, NULL), -ESHUTDOWN, -EPERM);
    CHECK_EQ(pirn_run(own_main, NULL), 5);
    _exit(0);
}

static int forking_task(void *arg)
{
    int status = -1;
    pid_t pid;

    CHECK_OK(pirn_sleep(pirn_after_ms(3))); /* wherever this wakes up */
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        child_of_coroutine(arg);
    CHECK_OK(pirn_blocking(wait_for_process, &pid, &status, PIRN_NEVER));
    CHECK_OK(status);
    return 0;
}

static void *forking_thread(void *arg)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0)
        child_of_thread(arg);
    CHECK_OK(wait_for_process(&pid));
    return NULL;
}

static void check_undisturbed(load *l)
{
    int ticks = atomic_load(&l->ticks), trips = atomic_load(&l->trips), i;

    for (i = 0; i < 6000; i++) {
        if (atomic_load(&l->ticks) > ticks && atomic_load(&l->trips) > trips)
            return;
        CHECK_OK(pirn_sleep(pirn_after_ms(10)));
    }
    FAIL("the parent's tasks stand still");
}

static int parent(void *arg)
{
    pirn_task *tasks[3], *task;
    load l = {.runtime = pirn_runtime_current()};
    pthread_t thread;
    int i, status;

    (void)arg;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l.sockets));
    CHECK_OK(pirn_timer_init(&l.timer, NULL, seven, NULL));
    CHECK_OK(pirn_spawn(&tasks[0], ticker, &l));
    CHECK_OK(pirn_spawn(&tasks[1], pinger, &l));
    CHECK_OK(pirn_spawn(&tasks[2], ponger, &l));
    for (i = 0; i < FORKS; i++) {
        CHECK_OK(pirn_spawn(&task, forking_task, &l));
        CHECK_OK(pirn_join(task, &status, PIRN_NEVER));
        CHECK_OK(status);
        check_undisturbed(&l);
    }
    CHECK_OK(pthread_create(&thread, NULL, forking_thread, &l));
    for (i = 0; i < 5; i++)
        check_undisturbed(&l);
    CHECK_OK(pthread_join(thread, NULL));
    check_undisturbed(&l);

    atomic_store(&l.stop, true);
    for (i = 0; i < 3; i++) {
        CHECK_OK(pirn_join(tasks[i], &status, pirn_after_s(20)));
        CHECK_OK(status);
    }
    CHECK_OK(pirn_close(l.sockets[0]));
    CHECK_OK(pirn_close(l.sockets[1]));
    return 0;
}

static int forks(void *arg)
{
    pirn_config config = PIRN_CONFIG_INIT;
    int status;

    config.workers = *(int *)arg;
    CHECK_OK(pirn_run_with(&config, parent, NULL, &status));
    return status;
}

int main(void)
{
    int workers;

    if (TSAN)
        return SKIPPED; /* it cannot start threads in the child of a process that has several */
    for (workers = 1; workers <= 4; workers *= 2)
        scenario("fork", forks, &workers, 60);
    return 0;
}
