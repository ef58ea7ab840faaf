/*
 * race: the first to succeed; map: a bounded number at a time.
 */
#include "parts.h"

/* ---- A81 ------------------------------------------------------------------------------------- */

static atomic_int drops;

static void count_drop(void *value)
{
    (void)value;
    atomic_fetch_add(&drops, 1);
}

/* As run_part, once the other one has failed. */
struct second {
    struct part part, *after;
};

static int run_second(void *arg)
{
    struct second *s = arg;
    support_until(&s->after->ended, 1);
    return run_part(&s->part);
}

static int winner_is_first(void *arg)
{
    static int values[4];
    struct part parts[4] = {
        {.ms = 1, .status = -EIO},
        {.ms = 0},
        {.ms = FOR_EVER, .cleanup_ms = 3},
        /* a loser that says something all the same */
        {.ms = FOR_EVER, .status = 8, .absorbs = true, .value = &values[3], .drop = count_drop}};
    struct second second = {{.ms = 4, .status = 7, .value = &values[1], .drop = count_drop},
                            &parts[0]};
    pirn_call calls[4];
    int statuses[4];
    size_t winner = 9;
    pirn_task *task;
    (void)arg;
    for (int i = 0; i < 4; i++)
        calls[i] = (pirn_call){run_part, &parts[i]};
    calls[1] = (pirn_call){run_second, &second};
    atomic_store(&drops, 0);
    CHECK_OK(pirn_race(calls, 4, &winner, &task, statuses, PIRN_NEVER));
    CHECK_EQ(winner, 1);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(atomic_load(&parts[i].began), atomic_load(&parts[i].ended));
    CHECK_EQ(statuses[0], -EIO);
    CHECK_EQ(statuses[1], 7);
    CHECK_EQ(statuses[2], -ECANCELED);
    CHECK(statuses[3] == (atomic_load(&parts[3].began) ? 8 : -ECANCELED));
    CHECK_EQ(atomic_load(&drops), atomic_load(&parts[3].began)); /* the loser's value */
    CHECK(pirn_value(task) == &values[1]);
    CHECK_OK(pirn_release(task));
    CHECK_EQ(atomic_load(&drops), 1 + atomic_load(&parts[3].began));
    return 0;
}

/* Fails when the race has begun to wait: the first of them; the others when that has ended. */
struct failing {
    int status;
    pirn_task *racer;
    _Atomic(pirn_task *) *first;
    bool is_first;
};

static int fails(void *arg)
{
    struct failing *f = arg;
    support_until_waiting(f->racer);
    if (f->is_first) {
        atomic_store(f->first, pirn_retain(pirn_current()));
        return f->status;
    }
    while (atomic_load(f->first) == NULL || !pirn_done(atomic_load(f->first)))
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
    support_until_waiting(f->racer); /* it has heard of it, but for a moment */
    CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    return f->status;
}

static int all_fail(void *arg)
{
    _Atomic(pirn_task *) first = NULL;
    struct failing parts[3] = {{-EIO, pirn_current(), &first, false},
                               {-EPIPE, pirn_current(), &first, true},
                               {-ENOENT, pirn_current(), &first, false}};
    pirn_call calls[3];
    int statuses[3];
    size_t winner = 9;
    (void)arg;
    for (int i = 0; i < 3; i++)
        calls[i] = (pirn_call){fails, &parts[i]};
    CHECK_EQ(pirn_race(calls, 3, &winner, NULL, statuses, PIRN_NEVER), -EPIPE);
    CHECK_OK(pirn_release(atomic_load(&first)));
    CHECK_EQ(winner, 9);
    CHECK_EQ(statuses[0], -EIO);
    CHECK_EQ(statuses[1], -EPIPE);
    CHECK_EQ(statuses[2], -ENOENT);
    CHECK_EQ(pirn_race(calls, 0, &winner, NULL, NULL, PIRN_NEVER), -EINVAL); /* none: no hang */
    CHECK_EQ(pirn_race(NULL, 1, &winner, NULL, NULL, PIRN_NEVER), -EINVAL);
    calls[0].fn = NULL; /* one of them cannot begin */
    CHECK_EQ(pirn_race(calls, 3, &winner, NULL, NULL, PIRN_NEVER), -EINVAL);
    return 0;
}

static int stopped(void *arg)
{
    struct part parts[2] = {{.ms = FOR_EVER, .cleanup_ms = 3}, {.ms = FOR_EVER}};
    pirn_call calls[2] = {{run_part, &parts[0]}, {run_part, &parts[1]}};
    (void)arg;
    CHECK_EQ(pirn_race(calls, 2, NULL, NULL, NULL, pirn_after_ms(2)), -ETIMEDOUT);
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    CHECK_OK(pirn_timeout_enter(&t, pirn_after_ms(2)));
    CHECK_EQ(pirn_race(calls, 2, NULL, NULL, NULL, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&t, -ECANCELED), -ETIMEDOUT);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(atomic_load(&parts[i].began), atomic_load(&parts[i].ended));
    return 0;
}

START_TEST(a81_first_wins)
{
    run_everywhere(winner_is_first);
    run_everywhere(all_fail);
    run_everywhere(stopped);
    pirn_call call = {all_fail, NULL};
    CHECK_EQ(pirn_race(&call, 1, NULL, NULL, NULL, PIRN_NEVER), -EPERM);
}
END_TEST

/* Two succeed at the same instant: one has won, and what it says is had. */
struct twin {
    support_barrier *barrier;
    int status;
    struct twin *first; /* now and then one goes first, so that each wins on any machine */
    atomic_int through;
};

static int succeeds(void *arg)
{
    struct twin *t = arg;
    support_meet(t->barrier);
    if (t->first != NULL)
        support_until(&t->first->through, 1);
    atomic_store(&t->through, 1);
    return t->status;
}

static int twins(void *arg)
{
    int rounds = support_rounds(3400), wins[2] = {0, 0};
    support_barrier barrier = {.n = 2};
    (void)arg;
    for (int i = 0; i < rounds; i++) {
        struct twin t[2] = {{.barrier = &barrier, .status = 1}, {.barrier = &barrier, .status = 2}};
        if (i % 8 < 2)
            t[i % 8].first = &t[1 - i % 8];
        pirn_call calls[2] = {{succeeds, &t[0]}, {succeeds, &t[1]}};
        size_t winner = 9;
        pirn_task *task = NULL;
        CHECK_OK(pirn_race(calls, 2, &winner, &task, NULL, PIRN_NEVER));
        CHECK_EQ(pirn_status(task), (int)winner + 1);
        wins[winner]++;
        CHECK_OK(pirn_release(task));
    }
    CHECK_GE(wins[0], rounds / 100);
    CHECK_GE(wins[1], rounds / 100);
    return 0;
}

START_TEST(a81_twins)
{
    for (int w = 2; w <= 4; w *= 2) /* they spin until both are there */
        CHECK_OK(support_run(w, twins, NULL));
}
END_TEST

/* ---- map ------------------------------------------------------------------------------------- */

struct tally {
    atomic_int running, most, calls;
    int ms, fails_at;
};

static int tallied(size_t i, void *arg)
{
    struct tally *t = arg;
    int running = atomic_fetch_add(&t->running, 1) + 1, most = atomic_load(&t->most);
    while (running > most && !atomic_compare_exchange_weak(&t->most, &most, running)) {}
    atomic_fetch_add(&t->calls, 1);
    while (t->ms == 0 && atomic_load(&t->most) < 2) /* until there is a second one */
        CHECK_OK(pirn_yield());
    int rc = t->ms != 0 ? pirn_sleep(pirn_after_ms(t->ms)) : pirn_yield();
    atomic_fetch_sub(&t->running, 1);
    return rc != 0 ? rc : (int)i == t->fails_at ? -EIO : (int)i;
}

static int bounded(void *arg)
{
    enum {
        N = 100
    };
    int statuses[N];
    (void)arg;
    for (size_t limit = 0; limit <= 7; limit += 7) {
        struct tally t = {.fails_at = 50};
        CHECK_OK(pirn_map(N, limit, tallied, &t, statuses, PIRN_NEVER));
        CHECK_EQ(atomic_load(&t.calls), N);
        CHECK(limit == 0 || atomic_load(&t.most) <= (int)limit);
        CHECK_GE(atomic_load(&t.most), 2);
        for (int i = 0; i < N; i++)
            CHECK_EQ(statuses[i], i == 50 ? -EIO : i);
    }
    struct tally slow = {.ms = FOR_EVER, .fails_at = -1};
    CHECK_EQ(pirn_map(N, 5, tallied, &slow, statuses, pirn_after_ms(3)), -ETIMEDOUT);
    CHECK_LE(atomic_load(&slow.calls), 5);
    CHECK_EQ(atomic_load(&slow.running), 0);
    for (int i = 0; i < N; i++)
        CHECK_EQ(statuses[i], -ECANCELED);
    CHECK_OK(pirn_map(0, 5, tallied, &slow, NULL, PIRN_NEVER));
    CHECK_EQ(pirn_map(1, 5, NULL, &slow, NULL, PIRN_NEVER), -EINVAL);
    return 0;
}

START_TEST(map_bounds_how_many_run)
{
    run_everywhere(bounded);
    CHECK_EQ(pirn_map(1, 1, tallied, NULL, NULL, PIRN_NEVER), -EPERM);
}
END_TEST

/* Each call's cleanups are run when it is over, and not with the runner's end. */
static void note(void *arg, int status)
{
    (void)status;
    ++*(int *)arg;
}

struct cleaned {
    int runs, late;
};

static int defers(size_t i, void *arg)
{
    struct cleaned *c = arg;
    c->late += c->runs != (int)i; /* one after the other */
    return pirn_defer(note, &c->runs);
}

static int cleans_up(void *arg)
{
    struct cleaned c = {0, 0};
    (void)arg;
    CHECK_OK(pirn_map(20, 1, defers, &c, NULL, PIRN_NEVER));
    CHECK(c.runs == 20 && c.late == 0);
    return 0;
}

/* On one worker, where that has one child too. */
static int loop_cleans_up(void *arg)
{
    struct cleaned c = {0, 0};
    (void)arg;
    CHECK_OK(pirn_parallel_for(0, 20, defers, &c));
    CHECK(c.runs == 20 && c.late == 0);
    return 0;
}

START_TEST(map_cleans_up_after_each)
{
    run_everywhere(cleans_up);
    CHECK_OK(support_run(1, loop_cleans_up, NULL));
}
END_TEST

SUPPORT_MAIN("asyncio/race_map", a81_first_wins, a81_twins, map_bounds_how_many_run,
             map_cleans_up_after_each)
