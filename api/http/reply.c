/*
 * What a handler replies: whole, or piece by piece.
 *
 * A whole reply is written into the wire's out, head and body, and stays there until the connection
 * would wait for the next request; so pipelined requests are answered with one write. Pieces go at
 * once.
 *
 * Nothing that a handler gives becomes a line of a head but by pirn_http_text_field, which refuses
 * line ends. What frames the message (Content-Length, Transfer-Encoding, Connection) is written
 * here alone.
 */
#include "api/http/head.h"
#include "api/http/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    DATE_LINE = 37, /* its length */
    HEAD_MOST =
        STATUS_MOST + 192 /* a head without the handler's headers and what it says of its type */
};

void pirn_http_reply_start(struct connection *c)
{
    struct pirn_http_reply *r = &c->reply;
    r->stage = REPLY_NONE;
    r->fields.used = 0;
    r->fields.failed = false;
    r->has_type = r->has_date = r->chunked = r->bare = false;
    r->left = 0;
}

int pirn_http_reply_header(pirn_http_reply *reply, const char *name, const char *value)
{
    if (reply == NULL || name == NULL || value == NULL)
        return -EINVAL;
    if (reply->stage != REPLY_NONE)
        return -EALREADY;
    if (strcasecmp(name, "Connection") == 0 || strcasecmp(name, "Content-Length") == 0 ||
        strcasecmp(name, "Transfer-Encoding") == 0)
        return -EINVAL;
    size_t before = reply->fields.used;
    int err = pirn_http_text_field(&reply->fields, name, value);
    if (err == 0 && reply->fields.failed) { /* half of it may be there */
        reply->fields.used = before;
        reply->fields.failed = false;
        err = -ENOMEM;
    }
    if (err == 0) {
        reply->has_type |= strcasecmp(name, "Content-Type") == 0;
        reply->has_date |= strcasecmp(name, "Date") == 0;
    }
    return err;
}

/* ---- Heads ------------------------------------------------------------------------------- */

static void two_digits(char *at, int number)
{
    at[0] = (char)('0' + number / 10 % 10);
    at[1] = (char)('0' + number % 10);
}

/* Year, month from 0 and day of the month of the n-th day since 1970, in the Gregorian calendar
 * (Howard Hinnant's civil_from_days: years that begin in March, so that a leap day is the last of
 * its). */
static void civil(int64_t n, int *ret_year, int *ret_month, int *ret_day)
{
    n += 719468; /* from the first of March of the year 0 */
    int64_t era = n / 146097, of_era = n % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    *ret_day = (int)(of_year - (153 * month + 2) / 5) + 1;
    *ret_month = (int)(month < 10 ? month + 2 : month - 10);
    *ret_year = (int)(year + era * 400) + (*ret_month < 2);
}

/* Each connection formats it once a second; without snprintf, which needs a second page of its
 * stack, and gmtime, which takes a lock and reads the time zone's file. */
static const char *date(struct connection *c)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != c->date_of) {
        static const char days[] = "SunMonTueWedThuFriSat";
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        int64_t day = now.tv_sec / 86400;
        int second = (int)(now.tv_sec % 86400), year, month, of_month;
        civil(day, &year, &month, &of_month);
        memcpy(c->date, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", DATE_LINE);
        memcpy(c->date + 6, days + 3 * ((day + 4) % 7), 3); /* the first was a Thursday */
        two_digits(c->date + 11, of_month);
        memcpy(c->date + 14, months + 3 * month, 3);
        two_digits(c->date + 18, year / 100);
        two_digits(c->date + 20, year);
        two_digits(c->date + 23, second / 3600);
        two_digits(c->date + 26, second / 60 % 60);
        two_digits(c->date + 29, second % 60);
        c->date_of = now.tv_sec;
    }
    return c->date;
}

static bool has_body(int status)
{
    return status != 204 && status != 304;
}

static bool is_head(const struct connection *c)
{
    const char *method = c->wire.in.method;
    return method != NULL && *method == 'H' && strcmp(method, "HEAD") == 0;
}

/* What frames the body: length, or -1. */
static char *put_framing(struct connection *c, char *at, int status, int64_t length)
{
    const struct message *in = &c->wire.in;
    /* relaxed: a reply that is late to know of the stop is followed by a closed connection */
    if (!in->keep_alive || c->request.expects ||
        atomic_load_explicit(&c->server->stopping, memory_order_relaxed))
        c->close = true;
    if (has_body(status)) {
        if (length >= 0) {
            at = text_puts(at, "Content-Length: ");
            at = pirn_http_put_number(at, (uint64_t)length);
            at = text_puts(at, "\r\n");
        } else if (in->minor > 0) {
            at = text_puts(at, "Transfer-Encoding: chunked\r\n");
            c->reply.chunked = true;
        } else {
            c->reply.bare = c->close = true;
        }
    }
    if (c->close)
        at = text_puts(at, "Connection: close\r\n");
    else if (in->minor == 0)
        at = text_puts(at, "Connection: keep-alive\r\n");
    return at;
}

/* All of it, with room for `more` bytes behind it, or nothing: -EINVAL, -ENOMEM. The room is made
 * at once, and what it is for written without looking: with that, numbers divided by a constant,
 * and the router's paths decoded only if they are coded, a request of sixteen in a row takes 3,790
 * instructions and not 4,150. */
static int add_head(struct connection *c, int status, const char *type, int64_t length, size_t more)
{
    struct text *out = &c->wire.out;
    const struct text *fields = &c->reply.fields;
    size_t type_len = type != NULL && !c->reply.has_type ? strlen(type) : 0;
    if (type != NULL && !pirn_http_is_value(type, type_len))
        return -EINVAL;
    if (out->failed || more > SIZE_MAX / 8 ||
        !pirn_http_text_room(out, HEAD_MOST + type_len + fields->used + more)) {
        out->failed = false;
        return -ENOMEM;
    }
    char *at = pirn_http_put_status(out->data + out->used, status);
    if (!c->reply.has_date)
        at = text_put(at, date(c), DATE_LINE);
    if (type != NULL && !c->reply.has_type) {
        at = text_puts(at, "Content-Type: ");
        at = text_put(at, type, type_len);
        at = text_puts(at, "\r\n");
    }
    at = text_put(at, fields->data, fields->used);
    at = text_puts(put_framing(c, at, status, length), "\r\n");
    out->used = (size_t)(at - out->data);
    return 0;
}

static int check(const pirn_http_reply *reply, int status)
{
    if (reply == NULL || status < 200 || status > 599)
        return -EINVAL;
    return reply->stage == REPLY_NONE ? 0 : -EALREADY;
}

/* ---- Whole ------------------------------------------------------------------------------- */

static bool leaves_too_much(const struct connection *c)
{
    const struct message *in = &c->wire.in;
    return in->stage == MESSAGE_BODY && in->length >= 0 && in->length - in->received > SKIP_MOST;
}

int pirn_http_reply_bytes(pirn_http_reply *reply, int status, const char *type, const void *body,
                          size_t n)
{
    int err = check(reply, status);
    if (err == 0 && body == NULL && n > 0)
        err = -EINVAL;
    if (err < 0)
        return err;
    struct connection *c = reply->connection;
    bool with_body = has_body(status) && !is_head(c);
    if (leaves_too_much(c))
        c->close = true;
    err = add_head(c, status, type, (int64_t)n, with_body ? n : 0);
    if (err < 0)
        return err;
    reply->tail = 2 + (with_body ? n : 0);
    if (with_body)
        pirn_http_text_add(&c->wire.out, body, n); /* there is room */
    reply->stage = REPLY_WHOLE;
    return 0;
}

int pirn_http_reply_text(pirn_http_reply *reply, int status, const char *text)
{
    if (text == NULL)
        return -EINVAL;
    return pirn_http_reply_bytes(reply, status, "text/plain; charset=utf-8", text, strlen(text));
}

int pirn_http_reply_json(pirn_http_reply *reply, int status, const struct json_t *json)
{
    if (json == NULL)
        return -EINVAL;
    char *text;
    int err = pirn_http_print_json(json, &text);
    if (err < 0)
        return err;
    err = pirn_http_reply_bytes(reply, status, "application/json", text, strlen(text));
    free(text);
    return err;
}

void pirn_http_reply_error(struct connection *c, int status)
{
    const char *reason = pirn_http_reason(status);
    if (pirn_http_reply_bytes(&c->reply, status, "text/plain", reason, strlen(reason)) < 0) {
        c->reply.stage =
            REPLY_CUT; /* better than that it be taken for a handler's without words: 200 */
        c->close = true;
    }
}

bool pirn_http_reply_is_here(const struct connection *c)
{
    return c->reply.stage == REPLY_WHOLE && c->wire.out.used >= c->reply.tail;
}

void pirn_http_reply_be_last(struct connection *c)
{
    static const char line[] = "Connection: close\r\n";
    struct text *out = &c->wire.out;
    const size_t n = sizeof(line) - 1, tail = c->reply.tail;
    c->close = true;
    if (!pirn_http_text_room(out, n))
        return;
    char *at = out->data + out->used - tail;
    memmove(at + n, at, tail);
    memcpy(at, line, n);
    out->used += n;
}

/* ---- Piece by piece ---------------------------------------------------------------------- */

int pirn_http_reply_begin(pirn_http_reply *reply, int status, const char *type, int64_t length)
{
    int err = check(reply, status);
    if (err == 0 && length < -1)
        err = -EINVAL;
    if (err == 0)
        err = add_head(reply->connection, status, type, length, 0);
    if (err < 0)
        return err;
    reply->stage = REPLY_PIECES;
    reply->left = has_body(status) ? length : 0;
    if (is_head(reply->connection))
        reply->left = 0;
    return 0;
}

/* Sends what is in out, and bytes behind it. */
static int send_piece(struct connection *c, const char *bytes, size_t n, pirn_time deadline)
{
    if (c->blocking) { /* on another thread: it goes when the handler has returned */
        pirn_http_text_add(&c->wire.out, bytes, n);
        return c->wire.out.failed ? -ENOMEM : 0;
    }
    return pirn_http_wire_send(&c->wire, bytes, n, deadline);
}

ssize_t pirn_http_reply_write(pirn_http_reply *reply, const void *buf, size_t n, pirn_time deadline)
{
    if (reply == NULL)
        return -EINVAL;
    struct connection *c = reply->connection;
    struct text *out = &c->wire.out;
    int err;
    if (reply->stage == REPLY_CUT)
        return -EPIPE;
    if (reply->stage != REPLY_PIECES || (buf == NULL && n > 0))
        return -EINVAL;
    if (is_head(c) || n == 0)
        return (ssize_t)n;
    if (reply->left >= 0 && (uint64_t)reply->left < n)
        return -EMSGSIZE;
    if (reply->left > 0)
        reply->left -= (int64_t)n;
    if (reply->chunked)
        pirn_http_text_chunk(out, n);
    if (n < WIRE_COPY) {
        pirn_http_text_add(out, buf, n);
        if (reply->chunked)
            pirn_http_text_puts(out, "\r\n");
        err = send_piece(c, NULL, 0, deadline);
    } else {
        err = send_piece(c, buf, n, deadline);
        if (reply->chunked)
            pirn_http_text_puts(out, "\r\n"); /* goes with the next piece, or the end */
    }
    if (err < 0) {
        reply->stage = REPLY_CUT;
        return err;
    }
    return (ssize_t)n;
}

/* ---- Its end ----------------------------------------------------------------------------- */

/* What a client is told of a handler that failed. */
static int status_of(int err)
{
    switch (err) {
    case -EMSGSIZE:
        return 413;
    case -ETIME:
        return 408;
    case -EBADMSG:
    case -EINVAL:
        return 400;
    default:
        return 500;
    }
}

int pirn_http_reply_end(struct connection *c, int status)
{
    struct pirn_http_reply *r = &c->reply;
    if (status < 0 && r->stage == REPLY_NONE) {
        r->fields.used = 0;
        r->has_type = r->has_date = false;
        pirn_http_reply_error(c, status_of(status));
    } else if (status < 0 && r->stage == REPLY_PIECES) {
        r->stage = REPLY_CUT;
    } else if (r->stage == REPLY_NONE) {
        if (pirn_http_reply_bytes(r, 200, NULL, NULL, 0) < 0)
            r->stage = REPLY_CUT;
    } else if (r->stage == REPLY_PIECES) {
        if (r->left > 0)
            r->stage = REPLY_CUT;
        else if (r->chunked && !is_head(c))
            pirn_http_text_puts(&c->wire.out, "0\r\n\r\n");
    }
    if (c->wire.out.failed)
        r->stage = REPLY_CUT;
    return r->stage == REPLY_CUT || r->stage == REPLY_NONE ? -EPIPE : 0;
}
