/*
 * What the library allocates by calloc, all or of one size, each on a page of its own, which can be
 * put out of reach: who looks at it then, as a search would that goes through everything, ends the
 * process. For a test with the lines that wrap calloc and free.
 */
#ifndef PIRN_TESTS_SUPPORT_APART_H
#define PIRN_TESTS_SUPPORT_APART_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define APART_ALL SIZE_MAX

enum {
    APART_MOST = 64
};

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void __real_free(void *p);
void __wrap_free(void *p);

static atomic_size_t apart_size; /* 0: none */
static atomic_int apart_count;
static void *_Atomic apart_pages[APART_MOST]; /* in the order in which they were asked for */

void *__wrap_calloc(size_t n, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t wanted = atomic_load(&apart_size);
    if (wanted != APART_ALL && (n * size != wanted || wanted == 0))
        return __real_calloc(n, size);
    void *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int i = atomic_fetch_add(&apart_count, 1);
    if (at == MAP_FAILED || i >= APART_MOST || n * size > page)
        abort();
    atomic_store(&apart_pages[i], at);
    return at;
}

void __wrap_free(void *p)
{
    for (int i = 0; i < APART_MOST && p != NULL; i++) {
        if (atomic_load(&apart_pages[i]) != p)
            continue;
        atomic_store(&apart_pages[i], NULL);
        munmap(p, (size_t)sysconf(_SC_PAGESIZE));
        return;
    }
    __real_free(p);
}

/* From here on those of that size are, or APART_ALL. */
static inline void apart_begin(size_t size)
{
    atomic_store(&apart_count, 0);
    atomic_store(&apart_size, size);
}

static inline void apart_end(void)
{
    atomic_store(&apart_size, 0);
}

/* The i-th of them. */
static inline int apart_reach(int i, bool may)
{
    return mprotect(atomic_load(&apart_pages[i]), (size_t)sysconf(_SC_PAGESIZE),
                    may ? PROT_READ | PROT_WRITE : PROT_NONE);
}

#endif
