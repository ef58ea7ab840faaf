/*
 * counts [N]
 *
 * For test_counts.sh and test_growth.sh: beside N coroutines that are parked, runs each operation
 * under callgrind, which counts the worker's instructions from its first one to its last, and
 * writes a file for each.
 *
 * Time is kept out, or else no two runs would count the same. What a stride costs (runtime/pace.c)
 * depends on how fast things go, and under valgrind all is slow: so the clock stands still while an
 * operation is counted, and strides are as long as they may be. And the monitor would take a worker
 * that gets no core for stuck, and move its coroutines to a spare: so it is held up, by the clock
 * that it reads first at each look.
 */
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/guard/operations.h"

#if defined(__has_include)
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#endif
#endif
#ifndef CALLGRIND_TOGGLE_COLLECT
#define RUNNING_ON_VALGRIND 0
#define CALLGRIND_TOGGLE_COLLECT ((void)0)
#define CALLGRIND_DUMP_STATS_AT(name) ((void)(name))
#endif

enum {
    ROUNDS = 32768, /* 64 strides of yields, 512 of the others */
    DISTURBED = 75  /* exit status: once more, please */
};

static pid_t counted_thread; /* the worker; written before `held` */
static atomic_bool held;     /* everybody else waits who wants to know the time. release, acquire */
static atomic_bool one_waits;  /* the monitor does. release, acquire */
static struct timespec stands; /* the worker's; {0}: its clock goes */

/* In place of libc's, for the library as well. */
int clock_gettime(clockid_t id, struct timespec *ret_time)
{
    if (id == CLOCK_MONOTONIC && atomic_load_explicit(&held, memory_order_acquire)) {
        if (gettid() != counted_thread) {
            atomic_store_explicit(&one_waits, true, memory_order_release);
            while (atomic_load_explicit(&held, memory_order_acquire))
                usleep(1000);
        } else if (stands.tv_sec != 0) {
            *ret_time = stands;
            return 0;
        }
    }
    return (int)syscall(SYS_clock_gettime, id, ret_time);
}

static void hold_the_monitor(void)
{
    counted_thread = gettid();
    atomic_store_explicit(&held, true, memory_order_release);
    while (!atomic_load_explicit(&one_waits, memory_order_acquire))
        pirn_yield();
}

static void count(const struct operation *operation)
{
    for (int i = 0; i < 2; i++) { /* the first time to warm up */
        operation->begin(ROUNDS);
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &stands);
        pirn_yield(); /* a stride begins */
        if (i == 1)
            CALLGRIND_TOGGLE_COLLECT;
        operation->run(ROUNDS);
        if (i == 1)
            CALLGRIND_TOGGLE_COLLECT;
        stands = (struct timespec){0};
        operation->end();
    }
    CALLGRIND_DUMP_STATS_AT(operation->name);
}

static pirn_task **sleepers;

static int sleeps(void *arg)
{
    ++*(long *)arg;
    return pirn_sleep(pirn_after_s(36000));
}

static void park_sleepers(long n)
{
    long parked = 0;
    sleepers = calloc((size_t)n + 1, sizeof(*sleepers));
    CHECK(sleepers);
    for (long i = 0; i < n; i++)
        sleepers[i] = support_spawn(sleeps, &parked);
    while (parked < n)
        CHECK_OK(pirn_yield());
}

static void wake_sleepers(long n)
{
    for (long i = 0; i < n; i++)
        CHECK_OK(pirn_cancel(sleepers[i], NULL));
    for (long i = 0; i < n; i++)
        CHECK_EQ(support_join(sleepers[i]), -ECANCELED);
    free(sleepers);
}

static int count_all(void *arg)
{
    long beside = *(long *)arg;
    pirn_stats stats = {.size = sizeof(stats)};
    hold_the_monitor();
    CHECK_OK(pirn_stats_get(NULL, &stats));
    park_sleepers(beside);
    for (size_t i = 0; stats.spares == 0 && i < sizeof(operations) / sizeof(operations[0]); i++) {
        count(&operations[i]);
        printf("%s %d\n", operations[i].name, ROUNDS * operations[i].per);
    }
    wake_sleepers(beside);
    atomic_store_explicit(&held, false, memory_order_release);
    return stats.spares == 0 ? 0 : DISTURBED;
}

int main(int argc, char **argv)
{
    long beside = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    if (RUNNING_ON_VALGRIND)
        return support_run(1, count_all, &beside);
    puts("skipped: not under valgrind, or its header was not there when this was built");
    return 77;
}
