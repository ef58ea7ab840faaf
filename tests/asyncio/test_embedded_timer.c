/* Timers in the program's own structs: armed, moved, cancelled, freed, as their time comes or
 * not. */
#include "tests/support.h"

#include "runtime/runtime.h"
#include "runtime/worker.h"

enum {
    CROWD = 1000,
    RACES = 6000
};

struct timer {
    pirn_timer timer;
    _Atomic int64_t until; /* of the last arm */
    atomic_int calls, left;
};

static int count(void *arg)
{
    struct timer *t = arg;
    CHECK(pirn_now().ns >= atomic_load(&t->until));
    CHECK(pirn_current() != NULL);
    atomic_fetch_add(&t->calls, 1);
    return 0;
}

static int arm(struct timer *t, pirn_time when)
{
    atomic_store(&t->until, when.ns);
    return pirn_timer_arm(&t->timer, when);
}

/* ---- What each call says -------------------------------------------------------------------- */

static int basic_main(void *arg)
{
    struct timer t = {.calls = 0};
    (void)arg;
    CHECK_EQ(pirn_timer_init(NULL, NULL, count, &t), -EINVAL);
    CHECK_EQ(pirn_timer_init(&t.timer, NULL, NULL, &t), -EINVAL);
    CHECK_EQ(pirn_timer_arm(NULL, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_timer_arm(&t.timer, PIRN_NOW), -EINVAL); /* all zero */
    CHECK_EQ(pirn_timer_cancel(NULL), -EINVAL);
    CHECK_EQ(pirn_timer_cancel(&t.timer), -EALREADY);
    CHECK_OK(pirn_timer_init(&t.timer, NULL, count, &t));
    CHECK_EQ(pirn_timer_cancel(&t.timer), -EALREADY); /* never armed */
    CHECK_EQ(arm(&t, pirn_after_s(50)), 0);
    CHECK_EQ(arm(&t, pirn_after_s(30)), 1);
    CHECK_EQ(arm(&t, PIRN_NEVER), 1);
    CHECK_EQ(arm(&t, pirn_after_s(40)), 1);
    CHECK_EQ(pirn_timer_cancel(&t.timer), 0);
    CHECK_EQ(pirn_timer_cancel(&t.timer), -EALREADY);
    CHECK_EQ(arm(&t, PIRN_NEVER), 0);
    CHECK_EQ(pirn_timer_cancel(&t.timer), 0);
    for (int i = 1; i <= 20; i++) { /* sooner than it was, and at once */
        CHECK_EQ(arm(&t, pirn_after_s(50)), 0);
        CHECK_EQ(arm(&t, i % 2 ? pirn_after_us(100) : PIRN_NOW), 1);
        support_until(&t.calls, i);
        CHECK_EQ(pirn_timer_cancel(&t.timer), -EALREADY);
    }
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_EQ(atomic_load(&t.calls), 20);
    return 0;
}

START_TEST(s102_timers_armed_moved_and_cancelled)
{
    struct timer t = {.calls = 0};
    CHECK_EQ(pirn_timer_init(&t.timer, NULL, count, &t),
             -EPERM); /* a plain thread has no runtime */
    FOR_WORKERS(w) CHECK_EQ(support_run(w, basic_main, NULL), 0);
}
END_TEST

/* ---- What cancels leave is gone before the worker sleeps ------------------------------------- */

static int litter_main(void *arg)
{
    static struct timer timers[20 * CROWD];
    const struct port *port = &rt_worker(pirn_runtime_current(), 0)->port;
    (void)arg;
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
        CHECK_OK(pirn_timer_init(&timers[i].timer, NULL, count, &timers[i]));
        CHECK_EQ(arm(&timers[i], pirn_after_s(3600 + (int64_t)i)), 0);
    }
    for (size_t i = sizeof(timers) / sizeof(timers[0]); i > 1; i--)
        CHECK_OK(pirn_timer_cancel(&timers[i - 1].timer));
    CHECK_OK(pirn_sleep(pirn_after_ms(10)));
    CHECK(!pirn_port_is_littered(port));
    CHECK_OK(pirn_timer_cancel(&timers[0].timer));
    return 0;
}

START_TEST(s102_cancelled_timers_are_swept_up_by_an_idle_worker)
{
    CHECK_EQ(support_run(1, litter_main, NULL), 0);
}
END_TEST

/* ---- It arms itself again, and ends by itself ------------------------------------------------ */

static int again(void *arg)
{
    struct timer *t = arg;
    CHECK(pirn_now().ns >= atomic_load(&t->until));
    CHECK_OK(pirn_sleep(pirn_after_us(10))); /* it is a coroutine like any */
    if (atomic_fetch_sub(&t->left, 1) > 1)
        CHECK_EQ(arm(t, pirn_after_us(50)), 0);
    else
        atomic_store(&t->calls, 1);
    return 0;
}

static int again_main(void *arg)
{
    struct timer t = {.left = 200};
    (void)arg;
    CHECK_OK(pirn_timer_init(&t.timer, NULL, again, &t));
    CHECK_EQ(arm(&t, PIRN_NOW), 0);
    support_until(&t.calls, 1);
    CHECK_EQ(atomic_load(&t.left), 0);
    return 0;
}

START_TEST(s102_a_timer_arms_itself_again)
{
    FOR_WORKERS(w) CHECK_EQ(support_run(w, again_main, NULL), 0);
}
END_TEST

/* ---- Cancelled as its time comes, and freed at once ------------------------------------------ */

struct race {
    pirn_runtime *runtime;
    atomic_int outcomes[2]; /* cancelled, called */
    atomic_int through;
    int rounds;
};

/* The struct is filled with rubbish as soon as it is not armed any more; what it is about stays.
 * Now and then there is but one outcome, so that each is seen on any machine. */
static void cancel_races(struct race *race, bool thread)
{
    struct timer about = {.calls = 0};
    int called = 0;
    for (int i = 0; i < race->rounds; i++) {
        bool is_called = i % 8 == 0, is_not = i % 8 == 1;
        pirn_timer *timer = malloc(sizeof(*timer));
        CHECK(timer != NULL);
        CHECK_OK(pirn_timer_init(timer, race->runtime, count, &about));
        atomic_store(&about.until, (is_not ? pirn_after_s(3600) : pirn_after_us(30)).ns);
        CHECK_EQ(pirn_timer_arm(timer, (pirn_time){atomic_load(&about.until)}), 0);
        if (is_called)
            support_until(&about.calls, called + 1);
        else if (i % 2 || thread)
            support_spin(support_between(0, 60000));
        else
            CHECK_OK(pirn_sleep(pirn_after_us(support_between(0, 60))));
        int rc = pirn_timer_cancel(timer);
        memset(timer, 0xee, sizeof(*timer));
        free(timer);
        CHECK(rc == 0 || rc == -EALREADY);
        if (is_called || is_not)
            CHECK_EQ(rc != 0, is_called);
        called += rc != 0;
        support_until(&about.calls, called);
        atomic_fetch_add(&race->outcomes[rc != 0], 1);
    }
    CHECK_OK(pirn_sleep(pirn_after_us(200)));
    CHECK_EQ(atomic_load(&about.calls), called);
}

static void *cancel_from_thread(void *arg)
{
    cancel_races(arg, true);
    atomic_fetch_add(&((struct race *)arg)->through, 1);
    return NULL;
}

static int race_main(void *arg)
{
    struct race *race = arg;
    race->runtime = pirn_runtime_current();
    pthread_t thread = support_thread(cancel_from_thread, race);
    cancel_races(race, false);
    support_until(&race->through, 1);
    support_thread_join(thread);
    return 0;
}

START_TEST(s102_a_timer_cancelled_as_its_time_comes)
{
    FOR_WORKERS(w)
    {
        struct race race = {.rounds = support_rounds(RACES)};
        CHECK_EQ(support_run(w, race_main, &race), 0);
        CHECK(atomic_load(&race.outcomes[0]) > 0 && atomic_load(&race.outcomes[1]) > 0);
    }
}
END_TEST

/* ---- Moved as its time comes: each arm is one call, unless it was moved or cancelled --------- */

static int note_call(void *arg)
{
    atomic_fetch_add(&((struct timer *)arg)->calls, 1);
    return 0;
}

/* Yields lead it through all workers, so it is moved from port to port. In some rounds the one
 * before is sure to have been called, or sure to be armed still. */
static int move_main(void *arg)
{
    struct race *race = arg;
    struct timer t = {.calls = 0};
    int due = 0;
    CHECK_OK(pirn_timer_init(&t.timer, NULL, note_call, &t));
    for (int i = 0; i < race->rounds; i++) {
        bool is_called = i % 16 == 0, stays = i % 16 == 1;
        bool was_called = i % 16 == 1, has_stayed = i % 16 == 2; /* in the round before */
        int rc = pirn_timer_arm(&t.timer,
                                stays ? pirn_after_s(3600) : pirn_after_us(support_between(0, 40)));
        CHECK(rc == 0 || rc == 1);
        if (was_called || has_stayed)
            CHECK_EQ(rc, has_stayed);
        due += rc == 0;
        atomic_fetch_add(&race->outcomes[rc], 1);
        if (is_called)
            support_until(&t.calls, due);
        else if (i % 3 == 0)
            CHECK_OK(pirn_yield());
        else if (i % 3 == 1)
            CHECK_OK(pirn_sleep(pirn_after_us(support_between(0, 20))));
        else
            support_spin(support_between(0, 30000));
    }
    due -= pirn_timer_cancel(&t.timer) == 0;
    support_until(&t.calls, due);
    CHECK_OK(pirn_sleep(pirn_after_us(200)));
    CHECK_EQ(atomic_load(&t.calls), due);
    return 0;
}

static int movers_main(void *arg)
{
    pirn_task *movers[3];
    for (int i = 0; i < 3; i++)
        movers[i] = support_spawn(move_main, arg);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(support_join(movers[i]), 0);
    return 0;
}

START_TEST(s102_a_timer_moved_as_its_time_comes)
{
    FOR_WORKERS(w)
    {
        struct race race = {.rounds = support_rounds(RACES) / 3};
        CHECK_EQ(support_run(w, movers_main, &race), 0);
        CHECK(atomic_load(&race.outcomes[0]) > 0 && atomic_load(&race.outcomes[1]) > 0);
    }
}
END_TEST

/* ---- Many, in order on one worker ------------------------------------------------------------ */

static int crowd_main(void *arg)
{
    struct timer *crowd = calloc(CROWD, sizeof(*crowd));
    (void)arg;
    CHECK(crowd != NULL);
    for (int i = 0; i < CROWD; i++) {
        CHECK_OK(pirn_timer_init(&crowd[i].timer, NULL, count, &crowd[i]));
        CHECK_EQ(arm(&crowd[i], pirn_after_us(support_between(0, 20000))), 0);
    }
    for (int i = 0; i < CROWD; i += 2)
        if (pirn_timer_cancel(&crowd[i].timer) == 0)
            atomic_store(&crowd[i].left, 1);
    for (int i = 0; i < CROWD; i++)
        support_until(&crowd[i].calls, 1 - atomic_load(&crowd[i].left));
    CHECK_OK(pirn_sleep(pirn_after_us(200)));
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(atomic_load(&crowd[i].calls), 1 - atomic_load(&crowd[i].left));
    free(crowd);
    return 0;
}

START_TEST(s102_each_timer_is_called_once_or_cancelled)
{
    FOR_WORKERS(w) CHECK_EQ(support_run(w, crowd_main, NULL), 0);
}
END_TEST

/* ---- No room for the task: it comes when there is -------------------------------------------- */

static int full_main(void *arg)
{
    struct timer t = {.calls = 0};
    pirn_task *other;
    pirn_future *let_go;
    (void)arg;
    CHECK_OK(pirn_timer_init(&t.timer, NULL, count, &t));
    CHECK_OK(pirn_future_new(&let_go));
    CHECK_OK(pirn_coroutine_new(&other, NULL, count, &t)); /* with this one, all that may live */
    CHECK_EQ(arm(&t, PIRN_NOW), 0);
    CHECK_EQ(pirn_await(let_go, NULL, pirn_after_ms(5)), -ETIMEDOUT);
    CHECK_EQ(atomic_load(&t.calls), 0);
    CHECK_EQ(arm(&t, PIRN_NOW), 1); /* armed still */
    CHECK_EQ(pirn_await(let_go, NULL, pirn_after_ms(5)), -ETIMEDOUT);
    CHECK_OK(pirn_release(other));
    support_until(&t.calls, 1);
    CHECK_EQ(pirn_timer_cancel(&t.timer), -EALREADY);
    CHECK_OK(pirn_release(let_go));
    return 0;
}

START_TEST(s102_a_timer_waits_for_room)
{
    FOR_WORKERS(w)
    {
        pirn_config config = PIRN_CONFIG_INIT;
        int status;
        config.workers = w;
        config.max_tasks = 2;
        CHECK_OK(pirn_run_with(&config, full_main, NULL, &status));
        CHECK_EQ(status, 0);
    }
}
END_TEST

/* ---- Whoever serves the port it is in, its task is nobody's child ---------------------------- */

static pirn_local key;

static int sees_nothing(void *arg)
{
    CHECK(pirn_local_get(key) == NULL);
    return count(arg);
}

/* A job that has its submitter's task-locals runs what is ready in another runtime. */
static int passes(void *arg)
{
    pirn_runtime *other = arg;
    struct timer t = {.calls = 0};
    CHECK(pirn_local_get(key) == &key);
    CHECK_OK(pirn_timer_init(&t.timer, other, sees_nothing, &t));
    CHECK_EQ(arm(&t, PIRN_NOW), 0);
    CHECK_OK(pirn_runtime_stop(other));
    CHECK_OK(pirn_runtime_run_forever(other));
    CHECK_EQ(atomic_load(&t.calls), 1);
    return 0;
}

static int submit_pass(void *arg)
{
    int status;
    CHECK_OK(pirn_local_set(key, &key));
    CHECK_OK(pirn_blocking(passes, arg, &status, PIRN_NEVER));
    return status;
}

START_TEST(s102_a_timer_has_no_locals)
{
    CHECK_OK(pirn_local_new(&key));
    FOR_WORKERS(w)
    {
        pirn_config config = PIRN_CONFIG_INIT;
        pirn_runtime *other;
        config.workers = w;
        CHECK_OK(pirn_runtime_new(&other, &config));
        CHECK_OK(support_run(w, submit_pass, other));
        CHECK_OK(pirn_runtime_free(other));
    }
}
END_TEST

/* ---- At the runtime's end -------------------------------------------------------------------- */

struct end {
    struct timer later, due;
    atomic_int cleaned;
};

static int outlive(void *arg)
{
    struct end *end = arg;
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED); /* main is over */
    CHECK_EQ(pirn_timer_arm(&end->due.timer, PIRN_NOW), -ESHUTDOWN);
    CHECK_OK(pirn_sleep((pirn_time){atomic_load(&end->due.until) + 1000000}));
    if (pirn_timer_cancel(&end->due.timer) == 0) { /* its time has come, and it has not */
        atomic_store(&end->cleaned, 2);
        return 0;
    }
    atomic_store(&end->cleaned, 1);
    return 0;
}

static int end_main(void *arg)
{
    struct end *end = arg;
    CHECK_OK(pirn_timer_init(&end->later.timer, NULL, count, &end->later));
    CHECK_OK(pirn_timer_init(&end->due.timer, NULL, count, &end->due));
    pirn_task *task = support_spawn(outlive, end);
    support_until_waiting(task);
    CHECK_OK(pirn_detach(task));
    CHECK_EQ(arm(&end->later, pirn_after_s(30)), 0);
    CHECK_EQ(arm(&end->due, pirn_after_ms(10)), 0);
    return 0;
}

START_TEST(s102_an_armed_timer_does_not_hold_up_the_end)
{
    FOR_WORKERS(w)
    {
        struct end end;
        do { /* again if it came before main had ended */
            memset(&end, 0, sizeof(end));
            CHECK_EQ(support_run(w, end_main, &end), 0);
            CHECK(atomic_load(&end.cleaned) != 0);
            CHECK_EQ(atomic_load(&end.later.calls), 0);
        } while (atomic_load(&end.cleaned) == 1);
        CHECK_EQ(atomic_load(&end.due.calls), 0);
    }
}
END_TEST

/* ---- What has gone off is called, though main ends before its task has begun ----------------- */

static int ends_first(void *arg)
{
    struct timer *crowd = arg;
    for (int i = 0; i < CROWD; i++) {
        CHECK_OK(pirn_timer_init(&crowd[i].timer, NULL, count, &crowd[i]));
        CHECK_EQ(arm(&crowd[i], PIRN_NOW), 0);
    }
    support_until(&crowd[0].calls, 1);
    for (int i = 0; i < CROWD; i++)
        if (pirn_timer_cancel(&crowd[i].timer) == 0)
            atomic_store(&crowd[i].left, 1);
    return 0;
}

START_TEST(s102_what_has_gone_off_is_called_at_the_end)
{
    FOR_WORKERS(w)
    {
        for (int round = support_rounds(100); round > 0; round--) {
            struct timer *crowd = calloc(CROWD, sizeof(*crowd));
            CHECK(crowd != NULL);
            CHECK_EQ(support_run(w, ends_first, crowd), 0);
            for (int i = 0; i < CROWD; i++)
                CHECK_EQ(atomic_load(&crowd[i].calls), 1 - atomic_load(&crowd[i].left));
            free(crowd);
        }
    }
}
END_TEST

SUPPORT_MAIN("embedded_timer", s102_cancelled_timers_are_swept_up_by_an_idle_worker,
             s102_what_has_gone_off_is_called_at_the_end, s102_timers_armed_moved_and_cancelled,
             s102_a_timer_arms_itself_again, s102_a_timer_cancelled_as_its_time_comes,
             s102_a_timer_moved_as_its_time_comes, s102_each_timer_is_called_once_or_cancelled,
             s102_a_timer_waits_for_room, s102_a_timer_has_no_locals,
             s102_an_armed_timer_does_not_hold_up_the_end)
