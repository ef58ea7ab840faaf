/*
 * Servers whose handlers get streams over TLS (config.open): who shakes hands is served, beside
 * those that do not, who are sent away and are in no report.
 */
#include "tests/tls/tls.h"

#include "tests/net/server.h"

enum {
    CLIENTS = 20,
    WORDS = 300000 /* the last ones of a handler: more than the sockets hold */
};

static pirn_tls_context *of_server, *of_client;
static atomic_int called;
static char words[WORDS];

static void contexts(void)
{
    if (of_server != NULL)
        return;
    of_server = server_with("server", NULL, "echo/1");
    of_client = client_with("ca", NULL, "echo/1", 0);
}

/* By its line: all of the words, an error, the next line until it is idle, or lines for ever. */
static int handle(pirn_stream *stream, void *user)
{
    const char *line;
    (void)user;
    atomic_fetch_add(&called, 1);
    CHECK(strcmp(pirn_tls_alpn(stream), "echo/1") == 0);
    for (;;) {
        ssize_t n = pirn_stream_read_line(stream, &line, PIRN_NEVER);
        if (n <= 0)
            return (int)n;
        if (line[0] == 'f')
            return -EIO;
        if (line[0] == 'w')
            return pirn_stream_write(stream, words, WORDS) == WORDS ? 0 : -EIO;
        CHECK_EQ(pirn_stream_write(stream, line, (size_t)n), n);
    }
}

static pirn_server *tls_server(pirn_span open_time, pirn_span idle)
{
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    config.open = pirn_tls_open;
    config.open_user = of_server;
    config.open_time = open_time;
    config.idle = idle;
    atomic_store(&called, 0);
    return new_server(handle, NULL, &config);
}

static pirn_stream *tls_connect(pirn_server *server)
{
    pirn_stream *stream = connect_to(server);
    CHECK_OK(pirn_tls_client(&stream, stream, of_client, "localhost", NULL, PIRN_NEVER));
    return stream;
}

static void expect_end(pirn_stream *stream)
{
    char c;
    CHECK_EQ(pirn_stream_read(stream, &c, 1, PIRN_NEVER), 0);
}

/* ---- Who shakes hands is served -------------------------------------------------------------- */

static int client(void *arg)
{
    char *got = malloc(WORDS);
    pirn_stream *stream = tls_connect(arg);
    CHECK(got);
    exchange(stream, "hello\n");
    CHECK_EQ(pirn_stream_write(stream, "words\n", 6), 6);
    CHECK_EQ(pirn_stream_read_exactly(stream, got, WORDS, NULL, PIRN_NEVER), WORDS);
    CHECK(memcmp(got, words, WORDS) == 0);
    expect_end(stream); /* a confirmed one: it was closed, not cut */
    hang_up(stream);
    free(got);
    return 0;
}

static int serve_many(void *arg)
{
    pirn_task *clients[CLIENTS];
    (void)arg;
    pirn_server *server = tls_server(pirn_span_s(1000), pirn_span_s(0));
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = support_spawn(client, server);
    for (int i = 0; i < CLIENTS; i++)
        CHECK_OK(support_join(clients[i]));
    CHECK_EQ(atomic_load(&called), CLIENTS);
    stop_and_release(server);
    return 0;
}

START_TEST(a163_handlers_get_streams_over_tls)
{
    contexts();
    for (size_t i = 0; i < WORDS; i++)
        words[i] = (char)byte_at(i);
    FOR_WORKERS(w)
    {
        support_report said = SUPPORT_REPORT_INIT;
        support_census before = support_count();
        CHECK_OK(support_run_reported(w, &said, serve_many, NULL));
        CHECK_EQ(said.used, 0);
        support_no_more_than(before);
    }
}
END_TEST

/* ---- Who does not is sent away --------------------------------------------------------------- */

static int speak_plainly(void *arg)
{
    char buf[64];
    ssize_t n, all = 0;
    pirn_server *server = tls_server(pirn_span_ms(30), pirn_span_s(0));
    pirn_stream *mute = connect_to(server), *plain = connect_to(server);
    (void)arg;
    CHECK_EQ(pirn_stream_write(plain, "hello, hello\n", 13), 13);
    while ((n = pirn_stream_read(plain, buf, sizeof(buf), PIRN_NEVER)) > 0)
        all += n;
    CHECK_EQ(n, 0); /* an alert at most, and an end in order: its words were read */
    CHECK_LE(all, 16);
    expect_end(mute);
    CHECK_EQ(atomic_load(&called), 0);
    hang_up(mute);
    hang_up(plain);
    stop_and_release(server);
    return 0;
}

/* A handshake that is waited for holds up nobody; a stop ends it. */
static int stop_one_that_shakes(void *arg)
{
    (void)arg;
    pirn_server *server = tls_server(pirn_span_s(100000), pirn_span_s(0));
    pirn_stream *mute = connect_to(server), *busy = tls_connect(server);
    exchange(busy, "served\n");
    while (pirn_server_connections(server) != 2)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_EQ(pirn_server_stop(server, PIRN_NOW), -ETIMEDOUT);
    pirn_server_release(server);
    expect_end(mute);
    CHECK_EQ(pirn_stream_read(busy, &(char){0}, 1, PIRN_NEVER), -ECONNRESET); /* cut, not closed */
    CHECK_EQ(atomic_load(&called), 1);
    hang_up(mute);
    pirn_stream_release(busy);
    return 0;
}

START_TEST(who_does_not_shake_hands_is_sent_away)
{
    contexts();
    FOR_WORKERS(w)
    {
        support_report said = SUPPORT_REPORT_INIT;
        support_census before = support_count();
        CHECK_OK(support_run_reported(w, &said, speak_plainly, NULL));
        CHECK_OK(support_run_reported(w, &said, stop_one_that_shakes, NULL));
        CHECK_EQ(said.used, 0);
        support_no_more_than(before);
    }
}
END_TEST

/* ---- What a handler returns ------------------------------------------------------------------ */

static int fail_in_one(void *arg)
{
    (void)arg;
    pirn_server *server = tls_server(pirn_span_s(0), pirn_span_s(0));
    pirn_stream *stream = tls_connect(server);
    CHECK_EQ(pirn_stream_write(stream, "fail\n", 5), 5);
    expect_end(stream);
    hang_up(stream);
    stop_and_release(server);
    return 0;
}

static int be_idle(void *arg)
{
    int64_t ms = 50;
    (void)arg;
    for (;; ms *= 4) { /* until that is long enough for a handshake here */
        pirn_server *server = tls_server(pirn_span_s(0), pirn_span_ms(ms));
        pirn_stream *stream = connect_to(server);
        int rc = pirn_tls_client(&stream, stream, of_client, "localhost", NULL, PIRN_NEVER);
        char c;
        if (rc == 0)
            rc = (int)pirn_stream_read(stream, &c, 1, PIRN_NEVER);
        pirn_stream_release(stream);
        stop_and_release(server);
        if (rc == 0 && atomic_load(&called) == 1)
            return 0;
    }
}

START_TEST(a163_a_handler_over_tls_that_fails_is_reported_and_an_idle_one_is_not)
{
    contexts();
    FOR_WORKERS(w)
    {
        support_report said = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &said, be_idle, NULL));
        CHECK_EQ(said.used, 0);
        CHECK_OK(support_run_reported(w, &said, fail_in_one, NULL));
        CHECK_EQ(support_reported(&said, "127.0.0.1"), 1);
    }
}
END_TEST

/* ---- A function of the program's ------------------------------------------------------------- */

static int open_some(void *user, pirn_stream **ret_stream, pirn_stream *below, pirn_time deadline)
{
    char c;
    ssize_t n = pirn_stream_read(below, &c, 1, deadline);
    atomic_fetch_add((atomic_int *)user, 1);
    if (n != 1 || c == 'n')
        return -EACCES;
    if (c == 'i')
        return 0;                  /* and no stream: a fault of the program */
    *ret_stream = below;           /* it may be the same */
    return c == 'l' ? -EACCES : 0; /* too late, the stream is the connection's */
}

static int by_the_program(void *arg)
{
    atomic_int opened = 0;
    pirn_server *server;
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    (void)arg;
    config.open = open_some;
    config.open_user = &opened;
    config.open_time.ns = -1;
    CHECK_EQ(pirn_server_new(&server, echo, NULL, &config), -EINVAL);
    config.open_time.ns = 0;
    server = new_server(echo, NULL, &config);
    pirn_stream *yes = connect_to(server);
    for (const char *word = "nil"; *word != '\0'; word++) {
        pirn_stream *no = connect_to(server);
        CHECK_EQ(pirn_stream_write(no, word, 1), 1);
        expect_end(no);
        hang_up(no);
    }
    CHECK_EQ(pirn_stream_write(yes, "y", 1), 1);
    exchange(yes, "word\n");
    hang_up(yes);
    stop_and_release(server);
    CHECK_EQ(atomic_load(&opened), 4);
    return 0;
}

START_TEST(a_program_opens_connections_by_its_own_function)
{
    FOR_WORKERS(w)
    {
        support_report said = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &said, by_the_program, NULL));
        CHECK_EQ(support_reported(&said, "127.0.0.1"), 1); /* the program's fault alone */
    }
}
END_TEST

SUPPORT_MAIN("tls/server", a163_handlers_get_streams_over_tls,
             who_does_not_shake_hands_is_sent_away,
             a163_a_handler_over_tls_that_fails_is_reported_and_an_idle_one_is_not,
             a_program_opens_connections_by_its_own_function)
