/* A task from spawn to the last reference: status, value, argument, names, lists, references. */
#include "tests/support.h"

static atomic_int drops;

static void count_drop(void *ptr)
{
    (void)ptr;
    atomic_fetch_add(&drops, 1);
}

static int give(void *arg)
{
    return (int)(intptr_t)arg;
}

static int wait_for_future(void *arg)
{
    int status = -EINPROGRESS;
    int rc = pirn_future_await(arg, &status, NULL, PIRN_NEVER);
    return rc ? rc : status;
}

static int wrong_arguments(void *arg)
{
    pirn_task *task = (pirn_task *)arg;
    CHECK_EQ(pirn_spawn(&task, NULL, NULL), -EINVAL);
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.size = 0;
    CHECK_EQ(pirn_spawn_with(&task, &config, give, NULL), -EINVAL);
    config = (pirn_spawn_config)PIRN_SPAWN_CONFIG_INIT;
    config.flags = 1u << 30;
    CHECK_EQ(pirn_spawn_with(&task, &config, give, NULL), -EINVAL);
    CHECK(task == (pirn_task *)arg); /* not written on failure */
    CHECK_EQ(pirn_await(NULL, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_await(pirn_current(), NULL, PIRN_NEVER), -EDEADLK);
    CHECK_EQ(pirn_await(pirn_current(), NULL, PIRN_NOW), -EDEADLK);
    return 0;
}

START_TEST(refusals)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, wrong_arguments, &drops));
}
END_TEST

static int statuses(void *arg)
{
    (void)arg;
    int values[] = {0, 1, 1 << 30, -EIO, -ECANCELED, -ETIMEDOUT, -EINPROGRESS};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        pirn_task *task = support_spawn(give, (void *)(intptr_t)values[i]);
        int status = -12345;
        /* A child's -ETIMEDOUT or -ECANCELED is not the wait's. */
        CHECK_OK(pirn_await(task, &status, PIRN_NEVER));
        CHECK_EQ(status, values[i]);
        for (int again = 0; again < 3; again++) {
            status = -12345;
            CHECK_OK(pirn_await(task, &status, PIRN_NOW));
            CHECK_EQ(status, values[i]);
            CHECK_EQ(pirn_status(task), values[i]);
        }
        CHECK_OK(pirn_await(task, NULL, PIRN_NEVER));
        CHECK_EQ(support_join(task), values[i]);
    }
    return 0;
}

START_TEST(status_is_the_result)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, statuses, NULL));
}
END_TEST

/* ---- Values and references --------------------------------------------------------------- */

struct parcel {
    pirn_future *gate;
    char value[16];
};

static int leave_value(void *arg)
{
    struct parcel *p = arg;
    strcpy(p->value, "first");
    CHECK_OK(pirn_set_value(p->value, count_drop));
    CHECK(pirn_value(pirn_current()) == NULL); /* not before the end */
    CHECK_EQ(pirn_status(pirn_current()), -EINPROGRESS);
    return wait_for_future(p->gate);
}

static int values(void *arg)
{
    (void)arg;
    struct parcel p = {0};
    CHECK_OK(pirn_future_new(&p.gate));
    atomic_store(&drops, 0);
    pirn_task *task = support_spawn(leave_value, &p);
    CHECK_EQ(pirn_release(task), -EBUSY); /* the last one of a live task */
    CHECK(pirn_retain(task) == task);
    CHECK_OK(pirn_release(task)); /* not the last */
    CHECK_EQ(pirn_release(task), -EBUSY);
    int status = -12345;
    CHECK_EQ(pirn_await(task, &status, pirn_after_ms(2)), -ETIMEDOUT);
    CHECK_EQ(status, -12345); /* written only on success */
    CHECK_EQ(pirn_status(task), -EINPROGRESS);
    CHECK(pirn_value(task) == NULL);
    CHECK_OK(pirn_future_set(p.gate, 17, NULL)); /* the deadline had left it running */
    pirn_retain(task);
    CHECK_EQ(support_join(task), 17); /* gives up one of two references */
    CHECK(pirn_value(task) == p.value);
    CHECK_EQ(atomic_load(&drops), 0);
    CHECK_OK(pirn_release(task));
    CHECK_EQ(atomic_load(&drops), 1);
    pirn_release(p.gate);
    return 0;
}

START_TEST(value_and_references)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, values, NULL));
}
END_TEST

static int two_values(void *arg)
{
    CHECK_OK(pirn_set_value(arg, count_drop));
    CHECK_OK(pirn_set_value((char *)arg + 1, count_drop)); /* replaces, dropping the first */
    return 0;
}

static int value_replaced(void *arg)
{
    char text[2];
    (void)arg;
    atomic_store(&drops, 0);
    pirn_task *task = support_spawn(two_values, text);
    CHECK_OK(pirn_await(task, NULL, PIRN_NEVER));
    CHECK(pirn_value(task) == text + 1);
    CHECK_OK(pirn_release(task));
    CHECK_EQ(atomic_load(&drops), 2);
    return 0;
}

START_TEST(value_set_twice)
{
    CHECK_OK(support_run(2, value_replaced, NULL));
}
END_TEST

/* arg_drop runs once for each task that was made, however the task was given up. */
static int drop_each(void *arg)
{
    int rounds = *(int *)arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.arg_drop = count_drop;
    atomic_store(&drops, 0);
    for (int i = 0; i < rounds; i++) {
        pirn_task *task;
        CHECK_OK(pirn_spawn_with(&task, &config, give, (void *)(intptr_t)3));
        if (i % 4 == 0)
            CHECK_OK(pirn_detach(task));
        if (i % 4 == 1)
            CHECK_EQ(support_join(task), 3);
        if (i % 4 >= 2) {
            int rc = pirn_cancel(task, NULL); /* it may have run or not */
            CHECK(rc == 0 || rc == -EALREADY);
            int status = support_join(task);
            CHECK(status == 3 || (status == -ECANCELED && rc == 0));
        }
    }
    support_until(&drops, rounds);
    CHECK_EQ(atomic_load(&drops), rounds);
    return 0;
}

START_TEST(argument_dropped_once)
{
    int rounds = support_rounds(4000);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, drop_each, &rounds));
    CHECK_EQ(atomic_load(&drops), rounds);
}
END_TEST

/* ---- Names ------------------------------------------------------------------------------- */

static int names(void *arg)
{
    (void)arg;
    pirn_future *gate;
    CHECK_OK(pirn_future_new(&gate));
    char buffer[64] = "given", a[64], b[64];
    pirn_task *one = support_spawn_named(buffer, wait_for_future, gate);
    strcpy(buffer, "changed"); /* it was copied */
    CHECK_OK(pirn_name(one, a, sizeof(a)));
    CHECK(strcmp(a, "given") == 0);
    CHECK_OK(pirn_set_name(one, "renamed"));
    CHECK_OK(pirn_name(one, a, sizeof(a)));
    CHECK(strcmp(a, "renamed") == 0);

    const char *longest = "0123456789abcdefghijklmnopqrstu"; /* 31 bytes */
    pirn_task *two =
        support_spawn_named("0123456789abcdefghijklmnopqrstuvwxyz", wait_for_future, gate);
    CHECK_OK(pirn_name(two, a, sizeof(a)));
    CHECK(strcmp(a, longest) == 0);
    CHECK_OK(pirn_set_name(one, "0123456789abcdefghijklmnopqrstuvwxyz"));
    CHECK_OK(pirn_name(one, b, sizeof(b)));
    CHECK(strcmp(b, longest) == 0);

    pirn_task *three = support_spawn(wait_for_future, gate), *four = support_spawn(give, NULL);
    CHECK_OK(pirn_name(three, a, sizeof(a)));
    CHECK_OK(pirn_name(four, b, sizeof(b)));
    CHECK(strncmp(a, "task-", 5) == 0 && strncmp(b, "task-", 5) == 0);
    CHECK(strcmp(a, b) != 0);
    CHECK(pirn_id(three) != pirn_id(four));

    CHECK_OK(pirn_future_set(gate, 0, NULL));
    CHECK_OK(support_join(one));
    CHECK_OK(support_join(two));
    CHECK_OK(support_join(three));
    CHECK_OK(support_join(four));
    pirn_release(gate);
    return 0;
}

START_TEST(task_names)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, names, NULL));
}
END_TEST

/* ---- All tasks --------------------------------------------------------------------------- */

static int list(void *arg)
{
    (void)arg;
    enum {
        N = 50
    };
    pirn_future *gate;
    CHECK_OK(pirn_future_new(&gate));
    pirn_task *mine[N], *all[N + 10], *ended = support_spawn(give, NULL);
    CHECK_OK(pirn_await(ended, NULL, PIRN_NEVER));
    for (int i = 0; i < N; i++)
        mine[i] = support_spawn(wait_for_future, gate);
    CHECK_EQ(pirn_tasks(NULL, 0), N + 1);
    CHECK_EQ(pirn_tasks(all, N + 10), N + 1);
    int found = 0;
    for (int i = 0; i < N + 1; i++) {
        CHECK(all[i] != ended);
        for (int k = 0; k < N; k++)
            found += all[i] == mine[k];
        found += all[i] == pirn_current();
        CHECK_OK(pirn_release(all[i]));
    }
    CHECK_EQ(found, N + 1); /* each once */
    pirn_task *few[3] = {NULL, NULL, (pirn_task *)&gate};
    CHECK_EQ(pirn_tasks(few, 2), N + 1);
    CHECK(few[2] == (pirn_task *)&gate); /* no more than n */
    CHECK_OK(pirn_release(few[0]));
    CHECK_OK(pirn_release(few[1]));
    CHECK_OK(pirn_future_set(gate, 4, NULL));
    for (int i = 0; i < N; i++)
        CHECK_EQ(support_join(mine[i]), 4);
    CHECK_OK(pirn_release(ended));
    pirn_release(gate);
    CHECK_EQ(pirn_tasks(NULL, 0), 1);
    return 0;
}

START_TEST(all_tasks)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, list, NULL));
}
END_TEST

/* While tasks come and go, each one listed is alive enough to be looked at. */
static int churn(void *arg)
{
    atomic_int *stop = arg;
    while (!atomic_load(stop)) {
        pirn_task *tasks[8];
        for (int i = 0; i < 8; i++)
            tasks[i] = support_spawn(give, (void *)5);
        for (int i = 0; i < 8; i++)
            CHECK_EQ(support_join(tasks[i]), 5);
    }
    return 0;
}

static int list_churning(void *arg)
{
    (void)arg;
    atomic_int stop = 0;
    pirn_task *churner = support_spawn(churn, &stop);
    for (int i = 0; i < support_rounds(3000); i++) {
        pirn_task *all[16];
        char name[32];
        int n = pirn_tasks(all, 16);
        CHECK_GE(n, 2);
        n = n < 16 ? n : 16;
        for (int k = 0; k < n; k++) {
            for (int other = 0; other < k; other++)
                CHECK(all[other] != all[k]);
            CHECK_OK(pirn_name(all[k], name, sizeof(name)));
            int status = pirn_status(all[k]);
            CHECK(status == -EINPROGRESS || status == 5);
            CHECK_OK(pirn_release(all[k]));
        }
        CHECK_OK(pirn_yield());
    }
    atomic_store(&stop, 1);
    CHECK_OK(support_join(churner));
    return 0;
}

START_TEST(all_tasks_while_they_churn)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, list_churning, NULL));
}
END_TEST

SUPPORT_MAIN("task", refusals, status_is_the_result, value_and_references, value_set_twice,
             argument_dropped_once, task_names, all_tasks, all_tasks_while_they_churn)
