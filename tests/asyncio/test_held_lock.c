/* Debug mode: what a task has not given back when it ends: locks, shields, timeouts, scopes. Who
 * waits for such a lock: test_deadlock_lock.c. */
#include "tests/support.h"

#include <stdio.h>

enum {
    WAYS = 6,
    DEEP = 40 /* more than are noted of a task */
};

struct locks {
    pirn_mutex mutex[WAYS];
    pirn_rwlock rwlock[WAYS];
    pirn_condition condition;
    atomic_int waits;
};

static void run(int workers, unsigned flags, pirn_fn fn, void *arg, support_report *report)
{
    pirn_config config = support_reporting(workers, report);
    config.flags = flags;
    config.slow_step.ns = 3600 * 1000 * MS;
    CHECK_OK(support_run_with(&config, fn, arg));
}

/* ---- Locks that a task ends with --------------------------------------------------------- */

static int locks_two(void *arg)
{
    struct locks *l = arg;
    CHECK_OK(pirn_mutex_lock(&l->mutex[0], PIRN_NEVER));
    CHECK_OK(pirn_rwlock_write_lock(&l->rwlock[0], PIRN_NEVER));
    return 0;
}

static int tries_two(void *arg)
{
    struct locks *l = arg;
    CHECK_OK(pirn_mutex_try_lock(&l->mutex[1]));
    CHECK_OK(pirn_rwlock_try_write_lock(&l->rwlock[1]));
    return 0;
}

static int is_given_two(void *arg)
{
    struct locks *l = arg;
    atomic_store(&l->waits, 1);
    CHECK_OK(pirn_mutex_lock(&l->mutex[2], PIRN_NEVER));
    atomic_store(&l->waits, 2);
    CHECK_OK(pirn_rwlock_write_lock(&l->rwlock[2], PIRN_NEVER));
    return 0;
}

static int waits_for_a_condition(void *arg)
{
    struct locks *l = arg;
    CHECK_OK(pirn_mutex_lock(&l->mutex[3], PIRN_NEVER));
    atomic_store(&l->waits, 3);
    CHECK_OK(pirn_condition_wait(&l->condition, PIRN_NEVER));
    return 0;
}

/* Of three locks it gives back the one between. */
static int keeps_the_outer(void *arg)
{
    struct locks *l = arg;
    for (int i = 0; i < 2; i++)
        CHECK_OK(pirn_mutex_lock(&l->mutex[4 + i], PIRN_NEVER));
    CHECK_OK(pirn_rwlock_write_lock(&l->rwlock[3], PIRN_NEVER));
    return pirn_mutex_unlock(&l->mutex[5]);
}

static int keeps_locks(void *arg)
{
    struct locks *l = arg;
    CHECK_OK(support_join(support_spawn_named("keeps", locks_two, l)));
    CHECK_OK(support_join(support_spawn_named("tries", tries_two, l)));
    CHECK_OK(pirn_mutex_lock(&l->mutex[2], PIRN_NEVER));
    CHECK_OK(pirn_rwlock_write_lock(&l->rwlock[2], PIRN_NEVER));
    pirn_task *task = support_spawn_named("given", is_given_two, l);
    support_until(&l->waits, 1);
    support_until_waiting(task);
    CHECK_OK(pirn_mutex_unlock(&l->mutex[2]));
    support_until(&l->waits, 2);
    support_until_waiting(task);
    CHECK_OK(pirn_rwlock_write_unlock(&l->rwlock[2]));
    CHECK_OK(support_join(task));
    CHECK_OK(pirn_condition_init(&l->condition, &l->mutex[3]));
    task = support_spawn_named("notified", waits_for_a_condition, l);
    support_until(&l->waits, 3);
    CHECK_OK(pirn_mutex_lock(&l->mutex[3], PIRN_NEVER));
    CHECK_OK(pirn_condition_notify(&l->condition, 1));
    CHECK_OK(pirn_mutex_unlock(&l->mutex[3]));
    CHECK_OK(support_join(task));
    CHECK_OK(support_join(support_spawn_named("outer", keeps_the_outer, l)));
    return 0;
}

static void check_line(const support_report *report, const char *task, const char *kind,
                       const void *lock)
{
    char begin[64], end[96];
    snprintf(begin, sizeof(begin), "task %s (task ", task);
    snprintf(end, sizeof(end), ") has ended and not unlocked the %s at %p, which it locked at ",
             kind, lock);
    const char *at = strstr(report->text, end);
    CHECK(at != NULL);
    const char *line = at;
    while (line > report->text && line[-1] != '\n')
        line--;
    CHECK(strncmp(line, begin, strlen(begin)) == 0);
}

START_TEST(a171_who_ends_with_a_lock_is_named)
{
    FOR_WORKERS(w)
    {
        struct locks l;
        support_report report = SUPPORT_REPORT_INIT;
        memset(&l, 0, sizeof(l));
        run(w, PIRN_DEBUG, keeps_locks, &l, &report);
        CHECK_EQ(support_reported(&report, "unlocked"), 9);
        CHECK_EQ(support_reported(&report, "mutex"), 5);
        check_line(&report, "keeps", "mutex", &l.mutex[0]);
        check_line(&report, "keeps", "write lock", &l.rwlock[0]);
        check_line(&report, "tries", "mutex", &l.mutex[1]);
        check_line(&report, "tries", "write lock", &l.rwlock[1]);
        check_line(&report, "given", "mutex", &l.mutex[2]);
        check_line(&report, "given", "write lock", &l.rwlock[2]);
        check_line(&report, "notified", "mutex", &l.mutex[3]);
        check_line(&report, "outer", "mutex", &l.mutex[4]);
        check_line(&report, "outer", "write lock", &l.rwlock[3]);
    }
}
END_TEST

START_TEST(a171_not_without_debug_mode)
{
    struct locks l;
    support_report report = SUPPORT_REPORT_INIT;
    memset(&l, 0, sizeof(l));
    run(2, 0, keeps_locks, &l, &report);
    CHECK_EQ(report.used, 0);
}
END_TEST

/* ---- Locks that are given back ----------------------------------------------------------- */

static int is_true(void *arg)
{
    return *(int *)arg;
}

static void unlock_late(void *mutex, int status)
{
    (void)status;
    CHECK_OK(pirn_mutex_unlock(mutex));
}

static int gives_back(void *arg)
{
    struct locks *l = arg;
    pirn_mutex many[DEEP];
    int yes = 1, no = 0;
    for (int i = 0; i < DEEP; i++) {
        many[i] = (pirn_mutex)PIRN_MUTEX_INIT;
        CHECK_OK(pirn_mutex_lock(&many[i], PIRN_NEVER));
    }
    for (int i = 0; i < DEEP; i++)
        CHECK_OK(pirn_mutex_unlock(&many[i]));
    CHECK_OK(pirn_mutex_lock(&l->mutex[0], PIRN_NEVER));
    CHECK_EQ(pirn_condition_wait(&l->condition, PIRN_NOW), -ETIMEDOUT);
    CHECK_OK(pirn_condition_wait_for(&l->condition, is_true, &yes, PIRN_NOW));
    CHECK_EQ(pirn_condition_wait_for(&l->condition, is_true, &no, PIRN_NOW), -ETIMEDOUT);
    CHECK_OK(pirn_mutex_unlock(&l->mutex[0]));
    CHECK_EQ(pirn_mutex_lock(&l->mutex[1], PIRN_NOW), -ETIMEDOUT); /* another's */
    CHECK_EQ(pirn_mutex_try_lock(&l->mutex[1]), -EAGAIN);
    CHECK_EQ(pirn_rwlock_write_lock(&l->rwlock[1], PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_rwlock_try_write_lock(&l->rwlock[1]), -EAGAIN);
    CHECK_OK(pirn_rwlock_write_lock(&l->rwlock[0], PIRN_NEVER));
    CHECK_OK(pirn_rwlock_write_unlock(&l->rwlock[0]));
    CHECK_OK(pirn_rwlock_write_lock(&l->rwlock[2], PIRN_NEVER));
    CHECK_OK(pirn_rwlock_init(&l->rwlock[2]));
    CHECK_OK(pirn_mutex_lock(&l->mutex[3], PIRN_NEVER));
    CHECK_OK(pirn_mutex_init(&l->mutex[3]));
    CHECK_OK(pirn_rwlock_read_lock(&l->rwlock[0], PIRN_NEVER));
    CHECK_OK(pirn_rwlock_read_unlock(&l->rwlock[0]));
    PIRN_GUARD_MUTEX(guard, &l->mutex[0], PIRN_NEVER);
    CHECK_OK(guard.error);
    CHECK_OK(pirn_mutex_lock(&l->mutex[2], PIRN_NEVER));
    return pirn_defer(unlock_late, &l->mutex[2]);
}

static int enters_and_leaves(void *arg)
{
    pirn_timeout timeout = PIRN_TIMEOUT_INIT;
    pirn_scope *scope;
    (void)arg;
    CHECK_OK(pirn_shield_enter());
    CHECK_OK(pirn_shield_enter());
    CHECK_OK(pirn_timeout_enter(&timeout, PIRN_NEVER));
    CHECK_OK(pirn_scope_open(&scope, 0));
    CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
    CHECK_OK(pirn_timeout_leave(&timeout, 0));
    CHECK_OK(pirn_shield_leave());
    return pirn_shield_leave();
}

static int locks_in_turns(void *arg)
{
    struct locks *l = arg;
    for (int i = 0; i < 100; i++) {
        CHECK_OK(pirn_mutex_lock(&l->mutex[0], PIRN_NEVER));
        CHECK_OK(pirn_yield());
        CHECK_OK(pirn_mutex_unlock(&l->mutex[0]));
        CHECK_OK(pirn_rwlock_write_lock(&l->rwlock[0], PIRN_NEVER));
        CHECK_OK(pirn_yield());
        CHECK_OK(pirn_rwlock_write_unlock(&l->rwlock[0]));
    }
    return 0;
}

static int is_sound(void *arg)
{
    struct locks *l = arg;
    pirn_task *tasks[4];
    CHECK_OK(pirn_condition_init(&l->condition, &l->mutex[0]));
    CHECK_OK(pirn_mutex_lock(&l->mutex[1], PIRN_NEVER));
    CHECK_OK(pirn_rwlock_write_lock(&l->rwlock[1], PIRN_NEVER));
    CHECK_OK(support_join(support_spawn(gives_back, l)));
    CHECK_OK(support_join(support_spawn(enters_and_leaves, l)));
    for (int i = 0; i < 4; i++)
        tasks[i] = support_spawn(locks_in_turns, l);
    for (int i = 0; i < 4; i++)
        CHECK_OK(support_join(tasks[i]));
    CHECK_OK(pirn_rwlock_write_unlock(&l->rwlock[1]));
    return pirn_mutex_unlock(&l->mutex[1]);
}

START_TEST(a171_who_gives_back_is_not)
{
    FOR_WORKERS(w)
    {
        struct locks l;
        support_report report = SUPPORT_REPORT_INIT;
        memset(&l, 0, sizeof(l));
        run(w, PIRN_DEBUG, is_sound, &l, &report);
        CHECK_EQ(report.used, 0);
    }
}
END_TEST

/* ---- Shields, timeouts, scopes ----------------------------------------------------------- */

static int enters_shields(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++)
        CHECK_OK(pirn_shield_enter());
    return 0;
}

static int enters_a_timeout(void *timeout)
{
    return pirn_timeout_enter(timeout, PIRN_NEVER);
}

static int stays_inside(void *arg)
{
    static int one = 1, two = 2;
    CHECK_OK(support_join(support_spawn_named("shielded", enters_shields, &one)));
    CHECK_OK(support_join(support_spawn_named("armoured", enters_shields, &two)));
    return support_join(support_spawn_named("timed", enters_a_timeout, arg));
}

START_TEST(a171_who_ends_inside_a_shield_is_named)
{
    static pirn_timeout timeouts[3]; /* what is never left is never freed, and found from here */
    pirn_timeout *timeout = timeouts;
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        run(w, PIRN_DEBUG, stays_inside, timeout++, &report);
        CHECK_EQ(support_reported(&report, "ended"), 3);
        CHECK_EQ(support_reported(&report, "spawned"), 3);
        CHECK_EQ(support_reported(&report, "inside 1 shield:"), 1);
        CHECK_EQ(support_reported(&report, "inside 2 shields:"), 1);
        CHECK_EQ(support_reported(&report, "shielded"), 1);
        CHECK_EQ(support_reported(&report, "armoured"), 1);
        CHECK_EQ(support_reported(&report, "timed"), 1);
        CHECK_EQ(support_reported(&report, "has ended inside a timeout or a scope"), 1);
    }
}
END_TEST

SUPPORT_MAIN("held_lock", a171_who_ends_with_a_lock_is_named, a171_not_without_debug_mode,
             a171_who_gives_back_is_not, a171_who_ends_inside_a_shield_is_named)
