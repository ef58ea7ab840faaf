/* serial */
/*
 * Scopes with a limit: places are given in the order of arrival, one for each end; none is lost,
 * and none made up, when the wait for one ends otherwise at the same moment; and an end costs no
 * more the more wait.
 */
#include "tests/race/race.h"

enum {
    SPAWNERS = 8,
    CROWD = 1000
};

struct line {
    pirn_scope *scope;
    pirn_future *gate;
    atomic_int ended, dropped, refused;
    int order[CROWD];
    struct place {
        struct line *line;
        int number;
    } places[CROWD];
    pirn_task *tasks[CROWD];
};

static int holds_place(void *arg)
{
    return pirn_future_await(*(pirn_future **)arg, NULL, NULL, PIRN_NEVER);
}

static int says_number(void *arg)
{
    struct place *p = arg;
    struct line *l = p->line;
    l->order[atomic_load(&l->ended)] = p->number; /* the only one that runs */
    atomic_fetch_add(&l->ended, 1);
    return 0;
}

static int spawns_one(void *arg)
{
    struct place *p = arg;
    return pirn_scope_spawn(p->line->scope, says_number, p, PIRN_NEVER);
}

/* A scope for one child, which is there and waits for the gate. */
static struct line *line_new(pirn_task **ret_holder)
{
    struct line *l = calloc(1, sizeof(*l));
    CHECK(l);
    CHECK_OK(pirn_future_new(&l->gate));
    CHECK_OK(pirn_scope_open(&l->scope, 1));
    CHECK_OK(pirn_scope_spawn_task(l->scope, ret_holder, NULL, holds_place, &l->gate, PIRN_NEVER));
    return l;
}

/* So many in the line, one after the other. */
static void line_up(struct line *l, int n)
{
    for (int i = 0; i < n; i++) {
        l->places[i] = (struct place){l, i};
        l->tasks[i] = support_spawn(spawns_one, &l->places[i]);
        support_until_waiting(l->tasks[i]);
    }
}

static void line_open(struct line *l)
{
    CHECK_OK(pirn_future_set(l->gate, 0, NULL));
}

static void line_end(struct line *l, pirn_task *holder, int n)
{
    for (int i = 0; i < n; i++)
        CHECK_OK(support_join(l->tasks[i]));
    CHECK_OK(support_join(holder));
    CHECK_OK(pirn_scope_close(l->scope, PIRN_NEVER));
    CHECK_EQ(atomic_load(&l->ended), n);
    CHECK_OK(pirn_release(l->gate));
    free(l);
}

/* ---- The order ------------------------------------------------------------------------------- */

static int in_order(void *arg)
{
    pirn_task *holder;
    struct line *l = line_new(&holder);
    (void)arg;
    line_up(l, SPAWNERS);
    line_open(l);
    support_until(&l->ended, SPAWNERS);
    for (int i = 0; i < SPAWNERS; i++)
        CHECK_EQ(l->order[i], i);
    line_end(l, holder, SPAWNERS);
    return 0;
}

/* Who comes when a child has just ended does not get before who waits: `behind` is woken by that
 * end, too, and with one worker before who waits for the place. */
static int not_overtaken(void *arg)
{
    pirn_task *holder, *first;
    pirn_future *second_gate;
    struct line *l = line_new(&holder);
    (void)arg;
    CHECK_OK(pirn_future_new(&second_gate));
    l->places[0] = (struct place){l, 0};
    first = support_spawn(spawns_one, &l->places[0]);
    support_until_waiting(first);
    line_open(l);
    CHECK_OK(pirn_await(holder, NULL, PIRN_NEVER));
    /* The place is the first one's, or its child's; once that has ended it is free. */
    int rc = pirn_scope_spawn(l->scope, holds_place, &second_gate, PIRN_NOW);
    CHECK(rc == -ETIMEDOUT || (rc == 0 && atomic_load(&l->ended) == 1));
    CHECK_OK(pirn_future_set(second_gate, 0, NULL));
    l->tasks[0] = first;
    line_end(l, holder, 1);
    CHECK_OK(pirn_release(second_gate));
    return 0;
}

/* ---- Whose wait is over is passed over ------------------------------------------------------- */

static int gives_up(void *arg)
{
    struct place *p = arg;
    int rc = pirn_scope_spawn(p->line->scope, says_number, p, PIRN_NEVER);
    atomic_fetch_add(&p->line->refused, rc == -ECANCELED);
    return rc;
}

static int passed_over(void *arg)
{
    pirn_task *holder, *quits;
    struct line *l = line_new(&holder);
    struct place p = {l, 0};
    (void)arg;
    quits = support_spawn(gives_up, &p);
    support_until_waiting(quits);
    line_up(l, 2);
    CHECK_OK(pirn_cancel(quits, "no more"));
    line_open(l); /* at W = 1 it has not run by then, and is still in the line */
    CHECK_EQ(support_join(quits), -ECANCELED);
    line_end(l, holder, 2);
    return 0;
}

/* ---- A place that cannot be used goes on ----------------------------------------------------- */

static int cannot_spawn(void *arg)
{
    struct place *p = arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.stack_size = SIZE_MAX; /* told once it has a place */
    return pirn_scope_spawn_with(p->line->scope, &config, says_number, p, PIRN_NEVER);
}

static int goes_on(void *arg)
{
    pirn_task *holder, *unlucky;
    struct line *l = line_new(&holder);
    struct place p = {l, 0};
    (void)arg;
    unlucky = support_spawn(cannot_spawn, &p);
    support_until_waiting(unlucky);
    line_up(l, 2);
    line_open(l);
    CHECK_EQ(support_join(unlucky), -EINVAL);
    line_end(l, holder, 2);
    return 0;
}

/* ---- The scope's end sends all home ---------------------------------------------------------- */

static void drop_offer(void *arg)
{
    struct place *p = arg;
    atomic_fetch_add(&p->line->dropped, 1);
}

static int offers(void *arg)
{
    struct place *p = arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.arg_drop = drop_offer;
    int rc = pirn_scope_spawn_with(p->line->scope, &config, says_number, p, PIRN_NEVER);
    CHECK(rc == 0 || rc == -ECANCELED);
    atomic_fetch_add(&p->line->refused, rc == -ECANCELED);
    return rc;
}

static void offer_all(struct line *l)
{
    for (int i = 0; i < SPAWNERS; i++) {
        l->places[i] = (struct place){l, i};
        l->tasks[i] = support_spawn(offers, &l->places[i]);
        support_until_waiting(l->tasks[i]);
    }
}

/* Inside a shield, which is left. */
static void offers_end(struct line *l, pirn_task *holder)
{
    for (int i = 0; i < SPAWNERS; i++)
        CHECK_EQ(pirn_await(l->tasks[i], NULL, PIRN_NEVER), 0);
    (void)support_join(holder);
    CHECK_OK(pirn_shield_leave());
    CHECK_OK(pirn_scope_close(l->scope, PIRN_NEVER));
    CHECK_EQ(atomic_load(&l->dropped), SPAWNERS); /* each once, run or not */
    for (int i = 0; i < SPAWNERS; i++)
        CHECK_OK(pirn_release(l->tasks[i]));
    CHECK_OK(pirn_release(l->gate));
    free(l);
}

static int sent_home(void *arg)
{
    pirn_task *holder;
    struct line *l = line_new(&holder);
    (void)arg;
    offer_all(l);
    CHECK_OK(pirn_scope_cancel(l->scope, "over"));
    CHECK_OK(pirn_shield_enter()); /* the body is cancelled, too */
    support_until(&l->refused, SPAWNERS);
    CHECK_EQ(atomic_load(&l->ended), 0);
    offers_end(l, holder);
    return 0;
}

/* Given away, and then the scope is cancelled before who has it could run: it goes on, and all are
 * told. */
static int cancelled_between(void *arg)
{
    pirn_task *holder;
    struct line *l = line_new(&holder);
    (void)arg;
    offer_all(l);
    CHECK_OK(pirn_shield_enter());
    line_open(l);
    CHECK_OK(pirn_await(holder, NULL, PIRN_NEVER)); /* the place has been given */
    CHECK_OK(pirn_scope_cancel(l->scope, "over"));
    int ended = 0;
    for (int i = 0; i < SPAWNERS; i++) {
        CHECK_OK(pirn_await(l->tasks[i], NULL, PIRN_NEVER));
        ended += pirn_status(l->tasks[i]) == 0;
    }
    CHECK_EQ(ended + atomic_load(&l->refused), SPAWNERS);
    offers_end(l, holder);
    return 0;
}

/* ---- Raced: the wait for a place against a cancel, or its deadline --------------------------- */

/* One round: the place is free, or is given to the caller, at the moment when it gives up; another
 * waits behind it, who gets a place in any case; and then there is one, and no second. */
struct rounds {
    struct line *line;
    pirn_task *holder, *behind, *caller;
    struct place mine, others;
};

static int ends_at_once(void *arg)
{
    struct place *p = arg;
    atomic_fetch_add(&p->line->ended, 1);
    return 0;
}

static int comes_behind(void *arg)
{
    struct rounds *k = arg;
    for (int i = 0; !support_is_waiting(k->caller); i++) /* as a rule for its place */
        (void)(i < 50 ? pirn_yield() : pirn_sleep(pirn_after_us(20)));
    return pirn_scope_spawn(k->line->scope, ends_at_once, &k->others, PIRN_NEVER);
}

static void place_prepare(struct race *r)
{
    struct rounds *k = calloc(1, sizeof(*k));
    CHECK(k);
    k->line = line_new(&k->holder);
    k->mine = (struct place){k->line, 0};
    k->others = (struct place){k->line, 1};
    k->caller = r->task;
    k->behind = support_spawn(comes_behind, k);
    r->more = k;
}

static long place_call(struct race *r)
{
    struct rounds *k = r->more;
    return pirn_scope_spawn(k->line->scope, ends_at_once, &k->mine, r->deadline);
}

static void place_complete(struct race *r)
{
    struct rounds *k = r->more;
    CHECK_OK(pirn_future_set(k->line->gate, 0, NULL));
}

static void place_check(struct race *r, long rc, bool happened)
{
    struct rounds *k = r->more;
    struct line *l = k->line;
    pirn_future *gate;
    CHECK_EQ(rc == 0, happened);
    CHECK_OK(support_join(k->behind));
    CHECK_OK(support_join(k->holder));
    CHECK_OK(pirn_future_new(&gate));
    CHECK_OK(pirn_scope_spawn(l->scope, holds_place, &gate, PIRN_NEVER));
    CHECK_EQ(atomic_load(&l->ended), 1 + happened); /* all who were there before */
    CHECK_EQ(pirn_scope_spawn(l->scope, holds_place, &gate, PIRN_NOW), -ETIMEDOUT);
    CHECK_OK(pirn_future_set(gate, 0, NULL));
    CHECK_OK(pirn_scope_close(l->scope, PIRN_NEVER));
    CHECK_OK(pirn_release(gate));
    CHECK_OK(pirn_release(l->gate));
    free(l);
    free(k);
}

START_TEST(no_place_is_lost)
{
    static const struct race_kind kind = {"scope_place",  race_no_op,     race_no_op,
                                          place_prepare,  place_call,     place_check,
                                          place_complete, .rounds = 10000};
    race_run(&kind);
}
END_TEST

/* ---- An end costs no more the more wait ------------------------------------------------------ */

static uint64_t switches(void)
{
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(NULL, &stats));
    return stats.switches;
}

static uint64_t switches_of_line(int n)
{
    pirn_task *holder;
    struct line *l = line_new(&holder);
    line_up(l, n);
    uint64_t before = switches();
    line_open(l);
    support_until(&l->ended, n);
    uint64_t took = switches() - before;
    line_end(l, holder, n);
    return took;
}

static int grows(void *arg)
{
    (void)arg;
    uint64_t few = switches_of_line(CROWD / 10), many = switches_of_line(CROWD);
    if (getenv("PIRN_TEST_VERBOSE"))
        fprintf(stderr, "switches: %d wait: %lu, %d wait: %lu\n", CROWD / 10, (unsigned long)few,
                CROWD, (unsigned long)many);
    CHECK_GE(many, CROWD);
    CHECK_LE(many, 20 * CROWD); /* all woken by each end: 500 * CROWD */
    return 0;
}

SUPPORT_EACH(places_in_order, in_order, 50)
SUPPORT_EACH(nobody_overtakes, not_overtaken, 50)
SUPPORT_EACH(who_gave_up_is_passed_over, passed_over, 50)
SUPPORT_EACH(unused_place_goes_on, goes_on, 50)
SUPPORT_EACH(cancelled_scope_sends_all_home, sent_home, 50)
SUPPORT_EACH(cancelled_with_a_place_given, cancelled_between, 50)
SUPPORT_EACH(end_costs_no_more_the_more_wait, grows, 1)

SUPPORT_MAIN("scope_places", places_in_order, nobody_overtakes, who_gave_up_is_passed_over,
             unused_place_goes_on, cancelled_scope_sends_all_home, cancelled_with_a_place_given,
             end_costs_no_more_the_more_wait, no_place_is_lost)
