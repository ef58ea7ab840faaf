/*
 * A generator's consumer: pulls, and the close. See generator.c.
 */
#include "api/generator/generator.h"

#include <errno.h>
#include <string.h>

#include "runtime/debug.h"

/* Under the lock, of an ended body. */
static int answer_end(pirn_generator *g)
{
    bool tell = g->status < 0 && !g->told;
    g->told = true;
    return tell ? g->status : 0;
}

/* Steps 1 and 2: 1, or 0 if the pull has to wait, or what it returns, with *ret_done. */
static int begin_pull(pirn_generator *g, struct wait *w, void *ret_value, bool *ret_done)
{
    struct wakeups wakeups;
    struct pirn_task *before = NULL;
    int rc = 0;
    wakeups_init(&wakeups);
    *ret_done = true;
    lock_take(&g->lock);
    if (g->pulling) {
        rc = -EBUSY;
    } else if (g->full) {
        if (ret_value != NULL && g->value_size != 0)
            memcpy(ret_value, g->value, g->value_size);
        g->full = false;
        rc = 1;
    } else if (g->ended) {
        rc = answer_end(g);
    } else {
        *ret_done = false;
        g->pulling = true;
        g->given = false;
        g->ret_value = ret_value;
        if (g->last_puller != w->task) {
            before = g->last_puller;
            g->last_puller = w->task;
            if (w->task != NULL)
                pirn_awaitable_ref(&w->task->base);
        }
        pirn_wait_link(w, &g->consumer);
        struct waiter *body = pirn_waiter_pop(&g->body);
        if (body != NULL)
            pirn_waiter_claim(body, &wakeups); /* or it has been cancelled, and ends, or yields */
    }
    lock_drop(&g->lock);
    pirn_wakeups_run(&wakeups);
    if (before != NULL)
        pirn_task_unref(before);
    return rc;
}

/* A pull is over: 1 with the value, what the body's end says, or rc, its wait's failure. */
static int end_pull(pirn_generator *g, struct wait *w, int rc)
{
    lock_take(&g->lock);
    pirn_waiter_unlink(&g->consumer, w->waiter);
    g->pulling = false;
    if (rc == 0)
        rc = g->given ? 1 : answer_end(g);
    lock_drop(&g->lock);
    return rc;
}

int pirn_generator_next(pirn_generator *generator, void *ret_value, pirn_time deadline)
{
    struct wait w;
    pirn_generator *g = generator;
    bool done;
    if (g == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (pirn_generator_is_body(g))
        return pirn_misuse(__func__, -EDEADLK, "a generator pulls from itself");
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    rc = begin_pull(g, &w, ret_value, &done);
    if (done)
        return rc;
    if (!g->started) { /* ours alone: we are `pulling` */
        rc = pirn_generator_start(g);
        if (rc != 0)
            return end_pull(g, &w, rc);
        g->started = true;
    }
    return end_pull(g, &w, pirn_wait_park(&w, "generator", deadline.ns));
}

int pirn_generator_status(const pirn_generator *generator)
{
    pirn_generator *g = (pirn_generator *)generator;
    if (g == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    lock_take(&g->lock);
    int status = g->ended ? g->status : -EINPROGRESS;
    lock_drop(&g->lock);
    return status;
}

/* True: the body has ended. Else waits for it, or until a shutdown past its grace fails the
 * wait. */
static bool wait_end(pirn_generator *g)
{
    struct wait w;
    int failed = pirn_wait_enter(&w);
    lock_take(&g->lock);
    bool ended = g->ended;
    if (!ended && failed == 0)
        pirn_wait_link(&w, &g->consumer);
    lock_drop(&g->lock);
    if (ended)
        return true;
    if (failed == 0)
        pirn_wait_park(&w, "generator close", INT64_MAX);
    else
        pirn_wait_give_way();
    lock_take(&g->lock);
    pirn_waiter_unlink(&g->consumer, w.waiter);
    lock_drop(&g->lock);
    return false;
}

static void end_body(pirn_generator *g, struct pirn_task *task)
{
    struct wakeups wakeups;
    struct pirn_task *me = pirn_current_task();
    pirn_wait_cancel(task, "its generator is closed");
    wakeups_init(&wakeups);
    lock_take(&g->lock);
    g->closing = true;
    struct waiter *body = pirn_waiter_pop(&g->body);
    if (body != NULL)
        pirn_waiter_claim(body, &wakeups);
    lock_drop(&g->lock);
    pirn_wakeups_run(&wakeups);
    bool shields = me != NULL && pirn_task_shield(me) == 0;
    while (!wait_end(g)) {}
    if (shields)
        pirn_task_unshield(me);
}

int pirn_generator_close(pirn_generator *generator)
{
    pirn_generator *g = generator;
    if (g == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (pirn_generator_is_body(g))
        return pirn_misuse(__func__, -EDEADLK, "a generator closes itself: it returns");
    lock_take(&g->lock);
    bool busy = g->pulling;
    g->pulling = true;
    struct pirn_task *task = busy ? NULL : g->task;
    if (task != NULL)
        pirn_awaitable_ref(&task->base);
    lock_drop(&g->lock);
    if (busy)
        return -EBUSY;
    if (task != NULL) {
        end_body(g, task);
        pirn_task_unref(task);
    }
    if (!g->started)
        pirn_generator_drop_arg(g);
    if (g->last_puller != NULL) /* the body could not be started */
        pirn_task_unref(g->last_puller);
    int rc = g->told || g->status >= 0 || g->status == -ECANCELED ? 0 : g->status;
    pirn_generator_unref(g);
    return rc;
}
