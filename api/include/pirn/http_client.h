/* The client: a part of <pirn/http.h>, which says what holds for both. */
#ifndef PIRN_HTTP_CLIENT_H
#define PIRN_HTTP_CLIENT_H

#include <pirn.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_t; /* jansson's */

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
    /* Asks for this protocol, one, instead of HTTP, without a body: see pirn_http_response_stream.
     * NULL: none. */
    const char *upgrade;
} pirn_http_call;
#define PIRN_HTTP_CALL_INIT \
    { \
        sizeof(pirn_http_call), NULL, NULL, NULL, 0, NULL, 0, NULL, NULL, NULL \
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
 * HTTP/1.x; a 101 that was not asked for), -EMSGSIZE (max_head), -ECONNRESET (closed before the
 * response), -ENOMEM, and errors of looking up and connecting.
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

/* Of a response that is 101, to a call with `upgrade`: the connection, which speaks the other
 * protocol from here on, borrowed: freeing the response aborts it, with what it has not sent
 * (pirn_stream_close waits for that). It keeps its place among max_per_host. Any other response:
 * NULL, and it is to be read as ever. */
PIRN_API pirn_stream *pirn_http_response_stream(const pirn_http_response *response);

#ifdef __cplusplus
}
#endif

#endif
