/*
 * The work a burst or a request does: a chain of dependent integer operations (xorshift64), which
 * no compiler can shorten or vectorise, so that an iteration costs the same in every language.
 * The asyncio peers load this file as a shared library: the loops are compared, not the
 * interpreters. A loop over an array was rejected: it measures the cache, and who shares it.
 */
#include "perf/bench/bench.h"

__attribute__((visibility("default"))) uint64_t bench_work(uint64_t seed, uint64_t iterations)
{
    uint64_t x = seed | 1;
    for (uint64_t i = 0; i < iterations; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}
