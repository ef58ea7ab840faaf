/* Messages that are odd, and some that are meant to do harm. */
#include "tests/http/site.h"

#include <jansson.h>

/* ---- Responses ----------------------------------------------------------------------------- */

struct oddity {
    int listener;
    const char *reply; /* to each request */
};

static int answer(void *arg)
{
    const struct oddity *o = arg;
    char request[2048];
    int fd = pirn_accept(o->listener, NULL, NULL, 0, PIRN_NEVER);
    CHECK_GE(fd, 0);
    for (;;) {
        size_t n = 0;
        do {
            ssize_t got = pirn_recv(fd, request + n, sizeof request - 1 - n, 0, PIRN_NEVER);
            if (got <= 0)
                return pirn_close(fd);
            n += (size_t)got;
            request[n] = '\0';
        } while (strstr(request, "\r\n\r\n") == NULL);
        site_say(fd, o->reply);
    }
}

/* RFC 9112, 6.3: these have no body, whatever lengths they speak of. */
static int no_body(void *arg)
{
    static const char *const replies[] = {
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 500\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 500\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n",
    };
    (void)arg;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct sockaddr_in addr;
        struct oddity o = {support_listen(&addr, 16), replies[i]};
        pirn_http_client *client;
        pirn_task *task = support_spawn(answer, &o);
        char url[64];
        snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(addr.sin_port));
        CHECK_OK(pirn_http_client_new(&client, NULL));
        for (int k = 0; k < 2; k++) { /* over one connection: there is one accept */
            pirn_http_response *response;
            char byte;
            CHECK_OK(pirn_http_get(client, url, &response, PIRN_NEVER));
            CHECK_EQ(pirn_http_response_read(response, &byte, 1, PIRN_NEVER), 0);
            pirn_http_response_free(response);
        }
        pirn_http_client_free(client);
        CHECK_OK(support_join(task));
        pirn_close(o.listener);
    }
    return 0;
}

/* A server that never comes to its reply. */
static int hints_for_ever(void *arg)
{
    enum {
        HINTS = 200
    };
    static const char hint[] = "HTTP/1.1 103 Early Hints\r\n\r\n";
    static char reply[HINTS * sizeof(hint)];
    struct sockaddr_in addr;
    struct oddity o = {support_listen(&addr, 16), reply};
    pirn_http_client *client;
    pirn_http_response *response;
    char url[64];
    (void)arg;
    for (size_t i = 0; i < HINTS; i++)
        memcpy(reply + i * (sizeof(hint) - 1), hint, sizeof(hint));
    pirn_task *task = support_spawn(answer, &o);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", ntohs(addr.sin_port));
    CHECK_OK(pirn_http_client_new(&client, NULL));
    CHECK_EQ(pirn_http_get(client, url, &response, PIRN_NEVER), -EBADMSG);
    pirn_http_client_free(client);
    CHECK_OK(support_join(task));
    pirn_close(o.listener);
    return 0;
}

START_TEST(s168_hints_have_an_end)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, hints_for_ever, NULL));
}
END_TEST

START_TEST(s168_what_has_no_body_has_none)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, no_body, NULL));
}
END_TEST

/* ---- Sends that fail, or have to wait -------------------------------------------------------- */

static int refuse_and_close(void *arg)
{
    int fd = *(int *)arg;
    char text[2048];
    site_hear_words(fd, text, sizeof text, "\r\n\r\n", 1);
    site_say(fd, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    return pirn_close(fd);
}

static int connect_to(void *user, pirn_stream **ret_stream, const char *scheme, const char *host,
                      uint16_t port, pirn_time deadline)
{
    (void)scheme, (void)host, (void)port, (void)deadline;
    return pirn_stream_new(ret_stream, *(int *)user, NULL);
}

/* The server has replied, and gone, before it has heard it all. */
static int early_reply(void *arg)
{
    enum {
        MUCH = 4 << 20
    };
    char *much = calloc(1, MUCH), *body;
    pirn_http_client *client;
    pirn_http_client_config config = PIRN_HTTP_CLIENT_CONFIG_INIT;
    pirn_http_response *response;
    int pair[2];
    (void)arg;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    config.connect = connect_to;
    config.connect_user = &pair[1];
    CHECK_OK(pirn_http_client_new(&client, &config));
    pirn_task *task = support_spawn(refuse_and_close, &pair[0]);
    CHECK_OK(pirn_http_post(client, "http://x/", NULL, much, MUCH, &response, PIRN_NEVER));
    CHECK_EQ(pirn_http_response_status(response), 413);
    CHECK_EQ(pirn_http_response_all(response, &body, 10, PIRN_NEVER), 2);
    free(body);
    pirn_http_response_free(response);
    pirn_http_client_free(client);
    CHECK_OK(support_join(task));
    free(much);
    return 0;
}

START_TEST(s168_a_reply_is_heard_though_the_request_was_cut_off)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, early_reply, NULL));
}
END_TEST

static int much(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    static char text[50000];
    (void)request;
    (void)user;
    memset(text, 'a', sizeof text - 1);
    return pirn_http_reply_text(reply, 200, text);
}

static int impatient(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    atomic_int *late = user;
    char byte;
    CHECK_EQ(pirn_http_body_read(request, &byte, 1, PIRN_NOW), -ETIMEDOUT);
    atomic_store(late, 1);
    CHECK_EQ(pirn_http_body_read(request, &byte, 1, PIRN_NEVER), 1);
    return pirn_http_reply_text(reply, 200, "done");
}

struct visit {
    struct site site;
    pirn_stream *stream;
};

static int serve_stream(void *arg)
{
    struct visit *v = arg;
    return pirn_http_server_serve_stream(v->site.server, v->stream);
}

static void count_words(const char *text, const char *word, int times)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        found++;
    CHECK_EQ(found, times);
}

/* Replies that wait for a client to take them, when a handler's deadline comes: they go once. */
static int sent_once(void *arg)
{
    static char text[100000];
    struct visit v;
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    atomic_int late = 0;
    int pair[2], room = 1;
    (void)arg;
    site_new(&v.site, NULL);
    site_route(&v.site, "GET", "/", much, NULL);
    site_route(&v.site, "POST", "/", impatient, &late);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room));
    config.high = 1000;
    CHECK_OK(pirn_stream_new(&v.stream, pair[1], &config));
    site_say(pair[0], "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
                      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                      "Expect: 100-continue\r\nConnection: close\r\n\r\n");
    pirn_task *task = support_spawn(serve_stream, &v);
    support_until(&late, 1);
    site_hear_words(pair[0], text, sizeof text, "100 Continue", 1);
    count_words(text, "200 OK", 1);
    site_say(pair[0], "x");
    site_hear(pair[0], text, sizeof text);
    count_words(text, "200 OK", 1);
    count_words(text, "100 Continue", 0);
    pirn_close(pair[0]);
    CHECK_OK(support_join(task));
    pirn_stream_release(v.stream);
    pirn_http_server_release(v.site.server);
    return 0;
}

START_TEST(s171_what_waits_to_be_sent_is_sent_once)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, sent_once, NULL));
}
END_TEST

/* Does not hear of its cancel. */
static int until_gone(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)reply;
    atomic_store((atomic_int *)user, 1);
    CHECK_OK(pirn_shield_enter());
    while (!pirn_http_disconnected(request))
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_OK(pirn_shield_leave());
    return 0;
}

static int serve_and_go_on(void *arg)
{
    CHECK_OK(serve_stream(arg));
    CHECK_EQ(pirn_cancelling(NULL), 0);
    return pirn_sleep(PIRN_NOW);
}

/* What ends the handler of a client that has gone does not end who called pirn_http_server_serve_stream. */
static int own_task(void *arg)
{
    struct visit v;
    atomic_int begun = 0;
    int pair[2];
    (void)arg;
    site_new(&v.site, NULL);
    site_route(&v.site, "GET", "/", until_gone, &begun);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    CHECK_OK(pirn_stream_new(&v.stream, pair[1], NULL));
    site_say(pair[0], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    pirn_task *task = support_spawn(serve_and_go_on, &v);
    support_until(&begun, 1);
    pirn_close(pair[0]);
    CHECK_OK(support_join(task));
    pirn_stream_release(v.stream);
    pirn_http_server_release(v.site.server);
    return 0;
}

START_TEST(s171_a_cancel_of_the_servers_is_not_the_callers)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, own_task, NULL));
}
END_TEST

static int read_byte(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char byte;
    ssize_t n = pirn_http_body_read(request, &byte, 1, PIRN_NEVER);
    (void)user;
    return n < 0 ? (int)n : pirn_http_reply_text(reply, 200, "read");
}

/* The reply to the first may be what the body of the second hangs on. */
static int in_turn(void *arg)
{
    char text[2048];
    struct site site;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "*", "/", read_byte, NULL);
    site_open(&site);
    int fd = site_dial(&site);
    site_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
                 "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\n");
    site_hear_words(fd, text, sizeof text, "200 OK", 1);
    site_say(fd, "x");
    site_hear(fd, text, sizeof text);
    CHECK(strstr(text, "200 OK") != NULL);
    pirn_close(fd);
    site_close(&site);
    return 0;
}

START_TEST(s171_a_reply_does_not_wait_for_the_next_body)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, in_turn, NULL));
}
END_TEST

/* ---- JSON ---------------------------------------------------------------------------------- */

/* Sends it back, inside as many more arrays as the user says. */
static int wrap_json(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    const int *more = user;
    json_t *json;
    int err = pirn_http_body_json(request, &json, 1 << 20, PIRN_NEVER);
    for (int i = 0; err == 0 && i < *more; i++)
        json = json_pack("[o]", json);
    if (err == 0) {
        err = pirn_http_reply_json(reply, 200, json);
        json_decref(json);
    }
    return err;
}

static int ask_json(const struct site *site, pirn_http_client *client, const char *path,
                    const char *text)
{
    pirn_http_response *response;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", site->port, path);
    CHECK_OK(pirn_http_post(client, url, NULL, text, strlen(text), &response, PIRN_NEVER));
    int status = pirn_http_response_status(response);
    pirn_http_response_free(response);
    return status;
}

static const char *nested(char *text, size_t depth)
{
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
    return text;
}

/* On a coroutine's stack of the usual size. */
static int deep_json(void *arg)
{
    static char text[100001];
    int none = 0, some = 36, many = 37;
    struct site site;
    pirn_http_client *client;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "POST", "/", wrap_json, &none);
    site_route(&site, "POST", "/some", wrap_json, &some);
    site_route(&site, "POST", "/many", wrap_json, &many);
    site_open(&site);
    CHECK_OK(pirn_http_client_new(&client, NULL));
    CHECK_EQ(ask_json(&site, client, "/", nested(text, 64)), 200);
    CHECK_EQ(ask_json(&site, client, "/some", text), 200);
    CHECK_EQ(ask_json(&site, client, "/many", text), 400);
    CHECK_EQ(ask_json(&site, client, "/", nested(text, 65)), 400);
    CHECK_EQ(ask_json(&site, client, "/", nested(text, 2000)), 400);
    CHECK_EQ(ask_json(&site, client, "/", nested(text, 50000)), 400);
    text[50000] = '\0'; /* they are opened, and that is all */
    CHECK_EQ(ask_json(&site, client, "/", text), 400);
    memcpy(text, "[\"\\\"", 4); /* in a string they are none */
    strcpy(text + 2000, "\"]");
    CHECK_EQ(ask_json(&site, client, "/", text), 200);
    pirn_http_client_free(client);
    site_close(&site);
    return 0;
}

START_TEST(s171_json_is_as_deep_as_a_stack_carries)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, deep_json, NULL));
}
END_TEST

SUPPORT_MAIN("http/odd", s168_what_has_no_body_has_none, s168_hints_have_an_end,
             s168_a_reply_is_heard_though_the_request_was_cut_off,
             s171_what_waits_to_be_sent_is_sent_once,
             s171_a_cancel_of_the_servers_is_not_the_callers,
             s171_a_reply_does_not_wait_for_the_next_body, s171_json_is_as_deep_as_a_stack_carries)
