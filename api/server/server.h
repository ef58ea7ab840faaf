/*
 * What the files of this folder share: a server, where it listens, its connections.
 *
 *   server.c      made, closed, waited for, stopped
 *   listen.c      where it listens: addresses, paths
 *   listener.c    the tasks that accept, from their start to their end
 *   connection.c  a connection's task, from its accept to its end
 *
 * References to the memory: one of all handles together, one of each listener, one of each
 * connection.
 *
 * Field                     who may touch it
 * handles, refs             anybody, atomically
 * closed, listeners, last, accepting, failed, failure, connections, cancelled, named, live
 *                           holders of the lock; failure is constant once unheard is set
 * slots, unheard, quiet     see their types; unheard is set once it is closed and no longer
 *                           accepts, quiet once there are no connections either: both at most once
 * the others                constant
 */
#ifndef PIRN_API_SERVER_SERVER_H
#define PIRN_API_SERVER_SERVER_H

#include <pirn.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "api/net/net.h"
#include "runtime/wait.h"

struct listener {
    struct listener *next;
    pirn_server *server;    /* a reference */
    _Atomic uint32_t holds; /* its task's, and its maker's */
    pirn_task *task;        /* accepts; under the server's lock until it is gone: NULL */
    bool listed;            /* in the server's list, and freed with it; written by its maker */
    bool open;              /* under the server's lock */
    int fd;                 /* -1 until it is listed */
    pirn_address address;
    char *path; /* of a Unix socket that has one, else NULL */
    struct socket_file file;
};

struct connection {
    struct connection *next, **at; /* under the server's lock: in a list; what points to it */
    pirn_server *server;           /* a reference */
    _Atomic uint32_t holds;        /* its task's, and its maker's */
    pirn_stream *stream;
    pirn_task *task; /* a reference, given up at its end */
};

struct pirn_server {
    _Atomic uint32_t handles, refs;
    pirn_server_fn fn;
    void *user;
    pirn_runtime *runtime;
    pirn_server_config config;
    pirn_stream_config stream_config;

    struct lock lock;
    bool closed;
    struct listener *listeners, *last;
    unsigned accepting; /* listeners whose task is there */
    int failed;         /* what a listener has ended with by itself; 0: none has */
    int failure;        /* that has closed the server, as no other was left */
    struct connection *connections, *cancelled, *named; /* those a stop has seen to, and reported */
    int live;

    pirn_semaphore slots; /* with a limit: what is free of it */
    pirn_event unheard, quiet;
};

void pirn_server_ref(pirn_server *server); /* to the memory */
void pirn_server_unref(pirn_server *server);

/* After something has ended: tells who waits for that. Without the lock. */
void pirn_server_look(pirn_server *server);

/* Marks it closed and ends its accepts; true: just now. Does not wait. */
bool pirn_server_shut(pirn_server *server);

/* Begins to accept at all of n descriptors, which are the server's from now on; or at none, and
 * they are still the caller's. path (or NULL) is what they are bound to, file what has come to be
 * there. */
int pirn_listeners_add(pirn_server *server, const int *fds, size_t n, const char *path,
                       struct socket_file file);

/* A connection, which has taken one of the slots; fd is closed and the slot given back if this
 * fails. It is the listener's until it has started or ended. */
int pirn_connection_new(struct connection **ret_connection, pirn_server *server, int fd);
/* Its task, named after `from`. -EAGAIN, -ENOMEM: it is still the listener's, who may try again. */
int pirn_connection_start(struct connection *c, const pirn_address *from);
void pirn_connection_end(struct connection *c); /* instead: it never gets a task */

/* Cancels all connections there are now, also those that another stop has cancelled or named. */
void pirn_connections_cancel(pirn_server *server, const char *reason);
/* Reports the name of each that has been cancelled and not been named. */
void pirn_connections_name(pirn_server *server);

#endif
