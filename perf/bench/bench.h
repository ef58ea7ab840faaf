/*
 * What the rows share: their arguments, their output, clocks, samples, the work kernel, and the
 * other processes a row talks to. Of these only bench_run knows pirn.
 */
#ifndef PIRN_PERF_BENCH_H
#define PIRN_PERF_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- Arguments and output (args.c; bench_out: main.c) ------------------------------------- */

/* For main: these are the key=value arguments; has the row asked for each of them? Says which it
 * has not. */
void bench_args_begin(int count, char **first);
bool bench_args_end(const char *row);

/* The value of key=value on the command line, or the fallback. */
const char *bench_arg(const char *key, const char *fallback);
int64_t bench_int(const char *key, int64_t fallback);

/* Prints key=value; a number with as many digits as it deserves. */
void bench_out(const char *key, double value);

/* A row has failed: says why and exits with status 1. */
void bench_fail(const char *what, int error) __attribute__((noreturn));
/* The same if result < 0; else gives it back. */
int bench_ok(int result, const char *what);
/* calloc that cannot fail. */
void *bench_alloc(size_t count, size_t size);

/* The runtime's work, on the given number of workers; fails unless it ran and returned >= 0. */
void bench_run(int workers, int (*fn)(void *arg), void *arg);

/* ---- Clocks and samples (measure.c) ------------------------------------------------------- */

int64_t bench_now(void);         /* CLOCK_MONOTONIC, in ns */
int64_t bench_cpu(void);         /* CPU time of this process, in ns */
int64_t bench_cpu_of(pid_t pid); /* CPU time of another one, in ns; fails when it is gone */
void bench_nap(int64_t ns);      /* puts the plain thread to sleep */
void bench_short_slice(void);    /* asks for 100 us turns: a probe must not wait for a core */
int64_t bench_proc(const char *file, const char *field); /* "VmRSS:" of /proc/self/status */
int64_t bench_mappings(void);                            /* lines of /proc/self/maps */

/* Times in ns. One thread at a time adds. */
typedef struct bench_samples {
    int64_t *ns;
    size_t count, room;
} bench_samples;

void bench_add(bench_samples *samples, int64_t ns);
int64_t bench_quantile(bench_samples *samples, size_t per_mille); /* sorts; nearest rank */
/* Prints NAME_p50_us, p99, p999 (99.9%), max, and NAME_samples; frees the samples. */
void bench_out_samples(const char *name, bench_samples *samples);

/* ---- The work kernel (work.c) ------------------------------------------------------------- */

/* A chain of dependent integer operations; every peer has the same one. */
uint64_t bench_work(uint64_t seed, uint64_t iterations);
/* Iterations in a millisecond: the best of many short tries. */
uint64_t bench_work_per_ms(void);

/* ---- Other processes (load.c, child.c) ---------------------------------------------------- */

/* Requests are this long. A framed server reads the first 4 bytes as the iterations to work. */
enum {
    BENCH_MESSAGE = 64
};

/* What a process takes of the machine beside CPU. */
typedef struct bench_used {
    int64_t resident_kb; /* the most it had since it began */
    int64_t threads;     /* now */
} bench_used;

bench_used bench_used_by(pid_t pid);
void bench_out_used(bench_used used); /* resident_kb and threads */

typedef struct bench_load {
    const char *server; /* a shell command that prints the address it listens on */
    int conns;          /* connections that send requests without work, or with `work` */
    int heavy;          /* connections that send requests with `heavy_work` */
    uint32_t work, heavy_work;
    int64_t pace_ns,
        heavy_pace_ns; /* such a connection sends at most this often; 0: back to back */
    int64_t run_ns;
} bench_load;

typedef struct bench_loaded {
    double msgs_per_s, heavy_per_s;
    double server_cpu, load_cpu; /* CPU-seconds per second */
    bench_used server_used;      /* when the time was up */
    bench_samples latency;       /* of the conns, not of the heavy ones */
} bench_loaded;

/* Starts the server, sends it requests from this thread for run_ns, and ends it. */
void bench_load_run(const bench_load *load, bench_loaded *ret_loaded);

/* Runs `sh -c command` as a child that dies with this process; *ret_stdout reads what it prints. */
pid_t bench_start(const char *command, int *ret_stdout);
int bench_read_port(int out); /* from the 127.0.0.1:PORT that it prints */
void bench_end(pid_t pid);    /* SIGINT, after two seconds SIGKILL; waits for it */

/* This many descriptors, and some: for this process and for those it starts. */
void bench_raise_descriptors(int count);

/* fork; the child dies with this process. Before there is a runtime. */
pid_t bench_fork(void);
/* A child process that serves a listener, and ends when serve returns; returns its port. */
int bench_server_child(void (*serve)(int listener));
int bench_echo_child(void); /* one with a blocking echo loop */

/* If the command line has peer=COMMAND: becomes that command, with `more` (key=value ...) behind
 * it, so that the peer has the same surroundings. */
void bench_become_peer(const char *more);

#endif
