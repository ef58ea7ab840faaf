/*
 * A task's life apart from running: spawn, end, references, what it carries.
 *
 * The end (pirn_task_end, on the task's own stack, or by the worker if it never started)
 *   1. status, then ended (release); the runtime's count goes down; the owner hears of it
 *   2. the runtime's reference is given up by a compare-and-swap that fails if AWAITABLE_JOINED is
 *      set: then, under the lock, everybody in joiners is claimed, and woken
 * Who joins links itself and sets AWAITABLE_JOINED under the lock, and then looks at ended. The two
 * read-modify-writes of refs are ordered: either the end sees the flag, or the joiner sees ended.
 * So the end of a task that nobody waits for yet costs one atomic operation (it were four: 112 ns a
 * spawn and join on one worker, see perf/bench/spawn.c). The stack goes back after that, without
 * the task.
 */
#include "runtime/task.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/sys.h"
#include "runtime/debug.h"
#include "runtime/job.h"
#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/strand.h"
#include "runtime/task_pool.h"
#include "runtime/wait.h"
#include "runtime/worker.h"

enum {
    ID_BATCH = 256,
    LIVE_BATCH = 64
};

static uint64_t new_id(struct pirn_runtime *rt, struct worker *w)
{
    if (w == NULL)
        return atomic_fetch_add_explicit(&rt->next_id, 1, memory_order_relaxed);
    if (w->next_id == w->last_id) {
        w->next_id = atomic_fetch_add_explicit(&rt->next_id, ID_BATCH, memory_order_relaxed);
        w->last_id = w->next_id + ID_BATCH;
    }
    return w->next_id++;
}

/* Task-locals are copied, the pointers, not what they point to. */
static int inherit(struct pirn_task *t, struct pirn_task *parent)
{
    struct task_extra *from = parent != NULL ? task_extra(parent) : NULL;
    void **locals = parent == NULL ? pirn_job_locals() : NULL;
    if (from != NULL)
        locals = from->locals;
    if (locals == NULL)
        return 0;
    struct task_extra *e = pirn_task_extra(t);
    if (e != NULL)
        e->locals = malloc(LOCALS_MAX * sizeof(*e->locals));
    if (e == NULL || e->locals == NULL)
        return -ENOMEM;
    memcpy(e->locals, locals, LOCALS_MAX * sizeof(*e->locals));
    return 0;
}

static const pirn_spawn_config plain = PIRN_SPAWN_CONFIG_INIT;

static bool is_sound(const pirn_spawn_config *c)
{
    return c->size == sizeof(*c) && (c->flags & ~(PIRN_PINNED | PIRN_OFF_STRAND)) == 0 &&
           (c->flags == 0 || c->strand == NULL) && c->stack_size <= PIRN_STACK_SIZE_MAX;
}

static const char *call_of(const pirn_spawn_config *config, const struct spawn_how *how)
{
    if (how != NULL && how->call != NULL)
        return how->call;
    return config == &plain ? "pirn_spawn" : "pirn_spawn_with";
}

static int check(const struct self *self, const pirn_spawn_config *config, pirn_fn fn,
                 const struct spawn_how *how, struct pirn_runtime **ret_rt, bool *ret_outside)
{
    struct pirn_runtime *own = self->worker != NULL   ? self->worker->rt
                               : self->pinned != NULL ? self->pinned->rt
                                                      : NULL;
    struct pirn_runtime *rt = config->runtime != NULL ? config->runtime : own;
    if (fn == NULL || !is_sound(config))
        return pirn_misuse(call_of(config, how), -EINVAL, misuse_of_spawn(config, fn));
    if (rt == NULL)
        return pirn_misuse(call_of(config, how), -EPERM, MISUSE_NO_RUNTIME);
    if (atomic_load_explicit(&rt->failing, memory_order_relaxed) != 0 ||
        (rt != own && rt->pid != getpid()))
        return -ESHUTDOWN;
    *ret_rt = rt;
    *ret_outside = rt != own;
    return 0;
}

/* A worker takes from rt->live more than it needs, and keeps what its ended tasks would give back,
 * so that most spawns and ends touch no shared count. It settles when it finds nothing to do. With
 * a limit on tasks the count has to be exact, and nobody keeps any. */
static bool count_live(struct pirn_runtime *rt, struct worker *w, const struct spawn_how *how)
{
    if (rt->config.max_tasks == 0) {
        unsigned credit = w != NULL ? worker_credit(w) : 0;
        if (credit == 0)
            atomic_fetch_add_explicit(&rt->live, w != NULL ? LIVE_BATCH : 1, memory_order_relaxed);
        if (w != NULL)
            worker_set_credit(w, credit != 0 ? credit - 1 : LIVE_BATCH - 1);
        return true;
    }
    uint32_t live = atomic_fetch_add_explicit(&rt->live, 1, memory_order_relaxed);
    if (live < (uint32_t)rt->config.max_tasks || (how != NULL && how->beyond_limit))
        return true;
    atomic_fetch_sub_explicit(&rt->live, 1, memory_order_relaxed);
    return false;
}

static void give_back_live(struct pirn_runtime *rt, uint32_t n)
{
    /* release: the last task's writes are seen by who waits in pirn_run (acquire) */
    if (atomic_fetch_sub_explicit(&rt->live, n, memory_order_release) == n && rt_is_closing(rt))
        sys_futex_wake(&rt->live, INT_MAX);
}

static void uncount_live(struct pirn_runtime *rt, struct worker *w)
{
    if (w == NULL || w->rt != rt || rt->config.max_tasks != 0) {
        give_back_live(rt, 1);
        return;
    }
    unsigned credit = worker_credit(w) + 1;
    worker_set_credit(w, credit);
    if (credit >= 2 * LIVE_BATCH) {
        worker_set_credit(w, credit - LIVE_BATCH);
        give_back_live(rt, LIVE_BATCH);
    }
}

void pirn_task_settle(struct worker *w)
{
    unsigned credit = worker_credit(w);
    if (credit == 0)
        return;
    worker_set_credit(w, 0);
    give_back_live(w->rt, credit);
}

uint32_t pirn_task_live(struct pirn_runtime *rt)
{
    uint32_t live = atomic_load_explicit(&rt->live, memory_order_relaxed);
    unsigned n = rt_threads(rt);
    for (unsigned i = 0; i < n; i++) {
        uint32_t credit = worker_credit(rt_worker(rt, i));
        live -= credit < live ? credit : live;
    }
    return live;
}

static void fill(struct pirn_task *t, const pirn_spawn_config *config, pirn_fn fn, void *arg,
                 struct pirn_task *parent)
{
    t->fn = fn;
    t->arg = arg;
    t->arg_drop = config->arg_drop;
    t->stack_size = (uint32_t)config->stack_size;
    t->flags = (uint8_t)config->flags;
    t->fate = FATE_CANCEL;
    if (__builtin_expect(rt_is_closing(t->rt), 0) && parent != NULL && parent->rt == t->rt &&
        pirn_wait_cleans_up(parent))
        t->fate = FATE_LEFT;
    t->cell.kind = (config->flags & PIRN_PINNED) != 0 ? CELL_THREAD : CELL_TASK;
}

/* It cannot be: ends without ever having been queued. Its owner hears that it is gone, and of no
 * failure of a child's; who has found it (pirn_tasks), and waits for it, hears of the end. */
static __attribute__((noinline)) int fail(struct pirn_task *t, struct worker *w, int rc,
                                          bool has_handle)
{
    if (t->owner != NULL)
        t->owner->on_end(t);
    t->owner = NULL;
    if (task_is_on_strand(t))
        pirn_strand_unref(task_strand(t));
    atomic_store_explicit(&t->base.seen, 1, memory_order_relaxed);
    pirn_task_end(t, rc, w, has_handle ? 2 : 1);
    return rc;
}

/* Once its thread has begun it may be over, and another task in its place: the caller looks at it
 * no more, unless it has a handle. That is there before the task can look for it, as always. */
static __attribute__((noinline)) int start_pinned(struct pirn_task *t, struct worker *w,
                                                  struct pirn_awaitable **ret_task)
{
    struct pirn_awaitable *before = ret_task != NULL ? *ret_task : NULL;
    if (ret_task != NULL)
        *ret_task = &t->base;
    int rc = pirn_pinned_start(t);
    if (rc == 0)
        return 0;
    if (ret_task != NULL)
        *ret_task = before;
    return fail(t, w, rc, ret_task != NULL);
}

/* Inlined where a task of a worker spawns: the way of nearly all (see perf/bench/spawn.c). */
static inline __attribute__((always_inline)) int spawn(struct self *self, struct pirn_runtime *rt,
                                                       struct pirn_awaitable **ret_task,
                                                       const pirn_spawn_config *config, pirn_fn fn,
                                                       void *arg, const struct spawn_how *how,
                                                       void *site)
{
    struct worker *w = self->worker != NULL && self->worker->rt == rt ? self->worker : NULL;
    bool apart = how != NULL && how->ret_apart != NULL;
    struct pirn_task *parent = apart                  ? NULL
                               : self->worker != NULL ? self->worker->current
                                                      : self->pinned;
    int rc;
    if (!count_live(rt, w, how))
        return -EAGAIN;
    struct pirn_task *t = pirn_task_alloc(rt, w);
    if (t == NULL) {
        uncount_live(rt, w);
        return -ENOMEM;
    }
    fill(t, config, fn, arg, parent);
    t->id = new_id(rt, w);
    t->site = site;
    rc = apart ? 0 : inherit(t, parent);
    if (rc == 0 && (config->strand != NULL || (parent != NULL && task_is_on_strand(parent))))
        rc = pirn_strand_bind(t, config, parent);
    if (rc == 0 && config->name != NULL)
        rc = pirn_task_set_name(t, config->name);
    if (how != NULL)
        t->flags |= how->flags;
    t->owner = rc == 0 && how != NULL ? how->owner : NULL;
    /* One reference for the runtime, one for the caller if it wants one. Release: what walks over
     * all descriptors acquires by it. From now on others may have one, too. */
    atomic_store_explicit(&t->base.refs, ret_task != NULL ? 2 : 1, memory_order_release);
    if (how != NULL && t->owner != NULL) {
        t->owner->adopt(t);
        *how->ret_adopted = true;
    }
    if (rc != 0)
        return fail(t, w, rc, ret_task != NULL);
    unsigned flags = t->flags;
    if (__builtin_expect((flags & PIRN_PINNED) != 0, 0)) {
        rc = start_pinned(t, w, ret_task);
        if (rc != 0)
            return rc;
    } else if (ret_task != NULL) {
        *ret_task = &t->base;
    }
    if (w != NULL)
        count_one(&w->n.spawns);
    if (__builtin_expect(apart, 0)) {
        *how->ret_apart = t;
        return 0;
    }
    if ((flags & (PIRN_PINNED | TASK_PREPARED)) != 0)
        return 0;
    if (w != NULL && !task_is_on_strand(t))
        pirn_worker_enqueue(w, t);
    else
        pirn_worker_launch(t);
    return 0;
}

static __attribute__((noinline)) int spawn_from_outside(struct self *self, struct pirn_runtime *rt,
                                                        struct pirn_awaitable **ret_task,
                                                        const pirn_spawn_config *config, pirn_fn fn,
                                                        void *arg, const struct spawn_how *how,
                                                        void *site)
{
    /* seq_cst, both: pairs with who ends the runtime: says closing, then looks at spawners. Either
     * we see it, or our task is seen among the live. */
    atomic_fetch_add_explicit(&rt->spawners, 1, memory_order_seq_cst);
    int rc = atomic_load_explicit(&rt->closing, memory_order_seq_cst) != 0
                 ? -ESHUTDOWN
                 : spawn(self, rt, ret_task, config, fn, arg, how, site);
    /* release: pairs with the acquire in end_tasks; our last access */
    atomic_fetch_sub_explicit(&rt->spawners, 1, memory_order_release);
    return rc;
}

int pirn_task_spawn(pirn_task **ret_task, const pirn_spawn_config *config, pirn_fn fn, void *arg,
                    const struct spawn_how *how, void *site)
{
    struct self *self = pirn_self();
    struct pirn_runtime *rt = NULL;
    bool outside = false;
    if (config == NULL)
        config = &plain;
    int rc = check(self, config, fn, how, &rt, &outside);
    if (rc != 0)
        return rc;
    return outside ? spawn_from_outside(self, rt, ret_task, config, fn, arg, how, site)
                   : spawn(self, rt, ret_task, config, fn, arg, how, site);
}

const char pirn_task_ending[] = "end";

void pirn_task_drop_arg(struct pirn_task *t)
{
    if (t->arg_drop == NULL)
        return;
    if (__builtin_expect(t->rt->debug, 0)) /* who is told by the drop may end the runtime at once */
        atomic_store_explicit(&t->what, pirn_task_ending, memory_order_relaxed);
    t->arg_drop(t->arg);
}

int pirn_task_body(struct pirn_task *t)
{
    int status = task_take_early_cancel(t) ? -ECANCELED : task_clean_up(t, t->fn(t->arg));
    pirn_task_drop_arg(t);
    if (__builtin_expect(t->rt->debug, 0))
        pirn_debug_end(t);
    pirn_task_end(t, status, pirn_self()->worker, 1);
    return status;
}

static void report_unseen(struct pirn_task *t)
{
    int status = atomic_load_explicit(&t->base.status, memory_order_relaxed);
    char name[NAME_MAX_BYTES];
    if (status >= 0 || status == -ECANCELED ||
        atomic_load_explicit(&t->base.seen, memory_order_relaxed) != 0)
        return;
    pirn_task_name(t, name, sizeof(name));
    pirn_report(t->rt, "task %s ended with %d (%s) and nobody looked", name, status,
                strerrordesc_np(-status));
}

static void dispose(struct pirn_task *t)
{
    report_unseen(t);
    struct task_extra *e = task_extra(t);
    if (e != NULL && e->value_drop != NULL)
        e->value_drop(e->value);
    pirn_task_free(t);
}

void pirn_task_unref(struct pirn_task *t)
{
    /* acq_rel: everybody's last use comes before the free */
    if (atomic_fetch_sub_explicit(&t->base.refs, 1, memory_order_acq_rel) == 1)
        dispose(t);
}

static __attribute__((noinline)) void wake_joiners(struct pirn_task *t)
{
    struct wakeups wakeups;
    struct waiter *waiter;
    wakeups_init(&wakeups);
    lock_take(&t->base.lock);
    while ((waiter = pirn_waiter_pop(&t->base.joiners)) != NULL)
        pirn_waiter_claim(waiter, &wakeups);
    atomic_fetch_and_explicit(&t->base.refs, ~AWAITABLE_JOINED, memory_order_relaxed);
    lock_drop(&t->base.lock);
    pirn_wakeups_run(&wakeups);
}

void pirn_task_end(struct pirn_task *t, int status, struct worker *w, unsigned refs)
{
    atomic_store_explicit(&t->base.status, status, memory_order_relaxed);
    uncount_live(t->rt, w); /* before anybody can see the end: who joins has room for another */
    /* release: pairs with the acquire in task_has_ended */
    atomic_store_explicit(&t->base.ended, 1, memory_order_release);
    if (t->owner != NULL)
        t->owner->on_end(t);
    uint32_t held = atomic_load_explicit(&t->base.refs, memory_order_relaxed);
    do {
        while ((held & AWAITABLE_JOINED) != 0) {
            wake_joiners(t);
            held = atomic_load_explicit(&t->base.refs, memory_order_relaxed);
        }
        /* acq_rel: as in pirn_task_unref; and a joiner that comes after this sees `ended` */
    } while (!atomic_compare_exchange_weak_explicit(&t->base.refs, &held, held - refs,
                                                    memory_order_acq_rel, memory_order_relaxed));
    if (held == refs)
        dispose(t);
}

bool pirn_task_try_ref(struct pirn_task *t)
{
    /* acquire: pirn_task_unref; who finds a task gone also finds all that it did done */
    uint32_t refs = atomic_load_explicit(&t->base.refs, memory_order_acquire);
    do {
        if (refs == 0)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&t->base.refs, &refs, refs + 1,
                                                    memory_order_acquire, /* spawn's release */
                                                    memory_order_relaxed));
    return true;
}
