/*
 * One connection: OpenSSL in the middle, memory on both sides, the stream below.
 *
 * A call (handshake, read, write, end)
 *   1. takes the lock, lets OpenSSL work, which takes ciphertext from t->in and puts some into
 *      t->out, gives that to the stream below, drops the lock. Writing below does not suspend: what
 *      the kernel does not take is that stream's to send. So ciphertext goes out in the order in
 *      which OpenSSL made it, whoever made it, and none of it hangs on a caller that is cancelled
 *   2. if OpenSSL has to see more from the peer, takes the right to feed, waits for bytes below,
 *      puts them into t->in, and begins again. Who finds the right taken waits until something was
 *      fed, or nobody feeds any more; what was fed may be what was missing, and OpenSSL is asked
 *      again first.
 *
 * A write has to see something seldom: when a message of TLS 1.3 after the handshake (a ticket, a
 * new key) has come in part. Usually a reader is there, and feeds both. A cancel or a deadline
 * comes in where a call waits to feed, and a write waits until the stream below has room before it
 * encrypts: then nothing has happened.
 *
 * Rejected: a task for each connection that reads ahead: a stack for each, and memory without bound
 * or a second flow control. Encrypting first and waiting for room after that: a write that was
 * cancelled would have been sent. And handing on the ciphertext outside the lock: what it saves,
 * the wait of a reader for a send, costs a second right with waiters of its own, for an end has to
 * come after everything else. And a pirn_mutex as the right to feed: who has found it taken and is
 * on its way to wait does not see that it was let go and taken again meanwhile.
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "api/tls/tls.h"

enum {
    OVERHEAD = 128,           /* of a record, generously */
    RECORD = 16 * 1024,       /* plaintext in one */
    CROWDED = 64 * 1024,      /* waiting to be sent below: a try does not add to it */
    REPLIES_MOST = 16 * 1024, /* ciphertext made by reads that the peer does not take */
};

/* ---- Under the lock ---- */

/* What OpenSSL has made goes below: 0, or -ENOMEM and the rest stays, or what it has met for
 * good. */
static int send_out(struct tls *t)
{
    size_t n = bytes_n(&t->out);
    if (t->broken != 0 || n == 0) {
        pirn_tls_bytes_drop(&t->out, n);
        return t->broken;
    }
    ssize_t sent = pirn_stream_write(t->below, t->out.data + t->out.start, n);
    if (sent == -ENOMEM)
        return -ENOMEM;
    if (sent < 0) {
        t->broken = (int)sent;
        sent = (ssize_t)n;
    }
    pirn_tls_bytes_drop(&t->out, (size_t)sent);
    return t->broken != 0 ? t->broken : bytes_n(&t->out) != 0 ? -ENOMEM : 0;
}

/* After a call on t->ssl that returned so much: 0, -EAGAIN if it must see more, -ENODATA if the
 * peer has ended, or an error for good. */
static int outcome(struct tls *t, int returned)
{
    if (returned > 0)
        return 0;
    int reason = SSL_get_error(t->ssl, returned);
    if (reason == SSL_ERROR_WANT_READ) {
        if (!SSL_in_init(
                t->ssl)) /* it may be a long wait: 16 KiB for what a ticket was answered with */
            SSL_free_buffers(t->ssl);
        return -EAGAIN;
    }
    if (reason == SSL_ERROR_ZERO_RETURN)
        return -ENODATA;
    free(t->why);
    t->error = pirn_tls_failure(t->ssl, &t->why);
    if (t->starved) {
        free(t->why);
        t->why = strdup(strerrordesc_np(ENOMEM));
    }
    return t->error;
}

/* ---- The calls: one try each, then with waiting ---- */

static int try_shake(struct tls *t, uint64_t *ret_fed)
{
    pthread_mutex_lock(&t->lock);
    ERR_clear_error();
    int rc = t->error != 0 ? t->error : outcome(t, SSL_do_handshake(t->ssl));
    if (t->error != 0 && t->starved)
        rc = -ENOMEM;       /* later than that it would say that another try is worth it */
    int sent = send_out(t); /* an alert too */
    *ret_fed = t->fed;
    pthread_mutex_unlock(&t->lock);
    /* A peer that has left may have said why, or all that it had to say: that is still to be
     * read. */
    return rc == -EAGAIN && sent == -ENOMEM ? -ENOMEM : rc;
}

int pirn_tls_shake(struct tls *t, pirn_time deadline)
{
    uint64_t fed;
    int rc;
    do {
        rc = try_shake(t, &fed);
        if (rc == -EAGAIN)
            rc = pirn_tls_feed(t, fed, deadline);
        else
            return rc;
    } while (rc == 0);
    return rc;
}

/*
 * Under the lock. A read has made OpenSSL say n bytes more, which have been handed on: the refusal
 * of a new handshake (TLS 1.2), say. A write waits until the peer takes what was said before; a
 * read must not, as two peers that both write would wait for each other. So a peer that asks and
 * takes nothing is given up. One that takes what it is told may ask as often as it likes: the count
 * begins anew when what had been said at its beginning has been taken.
 */
static void count_replies(struct tls *t, size_t n)
{
    uint64_t taken = t->said - bytes_n(&t->out) - pirn_stream_pending(t->below);
    if (taken >= t->mark) {
        t->replies = 0;
        t->mark = t->said;
    }
    t->replies += n;
    if (t->replies <= REPLIES_MOST || t->error != 0)
        return;
    free(t->why);
    t->why = strdup("the peer has asked for too many replies, and takes none");
    t->error = -EPROTO;
}

static ssize_t try_read(struct tls *t, void *buf, size_t n, uint64_t *ret_fed)
{
    size_t got = 0;
    pthread_mutex_lock(&t->lock);
    ERR_clear_error();
    uint64_t said = t->said;
    ssize_t rc = t->error != 0 ? t->error : outcome(t, SSL_read_ex(t->ssl, buf, n, &got));
    send_out(t); /* replies and alerts; that they cannot be sent concerns who writes */
    if (t->said != said)
        count_replies(t, (size_t)(t->said - said));
    if (rc == -EAGAIN && t->error != 0)
        rc = t->error;
    *ret_fed = t->fed;
    pthread_mutex_unlock(&t->lock);
    return rc == 0 ? (ssize_t)got : rc == -ENODATA ? 0 : rc;
}

ssize_t pirn_tls_read(struct tls *t, void *buf, size_t n, pirn_time deadline)
{
    uint64_t fed;
    for (;;) {
        ssize_t rc = try_read(t, buf, n, &fed);
        if (rc == -EAGAIN)
            rc = pirn_tls_feed(t, fed, deadline);
        else
            return rc;
        if (rc != 0)
            return rc;
    }
}

ssize_t pirn_tls_try_read(struct tls *t, void *buf, size_t n)
{
    uint64_t fed;
    return try_read(t, buf, n, &fed);
}

/* Under the lock. Nothing is taken unless there is memory for what it becomes. */
static ssize_t encrypt(struct tls *t, const void *buf, size_t n, size_t *put)
{
    size_t done = 0;
    ssize_t rc = pirn_tls_bytes_reserve(&t->out, n + (n / RECORD + 2) * OVERHEAD);
    if (rc == 0)
        rc = t->error != 0 ? t->error : outcome(t, SSL_write_ex(t->ssl, buf, n, &done));
    t->wrote |= done != 0;
    *put += done;
    return rc;
}

/* How many bytes of the pieces it has taken: each is a record or more, and all go below
 * together. */
static ssize_t try_write(struct tls *t, const struct iovec *iov, int count, uint64_t *ret_fed)
{
    size_t put = 0;
    pthread_mutex_lock(&t->lock);
    ERR_clear_error();
    ssize_t rc = send_out(t); /* what was left when memory was short */
    for (int i = 0; i < count && rc == 0 && put < TLS_STEP; i++) {
        size_t n = iov[i].iov_len < TLS_STEP - put ? iov[i].iov_len : TLS_STEP - put;
        if (n != 0)
            rc = encrypt(t, iov[i].iov_base, n, &put);
        if (n != iov[i].iov_len)
            break;
    }
    int sent = send_out(t);
    *ret_fed = t->fed;
    pthread_mutex_unlock(&t->lock);
    if (put != 0)
        rc = (ssize_t)put; /* an error comes again with the next call */
    return sent == 0 || sent == -ENOMEM || rc < 0 ? rc : sent;
}

ssize_t pirn_tls_write(struct tls *t, const void *buf, size_t n, pirn_time deadline)
{
    struct iovec iov = {(void *)(uintptr_t)buf, n};
    uint64_t fed;
    for (;;) {
        ssize_t rc = pirn_stream_drain(t->below, deadline);
        if (rc != 0)
            return rc;
        rc = try_write(t, &iov, 1, &fed);
        if (rc != -EAGAIN)
            return rc;
        rc = pirn_tls_feed(t, fed, deadline);
        if (rc != 0)
            return rc;
    }
}

ssize_t pirn_tls_try_write(struct tls *t, const struct iovec *iov, int count)
{
    uint64_t fed;
    if (pirn_stream_pending(t->below) > CROWDED)
        return -EAGAIN;
    return try_write(t, iov, count, &fed);
}

/* In the middle of a message from the peer OpenSSL ends nothing: first that is seen to its end. Nor
 * is it asked to without memory for what it says. */
static int try_notify(struct tls *t, uint64_t *ret_fed)
{
    pthread_mutex_lock(&t->lock);
    ERR_clear_error();
    int rc = t->error;
    if (rc == 0 && SSL_in_init(t->ssl))
        rc = outcome(t, SSL_do_handshake(t->ssl));
    bool told = (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN) != 0;
    if (rc == 0 && !told)
        rc = pirn_tls_bytes_reserve(&t->out, OVERHEAD);
    if (rc == 0 && !told && SSL_shutdown(t->ssl) < 0)
        rc = outcome(t, -1);
    int sent = send_out(t);
    *ret_fed = t->fed;
    pthread_mutex_unlock(&t->lock);
    return rc != 0 ? rc : sent;
}

int pirn_tls_notify(struct tls *t, pirn_time deadline)
{
    uint64_t fed;
    int rc;
    do {
        rc = try_notify(t, &fed);
        if (rc == -EAGAIN)
            rc = pirn_tls_feed(t, fed, deadline);
        else
            return rc;
    } while (rc == 0);
    return rc;
}

/* ---- Made and freed ---- */

struct tls *pirn_tls_new(pirn_tls_context *context, pirn_stream *below)
{
    struct tls *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    pthread_mutex_init(&t->lock, NULL);
    t->below = below;
    t->ssl = SSL_new(context->ctx);
    BIO *bio = t->ssl != NULL ? pirn_tls_bio_new(t) : NULL;
    if (bio == NULL) {
        pirn_tls_free(t);
        return NULL;
    }
    SSL_set_bio(t->ssl, bio, bio);
    return t;
}

void pirn_tls_free(struct tls *t)
{
    SSL_free(t->ssl);
    ERR_clear_error();
    pirn_tls_bytes_drop(&t->in, bytes_n(&t->in));
    pirn_tls_bytes_drop(&t->out, bytes_n(&t->out));
    pthread_mutex_destroy(&t->lock);
    free(t->why);
    free(t->alpn);
    free(t);
}
