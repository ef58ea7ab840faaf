/*
 * Row pingpong-cross: as pingpong, but the ends are pinned (PIRN_PINNED), each to a thread of its
 * own: a ball that comes has to wake the other thread. A trip is there and back.
 *
 *   trips=100000
 *   variant=channels  two pinned coroutines, two channels without capacity
 *           futex     two plain threads, a word each way, asleep in a futex until it changes: the
 *                     floor for ends that sleep
 *           spin      the same without ever sleeping: the floor for ends that burn their cores
 *
 * us a trip (and of CPU), 2 noisy cores of a virtual machine, medians of 5 in turns: 1.4 (2.4), Go
 * with two locked threads 77 (57), Tokio with two threads 39 (22), futex 34 (18), spin 0.42 (0.74).
 * Before a thread that waits looked for up to 40 us, and slept then (runtime/patience.c): 34 (19),
 * medians of 5 in turns with 1.3 (2.3). So it is not spinning that wins here, but two sleeps and
 * two wake-ups less, in CPU as well; what is left beside the floor are four locked calls of a
 * channel. With each end held on a core of its own, on a machine full of other work: 4.8 (2.5) and
 * 176 (67). Where the kernel has both on one core looking is of no use, and soon left alone:
 * 4.7 (4.5) and 5.5 (4.0).
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <linux/futex.h>
#include <pirn.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int64_t trips;

static void report(int64_t begin, int64_t cpu)
{
    bench_out("ns_per_op", (double)(bench_now() - begin) / (double)trips);
    bench_out("cpu_ns_per_op", (double)(bench_cpu() - cpu) / (double)trips);
}

/* ---- Channels ----------------------------------------------------------------------------- */

static pirn_channel *to, *fro;

static int pong(void *arg)
{
    int64_t ball;
    (void)arg;
    while (bench_ok(pirn_channel_recv(to, &ball, PIRN_NEVER), "recv") == 1) {
        ball++;
        bench_ok(pirn_channel_send(fro, &ball, PIRN_NEVER), "send");
    }
    return 0;
}

static int ping(void *arg)
{
    int64_t ball = 0, begin = bench_now(), cpu = bench_cpu();
    (void)arg;
    for (int64_t i = 0; i < trips; i++) {
        bench_ok(pirn_channel_send(to, &ball, PIRN_NEVER), "send");
        bench_ok(pirn_channel_recv(fro, &ball, PIRN_NEVER), "recv");
    }
    report(begin, cpu);
    bench_ok(pirn_channel_close(to, PIRN_CHANNEL_SEND), "close");
    if (ball != trips)
        bench_fail("trips are missing", EILSEQ);
    return 0;
}

static int run(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *ends[2];
    (void)arg;
    config.flags = PIRN_PINNED;
    bench_ok(pirn_channel_new(&to, sizeof(int64_t), 0, NULL), "channel");
    bench_ok(pirn_channel_new(&fro, sizeof(int64_t), 0, NULL), "channel");
    bench_ok(pirn_spawn_with(&ends[0], &config, pong, NULL), "spawn");
    bench_ok(pirn_spawn_with(&ends[1], &config, ping, NULL), "spawn");
    for (int i = 0; i < 2; i++)
        bench_ok(pirn_join(ends[i], NULL, PIRN_NEVER), "join");
    pirn_channel_release(to);
    pirn_channel_release(fro);
    return 0;
}

/* ---- The floors --------------------------------------------------------------------------- */

/* Release by who sends the ball, acquire by who waits for it. A cache line each. */
static struct {
    alignas(64) _Atomic uint32_t balls;
} way[2];
static bool spins;

static void pass(int which)
{
    atomic_fetch_add_explicit(&way[which].balls, 1, memory_order_release);
    if (!spins)
        syscall(SYS_futex, &way[which].balls, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void take(int which, uint32_t before)
{
    while (atomic_load_explicit(&way[which].balls, memory_order_acquire) == before)
        if (!spins)
            syscall(SYS_futex, &way[which].balls, FUTEX_WAIT_PRIVATE, before, NULL, NULL, 0);
}

static void *bare_pong(void *arg)
{
    for (int64_t i = 0; i < trips; i++) {
        take(0, (uint32_t)i);
        pass(1);
    }
    return arg;
}

static void bare(void)
{
    pthread_t other;
    int error = pthread_create(&other, NULL, bare_pong, NULL);
    if (error)
        bench_fail("pthread_create", error);
    int64_t begin = bench_now(), cpu = bench_cpu();
    for (int64_t i = 0; i < trips; i++) {
        pass(0);
        take(1, (uint32_t)i);
    }
    report(begin, cpu);
    pthread_join(other, NULL);
}

void bench_row_pingpong_cross(void)
{
    const char *variant = bench_arg("variant", "channels");
    trips = bench_int("trips", 100000);
    spins = !strcmp(variant, "spin");
    if (!strcmp(variant, "channels"))
        bench_run(1, run, NULL);
    else if (spins || !strcmp(variant, "futex"))
        bare();
    else
        bench_fail(variant, EINVAL);
}
