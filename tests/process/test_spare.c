/*
 * A spare is there while a worker is stuck, and goes: also when there is work without end, which it
 * would never run dry of. Else a worker that was stuck once would be two from then on. And there
 * are as many as max_spares allows.
 */
#include "tests/support.h"

#include <stdio.h>

enum {
    YIELDERS = 8,
    TIMES = 2 /* the second with a spare that has been one before */
};

struct scene {
    atomic_int computing, enough, yielding, over;
};

static int computes(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->computing, 1);
    while (!atomic_load(&s->enough)) {} /* no place where it could be suspended */
    return 0;
}

static int yields(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->yielding, 1);
    while (!atomic_load(&s->over))
        CHECK_OK(pirn_yield());
    return 0;
}

static bool has_substitute(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    CHECK(out != NULL);
    CHECK_OK(pirn_dump(NULL, out));
    CHECK_OK(fclose(out));
    bool has = support_words(text, "substitute") != 0;
    free(text);
    return has;
}

/* True: there was a substitute, and is none. (Another one's spare on its way out may be the one
 * that is stuck.) */
static bool stuck_for_a_while(int workers)
{
    struct scene s = {0};
    pirn_task *stuck[4], *yielders[YIELDERS];
    bool seen = false;
    for (int i = 0; i < workers; i++)
        stuck[i] = support_spawn(computes, &s);
    support_until(&s.computing, workers);
    for (int i = 0; i < YIELDERS; i++) /* what has never run is a substitute's work */
        yielders[i] = support_spawn(yields, &s);
    while (!(seen = has_substitute()) && atomic_load(&s.yielding) < YIELDERS)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    atomic_store(&s.enough, 1);
    for (int i = 0; i < workers; i++)
        CHECK_OK(support_join(stuck[i]));
    while (has_substitute())
        CHECK_OK(pirn_sleep(pirn_after_ms(10)));
    atomic_store(&s.over, 1);
    for (int i = 0; i < YIELDERS; i++)
        CHECK_OK(support_join(yielders[i]));
    return seen;
}

static int run(void *arg)
{
    for (int times = 0; times < TIMES;)
        times += stuck_for_a_while(*(int *)arg);
    return 0;
}

START_TEST(goes_though_there_is_work)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, run, &w));
}
END_TEST

/* ---- As many as may be blocked ------------------------------------------------------------ */

enum {
    MAX_SPARES = 8,
    TOO_MANY = 24,
    TICKS = 50
};

struct ward {
    pirn_runtime *runtime;
    int pipe[2]; /* nobody writes */
    atomic_int blocked, through, over;
    int most; /* threads of the library's, at any time that the watcher looked */
};

static int blocks(void *arg)
{
    struct ward *w = arg;
    char c;
    atomic_fetch_add(&w->blocked, 1);
    CHECK_OK(support_read(w->pipe[0], &c, 1));
    atomic_fetch_add(&w->through, 1);
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* Lets them go, when there are more than may be blocked and that has had no thread too many. */
static void *watch_ward(void *arg)
{
    struct ward *w = arg;
    for (int i = 0; i < 100; i += atomic_load(&w->over)) {
        pirn_stats stats = {.size = sizeof(stats)};
        CHECK_OK(pirn_stats_get(w->runtime, &stats));
        w->most = (int)stats.threads > w->most ? (int)stats.threads : w->most;
        support_pause_ms(1);
    }
    CHECK_OK(close(w->pipe[1]));
    return NULL;
}

/* What may be blocked is, and timers, I/O and new tasks go on; more than that wait for these, and
 * run when they are back. */
static int ward(void *arg)
{
    int workers = *(int *)arg;
    struct ward w = {.runtime = pirn_runtime_current()};
    pirn_task *tasks[MAX_SPARES + TOO_MANY];
    int ends[2];
    char c = 'w';
    support_pipe(w.pipe);
    support_pair(ends);
    pthread_t thread = support_thread(watch_ward, &w);
    for (int i = 0; i < MAX_SPARES; i++)
        tasks[i] = support_spawn(blocks, &w);
    support_until(&w.blocked, MAX_SPARES);
    for (int i = 0; i < TICKS; i++) {
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        CHECK_EQ(pirn_send(ends[0], &c, 1, 0, PIRN_NEVER), 1);
        CHECK_EQ(pirn_recv(ends[1], &c, 1, 0, PIRN_NEVER), 1);
        CHECK_OK(support_join(support_spawn(nothing, NULL)));
    }
    CHECK_EQ(atomic_load(&w.through), 0);
    for (int i = 0; i < TOO_MANY; i++)
        tasks[MAX_SPARES + i] = support_spawn(blocks, &w);
    atomic_store(&w.over, 1);
    for (int i = 0; i < MAX_SPARES + TOO_MANY; i++)
        CHECK_OK(support_join(tasks[i]));
    support_thread_join(thread);
    CHECK_LE(w.most, workers + MAX_SPARES + 2 * workers + 3);
    close(w.pipe[0]);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

START_TEST(as_many_blocked_as_may_be)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.max_spares = MAX_SPARES;
    FOR_WORKERS(w)
    {
        config.workers = w;
        CHECK_OK(support_run_with(&config, ward, &w));
    }
}
END_TEST

SUPPORT_MAIN("process/spare", goes_though_there_is_work, as_many_blocked_as_may_be)
