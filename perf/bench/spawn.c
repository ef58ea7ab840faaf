/*
 * Row spawn: an empty task is spawned and awaited, one by one.
 *
 *   count=1000000 workers=2
 *   variant=batch: batch=10000, spawned together and then awaited, until count is reached
 *
 * One by one, ns on 2 noisy cores (1 worker, 2 workers, CPU on 2), single runs:
 *   112, 163, 264  each child on a stack of its own, four atomic read-modify-writes at its end
 *    41,  95, 150  run in the awaiter's place, one of them, live tasks counted per worker
 *    41,  60,  70  and nobody is woken for a child that is awaited at once (runtime/queue.c)
 *    46,  63       and spawn and await have what few of them need out of line (49, 74 beside it)
 *    45,  47       and a lone task is nobody's while its owner wakes somebody, nor is it queued
 *                  when the awaiter gives way (60 to 130 on 2 workers beside it, in turns)
 * The last line is about the steals, some 1,500 in a million, up to 8,000 in some minutes: whoever
 * was woken for the child found it standing still, as its parent was in the system call that woke
 * him; then parent and child went to and fro, and the run queue's lock was never biased.
 * In turns with the peers, on a slower day: 88 against Tokio 285 and Go 382.
 * Batches are bound by cache misses on 3 MB of descriptors: 194 against Go 446 and Tokio 501.
 * Prefetching the next free descriptor gave nothing.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <pirn.h>
#include <stdlib.h>
#include <string.h>

struct plan {
    int64_t count, batch;
};

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int run(void *arg)
{
    struct plan *plan = arg;
    size_t batch = (size_t)plan->batch;
    pirn_task **tasks = bench_alloc(batch, sizeof *tasks);
    int64_t begin = bench_now(), cpu = bench_cpu(), done = 0;
    for (; done < plan->count; done += plan->batch) {
        for (size_t i = 0; i < batch; i++)
            bench_ok(pirn_spawn(&tasks[i], nothing, NULL), "spawn");
        for (size_t i = 0; i < batch; i++)
            bench_ok(pirn_join(tasks[i], NULL, PIRN_NEVER), "join");
    }
    double took = (double)(bench_now() - begin);
    bench_out("ns_per_op", took / (double)done);
    bench_out("cpu_ns_per_op", (double)(bench_cpu() - cpu) / (double)done);
    free(tasks);
    return 0;
}

void bench_row_spawn(void)
{
    int64_t batch = strcmp(bench_arg("variant", ""), "batch") ? 1 : 10000;
    struct plan plan = {bench_int("count", 1000000), bench_int("batch", batch)};
    bench_run((int)bench_int("workers", 2), run, &plan);
}
