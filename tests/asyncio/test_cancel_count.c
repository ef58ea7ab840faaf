/*
 * How often a task was cancelled, and what it takes back; and that a call which was cancelled did
 * not happen.
 */
#include "tests/race/rounds.h"

static int give(void *arg)
{
    return (int)(intptr_t)arg;
}

/* ---- A51 --------------------------------------------------------------------------------- */

static int counts(void *arg)
{
    pirn_future *future;
    int fds[2];
    char byte;
    (void)arg;
    CHECK_EQ(pirn_cancelling(NULL), 0);
    CHECK_EQ(pirn_uncancel(), 0);
    for (int i = 1; i <= 5; i++) {
        CHECK_OK(pirn_cancel(pirn_current(), NULL));
        CHECK_EQ(pirn_cancelling(pirn_current()), i);
    }
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED); /* all five at once */
    CHECK_OK(pirn_yield());
    CHECK_EQ(pirn_cancelling(NULL), 5); /* delivered, they still count */
    for (int i = 4; i >= 0; i--)
        CHECK_EQ(pirn_uncancel(), i);
    CHECK_EQ(pirn_uncancel(), 0);
    CHECK_OK(pirn_yield());
    /* Taken back before it was delivered: whatever comes next completes normally. */
    CHECK_OK(pirn_future_new(&future));
    CHECK_OK(pirn_future_set(future, 1, NULL));
    support_pair(fds);
    CHECK_EQ(pirn_send(fds[0], "abcdef", 6, 0, PIRN_NEVER), 6);
    for (int what = 0; what < 6; what++) {
        CHECK_OK(pirn_cancel(pirn_current(), NULL));
        CHECK_OK(pirn_cancel(pirn_current(), NULL));
        CHECK_EQ(pirn_uncancel(), 1);
        CHECK_EQ(pirn_uncancel(), 0);
        if (what == 0)
            CHECK_OK(pirn_yield());
        else if (what == 1)
            CHECK_OK(pirn_sleep(pirn_after_us(100)));
        else if (what == 2)
            CHECK_OK(pirn_await(future, NULL, PIRN_NEVER));
        else if (what == 3)
            CHECK_EQ(pirn_recv(fds[1], &byte, 1, 0, PIRN_NEVER), 1);
        else if (what == 4)
            CHECK_EQ(support_join(support_spawn(give, (void *)3)), 3);
        else
            CHECK_EQ(pirn_recv(fds[1], &byte, 1, 0, pirn_after_s(100)), 1);
    }
    /* Two, one taken back: still to come. */
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_uncancel(), 1);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_OK(pirn_yield());
    /* A new one after one that was delivered and not taken back. */
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_cancelling(NULL), 2);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_EQ(pirn_uncancel(), 1);
    CHECK_EQ(pirn_uncancel(), 0);
    pirn_release(future);
    CHECK_OK(pirn_close(fds[0]));
    CHECK_OK(pirn_close(fds[1]));
    return 51;
}

static int count_one(void *arg)
{
    CHECK_EQ(support_join(support_spawn(counts, NULL)), 51);
    return *(int *)arg;
}

START_TEST(a51_n_cancels_one_delivery)
{
    pirn_future *future;
    int status = 5;
    CHECK_EQ(pirn_cancelling(NULL), -EPERM);
    CHECK_EQ(pirn_uncancel(), -EPERM);
    CHECK_OK(pirn_future_new(&future));
    CHECK_EQ(pirn_cancelling(future), -EINVAL);
    pirn_release(future);
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(50); i++)
        CHECK_EQ(support_run(w, count_one, &status), 5);
}
END_TEST

/* A thread cancels k times while the task takes back whatever it finds: nothing is left over. */
struct duel {
    support_barrier meet;
    pirn_task *task;
    atomic_int done, over;
};

static void *cancels(void *arg)
{
    struct duel *d = arg;
    for (;;) {
        support_meet(&d->meet);
        if (atomic_load(&d->over))
            return NULL;
        CHECK_OK(pirn_cancel(d->task, "race"));
        CHECK_OK(pirn_cancel(d->task, "race"));
        atomic_fetch_add(&d->done, 1);
    }
}

static int takes_back(void *arg)
{
    int rounds = *(int *)arg, told = 0, i = 0;
    int64_t began = support_now();
    struct duel d = {.meet = {.n = 2}, .task = pirn_current()};
    pthread_t thread = support_thread(cancels, &d);
    for (; rounds_go_on(began, i, rounds); i++) {
        int delivered = 0;
        support_meet(&d.meet);
        while (atomic_load(&d.done) <= i || pirn_cancelling(NULL) > 0) {
            if (support_between(0, 3) == 0)
                delivered += pirn_yield() == -ECANCELED;
            pirn_uncancel();
        }
        CHECK_LE(delivered, 2);
        CHECK_OK(pirn_yield()); /* none is left */
        told += delivered > 0;
    }
    atomic_store(&d.over, 1);
    support_meet(&d.meet);
    support_thread_join(thread);
    rounds_saw_both(told, i);
    return 0;
}

START_TEST(a51_taken_back_as_they_come)
{
    int rounds = support_rounds(10000) / 3;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, takes_back, &rounds));
}
END_TEST

/* ---- A65 --------------------------------------------------------------------------------- */

struct things {
    int fds[2], pipe[2], listener, client;
    struct sockaddr_in addr;
    pirn_mutex mutex;
    pirn_semaphore semaphore;
    pirn_rwlock rwlock;
    pirn_barrier barrier;
    pirn_queue *queue, *full_queue;
    pirn_channel *channel, *full_channel;
    pirn_scope *scope; /* for one child at a time */
    atomic_int child_may_end, began;
};

static int stays(void *arg)
{
    struct things *t = arg;
    support_until(&t->child_may_end, 1);
    return 0;
}

static int begins(void *arg)
{
    atomic_fetch_add(&((struct things *)arg)->began, 1);
    return 0;
}

static int recvs(struct things *t)
{
    char byte;
    return (int)pirn_recv(t->fds[1], &byte, 1, 0, PIRN_NEVER);
}

static int writes(struct things *t)
{
    return (int)pirn_write(t->pipe[1], "x", 1, PIRN_NEVER);
}

static int accepts(struct things *t)
{
    return pirn_accept(t->listener, NULL, NULL, 0, PIRN_NEVER);
}

static int locks(struct things *t)
{
    return pirn_mutex_lock(&t->mutex, PIRN_NEVER);
}

static int acquires(struct things *t)
{
    return pirn_semaphore_acquire(&t->semaphore, PIRN_NEVER);
}

static int read_locks(struct things *t)
{
    return pirn_rwlock_read_lock(&t->rwlock, PIRN_NEVER);
}

static int write_locks(struct things *t)
{
    return pirn_rwlock_write_lock(&t->rwlock, PIRN_NEVER);
}

static int arrives(struct things *t)
{
    return pirn_barrier_wait(&t->barrier, PIRN_NEVER);
}

static int gets(struct things *t)
{
    int item;
    return pirn_queue_get(t->queue, &item, PIRN_NEVER);
}

static int puts_one(struct things *t)
{
    int item = 7;
    return pirn_queue_put(t->full_queue, &item, PIRN_NEVER);
}

static int receives(struct things *t)
{
    int item;
    return pirn_channel_recv(t->channel, &item, PIRN_NEVER);
}

static int sends(struct things *t)
{
    int item = 7;
    return pirn_channel_send(t->full_channel, &item, PIRN_NEVER);
}

static int selects(struct things *t)
{
    int item = 7, got;
    pirn_case cases[] = {pirn_case_recv(t->channel, &got), pirn_case_send(t->full_channel, &item)};
    return pirn_select(cases, 2, PIRN_NEVER);
}

static int spawns(struct things *t)
{
    return pirn_scope_spawn(t->scope, begins, t, PIRN_NEVER);
}

static int (*const uses[])(struct things *t) = {recvs,      writes,      accepts, locks, acquires,
                                                read_locks, write_locks, arrives, gets,  puts_one,
                                                receives,   sends,       selects, spawns};

enum {
    USES = sizeof(uses) / sizeof(uses[0])
};

struct use {
    struct things *t;
    int (*fn)(struct things *t);
};

static int is_cancelled_in(void *arg)
{
    struct use *u = arg;
    CHECK_EQ(u->fn(u->t), -ECANCELED); /* while it waited */
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(u->fn(u->t), -ECANCELED);                 /* before it looked */
    CHECK_EQ(pirn_mutex_unlock(&u->t->mutex), -EPERM); /* not mine */
    CHECK_EQ(pirn_rwlock_write_unlock(&u->t->rwlock), -EPERM);
    return 0;
}

/* Whoever wants anything has to wait. */
static void have_nothing(struct things *t)
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    int item = 3;
    config.elem_size = sizeof(int);
    CHECK_OK(pirn_queue_new(&t->queue, &config));
    config.maxsize = 1;
    CHECK_OK(pirn_queue_new(&t->full_queue, &config));
    CHECK_OK(pirn_queue_put(t->full_queue, &item, PIRN_NEVER));
    CHECK_OK(pirn_channel_new(&t->channel, sizeof(int), 1, NULL));
    CHECK_OK(pirn_channel_new(&t->full_channel, sizeof(int), 1, NULL));
    CHECK_OK(pirn_channel_send(t->full_channel, &item, PIRN_NEVER));
    support_pair(t->fds);
    support_pipe(t->pipe);
    t->listener = support_listen(&t->addr, 1);
    CHECK_OK(pirn_semaphore_init(&t->semaphore, 0));
    CHECK_OK(pirn_barrier_init(&t->barrier, 2));
    CHECK_OK(pirn_mutex_lock(&t->mutex, PIRN_NEVER));
    CHECK_OK(pirn_rwlock_write_lock(&t->rwlock, PIRN_NEVER));
    CHECK_OK(pirn_scope_open(&t->scope, 1));
    CHECK_OK(pirn_scope_spawn(t->scope, stays, t, PIRN_NEVER));
}

/* Whoever wants something gets it at once. */
static void have_all(struct things *t)
{
    int item = 4;
    CHECK_EQ(pirn_send(t->fds[0], "all", 3, 0, PIRN_NEVER), 3);
    t->client = support_socket();
    CHECK_OK(support_connect(t->client, &t->addr, sizeof(t->addr)));
    CHECK_OK(pirn_mutex_unlock(&t->mutex));
    CHECK_OK(pirn_rwlock_write_unlock(&t->rwlock));
    CHECK_OK(pirn_semaphore_release(&t->semaphore, 1));
    CHECK_OK(pirn_queue_put(t->queue, &item, PIRN_NEVER));
    CHECK_OK(pirn_queue_get(t->full_queue, &item, PIRN_NEVER));
    CHECK_EQ(item, 3);
    item = 4;
    CHECK_OK(pirn_channel_send(t->channel, &item, PIRN_NEVER));
    CHECK_EQ(pirn_channel_recv(t->full_channel, &item, PIRN_NEVER), 1);
    CHECK_EQ(item, 3);
    atomic_store(&t->child_may_end, 1);
}

static void check_all_is_there(struct things *t)
{
    char bytes[4] = {0};
    CHECK_EQ(pirn_recv(t->fds[1], bytes, 4, 0, PIRN_NEVER), 3);
    CHECK(strcmp(bytes, "all") == 0);
    CHECK_EQ(support_drain(t->pipe[0]), 0);
    int fd = pirn_accept(t->listener, NULL, NULL, 0, PIRN_NEVER);
    CHECK_GE(fd, 0);
    CHECK_OK(pirn_close(fd));
    CHECK_OK(pirn_mutex_try_lock(&t->mutex));
    CHECK_OK(pirn_rwlock_try_write_lock(&t->rwlock));
    CHECK_EQ(pirn_semaphore_value(&t->semaphore), 1);
    CHECK_EQ(pirn_barrier_n_waiting(&t->barrier), 0);
    CHECK(!pirn_barrier_is_broken(&t->barrier));
    CHECK_EQ(pirn_queue_size(t->queue), 1);
    CHECK_EQ(pirn_queue_size(t->full_queue), 0);
    CHECK_EQ(pirn_channel_size(t->channel), 1);
    CHECK_EQ(pirn_channel_size(t->full_channel), 0);
    CHECK_OK(pirn_scope_close(t->scope, PIRN_NEVER));
    CHECK_EQ(atomic_load(&t->began), 0);
}

static int cancel_each(void *arg)
{
    struct things t = {.mutex = PIRN_MUTEX_INIT, .rwlock = PIRN_RWLOCK_INIT};
    (void)arg;
    have_nothing(&t);
    size_t filled = support_fill(t.pipe[1]);
    for (int i = 0; i < USES; i++) {
        struct use use = {&t, uses[i]};
        pirn_task *task = support_spawn(is_cancelled_in, &use);
        support_until_waiting(task);
        CHECK_OK(pirn_cancel(task, NULL));
        CHECK_OK(support_join(task));
    }
    CHECK_EQ(support_drain(t.pipe[0]), filled);
    have_all(&t);
    for (int i = 0; i < USES; i++) { /* nor is it taken where it is to be had */
        CHECK_OK(pirn_cancel(pirn_current(), NULL));
        CHECK_EQ(uses[i](&t), -ECANCELED);
    }
    check_all_is_there(&t);
    pirn_queue_release(t.queue);
    pirn_queue_release(t.full_queue);
    pirn_channel_release(t.channel);
    pirn_channel_release(t.full_channel);
    int fds[] = {t.fds[0], t.fds[1], t.pipe[0], t.pipe[1], t.listener, t.client};
    for (int i = 0; i < 6; i++)
        CHECK_OK(pirn_close(fds[i]));
    return 0;
}

START_TEST(a65_cancelled_did_not_happen)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(50); i++)
        CHECK_OK(support_run(w, cancel_each, NULL));
}
END_TEST

/* ---- Kept pending, inside a scope that is cancelled as well ------------------------------ */

struct inside {
    pirn_scope *scope;
    atomic_int begun, over;
    bool asked; /* by a request, not only by the scope */
};

static int until_over(void *arg)
{
    struct inside *in = arg;
    atomic_store(&in->begun, 1);
    while (!atomic_load(&in->over))
        support_pause_ms(1);
    return 7;
}

/* The call happened, and says so; whoever asked this task to end is to be heard all the same, and
 * the scope's own cancel ends with the scope. */
static int call_inside(void *arg)
{
    struct inside *in = arg;
    int status;
    CHECK_OK(pirn_scope_open(&in->scope, 0));
    CHECK_OK(pirn_blocking(until_over, in, &status, PIRN_NEVER));
    CHECK_EQ(status, 7);
    int closed = pirn_scope_close(in->scope, PIRN_NEVER);
    CHECK(closed == 0 || (in->asked && closed == -ECANCELED));
    CHECK_EQ(pirn_yield(), in->asked && closed == 0 ? -ECANCELED : 0);
    CHECK_OK(pirn_yield());
    return 0;
}

static int request_and_scope(void *arg)
{
    (void)arg;
    for (int how = 0; how < 3; how++) {
        struct inside in = {.asked = how != 2};
        pirn_task *task = support_spawn(call_inside, &in);
        support_until(&in.begun, 1);
        support_until_waiting(task);
        if (how == 0)
            CHECK_OK(pirn_cancel(task, "request"));
        CHECK_OK(pirn_scope_cancel(in.scope, "scope")); /* before it has run, with one worker */
        if (how == 1)
            CHECK_OK(pirn_cancel(task, "request"));
        atomic_store(&in.over, 1);
        CHECK_OK(support_join(task));
    }
    return 0;
}

START_TEST(a51_a_request_outlasts_the_scope_it_came_into)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(20); i++)
        CHECK_OK(support_run(w, request_and_scope, NULL));
}
END_TEST

static int spin_until_over(void *arg)
{
    struct inside *in = arg;
    atomic_store(&in->begun, 1);
    while (!atomic_load(&in->over)) {}
    return 7;
}

struct awaiting {
    struct inside in;
    pirn_task *child;
};

/* Passed on to a child that hears of neither. */
static int await_inside(void *arg)
{
    struct awaiting *a = arg;
    int status;
    CHECK_OK(pirn_scope_open(&a->in.scope, 0));
    CHECK_OK(pirn_await(a->child, &status, PIRN_NEVER));
    CHECK_EQ(status, 7);
    int closed = pirn_scope_close(a->in.scope, PIRN_NEVER);
    CHECK(closed == 0 || closed == -ECANCELED);
    CHECK_EQ(pirn_yield(), closed == 0 ? -ECANCELED : 0);
    CHECK_OK(pirn_yield());
    return 0;
}

static int passed_on_twice(void *arg)
{
    struct awaiting a = {.child = NULL};
    (void)arg;
    a.child = support_spawn(spin_until_over, &a.in);
    support_until(&a.in.begun, 1);
    pirn_task *task = support_spawn(await_inside, &a);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, "request"));
    while (pirn_cancelling(a.child) < 1)
        CHECK_OK(pirn_yield());
    CHECK_OK(pirn_scope_cancel(a.in.scope, "scope"));
    while (pirn_cancelling(a.child) < 2)
        CHECK_OK(pirn_yield());
    atomic_store(&a.in.over, 1);
    CHECK_OK(support_join(task));
    CHECK_EQ(support_join(a.child), 7);
    return 0;
}

START_TEST(a51_a_request_that_was_passed_on_with_a_scopes_cancel)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(10); i++)
        CHECK_OK(support_run(w, passed_on_twice, NULL));
}
END_TEST

SUPPORT_MAIN("cancel_count", a51_n_cancels_one_delivery, a51_taken_back_as_they_come,
             a65_cancelled_did_not_happen, a51_a_request_outlasts_the_scope_it_came_into,
             a51_a_request_that_was_passed_on_with_a_scopes_cancel)
