/* The stack pool with many stacks: mappings, memory, shortage, threads that share it. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/runtime/stacks.h"

#if PIRN_STACK_SANITIZED || defined(PIRN_HARD)
#define MANY 100000 /* the full number once, in the plain build */
#else
#define MANY 1000000
#endif

static sigjmp_buf after_fault;

static void on_fault(int signal)
{
    siglongjmp(after_fault, signal);
}

/* The signal that a write to addr raises; no child, which would copy a large process. 0: none. */
static int fault_of_write(volatile char *addr)
{
    struct sigaction action = {.sa_handler = on_fault}, old;
    sigaction(SIGSEGV, &action, &old);
    int signal = sigsetjmp(after_fault, 1);
    if (signal == 0)
        *addr = 1;
    sigaction(SIGSEGV, &old, NULL);
    return signal;
}

/* ---- Many ----------------------------------------------------------------------------------- */

START_TEST(a_million_stacks_need_few_mappings)
{
    size_t n = MANY;
    if (proc_number("/proc/meminfo", "MemAvailable:") < 7 * 1024 * 1024)
        n /= 10; /* a million take 4.2 GiB with their page tables; sanitizers' shadows as much */
    if (!pool.slabs.markers)
        n = 10000;
    struct stack **stacks = malloc(n * sizeof(*stacks));
    ck_assert_ptr_nonnull(stacks);
    long before = mappings();
    for (size_t i = 0; i < n; i++) {
        stacks[i] = get(0);
        stacks[i]->top[-1536] = 1;
    }
    long maps = mappings() - before;
    size_t pages = 0;
    for (size_t i = 0; i < n; i++)
        pages += resident(stacks[i]);
    printf("stacks=%zu mappings=%ld pages=%zu\n", n, maps, pages);
    ck_assert_uint_eq(pages, n);
    if (pool.slabs.markers && !PIRN_STACK_SANITIZED) /* which map shadow memory */
        ck_assert_int_lt(maps, 90);
    for (size_t i = 0; i < n; i += n / 1000) {
        ck_assert_int_eq(fault_of_write(stacks[i]->low - 1), SIGSEGV);
        ck_assert_int_eq(fault_of_write(stacks[i]->low - pool.slabs.guard), SIGSEGV);
        ck_assert_int_eq(fault_of_write(stacks[i]->low), 0);
    }
    for (size_t i = 0; i < n; i++)
        pirn_stack_put(&pool, &cache, stacks[i]);
    ck_assert_uint_eq(bound_stacks(), 0);
    free(stacks);
}
END_TEST

START_TEST(plenty_of_free_stacks_lose_their_memory)
{
    enum {
        N = 3000,
        USED = 10
    }; /* pages used by each */
    static struct stack *stacks[N];
    size_t page = pool.slabs.page, full = 0, kept = 0;
    atomic_store(&pool.by_one, _i == 1); /* before Linux 6.14 */
    for (int i = 0; i < N; i++) {
        stacks[i] = get(0);
        char *end = (char *)stacks[i] + sizeof(struct stack);
        memset(end - USED * page, 1, (USED - 1) * page);
        full += resident(stacks[i]);
    }
    ck_assert_uint_eq(full, N * USED);
    for (int i = 0; i < N; i++)
        pirn_stack_put(&pool, &cache, stacks[i]);
    for (int i = 0; i < N; i++)
        kept += resident(stacks[i]);
    /* 64 MiB of stacks stay whole, and those in the cache; of the others one page. */
    size_t whole = 64 * MIB / stacks[0]->size + atomic_load(&cache.count);
    ck_assert_uint_le(kept, whole * USED + (N - whole));
    ck_assert_uint_ge(kept, whole * USED + (N - whole) - PIRN_STACK_CACHED * USED);

    /* Trimmed stacks are as good as others, and taken last. */
    for (int i = 0; i < N; i++) {
        struct stack *stack = get(0);
        if (i < PIRN_STACK_CACHED / 2)
            ck_assert_int_eq(((char *)stack)[-(int)(5 * page)], 1);
        memset(stack->low, 2, (size_t)(stack->top - stack->low));
    }
    ck_assert_uint_eq(atomic_load(&pool.total), N);
}
END_TEST

/* ---- Shortage ------------------------------------------------------------------------------- */

/* In a child, so that the limit binds nobody else. Gives the number of stacks made, or a negative
 * number that says what went wrong. */
static int stacks_under_limit(size_t bytes)
{
    long now = proc_number("/proc/self/statm", "");
    struct rlimit limit = {(size_t)now * pool.slabs.page + bytes,
                           (size_t)now * pool.slabs.page + bytes};
    if (setrlimit(RLIMIT_AS, &limit) < 0)
        return -1;
    struct stack *stack, *last = NULL;
    int made = 0, r;
    while ((r = pirn_stack_get(&pool, &cache, 0, &stack)) == 0) {
        made++;
        last = stack;
        memset(stack->low, 1, (size_t)(stack->top - stack->low));
    }
    if (r != -ENOMEM || !last || !strstr(pirn_stacks_shortage(&pool), "RLIMIT_AS"))
        return -2;
    pirn_stack_put(&pool, &cache, last);
    if (pirn_stack_get(&pool, &cache, 0, &stack) != 0 || stack != last)
        return -3;
    if (pirn_stack_get(&pool, &cache, 512 * MIB, &stack) != -ENOMEM)
        return -4;
    return made;
}

START_TEST(a_limit_on_address_space_is_used_up_then_reported)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    size_t bytes = 40 * MIB * PIRN_STACK_SCALE; /* less than a whole slab */
    pid_t child = fork();
    if (child == 0) {
        int made = stacks_under_limit(bytes);
        _exit(write(ends[1], &made, sizeof(made)) != sizeof(made));
    }
    int status, made = -9;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(read(ends[0], &made, sizeof(made)), sizeof(made));
    size_t each = PIRN_STACK_DEFAULT * PIRN_STACK_HEADROOM * PIRN_STACK_SCALE + pool.slabs.guard;
    int fit = (int)(bytes / each);
    ck_assert_int_le(made, fit);
    ck_assert_int_ge(made, fit * 8 / 10);
}
END_TEST

/* ---- Threads -------------------------------------------------------------------------------- */

enum {
    THREADS = 4,
    HELD = 200
};

static _Atomic(struct stack *) handed[THREADS]; /* stacks that change threads */

static void *churn(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg, random = me * 2654435761u + 1;
    struct stack_cache mine = {0};
    struct stack *held[HELD] = {NULL};
    uintptr_t bad = 0;
    for (int i = 0; i < (PIRN_STACK_SANITIZED ? 20000 : 200000); i++) {
        random = random * 1664525u + 1013904223u;
        struct stack **at = &held[(random >> 8) % HELD];
        if (!*at) {
            size_t size = random >> 29 ? 0 : 128 * KIB;
            if (pirn_stack_get(&pool, &mine, size, at) < 0)
                return (void *)1;
            (*at)->top[-1] = (char)me;
            continue;
        }
        bad |= (*at)->top[-1] != (char)me; /* somebody else has it, too */
        if (random >> 30 == 0) {
            *at = atomic_exchange(&handed[(me + 1) % THREADS], *at);
            if (*at)
                (*at)->top[-1] = (char)me;
        } else {
            pirn_stack_put(&pool, &mine, *at);
            *at = NULL;
        }
    }
    for (int i = 0; i < HELD; i++)
        if (held[i])
            pirn_stack_put(&pool, &mine, held[i]);
    pirn_stack_cache_flush(&pool, &mine);
    return (void *)bad;
}

START_TEST(threads_share_a_pool)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, (void *)i), 0);
    for (int i = 0; i < THREADS; i++) {
        void *bad;
        pthread_join(threads[i], &bad);
        ck_assert_ptr_null(bad);
    }
    for (int i = 0; i < THREADS; i++) {
        struct stack *stack = atomic_exchange(&handed[i], NULL);
        if (stack)
            pirn_stack_put(&pool, &cache, stack);
    }
    ck_assert_uint_eq(bound_stacks(), 0);
    ck_assert_uint_le(atomic_load(&pool.total), THREADS * (HELD + PIRN_STACK_CACHED + 1) * 2);
}
END_TEST

int main(void)
{
    TCase *cases = stacks_case();
    tcase_add_test(cases, a_million_stacks_need_few_mappings);
    tcase_add_loop_test(cases, plenty_of_free_stacks_lose_their_memory, 0, 2);
    tcase_add_test(cases, a_limit_on_address_space_is_used_up_then_reported);
    tcase_add_test(cases, threads_share_a_pool);
    return cases_main("stack_crowd", cases);
}
