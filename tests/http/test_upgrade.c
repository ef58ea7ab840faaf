/* A connection is switched to another protocol: who may, what comes through, and how it ends. */
#include "tests/http/rogue.h"

enum {
    ROUNDS = 200,
    MUCH = 1 << 20,  /* at a time, both ways */
    MORE = 16 << 20, /* than sockets take */
};

#define ASKS "Connection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n"

static int say(pirn_stream *stream, const char *text)
{
    ssize_t n = pirn_stream_write(stream, text, strlen(text));
    return n < 0 ? (int)n : 0;
}

/* Says again what it is told, up to its end; then "bye". */
static int echo(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    pirn_stream *stream;
    const int *late_ms = user;
    (void)request;
    if (late_ms != NULL)
        CHECK_OK(pirn_sleep(pirn_after_ms(*late_ms)));
    CHECK_OK(pirn_http_reply_header(reply, "X-Key", "abc"));
    int rc = pirn_http_reply_upgrade(reply, "echo", &stream, PIRN_NEVER);
    if (rc < 0)
        return rc;
    int64_t n = pirn_stream_copy(stream, stream, INT64_MAX, NULL, PIRN_NEVER);
    return n < 0 ? (int)n : say(stream, "bye");
}

static int plain(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request, (void)user;
    return pirn_http_reply_text(reply, 200, "plain");
}

static pirn_stream *switched(pirn_http_client *client, int port, pirn_http_response **ret_response)
{
    pirn_http_call call = PIRN_HTTP_CALL_INIT;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/echo", port);
    call.url = url;
    call.upgrade = "Echo"; /* whatever its case */
    CHECK_OK(pirn_http_send(client, &call, ret_response, PIRN_NEVER));
    CHECK_EQ(pirn_http_response_status(*ret_response), 101);
    CHECK(strcmp(pirn_http_response_header(*ret_response, "X-Key"), "abc") == 0);
    pirn_stream *stream = pirn_http_response_stream(*ret_response);
    CHECK(stream != NULL);
    return stream;
}

static int send_much(void *arg)
{
    static char bytes[MUCH]; /* of each: the same */
    pirn_stream *stream = arg;
    CHECK_EQ(pirn_stream_write(stream, bytes, MUCH), MUCH);
    return pirn_stream_flush(stream, PIRN_NEVER);
}

static void read_text(pirn_stream *stream, const char *wanted)
{
    char text[64];
    size_t n = strlen(wanted);
    CHECK_EQ(pirn_stream_read_exactly(stream, text, n, NULL, PIRN_NEVER), (ssize_t)n);
    CHECK(memcmp(text, wanted, n) == 0);
}

static int talk(void *arg)
{
    const int late_ms = *(int *)arg;
    static char much[MUCH];
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    pirn_http_client *client;
    pirn_http_response *response;
    struct site site;
    char byte;
    config.cancel_time = pirn_span_ms(1); /* what is late is watched, until it has switched */
    config.idle_time = config.head_time = config.write_time = pirn_span_ms(20);
    site_new(&site, &config);
    site_route(&site, "GET", "/echo", echo, late_ms != 0 ? arg : NULL);
    site_open(&site);
    CHECK_OK(pirn_http_client_new(&client, NULL));
    pirn_stream *stream = switched(client, site.port, &response);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(say(stream, "hello"));
        read_text(stream, "hello");
    }
    CHECK_OK(pirn_sleep(pirn_after_ms(50))); /* beyond each limit of the server's */
    pirn_task *task = support_spawn(send_much, stream);
    CHECK_EQ(pirn_stream_read_exactly(stream, much, MUCH, NULL, PIRN_NEVER), MUCH);
    CHECK_OK(support_join(task));
    CHECK_EQ(pirn_http_response_read(response, &byte, 1, PIRN_NEVER), 0); /* it has no body */
    CHECK_EQ(pirn_http_server_connections(site.server), 1);
    CHECK_OK(pirn_stream_end(stream, PIRN_NEVER)); /* which does not cancel the handler */
    read_text(stream, "bye");
    CHECK_EQ(pirn_stream_read(stream, &byte, 1, PIRN_NEVER), 0);
    CHECK_OK(pirn_stream_close(stream, PIRN_NEVER));
    pirn_http_response_free(response);
    pirn_http_client_free(client);
    site_close(&site);
    CHECK_EQ(site.stopped, 0);
    CHECK_EQ(site.report.used, 0);
    return 0;
}

START_TEST(s168_a_connection_is_switched)
{
    int in_time = 0, late = 20;
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, talk, &in_time));
        CHECK_OK(support_run(w, talk, &late));
    }
}
END_TEST

/* What is before it in a row is answered before, and what follows it is the protocol's. */
static int row(void *arg)
{
    char text[2048];
    struct site site;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "GET", "/", plain, NULL);
    site_route(&site, "GET", "/echo", echo, NULL);
    site_open(&site);
    int fd = site_dial(&site);
    site_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
                 "GET / HTTP/1.1\r\nHost: x\r\n" ASKS "GET /echo HTTP/1.1\r\nHost: x\r\n" ASKS
                 "GET / HTTP/1.1\r\n\r\n");
    CHECK_OK(shutdown(fd, SHUT_WR));
    site_hear(fd, text, sizeof text);
    pirn_close(fd);
    BEGINS(text, "HTTP/1.1 200 OK\r\n");
    const char *second = strstr(text, "plainHTTP/1.1 200 OK\r\n");
    CHECK(second != NULL);
    const char *third = strstr(second, "plainHTTP/1.1 101 Switching Protocols\r\n");
    CHECK(third != NULL);
    CHECK(strstr(third, "\r\nConnection: Upgrade\r\n") != NULL);
    CHECK(strstr(third, "\r\nUpgrade: echo\r\n") != NULL);
    CHECK(strstr(third, "\r\nX-Key: abc\r\n") != NULL);
    CHECK(strcmp(strstr(third, "\r\n\r\n") + 4, "GET / HTTP/1.1\r\n\r\nbye") == 0);
    site_close(&site);
    return 0;
}

START_TEST(s168_in_a_row_of_requests)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, row, NULL));
}
END_TEST

/* ---- Who may not ------------------------------------------------------------------------ */

static int try(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    pirn_stream *stream;
    char text[32];
    (void)user;
    int rc = pirn_http_reply_upgrade(reply, "echo", &stream, PIRN_NEVER);
    if (rc == 0)
        return say(stream, "switched");
    snprintf(text, sizeof text, "%s", strerrorname_np(-rc));
    if (rc == -EBUSY) { /* once its body is read it may */
        CHECK_EQ(pirn_http_body_read(request, text, sizeof text, PIRN_NEVER), 2);
        CHECK_OK(pirn_http_reply_upgrade(reply, "echo", &stream, PIRN_NEVER));
        CHECK_EQ(pirn_http_reply_upgrade(reply, "echo", &stream, PIRN_NEVER), -EALREADY);
        CHECK_EQ(pirn_http_reply_text(reply, 200, "no"), -EALREADY);
        CHECK_EQ(pirn_http_reply_write(reply, "no", 2, PIRN_NEVER), -EINVAL);
        return say(stream, "was busy");
    }
    CHECK_EQ(pirn_http_reply_upgrade(reply, "", &stream, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_reply_upgrade(reply, NULL, &stream, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_reply_upgrade(NULL, "echo", &stream, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_reply_upgrade(reply, "echo", NULL, PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_http_reply_text(reply, 200, text));
    CHECK_EQ(pirn_http_reply_upgrade(reply, "echo", &stream, PIRN_NEVER), -EALREADY);
    return 0;
}

static int refused(void *arg)
{
    static const struct {
        const char *request, *says;
    } cases[] = {
        {"GET /t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "EINVAL"},
        {"GET /t HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: close\r\n\r\n", "EINVAL"},
        {"GET /t HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: echo2\r\n\r\n",
         "EINVAL"},
        {"GET /t HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", "EINVAL"},
        {"GET /b HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: echo\r\n\r\n",
         "EOPNOTSUPP"},
        {"GET /t HTTP/1.1\r\nHost: x\r\nConnection:\r\nConnection: close,, upgrade \t,a\r\n"
         "Upgrade: a/1, ECHO\r\nUpgrade: b\r\n\r\n",
         "switched"},
        {"GET /t HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n" ASKS "ab", "was busy"},
    };
    char text[2048];
    struct site site;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "GET", "/t", try, NULL);
    site_route_blocking(&site, "GET", "/b", try, NULL);
    site_open(&site);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        site_ask(&site, cases[i].request, text, sizeof text);
        CHECK(strcmp(strstr(text, "\r\n\r\n") + 4, cases[i].says) == 0);
    }
    site_close(&site);
    return 0;
}

START_TEST(s168_no_switch_that_was_not_asked_for)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, refused, NULL));
}
END_TEST

/* ---- The client's -------------------------------------------------------------------------- */

/* What comes of a call to a server that says that; NULL: of one that nobody hears. */
static int ask(const char *reply, const char *upgrade, int64_t body_length)
{
    struct rogue r = {.reply = reply, .served = 1};
    pirn_http_call call = PIRN_HTTP_CALL_INIT;
    pirn_http_client *client;
    pirn_http_response *response;
    pirn_task *task = reply != NULL ? rogue_open(&r) : NULL;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", task != NULL ? r.port : 1);
    call.url = url;
    call.upgrade = upgrade;
    call.body = "x";
    call.body_length = body_length;
    CHECK_OK(pirn_http_client_new(&client, NULL));
    int rc = pirn_http_send(client, &call, &response, PIRN_NEVER);
    if (rc == 0) {
        rc = pirn_http_response_status(response);
        pirn_stream *stream = pirn_http_response_stream(response);
        CHECK_EQ(stream != NULL, rc == 101);
        if (stream != NULL)
            read_text(stream, "more");
        pirn_http_response_free(response);
    }
    pirn_http_client_free(client);
    if (task != NULL)
        rogue_close(&r, task);
    return rc;
}

static int answers(void *arg)
{
    static const char well[] = "HTTP/1.1 103 Early Hints\r\n\r\n"
                               "HTTP/1.1 101 Yes\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\nmore";
    (void)arg;
    CHECK_EQ(ask(well, "a", 0), 101);
    CHECK_EQ(ask(well, "b", 0), -EBADMSG);
    CHECK_EQ(ask(well, NULL, 0), -EBADMSG);
    CHECK_EQ(ask("HTTP/1.1 101 Yes\r\nUpgrade: a\r\n\r\n", "a", 0), -EBADMSG);
    CHECK_EQ(ask("HTTP/1.0 101 Yes\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", "a", 0),
             -EBADMSG);
    CHECK_EQ(ask("HTTP/1.1 426 No\r\nUpgrade: b\r\nContent-Length: 0\r\n\r\n", "a", 0), 426);
    CHECK_EQ(ask("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "a", 0), 200);
    CHECK_EQ(ask(NULL, "a", 1), -EINVAL);
    CHECK_EQ(ask(NULL, "", 0), -EINVAL);
    CHECK_EQ(ask(NULL, "a, b", 0), -EINVAL);
    CHECK_EQ(ask(NULL, "a\r\nb:c", 0), -EINVAL);
    CHECK(pirn_http_response_stream(NULL) == NULL);
    return 0;
}

START_TEST(s168_the_client_takes_what_it_has_asked_for)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, answers, NULL));
}
END_TEST

/* ---- Its end -------------------------------------------------------------------------------- */

static int stubborn(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    pirn_stream *stream;
    char byte;
    (void)request;
    CHECK_OK(pirn_http_reply_header(reply, "X-Key", "abc"));
    CHECK_OK(pirn_http_reply_upgrade(reply, "echo", &stream, PIRN_NEVER));
    CHECK_EQ(pirn_stream_read(stream, &byte, 1, PIRN_NEVER), -ECANCELED);
    CHECK_OK(pirn_shield_enter());
    CHECK_OK(pirn_event_wait(user, PIRN_NEVER));
    pirn_shield_leave();
    return 0;
}

struct parting {
    int status;
    atomic_int over;
};

/* It returns with most of it still to be sent, well or not. */
static int part(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    static const char bytes[MORE];
    pirn_stream *stream;
    (void)request;
    CHECK_OK(pirn_http_reply_upgrade(reply, "echo", &stream, PIRN_NEVER));
    CHECK_EQ(pirn_stream_write(stream, bytes, MORE), MORE);
    CHECK_GE(pirn_stream_pending(stream), 1);
    struct parting *parting = user;
    atomic_store(&parting->over, 1);
    return parting->status;
}

static int parted(void *arg)
{
    struct parting partings[2] = {{0, 0}, {-ECANCELED, 0}};
    static char bytes[1 << 16];
    struct site site;
    (void)arg;
    for (int i = 0; i < 2; i++) {
        site_new(&site, NULL);
        site_route(&site, "GET", "/", part, &partings[i]);
        site_open(&site);
        int fd = site_dial(&site);
        site_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n" ASKS);
        support_until(&partings[i].over, 1);
        while (partings[i].status < 0 && pirn_http_server_connections(site.server) > 0)
            CHECK_OK(pirn_sleep(pirn_after_ms(1))); /* what is read now would make room for more */
        int64_t n, all = 0;
        while ((n = pirn_recv(fd, bytes, sizeof bytes, 0, PIRN_NEVER)) > 0)
            all += n;
        if (partings[i].status == 0)
            CHECK_GE(all, MORE);
        else
            CHECK_LE(all, MORE);
        pirn_close(fd);
        site_close(&site);
    }
    return 0;
}

START_TEST(s168_what_its_handler_has_written_is_sent)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, parted, NULL));
}
END_TEST

static int ended(void *arg)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    pirn_http_client *client;
    pirn_http_response *response;
    pirn_event leave;
    struct site site;
    char byte;
    (void)arg;
    config.grace = pirn_span_ms(20);
    CHECK_OK(pirn_event_init(&leave));
    site_new(&site, &config);
    site_route(&site, "GET", "/echo", stubborn, &leave);
    site_open(&site);
    CHECK_OK(pirn_http_client_new(&client, NULL));
    pirn_stream *stream = switched(client, site.port, &response);
    site_end(&site, pirn_span_ms(20));
    while (support_reported(&site.report, "GET /echo goes on") == 0) /* by its name */
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    pirn_event_set(&leave);
    CHECK_EQ(pirn_stream_read(stream, &byte, 1, PIRN_NEVER), 0);
    pirn_http_response_free(response);
    CHECK_OK(support_join(site.task));
    CHECK_EQ(site.stopped, -EBUSY);
    pirn_http_server_release(site.server);

    /* Who is cancelled and leaves is told nothing more, nor is its client; a client that goes is an
     * end, and no more is heard of its place among max_per_host. */
    site_new(&site, NULL);
    site_route(&site, "GET", "/echo", echo, NULL);
    site_open(&site);
    switched(client, site.port, &response);
    pirn_http_response_free(response);
    stream = switched(client, site.port, &response);
    CHECK_OK(say(stream, "a"));
    read_text(stream, "a");
    pirn_http_client_free(client);
    CHECK_OK(say(stream, "b"));
    read_text(stream, "b");
    site_end(&site, pirn_span_ms(20));
    CHECK_LE(pirn_stream_read(stream, &byte, 1, PIRN_NEVER), 0);
    pirn_http_response_free(response);
    CHECK_OK(support_join(site.task));
    CHECK_EQ(site.stopped, -ETIMEDOUT);
    CHECK_EQ(site.report.used, 0);
    pirn_http_server_release(site.server);
    return 0;
}

START_TEST(s168_a_stop_ends_it)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, ended, NULL));
}
END_TEST

SUPPORT_MAIN("http/upgrade", s168_a_connection_is_switched, s168_in_a_row_of_requests,
             s168_no_switch_that_was_not_asked_for, s168_the_client_takes_what_it_has_asked_for,
             s168_what_its_handler_has_written_is_sent, s168_a_stop_ends_it)
