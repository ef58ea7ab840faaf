/* What a handler is asked: its path, parameters, headers, and the body as it comes. */
#include "api/http/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "http://host/path": its host; NULL: the target is no such thing. */
static const char *find_host(const char *target, size_t *ret_len)
{
    if (strncasecmp(target, "http://", 7) != 0 && strncasecmp(target, "https://", 8) != 0)
        return NULL;
    const char *host = strstr(target, "://") + 3;
    *ret_len = strcspn(host, "/?");
    return host;
}

/* The path of the target: all up to '?'. Not a path if its host is empty. */
static const char *find_path(const char *target, const char *host, size_t host_len, size_t *ret_len)
{
    const char *path = host_len > 0 ? host + host_len : target;
    *ret_len = (size_t)(strchrnul(path, '?') - path);
    if (*ret_len == 0) {
        *ret_len = 1;
        return "/";
    }
    return path;
}

/* The host that an absolute target names goes before the header's, whatever that says (RFC 9112,
 * 3.2.2). at: room for it; it, the path and the path's copy are no longer than twice the target.
 * False: it is none that a header might have. */
static bool put_host(struct message *m, const char *host, size_t n, char *at)
{
    memcpy(at, host, n);
    at[n] = '\0';
    if (m->known[KNOWN_HOST].count > 0)
        m->fields[m->known[KNOWN_HOST].first].value = at;
    return pirn_http_is_host(at);
}

int pirn_http_request_begin(struct connection *c)
{
    struct pirn_http_request *r = &c->request;
    struct message *m = &c->wire.in;
    const char *expect = message_known(m, KNOWN_EXPECT);
    size_t n, host_len = 0;
    const char *host = *m->target != '/' ? find_host(m->target, &host_len) : NULL;
    const char *path = find_path(m->target, host, host_len, &n);
    if (*path != '/' && strcmp(m->target, "*") != 0)
        return 400;
    if (expect != NULL && strcasecmp(expect, "100-continue") != 0)
        return 417;
    r->path = m->spare; /* the path is no longer than the target */
    r->path_len = n;
    char *copy = r->path + n + 1; /* the router's */
    memcpy(r->path, path, n);
    memcpy(copy, path, n);
    r->path[n] = copy[n] = '\0';
    r->host = host != NULL ? copy + n + 1 : NULL;
    if (host != NULL && !put_host(m, host, host_len, copy + n + 1))
        return 400;
    r->waited = r->quiet = 0;
    r->error = 0;
    r->expects = expect != NULL && m->minor > 0 && m->stage == MESSAGE_BODY;
    if (pirn_http_router_find(&c->server->router, m->method, copy, &r->match) < 0)
        return 400;
    m->body_limit = r->match.route != NULL ? r->match.route->max_body : c->server->config.max_body;
    return m->body_limit >= 0 && m->length > m->body_limit ? 413 : 0;
}

void pirn_http_request_end(struct connection *c)
{
    struct pirn_http_request *r = &c->request;
    free(r->query);
    free(r->pairs);
    pirn_http_kept_free(&r->kept);
    r->query = NULL;
    r->pairs = NULL;
    r->pair_count = 0;
}

/* ---- The head ---------------------------------------------------------------------------- */

const char *pirn_http_method(const pirn_http_request *request)
{
    return request != NULL ? request->connection->wire.in.method : NULL;
}

const char *pirn_http_target(const pirn_http_request *request)
{
    return request != NULL ? request->connection->wire.in.target : NULL;
}

const char *pirn_http_path(const pirn_http_request *request)
{
    return request != NULL ? request->path : NULL;
}

const char *pirn_http_param(const pirn_http_request *request, const char *name)
{
    if (request == NULL || name == NULL)
        return NULL;
    const char *copy = request->path + request->path_len + 1; /* the one that was cut up */
    return pirn_http_router_param(&request->match, copy, name);
}

const char *pirn_http_header(const pirn_http_request *request, const char *name)
{
    if (request == NULL || name == NULL)
        return NULL;
    const char *value = pirn_http_message_find(&request->connection->wire.in, name);
    /* HTTP/1.0 does not need a Host. */
    return value == NULL && request->host != NULL && strcasecmp(name, "Host") == 0 ? request->host
                                                                                   : value;
}

int pirn_http_header_at(const pirn_http_request *request, size_t i, const char **ret_name,
                        const char **ret_value)
{
    if (request == NULL || ret_name == NULL || ret_value == NULL)
        return -EINVAL;
    return pirn_http_message_at(&request->connection->wire.in, i, ret_name, ret_value);
}

bool pirn_http_disconnected(const pirn_http_request *request)
{
    /* acquire: pairs with the releases in watch.c and serve.c */
    return request != NULL &&
           (atomic_load_explicit(&request->connection->gone, memory_order_acquire) ||
            atomic_load_explicit(&request->connection->given_up, memory_order_acquire));
}

pirn_stream *pirn_http_stream(const pirn_http_request *request)
{
    if (request == NULL)
        return NULL;
    struct wire *w = &request->connection->wire;
    w->shared = true;
    pirn_http_wire_settle(w); /* an error is there to stay: who uses the stream gets it as well */
    return w->stream;
}

/* Cuts up the query: "a=b&c" into pairs. Badly coded ones are left as they came. */
static int cut_query(pirn_http_request *request)
{
    const char *query = strchr(request->connection->wire.in.target, '?');
    size_t n = 1;
    char *rest, *pair;
    free(request->query); /* of a try without memory */
    request->pair_count = 0;
    request->query = strdup(query != NULL ? query + 1 : "");
    if (request->query == NULL)
        return -ENOMEM;
    for (const char *c = request->query; *c != '\0'; c++)
        n += *c == '&';
    request->pairs = calloc(n, sizeof(*request->pairs));
    if (request->pairs == NULL)
        return -ENOMEM;
    for (pair = strtok_r(request->query, "&", &rest); pair != NULL;
         pair = strtok_r(NULL, "&", &rest)) {
        char *value = strchr(pair, '=');
        if (value != NULL)
            *value++ = '\0';
        if (!pirn_http_decode(pair, true) || (value != NULL && !pirn_http_decode(value, true)))
            continue;
        request->pairs[request->pair_count++] =
            (struct param){pair, value != NULL ? value : pair + strlen(pair)};
    }
    return 0;
}

const char *pirn_http_query(pirn_http_request *request, const char *name)
{
    if (request == NULL || name == NULL || (request->pairs == NULL && cut_query(request) < 0))
        return NULL;
    for (size_t i = 0; i < request->pair_count; i++)
        if (strcmp(request->pairs[i].name, name) == 0)
            return request->pairs[i].value;
    return NULL;
}

/* ---- The body ---------------------------------------------------------------------------- */

int64_t pirn_http_body_length(const pirn_http_request *request)
{
    if (request == NULL)
        return -EINVAL;
    const struct connection *c = request->connection;
    return c->blocking ? c->wire.in.received : c->wire.in.length;
}

/* A client that waits to be asked for its body is asked. */
static int say_continue(struct connection *c, pirn_time deadline)
{
    if (!c->request.expects)
        return 0;
    c->request.expects = false;
    if (c->reply.stage != REPLY_NONE)
        return 0; /* it has been told already, and may send it or not */
    pirn_http_text_puts(&c->wire.out, "HTTP/1.1 100 Continue\r\n\r\n");
    return pirn_http_wire_send(&c->wire, NULL, 0, deadline);
}

/*
 * When a client has been waited for long enough: after body_time, and a second for every body_rate
 * bytes that have come; or when nothing has come for idle_time, however much came before: a
 * mebibyte sent at once would let a client say nothing for an hour. Only waiting counts, not what
 * the handler does between two reads.
 */
static pirn_time pace(const struct connection *c)
{
    const int64_t second = 1000000000;
    const pirn_http_server_config *config = &c->server->config;
    if (config->body_rate < 0)
        return PIRN_NEVER;
    int64_t left = config->body_time.ns - c->request.waited;
    int64_t most = config->idle_time.ns - c->request.quiet;
    int64_t earned = c->wire.in.received / config->body_rate; /* seconds */
    if (__builtin_mul_overflow(earned, second, &earned) ||
        __builtin_add_overflow(left, earned, &left) || left > most)
        left = most;
    return pirn_after_ns(left);
}

ssize_t pirn_http_request_read(void *connection, void *buf, size_t n, pirn_time deadline)
{
    struct connection *c = connection;
    if (c->wire.in.stage == MESSAGE_DONE || n == 0)
        return 0;
    if (c->request.error < 0)
        return c->request.error;
    pirn_time begin = pirn_now();
    pirn_time too_slow = pace(c);
    ssize_t got = say_continue(c, wire_sooner(deadline, too_slow));
    if (got == 0)
        got = pirn_http_wire_body(&c->wire, buf, n, wire_sooner(deadline, too_slow));
    int64_t took = pirn_now().ns - begin.ns;
    c->request.waited += took;
    c->request.quiet = got > 0 ? 0 : c->request.quiet + took;
    if (got == -ETIMEDOUT && too_slow.ns <= deadline.ns)
        got = -ETIME;
    if (got < 0 && got != -ETIMEDOUT && got != -ECANCELED) {
        c->request.error = (int)got;
        c->close = true;
    }
    return got;
}

int pirn_http_request_read_ahead(struct connection *c)
{
    ssize_t n = pirn_http_keep_all(&c->request.kept, pirn_http_request_read, c, wire_left(&c->wire),
                                   SIZE_MAX, PIRN_NEVER);
    return n < 0 ? (int)n : 0;
}

ssize_t pirn_http_body_read(pirn_http_request *request, void *buf, size_t n, pirn_time deadline)
{
    if (request == NULL || (buf == NULL && n > 0))
        return -EINVAL;
    if (kept_n(&request->kept) > 0)
        return (ssize_t)pirn_http_kept_take(&request->kept, buf, n);
    return pirn_http_request_read(request->connection, buf, n, deadline);
}

ssize_t pirn_http_body_all(pirn_http_request *request, char **ret_body, size_t max,
                           pirn_time deadline)
{
    if (request == NULL || ret_body == NULL)
        return -EINVAL;
    struct connection *c = request->connection;
    return pirn_http_read_all(&request->kept, pirn_http_request_read, c, wire_left(&c->wire),
                              ret_body, max, deadline);
}

int pirn_http_body_json(pirn_http_request *request, struct json_t **ret_json, size_t max,
                        pirn_time deadline)
{
    char *body;
    if (ret_json == NULL)
        return -EINVAL;
    ssize_t n = pirn_http_body_all(request, &body, max, deadline);
    if (n < 0)
        return (int)n;
    int err = pirn_http_parse_json(body, (size_t)n, ret_json);
    free(body);
    return err;
}
