/* Bodies that do not come in one go: a source that fails. */
#include "tests/http/site.h"

/* ---- A client whose connection is one end of a pair ------------------------------------------ */

static int connect_to(void *user, pirn_stream **ret_stream, const char *scheme, const char *host,
                      uint16_t port, pirn_time deadline)
{
    (void)scheme, (void)host, (void)port, (void)deadline;
    return pirn_stream_new(ret_stream, *(int *)user, NULL);
}

static pirn_http_client *client_of(int *pair)
{
    pirn_http_client *client;
    pirn_http_client_config config = PIRN_HTTP_CLIENT_CONFIG_INIT;
    support_pair(pair);
    config.connect = connect_to;
    config.connect_user = &pair[1];
    CHECK_OK(pirn_http_client_new(&client, &config));
    return client;
}

/* ---- A source that fails --------------------------------------------------------------------- */

struct source {
    int error;
    bool begun;
};

static ssize_t give_and_fail(void *user, void *buf, size_t n, pirn_time deadline)
{
    struct source *source = user;
    (void)deadline;
    CHECK_GE(n, 5);
    if (source->begun)
        return source->error;
    source->begun = true;
    memcpy(buf, "hello", 5);
    return 5;
}

/* The server replies before it has all of a body; but that is the end of the call. */
static int source_fails(void *arg)
{
    static const int errors[] = {-EIO, -EPIPE, -ECONNRESET, -ETIMEDOUT};
    (void)arg;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        int pair[2];
        pirn_http_client *client = client_of(pair);
        struct source source = {.error = errors[i]};
        pirn_http_response *response = NULL;
        pirn_http_call call = PIRN_HTTP_CALL_INIT;
        call.method = "PUT";
        call.url = "http://x/";
        call.body_read = give_and_fail;
        call.body_user = &source;
        call.body_length = i % 2 == 0 ? -1 : 100;
        site_say(pair[0], "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        CHECK_EQ(pirn_http_send(client, &call, &response, PIRN_NEVER), errors[i]);
        CHECK(response == NULL);
        pirn_http_client_free(client);
        pirn_close(pair[0]);
    }
    return 0;
}

START_TEST(s168_a_source_that_fails_ends_the_call)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, source_fails, NULL));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {s168_a_source_that_fails_ends_the_call};
    return support_main("http/body", tests, sizeof tests / sizeof tests[0]);
}
