/*
 * Row scaling: one program on one worker and on two. The program is a server whose requests cost
 * half a millisecond of CPU each, so that the load (about 5 us a request) stays outside the cores'
 * work. threads_ratio is what two plain threads make of the same work: the most there is to have.
 *
 *   conns=16 work_us=500 rounds=3 ms=1000, one worker and two in turns; medians
 *   server=COMMAND measures another server; it gets workers=N (default: the helper serve)
 *
 * 1.98 times as much with two workers, plain threads 2.00. A request takes 526 us on one worker, of
 * which 500 are the work; with two the load's part, some 5 us of each, comes out of the same two
 * cores.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    MOST_ROUNDS = 99
};

static void *work_alone(void *arg)
{
    volatile uint64_t sink = bench_work(1, *(uint64_t *)arg);
    (void)sink;
    return NULL;
}

/* Work per time of so many plain threads. */
static double threads_pace(int count, uint64_t iterations)
{
    pthread_t threads[2];
    int64_t begin = bench_now();
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, work_alone, &iterations))
            bench_fail("pthread_create", EAGAIN);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return (double)count / (double)(bench_now() - begin);
}

void bench_row_scaling(void)
{
    char self[1024] = "", own[1100], command[4096];
    uint64_t per_ms = bench_work_per_ms();
    int64_t rounds = bench_int("rounds", 3);
    bench_samples pace[2] = {{0}, {0}}, threads = {0};
    bench_used used = {0};
    if (rounds < 1 || rounds > MOST_ROUNDS)
        bench_fail("rounds", EINVAL);
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        bench_fail("/proc/self/exe", errno);
    snprintf(own, sizeof own, "%s serve", self);
    const char *server = bench_arg("server", own);
    bench_load load = {
        .server = command,
        .conns = (int)bench_int("conns", 16),
        .work = (uint32_t)(per_ms * (uint64_t)bench_int("work_us", 500) / 1000),
        .run_ns = bench_int("ms", 1000) * 1000000,
    };
    for (int64_t i = 0; i < rounds; i++) {
        for (int workers = 1; workers <= 2; workers++) {
            bench_loaded loaded;
            snprintf(command, sizeof command, "%s workers=%d", server, workers);
            bench_load_run(&load, &loaded);
            bench_add(&pace[workers - 1], (int64_t)(loaded.msgs_per_s * 1000));
            free(loaded.latency.ns);
            used = loaded.server_used;
        }
        double one = threads_pace(1, per_ms * 200), two = threads_pace(2, per_ms * 200);
        bench_add(&threads, (int64_t)(two / one * 1e6));
    }
    double one = (double)bench_quantile(&pace[0], 500);
    double two = (double)bench_quantile(&pace[1], 500);
    bench_out("w1_per_s", one / 1000);
    bench_out("w2_per_s", two / 1000);
    bench_out("ratio", two / one);
    bench_out("threads_ratio", (double)bench_quantile(&threads, 500) / 1e6);
    bench_out_used(used);
    for (int i = 0; i < 2; i++)
        free(pace[i].ns);
    free(threads.ns);
}
