/*
 * The process pool: a queue of jobs, worker processes, and a thread, the carrier, that moves bytes
 * between them.
 *
 * The carrier, round by round
 *   1. gives idle workers the oldest jobs that have not been given up
 *   2. waits for whatever comes: a call (an eventfd), a worker's socket, a worker's death (its
 *      pidfd; the socket alone would not do, for a process that the job has forked may hold it
 *      open)
 *   3. moves what can be moved, never waiting for one worker; tells the ends of jobs
 *
 * When a worker dies, its job and all queued ones end with -EPIPE and the pool takes no more; jobs
 * that run elsewhere come to their end. A new worker would be easy to have, but what the job has
 * done to the world before it died is not known, and the next one may die of the same: that is for
 * the program to judge, with a new pool.
 *
 * The mutex guards the queue and the flags. It is held while the eventfd is written, so that
 * whoever has the queue's last word is through with the pool before a close can free it. The
 * workers are the carrier's alone.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api/executor/process.h"
#include "io/sys.h"
#include "runtime/cpus.h"
#include "runtime/debug.h"
#include "runtime/wait.h"

enum {
    WORKERS_MAX = 1024,
    EXIT_PATIENCE_MS = 1000 /* for a worker without a job to notice that it is not needed */
};

struct pirn_process_pool {
    pthread_mutex_t lock;
    struct process_job *first, *last; /* queued; under the lock, as are: */
    bool closing, killing, broken, over;
    struct waiter *closer;

    int call_fd; /* constant, as are: */
    pid_t pid;   /* whose pool it is: not a fork's child's */
    unsigned count;
    struct pollfd *polls;            /* [0] call_fd, then two for each worker */
    struct worker_process workers[]; /* the carrier's */
};

/* ---- Submitting -------------------------------------------------------------------------- */

static void call_carrier(pirn_process_pool *pool) /* under the lock */
{
    const uint64_t one = 1;
    while (sys_write(pool->call_fd, &one, sizeof(one)) == -EINTR) {}
}

int pirn_process_enqueue(pirn_process_pool *pool, struct process_job *job)
{
    if (pool->pid != getpid())
        return -ESHUTDOWN;
    pthread_mutex_lock(&pool->lock);
    int rc = pool->closing ? -ESHUTDOWN : pool->broken ? -EPIPE : 0;
    if (rc == 0) {
        pirn_awaitable_ref(&job->base.base);
        if (pool->first == NULL)
            pool->first = job;
        else
            pool->last->next = job;
        pool->last = job;
        call_carrier(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

/* The oldest job that is still wanted, begun; NULL: there is none. */
static struct process_job *take_job(pirn_process_pool *pool)
{
    for (;;) {
        pthread_mutex_lock(&pool->lock);
        struct process_job *job = pool->first;
        if (job != NULL)
            pool->first = job->next;
        pthread_mutex_unlock(&pool->lock);
        if (job == NULL || pirn_process_job_begin(job))
            return job;
        pirn_process_job_release(job);
    }
}

/* ---- The carrier's workers --------------------------------------------------------------- */

static void send_kill(const struct worker_process *p)
{
    if (syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0) != 0 && errno == EPERM)
        pirn_process_helper_kill(p->pidfd); /* whose user and privileges the worker has */
}

/* Ends the process, which has no job that counts any more, and sees it dead. */
static void end_worker(struct worker_process *p, int patience_ms)
{
    struct pollfd dead = {p->pidfd, POLLIN, 0};
    sys_shutdown(p->socket, SHUT_RDWR); /* even if a fork of ours has a copy */
    if (patience_ms == 0 || sys_poll(&dead, 1, patience_ms) != 1)
        send_kill(p);
    while (sys_poll(&dead, 1, EXIT_PATIENCE_MS) != 1)
        send_kill(p); /* the helper may have been out of descriptors */
    sys_close(p->socket);
    sys_close(p->pidfd);
    p->socket = p->pidfd = -1;
}

/* The worker is dead, or shall be: the pool is broken. */
static void lose_worker(pirn_process_pool *pool, struct worker_process *p)
{
    struct process_job *job = p->job;
    p->job = NULL;
    end_worker(p, 0);
    pthread_mutex_lock(&pool->lock);
    pool->broken = true;
    pthread_mutex_unlock(&pool->lock);
    if (job != NULL)
        pirn_process_job_end(job, -EPIPE);
    while ((job = take_job(pool)) != NULL)
        pirn_process_job_end(job, -EPIPE);
}

/* Moves what can be moved. died: its pidfd has said so, before this look at its socket. */
static void step(pirn_process_pool *pool, struct worker_process *p, bool died, bool speaks)
{
    int rc = -EAGAIN;
    if (p->job != NULL)
        rc = pirn_process_carry(p);
    else if (speaks) /* without having been asked: an end of file, or worse */
        rc = -EPIPE;
    if (rc == 0) {
        struct process_job *job = p->job;
        p->job = NULL;
        pirn_process_job_end(job, job->reply.error);
    }
    if (rc == -EPIPE || died)
        lose_worker(pool, p);
}

static void hand_out(pirn_process_pool *pool)
{
    for (unsigned i = 0; i < pool->count; i++) {
        struct worker_process *p = &pool->workers[i];
        while (p->socket >= 0 && p->job == NULL) {
            p->job = take_job(pool);
            if (p->job == NULL)
                return;
            p->done = 0;
            p->sent = false;
            step(pool, p, false, false);
        }
    }
}

/* ---- The carrier ------------------------------------------------------------------------- */

static void wait_for_anything(pirn_process_pool *pool)
{
    struct pollfd *at = pool->polls;
    *at++ = (struct pollfd){pool->call_fd, POLLIN, 0};
    for (unsigned i = 0; i < pool->count; i++) {
        const struct worker_process *p = &pool->workers[i];
        short events = p->job != NULL && !p->sent ? POLLIN | POLLOUT : POLLIN;
        *at++ = (struct pollfd){p->socket, events, 0}; /* -1 is passed over */
        *at++ = (struct pollfd){p->pidfd, POLLIN, 0};
    }
    if (sys_poll(pool->polls, (nfds_t)(at - pool->polls), -1) < 0) {
        for (at = pool->polls; at < &pool->polls[1 + 2 * pool->count]; at++)
            at->revents = 0;
    }
}

/* True: there is nothing more to do. */
static bool may_end(pirn_process_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool killing = pool->killing;
    bool ends = pool->closing && pool->first == NULL;
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->count; i++) {
        if (killing && pool->workers[i].socket >= 0)
            lose_worker(pool, &pool->workers[i]);
        ends = ends && pool->workers[i].job == NULL;
    }
    return ends || killing;
}

static void end_workers(pirn_process_pool *pool)
{
    for (unsigned i = 0; i < pool->count; i++) {
        if (pool->workers[i].socket >= 0)
            sys_shutdown(pool->workers[i].socket, SHUT_RDWR); /* all may begin to end */
    }
    for (unsigned i = 0; i < pool->count; i++) {
        if (pool->workers[i].socket >= 0)
            end_worker(&pool->workers[i], EXIT_PATIENCE_MS);
    }
    pirn_process_helper_sync();
}

static void *carrier_main(void *arg)
{
    pirn_process_pool *pool = arg;
    struct wakeups wakeups = WAKEUPS_INIT;
    struct waiter *waiter;
    sys_prctl(PR_SET_NAME, (unsigned long)(uintptr_t) "pirn-carrier");
    for (;;) {
        uint64_t calls;
        hand_out(pool);
        if (may_end(pool))
            break;
        wait_for_anything(pool);
        sys_read(pool->call_fd, &calls, sizeof(calls));
        for (unsigned i = 0; i < pool->count; i++) {
            const struct pollfd *at = &pool->polls[1 + 2 * i];
            if (at[0].revents != 0 || at[1].revents != 0)
                step(pool, &pool->workers[i], at[1].revents != 0, at[0].revents != 0);
        }
    }
    end_workers(pool);
    pthread_mutex_lock(&pool->lock);
    pool->over = true; /* the pool is the closer's as soon as the mutex is free */
    while ((waiter = pirn_waiter_pop(&pool->closer)) != NULL)
        pirn_waiter_claim(waiter, &wakeups);
    pthread_mutex_unlock(&pool->lock);
    pirn_wakeups_run(&wakeups);
    return NULL;
}

/* ---- Making one -------------------------------------------------------------------------- */

static int start_carrier(pirn_process_pool *pool)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all); /* the program's signals are not for it */
    sys_sigprocmask(SIG_SETMASK, &all, &old);
    int rc = sys_pthread_create(&thread, &attr, carrier_main, pool);
    sys_sigprocmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

static void discard(pirn_process_pool *pool)
{
    if (pool->call_fd >= 0)
        sys_close(pool->call_fd);
    pthread_mutex_destroy(&pool->lock);
    free(pool->polls);
    free(pool);
}

static int spawn_workers(pirn_process_pool *pool, unsigned count)
{
    int rc = 0;
    for (; pool->count < count && rc == 0; pool->count += rc == 0) {
        struct worker_process *p = &pool->workers[pool->count];
        rc = pirn_process_helper_spawn(&p->socket, &p->pidfd);
    }
    return rc;
}

static int make(pirn_process_pool **ret_pool, int workers)
{
    int rc = pirn_process_helper_start();
    if (rc != 0)
        return rc;
    size_t count = (size_t)(workers != 0 ? workers : pirn_cpus_granted(""));
    pirn_process_pool *pool = calloc(1, sizeof(*pool) + count * sizeof(pool->workers[0]));
    if (pool == NULL)
        return -ENOMEM;
    pthread_mutex_init(&pool->lock, NULL);
    pool->pid = getpid();
    pool->polls = calloc(1 + 2 * count, sizeof(*pool->polls));
    pool->call_fd = sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->polls == NULL)
        rc = -ENOMEM;
    else if (pool->call_fd < 0)
        rc = pool->call_fd;
    else
        rc = spawn_workers(pool, (unsigned)count);
    if (rc == 0)
        rc = start_carrier(pool);
    if (rc != 0) {
        end_workers(pool);
        discard(pool);
        return rc;
    }
    *ret_pool = pool;
    return 0;
}

struct order {
    pirn_process_pool *pool;
    int workers;
};

static int make_ordered(void *arg)
{
    struct order *order = arg;
    return make(&order->pool, order->workers);
}

int pirn_process_pool_new(pirn_process_pool **ret_pool, int workers)
{
    struct order order = {NULL, workers};
    int rc = 0;
    if (ret_pool == NULL || workers < 0 || workers > WORKERS_MAX)
        return pirn_misuse(__func__, -EINVAL,
                           ret_pool == NULL ? MISUSE_NULL : "workers is out of range");
    if (pirn_current() == NULL)
        return make(ret_pool, workers);
    /* The helper's answers are waited for, and not by a worker. */
    bool shielded = pirn_shield_enter() == 0;
    int why = pirn_blocking(make_ordered, &order, &rc, PIRN_NEVER);
    if (shielded)
        pirn_shield_leave();
    if (why == 0 && rc == 0)
        *ret_pool = order.pool;
    return why != 0 ? why : rc;
}

/* ---- Closing ----------------------------------------------------------------------------- */

static bool is_over(pirn_process_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool over = pool->over;
    pthread_mutex_unlock(&pool->lock);
    return over;
}

/* Waits for the carrier's end: 0, or why it stopped waiting. */
static int wait_over(pirn_process_pool *pool, pirn_time deadline)
{
    struct wait w;
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&pool->lock);
    bool over = pool->over;
    if (!over)
        pirn_wait_link(&w, &pool->closer);
    pthread_mutex_unlock(&pool->lock);
    if (over)
        return 0;
    rc = pirn_wait_park(&w, "process pool", deadline.ns);
    pthread_mutex_lock(&pool->lock);
    pirn_waiter_unlink(&pool->closer, w.waiter);
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

static void begin_close(pirn_process_pool *pool, bool killing)
{
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pool->killing = killing;
    call_carrier(pool);
    pthread_mutex_unlock(&pool->lock);
}

int pirn_process_pool_close(pirn_process_pool *pool, pirn_time deadline)
{
    if (pool == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (pool->pid != getpid())
        return -ESHUTDOWN;
    begin_close(pool, false);
    int why = wait_over(pool, deadline);
    if (why != 0) {
        bool shielded = pirn_shield_enter() == 0;
        begin_close(pool, true);
        while (!is_over(pool)) {
            if (wait_over(pool, PIRN_NEVER) != 0)
                pirn_wait_give_way(); /* in a shutdown past its grace */
        }
        if (shielded)
            pirn_shield_leave();
    }
    discard(pool);
    return why;
}
