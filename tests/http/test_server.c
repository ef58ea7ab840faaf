/* The server: routes, replies of each kind, bodies, keep-alive and pipelining. */
#include "tests/http/site.h"

#include <jansson.h>

static int hello(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    json_t *json = json_pack("{s:s}", "Hello", "World");
    int err = pirn_http_reply_json(reply, 200, json);
    (void)request;
    (void)user;
    json_decref(json);
    return err;
}

static int echo(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char *body;
    ssize_t n = pirn_http_body_all(request, &body, 1 << 20, PIRN_NEVER);
    (void)user;
    if (n < 0)
        return (int)n;
    int err = pirn_http_reply_bytes(reply, 200, "application/octet-stream", body, (size_t)n);
    free(body);
    return err;
}

static int ignore(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)user;
    return pirn_http_reply_text(reply, 200, "ignored");
}

static int pieces(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    const char *length = pirn_http_query(request, "length");
    (void)user;
    CHECK_EQ(pirn_http_reply_write(reply, "x", 1, PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_http_reply_header(reply, "X-Kind", "pieces"));
    CHECK_OK(pirn_http_reply_begin(reply, 200, "text/plain", length != NULL ? atoi(length) : -1));
    CHECK_EQ(pirn_http_reply_header(reply, "A", "b"), -EALREADY);
    CHECK_EQ(pirn_http_reply_text(reply, 200, "b"), -EALREADY);
    for (int i = 0; i < 3; i++) {
        ssize_t n = pirn_http_reply_write(reply, "piece", 5, PIRN_NEVER);
        if (n < 0)
            return (int)n;
        CHECK_EQ(n, 5);
    }
    return 0;
}

static int failing(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    CHECK_OK(pirn_http_reply_header(reply, "Date", "Sun, 06 Nov 1994 08:49:37 GMT"));
    if (user != NULL)
        CHECK_OK(pirn_http_reply_begin(reply, 200, NULL, -1));
    return -EIO;
}

static int inspect(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    const char *name, *value;
    char text[512];
    (void)user;
    CHECK_EQ(pirn_http_reply_header(reply, "X", "a\r\nSet-Cookie: b"), -EINVAL);
    CHECK_EQ(pirn_http_reply_header(reply, "X\r\n", "a"), -EINVAL);
    CHECK_EQ(pirn_http_reply_header(reply, "Content-Length", "3"), -EINVAL);
    CHECK_EQ(pirn_http_reply_header(reply, "transfer-encoding", "chunked"), -EINVAL);
    CHECK_EQ(pirn_http_reply_bytes(reply, 200, "a\r\nb", "x", 1), -EINVAL);
    CHECK_EQ(pirn_http_reply_text(reply, 199, "x"), -EINVAL);
    if (strncmp(pirn_http_target(request), "http://x/", 9) == 0)
        CHECK(strcmp(pirn_http_header(request, "host"), "x") == 0);
    CHECK_OK(pirn_http_header_at(request, 0, &name, &value));
    CHECK_EQ(pirn_http_header_at(request, 99, &name, &value), -ENOENT);
    snprintf(text, sizeof text, "%s|%s|%s|%s|%s|%s|%s:%s", pirn_http_method(request),
             pirn_http_target(request), pirn_http_path(request), pirn_http_param(request, "rest"),
             pirn_http_query(request, "a"), pirn_http_query(request, "none") == NULL ? "-" : "?",
             name, value);
    return pirn_http_reply_text(reply, 200, text);
}

static int talk(void *arg)
{
    struct site site;
    static char text[65536];
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "GET", "/", hello, NULL);
    site_route(&site, "POST", "/echo", echo, NULL);
    site_route(&site, "POST", "/ignore", ignore, NULL);
    site_route(&site, "GET", "/pieces", pieces, NULL);
    site_route(&site, "GET", "/fail", failing, NULL);
    site_route(&site, "GET", "/break", failing, &site);
    site_route(&site, "GET", "/inspect/{rest...}", inspect, NULL);
    site_open(&site);

    /* Whole replies; HEAD; what there is no route for. */
    site_ask(&site, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", text, sizeof text);
    BEGINS(text, "HTTP/1.1 200 OK\r\nDate: ");
    CHECK(strstr(text, "\r\nContent-Type: application/json\r\n") != NULL);
    CHECK(
        strstr(text, "\r\nContent-Length: 17\r\nConnection: close\r\n\r\n{\"Hello\":\"World\"}") !=
        NULL);
    site_ask(&site, "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", text, sizeof text);
    CHECK(strstr(text, "\r\nContent-Length: 17\r\nConnection: close\r\n\r\n") != NULL);
    CHECK(strstr(text, "Hello") == NULL);
    site_ask(&site, "GET /none HTTP/1.0\r\n\r\n", text, sizeof text);
    BEGINS(text, "HTTP/1.1 404 Not Found\r\n");
    site_ask(&site, "PUT /echo HTTP/1.0\r\n\r\n", text, sizeof text);
    BEGINS(text, "HTTP/1.1 405 Method Not Allowed\r\n");
    CHECK(strstr(text, "\r\nAllow: POST\r\n") != NULL);
    site_ask(&site, "GET /inspect/a%20b/c?a=%31+2&a=3 HTTP/1.0\r\nHost: y\r\n\r\n", text,
             sizeof text);
    CHECK(strstr(text,
                 "\r\n\r\nGET|/inspect/a%20b/c?a=%31+2&a=3|/inspect/a%20b/c|a b/c|1 2|-|Host:y") !=
          NULL);
    site_ask(&site, "GET http://x/inspect/z?a=b HTTP/1.0\r\nA: b\r\n\r\n", text, sizeof text);
    CHECK(strstr(text, "\r\n\r\nGET|http://x/inspect/z?a=b|/inspect/z|z|b|-|A:b") != NULL);

    site_ask(&site,
             "GET HTTPS://x:8/inspect/%7A?a=b HTTP/1.1\r\nHOST: y\r\nConnection: close\r\n\r\n",
             text, sizeof text); /* the target's host is what counts */
    CHECK(strstr(text, "|/inspect/%7A|z|b|-|HOST:x:8") != NULL);
    site_ask(&site, "GET http://a@x/inspect/z HTTP/1.0\r\nHost: x\r\n\r\n", text, sizeof text);
    BEGINS(text, "HTTP/1.1 400 Bad Request\r\n"); /* one that no Host may be, either */
    site_ask(&site, "GET http:///inspect/z HTTP/1.0\r\n\r\n", text, sizeof text);
    BEGINS(text, "HTTP/1.1 400 Bad Request\r\n"); /* of no host */
    site_ask(&site, "GET /inspect/z#y HTTP/1.0\r\n\r\n", text, sizeof text);
    BEGINS(text, "HTTP/1.1 400 Bad Request\r\n");

    /* Handlers that fail: before they replied, and after. */
    site_ask(&site, "GET /fail HTTP/1.0\r\n\r\n", text, sizeof text);
    BEGINS(text, "HTTP/1.1 500 Internal Server Error\r\nDate: "); /* not the handler's headers */
    site_ask(&site, "GET /break HTTP/1.1\r\nHost: x\r\n\r\n", text, sizeof text);
    CHECK(strstr(text, "0\r\n\r\n") == NULL); /* it does not look complete */
    CHECK_EQ(support_reported(&site.report, "/fail"), 1);
    CHECK_EQ(support_reported(&site.report, "/break"), 1);

    /* In pieces: chunked, with a length, for an old client, and too short or long. */
    site_ask(&site, "GET /pieces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", text,
             sizeof text);
    CHECK(strstr(text, "\r\nX-Kind: pieces\r\nTransfer-Encoding: chunked\r\n") != NULL);
    CHECK(strstr(text, "\r\n\r\n5\r\npiece\r\n5\r\npiece\r\n5\r\npiece\r\n0\r\n\r\n") != NULL);
    site_ask(&site, "GET /pieces?length=15 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", text,
             sizeof text);
    CHECK(strstr(text, "\r\nContent-Length: 15\r\n") != NULL);
    CHECK(strstr(text, "\r\n\r\npiecepiecepiece") != NULL);
    site_ask(&site, "GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", text, sizeof text);
    CHECK(strstr(text, "\r\nConnection: close\r\n\r\npiecepiecepiece") != NULL);
    site_ask(&site, "GET /pieces?length=16 HTTP/1.1\r\nHost: x\r\n\r\n", text, sizeof text);
    CHECK(strstr(text, "piecepiecepiece") != NULL);
    site_ask(&site, "GET /pieces?length=14 HTTP/1.1\r\nHost: x\r\n\r\n", text, sizeof text);
    CHECK(strstr(text, "piecepiecepiece") == NULL);

    /* Bodies. */
    site_ask(&site, "POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", text, sizeof text);
    CHECK(strstr(text, "\r\n\r\nhello") != NULL);
    site_ask(
        &site,
        "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        text, sizeof text);
    CHECK(strstr(text, "\r\n\r\nhello") != NULL);
    site_ask(&site,
             "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
             text, sizeof text);
    BEGINS(text, "HTTP/1.1 400 Bad Request\r\n");

    /* One connection, pipelined: replies in order, bodies that nobody reads skipped. */
    int fd = site_dial(&site);
    site_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
                 "POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                 "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                 "GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n"
                 "GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                 "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    site_hear(fd, text, sizeof text);
    pirn_close(fd);
    const char *at = text;
    static const char *in_order[] = {"World", "ignored", "abc", "piece", "404"};
    for (size_t i = 0; i < sizeof in_order / sizeof in_order[0]; i++) {
        at = strstr(at, in_order[i]);
        CHECK(at != NULL);
    }
    CHECK(strstr(at, "World") == NULL); /* what follows a close is not answered */

    /* Asked for its body before it is sent. */
    fd = site_dial(&site);
    site_say(fd,
             "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    site_hear_words(fd, text, sizeof text, "\r\n\r\n", 1);
    CHECK(strcmp(text, "HTTP/1.1 100 Continue\r\n\r\n") == 0);
    site_say(fd, "ok");
    site_hear_words(fd, text, sizeof text, "ok", 1);
    site_say(
        fd,
        "POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    site_hear(fd, text, sizeof text); /* not asked for: it cannot be known what comes next */
    CHECK(strstr(text, "Connection: close\r\n\r\nignored") != NULL);
    pirn_close(fd);

    site_close(&site);
    return 0;
}

START_TEST(s171_routes_replies_bodies_and_pipelining)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, talk, NULL));
}
END_TEST

SUPPORT_MAIN("http/server", s171_routes_replies_bodies_and_pipelining)
