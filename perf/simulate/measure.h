/*
 * What the loads tell the simulator, and ask it. These are calls out of the simulated world: but
 * for load_compute they take no simulated time, and disturb nobody's caches.
 */
#ifndef PIRN_PERF_SIMULATE_MEASURE_H
#define PIRN_PERF_SIMULATE_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

/* Of one run; what is not of the load is 0. */
struct load {
    const char *name;
    int workers;
    int percent;        /* poisson: of the workers' time, what the tasks are to take */
    int acceptors;      /* poisson: where tasks arrive */
    int64_t tasks;      /* about that many */
    int64_t service_ns; /* a task's work; of poisson and producer the mean of an exponential */
    uint64_t seed;
};

/* What line is waited for. */
enum line_kind {
    KIND_IDLE,    /* who searches, who is parked */
    KIND_INJECT,  /* the inject queues */
    KIND_RUNTIME, /* what else the runtime shares */
    KIND_RUNQ,    /* a worker's queue */
    KIND_WORKER,  /* what else peers look at in it */
    KIND_OTHER,   /* tasks, stacks, channels, what the load has */
    LINE_KINDS
};

/* Counted by probes.c. */
extern struct measure_probes {
    uint64_t failed;
} measure_probes;

struct load_job {
    int64_t came, takes;
};

/* Main coroutines (loads.c); arg: the struct load. */
int load_poisson(void *arg);
int load_tree(void *arg);
int load_pairs(void *arg);
int load_producer(void *arg);

/* The jobs of one acceptor: exponential times that compute, at exponential distances. */
struct load_job *load_jobs(const struct load *load, int acceptor, int64_t count, int64_t begin,
                           double distance);

/* From here on it counts, so many tasks; until here. */
void load_begin(const struct load *load, int64_t tasks);
void load_end(void);
/* A task runs that could have run at that time, ns. It works. It ends: true if it was the last
 * one. */
void load_task(int64_t since);
void load_compute(int64_t ns);
void load_spread(int64_t ns); /* the same, but no task's */
bool load_task_ends(void);
int64_t load_now(void);

/* Prints what was counted between the two. */
void load_print(bool as_csv);
void load_print_head(void);

#endif
