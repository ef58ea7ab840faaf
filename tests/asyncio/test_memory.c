/*
 * What was plainly written before a spawn, a settle, a put, a release is seen by who comes after.
 */
#include "tests/support.h"

/* ---- A27 --------------------------------------------------------------------------------- */

enum way {
    BY_SPAWN,
    BY_END,
    BY_FUTURE,
    BY_CALLBACK,
    BY_MUTEX,
    BY_SEMAPHORE,
    BY_EVENT,
    BY_QUEUE,
    BY_CHANNEL,
    BY_START,
    BY_CALL,
    WAYS
};

struct parcel {
    enum way way;
    int plain[8];
    pirn_future *future;
    pirn_mutex mutex;
    pirn_semaphore semaphore;
    pirn_event event;
    pirn_queue *queue;
    pirn_channel *channel;
    atomic_int read, locked;
};

static int unpack(void *arg)
{
    struct parcel *p = arg;
    for (int i = 0; i < 8; i++)
        CHECK_EQ(p->plain[i], i + 27);
    atomic_fetch_add(&p->read, 1);
    return 27;
}

static void pack(struct parcel *p)
{
    for (int i = 0; i < 8; i++)
        p->plain[i] = i + 27;
}

static int packs(void *arg)
{
    pack(arg);
    return 27;
}

static void unpack_when_done(pirn_awaitable *awaitable, void *user)
{
    (void)awaitable;
    unpack(user);
}

static int receive(void *arg)
{
    struct parcel *p = arg;
    int item = 0;
    switch (p->way) {
    case BY_FUTURE:
        CHECK_OK(pirn_await(p->future, NULL, PIRN_NEVER));
        break;
    case BY_MUTEX:
        CHECK_OK(pirn_mutex_lock(&p->mutex, PIRN_NEVER));
        CHECK_OK(pirn_mutex_unlock(&p->mutex));
        break;
    case BY_SEMAPHORE:
        CHECK_OK(pirn_semaphore_acquire(&p->semaphore, PIRN_NEVER));
        break;
    case BY_EVENT:
        CHECK_OK(pirn_event_wait(&p->event, PIRN_NEVER));
        break;
    case BY_QUEUE:
        CHECK_OK(pirn_queue_get(p->queue, &item, PIRN_NEVER));
        break;
    default:
        CHECK_EQ(pirn_channel_recv(p->channel, &item, PIRN_NEVER), 1);
    }
    return unpack(p);
}

static void *receive_on_thread(void *arg)
{
    receive(arg);
    return NULL;
}

static void send_by(struct parcel *p)
{
    int item = 1;
    pack(p);
    switch (p->way) {
    case BY_FUTURE:
        CHECK_OK(pirn_future_set(p->future, 0, NULL));
        break;
    case BY_MUTEX:
        CHECK_OK(pirn_mutex_unlock(&p->mutex));
        break;
    case BY_SEMAPHORE:
        CHECK_OK(pirn_semaphore_release(&p->semaphore, 2));
        break;
    case BY_EVENT:
        CHECK_OK(pirn_event_set(&p->event));
        break;
    case BY_QUEUE:
        for (int i = 0; i < 2; i++)
            CHECK_OK(pirn_queue_put(p->queue, &item, PIRN_NEVER));
        break;
    default:
        for (int i = 0; i < 2; i++)
            CHECK_OK(pirn_channel_send(p->channel, &item, PIRN_NEVER));
    }
}

static void send_parcel(enum way way)
{
    struct parcel p = {.way = way, .mutex = PIRN_MUTEX_INIT, .event = PIRN_EVENT_INIT};
    pirn_queue_config queue = PIRN_QUEUE_CONFIG_INIT;
    pirn_task *task;
    queue.elem_size = sizeof(int);
    CHECK_OK(pirn_semaphore_init(&p.semaphore, 0));
    CHECK_OK(pirn_future_new(&p.future));
    CHECK_OK(pirn_queue_new(&p.queue, &queue));
    CHECK_OK(pirn_channel_new(&p.channel, sizeof(int), 1, NULL));
    if (way == BY_SPAWN || way == BY_START || way == BY_CALL) {
        pack(&p);
        if (way == BY_SPAWN)
            task = support_spawn(unpack, &p);
        else if (way == BY_CALL)
            CHECK_OK(pirn_call_at(NULL, &task, unpack, &p, pirn_after_us(50)));
        else
            CHECK_OK(pirn_coroutine_new(&task, NULL, unpack, &p));
        CHECK_EQ(support_join(task), 27);
    } else if (way == BY_END) {
        CHECK_EQ(support_join(support_spawn(packs, &p)), 27);
        unpack(&p);
    } else if (way == BY_CALLBACK) {
        CHECK_OK(pirn_add_done_callback(p.future, NULL, unpack_when_done, &p));
        pack(&p);
        CHECK_OK(pirn_future_set(p.future, 0, NULL));
        support_until(&p.read, 1);
    } else {
        if (way == BY_MUTEX)
            CHECK_OK(pirn_mutex_lock(&p.mutex, PIRN_NEVER));
        pthread_t thread = support_thread(receive_on_thread, &p);
        task = support_spawn(receive, &p);
        if (support_between(0, 1) != 0)
            CHECK_OK(pirn_sleep(pirn_after_us(100)));
        send_by(&p);
        CHECK_EQ(support_join(task), 27);
        support_until(&p.read, 2); /* not to block the worker it may need */
        support_thread_join(thread);
    }
    pirn_queue_release(p.queue);
    pirn_channel_release(p.channel);
    CHECK_OK(pirn_release(p.future));
}

static int send_all(void *arg)
{
    (void)arg;
    for (int i = 0; i < support_rounds(30); i++)
        for (int way = 0; way < WAYS; way++)
            send_parcel((enum way)way);
    return 0;
}

START_TEST(a27_what_was_written_before_is_seen)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, send_all, NULL));
}
END_TEST

SUPPORT_MAIN("memory", a27_what_was_written_before_is_seen)
