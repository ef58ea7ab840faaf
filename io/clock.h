/*
 * The clocks. All of pirn reads time here.
 */
#ifndef PIRN_IO_CLOCK_H
#define PIRN_IO_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline int64_t clock_now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* How long it is until then; 0: it is past, and be it as long as can be. */
static inline int64_t clock_left(int64_t until)
{
    int64_t now = clock_now();
    return until > now ? until - now : 0;
}

static inline struct timespec clock_timespec(int64_t ns)
{
    struct timespec ts = {0, 0};
    if (ns > 0) {
        ts.tv_sec = ns / 1000000000;
        ts.tv_nsec = ns % 1000000000;
    }
    return ts;
}

#endif
