/*
 * Broadcast and watch.
 */
#include "tests/support.h"

/* ---- Broadcast --------------------------------------------------------------------------- */

static pirn_broadcast *new_broadcast(size_t capacity)
{
    pirn_broadcast *b = NULL;
    CHECK_OK(pirn_broadcast_new(&b, sizeof(int), capacity));
    return b;
}

static pirn_subscription *subscribe(pirn_broadcast *b)
{
    pirn_subscription *s = NULL;
    CHECK_OK(pirn_broadcast_subscribe(b, &s));
    return s;
}

static void broadcast_alone(void)
{
    pirn_broadcast *b = NULL;
    CHECK_EQ(pirn_broadcast_new(&b, 4, 0), -EINVAL);
    b = new_broadcast(4);
    int item = -1;
    uint64_t missed = 99;
    for (int i = 0; i < 3; i++) /* before anybody listens */
        CHECK_EQ(pirn_broadcast_send(b, &i), 0);
    pirn_subscription *early = subscribe(b), *late;
    CHECK_EQ(pirn_broadcast_try_recv(early, &item, &missed), -EAGAIN);
    CHECK_EQ(pirn_broadcast_recv(early, &item, &missed, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_broadcast_recv(early, &item, &missed, pirn_after_ms(1)), -ETIMEDOUT);
    for (int i = 3; i < 6; i++)
        CHECK_EQ(pirn_broadcast_send(b, &i), 1);
    late = subscribe(b);
    for (int i = 6; i < 10; i++)
        CHECK_EQ(pirn_broadcast_send(b, &i), 2);
    CHECK(item == -1 && missed == 99);
    CHECK_EQ(pirn_broadcast_recv(early, &item, &missed, PIRN_NEVER), 1);
    CHECK_EQ(item, 6); /* 3, 4, 5 are overwritten */
    CHECK_EQ(missed, 3);
    CHECK_EQ(pirn_broadcast_recv(late, &item, &missed, PIRN_NEVER), 1);
    CHECK(item == 6 && missed == 0);
    item = 10;
    CHECK_EQ(pirn_broadcast_send(b, &item), 2);
    for (int i = 7; i <= 10; i++) {
        CHECK_EQ(pirn_broadcast_recv(early, &item, &missed, PIRN_NEVER), 1);
        CHECK(item == i && missed == 0);
    }
    for (int i = 11; i < 20; i++)
        CHECK_EQ(pirn_broadcast_send(b, &i), 2);
    CHECK_OK(pirn_broadcast_close(b));
    CHECK_EQ(pirn_broadcast_close(b), -EALREADY);
    CHECK_EQ(pirn_broadcast_send(b, &item), -EPIPE);
    pirn_broadcast_release(b); /* the subscriptions hold it */
    CHECK_EQ(pirn_broadcast_recv(late, &item, &missed, PIRN_NEVER), 1);
    CHECK(item == 16 && missed == 9);
    for (int i = 17; i < 20; i++) {
        CHECK_EQ(pirn_broadcast_recv(late, &item, NULL, PIRN_NEVER), 1);
        CHECK_EQ(item, i);
    }
    CHECK_EQ(pirn_broadcast_recv(late, &item, &missed, PIRN_NEVER), 0);
    CHECK_EQ(pirn_broadcast_try_recv(late, &item, &missed), 0);
    pirn_broadcast_unsubscribe(early);
    pirn_broadcast_unsubscribe(late);
}

START_TEST(broadcast_from_the_subscription_on)
{
    support_everywhere(broadcast_alone);
}
END_TEST

/* Every receiver accounts for every item: seen in order, or told as missed. */
enum {
    RECEIVERS = 4,
    SENDERS = 2
};

struct listener {
    pirn_subscription *s;
    int seen;
    uint64_t missed;
};

struct speaker {
    pirn_broadcast *b;
    int items;
};

static int listen_to_end(void *arg)
{
    struct listener *l = arg;
    int item, rc, last[SENDERS] = {-1, -1};
    uint64_t missed;
    while ((rc = pirn_broadcast_recv(l->s, &item, &missed, PIRN_NEVER)) == 1) {
        CHECK(item / SENDERS > last[item % SENDERS]);
        last[item % SENDERS] = item / SENDERS;
        l->seen++;
        l->missed += missed;
    }
    CHECK_OK(rc);
    return 0;
}

static void *listen_on_thread(void *arg)
{
    return listen_to_end(arg), NULL;
}

static int speak(void *arg)
{
    struct speaker *p = arg;
    int id = p->items % SENDERS, items = p->items / SENDERS;
    for (int i = 0; i < items; i++) {
        int item = i * SENDERS + id;
        CHECK_EQ(pirn_broadcast_send(p->b, &item), RECEIVERS);
        if (i % 16 == 0)
            CHECK_OK(pirn_yield());
    }
    return 0;
}

static int all_hear_all(void *arg)
{
    (void)arg;
    static const size_t capacities[] = {1, 16, 100000};
    for (int k = 0; k < 3; k++) {
        int each = support_rounds(10000);
        pirn_broadcast *b = new_broadcast(capacities[k]);
        struct listener l[RECEIVERS] = {{0}};
        struct speaker p[SENDERS];
        pirn_task *tasks[RECEIVERS], *speakers[SENDERS];
        pthread_t thread;
        for (int i = 0; i < RECEIVERS; i++)
            l[i].s = subscribe(b);
        for (int i = 0; i < RECEIVERS - 1; i++)
            tasks[i] = support_spawn(listen_to_end, &l[i]);
        thread = support_thread(listen_on_thread, &l[RECEIVERS - 1]);
        for (int i = 0; i < SENDERS; i++) {
            p[i] = (struct speaker){b, each * SENDERS + i};
            speakers[i] = support_spawn(speak, &p[i]);
        }
        for (int i = 0; i < SENDERS; i++)
            CHECK_OK(support_join(speakers[i]));
        CHECK_OK(pirn_broadcast_close(b));
        for (int i = 0; i < RECEIVERS - 1; i++)
            CHECK_OK(support_join(tasks[i]));
        support_thread_join(thread);
        for (int i = 0; i < RECEIVERS; i++) {
            CHECK_EQ(l[i].seen + (int)l[i].missed, SENDERS * each);
            if (capacities[k] >= (size_t)(SENDERS * each))
                CHECK_EQ(l[i].missed, 0);
            pirn_broadcast_unsubscribe(l[i].s);
        }
        pirn_broadcast_release(b);
    }
    return 0;
}

START_TEST(broadcast_all_hear_all)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, all_hear_all, NULL));
}
END_TEST

/* Several on one subscription share its items; who is cancelled has taken none. */
static int recv_one(void *arg)
{
    int item, rc = pirn_broadcast_recv(arg, &item, NULL, PIRN_NEVER);
    return rc == 1 ? item : rc;
}

static int shared(void *arg)
{
    (void)arg;
    for (int i = 0; i < support_rounds(200); i++) {
        pirn_broadcast *b = new_broadcast(8);
        pirn_subscription *s = subscribe(b), *other = subscribe(b);
        pirn_task *tasks[4];
        for (int k = 0; k < 4; k++) {
            tasks[k] = support_spawn(recv_one, k == 3 ? other : s);
            support_until_waiting(tasks[k]);
        }
        CHECK_OK(pirn_cancel(tasks[0], NULL));
        CHECK_EQ(support_join(tasks[0]), -ECANCELED);
        for (int item = 10; item < 13; item++)
            CHECK_EQ(pirn_broadcast_send(b, &item), 2);
        CHECK_EQ(support_join(tasks[1]), 10);
        CHECK_EQ(support_join(tasks[2]), 11);
        CHECK_EQ(support_join(tasks[3]), 10);
        CHECK_EQ(recv_one(s), 12);
        CHECK_EQ(recv_one(other), 11);
        tasks[0] = support_spawn(recv_one, s);
        support_until_waiting(tasks[0]);
        CHECK_OK(pirn_broadcast_close(b));
        CHECK_EQ(support_join(tasks[0]), 0);
        pirn_broadcast_unsubscribe(s);
        pirn_broadcast_unsubscribe(other);
        pirn_broadcast_release(b);
    }
    return 0;
}

START_TEST(broadcast_shared_subscription)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, shared, NULL));
}
END_TEST

/* The send finds who has been cancelled and may not have run since: the item is the next one's of
 * the same subscription, or still to be had. */
static int passed_over(void *arg)
{
    (void)arg;
    for (int i = 0; i < support_rounds(100); i++) {
        pirn_broadcast *b = new_broadcast(8);
        pirn_subscription *s = subscribe(b);
        pirn_task *tasks[2];
        int item = 20;
        uint64_t missed = 99;
        for (int k = 0; k < 2; k++) {
            tasks[k] = support_spawn(recv_one, s);
            support_until_waiting(tasks[k]);
        }
        CHECK_OK(pirn_cancel(tasks[0], NULL));
        CHECK_EQ(pirn_broadcast_send(b, &item), 1);
        CHECK_EQ(support_join(tasks[0]), -ECANCELED);
        CHECK_EQ(support_join(tasks[1]), 20);
        tasks[0] = support_spawn(recv_one, s);
        support_until_waiting(tasks[0]);
        CHECK_OK(pirn_cancel(tasks[0], NULL));
        for (item = 21; item < 23; item++)
            CHECK_EQ(pirn_broadcast_send(b, &item), 1);
        CHECK_EQ(support_join(tasks[0]), -ECANCELED);
        CHECK_EQ(pirn_broadcast_try_recv(s, &item, &missed), 1);
        CHECK(item == 21 && missed == 0);
        CHECK_EQ(pirn_broadcast_try_recv(s, &item, &missed), 1);
        CHECK_EQ(item, 22);
        pirn_broadcast_unsubscribe(s);
        pirn_broadcast_release(b);
    }
    return 0;
}

START_TEST(broadcast_passes_over_who_is_cancelled)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, passed_over, NULL));
}
END_TEST

/* ---- Watch ------------------------------------------------------------------------------- */

static void watch_alone(void)
{
    int value = 5, got = -1;
    uint64_t version = 0;
    pirn_watch *w = NULL;
    CHECK_EQ(pirn_watch_new(&w, sizeof(int), NULL), -EINVAL);
    CHECK_OK(pirn_watch_new(&w, sizeof(int), &value));
    CHECK_EQ(pirn_watch_changed(w, 0, &got, &version, PIRN_NOW), 1); /* the first is a change */
    CHECK(got == 5 && version == 1);
    CHECK_EQ(pirn_watch_changed(w, version, &got, &version, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_watch_changed(w, version, &got, &version, pirn_after_ms(1)), -ETIMEDOUT);
    for (value = 6; value < 9; value++)
        CHECK_OK(pirn_watch_set(w, &value));
    CHECK_EQ(pirn_watch_changed(w, version, &got, NULL, PIRN_NEVER), 1);
    CHECK_EQ(got, 8); /* the latest alone */
    CHECK_OK(pirn_watch_get(w, &got, &version));
    CHECK(got == 8 && version == 4);
    CHECK_OK(pirn_watch_close(w));
    CHECK_EQ(pirn_watch_close(w), -EALREADY);
    CHECK_EQ(pirn_watch_set(w, &value), -EPIPE);
    CHECK_EQ(pirn_watch_changed(w, 3, &got, &version, PIRN_NEVER), 1);
    CHECK_EQ(pirn_watch_changed(w, version, &got, &version, PIRN_NEVER), 0);
    CHECK_OK(pirn_watch_get(pirn_watch_retain(w), &got, NULL));
    pirn_watch_release(w);
    pirn_watch_release(w);
}

START_TEST(watch_latest_value)
{
    support_everywhere(watch_alone);
}
END_TEST

struct pair {
    int value, negated;
};

static int follow(void *arg)
{
    struct pair p;
    uint64_t version = 0, before = 0;
    int rc, last = -1;
    while ((rc = pirn_watch_changed(arg, version, &p, &version, PIRN_NEVER)) == 1) {
        CHECK(p.value == -p.negated && p.value > last && version > before);
        last = p.value;
        before = version;
    }
    CHECK_OK(rc);
    return last;
}

static void *follow_on_thread(void *arg)
{
    CHECK_EQ(follow(arg), support_rounds(20000));
    return NULL;
}

static int followers(void *arg)
{
    (void)arg;
    struct pair p = {0, 0};
    pirn_watch *w;
    pirn_task *tasks[4];
    CHECK_OK(pirn_watch_new(&w, sizeof(p), &p));
    for (int i = 0; i < 4; i++)
        tasks[i] = support_spawn(follow, w);
    pthread_t thread = support_thread(follow_on_thread, w);
    for (int i = 1; i <= support_rounds(20000); i++) {
        p = (struct pair){i, -i};
        CHECK_OK(pirn_watch_set(w, &p));
        if (i % 8 == 0)
            CHECK_OK(pirn_yield());
    }
    CHECK_OK(pirn_watch_close(w));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(support_join(tasks[i]), p.value); /* nobody misses the last */
    support_thread_join(thread);
    pirn_watch_release(w);
    return 0;
}

START_TEST(watch_nobody_misses_the_last)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, followers, NULL));
}
END_TEST

SUPPORT_MAIN("channel/many", broadcast_from_the_subscription_on, broadcast_all_hear_all,
             broadcast_shared_subscription, broadcast_passes_over_who_is_cancelled,
             watch_latest_value, watch_nobody_misses_the_last)
