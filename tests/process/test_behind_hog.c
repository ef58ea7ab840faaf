/*
 * What is ready behind a coroutine that computes runs, although all the other workers have work
 * without end and never come to look for some.
 */
#include "tests/support.h"

enum {
    YIELDERS = 8, /* for each worker */
    ROUNDS = 3,
    BEHIND = 5
};

struct scene {
    atomic_int over, ran;
    pirn_future *future;
};

static int yields(void *arg)
{
    struct scene *s = arg;
    while (!atomic_load(&s->over))
        CHECK_OK(pirn_yield());
    return 0;
}

static int new_one(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->ran, 1);
    return 0;
}

static int woken_one(void *arg)
{
    struct scene *s = arg;
    CHECK_OK(pirn_await(s->future, NULL, PIRN_NEVER));
    atomic_fetch_add(&s->ran, 1);
    return 0;
}

static int computes_until_they_ran(void *arg)
{
    struct scene *s = arg;
    pirn_task *behind[2 * BEHIND];
    CHECK_OK(pirn_future_new(&s->future));
    atomic_store(&s->ran, 0);
    for (int i = 0; i < BEHIND; i++)
        support_until_waiting(behind[i] = support_spawn(woken_one, s));
    for (int i = 0; i < BEHIND; i++)
        behind[BEHIND + i] = support_spawn(new_one, s);
    CHECK_OK(pirn_future_set(s->future, 0, NULL));
    while (atomic_load(&s->ran) < 2 * BEHIND) {}
    for (int i = 0; i < 2 * BEHIND; i++)
        CHECK_OK(support_join(behind[i]));
    return pirn_release(s->future);
}

static int beside_yielders(void *arg)
{
    struct scene s = {0};
    pirn_task *yielders[4 * YIELDERS];
    int n = *(int *)arg * YIELDERS;
    for (int i = 0; i < n; i++)
        yielders[i] = support_spawn(yields, &s);
    for (int i = 0; i < ROUNDS; i++)
        CHECK_OK(support_join(support_spawn(computes_until_they_ran, &s)));
    atomic_store(&s.over, 1);
    for (int i = 0; i < n; i++)
        CHECK_OK(support_join(yielders[i]));
    return 0;
}

START_TEST(the_ready_run_behind_one_who_computes)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, beside_yielders, &w));
}
END_TEST

SUPPORT_MAIN("process/behind_hog", the_ready_run_behind_one_who_computes)
