/* A step that does not end, in debug mode: told of while it goes on, once, and in the dump. */
#include "tests/support.h"

#include <stdio.h>

struct scene {
    support_report *report;
    int pipe[2];
    bool told;
    atomic_int blocks, spins, stop;
};

static int blocked(void *arg)
{
    struct scene *s = arg;
    char c;
    atomic_store(&s->blocks, 1);
    return (int)support_read(s->pipe[0], &c, 1);
}

static int spinning(void *arg)
{
    struct scene *s = arg;
    atomic_store(&s->spins, 1);
    while (!atomic_load(&s->stop)) {}
    return 0;
}

static int waiting(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

/* The first remembered line with all three. */
static bool has_line(struct scene *s, const char *task, const char *a, const char *b)
{
    bool found = false;
    pthread_mutex_lock(&s->report->lock);
    for (const char *line = s->report->text; *line != '\0' && !found;) {
        char copy[512];
        size_t n = strcspn(line, "\n");
        snprintf(copy, sizeof(copy), "%.*s", (int)n, line);
        found = strstr(copy, task) != NULL && strstr(copy, a) != NULL && strstr(copy, b) != NULL;
        line += line[n] == '\n' ? n + 1 : n;
    }
    pthread_mutex_unlock(&s->report->lock);
    return found;
}

/* The lines of the tasks that run come before those that wait. */
static void check_dump(const char *text)
{
    const char *wait = strstr(text, " waits waiting sleep");
    const char *block = strstr(text, " blocks running on worker ");
    const char *spin = strstr(text, " spins running on worker ");
    CHECK(wait != NULL && block != NULL && spin != NULL);
    CHECK(block < wait && spin < wait);
    CHECK_EQ(support_words(text, "blocks"), 1);
    CHECK_EQ(support_words(text, "spins"), 1);
}

static int watches(void *arg)
{
    struct scene *s = arg;
    char *text = NULL;
    size_t size = 0;
    pirn_task *wait = support_spawn_named("waits", waiting, NULL);
    support_until_waiting(wait);
    pirn_task *block = support_spawn_named("blocks", blocked, s);
    support_until(&s->blocks, 1);
    pirn_task *spin = support_spawn_named("spins", spinning, s);
    support_until(&s->spins, 1);
    if (s->told) {
        while (!has_line(s, "task blocks (", "not suspended", ", on worker ") ||
               !has_line(s, "task spins (", "not suspended", ", on worker "))
            CHECK_OK(pirn_sleep(pirn_after_ms(5)));
        if (support_timing()) { /* else they may have waited for a core meanwhile */
            CHECK(has_line(s, "task blocks (", "not suspended", " is blocked in the kernel"));
            CHECK(has_line(s, "task spins (", "not suspended", " runs, on worker "));
        }
    } else {
        CHECK_OK(pirn_sleep(pirn_after_ms(1200)));
    }
    FILE *out = open_memstream(&text, &size);
    CHECK(out != NULL);
    CHECK_OK(pirn_dump(NULL, out));
    CHECK_OK(fclose(out));
    check_dump(text);
    free(text);
    CHECK_OK(pirn_sleep(pirn_after_ms(20))); /* some more looks */
    atomic_store(&s->stop, 1);
    CHECK_EQ(support_write(s->pipe[1], "x", 1), 1);
    CHECK_EQ(support_join(block), 1);
    CHECK_OK(support_join(spin));
    CHECK_OK(pirn_cancel(wait, NULL));
    CHECK_EQ(support_join(wait), -ECANCELED);
    return 0;
}

static void run(int workers, unsigned flags, int64_t slow, bool told, support_report *report)
{
    struct scene s = {.report = report, .told = told};
    pirn_config config = support_reporting(workers, report);
    config.flags = flags;
    config.slow_step.ns = slow;
    support_pipe(s.pipe);
    CHECK_OK(support_run_with(&config, watches, &s));
    CHECK_OK(close(s.pipe[0]));
    CHECK_OK(close(s.pipe[1]));
}

START_TEST(a171_told_while_it_goes_on)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        run(w, PIRN_DEBUG, 500 * MS, true, &report);
        CHECK_EQ(support_reported(&report, "blocks"), 2); /* once meanwhile, once at its end */
        CHECK_EQ(support_reported(&report, "spins"), 2);
        CHECK_GE(support_reported(&report, "without suspending"), 2);
    }
}
END_TEST

START_TEST(a171_not_before_slow_step_or_without_debug_mode)
{
    support_report report = SUPPORT_REPORT_INIT;
    run(2, PIRN_DEBUG, 3600 * 1000 * MS, false, &report);
    run(2, 0, 1, false, &report);
    CHECK_EQ(report.used, 0);
}
END_TEST

SUPPORT_MAIN("long_step", a171_told_while_it_goes_on,
             a171_not_before_slow_step_or_without_debug_mode)
