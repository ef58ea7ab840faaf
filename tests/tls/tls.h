/*
 * What the TLS tests share: certificates made for this run, contexts, connections over a socket
 * pair, and a transport that hands out what comes in small pieces, and stops where it is told.
 */
#ifndef PIRN_TESTS_TLS_TLS_H
#define PIRN_TESTS_TLS_TLS_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pirn/tls.h>
#include <stdio.h>
#include <sys/stat.h>

#include "api/tls/tls.h"
#include "tests/support.h"

/* ---- Certificates ---------------------------------------------------------------------------- */

enum {
    DAY = 24 * 3600
};

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

static const char *const cert_names[] = {"ca",       "server", "expired", "early",
                                         "stranger", "client", "rsa",     "locked"};
enum {
    CERTS = sizeof(cert_names) / sizeof(cert_names[0])
};
static char cert_dir[64], cert_paths[CERTS][96]; /* written once, by cert_make_all */

static inline const char *cert_path(const char *name)
{
    int i = 0;
    while (i < CERTS - 1 && strcmp(cert_names[i], name) != 0)
        i++;
    CHECK(strcmp(cert_names[i], name) == 0);
    return cert_paths[i];
}

static inline void cert_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    CHECK(e);
    CHECK(X509_add_ext(certificate, e, -1));
    X509_EXTENSION_free(e);
}

/* issuer NULL: signed by itself, and an authority. san NULL: none. Valid for two days, from `from`
 * days from now on. Written to name.pem, certificate and key. */
static inline struct identity cert_make(const char *name, const struct identity *issuer,
                                        const char *san, int from, EVP_PKEY *key)
{
    static long serial = 1;
    struct identity id = {key, X509_new()};
    X509 *c = id.certificate;
    CHECK(key && c);
    CHECK(X509_set_version(c, 2));
    CHECK(ASN1_INTEGER_set(X509_get_serialNumber(c), serial++));
    CHECK(X509_gmtime_adj(X509_getm_notBefore(c), (long)from * DAY));
    CHECK(X509_gmtime_adj(X509_getm_notAfter(c), (long)(from + 2) * DAY));
    CHECK(X509_set_pubkey(c, key));
    X509_NAME *subject = X509_get_subject_name(c);
    CHECK(X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"pirn", -1,
                                     -1, 0));
    CHECK(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                     -1, 0));
    X509 *signer = issuer != NULL ? issuer->certificate : c;
    CHECK(X509_set_issuer_name(c, X509_get_subject_name(signer)));
    cert_extension(c, signer, NID_basic_constraints,
                   issuer != NULL ? "CA:FALSE" : "critical,CA:TRUE");
    if (san != NULL)
        cert_extension(c, signer, NID_subject_alt_name, san);
    CHECK(X509_sign(c, issuer != NULL ? issuer->key : key, EVP_sha256()));
    FILE *f = fopen(cert_path(name), "w");
    CHECK(f);
    CHECK(PEM_write_X509(f, c));
    CHECK(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
    CHECK_OK(fclose(f));
    return id;
}

static inline void identity_free(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->certificate);
}

static inline void cert_remove(void)
{
    for (int i = 0; i < CERTS; i++)
        unlink(cert_paths[i]);
    rmdir(cert_dir);
}

/* ca is trusted; server, rsa, expired, early (not yet valid) and client are signed by it; stranger
 * by itself; locked is server with a password, "sesame". */
static inline void cert_make_all(void)
{
    static const char hosts[] = "DNS:localhost,DNS:*.example.org,IP:127.0.0.1,IP:::1";
    snprintf(cert_dir, sizeof(cert_dir), "/tmp/pirn-tls-XXXXXX");
    CHECK(mkdtemp(cert_dir));
    for (int i = 0; i < CERTS; i++)
        snprintf(cert_paths[i], sizeof(cert_paths[i]), "%s/%s.pem", cert_dir, cert_names[i]);
    atexit(cert_remove);
    struct identity ca = cert_make("ca", NULL, NULL, -1, EVP_EC_gen("P-256"));
    struct identity ids[] = {
        cert_make("server", &ca, hosts, -1, EVP_EC_gen("P-256")),
        cert_make("expired", &ca, hosts, -4000, EVP_EC_gen("P-256")),
        cert_make("early", &ca, hosts, 4000, EVP_EC_gen("P-256")),
        cert_make("stranger", NULL, hosts, -1, EVP_EC_gen("P-256")),
        cert_make("client", &ca, NULL, -1, EVP_EC_gen("P-256")),
        cert_make("rsa", &ca, hosts, -1, EVP_RSA_gen(4096)),
    };
    FILE *f = fopen(cert_path("locked"), "w");
    CHECK(f);
    CHECK(PEM_write_X509(f, ids[0].certificate));
    CHECK(PEM_write_PrivateKey(f, ids[0].key, EVP_aes_128_cbc(), (const unsigned char *)"sesame", 6,
                               NULL, NULL));
    CHECK_OK(fclose(f));
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        identity_free(&ids[i]);
    identity_free(&ca);
}

static inline void certs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    support_blocking_begin(); /* files */
    pthread_once(&once, cert_make_all);
    support_blocking_end();
}

/* ---- Contexts -------------------------------------------------------------------------------- */

static inline pirn_tls_context *client_with(const char *ca, const char *certificate,
                                            const char *alpn, unsigned flags)
{
    pirn_tls_context *context;
    pirn_tls_context_config config = PIRN_TLS_CONTEXT_CONFIG_INIT;
    certs();
    config.ca_file = ca != NULL ? cert_path(ca) : NULL;
    config.certificate = certificate != NULL ? cert_path(certificate) : NULL;
    config.alpn = alpn;
    config.flags = flags;
    support_blocking_begin(); /* it reads files, and says so */
    CHECK_OK(pirn_tls_context_new(&context, PIRN_TLS_CLIENT, &config));
    support_blocking_end();
    return context;
}

static inline pirn_tls_context *server_with(const char *certificate, const char *ca,
                                            const char *alpn)
{
    pirn_tls_context *context;
    pirn_tls_context_config config = PIRN_TLS_CONTEXT_CONFIG_INIT;
    certs();
    config.certificate = cert_path(certificate);
    config.ca_file = ca != NULL ? cert_path(ca) : NULL;
    config.flags = ca != NULL ? PIRN_TLS_ASK_CLIENT : 0;
    config.alpn = alpn;
    support_blocking_begin();
    CHECK_OK(pirn_tls_context_new(&context, PIRN_TLS_SERVER, &config));
    support_blocking_end();
    return context;
}

/* TLS 1.2 at most. */
static inline void only_1_2(pirn_tls_context *context)
{
    CHECK(SSL_CTX_set_max_proto_version(pirn_tls_context_native(context), TLS1_2_VERSION));
}

/* ---- A transport in small pieces ------------------------------------------------------------- */

/* Over a socket: a read gives at most `piece` bytes, and none beyond `most` in all until that is
 * raised (by valve_open), which it waits for. */
struct valve {
    int fd;
    size_t piece;
    _Atomic size_t most, passed; /* passed: so many bytes were read */
    atomic_int dry;              /* a read waits for most to be raised */
    pirn_event more;
    atomic_bool closed;
};

static inline ssize_t valve_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    struct valve *v = self;
    for (;;) {
        pirn_event_clear(&v->more); /* before what it tells of is looked at */
        if (atomic_load(&v->closed))
            return -EBADF;
        size_t passed = atomic_load(&v->passed), most = atomic_load(&v->most);
        if (passed < most) {
            size_t want = most - passed < v->piece ? most - passed : v->piece;
            ssize_t got = pirn_recv(v->fd, buf, want < n ? want : n, 0, deadline);
            if (got > 0)
                atomic_fetch_add(&v->passed, (size_t)got);
            return got;
        }
        atomic_fetch_add(&v->dry, 1);
        int rc = pirn_event_wait(&v->more, deadline);
        atomic_fetch_sub(&v->dry, 1);
        if (rc != 0)
            return rc;
    }
}

static inline ssize_t valve_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    struct valve *v = self;
    return pirn_send(v->fd, buf, n < 1000 ? n : 1000, 0, deadline);
}

/* Of one that has it, a write fails at once; of the others, in the background. */
static inline ssize_t valve_try_write(void *self, const struct iovec *iov, int count)
{
    struct valve *v = self;
    (void)count;
    ssize_t n = send(v->fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n >= 0 ? n : -errno;
}

static inline int valve_end(void *self, pirn_time deadline)
{
    (void)deadline;
    return shutdown(((struct valve *)self)->fd, SHUT_WR);
}

static inline int valve_close(void *self)
{
    struct valve *v = self;
    atomic_store(&v->closed, true);
    pirn_event_set(&v->more);
    shutdown(v->fd, SHUT_RDWR);
    return 0;
}

static inline void valve_free(void *self)
{
    struct valve *v = self;
    close(v->fd);
    free(v);
}

static inline void valve_open(struct valve *v, size_t most)
{
    atomic_store(&v->most, most);
    pirn_event_set(&v->more);
}

#define VALVE_OPS \
    .size = sizeof(pirn_transport), .read = valve_read, .write = valve_write, .end = valve_end, \
    .close = valve_close, .free = valve_free
static const pirn_transport valve_ops = {VALVE_OPS};
static const pirn_transport valve_trying_ops = {VALVE_OPS, .try_write = valve_try_write};

static inline struct valve *valve_new_of(const pirn_transport *ops, pirn_stream **ret_stream,
                                         int fd, size_t piece, size_t most)
{
    struct valve *v = calloc(1, sizeof(*v));
    CHECK(v);
    v->fd = fd;
    v->piece = piece;
    v->most = most;
    CHECK_OK(pirn_stream_over(ret_stream, ops, v, NULL));
    return v;
}

static inline struct valve *valve_new(pirn_stream **ret_stream, int fd, size_t piece, size_t most)
{
    bool tries = (support_random() & 1) != 0;
    return valve_new_of(tries ? &valve_trying_ops : &valve_ops, ret_stream, fd, piece, most);
}

/* ---- Connections ----------------------------------------------------------------------------- */

struct side {
    pirn_stream *below, *stream; /* one or the other */
    pirn_tls_context *context;
    const char *host; /* NULL: it is the server */
    bool is_server;
    char why[128];
};

struct link {
    struct side client, server;
};

static inline int side_shake(void *arg)
{
    struct side *side = arg;
    pirn_tls_config config = PIRN_TLS_CONFIG_INIT;
    config.ret_error = side->why;
    config.error_size = sizeof(side->why);
    int rc = side->is_server
                 ? pirn_tls_server(&side->stream, side->below, side->context, &config, PIRN_NEVER)
                 : pirn_tls_client(&side->stream, side->below, side->context, side->host, &config,
                                   PIRN_NEVER);
    if (rc == 0) {
        side->below = NULL;
    } else {
        pirn_stream_close(side->below, PIRN_NEVER);
        pirn_stream_release(side->below);
        side->below = side->stream = NULL;
    }
    return rc;
}

/* Streams over both ends of a socket pair; contexts are borrowed. */
static inline struct link link_plain(pirn_tls_context *client, pirn_tls_context *server,
                                     const char *host)
{
    struct link link = {
        {.context = client, .host = host},
        {.context = server, .is_server = true},
    };
    int pair[2];
    support_pair(pair);
    CHECK_OK(pirn_stream_new(&link.client.below, pair[0], NULL));
    CHECK_OK(pirn_stream_new(&link.server.below, pair[1], NULL));
    return link;
}

struct outcome2 {
    int client, server;
};

static inline struct outcome2 link_shake(struct link *link)
{
    pirn_task *server = support_spawn(side_shake, &link->server);
    int client = side_shake(&link->client);
    return (struct outcome2){client, support_join(server)};
}

static inline struct link link_open(pirn_tls_context *client, pirn_tls_context *server)
{
    struct link link = link_plain(client, server, "localhost");
    struct outcome2 rc = link_shake(&link);
    if (rc.client != 0 || rc.server != 0)
        fprintf(stderr, "client: %s; server: %s\n", link.client.why, link.server.why);
    CHECK_OK(rc.client);
    CHECK_OK(rc.server);
    return link;
}

static inline void side_close(struct side *side)
{
    CHECK_OK(pirn_stream_close(side->stream, PIRN_NEVER));
    pirn_stream_release(side->stream);
}

static inline void link_close(struct link *link)
{
    side_close(&link->client);
    side_close(&link->server);
}

/* A word from one to the other. */
static inline void link_say(pirn_stream *from, pirn_stream *to, const char *word)
{
    char buf[64];
    size_t n = strlen(word);
    CHECK_EQ(pirn_stream_write(from, word, n), n);
    CHECK_EQ(pirn_stream_read_exactly(to, buf, n, NULL, PIRN_NEVER), n);
    CHECK(memcmp(buf, word, n) == 0);
}

static inline unsigned char byte_at(size_t i)
{
    return (unsigned char)((i * 2654435761u) >> 13);
}

#endif
