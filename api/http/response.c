/* A response: its head, its body as it comes, and its connection, which is given back at the
 * end. */
#include "api/http/client.h"

#include <errno.h>
#include <stdlib.h>

static const struct message *head_of(const pirn_http_response *response)
{
    return response->link != NULL ? &response->link->wire.in : &response->head;
}

/* The body is over: the connection goes back, and the head stays here. */
void pirn_http_response_settle(pirn_http_response *response)
{
    struct link *link = response->link;
    const char *data;
    bool reusable;
    if (link == NULL || link->wire.in.stage != MESSAGE_DONE || link->wire.in.status == 101)
        return;
    /* Bytes behind it nobody has asked for. */
    reusable = link->wire.in.keep_alive && pirn_http_glance(link->wire.stream, &data, 0) == 0;
    response->head = link->wire.in;
    response->link = NULL;
    pirn_http_message_init(&link->wire.in, true, &response->client->limits);
    pirn_http_pool_give(response->client, link, reusable);
}

int pirn_http_response_status(const pirn_http_response *response)
{
    return response != NULL ? head_of(response)->status : -EINVAL;
}

const char *pirn_http_response_header(const pirn_http_response *response, const char *name)
{
    return response != NULL && name != NULL ? pirn_http_message_find(head_of(response), name)
                                            : NULL;
}

int pirn_http_response_header_at(const pirn_http_response *response, size_t i,
                                 const char **ret_name, const char **ret_value)
{
    if (response == NULL || ret_name == NULL || ret_value == NULL)
        return -EINVAL;
    return pirn_http_message_at(head_of(response), i, ret_name, ret_value);
}

int64_t pirn_http_response_length(const pirn_http_response *response)
{
    return response != NULL ? head_of(response)->length : -EINVAL;
}

/* What has not come yet. */
static ssize_t read_some(void *arg, void *buf, size_t n, pirn_time deadline)
{
    pirn_http_response *response = arg;
    if (response->link == NULL)
        return 0;
    ssize_t got = pirn_http_wire_body(&response->link->wire, buf, n, deadline);
    if (got >= 0)
        pirn_http_response_settle(response);
    return got;
}

ssize_t pirn_http_response_read(pirn_http_response *response, void *buf, size_t n,
                                pirn_time deadline)
{
    if (response == NULL || (buf == NULL && n > 0))
        return -EINVAL;
    if (kept_n(&response->kept) > 0)
        return (ssize_t)pirn_http_kept_take(&response->kept, buf, n);
    return read_some(response, buf, n, deadline);
}

ssize_t pirn_http_response_all(pirn_http_response *response, char **ret_body, size_t max,
                               pirn_time deadline)
{
    if (response == NULL || ret_body == NULL)
        return -EINVAL;
    int64_t left = response->link != NULL ? wire_left(&response->link->wire) : 0;
    return pirn_http_read_all(&response->kept, read_some, response, left, ret_body, max, deadline);
}

int pirn_http_response_json(pirn_http_response *response, struct json_t **ret_json, size_t max,
                            pirn_time deadline)
{
    char *body;
    if (ret_json == NULL)
        return -EINVAL;
    ssize_t n = pirn_http_response_all(response, &body, max, deadline);
    if (n < 0)
        return (int)n;
    int err = pirn_http_parse_json(body, (size_t)n, ret_json);
    free(body);
    return err;
}

/* What nobody has read of the body, if it has come: nothing is waited for, and a cancel stays
 * pending. */
static void skip_rest(pirn_http_response *response)
{
    enum {
        SKIPPED_MAX = 64 * 1024 /* a server that says so much, or more and more, is left */
    };
    struct wire *w = &response->link->wire;
    char waste[2048];
    const char *data;
    ssize_t got = 1;
    bool may_end = w->in.keep_alive && wire_left(w) <= SKIPPED_MAX;
    bool shielded = pirn_shield_enter() == 0;
    for (ssize_t n = 0; may_end && got > 0 && n < SKIPPED_MAX; n += got)
        got = pirn_http_glance(w->stream, &data, 0) > 0
                  ? pirn_http_wire_body(w, waste, sizeof(waste), PIRN_NOW)
                  : 0;
    if (shielded)
        pirn_shield_leave();
    pirn_http_response_settle(response);
}

void pirn_http_response_free(pirn_http_response *response)
{
    if (response == NULL)
        return;
    if (response->link != NULL && pirn_current() != NULL) /* a plain thread cannot read it */
        skip_rest(response);
    if (response->link != NULL)
        pirn_http_pool_give(response->client, response->link, false);
    pirn_http_client_unref(response->client);
    pirn_http_kept_free(&response->kept);
    pirn_http_message_free(&response->head);
    free(response);
}
