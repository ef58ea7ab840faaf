/*
 * What actors of chaos await: futures of the round, children and jobs of their own, gathers and
 * shields of such. Children are on any runtime, some pinned, some on the strand, some not begun.
 */
#ifndef PIRN_TESTS_RACE_AWAITED_H
#define PIRN_TESTS_RACE_AWAITED_H

#include "tests/race/chaos.h"

enum {
    FUTURES = 4,
    KIDS = 6000
};

struct kid {
    struct chaos *chaos;
    uint64_t random;
    bool strand;
    atomic_int ran, dropped;
    pirn_future *future; /* borrowed; of the round */
};

struct awaited {
    pirn_future *futures[FUTURES];
    pirn_thread_pool *pool;
    struct kid kids[KIDS];
    atomic_int kid_count;
};

static inline struct awaited *awaited_of(struct actor *a) /* objects begin with it */
{
    return a->chaos->objects;
}

static inline pirn_runtime *some_runtime(struct actor *a)
{
    return atomic_load(&a->chaos->runtime[chaos_roll(a, 2)]);
}

static inline void turn(struct kid *k)
{
    if (!k->strand)
        return;
    int turns = ++k->chaos->turns;
    for (volatile int i = 0; i < 20; i++) {}
    CHECK_EQ(k->chaos->turns, turns);
}

static inline int kid_main(void *arg)
{
    struct kid *k = arg;
    int rc = 0, n = (int)chaos_draw(&k->random, 3);
    CHECK_EQ(atomic_fetch_add(&k->ran, 1), 0);
    turn(k);
    while (rc == 0 && n-- > 0) {
        switch (chaos_draw(&k->random, 4)) {
        case 0:
            rc = pirn_yield();
            break;
        case 1:
            rc = pirn_sleep(pirn_after_us((int64_t)chaos_draw(&k->random, 60)));
            break;
        case 2:
            rc = pirn_await(k->future, NULL, PIRN_NEVER);
            break;
        }
        turn(k);
    }
    if (rc < 0)
        return rc;
    return chaos_draw(&k->random, 6) == 0 ? -EIO : (int)chaos_draw(&k->random, 9);
}

static inline void kid_drop(void *arg)
{
    CHECK_EQ(atomic_fetch_add(&((struct kid *)arg)->dropped, 1), 0);
}

static inline struct kid *new_kid(struct actor *a)
{
    struct awaited *o = awaited_of(a);
    int n = atomic_fetch_add(&o->kid_count, 1);
    CHECK(n < KIDS);
    struct kid *k = &o->kids[n];
    k->chaos = a->chaos;
    k->random = chaos_roll(a, UINT64_MAX) | 1;
    k->future = o->futures[chaos_roll(a, FUTURES)];
    return k;
}

static inline pirn_awaitable *spawn_kid(struct actor *a)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    struct kid *k = new_kid(a);
    pirn_task *task;
    if (a->task == NULL || chaos_roll(a, 2) == 0) /* else its own */
        config.runtime = some_runtime(a);
    config.arg_drop = kid_drop;
    config.flags = PIRN_OFF_STRAND;
    if (chaos_roll(a, 6) == 0) {
        config.strand = a->chaos->strand;
        config.flags = 0;
        k->strand = true;
    } else if (chaos_roll(a, 24) == 0) {
        config.flags = PIRN_PINNED;
    }
    int rc = chaos_roll(a, 3) == 0 && config.flags != PIRN_PINNED
                 ? pirn_coroutine_new(&task, &config, kid_main, k)
                 : pirn_spawn_with(&task, &config, kid_main, k);
    CHECK(rc == 0 || (rc == -ESHUTDOWN && a->chaos->ends));
    return rc == 0 ? task : pirn_retain(k->future);
}

static inline int job_main(void *arg)
{
    struct kid *k = arg;
    CHECK_EQ(atomic_fetch_add(&k->ran, 1), 0);
    if (chaos_draw(&k->random, 4) == 0)
        support_pause_ms(1);
    else
        support_spin((int64_t)chaos_draw(&k->random, 50000));
    return chaos_draw(&k->random, 6) == 0 ? -ECANCELED : (int)chaos_draw(&k->random, 9);
}

static inline pirn_awaitable *submit_job(struct actor *a)
{
    pirn_job_config config = PIRN_JOB_CONFIG_INIT;
    pirn_job *job;
    config.arg_drop = kid_drop;
    CHECK_OK(
        pirn_thread_pool_submit_with(awaited_of(a)->pool, &job, &config, job_main, new_kid(a)));
    return job;
}

/* With a reference. */
static inline pirn_awaitable *some_item(struct actor *a, int depth)
{
    pirn_awaitable *inner[3], *made;
    size_t n = 0;
    switch (chaos_roll(a, depth > 0 ? 8 : 4)) {
    case 0:
        return pirn_retain(awaited_of(a)->futures[chaos_roll(a, FUTURES)]);
    case 1:
        return submit_job(a);
    case 4:
        inner[0] = some_item(a, depth - 1);
        CHECK_OK(pirn_shield(&made, inner[0]));
        if (pirn_release(inner[0]) != 0)
            CHECK_OK(pirn_detach(inner[0]));
        return made;
    case 5:
        for (; n < chaos_roll(a, 4); n++)
            inner[n] = some_item(a, depth - 1);
        CHECK_OK(
            pirn_gather(&made, inner, n, PIRN_TAKE | (chaos_roll(a, 2) == 0 ? PIRN_COLLECT : 0)));
        return made;
    }
    return spawn_kid(a);
}

static inline void give_up(struct actor *a, pirn_awaitable *item)
{
    if (chaos_roll(a, 3) == 0 && pirn_kind_of(item) != PIRN_KIND_FUTURE)
        pirn_cancel(item, "given up");
    if (pirn_kind_of(item) == PIRN_KIND_TASK)
        CHECK_OK(pirn_detach(item));
    else
        CHECK_OK(pirn_release(item));
}

/* Before the round; and after it: when this returns, all have ended. */
static inline void awaited_begin(struct awaited *o)
{
    for (int i = 0; i < FUTURES; i++)
        CHECK_OK(pirn_future_new(&o->futures[i]));
    CHECK_OK(pirn_thread_pool_new(&o->pool, 2));
}

static inline void awaited_end(struct awaited *o)
{
    for (int i = 0; i < atomic_load(&o->kid_count); i++)
        support_until(&o->kids[i].dropped, 1);
    CHECK_OK(pirn_thread_pool_close(o->pool, PIRN_NEVER));
    for (int i = 0; i < FUTURES; i++) {
        CHECK(pirn_status(o->futures[i]) != -EINPROGRESS);
        CHECK_OK(pirn_release(o->futures[i]));
    }
}

#endif
