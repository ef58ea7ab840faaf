/*
 * Mutex, reader-writer lock, condition, semaphore, barrier, event, once and wait group, used by
 * many at the same time, amid cancels and deadlines: nobody is in twice, no permit is lost or made,
 * no place is given twice, and nobody is left waiting. And scopes with a limit. See chaos.h.
 */
#include "tests/race/chaos.h"

enum {
    STEPS = 12, /* of an actor, at most */
    PERMITS = 2
};

struct objects {
    int n, steps; /* actors */
    pirn_mutex mutex;
    pirn_condition condition;
    pirn_rwlock rwlock;
    pirn_semaphore semaphore;
    pirn_barrier barrier;
    pirn_event event;
    pirn_once once[STEPS];
    pirn_wait_group group;
    int tokens, turns;                            /* under mutex */
    int written, written_again;                   /* under rwlock */
    atomic_int readers, writers, permits, resets; /* now */
    int once_runs[STEPS];                         /* by who runs it */
    atomic_int seats[STEPS][CHAOS_ACTORS];
    int ended[CHAOS_ACTORS]; /* seen by who waits for the group */
};

static struct objects *of(struct actor *a)
{
    return a->chaos->objects;
}

/* False: the actor's runtime ends. */
static bool again(struct actor *a, int (*op)(struct actor *a, void *arg, pirn_time t), void *arg)
{
    int rc;
    while ((rc = chaos_call(a, op, arg, chaos_deadline(a))) < 0 && rc != -ESHUTDOWN)
        CHECK(chaos_stopped(rc));
    return rc >= 0;
}

/* ---- Mutex and condition ----------------------------------------------------------------- */

static int op_lock(struct actor *a, void *arg, pirn_time t)
{
    return chaos_roll(a, 8) == 0 ? pirn_mutex_try_lock(arg) : pirn_mutex_lock(arg, t);
}

static void put_token(struct actor *a)
{
    struct objects *o = of(a);
    if (!again(a, op_lock, &o->mutex))
        return;
    int turns = ++o->turns;
    if (chaos_roll(a, 4) == 0)
        chaos_dawdle(a);
    CHECK_EQ(o->turns, turns); /* nobody else is in */
    o->tokens++;
    CHECK_OK(pirn_condition_notify(&o->condition, 1));
    CHECK_OK(pirn_mutex_unlock(&o->mutex));
}

static int op_wait(struct actor *a, void *arg, pirn_time t)
{
    struct objects *o = of(a);
    (void)arg;
    int turns = ++o->turns; /* the mutex is ours, before and after */
    int rc = pirn_condition_wait(&o->condition, t);
    CHECK(o->turns >= turns);
    o->turns++;
    return rc;
}

static void take_token(struct actor *a)
{
    struct objects *o = of(a);
    if (!again(a, op_lock, &o->mutex))
        return;
    int rc = 0, tries = 0;
    /* If those who put them may have gone, not for ever. */
    while (o->tokens == 0 && rc != -ESHUTDOWN && (!a->chaos->ends || tries++ < 5)) {
        rc = chaos_call(a, op_wait, NULL, a->chaos->ends ? chaos_soon(a) : chaos_deadline(a));
        CHECK(rc == 0 || chaos_stopped(rc) || rc == -ESHUTDOWN);
    }
    o->tokens -= o->tokens > 0;
    CHECK_OK(pirn_mutex_unlock(&o->mutex));
}

/* ---- Reader-writer lock ------------------------------------------------------------------ */

static int op_read_lock(struct actor *a, void *arg, pirn_time t)
{
    return chaos_roll(a, 8) == 0 ? pirn_rwlock_try_read_lock(arg) : pirn_rwlock_read_lock(arg, t);
}

static int op_write_lock(struct actor *a, void *arg, pirn_time t)
{
    return chaos_roll(a, 8) == 0 ? pirn_rwlock_try_write_lock(arg) : pirn_rwlock_write_lock(arg, t);
}

static void read_it(struct actor *a)
{
    struct objects *o = of(a);
    if (!again(a, op_read_lock, &o->rwlock))
        return;
    atomic_fetch_add(&o->readers, 1);
    int seen = o->written;
    chaos_dawdle(a);
    CHECK_EQ(o->written_again, seen);
    CHECK_EQ(atomic_load(&o->writers), 0);
    atomic_fetch_sub(&o->readers, 1);
    CHECK_OK(pirn_rwlock_read_unlock(&o->rwlock));
}

static void write_it(struct actor *a)
{
    struct objects *o = of(a);
    if (!again(a, op_write_lock, &o->rwlock))
        return;
    CHECK_EQ(atomic_fetch_add(&o->writers, 1), 0);
    CHECK_EQ(atomic_load(&o->readers), 0);
    o->written++;
    chaos_dawdle(a);
    o->written_again++;
    CHECK_EQ(atomic_fetch_sub(&o->writers, 1), 1);
    CHECK_OK(pirn_rwlock_write_unlock(&o->rwlock));
}

/* ---- Semaphore, event, once -------------------------------------------------------------- */

static int op_acquire(struct actor *a, void *arg, pirn_time t)
{
    return chaos_roll(a, 8) == 0 ? pirn_semaphore_try_acquire(arg) : pirn_semaphore_acquire(arg, t);
}

/* One, or all of them: then alone, or two would wait for each other. */
static void use_permits(struct actor *a)
{
    struct objects *o = of(a);
    int got = 0, n = chaos_roll(a, 16) == 0 ? PERMITS : 1;
    if (n > 1 && !again(a, op_lock, &o->mutex))
        return;
    while (got < n && again(a, op_acquire, &o->semaphore))
        got++;
    CHECK_LE(atomic_fetch_add(&o->permits, got) + got, PERMITS);
    chaos_dawdle(a);
    atomic_fetch_sub(&o->permits, got);
    if (got > 0)
        CHECK_OK(pirn_semaphore_release(&o->semaphore, got));
    if (n > 1)
        CHECK_OK(pirn_mutex_unlock(&o->mutex));
}

static int op_event(struct actor *a, void *arg, pirn_time t)
{
    (void)a;
    return pirn_event_wait(arg, t);
}

static void see_event(struct actor *a)
{
    if (chaos_roll(a, 2) == 0) {
        CHECK_OK(pirn_event_clear(&of(a)->event));
        chaos_dawdle(a);
        CHECK_OK(pirn_event_set(&of(a)->event));
    } else {
        (void)again(a, op_event, &of(a)->event);
    }
}

static int run_once(void *arg)
{
    struct actor *a = arg;
    int step = a->quota, runs = of(a)->once_runs[step];
    if (chaos_roll(a, 2) == 0)
        return -EIO;
    int rc = a->task != NULL ? pirn_yield() : 0;
    if (rc < 0)
        return rc;
    CHECK_EQ(of(a)->once_runs[step], runs);
    of(a)->once_runs[step]++;
    return 7 + step;
}

static int op_once(struct actor *a, void *arg, pirn_time t)
{
    return pirn_once_do(arg, run_once, a, t);
}

static void do_once(struct actor *a)
{
    pirn_once *once = &of(a)->once[a->quota];
    int rc;
    while ((rc = chaos_call(a, op_once, once, chaos_deadline(a))) < 0) {
        if (rc == -ESHUTDOWN)
            return;
        CHECK(chaos_stopped(rc) || rc == -EIO);
    }
    CHECK_EQ(rc, 7 + a->quota);
    CHECK(pirn_once_is_done(once));
    CHECK_EQ(of(a)->once_runs[a->quota], 1);
}

/* ---- Scope ------------------------------------------------------------------------------- */

struct place {
    struct chaos *chaos;
    pirn_scope *scope;
    atomic_int inside, given, dropped;
    int limit;
};

static int child(void *arg);

static void drop_child(void *arg)
{
    atomic_fetch_add(&((struct place *)arg)->dropped, 1);
}

/* A child of whatever runtime; cancelled alone, now and then. */
static int spawn_child(struct place *p, uint64_t *random, pirn_time t)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task = NULL;
    config.arg_drop = drop_child;
    config.flags = PIRN_OFF_STRAND;
    if (chaos_draw(random, 3) == 0)
        config.runtime = atomic_load(&p->chaos->runtime[chaos_draw(random, 2)]);
    bool shown = chaos_draw(random, 3) == 0;
    atomic_fetch_add(&p->given, 1);
    int rc = shown ? pirn_scope_spawn_task(p->scope, &task, &config, child, p, t)
                   : pirn_scope_spawn_with(p->scope, &config, child, p, t);
    CHECK(rc == 0 || chaos_stopped(rc) || rc == -ESHUTDOWN);
    if (rc != 0 && rc != -ECANCELED && rc != -ESHUTDOWN)
        atomic_fetch_sub(&p->given, 1); /* it is ours still */
    if (rc == 0 && shown) {
        if (chaos_draw(random, 3) == 0)
            pirn_cancel(task, "alone");
        CHECK_OK(pirn_release(task));
    }
    return rc;
}

static int child(void *arg)
{
    struct place *p = arg;
    uint64_t random = support_random() | 1;
    CHECK_LE(atomic_fetch_add(&p->inside, 1) + 1, p->limit);
    int rc = chaos_draw(&random, 3) == 0 ? pirn_sleep(pirn_after_us(20)) : pirn_yield();
    if (chaos_draw(&random, 4) == 0)
        (void)!spawn_child(p, &random, pirn_after_us((int64_t)chaos_draw(&random, 30)));
    atomic_fetch_sub(&p->inside, 1);
    return chaos_draw(&random, 12) == 0 ? -EIO : rc;
}

/* Every child that was spawned, or refused for the scope's end, has given up what it had. */
static int op_scope(struct actor *a, void *arg, pirn_time t)
{
    struct place p = {.chaos = a->chaos, .limit = 1 + (int)chaos_roll(a, 3)};
    (void)arg;
    CHECK_OK(pirn_scope_open(&p.scope, p.limit));
    for (int i = (int)chaos_roll(a, 8); i > 0; i--) {
        int rc = spawn_child(&p, &a->random, t);
        if (rc == -ECANCELED)
            pirn_scope_fail(p.scope, rc);
        if (chaos_roll(a, 32) == 0)
            CHECK_OK(pirn_scope_cancel(p.scope, "chaos"));
    }
    int rc = pirn_scope_close(p.scope, t);
    CHECK(rc == 0 || rc == -EIO || chaos_stopped(rc) || rc == -ESHUTDOWN);
    CHECK_EQ(atomic_load(&p.dropped), atomic_load(&p.given));
    CHECK_EQ(atomic_load(&p.inside), 0);
    return rc;
}

/* ---- Barrier, wait group ----------------------------------------------------------------- */

static int op_arrive(struct actor *a, void *arg, pirn_time t)
{
    (void)a;
    return pirn_barrier_wait(arg, t);
}

/* Each of a round has a place of its own. */
static void meet(struct actor *a, int step)
{
    struct objects *o = of(a);
    int rc;
    if (chaos_roll(a, 8) == 0)
        CHECK_OK(pirn_barrier_reset(&o->barrier));
    while ((rc = chaos_call(a, op_arrive, &o->barrier, chaos_deadline(a))) < 0)
        CHECK(chaos_stopped(rc) || rc == -EPIPE);
    CHECK(rc < o->n);
    CHECK_EQ(atomic_fetch_add(&o->seats[step][rc], 1), 0);
}

static void play(struct actor *a)
{
    struct objects *o = of(a);
    for (int step = 0; step < o->steps; step++) {
        a->quota = step;
        for (int i = (int)chaos_roll(a, 4); i >= 0; i--) {
            switch (chaos_roll(a, 6)) {
            case 0:
                read_it(a);
                break;
            case 1:
                write_it(a);
                break;
            case 2:
                use_permits(a);
                break;
            case 3:
                see_event(a);
                break;
            case 4:
                do_once(a);
                break;
            case 5:
                if (a->task != NULL && chaos_roll(a, 3) == 0)
                    chaos_call(a, op_scope, NULL, chaos_deadline(a));
                break;
            }
        }
        for (int i = 0; i < 2; i++)
            (a->number % 2 == 0 ? put_token : take_token)(a);
        if (!a->chaos->ends)
            meet(a, step);
    }
    o->ended[a->number] = 1;
    CHECK_OK(pirn_wait_group_done(&o->group));
}

static int op_group(struct actor *a, void *arg, pirn_time t)
{
    (void)a;
    return pirn_wait_group_wait(arg, t);
}

static void play_waiter(struct actor *a)
{
    bool all = again(a, op_group, &of(a)->group);
    for (int i = 0; i < of(a)->n && all; i++)
        CHECK_EQ(of(a)->ended[i], 1);
}

static void round_of_locks(struct chaos *c)
{
    struct objects *o = calloc(1, sizeof(*o));
    CHECK(o);
    c->objects = o;
    o->n = 2 + 2 * (int)chaos_draw(&c->random, 5); /* as many put tokens as take them */
    o->steps = 1 + (int)chaos_draw(&c->random, STEPS);
    CHECK_OK(pirn_condition_init(&o->condition, &o->mutex));
    CHECK_OK(pirn_semaphore_init_bounded(&o->semaphore, PERMITS, PERMITS));
    CHECK_OK(pirn_barrier_init(&o->barrier, o->n));
    CHECK_OK(pirn_wait_group_add(&o->group, o->n));
    CHECK_OK(pirn_event_set(&o->event));
    for (int i = 0; i < o->n; i++)
        chaos_add(c, play, i);
    for (int i = 0; i < 2; i++)
        chaos_add(c, play_waiter, i);
    chaos_round(c);
    CHECK(o->tokens == 0 || c->ends);
    CHECK_EQ(o->written, o->written_again);
    CHECK_EQ(pirn_semaphore_value(&o->semaphore), PERMITS);
    CHECK_EQ(pirn_wait_group_count(&o->group), 0);
    CHECK_EQ(pirn_barrier_n_waiting(&o->barrier), 0);
    CHECK_EQ(pirn_mutex_is_locked(&o->mutex), 0);
    CHECK_OK(pirn_rwlock_try_write_lock(&o->rwlock));
    free(o);
}

START_TEST(a111_locks_and_signals)
{
    chaos_run(round_of_locks, CHAOS_NO_THIRD);
}
END_TEST

START_TEST(a111_locks_and_the_end_of_a_runtime)
{
    chaos_run(round_of_locks, CHAOS_ENDS);
}
END_TEST

START_TEST(a111_locks_and_pauses)
{
    chaos_run(round_of_locks, CHAOS_PAUSES);
}
END_TEST

SUPPORT_MAIN("race/chaos_locks", a111_locks_and_signals, a111_locks_and_the_end_of_a_runtime,
             a111_locks_and_pauses)
