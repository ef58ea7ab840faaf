/*
 * Bytes in memory, and a BIO over them.
 *
 * OpenSSL's own memory BIO keeps the room it once had: 16 KiB and more in each direction of each
 * idle connection. This one gives it back as soon as it is empty.
 */
#include <errno.h>
#include <openssl/bio.h>
#include <stdlib.h>
#include <string.h>

#include "api/tls/tls.h"

enum {
    SMALL = 4096
};

static BIO_METHOD *method; /* made once, kept */

int pirn_tls_bytes_reserve(struct bytes *b, size_t n)
{
    size_t used = bytes_n(b), room = 512;
    if (b->room - b->end >= n)
        return 0;
    if (n > SIZE_MAX / 4 - used)
        return -ENOMEM;
    while (room < used + n && room < SMALL)
        room *= 2;
    if (room < used + n)
        room = used + n; /* a record or several, and then nothing */
    unsigned char *data = malloc(room);
    if (data == NULL)
        return -ENOMEM;
    if (used != 0)
        memcpy(data, b->data + b->start, used);
    free(b->data);
    *b = (struct bytes){data, 0, used, room};
    return 0;
}

int pirn_tls_bytes_put(struct bytes *b, const void *data, size_t n)
{
    int rc = pirn_tls_bytes_reserve(b, n);
    if (rc != 0)
        return rc;
    memcpy(b->data + b->end, data, n);
    b->end += n;
    return 0;
}

void pirn_tls_bytes_drop(struct bytes *b, size_t n)
{
    b->start += n;
    if (b->start != b->end)
        return;
    free(b->data);
    *b = (struct bytes){NULL, 0, 0, 0};
}

static int bio_read(BIO *bio, char *buf, int n)
{
    struct tls *t = BIO_get_data(bio);
    size_t got = bytes_n(&t->in);
    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    if (got == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (got > (size_t)n)
        got = (size_t)n;
    memcpy(buf, t->in.data + t->in.start, got);
    pirn_tls_bytes_drop(&t->in, got);
    return (int)got;
}

/* A failure is for good: a record that is half written cannot be taken up again. */
static int bio_write(BIO *bio, const char *data, int n)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    if (pirn_tls_bytes_put(&t->out, data, (size_t)n) != 0) {
        t->starved = true;
        return -1;
    }
    t->said += (uint64_t)n;
    return n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static void make_method(void)
{
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pirn");
    if (made != NULL && BIO_meth_set_read(made, bio_read) && BIO_meth_set_write(made, bio_write) &&
        BIO_meth_set_ctrl(made, bio_ctrl) && BIO_meth_set_create(made, bio_create))
        method = made;
    else
        BIO_meth_free(made);
}

int pirn_tls_bio_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    return method != NULL ? 0 : -ENOMEM;
}

BIO *pirn_tls_bio_new(struct tls *t)
{
    BIO *bio = BIO_new(method);
    if (bio != NULL)
        BIO_set_data(bio, t);
    return bio;
}
