/*
 * The blocking pool: threads that run calls which would block a worker, and never submit I/O.
 *
 * A job lives on its caller's stack and belongs to the pool's mutex: QUEUED -> RUNNING -> DONE, or
 * out of the queue again if its caller gives up before a thread has taken it. A caller that gives
 * up later waits all the same: fn is using its argument.
 *
 * Threads are started when a job finds none idle, up to the cap, and end after ten idle seconds.
 */
#include <errno.h>
#include <pirn.h>
#include <string.h>

#include "io/clock.h"
#include "io/sys.h"
#include "runtime/debug.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"

enum {
    DEFAULT_THREADS = 64,
    IDLE_S = 10
};
enum job_state {
    JOB_QUEUED,
    JOB_RUNNING,
    JOB_DONE
};

struct job {
    struct job *next;
    pirn_fn fn;
    void *arg;
    int status;
    enum job_state state;
    struct waiter *waiters;
};

struct blocking_pool {
    pthread_mutex_t mutex;
    pthread_cond_t work; /* a job, or stopping */
    pthread_cond_t gone; /* a thread has left */
    struct job *first, **end;
    unsigned threads, idle, cap;
    bool stopping;
};

int pirn_blocking_init(struct pirn_runtime *rt)
{
    struct blocking_pool *p = mem_alloc(&rt->mem, sizeof(*p));
    pthread_condattr_t attr;
    if (p == NULL)
        return -ENOMEM;
    memset(p, 0, sizeof(*p));
    pthread_mutex_init(&p->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->work, &attr);
    pthread_cond_init(&p->gone, &attr);
    pthread_condattr_destroy(&attr);
    p->end = &p->first;
    p->cap = rt->config.max_blocking != 0 ? (unsigned)rt->config.max_blocking : DEFAULT_THREADS;
    rt->blocking = p;
    return 0;
}

void pirn_blocking_destroy(struct pirn_runtime *rt)
{
    struct blocking_pool *p = rt->blocking;
    pthread_mutex_lock(&p->mutex);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    while (p->threads != 0)
        pthread_cond_wait(&p->gone, &p->mutex);
    pthread_mutex_unlock(&p->mutex);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->gone);
    pthread_mutex_destroy(&p->mutex);
    mem_free(&rt->mem, p);
}

unsigned pirn_blocking_threads(struct pirn_runtime *rt)
{
    struct blocking_pool *p = rt->blocking;
    pthread_mutex_lock(&p->mutex);
    unsigned n = p->threads;
    pthread_mutex_unlock(&p->mutex);
    return n;
}

bool pirn_blocking_is_idle(struct pirn_runtime *rt, unsigned *ret_threads)
{
    struct blocking_pool *p = rt->blocking;
    pthread_mutex_lock(&p->mutex);
    *ret_threads = p->threads;
    bool idle = p->first == NULL && p->idle == p->threads;
    pthread_mutex_unlock(&p->mutex);
    return idle;
}

static void run_job(struct blocking_pool *p, struct job *job)
{
    struct wakeups wakeups = WAKEUPS_INIT;
    struct waiter *waiter;
    job->state = JOB_RUNNING;
    pthread_mutex_unlock(&p->mutex);
    int status = job->fn(job->arg);
    pthread_mutex_lock(&p->mutex);
    job->status = status;
    job->state = JOB_DONE;
    /* Its caller alone waits for it; claimed, it may be gone, and the job with it. */
    if ((waiter = pirn_waiter_pop(&job->waiters)) != NULL)
        pirn_waiter_claim(waiter, &wakeups);
    pthread_mutex_unlock(&p->mutex);
    pirn_wakeups_run(&wakeups);
    pthread_mutex_lock(&p->mutex);
}

/* Under the mutex: false when it is time to go. */
static bool wait_for_job(struct blocking_pool *p)
{
    struct timespec until = clock_timespec(clock_now() + (int64_t)IDLE_S * 1000000000);
    int rc = 0;
    p->idle++;
    while (p->first == NULL && !p->stopping && rc == 0)
        rc = pthread_cond_timedwait(&p->work, &p->mutex, &until);
    p->idle--;
    return p->first != NULL;
}

static void *pool_main(void *arg)
{
    struct blocking_pool *p = arg;
    pthread_mutex_lock(&p->mutex);
    while (p->first != NULL || wait_for_job(p)) {
        struct job *job = p->first;
        p->first = job->next;
        if (p->first == NULL)
            p->end = &p->first;
        run_job(p, job);
    }
    p->threads--;
    pthread_cond_signal(&p->gone);
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

/* Under the mutex: a thread for one more job, if it takes one. */
static int have_thread(struct blocking_pool *p, unsigned queued)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (p->idle >= queued || p->threads == p->cap) {
        pthread_cond_signal(&p->work);
        return 0;
    }
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int rc = sys_pthread_create(&thread, &attr, pool_main, p);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        p->threads++;
    return p->threads != 0 ? 0 : -EAGAIN; /* fewer threads than wanted will do */
}

static unsigned queue_length(const struct blocking_pool *p)
{
    unsigned n = 0;
    for (const struct job *j = p->first; j != NULL; j = j->next)
        n++;
    return n;
}

static bool remove_queued(struct blocking_pool *p, struct job *job)
{
    struct job **link = &p->first;
    while (*link != NULL && *link != job)
        link = &(*link)->next;
    if (*link == NULL)
        return false;
    *link = job->next;
    if (job->next == NULL)
        p->end = link;
    return true;
}

/* The caller has given up: out of the queue, or to the end with the job. */
static int give_up(struct blocking_pool *p, struct wait *w, struct job *job, int why)
{
    pthread_mutex_lock(&p->mutex);
    pirn_waiter_unlink(&job->waiters, w->waiter);
    bool removed = job->state == JOB_QUEUED && remove_queued(p, job);
    pthread_mutex_unlock(&p->mutex);
    if (removed)
        return why;
    if (why == -ECANCELED) /* it happened, so the cancel stays pending */
        pirn_wait_keep_cancel(w);
    pirn_task_shield(w->task);
    for (;;) {
        w->self = pirn_self();
        w->gen = cell_gen(cell_load(w->cell));
        pthread_mutex_lock(&p->mutex);
        bool done = job->state == JOB_DONE;
        if (!done)
            pirn_wait_link(w, &job->waiters);
        pthread_mutex_unlock(&p->mutex);
        if (done)
            break;
        if (pirn_wait_park(w, "blocking", INT64_MAX) != 0) {
            pthread_mutex_lock(&p->mutex); /* shutdown's failing: the job still has our memory */
            pirn_waiter_unlink(&job->waiters, w->waiter);
            pthread_mutex_unlock(&p->mutex);
            pirn_wait_give_way();
        }
    }
    pirn_task_unshield(w->task);
    return 0;
}

int pirn_blocking(pirn_fn fn, void *arg, int *ret_status, pirn_time deadline)
{
    struct job job = {.fn = fn, .arg = arg, .state = JOB_QUEUED};
    struct wait w;
    if (fn == NULL)
        return -EINVAL;
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    if (w.task == NULL)
        return pirn_misuse("pirn_blocking", -EPERM);
    struct blocking_pool *p = w.task->rt->blocking;
    pthread_mutex_lock(&p->mutex);
    *p->end = &job;
    p->end = &job.next;
    rc = have_thread(p, queue_length(p));
    if (rc == 0)
        pirn_wait_link(&w, &job.waiters);
    else
        remove_queued(p, &job);
    pthread_mutex_unlock(&p->mutex);
    if (rc != 0)
        return rc;
    rc = pirn_wait_park(&w, "blocking", deadline.ns);
    if (rc != 0)
        rc = give_up(p, &w, &job, rc);
    if (rc == 0 && ret_status != NULL)
        *ret_status = job.status;
    return rc;
}
