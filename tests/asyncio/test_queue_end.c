/*
 * Queues shut down, gracefully and at once; items dropped; hints, cancels at the moment of a put,
 * and a million items.
 */
#include "tests/support.h"

#include <stdio.h>

static atomic_int dropped;

static void drop(void *item)
{
    free(*(int **)item);
    atomic_fetch_add(&dropped, 1);
}

/* Of pointers to an int each, so that ASan sees what is lost or freed twice. */
static pirn_queue *new_queue(int64_t maxsize)
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    pirn_queue *q = NULL;
    config.elem_size = sizeof(int *);
    config.maxsize = maxsize;
    config.drop = drop;
    CHECK_OK(pirn_queue_new(&q, &config));
    atomic_store(&dropped, 0);
    return q;
}

static int put(pirn_queue *q, int value, pirn_time deadline)
{
    int *item = malloc(sizeof(*item));
    CHECK(item);
    *item = value;
    int rc = pirn_queue_put(q, &item, deadline);
    if (rc != 0)
        free(item); /* still ours */
    return rc;
}

static int get(pirn_queue *q, pirn_time deadline)
{
    int *item = NULL, rc = pirn_queue_get(q, &item, deadline);
    CHECK_EQ(item == NULL, rc != 0);
    if (rc == 0)
        rc = *item;
    free(item);
    return rc;
}

/* ---- A135 -------------------------------------------------------------------------------- */

static int getter(void *arg)
{
    return get(arg, PIRN_NEVER);
}

static int putter(void *arg)
{
    return put(arg, 77, PIRN_NEVER);
}

static int joiner(void *arg)
{
    return pirn_queue_join(arg, PIRN_NEVER);
}

static pirn_task *waiting(pirn_fn fn, pirn_queue *q)
{
    pirn_task *task = support_spawn(fn, q);
    support_until_waiting(task);
    return task;
}

static int graceful(void *arg)
{
    (void)arg;
    pirn_queue *q = new_queue(2);
    CHECK_OK(put(q, 1, PIRN_NEVER));
    CHECK_OK(put(q, 2, PIRN_NEVER));
    pirn_task *p[2] = {waiting(putter, q), waiting(putter, q)}, *j = waiting(joiner, q);
    CHECK_OK(pirn_queue_shutdown(q, PIRN_QUEUE_DRAIN));
    CHECK_EQ(support_join(p[0]), -ESHUTDOWN);
    CHECK_EQ(support_join(p[1]), -ESHUTDOWN);
    CHECK_EQ(put(q, 3, PIRN_NEVER), -ESHUTDOWN);
    int *item = NULL;
    CHECK_EQ(pirn_queue_try_put(q, &item), -ESHUTDOWN);
    CHECK_EQ(get(q, PIRN_NEVER), 1);
    CHECK_EQ(get(q, PIRN_NEVER), 2);
    CHECK_EQ(get(q, PIRN_NEVER), -ESHUTDOWN);
    CHECK_EQ(pirn_queue_try_get(q, &item), -ESHUTDOWN);
    CHECK_OK(pirn_queue_shutdown(q, PIRN_QUEUE_DRAIN)); /* again */
    CHECK_EQ(pirn_status(j), -EINPROGRESS);             /* it still needs both */
    CHECK_OK(pirn_queue_task_done(q));
    CHECK_EQ(pirn_status(j), -EINPROGRESS);
    CHECK_OK(pirn_queue_task_done(q));
    CHECK_OK(support_join(j));
    CHECK_EQ(atomic_load(&dropped), 0);
    pirn_queue_release(q);

    q = new_queue(0);
    pirn_task *g[2] = {waiting(getter, q), waiting(getter, q)};
    CHECK_OK(pirn_queue_shutdown(q, PIRN_QUEUE_DRAIN));
    CHECK_EQ(support_join(g[0]), -ESHUTDOWN);
    CHECK_EQ(support_join(g[1]), -ESHUTDOWN);
    pirn_queue_release(q);
    return 0;
}

static int immediate(void *arg)
{
    (void)arg;
    pirn_queue *q = new_queue(3);
    for (int i = 0; i < 3; i++)
        CHECK_OK(put(q, i, PIRN_NEVER));
    CHECK_EQ(get(q, PIRN_NEVER), 0);
    CHECK_OK(put(q, 3, PIRN_NEVER));
    pirn_task *p = waiting(putter, q), *j = waiting(joiner, q);
    CHECK_OK(pirn_queue_shutdown(q, PIRN_QUEUE_DRAIN));
    CHECK_OK(pirn_queue_shutdown(q, PIRN_QUEUE_DISCARD));
    CHECK_EQ(support_join(p), -ESHUTDOWN);
    CHECK_EQ(atomic_load(&dropped), 3);
    CHECK_EQ(get(q, PIRN_NEVER), -ESHUTDOWN);
    CHECK_EQ(pirn_status(j), -EINPROGRESS); /* the one that was got */
    CHECK_OK(pirn_queue_task_done(q));
    CHECK_OK(support_join(j));
    CHECK_EQ(pirn_queue_task_done(q), -EINVAL);
    CHECK_OK(pirn_queue_shutdown(q, PIRN_QUEUE_DISCARD));
    pirn_queue_release(q);

    q = new_queue(0);
    CHECK_OK(put(q, 1, PIRN_NEVER));
    j = waiting(joiner, q);
    CHECK_OK(pirn_queue_shutdown(q, PIRN_QUEUE_DISCARD));
    CHECK_OK(support_join(j)); /* none is left */
    CHECK_EQ(atomic_load(&dropped), 1);
    pirn_queue_release(q);

    q = new_queue(0); /* the last reference drops what is left */
    for (int i = 0; i < 3; i++)
        CHECK_OK(put(pirn_queue_retain(q), i, PIRN_NEVER));
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(atomic_load(&dropped), 0);
        pirn_queue_release(q);
    }
    CHECK_EQ(atomic_load(&dropped), 3);
    return 0;
}

START_TEST(a135_shutdown)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, graceful, NULL));
        CHECK_OK(support_run(w, immediate, NULL));
    }
}
END_TEST

/* Shut down while others put and get: every item is got or dropped once. */
struct end {
    pirn_queue *q;
    support_barrier barrier;
    atomic_int put, got, over;
    bool late; /* nobody gets before it is shut down: what was put is dropped */
};

static int puts_until_end(void *arg)
{
    struct end *e = arg;
    int rc;
    support_meet(&e->barrier);
    while ((rc = put(e->q, 1, PIRN_NEVER)) == 0)
        atomic_fetch_add(&e->put, 1);
    return rc;
}

static int gets_until_end(void *arg)
{
    struct end *e = arg;
    int rc;
    support_meet(&e->barrier);
    if (e->late)
        support_until(&e->over, 1);
    while ((rc = get(e->q, PIRN_NEVER)) == 1)
        atomic_fetch_add(&e->got, 1);
    return rc;
}

static void *gets_on_thread(void *arg)
{
    CHECK_EQ(gets_until_end(arg), -ESHUTDOWN);
    return NULL;
}

static void *ends_on_thread(void *arg)
{
    struct end *e = arg;
    support_meet(&e->barrier);
    support_spin(support_between(0, 50 * US));
    if (e->late)
        support_until(&e->put, 1);
    CHECK_OK(pirn_queue_shutdown(e->q, PIRN_QUEUE_DISCARD));
    atomic_store(&e->over, 1);
    return NULL;
}

static int shutdown_race(void *arg)
{
    int workers = *(int *)arg, saw[2] = {0, 0};
    for (int i = 0; i < support_rounds(250); i++) {
        struct end e = {.q = new_queue(i % 4), .barrier = {.n = workers > 1 ? 4 : 3}};
        e.late = i % 8 > 5; /* as many as there is room for: two or three */
        pthread_t threads[2] = {support_thread(gets_on_thread, &e),
                                support_thread(ends_on_thread, &e)};
        pirn_task *tasks[2] = {support_spawn(puts_until_end, &e)};
        if (workers > 1) /* the barrier spins */
            tasks[1] = support_spawn(gets_until_end, &e);
        for (int k = 0; k < 2 && tasks[k] != NULL; k++)
            CHECK_EQ(support_join(tasks[k]), -ESHUTDOWN);
        support_thread_join(threads[0]);
        support_thread_join(threads[1]);
        CHECK_EQ(atomic_load(&e.put), atomic_load(&e.got) + atomic_load(&dropped));
        if (e.late)
            CHECK(atomic_load(&dropped) != 0 && atomic_load(&e.got) == 0);
        saw[atomic_load(&dropped) != 0]++;
        pirn_queue_release(e.q);
    }
    CHECK(saw[0] > 0);
    return 0;
}

START_TEST(a135_shutdown_race)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, shutdown_race, &w));
}
END_TEST

/* ---- A133, S143: empty() is a hint ------------------------------------------------------- */

struct drain {
    pirn_queue *q;
    support_barrier barrier;
    atomic_int got[10];
};

static int drains(void *arg)
{
    struct drain *d = arg;
    int *item, rc;
    support_meet(&d->barrier);
    while (!pirn_queue_empty(d->q)) {
        rc = pirn_queue_try_get(d->q, &item); /* a get could wait for ever here */
        CHECK(rc == 0 || rc == -EAGAIN);
        if (rc == 0)
            atomic_fetch_add(&d->got[*item], 1), free(item);
    }
    return 0;
}

static void *drains_on_thread(void *arg)
{
    return drains(arg), NULL;
}

static int two_drain(void *arg)
{
    (void)arg;
    for (int i = 0; i < support_rounds(1000); i++) {
        struct drain d = {.q = new_queue(0), .barrier = {.n = 2}};
        for (int k = 0; k < 10; k++)
            CHECK_OK(put(d.q, k, PIRN_NEVER));
        pthread_t thread = support_thread(drains_on_thread, &d);
        CHECK_OK(support_join(support_spawn(drains, &d)));
        support_thread_join(thread);
        for (int k = 0; k < 10; k++)
            CHECK_EQ(atomic_load(&d.got[k]), 1);
        pirn_queue_release(d.q);
    }
    return 0;
}

START_TEST(a133_s143_two_drain_it)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, two_drain, NULL));
}
END_TEST

/* ---- A136, S145: a million items --------------------------------------------------------- */

enum {
    USERS = 4
};

struct bulk {
    pirn_queue *q;
    int each; /* items of one producer */
    atomic_int turn;
    unsigned char *seen; /* by producer and number; each written by who got it */
};

static int produce(void *arg)
{
    struct bulk *b = arg;
    int me = atomic_fetch_add(&b->turn, 1);
    for (int i = 0; i < b->each; i++) {
        uint64_t item = (uint64_t)me << 32 | (unsigned)i;
        CHECK_OK(pirn_queue_put(b->q, &item, PIRN_NEVER));
    }
    return 0;
}

static int consume(void *arg)
{
    struct bulk *b = arg;
    int64_t last[USERS] = {-1, -1, -1, -1};
    uint64_t item;
    int rc;
    while ((rc = pirn_queue_get(b->q, &item, PIRN_NEVER)) == 0) {
        int from = (int)(item >> 32), number = (int)(item & 0xffffffff);
        CHECK(from < USERS && number > last[from]);
        last[from] = number;
        CHECK_EQ(b->seen[from * b->each + number]++, 0);
        CHECK_OK(pirn_queue_task_done(b->q));
    }
    CHECK_EQ(rc, -ESHUTDOWN);
    return 0;
}

static void *produce_on_thread(void *arg)
{
    return produce(arg), NULL;
}

struct bulk_kind {
    int items;
    int64_t maxsize;
    bool threads; /* produce */
};

static int bulk(void *arg)
{
    const struct bulk_kind *kind = arg;
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    struct bulk b = {.each = support_rounds(kind->items) / USERS};
    config.elem_size = sizeof(uint64_t);
    config.maxsize = kind->maxsize;
    CHECK_OK(pirn_queue_new(&b.q, &config));
    b.seen = calloc(USERS, (size_t)b.each);
    CHECK(b.seen);
    pirn_task *consumers[USERS], *producers[USERS];
    pthread_t threads[USERS];
    for (int i = 0; i < USERS; i++) {
        consumers[i] = support_spawn(consume, &b);
        if (kind->threads)
            threads[i] = support_thread(produce_on_thread, &b);
        else
            producers[i] = support_spawn(produce, &b);
    }
    for (int i = 0; i < USERS; i++) {
        if (kind->threads)
            support_thread_join(threads[i]); /* a moment's hold-up for one worker */
        else
            CHECK_OK(support_join(producers[i]));
    }
    CHECK_OK(pirn_queue_join(b.q, PIRN_NEVER));
    CHECK_OK(pirn_queue_shutdown(b.q, PIRN_QUEUE_DRAIN));
    for (int i = 0; i < USERS; i++)
        CHECK_OK(support_join(consumers[i]));
    for (int i = 0; i < USERS * b.each; i++)
        CHECK_EQ(b.seen[i], 1);
    free(b.seen);
    pirn_queue_release(b.q);
    return 0;
}

START_TEST(a136_a_million_items)
{
    struct bulk_kind kind = {1000000, 1024, false};
    FOR_WORKERS(w)
    {
        int64_t began = support_now();
        CHECK_OK(support_run(w, bulk, &kind));
        if (getenv("PIRN_TEST_VERBOSE"))
            fprintf(stderr, "W=%d: %ld ms\n", w, (long)((support_now() - began) / MS));
    }
}
END_TEST

START_TEST(a136_tight_or_unlimited)
{
    struct bulk_kind kinds[] = {{100000, 1, false}, {200000, 0, false}};
    FOR_WORKERS(w)
    for (int i = 0; i < 2; i++)
        CHECK_OK(support_run(w, bulk, &kinds[i]));
}
END_TEST

START_TEST(s145_from_threads)
{
    struct bulk_kind kinds[] = {{10000, 3, true}, {100000, 64, true}};
    FOR_WORKERS(w)
    for (int i = 0; i < 2; i++)
        CHECK_OK(support_run(w, bulk, &kinds[i]));
}
END_TEST

SUPPORT_MAIN("queue/end", a135_shutdown, a135_shutdown_race, a133_s143_two_drain_it,
             a136_a_million_items, a136_tight_or_unlimited, s145_from_threads)
