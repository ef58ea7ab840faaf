/* One message after the other, from bytes: a table of headers, then a body. Knows no stream. */
#ifndef PIRN_HTTP_MESSAGE_H
#define PIRN_HTTP_MESSAGE_H

#include "api/http/grammar.h"
#include "api/http/head.h"
#include <sys/types.h>

enum message_stage {
    MESSAGE_HEAD,
    MESSAGE_BODY,
    MESSAGE_DONE,
    MESSAGE_BAD, /* for good; see refused */
};

/* What of a chunked body is not data, byte by byte. */
enum message_framing {
    FRAMING_SIZE,    /* a chunk's first digit is due */
    FRAMING_DIGITS,  /* more of them, or what ends them */
    FRAMING_LINE,    /* extensions, a trailer */
    FRAMING_LINE_LF, /* its CR has come */
    FRAMING_DATA_CR, /* data has come */
    FRAMING_DATA_LF,
};

struct message_limits {
    struct head_limits head;
    int64_t body; /* -1: none */
};

struct message_field {
    const char *name, *value; /* in text */
};

/* Headers that decide what a message is. */
enum message_known {
    KNOWN_HOST,
    KNOWN_EXPECT,
    KNOWN_LENGTH, /* Content-Length */
    KNOWN_CODING, /* Transfer-Encoding */
    KNOWN_CONNECTION,
    KNOWN_COUNT
};

struct message {
    grammar grammar;
    struct head_scan scan;
    const struct message_limits *limits;
    enum message_stage stage;
    int refused; /* MESSAGE_BAD: the HTTP status that says why */
    bool response;
    bool bodiless; /* the response to a HEAD, or one whose status says so */
    bool keep_alive;
    bool chunked;
    bool complete; /* the parser library has said so */
    bool valued;   /* the last header has its value */

    struct message_field *fields; /* with text behind them: one piece of memory, of so many bytes */
    size_t room;
    int field_count;
    struct {
        uint16_t first; /* its place in fields, */
        uint16_t count; /* if there is one */
    } known[KNOWN_COUNT];
    char *text; /* the head, with NULs where a name, a value ends */
    char *target;
    char *spare; /* of a request: room for twice its target, with NULs */
    const char *method;
    int status, minor;

    int64_t length; /* of the body; -1: not known */
    int64_t received;
    /* limits->body, until somebody who has seen the head says otherwise; -1: none */
    int64_t body_limit;

    /* while a piece of body is decoded */
    char *out;
    size_t got;
    const char
        *seen; /* what is before it has been looked at; of a head that is parsed: its beginning */
    enum message_framing framing;
    int64_t overhead; /* bytes of framing beyond what chunks need */
};

void pirn_http_message_init(struct message *m, bool response, const struct message_limits *limits);
/* Gives the memory of a head back: at its end, or when the next is not to be had soon. */
void pirn_http_message_free(struct message *m);

/* Another begins. bodiless: as m->bodiless. */
void pirn_http_message_next(struct message *m, bool bodiless);

/* The head, as far as it has come, from its beginning: its length, once all of it is there and
 * parsed; 0: more is needed; -EBADMSG, and m->refused is set; -ENOMEM. */
ssize_t pirn_http_message_head(struct message *m, const char *data, size_t n);

/* Nothing but empty lines has come before a request's head, by what the last look at it has found:
 * how many bytes. It is looked at anew, from behind them; 0: something has begun, or nothing. */
size_t pirn_http_message_skip(struct message *m);

/* Decodes up to n bytes of what follows the head into out, which has room for n. *ret_used of them
 * were the message's, *ret_got bytes of body they gave. 0, or -EBADMSG, and m->refused is set. */
int pirn_http_message_body(struct message *m, const char *data, size_t n, char *out,
                           size_t *ret_used, size_t *ret_got);

/* The peer has ended: 0, that was the body's end; or -ECONNRESET. */
int pirn_http_message_ended(struct message *m);

/* table.c: an empty table for a head of n bytes that head.c has looked at, and what the library
 * calls while it parses them. 0, -ENOMEM. */
int pirn_http_table_begin(struct message *m, const char *data, size_t n);
int pirn_http_table_target(grammar *g, const char *at, size_t n);
int pirn_http_table_name(grammar *g, const char *at, size_t n);
int pirn_http_table_value(grammar *g, const char *at, size_t n);

/* Might a Host say that? It is not looked at closely; but no two servers read it in two ways. */
bool pirn_http_is_host(const char *text);

/* The first header of that name, whatever its case; NULL: none. */
const char *pirn_http_message_find(const struct message *m, const char *name);
/* Does a header of that name, a list, have that word in it, whatever its case? */
bool pirn_http_message_lists(const struct message *m, const char *name, const char *word);
/* The first of them; NULL: there is none. */
static inline const char *message_known(const struct message *m, enum message_known which)
{
    return m->known[which].count != 0 ? m->fields[m->known[which].first].value : NULL;
}

int pirn_http_message_at(const struct message *m, size_t i, const char **ret_name,
                         const char **ret_value); /* 0, -ENOENT */

#endif
