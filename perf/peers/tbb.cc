/*
 * Row fib for oneTBB: tbb fib n=30 workers=2 how=group|invoke, printing key=value lines as the bench program
 * does.
 *
 * The form is that of oneTBB's own Fibonacci example and of the reference of tbb::task_group: run() spawns one
 * branch, the other is a plain call, wait() joins. how=invoke is tbb::parallel_invoke, which spawns one branch
 * and calls the other by itself.
 */
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_invoke.h>
#include <oneapi/tbb/task_group.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

static long by_group(long n)
{
    if (n < 2)
        return n;
    long first;
    oneapi::tbb::task_group group;
    group.run([&first, n] { first = by_group(n - 1); });
    long second = by_group(n - 2);
    group.wait();
    return first + second;
}

static long by_invoke(long n)
{
    if (n < 2)
        return n;
    long first, second;
    oneapi::tbb::parallel_invoke([&first, n] { first = by_invoke(n - 1); },
                                 [&second, n] { second = by_invoke(n - 2); });
    return first + second;
}

static double now_ns(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

int main(int argc, char **argv)
{
    long n = 30, workers = 2, a = 0, b = 1;
    long (*fib)(long) = by_group;
    for (int i = 2; i < argc; i++) {
        if (!strncmp(argv[i], "n=", 2))
            n = atol(argv[i] + 2);
        if (!strncmp(argv[i], "workers=", 8))
            workers = atol(argv[i] + 8);
        if (!strcmp(argv[i], "how=invoke"))
            fib = by_invoke;
    }
    if (argc < 2 || strcmp(argv[1], "fib")) {
        fputs("usage: tbb fib [n=30] [workers=2] [how=group|invoke]\n", stderr);
        return 2;
    }
    oneapi::tbb::global_control control(oneapi::tbb::global_control::max_allowed_parallelism,
                                        (size_t)workers);
    double begin = now_ns(CLOCK_MONOTONIC), cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    long result = fib(n);
    double took = now_ns(CLOCK_MONOTONIC) - begin, used = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    for (long i = 0; i < n; i++) {
        long next = a + b;
        a = b;
        b = next;
    }
    if (result != a) {
        fputs("tbb: fib is wrong\n", stderr);
        return 1;
    }
    printf("ns_per_op=%.3f\ncpu_ns_per_op=%.3f\n", took / (double)(b - 1), used / (double)(b - 1));
    return 0;
}
