/* What the tests of the stack pool share: one pool with a cache, and what the kernel says of it. */
#ifndef TESTS_RUNTIME_STACKS_H
#define TESTS_RUNTIME_STACKS_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/stack.h"
#include "tests/cases.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

static struct stack_pool pool;
static struct stack_cache cache;

static inline void set_up(void)
{
    memset(&cache, 0, sizeof(cache));
    ck_assert_int_eq(pirn_stacks_init(&pool, 0), 0);
}

static inline void tear_down(void)
{
    pirn_stacks_destroy(&pool);
}

static inline struct stack *get(size_t size)
{
    struct stack *stack;
    ck_assert_int_eq(pirn_stack_get(&pool, &cache, size, &stack), 0);
    return stack;
}

static inline size_t free_stacks(void)
{
    return atomic_load(&pool.free) + atomic_load(&cache.count);
}

static inline size_t bound_stacks(void)
{
    return atomic_load(&pool.total) - free_stacks();
}

/* A number from a file of /proc/self; key NULL: the count of its lines. */
static inline long proc_number(const char *path, const char *key)
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

static inline long mappings(void)
{
    return proc_number("/proc/self/maps", NULL);
}

/* Pages of the stack that are resident. */
static inline size_t resident(const struct stack *stack)
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

static inline TCase *stacks_case(void)
{
    TCase *cases = tcase_create("stack");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_set_timeout(cases, 500);
    return cases;
}

#endif
