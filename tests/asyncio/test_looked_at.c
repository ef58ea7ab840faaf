/*
 * Plain threads that look at a runtime, and arm its timers, while another one closes it: until they
 * are told that it is shut down they find it whole.
 */
#include "tests/support.h"

struct watched {
    pirn_runtime *runtime;
    FILE *out;
    atomic_int ready, called;
};

static void *dump_it(void *arg)
{
    struct watched *w = arg;
    int rc;
    for (int i = 0; (rc = pirn_dump(w->runtime, w->out)) == 0; i++)
        if (i == 0)
            atomic_fetch_add(&w->ready, 1);
    CHECK_EQ(rc, -ESHUTDOWN);
    return NULL;
}

static void *count_it(void *arg)
{
    struct watched *w = arg;
    pirn_stats stats = {.size = sizeof(stats)};
    int rc;
    for (int i = 0; (rc = pirn_stats_get(w->runtime, &stats)) == 0; i++) {
        CHECK_LE(stats.workers, 4);
        if (i == 0)
            atomic_fetch_add(&w->ready, 1);
    }
    CHECK_EQ(rc, -ESHUTDOWN);
    return NULL;
}

static int note_call(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* Those far off and those about to come; taken back, and moved. */
static void *arm_timers(void *arg)
{
    struct watched *w = arg;
    pirn_timer timers[4];
    int rc = 0;
    for (int i = 0; i < 4; i++)
        CHECK_OK(pirn_timer_init(&timers[i], w->runtime, note_call, &w->called));
    for (int i = 0; rc >= 0; i++) {
        pirn_timer *t = &timers[i % 4];
        if (i % 3 == 0) {
            rc = pirn_timer_cancel(t);
            CHECK(rc == 0 || rc == -EALREADY);
            rc = 0;
        }
        rc = pirn_timer_arm(t, i % 2 == 0 ? pirn_after_s(3600) : pirn_after_us(50));
        if (i == 0)
            atomic_fetch_add(&w->ready, 1);
    }
    CHECK_EQ(rc, -ESHUTDOWN);
    for (int i = 0; i < 4; i++) {
        rc = pirn_timer_cancel(&timers[i]);
        CHECK(rc == 0 || rc == -EALREADY);
        CHECK_EQ(pirn_timer_cancel(&timers[i]), -EALREADY);
    }
    return NULL;
}

static int sleep_on(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

static int let_them_look(void *arg)
{
    struct watched *w = arg;
    for (int i = 0; i < 300; i++) /* more than a slab of tasks, to be freed */
        CHECK_OK(pirn_detach(support_spawn(sleep_on, NULL)));
    support_until(&w->ready, 3);
    return 0;
}

START_TEST(a6_looked_at_while_it_is_closed)
{
    void *(*const looks[])(void *) = {dump_it, count_it, arm_timers};
    FILE *out = fopen("/dev/null", "w");
    CHECK(out);
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(60); i++) {
        pirn_config config = PIRN_CONFIG_INIT;
        struct watched watched = {.out = out};
        pthread_t threads[3];
        int status = 0;
        config.workers = w;
        CHECK_OK(pirn_runtime_new(&watched.runtime, &config));
        for (int k = 0; k < 3; k++)
            threads[k] = support_thread(looks[k], &watched);
        CHECK_OK(
            pirn_runtime_run_until_complete(watched.runtime, let_them_look, &watched, &status));
        CHECK_OK(pirn_runtime_close(watched.runtime));
        for (int k = 0; k < 3; k++)
            support_thread_join(threads[k]);
        CHECK_OK(pirn_runtime_free(watched.runtime));
    }
    CHECK_OK(fclose(out));
}
END_TEST

SUPPORT_MAIN("looked_at", a6_looked_at_while_it_is_closed)
