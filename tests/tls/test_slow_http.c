/* wraps pirn_task_spawn */
/*
 * Peers that take slowly what is written over TLS: what waits in the stream below is not sent yet
 * for drain, flush and pending, nor for a server of HTTP that waits for the last of a reply; and it
 * is sent also where there is no task for that.
 */
#include "tests/tls/tls.h"

#include "tests/http/site.h"
#include "tests/net/no_sender.h"

enum {
    BULK = 60000, /* more than the sockets hold; TLS takes it all at once */
    SIP = 4096
};

static char bulk[BULK];
static pirn_tls_context *of_client, *of_server;

/* A connection whose server's socket takes a few KB. */
static struct link narrow(void)
{
    struct link link = link_plain(of_client, of_server, "localhost");
    int room = 1;
    CHECK_OK(
        setsockopt(pirn_stream_fd(link.server.below), SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)));
    struct outcome2 rc = link_shake(&link);
    CHECK_OK(rc.client);
    CHECK_OK(rc.server);
    return link;
}

/* All of it; and says so. */
static int take_bulk(void *arg)
{
    static char got[BULK];
    pirn_stream *stream = arg;
    CHECK_EQ(pirn_stream_read_exactly(stream, got, BULK, NULL, PIRN_NEVER), BULK);
    CHECK(memcmp(got, bulk, BULK) == 0);
    CHECK_EQ(pirn_stream_write(stream, "ok", 2), 2);
    return 0;
}

static void take_ok(pirn_stream *stream)
{
    char answer[2];
    CHECK_EQ(pirn_stream_read_exactly(stream, answer, 2, NULL, PIRN_NEVER), 2);
    CHECK(memcmp(answer, "ok", 2) == 0);
}

/* ---- Drain, flush, pending ------------------------------------------------------------------- */

static int until_sent(void *arg)
{
    struct link link = narrow();
    (void)arg;
    CHECK_EQ(pirn_stream_write(link.server.stream, bulk, BULK), BULK);
    CHECK_GE(pirn_stream_pending(link.server.stream), BULK / 2);
    CHECK_EQ(pirn_stream_flush(link.server.stream, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_stream_flush(link.server.stream, pirn_after_ms(10)), -ETIMEDOUT);
    pirn_task *taking = support_spawn(take_bulk, link.client.stream);
    CHECK_OK(pirn_stream_flush(link.server.stream, PIRN_NEVER));
    CHECK_EQ(pirn_stream_pending(link.server.stream), 0);
    take_ok(link.server.stream);
    CHECK_OK(support_join(taking));

    CHECK_EQ(pirn_stream_write(link.server.stream, bulk, BULK), BULK);
    pirn_stream_abort(link.client.stream); /* what it has not got nobody takes any more */
    int rc = pirn_stream_flush(link.server.stream, PIRN_NEVER);
    CHECK(rc == -EPIPE || rc == -ECONNRESET);
    pirn_stream_release(link.client.stream);
    pirn_stream_abort(link.server.stream);
    pirn_stream_release(link.server.stream);
    return 0;
}

START_TEST(what_waits_below_is_not_sent_yet)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, until_sent, NULL));
}
END_TEST

/* ---- An end that is not waited for ---------------------------------------------------------- */

static int stop_end(void *arg)
{
    return pirn_stream_end(arg, PIRN_NEVER);
}

/* It has not happened: the peer hears what is written next, and the reader goes on. */
static int end_in_vain(void *arg)
{
    struct link link = narrow();
    char buf[8];
    (void)arg;
    CHECK_EQ(pirn_stream_write(link.server.stream, bulk, BULK), BULK);
    CHECK_EQ(pirn_stream_end(link.server.stream, PIRN_NOW), -ETIMEDOUT);
    pirn_task *ending = support_spawn(stop_end, link.server.stream);
    support_until_waiting(ending);
    CHECK_OK(pirn_cancel(ending, NULL));
    CHECK_EQ(support_join(ending), -ECANCELED);
    pirn_task *taking = support_spawn(take_bulk, link.client.stream);
    take_ok(link.server.stream);
    CHECK_OK(support_join(taking));
    link_say(link.server.stream, link.client.stream, "more");
    link_say(link.client.stream, link.server.stream, "heard");
    CHECK_OK(pirn_stream_end(link.server.stream, PIRN_NEVER));
    CHECK_EQ(pirn_stream_write(link.server.stream, "x", 1), -EPIPE);
    CHECK_EQ(pirn_stream_read(link.client.stream, buf, sizeof(buf), PIRN_NEVER), 0);
    link_say(link.client.stream, link.server.stream, "still");
    link_close(&link);
    return 0;
}

START_TEST(an_end_that_was_stopped_has_not_happened)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, end_in_vain, NULL));
}
END_TEST

/* ---- No task for the background -------------------------------------------------------------- */

static int without_a_task(void *arg)
{
    struct link link = narrow();
    (void)arg;
    atomic_store(&no_sender, true);
    for (int how = 0; how < 3; how++) {
        pirn_task *taking = support_spawn(take_bulk, link.client.stream);
        CHECK_EQ(pirn_stream_write(link.server.stream, bulk, BULK), BULK);
        if (how == 1)
            CHECK_OK(pirn_stream_drain(link.server.stream, PIRN_NEVER));
        if (how == 2)
            CHECK_OK(pirn_stream_flush(link.server.stream, PIRN_NEVER));
        take_ok(link.server.stream);
        CHECK_OK(support_join(taking));
    }
    CHECK_GE(atomic_exchange(&refused_senders, 0), 3);
    atomic_store(&no_sender, false);
    link_close(&link);
    return 0;
}

START_TEST(what_is_written_is_sent_without_a_task)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, without_a_task, NULL));
}
END_TEST

/* ---- The last reply of a connection ---------------------------------------------------------- */

static int give(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request, (void)user;
    return pirn_http_reply_bytes(reply, 200, NULL, bulk, BULK);
}

/* A client that takes a sip each eighth of write_time, twice that long in all. Did it get all? */
static bool sip(int64_t write_time)
{
    static char text[BULK + 1024];
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    struct link link = narrow();
    struct site site;
    size_t n = 0;
    ssize_t got;
    config.write_time.ns = write_time;
    site_new(&site, &config);
    site_route(&site, "GET", "/", give, NULL);
    struct site_visit v = {.server = site.server, .stream = link.server.stream};
    pirn_task *task = support_spawn(site_visit_serve, &v);
    const char *request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    CHECK_GE(pirn_stream_write(link.client.stream, request, strlen(request)), 1);
    while ((got = pirn_stream_read(link.client.stream, text + n,
                                   sizeof(text) - n < SIP ? sizeof(text) - n : SIP, PIRN_NEVER)) >
           0) {
        n += (size_t)got;
        CHECK_OK(pirn_sleep(pirn_after_ns(write_time / 8)));
    }
    bool all = got == 0 && n > BULK && memcmp(text + n - BULK, bulk, BULK) == 0;
    pirn_stream_abort(link.client.stream);
    pirn_stream_release(link.client.stream);
    CHECK_OK(support_join(task));
    CHECK_OK(pirn_http_server_stop(site.server, PIRN_NEVER));
    site_visit_end(&v);
    return all;
}

/* A busy machine may keep a client from its sips: then all of it takes longer. */
static int slowly(void *arg)
{
    int64_t write_time = 100 * MS;
    (void)arg;
    while (!sip(write_time)) {
        write_time *= 2;
        CHECK_LE(write_time, (int64_t)20000 * MS);
    }
    return 0;
}

START_TEST(who_takes_slowly_gets_all_of_a_last_reply)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, slowly, NULL));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        what_waits_below_is_not_sent_yet, an_end_that_was_stopped_has_not_happened,
        what_is_written_is_sent_without_a_task, who_takes_slowly_gets_all_of_a_last_reply};
    for (size_t i = 0; i < BULK; i++)
        bulk[i] = (char)(i * 31 + i / 253);
    of_client = client_with("ca", NULL, NULL, 0);
    of_server = server_with("server", NULL, NULL);
    int rc = support_main("tls/slow_http", tests, sizeof(tests) / sizeof(tests[0]));
    pirn_tls_context_release(of_client);
    pirn_tls_context_release(of_server);
    return rc;
}
