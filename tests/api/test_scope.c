/* Scopes: close waits, a failure cancels the siblings, limits, deadlines, cancels, nesting. */
#include "tests/support.h"

struct family {
    pirn_scope *scope;
    atomic_int started, ended, inside, most;
    pirn_future *gate;
};

static void open_scope(pirn_scope **ret_scope, int limit)
{
    CHECK_OK(pirn_scope_open(ret_scope, limit));
}

static void add(struct family *f, pirn_fn fn)
{
    CHECK_OK(pirn_scope_spawn(f->scope, fn, f, PIRN_NEVER));
}

static int brief(void *arg)
{
    struct family *f = arg;
    atomic_fetch_add(&f->started, 1);
    int rc = pirn_sleep(pirn_after_us(500));
    atomic_fetch_add(&f->ended, 1);
    return rc;
}

static int patient(void *arg)
{
    struct family *f = arg;
    atomic_fetch_add(&f->started, 1);
    int rc = pirn_sleep(PIRN_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_OK(pirn_shield_enter()); /* inside a cancelled scope, clean-up is shielded */
    CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    CHECK_OK(pirn_shield_leave());
    atomic_fetch_add(&f->ended, 1);
    return rc;
}

static int fails(void *arg)
{
    struct family *f = arg;
    support_until(&f->started, 3);
    return -EPIPE;
}

static int fails_later(void *arg)
{
    struct family *f = arg;
    atomic_fetch_add(&f->started, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    return -EIO; /* a failure, but not the first */
}

/* A child may add to the scope that is being closed. */
static int has_child(void *arg)
{
    struct family *f = arg;
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    add(f, brief);
    return 0;
}

static int close_waits(void *arg)
{
    (void)arg;
    struct family f = {0};
    open_scope(&f.scope, 0);
    CHECK_OK(pirn_scope_close(f.scope, PIRN_NEVER)); /* an empty one */
    open_scope(&f.scope, 0);
    for (int i = 0; i < 50; i++)
        add(&f, i % 2 ? brief : has_child);
    CHECK_OK(pirn_scope_close(f.scope, PIRN_NEVER));
    CHECK_EQ(atomic_load(&f.ended), 50);
    return 0;
}

static int first_failure(void *arg)
{
    (void)arg;
    struct family f = {0};
    open_scope(&f.scope, 0);
    add(&f, patient);
    add(&f, patient);
    add(&f, fails_later);
    add(&f, fails);
    CHECK_EQ(pirn_scope_close(f.scope, PIRN_NEVER), -EPIPE);
    CHECK_EQ(atomic_load(&f.ended), 2);
    CHECK_OK(pirn_yield()); /* the caller itself was not cancelled */
    return 0;
}

static int no_spawn_after_failure(void *arg)
{
    (void)arg;
    struct family f = {0};
    open_scope(&f.scope, 0);
    add(&f, patient);
    add(&f, patient);
    add(&f, fails_later);
    add(&f, fails);
    CHECK_OK(pirn_shield_enter()); /* the body is cancelled, too */
    while (atomic_load(&f.ended) < 2)
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
    CHECK_OK(pirn_shield_leave());
    CHECK_EQ(pirn_scope_spawn(f.scope, brief, &f, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_scope_close(f.scope, PIRN_NEVER), -EPIPE);
    CHECK_EQ(atomic_load(&f.started), 3);
    CHECK_OK(pirn_yield());
    return 0;
}

/* ---- Limits ------------------------------------------------------------------------------ */

static int counted(void *arg)
{
    struct family *f = arg;
    int inside = atomic_fetch_add(&f->inside, 1) + 1, most = atomic_load(&f->most);
    while (inside > most && !atomic_compare_exchange_weak(&f->most, &most, inside)) {}
    CHECK_OK(pirn_sleep(pirn_after_us(support_between(0, 100))));
    CHECK_OK(pirn_yield());
    atomic_fetch_sub(&f->inside, 1);
    atomic_fetch_add(&f->ended, 1);
    return 0;
}

static int limit(void *arg)
{
    (void)arg;
    for (int n = 1; n <= 8; n *= 2) {
        struct family f = {0};
        open_scope(&f.scope, n);
        for (int i = 0; i < 200; i++)
            add(&f, counted);
        CHECK_OK(pirn_scope_close(f.scope, PIRN_NEVER));
        CHECK_EQ(atomic_load(&f.ended), 200);
        CHECK_LE(atomic_load(&f.most), n);
        CHECK_GE(atomic_load(&f.most), n < 3 ? n : 2); /* and it is used */
    }
    return 0;
}

static int limit_full(void *arg)
{
    (void)arg;
    struct family f = {0};
    open_scope(&f.scope, 2);
    add(&f, patient);
    add(&f, patient);
    support_until(&f.started, 2);
    CHECK_EQ(pirn_scope_spawn(f.scope, brief, &f, PIRN_NOW), -ETIMEDOUT);
    pirn_time until = pirn_after_ms(5);
    CHECK_EQ(pirn_scope_spawn(f.scope, brief, &f, until), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, until.ns);
    CHECK_OK(pirn_cancel(pirn_current(), NULL)); /* of the one who waits for room */
    CHECK_EQ(pirn_scope_spawn(f.scope, brief, &f, PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_scope_cancel(f.scope, "full"));
    CHECK_OK(pirn_scope_close(f.scope, PIRN_NEVER)); /* the cancel it was sent is no failure */
    CHECK_EQ(atomic_load(&f.started), 2);
    CHECK_EQ(atomic_load(&f.ended), 2);
    return 0;
}

/* ---- Deadlines and cancels --------------------------------------------------------------- */

static int close_deadline(void *arg)
{
    (void)arg;
    pirn_time past_and_near[] = {PIRN_NOW, pirn_after_ms(5)};
    for (int i = 0; i < 2; i++) {
        struct family f = {0};
        open_scope(&f.scope, 0);
        add(&f, patient);
        add(&f, patient);
        support_until(&f.started, 2);
        CHECK_EQ(pirn_scope_close(f.scope, past_and_near[i]), -ETIMEDOUT);
        CHECK_EQ(atomic_load(&f.ended), 2); /* waited for all the same */
        CHECK_GE(pirn_now().ns, past_and_near[i].ns);
    }
    struct family f = {0};
    open_scope(&f.scope, 0);
    add(&f, brief);
    CHECK_OK(pirn_scope_close(f.scope, pirn_after_s(1000)));
    return 0;
}

static int closer(void *arg)
{
    struct family *f = arg;
    int rc = pirn_scope_close(f->scope, PIRN_NEVER);
    CHECK_EQ(atomic_load(&f->ended), 2);
    CHECK_OK(pirn_yield()); /* reported once */
    return rc;
}

static int opener(void *arg)
{
    struct family *f = arg;
    open_scope(&f->scope, 0);
    add(f, patient);
    add(f, patient);
    return closer(f);
}

static int cancel_owner(void *arg)
{
    (void)arg;
    struct family f = {0};
    pirn_task *task = support_spawn(opener, &f);
    support_until(&f.started, 2);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    return 0;
}

static void *cancel_scope_on_thread(void *arg)
{
    struct family *f = arg;
    CHECK_OK(pirn_scope_cancel(f->scope, "from a thread"));
    return NULL;
}

static int reads_reason(void *arg)
{
    struct family *f = arg;
    atomic_fetch_add(&f->started, 1);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK(pirn_cancel_reason() && strcmp(pirn_cancel_reason(), "from a thread") == 0);
    return -ECANCELED;
}

static int cancel_from_outside(void *arg)
{
    (void)arg;
    struct family f = {0};
    open_scope(&f.scope, 0);
    add(&f, reads_reason);
    add(&f, patient);
    support_until(&f.started, 2);
    pthread_t thread = support_thread(cancel_scope_on_thread, &f);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED); /* the body, too */
    support_thread_join(thread);
    CHECK_EQ(pirn_scope_spawn(f.scope, brief, &f, PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_scope_close(f.scope, PIRN_NEVER));
    CHECK_EQ(atomic_load(&f.ended), 1);
    return 0;
}

/* ---- Nesting ----------------------------------------------------------------------------- */

struct nest {
    int depth;
    atomic_int *started, *ended;
};

static int nested(void *arg)
{
    struct nest *n = arg;
    atomic_fetch_add(n->started, 1);
    int rc;
    if (n->depth == 0) {
        rc = pirn_sleep(PIRN_NEVER);
    } else {
        struct nest inner = {n->depth - 1, n->started, n->ended};
        pirn_scope *scope;
        open_scope(&scope, 0);
        rc = 0;
        for (int i = 0; i < 3 && rc == 0; i++)
            rc = pirn_scope_spawn(scope, nested, &inner, PIRN_NEVER);
        if (rc != 0) /* the cancel reached us here: it is for us to pass it on */
            CHECK_OK(pirn_scope_cancel(scope, NULL));
        int closed = pirn_scope_close(scope, PIRN_NEVER);
        rc = rc ? rc : closed;
    }
    atomic_fetch_add(n->ended, 1);
    return rc;
}

static int cancel_nested(void *arg)
{
    (void)arg;
    atomic_int started = 0, ended = 0;
    struct nest n = {3, &started, &ended};
    pirn_task *task = support_spawn(nested, &n);
    support_until(&started, 1 + 3 + 9 + 27);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    CHECK_EQ(atomic_load(&ended), 1 + 3 + 9 + 27);

    /* In the middle of being built, too. */
    for (int i = 0; i < support_rounds(100); i++) {
        atomic_store(&started, 0);
        atomic_store(&ended, 0);
        task = support_spawn(nested, &n);
        support_until(&started, 1);
        support_spin(support_between(0, 100 * US));
        CHECK_OK(pirn_cancel(task, NULL));
        CHECK_EQ(support_join(task), -ECANCELED);
        CHECK_EQ(atomic_load(&started), atomic_load(&ended));
    }
    return 0;
}

/* A name and a stack size reach the child; its argument is dropped. */
static void dropped(void *arg)
{
    struct family *f = arg;
    atomic_fetch_add(&f->most, 1);
}

static int named(void *arg)
{
    struct family *f = arg;
    char name[32];
    CHECK_OK(pirn_name(pirn_current(), name, sizeof(name)));
    CHECK(strcmp(name, "scoped") == 0);
    char big[200 * 1024];
    memset(big, 1, sizeof(big));
    CHECK_OK(pirn_yield());
    CHECK_EQ(big[support_between(0, (int)sizeof(big) - 1)], 1);
    atomic_fetch_add(&f->ended, 1);
    return 0;
}

static int configured(void *arg)
{
    (void)arg;
    struct family f = {0};
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.name = "scoped";
    config.stack_size = 1024 * 1024;
    config.arg_drop = dropped;
    open_scope(&f.scope, 0);
    for (int i = 0; i < 5; i++)
        CHECK_OK(pirn_scope_spawn_with(f.scope, &config, named, &f, PIRN_NEVER));
    CHECK_EQ(pirn_scope_spawn(f.scope, NULL, &f, PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_scope_close(f.scope, PIRN_NEVER));
    CHECK_EQ(atomic_load(&f.ended), 5);
    CHECK_EQ(atomic_load(&f.most), 5);
    CHECK_EQ(pirn_scope_open(&f.scope, -1), -EINVAL);
    return 0;
}

/* ---- A child cannot wait for itself ------------------------------------------------------ */

static int close_own_scope(void *arg)
{
    CHECK_EQ(pirn_scope_close(*(pirn_scope **)arg, PIRN_NEVER), -EDEADLK);
    return 0;
}

static int closed_by_child(void *arg)
{
    pirn_scope *scope;
    (void)arg;
    CHECK_OK(pirn_scope_open(&scope, 0));
    CHECK_OK(pirn_scope_spawn(scope, close_own_scope, &scope, PIRN_NEVER));
    CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
    return 0;
}

SUPPORT_EACH(close_waits_for_all, close_waits, 20)
SUPPORT_EACH(failure_cancels_siblings, first_failure, 50)
SUPPORT_EACH(failed_scope_takes_no_more, no_spawn_after_failure, 20)
SUPPORT_EACH(limit_is_kept, limit, 3)
SUPPORT_EACH(limit_makes_spawn_wait, limit_full, 20)
SUPPORT_EACH(deadline_of_close, close_deadline, 20)
SUPPORT_EACH(cancel_of_the_owner, cancel_owner, 20)
SUPPORT_EACH(cancel_of_the_scope, cancel_from_outside, 20)
SUPPORT_EACH(nested_scopes, cancel_nested, 3)
SUPPORT_EACH(child_config, configured, 3)
SUPPORT_EACH(close_by_a_child, closed_by_child, 20)

SUPPORT_MAIN("scope", close_waits_for_all, failure_cancels_siblings, failed_scope_takes_no_more,
             limit_is_kept, limit_makes_spawn_wait, deadline_of_close, cancel_of_the_owner,
             cancel_of_the_scope, nested_scopes, child_config, close_by_a_child)
