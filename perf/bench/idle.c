/*
 * Row idle: n coroutines parked at once, and what each of them keeps in memory.
 *
 *   1. read the memory, spawn n coroutines; each counts itself in and waits until the same moment,
 *      `hold` seconds after the start
 *   2. when all are waiting, read the memory again: the difference over n is bytes_each (resident
 *      pages) and page_table_bytes_each
 *   3. at that moment all wake, count themselves out, and the row ends
 *
 *   n=1000000 hold=30 workers=2
 *   variant=sleep      wait in pirn_sleep
 *   variant=recv       wait in pirn_recv with that deadline, on 100 sockets shared by all (a
 *                      million descriptors are more than a process may have)
 *   variant=unstarted  spawned while main and a spinner keep the one worker and its only
 *                      substitute busy, so that none has run when the memory is read
 *   variant=connections  of a server: connections.c
 *
 * The row fails if the moment came before all were waiting: a larger hold= helps.
 *
 * Where it goes: of 4,409 bytes 4,096 are the one page of its stack that is touched, 296 the task
 * (all that one costs that has not begun); the rest is stacks' books and the deadline. Page tables,
 * not among them: 321. To spawn and park one takes 7.8 us here; 0.2 if it does not begin: the rest
 * is the page fault, most likely.
 *
 * How late the last one ends after that moment (last_lateness_ms): in sleep 1.0 s with a million
 * (4.3 before stacks were trimmed a chain at a time: runtime/trim.c); in recv, where each is a
 * cancel that the kernel has to look up, 1.3 s (143 s before they went to it newest first:
 * cancel_late in io/collect.c), with 200,000 0.3 s.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <pirn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

enum {
    SOCKETS = 100
};

static struct {
    int64_t n;
    const char *variant;
    pirn_time until;
    int ends[SOCKETS][2];
    _Atomic int64_t started, ended, failed; /* counted by the coroutines, read by main; relaxed */
    atomic_bool spins, enough;              /* set by the spinner; set by main; relaxed */
} idle;

struct memory {
    int64_t resident, tables, slab;
};

static struct memory read_memory(void)
{
    return (struct memory){
        1024 * bench_proc("/proc/self/smaps_rollup", "Rss:"),
        1024 * bench_proc("/proc/self/status", "VmPTE:"),
        1024 * bench_proc("/proc/meminfo", "SUnreclaim:"),
    };
}

static int64_t count(_Atomic int64_t *counter, int64_t more)
{
    return atomic_fetch_add_explicit(counter, more, memory_order_relaxed) + more;
}

static int sleeper(void *arg)
{
    (void)arg;
    count(&idle.started, 1);
    if (pirn_sleep(idle.until) < 0)
        count(&idle.failed, 1);
    count(&idle.ended, 1);
    return 0;
}

static int receiver(void *arg)
{
    char byte;
    int64_t order = count(&idle.started, 1);
    (void)arg;
    if (pirn_recv(idle.ends[order % SOCKETS][0], &byte, 1, 0, idle.until) != -ETIMEDOUT)
        count(&idle.failed, 1);
    count(&idle.ended, 1);
    return 0;
}

static int spinner(void *arg)
{
    (void)arg;
    atomic_store_explicit(&idle.spins, true, memory_order_relaxed);
    while (!atomic_load_explicit(&idle.enough, memory_order_relaxed))
        ;
    return 0;
}

static void spawn(pirn_fn fn)
{
    pirn_task *task;
    bench_ok(pirn_spawn(&task, fn, NULL), "spawn");
    bench_ok(pirn_detach(task), "detach");
}

static void wait_for(_Atomic int64_t *counter)
{
    while (count(counter, 0) < idle.n)
        bench_ok(pirn_sleep(pirn_after_ms(5)), "sleep");
}

/* No worker is left to run what is spawned from now on. Main does not suspend until `enough`. */
static void occupy_workers(void)
{
    spawn(spinner);
    while (!atomic_load_explicit(&idle.spins, memory_order_relaxed))
        ;
}

static int run(void *arg)
{
    bool unstarted = !strcmp(idle.variant, "unstarted");
    pirn_fn fn = strcmp(idle.variant, "recv") ? sleeper : receiver;
    (void)arg;
    if (unstarted)
        occupy_workers();
    struct memory before = read_memory();
    int64_t begin = bench_now();
    idle.until = pirn_after_s((double)bench_int("hold", 30));
    for (int64_t i = 0; i < idle.n; i++)
        spawn(fn);
    if (!unstarted) {
        wait_for(&idle.started);
        bench_ok(pirn_sleep(pirn_after_ms(200)), "sleep");
    }
    bench_out("spawn_s", (double)(bench_now() - begin) / 1e9);
    struct memory after = read_memory();
    int64_t started = count(&idle.started, 0), parked = started - count(&idle.ended, 0);
    bench_out("started", (double)started);
    bench_out("parked", (double)parked);
    if (parked != (unstarted ? 0 : idle.n))
        bench_fail("not all were idle at once", ETIME);
    bench_out("bytes_each", (double)(after.resident - before.resident) / (double)idle.n);
    bench_out("page_table_bytes_each", (double)(after.tables - before.tables) / (double)idle.n);
    bench_out("kernel_slab_bytes_each", (double)(after.slab - before.slab) / (double)idle.n);
    bench_out("mappings", (double)bench_mappings());
    atomic_store_explicit(&idle.enough, true, memory_order_relaxed);
    wait_for(&idle.ended);
    int64_t late = bench_now() - idle.until.ns;
    bench_out("finished", (double)count(&idle.ended, 0));
    bench_out("failed", (double)count(&idle.failed, 0));
    bench_out("last_lateness_ms", (double)late / 1e6);
    return 0;
}

void bench_row_idle(void)
{
    idle.n = bench_int("n", 1000000);
    idle.variant = bench_arg("variant", "sleep");
    if (!strcmp(idle.variant, "connections")) {
        bench_idle_connections();
        return;
    }
    int workers = (int)bench_int("workers", strcmp(idle.variant, "unstarted") ? 2 : 1);
    for (int i = 0; i < SOCKETS; i++)
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, idle.ends[i]) < 0)
            bench_fail("socketpair", errno);
    bench_run(workers, run, NULL);
}
