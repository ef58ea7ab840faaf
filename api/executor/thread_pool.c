/*
 * Thread pools as objects; see thread_pool.h. And the default pool, which is made when it is first
 * used, under a mutex of its own; a fork's child forgets its parent's and makes its own.
 */
#include "api/executor/thread_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/cpus.h"
#include "runtime/debug.h"
#include "runtime/job.h"

enum {
    THREADS_MAX = 1024,
    DEFAULT_MAX = 32,
    DEFAULT_BEYOND_CPUS = 4
};

static pthread_mutex_t default_mutex = PTHREAD_MUTEX_INITIALIZER;
static pirn_thread_pool *default_pool; /* under it; a handle */

static unsigned default_threads(void)
{
    int n = pirn_cpus_granted("") + DEFAULT_BEYOND_CPUS;
    return n < DEFAULT_MAX ? (unsigned)n : DEFAULT_MAX;
}

int pirn_thread_pool_new(pirn_thread_pool **ret_pool, int threads)
{
    if (ret_pool == NULL || threads < 0 || threads > THREADS_MAX)
        return pirn_misuse(__func__, -EINVAL,
                           ret_pool == NULL ? MISUSE_NULL : "threads is out of range");
    pirn_thread_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return -ENOMEM;
    atomic_init(&pool->handles, 1);
    pool->threads = threads != 0 ? (unsigned)threads : default_threads();
    pool->pid = getpid();
    int rc = pirn_crew_new(&pool->crew, pool->threads, "pirn-pool");
    if (rc != 0)
        free(pool);
    else
        *ret_pool = pool;
    return rc;
}

pirn_thread_pool *pirn_thread_pool_retain(pirn_thread_pool *pool)
{
    if (pool != NULL)
        atomic_fetch_add_explicit(&pool->handles, 1, memory_order_relaxed);
    return pool;
}

void pirn_thread_pool_release(pirn_thread_pool *pool)
{
    /* acq_rel: everybody's last use comes before the free */
    if (pool == NULL || atomic_fetch_sub_explicit(&pool->handles, 1, memory_order_acq_rel) != 1)
        return;
    pirn_crew_stop(pool->crew);
    pirn_crew_unref(pool->crew);
    free(pool);
}

static int close_pool(pirn_thread_pool *pool, pirn_time deadline)
{
    struct work *work;
    if (pool->pid != getpid())
        return -ESHUTDOWN;
    pirn_crew_stop(pool->crew);
    int rc = pirn_crew_wait(pool->crew, deadline.ns);
    while (rc != 0 && (work = pirn_crew_withdraw_any(pool->crew)) != NULL)
        pirn_job_abandon(work);
    pirn_thread_pool_release(pool);
    return rc;
}

/* ---- The default pool ---------------------------------------------------------------------- */

static void forget_default(void) /* in a fork's child: the mutex's holder did not come along */
{
    pthread_mutex_init(&default_mutex, NULL);
    default_pool = NULL;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget_default);
}

static void lock_default(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&default_mutex);
}

int pirn_thread_pool_get(pirn_thread_pool **ret_pool, pirn_thread_pool *meant)
{
    int rc = 0;
    if (meant == NULL) {
        lock_default();
        if (default_pool == NULL)
            rc = pirn_thread_pool_new(&default_pool, 0);
        meant = pirn_thread_pool_retain(default_pool);
        pthread_mutex_unlock(&default_mutex);
    } else {
        pirn_thread_pool_retain(meant);
    }
    if (rc == 0)
        *ret_pool = meant;
    return rc;
}

void pirn_thread_pool_set_default(pirn_thread_pool *pool)
{
    pirn_thread_pool_retain(pool);
    lock_default();
    pirn_thread_pool *old = default_pool;
    default_pool = pool;
    pthread_mutex_unlock(&default_mutex);
    pirn_thread_pool_release(old);
}

/* Takes it for the caller, who closes it: 0, -EDEADLK (a job of its own called), or NULL: none. */
static int take_default(pirn_thread_pool **ret_pool, const struct crew *own)
{
    int rc = 0;
    lock_default();
    *ret_pool = default_pool;
    if (default_pool != NULL && default_pool->crew == own)
        rc = -EDEADLK; /* it stays, and can go at any time: nothing is looked at from here on */
    else
        default_pool = NULL;
    pthread_mutex_unlock(&default_mutex);
    return rc;
}

int pirn_thread_pool_close(pirn_thread_pool *pool, pirn_time deadline)
{
    const struct crew *own = pirn_job_crew();
    int rc = 0;
    if (pool == NULL)
        rc = take_default(&pool, own);
    else if (pool->crew == own)
        rc = -EDEADLK;
    return rc != 0 || pool == NULL ? rc : close_pool(pool, deadline);
}
