/*
 * A spare is there while a worker is stuck, and goes: also when there is work without end, which it would
 * never run dry of. Else a worker that was stuck once would be two from then on.
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

/* True: there was a substitute, and is none. (Another one's spare on its way out may be the one that is stuck.) */
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

SUPPORT_MAIN("process/spare", goes_though_there_is_work)
