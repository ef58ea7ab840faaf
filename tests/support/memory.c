/* Allocations that fail on purpose; see memory.h. */
#include "tests/support/memory.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *old, size_t n);
char *__real_strdup(const char *string);
char *__real_strndup(const char *string, size_t n);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *old, size_t n);
char *__wrap_strdup(const char *string);
char *__wrap_strndup(const char *string, size_t n);

static atomic_int left = INT_MAX; /* allocations until some fail; INT_MAX: none does */
static atomic_int last;           /* the lowest `left` that fails still */
static atomic_int failed;
static atomic_bool here; /* only thread's count */
static _Atomic(pthread_t) thread;

void support_memory_fail(int nth, int more)
{
    atomic_store(&failed, 0);
    atomic_store(&last, -more);
    atomic_store(&left, nth - 1);
}

void support_memory_fail_here(void)
{
    atomic_store(&thread, pthread_self());
    atomic_store(&here, true);
    support_memory_fail(1, 0);
}

int support_memory_works(void)
{
    atomic_store(&left, INT_MAX);
    atomic_store(&here, false);
    return atomic_load(&failed);
}

static bool fails(void)
{
    int n = atomic_load(&left);
    do {
        if (n == INT_MAX || n < atomic_load(&last))
            return false;
        if (atomic_load(&here) && !pthread_equal(atomic_load(&thread), pthread_self()))
            return false;
    } while (!atomic_compare_exchange_weak(&left, &n, n - 1));
    if (n > 0)
        return false;
    atomic_fetch_add(&failed, 1);
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return fails() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *old, size_t n)
{
    return fails() ? NULL : __real_realloc(old, n);
}

char *__wrap_strdup(const char *string)
{
    return fails() ? NULL : __real_strdup(string);
}

char *__wrap_strndup(const char *string, size_t n)
{
    return fails() ? NULL : __real_strndup(string, n);
}
