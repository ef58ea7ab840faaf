/*
 * A cancel that comes where nothing is waited for is not lost: what looks at a stream in passing
 * leaves it to the next call that waits.
 */
#include "api/http/client.h"
#include "api/http/server.h"
#include "tests/http/site.h"

/* ---- The client ---------------------------------------------------------------------------- */

/* A server in a stream: so many requests, and as many responses, each of which cancels who reads
 * it. */
struct played {
    atomic_int *connections;
    const char *response;
    bool cancels;
    int asked, answered;
};

static ssize_t played_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    struct played *p = self;
    size_t length = strlen(p->response);
    if (p->answered == p->asked)
        return pirn_sleep(deadline) == 0 ? -ETIMEDOUT : -ECANCELED;
    p->answered++;
    CHECK_GE(n, length);
    memcpy(buf, p->response, length);
    if (p->cancels)
        CHECK_OK(pirn_cancel(pirn_current(), "the test"));
    return (ssize_t)length;
}

static ssize_t played_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    struct played *p = self;
    (void)deadline;
    for (size_t i = 0; i + 4 <= n; i++)
        p->asked += memcmp((const char *)buf + i, "\r\n\r\n", 4) == 0;
    return (ssize_t)n;
}

static ssize_t played_try_write(void *self, const struct iovec *iov, int count)
{
    ssize_t n = 0;
    for (int i = 0; i < count; i++)
        n += played_write(self, iov[i].iov_base, iov[i].iov_len, PIRN_NOW);
    return n;
}

static int played_close(void *self)
{
    (void)self;
    return 0;
}

static const pirn_transport played_ops = {
    .size = sizeof(played_ops),
    .read = played_read,
    .write = played_write,
    .close = played_close,
    .free = free,
    .try_write = played_try_write,
};

static int connect_played(void *user, pirn_stream **ret_stream, const char *scheme,
                          const char *host, uint16_t port, pirn_time deadline)
{
    const struct played *model = user;
    struct played *p = malloc(sizeof *p);
    (void)scheme, (void)host, (void)port, (void)deadline;
    CHECK(p != NULL);
    *p = *model;
    atomic_fetch_add(p->connections, 1);
    return pirn_stream_over(ret_stream, &played_ops, p, NULL);
}

static pirn_http_client *open_client(struct played *model, int places)
{
    pirn_http_client *client;
    pirn_http_client_config config = PIRN_HTTP_CLIENT_CONFIG_INIT;
    config.connect = connect_played;
    config.connect_user = model;
    config.max_per_host = places;
    CHECK_OK(pirn_http_client_new(&client, &config));
    return client;
}

/* The response is there, the connection is kept, and the cancel is still to be told. */
static int answered_and_cancelled(void *arg)
{
    atomic_int connections = 0;
    struct played model = {&connections, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true, 0,
                           0};
    pirn_http_client *client = open_client(&model, 1);
    (void)arg;
    for (int i = 0; i < 3; i++) {
        pirn_http_response *response;
        CHECK_OK(pirn_http_get(client, "http://x/", &response, PIRN_NEVER));
        CHECK_EQ(pirn_http_response_status(response), 200);
        CHECK_EQ(pirn_yield(), -ECANCELED);
        CHECK_OK(pirn_yield());
        pirn_uncancel();
        pirn_http_response_free(response);
    }
    CHECK_EQ(atomic_load(&connections), 1);
    pirn_http_client_free(client);
    return 0;
}

START_TEST(s168_a_cancel_that_comes_with_the_response)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, answered_and_cancelled, NULL));
}
END_TEST

struct visitor {
    pirn_http_client *client;
    atomic_int told;
};

static int visit(void *arg)
{
    struct visitor *v = arg;
    pirn_http_response *response = NULL;
    int rc = pirn_http_get(v->client, "http://x/", &response, PIRN_NEVER);
    bool cancelled = rc == -ECANCELED;
    CHECK(rc == 0 || cancelled);
    while (!cancelled && !atomic_load(&v->told))
        cancelled = pirn_yield() == -ECANCELED;
    CHECK(cancelled || pirn_yield() == -ECANCELED);
    pirn_http_response_free(response);
    return 0;
}

/* Cancelled when it has just been given the place, and the connection, that it waited for. */
static int given_and_cancelled(void *arg)
{
    atomic_int connections = 0;
    struct played model = {&connections, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", false, 0,
                           0};
    struct visitor v = {open_client(&model, 1), 0};
    pirn_http_response *response;
    char byte;
    (void)arg;
    CHECK_OK(pirn_http_get(v.client, "http://x/", &response, PIRN_NEVER));
    pirn_task *task = support_spawn(visit, &v);
    support_until_waiting(task);
    CHECK_EQ(pirn_http_response_read(response, &byte, 1, PIRN_NEVER), 1);
    CHECK_OK(pirn_cancel(task, "the test"));
    atomic_store(&v.told, 1);
    CHECK_OK(support_join(task));
    CHECK_LE(atomic_load(&connections), 1);
    pirn_http_response_free(response);
    pirn_http_client_free(v.client);
    return 0;
}

START_TEST(s168_a_cancel_that_comes_with_the_place)
{
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(20); i++)
        CHECK_OK(support_run(w, given_and_cancelled, NULL));
}
END_TEST

/* ---- The server ---------------------------------------------------------------------------- */

static int read_cancelled(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char byte;
    (void)user;
    if (pirn_http_body_length(request) > 0) {
        CHECK_OK(pirn_cancel(pirn_current(), "the test"));
        CHECK_EQ(pirn_http_body_read(request, &byte, 1, PIRN_NEVER), -ECANCELED);
        pirn_uncancel();
        CHECK_EQ(pirn_http_body_read(request, &byte, 1, PIRN_NEVER), 1);
    }
    return pirn_http_reply_text(reply, 200, "read");
}

/* The reply to the first request is still here when the body of the second is read. */
static int cancelled_body(void *arg)
{
    (void)arg;
    site_byte_after_reply(read_cancelled);
    return 0;
}

START_TEST(s171_a_cancel_before_a_body_with_a_reply_at_hand)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, cancelled_body, NULL));
}
END_TEST

enum {
    MUCH = 16 << 20 /* more than sockets hold */
};

static int much_at_once(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    static const char body[MUCH];
    (void)request;
    atomic_store((atomic_int *)user, 1);
    return pirn_http_reply_bytes(reply, 200, NULL, body, sizeof body);
}

/* A client that neither sends its body nor takes the reply does not outlast the server's stop. */
static int stopped_beside_body(void *request)
{
    struct site site;
    atomic_int begun = 0;
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    config.write_time = config.grace = config.body_time = pirn_span_s(1000);
    site_new(&site, &config);
    site_route(&site, "POST", "/", much_at_once, &begun);
    site_open(&site);
    int fd = site_dial(&site);
    site_say(fd, request);
    support_until(&begun, 1);
    site_end(&site, pirn_span_ms(1));
    CHECK_OK(support_join(site.task));
    CHECK_EQ(site.stopped, -ETIMEDOUT);
    pirn_close(fd);
    pirn_http_server_release(site.server);
    return 0;
}

START_TEST(s171_a_stop_ends_who_skips_a_body)
{
    static char known[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n",
                chunked[] = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, stopped_beside_body, known));
        CHECK_OK(support_run(w, stopped_beside_body, chunked));
    }
}
END_TEST

static int serve_and_hear(void *arg)
{
    CHECK_OK(site_visit_serve(arg));
    CHECK_EQ(pirn_cancelling(NULL), 1);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_OK(pirn_yield());
    return 0;
}

/* Who serves a stream of his own and is cancelled hears of it after the connection's end. */
static int own_cancel(void *arg)
{
    struct site site;
    (void)arg;
    site_new(&site, NULL);
    struct site_visit v = site_visit_begin(&site, false);
    pirn_task *task = support_spawn(serve_and_hear, &v);
    while (pirn_http_server_connections(site.server) == 0)
        CHECK_OK(pirn_yield());
    CHECK_OK(pirn_cancel(task, "the test"));
    CHECK_OK(support_join(task));
    CHECK_OK(close(v.peer));
    site_visit_end(&v);
    return 0;
}

START_TEST(s171_a_cancel_of_who_serves_a_stream_is_the_callers)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, own_cancel, NULL));
}
END_TEST

SUPPORT_MAIN("http/cancel", s168_a_cancel_that_comes_with_the_response,
             s168_a_cancel_that_comes_with_the_place,
             s171_a_cancel_before_a_body_with_a_reply_at_hand, s171_a_stop_ends_who_skips_a_body,
             s171_a_cancel_of_who_serves_a_stream_is_the_callers)
