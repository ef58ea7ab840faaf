/*
 * AddressSanitizer and fork().
 *
 * clang 14's takes none of its own locks for a fork (LLVM 17's does): a child may find one of its
 * allocator's held, by a thread that it has not got, and hangs in its next allocation (1 in 10 runs
 * of process/fork on a busy machine). The three locks that LLVM 17 takes are taken here, by their
 * functions' linker names; a sanitizer that does not export them is left alone.
 */
#include "tests/support.h"

#if defined(__has_feature) /* clang; gcc has the macros */
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif

bool support_asan(void)
{
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
    return true;
#else
    return false;
#endif
}

#if HAS_FEATURE(address_sanitizer)

#define THREADS_LOCK _ZN6__lsan18LockThreadRegistryEv
#define THREADS_UNLOCK _ZN6__lsan20UnlockThreadRegistryEv
#define ALLOCATOR_LOCK _ZN6__lsan13LockAllocatorEv
#define ALLOCATOR_UNLOCK _ZN6__lsan15UnlockAllocatorEv
#define STACKS_LOCK _ZN11__sanitizer17StackDepotLockAllEv
#define STACKS_UNLOCK _ZN11__sanitizer19StackDepotUnlockAllEv

__attribute__((weak)) void THREADS_LOCK(void);
__attribute__((weak)) void THREADS_UNLOCK(void);
__attribute__((weak)) void ALLOCATOR_LOCK(void);
__attribute__((weak)) void ALLOCATOR_UNLOCK(void);
__attribute__((weak)) void STACKS_LOCK(void);
__attribute__((weak)) void STACKS_UNLOCK(void);

static void before_fork(void)
{
    THREADS_LOCK();
    ALLOCATOR_LOCK();
    STACKS_LOCK();
}

static void after_fork(void)
{
    STACKS_UNLOCK();
    ALLOCATOR_UNLOCK();
    THREADS_UNLOCK();
}

__attribute__((constructor)) static void hold_locks_in_forks(void)
{
    if (THREADS_LOCK && THREADS_UNLOCK && ALLOCATOR_LOCK && ALLOCATOR_UNLOCK && STACKS_LOCK &&
        STACKS_UNLOCK)
        pthread_atfork(before_fork, after_fork, after_fork);
}

#endif
