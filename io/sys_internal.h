/*
 * What the files of system calls share: faults on purpose, and errno as a result; see sys.c.
 */
#ifndef PIRN_IO_SYS_INTERNAL_H
#define PIRN_IO_SYS_INTERNAL_H

#include <errno.h>

#include "io/fault.h"
#include "io/sys.h"

#ifdef PIRN_HARD
#define INJECT(name) \
    do { \
        int fault = pirn_fault(#name); \
        if (fault) \
            return fault; \
    } while (0)
#else
#define INJECT(name) ((void)0)
#endif

/* A sanitizer has to see what a system call does to memory: it looks into libc's calls. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

/* ThreadSanitizer keeps a signal from its handler until the thread makes a call of libc's that it
 * intercepts, and syscall(2) is none. */
#if defined(__SANITIZE_THREAD__)
#define SIGNALS_HELD_BACK
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIGNALS_HELD_BACK
#endif
#endif

enum {
    SLICE_NS = 20 * 1000 * 1000 /* so long a wait of the kernel's keeps them */
};

/* Not inlined, and with a side effect in the compiler's eyes, for the reason given in sys.c:
 * also where the whole library is optimised as one. */
static __attribute__((noinline)) int last_error(void)
{
    __asm__ volatile("");
    return -errno;
}

/* A libc call's result, by the contract. */
static inline ssize_t result(ssize_t r)
{
    return r < 0 ? last_error() : r;
}

/* The same for calls whose results fit an int. */
static inline int result_int(long r)
{
    return r < 0 ? last_error() : (int)r;
}

#endif
