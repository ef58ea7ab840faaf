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

/* The next thread that the caller makes is made so. */
static void expect(create_fn *create)
{
    stand_in = create;
    spawner = pthread_self();
    atomic_store(&armed, 1);
}

static int spawn_pinned(pirn_task **ret_task, create_fn *create, pirn_fn fn, void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.flags = PIRN_PINNED;
    expect(create);
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

/* ---- It gets none, and somebody has found it, and awaits it ------------------------------ */

static pirn_task *finder;
static atomic_int found_it;

static int finds_and_awaits(void *arg)
{
    pirn_task *all[8], *task = NULL;
    int status = 0;
    wait_for(arg);
    while (task == NULL) {
        int n = pirn_tasks(all, 8);
        CHECK_LE(n, 8);
        for (int i = 0; i < n; i++) {
            char name[32];
            CHECK_OK(pirn_name(all[i], name, sizeof(name)));
            if (strcmp(name, "wanted") == 0)
                task = pirn_retain(all[i]);
            CHECK_OK(pirn_release(all[i]));
        }
    }
    atomic_store(&found_it, 1);
    CHECK_OK(pirn_await(task, &status, PIRN_NEVER));
    CHECK_OK(pirn_release(task));
    return status;
}

static atomic_int tried;

static int refuse_once_awaited(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
                               void *arg)
{
    atomic_store(&tried, 1);
    wait_for(&found_it);
    while (!support_is_waiting(finder))
        usleep(100);
    return refuse(ret, attr, fn, arg);
}

static int is_awaited(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_scope *scope = NULL;
    bool in_scope = *(bool *)arg;
    atomic_store(&found_it, 0);
    atomic_store(&tried, 0);
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_spawn_with(&finder, &config, finds_and_awaits, &tried));
    if (in_scope)
        CHECK_OK(pirn_scope_open(&scope, 0));
    expect(refuse_once_awaited);
    config.name = "wanted";
    support_blocking_begin();
    CHECK_EQ(in_scope ? pirn_scope_spawn_with(scope, &config, looks, NULL, PIRN_NEVER)
                      : pirn_spawn_with(NULL, &config, looks, NULL),
             -EAGAIN);
    support_blocking_end();
    if (in_scope) /* it was no child that failed */
        CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
    CHECK_EQ(support_join(finder), -EAGAIN);
    return 0;
}

START_TEST(refused_and_awaited)
{
    for (int in_scope = 0; in_scope < 2; in_scope++) {
        bool yes = in_scope != 0;
        FOR_WORKERS(w)
        CHECK_OK(support_run(w, is_awaited, &yes));
    }
}
END_TEST

SUPPORT_MAIN("pinned_start", gone_before_its_spawn_returns, handle_comes_first, no_thread_no_handle,
             refused_and_awaited)
