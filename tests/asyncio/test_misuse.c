/* Misuse of locks, tasks, timeouts, mailboxes, combinations, processes. Of scopes, generators,
 * runtimes, and of what wants a coroutine: test_misuse_place.c; of arguments:
 * test_misuse_argument.c. */
#include "tests/asyncio/misuse.h"

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int take_mutex(void *mutex)
{
    CHECK_OK(pirn_mutex_lock(mutex, PIRN_NEVER));
    return pirn_mutex_unlock(mutex);
}

static int hold_mutex(void *mutex)
{
    CHECK_OK(pirn_mutex_lock(mutex, PIRN_NEVER));
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    return pirn_mutex_unlock(mutex);
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
    pirn_task *holder = support_spawn(hold_mutex, &m);
    support_until_waiting(holder);
    int rc = pirn_mutex_unlock(&m);
    CHECK_OK(pirn_cancel(holder, NULL));
    CHECK_OK(support_join(holder));
    return rc;
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

static int nothing_to_be_done(void)
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    pirn_queue *queue;
    config.elem_size = 1;
    CHECK_OK(pirn_queue_new(&queue, &config));
    int rc = pirn_queue_task_done(queue);
    pirn_queue_release(queue);
    return rc;
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
    pirn_mutex m = PIRN_MUTEX_INIT;
    CHECK_OK(pirn_mutex_lock(&m, PIRN_NEVER));
    pirn_task *sleeper = support_spawn(take_mutex, &m);
    support_until_waiting(sleeper);
    int rc = pirn_release(sleeper);
    CHECK_OK(pirn_mutex_unlock(&m));
    CHECK_OK(support_join(sleeper));
    return rc;
}

static int dispatch_inside(void)
{
    pirn_mailbox *mailbox;
    CHECK_OK(pirn_mailbox_new(&mailbox));
    int rc = pirn_mailbox_dispatch(mailbox);
    pirn_mailbox_release(mailbox);
    return rc;
}

static int mailbox_call_rc;

static void call_it(void *mailbox)
{
    mailbox_call_rc = pirn_mailbox_call(mailbox, nothing, NULL, NULL, PIRN_NEVER);
}

static int call_while_dispatching(void)
{
    pirn_mailbox *mailbox;
    CHECK_OK(pirn_mailbox_new(&mailbox));
    CHECK_OK(pirn_mailbox_post(mailbox, call_it, mailbox));
    CHECK_EQ(pirn_mailbox_dispatch(mailbox), 1);
    pirn_mailbox_release(mailbox);
    return mailbox_call_rc;
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

static int enters(void *arg)
{
    pirn_timeout **t = arg;
    pirn_timeout mine = PIRN_TIMEOUT_INIT;
    CHECK_OK(pirn_timeout_enter(&mine, PIRN_NEVER));
    *t = &mine;
    int rc = pirn_sleep(PIRN_NEVER);
    CHECK_EQ(pirn_timeout_leave(&mine, rc), -ECANCELED);
    return 0;
}

static int move_no_timeout(void)
{
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    return pirn_timeout_reschedule(&t, PIRN_NEVER);
}

static int leave_anothers_timeout(void)
{
    pirn_timeout *t = NULL;
    pirn_task *task = support_spawn(enters, &t);
    support_until_waiting(task);
    int rc = pirn_timeout_leave(t, 0);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_OK(support_join(task));
    return rc;
}

static int leave_outer_timeout(void)
{
    pirn_timeout outer = PIRN_TIMEOUT_INIT, inner = PIRN_TIMEOUT_INIT;
    CHECK_OK(pirn_timeout_enter(&outer, PIRN_NEVER));
    CHECK_OK(pirn_timeout_enter(&inner, PIRN_NEVER));
    int rc = pirn_timeout_leave(&outer, 0);
    CHECK_OK(pirn_timeout_leave(&inner, 0));
    CHECK_OK(pirn_timeout_leave(&outer, 0));
    return rc;
}

/* ---- Combinations of oneself ------------------------------------------------------------- */

static int wait_for_oneself(void)
{
    return pirn_wait_for(pirn_current(), NULL, PIRN_NEVER);
}

static int wait_among_others(void)
{
    pirn_awaitable *items[] = {pirn_current()};
    return pirn_wait(items, 1, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER);
}

static int complete_oneself(void)
{
    pirn_awaitable *items[] = {pirn_current()};
    pirn_completions *c;
    return pirn_as_completed(&c, items, 1);
}

static int gather_oneself(void)
{
    pirn_awaitable *items[] = {pirn_current()}, *g;
    return pirn_gather(&g, items, 1, 0);
}

static int shield_oneself(void)
{
    pirn_awaitable *outer;
    return pirn_shield(&outer, pirn_current());
}

/* ---- Of a process that is none ------------------------------------------------------------ */

static int number_of_nothing(void)
{
    CHECK(pirn_process_retain(NULL) == NULL); /* as that of any other object */
    CHECK(pirn_process_in(NULL) == NULL);
    CHECK(pirn_process_out(NULL) == NULL);
    CHECK(pirn_process_err(NULL) == NULL);
    return pirn_process_pid(NULL);
}

static int wait_for_nothing(void)
{
    return pirn_process_wait(NULL, NULL, PIRN_NEVER);
}

static int status_of_nothing(void)
{
    return pirn_process_status(NULL, NULL);
}

static int signal_to_nothing(void)
{
    return pirn_process_signal(NULL, 0);
}

static int signal_to_no_group(void)
{
    return pirn_process_signal_group(NULL, 0);
}

static int terminate_nothing(void)
{
    return pirn_process_terminate(NULL);
}

static int kill_nothing(void)
{
    return pirn_process_kill(NULL);
}

static int resolve_for_nobody(void)
{
    return pirn_resolve("127.0.0.1", NULL, NULL, NULL, PIRN_NEVER);
}

#define AMONG "a task is among those whose end it waits for"

static const struct misuse misuses[] = {
    {"pirn_mutex_unlock", -EPERM, "it is not locked", unlock_free, ANYWHERE},
    {"pirn_mutex_unlock", -EPERM, "another has locked it", unlock_anothers, IN_COROUTINE},
    {"pirn_mutex_lock", -EDEADLK, "the caller has locked it already", relock, ANYWHERE},
    {"pirn_rwlock_write_unlock", -EPERM, "the caller does not have it for writing", write_unlock,
     ANYWHERE},
    {"pirn_rwlock_read_unlock", -EPERM, "nobody has it for reading", read_unlock, ANYWHERE},
    {"pirn_rwlock_write_lock", -EDEADLK, "the caller has it for writing", write_relock, ANYWHERE},
    {"pirn_condition_wait", -EPERM, "the caller does not hold the condition's mutex", wait_unlocked,
     ANYWHERE},
    {"pirn_condition_notify", -EPERM, "the caller does not hold the condition's mutex",
     notify_unlocked, ANYWHERE},
    {"pirn_semaphore_release", -EINVAL, "more permits are given back than there can be",
     over_release, ANYWHERE},
    {"pirn_wait_group_done", -EINVAL, "more are done than were added", too_many_done, ANYWHERE},
    {"pirn_once_do", -EDEADLK, "the call is made inside its own function", once_in_once, ANYWHERE},
    {"pirn_queue_task_done", -EINVAL, "more items are done than were put", nothing_to_be_done,
     ANYWHERE},
    {"pirn_future_set", -EPERM, "it is no future, but something that ends by itself", set_a_task,
     IN_COROUTINE},
    {"pirn_shield_leave", -EINVAL, "no shield is entered, or no more", leave_no_shield,
     IN_COROUTINE},
    {"pirn_shield_leave", -EPERM, NO_COROUTINE, leave_no_shield, ON_THREAD},
    {"pirn_await", -EDEADLK, "a task waits for its own end", await_oneself, IN_COROUTINE},
    {"pirn_wait_for", -EDEADLK, "a task waits for its own end", wait_for_oneself, IN_COROUTINE},
    {"pirn_wait", -EDEADLK, AMONG, wait_among_others, IN_COROUTINE},
    {"pirn_as_completed", -EDEADLK, AMONG, complete_oneself, IN_COROUTINE},
    {"pirn_gather", -EDEADLK, AMONG, gather_oneself, IN_COROUTINE},
    {"pirn_shield", -EDEADLK, AMONG, shield_oneself, IN_COROUTINE},
    {"pirn_run", -EDEADLK, "a coroutine cannot wait for a runtime: spawn into this one", run_inside,
     IN_COROUTINE},
    {"pirn_release", -EBUSY,
     "the task has not ended, and nobody else has a reference: await, join or detach it",
     release_the_last, IN_COROUTINE},
    {"pirn_mailbox_dispatch", -EPERM, "a coroutine dispatches: a plain thread is to",
     dispatch_inside, IN_COROUTINE},
    {"pirn_mailbox_call", -EDEADLK, "the thread that dispatches waits for itself",
     call_while_dispatching, ON_THREAD},
    {"pirn_timeout_leave", -EINVAL, "it is not entered, or has been left", leave_no_timeout,
     ANYWHERE},
    {"pirn_timeout_reschedule", -EINVAL, "it is not entered", move_no_timeout, ANYWHERE},
    {"pirn_timeout_leave", -EPERM, "another task has entered it", leave_anothers_timeout,
     IN_COROUTINE},
    {"pirn_timeout_leave", -EINVAL, "a timeout or scope that was opened inside it is still open",
     leave_outer_timeout, IN_COROUTINE},
    {"pirn_timeout_enter", -EINVAL,
     "it has been entered before: each time is a PIRN_TIMEOUT_INIT's", enter_twice, IN_COROUTINE},
    {"pirn_process_pid", -EINVAL, A_NULL, number_of_nothing, ANYWHERE},
    {"pirn_process_wait", -EINVAL, A_NULL, wait_for_nothing, ANYWHERE},
    {"pirn_process_status", -EINVAL, A_NULL, status_of_nothing, ANYWHERE},
    {"pirn_process_signal", -EINVAL, A_NULL, signal_to_nothing, ANYWHERE},
    {"pirn_process_signal_group", -EINVAL, A_NULL, signal_to_no_group, ANYWHERE},
    {"pirn_process_terminate", -EINVAL, A_NULL, terminate_nothing, ANYWHERE},
    {"pirn_process_kill", -EINVAL, A_NULL, kill_nothing, ANYWHERE},
    {"pirn_resolve", -EINVAL, A_NULL, resolve_for_nobody, ANYWHERE},
};

START_TEST(a114_and_others_each_misuse_is_named)
{
    misuse_in_coroutines(misuses, sizeof(misuses) / sizeof(misuses[0]));
}
END_TEST

START_TEST(a114_and_others_on_plain_threads)
{
    misuse_on_threads(misuses, sizeof(misuses) / sizeof(misuses[0]));
}
END_TEST

/* ---- No mistake --------------------------------------------------------------------------- */

static int move_late(void *arg)
{
    CHECK_EQ(pirn_timeout_reschedule(arg, PIRN_NEVER), -EINVAL);
    return 0;
}

/* Somebody else moves a timeout, and its task leaves it at that moment. */
static int leave_and_move(void *arg)
{
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    (void)arg;
    CHECK_OK(pirn_timeout_enter(&t, PIRN_NEVER));
    CHECK_OK(pirn_timeout_leave(&t, 0));
    return support_join(support_spawn(move_late, &t));
}

START_TEST(a_timeout_that_has_been_left_is_moved)
{
    support_report report = SUPPORT_REPORT_INIT;
    pirn_config config = support_reporting(1, &report);
    config.flags = PIRN_DEBUG;
    CHECK_OK(support_run_with(&config, leave_and_move, NULL));
    CHECK_EQ(support_reported(&report, "misused"), 0);
}
END_TEST

SUPPORT_MAIN("misuse", a114_and_others_each_misuse_is_named, a114_and_others_on_plain_threads,
             a_timeout_that_has_been_left_is_moved)
