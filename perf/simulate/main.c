/*
 * simulate ROW [key=value ...]     one run on the simulated machine, as key=value lines
 *                                  (format=csv: CSV)
 * simulate sweep                   all loads for 1 to 256 workers, as CSV
 *
 * Keys of the loads (loads.c): workers, tasks, service_ns, seed; poisson: load (percent),
 * acceptors. The rows of bench take theirs. Any assumption (assumptions.h) is a key, too:
 * line_ns=60. Values: measure.c.
 *
 * How far off it is, ns an operation, here and in bench on the machine of the assumptions (noisy;
 * ranges of three runs): yield on 1 worker 5.4, 5.2 to 10.6; wide on 2, 3.1, 3.7 to 4.9; spawn on 1
 * 48, 45 to 49; on 2 52, 51 to 57 (85 in bad minutes); pingpong 107, 101 to 103. skynet on 1 131,
 * 184: misses in caches that are too small, which are not simulated; on 2 82, 91 to 95. fib on 1
 * 52, 127: its returns come back from deeper than the processor predicts, also not simulated.
 * yield, spawn and pingpong on one worker were fitted with one number, the rest was not. spawn in
 * batches on 2 is four times too dear, 194 to 266 beside 63 to 75: with line_ns=30 98, with 0 36,
 * so it is waits for lines, one after the other, where a processor may have several under way (not
 * measured).
 *
 * What it showed, and what became of it
 *   - Whoever searches wrote, at each look, to the line from which all others read his role, and to
 *     which he wrote his parker's state (`random`, `idle_at` beside `role`, `stuck`; `parker`
 *     beside the free lists). So the cost of a search grew with the square of the searchers. With
 *     these on lines of their own, ns of workers' time a task, before and after: tree, 256 workers
 *     118,000 and 28,000; pairs, 64 3,700 and 1,200, 256 11,700 and 3,000. With two workers bench
 *     sees no difference.
 *   - Two looks of the monitor in a row, when it is called just as it goes to sleep, took a worker
 *     for stuck that had only woken between them, and started a sentinel, beside which one worker
 *     alone then spins 20 us before each sleep: poisson, 1 worker at 10%: 65,600 ns a task instead
 *     of 1,600.
 *   - An inject queue that many want at once: its lock was tried with no look before, each try took
 *     the line from the holder, and the queue is in that line. Now who waits for a lock reads
 *     (sched/lock.h). One producer, ns of workers' time a task, medians of three seeds, before and
 *     after: 64 workers 685,000 and 1,350; 256 7,700,000 and 570,000; poisson at 80% on 256 575,000
 *     and 259,000. With 16 and fewer it makes no difference.
 *   - Nor do workers wait for it now (sched/inject.h): 128 workers 301,000 and 11,800; 256 570,000
 *     and 270,000.
 *   - The phase and the stacks' default size, which all read, were beside the tasks' lock: tree of
 *     111,111 nodes, 64 workers 893 and 642.
 *   - A search looks at all peers: at 256 some 200 us, ten times its patience. Looks at 16 of them
 *     until that has run out gain 5% in one load and lose 11% in another with 64 workers; not done.
 */
#include <errno.h>
#include <pirn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf/bench/bench.h"
#include "perf/bench/rows.h"
#include "perf/simulate/assumptions.h"
#include "perf/simulate/machine.h"
#include "perf/simulate/measure.h"

static const struct row {
    const char *name;
    int (*load)(void *arg); /* one of loads.c, or */
    void (*bench)(void);    /* one of bench */
} rows[] = {
    {"poisson", load_poisson, NULL},
    {"tree", load_tree, NULL},
    {"pairs", load_pairs, NULL},
    {"producer", load_producer, NULL},
    {"spawn", NULL, bench_row_spawn},
    {"yield", NULL, bench_row_yield},
    {"skynet", NULL, bench_row_skynet},
    {"fib", NULL, bench_row_fib},
    {"pingpong", NULL, bench_row_pingpong},
};

void bench_out(const char *key, double value)
{
    printf("%s=%.2f\n", key, value);
}

/* ---- One run --------------------------------------------------------------------------------- */

static const struct row *find_row(const char *name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}

/* On a stack that begins with a page: where the program's own begins is chance. */
static void on_machine(void *(*fn)(void *arg), void *arg)
{
    machine_begin();
    struct cpu *cpu = machine_start(fn, arg);
    while (!cpu->over)
        machine_sleep(cpu, INT64_MAX);
}

static void *run_load(void *arg)
{
    struct load *load = arg;
    bench_run(load->workers, find_row(load->name)->load, load);
    return NULL;
}

static void *run_bench(void *arg)
{
    ((const struct row *)arg)->bench();
    return NULL;
}

static void run(const struct row *row, struct load load, bool as_csv)
{
    if (load.tasks == 0)
        load.tasks = row->load == load_tree    ? 10000
                     : row->load == load_pairs ? 500 * (int64_t)load.workers
                                               : 10000 + 100 * (int64_t)load.workers;
    on_machine(run_load, &load);
    load_print(as_csv);
}

static struct load load_of(const struct row *row)
{
    int workers = (int)bench_int("workers", 2);
    bool poisson = row->load == load_poisson;
    struct load load = {
        .name = row->name,
        .workers = workers,
        .percent = poisson ? (int)bench_int("load", 80) : 0,
        .acceptors = poisson ? (int)bench_int("acceptors", workers) : 0,
        .tasks = bench_int("tasks", 0),
        .service_ns = row->load == load_pairs
                          ? 0
                          : bench_int("service_ns", row->load == load_tree ? 1000 : 20000),
        .seed = (uint64_t)bench_int("seed", 1),
    };
    if (workers < 1 || workers > CPUS_MAX / 4 * 3 || (poisson && load.percent < 1) ||
        (poisson && load.acceptors < 1)) {
        fputs("simulate: workers=1 to 384, load=1 and up, acceptors=1 and up\n", stderr);
        exit(2);
    }
    return load;
}

/* ---- All of them, as CSV --------------------------------------------------------------------- */

/* Each run has a process of its own, so that it does not depend on those before it. */
static void run_apart(const char *name, struct load load)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        bench_fail("fork", errno);
    if (pid == 0) {
        load.name = name;
        load.seed = 1;
        run(find_row(name), load, true);
        fflush(stdout);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0)
        bench_fail("a run", ECHILD);
}

static void sweep(void)
{
    static const int loads[] = {10, 30, 50, 70, 80, 90, 95};
    load_print_head();
    for (int w = 1; w <= 256; w *= 2) {
        for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
            run_apart("poisson",
                      (struct load){
                          .workers = w, .percent = loads[i], .acceptors = w, .service_ns = 20000});
        }
        run_apart("poisson",
                  (struct load){.workers = w, .percent = 50, .acceptors = 1, .service_ns = 20000});
        run_apart("poisson",
                  (struct load){.workers = w, .percent = 90, .acceptors = 1, .service_ns = 20000});
        run_apart("tree", (struct load){.workers = w, .service_ns = 1000});
        run_apart("pairs", (struct load){.workers = w});
        run_apart("producer", (struct load){.workers = w, .service_ns = 20000});
    }
}

/* A key that is an assumption's sets it; the others are for who asks for them. */
static void set_assumptions(int count, char **args)
{
    for (int i = 0; i < count; i++) {
        char name[32] = "";
        const char *end = strchr(args[i], '=');
        if (end == NULL || (size_t)(end - args[i]) >= sizeof(name))
            continue;
        memcpy(name, args[i], (size_t)(end - args[i]));
        if (assume_set(name, strtoll(end + 1, NULL, 10)))
            bench_int(name, 0); /* is it a number? */
    }
}

int main(int argc, char **argv)
{
    int persona = personality(0xffffffff);
    if (persona >= 0 && (persona & ADDR_NO_RANDOMIZE) == 0 &&
        personality((unsigned long)persona | ADDR_NO_RANDOMIZE) >= 0)
        execv("/proc/self/exe", argv); /* the same addresses each time; if it fails, others */
    bool all = argc > 1 && strcmp(argv[1], "sweep") == 0;
    const struct row *row = argc > 1 ? find_row(argv[1]) : NULL;
    if (row == NULL && !all) {
        fputs("usage: simulate ROW [key=value ...] | simulate sweep\nrows:", stderr);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
            fprintf(stderr, " %s", rows[i].name);
        fputc('\n', stderr);
        return 2;
    }
    bench_args_begin(argc - 2, argv + 2);
    set_assumptions(argc - 2, argv + 2);
    if (all) {
        sweep();
    } else if (row->load != NULL) {
        bool as_csv = strcmp(bench_arg("format", ""), "csv") == 0;
        struct load load = load_of(row);
        if (as_csv)
            load_print_head();
        run(row, load, as_csv);
    } else {
        on_machine(run_bench, (void *)(uintptr_t)row);
    }
    return bench_args_end(argv[1]) ? 0 : 2;
}
