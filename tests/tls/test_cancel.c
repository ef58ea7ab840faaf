/*
 * Handshakes that are cancelled wherever they can wait, and many at the same time; reads and writes
 * that are cancelled or timed out: nothing is lost, nothing comes twice; a server's peers that say
 * nothing.
 */
#include "tests/tls/tls.h"

enum {
    PIECE = 61,
    MANY = 100
};

static struct contexts {
    pirn_tls_context *client, *server;
} shared;

static void make_contexts(void)
{
    shared.client = client_with("ca", "client", NULL, 0);
    shared.server = server_with("server", "ca", NULL);
}

static void drop_contexts(void)
{
    pirn_tls_context_release(shared.client);
    pirn_tls_context_release(shared.server);
}

/* A connection one of whose sides gets so many bytes in small pieces, and no more. */
static struct link link_valve(bool at_server, size_t most, struct valve **ret_valve)
{
    int pair[2];
    struct link link = {
        {.context = shared.client, .host = "localhost"},
        {.context = shared.server, .is_server = true},
    };
    struct side *slow = at_server ? &link.server : &link.client;
    struct side *other = at_server ? &link.client : &link.server;
    support_pair(pair);
    *ret_valve = valve_new(&slow->below, pair[0], PIECE, most);
    CHECK_OK(pirn_stream_new(&other->below, pair[1], NULL));
    return link;
}

/* How many bytes a side gets in a handshake. */
static size_t length_of(bool at_server)
{
    struct valve *v;
    struct link link = link_valve(at_server, SIZE_MAX, &v);
    struct outcome2 rc = link_shake(&link);
    CHECK_OK(rc.client);
    CHECK_OK(rc.server);
    size_t n = atomic_load(&v->passed);
    side_close(&link.client);
    side_close(&link.server);
    return n;
}

static void cancel_at(bool at_server, size_t at)
{
    struct valve *v;
    struct link link = link_valve(at_server, at, &v);
    struct side *slow = at_server ? &link.server : &link.client;
    struct side *other = at_server ? &link.client : &link.server;
    pirn_task *task = support_spawn(side_shake, slow), *peer = support_spawn(side_shake, other);
    support_until(&v->dry, 1);
    CHECK_OK(pirn_cancel(task, "the test"));
    CHECK_EQ(support_join(task), -ECANCELED);
    CHECK(slow->why[0] != 0);
    int rc = support_join(peer);
    if (rc == 0) { /* it was done, and the other not yet */
        char c;
        CHECK_EQ(pirn_stream_read(other->stream, &c, 1, PIRN_NEVER), -ECONNRESET);
        side_close(other);
    } else {
        CHECK(rc == -ECONNRESET || rc == -EPIPE);
    }
}

static int cancel_everywhere(void *arg)
{
    (void)arg;
    for (int side = 0; side < 2; side++) {
        size_t n = length_of(side), step = support_slow() ? 5 * PIECE : PIECE;
        CHECK_GE(n, 500);
        /* A little more or less, for signatures differ in length. */
        for (size_t at = 0; at < n - 20; at += step)
            cancel_at(side, at);
    }
    return 0;
}

START_TEST(a_handshake_is_cancelled_at_any_step)
{
    make_contexts();
    FOR_WORKERS(w) CHECK_OK(support_run(w, cancel_everywhere, NULL));
    drop_contexts();
}
END_TEST

static int one_of_many(void *arg)
{
    struct valve *v;
    struct link link = link_valve(((uintptr_t)arg & 1) != 0, SIZE_MAX, &v);
    struct outcome2 rc = link_shake(&link);
    CHECK_OK(rc.client);
    CHECK_OK(rc.server);
    link_say(link.client.stream, link.server.stream, "ping");
    link_say(link.server.stream, link.client.stream, "pong");
    link_close(&link);
    return 0;
}

static int many(void *arg)
{
    pirn_task *task[MANY];
    (void)arg;
    for (uintptr_t i = 0; i < MANY; i++)
        task[i] = support_spawn(one_of_many, (void *)i);
    for (int i = 0; i < MANY; i++)
        CHECK_OK(support_join(task[i]));
    return 0;
}

START_TEST(a_hundred_shake_hands_at_the_same_time)
{
    make_contexts();
    support_census before = support_count();
    FOR_WORKERS(w) CHECK_OK(support_run(w, many, NULL));
    support_no_more_than(before);
    drop_contexts();
}
END_TEST

/* ---- Reads and writes ---- */

struct stream_of_bytes {
    pirn_stream *stream;
    size_t n;
    struct valve *valve;
};

static int send_bytes(void *arg)
{
    struct stream_of_bytes *b = arg;
    unsigned char buf[3000];
    for (size_t i = 0; i < b->n;) {
        size_t n = (size_t)support_between(1, sizeof(buf));
        if (n > b->n - i)
            n = b->n - i;
        for (size_t j = 0; j < n; j++)
            buf[j] = byte_at(i + j);
        CHECK_EQ(pirn_stream_write(b->stream, buf, n), n);
        CHECK_OK(pirn_stream_drain(b->stream, PIRN_NEVER));
        i += n;
    }
    return pirn_stream_end(b->stream, PIRN_NEVER);
}

/* Every read has a deadline that is past, or nearly, and what it needs comes after it: a few bytes
 * more, in the middle of a record as a rule. */
static int receive_impatiently(void *arg)
{
    struct stream_of_bytes *b = arg;
    unsigned char buf[5000];
    size_t most = atomic_load(&b->valve->passed);
    for (size_t i = 0, stopped = 0;;) {
        size_t n = (size_t)support_between(1, sizeof(buf));
        pirn_time deadline = support_between(0, 1) ? PIRN_NOW : pirn_after_us(20);
        ssize_t got = pirn_stream_read(b->stream, buf, n, deadline);
        if (got == -ETIMEDOUT) {
            stopped++;
            if (atomic_load(&b->valve->passed) == most)
                valve_open(b->valve, most += (size_t)support_between(1, 700));
            CHECK_OK(pirn_yield());
            continue;
        }
        CHECK_GE(got, 0);
        for (size_t j = 0; j < (size_t)got; j++, i++)
            CHECK_EQ(buf[j], byte_at(i));
        if (got == 0) {
            CHECK_EQ(i, b->n);
            CHECK_GE(stopped, b->n / 700);
            return 0;
        }
    }
}

static int impatient_reads(void *arg)
{
    struct valve *v;
    (void)arg;
    struct link link = link_valve(true, SIZE_MAX, &v);
    struct outcome2 rc = link_shake(&link);
    CHECK_OK(rc.client | rc.server);
    struct stream_of_bytes from = {.stream = link.client.stream,
                                   .n = (size_t)support_rounds(200000)};
    struct stream_of_bytes to = {.stream = link.server.stream, .n = from.n, .valve = v};
    valve_open(v, atomic_load(&v->passed));
    pirn_task *sender = support_spawn(send_bytes, &from);
    CHECK_OK(receive_impatiently(&to));
    CHECK_OK(support_join(sender));
    valve_open(v, SIZE_MAX);
    link_close(&link);
    return 0;
}

START_TEST(reads_that_time_out_lose_nothing)
{
    make_contexts();
    FOR_WORKERS(w) CHECK_OK(support_run(w, impatient_reads, NULL));
    drop_contexts();
}
END_TEST

/* The transport's write, which a stream's tasks call: one that is stopped has sent nothing, one
 * that returns has, whatever comes after. */
static int impatient_writes(void *arg)
{
    (void)arg;
    struct link link = link_open(shared.client, shared.server);
    struct tls *t = pirn_stream_self(link.client.stream, &pirn_tls_ops);
    size_t total = (size_t)support_rounds(3000000), sent = 0, got = 0, most = 70000;
    unsigned char *buf = malloc(most);
    int stopped = 0;
    CHECK(buf);
    while (got < total) {
        size_t n = (size_t)support_between(1, (int64_t)most);
        for (size_t j = 0; j < n; j++)
            buf[j] = byte_at(sent + j);
        ssize_t rc = pirn_tls_ops.write(t, buf, n, PIRN_NOW);
        if (rc > 0) {
            sent += (size_t)rc;
            continue;
        }
        CHECK_EQ(rc, -ETIMEDOUT);
        stopped++;
        for (int i = 0; i < 20 && got < sent; i++) {
            ssize_t m = pirn_stream_read(link.server.stream, buf, most, PIRN_NEVER);
            CHECK_GE(m, 1);
            for (size_t j = 0; j < (size_t)m; j++, got++)
                CHECK_EQ(buf[j], byte_at(got));
        }
    }
    CHECK_GE(stopped, 1);
    free(buf);
    CHECK_OK(pirn_stream_abort(link.client.stream));
    CHECK_OK(pirn_stream_abort(link.server.stream));
    pirn_stream_release(link.client.stream);
    pirn_stream_release(link.server.stream);
    return 0;
}

START_TEST(writes_that_time_out_have_sent_nothing)
{
    make_contexts();
    FOR_WORKERS(w) CHECK_OK(support_run(w, impatient_writes, NULL));
    drop_contexts();
}
END_TEST

/* ---- A server's idle time ---- */

static atomic_int idled;

/* A handler's whole life: it ends its own stream before it says why. */
static int hear(pirn_stream *below, void *user)
{
    pirn_stream *stream;
    char buf[64];
    ssize_t n;
    (void)user;
    int rc = pirn_tls_server(&stream, pirn_stream_retain(below), shared.server, NULL, PIRN_NEVER);
    if (rc != 0) {
        pirn_stream_release(below);
        atomic_fetch_add(&idled, rc == -ETIMEDOUT);
        return rc;
    }
    while ((n = pirn_stream_read(stream, buf, sizeof(buf), PIRN_NEVER)) > 0)
        pirn_stream_write(stream, buf, (size_t)n);
    pirn_stream_close(stream, PIRN_NEVER);
    pirn_stream_release(stream);
    atomic_fetch_add(&idled, n == -ETIMEDOUT);
    return (int)n;
}

/* A client says a word, and then nothing. False: on this machine that took it too long. */
static bool say_a_word(const char *port)
{
    pirn_stream *stream;
    char buf[8];
    bool well = false;
    CHECK_OK(pirn_stream_connect(&stream, "127.0.0.1", port, NULL, NULL, PIRN_NEVER));
    if (pirn_tls_client(&stream, stream, shared.client, "localhost", NULL, PIRN_NEVER) == 0 &&
        pirn_stream_write(stream, "word", 4) == 4 &&
        pirn_stream_read_exactly(stream, buf, 4, NULL, PIRN_NEVER) == 4) {
        CHECK_EQ(pirn_stream_read(stream, buf, sizeof(buf), PIRN_NEVER), 0);
        well = true;
    }
    pirn_stream_release(stream);
    return well;
}

/* Beside another that says nothing at all, not even in the handshake. */
static bool serve_quiet_ones(pirn_span idle)
{
    pirn_server *server;
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    pirn_stream *mute;
    char port[8], buf[8];
    atomic_store(&idled, 0);
    config.idle = idle;
    CHECK_OK(pirn_server_new(&server, hear, NULL, &config));
    CHECK_OK(pirn_server_listen(server, "127.0.0.1", "0", NULL, PIRN_NEVER));
    snprintf(port, sizeof(port), "%d", pirn_server_port(server));
    CHECK_OK(pirn_stream_connect(&mute, "127.0.0.1", port, NULL, NULL, PIRN_NEVER));
    bool well = say_a_word(port);
    CHECK_EQ(pirn_stream_read(mute, buf, sizeof(buf), PIRN_NEVER), 0);
    pirn_stream_release(mute);
    CHECK_OK(pirn_server_stop(server, PIRN_NEVER));
    pirn_server_release(server);
    CHECK(!well || atomic_load(&idled) == 2);
    return well;
}

static int say_nothing(void *arg)
{
    int64_t ms = 100;
    (void)arg;
    while (!serve_quiet_ones(pirn_span_ms(ms)))
        ms *= 4;
    return 0;
}

START_TEST(who_says_nothing_is_no_failure)
{
    make_contexts();
    FOR_WORKERS(w)
    {
        support_report said = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &said, say_nothing, NULL));
        if (said.used != 0)
            fprintf(stderr, "reported: %s\n", said.text);
        CHECK_EQ(said.used, 0);
    }
    drop_contexts();
}
END_TEST

SUPPORT_MAIN("tls/cancel", a_handshake_is_cancelled_at_any_step,
             a_hundred_shake_hands_at_the_same_time, reads_that_time_out_lose_nothing,
             writes_that_time_out_have_sent_nothing, who_says_nothing_is_no_failure)
