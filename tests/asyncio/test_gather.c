/*
 * gather: one awaitable of many.
 */
#include "parts.h"

static pirn_awaitable *gather(pirn_awaitable *const *items, size_t n, unsigned flags)
{
    pirn_awaitable *g = NULL;
    CHECK_OK(pirn_gather(&g, items, n, flags));
    return g;
}

/* ---- A71, A73 -------------------------------------------------------------------------------- */

static int returns_value(void *arg)
{
    CHECK_OK(pirn_sleep(pirn_after_us(support_between(0, 2000))));
    CHECK_OK(pirn_set_value(arg, NULL));
    return 3;
}

static int argument_order(void *arg)
{
    enum {
        N = 20
    };
    static char marks[N];
    pirn_task *tasks[N];
    int status;
    (void)arg;
    for (int i = 0; i < N; i++)
        tasks[i] = support_spawn(returns_value, &marks[i]);
    pirn_awaitable *g = gather(tasks, N, 0);
    release_all(tasks, N); /* it has references of its own */
    CHECK_EQ(pirn_kind_of(g), PIRN_KIND_COMBINED);
    CHECK_EQ(pirn_gather_count(g), N);
    CHECK_OK(pirn_await(g, &status, PIRN_NEVER));
    CHECK_EQ(status, 0);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(pirn_status(pirn_gather_item(g, (size_t)i)), 3);
        CHECK(pirn_value(pirn_gather_item(g, (size_t)i)) == &marks[i]);
    }
    CHECK(pirn_gather_item(g, N) == NULL);
    CHECK_OK(pirn_release(g));
    return 0;
}

START_TEST(a71_argument_order)
{
    run_everywhere(argument_order);
}
END_TEST

static int first_failure(void *arg)
{
    struct part parts[3] = {{.ms = 30, .status = 1}, {.ms = 1, .status = -EIO}, {.ms = 30}};
    pirn_task *tasks[3];
    int status;
    (void)arg;
    for (int i = 0; i < 3; i++)
        tasks[i] = start_part(&parts[i]);
    pirn_awaitable *g = gather(tasks, 3, 0);
    CHECK_OK(pirn_join(g, &status, PIRN_NEVER));
    CHECK_EQ(status, -EIO);
    CHECK_EQ(support_join(tasks[0]), 1); /* they go on */
    CHECK_EQ(support_join(tasks[1]), -EIO);
    CHECK_EQ(support_join(tasks[2]), 0);
    return 0;
}

START_TEST(a71_first_failure_ends_it)
{
    run_everywhere(first_failure);
}
END_TEST

static int collect(void *arg)
{
    struct part parts[3] = {{.ms = 4, .status = 1}, {.ms = 1, .status = -EIO}, {.ms = FOR_EVER}};
    pirn_task *tasks[3];
    int status;
    (void)arg;
    for (int i = 0; i < 3; i++)
        tasks[i] = start_part(&parts[i]);
    pirn_awaitable *g = gather(tasks, 3, PIRN_COLLECT);
    CHECK_EQ(pirn_await(g, NULL, pirn_after_ms(8)), -ETIMEDOUT);
    CHECK_OK(pirn_cancel(tasks[2], NULL));
    CHECK_OK(pirn_await(g, &status, PIRN_NEVER));
    CHECK_EQ(status, 0);
    CHECK_EQ(pirn_status(tasks[0]), 1);
    CHECK_EQ(pirn_status(tasks[1]), -EIO);
    CHECK_EQ(pirn_status(tasks[2]), -ECANCELED);
    CHECK_OK(pirn_release(g));
    release_all(tasks, 3);
    return 0;
}

START_TEST(a73_collect)
{
    run_everywhere(collect);
}
END_TEST

/* ---- A69 ------------------------------------------------------------------------------------- */

static void input(void)
{
    pirn_future *f = new_future();
    pirn_awaitable *gap[] = {f, NULL}, *twice[] = {f, f}, *g = NULL;
    CHECK_EQ(pirn_gather(NULL, twice, 2, 0), -EINVAL);
    CHECK_EQ(pirn_gather(&g, gap, 2, 0), -EINVAL);
    CHECK_EQ(pirn_gather(&g, NULL, 1, 0), -EINVAL);
    CHECK_EQ(pirn_gather(&g, twice, 2, 8), -EINVAL);
    g = gather(NULL, 0, 0);
    CHECK(pirn_done(g));
    CHECK_EQ(pirn_status(g), 0);
    CHECK_EQ(pirn_gather_count(g), 0);
    CHECK_EQ(pirn_future_set(g, 0, NULL), -EPERM);
    CHECK_EQ(pirn_cancel(g, NULL), -EALREADY);
    CHECK_OK(pirn_release(g));
    g = gather(twice, 2, 0);
    CHECK(!pirn_done(g));
    CHECK_OK(pirn_future_set(f, 7, NULL));
    CHECK_OK(pirn_await(g, NULL, PIRN_NEVER));
    CHECK_EQ(pirn_status(pirn_gather_item(g, 0)), 7); /* repeated, by position */
    CHECK_EQ(pirn_status(pirn_gather_item(g, 1)), 7);
    CHECK_EQ(pirn_gather_count(f), 0); /* no gather */
    CHECK_OK(pirn_release(g));
    CHECK_OK(pirn_release(f));
}

START_TEST(a69_input)
{
    support_everywhere(input);
}
END_TEST

/* ---- A74, A76 -------------------------------------------------------------------------------- */

static int one_is_cancelled(void *arg)
{
    struct part parts[2] = {{.ms = 10, .status = 1}, {.ms = FOR_EVER}};
    pirn_task *tasks[2] = {start_part(&parts[0]), start_part(&parts[1])};
    int status;
    (void)arg;
    pirn_awaitable *g = gather(tasks, 2, 0);
    CHECK_OK(pirn_cancel(tasks[1], NULL));
    CHECK_OK(pirn_await(g, &status, PIRN_NEVER));
    CHECK_EQ(status, -ECANCELED);
    CHECK(pirn_reason(g) == NULL); /* but was not cancelled itself */
    CHECK_EQ(pirn_cancelling(NULL), 0);
    CHECK_EQ(support_join(tasks[0]), 1);
    CHECK_EQ(support_join(tasks[1]), -ECANCELED);
    CHECK_OK(pirn_release(g));
    return 0;
}

START_TEST(a74_one_is_cancelled)
{
    run_everywhere(one_is_cancelled);
}
END_TEST

/* How the outermost of nested gathers is cancelled. */
enum how {
    BY_HANDLE,
    BY_AWAITER
};

static int awaits(void *arg)
{
    int status = 0, rc = pirn_await(arg, &status, PIRN_NEVER);
    return rc != 0 ? rc : status;
}

static int nested(void *arg)
{
    struct part parts[4] = {{.ms = FOR_EVER}, {.ms = FOR_EVER}, {.ms = FOR_EVER}, {.ms = FOR_EVER}};
    pirn_task *tasks[4];
    pirn_awaitable *pairs[2];
    for (int i = 0; i < 4; i++)
        tasks[i] = start_part(&parts[i]);
    pairs[0] = gather(&tasks[0], 2, 0);
    pairs[1] = gather(&tasks[2], 2, 0);
    pirn_awaitable *g = gather(pairs, 2, 0);
    if (*(enum how *)arg == BY_HANDLE) {
        CHECK_OK(pirn_cancel(g, "enough"));
        CHECK_EQ(strcmp(pirn_reason(tasks[3]), "enough"), 0);
    } else {
        pirn_task *awaiter = support_spawn(awaits, g);
        support_until_waiting(awaiter);
        CHECK_OK(pirn_cancel(awaiter, NULL));
        CHECK_EQ(support_join(awaiter), -ECANCELED);
    }
    int status;
    CHECK_OK(pirn_await(g, &status, PIRN_NEVER));
    CHECK_EQ(status, -ECANCELED);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(support_join(tasks[i]), -ECANCELED); /* each leaf */
    release_all(pairs, 2);
    CHECK_OK(pirn_release(g));
    return 0;
}

static int nested_results(void *arg)
{
    struct part parts[2] = {{.ms = 1, .status = 1}, {.ms = 2, .status = 2}};
    pirn_task *tasks[2] = {start_part(&parts[0]), start_part(&parts[1])};
    (void)arg;
    pirn_awaitable *inner[2] = {gather(tasks, 2, 0), set_future(9)};
    pirn_awaitable *g = gather(inner, 2, 0);
    release_all(tasks, 2);
    release_all(inner, 2);
    CHECK_OK(pirn_await(g, NULL, PIRN_NEVER));
    CHECK_EQ(pirn_status(pirn_gather_item(pirn_gather_item(g, 0), 1)), 2);
    CHECK_EQ(pirn_status(pirn_gather_item(g, 1)), 9);
    CHECK_OK(pirn_release(g));
    return 0;
}

START_TEST(a76_nested)
{
    FOR_WORKERS(w)
    for (enum how how = BY_HANDLE; how <= BY_AWAITER; how++)
        CHECK_OK(support_run(w, nested, &how));
    run_everywhere(nested_results);
}
END_TEST

/* A gather of gathers, a thousand deep, settles without a deep stack. */
static void deep(void)
{
    enum {
        DEPTH = 1000
    };
    pirn_future *f = new_future();
    pirn_awaitable *top = pirn_retain(f);
    for (int i = 0; i < DEPTH; i++) {
        pirn_awaitable *g = gather(&top, 1, 0);
        CHECK_OK(pirn_release(top));
        top = g;
    }
    CHECK_OK(pirn_future_set(f, 0, NULL));
    CHECK_OK(pirn_await(top, NULL, PIRN_NEVER));
    CHECK_OK(pirn_release(top));
    CHECK_OK(pirn_release(f));
}

START_TEST(a76_deep)
{
    support_everywhere(deep);
}
END_TEST

/* The parts end on all workers while somebody cancels the whole: it ends once, one way or the
 * other. */
struct contest {
    support_barrier *barrier;
    pirn_awaitable *g;
    pirn_future *parts[3];
    atomic_int set;
};

static int sets_parts(void *arg)
{
    struct contest *c = arg;
    support_meet(c->barrier);
    for (int i = 0; i < 3; i++)
        pirn_future_set(c->parts[i], i, NULL); /* or it has been cancelled */
    atomic_store(&c->set, 1);
    return 0;
}

static int contest(void *arg)
{
    int rounds = support_rounds(3400), cancelled = 0, whole = 0, status;
    support_barrier barrier = {.n = 2};
    (void)arg;
    for (int i = 0; i < rounds; i++) {
        struct contest c = {.barrier = &barrier};
        for (int k = 0; k < 3; k++)
            c.parts[k] = new_future();
        c.g = gather(c.parts, 3, 0);
        pirn_task *setter = support_spawn(sets_parts, &c);
        int rc = i % 8 == 0 ? pirn_cancel(c.g, NULL) : 0; /* each outcome, on any machine */
        support_meet(&barrier);
        if (i % 8 == 1)
            support_until(&c.set, 1);
        if (i % 8 != 0)
            rc = pirn_cancel(c.g, NULL);
        CHECK_OK(support_join(setter));
        CHECK_OK(pirn_await(c.g, &status, PIRN_NEVER));
        CHECK(status == 0 || status == -ECANCELED);
        cancelled += status == -ECANCELED;
        whole += status == 0;
        if (rc == -EALREADY)
            CHECK_EQ(status, 0);
        CHECK_OK(pirn_release(c.g));
        release_all(c.parts, 3);
    }
    CHECK_GE(cancelled, rounds / 100);
    CHECK_GE(whole, rounds / 100);
    return 0;
}

START_TEST(a76_cancel_meets_the_ends)
{
    for (int w = 2; w <= 4; w *= 2) /* the two sides spin until both are there */
        CHECK_OK(support_run(w, contest, NULL));
}
END_TEST

/* ---- A71: the caller's references go with the call --------------------------------------- */

static atomic_int dropped, ran;

static void count_drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static int count_run(void *arg)
{
    atomic_fetch_add(&ran, 1);
    return (int)(intptr_t)arg;
}

static pirn_task *unstarted(int status)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    config.arg_drop = count_drop;
    CHECK_OK(pirn_coroutine_new(&task, &config, count_run, (void *)(intptr_t)status));
    return task;
}

static int takes(void *arg)
{
    struct part part = {.status = 3};
    pirn_awaitable *g, *items[4];
    int status;
    (void)arg;
    atomic_store(&dropped, 0);
    atomic_store(&ran, 0);
    for (int i = 0; i < 4; i++)
        items[i] = unstarted(i);
    CHECK_OK(pirn_gather(&g, items, 4, PIRN_TAKE));
    CHECK_OK(pirn_await(g, &status, PIRN_NEVER));
    CHECK_OK(status);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pirn_status(pirn_gather_item(g, (size_t)i)), i);
    CHECK_OK(pirn_release(g));
    support_until(&dropped, 4);
    CHECK_EQ(atomic_load(&ran), 4);

    items[0] = unstarted(0); /* it fails: they never begin, and are gone */
    items[1] = NULL;
    items[2] = unstarted(0);
    items[3] = unstarted(0);
    CHECK_EQ(pirn_gather(&g, items, 4, PIRN_TAKE | PIRN_COLLECT), -EINVAL);
    support_until(&dropped, 7);
    items[0] = unstarted(0);
    items[1] = pirn_retain(pirn_current());
    items[2] = set_future(5);
    items[3] = start_part(&part); /* it runs: it goes on */
    CHECK_EQ(pirn_gather(&g, items, 4, PIRN_TAKE), -EDEADLK);
    support_until(&dropped, 8);
    CHECK_EQ(atomic_load(&ran), 4);
    support_until(&part.ended, 1);
    items[0] = unstarted(0);
    CHECK_EQ(pirn_gather(&g, items, 1, PIRN_TAKE | 1u << 7), -EINVAL); /* no such flag */
    support_until(&dropped, 9);
    CHECK_EQ(atomic_load(&ran), 4);
    return 0;
}

START_TEST(a71_takes_references)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, takes, NULL));
}
END_TEST

SUPPORT_MAIN("asyncio/gather", a69_input, a71_argument_order, a71_first_failure_ends_it,
             a73_collect, a74_one_is_cancelled, a76_nested, a76_deep, a76_cancel_meets_the_ends,
             a71_takes_references)
