/*
 * How much a read asks for at a time.
 */
#include "tests/net/stream.h"

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

SUPPORT_MAIN("net/stream_long", a161_a_read_asks_for_a_chunk_at_most)
