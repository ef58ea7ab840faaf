/*
 * Jobs of thread pools, as programs submit them.
 *
 * A map is so many attached jobs as the pool has threads, each of which takes the next index from a
 * counter until there is none, or one has failed. Those that find no thread before the others are
 * through are taken back.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/executor/thread_pool.h"
#include "runtime/debug.h"
#include "runtime/job.h"
#include "runtime/self.h"
#include "runtime/wait.h"

static int submit(const char *call, pirn_thread_pool *pool, pirn_job **ret_job,
                  const pirn_job_config *config, pirn_fn fn, void *arg)
{
    static const pirn_job_config plain = PIRN_JOB_CONFIG_INIT;
    pirn_job *unwanted = NULL;
    if (config == NULL)
        config = &plain;
    if (fn == NULL || config->size != sizeof(*config))
        return pirn_misuse(call, -EINVAL,
                           misuse_of_config(config->size, sizeof(*config), MISUSE_NULL));
    int rc = pirn_thread_pool_get(&pool, pool);
    if (rc != 0)
        return rc;
    rc = pirn_job_submit_handle(ret_job != NULL ? ret_job : &unwanted, pool->crew, fn, arg,
                                config->arg_drop);
    pirn_thread_pool_release(pool);
    if (rc == -ESHUTDOWN && config->arg_drop != NULL)
        config->arg_drop(arg);
    if (unwanted != NULL)
        pirn_awaitable_unref(unwanted);
    return rc;
}

int pirn_thread_pool_submit_with(pirn_thread_pool *pool, pirn_job **ret_job,
                                 const pirn_job_config *config, pirn_fn fn, void *arg)
{
    return submit(__func__, pool, ret_job, config, fn, arg);
}

int pirn_thread_pool_submit(pirn_thread_pool *pool, pirn_job **ret_job, pirn_fn fn, void *arg)
{
    return submit(__func__, pool, ret_job, NULL, fn, arg);
}

int pirn_to_thread(pirn_fn fn, void *arg, int *ret_status, pirn_time deadline)
{
    pirn_thread_pool *pool;
    if (fn == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = pirn_thread_pool_get(&pool, NULL);
    if (rc != 0)
        return rc;
    rc = pirn_job_call(pool->crew, fn, arg, ret_status, deadline.ns);
    pirn_thread_pool_release(pool);
    return rc;
}

bool pirn_job_is_running(const pirn_job *job)
{
    const struct object *o = (const struct object *)(const void *)job;
    return job != NULL && job->kind == PIRN_KIND_JOB && !awaitable_has_ended(job) &&
           o->ops->has_begun(o);
}

bool pirn_job_is_cancelled(void)
{
    struct job *job = pirn_self()->job;
    return job != NULL && awaitable_has_ended(&job->base.base);
}

/* ---- Map ----------------------------------------------------------------------------------- */

/* Field    who may touch it
 * next     anybody: the next index
 * failure  anybody: the first failure, 0 until then, 1: nobody shall go on (release; acquire)
 * ran      anybody: how many calls have returned
 * others   constant */
struct map {
    _Atomic size_t next, ran;
    _Atomic int failure;
    size_t n;
    int (*fn)(size_t i, void *arg);
    void *arg;
};

static void stop(struct map *m, int why)
{
    int none = 0;
    atomic_compare_exchange_strong_explicit(&m->failure, &none, why, memory_order_relaxed,
                                            memory_order_relaxed);
}

static bool is_through(const struct map *m)
{
    return atomic_load_explicit(&m->next, memory_order_relaxed) >= m->n ||
           atomic_load_explicit(&m->failure, memory_order_relaxed) != 0;
}

static int run(void *arg)
{
    struct map *m = arg;
    while (!is_through(m)) {
        size_t i = atomic_fetch_add_explicit(&m->next, 1, memory_order_relaxed);
        if (i >= m->n)
            break;
        int rc = m->fn(i, m->arg);
        atomic_fetch_add_explicit(&m->ran, 1, memory_order_relaxed);
        if (rc < 0)
            stop(m, rc);
    }
    return 0;
}

/* Waits for all of them, or takes them back: 0, or why it was stopped. */
static int finish(struct wait *w, struct map *m, struct job **jobs, size_t count, int64_t deadline)
{
    int why = 0;
    for (size_t i = 0; i < count; i++) {
        int rc = is_through(m) ? -EAGAIN
                               : pirn_awaitable_await(&jobs[i]->base.base, NULL, deadline, false);
        if (rc != 0 && rc != -EAGAIN) {
            why = rc;
            stop(m, 1);
        }
        if (rc != 0)
            pirn_job_give_up(w, jobs[i], NULL, 0);
        else if (jobs[i]->unrun)
            stop(m, -ESHUTDOWN);
        pirn_awaitable_unref(&jobs[i]->base.base);
    }
    return why;
}

int pirn_thread_pool_map(pirn_thread_pool *pool, size_t n, int (*fn)(size_t i, void *arg),
                         void *arg, pirn_time deadline)
{
    struct map m = {.n = n, .fn = fn, .arg = arg};
    struct wait w;
    size_t count = 0;
    if (fn == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = pirn_wait_enter(&w);
    if (rc == 0)
        rc = pirn_thread_pool_get(&pool, pool);
    if (rc != 0)
        return rc;
    size_t wanted = n < pool->threads ? n : pool->threads;
    struct job **jobs = calloc(wanted + 1, sizeof(*jobs));
    if (jobs == NULL)
        rc = -ENOMEM;
    while (rc == 0 && count < wanted &&
           (rc = pirn_job_submit(&jobs[count], pool->crew, run, &m, NULL, true)) == 0)
        count++;
    pirn_thread_pool_release(pool);
    if (count != 0)
        rc = 0; /* fewer will do */
    int why = finish(&w, &m, jobs, count, deadline.ns);
    free(jobs);
    int failure = atomic_load_explicit(&m.failure, memory_order_relaxed);
    if (failure < 0 || atomic_load_explicit(&m.ran, memory_order_relaxed) == n) {
        if (why == -ECANCELED) /* it happened, so the cancel stays pending */
            pirn_wait_keep_cancel(&w);
        return failure < 0 ? failure : rc;
    }
    return why != 0 ? why : rc;
}
