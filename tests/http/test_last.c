/* The last reply of a connection: what its client hears of the end, and that no end is taken for
 * another. */
#include "api/http/server.h"
#include "tests/http/site.h"

enum {
    MUCH = 128 * 1024 /* more than the client's socket takes, and less than both ends hold */
};

struct scene {
    atomic_int begun, go;
    bool much;  /* the piece is that long */
    int status; /* the handler's, when it may go on */
};

/* A piece, and the rest of the reply when the test says so: its head has gone by then. */
static int in_pieces(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    static const char zeros[MUCH];
    struct scene *scene = user;
    ssize_t n = scene->much ? MUCH : 5;
    (void)request;
    CHECK_OK(pirn_http_reply_begin(reply, 200, NULL, -1));
    CHECK_EQ(pirn_http_reply_write(reply, scene->much ? zeros : "piece", (size_t)n, PIRN_NEVER), n);
    atomic_store(&scene->begun, 1);
    while (atomic_load(&scene->go) == 0) {
        int rc = pirn_sleep(pirn_after_ms(1));
        if (rc < 0)
            return rc;
    }
    return scene->status;
}

static int whole(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)user;
    return pirn_http_reply_text(reply, 200, "whole");
}

static void open_scene(struct site *site, struct scene *scene)
{
    site_new(site, NULL);
    site_route(site, "GET", "/pieces", in_pieces, scene);
    site_route(site, "GET", "/", whole, NULL);
    site_open(site);
}

static int ask(const struct site *site, struct scene *scene, const char *request)
{
    int fd = site_dial(site);
    site_say(fd, request);
    support_until(&scene->begun, 1);
    return fd;
}

static void until_stopping(const struct site *site)
{
    while (!atomic_load(&site->server->stopping))
        CHECK_OK(pirn_yield());
}

static void end_scene(struct site *site)
{
    CHECK_OK(support_join(site->task));
    pirn_http_server_release(site->server);
}

/* All that comes, and how that ends: 0, or an error. */
static ssize_t hear(int fd, char *text, size_t size, size_t *ret_n)
{
    size_t n = 0;
    ssize_t got;
    while ((got = pirn_recv(fd, text + n, size - 1 - n, 0, PIRN_NEVER)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    *ret_n = n;
    return got;
}

/* ---- A stop while a reply goes on ------------------------------------------------------------ */

/* What was asked for before anybody could know is answered, and that is the last. */
static int answered(void *arg)
{
    struct scene scene = {0};
    struct site site;
    char text[2048];
    size_t n;
    (void)arg;
    open_scene(&site, &scene);
    int fd = ask(&site, &scene,
                 "GET /pieces HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    site_end(&site, pirn_span_s(1000));
    until_stopping(&site);
    atomic_store(&scene.go, 1);
    CHECK_EQ(hear(fd, text, sizeof(text), &n), 0);
    const char *end = strstr(text, "\r\n\r\n5\r\npiece\r\n0\r\n\r\n");
    CHECK(end != NULL && strstr(text, "Connection: close") > end);
    CHECK(strstr(end, "\r\nConnection: close\r\n\r\nwhole") != NULL);
    pirn_close(fd);
    end_scene(&site);
    return 0;
}

START_TEST(s172_a_request_behind_a_reply_that_goes_on_is_answered)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, answered, NULL));
}
END_TEST

static void until_closing(const struct site *site)
{
    bool closing = false;
    while (!closing) {
        CHECK_OK(pirn_yield());
        pthread_mutex_lock(&site->server->lock);
        const struct connection *c = site->server->connections;
        closing = c == NULL || atomic_load(&c->state) == CONNECTION_CLOSING;
        pthread_mutex_unlock(&site->server->lock);
    }
}

/* A request crosses the end of a reply that nobody has told to be the last: it is not answered, but
 * what the server did not expect, its end of the connection takes for a moment all the same (RFC
 * 9112, 9.6). Else it would answer with a reset, and what of the reply is still on its way were
 * lost. */
static bool crosses_the_end(void)
{
    static char text[MUCH + 2048];
    struct scene scene = {.much = true};
    struct site site;
    size_t n;
    open_scene(&site, &scene);
    int fd = ask(&site, &scene, "GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n");
    site_end(&site, pirn_span_s(1000));
    until_stopping(&site);
    atomic_store(&scene.go, 1);
    until_closing(&site);
    site_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    bool all = hear(fd, text, sizeof(text), &n) == 0 && n > MUCH &&
               memcmp(text + n - 7, "\r\n0\r\n\r\n", 7) == 0;
    pirn_close(fd);
    end_scene(&site);
    return all;
}

/* On a busy machine the moment may be over. */
static int not_reset(void *arg)
{
    (void)arg;
    for (int tries = 1; !crosses_the_end(); tries++)
        CHECK_LE(tries, 20);
    return 0;
}

START_TEST(s172_a_request_that_comes_too_late_is_no_reset)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, not_reset, NULL));
}
END_TEST

/* ---- Replies that are cut off ---------------------------------------------------------------- */

/* How the connection of a reply ends whose handler returns that; or is stopped, and cancelled. */
static ssize_t end_of(const char *version, int status, bool stops, char *text, size_t size)
{
    struct scene scene = {.status = status};
    struct site site;
    char request[64];
    open_scene(&site, &scene);
    snprintf(request, sizeof(request), "GET /pieces %s\r\nHost: x\r\n\r\n", version);
    int fd = ask(&site, &scene, request);
    if (stops)
        site_end(&site, pirn_span_ms(1));
    else
        atomic_store(&scene.go, 1);
    size_t n;
    ssize_t end = hear(fd, text, size, &n);
    CHECK(strstr(text, "piece") != NULL);
    pirn_close(fd);
    if (!stops)
        site_end(&site, pirn_span_s(1000));
    end_scene(&site);
    return end;
}

/* Chunks have an end of their own. An old client, for whom it is the connection's, must not take
 * the reply for complete. */
static int cut_off(void *arg)
{
    char text[2048];
    (void)arg;
    for (int stops = 0; stops < 2; stops++) {
        end_of("HTTP/1.1", -EIO, stops != 0, text, sizeof(text));
        CHECK(strstr(text, "0\r\n\r\n") == NULL);
        CHECK_EQ(end_of("HTTP/1.0", -EIO, stops != 0, text, sizeof(text)), -ECONNRESET);
    }
    CHECK_EQ(end_of("HTTP/1.0", 0, false, text, sizeof(text)), 0);
    CHECK(strstr(text, "\r\nConnection: close\r\n\r\npiece") != NULL);
    return 0;
}

START_TEST(s171_a_reply_that_is_cut_off_is_not_complete)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, cut_off, NULL));
}
END_TEST

/* ---- Replies to what came before ------------------------------------------------------------- */

/* Half a request behind a whole one, and then the client's end. */
static int half_a_head(void *arg)
{
    static const char *const rests[] = {"GET / HT", "\r", "\r\n", "\r\n\r\nGET / HTTP/1.1\r\n"};
    (void)arg;
    for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
        char text[2048];
        struct site site;
        size_t n;
        site_new(&site, NULL);
        site_route(&site, "GET", "/", whole, NULL);
        struct site_visit v = site_visit_begin(&site, false);
        site_say(v.peer, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        site_say(v.peer, rests[i]);
        CHECK_OK(shutdown(v.peer, SHUT_WR)); /* all of it is there before the server looks */
        pirn_task *task = support_spawn(site_visit_serve, &v);
        CHECK_EQ(hear(v.peer, text, sizeof(text), &n), 0);
        BEGINS(text, "HTTP/1.1 200 OK\r\n");
        CHECK(n > 9 && strcmp(text + n - 9, "\r\n\r\nwhole") == 0);
        CHECK_OK(support_join(task));
        pirn_close(v.peer);
        site_visit_end(&v);
    }
    return 0;
}

START_TEST(s171_half_a_request_takes_no_reply_with_it)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, half_a_head, NULL));
}
END_TEST

static int endless(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    struct scene *scene = user;
    (void)request;
    (void)reply;
    atomic_store(&scene->begun, 1);
    return pirn_sleep(PIRN_NEVER);
}

/* A stop cancels the second of two requests; the first has been replied to. */
static int behind_a_reply(void *arg)
{
    struct scene scene = {0};
    struct site site;
    char text[2048];
    size_t n;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "GET", "/", whole, NULL);
    site_route(&site, "GET", "/endless", endless, &scene);
    site_open(&site);
    int fd = ask(&site, &scene,
                 "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    site_end(&site, pirn_span_ms(1));
    CHECK_EQ(hear(fd, text, sizeof(text), &n), 0);
    CHECK(n > 9 && strcmp(text + n - 9, "\r\n\r\nwhole") == 0);
    pirn_close(fd);
    end_scene(&site);
    return 0;
}

START_TEST(s172_a_handler_that_is_cancelled_takes_no_reply_with_it)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, behind_a_reply, NULL));
}
END_TEST

/* An empty line behind a body is no request that a stop would wait for, or that is late. */
static int empty_lines(void *arg)
{
    struct site site;
    char text[2048];
    size_t n;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "POST", "/", whole, NULL);
    site_open(&site);
    int fd = site_dial(&site);
    for (int i = 0; i < 2; i++) {
        site_say(fd, "\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab\r\n\r\n");
        site_hear_words(fd, text, sizeof(text), "\r\n\r\nwhole", 1);
    }
    site_end(&site, pirn_span_s(1000));
    CHECK_EQ(hear(fd, text, sizeof(text), &n), 0);
    CHECK_EQ(n, 0);
    pirn_close(fd);
    end_scene(&site);
    return 0;
}

START_TEST(s171_empty_lines_begin_no_request)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, empty_lines, NULL));
}
END_TEST

/* ---- What is said of the connection --------------------------------------------------------- */

/* An old client's reply ends with the connection: it is whole also if the client takes its time,
 * and the server has gone by then. */
static int taken_late(void *arg)
{
    static char text[MUCH + 2048];
    struct scene scene = {.much = true};
    struct site site;
    size_t n;
    (void)arg;
    open_scene(&site, &scene);
    int fd = site_dial(&site), room = 4096;
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)));
    site_say(fd, "GET /pieces HTTP/1.0\r\n\r\n");
    support_until(&scene.begun, 1);
    atomic_store(&scene.go, 1);
    while (pirn_http_server_connections(site.server) != 0)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_EQ(hear(fd, text, sizeof(text), &n), 0);
    CHECK_GE(n, MUCH);
    pirn_close(fd);
    site_end(&site, pirn_span_s(1000));
    end_scene(&site);
    return 0;
}

START_TEST(s171_an_old_clients_reply_may_be_taken_late)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, taken_late, NULL));
}
END_TEST

static int echo_all(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char *body;
    (void)user;
    ssize_t n = pirn_http_body_all(request, &body, 100, PIRN_NEVER);
    if (n < 0)
        return (int)n;
    int rc = pirn_http_reply_bytes(reply, 200, NULL, body, (size_t)n);
    free(body);
    return rc;
}

static int said(void *arg)
{
    struct site site;
    char text[2048];
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "POST", "/", echo_all, NULL);
    site_open(&site);
    /* An old client that asks for it keeps its connection, and is told so. */
    int fd = site_dial(&site);
    for (int i = 0; i < 2; i++) {
        site_say(fd, "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab");
        site_hear_words(fd, text, sizeof(text), "\r\n\r\nab", 1);
        CHECK(strstr(text, "\r\nConnection: keep-alive\r\n") != NULL);
    }
    pirn_close(fd);
    /* Where the next request begins nobody knows after that: it is the last, and says so. */
    site_ask(&site, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", text,
             sizeof(text));
    BEGINS(text, "HTTP/1.1 400 ");
    CHECK(strstr(text, "\r\nConnection: close\r\n") != NULL);
    /* Whoever asks to be asked for the body is, however it is written. */
    fd = site_dial(&site);
    site_say(fd, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-CONTINUE\r\nContent-Length: 2\r\n\r\n");
    site_hear_words(fd, text, sizeof(text), "\r\n\r\n", 1);
    BEGINS(text, "HTTP/1.1 100 ");
    site_say(fd, "ab");
    site_hear_words(fd, text, sizeof(text), "\r\n\r\nab", 1);
    pirn_close(fd);
    site_close(&site);
    return 0;
}

START_TEST(s171_what_becomes_of_the_connection_is_said)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, said, NULL));
}
END_TEST

/* Who sends and sends, and is told by its whole reply that this is in vain, is not reset before it
 * had half a second to read that. */
static int floods(void *arg)
{
    enum {
        FLOOD = 64 << 20
    };
    static const char zeros[FLOOD];
    struct scene scene = {0};
    struct site site;
    (void)arg;
    open_scene(&site, &scene);
    int fd = site_dial(&site);
    int64_t begun = support_now();
    site_say(fd, "PUT /none HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n");
    CHECK_LE(pirn_send(fd, zeros, FLOOD, MSG_NOSIGNAL, PIRN_NEVER), FLOOD - 1);
    CHECK_GE(support_now() - begun, 500 * MS);
    pirn_close(fd);
    site_close(&site);
    return 0;
}

START_TEST(s171_who_goes_on_sending_can_read_its_reply)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, floods, NULL));
}
END_TEST

SUPPORT_MAIN("http/last", s172_a_request_behind_a_reply_that_goes_on_is_answered,
             s172_a_request_that_comes_too_late_is_no_reset,
             s171_a_reply_that_is_cut_off_is_not_complete,
             s171_half_a_request_takes_no_reply_with_it,
             s172_a_handler_that_is_cancelled_takes_no_reply_with_it,
             s171_empty_lines_begin_no_request, s171_an_old_clients_reply_may_be_taken_late,
             s171_what_becomes_of_the_connection_is_said,
             s171_who_goes_on_sending_can_read_its_reply)
