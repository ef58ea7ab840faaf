/*
 * Too little memory. Under RLIMIT_AS the spawn or task concerned gets -ENOMEM and what runs already
 * goes on; when the room is back, so is the service. A runtime started with too little address
 * space or too little lockable memory starts, or says why not; it never hangs or dies.
 */

#include "tests/process/scenario.h"

enum {
    TASKS = 20000,
    MIB = 1 << 20
};

typedef struct crowd {
    pirn_future *gate;
    pirn_task **tasks;
    atomic_int ticks;
    atomic_bool stop;
} crowd;

static rlim_t address_space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    CHECK(f != NULL);
    CHECK_EQ(fscanf(f, "%lu", &pages), 1);
    fclose(f);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static bool is_shortage(int err)
{
    return err == -ENOMEM || err == -EAGAIN;
}

static int ticker(void *arg)
{
    crowd *c = arg;

    while (!atomic_load(&c->stop)) {
        int err = pirn_sleep(pirn_after_ms(1));

        if (err < 0)
            return err;
        atomic_fetch_add(&c->ticks, 1);
    }
    return 0;
}

static int wait_at_gate(void *arg)
{
    int status, err = pirn_future_await(((crowd *)arg)->gate, &status, NULL, PIRN_NEVER);

    return err < 0 ? err : status;
}

/* Spawns what fits; returns how many spawns were refused. */
static int spawn_crowd(crowd *c)
{
    int i, err, refused = 0;

    for (i = 0; i < TASKS; i++) {
        err = pirn_spawn(&c->tasks[i], wait_at_gate, c);
        if (err < 0) {
            CHECK(is_shortage(err));
            c->tasks[i] = NULL;
            refused++;
        }
        if (i % 100 == 0)
            CHECK_OK(pirn_yield()); /* so that they begin, and want stacks */
    }
    return refused;
}

/* Returns how many of the tasks that were accepted failed for want of memory. */
static int join_crowd(crowd *c)
{
    int i, status, failed = 0;

    for (i = 0; i < TASKS; i++) {
        if (!c->tasks[i])
            continue;
        CHECK_OK(pirn_join(c->tasks[i], &status, pirn_after_s(20)));
        if (status < 0) {
            CHECK(is_shortage(status));
            failed++;
        }
    }
    return failed;
}

static int squeeze(void *arg)
{
    pirn_task *tick, *late;
    crowd c = {.tasks = calloc(TASKS, sizeof(pirn_task *))};
    int refused, failed, ticks, status;

    (void)arg;
    CHECK(c.tasks != NULL);
    CHECK_OK(pirn_future_new(&c.gate));
    CHECK_OK(pirn_spawn(&tick, ticker, &c));
    CHECK_OK(pirn_sleep(pirn_after_ms(20)));

    set_soft_limit(RLIMIT_AS, address_space() + 64 * MIB);
    refused = spawn_crowd(&c);
    ticks = atomic_load(&c.ticks);
    CHECK_OK(pirn_sleep(pirn_after_ms(100)));
    CHECK(atomic_load(&c.ticks) > ticks);
    CHECK_OK(pirn_future_set(c.gate, 0, NULL));
    failed = join_crowd(&c);
    printf("of %d tasks %d were refused at spawn, %d at their first run\n", TASKS, refused, failed);
    CHECK(refused + failed > 0);
    CHECK(refused + failed < TASKS);

    set_soft_limit(RLIMIT_AS, RLIM_INFINITY);
    CHECK_OK(pirn_spawn(&late, wait_at_gate, &c));
    CHECK_OK(pirn_join(late, &status, pirn_after_s(20)));
    CHECK_OK(status);
    atomic_store(&c.stop, true);
    CHECK_OK(pirn_join(tick, &status, pirn_after_s(20)));
    CHECK_OK(status);
    pirn_release(c.gate);
    free(c.tasks);
    return 0;
}

static int run_squeeze(void *arg)
{
    pirn_config config = PIRN_CONFIG_INIT;
    int status;

    (void)arg;
    config.workers = 2;
    CHECK_OK(pirn_run_with(&config, squeeze, NULL, &status));
    return status;
}

static int seven(void *arg)
{
    (void)arg;
    return 7;
}

/* A small program that needs every part: a task, a timer, the ring. */
static int small_program(void *arg)
{
    int status = 0, fds[2];
    pirn_task *task;
    char byte = 'x';
    int err = pirn_spawn(&task, seven, NULL);

    (void)arg;
    if (err < 0)
        return err;
    CHECK_OK(pirn_join(task, &status, pirn_after_s(20)));
    if (status < 0)
        return status;
    CHECK_EQ(status, 7);
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_OK(pipe(fds));
    CHECK_EQ(pirn_write(fds[1], &byte, 1, pirn_after_s(20)), 1);
    CHECK_EQ(pirn_read(fds[0], &byte, 1, pirn_after_s(20)), 1);
    CHECK_OK(pirn_close(fds[0]));
    CHECK_OK(pirn_close(fds[1]));
    return 0;
}

static int run_small_program(int workers)
{
    pirn_config config = PIRN_CONFIG_INIT;
    int status = 0, err;

    config.workers = workers;
    err = pirn_run_with(&config, small_program, NULL, &status);
    if (err == 0)
        err = status;
    CHECK(err == 0 || is_shortage(err));
    return err;
}

static int start_in_little_space(void *arg)
{
    const rlim_t *room = arg;
    int err;

    set_soft_limit(RLIMIT_AS, address_space() + *room);
    err = run_small_program(2);
    set_soft_limit(RLIMIT_AS, RLIM_INFINITY);
    printf("  %llu KiB of room: %s\n", (unsigned long long)*room / 1024, strerror(-err));
    if (*room == 0)
        CHECK(err < 0);
    CHECK_OK(run_small_program(2)); /* with the room back it starts, in the same process */
    return 0;
}

static int drops;

static void drop(void *arg)
{
    CHECK_EQ(*(int *)arg, 5);
    drops++;
}

/* A main that gets no stack has been spawned, and its argument dropped: that is its status. */
static int run_without_stack(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_runtime *rt;
    int status = 0, main_arg = 5;

    (void)arg;
    CHECK_OK(pirn_runtime_new(&rt, NULL));
    config.stack_size = 1u << 30;
    config.arg_drop = drop;
    set_soft_limit(RLIMIT_AS, address_space() + 64 * MIB);
    CHECK_OK(pirn_runtime_run_until_complete_with(rt, &config, seven, &main_arg, &status));
    set_soft_limit(RLIMIT_AS, RLIM_INFINITY);
    CHECK_EQ(status, -ENOMEM);
    CHECK_EQ(drops, 1);
    CHECK_OK(pirn_runtime_run_until_complete_with(rt, &config, seven, &main_arg, &status));
    CHECK_EQ(status, 7);
    CHECK_EQ(drops, 2);
    return pirn_runtime_free(rt);
}

/* Asks the kernel itself whether a small ring can be had. */
static int bare_ring(void)
{
    struct {
        uint32_t words[30]; /* struct io_uring_params, all zero */
    } params = {{0}};
    long fd = syscall(SYS_io_uring_setup, 256, &params);

    if (fd < 0)
        return -errno;
    close((int)fd);
    return 0;
}

static int start_with_little_locked(void *arg)
{
    const rlim_t *room = arg;
    int err;

    drop_privileges();
    set_soft_limit(RLIMIT_MEMLOCK, *room);
    err = run_small_program(4);
    printf("  %llu KiB lockable: %s\n", (unsigned long long)*room / 1024, strerror(-err));
    if (*room == 0 && bare_ring() == -ENOMEM) /* with a little room, smaller rings may do */
        CHECK_EQ(err, -ENOMEM);
    CHECK(err == 0 || err == -ENOMEM);
    return 0;
}

int main(void)
{
    static const rlim_t rooms[] = {0,        256 << 10, 1 * MIB,   4 * MIB,  16 * MIB,
                                   64 * MIB, 96 * MIB,  160 * MIB, 512 * MIB};
    static const rlim_t locked[] = {0, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 * MIB, 8 * MIB};
    size_t i;

    for (i = 0; i < sizeof(locked) / sizeof(locked[0]); i++) {
        rlim_t room = locked[i];

        scenario("little lockable memory", start_with_little_locked, &room, 30);
    }
    if (ASAN || TSAN) {
        printf("address space limits: skipped, the sanitizer's shadow is larger than any limit\n");
        return 0;
    }
    for (i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        rlim_t room = rooms[i];

        scenario("little address space", start_in_little_space, &room, 30);
    }
    scenario("no stack for main", run_without_stack, NULL, 30);
    return scenario("squeezed while running", run_squeeze, NULL, 60);
}
