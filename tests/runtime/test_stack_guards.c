/* The guard below each stack: that it faults, whose it is, and how many there may be. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/runtime/stacks.h"

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

static size_t slots_carved(void)
{
    size_t n = 0;
    for (size_t i = 0; i < atomic_load(&pool.slabs.count); i++)
        n += atomic_load(&pirn_slab_at(&pool.slabs, i)->carved);
    return n;
}

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
    ck_assert_int_eq(pirn_stack_get(&pool, &cache, 0, &stack), -ENOMEM);
    size_t carved = slots_carved();
    for (int i = 0; i < 10000; i++)
        ck_assert_int_eq(pirn_stack_get(&pool, &cache, 0, &stack), -ENOMEM);
    ck_assert_int_le(mappings(), before + 20);
    ck_assert_uint_eq(carved, slots_carved());
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
    size_t slabs = atomic_load(&pool.slabs.count); /* used again, as what failed has gone */
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(pirn_stack_get(&pool, &cache, 8 * MIB, &stack), -ENOMEM);
    ck_assert_uint_eq(atomic_load(&pool.slabs.count), slabs);
    for (int i = 0; i < 99; i++)
        pirn_stack_put(&pool, &cache, large[i]);
}
END_TEST

int main(void)
{
    TCase *cases = stacks_case();
    tcase_add_loop_test(cases, guards_fault, 0, 2);
    tcase_add_test(cases, other_addresses_are_no_guards);
    tcase_add_test(cases, guards_by_mprotect_end_before_the_mappings_do);
    tcase_add_test(cases, guards_of_large_stacks_are_counted_while_they_are_there);
    return cases_main("stack_guards", cases);
}
