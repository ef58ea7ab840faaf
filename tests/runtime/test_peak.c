/*
 * After a peak of coroutines their stacks' memory goes back, and the next peak finds its stacks.
 */
#include "tests/support.h"

#include <stdio.h>

enum {
    PEAK = 20000,
    PAGE = 4096,
    PATIENCE_S = 120 /* takes 10 to 20 */
};

static atomic_int there;

static int stands(void *gate)
{
    atomic_fetch_add(&there, 1);
    return pirn_await((pirn_future *)gate, NULL, PIRN_NEVER);
}

static long peak(int n)
{
    pirn_future *gate;
    pirn_task **tasks = calloc((size_t)n, sizeof(*tasks));
    CHECK(tasks != NULL);
    CHECK_OK(pirn_future_new(&gate));
    atomic_store(&there, 0);
    for (int i = 0; i < n; i++)
        tasks[i] = support_spawn(stands, gate);
    while (atomic_load(&there) < n)
        CHECK_OK(pirn_yield());
    long resident = support_resident();
    CHECK_OK(pirn_future_set(gate, 0, NULL));
    for (int i = 0; i < n; i++)
        CHECK_OK(support_join(tasks[i]));
    free(tasks);
    CHECK_OK(pirn_release(gate));
    return resident;
}

#ifndef PIRN_SANITIZED
/* Until most of what the stacks of a peak of n had has gone. */
static long until_it_has_gone(long at_peak, int n)
{
    long now = support_resident(), wanted = at_peak - (long)n * PAGE * 3 / 4;
    for (int i = 0; i < PATIENCE_S * 4 && now > wanted; i++) {
        CHECK_OK(pirn_sleep(pirn_after_ms(250)));
        now = support_resident();
    }
    CHECK_LE(now, wanted);
    return now;
}
#endif

static int at_rest(void *arg)
{
    int n = support_slow() ? PEAK / 4 : PEAK;
    (void)arg;
#ifdef PIRN_SANITIZED /* whose shadow of the stacks is larger than they are, and stays */
    long first = peak(n), after = first;
#else
    long first = peak(n), after = until_it_has_gone(first, n);
#endif
    long second = peak(n);
    printf("%ld KiB at the peak, %ld after it, %ld at the next\n", first >> 10, after >> 10,
           second >> 10);
    return 0;
}

START_TEST(its_memory_goes_back)
{
    CHECK_OK(support_run(2, at_rest, NULL));
}
END_TEST

SUPPORT_MAIN("peak", its_memory_goes_back)
