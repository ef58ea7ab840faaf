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
 * A thread that waits looks for 40 us before it sleeps (runtime/patience.c): two that answer each
 * other at once stay awake, and a trip costs less CPU than two sleeps. us a trip (and of CPU), each
 * end held on a core of its own beside a machine full of other work, medians of 3 in turns: 4.8
 * (2.5), without the look 176 (67). Where the kernel has both threads on one core looking is of no
 * use, and costs nothing that shows: 4.7 (4.5) and 5.5 (4.0).
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
