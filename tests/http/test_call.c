/* Calls of the client that end otherwise, its limits, its own connections; JSON; blocking
 * handlers. */
#include "api/http/server.h"
#include "tests/http/site.h"

#include <jansson.h>

static atomic_int begun, ended;

static int never(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)reply;
    (void)user;
    atomic_fetch_add(&begun, 1);
    int rc = pirn_sleep(PIRN_NEVER);
    atomic_fetch_add(&ended, 1);
    return rc;
}

static int half(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)user;
    CHECK_OK(pirn_http_reply_begin(reply, 200, NULL, 10));
    CHECK_EQ(pirn_http_reply_write(reply, "hello", 5, PIRN_NEVER), 5);
    return pirn_sleep(PIRN_NEVER);
}

static int short_answer(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)user;
    return pirn_http_reply_text(reply, 200, "ok");
}

/* {"a": n} becomes {"b": n + 1}. */
static int count_up(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    json_t *json, *answer;
    json_int_t n;
    int rc = pirn_http_body_json(request, &json, 1000, PIRN_NEVER);
    (void)user;
    if (rc < 0)
        return rc;
    rc = json_unpack(json, "{s:I}", "a", &n);
    json_decref(json);
    if (rc < 0)
        return pirn_http_reply_text(reply, 422, "a number is missing");
    answer = json_pack("{s:I}", "b", n + 1);
    rc = pirn_http_reply_json(reply, 201, answer);
    json_decref(answer);
    return rc;
}

/* On a thread: has its body already, and replies in pieces, which go when it returns. */
static int blocking(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    static const char big[20000];
    char *body;
    CHECK(pirn_current() == NULL);
    CHECK(user == &begun);
    ssize_t n = pirn_http_body_all(request, &body, 100, PIRN_NEVER);
    if (n < 0)
        return (int)n;
    CHECK_OK(pirn_http_reply_begin(reply, 200, "text/plain", -1));
    CHECK_EQ(pirn_http_reply_write(reply, body, (size_t)n, PIRN_NEVER), n);
    CHECK_EQ(pirn_http_reply_write(reply, big, sizeof big, PIRN_NEVER), (ssize_t)sizeof big);
    free(body);
    return 0;
}

static void open_site(struct site *site)
{
    site_new(site, NULL);
    site_route(site, "GET", "/never", never, NULL);
    site_route(site, "GET", "/half", half, NULL);
    site_route(site, "GET", "/short", short_answer, NULL);
    site_route(site, "POST", "/count", count_up, NULL);
    site_route_blocking(site, "POST", "/block", blocking, &begun);
    site_open(site);
}

static char *url_of(char url[64], const struct site *site, const char *path)
{
    snprintf(url, 64, "http://127.0.0.1:%d%s", site->port, path);
    return url;
}

static int get_short(pirn_http_client *client, const struct site *site)
{
    pirn_http_response *response;
    char url[64], *body;
    int rc = pirn_http_get(client, url_of(url, site, "/short"), &response, PIRN_NEVER);
    if (rc < 0)
        return rc;
    CHECK_EQ(pirn_http_response_all(response, &body, 10, PIRN_NEVER), 2);
    CHECK(strcmp(body, "ok") == 0);
    free(body);
    pirn_http_response_free(response);
    return 0;
}

struct call {
    pirn_http_client *client;
    char url[64];
};

static int get(void *arg)
{
    struct call *call = arg;
    pirn_http_response *response;
    int rc = pirn_http_get(call->client, call->url, &response, PIRN_NEVER);
    if (rc == 0)
        pirn_http_response_free(response);
    return rc;
}

static int given_up(void *arg)
{
    struct site site;
    struct call call;
    pirn_http_client *client;
    pirn_http_response *response;
    pirn_http_client_config config = PIRN_HTTP_CLIENT_CONFIG_INIT;
    char url[64], *body;
    (void)arg;
    atomic_store(&begun, 0);
    atomic_store(&ended, 0);
    config.max_per_host = 1;
    open_site(&site);
    CHECK_OK(pirn_http_client_new(&client, &config));

    /* By its deadline, and by a cancel: the server hears of it, and the connection's place is
     * free. */
    CHECK_EQ(pirn_http_get(client, url_of(url, &site, "/never"), &response, pirn_after_ms(20)),
             -ETIMEDOUT);
    call.client = client;
    url_of(call.url, &site, "/never");
    int before = atomic_load(&begun); /* the first may not have come so far */
    pirn_task *task = support_spawn(get, &call);
    support_until(&begun, before + 1);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    CHECK_OK(get_short(client, &site));
    support_until(&ended, atomic_load(&begun));

    /* In the middle of a body, which can be gone on with; the place is taken meanwhile. */
    CHECK_OK(pirn_http_get(client, url_of(url, &site, "/half"), &response, PIRN_NEVER));
    char part[5];
    for (size_t n = 0; n < sizeof part;) {
        ssize_t got = pirn_http_response_read(response, part + n, sizeof part - n, PIRN_NEVER);
        CHECK_GE(got, 1);
        n += (size_t)got;
    }
    CHECK(memcmp(part, "hello", 5) == 0);
    CHECK_EQ(pirn_http_response_read(response, part, 5, pirn_after_ms(5)), -ETIMEDOUT);
    CHECK_EQ(pirn_http_response_all(response, &body, 100, pirn_after_ms(5)), -ETIMEDOUT);
    pirn_http_response *second;
    CHECK_EQ(pirn_http_get(client, url_of(url, &site, "/short"), &second, pirn_after_ms(5)),
             -ETIMEDOUT);
    pirn_http_response_free(response);
    CHECK_OK(get_short(client, &site));
    pirn_http_client_free(client);
    site_close(&site);
    return 0;
}

START_TEST(s168_a_call_that_is_given_up)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, given_up, NULL));
}
END_TEST

/* ---- Connections that are kept, or not ----------------------------------------------------- */

struct dialer {
    struct site *site;
    int dialed;
};

static int dial(void *user, pirn_stream **ret_stream, const char *scheme, const char *host,
                uint16_t port, pirn_time deadline)
{
    struct dialer *d = user;
    (void)deadline;
    CHECK(strcmp(scheme, "https") == 0 && strcmp(host, "somewhere") == 0);
    CHECK_EQ(port, 443);
    d->dialed++;
    return pirn_stream_new(ret_stream, site_dial(d->site), NULL);
}

static int kept(void *arg)
{
    static const struct {
        int max_idle;
        int64_t idle_ns;
        int dialed; /* for three calls, each of which waits until the one before it is too old */
    } cases[] = {{0, 0, 1}, {-1, 0, 3}, {0, 1, 3}};
    (void)arg;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pirn_http_client_config config = PIRN_HTTP_CLIENT_CONFIG_INIT;
        struct site site;
        struct dialer dialer = {&site, 0};
        pirn_http_client *client;
        pirn_http_response *response;
        open_site(&site);
        config.max_idle = cases[i].max_idle;
        config.idle_time.ns = cases[i].idle_ns;
        config.connect = dial;
        config.connect_user = &dialer;
        CHECK_OK(pirn_http_client_new(&client, &config));
        for (int call = 0; call < 3; call++) {
            char *body;
            CHECK_OK(pirn_http_get(client, "https://Somewhere/short", &response, PIRN_NEVER));
            CHECK_EQ(pirn_http_response_all(response, &body, 100, PIRN_NEVER), 2);
            free(body);
            pirn_http_response_free(response);
        }
        CHECK_EQ(dialer.dialed, cases[i].dialed);
        pirn_http_client_free(client);
        site_close(&site);
    }
    return 0;
}

START_TEST(s168_connections_are_kept_as_long_as_they_should)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, kept, NULL));
}
END_TEST

/* ---- JSON, blocking handlers --------------------------------------------------------------- */

static int post(pirn_http_client *client, const struct site *site, const char *path,
                const char *text, json_t **ret_json)
{
    pirn_http_response *response;
    char url[64];
    CHECK_OK(pirn_http_post(client, url_of(url, site, path), "application/json", text, strlen(text),
                            &response, PIRN_NEVER));
    int status = pirn_http_response_status(response);
    int rc = pirn_http_response_json(response, ret_json, 1000, PIRN_NEVER);
    if (rc < 0)
        *ret_json = NULL;
    pirn_http_response_free(response);
    return status;
}

static int json(void *arg)
{
    struct site site;
    pirn_http_client *client;
    pirn_http_response *response;
    json_t *answer;
    json_int_t n;
    char url[64], *body;
    (void)arg;
    open_site(&site);
    CHECK_OK(pirn_http_client_new(&client, NULL));
    CHECK_EQ(post(client, &site, "/count", "{\"a\": 41}", &answer), 201);
    CHECK_OK(json_unpack(answer, "{s:I}", "b", &n));
    CHECK_EQ(n, 42);
    json_decref(answer);
    CHECK_EQ(post(client, &site, "/count", "{\"a\": ", &answer), 400);
    CHECK(answer == NULL);
    CHECK_EQ(post(client, &site, "/count", "[]", &answer), 422);
    CHECK_EQ(post(client, &site, "/count", "", &answer), 400);

    CHECK_OK(pirn_http_post(client, url_of(url, &site, "/block"), NULL, "abc", 3, &response,
                            PIRN_NEVER));
    CHECK_EQ(pirn_http_response_status(response), 200);
    CHECK_EQ(pirn_http_response_all(response, &body, 100000, PIRN_NEVER), 20003);
    CHECK(memcmp(body, "abc", 3) == 0 && body[3] == 0 && body[20002] == 0);
    free(body);
    pirn_http_response_free(response);
    pirn_http_client_free(client);
    site_close(&site);
    return 0;
}

START_TEST(s171_json_and_blocking_handlers)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, json, NULL));
}
END_TEST

/* ---- Connections of the server's that are not its own, or too many ------------------------- */

struct visit {
    struct site *site;
    int fd;
};

static int serve_pair(void *arg)
{
    struct visit *visit = arg;
    pirn_stream *stream;
    CHECK_OK(pirn_stream_new(&stream, visit->fd, NULL));
    int rc = pirn_http_server_serve_stream(visit->site->server, stream);
    CHECK(pirn_stream_is_closing(stream));
    pirn_stream_release(stream);
    return rc;
}

static int own_stream(void *arg)
{
    struct site site;
    int pair[2];
    char text[1024];
    (void)arg;
    open_site(&site);
    support_pair(pair);
    struct visit visit = {&site, pair[0]};
    pirn_task *task = support_spawn(serve_pair, &visit);
    site_say(pair[1], "GET /short HTTP/1.1\r\nHost: x\r\n\r\n"
                      "GET /short HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    site_hear(pair[1], text, sizeof text);
    CHECK(strstr(strstr(text, "\r\n\r\nok") + 1, "\r\n\r\nok") != NULL);
    pirn_close(pair[1]);
    CHECK_OK(support_join(task));
    site_close(&site);
    return 0;
}

START_TEST(s171_a_stream_of_the_programs)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, own_stream, NULL));
}
END_TEST

/* In place of TLS; refuses the first. */
static int open_own(void *user, pirn_stream **ret_stream, pirn_stream *below, pirn_time deadline)
{
    atomic_int *opened = user;
    CHECK_GE(deadline.ns, pirn_now().ns);
    if (atomic_fetch_add(opened, 1) == 0)
        return -EPROTO;
    *ret_stream = below;
    return 0;
}

static int one_at_a_time(void *arg)
{
    struct site site;
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    char text[1024];
    (void)arg;
    atomic_int opened = 0;
    config.max_connections = 1;
    config.open = open_own;
    config.open_user = &opened;
    site_new(&site, &config);
    site_route(&site, "GET", "/short", short_answer, NULL);
    site_open(&site);
    site_ask(&site, "GET /short HTTP/1.1\r\nHost: x\r\n\r\n", text, sizeof text);
    CHECK_EQ(text[0], '\0');
    int first = site_dial(&site), second = site_dial(&site);
    site_say(first, "GET /short HTTP/1.1\r\nHost: x\r\n\r\n");
    site_hear_words(first, text, sizeof text, "ok", 1);
    site_say(second, "GET /short HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_EQ(pirn_recv(second, text, sizeof text, 0, pirn_after_ms(20)), -ETIMEDOUT);
    pirn_close(first);
    site_hear_words(second, text, sizeof text, "ok", 1);
    pirn_close(second);
    site_close(&site);
    return 0;
}

START_TEST(s171_more_connections_wait)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, one_at_a_time, NULL));
}
END_TEST

SUPPORT_MAIN("http/call", s171_a_stream_of_the_programs, s171_more_connections_wait,
             s168_a_call_that_is_given_up, s168_connections_are_kept_as_long_as_they_should,
             s171_json_and_blocking_handlers)
