/* Calls that cannot be meant: NULL, a body of NULL, from a plain thread; and what becomes of a
 * connection that the program's own function does not open. */
#include "tests/asyncio/misuse.h"
#include "tests/http/site.h"

/* ---- NULL ---------------------------------------------------------------------------------- */

static void nulls(void)
{
    const char *name, *value;
    char *body, byte;
    struct json_t *json;
    CHECK(pirn_http_method(NULL) == NULL && pirn_http_target(NULL) == NULL);
    CHECK(pirn_http_path(NULL) == NULL && pirn_http_param(NULL, "a") == NULL);
    CHECK(pirn_http_query(NULL, "a") == NULL && pirn_http_header(NULL, "a") == NULL);
    CHECK(pirn_http_stream(NULL) == NULL && !pirn_http_disconnected(NULL));
    CHECK_EQ(pirn_http_header_at(NULL, 0, &name, &value), -EINVAL);
    CHECK_EQ(pirn_http_body_length(NULL), -EINVAL);
    CHECK_EQ(pirn_http_body_read(NULL, &byte, 1, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_http_body_all(NULL, &body, 1, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_http_body_json(NULL, &json, 1, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_http_reply_header(NULL, "a", "b"), -EINVAL);
    CHECK_EQ(pirn_http_reply_bytes(NULL, 200, NULL, NULL, 0), -EINVAL);
    CHECK_EQ(pirn_http_reply_text(NULL, 200, "a"), -EINVAL);
    CHECK_EQ(pirn_http_reply_begin(NULL, 200, NULL, -1), -EINVAL);
    CHECK_EQ(pirn_http_reply_write(NULL, "a", 1, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_http_response_status(NULL), -EINVAL);
    CHECK_EQ(pirn_http_response_length(NULL), -EINVAL);
    CHECK(pirn_http_response_header(NULL, "a") == NULL);
    CHECK_EQ(pirn_http_response_header_at(NULL, 0, &name, &value), -EINVAL);
    CHECK_EQ(pirn_http_response_read(NULL, &byte, 1, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_http_response_all(NULL, &body, 1, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_http_response_json(NULL, &json, 1, PIRN_NOW), -EINVAL);
    pirn_http_response_free(NULL);
    pirn_http_client_free(NULL);
    pirn_http_server_release(NULL);
}

START_TEST(null_is_refused)
{
    support_everywhere(nulls);
}
END_TEST

/* Where a result goes, and what is asked for. */
static int null_results(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    const char *text;
    char *body;
    (void)user;
    CHECK_EQ(pirn_http_header_at(request, 0, NULL, &text), -EINVAL);
    CHECK_EQ(pirn_http_header_at(request, 0, &text, NULL), -EINVAL);
    CHECK(pirn_http_param(request, NULL) == NULL && pirn_http_query(request, NULL) == NULL);
    CHECK(pirn_http_header(request, NULL) == NULL);
    CHECK_EQ(pirn_http_body_all(request, NULL, 99, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_body_json(request, NULL, 99, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_body_all(request, &body, 99, PIRN_NEVER), 4); /* none of it was taken */
    CHECK_EQ(pirn_http_reply_bytes(reply, 200, NULL, NULL, 4), -EINVAL);
    CHECK_OK(pirn_http_reply_bytes(reply, 200, NULL, body, 4));
    free(body);
    return 0;
}

static int null_arguments(void *arg)
{
    struct site site;
    pirn_http_client *client;
    pirn_http_response *response;
    char url[64], *body;
    const char *text;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "POST", "/{a}", null_results, NULL);
    site_open(&site);
    CHECK_OK(pirn_http_client_new(&client, NULL));
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/x?a=b", site.port);
    CHECK_EQ(pirn_http_post(client, url, NULL, NULL, 4, &response, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_post(client, url, NULL, "1234", 4, NULL, PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_http_post(client, url, NULL, "1234", 4, &response, PIRN_NEVER));
    CHECK_EQ(pirn_http_response_status(response), 200);
    CHECK(pirn_http_response_header(response, NULL) == NULL);
    CHECK_EQ(pirn_http_response_header_at(response, 0, NULL, &text), -EINVAL);
    CHECK_EQ(pirn_http_response_all(response, NULL, 99, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_response_json(response, NULL, 99, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_response_all(response, &body, 99, PIRN_NEVER), 4);
    CHECK(strcmp(body, "1234") == 0);
    free(body);
    pirn_http_response_free(response);
    pirn_http_client_free(client);
    site_close(&site);
    return 0;
}

START_TEST(null_arguments_are_refused)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, null_arguments, NULL));
}
END_TEST

/* ---- Functions of the program's that do not keep to what they say ------------------------- */

static int connect_nothing(void *user, pirn_stream **ret_stream, const char *scheme,
                           const char *host, uint16_t port, pirn_time deadline)
{
    (void)user, (void)ret_stream, (void)scheme, (void)host, (void)port, (void)deadline;
    return 0;
}

/* As snprintf returns what would have been needed. */
static ssize_t read_beyond(void *user, void *buf, size_t n, pirn_time deadline)
{
    (void)user, (void)deadline;
    memset(buf, 'x', n);
    return (ssize_t)n + 1;
}

static ssize_t read_nothing(void *user, void *buf, size_t n, pirn_time deadline)
{
    (void)user, (void)buf, (void)n, (void)deadline;
    return 0;
}

static int never(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char *body;
    (void)reply, (void)user;
    CHECK_LE(pirn_http_body_all(request, &body, SIZE_MAX, PIRN_NEVER), -1);
    return -ECONNRESET;
}

static int odd_functions(void *arg)
{
    pirn_http_client_config config = PIRN_HTTP_CLIENT_CONFIG_INIT;
    pirn_http_call call = PIRN_HTTP_CALL_INIT;
    pirn_http_client *client;
    pirn_http_response *response;
    struct site site;
    char url[64];
    (void)arg;
    config.connect = connect_nothing;
    CHECK_OK(pirn_http_client_new(&client, &config));
    CHECK_EQ(pirn_http_get(client, "http://127.0.0.1/", &response, PIRN_NEVER), -EINVAL);
    pirn_http_client_free(client);

    site_new(&site, NULL);
    site_route(&site, "PUT", "/", never, NULL);
    site_open(&site);
    CHECK_OK(pirn_http_client_new(&client, NULL));
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", site.port);
    call.method = "PUT";
    call.url = url;
    for (int length = -1; length <= 10; length += 11) {
        call.body_length = length;
        call.body_read = read_beyond;
        CHECK_EQ(pirn_http_send(client, &call, &response, PIRN_NEVER), -EINVAL);
    }
    call.body_read = read_nothing;
    CHECK_EQ(pirn_http_send(client, &call, &response, PIRN_NEVER), -EINVAL);
    pirn_http_client_free(client);
    site_close(&site);
    return 0;
}

START_TEST(functions_that_do_not_keep_to_it)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, odd_functions, NULL));
}
END_TEST

/* ---- A plain thread ------------------------------------------------------------------------ */

static int makes_server(void *arg)
{
    return pirn_http_server_new(arg, NULL);
}

START_TEST(not_on_a_plain_thread)
{
    char url[64];
    int pair[2];
    pirn_http_client *client;
    pirn_http_response *response;
    pirn_http_server *server;
    pirn_stream *stream;
    int listener = pirn_listen("127.0.0.1", NULL, NULL, PIRN_NEVER);
    CHECK_GE(listener, 0);
    CHECK_OK(pirn_http_client_new(&client, NULL));
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", pirn_local_port(listener));
    CHECK_EQ(pirn_http_get(client, url, &response, PIRN_NEVER), -EPERM);
    CHECK_EQ(pirn_accept(listener, NULL, NULL, 0, PIRN_NOW), -ETIMEDOUT); /* nobody has come */
    pirn_http_client_free(client);
    CHECK_OK(pirn_close(listener));

    CHECK_EQ(pirn_http_server_new(&server, NULL), -EPERM);
    CHECK_OK(support_run(1, makes_server, &server));
    support_pair(pair);
    CHECK_OK(pirn_stream_new(&stream, pair[1], NULL));
    CHECK_EQ(pirn_http_server_serve_stream(server, stream), -EPERM);
    CHECK_EQ(pirn_stream_fd(stream), pair[1]);
    pirn_stream_release(stream);
    CHECK_OK(pirn_close(pair[0]));
    pirn_http_server_release(server);
}
END_TEST

/* A response is freed anywhere, read to its end or not, and debug mode finds nothing wrong. */
static int reply_much(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    static char much[100000];
    bool little = strcmp(pirn_http_path(request), "/little") == 0;
    (void)user;
    return pirn_http_reply_bytes(reply, 200, NULL, much, little ? 10 : sizeof(much));
}

static struct {
    pirn_http_client *client;
    pirn_http_response *responses[2];
} unread;

static int leaves_unread(void *arg)
{
    struct site site;
    char url[64];
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "GET", "/{what}", reply_much, NULL);
    site_open(&site);
    CHECK_OK(pirn_http_client_new(&unread.client, NULL));
    for (int i = 0; i < 2; i++) {
        snprintf(url, sizeof(url), "http://127.0.0.1:%d/%s", site.port, i == 0 ? "little" : "much");
        CHECK_OK(pirn_http_get(unread.client, url, &unread.responses[i], PIRN_NEVER));
    }
    site_close(&site);
    return 0;
}

static int frees(void)
{
    for (int i = 0; i < 2; i++)
        pirn_http_response_free(unread.responses[i]);
    pirn_http_client_free(unread.client);
    return 0;
}

START_TEST(responses_are_freed_on_a_plain_thread)
{
    const struct misuse none = {.rc = 0, .fn = frees};
    char text[512];
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        CHECK_OK(support_run(w, leaves_unread, NULL));
        CHECK_OK(setenv("PIRN_DEBUG", "1", 1));
        misuse_stderr(&none, text, sizeof(text));
        CHECK_OK(unsetenv("PIRN_DEBUG"));
        CHECK_OK(strcmp(text, ""));
        support_no_more_than(before);
    }
}
END_TEST

/* ---- Connections that are not opened ------------------------------------------------------- */

static atomic_int layers, opened;

static ssize_t layer_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    return pirn_stream_read(self, buf, n, deadline);
}

static ssize_t layer_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    ssize_t put = pirn_stream_write(self, buf, n);
    int rc = pirn_stream_drain(self, deadline);
    return put >= 0 && rc < 0 ? rc : put;
}

static int layer_close(void *self)
{
    return pirn_stream_abort(self);
}

static void layer_free(void *self)
{
    pirn_stream_release(self);
    atomic_fetch_sub(&layers, 1);
}

static const pirn_transport layer = {
    .size = sizeof(pirn_transport),
    .read = layer_read,
    .write = layer_write,
    .close = layer_close,
    .free = layer_free,
};

/* As the first byte says. */
static int open_some(void *user, pirn_stream **ret_stream, pirn_stream *below, pirn_time deadline)
{
    char c;
    (void)user;
    CHECK_EQ(pirn_stream_read(below, &c, 1, deadline), 1);
    atomic_fetch_add(&opened, 1);
    if (c == 'n') /* nothing over it */
        return -EACCES;
    if (c == 's') /* says that there is a stream, and there is none: a fault of the program */
        return 0;
    if (c == 'p')
        return 1; /* the same */
    if (c == 'b') /* it may be the same one */
        *ret_stream = below;
    if (c == 'l' || c == 'y') {
        CHECK_OK(pirn_stream_over(ret_stream, &layer, below, NULL));
        atomic_fetch_add(&layers, 1);
    }
    return c == 'y' ? 0 : -EACCES; /* too late, below belongs to it */
}

static int not_opened(void *arg)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    char text[512];
    struct site site;
    (void)arg;
    config.open = open_some;
    config.head_time = pirn_span_s(1000);
    site_new(&site, &config);
    site_open(&site);
    atomic_store(&opened, 0);
    for (const char *word = "nlspb"; *word != '\0'; word++) {
        int fd = site_dial(&site);
        CHECK_EQ(pirn_send(fd, word, 1, 0, PIRN_NEVER), 1);
        CHECK_EQ(site_hear(fd, text, sizeof(text)), 0);
        CHECK_OK(pirn_close(fd));
    }
    site_ask(&site, "yGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", text, sizeof(text));
    BEGINS(text, "HTTP/1.1 404 ");
    site_close(&site);
    CHECK_EQ(atomic_load(&opened), 6);
    CHECK_EQ(atomic_load(&layers), 0);
    CHECK_EQ(support_reported(&site.report, "Invalid argument"), 2); /* the program's faults */
    CHECK_EQ(support_reported(&site.report, "http:"), 2);
    return 0;
}

START_TEST(a_connection_that_is_not_opened)
{
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        CHECK_OK(support_run(w, not_opened, NULL));
        support_no_more_than(before);
    }
}
END_TEST

SUPPORT_MAIN("http/misuse", null_is_refused, null_arguments_are_refused,
             functions_that_do_not_keep_to_it, not_on_a_plain_thread,
             responses_are_freed_on_a_plain_thread, a_connection_that_is_not_opened)
