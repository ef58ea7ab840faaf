/*
 * Queues: orders and limits, who gets an item, counting and joining, shutdown.
 */
#include "tests/support.h"

static pirn_queue *new_queue(pirn_queue_order order, int64_t maxsize)
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    pirn_queue *q = NULL;
    config.elem_size = sizeof(int);
    config.maxsize = maxsize;
    config.order = order;
    CHECK_OK(pirn_queue_new(&q, &config));
    return q;
}

static void put(pirn_queue *q, int item)
{
    CHECK_OK(pirn_queue_put(q, &item, PIRN_NEVER));
}

static int get(pirn_queue *q)
{
    int item = -1;
    CHECK_OK(pirn_queue_get(q, &item, PIRN_NEVER));
    return item;
}

static int try_get(pirn_queue *q)
{
    int item = -1, rc = pirn_queue_try_get(q, &item);
    CHECK_EQ(item == -1, rc != 0);
    return rc != 0 ? rc : item;
}

/* ---- A129: the orders, and the limit ----------------------------------------------------- */

static int64_t tens(const void *item)
{
    return *(const int *)item / 10;
}

static void orders(void)
{
    static const int items[] = {31, 12, 52, 11, 32, 13, -5, 10};
    enum {
        N = sizeof(items) / sizeof(items[0])
    };
    static const int by_priority[N] = {-5, 12, 11, 13, 10, 31, 32, 52};
    pirn_queue *fifo = new_queue(PIRN_QUEUE_FIFO, 0), *lifo = new_queue(PIRN_QUEUE_LIFO, -3);
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    pirn_queue *priority;
    config.elem_size = sizeof(int);
    config.order = PIRN_QUEUE_PRIORITY;
    CHECK_EQ(pirn_queue_new(&priority, &config), -EINVAL); /* by what? */
    config.key = tens;
    CHECK_OK(pirn_queue_new(&priority, &config));
    config.order = PIRN_QUEUE_FIFO;
    CHECK_EQ(pirn_queue_new(&priority, &config), -EINVAL);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            put(fifo, items[i]);
            put(lifo, items[i]);
            CHECK_OK(pirn_queue_try_put(priority, &items[i]));
            CHECK_EQ(pirn_queue_size(priority), i + 1);
        }
        for (int i = 0; i < N; i++) {
            CHECK_EQ(get(fifo), items[i]);
            CHECK_EQ(get(lifo), items[N - 1 - i]);
            CHECK_EQ(get(priority), by_priority[i]);
        }
        CHECK_EQ(try_get(fifo), -EAGAIN);
        CHECK_EQ(try_get(lifo), -EAGAIN);
        CHECK_EQ(try_get(priority), -EAGAIN);
    }
    pirn_queue_release(fifo);
    pirn_queue_release(lifo);
    pirn_queue_release(priority);
}

/* Against the definition: of what is in it, the smallest key that was put first. */
static int64_t key_of(const void *item)
{
    return *(const int *)item % 16;
}

static void random_priorities(void)
{
    enum {
        N = 400
    };
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    pirn_queue *q;
    config.elem_size = sizeof(int);
    config.order = PIRN_QUEUE_PRIORITY;
    config.key = key_of;
    CHECK_OK(pirn_queue_new(&q, &config));
    int held[N], count = 0; /* in the order they were put */
    for (int i = 0; i < 20000; i++) {
        if (count < N && (count == 0 || support_between(0, 99) < (i % 4000 < 2000 ? 60 : 40))) {
            int item = (int)support_between(0, 1000000);
            held[count++] = item;
            put(q, item);
            continue;
        }
        int best = 0;
        for (int k = 1; k < count; k++)
            best = held[k] % 16 < held[best] % 16 ? k : best;
        CHECK_EQ(get(q), held[best]);
        memmove(&held[best], &held[best + 1], (size_t)(--count - best) * sizeof(held[0]));
    }
    pirn_queue_release(q);
}

/* Whatever the order they come in, neither a put nor a get needs more of the stack. */
static int64_t itself(const void *item)
{
    return *(const int *)item;
}

static void many_priorities(void)
{
    enum {
        N = 20000
    };
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    pirn_queue *q;
    config.elem_size = sizeof(int);
    config.order = PIRN_QUEUE_PRIORITY;
    config.key = itself;
    CHECK_OK(pirn_queue_new(&q, &config));
    for (int down = 0; down < 2; down++) {
        for (int i = 0; i < N; i++)
            put(q, down ? N - 1 - i : i);
        for (int i = 0; i < N; i++)
            CHECK_EQ(get(q), i);
    }
    pirn_queue_release(q);
}

static void limits(void)
{
    int item = 7;
    pirn_queue *q = new_queue(PIRN_QUEUE_FIFO, 2), *all = new_queue(PIRN_QUEUE_FIFO, 0);
    CHECK_EQ(pirn_queue_empty(NULL), -EINVAL);
    CHECK_EQ(pirn_queue_full(NULL), -EINVAL);
    CHECK(pirn_queue_empty(q) && !pirn_queue_full(q));
    put(q, 1);
    CHECK(!pirn_queue_empty(q) && !pirn_queue_full(q));
    put(q, 2);
    CHECK(!pirn_queue_empty(q) && pirn_queue_full(q));
    CHECK_EQ(pirn_queue_try_put(q, &item), -EAGAIN);
    CHECK_EQ(pirn_queue_put(q, &item, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_queue_put(q, &item, pirn_after_ms(1)), -ETIMEDOUT);
    CHECK_EQ(pirn_queue_size(q), 2);
    CHECK_EQ(get(q), 1);
    CHECK_EQ(get(q), 2);
    CHECK_EQ(pirn_queue_get(q, &item, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(item, 7);
    for (int i = 0; i < 1000; i++)
        put(all, i);
    CHECK(!pirn_queue_full(all));
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(get(all), i);
    pirn_queue_release(q);
    pirn_queue_release(all);
}

START_TEST(a129_orders_and_limits)
{
    support_everywhere(orders);
    support_everywhere(limits);
    support_everywhere(many_priorities);
    random_priorities();
}
END_TEST

/* ---- Somebody who puts or gets, and waits ------------------------------------------------ */

struct user {
    pirn_queue *q;
    pirn_time deadline;
    atomic_int began, over;
    int item, rc;
};

static int getter(void *arg)
{
    struct user *u = arg;
    atomic_store(&u->began, 1);
    u->rc = pirn_queue_get(u->q, &u->item, u->deadline);
    atomic_store(&u->over, 1);
    return 0;
}

static int putter(void *arg)
{
    struct user *u = arg;
    atomic_store(&u->began, 1);
    u->rc = pirn_queue_put(u->q, &u->item, u->deadline);
    atomic_store(&u->over, 1);
    return 0;
}

static int joiner(void *arg)
{
    struct user *u = arg;
    atomic_store(&u->began, 1);
    u->rc = pirn_queue_join(u->q, u->deadline);
    atomic_store(&u->over, 1);
    return 0;
}

static void *getter_thread(void *arg)
{
    return getter(arg), NULL;
}

static void *joiner_thread(void *arg)
{
    return joiner(arg), NULL;
}

static pirn_task *start(struct user *u, pirn_queue *q, pirn_fn fn, int item)
{
    *u = (struct user){.q = q, .deadline = PIRN_NEVER, .item = item, .rc = 99};
    pirn_task *task = support_spawn(fn, u);
    support_until_waiting(task);
    return task;
}

/* ---- A132: an item put belongs to who was waiting ---------------------------------------- */

static int waiting_getter(void *arg)
{
    (void)arg;
    for (int i = 0; i < support_rounds(300); i++) {
        pirn_queue *q = new_queue(i % 2 ? PIRN_QUEUE_FIFO : PIRN_QUEUE_LIFO, i % 3);
        struct user u[3];
        pirn_task *tasks[3];
        for (int k = 0; k < 3; k++)
            tasks[k] = start(&u[k], q, getter, -1);
        for (int k = 0; k < 3; k++) {
            put(q, 10 + k);
            CHECK_EQ(try_get(q), -EAGAIN);
            CHECK(pirn_queue_empty(q));
        }
        for (int k = 0; k < 3; k++) { /* in the order they came */
            CHECK_OK(support_join(tasks[k]));
            CHECK_OK(u[k].rc);
            CHECK_EQ(u[k].item, 10 + k);
        }
        pirn_queue_release(q);
    }
    return 0;
}

static int waiting_thread(void *arg)
{
    (void)arg;
    pirn_queue *q = new_queue(PIRN_QUEUE_FIFO, 0);
    struct user u = {.q = q, .deadline = PIRN_NEVER, .item = -1, .rc = 99};
    pthread_t thread = support_thread(getter_thread, &u);
    support_until(&u.began, 1);
    pirn_sleep(pirn_after_ms(5)); /* it waits, most likely */
    put(q, 3);
    support_thread_join(thread);
    CHECK_OK(u.rc);
    CHECK_EQ(u.item, 3);
    CHECK_EQ(try_get(q), -EAGAIN);
    pirn_queue_release(q);
    return 0;
}

START_TEST(a132_an_item_is_the_waiting_getters)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, waiting_getter, NULL));
        CHECK_OK(support_run(w, waiting_thread, NULL));
    }
}
END_TEST

/* S142, and the same for putters: in order, and nobody slips in between. */
static int waiting_putter(void *arg)
{
    (void)arg;
    for (int i = 0; i < support_rounds(300); i++) {
        int item = 99;
        pirn_queue *q = new_queue(PIRN_QUEUE_FIFO, 1);
        struct user u[3];
        pirn_task *tasks[3];
        put(q, 0);
        for (int k = 0; k < 3; k++)
            tasks[k] = start(&u[k], q, putter, k + 1);
        for (int k = 0; k < 4; k++) {
            CHECK_EQ(get(q), k);
            CHECK_EQ(pirn_queue_size(q), k < 3);
            if (k < 3)
                CHECK_EQ(pirn_queue_try_put(q, &item), -EAGAIN);
            for (int later = k + 1; later < 3; later++)
                CHECK_EQ(atomic_load(&u[later].over), 0);
        }
        for (int k = 0; k < 3; k++) {
            CHECK_OK(support_join(tasks[k]));
            CHECK_OK(u[k].rc);
        }
        pirn_queue_release(q);
    }
    return 0;
}

START_TEST(s142_a_put_waits_while_it_is_full)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, waiting_putter, NULL));
}
END_TEST

/* ---- A134, S144: task_done and join ------------------------------------------------------ */

static void counting(void)
{
    pirn_queue *q = new_queue(PIRN_QUEUE_FIFO, 0);
    CHECK_OK(pirn_queue_join(q, PIRN_NOW));
    CHECK_EQ(pirn_queue_task_done(q), -EINVAL);
    put(q, 1);
    put(q, 2);
    CHECK_EQ(pirn_queue_join(q, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(get(q), 1);
    CHECK_EQ(get(q), 2);
    CHECK_EQ(pirn_queue_join(q, pirn_after_ms(1)), -ETIMEDOUT);
    CHECK_OK(pirn_queue_task_done(q));
    CHECK_EQ(pirn_queue_join(q, PIRN_NOW), -ETIMEDOUT);
    CHECK_OK(pirn_queue_task_done(q));
    CHECK_OK(pirn_queue_join(q, PIRN_NEVER));
    CHECK_EQ(pirn_queue_task_done(q), -EINVAL);
    pirn_queue_release(q);
}

static int joiners(void *arg)
{
    (void)arg;
    enum {
        TASKS = 5,
        ITEMS = 10
    };
    for (int i = 0; i < support_rounds(100); i++) {
        pirn_queue *q = new_queue(PIRN_QUEUE_FIFO, 0);
        struct user u[TASKS], t = {.q = q, .deadline = PIRN_NEVER};
        pirn_task *tasks[TASKS];
        for (int k = 0; k < ITEMS; k++)
            put(q, k);
        for (int k = 0; k < TASKS; k++)
            tasks[k] = start(&u[k], q, joiner, 0);
        pthread_t thread = support_thread(joiner_thread, &t);
        support_until(&t.began, 1);
        pirn_sleep(pirn_after_ms(1)); /* it waits, most likely; if not, the put below holds it up */
        for (int k = 0; k < ITEMS; k++) {
            CHECK_EQ(get(q), k);
            for (int j = 0; j < TASKS; j++)
                CHECK_EQ(atomic_load(&u[j].over), 0);
            CHECK_EQ(atomic_load(&t.over), 0);
            CHECK_OK(pirn_queue_task_done(q));
        }
        put(q, 99); /* at once: it holds up nobody who was waiting */
        for (int k = 0; k < TASKS; k++) {
            CHECK_OK(support_join(tasks[k]));
            CHECK_OK(u[k].rc);
        }
        CHECK_EQ(get(q), 99);
        CHECK_OK(pirn_queue_task_done(q));
        support_thread_join(thread);
        CHECK_OK(t.rc);
        pirn_queue_release(q);
    }
    return 0;
}

START_TEST(a134_task_done_and_join)
{
    support_everywhere(counting);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, joiners, NULL));
}
END_TEST

/* ---- S146, S147 -------------------------------------------------------------------------- */

static int times_out(void *arg)
{
    (void)arg;
    pirn_queue *q = new_queue(PIRN_QUEUE_FIFO, 0);
    int item = -1;
    pirn_time until = pirn_after_ms(10);
    CHECK_EQ(pirn_queue_get(q, &item, until), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, until.ns);
    CHECK_EQ(item, -1);
    put(q, 5);
    CHECK_EQ(get(q), 5); /* who gave up has taken nothing */
    pirn_queue_release(q);
    return 0;
}

START_TEST(s146_a_get_that_times_out_takes_nothing)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, times_out, NULL));
}
END_TEST

static int consumer_first(void *arg)
{
    (void)arg;
    pirn_queue *q = new_queue(PIRN_QUEUE_FIFO, 0);
    struct user consumer, producer = {.q = q, .deadline = PIRN_NEVER, .item = 42};
    pirn_task *task = start(&consumer, q, getter, -1);
    CHECK_OK(support_join(support_spawn(putter, &producer)));
    CHECK_OK(support_join(task));
    CHECK_EQ(consumer.item, 42);
    pirn_queue_release(q);
    return 0;
}

START_TEST(s147_consumer_first)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, consumer_first, NULL));
}
END_TEST

SUPPORT_MAIN("queue", a129_orders_and_limits, a132_an_item_is_the_waiting_getters,
             s142_a_put_waits_while_it_is_full, a134_task_done_and_join,
             s146_a_get_that_times_out_takes_nothing, s147_consumer_first)
