/* Calls that are taken back without the port's lock: what their deadlines leave is tidied up, and
 * while it is there, nobody wakes for it, nor does it grow. */
#include "tests/io/port.h"

#include <pthread.h>
#include <sched.h>

enum {
    MANY = 100000,
    MOST_AT_ONCE = DEADLINES_CHUNK + 3 * DEADLINES_DROPPED,
    LIVE = 1000,
    RACES = 200000
};

static const int64_t FAR = INT64_C(1) << 44;

static int64_t next_deadline(void)
{
    return atomic_load(&port.next_deadline);
}

static uint32_t nodes_in_use(void)
{
    return port.deadlines.near + port.deadlines.far;
}

static uint32_t dropped(void)
{
    const struct deadlines *d = &port.deadlines;
    return d->dropped_own + d->dropped_others - d->dropped_gone;
}

static void arm(struct op *op, int64_t deadline)
{
    op->kind = OP_CALL;
    CHECK_EQ(pirn_port_call_at(&port, op, deadline), 0);
}

static const struct port *own; /* &port, or NULL: another thread's cancels */

/* Its struct is the caller's then. */
static void off(struct op *op)
{
    CHECK(pirn_port_call_off(op, own));
    CHECK_EQ(op->state, OP_IDLE);
    memset(op, 0, sizeof(*op));
}

/* Whose port it is tidies up before he sleeps. For another there is nothing to be done; or he has
 * woken the owner, who goes on with it. */
static void before_sleep(void)
{
    unsigned wakes = port.wakes;
    while (own != NULL && pirn_port_is_littered(&port))
        pirn_port_tidy(&port);
    if (next_deadline() != 0)
        return;
    pirn_port_wait(&port, &me, FAR);
    do {
        uint32_t before = nodes_in_use();
        pirn_port_collect(&port, 0, &done);
        CHECK_LE(before - nodes_in_use(), MOST_AT_ONCE);
    } while (next_deadline() == 0);
    CHECK_EQ(port.wakes - wakes, 1);
    CHECK(done.head == NULL);
}

static void sleeps_until_the_first(void)
{
    struct op a = {0}, b = {0}, c = {0};
    begin();
    arm(&a, FAR + 1);
    arm(&b, FAR + 2);
    arm(&c, FAR + 3);
    off(&b);
    CHECK_EQ(next_deadline(), FAR + 1);
    CHECK(pirn_port_call_off(&a, own));
    before_sleep();
    CHECK(!pirn_port_call_off(&a, own));
    CHECK_EQ(next_deadline(), FAR + 3);
    off(&c);
    before_sleep();
    CHECK(pirn_port_is_idle(&port));
    CHECK_EQ(nodes_in_use(), 0);
    arm(&a, FAR);
    off(&a);
    before_sleep();
    CHECK(pirn_port_is_idle(&port));
    end();
}

START_TEST(the_port_sleeps_until_the_first_that_is_left)
{
    own = &port;
    sleeps_until_the_first();
    own = NULL;
    sleeps_until_the_first();
}
END_TEST

/* More than are taken out at once, in the heap and in buckets. Whoever makes it first that none is
 * left before them: a cancel, or one who collects. */
START_TEST(many_before_it_are_passed_over)
{
    enum {
        SPAN = 1 << 20
    };
    struct op *ops = calloc(MANY, sizeof(*ops)), first = {0}, last = {0};
    CHECK(ops != NULL);
    const int64_t until = FAR + (int64_t)MANY * SPAN;
    for (int by = 0; by < 4; by++) {
        bool collected = by >= 2, due = by == 3;
        begin();
        own = by == 1 ? NULL : &port;
        refusals = 0;
        calls = 0;
        arm(&first, FAR);
        arm(&last, until);
        for (int i = 0; i < MANY; i++)
            arm(&ops[i], FAR + 1 + (int64_t)i * 7919 % MANY * SPAN);
        for (int i = 0; i < MANY; i++)
            off(&ops[i]);
        CHECK_EQ(next_deadline(), FAR);
        CHECK_GE(nodes_in_use(), MANY);
        if (!collected) {
            off(&first);
            before_sleep();
        } else {
            do { /* it is due until it is through */
                uint32_t before = nodes_in_use();
                pirn_port_collect(&port, due ? until - 1 : FAR, &done);
                CHECK_LE(before - nodes_in_use(), MOST_AT_ONCE);
            } while (next_deadline() < FAR);
            CHECK(first_done() == &made);
        }
        CHECK_EQ(next_deadline(), until);
        CHECK_EQ(calls, collected);
        CHECK_EQ(nodes_in_use(), 1);
        CHECK_EQ(dropped(), 0);
        off(&last);
        before_sleep();
        end();
    }
    free(ops);
}
END_TEST

/* The first deadline goes otherwise than by a call's cancel, while the owner may be asleep. */
START_TEST(the_owner_is_woken_where_many_come_next)
{
    static struct op ops[DEADLINES_DROPPED + 10];
    bool wake;
    for (int way = 0; way < 3; way++) {
        struct op first = {.kind = OP_RECV}, last = {0};
        struct port *p;
        begin();
        own = NULL;
        CHECK_OK(pirn_port_arm(&port, &first, way == 0 ? OP_TIMER : OP_GUARD, 1, FAR));
        arm(&last, FAR + MANY);
        for (int i = 0; i < DEADLINES_DROPPED + 10; i++)
            arm(&ops[i], FAR + 1 + i);
        for (int i = 0; i < DEADLINES_DROPPED + 10; i++)
            off(&ops[i]);
        if (way == 0) {
            CHECK(pirn_op_stop(&first, 1, -ECANCELED, &p));
        } else if (way == 1) {
            CHECK(pirn_op_disarm(&first));
        } else { /* it comes, and a peer collects: who has to look after the owner */
            CHECK(pirn_port_try_collect(&port, FAR, &done, &wake));
            CHECK(wake && first_done() == &first);
            CHECK_EQ(next_deadline(), 0);
            pirn_port_wake(&port);
        }
        CHECK_EQ(next_deadline(), 0);
        before_sleep();
        CHECK_EQ(next_deadline(), FAR + MANY);
        off(&last);
        before_sleep();
        end();
    }
}
END_TEST

/* Whoever drops them. */
START_TEST(what_is_dropped_takes_no_more_than_it_did)
{
    enum {
        MOST = LIVE * 5 / 4 + 2 * DEADLINES_CHUNK
    };
    static struct op live[LIVE];
    struct op op = {0};
    for (int others = 0; others < 2; others++) {
        own = others ? NULL : &port;
        begin();
        for (int i = 0; i < LIVE; i++)
            arm(&live[i], FAR + i % 2 * (INT64_C(1) << 40));
        for (int i = 0; i < MANY; i++) {
            arm(&op, FAR + 1 + (int64_t)i * 7919 % MANY * 100000);
            off(&op);
            CHECK_LE(port.deadlines.names, MOST);
        }
        while (pirn_port_is_littered(&port))
            pirn_port_tidy(&port);
        CHECK_LE(nodes_in_use(), LIVE + DEADLINES_SWEEP_AT);
        for (int i = 0; i < LIVE; i++)
            off(&live[i]);
        before_sleep();
        CHECK_EQ(nodes_in_use(), 0);
        end();
    }
}
END_TEST

/* A worker that is never idle collects now and then; each time a part is swept up. */
START_TEST(who_collects_sweeps)
{
    struct op *ops = calloc(MANY, sizeof(*ops)), first = {0};
    CHECK(ops != NULL);
    own = &port;
    begin();
    arm(&first, FAR);
    for (int i = 0; i < MANY; i++)
        arm(&ops[i], FAR + 1 + i);
    for (int i = 0; i < MANY; i++)
        off(&ops[i]);
    for (int i = 0; i <= MANY / DEADLINES_CHUNK; i++) {
        uint32_t before = nodes_in_use();
        pirn_port_collect(&port, 0, &done);
        CHECK_LE(before - nodes_in_use(), DEADLINES_CHUNK);
    }
    CHECK(!pirn_port_is_littered(&port));
    CHECK_LE(nodes_in_use(), MANY / DEADLINES_LITTER + DEADLINES_CHUNK);
    off(&first);
    before_sleep();
    CHECK_EQ(nodes_in_use(), 0);
    free(ops);
    end();
}
END_TEST

/* One that is armed again has its own node back, or another, if that has been taken. */
START_TEST(one_that_was_dropped_is_armed_again)
{
    struct op first = {0}, op = {0}, other = {0};
    own = &port;
    begin();
    arm(&first, FAR);
    for (int i = 0; i < LIVE; i++) {
        arm(&op, FAR + i);
        CHECK(pirn_port_call_off(&op, &port));
    }
    CHECK_EQ(port.deadlines.names, 2);
    pirn_deadlines_sweep(&port.deadlines);
    arm(&other, FAR + 1);
    CHECK_EQ(port.deadlines.names, 2);
    arm(&op, FAR + 2);
    CHECK_EQ(port.deadlines.names, 3);
    CHECK_EQ(pirn_port_call_at(&port, &op, INT64_MAX), 1);
    CHECK(pirn_port_call_off(&op, &port)); /* which has no node */
    off(&other);
    off(&first);
    before_sleep();
    end();
}
END_TEST

/* ---- Two threads ----------------------------------------------------------------------------- */

enum {
    WHOLE = 12345
};

static atomic_bool over;
static atomic_int hooked;

/* The hook has the struct, whoever cancels: under the lock it is not freed. */
static struct op *call_whole(struct op *op)
{
    CHECK_EQ(op->addr, WHOLE);
    CHECK_EQ(op->state, OP_GUARD);
    atomic_fetch_add(&hooked, 1);
    CHECK_EQ(op->addr, WHOLE);
    return op->off-- != 0 ? NULL : &made;
}

static void *collect(void *arg)
{
    struct op_list list = {NULL, NULL};
    (void)arg;
    for (int64_t now = FAR; !atomic_load(&over); now += 2 * MS) { /* a retry is due then */
        list = (struct op_list){NULL, NULL};
        pirn_port_collect(&port, now, &list);
        sched_yield();
    }
    return NULL;
}

START_TEST(each_is_called_or_cancelled)
{
    static struct op ops[2];
    pthread_t thread;
    int outcomes[3] = {0, 0, 0}; /* cancelled, called, refused and cancelled */
    begin();
    port.call = call_whole;
    atomic_store(&over, false);
    CHECK_EQ(pthread_create(&thread, NULL, collect, NULL), 0);
    uint64_t seed = 1;
    for (int i = 0; i < support_rounds(RACES); i++) {
        struct op *op = &ops[i / 2 % 2];
        memset(op, 0, sizeof(*op));
        op->addr = WHOLE;
        op->off = (uint64_t)i % 2; /* so often it is refused */
        int before = atomic_load(&hooked);
        arm(op, i % 3);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        for (volatile unsigned spin = seed >> 33 & 1023; spin > 0; spin--)
            continue;
        /* Now and then there is but one outcome, so that each is seen on any machine. */
        while (i % 16 < 4 && atomic_load(&hooked) - before <= (i % 16 < 2 ? i % 2 : 0))
            sched_yield();
        bool cancelled = pirn_port_call_off(op, i % 5 ? &port : NULL);
        int made_of_it = atomic_load(&hooked) - before;
        CHECK_LE(made_of_it, 1 + i % 2);
        CHECK_EQ(cancelled, made_of_it <= i % 2);
        outcomes[!cancelled ? 1 : made_of_it * 2]++;
        memset(op, 0xa5, sizeof(*op));
    }
    atomic_store(&over, true);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    if (getenv("PIRN_TEST_VERBOSE") != NULL)
        printf("%d cancelled, %d called, %d refused and cancelled\n", outcomes[0], outcomes[1],
               outcomes[2]);
    own = &port;
    before_sleep();
    for (int i = 0; i < 3; i++)
        CHECK_GE(outcomes[i], support_rounds(RACES) / 100);
    CHECK(pirn_port_is_idle(&port));
    CHECK_EQ(nodes_in_use(), 0);
    end();
}
END_TEST

SUPPORT_MAIN("drop", the_port_sleeps_until_the_first_that_is_left, many_before_it_are_passed_over,
             the_owner_is_woken_where_many_come_next, what_is_dropped_takes_no_more_than_it_did,
             one_that_was_dropped_is_armed_again, who_collects_sweeps, each_is_called_or_cancelled)
