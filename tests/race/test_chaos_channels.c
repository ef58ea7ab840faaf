/*
 * Items on their way through channels and selects, in two stages, from many to many, amid cancels,
 * deadlines and ends: each is got by one, or dropped, or was never taken from its sender. See
 * chaos.h.
 */
#include "tests/race/chaos.h"

enum {
    LANES = 3, /* channels of a stage */
    EACH = 24, /* items of a sender, at most */
    SENDERS = 4,
    ITEMS = EACH * SENDERS
};

struct objects {
    pirn_channel *in[LANES], *out[LANES];
    pirn_future *bell;
    atomic_int fate[ITEMS]; /* what became of it, how often */
};

static struct objects *of(struct actor *a)
{
    return a->chaos->objects;
}

/* Whom items that nobody can get any more go to. */
static struct objects *current;

static void drop_sent(void *item)
{
    atomic_fetch_add(&current->fate[*(int *)item], 1);
}

/* ---- Calls ------------------------------------------------------------------------------- */

struct pass {
    void *object;
    int *item;
    pirn_case *cases;
    size_t n;
};

static int op_send(struct actor *a, void *arg, pirn_time t)
{
    struct pass *p = arg;
    return chaos_roll(a, 4) == 0 ? pirn_channel_try_send(p->object, p->item)
                                 : pirn_channel_send(p->object, p->item, t);
}

static int op_recv(struct actor *a, void *arg, pirn_time t)
{
    struct pass *p = arg;
    return chaos_roll(a, 4) == 0 ? pirn_channel_try_recv(p->object, p->item)
                                 : pirn_channel_recv(p->object, p->item, t);
}

static int op_select(struct actor *a, void *arg, pirn_time t)
{
    struct pass *p = arg;
    return chaos_roll(a, 8) == 0 ? pirn_select_try(p->cases, p->n) : pirn_select(p->cases, p->n, t);
}

/* ---- Senders, relays between two stages, receivers --------------------------------------- */

/* An index of those that are not NULL, or -1. */
static int any_lane(struct actor *a, void *const *lanes)
{
    int start = (int)chaos_roll(a, LANES);
    for (int k = 0; k < LANES; k++)
        if (lanes[(start + k) % LANES] != NULL)
            return (start + k) % LANES;
    return -1;
}

/* Also for another, if the handle is shared, and closed, not only released. */
static void end_lane(struct actor *a, void **lane)
{
    if (chaos_roll(a, 2) == 0) {
        int rc = pirn_channel_close(*lane, PIRN_CHANNEL_BOTH);
        CHECK(rc == 0 || rc == -EALREADY);
    }
    pirn_channel_release(*lane);
    *lane = NULL;
}

static void end_lanes(struct actor *a, void **lanes)
{
    for (int i; (i = any_lane(a, lanes)) >= 0; end_lane(a, &lanes[i])) {}
}

/* Sends it, by whatever way; false: nobody is left to receive. */
static bool send_one(struct actor *a, void **lanes, int *item)
{
    for (int i; (i = any_lane(a, lanes)) >= 0; chaos_dawdle(a)) {
        struct pass pass = {lanes[i], item, NULL, 0};
        int rc;
        if (chaos_roll(a, 2) == 0) {
            pirn_case cases[LANES];
            for (int k = 0; k < LANES; k++)
                cases[k] = pirn_case_send(lanes[k], item);
            pass = (struct pass){NULL, NULL, cases, LANES};
            rc = chaos_call(a, op_select, &pass, chaos_deadline(a));
            if (rc >= 0) {
                i = rc;
                rc = cases[i].result;
                CHECK(rc == 0 || rc == -EPIPE);
            }
        } else {
            rc = chaos_call(a, op_send, &pass, chaos_deadline(a));
        }
        if (rc == 0)
            return true;
        if (rc == -EPIPE)
            end_lane(a, &lanes[i]);
        else if (rc == -ESHUTDOWN)
            end_lanes(a, lanes);
        else
            CHECK(chaos_stopped(rc));
    }
    return false;
}

static void play_sender(struct actor *a)
{
    for (int i = 0; i < a->quota; i++) {
        int item = a->number * EACH + i;
        if (!send_one(a, a->handles, &item))
            atomic_fetch_add(&of(a)->fate[item], 1); /* it is ours still */
    }
    end_lanes(a, a->handles);
}

/* Who holds up to two items; handles: in, then out. */
static void play_relay(struct actor *a)
{
    void **in = a->handles, **out = a->handles + LANES;
    pirn_future *bell = of(a)->bell;
    int held[3], n = 0;
    while (n > 0 || any_lane(a, in) >= 0) {
        pirn_case cases[2 * LANES + 1];
        for (int k = 0; k < LANES; k++) {
            cases[k] = pirn_case_recv(n < 2 ? in[k] : NULL, &held[n]);
            cases[LANES + k] = pirn_case_send(n > 0 ? out[k] : NULL, &held[0]);
        }
        cases[2 * LANES] = pirn_case_await(bell, NULL);
        struct pass pass = {NULL, NULL, cases, 2 * LANES + 1};
        int rc = chaos_call(a, op_select, &pass, chaos_deadline(a));
        if (rc == -ESHUTDOWN) {
            end_lanes(a, in);
            end_lanes(a, out);
        } else if (rc < 0) {
            CHECK(chaos_stopped(rc));
        } else if (rc == 2 * LANES) {
            CHECK_EQ(cases[rc].result, 5);
            bell = NULL;
        } else if (rc >= LANES) {
            if (cases[rc].result == -EPIPE)
                end_lane(a, &out[rc - LANES]);
            else
                CHECK_OK(cases[rc].result);
            if (cases[rc].result == 0)
                held[0] = held[--n];
        } else if (cases[rc].result == 0 || cases[rc].result == -EPIPE) {
            end_lane(a, &in[rc]);
        } else {
            CHECK_EQ(cases[rc].result, 1);
            n++;
        }
        for (; n > 0 && any_lane(a, out) < 0; n--)
            atomic_fetch_add(&of(a)->fate[held[n - 1]], 1); /* nobody wants it */
        chaos_dawdle(a);
    }
    end_lanes(a, out);
}

/* Some leave before the end. */
static void play_receiver(struct actor *a)
{
    void **in = a->handles;
    for (int i; a->quota > 0 && (i = any_lane(a, in)) >= 0; chaos_dawdle(a)) {
        int item = -1, rc;
        pirn_case cases[LANES];
        struct pass pass = {in[i], &item, cases, LANES};
        for (int k = 0; k < LANES; k++)
            cases[k] = pirn_case_recv(in[k], &item);
        if (chaos_roll(a, 4) != 0) {
            rc = chaos_call(a, op_select, &pass, chaos_deadline(a));
            if (rc >= 0) {
                i = rc;
                rc = cases[i].result;
                CHECK(rc == 0 || rc == 1 || rc == -EPIPE);
            }
        } else { /* not for long: the others could be full */
            rc = chaos_call(a, op_recv, &pass, chaos_soon(a));
        }
        CHECK_EQ(item >= 0, rc == 1);
        if (rc == 1) {
            atomic_fetch_add(&of(a)->fate[item], 1);
            a->quota--;
        } else if (rc == 0 || rc == -EPIPE) {
            end_lane(a, &in[i]);
        } else if (rc == -ESHUTDOWN) {
            end_lanes(a, in);
        } else {
            CHECK(chaos_stopped(rc));
        }
    }
    end_lanes(a, in);
}

static void play_ringer(struct actor *a)
{
    chaos_dawdle(a);
    CHECK_OK(pirn_future_set(of(a)->bell, 5, NULL));
}

/* ---- A round ----------------------------------------------------------------------------- */

/* Of its own, or shared with the last one that got some. */
static void give_handles(struct chaos *c, pirn_channel *const *stage, unsigned side, void **ret,
                         void *const *last)
{
    bool shared = last != NULL && chaos_draw(&c->random, 3) == 0;
    for (int i = 0; i < LANES; i++) {
        pirn_channel *handle;
        if (shared)
            handle = pirn_channel_retain(last[i]);
        else
            CHECK_OK(pirn_channel_clone(stage[i], side, &handle));
        ret[i] = handle;
    }
}

static int some(struct chaos *c, int most)
{
    return 1 + (int)chaos_draw(&c->random, (uint64_t)most);
}

static void set_up(struct chaos *c, struct objects *o, int *ret_sent)
{
    bool leave = chaos_draw(&c->random, 2) == 0; /* receivers go before the end */
    CHECK_OK(pirn_future_new(&o->bell));
    chaos_add(c, play_ringer, 0);
    for (int i = 0; i < LANES; i++) {
        CHECK_OK(pirn_channel_new(&o->in[i], sizeof(int), (size_t)some(c, 4) - 1, drop_sent));
        CHECK_OK(pirn_channel_new(&o->out[i], sizeof(int), (size_t)some(c, 4) - 1, drop_sent));
    }
    struct actor *a, *last = NULL;
    for (int i = 0, n = some(c, SENDERS); i < n; i++, last = a) {
        a = chaos_add(c, play_sender, i);
        ret_sent[i] = a->quota = some(c, EACH);
        give_handles(c, o->in, PIRN_CHANNEL_SEND, a->handles, last ? last->handles : NULL);
    }
    last = NULL;
    for (int i = 0, n = some(c, 3); i < n; i++, last = a) {
        a = chaos_add(c, play_relay, i);
        give_handles(c, o->in, PIRN_CHANNEL_RECV, a->handles, last ? last->handles : NULL);
        give_handles(c, o->out, PIRN_CHANNEL_SEND, a->handles + LANES,
                     last ? last->handles + LANES : NULL);
    }
    last = NULL;
    for (int i = 0, n = some(c, 3); i < n; i++, last = a) {
        a = chaos_add(c, play_receiver, i);
        a->quota = leave ? some(c, EACH) : ITEMS + 1;
        give_handles(c, o->out, PIRN_CHANNEL_RECV, a->handles, last ? last->handles : NULL);
    }
    for (int i = 0; i < LANES; i++) {
        pirn_channel_release(o->in[i]);
        pirn_channel_release(o->out[i]);
    }
}

static void round_of_channels(struct chaos *c)
{
    struct objects *o = calloc(1, sizeof(*o));
    int sent[SENDERS] = {0};
    CHECK(o);
    c->objects = current = o;
    set_up(c, o, sent);
    chaos_round(c);
    for (int i = 0; i < ITEMS; i++)
        CHECK_EQ(atomic_load(&o->fate[i]), i % EACH < sent[i / EACH]);
    pirn_release(o->bell);
    free(o);
}

START_TEST(a139_channels_and_selects)
{
    chaos_run(round_of_channels, CHAOS_NO_THIRD);
}
END_TEST

START_TEST(a139_channels_and_the_end_of_a_runtime)
{
    chaos_run(round_of_channels, CHAOS_ENDS);
}
END_TEST

START_TEST(a139_channels_and_pauses)
{
    chaos_run(round_of_channels, CHAOS_PAUSES);
}
END_TEST

SUPPORT_MAIN("race/chaos_channels", a139_channels_and_selects,
             a139_channels_and_the_end_of_a_runtime, a139_channels_and_pauses)
