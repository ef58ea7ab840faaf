/* serial */
/* Sleeps: never early, in order, on three clocks, cancelled promptly, and soon enough. */
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

/* ---- Everywhere -------------------------------------------------------------------------- */

static void never_early(void)
{
    int64_t spans[] = {-1000 * MS, 0, 1, 1000, 50 * US, MS, 3 * MS, 20 * MS};
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        int64_t begin = support_now();
        CHECK_OK(pirn_sleep(pirn_after_ns(spans[i])));
        CHECK_GE(support_now() - begin, spans[i]);
    }
    CHECK_OK(pirn_sleep(PIRN_NOW));
    CHECK_OK(pirn_sleep((pirn_time){INT64_MIN}));
}

static void clocks(void)
{
    pirn_clock kinds[] = {PIRN_CLOCK_MONOTONIC, PIRN_CLOCK_WALL, PIRN_CLOCK_BOOT};
    clockid_t ids[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
    for (int i = 0; i < 3; i++) {
        struct timespec t;
        clock_gettime(ids[i], &t);
        int64_t low = t.tv_sec * 1000 * MS + t.tv_nsec, now = pirn_clock_now(kinds[i]).ns;
        CHECK_GE(now, low - MS); /* a coarse clock is not allowed to lag far */
        clock_gettime(ids[i], &t);
        CHECK_LE(now, t.tv_sec * 1000 * MS + t.tv_nsec);
        for (int64_t span = -5 * MS; span <= 5 * MS; span += 5 * MS) {
            pirn_time until = {pirn_clock_now(kinds[i]).ns + span};
            CHECK_OK(pirn_sleep_on(kinds[i], until));
            clock_gettime(ids[i], &t);
            CHECK_GE(t.tv_sec * 1000 * MS + t.tv_nsec, until.ns);
        }
    }
    CHECK_EQ(pirn_sleep_on((pirn_clock)77, PIRN_NOW), -EINVAL);
}

static void arithmetic(void)
{
    CHECK_EQ(pirn_after_ns(INT64_MAX).ns, PIRN_NEVER.ns); /* saturates */
    CHECK_EQ(pirn_after_us(INT64_MAX).ns, PIRN_NEVER.ns);
    CHECK_EQ(pirn_after_ms(INT64_MAX / 1000).ns, PIRN_NEVER.ns);
    CHECK_EQ(pirn_after_s(1e300).ns, PIRN_NEVER.ns);
    CHECK_LE(pirn_after_s(-1e300).ns, 0);
    CHECK_LE(pirn_after_ms(INT64_MIN).ns, 0);
    CHECK_EQ(pirn_after(PIRN_FOREVER).ns, PIRN_NEVER.ns);
    CHECK_EQ(pirn_span_us(5).ns, 5 * US);
    CHECK_EQ(pirn_span_ms(5).ns, 5 * MS);
    CHECK_EQ(pirn_span_ms(INT64_MAX).ns, INT64_MAX);
    CHECK_EQ(pirn_span_s(1.5).ns, 1500 * MS);
    CHECK_EQ(pirn_span_s(-1e300).ns, INT64_MIN);
    CHECK_EQ(pirn_span_s(__builtin_nan("")).ns, 0);
    struct {
        int64_t got, ns;
    } now[] = {
        {pirn_after_ns(5).ns, 5},
        {pirn_after_us(5).ns, 5 * US},
        {pirn_after(pirn_span_ms(5)).ns, 5 * MS},
        {pirn_after_ms(-5).ns, -5 * MS},
        {pirn_after_s(1.5).ns, 1500 * MS},
        {pirn_after_s(__builtin_nan("")).ns, 0},
        {pirn_now().ns, 0},
    };
    int64_t after = support_now();
    for (int i = 0; i < 7; i++) {
        CHECK_LE(now[i].got, after + now[i].ns);
        CHECK_GE(now[i].got, after + now[i].ns - 10000 * MS);
    }
}

START_TEST(sleeps_never_early)
{
    support_everywhere(never_early);
}
END_TEST

START_TEST(three_clocks)
{
    support_everywhere(clocks);
}
END_TEST

START_TEST(time_arithmetic)
{
    support_everywhere(arithmetic);
}
END_TEST

/* ---- Order ------------------------------------------------------------------------------- */

struct sleeper {
    pirn_clock clock;
    pirn_time until;
    int rc;
    int64_t woke, lateness;
    pid_t thread; /* on which it woke */
};

static int sleep_until(void *arg)
{
    struct sleeper *s = arg;
    s->rc = pirn_sleep_on(s->clock, s->until);
    s->woke = pirn_clock_now(s->clock).ns;
    s->lateness = s->woke - s->until.ns;
    s->thread = gettid();
    return 0;
}

/* At W = 1 sleepers with deadlines 1 ms apart wake in the order of their deadlines. A worker may
 * lose its core with one of them in hand; then a spare goes on with the next, and of the two
 * nothing can be said. */
static int order(void *arg)
{
    (void)arg;
    enum {
        N = 40
    };
    struct sleeper s[N];
    pirn_task *tasks[N];
    pirn_time base = pirn_after_ms(5);
    for (int i = 0; i < N; i++) {
        int place = i * 17 % N;
        s[place] = (struct sleeper){PIRN_CLOCK_MONOTONIC, {base.ns + place * MS}, -1, 0, 0, 0};
        tasks[place] = support_spawn(sleep_until, &s[place]);
    }
    for (int i = 0; i < N; i++)
        CHECK_OK(support_join(tasks[i]));
    for (int i = 0; i < N; i++) {
        CHECK_OK(s[i].rc);
        CHECK_GE(s[i].lateness, 0);
        for (int k = 0; k < i && !support_slow();
             k++) /* hard mode shuffles what is ready together */
            CHECK(s[k].woke <= s[i].woke || s[k].thread != s[i].thread);
    }
    return 0;
}

START_TEST(ordered)
{
    CHECK_OK(support_run(1, order, NULL));
}
END_TEST

/* ---- Cancelled --------------------------------------------------------------------------- */

static atomic_int asleep;

static int sleep_long(void *arg)
{
    pirn_clock *clock = arg;
    pirn_time hour = {pirn_clock_now(*clock).ns + 3600 * 1000 * MS};
    atomic_fetch_add(&asleep, 1);
    return pirn_sleep_on(*clock, hour);
}

static void cancel_many(int n, pirn_clock clock)
{
    pirn_task **tasks = calloc((size_t)n, sizeof(*tasks));
    CHECK(tasks);
    atomic_store(&asleep, 0);
    for (int i = 0; i < n; i++)
        tasks[i] = support_spawn(sleep_long, &clock);
    support_until(&asleep, n);
    for (int i = 0; i < n; i++) /* from both ends */
        CHECK_OK(pirn_cancel(tasks[i % 2 ? i : n - 2 + n % 2 - i], NULL));
    for (int i = 0; i < n; i++)
        CHECK_EQ(support_join(tasks[i]), -ECANCELED);
    free(tasks);
}

/* 100,000 one-hour sleeps end when cancelled, and leave nothing behind. */
static int long_sleeps(void *arg)
{
    (void)arg;
    int n = support_rounds(100000);
    cancel_many(n, PIRN_CLOCK_MONOTONIC);
    long after_one = support_resident();
    for (int i = 0; i < 3; i++)
        cancel_many(n, PIRN_CLOCK_MONOTONIC);
    if (!support_slow()) /* sanitizers keep freed memory aside */
        CHECK_LE(support_resident(), after_one + after_one / 5 + (8 << 20));
    return 0;
}

START_TEST(long_sleeps_cancelled)
{
    CHECK_OK(support_run(2, long_sleeps, NULL));
}
END_TEST

static int other_clocks(void *arg)
{
    (void)arg;
    cancel_many(500, PIRN_CLOCK_WALL);
    cancel_many(500, PIRN_CLOCK_BOOT);
    return 0;
}

START_TEST(other_clocks_cancelled)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, other_clocks, NULL));
}
END_TEST

/* ---- Many at once, and how late ---------------------------------------------------------- */

static int by_lateness(const void *a, const void *b)
{
    const struct sleeper *x = a, *y = b;
    return (x->lateness > y->lateness) - (x->lateness < y->lateness);
}

static int many(void *arg)
{
    (void)arg;
    int n = support_rounds(20000);
    struct sleeper *s = calloc((size_t)n, sizeof(*s));
    pirn_task **tasks = calloc((size_t)n, sizeof(*tasks));
    CHECK(s && tasks);
    support_control control;
    support_control_begin(&control);
    pirn_clock kinds[] = {PIRN_CLOCK_MONOTONIC, PIRN_CLOCK_MONOTONIC, PIRN_CLOCK_MONOTONIC,
                          PIRN_CLOCK_BOOT};
    for (int i = 0; i < n; i++) {
        s[i].clock = kinds[i % 100 ? 0 : 3];
        s[i].until.ns = pirn_clock_now(s[i].clock).ns + support_between(0, 500 * MS);
        tasks[i] = support_spawn(sleep_until, &s[i]);
    }
    for (int i = 0; i < n; i++) {
        CHECK_OK(support_join(tasks[i]));
        CHECK_OK(s[i].rc);
        CHECK_GE(s[i].lateness, 0);
    }
    qsort(s, (size_t)n, sizeof(*s), by_lateness);
    if (getenv("PIRN_TEST_VERBOSE"))
        fprintf(stderr, "lateness: median %ld us, most %ld us\n", (long)(s[n / 2].lateness / US),
                (long)(s[n - 1].lateness / US));
    if (support_timing()) {
        int64_t late = support_control_late(&control); /* so many queue up behind each other */
        CHECK_LE(s[n / 2].lateness, 2 * MS + late);
        CHECK_LE(s[n - 1].lateness, 300 * MS + late);
    }
    support_control_end(&control);
    free(s);
    free(tasks);
    return 0;
}

START_TEST(many_sleepers)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, many, NULL));
}
END_TEST

/* A lone sleeper on an idle machine. */
static int lone(void *arg)
{
    (void)arg;
    struct sleeper s[200];
    support_control control;
    support_control_begin(&control);
    for (int i = 0; i < 200; i++) {
        s[i] = (struct sleeper){PIRN_CLOCK_MONOTONIC, pirn_after_ms(1), -1, 0, 0, 0};
        sleep_until(&s[i]);
        CHECK_OK(s[i].rc);
        CHECK_GE(s[i].lateness, 0);
    }
    qsort(s, 200, sizeof(s[0]), by_lateness);
    if (support_timing())
        CHECK_LE(s[100].lateness, MS + support_control_worst(&control));
    support_control_end(&control);
    return 0;
}

START_TEST(lone_sleeper)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, lone, NULL));
}
END_TEST

/* ---- A deadline as far in the past as can be --------------------------------------------- */

static void long_past(void)
{
    int pair[2];
    char c;
    support_pair(pair);
    for (int i = 0; i < 4; i++) {
        pirn_time past = i % 2 == 0 ? (pirn_time){INT64_MIN} : pirn_after_s(-(double)INFINITY);
        pirn_future *future;
        CHECK_OK(pirn_future_new(&future));
        CHECK_EQ(pirn_future_await(future, NULL, NULL, past), -ETIMEDOUT);
        CHECK_EQ(pirn_recv(pair[0], &c, 1, 0, past), -ETIMEDOUT);
        CHECK_EQ(pirn_poll(pair[0], 1 /* POLLIN */, past), -ETIMEDOUT);
        CHECK_OK(pirn_release(future));
    }
    CHECK_OK(pirn_close(pair[0]));
    CHECK_OK(pirn_close(pair[1]));
}

static int is_pinned(void *arg)
{
    (void)arg;
    long_past();
    return 0;
}

static int pins(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    (void)arg;
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_spawn_with(&task, &config, is_pinned, NULL));
    return support_join(task);
}

START_TEST(deadline_long_past)
{
    support_everywhere(long_past);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, pins, NULL));
}
END_TEST

SUPPORT_MAIN("timer", sleeps_never_early, three_clocks, time_arithmetic, ordered,
             long_sleeps_cancelled, other_clocks_cancelled, many_sleepers, lone_sleeper,
             deadline_long_past)
