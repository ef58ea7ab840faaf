/*
 * ThreadSanitizer's view of synchronisation it cannot see by itself. Empty in other builds.
 */
#ifndef PIRN_SCHED_TSAN_H
#define PIRN_SCHED_TSAN_H

#if defined(PIRN_SIMULATED) /* instrumented, but not for that sanitizer (perf/simulate) */
#elif defined(__SANITIZE_THREAD__)
#define PIRN_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PIRN_TSAN 1
#endif
#endif

#ifdef PIRN_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
static inline void tsan_acquire(void *addr)
{
    __tsan_acquire(addr);
}
static inline void tsan_release(void *addr)
{
    __tsan_release(addr);
}
#else
static inline void tsan_acquire(void *addr)
{
    (void)addr;
}
static inline void tsan_release(void *addr)
{
    (void)addr;
}
#endif

#endif
