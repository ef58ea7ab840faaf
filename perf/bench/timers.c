/*
 * Row timers: n timers spread over 10 s, 90% of them cancelled, the rest fire. There is no timer
 * object in pirn: a timer is a coroutine in pirn_sleep, so an arm includes its spawn and its first
 * run, and a cancel includes its end.
 *
 *   n=1000000 seconds=10 workers=2
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <pirn.h>
#include <stdatomic.h>
#include <stdlib.h>

struct timers {
    int64_t n, span_ns;
    pirn_time begin;
    int64_t *late_ns;             /* each coroutine writes its own; main reads after the join */
    _Atomic int64_t armed, ended; /* counted by the coroutines, read by main; relaxed */
};

struct timer {
    struct timers *all;
    int64_t index;
};

static int timer(void *arg)
{
    struct timer *self = arg;
    struct timers *all = self->all;
    /* a permutation of 0..n-1: the order of arming is not the order of firing */
    int64_t place = (int64_t)((uint64_t)self->index * 7919 % (uint64_t)all->n);
    pirn_time until = {all->begin.ns +
                       (int64_t)((double)all->span_ns * (double)place / (double)all->n)};
    atomic_fetch_add_explicit(&all->armed, 1, memory_order_relaxed);
    if (pirn_sleep(until) == 0)
        all->late_ns[self->index] = bench_now() - until.ns;
    atomic_fetch_add_explicit(&all->ended, 1, memory_order_relaxed);
    return 0;
}

static void wait_for(_Atomic int64_t *counter, int64_t target)
{
    while (atomic_load_explicit(counter, memory_order_relaxed) < target)
        bench_ok(pirn_yield(), "yield");
}

static int run(void *arg)
{
    struct timers *all = arg;
    size_t n = (size_t)all->n;
    struct timer *timers = bench_alloc(n, sizeof *timers);
    pirn_task **tasks = bench_alloc(n, sizeof *tasks);
    /* the first ones fire when all are armed and the others cancelled */
    int64_t lead = (int64_t)bench_int("lead", 10) * 1000000000, begin = bench_now();
    all->begin = (pirn_time){begin + lead};
    for (size_t i = 0; i < n; i++) {
        timers[i] = (struct timer){all, (int64_t)i};
        bench_ok(pirn_spawn(&tasks[i], timer, &timers[i]), "spawn");
    }
    wait_for(&all->armed, all->n);
    int64_t armed = bench_now();
    int64_t cancelled = 0;
    for (size_t i = 0; i < n; i++)
        if (i % 10)
            cancelled += pirn_cancel(tasks[i], NULL) == 0;
    wait_for(&all->ended, cancelled);
    int64_t ended = bench_now();
    bench_out("ns_per_arm", (double)(armed - begin) / (double)n);
    bench_out("ns_per_cancel", (double)(ended - armed) / (double)cancelled);
    if (ended > all->begin.ns)
        bench_fail("timers fired before all were cancelled; try a larger lead=", ETIME);

    bench_samples late = {0};
    for (size_t i = 0; i < n; i++) {
        bench_ok(pirn_join(tasks[i], NULL, PIRN_NEVER), "join");
        if (all->late_ns[i] >= 0)
            bench_add(&late, all->late_ns[i]);
    }
    bench_out("fired", (double)late.count);
    bench_out_samples("lateness", &late);
    free(tasks);
    free(timers);
    return 0;
}

void bench_row_timers(void)
{
    struct timers all = {.n = bench_int("n", 1000000),
                         .span_ns = bench_int("seconds", 10) * 1000000000};
    all.late_ns = bench_alloc((size_t)all.n, sizeof *all.late_ns);
    for (int64_t i = 0; i < all.n; i++)
        all.late_ns[i] = -1;
    bench_run((int)bench_int("workers", 2), run, &all);
    free(all.late_ns);
}
