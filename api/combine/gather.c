/*
 * gather and shield: awaitables made of others.
 *
 * Either is an object with a watch over its parts. The watch holds a reference to the object as
 * long as a hook may fire. Once the object has ended, or nobody else has a reference to it, the
 * hooks that are left are taken back: what is given up, or fails, again and again beside a part
 * that stays must leave nothing there. (Not while they are being set: then who sets them does it.)
 *
 * Parts end on several threads, so the second may be told before the first is: what it ends with is
 * looked up in the order of their ends, by whoever comes.
 *
 * They nest, to any depth, on small stacks: a cancel that goes down, and the last reference, take
 * the gathers they come to from a list, not one inside the other.
 *
 * Field          who may touch it
 * cancelled      under the watch's lock; after the last part's end constant
 * started        under the watch's lock
 * taken          who settles it, then who frees it
 * listed         whoever cancels (an exchange); next_told: who has set listed
 * next_freed     who has given up the last reference
 */
#include <errno.h>
#include <stdlib.h>

#include "api/combine/watch.h"
#include "runtime/debug.h"
#include "runtime/task.h"

enum {
    FEW = 16
};

struct gather {
    struct object object; /* first */
    unsigned flags;
    bool cancelled; /* somebody has asked for it while a part was under way */
    bool started;   /* all hooks are set */
    bool taken;     /* how it ended is how its parts did */
    _Atomic uint8_t listed;
    struct gather *next_told, *next_freed;
    struct watch watch;
    struct watched items[];
};

static void free_gather(struct object *o);

static struct gather *gather_of(struct object *o)
{
    return (struct gather *)(void *)o;
}

static struct gather *gather_of_watch(struct watch *w)
{
    return (struct gather *)(void *)((char *)w - offsetof(struct gather, watch));
}

static bool is_combined(const pirn_awaitable *a) /* made here */
{
    return a->kind == PIRN_KIND_COMBINED &&
           object_of((pirn_awaitable *)a)->ops->free == free_gather;
}

static void gone(struct watch *w)
{
    struct gather *g = gather_of_watch(w);
    /* acq_rel: as in pirn_object_let_go; which may be who called, and is not to be asked again */
    if (atomic_fetch_sub_explicit(&g->object.base.refs, 1, memory_order_acq_rel) == 1)
        free_gather(&g->object);
}

static void push_freed(struct gather *g, struct gather **todo)
{
    g->next_freed = *todo;
    *todo = g;
}

/* Who has looked at it has looked at its parts; else they speak for themselves. */
static void free_one(struct gather *g, struct gather **todo)
{
    bool seen = g->taken && atomic_load_explicit(&g->object.base.seen, memory_order_relaxed) != 0;
    for (size_t i = 0; i < g->watch.n; i++) {
        pirn_awaitable *a = g->items[i].a;
        if (seen)
            atomic_store_explicit(&a->seen, 1, memory_order_relaxed);
        if (!is_combined(a))
            pirn_awaitable_unref(a);
        else if (pirn_object_let_go(object_of(a))) /* not freed in a frame of its own */
            push_freed(gather_of(object_of(a)), todo);
    }
    free(g);
}

static void free_gather(struct object *o)
{
    struct gather *todo = NULL, *g;
    push_freed(gather_of(o), &todo);
    while ((g = todo) != NULL) {
        todo = g->next_freed;
        free_one(g, &todo);
    }
}

/* It has ended, perhaps before its parts have: it need not hear of the others. */
static void stop_listening(struct gather *g)
{
    lock_take(&g->watch.lock);
    bool stops = g->started && g->watch.done < g->watch.n;
    lock_drop(&g->watch.lock);
    if (stops)
        pirn_watch_stop(&g->watch);
}

static void alone(struct object *o)
{
    stop_listening(gather_of(o));
}

/* ---- gather ---- */

/* Of the parts that have ended, the first to fail: its status, or 0. done: as the watch told it. */
static int first_failure(const struct watch *w, size_t done)
{
    for (size_t k = 0; k < done; k++) {
        int status = status_of(w->items[watch_completed(w, k)].a);
        if (status < 0)
            return status;
    }
    return 0;
}

/* All parts have ended, or one has failed; done: as above. */
static void settle(struct gather *g, size_t done, struct wakeups *wakeups)
{
    int status = (g->flags & PIRN_COLLECT) != 0 ? 0 : first_failure(&g->watch, done);
    if (status == 0 && g->cancelled) /* the last part: nobody writes it any more */
        status = -ECANCELED;
    pirn_object_settle_into(&g->object, status, NULL, NULL, wakeups);
}

static void part_ended(struct watch *w, size_t i, size_t done, struct wakeups *wakeups)
{
    struct gather *g = gather_of_watch(w);
    if (done < w->n && ((g->flags & PIRN_COLLECT) != 0 || status_of(w->items[i].a) >= 0))
        return;
    if (awaitable_has_ended(&g->object.base))
        return;
    settle(g, done, wakeups);
    stop_listening(g);
}

/* Too late for a cancel, and maybe who was told of the last part has not come to settling it: then
 * it is done here. It has ended for whoever hears that it is too late: an awaiter that is cancelled
 * tries no second time. */
static void settle_late(struct gather *g)
{
    struct wakeups wakeups = WAKEUPS_INIT;
    if (awaitable_has_ended(&g->object.base))
        return;
    settle(g, g->watch.n, &wakeups);
    pirn_wakeups_run(&wakeups);
}

/* Gathers to be told, first come, first served: one that several lead to is there once, mostly. */
struct told {
    struct gather *first, **end;
};

/* Asks g to be cancelled: into the list with it. False: too late. */
static bool list_cancel(struct gather *g, struct told *todo)
{
    lock_take(&g->watch.lock);
    bool late = g->watch.done == g->watch.n;
    if (!late)
        g->cancelled = true;
    lock_drop(&g->watch.lock);
    /* acquire: pairs with the release of who has had it in a list. If somebody has, the two cancels
     * are one */
    if (!late && atomic_exchange_explicit(&g->listed, 1, memory_order_acquire) == 0) {
        g->next_told = NULL;
        *todo->end = g;
        todo->end = &g->next_told;
    }
    return !late;
}

static int cancel_parts(struct object *o, const char *reason);

static void cancel_part(pirn_awaitable *a, const char *reason, struct told *todo)
{
    if (!is_combined(a) || object_of(a)->ops->cancel != cancel_parts) {
        pirn_awaitable_cancel(a, reason);
    } else if (!awaitable_has_ended(a)) {
        atomic_store_explicit(&object_of(a)->reason, reason, memory_order_relaxed);
        list_cancel(gather_of(object_of(a)), todo);
    }
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (pirn_awaitable *const *)a;
    uintptr_t y = (uintptr_t) * (pirn_awaitable *const *)b;
    return x < y ? -1 : x > y;
}

/* Each part once, by place, however often it was given: a task would count the cancels. Without
 * memory for that they may be told more than once. */
static void tell_parts(struct gather *g, const char *reason, struct told *todo)
{
    size_t n = g->watch.n, m = 0;
    pirn_awaitable *few[FEW], **parts = n <= FEW ? few : malloc(n * sizeof(parts[0]));
    bool few_told[FEW] = {false}, *told = n <= FEW ? few_told : calloc(n, sizeof(told[0]));
    bool once = parts != NULL && told != NULL;
    for (size_t i = 0; once && i < n; i++)
        parts[i] = g->items[i].a;
    if (once)
        qsort(parts, n, sizeof(parts[0]), by_address);
    for (size_t i = 0; once && i < n; i++)
        if (m == 0 || parts[m - 1] != parts[i])
            parts[m++] = parts[i];
    for (size_t i = 0; i < n; i++) {
        pirn_awaitable *a = g->items[i].a, **at;
        if (once) {
            at = bsearch(&a, parts, m, sizeof(parts[0]), by_address);
            if (told[at - parts])
                continue;
            told[at - parts] = true;
        }
        cancel_part(a, reason, todo);
    }
    if (n > FEW) {
        free(parts);
        free(told);
    }
}

static int cancel_parts(struct object *o, const char *reason)
{
    struct told todo = {NULL, &todo.first};
    struct gather *g;
    if (!list_cancel(gather_of(o), &todo)) {
        settle_late(gather_of(o));
        return -EALREADY;
    }
    while ((g = todo.first) != NULL) {
        todo.first = g->next_told;
        if (todo.first == NULL)
            todo.end = &todo.first;
        /* release: pairs with the next exchange */
        atomic_store_explicit(&g->listed, 0, memory_order_release);
        tell_parts(g, reason, &todo);
    }
    return 0;
}

/* ---- shield ---- */

static void inner_ended(struct watch *w, size_t i, size_t done, struct wakeups *wakeups)
{
    struct gather *g = gather_of_watch(w);
    pirn_awaitable *inner = w->items[i].a;
    (void)done;
    if (pirn_object_settle_into(&g->object, status_of(inner), pirn_awaitable_value(inner), NULL,
                                wakeups) == 0)
        g->taken = true;
}

static int leave_inner(struct object *o, const char *reason)
{
    (void)reason;
    int rc = pirn_object_settle(o, -ECANCELED, NULL, NULL);
    if (rc == 0)
        stop_listening(gather_of(o));
    return rc;
}

/* ---- Both ---- */

static int make(pirn_awaitable **ret, pirn_awaitable *const *items, size_t n, unsigned flags,
                const struct object_ops *ops,
                void (*on_each)(struct watch *, size_t, size_t, struct wakeups *))
{
    const char *call = on_each == part_ended ? "pirn_gather" : "pirn_shield";
    int rc =
        ret == NULL ? pirn_misuse(call, -EINVAL, MISUSE_NULL) : pirn_watch_check(items, n, call);
    if (rc != 0)
        return rc;
    struct gather *g = malloc(sizeof(*g) + n * sizeof(g->items[0]));
    if (g == NULL)
        return -ENOMEM;
    pirn_object_init(&g->object, PIRN_KIND_COMBINED, ops);
    g->flags = flags;
    g->cancelled = g->started = false;
    g->taken = on_each == part_ended;
    atomic_init(&g->listed, 0);
    pirn_watch_init(&g->watch, g->items, items, n);
    g->watch.on_each = on_each;
    g->watch.gone = gone;
    pirn_awaitable_ref(&g->object.base); /* the watch's */
    for (size_t i = 0; i < n; i++) {
        pirn_awaitable_ref(items[i]);
        pirn_task_begin_awaited(items[i]);
    }
    if (n == 0)
        pirn_object_settle(&g->object, 0, NULL, NULL);
    *ret = &g->object.base;
    pirn_watch_start(&g->watch);
    lock_take(&g->watch.lock);
    g->started = true;
    lock_drop(&g->watch.lock);
    if (awaitable_has_ended(&g->object.base)) /* while the hooks were being set */
        stop_listening(g);
    pirn_watch_unref(&g->watch);
    return 0;
}

static const struct object_ops gather_ops = {cancel_parts, free_gather, alone, false, NULL};

/* The caller's reference to something that nobody will await for it: a task that runs goes on. */
static void give_up(pirn_awaitable *a)
{
    if (task_of(a) != NULL)
        pirn_detach(a);
    else
        pirn_release(a);
}

int pirn_gather(pirn_awaitable **ret_gather, pirn_awaitable *const *items, size_t n, unsigned flags)
{
    const unsigned known = PIRN_COLLECT | PIRN_TAKE;
    int rc = (flags & ~known) != 0 ? pirn_misuse(__func__, -EINVAL, "there is no such flag")
                                   : make(ret_gather, items, n, flags, &gather_ops, part_ended);
    for (size_t i = 0; (flags & PIRN_TAKE) != 0 && items != NULL && i < n; i++) {
        if (rc == 0)
            pirn_awaitable_unref(items[i]); /* the gather has its own */
        else if (items[i] != NULL)
            give_up(items[i]);
    }
    return rc;
}

int pirn_shield(pirn_awaitable **ret_outer, pirn_awaitable *inner)
{
    static const struct object_ops ops = {leave_inner, free_gather, alone, false, NULL};
    return make(ret_outer, &inner, 1, 0, &ops, inner_ended);
}

size_t pirn_gather_count(const pirn_awaitable *gather)
{
    if (gather == NULL || gather->kind != PIRN_KIND_COMBINED)
        return 0;
    return gather_of(object_of((pirn_awaitable *)gather))->watch.n;
}

pirn_awaitable *pirn_gather_item(const pirn_awaitable *gather, size_t i)
{
    if (i >= pirn_gather_count(gather))
        return NULL;
    return gather_of(object_of((pirn_awaitable *)gather))->items[i].a;
}
