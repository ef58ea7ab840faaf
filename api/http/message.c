/*
 * Messages: what the parser library says, made into a table and a body, and what it lets pass,
 * refused.
 *
 *   1. pirn_http_message_head: head.c has looked at every line; when the last is there the library
 *      parses the head, in one piece. Its callbacks make a table of names and values (table.c)
 *   2. check_request, check_length: what the library leaves open. No message with two lengths is
 *      accepted, or with another coding than chunked; one Host; no obs-fold
 *   3. pirn_http_message_body: the library decodes. Its bytes of body are what on_body is told of,
 *      and all else was framing: that is looked at here (check_framing), as the library may not be
 *      strict. It is limited, too: a chunk for every byte, with an extension of kilobytes, would
 *      cost a lot and never come to a body's limit
 *   4. The library stops behind the message's last byte; what follows is the next message's
 */
#include "api/http/message.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_OVERHEAD = 16 * 1024, /* bytes of extensions and trailers in a body */
    CHUNK_OVERHEAD = 16,      /* what a chunk may take without being counted */
};

/* ---- What the library calls --------------------------------------------------------------- */

static int on_head_complete(grammar *g)
{
    struct message *m = g->data;
    m->chunked = (g->flags & F_CHUNKED) != 0;
    m->keep_alive = pirn_http_grammar_keep_alive(g);
    if (m->response) /* these have none, whatever length they speak of (RFC 9112, 6.3) */
        m->bodiless |= g->status_code < 200 || g->status_code == 204 || g->status_code == 304;
    return m->bodiless ? 1 : 0;
}

/* The framing up to end. */
static bool check_framing(struct message *m, const char *end)
{
    m->overhead += end - m->seen;
    for (; m->seen < end; m->seen++) {
        switch (m->framing) {
        case FRAMING_SIZE:
            if (!isxdigit((unsigned char)*m->seen))
                return false; /* http_parser takes bytes beyond ASCII for zeros */
            m->framing = FRAMING_DIGITS;
            break;
        case FRAMING_DIGITS:
            if (isxdigit((unsigned char)*m->seen))
                break;
            if (*m->seen != '\r' && *m->seen != ';')
                return false;
            m->framing = *m->seen == '\r' ? FRAMING_LINE_LF : FRAMING_LINE;
            break;
        case FRAMING_LINE:
            if (*m->seen == '\r')
                m->framing = FRAMING_LINE_LF;
            else if (!pirn_http_is_value(m->seen, 1))
                return false;
            break;
        case FRAMING_DATA_CR:
            if (*m->seen != '\r')
                return false;
            m->framing = FRAMING_DATA_LF;
            break;
        case FRAMING_LINE_LF: /* data begins, or, after the last chunk, a trailer */
        case FRAMING_DATA_LF:
            if (*m->seen != '\n')
                return false;
            m->framing = m->framing == FRAMING_LINE_LF ? FRAMING_LINE : FRAMING_SIZE;
            break;
        }
    }
    return m->overhead <= MAX_OVERHEAD;
}

static int on_chunk(grammar *g)
{
    struct message *m = g->data;
    m->overhead -= m->overhead < CHUNK_OVERHEAD ? m->overhead : CHUNK_OVERHEAD;
    return 0;
}

static int on_body(grammar *g, const char *at, size_t n)
{
    struct message *m = g->data;
    if (m->chunked && !check_framing(m, at))
        return -1;
    m->seen = at + n;
    m->framing = FRAMING_DATA_CR;
    m->received += (int64_t)n;
    if (m->body_limit >= 0 && m->received > m->body_limit) {
        m->refused = 413;
        return -1;
    }
    if (m->out + m->got != at) /* else it is decoded where it is */
        memmove(m->out + m->got, at, n);
    m->got += n;
    return 0;
}

static int on_complete(grammar *g)
{
    struct message *m = g->data;
    m->complete = true;
    return pirn_http_grammar_stop(g);
}

static const grammar_settings settings = {
    .on_url = pirn_http_table_target,
    .on_header_field = pirn_http_table_name,
    .on_header_value = pirn_http_table_value,
    .on_headers_complete = on_head_complete,
    .on_chunk_header = on_chunk,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

/* ---- Heads ------------------------------------------------------------------------------- */

void pirn_http_message_init(struct message *m, bool response, const struct message_limits *limits)
{
    memset(m, 0, sizeof(*m));
    m->response = response;
    m->limits = limits;
    pirn_http_message_next(m, false);
}

void pirn_http_message_next(struct message *m, bool bodiless)
{
    memset(&m->scan, 0, sizeof(m->scan));
    m->stage = MESSAGE_HEAD;
    m->refused = 0;
    m->bodiless = bodiless;
    m->keep_alive = m->chunked = m->complete = false;
    m->field_count = 0;
    memset(m->known, 0, sizeof(m->known));
    m->target = NULL;
    m->method = NULL;
    m->status = m->minor = 0;
    m->length = m->received = 0;
    m->body_limit = m->limits->body;
    m->framing = FRAMING_SIZE;
    m->overhead = 0;
}

static int refuse(struct message *m, int status)
{
    m->stage = MESSAGE_BAD;
    if (m->refused == 0)
        m->refused = status;
    return -EBADMSG;
}

size_t pirn_http_message_skip(struct message *m)
{
    size_t n = m->scan.lines == 0 ? m->scan.line : 0;
    if (n != 0)
        memset(&m->scan, 0, sizeof(m->scan));
    return n;
}

/* A head of n bytes. 0 or an HTTP status. */
static int parse(struct message *m, const char *data, size_t n)
{
    size_t used;
    pirn_http_grammar_begin(&m->grammar, &settings, m->response, m);
    int status = pirn_http_grammar_run(&m->grammar, &settings, data, n, &used);
    if (status == 0 && used != n)
        status = 400;
    /* Each line that head.c has seen is in the table: they have read the same head. */
    if (status == 0 && (m->field_count != m->scan.lines - 1 || (m->target == NULL && !m->response)))
        status = 400;
    if (status != 0)
        return status;
    m->minor = m->grammar.http_minor;
    m->status = m->response ? m->grammar.status_code : 0;
    m->method = m->response ? NULL : pirn_http_grammar_method(&m->grammar);
    return 0;
}

/* Lengths: at most one, of digits; and no coding but chunked. 0 or an HTTP status. */
static int check_length(struct message *m)
{
    const char *length = message_known(m, KNOWN_LENGTH);
    const char *coding = message_known(m, KNOWN_CODING);
    if (coding != NULL) {
        if (length != NULL || m->minor == 0 || m->known[KNOWN_CODING].count > 1)
            return 400;
        if (strcasecmp(coding, "chunked") != 0)
            return 501;
        m->length = -1;
        return m->chunked ? 0 : 400;
    }
    if (length != NULL) {
        size_t digits = strspn(length, "0123456789");
        if (m->known[KNOWN_LENGTH].count > 1 || digits == 0 || digits > 18 ||
            length[digits] != '\0')
            return 400;
        m->length = strtoll(length, NULL, 10);
        return 0;
    }
    m->length = m->response && !m->complete ? -1 : 0;
    return 0;
}

bool pirn_http_is_host(const char *text)
{
    return strpbrk(text, " \t,/@?#\\") == NULL;
}

static int check_request(struct message *m)
{
    const char *host = message_known(m, KNOWN_HOST);
    int hosts = m->known[KNOWN_HOST].count;
    if (*m->method == 'C' && strcmp(m->method, "CONNECT") == 0)
        return 501;
    if (hosts > 1 || (hosts == 0 && m->minor > 0))
        return 400;
    if (host != NULL && !pirn_http_is_host(host))
        return 400;
    if (m->limits->body >= 0 && m->length > m->limits->body)
        return 413;
    return 0;
}

bool pirn_http_message_lists(const struct message *m, const char *name, const char *word)
{
    const size_t length = strlen(word);
    for (int i = 0; i < m->field_count; i++) {
        size_t n, own;
        if (strcasecmp(m->fields[i].name, name) != 0)
            continue;
        for (const char *at = m->fields[i].value; *at != '\0'; at += n) {
            at += strspn(at, ", \t");
            n = strcspn(at, ",");
            own = strcspn(at, ", \t");
            if (own == length && own + strspn(at + own, " \t") == n &&
                strncasecmp(at, word, own) == 0)
                return true;
        }
    }
    return false;
}

/* Does a Connection speak of close? That goes before whatever else it says (RFC 9112, 9.3); the
 * library prefers the keep-alive of HTTP/1.0, and is lost behind an empty element, or a tab. */
static bool says_close(const struct message *m)
{
    return m->known[KNOWN_CONNECTION].count != 0 &&
           pirn_http_message_lists(m, "Connection", "close");
}

ssize_t pirn_http_message_head(struct message *m, const char *data, size_t n)
{
    ssize_t length = pirn_http_head_scan(&m->scan, m->response, &m->limits->head, data, n);
    if (length < 0)
        return refuse(m, (int)-length);
    if (length == 0)
        return 0;
    if (pirn_http_table_begin(m, data, (size_t)length) < 0)
        return -ENOMEM;
    int status = parse(m, data, (size_t)length);
    if (status == 0)
        status = check_length(m);
    if (status == 0 && !m->response)
        status = check_request(m);
    if (status != 0)
        return refuse(m, status);
    if (m->keep_alive && says_close(m))
        m->keep_alive = false;
    m->stage = m->complete ? MESSAGE_DONE : MESSAGE_BODY;
    return length;
}

/* ---- Bodies ------------------------------------------------------------------------------ */

int pirn_http_message_body(struct message *m, const char *data, size_t n, char *out,
                           size_t *ret_used, size_t *ret_got)
{
    *ret_used = *ret_got = 0;
    if (m->stage == MESSAGE_DONE || n == 0)
        return 0;
    m->out = out;
    m->got = 0;
    m->seen = data;
    int status = pirn_http_grammar_run(&m->grammar, &settings, data, n, ret_used);
    if (status == 0 && m->chunked && !check_framing(m, data + *ret_used))
        status = 400;
    if (status != 0)
        return refuse(m, status);
    if (m->complete)
        m->stage = MESSAGE_DONE;
    *ret_got = m->got;
    return 0;
}

int pirn_http_message_ended(struct message *m)
{
    size_t used;
    if (m->stage == MESSAGE_DONE)
        return 0;
    if (m->stage == MESSAGE_BODY && m->response && !m->chunked && m->length < 0 &&
        pirn_http_grammar_run(&m->grammar, &settings, NULL, 0, &used) == 0) {
        m->stage = MESSAGE_DONE;
        return 0;
    }
    refuse(m, 400);
    return -ECONNRESET;
}
