/* The client: bodies of every kind, its pool, what servers do to it. */
#include "api/http/server.h"
#include "tests/http/rogue.h"

#include <jansson.h>

enum {
    BIG = 300000
};

static char big[BIG];

static int echo(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char buf[5000];
    ssize_t n = pirn_http_body_length(request);
    (void)user;
    CHECK(pirn_http_header(request, "Host") != NULL);
    CHECK_OK(pirn_http_reply_header(reply, "X-Length", n < 0 ? "unknown" : "known"));
    CHECK_OK(pirn_http_reply_begin(reply, 200, "text/plain", n));
    while ((n = pirn_http_body_read(request, buf, sizeof buf, PIRN_NEVER)) > 0) {
        ssize_t sent = pirn_http_reply_write(reply, buf, (size_t)n, PIRN_NEVER);
        if (sent < 0)
            return (int)sent;
    }
    return (int)n;
}

static int give_big(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)user;
    if (pirn_http_query(request, "slow") != NULL)
        pirn_sleep(pirn_after_ms(20));
    return pirn_http_reply_bytes(reply, 200, NULL, big, BIG);
}

static int refuse_early(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)user;
    return pirn_http_reply_text(reply, 413, "no");
}

static void open_site(struct site *site)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 7 + i / 251);
    config.max_body = -1;
    site_new(site, &config);
    site_route(site, "*", "/echo", echo, NULL);
    site_route(site, "GET", "/big", give_big, NULL);
    site_route(site, "POST", "/refuse", refuse_early, NULL);
    site_open(site);
}

static const char *url_of(const struct site *site, const char *path)
{
    static char urls[8][128];
    static atomic_int next;
    char *url = urls[atomic_fetch_add(&next, 1) % 8];
    snprintf(url, sizeof urls[0], "http://127.0.0.1:%d%s", site->port, path);
    return url;
}

static ssize_t give_pieces(void *user, void *buf, size_t n, pirn_time deadline)
{
    size_t *at = user;
    size_t part = BIG - *at;
    (void)deadline;
    if (part > 777)
        part = 777;
    if (part > n)
        part = n;
    memcpy(buf, big + *at, part);
    *at += part;
    return (ssize_t)part;
}

static void check_big(pirn_http_response *response)
{
    char *body;
    CHECK_EQ(pirn_http_response_status(response), 200);
    CHECK_EQ(pirn_http_response_all(response, &body, BIG, PIRN_NEVER), BIG);
    CHECK(memcmp(body, big, BIG) == 0);
    free(body);
    pirn_http_response_free(response);
}

static int converse(void *arg)
{
    struct site site;
    pirn_http_client *client;
    pirn_http_response *response;
    pirn_http_call call = PIRN_HTTP_CALL_INIT;
    char *body;
    size_t at = 0;
    (void)arg;
    open_site(&site);
    CHECK_OK(pirn_http_client_new(&client, NULL));

    CHECK_OK(pirn_http_get(client, url_of(&site, "/big"), &response, PIRN_NEVER));
    CHECK_EQ(pirn_http_response_length(response), BIG);
    CHECK_EQ(pirn_http_response_all(response, &body, BIG - 1, PIRN_NEVER), -EMSGSIZE);
    check_big(response);

    /* A body of known length, in one piece; and chunked, in pieces. */
    CHECK_OK(pirn_http_post(client, url_of(&site, "/echo"), "text/plain", big, BIG, &response,
                            PIRN_NEVER));
    CHECK(strcmp(pirn_http_response_header(response, "x-length"), "known") == 0);
    check_big(response);
    call.method = "POST";
    call.url = url_of(&site, "/echo");
    call.body_read = give_pieces;
    call.body_user = &at;
    call.body_length = -1;
    CHECK_OK(pirn_http_send(client, &call, &response, PIRN_NEVER));
    CHECK(strcmp(pirn_http_response_header(response, "x-length"), "unknown") == 0);
    CHECK_EQ(pirn_http_response_length(response), -1);
    check_big(response);
    at = 0;
    call.body_length = BIG;
    CHECK_OK(pirn_http_send(client, &call, &response, PIRN_NEVER));
    check_big(response);

    /* No body: HEAD, and none at all. A 404 is a response like any. */
    call = (pirn_http_call)PIRN_HTTP_CALL_INIT;
    call.method = "HEAD";
    call.url = url_of(&site, "/big");
    CHECK_OK(pirn_http_send(client, &call, &response, PIRN_NEVER));
    CHECK_EQ(pirn_http_response_length(response), BIG);
    CHECK_EQ(pirn_http_response_read(response, &at, 1, PIRN_NEVER), 0);
    pirn_http_response_free(response);
    CHECK_OK(pirn_http_get(client, url_of(&site, "?no=path"), &response, PIRN_NEVER));
    CHECK_EQ(pirn_http_response_status(response), 404);
    CHECK(pirn_http_response_header(response, "none") == NULL);
    pirn_http_response_free(response);

    /* A server that does not want to hear it all. */
    CHECK_OK(
        pirn_http_post(client, url_of(&site, "/refuse"), NULL, big, BIG, &response, PIRN_NEVER));
    CHECK_EQ(pirn_http_response_status(response), 413);
    pirn_http_response_free(response);

    pirn_http_client_free(client);
    site_close(&site);
    return 0;
}

START_TEST(s168_bodies_both_ways)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, converse, NULL));
}
END_TEST

struct fetch {
    pirn_http_client *client;
    const struct site *site;
};

static int fetch(void *arg)
{
    const struct fetch *f = arg;
    pirn_http_response *response;
    char url[64]; /* more of these are under way than url_of keeps */
    snprintf(url, sizeof url, "http://127.0.0.1:%d/big?slow", f->site->port);
    CHECK_OK(pirn_http_get(f->client, url, &response, PIRN_NEVER));
    check_big(response);
    return 0;
}

static int connections(const struct site *site)
{
    pthread_mutex_lock(&site->server->lock);
    int n = site->server->count;
    pthread_mutex_unlock(&site->server->lock);
    return n;
}

static int in_parallel(void *arg)
{
    struct site site;
    struct fetch f = {NULL, &site};
    pirn_http_client_config config = PIRN_HTTP_CLIENT_CONFIG_INIT;
    pirn_task *tasks[20];
    (void)arg;
    open_site(&site);
    config.max_per_host = 5;
    CHECK_OK(pirn_http_client_new(&f.client, &config));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20; i++)
            tasks[i] = support_spawn(fetch, &f);
        for (int i = 0; i < 20; i++)
            CHECK_OK(support_join(tasks[i]));
        CHECK_LE(connections(&site), 5);
        CHECK_GE(connections(&site), 1);
    }
    pirn_http_client_free(f.client);
    site_close(&site);
    return 0;
}

START_TEST(s168_twenty_in_parallel_share_five_connections)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, in_parallel, NULL));
}
END_TEST

/* ---- A server that misbehaves -------------------------------------------------------------- */

static int rogues(void *arg)
{
    static const struct {
        const char *reply;
        int result;
        ssize_t body;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, 5},
        {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", 200, -ECONNRESET},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 200, -ECONNRESET},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX", 200, -EBADMSG},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
         200, 0},
        {"HTTP/1.0 200 OK\r\n\r\nhello", 200, 5},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, 0},
        {"HTTP/1.1 101 Other\r\n\r\n", -EBADMSG, 0},
        {"SSH-2.0\r\n\r\n", -EBADMSG, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", -EBADMSG, 0},
        {"HTTP/1.1 200 OK\r\nA", -ECONNRESET, 0},
        {"", -ECONNRESET, 0},
    };
    (void)arg;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rogue r = {.reply = cases[i].reply, .served = 1};
        pirn_http_client *client;
        ssize_t body = 0;
        pirn_task *task = rogue_open(&r);
        CHECK_OK(pirn_http_client_new(&client, NULL));
        CHECK_EQ(rogue_ask(client, &r, &body), cases[i].result);
        CHECK_EQ(body, cases[i].body);
        pirn_http_client_free(client);
        rogue_close(&r, task);
    }
    return 0;
}

START_TEST(s168_what_a_server_may_do)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, rogues, NULL));
}
END_TEST

static int reuse(void *arg)
{
    struct rogue r = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", .served = 2};
    pirn_http_client *client;
    struct site site = {0};
    pirn_http_response *response;
    ssize_t body;
    (void)arg;
    r.silent = true; /* the third request finds it closed, before a byte of its response */
    pirn_task *task = rogue_open(&r);
    site.port = r.port;
    CHECK_OK(pirn_http_client_new(&client, NULL));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(rogue_ask(client, &r, &body), 200);
    CHECK_EQ(atomic_load(&r.connections), 2);
    CHECK_EQ(atomic_load(&r.requests), 4);
    CHECK_EQ(rogue_ask(client, &r, &body), 200);
    /* What must not be repeated is not. */
    CHECK_EQ(pirn_http_post(client, url_of(&site, "/"), NULL, "x", 1, &response, PIRN_NEVER),
             -ECONNRESET);
    CHECK_EQ(atomic_load(&r.requests), 6);
    pirn_http_client_free(client);
    rogue_close(&r, task);

    /* Closed while it was idle, and seen to be: nothing is sent over it. */
    struct rogue once = {.reply = r.reply, .served = 1};
    pirn_http_client_config config = PIRN_HTTP_CLIENT_CONFIG_INIT;
    task = rogue_open(&once);
    CHECK_OK(pirn_http_client_new(&client, &config));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(rogue_ask(client, &once, &body), 200);
        CHECK_EQ(body, 2);
    }
    CHECK_EQ(atomic_load(&once.connections), 3);
    pirn_http_client_free(client);
    rogue_close(&once, task);
    return 0;
}

START_TEST(s168_a_kept_connection_that_is_closed_is_replaced_once)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, reuse, NULL));
}
END_TEST

/* Asks twice, and reads no body; how many connections that took. A cancel is for who comes next. */
static int ask_unread(const char *reply, bool cancelled)
{
    struct rogue r = {.reply = reply, .served = 2};
    pirn_http_client *client;
    struct site site = {0};
    pirn_task *task = rogue_open(&r);
    site.port = r.port;
    CHECK_OK(pirn_http_client_new(&client, NULL));
    for (int i = 0; i < 2; i++) {
        pirn_http_response *response;
        CHECK_OK(pirn_http_get(client, url_of(&site, "/"), &response, PIRN_NEVER));
        if (cancelled)
            CHECK_OK(pirn_cancel(pirn_current(), NULL));
        pirn_http_response_free(response);
        CHECK_EQ(pirn_yield(), cancelled ? -ECANCELED : 0);
    }
    pirn_http_client_free(client);
    rogue_close(&r, task);
    return atomic_load(&r.connections);
}

/* A connection is kept if what nobody has read of a body has come already. */
static int unread(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(ask_unread("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", i), 1);
        CHECK_EQ(ask_unread("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "2\r\nok\r\n3\r\nyes\r\n0\r\n\r\n",
                            i),
                 1);
        CHECK_EQ(ask_unread("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", i),
                 1);
        CHECK_EQ(ask_unread("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", i), 2);
        CHECK_EQ(ask_unread("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", i),
                 2);
        CHECK_EQ(ask_unread("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay", i), 2);
        CHECK_EQ(ask_unread("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nbad", i), 2);
        CHECK_EQ(
            ask_unread("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", i),
            2);
    }
    return 0;
}

START_TEST(s168_a_body_that_is_not_read)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, unread, NULL));
}
END_TEST

static int misuse(void *arg)
{
    pirn_http_client *client;
    pirn_http_response *response;
    pirn_http_call call = PIRN_HTTP_CALL_INIT;
    pirn_http_field field = {"A", "b\r\nC: d"};
    (void)arg;
    CHECK_OK(pirn_http_client_new(&client, NULL));
    CHECK_EQ(pirn_http_get(client, "ftp://a", &response, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_get(client, "https://127.0.0.1:1/", &response, PIRN_NEVER),
             -EPROTONOSUPPORT);
    call.url = "http://127.0.0.1:1/";
    call.headers = &field;
    call.header_count = 1;
    CHECK_EQ(pirn_http_send(client, &call, &response, PIRN_NEVER), -EINVAL);
    field = (pirn_http_field){"Content-Length", "7"};
    CHECK_EQ(pirn_http_send(client, &call, &response, PIRN_NEVER), -EINVAL);
    call.headers = NULL;
    CHECK_EQ(pirn_http_send(client, &call, &response, PIRN_NEVER), -EINVAL);
    call.header_count = 0;
    call.method = "GET / HTTP/1.1\r\n";
    CHECK_EQ(pirn_http_send(client, &call, &response, PIRN_NEVER), -EINVAL);
    call.method = NULL;
    CHECK_EQ(pirn_http_send(client, &call, &response, PIRN_NEVER), -ECONNREFUSED);
    pirn_http_client_free(client);
    return 0;
}

START_TEST(s168_what_is_refused)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, misuse, NULL));
}
END_TEST

SUPPORT_MAIN("http/client", s168_bodies_both_ways, s168_twenty_in_parallel_share_five_connections,
             s168_what_a_server_may_do, s168_a_kept_connection_that_is_closed_is_replaced_once,
             s168_a_body_that_is_not_read, s168_what_is_refused)
