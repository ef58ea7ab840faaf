/*
 * The engine as a stream's transport; pirn/stream.h says what is asked of one.
 */
#include <errno.h>

#include "api/tls/tls.h"

static ssize_t tls_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    return pirn_tls_read(self, buf, n, deadline);
}

static ssize_t tls_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    return pirn_tls_write(self, buf, n, deadline);
}

static ssize_t tls_try_read(void *self, void *buf, size_t n)
{
    return pirn_tls_try_read(self, buf, n);
}

static ssize_t tls_try_write(void *self, const struct iovec *iov, int count)
{
    return pirn_tls_try_write(self, iov, count);
}

static int flush_below(struct tls *t, pirn_time deadline)
{
    /* A cancel that is pending does not matter where nothing is waited for. */
    return pirn_stream_pending(t->below) != 0 ? pirn_stream_flush(t->below, deadline) : 0;
}

/* As far as it goes at once: the rest is below's to send. A cancel is not for this. */
static void send_below(struct tls *t)
{
    if (pirn_stream_pending(t->below) == 0)
        return;
    bool shielded = pirn_shield_enter() == 0;
    int rc = pirn_stream_flush(t->below, PIRN_NOW);
    (void)rc; /* who reads, or closes, meets it */
    if (shielded)
        pirn_shield_leave();
}

/* The stream below stays open for what TLS itself may have to say. An end that the peer is being
 * told of cannot be taken back, and OpenSSL takes no more writes: so what is waited for, and may be
 * stopped, comes before it. */
static int tls_end(void *self, pirn_time deadline)
{
    int rc = flush_below(self, deadline);
    if (rc == 0)
        rc = pirn_tls_notify(self, deadline);
    if (rc == 0)
        send_below(self);
    return rc;
}

static bool is_stop(int error)
{
    return error == -ETIMEDOUT || error == -ECANCELED || error == -ESHUTDOWN;
}

static bool wrote(struct tls *t)
{
    pthread_mutex_lock(&t->lock);
    bool yes = t->wrote;
    pthread_mutex_unlock(&t->lock);
    return yes;
}

/* That the peer has left before it was told of the end, or got a ticket, is no loss. One that is in
 * the middle of a message is not waited for. */
static int tls_finish(void *self, pirn_time deadline)
{
    struct tls *t = self;
    int rc = flush_below(t, deadline);
    if (rc != 0)
        return is_stop(rc) || wrote(t) ? rc : 0;
    rc = pirn_tls_notify(t, PIRN_NOW);
    if (rc == 0)
        rc = flush_below(t, deadline);
    else if (rc == -ETIMEDOUT)
        rc = 0;
    pirn_tls_discard(t); /* a close with tickets unread would be a reset */
    return is_stop(rc) ? rc : 0;
}

static int tls_close(void *self)
{
    struct tls *t = self;
    return pirn_stream_abort(t->below);
}

static int tls_fd(void *self)
{
    struct tls *t = self;
    return pirn_stream_fd(t->below);
}

static pirn_stream *tls_below(void *self)
{
    struct tls *t = self;
    return t->below;
}

static void tls_free(void *self)
{
    struct tls *t = self;
    pirn_stream *below = t->below;
    pirn_tls_free(t);
    pirn_stream_release(below);
}

const pirn_transport pirn_tls_ops = {
    .size = sizeof(pirn_transport),
    .read = tls_read,
    .write = tls_write,
    .end = tls_end,
    .close = tls_close,
    .fd = tls_fd,
    .free = tls_free,
    .try_read = tls_try_read,
    .try_write = tls_try_write,
    .finish = tls_finish,
    .below = tls_below,
};
