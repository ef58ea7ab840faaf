/*
 * Row wake: how soon a coroutine runs after a plain thread has set the future it awaits, when all
 * workers are parked; and the same with two plain threads and a bare futex, turn by turn.
 *
 *   1. the coroutine (then the bare thread) announces its turn and waits
 *   2. the waker sees that, sleeps 400 us, longer than anybody spins, takes the time, wakes
 *   3. the woken one takes the time
 *
 *   rounds=2000 workers=2
 *
 * Where the time goes (medians, us, by time stamps on the way): it depends on what the host makes
 * of idle cores.
 *                to the        in the       to the      all   bare    ratio
 *                system call   kernel       coroutine         futex
 *   cold caches  0.43          5.6          1.03        7.1   4.8     1.5 to 1.6
 *   warm ones    0.04          3.2 to 3.5   0.3         3.6   3.0     1.24 to 1.28
 * On a third host 5.8 to 8.3 beside 2.7 to 4.1: 1.8 to 2.1.
 * A ring waited for and woken in the same way with nothing around it takes as long as the bare
 * futex. What is ours is made of lines that have to change cores, and of code that has to be
 * fetched: no step of it is above 0.33. Tried: all functions of this way side by side in the
 * program, by the linker: 1.56 to 1.50 (medians of 30 pairs, cold), row echo 1.00 to 1.04 times as
 * many messages; not kept, as it takes a list that nothing holds true. Prefetches: 1 to 3%, within
 * the noise.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <linux/futex.h>
#include <pirn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    int64_t rounds;
    pirn_future **futures;   /* one a round, made beforehand */
    bench_samples pirn, raw; /* the coroutine's; the bare thread's */
    /* Release by the one who is about to wait (done with the last round), acquire by the waker. */
    _Atomic int64_t pirn_ready, raw_ready;
    _Atomic uint32_t raw_word; /* release by the waker, acquire by the bare thread */
    /* Written by the waker before the wake, which publishes them; read by the woken one. */
    int64_t pirn_woke_at, raw_woke_at;
} wake;

static int sleeper(void *arg)
{
    (void)arg;
    for (int64_t i = 0; i < wake.rounds; i++) {
        atomic_store_explicit(&wake.pirn_ready, i + 1, memory_order_release);
        bench_ok(pirn_future_await(wake.futures[i], NULL, NULL, PIRN_NEVER), "await");
        bench_add(&wake.pirn, bench_now() - wake.pirn_woke_at);
    }
    return 0;
}

static void *bare_sleeper(void *arg)
{
    (void)arg;
    bench_short_slice(); /* as pirn's workers do: the same wait for a core */
    for (int64_t i = 0; i < wake.rounds; i++) {
        uint32_t before = (uint32_t)i;
        atomic_store_explicit(&wake.raw_ready, i + 1, memory_order_release);
        while (atomic_load_explicit(&wake.raw_word, memory_order_acquire) == before)
            syscall(SYS_futex, &wake.raw_word, FUTEX_WAIT_PRIVATE, before, NULL, NULL, 0);
        bench_add(&wake.raw, bench_now() - wake.raw_woke_at);
    }
    return NULL;
}

static void wait_until_parked(_Atomic int64_t *ready, int64_t round)
{
    while (atomic_load_explicit(ready, memory_order_acquire) <= round)
        bench_nap(50000);
    bench_nap(400000);
}

static void *waker(void *arg)
{
    (void)arg;
    for (int64_t i = 0; i < wake.rounds; i++) {
        wait_until_parked(&wake.pirn_ready, i);
        wake.pirn_woke_at = bench_now();
        bench_ok(pirn_future_set(wake.futures[i], 0, NULL), "set");
        wait_until_parked(&wake.raw_ready, i);
        wake.raw_woke_at = bench_now();
        atomic_fetch_add_explicit(&wake.raw_word, 1, memory_order_release);
        syscall(SYS_futex, &wake.raw_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    return NULL;
}

static void start(pthread_t *thread, void *(*fn)(void *))
{
    int error = pthread_create(thread, NULL, fn, NULL);
    if (error)
        bench_fail("pthread_create", error);
}

void bench_row_wake(void)
{
    pthread_t raw, wakes;
    wake.rounds = bench_int("rounds", 2000);
    wake.futures = bench_alloc((size_t)wake.rounds, sizeof *wake.futures);
    for (int64_t i = 0; i < wake.rounds; i++)
        bench_ok(pirn_future_new(&wake.futures[i]), "future");
    start(&raw, bare_sleeper);
    start(&wakes, waker);
    bench_run((int)bench_int("workers", 2), sleeper, NULL);
    pthread_join(wakes, NULL);
    pthread_join(raw, NULL);
    for (int64_t i = 0; i < wake.rounds; i++)
        pirn_release(wake.futures[i]);
    free(wake.futures);

    double ours = (double)bench_quantile(&wake.pirn, 500);
    bench_out("wake_ratio", ours / (double)bench_quantile(&wake.raw, 500));
    bench_out_samples("wake", &wake.pirn);
    bench_out_samples("raw", &wake.raw);
}
