/* A server in the same runtime as the test, and raw talk to it. */
#ifndef PIRN_TESTS_HTTP_SITE_H
#define PIRN_TESTS_HTTP_SITE_H

#include "tests/support.h"

#include <pirn/http.h>

struct site {
    pirn_http_server *server;
    pirn_task *task;
    int port;
    pirn_span grace;     /* of the stop */
    int result, stopped; /* of pirn_http_server_serve, and of the stop that follows it */
    bool cancelled;      /* a stop that has left somebody has left a cancel, too */
    support_report report;
};

static inline int site_serve(void *arg)
{
    struct site *site = arg;
    site->result = pirn_http_server_serve(site->server);
    if (site->result == -ESHUTDOWN) /* it was closed before this task came to it */
        site->result = 0;
    site->stopped = pirn_http_server_stop(site->server, pirn_after(site->grace));
    if (site->stopped == -EBUSY) {
        int rc = pirn_http_server_wait_closed(site->server, PIRN_NEVER);
        site->cancelled = rc == -ECANCELED;
        CHECK_OK(rc != -ECANCELED ? rc : pirn_http_server_wait_closed(site->server, PIRN_NEVER));
    }
    return 0;
}

/* config may be NULL. Routes are added between the two. */
static inline void site_new(struct site *site, const pirn_http_server_config *config)
{
    static const support_report empty = SUPPORT_REPORT_INIT;
    pirn_http_server_config own = PIRN_HTTP_SERVER_CONFIG_INIT;
    site->report = empty;
    site->grace = pirn_span_s(1000);
    site->cancelled = false;
    if (config != NULL)
        own = *config;
    own.report = support_report_line;
    own.report_user = &site->report;
    CHECK_OK(pirn_http_server_new(&site->server, &own));
}

static inline void site_route(struct site *site, const char *method, const char *pattern,
                              pirn_http_handler handler, void *user)
{
    CHECK_OK(pirn_http_server_route(site->server, method, pattern, handler, user, NULL));
}

static inline void site_route_blocking(struct site *site, const char *method, const char *pattern,
                                       pirn_http_handler handler, void *user)
{
    pirn_http_route_config config = PIRN_HTTP_ROUTE_CONFIG_INIT;
    config.flags = PIRN_HTTP_BLOCKING;
    CHECK_OK(pirn_http_server_route(site->server, method, pattern, handler, user, &config));
}

static inline void site_open(struct site *site)
{
    CHECK_OK(pirn_http_server_listen(site->server, "127.0.0.1", NULL, NULL, PIRN_NEVER));
    site->port = pirn_http_server_port(site->server);
    CHECK_GE(site->port, 1);
    site->task = support_spawn_named("server", site_serve, site);
}

/* Its task stops it, with so much time for running requests. */
static inline void site_end(struct site *site, pirn_span grace)
{
    site->grace = grace;
    CHECK_OK(pirn_http_server_close(site->server));
}

static inline void site_close(struct site *site)
{
    site_end(site, pirn_span_ms(1));
    CHECK_OK(support_join(site->task));
    CHECK_OK(site->result);
    pirn_http_server_release(site->server);
}

static inline int site_dial(const struct site *site)
{
    struct sockaddr_in addr = {0};
    int fd = support_socket();
    addr.sin_family = AF_INET;
    addr.sin_port = htons((uint16_t)site->port);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_OK(pirn_connect(fd, (struct sockaddr *)&addr, sizeof addr, PIRN_NEVER));
    return fd;
}

static inline void site_say(int fd, const char *text)
{
    CHECK_EQ(pirn_send(fd, text, strlen(text), 0, PIRN_NEVER), (ssize_t)strlen(text));
}

/* All that comes until the server closes; how much. A reset counts as an end. */
static inline size_t site_hear(int fd, char *text, size_t size)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = pirn_recv(fd, text + n, size - 1 - n, 0, PIRN_NEVER);
        if (got <= 0)
            break;
        n += (size_t)got;
        CHECK_LE(n, size - 2);
    }
    text[n] = '\0';
    return n;
}

/* Until so many times the word has come. */
static inline void site_hear_words(int fd, char *text, size_t size, const char *word, int times)
{
    size_t n = 0;
    text[0] = '\0';
    for (;;) {
        int found = 0;
        for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
            found++;
        if (found >= times)
            return;
        ssize_t got = pirn_recv(fd, text + n, size - 1 - n, 0, PIRN_NEVER);
        CHECK_GE(got, 1);
        n += (size_t)got;
        text[n] = '\0';
    }
}

/* One request over a connection of its own, until that closes. */
static inline void site_ask(const struct site *site, const char *request, char *text, size_t size)
{
    int fd = site_dial(site);
    site_say(fd, request);
    site_hear(fd, text, size);
    pirn_close(fd);
}

/* Two requests over one connection; the second one's body, a byte, is sent when the first reply is
 * there. */
static inline void site_byte_after_reply(pirn_http_handler handler)
{
    char text[2048];
    struct site site;
    site_new(&site, NULL);
    site_route(&site, "*", "/", handler, NULL);
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
}

/* ---- A connection of the program's own ----------------------------------------------------- */

/* One stream that a site which is not open serves; peer is the client's end. */
struct site_visit {
    pirn_http_server *server;
    pirn_stream *stream;
    int peer;
};

/* narrow: not much can wait in it for the client. */
static inline struct site_visit site_visit_begin(const struct site *site, bool narrow)
{
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    struct site_visit v = {.server = site->server};
    int pair[2], room = 1;
    support_pair(pair);
    if (narrow) {
        CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room));
        config.high = 1000;
    }
    CHECK_OK(pirn_stream_new(&v.stream, pair[1], &config));
    v.peer = pair[0];
    return v;
}

/* In a task of its own. */
static inline int site_visit_serve(void *arg)
{
    struct site_visit *v = arg;
    return pirn_http_server_serve_stream(v->server, v->stream);
}

/* With the server. */
static inline void site_visit_end(struct site_visit *v)
{
    pirn_stream_release(v->stream);
    pirn_http_server_release(v->server);
}

#define BEGINS(text, prefix) CHECK(strncmp(text, prefix, strlen(prefix)) == 0)

#endif
