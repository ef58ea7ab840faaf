/* wraps pthread_create */
/*
 * The moment in which a pinned task gets its thread, made long: what others do meanwhile. The
 * library's pthread_create comes through here.
 */
#include "tests/support.h"

enum {
    TASKS = 300 /* more than there are descriptors left over when one has been freed */
};

typedef int create_fn(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
create_fn __real_pthread_create, __wrap_pthread_create;

static pthread_t spawner; /* whose next thread, */
static atomic_int armed;  /* if this is set, is made by */
static create_fn *stand_in;

int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    int yes = 1;
    if (atomic_load(&armed) == 0 || !pthread_equal(spawner, pthread_self()) ||
        !atomic_compare_exchange_strong(&armed, &yes, 0))
        return __real_pthread_create(ret, attr, fn, arg);
    return stand_in(ret, attr, fn, arg);
}

static int spawn_pinned(pirn_task **ret_task, create_fn *create, pirn_fn fn, void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.flags = PIRN_PINNED;
    stand_in = create;
    spawner = pthread_self();
    atomic_store(&armed, create != NULL);
    support_blocking_begin();
    int rc = pirn_spawn_with(ret_task, &config, fn, arg);
    support_blocking_end();
    CHECK_EQ(atomic_load(&armed), 0);
    return rc;
}

static void wait_for(atomic_int *value)
{
    while (atomic_load(value) == 0)
        usleep(100);
}

/* ---- It is over, and its descriptor another's, before the spawn returns ------------------ */

static pthread_key_t key;
static atomic_int gone, spawned, runs;
static _Atomic(pirn_task *) place;

static void note_gone(void *value)
{
    (void)value;
    atomic_store(&gone, 1);
}

static int brief(void *arg)
{
    atomic_store(&place, pirn_current());
    CHECK_OK(pthread_setspecific(key, arg));
    return 0;
}

static int counts(void *arg)
{
    (void)arg;
    atomic_fetch_add(&runs, 1);
    return 5;
}

/* Pinned itself: it has no descriptors of its own, and the spawner's worker is busy. */
static int takes_its_place(void *arg)
{
    pirn_task *tasks[TASKS];
    bool found = false;
    (void)arg;
    wait_for(&gone);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = support_spawn(counts, NULL);
        found = found || tasks[i] == atomic_load(&place);
    }
    CHECK(found);
    atomic_store(&spawned, 1);
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(support_join(tasks[i]), 5);
    return 0;
}

static int create_and_outlive(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
                              void *arg)
{
    int rc = __real_pthread_create(ret, attr, fn, arg);
    CHECK_OK(rc);
    wait_for(&spawned);
    return 0;
}

static int outlives(void *arg)
{
    pirn_task *other;
    atomic_store(&gone, 0);
    atomic_store(&spawned, 0);
    atomic_store(&runs, 0);
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_spawn_with(&other, &config, takes_its_place, NULL));
    CHECK_OK(spawn_pinned(NULL, create_and_outlive, brief, arg));
    CHECK_OK(support_join(other));
    for (int i = 0; i < 10; i++)
        CHECK_OK(pirn_yield());
    CHECK_EQ(atomic_load(&runs), TASKS);
    return 0;
}

START_TEST(gone_before_its_spawn_returns)
{
    int something;
    CHECK_OK(pthread_key_create(&key, note_gone));
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, outlives, &something));
    CHECK_OK(pthread_key_delete(key));
}
END_TEST

/* ---- It finds its handle where its parent wanted that ------------------------------------ */

static atomic_int looked;

static int looks(void *arg)
{
    CHECK(*(pirn_task **)arg == pirn_current());
    atomic_store(&looked, 1);
    return 3;
}

static int create_and_wait(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
                           void *arg)
{
    int rc = __real_pthread_create(ret, attr, fn, arg);
    CHECK_OK(rc);
    wait_for(&looked);
    return 0;
}

static int knows_its_handle(void *arg)
{
    pirn_task *task = NULL;
    (void)arg;
    atomic_store(&looked, 0);
    CHECK_OK(spawn_pinned(&task, create_and_wait, looks, &task));
    CHECK_EQ(support_join(task), 3);
    return 0;
}

START_TEST(handle_comes_first)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, knows_its_handle, NULL));
}
END_TEST

static int refuse(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    (void)ret;
    (void)attr;
    (void)fn;
    (void)arg;
    return EAGAIN;
}

static int is_refused(void *arg)
{
    pirn_task *task = NULL;
    (void)arg;
    CHECK_EQ(spawn_pinned(&task, refuse, looks, NULL), -EAGAIN);
    CHECK(task == NULL);
    CHECK_EQ(spawn_pinned(NULL, refuse, looks, NULL), -EAGAIN);
    return 0;
}

START_TEST(no_thread_no_handle)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, is_refused, NULL));
}
END_TEST

SUPPORT_MAIN("pinned_start", gone_before_its_spawn_returns, handle_comes_first, no_thread_no_handle)
