/*
 * Jobs; see job.h.
 */
#include "runtime/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/debug.h"
#include "runtime/self.h"
#include "runtime/wait.h"

static struct job *job_of_work(struct work *work)
{
    return (struct job *)(void *)((char *)work - offsetof(struct job, work));
}

static void drop_arg(struct job *job)
{
    if (job->arg_drop != NULL)
        job->arg_drop(job->arg);
}

/* On a thread of the crew. */
static void run(struct work *work)
{
    struct job *job = job_of_work(work);
    struct self *self = pirn_self();
    self->job = job;
    atomic_store_explicit(&job->begun, true, memory_order_relaxed);
    int status = job->fn(job->arg);
    self->job = NULL;
    drop_arg(job);
    if (pirn_object_settle_and_unref(&job->base, status, job->value, job->value_drop) == 0)
        return;
    if (job->value_drop != NULL)
        job->value_drop(job->value); /* cancelled meanwhile */
    pirn_awaitable_unref(&job->base.base);
}

void pirn_job_abandon(struct work *work)
{
    struct job *job = job_of_work(work);
    job->unrun = true;
    drop_arg(job);
    pirn_object_settle(&job->base, -ECANCELED, NULL, NULL);
    pirn_awaitable_unref(&job->base.base);
}

static int cancel(struct object *o, const char *reason)
{
    struct job *job = (struct job *)(void *)o;
    (void)reason;
    if (!pirn_crew_withdraw(job->crew, &job->work))
        return pirn_object_settle(o, -ECANCELED, NULL, NULL);
    pirn_job_abandon(&job->work);
    return 0;
}

static bool has_begun(const struct object *o)
{
    const struct job *job = (const struct job *)(const void *)o;
    return atomic_load_explicit(&job->begun, memory_order_relaxed);
}

static void free_job(struct object *o)
{
    struct job *job = (struct job *)(void *)o;
    pirn_crew_unref(job->crew);
    free(job->locals);
    free(job);
}

/* Of the task or job that calls; NULL: none is set. */
static void **callers_locals(void)
{
    struct pirn_task *t = pirn_current_task();
    struct task_extra *e = t != NULL ? task_extra(t) : NULL;
    if (t == NULL)
        return pirn_job_locals();
    return e != NULL ? e->locals : NULL;
}

/* NULL: no memory. */
static struct job *new_job(struct crew *crew, pirn_fn fn, void *arg, void (*arg_drop)(void *arg),
                           bool attached)
{
    static const struct object_ops ops = {cancel, free_job, NULL, false, has_begun},
                                   attached_ops = {cancel, free_job, NULL, true, has_begun};
    void **locals = callers_locals();
    struct job *job = calloc(1, sizeof(*job));
    if (job != NULL && locals != NULL)
        job->locals = malloc(LOCALS_MAX * sizeof(*locals));
    if (job == NULL || (locals != NULL && job->locals == NULL)) {
        free(job);
        return NULL;
    }
    if (locals != NULL)
        memcpy(job->locals, locals, LOCALS_MAX * sizeof(*locals));
    pirn_object_init(&job->base, PIRN_KIND_JOB, attached ? &attached_ops : &ops);
    job->work.run = run;
    job->crew = crew;
    job->fn = fn;
    job->arg = arg;
    job->arg_drop = arg_drop;
    pirn_crew_ref(crew);
    return job;
}

/* If it fails the job is gone. */
static int submit(struct job *job)
{
    pirn_awaitable_ref(&job->base.base); /* the crew's, which may be through with it at once */
    int rc = pirn_crew_submit(job->crew, &job->work);
    if (rc != 0)
        free_job(&job->base);
    return rc;
}

int pirn_job_submit(struct job **ret_job, struct crew *crew, pirn_fn fn, void *arg,
                    void (*arg_drop)(void *arg), bool attached)
{
    struct job *job = new_job(crew, fn, arg, arg_drop, attached);
    int rc = job != NULL ? submit(job) : -ENOMEM;
    if (rc == 0)
        *ret_job = job;
    return rc;
}

int pirn_job_submit_handle(struct pirn_awaitable **ret_handle, struct crew *crew, pirn_fn fn,
                           void *arg, void (*arg_drop)(void *arg))
{
    struct job *job = new_job(crew, fn, arg, arg_drop, false);
    if (job == NULL)
        return -ENOMEM;
    struct pirn_awaitable *before = *ret_handle;
    *ret_handle = &job->base.base;
    int rc = submit(job);
    if (rc != 0)
        *ret_handle = before;
    return rc;
}

bool pirn_job_give_up(struct wait *w, struct job *job, int *ret_status, int why)
{
    if (pirn_crew_withdraw(job->crew, &job->work)) {
        pirn_job_abandon(&job->work);
        return true;
    }
    if (why == -ECANCELED) /* it happened, so the cancel stays pending */
        pirn_wait_keep_cancel(w);
    bool shielded = w->task != NULL && pirn_task_shield(w->task) == 0;
    while (pirn_awaitable_await(&job->base.base, ret_status, INT64_MAX, false) != 0)
        pirn_wait_give_way(); /* shutdown's failing: the job still has our memory */
    if (shielded)
        pirn_task_unshield(w->task);
    return false;
}

int pirn_job_call(struct crew *crew, pirn_fn fn, void *arg, int *ret_status, int64_t deadline)
{
    struct wait w;
    struct job *job;
    int status;
    int rc = pirn_wait_enter(&w);
    if (rc == 0)
        rc = pirn_job_submit(&job, crew, fn, arg, NULL, true);
    if (rc != 0)
        return rc;
    rc = pirn_awaitable_await(&job->base.base, &status, deadline, false);
    if (rc != 0 && !pirn_job_give_up(&w, job, &status, rc))
        rc = 0;
    if (rc == 0 && job->unrun)
        rc = -ESHUTDOWN;
    if (rc == 0 && ret_status != NULL)
        *ret_status = status;
    pirn_awaitable_unref(&job->base.base);
    return rc;
}

/* ---- For the function that runs ------------------------------------------------------------ */

struct crew *pirn_job_crew(void)
{
    struct job *job = pirn_self()->job;
    return job != NULL ? job->crew : NULL;
}

void **pirn_job_locals(void)
{
    struct job *job = pirn_self()->job;
    return job != NULL ? job->locals : NULL;
}

int pirn_job_set_local(unsigned index, void *value)
{
    struct job *job = pirn_self()->job;
    if (job == NULL)
        return pirn_misuse("pirn_local_set", -EPERM, "this is neither a coroutine nor a job");
    if (job->locals == NULL)
        job->locals = calloc(LOCALS_MAX, sizeof(*job->locals));
    if (job->locals == NULL)
        return -ENOMEM;
    job->locals[index] = value;
    return 0;
}

int pirn_job_set_value(void *value, void (*drop)(void *value))
{
    struct job *job = pirn_self()->job;
    if (job == NULL)
        return pirn_misuse("pirn_set_value", -EPERM, "this is neither a coroutine nor a job");
    void (*old_drop)(void *) = job->value_drop;
    void *old = job->value;
    job->value = value;
    job->value_drop = drop;
    if (old_drop != NULL)
        old_drop(old);
    return 0;
}
