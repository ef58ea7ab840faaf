/*
 * HTTP/1.1: a server and a client, as small layers on pirn's streams.
 *
 * A library of its own: link libpirn-http (pkg-config pirn-http, CMake pirn::http). <pirn.h> does
 * not include it; the conventions at the head of that hold here. The calls with JSON in their names
 * take and give jansson's json_t: who uses them includes <jansson.h>, and links jansson, too.
 * Strings of a request or a response belong to it and last as long. Borrowed from Go's net/http,
 * aiohttp and FastAPI.
 *
 *     static int hello(pirn_http_request *request, pirn_http_reply *reply, void *user)
 *     {
 *         return pirn_http_reply_text(reply, 200, pirn_http_param(request, "name"));
 *     }
 *
 *     pirn_http_server *server = NULL;
 *     int rc = pirn_http_server_new(&server, NULL);
 *     if (rc == 0)
 *         rc = pirn_http_server_route(server, "GET", "/hello/{name}", hello, NULL, NULL);
 *     if (rc == 0)
 *         rc = pirn_http_server_listen(server, "127.0.0.1", "8000", NULL, PIRN_NEVER);
 *     if (rc == 0)
 *         rc = pirn_http_server_serve(server); // until it is closed, or this task is cancelled
 *     pirn_http_server_stop(server, pirn_after_s(10)); // running requests may finish
 *     pirn_http_server_release(server);
 *
 * Not here: HTTP/2, upgrades (WebSocket), trailers (read and dropped), redirects, cookies, proxies,
 * compression; paths are not normalised ("..": who serves files must look).
 */
#ifndef PIRN_HTTP_H
#define PIRN_HTTP_H

#include <pirn.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_t; /* jansson's */

/* ---- Server ----------------------------------------------------------------------------- */

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
 * for those four, -ECANCELED, -ECONNRESET and -EPIPE, which are taken for the client's doing: a
 * program's own -EINVAL is a 400 that nobody hears of. Without any reply: 200, empty. When the
 * client goes away it is cancelled; what it does then is its own affair. (One that ends its own
 * side and would still read counts as gone, as in Go.)
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
 * left. A literal segment goes before a {name}, that before a {name...}, in whatever order they
 * were added. method "*": any that the parser knows (others: 501). HEAD is answered by the GET
 * handler; its body is left out. No route: 404; none for the method: 405, with Allow. pattern is
 * copied; config may be NULL. [anywhere, before it listens] -EINVAL, -EEXIST, -EBUSY (it listens),
 * -ENOMEM
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
 * skipped of either kind; more closes it all the same.) [the handler's coroutine; suspends]
 * -EMSGSIZE: longer than max_body; -ETIME: slower than body_rate; -EBADMSG: badly coded;
 * -ECONNRESET: it breaks off. None of these goes away. -ETIMEDOUT: the deadline, try again.
 * -ECANCELED
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
 * Content-Type goes before the server's own. [anywhere] -EINVAL (also a CR, an LF or another
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
 * -EINVAL (not begun), -EMSGSIZE (beyond the length), -ENOMEM, -ETIMEDOUT, -ECANCELED, -EPIPE,
 * -ECONNRESET: some of it may have gone, and the connection is of no more use. What is missing of a
 * length when the handler returns cuts the connection off; by a reset where the reply of an
 * HTTP/1.0 client would end with the connection.
 */
PIRN_API PIRN_MUST_USE int pirn_http_reply_begin(pirn_http_reply *reply, int status,
                                                 const char *type, int64_t length);
PIRN_API PIRN_MUST_USE ssize_t pirn_http_reply_write(pirn_http_reply *reply, const void *buf,
                                                     size_t n, pirn_time deadline);

/* ---- Client ----------------------------------------------------------------------------- */

/*
 *     pirn_http_client *client = NULL;
 *     pirn_http_response *response;
 *     char *body = NULL;
 *     int rc = pirn_http_client_new(&client, NULL);
 *     if (rc == 0)
 *         rc = pirn_http_get(client, "http://example.com/", &response, pirn_after_s(5));
 *     if (rc == 0) {
 *         ssize_t n = pirn_http_response_all(response, &body, 1 << 20, pirn_after_s(5));
 *         ...
 *         free(body);
 *         pirn_http_response_free(response);
 *     }
 *     pirn_http_client_free(client);
 *
 * A response has its connection to itself until its body is over or it is released.
 */

typedef struct pirn_http_client pirn_http_client; /* a pool of connections, for many at a time */
typedef struct pirn_http_response pirn_http_response;

typedef struct pirn_http_client_config {
    size_t size;         /* sizeof(pirn_http_client_config), set by PIRN_HTTP_CLIENT_CONFIG_INIT */
    int max_per_host;    /* connections to one host and port, others wait; 0: 100 */
    int max_idle;        /* kept for reuse, in all; 0: 100; -1: none */
    pirn_span idle_time; /* how long; looked at whenever the client is used; 0: 30 s */
    size_t max_head;     /* of a response; 0: 32 KiB; 64 KiB at most */
    int max_headers;     /* 0: 100 */
    const char *agent;   /* User-Agent, copied; NULL: "pirn/<version>" */
    /* Makes the connections instead of pirn's own, for TLS ("https"), or a test. It may suspend. 0:
     * *ret_stream is the client's; else it is not looked at. */
    int (*connect)(void *user, pirn_stream **ret_stream, const char *scheme, const char *host,
                   uint16_t port, pirn_time deadline);
    void *connect_user;
} pirn_http_client_config;
#define PIRN_HTTP_CLIENT_CONFIG_INIT \
    { \
        sizeof(pirn_http_client_config), 0, 0, {0}, 0, 0, NULL, NULL, NULL \
    }

/* HTTPS: what config->connect is to be, with a client's pirn_tls_context as connect_user. URLs that
 * begin with http:// go without. [coroutine; suspends] -EPROTONOSUPPORT: the library was built
 * without TLS; else what pirn_stream_connect and pirn_tls_client return. */
PIRN_API PIRN_MUST_USE int pirn_http_connect_tls(void *context, pirn_stream **ret_stream,
                                                 const char *scheme, const char *host,
                                                 uint16_t port, pirn_time deadline);

/* config may be NULL. [anywhere] -EINVAL, -ENOMEM */
PIRN_API PIRN_MUST_USE int pirn_http_client_new(pirn_http_client **ret_client,
                                                const pirn_http_client_config *config);
/* Closes idle connections; those of responses, which may be read and freed later, go with them. No
 * call may be under way. NULL: nothing. [anywhere] */
PIRN_API void pirn_http_client_free(pirn_http_client *client);

typedef struct pirn_http_field {
    const char *name, *value;
} pirn_http_field;

typedef struct pirn_http_call {
    size_t size;        /* sizeof(pirn_http_call), set by PIRN_HTTP_CALL_INIT */
    const char *method; /* NULL: GET */
    const char *url;    /* http://host[:port][/path][?query]; an empty path is "/" */
    /* In this order. Content-Length, Transfer-Encoding and Connection are the client's (-EINVAL);
     * Host and User-Agent are, too, unless they are among these. */
    const pirn_http_field *headers;
    size_t header_count;
    const void *body; /* body_length bytes */
    int64_t body_length;
    /* Or the body in pieces: 1 to n bytes, 0 at the end, or an error that ends the call. Of
     * body_length bytes, or, if that is -1, chunked. Called by the task that sends, with its
     * deadline: a handler passes on what it was sent by pirn_http_body_read. */
    ssize_t (*body_read)(void *user, void *buf, size_t n, pirn_time deadline);
    void *body_user;
} pirn_http_call;
#define PIRN_HTTP_CALL_INIT \
    { \
        sizeof(pirn_http_call), NULL, NULL, NULL, 0, NULL, 0, NULL, NULL \
    }

/*
 * Sends a request and waits for the response's head, whatever its status. (What is not final, 100
 * to 199, is passed over; the body is sent without waiting for leave. A server that says 300 or
 * more meanwhile gets no more of it, once body_read has returned. One that sends its answer while
 * the body comes, more of it than the kernel's buffers hold, waits for a reader that waits for it:
 * until the deadline. That is for all; where a body may take long, while it comes:
 * pirn_timeout_enter, and pirn_timeout_reschedule in body_read.) The caller owns *ret_response. A
 * connection that was kept and turns out to be closed is replaced once, if the request may be
 * repeated (GET, HEAD, OPTIONS, TRACE, PUT, DELETE; no body in pieces). [coroutine; suspends]
 * -EINVAL (URL, method, header: also CR, LF; body_read has ended before body_length, or returned
 * more than n), -EPROTONOSUPPORT (https without config->connect), what body_read and
 * config->connect return, -ETIMEDOUT, -ECANCELED: the server may have seen it; -EBADMSG (no
 * HTTP/1.x; 101), -EMSGSIZE (max_head), -ECONNRESET (closed before the response), -ENOMEM, and
 * errors of looking up and connecting.
 */
PIRN_API PIRN_MUST_USE int pirn_http_send(pirn_http_client *client, const pirn_http_call *call,
                                          pirn_http_response **ret_response, pirn_time deadline);
/* The same in short. */
PIRN_API PIRN_MUST_USE int pirn_http_get(pirn_http_client *client, const char *url,
                                         pirn_http_response **ret_response, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_http_post(pirn_http_client *client, const char *url,
                                          const char *type, const void *body, size_t n,
                                          pirn_http_response **ret_response, pirn_time deadline);

/* [all anywhere, but what suspends, which is for coroutines; one user at a time] */
PIRN_API int pirn_http_response_status(const pirn_http_response *response);
PIRN_API const char *pirn_http_response_header(const pirn_http_response *response,
                                               const char *name);
PIRN_API PIRN_MUST_USE int pirn_http_response_header_at(const pirn_http_response *response,
                                                        size_t i, const char **ret_name,
                                                        const char **ret_value);
PIRN_API int64_t pirn_http_response_length(const pirn_http_response *response); /* as above */
/* As pirn_http_body_read and its kin. [coroutine; suspend] -EBADMSG, -ECONNRESET, -ETIMEDOUT,
 * -ECANCELED, ... At its end the connection goes back into the pool. */
PIRN_API PIRN_MUST_USE ssize_t pirn_http_response_read(pirn_http_response *response, void *buf,
                                                       size_t n, pirn_time deadline);
PIRN_API PIRN_MUST_USE ssize_t pirn_http_response_all(pirn_http_response *response, char **ret_body,
                                                      size_t max, pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_http_response_json(pirn_http_response *response,
                                                   struct json_t **ret_json, size_t max,
                                                   pirn_time deadline);
/* Frees it; a body that was not read to its end closes the connection, unless the rest has come
 * already. NULL: nothing. */
PIRN_API void pirn_http_response_free(pirn_http_response *response);

#ifdef __cplusplus
}
#endif
#endif
