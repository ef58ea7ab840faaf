/* Looking inside: the dump names each task once with state and wait; the counters move. */
#include "tests/support.h"

#include <dlfcn.h>
#include <stdio.h>

static int fds[2];
static pirn_future *gate;
static atomic_int spinning, stop;

static int in_sleep(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

static int in_recv(void *arg)
{
    char c;
    (void)arg;
    return (int)pirn_recv(fds[0], &c, 1, 0, PIRN_NEVER);
}

static int in_future(void *arg)
{
    (void)arg;
    return pirn_future_await(gate, NULL, NULL, PIRN_NEVER);
}

static int in_await(void *arg)
{
    return pirn_await(arg, NULL, PIRN_NEVER);
}

static int spins(void *arg)
{
    (void)arg;
    atomic_store(&spinning, 1);
    while (!atomic_load(&stop)) {}
    return 0;
}

static char *dump_text(pirn_runtime *runtime)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out);
    CHECK_OK(pirn_dump(runtime, out));
    CHECK_OK(fclose(out));
    return text;
}

/* The line that holds the word, in a static buffer. */
static const char *line_with(const char *text, const char *word)
{
    static char line[512];
    const char *at = strstr(text, word);
    CHECK(at);
    while (at > text && at[-1] != '\n')
        at--;
    size_t n = strcspn(at, "\n");
    CHECK(n < sizeof(line));
    memcpy(line, at, n);
    line[n] = 0;
    return line;
}

/* All of one task's line: the state, what it waits for and since when, where it was spawned. */
static void check_line(const char *text, const char *name, const char *state, const char *wait,
                       int64_t least, int64_t most)
{
    const char *line = line_with(text, name), *rest = strstr(line, name) + strlen(name);
    char begin[64];
    double seconds = -1;
    snprintf(begin, sizeof(begin), *wait ? " %s %s " : " %s%s ", state, wait);
    const char *span = strstr(rest, " for "), *site = strstr(rest, " spawned at ");
    bool good = strncmp(line, "task ", 5) == 0 && strncmp(rest, begin, strlen(begin)) == 0;
    good = good && site && site[12] != '\0' && (span != NULL) == (*wait != '\0');
    if (good && span) {
        good = sscanf(span, " for %lfs", &seconds) == 1 && span < site;
        good = good && seconds * 1e9 >= (double)least && seconds * 1e9 <= (double)(most + MS);
    }
    if (!good)
        support_fail(__FILE__, __LINE__, __func__, "not%s, %ld to %ld ms: %s", begin,
                     (long)(least / MS), (long)(most / MS), line);
}

/* The place is inside of this function. */
__attribute__((noinline)) static pirn_task *spawn_here(const char *name, pirn_fn fn, void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task = NULL;
    config.name = name;
    CHECK_OK(pirn_spawn_with(&task, &config, fn, arg));
    CHECK(task);
    return task;
}

static void check_site(const char *text, const char *name)
{
    const char *site = strstr(line_with(text, name), " spawned at ");
    Dl_info here;
    ptrdiff_t offset = 0;
    CHECK(dladdr((const void *)(uintptr_t)spawn_here, &here) != 0);
    CHECK(site && sscanf(strrchr(site, '+'), "+0x%tx", &offset) == 1);
    ptrdiff_t begin = (const char *)(uintptr_t)spawn_here - (const char *)here.dli_fbase;
    CHECK_GE(offset, begin);
    CHECK_LE(offset, begin + 2000);
}

/* Asked to end, it goes on, as if it had not heard. */
static int goes_on(void *arg)
{
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    atomic_store((atomic_int *)arg, 1);
    int rc = pirn_sleep(PIRN_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    return 0;
}

static int asked_to_end(void *arg)
{
    atomic_int heard = 0;
    (void)arg;
    pirn_task *task = spawn_here("dump-deaf", goes_on, &heard);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, "enough"));
    support_until(&heard, 1);
    support_until_waiting(task);
    char *text = dump_text(NULL);
    const char *line = line_with(text, "dump-deaf");
    CHECK(strstr(line, " waiting sleep") && strstr(line, " cancelled spawned at "));
    CHECK_EQ(support_words(text, "cancelled"), 1); /* nobody else */
    free(text);
    CHECK_OK(pirn_cancel(task, NULL));
    return support_join(task);
}

static void *dump_outside(void *arg)
{
    char *text = dump_text(arg);
    CHECK_EQ(support_words(text, "dump-sleep"), 1);
    CHECK_EQ(support_words(text, "dump-spin"), 1);
    free(text);
    return NULL;
}

static int scene(void *arg)
{
    (void)arg;
    atomic_store(&stop, 0);
    atomic_store(&spinning, 0);
    support_pair(fds);
    CHECK_OK(pirn_future_new(&gate));
    CHECK_OK(pirn_set_name(pirn_current(), "dump-main"));
    char recv_wait[32];
    snprintf(recv_wait, sizeof(recv_wait), "recv fd=%d", fds[0]);
    struct {
        const char *name, *state, *wait;
        pirn_fn fn;
        pirn_task *task;
    } cast[] = {
        {"dump-sleep", "waiting", "sleep", in_sleep, NULL},
        {"dump-recv", "waiting", recv_wait, in_recv, NULL},
        {"dump-future", "waiting", "future", in_future, NULL},
        {"dump-await", "waiting", "await", in_await, NULL},
        {"dump-spin", "running", "on worker", spins, NULL},
    };
    int64_t begin = support_now();
    for (int i = 0; i < 5; i++)
        cast[i].task = spawn_here(cast[i].name, cast[i].fn, cast[0].task);
    support_until(&spinning, 1);
    for (int i = 0; i < 4; i++)
        support_until_waiting(cast[i].task);
    CHECK_OK(pirn_sleep(pirn_after_ms(30)));
    char *text = dump_text(NULL);
    CHECK_EQ(support_words(text, "dump-main"), 1);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(support_words(text, cast[i].name), 1);
        /* Since when somebody runs is what the monitor has seen, whenever it came to look. */
        int64_t least = cast[i].fn == spins ? 0 : 30 * MS - MS / 2;
        check_line(text, cast[i].name, cast[i].state, cast[i].wait, least, support_now() - begin);
        check_site(text, cast[i].name);
    }
    free(text);
    support_thread_join(support_thread(dump_outside, pirn_runtime_current()));
    atomic_store(&stop, 1);
    CHECK_OK(support_join(cast[4].task));
    CHECK_OK(pirn_cancel(cast[0].task, NULL));
    CHECK_OK(support_join(cast[3].task)); /* it awaited that one */
    CHECK_EQ(support_join(cast[0].task), -ECANCELED);
    for (int i = 1; i < 3; i++) {
        CHECK_OK(pirn_cancel(cast[i].task, NULL));
        CHECK_EQ(support_join(cast[i].task), -ECANCELED);
    }
    text = dump_text(NULL);
    CHECK_EQ(support_words(text, "cancelled"), 0);
    CHECK_EQ(support_words(text, "dump-sleep"), 0); /* those that ended are gone */
    CHECK_EQ(support_words(text, "dump-main"), 1);
    free(text);
    pirn_release(gate);
    CHECK_OK(pirn_close(fds[0]));
    CHECK_OK(pirn_close(fds[1]));
    return 0;
}

START_TEST(each_task_once)
{
    CHECK_OK(support_run(2, scene, NULL));
    CHECK_OK(support_run(4, scene, NULL));
}
END_TEST

/* What has just woken has not run for as long as its worker slept. */
static int fresh(void *arg)
{
    pirn_time woken = pirn_after_s(1);
    double seconds = -1;
    (void)arg;
    CHECK_OK(pirn_set_name(pirn_current(), "dump-fresh"));
    CHECK_OK(pirn_sleep(woken));
    char *text = dump_text(NULL);
    const char *span = strstr(line_with(text, "dump-fresh"), " for ");
    CHECK(span != NULL && sscanf(span, " for %lfs", &seconds) == 1);
    /* The monitor may have looked a while before it woke. */
    CHECK(seconds * 1e9 < (double)(pirn_now().ns - woken.ns + 900 * MS));
    free(text);
    return 0;
}

START_TEST(who_was_asked_to_end_and_goes_on)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, asked_to_end, NULL));
    }
}
END_TEST

START_TEST(for_how_long)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, fresh, NULL));
}
END_TEST

/* A strand's next cannot begin while this one runs. */
static int before_the_next(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    config.name = "dump-next";
    config.strand = arg;
    CHECK_OK(pirn_spawn_with(&task, &config, in_sleep, NULL));
    char *text = dump_text(NULL);
    check_line(text, "dump-next", "unstarted", "", 0, 0);
    free(text);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    return 0;
}

static int on_a_strand(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    (void)arg;
    CHECK_OK(pirn_strand_new(&config.strand));
    CHECK_OK(pirn_spawn_with(&task, &config, before_the_next, config.strand));
    CHECK_OK(support_join(task));
    pirn_strand_release(config.strand);
    return 0;
}

START_TEST(unstarted)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, on_a_strand, NULL));
}
END_TEST

/* ---- While everything moves -------------------------------------------------------------- */

static int brief(void *arg)
{
    (void)arg;
    return pirn_sleep(pirn_after_us(20));
}

static int churn(void *arg)
{
    while (!atomic_load((atomic_int *)arg)) {
        pirn_task *tasks[10];
        for (int i = 0; i < 10; i++)
            tasks[i] = support_spawn_named("churned", brief, NULL);
        for (int i = 0; i < 10; i++)
            CHECK_OK(support_join(tasks[i]));
    }
    return 0;
}

/* A task that ends while the others are listed may be followed by a new one, but none is twice. */
static void each_id_once(const char *text)
{
    char id[64];
    for (const char *p = text; (p = strstr(p, "\ntask ")); p++) {
        int n = snprintf(id, sizeof(id), "\n%.*s ", (int)strcspn(p + 6, " ") + 5, p + 1);
        CHECK(n > 0 && (size_t)n < sizeof(id));
        CHECK(strstr(p + 1, id) == NULL);
    }
}

struct watcher {
    pirn_runtime *runtime;
    atomic_int done;
};

static void *dump_often(void *arg)
{
    struct watcher *w = arg;
    for (int i = 0; i < support_rounds(300); i++) {
        char *text = dump_text(w->runtime);
        CHECK_EQ(support_words(text, "churner"), 1);
        each_id_once(text);
        free(text);
    }
    atomic_store(&w->done, 1);
    return NULL;
}

static int churn_main(void *arg)
{
    (void)arg;
    struct watcher w = {pirn_runtime_current(), 0};
    atomic_int over = 0;
    pirn_task *task = support_spawn_named("churner", churn, &over);
    pthread_t thread = support_thread(dump_often, &w);
    support_until(&w.done, 1);
    support_thread_join(thread);
    atomic_store(&over, 1);
    CHECK_OK(support_join(task));
    return 0;
}

START_TEST(dump_of_moving_tasks)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, churn_main, NULL));
}
END_TEST

/* ---- Counters ---------------------------------------------------------------------------- */

static pirn_stats stats_now(void)
{
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(NULL, &stats));
    return stats;
}

static int counters(void *arg)
{
    int w = *(int *)arg;
    char c = 'x';
    support_pair(fds);
    pirn_stats before = stats_now();
    CHECK_EQ(before.workers, w);
    CHECK_EQ(before.tasks_live, 1);
    CHECK_GE(before.threads, (uint64_t)w);
    for (int i = 0; i < 100; i++)
        CHECK_OK(support_join(support_spawn(brief, NULL)));
    for (int i = 0; i < 10; i++) { /* it is there too late to be had without the ring */
        pirn_task *task = support_spawn(in_recv, NULL);
        support_until_waiting(task);
        CHECK_EQ(support_write(fds[1], &c, 1), 1);
        CHECK_EQ(support_join(task), 1);
    }
    pirn_stats after = stats_now();
    CHECK_EQ(after.spawns - before.spawns, 110);
    CHECK_EQ(after.tasks_live, 1);
    CHECK_GE(after.switches - before.switches, 100);
    CHECK_GE(after.submissions - before.submissions, 10);
    CHECK_GE(after.completions - before.completions, 10);
    CHECK(after.parks > before.parks);
    CHECK_LE(after.wakes_in_kernel, after.wakes);
    CHECK_GE(after.stacks_bound, 1);
    CHECK_OK(pirn_close(fds[0]));
    CHECK_OK(pirn_close(fds[1]));
    return 0;
}

START_TEST(counters_move)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, counters, &w));
}
END_TEST

SUPPORT_MAIN("dump", each_task_once, who_was_asked_to_end_and_goes_on, for_how_long, unstarted,
             dump_of_moving_tasks, counters_move)
