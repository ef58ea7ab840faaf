/* A child that is awaited before it has started runs on its awaiter's stack; nobody should
 * notice. */
#include "tests/support.h"

#include <stdio.h>

/* ---- A chain of awaits deeper than any stack --------------------------------------------- */

static int chain(void *arg)
{
    long depth = (long)(intptr_t)arg;
    if (depth == 0)
        return 7;
    return support_join(support_spawn(chain, (void *)(intptr_t)(depth - 1)));
}

static int deep(void *arg)
{
    (void)arg;
    CHECK_EQ(chain((void *)(intptr_t)support_rounds(100000)), 7);
    return 0;
}

START_TEST(chain_of_awaits)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, deep, NULL));
}
END_TEST

/* ---- It is a task of its own ------------------------------------------------------------- */

struct own {
    pirn_task *parent;
    pirn_local key;
    int drops;
};

static void drop(void *arg)
{
    ((struct own *)arg)->drops++;
}

static int child(void *arg)
{
    struct own *o = arg;
    char name[32], local[64];
    CHECK(pirn_current() != o->parent);
    CHECK_OK(pirn_name(pirn_current(), name, sizeof(name)));
    CHECK(strcmp(name, "child") == 0);
    CHECK(pirn_local_get(o->key) == o); /* copied at spawn */
    CHECK_OK(pirn_local_set(o->key, name));
    CHECK_OK(pirn_shield_enter()); /* its own, not its awaiter's */
    memset(local, 'c', sizeof(local));
    for (int i = 0; i < 5; i++) { /* it waits, and may go on elsewhere */
        CHECK_OK(i % 2 ? pirn_yield() : pirn_sleep(pirn_after_us(50)));
        CHECK(pirn_local_get(o->key) == name);
    }
    for (size_t i = 0; i < sizeof(local); i++)
        CHECK(local[i] == 'c');
    return 42;
}

static int parent(void *arg)
{
    struct own o = {.parent = pirn_current()};
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.name = "child";
    config.arg_drop = drop;
    config.flags = *(unsigned *)arg;
    CHECK_OK(pirn_local_new(&o.key));
    CHECK_OK(pirn_local_set(o.key, &o));
    for (int i = 1; i <= 100; i++) {
        pirn_task *task;
        int status = 0;
        config.stack_size = i % 10 == 0 ? 1 << 20 : 0;
        CHECK_OK(pirn_spawn_with(&task, &config, child, &o));
        CHECK_OK(pirn_await(task, &status, i % 7 == 0 ? pirn_after_s(100) : PIRN_NEVER));
        CHECK_EQ(status, 42);
        CHECK(pirn_current() == o.parent);
        CHECK(pirn_local_get(o.key) == &o);
        CHECK_EQ(pirn_status(task), 42);
        CHECK_OK(pirn_release(task));
        CHECK_EQ(o.drops, i);
        CHECK_EQ(pirn_shield_leave(), -EINVAL);
    }
    return 0;
}

START_TEST(its_own_task)
{
    unsigned flags = 0;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, parent, &flags));
    flags = PIRN_PINNED;
    CHECK_OK(support_run(2, parent, &flags));
}
END_TEST

/* ---- Both are seen ----------------------------------------------------------------------- */

static int wait_for_cancel(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

static int await_child(void *arg)
{
    pirn_task **ret_child = arg;
    *ret_child = support_spawn_named("inside", wait_for_cancel, NULL);
    return pirn_await(*ret_child, NULL, PIRN_NEVER);
}

static int await_other(void *arg)
{
    return pirn_await(arg, NULL, PIRN_NEVER);
}

static int seen(void *arg)
{
    (void)arg;
    pirn_task *inside = NULL, *outside = support_spawn_named("outside", await_child, &inside);
    support_until_waiting(outside);
    support_until_waiting(inside);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    CHECK(out);
    CHECK_OK(pirn_dump(NULL, out));
    fclose(out);
    CHECK(strstr(text, "outside waiting await"));
    CHECK(strstr(text, "inside waiting sleep"));
    free(text);
    /* Another awaiter is cancelled and leaves; it was not the only one. */
    pirn_task *other = support_spawn(await_other, inside);
    support_until_waiting(other);
    CHECK_OK(pirn_cancel(other, NULL));
    CHECK_EQ(support_join(other), -ECANCELED);
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_EQ(pirn_status(inside), -EINPROGRESS);
    /* A cancel of the child alone: its awaiter is told of a child that ended so, and not
     * cancelled. */
    CHECK_OK(pirn_cancel(inside, NULL));
    CHECK_OK(support_join(outside));
    CHECK_EQ(support_join(inside), -ECANCELED);
    return 0;
}

START_TEST(in_a_dump)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, seen, NULL));
}
END_TEST

/* ---- Who only looks on keeps no cancel from it ------------------------------------------- */

struct watched {
    bool selected;
    pirn_task *child, *looker;
    atomic_int called, looking, ended;
};

static void called(pirn_awaitable *awaitable, void *user)
{
    struct watched *x = user;
    CHECK(awaitable == x->child);
    atomic_fetch_add(&x->called, 1);
}

static int look_on(void *arg)
{
    struct watched *x = arg;
    pirn_case end = pirn_case_await(x->child, NULL);
    CHECK_EQ(pirn_select(&end, 1, PIRN_NEVER), 0);
    CHECK_EQ(end.result, -ECANCELED);
    return 4;
}

static int is_watched(void *arg)
{
    struct watched *x = arg;
    x->child = pirn_current();
    if (x->selected) {
        x->looker = support_spawn(look_on, x);
        support_until_waiting(x->looker);
    } else {
        CHECK_OK(pirn_add_done_callback(x->child, NULL, called, x));
    }
    atomic_store(&x->looking, 1);
    int rc = pirn_sleep(PIRN_NEVER);
    atomic_store(&x->ended, 1);
    return rc;
}

static int joins_watched(void *arg)
{
    int status = 0;
    pirn_task *task = support_spawn(is_watched, arg);
    CHECK_EQ(pirn_await(task, &status, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(atomic_load(&((struct watched *)arg)->ended), 1);
    CHECK_EQ(support_join(task), -ECANCELED);
    return pirn_yield();
}

static int cancel_watched(void *arg)
{
    struct watched x = {.selected = *(bool *)arg};
    pirn_task *task = support_spawn(joins_watched, &x);
    support_until(&x.looking, 1);
    support_until_waiting(x.child);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_OK(support_join(task));
    if (x.selected)
        CHECK_EQ(support_join(x.looker), 4);
    else
        support_until(&x.called, 1);
    return 0;
}

START_TEST(cancelled_while_watched)
{
    for (int selected = 0; selected < 2; selected++) {
        bool select = selected != 0;
        FOR_WORKERS(w)
        CHECK_OK(support_run(w, cancel_watched, &select));
    }
}
END_TEST

/* ---- Its value's drop goes on elsewhere: not to be done, and survived -------------------- */

static int add(void *arg)
{
    atomic_fetch_add((atomic_long *)arg, 1);
    return 1;
}

struct mover {
    int workers;
    pirn_task *ended;
    pthread_t thread;
    atomic_int over;
    bool moved;
};

static bool goes_on(struct mover *m, int64_t began)
{
    return atomic_load(&m->over) == 0 && support_now() - began < 500 * MS;
}

static int hogs(void *arg)
{
    int64_t began = support_now();
    while (goes_on(arg, began)) {}
    return 0;
}

/* It gives way now and then, to a hog, and somebody else takes it up. */
static void drop_elsewhere(void *value)
{
    struct mover *m = value;
    int64_t began = support_now();
    while (!m->moved && goes_on(m, began)) {
        CHECK_OK(pirn_await(m->ended, NULL, PIRN_NEVER));
        m->moved = !pthread_equal(pthread_self(), m->thread);
    }
    atomic_store(&m->over, 1);
}

static int leaves_a_value(void *arg)
{
    struct mover *m = arg;
    m->thread = pthread_self();
    CHECK_OK(pirn_set_value(m, drop_elsewhere));
    return 8;
}

static int moves_once(void *arg)
{
    struct mover *m = arg;
    pirn_task *hog[4], *me = pirn_current();
    CHECK_OK(pirn_await(m->ended, NULL, PIRN_NEVER));
    for (int i = 0; i < m->workers; i++)
        hog[i] = support_spawn(hogs, m);
    CHECK_EQ(support_join(support_spawn(leaves_a_value, m)), 8);
    CHECK(pirn_current() == me);
    for (int i = 0; i < m->workers; i++)
        CHECK_OK(support_join(hog[i]));
    CHECK_OK(pirn_yield());
    CHECK(pirn_current() == me);
    return 0;
}

static int moves(void *arg)
{
    atomic_long sum = 0;
    pirn_task *ended = support_spawn(add, &sum);
    for (int n = 0; n < 3;) {
        struct mover m = {.workers = *(int *)arg, .ended = ended};
        CHECK_OK(support_join(support_spawn(moves_once, &m)));
        n += m.moved;
    }
    return pirn_release(ended);
}

START_TEST(drop_moves)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, moves, &w));
}
END_TEST

/* ---- Batches, awaited in either order, with thieves about -------------------------------- */

static int batches(void *arg)
{
    (void)arg;
    atomic_long sum = 0;
    long spawned = 0;
    pirn_task *tasks[64];
    for (int i = 0; i < support_rounds(20000); i++) {
        int n = (int)support_between(1, 64);
        for (int k = 0; k < n; k++)
            tasks[k] = support_spawn(add, &sum);
        for (int k = 0; k < n; k++)
            CHECK_EQ(support_join(tasks[i % 2 ? k : n - 1 - k]), 1);
        spawned += n;
    }
    CHECK_EQ(atomic_load(&sum), spawned);
    return 0;
}

START_TEST(batches_in_either_order)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, batches, NULL));
}
END_TEST

SUPPORT_MAIN("in_place", chain_of_awaits, its_own_task, in_a_dump, cancelled_while_watched,
             drop_moves, batches_in_either_order)
