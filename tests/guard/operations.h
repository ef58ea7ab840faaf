/*
 * The operations that are guarded: what they cost (counts.c), and that they need no memory
 * (test_steady.c). Each is run by a coroutine, n times; begin and end, which set the scene, are not
 * measured.
 */
#ifndef PIRN_TESTS_GUARD_OPERATIONS_H
#define PIRN_TESTS_GUARD_OPERATIONS_H

#include "tests/support.h"

enum {
    OPERATION_MOST = 131072, /* n of a run, at most */
    TOGETHER = 64
};

struct operation {
    const char *name;
    int per; /* how many of what the name says are in one of n */
    void (*begin)(int n);
    void (*run)(int n);
    void (*end)(void);
};

static pirn_task *partner;
static atomic_bool partner_ends;

static void no_scene(int n)
{
    (void)n;
}

static void nothing_to_end(void)
{
}

static void end_partner(void)
{
    atomic_store(&partner_ends, true);
    CHECK_OK(support_join(partner));
    atomic_store(&partner_ends, false);
}

/* ---- Yield, between two ------------------------------------------------------------------- */

static int yields(void *arg)
{
    (void)arg;
    while (!atomic_load_explicit(&partner_ends, memory_order_relaxed))
        pirn_yield();
    return 0;
}

static void begin_yield(int n)
{
    (void)n;
    partner = support_spawn(yields, NULL);
}

static void run_yield(int n)
{
    for (int i = 0; i < n; i++)
        pirn_yield();
}

/* ---- Spawn and await ---------------------------------------------------------------------- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* One by one: in the awaiter's place. */
static void run_spawn(int n)
{
    for (int i = 0; i < n; i++) {
        pirn_task *task;
        CHECK_OK(pirn_spawn(&task, nothing, NULL));
        CHECK_OK(pirn_join(task, NULL, PIRN_NEVER));
    }
}

/* Many, and then awaited: all but the last on stacks of their own. n is a multiple of TOGETHER. */
static void run_spawn_many(int n)
{
    pirn_task *tasks[TOGETHER];
    for (int i = 0; i < n; i += TOGETHER) {
        for (int k = 0; k < TOGETHER; k++)
            CHECK_OK(pirn_spawn(&tasks[k], nothing, NULL));
        for (int k = 0; k < TOGETHER; k++)
            CHECK_OK(pirn_join(tasks[k], NULL, PIRN_NEVER));
    }
}

/* ---- A word over a channel without capacity, there and back -------------------------------- */

static pirn_channel *to, *fro;

static int pong(void *arg)
{
    (void)arg;
    int64_t ball;
    while (pirn_channel_recv(to, &ball, PIRN_NEVER) == 1) {
        ball++;
        CHECK_OK(pirn_channel_send(fro, &ball, PIRN_NEVER));
    }
    return 0;
}

static void begin_channel(int n)
{
    (void)n;
    CHECK_OK(pirn_channel_new(&to, sizeof(int64_t), 0, NULL));
    CHECK_OK(pirn_channel_new(&fro, sizeof(int64_t), 0, NULL));
    partner = support_spawn(pong, NULL);
}

static void run_channel(int n)
{
    int64_t ball = 0;
    for (int i = 0; i < n; i++) {
        CHECK_OK(pirn_channel_send(to, &ball, PIRN_NEVER));
        CHECK_EQ(pirn_channel_recv(fro, &ball, PIRN_NEVER), 1);
    }
    CHECK_EQ(ball, n);
}

static void end_channel(void)
{
    CHECK_OK(pirn_channel_close(to, PIRN_CHANNEL_SEND));
    CHECK_OK(support_join(partner));
    pirn_channel_release(to);
    pirn_channel_release(fro);
}

/* ---- A queue: an item that is there, and one that is waited for, there and back -------------- */

static pirn_queue *queue, *other_queue;
static int64_t item; /* the next one */

static void run_queue(int n)
{
    for (int i = 0; i < n; i++) {
        CHECK_OK(pirn_queue_put(queue, &item, PIRN_NEVER));
        CHECK_OK(pirn_queue_get(queue, &item, PIRN_NEVER));
    }
}

static void begin_queue(int n)
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    (void)n;
    config.elem_size = sizeof(item);
    item = 0;
    CHECK_OK(pirn_queue_new(&queue, &config));
    run_queue(1); /* the node that it keeps */
    other_queue = queue;
    CHECK_OK(pirn_queue_new(&queue, &config));
    run_queue(1);
}

static void end_queue(void)
{
    pirn_queue_release(queue);
    pirn_queue_release(other_queue);
}

static int pong_queues(void *arg)
{
    (void)arg;
    int64_t ball;
    while (pirn_queue_get(queue, &ball, PIRN_NEVER) == 0) {
        ball++;
        CHECK_OK(pirn_queue_put(other_queue, &ball, PIRN_NEVER));
    }
    return 0;
}

static void begin_queue_hop(int n)
{
    begin_queue(n);
    partner = support_spawn(pong_queues, NULL);
}

static void run_queue_hop(int n)
{
    int64_t before = item;
    for (int i = 0; i < n; i++) {
        CHECK_OK(pirn_queue_put(queue, &item, PIRN_NEVER));
        CHECK_OK(pirn_queue_get(other_queue, &item, PIRN_NEVER));
    }
    CHECK_EQ(item, before + n);
}

static void end_queue_hop(void)
{
    CHECK_OK(pirn_queue_shutdown(queue, PIRN_QUEUE_DRAIN));
    CHECK_OK(support_join(partner));
    end_queue();
}

/* ---- Mutex: free, and passed to and fro ---------------------------------------------------- */

static pirn_mutex mutex = PIRN_MUTEX_INIT;

static void run_mutex(int n)
{
    for (int i = 0; i < n; i++) {
        CHECK_OK(pirn_mutex_lock(&mutex, PIRN_NEVER));
        CHECK_OK(pirn_mutex_unlock(&mutex));
    }
}

/* While one has it the other comes and waits. */
static void take_in_turns(void)
{
    CHECK_OK(pirn_mutex_lock(&mutex, PIRN_NEVER));
    CHECK_OK(pirn_yield());
    CHECK_OK(pirn_mutex_unlock(&mutex));
}

static int takes_too(void *arg)
{
    (void)arg;
    while (!atomic_load_explicit(&partner_ends, memory_order_relaxed))
        take_in_turns();
    return 0;
}

static void begin_mutex_passed(int n)
{
    (void)n;
    partner = support_spawn(takes_too, NULL);
}

static void run_mutex_passed(int n)
{
    for (int i = 0; i < n; i++)
        take_in_turns();
}

/* ---- Timers, over ten seconds that begin in an hour ---------------------------------------- */

static pirn_timer timers[OPERATION_MOST];
static int timers_used;

static int too_early(void *arg)
{
    (void)arg;
    CHECK(!"a timer of the next hour");
    return 0;
}

static void begin_timers(int n)
{
    timers_used = n;
    for (int i = 0; i < n; i++)
        CHECK_OK(pirn_timer_init(&timers[i], NULL, too_early, NULL));
}

static void arm_timers(int n)
{
    int64_t span = 10000 * MS, first = (pirn_after_s(3600).ns / span + 1) * span;
    for (int i = 0; i < n; i++) { /* the order of arming is not that of coming due */
        int64_t place = (int64_t)i * 7919 % n;
        CHECK_OK(pirn_timer_arm(&timers[i], (pirn_time){first + span / n * place}));
    }
}

static void cancel_timers(int n)
{
    for (int i = 0; i < n; i++)
        CHECK_OK(pirn_timer_cancel(&timers[i]));
}

/* Nothing is armed but what sleeps beside it, nor has been: hence it comes first of the timers.
 * What grows with the sleepers is seen (test_growth.sh); arm_timers below has its own crowd, which
 * hides them. */
static void arm_and_cancel(int n)
{
    pirn_time when = pirn_after_s(36000);
    for (int i = 0; i < n; i++) {
        when.ns -= MS;
        CHECK_OK(pirn_timer_arm(&timers[0], when));
        CHECK_OK(pirn_timer_cancel(&timers[0]));
    }
}

static void begin_armed(int n)
{
    begin_timers(n);
    arm_timers(n);
}

static void end_armed(void)
{
    cancel_timers(timers_used);
}

/* ---- 64 bytes through a socket that is ready ------------------------------------------------ */

static int ends[2];

static void begin_socket(int n)
{
    (void)n;
    support_pair(ends);
}

static void run_socket(int n)
{
    char message[64] = {0};
    for (int i = 0; i < n; i++) {
        CHECK_EQ(pirn_send(ends[0], message, sizeof(message), 0, PIRN_NEVER), sizeof(message));
        CHECK_EQ(pirn_recv(ends[1], message, sizeof(message), 0, PIRN_NEVER), sizeof(message));
    }
}

static void end_socket(void)
{
    close(ends[0]);
    close(ends[1]);
}

static const struct operation operations[] = {
    {"yield", 2, begin_yield, run_yield, end_partner},
    {"spawn_await", 1, no_scene, run_spawn, nothing_to_end},
    {"spawn_many", 1, no_scene, run_spawn_many, nothing_to_end},
    {"channel_hop", 2, begin_channel, run_channel, end_channel},
    {"queue", 1, begin_queue, run_queue, end_queue},
    {"queue_hop", 2, begin_queue_hop, run_queue_hop, end_queue_hop},
    {"mutex", 1, no_scene, run_mutex, nothing_to_end},
    {"mutex_passed", 2, begin_mutex_passed, run_mutex_passed, end_partner},
    {"timer_both", 1, begin_timers, arm_and_cancel, nothing_to_end},
    {"timer_arm", 1, begin_timers, arm_timers, end_armed},
    {"timer_cancel", 1, begin_armed, cancel_timers, nothing_to_end},
    {"send_recv", 1, begin_socket, run_socket, end_socket},
};

#endif
