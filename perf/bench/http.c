/*
 * Row http: a server in a process of its own replies 13 bytes of plain text to GET /, under wrk.
 *
 *   conns=64 depth=1 seconds=2 workers=2 threads=1 (wrk's); server=COMMAND measures another server
 *   (default: http_hello, beside this one), which prints 127.0.0.1:PORT
 *
 * Every connection has `depth` requests under way, sent in one piece; when all are answered come
 * the next. Medians of five turns of a second, requests per CPU second, depth 1 and 16: pirn
 * 134,000 and 1,396,000; hyper 143,000 and 1,509,000; in each of the turns 0.95 and 0.98 times as
 * many. The turns were apart by up to a fifth. The day before: Go 69,000 and 95,000; an epoll loop
 * that neither parses nor formats (echo_epoll http), the floor, 151,000 and 2,024,000, beside
 * pirn's 124,000 and 1,405,000. (uvicorn, another day: 47,000 and 25,000.)
 *
 * Where it goes. Instructions in the process, for a request, by callgrind with 8 connections and
 * one worker: 6,620 at depth 1 and 3,400 at depth 16 (a per cent more or less each time). Of those
 * 3,400, with all that is called: 2,145 for the head, of which 1,206 are http_parser's own (30 for
 * each byte), 430 head.c's look at the lines, the rest the table and what is checked in it; 305 to
 * find the route; 430 for the handler and its reply; some 220 are a sixteenth of what a row of
 * sixteen costs (a receive, a send, a wait, its timer, two pieces of memory); and what is left, a
 * tenth, lies in a dozen functions. With llhttp they are 3,130. No lock, no memory and no timer is
 * a single request's.
 * They were 8,350 and 4,890 when heads were looked at byte by byte and cut up after they had been
 * parsed (api/http/head.c, table.c), a reply was written piece by piece (reply.c), and the stream
 * was asked for each head (wire.c). Beside the server of then, in the same turns: 0.99 and 1.23
 * times as many. So at depth 1 it is the kernel that counts, and what is gained outside of it is
 * less than the noise.
 * Rejected, as it was within the noise: a route's method compared by a flag, the end of a header's
 * value looked at eight bytes at a time, and out to grow to 4 KiB at its second reply (12
 * instructions less).
 *
 * At depth 1 the p99 was 3.7 ms beside Tokio's 0.8, as two workers took turns on the core that wrk
 * had left them: runtime/crowd.c, by which it is 0.9.
 *
 * per_cpu_s is requests over CPU time of the server alone, in the kernel and out of it, from before
 * the first connection to after the last.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char script[] =
    "function init(args)\n"
    "    local all = {}\n"
    "    for i = 1, tonumber(args[1]) do all[i] = wrk.format('GET', '/') end\n"
    "    batch = table.concat(all)\n"
    "end\n"
    "function request() return batch end\n"
    "function done(summary, latency)\n"
    "    local e = summary.errors\n"
    "    print('wrk_requests=' .. summary.requests)\n"
    "    print('wrk_us=' .. summary.duration)\n"
    "    print('wrk_errors=' .. e.connect + e.read + e.write + e.status + e.timeout)\n"
    "    print('wrk_p50=' .. latency:percentile(50))\n"
    "    print('wrk_p99=' .. latency:percentile(99))\n"
    "    print('wrk_p999=' .. latency:percentile(99.9))\n"
    "    print('wrk_max=' .. latency.max)\n"
    "end\n";

struct outcome {
    double requests, us, errors, p50, p99, p999, max;
};

static int script_file(void)
{
    int fd = memfd_create("wrk.lua", 0); /* wrk opens it by its number */
    if (fd < 0 || write(fd, script, sizeof script - 1) != (ssize_t)(sizeof script - 1))
        bench_fail("memfd_create", errno);
    return fd;
}

static struct outcome run_wrk(int port, int depth)
{
    struct outcome o = {.errors = 1};
    char command[512], line[512];
    int fd = script_file(), fields = 0;
    snprintf(command, sizeof command,
             "wrk -t%d -c%d -d%ds -s /dev/fd/%d http://127.0.0.1:%d/ -- %d",
             (int)bench_int("threads", 1), (int)bench_int("conns", 64),
             (int)bench_int("seconds", 2), fd, port, depth);
    FILE *wrk = popen(command, "r");
    if (wrk == NULL)
        bench_fail("popen", errno);
    while (fgets(line, sizeof line, wrk) != NULL) {
        fields += sscanf(line, "wrk_requests=%lf", &o.requests) == 1;
        fields += sscanf(line, "wrk_us=%lf", &o.us) == 1;
        fields += sscanf(line, "wrk_errors=%lf", &o.errors) == 1;
        fields += sscanf(line, "wrk_p50=%lf", &o.p50) == 1;
        fields += sscanf(line, "wrk_p99=%lf", &o.p99) == 1;
        fields += sscanf(line, "wrk_p999=%lf", &o.p999) == 1;
        fields += sscanf(line, "wrk_max=%lf", &o.max) == 1;
    }
    if (pclose(wrk) != 0 || fields != 7)
        bench_fail("wrk", EPROTO);
    close(fd);
    return o;
}

void bench_row_http(void)
{
    char self[PATH_MAX] = "", own[PATH_MAX + 64];
    int out, depth = (int)bench_int("depth", 1);
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        bench_fail("/proc/self/exe", errno);
    snprintf(own, sizeof own, "%s/http_hello --port 0 --workers %d", dirname(self),
             (int)bench_int("workers", 2));
    pid_t server = bench_start(bench_arg("server", own), &out);
    int port = bench_read_port(out);
    int64_t cpu = bench_cpu_of(server);
    struct outcome o = run_wrk(port, depth);
    cpu = bench_cpu_of(server) - cpu;
    bench_used used = bench_used_by(server);
    bench_end(server);
    close(out);
    if (o.errors > 0 || o.requests <= 0)
        bench_fail("requests failed", EPROTO);
    bench_out("depth", depth);
    bench_out("requests_per_s", o.requests / o.us * 1e6);
    bench_out("per_cpu_s", o.requests / (double)cpu * 1e9);
    bench_out("server_cpu", (double)cpu / o.us / 1e3);
    bench_out("latency_p50_us", o.p50);
    bench_out("latency_p99_us", o.p99);
    bench_out("latency_p999_us", o.p999);
    bench_out("latency_max_us", o.max);
    bench_out("cpu_us_per_msg", (double)cpu / 1e3 / o.requests);
    bench_out_used(used);
}
