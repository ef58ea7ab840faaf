/*
 * bench --list                     the rows, named as the performance goals name them
 * bench ROW [key=value ...]        runs one and prints key=value lines
 *
 * A key that the row does not know is an error: a typo must not pass for a measurement.
 */
#include "perf/bench/bench.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "perf/bench/rows.h"

static const struct row {
    const char *name;
    void (*run)(void);
    bool helper; /* a program other rows or scripts need, not a row of the goals */
} rows[] = {
    {"switch", bench_row_switch, false},
    {"yield", bench_row_yield, false},
    {"spawn", bench_row_spawn, false},
    {"skynet", bench_row_skynet, false},
    {"fib", bench_row_fib, false},
    {"pingpong", bench_row_pingpong, false},
    {"pingpong-cross", bench_row_pingpong_cross, false},
    {"mpmc", bench_row_mpmc, false},
    {"mutex", bench_row_mutex, false},
    {"timers", bench_row_timers, false},
    {"idle", bench_row_idle, false},
    {"echo", bench_row_echo, false},
    {"mixed", bench_row_mixed, false},
    {"stuck", bench_row_stuck, false},
    {"wake", bench_row_wake, false},
    {"http", bench_row_http, false},
    {"file", bench_row_file, false},
    {"scaling", bench_row_scaling, false},
    {"claims", bench_row_claims, false},
    {"growth", bench_row_growth, false},
    {"cpu", bench_row_cpu, true},
    {"serve", bench_row_serve, true},
    {"requests", bench_row_requests, true},
    {"noise", bench_row_noise, true},
};

void bench_out(const char *key, double value)
{
    int digits = fabs(value) < 10 ? 3 : fabs(value) < 1000 ? 1 : 0;
    printf("%s=%.*f\n", key, value == floor(value) ? 0 : digits, value);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    size_t count = sizeof rows / sizeof *rows;
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        for (size_t i = 0; i < count; i++)
            if (!rows[i].helper)
                puts(rows[i].name);
        return 0;
    }
    const struct row *row = NULL;
    for (size_t i = 0; argc > 1 && i < count; i++)
        if (!strcmp(argv[1], rows[i].name))
            row = &rows[i];
    if (!row) {
        fputs("usage: bench --list | bench ROW [key=value ...]\n", stderr);
        return 2;
    }
    bench_args_begin(argc - 2, argv + 2);
    row->run();
    return bench_args_end(row->name) ? 0 : 2;
}
