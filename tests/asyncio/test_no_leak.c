/* serial */
/*
 * A wait that is cancelled or timed out leaves no memory behind, whatever it waited for.
 *
 * Many victims wait; each wait of theirs ends by its deadline, or by a cancel. After a warm-up
 * neither the resident size nor what is allocated grows, however many rounds follow.
 * PIRN_LEAK_ROUNDS is the number of waits of each kind and each end (CONTRIBUTING.md).
 */
#include "tests/support.h"

#include <malloc.h>
#include <poll.h>
#include <stdio.h>

enum {
    VICTIMS = 32,
    ROUNDS = 20000,
    RESIDENT = 1024 * 1024, /* bytes it may grow by: pages touched late, by chance */
    ALLOCATED = 256 * 1024, /* a slab of descriptors or two; 16 bytes a wait are more */
    SPARE = 128 * 1024      /* a spare thread, which stays: on a busy machine one comes late */
};

struct scene {
    pirn_task *task;
    pirn_future *future;
    pirn_mutex held, mutex;
    pirn_condition condition;
    pirn_semaphore semaphore;
    pirn_event event;
    pirn_rwlock rwlock;
    pirn_wait_group group;
    pirn_queue *empty, *full;
    pirn_channel *channel, *send_channel;
    int fds[2];
};

typedef int (*wait_fn)(struct scene *s, pirn_time deadline);

static int wait_sleep(struct scene *s, pirn_time deadline)
{
    (void)s;
    int rc = pirn_sleep(deadline);
    return rc == 0 ? -ETIMEDOUT : rc;
}

static int wait_task(struct scene *s, pirn_time deadline)
{
    return pirn_await(s->task, NULL, deadline);
}

static int wait_future(struct scene *s, pirn_time deadline)
{
    return pirn_await(s->future, NULL, deadline);
}

static int wait_mutex(struct scene *s, pirn_time deadline)
{
    return pirn_mutex_lock(&s->held, deadline);
}

static int wait_rwlock(struct scene *s, pirn_time deadline)
{
    return support_between(0, 1) != 0 ? pirn_rwlock_read_lock(&s->rwlock, deadline)
                                      : pirn_rwlock_write_lock(&s->rwlock, deadline);
}

static int wait_condition(struct scene *s, pirn_time deadline)
{
    int rc = pirn_mutex_lock(&s->mutex, PIRN_NEVER);
    if (rc != 0)
        return rc;
    rc = pirn_condition_wait(&s->condition, deadline);
    CHECK_OK(pirn_mutex_unlock(&s->mutex));
    return rc;
}

static int wait_semaphore(struct scene *s, pirn_time deadline)
{
    return pirn_semaphore_acquire(&s->semaphore, deadline);
}

static int wait_event(struct scene *s, pirn_time deadline)
{
    return pirn_event_wait(&s->event, deadline);
}

static int wait_group(struct scene *s, pirn_time deadline)
{
    return pirn_wait_group_wait(&s->group, deadline);
}

static int wait_get(struct scene *s, pirn_time deadline)
{
    int item;
    return pirn_queue_get(s->empty, &item, deadline);
}

static int wait_put(struct scene *s, pirn_time deadline)
{
    int item = 1;
    return pirn_queue_put(s->full, &item, deadline);
}

static int wait_join(struct scene *s, pirn_time deadline)
{
    return pirn_queue_join(s->full, deadline);
}

static int wait_receive(struct scene *s, pirn_time deadline)
{
    int item;
    return pirn_channel_recv(s->channel, &item, deadline);
}

static int wait_send(struct scene *s, pirn_time deadline)
{
    int item = 1;
    return pirn_channel_send(s->send_channel, &item, deadline);
}

static int wait_select(struct scene *s, pirn_time deadline)
{
    int item = 1, got;
    pirn_case cases[] = {pirn_case_recv(s->channel, &got), pirn_case_send(s->send_channel, &item),
                         pirn_case_await(s->future, NULL), pirn_case_await(s->task, NULL)};
    return pirn_select(cases, 4, deadline);
}

static int wait_recv(struct scene *s, pirn_time deadline)
{
    char byte;
    return (int)pirn_recv(s->fds[0], &byte, 1, 0, deadline);
}

static int wait_poll(struct scene *s, pirn_time deadline)
{
    return pirn_poll(s->fds[0], POLLIN, deadline);
}

static const struct kind {
    const char *name;
    wait_fn wait;
} kinds[] = {
    {"sleep", wait_sleep},
    {"await task", wait_task},
    {"await future", wait_future},
    {"mutex", wait_mutex},
    {"rwlock", wait_rwlock},
    {"condition", wait_condition},
    {"semaphore", wait_semaphore},
    {"event", wait_event},
    {"wait group", wait_group},
    {"queue get", wait_get},
    {"queue put", wait_put},
    {"queue join", wait_join},
    {"channel recv", wait_receive},
    {"channel send", wait_send},
    {"select", wait_select},
    {"recv", wait_recv},
    {"poll", wait_poll},
};

/* ---- One kind ---------------------------------------------------------------------------- */

struct phase {
    struct scene *scene;
    wait_fn wait;
    bool cancels;
    long each; /* waits of one victim */
    atomic_int began, ended;
};

static int victim(void *arg)
{
    struct phase *p = arg;
    atomic_fetch_add(&p->began, 1);
    for (long i = 0; i < p->each;) {
        pirn_time deadline = p->cancels ? PIRN_NEVER : pirn_after_us(20);
        int rc = p->wait(p->scene, deadline);
        CHECK_EQ(rc, p->cancels ? -ECANCELED : -ETIMEDOUT);
        while (pirn_uncancel() > 0) {}
        i++;
    }
    atomic_fetch_add(&p->ended, 1);
    return 0;
}

static void wait_often(struct phase *p)
{
    pirn_task *victims[VICTIMS];
    atomic_store(&p->began, 0);
    atomic_store(&p->ended, 0);
    for (int i = 0; i < VICTIMS; i++)
        victims[i] = support_spawn(victim, p);
    support_until(&p->began, VICTIMS);
    while (p->cancels && atomic_load(&p->ended) < VICTIMS) {
        for (int i = 0; i < VICTIMS; i++)
            pirn_cancel(victims[i], "leak");
        CHECK_OK(pirn_yield()); /* all of them wait again when this goes on */
    }
    for (int i = 0; i < VICTIMS; i++)
        CHECK_OK(support_join(victims[i]));
}

static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static long rounds(void)
{
    const char *value = getenv("PIRN_LEAK_ROUNDS");
    return value ? atol(value) : support_rounds(ROUNDS);
}

static long spares(void)
{
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(NULL, &stats));
    return (long)stats.spares;
}

static int sleeps(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

static int awaits(void *arg)
{
    return pirn_await(arg, NULL, PIRN_NEVER);
}

static void watch(struct scene *s, const struct kind *kind)
{
    for (int cancels = 0; cancels < 2; cancels++) {
        struct phase p = {s, kind->wait, cancels, rounds() / VICTIMS / 5 + 1, 0, 0};
        wait_often(&p); /* warms up */
        wait_often(&p);
        long resident = support_resident(), threads = spares();
        size_t before = allocated();
        p.each *= 5;
        wait_often(&p);
        long late = (spares() - threads) * SPARE;
        long more = support_resident() - resident - late,
             kept = (long)(allocated() - before) - late;
        if (getenv("PIRN_TEST_VERBOSE"))
            fprintf(stderr, "%s %s: %ld resident, %ld allocated\n", kind->name,
                    cancels ? "cancelled" : "timed out", more, kept);
        if (more > (support_slow() ? 16 : 1) * RESIDENT || kept > ALLOCATED)
            support_fail(__FILE__, __LINE__, kind->name, "%ld bytes more resident, %ld allocated",
                         more, kept);
    }
}

static int watch_all(void *arg)
{
    struct scene s = {.held = PIRN_MUTEX_INIT,
                      .mutex = PIRN_MUTEX_INIT,
                      .event = PIRN_EVENT_INIT,
                      .rwlock = PIRN_RWLOCK_INIT,
                      .group = PIRN_WAIT_GROUP_INIT};
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    int item = 1;
    config.elem_size = sizeof(int);
    config.maxsize = 1;
    s.task = support_spawn(sleeps, NULL);
    pirn_task *other = support_spawn(awaits, s.task); /* so that no victim is the only awaiter */
    support_until_waiting(s.task);
    support_until_waiting(other);
    CHECK_OK(pirn_future_new(&s.future));
    CHECK_OK(pirn_mutex_lock(&s.held, PIRN_NEVER));
    CHECK_OK(pirn_rwlock_write_lock(&s.rwlock, PIRN_NEVER));
    CHECK_OK(pirn_condition_init(&s.condition, &s.mutex));
    CHECK_OK(pirn_semaphore_init(&s.semaphore, 0));
    CHECK_OK(pirn_wait_group_add(&s.group, 1));
    CHECK_OK(pirn_queue_new(&s.empty, &config));
    CHECK_OK(pirn_queue_new(&s.full, &config));
    CHECK_OK(pirn_queue_put(s.full, &item, PIRN_NEVER));
    CHECK_OK(pirn_channel_new(&s.channel, sizeof(int), 0, NULL));
    CHECK_OK(pirn_channel_new(&s.send_channel, sizeof(int), 0, NULL));
    support_pair(s.fds);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        watch(&s, &kinds[i]);
    CHECK_OK(pirn_mutex_unlock(&s.held));
    CHECK_OK(pirn_rwlock_write_unlock(&s.rwlock));
    CHECK_OK(pirn_cancel(s.task, NULL));
    CHECK_OK(support_join(other));
    CHECK_EQ(support_join(s.task), -ECANCELED);
    CHECK_OK(pirn_release(s.future));
    pirn_queue_release(s.empty);
    pirn_queue_release(s.full);
    pirn_channel_release(s.channel);
    pirn_channel_release(s.send_channel);
    CHECK_OK(pirn_close(s.fds[0]));
    CHECK_OK(pirn_close(s.fds[1]));
    return *(int *)arg;
}

START_TEST(a65_no_wait_leaves_memory)
{
    int value = 65;
    FOR_WORKERS(w)
    CHECK_EQ(support_run(w, watch_all, &value), 65);
}
END_TEST

SUPPORT_MAIN("no_leak", a65_no_wait_leaves_memory)
