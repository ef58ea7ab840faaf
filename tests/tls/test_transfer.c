/*
 * Both directions at the same time, messages of TLS itself in the middle of it, and the end: said,
 * or cut.
 */
#include <sys/ioctl.h>

#include "tests/tls/tls.h"

static struct contexts {
    pirn_tls_context *client, *server;
} shared;

static void make_contexts(int version)
{
    shared.client = client_with("ca", "client", NULL, 0);
    shared.server = server_with("server", "ca", NULL);
    if (version == 2)
        only_1_2(shared.client);
}

static void drop_contexts(void)
{
    pirn_tls_context_release(shared.client);
    pirn_tls_context_release(shared.server);
}

/* ---- Both directions ---- */

struct half {
    pirn_stream *stream;
    size_t n;
    int update_every; /* writes, with a change of keys; 0: never */
};

static int change_keys(pirn_stream *stream)
{
    struct tls *t = pirn_stream_self(stream, &pirn_tls_ops);
    pthread_mutex_lock(&t->lock);
    /* Goes with the next write; false while the last one has not. */
    int changed = SSL_key_update(t->ssl, SSL_KEY_UPDATE_REQUESTED);
    pthread_mutex_unlock(&t->lock);
    return changed;
}

static int send_half(void *arg)
{
    struct half *h = arg;
    size_t most = 100000;
    unsigned char *buf = malloc(most);
    CHECK(buf);
    int round = 0, changes = 0;
    for (size_t i = 0; i < h->n; round++) {
        size_t n = (size_t)support_between(1, support_between(0, 3) ? 2000 : (int64_t)most);
        if (n > h->n - i)
            n = h->n - i;
        for (size_t j = 0; j < n; j++)
            buf[j] = byte_at(i + j);
        if (h->update_every != 0 && round % h->update_every == 0)
            changes += change_keys(h->stream);
        struct iovec iov[2] = {{buf, n / 3}, {buf + n / 3, n - n / 3}};
        CHECK_EQ(pirn_stream_writev(h->stream, iov, 2), n);
        CHECK_OK(pirn_stream_drain(h->stream, PIRN_NEVER));
        i += n;
    }
    CHECK(changes > 0 || h->update_every == 0);
    free(buf);
    return pirn_stream_end(h->stream, PIRN_NEVER);
}

static int receive_half(void *arg)
{
    struct half *h = arg;
    size_t most = 50000, i = 0;
    unsigned char *buf = malloc(most);
    ssize_t got;
    CHECK(buf);
    while ((got = pirn_stream_read(
                h->stream, buf,
                (size_t)support_between(1, support_between(0, 3) ? 3000 : (int64_t)most),
                PIRN_NEVER)) > 0)
        for (size_t j = 0; j < (size_t)got; j++, i++)
            CHECK_EQ(buf[j], byte_at(i));
    CHECK_OK(got);
    CHECK_EQ(i, h->n);
    free(buf);
    return 0;
}

static int both_ways(void *arg)
{
    struct link link = link_open(shared.client, shared.server);
    struct half a = {link.client.stream, (size_t)support_rounds(10 * 1000 * 1000), *(int *)arg};
    struct half b = {link.server.stream, a.n, 0};
    pirn_task *task[] = {support_spawn(send_half, &a), support_spawn(receive_half, &a),
                         support_spawn(send_half, &b), support_spawn(receive_half, &b)};
    for (int i = 0; i < 4; i++)
        CHECK_OK(support_join(task[i]));
    link_close(&link);
    return 0;
}

START_TEST(ten_megabytes_go_both_ways_at_once)
{
    for (int version = 2; version <= 3; version++) {
        int never = 0;
        make_contexts(version);
        FOR_WORKERS(w) CHECK_OK(support_run(w, both_ways, &never));
        drop_contexts();
    }
}
END_TEST

START_TEST(keys_change_while_both_sides_write)
{
    int often = 3;
    make_contexts(3);
    FOR_WORKERS(w) CHECK_OK(support_run(w, both_ways, &often));
    drop_contexts();
}
END_TEST

/* ---- A ticket that has come in part ---- */

static int write_word(void *arg)
{
    CHECK_EQ(pirn_stream_write(arg, "word", 4), 4);
    return pirn_stream_flush(arg, PIRN_NEVER);
}

static int read_byte(void *arg)
{
    char c = 0;
    ssize_t n = pirn_stream_read(arg, &c, 1, PIRN_NEVER);
    return n == 1 ? c : (int)n;
}

static bool in_the_middle(pirn_stream *stream)
{
    struct tls *t = pirn_stream_self(stream, &pirn_tls_ops);
    pthread_mutex_lock(&t->lock);
    bool in = SSL_in_init(t->ssl);
    pthread_mutex_unlock(&t->lock);
    return in;
}

/* The server's tickets, which hold the client's certificate, go out in records of 512 bytes; the
 * client gets them byte by byte until OpenSSL is in the middle of one. reader: somebody reads at
 * that time. */
static void half_a_ticket(bool reader, bool ends)
{
    struct valve *v;
    int pair[2];
    char buf[8];
    struct link link = {
        {.context = shared.client, .host = "localhost"},
        {.context = shared.server, .is_server = true},
    };
    support_pair(pair);
    v = valve_new(&link.client.below, pair[0], 1000, 0);
    CHECK_OK(pirn_stream_new(&link.server.below, pair[1], NULL));
    CHECK_EQ(SSL_CTX_set_max_send_fragment(shared.server->ctx, 512), 1);
    pirn_task *client = support_spawn(side_shake, &link.client);
    pirn_task *server = support_spawn(side_shake, &link.server);
    size_t most = 0;
    while (pirn_await(client, NULL, PIRN_NOW) == -ETIMEDOUT) {
        if (atomic_load(&v->passed) == most)
            valve_open(v, ++most);
        CHECK_OK(pirn_yield());
    }
    CHECK_OK(support_join(client));
    CHECK_OK(support_join(server));
    while (!in_the_middle(link.client.stream)) {
        if (atomic_load(&v->passed) == most)
            valve_open(v, ++most);
        CHECK_EQ(pirn_stream_read(link.client.stream, buf, 1, PIRN_NOW), -ETIMEDOUT);
        CHECK_OK(pirn_yield());
    }
    pirn_task *reading = reader ? support_spawn(read_byte, link.client.stream) : NULL;
    if (reader)
        support_until(&v->dry, 1);
    pirn_task *writing = NULL;
    if (!ends) {
        writing = support_spawn(write_word, link.client.stream);
        support_until(&v->dry, 1);
        CHECK_EQ(pirn_stream_read(link.server.stream, buf, 4, pirn_after_ms(2)), -ETIMEDOUT);
        while (in_the_middle(link.client.stream)) {
            if (atomic_load(&v->passed) == most)
                valve_open(v, ++most);
            CHECK_OK(pirn_yield());
        }
        CHECK_OK(support_join(writing)); /* nothing more is needed, whoever has fetched it */
        valve_open(v, SIZE_MAX);
        CHECK_EQ(pirn_stream_read_exactly(link.server.stream, buf, 4, NULL, PIRN_NEVER), 4);
        CHECK(memcmp(buf, "word", 4) == 0);
    }
    if (reader) {
        if (ends)
            valve_open(v, SIZE_MAX);
        CHECK_EQ(pirn_stream_write(link.server.stream, "r", 1), 1);
        CHECK_EQ(support_join(reading), 'r');
    }
    /* A close waits for no rest of it. */
    CHECK_OK(pirn_stream_close(link.client.stream, PIRN_NEVER));
    CHECK_EQ(pirn_stream_read(link.server.stream, buf, 1, PIRN_NEVER),
             ends && !reader ? -ECONNRESET : 0);
    pirn_stream_release(link.client.stream);
    side_close(&link.server);
}

static int half_tickets(void *arg)
{
    (void)arg;
    half_a_ticket(false, false);
    for (int i = 0; i < support_rounds(20); i++) /* who writes waits for who reads, and no longer */
        half_a_ticket(true, false);
    half_a_ticket(false, true);
    half_a_ticket(true, true);
    return 0;
}

START_TEST(a_write_waits_for_the_rest_of_a_ticket)
{
    make_contexts(3);
    FOR_WORKERS(w) CHECK_OK(support_run(w, half_tickets, NULL));
    drop_contexts();
}
END_TEST

/* ---- The end ---- */

static int ends(void *arg)
{
    char buf[64];
    (void)arg;
    for (int how = 0; how < 5; how++) {
        struct link link = link_open(shared.client, shared.server);
        pirn_stream *client = link.client.stream, *server = link.server.stream;
        struct tls *t = pirn_stream_self(client, &pirn_tls_ops);
        CHECK_EQ(pirn_stream_write(client, "word", 4), 4);
        if (how == 0) { /* the other direction goes on */
            CHECK_OK(pirn_stream_end(client, PIRN_NEVER));
            CHECK_EQ(pirn_stream_write(client, "x", 1), -EPIPE);
        } else if (how == 1) {
            CHECK_OK(pirn_stream_close(client, PIRN_NEVER));
        } else if (how == 2) { /* the stream below is cut */
            CHECK_OK(pirn_stream_end(t->below, PIRN_NEVER));
        } else if (how == 3) {
            CHECK_OK(pirn_stream_abort(client));
        } else {
            pirn_stream_release(client);
        }
        bool said = how < 2;
        CHECK_EQ(pirn_stream_read_exactly(server, buf, 4, NULL, PIRN_NEVER), 4);
        CHECK(memcmp(buf, "word", 4) == 0);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pirn_stream_read(server, buf, 1, PIRN_NEVER), said ? 0 : -ECONNRESET);
        CHECK(pirn_stream_at_end(server) == said);
        if (how <= 2) /* an abort may be a reset, which is not TLS's */
            CHECK((pirn_tls_error(server, buf, sizeof(buf)) == 0) == said);
        if (how == 0)
            link_say(server, client, "more");
        CHECK_OK(pirn_stream_close(server, PIRN_NEVER));
        pirn_stream_release(server);
        if (how < 4)
            pirn_stream_release(client);
    }
    return 0;
}

/* A client that has written and left before the server has sent its tickets. */
static void leave_early(const pirn_transport *ops)
{
    char buf[8];
    struct link link = link_plain(shared.client, shared.server, "localhost");
    struct valve *v;
    int pair[2], hello = 0;
    support_pair(pair);
    pirn_stream_release(link.client.below);
    pirn_stream_release(link.server.below);
    CHECK_OK(pirn_stream_new(&link.client.below, pair[0], NULL));
    v = valve_new_of(ops, &link.server.below, pair[1], SIZE_MAX, 0);
    pirn_task *client = support_spawn(side_shake, &link.client);
    pirn_task *server = support_spawn(side_shake, &link.server);
    while (hello == 0) {
        CHECK_OK(ioctl(pair[1], FIONREAD, &hello));
        CHECK_OK(pirn_yield());
    }
    valve_open(v, (size_t)hello);
    CHECK_OK(support_join(client));
    CHECK_EQ(pirn_stream_write(link.client.stream, "word", 4), 4);
    CHECK_OK(pirn_stream_close(link.client.stream, PIRN_NEVER));
    pirn_stream_release(link.client.stream);
    valve_open(v, SIZE_MAX);
    CHECK_OK(support_join(server));
    CHECK_EQ(pirn_stream_read_exactly(link.server.stream, buf, 4, NULL, PIRN_NEVER), 4);
    CHECK_EQ(pirn_stream_read(link.server.stream, buf, 1, PIRN_NEVER), 0);
    side_close(&link.server);
}

static int leaves_early(void *arg)
{
    (void)arg;
    leave_early(&valve_ops);
    leave_early(&valve_trying_ops);
    return 0;
}

START_TEST(who_leaves_early_is_heard)
{
    make_contexts(3);
    FOR_WORKERS(w) CHECK_OK(support_run(w, leaves_early, NULL));
    drop_contexts();
}
END_TEST

START_TEST(an_end_is_told_from_a_cut)
{
    for (int version = 2; version <= 3; version++) {
        make_contexts(version);
        support_census before = support_count();
        FOR_WORKERS(w) CHECK_OK(support_run(w, ends, NULL));
        support_no_more_than(before);
        drop_contexts();
    }
}
END_TEST

/* What is not what the peer sent is found out; nothing is written after that either. */
static int forged(void *arg)
{
    char buf[64];
    (void)arg;
    struct link link = link_open(shared.client, shared.server);
    struct tls *t = pirn_stream_self(link.client.stream, &pirn_tls_ops);
    static const char record[] = "\x17\x03\x03\x00\x18"
                                 "0123456789abcdefghijklmn";
    CHECK_EQ(pirn_stream_write(t->below, record, sizeof(record) - 1), sizeof(record) - 1);
    CHECK_EQ(pirn_stream_read(link.server.stream, buf, 1, PIRN_NEVER), -EPROTO);
    CHECK_GE(pirn_tls_error(link.server.stream, buf, sizeof(buf)), 1);
    CHECK_EQ(pirn_stream_write(link.server.stream, "x", 1), -EPROTO);
    /* The peer is told. */
    CHECK_EQ(pirn_stream_read(link.client.stream, buf, 1, PIRN_NEVER), -EPROTO);
    CHECK_GE(pirn_tls_error(link.client.stream, buf, sizeof(buf)), 1);
    CHECK(strstr(buf, "bad record mac") != NULL);
    for (int i = 0; i < 2; i++) {
        pirn_stream *s = i == 0 ? link.client.stream : link.server.stream;
        pirn_stream_close(s, PIRN_NEVER);
        pirn_stream_release(s);
    }
    return 0;
}

START_TEST(what_is_forged_is_found_out)
{
    make_contexts(3);
    FOR_WORKERS(w) CHECK_OK(support_run(w, forged, NULL));
    drop_contexts();
}
END_TEST

/* A close ends a read that is under way; one that a cancel hangs over closes all the same, and the
 * cancel stays. */
static int close_anyway(void *arg)
{
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_cancel(pirn_current(), "again"));
    CHECK_OK(pirn_stream_close(arg, PIRN_NEVER));
    return pirn_yield();
}

static int closes(void *arg)
{
    char c;
    (void)arg;
    struct link link = link_open(shared.client, shared.server);
    pirn_task *reading = support_spawn(read_byte, link.client.stream);
    support_until_waiting(reading);
    pirn_task *closing = support_spawn(close_anyway, link.client.stream);
    support_until_waiting(closing);
    CHECK_OK(pirn_cancel(closing, "the test"));
    CHECK_EQ(support_join(closing), -ECANCELED);
    CHECK_EQ(support_join(reading), -EBADF);
    CHECK_EQ(pirn_stream_read(link.server.stream, &c, 1, PIRN_NEVER), 0);
    pirn_stream_release(link.client.stream);
    side_close(&link.server);
    return 0;
}

START_TEST(a_close_ends_what_is_under_way)
{
    make_contexts(3);
    FOR_WORKERS(w) CHECK_OK(support_run(w, closes, NULL));
    drop_contexts();
}
END_TEST

SUPPORT_MAIN("tls/transfer", ten_megabytes_go_both_ways_at_once, keys_change_while_both_sides_write,
             a_write_waits_for_the_rest_of_a_ticket, an_end_is_told_from_a_cut,
             who_leaves_early_is_heard, what_is_forged_is_found_out, a_close_ends_what_is_under_way)
