/*
 * Row mutex: many coroutines take one mutex in turns, with about 50 ns of work inside (section) and
 * about 50 ns outside, the same number of iterations of bench/work.c for every contender.
 *
 *   tasks=64 rounds=20000 (each) inside=32 outside=32 (iterations) workers=2
 *   variant=pthread  a pthread mutex, which blocks the worker while another one holds it
 *
 * ns a round (of CPU), medians of 5 in turns: 113 (112), Go 107 (203), Tokio 220 (289), asyncio
 * 849. With a mutex that blocks the thread: pthread 174 (337), Tokio's tasks with Rust's 101 (201),
 * which spins first. The tasks gather on one worker and take turns there: 113 to 133 ns a round, of
 * which the work is 100; Go 99 to 144 on both cores, with twice the CPU; where there is but one
 * core it is ahead, 97 ns of CPU against 145. Two cores cannot do better than the 50 ns inside and
 * the mutex's way from one to the other, 70 ns, unless many pass it on without leaving a core.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <pirn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct plan {
    int64_t tasks, rounds;
    uint64_t inside, outside;
    bool blocks;
    pirn_mutex mutex;
    pthread_mutex_t thread_mutex;
    uint64_t count, mixed; /* under the mutex */
};

static void lock(struct plan *plan)
{
    if (plan->blocks)
        pthread_mutex_lock(&plan->thread_mutex);
    else
        bench_ok(pirn_mutex_lock(&plan->mutex, PIRN_NEVER), "lock");
}

static void unlock(struct plan *plan)
{
    if (plan->blocks)
        pthread_mutex_unlock(&plan->thread_mutex);
    else
        bench_ok(pirn_mutex_unlock(&plan->mutex), "unlock");
}

static int worker(void *arg)
{
    struct plan *plan = arg;
    uint64_t own = 1;
    for (int64_t i = 0; i < plan->rounds; i++) {
        lock(plan);
        plan->mixed = bench_work(plan->mixed, plan->inside);
        plan->count++;
        unlock(plan);
        own = bench_work(own, plan->outside);
    }
    return own != 0 ? 0 : -EILSEQ;
}

static double section_ns(uint64_t iterations)
{
    enum {
        TRIES = 100000
    };
    uint64_t x = 1;
    int64_t begin = bench_now();
    for (int i = 0; i < TRIES; i++)
        x = bench_work(x, iterations);
    double took = (double)(bench_now() - begin) / TRIES;
    return x != 0 ? took : 0;
}

static int run(void *arg)
{
    struct plan *plan = arg;
    size_t tasks = (size_t)plan->tasks;
    pirn_task **all = bench_alloc(tasks, sizeof(pirn_task *));
    double ops = (double)plan->tasks * (double)plan->rounds;
    int64_t begin = bench_now(), cpu = bench_cpu();
    for (size_t i = 0; i < tasks; i++)
        bench_ok(pirn_spawn(&all[i], worker, plan), "spawn");
    for (size_t i = 0; i < tasks; i++) {
        int status;
        bench_ok(pirn_join(all[i], &status, PIRN_NEVER), "join");
        bench_ok(status, "a worker");
    }
    double took = (double)(bench_now() - begin), used = (double)(bench_cpu() - cpu);
    free(all);
    if (plan->count != (uint64_t)(plan->tasks * plan->rounds))
        bench_fail("two were inside at a time", EILSEQ);
    bench_out("ns_per_op", took / ops);
    bench_out("cpu_ns_per_op", used / ops);
    bench_out("section_ns", section_ns(plan->inside));
    return 0;
}

void bench_row_mutex(void)
{
    struct plan plan = {
        .tasks = bench_int("tasks", 64),
        .rounds = bench_int("rounds", 20000),
        .inside = (uint64_t)bench_int("inside", 32),
        .outside = (uint64_t)bench_int("outside", 32),
        .blocks = !strcmp(bench_arg("variant", ""), "pthread"),
        .mutex = PIRN_MUTEX_INIT,
        .thread_mutex = PTHREAD_MUTEX_INITIALIZER,
    };
    bench_run((int)bench_int("workers", 2), run, &plan);
}
