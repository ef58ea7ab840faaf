/*
 * Items on their way through a queue, from many to many, amid cancels, deadlines and its end: each
 * is got by one, or dropped, or was never taken from who put it. And broadcasts: each subscription
 * gets every item, or is told that it missed it. See chaos.h.
 */
#include "tests/race/chaos.h"

enum {
    EACH = 24, /* items of a putter, at most */
    PUTTERS = 4,
    ITEMS = EACH * PUTTERS
};

struct objects {
    pirn_queue *queue;
    atomic_int fate[ITEMS]; /* what became of it, how often */
    atomic_int putters;
    bool cuts; /* one of them shuts the queue down before the end */

    pirn_broadcast *broadcast;
    pirn_subscription *subscriptions[2];
    atomic_int heard[2];
    int said;
};

static struct objects *of(struct actor *a)
{
    return a->chaos->objects;
}

/* Whom items that nobody will get go to. */
static struct objects *current;

static void drop_put(void *item)
{
    atomic_fetch_add(&current->fate[*(int *)item], 1);
}

/* ---- Calls ------------------------------------------------------------------------------- */

struct pass {
    void *object;
    int *item;
};

static int op_put(struct actor *a, void *arg, pirn_time t)
{
    struct pass *p = arg;
    return chaos_roll(a, 4) == 0 ? pirn_queue_try_put(p->object, p->item)
                                 : pirn_queue_put(p->object, p->item, t);
}

static int op_get(struct actor *a, void *arg, pirn_time t)
{
    struct pass *p = arg;
    return chaos_roll(a, 4) == 0 ? pirn_queue_try_get(p->object, p->item)
                                 : pirn_queue_get(p->object, p->item, t);
}

static int op_join(struct actor *a, void *arg, pirn_time t)
{
    (void)a;
    return pirn_queue_join(arg, t);
}

static int op_hear(struct actor *a, void *arg, pirn_time t)
{
    struct pass *p = arg;
    uint64_t missed = 0;
    int rc = chaos_roll(a, 4) == 0 ? pirn_broadcast_try_recv(p->object, p->item, &missed)
                                   : pirn_broadcast_recv(p->object, p->item, &missed, t);
    return rc == 1 ? 1 + (int)missed : rc;
}

/* ---- Queue ------------------------------------------------------------------------------- */

static int64_t key_of(const void *item)
{
    return *(const int *)item % 3;
}

static void play_putter(struct actor *a)
{
    struct objects *o = of(a);
    int rc = 0;
    for (int i = 0; i < a->quota; i++) {
        int item = a->number * EACH + i;
        struct pass pass = {o->queue, &item};
        if (o->cuts && a->number == 0 && i == a->quota / 2)
            CHECK_OK(pirn_queue_shutdown(o->queue, chaos_roll(a, 2) == 0 ? PIRN_QUEUE_DRAIN
                                                                         : PIRN_QUEUE_DISCARD));
        while ((rc = chaos_call(a, op_put, &pass, chaos_deadline(a))) != 0 && rc != -ESHUTDOWN)
            CHECK(chaos_stopped(rc));
        if (rc != 0)
            atomic_fetch_add(&o->fate[item], 1);
        chaos_dawdle(a);
    }
    if (atomic_fetch_sub(&o->putters, 1) == 1)
        CHECK_OK(pirn_queue_shutdown(o->queue, PIRN_QUEUE_DRAIN));
}

static void play_getter(struct actor *a)
{
    struct objects *o = of(a);
    for (;; chaos_dawdle(a)) {
        int item = -1;
        struct pass pass = {o->queue, &item};
        int rc = chaos_call(a, op_get, &pass, chaos_deadline(a));
        CHECK_EQ(item >= 0, rc == 0);
        if (rc == -ESHUTDOWN)
            break;
        if (rc == 0) {
            atomic_fetch_add(&o->fate[item], 1);
            CHECK_OK(pirn_queue_task_done(o->queue));
        } else {
            CHECK(chaos_stopped(rc));
        }
    }
    CHECK_OK(pirn_queue_shutdown(o->queue, PIRN_QUEUE_DISCARD)); /* or it is our runtime's end */
}

static void play_joiner(struct actor *a)
{
    for (int i = 0, rc; i < 3; i++, chaos_dawdle(a)) {
        while ((rc = chaos_call(a, op_join, of(a)->queue, chaos_deadline(a))) != 0 &&
               rc != -ESHUTDOWN)
            CHECK(chaos_stopped(rc));
    }
}

/* ---- Broadcast --------------------------------------------------------------------------- */

static void play_speaker(struct actor *a)
{
    struct objects *o = of(a);
    for (int i = 0; i < o->said; i++, chaos_dawdle(a))
        CHECK_EQ(pirn_broadcast_send(o->broadcast, &i), 2);
    CHECK_OK(pirn_broadcast_close(o->broadcast));
}

static void play_listener(struct actor *a)
{
    struct objects *o = of(a);
    int item, last = -1, rc, which = a->number % 2;
    struct pass pass = {o->subscriptions[which], &item};
    while ((rc = chaos_call(a, op_hear, &pass, chaos_deadline(a))) != 0 && rc != -ESHUTDOWN) {
        if (rc > 0) {
            CHECK(item > last);
            last = item;
            atomic_fetch_add(&o->heard[which], rc);
        } else {
            CHECK(chaos_stopped(rc));
        }
    }
}

/* ---- A round ----------------------------------------------------------------------------- */

static int some(struct chaos *c, int most)
{
    return 1 + (int)chaos_draw(&c->random, (uint64_t)most);
}

static void set_up_queue(struct chaos *c, struct objects *o, int *ret_put)
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    o->cuts = chaos_draw(&c->random, 2) == 0;
    config.elem_size = sizeof(int);
    config.maxsize = (int64_t)chaos_draw(&c->random, 4);
    config.order = (pirn_queue_order)chaos_draw(&c->random, 3);
    config.key = config.order == PIRN_QUEUE_PRIORITY ? key_of : NULL;
    config.drop = drop_put;
    CHECK_OK(pirn_queue_new(&o->queue, &config));
    int putters = some(c, PUTTERS);
    atomic_store(&o->putters, putters);
    for (int i = 0; i < putters; i++)
        ret_put[i] = chaos_add(c, play_putter, i)->quota = some(c, EACH);
    for (int i = 0, n = some(c, 3); i < n; i++)
        chaos_add(c, play_getter, i);
    chaos_add(c, play_joiner, 0);
}

static void set_up_broadcast(struct chaos *c, struct objects *o)
{
    CHECK_OK(pirn_broadcast_new(&o->broadcast, sizeof(int), (size_t)some(c, 6)));
    for (int i = 0; i < 2; i++)
        CHECK_OK(pirn_broadcast_subscribe(o->broadcast, &o->subscriptions[i]));
    o->said = some(c, EACH);
    chaos_add(c, play_speaker, 0);
    for (int i = 0; i < 3; i++)
        chaos_add(c, play_listener, i);
}

static void round_of_queues(struct chaos *c)
{
    struct objects *o = calloc(1, sizeof(*o));
    int put[PUTTERS] = {0};
    CHECK(o);
    c->objects = current = o;
    set_up_queue(c, o, put);
    set_up_broadcast(c, o);
    chaos_round(c);
    for (int i = 0; i < ITEMS; i++)
        CHECK_EQ(atomic_load(&o->fate[i]), i % EACH < put[i / EACH]);
    CHECK_EQ(pirn_queue_size(o->queue), 0);
    CHECK_OK(pirn_queue_join(o->queue, PIRN_NOW));
    for (int i = 0; i < 2; i++) {
        for (int item, rc = 1; rc == 1;) { /* those who listened may have had to go */
            uint64_t missed = 0;
            rc = pirn_broadcast_try_recv(o->subscriptions[i], &item, &missed);
            CHECK(rc == 0 || (rc == 1 && c->ends));
            atomic_fetch_add(&o->heard[i], rc + (int)missed);
        }
        CHECK_EQ(atomic_load(&o->heard[i]), o->said);
        pirn_broadcast_unsubscribe(o->subscriptions[i]);
    }
    pirn_broadcast_release(o->broadcast);
    pirn_queue_release(o->queue);
    free(o);
}

START_TEST(a136_queues_and_broadcasts)
{
    chaos_run(round_of_queues, CHAOS_NO_THIRD);
}
END_TEST

START_TEST(a136_queues_and_the_end_of_a_runtime)
{
    chaos_run(round_of_queues, CHAOS_ENDS);
}
END_TEST

START_TEST(a136_queues_and_pauses)
{
    chaos_run(round_of_queues, CHAOS_PAUSES);
}
END_TEST

SUPPORT_MAIN("race/chaos_queues", a136_queues_and_broadcasts, a136_queues_and_the_end_of_a_runtime,
             a136_queues_and_pauses)
