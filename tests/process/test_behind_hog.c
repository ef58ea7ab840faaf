/*
 * What is ready behind a coroutine that computes runs, although all the other workers have work
 * without end and never come to look for some; and also if more became ready in the kernel
 * meanwhile than the queue of a ring holds. And a drop that takes long, of a task that was
 * cancelled before it began, keeps nobody from being woken.
 */
#include "tests/support.h"

#include <poll.h>
#include <sys/eventfd.h>

enum {
    POLLERS = 12000,     /* a ring's queue has 4096 */
    POLLERS_TSAN = 5000, /* ThreadSanitizer has no room for as many */
    YIELDERS = 8,        /* for each worker */
    ROUNDS = 3,
    BEHIND = 5,
    DROPS = 20
};

struct scene {
    atomic_int over, ran;
    pirn_future *future;
};

static int yields(void *arg)
{
    struct scene *s = arg;
    while (!atomic_load(&s->over))
        CHECK_OK(pirn_yield());
    return 0;
}

static int new_one(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->ran, 1);
    return 0;
}

static int woken_one(void *arg)
{
    struct scene *s = arg;
    CHECK_OK(pirn_await(s->future, NULL, PIRN_NEVER));
    atomic_fetch_add(&s->ran, 1);
    return 0;
}

static int computes_until_they_ran(void *arg)
{
    struct scene *s = arg;
    pirn_task *behind[2 * BEHIND];
    CHECK_OK(pirn_future_new(&s->future));
    atomic_store(&s->ran, 0);
    for (int i = 0; i < BEHIND; i++)
        support_until_waiting(behind[i] = support_spawn(woken_one, s));
    for (int i = 0; i < BEHIND; i++)
        behind[BEHIND + i] = support_spawn(new_one, s);
    CHECK_OK(pirn_future_set(s->future, 0, NULL));
    while (atomic_load(&s->ran) < 2 * BEHIND) {}
    for (int i = 0; i < 2 * BEHIND; i++)
        CHECK_OK(support_join(behind[i]));
    return pirn_release(s->future);
}

static int beside_yielders(void *arg)
{
    struct scene s = {0};
    pirn_task *yielders[4 * YIELDERS];
    int n = *(int *)arg * YIELDERS;
    for (int i = 0; i < n; i++)
        yielders[i] = support_spawn(yields, &s);
    for (int i = 0; i < ROUNDS; i++)
        CHECK_OK(support_join(support_spawn(computes_until_they_ran, &s)));
    atomic_store(&s.over, 1);
    for (int i = 0; i < n; i++)
        CHECK_OK(support_join(yielders[i]));
    return 0;
}

START_TEST(the_ready_run_behind_one_who_computes)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, beside_yielders, &w));
}
END_TEST

/* ---- More than a ring's queue holds ---------------------------------------------------------- */

struct crowd {
    int event, workers, pollers;
    atomic_int spinning, through;
};

static int polls(void *arg)
{
    struct crowd *c = arg;
    CHECK_EQ(pirn_poll(c->event, POLLIN, PIRN_NEVER), POLLIN);
    atomic_fetch_add(&c->through, 1);
    return 0;
}

static int computes_until_all_are_through(void *arg)
{
    struct crowd *c = arg;
    atomic_fetch_add(&c->spinning, 1);
    while (atomic_load(&c->through) < c->pollers) {}
    return 0;
}

static void *tell_all(void *arg)
{
    struct crowd *c = arg;
    uint64_t one = 1;
    support_until(&c->spinning, c->workers);
    CHECK_EQ(support_write(c->event, &one, sizeof(one)), sizeof(one));
    return NULL;
}

static int beside_a_crowd(void *arg)
{
    struct crowd c = {.workers = *(int *)arg, .pollers = support_tsan() ? POLLERS_TSAN : POLLERS};
    pirn_task **pollers = calloc(POLLERS, sizeof(pollers[0]));
    pirn_task *hogs[4];
    CHECK(pollers != NULL);
    CHECK_GE(c.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 0);
    for (int i = 0; i < c.pollers; i++)
        pollers[i] = support_spawn(polls, &c);
    for (int i = 0; i < c.pollers; i++)
        support_until_waiting(pollers[i]);
    CHECK_OK(pirn_sleep(pirn_after_ms(1))); /* their requests have been submitted */
    pthread_t teller = support_thread(tell_all, &c);
    for (int i = 0; i < c.workers; i++)
        hogs[i] = support_spawn(computes_until_all_are_through, &c);
    for (int i = 0; i < c.workers; i++)
        CHECK_OK(support_join(hogs[i]));
    for (int i = 0; i < c.pollers; i++)
        CHECK_OK(support_join(pollers[i]));
    support_thread_join(teller);
    CHECK_OK(close(c.event));
    free(pollers);
    return 0;
}

START_TEST(more_become_ready_behind_one_who_computes_than_a_ring_holds)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, beside_a_crowd, &w));
}
END_TEST

/* ---- A drop that takes long ------------------------------------------------------------------ */

struct drop {
    pirn_runtime *runtime;
    pirn_future *over;
    atomic_int began, dropped, release, done, other;
};

static int begins(void *arg)
{
    struct drop *d = arg;
    atomic_store(&d->began, 1);
    return 0;
}

static void drops_late(void *arg)
{
    struct drop *d = arg;
    atomic_store(&d->dropped, 1);
    support_blocking_begin();
    while (!atomic_load(&d->began) && !atomic_load(&d->release))
        usleep(100);
    support_blocking_end();
    atomic_store(&d->done, 1);
}

static int other(void *arg)
{
    struct drop *d = arg;
    atomic_store(&d->other, 1);
    return 0;
}

/* True: the task had not begun. */
static bool spawn_and_cancel(struct drop *d)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *cancelled, *task;
    d->began = d->dropped = d->release = d->done = d->other = 0;
    config.runtime = d->runtime;
    support_pause_ms(2); /* all sleep, mostly */
    config.arg_drop = drops_late;
    CHECK_OK(pirn_spawn_with(&cancelled, &config, begins, d));
    pirn_cancel(cancelled, NULL);
    support_until(&d->dropped, 1);
    bool unbegun = atomic_load(&d->began) == 0;
    config.arg_drop = NULL;
    CHECK_OK(pirn_spawn_with(&task, &config, other, d));
    support_until(&d->other, 1);
    atomic_store(&d->release, 1);
    support_until(&d->done, 1);
    support_join(cancelled);
    CHECK_OK(support_join(task));
    return unbegun;
}

static void *drops_take_long(void *arg)
{
    struct drop *d = arg;
    for (int i = 0; i < DROPS;)
        i += spawn_and_cancel(d);
    CHECK_OK(pirn_future_set(d->over, 0, NULL));
    return NULL;
}

static int beside_drops(void *arg)
{
    struct drop d = {.runtime = pirn_runtime_current()};
    (void)arg;
    CHECK_OK(pirn_future_new(&d.over));
    pthread_t thread = support_thread(drops_take_long, &d);
    CHECK_OK(pirn_await(d.over, NULL, PIRN_NEVER));
    support_thread_join(thread);
    return pirn_release(d.over);
}

START_TEST(others_are_woken_while_an_argument_is_dropped)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, beside_drops, NULL));
}
END_TEST

SUPPORT_MAIN("process/behind_hog", the_ready_run_behind_one_who_computes,
             more_become_ready_behind_one_who_computes_than_a_ring_holds,
             others_are_woken_while_an_argument_is_dropped)
