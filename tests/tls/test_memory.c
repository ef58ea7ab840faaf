/*
 * TLS whose allocations fail, each in turn (pirn's own: OpenSSL's are its business): a context is
 * not made, a handshake or what follows it fails on either side, and the next goes as ever. What
 * arrives is right, or nothing does.
 */
#include "tests/support/memory.h"
#include "tests/tls/tls.h"

enum {
    NONE = 1000000000,
    MOST = 400, /* allocations of a connection; one that needs more is a loop */
    BYTES = 100000
};

static unsigned char data[BYTES], back[BYTES];
static pirn_tls_context *of_client, *of_server;

/* ---- A connection ---------------------------------------------------------------------------- */

struct part {
    struct side *side;
    pirn_event go; /* the server's: memory fails from here on */
    int rc;
};

/* All of it; 0 or an error. */
static int send_all(pirn_stream *stream, const unsigned char *from, size_t n)
{
    ssize_t sent = pirn_stream_write(stream, from, n);
    if (sent < 0)
        return (int)sent;
    return (size_t)sent == n ? pirn_stream_flush(stream, PIRN_NEVER) : -ENOMEM;
}

static int serve(struct side *side)
{
    static unsigned char got[BYTES];
    ssize_t n = pirn_stream_read_exactly(side->stream, got, BYTES, NULL, PIRN_NEVER);
    if (n < 0)
        return (int)n;
    CHECK(memcmp(got, data, BYTES) == 0);
    return send_all(side->stream, got, BYTES);
}

static int ask(struct side *side)
{
    int rc = send_all(side->stream, data, BYTES);
    if (rc != 0)
        return rc;
    memset(back, 0, BYTES);
    ssize_t n = pirn_stream_read_exactly(side->stream, back, BYTES, NULL, PIRN_NEVER);
    if (n < 0)
        return (int)n;
    CHECK(memcmp(back, data, BYTES) == 0);
    return 0;
}

/* One side, from its handshake to its end; whoever fails goes, and so the other does not wait for
 * it. */
static int take_part(void *arg)
{
    struct part *part = arg;
    struct side *side = part->side;
    CHECK_OK(pirn_event_wait(&part->go, PIRN_NEVER));
    part->rc = side_shake(side);
    CHECK((side->why[0] == '\0') == (part->rc == 0));
    if (part->rc == 0)
        part->rc = side->is_server ? serve(side) : ask(side);
    if (side->stream != NULL) {
        int rc = part->rc == 0 ? pirn_stream_close(side->stream, PIRN_NEVER)
                               : pirn_stream_abort(side->stream);
        part->rc = part->rc != 0 ? part->rc : rc;
        pirn_stream_release(side->stream);
    }
    return 0;
}

/* How many allocations have failed; *ret_well: both sides came to their end. */
static int connect_both(int nth, int more, bool *ret_well)
{
    struct link link = link_plain(of_client, of_server, "localhost");
    struct part parts[2] = {{.side = &link.client}, {.side = &link.server}};
    pirn_task *tasks[2];
    for (int i = 0; i < 2; i++) {
        tasks[i] = support_spawn(take_part, &parts[i]);
        support_until_waiting(tasks[i]);
    }
    support_memory_fail(nth, more);
    for (int i = 0; i < 2; i++)
        pirn_event_set(&parts[i].go);
    for (int i = 0; i < 2; i++)
        CHECK_OK(support_join(tasks[i]));
    int failed = support_memory_works();
    *ret_well = parts[0].rc == 0 && parts[1].rc == 0;
    for (int i = 0; i < 2; i++)
        CHECK(parts[i].rc != -EPROTO); /* nobody has broken it */
    if (!*ret_well && failed == 0)
        support_fail(__FILE__, __LINE__, __func__, "client %d (%s), server %d (%s)", parts[0].rc,
                     link.client.why, parts[1].rc, link.server.why);
    return failed;
}

static int connect_each(void *arg)
{
    bool well;
    (void)arg;
    for (size_t i = 0; i < BYTES; i++)
        data[i] = byte_at(i);
    of_client = client_with("ca", NULL, "word", 0);
    of_server = server_with("server", NULL, "word");
    CHECK_OK(connect_both(NONE, 0, &well));
    for (int more = 0; more <= 2; more += 2) {
        int failures = 0, failed, nth = 1;
        do {
            CHECK_LE(nth, MOST);
            failed = connect_both(nth++, more, &well);
            failures += failed;
            CHECK_OK(connect_both(NONE, 0, &well));
        } while (failed > 0);
        CHECK_GE(failures, 5);
    }
    pirn_tls_context_release(of_client);
    pirn_tls_context_release(of_server);
    return 0;
}

START_TEST(connections_without_memory)
{
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        CHECK_OK(support_run(w, connect_each, NULL));
        support_no_more_than(before);
    }
}
END_TEST

/* ---- An end ---------------------------------------------------------------------------------- */

/* One that has no memory to tell the peer has not happened, and breaks nothing. */
static int end_each(void *arg)
{
    bool failed = true;
    (void)arg;
    of_client = client_with("ca", NULL, NULL, 0);
    of_server = server_with("server", NULL, NULL);
    for (int nth = 1; failed; nth++) {
        char c;
        struct link link = link_open(of_client, of_server);
        link_say(link.server.stream, link.client.stream, "ticket"); /* that, too, has come */
        CHECK_LE(nth, MOST);
        support_memory_fail(nth, 0);
        int rc = pirn_stream_end(link.client.stream, PIRN_NEVER);
        failed = support_memory_works() > 0;
        CHECK(rc == 0 || (rc == -ENOMEM && failed));
        if (rc != 0) {
            link_say(link.client.stream, link.server.stream, "not yet");
            CHECK_OK(pirn_stream_end(link.client.stream, PIRN_NEVER));
        }
        CHECK_EQ(pirn_stream_read(link.server.stream, &c, 1, PIRN_NEVER), 0);
        link_say(link.server.stream, link.client.stream, "heard");
        link_close(&link);
    }
    pirn_tls_context_release(of_client);
    pirn_tls_context_release(of_server);
    return 0;
}

START_TEST(an_end_without_memory)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, end_each, NULL));
}
END_TEST

/* ---- A context ------------------------------------------------------------------------------- */

static void make_contexts(void)
{
    pirn_tls_context_config config = PIRN_TLS_CONTEXT_CONFIG_INIT;
    char why[128];
    int failures = 0, failed;
    certs();
    config.certificate = cert_path("server");
    config.alpn = "a,b";
    config.password = "unneeded";
    config.ret_error = why;
    config.error_size = sizeof(why);
    for (int nth = 1;; nth++) {
        pirn_tls_context *context;
        strcpy(why, "unchanged");
        support_memory_fail(nth, 0);
        int rc = pirn_tls_context_new(&context, PIRN_TLS_SERVER, &config);
        failed = support_memory_works();
        CHECK(rc == 0 || (rc == -ENOMEM && failed > 0));
        CHECK(strcmp(why, "unchanged") != 0 && (why[0] == '\0') == (rc == 0));
        if (rc == 0)
            pirn_tls_context_release(context);
        if (failed == 0)
            break;
        failures += failed;
    }
    CHECK_GE(failures, 2);
}

START_TEST(a_context_without_memory)
{
    make_contexts();
}
END_TEST

SUPPORT_MAIN("tls/memory", connections_without_memory, an_end_without_memory,
             a_context_without_memory)
