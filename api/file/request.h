/*
 * A call about a file that either waits or has no way to say that it would: by io_uring in a
 * coroutine, by the system call itself on a plain thread, and by that on a thread of the runtime's
 * blocking pool if the ring does not know the request, or there is none.
 *
 *   1. The ring is asked. It refuses what it does not know with -EINVAL, before it has done
 *      anything.
 *   2. So that is asked again of the system call, on the pool: it knows, or says -EINVAL for good.
 *   3. If it knew, the ring is not asked for this kind again.
 *
 * Rejected: probing the ring for what it knows when it is made. Some kernels know a request and not
 * all of its flags, and a filter may forbid one and not the other.
 */
#ifndef PIRN_API_FILE_REQUEST_H
#define PIRN_API_FILE_REQUEST_H

#include <pirn.h>

#include "api/transfer.h"

struct request {
    const char *what;
    enum op_kind kind; /* OP_KINDS: the ring has none */
    int fd;
    const void *addr; /* these as io/op.h says */
    uint32_t len;
    uint32_t flags;
    uint64_t off;
    ssize_t (*call)(const struct request *r); /* the system call */
    size_t size;                              /* for that alone */
};

/* Its result, >= 0 or -errno. */
ssize_t pirn_file_request(const struct request *r, pirn_time deadline);

/* Of a call whose arguments are unsound: error, unless there is a cancel to be told first. */
int pirn_file_refuse(int error);

static inline uint64_t address_of(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

static inline void *to_pointer(uint64_t address)
{
    return (void *)(uintptr_t)address;
}

#endif
