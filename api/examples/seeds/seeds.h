/*
 * What every seed would repeat: the tutorial's seconds, and an end for what cannot go on.
 *
 * A seed is a program of a Python asyncio tutorial, told in C. SEED_SECOND_MS in the environment
 * says how long a second of its is (1000 ms), PIRN_WORKERS how many workers run it. Beside each
 * program lies what it prints and when: tests/seeds/expectation.h explains that format, and CTest
 * checks it (seed/sNNN).
 */
#ifndef PIRN_SEEDS_H
#define PIRN_SEEDS_H

#include <pirn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Lines are seen as they come, also through a pipe. */
__attribute__((constructor)) static inline void seed_line_by_line(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
}

static inline double seed_second_ns(void)
{
    const char *ms = getenv("SEED_SECOND_MS");
    return (ms != NULL ? strtod(ms, NULL) : 1000) * 1e6;
}

/* A deadline so many of the tutorial's seconds from now. */
static inline pirn_time after(double seconds)
{
    return pirn_after_ns((int64_t)(seconds * seed_second_ns()));
}

/* How many of the tutorial's seconds have gone by. */
static inline double since(pirn_time start)
{
    return (double)(pirn_now().ns - start.ns) / seed_second_ns();
}

/* time.sleep: blocks the thread, whatever runs on it. */
static inline void block(double seconds)
{
    int64_t ns = (int64_t)(seconds * seed_second_ns());
    struct timespec span = {ns / 1000000000, ns % 1000000000};
    while (nanosleep(&span, &span) < 0) /* a signal came */
        ;
}

/* For calls that do not fail in a program of this size: returns what they return, or ends the
 * program, as an exception that nobody catches does in Python. Not for what may be cancelled. */
static inline int must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "seed: %s\n", strerror(-rc));
        _Exit(1);
    }
    return rc;
}

/* What main returns for a run that ended with rc. */
static inline int report(int rc)
{
    if (rc < 0)
        fprintf(stderr, "seed: %s\n", strerror(-rc));
    return rc < 0;
}

#endif
