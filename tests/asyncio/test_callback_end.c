/* Done callbacks that come due as the run ends: they run before it has returned. And the end of
 * each: what it leaves behind is not the next one's. */
#include "tests/support.h"

static pirn_future *new_future(void)
{
    pirn_future *future;
    CHECK_OK(pirn_future_new(&future));
    return future;
}

static void ran(pirn_awaitable *awaitable, void *user)
{
    CHECK(pirn_done(awaitable));
    atomic_fetch_add((atomic_int *)user, 1);
}

/* ---- While a task ends ----------------------------------------------------------------------- */

struct open_end {
    pirn_generator *generator;
    pirn_task *body;
    atomic_int reports, ran;
};

static int yield_once(pirn_generator *generator, void *arg)
{
    struct open_end *o = arg;
    o->body = pirn_retain(pirn_current());
    CHECK_OK(pirn_add_done_callback(o->body, NULL, ran, &o->ran));
    CHECK_EQ(pirn_generator_yield(generator, NULL), -ECANCELED);
    return 0;
}

static int leave_open(void *arg)
{
    struct open_end *o = arg;
    pirn_awaitable *gather;
    CHECK_OK(pirn_generator_new(&o->generator, 0, yield_once, o));
    CHECK_EQ(pirn_generator_next(o->generator, NULL, PIRN_NEVER), 1);
    CHECK_OK(pirn_gather(&gather, &o->body, 1, 0)); /* ends a moment after the body */
    CHECK_OK(pirn_add_done_callback(gather, NULL, ran, &o->ran));
    pirn_release(gather);
    pirn_release(o->body);
    return 0;
}

/* While the body ends: it has ended for all who look, and has not come to those who wait for it. */
static void report_slowly(void *user, const char *line)
{
    struct open_end *o = user;
    atomic_fetch_add(&o->reports, strstr(line, "still open") != NULL);
    support_pause_ms(5);
}

START_TEST(a44_due_while_a_task_ends)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(10); i++) {
        struct open_end o = {.generator = NULL};
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.report = report_slowly;
        config.report_user = &o;
        CHECK_OK(support_run_with(&config, leave_open, &o));
        CHECK_EQ(atomic_load(&o.reports), 1);
        CHECK_EQ(atomic_load(&o.ran), 2);
        CHECK_OK(pirn_generator_close(o.generator));
    }
}
END_TEST

/* ---- Those whom others spawn as they end ----------------------------------------------------- */

enum {
    PLACES = 400,
    CHAIN_MS = 20
};

struct chain {
    pirn_time until;
    pirn_future *last, *never_set;
    _Atomic(pirn_task *) links[PLACES];
    atomic_int ran, never_ran;
};

/* Each has another descriptor, any of many: the one that the last but one has let go of. So who
 * looks at one after the other may not come to one in time. */
static int spawn_next(void *arg)
{
    struct chain *c = arg;
    pirn_task *next;
    if (pirn_now().ns >= c->until.ns)
        return pirn_future_set(c->last, 0, NULL);
    CHECK_OK(pirn_spawn(&next, spawn_next, c));
    next = atomic_exchange(&c->links[support_between(0, PLACES - 1)], next);
    return next != NULL ? pirn_detach(next) : 0;
}

static int begin_chain(void *arg)
{
    struct chain *c = arg;
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    c->until = pirn_after_ms(CHAIN_MS);
    return spawn_next(c);
}

static int leave_chain(void *arg)
{
    struct chain *c = arg;
    pirn_task *first = support_spawn(begin_chain, c);
    support_until_waiting(first);
    CHECK_OK(pirn_detach(first));
    CHECK_OK(pirn_add_done_callback(c->last, NULL, ran, &c->ran));
    CHECK_OK(pirn_add_done_callback(c->never_set, NULL, ran, &c->never_ran));
    return 0;
}

START_TEST(a44_due_at_the_end_of_a_chain)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(20); i++) {
        struct chain c = {.last = new_future(), .never_set = new_future()};
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.grace.ns = 1000 * 1000 * MS; /* not needed */
        CHECK_OK(support_run_with(&config, leave_chain, &c));
        CHECK_EQ(atomic_load(&c.ran), 1);
        CHECK_EQ(atomic_load(&c.never_ran), 0);
        for (int k = 0; k < PLACES; k++)
            if (c.links[k] != NULL)
                CHECK_OK(pirn_detach(c.links[k]));
        CHECK_OK(pirn_release(c.last));
        CHECK_OK(pirn_release(c.never_set));
    }
}
END_TEST

/* ---- What is withdrawn itself ---------------------------------------------------------------- */

enum {
    OBJECTS = 50
};

struct unbegun {
    pirn_task *tasks[OBJECTS];
    atomic_int ran;
};

static int never_begins(void *arg)
{
    (void)arg;
    CHECK(!"nobody begins it");
    return 0;
}

/* As a clean-up they are not told of the end. */
static int leave_objects(void *arg)
{
    struct unbegun *u = arg;
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    for (int i = 0; i < OBJECTS; i++) {
        CHECK_OK(pirn_coroutine_new(&u->tasks[i], NULL, never_begins, NULL));
        CHECK_OK(pirn_add_done_callback(u->tasks[i], NULL, ran, &u->ran));
    }
    return 0;
}

static int detach_one(void *arg)
{
    pirn_task *task = support_spawn(leave_objects, arg);
    support_until_waiting(task);
    return pirn_detach(task);
}

START_TEST(a44_due_as_what_nobody_began_is_withdrawn)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(50); i++) {
        struct unbegun u = {.ran = 0};
        CHECK_OK(support_run(w, detach_one, &u));
        CHECK_EQ(atomic_load(&u.ran), OBJECTS);
        for (int k = 0; k < OBJECTS; k++) {
            CHECK_EQ(pirn_status(u.tasks[k]), -ECANCELED);
            CHECK_OK(pirn_release(u.tasks[k]));
        }
    }
}
END_TEST

/* ---- Those who end when the grace is over only ----------------------------------------------- */

enum {
    LATE = 60
};

struct late {
    pirn_task *tasks[LATE];
    pirn_future *never_set;
    atomic_int ran, never_ran;
};

static int ends_when_nothing_waits(void *arg)
{
    (void)arg;
    while (pirn_sleep(PIRN_NEVER) != -ESHUTDOWN) {}
    return 3;
}

static int leave_late(void *arg)
{
    struct late *l = arg;
    CHECK_OK(pirn_add_done_callback(l->never_set, NULL, ran, &l->never_ran));
    for (int i = 0; i < LATE; i++) {
        l->tasks[i] = support_spawn(ends_when_nothing_waits, NULL);
        CHECK_OK(pirn_add_done_callback(l->tasks[i], NULL, ran, &l->ran));
        support_until_waiting(l->tasks[i]);
    }
    return pirn_sleep(pirn_after_ms(1));
}

START_TEST(a44_due_when_the_grace_is_over)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(20); i++) {
        struct late l = {.never_set = new_future()};
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.grace.ns = 2 * MS;
        CHECK_OK(support_run_with(&config, leave_late, &l));
        CHECK_EQ(atomic_load(&l.ran), LATE);
        CHECK_EQ(atomic_load(&l.never_ran), 0);
        for (int k = 0; k < LATE; k++) {
            CHECK_EQ(pirn_status(l.tasks[k]), 3);
            CHECK_OK(pirn_release(l.tasks[k]));
        }
        CHECK_OK(pirn_release(l.never_set));
    }
}
END_TEST

/* ---- Who has a done callback may be left to it ------------------------------------------- */

static int fails_at_the_gate(void *gate)
{
    CHECK_OK(pirn_await(gate, NULL, PIRN_NEVER));
    return -EIO;
}

static void takes_status(pirn_awaitable *task, void *user)
{
    atomic_store((atomic_int *)user, pirn_status(task));
}

static int leaves_it_to_a_callback(void *arg)
{
    atomic_int status = 0;
    pirn_future *gate;
    (void)arg;
    CHECK_OK(pirn_future_new(&gate));
    pirn_task *task = support_spawn(fails_at_the_gate, gate);
    support_until_waiting(task);
    CHECK_EQ(pirn_release(task), -EBUSY);
    CHECK_OK(pirn_add_done_callback(task, NULL, takes_status, &status));
    CHECK_OK(pirn_release(task));
    CHECK_OK(pirn_future_set(gate, 0, NULL));
    while (atomic_load(&status) == 0)
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
    CHECK_EQ(atomic_load(&status), -EIO);
    return pirn_release(gate);
}

SUPPORT_EACH(a_done_callback_sees_to_a_task, leaves_it_to_a_callback, 1)

/* ---- What a callback leaves behind -------------------------------------------------------- */

enum {
    GUARDED = 8
};

struct guarded {
    pirn_mutex mutex;
    atomic_int deferred;
    int called;
    pirn_timeout timeouts[GUARDED];
};

static void unlock(void *arg, int status)
{
    struct guarded *g = arg;
    CHECK_EQ(status, 0);
    CHECK_OK(pirn_yield());
    CHECK_OK(pirn_mutex_unlock(&g->mutex));
    atomic_fetch_add(&g->deferred, 1);
}

static void lock_and_defer(pirn_awaitable *awaitable, void *user)
{
    struct guarded *g = user;
    pirn_timeout *timeout = &g->timeouts[g->called];
    (void)awaitable;
    CHECK_EQ(atomic_load(&g->deferred), g->called++);
    CHECK_OK(pirn_yield()); /* the timeout of the one before was that one's */
    CHECK_OK(pirn_mutex_lock(&g->mutex, PIRN_NEVER));
    CHECK_OK(pirn_defer(unlock, g));
    *timeout = (pirn_timeout)PIRN_TIMEOUT_INIT;
    CHECK_OK(pirn_timeout_enter(timeout, PIRN_NOW)); /* and is never left: that is reported */
}

static int left_behind(void *arg)
{
    struct guarded *g = arg;
    pirn_future *future = new_future();
    CHECK_OK(pirn_mutex_init(&g->mutex));
    for (int i = 0; i < GUARDED; i++)
        CHECK_OK(pirn_add_done_callback(future, NULL, lock_and_defer, g));
    CHECK_OK(pirn_future_set(future, 0, NULL));
    support_until(&g->deferred, GUARDED);
    pirn_release(future);
    return 0;
}

/* What it defers runs after it, and not at some later time: the next one is another's. */
START_TEST(a43_what_one_leaves_behind_is_not_the_nexts)
{
    static struct guarded guarded[3]; /* what is never left is never freed, and found from here */
    struct guarded *g = guarded;
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &report, left_behind, g++));
        CHECK_EQ(support_reported(&report, "has ended inside a timeout"), GUARDED);
    }
}
END_TEST

SUPPORT_MAIN("callback_end", a_done_callback_sees_to_a_task, a44_due_while_a_task_ends,
             a44_due_at_the_end_of_a_chain, a44_due_as_what_nobody_began_is_withdrawn,
             a44_due_when_the_grace_is_over, a43_what_one_leaves_behind_is_not_the_nexts)
