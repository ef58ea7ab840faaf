/*
 * The helper `cpu`: tasks that compute in bursts and let the others run in between. Nothing waits
 * for I/O: the least that more workers must help with.
 *
 *   tasks=100 bursts=20 burst_iters=250000 workers=2
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <pirn.h>
#include <stdlib.h>

struct plan {
    int64_t tasks, bursts;
    uint64_t iterations;
};

static int compute(void *arg)
{
    struct plan *plan = arg;
    uint64_t x = 1;
    for (int64_t i = 0; i < plan->bursts; i++) {
        x = bench_work(x, plan->iterations);
        pirn_yield();
    }
    return (int)(x & 1);
}

static int run(void *arg)
{
    struct plan *plan = arg;
    size_t count = (size_t)plan->tasks;
    pirn_task **tasks = bench_alloc(count, sizeof *tasks);
    int64_t begin = bench_now(), cpu = bench_cpu();
    for (size_t i = 0; i < count; i++)
        bench_ok(pirn_spawn(&tasks[i], compute, plan), "spawn");
    for (size_t i = 0; i < count; i++)
        bench_ok(pirn_join(tasks[i], NULL, PIRN_NEVER), "join");
    double took = (double)(bench_now() - begin) / 1e9;
    bench_out("bursts_per_s", (double)(plan->tasks * plan->bursts) / took);
    bench_out("cpu_s", (double)(bench_cpu() - cpu) / 1e9);
    bench_out("wall_s", took);
    free(tasks);
    return 0;
}

void bench_row_cpu(void)
{
    struct plan plan = {bench_int("tasks", 100), bench_int("bursts", 20),
                        (uint64_t)bench_int("burst_iters", 250000)};
    bench_run((int)bench_int("workers", 2), run, &plan);
}
