/*
 * What is counted in a run of a load, and printed.
 *
 *   workers, load (percent of the workers' time), acceptors, tasks, ended (they are as many)
 *   ns           a task: all of the time over the tasks
 *   cost_ns      a task: the time workers were awake, beyond the work that it is
 *   steals, failed (peers looked at in vain), wakes, parks, fences (membarriers), interrupts (by
 *                these): a task
 *   wait_*_us    from when a task could have run to when it ran (pairs: a round trip)
 *   exact_wait_mean_us   with one worker and one acceptor: the same jobs at one server without
 *                        overhead
 *   utilisation, awake   of the workers' time
 *   *_line_ns    a task: waits for cache lines, of readers and writers, of all threads: of the idle
 *                set, the inject queues, what else the runtime shares, run queues, what else of
 *                workers, and all else
 */
#include "perf/simulate/measure.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/simulate/assumptions.h"
#include "perf/simulate/kernel.h"
#include "perf/simulate/machine.h"
#include "runtime/runtime.h"
#include "runtime/self.h"

struct counts {
    int64_t at, busy; /* ps; busy: of the workers */
    uint64_t steals, parks, wakes, fences, interrupts, failed;
};

static struct {
    struct load load;
    struct pirn_runtime *rt;
    int64_t tasks, begun, ended, work;
    int64_t *waits;
    struct counts before, after;
    int64_t line_ns[LINE_KINDS];
    double exact_us; /* mean wait of the same jobs at one server without any overhead */
} run;

struct measure_probes measure_probes;

/* ---- Random numbers (splitmix64) ------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double exponential(uint64_t *state, double mean)
{
    double uniform = ((double)(next_random(state) >> 11) + 1) / 9007199254740993.0; /* of (0, 1) */
    return -mean * log(uniform);
}

/* What each job would wait for the one before it (Lindley): the mean, us. */
static double lindley(const struct load_job *jobs, int64_t count)
{
    double wait = 0, sum = 0;
    for (int64_t i = 1; i < count; i++) {
        wait += (double)(jobs[i - 1].takes - (jobs[i].came - jobs[i - 1].came));
        wait = wait > 0 ? wait : 0;
        sum += wait;
    }
    return sum / (double)count / 1e3;
}

struct load_job *load_jobs(const struct load *load, int acceptor, int64_t count, int64_t begin,
                           double distance)
{
    struct load_job *jobs = calloc((size_t)count, sizeof(*jobs));
    uint64_t state = load->seed * 1000003 + (uint64_t)acceptor;
    double at = (double)begin;
    if (jobs == NULL)
        abort();
    for (int64_t i = 0; i < count; i++) {
        at += distance != 0 ? exponential(&state, distance) : 0;
        jobs[i] =
            (struct load_job){(int64_t)at, (int64_t)exponential(&state, (double)load->service_ns)};
    }
    if (distance != 0 && load->workers == 1 && load->acceptors == 1)
        run.exact_us = lindley(jobs, count);
    return jobs;
}

/* ---- Counting -------------------------------------------------------------------------------- */

static struct counts count(void)
{
    struct pirn_runtime *rt = run.rt;
    struct counts c = {.at = machine_me->now,
                       .fences = kernel_counts.fences,
                       .interrupts = kernel_counts.interrupts,
                       .failed = measure_probes.failed};
    for (unsigned i = 0; i < rt_threads(rt); i++) {
        const struct worker *w = rt_worker(rt, i);
        c.steals += w->n.steals;
        c.parks += w->n.parks;
        c.wakes += w->n.wakes;
        c.busy += machine_busy_of(machine_cpu((unsigned)w->thread));
    }
    return c;
}

/* Whose line is it? */
static enum line_kind kind_of(uintptr_t line)
{
    struct pirn_runtime *rt = run.rt;
    uintptr_t base = (uintptr_t)rt;
    if (line + 64 > base && line < base + sizeof(*rt)) {
        uintptr_t at = line > base ? line - base : 0;
        if (at + 64 > offsetof(struct pirn_runtime, idle) &&
            at < offsetof(struct pirn_runtime, idle) + sizeof(rt->idle))
            return KIND_IDLE;
        if (at < offsetof(struct pirn_runtime, inject) + sizeof(rt->inject))
            return KIND_INJECT;
        return KIND_RUNTIME;
    }
    for (unsigned i = 0; i < rt_threads(rt); i++) {
        base = (uintptr_t)rt_worker(rt, i);
        if (line + 64 > base && line < base + sizeof(struct worker))
            return line + 64 > base + offsetof(struct worker, q) &&
                           line < base + offsetof(struct worker, q) + sizeof(struct runq)
                       ? KIND_RUNQ
                       : KIND_WORKER;
    }
    return KIND_OTHER;
}

static void add_line(uintptr_t line, int64_t ps)
{
    run.line_ns[kind_of(line)] += ps / PS;
}

void load_begin(const struct load *load, int64_t tasks)
{
    run.load = *load;
    run.rt = pirn_self()->worker->rt;
    run.tasks = tasks;
    run.waits = calloc((size_t)tasks, sizeof(*run.waits));
    if (run.waits == NULL)
        abort();
    machine_lines_begin();
    run.before = count();
}

void load_end(void)
{
    run.after = count();
    machine_each_line(add_line);
}

void load_task(int64_t since)
{
    if (run.begun == run.tasks) {
        fputs("simulate: a task has run twice\n", stderr);
        exit(1);
    }
    run.waits[run.begun++] = machine_now_ns() - since;
}

void load_compute(int64_t ns)
{
    run.work += ns;
    machine_spend(ns);
}

void load_spread(int64_t ns)
{
    machine_spend(ns);
}

bool load_task_ends(void)
{
    return ++run.ended == run.tasks;
}

int64_t load_now(void)
{
    return machine_now_ns();
}

/* ---- Printing -------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double percentile(int percent) /* nearest rank, us; sorted */
{
    return (double)run.waits[(run.tasks * percent + 99) / 100 - 1] / 1e3;
}

enum {
    VALUES_MAX = 32
};

struct values {
    unsigned count;
    struct value {
        const char *key;
        int digits;
        double is;
    } value[VALUES_MAX];
};

static void add(struct values *all, const char *key, int digits, double is)
{
    all->value[all->count++] = (struct value){key, digits, is};
}

static void make_values(struct values *all)
{
    double n = run.tasks != 0 ? (double)run.tasks : 1, workers = run.load.workers, sum = 0;
    double elapsed = (double)(run.after.at - run.before.at) / PS;
    double busy = (double)(run.after.busy - run.before.busy) / PS;
    all->count = 0;
    for (int64_t i = 0; i < run.tasks; i++)
        sum += (double)run.waits[i];
    add(all, "workers", 0, workers);
    add(all, "load", 0, run.load.percent);
    add(all, "acceptors", 0, run.load.acceptors);
    add(all, "tasks", 0, (double)run.tasks);
    add(all, "ended", 0, (double)run.ended);
    add(all, "ns", 1, elapsed / n);
    add(all, "cost_ns", 1, (busy - (double)run.work) / n);
    add(all, "steals", 4, (double)(run.after.steals - run.before.steals) / n);
    add(all, "failed", 2, (double)(run.after.failed - run.before.failed) / n);
    add(all, "wakes", 4, (double)(run.after.wakes - run.before.wakes) / n);
    add(all, "parks", 4, (double)(run.after.parks - run.before.parks) / n);
    add(all, "fences", 4, (double)(run.after.fences - run.before.fences) / n);
    add(all, "interrupts", 3, (double)(run.after.interrupts - run.before.interrupts) / n);
    add(all, "wait_mean_us", 3, sum / n / 1e3);
    add(all, "wait_p50_us", 3, percentile(50));
    add(all, "wait_p99_us", 3, percentile(99));
    add(all, "utilisation", 3, (double)run.work / (elapsed * workers));
    add(all, "awake", 3, busy / (elapsed * workers));
    add(all, "idle_line_ns", 1, (double)run.line_ns[KIND_IDLE] / n);
    add(all, "inject_line_ns", 1, (double)run.line_ns[KIND_INJECT] / n);
    add(all, "runtime_line_ns", 1, (double)run.line_ns[KIND_RUNTIME] / n);
    add(all, "runq_line_ns", 1, (double)run.line_ns[KIND_RUNQ] / n);
    add(all, "worker_line_ns", 1, (double)run.line_ns[KIND_WORKER] / n);
    add(all, "other_line_ns", 1, (double)run.line_ns[KIND_OTHER] / n);
    add(all, "exact_wait_mean_us", 3, run.exact_us);
}

void load_print_head(void)
{
    struct values all;
    int64_t nothing = 0;
    run.tasks = 1;
    run.waits = &nothing;
    make_values(&all);
    run.tasks = 0;
    run.waits = NULL;
    fputs("row", stdout);
    for (unsigned i = 0; i < all.count; i++)
        printf(",%s", all.value[i].key);
    putchar('\n');
}

void load_print(bool as_csv)
{
    struct values all;
    qsort(run.waits, (size_t)run.tasks, sizeof(*run.waits), by_size);
    make_values(&all);
    printf(as_csv ? "%s" : "row=%s\n", run.load.name);
    for (unsigned i = 0; i < all.count; i++) {
        const struct value *v = &all.value[i];
        if (as_csv)
            printf(",%.*f", v->digits, v->is);
        else
            printf("%s=%.*f\n", v->key, v->digits, v->is);
    }
    if (as_csv)
        putchar('\n');
}
