/*
 * Coroutine objects: tasks that exist before they begin. Who begins them, and that those nobody
 * begins never run and drop their argument once.
 */
#include "tests/race/rounds.h"

struct one {
    atomic_int ran, dropped;
};

static int runs(void *arg)
{
    atomic_fetch_add(&((struct one *)arg)->ran, 1);
    return 7;
}

static void drop(void *arg)
{
    atomic_fetch_add(&((struct one *)arg)->dropped, 1);
}

static pirn_task *make(pirn_runtime *runtime, struct one *one)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    config.arg_drop = drop;
    config.runtime = runtime;
    CHECK_OK(pirn_coroutine_new(&task, &config, runs, one));
    return task;
}

static void check(struct one *one, int ran)
{
    CHECK_EQ(atomic_load(&one->ran), ran);
    CHECK_EQ(atomic_load(&one->dropped), 1);
}

/* ---- Who begins it ----------------------------------------------------------------------- */

static void *await_on_thread(void *arg)
{
    CHECK_EQ(support_join(arg), 7);
    return NULL;
}

static int await_elsewhere(void *arg)
{
    return support_join(arg);
}

static int begun_in_each_way(void *arg)
{
    int status = -12345;
    struct one one[6] = {0};
    (void)arg;
    CHECK_EQ(support_join(make(NULL, &one[0])), 7);
    check(&one[0], 1);

    pirn_task *task = make(NULL, &one[1]); /* only looked at, it does not run */
    CHECK_EQ(pirn_status(task), -EINPROGRESS);
    CHECK(!pirn_done(task));
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_EQ(atomic_load(&one[1].ran), 0);
    CHECK_OK(pirn_start(task));
    CHECK_EQ(pirn_start(task), -EALREADY);
    CHECK_EQ(support_join(task), 7);
    check(&one[1], 1);

    task = make(NULL, &one[2]); /* by a wait with a deadline */
    CHECK_OK(pirn_await(task, &status, pirn_after_s(100)));
    CHECK_EQ(status, 7);
    CHECK_EQ(pirn_start(task), -EALREADY);
    CHECK_OK(pirn_release(task));
    check(&one[2], 1);

    support_thread_join(support_thread(await_on_thread, make(NULL, &one[3])));
    check(&one[3], 1);

    CHECK_EQ(support_join(support_spawn(await_elsewhere, make(NULL, &one[4]))), 7);
    check(&one[4], 1);

    task = make(NULL, &one[5]);
    CHECK_OK(pirn_start(task));
    CHECK_OK(pirn_detach(task)); /* runs on unowned */
    support_until(&one[5].dropped, 1);
    check(&one[5], 1);
    return 0;
}

START_TEST(s39_begun_by_start_or_await)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(100); i++)
        CHECK_OK(support_run(w, begun_in_each_way, NULL));
}
END_TEST

/* ---- Who never begins -------------------------------------------------------------------- */

static int never_begun(void *arg)
{
    struct one *one = arg;
    pirn_task *task = make(NULL, &one[0]);
    CHECK_OK(pirn_release(task));

    task = make(NULL, &one[1]);
    CHECK(pirn_retain(task) == task);
    CHECK_OK(pirn_release(task));
    CHECK_EQ(atomic_load(&one[1].dropped), 0); /* somebody still may */
    CHECK_OK(pirn_release(task));

    task = make(NULL, &one[2]); /* awaited at once: it is the newest in the queue by then */
    CHECK_OK(pirn_cancel(task, "before"));
    CHECK_EQ(pirn_start(task), -EALREADY);
    CHECK_EQ(support_join(task), -ECANCELED);
    check(&one[2], 0);

    task = make(NULL, &one[3]);
    CHECK_OK(pirn_cancel(task, "before"));
    while (!pirn_done(task))
        CHECK_OK(pirn_yield());
    CHECK_EQ(pirn_cancel(task, "late"), -EALREADY);
    CHECK(strcmp(pirn_reason(task), "before") == 0);
    CHECK_EQ(support_join(task), -ECANCELED);
    check(&one[3], 0);

    CHECK_OK(pirn_detach(make(NULL, &one[4]))); /* not at the end of the run: now */
    support_until(&one[4].dropped, 1);

    task = make(NULL, &one[5]); /* behind another one, where it can be called on this stack */
    CHECK_OK(pirn_cancel(task, "before"));
    struct one other = {0};
    pirn_task *behind = make(NULL, &other);
    CHECK_OK(pirn_start(behind));
    CHECK_EQ(support_join(task), -ECANCELED);
    CHECK_EQ(support_join(behind), 7);

    task = make(NULL, &one[6]); /* detached by one who is not the last */
    CHECK(pirn_retain(task) == task);
    CHECK_OK(pirn_detach(task));
    CHECK_OK(pirn_yield());
    CHECK_EQ(atomic_load(&one[6].dropped), 0);
    CHECK_OK(pirn_detach(task));
    support_until(&one[6].dropped, 1);

    pirn_stats stats = {.size = sizeof(stats)}; /* and nothing of them is left */
    do
        CHECK_OK(pirn_stats_get(NULL, &stats));
    while (stats.tasks_live > 1 && pirn_yield() == 0);
    return 0;
}

START_TEST(s39_never_begun_never_runs)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(100); i++) {
        struct one one[7] = {0};
        CHECK_OK(support_run(w, never_begun, one));
        for (int k = 0; k < 7; k++)
            check(&one[k], 0);
    }
}
END_TEST

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int misuse(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_future *future;
    pirn_task *task;
    (void)arg;
    CHECK_EQ(pirn_coroutine_new(NULL, NULL, nothing, NULL), -EINVAL);
    CHECK_EQ(pirn_coroutine_new(&task, NULL, NULL, NULL), -EINVAL);
    config.flags = PIRN_PINNED;
    CHECK_EQ(pirn_coroutine_new(&task, &config, nothing, NULL), -EINVAL);
    CHECK_EQ(pirn_start(NULL), -EINVAL);
    CHECK_OK(pirn_future_new(&future));
    CHECK_EQ(pirn_start(future), -EINVAL);
    pirn_release(future);
    task = support_spawn(nothing, NULL);
    CHECK_EQ(pirn_start(task), -EALREADY);
    CHECK_OK(support_join(task));
    CHECK_OK(pirn_call_at(NULL, &task, nothing, NULL, PIRN_NEVER));
    CHECK_EQ(pirn_start(task), -EINVAL); /* its time begins it */
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    return 0;
}

START_TEST(s39_misuse)
{
    pirn_task *task;
    CHECK_EQ(pirn_coroutine_new(&task, NULL, nothing, NULL), -EPERM);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, misuse, NULL));
}
END_TEST

/* ---- Races ------------------------------------------------------------------------------- */

enum act {
    START,
    AWAIT,
    CANCEL,
    RELEASE,
    DETACH,
    ACTS
};

struct duel {
    support_barrier meet;
    atomic_int done, first_done; /* rounds of the second one's, of the first one's */
    pirn_task *task;
    enum act act[2]; /* the first one's, the second one's */
    int rc[2];
    enum {
        AT_ONCE,
        FIRST_LEADS, /* now and then, so that each outcome is seen on any machine */
        SECOND_LEADS
    } order;
    atomic_int over;
};

static int perform(struct duel *d, int who)
{
    int status = -12345;
    switch (d->act[who]) {
    case START:
        return pirn_start(d->task);
    case AWAIT:
        CHECK_OK(pirn_await(d->task, &status, PIRN_NEVER));
        return status;
    case CANCEL:
        return pirn_cancel(d->task, NULL);
    case DETACH:
        return pirn_detach(d->task);
    case RELEASE:
    case ACTS:
        break;
    }
    return pirn_release(d->task);
}

static void *second(void *arg)
{
    struct duel *d = arg;
    for (;;) {
        support_meet(&d->meet);
        if (atomic_load(&d->over))
            return NULL;
        if (d->order == FIRST_LEADS)
            support_until(&d->first_done, atomic_load(&d->done) + 1);
        d->rc[1] = perform(d, 1);
        atomic_fetch_add(&d->done, 1);
    }
}

/* What both have done, and what became of it. Returns whether it ran. */
static int judge(struct duel *d, struct one *one)
{
    enum act other = d->act[1];
    int ran;
    if (d->act[0] == RELEASE ||
        d->act[0] == DETACH) { /* each had a reference, and the last one went */
        CHECK(d->rc[0] == 0 && d->rc[1] == 0);
        support_until(&one->dropped, 1);
        check(one, 0);
        return 0;
    }
    int status = support_join(d->task);
    if (other == AWAIT)
        pirn_release(d->task); /* its own */
    ran = atomic_load(&one->ran);
    check(one, ran);
    CHECK(ran == 0 || ran == 1);
    CHECK_EQ(status, ran ? 7 : -ECANCELED);
    if (d->act[0] == START && other == START) {
        CHECK(ran);
        CHECK_EQ(d->rc[0] + d->rc[1], -EALREADY); /* exactly one of them did */
    } else if (other == CANCEL) {
        if (!ran)
            CHECK_OK(d->rc[1]);
        if (d->rc[1] != 0)
            CHECK(ran && d->rc[1] == -EALREADY);
    } else if (other == DETACH) {
        CHECK(ran && d->rc[0] == 0 && d->rc[1] == 0); /* its own reference: there is another */
    } else {
        CHECK(ran && d->rc[1] == 7);
    }
    return ran;
}

static const enum act duels[][2] = {
    {START, START},  {START, CANCEL},    {AWAIT, CANCEL},   {START, AWAIT},   {AWAIT, AWAIT},
    {START, DETACH}, {RELEASE, RELEASE}, {RELEASE, DETACH}, {DETACH, DETACH},
};
enum {
    DUELS = sizeof(duels) / sizeof(duels[0]),
    JUDGED = 3 /* the first ones: both outcomes are to be seen */
};

static int fight(void *arg)
{
    int *rounds = arg, ran[DUELS] = {0}, first[DUELS] = {0}, i = 0;
    int64_t began = support_now();
    struct duel d = {.meet = {.n = 2}};
    pthread_t thread = support_thread(second, &d);
    for (; rounds_go_on(began, i, *rounds); i++) {
        int k = i % DUELS;
        struct one one = {0};
        d.task = make(NULL, &one);
        d.act[0] = duels[k][0];
        d.act[1] = duels[k][1];
        if (d.act[1] == AWAIT || d.act[1] == RELEASE || d.act[1] == DETACH)
            pirn_retain(d.task);
        d.order = k >= JUDGED          ? AT_ONCE
                  : i / DUELS % 8 == 0 ? FIRST_LEADS
                  : i / DUELS % 8 == 1 ? SECOND_LEADS
                                       : AT_ONCE;
        support_meet(&d.meet);
        if (d.order == SECOND_LEADS)
            support_until(&d.done, i + 1);
        d.rc[0] = perform(&d, 0);
        atomic_store(&d.first_done, i + 1);
        while (atomic_load(&d.done) <= i)
            CHECK_OK(pirn_yield());
        first[k] += d.rc[0] == 0;
        ran[k] += judge(&d, &one);
    }
    atomic_store(&d.over, 1);
    support_meet(&d.meet);
    support_thread_join(thread);
    if (i >= 2000) {
        rounds_saw_both(first[0], i / DUELS); /* two starts: each wins now and then */
        rounds_saw_both(ran[1], i / DUELS);   /* and so do who begins it and who cancels it */
        rounds_saw_both(ran[2], i / DUELS);
    }
    return 0;
}

START_TEST(s39_begun_once_by_two_threads_at_once)
{
    int rounds = support_rounds(36000) / 3;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, fight, &rounds));
}
END_TEST

/* ---- Given up while somebody looks at all tasks ---------------------------------------------- */

static int looks_at_all(void *arg)
{
    while (!atomic_load((atomic_int *)arg)) {
        CHECK_GE(pirn_tasks(NULL, 0), 1); /* has a reference to each of them, one by one */
        CHECK_OK(pirn_yield());
    }
    return 0;
}

/* The look's reference may be the last but for the runtime's: it could begin nothing either. */
static int looked_at(void *arg)
{
    int rounds = *(int *)arg, i = 0;
    int64_t began = support_now();
    atomic_int over = 0;
    pirn_task *looker = support_spawn(looks_at_all, &over);
    for (; rounds_go_on(began, i, rounds); i++) {
        struct one one = {0};
        pirn_task *task = make(NULL, &one);
        CHECK_OK(pirn_yield());
        CHECK_OK(i % 2 != 0 ? pirn_detach(task) : pirn_release(task));
        support_until(&one.dropped, 1);
        check(&one, 0);
    }
    atomic_store(&over, 1);
    return support_join(looker);
}

START_TEST(s39_given_up_while_it_is_looked_at)
{
    int rounds = support_rounds(20000);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, looked_at, &rounds));
}
END_TEST

SUPPORT_MAIN("coroutine", s39_begun_by_start_or_await, s39_never_begun_never_runs, s39_misuse,
             s39_begun_once_by_two_threads_at_once, s39_given_up_while_it_is_looked_at)
