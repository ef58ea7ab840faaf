/* A client whose server replies, and does not hear the rest of its request. */
#include "tests/http/site.h"

#include <poll.h>

/* A server that hears a request's head, says something, and then nothing until the client goes; or
 * hears all of it. */
struct curt {
    int fd;
    const char *reply;
    size_t heard; /* how much it is to hear; 0: the head, and that is enough */
};

static int be_curt(void *arg)
{
    const struct curt *c = arg;
    static char text[65536];
    site_hear_words(c->fd, text, 2048, "\r\n\r\n", 1);
    site_say(c->fd, c->reply);
    if (c->heard == 0)
        CHECK_GE(pirn_poll(c->fd, POLLRDHUP, PIRN_NEVER), 1);
    size_t n = strlen(strstr(text, "\r\n\r\n") + 4);
    while (n < c->heard) {
        ssize_t got = pirn_recv(c->fd, text, sizeof text, 0, PIRN_NEVER);
        CHECK_GE(got, 1);
        n += (size_t)got;
    }
    if (c->heard > 0)
        site_say(c->fd, "ok");
    return pirn_close(c->fd);
}

static ssize_t nothing_but_as(void *user, void *buf, size_t n, pirn_time deadline)
{
    size_t *left = user;
    (void)deadline;
    n = n < *left ? n : *left;
    memset(buf, 'a', n);
    *left -= n;
    return (ssize_t)n;
}

static int connect_to(void *user, pirn_stream **ret_stream, const char *scheme, const char *host,
                      uint16_t port, pirn_time deadline)
{
    (void)scheme, (void)host, (void)port, (void)deadline;
    return pirn_stream_new(ret_stream, *(int *)user, NULL);
}

static void upload(const char *reply, int status, bool whole)
{
    enum {
        MUCH = 4 << 20
    };
    struct curt c = {.reply = reply, .heard = whole ? MUCH : 0};
    pirn_http_client_config config = PIRN_HTTP_CLIENT_CONFIG_INIT;
    pirn_http_call call = PIRN_HTTP_CALL_INIT;
    pirn_http_client *client;
    pirn_http_response *response;
    size_t left = MUCH;
    int pair[2];
    char *body;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    c.fd = pair[0];
    config.connect = connect_to;
    config.connect_user = &pair[1];
    CHECK_OK(pirn_http_client_new(&client, &config));
    call.method = "POST";
    call.url = "http://x/";
    call.body_read = nothing_but_as;
    call.body_user = &left;
    call.body_length = whole ? MUCH : -1;
    pirn_task *task = support_spawn(be_curt, &c);
    CHECK_OK(pirn_http_send(client, &call, &response, PIRN_NEVER));
    CHECK_EQ(pirn_http_response_status(response), status);
    CHECK_EQ(pirn_http_response_all(response, &body, 10, PIRN_NEVER), 2);
    CHECK_EQ(left == 0, whole);
    free(body);
    pirn_http_response_free(response);
    CHECK_OK(support_join(task));
    pirn_http_client_free(client);
}

static int refused(void *arg)
{
    (void)arg;
    upload("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno", 413, false);
    upload("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
           "HTTP/1.1 307 There\r\nContent-Length: 2\r\n\r\nno",
           307, false);
    upload("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 200, true);
    return 0;
}

START_TEST(s168_who_is_refused_stops_sending)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, refused, NULL));
}
END_TEST

SUPPORT_MAIN("http/refused", s168_who_is_refused_stops_sending)
