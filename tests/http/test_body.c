/* Bodies that do not come in one go: what a try that was given up had got, a source that fails. */
#include "tests/http/site.h"

#include <jansson.h>

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

/* ---- Tries that are given up ----------------------------------------------------------------- */

static pirn_http_response *get(pirn_http_client **ret_client, int *ret_server, const char *reply)
{
    pirn_http_response *response;
    int pair[2];
    *ret_client = client_of(pair);
    *ret_server = pair[0];
    site_say(pair[0], reply);
    CHECK_OK(pirn_http_get(*ret_client, "http://x/", &response, PIRN_NEVER));
    return response;
}

static void done(pirn_http_response *response, pirn_http_client *client, int server)
{
    pirn_http_response_free(response);
    pirn_http_client_free(client);
    CHECK_OK(pirn_close(server));
}

static void check_all(pirn_http_response *response, size_t max, const char *text)
{
    char *body;
    CHECK_EQ(pirn_http_response_all(response, &body, max, PIRN_NEVER), strlen(text));
    CHECK(strcmp(body, text) == 0);
    free(body);
}

static void known_length(void)
{
    pirn_http_client *client;
    int server;
    char *body, buf[16];
    pirn_http_response *r =
        get(&client, &server, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    CHECK_EQ(pirn_http_response_all(r, &body, 10, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_http_response_all(r, &body, 9, PIRN_NEVER), -EMSGSIZE);
    CHECK_EQ(pirn_http_response_read(r, buf, 3, PIRN_NEVER), 3);
    CHECK(memcmp(buf, "hel", 3) == 0);
    CHECK_EQ(pirn_http_response_all(r, &body, 6, PIRN_NEVER), -EMSGSIZE);
    CHECK_EQ(pirn_http_response_all(r, &body, 7, PIRN_NOW), -ETIMEDOUT);
    site_say(server, "world");
    check_all(r, 7, "loworld");
    check_all(r, 0, "");
    done(r, client, server);

    r = get(&client, &server, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    CHECK_EQ(pirn_http_response_read(r, buf, 2, PIRN_NEVER), 2);
    check_all(r, 3, "llo"); /* max is for what is left */
    done(r, client, server);
}

static void chunked(void)
{
    pirn_http_client *client;
    int server;
    char *body, buf[16];
    pirn_http_response *r = get(
        &client, &server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    CHECK_EQ(pirn_http_response_all(r, &body, 100, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_http_response_all(r, &body, 4, PIRN_NEVER), -EMSGSIZE);
    site_say(server, "5\r\nworld\r\n");
    CHECK_EQ(pirn_http_response_all(r, &body, 9, PIRN_NEVER), -EMSGSIZE);
    site_say(server, "0\r\n\r\n");
    check_all(r, 10, "helloworld");
    CHECK_EQ(pirn_http_response_read(r, buf, sizeof buf, PIRN_NEVER), 0);
    done(r, client, server);
}

static void as_json(void)
{
    pirn_http_client *client;
    int server;
    json_t *json;
    pirn_http_response *r =
        get(&client, &server, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n[1,");
    CHECK_EQ(pirn_http_response_json(r, &json, 100, PIRN_NOW), -ETIMEDOUT);
    site_say(server, "2 ]");
    CHECK_OK(pirn_http_response_json(r, &json, 100, PIRN_NEVER));
    CHECK_EQ(json_array_size(json), 2);
    json_decref(json);
    done(r, client, server);
}

static int all_twice(void *arg)
{
    char *body;
    CHECK_EQ(pirn_http_response_all(arg, &body, 10, PIRN_NEVER), -ECANCELED);
    check_all(arg, 10, "helloworld");
    return 0;
}

static void cancelled(void)
{
    pirn_http_client *client;
    int server;
    pirn_http_response *r =
        get(&client, &server, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    pirn_task *task = support_spawn(all_twice, r);
    support_until_waiting(task);
    pirn_cancel(task, NULL);
    site_say(server, "world");
    CHECK_OK(support_join(task));
    done(r, client, server);
}

/* What broke off is nobody's any more. */
static void cut_off(void)
{
    pirn_http_client *client;
    int server;
    char *body, buf[16];
    pirn_http_response *r =
        get(&client, &server, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    CHECK_EQ(pirn_http_response_all(r, &body, 10, PIRN_NOW), -ETIMEDOUT);
    CHECK_OK(shutdown(server, SHUT_WR));
    CHECK_EQ(pirn_http_response_all(r, &body, 10, PIRN_NEVER), -ECONNRESET);
    CHECK_EQ(pirn_http_response_read(r, buf, sizeof buf, PIRN_NEVER), -ECONNRESET);
    done(r, client, server);
}

static int given_up(void *arg)
{
    (void)arg;
    known_length();
    chunked();
    as_json();
    cancelled();
    cut_off();
    return 0;
}

START_TEST(s168_a_try_that_is_given_up_loses_nothing)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, given_up, NULL));
}
END_TEST

static int in_two_tries(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    pirn_event *tried = user;
    char *body, buf[2];
    CHECK_EQ(pirn_http_body_all(request, &body, 10, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_http_body_read(request, buf, 2, PIRN_NEVER), 2);
    pirn_event_set(tried);
    CHECK_EQ(pirn_http_body_all(request, &body, 8, PIRN_NEVER), 8);
    int rc = pirn_http_reply_text(reply, 200, body);
    free(body);
    return rc;
}

static int on_a_thread(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char *body, buf[2];
    (void)user;
    CHECK_EQ(pirn_http_body_length(request), 10);
    CHECK_EQ(pirn_http_body_read(request, buf, 2, PIRN_NEVER), 2);
    CHECK_EQ(pirn_http_body_all(request, &body, 7, PIRN_NEVER), -EMSGSIZE);
    CHECK_EQ(pirn_http_body_all(request, &body, 8, PIRN_NEVER), 8);
    int rc = pirn_http_reply_text(reply, 200, body);
    free(body);
    CHECK_EQ(pirn_http_body_read(request, buf, 2, PIRN_NEVER), 0);
    CHECK_EQ(pirn_http_body_all(request, &body, 0, PIRN_NEVER), 0);
    free(body);
    CHECK_EQ(pirn_http_body_length(request), 10);
    return rc;
}

static int tried_twice(void *arg)
{
    char text[1000];
    struct site site;
    pirn_event tried = PIRN_EVENT_INIT;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "POST", "/", in_two_tries, &tried);
    site_route_blocking(&site, "POST", "/thread", on_a_thread, NULL);
    site_open(&site);
    int fd = site_dial(&site);
    site_say(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
    CHECK_OK(pirn_event_wait(&tried, PIRN_NEVER));
    site_say(fd, "world");
    site_hear_words(fd, text, sizeof text, "\r\n\r\nlloworld", 1);
    site_say(fd, "POST /thread HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhelloworld");
    site_hear_words(fd, text, sizeof text, "\r\n\r\nlloworld", 1);
    site_say(fd, "POST /thread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                 "Connection: close\r\n\r\na\r\nhelloworld\r\n0\r\n\r\n");
    site_hear_words(fd, text, sizeof text, "\r\n\r\nlloworld", 1);
    pirn_close(fd);
    site_close(&site);
    return 0;
}

START_TEST(s171_a_handlers_try_that_is_given_up_loses_nothing)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, tried_twice, NULL));
}
END_TEST

/* ---- A response that is left when its client has gone ---------------------------------------- */

static int outlives(void *arg)
{
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
    pirn_http_client *client;
    int server;
    char byte;
    (void)arg;
    for (int whole = 0; whole < 2; whole++) {
        pirn_http_response *r = get(&client, &server, half);
        pirn_http_client_free(client);
        if (whole) {
            site_say(server, "world");
            check_all(r, 10, "helloworld");
        }
        pirn_http_response_free(r);
        char request[1000];
        CHECK_GE(pirn_recv(server, request, sizeof request, 0, PIRN_NEVER), 1);
        ssize_t end = pirn_recv(server, &byte, 1, 0, PIRN_NEVER); /* nothing is kept */
        CHECK(end == 0 || end == -ECONNRESET);
        CHECK_OK(pirn_close(server));
    }
    return 0;
}

START_TEST(s168_a_response_may_outlive_its_client)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, outlives, NULL));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        s168_a_source_that_fails_ends_the_call, s168_a_try_that_is_given_up_loses_nothing,
        s171_a_handlers_try_that_is_given_up_loses_nothing, s168_a_response_may_outlive_its_client};
    return support_main("http/body", tests, sizeof tests / sizeof tests[0]);
}
