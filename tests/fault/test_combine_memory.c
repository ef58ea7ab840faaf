/*
 * Combinations when memory runs out: each allocation of a call fails in turn. Then the call says
 * -ENOMEM, what it had begun is undone, and the next one works.
 */
#include "tests/asyncio/parts.h"
#include "tests/support/memory.h"

enum {
    ITEMS = 20,
    NONE = 1000000000
};

static int fails_at; /* the allocation that is to fail */

static void begin_failing(int nth)
{
    fails_at = nth;
    support_memory_fail(nth, 0);
}

struct inputs {
    pirn_future *futures[ITEMS];
    pirn_task *task;
};

static int returns_one(void *arg)
{
    (void)arg;
    return 1;
}

static int counts(size_t i, void *arg)
{
    (void)i;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static int gathers(struct inputs *in)
{
    pirn_awaitable *g = NULL;
    int rc = pirn_gather(&g, in->futures, ITEMS, 0);
    if (rc == 0)
        CHECK_OK(pirn_release(g));
    return rc;
}

static int shields(struct inputs *in)
{
    pirn_awaitable *s = NULL;
    int rc = pirn_shield(&s, in->futures[0]);
    if (rc == 0)
        CHECK_OK(pirn_release(s));
    return rc;
}

static int waits(struct inputs *in)
{
    return pirn_wait(in->futures, ITEMS, PIRN_FIRST_COMPLETED, NULL, NULL, PIRN_NOW);
}

static int takes(struct inputs *in)
{
    pirn_completions *c;
    int rc = pirn_as_completed(&c, in->futures, ITEMS);
    if (rc == 0)
        pirn_completions_free(c);
    return rc;
}

static int times_out(struct inputs *in)
{
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    (void)in;
    int rc = pirn_timeout_enter(&t, pirn_after_s(100));
    return rc == 0 ? pirn_timeout_leave(&t, 0) : rc;
}

static int races(struct inputs *in)
{
    pirn_call calls[ITEMS];
    pirn_task *task = NULL;
    (void)in;
    for (int i = 0; i < ITEMS; i++)
        calls[i] = (pirn_call){returns_one, NULL};
    int rc = pirn_race(calls, ITEMS, NULL, &task, NULL, PIRN_NEVER);
    if (rc == 0)
        CHECK_OK(pirn_release(task));
    return rc;
}

static int maps(struct inputs *in)
{
    atomic_int calls = 0;
    (void)in;
    int rc = pirn_map(ITEMS, 7, counts, &calls, NULL, PIRN_NEVER);
    CHECK(rc != 0 || atomic_load(&calls) == ITEMS);
    return rc;
}

static int waits_for(struct inputs *in)
{
    int rc = pirn_wait_for(in->task, NULL, PIRN_NOW);
    return rc == -ETIMEDOUT || rc == 0 ? 0 : rc;
}

/* Of a gather of many: it cannot fail. */
static int cancels(struct inputs *in)
{
    pirn_future *futures[ITEMS];
    pirn_awaitable *g = NULL;
    (void)in;
    support_memory_works();
    for (int i = 0; i < ITEMS; i++)
        futures[i] = new_future();
    CHECK_OK(pirn_gather(&g, futures, ITEMS, PIRN_COLLECT));
    support_memory_fail(fails_at, 0);
    CHECK_OK(pirn_cancel(g, NULL));
    support_memory_works();
    CHECK_EQ(pirn_status(g), -ECANCELED);
    for (int i = 0; i < ITEMS; i++)
        CHECK_EQ(pirn_status(futures[i]), -ECANCELED);
    release_all(futures, ITEMS);
    CHECK_OK(pirn_release(g));
    return 0;
}

static int short_of_memory(void *arg)
{
    static int (*const calls[])(struct inputs *) = {gathers, shields, waits,     takes,  times_out,
                                                    races,   maps,    waits_for, cancels};
    struct inputs in;
    struct part p = {.ms = 0, .status = 1};
    (void)arg;
    for (int i = 0; i < ITEMS; i++)
        in.futures[i] = new_future();
    in.task = start_part(&p);
    for (size_t k = 0; k < sizeof(calls) / sizeof(calls[0]); k++) {
        int seen = 0, nth = 1, failed;
        do {
            begin_failing(nth++);
            int rc = calls[k](&in);
            failed = support_memory_works();
            CHECK(rc == 0 || (rc == -ENOMEM && failed > 0));
            begin_failing(NONE);
            CHECK_OK(calls[k](&in)); /* and now it works */
            seen += failed;
        } while (failed > 0);
        CHECK(seen > 0 || calls[k] == waits_for || calls[k] == times_out);
    }
    int status;
    CHECK_OK(pirn_join(in.task, &status, PIRN_NEVER));
    for (int i = 0; i < ITEMS; i++) /* gathers that were released wait for them still */
        CHECK_OK(pirn_future_set(in.futures[i], 0, NULL));
    release_all(in.futures, ITEMS);
    return 0;
}

START_TEST(combinations_without_memory)
{
    run_everywhere(short_of_memory);
}
END_TEST

SUPPORT_MAIN("fault/combine_memory", combinations_without_memory)
