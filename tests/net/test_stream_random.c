/*
 * Streams over transports that misbehave, at random: reads of bytes split anywhere, with stops
 * between them, against a parser of the whole text; writes that are taken in parts, by several at a
 * time.
 */
#include "tests/net/stream.h"

enum {
    TEXT = 3000,
    STOPPED = 4 /* one read in so many is stopped */
};

static uint64_t next_random(uint64_t *state) /* xorshift: a seed says it all */
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t below(uint64_t *state, size_t n)
{
    return (size_t)(next_random(state) % n);
}

/* ---- Reading ------------------------------------------------------------------------------- */

struct text {
    uint64_t random;
    char data[TEXT];
    size_t n, given;
    size_t most; /* bytes of one read */
    /* The reference: what has been taken. */
    size_t at, limit;
    bool skipping;
};

static ssize_t give(struct text *t, void *buf, size_t n)
{
    size_t part = 1 + below(&t->random, t->most);
    part = part < n ? part : n;
    part = part < t->n - t->given ? part : t->n - t->given;
    memcpy(buf, t->data + t->given, part);
    t->given += part;
    return (ssize_t)part;
}

static ssize_t text_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    static const int stops[] = {-ETIMEDOUT, -ECANCELED, -ENOMEM};
    struct text *t = self;
    (void)deadline;
    return below(&t->random, STOPPED) == 0 ? stops[below(&t->random, 3)] : give(t, buf, n);
}

static ssize_t text_try_read(void *self, void *buf, size_t n)
{
    struct text *t = self;
    return below(&t->random, 3) == 0 ? -EAGAIN : give(t, buf, n);
}

static ssize_t text_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    (void)self, (void)buf, (void)n, (void)deadline;
    return -EIO;
}

static int text_close(void *self)
{
    (void)self;
    return 0;
}

static const pirn_transport text_ops[] = {
    {.size = sizeof(pirn_transport), .read = text_read, .write = text_write, .close = text_close},
    {.size = sizeof(pirn_transport),
     .read = text_read,
     .write = text_write,
     .close = text_close,
     .try_read = text_try_read},
};

static bool is_stop(ssize_t rc)
{
    return rc == -ETIMEDOUT || rc == -ECANCELED || rc == -ENOMEM;
}

static size_t left(const struct text *t)
{
    return t->n - t->at;
}

/* The length of the record at the reference's place, with its separator; 0: there is none. */
static size_t record(const struct text *t, const char *sep, size_t sep_len)
{
    for (size_t i = 0; i <= t->limit && i + sep_len <= left(t); i++)
        if (memcmp(t->data + t->at + i, sep, sep_len) == 0)
            return i + sep_len;
    return 0;
}

static void take(struct text *t, size_t n)
{
    if (memchr(t->data + t->at, '\n', n) != NULL)
        t->skipping = false;
    t->at += n;
}

static void expect(struct text *t, const char *view, size_t n)
{
    CHECK_LE(n, left(t));
    CHECK_OK(memcmp(view, t->data + t->at, n));
    take(t, n);
}

static void line_step(pirn_stream *s, struct text *t)
{
    const char *view;
    ssize_t rc;
    while (is_stop(rc = pirn_stream_read_line(s, &view, PIRN_NEVER))) {}
    while (t->skipping && left(t) != 0)
        t->skipping = t->data[t->at++] != '\n';
    size_t n = t->skipping ? 0 : record(t, "\n", 1);
    if (n == 0 && left(t) > t->limit) {
        CHECK_EQ(rc, -EMSGSIZE);
        t->at += t->limit + 1;
        t->skipping = true;
        return;
    }
    n = n != 0 ? n : left(t);
    CHECK_EQ(rc, n);
    expect(t, view, n);
}

static void until_step(pirn_stream *s, struct text *t)
{
    static const char *const seps[] = {"\r\n", "aab", "\n\n", "b"};
    const char *view, *sep = seps[below(&t->random, 4)];
    size_t n = record(t, sep, strlen(sep));
    ssize_t rc;
    while (is_stop(rc = pirn_stream_read_until(s, &view, sep, strlen(sep), PIRN_NEVER))) {}
    if (n == 0) {
        CHECK_EQ(rc, left(t) >= t->limit + strlen(sep) ? -EMSGSIZE : -ENODATA);
        return;
    }
    CHECK_EQ(rc, n);
    expect(t, view, n);
}

static void exactly_step(pirn_stream *s, struct text *t)
{
    char buf[TEXT];
    size_t n = below(&t->random, 300), got = 0;
    ssize_t rc;
    while (is_stop(rc = pirn_stream_read_exactly(s, buf, n, &got, PIRN_NEVER))) {}
    CHECK_EQ(rc, n <= left(t) ? (ssize_t)n : -ENODATA);
    CHECK_EQ(got, n <= left(t) ? n : left(t));
    expect(t, buf, got);
}

static void read_step(pirn_stream *s, struct text *t)
{
    char buf[8192];
    size_t n = 1 + below(&t->random, below(&t->random, 4) == 0 ? sizeof(buf) : 50);
    ssize_t rc;
    while (is_stop(rc = pirn_stream_read(s, buf, n, PIRN_NEVER))) {}
    CHECK_GE(rc, left(t) != 0);
    CHECK_LE(rc, n);
    expect(t, buf, (size_t)rc);
}

static void peek_step(pirn_stream *s, struct text *t)
{
    const char *view;
    size_t least = below(&t->random, 200);
    ssize_t rc;
    while (is_stop(rc = pirn_stream_peek(s, &view, least, PIRN_NEVER))) {}
    CHECK_GE(rc, least < left(t) ? least : left(t));
    CHECK_LE(rc, left(t));
    CHECK_OK(memcmp(view, t->data + t->at, (size_t)rc));
    size_t n = below(&t->random, (size_t)rc + 1);
    CHECK_OK(pirn_stream_consume(s, n));
    take(t, n);
}

static void parse(uint64_t seed)
{
    static void (*const steps[])(pirn_stream *, struct text *) = {
        line_step, until_step, exactly_step, read_step, peek_step, line_step};
    struct text t = {.random = seed * 0x9e3779b97f4a7c15u + 1};
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    pirn_stream *s;
    t.n = below(&t.random, TEXT + 1);
    for (size_t i = 0; i < t.n; i++)
        t.data[i] = "aaab\r\n\nc"[below(&t.random, 8)];
    t.most = below(&t.random, 2) == 0 ? 4 : 700;
    t.limit = 1 + below(&t.random, 30);
    config.limit = t.limit;
    unsigned only = (unsigned)below(&t.random, 8); /* of one kind, or all mixed */
    CHECK_OK(pirn_stream_over(&s, &text_ops[below(&t.random, 2)], &t, &config));
    /* A record that is not there takes nothing, so there is always some other step. */
    for (unsigned i = 0; left(&t) != 0; i++)
        steps[only < 6 && i % 3 != 0 ? only : below(&t.random, 6)](s, &t);
    for (int i = 0; i < 6; i++)
        steps[i](s, &t);
    CHECK(pirn_stream_at_end(s));
    pirn_stream_release(s);
}

static int parse_many(void *arg)
{
    uint64_t first = *(uint64_t *)arg;
    for (uint64_t seed = first; seed < first + (uint64_t)support_rounds(3000); seed++)
        parse(seed);
    return 0;
}

START_TEST(a158_any_split_is_parsed_alike)
{
    uint64_t first = 1;
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, parse_many, &first));
        first += 3000;
    }
}
END_TEST

/* ---- Writing: several at a time ------------------------------------------------------------- */

enum {
    WRITERS = 4,
    RECORDS = 300
};

struct sink {
    pthread_mutex_t lock; /* over random: writers of a stream overlap in nothing else */
    uint64_t random;
    char *data;
    size_t n, fails_at;
    atomic_int inside, refused;
    pirn_stream *stream;
    atomic_int writing;
};

static size_t sink_random(struct sink *k, size_t n)
{
    pthread_mutex_lock(&k->lock);
    size_t value = below(&k->random, n);
    pthread_mutex_unlock(&k->lock);
    return value;
}

static ssize_t sink_take(struct sink *k, const void *buf, size_t n)
{
    CHECK_EQ(atomic_fetch_add(&k->inside, 1), 0);
    size_t part = 1 + sink_random(k, n);
    if (k->n >= k->fails_at) {
        atomic_fetch_sub(&k->inside, 1);
        return -ECONNRESET;
    }
    memcpy(k->data + k->n, buf, part);
    k->n += part;
    CHECK_EQ(atomic_fetch_sub(&k->inside, 1), 1);
    return (ssize_t)part;
}

static ssize_t sink_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    struct sink *k = self;
    (void)deadline;
    size_t how = sink_random(k, 80);
    if (how == 0) { /* its sender gives up for now: not often, as the stream pauses then for 5 ms */
        atomic_fetch_add(&k->refused, 1);
        return -ENOMEM;
    }
    if (how <= 10 && pirn_sleep(pirn_after_us(20)) != 0)
        return -ECANCELED;
    return sink_take(k, buf, n);
}

static ssize_t sink_try_write(void *self, const struct iovec *iov, int count)
{
    (void)count;
    if (sink_random(self, 3) == 0 || iov->iov_len == 0)
        return -EAGAIN;
    ssize_t n = sink_take(self, iov->iov_base, iov->iov_len);
    support_spin(support_between(0, 20 * US)); /* others write meanwhile */
    return n;
}

static ssize_t sink_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    (void)self, (void)buf, (void)n, (void)deadline;
    return 0;
}

static const pirn_transport sink_ops[] = {
    {.size = sizeof(pirn_transport), .read = sink_read, .write = sink_write, .close = text_close},
    {.size = sizeof(pirn_transport),
     .read = sink_read,
     .write = sink_write,
     .close = text_close,
     .try_write = sink_try_write},
};

/* A record: who, its number, its length, and so many times that letter. */
struct head {
    uint16_t writer, number, length;
};

static int write_records(void *arg)
{
    struct sink *k = arg;
    struct head head = {.writer = (uint16_t)atomic_fetch_add(&k->writing, 1)};
    char body[6000];
    memset(body, 'a' + head.writer, sizeof(body));
    for (int i = 0; i < RECORDS; i++) {
        head.number = (uint16_t)i;
        head.length = (uint16_t)(sink_random(k, 10) == 0 ? sink_random(k, sizeof(body))
                                                         : sink_random(k, 100));
        struct iovec iov[] = {{&head, sizeof(head)}, {body, head.length}};
        ssize_t n = pirn_stream_writev(k->stream, iov, 2);
        if (n == -ECONNRESET && k->fails_at != SIZE_MAX)
            return 1;
        CHECK_EQ(n, sizeof(head) + head.length);
        int rc = pirn_stream_drain(k->stream, PIRN_NEVER);
        CHECK(rc == 0 || rc == -ENOMEM || (rc == -ECONNRESET && k->fails_at != SIZE_MAX));
    }
    return 0;
}

static void check_records(const struct sink *k)
{
    uint16_t next[WRITERS] = {0};
    for (size_t at = 0; at < k->n;) {
        struct head head;
        memcpy(&head, k->data + at, sizeof(head));
        CHECK(head.writer < WRITERS);
        CHECK_EQ(head.number, next[head.writer]++);
        for (size_t i = 0; i < head.length; i++)
            CHECK_EQ(k->data[at + sizeof(head) + i], 'a' + head.writer);
        at += sizeof(head) + head.length;
        CHECK_LE(at, k->n);
    }
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ(next[i], RECORDS);
}

static int write_rounds(void *arg)
{
    int failed = 0, refused = 0;
    (void)arg;
    for (int i = 0; i < support_rounds(40); i++) {
        struct sink k = {.lock = PTHREAD_MUTEX_INITIALIZER, .random = support_random() | 1};
        pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
        pirn_task *writers[WRITERS];
        config.high = 2000;
        config.low = 500;
        k.fails_at = i % 4 == 3 ? 100000 : SIZE_MAX;
        k.data = malloc(WRITERS * RECORDS * 6100);
        CHECK(k.data);
        CHECK_OK(pirn_stream_over(&k.stream, &sink_ops[i % 2], &k, &config));
        for (int j = 0; j < WRITERS; j++)
            writers[j] = support_spawn(write_records, &k);
        for (int j = 0; j < WRITERS; j++)
            failed += support_join(writers[j]);
        int rc;
        while ((rc = pirn_stream_end(k.stream, PIRN_NEVER)) == -ENOMEM) {}
        CHECK_EQ(rc, k.fails_at == SIZE_MAX ? -EOPNOTSUPP : -ECONNRESET);
        CHECK_EQ(pirn_stream_close(k.stream, PIRN_NEVER), k.fails_at == SIZE_MAX ? 0 : -ECONNRESET);
        pirn_stream_release(k.stream);
        refused += atomic_load(&k.refused);
        if (k.fails_at == SIZE_MAX)
            check_records(&k);
        free(k.data);
    }
    CHECK_GE(failed, 1);
    CHECK_GE(refused, support_rounds(40)); /* measured: ten times that */
    return 0;
}

START_TEST(a161_writers_at_a_time_keep_together)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, write_rounds, NULL));
}
END_TEST

SUPPORT_MAIN("net/stream_random", a158_any_split_is_parsed_alike,
             a161_writers_at_a_time_keep_together)
