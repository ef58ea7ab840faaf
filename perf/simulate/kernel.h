/*
 * The simulated kernel, as far as other files need it.
 */
#ifndef PIRN_PERF_KERNEL_H
#define PIRN_PERF_KERNEL_H

#include <stdint.h>

extern struct kernel_counts {
    uint64_t ring_wakes, sleeps, fences, interrupts, futex_wakes, mutex_waits;
} kernel_counts;

/* Puts the calling processor to sleep until somebody wakes `at`, or until a time in ns. */
void kernel_sleep(const void *at, int64_t until);
/* The caller, who called at `called` (ps), pays for waking somebody who sleeps there, if anybody
 * does. */
void kernel_wake(const void *at, int64_t called);

#endif
