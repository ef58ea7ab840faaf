/* wraps pirn_runq_steal */
/*
 * Who hands over what to whom, who is left alone, and what a thief takes: workers that are nothing
 * but what their peers see of them. (What comes of it in a run stands or falls with how long things
 * take.)
 */
#include "tests/support.h"

#include "io/clock.h"
#include "runtime/runtime.h"
#include "runtime/task.h"
#include "runtime/worker.h"

enum {
    WORKERS = 3,
    TASKS = 65, /* one more than are handed over */
    FEW = 3     /* which the ring has room for, in hard mode too */
};

static struct pirn_runtime rt;
static struct worker *workers[WORKERS];
static struct pirn_task tasks[TASKS];
static bool trial_is_taken; /* by another, while this one looks for what to try */

unsigned __real_pirn_runq_steal(struct runq *q, struct node **ret_nodes, unsigned max, bool slot,
                                bool (*want)(const struct node *n));
unsigned __wrap_pirn_runq_steal(struct runq *q, struct node **ret_nodes, unsigned max, bool slot,
                                bool (*want)(const struct node *n));

unsigned __wrap_pirn_runq_steal(struct runq *q, struct node **ret_nodes, unsigned max, bool slot,
                                bool (*want)(const struct node *n))
{
    unsigned n = __real_pirn_runq_steal(q, ret_nodes, max, slot, want);
    if (trial_is_taken && n != 0)
        atomic_store(&rt.trial, 0);
    return n;
}

/* So many workers, awake, calm and well; where the times of their looks count they are never too
 * long ago. */
static void begin(unsigned count)
{
    memset(&rt, 0, sizeof(rt));
    memset(tasks, 0, sizeof(tasks));
    rt.workers = workers;
    rt.worker_count = count;
    atomic_store(&rt.thread_count, count);
    atomic_store(&rt.crowded_until, INT64_MIN / 2);
    for (int lane = 0; lane < LANES; lane++)
        pirn_inject_init(&rt.inject[lane]);
    for (unsigned i = 0; i < WORKERS; i++) {
        free(workers[i]);
        struct worker *w = workers[i] = calloc(1, sizeof(*w));
        CHECK(w != NULL);
        w->rt = &rt;
        w->index = i;
        w->random = i + 1;
        w->now = clock_now();
        w->slept = true;
        atomic_store(&w->looked, w->now + 1000000 * MS);
        atomic_store(&w->ran_long, w->now - 1000000 * MS);
        atomic_store(&w->idle_at, w->now);
        atomic_store(&w->each_ns, 1000);
        pirn_runq_init(&w->q);
    }
    for (int i = 0; i < TASKS; i++) {
        tasks[i].rt = &rt;
        tasks[i].id = (uint64_t)i;
        task_set_started(&tasks[i], STARTED);
    }
}

static void park(unsigned i)
{
    atomic_store(&workers[i]->parker.state, PARKER_KERNEL);
}

/* The first n tasks, the first of them in the slot. */
static void give(struct worker *w, int n)
{
    CHECK(pirn_runq_push_slot(&w->q, &tasks[0].node) == NULL);
    for (int i = 1; i < n; i++)
        CHECK(pirn_runq_push(&w->q, &tasks[i].node));
}

/* Has it these tasks, and in this order? */
static bool has(struct worker *w, int n)
{
    unsigned runs = 0;
    for (int i = 0; i < n; i++)
        if (pirn_runq_pop(&w->q, &runs) != &tasks[i].node)
            return false;
    return pirn_runq_pop(&w->q, &runs) == NULL;
}

static bool has_lane(enum lane lane, int n)
{
    unsigned count;
    const struct node *node = pirn_inject_pop(&rt.inject[lane], TASKS, true, &count);
    for (int i = 0; i < n; i++, node = node->next)
        if (node != &tasks[i].node)
            return false;
    return node == NULL && count == (unsigned)n;
}

/* ---- What is handed over --------------------------------------------------------------------- */

START_TEST(who_slept_hands_over_in_order)
{
    begin(WORKERS);
    park(1);
    give(workers[2], FEW);
    CHECK(pirn_worker_hand_over(workers[2]));
    CHECK(has_lane(LANE_LIGHT, FEW));
    CHECK(has(workers[2], 0));

    begin(WORKERS); /* to one of a higher number, too */
    park(1);
    give(workers[0], FEW);
    CHECK(pirn_worker_hand_over(workers[0]));
    CHECK(has_lane(LANE_LIGHT, FEW));
#ifndef PIRN_HARD
    begin(WORKERS);
    give(workers[2], TASKS - 1);
    CHECK(pirn_worker_hand_over(workers[2]));
    CHECK(has_lane(LANE_LIGHT, TASKS - 1));
    begin(WORKERS); /* thousands of connections are kept spread */
    give(workers[2], TASKS);
    CHECK(!pirn_worker_hand_over(workers[2]));
    CHECK(has(workers[2], TASKS));
#endif
}
END_TEST

enum why {
    HEAVY,
    FRESH,
    WOKEN,
    NO_PRIMARY,
    NOBODY_AWAKE,
    PEERS_STUCK,
    PEERS_COMPUTE,
    PEERS_COMPUTED,
    PEERS_BUSY,
    PEERS_BEHIND,
    PEERS_NO_PRIMARIES,
    WHYS
};

static void prepare(struct worker *w, enum why why)
{
    if (why == HEAVY)
        task_set_light_runs(&tasks[1], 1);
    else if (why == FRESH)
        task_set_started(&tasks[1], STARTED_NOT);
    else if (why == WOKEN)
        w->woken = true;
    else if (why == NO_PRIMARY)
        atomic_store(&w->role, ROLE_SUBSTITUTE);
    for (unsigned i = 0; i < WORKERS; i++) {
        struct worker *v = workers[i];
        if (v == w)
            continue;
        if (why == NOBODY_AWAKE)
            park(i);
        else if (why == PEERS_STUCK)
            atomic_store(&v->stuck, STUCK_BLOCKED);
        else if (why == PEERS_COMPUTE)
            atomic_store(&v->looked, w->now - MS);
        else if (why == PEERS_COMPUTED)
            atomic_store(&v->ran_long, w->now - 40 * MS);
        else if (why == PEERS_BUSY)
            atomic_store(&v->idle_at, w->now - 11 * MS);
        else if (why == PEERS_BEHIND)
            atomic_store(&v->each_ns, 50000); /* FEW and two more would take 200 us or longer */
        else if (why == PEERS_NO_PRIMARIES)
            atomic_store(&v->role, ROLE_SENTINEL);
    }
}

START_TEST(who_has_a_reason_keeps_what_it_has)
{
    for (int why = 0; why < WHYS; why++) {
        begin(WORKERS);
        give(workers[2], FEW);
        prepare(workers[2], (enum why)why);
        CHECK(!pirn_worker_hand_over(workers[2]));
        CHECK(has_lane(LANE_LIGHT, 0) && has_lane(LANE_HOG, 0) && has_lane(LANE_FRESH, 0));
        CHECK(has(workers[2], FEW));
    }
}
END_TEST

/* In a crowd, and of two whose tasks contend: the one of the higher number. */
START_TEST(of_two_the_second_goes_to_the_first)
{
    for (unsigned i = 0; i < 2; i++) {
        begin(2);
        workers[i]->slept = false;
        give(workers[i], FEW);
        CHECK(!pirn_worker_hand_over(workers[i]));
        atomic_store(&rt.crowded_until, workers[i]->now + 1000 * MS);
        CHECK(pirn_worker_hand_over(workers[i]) == (i == 1));
        CHECK(has_lane(LANE_LIGHT, i == 1 ? FEW : 0));
    }
#ifndef PIRN_HARD /* where nobody is talking */
    for (unsigned i = 0; i < 2; i++) {
        begin(2);
        workers[i]->slept = false;
        workers[i]->apart = true;
        give(workers[i], FEW);
        CHECK(!pirn_worker_hand_over(workers[i]));
        atomic_store(&workers[1 - i]->talks, true);
        CHECK(pirn_worker_hand_over(workers[i]) == (i == 1));
        CHECK(has_lane(LANE_LIGHT, i == 1 ? FEW : 0));
    }
#endif
}
END_TEST

/* Who does not look at the inject queues before it sleeps relies on that one. */
START_TEST(who_is_awake_and_at_work)
{
    begin(WORKERS);
    CHECK(pirn_worker_has_peer_awake(workers[0]));
    park(1);
    CHECK(pirn_worker_has_peer_awake(workers[0]));
    park(2);
    CHECK(!pirn_worker_has_peer_awake(workers[0]));
    begin(WORKERS);
    atomic_store(&workers[1]->stuck, STUCK_SPINNING);
    atomic_store(&workers[2]->looked, clock_now() - MS);
    CHECK(!pirn_worker_has_peer_awake(workers[0]));
}
END_TEST

/* ---- What is stolen -------------------------------------------------------------------------- */

#ifndef PIRN_HARD
START_TEST(who_talks_is_left_alone_as_long_as_it_looks_around)
{
    begin(WORKERS);
    CHECK(!pirn_worker_is_together(workers[1], workers[0]));
    atomic_store(&workers[1]->talks, true);
    CHECK(pirn_worker_is_together(workers[1], workers[0]));
    atomic_store(&workers[1]->stuck, STUCK_SPINNING);
    CHECK(!pirn_worker_is_together(workers[1], workers[0]));
    atomic_store(&workers[1]->stuck, STUCK_NOT);
    atomic_store(&workers[1]->looked, clock_now() - MS);
    CHECK(!pirn_worker_is_together(workers[1], workers[0]));
}
END_TEST
#else
START_TEST(who_talks_is_left_alone_as_long_as_it_looks_around)
{
}
END_TEST
#endif

/* The older half; they stay what they were, or are queued. */
START_TEST(a_brood_is_stolen_where_the_ring_has_nothing)
{
    begin(WORKERS);
    for (int i = 0; i < FEW; i++) {
        task_set_started(&tasks[i], STARTED_NOT);
        CHECK(pirn_runq_adopt(&workers[1]->q, &tasks[i].node));
    }
    CHECK(pirn_worker_steal(workers[0], false));
    CHECK_EQ(pirn_runq_size(&workers[0]->q), 2);
    CHECK_EQ(pirn_runq_brood_size(&workers[1]->q), 1);
    CHECK_EQ(atomic_load(&workers[0]->n.steals), 1);
}
END_TEST

static void be_sentinel(struct worker *w)
{
    atomic_store(&w->role, ROLE_SENTINEL);
}

/* n light tasks, which move on at once in hard mode. */
static bool has_got(struct worker *w, int n)
{
#ifdef PIRN_HARD
    return has(w, 0) && has_lane(LANE_LIGHT, n);
#else
    return has(w, n);
#endif
}

/* The sentinel takes what is light, the newest too; of a sentinel nobody takes anything, unless it
 * is stuck. */
START_TEST(what_a_sentinel_takes_and_what_is_taken_from_it)
{
    begin(2);
    be_sentinel(workers[0]);
    atomic_store(&workers[1]->stuck, STUCK_SPINNING);
    give(workers[1], FEW);
    for (int i = 0; i < 2; i++)
        task_set_light_runs(&tasks[i], 1);
    task_set_started(&tasks[2], STARTED_NOT);
    CHECK(!pirn_worker_steal(workers[0], false));
    task_set_light_runs(&tasks[0], 0);
    CHECK(pirn_worker_steal(workers[0], false));
    CHECK(!pirn_worker_steal(workers[0], false));
    CHECK_EQ(pirn_runq_size(&workers[1]->q), 2);
    CHECK(!pirn_worker_is_prey(workers[0], workers[1]));
    CHECK(!pirn_worker_steal(workers[1], true));
    CHECK(has_got(workers[0], 1));

    give(workers[0], 1);
    atomic_store(&workers[0]->stuck, STUCK_BLOCKED);
    CHECK(pirn_worker_steal(workers[1], false));
    CHECK(has(workers[0], 0));
}
END_TEST

/* One hog at a time, if the monitor has said so. It is not lost if that turns out to be for another
 * one. */
START_TEST(a_sentinel_tries_one_hog)
{
    for (int taken = 0; taken < 2; taken++) {
        begin(2);
        be_sentinel(workers[0]);
        atomic_store(&workers[1]->stuck, STUCK_SPINNING);
        for (int i = 0; i < FEW; i++) {
            task_set_light_runs(&tasks[i], 1);
            CHECK(pirn_runq_push(&workers[1]->q, &tasks[i].node));
        }
        CHECK(!pirn_worker_steal(workers[0], false));
        atomic_store(&rt.trial, 1);
        trial_is_taken = taken;
        CHECK(pirn_worker_steal(workers[0], false));
        trial_is_taken = false;
        CHECK_EQ(atomic_load(&rt.trial), 0);
        CHECK(!pirn_worker_steal(workers[0], false));
        CHECK_EQ(pirn_runq_size(&workers[1]->q), FEW - 1);
        CHECK(has(workers[0], !taken));
        CHECK(has_lane(LANE_HOG, taken));
    }
}
END_TEST

SUPPORT_MAIN("runtime/pace", who_slept_hands_over_in_order, who_has_a_reason_keeps_what_it_has,
             of_two_the_second_goes_to_the_first, who_is_awake_and_at_work,
             who_talks_is_left_alone_as_long_as_it_looks_around,
             a_brood_is_stolen_where_the_ring_has_nothing,
             what_a_sentinel_takes_and_what_is_taken_from_it, a_sentinel_tries_one_hog)
