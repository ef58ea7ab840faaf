/* A server's inside, and its connections'. */
#ifndef PIRN_API_HTTP_SERVER_H
#define PIRN_API_HTTP_SERVER_H

#include "api/http/router.h"
#include "api/http/wire.h"

#include <pthread.h>
#include <stdatomic.h>

/* Field            who may touch it
 * config, limits, accepts   constant
 * lock             guards connections, count, over, and router until fixed is set
 * handles          anybody, atomically
 * empty            anybody
 * stopping, spare_new   set by who stops it; read by connections */
struct pirn_http_server {
    pirn_http_server_config config;
    struct message_limits limits;
    _Atomic uint32_t handles;
    pirn_server *accepts; /* takes the connections; whose drop frees this */
    pthread_mutex_t lock;
    struct router router;
    bool fixed; /* connections read the router */
    struct connection *connections;
    int count;
    bool over;        /* a stop has cancelled all connections: whoever comes is too late */
    pirn_event empty; /* count is 0, since it is stopping */
    atomic_bool stopping, spare_new;
};

enum {
    SKIP_MOST = 256 * 1024 /* of a body that nobody reads; more closes the connection */
};

enum connection_state {
    CONNECTION_IDLE,   /* nothing of the next request has come */
    CONNECTION_NEW,    /* nothing of the first one has */
    CONNECTION_BUSY,   /* from a request's first byte to the end of its reply */
    CONNECTION_CLOSING /* it was idle when the server began to stop: it takes no more */
};

enum reply_stage {
    REPLY_NONE,
    REPLY_WHOLE,
    REPLY_PIECES,   /* head written, pieces follow */
    REPLY_SWITCHED, /* the connection speaks another protocol, and is the handler's */
    REPLY_CUT       /* the connection is of no more use */
};

struct pirn_http_reply {
    struct connection *connection;
    struct text fields; /* headers of the handler's */
    enum reply_stage stage;
    bool has_type, has_date;
    bool chunked;
    bool bare;    /* its end is the connection's, and that has not come */
    int64_t left; /* of a known length */
    size_t tail;  /* REPLY_WHOLE: bytes behind its last header */
};

struct param {
    const char *name, *value;
};

struct pirn_http_request {
    struct connection *connection;
    struct match match;
    char *path; /* as it came, a NUL, and cut up for the router: with the head (message.h) */
    size_t path_len;
    const char *host; /* of an absolute target; NULL: it is none */
    char *query;      /* cut up; NULL: not asked for yet */
    struct param *pairs;
    size_t pair_count;
    struct kept kept; /* of the body; blocking handlers: all of it, read before */
    int64_t waited;   /* for the body, in ns, */
    int64_t quiet;    /* of it since some of it came */
    bool expects;     /* 100-continue, and has not got it */
    int error;        /* of the body, for good */
};

/* Field            who may touch it
 * timer, armed, usable   the connection
 * number           the connection while the phase is FREE or ARMED
 * task             the watch, until the phase is BEGUN; then the connection
 * ended            set by the watch, as its last access */
struct watch {
    pirn_timer timer;
    pirn_event ended;
    pirn_task *task; /* the watch, once it runs */
    unsigned number; /* of the handler it was armed for */
    bool armed, usable;
    _Atomic unsigned char phase; /* see watch.c */
};

/* Field            who may touch it
 * next, prev, cancels   under the server's lock; cancels also by the connection, once it has left
 *                       the list
 * task, before     constant; valid while it is in the list
 * state            the connection, and who stops the server, by compare-and-swap
 * handler          the connection; the watch marks it by compare-and-swap (watch.c)
 * gone             set by the watch, read by handlers anywhere
 * given_up         set by who stops the server, read likewise
 * all else         the connection; a blocking handler's thread in its place while that runs */
struct connection {
    struct connection *next, *prev;
    struct pirn_http_server *server;
    pirn_task *task;
    int cancels; /* of the task, by the server */
    int before;  /* of the task, when it came here */
    _Atomic int state;
    atomic_bool gone, given_up;
    _Atomic unsigned handler;
    bool close;  /* after this reply */
    bool untold; /* the server stops, and the reply that has gone did not say that it is the last */
    bool first;  /* no request has come yet */
    bool blocking; /* the handler is on a thread of the pool */
    struct watch watch;
    struct wire wire;
    struct pirn_http_request request;
    struct pirn_http_reply reply;
    time_t date_of;
    char date[40]; /* the header's line */
    char *label;   /* "GET /path", of a handler that is watched; under the server's lock */
};

/* request.c */
int pirn_http_request_begin(struct connection *c); /* 0, or an HTTP status */
void pirn_http_request_end(struct connection *c);
ssize_t pirn_http_request_read(void *connection, void *buf, size_t n, pirn_time deadline);
int pirn_http_request_read_ahead(
    struct connection *c); /* all of the body, for a blocking handler */

/* reply.c */
void pirn_http_reply_start(struct connection *c);
/* The handler has returned: completes what it replied. 0, or -EPIPE: the connection must be cut. */
int pirn_http_reply_end(struct connection *c, int status);
void pirn_http_reply_error(struct connection *c, int status);
/* A whole reply is still here, all of it behind its headers. */
bool pirn_http_reply_is_here(const struct connection *c);
/* Then it is told to be the last. */
void pirn_http_reply_be_last(struct connection *c);

/* handler.c: runs the handler, watched. Its status. */
int pirn_http_handle(struct connection *c);

/* connection.c. Under the server's lock, of one that is in the list. */
void pirn_http_connection_cancel(struct connection *c, const char *reason);

/* watch.c. Around each handler; and when the connection is going to wait for a request, or to
 * end. */
void pirn_http_watch_init(struct connection *c);
void pirn_http_watch_handler(struct connection *c);
void pirn_http_watch_handled(struct connection *c);
void pirn_http_watch_end(struct connection *c);
void pirn_http_watch_free(struct connection *c); /* or that is left to the watch */
/* The handler that runs is not watched any more; named: who names what does not end names it, until
 * it is said again without. */
void pirn_http_watch_stop(struct connection *c, bool named);

/* server.c: a line for the report. */
void pirn_http_report(struct pirn_http_server *server, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* serve.c: begins to stop: idle connections are cancelled, busy ones serve no other request;
 * spare_new: those that nothing has come of yet may bring one. */
void pirn_http_server_ends(struct pirn_http_server *server, bool spare_new);

/* connection.c: serves it until its end. The stream stays the caller's, and is closed; opens: by
 * way of config->open. -ENOMEM: it has not been touched. */
int pirn_http_connection_run(struct pirn_http_server *server, pirn_stream *stream, bool opens);

#endif
