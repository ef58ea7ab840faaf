/* Messages that are odd, and some that are meant to do harm. */
#include "tests/http/rogue.h"

#include <jansson.h>

/* ---- Responses ----------------------------------------------------------------------------- */

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
        struct rogue r = {.reply = replies[i], .served = 2};
        pirn_http_client *client;
        ssize_t body = -1;
        pirn_task *task = rogue_open(&r);
        CHECK_OK(pirn_http_client_new(&client, NULL));
        for (int k = 0; k < 2; k++) {
            CHECK_GE(rogue_ask(client, &r, &body), 204);
            CHECK_EQ(body, 0);
        }
        CHECK_EQ(atomic_load(&r.connections), 1);
        pirn_http_client_free(client);
        rogue_close(&r, task);
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
    struct rogue r = {.reply = reply, .served = 1};
    pirn_http_client *client;
    ssize_t body;
    (void)arg;
    for (size_t i = 0; i < HINTS; i++)
        memcpy(reply + i * (sizeof(hint) - 1), hint, sizeof(hint));
    pirn_task *task = rogue_open(&r);
    CHECK_OK(pirn_http_client_new(&client, NULL));
    CHECK_EQ(rogue_ask(client, &r, &body), -EBADMSG);
    pirn_http_client_free(client);
    rogue_close(&r, task);
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
    struct site site;
    atomic_int late = 0;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "GET", "/", much, NULL);
    site_route(&site, "POST", "/", impatient, &late);
    struct site_visit v = site_visit_begin(&site, true);
    site_say(v.peer, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
                     "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                     "Expect: 100-continue\r\nConnection: close\r\n\r\n");
    pirn_task *task = support_spawn(site_visit_serve, &v);
    support_until(&late, 1);
    site_hear_words(v.peer, text, sizeof text, "100 Continue", 1);
    count_words(text, "200 OK", 1);
    site_say(v.peer, "x");
    site_hear(v.peer, text, sizeof text);
    count_words(text, "200 OK", 1);
    count_words(text, "100 Continue", 0);
    pirn_close(v.peer);
    CHECK_OK(support_join(task));
    site_visit_end(&v);
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
    CHECK_OK(site_visit_serve(arg));
    CHECK_EQ(pirn_cancelling(NULL), 0);
    return pirn_sleep(PIRN_NOW);
}

/* What ends the handler of a client that has gone does not end who called
 * pirn_http_server_serve_stream. */
static int own_task(void *arg)
{
    struct site site;
    atomic_int begun = 0;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "GET", "/", until_gone, &begun);
    struct site_visit v = site_visit_begin(&site, false);
    site_say(v.peer, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    pirn_task *task = support_spawn(serve_and_go_on, &v);
    support_until(&begun, 1);
    pirn_close(v.peer);
    CHECK_OK(support_join(task));
    site_visit_end(&v);
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
    (void)arg;
    site_byte_after_reply(read_byte);
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

/* ---- A limit beyond all bounds --------------------------------------------------------------- */

/* The first line comes in two parts. */
static int no_limit(void *arg)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    struct site site;
    char text[1024], target[101];
    (void)arg;
    config.max_target = SIZE_MAX;
    site_new(&site, &config);
    struct site_visit v = site_visit_begin(&site, false);
    memset(target, 'a', 100);
    target[100] = '\0';
    site_say(v.peer, "GET /");
    site_say(v.peer, target);
    pirn_task *task = support_spawn(site_visit_serve, &v);
    support_until_waiting(task);
    site_say(v.peer, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    site_hear(v.peer, text, sizeof text);
    BEGINS(text, "HTTP/1.1 404 Not Found\r\n");
    CHECK_OK(support_join(task));
    pirn_close(v.peer);
    site_visit_end(&v);
    return 0;
}

START_TEST(s171_a_target_may_be_as_long_as_the_head)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, no_limit, NULL));
}
END_TEST

SUPPORT_MAIN("http/odd", s168_what_has_no_body_has_none, s168_hints_have_an_end,
             s168_a_reply_is_heard_though_the_request_was_cut_off,
             s171_what_waits_to_be_sent_is_sent_once,
             s171_a_cancel_of_the_servers_is_not_the_callers,
             s171_a_reply_does_not_wait_for_the_next_body, s171_json_is_as_deep_as_a_stack_carries,
             s171_a_target_may_be_as_long_as_the_head)
