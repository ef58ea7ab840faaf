/*
 * Row switch for boost.context: its bare jump, without its C++ wrapper. A pair is a jump into the
 * context and the jump back. The declarations are boost/context/detail/fcontext.hpp in C.
 *
 *   boost_switch pairs=N
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef struct {
    void *context, *data;
} transfer;

transfer jump_fcontext(void *to, void *data);
void *make_fcontext(void *stack_top, size_t size, void (*fn)(transfer));

static void other(transfer from)
{
    for (;;)
        from = jump_fcontext(from.context, NULL);
}

static double now_ns(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

int main(int argc, char **argv)
{
    const size_t size = 65536;
    long pairs = 10000000;
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], "pairs=", 6))
            pairs = atol(argv[i] + 6);
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED)
        return 1;
    void *context = make_fcontext(stack + size, size, other);
    double begin = now_ns(CLOCK_MONOTONIC), cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (long i = 0; i < pairs; i++)
        context = jump_fcontext(context, NULL).context;
    printf("ns_per_op=%.3f\n", (now_ns(CLOCK_MONOTONIC) - begin) / (double)pairs);
    printf("cpu_ns_per_op=%.3f\n", (now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)pairs);
    return 0;
}
