/*
 * What combines awaitables, raced: ends, cancels and deadlines that meet. Whatever wins, a cancel
 * is told once, an item goes to one taker, and nobody touches what is gone.
 */
#include <sched.h>

#include "parts.h"

static pirn_awaitable *gather(pirn_awaitable *const *items, size_t n, unsigned flags)
{
    pirn_awaitable *g = NULL;
    CHECK_OK(pirn_gather(&g, items, n, flags));
    return g;
}

/* ---- The first failure, when parts end on two threads ---------------------------------------- */

struct ends {
    support_barrier barrier;
    atomic_int at; /* the two meet here, closer than at the barrier */
    pirn_future *f[2];
    int rounds;
};

static void come_close(struct ends *e)
{
    atomic_fetch_add(&e->at, 1);
    for (int tries = 0; atomic_load(&e->at) % 2 != 0 && tries < 10000; tries++) {}
    for (volatile int n = (int)support_between(0, 60); n > 0; n = n - 1) {}
}

static void *succeeds(void *arg)
{
    struct ends *e = arg;
    for (int i = 0; i < e->rounds; i++) {
        support_meet(&e->barrier);
        come_close(e);
        CHECK_OK(pirn_future_set(e->f[1], 0, NULL));
        support_meet(&e->barrier);
    }
    return NULL;
}

/* One fails, one does not: the whole has failed, whoever is told first. */
static int fails(void *arg)
{
    struct ends *e = arg;
    pthread_t thread = support_thread(succeeds, e);
    for (int i = 0; i < e->rounds; i++) {
        int status;
        e->f[0] = new_future();
        e->f[1] = new_future();
        pirn_awaitable *g = gather(e->f, 2, 0);
        support_meet(&e->barrier);
        come_close(e);
        CHECK_OK(pirn_future_set(e->f[0], -EIO, NULL));
        support_meet(&e->barrier);
        CHECK_OK(pirn_join(g, &status, PIRN_NEVER));
        CHECK_EQ(status, -EIO);
        release_all(e->f, 2);
    }
    support_thread_join(thread);
    return 0;
}

START_TEST(a71_a_failure_is_not_lost)
{
    FOR_WORKERS(w)
    {
        struct ends e = {.barrier = {.n = 2}, .rounds = support_rounds(3400)};
        CHECK_OK(support_run(w, fails, &e));
    }
}
END_TEST

/* ---- A cancel meets the end ------------------------------------------------------------------ */

enum kind {
    GATHER,
    COLLECT,
    SHIELD,
    WAIT,
    COMPLETIONS,
    WAIT_FOR,
    IN_TIMEOUT,
    KINDS
};

struct meeting {
    support_barrier barrier;
    enum kind kind;
    pirn_future *f[2];
    pirn_task *waiter;
    atomic_int waiting, asked, set, back;
    int rounds;
    int told_there, told_later;
};

static int waits(struct meeting *m)
{
    pirn_awaitable *a = NULL, *item;
    pirn_completions *c;
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    int rc = 0;
    switch (m->kind) {
    case GATHER:
    case COLLECT:
        a = gather(m->f, 2, m->kind == COLLECT ? PIRN_COLLECT : 0);
        break;
    case SHIELD:
        CHECK_OK(pirn_shield(&a, m->f[1]));
        break;
    default:
        break;
    }
    atomic_store(&m->waiting, 1);
    if (a != NULL) {
        int status = 0;
        rc = pirn_await(a, &status, PIRN_NEVER);
        CHECK(rc == -ECANCELED || (rc == 0 && status == 0));
        CHECK_OK(pirn_release(a));
    } else if (m->kind == WAIT) {
        rc = pirn_wait(m->f, 2, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER);
    } else if (m->kind == COMPLETIONS) {
        CHECK_OK(pirn_as_completed(&c, m->f, 2));
        int n = 0;
        while ((rc = pirn_completions_next(c, &item, PIRN_NEVER)) == 1)
            n++;
        CHECK(rc == -ECANCELED || n == 2);
        pirn_completions_free(c);
    } else if (m->kind == WAIT_FOR) {
        rc = pirn_wait_for(m->f[1], NULL, pirn_after_s(20));
    } else {
        CHECK_OK(pirn_timeout_enter(&t, pirn_after_s(20)));
        rc = pirn_timeout_leave(&t, pirn_await(m->f[1], NULL, PIRN_NEVER));
    }
    return rc;
}

static int is_asked(void *arg)
{
    struct meeting *m = arg;
    int rc = waits(m);
    atomic_store(&m->back, 1);
    while (!atomic_load(&m->asked)) /* without a place to be cancelled */
        sched_yield();
    int later = pirn_yield();
    CHECK(rc == 0 || rc == -ECANCELED);
    CHECK_EQ((rc != 0) + (later != 0), 1); /* once */
    CHECK_EQ(pirn_cancelling(NULL), 1);
    m->told_there += rc != 0;
    m->told_later += rc == 0;
    return 0;
}

static void *sets_both(void *arg)
{
    struct meeting *m = arg;
    for (int i = 0; i < m->rounds; i++) {
        support_meet(&m->barrier);
        support_until(&m->waiting, 1);
        support_until(&m->back, i % 8 == 0); /* now and then there is but one outcome */
        support_spin(support_between(0, 5 * US));
        for (int k = 0; k < 2; k++) { /* or it has been cancelled with the whole */
            int rc = pirn_future_set(m->f[k], 0, NULL);
            CHECK(rc == 0 || rc == -EALREADY);
        }
        atomic_store(&m->set, 1);
        support_meet(&m->barrier);
    }
    return NULL;
}

/* A runtime on a thread of its own, for tasks that this one cancels. */
struct home {
    _Atomic(pirn_runtime *) rt;
    pirn_future *stop;
    int workers;
};

static int gives_runtime(void *arg)
{
    struct home *h = arg;
    atomic_store(&h->rt, pirn_runtime_current());
    return pirn_await(h->stop, NULL, PIRN_NEVER);
}

static void *runs_home(void *arg)
{
    struct home *h = arg;
    CHECK_OK(support_run(h->workers, gives_runtime, h));
    return NULL;
}

static pthread_t open_home(struct home *h, int workers)
{
    *h = (struct home){NULL, new_future(), workers};
    pthread_t thread = support_thread(runs_home, h);
    while (atomic_load(&h->rt) == NULL)
        support_pause_ms(1);
    return thread;
}

static void close_home(struct home *h, pthread_t thread)
{
    CHECK_OK(pirn_future_set(h->stop, 0, NULL));
    support_thread_join(thread);
    CHECK_OK(pirn_release(h->stop));
}

static pirn_task *spawn_in(struct home *h, pirn_fn fn, void *arg, unsigned flags)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task = NULL;
    config.runtime = atomic_load(&h->rt);
    config.flags = flags;
    CHECK_OK(pirn_spawn_with(&task, &config, fn, arg));
    return task;
}

static void meet(struct home *h, enum kind kind, unsigned flags)
{
    struct meeting m = {
        .barrier = {.n = 2}, .kind = kind, .rounds = support_rounds(flags != 0 ? 50 : 400)};
    pthread_t thread = support_thread(sets_both, &m);
    for (int i = 0; i < m.rounds; i++) {
        atomic_store(&m.waiting, 0);
        atomic_store(&m.asked, 0);
        atomic_store(&m.set, 0);
        atomic_store(&m.back, 0);
        m.f[0] = new_future();
        m.f[1] = new_future();
        m.waiter = spawn_in(h, is_asked, &m, flags);
        support_meet(&m.barrier);
        support_until(&m.waiting, 1);
        support_until(&m.set, i % 8 == 1);
        support_until(&m.back, i % 8 == 1);
        support_spin(support_between(0, 8 * US));
        CHECK_OK(pirn_cancel(m.waiter, NULL));
        atomic_store(&m.asked, 1);
        support_meet(&m.barrier);
        CHECK_OK(support_join(m.waiter));
        release_all(m.f, 2);
    }
    support_thread_join(thread);
    CHECK(m.told_there > 0);
    CHECK(m.told_later > 0 || m.rounds < 2);
}

START_TEST(a85_a_cancel_is_told_once)
{
    FOR_WORKERS(w)
    {
        struct home h;
        pthread_t thread = open_home(&h, w);
        for (enum kind kind = 0; kind < KINDS; kind++) {
            meet(&h, kind, 0);
            meet(&h, kind, PIRN_PINNED);
        }
        close_home(&h, thread);
    }
}
END_TEST

/* ---- A gather that fails while its hooks are being set --------------------------------------- */

struct setting {
    support_barrier barrier;
    pirn_future *f[8];
    int rounds;
};

static void *ends_some(void *arg)
{
    struct setting *s = arg;
    for (int i = 0; i < s->rounds; i++) {
        support_meet(&s->barrier);
        support_spin(support_between(0, 2 * US));
        CHECK_OK(pirn_future_set(s->f[i % 8], -EIO, NULL));
        support_meet(&s->barrier);
    }
    return NULL;
}

static int sets_hooks(void *arg)
{
    struct setting *s = arg;
    pthread_t thread = support_thread(ends_some, s);
    for (int i = 0; i < s->rounds; i++) {
        pirn_awaitable *shield = NULL;
        int status;
        for (int k = 0; k < 8; k++)
            s->f[k] = new_future();
        support_meet(&s->barrier);
        pirn_awaitable *g = gather(s->f, 8, 0);
        CHECK_OK(pirn_shield(&shield, s->f[i % 8]));
        int rc = pirn_cancel(shield, NULL);
        CHECK(rc == 0 || rc == -EALREADY);
        CHECK_OK(pirn_join(g, &status, PIRN_NEVER));
        CHECK_EQ(status, -EIO);
        CHECK_OK(pirn_join(shield, &status, PIRN_NEVER));
        CHECK_EQ(status, rc == 0 ? -ECANCELED : -EIO);
        support_meet(&s->barrier);
        for (int k = 0; k < 8; k++) /* what was left there would be touched now */
            CHECK_EQ(pirn_future_set(s->f[k], 0, NULL), k == i % 8 ? -EALREADY : 0);
        release_all(s->f, 8);
    }
    support_thread_join(thread);
    return 0;
}

START_TEST(a71_fails_while_it_is_made)
{
    FOR_WORKERS(w)
    {
        struct setting s = {.barrier = {.n = 2}, .rounds = support_rounds(1700)};
        CHECK_OK(support_run(w, sets_hooks, &s));
    }
}
END_TEST

/* ---- A cancel between the last part's end and the whole's ------------------------------------ */

enum {
    PARTS = 20000 /* to be looked through in between */
};

struct last {
    support_barrier barrier;
    pirn_future *f;
    int rounds;
};

static void *sets_last(void *arg)
{
    struct last *l = arg;
    for (int i = 0; i < l->rounds; i++) {
        support_meet(&l->barrier);
        CHECK_OK(pirn_future_set(l->f, 0, NULL));
        support_meet(&l->barrier);
    }
    return NULL;
}

static int cancels_late(void *arg)
{
    struct last *l = arg;
    static pirn_awaitable *items[PARTS];
    pirn_future *ended = new_future();
    pthread_t thread = support_thread(sets_last, l);
    CHECK_OK(pirn_future_set(ended, 0, NULL));
    for (int i = 0; i < PARTS; i++)
        items[i] = ended;
    for (int i = 0; i < l->rounds; i++) {
        int status;
        items[PARTS - 1] = l->f = new_future();
        pirn_awaitable *g = gather(items, PARTS, 0);
        support_meet(&l->barrier);
        while (!pirn_done(l->f)) {}
        support_spin(support_between(0, 20 * US));
        int rc = pirn_cancel(g, NULL);
        CHECK(rc == 0 || (rc == -EALREADY && pirn_done(g)));
        support_meet(&l->barrier);
        CHECK_OK(pirn_join(g, &status, PIRN_NEVER));
        CHECK_EQ(status, rc == 0 ? -ECANCELED : 0);
        pirn_release(l->f);
    }
    support_thread_join(thread);
    pirn_release(ended);
    return 0;
}

START_TEST(a85_too_late_is_after_the_end)
{
    FOR_WORKERS(w)
    {
        struct last l = {.barrier = {.n = 2}, .rounds = support_rounds(100)};
        CHECK_OK(support_run(w, cancels_late, &l));
    }
}
END_TEST

SUPPORT_MAIN("asyncio/combine_contest", a71_a_failure_is_not_lost, a71_fails_while_it_is_made,
             a85_a_cancel_is_told_once, a85_too_late_is_after_the_end)
