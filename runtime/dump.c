/*
 * What everybody is doing, for people: one line a task.
 */
#include <errno.h>
#include <stdio.h>

#include "io/clock.h"
#include "runtime/runtime.h"
#include "runtime/site.h"

struct dump {
    FILE *out;
    int64_t now;
    unsigned count;
};

const char *pirn_task_state(const struct pirn_task *t)
{
    uint64_t word = cell_load(&t->cell);
    if (!task_has_started(t) && (t->flags & PIRN_PINNED) == 0)
        return "unstarted";
    if ((word & CELL_PARKED) != 0 || atomic_load_explicit(&t->inner, memory_order_relaxed) != NULL)
        return "waiting";
    return "runnable";
}

static void dump_task(struct pirn_task *t, void *arg)
{
    struct dump *d = arg;
    char name[NAME_MAX_BYTES], site[SITE_TEXT], sites[SITES_TEXT];
    const char *what = atomic_load_explicit(&t->what, memory_order_relaxed);
    const char *state = pirn_task_state(t);
    pirn_task_name(t, name, sizeof(name));
    fprintf(d->out, "task %llu %s %s", (unsigned long long)t->id, name, state);
    if (what != NULL && state[0] == 'w') {
        int64_t since = atomic_load_explicit(&t->since, memory_order_relaxed);
        fprintf(d->out, " %s", what);
        int fd = atomic_load_explicit(&t->op.fd, memory_order_relaxed);
        if (fd >= 0)
            fprintf(d->out, " fd=%d", fd);
        pirn_sites_text(t, sites, sizeof(sites));
        fprintf(d->out, "%s for %.3fs", sites, (double)(d->now - since) / 1e9);
    }
    pirn_site_text(t->site, site, sizeof(site));
    fprintf(d->out, " spawned at %s\n", site);
    d->count++;
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
    struct dump d = {out, clock_now(), 0};
    unsigned n = rt_threads(rt);
    fprintf(out, "pirn: %u tasks live, %u workers\n", pirn_task_live(rt), rt->worker_count);
    for (unsigned i = 0; i < n; i++)
        dump_worker(out, rt_worker(rt, i));
    pirn_task_each(rt, dump_task, &d);
    fflush(out);
}
