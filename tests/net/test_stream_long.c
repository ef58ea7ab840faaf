/*
 * Lines that are too long, and what comes after them; and how much a read asks for at a time.
 */
#include "tests/net/stream.h"

/* ---- The rest of such a line is its reader's, if that reads something else ------------------- */

static void expect_line(pirn_stream *s, const char *expected)
{
    const char *line;
    CHECK_EQ(pirn_stream_read_line(s, &line, PIRN_NEVER), strlen(expected));
    CHECK_OK(memcmp(line, expected, strlen(expected)));
}

enum how {
    BY_READ,
    BY_EXACTLY,
    BY_UNTIL,
    BY_CONSUME,
    BY_HALF,    /* what is left of it goes with the next line */
    BY_NOTHING, /* and so does all of it */
    WAYS
};

static void read_rest(pirn_stream *s, enum how how, const char *rest, size_t n)
{
    const char *view = rest;
    char buf[16];
    switch (how) {
    case BY_READ:
        CHECK_EQ(pirn_stream_read(s, buf, n, PIRN_NEVER), n);
        view = buf;
        break;
    case BY_EXACTLY:
        CHECK_EQ(pirn_stream_read_exactly(s, buf, n, NULL, PIRN_NEVER), n);
        view = buf;
        break;
    case BY_UNTIL:
        CHECK_EQ(pirn_stream_read_until(s, &view, "\n", 1, PIRN_NEVER), n);
        break;
    case BY_CONSUME:
        CHECK_GE(pirn_stream_peek(s, &view, n, PIRN_NEVER), n);
        CHECK_OK(memcmp(view, rest, n));
        view = rest;
        CHECK_OK(pirn_stream_consume(s, n));
        break;
    case BY_HALF:
        CHECK_EQ(pirn_stream_read(s, buf, n / 2, PIRN_NEVER), n / 2);
        view = rest;
        break;
    default:
        CHECK_EQ(pirn_stream_read(s, buf, 0, PIRN_NEVER), 0);
        CHECK_EQ(pirn_stream_read_until(s, &view, "#", 1, PIRN_NEVER), -EMSGSIZE);
        CHECK_GE(pirn_stream_peek(s, &view, n, PIRN_NEVER), n);
        break;
    }
    CHECK_OK(memcmp(view, rest, n));
}

static int read_by_hand(void *arg)
{
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    config.limit = 8;
    for (enum how how = 0; how < WAYS; how++) {
        struct ends e = ends_open(*(enum kind *)arg, &config);
        const char *view;
        ends_send(&e, "123456789rest\nnext\nlast\n", 24);
        CHECK_EQ(pirn_stream_read_line(e.stream, &view, PIRN_NEVER), -EMSGSIZE);
        read_rest(e.stream, how, "rest\n", 5);
        expect_line(e.stream, "next\n");
        expect_line(e.stream, "last\n");
        ends_close(&e);
    }
    return 0;
}

START_TEST(a157_no_line_goes_for_a_rest_that_was_read)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0; kind < PTY; kind++)
        CHECK_OK(support_run(w, read_by_hand, &kind));
}
END_TEST

/* ---- What a read asks for -------------------------------------------------------------------- */

struct giver {
    size_t most, all;
    int calls;
};

/* All that is asked for, but for once: then the reads begin small again. */
static ssize_t give(struct giver *g, void *buf, size_t n)
{
    if (n > g->most)
        g->most = n;
    if (++g->calls == 5)
        n = 1;
    g->all += n;
    memset(buf, 'x', n);
    return (ssize_t)n;
}

static ssize_t giver_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    (void)deadline;
    return give(self, buf, n);
}

static ssize_t giver_try(void *self, void *buf, size_t n)
{
    return give(self, buf, n);
}

static ssize_t giver_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    (void)self, (void)buf, (void)deadline;
    return (ssize_t)n;
}

static int giver_close(void *self)
{
    (void)self;
    return 0;
}

static int ask(void *arg)
{
    enum {
        CHUNK = 32 * 1024,
        ALL = 8 * CHUNK
    };
    (void)arg;
    for (int tries = 0; tries < 2; tries++) {
        const pirn_transport ops = {.size = sizeof(ops),
                                    .read = giver_read,
                                    .write = giver_write,
                                    .close = giver_close,
                                    .try_read = tries ? giver_try : NULL};
        struct giver g = {0};
        pirn_stream *s;
        const char *view;
        CHECK_OK(pirn_stream_over(&s, &ops, &g, NULL));
        while (g.all < ALL) {
            ssize_t n = pirn_stream_peek(s, &view, 1, PIRN_NEVER);
            CHECK_GE(n, 1);
            CHECK_OK(pirn_stream_consume(s, (size_t)n));
        }
        CHECK_EQ(g.most, CHUNK);
        CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
        pirn_stream_release(s);
    }
    return 0;
}

START_TEST(a161_a_read_asks_for_a_chunk_at_most)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, ask, NULL));
}
END_TEST

SUPPORT_MAIN("net/stream_long", a157_no_line_goes_for_a_rest_that_was_read,
             a161_a_read_asks_for_a_chunk_at_most)
