/*
 * What a call waited on may be freed as soon as that call returns, though the one that made it
 * return is still on its way out (rows A27, A111, A118, A124): the object's memory is overwritten
 * at once, and must stay as it was overwritten.
 */
#include "tests/asyncio/sync.h"

enum kind {
    MUTEX,
    RWLOCK,
    EVENT,
    SEMAPHORE,
    WAIT_GROUP
};

struct object {
    union {
        pirn_mutex mutex;
        pirn_rwlock rwlock;
        pirn_event event;
        pirn_semaphore semaphore;
        pirn_wait_group group;
        unsigned char bytes[32];
    } u;
    int payload; /* plain: written before the other side acts */
};

struct game {
    enum kind kind;
    int rounds;
    support_barrier barrier;
    _Atomic(struct object *) object;
    atomic_int left; /* rounds the other side has left altogether */
    atomic_int ready;
};

/* Before the round. */
static void prepare(struct game *g, struct object *o)
{
    memset(o, 0, sizeof(*o));
    if (g->kind == WAIT_GROUP)
        CHECK_OK(pirn_wait_group_add(&o->u.group, 1));
}

/* The other side's part: makes the waiter's call return. */
static void act(enum kind kind, struct object *o)
{
    o->payload = 7;
    switch (kind) {
    case MUTEX:
        CHECK_OK(pirn_mutex_unlock(&o->u.mutex));
        break;
    case RWLOCK:
        CHECK_OK(pirn_rwlock_write_unlock(&o->u.rwlock));
        break;
    case EVENT:
        CHECK_OK(pirn_event_set(&o->u.event));
        break;
    case SEMAPHORE:
        CHECK_OK(pirn_semaphore_release(&o->u.semaphore, 1));
        break;
    case WAIT_GROUP:
        CHECK_OK(pirn_wait_group_done(&o->u.group));
        break;
    }
}

static void hold(enum kind kind, struct object *o)
{
    if (kind == MUTEX)
        CHECK_OK(pirn_mutex_lock(&o->u.mutex, PIRN_NEVER));
    if (kind == RWLOCK)
        CHECK_OK(pirn_rwlock_write_lock(&o->u.rwlock, PIRN_NEVER));
}

/* The waiter's part. */
static void wait(enum kind kind, struct object *o)
{
    switch (kind) {
    case MUTEX:
        CHECK_OK(pirn_mutex_lock(&o->u.mutex, PIRN_NEVER));
        CHECK_OK(pirn_mutex_unlock(&o->u.mutex));
        break;
    case RWLOCK:
        CHECK_OK(pirn_rwlock_read_lock(&o->u.rwlock, PIRN_NEVER));
        CHECK_OK(pirn_rwlock_read_unlock(&o->u.rwlock));
        break;
    case EVENT:
        CHECK_OK(pirn_event_wait(&o->u.event, PIRN_NEVER));
        break;
    case SEMAPHORE:
        CHECK_OK(pirn_semaphore_acquire(&o->u.semaphore, PIRN_NEVER));
        break;
    case WAIT_GROUP:
        CHECK_OK(pirn_wait_group_wait(&o->u.group, PIRN_NEVER));
        break;
    }
}

static struct object no_more;

static void *other_side(void *arg)
{
    struct game *g = arg;
    for (int i = 1;; i++) {
        struct object *o;
        while ((o = atomic_exchange(&g->object, NULL)) == NULL)
            sched_yield();
        if (o == &no_more)
            return NULL;
        hold(g->kind, o);
        atomic_store(&g->ready, i);
        sync_meet_closely(&g->barrier);
        act(g->kind, o);
        atomic_store(&g->left, i);
    }
}

static int game(void *arg)
{
    struct game *g = arg;
    pthread_t thread = support_thread(other_side, g);
    int64_t late = support_now() + 500 * MS; /* on a busy machine: a hundred rounds must do then */
    for (int i = 1; i <= g->rounds && (i <= 100 || support_now() < late); i++) {
        struct object *o = malloc(sizeof(*o));
        CHECK(o);
        prepare(g, o);
        atomic_store(&g->object, o);
        while (atomic_load(&g->ready) < i)
            sched_yield();
        sync_meet_closely(&g->barrier);
        wait(g->kind, o);
        CHECK_EQ(o->payload, 7);
        memset(o, 0xa5, sizeof(*o));
        while (atomic_load(&g->left) < i)
            CHECK_OK(pirn_yield());
        for (size_t k = 0; k < sizeof(o->u.bytes); k++)
            CHECK_EQ(o->u.bytes[k], 0xa5);
        free(o);
    }
    atomic_store(&g->object, &no_more);
    support_thread_join(thread);
    return 0;
}

static void play(enum kind kind)
{
    FOR_WORKERS(w)
    {
        struct game g = {.kind = kind, .rounds = support_rounds(3000), .barrier = {.n = 2}};
        CHECK_OK(support_run(w, game, &g));
    }
}

START_TEST(a111_mutex_freed_at_once)
{
    play(MUTEX);
    play(RWLOCK);
}
END_TEST

START_TEST(a118_event_freed_at_once)
{
    play(EVENT);
}
END_TEST

START_TEST(a124_semaphore_freed_at_once)
{
    play(SEMAPHORE);
}
END_TEST

START_TEST(wait_group_freed_at_once)
{
    play(WAIT_GROUP);
}
END_TEST

SUPPORT_MAIN("sync_freed", a111_mutex_freed_at_once, a118_event_freed_at_once,
             a124_semaphore_freed_at_once, wait_group_freed_at_once)
