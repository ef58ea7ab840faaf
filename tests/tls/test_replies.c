/*
 * A client of TLS 1.2 that asks for handshake upon handshake, which are all refused. As long as it
 * takes the refusals it may; if it takes nothing the server does not keep them for it without
 * bound. No library asks twice, so the records are made here, with the keys of a connection.
 */
#include <openssl/kdf.h>

#include "tests/tls/tls.h"

enum {
    ASKED = 20000,   /* refusals of 620 KB: far more than a socket pair takes */
    BATCH = 100,     /* asked at a time by one that listens */
    REFUSAL = 31,    /* bytes of one on the wire */
    RECORD = 5 + 24, /* around the plaintext of one: its head, the nonce, the tag */
    MOST = 128 * 1024
};

/* ---- Records ------------------------------------------------------------------------------- */

struct pen {
    unsigned char key[16], salt[4];
    uint64_t number; /* of the next record */
};

/* RFC 5246, 6.3, for AES128-GCM-SHA256: two keys of 16 bytes, two salts of 4. */
static struct pen pen_of(SSL *ssl)
{
    unsigned char master[48], seed[13 + 64] = "key expansion", block[40];
    struct pen pen = {.number = 1}; /* 0 was the client's Finished */
    CHECK(strcmp(SSL_get_cipher_name(ssl), "ECDHE-ECDSA-AES128-GCM-SHA256") == 0);
    CHECK_EQ(SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof(master)), 48);
    CHECK_EQ(SSL_get_server_random(ssl, seed + 13, 32), 32);
    CHECK_EQ(SSL_get_client_random(ssl, seed + 45, 32), 32);
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0),
                           OSSL_PARAM_construct_octet_string("secret", master, sizeof(master)),
                           OSSL_PARAM_construct_octet_string("seed", seed, sizeof(seed)),
                           OSSL_PARAM_construct_end()};
    CHECK_EQ(EVP_KDF_derive(ctx, block, sizeof(block), params), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    memcpy(pen.key, block, 16);
    memcpy(pen.salt, block + 32, 4);
    return pen;
}

static void put_number(unsigned char *to, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)(number >> (56 - 8 * i));
}

/* A record of the connection's: how long. */
static size_t pen_write(struct pen *pen, unsigned char *to, int type, const void *text, int n)
{
    unsigned char about[13], nonce[12];
    int done;
    put_number(about, pen->number);
    about[8] = (unsigned char)type;
    about[9] = about[10] = 3;
    about[11] = 0;
    about[12] = (unsigned char)n;
    memcpy(nonce, pen->salt, 4);
    put_number(nonce + 4, pen->number++);
    memcpy(to, about + 8, 3);
    to[3] = 0;
    to[4] = (unsigned char)(n + 24);
    memcpy(to + 5, nonce + 4, 8);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    CHECK(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, pen->key, nonce));
    CHECK(EVP_EncryptUpdate(ctx, NULL, &done, about, sizeof(about)));
    CHECK(EVP_EncryptUpdate(ctx, to + 13, &done, text, n));
    CHECK(EVP_EncryptFinal_ex(ctx, to + 13 + n, &done));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, to + 13 + n));
    EVP_CIPHER_CTX_free(ctx);
    return (size_t)(n + RECORD);
}

/* So many times the first bytes of a ClientHello, which are all that is looked at. */
static void ask(struct pen *pen, pirn_stream *below, int times)
{
    static const unsigned char hello[4] = {1, 0, 0, 0};
    unsigned char record[64];
    while (times-- > 0) {
        size_t n = pen_write(pen, record, 22, hello, sizeof(hello));
        CHECK_EQ(pirn_stream_write(below, record, n), n);
    }
}

static void say_x(struct pen *pen, pirn_stream *below)
{
    unsigned char record[64];
    size_t n = pen_write(pen, record, 23, "x", 1);
    CHECK_EQ(pirn_stream_write(below, record, n), n);
}

/* ---- Connections --------------------------------------------------------------------------- */

static pirn_tls_context *of_client, *of_server;

struct reader {
    pirn_stream *stream;
    char byte;
};

static int read_byte(void *arg)
{
    struct reader *r = arg;
    return (int)pirn_stream_read(r->stream, &r->byte, 1, PIRN_NEVER);
}

static pirn_stream *below_of(const pirn_stream *stream)
{
    struct tls *t = pirn_stream_self(stream, &pirn_tls_ops);
    return t->below;
}

static void end(struct link *link)
{
    pirn_stream_abort(link->client.stream);
    pirn_stream_abort(link->server.stream);
    pirn_stream_release(link->client.stream);
    pirn_stream_release(link->server.stream);
}

static int takes_nothing(void *arg)
{
    char why[128];
    (void)arg;
    struct link link = link_open(of_client, of_server);
    struct tls *client = pirn_stream_self(link.client.stream, &pirn_tls_ops);
    struct pen pen = pen_of(client->ssl);
    struct reader reader = {link.server.stream, 0};
    pirn_task *reading = support_spawn(read_byte, &reader);
    ask(&pen, client->below, ASKED);
    say_x(&pen, client->below); /* that is what it would come to */
    CHECK_EQ(support_join(reading), -EPROTO);
    CHECK_GE(pirn_tls_error(link.server.stream, why, sizeof(why)), 1);
    CHECK(strstr(why, "too many replies") != NULL);
    CHECK_LE(pirn_stream_pending(below_of(link.server.stream)), MOST);
    CHECK_EQ(pirn_stream_read(link.server.stream, why, 1, PIRN_NEVER), -EPROTO);
    end(&link);
    return 0;
}

static int takes_all(void *arg)
{
    static char refusals[BATCH * REFUSAL];
    (void)arg;
    struct link link = link_open(of_client, of_server);
    struct tls *client = pirn_stream_self(link.client.stream, &pirn_tls_ops);
    struct pen pen = pen_of(client->ssl);
    struct reader reader = {link.server.stream, 0};
    pirn_task *reading = support_spawn(read_byte, &reader);
    for (int asked = 0; asked < ASKED; asked += BATCH) {
        ask(&pen, client->below, BATCH);
        CHECK_EQ(
            pirn_stream_read_exactly(client->below, refusals, sizeof(refusals), NULL, PIRN_NEVER),
            sizeof(refusals));
    }
    say_x(&pen, client->below);
    CHECK_EQ(support_join(reading), 1);
    CHECK_EQ(reader.byte, 'x');
    end(&link);
    return 0;
}

START_TEST(refusals_are_bounded)
{
    of_client = client_with("ca", NULL, NULL, 0);
    of_server = server_with("server", NULL, NULL);
    only_1_2(of_client);
    CHECK(SSL_CTX_set_cipher_list(pirn_tls_context_native(of_client),
                                  "ECDHE-ECDSA-AES128-GCM-SHA256"));
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, takes_nothing, NULL));
        CHECK_OK(support_run(w, takes_all, NULL));
    }
    pirn_tls_context_release(of_client);
    pirn_tls_context_release(of_server);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {refusals_are_bounded};
    return support_main("tls/replies", tests, sizeof(tests) / sizeof(tests[0]));
}
