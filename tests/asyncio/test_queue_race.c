/* serial */
/*
 * Puts and gets, sends and receives, and selects, stopped by a cancel or by their deadline at about
 * the moment the other side comes: either they have happened and say so, or the item is still where
 * it was.
 */
#include "tests/race/race.h"

enum {
    UNSET = -12345
};

struct objects {
    pirn_queue *q;
    pirn_channel *a, *b;
    int next; /* the item on its way */
};

static void begin(struct race *r)
{
    struct objects *o = calloc(1, sizeof(*o));
    CHECK(o);
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    config.elem_size = sizeof(int);
    config.maxsize = 1;
    CHECK_OK(pirn_queue_new(&o->q, &config));
    CHECK_OK(pirn_channel_new(&o->a, sizeof(int), 0, NULL));
    CHECK_OK(pirn_channel_new(&o->b, sizeof(int), 1, NULL));
    r->more = o;
}

static void end(struct race *r)
{
    struct objects *o = r->more;
    pirn_queue_release(o->q);
    pirn_channel_release(o->a);
    pirn_channel_release(o->b);
    free(o);
}

static void prepare(struct race *r)
{
    struct objects *o = r->more;
    o->next++;
    r->got = r->sent = 0;
}

/* ---- Get: the driver puts ---------------------------------------------------------------- */

static long call_get(struct race *r)
{
    struct objects *o = r->more;
    int item = UNSET;
    long rc = pirn_queue_get(o->q, &item, r->deadline);
    CHECK_EQ(item, rc != 0 ? UNSET : o->next);
    return rc;
}

static void complete_get(struct race *r)
{
    struct objects *o = r->more;
    CHECK_OK(pirn_queue_try_put(o->q, &o->next));
}

static void check_get(struct race *r, long rc, bool happened)
{
    struct objects *o = r->more;
    int item = UNSET;
    CHECK(!happened || rc == 0);
    CHECK_EQ(pirn_queue_try_get(o->q, &item), happened ? -EAGAIN : 0);
    CHECK_EQ(item, happened ? UNSET : o->next);
    CHECK_OK(pirn_queue_task_done(o->q));
    CHECK_EQ(pirn_queue_task_done(o->q), -EINVAL);
}

/* ---- Put: the queue is full, the driver gets --------------------------------------------- */

static void prepare_put(struct race *r)
{
    struct objects *o = r->more;
    int first = -1;
    prepare(r);
    CHECK_OK(pirn_queue_try_put(o->q, &first));
}

static long call_put(struct race *r)
{
    struct objects *o = r->more;
    return pirn_queue_put(o->q, &o->next, r->deadline);
}

static void complete_put(struct race *r)
{
    struct objects *o = r->more;
    int item = UNSET;
    CHECK_OK(pirn_queue_try_get(o->q, &item));
    CHECK_EQ(item, -1);
    CHECK_OK(pirn_queue_task_done(o->q));
}

static void check_put(struct race *r, long rc, bool happened)
{
    struct objects *o = r->more;
    int item = UNSET;
    CHECK(!happened || rc == 0);
    CHECK_EQ(pirn_queue_try_get(o->q, &item), happened ? 0 : -EAGAIN);
    CHECK_EQ(item, happened ? o->next : UNSET);
    CHECK_EQ(pirn_queue_task_done(o->q), happened ? 0 : -EINVAL);
}

/* ---- Channels: the driver tries; what it did must agree with what the call says ---------- */

static long call_recv(struct race *r)
{
    struct objects *o = r->more;
    int item = UNSET;
    long rc = pirn_channel_recv(o->a, &item, r->deadline);
    CHECK_EQ(item, rc != 1 ? UNSET : o->next);
    return rc;
}

/* Not before the call waits, or nobody is there to send to; nor for long, if it has been
 * stopped. */
static void complete_recv(struct race *r)
{
    struct objects *o = r->more;
    int rc, i = 0;
    while ((rc = pirn_channel_try_send(o->a, &o->next)) == -EAGAIN && race_tries(r, i++, 3000)) {}
    CHECK(rc == 0 || rc == -EAGAIN);
    r->sent = rc == 0;
}

static void check_recv(struct race *r, long rc, bool happened)
{
    CHECK(!happened || rc == 1);
    CHECK_EQ(r->sent, happened);
}

static long call_send(struct race *r)
{
    struct objects *o = r->more;
    return pirn_channel_send(o->a, &o->next, r->deadline);
}

static void complete_send(struct race *r)
{
    struct objects *o = r->more;
    int item = UNSET, rc, i = 0;
    while ((rc = pirn_channel_try_recv(o->a, &item)) == -EAGAIN && race_tries(r, i++, 3000)) {}
    CHECK(rc == 1 || rc == -EAGAIN);
    CHECK_EQ(item, rc == 1 ? o->next : UNSET);
    r->got = rc == 1;
}

static void check_send(struct race *r, long rc, bool happened)
{
    CHECK(!happened || rc == 0);
    CHECK_EQ(r->got, happened);
}

/* ---- Select: sends on a, receives from b; the driver comes to both, one after the other --- */

static long call_select(struct race *r)
{
    struct objects *o = r->more;
    int item = UNSET;
    pirn_case cases[] = {pirn_case_send(o->a, &o->next), pirn_case_recv(o->b, &item)};
    long rc = pirn_select(cases, 2, r->deadline);
    CHECK_EQ(item, rc != 1 ? UNSET : -o->next);
    if (rc >= 0)
        CHECK_EQ(cases[rc].result, rc);
    return rc;
}

static void complete_select(struct race *r)
{
    struct objects *o = r->more;
    int item = UNSET, other = -o->next;
    if (o->next % 2)
        CHECK_OK(pirn_channel_try_send(o->b, &other));
    r->got = pirn_channel_try_recv(o->a, &item) == 1;
    CHECK_EQ(item, r->got ? o->next : UNSET);
    if (o->next % 2 == 0)
        CHECK_OK(pirn_channel_try_send(o->b, &other));
}

static void check_select(struct race *r, long rc, bool happened)
{
    struct objects *o = r->more;
    int item = UNSET;
    CHECK(!happened || rc == 0 || rc == 1);
    CHECK_EQ(r->got, rc == 0);
    CHECK_EQ(pirn_channel_try_recv(o->b, &item), rc == 1 ? -EAGAIN : 1);
    CHECK_EQ(item, rc == 1 ? UNSET : -o->next);
    CHECK_EQ(pirn_channel_try_recv(o->a, &item), -EAGAIN);
}

static const struct race_kind kinds[] = {
    {"queue-get", begin, end, prepare, call_get, check_get, complete_get, 1700, 0, 0, 0},
    {"queue-put", begin, end, prepare_put, call_put, check_put, complete_put, 1700, 0, 0, 0},
    {"channel-recv", begin, end, prepare, call_recv, check_recv, complete_recv, 1700, 0, 0, 0},
    {"channel-send", begin, end, prepare, call_send, check_send, complete_send, 1700, 0, 0, 0},
    {"select", begin, end, prepare, call_select, check_select, complete_select, 1700, 0, 0, 0},
};

START_TEST(s146_get_race)
{
    race_run(&kinds[0]);
}
END_TEST

START_TEST(s142_put_race)
{
    race_run(&kinds[1]);
}
END_TEST

START_TEST(a138_recv_race)
{
    race_run(&kinds[2]);
}
END_TEST

START_TEST(a138_send_race)
{
    race_run(&kinds[3]);
}
END_TEST

START_TEST(a139_select_race)
{
    race_run(&kinds[4]);
}
END_TEST

SUPPORT_MAIN("queue/race", s146_get_race, s142_put_race, a138_recv_race, a138_send_race,
             a139_select_race)
