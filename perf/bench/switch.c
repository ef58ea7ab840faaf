/*
 * Row switch: two coroutines on one worker take turns with pirn_yield, the way every wait parks
 * and resumes. A pair is there and back, two switches, as in a jump into a context and out of it.
 *
 *   pairs=10000000
 *
 * ns a pair, medians of 25 in turns, twice: 9.9 and 10.4, boost 10.1 and 10.6; 10.2 and 10.7 while
 * all switched by way of one function (runtime/context.h). Before who has left, and why, were one
 * word, the way without C++ kept nothing of C++, and a task that has never run was known by its
 * stack pointer, 5% more. Instructions: 202 for the pair, of which 18 in the switch itself; boost's
 * jump has no queue, no stride and no tick behind it. At times it is 14.6 to 16.8 for a while, and
 * boost 11 to 11.9: all five turns of a run on 22 November, and six in ten while the other CPU
 * computes (else one in ten). Likely a neighbour on the same core: 4.5 instructions a cycle leave
 * nothing to share, where boost's few wait for each other. Quiet, on that day: 10.2 to 10.5, boost
 * 10.6 to 11.0.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <pirn.h>

static int take_turns(void *arg)
{
    int64_t pairs = *(int64_t *)arg;
    for (int64_t i = 0; i < pairs; i++)
        pirn_yield();
    return 0;
}

static int run(void *arg)
{
    pirn_task *tasks[2];
    int64_t pairs = *(int64_t *)arg, begin = bench_now(), cpu = bench_cpu();
    for (int i = 0; i < 2; i++)
        bench_ok(pirn_spawn(&tasks[i], take_turns, arg), "spawn");
    for (int i = 0; i < 2; i++)
        bench_ok(pirn_join(tasks[i], NULL, PIRN_NEVER), "join");
    double took = (double)(bench_now() - begin);
    bench_out("ns_per_op", took / (double)pairs);
    bench_out("cpu_ns_per_op", (double)(bench_cpu() - cpu) / (double)pairs);
    return 0;
}

void bench_row_switch(void)
{
    int64_t pairs = bench_int("pairs", 10000000);
    bench_run(1, run, &pairs);
}
