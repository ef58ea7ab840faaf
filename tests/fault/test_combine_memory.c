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

/* ---- A scope's deadline -------------------------------------------------------------------- */

enum {
    TIMERS = 100000 /* more than there is room for without asking for memory */
};

static int asks_why(void *arg)
{
    int rc = pirn_sleep(PIRN_NEVER);
    *(const char **)arg = pirn_cancel_reason();
    return rc;
}

/* There is no memory for the deadline of its close: the children hear that that was it, and not
 * that the time was up. */
static int no_memory_for_a_close(void *arg)
{
    pirn_timer *timers = calloc(TIMERS, sizeof(*timers));
    pirn_scope *scope;
    pirn_task *child;
    const char *reason = NULL;
    int n = 0, rc = 0;
    (void)arg;
    CHECK(timers != NULL);
    for (int i = 0; i < TIMERS; i++)
        CHECK_OK(pirn_timer_init(&timers[i], NULL, returns_one, NULL));
    CHECK_OK(pirn_scope_open(&scope, 0));
    CHECK_OK(pirn_scope_spawn_task(scope, &child, NULL, asks_why, &reason, PIRN_NEVER));
    support_until_waiting(child);
    support_memory_fail(1, TIMERS);
    while (n < TIMERS && (rc = pirn_timer_arm(&timers[n], pirn_after_s(1000))) == 0)
        n++;
    CHECK_EQ(rc, -ENOMEM);
    rc = pirn_scope_close(scope, pirn_after_s(1000));
    support_memory_works();
    CHECK_EQ(rc, -ENOMEM);
    CHECK(reason != NULL && strstr(reason, "memory") != NULL);
    CHECK_OK(pirn_release(child));
    for (int i = 0; i < n; i++)
        CHECK_OK(pirn_timer_cancel(&timers[i]));
    free(timers);
    return 0;
}

/* One worker: the deadlines are its. */
START_TEST(a_close_without_memory)
{
    CHECK_OK(support_run(1, no_memory_for_a_close, NULL));
}
END_TEST

SUPPORT_MAIN("fault/combine_memory", combinations_without_memory, a_close_without_memory)
