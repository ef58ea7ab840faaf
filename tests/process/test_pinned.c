/*
 * A pinned coroutine keeps its thread, and so its thread-locals, over every kind of suspension,
 * with others beside it. One that is not pinned moves between threads, and its locals, its
 * floating-point values and its task-locals move with it.
 */
#include "tests/process/scenario.h"

enum {
    TASKS = 8,
    ROUNDS = 100,
    WORKERS = 4
};

static __thread long thread_local_value;
static pirn_local key;
static atomic_int moves, finished;

static pid_t this_thread(void)
{
    return (pid_t)syscall(SYS_gettid); /* asked anew each time */
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* One suspension of each kind. */
static void suspend_every_way(const int *pair, int round)
{
    char c = (char)round, back = 0;
    int status = -1;

    CHECK_OK(pirn_yield());
    CHECK_OK(pirn_sleep(pirn_after_us(100 + round)));
    CHECK_EQ(pirn_recv(pair[0], &back, 1, 0, pirn_after_us(200)), -ETIMEDOUT);
    CHECK_EQ(pirn_send(pair[1], &c, 1, 0, PIRN_NEVER), 1);
    CHECK_EQ(pirn_recv(pair[0], &back, 1, 0, PIRN_NEVER), 1);
    CHECK_EQ(back, c);
    CHECK_OK(support_join(support_spawn(nothing, NULL)));
    CHECK_OK(pirn_blocking(nothing, NULL, &status, PIRN_NEVER));
    CHECK_OK(status);
}

static int pinned(void *arg)
{
    pid_t thread = this_thread();
    long *address = &thread_local_value;
    int round, pair[2];

    support_pair(pair);
    CHECK_EQ(thread_local_value, 0); /* a thread of its own: nobody was here before */
    thread_local_value = (long)(intptr_t)arg;
    for (round = 0; round < support_rounds(ROUNDS); round++) {
        suspend_every_way(pair, round);
        CHECK_EQ(this_thread(), thread);
        CHECK(&thread_local_value == address);
        CHECK_EQ(thread_local_value, (intptr_t)arg + round);
        thread_local_value++;
    }
    CHECK_OK(pirn_close(pair[0]));
    CHECK_OK(pirn_close(pair[1]));
    return 0;
}

/* Runs until some task has moved, at least its rounds. */
static int wanderer(void *arg)
{
    long mine = (long)(intptr_t)arg, square = mine * mine;
    double root = (double)mine / 3;
    char text[32], expected[32];
    int round, pair[2];
    pid_t thread = this_thread();

    support_pair(pair);
    CHECK_OK(pirn_local_set(key, &square));
    snprintf(text, sizeof(text), "wanderer %ld", mine);
    snprintf(expected, sizeof(expected), "wanderer %ld", mine);
    for (round = 0; round < support_rounds(ROUNDS) || atomic_load(&moves) < 10; round++) {
        suspend_every_way(pair, round);
        if (this_thread() != thread) {
            thread = this_thread();
            atomic_fetch_add(&moves, 1);
        }
        CHECK_EQ(mine, (intptr_t)arg);
        CHECK(root == (double)mine / 3);
        CHECK_OK(strcmp(text, expected));
        CHECK(pirn_local_get(key) == &square);
        CHECK_EQ(square, mine * mine);
    }
    atomic_fetch_add(&finished, 1);
    CHECK_OK(pirn_close(pair[0]));
    CHECK_OK(pirn_close(pair[1]));
    return 0;
}

/* What a child finds is the pointer its parent had when it was spawned. */
static int heir(void *arg)
{
    CHECK(pirn_local_get(key) == arg);
    CHECK_OK(pirn_local_set(key, &finished));
    CHECK_OK(pirn_yield());
    CHECK(pirn_local_get(key) == &finished);
    return 0;
}

static int pinned_main(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *tasks[2 * TASKS];
    int i;

    (void)arg;
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_local_new(&key));
    CHECK(pirn_local_get(key) == NULL);
    CHECK_OK(pirn_local_set(key, &moves));
    for (i = 0; i < TASKS; i++) {
        CHECK_OK(pirn_spawn_with(&tasks[i], &config, pinned, (void *)(intptr_t)(1000 * (i + 1))));
        tasks[TASKS + i] = support_spawn(wanderer, (void *)(intptr_t)(i + 1));
    }
    CHECK_OK(support_join(support_spawn(heir, &moves)));
    CHECK(pirn_local_get(key) == &moves);
    for (i = 0; i < 2 * TASKS; i++)
        CHECK_OK(support_join(tasks[i]));
    CHECK_EQ(atomic_load(&finished), TASKS);
    printf("the %d that were not pinned moved %d times\n", TASKS, atomic_load(&moves));
    return 0;
}

static int pinned_and_not(void *arg)
{
    (void)arg;
    return support_run(WORKERS, pinned_main, NULL);
}

int main(void)
{
    return scenario("pinned", pinned_and_not, NULL, 60);
}
