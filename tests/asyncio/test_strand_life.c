/* Strands: who is on one, who has its turn when, how members begin and end, and a crowd. */
#include "tests/support.h"

#include <stdio.h>

static pirn_strand *new_strand(void)
{
    pirn_strand *s = NULL;
    CHECK_OK(pirn_strand_new(&s));
    return s;
}

static pirn_task *spawn_with(pirn_strand *strand, unsigned flags, pirn_fn fn, void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task = NULL;
    config.strand = strand;
    config.flags = flags;
    CHECK_OK(pirn_spawn_with(&task, &config, fn, arg));
    return task;
}

static pirn_task *spawn_on(pirn_strand *strand, pirn_fn fn, void *arg)
{
    return spawn_with(strand, 0, fn, arg);
}

/* main is a member of a new strand itself. */
static int on_strand(void *arg)
{
    pirn_strand *s = new_strand();
    pirn_task *task = spawn_on(s, *(pirn_fn *)arg, s);
    int status = support_join(task);
    pirn_strand_release(s);
    return status;
}

static void everywhere_on_strand(pirn_fn fn, int rounds)
{
    for (int i = 0; i < rounds; i++)
        FOR_WORKERS(w) CHECK_OK(support_run(w, on_strand, &fn));
}

static char text[4096];
static size_t text_used;

static void say(const char *word)
{
    CHECK(text_used + strlen(word) < sizeof(text));
    text_used += (size_t)sprintf(text + text_used, "%s", word);
}

static void expect_said(const char *words)
{
    if (strcmp(text, words) != 0)
        support_fail(__FILE__, __LINE__, __func__, "said '%s', not '%s'", text, words);
    text_used = 0;
    text[0] = '\0';
}

/* ---- Who is on a strand ------------------------------------------------------------------ */

static int is_on(void *arg)
{
    CHECK(pirn_strand_current() == arg);
    return 0;
}

static int yields_on(void *arg)
{
    CHECK(pirn_strand_current() == arg);
    CHECK_OK(pirn_yield());
    CHECK(pirn_strand_current() == arg);
    CHECK_OK(support_join(support_spawn(is_on, arg)));
    return 0;
}

static int is_off(size_t i, void *arg)
{
    (void)i;
    (void)arg;
    CHECK(pirn_strand_current() == NULL);
    return 0;
}

static int inherits(void *arg)
{
    pirn_strand *other = new_strand();
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_scope *scope;
    pirn_task *task;
    CHECK(pirn_strand_current() == arg);
    CHECK_OK(support_join(support_spawn(yields_on, arg)));
    CHECK_OK(support_join(spawn_on(other, yields_on, other)));
    CHECK_OK(support_join(spawn_with(NULL, PIRN_OFF_STRAND, yields_on, NULL)));
    CHECK_OK(support_join(spawn_with(NULL, PIRN_PINNED, is_on, NULL)));
    CHECK_OK(pirn_scope_open(&scope, 0));
    CHECK_OK(pirn_scope_spawn(scope, yields_on, arg, PIRN_NEVER));
    CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
    CHECK_OK(pirn_parallel_for(0, 100, is_off, NULL));
    config.strand = other;
    config.flags = PIRN_PINNED;
    CHECK_EQ(pirn_spawn_with(&task, &config, is_on, NULL), -EINVAL);
    config.flags = PIRN_OFF_STRAND;
    CHECK_EQ(pirn_spawn_with(&task, &config, is_on, NULL), -EINVAL);
    config.flags = 1u << 9;
    CHECK_EQ(pirn_spawn_with(&task, &config, is_on, NULL), -EINVAL);
    pirn_strand_release(other);
    return 0;
}

START_TEST(children_are_on_their_parents_strand)
{
    everywhere_on_strand(inherits, 10);
    CHECK(pirn_strand_current() == NULL);
    CHECK_EQ(pirn_strand_new(NULL), -EINVAL);
    pirn_strand_release(NULL);
    CHECK(pirn_strand_retain(NULL) == NULL);
}
END_TEST

/* ---- Turns ------------------------------------------------------------------------------- */

static int take_turns(void *arg)
{
    for (int i = 0; i < 50; i++) {
        say(arg);
        CHECK_OK(i % 5 == 4 ? pirn_sleep(PIRN_NOW) : pirn_yield());
    }
    return 0;
}

static int turns(void *arg)
{
    static const char *const names[] = {"a", "b", "c"};
    pirn_task *task[3];
    char expected[151] = "";
    (void)arg;
    for (int round = 0; round < support_rounds(200); round++) {
        for (int i = 0; i < 3; i++)
            task[i] = support_spawn(take_turns, (void *)(uintptr_t)names[i]);
        for (int i = 0; i < 3; i++)
            CHECK_OK(support_join(task[i]));
        for (int i = 0; i < 150; i++)
            expected[i] = "abc"[i % 3];
        expect_said(expected);
    }
    return 0;
}

START_TEST(yielders_take_turns)
{
    everywhere_on_strand(turns, 1);
}
END_TEST

struct named {
    pirn_future *future;
    const char *name;
};

static int wait_and_say(void *arg)
{
    struct named *n = arg;
    CHECK_OK(pirn_future_await(n->future, NULL, NULL, PIRN_NEVER));
    say(n->name);
    return 0;
}

static int wakes(void *arg)
{
    struct named n[3] = {{NULL, "1"}, {NULL, "2"}, {NULL, "3"}};
    pirn_task *task[3];
    (void)arg;
    for (int round = 0; round < support_rounds(500); round++) {
        for (int i = 0; i < 3; i++) {
            CHECK_OK(pirn_future_new(&n[i].future));
            task[i] = support_spawn(wait_and_say, &n[i]);
        }
        CHECK_OK(pirn_yield()); /* now they wait */
        CHECK_OK(pirn_future_set(n[2].future, 0, NULL));
        CHECK_OK(pirn_future_set(n[0].future, 0, NULL));
        CHECK_OK(pirn_future_set(n[1].future, 0, NULL));
        CHECK_OK(pirn_yield());
        expect_said("312");
        for (int i = 0; i < 3; i++) {
            CHECK_OK(support_join(task[i]));
            pirn_release(n[i].future);
        }
    }
    return 0;
}

START_TEST(woken_ones_run_in_the_order_of_their_wakes)
{
    everywhere_on_strand(wakes, 1);
}
END_TEST

static int says_done(void *arg)
{
    (void)arg;
    say("other;");
    return 0;
}

static int need_not_wait(void *arg)
{
    pirn_future *f;
    (void)arg;
    CHECK_OK(pirn_future_new(&f));
    CHECK_OK(pirn_future_set(f, 0, NULL));
    for (int round = 0; round < support_rounds(500); round++) {
        pirn_task *task = support_spawn(says_done, NULL);
        for (int i = 0; i < 30; i++)
            CHECK_OK(pirn_future_await(f, NULL, NULL, PIRN_NEVER));
        say("me;");
        CHECK_OK(support_join(task));
        expect_said("me;other;");
    }
    pirn_release(f);
    return 0;
}

START_TEST(calls_that_need_not_wait_let_nobody_in)
{
    everywhere_on_strand(need_not_wait, 1);
}
END_TEST

static int set_it(void *arg)
{
    return pirn_future_set(arg, 0, NULL);
}

static int poll(void *arg)
{
    pirn_future *f;
    (void)arg;
    CHECK_OK(pirn_future_new(&f));
    pirn_task *task = support_spawn(set_it, f);
    while (pirn_future_await(f, NULL, NULL, PIRN_NOW) == -ETIMEDOUT) {}
    CHECK_OK(support_join(task));
    pirn_release(f);
    return 0;
}

START_TEST(who_polls_lets_others_in_after_all)
{
    everywhere_on_strand(poll, support_rounds(20));
}
END_TEST

/* ---- Ends -------------------------------------------------------------------------------- */

static int never(void *arg)
{
    (void)arg;
    CHECK(!"cancelled before it began");
    return 0;
}

static int *dropped; /* where a drop counts; the strand's */

static void drop(void *arg)
{
    (void)arg;
    ++*dropped;
}

static int unstarted(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task[8];
    int drops = 0, status;
    (void)arg;
    config.arg_drop = drop;
    dropped = &drops;
    for (int round = 0; round < support_rounds(300); round++) {
        for (int i = 0; i < 8; i++)
            CHECK_OK(pirn_spawn_with(&task[i], &config, i % 2 ? never : is_on,
                                     i % 2 ? NULL : pirn_strand_current()));
        for (int i = 1; i < 8; i += 2)
            CHECK_OK(pirn_cancel(task[i], "not wanted"));
        for (int i = 0; i < 8; i++) {
            CHECK_OK(pirn_join(task[i], &status, PIRN_NEVER));
            CHECK_EQ(status, i % 2 ? -ECANCELED : 0);
        }
        CHECK_EQ(drops, 8);
        drops = 0;
    }
    return 0;
}

START_TEST(who_never_begins_gives_the_strand_on)
{
    everywhere_on_strand(unstarted, 1);
}
END_TEST

static atomic_int too_many_seen;

static int stays_on(void *arg)
{
    while (!atomic_load(&too_many_seen))
        CHECK_OK(pirn_yield());
    return is_on(arg);
}

static int too_many(void *arg)
{
    pirn_task *task[4];
    (void)arg;
    int rc = 0, n = 0;
    atomic_store(&too_many_seen, 0);
    pirn_strand *s = new_strand();
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.strand = s;
    while (n < 4 && (rc = pirn_spawn_with(&task[n], &config, stays_on, s)) == 0)
        n++;
    CHECK_EQ(rc, -EAGAIN);
    atomic_store(&too_many_seen, 1);
    pirn_strand_release(s); /* before its members have ended */
    while (n > 0)
        CHECK_OK(support_join(task[--n]));
    return 0;
}

START_TEST(spawns_that_fail_and_early_releases)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = 2;
    config.max_tasks = 3;
    CHECK_OK(support_run_with(&config, too_many, NULL));
}
END_TEST

/* What is left at the end of main is cancelled: sleepers and those that only wait for a turn. */
static int sleeps(void *arg)
{
    int rc;
    (void)arg;
    while ((rc = pirn_sleep(pirn_after_ms(1))) == 0)
        support_spin(50 * US);
    CHECK_EQ(rc, -ECANCELED);
    return rc;
}

static int leave_them(void *arg)
{
    (void)arg;
    pirn_strand *s = new_strand();
    for (int i = 0; i < 50; i++)
        CHECK_OK(pirn_detach(spawn_on(s, sleeps, NULL)));
    pirn_strand_release(s);
    return pirn_sleep(pirn_after_ms(3));
}

START_TEST(leftovers_end)
{
    for (int i = 0; i < support_rounds(20); i++)
        FOR_WORKERS(w) CHECK_OK(support_run(w, leave_them, NULL));
}
END_TEST

/* ---- A stuck member ---------------------------------------------------------------------- */

struct stuck {
    atomic_int begun, others;
};

static int gets_stuck(void *arg)
{
    struct stuck *s = arg;
    atomic_store(&s->begun, 1);
    while (atomic_load(&s->others) < 100)
        support_pause_ms(1); /* a thread that is really blocked */
    return 0;
}

static int comes_after(void *arg)
{
    CHECK_EQ(atomic_load(&((struct stuck *)arg)->others), 100);
    return 0;
}

static int goes_on(void *arg)
{
    for (int i = 0; i < 10; i++) {
        atomic_fetch_add(&((struct stuck *)arg)->others, 1);
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
    }
    return 0;
}

static int one_stuck(void *arg)
{
    struct stuck stuck = {0};
    pirn_strand *s[2] = {new_strand(), new_strand()};
    pirn_task *task[12];
    (void)arg;
    task[10] = spawn_on(s[0], gets_stuck, &stuck);
    task[11] = spawn_on(s[0], comes_after, &stuck);
    support_until(&stuck.begun, 1);
    for (int i = 0; i < 10; i++)
        task[i] = spawn_on(i % 2 ? s[1] : NULL, goes_on, &stuck);
    for (int i = 0; i < 12; i++)
        CHECK_OK(support_join(task[i]));
    pirn_strand_release(s[0]);
    pirn_strand_release(s[1]);
    return 0;
}

START_TEST(a_stuck_member_delays_its_own_strand_only)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, one_stuck, NULL));
}
END_TEST

SUPPORT_MAIN("strand_life", children_are_on_their_parents_strand, yielders_take_turns,
             woken_ones_run_in_the_order_of_their_wakes, calls_that_need_not_wait_let_nobody_in,
             who_polls_lets_others_in_after_all, who_never_begins_gives_the_strand_on,
             spawns_that_fail_and_early_releases, leftovers_end,
             a_stuck_member_delays_its_own_strand_only)
