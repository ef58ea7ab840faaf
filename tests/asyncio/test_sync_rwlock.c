/*
 * The reader-writer lock: rows A111, A112, A114, A116 as they apply to it.
 */
#include "tests/asyncio/sync.h"

static atomic_int entered, go;

static int read_lock(struct caller *c)
{
    int rc = pirn_rwlock_read_lock(c->object, c->deadline);
    if (rc == 0)
        c->at = atomic_fetch_add(&entered, 1);
    return rc;
}

/* Writes until it may go on. */
static int write_lock(struct caller *c)
{
    int rc = pirn_rwlock_write_lock(c->object, c->deadline);
    if (rc == 0) {
        c->at = atomic_fetch_add(&entered, 1);
        support_until(&go, 1);
        CHECK_EQ(pirn_rwlock_try_read_lock(c->object), -EAGAIN);
        CHECK_OK(pirn_rwlock_write_unlock(c->object));
    }
    return rc;
}

static int foreign(void *arg)
{
    CHECK_EQ(pirn_rwlock_write_unlock(arg), -EPERM);
    CHECK_EQ(pirn_rwlock_read_unlock(arg), -EPERM);
    CHECK_EQ(pirn_rwlock_try_read_lock(arg), -EAGAIN);
    CHECK_EQ(pirn_rwlock_try_write_lock(arg), -EAGAIN);
    CHECK_EQ(pirn_rwlock_read_lock(arg, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_rwlock_write_lock(arg, pirn_after_ms(2)), -ETIMEDOUT);
    return 0;
}

static void *foreign_thread(void *arg)
{
    foreign(arg);
    return NULL;
}

static void misuse(void)
{
    pirn_rwlock l = PIRN_RWLOCK_INIT;
    CHECK_EQ(pirn_rwlock_init(NULL), -EINVAL);
    CHECK_EQ(pirn_rwlock_read_lock(NULL, PIRN_NEVER), -EINVAL);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pirn_rwlock_read_unlock(&l), -EPERM);
        CHECK_EQ(pirn_rwlock_write_unlock(&l), -EPERM);
        CHECK_OK(pirn_rwlock_read_lock(&l, PIRN_NOW));
        CHECK_OK(pirn_rwlock_try_read_lock(&l));
        CHECK_EQ(pirn_rwlock_write_unlock(&l), -EPERM);
        CHECK_EQ(pirn_rwlock_try_write_lock(&l), -EAGAIN);
        CHECK_EQ(pirn_rwlock_write_lock(&l, PIRN_NOW), -ETIMEDOUT);
        CHECK_OK(pirn_rwlock_read_unlock(&l));
        CHECK_OK(pirn_rwlock_read_unlock(&l));
        CHECK_OK(pirn_rwlock_write_lock(&l, PIRN_NOW));
        CHECK_EQ(pirn_rwlock_read_lock(&l, PIRN_NEVER), -EDEADLK);
        CHECK_EQ(pirn_rwlock_write_lock(&l, PIRN_NEVER), -EDEADLK);
        if (pirn_current() != NULL)
            CHECK_OK(support_join(support_spawn(foreign, &l)));
        support_thread_join(support_thread(foreign_thread, &l));
        CHECK_OK(pirn_rwlock_write_unlock(&l));
        CHECK_OK(pirn_rwlock_try_write_lock(&l));
        CHECK_OK(pirn_rwlock_write_unlock(&l));
    }
}

START_TEST(a114_owner_only)
{
    support_everywhere(misuse);
}
END_TEST

/* ---- One queue --------------------------------------------------------------------------- */

static void check_waiting(struct caller *c, int from, int to)
{
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    for (int i = from; i < to; i++)
        CHECK_EQ(atomic_load(&c[i].done), 0);
}

/* R (held)  R R  W W  R R: readers in at once; then the queue in its order. */
static int in_order(void *arg)
{
    (void)arg;
    pirn_rwlock l = PIRN_RWLOCK_INIT;
    atomic_store(&entered, 0);
    atomic_store(&go, 0);
    struct caller c[6];
    CHECK_OK(pirn_rwlock_read_lock(&l, PIRN_NEVER));
    for (int i = 0; i < 2; i++) {
        c[i] = (struct caller){.fn = read_lock, .object = &l, .deadline = PIRN_NEVER};
        c[i].task = support_spawn(sync_call, &c[i]);
        CHECK_OK(sync_finish(&c[i])); /* it leaves its lock to us */
    }
    for (int i = 2; i < 6; i++) {
        c[i] = (struct caller){
            .fn = i < 4 ? write_lock : read_lock, .object = &l, .deadline = PIRN_NEVER};
        sync_start(&c[i], i % 2 != 0);
    }
    CHECK_EQ(pirn_rwlock_try_read_lock(&l), -EAGAIN); /* a writer waits */
    CHECK_OK(pirn_rwlock_read_unlock(&l));
    CHECK_OK(pirn_rwlock_read_unlock(&l));
    check_waiting(c, 2, 6);
    CHECK_OK(pirn_rwlock_read_unlock(&l));            /* the last reader lets the first writer in */
    CHECK_EQ(pirn_rwlock_try_read_lock(&l), -EAGAIN); /* it stays a while */
    CHECK_EQ(pirn_rwlock_try_write_lock(&l), -EAGAIN);
    atomic_store(&go, 1);
    for (int i = 2; i < 6; i++)
        CHECK_OK(sync_finish(&c[i]));
    CHECK_EQ(c[2].at, 2);
    CHECK_EQ(c[3].at, 3);
    CHECK_EQ(c[4].at + c[5].at, 4 + 5);
    CHECK_EQ(pirn_rwlock_try_write_lock(&l), -EAGAIN); /* two readers are in together */
    CHECK_OK(pirn_rwlock_read_unlock(&l));
    CHECK_OK(pirn_rwlock_read_unlock(&l));
    CHECK_OK(pirn_rwlock_try_write_lock(&l));
    CHECK_OK(pirn_rwlock_write_unlock(&l));
    return 0;
}

START_TEST(a112_one_queue_for_readers_and_writers)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, in_order, NULL));
}
END_TEST

/* A writer that gives up lets in the readers behind it. */
static int giving_up(void *arg)
{
    (void)arg;
    pirn_rwlock l = PIRN_RWLOCK_INIT;
    struct caller c[4];
    int64_t ms = 20;
    atomic_store(&go, 1);
    for (int how = 0; how < 2; how++) {
        CHECK_OK(pirn_rwlock_read_lock(&l, PIRN_NEVER));
        for (int i = 0; i < 4; i++) { /* W R W R */
            c[i] = (struct caller){
                .fn = i % 2 == 0 ? write_lock : read_lock, .object = &l, .deadline = PIRN_NEVER};
            if (i == 0 && how == 1)
                c[i].deadline = pirn_after_ms(ms);
            sync_start(&c[i], i % 2 != 0);
        }
        bool too_soon = how == 1 && atomic_load(&c[0].done); /* before all stood in line */
        if (how == 0)
            CHECK_OK(pirn_cancel(c[0].task, NULL));
        CHECK_EQ(sync_finish(&c[0]), how == 0 ? -ECANCELED : -ETIMEDOUT);
        CHECK_OK(sync_finish(&c[1])); /* with us */
        check_waiting(c, 2, 4);       /* still behind a writer */
        CHECK_OK(pirn_rwlock_read_unlock(&l));
        CHECK_OK(pirn_rwlock_read_unlock(&l));
        CHECK_OK(sync_finish(&c[2]));
        CHECK_OK(sync_finish(&c[3]));
        CHECK_OK(pirn_rwlock_read_unlock(&l));
        CHECK_OK(pirn_rwlock_try_write_lock(&l)); /* nobody is left */
        CHECK_OK(pirn_rwlock_write_unlock(&l));
        how -= too_soon; /* again, with longer to go */
        ms *= 2;
    }
    return 0;
}

START_TEST(a116_who_gives_up_holds_nobody_up)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, giving_up, NULL));
}
END_TEST

/* Nor does one that has been cancelled, and has not run since: to who comes it is gone, and so to
 * whoever stood in line behind it by then. */
static int not_running(void *arg)
{
    (void)arg;
    pirn_rwlock l = PIRN_RWLOCK_INIT;
    struct caller c[4];
    for (int how = 0; how < 3; how++) {
        atomic_store(&go, 1);
        CHECK_OK(pirn_rwlock_read_lock(&l, PIRN_NEVER));
        for (int i = 0; i < 4; i++) { /* W R W R */
            c[i] = (struct caller){
                .fn = i % 2 == 0 ? write_lock : read_lock, .object = &l, .deadline = PIRN_NEVER};
            sync_start(&c[i], i % 2 != 0);
        }
        CHECK_OK(pirn_cancel(c[0].task, NULL));
        CHECK_EQ(pirn_rwlock_try_read_lock(&l), -EAGAIN); /* there is the other writer */
        CHECK_OK(pirn_cancel(c[2].task, NULL));
        CHECK_OK(how == 0   ? pirn_rwlock_try_read_lock(&l)
                 : how == 1 ? pirn_rwlock_read_lock(&l, PIRN_NOW)
                            : pirn_rwlock_read_lock(&l, PIRN_NEVER));
        for (int i = 0; i < 4; i++)
            CHECK_EQ(sync_finish(&c[i]), i % 2 == 0 ? -ECANCELED : 0);
        for (int i = 0; i < 4; i++)
            CHECK_OK(pirn_rwlock_read_unlock(&l));
        CHECK_OK(pirn_rwlock_try_write_lock(&l)); /* nobody is left */
        CHECK_OK(pirn_rwlock_write_unlock(&l));
    }
    return 0;
}

START_TEST(a116_who_was_cancelled_holds_nobody_up)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, not_running, NULL));
}
END_TEST

/* ---- Exclusion --------------------------------------------------------------------------- */

struct shared {
    pirn_rwlock l;
    long a, b; /* under l, always the same */
    atomic_int readers, writers, together, ids;
    int rounds;
};

static int use(void *arg)
{
    struct shared *s = arg;
    int me = atomic_fetch_add(&s->ids, 1);
    for (int i = 0; i < s->rounds; i++) {
        if ((i + me) % 4 == 0) {
            CHECK_OK(pirn_rwlock_write_lock(&s->l, PIRN_NEVER));
            CHECK_EQ(atomic_fetch_add(&s->writers, 1), 0);
            CHECK_EQ(atomic_load(&s->readers), 0);
            s->a++;
            if (i % 32 == 0)
                CHECK_OK(pirn_yield());
            s->b++;
            atomic_fetch_sub(&s->writers, 1);
            CHECK_OK(pirn_rwlock_write_unlock(&s->l));
        } else {
            CHECK_OK(pirn_rwlock_read_lock(&s->l, PIRN_NEVER));
            if (atomic_fetch_add(&s->readers, 1) > 0)
                atomic_store(&s->together, 1);
            CHECK_EQ(atomic_load(&s->writers), 0);
            CHECK_EQ(s->a, s->b);
            if (i % 32 == 1)
                CHECK_OK(pirn_sleep(pirn_after_us(20)));
            atomic_fetch_sub(&s->readers, 1);
            CHECK_OK(pirn_rwlock_read_unlock(&s->l));
        }
    }
    return 0;
}

static void *use_on_thread(void *arg)
{
    struct shared *s = arg;
    for (int i = 0; i < s->rounds; i++) { /* no yield there */
        CHECK_OK(pirn_rwlock_write_lock(&s->l, PIRN_NEVER));
        CHECK_EQ(atomic_load(&s->readers), 0);
        s->a++;
        s->b++;
        CHECK_OK(pirn_rwlock_write_unlock(&s->l));
    }
    return NULL;
}

static int exclusion(void *arg)
{
    (void)arg;
    struct shared s = {.rounds = support_rounds(1000)};
    pirn_task *task[20];
    pthread_t thread[2];
    for (int i = 0; i < 20; i++)
        task[i] = support_spawn(use, &s);
    for (int i = 0; i < 2; i++)
        thread[i] = support_thread(use_on_thread, &s);
    for (int i = 0; i < 20; i++)
        CHECK_OK(support_join(task[i]));
    for (int i = 0; i < 2; i++)
        support_thread_join(thread[i]);
    CHECK_EQ(s.a, s.rounds / 4 * 20 + s.rounds * 2);
    CHECK_EQ(s.b, s.a);
    CHECK_EQ(atomic_load(&s.together), 1);
    return 0;
}

START_TEST(a111_writers_alone_readers_together)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, exclusion, NULL));
}
END_TEST

SUPPORT_MAIN("sync_rwlock", a111_writers_alone_readers_together,
             a112_one_queue_for_readers_and_writers, a114_owner_only,
             a116_who_gives_up_holds_nobody_up, a116_who_was_cancelled_holds_nobody_up)
