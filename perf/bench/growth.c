/*
 * Row growth: what a spawn (with its join), a yield, a timer armed and cancelled, and a wake-up
 * cost beside more and more coroutines that are alive and parked, in a sleep that ends in an hour.
 *
 *   alive=1000000 (at most; the sizes are 1,000, 100,000 and this) rounds=5 workers=1; only=N: that
 *   size alone, as NAME_ns
 *   1. spawn sleepers until so many are parked
 *   2. rounds times: each operation many times over; the best round counts
 *   3. when all sizes are through: NAME_growth, the dearest size over the cheapest. It should be
 *      below 2, cache misses apart
 *   4. cancel and join the sleepers: end_ns for each, cold memory all of it
 *
 * A wake-up is half of a round trip over two channels. The two that yield are in the same loop;
 * from two different ones a yield takes 16 ns instead of 5, as the processor guesses the wrong
 * return. tests/guard/test_growth.sh has the same in instructions, where no cache takes part.
 *
 * On 2 otherwise idle cores, 21 November 2026, ns beside 1,000, 100,000 and 1M: spawn 46, 45, 44;
 * arm 21, 32, 21; cancel 18, 23, 34; wake 52, 52, 51. A cancel unlinks from neighbours that are
 * seldom in the cache.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <pirn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SIZES = 3,
    SPAWNS = 100000,
    YIELDS = 500000, /* of each of two */
    TIMERS = 100000,
    TRIPS = 100000
};

enum what {
    SPAWN,
    YIELD,
    ARM,
    CANCEL,
    WAKE,
    WHATS
};

static const char *const names[WHATS] = {"spawn", "yield", "arm", "cancel", "wake"};

static struct {
    int64_t sizes[SIZES], rounds;
    int count; /* of sizes */
    pirn_task **sleepers;
    pirn_time until;
    _Atomic int64_t parked; /* relaxed: counted by the sleepers, read by main */
    pirn_timer *timers;
    pirn_channel *to, *fro;
    double best[SIZES][WHATS];
} growth;

static int sleeper(void *arg)
{
    (void)arg;
    atomic_fetch_add_explicit(&growth.parked, 1, memory_order_relaxed);
    return pirn_sleep(growth.until);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int yields(void *arg)
{
    (void)arg;
    for (int i = 0; i < YIELDS; i++)
        pirn_yield();
    return 0;
}

static int pong(void *arg)
{
    int64_t ball;
    (void)arg;
    for (int i = 0; i < TRIPS; i++) {
        bench_ok(pirn_channel_recv(growth.to, &ball, PIRN_NEVER), "recv");
        bench_ok(pirn_channel_send(growth.fro, &ball, PIRN_NEVER), "send");
    }
    return 0;
}

static void note(int size, enum what what, int64_t begin, int64_t ops)
{
    double each = (double)(bench_now() - begin) / (double)ops;
    double *best = &growth.best[size][what];
    if (*best == 0 || each < *best)
        *best = each;
}

static void round_of(int size)
{
    pirn_task *task;
    int64_t begin = bench_now();
    for (int i = 0; i < SPAWNS; i++) {
        bench_ok(pirn_spawn(&task, nothing, NULL), "spawn");
        bench_ok(pirn_join(task, NULL, PIRN_NEVER), "join");
    }
    note(size, SPAWN, begin, SPAWNS);

    pirn_task *both[2];
    begin = bench_now();
    for (int i = 0; i < 2; i++)
        bench_ok(pirn_spawn(&both[i], yields, NULL), "spawn");
    for (int i = 0; i < 2; i++)
        bench_ok(pirn_join(both[i], NULL, PIRN_NEVER), "join");
    note(size, YIELD, begin, 2 * (int64_t)YIELDS);

    int64_t first = pirn_after_s(1800).ns;
    begin = bench_now();
    for (int64_t i = 0; i < TIMERS;
         i++) /* over ten seconds; not in the order in which they are due */
        bench_ok(pirn_timer_arm(&growth.timers[i], (pirn_time){first + i * 7919 % TIMERS * 100000}),
                 "arm");
    note(size, ARM, begin, TIMERS);
    begin = bench_now();
    for (int i = 0; i < TIMERS; i++)
        bench_ok(pirn_timer_cancel(&growth.timers[i]), "cancel");
    note(size, CANCEL, begin, TIMERS);

    int64_t ball = 0;
    bench_ok(pirn_spawn(&task, pong, NULL), "spawn");
    begin = bench_now();
    for (int i = 0; i < TRIPS; i++) {
        bench_ok(pirn_channel_send(growth.to, &ball, PIRN_NEVER), "send");
        bench_ok(pirn_channel_recv(growth.fro, &ball, PIRN_NEVER), "recv");
    }
    note(size, WAKE, begin, 2 * (int64_t)TRIPS);
    bench_ok(pirn_join(task, NULL, PIRN_NEVER), "join");
}

static void park_until_there_are(int64_t n)
{
    for (int64_t i = atomic_load(&growth.parked); i < n; i++)
        bench_ok(pirn_spawn(&growth.sleepers[i], sleeper, NULL), "spawn");
    while (atomic_load_explicit(&growth.parked, memory_order_relaxed) < n)
        bench_ok(pirn_sleep(pirn_after_ms(5)), "sleep");
    bench_ok(pirn_sleep(pirn_after_ms(5)), "sleep"); /* the last one, too */
}

static void print(void)
{
    for (int what = 0; what < WHATS; what++) {
        char key[64];
        double least = growth.best[0][what], most = least;
        for (int i = 0; i < growth.count; i++) {
            double each = growth.best[i][what];
            if (growth.count == 1)
                snprintf(key, sizeof(key), "%s_ns", names[what]);
            else
                snprintf(key, sizeof(key), "%s_ns_%lld", names[what], (long long)growth.sizes[i]);
            bench_out(key, each);
            least = each < least ? each : least;
            most = each > most ? each : most;
        }
        snprintf(key, sizeof(key), "%s_growth", names[what]);
        if (growth.count > 1)
            bench_out(key, most / least);
    }
}

static int run(void *arg)
{
    (void)arg;
    growth.until = pirn_after_s(3600);
    bench_ok(pirn_channel_new(&growth.to, sizeof(int64_t), 0, NULL), "channel");
    bench_ok(pirn_channel_new(&growth.fro, sizeof(int64_t), 0, NULL), "channel");
    for (int i = 0; i < TIMERS; i++)
        bench_ok(pirn_timer_init(&growth.timers[i], NULL, nothing, NULL), "timer");
    for (int i = 0; i < growth.count; i++) {
        park_until_there_are(growth.sizes[i]);
        for (int64_t k = 0; k < growth.rounds; k++)
            round_of(i);
    }
    print();

    int64_t all = growth.sizes[growth.count - 1], begin = bench_now();
    for (int64_t i = 0; i < all; i++)
        bench_ok(pirn_cancel(growth.sleepers[i], NULL), "cancel");
    for (int64_t i = 0; i < all; i++) {
        int status;
        bench_ok(pirn_join(growth.sleepers[i], &status, PIRN_NEVER), "join");
        if (status != -ECANCELED)
            bench_fail("a sleeper was not asleep", EILSEQ);
    }
    bench_out("end_ns", (double)(bench_now() - begin) / (double)all);
    pirn_channel_release(growth.to);
    pirn_channel_release(growth.fro);
    return 0;
}

void bench_row_growth(void)
{
    growth.sizes[0] = 1000;
    growth.sizes[1] = 100000;
    growth.sizes[2] = bench_int("alive", 1000000);
    growth.rounds = bench_int("rounds", 5);
    growth.count = SIZES;
    if (bench_arg("only", NULL) != NULL) {
        growth.sizes[0] = bench_int("only", 0);
        growth.count = 1;
    }
    if (growth.sizes[2] < growth.sizes[1] || growth.sizes[0] < 1 || growth.rounds < 1)
        bench_fail("alive= at least 100000, only= and rounds= at least 1", EINVAL);
    growth.sleepers = bench_alloc((size_t)growth.sizes[growth.count - 1], sizeof(pirn_task *));
    growth.timers = bench_alloc(TIMERS, sizeof(pirn_timer));
    bench_run((int)bench_int("workers", 1), run, NULL);
    free(growth.sleepers);
    free(growth.timers);
}
