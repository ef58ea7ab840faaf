/*
 * Clocks, samples, and what /proc tells about this process.
 *
 * CPU times come from the process CPU clocks, which count every thread in nanoseconds, also of
 * another process. /proc/PID/stat was rejected: it counts in ticks of 10 ms.
 */
#include "perf/bench/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec at;
    if (clock_gettime(clock, &at) < 0)
        bench_fail("clock_gettime", errno);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

int64_t bench_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t bench_cpu(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t bench_cpu_of(pid_t pid)
{
    clockid_t clock;
    int error = clock_getcpuclockid(pid, &clock);
    if (error)
        bench_fail("the server has ended too early", error);
    return read_clock(clock);
}

void bench_nap(int64_t ns)
{
    struct timespec span = {ns / 1000000000, ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &span, &span) == EINTR)
        ;
}

/* An older kernel ignores the wish. glibc has no wrapper, hence the plain struct. */
void bench_short_slice(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } wish = {.size = sizeof wish, .policy = SCHED_OTHER, .runtime = 100000};
    syscall(SYS_sched_setattr, 0, &wish, 0);
}

int64_t bench_proc(const char *file, const char *field)
{
    FILE *in = fopen(file, "r");
    if (!in)
        bench_fail(file, errno);
    char line[256];
    int64_t value = -1;
    while (value < 0 && fgets(line, sizeof line, in))
        if (!strncmp(line, field, strlen(field)))
            value = strtoll(line + strlen(field), NULL, 10);
    fclose(in);
    if (value < 0)
        bench_fail(field, ENOENT);
    return value;
}

int64_t bench_mappings(void)
{
    FILE *in = fopen("/proc/self/maps", "r");
    if (!in)
        bench_fail("/proc/self/maps", errno);
    int64_t lines = 0;
    for (int c; (c = getc(in)) != EOF;)
        lines += c == '\n';
    fclose(in);
    return lines;
}

void bench_add(bench_samples *samples, int64_t ns)
{
    if (samples->count == samples->room) {
        samples->room = samples->room ? 2 * samples->room : 1024;
        samples->ns = realloc(samples->ns, samples->room * sizeof *samples->ns);
        if (!samples->ns)
            bench_fail("samples", ENOMEM);
    }
    samples->ns[samples->count++] = ns;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t bench_quantile(bench_samples *samples, size_t per_mille)
{
    if (!samples->count)
        bench_fail("no samples", ENODATA);
    qsort(samples->ns, samples->count, sizeof *samples->ns, by_size);
    return samples->ns[(samples->count * per_mille + 999) / 1000 - 1];
}

/* Without samples there is only NAME_samples=0: whoever was to take them never ran. */
void bench_out_samples(const char *name, bench_samples *samples)
{
    static const struct {
        const char *key;
        size_t per_mille;
    } shown[] = {{"p50", 500}, {"p99", 990}, {"p999", 999}, {"max", 1000}};
    char key[64];
    for (size_t i = 0; samples->count && i < sizeof shown / sizeof *shown; i++) {
        snprintf(key, sizeof key, "%s_%s_us", name, shown[i].key);
        bench_out(key, (double)bench_quantile(samples, shown[i].per_mille) / 1e3);
    }
    snprintf(key, sizeof key, "%s_samples", name);
    bench_out(key, (double)samples->count);
    free(samples->ns);
    *samples = (bench_samples){0};
}

/* The best of many: the others were interrupted. */
uint64_t bench_work_per_ms(void)
{
    enum {
        TRIES = 50,
        ITERATIONS = 200000
    };
    int64_t best = INT64_MAX;
    volatile uint64_t sink = 1;
    for (int i = 0; i < TRIES; i++) {
        int64_t begin = bench_now();
        sink = bench_work(sink, ITERATIONS);
        int64_t took = bench_now() - begin;
        if (took < best)
            best = took;
    }
    return (uint64_t)ITERATIONS * 1000000 / (uint64_t)best;
}
