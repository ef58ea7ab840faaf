/* Calls to be made later: cancelled or not, on time, by whom and when it may be. */
#include "tests/support.h"

enum {
    CROWD = 2000,
    RACES = 2000
};

struct call {
    pirn_task *handle;
    int64_t until;
    atomic_int made;
};

struct crowd {
    struct call calls[CROWD];
    atomic_int cancelled, next; /* next: the first that no canceller has looked at */
};

static int make(void *arg)
{
    struct call *call = arg;
    CHECK(pirn_now().ns >= call->until);
    atomic_fetch_add(&call->made, 1);
    return 7;
}

/* Half of them, in turns with the other cancellers. */
static int cancel_some(void *arg)
{
    struct crowd *crowd = arg;
    for (int i; (i = atomic_fetch_add(&crowd->next, 1)) < CROWD;) {
        if (i % 2)
            continue;
        int rc = pirn_cancel(crowd->calls[i].handle, "not needed");
        CHECK(rc == 0 || rc == -EALREADY);
        if (rc == 0)
            atomic_fetch_add(&crowd->cancelled, 1);
    }
    return 0;
}

static void *cancel_from_thread(void *arg)
{
    cancel_some(arg);
    return NULL;
}

/* Deadlines in no order, soon enough for some to come first, others to be cancelled first. */
static int crowd_main(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < CROWD; i++) {
        struct call *call = &crowd->calls[i];
        call->until = pirn_after_us(support_between(0, 20000)).ns;
        CHECK_OK(pirn_call_at(NULL, &call->handle, make, call, (pirn_time){call->until}));
    }
    pthread_t thread = support_thread(cancel_from_thread, crowd);
    pirn_task *task = support_spawn(cancel_some, crowd);
    cancel_some(crowd);
    CHECK_EQ(support_join(task), 0);
    int made = 0, ended = 0;
    for (int i = 0; i < CROWD; i++) {
        struct call *call = &crowd->calls[i];
        int status;
        CHECK_OK(pirn_await(call->handle, &status, PIRN_NEVER));
        CHECK_EQ(status, atomic_load(&call->made) ? 7 : -ECANCELED);
        CHECK(atomic_load(&call->made) <= 1);
        CHECK(i % 2 == 0 || atomic_load(&call->made) == 1);
        made += atomic_load(&call->made);
        ended++;
    }
    CHECK_EQ(ended, CROWD);
    support_until(&crowd->next, CROWD);
    support_thread_join(thread);
    CHECK(made + atomic_load(&crowd->cancelled) >= CROWD); /* a cancel may come while it runs */
    for (int i = 0; i < CROWD; i++)
        CHECK_OK(pirn_release(crowd->calls[i].handle));
    return made;
}

START_TEST(s102_each_is_made_once_or_cancelled)
{
    FOR_WORKERS(w)
    {
        for (int round = support_rounds(20); round > 0; round--) {
            struct crowd *crowd = calloc(1, sizeof(*crowd));
            CHECK(crowd != NULL);
            int made = support_run(w, crowd_main, crowd);
            CHECK(made >= CROWD / 2);
            free(crowd);
        }
    }
}
END_TEST

/* ---- A cancel ends it there and then ------------------------------------------------------ */

static int cancelled_main(void *arg)
{
    struct call call = {.until = INT64_MAX};
    (void)arg;
    for (int i = 0; i < 100; i++) { /* the descriptor is used again, and its deadline with it */
        CHECK_OK(pirn_call_at(NULL, &call.handle, make, &call, pirn_after_s(30)));
        CHECK(!pirn_done(call.handle));
        CHECK_EQ(pirn_status(call.handle), -EINPROGRESS);
        CHECK_OK(pirn_cancel(call.handle, "why"));
        CHECK(pirn_done(call.handle)); /* no other coroutine had to run for it */
        CHECK_EQ(pirn_status(call.handle), -ECANCELED);
        CHECK(strcmp(pirn_reason(call.handle), "why") == 0);
        CHECK_EQ(pirn_cancel(call.handle, NULL), -EALREADY);
        CHECK_OK(pirn_release(call.handle));
        CHECK_OK(pirn_sleep(pirn_after_us(10)));
    }
    CHECK_EQ(atomic_load(&call.made), 0);
    return 0;
}

START_TEST(s102_a_cancelled_call_has_ended)
{
    FOR_WORKERS(w) CHECK_EQ(support_run(w, cancelled_main, NULL), 0);
}
END_TEST

/* ---- Somebody waits for it ----------------------------------------------------------------- */

static int await_call(void *arg)
{
    struct call *call = arg;
    int status = 0;
    CHECK_OK(pirn_await(call->handle, &status, PIRN_NEVER));
    return status;
}

static int awaited_main(void *arg)
{
    struct call call = {.until = INT64_MAX};
    (void)arg;
    CHECK_OK(pirn_call_at(NULL, &call.handle, make, &call, PIRN_NEVER));
    pirn_task *waiter = support_spawn(await_call, &call);
    support_until_waiting(waiter);
    CHECK_OK(pirn_cancel(call.handle, NULL));
    CHECK_EQ(support_join(waiter), -ECANCELED);
    CHECK_OK(pirn_release(call.handle));
    return 0;
}

START_TEST(s102_who_awaits_it_hears_of_the_cancel)
{
    FOR_WORKERS(w) CHECK_EQ(support_run(w, awaited_main, NULL), 0);
}
END_TEST

/* ---- A cancel beside the deadline ---------------------------------------------------------- */

/* Sleeps go well past the deadline: who is due together with the call may be resumed before it.
 * Now and then there is but one outcome, so that each is seen on any machine. */
static int race_main(void *arg)
{
    int *outcomes = arg;
    for (int i = support_rounds(RACES); i > 0; i--) {
        bool is_made = i % 8 == 0, is_not = i % 8 == 1;
        struct call call = {.until = (is_not ? pirn_after_s(3600) : pirn_after_us(30)).ns};
        int status;
        CHECK_OK(pirn_call_at(NULL, &call.handle, make, &call, (pirn_time){call.until}));
        if (is_made)
            support_until(&call.made, 1);
        else if (i % 2)
            support_spin(support_between(0, 60000));
        else
            CHECK_OK(pirn_sleep(pirn_after_us(support_between(0, 300))));
        pirn_cancel(call.handle, NULL);
        CHECK_OK(pirn_join(call.handle, &status, PIRN_NEVER));
        CHECK_EQ(status, atomic_load(&call.made) == 1 ? 7 : -ECANCELED);
        if (is_made || is_not)
            CHECK_EQ(atomic_load(&call.made), is_made);
        outcomes[atomic_load(&call.made)]++;
    }
    return 0;
}

START_TEST(s102_cancelled_as_its_time_comes)
{
    FOR_WORKERS(w)
    {
        int outcomes[2] = {0};
        CHECK_EQ(support_run(w, race_main, outcomes), 0);
        CHECK(outcomes[0] > 0 && outcomes[1] > 0);
    }
}
END_TEST

/* ---- At the runtime's end ------------------------------------------------------------------ */

static int leave_behind(void *arg)
{
    struct call *call = arg;
    for (int i = 0; i < 1000; i++)
        CHECK_OK(pirn_call_at(NULL, NULL, make, call, pirn_after_s(30)));
    return 0;
}

START_TEST(s102_what_is_not_due_is_never_made)
{
    FOR_WORKERS(w)
    {
        struct call call = {.until = INT64_MAX};
        CHECK_EQ(support_run(w, leave_behind, &call), 0);
        CHECK_EQ(atomic_load(&call.made), 0);
    }
}
END_TEST

SUPPORT_MAIN("call_at", s102_each_is_made_once_or_cancelled, s102_a_cancelled_call_has_ended,
             s102_who_awaits_it_hears_of_the_cancel, s102_cancelled_as_its_time_comes,
             s102_what_is_not_due_is_never_made)
