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

/* ---- Bodies, by route ------------------------------------------------------------------------ */

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

/* ---- Bodies that stop ------------------------------------------------------------------------ */

/* A client sends most of a body at once, which by the rate alone gives it hours; and then nothing
 * more, or, if it drips, the rest byte by byte, one each quarter of idle_time. */
static void send_most(int64_t idle_time, bool drips, char *text, size_t size)
{
    enum {
        MOST = 10000,
        REST = 12
    };
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    static char ask[MOST + 256];
    struct site site;
    config.idle_time.ns = idle_time;
    config.body_rate = 1;
    site_new(&site, &config);
    site_route(&site, "POST", "/", count, NULL);
    site_open(&site);
    int fd = site_dial(&site);
    int n = sprintf(ask,
                    "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    "Content-Length: %d\r\n\r\n",
                    MOST + REST);
    memset(ask + n, 'a', MOST);
    ask[n + MOST] = '\0';
    site_say(fd, ask);
    for (int i = 0; drips && i < REST; i++) {
        CHECK_OK(pirn_sleep(pirn_after_ns(idle_time / 4)));
        if (pirn_send(fd, "a", 1, 0, PIRN_NEVER) != 1)
            break; /* it has been sent away */
    }
    site_hear(fd, text, size);
    pirn_close(fd);
    site_close(&site);
}

/* Waits for longer than body_time, which by the rate it may; has one byte more, and then waits
 * until it is over. */
static int wait_on(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    pirn_event *waited = user;
    char buf[1000];
    (void)reply;
    for (size_t n = 0; n < sizeof buf;) {
        ssize_t got = pirn_http_body_read(request, buf, sizeof buf - n, PIRN_NEVER);
        CHECK_GE(got, 1);
        n += (size_t)got;
    }
    ssize_t rc = pirn_http_body_read(request, buf, 1, pirn_after_ms(20));
    CHECK(rc == -ETIMEDOUT || rc == -ETIME);
    pirn_event_set(waited);
    while ((rc = pirn_http_body_read(request, buf, 1, PIRN_NEVER)) > 0)
        ;
    return (int)rc;
}

/* The rate holds also where nothing else does. */
static void without_idle_time(char *text, size_t size)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    pirn_event waited = PIRN_EVENT_INIT;
    char ask[1200];
    struct site site;
    config.idle_time = PIRN_FOREVER;
    config.body_time = pirn_span_ms(1);
    config.body_rate = 1000;
    site_new(&site, &config);
    site_route(&site, "POST", "/", wait_on, &waited);
    site_open(&site);
    int n = sprintf(ask, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1002\r\n\r\n");
    memset(ask + n, 'a', 1000);
    ask[n + 1000] = '\0';
    int fd = site_dial(&site);
    site_say(fd, ask);
    CHECK_OK(pirn_event_wait(&waited, PIRN_NEVER));
    site_say(fd, "a");
    site_hear(fd, text, size);
    pirn_close(fd);
    site_close(&site);
}

static int stopping(void *arg)
{
    int64_t idle_time = 40 * MS;
    char text[1024];
    (void)arg;
    send_most(idle_time, false, text, sizeof(text));
    BEGINS(text, "HTTP/1.1 408 Request Timeout\r\n");
    without_idle_time(text, sizeof(text));
    BEGINS(text, "HTTP/1.1 408 Request Timeout\r\n");
    /* A busy machine may keep a client from its drips: then all of it takes longer. */
    for (;; idle_time *= 2) {
        send_most(idle_time, true, text, sizeof(text));
        if (strstr(text, "\r\n\r\n10012") != NULL)
            return 0;
        CHECK_LE(idle_time, (int64_t)20000 * MS);
    }
}

START_TEST(s171_a_body_that_stops_coming_is_not_waited_for)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, stopping, NULL));
}
END_TEST

/* ---- Bodies that nobody reads ---------------------------------------------------------------- */

static int ignore(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)user;
    return pirn_http_reply_text(reply, 200, "no, thanks");
}

enum {
    SKIPPED = 256 * 1024
};

/* Its head, or as much of the body as follows it here, is all that the client sends before it
 * listens. */
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
    SIP = 4 * 1024,
    MUCH = 16 << 20 /* more than sockets hold */
};

struct bulk {
    size_t n;
    int result;
};

static int give(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    static const char zeros[MUCH];
    struct bulk *bulk = user;
    ssize_t n = pirn_http_reply_begin(reply, 200, NULL, (int64_t)bulk->n);
    (void)request;
    if (n == 0)
        n = pirn_http_reply_write(reply, zeros, bulk->n, PIRN_NEVER);
    bulk->result = n < 0 ? (int)n : 0;
    return bulk->result;
}

/* A client that takes a sip of the reply each eighth of write_time, twice that long in all; then
 * nothing more, if it is to stall. What became of the handler. */
static int sip(int64_t write_time, bool stalls)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    static char text[REPLY + 1024];
    struct site site;
    struct bulk bulk = {REPLY, 1};
    config.write_time.ns = write_time;
    site_new(&site, &config);
    site_route(&site, "GET", "/", give, &bulk);
    struct site_visit v = site_visit_begin(&site, true);
    pirn_task *task = support_spawn(site_visit_serve, &v);
    site_say(v.peer, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (size_t got = 0; got < (stalls ? REPLY / 2 : REPLY);) {
        ssize_t n = pirn_recv(v.peer, text, SIP, 0, PIRN_NEVER);
        if (n <= 0)
            break;
        got += (size_t)n;
        CHECK_OK(pirn_sleep(pirn_after_ns(write_time / 8)));
    }
    if (!stalls)
        site_hear(v.peer, text, sizeof text);
    CHECK_OK(support_join(task));
    pirn_close(v.peer);
    CHECK_OK(pirn_http_server_stop(site.server, PIRN_NEVER));
    site_visit_end(&v);
    return bulk.result;
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

/* A client that takes one byte each eighth of write_time, of a reply of so many: until the server
 * has left it. What became of the handler. */
static int nibble(size_t n)
{
    const int64_t span = 80 * MS;
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    struct bulk bulk = {n, 1};
    struct site site;
    char byte;
    config.write_time.ns = config.idle_time.ns = span;
    site_new(&site, &config);
    site_route(&site, "GET", "/", give, &bulk);
    site_open(&site);
    int fd = site_dial(&site);
    site_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    do {
        CHECK_EQ(pirn_recv(fd, &byte, 1, 0, PIRN_NEVER), 1);
        CHECK_OK(pirn_sleep(pirn_after_ns(span / 8)));
    } while (pirn_http_server_connections(site.server) > 0);
    pirn_close(fd);
    site_close(&site);
    return bulk.result;
}

/* What it takes makes no room that anybody would see. What is all in the kernel's hands is
 * idle_time's affair. */
static int nibbled(void *arg)
{
    (void)arg;
    CHECK_EQ(nibble(10000), 0);
    CHECK_EQ(nibble(MUCH), -ETIMEDOUT);
    return 0;
}

START_TEST(s171_who_takes_a_byte_at_a_time_is_found_out)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, nibbled, NULL));
}
END_TEST

SUPPORT_MAIN("http/limits", s171_each_route_has_its_body_limit,
             s171_a_body_that_stops_coming_is_not_waited_for,
             s171_a_body_that_is_not_skipped_is_told_of,
             s171_who_takes_slowly_gets_it_all_who_takes_nothing_is_left,
             s171_who_takes_a_byte_at_a_time_is_found_out)
