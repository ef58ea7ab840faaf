/* pirn_parallel_for: each index once, the first failure, cancel, nesting. */
#include "tests/support.h"

struct range {
    size_t begin, end, bad;
    atomic_int *seen; /* one for each index from begin */
    atomic_int calls;
};

static int mark(size_t i, void *arg)
{
    struct range *r = arg;
    CHECK(i >= r->begin && i < r->end);
    atomic_fetch_add(&r->seen[i - r->begin], 1);
    atomic_fetch_add(&r->calls, 1);
    if (i % 64 == 0 && pirn_yield() < 0) /* it is a coroutine, cancelled when another fails */
        return -ECANCELED;
    return i == r->bad ? -EIO : (int)(i % 3); /* a value is no failure */
}

static int cover(void *arg)
{
    (void)arg;
    size_t sizes[] = {0, 1, 2, 3, 7, 64, 1000, 10007};
    size_t begins[] = {0, 1, 1000000007, SIZE_MAX - 20000};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (size_t b = 0; b < sizeof(begins) / sizeof(begins[0]); b++) {
            struct range r = {.begin = begins[b], .end = begins[b] + sizes[s], .bad = SIZE_MAX};
            r.seen = calloc(sizes[s] + 1, sizeof(*r.seen));
            CHECK(r.seen);
            CHECK_OK(pirn_parallel_for(r.begin, r.end, mark, &r));
            for (size_t i = 0; i < sizes[s]; i++)
                CHECK_EQ(atomic_load(&r.seen[i]), 1);
            free(r.seen);
        }
    }
    return 0;
}

START_TEST(each_index_once)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cover, NULL));
}
END_TEST

static int fail_at(void *arg)
{
    (void)arg;
    enum {
        N = 1000
    };
    for (size_t bad = 0; bad < N; bad += 37) {
        struct range r = {.end = N, .bad = bad, .seen = calloc(N, sizeof(*r.seen))};
        CHECK(r.seen);
        CHECK_EQ(pirn_parallel_for(0, N, mark, &r), -EIO);
        int calls = atomic_load(&r.calls);
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
        CHECK_EQ(atomic_load(&r.calls), calls); /* all were done when it returned */
        CHECK_EQ(atomic_load(&r.seen[bad]), 1);
        for (size_t i = 0; i < N; i++)
            CHECK_LE(atomic_load(&r.seen[i]), 1);
        free(r.seen);
    }
    return 0;
}

START_TEST(failure_is_reported)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, fail_at, NULL));
}
END_TEST

static int inner(size_t i, void *arg)
{
    (void)i;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static int outer(size_t i, void *arg)
{
    return pirn_parallel_for(0, i, inner, arg);
}

static int nest(void *arg)
{
    (void)arg;
    atomic_int calls = 0;
    CHECK_OK(pirn_parallel_for(0, 100, outer, &calls));
    CHECK_EQ(atomic_load(&calls), 99 * 100 / 2);
    return 0;
}

START_TEST(nested)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, nest, NULL));
}
END_TEST

/* Every worker takes part: W calls are inside at once. */
struct meeting {
    atomic_int inside;
    int wanted;
};

static int meet(size_t i, void *arg)
{
    struct meeting *m = arg;
    (void)i;
    atomic_fetch_add(&m->inside, 1);
    support_until(&m->inside, m->wanted);
    return 0;
}

static int spread(void *arg)
{
    struct meeting m = {.wanted = *(int *)arg};
    CHECK_OK(pirn_parallel_for(0, 64, meet, &m));
    return 0;
}

START_TEST(spread_over_workers)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, spread, &w));
}
END_TEST

static int wait_inside(size_t i, void *arg)
{
    (void)i;
    atomic_fetch_add((atomic_int *)arg, 1);
    return pirn_sleep(PIRN_NEVER);
}

static int cancelled_loop(void *arg)
{
    return pirn_parallel_for(0, 10, wait_inside, arg);
}

static int cancel(void *arg)
{
    (void)arg;
    atomic_int began = 0;
    pirn_task *task = support_spawn(cancelled_loop, &began);
    support_until(&began, 1);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    return 0;
}

START_TEST(cancelled)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancel, NULL));
}
END_TEST

/* A call that was cancelled by itself: not all have been made, and the caller is told. */
static int cancel_at_ten(size_t i, void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return i == 10 ? -ECANCELED : 0;
}

static int cancelled_within(void *arg)
{
    (void)arg;
    atomic_int calls = 0;
    CHECK_EQ(pirn_parallel_for(0, 1000000, cancel_at_ten, &calls), -ECANCELED);
    CHECK_LE(atomic_load(&calls), 999999);
    CHECK_EQ(pirn_cancelling(NULL), 0); /* the caller was not */
    CHECK_OK(pirn_yield());
    return 0;
}

START_TEST(a_call_is_cancelled)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancelled_within, NULL));
}
END_TEST

static int misuse(void *arg)
{
    (void)arg;
    CHECK_EQ(pirn_parallel_for(0, 10, NULL, NULL), -EINVAL);
    return 0;
}

/* ---- What a call defers ------------------------------------------------------------------ */

static void unlock(void *arg, int status)
{
    CHECK_EQ(status, 0);
    CHECK_OK(pirn_mutex_unlock(arg));
}

static int lock_and_defer(size_t i, void *arg)
{
    (void)i;
    CHECK_OK(pirn_mutex_lock(arg, PIRN_NEVER)); /* nor has the call before still got it */
    return pirn_defer(unlock, arg);
}

static int defers(void *arg)
{
    pirn_mutex mutex = PIRN_MUTEX_INIT;
    (void)arg;
    return pirn_parallel_for(0, 1000, lock_and_defer, &mutex);
}

START_TEST(what_a_call_defers_runs_after_it)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, defers, NULL));
}
END_TEST

START_TEST(misused)
{
    atomic_int calls = 0;
    CHECK_OK(support_run(2, misuse, NULL));
    CHECK_EQ(pirn_parallel_for(0, 10, inner, &calls), -EPERM);
    CHECK_EQ(atomic_load(&calls), 0);
}
END_TEST

SUPPORT_MAIN("parallel_for", what_a_call_defers_runs_after_it, each_index_once, failure_is_reported,
             nested, spread_over_workers, cancelled, a_call_is_cancelled, misused)
