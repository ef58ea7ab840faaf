/*
 * How long a race of many rounds goes on: all of them, or on a busy machine as many as fit; what was
 * seen of those must do.
 */
#ifndef PIRN_TESTS_ASYNCIO_ROUNDS_H
#define PIRN_TESTS_ASYNCIO_ROUNDS_H

#include "tests/support.h"

/* PIRN_RACE_SECONDS=1000 lets every round run (see CONTRIBUTING.md). */
static inline bool rounds_go_on(int64_t began, int done, int rounds)
{
    const char *seconds = getenv("PIRN_RACE_SECONDS");
    int64_t patience = (seconds ? atoi(seconds) : support_slow() ? 2 : 10) * 1000 * MS;
    return done < rounds && (done < 100 || support_now() - began < patience);
}

/* Of so many rounds each outcome was seen in one of a hundred. */
static inline void rounds_saw_both(int one, int rounds)
{
    if (rounds >= 1000) {
        CHECK_GE(one, rounds / 100);
        CHECK_LE(one, rounds - rounds / 100);
    }
}

#endif
