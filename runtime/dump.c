/*
 * What everybody is doing, for people: one line a worker, then one line a task, those that run
 * first. Nobody stands still meanwhile: a line says how it was when it was written.
 */
#include <errno.h>
#include <stdio.h>

#include "io/clock.h"
#include "runtime/runtime.h"
#include "runtime/site.h"

struct dump {
    FILE *out;
    int64_t now;
    uint64_t *shown; /* the numbers of those that ran; NULL: no memory */
    unsigned shown_count;
};

const struct worker *pirn_task_worker(const struct pirn_task *t, int64_t now, int64_t *ret_ran)
{
    unsigned n = rt_threads(t->rt);
    for (unsigned i = 0; i < n; i++) {
        const struct worker *w = rt_worker(t->rt, i);
        if (worker_seen_current(w) != t)
            continue;
        int64_t since = atomic_load_explicit(&w->monitor_since, memory_order_relaxed);
        bool moves = atomic_load_explicit(&w->tick, memory_order_relaxed) !=
                     atomic_load_explicit(&w->monitor_tick, memory_order_relaxed);
        *ret_ran = moves || since > now ? 0 : now - since;
        return w;
    }
    return NULL;
}

const char *pirn_task_state(const struct pirn_task *t)
{
    uint64_t word = cell_load(&t->cell);
    int64_t ran;
    bool pinned = (t->flags & PIRN_PINNED) != 0;
    if (!task_has_started(t) && !pinned)
        return "unstarted";
    if ((word & CELL_PARKED) != 0 || atomic_load_explicit(&t->inner, memory_order_relaxed) != NULL)
        return "waiting";
    return pinned || pirn_task_worker(t, 0, &ran) != NULL ? "running" : "runnable";
}

static void dump_wait(const struct dump *d, const struct pirn_task *t)
{
    char sites[SITES_TEXT];
    const char *what = atomic_load_explicit(&t->what, memory_order_relaxed);
    int64_t since = atomic_load_explicit(&t->since, memory_order_relaxed);
    int fd = atomic_load_explicit(&t->op.fd, memory_order_relaxed);
    if (what == NULL)
        return;
    fprintf(d->out, " %s", what);
    if (fd >= 0)
        fprintf(d->out, " fd=%d", fd);
    pirn_sites_text(t, sites, sizeof(sites));
    fprintf(d->out, "%s for %.3fs", sites, (double)(d->now - since) / 1e9);
}

/* It has been asked to end, and goes on. (The reason is the canceller's, who may free it once the
 * task has ended: now.) */
static void dump_cancel(const struct dump *d, struct pirn_task *t)
{
    lock_take(&t->base.lock);
    bool asked = t->cell.cancels != 0;
    lock_drop(&t->base.lock);
    if (asked)
        fputs(" cancelled", d->out);
}

static void dump_task(struct dump *d, struct pirn_task *t)
{
    char name[NAME_MAX_BYTES], site[SITE_TEXT];
    const char *state = pirn_task_state(t);
    const struct worker *w;
    int64_t ran;
    pirn_task_name(t, name, sizeof(name));
    fprintf(d->out, "task %llu %s %s", (unsigned long long)t->id, name, state);
    if (state[0] == 'w')
        dump_wait(d, t);
    else if ((w = pirn_task_worker(t, d->now, &ran)) != NULL)
        fprintf(d->out, " on worker %u for %.3fs", w->index, (double)ran / 1e9);
    dump_cancel(d, t);
    pirn_site_text(t->site, site, sizeof(site));
    fprintf(d->out, " spawned at %s\n", site);
}

static bool is_shown(const struct dump *d, const struct pirn_task *t)
{
    for (unsigned i = 0; i < d->shown_count; i++) {
        if (d->shown[i] == t->id)
            return true;
    }
    return false;
}

static void dump_other(struct pirn_task *t, void *arg)
{
    if (!is_shown(arg, t))
        dump_task(arg, t);
}

static void dump_running(struct dump *d, struct pirn_runtime *rt, unsigned n)
{
    for (unsigned i = 0; i < n && d->shown != NULL; i++) {
        struct pirn_task *t = worker_seen_current(rt_worker(rt, i));
        if (t == NULL || !pirn_task_try_ref(t))
            continue;
        if (!task_has_ended(t) && !is_shown(d, t)) {
            dump_task(d, t);
            d->shown[d->shown_count++] = t->id;
        }
        pirn_task_unref(t);
    }
}

static void dump_worker(FILE *out, struct worker *w)
{
    static const char *const roles[] = {"worker", "substitute", "sentinel", "retired", "gone"};
    static const char *const stuck[] = {"", " stuck spinning", " stuck blocked"};
    fprintf(out, "%s %u%s%s queued=%u switches=%llu steals=%llu\n", roles[worker_role(w)], w->index,
            worker_is_away(w) ? " parked" : "", stuck[worker_stuck(w)], pirn_runq_size(&w->q),
            (unsigned long long)atomic_load_explicit(&w->tick, memory_order_relaxed),
            (unsigned long long)atomic_load_explicit(&w->n.steals, memory_order_relaxed));
}

void pirn_dump_to(struct pirn_runtime *rt, FILE *out)
{
    unsigned n = rt_threads(rt);
    struct dump d = {out, clock_now(), mem_alloc(&rt->mem, n * sizeof(uint64_t)), 0};
    fprintf(out, "pirn: %u tasks live, %u workers\n", pirn_task_live(rt), rt->worker_count);
    for (unsigned i = 0; i < n; i++)
        dump_worker(out, rt_worker(rt, i));
    dump_running(&d, rt, n);
    pirn_task_each(rt, dump_other, &d);
    mem_free(&rt->mem, d.shown);
    fflush(out);
}
