/*
 * Row timers: n timers spread over 10 s are armed, 90% of them cancelled, the rest fire. As Go's
 * AfterFunc and Stop: a pirn_timer in a struct of the program's, a task made when it is due.
 *
 *   n=1000000 seconds=10 lead=4 (until the first one) workers=2
 *   variant=embedded  the structs in an array      malloc  each from malloc, freed when cancelled
 *           call_at   pirn_call_at instead: a task with a handle, joined when it is cancelled
 *
 * A million over 10 s, medians of 5 in turns, ns to arm and to cancel: 80 and 11 (and 13 of CPU
 * later, see below); libuv 113 and 368; Go 382 and 49; Tokio's tasks 510 and 320, its DelayQueue 70
 * and 31. Late at p99: 57 us; Go, Tokio and libuv count in milliseconds, 1.1 to 2.7 ms. DelayQueue
 * has no lock, as one task owns it; what the port's costs, and the fresh pages, stands below.
 *
 * A cancel is one compare-and-swap, and its deadline stays where it is (io/deadlines.h); that is
 * swept up later, in order of memory, some hundreds at a time: cpu_ns_per_cancel_later is what the
 * process uses until the first timer is due. Before that each cancel took the port's lock and
 * unlinked its own: 28.4 ns, now 12.4 and 12.6 later (medians of 3 in turns). One timer that is
 * armed and cancelled again and again, a pair: 55.0 and 49.6; 100,000 of them all armed, all
 * cancelled, with no idle moment: 43.7 and 31.9 before, 74.4 and 6.8 now, as arming one again
 * unlinks it. Rejected: deadlines that are left until their slot is poured: 0.3 us each there, one
 * cache miss after the other, and lateness at p99 150 us instead of 54.
 *
 * With seconds=1, in turns on a busy machine, few runs: ns to arm, malloc 158 to 211; call_at 178
 * to 353, and 67 to 80 to cancel (with an implicit heap of deadlines 186 to 223, and 93 to 105).
 * The floors there: 1,500 ns for a page, which is 57 ns for all that a timer has (152 bytes); 17 ns
 * for a free(); 11 ns for the port's lock, a time.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <pirn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct timer {
    pirn_timer timer;
    pirn_task *task;
    int64_t until;
    struct rest *rest;
};

/* Those that fire; each writes one of the times. */
struct rest {
    atomic_size_t fired;
    int64_t *late_ns;
};

struct plan {
    int64_t n, span_ns, lead_ns;
    bool call_at, embedded;
};

static int fire(void *arg)
{
    struct timer *self = arg;
    int64_t late = bench_now() - self->until;
    if (late < 0)
        bench_fail("a timer was early", EILSEQ);
    self->rest->late_ns[atomic_fetch_add(&self->rest->fired, 1)] = late;
    return 0;
}

static void arm(const struct plan *plan, struct timer *t)
{
    if (plan->call_at) {
        bench_ok(pirn_call_at(NULL, &t->task, fire, t, (pirn_time){t->until}), "arm");
        return;
    }
    bench_ok(pirn_timer_init(&t->timer, NULL, fire, t), "init");
    bench_ok(pirn_timer_arm(&t->timer, (pirn_time){t->until}), "arm");
}

static bool cancel(const struct plan *plan, struct timer *t)
{
    if (!plan->call_at)
        return pirn_timer_cancel(&t->timer) == 0;
    bool cancelled = pirn_cancel(t->task, NULL) == 0;
    bench_ok(pirn_join(t->task, NULL, PIRN_NEVER), "join");
    return cancelled;
}

static int run(void *arg)
{
    struct plan *plan = arg;
    size_t n = (size_t)plan->n, rest_count = (n + 9) / 10;
    struct timer **timers = bench_alloc(n, sizeof(struct timer *)), *array = NULL;
    struct rest rest = {.late_ns = bench_alloc(rest_count + 1, sizeof(int64_t))};
    if (plan->embedded)
        array = bench_alloc(n, sizeof *array);
    int64_t begin = bench_now(), cpu = bench_cpu(), first = begin + plan->lead_ns;
    for (size_t i = 0; i < n; i++) {
        /* a permutation of 0..n-1: the order of arming is not the order of firing */
        int64_t place = (int64_t)((uint64_t)i * 7919 % (uint64_t)n);
        struct timer *t = plan->embedded ? &array[i] : malloc(sizeof *t);
        if (t == NULL)
            bench_fail("a timer", ENOMEM);
        t->until = first + (int64_t)((double)plan->span_ns * (double)place / (double)n);
        t->rest = &rest;
        timers[i] = t;
        arm(plan, t);
    }
    int64_t armed = bench_now(), armed_cpu = bench_cpu();
    int64_t cancelled = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % 10 == 0)
            continue;
        cancelled += cancel(plan, timers[i]);
        if (!plan->embedded)
            free(timers[i]);
    }
    int64_t ended = bench_now(), ended_cpu = bench_cpu();
    bench_out("ns_per_arm", (double)(armed - begin) / (double)n);
    bench_out("ns_per_cancel", (double)(ended - armed) / (double)cancelled);
    bench_out("cpu_ns_per_arm", (double)(armed_cpu - cpu) / (double)n);
    bench_out("cpu_ns_per_cancel", (double)(ended_cpu - armed_cpu) / (double)cancelled);
    if (ended > first)
        bench_fail("timers fired before all were cancelled; try a larger lead=", ETIME);
    /* What a cancel leaves to be done is done while nothing else is. */
    bench_ok(pirn_sleep((pirn_time){first}), "sleep");
    bench_out("cpu_ns_per_cancel_later", (double)(bench_cpu() - ended_cpu) / (double)cancelled);

    bench_ok(pirn_sleep((pirn_time){first + plan->span_ns}), "sleep");
    while (atomic_load(&rest.fired) < rest_count && bench_now() < first + 2 * plan->span_ns)
        bench_ok(pirn_sleep(pirn_after_ms(10)), "sleep");
    bench_ok(pirn_sleep(pirn_after_ms(10)), "sleep"); /* for one that was cancelled and fires */
    if (atomic_load(&rest.fired) != rest_count || cancelled + (int64_t)rest_count != plan->n)
        bench_fail("timers are missing, or fired though cancelled", EILSEQ);
    bench_samples late = {0};
    for (size_t i = 0; i < n; i += 10) {
        bench_add(&late, rest.late_ns[i / 10]);
        if (plan->call_at)
            bench_ok(pirn_join(timers[i]->task, NULL, PIRN_NEVER), "join");
        if (!plan->embedded)
            free(timers[i]);
    }
    bench_out_samples("lateness", &late);
    free(array);
    free(rest.late_ns);
    free(timers);
    return 0;
}

void bench_row_timers(void)
{
    const char *variant = bench_arg("variant", "embedded");
    struct plan plan = {
        .n = bench_int("n", 1000000),
        .span_ns = bench_int("seconds", 10) * 1000000000,
        .lead_ns = bench_int("lead", 4) * 1000000000,
        .call_at = strcmp(variant, "call_at") == 0,
        .embedded = strcmp(variant, "embedded") == 0,
    };
    bench_run((int)bench_int("workers", 2), run, &plan);
}
