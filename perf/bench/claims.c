/*
 * Row claims: programs of five asyncio tutorials, with the times that the tutorials print (in
 * seconds), done with pirn. What it shows is what a runtime adds to the time that its programs
 * sleep.
 *
 *   took_s183_ten_sleeps   ten sleeps of 1 s, gathered                               1.039
 *   took_s184_in_line      five sleeps of 1 s, one after the other                   5.004
 *   took_s184_forgotten    five runs of a coroutine that forgets to await such a sleep  0.0036
 *   took_s185_longest      three tasks of 1, 2 and 3 s, awaited together             3.002
 *   took_s186_stored       five runs of two tasks of 1 s, both started first         5.005
 *   took_s186_at_once      the same, each awaited where it is started                10.010
 *   took_s187_worst_block  2 s waited for in six ways, the slowest: a task, two, a gather of four,
 *                          a gather
 *                          of gathers, a done callback, a chain of awaits            2.0006 to
 *                                                                                    2.0029
 *   took_s188_pool         ten pages by blocking calls in a pool of two threads      0.091
 *   took_s188_in_line      the same in line, and _ratio of the two                   0.570
 *   took_s189_streams      twenty pages over streams, at once                        0.097 to 0.101
 *
 * The pages come from a process of its own which takes 50 ms for each. Each claim is a process of
 * its own too, and they run at once: all but the last three only sleep. A time includes the start
 * and the end of its runtimes. A claim that took less than its sleeps has failed.
 * On 2 noisy cores, one run, in the order above, pirn and (asyncio): 1.006 (1.008), 5.002 (5.008),
 * 0.011 (0.002), 3.004 (3.005), 5.005 (5.006), 10.005 (10.015), 2.003 (2.005), 0.255 (0.260) and
 * 0.505 (0.506), 0.055 (0.056). A runtime takes 2 ms to start and end, threads and rings, where a
 * loop takes 0.3: that is all of the third. The echo load of S14 and S175, 64 connections, medians
 * of 3 in turns, messages per CPU second: one thread: asyncio 37,000, uvloop 168,000, Go 153,000,
 * pirn 173,000; two: Go 131,000, pirn 125,000.
 *
 *   second_ms=1000 (how long the tutorials' second is) workers=2
 *   claim=ten_sleeps|in_line|...  that one alone
 *   peer=COMMAND   runs another program with site=PORT and second_ms
 */
#include "perf/bench/claims.h"
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <pirn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum {
    SLEEPERS = 10
};

bench_claims bench_claim;

/* ---- What they have in common -------------------------------------------------------------- */

double bench_claim_since(int64_t begin)
{
    return (double)(bench_now() - begin) / (double)bench_claim.second_ns;
}

void bench_claim_took(const char *key, double seconds, double least)
{
    if (seconds < least)
        bench_fail(key, ETIME);
    printf("took_%s=%.4f\n", key, seconds);
    fflush(stdout);
}

static int sleeps(void *arg)
{
    return pirn_sleep(pirn_after_ns(*(const int *)arg * bench_claim.second_ns));
}

static const int one = 1, two = 2;

static pirn_task *start(pirn_fn fn, const void *arg)
{
    pirn_task *task;
    bench_ok(pirn_spawn(&task, fn, (void *)arg), "spawn");
    return task;
}

void bench_claim_finish(pirn_awaitable *awaitable)
{
    int status;
    bench_ok(pirn_join(awaitable, &status, PIRN_NEVER), "join");
    bench_ok(status, "a task");
}

pirn_awaitable *bench_claim_gather(pirn_awaitable **items, size_t count)
{
    pirn_awaitable *all;
    bench_ok(pirn_gather(&all, items, count, 0), "gather");
    for (size_t i = 0; i < count; i++)
        pirn_release(items[i]);
    return all;
}

static pirn_awaitable *gather_of_sleeps(const int *seconds, size_t count)
{
    pirn_task *tasks[SLEEPERS];
    for (size_t i = 0; i < count; i++)
        tasks[i] = start(sleeps, seconds);
    return bench_claim_gather(tasks, count);
}

double bench_claim_run(int (*fn)(void *arg))
{
    int64_t begin = bench_now();
    bench_run(bench_claim.workers, fn, NULL);
    return bench_claim_since(begin);
}

/* The same runtime five times, as loop.run_until_complete. */
static double time_five_runs(int (*fn)(void *arg))
{
    pirn_config config = PIRN_CONFIG_INIT;
    pirn_runtime *runtime;
    int status;
    config.workers = bench_claim.workers;
    int64_t begin = bench_now();
    bench_ok(pirn_runtime_new(&runtime, &config), "runtime");
    for (int i = 0; i < 5; i++) {
        bench_ok(pirn_runtime_run_until_complete(runtime, fn, NULL, &status), "run");
        bench_ok(status, "a run");
    }
    bench_ok(pirn_runtime_free(runtime), "the runtime's end");
    return bench_claim_since(begin);
}

/* ---- Sleeps -------------------------------------------------------------------------------- */

static int run_ten_sleeps(void *arg)
{
    (void)arg;
    bench_claim_finish(gather_of_sleeps(&one, SLEEPERS));
    return 0;
}

static void ten_sleeps(void)
{
    bench_claim_took("s183_ten_sleeps", bench_claim_run(run_ten_sleeps), 1);
}

static int run_in_line(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++)
        bench_ok(sleeps((void *)&one), "sleep");
    return 0;
}

static void in_line(void)
{
    bench_claim_took("s184_in_line", bench_claim_run(run_in_line), 5);
}

static int forget(void *arg)
{
    pirn_task *forgotten;
    (void)arg;
    bench_ok(pirn_coroutine_new(&forgotten, NULL, sleeps, (void *)&one), "coroutine");
    pirn_release(forgotten);
    return 0;
}

static void forgotten(void)
{
    int64_t begin = bench_now();
    for (int i = 0; i < 5; i++)
        bench_run(bench_claim.workers, forget, NULL);
    bench_claim_took("s184_forgotten", bench_claim_since(begin), 0);
}

static int run_longest(void *arg)
{
    static const int seconds[] = {1, 2, 3};
    pirn_task *tasks[3];
    (void)arg;
    for (int i = 0; i < 3; i++)
        tasks[i] = start(sleeps, &seconds[i]);
    bench_ok(pirn_wait(tasks, 3, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER), "wait");
    for (int i = 0; i < 3; i++)
        pirn_release(tasks[i]);
    return 0;
}

static void longest(void)
{
    bench_claim_took("s185_longest", bench_claim_run(run_longest), 3);
}

static int run_stored(void *arg)
{
    (void)arg;
    pirn_task *first = start(sleeps, &one), *second = start(sleeps, &one);
    bench_claim_finish(first);
    bench_claim_finish(second);
    return 0;
}

static void stored(void)
{
    bench_claim_took("s186_stored", time_five_runs(run_stored), 5);
}

static int run_at_once(void *arg)
{
    (void)arg;
    bench_claim_finish(start(sleeps, &one));
    bench_claim_finish(start(sleeps, &one));
    return 0;
}

static void at_once(void)
{
    bench_claim_took("s186_at_once", time_five_runs(run_at_once), 10);
}

/* ---- Six ways of waiting for 2 s ------------------------------------------------------------ */

static int one_task(void *arg)
{
    (void)arg;
    bench_claim_finish(start(sleeps, &two));
    return 0;
}

static int two_tasks(void *arg)
{
    pirn_task *tasks[] = {start(sleeps, &two), start(sleeps, &two)};
    (void)arg;
    bench_ok(pirn_wait(tasks, 2, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER), "wait");
    pirn_release(tasks[0]);
    pirn_release(tasks[1]);
    return 0;
}

static int gather_of_four(void *arg)
{
    (void)arg;
    bench_claim_finish(gather_of_sleeps(&two, 4));
    return 0;
}

static int gather_of_gathers(void *arg)
{
    pirn_awaitable *groups[] = {gather_of_sleeps(&two, 2), gather_of_sleeps(&two, 2)};
    (void)arg;
    bench_claim_finish(bench_claim_gather(groups, 2));
    return 0;
}

static void done(pirn_awaitable *awaitable, void *arg)
{
    (void)awaitable;
    atomic_store((atomic_bool *)arg, true);
}

static int with_callback(void *arg)
{
    atomic_bool called = false;
    pirn_task *task = start(sleeps, &two);
    (void)arg;
    bench_ok(pirn_add_done_callback(task, NULL, done, &called), "add_done_callback");
    bench_claim_finish(task);
    while (!atomic_load(&called))
        pirn_yield();
    return 0;
}

static int chain(void *arg)
{
    (void)arg;
    bench_claim_finish(start(one_task, NULL));
    return 0;
}

static void worst_block(void)
{
    static int (*const ways[])(void *arg) = {one_task,          two_tasks,     gather_of_four,
                                             gather_of_gathers, with_callback, chain};
    double worst = 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        double seconds = bench_claim_run(ways[i]);
        if (seconds < 2)
            bench_fail("a block", ETIME);
        worst = seconds > worst ? seconds : worst;
    }
    bench_claim_took("s187_worst_block", worst, 2);
}

/* ---- All of them ---------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(void);
} claims[] = {
    {"ten_sleeps", ten_sleeps},   {"in_line", in_line},       {"forgotten", forgotten},
    {"longest", longest},         {"stored", stored},         {"at_once", at_once},
    {"worst_block", worst_block}, {"pool", bench_claim_pool}, {"streams", bench_claim_streams},
};

void bench_row_claims(void)
{
    char more[64];
    const char *only = bench_arg("claim", NULL);
    int64_t second_ms = bench_int("second_ms", 1000);
    bench_claim = (bench_claims){
        .second_ns = second_ms * 1000000,
        .workers = (int)bench_int("workers", 2),
        .site = bench_server_child(bench_serve_pages),
    };
    snprintf(more, sizeof more, "site=%d second_ms=%lld", bench_claim.site, (long long)second_ms);
    bench_become_peer(more);

    int count = 0, failed = 0, status;
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        if (only && strcmp(only, claims[i].name) != 0)
            continue;
        count++;
        if (bench_fork() == 0) {
            claims[i].run();
            exit(0);
        }
    }
    if (!count)
        bench_fail(only, EINVAL);
    for (; count > 0 && wait(&status) >= 0; count--)
        failed += status != 0;
    if (failed)
        bench_fail("a claim", ECHILD);
}
