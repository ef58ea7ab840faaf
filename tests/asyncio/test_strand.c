/* Strands: members never overlap, take turns in the order in which they became ready, and see what
 * those before them did; counters here are plain on purpose. */
#include "tests/support.h"

#include <stdio.h>

static pirn_strand *new_strand(void)
{
    pirn_strand *s = NULL;
    CHECK_OK(pirn_strand_new(&s));
    return s;
}

static pirn_task *spawn_on(pirn_strand *strand, pirn_fn fn, void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task = NULL;
    config.strand = strand;
    CHECK_OK(pirn_spawn_with(&task, &config, fn, arg));
    return task;
}

/* What members wrote, in turn. */
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

/* main is a member of a new strand itself, as an asyncio program is. */
static int on_strand(void *arg)
{
    pirn_strand *s = new_strand();
    pirn_task *task = spawn_on(s, *(pirn_fn *)arg, NULL);
    pirn_strand_release(s); /* the member holds it */
    return support_join(task);
}

static void everywhere_on_strand(pirn_fn fn, int rounds)
{
    for (int i = 0; i < rounds; i++)
        FOR_WORKERS(w) CHECK_OK(support_run(w, on_strand, &fn));
}

/* ---- A15 --------------------------------------------------------------------------------- */

struct timer {
    pirn_time at;
    const char *name;
    int64_t said;
};

static int fire(void *arg)
{
    struct timer *t = arg;
    CHECK_OK(pirn_sleep(t->at));
    t->said = pirn_now().ns;
    CHECK_GE(t->said, t->at.ns);
    say(t->name);
    return 0;
}

static int inside; /* members that are between two suspends: 1 at most */

static int fire_together(void *arg)
{
    CHECK_OK(pirn_sleep(*(pirn_time *)arg));
    CHECK_EQ(inside++, 0);
    support_spin(20 * US);
    CHECK_EQ(--inside, 0);
    say(".");
    return 0;
}

static int timers(void *arg)
{
    pirn_task *task[16];
    (void)arg;
    for (int64_t step = 30 * MS;; step *= 2) {
        int64_t base = pirn_now().ns;
        struct timer t[3] = {
            {{base + 2 * step}, "2", 0}, {{base + step}, "1", 0}, {{base + 3 * step}, "3", 0}};
        for (int i = 0; i < 3; i++)
            task[i] = support_spawn(fire, &t[i]);
        for (int i = 0; i < 3; i++)
            CHECK_OK(support_join(task[i]));
        if (t[1].said < t[0].at.ns && t[0].said < t[2].at.ns)
            break;
        text_used =
            0; /* one came when the next one's time had come too: a machine as slow as that */
        text[0] = '\0';
    }
    expect_said("123");
    pirn_time at = pirn_after_ms(5);
    for (int i = 0; i < 16; i++)
        task[i] = support_spawn(fire_together, &at);
    for (int i = 0; i < 16; i++)
        CHECK_OK(support_join(task[i]));
    expect_said("................");
    return 0;
}

START_TEST(a15_timers_fire_in_the_order_of_their_deadlines)
{
    everywhere_on_strand(timers, 1);
}
END_TEST

/* ---- A20 --------------------------------------------------------------------------------- */

enum {
    CALLBACKS = 300
};

struct caller {
    pirn_runtime *runtime;
    pirn_strand *strand;
    support_barrier *barrier;
    int next; /* the callback that is to start next; the strand's */
    int ended;
};

struct callback {
    struct caller *caller;
    int number;
};

static int called(void *arg)
{
    struct callback c = *(struct callback *)arg;
    free(arg);
    CHECK_EQ(c.caller->next++, c.number);
    if (c.number % 3 == 0)
        pirn_yield();
    c.caller->ended++;
    return 0;
}

static void *queue_callbacks(void *arg)
{
    struct caller *c = arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.runtime = c->runtime;
    config.strand = c->strand;
    support_meet(c->barrier);
    for (int i = 0; i < CALLBACKS; i++) {
        struct callback *callback = malloc(sizeof(*callback));
        pirn_task *task;
        *callback = (struct callback){c, i};
        CHECK_OK(pirn_spawn_with(&task, &config, called, callback));
        CHECK_OK(pirn_detach(task));
    }
    return NULL;
}

static int threads_queue(void *arg)
{
    (void)arg;
    for (int round = 0; round < support_rounds(100); round++) {
        support_barrier barrier = {.n = 2};
        struct caller c[2];
        pthread_t thread[2];
        for (int i = 0; i < 2; i++) {
            c[i] = (struct caller){pirn_runtime_current(), pirn_strand_current(), &barrier, 0, 0};
            thread[i] = support_thread(queue_callbacks, &c[i]);
        }
        while (c[0].ended + c[1].ended < 2 * CALLBACKS)
            CHECK_OK(pirn_yield());
        for (int i = 0; i < 2; i++)
            support_thread_join(thread[i]);
    }
    return 0;
}

START_TEST(a20_callbacks_of_a_thread_start_in_its_order)
{
    everywhere_on_strand(threads_queue, 1);
}
END_TEST

/* ---- A22, S140 --------------------------------------------------------------------------- */

static int plain_count;
static atomic_int atomic_count;

static int count_plain(void *arg)
{
    volatile int *count = &plain_count; /* a load and a store each time */
    for (int i = 0; i < 1000000; i++) {
        *count += *(int *)arg;
        if (i % 1000 == 0)
            CHECK_OK(pirn_yield());
    }
    return 0;
}

static int count_atomic(void *arg)
{
    for (int i = 0; i < 1000000; i++) {
        atomic_fetch_add_explicit(&atomic_count, *(int *)arg, memory_order_relaxed);
        if (i % 1000 == 0)
            CHECK_OK(pirn_yield());
    }
    return 0;
}

static int up_and_down(pirn_strand *strand, pirn_fn fn)
{
    int up = 1, down = -1;
    pirn_task *a = spawn_on(strand, fn, &up), *b = spawn_on(strand, fn, &down);
    CHECK_OK(support_join(a));
    CHECK_OK(support_join(b));
    CHECK_EQ(plain_count, 0);
    CHECK_EQ(atomic_count, 0);
    return 0;
}

static int count_on_strand(void *arg)
{
    pirn_strand *s = new_strand();
    (void)arg;
    up_and_down(s, count_plain);
    pirn_strand_release(s);
    return 0;
}

static int count_with_atomics(void *arg)
{
    (void)arg;
    return up_and_down(NULL, count_atomic);
}

START_TEST(a22_up_and_down_a_million_times_is_exactly_0)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, count_on_strand, NULL));
        CHECK_OK(support_run(w, count_with_atomics, NULL));
    }
}
END_TEST

START_TEST(s140_is_0_in_each_of_100_runs)
{
    for (int i = 0; i < support_rounds(100); i++) {
        CHECK_OK(support_run(2, count_on_strand, NULL));
        CHECK_OK(support_run(2, count_with_atomics, NULL));
    }
}
END_TEST

/* ---- A23 --------------------------------------------------------------------------------- */

struct account {
    int balance, taken;
    long thread; /* who was here last */
    int moves;
};

static int withdraw(void *arg)
{
    struct account *a = arg;
    for (;;) {
        a->moves += a->thread != 0 && a->thread != gettid();
        a->thread = gettid();
        if (a->balance <= 0)
            return 0;
        support_spin(US); /* between check and act */
        a->balance--;
        a->taken++;
        CHECK_OK(a->taken % 8 == 0 ? pirn_sleep(pirn_after_us(10)) : pirn_yield());
    }
}

struct accounts {
    int moves;
};

static int check_then_act(void *arg)
{
    struct accounts *all = arg;
    enum {
        STRANDS = 4,
        EACH = 5
    };
    struct account a[STRANDS] = {{0}};
    pirn_strand *s[STRANDS];
    pirn_task *task[STRANDS * EACH];
    for (int i = 0; i < STRANDS; i++) {
        s[i] = new_strand();
        a[i].balance = 1000;
    }
    for (int i = 0; i < STRANDS * EACH; i++)
        task[i] = spawn_on(s[i % STRANDS], withdraw, &a[i % STRANDS]);
    for (int i = 0; i < STRANDS * EACH; i++)
        CHECK_OK(support_join(task[i]));
    for (int i = 0; i < STRANDS; i++) {
        CHECK_EQ(a[i].balance, 0);
        CHECK_EQ(a[i].taken, 1000);
        all->moves += a[i].moves;
        pirn_strand_release(s[i]);
    }
    return 0;
}

START_TEST(a23_check_then_act_is_atomic_on_a_strand_that_migrates)
{
    FOR_WORKERS(w)
    {
        struct accounts all = {0};
        for (int i = 0; i < support_rounds(20) || (w > 1 && all.moves == 0); i++)
            CHECK_OK(support_run(w, check_then_act, &all)); /* else the watchdog ends it */
    }
}
END_TEST

/* ---- Exact orders ------------------------------------------------------------------------ */

static int compute(void *arg)
{
    int *x = arg;
    say("compute 1 + 2;");
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    return x[0] + x[1];
}

static int print_sum(void *arg)
{
    int x[2] = {1, 2};
    (void)arg;
    say("print 1 + 2;");
    CHECK_EQ(support_join(support_spawn(compute, x)), 3);
    say("1 + 2 = 3;");
    return 0;
}

static int sum(void *arg)
{
    CHECK_OK(print_sum(arg));
    expect_said("print 1 + 2;compute 1 + 2;1 + 2 = 3;");
    return 0;
}

START_TEST(s253_a_child_runs_while_its_awaiter_waits)
{
    everywhere_on_strand(sum, support_rounds(20));
}
END_TEST

static int twin(void *arg)
{
    say("start;");
    CHECK_OK(pirn_future_await(arg, NULL, NULL, PIRN_NEVER));
    say("end;");
    return 0;
}

static int set(void *arg)
{
    CHECK_OK(pirn_future_set(arg, 0, NULL));
    say("set;");
    return 0;
}

static int twins(void *arg)
{
    pirn_future *f;
    (void)arg;
    for (int i = 0; i < support_rounds(300); i++) {
        CHECK_OK(pirn_future_new(&f));
        pirn_task *a = support_spawn(twin, f), *b = support_spawn(twin, f);
        pirn_task *c = support_spawn(set, f);
        say("outer;");
        CHECK_OK(support_join(a));
        say("result 1;");
        CHECK_OK(support_join(b));
        say("result 2;");
        CHECK_OK(support_join(c));
        expect_said("outer;start;start;set;end;end;result 1;result 2;");
        pirn_release(f);
    }
    return 0;
}

START_TEST(s227_who_became_ready_first_runs_first)
{
    everywhere_on_strand(twins, 1);
}
END_TEST

SUPPORT_MAIN("strand", a15_timers_fire_in_the_order_of_their_deadlines,
             a20_callbacks_of_a_thread_start_in_its_order,
             a22_up_and_down_a_million_times_is_exactly_0, s140_is_0_in_each_of_100_runs,
             a23_check_then_act_is_atomic_on_a_strand_that_migrates,
             s253_a_child_runs_while_its_awaiter_waits, s227_who_became_ready_first_runs_first)
