/* wraps pirn_sys_openat */
/*
 * The census of a process that has come to rest (quiet.c) cannot open what tells of a thread, as
 * there are no descriptors left, say: then the thread is there, for all it knows.
 */
#include "sched/tsan.h"
#include "tests/asyncio/deadlock.h"

#include "io/sys.h"

#ifdef PIRN_TSAN /* it has a thread of its own: there is no report */

int main(void)
{
    return 77;
}

#else

int __real_pirn_sys_openat(int dir, const char *path, int flags, mode_t mode);
int __wrap_pirn_sys_openat(int dir, const char *path, int flags, mode_t mode);

static char hidden[32]; /* the thread's, once it is */
static atomic_int known, tries;

int __wrap_pirn_sys_openat(int dir, const char *path, int flags, mode_t mode)
{
    if (atomic_load(&known) == 0 || strcmp(path, hidden) != 0)
        return __real_pirn_sys_openat(dir, path, flags, mode);
    atomic_fetch_add(&tries, 1);
    return -EMFILE;
}

/* Sets it when it has been looked for; and if nobody looks, all the same. */
static void *set_later(void *future)
{
    for (int i = 0; i < 10000 && atomic_load(&tries) < 5; i++)
        usleep(1000);
    CHECK_OK(pirn_future_set(future, 7, NULL));
    return NULL;
}

static int awaits(void *future)
{
    int status = -12345;
    CHECK_OK(pirn_await(future, &status, PIRN_NEVER));
    return status;
}

static void *set_unseen(void *future)
{
    snprintf(hidden, sizeof(hidden), "%d/stat", gettid());
    atomic_store(&known, 1);
    return set_later(future);
}

static void in_a_child(int workers)
{
    pirn_config config = PIRN_CONFIG_INIT;
    pirn_future *future;
    int status = -12345;
    config.workers = workers;
    config.flags = PIRN_DEADLOCK_ENDS;
    CHECK_OK(pirn_future_new(&future));
    pthread_t thread = support_thread(set_unseen, future);
    CHECK_OK(pirn_run_with(&config, awaits, future, &status));
    CHECK_EQ(status, 7);
    support_thread_join(thread);
    CHECK_OK(pirn_release(future));
}

START_TEST(a_thread_that_cannot_be_looked_at_is_there)
{
    FOR_WORKERS(w)
    {
        struct child c;
        child_start(&c, in_a_child, w);
        child_read(&c, -1);
        child_end(&c, false);
    }
}
END_TEST

SUPPORT_MAIN("census", a_thread_that_cannot_be_looked_at_is_there)

#endif
