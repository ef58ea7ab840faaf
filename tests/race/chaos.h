/*
 * Chaos: coroutines of two runtimes (some on one strand, some pinned) and plain threads do random
 * things to the same objects, while they are cancelled, run out of time, are inside timeouts and
 * shields; in some tests there is a third runtime, which ends in the middle of it, or is paused now
 * and then.
 *
 * A round has its actors; each plays its part to the end, trying again what was stopped. After a
 * few cancels at the beginning nobody ends a wait any more: so who is not woken for what is there
 * hangs, and the watchdog tells. No cancel is lost, or told twice, and members of the strand do not
 * overlap. What else must hold is counted by the parts, and looked at when all have ended.
 *
 * What is drawn comes from a seed: PIRN_CHAOS_SEED, else the clock; it is told if PIRN_TEST_VERBOSE
 * is set. Who runs when is not in it.
 */
#ifndef PIRN_TESTS_RACE_CHAOS_H
#define PIRN_TESTS_RACE_CHAOS_H

#include "tests/race/rounds.h"

enum {
    CHAOS_ACTORS = 40
};

struct chaos;

enum chaos_third {
    CHAOS_NO_THIRD,
    CHAOS_ENDS,
    CHAOS_PAUSES
};

struct actor {
    struct chaos *chaos;
    void (*part)(struct actor *a);
    int number, quota; /* for the parts */
    int told;          /* of cancels */
    bool on_strand;
    bool passes_on; /* cancels, to what it awaits: it may be told none */
    uint64_t random;
    pirn_task *task; /* NULL: a plain thread */
    pthread_t thread;
    void *handles[8]; /* for the parts */
};

struct chaos {
    uint64_t random;
    enum chaos_third third; /* runtime there is */
    bool ends;              /* it ends in the middle of a round */
    _Atomic(pirn_runtime *) runtime[3];
    pirn_semaphore up, over, third_over;
    atomic_int played; /* all have: the third is paused no more */
    int workers, n;
    atomic_int begun;
    pirn_strand *strand;
    int turns; /* those of the strand's */
    struct actor actors[CHAOS_ACTORS];
    void *objects;
};

static inline uint64_t chaos_draw(uint64_t *state, uint64_t n) /* below n */
{
    *state ^= *state << 13; /* xorshift */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (*state >> 11) % n;
}

static inline uint64_t chaos_roll(struct actor *a, uint64_t n)
{
    return chaos_draw(&a->random, n);
}

/* ---- Calls that may be stopped ----------------------------------------------------------- */

static inline pirn_time chaos_soon(struct actor *a)
{
    return chaos_roll(a, 3) == 0 ? PIRN_NOW : pirn_after_us((int64_t)chaos_roll(a, 60));
}

static inline pirn_time chaos_deadline(struct actor *a)
{
    return chaos_roll(a, 8) < 6 ? PIRN_NEVER : chaos_soon(a);
}

/* Did not happen, and is to be tried again. */
static inline bool chaos_stopped(int rc)
{
    return rc == -ECANCELED || rc == -ETIMEDOUT || rc == -EAGAIN;
}

/* What a call has returned. */
static inline int chaos_note(struct actor *a, int rc)
{
    if (a->on_strand) {
        int turns = ++a->chaos->turns;
        for (volatile int i = 0; i < 20; i++) {}
        CHECK_EQ(a->chaos->turns, turns); /* nobody else has a turn */
    }
    a->told += rc == -ECANCELED;
    return rc;
}

/* op, some of the time inside a timeout or a shield; what it returned. */
static inline int chaos_call(struct actor *a, int (*op)(struct actor *a, void *arg, pirn_time t),
                             void *arg, pirn_time deadline)
{
    uint64_t how = a->task != NULL ? chaos_roll(a, 16) : 9;
    pirn_timeout timeout = PIRN_TIMEOUT_INIT;
    if (how < 3)
        CHECK_OK(pirn_timeout_enter(&timeout, chaos_soon(a)));
    if (how == 3)
        CHECK_OK(pirn_shield_enter());
    int rc = op(a, arg, deadline);
    CHECK(rc != -ETIMEDOUT || deadline.ns != PIRN_NEVER.ns);
    if (how == 3) {
        CHECK(rc != -ECANCELED);
        CHECK_OK(pirn_shield_leave());
    }
    if (how < 3)
        rc = pirn_timeout_leave(&timeout, rc);
    return chaos_note(a, rc);
}

/* Lets time go by, without waiting for anything, or waiting a little. */
static inline void chaos_dawdle(struct actor *a)
{
    int rc = 0;
    switch (chaos_roll(a, 8)) {
    case 0:
        rc = a->task != NULL ? pirn_yield() : 0;
        break;
    case 1:
        rc = pirn_sleep(pirn_after_us((int64_t)chaos_roll(a, 40)));
        break;
    case 2:
        support_spin((int64_t)chaos_roll(a, 5000));
        break;
    }
    CHECK(chaos_note(a, rc) == 0 || rc == -ECANCELED || rc == -ESHUTDOWN);
}

/* ---- Actors ------------------------------------------------------------------------------ */

static inline int chaos_play(void *arg)
{
    struct actor *a = arg;
    atomic_fetch_add(&a->chaos->begun, 1);
    a->part(a);
    if (a->task == NULL)
        return 0;
    int asked = pirn_cancelling(NULL), rc;
    while ((rc = chaos_note(a, pirn_yield())) == -ECANCELED) {}
    if (rc == -ESHUTDOWN)
        return 0;
    CHECK(asked == 0 || a->told > 0 || a->passes_on); /* those that wait together are told as one */
    CHECK_LE(a->told, pirn_cancelling(NULL));
    return 0;
}

static inline void *chaos_play_on_thread(void *arg)
{
    chaos_play(arg);
    return NULL;
}

static inline struct actor *chaos_add(struct chaos *c, void (*part)(struct actor *a), int number)
{
    CHECK(c->n < CHAOS_ACTORS);
    struct actor *a = &c->actors[c->n++];
    *a = (struct actor){.chaos = c, .part = part, .number = number};
    a->random = chaos_draw(&c->random, UINT64_MAX) | 1;
    return a;
}

static inline void chaos_start(struct chaos *c, struct actor *a)
{
    uint64_t where = chaos_draw(&c->random, 16);
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.runtime = atomic_load(
        &c->runtime[c->third != CHAOS_NO_THIRD && chaos_draw(&c->random, 3) == 0 ? 2 : where % 2]);
    if (where == 0)
        config.flags = PIRN_PINNED;
    else if (where < 4)
        config.strand = c->strand;
    a->on_strand = config.strand != NULL;
    if (where < 12)
        CHECK_OK(pirn_spawn_with(&a->task, &config, chaos_play, a));
    else
        a->thread = support_thread(chaos_play_on_thread, a);
}

/* ---- Two runtimes ------------------------------------------------------------------------ */

struct chaos_side {
    struct chaos *chaos;
    int number;
};

/* Errors that nobody looks at are part of it. */
static inline void chaos_report(void *user, const char *line)
{
    (void)user;
    if (strstr(line, "nobody looked") == NULL)
        fprintf(stderr, "pirn: %s\n", line);
}

static inline int chaos_side_main(void *arg)
{
    struct chaos_side *s = arg;
    atomic_store(&s->chaos->runtime[s->number], pirn_runtime_current());
    CHECK_OK(pirn_semaphore_release(&s->chaos->up, 1));
    return pirn_semaphore_acquire(s->number == 2 ? &s->chaos->third_over : &s->chaos->over,
                                  PIRN_NEVER);
}

static inline void *chaos_side_thread(void *arg)
{
    struct chaos_side *s = arg;
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = s->chaos->workers;
    config.report = chaos_report;
    CHECK_OK(support_run_with(&config, chaos_side_main, s));
    return NULL;
}

static inline int chaos_nap(void *arg)
{
    return pirn_sleep(pirn_after_us((int64_t)chaos_draw(arg, 200)));
}

static inline void *chaos_third_thread(void *arg)
{
    struct chaos_side *s = arg;
    struct chaos *c = s->chaos;
    pirn_config config = PIRN_CONFIG_INIT;
    pirn_runtime *rt = NULL;
    uint64_t random = c->random | 1;
    config.workers = c->workers;
    config.report = chaos_report;
    if (c->ends) {
        config.grace.ns = MS / 2;
        int rc = pirn_run_with(&config, chaos_side_main, s, NULL);
        CHECK(rc == 0 || rc == -EBUSY); /* a second is short on a busy machine: they end later */
        return NULL;
    }
    CHECK_OK(pirn_runtime_new(&rt, &config));
    atomic_store(&c->runtime[2], rt);
    CHECK_OK(pirn_semaphore_release(&c->up, 1));
    while (!atomic_load(&c->played)) {
        CHECK_OK(pirn_runtime_run_until_complete(rt, chaos_nap, &random, NULL));
        support_spin((int64_t)chaos_draw(&random, 100000));
    }
    CHECK_OK(pirn_runtime_free(rt));
    return NULL;
}

/* ---- A round ----------------------------------------------------------------------------- */

/* The actors are there; all of them play, and are cancelled now and then for a while. */
static inline void chaos_round(struct chaos *c)
{
    struct chaos_side third = {c, 2};
    pthread_t thread = 0;
    atomic_store(&c->begun, 0);
    atomic_store(&c->played, 0);
    if (c->third != CHAOS_NO_THIRD) {
        thread = support_thread(chaos_third_thread, &third);
        CHECK_OK(pirn_semaphore_acquire(&c->up, PIRN_NEVER));
    }
    for (int i = 0; i < c->n; i++)
        chaos_start(c, &c->actors[i]);
    support_until(&c->begun, c->n); /* who has not begun would never */
    uint64_t cancels = chaos_draw(&c->random, 3 * (uint64_t)c->n) + 1;
    uint64_t end = chaos_draw(&c->random, cancels);
    while (cancels-- > 0) {
        struct actor *a = &c->actors[chaos_draw(&c->random, (uint64_t)c->n)];
        support_spin((int64_t)chaos_draw(&c->random, 20000));
        if (a->task != NULL)
            pirn_cancel(a->task, "chaos");
        if (c->ends && cancels == end)
            CHECK_OK(pirn_semaphore_release(&c->third_over, 1));
    }
    if (c->ends)
        support_thread_join(thread);
    for (int i = 0; i < c->n; i++) {
        if (c->actors[i].task != NULL)
            CHECK_OK(support_join(c->actors[i].task));
        else
            support_thread_join(c->actors[i].thread);
    }
    atomic_store(&c->played, 1);
    if (c->third == CHAOS_PAUSES)
        support_thread_join(thread);
    c->n = 0;
}

/* Rounds at W = 1, 2 and 4, as many as there is time for. */
static inline void chaos_run(void (*round)(struct chaos *c), enum chaos_third third)
{
    const char *given = getenv("PIRN_CHAOS_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)support_now();
    bool verbose = getenv("PIRN_TEST_VERBOSE") != NULL;
    int rounds = support_rounds(1000);
    if (verbose)
        fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    FOR_WORKERS(w)
    {
        struct chaos *c = calloc(1, sizeof(*c));
        struct chaos_side sides[2];
        pthread_t threads[2];
        CHECK(c);
        c->workers = w;
        c->third = third;
        c->ends = third == CHAOS_ENDS;
        c->random = seed * 2 + 1;
        CHECK_OK(pirn_strand_new(&c->strand));
        for (int i = 0; i < 2; i++) {
            sides[i] = (struct chaos_side){c, i};
            threads[i] = support_thread(chaos_side_thread, &sides[i]);
        }
        for (int i = 0; i < 2; i++)
            CHECK_OK(pirn_semaphore_acquire(&c->up, PIRN_NEVER));
        int64_t began = support_now(), share = rounds_patience(0.2);
        int done = 0;
        while (done < rounds && (done < 3 || support_now() - began < share)) {
            round(c);
            done++;
        }
        if (verbose)
            fprintf(stderr, "W=%d: %d rounds\n", w, done);
        CHECK_OK(pirn_semaphore_release(&c->over, 2));
        for (int i = 0; i < 2; i++)
            support_thread_join(threads[i]);
        pirn_strand_release(c->strand);
        free(c);
    }
}

#endif
