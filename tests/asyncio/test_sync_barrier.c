/*
 * Barriers: rows A127, A128.
 */
#include "tests/asyncio/sync.h"

static int arrive(struct caller *c)
{
    return pirn_barrier_wait(c->object, c->deadline);
}

static void start(struct caller *c, pirn_barrier *b, bool thread)
{
    *c = (struct caller){.fn = arrive, .object = b, .deadline = PIRN_NEVER};
    sync_start(c, thread);
}

/* ---- Alone ------------------------------------------------------------------------------- */

static void alone(void)
{
    pirn_barrier b;
    memset(&b, 0, sizeof(b));
    CHECK_EQ(pirn_barrier_wait(&b, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_barrier_abort(&b), -EINVAL);
    CHECK_EQ(pirn_barrier_init(&b, 0), -EINVAL);
    CHECK_EQ(pirn_barrier_init(&b, -1), -EINVAL);
    CHECK_EQ(pirn_barrier_init(NULL, 1), -EINVAL);
    CHECK_OK(pirn_barrier_init(&b, 1));
    CHECK_EQ(pirn_barrier_parties(&b), 1);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pirn_barrier_wait(&b, PIRN_NOW), 0);
    CHECK_OK(pirn_barrier_init(&b, 2));
    CHECK_EQ(pirn_barrier_wait(&b, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_barrier_wait(&b, pirn_after_ms(2)), -ETIMEDOUT);
    CHECK_EQ(pirn_barrier_n_waiting(&b), 0);
    CHECK_EQ(pirn_barrier_is_broken(&b), 0);
}

/* ---- Round after round ------------------------------------------------------------------- */

enum {
    PARTIES = 6
};

struct rounds {
    pirn_barrier b;
    int n;
    int plain[PARTIES];         /* written before a round, read by all after it */
    atomic_int places[PARTIES]; /* how often each was given */
    atomic_int ids;
};

static int go_round(void *arg)
{
    struct rounds *r = arg;
    int me = atomic_fetch_add(&r->ids, 1);
    for (int i = 0; i < r->n; i++) {
        r->plain[me] = i;
        int place = pirn_barrier_wait(&r->b, PIRN_NEVER);
        CHECK(place >= 0 && place < PARTIES);
        atomic_fetch_add(&r->places[place], 1);
        for (int k = 0; k < PARTIES; k++)
            CHECK_EQ(r->plain[k], i);
        CHECK_GE(pirn_barrier_wait(&r->b, PIRN_NEVER), 0); /* nobody writes before all have read */
    }
    return 0;
}

static void *go_round_on_thread(void *arg)
{
    CHECK_OK(go_round(arg));
    return NULL;
}

static int rounds(void *arg)
{
    (void)arg;
    struct rounds r = {.n = support_rounds(500)};
    pirn_task *task[PARTIES - 2];
    pthread_t thread[2];
    CHECK_OK(pirn_barrier_init(&r.b, PARTIES));
    for (int i = 0; i < PARTIES - 2; i++)
        task[i] = support_spawn(go_round, &r);
    for (int i = 0; i < 2; i++)
        thread[i] = support_thread(go_round_on_thread, &r);
    for (int i = 0; i < PARTIES - 2; i++)
        CHECK_OK(support_join(task[i]));
    for (int i = 0; i < 2; i++)
        support_thread_join(thread[i]);
    for (int i = 0; i < PARTIES; i++)
        CHECK_EQ(atomic_load(&r.places[i]), r.n); /* distinct in each round */
    CHECK_EQ(pirn_barrier_n_waiting(&r.b), 0);
    return 0;
}

/* Those of a round that is over have not all run yet; who comes is of the next one. */
static int late(void *arg)
{
    (void)arg;
    pirn_barrier b;
    struct caller c[2];
    CHECK_OK(pirn_barrier_init(&b, 3));
    start(&c[0], &b, false);
    start(&c[1], &b, true);
    CHECK_EQ(pirn_barrier_n_waiting(&b), 2);
    CHECK_EQ(pirn_barrier_wait(&b, PIRN_NEVER), 2);
    CHECK_EQ(pirn_barrier_wait(&b, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(sync_finish(&c[0]), 0);
    CHECK_EQ(sync_finish(&c[1]), 1);
    return 0;
}

START_TEST(a127_distinct_places_round_after_round)
{
    support_everywhere(alone);
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, rounds, NULL));
        CHECK_OK(support_run(w, late, NULL));
    }
}
END_TEST

/* ---- Leaving, breaking ------------------------------------------------------------------- */

static int leaving(void *arg)
{
    (void)arg;
    pirn_barrier b;
    struct caller c[3];
    CHECK_OK(pirn_barrier_init(&b, 3));
    for (int i = 0; i < 3; i++) {
        start(&c[i], &b, i == 2);
        if (i == 1) { /* the first leaves, and its place counts no more */
            CHECK_OK(pirn_cancel(c[0].task, NULL));
            CHECK_EQ(pirn_barrier_n_waiting(&b), 1); /* though it may not have run since */
            CHECK_EQ(sync_finish(&c[0]), -ECANCELED);
            CHECK_EQ(pirn_barrier_n_waiting(&b), 1);
        }
    }
    CHECK_EQ(pirn_barrier_n_waiting(&b), 2);
    CHECK_EQ(pirn_barrier_is_broken(&b), 0);
    CHECK_EQ(pirn_barrier_wait(&b, PIRN_NEVER), 2);
    CHECK_EQ(sync_finish(&c[1]), 0);
    CHECK_EQ(sync_finish(&c[2]), 1);
    return 0;
}

static int breaking(void *arg)
{
    (void)arg;
    pirn_barrier b;
    struct caller c[2];
    CHECK_OK(pirn_barrier_init(&b, 3));
    for (int round = 0; round < 3; round++) {
        start(&c[0], &b, false);
        start(&c[1], &b, true);
        CHECK_OK(pirn_barrier_abort(&b));
        for (int i = 0; i < 2; i++)
            CHECK_EQ(sync_finish(&c[i]), -EPIPE);
        CHECK_EQ(pirn_barrier_is_broken(&b), 1);
        CHECK_EQ(pirn_barrier_n_waiting(&b), 0);
        CHECK_EQ(pirn_barrier_wait(&b, PIRN_NEVER), -EPIPE); /* later ones, too */
        CHECK_OK(pirn_barrier_abort(&b));
        CHECK_OK(pirn_barrier_reset(&b));
        CHECK_EQ(pirn_barrier_is_broken(&b), 0);
        start(&c[0], &b, true);
        start(&c[1], &b, false);
        CHECK_OK(pirn_barrier_reset(&b)); /* those that wait; then it is usable */
        for (int i = 0; i < 2; i++)
            CHECK_EQ(sync_finish(&c[i]), -EPIPE);
        CHECK_EQ(pirn_barrier_is_broken(&b), 0);
        start(&c[0], &b, true);
        start(&c[1], &b, false);
        CHECK_EQ(pirn_barrier_wait(&b, PIRN_NEVER), 2);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(sync_finish(&c[i]), i);
    }
    return 0;
}

/* One of three is cancelled at the moment the last arrives: all have arrived, or it left and the
 * others wait on. */
struct duel {
    support_barrier barrier;
    pirn_task *task;
};

static void *cancel_on_thread(void *arg)
{
    struct duel *d = arg;
    support_meet(&d->barrier);
    pirn_cancel(d->task, NULL);
    return NULL;
}

static int arrive_and_take_cancel(struct caller *c)
{
    int rc = arrive(c);
    if (c->id == 0)
        CHECK_EQ(pirn_sleep(pirn_after_ms(rc >= 0 ? 10000 : 0)), rc >= 0 ? -ECANCELED : 0);
    return rc;
}

static int duel(void *arg)
{
    (void)arg;
    int seen[2] = {0, 0};
    for (int i = 0; i < support_rounds(1500); i++) {
        struct duel d = {.barrier = {.n = 2}};
        struct caller c[3];
        pirn_barrier b;
        CHECK_OK(pirn_barrier_init(&b, 3));
        for (int k = 0; k < 3; k++)
            c[k] = (struct caller){.fn = arrive_and_take_cancel, .object = &b, PIRN_NEVER, .id = k};
        sync_start(&c[0], false);
        sync_start(&c[1], false);
        d.task = c[0].task;
        pthread_t thread = support_thread(cancel_on_thread, &d);
        bool clearly_first = i % 8 == 0, clearly_last = i % 8 == 1; /* the cancel */
        if (!clearly_last)
            support_meet(&d.barrier);
        if (clearly_first)
            support_thread_join(thread);
        c[2].task = support_spawn(sync_call, &c[2]);
        while (clearly_last && pirn_barrier_n_waiting(&b) != 0)
            CHECK_OK(pirn_yield());
        if (clearly_last)
            support_meet(&d.barrier);
        int first = sync_finish(&c[0]);
        CHECK(first == 0 || first == -ECANCELED);
        seen[first == 0]++;
        if (clearly_first || clearly_last)
            CHECK_EQ(first == 0, clearly_last);
        if (first == 0) {
            CHECK_EQ(sync_finish(&c[1]), 1);
            CHECK_EQ(sync_finish(&c[2]), 2);
        } else {
            int sum = pirn_barrier_wait(&b, PIRN_NEVER);
            for (int k = 1; k < 3; k++) {
                CHECK_GE(sync_finish(&c[k]), 0);
                sum += c[k].rc;
            }
            CHECK_EQ(sum, 0 + 1 + 2);
        }
        if (!clearly_first)
            support_thread_join(thread);
        CHECK_EQ(pirn_barrier_n_waiting(&b), 0);
    }
    CHECK_GE(seen[0], 1);
    CHECK_GE(seen[1], 1);
    return 0;
}

START_TEST(a128_leaving_and_breaking)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, leaving, NULL));
        CHECK_OK(support_run(w, breaking, NULL));
        CHECK_OK(support_run(w, duel, NULL));
    }
}
END_TEST

SUPPORT_MAIN("sync_barrier", a127_distinct_places_round_after_round, a128_leaving_and_breaking)
