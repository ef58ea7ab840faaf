/* Rates: never more than so many, nothing lost by who leaves, nobody overtakes. */
#include "tests/support.h"

#include <limits.h>
#include <math.h>

/* A rate at which none comes back while a test runs. */
static const double never = 1e-6;

/* In a coroutine and on a plain thread. */
static void burst_then_none(void)
{
    pirn_rate rate;
    CHECK_OK(pirn_rate_init(&rate, never, 3));
    CHECK_OK(pirn_rate_take(&rate, 2, PIRN_NOW));
    CHECK_EQ(pirn_rate_try_take(&rate, 2), -EAGAIN);
    CHECK_EQ(pirn_rate_take(&rate, 2, PIRN_NOW), -ETIMEDOUT);
    int64_t begin = support_now();
    CHECK_EQ(pirn_rate_take(&rate, 2, pirn_after_ms(5)), -ETIMEDOUT);
    CHECK_GE(support_now() - begin, 5 * MS);
    CHECK_OK(pirn_rate_try_take(&rate, 1)); /* none of these took any */
    CHECK_EQ(pirn_rate_try_take(&rate, 1), -EAGAIN);
}

START_TEST(a_burst_then_none)
{
    support_everywhere(burst_then_none);
}
END_TEST

/* However often it is asked, and for how many: what was taken beyond the burst has had its time. */
static void as_time_goes_by(void)
{
    pirn_rate rate;
    int64_t begin = support_now();
    CHECK_OK(pirn_rate_init(&rate, 1000, 4));
    for (int i = 0, taken = 0; i < 20; i++) {
        int n = 1 + i % 4;
        CHECK_OK(pirn_rate_take(&rate, n, PIRN_NEVER));
        taken += n;
        CHECK_GE(support_now() - begin, (taken - 4) * MS);
        while (pirn_rate_try_take(&rate, 2) == 0)
            taken += 2;
        CHECK_GE(support_now() - begin, (taken - 4) * MS);
    }
}

START_TEST(they_come_back_as_time_goes_by)
{
    support_everywhere(as_time_goes_by);
}
END_TEST

/* A slow rate that is looked at all the time comes back all the same. */
START_TEST(looking_takes_nothing)
{
    pirn_rate rate;
    CHECK_OK(pirn_rate_init(&rate, 2, INT_MAX));
    CHECK_OK(pirn_rate_take(&rate, 1, PIRN_NOW));
    while (pirn_rate_try_take(&rate, INT_MAX) != 0) {}
}
END_TEST

struct crowd {
    pirn_rate rate;
    atomic_int taken, waiting;
};

static int take_one(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < 3; i++) {
        int rc = pirn_rate_take(&c->rate, 1, PIRN_NEVER);
        if (rc != 0)
            return rc;
        atomic_fetch_add(&c->taken, 1);
    }
    return 0;
}

static int many(void *arg)
{
    struct crowd c = {.taken = 0};
    pirn_scope *scope;
    int64_t begin = support_now();
    (void)arg;
    CHECK_OK(pirn_rate_init(&c.rate, 2000, 5));
    CHECK_OK(pirn_scope_open(&scope, 0));
    for (int i = 0; i < 20; i++)
        CHECK_OK(pirn_scope_spawn(scope, take_one, &c, PIRN_NEVER));
    CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
    CHECK_EQ(atomic_load(&c.taken), 60);
    CHECK_GE(support_now() - begin, 55 * MS / 2);
    return 0;
}

START_TEST(many_takers)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, many, NULL));
}
END_TEST

static int take_two(void *arg)
{
    struct crowd *c = arg;
    atomic_fetch_add(&c->waiting, 1);
    return pirn_rate_take(&c->rate, 2, PIRN_NEVER);
}

/* Who waits is not overtaken, and takes nothing along when it is cancelled. */
static int leave(void *arg)
{
    struct crowd c = {.taken = 0};
    pirn_task *tasks[2];
    int status;
    (void)arg;
    CHECK_OK(pirn_rate_init(&c.rate, never, 2));
    CHECK_OK(pirn_rate_take(&c.rate, 1, PIRN_NOW));
    for (int i = 0; i < 2; i++) {
        tasks[i] = support_spawn(take_two, &c);
        support_until(&c.waiting, i + 1);
    }
    while (!pirn_mutex_is_locked((pirn_mutex *)(void *)&c.rate)) /* its first member: one waits */
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_EQ(pirn_rate_try_take(&c.rate, 1), -EAGAIN);
    CHECK_EQ(pirn_rate_take(&c.rate, 1, pirn_after_ms(2)), -ETIMEDOUT);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(pirn_cancel(tasks[i], NULL));
        CHECK_OK(pirn_join(tasks[i], &status, PIRN_NEVER));
        CHECK_EQ(status, -ECANCELED);
    }
    CHECK_OK(pirn_rate_try_take(&c.rate, 1));
    CHECK_EQ(pirn_rate_try_take(&c.rate, 1), -EAGAIN);
    return 0;
}

START_TEST(who_leaves_has_taken_nothing)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, leave, NULL));
}
END_TEST

START_TEST(refused)
{
    pirn_rate rate, blank = {{0}};
    CHECK_EQ(pirn_rate_init(NULL, 1, 1), -EINVAL);
    CHECK_EQ(pirn_rate_init(&rate, 0, 1), -EINVAL);
    CHECK_EQ(pirn_rate_init(&rate, NAN, 1), -EINVAL);
    CHECK_EQ(pirn_rate_init(&rate, INFINITY, 1), -EINVAL);
    CHECK_EQ(pirn_rate_init(&rate, 1, 0), -EINVAL);
    CHECK_OK(pirn_rate_init(&rate, 1e300, 1)); /* at once, and no overflow */
    CHECK_OK(pirn_rate_take(&rate, 1, PIRN_NEVER));
    CHECK_OK(pirn_rate_take(&rate, 1, PIRN_NEVER));
    CHECK_OK(pirn_rate_init(&rate, 1e-300, INT_MAX));
    CHECK_OK(pirn_rate_take(&rate, INT_MAX, PIRN_NEVER));
    CHECK_EQ(pirn_rate_take(&rate, 1, pirn_after_ms(1)), -ETIMEDOUT);
    CHECK_EQ(pirn_rate_take(&rate, 0, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_rate_take(NULL, 1, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_rate_take(&blank, 1, PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_rate_init(&rate, 1, 1));
    CHECK_EQ(pirn_rate_take(&rate, 2, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_rate_try_take(&rate, 2), -EINVAL);
    CHECK_OK(pirn_rate_try_take(&rate, 1));
}
END_TEST

SUPPORT_MAIN("rate", a_burst_then_none, they_come_back_as_time_goes_by, looking_takes_nothing,
             many_takers, who_leaves_has_taken_nothing, refused)
