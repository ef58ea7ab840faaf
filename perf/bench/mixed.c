/*
 * Row mixed: a 1 ms sleeper and an echo client beside twice as many hogs as workers. A hog computes
 * for 20 ms, yields, and goes on.
 *
 * The hogs run all the time; the probe is there in every second stretch. hogs_share is the hogs'
 * pace beside the probe over their pace alone, so both are measured in the same minute on the
 * same cores.
 *
 *   workers=2 hogs=2*workers burst_ms=20 stretches=4 stretch_ms=2000
 *   peer=COMMAND runs another program with echo=PORT burst_iters=N and these keys
 *
 * Where the time goes (Linux 6.18, 2 cores, tick of 4 ms; sched_switch and sched_waking traced):
 * whoever is due is served by a thread that hogs do not hold up. Woken, it has a core after 10 us
 * (p50), 11 (p90); then comes the coroutine: p50 17 us. Late by more than 1 ms were 43 of 1,700. In
 * the four of them that were looked at, that thread was runnable and a hog ran until the kernel's
 * next tick: twice the client that it had just sent to, on the same core, had taken the core from
 * it, and the hog came next; twice it was woken and the hog ran on. So the scheduler (EEVDF) took
 * it for not eligible, or a hog's deadline for earlier, and does not look again before a tick.
 * Hence, most likely, a p99 of half a tick and a little.
 * Tried: slices of 3, 10, 30 and 100 ms for threads that compute: wake-ups of that thread that take
 * more than 1 ms fell from 1.7% to 0.5%; the row's p99 stayed (2.3 to 2.7 ms). Not tried: a second
 * such thread that wakes a little later, to find the first at work mostly.
 */
#include "perf/bench/bench.h"
#include "perf/bench/probe.h"
#include "perf/bench/rows.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PIECES = 20
}; /* a burst is counted in pieces, or a stretch would end in mid-burst */

static struct {
    int64_t hogs, stretches, stretch_ms;
    uint64_t burst;
    bench_probe probe;
    _Atomic int64_t pieces; /* counted by the hogs, read by main; relaxed */
    atomic_bool stop;       /* set by main, read by the hogs; relaxed */
} mixed;

static int hog(void *arg)
{
    uint64_t x = 1;
    (void)arg;
    while (!atomic_load_explicit(&mixed.stop, memory_order_relaxed)) {
        for (int i = 0; i < PIECES; i++) {
            x = bench_work(x, mixed.burst / PIECES);
            atomic_fetch_add_explicit(&mixed.pieces, 1, memory_order_relaxed);
        }
        pirn_yield();
    }
    return (int)(x & 1);
}

/* One stretch: adds the time it took and the pieces done in it. */
static void stretch(int64_t *ns, int64_t *pieces)
{
    int64_t begin = bench_now();
    int64_t done = atomic_load_explicit(&mixed.pieces, memory_order_relaxed);
    bench_ok(pirn_sleep(pirn_after_ms(mixed.stretch_ms)), "sleep");
    *pieces += atomic_load_explicit(&mixed.pieces, memory_order_relaxed) - done;
    *ns += bench_now() - begin;
}

static int run(void *arg)
{
    int64_t ns[2] = {0}, pieces[2] = {0};
    (void)arg;
    size_t hogs = (size_t)mixed.hogs;
    pirn_task **tasks = bench_alloc(hogs, sizeof *tasks);
    for (size_t i = 0; i < hogs; i++)
        bench_ok(pirn_spawn(&tasks[i], hog, NULL), "spawn");
    int64_t begin = bench_now(), cpu = bench_cpu();
    for (int64_t i = 0; i < mixed.stretches; i++) {
        if (i % 2)
            bench_probe_start(&mixed.probe);
        stretch(&ns[i % 2], &pieces[i % 2]);
        if (i % 2)
            bench_probe_stop(&mixed.probe);
    }
    bench_out("cpu", (double)(bench_cpu() - cpu) / (double)(bench_now() - begin));
    atomic_store_explicit(&mixed.stop, true, memory_order_relaxed);
    for (size_t i = 0; i < hogs; i++)
        bench_ok(pirn_join(tasks[i], NULL, PIRN_NEVER), "join");
    free(tasks);
    double alone = (double)pieces[0] / (double)ns[0], beside = (double)pieces[1] / (double)ns[1];
    bench_out("hog_bursts_per_s", beside * 1e9 / PIECES);
    bench_out("hogs_share", beside / alone);
    return 0;
}

void bench_row_mixed(void)
{
    char more[256];
    int workers = (int)bench_int("workers", 2);
    bench_census census;
    mixed.hogs = bench_int("hogs", 2 * workers);
    mixed.stretches = bench_int("stretches", 4);
    mixed.stretch_ms = bench_int("stretch_ms", 2000);
    mixed.burst = bench_work_per_ms() * (uint64_t)bench_int("burst_ms", 20);
    mixed.probe.port = bench_echo_child();
    snprintf(more, sizeof more,
             "echo=%d burst_iters=%lld workers=%d hogs=%lld stretches=%lld stretch_ms=%lld",
             mixed.probe.port, (long long)mixed.burst, workers, (long long)mixed.hogs,
             (long long)mixed.stretches, (long long)mixed.stretch_ms);
    bench_become_peer(more);

    bench_census_start(&census);
    bench_run(workers, run, NULL);
    bench_census_end(&census);
    bench_out_samples("lateness", &mixed.probe.late);
    bench_out_samples("trip", &mixed.probe.trip);
    bench_out("threads", (double)census.most);
}
