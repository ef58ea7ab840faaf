/*
 * Requests of every kind in a row, in one piece and cut up anywhere: each has its own reply, in
 * order, and nobody gets the bytes of the next. (The server takes several heads out of one view of
 * its stream: wire.c.)
 */
#include "tests/http/site.h"

#include <stdlib.h>

enum {
    REQUESTS = 100,
    MOST = 256 /* bytes of one, and of its reply */
};

/* GET /path/N: N */
static int reply_number(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)user;
    return pirn_http_reply_text(reply, 200, pirn_http_param(request, "number"));
}

static int reply_body(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char *body;
    (void)user;
    ssize_t n = pirn_http_body_all(request, &body, MOST, PIRN_NEVER);
    if (n < 0)
        return (int)n;
    int rc = pirn_http_reply_bytes(reply, 200, NULL, body, (size_t)n);
    free(body);
    return rc;
}

/* What follows the head is no request, but four bytes for the handler: it says so in its own
 * way. */
static int reply_raw(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char bytes[4];
    pirn_stream *stream = pirn_http_stream(request);
    (void)user;
    CHECK_EQ(pirn_stream_read_exactly(stream, bytes, sizeof(bytes), NULL, PIRN_NEVER), 4);
    return pirn_http_reply_bytes(reply, 200, NULL, bytes, sizeof(bytes));
}

static size_t add_request(char *text, int i, bool raw)
{
    static const char *const kinds[] = {
        "GET /plain/%04d HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /plain/%04d?a=b HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\nX-Long: a\tb c d "
        "e\r\n\r\n",
        "OPTIONS /plain/%04d HTTP/1.1\r\nHost: x\r\n\r\n",
        "\r\nGET http://x/plain/%04d HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /plain/%04d HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        "GET /blocking/%04d HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n%04d",
        "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
        "chunked\r\n\r\n4\r\n%04d\r\n0\r\n\r\n",
        "GET /raw HTTP/1.1\r\nHost: x\r\n\r\n%04d",
    };
    size_t most = sizeof(kinds) / sizeof(kinds[0]) - !raw;
    /* mostly plain ones, so that there are longer rows of them than one view gives */
    size_t kind = support_random() % 4 != 0 ? 0 : support_random() % most;
    int n = snprintf(text, MOST, kinds[kind], i); /* NOLINT: they are above */
    CHECK_LE(n, MOST - 1);
    return (size_t)n;
}

static void expect(const char *text)
{
    for (int i = 0; i < REQUESTS; i++) {
        char right[16];
        snprintf(right, sizeof(right), "\r\n\r\n%04d", i);
        BEGINS(text, "HTTP/1.1 200 OK\r\n");
        text = strstr(text, "\r\n\r\n");
        CHECK(text != NULL);
        BEGINS(text, right);
        text += strlen(right);
    }
    CHECK(*text == '\0');
}

static void ask_in_a_row(const struct site *site, size_t piece, bool raw)
{
    char *requests = malloc((size_t)REQUESTS * MOST), *replies = malloc((size_t)REQUESTS * MOST);
    size_t n = 0;
    CHECK(requests != NULL && replies != NULL);
    for (int i = 0; i < REQUESTS; i++)
        n += add_request(requests + n, i, raw);
    int fd = site_dial(site);
    for (size_t at = 0; at < n;) {
        size_t now = n - at < piece ? n - at : piece;
        CHECK_EQ(pirn_send(fd, requests + at, now, 0, PIRN_NEVER), (ssize_t)now);
        at += now;
        if (piece < n)
            CHECK_OK(pirn_yield());
    }
    site_hear_words(fd, replies, (size_t)REQUESTS * MOST, "HTTP/1.1 200 OK\r\n", REQUESTS);
    while (strstr(replies, "\r\n\r\n0099") == NULL) {
        size_t have = strlen(replies);
        ssize_t got = pirn_recv(fd, replies + have, 64, 0, PIRN_NEVER);
        CHECK_GE(got, 1);
        replies[have + (size_t)got] = '\0';
    }
    expect(replies);
    pirn_close(fd);
    free(requests);
    free(replies);
}

static int in_a_row(void *arg)
{
    struct site site;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "*", "/plain/{number}", reply_number, NULL);
    site_route_blocking(&site, "GET", "/blocking/{number}", reply_number, NULL);
    site_route(&site, "POST", "/body", reply_body, NULL);
    site_route(&site, "GET", "/raw", reply_raw, NULL);
    site_open(&site);
    for (int raw = 0; raw < 2; raw++) {
        ask_in_a_row(&site, SIZE_MAX, raw != 0);
        for (int i = 0; i < 8; i++)
            ask_in_a_row(&site, 1 + support_random() % 400, raw != 0);
    }
    site_close(&site);
    return 0;
}

START_TEST(s171_requests_in_a_row_do_not_get_into_one_another)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, in_a_row, NULL));
}
END_TEST

SUPPORT_MAIN("http/pipeline", s171_requests_in_a_row_do_not_get_into_one_another)
