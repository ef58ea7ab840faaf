/* Messages that are odd, and some that are meant to do harm. */
#include "tests/http/site.h"

/* ---- Responses ----------------------------------------------------------------------------- */

struct oddity {
    int listener;
    const char *reply; /* to each request */
};

static int answer(void *arg)
{
    const struct oddity *o = arg;
    char request[2048];
    int fd = pirn_accept(o->listener, NULL, NULL, 0, PIRN_NEVER);
    CHECK_GE(fd, 0);
    for (;;) {
        size_t n = 0;
        do {
            ssize_t got = pirn_recv(fd, request + n, sizeof request - 1 - n, 0, PIRN_NEVER);
            if (got <= 0)
                return pirn_close(fd);
            n += (size_t)got;
            request[n] = '\0';
        } while (strstr(request, "\r\n\r\n") == NULL);
        site_say(fd, o->reply);
    }
}

/* RFC 9112, 6.3: these have no body, whatever lengths they speak of. */
static int no_body(void *arg)
{
    static const char *const replies[] = {
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 500\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 500\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n",
    };
    (void)arg;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct sockaddr_in addr;
        struct oddity o = {support_listen(&addr, 16), replies[i]};
        pirn_http_client *client;
        pirn_task *task = support_spawn(answer, &o);
        char url[64];
        snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(addr.sin_port));
        CHECK_OK(pirn_http_client_new(&client, NULL));
        for (int k = 0; k < 2; k++) { /* over one connection: there is one accept */
            pirn_http_response *response;
            char byte;
            CHECK_OK(pirn_http_get(client, url, &response, PIRN_NEVER));
            CHECK_EQ(pirn_http_response_read(response, &byte, 1, PIRN_NEVER), 0);
            pirn_http_response_release(response);
        }
        pirn_http_client_free(client);
        CHECK_OK(support_join(task));
        pirn_close(o.listener);
    }
    return 0;
}

START_TEST(s168_what_has_no_body_has_none)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, no_body, NULL));
}
END_TEST

SUPPORT_MAIN("http/odd", s168_what_has_no_body_has_none)
