/*
 * What the files of this folder share: contexts, and a connection's inside.
 *
 *   context.c     contexts
 *   bytes.c       the BIO that OpenSSL reads from and writes to: bytes in memory
 *   engine.c      one connection: OpenSSL under its lock, ciphertext to the stream below
 *   feed.c        ciphertext from there
 *   transport.c   the engine as a stream's transport
 *   connection.c  handshakes, and the questions at a stream
 *   text.c        what OpenSSL says, in errno values and words
 *
 * This is a library of its own: of pirn it may use what <pirn.h> declares, and nothing else.
 *
 * Nothing suspends in OpenSSL, nor while the lock is held. So the lock is a plain mutex: who finds
 * it taken waits for the encryption of 64 KiB at most, and a send of them that does not wait, which
 * is less than being woken up costs; and it is no place where a cancel could come in. And OpenSSL's
 * queue of errors, which is the thread's, is cleared before and read after each call of OpenSSL on
 * the same thread.
 *
 * Field                       who may touch it
 * ssl, in, out, fed, said, replies, mark, starved, wrote, error, broken, why, feeding, hungry
 *                             holders of the lock
 * alpn                        constant once the handshake is done
 * below                       constant
 */
#ifndef PIRN_API_TLS_TLS_H
#define PIRN_API_TLS_TLS_H

#include <openssl/ssl.h>
#include <pirn.h>
#include <pirn/tls.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    TLS_STEP = 64 * 1024 /* plaintext that is encrypted in one go */
};

struct pirn_tls_context {
    _Atomic uint32_t refs;
    SSL_CTX *ctx;
    pirn_tls_role role;
    unsigned flags;
    unsigned char *alpn; /* as on the wire: each with its length before it */
    unsigned alpn_len;
    char *password;
};

/* First in, first out; without memory while it is empty. */
struct bytes {
    unsigned char *data;
    size_t start, end, room;
};

struct tls {
    pthread_mutex_t lock;
    SSL *ssl;
    struct bytes in, out;      /* ciphertext: to be decrypted; to be given to the stream below */
    uint64_t fed;              /* how often something came into in */
    uint64_t said;             /* bytes that have come into out */
    size_t replies;            /* those of them that reads have made, */
    uint64_t mark;             /* since said was so much, of which the peer has not taken all */
    bool starved;              /* OpenSSL has failed because there was no memory for out */
    bool wrote;                /* something of the program's is among what went below */
    int error;                 /* of TLS, for good: nothing goes any more; or 0 */
    int broken;                /* what writing below has met, for good; or 0 */
    char *why;                 /* error in words, or NULL */
    bool feeding;              /* somebody has the right to take ciphertext from below */
    struct tls_hungry *hungry; /* who waits for it to be fed; feed.c */
    pirn_stream *below;        /* a reference, from the end of the handshake on */
    char *alpn;                /* what was agreed on, or NULL */
};

/* ---- bytes.c ---- */

static inline size_t bytes_n(const struct bytes *b)
{
    return b->end - b->start;
}

/* Room for n more: 0 or -ENOMEM. */
int pirn_tls_bytes_reserve(struct bytes *b, size_t n);
int pirn_tls_bytes_put(struct bytes *b, const void *data, size_t n);
void pirn_tls_bytes_drop(struct bytes *b, size_t n); /* the first n */

/* The BIO of t->in and t->out. */
BIO *pirn_tls_bio_new(struct tls *t);
int pirn_tls_bio_init(void); /* once, before the first: 0 or -ENOMEM */

/* ---- text.c ---- */

/* "" or the words, cut to fit. */
void pirn_tls_say(char *ret_text, size_t size, const char *words);
/* From OpenSSL's queue, which is empty afterwards: a file that cannot be had, or other. */
int pirn_tls_file_error(char *ret_text, size_t size, const char *what);
/* The same after a call on ssl has failed: an errno value, *ret_why in words (to be freed, or
 * NULL). */
int pirn_tls_failure(const SSL *ssl, char **ret_why);

/* ---- engine.c ---- */

struct tls *pirn_tls_new(pirn_tls_context *context, pirn_stream *below);
void pirn_tls_free(struct tls *t); /* leaves below alone */

/* Each: 0 and more if it is done, or an error. All [coroutine; suspend], but try: -EAGAIN
 * instead. */
int pirn_tls_shake(struct tls *t, pirn_time deadline);
ssize_t pirn_tls_read(struct tls *t, void *buf, size_t n, pirn_time deadline);
ssize_t pirn_tls_write(struct tls *t, const void *buf, size_t n, pirn_time deadline);
ssize_t pirn_tls_try_read(struct tls *t, void *buf, size_t n);
ssize_t pirn_tls_try_write(struct tls *t, const struct iovec *iov, int count);
int pirn_tls_notify(struct tls *t, pirn_time deadline); /* the peer: nothing more comes */

/* ---- feed.c ---- */

/* OpenSSL had to see more when it had been fed so often: waits until it has been once more. 0, or
 * an error. [coroutine; suspends] */
int pirn_tls_feed(struct tls *t, uint64_t fed, pirn_time deadline);
/* What came from below and was not asked for is dropped. Does not wait. */
void pirn_tls_discard(struct tls *t);

/* ---- transport.c ---- */

extern const pirn_transport pirn_tls_ops;

#endif
