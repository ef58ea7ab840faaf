/*
 * Row timers: n timers spread over 10 s are armed, 90% of them cancelled, the rest fire. A timer is a
 * call to be made later (pirn_call_at): a descriptor in a heap of deadlines, without a stack until it
 * is due. Cancelled ones are joined too, so ns_per_cancel holds all that is left of them.
 *
 *   n=1000000 seconds=10 lead=4 (until the first one) workers=2
 *
 * ns to arm and to cancel, medians of 5 in turns on a busy machine: 486 and 212; Go 640 and 175. The
 * best of 9 runs: 191 and 62; Go 361 and 46. Page faults on the descriptors are most of the arming,
 * see perf/README.md.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <pirn.h>
#include <stdlib.h>

struct timer {
    int64_t until, late_ns; /* written by the timer, read after the join */
};

struct plan {
    int64_t n, span_ns, lead_ns;
};

static int fire(void *arg)
{
    struct timer *self = arg;
    self->late_ns = bench_now() - self->until;
    return 0;
}

static int run(void *arg)
{
    struct plan *plan = arg;
    size_t n = (size_t)plan->n;
    struct timer *timers = bench_alloc(n, sizeof *timers);
    pirn_task **tasks = bench_alloc(n, sizeof(pirn_task *));
    int64_t begin = bench_now(), cpu = bench_cpu(), first = begin + plan->lead_ns;
    for (size_t i = 0; i < n; i++) {
        /* a permutation of 0..n-1: the order of arming is not the order of firing */
        int64_t place = (int64_t)((uint64_t)i * 7919 % (uint64_t)n);
        timers[i].until = first + (int64_t)((double)plan->span_ns * (double)place / (double)n);
        timers[i].late_ns = -1;
        bench_ok(pirn_call_at(NULL, &tasks[i], fire, &timers[i], (pirn_time){timers[i].until}),
                 "arm");
    }
    int64_t armed = bench_now(), armed_cpu = bench_cpu();
    int64_t cancelled = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % 10 == 0)
            continue;
        cancelled += pirn_cancel(tasks[i], NULL) == 0;
        bench_ok(pirn_join(tasks[i], NULL, PIRN_NEVER), "join");
    }
    int64_t ended = bench_now(), ended_cpu = bench_cpu();
    bench_out("ns_per_arm", (double)(armed - begin) / (double)n);
    bench_out("ns_per_cancel", (double)(ended - armed) / (double)cancelled);
    bench_out("cpu_ns_per_arm", (double)(armed_cpu - cpu) / (double)n);
    bench_out("cpu_ns_per_cancel", (double)(ended_cpu - armed_cpu) / (double)cancelled);
    if (ended > first)
        bench_fail("timers fired before all were cancelled; try a larger lead=", ETIME);

    bench_samples late = {0};
    for (size_t i = 0; i < n; i += 10) {
        bench_ok(pirn_join(tasks[i], NULL, PIRN_NEVER), "join");
        if (timers[i].late_ns < 0)
            bench_fail("a timer was early, or never fired", EILSEQ);
        bench_add(&late, timers[i].late_ns);
    }
    for (size_t i = 0; i < n; i++)
        if (i % 10 && timers[i].late_ns != -1)
            bench_fail("a cancelled timer fired", EILSEQ);
    if (cancelled + (int64_t)late.count != plan->n)
        bench_fail("timers are missing", EILSEQ);
    bench_out_samples("lateness", &late);
    free(tasks);
    free(timers);
    return 0;
}

void bench_row_timers(void)
{
    struct plan plan = {
        .n = bench_int("n", 1000000),
        .span_ns = bench_int("seconds", 10) * 1000000000,
        .lead_ns = bench_int("lead", 4) * 1000000000,
    };
    bench_run((int)bench_int("workers", 2), run, &plan);
}
