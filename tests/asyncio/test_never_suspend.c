/*
 * Calls that are not marked [suspends] leave a coroutine on its thread, and nobody else runs on its
 * strand meanwhile.
 */
#include "tests/support.h"

#include <sys/syscall.h>

static int answer(void *arg)
{
    (void)arg;
    return 42;
}

static int for_ever(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

/* Between two looks nothing may have moved the coroutine, nor anybody else have run on its
 * strand. */
struct stretch {
    atomic_int other; /* how often the other member of the strand ran */
    atomic_bool over;
};

static int other_member(void *arg)
{
    struct stretch *s = arg;
    while (!atomic_load(&s->over)) {
        atomic_fetch_add(&s->other, 1);
        CHECK_OK(pirn_yield());
    }
    return 0;
}

static void done_callback(pirn_awaitable *awaitable, void *user)
{
    (void)awaitable;
    (void)user;
}

static void with_tasks(void)
{
    pirn_task *task = support_spawn(for_ever, NULL), *object = NULL, *handle = NULL, *all[4];
    pirn_future *future = NULL;
    char name[40];
    bool drop = false;
    pirn_local key;
    static pirn_local kept;
    static bool have_key;
    if (!have_key)
        CHECK_OK(pirn_local_new(&kept));
    have_key = true;
    key = kept;
    CHECK_OK(pirn_local_set(key, name));
    CHECK(pirn_local_get(key) == name);
    CHECK(pirn_current() != NULL && pirn_runtime_current() != NULL && pirn_on_worker() == 1);
    CHECK_OK(pirn_name(task, name, sizeof(name)));
    CHECK_OK(pirn_set_name(task, "never"));
    CHECK(pirn_id(task) != 0 && pirn_kind_of(task) == PIRN_KIND_TASK);
    CHECK_EQ(pirn_status(task), -EINPROGRESS);
    CHECK_GE(pirn_tasks(all, 0), 2);
    CHECK_OK(pirn_coroutine_new(&object, NULL, answer, NULL));
    CHECK_OK(pirn_start(object));
    CHECK_OK(pirn_call_at(NULL, &handle, answer, NULL, pirn_after_s(1000)));
    CHECK_OK(pirn_cancel(handle, NULL));
    CHECK_OK(pirn_detach(handle));
    CHECK_OK(pirn_detach(object));
    CHECK_OK(pirn_future_new(&future));
    CHECK_OK(pirn_add_done_callback(future, NULL, done_callback, &drop));
    CHECK_EQ(pirn_remove_done_callback(future, done_callback, &drop), 1);
    CHECK_OK(pirn_future_set(future, 1, NULL));
    CHECK(pirn_done(future) && pirn_value(future) == NULL);
    CHECK_OK(pirn_release(future));
    CHECK_OK(pirn_shield_enter());
    CHECK_OK(pirn_shield_leave());
    CHECK_EQ(pirn_cancelling(NULL), 0);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_OK(pirn_detach(task));
}

static pirn_queue *new_queue(void)
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    pirn_queue *queue = NULL;
    config.elem_size = sizeof(int);
    config.maxsize = 1;
    CHECK_OK(pirn_queue_new(&queue, &config));
    return queue;
}

static void with_locks(void)
{
    pirn_mutex mutex;
    pirn_rwlock rwlock;
    pirn_condition condition;
    pirn_event event;
    pirn_semaphore semaphore;
    pirn_barrier barrier;
    pirn_once once;
    pirn_wait_group group;
    CHECK_OK(pirn_mutex_init(&mutex));
    CHECK_OK(pirn_mutex_try_lock(&mutex));
    CHECK(pirn_mutex_is_locked(&mutex));
    CHECK_OK(pirn_condition_init(&condition, &mutex));
    CHECK_OK(pirn_condition_notify(&condition, 1));
    CHECK_OK(pirn_condition_notify_all(&condition));
    CHECK_OK(pirn_mutex_unlock(&mutex));
    CHECK_OK(pirn_rwlock_init(&rwlock));
    CHECK_OK(pirn_rwlock_try_read_lock(&rwlock));
    CHECK_EQ(pirn_rwlock_try_write_lock(&rwlock), -EAGAIN);
    CHECK_OK(pirn_rwlock_read_unlock(&rwlock));
    CHECK_OK(pirn_rwlock_try_write_lock(&rwlock));
    CHECK_OK(pirn_rwlock_write_unlock(&rwlock));
    CHECK_OK(pirn_event_init(&event));
    CHECK_OK(pirn_event_set(&event));
    CHECK(pirn_event_is_set(&event));
    CHECK_OK(pirn_event_clear(&event));
    CHECK_OK(pirn_semaphore_init(&semaphore, 1));
    CHECK_OK(pirn_semaphore_try_acquire(&semaphore));
    CHECK_OK(pirn_semaphore_release(&semaphore, 1));
    CHECK_EQ(pirn_semaphore_value(&semaphore), 1);
    CHECK_OK(pirn_barrier_init(&barrier, 2));
    CHECK_OK(pirn_barrier_abort(&barrier));
    CHECK(pirn_barrier_is_broken(&barrier));
    CHECK_OK(pirn_barrier_reset(&barrier));
    CHECK_EQ(pirn_barrier_n_waiting(&barrier), 0);
    CHECK_OK(pirn_once_init(&once));
    CHECK(!pirn_once_is_done(&once));
    CHECK_OK(pirn_wait_group_init(&group));
    CHECK_OK(pirn_wait_group_add(&group, 1));
    CHECK_OK(pirn_wait_group_done(&group));
    CHECK_EQ(pirn_wait_group_count(&group), 0);
}

static void with_queues(void)
{
    pirn_queue *queue = new_queue();
    pirn_channel *channel, *sender;
    int item = 1;
    CHECK_OK(pirn_queue_try_put(queue, &item));
    CHECK_EQ(pirn_queue_try_put(queue, &item), -EAGAIN);
    CHECK(pirn_queue_full(queue) && !pirn_queue_empty(queue));
    CHECK_OK(pirn_queue_try_get(queue, &item));
    CHECK_EQ(pirn_queue_try_get(queue, &item), -EAGAIN);
    CHECK_OK(pirn_queue_task_done(queue));
    CHECK_OK(pirn_queue_shutdown(queue, PIRN_QUEUE_DRAIN));
    pirn_queue_release(queue);
    CHECK_OK(pirn_channel_new(&channel, sizeof(int), 1, NULL));
    CHECK_OK(pirn_channel_clone(channel, PIRN_CHANNEL_SEND, &sender));
    CHECK_OK(pirn_channel_try_send(sender, &item));
    CHECK_EQ(pirn_channel_try_send(channel, &item), -EAGAIN);
    pirn_case cases[] = {pirn_case_send(channel, &item), pirn_case_recv(channel, &item)};
    CHECK_EQ(pirn_select_try(cases, 2), 1);
    CHECK_EQ(pirn_channel_try_recv(channel, &item), -EAGAIN);
    CHECK_EQ(pirn_channel_size(channel), 0);
    CHECK_OK(pirn_channel_close(sender, PIRN_CHANNEL_SEND));
    pirn_channel_release(sender);
    pirn_channel_release(channel);
}

static void with_broadcasts(void)
{
    pirn_broadcast *broadcast;
    pirn_subscription *subscription;
    pirn_watch *watch;
    uint64_t version = 0;
    int item = 1;
    CHECK_OK(pirn_broadcast_new(&broadcast, sizeof(int), 2));
    CHECK_OK(pirn_broadcast_subscribe(broadcast, &subscription));
    CHECK_EQ(pirn_broadcast_send(broadcast, &item), 1);
    CHECK_EQ(pirn_broadcast_try_recv(subscription, &item, NULL), 1);
    CHECK_EQ(pirn_broadcast_try_recv(subscription, &item, NULL), -EAGAIN);
    CHECK_OK(pirn_broadcast_close(broadcast));
    pirn_broadcast_unsubscribe(subscription);
    pirn_broadcast_release(broadcast);
    CHECK_OK(pirn_watch_new(&watch, sizeof(int), &item));
    CHECK_OK(pirn_watch_set(watch, &item));
    CHECK_OK(pirn_watch_get(watch, &item, &version));
    CHECK_EQ(version, 2);
    CHECK_OK(pirn_watch_close(watch));
    pirn_watch_release(watch);
}

static void clean(void *arg, int status)
{
    (void)arg, (void)status;
}

static void with_combinations(void)
{
    pirn_future *future;
    pirn_awaitable *gather, *shield;
    pirn_completions *completions;
    CHECK_OK(pirn_future_new(&future));
    CHECK_OK(pirn_gather(&gather, &future, 1, 0));
    CHECK_EQ(pirn_gather_count(gather), 1);
    CHECK(pirn_gather_item(gather, 0) == future);
    CHECK_OK(pirn_shield(&shield, future));
    CHECK_OK(pirn_as_completed(&completions, &future, 1));
    pirn_completions_free(completions);
    CHECK_OK(pirn_cancel(shield, NULL));
    CHECK_OK(pirn_cancel(gather, NULL));
    CHECK_EQ(pirn_status(future), -ECANCELED);
    CHECK(pirn_reason(future) == NULL);
    CHECK_OK(pirn_release(shield));
    CHECK_OK(pirn_release(gather));
    CHECK_OK(pirn_release(future));
    CHECK_OK(pirn_defer(clean, NULL));
    CHECK_OK(pirn_undefer(clean, NULL));
    CHECK(pirn_cancel_reason() == NULL);
    CHECK_EQ(pirn_uncancel(), 0);
}

static void with_timers(void)
{
    pirn_timeout timeout = PIRN_TIMEOUT_INIT;
    pirn_timer timer;
    pirn_ticker ticker;
    CHECK_OK(pirn_timeout_enter(&timeout, pirn_after_s(1000)));
    CHECK_OK(pirn_timeout_reschedule(&timeout, PIRN_NEVER));
    CHECK_EQ(pirn_timeout_when(&timeout).ns, PIRN_NEVER.ns);
    CHECK(!pirn_timeout_expired(&timeout));
    CHECK_OK(pirn_timeout_leave(&timeout, 0));
    CHECK_OK(pirn_timer_init(&timer, NULL, answer, NULL));
    CHECK_OK(pirn_timer_arm(&timer, pirn_after_s(1000)));
    CHECK_EQ(pirn_timer_arm(&timer, pirn_after_s(2000)), 1);
    CHECK_OK(pirn_timer_cancel(&timer));
    CHECK_OK(pirn_ticker_init(&ticker, pirn_span_ms(1), PIRN_MISSED_SKIP));
}

static pirn_scope *scope;
static pirn_generator *generator;

static int yields(pirn_generator *g, void *arg)
{
    return pirn_generator_yield(g, arg);
}

static void with_others(void)
{
    pirn_stats stats = {.size = sizeof(stats)};
    pirn_strand *strand;
    pirn_job *job;
    pirn_mailbox *mailbox;
    CHECK_OK(pirn_scope_open(&scope, 0));
    CHECK_OK(pirn_scope_spawn(scope, for_ever, NULL, PIRN_NEVER)); /* without a limit */
    CHECK_EQ(pirn_scope_errors(scope, NULL, 0), 0);
    CHECK_OK(pirn_scope_cancel(scope, NULL));
    CHECK_OK(pirn_generator_new(&generator, 0, yields, NULL));
    CHECK_EQ(pirn_generator_status(generator), -EINPROGRESS);
    CHECK_OK(pirn_strand_new(&strand));
    CHECK(pirn_strand_current() != strand);
    pirn_strand_release(strand);
    CHECK_OK(pirn_thread_pool_submit(NULL, &job, answer, NULL));
    pirn_job_is_running(job);
    CHECK_OK(pirn_release(job));
    CHECK_OK(pirn_mailbox_new(&mailbox));
    CHECK_GE(pirn_mailbox_fd(mailbox), 0);
    CHECK_OK(pirn_mailbox_close(mailbox));
    pirn_mailbox_release(mailbox);
    CHECK_EQ(pirn_runtime_is_running(pirn_runtime_current()), 1);
    CHECK_OK(pirn_stats_get(NULL, &stats));
}

static void stays(struct stretch *s, void (*calls)(void))
{
    pid_t thread = (pid_t)syscall(SYS_gettid);
    int other = atomic_load(&s->other);
    calls();
    CHECK_EQ((pid_t)syscall(SYS_gettid), thread);
    CHECK_EQ(atomic_load(&s->other), other);
}

static int member(void *arg)
{
    struct stretch *s = arg;
    void (*const all[])(void) = {with_tasks,        with_locks,  with_queues, with_broadcasts,
                                 with_combinations, with_timers, with_others};
    support_until(&s->other, 1); /* it is about, and runs whenever it may */
    for (int i = 0; i < support_rounds(500); i++) {
        for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
            stays(s, all[k]);
            if (all[k] == with_others) { /* and these suspend */
                CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
                CHECK_OK(pirn_generator_close(generator));
            }
            CHECK_OK(pirn_yield());
        }
    }
    atomic_store(&s->over, true);
    return 0;
}

static int two_members(void *arg)
{
    struct stretch s = {0};
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *tasks[2];
    pirn_fn fns[] = {member, other_member};
    (void)arg;
    CHECK_OK(pirn_strand_new(&config.strand));
    for (int i = 0; i < 2; i++)
        CHECK_OK(pirn_spawn_with(&tasks[i], &config, fns[i], &s));
    for (int i = 0; i < 2; i++)
        CHECK_OK(support_join(tasks[i]));
    pirn_strand_release(config.strand);
    return 0;
}

START_TEST(s9_calls_that_never_suspend)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, two_members, NULL));
    CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
}
END_TEST

/* However many: nobody else runs on this worker meanwhile. (On another one, which may stand in for
 * it if the machine is slow, they may.) */
struct crowd {
    _Atomic uint64_t spawner; /* turn << 32 | its thread */
    _Atomic uint64_t seen;    /* the last turn in which another has run on that */
    atomic_int children;
    atomic_bool over;
};

static void note_thread(struct crowd *c)
{
    uint64_t spawner = atomic_load(&c->spawner); /* whose turn may be over before it is noted */
    if ((uint32_t)syscall(SYS_gettid) == (uint32_t)spawner)
        atomic_store(&c->seen, spawner >> 32);
}

static int runs_on(void *arg)
{
    struct crowd *c = arg;
    while (!atomic_load(&c->over)) {
        note_thread(c);
        CHECK_OK(pirn_yield());
    }
    return 0;
}

static int is_child(void *arg)
{
    note_thread(arg);
    atomic_fetch_add(&((struct crowd *)arg)->children, 1);
    return 0;
}

static int spawns_many(void *arg)
{
    struct crowd c = {0};
    pirn_scope *many;
    (void)arg;
    pirn_task *other = support_spawn(runs_on, &c);
    CHECK_OK(pirn_scope_open(&many, 0));
    for (uint64_t turn = 1; turn <= 10; turn++) {
        CHECK_OK(pirn_yield());
        uint32_t thread = (uint32_t)syscall(SYS_gettid);
        atomic_store(&c.spawner, turn << 32 | thread);
        for (int k = 0; k < 1000; k++)
            CHECK_OK(pirn_scope_spawn(many, is_child, &c, PIRN_NEVER));
        CHECK_EQ((uint32_t)syscall(SYS_gettid), thread);
        CHECK(atomic_load(&c.seen) != turn);
    }
    CHECK_OK(pirn_scope_close(many, PIRN_NEVER));
    CHECK_EQ(atomic_load(&c.children), 10000);
    atomic_store(&c.over, true);
    return support_join(other);
}

START_TEST(s9_many_children)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, spawns_many, NULL));
}
END_TEST

SUPPORT_MAIN("asyncio/never_suspend", s9_calls_that_never_suspend, s9_many_children)
