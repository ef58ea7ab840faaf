/*
 * What the tests of thread pools share: a job that is held until it may go, and says what becomes
 * of it.
 */
#ifndef PIRN_TESTS_THREAD_JOBS_H
#define PIRN_TESTS_THREAD_JOBS_H

#include "tests/support.h"

#include <dirent.h>
#include <stdio.h>

struct held {
    atomic_int begun, release, ended, dropped, value_dropped;
    atomic_int saw_cancel; /* pirn_job_is_cancelled at its end */
    int result;
};

static inline void drop_value(void *value)
{
    atomic_fetch_add(&((struct held *)value)->value_dropped, 1);
}

/* Its value is the struct itself. */
static inline int hold(void *arg)
{
    struct held *h = arg;
    CHECK_EQ(pirn_on_worker(), 0);
    atomic_fetch_add(&h->begun, 1);
    while (!atomic_load(&h->release))
        support_pause_ms(1);
    CHECK_EQ(atomic_load(&h->dropped), 0);
    CHECK_OK(pirn_set_value(h, drop_value));
    atomic_store(&h->saw_cancel, pirn_job_is_cancelled());
    atomic_fetch_add(&h->ended, 1);
    return h->result;
}

static inline void drop_arg(void *arg)
{
    atomic_fetch_add(&((struct held *)arg)->dropped, 1);
}

static inline pirn_thread_pool *new_pool(int threads)
{
    pirn_thread_pool *pool = NULL;
    CHECK_OK(pirn_thread_pool_new(&pool, threads));
    return pool;
}

static inline pirn_job *submit(pirn_thread_pool *pool, pirn_fn fn, void *arg)
{
    pirn_job *job = NULL;
    CHECK_OK(pirn_thread_pool_submit(pool, &job, fn, arg));
    CHECK_EQ(pirn_kind_of(job), PIRN_KIND_JOB);
    return job;
}

static inline pirn_job *submit_held(pirn_thread_pool *pool, struct held *h)
{
    pirn_job *job = NULL;
    pirn_job_config config = PIRN_JOB_CONFIG_INIT;
    config.arg_drop = drop_arg;
    CHECK_OK(pirn_thread_pool_submit_with(pool, &job, &config, hold, h));
    return job;
}

/* How many threads of pools are listed. A list ends early if the thread it has come to ends just
 * then. */
static inline int listed_pool_threads(void)
{
    char path[300], name[32];
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
        FILE *file = fopen(path, "re");
        n += file && fgets(name, sizeof(name), file) && strcmp(name, "pirn-pool\n") == 0;
        if (file)
            fclose(file);
    }
    closedir(dir);
    return n;
}

/* How many threads of pools there are (the runtime may start others as it sees fit): once three
 * looks agree. */
static inline int pool_threads(void)
{
    int n = listed_pool_threads();
    for (int same = 1; same < 3;) {
        int now = listed_pool_threads();
        same = now == n ? same + 1 : 1;
        n = now;
    }
    return n;
}

/* Waits until they have vanished. */
static inline void no_pool_threads(void)
{
    for (int i = 0; i < 60000 && pool_threads() != 0; i++)
        support_pause_ms(1);
    CHECK_EQ(pool_threads(), 0);
}

static inline int count_one(void *arg)
{
    return atomic_fetch_add((atomic_int *)arg, 1);
}

#endif
