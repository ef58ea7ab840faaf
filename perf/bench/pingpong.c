/*
 * Row pingpong: two coroutines on one worker pass a number to and fro over two channels without
 * capacity.
 *
 *   trips=1000000 workers=1
 *
 * ns a trip, medians of 9 in turns: 126, and 147 before who meets a peer, or has to wait, took a
 * way of its own in a channel (api/channel/pass.c: 1,158 instructions a trip instead of 1,401), on
 * a slow day of the machine. Later, medians of 5 in turns with the peers: 94, Tokio 237 (its
 * channels have a place each), Go 296, asyncio 5,603.
 * Where the rest goes, instructions a trip: parking 180, the queue's push and pop 140, resuming 85,
 * the switches 55, the channel 500; among them are 8 locked ones (4 locks, 2 claims, 2 parks), some
 * 50 ns. Tried before: fewer steps in a park, and a wait that is filled in only once it is known
 * that one has to wait, 101 to 97; wakeups begun without clearing an array, and no field read as
 * part of a vector right after it was written alone, 135 to 105.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <pirn.h>

struct table {
    int64_t trips;
    pirn_channel *to, *fro;
};

static int pong(void *arg)
{
    struct table *table = arg;
    int64_t ball;
    while (bench_ok(pirn_channel_recv(table->to, &ball, PIRN_NEVER), "recv") == 1) {
        ball++;
        bench_ok(pirn_channel_send(table->fro, &ball, PIRN_NEVER), "send");
    }
    return 0;
}

static int run(void *arg)
{
    struct table *table = arg;
    pirn_task *other;
    int64_t ball = 0;
    bench_ok(pirn_channel_new(&table->to, sizeof ball, 0, NULL), "channel");
    bench_ok(pirn_channel_new(&table->fro, sizeof ball, 0, NULL), "channel");
    bench_ok(pirn_spawn(&other, pong, table), "spawn");
    int64_t begin = bench_now(), cpu = bench_cpu();
    for (int64_t i = 0; i < table->trips; i++) {
        bench_ok(pirn_channel_send(table->to, &ball, PIRN_NEVER), "send");
        bench_ok(pirn_channel_recv(table->fro, &ball, PIRN_NEVER), "recv");
    }
    double took = (double)(bench_now() - begin), used = (double)(bench_cpu() - cpu);
    bench_ok(pirn_channel_close(table->to, PIRN_CHANNEL_SEND), "close");
    bench_ok(pirn_join(other, NULL, PIRN_NEVER), "join");
    pirn_channel_release(table->to);
    pirn_channel_release(table->fro);
    if (ball != table->trips)
        bench_fail("trips are missing", EILSEQ);
    bench_out("ns_per_op", took / (double)table->trips);
    bench_out("cpu_ns_per_op", used / (double)table->trips);
    return 0;
}

void bench_row_pingpong(void)
{
    struct table table = {.trips = bench_int("trips", 1000000)};
    bench_run((int)bench_int("workers", 1), run, &table);
}
