/*
 * Scopes: children that never outlive the block that started them.
 *
 * All fields are under the lock. A child is in `children`, or, once it has been sent the scope's
 * cancel, in `told`; its end takes it out. Cancels are sent without the lock, with a reference
 * held: sending one may enter the kernel.
 *
 * The closer frees the scope. It takes the lock after the last child's end has claimed it, so that
 * child is done with the scope by then.
 */
#include <errno.h>
#include <pirn.h>
#include <stdlib.h>

#include "runtime/debug.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"

struct pirn_scope {
    struct task_owner owner; /* first: a task's owner is a scope */
    struct lock lock;
    struct pirn_task *children, *told;
    unsigned running, limit;
    int first_error;
    bool cancelling;
    const char *reason;
    struct waiter *spawners; /* wait for a place under the limit */
    struct waiter *closer;
};

static void adopt(struct pirn_task *t);
static void on_end(struct pirn_task *t);

static pirn_scope *scope_of(const struct pirn_task *t)
{
    return (pirn_scope *)(void *)t->owner;
}

int pirn_scope_open(pirn_scope **ret_scope, int limit)
{
    if (ret_scope == NULL || limit < 0)
        return -EINVAL;
    if (pirn_current() == NULL)
        return pirn_misuse("pirn_scope_open", -EPERM);
    pirn_scope *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->owner = (struct task_owner){adopt, on_end};
    lock_init(&s->lock);
    s->limit = (unsigned)limit;
    *ret_scope = s;
    return 0;
}

static void link_child(struct pirn_task **list, struct pirn_task *t)
{
    t->prev_sibling = NULL;
    t->next_sibling = *list;
    if (*list != NULL)
        (*list)->prev_sibling = t;
    *list = t;
}

static void unlink_child(pirn_scope *s, struct pirn_task *t)
{
    if (t->prev_sibling != NULL)
        t->prev_sibling->next_sibling = t->next_sibling;
    else if (s->children == t)
        s->children = t->next_sibling;
    else
        s->told = t->next_sibling;
    if (t->next_sibling != NULL)
        t->next_sibling->prev_sibling = t->prev_sibling;
}

/* Sends the scope's cancel to every child that has not had it. */
static void cancel_children(pirn_scope *s)
{
    for (;;) {
        lock_take(&s->lock);
        struct pirn_task *t = s->children;
        const char *reason = s->reason;
        if (t != NULL) {
            unlink_child(s, t);
            link_child(&s->told, t);
            pirn_awaitable_ref(
                &t->base); /* listed children are alive: the runtime has its reference */
        }
        lock_drop(&s->lock);
        if (t == NULL)
            return;
        pirn_wait_cancel(t, reason);
        pirn_task_unref(t);
    }
}

static bool begin_cancel(pirn_scope *s, const char *reason) /* under the lock */
{
    if (s->cancelling)
        return false;
    s->cancelling = true;
    s->reason = reason;
    return true;
}

static void claim_all(struct waiter **list, struct wakeups *wakeups)
{
    struct waiter *waiter;
    while ((waiter = pirn_waiter_pop(list)) != NULL)
        pirn_waiter_claim(waiter, wakeups);
}

/* A child is over; on its own stack, or its spawner's if it was never to be. */
static void on_end(struct pirn_task *t)
{
    pirn_scope *s = scope_of(t);
    struct wakeups wakeups = WAKEUPS_INIT;
    int status = atomic_load_explicit(&t->base.status, memory_order_relaxed);
    bool cancels = false;
    atomic_store_explicit(&t->base.seen, 1, memory_order_relaxed);
    lock_take(&s->lock);
    if (status < 0 && status != -ECANCELED && s->first_error == 0) {
        s->first_error = status;
        cancels = begin_cancel(s, "a sibling failed");
    }
    lock_drop(&s->lock);
    if (cancels)
        cancel_children(s); /* this child is still counted, so the scope stays */
    lock_take(&s->lock);
    unlink_child(s, t);
    s->running--;
    if (s->spawners != NULL)
        claim_all(&s->spawners, &wakeups); /* they look again, and again wait their turn */
    if (s->running == 0)
        claim_all(&s->closer, &wakeups);
    lock_drop(&s->lock);
    pirn_wakeups_run(&wakeups);
}

static void adopt(struct pirn_task *t)
{
    pirn_scope *s = scope_of(t);
    lock_take(&s->lock);
    link_child(&s->children, t);
    lock_drop(&s->lock);
}

/* Takes a place under the limit, waiting for one if need be. */
static int take_place(pirn_scope *s, pirn_time deadline)
{
    for (;;) {
        struct wait w;
        int rc = pirn_wait_enter(&w);
        if (rc != 0)
            return rc;
        if (w.task == NULL)
            return pirn_misuse("pirn_scope_spawn", -EPERM);
        lock_take(&s->lock);
        bool cancelling = s->cancelling;
        bool room = s->limit == 0 || s->running < s->limit;
        if (!cancelling && room)
            s->running++;
        else if (!cancelling)
            pirn_wait_link(&w, &s->spawners);
        lock_drop(&s->lock);
        if (cancelling)
            return -ECANCELED;
        if (room)
            return 0;
        rc = pirn_wait_park(&w, "scope place", deadline.ns);
        if (rc != 0) {
            lock_take(&s->lock);
            pirn_waiter_unlink(&s->spawners, w.waiter);
            lock_drop(&s->lock);
            return rc;
        }
    }
}

static void give_place_back(pirn_scope *s)
{
    struct wakeups wakeups = WAKEUPS_INIT;
    lock_take(&s->lock);
    s->running--;
    claim_all(&s->spawners, &wakeups);
    if (s->running == 0)
        claim_all(&s->closer, &wakeups);
    lock_drop(&s->lock);
    pirn_wakeups_run(&wakeups);
}

static bool is_cancelling(pirn_scope *s)
{
    lock_take(&s->lock);
    bool cancelling = s->cancelling;
    lock_drop(&s->lock);
    return cancelling;
}

static int try_spawn(pirn_scope *s, const pirn_spawn_config *config, pirn_fn fn, void *arg,
                     pirn_time deadline, void *site)
{
    bool adopted = false;
    struct spawn_how how = {&s->owner, &adopted, 0};
    if (s == NULL || fn == NULL)
        return -EINVAL;
    int rc = take_place(s, deadline);
    if (rc != 0)
        return rc;
    rc = pirn_task_spawn(NULL, config, fn, arg, &how, site);
    if (rc != 0 && !adopted)
        give_place_back(s);
    if (rc == 0 && is_cancelling(s))
        cancel_children(s); /* it began while we spawned, and may have missed this child */
    return rc;
}

static int spawn(pirn_scope *s, const pirn_spawn_config *config, pirn_fn fn, void *arg,
                 pirn_time deadline, void *site)
{
    int rc = try_spawn(s, config, fn, arg, deadline, site);
    if (rc == -ESHUTDOWN && config != NULL && config->arg_drop != NULL)
        config->arg_drop(arg); /* as pirn_spawn_with does it */
    return rc;
}

int pirn_scope_spawn(pirn_scope *scope, pirn_fn fn, void *arg, pirn_time deadline)
{
    return spawn(scope, NULL, fn, arg, deadline, __builtin_return_address(0));
}

int pirn_scope_spawn_with(pirn_scope *scope, const pirn_spawn_config *config, pirn_fn fn, void *arg,
                          pirn_time deadline)
{
    return spawn(scope, config, fn, arg, deadline, __builtin_return_address(0));
}

int pirn_scope_cancel(pirn_scope *scope, const char *reason)
{
    struct wakeups wakeups = WAKEUPS_INIT;
    if (scope == NULL)
        return -EINVAL;
    lock_take(&scope->lock);
    bool first = begin_cancel(scope, reason);
    claim_all(&scope->spawners, &wakeups);
    lock_drop(&scope->lock);
    pirn_wakeups_run(&wakeups);
    if (first)
        cancel_children(scope);
    return 0;
}

/* Waits until no child runs: 0, or why it stopped waiting. */
static int wait_children(pirn_scope *s, pirn_time deadline)
{
    struct wait w;
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    lock_take(&s->lock);
    bool over = s->running == 0;
    if (!over)
        pirn_wait_link(&w, &s->closer);
    lock_drop(&s->lock);
    if (over)
        return 0;
    rc = pirn_wait_park(&w, "scope", deadline.ns);
    lock_take(&s->lock); /* also lets go of us whoever claimed us under it */
    pirn_waiter_unlink(&s->closer, w.waiter);
    lock_drop(&s->lock);
    return rc;
}

static unsigned running(pirn_scope *s)
{
    lock_take(&s->lock);
    unsigned n = s->running;
    lock_drop(&s->lock);
    return n;
}

int pirn_scope_close(pirn_scope *scope, pirn_time deadline)
{
    struct pirn_task *t = pirn_current_task();
    if (scope == NULL)
        return -EINVAL;
    if (t == NULL || t->owner == &scope->owner)
        return pirn_misuse("pirn_scope_close", t == NULL ? -EPERM : -EDEADLK);
    int why = wait_children(scope, deadline);
    if (why != 0) {
        const char *reason = why == -ECANCELED ? pirn_cancel_reason() : "the scope ran out of time";
        pirn_scope_cancel(scope, reason);
        pirn_task_shield(t);
        while (running(scope) != 0) {
            if (wait_children(scope, PIRN_NEVER) != 0) /* in a shutdown past its grace */
                pirn_wait_give_way();
        }
        pirn_task_unshield(t);
    }
    int rc = why != 0 ? why : scope->first_error;
    free(scope);
    return rc;
}

/* ---- parallel_for ---- */

struct loop {
    _Atomic size_t next;
    size_t end, grain;
    int (*fn)(size_t i, void *arg);
    void *arg;
    _Atomic int failed;
};

static int run_chunks(void *arg)
{
    struct loop *l = arg;
    int rc = 0;
    while (rc == 0 && atomic_load_explicit(&l->failed, memory_order_relaxed) == 0) {
        size_t i = atomic_load_explicit(&l->next, memory_order_relaxed), to;
        do {
            if (i >= l->end)
                return 0;
            to = l->end - i < l->grain ? l->end : i + l->grain;
        } while (!atomic_compare_exchange_weak_explicit(&l->next, &i, to, memory_order_relaxed,
                                                        memory_order_relaxed));
        for (; i < to && rc >= 0; i++)
            rc = l->fn(i, l->arg);
        rc = rc < 0 ? rc : pirn_yield();
    }
    if (rc < 0)
        atomic_store_explicit(&l->failed, 1, memory_order_relaxed);
    return rc;
}

int pirn_parallel_for(size_t begin, size_t end, int (*fn)(size_t i, void *arg), void *arg)
{
    enum {
        CHUNKS_PER_WORKER = 16,
        GRAIN_MAX = 4096
    };
    struct pirn_task *t = pirn_current_task();
    pirn_scope *scope;
    if (fn == NULL || begin > end)
        return -EINVAL;
    if (t == NULL)
        return pirn_misuse("pirn_parallel_for", -EPERM);
    size_t count = end - begin, workers = t->rt->worker_count;
    size_t grain = count / (workers * CHUNKS_PER_WORKER);
    struct loop loop = {.end = end, .fn = fn, .arg = arg};
    atomic_init(&loop.next, begin);
    loop.grain = grain < 1 ? 1 : grain > GRAIN_MAX ? GRAIN_MAX : grain;
    int rc = pirn_scope_open(&scope, 0);
    if (rc != 0)
        return rc;
    pirn_spawn_config config = PIRN_SPAWN_INIT;
    config.flags = PIRN_OFF_STRAND; /* side by side is what they are for */
    for (size_t i = 0; i < workers && i < count && rc == 0; i++)
        rc = pirn_scope_spawn_with(scope, &config, run_chunks, &loop, PIRN_NEVER);
    if (rc != 0)
        pirn_scope_cancel(scope, rc == -ECANCELED ? pirn_cancel_reason() : "a spawn failed");
    int closed = pirn_scope_close(scope, PIRN_NEVER);
    return closed != 0 ? closed : rc; /* a spawn refused because a chunk failed: that failure */
}
