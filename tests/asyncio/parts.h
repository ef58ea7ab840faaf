/*
 * Parts for tests of what combines awaitables: coroutines that end when told, or in time, and that
 * say how they fared.
 */
#ifndef PIRN_TESTS_PARTS_H
#define PIRN_TESTS_PARTS_H

#include "tests/support.h"

enum {
    FOR_EVER = 1000 * 1000 /* ms: until it is cancelled */
};

struct part {
    int ms;            /* it sleeps so long */
    pirn_future *gate; /* or until that is set */
    int status;        /* and returns that */
    int cleanup_ms;    /* if cancelled, it sleeps so long, shielded, and then */
    bool absorbs;      /* returns status all the same, else -ECANCELED */
    void *value;       /* it leaves that */
    void (*drop)(void *value);
    atomic_int began, ended, cancelled;
};

static inline int run_part(void *arg)
{
    struct part *p = arg;
    atomic_fetch_add(&p->began, 1);
    int rc =
        p->gate != NULL ? pirn_await(p->gate, NULL, PIRN_NEVER) : pirn_sleep(pirn_after_ms(p->ms));
    if (p->value != NULL)
        CHECK_OK(pirn_set_value(p->value, p->drop));
    if (rc == -ECANCELED) {
        atomic_fetch_add(&p->cancelled, 1);
        if (p->cleanup_ms != 0) {
            CHECK_OK(pirn_shield_enter());
            CHECK_OK(pirn_sleep(pirn_after_ms(p->cleanup_ms)));
            CHECK_OK(pirn_shield_leave());
        }
    }
    atomic_fetch_add(&p->ended, 1);
    return rc == 0 || p->absorbs ? p->status : rc;
}

static inline pirn_task *start_part(struct part *p)
{
    return support_spawn(run_part, p);
}

static inline pirn_future *new_future(void)
{
    pirn_future *f = NULL;
    CHECK_OK(pirn_future_new(&f));
    return f;
}

static inline pirn_future *set_future(int status)
{
    pirn_future *f = new_future();
    CHECK_OK(pirn_future_set(f, status, NULL));
    return f;
}

static inline void release_all(pirn_awaitable **items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_OK(pirn_release(items[i]));
}

/* A task that is inside something, for others to cancel: *ret gets what fn said. */
static inline void run_everywhere(pirn_fn fn)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, fn, NULL));
}

#endif
