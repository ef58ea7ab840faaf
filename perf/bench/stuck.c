/*
 * Row stuck: the sleeper and the client of row mixed beside coroutines that never let go: some
 * spin for two seconds, some sit in read(2) on an empty pipe.
 *
 * The probe runs alone for 200 ms, then the others start; samples are kept from then until the
 * last of them has ended. A plain thread writes to the pipe when spin_ms are over: a runtime that
 * is stuck altogether could not do it itself.
 *
 *   workers=2 spinners=2 blocked=2 spin_ms=2000
 *   (the second figure of the goals: spinners=40 blocked=0 spin_ms=300)
 *   peer=COMMAND runs another program with echo=PORT and these keys
 *
 * Where the time goes: p50 17 us, as in row mixed; p99, 1.6 to 2.5 ms, is what row mixed says of
 * the kernel's tick. The worst, 6 to 12 ms, is most likely the beginning: the monitor has to see
 * twice, 5 ms apart, that all stand still.
 */
#include "perf/bench/bench.h"
#include "perf/bench/probe.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    int64_t spinners, blocked, spin_ns;
    int pipe[2];
    bench_probe probe;
} stuck;

static int spin(void *arg)
{
    uint64_t x = 1;
    (void)arg;
    for (int64_t until = bench_now() + stuck.spin_ns; bench_now() < until;)
        x = bench_work(x, 10000);
    return (int)(x & 1);
}

static int block(void *arg)
{
    char byte;
    (void)arg;
    return read(stuck.pipe[0], &byte, 1) == 1 ? 0 : -EIO;
}

static void *release(void *arg)
{
    (void)arg;
    bench_nap(stuck.spin_ns);
    for (int64_t i = 0; i < stuck.blocked; i++)
        if (write(stuck.pipe[1], "x", 1) != 1)
            bench_fail("write to the pipe", errno);
    return NULL;
}

static int run(void *arg)
{
    size_t count = (size_t)(stuck.spinners + stuck.blocked);
    pirn_task **tasks = bench_alloc(count, sizeof *tasks);
    pthread_t releaser;
    (void)arg;
    atomic_store_explicit(&stuck.probe.warming_up, true, memory_order_relaxed);
    bench_probe_start(&stuck.probe);
    bench_ok(pirn_sleep(pirn_after_ms(200)), "sleep");
    atomic_store_explicit(&stuck.probe.warming_up, false, memory_order_relaxed);

    int64_t begin = bench_now();
    int error = pthread_create(&releaser, NULL, release, NULL);
    if (error)
        bench_fail("pthread_create", error);
    for (size_t i = 0; i < count; i++)
        bench_ok(pirn_spawn(&tasks[i], (int64_t)i < stuck.spinners ? spin : block, NULL), "spawn");
    for (size_t i = 0; i < count; i++) {
        int status;
        bench_ok(pirn_join(tasks[i], &status, PIRN_NEVER), "join");
        bench_ok(status, "a stuck task");
    }
    bench_probe_stop(&stuck.probe);
    bench_out("stuck_s", (double)(bench_now() - begin) / 1e9);
    pthread_join(releaser, NULL);
    free(tasks);
    return 0;
}

void bench_row_stuck(void)
{
    char more[256];
    int workers = (int)bench_int("workers", 2);
    bench_census census;
    stuck.spinners = bench_int("spinners", 2);
    stuck.blocked = bench_int("blocked", 2);
    stuck.spin_ns = bench_int("spin_ms", 2000) * 1000000;
    if (pipe(stuck.pipe) < 0)
        bench_fail("pipe", errno);
    stuck.probe.port = bench_echo_child();
    snprintf(more, sizeof more, "echo=%d workers=%d spinners=%lld blocked=%lld spin_ms=%lld",
             stuck.probe.port, workers, (long long)stuck.spinners, (long long)stuck.blocked,
             (long long)(stuck.spin_ns / 1000000));
    bench_become_peer(more);

    bench_census_start(&census);
    bench_run(workers, run, NULL);
    bench_census_end(&census);
    bench_out_samples("lateness", &stuck.probe.late);
    bench_out_samples("trip", &stuck.probe.trip);
    bench_out("threads", (double)census.most - 1); /* less the releaser */
}
