/* The stack pool: reuse, guards, sizes, many stacks, shortage, trimming, threads. */
#include <check.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/stack.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

#if PIRN_STACK_SANITIZED || defined(PIRN_HARD)
#define MANY 100000 /* the full number once, in the plain build */
#else
#define MANY 1000000
#endif

static struct stack_pool pool;
static struct stack_cache cache;

static void set_up(void)
{
    memset(&cache, 0, sizeof(cache));
    ck_assert_int_eq(pirn_stacks_init(&pool, 0), 0);
}

static void tear_down(void)
{
    pirn_stacks_destroy(&pool);
}

static struct stack *get(size_t size)
{
    struct stack *stack;
    ck_assert_int_eq(pirn_stack_get(&pool, &cache, size, &stack), 0);
    return stack;
}

static size_t free_stacks(void)
{
    return atomic_load(&pool.free) + atomic_load(&cache.count);
}

static size_t bound_stacks(void)
{
    return atomic_load(&pool.total) - free_stacks();
}

/* A number from a file of /proc/self; key NULL: the count of its lines. */
static long proc_number(const char *path, const char *key)
{
    char line[512];
    long found = 0;
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file)) {
        if (!key)
            found++;
        else if (strncmp(line, key, strlen(key)) == 0)
            found = strtol(line + strlen(key), NULL, 10);
    }
    fclose(file);
    return found;
}

static long mappings(void)
{
    return proc_number("/proc/self/maps", NULL);
}

/* Pages of the stack that are resident. */
static size_t resident(const struct stack *stack)
{
    unsigned char pages[1024];
    size_t count = 0, step = sizeof(pages) * pool.slabs.page;
    for (size_t at = 0; at < stack->size; at += step) {
        size_t n = stack->size - at < step ? stack->size - at : step;
        ck_assert_int_eq(mincore(stack->low + at, n, pages), 0);
        for (size_t i = 0; i < n / pool.slabs.page; i++)
            count += pages[i] & 1;
    }
    return count;
}

/* The signal a child dies of when it writes to addr; 0: none. */
static int signal_of_write(volatile char *addr)
{
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        *addr = 1;
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static sigjmp_buf after_fault;

static void on_fault(int signal)
{
    siglongjmp(after_fault, signal);
}

/* The same without a child, which would copy a large process. */
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

/* ---- One stack ------------------------------------------------------------------------------ */

START_TEST(a_stack_is_usable_to_its_ends)
{
    struct stack *stack = get(0);
    ck_assert_uint_eq((uintptr_t)stack->top % 16, 0);
    ck_assert_uint_eq(stack->size, PIRN_STACK_DEFAULT * PIRN_STACK_HEADROOM * PIRN_STACK_SCALE);
    ck_assert_uint_eq((size_t)((char *)stack + sizeof(*stack) - stack->low), stack->size);
    memset(stack->low, 0x5a, (size_t)(stack->top - stack->low));
    struct stack *other = get(0);
    ck_assert_ptr_ne(other, stack);
    ck_assert_int_eq(stack->low[0], 0x5a);
    ck_assert_int_eq(stack->top[-1], 0x5a);
    ck_assert_uint_eq(bound_stacks(), 2);
}
END_TEST

START_TEST(a_put_stack_comes_back_first)
{
    struct stack *a = get(0), *b = get(0), *c = get(0);
    pirn_stack_put(&pool, &cache, a);
    pirn_stack_put(&pool, &cache, c);
    pirn_stack_put(&pool, &cache, b);
    ck_assert_uint_eq(free_stacks(), 3);
    ck_assert_ptr_eq(get(0), b);
    ck_assert_ptr_eq(get(0), c);
    ck_assert_ptr_eq(get(0), a);
    ck_assert_uint_eq(free_stacks(), 0);
    ck_assert_uint_eq(bound_stacks(), 3);
}
END_TEST

START_TEST(a_cache_is_bounded_and_flushed)
{
    enum {
        N = 1000
    };
    struct stack *stacks[N];
    for (int i = 0; i < N; i++)
        stacks[i] = get(0);
    for (int i = 0; i < N; i++) {
        pirn_stack_put(&pool, &cache, stacks[i]);
        ck_assert_uint_le(atomic_load(&cache.count), PIRN_STACK_CACHED);
        ck_assert_ptr_eq(cache.head, stacks[i]);
    }
    ck_assert_uint_eq(free_stacks(), N);
    pirn_stack_cache_flush(&pool, &cache);
    ck_assert_uint_eq(atomic_load(&cache.count), 0);
    ck_assert_ptr_null(cache.head);
    ck_assert_uint_eq(atomic_load(&pool.free), N);

    /* All come back, each once, none new. */
    for (int i = 0; i < N; i++)
        stacks[i] = get(0);
    ck_assert_uint_eq(atomic_load(&pool.total), N);
    ck_assert_uint_eq(free_stacks(), 0);
    for (int i = 0; i < N; i++)
        stacks[i]->top[-1] = 0;
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(stacks[i]->top[-1]++, 0);
}
END_TEST

START_TEST(it_works_without_a_cache)
{
    struct stack *a, *b;
    ck_assert_int_eq(pirn_stack_get(&pool, NULL, 0, &a), 0);
    pirn_stack_put(&pool, NULL, a);
    pirn_stack_cache_flush(&pool, &cache); /* an empty one */
    ck_assert_int_eq(pirn_stack_get(&pool, NULL, 0, &b), 0);
    ck_assert_ptr_eq(a, b);

    /* A chain that a cache gave is taken apart one by one. */
    struct stack *stacks[3] = {b, get(0), get(0)};
    for (int i = 0; i < 3; i++)
        pirn_stack_put(&pool, &cache, stacks[i]);
    pirn_stack_cache_flush(&pool, &cache);
    for (int i = 2; i >= 0; i--) {
        ck_assert_int_eq(pirn_stack_get(&pool, NULL, 0, &a), 0);
        ck_assert_ptr_eq(a, stacks[i]);
        ck_assert_uint_eq(atomic_load(&pool.free), (size_t)i);
    }
}
END_TEST

START_TEST(tops_differ_within_one_page)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    bool seen[PIRN_STACK_COLOURS] = {false};
    for (int i = 0; i < 4 * PIRN_STACK_COLOURS; i++) {
        struct stack *stack = get(0);
        uintptr_t end = (uintptr_t)stack + sizeof(*stack);
        ck_assert_uint_eq(end % page, 0);
        size_t distance = (size_t)((char *)stack - stack->top);
        ck_assert_uint_eq(distance % PIRN_STACK_COLOUR_STEP, 0);
        ck_assert_uint_lt(distance / PIRN_STACK_COLOUR_STEP, PIRN_STACK_COLOURS);
        seen[distance / PIRN_STACK_COLOUR_STEP] = true;
        ck_assert_uint_ge((uintptr_t)stack->top - 1536, end - page);
    }
    for (int i = 0; i < PIRN_STACK_COLOURS; i++)
        ck_assert(seen[i]);
}
END_TEST

/* ---- Guards --------------------------------------------------------------------------------- */

static void check_guard(struct stack *stack)
{
    struct stack *found = NULL;
    for (size_t below = 1; below <= pool.slabs.guard; below = below < 4096 ? 4096 : below * 2) {
        ck_assert_int_eq(signal_of_write(stack->low - below), SIGSEGV);
        ck_assert(pirn_stack_guard_of(&pool, stack->low - below, &found));
        ck_assert_ptr_eq(found, stack);
    }
    ck_assert_int_eq(signal_of_write(stack->low), 0);
    ck_assert_int_eq(signal_of_write(stack->top - 1), 0);
    ck_assert(!pirn_stack_guard_of(&pool, stack->low, &found));
    ck_assert(!pirn_stack_guard_of(&pool, stack->top - 1, &found));
}

START_TEST(guards_fault)
{
    pool.slabs.markers = pool.slabs.markers && _i == 0; /* the second time: by mprotect */
    struct stack *first = get(0);
    struct stack *stacks[] = {first, get(0), get(16 * KIB), get(MIB), get(8 * MIB)};
    ck_assert_uint_ge(pool.slabs.guard, 32 * KIB);
    for (size_t i = 0; i < 5; i++)
        check_guard(stacks[i]);

    /* A guard stays over reuse and trimming. */
    pirn_stack_put(&pool, &cache, first);
    ck_assert_ptr_eq(get(0), first);
    ck_assert_int_eq(madvise(first->low, first->size / 2, MADV_DONTNEED), 0);
    check_guard(first);
    ck_assert_uint_eq(bound_stacks(), 5);
}
END_TEST

START_TEST(other_addresses_are_no_guards)
{
    struct stack *found = NULL;
    int local = 0;
    ck_assert(!pirn_stack_guard_of(&pool, &local, &found)); /* before the first slab, too */
    struct stack *stack = get(0);
    ck_assert(!pirn_stack_guard_of(&pool, &local, &found));
    ck_assert(!pirn_stack_guard_of(&pool, NULL, &found));
    ck_assert(!pirn_stack_guard_of(&pool, (void *)UINTPTR_MAX, &found));
    ck_assert(!pirn_stack_guard_of(&pool, malloc, &found));
    /* where the next stack's guard will be */
    ck_assert(!pirn_stack_guard_of(&pool, (char *)stack + sizeof(*stack), &found));
    ck_assert_ptr_null(found);
}
END_TEST

START_TEST(guards_by_mprotect_end_before_the_mappings_do)
{
    pool.slabs.markers = false;
    pool.slabs.protect_limit = 100;
    struct stack *stack, *last = NULL;
    int made = 0, r;
    while ((r = pirn_stack_get(&pool, &cache, 0, &stack)) == 0 && made < 1000) {
        made++;
        last = stack;
    }
    ck_assert_int_eq(r, -ENOMEM);
    ck_assert_int_eq(made, 100);
    ck_assert_ptr_nonnull(strstr(pirn_stacks_shortage(&pool), "vm.max_map_count"));
    check_guard(last);

    /* Failing again and again costs nothing, and what there is can be used again. */
    long before = mappings();
    for (int i = 0; i < 10000; i++)
        ck_assert_int_eq(pirn_stack_get(&pool, &cache, 0, &stack), -ENOMEM);
    ck_assert_int_le(mappings(), before + 20);
    pirn_stack_put(&pool, &cache, last);
    ck_assert_ptr_eq(get(0), last);

    /* Stacks that could not be guarded are made good when it becomes possible. */
    pool.slabs.protect_limit = 101;
    stack = get(0);
    check_guard(stack);
    ck_assert_int_eq(pirn_stack_get(&pool, &cache, 0, &stack), -ENOMEM);
    ck_assert_uint_eq(bound_stacks(), 101);
}
END_TEST

/* A large stack's mapping goes when it is put, and its guard with it. */
START_TEST(guards_of_large_stacks_are_counted_while_they_are_there)
{
    struct stack *large[99], *stack;
    pool.slabs.markers = false;
    pool.slabs.protect_limit = 100;
    for (int i = 0; i < 1000; i++) {
        stack = get(8 * MIB);
        pirn_stack_put(&pool, &cache, stack);
    }
    check_guard(get(8 * MIB));
    for (int i = 0; i < 99; i++)
        large[i] = get(8 * MIB);
    ck_assert_int_eq(pirn_stack_get(&pool, &cache, 8 * MIB, &stack), -ENOMEM);
    for (int i = 0; i < 99; i++)
        pirn_stack_put(&pool, &cache, large[i]);
}
END_TEST

/* ---- Sizes ---------------------------------------------------------------------------------- */

START_TEST(sizes_are_rounded_up_and_kept_apart)
{
    static const size_t sizes[] = {1,           16 * KIB + 1, 64 * KIB,  200 * KIB, MIB,
                                   4 * MIB - 1, 4 * MIB + 1,  100 * MIB, 256 * MIB};
    enum {
        N = sizeof(sizes) / sizeof(sizes[0])
    };
    struct stack *stacks[N];
    for (int i = 0; i < N; i++) {
        stacks[i] = get(sizes[i]);
        size_t size = stacks[i]->size / PIRN_STACK_SCALE;
        ck_assert_uint_ge(size, sizes[i]);
        size_t asked = sizes[i] == PIRN_STACK_DEFAULT ? PIRN_STACK_HEADROOM * sizes[i] : sizes[i];
        ck_assert_uint_lt(size / 2, asked < 16 * KIB ? 16 * KIB : asked);
        ck_assert_uint_eq(size & (size - 1), 0);
        stacks[i]->low[0] = stacks[i]->top[-1] = 1;
    }
    for (int i = 0; i < N; i++)
        pirn_stack_put(&pool, &cache, stacks[i]);
    for (int i = 0; i < N; i++)
        if (sizes[i] * PIRN_STACK_SCALE <= 4 * MIB)
            ck_assert_ptr_eq(get(sizes[i]), stacks[i]);
}
END_TEST

START_TEST(large_stacks_are_given_back)
{
    get(0);
    long before = proc_number("/proc/self/status", "VmSize:");
    for (int i = 0; i < 200; i++) {
        struct stack *stack = get(512 * MIB);
        stack->top[-1] = 1;
        ck_assert_int_gt(proc_number("/proc/self/status", "VmSize:"), before + 500 * 1024);
        pirn_stack_put(&pool, &cache, stack);
    }
    ck_assert_int_le(proc_number("/proc/self/status", "VmSize:"), before + 64);
    ck_assert_uint_eq(atomic_load(&pool.slabs.count), 2); /* entries are used again */
    ck_assert_uint_eq(bound_stacks(), 1);
}
END_TEST

START_TEST(a_large_default_works)
{
    struct stack_pool large;
    struct stack *stack;
    ck_assert_int_eq(pirn_stacks_init(&large, 32 * MIB), 0);
    ck_assert_int_eq(pirn_stack_get(&large, &cache, 0, &stack), 0);
    ck_assert_uint_eq(stack->size, 32 * MIB * PIRN_STACK_SCALE);
    pirn_stack_put(&large, &cache, stack);
    ck_assert_uint_eq(atomic_load(&large.total), 0);
    pirn_stacks_destroy(&large);
    ck_assert_int_eq(pirn_stacks_init(&large, SIZE_MAX), -ENOMEM);
}
END_TEST

START_TEST(impossible_sizes_fail)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 2 + 1, (size_t)1 << 40,
                                   PIRN_STACK_SIZE_MAX + 1};
    struct stack *stack = NULL;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        ck_assert_int_eq(pirn_stack_get(&pool, &cache, sizes[i], &stack), -ENOMEM);
    ck_assert_ptr_null(stack);
}
END_TEST

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
    Suite *suite = suite_create("stack");
    TCase *cases = tcase_create("stack");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, a_stack_is_usable_to_its_ends);
    tcase_add_test(cases, a_put_stack_comes_back_first);
    tcase_add_test(cases, a_cache_is_bounded_and_flushed);
    tcase_add_test(cases, it_works_without_a_cache);
    tcase_add_test(cases, tops_differ_within_one_page);
    tcase_add_loop_test(cases, guards_fault, 0, 2);
    tcase_add_test(cases, other_addresses_are_no_guards);
    tcase_add_test(cases, guards_by_mprotect_end_before_the_mappings_do);
    tcase_add_test(cases, guards_of_large_stacks_are_counted_while_they_are_there);
    tcase_add_test(cases, sizes_are_rounded_up_and_kept_apart);
    tcase_add_test(cases, large_stacks_are_given_back);
    tcase_add_test(cases, a_large_default_works);
    tcase_add_test(cases, impossible_sizes_fail);
    tcase_add_test(cases, a_million_stacks_need_few_mappings);
    tcase_add_test(cases, plenty_of_free_stacks_lose_their_memory);
    tcase_add_test(cases, a_limit_on_address_space_is_used_up_then_reported);
    tcase_add_test(cases, threads_share_a_pool);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
