/*
 * The default pool, closed by a job of its own while somebody else closes it by force: this
 * program's pthread_mutex_unlock comes before the libc's, and lets that happen where the job has
 * just let go of the mutex.
 */
#include "sched/tsan.h"
#include "tests/asyncio/thread_jobs.h"

#include <dlfcn.h>

#ifdef PIRN_TSAN /* there mutexes are the sanitizer's */

int main(void)
{
    return 77;
}

#else

static _Thread_local bool waits_after_unlock;
static atomic_int unlocked, closed;

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    static int (*real)(pthread_mutex_t *);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
    int rc = real(mutex);
    if (waits_after_unlock) {
        waits_after_unlock = false;
        atomic_store(&unlocked, 1);
        while (!atomic_load(&closed))
            support_pause_ms(1);
    }
    return rc;
}

static int close_own(void *arg)
{
    (void)arg;
    waits_after_unlock = true;
    return pirn_thread_pool_close(NULL, PIRN_NEVER);
}

static int closes_beside(void *arg)
{
    int status = 0;
    (void)arg;
    atomic_store(&unlocked, 0);
    atomic_store(&closed, 0);
    pirn_job *job = submit(NULL, close_own, NULL);
    support_until(&unlocked, 1);
    CHECK_EQ(pirn_thread_pool_close(NULL, PIRN_NOW), -ETIMEDOUT);
    atomic_store(&closed, 1);
    CHECK_OK(pirn_await(job, &status, PIRN_NEVER));
    CHECK_EQ(status, -EDEADLK);
    return pirn_release(job);
}

START_TEST(the_default_pool_closed_from_within)
{
    CHECK_OK(closes_beside(NULL));
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, closes_beside, NULL));
}
END_TEST

SUPPORT_MAIN("pool_close", the_default_pool_closed_from_within)

#endif
