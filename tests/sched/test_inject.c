/*
 * The inject queue: in order, counted, and who does not wait leaves it to who is at it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/inject.h"
#include "tests/support.h"

enum {
    NODES = 3,
    PUSHERS = 2,
    TAKERS = 3,
    EACH = 20000
};

START_TEST(in_order_and_no_more_than_asked_for)
{
    struct inject q;
    struct node nodes[NODES];
    unsigned n;
    pirn_inject_init(&q);
    for (int i = 0; i < NODES; i++)
        pirn_inject_push(&q, &nodes[i]);
    CHECK_EQ(pirn_inject_size(&q), NODES);
    struct node *list = pirn_inject_pop(&q, 2, false, &n);
    CHECK_EQ(n, 2);
    CHECK(list == &nodes[0]);
    CHECK(list->next == &nodes[1]);
    CHECK(nodes[1].next == NULL);
    CHECK(pirn_inject_pop(&q, 2, true, &n) == &nodes[2]);
    CHECK_EQ(n, 1);
    CHECK(pirn_inject_pop(&q, 2, true, &n) == NULL);
    CHECK_EQ(n, 0);
    pirn_inject_push(&q, &nodes[0]); /* what was taken out has no part in it any more */
    pirn_inject_push(&q, &nodes[1]);
    CHECK(pirn_inject_pop(&q, 1, true, &n) == &nodes[0]);
    CHECK(pirn_inject_pop(&q, 2, true, &n) == &nodes[1]);
    CHECK_EQ(n, 1);
    pirn_inject_push_list(&q, NULL, 0);
    CHECK_EQ(pirn_inject_size(&q), 0);
}
END_TEST

START_TEST(who_does_not_wait_comes_in_vain_while_another_is_at_it)
{
    struct inject q;
    struct node node;
    unsigned n = 7;
    pirn_inject_init(&q);
    pirn_inject_push(&q, &node);
    lock_take(&q.lock);
    CHECK(pirn_inject_pop(&q, 1, false, &n) == NULL);
    CHECK_EQ(n, 0);
    CHECK_EQ(pirn_inject_size(&q), 1); /* it has to come again */
    lock_drop(&q.lock);
    CHECK(pirn_inject_pop(&q, 1, false, &n) == &node);
}
END_TEST

struct item {
    struct node node; /* first */
    unsigned pusher, number;
    _Atomic unsigned taken;
};

static struct inject crowded;
static struct item items[PUSHERS][EACH];
static _Atomic unsigned taken;

static void *push_all(void *arg)
{
    struct item *mine = arg;
    for (unsigned i = 0; i < EACH; i++)
        pirn_inject_push(&crowded, &mine[i].node);
    return NULL;
}

/* Of each pusher, what one taker gets is in order. */
static void *take_some(void *arg)
{
    unsigned next[PUSHERS] = {0}, n;
    bool wait = arg != NULL;
    while (atomic_load(&taken) < PUSHERS * EACH) {
        struct node *list = pirn_inject_pop(&crowded, 4, wait, &n);
        for (unsigned i = 0; i < n; i++) {
            struct item *item = (struct item *)(void *)list;
            list = list->next;
            CHECK(item->number >= next[item->pusher]);
            next[item->pusher] = item->number + 1;
            CHECK_EQ(atomic_fetch_add(&item->taken, 1), 0);
            atomic_fetch_add(&taken, 1);
        }
        CHECK(list == NULL);
    }
    return NULL;
}

START_TEST(many_push_and_take_each_once_and_in_order)
{
    pthread_t pushers[PUSHERS], takers[TAKERS];
    pirn_inject_init(&crowded);
    atomic_store(&taken, 0);
    for (unsigned p = 0; p < PUSHERS; p++) {
        for (unsigned i = 0; i < EACH; i++) {
            items[p][i].pusher = p;
            items[p][i].number = i;
            atomic_store(&items[p][i].taken, 0);
        }
    }
    for (unsigned i = 0; i < TAKERS; i++) /* one of them waits */
        CHECK_EQ(pthread_create(&takers[i], NULL, take_some, i == 0 ? &crowded : NULL), 0);
    for (unsigned p = 0; p < PUSHERS; p++)
        CHECK_EQ(pthread_create(&pushers[p], NULL, push_all, items[p]), 0);
    for (unsigned p = 0; p < PUSHERS; p++)
        CHECK_EQ(pthread_join(pushers[p], NULL), 0);
    for (unsigned i = 0; i < TAKERS; i++)
        CHECK_EQ(pthread_join(takers[i], NULL), 0);
    CHECK_EQ(pirn_inject_size(&crowded), 0);
}
END_TEST

SUPPORT_MAIN("inject", in_order_and_no_more_than_asked_for,
             who_does_not_wait_comes_in_vain_while_another_is_at_it,
             many_push_and_take_each_once_and_in_order)
