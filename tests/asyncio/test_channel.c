/*
 * Channels: capacities, order, closing one side or one handle, exactly once with many of each.
 */
#include "tests/support.h"

static pirn_channel *new_channel(size_t capacity)
{
    pirn_channel *ch = NULL;
    CHECK_OK(pirn_channel_new(&ch, sizeof(int), capacity, NULL));
    return ch;
}

static pirn_channel *another(pirn_channel *ch, unsigned sides)
{
    pirn_channel *other = NULL;
    CHECK_OK(pirn_channel_clone(ch, sides, &other));
    return other;
}

/* The item; -EPIPE and so on; NONE at the end. */
enum {
    NONE = 1000000
};

static int recv_by(pirn_channel *ch, pirn_time deadline)
{
    int item = -12345, rc = pirn_channel_recv(ch, &item, deadline);
    CHECK_EQ(item == -12345, rc != 1);
    return rc == 1 ? item : rc == 0 ? NONE : rc;
}

static int send_by(pirn_channel *ch, int item, pirn_time deadline)
{
    return pirn_channel_send(ch, &item, deadline);
}

/* ---- What one caller sees, everywhere ---------------------------------------------------- */

static void alone(void)
{
    int item = 5;
    pirn_channel *ch = new_channel(3), *none = new_channel(0);
    CHECK_EQ(pirn_channel_send(NULL, &item, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_channel_send(ch, NULL, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_channel_recv(ch, NULL, PIRN_NOW), -EINVAL);
    for (int round = 0; round < 5; round++) { /* around the ring */
        CHECK_EQ(pirn_channel_try_recv(ch, &item), -EAGAIN);
        for (int i = 0; i < 3; i++)
            CHECK_OK(send_by(ch, i, PIRN_NEVER));
        CHECK_EQ(pirn_channel_size(ch), 3);
        CHECK_EQ(pirn_channel_try_send(ch, &item), -EAGAIN);
        CHECK_EQ(send_by(ch, 9, PIRN_NOW), -ETIMEDOUT);
        CHECK_EQ(send_by(ch, 9, pirn_after_ms(1)), -ETIMEDOUT);
        CHECK_EQ(recv_by(ch, PIRN_NEVER), 0);
        CHECK_OK(send_by(ch, 3, PIRN_NEVER));
        for (int i = 1; i < 4; i++)
            CHECK_EQ(recv_by(ch, PIRN_NEVER), i);
        CHECK_EQ(recv_by(ch, PIRN_NOW), -ETIMEDOUT);
        CHECK_EQ(recv_by(ch, pirn_after_ms(1)), -ETIMEDOUT);
    }
    CHECK_EQ(pirn_channel_try_send(none, &item), -EAGAIN);
    CHECK_EQ(pirn_channel_try_recv(none, &item), -EAGAIN);
    CHECK_EQ(send_by(none, 1, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(recv_by(none, PIRN_NOW), -ETIMEDOUT);
    pirn_channel_release(ch);
    pirn_channel_release(none);

    CHECK_OK(pirn_channel_new(&ch, 0, 2, NULL)); /* signals without data */
    CHECK_OK(pirn_channel_send(ch, NULL, PIRN_NEVER));
    CHECK_OK(pirn_channel_send(ch, NULL, PIRN_NEVER));
    CHECK_EQ(pirn_channel_try_send(ch, NULL), -EAGAIN);
    CHECK_EQ(pirn_channel_recv(ch, NULL, PIRN_NEVER), 1);
    pirn_channel_release(ch);
    CHECK_EQ(pirn_channel_new(&ch, SIZE_MAX / 2, 3, NULL), -ENOMEM);
}

START_TEST(capacity_and_deadlines)
{
    support_everywhere(alone);
}
END_TEST

/* ---- Others who wait --------------------------------------------------------------------- */

struct user {
    pirn_channel *ch;
    int item;
    atomic_int over;
};

static int sender(void *arg)
{
    struct user *u = arg;
    int rc = send_by(u->ch, u->item, PIRN_NEVER);
    atomic_store(&u->over, 1);
    return rc;
}

static int receiver(void *arg)
{
    struct user *u = arg;
    int rc = recv_by(u->ch, PIRN_NEVER);
    atomic_store(&u->over, 1);
    return rc;
}

static pirn_task *waiting(struct user *u, pirn_fn fn, pirn_channel *ch, int item)
{
    *u = (struct user){.ch = ch, .item = item};
    pirn_task *task = support_spawn(fn, u);
    support_until_waiting(task);
    return task;
}

/* ---- A138 -------------------------------------------------------------------------------- */

static void *sender_thread(void *arg)
{
    CHECK_OK(sender(arg));
    return NULL;
}

static int rendezvous(void *arg)
{
    (void)arg;
    for (int i = 0; i < support_rounds(300); i++) {
        pirn_channel *ch = new_channel(0);
        struct user u[3];
        pirn_task *tasks[3];
        for (int k = 0; k < 3; k++)
            tasks[k] = waiting(&u[k], sender, ch, k);
        CHECK_EQ(pirn_channel_size(ch), 0);
        for (int k = 0; k < 3; k++) {
            for (int later = k; later < 3; later++)
                CHECK_EQ(atomic_load(&u[later].over), 0);
            CHECK_EQ(recv_by(ch, PIRN_NEVER), k);
            CHECK_OK(support_join(tasks[k]));
        }
        for (int k = 0; k < 3; k++) /* and the other way round: in the order they came */
            tasks[k] = waiting(&u[k], receiver, ch, 0);
        for (int k = 0; k < 3; k++) {
            CHECK_OK(send_by(ch, k + 1, PIRN_NEVER));
            CHECK_EQ(support_join(tasks[k]), k + 1);
        }
        pirn_channel_release(ch);
    }
    pirn_channel *ch = new_channel(0);
    struct user u = {.ch = ch, .item = 7};
    pthread_t thread = support_thread(sender_thread, &u);
    pirn_sleep(pirn_after_ms(5));
    CHECK_EQ(atomic_load(&u.over), 0);
    CHECK_EQ(recv_by(ch, PIRN_NEVER), 7);
    support_thread_join(thread);
    pirn_channel_release(ch);
    return 0;
}

START_TEST(a138_a_send_returns_when_received)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, rendezvous, NULL));
}
END_TEST

/* ---- A137 -------------------------------------------------------------------------------- */

static void drained(void)
{
    pirn_channel *ch = new_channel(3);
    CHECK_OK(send_by(ch, 1, PIRN_NEVER));
    CHECK_OK(send_by(ch, 2, PIRN_NEVER));
    CHECK_EQ(pirn_channel_close(ch, 0), -EINVAL);
    CHECK_EQ(pirn_channel_close(ch, 4), -EINVAL);
    CHECK_OK(pirn_channel_close(ch, PIRN_CHANNEL_SEND));
    CHECK_EQ(pirn_channel_close(ch, PIRN_CHANNEL_SEND), -EALREADY);
    CHECK_EQ(send_by(ch, 3, PIRN_NEVER), -EPIPE);
    int item = 3;
    CHECK_EQ(pirn_channel_try_send(ch, &item), -EPIPE);
    CHECK_EQ(recv_by(ch, PIRN_NEVER), 1);
    CHECK_EQ(recv_by(ch, PIRN_NEVER), 2);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(recv_by(ch, PIRN_NEVER), NONE);
    CHECK_EQ(pirn_channel_try_recv(ch, &item), 0);
    CHECK_OK(pirn_channel_close(ch, PIRN_CHANNEL_BOTH)); /* the receiving side was open */
    CHECK_EQ(recv_by(ch, PIRN_NEVER), -EPIPE);
    pirn_channel *other = NULL;
    CHECK_EQ(pirn_channel_clone(ch, PIRN_CHANNEL_RECV, &other), -EPIPE);
    pirn_channel_release(ch);

    ch = new_channel(1);
    pirn_channel *tx = another(ch, PIRN_CHANNEL_SEND), *rx = another(ch, PIRN_CHANNEL_RECV);
    pirn_channel_release(ch);
    CHECK_EQ(send_by(rx, 1, PIRN_NEVER), -EPERM);
    CHECK_EQ(recv_by(tx, PIRN_NEVER), -EPERM);
    CHECK_EQ(pirn_channel_clone(tx, PIRN_CHANNEL_BOTH, &other), -EPERM);
    pirn_channel *tx2 = another(tx, PIRN_CHANNEL_SEND);
    pirn_channel_release(tx);
    CHECK_OK(send_by(tx2, 4, PIRN_NEVER)); /* one sender is left */
    pirn_channel_release(tx2);
    CHECK_EQ(recv_by(rx, PIRN_NEVER), 4);
    CHECK_EQ(recv_by(rx, PIRN_NEVER), NONE);
    pirn_channel_release(rx);

    ch = new_channel(1);
    rx = another(ch, PIRN_CHANNEL_RECV);
    CHECK_OK(pirn_channel_close(ch, PIRN_CHANNEL_RECV));
    CHECK_OK(send_by(ch, 4, PIRN_NEVER)); /* a receiver is left */
    pirn_channel_release(rx);
    CHECK_EQ(send_by(ch, 4, PIRN_NEVER), -EPIPE);
    pirn_channel_release(ch);
}

static int closed_while_waiting(void *arg)
{
    (void)arg;
    struct user u[5];
    pirn_task *t[5];
    pirn_channel *ch = new_channel(0), *tx = another(ch, PIRN_CHANNEL_SEND),
                 *rx = another(ch, PIRN_CHANNEL_RECV);
    t[0] = waiting(&u[0], sender, ch, 1);
    t[1] = waiting(&u[1], sender, tx, 2);
    t[2] = waiting(&u[2], sender, ch, 3);
    t[3] = waiting(&u[3], sender, tx, 4);
    CHECK_OK(pirn_channel_close(tx, PIRN_CHANNEL_SEND)); /* its own waiters only */
    CHECK_EQ(support_join(t[1]), -EPIPE);
    CHECK_EQ(support_join(t[3]), -EPIPE);
    pirn_yield();
    CHECK(!atomic_load(&u[0].over) && !atomic_load(&u[2].over));
    CHECK_EQ(recv_by(rx, PIRN_NEVER), 1);
    CHECK_OK(support_join(t[0]));
    CHECK_OK(pirn_channel_close(ch, PIRN_CHANNEL_RECV));
    CHECK_EQ(atomic_load(&u[2].over), 0); /* rx is still there */
    CHECK_OK(pirn_channel_close(rx, PIRN_CHANNEL_RECV));
    CHECK_EQ(support_join(t[2]), -EPIPE); /* nobody to receive */
    pirn_channel_release(ch);
    pirn_channel_release(tx);
    pirn_channel_release(rx);

    ch = new_channel(2);
    tx = another(ch, PIRN_CHANNEL_SEND);
    rx = another(ch, PIRN_CHANNEL_RECV);
    t[0] = waiting(&u[0], receiver, ch, 0);
    t[1] = waiting(&u[1], receiver, rx, 0);
    t[2] = waiting(&u[2], receiver, ch, 0);
    CHECK_OK(pirn_channel_close(rx, PIRN_CHANNEL_RECV));
    CHECK_EQ(support_join(t[1]), -EPIPE);
    CHECK(!atomic_load(&u[0].over) && !atomic_load(&u[2].over));
    CHECK_OK(send_by(tx, 6, PIRN_NEVER));
    CHECK_EQ(support_join(t[0]), 6);
    pirn_channel_release(tx);
    CHECK_EQ(atomic_load(&u[2].over), 0); /* ch could still send */
    CHECK_OK(pirn_channel_close(ch, PIRN_CHANNEL_SEND));
    CHECK_EQ(support_join(t[2]), NONE);
    pirn_channel_release(ch);
    pirn_channel_release(rx);
    return 0;
}

static atomic_int dropped;

static void drop(void *item)
{
    free(*(int **)item);
    atomic_fetch_add(&dropped, 1);
}

/* What nobody can receive any more is dropped, once. */
static void drops(void)
{
    for (int late = 0; late < 2; late++) {
        pirn_channel *ch;
        CHECK_OK(pirn_channel_new(&ch, sizeof(int *), 3, drop));
        atomic_store(&dropped, 0);
        for (int i = 0; i < 5; i++) { /* 2 of 5 are received: the rest lies around the ring's end */
            int *item = malloc(sizeof(*item));
            CHECK(item);
            CHECK_OK(pirn_channel_send(ch, &item, PIRN_NEVER));
            if (i < 2) {
                CHECK_EQ(pirn_channel_recv(ch, &item, PIRN_NEVER), 1);
                free(item);
            }
        }
        if (late)
            CHECK_OK(pirn_channel_close(ch, PIRN_CHANNEL_RECV));
        CHECK_EQ(atomic_load(&dropped), late ? 3 : 0);
        pirn_channel_release(ch);
        CHECK_EQ(atomic_load(&dropped), 3);
    }
}

START_TEST(a137_closing)
{
    support_everywhere(drained);
    support_everywhere(drops);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, closed_while_waiting, NULL));
}
END_TEST

/* ---- Many of each, until the end --------------------------------------------------------- */

enum {
    USERS = 4
};

struct crowd {
    pirn_channel *ch;
    size_t capacity;
    int each;
    bool threads;
    unsigned char *seen;
};

struct source {
    struct crowd *crowd;
    pirn_channel *tx;
    int id;
};

static int many_senders(void *arg)
{
    struct source *s = arg;
    for (int i = 0; i < s->crowd->each; i++)
        CHECK_OK(send_by(s->tx, s->id * s->crowd->each + i, PIRN_NEVER));
    pirn_channel_release(s->tx);
    return 0;
}

static int many_receivers(void *arg)
{
    struct source *s = arg;
    int last[USERS] = {-1, -1, -1, -1}, item;
    while ((item = recv_by(s->tx, PIRN_NEVER)) != NONE) {
        CHECK_GE(item, 0);
        int from = item / s->crowd->each;
        CHECK(item > last[from]);
        last[from] = item;
        CHECK_EQ(s->crowd->seen[item]++, 0);
    }
    pirn_channel_release(s->tx);
    return 0;
}

static void *send_on_thread(void *arg)
{
    return many_senders(arg), NULL;
}

static int crowd(void *arg)
{
    struct crowd *c = arg;
    pirn_channel *ch = new_channel(c->capacity);
    struct source tx[USERS], rx[USERS];
    pirn_task *tasks[2 * USERS];
    pthread_t threads[USERS];
    c->seen = calloc(USERS, (size_t)c->each);
    CHECK(c->seen);
    for (int i = 0; i < USERS; i++) {
        tx[i] = (struct source){c, another(ch, PIRN_CHANNEL_SEND), i};
        rx[i] = (struct source){c, another(ch, PIRN_CHANNEL_RECV), i};
        tasks[i] = support_spawn(many_receivers, &rx[i]);
        if (c->threads)
            threads[i] = support_thread(send_on_thread, &tx[i]);
        else
            tasks[USERS + i] = support_spawn(many_senders, &tx[i]);
    }
    pirn_channel_release(ch);
    for (int i = 0; i < USERS; i++) {
        if (!c->threads)
            CHECK_OK(support_join(tasks[USERS + i]));
        CHECK_OK(support_join(tasks[i]));
        if (c->threads)
            support_thread_join(threads[i]);
    }
    for (int i = 0; i < USERS * c->each; i++)
        CHECK_EQ(c->seen[i], 1);
    free(c->seen);
    return 0;
}

START_TEST(a137_each_item_once_until_the_end)
{
    static const size_t capacities[] = {0, 1, 64, 1024};
    FOR_WORKERS(w)
    for (int i = 0; i < 4; i++) {
        struct crowd c = {.capacity = capacities[i], .each = support_rounds(20000)};
        CHECK_OK(support_run(w, crowd, &c));
        c.threads = true;
        c.each = support_rounds(2000);
        CHECK_OK(support_run(w, crowd, &c));
    }
}
END_TEST

SUPPORT_MAIN("channel", capacity_and_deadlines, a138_a_send_returns_when_received, a137_closing,
             a137_each_item_once_until_the_end)
