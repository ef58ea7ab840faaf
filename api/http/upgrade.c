/*
 * A connection is switched to another protocol (RFC 9110, 7.8): asked for by a request, granted by
 * a 101, and from the byte behind that the program's own, as a stream.
 *
 * The server's connection stays what it is to a stop: busy, until its handler returns. The client's
 * stays with its response, and goes into no pool.
 */
#include "api/http/client.h"
#include "api/http/server.h"

#include <errno.h>

bool pirn_http_switches(const struct message *m, const char *protocol)
{
    return protocol != NULL && m->minor > 0 &&
           pirn_http_message_lists(m, "Connection", "upgrade") &&
           pirn_http_message_lists(m, "Upgrade", protocol);
}

/* What the request says of the protocol it was checked for, and so it is one word. */
static int add_head(struct connection *c, const char *protocol)
{
    struct text *out = &c->wire.out;
    const size_t before = out->used;
    pirn_http_text_puts(out,
                        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ");
    pirn_http_text_puts(out, protocol);
    pirn_http_text_puts(out, "\r\n");
    pirn_http_text_add(out, c->reply.fields.data, c->reply.fields.used);
    pirn_http_text_puts(out, "\r\n");
    if (!out->failed)
        return 0;
    out->used = before;
    out->failed = false;
    return -ENOMEM;
}

int pirn_http_reply_upgrade(pirn_http_reply *reply, const char *protocol, pirn_stream **ret_stream,
                            pirn_time deadline)
{
    if (reply == NULL || protocol == NULL || *protocol == '\0' || ret_stream == NULL)
        return -EINVAL;
    struct connection *c = reply->connection;
    if (reply->stage != REPLY_NONE)
        return -EALREADY;
    if (c->blocking)
        return -EOPNOTSUPP;
    if (!pirn_http_switches(&c->wire.in, protocol))
        return -EINVAL;
    if (c->wire.in.stage != MESSAGE_DONE)
        return -EBUSY;
    int err = add_head(c, protocol);
    if (err < 0)
        return err;
    pirn_http_watch_stop(c, true);
    reply->stage = REPLY_SWITCHED;
    err = pirn_http_wire_send(&c->wire, NULL, 0, deadline);
    if (err == 0)
        err = pirn_http_wire_settle(&c->wire);
    if (err < 0) {
        pirn_http_watch_stop(c, false);
        reply->stage = REPLY_CUT;
        return err;
    }
    *ret_stream = c->wire.stream;
    return 0;
}

pirn_stream *pirn_http_response_stream(const pirn_http_response *response)
{
    return response != NULL && response->link != NULL && response->link->wire.in.status == 101
               ? response->link->wire.stream
               : NULL;
}
