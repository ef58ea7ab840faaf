/* What a client keeps, what it takes for good, and what it lets go. */
#include "tests/http/rogue.h"

#include <dirent.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

/* ---- A server that is the test's own task --------------------------------------------------- */

struct asked {
    pirn_http_client *client;
    const char *method;
    int port;
    char body[16];
};

/* The status, and the body. */
static int ask(void *arg)
{
    struct asked *a = arg;
    pirn_http_call call = PIRN_HTTP_CALL_INIT;
    pirn_http_response *response;
    char url[64], *body;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", a->port);
    call.method = a->method;
    call.url = url;
    int err = pirn_http_send(a->client, &call, &response, PIRN_NEVER);
    if (err < 0)
        return err;
    int status = pirn_http_response_status(response);
    CHECK_GE(pirn_http_response_all(response, &body, sizeof a->body - 1, PIRN_NEVER), 0);
    strcpy(a->body, body);
    free(body);
    pirn_http_response_free(response);
    return status;
}

/* All that fd has sent, its end with it, is with the peer's kernel. */
static void until_there(int fd)
{
    int queued = 1;
    while (queued != 0) {
        CHECK_OK(ioctl(fd, SIOCOUTQ, &queued));
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
    }
}

/* A request, which has to come over a new connection, and its reply: the server's end. */
static int serve_new(int listener, struct asked *a, const char *reply, const char *body)
{
    pirn_task *task = support_spawn(ask, a);
    int fd = pirn_accept(listener, NULL, NULL, 0, pirn_after_ms(30000));
    CHECK_GE(fd, 0);
    CHECK_EQ(rogue_hear(fd), 1);
    site_say(fd, reply);
    CHECK_EQ(support_join(task), 200);
    CHECK(strcmp(a->body, body) == 0);
    return fd;
}

/* What has come over a kept connection while it was idle answers nothing; nor is one that has ended
 * used for a request that may not be repeated. */
static int idle_says(void *arg)
{
    static const char *const methods[] = {"GET", "POST"};
    (void)arg;
    for (int ends = 0; ends < 2; ends++) {
        struct sockaddr_in addr;
        int listener = support_listen(&addr, 16);
        struct asked a = {.method = methods[ends], .port = ntohs(addr.sin_port)};
        CHECK_OK(pirn_http_client_new(&a.client, NULL));
        int fd = serve_new(listener, &a, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold", "old");
        if (ends)
            CHECK_OK(shutdown(fd, SHUT_WR));
        else
            site_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        until_there(fd);
        int next =
            serve_new(listener, &a, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew", "new");
        pirn_http_client_free(a.client);
        pirn_close(fd);
        pirn_close(next);
        pirn_close(listener);
    }
    return 0;
}

START_TEST(s168_a_kept_connection_that_says_something_is_not_used)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, idle_says, NULL));
}
END_TEST

/* A new connection that ends before a byte of a response is not tried again. */
static int never_heard(void *arg)
{
    struct rogue r = {.silent = true};
    pirn_http_client *client;
    ssize_t body;
    (void)arg;
    pirn_task *task = rogue_open(&r);
    CHECK_OK(pirn_http_client_new(&client, NULL));
    for (int i = 1; i < 4; i++) {
        CHECK_EQ(rogue_ask(client, &r, &body), -ECONNRESET);
        CHECK_EQ(atomic_load(&r.requests), i);
    }
    pirn_http_client_free(client);
    rogue_close(&r, task);
    return 0;
}

START_TEST(s168_a_new_connection_that_is_not_answered_is_the_last)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, never_heard, NULL));
}
END_TEST

/* ---- How many are kept ---------------------------------------------------------------------- */

struct dials {
    struct site site;
    int n;
};

static int dial(void *user, pirn_stream **ret_stream, const char *scheme, const char *host,
                uint16_t port, pirn_time deadline)
{
    struct dials *d = user;
    char service[8];
    (void)scheme, (void)host, (void)port;
    d->n++;
    snprintf(service, sizeof service, "%d", d->site.port);
    return pirn_stream_connect(ret_stream, "127.0.0.1", service, NULL, NULL, deadline);
}

static int hello(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request, (void)user;
    return pirn_http_reply_text(reply, 200, "hello");
}

/* How many connections have been made by then. */
static int visit(pirn_http_client *client, struct dials *d, const char *url)
{
    pirn_http_response *response;
    char *body;
    CHECK_OK(pirn_http_get(client, url, &response, PIRN_NEVER));
    CHECK_EQ(pirn_http_response_all(response, &body, 100, PIRN_NEVER), 5);
    free(body);
    pirn_http_response_free(response);
    return d->n;
}

static int two_kept(void *arg)
{
    pirn_http_client_config config = PIRN_HTTP_CLIENT_CONFIG_INIT;
    pirn_http_client *client;
    struct dials d = {.n = 0};
    (void)arg;
    site_new(&d.site, NULL);
    site_route(&d.site, "GET", "/", hello, NULL);
    site_open(&d.site);
    config.max_idle = 2;
    config.idle_time = pirn_span_s(1000);
    config.connect = dial;
    config.connect_user = &d;
    CHECK_OK(pirn_http_client_new(&client, &config));
    CHECK_EQ(visit(client, &d, "http://a/"), 1);
    CHECK_EQ(visit(client, &d, "http://b/"), 2);
    CHECK_EQ(visit(client, &d, "http://a/"), 2);
    CHECK_EQ(visit(client, &d, "http://B/"), 2); /* a host's name has no case */
    CHECK_EQ(visit(client, &d, "http://c/"), 3); /* of three the oldest goes */
    CHECK_EQ(visit(client, &d, "http://b/"), 3);
    CHECK_EQ(visit(client, &d, "http://a/"), 4);
    pirn_http_client_free(client);
    site_close(&d.site);
    return 0;
}

START_TEST(s168_as_many_are_kept_as_may_be)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, two_kept, NULL));
}
END_TEST

/* ---- What is given up is closed -------------------------------------------------------------- */

/* That are open. */
static int sockets(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    char what[32];
    int n = 0;
    CHECK(dir);
    while ((entry = readdir(dir)) != NULL)
        n += readlinkat(dirfd(dir), entry->d_name, what, sizeof what) > 7 &&
             memcmp(what, "socket:", 7) == 0;
    closedir(dir);
    return n;
}

/* The server takes nothing, and the client does not go on sending when the call is over. */
static int unsent(void *arg)
{
    enum {
        MUCH = 64 << 20
    };
    static char much[MUCH];
    struct sockaddr_in addr;
    pirn_http_client *client;
    pirn_http_response *response;
    char url[64];
    (void)arg;
    int listener = support_listen(&addr, 16);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(addr.sin_port));
    CHECK_OK(pirn_http_client_new(&client, NULL));
    int before = sockets();
    CHECK_EQ(pirn_http_post(client, url, NULL, much, MUCH, &response, pirn_after_ms(100)),
             -ETIMEDOUT);
    CHECK_EQ(sockets(), before);
    pirn_http_client_free(client);
    pirn_close(listener);
    return 0;
}

START_TEST(s168_a_call_that_is_given_up_sends_no_more)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, unsent, NULL));
}
END_TEST

SUPPORT_MAIN("http/pool", s168_a_kept_connection_that_says_something_is_not_used,
             s168_a_new_connection_that_is_not_answered_is_the_last,
             s168_as_many_are_kept_as_may_be, s168_a_call_that_is_given_up_sends_no_more)
