/*
 * A server, and a client, whose allocations fail, each in turn: a request is answered, or told of a
 * failure, or its connection closed; the next one is served as ever, and nothing is left behind.
 */
#include "tests/http/site.h"
#include "tests/support/memory.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>

enum {
    NONE = INT_MAX - 1,
    MOST = 400,   /* allocations of a request; one that needs more is a loop */
    PIECE = 9000, /* larger than what is copied together */
    TEXT = 64 * 1024
};

static char piece[PIECE];

/* ---- Handlers -------------------------------------------------------------------------------- */

static int hello(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    const char *again = pirn_http_query(request, "again");
    (void)user;
    int rc = pirn_http_reply_header(reply, "X-Again", again != NULL ? again : "no");
    return rc < 0 ? rc : pirn_http_reply_text(reply, 200, pirn_http_param(request, "name"));
}

static int echo(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char *body;
    (void)user;
    ssize_t n = pirn_http_body_all(request, &body, TEXT, PIRN_NEVER);
    if (n < 0)
        return (int)n;
    int rc = pirn_http_reply_bytes(reply, 200, "text/plain", body, (size_t)n);
    free(body);
    return rc;
}

static int json(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    json_t *body;
    (void)user;
    int rc = pirn_http_body_json(request, &body, TEXT, PIRN_NEVER);
    if (rc == 0) {
        rc = pirn_http_reply_json(reply, 200, body);
        json_decref(body);
    }
    return rc;
}

static int pieces(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request, (void)user;
    int rc = pirn_http_reply_begin(reply, 200, "text/plain", -1);
    for (int i = 0; rc == 0 && i < 3; i++) {
        ssize_t n =
            pirn_http_reply_write(reply, i == 1 ? piece : "word", i == 1 ? PIECE : 4, PIRN_NEVER);
        rc = n < 0 ? (int)n : 0;
    }
    return rc;
}

/* ---- A client of plain calls, which allocates nothing ---------------------------------------- */

struct ask {
    const char *what, *right; /* what is sent; what the answer ends with if all goes well */
    int status;               /* and its status */
};

static const struct ask asks[] = {
    {"GET /hello/you?again=yes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "\r\n\r\nyou",
     200},
    {"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nwords",
     "\r\n\r\nwords", 200},
    {"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5\r\nwords\r\n0\r\n\r\n",
     "\r\n\r\nwords", 200},
    {"POST /json HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
     "\r\n\r\n{\"a\":1}", 200},
    {"GET /pieces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "4\r\nword\r\n0\r\n\r\n", 200},
    {"POST /blocking HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nwords",
     "\r\n\r\nwords", 200},
    {"GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "Not Found", 404},
    {"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "Method Not Allowed", 405},
    {"GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\nGET /hello/b HTTP/1.1\r\nHost: x\r\n\r\n"
     "GET /hello/c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
     "\r\n\r\nc", 200},
};

struct scene {
    struct site site;
    atomic_bool over;
};

static int dial(const struct site *site)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)site->port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = support_socket();
    CHECK_OK(support_connect(fd, &addr, sizeof(addr)));
    return fd;
}

/* Until the server closes. */
static void hear(int fd, char *text)
{
    size_t n = 0;
    ssize_t got;
    while ((got = support_read(fd, text + n, TEXT - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    close(fd);
}

/* On a new connection, or on one that has had a request before; whose memory comes first. */
static void ask(const struct site *site, const struct ask *what, bool kept, int nth, int more,
                char *text)
{
    static const char first[] = "GET /hello/first HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd = -1;
    if (kept) {
        size_t n = 0;
        fd = dial(site);
        support_send_all(fd, first, strlen(first));
        for (text[0] = '\0'; strstr(text, "\r\n\r\nfirst") == NULL; text[n] = '\0') {
            ssize_t got = support_read(fd, text + n, TEXT - 1 - n);
            CHECK_GE(got, 1);
            n += (size_t)got;
        }
    }
    support_memory_fail(nth, more);
    if (!kept)
        fd = dial(site);
    if (send(fd, what->what, strlen(what->what), MSG_NOSIGNAL) < 0)
        CHECK(errno == EPIPE || errno == ECONNRESET);
    hear(fd, text);
}

static int status_of(const char *text)
{
    int status = 0;
    CHECK_EQ(sscanf(text, "HTTP/1.1 %d ", &status), 1);
    return status;
}

static bool is_right(const struct ask *what, const char *text)
{
    size_t n = strlen(text), end = strlen(what->right);
    return n >= end && strcmp(text + n - end, what->right) == 0 && status_of(text) == what->status;
}

/* Each allocation in turn; until all is well without one failing. */
static void fail_each(const struct site *site, const struct ask *what, bool kept, int more)
{
    static char text[TEXT];
    int failures = 0;
    for (int nth = 1;; nth++) {
        CHECK_LE(nth, MOST);
        ask(site, what, kept, nth, more, text);
        int failed = support_memory_works();
        if (text[0] != '\0' && !is_right(what, text)) {
            int status = status_of(text); /* one that is cut off has begun well */
            CHECK(failed > 0);
            if (status != 500 && status != 503 && status != what->status)
                support_fail(__FILE__, __LINE__, __func__, "allocation %d of %s: %s", nth,
                             what->what, text);
        }
        ask(site, what, kept, NONE, 0, text);
        CHECK_OK(support_memory_works());
        CHECK(is_right(what, text));
        if (failed == 0)
            break;
        failures += failed;
    }
    CHECK_GE(failures, 2);
}

static void *fail_all(void *arg)
{
    struct scene *scene = arg;
    static char text[TEXT];
    ask(&scene->site, &asks[0], false, NONE, 0, text); /* it has begun to serve, then */
    for (int more = 0; more <= 2; more += 2) {
        fail_each(&scene->site, &asks[0], false, more);
        for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++)
            fail_each(&scene->site, &asks[i], true, more);
    }
    atomic_store(&scene->over, true);
    return NULL;
}

static void open_scene(struct scene *scene)
{
    memset(piece, 'p', sizeof(piece));
    site_new(&scene->site, NULL);
    site_route(&scene->site, "GET", "/hello/{name}", hello, NULL);
    site_route(&scene->site, "POST", "/echo", echo, NULL);
    site_route(&scene->site, "POST", "/json", json, NULL);
    site_route(&scene->site, "GET", "/pieces", pieces, NULL);
    site_route_blocking(&scene->site, "POST", "/blocking", echo, NULL);
    site_open(&scene->site);
}

static int serve(void *arg)
{
    struct scene scene = {0};
    (void)arg;
    open_scene(&scene);
    pthread_t thread = support_thread(fail_all, &scene);
    while (!atomic_load(&scene.over))
        CHECK_OK(pirn_sleep(pirn_after_ms(5)));
    support_thread_join(thread);
    site_close(&scene.site);
    return 0;
}

START_TEST(s171_a_server_without_memory)
{
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        CHECK_OK(support_run(w, serve, NULL));
        support_no_more_than(before);
    }
}
END_TEST

/* ---- A handler that goes on without a header ------------------------------------------------- */

/* The header's name is added, and for its value there is no memory: neither is there. */
static int do_without(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char value[200];
    (void)request;
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    support_memory_fail(2, 0);
    int rc = pirn_http_reply_header(reply, "X-Long", value);
    support_memory_works();
    CHECK(rc == 0 || rc == -ENOMEM);
    atomic_store((atomic_int *)user, rc);
    CHECK_OK(pirn_http_reply_header(reply, "X-Short", "s"));
    return pirn_http_reply_text(reply, 200, "fine");
}

static int miss_a_header(void *arg)
{
    struct site site;
    char text[2048];
    atomic_int rc = 0;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "GET", "/", do_without, &rc);
    site_open(&site);
    site_ask(&site, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", text, sizeof text);
    BEGINS(text, "HTTP/1.1 200 OK\r\n");
    CHECK(strstr(text, "\r\nX-Short: s\r\nContent-Length: 4\r\n") != NULL);
    CHECK_EQ(strstr(text, "X-Long") != NULL, atomic_load(&rc) == 0);
    site_close(&site);
    return 0;
}

START_TEST(s171_a_header_without_memory_leaves_nothing)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, miss_a_header, NULL));
}
END_TEST

/* ---- pirn's own client ----------------------------------------------------------------------- */

/* 0: answered, rightly or with a word of a failure; or the error. */
static int call(pirn_http_client *client, const char *url, const char *body)
{
    pirn_http_response *response;
    char *text;
    int rc = body != NULL ? pirn_http_post(client, url, "text/plain", body, strlen(body), &response,
                                           PIRN_NEVER)
                          : pirn_http_get(client, url, &response, PIRN_NEVER);
    if (rc < 0)
        return rc;
    int status = pirn_http_response_status(response);
    ssize_t n = pirn_http_response_all(response, &text, TEXT, PIRN_NEVER);
    pirn_http_response_free(response);
    if (n < 0)
        return (int)n;
    if (status == 200)
        CHECK(strcmp(text, body != NULL ? body : "you") == 0);
    else
        CHECK(status == 500 || status == 503);
    free(text);
    return status == 200 ? 0 : -EREMOTEIO;
}

static void call_each(const struct site *site, bool kept, const char *path, const char *body)
{
    pirn_http_client *client;
    char url[128];
    int failures = 0;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", site->port, path);
    for (int nth = 1;; nth++) {
        CHECK_LE(nth, MOST);
        CHECK_OK(pirn_http_client_new(&client, NULL));
        if (kept)
            CHECK_OK(call(client, url, body));
        support_memory_fail(nth, 0);
        int rc = call(client, url, body);
        int failed = support_memory_works();
        CHECK(rc == 0 || failed > 0);
        CHECK(rc == 0 || rc == -ENOMEM || rc == -ECONNRESET || rc == -EPIPE || rc == -EREMOTEIO);
        CHECK_OK(call(client, url, body));
        pirn_http_client_free(client);
        if (failed == 0)
            break;
        failures += failed;
    }
    CHECK_GE(failures, 2);
}

static int call_all(void *arg)
{
    struct scene scene = {0};
    (void)arg;
    open_scene(&scene);
    for (int kept = 0; kept <= 1; kept++) {
        call_each(&scene.site, kept, "/hello/you", NULL);
        call_each(&scene.site, kept, "/echo", "words");
    }
    site_close(&scene.site);
    return 0;
}

START_TEST(s168_a_client_without_memory)
{
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        CHECK_OK(support_run(w, call_all, NULL));
        support_no_more_than(before);
    }
}
END_TEST

SUPPORT_MAIN("http/memory", s171_a_server_without_memory,
             s171_a_header_without_memory_leaves_nothing, s168_a_client_without_memory)
