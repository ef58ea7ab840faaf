/*
 * Looking before sleeping: what is there already, or comes meanwhile, is seen; what does not come
 * is looked for more and more seldom, and again at each wait once it has come in time. A cancel and
 * a deadline end a look. And two ends that sleep by turns hear each other whichever way they wait.
 */
#include "tests/support.h"

#include "io/clock.h"
#include "runtime/patience.h"

static const struct cell fresh = {.kind = CELL_THREAD};

static bool looks(struct patience *p, const struct cell *c)
{
    return pirn_patience_look(p, c, 0, INT64_MAX);
}

START_TEST(what_is_there_is_seen)
{
    struct cell c = fresh;
    struct patience p = {0, 0};
    CHECK_EQ(pirn_cell_claim(&c, 0, WAKE_OBJECT), CLAIM_EARLY);
    for (int i = 0; i < 1000; i++)
        CHECK(looks(&p, &c));
    CHECK_EQ(p.vain, 0);
}
END_TEST

START_TEST(what_does_not_come_is_looked_for_more_and_more_seldom)
{
    struct cell c = fresh;
    struct patience p = {0, 0};
    for (int skips = 1; skips < 256; skips = 2 * skips + 1) {
        CHECK(!looks(&p, &c)); /* a look, and then none for that many waits */
        CHECK_EQ(p.skip, skips);
        while (p.skip > 0)
            CHECK(!looks(&p, &c));
    }
    for (int i = 0; i < 3; i++, p.skip = 0) {
        CHECK(!looks(&p, &c));
        CHECK_EQ(p.skip, 255); /* and no more than that */
    }
    CHECK_EQ(pirn_cell_claim(&c, 0, WAKE_OBJECT), CLAIM_EARLY);
    CHECK(looks(&p, &c));
    CHECK_EQ(p.vain, 0);
    CHECK_EQ(p.skip, 0);
}
END_TEST

START_TEST(a_cancel_and_a_deadline_end_a_look)
{
    struct cell c = fresh;
    struct patience p = {0, 0};
    uint32_t gen;
    CHECK(!pirn_patience_look(&p, &c, 0, clock_now()));
    CHECK(!pirn_patience_look(&(struct patience){0, 0}, &c, 0, 0));
    CHECK_EQ(pirn_cell_cancel(&c, 0, true, &gen), CANCEL_NOTED);
    CHECK(!pirn_patience_look(&(struct patience){0, 0}, &c, 0, INT64_MAX));
}
END_TEST

/* ---- From another thread --------------------------------------------------------------------- */

enum {
    CLAIMS = 500
};

static struct cell shared;
static int written; /* before the claim, read after the look */
static atomic_int turn;

static void *claim_each(void *arg)
{
    for (int i = 1; i <= CLAIMS; i++) {
        while (atomic_load(&turn) != i)
            sched_yield();
        written = i;
        CHECK(pirn_cell_claim(&shared, (uint32_t)(i - 1), WAKE_OBJECT) != CLAIM_LOST);
    }
    return arg;
}

START_TEST(what_comes_meanwhile_is_seen_with_what_was_written_before)
{
    pthread_t other = support_thread(claim_each, NULL);
    struct patience p = {0, 0};
    int early = 0;
    shared = fresh;
    for (int i = 1; i <= CLAIMS; i++) {
        uint32_t gen = (uint32_t)(i - 1);
        atomic_store(&turn, i);
        early += pirn_patience_look(&p, &shared, gen, INT64_MAX);
        while (!pirn_patience_look(&(struct patience){0, 0}, &shared, gen, INT64_MAX)) {}
        CHECK_EQ(written, i);
    }
    support_thread_join(other);
    printf("seen by the first look: %d of %d\n", early, CLAIMS);
}
END_TEST

/* ---- Two ends -------------------------------------------------------------------------------- */

enum {
    TRIPS = 3000
};

static pirn_channel *to, *fro;

/* Now and then so late that the peer has gone to sleep. */
static int pong(void *arg)
{
    int ball;
    for (int i = 0; pirn_channel_recv(to, &ball, PIRN_NEVER) == 1; i++) {
        if (i % 100 == 0)
            support_pause_ms(1);
        ball++;
        CHECK_OK(pirn_channel_send(fro, &ball, PIRN_NEVER));
    }
    return arg != NULL;
}

static void ping(void)
{
    int ball = 0;
    for (int i = 0; i < TRIPS; i++) {
        CHECK_OK(pirn_channel_send(to, &ball, PIRN_NEVER));
        if (i % 100 == 50)
            support_pause_ms(1);
        CHECK_EQ(pirn_channel_recv(fro, &ball, PIRN_NEVER), 1);
    }
    CHECK_EQ(ball, TRIPS);
    CHECK_OK(pirn_channel_close(to, PIRN_CHANNEL_SEND));
}

static void *ping_of_a_thread(void *arg)
{
    ping();
    return arg;
}

static int ping_of_a_task(void *arg)
{
    ping();
    return arg != NULL;
}

static int meet(void *arg)
{
    const bool *plain = arg;
    pirn_spawn_config pinned = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *ends[2] = {NULL, NULL};
    pthread_t thread = 0;
    pinned.flags = PIRN_PINNED;
    CHECK_OK(pirn_channel_new(&to, sizeof(int), 0, NULL));
    CHECK_OK(pirn_channel_new(&fro, sizeof(int), 0, NULL));
    CHECK_OK(pirn_spawn_with(&ends[0], &pinned, pong, NULL));
    if (*plain)
        thread = support_thread(ping_of_a_thread, NULL);
    else
        CHECK_OK(pirn_spawn_with(&ends[1], &pinned, ping_of_a_task, NULL));
    CHECK_OK(support_join(ends[0]));
    if (*plain)
        support_thread_join(thread);
    else
        CHECK_OK(support_join(ends[1]));
    pirn_channel_release(to);
    pirn_channel_release(fro);
    return 0;
}

START_TEST(two_ends_hear_each_other_awake_or_asleep)
{
    for (int w = 1; w <= 4; w *= 2) {
        CHECK_OK(support_run(w, meet, &(bool){false}));
        CHECK_OK(support_run(w, meet, &(bool){true}));
    }
}
END_TEST

SUPPORT_MAIN("runtime/patience", what_is_there_is_seen,
             what_does_not_come_is_looked_for_more_and_more_seldom,
             a_cancel_and_a_deadline_end_a_look,
             what_comes_meanwhile_is_seen_with_what_was_written_before,
             two_ends_hear_each_other_awake_or_asleep)
