/* A client's inside: its connections, in use and kept. */
#ifndef PIRN_API_HTTP_CLIENT_H
#define PIRN_API_HTTP_CLIENT_H

#include "api/http/url.h"
#include "api/http/wire.h"

#include <pthread.h>
#include <stdatomic.h>

/* One scheme, host and port. There while somebody uses it: a call, a response, a kept
 * connection. */
struct host {
    struct host *next;
    bool secure;
    uint16_t port;
    int users;             /* under the client's lock, as is: */
    struct link *kept;     /* its connections, the last to be kept first */
    pirn_semaphore places; /* for connections in use */
    char name[];
};

/* A connection. In use it belongs to its call or response, kept to the client, under its lock. */
struct link {
    struct link *next, *prev;           /* kept ones, the longest idle first */
    struct link *host_next, *host_prev; /* those of its host, the last to be kept first */
    struct host *host;
    struct wire wire;
    pirn_time idle_since;
    bool reused;
};

/* Field            who may touch it
 * config, limits, agent   constant
 * refs             anybody, atomically: the program, and each response
 * lock             guards all else */
struct pirn_http_client {
    _Atomic uint32_t refs;
    pirn_http_client_config config;
    struct message_limits limits;
    char *agent;
    pthread_mutex_t lock;
    struct host **hosts; /* by name and port; buckets: a power of 2, no fewer than there are hosts,
                            as memory allows */
    unsigned host_bits, host_count;
    struct link *oldest, *newest;
    int idle_count;
    bool over; /* the program has freed it: nothing is kept any more */
};

struct pirn_http_response {
    pirn_http_client *client;
    struct link *link;   /* NULL: the body is over, and it has been given back */
    struct message head; /* then */
    struct kept kept;    /* of the body */
};

enum {
    HOST_BITS = 4 /* of a client's first buckets */
};

/* client.c: gives up a reference. */
void pirn_http_client_unref(pirn_http_client *client);

/* pool.c. A connection to the place: a kept one that still stands, if kept is true, or a new one.
 * Waits while too many are in use. What connecting returns, -ETIMEDOUT, -ECANCELED, -ENOMEM, ... */
int pirn_http_pool_take(pirn_http_client *client, const struct url *url, bool kept,
                        struct link **ret_link, pirn_time deadline);
/* Gives it back, to be kept; or (reusable false, or there are enough) closes it. */
void pirn_http_pool_give(pirn_http_client *client, struct link *link, bool reusable);
/* Closes those that have been idle for too long, or all. */
void pirn_http_pool_sweep(pirn_http_client *client, bool all);

/* response.c: if the body is at its end, gives the connection back. */
void pirn_http_response_settle(pirn_http_response *response);

/* connect.c */
int pirn_http_connect(pirn_http_client *client, const struct host *host, pirn_stream **ret_stream,
                      pirn_time deadline);

#endif
