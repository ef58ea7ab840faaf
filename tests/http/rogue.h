/* A server of the test's own making, which need not keep to the rules: one reply, to whatever it is
 * asked. */
#ifndef PIRN_TESTS_HTTP_ROGUE_H
#define PIRN_TESTS_HTTP_ROGUE_H

#include "tests/http/site.h"

#include <stdio.h>

struct rogue {
    int listener, port;
    const char *reply; /* to each request */
    int served;        /* replies until it hangs up; then it takes the next connection */
    bool silent;       /* it closes before it replies the one after that */
    atomic_int connections, requests, over;
};

/* One request (it has no body) has come whole; 0: the end. */
static inline int rogue_hear(int fd)
{
    char buf[2048];
    size_t n = 0;
    do {
        ssize_t got = pirn_recv(fd, buf + n, sizeof buf - 1 - n, 0, PIRN_NEVER);
        if (got <= 0)
            return 0;
        n += (size_t)got;
        buf[n] = '\0';
    } while (strstr(buf, "\r\n\r\n") == NULL);
    return 1;
}

static inline int rogue(void *arg)
{
    struct rogue *r = arg;
    for (;;) {
        int fd = pirn_accept(r->listener, NULL, NULL, 0, PIRN_NEVER);
        if (fd < 0)
            return 0;
        atomic_fetch_add(&r->connections, 1);
        for (int i = 0; i < r->served && rogue_hear(fd); i++) {
            atomic_fetch_add(&r->requests, 1);
            site_say(fd, r->reply);
        }
        if (r->silent && rogue_hear(fd))
            atomic_fetch_add(&r->requests, 1);
        pirn_close(fd);
        if (atomic_load(&r->over))
            return 0;
    }
}

static inline pirn_task *rogue_open(struct rogue *r)
{
    struct sockaddr_in addr;
    r->listener = support_listen(&addr, 16);
    r->port = ntohs(addr.sin_port);
    return support_spawn(rogue, r);
}

static inline void rogue_close(struct rogue *r, pirn_task *task)
{
    atomic_store(&r->over, 1);
    pirn_cancel(task, NULL);
    CHECK_OK(support_join(task));
    pirn_close(r->listener);
}

/* What a GET gives, and what its body. */
static inline int rogue_ask(pirn_http_client *client, const struct rogue *r, ssize_t *ret_body)
{
    pirn_http_response *response;
    char url[64], *body;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", r->port);
    int err = pirn_http_get(client, url, &response, PIRN_NEVER);
    if (err < 0)
        return err;
    int status = pirn_http_response_status(response);
    *ret_body = pirn_http_response_all(response, &body, 1000, PIRN_NEVER);
    if (*ret_body >= 0)
        free(body);
    pirn_http_response_free(response);
    return status;
}

#endif
