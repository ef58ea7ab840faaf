/*
 * How long a race of many rounds goes on: until all are done, or on a busy machine as long as it
 * may; what was seen of those must do.
 */
#ifndef PIRN_TESTS_RACE_ROUNDS_H
#define PIRN_TESTS_RACE_ROUNDS_H

#include "tests/support.h"

/* What each race has (a race: one setting at one W), in ns: so many seconds, or PIRN_RACE_SECONDS.
 * A very large number lets all rounds run (see CONTRIBUTING.md). */
static inline int64_t rounds_patience(double seconds)
{
    const char *given = getenv("PIRN_RACE_SECONDS");
    return (int64_t)((given ? atof(given) : seconds) * 1000) * MS;
}

static inline bool rounds_go_on(int64_t began, int done, int rounds)
{
    return done < rounds &&
           (done < 100 || support_now() - began < rounds_patience(support_slow() ? 2 : 10));
}

/* Of so many rounds an outcome was seen in one of a hundred. */
static inline void rounds_saw(int one, int rounds)
{
    if (getenv("PIRN_TEST_VERBOSE"))
        fprintf(stderr, "of %d rounds: %d\n", rounds, one);
    if (rounds >= 1000)
        CHECK_GE(one, rounds / 100);
}

/* ... and so was the other one. */
static inline void rounds_saw_both(int one, int rounds)
{
    rounds_saw(one, rounds);
    rounds_saw(rounds - one, rounds);
}

#endif
