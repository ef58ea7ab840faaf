/*
 * bench --list                     the rows, named as the performance goals name them
 * bench ROW [key=value ...]        runs one and prints key=value lines
 *
 * A key that the row does not know is an error: a typo must not pass for a measurement.
 */
#include "perf/bench/bench.h"

#include <errno.h>
#include <math.h>
#include <pirn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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

static char **args;
static bool *used;
static int arg_count;

const char *bench_arg(const char *key, const char *fallback)
{
    size_t length = strlen(key);
    const char *value = fallback;
    for (int i = 0; i < arg_count; i++) {
        if (!strncmp(args[i], key, length) && args[i][length] == '=') {
            value = args[i] + length + 1;
            used[i] = true;
        }
    }
    return value;
}

int64_t bench_int(const char *key, int64_t fallback)
{
    const char *text = bench_arg(key, NULL);
    if (!text)
        return fallback;
    char *end;
    int64_t value = strtoll(text, &end, 10);
    if (end == text || *end || value < 0) {
        fprintf(stderr, "bench: %s=%s is not a number\n", key, text);
        exit(2);
    }
    return value;
}

void bench_out(const char *key, double value)
{
    int digits = fabs(value) < 10 ? 3 : fabs(value) < 1000 ? 1 : 0;
    printf("%s=%.*f\n", key, value == floor(value) ? 0 : digits, value);
    fflush(stdout);
}

void bench_fail(const char *what, int error)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(error));
    exit(1);
}

int bench_ok(int result, const char *what)
{
    if (result < 0)
        bench_fail(what, -result);
    return result;
}

void *bench_alloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        bench_fail("memory", ENOMEM);
    return memory;
}

void bench_run(int workers, int (*fn)(void *arg), void *arg)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = workers;
    int status = 0;
    bench_ok(pirn_run_with(&config, fn, arg, &status), "pirn_run_with");
    bench_ok(status, "the main coroutine");
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
    args = argv + 2;
    arg_count = argc - 2;
    used = bench_alloc((size_t)arg_count + 1, sizeof *used);
    row->run();
    for (int i = 0; i < arg_count; i++) {
        if (!used[i]) {
            fprintf(stderr, "bench: row %s knows nothing of %s\n", row->name, args[i]);
            return 2;
        }
    }
    free(used);
    return 0;
}
