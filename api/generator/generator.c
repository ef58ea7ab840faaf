/*
 * Generators: a task for the body, and a hand-over of one value at a time.
 *
 * A pull
 *   1. takes the value that a pull before it gave up waiting for, if there is one; else, if the
 *      body has ended, says so
 *   2. else links itself to `consumer`, and lets the body run: starts it, or claims it at its yield
 *   3. is claimed by the body's next yield, which then, still under the lock, copies the value to
 *      where the pull wants it; or by the body's end
 * A yield
 *   1. claims the pull that waits and gives it the value; has the pull given up, the value is kept
 *   2. links itself to `body` and waits until a pull wants another
 * The claim decides: a pull that timed out or was cancelled has taken nothing.
 *
 * Copying after the claim is safe although the pull may have woken up: it takes the lock before it
 * leaves. So is a close that follows: the body's side has a reference of its own. Values are copied
 * and not passed by address, because at shutdown the body's stack may go while the consumer still
 * looks at the value.
 *
 * A close sends the body a cancel, and only then, under the lock, sets `closing` and claims it at
 * its yield. So a yield that finds `closing` finds the cancel too, if it is still pending, and
 * takes it: it is delivered once, and the body's cleanup can wait as it likes.
 *
 * The end is told by the task's owner hook, which also comes if the body was cancelled, or there
 * was no stack for it, before it began. The handle does not keep the task's descriptor: one that is
 * never closed does not keep a runtime's memory.
 *
 * All fields are under the lock, but for what is constant after pirn_generator_new.
 */
#include "api/generator/generator.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/debug.h"

static void adopt(struct pirn_task *t)
{
    (void)t;
}

static void on_end(struct pirn_task *t);

static int make(const char *call, pirn_generator **ret_generator, const pirn_spawn_config *config,
                size_t value_size, pirn_generator_fn fn, void *arg, void *site)
{
    static const pirn_spawn_config plain = PIRN_SPAWN_CONFIG_INIT;
    if (config == NULL)
        config = &plain;
    if (ret_generator == NULL || fn == NULL)
        return pirn_misuse(call, -EINVAL, MISUSE_NULL);
    if (config->size != sizeof(*config) || (config->flags & ~(unsigned)PIRN_OFF_STRAND) != 0 ||
        (config->flags != 0 && config->strand != NULL) ||
        config->stack_size > PIRN_STACK_SIZE_MAX || value_size > SIZE_MAX / 2)
        return pirn_misuse(call, -EINVAL,
                           misuse_of_config(config->size, sizeof(*config), MISUSE_SPAWN_CONFIG));
    struct pirn_runtime *rt = config->runtime != NULL ? config->runtime : pirn_runtime_current();
    if (rt == NULL)
        return pirn_misuse(call, -EPERM, MISUSE_NO_RUNTIME);
    pirn_generator *g = calloc(1, sizeof(*g) + value_size);
    if (g == NULL)
        return -ENOMEM;
    g->owner = (struct task_owner){adopt, on_end};
    g->rt = rt;
    g->fn = fn;
    g->arg = arg;
    g->arg_drop = config->arg_drop;
    g->site = site;
    g->strand = pirn_strand_retain(config->strand);
    g->flags = config->flags;
    g->stack_size = config->stack_size;
    g->value_size = value_size;
    if (config->name != NULL)
        strncpy(g->name, config->name, sizeof(g->name) - 1);
    atomic_init(&g->refs, 1);
    lock_init(&g->lock);
    *ret_generator = g;
    return 0;
}

int pirn_generator_new_with(pirn_generator **ret_generator, const pirn_spawn_config *config,
                            size_t value_size, pirn_generator_fn fn, void *arg)
{
    return make(__func__, ret_generator, config, value_size, fn, arg, __builtin_return_address(0));
}

int pirn_generator_new(pirn_generator **ret_generator, size_t value_size, pirn_generator_fn fn,
                       void *arg)
{
    return make(__func__, ret_generator, NULL, value_size, fn, arg, __builtin_return_address(0));
}

void pirn_generator_unref(pirn_generator *g)
{
    /* acq_rel: everybody's last use comes before the free */
    if (atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
        return;
    pirn_strand_release(g->strand);
    free(g);
}

bool pirn_generator_is_body(const pirn_generator *g)
{
    const struct pirn_task *t = pirn_current_task();
    return t != NULL && t->owner == &g->owner;
}

/* ---- The body's side --------------------------------------------------------------------- */

static int run_body(void *arg)
{
    pirn_generator *g = arg;
    return g->fn(g, g->arg);
}

void pirn_generator_drop_arg(void *generator)
{
    pirn_generator *g = generator;
    if (g->arg_drop != NULL)
        g->arg_drop(g->arg);
}

static void report_open(struct pirn_task *t)
{
    char name[NAME_MAX_BYTES];
    pirn_task_name(t, name, sizeof(name));
    pirn_report(t->rt, "generator %s was still open at shutdown", name);
}

/* The body is over; or was never to be. */
static void on_end(struct pirn_task *t)
{
    pirn_generator *g = (pirn_generator *)(void *)t->owner;
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    lock_take(&g->lock);
    struct pirn_task *task = g->task, *last_puller = g->last_puller;
    bool alone = g->consumer == NULL;
    g->task = g->last_puller = NULL;
    g->status = atomic_load_explicit(&t->base.status, memory_order_relaxed);
    g->ended = true;
    struct waiter *waiter = pirn_waiter_pop(&g->consumer);
    if (waiter != NULL)
        pirn_waiter_claim(waiter, &wakeups);
    lock_drop(&g->lock);
    pirn_wakeups_run(&wakeups);
    bool dropped = alone && atomic_load_explicit(&t->rt->closing, memory_order_relaxed) != 0 &&
                   (last_puller == NULL || task_has_ended(last_puller));
    if (dropped)
        report_open(t);
    else /* whoever pulls or closes is told */
        atomic_store_explicit(&t->base.seen, 1, memory_order_relaxed);
    if (last_puller != NULL)
        pirn_task_unref(last_puller);
    if (task != NULL)
        pirn_task_unref(task);
    pirn_generator_unref(g);
}

/* The first pull's flag keeps everybody else away. */
int pirn_generator_start(pirn_generator *g)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    bool adopted = false;
    struct spawn_how how = {.owner = &g->owner, .ret_adopted = &adopted};
    config.runtime = g->rt;
    config.strand = g->strand;
    config.flags = g->flags;
    config.stack_size = g->stack_size;
    config.name = g->name[0] != '\0' ? g->name : NULL;
    config.arg_drop = pirn_generator_drop_arg;
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    int rc = pirn_task_spawn(&task, &config, run_body, g, &how, g->site);
    if (rc != 0) {
        pirn_generator_unref(g); /* a task that is not pinned is adopted last: it has not been */
        return rc;
    }
    lock_take(&g->lock);
    bool ended = g->ended;
    if (!ended)
        g->task = task_of(task);
    lock_drop(&g->lock);
    if (ended)
        pirn_awaitable_unref(task);
    return 0;
}

/* Under the lock: claims the pull that waits, if it still does, and gives it the value. */
static bool give(pirn_generator *g, const void *value, struct wakeups *wakeups)
{
    struct waiter *waiter = pirn_waiter_pop(&g->consumer);
    if (waiter == NULL || !pirn_waiter_claim(waiter, wakeups))
        return false;
    if (g->ret_value != NULL && value != NULL)
        memcpy(g->ret_value, value, g->value_size);
    g->given = true;
    return true;
}

/* The generator is being closed: the request that said so has been delivered by this, also to a
 * body that is shielded. */
static int told_to_close(struct wait *w)
{
    uint64_t word = cell_load(w->cell);
    while (!cell_swap(w->cell, &word,
                      word & ~(uint64_t)(CELL_REQUESTED | CELL_CANCEL | CELL_PASSED))) {}
    pirn_task_relevel(w->task); /* a bound's goes on */
    return -ECANCELED;
}

int pirn_generator_yield(pirn_generator *generator, const void *value)
{
    struct wait w;
    struct wakeups wakeups;
    pirn_generator *g = generator;
    wakeups_init(&wakeups);
    const char *why = g == NULL ? MISUSE_NULL : misuse_of_item(value, g->value_size);
    if (why != NULL)
        return pirn_misuse(__func__, -EINVAL, why);
    if (!pirn_generator_is_body(g))
        return pirn_misuse(__func__, -EPERM, "only the generator's own function yields its values");
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    lock_take(&g->lock);
    bool closing = g->closing;
    if (!closing) {
        g->full = !give(g, value, &wakeups);
        if (g->full && value != NULL)
            memcpy(g->value, value, g->value_size);
        pirn_wait_link(&w, &g->body);
    }
    lock_drop(&g->lock);
    if (closing)
        return told_to_close(&w);
    pirn_wakeups_run(&wakeups);
    rc = pirn_wait_park(&w, "yield", INT64_MAX);
    lock_take(&g->lock);
    pirn_waiter_unlink(&g->body, w.waiter);
    closing = g->closing;
    if (rc != 0 || closing)
        g->full = false;
    lock_drop(&g->lock);
    return rc == 0 && closing ? told_to_close(&w) : rc;
}
