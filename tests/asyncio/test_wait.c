/*
 * wait: all, the first to complete, the first to fail.
 */
#include "parts.h"

/* ---- A66: the deadline is no error ------------------------------------------------------- */

static void deadline(void)
{
    pirn_future *items[] = {set_future(1), new_future(), set_future(-EIO)};
    bool done[3] = {false, true, false};
    size_t count = 9;
    CHECK_OK(pirn_wait(items, 3, PIRN_ALL_COMPLETED, done, &count, pirn_after_ms(2)));
    CHECK(done[0] && !done[1] && done[2]);
    CHECK_EQ(count, 2);
    CHECK_EQ(pirn_status(items[1]), -EINPROGRESS); /* not cancelled */
    CHECK_EQ(pirn_status(items[2]), -EIO);
    CHECK_OK(pirn_wait(&items[1], 1, PIRN_FIRST_COMPLETED, done, &count, PIRN_NOW)); /* polls */
    CHECK(!done[0]);
    CHECK_EQ(count, 0);
    CHECK_OK(pirn_future_set(items[1], 0, NULL));
    CHECK_OK(pirn_wait(items, 3, PIRN_ALL_COMPLETED, done, NULL, PIRN_NOW));
    CHECK(done[0] && done[1] && done[2]);
    CHECK_OK(pirn_wait(items, 3, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER));
    release_all(items, 3);
}

START_TEST(a66_deadline_is_no_error)
{
    support_everywhere(deadline);
}
END_TEST

static int tasks_go_on(void *arg)
{
    pirn_future *gate = new_future();
    struct part parts[2] = {{.ms = 1, .status = 5}, {.gate = gate, .status = 6}};
    pirn_task *tasks[2] = {start_part(&parts[0]), start_part(&parts[1])};
    bool done[2];
    size_t count;
    (void)arg;
    CHECK_OK(pirn_wait(tasks, 2, PIRN_ALL_COMPLETED, done, &count, pirn_after_ms(5)));
    CHECK(!done[1]);
    CHECK_EQ(count, done[0]);
    CHECK_EQ(support_join(tasks[0]), 5);
    CHECK_OK(pirn_future_set(gate, 0, NULL));
    CHECK_EQ(support_join(tasks[1]), 6); /* was not cancelled */
    CHECK_OK(pirn_release(gate));
    return 0;
}

START_TEST(a66_tasks_go_on)
{
    run_everywhere(tasks_go_on);
}
END_TEST

/* Items end at about the deadline: each is in one set, and the count is that of the one. Now and
 * then one side waits for the other, so that both outcomes are seen on any machine. */
struct endings {
    pirn_future *items[4];
    support_barrier barrier;
    atomic_int over; /* the rounds that the wait has returned from */
    int rounds, early, late;
};

static void *set_all(void *arg)
{
    struct endings *e = arg;
    for (int round = 0; round < e->rounds; round++) {
        support_meet(&e->barrier);
        support_spin(support_between(0, 60 * US));
        if (round % 8 == 0)
            support_until(&e->over, round + 1);
        for (int i = 0; i < 4; i++)
            CHECK_OK(pirn_future_set(e->items[i], i, NULL));
        support_meet(&e->barrier);
    }
    return NULL;
}

static int wait_at_deadline(void *arg)
{
    struct endings *e = arg;
    pthread_t setter = support_thread(set_all, e);
    for (int round = 0; round < e->rounds; round++) {
        bool done[5];
        size_t count, told = 0;
        for (int i = 0; i < 4; i++)
            e->items[i] = new_future();
        pirn_awaitable *items[5] = {e->items[0], e->items[1], e->items[2], e->items[3],
                                    e->items[0]}; /* one of them twice */
        support_meet(&e->barrier);
        pirn_time deadline = round % 8 == 1 ? PIRN_NEVER : pirn_after_us(support_between(5, 80));
        CHECK_OK(pirn_wait(items, 5, PIRN_ALL_COMPLETED, done, &count, deadline));
        atomic_store(&e->over, round + 1);
        for (int i = 0; i < 4; i++)
            told += done[i];
        CHECK_EQ(told, count);
        CHECK_EQ(done[0], done[4]);
        for (int i = 1; i < 4; i++)
            CHECK(!done[i] || done[i - 1] || pirn_done(items[i - 1]));
        e->early += count < 4;
        e->late += count == 4;
        if (count < 4)
            CHECK_GE(pirn_now().ns, deadline.ns);
        support_meet(&e->barrier);
        release_all(e->items, 4);
    }
    support_thread_join(setter);
    return 0;
}

START_TEST(a66_each_is_in_one_set)
{
    FOR_WORKERS(w)
    {
        struct endings e = {.barrier = {.n = 2}, .rounds = support_rounds(3400)};
        CHECK_OK(support_run(w, wait_at_deadline, &e));
        CHECK_GE(e.early, e.rounds / 100);
        CHECK_GE(e.late, e.rounds / 100);
    }
}
END_TEST

/* ---- A67, A68 ---------------------------------------------------------------------------- */

static int first(void *arg)
{
    struct part parts[3] = {{.ms = FOR_EVER}, {.ms = 2, .status = 1}, {.ms = FOR_EVER}};
    pirn_task *tasks[3];
    bool done[3];
    size_t count;
    (void)arg;
    for (int i = 0; i < 3; i++)
        tasks[i] = start_part(&parts[i]);
    CHECK_OK(pirn_wait(tasks, 3, PIRN_FIRST_COMPLETED, done, &count, PIRN_NEVER));
    CHECK(done[1]);
    CHECK_GE(count, 1);
    for (int i = 0; i < 3; i++)
        CHECK(!done[i] || pirn_done(tasks[i]));
    for (int i = 0; i < 3; i++) {
        pirn_cancel(tasks[i], NULL);
        support_join(tasks[i]);
    }
    return 0;
}

START_TEST(a67_first_completed)
{
    run_everywhere(first);
}
END_TEST

static int first_failure(void *arg)
{
    struct part parts[4] = {{.ms = 1, .status = 3},
                            {.ms = 2, .status = -ECANCELED},
                            {.ms = 6, .status = -EIO},
                            {.ms = FOR_EVER}};
    pirn_task *tasks[4];
    bool done[4];
    (void)arg;
    for (int i = 0; i < 4; i++)
        tasks[i] = start_part(&parts[i]);
    CHECK_OK(pirn_wait(tasks, 4, PIRN_FIRST_EXCEPTION, done, NULL, PIRN_NEVER));
    CHECK(done[2] && !done[3]);
    CHECK_EQ(pirn_status(tasks[2]), -EIO);
    CHECK_OK(pirn_cancel(tasks[3], NULL));
    size_t count;
    CHECK_OK(pirn_wait(&tasks[3], 1, PIRN_FIRST_EXCEPTION, done, &count, PIRN_NEVER));
    CHECK_EQ(count, 1);
    for (int i = 0; i < 4; i++)
        support_join(tasks[i]);
    return 0;
}

static void without_failure(void)
{
    pirn_future *items[] = {set_future(-ECANCELED), new_future(), set_future(2)};
    size_t count;
    CHECK_OK(pirn_wait(items, 3, PIRN_FIRST_EXCEPTION, NULL, &count, pirn_after_ms(1)));
    CHECK_EQ(count, 2); /* it waits for all */
    CHECK_OK(pirn_future_set(items[1], 0, NULL));
    CHECK_OK(pirn_wait(items, 3, PIRN_FIRST_EXCEPTION, NULL, &count, PIRN_NEVER));
    CHECK_EQ(count, 3);
    release_all(items, 3);
}

START_TEST(a68_first_failure)
{
    run_everywhere(first_failure);
    support_everywhere(without_failure);
}
END_TEST

/* ---- A69: nothing, the same one twice, and what else can be wrong -------------------------- */

static int waits_for_itself(void *arg)
{
    pirn_awaitable *self = pirn_current();
    (void)arg;
    CHECK_EQ(pirn_wait(&self, 1, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER), -EDEADLK);
    return 0;
}

static void input(void)
{
    pirn_future *f = new_future();
    pirn_awaitable *twice[] = {f, f}, *gap[] = {f, NULL};
    bool done[2];
    size_t count = 7;
    CHECK_EQ(pirn_wait(twice, 0, PIRN_ALL_COMPLETED, done, &count, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_wait(NULL, 2, PIRN_ALL_COMPLETED, done, &count, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_wait(gap, 2, PIRN_ALL_COMPLETED, done, &count, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_wait(twice, 2, (pirn_when)3, done, &count, PIRN_NEVER), -EINVAL);
    CHECK_EQ(count, 7);
    CHECK_OK(pirn_future_set(f, 0, NULL));
    CHECK_OK(pirn_wait(twice, 2, PIRN_ALL_COMPLETED, done, &count, PIRN_NEVER));
    CHECK(done[0] && done[1]);
    CHECK_EQ(count, 1);
    CHECK_OK(pirn_release(f));
}

START_TEST(a69_input)
{
    support_everywhere(input);
    run_everywhere(waits_for_itself);
}
END_TEST

/* ---- A70: whoever waits is cancelled ------------------------------------------------------- */

static int waits_for_parts(void *arg)
{
    return pirn_wait(arg, 2, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER);
}

static int waiter_is_cancelled(void *arg)
{
    pirn_future *gate = new_future();
    struct part parts[2] = {{.gate = gate, .status = 1}, {.gate = gate, .status = 2}};
    pirn_task *tasks[2] = {start_part(&parts[0]), start_part(&parts[1])};
    (void)arg;
    pirn_task *waiter = support_spawn(waits_for_parts, tasks);
    support_until_waiting(waiter);
    CHECK_OK(pirn_cancel(waiter, NULL));
    CHECK_EQ(support_join(waiter), -ECANCELED);
    CHECK_OK(pirn_future_set(gate, 0, NULL));
    CHECK_EQ(support_join(tasks[0]), 1);
    CHECK_EQ(support_join(tasks[1]), 2);
    CHECK_OK(pirn_release(gate));
    return 0;
}

START_TEST(a70_waiter_is_cancelled)
{
    run_everywhere(waiter_is_cancelled);
}
END_TEST

/* ---- Neighbours ---------------------------------------------------------------------------- */

static int returns_arg(void *arg)
{
    return (int)(intptr_t)arg;
}

/* Coroutines that have not begun are begun by who waits for them. */
static int begins(void *arg)
{
    pirn_task *tasks[3];
    (void)arg;
    for (int i = 0; i < 3; i++)
        CHECK_OK(pirn_coroutine_new(&tasks[i], NULL, returns_arg, (void *)(intptr_t)i));
    CHECK_OK(pirn_wait(tasks, 3, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(support_join(tasks[i]), i);
    return 0;
}

START_TEST(a69_coroutines_begin)
{
    run_everywhere(begins);
}
END_TEST

/* Many waiters on the same thousand tasks, which end all over the place. */
enum {
    MANY = 1000,
    WAITERS = 8
};

static int waits_for_all(void *arg)
{
    size_t count;
    CHECK_OK(pirn_wait(arg, MANY, PIRN_ALL_COMPLETED, NULL, &count, PIRN_NEVER));
    CHECK_EQ(count, MANY);
    return 0;
}

static int many(void *arg)
{
    static pirn_task *tasks[MANY];
    pirn_task *waiters[WAITERS];
    (void)arg;
    for (int i = 0; i < MANY; i++)
        tasks[i] = support_spawn(returns_arg, (void *)(intptr_t)i);
    for (int i = 0; i < WAITERS; i++)
        waiters[i] = support_spawn(waits_for_all, tasks);
    for (int i = 0; i < WAITERS; i++)
        CHECK_OK(support_join(waiters[i]));
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(support_join(tasks[i]), i);
    return 0;
}

START_TEST(a67_many_wait_for_many)
{
    run_everywhere(many);
}
END_TEST

SUPPORT_MAIN("asyncio/wait", a66_deadline_is_no_error, a66_tasks_go_on, a66_each_is_in_one_set,
             a67_first_completed, a67_many_wait_for_many, a68_first_failure, a69_input,
             a69_coroutines_begin, a70_waiter_is_cancelled)
