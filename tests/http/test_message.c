/* Messages from bytes: heads, limits, what is refused, bodies of every coding, cut up in every
 * way. */
#include "api/http/message.h"
#include "tests/support.h"

static const struct message_limits limits = {{16384, 8192, 100}, 1 << 20};

struct outcome {
    int refused; /* 0: accepted */
    int messages;
    char body[256];
    size_t body_len;
};

/* Feeds text in pieces of so many bytes; the head is shown as it grows. */
static struct outcome feed(bool response, const struct message_limits *lim, const char *text,
                           size_t n, size_t piece, bool ended)
{
    struct outcome outcome = {0};
    struct message m;
    size_t begin = 0, have = 0;
    pirn_http_message_init(&m, response, lim);
    while (begin < n || have < n) {
        have = have + piece < n ? have + piece : n;
        bool moved = true;
        while (moved && m.stage != MESSAGE_BAD) {
            moved = false;
            if (m.stage == MESSAGE_HEAD) {
                ssize_t length = pirn_http_message_head(&m, text + begin, have - begin);
                CHECK(length >= 0 || length == -EBADMSG);
                if (length > 0)
                    begin += (size_t)length;
                moved = length > 0;
            }
            if (m.stage == MESSAGE_BODY && have > begin) {
                char out[1024];
                size_t used, got;
                CHECK_LE(have - begin, sizeof out);
                if (pirn_http_message_body(&m, text + begin, have - begin, out, &used, &got) == 0) {
                    CHECK_LE(outcome.body_len + got, sizeof outcome.body);
                    memcpy(outcome.body + outcome.body_len, out, got);
                    outcome.body_len += got;
                    begin += used;
                    moved = used > 0;
                }
            }
            if (m.stage == MESSAGE_DONE) {
                outcome.messages++;
                pirn_http_message_next(&m, false);
                moved = true;
                if (begin == n)
                    goto out;
            }
        }
        if (m.stage == MESSAGE_BAD || have == n)
            break;
    }
    if (ended && m.stage == MESSAGE_BODY && pirn_http_message_ended(&m) == 0)
        outcome.messages++;
out:
    outcome.refused = m.refused;
    pirn_http_message_free(&m);
    return outcome;
}

/* In one piece, byte by byte, and between; always the same. */
static struct outcome feed_all(bool response, const char *text, bool ended)
{
    struct outcome first = feed(response, &limits, text, strlen(text), strlen(text), ended);
    for (size_t piece = 1; piece < 8; piece++) {
        struct outcome again = feed(response, &limits, text, strlen(text), piece, ended);
        CHECK_EQ(first.refused, again.refused);
        CHECK_EQ(first.messages, again.messages);
        if (first.refused == 0) {
            CHECK_EQ(first.body_len, again.body_len);
            CHECK(memcmp(first.body, again.body, first.body_len) == 0);
        }
    }
    return first;
}

static int refused(const char *text)
{
    return feed_all(false, text, false).refused;
}

START_TEST(s168_a_head_becomes_a_table)
{
    static const char text[] = "POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nEmpty:\r\nSpaces:  a b \t \r\n"
                               "Content-Length: 0\r\n\r\nrest";
    struct message m;
    pirn_http_message_init(&m, false, &limits);
    for (size_t n = 0; n < sizeof text - 5; n++)
        CHECK_EQ(pirn_http_message_head(&m, text, n), 0);
    CHECK_EQ(pirn_http_message_head(&m, text, sizeof text - 1), sizeof text - 5);
    CHECK(strcmp(m.method, "POST") == 0);
    CHECK(strcmp(m.target, "/a/b?c=d") == 0);
    CHECK_EQ(m.field_count, 4);
    CHECK(strcmp(pirn_http_message_find(&m, "host"), "x") == 0);
    CHECK(strcmp(pirn_http_message_find(&m, "EMPTY"), "") == 0);
    CHECK(strcmp(pirn_http_message_find(&m, "spaces"), "a b") == 0);
    CHECK(pirn_http_message_find(&m, "spac") == NULL);
    CHECK_EQ(m.stage, MESSAGE_DONE);
    CHECK(m.keep_alive);
    pirn_http_message_free(&m);
}
END_TEST

START_TEST(s168_a_header_may_be_empty)
{
    static const char text[] =
        "GET / HTTP/1.1\r\nHost:\r\nFirst:\r\nBlank: \t \r\nfull:x\r\nHOST2: y\r\nLast:\r\n\r\n";
    static const char *const expected[][2] = {{"Host", ""},  {"First", ""},  {"Blank", ""},
                                              {"full", "x"}, {"HOST2", "y"}, {"Last", ""}};
    struct message m;
    pirn_http_message_init(&m, false, &limits);
    CHECK_EQ(pirn_http_message_head(&m, text, sizeof text - 1), sizeof text - 1);
    CHECK_EQ(m.field_count, 6);
    for (size_t i = 0; i < 6; i++) {
        const char *name, *value;
        CHECK_OK(pirn_http_message_at(&m, i, &name, &value));
        CHECK(strcmp(name, expected[i][0]) == 0);
        CHECK(strcmp(value, expected[i][1]) == 0);
    }
    pirn_http_message_free(&m);
}
END_TEST

/* Eight bytes are looked at together: wherever a byte is among them, it is seen. */
/* RFC 9112, 9.3: close goes before all else. RFC 9110, 5.6.1: elements of a list may be empty. */
static bool kept(const char *version, const char *fields)
{
    char text[256];
    struct message m;
    int n = snprintf(text, sizeof text, "GET / HTTP/%s\r\nHost: x\r\n%s\r\n", version, fields);
    pirn_http_message_init(&m, false, &limits);
    CHECK_EQ(pirn_http_message_head(&m, text, (size_t)n), n);
    bool keep_alive = m.keep_alive;
    pirn_http_message_free(&m);
    return keep_alive;
}

START_TEST(s168_close_ends_a_connection)
{
    static const char *const last[] = {
        "close",     "CLOSE",      "TE, close", "close, keep-alive", "keep-alive, close",
        ", close",   "a,, close",  "close\t",   "a ,close\t, b",     "keep-alive ,\t, Close",
        "@b, close", "close\t, b", ",,close,,",
    };
    static const char *const others[] = {"closed", "close-it", "a close", "close=1", "x-close", ""};
    char fields[128];
    for (size_t i = 0; i < sizeof last / sizeof last[0]; i++) {
        snprintf(fields, sizeof fields, "Connection: %s\r\n", last[i]);
        CHECK(!kept("1.1", fields));
        CHECK(!kept("1.0", fields));
    }
    CHECK(!kept("1.1", "Connection: keep-alive\r\nconnection: close\r\n"));
    CHECK(!kept("1.1", "Connection:\r\nConnection: ,close\r\nConnection: a\r\n"));
    CHECK(!kept("1.0", "Connection: keep-alive\r\nConnection: close\r\n"));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(fields, sizeof fields, "Connection: %s\r\n", others[i]);
        CHECK(kept("1.1", fields));
        CHECK(!kept("1.0", fields));
    }
    CHECK(kept("1.0", "Connection: keep-alive\r\n"));
    CHECK(kept("1.1", "X-Connect: close\r\n"));
}
END_TEST

START_TEST(s168_every_byte_at_every_place)
{
    enum {
        LENGTH = 20
    };
    for (size_t at = 1; at < LENGTH; at++)
        for (int c = 0; c < 256; c++) {
            char text[LENGTH + 1], head[128];
            memset(text, 'a', LENGTH);
            text[LENGTH] = '\0';
            text[0] = '/';
            text[at] = (char)c;
            CHECK_EQ(pirn_http_is_value(text, LENGTH), (c >= ' ' && c != 0x7f) || c == '\t');
            if (c == '\0')
                continue; /* it would end the head */
            int n = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", text);
            struct outcome o = feed(false, &limits, head, (size_t)n, (size_t)n, false);
            CHECK_EQ(o.refused, c > ' ' && c < 0x7f && c != '#' ? 0 : 400);
        }
}
END_TEST

START_TEST(s168_pipelined_requests_come_one_after_the_other)
{
    struct outcome o =
        feed_all(false,
                 "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
                 "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                 "POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "2\r\nde\r\n1;x=y\r\nf\r\n0\r\nTrailer: t\r\n\r\n"
                 "\r\nGET /4 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
                 "POST /5 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
                 "Content-Length: 3\r\n\r\nghi"
                 "GET /6 HTTP/1.0\r\n\r\n",
                 false);
    CHECK_EQ(o.refused, 0);
    CHECK_EQ(o.messages, 6);
    CHECK_EQ(o.body_len, 9);
    CHECK(memcmp(o.body, "abcdefghi", 9) == 0);
}
END_TEST

START_TEST(s168_responses_end_by_length_by_chunks_or_by_the_connection)
{
    struct outcome o =
        feed_all(true,
                 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
                 "HTTP/1.1 204\r\n\r\n"
                 "HTTP/1.1 100 Continue\r\n\r\n"
                 "HTTP/1.1 404 N F\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n"
                 "HTTP/1.0 200 OK\r\n\r\nall the rest",
                 true);
    CHECK_EQ(o.refused, 0);
    CHECK_EQ(o.messages, 5);
    CHECK_EQ(o.body_len, 15);
    CHECK(memcmp(o.body, "abcall the rest", 15) == 0);
}
END_TEST

START_TEST(s168_a_status_has_three_digits)
{
    static const char *const texts[] = {"HTTP/1.1 099 X\r\n\r\n", "HTTP/1.1 000 X\r\n\r\n",
                                        "HTTP/1.1 20 X\r\n\r\n", "HTTP/1.1 2000 X\r\n\r\n",
                                        "HTTP/1.1 2x0 X\r\n\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        CHECK_EQ(feed_all(true, texts[i], false).refused, 400);
    CHECK_EQ(feed_all(true, "HTTP/1.1 100 X\r\n\r\n", false).refused, 0);
}
END_TEST

START_TEST(s168_a_body_that_breaks_off_is_no_body)
{
    struct message m;
    static const char *texts[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    };
    for (int i = 0; i < 2; i++) {
        char out[64];
        size_t used, got, n = strlen(texts[i]);
        pirn_http_message_init(&m, true, &limits);
        ssize_t length = pirn_http_message_head(&m, texts[i], n);
        CHECK(length > 0);
        CHECK_OK(
            pirn_http_message_body(&m, texts[i] + length, n - (size_t)length, out, &used, &got));
        CHECK_EQ(pirn_http_message_ended(&m), -ECONNRESET);
        CHECK_EQ(m.stage, MESSAGE_BAD);
        pirn_http_message_free(&m);
    }
}
END_TEST

#define HEAD "POST / HTTP/1.1\r\nHost: x\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"

START_TEST(s168_what_could_smuggle_a_request_is_refused)
{
    CHECK_EQ(refused(HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
    CHECK_EQ(refused(HEAD "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"), 400);
    CHECK_EQ(refused(HEAD "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), 400);
    CHECK_EQ(refused(HEAD "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"), 400);
    CHECK_EQ(refused(HEAD "Content-Length: 3, 3\r\n\r\nabc"), 400);
    CHECK_EQ(refused(HEAD "Content-Length: +3\r\n\r\nabc"), 400);
    CHECK_EQ(refused(HEAD "Content-Length: -3\r\n\r\nabc"), 400);
    CHECK_EQ(refused(HEAD "Content-Length: 0x3\r\n\r\nabc"), 400);
    CHECK_EQ(refused(HEAD "Content-Length:\r\n\r\nabc"), 400);
    CHECK_EQ(refused(HEAD "Content-Length: 99999999999999999999999\r\n\r\n"), 400);
    CHECK_EQ(refused(HEAD "Content-Length : 3\r\n\r\nabc"), 400);
    CHECK_EQ(refused(HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    CHECK(refused(HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n") >= 400);
    CHECK(refused(HEAD "Transfer-Encoding: xchunked\r\n\r\n") >= 400);
    CHECK(refused(HEAD "Transfer-Encoding: \x0b"
                       "chunked\r\n\r\n") >= 400);
    CHECK_EQ(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
    CHECK_EQ(refused("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"), 400);
    CHECK_EQ(refused("GET / HTTP/1.1\r\n\r\n"), 400);
    CHECK_EQ(refused("GET / HTTP/1.1\r\nHost: x y\r\n\r\n"), 400);
    CHECK_EQ(refused("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"), 400); /* obs-fold */
    CHECK_EQ(refused("GET / HTTP/1.1\r\n Host: x\r\n\r\n"), 400);
    CHECK_EQ(refused("GET / HTTP/1.1\nHost: x\n\n"), 400);
    CHECK_EQ(refused("GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"), 400);
    CHECK_EQ(refused("GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n"), 400);
    CHECK_EQ(refused("GET / HTTP/1.1\r\nHost: x\r\nA: b\x01\r\n\r\n"), 400);
    CHECK_EQ(refused("GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n"), 400);
    CHECK_EQ(refused("GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n"), 400);
}
END_TEST

START_TEST(s168_chunks_are_what_they_say)
{
    CHECK_EQ(refused(CHUNKED "5\r\nhello\r\n0\r\n\r\n"), 0);
    CHECK_EQ(refused(CHUNKED "5\r\nhelloXY0\r\n\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "5\r\nhello\rX0\r\n\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "5\r\nhello\n\n0\r\n\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "5\rXhello\r\n0\r\n\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "5\nhello\r\n0\r\n\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "5;a\nb\r\nhello\r\n0\r\n\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "\r\nhello\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "g\r\nhello\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "\xfe\r\n\r\n"), 400); /* http_parser's zero */
    CHECK_EQ(refused(CHUNKED "5\xfe\r\nhello\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "5 x\r\nhello\r\n0\r\n\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "5 \r\nhello\r\n0\r\n\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "0005;a=\"b\"\r\nhello\r\n0\r\n\r\n"), 0);
    CHECK_EQ(refused(CHUNKED "-5\r\nhello\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "0x5\r\nhello\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "fffffffffffffffff\r\nhello\r\n"), 400);
    CHECK_EQ(refused(CHUNKED "0\r\nTrailer: x\n\r\n"), 400);
}
END_TEST

START_TEST(s168_what_is_no_http_1_is_refused)
{
    CHECK_EQ(refused("GET / HTTP/2.0\r\nHost: x\r\n\r\n"), 505);
    CHECK_EQ(refused("GET / HTTP/1.2\r\nHost: x\r\n\r\n"), 505);
    CHECK_EQ(refused("GET /\r\n\r\n"), 400);
    CHECK_EQ(refused("GET  / HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    CHECK_EQ(refused("GET / HTTP/1.1 \r\nHost: x\r\n\r\n"), 400);
    CHECK_EQ(refused("GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    CHECK_EQ(refused("NONSENSE / HTTP/1.1\r\nHost: x\r\n\r\n"), 501);
    CHECK_EQ(refused("CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n"), 501);
    CHECK_EQ(refused("\x16\x03\x01\x02"), 400); /* TLS, on the wrong port */
    CHECK_EQ(feed_all(true, "HTTP/1.1 20 OK\r\n\r\n", false).refused, 400);
    CHECK_EQ(feed_all(true, "HTTP/2 200 OK\r\n\r\n", false).refused, 400);
    CHECK_EQ(feed_all(true, "\r\nHTTP/1.1 200 OK\r\n\r\n", false).refused, 400);
}
END_TEST

/* What may be sent: n bytes of it make the message too long, n - 1 do not. */
static int refused_with(const struct message_limits *lim, const char *begin, char fill, size_t n,
                        const char *end, size_t piece)
{
    size_t begin_len = strlen(begin), end_len = strlen(end);
    char *text = malloc(begin_len + n + end_len);
    CHECK(text != NULL);
    memcpy(text, begin, begin_len);
    memset(text + begin_len, fill, n);
    memcpy(text + begin_len + n, end, end_len);
    struct outcome o = feed(false, lim, text, begin_len + n + end_len, piece, false);
    free(text);
    return o.refused;
}

START_TEST(s168_limits)
{
    static const struct message_limits small = {{300, 100, 3}, 10};
    for (size_t piece = 1; piece < 400; piece = piece * 3 + 1) {
        CHECK_EQ(refused_with(&small, "GET /", 'a', 99, " HTTP/1.1\r\nHost: x\r\n\r\n", piece), 0);
        CHECK_EQ(refused_with(&small, "GET /", 'a', 100, " HTTP/1.1\r\nHost: x\r\n\r\n", piece),
                 414);
        CHECK_EQ(refused_with(&small, "GET /", 'a', 1000, "", piece), 414);
        CHECK_EQ(
            refused_with(&small, "GET / HTTP/1.1\r\nHost: x\r\nA: ", 'a', 268, "\r\n\r\n", piece),
            0);
        CHECK_EQ(
            refused_with(&small, "GET / HTTP/1.1\r\nHost: x\r\nA: ", 'a', 269, "\r\n\r\n", piece),
            431);
        CHECK_EQ(refused_with(&small, "GET / HTTP/1.1\r\nHost: x\r\nA: ", 'a', 1000, "", piece),
                 431);
    }
    CHECK_EQ(refused_with(&small, "GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\n", 0, 0, "\r\n", 9),
             0);
    CHECK_EQ(refused_with(&small, "GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\nC: 3\r\n", 0, 0,
                          "\r\n", 9),
             431);
    CHECK_EQ(refused_with(&small, HEAD "Content-Length: 10\r\n\r\n", 'a', 10, "", 4), 0);
    CHECK_EQ(refused_with(&small, HEAD "Content-Length: 11\r\n\r\n", 'a', 0, "", 4), 413);
    CHECK_EQ(refused_with(&small, CHUNKED "a\r\n", 'a', 10, "\r\n0\r\n\r\n", 4), 0);
    CHECK_EQ(refused_with(&small, CHUNKED "a\r\n", 'a', 10, "\r\n1\r\nb\r\n", 4), 413);
    CHECK_EQ(refused_with(&small, CHUNKED "1;", 'x', 20000, "\r\nb\r\n0\r\n\r\n", 200), 400);
    CHECK_EQ(refused_with(&small, CHUNKED "0\r\nA: ", 'x', 20000, "\r\n\r\n", 200), 400);
}
END_TEST

SUPPORT_MAIN("http/message", s168_a_head_becomes_a_table, s168_a_header_may_be_empty,
             s168_close_ends_a_connection, s168_every_byte_at_every_place,
             s168_pipelined_requests_come_one_after_the_other,
             s168_responses_end_by_length_by_chunks_or_by_the_connection,
             s168_a_status_has_three_digits, s168_a_body_that_breaks_off_is_no_body,
             s168_what_could_smuggle_a_request_is_refused, s168_chunks_are_what_they_say,
             s168_what_is_no_http_1_is_refused, s168_limits)
