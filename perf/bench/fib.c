/*
 * Row fib: fib(n) by doubly recursive calls, of which one is spawned and awaited and the other is a
 * plain call; no cut-off. What fork and join cost where there is nothing else to do.
 *
 *   n=30 workers=2
 *
 * ns a node on 2 noisy cores, medians of 5 in turns: 83 (161 of CPU), oneTBB 52 (95), Tokio 382
 * (599), Go 484 (849), asyncio 4,740. A task here has a handle, a status and a cell that others may
 * wait on and cancel; a task of oneTBB has a counter, and lies on its parent's stack. Instructions
 * for a call, of which every second is spawned: 408; to make a task, queue it and free it 230, to
 * run it on its awaiter's stack 120, the program 25.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <pirn.h>

static int fib(void *arg)
{
    int n = *(int *)arg, first = n - 1, second = n - 2, sum;
    if (n < 2)
        return n;
    pirn_task *task;
    bench_ok(pirn_spawn(&task, fib, &first), "spawn");
    int direct = fib(&second);
    bench_ok(pirn_join(task, &sum, PIRN_NEVER), "join");
    return sum + direct;
}

struct plan {
    int n, result;
};

static int run(void *arg)
{
    struct plan *plan = arg;
    int64_t a = 0, b = 1, nodes, begin = bench_now(), cpu = bench_cpu();
    plan->result = fib(&plan->n);
    double took = (double)(bench_now() - begin), used = (double)(bench_cpu() - cpu);
    for (int i = 0; i < plan->n; i++) {
        int64_t next = a + b;
        a = b;
        b = next;
    }
    if (plan->result != a)
        bench_fail("fib is wrong", EILSEQ);
    nodes = b - 1; /* calls that spawn */
    bench_out("ns_per_op", took / (double)nodes);
    bench_out("cpu_ns_per_op", used / (double)nodes);
    bench_out("spawns", (double)nodes);
    return 0;
}

void bench_row_fib(void)
{
    struct plan plan = {.n = (int)bench_int("n", 30)};
    bench_run((int)bench_int("workers", 2), run, &plan);
}
