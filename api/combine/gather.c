/*
 * gather and shield: awaitables made of others.
 *
 * Either is an object with a watch over its parts. The watch holds a reference to the object as long
 * as a hook may fire, so a handle that is dropped early does not end what it watches.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/combine/watch.h"
#include "runtime/task.h"

struct gather {
    struct object object; /* first */
    unsigned flags;
    _Atomic int
        cancelled; /* somebody has asked for it (relaxed: what it brings about comes later) */
    struct watch watch;
    struct watched items[];
};

static struct gather *gather_of(struct object *o)
{
    return (struct gather *)(void *)o;
}

static struct gather *gather_of_watch(struct watch *w)
{
    return (struct gather *)(void *)((char *)w - offsetof(struct gather, watch));
}

static void gone(struct watch *w)
{
    pirn_awaitable_unref(&gather_of_watch(w)->object.base);
}

static void free_gather(struct object *o)
{
    struct gather *g = gather_of(o);
    for (size_t i = 0; i < g->watch.n; i++)
        pirn_awaitable_unref(g->items[i].a);
    free(g);
}

static void part_ended(struct watch *w, size_t i, size_t done, struct wakeups *wakeups)
{
    struct gather *g = gather_of_watch(w);
    int status = status_of(w->items[i].a);
    atomic_store_explicit(&w->items[i].a->seen, 1, memory_order_relaxed);
    if (status < 0 && (g->flags & PIRN_COLLECT) == 0)
        pirn_object_settle_into(&g->object, status, NULL, NULL, wakeups);
    else if (done == w->n)
        pirn_object_settle_into(
            &g->object, atomic_load_explicit(&g->cancelled, memory_order_relaxed) ? -ECANCELED : 0,
            NULL, NULL, wakeups);
}

static int cancel_parts(struct object *o, const char *reason)
{
    struct gather *g = gather_of(o);
    atomic_store_explicit(&g->cancelled, 1, memory_order_relaxed);
    for (size_t i = 0; i < g->watch.n; i++)
        pirn_awaitable_cancel(g->items[i].a, reason);
    return 0;
}

static void inner_ended(struct watch *w, size_t i, size_t done, struct wakeups *wakeups)
{
    struct gather *g = gather_of_watch(w);
    pirn_awaitable *inner = w->items[i].a;
    (void)done;
    if (pirn_object_settle_into(&g->object, status_of(inner), pirn_awaitable_value(inner), NULL,
                                wakeups) == 0)
        atomic_store_explicit(&inner->seen, 1, memory_order_relaxed);
}

static int leave_inner(struct object *o, const char *reason)
{
    (void)reason;
    return pirn_object_settle(o, -ECANCELED, NULL, NULL);
}

static int make(pirn_awaitable **ret, pirn_awaitable *const *items, size_t n, unsigned flags,
                const struct object_ops *ops,
                void (*on_each)(struct watch *, size_t, size_t, struct wakeups *))
{
    const char *call = on_each == part_ended ? "pirn_gather" : "pirn_shield";
    int rc = ret == NULL ? -EINVAL : pirn_watch_check(items, n, call);
    if (rc != 0)
        return rc;
    struct gather *g = malloc(sizeof(*g) + n * sizeof(g->items[0]));
    if (g == NULL)
        return -ENOMEM;
    pirn_object_init(&g->object, PIRN_KIND_COMBINED, ops);
    g->flags = flags;
    atomic_init(&g->cancelled, 0);
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
    pirn_watch_unref(&g->watch);
    return 0;
}

static const struct object_ops gather_ops = {cancel_parts, free_gather, false};

int pirn_gather(pirn_awaitable **ret_gather, pirn_awaitable *const *items, size_t n, unsigned flags)
{
    if ((flags & ~(unsigned)PIRN_COLLECT) != 0)
        return -EINVAL;
    return make(ret_gather, items, n, flags, &gather_ops, part_ended);
}

int pirn_shield(pirn_awaitable **ret_outer, pirn_awaitable *inner)
{
    static const struct object_ops ops = {leave_inner, free_gather, false};
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
