/*
 * Generators among themselves, and with plain threads, other workers and other tasks.
 */
#include "tests/support.h"

/* ---- S166: two bodies that take turns -------------------------------------------------------- */

static char turns[16];

struct turn {
    char letter;
    pirn_generator *other;
};

static int take_turns(pirn_generator *g, void *arg)
{
    struct turn *t = arg;
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(turns);
        turns[n] = t->letter;
        if (t->other != NULL)
            CHECK_EQ(pirn_generator_next(t->other, NULL, PIRN_NEVER), 1);
        int rc = pirn_generator_yield(g, NULL);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int switch_by_hand(void *arg)
{
    (void)arg;
    struct turn a = {'A', NULL}, b = {'B', NULL};
    pirn_generator *ga, *gb;
    memset(turns, 0, sizeof(turns));
    CHECK_OK(pirn_generator_new(&ga, 0, take_turns, &a));
    CHECK_OK(pirn_generator_new(&gb, 0, take_turns, &b));
    b.other = ga; /* a generator that pulls from another */
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pirn_generator_next(gb, NULL, PIRN_NEVER), 1);
    CHECK(strcmp(turns, "BABABA") == 0);
    CHECK_EQ(pirn_generator_next(gb, NULL, PIRN_NEVER), 0);
    CHECK_OK(pirn_generator_close(gb));
    CHECK_OK(pirn_generator_close(ga));
    return 0;
}

START_TEST(s166_two_bodies_take_turns)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, switch_by_hand, NULL));
}
END_TEST

/* ---- Nested: each closes the one it pulls from ----------------------------------------------- */

struct layer {
    int depth;
    atomic_int *alive;
};

static void close_inner(void *arg, int status)
{
    (void)status;
    CHECK_OK(pirn_generator_close(arg));
}

static void leave(void *arg, int status)
{
    (void)status;
    atomic_fetch_sub((atomic_int *)arg, 1);
}

static int layers(pirn_generator *g, void *arg)
{
    struct layer *mine = arg, below = {mine->depth - 1, mine->alive};
    pirn_generator *inner;
    int value = 0, rc = 0;
    atomic_fetch_add(mine->alive, 1);
    pirn_defer_mark mark = pirn_defer_begin();
    CHECK_OK(pirn_defer(leave, mine->alive));
    if (mine->depth > 0) {
        CHECK_OK(pirn_generator_new(&inner, sizeof(int), layers, &below));
        CHECK_OK(pirn_defer(close_inner, inner));
    }
    while (rc == 0 && value < 100) {
        if (mine->depth > 0) {
            rc = pirn_generator_next(inner, &value, PIRN_NEVER);
            rc = rc == 1 ? 0 : rc;
        }
        value++;
        if (rc == 0)
            rc = pirn_generator_yield(g, &value);
    }
    return pirn_defer_end(mark, rc); /* while `below` still lives */
}

static int nest(void *arg)
{
    (void)arg;
    enum {
        DEPTH = 20
    };
    for (int pulls = 0; pulls <= 3; pulls++) {
        atomic_int alive = 0;
        struct layer top = {DEPTH, &alive};
        pirn_generator *g;
        int value = 0;
        CHECK_OK(pirn_generator_new(&g, sizeof(int), layers, &top));
        for (int i = 1; i <= pulls; i++) {
            CHECK_EQ(pirn_generator_next(g, &value, PIRN_NEVER), 1);
            CHECK_EQ(value, DEPTH + i);
            CHECK_EQ(atomic_load(&alive), DEPTH + 1);
        }
        if (pulls == 3) { /* in the midst of a pull, most likely */
            int rc = pirn_generator_next(g, &value, PIRN_NOW);
            CHECK(rc == 1 || rc == -ETIMEDOUT);
        }
        CHECK_OK(pirn_generator_close(g));
        CHECK_EQ(atomic_load(&alive), 0);
    }
    return 0;
}

START_TEST(a174_nested_ones_close_inwards)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, nest, NULL));
}
END_TEST

/* ---- S161: consumers on plain threads -------------------------------------------------------- */

static int naturals(pirn_generator *g, void *arg)
{
    int rc = 0;
    for (uint64_t i = 0; rc == 0; i++) {
        uint64_t both[2] = {i, i * i};
        if (arg != NULL && i % 16 == 0)
            rc = pirn_sleep(pirn_after_us(10));
        if (rc == 0)
            rc = pirn_generator_yield(g, both);
    }
    return rc;
}

struct outside {
    pirn_runtime *runtime;
    atomic_int over;
};

static void *consume_outside(void *arg)
{
    struct outside *o = arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.runtime = o->runtime;
    config.name = "numbers";
    config.stack_size = 16 << 10;
    pirn_generator *g;
    CHECK_EQ(pirn_generator_new(&g, 16, naturals, o), -EPERM);
    CHECK_OK(pirn_generator_new_with(&g, &config, 2 * sizeof(uint64_t), naturals, o));
    for (uint64_t i = 0; i < (uint64_t)support_rounds(2000);) {
        uint64_t both[2];
        int rc = pirn_generator_next(g, both, pirn_after_us(support_between(1, 300)));
        CHECK(rc == 1 || rc == -ETIMEDOUT);
        if (rc != 1)
            continue;
        CHECK(both[0] == i && both[1] == i * i);
        i++;
    }
    CHECK_EQ(pirn_generator_yield(g, "x"), -EPERM);
    CHECK_OK(pirn_generator_close(g));
    atomic_fetch_add(&o->over, 1);
    return NULL;
}

static int serve_threads(void *arg)
{
    (void)arg;
    struct outside o = {pirn_runtime_current(), 0};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = support_thread(consume_outside, &o);
    support_until(&o.over, 3);
    for (int i = 0; i < 3; i++)
        support_thread_join(threads[i]);
    return 0;
}

START_TEST(a174_s161_plain_threads_pull)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, serve_threads, NULL));
    support_no_more_than(before);
}
END_TEST

/* ---- One generator, many consumers: each value to one of them -------------------------------- */

struct share {
    pirn_generator *g;
    uint64_t taken;
    int busy;
};

static int take_share(void *arg)
{
    struct share *s = arg;
    for (int i = 0; i < support_rounds(3000);) {
        uint64_t both[2];
        int rc = pirn_generator_next(s->g, both, PIRN_NEVER);
        CHECK(rc == 1 || rc == -EBUSY);
        s->busy += rc == -EBUSY;
        s->taken += rc == 1 ? both[0] : 0;
        i += rc == 1;
        if (rc != 1)
            CHECK_OK(pirn_yield());
    }
    return 0;
}

static int share_out(void *arg)
{
    int *busy = arg;
    enum {
        SHARES = 4
    };
    struct share shares[SHARES] = {0};
    pirn_task *tasks[SHARES];
    pirn_generator *g;
    uint64_t n = SHARES * (uint64_t)support_rounds(3000), sum = 0;
    CHECK_OK(pirn_generator_new(&g, 2 * sizeof(uint64_t), naturals, shares)); /* it sleeps, too */
    for (int i = 0; i < SHARES; i++) {
        shares[i].g = g;
        tasks[i] = support_spawn(take_share, &shares[i]);
    }
    for (int i = 0; i < SHARES; i++) {
        CHECK_OK(support_join(tasks[i]));
        sum += shares[i].taken;
        *busy += shares[i].busy;
    }
    CHECK(sum == n * (n - 1) / 2);
    CHECK_OK(pirn_generator_close(g));
    return 0;
}

START_TEST(a174_each_value_to_one_consumer)
{
    int busy = 0;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, share_out, &busy));
    CHECK_GE(busy, support_rounds(100));
}
END_TEST

/* ---- A shielded body is told of the close too, and the cancel is not told a second time ------ */

static int shielded(pirn_generator *g, void *arg)
{
    CHECK_OK(pirn_shield_enter());
    CHECK_EQ(pirn_generator_yield(g, arg), -ECANCELED);
    CHECK_EQ(pirn_generator_yield(g, arg), -ECANCELED); /* every time */
    CHECK_OK(pirn_shield_leave());
    CHECK_OK(pirn_sleep(pirn_after_us(200)));
    CHECK_EQ(pirn_generator_yield(g, arg), -ECANCELED);
    CHECK_OK(pirn_yield());
    *(int *)arg = 2;
    return 0;
}

static int close_shielded(void *arg)
{
    (void)arg;
    int value = 1, got = 0;
    pirn_generator *g;
    CHECK_OK(pirn_generator_new(&g, sizeof(int), shielded, &value));
    CHECK_EQ(pirn_generator_next(g, &got, PIRN_NEVER), 1);
    CHECK_EQ(got, 1);
    pirn_sleep(pirn_after_us(200)); /* it stands at its yield */
    CHECK_OK(pirn_generator_close(g));
    CHECK_EQ(value, 2);
    return 0;
}

START_TEST(a174_shielded_and_closed)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, close_shielded, NULL));
}
END_TEST

/* ---- The strand that the config names, that of who pulls first, or none ---------------------- */

struct on_strand {
    pirn_strand *wanted;
};

static int look_at_strand(pirn_generator *g, void *arg)
{
    struct on_strand *o = arg;
    int value = pirn_strand_current() == o->wanted;
    return pirn_generator_yield(g, &value);
}

static void pull_once(pirn_spawn_config *config, struct on_strand *o)
{
    pirn_generator *g;
    int value = -1;
    CHECK_OK(pirn_generator_new_with(&g, config, sizeof(value), look_at_strand, o));
    CHECK_EQ(pirn_generator_next(g, &value, PIRN_NEVER), 1);
    CHECK_EQ(value, 1);
    CHECK_OK(pirn_generator_close(g));
}

static int pull_from_strands(void *arg)
{
    pirn_strand *other;
    pirn_generator *g;
    (void)arg;
    CHECK(pirn_strand_current() != NULL);
    CHECK_OK(pirn_strand_new(&other));
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pull_once(&config, &(struct on_strand){.wanted = pirn_strand_current()});
    config.flags = PIRN_OFF_STRAND;
    pull_once(&config, &(struct on_strand){.wanted = NULL});
    config.strand = other;
    CHECK_EQ(pirn_generator_new_with(&g, &config, 0, look_at_strand, NULL), -EINVAL);
    config.flags = PIRN_PINNED;
    config.strand = NULL;
    CHECK_EQ(pirn_generator_new_with(&g, &config, 0, look_at_strand, NULL), -EINVAL);
    config.flags = 0;
    config.strand = other;
    CHECK_OK(pirn_generator_new_with(&g, &config, 0, look_at_strand, NULL)); /* never pulled */
    struct on_strand o = {.wanted = other};
    pirn_generator *kept;
    CHECK_OK(pirn_generator_new_with(&kept, &config, sizeof(int), look_at_strand, &o));
    pirn_strand_release(other); /* theirs are references of their own */
    int value = -1;
    CHECK_EQ(pirn_generator_next(kept, &value, PIRN_NEVER), 1);
    CHECK_EQ(value, 1);
    CHECK_OK(pirn_generator_close(kept));
    CHECK_OK(pirn_generator_close(g));
    return 0;
}

static int have_strands(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    (void)arg;
    CHECK_OK(pirn_strand_new(&config.strand));
    CHECK_OK(pirn_spawn_with(&task, &config, pull_from_strands, NULL));
    pirn_strand_release(config.strand);
    CHECK_OK(support_join(task));
    return 0;
}

START_TEST(a174_bodies_on_strands)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, have_strands, NULL));
}
END_TEST

/* ---- The body's own task is no consumer; the memory of many dropped ones goes ---------------- */

static int misuse(pirn_generator *g, void *arg)
{
    (void)arg;
    CHECK_EQ(pirn_generator_next(g, NULL, PIRN_NEVER), -EDEADLK);
    CHECK_EQ(pirn_generator_close(g), -EDEADLK);
    CHECK_EQ(pirn_generator_yield(g, NULL), -EINVAL); /* values have a size */
    CHECK_EQ(pirn_generator_yield(NULL, g), -EINVAL);
    return 3;
}

static int misuse_and_reuse(void *arg)
{
    (void)arg;
    pirn_generator *g;
    CHECK_OK(pirn_generator_new(&g, 1, misuse, NULL));
    CHECK_EQ(pirn_generator_next(g, NULL, PIRN_NEVER), 0);
    CHECK_EQ(pirn_generator_status(g), 3);
    CHECK_EQ(pirn_generator_yield(g, "x"), -EPERM);
    CHECK_OK(pirn_generator_close(g));
    CHECK_EQ(pirn_generator_status(NULL), -EINVAL);
    long before = 0;
    uint64_t spares = 0;
    for (int i = 0; i < support_rounds(3000); i++) {
        uint64_t both[2];
        CHECK_OK(pirn_generator_new(&g, sizeof(both), naturals, NULL));
        CHECK_EQ(pirn_generator_next(g, both, PIRN_NEVER), 1);
        CHECK_OK(pirn_generator_close(g));
        if (i != support_rounds(3000) / 2)
            continue;
        pirn_stats now = {.size = sizeof(now)};
        CHECK_OK(pirn_stats_get(NULL, &now));
        spares = now.spares;
        before = support_resident();
    }
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(NULL, &stats));
    if (!support_slow()) /* a spare thread that has come meanwhile has a stack and a ring */
        CHECK_LE(support_resident(), before + ((256 << 10) * (1 + (long)(stats.spares - spares))));
    return 0;
}

START_TEST(a174_misuse_and_memory)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, misuse_and_reuse, NULL));
}
END_TEST

SUPPORT_MAIN("generator_mixed", s166_two_bodies_take_turns, a174_nested_ones_close_inwards,
             a174_s161_plain_threads_pull, a174_each_value_to_one_consumer,
             a174_shielded_and_closed, a174_bodies_on_strands, a174_misuse_and_memory)
