/* What one server's limits are to one route, one client, one reply. */
#include "tests/http/site.h"

static int count(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char buf[4096], text[32];
    ssize_t n, all = 0;
    (void)user;
    while ((n = pirn_http_body_read(request, buf, sizeof buf, PIRN_NEVER)) > 0)
        all += n;
    if (n < 0)
        return (int)n;
    snprintf(text, sizeof text, "%zd", all);
    return pirn_http_reply_text(reply, 200, text);
}

/* ---- Bodies, by route ------------------------------------------------------------------------- */

/* A POST of so many bytes, whole or as one chunk, over a connection of its own. */
static void post(const struct site *site, const char *path, size_t n, bool chunked, char *text,
                 size_t size)
{
    static char ask[20000];
    char *at = ask;
    at += sprintf(at, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", path);
    at += sprintf(
        at, chunked ? "Transfer-Encoding: chunked\r\n\r\n%zx\r\n" : "Content-Length: %zu\r\n\r\n",
        n);
    memset(at, 'a', n);
    strcpy(at + n, chunked ? "\r\n0\r\n\r\n" : "");
    site_ask(site, ask, text, size);
}

static int by_route(void *arg)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    pirn_http_route_config route = PIRN_HTTP_ROUTE_CONFIG_INIT;
    struct site site;
    char text[1024];
    (void)arg;
    config.max_body = 1000;
    site_new(&site, &config);
    site_route(&site, "POST", "/plain", count, NULL);
    route.max_body = 10000;
    CHECK_OK(pirn_http_server_route(site.server, "POST", "/more", count, NULL, &route));
    route.max_body = 10;
    CHECK_OK(pirn_http_server_route(site.server, "POST", "/less", count, NULL, &route));
    route.max_body = -1;
    CHECK_OK(pirn_http_server_route(site.server, "POST", "/any", count, NULL, &route));
    route.max_body = -2;
    CHECK_EQ(pirn_http_server_route(site.server, "POST", "/e", count, NULL, &route), -EINVAL);
    route.max_body = 0;
    route.size--;
    CHECK_EQ(pirn_http_server_route(site.server, "POST", "/e", count, NULL, &route), -EINVAL);
    site_open(&site);
    static const struct {
        const char *path;
        size_t most; /* 0: any */
    } cases[] = {{"/plain", 1000}, {"/more", 10000}, {"/less", 10}, {"/any", 0}, {"/none", 1000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool known = strcmp(cases[i].path, "/none") != 0;
        for (int chunked = 0; chunked < 2; chunked++) {
            size_t most = cases[i].most != 0 ? cases[i].most : 15000;
            post(&site, cases[i].path, most, chunked, text, sizeof text);
            BEGINS(text, known ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 404 Not Found\r\n");
            if (cases[i].most == 0 || (!known && chunked))
                continue;
            post(&site, cases[i].path, most + 1, chunked, text, sizeof text);
            BEGINS(text, "HTTP/1.1 413 Content Too Large\r\n");
        }
    }
    site_close(&site);
    return 0;
}

START_TEST(s171_each_route_has_its_body_limit)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, by_route, NULL));
}
END_TEST

/* ---- Bodies that nobody reads ------------------------------------------------------------------- */

static int ignore(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)user;
    return pirn_http_reply_text(reply, 200, "no, thanks");
}

enum {
    SKIPPED = 256 * 1024
};

/* Its head, or as much of the body as follows it here, is all that the client sends before it listens. */
static void ask_and_listen(const struct site *site, const char *head, const char *body, char *text,
                           size_t size)
{
    int fd = site_dial(site);
    site_say(fd, head);
    site_say(fd, body);
    site_hear_words(fd, text, size, "no, thanks", 1);
    BEGINS(text, "HTTP/1.1 200 OK\r\n");
    CHECK(strstr(text, "\r\nConnection: close\r\n") != NULL);
    CHECK(strstr(text, "\r\n\r\nno, thanks") != NULL);
    CHECK_EQ(site_hear(fd, text, size), 0); /* it is closed */
    pirn_close(fd);
}

static int unread(void *arg)
{
    struct site site;
    static char text[2048], head[256], body[SKIPPED + 1];
    (void)arg;
    memset(body, 'a', SKIPPED);
    site_new(&site, NULL);
    site_route(&site, "POST", "/", ignore, NULL);
    site_open(&site);

    /* What is skipped leaves the connection as it was. */
    int fd = site_dial(&site);
    for (int i = 0; i < 3; i++) {
        sprintf(head, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", SKIPPED);
        site_say(fd, head);
        site_say(fd, body);
        site_hear_words(fd, text, sizeof text, "no, thanks", 1);
        CHECK(strstr(text, "Connection:") == NULL);
        site_say(fd, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "3\r\nabc\r\n0\r\n\r\n");
        site_hear_words(fd, text, sizeof text, "no, thanks", 1);
        if (strstr(text, "Connection: close") != NULL) { /* it came in two parts */
            pirn_close(fd);
            fd = site_dial(&site);
        }
    }
    pirn_close(fd);

    /* What is not is said. */
    sprintf(head, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", SKIPPED + 1);
    ask_and_listen(&site, head, "", text, sizeof text);
    ask_and_listen(&site, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "",
                   text, sizeof text);
    ask_and_listen(&site, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                   "5\r\nabc", text, sizeof text);
    site_close(&site);
    return 0;
}

START_TEST(s171_a_body_that_is_not_skipped_is_told_of)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, unread, NULL));
}
END_TEST

/* ---- Slow readers --------------------------------------------------------------------------- */

enum {
    REPLY = 128 * 1024,
    SIP = 4 * 1024
};

static int give(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    static const char zeros[REPLY];
    ssize_t n = pirn_http_reply_begin(reply, 200, NULL, REPLY);
    (void)request;
    if (n == 0)
        n = pirn_http_reply_write(reply, zeros, REPLY, PIRN_NEVER);
    *(int *)user = n < 0 ? (int)n : 0;
    return *(int *)user;
}

struct meeting {
    pirn_http_server *server;
    int fd;
};

static int serve_one_end(void *arg)
{
    const struct meeting *meeting = arg;
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    pirn_stream *stream;
    config.high = 1000;
    CHECK_OK(pirn_stream_new(&stream, meeting->fd, &config));
    CHECK_OK(pirn_http_server_serve_stream(meeting->server, stream));
    pirn_stream_release(stream);
    return 0;
}

/* A client that takes a sip of the reply each eighth of write_time, twice that long in all; then nothing more, if
 * it is to stall. What became of the handler. */
static int sip(int64_t write_time, bool stalls)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    static char text[REPLY + 1024];
    struct site site;
    int pair[2], room = 1, result = 1;
    config.write_time.ns = write_time;
    site_new(&site, &config);
    site_route(&site, "GET", "/", give, &result);
    support_pair(pair);
    CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room));
    struct meeting meeting = {site.server, pair[1]};
    pirn_task *task = support_spawn(serve_one_end, &meeting);
    site_say(pair[0], "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (size_t got = 0; got < (stalls ? REPLY / 2 : REPLY);) {
        ssize_t n = pirn_recv(pair[0], text, SIP, 0, PIRN_NEVER);
        if (n <= 0)
            break;
        got += (size_t)n;
        CHECK_OK(pirn_sleep(pirn_after_ns(write_time / 8)));
    }
    if (!stalls)
        site_hear(pair[0], text, sizeof text);
    CHECK_OK(support_join(task));
    pirn_close(pair[0]);
    CHECK_OK(pirn_http_server_stop(site.server, PIRN_NEVER));
    pirn_http_server_release(site.server);
    return result;
}

/* A busy machine may keep a client from its sips: then all of it takes longer. */
static int slowly(void *arg)
{
    int64_t write_time = 100 * MS;
    (void)arg;
    while (sip(write_time, false) != 0) {
        write_time *= 2;
        CHECK_LE(write_time, (int64_t)20000 * MS);
    }
    CHECK_EQ(sip(100 * MS, true), -ETIMEDOUT);
    return 0;
}

START_TEST(s171_who_takes_slowly_gets_it_all_who_takes_nothing_is_left)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, slowly, NULL));
}
END_TEST

SUPPORT_MAIN("http/limits", s171_each_route_has_its_body_limit,
             s171_a_body_that_is_not_skipped_is_told_of,
             s171_who_takes_slowly_gets_it_all_who_takes_nothing_is_left)
