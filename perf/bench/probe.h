/*
 * The probe of rows mixed and stuck: a coroutine that sleeps 1 ms at a time, one that talks to an
 * echo process every millisecond, and a plain thread that counts this process's threads.
 */
#ifndef PIRN_PERF_PROBE_H
#define PIRN_PERF_PROBE_H

#include "perf/bench/bench.h"

#include <pirn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct bench_probe {
    bench_samples late;     /* the sleeper's: beyond the millisecond it asked for */
    bench_samples trip;     /* the client's: there and back */
    atomic_bool stop;       /* set by main, read by both; relaxed */
    atomic_bool warming_up; /* the same; samples are not kept while it is set */
    int port;
    pirn_task *sleeper, *client;
} bench_probe;

/* In the main coroutine. Start may follow stop: samples are added to those before. */
void bench_probe_start(bench_probe *probe);
void bench_probe_stop(bench_probe *probe);

/* In the plain thread, around the run. */
typedef struct bench_census {
    pthread_t thread;
    atomic_bool stop; /* set by the owner, read by the thread; relaxed */
    int64_t most;     /* threads seen at once, itself not counted; read after the end */
} bench_census;

void bench_census_start(bench_census *census);
void bench_census_end(bench_census *census);

#endif
