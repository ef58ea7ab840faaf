/*
 * as_completed: the order of the ends, several takers, its deadline.
 */
#include "parts.h"

static pirn_completions *ends_of(pirn_awaitable *const *items, size_t n)
{
    pirn_completions *c = NULL;
    CHECK_OK(pirn_as_completed(&c, items, n));
    return c;
}

/* ---- A77 ------------------------------------------------------------------------------------ */

static void order(void)
{
    enum {
        N = 5
    };
    static const int turn[N] = {3, 0, 4, 1, 2};
    pirn_future *items[N + 1];
    pirn_awaitable *next = NULL;
    for (int i = 0; i < N; i++)
        items[i] = new_future();
    items[N] = items[2];                                /* comes once */
    CHECK_OK(pirn_future_set(items[turn[0]], 0, NULL)); /* one has ended before */
    pirn_completions *c = ends_of(items, N + 1);
    for (int i = 1; i < N; i++)
        CHECK_OK(pirn_future_set(items[turn[i]], i, NULL));
    for (int i = 0; i < N; i++) {
        CHECK_EQ(pirn_completions_next(c, &next, PIRN_NEVER), 1);
        CHECK(next == items[turn[i]]);
        CHECK_EQ(pirn_status(next), i);
    }
    CHECK_EQ(pirn_completions_next(c, &next, PIRN_NEVER), 0);
    CHECK_EQ(pirn_completions_next(c, &next, PIRN_NOW), 0);
    pirn_completions_free(c);
    release_all(items, N);
}

static void none(void)
{
    pirn_awaitable *next, *gap = NULL;
    pirn_completions *c = ends_of(NULL, 0);
    CHECK_EQ(pirn_completions_next(c, &next, PIRN_NEVER), 0);
    CHECK_EQ(pirn_completions_next(c, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_completions_next(NULL, &next, PIRN_NEVER), -EINVAL);
    pirn_completions_free(c);
    pirn_completions_free(NULL);
    CHECK_EQ(pirn_as_completed(&c, &gap, 1), -EINVAL);
    CHECK_EQ(pirn_as_completed(NULL, &gap, 0), -EINVAL);
}

START_TEST(a77_order_of_the_ends)
{
    support_everywhere(order);
    support_everywhere(none);
}
END_TEST

/* Takers in coroutines and on a plain thread share the ends of many tasks; some of them give up now
 * and then, and come back. */
enum {
    ITEMS = 400,
    TAKERS = 4
};

struct shared {
    pirn_completions *c;
    pirn_task *items[ITEMS];
    atomic_int taken[ITEMS];
    atomic_int total;
};

static int take(void *arg)
{
    struct shared *s = arg;
    pirn_awaitable *next;
    int rc;
    while ((rc = pirn_completions_next(s->c, &next, pirn_after_us(support_between(0, 300)))) != 0) {
        if (rc == -ETIMEDOUT || rc == -ECANCELED)
            continue;
        CHECK_EQ(rc, 1);
        CHECK(pirn_done(next));
        atomic_fetch_add(&s->taken[pirn_status(next)], 1);
        atomic_fetch_add(&s->total, 1);
        if (support_random() % 16 == 0)
            pirn_sleep(pirn_after_us(50)); /* it may pause */
    }
    return 0;
}

static void *take_on_thread(void *arg)
{
    take(arg);
    return NULL;
}

static int naps(void *arg)
{
    pirn_sleep(pirn_after_us(support_between(0, 3000)));
    return (int)(intptr_t)arg;
}

static int share(void *arg)
{
    struct shared *s = calloc(1, sizeof(*s));
    pirn_task *takers[TAKERS];
    (void)arg;
    for (int i = 0; i < ITEMS; i++)
        s->items[i] = support_spawn(naps, (void *)(intptr_t)i);
    s->c = ends_of(s->items, ITEMS);
    pthread_t thread = support_thread(take_on_thread, s);
    for (int i = 0; i < TAKERS; i++)
        takers[i] = support_spawn(take, s);
    while (atomic_load(&s->total) < ITEMS / 2)
        pirn_cancel(takers[support_random() % TAKERS], NULL), pirn_sleep(pirn_after_us(100));
    for (int i = 0; i < TAKERS; i++) {
        int status = support_join(takers[i]);
        CHECK(status == 0 || status == -ECANCELED); /* it never began */
    }
    support_thread_join(thread);
    CHECK_EQ(atomic_load(&s->total), ITEMS);
    for (int i = 0; i < ITEMS; i++) {
        CHECK_EQ(atomic_load(&s->taken[i]), 1);
        CHECK_EQ(support_join(s->items[i]), i);
    }
    pirn_completions_free(s->c);
    free(s);
    return 0;
}

START_TEST(a77_takers_share)
{
    for (int i = 0; i < support_rounds(10); i++)
        run_everywhere(share);
}
END_TEST

/* The references to the items are its own: a caller may give up theirs. */
static int keeps(void *arg)
{
    struct part parts[2] = {{.ms = 2, .status = 4}, {.ms = 1, .status = 4}};
    pirn_awaitable *items[2] = {start_part(&parts[0]), start_part(&parts[1])}, *next;
    (void)arg;
    pirn_completions *c = ends_of(items, 2);
    release_all(items, 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pirn_completions_next(c, &next, PIRN_NEVER), 1);
        CHECK_EQ(pirn_status(next), 4);
    }
    pirn_completions_free(c);
    items[0] = new_future();
    c = ends_of(items, 1); /* left early */
    pirn_completions_free(c);
    CHECK_OK(pirn_future_set(items[0], 0, NULL));
    release_all(items, 1);
    return 0;
}

START_TEST(a77_references)
{
    run_everywhere(keeps);
}
END_TEST

/* ---- A78 ------------------------------------------------------------------------------------ */

static int too_late(void *arg)
{
    pirn_future *gate = new_future();
    struct part parts[2] = {{.ms = 1, .status = 1}, {.gate = gate, .status = 2}};
    pirn_task *tasks[2] = {start_part(&parts[0]), start_part(&parts[1])};
    pirn_awaitable *next;
    (void)arg;
    pirn_completions *c = ends_of(tasks, 2);
    int rc = pirn_completions_next(c, &next, PIRN_NEVER);
    CHECK_EQ(rc, 1);
    CHECK(next == tasks[0]);
    pirn_time deadline = pirn_after_ms(5);
    CHECK_EQ(pirn_completions_next(c, &next, deadline), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, deadline.ns);
    CHECK_EQ(pirn_completions_next(c, &next, deadline), -ETIMEDOUT);
    CHECK_OK(pirn_future_set(gate, 0, NULL));
    CHECK_EQ(pirn_completions_next(c, &next, PIRN_NEVER), 1); /* and it can be gone on with */
    CHECK(next == tasks[1]);
    CHECK_EQ(pirn_completions_next(c, &next, PIRN_NEVER), 0);
    pirn_completions_free(c);
    CHECK_EQ(support_join(tasks[0]), 1);
    CHECK_EQ(support_join(tasks[1]), 2); /* nothing was cancelled */
    CHECK_OK(pirn_release(gate));
    return 0;
}

START_TEST(a78_deadline)
{
    run_everywhere(too_late);
}
END_TEST

/* Several take from one iterator: the last that ends sends them all home. */
static int takes_one(void *arg)
{
    pirn_awaitable *item;
    return pirn_completions_next(arg, &item, pirn_after_s(1000));
}

static int all_hear_the_end(void *arg)
{
    pirn_completions *ends;
    pirn_future *future;
    pirn_task *tasks[3];
    int got = 0;
    (void)arg;
    CHECK_OK(pirn_future_new(&future));
    CHECK_OK(pirn_as_completed(&ends, &future, 1));
    for (int i = 0; i < 3; i++) {
        tasks[i] = support_spawn(takes_one, ends);
        support_until_waiting(tasks[i]);
    }
    CHECK_OK(pirn_future_set(future, 0, NULL));
    for (int i = 0; i < 3; i++) {
        int rc = support_join(tasks[i]);
        CHECK(rc == 0 || rc == 1);
        got += rc;
    }
    CHECK_EQ(got, 1);
    pirn_completions_free(ends);
    pirn_release(future);
    return 0;
}

START_TEST(a77_all_hear_the_end)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, all_hear_the_end, NULL));
}
END_TEST

SUPPORT_MAIN("asyncio/completions", a77_order_of_the_ends, a77_takers_share, a77_references,
             a78_deadline, a77_all_hear_the_end)
