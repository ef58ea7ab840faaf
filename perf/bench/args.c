/*
 * What bench and simulate share of being a program: their key=value arguments, how they fail, a
 * run.
 */
#include <errno.h>
#include <pirn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/bench/bench.h"

static char **args;
static bool *used;
static int arg_count;

void bench_args_begin(int count, char **first)
{
    args = first;
    arg_count = count;
    used = bench_alloc((size_t)count + 1, sizeof *used);
}

bool bench_args_end(const char *row)
{
    bool known = true;
    for (int i = 0; i < arg_count && known; i++) {
        known = used[i];
        if (!known)
            fprintf(stderr, "%s: row %s knows nothing of %s\n", program_invocation_short_name, row,
                    args[i]);
    }
    free(used);
    return known;
}

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
        fprintf(stderr, "%s: %s=%s is not a number\n", program_invocation_short_name, key, text);
        exit(2);
    }
    return value;
}

void bench_fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(error));
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
