/*
 * wait, and the iterator over what ends next: both are a watch that lives as long as the call, or
 * the iterator. A hook may fire while it is being taken back, so the watch is on the heap.
 *
 * Whoever waits for all of a thousand is woken once, not a thousand times: what is enough is
 * decided where the items end (watch.h: wakes).
 */
#include <errno.h>
#include <stdlib.h>

#include "api/combine/watch.h"
#include "runtime/debug.h"
#include "runtime/task.h"

struct pirn_completions {
    struct watch watch;  /* first */
    enum pirn_when when; /* of a wait */
    size_t taken;        /* under its lock: so many of its order have been looked at, handed out */
    pirn_awaitable **items; /* each once, by address */
    bool keeps;             /* references to them */
    struct watched watched[];
};

static struct pirn_completions *of_watch(struct watch *w)
{
    return (struct pirn_completions *)(void *)w;
}

static void gone(struct watch *w)
{
    struct pirn_completions *c = of_watch(w);
    for (size_t i = 0; c->keeps && i < w->n; i++)
        pirn_awaitable_unref(c->items[i]);
    free(c->items);
    free(c);
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (pirn_awaitable *const *)a;
    uintptr_t y = (uintptr_t) * (pirn_awaitable *const *)b;
    return x < y ? -1 : x > y;
}

/* Over the n items, each once; NULL: no memory. Those that have not begun are begun. */
static struct pirn_completions *watch_all(pirn_awaitable *const *items, size_t n, bool keeps,
                                          bool (*wakes)(struct watch *w))
{
    size_t m = 0;
    pirn_awaitable **once = malloc(n * sizeof(once[0]) + 1);
    struct pirn_completions *c = malloc(sizeof(*c) + n * sizeof(c->watched[0]));
    if (once == NULL || c == NULL) {
        free(once);
        free(c);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        once[i] = items[i];
    qsort(once, n, sizeof(once[0]), by_address);
    for (size_t i = 0; i < n; i++)
        if (m == 0 || once[m - 1] != once[i])
            once[m++] = once[i];
    pirn_watch_init(&c->watch, c->watched, once, m);
    c->watch.wakes = wakes;
    c->watch.gone = gone;
    c->when = PIRN_ALL_COMPLETED;
    c->taken = 0;
    c->items = once;
    c->keeps = keeps;
    for (size_t i = 0; i < m; i++) {
        if (keeps)
            pirn_awaitable_ref(once[i]);
        pirn_task_begin_awaited(once[i]);
    }
    return c;
}

/* ---- wait ---- */

static bool is_enough(struct watch *w)
{
    struct pirn_completions *c = of_watch(w);
    if (w->done == w->n || (w->done != 0 && c->when == PIRN_FIRST_COMPLETED))
        return true;
    for (; c->when == PIRN_FIRST_EXCEPTION && c->taken < w->done; c->taken++) {
        int status = status_of(w->items[watch_completed(w, c->taken)].a);
        if (status < 0 && status != -ECANCELED)
            return true;
    }
    return false;
}

static bool wait_is_over(struct watch *w, void *arg)
{
    (void)arg;
    return is_enough(w);
}

/* Each item is looked at once, so that the array and the count agree. */
static void tell(struct pirn_completions *c, pirn_awaitable *const *items, size_t n, bool *ret_done,
                 size_t *ret_count)
{
    size_t m = c->watch.n, count = 0;
    for (size_t k = 0; k < m; k++) {
        c->watched[k].ended = awaitable_has_ended(c->items[k]);
        count += c->watched[k].ended;
    }
    for (size_t i = 0; i < n && ret_done != NULL; i++) {
        pirn_awaitable **at = bsearch(&items[i], c->items, m, sizeof(c->items[0]), by_address);
        ret_done[i] = c->watched[at - c->items].ended;
    }
    if (ret_count != NULL)
        *ret_count = count;
}

int pirn_wait(pirn_awaitable *const *items, size_t n, pirn_when when, bool *ret_done,
              size_t *ret_count, pirn_time deadline)
{
    int rc = n == 0 || (unsigned)when > PIRN_FIRST_EXCEPTION
                 ? pirn_misuse(__func__, -EINVAL, "there is nothing to wait for, or no such `when`")
                 : pirn_watch_check(items, n, __func__);
    if (rc != 0)
        return rc;
    struct pirn_completions *c = watch_all(items, n, false, is_enough);
    if (c == NULL)
        return -ENOMEM;
    c->when = when;
    pirn_watch_start(&c->watch);
    rc = pirn_watch_wait(&c->watch, "wait", wait_is_over, NULL, deadline.ns);
    pirn_watch_stop(&c->watch);
    if (rc == -ETIMEDOUT)
        rc = 0;
    if (rc == 0)
        tell(c, items, n, ret_done, ret_count);
    pirn_watch_unref(&c->watch);
    return rc;
}

/* ---- as completed ---- */

static bool always(struct watch *w)
{
    (void)w;
    return true;
}

int pirn_as_completed(pirn_completions **ret_completions, pirn_awaitable *const *items, size_t n)
{
    int rc = ret_completions == NULL ? pirn_misuse(__func__, -EINVAL, MISUSE_NULL)
                                     : pirn_watch_check(items, n, __func__);
    if (rc != 0)
        return rc;
    struct pirn_completions *c = watch_all(items, n, true, always);
    if (c == NULL)
        return -ENOMEM;
    pirn_watch_start(&c->watch);
    *ret_completions = c;
    return 0;
}

static bool one_more(struct watch *w, void *arg)
{
    struct pirn_completions *c = of_watch(w);
    pirn_awaitable **next = arg;
    *next = NULL;
    if (c->taken < w->done)
        *next = w->items[watch_completed(w, c->taken++)].a;
    return *next != NULL || c->taken == w->n;
}

int pirn_completions_next(pirn_completions *completions, pirn_awaitable **ret_item,
                          pirn_time deadline)
{
    pirn_awaitable *next = NULL;
    if (completions == NULL || ret_item == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = pirn_watch_wait(&completions->watch, "as completed", one_more, &next, deadline.ns);
    if (rc != 0 || next == NULL)
        return rc;
    *ret_item = next;
    return 1;
}

void pirn_completions_free(pirn_completions *completions)
{
    if (completions == NULL)
        return;
    pirn_watch_stop(&completions->watch);
    pirn_watch_unref(&completions->watch);
}
