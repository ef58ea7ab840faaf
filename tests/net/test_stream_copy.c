/*
 * From one stream into another (Go's io.Copy): everything, in its order, to the end or the bound;
 * and whatever ends it before, each byte is either on its way or still to be read.
 */
#include "tests/net/stream.h"

#include <signal.h>

enum {
    MUCH = 3000000, /* more than sockets and high marks hold */
    RACES = 1000,
    STOPPED_N = 200000
};

/* Two socket pairs, each with a stream at one end; the test has the others. */
struct line {
    pirn_stream *from, *to;
    int source, sink;
};

static struct line line_open(void)
{
    struct line l;
    int pair[2];
    support_pair(pair);
    CHECK_OK(pirn_stream_new(&l.from, pair[0], NULL));
    l.source = pair[1];
    support_tcp_pair(pair);
    CHECK_OK(pirn_stream_new(&l.to, pair[0], NULL));
    l.sink = pair[1];
    return l;
}

static void line_close(struct line *l)
{
    pirn_stream_abort(l->from);
    pirn_stream_release(l->from);
    pirn_stream_abort(l->to);
    pirn_stream_release(l->to);
    close(l->source);
    close(l->sink);
}

/* ---- All of it ------------------------------------------------------------------------------- */

struct side {
    int fd;
    const char *data;
    size_t n, most; /* bytes at a time */
};

static int feed(void *arg)
{
    const struct side *s = arg;
    for (size_t at = 0; at < s->n;) {
        size_t n = 1 + (size_t)support_between(0, (int64_t)s->most);
        n = n < s->n - at ? n : s->n - at;
        CHECK_EQ(pirn_write(s->fd, s->data + at, n, PIRN_NEVER), n);
        at += n;
    }
    return shutdown(s->fd, SHUT_WR);
}

static int drink(void *arg)
{
    const struct side *s = arg;
    char *buf = malloc(s->most);
    size_t at = 0;
    ssize_t n;
    CHECK(buf != NULL);
    while ((n = pirn_read(s->fd, buf, s->most, PIRN_NEVER)) > 0) {
        CHECK_LE(at + (size_t)n, s->n);
        CHECK_OK(memcmp(buf, s->data + at, (size_t)n));
        at += (size_t)n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(at, s->n);
    free(buf);
    return 0;
}

static int copy_all(void *arg)
{
    struct line *l = arg;
    int64_t copied = -1;
    CHECK_EQ(pirn_stream_copy(l->to, l->from, INT64_MAX, &copied, PIRN_NEVER), MUCH);
    CHECK_EQ(copied, MUCH);
    CHECK(pirn_stream_at_end(l->from));
    CHECK_EQ(pirn_stream_copy(l->to, l->from, INT64_MAX, NULL, PIRN_NEVER), 0);
    return pirn_stream_end(l->to, PIRN_NEVER);
}

/* Either side the slower one. */
static int all_main(void *arg)
{
    char *data = pattern(MUCH);
    (void)arg;
    for (int slow = 0; slow < 2; slow++) {
        struct line l = line_open();
        struct side source = {l.source, data, MUCH, slow ? 3000 : 60000};
        struct side sink = {l.sink, data, MUCH, slow ? 60000 : 3000};
        pirn_task *tasks[] = {support_spawn(feed, &source), support_spawn(drink, &sink),
                              support_spawn(copy_all, &l)};
        for (int i = 0; i < 3; i++)
            CHECK_OK(support_join(tasks[i]));
        line_close(&l);
    }
    free(data);
    return 0;
}

START_TEST(all_of_it_arrives)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, all_main, NULL));
}
END_TEST

/* A relay: both ways at once; and an echo, from a stream into itself. */
static int relay_one_way(void *arg)
{
    pirn_stream **ends = arg;
    CHECK_EQ(pirn_stream_copy(ends[0], ends[1], INT64_MAX, NULL, PIRN_NEVER), MUCH / 10);
    return pirn_stream_end(ends[0], PIRN_NEVER);
}

static int relay_main(void *arg)
{
    char *data = pattern(MUCH / 10);
    struct line l = line_open();
    pirn_stream *there[] = {l.to, l.from}, *back[] = {l.from, l.to};
    struct side near = {l.source, data, MUCH / 10, 5000}, far = {l.sink, data, MUCH / 10, 5000};
    pirn_task *tasks[] = {support_spawn(relay_one_way, there), support_spawn(relay_one_way, back),
                          support_spawn(feed, &near),          support_spawn(feed, &far),
                          support_spawn(drink, &near),         support_spawn(drink, &far)};
    (void)arg;
    for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++)
        CHECK_OK(support_join(tasks[i]));
    line_close(&l);

    l = line_open();
    there[0] = there[1] = l.to;
    near.fd = l.sink;
    pirn_task *echo[] = {support_spawn(relay_one_way, there), support_spawn(feed, &near),
                         support_spawn(drink, &near)};
    for (size_t i = 0; i < sizeof(echo) / sizeof(echo[0]); i++)
        CHECK_OK(support_join(echo[i]));
    line_close(&l);
    free(data);
    return 0;
}

START_TEST(a_relay_and_an_echo)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, relay_main, NULL));
}
END_TEST

/* ---- A part ---------------------------------------------------------------------------------- */

static void expect(int fd, const char *text)
{
    char buf[64];
    size_t n = strlen(text);
    CHECK_EQ(pirn_recv(fd, buf, n, MSG_WAITALL, PIRN_NEVER), n);
    CHECK_OK(memcmp(buf, text, n));
}

static int part_main(void *arg)
{
    struct line l = line_open();
    char buf[16];
    const char *rest;
    (void)arg;
    CHECK_EQ(pirn_stream_copy(NULL, l.from, 1, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_stream_copy(l.to, NULL, 1, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_stream_copy(l.to, l.from, -1, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_stream_copy(l.to, l.from, 0, NULL, PIRN_NEVER), 0);
    CHECK_EQ(support_write(l.source, "header\nbody, and more", 20), 20);
    CHECK_EQ(pirn_stream_read_line(l.from, &rest, PIRN_NEVER), 7);
    CHECK_EQ(pirn_stream_copy(l.to, l.from, 4, NULL, PIRN_NEVER), 4); /* of what is buffered */
    expect(l.sink, "body");
    CHECK_EQ(pirn_stream_peek(l.from, &rest, 0, PIRN_NEVER), 9);
    CHECK_OK(memcmp(rest, ", and mor", 9));

    int64_t copied = -1; /* it waits for more than there is, until its deadline */
    CHECK_EQ(pirn_stream_copy(l.to, l.from, 10, &copied, pirn_after_ms(20)), -ETIMEDOUT);
    CHECK_EQ(copied, 9);
    expect(l.sink, ", and mor");
    CHECK_EQ(support_write(l.source, "e", 1), 1);
    CHECK_OK(shutdown(l.source, SHUT_WR));
    CHECK_EQ(pirn_stream_copy(l.to, l.from, 10, &copied, PIRN_NEVER), 1); /* the end */
    CHECK_EQ(copied, 1);
    expect(l.sink, "e");
    CHECK_EQ(pirn_stream_write(l.to, "!", 1), 1); /* which it has not passed on */
    expect(l.sink, "!");
    CHECK_EQ(pirn_recv(l.sink, buf, 1, MSG_DONTWAIT, PIRN_NEVER), -EAGAIN);
    line_close(&l);
    return 0;
}

START_TEST(no_more_than_it_is_told)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, part_main, NULL));
}
END_TEST

/* ---- An error of one of them ----------------------------------------------------------------- */

static int broken_main(void *arg)
{
    struct line l = line_open();
    int64_t copied = -1;
    char buf[16];
    (void)arg;
    CHECK_OK(pirn_stream_end(l.to, PIRN_NEVER)); /* to cannot be written */
    CHECK_EQ(support_write(l.source, "12345", 5), 5);
    CHECK_EQ(pirn_stream_copy(l.to, l.from, INT64_MAX, &copied, PIRN_NEVER), -EPIPE);
    CHECK_EQ(copied, 0);
    CHECK_EQ(pirn_stream_read(l.from, buf, sizeof(buf), PIRN_NEVER), 5); /* nothing is lost */
    CHECK_OK(memcmp(buf, "12345", 5));
    CHECK_OK(pirn_stream_abort(l.to));
    CHECK_EQ(support_write(l.source, "6", 1), 1);
    CHECK_EQ(pirn_stream_copy(l.to, l.from, INT64_MAX, NULL, PIRN_NEVER), -EBADF);
    line_close(&l);

    struct script script = {
        .read = {{"abc", 3, 0}, {NULL, 0, -ETIMEDOUT}, {"de", 2, 0}, {NULL, 0, -ECONNRESET}}};
    l = line_open();
    pirn_stream *from = script_open(&script, NULL);
    CHECK_EQ(pirn_stream_copy(l.to, from, INT64_MAX, &copied, PIRN_NEVER), -ETIMEDOUT);
    CHECK_EQ(copied, 3);
    CHECK_EQ(pirn_stream_copy(l.to, from, INT64_MAX, &copied, PIRN_NEVER), -ECONNRESET);
    CHECK_EQ(copied, 2);
    CHECK_EQ(pirn_stream_read(from, buf, 1, PIRN_NEVER), -ECONNRESET); /* whose one it is */
    expect(l.sink, "abcde");
    pirn_stream_release(from);
    line_close(&l);
    return 0;
}

START_TEST(an_error_of_either_loses_nothing)
{
    signal(SIGPIPE, SIG_IGN);
    FOR_WORKERS(w) CHECK_OK(support_run(w, broken_main, NULL));
}
END_TEST

/* ---- Stopped at any time --------------------------------------------------------------------- */

struct stopped {
    struct line line;
    atomic_int began;
    int64_t copied;
};

static int copy_until_stopped(void *arg)
{
    struct stopped *s = arg;
    atomic_store(&s->began, 1);
    int64_t rc = pirn_stream_copy(s->line.to, s->line.from, INT64_MAX, &s->copied, PIRN_NEVER);
    CHECK(rc == -ECANCELED || rc == STOPPED_N);
    return 0;
}

/* What has been copied has been written, the rest is there to be read: together all that came. */
static void stop_one(const char *data)
{
    enum {
        N = STOPPED_N
    };
    struct stopped s = {.line = line_open()};
    struct side source = {s.line.source, data, N, 4000};
    char *got = malloc(N);
    CHECK(got != NULL);
    pirn_task *feeder = support_spawn(feed, &source),
              *copier = support_spawn(copy_until_stopped, &s);
    support_until(&s.began, 1);
    support_spin(support_between(0, 300 * US));
    pirn_cancel(copier, NULL);
    CHECK_OK(support_join(copier));
    size_t n = 0;
    while (n < (size_t)s.copied) {
        ssize_t rc = pirn_recv(s.line.sink, got + n, (size_t)s.copied - n, 0, PIRN_NEVER);
        CHECK_GE(rc, 1);
        n += (size_t)rc;
    }
    CHECK_EQ(pirn_stream_read_exactly(s.line.from, got + n, N - n, NULL, PIRN_NEVER), N - n);
    CHECK_OK(memcmp(got, data, N));
    CHECK_OK(support_join(feeder));
    free(got);
    line_close(&s.line);
}

static int stop_main(void *arg)
{
    char *data = pattern(STOPPED_N);
    (void)arg;
    for (int i = 0; i < support_rounds(RACES); i++)
        stop_one(data);
    free(data);
    return 0;
}

START_TEST(a_copy_that_is_cancelled_loses_nothing)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, stop_main, NULL));
}
END_TEST

SUPPORT_MAIN("stream_copy", all_of_it_arrives, a_relay_and_an_echo, no_more_than_it_is_told,
             an_error_of_either_loses_nothing, a_copy_that_is_cancelled_loses_nothing)
