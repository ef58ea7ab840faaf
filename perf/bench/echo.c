/*
 * Rows echo and requests: a server in a process of its own, under the load of load.c.
 *
 *   echo      conns=64 seconds=2 workers=2, messages of 64 bytes back to back; server=COMMAND
 *             measures another server (default: the echo program beside this one)
 *   requests  the same with server=COMMAND given, and work_us=0 of CPU in each request;
 *             heavy=0 further connections send requests of heavy_us=20000; pace_us=0 and
 *             heavy_pace_us=0 hold a connection to one request in that time (0: back to back)
 *
 * Where the server's time goes: in the kernel. A message costs 533 instructions outside of it where
 * the next one is there by the time that it is looked for, and 1,330 where the receive has to wait
 * (callgrind, one worker): some 0.1 and 0.35 us, beside 5 to 6 us of system calls and network. What
 * a server costs depends on who of the two is faster: if it is the load, the load sleeps after each
 * message, and the send that wakes it costs up to 0.7 us more (perf, cpu-clock: 9% of the time in
 * that wake-up, of the bare ring 4%; epoll keeps the load busy). So 10% more of the server's own
 * work shows as 15 to 25%. Tried without gain: receives that are tried before they poll (1.00),
 * requests given to the kernel once the queue is short (0.87 to 0.97), strides of 25, 50 and 400 us
 * (0.94, 0.95, 1.01).
 * With 1,000 connections, medians of 11 in turns, messages per CPU second over the epoll loop's: a
 * bare ring, the floor, 0.92 with one worker and 0.91 with two; this 0.86 and 0.81 (0.73 to 0.93 in
 * other series, with 0.79 to 1.05; on another host 0.76 and 0.75, with 0.95 and 1.03). So the gate
 * of 0.95 lies above the floor there. Outside of the kernel: 6 to 8% of the time, of the bare ring
 * 0 to 2. With two workers 5% of the tasks are stolen, and 2% of the time goes into looking for
 * work; without any stealing it is 0.95 of what it is. Tried, no gain: requests given to the kernel
 * only when the queue is short (as it is, 6 at a time; a bare ring gives 58), a run queue of 1,024,
 * and the functions of this way side by side in the program (1.00 to 1.04).
 *
 * heavy_cores is how many cores the heavy work that was answered would keep busy.
 * msgs_per_cpu_s is messages over CPU time of the server alone, in the kernel and out of it.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void run(const char *server, int conns)
{
    int64_t work_us = bench_int("work_us", 0), heavy_us = bench_int("heavy_us", 20000);
    uint64_t per_ms = bench_work_per_ms();
    bench_load load = {
        .server = server,
        .conns = (int)bench_int("conns", conns),
        .heavy = (int)bench_int("heavy", 0),
        .work = (uint32_t)(per_ms * (uint64_t)work_us / 1000),
        .heavy_work = (uint32_t)(per_ms * (uint64_t)heavy_us / 1000),
        .pace_ns = bench_int("pace_us", 0) * 1000,
        .heavy_pace_ns = bench_int("heavy_pace_us", 0) * 1000,
        .run_ns = bench_int("ms", bench_int("seconds", 2) * 1000) * 1000000,
    };
    bench_loaded loaded;
    bench_load_run(&load, &loaded);
    bench_out("conns", load.conns);
    bench_out("msgs_per_s", loaded.msgs_per_s);
    if (load.heavy) {
        bench_out("heavy_per_s", loaded.heavy_per_s);
        bench_out("heavy_cores", loaded.heavy_per_s * (double)heavy_us / 1e6);
    }
    double all_per_s = loaded.msgs_per_s + loaded.heavy_per_s;
    bench_out("msgs_per_cpu_s", all_per_s / loaded.server_cpu);
    bench_out("cpu_us_per_msg", loaded.server_cpu / all_per_s * 1e6);
    bench_out("server_cpu", loaded.server_cpu);
    bench_out("load_cpu", loaded.load_cpu);
    bench_out_samples("latency", &loaded.latency);
    bench_out_used(loaded.server_used);
}

void bench_row_echo(void)
{
    char self[PATH_MAX] = "", own[PATH_MAX + 64];
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        bench_fail("/proc/self/exe", errno);
    snprintf(own, sizeof own, "%s/echo --port 0 --workers %d", dirname(self),
             (int)bench_int("workers", 2));
    run(bench_arg("server", own), 64);
}

void bench_row_requests(void)
{
    const char *server = bench_arg("server", NULL);
    if (!server)
        bench_fail("server=COMMAND is missing", EINVAL);
    run(server, 16);
}
