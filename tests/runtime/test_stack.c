/* The stack pool, a stack at a time: its ends, its reuse, its size. */
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "tests/runtime/stacks.h"

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

int main(void)
{
    TCase *cases = stacks_case();
    tcase_add_test(cases, a_stack_is_usable_to_its_ends);
    tcase_add_test(cases, a_put_stack_comes_back_first);
    tcase_add_test(cases, a_cache_is_bounded_and_flushed);
    tcase_add_test(cases, it_works_without_a_cache);
    tcase_add_test(cases, tops_differ_within_one_page);
    tcase_add_test(cases, sizes_are_rounded_up_and_kept_apart);
    tcase_add_test(cases, large_stacks_are_given_back);
    tcase_add_test(cases, a_large_default_works);
    tcase_add_test(cases, impossible_sizes_fail);
    return cases_main("stack", cases);
}
