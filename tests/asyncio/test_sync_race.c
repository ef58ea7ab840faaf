/*
 * A cancel or a deadline races what is waited for (row A65; A116 and A126 among others): the call
 * has happened altogether or not at all. See race.h.
 */
#include "tests/asyncio/sync.h"
#include "tests/race/race.h"

/* What is raced for: one of these, in r->more. */
struct objects {
    pirn_mutex mutex;
    pirn_rwlock rwlock;
    pirn_condition condition;
    pirn_event event;
    pirn_semaphore semaphore;
    pirn_barrier barrier;
    pirn_wait_group group;
    int notified;                  /* under mutex */
    int arrived;                   /* what the driver's own arrival gave */
    pirn_semaphore hold, held, go; /* the mutex's holder */
    atomic_int over;
    pthread_t holder;
};

static struct objects *of(struct race *r)
{
    return r->more;
}

static void begin(struct race *r)
{
    struct objects *o = calloc(1, sizeof(*o));
    CHECK(o);
    CHECK_OK(pirn_condition_init(&o->condition, &o->mutex));
    CHECK_OK(pirn_barrier_init(&o->barrier, 2));
    r->more = o;
}

static void end(struct race *r)
{
    free(r->more);
}

/* ---- Mutex: the holder is a third, who lets it go when the driver says so ---------------- */

static void *hold(void *arg)
{
    struct objects *o = arg;
    for (;;) {
        CHECK_OK(pirn_semaphore_acquire(&o->hold, PIRN_NEVER));
        if (atomic_load(&o->over))
            return NULL;
        CHECK_OK(pirn_mutex_lock(&o->mutex, PIRN_NEVER));
        CHECK_OK(pirn_semaphore_release(&o->held, 1));
        CHECK_OK(pirn_semaphore_acquire(&o->go, PIRN_NEVER));
        CHECK_OK(pirn_mutex_unlock(&o->mutex));
    }
}

static void mutex_begin(struct race *r)
{
    begin(r);
    of(r)->holder = support_thread(hold, of(r));
}

static void mutex_end(struct race *r)
{
    atomic_store(&of(r)->over, 1);
    CHECK_OK(pirn_semaphore_release(&of(r)->hold, 1));
    support_thread_join(of(r)->holder);
    end(r);
}

static void mutex_prepare(struct race *r)
{
    struct objects *o = of(r);
    CHECK_OK(pirn_semaphore_release(&o->hold, 1));
    CHECK_OK(pirn_semaphore_acquire(&o->held, PIRN_NEVER));
}

static long mutex_call(struct race *r)
{
    return pirn_mutex_lock(&of(r)->mutex, r->deadline);
}

static void mutex_complete(struct race *r)
{
    CHECK_OK(pirn_semaphore_release(&of(r)->go, 1));
}

static void mutex_check(struct race *r, long rc, bool happened)
{
    CHECK_EQ(rc == 0, happened);
    if (!happened) {
        CHECK_EQ(pirn_mutex_unlock(&of(r)->mutex), -EPERM);
        while (pirn_mutex_try_lock(&of(r)->mutex) == -EAGAIN)
            CHECK_OK(pirn_yield()); /* the holder is on its way */
    }
    CHECK_OK(pirn_mutex_unlock(&of(r)->mutex));
    CHECK_EQ(pirn_mutex_is_locked(&of(r)->mutex), 0);
}

/* ---- Reader-writer lock: for writing, the driver lets a reader's place go ----------------- */

static void rwlock_prepare(struct race *r)
{
    CHECK_OK(pirn_rwlock_read_lock(&of(r)->rwlock, PIRN_NEVER));
}

static long rwlock_call(struct race *r)
{
    return pirn_rwlock_write_lock(&of(r)->rwlock, r->deadline);
}

static void rwlock_complete(struct race *r)
{
    CHECK_OK(pirn_rwlock_read_unlock(&of(r)->rwlock));
}

static void rwlock_check(struct race *r, long rc, bool happened)
{
    CHECK_EQ(rc == 0, happened);
    CHECK_EQ(pirn_rwlock_try_write_lock(&of(r)->rwlock), happened ? -EAGAIN : 0);
    CHECK_OK(pirn_rwlock_write_unlock(&of(r)->rwlock));
    CHECK_EQ(pirn_rwlock_write_unlock(&of(r)->rwlock), -EPERM);
}

/* ---- Condition --------------------------------------------------------------------------- */

static void condition_prepare(struct race *r)
{
    of(r)->notified = 0;
    CHECK_OK(pirn_mutex_lock(&of(r)->mutex, PIRN_NEVER));
}

static long condition_call(struct race *r)
{
    return pirn_condition_wait(&of(r)->condition, r->deadline);
}

static void condition_complete(struct race *r)
{
    CHECK_OK(pirn_mutex_lock(&of(r)->mutex, PIRN_NEVER));
    of(r)->notified = 1;
    CHECK_OK(pirn_condition_notify(&of(r)->condition, 1));
    CHECK_OK(pirn_mutex_unlock(&of(r)->mutex));
}

/* The driver's notification may have come after a wait that was stopped by then. */
static void condition_check(struct race *r, long rc, bool happened)
{
    CHECK_EQ(rc == 0, happened);
    CHECK_EQ(of(r)->notified, 1);
    CHECK_EQ(pirn_mutex_is_locked(&of(r)->mutex), 0);
}

static long condition_wait_and_unlock(struct race *r)
{
    long rc = condition_call(r);
    if (rc == 0)
        CHECK_EQ(of(r)->notified, 1);
    CHECK_OK(pirn_mutex_unlock(&of(r)->mutex)); /* held in any case */
    return rc;
}

/* ---- Event, semaphore, wait group, barrier ------------------------------------------------ */

static void event_prepare(struct race *r)
{
    CHECK_OK(pirn_event_clear(&of(r)->event));
}

static long event_call(struct race *r)
{
    return pirn_event_wait(&of(r)->event, r->deadline);
}

static void event_complete(struct race *r)
{
    CHECK_OK(pirn_event_set(&of(r)->event));
}

static void event_check(struct race *r, long rc, bool happened)
{
    CHECK_EQ(rc == 0, happened);
    CHECK_EQ(pirn_event_is_set(&of(r)->event), 1);
}

static long semaphore_call(struct race *r)
{
    return pirn_semaphore_acquire(&of(r)->semaphore, r->deadline);
}

static void semaphore_complete(struct race *r)
{
    CHECK_OK(pirn_semaphore_release(&of(r)->semaphore, 1));
}

static void semaphore_check(struct race *r, long rc, bool happened)
{
    CHECK_EQ(rc == 0, happened);
    CHECK_EQ(pirn_semaphore_value(&of(r)->semaphore), !happened);
    CHECK_EQ(pirn_semaphore_try_acquire(&of(r)->semaphore), happened ? -EAGAIN : 0);
}

static void group_prepare(struct race *r)
{
    CHECK_OK(pirn_wait_group_add(&of(r)->group, 1));
}

static long group_call(struct race *r)
{
    return pirn_wait_group_wait(&of(r)->group, r->deadline);
}

static void group_complete(struct race *r)
{
    CHECK_OK(pirn_wait_group_done(&of(r)->group));
}

static void group_check(struct race *r, long rc, bool happened)
{
    CHECK_EQ(rc == 0, happened);
    CHECK_EQ(pirn_wait_group_count(&of(r)->group), 0);
}

static long barrier_call(struct race *r)
{
    return pirn_barrier_wait(&of(r)->barrier, r->deadline);
}

/* Arrives as the second, or finds that the first has left, and waits for nobody. */
static void barrier_complete(struct race *r)
{
    pirn_time most = r->sure == RACE_HAPPENS ? PIRN_NEVER : pirn_after_us(200);
    of(r)->arrived = pirn_barrier_wait(&of(r)->barrier, most);
}

static void barrier_check(struct race *r, long rc, bool happened)
{
    CHECK_EQ(rc >= 0, happened);
    CHECK_EQ(of(r)->arrived, happened ? 1 - rc : -ETIMEDOUT);
    CHECK_EQ(pirn_barrier_n_waiting(&of(r)->barrier), 0);
}

/* ---- Done at the moment somebody comes to wait: there is nothing to wait for ---------------- */

struct meeting {
    support_barrier barrier;
    int rounds;
    pirn_wait_group *groups; /* one a round */
    pirn_once *onces;
};

static int answer(void *arg)
{
    (void)arg;
    return 42;
}

static void *come_first(void *arg)
{
    struct meeting *m = arg;
    for (int i = 0; i < m->rounds; i++) {
        sync_meet_closely(&m->barrier);
        CHECK_OK(pirn_wait_group_done(&m->groups[i]));
        CHECK_EQ(pirn_once_do(&m->onces[i], answer, NULL, PIRN_NEVER), 42);
    }
    return NULL;
}

static int meetings(void *arg)
{
    (void)arg;
    struct meeting m = {.barrier = {.n = 2}, .rounds = support_rounds(20000)};
    m.groups = calloc((size_t)m.rounds, sizeof(*m.groups));
    m.onces = calloc((size_t)m.rounds, sizeof(*m.onces));
    CHECK(m.groups && m.onces);
    for (int i = 0; i < m.rounds; i++)
        CHECK_OK(pirn_wait_group_add(&m.groups[i], 1));
    pthread_t thread = support_thread(come_first, &m);
    for (int i = 0; i < m.rounds; i++) {
        sync_meet_closely(&m.barrier);
        CHECK_OK(pirn_wait_group_wait(&m.groups[i], PIRN_NEVER));
        CHECK_EQ(pirn_once_do(&m.onces[i], answer, NULL, PIRN_NEVER), 42);
    }
    support_thread_join(thread);
    free(m.groups);
    free(m.onces);
    return 0;
}

START_TEST(nobody_waits_for_what_is_done)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, meetings, NULL));
}
END_TEST

#define RACE(name, ...) \
    START_TEST(name) \
    { \
        static const struct race_kind kind = {#name, __VA_ARGS__, .rounds = 1700}; \
        race_run(&kind); \
    } \
    END_TEST

RACE(a116_mutex_race, mutex_begin, mutex_end, mutex_prepare, mutex_call, mutex_check,
     mutex_complete)
RACE(a116_rwlock_race, begin, end, rwlock_prepare, rwlock_call, rwlock_check, rwlock_complete)
RACE(a122_condition_race, begin, end, condition_prepare, condition_wait_and_unlock, condition_check,
     condition_complete)
RACE(a118_event_race, begin, end, event_prepare, event_call, event_check, event_complete)
RACE(a126_semaphore_race, begin, end, race_no_op, semaphore_call, semaphore_check,
     semaphore_complete)
RACE(wait_group_race, begin, end, group_prepare, group_call, group_check, group_complete)
RACE(a128_barrier_race, begin, end, race_no_op, barrier_call, barrier_check, barrier_complete)

SUPPORT_MAIN("sync_race", a116_mutex_race, a116_rwlock_race, a122_condition_race, a118_event_race,
             a126_semaphore_race, wait_group_race, a128_barrier_race, nobody_waits_for_what_is_done)
