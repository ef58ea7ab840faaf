/*
 * The helper `noise`: how even the machine's pace is now, for whoever is to judge whether a
 * comparison means anything.
 *
 *   1. a thread on each CPU this process may use, held there; all begin together
 *   2. each does the same piece of work, of half a millisecond, over and over
 *   3. a piece that took longer than the best was interrupted, or its CPU was slowed down: by
 *      others on this machine, or by the host's other guests, which /proc/stat shows only in part
 *
 *   ms=500 piece_iters=N (default: measured; give it back, and the pieces of later runs are the
 *   same)
 *
 * best_us is the best piece of all, mean_us the mean of a piece, mean_most_us that of the CPU where
 * it is highest, longest_us the longest piece.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum {
    PIECE_US = 500
};

struct cpu {
    pthread_t thread;
    int number;
    int64_t pieces, best, longest, total; /* ns */
};

static struct {
    pthread_barrier_t start;
    uint64_t iterations;
    int64_t run_ns;
} noise;

static void *work_on(void *arg)
{
    struct cpu *cpu = arg;
    volatile uint64_t sink = 1;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(cpu->number, &only);
    if (sched_setaffinity(0, sizeof only, &only) < 0)
        bench_fail("sched_setaffinity", errno);
    pthread_barrier_wait(&noise.start);
    cpu->best = INT64_MAX;
    int64_t begin = bench_now();
    while (cpu->total < noise.run_ns) {
        sink = bench_work(sink, noise.iterations);
        int64_t now = bench_now(), took = now - begin;
        begin = now;
        cpu->pieces++;
        cpu->total += took;
        cpu->best = took < cpu->best ? took : cpu->best;
        cpu->longest = took > cpu->longest ? took : cpu->longest;
    }
    return NULL;
}

static void report(const struct cpu *cpus, int count)
{
    struct cpu all = {.best = INT64_MAX};
    double most = 0;
    for (int i = 0; i < count; i++) {
        const struct cpu *cpu = &cpus[i];
        double mean = (double)cpu->total / (double)cpu->pieces;
        most = mean > most ? mean : most;
        all.pieces += cpu->pieces;
        all.total += cpu->total;
        all.best = cpu->best < all.best ? cpu->best : all.best;
        all.longest = cpu->longest > all.longest ? cpu->longest : all.longest;
    }
    bench_out("cpus", count);
    bench_out("piece_iters", (double)noise.iterations);
    bench_out("best_us", (double)all.best / 1e3);
    bench_out("mean_us", (double)all.total / (double)all.pieces / 1e3);
    bench_out("mean_most_us", most / 1e3);
    bench_out("longest_us", (double)all.longest / 1e3);
}

void bench_row_noise(void)
{
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) < 0)
        bench_fail("sched_getaffinity", errno);
    int count = 0, cpus_here = CPU_COUNT(&mine);
    struct cpu *cpus = bench_alloc((size_t)cpus_here, sizeof *cpus);
    noise.run_ns = bench_int("ms", 500) * 1000000;
    noise.iterations = (uint64_t)bench_int("piece_iters", 0);
    if (!noise.iterations)
        noise.iterations = bench_work_per_ms() * PIECE_US / 1000;
    pthread_barrier_init(&noise.start, NULL, (unsigned)cpus_here);
    for (int i = 0; i < CPU_SETSIZE && count < cpus_here; i++)
        if (CPU_ISSET(i, &mine))
            cpus[count++].number = i;
    for (int i = 0; i < count; i++)
        if (pthread_create(&cpus[i].thread, NULL, work_on, &cpus[i]))
            bench_fail("pthread_create", EAGAIN);
    for (int i = 0; i < count; i++)
        pthread_join(cpus[i].thread, NULL);
    pthread_barrier_destroy(&noise.start);
    report(cpus, count);
    free(cpus);
}
