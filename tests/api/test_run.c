/* Starting and ending a runtime: main's status, refusals, many runs in a row, memory hooks. */
#include "tests/support.h"

#include <limits.h>
#include <signal.h>

static int give(void *arg)
{
    return *(int *)arg;
}

START_TEST(value)
{
    int cases[] = {0, 1, 42, INT_MAX, -EIO, -1};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_EQ(pirn_run(give, &cases[i]), cases[i]);
        int status = -12345;
        CHECK_OK(pirn_run_with(NULL, give, &cases[i], &status));
        CHECK_EQ(status, cases[i]);
        CHECK_OK(pirn_run_with(NULL, give, &cases[i], NULL));
    }
}
END_TEST

/* A main that fails and a runtime that did not start can be told apart. */
START_TEST(refused)
{
    int arg = 7, status = -12345;
    CHECK_EQ(pirn_run(NULL, &arg), -EINVAL);
    CHECK_EQ(pirn_run_with(NULL, NULL, &arg, &status), -EINVAL);
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = -1;
    CHECK_EQ(pirn_run_with(&config, give, &arg, &status), -EINVAL);
    config = (pirn_config)PIRN_CONFIG_INIT;
    config.size = 0;
    CHECK_EQ(pirn_run_with(&config, give, &arg, &status), -EINVAL);
    config = (pirn_config)PIRN_CONFIG_INIT;
    config.max_tasks = -1;
    CHECK_EQ(pirn_run_with(&config, give, &arg, &status), -EINVAL);
    const int no_dumps[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSTOP, -1, NSIG};
    for (size_t i = 0; i < sizeof(no_dumps) / sizeof(no_dumps[0]); i++) {
        config = (pirn_config)PIRN_CONFIG_INIT;
        config.dump_signal = no_dumps[i];
        CHECK_EQ(pirn_run_with(&config, give, &arg, &status), -EINVAL);
    }
    CHECK_EQ(status, -12345);
}
END_TEST

static int nested(void *arg)
{
    int inner = 3, status = -12345;
    CHECK_EQ(pirn_run(give, &inner), -EDEADLK);
    CHECK_EQ(pirn_run_with(NULL, give, &inner, &status), -EDEADLK);
    CHECK_EQ(status, -12345);
    CHECK_OK(pirn_yield()); /* and life goes on */
    return *(int *)arg;
}

START_TEST(nested_run)
{
    int arg = 5;
    FOR_WORKERS(w)
    CHECK_EQ(support_run(w, nested, &arg), 5);
}
END_TEST

static int small_family(void *arg)
{
    int one = 1;
    pirn_task *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = support_spawn(give, &one);
    int sum = 0;
    for (int i = 0; i < 4; i++)
        sum += support_join(tasks[i]);
    CHECK_OK(pirn_sleep(pirn_after_us(10)));
    return sum + *(int *)arg;
}

START_TEST(many_in_a_row)
{
    int arg = 38;
    CHECK_EQ(pirn_run(small_family, &arg), 42); /* what is made once is made now */
    support_census before = support_count();
    for (int i = 0; i < support_rounds(200); i++)
        CHECK_EQ(support_run(1 + i % 4, small_family, &arg), 42);
    support_no_more_than(before);
}
END_TEST

/* The same program gives the same result whatever the number of workers. */
START_TEST(worker_counts)
{
    int arg = 0;
    for (int w = 1; w <= 9; w++)
        CHECK_EQ(support_run(w, small_family, &arg), 4);
}
END_TEST

static int look_around(void *arg)
{
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(NULL, &stats));
    CHECK_EQ(stats.workers, *(uint64_t *)arg);
    CHECK(pirn_runtime_current());
    CHECK(pirn_current());
    return 0;
}

static int count_workers(void *arg)
{
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(NULL, &stats));
    *(uint64_t *)arg = stats.workers;
    return 0;
}

START_TEST(workers_asked_for)
{
    for (uint64_t w = 1; w <= 4; w++)
        CHECK_OK(support_run((int)w, look_around, &w));
}
END_TEST

/* PIRN_WORKERS counts where the config leaves it open, and only if it is a number that makes
 * sense. */
START_TEST(s31_workers_of_the_environment)
{
    static const char *const senseless[] = {"", "0", "-3", "4x", "1025", "99999999999999999999"};
    uint64_t granted = 0, w = 3;
    CHECK_OK(unsetenv("PIRN_WORKERS"));
    CHECK_OK(support_run(0, count_workers, &granted));
    CHECK_GE(granted, 1);
    CHECK_OK(setenv("PIRN_WORKERS", "3", 1));
    CHECK_OK(support_run(0, look_around, &w));
    w = 2;
    CHECK_OK(support_run(2, look_around, &w));
    for (size_t i = 0; i < sizeof(senseless) / sizeof(senseless[0]); i++) {
        CHECK_OK(setenv("PIRN_WORKERS", senseless[i], 1));
        CHECK_OK(support_run(0, look_around, &granted));
    }
    CHECK_OK(unsetenv("PIRN_WORKERS"));
}
END_TEST

START_TEST(version)
{
    char text[32];
    snprintf(text, sizeof(text), "%d.%d.%d", PIRN_VERSION_MAJOR, PIRN_VERSION_MINOR,
             PIRN_VERSION_PATCH);
    CHECK(strcmp(pirn_version(), text) == 0);
}
END_TEST

/* ---- Memory comes from the hooks, and all of it goes back -------------------------------- */

struct memory {
    atomic_long taken, given; /* blocks */
    atomic_long left;         /* allocations until every further one fails */
    _Atomic(void *) blocks[4096];
};

/* Has that block been had from here, and not been given back? */
static bool is_out(struct memory *m, const void *block)
{
    for (int i = 0; i < 4096; i++)
        if (atomic_load(&m->blocks[i]) == block)
            return true;
    return false;
}

static void *take(void *user, size_t bytes)
{
    struct memory *m = user;
    if (atomic_fetch_sub(&m->left, 1) <= 0)
        return NULL;
    void *block = malloc(bytes);
    atomic_store(&m->blocks[atomic_fetch_add(&m->taken, 1) % 4096], block);
    return block;
}

static void give_back(void *user, void *ptr)
{
    struct memory *m = user;
    if (ptr)
        atomic_fetch_add(&m->given, 1);
    for (int i = 0; i < 4096; i++) {
        void *block = ptr;
        atomic_compare_exchange_strong(&m->blocks[i], &block, NULL);
    }
    free(ptr);
}

/* As much of the interface as one can get, each refusal being -ENOMEM. */
static int hungry(void *arg)
{
    int one = 1;
    (void)arg;
    for (int i = 0; i < 20; i++) {
        pirn_task *task = NULL;
        int rc = pirn_spawn(&task, give, &one);
        CHECK(rc == 0 || rc == -ENOMEM);
        if (rc == 0)
            CHECK_EQ(support_join(task), 1);
        pirn_scope *scope = NULL;
        rc = pirn_scope_open(&scope, 2);
        CHECK(rc == 0 || rc == -ENOMEM);
        if (rc == 0) {
            rc = pirn_scope_spawn(scope, give, &one, PIRN_NEVER);
            CHECK(rc == 0 || rc == -ENOMEM);
            CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
        }
        pirn_future *future = NULL;
        rc = pirn_future_new(&future);
        CHECK(rc == 0 || rc == -ENOMEM);
        if (rc == 0)
            pirn_release(future);
        rc = pirn_sleep(pirn_after_us(1));
        CHECK(rc == 0 || rc == -ENOMEM);
    }
    return 0;
}

static struct memory run_hungry(long blocks)
{
    struct memory m = {0};
    atomic_init(&m.left, blocks);
    support_report report = SUPPORT_REPORT_INIT;
    pirn_config config = support_reporting(2, &report);
    config.alloc = take;
    config.free = give_back;
    config.alloc_user = &m;
    int status = -12345, rc = pirn_run_with(&config, hungry, NULL, &status);
    CHECK((rc == 0 && status == 0) || (rc == -ENOMEM && status == -12345));
    CHECK_EQ(atomic_load(&m.taken), atomic_load(&m.given));
    return m;
}

START_TEST(memory_hooks)
{
    struct memory all = run_hungry(LONG_MAX);
    CHECK(atomic_load(&all.taken) > 0);
    long needed = atomic_load(&all.taken);
    support_census before = support_count();
    long step = support_slow() ? 3 : 1;
    for (long n = 0; n < needed && n < 150; n += step)
        run_hungry(n);
    support_no_more_than(before);
}
END_TEST

/* What is the runtime's is the hooks', also in the middle of a run. */
static int takes_scopes(void *arg)
{
    struct memory *m = arg;
    pirn_scope *outer, *inner;
    CHECK_OK(pirn_scope_open(&outer, 0)); /* the task has all it needs by now */
    CHECK_OK(pirn_scope_open(&inner, 0));
    CHECK(is_out(m, inner));
    CHECK_OK(pirn_scope_close(inner, PIRN_NEVER));
    atomic_store(&m->left, 0);
    CHECK_EQ(pirn_scope_open(&inner, 0), -ENOMEM);
    atomic_store(&m->left, LONG_MAX);
    return pirn_scope_close(outer, PIRN_NEVER);
}

START_TEST(memory_of_scopes)
{
    static struct memory m;
    pirn_config config = PIRN_CONFIG_INIT;
    atomic_init(&m.left, LONG_MAX);
    config.workers = 2;
    config.alloc = take;
    config.free = give_back;
    config.alloc_user = &m;
    CHECK_OK(support_run_with(&config, takes_scopes, &m));
    CHECK_EQ(atomic_load(&m.taken), atomic_load(&m.given));
}
END_TEST

SUPPORT_MAIN("run", value, refused, nested_run, many_in_a_row, worker_counts, workers_asked_for,
             s31_workers_of_the_environment, version, memory_hooks, memory_of_scopes)
