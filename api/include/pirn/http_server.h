/* The server: a part of <pirn/http.h>, which says what holds for both. */
#ifndef PIRN_HTTP_SERVER_H
#define PIRN_HTTP_SERVER_H

#include <pirn.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_t; /* jansson's */

typedef struct pirn_http_server pirn_http_server;   /* counted by reference */
typedef struct pirn_http_request pirn_http_request; /* what a client asks */
typedef struct pirn_http_reply pirn_http_reply;     /* what it will be told */

/*
 * What a client meets that goes beyond a limit; then the connection is closed:
 *   max_target             414     max_head, max_headers   431     max_body    413
 *   head_time, body_rate   408     what is no HTTP/1.x     400, 501, 505
 *   an Expect that is not 100-continue: 417
 * idle_time (but in a body: 408), write_time: closed without a word. A connection beyond
 * max_connections waits in the listener's queue, or, with refuse, is closed at once, without a
 * word. Those that are kept open count, too: beside idle ones it waits for up to idle_time.
 *
 * A reply may take as long as it likes while its client goes on taking some of it: write_time, or
 * up to a quarter more, is how long it may take nothing (as nginx's send_timeout). What counts is
 * what the kernel's buffer takes, in which a client that reads a few bytes at a time makes room by
 * larger steps.
 */
typedef struct pirn_http_server_config {
    size_t size;         /* sizeof(pirn_http_server_config), set by PIRN_HTTP_SERVER_CONFIG_INIT */
    size_t max_head;     /* bytes of request line and headers; 0: 16 KiB; 64 KiB at most */
    size_t max_target;   /* bytes of the request target; 0: 8 KiB */
    int max_headers;     /* 0: 100 */
    int64_t max_body;    /* bytes, where a route says nothing else; 0: 1 MiB; -1: any number */
    int max_connections; /* 0: 10,000 */
    bool refuse;         /* whoever is beyond that, see above */
    /* Bytes a second at which a body must come, once body_time is over; 0: 240; -1: any, and
     * idle_time does not hold in bodies. */
    int body_rate;
    pirn_span head_time;  /* for all of a head, from its first byte (or the connect); 0: 10 s */
    pirn_span body_time;  /* how long a body may be waited for before body_rate counts; 0: 5 s */
    pirn_span idle_time;  /* between two requests, or two bytes of a body; 0: 60 s */
    pirn_span write_time; /* a client takes nothing of what was written; 0: 30 s. See above */
    /* How long a handler runs before it is looked whether its client has gone; 0: 50 ms. */
    pirn_span cancel_time;
    pirn_span grace;   /* of pirn_http_server_stop: for those that it has cancelled; 0: 5 s */
    size_t stack_size; /* of handlers' coroutines, at least; 0: the runtime's default */
    /* Hears of handlers that fail or do not end, and of open's own errors; NULL: stderr. */
    void (*report)(void *user, const char *line);
    void *report_user;
    /* Puts a stream of the program's over a connection's: TLS, say. In the connection's task; it
     * may suspend, until head_time is over. If it returns 0 below belongs to the new stream (or is
     * it). After an error the server closes what *ret_stream is by then, or below if that was left
     * alone. Reported are -EINVAL, -EPERM, -ENOMEM and -EPROTONOSUPPORT. NULL: there is none. */
    int (*open)(void *user, pirn_stream **ret_stream, pirn_stream *below, pirn_time deadline);
    void *open_user;
} pirn_http_server_config;
#define PIRN_HTTP_SERVER_CONFIG_INIT \
    { \
        sizeof(pirn_http_server_config), 0, 0, 0, 0, 0, false, 0, {0}, {0}, {0}, {0}, {0}, {0}, 0, \
            NULL, NULL, NULL, NULL \
    }

/*
 * HTTPS: what config->open is to be, with a server's pirn_tls_context (<pirn/tls.h>; alpn
 * "http/1.1") as open_user. A connection that does not come to a handshake is closed without a
 * word. [coroutine; suspends]
 * -EPROTONOSUPPORT: the library was built without TLS; else what pirn_tls_server returns.
 */
PIRN_API PIRN_MUST_USE int pirn_http_open_tls(void *context, pirn_stream **ret_stream,
                                              pirn_stream *below, pirn_time deadline);

/* A server that does not listen yet, in the caller's runtime. config may be NULL. [coroutine; does
 * not suspend] -EINVAL, -EPERM, -ENOMEM */
PIRN_API PIRN_MUST_USE int pirn_http_server_new(pirn_http_server **ret_server,
                                                const pirn_http_server_config *config);

/*
 * Answers a request, in the coroutine of its connection. Returns 0, or a negative errno: if nothing
 * has been replied the client gets 500 (413 for -EMSGSIZE, 408 for -ETIME, 400 for -EBADMSG and
 * -EINVAL); if a reply in pieces is under way the connection is cut off. A failure is reported, but
 * for those four, -ECANCELED, -ECONNRESET, -EPIPE and the -ETIMEDOUT of a write, which are taken
 * for the client's doing: a program's own -EINVAL, or one of a call that it makes elsewhere, is a
 * 400 that nobody hears of. Without any reply: 200, empty. When the client goes away it is
 * cancelled; what it does then is its own affair. (One that ends its own side and would still read
 * counts as gone, as in Go.)
 */
typedef int (*pirn_http_handler)(pirn_http_request *request, pirn_http_reply *reply, void *user);

enum {
    PIRN_HTTP_BLOCKING = 1u << 0, /* on a thread of the blocking pool; not cancelled, but see
                                     pirn_http_disconnected */
};

typedef struct pirn_http_route_config {
    size_t size;      /* sizeof(pirn_http_route_config), set by PIRN_HTTP_ROUTE_CONFIG_INIT */
    unsigned flags;   /* PIRN_HTTP_BLOCKING, for which all of a body is in memory at a time */
    int64_t max_body; /* of the route's requests; 0: the server's; -1: any number */
} pirn_http_route_config;
#define PIRN_HTTP_ROUTE_CONFIG_INIT \
    { \
        sizeof(pirn_http_route_config), 0, 0 \
    }

/*
 * pattern: a path, where {name} stands for one segment and, at the end, {name...} for all that is
 * left; a path of more than 64 segments has no route. A literal segment goes before a {name}, that
 * before a {name...}, in whatever order they were added. method "*": any that the parser knows
 * (others: 501). HEAD is answered by the GET handler; its body is left out. No route: 404; none for
 * the method: 405, with Allow. pattern is copied; config may be NULL. [anywhere, before it listens]
 * -EINVAL, -EEXIST, -EBUSY (it listens), -ENOMEM
 */
PIRN_API PIRN_MUST_USE int pirn_http_server_route(pirn_http_server *server, const char *method,
                                                  const char *pattern, pirn_http_handler handler,
                                                  void *user, const pirn_http_route_config *config);

/* What follows is as pirn_server_listen and its kin: see <pirn/server.h>. */
PIRN_API PIRN_MUST_USE int pirn_http_server_listen(pirn_http_server *server, const char *host,
                                                   const char *service,
                                                   const pirn_listen_config *config,
                                                   pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_http_server_listen_unix(pirn_http_server *server, const char *path,
                                                        const pirn_listen_config *config,
                                                        pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_http_server_add(pirn_http_server *server, int fd);
PIRN_API PIRN_MUST_USE int pirn_http_server_address(pirn_http_server *server, size_t i,
                                                    pirn_address *ret_address);
PIRN_API int pirn_http_server_port(pirn_http_server *server);
PIRN_API PIRN_MUST_USE int pirn_http_server_serve(pirn_http_server *server);
PIRN_API int pirn_http_server_close(pirn_http_server *server);
PIRN_API PIRN_MUST_USE int pirn_http_server_wait_closed(pirn_http_server *server,
                                                        pirn_time deadline);

/*
 * Closes it and ends gracefully: idle connections are closed, running requests may finish, with
 * Connection: close (which a reply whose head has gone by then cannot say), and are the last of
 * their connections: 0. One that has been accepted and has sent nothing yet, or is being opened, is
 * left a second for its first request; what has not been accepted is reset. What is left at the
 * deadline (or a cancel of the caller) is cancelled and waited for: -ETIMEDOUT (-ECANCELED).
 * Requests that do not end within config->grace either are named in a report, and left: -EBUSY, and
 * a cancel of the caller stays pending. Called again it does the same again. Those of
 * pirn_http_server_serve_stream, too. Not for its own handlers, which would wait for themselves.
 * [coroutine; suspends]
 */
PIRN_API int pirn_http_server_stop(pirn_http_server *server, pirn_time deadline);

PIRN_API int pirn_http_server_connections(pirn_http_server *server); /* now; [anywhere] */

PIRN_API pirn_http_server *pirn_http_server_retain(pirn_http_server *server); /* [anywhere] */
/* The last one closes it, and its idle connections, without waiting. [anywhere] */
PIRN_API void pirn_http_server_release(pirn_http_server *server);

/* One connection of another making, TLS say, served until its end. The stream stays the caller's,
 * who releases it; it is closed. A cancel of the caller ends the connection, and is pending
 * afterwards. [coroutine; suspends] 0; -ENOMEM: it is open still */
PIRN_API PIRN_MUST_USE int pirn_http_server_serve_stream(pirn_http_server *server,
                                                         pirn_stream *stream);

/* ---- What a handler is asked: [during the handler] ----------------------------------------- */

PIRN_API const char *pirn_http_method(const pirn_http_request *request);
PIRN_API const char *pirn_http_target(const pirn_http_request *request); /* as it was sent */
PIRN_API const char *pirn_http_path(const pirn_http_request *request);   /* without the query */
/* What stands for {name} in the route, percent-decoded; NULL: there is none. */
PIRN_API const char *pirn_http_param(const pirn_http_request *request, const char *name);
/* The first value of that name in the query, decoded ('+' is a space); NULL: none. */
PIRN_API const char *pirn_http_query(pirn_http_request *request, const char *name);
/* The first header of that name, whatever its case; NULL: none. Where the target is absolute
 * ("http://host/path") Host is what that says (RFC 9112, 3.2.2). */
PIRN_API const char *pirn_http_header(const pirn_http_request *request, const char *name);
/* Header i: 0, -ENOENT when i is beyond the last. */
PIRN_API PIRN_MUST_USE int pirn_http_header_at(const pirn_http_request *request, size_t i,
                                               const char **ret_name, const char **ret_value);
/* The client has gone, or was given up: for handlers that are not cancelled. */
PIRN_API bool pirn_http_disconnected(const pirn_http_request *request);
PIRN_API pirn_stream *pirn_http_stream(const pirn_http_request *request); /* borrowed */

/* The body's length, 0 if there is none, -1 if it is not known yet. */
PIRN_API int64_t pirn_http_body_length(const pirn_http_request *request);
/*
 * 1 to n bytes of the body, 0 at its end. (A blocking handler's has come, all of it, before the
 * handler begins.) A client that waits for leave to send it (Expect: 100-continue) is given that by
 * the first call, unless a reply was begun before; where nobody calls it is not, and the reply says
 * Connection: close. What is not read is skipped afterwards, up to 256 KiB. If it is more, or
 * chunked and has not all come by then, the reply says Connection: close, and the connection is
 * closed behind it. (After a reply in pieces, whose head has gone, up to 256 KiB are waited for and
 * skipped of either kind; more closes it all the same. Who goes on sending then has half a second
 * to read its reply, and gets a reset.) [the handler's coroutine; suspends] -EMSGSIZE: longer than
 * max_body; -ETIME: slower than body_rate; -EBADMSG: badly coded; -ECONNRESET: it breaks off. None
 * of these goes away. -ETIMEDOUT: the deadline, try again. -ECANCELED
 */
PIRN_API PIRN_MUST_USE ssize_t pirn_http_body_read(pirn_http_request *request, void *buf, size_t n,
                                                   pirn_time deadline);
/* All of it that is left, at most max bytes (else -EMSGSIZE), and a NUL; the caller frees it. Its
 * length. What had come when it was too much for max, or before -ETIMEDOUT, -ECANCELED or -ENOMEM,
 * is not lost: the next call, or a read, begins with it. [suspends] Also -ENOMEM. */
PIRN_API PIRN_MUST_USE ssize_t pirn_http_body_all(pirn_http_request *request, char **ret_body,
                                                  size_t max, pirn_time deadline);
/* The body as JSON; the caller has the reference. [suspends] 0; also -EBADMSG: it is no JSON, or
 * nested more than 64 deep (which a coroutine's stack might not carry). */
PIRN_API PIRN_MUST_USE int pirn_http_body_json(pirn_http_request *request, struct json_t **ret_json,
                                               size_t max, pirn_time deadline);

/* ---- What it replies: [during the handler, one at a time] ----------------------------------- */

/*
 * Adds a header. Connection, Transfer-Encoding and Content-Length are the server's; a Date or
 * Content-Type replaces the server's own. [anywhere] -EINVAL (also a CR, an LF or another
 * control character: no header can be smuggled in), -EALREADY (the head has gone), -ENOMEM
 */
PIRN_API PIRN_MUST_USE int pirn_http_reply_header(pirn_http_reply *reply, const char *name,
                                                  const char *value);

/*
 * Whole replies: copied, and sent when the handler has returned; or, if a client has sent its next
 * request already, together with that one's. type may be NULL. None waits. 0, -EINVAL (a status
 * that is not 200 to 599), -EALREADY (one reply for each request), -ENOMEM. pirn_http_reply_json
 * takes no reference, and is -EINVAL for what is nested more than 100 deep; text is UTF-8.
 */
PIRN_API PIRN_MUST_USE int pirn_http_reply_bytes(pirn_http_reply *reply, int status,
                                                 const char *type, const void *body, size_t n);
PIRN_API PIRN_MUST_USE int pirn_http_reply_text(pirn_http_reply *reply, int status,
                                                const char *text);
PIRN_API PIRN_MUST_USE int pirn_http_reply_json(pirn_http_reply *reply, int status,
                                                const struct json_t *json);

/*
 * A reply piece by piece: the head, with a length or (-1) without one, then chunked. -EINVAL,
 * -EALREADY, -ENOMEM. Then writes, each of which is on its way when it returns (a blocking
 * handler's pieces go when that has returned). [the handler's coroutine; write suspends] n, or
 * -EINVAL (not begun), -EMSGSIZE (beyond the length), -ENOMEM, -ETIMEDOUT (its own, or
 * write_time), -ECANCELED, -EPIPE, -ECONNRESET: some of it may have gone, and the connection is of
 * no more use. What is missing of a length when the handler returns cuts the connection off; by a
 * reset where the reply of an HTTP/1.0 client would end with the connection.
 */
PIRN_API PIRN_MUST_USE int pirn_http_reply_begin(pirn_http_reply *reply, int status,
                                                 const char *type, int64_t length);
PIRN_API PIRN_MUST_USE ssize_t pirn_http_reply_write(pirn_http_reply *reply, const void *buf,
                                                     size_t n, pirn_time deadline);

/*
 * Switches the connection to another protocol, one that the client has asked for (Upgrade, with
 * Connection: upgrade): sends 101 with what pirn_http_reply_header has added (a WebSocket's
 * Sec-WebSocket-Accept, say). *ret_stream is the connection's, borrowed: what is read next is what
 * the client has sent behind its request. From then on it is the handler's affair alone, without
 * the server's limits, and without its watch: a client that goes away is the end that the handler
 * reads, or an error of its writes. It still counts as a connection, and is cancelled at a stop's
 * deadline. When the handler returns what it has written is sent, and the connection closed; after
 * a failure it is cut off. A client that must have another protocol is told by 426, with an Upgrade
 * of its own. Borrowed from Go's Hijacker. [the handler's coroutine; suspends]
 * -EINVAL: the client has not asked for that, or speaks HTTP/1.0; -EBUSY: its request's body has
 * not been read to its end; -EALREADY; -EOPNOTSUPP (a blocking handler); -ENOMEM. What
 * pirn_http_reply_write returns besides: it has failed for good.
 */
PIRN_API PIRN_MUST_USE int pirn_http_reply_upgrade(pirn_http_reply *reply, const char *protocol,
                                                   pirn_stream **ret_stream, pirn_time deadline);

#ifdef __cplusplus
}
#endif

#endif
