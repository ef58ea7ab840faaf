/* Tasks whose first act is to bring more of their kind: what they bring goes before others of its
 * kind, and nobody starves for that. */
#include "tests/support.h"

static pirn_future *new_future(void)
{
    pirn_future *future;
    CHECK_OK(pirn_future_new(&future));
    return future;
}

static atomic_int chain_over;

/* Each brings the next, waits until that has begun, and ends: what is new goes first, for ever. */
static int chain(void *arg)
{
    pirn_future *up = arg;
    if (up != NULL) {
        CHECK_OK(pirn_future_set(up, 0, NULL));
        pirn_release(up);
    }
    if (atomic_load(&chain_over))
        return 0;
    pirn_future *mine = new_future();
    pirn_retain(mine);
    CHECK_OK(pirn_detach(support_spawn(chain, mine)));
    CHECK_OK(pirn_future_await(mine, NULL, NULL, PIRN_NEVER));
    pirn_release(mine);
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void *bring_newcomer(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    config.runtime = arg;
    CHECK_OK(pirn_spawn_with(&task, &config, nothing, NULL));
    CHECK_OK(support_join(task));
    return NULL;
}

static int set_it(void *arg)
{
    return pirn_future_set(arg, 0, NULL);
}

/* Its second child is below the first and all that comes of that. */
static int bring_chain(void *arg)
{
    pirn_future *second = new_future();
    (void)arg;
    CHECK_OK(pirn_detach(support_spawn(chain, NULL)));
    CHECK_OK(pirn_detach(support_spawn(set_it, second)));
    CHECK_OK(pirn_future_await(second, NULL, NULL, PIRN_NEVER));
    pirn_release(second);
    return 0;
}

static int beside_chain(void *arg)
{
    (void)arg;
    atomic_store(&chain_over, 0);
    pirn_task *task = support_spawn(bring_chain, NULL);
    for (int i = 0; i < 100; i++)
        CHECK_OK(pirn_yield()); /* who was there before */
    CHECK_OK(support_join(task));
    for (int i = 0; i < 10; i++) /* from outside */
        support_thread_join(support_thread(bring_newcomer, pirn_runtime_current()));
    atomic_store(&chain_over, 1);
    while (pirn_tasks(NULL, 0) > 1)
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
    return 0;
}

START_TEST(newcomers_starve_nobody)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, beside_chain, NULL));
}
END_TEST

enum {
    LEAVES = 10000,
    CHILDREN = 10
};

static struct {
    atomic_int spawned, begun;
    atomic_int most; /* that waited to begin, at once */
} tree;

static int grow(void *arg)
{
    int leaves = *(int *)arg, each = leaves / CHILDREN;
    pirn_task *children[CHILDREN];
    int waiting = atomic_load(&tree.spawned) - atomic_fetch_add(&tree.begun, 1);
    int most = atomic_load(&tree.most); /* with one worker there may be spares */
    while (waiting > most && !atomic_compare_exchange_weak(&tree.most, &most, waiting)) {}
    for (int i = 0; i < CHILDREN && leaves > 1; i++) {
        atomic_fetch_add(&tree.spawned, 1);
        children[i] = support_spawn(grow, &each);
    }
    for (int i = 0; i < CHILDREN && leaves > 1; i++)
        CHECK_OK(support_join(children[i]));
    return 0;
}

/* A tree is walked depth first: few of its nodes wait at once. (Breadth first nearly all leaves
 * do.) */
START_TEST(trees_are_walked_depth_first)
{
    int leaves = LEAVES;
    CHECK_OK(support_run(1, grow, &leaves));
    CHECK_EQ(tree.spawned, LEAVES + LEAVES / 10 + LEAVES / 100 + LEAVES / 1000);
    if (getenv("PIRN_TEST_VERBOSE") != NULL)
        printf("of %d nodes %d waited at once\n", atomic_load(&tree.spawned),
               atomic_load(&tree.most));
#ifndef PIRN_HARD /* where all of them go through the inject queue */
    CHECK_LE(tree.most, LEAVES / 3);
#endif
}
END_TEST

SUPPORT_MAIN("brood", newcomers_starve_nobody, trees_are_walked_depth_first)
