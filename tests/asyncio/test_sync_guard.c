/*
 * Guards, and the seed's page cache with them: rows A115, S149, S150.
 */
#include "tests/asyncio/sync.h"

/* ---- Guards ------------------------------------------------------------------------------ */

static int guarded(pirn_mutex *m, int how)
{
    for (;;) {
        PIRN_GUARD_MUTEX(guard, m, PIRN_NEVER);
        if (guard.error != 0)
            return guard.error;
        CHECK_EQ(pirn_mutex_is_locked(m), 1);
        if (how == 0)
            return 7;
        if (how == 1)
            break;
        if (how == 2)
            goto out;
        CHECK_OK(pirn_cancel(pirn_current(), NULL));
        int rc = pirn_sleep(pirn_after_ms(1000));
        if (rc < 0)
            return rc;
    }
    CHECK_EQ(pirn_mutex_is_locked(m), 0);
out:
    return how;
}

static int guards(void *arg)
{
    (void)arg;
    static const int expected[] = {7, 1, 2, -ECANCELED};
    pirn_mutex m = PIRN_MUTEX_INIT;
    pirn_rwlock l = PIRN_RWLOCK_INIT;
    pirn_semaphore sem = PIRN_SEMAPHORE_INIT(2);
    for (int how = 0; how < 4; how++) {
        CHECK_EQ(guarded(&m, how), expected[how]);
        CHECK_EQ(pirn_mutex_is_locked(&m), 0);
    }
    CHECK_OK(pirn_mutex_lock(&m, PIRN_NEVER));
    CHECK_EQ(guarded(&m, 0), -EDEADLK); /* not taken, not let go */
    CHECK_EQ(pirn_mutex_is_locked(&m), 1);
    {
        PIRN_GUARD_READ(reader, &l, PIRN_NEVER);
        PIRN_GUARD_SEMAPHORE(permit, &sem, PIRN_NEVER);
        CHECK_OK(reader.error);
        CHECK_OK(permit.error);
        CHECK_EQ(pirn_rwlock_try_write_lock(&l), -EAGAIN);
        CHECK_EQ(pirn_semaphore_value(&sem), 1);
        PIRN_GUARD_WRITE(writer, &l, PIRN_NOW);
        CHECK_EQ(writer.error, -ETIMEDOUT);
    }
    {
        PIRN_GUARD_WRITE(writer, &l, PIRN_NEVER);
        CHECK_OK(writer.error);
        CHECK_EQ(pirn_rwlock_try_read_lock(&l), -EAGAIN);
    }
    CHECK_OK(pirn_rwlock_try_write_lock(&l));
    CHECK_EQ(pirn_semaphore_value(&sem), 2);
    return 0;
}

START_TEST(a115_released_on_every_way_out)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, guards, NULL));
}
END_TEST

/* The seed's page cache: the way out where the page is there already kept the lock. */
struct cache {
    pirn_mutex m;
    const char *page;
    int requests;
};

static int fetch(void *arg)
{
    struct cache *c = arg;
    PIRN_GUARD_MUTEX(guard, &c->m, PIRN_NEVER);
    if (guard.error != 0)
        return guard.error;
    if (c->page != NULL)
        return 1;
    c->requests++;
    int rc = pirn_sleep(pirn_after_ms(2));
    if (rc == 0)
        c->page = "page";
    return rc;
}

static int fetchers(void *arg)
{
    (void)arg;
    struct cache c = {.page = NULL};
    pirn_task *task[10];
    int cached = 0;
    for (int i = 0; i < 10; i++)
        task[i] = support_spawn(fetch, &c);
    for (int i = 0; i < 10; i++)
        cached += support_join(task[i]);
    CHECK_EQ(c.requests, 1);
    CHECK_EQ(cached, 9);
    CHECK_EQ(pirn_mutex_is_locked(&c.m), 0);
    return 0;
}

START_TEST(s149_second_caller_is_not_stuck)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, fetchers, NULL));
}
END_TEST

/* ---- Single flight ----------------------------------------------------------------------- */

static atomic_int requests;

static int request(void *arg)
{
    atomic_fetch_add(&requests, 1);
    int rc = pirn_sleep(pirn_after_ms(2));
    *(int *)arg = 4711; /* plain: seen by all who get the value */
    return rc < 0 ? rc : 42;
}

struct flight {
    pirn_once once;
    int page;
};

static int get_page(struct caller *c)
{
    struct flight *f = c->object;
    int rc = pirn_once_do(&f->once, request, &f->page, PIRN_NEVER);
    CHECK_EQ(f->page, 4711);
    return rc;
}

static int flight(void *arg)
{
    (void)arg;
    struct flight f = {.once = PIRN_ONCE_INIT};
    struct caller c[10];
    atomic_store(&requests, 0);
    for (int i = 0; i < 10; i++) {
        c[i] = (struct caller){.fn = get_page, .object = &f};
        if (i % 3 == 2)
            c[i].thread = support_thread(sync_call_on_thread, &c[i]);
        else
            c[i].task = support_spawn(sync_call, &c[i]);
    }
    for (int i = 0; i < 10; i++)
        CHECK_EQ(sync_finish(&c[i]), 42);
    CHECK_EQ(pirn_once_is_done(&f.once), 1);
    CHECK_EQ(pirn_once_do(&f.once, request, &f.page, PIRN_NOW), 42);
    CHECK_EQ(atomic_load(&requests), 1);
    return 0;
}

START_TEST(s150_ten_callers_one_request)
{
    for (int i = 0; i < support_rounds(20); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, flight, NULL));
}
END_TEST

/* The one that makes the request is cancelled, or fails: the next makes it. */
static int again(void *arg)
{
    struct caller *c = arg;
    pirn_once *once = c->object;
    CHECK_EQ(pirn_once_is_done(once), 0);
    CHECK_EQ(pirn_once_do(once, again, c, PIRN_NEVER), -EDEADLK);
    atomic_fetch_add(&requests, 1);
    int rc = pirn_sleep(c->id == 0 ? PIRN_NEVER : pirn_after_ms(1));
    return rc < 0 ? rc : c->id == 1 ? -EIO : c->id;
}

static int failing(struct caller *c)
{
    return pirn_once_do(c->object, again, c, c->deadline);
}

static int failures(void *arg)
{
    (void)arg;
    static const int expected[] = {-ECANCELED, -EIO, 2, 2, -ETIMEDOUT, -ECANCELED, 2};
    pirn_once once = PIRN_ONCE_INIT;
    struct caller c[7];
    atomic_store(&requests, 0);
    for (int i = 0; i < 7; i++) {
        c[i] = (struct caller){.fn = failing, .object = &once, .deadline = PIRN_NEVER, .id = i};
        if (i == 4)
            c[i].deadline = pirn_after_ms(10);
        sync_start(&c[i], i % 3 == 2 && i != 5);
    }
    CHECK_EQ(sync_finish(&c[4]), -ETIMEDOUT);
    CHECK_OK(pirn_cancel(c[5].task, NULL));
    CHECK_EQ(sync_finish(&c[5]), -ECANCELED);
    CHECK_OK(pirn_cancel(c[0].task, NULL));
    for (int i = 0; i < 7; i++)
        if (i < 4 || i > 5)
            CHECK_EQ(sync_finish(&c[i]), expected[i]);
    CHECK_EQ(atomic_load(&requests), 3); /* 0 cancelled, 1 failed, 2 did it */
    CHECK_EQ(pirn_once_do(&once, NULL, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_once_do(NULL, again, NULL, PIRN_NEVER), -EINVAL);
    return 0;
}

START_TEST(s150_a_failure_is_tried_again_by_the_next)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, failures, NULL));
}
END_TEST

SUPPORT_MAIN("sync_guard", a115_released_on_every_way_out, s149_second_caller_is_not_stuck,
             s150_ten_callers_one_request, s150_a_failure_is_tried_again_by_the_next)
