/* Misuse: each call gives its errno; in debug mode a line names the task and the call; and nothing
 * aborts. */
#include "tests/support.h"

#include <stdio.h>

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int take_mutex(void *mutex)
{
    return pirn_mutex_lock(mutex, PIRN_NEVER);
}

/* ---- One function for each mistake; it returns what the call gave ------------------------ */

static int unlock_free(void)
{
    pirn_mutex m = PIRN_MUTEX_INIT;
    return pirn_mutex_unlock(&m);
}

static int unlock_anothers(void)
{
    pirn_mutex m = PIRN_MUTEX_INIT;
    CHECK_OK(support_join(support_spawn(take_mutex, &m)));
    return pirn_mutex_unlock(&m);
}

static int relock(void)
{
    pirn_mutex m = PIRN_MUTEX_INIT;
    CHECK_OK(pirn_mutex_lock(&m, PIRN_NEVER));
    int rc = pirn_mutex_lock(&m, PIRN_NEVER);
    CHECK_OK(pirn_mutex_unlock(&m));
    return rc;
}

static int write_unlock(void)
{
    pirn_rwlock l;
    CHECK_OK(pirn_rwlock_init(&l));
    return pirn_rwlock_write_unlock(&l);
}

static int read_unlock(void)
{
    pirn_rwlock l;
    CHECK_OK(pirn_rwlock_init(&l));
    return pirn_rwlock_read_unlock(&l);
}

static int write_relock(void)
{
    pirn_rwlock l;
    CHECK_OK(pirn_rwlock_init(&l));
    CHECK_OK(pirn_rwlock_write_lock(&l, PIRN_NEVER));
    int rc = pirn_rwlock_write_lock(&l, PIRN_NEVER);
    CHECK_OK(pirn_rwlock_write_unlock(&l));
    return rc;
}

static int wait_unlocked(void)
{
    pirn_mutex m = PIRN_MUTEX_INIT;
    pirn_condition c;
    CHECK_OK(pirn_condition_init(&c, &m));
    return pirn_condition_wait(&c, PIRN_NEVER);
}

static int notify_unlocked(void)
{
    pirn_mutex m = PIRN_MUTEX_INIT;
    pirn_condition c;
    CHECK_OK(pirn_condition_init(&c, &m));
    return pirn_condition_notify(&c, 1);
}

static int over_release(void)
{
    pirn_semaphore s;
    CHECK_OK(pirn_semaphore_init_bounded(&s, 2, 2));
    return pirn_semaphore_release(&s, 1);
}

static int too_many_done(void)
{
    pirn_wait_group g;
    CHECK_OK(pirn_wait_group_init(&g));
    return pirn_wait_group_done(&g);
}

static int once_inside(void *once)
{
    return pirn_once_do(once, nothing, NULL, PIRN_NEVER);
}

static int once_in_once(void)
{
    pirn_once once;
    CHECK_OK(pirn_once_init(&once));
    return pirn_once_do(&once, once_inside, &once, PIRN_NEVER);
}

static int set_a_task(void)
{
    pirn_task *task = support_spawn(nothing, NULL);
    int rc = pirn_future_set(task, 0, NULL);
    CHECK_OK(support_join(task));
    return rc;
}

static int leave_no_shield(void)
{
    return pirn_shield_leave();
}

static int await_oneself(void)
{
    return pirn_await(pirn_current(), NULL, PIRN_NEVER);
}

static int run_inside(void)
{
    return pirn_run(nothing, NULL);
}

static int release_the_last(void)
{
    pirn_task *task = support_spawn(take_mutex, NULL);
    pirn_task *sleeper = NULL;
    CHECK_EQ(support_join(task), -EINVAL);
    pirn_mutex m = PIRN_MUTEX_INIT;
    CHECK_OK(pirn_mutex_lock(&m, PIRN_NEVER));
    sleeper = support_spawn(take_mutex, &m);
    support_until_waiting(sleeper);
    int rc = pirn_release(sleeper);
    CHECK_OK(pirn_mutex_unlock(&m));
    CHECK_OK(support_join(sleeper));
    return rc;
}

static int close_own_scope(void *scope)
{
    return pirn_scope_close(scope, PIRN_NEVER);
}

static int scope_in_scope(void)
{
    pirn_scope *scope;
    CHECK_OK(pirn_scope_open(&scope, 0));
    CHECK_OK(pirn_scope_spawn(scope, close_own_scope, scope, PIRN_NEVER));
    return pirn_scope_close(scope, PIRN_NEVER); /* the child's failure */
}

static int dispatch_inside(void)
{
    pirn_mailbox *mailbox;
    CHECK_OK(pirn_mailbox_new(&mailbox));
    int rc = pirn_mailbox_dispatch(mailbox);
    pirn_mailbox_release(mailbox);
    return rc;
}

static int wait_for_oneself(void)
{
    return pirn_wait_for(pirn_current(), NULL, PIRN_NEVER);
}

static int leave_no_timeout(void)
{
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    return pirn_timeout_leave(&t, 0);
}

static int enter_twice(void)
{
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    CHECK_OK(pirn_timeout_enter(&t, PIRN_NEVER));
    int rc = pirn_timeout_enter(&t, PIRN_NEVER);
    CHECK_OK(pirn_timeout_leave(&t, 0));
    return rc;
}

struct misuse {
    const char *call;
    int rc;
    int (*fn)(void);
    bool anywhere; /* a plain thread makes it, too */
};

static const struct misuse misuses[] = {
    {"pirn_mutex_unlock", -EPERM, unlock_free, true},
    {"pirn_mutex_unlock", -EPERM, unlock_anothers, false},
    {"pirn_mutex_lock", -EDEADLK, relock, true},
    {"pirn_rwlock_write_unlock", -EPERM, write_unlock, true},
    {"pirn_rwlock_read_unlock", -EPERM, read_unlock, true},
    {"pirn_rwlock_write_lock", -EDEADLK, write_relock, true},
    {"pirn_condition_wait", -EPERM, wait_unlocked, true},
    {"pirn_condition_notify", -EPERM, notify_unlocked, true},
    {"pirn_semaphore_release", -EINVAL, over_release, true},
    {"pirn_wait_group_add", -EINVAL, too_many_done, true},
    {"pirn_once_do", -EDEADLK, once_in_once, true},
    {"pirn_future_set", -EPERM, set_a_task, false},
    {"pirn_shield_leave", -EINVAL, leave_no_shield, false},
    {"pirn_await", -EDEADLK, await_oneself, false},
    {"pirn_run", -EDEADLK, run_inside, false},
    {"pirn_release", -EBUSY, release_the_last, false},
    {"pirn_scope_close", -EDEADLK, scope_in_scope, false},
    {"pirn_mailbox_dispatch", -EPERM, dispatch_inside, false},
    {"pirn_wait_for", -EDEADLK, wait_for_oneself, false},
    {"pirn_timeout_leave", -EINVAL, leave_no_timeout, true},
    {"pirn_timeout_enter", -EINVAL, enter_twice, false},
    {"pirn_shield_leave", -EPERM, leave_no_shield, true},
};

enum {
    MISUSES = sizeof(misuses) / sizeof(misuses[0]) - 1 /* the last is a plain thread's alone */
};

/* ---- In coroutines ----------------------------------------------------------------------- */

static int commit(void *arg)
{
    const struct misuse *m = arg;
    CHECK_EQ(m->fn(), m->rc);
    return 0;
}

static int commit_all(void *arg)
{
    (void)arg;
    for (int i = 0; i < MISUSES; i++)
        CHECK_OK(support_join(support_spawn_named("culprit", commit, (void *)&misuses[i])));
    return 0;
}

START_TEST(a114_and_others_each_misuse_is_named)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.flags = PIRN_DEBUG;
        config.slow_step.ns = 3600 * 1000 * MS;
        config.report = support_report_line;
        config.report_user = &report;
        CHECK_OK(support_run_with(&config, commit_all, NULL));
        CHECK_EQ(support_reported(&report, "misused"), MISUSES);
        CHECK_EQ(support_reported(&report, "culprit"), MISUSES - 1); /* the scope's child */
        for (int i = 0; i < MISUSES; i++)
            CHECK_GE(support_reported(&report, misuses[i].call), 1);
        config.flags = 0;
        CHECK_OK(support_run_with(&config, commit_all, NULL));
        CHECK_EQ(support_reported(&report, "misused"), MISUSES);
    }
}
END_TEST

/* ---- On plain threads -------------------------------------------------------------------- */

static void commit_on_thread(void)
{
    for (int i = 0; i <= MISUSES; i++) {
        if (misuses[i].anywhere)
            CHECK_EQ(misuses[i].fn(), misuses[i].rc);
    }
}

/* Lines with the word that go to stderr meanwhile. */
static int lines_on_stderr(void (*fn)(void), const char *word)
{
    char line[512];
    int n = 0, saved = dup(2);
    FILE *file = tmpfile();
    CHECK(file != NULL && saved >= 0);
    CHECK_EQ(dup2(fileno(file), 2), 2);
    fn();
    CHECK_EQ(dup2(saved, 2), 2);
    CHECK_OK(close(saved));
    rewind(file);
    while (fgets(line, sizeof(line), file) != NULL)
        n += support_words(line, word) != 0;
    CHECK_OK(fclose(file));
    return n;
}

START_TEST(a114_and_others_on_plain_threads)
{
    int anywhere = 0;
    pirn_config config = PIRN_CONFIG_INIT;
    pirn_runtime *runtime;
    for (int i = 0; i <= MISUSES; i++)
        anywhere += misuses[i].anywhere;
    CHECK_EQ(lines_on_stderr(commit_on_thread, "misused"), 0);
    config.flags = PIRN_DEBUG;
    CHECK_OK(pirn_runtime_new(&runtime, &config));
    CHECK_EQ(lines_on_stderr(commit_on_thread, "misused"), anywhere);
    CHECK_EQ(lines_on_stderr(commit_on_thread, "thread"), anywhere);
    CHECK_OK(pirn_runtime_free(runtime));
    CHECK_EQ(lines_on_stderr(commit_on_thread, "misused"), 0);
    CHECK_OK(setenv("PIRN_DEBUG", "1", 1));
    CHECK_EQ(lines_on_stderr(commit_on_thread, "misused"), anywhere);
    CHECK_OK(unsetenv("PIRN_DEBUG"));
}
END_TEST

SUPPORT_MAIN("misuse", a114_and_others_each_misuse_is_named, a114_and_others_on_plain_threads)
