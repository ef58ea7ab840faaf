/* One end of a connection: messages out of a stream, and bytes into it. Both sides stand on it. */
#ifndef PIRN_HTTP_WIRE_H
#define PIRN_HTTP_WIRE_H

#include "api/http/message.h"
#include "api/http/text.h"

#include <pirn/http.h>

enum {
    WIRE_COPY = 8 * 1024,   /* what is written in pieces of less is copied together */
    WIRE_SLICE = 64 * 1024, /* handed to the stream at a time: no more of a large body is copied */
    WIRE_HEADS = 16,        /* heads in a row that are taken out of one view */
};

struct wire {
    pirn_stream *stream;
    struct message in;
    struct text out; /* not handed to the stream yet */
    const char
        *view; /* of what the stream has buffered, until it is asked again; NULL: none is kept */
    uint32_t seen, taken; /* bytes of it; those of heads are consumed later */
    uint8_t heads;
    bool shared;     /* the stream is in a program's hands too: no view is kept */
    bool hold;       /* out stays where it is while a body is read */
    bool listens;    /* a send ends with -EPIPE when a response has come that refuses its message */
    int error;       /* of the message that comes, for good */
    pirn_span stall; /* how long the peer may take none of it; 0: as long as it likes */
};

void pirn_http_wire_init(struct wire *w, pirn_stream *stream, bool response,
                         const struct message_limits *limits);
void pirn_http_wire_free(struct wire *w); /* not the stream */

/* Consumes what is taken: before anybody else looks at the stream. 0, or an error of the stream. */
int pirn_http_wire_settle(struct wire *w);

/* A look at what the stream has now: how many bytes, -ETIMEDOUT if less than that, or an error. For
 * questions that a cancel is no answer to: it stays pending, for a call that says so. */
ssize_t pirn_http_glance(pirn_stream *stream, const char **ret_data, size_t least);

/* Called before the first byte of a head is waited for (begun false; all that was in out has been
 * handed to the stream), and when that has come. The deadline for what follows (NULL: nothing, all
 * of it is here); < 0: give up, with that. */
typedef int (*wire_wait)(void *user, bool begun, pirn_time *ret_deadline);

/* The next head, parsed. What is in out is sent before it waits. 0; -ENODATA: the peer has ended
 * instead; -EBADMSG, see in.refused; -ECONNRESET, -ENOMEM, -ETIMEDOUT, -ECANCELED and errors of the
 * stream. */
int pirn_http_wire_head(struct wire *w, wire_wait wait, void *user);

/* 1 to n bytes of the body, 0 at its end. What is in out is sent before it waits: the peer may be
 * waiting for that. Beyond errors of the stream: -EBADMSG, -EMSGSIZE, -ECONNRESET, which stay. */
ssize_t pirn_http_wire_body(struct wire *w, void *buf, size_t n, pirn_time deadline);

/* What has come of a body that somebody wanted all of, and did not get: the bytes of text from at
 * on go before those that come. Zeroed: nothing. */
struct kept {
    struct text text;
    size_t at;
};

static inline size_t kept_n(const struct kept *kept)
{
    return kept->text.used - kept->at;
}

/* Up to n bytes of it. */
size_t pirn_http_kept_take(struct kept *kept, void *buf, size_t n);
void pirn_http_kept_free(struct kept *kept);

/* Reads on into kept, with read(user, ...), until the body's end, or until it is more than max
 * bytes: -EMSGSIZE. length: what is to come, or -1. What has come stays in kept, but for an error
 * of read that is there to stay. How many bytes it has. */
typedef ssize_t (*wire_read)(void *user, void *buf, size_t n, pirn_time deadline);
ssize_t pirn_http_keep_all(struct kept *kept, wire_read read, void *user, int64_t length,
                           size_t max, pirn_time deadline);
/* The same, and it is handed over: malloc, and a NUL. */
ssize_t pirn_http_read_all(struct kept *kept, wire_read read, void *user, int64_t length,
                           char **ret_body, size_t max, pirn_time deadline);

/* Of the body of a message whose head has come: what is to come, -1: nobody knows. */
static inline int64_t wire_left(const struct wire *w)
{
    return w->in.stage == MESSAGE_DONE ? 0 : w->in.length < 0 ? -1 : w->in.length - w->in.received;
}

/* upgrade.c. Does that message, a request or a 101, speak of a switch to the protocol? */
bool pirn_http_switches(const struct message *m, const char *protocol);

/* json.c. -EBADMSG; -EINVAL, -ENOMEM */
int pirn_http_parse_json(const char *text, size_t n, struct json_t **ret_json);
int pirn_http_print_json(const struct json_t *json, char **ret_text); /* malloc */

/* Sends out, and bytes behind it (NULL: none); waits until the peer has taken most of it. After an
 * error nobody knows what has been sent; but what is left of out after -ETIMEDOUT, -ECANCELED or
 * -ENOMEM is what the stream has not got, so without bytes it goes on with the next call. */
int pirn_http_wire_send(struct wire *w, const void *bytes, size_t n, pirn_time deadline);

/* Waits until the peer has taken all that the stream has. 0, or an error of the stream; -ETIMEDOUT:
 * it has taken nothing for as long as stall. */
int pirn_http_wire_flush(struct wire *w);

static inline pirn_time wire_sooner(pirn_time a, pirn_time b)
{
    return a.ns < b.ns ? a : b;
}

#endif
