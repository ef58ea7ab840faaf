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
            pirn_http_response_release(response);
        }
        pirn_http_client_free(client);
        CHECK_OK(support_join(task));
        pirn_close(o.listener);
    }
    return 0;
}

START_TEST(s168_what_has_no_body_has_none)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, no_body, NULL));
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
    pirn_http_response_release(response);
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

SUPPORT_MAIN("http/odd", s168_what_has_no_body_has_none, s171_json_is_as_deep_as_a_stack_carries)
