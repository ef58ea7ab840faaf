/*
 * HTTPS: the HTTP server and client over TLS, with each other and with curl; what does not shake
 * hands.
 */
#include "tests/tls/tls.h"

#include "tests/http/site.h"

#include <sys/wait.h>

enum {
    BODY = 200000,
    CLIENTS = 20,
    CALLS = 5
};

static char body[BODY];

static int give(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)user;
    CHECK(strcmp(pirn_tls_alpn(pirn_http_stream(request)), "http/1.1") == 0);
    return pirn_http_reply_bytes(reply, 200, "application/octet-stream", body, BODY);
}

static int count(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char buf[4096], text[32];
    ssize_t n, sum = 0;
    (void)user;
    while ((n = pirn_http_body_read(request, buf, sizeof(buf), PIRN_NEVER)) > 0)
        sum += n;
    snprintf(text, sizeof(text), "%zd", sum);
    return n == 0 ? pirn_http_reply_text(reply, 200, text) : (int)n;
}

static atomic_int waiting, told;

static int wait_for_ever(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)reply, (void)user;
    atomic_fetch_add(&waiting, 1);
    int rc = pirn_sleep(PIRN_NEVER);
    CHECK(pirn_http_disconnected(request));
    atomic_fetch_add(&told, 1);
    return rc;
}

struct https {
    struct site site;
    pirn_tls_context *of_server, *of_client;
    pirn_http_client *client;
};

static void https_open(struct https *h, const char *certificate, const char *protocols)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    pirn_http_client_config client = PIRN_HTTP_CLIENT_CONFIG_INIT;
    for (size_t i = 0; i < BODY; i++)
        body[i] = (char)(i * 31 + i / 253);
    h->of_server = server_with(certificate, NULL, protocols);
    h->of_client = client_with("ca", NULL, protocols, 0);
    config.open = pirn_http_open_tls;
    config.open_user = h->of_server;
    config.max_body = -1;
    site_new(&h->site, &config);
    site_route(&h->site, "GET", "/give", give, NULL);
    site_route(&h->site, "POST", "/count", count, NULL);
    site_route(&h->site, "GET", "/ever", wait_for_ever, NULL);
    site_open(&h->site);
    client.connect = pirn_http_connect_tls;
    client.connect_user = h->of_client;
    CHECK_OK(pirn_http_client_new(&h->client, &client));
}

static void https_close(struct https *h)
{
    pirn_http_client_free(h->client);
    site_close(&h->site);
    pirn_tls_context_release(h->of_client);
    pirn_tls_context_release(h->of_server);
}

static int get(const struct https *h, const char *scheme, const char *host, const char *path,
               pirn_http_response **ret_response)
{
    char url[128];
    snprintf(url, sizeof(url), "%s://%s:%d%s", scheme, host, h->site.port, path);
    return pirn_http_get(h->client, url, ret_response, PIRN_NEVER);
}

static int call_many_times(void *arg)
{
    struct https *h = arg;
    char url[128];
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/count", h->site.port);
    for (int i = 0; i < CALLS; i++) {
        pirn_http_response *response;
        char *text;
        CHECK_OK(get(h, "https", "localhost", "/give", &response));
        CHECK_EQ(pirn_http_response_status(response), 200);
        CHECK_EQ(pirn_http_response_all(response, &text, BODY, PIRN_NEVER), BODY);
        CHECK(memcmp(text, body, BODY) == 0);
        free(text);
        pirn_http_response_free(response);
        CHECK_OK(pirn_http_post(h->client, url, "text/plain", body, BODY, &response, PIRN_NEVER));
        CHECK_EQ(pirn_http_response_all(response, &text, 100, PIRN_NEVER), 6);
        CHECK(strcmp(text, "200000") == 0);
        free(text);
        pirn_http_response_free(response);
    }
    return 0;
}

static int many_clients(void *arg)
{
    struct https h;
    pirn_task *tasks[CLIENTS];
    (void)arg;
    https_open(&h, "server", "http/1.1");
    for (int i = 0; i < CLIENTS; i++)
        tasks[i] = support_spawn(call_many_times, &h);
    for (int i = 0; i < CLIENTS; i++)
        CHECK_OK(support_join(tasks[i]));
    https_close(&h);
    return 0;
}

START_TEST(bodies_both_ways_over_kept_connections)
{
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        CHECK_OK(support_run(w, many_clients, NULL));
        support_no_more_than(before);
    }
}
END_TEST

/* ---- What is refused ------------------------------------------------------------------------- */

static int refused(void *arg)
{
    struct https h;
    pirn_http_response *response;
    char text[64];
    (void)arg;
    https_open(&h, "expired", "http/1.1");
    CHECK_EQ(get(&h, "https", "localhost", "/give", &response), -EKEYREJECTED);
    https_close(&h);

    https_open(&h, "server", "http/1.1");
    int fd = site_dial(&h.site); /* plain HTTP to an HTTPS port: nothing comes back that is HTTP */
    site_say(fd, "GET /give HTTP/1.1\r\nHost: x\r\n\r\n");
    site_hear(fd, text, sizeof(text));
    CHECK(strstr(text, "HTTP/") == NULL);
    pirn_close(fd);
    CHECK_EQ(get(&h, "http", "localhost", "/give", &response), -ECONNRESET);
    CHECK_OK(get(&h, "https", "localhost", "/none", &response)); /* and it goes on */
    CHECK_EQ(pirn_http_response_status(response), 404);
    pirn_http_response_free(response);
    https_close(&h);

    https_open(&h, "server", "h2"); /* agreed on, and spoken by nobody here */
    CHECK_EQ(get(&h, "https", "localhost", "/give", &response), -EPROTO);
    https_close(&h);
    return 0;
}

START_TEST(what_is_refused)
{
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        CHECK_OK(support_run(w, refused, NULL));
        support_no_more_than(before);
    }
}
END_TEST

/* ---- What nobody has asked for --------------------------------------------------------------- */

struct talker {
    pirn_tls_context *of_server, *of_client;
    pirn_task *tasks[3];
    int fd;
    atomic_int said, connections;
};

/* Replies to a request twice. */
static int say_too_much(void *arg)
{
    static const char *const replies[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nasked",
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nunasked",
    };
    struct talker *t = arg;
    pirn_stream *below, *stream;
    const char *head;
    CHECK_OK(pirn_stream_new(&below, t->fd, NULL));
    CHECK_OK(pirn_tls_server(&stream, below, t->of_server, NULL, PIRN_NEVER));
    CHECK_GE(pirn_stream_read_until(stream, &head, "\r\n\r\n", 4, PIRN_NEVER), 1);
    for (int i = 0; i < 2; i++)
        CHECK_GE(pirn_stream_write(stream, replies[i], strlen(replies[i])), 1);
    CHECK_OK(pirn_stream_flush(stream, PIRN_NEVER));
    atomic_fetch_add(&t->said, 1);
    CHECK_LE(pirn_stream_read_until(stream, &head, "\r\n\r\n", 4, PIRN_NEVER), 0);
    pirn_stream_abort(stream);
    pirn_stream_release(stream);
    return 0;
}

static int talk(void *user, pirn_stream **ret_stream, const char *scheme, const char *host,
                uint16_t port, pirn_time deadline)
{
    struct talker *t = user;
    pirn_stream *below;
    int pair[2], i = atomic_fetch_add(&t->connections, 1);
    (void)scheme, (void)port;
    CHECK_LE(i, 2);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    t->fd = pair[0];
    t->tasks[i] = support_spawn(say_too_much, t);
    CHECK_OK(pirn_stream_new(&below, pair[1], NULL));
    return pirn_tls_client(ret_stream, below, t->of_client, host, NULL, deadline);
}

/* The second must not pass for the reply to what is asked next. */
static int unasked(void *arg)
{
    struct talker t = {.of_server = server_with("server", NULL, NULL),
                       .of_client = client_with("ca", NULL, NULL, 0)};
    pirn_http_client_config config = PIRN_HTTP_CLIENT_CONFIG_INIT;
    pirn_http_client *client;
    (void)arg;
    config.connect = talk;
    config.connect_user = &t;
    CHECK_OK(pirn_http_client_new(&client, &config));
    for (int i = 1; i <= 3; i++) {
        pirn_http_response *response;
        char *text;
        CHECK_OK(pirn_http_get(client, "https://localhost/", &response, PIRN_NEVER));
        CHECK_EQ(pirn_http_response_all(response, &text, BODY, PIRN_NEVER), 5);
        free(text);
        pirn_http_response_free(response);
        support_until(&t.said, i);
        CHECK_EQ(atomic_load(&t.connections), i);
    }
    pirn_http_client_free(client);
    for (int i = 0; i < 3; i++)
        CHECK_OK(support_join(t.tasks[i]));
    pirn_tls_context_release(t.of_client);
    pirn_tls_context_release(t.of_server);
    return 0;
}

START_TEST(what_comes_unasked_is_nobodys_reply)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, unasked, NULL));
}
END_TEST

/* ---- A client that goes ---------------------------------------------------------------------- */

/* It says that it ends, which is not a request that is to be answered first. */
static void go(struct https *h)
{
    static const char ask[] = "GET /ever HTTP/1.1\r\nHost: x\r\n\r\n";
    pirn_stream *stream;
    int before = atomic_load(&told);
    atomic_store(&waiting, 0);
    CHECK_OK(pirn_stream_new(&stream, site_dial(&h->site), NULL));
    CHECK_OK(pirn_tls_client(&stream, stream, h->of_client, "localhost", NULL, PIRN_NEVER));
    CHECK_EQ(pirn_stream_write(stream, ask, strlen(ask)), strlen(ask));
    support_until(&waiting, 1);
    CHECK_OK(pirn_stream_close(stream, PIRN_NEVER));
    pirn_stream_release(stream);
    support_until(&told, before + 1);
}

static int goes(void *arg)
{
    struct https h;
    (void)arg;
    https_open(&h, "server", NULL);
    go(&h);
    only_1_2(h.of_server);
    go(&h);
    https_close(&h);
    return 0;
}

START_TEST(a_client_that_goes_cancels_its_handler)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, goes, NULL));
}
END_TEST

/* ---- curl ------------------------------------------------------------------------------------ */

static int run_curl(void *arg)
{
    return system(arg); /* on a thread of the pool */
}

static int with_curl(void *arg)
{
    struct https h;
    char command[1024];
    int status = -1;
    (void)arg;
    https_open(&h, "server", "http/1.1");
    snprintf(command, sizeof(command),
             "[ \"$(curl -sS --max-time 60 --cacert %s https://localhost:%d/give "
             "https://localhost:%d/give | wc -c)\" = %d ]",
             cert_path("ca"), h.site.port, h.site.port, 2 * BODY);
    CHECK_OK(pirn_blocking(run_curl, command, &status, PIRN_NEVER));
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    https_close(&h);
    return 0;
}

START_TEST(curl_as_the_client)
{
    if (system("curl --version >/dev/null 2>&1") != 0) {
        printf("no curl: skipped\n");
        return;
    }
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, with_curl, NULL));
}
END_TEST

SUPPORT_MAIN("https", bodies_both_ways_over_kept_connections, what_is_refused,
             what_comes_unasked_is_nobodys_reply, a_client_that_goes_cancels_its_handler,
             curl_as_the_client)
