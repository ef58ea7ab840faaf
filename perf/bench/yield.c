/*
 * Row yield: tasks that do nothing but let the others run.
 *
 *   tasks=10 yields=1000000 workers=1
 *   variant=wide: tasks=200 yields=100000 workers=2
 *
 * ns a yield, medians of 5 in turns: 5.7, Tokio 65, Go 83, uvloop 465, asyncio 858; wide 4.1, Tokio
 * 28, Go 104. Instructions: 105, of which 86 in pirn_worker_yield_current (the queue is entered
 * once, for who comes next and who has yielded, around the switch), 8 in the switch, 8 in the calls
 * on the way, 3 in the scheduler's looks. No locked one.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <pirn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct plan {
    int64_t tasks, yields;
};

static int yields(void *arg)
{
    int64_t count = ((struct plan *)arg)->yields;
    for (int64_t i = 0; i < count; i++)
        pirn_yield();
    return 0;
}

static int run(void *arg)
{
    struct plan *plan = arg;
    size_t count = (size_t)plan->tasks;
    pirn_task **tasks = bench_alloc(count, sizeof *tasks);
    int64_t begin = bench_now(), cpu = bench_cpu();
    for (size_t i = 0; i < count; i++)
        bench_ok(pirn_spawn(&tasks[i], yields, plan), "spawn");
    for (size_t i = 0; i < count; i++)
        bench_ok(pirn_join(tasks[i], NULL, PIRN_NEVER), "join");
    double took = (double)(bench_now() - begin), ops = (double)plan->tasks * (double)plan->yields;
    bench_out("ns_per_op", took / ops);
    bench_out("cpu_ns_per_op", (double)(bench_cpu() - cpu) / ops);
    free(tasks);
    return 0;
}

void bench_row_yield(void)
{
    bool wide = !strcmp(bench_arg("variant", ""), "wide");
    struct plan plan = {
        .tasks = bench_int("tasks", wide ? 200 : 10),
        .yields = bench_int("yields", wide ? 100000 : 1000000),
    };
    bench_run((int)bench_int("workers", wide ? 2 : 1), run, &plan);
}
