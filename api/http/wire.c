/*
 * One end of a connection: messages out of a stream, and bytes into it.
 *
 * Heads are parsed where the stream has buffered them, and so is a body that came with its head. A
 * body of known length is otherwise received in the caller's memory and decoded in place (the
 * parser library has nothing to do but to count). A chunked one always goes through the buffer, as
 * nobody knows where it ends, and the next message must stay there.
 *
 * Requests that have come in a row are taken out of one view of the stream's buffer, and consumed
 * together: to ask the stream for each, and to tell it of each, is 300 of 3,800 instructions for
 * one of sixteen. After some of them it is asked all the same, for that is where a cancel is seen,
 * and where the worker's budget is charged.
 */
#include "api/http/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

void pirn_http_wire_init(struct wire *w, pirn_stream *stream, bool response,
                         const struct message_limits *limits)
{
    memset(w, 0, sizeof(*w));
    w->stream = stream;
    pirn_http_message_init(&w->in, response, limits);
}

void pirn_http_wire_free(struct wire *w)
{
    pirn_http_message_free(&w->in);
    pirn_http_text_free(&w->out);
}

enum {
    STALL_LOOKS = 4,
    LISTEN_MS = 100 /* between looks for a response, while a request is not taken */
};

/* The bytes from at on, first those of out, then the others: at most so many, in up to two
 * pieces. */
static int cut_slice(const struct wire *w, const char *bytes, size_t n, size_t at, size_t most,
                     struct iovec iov[2])
{
    int count = 0;
    if (at < w->out.used) {
        size_t part = w->out.used - at < most ? w->out.used - at : most;
        iov[count++] = (struct iovec){w->out.data + at, part};
        most -= part;
        at += part;
    }
    if (n > 0 && most > 0) {
        size_t from = at - w->out.used;
        iov[count++] = (struct iovec){(char *)bytes + from, n - from < most ? n - from : most};
    }
    return count;
}

static bool may_go_on(ssize_t err)
{
    return err == -ETIMEDOUT || err == -ECANCELED || err == -ESHUTDOWN || err == -ENOMEM;
}

/* The stream has taken the first bytes of out: they are sent once, whatever the wait for them comes
 * to. */
static void drop(struct wire *w, size_t taken, int err)
{
    if (taken >= w->out.used || (err < 0 && !may_go_on(err))) {
        w->out.used = 0;
        if (w->out.cap > 2 * WIRE_COPY)
            pirn_http_text_free(&w->out);
        return;
    }
    w->out.used -= taken;
    memmove(w->out.data, w->out.data + taken, w->out.used);
}

/*
 * Waits until the stream has less (wait is drain), or nothing (flush), for as long as the peer
 * keeps taking some of it. That is looked at several times in the span, so who takes nothing is
 * dropped after the span and a quarter at the latest. What the peer takes is what the transport
 * takes: the kernel's buffer hides smaller steps.
 */
static int wait_taken(struct wire *w, int (*wait)(pirn_stream *stream, pirn_time deadline),
                      pirn_time deadline)
{
    if (w->stall.ns == 0)
        return wait(w->stream, deadline);
    for (int still = 0; still < STALL_LOOKS; still++) {
        size_t before = pirn_stream_pending(w->stream);
        pirn_time look = pirn_after_ns(w->stall.ns / STALL_LOOKS + 1);
        int err = wait(w->stream, wire_sooner(deadline, look));
        if (err != -ETIMEDOUT || deadline.ns <= look.ns)
            return err;
        if (pirn_stream_pending(w->stream) < before)
            still = -1;
    }
    return -ETIMEDOUT;
}

int pirn_http_wire_flush(struct wire *w)
{
    return wait_taken(w, pirn_stream_flush, PIRN_NEVER);
}

/* Has a response come that makes the rest of the request pointless? One that is not final is
 * followed by another; a good one may be made of what is still to be sent. */
static bool is_refused(struct wire *w)
{
    const char *data, *end;
    ssize_t had = pirn_http_glance(w->stream, &data, 0);
    ssize_t n = had < 0 ? had : pirn_http_glance(w->stream, &data, (size_t)had + 1);
    if (n < 0)
        n = pirn_http_glance(w->stream, &data, 0);
    w->listens = n < WIRE_SLICE;
    while (n >= 12 && data[9] == '1' && (end = memmem(data, (size_t)n, "\r\n\r\n", 4)) != NULL) {
        n -= end + 4 - data;
        data = end + 4;
    }
    if (n < 12 || data[9] == '1')
        return false;
    w->listens = false;
    return data[9] > '2';
}

/* That it need not wait is the rule, and then nobody has to know the time. */
static int drain(struct wire *w, pirn_time deadline)
{
    int err = pirn_stream_drain(w->stream, PIRN_NOW);
    while (err == -ETIMEDOUT && w->listens) {
        pirn_time look = pirn_after_ms(LISTEN_MS);
        if (deadline.ns <= look.ns)
            break;
        err = pirn_stream_drain(w->stream, look);
        if (err == -ETIMEDOUT && is_refused(w))
            return -EPIPE;
    }
    return err == -ETIMEDOUT ? wait_taken(w, pirn_stream_drain, deadline) : err;
}

int pirn_http_wire_send(struct wire *w, const void *bytes, size_t n, pirn_time deadline)
{
    size_t at = 0, all = w->out.used + n;
    int err = 0;
    if (w->out.failed)
        return -ENOMEM;
    while (err == 0 && at < all) {
        struct iovec iov[2];
        size_t slice = all - at < WIRE_SLICE ? all - at : WIRE_SLICE;
        ssize_t sent = pirn_stream_writev(w->stream, iov, cut_slice(w, bytes, n, at, slice, iov));
        if (sent > 0)
            at += (size_t)sent;
        if (sent < 0)
            err = (int)sent;
        else if ((size_t)sent < slice)
            err = -ENOMEM;
        else
            err = drain(w, deadline);
    }
    drop(w, at, err);
    return err;
}

ssize_t pirn_http_glance(pirn_stream *stream, const char **ret_data, size_t least)
{
    bool shielded = pirn_shield_enter() == 0;
    ssize_t n = pirn_stream_peek(stream, ret_data, least, PIRN_NOW);
    if (shielded)
        pirn_shield_leave();
    return n;
}

int pirn_http_wire_settle(struct wire *w)
{
    size_t taken = w->taken;
    w->view = NULL;
    w->seen = w->taken = 0;
    w->heads = 0;
    return taken > 0 ? pirn_stream_consume(w->stream, taken) : 0;
}

/* What the stream has buffered: how many bytes, or an error. */
static ssize_t look(struct wire *w, const char **ret_data)
{
    if (w->view != NULL && w->seen > w->taken && w->heads < WIRE_HEADS) {
        *ret_data = w->view + w->taken;
        return (ssize_t)(w->seen - w->taken);
    }
    bool all = w->view != NULL && w->seen == w->taken;
    int err = pirn_http_wire_settle(w);
    if (err < 0)
        return err;
    *ret_data = "";
    return all ? 0 : pirn_stream_peek(w->stream, ret_data, 0, PIRN_NOW);
}

/* A head of that length has been taken from the n bytes at data. What follows in the view is
 * another head, or no view is kept. */
static int take_head(struct wire *w, const char *data, size_t n, size_t length)
{
    if (w->view == NULL) {
        w->view = data;
        w->seen = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
    }
    w->taken += (uint32_t)length;
    w->heads++;
    bool heads_follow = !w->shared && !w->in.response && w->in.stage == MESSAGE_DONE;
    return heads_follow ? 0 : pirn_http_wire_settle(w);
}

/* Empty lines, one too many behind a body, begin no request. How much is there behind them. */
static ssize_t skip_empty(struct wire *w, size_t empty, const char **ret_data)
{
    int err = pirn_http_wire_settle(w);
    if (err == 0)
        err = pirn_stream_consume(w->stream, empty);
    return err < 0 ? err : look(w, ret_data);
}

int pirn_http_wire_head(struct wire *w, wire_wait wait, void *user)
{
    pirn_time deadline = PIRN_NEVER;
    bool begun = false, idle = false;
    const char *data;
    ssize_t length;
    size_t empty;
    int err;
    w->error = 0;
    ssize_t n = look(w, &data);
    for (;;) {
        if (n < 0)
            return (int)n;
        length = n > 0 ? pirn_http_message_head(&w->in, data, (size_t)n) : 0;
        if (length < 0)
            return (int)length;
        if (n > 0 && length == 0 && (empty = pirn_http_message_skip(&w->in)) > 0) {
            n = skip_empty(w, empty, &data);
            continue;
        }
        if (n > 0 && !begun) {
            begun = true;
            err = wait(user, true, length == 0 ? &deadline : NULL);
            if (err < 0)
                return err;
        }
        if (length > 0)
            return take_head(w, data, (size_t)n, (size_t)length);
        err = pirn_http_wire_settle(w);
        if (err < 0)
            return err;
        ssize_t more = -ETIMEDOUT;
        if (n > 0 && w->out.used > 0) /* the rest may be here, in the next of the stream's reads */
            more = pirn_stream_peek(w->stream, &data, (size_t)n + 1, PIRN_NOW);
        if (more == -ETIMEDOUT) {
            err = pirn_http_wire_send(w, NULL, 0, w->stall.ns > 0 ? PIRN_NEVER : deadline);
            if (err == 0 && n == 0 && !idle)
                err = wait(user, false, &deadline);
            idle = true;
            if (err < 0)
                return err;
            more = pirn_stream_peek(w->stream, &data, (size_t)n + 1, deadline);
        }
        if (more == n)
            return n == 0 ? -ENODATA : -ECONNRESET;
        n = more;
    }
}

/* ---- Bodies ------------------------------------------------------------------------------ */

static int failed(struct wire *w, int err)
{
    w->error = err == -EBADMSG && w->in.refused == 413 ? -EMSGSIZE : err;
    return w->error;
}

/* Decodes what is buffered, n bytes of it at most; 0: nothing came of it, or it is at its end. */
static ssize_t take_buffered(struct wire *w, const char *data, size_t have, char *buf, size_t n)
{
    size_t used, got;
    int err = pirn_http_message_body(&w->in, data, n < have ? n : have, buf, &used, &got);
    if (err < 0)
        return failed(w, err);
    err = pirn_stream_consume(w->stream, used);
    return err < 0 ? failed(w, err) : (ssize_t)got;
}

static ssize_t receive(struct wire *w, char *buf, size_t n, pirn_time deadline)
{
    size_t used, got;
    int err;
    if (w->in.length >= 0 && (uint64_t)(w->in.length - w->in.received) < n)
        n = (size_t)(w->in.length - w->in.received);
    ssize_t came = pirn_stream_read(w->stream, buf, n, deadline);
    if (came < 0)
        return came;
    if (came == 0) {
        err = pirn_http_message_ended(&w->in);
        return err < 0 ? failed(w, err) : 0;
    }
    err = pirn_http_message_body(&w->in, buf, (size_t)came, buf, &used, &got);
    return err < 0 ? failed(w, err) : (ssize_t)got;
}

ssize_t pirn_http_wire_body(struct wire *w, void *buf, size_t n, pirn_time deadline)
{
    if (w->error < 0)
        return w->error;
    while (n > 0 && w->in.stage == MESSAGE_BODY) {
        const char *data;
        if (!w->hold && w->out.used > 0 && pirn_http_glance(w->stream, &data, 0) == 0) {
            int err = pirn_http_wire_send(w, NULL, 0, deadline);
            if (err < 0)
                return err;
        }
        ssize_t got, have = pirn_stream_peek(w->stream, &data, w->in.chunked ? 1 : 0, deadline);
        if (have < 0)
            return have;
        if (have == 0 && w->in.chunked)
            return failed(w, pirn_http_message_ended(&w->in));
        if (have > 0)
            got = take_buffered(w, data, (size_t)have, buf, n);
        else
            got = receive(w, buf, n, deadline);
        if (got != 0)
            return got;
    }
    return w->in.stage == MESSAGE_BAD ? -EBADMSG : 0;
}

/* ---- All of a body ----------------------------------------------------------------------- */

size_t pirn_http_kept_take(struct kept *kept, void *buf, size_t n)
{
    if (n > kept_n(kept))
        n = kept_n(kept);
    if (n > 0)
        memcpy(buf, kept->text.data + kept->at, n);
    kept->at += n;
    if (kept_n(kept) == 0)
        pirn_http_kept_free(kept);
    return n;
}

void pirn_http_kept_free(struct kept *kept)
{
    pirn_http_text_free(&kept->text);
    kept->at = 0;
}

ssize_t pirn_http_keep_all(struct kept *kept, wire_read read, void *user, int64_t length,
                           size_t max, pirn_time deadline)
{
    struct text *body = &kept->text;
    if (kept_n(kept) > max || (length >= 0 && (uint64_t)length > max - kept_n(kept)))
        return -EMSGSIZE;
    if (kept->at > 0) {
        body->used -= kept->at;
        memmove(body->data, body->data + kept->at, body->used);
        kept->at = 0;
    }
    for (;;) {
        /* A peer that promises much gets the memory as it delivers. */
        size_t want = length >= 0 && length < 65536 ? (size_t)length + 2 : 16384;
        if (!pirn_http_text_room(body, want))
            return -ENOMEM;
        ssize_t n = read(user, body->data + body->used, body->cap - body->used - 1, deadline);
        if (n < 0 && !may_go_on(n))
            pirn_http_kept_free(kept);
        if (n < 0)
            return n;
        if (n == 0) {
            body->data[body->used] = '\0'; /* there is room for it */
            return (ssize_t)body->used;
        }
        body->used += (size_t)n;
        length -= length > 0 ? n : 0;
        if (body->used > max)
            return -EMSGSIZE;
    }
}

ssize_t pirn_http_read_all(struct kept *kept, wire_read read, void *user, int64_t length,
                           char **ret_body, size_t max, pirn_time deadline)
{
    ssize_t n = pirn_http_keep_all(kept, read, user, length, max, deadline);
    if (n >= 0) {
        *ret_body = kept->text.data;
        memset(kept, 0, sizeof(*kept));
    }
    return n;
}
