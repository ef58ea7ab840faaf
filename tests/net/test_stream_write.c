/*
 * Writing to a stream: what is sent at once, what is kept, drains, ends, closes (A161, A162, S123,
 * S134, S136).
 */
#include "tests/net/stream.h"

enum {
    MB = 1024 * 1024
};

static size_t megabytes(int n)
{
    return (size_t)support_rounds(n * 10) * MB / 10;
}

/* ---- S123, S134: much, through a reader that does not read for a while ----------------------- */

struct flood {
    pirn_stream *stream;
    int peer;
    size_t n, most; /* bytes; the most that was ever pending */
    atomic_int stalled;
    _Atomic size_t drained;
};

static int write_flood(void *arg)
{
    struct flood *f = arg;
    char *data = pattern(f->n);
    for (size_t done = 0; done < f->n;) {
        size_t n = (size_t)support_between(1, 60000);
        if (n > f->n - done)
            n = f->n - done;
        CHECK_EQ(pirn_stream_write(f->stream, data + done, n), n);
        size_t pending = pirn_stream_pending(f->stream);
        f->most = pending > f->most ? pending : f->most;
        atomic_fetch_add(&f->stalled, pending > 65536);
        CHECK_OK(pirn_stream_drain(f->stream, PIRN_NEVER));
        done += n;
        atomic_store(&f->drained, done);
    }
    CHECK_OK(pirn_stream_close(f->stream, PIRN_NEVER));
    free(data);
    return 0;
}

static int read_flood(struct flood *f)
{
    char *data = pattern(f->n), *buf = malloc(MB);
    size_t got = 0;
    ssize_t n;
    while ((n = pirn_read(f->peer, buf, MB, PIRN_NEVER)) > 0) {
        CHECK_LE(got + (size_t)n, f->n);
        CHECK_OK(memcmp(buf, data + got, (size_t)n));
        got += (size_t)n;
    }
    CHECK_OK(n);
    CHECK_EQ(got, f->n);
    free(data);
    free(buf);
    return 0;
}

static void open_to_write(enum kind kind, pirn_stream **ret_stream, int *ret_peer,
                          const pirn_stream_config *config)
{
    int pair[2], some = 32 * 1024; /* in the kernel, so that something is pending soon */
    if (kind == UNIX_SOCKET)
        support_pair(pair);
    else if (kind == TCP_SOCKET)
        support_tcp_pair(pair);
    else
        support_pipe(pair);
    if (kind != PIPE) {
        CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &some, sizeof(some)));
        CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &some, sizeof(some)));
    }
    CHECK_OK(pirn_stream_new(ret_stream, pair[1], config));
    *ret_peer = pair[0];
}

static int flood(enum kind kind, size_t n)
{
    struct flood f = {.n = n};
    open_to_write(kind, &f.stream, &f.peer, NULL);
    pirn_task *writer = support_spawn(write_flood, &f);
    support_until(&f.stalled, 1);
    support_until_waiting(writer); /* in the drain: nobody reads */
    size_t drained = atomic_load(&f.drained);
    pirn_sleep(pirn_after_ms(5));
    CHECK_EQ(atomic_load(&f.drained), drained);
    CHECK_OK(read_flood(&f));
    CHECK_OK(support_join(writer));
    CHECK_LE(f.most, 65536 + 60000);
    pirn_stream_release(f.stream);
    CHECK_OK(close(f.peer));
    return 0;
}

static int flood_10(void *arg)
{
    return flood(*(enum kind *)arg, megabytes(10));
}

static int flood_100(void *arg)
{
    return flood(*(enum kind *)arg, megabytes(100));
}

START_TEST(s123_ten_megabytes_arrive_intact)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0; kind < PTY; kind++)
        CHECK_OK(support_run(w, flood_10, &kind));
}
END_TEST

START_TEST(s134_a_stalled_reader_bounds_the_buffer)
{
    enum kind kind = TCP_SOCKET;
    CHECK_OK(support_run(2, flood_100, &kind));
}
END_TEST

/* ---- A161: drains ---------------------------------------------------------------------------- */

static int drain(void *arg)
{
    return pirn_stream_drain(arg, PIRN_NEVER);
}

static int ten_drains(void *arg)
{
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    config.high = 100000;
    config.low = 1000;
    pirn_stream *s;
    int peer;
    pirn_task *tasks[10];
    char *data = pattern(MB), *buf = malloc(MB);
    size_t got = 0;
    open_to_write(*(enum kind *)arg, &s, &peer, &config);
    while (pirn_stream_pending(s) <= 50000)
        CHECK_EQ(pirn_stream_write(s, data, 10000), 10000);
    CHECK_OK(pirn_stream_drain(s, PIRN_NEVER)); /* not above the mark: no wait */
    while (pirn_stream_pending(s) <= 100000)
        CHECK_EQ(pirn_stream_write(s, data, 10000), 10000);
    CHECK_EQ(pirn_stream_drain(s, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_stream_drain(s, pirn_after_ms(1)), -ETIMEDOUT);
    for (int i = 0; i < 10; i++)
        tasks[i] = support_spawn(drain, s);
    for (int i = 0; i < 10; i++)
        support_until_waiting(tasks[i]);
    CHECK_OK(pirn_cancel(tasks[3], NULL)); /* leaves the others */
    CHECK_EQ(support_join(tasks[3]), -ECANCELED);
    while (pirn_stream_pending(s) > 1000) {
        ssize_t n = pirn_read(peer, buf, 4096, pirn_after_ms(1)); /* all may be on its way */
        CHECK(n > 0 || n == -ETIMEDOUT);
        got += n > 0 ? (size_t)n : 0;
    }
    for (int i = 0; i < 10; i++)
        if (i != 3)
            CHECK_OK(support_join(tasks[i]));
    CHECK_OK(pirn_stream_abort(s));
    pirn_stream_release(s);
    CHECK_OK(close(peer));
    free(data);
    free(buf);
    CHECK(got > 0);
    return 0;
}

START_TEST(a161_ten_drains_return)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0; kind < PTY; kind++)
        CHECK_OK(support_run(w, ten_drains, &kind));
}
END_TEST

static int dead_peer(void *arg)
{
    pirn_stream *s;
    int peer, rc = 0;
    char data[1000] = "";
    open_to_write(*(enum kind *)arg, &s, &peer, NULL);
    for (int i = 0; i < 100000 && rc == 0; i++) {
        if (i == 10)
            CHECK_OK(close(peer));
        ssize_t n = pirn_stream_write(s, data, sizeof(data));
        rc = n < 0 ? (int)n : pirn_stream_drain(s, PIRN_NEVER);
    }
    CHECK(rc == -EPIPE || rc == -ECONNRESET);
    CHECK_EQ(pirn_stream_write(s, data, 1), rc);
    CHECK_EQ(pirn_stream_drain(s, PIRN_NEVER), rc);
    CHECK_EQ(pirn_stream_end(s, PIRN_NEVER), rc);
    CHECK_OK(pirn_stream_pending(s));
    CHECK_EQ(pirn_stream_close(s, PIRN_NEVER), rc);
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    pirn_stream_release(s);
    return 0;
}

START_TEST(a161_a_dead_peer_is_an_error)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0; kind < PTY; kind++)
        CHECK_OK(support_run(w, dead_peer, &kind));
}
END_TEST

/* ---- A162, S136: close ----------------------------------------------------------------------- */

static int close_it(void *arg)
{
    return pirn_stream_close(arg, PIRN_NEVER);
}

static int close_flushes(void *arg)
{
    pirn_stream *s;
    int peer;
    size_t written = 0, got = 0;
    char *data = pattern(MB), *buf = malloc(MB);
    ssize_t n;
    open_to_write(*(enum kind *)arg, &s, &peer, NULL);
    while (pirn_stream_pending(s) < 100000) {
        CHECK_EQ(pirn_stream_write(s, data + written, 5000), 5000);
        written += 5000;
    }
    pirn_task *first = support_spawn(close_it, s), *second = support_spawn(close_it, s);
    support_until_waiting(first);
    support_until_waiting(second);
    CHECK(pirn_stream_is_closing(s));
    CHECK_EQ(pirn_stream_write(s, data, 1), -EBADF);
    CHECK_EQ(pirn_stream_drain(s, PIRN_NEVER), -EBADF);
    CHECK_EQ(pirn_stream_end(s, PIRN_NEVER), -EBADF);
    CHECK_EQ(pirn_stream_read(s, buf, 1, PIRN_NEVER), -EBADF);
    CHECK_EQ(pirn_stream_close(s, PIRN_NOW), -ETIMEDOUT);
    while ((n = pirn_read(peer, buf + got, MB - got, PIRN_NEVER)) > 0)
        got += (size_t)n;
    CHECK_OK(n);
    CHECK_EQ(got, written);
    CHECK_OK(memcmp(buf, data, got));
    CHECK_OK(support_join(first));
    CHECK_OK(support_join(second));
    CHECK_EQ(pirn_stream_fd(s), -EBADF);
    CHECK_EQ(pirn_stream_write(s, data, 1), -EBADF);
    pirn_stream_release(s);
    CHECK_OK(close(peer));
    free(data);
    free(buf);
    return 0;
}

START_TEST(a162_close_sends_what_is_pending)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0; kind < PTY; kind++)
        CHECK_OK(support_run(w, close_flushes, &kind));
}
END_TEST

static int drops(void *arg)
{
    char data[10000] = "";
    for (int how = 0; how < 4; how++) {
        pirn_stream *s;
        int peer;
        open_to_write(*(enum kind *)arg, &s, &peer, NULL);
        while (pirn_stream_pending(s) < 100000)
            CHECK_EQ(pirn_stream_write(s, data, sizeof(data)), sizeof(data));
        pirn_task *waiting = support_spawn(drain, s);
        support_until_waiting(waiting);
        if (how == 0) {
            CHECK_OK(pirn_stream_abort(s));
            CHECK_OK(pirn_stream_abort(s));
            CHECK_EQ(support_join(waiting), -EBADF);
        } else if (how == 1) {
            CHECK_EQ(pirn_stream_close(s, PIRN_NOW), -ETIMEDOUT);
            CHECK_EQ(support_join(waiting), -EBADF);
        } else if (how == 2) { /* a cancelled close */
            pirn_task *closing = support_spawn(close_it, s);
            support_until_waiting(closing);
            CHECK_OK(pirn_cancel(closing, NULL));
            CHECK_EQ(support_join(closing), -ECANCELED);
            CHECK_EQ(support_join(waiting), -EBADF);
        } else { /* an abort ends a close */
            pirn_task *closing = support_spawn(close_it, s);
            support_until_waiting(closing);
            CHECK_OK(pirn_stream_abort(s));
            CHECK_EQ(support_join(closing), -EBADF);
            CHECK_EQ(support_join(waiting), -EBADF);
        }
        CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
        CHECK_OK(pirn_stream_pending(s));
        CHECK_EQ(pirn_stream_fd(s), -EBADF);
        support_drain(peer);
        pirn_stream_release(s);
        CHECK_OK(close(peer));
    }
    return 0;
}

START_TEST(a162_abort_drops)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0; kind < PTY; kind++)
        CHECK_OK(support_run(w, drops, &kind));
}
END_TEST

static int read_to_error(void *arg)
{
    char c;
    return (int)pirn_stream_read(arg, &c, 1, PIRN_NEVER);
}

static int close_ends_a_read(void *arg)
{
    for (int aborts = 0; aborts < 2; aborts++) {
        struct ends e = ends_open(*(enum kind *)arg, NULL);
        pirn_task *reader = support_spawn(read_to_error, e.stream);
        support_until_waiting(reader);
        CHECK_OK(aborts ? pirn_stream_abort(e.stream) : pirn_stream_close(e.stream, PIRN_NEVER));
        CHECK_EQ(support_join(reader), -EBADF);
        ends_close(&e);
    }
    return 0;
}

START_TEST(a162_close_ends_a_read)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0, end = kinds(); kind < end; kind++)
        CHECK_OK(support_run(w, close_ends_a_read, &kind));
}
END_TEST

/* A close with nothing to send acts in a cancelled task too, and leaves the cancel pending. */
static int last_words(void *arg)
{
    pirn_stream *s;
    int peer;
    char buf[16];
    open_to_write(*(enum kind *)arg, &s, &peer, NULL);
    CHECK_EQ(pirn_stream_write(s, "goodbye", 7), 7);
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_EQ(pirn_read(peer, buf, sizeof(buf), PIRN_NEVER), 7);
    CHECK_OK(memcmp(buf, "goodbye", 7));
    CHECK_EQ(pirn_read(peer, buf, sizeof(buf), PIRN_NEVER), 0);
    pirn_stream_release(s);
    CHECK_OK(close(peer));
    return 0;
}

START_TEST(s136_last_bytes_before_a_close_arrive)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0; kind < PTY; kind++)
        CHECK_OK(support_run(w, last_words, &kind));
}
END_TEST

/* ---- End of writing, pieces, release --------------------------------------------------------- */

static int ends(void *arg)
{
    enum kind kind = *(enum kind *)arg;
    pirn_stream *s;
    int peer;
    char data[10000] = "", buf[10000];
    size_t written = 0, got = 0;
    ssize_t n;
    open_to_write(kind, &s, &peer, NULL);
    for (; pirn_stream_pending(s) == 0; written += sizeof(data))
        CHECK_EQ(pirn_stream_write(s, data, sizeof(data)), sizeof(data));
    CHECK_EQ(pirn_stream_end(s, PIRN_NOW), -ETIMEDOUT); /* then it has not happened */
    CHECK_EQ(pirn_stream_write(s, data, 1), 1);
    written++;
    while (got < written) {
        n = pirn_read(peer, buf, sizeof(buf), PIRN_NEVER);
        CHECK_GE(n, 1);
        got += (size_t)n;
    }
    CHECK_OK(pirn_stream_end(s, PIRN_NEVER));
    CHECK_OK(pirn_stream_end(s, PIRN_NEVER));
    CHECK_EQ(pirn_stream_write(s, data, 1), -EPIPE);
    CHECK_EQ(pirn_read(peer, buf, sizeof(buf), PIRN_NEVER), 0);
    if (kind != PIPE) { /* the other direction goes on */
        CHECK_EQ(pirn_write(peer, "answer", 6, PIRN_NEVER), 6);
        CHECK_EQ(pirn_stream_read(s, buf, sizeof(buf), PIRN_NEVER), 6);
    }
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    pirn_stream_release(s);
    CHECK_OK(close(peer));
    return 0;
}

START_TEST(a162_the_end_is_told)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0; kind < PTY; kind++)
        CHECK_OK(support_run(w, ends, &kind));
}
END_TEST

static int pieces(void *arg)
{
    enum kind kind = *(enum kind *)arg;
    pirn_stream *s;
    int peer;
    char *data = pattern(MB), *buf = malloc(MB);
    size_t written = 0, got = 0;
    ssize_t n;
    struct iovec iov[5];
    open_to_write(kind, &s, &peer, NULL);
    CHECK_EQ(pirn_stream_writev(s, NULL, 0), 0);
    CHECK_EQ(pirn_stream_writev(s, iov, -1), -EINVAL);
    while (written < 500000) {
        size_t sum = 0;
        for (int i = 0; i < 5; i++) {
            iov[i].iov_base = data + written + sum;
            iov[i].iov_len = (size_t)support_between(0, 1) * (size_t)support_between(0, 3000);
            sum += iov[i].iov_len;
        }
        CHECK_EQ(pirn_stream_writev(s, iov, 5), sum);
        written += sum;
    }
    pirn_stream_release(s); /* what is pending goes on being sent */
    while ((n = pirn_read(peer, buf + got, MB - got, PIRN_NEVER)) > 0)
        got += (size_t)n;
    CHECK_EQ(got, written);
    CHECK_OK(memcmp(buf, data, got));
    CHECK_OK(close(peer));
    free(data);
    free(buf);
    return 0;
}

START_TEST(pieces_and_a_release_without_close)
{
    FOR_WORKERS(w)
    for (enum kind kind = 0; kind < PTY; kind++)
        CHECK_OK(support_run(w, pieces, &kind));
}
END_TEST

SUPPORT_MAIN("net/stream_write", s123_ten_megabytes_arrive_intact,
             s134_a_stalled_reader_bounds_the_buffer, a161_ten_drains_return,
             a161_a_dead_peer_is_an_error, a162_close_sends_what_is_pending, a162_abort_drops,
             a162_close_ends_a_read, s136_last_bytes_before_a_close_arrive, a162_the_end_is_told,
             pieces_and_a_release_without_close)
