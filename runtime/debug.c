/*
 * Debug mode; see debug.h.
 *
 * Slow steps are timed on the switch path, so that each is seen, exactly, by the worker that ran it.
 * With debug mode off that path is as it was: the bit ATTENTION_DEBUG stays set in the attention of a
 * worker of a runtime in debug mode, and who finds attention set goes the long way anyhow
 * (note_conduct in worker.c), which reads the clock then. It also keeps awaited children from running
 * on their awaiter's stack (in_place.c): every task has steps of its own.
 *
 * Rejected: the monitor, which sees workers that stand still; its 5 ms are coarse, and it does not
 * know what a worker did in between.
 *
 * A step is wall-clock time, as in asyncio: who blocks in the kernel is slow, too, and so is who was
 * not given a core. Pinned tasks hold up nobody; they have no steps.
 */
#include "runtime/debug.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/clock.h"
#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/site.h"
#include "runtime/task.h"

static _Atomic int runtimes; /* in debug mode, in this process */

bool pirn_debug_in_environment(void)
{
    const char *value = secure_getenv("PIRN_DEBUG");
    return value != NULL && value[0] != '\0' && strcmp(value, "0") != 0;
}

void pirn_debug_count(int by)
{
    atomic_fetch_add_explicit(&runtimes, by, memory_order_relaxed);
}

void pirn_debug_task_text(struct pirn_task *t, char *buf, size_t size)
{
    char name[NAME_MAX_BYTES], site[SITE_TEXT];
    pirn_task_name(t, name, sizeof(name));
    pirn_site_text(t->site, site, sizeof(site));
    snprintf(buf, size, "%s (task %llu, spawned at %s)", name, (unsigned long long)t->id, site);
}

void pirn_debug_doing_text(struct pirn_task *t, int64_t now, char *buf, size_t size)
{
    char on[24] = "", sites[SITES_TEXT];
    const char *state = pirn_task_state(t);
    const char *what = atomic_load_explicit(&t->what, memory_order_relaxed);
    int64_t since = atomic_load_explicit(&t->since, memory_order_relaxed);
    int fd = atomic_load_explicit(&t->op.fd, memory_order_relaxed);
    if (what == NULL || state[0] != 'w') {
        snprintf(buf, size, "%s", state);
        return;
    }
    if (fd >= 0)
        snprintf(on, sizeof(on), " fd=%d", fd);
    pirn_sites_text(t, sites, sizeof(sites));
    snprintf(buf, size, "%s%s%s (for %.3f s)", what, on, sites, (double)(now - since) / 1e9);
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

void pirn_debug_last_step(struct pirn_task *t)
{
    struct worker *w = pirn_self()->worker;
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
    pirn_debug_task_text(t, task, sizeof(task));
    pirn_debug_doing_text(t, clock_now(), doing, sizeof(doing));
    pirn_report(rt, "task %s was left pending: %s", task, doing);
}

/* ---- Misuse ---- */

void pirn_misuse_tell(const char *call, int rc)
{
    struct pirn_task *t = pirn_current_task();
    if (t != NULL && t->rt->debug) {
        char task[TASK_TEXT];
        pirn_debug_task_text(t, task, sizeof(task));
        pirn_report(t->rt, "task %s misused %s: %s (%s)", task, call, strerrorname_np(-rc),
                    strerrordesc_np(-rc));
    } else if (t == NULL && (atomic_load_explicit(&runtimes, memory_order_relaxed) != 0 ||
                             pirn_debug_in_environment())) {
        fprintf(stderr, "pirn: thread %d misused %s: %s (%s)\n", gettid(), call,
                strerrorname_np(-rc), strerrordesc_np(-rc));
    }
}
