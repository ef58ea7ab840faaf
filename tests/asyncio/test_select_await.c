/*
 * Select over awaitables, alone and beside channels.
 */
#include "tests/support.h"

static pirn_future *new_future(void)
{
    pirn_future *f = NULL;
    CHECK_OK(pirn_future_new(&f));
    return f;
}

static pirn_channel *new_channel(size_t capacity)
{
    pirn_channel *ch = NULL;
    CHECK_OK(pirn_channel_new(&ch, sizeof(int), capacity, NULL));
    return ch;
}

static void alone(void)
{
    pirn_future *f = new_future(), *g = new_future();
    pirn_channel *ch = new_channel(1);
    int item = -1, counts[2] = {0, 0};
    void *value = NULL;
    pirn_case cases[] = {pirn_case_await(f, NULL), pirn_case_await(NULL, &value),
                         pirn_case_await(g, &value), pirn_case_recv(ch, &item)};
    CHECK_EQ(pirn_select_try(cases, 4), -EAGAIN);
    CHECK_EQ(pirn_select(cases, 4, pirn_after_ms(1)), -ETIMEDOUT);
    CHECK_OK(pirn_future_set(g, -EAGAIN, &item));
    CHECK(value == NULL);
    for (int i = 0; i < 3; i++) { /* what it says stays */
        value = NULL;
        CHECK_EQ(pirn_select(cases, 4, PIRN_NEVER), 2);
        CHECK_EQ(cases[2].result, -EAGAIN);
        CHECK(value == &item);
    }
    CHECK_EQ(pirn_select(cases, 3, PIRN_NEVER), 2); /* no channel */
    for (int i = 0; i < 300; i++) {                 /* neither starves */
        CHECK(pirn_channel_try_send(ch, &i) == 0 || pirn_channel_size(ch) == 1);
        int at = pirn_select(&cases[2], 2, PIRN_NEVER);
        CHECK(at == 0 || at == 1);
        counts[at]++;
    }
    CHECK_GE(counts[0], 50);
    CHECK_GE(counts[1], 50);
    pirn_release(f);
    pirn_release(g);
    pirn_channel_release(ch);
}

START_TEST(a139_futures)
{
    support_everywhere(alone);
}
END_TEST

/* Two futures and a channel come at the same time: one of them goes, and an item is received only
 * if that says so. */
struct contest {
    pirn_future *f[2];
    pirn_channel *ch;
    support_barrier *barrier;
    bool meets; /* select begins when the others do; else it waits by then */
    atomic_int over;
    int sent, index, result, item;
};

static int waits(void *arg)
{
    struct contest *c = arg;
    c->item = -1;
    pirn_case cases[] = {pirn_case_await(c->f[0], NULL), pirn_case_recv(c->ch, &c->item),
                         pirn_case_await(c->f[1], NULL)};
    if (c->meets)
        support_meet(c->barrier);
    c->index = pirn_select(cases, 3, PIRN_NEVER);
    atomic_store(&c->over, 1);
    CHECK(c->index >= 0);
    c->result = cases[c->index].result;
    return 0;
}

static void *sets(void *arg)
{
    struct contest *c = arg;
    support_meet(c->barrier);
    CHECK_OK(pirn_future_set(c->f[0], 10, NULL));
    CHECK_OK(pirn_future_set(c->f[1], 12, NULL));
    return NULL;
}

static void *sends(void *arg)
{
    struct contest *c = arg;
    int item = 33;
    support_meet(c->barrier);
    do
        c->sent = pirn_channel_try_send(c->ch, &item);
    while (c->sent == -EAGAIN && c->meets && !atomic_load(&c->over));
    return NULL;
}

static int contests(void *arg)
{
    (void)arg;
    int saw[3] = {0, 0, 0};
    for (int i = 0; i < support_rounds(1500); i++) {
        support_barrier barrier = {.n = i % 2 ? 3 : 2};
        struct contest c = {.ch = new_channel(0), .barrier = &barrier, .meets = i % 2};
        c.f[0] = new_future();
        c.f[1] = new_future();
        pirn_task *task = support_spawn(waits, &c);
        if (!c.meets)
            support_until_waiting(task);
        pthread_t threads[2] = {support_thread(sets, &c), support_thread(sends, &c)};
        CHECK_OK(support_join(task));
        support_thread_join(threads[0]);
        support_thread_join(threads[1]);
        saw[c.index]++;
        CHECK_EQ(c.sent, c.index == 1 ? 0 : -EAGAIN);
        CHECK_EQ(c.item, c.index == 1 ? 33 : -1);
        CHECK_EQ(c.result, c.index == 1 ? 1 : 10 + c.index);
        pirn_release(c.f[0]);
        pirn_release(c.f[1]);
        pirn_channel_release(c.ch);
    }
    CHECK(saw[0] > 0 && saw[1] > 0);
    return 0;
}

START_TEST(a139_a_future_races_a_channel)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, contests, NULL));
}
END_TEST

/* ---- Tasks ------------------------------------------------------------------------------- */

static int values[4];

static int ends(void *arg)
{
    int *mine = arg;
    support_spin(support_between(0, 5 * US));
    CHECK_OK(pirn_set_value(mine, NULL));
    return (int)(mine - values) + 1;
}

/* Tasks end and a thread sets a future while select looks and links: whatever is reported has come,
 * and each can be taken in its turn. */
static void *sets_soon(void *arg)
{
    support_spin(support_between(0, 20 * US));
    CHECK_OK(pirn_future_set(arg, 5, &values[3]));
    return NULL;
}

static int ends_while_linking(void *arg)
{
    (void)arg;
    for (int i = 0; i < support_rounds(3000); i++) {
        pirn_case cases[5];
        pirn_task *tasks[3];
        void *value[4] = {NULL};
        int item;
        pirn_channel *ch = new_channel(0);
        pirn_future *f = new_future();
        for (int k = 0; k < 3; k++) {
            tasks[k] = support_spawn(ends, &values[k]);
            cases[k] = pirn_case_await(tasks[k], &value[k]);
        }
        cases[3] = pirn_case_await(f, &value[3]);
        cases[4] = pirn_case_recv(ch, &item);
        pthread_t thread = support_thread(sets_soon, f);
        for (int left = 4; left > 0; left--) {
            int at = pirn_select(cases, 5, PIRN_NEVER);
            CHECK(at >= 0 && at < 4);
            CHECK(cases[at].object != NULL && value[at] == &values[at]);
            CHECK_EQ(cases[at].result, at < 3 ? at + 1 : 5);
            CHECK_EQ(pirn_status(cases[at].object), cases[at].result);
            cases[at] = pirn_case_await(NULL, NULL);
        }
        CHECK_EQ(pirn_select_try(cases, 5), -EAGAIN); /* nothing is left in the channel */
        CHECK_EQ(pirn_channel_try_send(ch, &i), -EAGAIN);
        for (int k = 0; k < 3; k++)
            CHECK_EQ(support_join(tasks[k]), k + 1);
        support_thread_join(thread);
        pirn_release(f);
        pirn_channel_release(ch);
    }
    return 0;
}

START_TEST(a139_tasks_that_end_meanwhile)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, ends_while_linking, NULL));
}
END_TEST

/* A select that is cancelled, or runs out, leaves the task alone. */
static int waits_for_future(void *arg)
{
    int status = -1;
    int rc = pirn_future_await(arg, &status, NULL, PIRN_NEVER);
    return rc ? rc : status;
}

static int selects_task(void *arg)
{
    pirn_case c = pirn_case_await(arg, NULL);
    return pirn_select(&c, 1, PIRN_NEVER);
}

static int only_looks_on(void *arg)
{
    (void)arg;
    pirn_future *f = new_future();
    pirn_task *task = support_spawn(waits_for_future, f);
    pirn_case c = pirn_case_await(task, NULL);
    CHECK_EQ(pirn_select(&c, 1, pirn_after_ms(1)), -ETIMEDOUT);
    pirn_task *selects[2] = {support_spawn(selects_task, task), support_spawn(selects_task, task)};
    support_until_waiting(selects[0]);
    support_until_waiting(selects[1]);
    CHECK_OK(pirn_cancel(selects[0], NULL));
    CHECK_EQ(support_join(selects[0]), -ECANCELED);
    CHECK_EQ(pirn_status(task), -EINPROGRESS);
    CHECK_OK(pirn_future_set(f, 8, NULL));
    CHECK_EQ(support_join(selects[1]), 0);
    CHECK_EQ(support_join(task), 8);
    pirn_release(f);
    return 0;
}

START_TEST(a139_select_only_looks_on)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, only_looks_on, NULL));
}
END_TEST

/* A coroutine that has not begun: not by a look, but by whoever waits for it. */
static int gives(void *arg)
{
    return (int)(intptr_t)arg;
}

static int begins(void *arg)
{
    pirn_task *first, *second;
    pirn_future *f = new_future();
    (void)arg;
    CHECK_OK(pirn_coroutine_new(&first, NULL, gives, (void *)7));
    CHECK_OK(pirn_coroutine_new(&second, NULL, gives, (void *)8));
    pirn_case cases[] = {pirn_case_await(f, NULL), pirn_case_await(first, NULL)};
    CHECK_EQ(pirn_select_try(cases, 2), -EAGAIN);
    CHECK_OK(pirn_future_set(f, 0, NULL));
    CHECK_EQ(pirn_select(cases, 2, PIRN_NEVER), 0); /* nobody had to wait */
    CHECK_EQ(pirn_status(first), -EINPROGRESS);
    CHECK_EQ(pirn_select(&cases[1], 1, PIRN_NEVER), 0);
    CHECK_EQ(cases[1].result, 7);
    CHECK_EQ(pirn_start(first), -EALREADY);
    CHECK_OK(pirn_release(first));
    CHECK_OK(pirn_release(second)); /* never begun, and may still be given up */
    CHECK_OK(pirn_release(f));
    return 0;
}

START_TEST(a139_begins_what_it_waits_for)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, begins, NULL));
}
END_TEST

/* Its own end cannot come while it waits for it: said as by pirn_await and pirn_wait. */
static int selects_itself(void *arg)
{
    pirn_future *f = new_future();
    pirn_case cases[] = {pirn_case_await(f, NULL), pirn_case_await(pirn_current(), NULL)};
    (void)arg;
    CHECK_EQ(pirn_select(&cases[1], 1, PIRN_NEVER), -EDEADLK);
    CHECK_EQ(pirn_select(cases, 2, PIRN_NEVER), -EDEADLK);
    CHECK_EQ(pirn_select_try(cases, 2), -EDEADLK);
    CHECK_EQ(pirn_select_try(cases, 1), -EAGAIN);
    CHECK_OK(pirn_release(f));
    return 0;
}

START_TEST(a36_selects_itself)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, selects_itself, NULL));
}
END_TEST

SUPPORT_MAIN("select/await", a139_futures, a139_a_future_races_a_channel,
             a139_tasks_that_end_meanwhile, a139_select_only_looks_on,
             a139_begins_what_it_waits_for, a36_selects_itself)
