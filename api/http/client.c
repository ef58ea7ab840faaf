/*
 * A client's calls: a request out, a response's head in.
 *
 * A kept connection may have been closed by its server just when it is used again. That shows as an
 * error of the send, or as an end before the response's first byte; a request that may be repeated
 * is then sent once more, over a new connection.
 *
 * A server may reply and close before it has read all of a body (413, say). So when a send fails
 * the response is looked for all the same. One may also reply, and neither read on nor close; so a
 * send that has to wait listens for a response that refuses (300 and more), and ends with -EPIPE,
 * as if the server had closed. (RFC 9112, 9.5. After any other response it goes on: a server may
 * echo.)
 */
#include "api/http/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    HEADS_MAX = 100 /* of one response: those that are not final */
};

/* ---- The client -------------------------------------------------------------------------- */

static int complete(pirn_http_client *client)
{
    pirn_http_client_config *config = &client->config;
    if (config->max_per_host < 0 || config->max_idle < -1 || config->idle_time.ns < 0 ||
        config->max_head > 65536 || config->max_headers < 0)
        return -EINVAL;
    if (config->max_per_host == 0)
        config->max_per_host = 100;
    if (config->max_idle == 0)
        config->max_idle = 100;
    if (config->idle_time.ns == 0)
        config->idle_time.ns = 30000000000;
    client->limits.head.head = config->max_head != 0 ? config->max_head : 32 * 1024;
    client->limits.head.headers = config->max_headers != 0 ? config->max_headers : 100;
    client->limits.body = -1;
    return 0;
}

static char *default_agent(void)
{
    char agent[64];
    snprintf(agent, sizeof(agent), "pirn/%s", pirn_version());
    return strdup(agent);
}

int pirn_http_client_new(pirn_http_client **ret_client, const pirn_http_client_config *config)
{
    if (ret_client == NULL || (config != NULL && config->size != sizeof(*config)))
        return -EINVAL;
    pirn_http_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return -ENOMEM;
    if (config != NULL)
        client->config = *config;
    int err = complete(client);
    if (err == 0) {
        client->agent =
            client->config.agent != NULL ? strdup(client->config.agent) : default_agent();
        err = client->agent == NULL                                      ? -ENOMEM
              : pirn_http_is_value(client->agent, strlen(client->agent)) ? 0
                                                                         : -EINVAL;
    }
    client->host_bits = HOST_BITS;
    client->hosts = calloc((size_t)1 << HOST_BITS, sizeof(*client->hosts));
    if (err == 0 && client->hosts == NULL)
        err = -ENOMEM;
    if (err < 0) {
        free(client->hosts);
        free(client->agent);
        free(client);
        return err;
    }
    atomic_init(&client->refs, 1);
    pthread_mutex_init(&client->lock, NULL);
    *ret_client = client;
    return 0;
}

void pirn_http_client_unref(pirn_http_client *client)
{
    /* acq_rel: everybody's last use comes before the free */
    if (atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&client->lock);
    free(client->agent);
    free(client->hosts);
    free(client);
}

void pirn_http_client_free(pirn_http_client *client)
{
    if (client == NULL)
        return;
    pthread_mutex_lock(&client->lock);
    client->over = true;
    pthread_mutex_unlock(&client->lock);
    pirn_http_pool_sweep(client, true);
    pirn_http_client_unref(client);
}

/* ---- The request ------------------------------------------------------------------------- */

struct exchange {
    const pirn_http_call *call;
    const char *method;
    struct url url;
    struct text head;
    bool chunked;
    bool stopped; /* the program's body_read has failed */
};

static bool one_of(const char *word, const char *const *words)
{
    while (*words != NULL && strcasecmp(word, *words) != 0)
        words++;
    return *words != NULL;
}

static int add_headers(struct exchange *x)
{
    static const char *const own[] = {"Content-Length", "Transfer-Encoding", "Connection", NULL};
    for (size_t i = 0; i < x->call->header_count; i++) {
        const pirn_http_field *field = &x->call->headers[i];
        int err;
        if (field->name == NULL || field->value == NULL || one_of(field->name, own))
            return -EINVAL;
        err = pirn_http_text_field(&x->head, field->name, field->value);
        if (err < 0)
            return err;
    }
    return 0;
}

static bool has_header(const pirn_http_call *call, const char *name)
{
    for (size_t i = 0; i < call->header_count; i++)
        if (call->headers[i].name != NULL && strcasecmp(call->headers[i].name, name) == 0)
            return true;
    return false;
}

static void add_host(struct exchange *x)
{
    struct text *t = &x->head;
    pirn_http_text_puts(t, "Host: ");
    pirn_http_text_puts(t, x->url.literal ? "[" : "");
    pirn_http_text_puts(t, x->url.host);
    pirn_http_text_puts(t, x->url.literal ? "]" : "");
    if (x->url.port != (x->url.secure ? 443 : 80)) {
        pirn_http_text_puts(t, ":");
        pirn_http_text_number(t, x->url.port);
    }
    pirn_http_text_puts(t, "\r\n");
}

static int add_upgrade(struct exchange *x)
{
    const char *protocol = x->call->upgrade;
    if (protocol == NULL)
        return 0;
    if (x->call->body_length != 0 || *protocol == '\0' || strpbrk(protocol, ", \t") != NULL)
        return -EINVAL;
    pirn_http_text_puts(&x->head, "Connection: Upgrade\r\n");
    return pirn_http_text_field(&x->head, "Upgrade", protocol);
}

static void add_framing(struct exchange *x)
{
    static const char *const with_body[] = {"POST", "PUT", "PATCH", NULL};
    const pirn_http_call *call = x->call;
    x->chunked = call->body_length < 0;
    if (x->chunked) {
        pirn_http_text_puts(&x->head, "Transfer-Encoding: chunked\r\n");
    } else if (call->body_length > 0 || one_of(x->method, with_body)) {
        pirn_http_text_puts(&x->head, "Content-Length: ");
        pirn_http_text_number(&x->head, (uint64_t)call->body_length);
        pirn_http_text_puts(&x->head, "\r\n");
    }
}

static int prepare(struct exchange *x, const pirn_http_client *client, const pirn_http_call *call)
{
    memset(x, 0, sizeof(*x));
    x->call = call;
    x->method = call->method != NULL ? call->method : "GET";
    if (call->url == NULL || !pirn_http_is_token(x->method, strlen(x->method)) ||
        strcmp(x->method, "CONNECT") == 0 || call->body_length < -1 ||
        (call->body_length != 0 && call->body == NULL && call->body_read == NULL) ||
        (call->body_length < 0 && call->body_read == NULL))
        return -EINVAL;
    int err = pirn_http_url_split(call->url, &x->url);
    if (err < 0)
        return err;
    pirn_http_text_puts(&x->head, x->method);
    pirn_http_text_puts(&x->head, x->url.needs_slash ? " /" : " ");
    pirn_http_text_add(&x->head, x->url.target, x->url.target_len);
    pirn_http_text_puts(&x->head, " HTTP/1.1\r\n");
    if (!has_header(call, "Host"))
        add_host(x);
    if (!has_header(call, "User-Agent"))
        pirn_http_text_field(&x->head, "User-Agent", client->agent);
    err = add_headers(x);
    if (err == 0)
        err = add_upgrade(x);
    add_framing(x);
    pirn_http_text_puts(&x->head, "\r\n");
    return err == 0 && x->head.failed ? -ENOMEM : err;
}

/* ---- Over a connection ------------------------------------------------------------------- */

static int send_pieces(struct exchange *x, struct wire *w, pirn_time deadline)
{
    const pirn_http_call *call = x->call;
    int64_t left = call->body_length;
    char piece[16 * 1024];
    for (;;) {
        size_t room = left >= 0 && left < (int64_t)sizeof(piece) ? (size_t)left : sizeof(piece);
        ssize_t n = room == 0 ? 0 : call->body_read(call->body_user, piece, room, deadline);
        int err;
        if (n < 0) {
            x->stopped = true;
            return (int)n;
        }
        if ((n == 0 && left > 0) || (size_t)n > room)
            return -EINVAL; /* it has promised more, or says that it has put more than fits */
        if (x->chunked)
            pirn_http_text_chunk(&w->out, (size_t)n);
        pirn_http_text_add(&w->out, piece, (size_t)n);
        if (x->chunked)
            pirn_http_text_puts(&w->out, "\r\n");
        err = pirn_http_wire_send(w, NULL, 0, deadline);
        if (err < 0 || n == 0)
            return err;
        left -= left > 0 ? n : 0;
    }
}

static int send_request(struct exchange *x, struct wire *w, pirn_time deadline)
{
    size_t n = x->call->body_read == NULL ? (size_t)x->call->body_length : 0;
    pirn_http_text_add(&w->out, x->head.data, x->head.used);
    w->listens = true;
    int err = pirn_http_wire_send(w, x->call->body, n, deadline);
    if (err == 0 && x->call->body_read != NULL && x->call->body_length != 0)
        err = send_pieces(x, w, deadline);
    return err;
}

static int by_deadline(void *user, bool begun, pirn_time *ret_deadline)
{
    const pirn_time *deadline = user;
    (void)begun;
    if (ret_deadline != NULL)
        *ret_deadline = *deadline;
    return 0;
}

static int receive_head(struct exchange *x, struct wire *w, pirn_time deadline)
{
    int err, heads = 0;
    do { /* what is not final (100 Continue, 103 Early Hints) is passed over */
        pirn_http_message_next(&w->in, strcmp(x->method, "HEAD") == 0);
        err = pirn_http_wire_head(w, by_deadline, &deadline);
        if (err == 0 && w->in.status == 101 && pirn_http_switches(&w->in, x->call->upgrade))
            return 0;
        if (err == 0 && (w->in.status == 101 || ++heads > HEADS_MAX))
            err = -EBADMSG; /* to a protocol that nobody asked for; or for ever */
    } while (err == 0 && w->in.status < 200);
    if (err == -EBADMSG && w->in.refused == 431)
        err = -EMSGSIZE;
    return err == -ENODATA ? -ECONNRESET : err;
}

static bool is_gone(int err)
{
    return err == -EPIPE || err == -ECONNRESET;
}

/* *ret_unheard: the connection ended before a byte of a response. */
static int exchange(struct exchange *x, struct wire *w, bool *ret_unheard, pirn_time deadline)
{
    int sent = send_request(x, w, deadline), err;
    if (sent < 0 && (x->stopped || !is_gone(sent)))
        return sent;
    err = receive_head(x, w, deadline);
    *ret_unheard = is_gone(err) && w->in.stage == MESSAGE_HEAD && w->in.scan.searched == 0;
    if (err == 0 && sent < 0)
        w->in.keep_alive = false;
    return err;
}

static bool may_repeat(const struct exchange *x)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", NULL};
    return x->call->body_read == NULL && one_of(x->method, methods);
}

static int converse(pirn_http_client *client, struct exchange *x, struct link **ret_link,
                    pirn_time deadline)
{
    struct link *link;
    bool unheard = false;
    int err = pirn_http_pool_take(client, &x->url, true, &link, deadline);
    if (err < 0)
        return err;
    err = exchange(x, &link->wire, &unheard, deadline);
    if (err < 0) {
        bool again = unheard && link->reused && may_repeat(x);
        pirn_http_pool_give(client, link, false);
        if (!again)
            return err;
        err = pirn_http_pool_take(client, &x->url, false, &link, deadline);
        if (err < 0)
            return err;
        err = exchange(x, &link->wire, &unheard, deadline);
        if (err < 0) {
            pirn_http_pool_give(client, link, false);
            return err;
        }
    }
    *ret_link = link;
    return 0;
}

int pirn_http_send(pirn_http_client *client, const pirn_http_call *call,
                   pirn_http_response **ret_response, pirn_time deadline)
{
    struct exchange x;
    if (client == NULL || call == NULL || call->size != sizeof(*call) || ret_response == NULL ||
        (call->headers == NULL && call->header_count != 0))
        return -EINVAL;
    if (pirn_current() == NULL)
        return -EPERM; /* before a connection is made */
    int err = prepare(&x, client, call);
    if (err < 0) {
        pirn_http_text_free(&x.head);
        return err;
    }
    pirn_http_response *response = calloc(1, sizeof(*response));
    err = response == NULL ? -ENOMEM : converse(client, &x, &response->link, deadline);
    pirn_http_text_free(&x.head);
    if (err < 0) {
        free(response);
        return err;
    }
    response->client = client;
    atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
    pirn_http_response_settle(response);
    *ret_response = response;
    return 0;
}

int pirn_http_get(pirn_http_client *client, const char *url, pirn_http_response **ret_response,
                  pirn_time deadline)
{
    pirn_http_call call = PIRN_HTTP_CALL_INIT;
    call.url = url;
    return pirn_http_send(client, &call, ret_response, deadline);
}

int pirn_http_post(pirn_http_client *client, const char *url, const char *type, const void *body,
                   size_t n, pirn_http_response **ret_response, pirn_time deadline)
{
    pirn_http_call call = PIRN_HTTP_CALL_INIT;
    pirn_http_field field = {"Content-Type", type};
    call.method = "POST";
    call.url = url;
    call.headers = &field;
    call.header_count = type != NULL;
    call.body = body;
    call.body_length = (int64_t)n;
    return pirn_http_send(client, &call, ret_response, deadline);
}
