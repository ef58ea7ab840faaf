/* Done callbacks that come due as the run ends: they run before it has returned. */
#include "tests/support.h"

static void ran(pirn_awaitable *awaitable, void *user)
{
    CHECK(pirn_done(awaitable));
    atomic_fetch_add((atomic_int *)user, 1);
}

struct open_end {
    pirn_generator *generator;
    atomic_int reports, ran;
};

static int yield_once(pirn_generator *generator, void *arg)
{
    struct open_end *o = arg;
    CHECK_OK(pirn_add_done_callback(pirn_current(), NULL, ran, &o->ran));
    CHECK_EQ(pirn_generator_yield(generator, NULL), -ECANCELED);
    return 0;
}

static int leave_open(void *arg)
{
    struct open_end *o = arg;
    CHECK_OK(pirn_generator_new(&o->generator, 0, yield_once, o));
    CHECK_EQ(pirn_generator_next(o->generator, NULL, PIRN_NEVER), 1);
    return 0;
}

/* While the body ends: it has ended for all who look, and has not come to those who wait for it. */
static void report_slowly(void *user, const char *line)
{
    struct open_end *o = user;
    atomic_fetch_add(&o->reports, strstr(line, "still open") != NULL);
    support_pause_ms(5);
}

START_TEST(a44_due_while_a_task_ends)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(10); i++) {
        struct open_end o = {.generator = NULL};
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.report = report_slowly;
        config.report_user = &o;
        CHECK_OK(support_run_with(&config, leave_open, &o));
        CHECK_EQ(atomic_load(&o.reports), 1);
        CHECK_EQ(atomic_load(&o.ran), 1);
        CHECK_OK(pirn_generator_close(o.generator));
    }
}
END_TEST

SUPPORT_MAIN("callback_end", a44_due_while_a_task_ends)
