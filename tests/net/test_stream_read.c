/*
 * Reading from a stream: what comes, exact counts, lines, records, all of it (A151, A156 to A160,
 * S135, S137).
 */
#include "tests/net/stream.h"

/* ---- A156, S135: bytes, the end, errors ------------------------------------------------------ */

static int reads_and_ends(void *arg)
{
    struct ends e = ends_open(*(enum kind *)arg, NULL);
    char buf[16], *all;
    ends_send(&e, "hello worl\n", 11);
    CHECK_EQ(pirn_stream_read(e.stream, buf, 5, PIRN_NEVER), 5);
    CHECK_OK(memcmp(buf, "hello", 5));
    CHECK_EQ(pirn_stream_read(e.stream, buf, 0, PIRN_NEVER), 0);
    CHECK(!pirn_stream_at_end(e.stream));
    CHECK_EQ(pirn_stream_read(e.stream, buf, sizeof(buf), PIRN_NEVER), 6);
    CHECK_OK(memcmp(buf, " worl\n", 6));
    CHECK_EQ(pirn_stream_read(e.stream, buf, sizeof(buf), PIRN_NOW), -ETIMEDOUT);
    ends_send(&e, "abc", 3);
    ends_shut(&e);
    CHECK_EQ(pirn_stream_read(e.stream, buf, 2, PIRN_NEVER), 2);
    CHECK(!pirn_stream_at_end(e.stream));
    CHECK_EQ(pirn_stream_read_all(e.stream, &all, SIZE_MAX, PIRN_NEVER), 1);
    CHECK_OK(strcmp(all, "c"));
    free(all);
    CHECK(pirn_stream_at_end(e.stream));
    CHECK_EQ(pirn_stream_read(e.stream, buf, sizeof(buf), PIRN_NEVER), 0);
    CHECK_EQ(pirn_stream_read(e.stream, buf, sizeof(buf), PIRN_NOW), 0);
    CHECK_EQ(pirn_stream_read_all(e.stream, &all, 0, PIRN_NEVER), 0);
    CHECK_OK(strcmp(all, ""));
    free(all);
    ends_close(&e);
    return 0;
}

START_TEST(a156_up_to_n_then_the_end)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0, end = kinds(); kind < end; kind++)
        CHECK_OK(support_run(w, reads_and_ends, &kind));
}
END_TEST

/* All that one read has fetched comes before the error that follows it. */
static int bytes_then_error(void *arg)
{
    (void)arg;
    char buf[600], *all;
    const char *view;
    struct script script = {.read = {{"one\ntw", 6, 0}, {"o three", 7, 0}, {NULL, 0, -ECONNRESET}}};
    pirn_stream *s = script_open(&script, NULL);
    CHECK_EQ(pirn_stream_read_line(s, &view, PIRN_NEVER), 4);
    CHECK_EQ(pirn_stream_read_line(s, &view, PIRN_NEVER), -ECONNRESET);
    CHECK_EQ(pirn_stream_read_until(s, &view, "#", 1, PIRN_NEVER), -ECONNRESET);
    CHECK_EQ(pirn_stream_read_exactly(s, buf, 10, NULL, PIRN_NEVER), -ECONNRESET);
    CHECK_EQ(pirn_stream_read_all(s, &all, 100, PIRN_NEVER), -ECONNRESET);
    CHECK_EQ(pirn_stream_peek(s, &view, 10, PIRN_NEVER), -ECONNRESET);
    CHECK_EQ(pirn_stream_peek(s, &view, 9, PIRN_NEVER), 9);
    CHECK_EQ(pirn_stream_read_until(s, &view, "wo", 2, PIRN_NEVER), 3);
    CHECK_EQ(pirn_stream_read_exactly(s, buf, 2, NULL, PIRN_NEVER), 2);
    CHECK_EQ(pirn_stream_read(s, buf, sizeof(buf), PIRN_NEVER), 4);
    CHECK_OK(memcmp(buf, "hree", 4));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pirn_stream_read(s, buf, sizeof(buf), PIRN_NEVER), -ECONNRESET);
    CHECK_EQ(script.reads, 3);
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    pirn_stream_release(s);
    CHECK_EQ(script.freed, 1);
    return 0;
}

START_TEST(a156_bytes_first_then_the_error)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, bytes_then_error, NULL));
}
END_TEST

/* ---- A157: lines ---------------------------------------------------------------------------- */

static void expect_line(pirn_stream *s, const char *line)
{
    const char *view;
    CHECK_EQ(pirn_stream_read_line(s, &view, PIRN_NEVER), strlen(line));
    CHECK_OK(memcmp(view, line, strlen(line)));
}

static int lines(void *arg)
{
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    config.limit = 8;
    struct ends e = ends_open(*(enum kind *)arg, &config);
    const char *view;
    ends_send(&e, "12345678\n123456789\nnext\n1234567890123", 37);
    expect_line(e.stream, "12345678\n");
    CHECK_EQ(pirn_stream_read_line(e.stream, &view, PIRN_NEVER), -EMSGSIZE);
    expect_line(e.stream, "next\n");
    CHECK_EQ(pirn_stream_read_line(e.stream, &view, PIRN_NEVER), -EMSGSIZE);
    CHECK_EQ(pirn_stream_read_line(e.stream, &view, pirn_after_ms(1)), -ETIMEDOUT);
    ends_send(&e, "4567890123456789\n\nlast", 22);
    expect_line(e.stream, "\n");
    ends_shut(&e);
    expect_line(e.stream, "last");
    expect_line(e.stream, "");
    expect_line(e.stream, "");
    ends_close(&e);
    return 0;
}

START_TEST(a157_lines_up_to_the_limit)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0; kind < PTY;
         kind++) /* a terminal keeps lines to itself until they end */
        CHECK_OK(support_run(w, lines, &kind));
}
END_TEST

static int three_lines(void *arg)
{
    struct ends e = ends_open(*(enum kind *)arg, NULL);
    const char *view, *expected[] = {"first\n", "second\n", "third"};
    int count = 0;
    ssize_t n;
    ends_send(&e, "first\nsecond\nthird", 18);
    ends_shut(&e);
    while ((n = pirn_stream_read_line(e.stream, &view, PIRN_NEVER)) > 0) {
        CHECK_EQ(n, strlen(expected[count]));
        CHECK_OK(memcmp(view, expected[count++], (size_t)n));
    }
    CHECK_OK(n);
    CHECK_EQ(count, 3);
    ends_close(&e);
    return 0;
}

START_TEST(s137_three_lines_the_last_without_newline)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0, end = kinds(); kind < end; kind++)
        CHECK_OK(support_run(w, three_lines, &kind));
}
END_TEST

/* ---- A158: records --------------------------------------------------------------------------- */

static int records(void *arg)
{
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    config.limit = 8;
    (void)arg;
    struct script script = {.read = {{"12345678\r", 9, 0},
                                     {"\n12345", 6, 0},
                                     {"67", 2, 0},
                                     {"89\r\n", 4, 0},
                                     {"\r\nrest\r", 7, 0},
                                     {"", 0, 0}}};
    pirn_stream *s = script_open(&script, &config);
    const char *view;
    char buf[16];
    CHECK_EQ(pirn_stream_read_until(s, &view, "", 0, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_stream_read_until(s, &view, NULL, 1, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_stream_read_until(s, &view, "\r\n", 2, PIRN_NEVER), 10);
    CHECK_OK(memcmp(view, "12345678\r\n", 10));
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pirn_stream_read_until(s, &view, "\r\n", 2, PIRN_NEVER), -EMSGSIZE);
    CHECK_EQ(pirn_stream_read_exactly(s, buf, 1, NULL, PIRN_NEVER), 1);
    CHECK_EQ(pirn_stream_read_until(s, &view, "\r\n", 2, PIRN_NEVER), 10);
    CHECK_OK(memcmp(view, "23456789\r\n", 10));
    CHECK_EQ(pirn_stream_read_until(s, &view, "\r\n", 2, PIRN_NEVER), 2);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pirn_stream_read_until(s, &view, "\r\n", 2, PIRN_NEVER), -ENODATA);
    CHECK_EQ(pirn_stream_read(s, buf, sizeof(buf), PIRN_NEVER), 5);
    CHECK_OK(memcmp(buf, "rest\r", 5));
    CHECK_EQ(pirn_stream_read_until(s, &view, "\r\n", 2, PIRN_NEVER), -ENODATA);
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    pirn_stream_release(s);
    return 0;
}

START_TEST(a158_records_split_anywhere)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, records, NULL));
}
END_TEST

/* ---- A159: exact counts ---------------------------------------------------------------------- */

enum {
    LARGE = 300 * 1000
};

static int send_large(void *arg)
{
    struct ends *e = arg;
    char *data = pattern(LARGE);
    for (int i = 0; i < 2; i++)
        ends_send(e, data, LARGE);
    ends_send(e, "12345", 5);
    ends_shut(e);
    free(data);
    return 0;
}

static int exact(void *arg)
{
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    config.limit = 8;
    struct ends e = ends_open(*(enum kind *)arg, &config);
    char *expected = pattern(LARGE), *buf = malloc(LARGE);
    size_t got = 99;
    CHECK_EQ(pirn_stream_read_exactly(e.stream, NULL, 0, &got, PIRN_NOW), 0);
    CHECK_EQ(got, 0);
    pirn_task *task = support_spawn(send_large, &e);
    CHECK_EQ(pirn_stream_read_exactly(e.stream, buf, LARGE, &got, PIRN_NEVER), LARGE);
    CHECK_OK(memcmp(buf, expected, LARGE));
    CHECK_EQ(pirn_stream_read_exactly(e.stream, buf, 100, &got, PIRN_NEVER), 100);
    CHECK_EQ(pirn_stream_read_exactly(e.stream, buf + 100, LARGE - 100, NULL, PIRN_NEVER),
             LARGE - 100);
    CHECK_OK(memcmp(buf, expected, LARGE));
    CHECK_EQ(pirn_stream_read_exactly(e.stream, buf, 6, &got, PIRN_NEVER), -ENODATA);
    CHECK_EQ(got, 5);
    CHECK_OK(memcmp(buf, "12345", 5));
    CHECK_EQ(pirn_stream_read_exactly(e.stream, buf, LARGE, &got, PIRN_NEVER), -ENODATA);
    CHECK_EQ(got, 0);
    CHECK_OK(support_join(task));
    free(expected);
    free(buf);
    ends_close(&e);
    return 0;
}

START_TEST(a159_exactly_n_or_the_count)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0; kind < PTY; kind++)
        CHECK_OK(support_run(w, exact, &kind));
}
END_TEST

/* ---- A151: without a stream two may receive, and each byte goes to one of them --------------- */

struct shared {
    int fd;
    atomic_int seen[256], bytes;
};

static int receive_bytes(void *arg)
{
    struct shared *shared = arg;
    unsigned char buf[8];
    ssize_t n;
    while ((n = pirn_recv(shared->fd, buf, sizeof(buf), 0, PIRN_NEVER)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            atomic_fetch_add(&shared->seen[buf[i]], 1);
        atomic_fetch_add(&shared->bytes, (int)n);
    }
    return (int)n;
}

static int two_receive(void *arg)
{
    struct shared shared = {.bytes = 0};
    pirn_task *tasks[2];
    int pair[2];
    (void)arg;
    support_pair(pair);
    shared.fd = pair[0];
    for (int i = 0; i < 2; i++)
        tasks[i] = support_spawn(receive_bytes, &shared);
    for (int i = 0; i < 256; i++) {
        unsigned char byte = (unsigned char)i;
        if (i % 16 == 0) /* now and then both wait */
            for (int j = 0; j < 2; j++)
                support_until_waiting(tasks[j]);
        support_send_all(pair[1], &byte, 1);
    }
    CHECK_OK(shutdown(pair[1], SHUT_WR));
    for (int i = 0; i < 2; i++)
        CHECK_OK(support_join(tasks[i]));
    CHECK_EQ(atomic_load(&shared.bytes), 256);
    for (int i = 0; i < 256; i++)
        CHECK_EQ(atomic_load(&shared.seen[i]), 1);
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
    return 0;
}

START_TEST(a151_each_byte_to_one_of_two)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(20); i++)
        CHECK_OK(support_run(w, two_receive, NULL));
}
END_TEST

/* ---- A160: one reader ------------------------------------------------------------------------ */

static int read_one(void *arg)
{
    char c;
    return pirn_stream_read_exactly(arg, &c, 1, NULL, PIRN_NEVER) == 1 ? c : -EIO;
}

static int second_reader(void *arg)
{
    struct ends e = ends_open(*(enum kind *)arg, NULL);
    const char *view;
    char c;
    pirn_task *reader = support_spawn(read_one, e.stream);
    support_until_waiting(reader);
    CHECK_EQ(pirn_stream_read(e.stream, &c, 1, PIRN_NEVER), -EBUSY);
    CHECK_EQ(pirn_stream_read_line(e.stream, &view, PIRN_NEVER), -EBUSY);
    CHECK_EQ(pirn_stream_peek(e.stream, &view, 0, PIRN_NEVER), -EBUSY);
    CHECK_EQ(pirn_stream_consume(e.stream, 0), -EBUSY);
    if (e.writes) { /* a writer beside it */
        CHECK_EQ(pirn_stream_write(e.stream, "w\n", 2), 2);
        CHECK_OK(pirn_stream_drain(e.stream, PIRN_NEVER));
    }
    ends_send(&e, "r\n", 2);
    CHECK_EQ(support_join(reader), 'r');
    CHECK_EQ(pirn_stream_read(e.stream, &c, 1, PIRN_NEVER), 1);
    CHECK_EQ(c, '\n');
    ends_close(&e);
    return 0;
}

START_TEST(a160_a_second_reader_is_sent_away)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0, end = kinds(); kind < end; kind++)
        CHECK_OK(support_run(w, second_reader, &kind));
}
END_TEST

static int read_block(void *arg)
{
    pirn_stream *s = arg;
    static char buf[100000];
    return (int)pirn_stream_read_exactly(s, buf, sizeof(buf), NULL, PIRN_NEVER);
}

static int cancelled_reader(void *arg)
{
    struct ends e = ends_open(*(enum kind *)arg, NULL);
    char buf[16];
    const char *view;
    ends_send(&e, "12345\n", 6);
    CHECK_EQ(pirn_stream_peek(e.stream, &view, 1, PIRN_NEVER), 6);
    for (int i = 0; i < 2; i++) { /* of the buffered, and of received bytes */
        pirn_task *reader = support_spawn(read_block, e.stream);
        ends_send(&e, "more\n", 5);
        support_until_waiting(reader);
        pirn_sleep(pirn_after_ms(2));
        CHECK_OK(pirn_cancel(reader, NULL));
        CHECK_EQ(support_join(reader), -ECANCELED);
        CHECK_EQ(pirn_stream_read_exactly(e.stream, buf, 12, NULL, pirn_after_ms(1)), -ETIMEDOUT);
        if (i == 0)
            CHECK_EQ(pirn_stream_read_exactly(e.stream, buf, 6, NULL, PIRN_NEVER), 6);
        CHECK_EQ(pirn_stream_read_exactly(e.stream, buf, 5, NULL, PIRN_NEVER), 5);
        CHECK_OK(memcmp(buf, "more\n", 5));
    }
    ends_close(&e);
    return 0;
}

START_TEST(a160_a_cancelled_reader_takes_nothing)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0, end = kinds(); kind < end; kind++)
        CHECK_OK(support_run(w, cancelled_reader, &kind));
}
END_TEST

/* ---- Peek ------------------------------------------------------------------------------------ */

static int peeks(void *arg)
{
    struct ends e = ends_open(*(enum kind *)arg, NULL);
    const char *view;
    CHECK_OK(pirn_stream_peek(e.stream, &view, 0, PIRN_NEVER));
    CHECK_EQ(pirn_stream_peek(e.stream, &view, 1, PIRN_NOW), -ETIMEDOUT);
    ends_send(&e, "abcdef\n", 7);
    CHECK_EQ(pirn_stream_peek(e.stream, &view, 7, PIRN_NEVER), 7);
    CHECK_OK(memcmp(view, "abcdef\n", 7));
    CHECK_EQ(pirn_stream_consume(e.stream, 8), -EINVAL);
    CHECK_OK(pirn_stream_consume(e.stream, 3));
    CHECK_EQ(pirn_stream_peek(e.stream, &view, 1, PIRN_NEVER), 4);
    ends_shut(&e);
    CHECK_EQ(pirn_stream_peek(e.stream, &view, 5, PIRN_NEVER), 4);
    CHECK_OK(memcmp(view, "def\n", 4));
    CHECK_OK(pirn_stream_consume(e.stream, 4));
    CHECK_EQ(pirn_stream_peek(e.stream, &view, 1, PIRN_NEVER), 0);
    ends_close(&e);
    return 0;
}

START_TEST(peek_shows_and_consume_takes)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0, end = kinds(); kind < end; kind++)
        CHECK_OK(support_run(w, peeks, &kind));
}
END_TEST

SUPPORT_MAIN("net/stream_read", a156_up_to_n_then_the_end, a156_bytes_first_then_the_error,
             a157_lines_up_to_the_limit, s137_three_lines_the_last_without_newline,
             a158_records_split_anywhere, a159_exactly_n_or_the_count, a151_each_byte_to_one_of_two,
             a160_a_second_reader_is_sent_away, a160_a_cancelled_reader_takes_nothing,
             peek_shows_and_consume_takes)
