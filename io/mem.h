/*
 * Where memory comes from: the program's hooks, or malloc.
 */
#ifndef PIRN_IO_MEM_H
#define PIRN_IO_MEM_H

#include <stddef.h>

struct mem {
    void *(*alloc)(void *user, size_t bytes);
    void (*free)(void *user, void *ptr);
    void *user;
};

static inline void *mem_alloc(const struct mem *m, size_t bytes)
{
    return m->alloc(m->user, bytes);
}

static inline void mem_free(const struct mem *m, void *ptr)
{
    if (ptr != NULL)
        m->free(m->user, ptr);
}

#endif
