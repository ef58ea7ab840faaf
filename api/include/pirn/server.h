/*
 * Servers: a coroutine per connection.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 *
 *     static int handle(pirn_stream *stream, void *user)
 *     {
 *         char buf[4096];
 *         ssize_t n;
 *         while ((n = pirn_stream_read(stream, buf, sizeof(buf), PIRN_NEVER)) > 0) {
 *             pirn_stream_write(stream, buf, (size_t)n);
 *             int rc = pirn_stream_drain(stream, pirn_after_s(60));
 *             if (rc != 0)
 *                 return rc;
 *         }
 *         return (int)n;
 *     }
 *
 *     pirn_server *server = NULL;
 *     pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
 *     config.limit = 10000;
 *     config.idle = pirn_span_s(60); // who says nothing for a minute is sent away
 *     int rc = pirn_server_new(&server, handle, NULL, &config);
 *     if (rc == 0)
 *         rc = pirn_server_listen(server, "127.0.0.1", "8080", NULL, PIRN_NEVER);
 *     if (rc == 0)
 *         rc = pirn_server_serve(server); // until it is closed, or this task is cancelled
 *     pirn_server_stop(server, pirn_after_s(10));
 *     pirn_server_release(server);
 *
 * A handler's connection is closed when it returns: what was written is sent first, within
 * config->linger, then the end; and what the peer still says is read and thrown away until it has
 * closed, too, or has said nothing for half a second: else it could lose the last reply. (A task
 * that has been cancelled does not wait for that; and where another coroutine reads, nothing is
 * thrown away.) But if the handler returns -ECANCELED all that is dropped. (One that says goodbye
 * when it is cancelled returns 0.) A handler that fails is reported, once, by the peer's address
 * ("connection" where it has none, as a Unix client), but not for a peer that has broken its
 * connection (-ECONNRESET, -EPIPE); the server goes on. Other coroutines may use the stream beside
 * the handler if they retain it; for them it is closed (-EBADF) once the handler has returned.
 *
 * A server of TLS is one that opens each connection by it, with a context (<pirn/tls.h>):
 *
 *     config.open = pirn_tls_open;
 *     config.open_user = context;
 *
 * Without a descriptor, a task (max_tasks) or memory for the next connection a server pauses, which
 * it reports, once a second at most, and tries again: who comes meanwhile waits. A close or stop
 * resets who still does: to lose nobody, hand the socket on.
 *
 * To hand a listening socket on to another process, a newer version say: the program makes it
 * itself, by pirn_listen, keeps a duplicate (fcntl F_DUPFD_CLOEXEC), and adds it (pirn_server_add).
 * The duplicate goes by a pirn_process_config's fds, or by pirn_send_fds; the other process adds
 * it, too, and says so; then this one stops. Nobody is turned away meanwhile. (Of a Unix socket
 * that was added the path stays.)
 * (After asyncio's start_server and Server.)
 */
#ifndef PIRN_SERVER_H
#define PIRN_SERVER_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

typedef struct pirn_server pirn_server; /* counted by reference */

/* The stream is the server's. What it returns is the status of the connection's task. [coroutine,
 * on no strand: handlers run beside each other] */
typedef int (*pirn_server_fn)(pirn_stream *stream, void *user);

typedef struct pirn_server_config {
    size_t size; /* sizeof(pirn_server_config), set by PIRN_SERVER_CONFIG_INIT */
    int limit;   /* connections at once; more wait in the backlog, but see refuse. 0: any number */
    pirn_span linger;  /* how long what a handler has written may take to be sent once it has
                         returned; 0: 30 s */
    pirn_span grace;   /* of pirn_server_stop: for those that it has cancelled; 0: 5 s */
    size_t stack_size; /* of a handler; 0: the runtime's default */
    /* As a pirn_stream_config's: a read of a handler's for which no byte has come for so long ends
     * with -ETIMEDOUT. A handler that returns that has not failed, and is not reported. 0: what
     * stream says. */
    pirn_span idle;
    const pirn_stream_config *stream; /* copied; NULL: the defaults */
    /* A connection beyond the limit is accepted and closed at once, so that its peer can go
     * elsewhere, instead of waiting: it costs a descriptor for that moment. */
    bool refuse;
    void (*drop)(void *user); /* called once, by whoever is last, when no handler runs any more and
                                         none will; must not suspend. NULL: nothing to do */
    /* Puts a stream of the program's over a connection's, which the handler gets instead: TLS, by
     * pirn_tls_open (<pirn/tls.h>). In the connection's task and on its stack; it may suspend,
     * others are accepted meanwhile. If it returns 0 below belongs to the new stream (or is it).
     * After an error the server closes what *ret_stream is by then, or below if that was left
     * alone; the handler is not called. Reported are -EINVAL, -EPERM and -ENOMEM: others are taken
     * for the peer's doing. NULL: there is none. */
    int (*open)(void *user, pirn_stream **ret_stream, pirn_stream *below, pirn_time deadline);
    void *open_user;
    pirn_span open_time; /* that it is given; 0: 10 s */
} pirn_server_config;

#define PIRN_SERVER_CONFIG_INIT \
    { \
        sizeof(pirn_server_config), 0, {0}, {0}, 0, {0}, NULL, false, NULL, NULL, NULL, \
        { \
            0 \
        } \
    }

/* A server that does not listen yet, in the caller's runtime. config may be NULL. [coroutine; does
 * not suspend] -EINVAL, -EPERM, -ENOMEM: config->drop has not been called */
PIRN_API PIRN_MUST_USE int pirn_server_new(pirn_server **ret_server, pirn_server_fn fn, void *user,
                                           const pirn_server_config *config);

/*
 * Listens, and accepts from now on. Any number of calls. [coroutine] -ESHUTDOWN: it is closed;
 * -ENOMEM, -EAGAIN (max_tasks).
 *   listen        at every address of host (NULL: the machine's; see pirn_listen), all with one
 *                 port: service "0" or NULL is one that is free at all of them. Suspends for a
 *                 name. -EADDRINUSE and what pirn_listen returns; then it listens at none of them.
 *                 An address of a family the machine lacks is passed over
 *   listen_unix   see pirn_listen_unix; the path goes when it is closed, unless it is another's by
 *                 then. Suspends for a path
 *   add           at a listening socket of the program's own: it is the server's now; if this fails
 *                 it is still the caller's. -EINVAL (it does not listen), -EBADF, -ENOTSOCK
 */
PIRN_API PIRN_MUST_USE int pirn_server_listen(pirn_server *server, const char *host,
                                              const char *service, const pirn_listen_config *config,
                                              pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_server_listen_unix(pirn_server *server, const char *path,
                                                   const pirn_listen_config *config,
                                                   pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_server_add(pirn_server *server, int fd);

/* Where it listens: the i-th address, in the order in which they were added; -ENOENT: there are not
 * as many, or it is closed. And the first IP port. [anywhere] */
PIRN_API PIRN_MUST_USE int pirn_server_address(pirn_server *server, size_t i,
                                               pirn_address *ret_address);
PIRN_API int pirn_server_port(pirn_server *server);

/* Waits until it is closed: 0. A cancel of the caller closes it: -ECANCELED. So does an error by
 * which the last of its listeners can accept no more (its socket was shut down, say): that error.
 * [coroutine; suspends] -ESHUTDOWN: it is closed already. */
PIRN_API PIRN_MUST_USE int pirn_server_serve(pirn_server *server);

/* Accepts no more, and no longer listens once this returns. Connections go on. Again: 0. Not
 * cancellable. [coroutine; suspends] */
PIRN_API int pirn_server_close(pirn_server *server);

/* Waits until it is closed and every connection has ended. [anywhere; suspends] -ETIMEDOUT,
 * -ECANCELED */
PIRN_API PIRN_MUST_USE int pirn_server_wait_closed(pirn_server *server, pirn_time deadline);

/*
 * Closes it and waits for the connections: 0. Those that are left at the deadline (or a cancel of
 * the caller) are cancelled and waited for, which no further cancel cuts short: -ETIMEDOUT
 * (-ECANCELED). Those that do not end within config->grace either are named in a report, and left:
 * -EBUSY, and a cancel of the caller stays pending. Called again it does the same again. Not for
 * its own handlers, which would wait for themselves: they call pirn_server_close.
 * [coroutine; suspends]
 */
PIRN_API int pirn_server_stop(pirn_server *server, pirn_time deadline);

PIRN_API int pirn_server_connections(pirn_server *server); /* now; [anywhere] */

PIRN_API pirn_server *pirn_server_retain(pirn_server *server); /* [anywhere] */
/* The last one closes it, without waiting. [anywhere; does not suspend] */
PIRN_API void pirn_server_release(pirn_server *server);

#endif
