/*
 * Debug mode; see debug.h.
 *
 * Slow steps are timed on the switch path, so that each is seen, exactly, by the worker that ran
 * it. With debug mode off that path is as it was: the bit ATTENTION_DEBUG stays set in the
 * attention of a worker of a runtime in debug mode, and who finds attention set goes the long way
 * anyhow (note_conduct in worker.c), which reads the clock then. It also keeps awaited children
 * from running on their awaiter's stack (in_place.c): every task has steps of its own.
 *
 * Rejected: the monitor, which sees workers that stand still; its 5 ms are coarse, and it does not
 * know what a worker did in between. But a step that never ends only it can tell of: it does so,
 * once, when it has seen the same one for slow_step and for a second at least. (Not at slow_step
 * alone: every slow step of a bit more than that would have two lines.) When that step does end, it
 * gets its line as any other.
 *
 * A step is wall-clock time, as in asyncio: who blocks in the kernel is slow, too, and so is who
 * was not given a core. Pinned tasks hold up nobody; they have no steps.
 */
#include "runtime/debug.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/sys.h"
#include "runtime/locks.h"
#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/site.h"
#include "runtime/task.h"
#include "runtime/task_pool.h"

#define LONG_STEP_NS 1000000000 /* told of while it goes on, too */

_Atomic int pirn_debug_runtimes; /* in debug mode, in this process */

bool pirn_debug_in_environment(void)
{
    const char *value = secure_getenv("PIRN_DEBUG");
    return value != NULL && value[0] != '\0' && strcmp(value, "0") != 0;
}

void pirn_debug_count(int by)
{
    atomic_fetch_add_explicit(&pirn_debug_runtimes, by, memory_order_relaxed);
}

static void task_text(const struct pirn_task *t, const char *name, char *buf, size_t size)
{
    char site[SITE_TEXT];
    pirn_site_text(t->site, site, sizeof(site));
    snprintf(buf, size, "%s (task %llu, spawned at %s)", name, (unsigned long long)t->id, site);
}

void pirn_debug_task_text(struct pirn_task *t, char *buf, size_t size)
{
    char name[NAME_MAX_BYTES];
    pirn_task_name(t, name, sizeof(name));
    task_text(t, name, buf, size);
}

static void dead_text(struct pirn_task *t, char *buf, size_t size)
{
    char name[NAME_MAX_BYTES];
    pirn_task_name_dead(t, name, sizeof(name));
    task_text(t, name, buf, size);
}

void pirn_debug_doing_text(struct pirn_task *t, int64_t now, char *buf, size_t size)
{
    char on[24] = "", sites[SITES_TEXT], owner[LOCK_TEXT];
    int64_t ran;
    const char *state = pirn_task_state(t);
    const char *what = atomic_load_explicit(&t->what, memory_order_relaxed);
    int64_t since = atomic_load_explicit(&t->since, memory_order_relaxed);
    int fd = atomic_load_explicit(&t->op.fd, memory_order_relaxed);
    if (what == NULL || state[0] != 'w') {
        const struct worker *w = pirn_task_worker(t, now, &ran);
        if (w == NULL)
            snprintf(buf, size, "%s", state);
        else
            snprintf(buf, size, "running on worker %u (for %.3f s)", w->index, (double)ran / 1e9);
        return;
    }
    if (fd >= 0)
        snprintf(on, sizeof(on), " fd=%d", fd);
    pirn_sites_text(t, sites, sizeof(sites));
    pirn_locks_text(t, owner, sizeof(owner));
    snprintf(buf, size, "%s%s%s (for %.3f s)%s", what, on, sites, (double)(now - since) / 1e9,
             owner);
}

/* ---- Slow steps ---- */

void pirn_debug_step(struct worker *w, struct pirn_task *t)
{
    int64_t now = clock_now(), ran = now - w->step_began;
    if (t != NULL && ran >= w->rt->slow_ns) {
        char task[TASK_TEXT];
        pirn_debug_task_text(t, task, sizeof(task));
        pirn_report(w->rt, "task %s ran %lld ms without suspending", task,
                    (long long)(ran / 1000000));
        now = clock_now(); /* the hook's time is not the next one's */
    }
    w->step_began = now;
}

/* Where in the kernel the thread sleeps, in brackets; or nothing, if it is not told. */
static void kernel_place(int tid, char *buf, size_t size)
{
    char path[64], name[48];
    buf[0] = '\0';
    snprintf(path, sizeof(path), "/proc/self/task/%d/wchan", tid);
    int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    ssize_t n = sys_read(fd, name, sizeof(name) - 1);
    sys_close(fd);
    if (n <= 0)
        return;
    name[n] = '\0';
    if (strcmp(name, "0") != 0)
        snprintf(buf, size, " (%s)", name);
}

static void tell_long_step(struct worker *w, struct pirn_task *t, int64_t ran)
{
    struct pirn_runtime *rt = w->rt;
    char task[TASK_TEXT], place[64] = "";
    bool blocked = worker_stuck(w) == STUCK_BLOCKED;
    if (blocked)
        kernel_place(atomic_load_explicit(&w->tid, memory_order_relaxed), place, sizeof(place));
    if (!pirn_task_try_ref(t))
        return; /* it has ended just now */
    pirn_debug_task_text(t, task, sizeof(task));
    bool same = worker_seen_current(w) == t &&
                atomic_load_explicit(&w->tick, memory_order_relaxed) ==
                    atomic_load_explicit(&w->monitor_tick, memory_order_relaxed);
    pirn_task_unref(t);
    if (!same)
        return;
    /* seq_cst, both: as in quiet.c */
    atomic_store_explicit(&rt->monitor_reports, 1, memory_order_seq_cst);
    pirn_report(rt, "task %s has not suspended for %lld ms: it %s%s, on worker %u", task,
                (long long)(ran / 1000000), blocked ? "is blocked in the kernel" : "runs", place,
                w->index);
    atomic_store_explicit(&rt->monitor_reports, 0, memory_order_seq_cst);
}

void pirn_debug_long_steps(struct pirn_runtime *rt, int64_t now)
{
    unsigned n = rt_threads(rt);
    for (unsigned i = 0; i < n; i++) {
        struct worker *w = rt_worker(rt, i);
        uint64_t tick = atomic_load_explicit(&w->monitor_tick, memory_order_relaxed);
        int64_t ran = now - atomic_load_explicit(&w->monitor_since, memory_order_relaxed);
        if (w->monitor_task == NULL || w->monitor_told == tick || ran < LONG_STEP_NS ||
            ran < rt->slow_ns)
            continue;
        w->monitor_told = tick;
        tell_long_step(w, w->monitor_task, ran);
    }
}

/* ---- A task's end ---- (Timeouts and scopes that were not left: bound.c, without debug mode,
 * too.) */

void pirn_debug_end(struct pirn_task *t)
{
    struct worker *w = pirn_self()->worker;
    unsigned depth = cell_depth(cell_load(&t->cell));
    if (depth != 0) {
        char task[TASK_TEXT];
        pirn_debug_task_text(t, task, sizeof(task));
        pirn_report(t->rt, "task %s has ended inside %u shield%s: entered, and not left", task,
                    depth, depth == 1 ? "" : "s");
    }
    pirn_locks_end(t);
    if (w != NULL)
        pirn_debug_step(w, t);
}

/* ---- Forgotten tasks ---- */

void pirn_debug_never_awaited(struct pirn_task *t)
{
    char task[TASK_TEXT];
    pirn_debug_task_text(t, task, sizeof(task));
    pirn_report(t->rt, "coroutine %s was never awaited", task);
}

/* Given up before it began, and about to be gone. */
static bool is_withdrawn(const struct pirn_task *t)
{
    return (t->flags & TASK_PREPARED) != 0 && !task_has_started(t) &&
           cell_reason(cell_load(&t->cell)) == WAKE_CANCEL;
}

void pirn_debug_left(struct pirn_task *t, void *rt)
{
    char task[TASK_TEXT], doing[DOING_TEXT];
    if ((t->flags & TASK_CALLBACKS) != 0 || is_withdrawn(t))
        return; /* a runner of callbacks waits for another one, which is named */
    if (atomic_load_explicit(&t->what, memory_order_relaxed) == pirn_task_ending)
        return; /* by its drop somebody has heard that it is through: a server's stop, say */
    pirn_debug_task_text(t, task, sizeof(task));
    pirn_debug_doing_text(t, clock_now(), doing, sizeof(doing));
    pirn_report(rt, "task %s was left pending: %s", task, doing);
}

/* ---- Handles that nobody has released ---- Tasks alone: their descriptors are the runtime's, so
 * that a leak checker sees nothing of one. What is malloc's (futures, channels, streams) it names,
 * with the place it comes from. */

enum {
    HELD_TOLD = 20
};

struct held {
    struct pirn_runtime *rt;
    unsigned count;
};

static void tell_held(struct pirn_task *t, void *arg)
{
    struct held *held = arg;
    char task[TASK_TEXT], error[64] = "";
    uint32_t refs = atomic_load_explicit(&t->base.refs, memory_order_relaxed);
    int status = atomic_load_explicit(&t->base.status, memory_order_relaxed);
    if ((refs & ~AWAITABLE_JOINED) <= 1 || (t->flags & TASK_CALLBACKS) != 0)
        return; /* our own reference */
    if (held->count++ >= HELD_TOLD)
        return;
    if (status < 0 && status != -ECANCELED &&
        atomic_load_explicit(&t->base.seen, memory_order_relaxed) == 0)
        snprintf(error, sizeof(error), "ended with %d (%s), nobody looked, and it ", status,
                 strerrordesc_np(-status));
    pirn_debug_task_text(t, task, sizeof(task));
    pirn_report(held->rt, "task %s %swas never released", task, error);
}

void pirn_debug_held(struct pirn_runtime *rt)
{
    struct held held = {rt, 0};
    pirn_task_each_ended(rt, tell_held, &held);
    if (held.count > HELD_TOLD)
        pirn_report(rt, "and %u more tasks were never released", held.count - HELD_TOLD);
}

/* ---- Misuse ---- */

void pirn_misuse_tell(const char *call, int rc, const char *why)
{
    struct pirn_task *t = pirn_current_task();
    if (t != NULL && t->rt->debug) {
        char task[TASK_TEXT];
        pirn_debug_task_text(t, task, sizeof(task));
        pirn_report(t->rt, "task %s misused %s: %s: %s", task, call, strerrorname_np(-rc), why);
    } else if (t == NULL && (pirn_debug_is_on() || pirn_debug_in_environment())) {
        fprintf(stderr, "pirn: thread %d misused %s: %s: %s\n", gettid(), call,
                strerrorname_np(-rc), why);
    }
}

int pirn_misuse_dead(const char *call, const struct pirn_awaitable *a)
{
    char what[TASK_TEXT + 64], task[TASK_TEXT] = "";
    bool is_task = a->kind == (PIRN_KIND_TASK | KIND_DEAD);
    if (is_task)
        dead_text((struct pirn_task *)(uintptr_t)a, task, sizeof(task));
    snprintf(what, sizeof(what), "used after it was joined or released: %s%s",
             is_task ? "task " : "a future", task);
    return pirn_misuse(call, -EINVAL, what);
}

/* ---- What is dead stays a while ---- So a late use of its handle is told, and does not hit what
 * has the memory next. Tasks wait in their runtime's free list (task_pool.c), futures here. (Not
 * jobs and combinations, whose ends give other things back.) */

void pirn_debug_bury(struct object *o)
{
    enum {
        GRAVES = 1000
    };
    static _Atomic(struct object *) graves[GRAVES];
    static _Atomic unsigned next;
    unsigned i = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % GRAVES;
    o->base.kind |= KIND_DEAD;
    atomic_store_explicit(&o->base.ended, 1, memory_order_relaxed);
    /* acq_rel: who frees it comes after who buried it */
    free(atomic_exchange_explicit(&graves[i], o, memory_order_acq_rel));
}
