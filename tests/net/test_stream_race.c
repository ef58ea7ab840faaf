/* serial */
/*
 * A read of a stream stopped at about the moment its bytes arrive: they are returned, or still
 * there (A160, A65). Every byte has a number, and none is lost or comes twice.
 */
#include "tests/race/race.h"

enum {
    SMALL = 8,
    LARGE = 20000, /* past the stream's buffer, */
    PART = 2500    /* and in parts */
};

struct state {
    pirn_stream *stream;
    const char *view;
    char in[LARGE], out[LARGE];
    uint32_t written, read; /* numbers of the next byte */
};

static char numbered(uint32_t i)
{
    return i % SMALL == SMALL - 1 ? '\n' : (char)('a' + i / SMALL % 26);
}

static struct state *of(struct race *r)
{
    return r->more;
}

static void begin(struct race *r)
{
    struct state *state = calloc(1, sizeof(*state));
    CHECK(state);
    support_pair(r->fds);
    CHECK_OK(pirn_stream_new(&state->stream, r->fds[0], NULL));
    r->more = state;
}

static void end(struct race *r)
{
    CHECK_EQ(of(r)->written, of(r)->read);
    CHECK_OK(pirn_stream_close(of(r)->stream, PIRN_NEVER));
    pirn_stream_release(of(r)->stream);
    CHECK_OK(pirn_close(r->fds[1]));
    free(r->more);
}

static void prepare(struct race *r)
{
    memset(of(r)->in, 0, sizeof(of(r)->in));
}

static void send_numbered(struct race *r, size_t n)
{
    struct state *state = of(r);
    for (size_t i = 0; i < n; i++)
        state->out[i] = numbered(state->written++);
    for (size_t i = 0; i < n; i += PART)
        support_send_all(r->fds[1], state->out + i, n - i < PART ? n - i : PART);
}

static void send_small(struct race *r)
{
    send_numbered(r, SMALL);
}

static void send_large(struct race *r)
{
    send_numbered(r, LARGE);
}

static long call_read(struct race *r)
{
    return pirn_stream_read(of(r)->stream, of(r)->in, SMALL, r->deadline);
}

static long call_large_read(struct race *r)
{
    return pirn_stream_read(of(r)->stream, of(r)->in, LARGE, r->deadline);
}

static long call_exactly(struct race *r)
{
    return pirn_stream_read_exactly(of(r)->stream, of(r)->in, SMALL, NULL, r->deadline);
}

static long call_large_exactly(struct race *r)
{
    return pirn_stream_read_exactly(of(r)->stream, of(r)->in, LARGE, NULL, r->deadline);
}

static long call_line(struct race *r)
{
    const char *view;
    long n = pirn_stream_read_line(of(r)->stream, &view, r->deadline);
    if (n > 0)
        memcpy(of(r)->in, view, (size_t)n);
    return n;
}

static void check(struct race *r, long rc, bool happened, size_t n)
{
    struct state *state = of(r);
    if (!happened) /* the driver is through, or about to be */
        rc = pirn_stream_read_exactly(state->stream, state->in, n, NULL, PIRN_NEVER);
    else if (rc > 0 && (size_t)rc < n) /* a part of what came */
        rc += pirn_stream_read_exactly(state->stream, state->in + rc, n - (size_t)rc, NULL,
                                       PIRN_NEVER);
    CHECK_EQ(rc, n);
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(state->in[i], numbered(state->read++));
    CHECK_EQ(pirn_stream_read(state->stream, state->in, 1, PIRN_NOW), -ETIMEDOUT);
}

static void check_small(struct race *r, long rc, bool happened)
{
    check(r, rc, happened, SMALL);
}

static void check_large(struct race *r, long rc, bool happened)
{
    check(r, rc, happened, LARGE);
}

#define KIND(NAME, CALL, COMPLETE, CHECK_, ROUNDS) \
    { \
        .name = NAME, .begin = begin, .end = end, .prepare = prepare, .call = CALL, \
        .complete = COMPLETE, .check = CHECK_, .rounds = ROUNDS \
    }
static const struct race_kind kinds[] = {
    KIND("read", call_read, send_small, check_small, 400),
    KIND("large read", call_large_read, send_small, check_small, 400),
    KIND("read_exactly", call_exactly, send_small, check_small, 400),
    KIND("large read_exactly", call_large_exactly, send_large, check_large, 200),
    KIND("read_line", call_line, send_small, check_small, 400),
};

START_TEST(a160_read_race)
{
    race_run(&kinds[0]);
    race_run(&kinds[1]);
}
END_TEST

START_TEST(a160_read_exactly_race)
{
    race_run(&kinds[2]);
    race_run(&kinds[3]);
}
END_TEST

START_TEST(a160_read_line_race)
{
    race_run(&kinds[4]);
}
END_TEST

SUPPORT_MAIN("net/stream_race", a160_read_race, a160_read_exactly_race, a160_read_line_race)
